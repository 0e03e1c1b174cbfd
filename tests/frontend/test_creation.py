"""Arrays made of what people have: casts, edges of dtypes, copies, and what is refused."""

from __future__ import annotations

import array as arrays
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits

import weft as wf

ODD = [np.nan, np.inf, -np.inf, 1e20, -1e20, 255.9, 256.0, -0.5, -5.5, 2.0**31, -(2.0**31) - 1]
DTYPES = [wf.bool, wf.uint8, wf.uint32, wf.uint64, wf.int32, wf.int64, wf.float32, wf.float64]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("source", ["f4", "f8", "i4", "i8", "u8", "?"])
def test_casts_are_the_same_every_way(dtype: Any, source: str) -> None:
    with np.errstate(invalid="ignore"):
        x = np.array(ODD).astype(source)
    strided = np.repeat(x, 2)[::2]
    first = np.asarray(wf.jit(lambda x: wf.astype(x, dtype))(x))
    for found in (
        wf.asarray(x, dtype=dtype), wf.asarray(strided, dtype=dtype), wf.asarray(x).astype(dtype),
        wf.asarray(wf.asarray(x), dtype=dtype), wf.jit(lambda x: wf.asarray(x, dtype=dtype))(x),
        wf.stack([wf.asarray(e, dtype=dtype) for e in x]),
    ):  # fmt: skip
        assert_same_bits(np.asarray(found), first)
    if source[0] == "f":
        fills = [wf.full((), float(e), dtype=dtype) for e in x]
        staged = wf.jit(lambda: [wf.full((), float(e), dtype=dtype) for e in x])()
        listed = wf.asarray([float(e) for e in x], dtype=dtype)
        assert_same_bits(np.asarray(wf.stack(fills)), first)
        assert_same_bits(np.asarray(wf.stack(staged)), first)
        assert_same_bits(np.asarray(listed), first)


@pytest.mark.filterwarnings("error")
def test_casts_do_not_warn() -> None:
    assert wf.asarray([1e300, 2**70], dtype=wf.float32).tolist() == [np.inf, 2.0**70]
    assert (wf.ones(1) * 1e300).tolist() == wf.full(1, 1e300).tolist() == [np.inf]
    assert wf.asarray(np.array([np.nan, 1e20]), dtype=wf.int32).tolist() == [0, 2**31 - 1]


def test_arrays_of_no_axes_fill() -> None:
    for value in (np.asarray(0.1), wf.asarray(np.asarray(0.1))):
        for make in (lambda v: wf.full((2,), v), wf.jit(lambda v: wf.full((2,), v))):
            found = make(value)
            assert found.dtype == wf.float64 and found.tolist() == [0.1, 0.1]
        assert wf.full_like(wf.zeros(1), value).tolist() == [float(np.float32(0.1))]
    with pytest.raises(wf.errors.UsageError, match="fill_value is a number"):
        wf.full((2,), wf.zeros(2))


def test_floats_become_the_nearest_integers_inside_the_dtype() -> None:
    assert wf.asarray(ODD, dtype=wf.uint8).tolist() == [0, 255, 0, 255, 0, 255, 255, 0, 0, 255, 0]


@pytest.mark.parametrize(
    ("numbers", "dtype", "wanted"),
    [
        ([2**64 - 1, 5], wf.uint64, [2**64 - 1, 5]),
        ([[2**63, 2**53 + 1]], wf.uint64, [[2**63, 2**53 + 1]]),
        ([2**100, -3], wf.float32, [2.0**100, -3.0]),
        ([2**100 + 2**76 + 1], wf.float32, [2.0**100 + 2.0**77]),
        ([2**70, 0.5], None, [2.0**70, 0.5]),
        ([True, 300], None, [1, 300]),
        (2**64 - 1, wf.uint64, 2**64 - 1),
        (range(3), None, [0, 1, 2]),
        ([], None, []),
    ],
)
def test_numbers_in_lists(numbers: Any, dtype: Any, wanted: Any) -> None:
    assert wf.asarray(numbers, dtype=dtype).tolist() == wanted


@pytest.mark.parametrize(
    "make",
    [
        lambda: wf.asarray([1, 300], dtype=wf.uint8), lambda: wf.asarray(-1, dtype=wf.uint32),
        lambda: wf.asarray([2**63]), lambda: wf.full(2, 300, dtype=wf.uint8),
        lambda: wf.full(2, 2**63), lambda: wf.arange(250, 257, dtype=wf.uint8),
        lambda: wf.arange(-1, 2, dtype=wf.uint64), lambda: wf.arange(0.5, 300, dtype=wf.uint8),
    ],
)  # fmt: skip
def test_integers_that_do_not_fit_are_refused_with_the_line(make: Callable[[], Any]) -> None:
    for run in (make, lambda: wf.jit(make)()):
        with pytest.raises(OverflowError, match=r"test_creation\.py:\d+.*\n.*does not fit u?int"):
            run()


def test_arange_keeps_its_dtype_and_is_exact() -> None:
    cases: list[tuple[tuple[Any, ...], Any, list[Any]]] = [
        ((0.5, 3), wf.int32, [0, 1, 2]),
        ((250, 256), wf.uint8, list(range(250, 256))),
        ((5, 0, -1), wf.uint8, [5, 4, 3, 2, 1]),
        ((2**63, 2**63 + 3), wf.uint64, [2**63, 2**63 + 1, 2**63 + 2]),
        ((-(2**63), 2**63 - 1, 2**62), wf.int64, [-(2**63), -(2**62), 0, 2**62]),
        ((2**24 - 1, 2**24 + 3), wf.float32, [2**24 - 1, 2**24, 2**24, 2**24 + 2]),
        ((3, 3), wf.uint8, []),
        ((np.int64(3),), wf.int64, [0, 1, 2]),
    ]
    for bounds, dtype, wanted in cases:
        for found in (
            wf.arange(*bounds, dtype=dtype),
            wf.jit(lambda b=bounds, d=dtype: wf.arange(*b, dtype=d))(),
        ):
            assert found.dtype is dtype and found.tolist() == wanted
    tenths = np.asarray(wf.arange(0, 1, 0.1))
    assert_same_bits(tenths, (np.arange(10) * 0.1).astype("f4"))


@pytest.mark.parametrize("dtype", [wf.float32, wf.float64])
def test_linspace_over_the_whole_range(dtype: Any) -> None:
    top = wf.finfo(dtype).max
    for low, high in ((-top, top), (top, -top), (0.0, top), (top, top)):
        found = np.asarray(wf.linspace(low, high, 5, dtype=dtype), np.float64) / top
        wanted = np.linspace(low / top, high / top, 5)
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-15)
        assert found[0] == low / top and found[-1] == high / top
        staged = wf.jit(lambda low=low, high=high: wf.linspace(low, high, 5, dtype=dtype))()
        assert_same_bits(np.asarray(staged), np.asarray(wf.linspace(low, high, 5, dtype=dtype)))
    assert wf.linspace(1, 11, 11, dtype=dtype).tolist() == list(range(1, 12))
    assert wf.linspace(-3, 3, 4, dtype=wf.int32).tolist() == [-3, -1, 1, 3]


def test_nothing_aliases_memory_that_can_be_written() -> None:
    base = np.arange(4.0)
    view = base[:]
    view.flags.writeable = False
    again = np.arange(4.0)
    again.flags.writeable = False
    backed = np.frombuffer(bytearray(32))
    backed_view = np.frombuffer(memoryview(backed).toreadonly())
    plain = arrays.array("d", range(4))
    sources: list[Any] = [base, view, again, backed_view, plain]
    made = [wf.asarray(s) for s in sources] + [wf.from_dlpack(base), wf.reshape(view, (2, 2))]
    before = [m.tolist() for m in made]
    again.flags.writeable = True
    for owner in (base, again, backed, plain):
        owner[0] = 99.0
    assert [m.tolist() for m in made] == before


def test_memory_that_nobody_can_write_is_shared() -> None:
    immutable = np.frombuffer(bytes(32))
    x = wf.asarray(immutable)
    assert np.shares_memory(np.asarray(x), immutable)
    assert np.shares_memory(np.asarray(wf.asarray(np.asarray(x))), immutable)


@pytest.mark.parametrize(
    "make",
    [
        lambda: wf.asarray(np.ones(3, "f4"), dtype=wf.float64, copy=False),
        lambda: wf.asarray(wf.ones(3), dtype=wf.float64, copy=False),
        lambda: wf.asarray(np.ones((3, 3))[:, 1], copy=False),
        lambda: wf.asarray(np.ones(3, ">f4"), copy=False),
        lambda: wf.asarray([1.0], copy=False),
        lambda: wf.asarray(1.0, copy=False),
    ],
)
def test_a_copy_that_is_forbidden_and_needed(make: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match=r"test_creation\.py:\d+.*\n.*copy=False"):
        make()


MASKED = np.ma.array([1.0, 4.0, 1.0], mask=[0, 1, 0])


@pytest.mark.parametrize(
    "use",
    [
        wf.sum, wf.asarray, lambda m: wf.ones(3) + m, lambda m: wf.concat([m, m]),
        lambda m: wf.jit(lambda x: x)(m), lambda m: wf.jit(lambda d: d["a"][0])({"a": [m]}),
        lambda m: wf.jit(lambda: wf.sum(m))(), lambda m: wf.grad(wf.sum)(m),
        lambda m: wf.reshape(m, (3, 1)), lambda m: wf.jit(lambda: m)(),
        lambda m: wf.ones(3)[m],
    ],
)  # fmt: skip
def test_masked_arrays_and_matrices_are_refused(use: Callable[[Any], Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        matrix = np.matrix([1.0, 2.0, 3.0])
    for value, name in ((MASKED, "MaskedArray"), (matrix, "matrix")):
        with pytest.raises(TypeError, match=rf"test_creation\.py:\d+.*\n.*is a {name}"):
            use(value)


def test_what_no_memory_holds_is_refused_with_the_line() -> None:
    for make in (
        lambda: wf.ones(2**63),
        lambda: wf.full((2**40, 2**40), 1),
        lambda: wf.arange(2**62),
    ):
        for run in (make, lambda make=make: wf.jit(make)()):
            with pytest.raises(MemoryError, match=r"test_creation\.py:\d+.*\n.*bytes"):
                run()


def test_numpy_scalars_are_python_numbers_but_to_asarray() -> None:
    assert wf.asarray(np.int32(3)).dtype is wf.int32
    for value, wanted in ((np.float64(1.5), wf.float32), (np.int8(3), wf.int64)):
        for make in (lambda v: wf.full(2, v), lambda v: wf.reshape(v, (1,)), wf.positive):
            found = make(value), wf.jit(lambda: make(value))(), wf.jit(make)(value)  # noqa: B023
            assert [x.dtype for x in found] == [wanted] * 3
    assert wf.result_type(np.float64(1), wf.float32) is wf.float32
    assert wf.zeros_like(2.0).dtype is wf.jit(wf.zeros_like)(2.0).dtype is wf.float32


def test_memory_maps_are_arrays(tmp_path: Any) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.arange(3.0))
    x = np.load(path, mmap_mode="r")
    assert wf.sum(x) == 3 and wf.asarray(x).tolist() == [0, 1, 2]
    assert wf.jit(lambda x: x * 2)(x).tolist() == [0, 2, 4]
