"""LAPACK's functions: where they are found, and the native caller against the one in NumPy."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits

from weftrt import lapack
from weftrt.cpu import externs
from weftrt.errors import UsageError

SIGNATURE = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
Array = np.ndarray[Any, Any]


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _call(name: str, buffers: list[Array], *sizes: int) -> int:
    routine = externs.routine(lapack.routine_name(name, buffers[0].itemsize))
    addresses = (ctypes.c_void_p * len(buffers))(*(b.ctypes.data for b in buffers))
    numbers = (ctypes.c_int64 * len(sizes))(*sizes)
    function = SIGNATURE(routine.address)
    return int(function(ctypes.addressof(addresses), ctypes.addressof(numbers), routine.context))


def _definite(count: int, n: int, dtype: Any) -> Array:
    a = np.random.default_rng(n).standard_normal((count, n, n))
    return np.asarray(a @ a.transpose(0, 2, 1) + n * np.eye(n), dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [0, 1, 5, 16, 33])
def test_native_caller_has_the_bits_of_the_one_in_numpy(n: int, dtype: Any) -> None:
    a, b = _definite(3, n, dtype), np.ones((3, n, 2), dtype)
    whole, right = np.full_like(a, 7), np.full_like(b, 7)
    pivots, permutation = np.full((3, n), 7, np.int64), np.full((3, n), 7, np.int64)
    triangle = lapack.triangular_name(True, False, False)
    half = int(np.asarray(0.5, dtype).view(f"u{a.itemsize}"))
    for name, buffers, sizes in (
        ("potrf", [a, whole], (3, n)),
        ("gesv", [a, b, right], (3, n, 2)),
        (triangle, [a, b, right], (3, n, 2)),
        ("trmm_sygst", [a, a[::-1].copy(), whole], (3, n, half, 1)),
        ("getrf", [a, whole, pivots, permutation], (3, n, n, n)),
        ("syevd", [a, right[..., 0].copy(), whole], (3, n, 1, 2 * n * n + 6 * n + 1, 5 * n + 3)),
    ):
        wanted = [buffer.copy() for buffer in buffers]
        lapack.run(name, wanted, sizes)
        assert _call(name, buffers, *sizes) == -1
        for found, known in zip(buffers, wanted, strict=True):
            assert_same_bits(found, known)


def test_the_gradient_of_cholesky_looks_at_lower_triangles() -> None:
    """Of more rows than LAPACK takes at once, and no whole number of tiles."""
    random, n = np.random.default_rng(0), 203
    lower = np.tril(random.standard_normal((n, n))) / n + np.eye(n)
    g = np.tril(random.standard_normal((n, n)))
    product = np.tril(lower.T @ g)
    inverse = np.linalg.inv(lower)
    known = inverse.T @ (product + np.tril(product, -1).T) @ inverse / 2
    upper = np.triu(np.full((n, n), np.nan), 1)
    found = np.empty((1, n, n))
    half = int(np.float64(0.5).view(np.int64))
    lapack.run("trmm_sygst", [(lower + upper)[None], (g + upper)[None], found], (1, n, half, 1))
    np.testing.assert_allclose(found[0], known, rtol=0, atol=1e-12 * np.abs(known).max())
    assert_same_bits(found[0], np.ascontiguousarray(found[0].T))


def test_first_matrix_that_fails_is_named() -> None:
    a = np.stack([np.eye(2), -np.eye(2), -np.eye(2)])
    assert _call("potrf", [a, np.zeros_like(a)], 3, 2) == 1
    with pytest.raises(lapack.Failed) as failed:
        lapack.run("potrf", [a, np.zeros_like(a)], (3, 2))
    assert failed.value.matrix == 1


def test_memory_that_cannot_be_had_is_said() -> None:
    a = np.eye(2)
    assert _call("potrf", [a, a], 1, 1 << 26) == externs.NO_MEMORY


def test_scipys_is_taken_where_numpy_hides_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("scipy")
    monkeypatch.setattr(lapack, "NAMES", ())
    monkeypatch.setattr(lapack, "pointer", lapack.pointer.__wrapped__)
    assert lapack.pointer("potrf", 8).width == 4
    assert lapack.pointer("trmm", 8).width == 4  # in SciPy's BLAS
    a, found = _definite(2, 9, np.float64), np.zeros((2, 9, 9))
    lapack.run("potrf", [a, found], (2, 9))
    np.testing.assert_allclose(found, np.linalg.cholesky(a), rtol=1e-12)


def test_programs_of_other_things_do_not_load_it() -> None:
    code = "import sys, numpy as np, weft; weft.sin(np.ones(3)); "
    code += "sys.exit('weftrt.lapack' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=_environment()).returncode == 0


def test_what_to_install_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lapack, "_from_numpy", lambda full: None)
    monkeypatch.setattr(lapack, "_from_scipy", lambda full: None)
    with pytest.raises(UsageError, match="pip install scipy"):
        lapack.pointer.__wrapped__("potrf", 8)
