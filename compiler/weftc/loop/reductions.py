"""The canonical reduction: its shape, its value in NumPy, the identities of its operations."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np

from weftc.loop.ir import Const, Expr, LoopType, Scalar
from weftc.loop.scalar import evaluate
from weftrt import dtypes
from weftrt.dtypes import DType

Array: TypeAlias = "np.ndarray[Any, Any]"

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


def known_extent(extent: Expr) -> int | None:
    """The number of elements, where the text tells it."""
    return max(int(extent.value), 0) if isinstance(extent, Const) else None


def power_of_two(extent: int) -> int:
    """The smallest power of two >= extent, at least 1."""
    return 1 << max(extent - 1, 0).bit_length()


def reduce_canonically(op: Scalar, values: Array, dtype: DType) -> Array:
    """Axis 0 combined: blocks of 4096; in a block 64 lanes, then halving; the block results are
    combined by the same rule again.

    A last round or block is filled up with identities, which change no bit.
    """
    start = identity_value(op, dtype)
    if len(values) == 0:
        return np.full(values.shape[1:], start, dtype.dtype)
    while True:
        rounds = min(-(-len(values) // LANES), BLOCK // LANES)
        blocks = -(-len(values) // (rounds * LANES))
        padded = np.full((blocks * rounds * LANES, *values.shape[1:]), start, dtype.dtype)
        padded[: len(values)] = values
        elements = padded.reshape(blocks, rounds, LANES, *values.shape[1:])
        values = halve(op, _in_lanes(op, np.moveaxis(elements, 0, 2), dtype), dtype)
        if blocks == 1:
            return np.asarray(values[0])


def _in_lanes(op: Scalar, rounds: Array, dtype: DType) -> Array:
    """(rounds, lanes, ...) to (lanes, ...): each lane starts at the identity."""
    lanes: Array = np.full_like(rounds[0], identity_value(op, dtype))
    for elements in rounds:
        lanes = evaluate(op, [lanes, elements], dtype)
    return lanes


def halve(op: Scalar, lanes: Array, dtype: DType) -> Array:
    """Lane i of axis 0 with lane i + half, until one is left."""
    while len(lanes) > 1:
        half = len(lanes) // 2
        lanes = evaluate(op, [lanes[:half], lanes[half:]], dtype)
    return np.asarray(lanes[0])
