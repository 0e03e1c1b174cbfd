"""The Array's methods and protocols."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import weft as wf

SOURCE = np.array([[1.5, -2.0, 3.0], [0.0, 5.0, -6.5]], "f4")


@pytest.fixture
def x() -> Any:
    return wf.asarray(SOURCE)


def test_attributes(x: Any) -> None:
    assert (x.shape, x.dtype, x.ndim, x.size) == ((2, 3), wf.float32, 2, 6)
    assert x.T.shape == (3, 2) and x.mT.shape == (3, 2)
    assert x.__array_namespace__() is wf and x.device == "cpu"


def test_dtypes_equal_those_of_numpy(x: Any) -> None:
    """So that a function which looks at dtypes does the same for both kinds of arrays."""
    for one in (x.dtype, wf.jit(lambda x: wf.zeros(1, dtype=x.dtype))(SOURCE).dtype):
        for same in (wf.float32, np.float32, np.dtype("f4"), "float32"):
            assert one == same and same == one
        for other in (wf.float64, np.float64, np.dtype("f8"), "float64", np.floating, float, None):
            assert one != other and other != one
    branch = lambda x: x * 2 if x.dtype == np.float32 else x  # noqa: E731
    assert branch(SOURCE)[0, 0] == wf.jit(branch)(SOURCE)[0, 0] == 3.0


def test_operators(x: Any) -> None:
    y = SOURCE + 7
    for result, expected in (
        (x + y, SOURCE + y), (y - x, y - SOURCE), (2 * x, 2 * SOURCE), (x / 2, SOURCE / 2),
        (x // 2, SOURCE // 2), (x % 2, SOURCE % 2), (7 % (x + 7), 7 % y), (-x, -SOURCE),
        (abs(x), abs(SOURCE)), (x < 1, SOURCE < 1), (x > 1, SOURCE > 1), (x == y, y == SOURCE),
        (x != 3, SOURCE != 3), (x**2, SOURCE**2), (2**x, 2**SOURCE), (~(x > 0), ~(SOURCE > 0)),
        ((x > 0) & (x < 2), (SOURCE > 0) & (SOURCE < 2)), ((x > 0) ^ True, (SOURCE > 0) ^ True),
    ):  # fmt: skip
        np.testing.assert_allclose(np.asarray(result), expected, rtol=1e-6)
    integers = wf.asarray([1, 2, 3])
    assert (integers << 2).tolist() == [4, 8, 12] and (8 >> integers).tolist() == [4, 2, 1]
    assert (x == None) is False and (x != "text") is True  # noqa: E711


def test_scalars(x: Any) -> None:
    assert float(x[0, 0]) == 1.5 and int(x[0, 2]) == 3 and bool(x[1, 1]) and x[1, 2].item() == -6.5
    assert [10, 20, 30][wf.asarray(2)] == 30
    assert f"{x[0, 0]:.2f}" == "1.50"
    with pytest.raises(TypeError, match=r"shape \(2, 3\)"):
        bool(x)
    with pytest.raises(TypeError, match="0-d integer array"):
        [1][x[0, 0]]


def test_iteration(x: Any) -> None:
    assert len(x) == 2 and [row.tolist() for row in x] == SOURCE.tolist()
    with pytest.raises(TypeError, match="no length"):
        len(x[0, 0])


def test_no_hash_and_immutable(x: Any) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(x)
    with pytest.raises(TypeError, match=r"immutable; wf\.where"):
        x[0] = 1
    with pytest.raises(ValueError):
        np.asarray(x)[0] = 1


def test_numpy_and_dlpack(x: Any) -> None:
    np.testing.assert_array_equal(np.asarray(x), SOURCE)
    assert np.asarray(x, dtype="f8").dtype == np.float64
    np.testing.assert_array_equal(np.exp(x), np.exp(SOURCE))
    imported = np.from_dlpack(x)
    np.testing.assert_array_equal(imported, SOURCE)
    assert not imported.flags.writeable
    del x
    np.testing.assert_array_equal(imported, SOURCE)
    back = wf.from_dlpack(SOURCE)
    assert isinstance(back, wf.Array)
    np.testing.assert_array_equal(np.asarray(back), SOURCE)


def test_pickle_keeps_bits() -> None:
    special = wf.asarray(np.array([np.nan, -0.0, np.inf, 1e-45], "f4"))
    again = pickle.loads(pickle.dumps(special))
    assert isinstance(again, wf.Array) and again.dtype is wf.float32
    assert np.asarray(again).tobytes() == np.asarray(special).tobytes()


def test_repr(x: Any) -> None:
    assert repr(wf.asarray([1, 2])) == "Array([1, 2], dtype=int64)"
    assert repr(x[:, :1]) == "Array([[1.5],\n       [0. ]], dtype=float32)"


def test_asarray_copies_unless_it_is_safe() -> None:
    source = SOURCE.copy()
    copied, shared = wf.asarray(source), wf.asarray(source, copy=False)
    source[0, 0] = 99
    assert copied[0, 0] == 1.5 and shared[0, 0] == 99
    with pytest.raises(wf.errors.DTypeError, match="float16"):
        wf.asarray(np.zeros(1, "f2"))


def test_asarray_dtypes() -> None:
    assert wf.asarray([1.0]).dtype is wf.float32 and wf.asarray([1]).dtype is wf.int64
    assert wf.asarray(True).dtype is wf.bool and wf.asarray(np.float64(1)).dtype is wf.float64
    assert wf.asarray([1, 2], dtype="float64").dtype is wf.float64
    assert wf.asarray([wf.asarray(1.5), wf.asarray(2.5)]).tolist() == [1.5, 2.5]
    assert wf.asarray(np.ones(2, ">i4")).dtype is wf.int32


def test_shape_methods(x: Any) -> None:
    assert x.reshape(3, 2).tolist() == SOURCE.reshape(3, 2).tolist()
    assert x.reshape(-1).shape == (6,) and wf.expand_dims(x, axis=1).shape == (2, 1, 3)
    assert wf.squeeze(x[:, :1]).shape == (2,)
    with pytest.raises(wf.errors.ShapeError, match="6 elements"):
        x.reshape(4)
    with pytest.raises(IndexError, match="out of bounds"):
        x[7]
