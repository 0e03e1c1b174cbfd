"""Constants hold exactly one Python type per dtype, and fit it."""

from __future__ import annotations

import numpy as np
import pytest

from weftc.ir.types import TensorType
from weftc.loop.ir import Const
from weftc.ops.source import constant, iota
from weftrt import dtypes
from weftrt.errors import DTypeError, ShapeError


@pytest.mark.parametrize(
    ("value", "dtype", "message"),
    [
        (1, dtypes.float32, "is a float, not 1"),
        (1.0, dtypes.int32, "is a int, not 1.0"),
        (True, dtypes.int32, "is a int, not True"),
        (1, dtypes.bool_, "is a bool, not 1"),
        (256, dtypes.uint8, "256 does not fit uint8"),
        (-1, dtypes.uint64, "-1 does not fit uint64"),
        (2**31, dtypes.int32, "does not fit int32"),
    ],
)
def test_constants_that_are_refused(value: object, dtype: dtypes.DType, message: str) -> None:
    with pytest.raises(DTypeError, match=message):
        constant(value=value, dtype=dtype)


@pytest.mark.parametrize(
    ("value", "dtype"),
    [(255, dtypes.uint8), (2**64 - 1, dtypes.uint64), (-(2**31), dtypes.int32)],
)
def test_constants_at_the_ends_of_the_range(value: int, dtype: dtypes.DType) -> None:
    assert constant(value=value, dtype=dtype).type == TensorType(dtype, ())


def test_constants_are_pulled_in_their_own_precision() -> None:
    assert constant.pull is not None
    node = constant(value=0.1, dtype=dtypes.float32)
    puller: object = None
    pulled = constant.pull(node, (), puller)  # type: ignore[arg-type]
    assert isinstance(pulled, Const)
    assert pulled.value == float(np.float32(0.1))


def test_counters_need_an_axis_and_a_number() -> None:
    with pytest.raises(ShapeError, match="no axis 1"):
        iota(shape=(3,), axis=1, dtype=dtypes.int64)
    with pytest.raises(DTypeError, match="integers or floats"):
        iota(shape=(3,), axis=0, dtype=dtypes.bool_)
