"""The canonical reduction's shape and the identities of its operations."""

from __future__ import annotations

import math

import numpy as np

from weftc.loop.ir import Const, LoopType, Scalar
from weftrt import dtypes
from weftrt.dtypes import DType

BLOCK = 4096
LANES = 64

REDUCING = (Scalar.ADD, Scalar.MUL, Scalar.MINIMUM, Scalar.MAXIMUM, Scalar.AND, Scalar.OR)


def identity_value(op: Scalar, dtype: DType) -> bool | int | float:
    """What a lane of a reduction by `op` starts at.

    Combining it with a lane's value gives that value to the bit, so that lanes that no element
    falls into may be left out: a sum of lanes that start at +0 is never -0, x * 1 is x, and
    the infinities and extreme integers lose to every value (a NaN wins over both).
    """
    if op is Scalar.AND:
        return True if dtype is dtypes.bool_ else (-1 if dtype.is_signed else (1 << dtype.bits) - 1)
    if op is Scalar.OR:
        return False if dtype is dtypes.bool_ else 0
    if op in (Scalar.ADD, Scalar.MUL):
        one = int(op is Scalar.MUL)
        return float(one) if dtype.is_float else one
    if dtype.is_float:
        return math.inf if op is Scalar.MINIMUM else -math.inf
    if dtype is dtypes.bool_:
        return op is Scalar.MINIMUM
    limits = np.iinfo(dtype.name)
    return int(limits.max if op is Scalar.MINIMUM else limits.min)


def identity(op: Scalar, dtype: DType, lanes: int = 1) -> Const:
    """`identity_value` as an expression."""
    return Const(identity_value(op, dtype), LoopType(dtype, lanes))


def power_of_two(extent: int) -> int:
    """The smallest power of two >= extent, at least 1."""
    return 1 << max(extent - 1, 0).bit_length()
