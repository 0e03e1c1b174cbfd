"""Wrong rewrites of loops: vectors, reductions, values computed once."""

from __future__ import annotations

from tests.compiler.schedule.networks import op
from tests.faults import programs
from tests.faults.fault import Fault

_WIDEN = "weftc.loop.widen"
_REDUCE = "weftc.loop.widen_reduce"
_STRIP = "weftc.loop.widen_strip"
_LOOPS = "weftc.loop.simplify:_Simplifier"

FAULTS: dict[str, tuple[Fault, ...]] = {
    "widening": (
        Fault(
            "one lane too many in a tail",
            f"{_WIDEN}:tail_mask",
            "ir.apply(Scalar.LT",
            "ir.apply(Scalar.LE",
            programs.tail,
        ),
        Fault(
            "the tail of a vector loop is missing",
            f"{_WIDEN}:Widener._constant_loop",
            "if extent > whole:",
            "if not whole:",
            lambda x: op("neg", x(101)),
        ),
        Fault(
            "a dropped mask of a store",
            f"{_WIDEN}:Widener._lane_store",
            "both(lanes.mask, None if s.mask is None else lanes.vector(s.mask))",
            "None if s.mask is None else lanes.vector(s.mask)",
            programs.tail,
        ),
        Fault(
            "elements past the end are reduced",
            f"{_REDUCE}:_row_loop",
            "ir.apply(Scalar.SELECT, inner.mask, new, old)",
            "new",
            programs.exp_sum,
        ),
        Fault(
            "wrong identity",
            f"{_REDUCE}:_identities",
            "identity(t.op,",
            "identity(Scalar.ADD,",
            programs.extremes,
        ),
        Fault(
            "wrong order of a reduction: neighbours first",
            f"{_REDUCE}:_column_tree",
            "zip(values[:half], values[half:])",
            "zip(values[::2], values[1::2])",
            programs.column_sum,
        ),
        Fault(
            "an accumulator of a strip takes neighbours",
            f"{_STRIP}:_Reduction._one_block",
            "const(k * LANES)",
            "const(k)",
            programs.any_columns,
        ),
        Fault(
            "the accumulators of a strip start anew in each round",
            f"{_STRIP}:_Reduction._take",
            "if fresh and rows.height > 1",
            "if rows.height > 1",
            programs.any_columns,
        ),
        Fault(
            "the last rows of a strip are missing",
            f"{_STRIP}:_Reduction._one_block",
            "if n is None or n % step:",
            "if n is None:",
            programs.any_columns,
        ),
        Fault(
            "wrong order of the rows of a strip: neighbours first",
            f"{_STRIP}:_Strip.tree",
            "zip(values[:half], values[half:], strict=True)",
            "zip(values[::2], values[1::2], strict=True)",
            programs.any_columns,
        ),
        Fault(
            "wrong sign of the growth per lane",
            "weftc.loop.lanes:_sub",
            "a.stride - b.stride",
            "a.stride + b.stride",
            programs.flipped,
        ),
    ),
    "simplify": (
        Fault(
            "differences and sums are one",
            f"{_LOOPS}._key",
            "(type(expr), expr.op)",
            "type(expr)",
            programs.differences,
        ),
        Fault(
            "0 and -0 are one",
            f"{_LOOPS}._constant",
            "repr(expr.value)",
            "expr.value",
            programs.zeros,
        ),
        Fault(
            "what a loop of one iteration carries is lost",
            f"{_LOOPS}._straight",
            "values = [self.value(carry.next) for carry in s.carried]",
            "pass",
            programs.exp_sum,
        ),
        Fault(
            "x + 0 is 0",
            "weftc.loop.fold:_neutral",
            "if value == 0 and expr.op in _ZERO_LEAVES:\n            return a",
            "if value == 0 and expr.op in _ZERO_LEAVES:\n            return b",
            programs.symbolic_linear,
        ),
        Fault(
            "a loop that runs once is taken for empty",
            "weftc.loop.fold:trips",
            "-((int(start.value) - int(stop.value)) // step)",
            "(int(stop.value) - int(start.value)) // step",
            programs.exp_sum,
        ),
    ),
}
