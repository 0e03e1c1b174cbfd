"""Wrong rewrites, each with a small program that shows it and the stage that must be named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.compiler.schedule.kernels import Inputs
from tests.compiler.schedule.networks import columns, full, matmul, op, rows, softmax

from weftc.ir.node import Node
from weftc.ir.types import Dim
from weftc.ops import build
from weftrt import dtypes

N, M = Dim.symbol("n"), Dim.symbol("m")
Build = Callable[[Inputs], Any]
"""The outputs of a program, a node or a tuple of nodes."""


@dataclass(frozen=True)
class Fault:
    """In the function `place`, `right` becomes `wrong`."""

    name: str
    place: str
    right: str
    wrong: str
    program: Build


# -- programs -------------------------------------------------------------------------------------


def _exp_sum(x: Inputs) -> Node:
    a = x(20, 100)
    return op("sum", op("exp", a), axes=(1,))


def _transposed_twice(x: Inputs) -> Node:
    turned = op("transpose", x(3, 4, 5), permutation=(1, 2, 0))
    return op("transpose", turned, permutation=(1, 0, 2))


def _broadcast_twice(x: Inputs) -> Node:
    return build.expand(build.expand(x(4), (3, 4), (1,)), (3, 5, 4), (0, 2))


def _two_slices(x: Inputs) -> tuple[Node, ...]:
    a = x(9)
    first = op("slice", a, start=(0,), stop=(4,), step=(1,))
    return first, op("slice", a, start=(3,), stop=(7,), step=(1,))


def _converted(x: Inputs) -> Node:
    return build.convert(build.convert(x(40, dtype=dtypes.int64), dtypes.int32), dtypes.int64)


def _known_condition(x: Inputs) -> Node:
    true = build.expand(build.constant(True, dtypes.bool_), (9,), ())
    return op("where", true, x(9), x(9))


def _folded(x: Inputs) -> Node:
    two, three = build.constant(2.0, dtypes.float32), build.constant(3.0, dtypes.float32)
    return op("mul", x(9), build.expand(op("sub", two, three), (9,), ()))


def _chain(x: Inputs) -> Node:
    return matmul(op("exp", matmul(x(6, 5), x(5, 7))), x(7, 4))


def _long_chain(x: Inputs) -> Node:
    a, w = x(20, 16), x(16, 16)
    for _ in range(4):
        a = op("tanh", matmul(a, w))
    return a


def _two_frames(x: Inputs) -> tuple[Node, ...]:
    a = x(8, 4, 6)
    shifted = op("sub", a, columns(op("max", a, axes=(2,)), a))
    return shifted, op("sum", shifted, axes=(1, 2))


def _row_value_elsewhere(x: Inputs) -> tuple[Node, ...]:
    a = x(8, 40)
    total = op("sum", a, axes=(1,))
    return op("exp", a), op("add", build.expand(total, (8, 3), (0,)), x(8, 3))


def _flat_reshape(x: Inputs) -> Node:
    a = op("reshape", x(4, 6), shape=(3, 8))
    return op("add", a, op("transpose", x(8, 3), permutation=(1, 0)))


def _reshaped_transpose(x: Inputs) -> Node:
    turned = op("transpose", x(4, 5, 4), permutation=(0, 2, 1))
    return op("exp", op("reshape", turned, shape=(80,)))


def _padded_concat(x: Inputs) -> Node:
    zero = build.constant(0.5, dtypes.float32)
    joined = op("concat", x(5, 4), x(3, 4), axis=0)
    return op("pad", joined, zero, low=(1, 2), high=(2, 0), interior=(0, 1))


def _flipped(x: Inputs) -> Node:
    return op("flip", x(5, 7), axes=(1,))


def _permuted(x: Inputs) -> Node:
    return op("neg", op("transpose", x(3, 4, 5), permutation=(1, 2, 0)))


def _strides(x: Inputs) -> Node:
    return op("slice", x(20, 6), start=(1, 0), stop=(20, 6), step=(3, 1))


def _inside_and_outside(x: Inputs) -> Node:
    a = x(6)
    joined = op("concat", op("reshape", a, shape=(1, 6)), x(2, 6), axis=0)
    return op("add", joined, rows(a, 3))


def _stacked(x: Inputs) -> Node:
    a = x(3)
    parts = [op("slice", a, start=(k,), stop=(k + 1,), step=(1,)) for k in range(3)]
    single = [op("reshape", part, shape=()) for part in parts]
    scaled = [op("mul", s, build.constant(k + 2.0, dtypes.float32)) for k, s in enumerate(single)]
    return op("neg", op("concat", *(op("reshape", s, shape=(1,)) for s in scaled), axis=0))


def _gather(x: Inputs) -> Node:
    return op("take", op("exp", x(7, 3)), x(9, dtype=dtypes.int64), axis=0)


def _reversed_axes(x: Inputs) -> Node:
    return op("neg", op("transpose", x(3, 4, 5), permutation=(2, 1, 0)))


def _rows_and_columns(x: Inputs) -> Node:
    return op("add", x(4, 4, 6), build.expand(x(6), (4, 4, 6), (2,)))


def _counted(x: Inputs) -> Node:
    return op("add", x(4, 5), op("iota", shape=(4, 5), axis=1, dtype=dtypes.float32))


def _column_sum(x: Inputs) -> Node:
    return op("sum", x(N, 40), axes=(0,))


def _broadcast_sum(x: Inputs) -> tuple[Node, ...]:
    total = op("sum", x(9, 4), axes=(0,))
    return total, op("reshape", build.expand(total, (3, 4), (1,)), shape=(3, 1, 4))


def _softmax(x: Inputs) -> Node:
    return softmax(x(5, 70))


def _normal(x: Inputs) -> Node:
    return softmax(x(N, M))


def _scattered(x: Inputs) -> Node:
    return op("scatter_add", x(7, 20), x(9, dtype=dtypes.int64), x(9, 20), axis=0)


def _linear(x: Inputs) -> Node:
    return op("neg", matmul(x(7, 9), x(9, 21)))


def _symbolic_linear(x: Inputs) -> Node:
    return op("exp", matmul(x(N, 9), x(9, 21)))


def _packed(x: Inputs) -> Node:
    return matmul(x(7, 9), op("transpose", x(21, 9), permutation=(1, 0)))


def _segments(x: Inputs) -> Node:
    return matmul(x(1, 1028), x(1028, 2))


def _extremes(x: Inputs) -> tuple[Node, ...]:
    negative = op("neg", op("exp", x(3, 70)))
    return op("max", negative, axes=(1,)), op("min", negative, axes=(1,))


def _tail(x: Inputs) -> Node:
    return op("mul", x(N), x(N))


def _chosen(x: Inputs) -> Node:
    a = x(N)
    return op("where", op("lt", a, full(0.0, (N,))), op("exp", a), op("neg", a))


def _differences(x: Inputs) -> tuple[Node, ...]:
    a, b = x(37), x(37)
    return op("sub", a, b), op("add", a, b), op("sub", b, a)


def _zeros(x: Inputs) -> tuple[Node, ...]:
    a = x(37)
    return op("add", a, full(0.0, (37,))), op("mul", a, full(-0.0, (37,)))


def _masks(x: Inputs) -> Node:
    a, b = x(37), x(37)
    return op("bitwise_and", op("lt", a, b), op("bitwise_not", op("ge", a, op("neg", b))))


def _kept_masks(x: Inputs) -> Node:
    return op("where", x(37, dtype=dtypes.bool_), x(37), x(37))


def _two_outputs(x: Inputs) -> tuple[Node, ...]:
    a = x(9)
    return op("exp", a), op("neg", a)


def _sizes(x: Inputs) -> Node:
    count = build.convert(op("size", size=N * 3 + M), dtypes.float32)
    return op("mul", op("reshape", x(N, M), shape=(N * M,)), build.expand(count, (N * M,), ()))


# -- faults ---------------------------------------------------------------------------------------

_SIMPLIFY = "weftc.passes.simplify"
_GROUPS = "weftc.fusion.groups"
_CLUSTERS = "weftc.fusion.clusters"
_INDICES = "weftc.schedule.indices:Indices"
_PULL = "weftc.schedule.pull:Puller"
_MOVEMENT = "weftc.ops.movement"
_PIECES = "weftc.ops.pieces"
_CPU = "weftc.schedule.cpu"
_WIDEN = "weftc.loop.widen"
_REDUCE = "weftc.loop.widen_reduce"
_LOOPS = "weftc.loop.simplify:_Simplifier"
_LLVM = "weftc.codegen.llvm"
_CUDA = "weftc.schedule.cuda"
_CUDA_TEXT = "weftc.codegen.cuda.emit"
_MEMORY = "weftc.fusion.memory"
_ASSEMBLE = "weftc.assemble"

FAULTS: dict[str, tuple[Fault, ...]] = {
    "pass simplify": (
        Fault(
            "x + 0 is taken for x",
            f"{_SIMPLIFY}:drop_neutral_addend",
            "-0.0 if",
            "0.0 if",
            lambda x: op("add", x(40), full(0.0, (40,))),
        ),
        Fault(
            "swapped operands: 0 - x is taken for x",
            f"{_SIMPLIFY}:drop_neutral_subtrahend",
            "x, other = node.inputs",
            "other, x = node.inputs",
            lambda x: op("sub", full(0.0, (9,)), x(9)),
        ),
        Fault(
            "wrong sign of x * -1",
            f"{_SIMPLIFY}:multiply_by_minus_one",
            "pointwise.neg",
            "pointwise.abs",
            lambda x: op("mul", x(9), full(-1.0, (9,))),
        ),
        Fault(
            "x / 4 becomes x * 4",
            f"{_SIMPLIFY}:divide_by_power_of_two",
            "1 / value",
            "value",
            lambda x: op("div", x(9), full(4.0, (9,))),
        ),
        Fault(
            "the other branch of where",
            f"{_SIMPLIFY}:known_condition",
            "x if value else y",
            "y if value else x",
            _known_condition,
        ),
        Fault(
            "two transposes in the wrong order",
            f"{_SIMPLIFY}:merge_transposes",
            'x["permutation"][p] for p in permutation',
            'permutation[p] for p in x["permutation"]',
            _transposed_twice,
        ),
        Fault(
            "wrong axis of two broadcasts",
            f"{_SIMPLIFY}:merge_broadcasts",
            'node["axes"][a] for a',
            "a for a",
            lambda x: build.expand(build.expand(x(4), (4, 4), (1,)), (4, 4, 4), (0, 2)),
        ),
        Fault(
            "flips of different axes cancel",
            f"{_SIMPLIFY}:undo_flip",
            'and x["axes"] == node["axes"]',
            "",
            lambda x: op("flip", op("flip", x(3, 4), axes=(0,)), axes=(1,)),
        ),
        Fault(
            "a dropped cast",
            f"{_SIMPLIFY}:drop_cast_to_same",
            "x.type.dtype is node.type.dtype",
            "x.type.dtype.kind is node.type.dtype.kind",
            _converted,
        ),
    ),
    "pass fold_constants": (
        Fault(
            "operands of a folded difference in reverse",
            "weftc.passes.fold:_fold",
            "node.op.reference(arrays,",
            "node.op.reference(arrays[::-1],",
            _folded,
        ),
    ),
    "pass eliminate_common_subexpressions": (
        Fault(
            "nodes that differ in attributes are one",
            "weftc.passes.cse:eliminate_common_subexpressions",
            "attrs_text(node))",
            '"" if node.op.name == "slice" else attrs_text(node))',
            _two_slices,
        ),
    ),
    "fusion": (
        Fault(
            "kernels in reverse order",
            f"{_CLUSTERS}:fuse",
            "in _sorted(drafts, place))",
            "in _sorted(drafts, place)[::-1])",
            _chain,
        ),
        Fault(
            "a kernel is lost",
            f"{_CLUSTERS}:_drafts",
            "if outputs:",
            "if outputs and group.number:",
            _chain,
        ),
        Fault(
            "a node that is needed is left out of its kernel",
            f"{_CLUSTERS}:_cone",
            "nodes.add(operand)",
            "pass",
            _exp_sum,
        ),
        Fault(
            "a reduction over other rows joins",
            f"{_GROUPS}:Groups._home_of_row",
            "(group.rows, group.columns) == (rows, columns)",
            "True",
            _two_frames,
        ),
        Fault(
            "a reduction over a middle axis is taken for one over rows",
            f"{_GROUPS}:row_frame",
            "or squeezed(shape[axes[-1] + 1 :])",
            "",
            lambda x: op("sum", x(9, 4, 5), axes=(1,)),
        ),
        Fault(
            "what has another shape joins the rows",
            f"{_GROUPS}:_visits",
            "in (group.rows, group.rows + group.columns)",
            "is not None",
            _row_value_elsewhere,
        ),
        Fault(
            "a reshape seen through a broadcast joins a reduction",
            f"{_GROUPS}:_visits",
            "return view.is_flat",
            "return True",
            _broadcast_sum,
        ),
    ),
    "schedule": (
        Fault(
            "an axis too many in a divisor",
            f"{_INDICES}._split",
            "shape[axis + 1 :]",
            "shape[axis:]",
            _reshaped_transpose,
        ),
        Fault(
            "the remainder by the wrong size",
            f"{_INDICES}._part",
            "self.size(part.extent))",
            "self.size(part.divisor))",
            _reshaped_transpose,
        ),
        Fault(
            "wrong stride of an outer axis",
            f"{_INDICES}.linearize",
            "stride = stride * extent",
            "stride = extent",
            _reversed_axes,
        ),
        Fault(
            "parts that do not touch are merged",
            f"{_INDICES}._merge",
            "a.divisor != b.divisor * b.extent or ",
            "",
            _reshaped_transpose,
        ),
        Fault(
            "a stale memo of index splits",
            f"{_INDICES}.linearize",
            "tuple(shape), self.guard), self._valid(index, shape))",
            "tuple(shape), None), tuple(map(self.intern, index)))",
            _stacked,
        ),
        Fault(
            "two sizes share one parameter",
            f"{_INDICES}.size",
            "return self._sizes[size]",
            "return next(iter(self._sizes.values()))",
            _normal,
        ),
        Fault(
            "flip is off by one",
            f"{_MOVEMENT}:_pull_flip",
            "[axis] - 1)",
            "[axis])",
            _flipped,
        ),
        Fault(
            "wrong axis of a transpose",
            f"{_MOVEMENT}:_pull_transpose",
            '_inverse(node["permutation"])',
            'node["permutation"]',
            _permuted,
        ),
        Fault(
            "off-by-one slice",
            f"{_PIECES}:_pull_slice",
            "puller.size(start))",
            "puller.size(start + 1))",
            _strides,
        ),
        Fault(
            "a lost guard of concat",
            f"{_PIECES}:_pull_concat",
            "Scalar.LT, place",
            "Scalar.LE, place",
            _padded_concat,
        ),
        Fault(
            "a lost guard of pad",
            f"{_PIECES}:_pull_pad",
            "if high != 0:",
            "if False:",
            _padded_concat,
        ),
        Fault(
            "the inner guard alone masks a read",
            f"{_PULL}.guarded",
            "condition if outer is None else apply(Scalar.AND, outer, condition)",
            "condition",
            _padded_concat,
        ),
        Fault(
            "a masked value is used where no mask holds",
            f"{_PULL}._find",
            "if found is None and self._mask is not None:\n"
            "        found = self._values.get((node, index, None))",
            "for key in self._values if found is None else ():\n"
            "        found = self._values[key] if key[:2] == (node, index) else found",
            _inside_and_outside,
        ),
        Fault(
            "negative indices do not count from the end",
            "weftc.ops.indexing:resolve",
            "apply(Scalar.ADD, place, size)",
            "place",
            _gather,
        ),
        Fault(
            "no rest of the last block",
            f"{_CPU}.loops:block_loop",
            "if not isinstance(extent, int) or extent % length:",
            "if False:",
            _tail,
        ),
        Fault(
            "a store missing: the last block",
            f"{_CPU}.loops:ceil_div",
            "add(a, const(b - 1))",
            "a",
            _tail,
        ),
        Fault(
            "groups of axes in reverse",
            f"{_CPU}.loops:spread",
            "zip(axes, flats, strict=True)",
            "zip(axes, flats[::-1], strict=True)",
            _rows_and_columns,
        ),
        Fault(
            "the sums of all columns are stored in one",
            f"{_CPU}.reduction:_Schedule.across_columns",
            "self._finish(row, result, column)",
            "self._finish(row, result)",
            _column_sum,
        ),
        Fault(
            "a row's outputs are not written",
            f"{_CPU}.rowwise:_Schedule._row",
            "for node in rows.row_outputs:",
            "for node in rows.row_outputs[1:]:",
            _exp_sum,
        ),
        Fault(
            "kept values of a row all in one place",
            f"{_CPU}.rowwise:_Schedule._place",
            "return column",
            "return ZERO",
            _softmax,
        ),
        Fault(
            "a scatter starts from nothing",
            f"{_CPU}.scatter:_Schedule.lower",
            "self._copy(outer, strip, columns)",
            "pass",
            _scattered,
        ),
        Fault(
            "updates of one element run together",
            f"{_CPU}.scatter:_Schedule._update",
            "with loops.serial(puller, [product(shape)]) as (k,):",
            "with loops.axis_loop(puller, product(shape), 4) as k:",
            _scattered,
        ),
        Fault(
            "a wrong stride in packing",
            f"{_CPU}.contraction_pack:Packer._put",
            "const(self._width)",
            "const(self._width - 1)",
            _packed,
        ),
        Fault(
            "a dropped epilogue",
            f"{_CPU}.contraction:_Schedule._epilogue",
            "puller.pull(output, index)",
            "total",
            _linear,
        ),
        Fault(
            "the segments before are forgotten",
            f"{_CPU}.contraction_micro:keep",
            "Op(Scalar.ADD, (before, value), value.type)",
            "value",
            _segments,
        ),
        Fault(
            "rows past the last are stored",
            f"{_CPU}.contraction:_Schedule._span",
            "minimum(const(width), subtract(extent, begin))",
            "const(width)",
            _symbolic_linear,
        ),
        Fault(
            "the rest of a chain is not accumulated",
            f"{_CPU}.contraction_micro:accumulate",
            "return _loop(b, rows, columns, wide, (middle, run.stop), 1, values)",
            "return values",
            _linear,
        ),
    ),
    "widening": (
        Fault(
            "one lane too many in a tail",
            f"{_WIDEN}:tail_mask",
            "ir.apply(Scalar.LT",
            "ir.apply(Scalar.LE",
            _tail,
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
            _tail,
        ),
        Fault(
            "elements past the end are reduced",
            f"{_REDUCE}:_row_loop",
            "ir.apply(Scalar.SELECT, inner.mask, new, old)",
            "new",
            _exp_sum,
        ),
        Fault(
            "wrong identity",
            f"{_REDUCE}:_identities",
            "identity(t.op,",
            "identity(Scalar.ADD,",
            _extremes,
        ),
        Fault(
            "wrong order of a reduction: neighbours first",
            f"{_REDUCE}:_column_tree",
            "zip(values[:half], values[half:])",
            "zip(values[::2], values[1::2])",
            _column_sum,
        ),
        Fault(
            "wrong sign of the growth per lane",
            "weftc.loop.lanes:_sub",
            "a.stride - b.stride",
            "a.stride + b.stride",
            _flipped,
        ),
    ),
    "simplify": (
        Fault(
            "differences and sums are one",
            f"{_LOOPS}._key",
            "(type(expr), expr.op)",
            "type(expr)",
            _differences,
        ),
        Fault(
            "0 and -0 are one",
            f"{_LOOPS}._constant",
            "repr(expr.value)",
            "expr.value",
            _zeros,
        ),
        Fault(
            "what a loop of one iteration carries is lost",
            f"{_LOOPS}._straight",
            "values = [self.value(carry.next) for carry in s.carried]",
            "pass",
            _exp_sum,
        ),
        Fault(
            "x + 0 is 0",
            "weftc.loop.fold:_neutral",
            "if value == 0 and expr.op in _ZERO_LEAVES:\n            return a",
            "if value == 0 and expr.op in _ZERO_LEAVES:\n            return b",
            _symbolic_linear,
        ),
        Fault(
            "a loop that runs once is taken for empty",
            "weftc.loop.fold:trips",
            "-((int(start.value) - int(stop.value)) // step)",
            "(int(stop.value) - int(start.value)) // step",
            _exp_sum,
        ),
    ),
    "emission": (
        Fault(
            "a dropped mask",
            f"{_LLVM}.emit:StatementWriter._store",
            "if scattered or statement.mask is not None:",
            "if scattered:",
            lambda x: op("neg", x(37)),
        ),
        Fault(
            "lanes are combined with themselves",
            f"{_LLVM}.expressions:ExpressionWriter._tree",
            "for start in (0, half)",
            "for start in (half, half)",
            _exp_sum,
        ),
        Fault(
            "swapped operands",
            f"{_LLVM}.expressions:ExpressionWriter._op",
            "return rule(self.out, expr, [memo[arg] for arg in children(expr, self.out)])",
            "return rule(self.out, expr, [memo[arg] for arg in children(expr, self.out)][::-1])",
            _differences,
        ),
        Fault(
            "a ramp that falls",
            f"{_LLVM}.expressions:ExpressionWriter._ramp",
            'f"add {text.of',
            'f"sub {text.of',
            _counted,
        ),
        Fault(
            "bools are read the wrong way round",
            f"{_LLVM}.expressions:ExpressionWriter._load",
            "icmp ne",
            "icmp eq",
            _kept_masks,
        ),
        Fault(
            "the other value of a select",
            f"{_LLVM}.scalar:_select",
            "{args[1]}, {type_} {args[2]}",
            "{args[2]}, {type_} {args[1]}",
            _chosen,
        ),
        Fault(
            "a loop runs once too often",
            f"{_LLVM}.emit:StatementWriter._counted",
            'out.branch(out.value(f"icmp slt {index} {values[0]}, {stop}"), body, after)',
            'out.branch(out.value(f"icmp sle {index} {values[0]}, {stop}"), body, after)',
            lambda x: op("neg", x(512)),
        ),
        Fault(
            "a loop takes steps of twice the length",
            f"{_LLVM}.emit:StatementWriter._counted",
            "{phis[0][0]}, {loop.step}",
            "{phis[0][0]}, {2 * loop.step}",
            lambda x: op("neg", x(512)),
        ),
    ),
    "binding": (
        Fault(
            "a missing barrier",
            f"{_CUDA}.reduction:shared",
            "[fill, Barrier(), tree,",
            "[fill, tree,",
            _softmax,
        ),
        Fault(
            "threads past the end",
            f"{_CUDA}.bind:_Binder._flat",
            "ir.apply(Scalar.MINIMUM, ir.add(first, const(width)), s.stop)",
            "ir.add(first, const(width))",
            lambda x: op("neg", x(101)),
        ),
        Fault(
            "a level of the tree is missing",
            f"{_CUDA}.reduction:_tree",
            "const(_HALVINGS)",
            "const(_HALVINGS - 1)",
            _exp_sum,
        ),
    ),
    "CUDA emission": (
        Fault(
            "each thread takes what its neighbour takes",
            f"{_CUDA_TEXT}:_loop_head",
            'else f"{_atom(start)} + {first}"',
            "else start",
            _tail,
        ),
        Fault(
            "swapped operands in C",
            f"{_CUDA_TEXT}:_Writer._node",
            "for arg in node.args])",
            "for arg in node.args][::-1])",
            _differences,
        ),
    ),
    "memory": (
        Fault(
            "a live buffer is overwritten",
            f"{_MEMORY}:_place_fixed",
            "life.first <= other.last",
            "life.first < other.last",
            _long_chain,
        ),
        Fault(
            "a value dies before it is read",
            f"{_MEMORY}:_lifetimes",
            "last.get(node, index)",
            "index",
            _long_chain,
        ),
        Fault(
            "symbolic values all in one place",
            f"{_MEMORY}:_place_symbolic",
            "start + life.size * max(widest // life.itemsize, 1)",
            "start",
            lambda x: op("exp", matmul(matmul(x(N, 5), x(5, 6)), x(6, 7))),
        ),
    ),
    "assembly": (
        Fault(
            "buffers of a step in reverse",
            f"{_ASSEMBLE}:_Steps.add",
            "for node in low.buffers]",
            "for node in low.buffers[::-1]]",
            lambda x: op("exp", x(9)),
        ),
        Fault(
            "one output for all",
            f"{_ASSEMBLE}:assemble",
            "outputs.index(o)",
            "0",
            _two_outputs,
        ),
        Fault(
            "a factor of a size is dropped",
            f"{_ASSEMBLE}:_Sizes._polynomial",
            "(c, tuple",
            "(1, tuple",
            _sizes,
        ),
    ),
}
