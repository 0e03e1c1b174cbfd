"""pocketfft's loops: where they are found, and the native caller against numpy.fft."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits

from weftrt import pocketfft
from weftrt.cpu import externs, fourier
from weftrt.errors import UsageError

SIGNATURE = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
Array = np.ndarray[Any, Any]
LENGTHS = (1, 2, 3, 8, 15, 17, 49, 64, 211, 1000)
SHAPES = ((), (1,), (3,), (9,), (2, 3), (0,))


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _drawn(transform: str, shape: tuple[int, ...], axis: int, itemsize: int) -> tuple[Array, int]:
    """What is transformed along an axis, and the length."""
    random = np.random.default_rng(shape)
    x = random.standard_normal(shape) + 1j * random.standard_normal(shape)
    if transform == "rfft":
        return np.ascontiguousarray(x.real, f"f{itemsize}"), shape[axis]
    if transform == "irfft":
        half = np.take(x, range(shape[axis] // 2 + 1), axis)
        return np.ascontiguousarray(half, f"c{2 * itemsize}"), shape[axis]
    return np.asarray(x, f"c{2 * itemsize}"), shape[axis]


def _called(transform: str, x: Array, wanted: Array, axis: int, n: int, itemsize: int) -> int:
    """Write what the native routine gives to `wanted`."""
    routine = externs.routine(pocketfft.routine_name(transform, itemsize))
    buffers = (ctypes.c_void_p * 2)(x.ctypes.data, wanted.ctypes.data)
    groups, inner = np.prod(x.shape[:axis], dtype=int), np.prod(x.shape[axis + 1 :], dtype=int)
    sizes = (ctypes.c_int64 * 6)(groups, inner, x.shape[axis], wanted.shape[axis], n, 0)
    function = SIGNATURE(routine.address)
    return int(function(ctypes.addressof(buffers), ctypes.addressof(sizes), routine.context))


def _check(transform: str, shape: tuple[int, ...], axis: int, itemsize: int) -> None:
    x, n = _drawn(transform, shape, axis, itemsize)
    wanted = pocketfft.run(transform, x, axis, n)
    found = np.full_like(wanted, 7)
    assert _called(transform, x, found, axis, n, itemsize) == -1
    assert_same_bits(found, wanted)


@pytest.mark.parametrize("itemsize", [4, 8])
@pytest.mark.parametrize("transform", pocketfft.LOOPS)
def test_native_caller_has_the_bits_of_numpy(transform: str, itemsize: int) -> None:
    for n in LENGTHS:
        for lead in SHAPES:
            for axis in range(len(lead) + 1):
                _check(transform, (*lead[:axis], n, *lead[axis:]), axis, itemsize)


@pytest.mark.parametrize("transform", pocketfft.LOOPS)
def test_rows_may_be_transformed_one_by_one(
    transform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pocketfft, "rows_are_alike", lambda itemsize: False)
    for description in (fourier.description.__wrapped__(transform, size) for size in (4, 8)):
        assert description.at_once == 0
    alone = fourier.description.__wrapped__(transform, 8)
    monkeypatch.setattr(fourier, "description", lambda name, itemsize: alone)
    externs.routine.cache_clear()
    for shape, axis in (((9, 12), 1), ((5, 12, 9), 1), ((0, 4), 1), ((8, 7), 0)):
        _check(transform, shape, axis, 8)
    externs.routine.cache_clear()


def test_in_float64_the_bits_are_those_of_numpys_functions() -> None:
    unscaled = {"ifft": "forward", "irfft": "forward"}
    for transform in pocketfft.LOOPS:
        for n in LENGTHS:
            x, _ = _drawn(transform, (3, n, 2), 1, 8)
            known = getattr(np.fft, transform)(x, n, 1, norm=unscaled.get(transform))
            assert_same_bits(pocketfft.run(transform, x, 1, n), np.ascontiguousarray(known))


def test_a_row_has_the_bits_it_has_alone() -> None:
    for itemsize in (4, 8):
        for n in LENGTHS if pocketfft.rows_are_alike(itemsize) else ():
            x, _ = _drawn("fft", (11, n), 1, itemsize)
            whole = pocketfft.run("fft", x, 1, n)
            for row, alone in zip(x, whole, strict=True):
                assert_same_bits(pocketfft.run("fft", row, 0, n), alone)


def test_rows_that_differ_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pocketfft, "_transformed", lambda transform, x, n: x + x.ndim)
    assert not pocketfft.rows_are_alike.__wrapped__(8)


def test_memory_that_cannot_be_had_is_said() -> None:
    x = np.ones(4, np.complex128)
    assert _called("fft", x, x.copy(), 0, 1 << 52, 8) == externs.NO_MEMORY


_FAULTS = """
import resource, sys
import numpy as np
import weft as wf

x = wf.asarray(np.ones(1 << 16, np.complex128))
for _ in range(3):
    wf.fft.fft(x)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    wf.fft.fft(x)
sys.exit(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before > 20 * 16)
"""


@pytest.mark.skipif("CS_GNU_LIBC_VERSION" not in os.confstr_names, reason="another C library")
def test_memory_to_work_in_is_kept_from_call_to_call() -> None:
    """It has 256 pages."""
    code = [sys.executable, "-c", _FAULTS]
    assert subprocess.run(code, env=_environment()).returncode == 0


def test_threads_transform_at_once() -> None:
    x, n = _drawn("fft", (4, 360), 1, 8)
    wanted = pocketfft.run("fft", x, 1, n)
    results = [np.zeros_like(wanted) for _ in range(8)]

    def work(result: Array) -> None:
        for _ in range(20):
            _called("fft", x, result, 1, n, 8)

    threads = [threading.Thread(target=work, args=(result,)) for result in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        assert_same_bits(result, wanted)


def test_programs_of_other_things_do_not_load_it() -> None:
    code = "import sys, numpy as np, weft; weft.sin(np.ones(3)); "
    code += "sys.exit('weftrt.pocketfft' in sys.modules or 'weft.fft' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=_environment()).returncode == 0


@pytest.mark.parametrize("name", ["fft_of_old", "rfft"])
def test_another_numpy_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pocketfft.LOOPS, "fft", (name, name))  # one that is none, one of others
    with pytest.raises(UsageError, match=r"need the pocketfft of NumPy 2\.0 or later"):
        pocketfft.loop.__wrapped__("fft", 8, False)


def test_what_a_ufunc_is_not_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pocketfft.KINDS, "fft", "ff")  # there is no such loop
    with pytest.raises(UsageError, match="keeps none where they are looked for"):
        pocketfft.loop.__wrapped__("fft", 4, False)
