"""Rows of a table by their number, and numbers that drop out."""

from __future__ import annotations

from typing import Any

from weft import diagnostics
from weft.nn.operands import fitting, number, real
from weft.ops.core import operation
from weft.ops.elementwise import like
from weft.promotion import as_strong
from weft.tracing import Tracer, apply, lift
from weftrt import dtypes
from weftrt.dtypes import Kind
from weftrt.errors import DTypeError, ShapeError, UsageError


@operation()
def embedding(table: Any, ids: Any, /) -> Tracer:
    """table[ids]: for each integer of `ids`, of any shape, the row of `table` with that number, in
    the shape ids.shape + table.shape[1:]. The gradient of a row is the sum over the places that
    read it.

    One that is negative, or not below the number of rows, raises IndexError when the function runs:
    unlike an index, it never counts from the end. DTypeError for ids that are no integers.
    """
    rows, chosen = as_strong(lift(table)), lift(ids)
    if not chosen.dtype.is_integer:
        problem = f"{{1}} must be integers, not {chosen.dtype}"
        diagnostics.fail(DTypeError, "embedding", [rows, chosen], problem)
    if not rows.ndim:
        diagnostics.fail(ShapeError, "embedding", [rows, chosen], "{0} has no rows")
    unsigned = apply("convert", as_strong(chosen), dtype=dtypes.uint64)  # none is negative
    return apply("take", rows, unsigned, axis=0)


@operation("rate")
def dropout(x: Any, /, rate: float, *, mask: Any = None) -> Tracer:
    """x / (1 - rate) where `mask` is True, else 0 (Srivastava et al., 2014): of elements that are
    kept with the probability 1 - rate, the expected value is that of x.

    `mask`: bools that broadcast to the shape of `x`, of which a share of `rate` is False. There are
    no random numbers in Weft yet: draw the mask outside, as numpy.random does, and pass it to what
    is jitted, new for each step. A rate of 0 needs none, and one of 1 keeps nothing.
    """
    value, share = real("dropout", x), number("dropout", "rate", rate, 0.0, 1.0)
    if mask is None:
        if share == 0:
            return apply("identity", value)
        problem = (
            "dropout: mask is needed: bools that are True for what is kept, as "
            "numpy.random.default_rng().random(x.shape) >= rate; Weft has no random numbers yet"
        )
        raise diagnostics.located(UsageError, problem)
    kept = lift(mask)
    if kept.dtype.kind is not Kind.BOOL:
        problem = f"the mask must be bools, True for what is kept, not {kept.dtype}"
        diagnostics.fail(DTypeError, "dropout", [value], problem)
    fits = fitting("dropout", "the mask", kept, value)
    scaled = value if share == 1 else apply("div", value, like(1.0 - share, value))
    return apply("where", fits, scaled if share < 1 else like(0.0, value), like(0.0, value))
