"""Wrong rewrites, each with a small program that shows it and the stage that must be named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.compiler.schedule.kernels import Inputs
from tests.compiler.schedule.networks import full, matmul, op
from tests.faults import control, programs
from tests.faults.programs import N

from weftc.ops import build

Build = Callable[[Inputs], Any]
"""The outputs of a program, a node or a tuple of nodes."""


@dataclass(frozen=True)
class Fault:
    """In the function `place`, `right` becomes `wrong`. The program may have the memory of the
    inputs number `donated`."""

    name: str
    place: str
    right: str
    wrong: str
    program: Build
    donated: tuple[int, ...] = ()


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
_ASSEMBLY = "weftc.assembly"

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
            programs.known_condition,
        ),
        Fault(
            "two transposes in the wrong order",
            f"{_SIMPLIFY}:merge_transposes",
            'x["permutation"][p] for p in permutation',
            'permutation[p] for p in x["permutation"]',
            programs.transposed_twice,
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
            programs.converted,
        ),
    ),
    "pass fold_constants": (
        Fault(
            "operands of a folded difference in reverse",
            "weftc.passes.fold:_fold",
            "node.op.reference(arrays,",
            "node.op.reference(arrays[::-1],",
            programs.folded,
        ),
    ),
    "pass eliminate_common_subexpressions": (
        Fault(
            "nodes that differ in attributes are one",
            "weftc.passes.cse:_merged",
            "writer.attrs(rebuilt))",
            '"" if node.op.name == "slice" else writer.attrs(rebuilt))',
            programs.two_slices,
        ),
    ),
    "pass trim_control": (
        Fault(
            "a known index chooses another branch",
            "weftc.passes.control:_branch",
            "max(known, 0), len(graphs) - 1)",
            "max(known, 0), len(graphs) - 2)",
            control.known_branch,
        ),
        Fault(
            "state that changes is an operand",
            "weftc.passes.control:_loop",
            "body.outputs[k] is inputs[k]",
            "body.outputs[k] is not inputs[k]",
            control.kept_beside,
        ),
    ),
    "fusion": (
        Fault(
            "a region runs before the kernels that it reads",
            f"{_CLUSTERS}:_drafts",
            "frozenset(node.inputs)",
            "frozenset()",
            control.after_a_loop,
        ),
        Fault(
            "kernels in reverse order",
            f"{_CLUSTERS}:fuse",
            "in _sorted(drafts, place))",
            "in _sorted(drafts, place)[::-1])",
            programs.chain,
        ),
        Fault(
            "a kernel is lost",
            f"{_CLUSTERS}:_drafts",
            "if outputs:",
            "if outputs and group.number:",
            programs.chain,
        ),
        Fault(
            "a node that is needed is left out of its kernel",
            f"{_CLUSTERS}:_cone",
            "nodes.add(operand)",
            "pass",
            programs.exp_sum,
        ),
        Fault(
            "a reduction over other rows joins",
            f"{_GROUPS}:Groups._home_of_row",
            "(group.rows, group.columns) == (rows, columns)",
            "True",
            programs.two_frames,
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
            programs.row_value_elsewhere,
        ),
        Fault(
            "a reshape seen through a broadcast joins a reduction",
            f"{_GROUPS}:_visits",
            "return view.is_flat",
            "return True",
            programs.broadcast_sum,
        ),
    ),
    "schedule": (
        Fault(
            "an axis too many in a divisor",
            f"{_INDICES}._split",
            "shape[axis + 1 :]",
            "shape[axis:]",
            programs.reshaped_transpose,
        ),
        Fault(
            "the remainder by the wrong size",
            f"{_INDICES}._part",
            "self.size(part.extent))",
            "self.size(part.divisor))",
            programs.reshaped_transpose,
        ),
        Fault(
            "wrong stride of an outer axis",
            f"{_INDICES}.linearize",
            "stride = stride * extent",
            "stride = extent",
            programs.reversed_axes,
        ),
        Fault(
            "parts that do not touch are merged",
            f"{_INDICES}._merge",
            "a.divisor != b.divisor * b.extent or ",
            "",
            programs.reshaped_transpose,
        ),
        Fault(
            "a stale memo of index splits",
            f"{_INDICES}.linearize",
            "tuple(shape), self.guard), self._valid(index, shape))",
            "tuple(shape), None), tuple(map(self.intern, index)))",
            programs.stacked,
        ),
        Fault(
            "two sizes share one parameter",
            f"{_INDICES}.size",
            "return self._sizes[size]",
            "return next(iter(self._sizes.values()))",
            programs.sizes,
        ),
        Fault(
            "flip is off by one",
            f"{_MOVEMENT}:_pull_flip",
            "[axis] - 1)",
            "[axis])",
            programs.flipped,
        ),
        Fault(
            "wrong axis of a transpose",
            f"{_MOVEMENT}:_pull_transpose",
            '_inverse(node["permutation"])',
            'node["permutation"]',
            programs.permuted,
        ),
        Fault(
            "off-by-one slice",
            f"{_PIECES}:_pull_slice",
            "puller.size(start))",
            "puller.size(start + 1))",
            programs.strides,
        ),
        Fault(
            "a lost guard of concat",
            f"{_PIECES}:_pull_concat",
            "Scalar.LT, place",
            "Scalar.LE, place",
            programs.padded_concat,
        ),
        Fault(
            "a lost guard of pad",
            f"{_PIECES}:_pull_pad",
            "if high != 0:",
            "if False:",
            programs.padded_concat,
        ),
        Fault(
            "the inner guard alone masks a read",
            f"{_PULL}.guarded",
            "condition if outer is None else apply(Scalar.AND, outer, condition)",
            "condition",
            programs.padded_concat,
        ),
        Fault(
            "a masked value is used where no mask holds",
            f"{_PULL}._find",
            "if found is None and self._mask is not None:\n"
            "        found = self._values.get((node, index, None))",
            "for key in self._values if found is None else ():\n"
            "        found = self._values[key] if key[:2] == (node, index) else found",
            programs.inside_and_outside,
        ),
        Fault(
            "negative indices do not count from the end",
            "weftc.ops.indexing:resolve",
            "apply(Scalar.ADD, place, size)",
            "place",
            programs.gather,
        ),
        Fault(
            "no rest of the last block",
            f"{_CPU}.loops:block_loop",
            "if not isinstance(extent, int) or extent % length:",
            "if False:",
            programs.tail,
        ),
        Fault(
            "a store missing: the last block",
            f"{_CPU}.loops:ceil_div",
            "add(a, const(b - 1))",
            "a",
            programs.tail,
        ),
        Fault(
            "groups of axes in reverse",
            f"{_CPU}.loops:spread",
            "zip(axes, flats, strict=True)",
            "zip(axes, flats[::-1], strict=True)",
            programs.rows_and_columns,
        ),
        Fault(
            "the sums of all columns are stored in one",
            f"{_CPU}.reduction:_Schedule.across_columns",
            "self._finish(row, result, column)",
            "self._finish(row, result)",
            programs.column_sum,
        ),
        Fault(
            "a row's outputs are not written",
            f"{_CPU}.rowwise:_Schedule._row",
            "for node in rows.row_outputs:",
            "for node in rows.row_outputs[1:]:",
            programs.exp_sum,
        ),
        Fault(
            "kept values of a row all in one place",
            f"{_CPU}.rowwise:_Schedule._place",
            "return column",
            "return ZERO",
            programs.softmax_of_rows,
        ),
        Fault(
            "a scatter starts from nothing",
            f"{_CPU}.scatter:_Schedule.lower",
            "self._copy(outer, strip, columns)",
            "pass",
            programs.scattered,
        ),
        Fault(
            "updates of one element run together",
            f"{_CPU}.scatter:_Schedule._update",
            "with loops.serial(puller, [product(shape)]) as (k,):",
            "with loops.axis_loop(puller, product(shape), 4) as k:",
            programs.scattered,
        ),
        Fault(
            "a wrong stride in packing",
            f"{_CPU}.contraction_pack:Packer._put",
            "const(self._width)",
            "const(self._width - 1)",
            programs.packed,
        ),
        Fault(
            "a dropped epilogue",
            f"{_CPU}.contraction:_Schedule._epilogue",
            "puller.pull(output, index)",
            "total",
            programs.linear,
        ),
        Fault(
            "the segments before are forgotten",
            f"{_CPU}.contraction_micro:keep",
            "Op(Scalar.ADD, (before, value), value.type)",
            "value",
            programs.segments,
        ),
        Fault(
            "rows past the last are stored",
            f"{_CPU}.contraction:_Schedule._span",
            "minimum(const(width), subtract(extent, begin))",
            "const(width)",
            programs.symbolic_linear,
        ),
        Fault(
            "the rest of a chain is not accumulated",
            f"{_CPU}.contraction_micro:accumulate",
            "return _loop(b, rows, columns, wide, (middle, run.stop), 1, values)",
            "return values",
            programs.linear,
        ),
    ),
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
            programs.exp_sum,
        ),
        Fault(
            "swapped operands",
            f"{_LLVM}.expressions:ExpressionWriter._op",
            "return rule(self.out, expr, [memo[arg] for arg in children(expr, self.out)])",
            "return rule(self.out, expr, [memo[arg] for arg in children(expr, self.out)][::-1])",
            programs.differences,
        ),
        Fault(
            "a ramp that falls",
            f"{_LLVM}.expressions:ExpressionWriter._ramp",
            'f"add {text.of',
            'f"sub {text.of',
            programs.counted,
        ),
        Fault(
            "bools are read the wrong way round",
            f"{_LLVM}.expressions:ExpressionWriter._load",
            "icmp ne",
            "icmp eq",
            programs.kept_masks,
        ),
        Fault(
            "the other value of a select",
            f"{_LLVM}.scalar:_select",
            "{args[1]}, {type_} {args[2]}",
            "{args[2]}, {type_} {args[1]}",
            programs.chosen,
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
            programs.softmax_of_rows,
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
            programs.exp_sum,
        ),
    ),
    "CUDA emission": (
        Fault(
            "each thread takes what its neighbour takes",
            f"{_CUDA_TEXT}:_loop_head",
            'else f"{_atom(start)} + {first}"',
            "else start",
            programs.tail,
        ),
        Fault(
            "swapped operands in C",
            f"{_CUDA_TEXT}:_Writer._node",
            "for arg in node.args])",
            "for arg in node.args][::-1])",
            programs.differences,
        ),
    ),
    "memory": (
        Fault(
            "a value that a loop reads in every turn dies before",
            f"{_MEMORY}:_lifetimes",
            "for node in step.inputs:",
            "for node in () if hasattr(step, 'bodies') else step.inputs:",
            control.after_a_loop,
        ),
        Fault(
            "a live buffer is overwritten",
            f"{_MEMORY}:_place_fixed",
            "lasts >= life.first",
            "lasts > life.first",
            programs.long_chain,
        ),
        Fault(
            "a value dies before it is read",
            f"{_MEMORY}:_lifetimes",
            "last.get(node, index)",
            "index",
            programs.long_chain,
        ),
        Fault(
            "symbolic values all in one place",
            f"{_MEMORY}:_place_symbolic",
            "start + _room(room[0].size)",
            "start",
            lambda x: op("exp", matmul(matmul(x(N, 5), x(5, 6)), x(6, 7))),
        ),
        Fault(
            "symbolic values that live at once share a place",
            f"{_MEMORY}:_fits",
            "return free and",
            "return",
            programs.symbolic_chain,
        ),
        Fault(
            "a symbolic value in too small a place",
            f"{_MEMORY}:_fits",
            "never_negative(room[0].size - life.size)",
            "True",
            programs.symbolic_chain,
        ),
    ),
    "assembly": (
        Fault(
            "a constraint of sizes is dropped",
            f"{_ASSEMBLY}.size_slots:SizeSlots.checks",
            "map(self._check, constraints)",
            "map(self._check, constraints[1:])",
            lambda x: op("max", x(N, 5), axes=(0,)),
        ),
        Fault(
            "a constraint is one too lenient",
            f"{_ASSEMBLY}.size_slots:SizeSlots._check",
            "excess_of(constraint)",
            "excess_of(constraint) + 1",
            lambda x: op("max", x(N, 5), axes=(0,)),
        ),
        Fault(
            "an axis that derives from others is not checked",
            f"{_ASSEMBLY}.size_slots:SizeSlots.checks",
            "map(self._derivation, derived)",
            "map(self._derivation, derived[1:])",
            lambda x: op("add", op("concat", x(N), x(N), axis=0), x(N * 2)),
        ),
        Fault(
            "buffers of a step in reverse",
            f"{_ASSEMBLY}.instructions:Instructions._launch",
            "for node in low.buffers]",
            "for node in low.buffers[::-1]]",
            lambda x: op("exp", x(9)),
        ),
        Fault(
            "one output for all",
            f"{_ASSEMBLY}.program:assemble",
            "outputs.index(o)",
            "0",
            programs.two_outputs,
        ),
        Fault(
            "a factor of a size is dropped",
            f"{_ASSEMBLY}.size_slots:SizeSlots.expression",
            "insert(0, (coefficient,))",
            "insert(0, (1,))",
            programs.sizes,
        ),
        Fault(
            "the places of errors of another kernel",
            f"{_ASSEMBLY}.instructions:Instructions._launch",
            "site = len(self.sites)",
            "site = len(self.sites) + 1",
            programs.gather,
        ),
        Fault(
            "written over what another turn reads",
            "weftc.loop.in_place:_keeps",
            "return loaded == stored",
            "return True",
            programs.flipped_square,
            donated=(0,),
        ),
        Fault(
            "written over what a later step reads",
            f"{_ASSEMBLY}.donation:_Lives.__init__",
            "enumerate(steps) for node in step.inputs",
            "reversed([*enumerate(steps)]) for node in step.inputs",
            programs.read_again,
            donated=(0,),
        ),
        Fault(
            "state does not move on",
            f"{_ASSEMBLY}.control:_rotate",
            "Rotate(s.read, s.written, s.spare)",
            "Rotate(s.written, s.read, s.spare)",
            control.sums,
        ),
        Fault(
            "both turns write to one buffer",
            f"{_ASSEMBLY}.control:_state",
            "Point(spare, result)",
            "Point(spare, other)",
            control.sums,
        ),
        Fault(
            "state is written over while a turn still reads it",
            f"{_ASSEMBLY}.donation:updated_in_place",
            "lives.meet(i, o) or lives.follow(i, o)",
            "lives.meet(i, o) or True",
            control.sums,
        ),
        Fault(
            "what is updated in place is read from where it started",
            f"{_ASSEMBLY}.control:_rotate",
            "Point(s.read, s.result)",
            "Point(s.read, s.read)",
            control.sums,
        ),
        Fault(
            "a loop starts from what lies in its result",
            f"{_ASSEMBLY}.control:_state",
            "Point(read, first)",
            "Point(read, result)",
            control.sums,
        ),
        Fault(
            "a loop's last turn is forgotten where it ends in the spare buffer",
            f"{_ASSEMBLY}.control:_finish",
            "s.read, s.result",
            "s.result, s.result",
            control.odd_turns,
        ),
        Fault(
            "a loop runs at least once",
            f"{_ASSEMBLY}.control:fori",
            "Count(counter, upper, run.here)",
            "Count(counter, upper, first + 1)",
            control.between_bounds,
        ),
        Fault(
            "a loop counts from nothing",
            f"{_ASSEMBLY}.control:fori",
            "Copy(lower, counter",
            "Copy(upper, counter",
            control.between_bounds,
        ),
        Fault(
            "a loop runs while its condition fails",
            f"{_ASSEMBLY}.control:while_loop",
            "(end, turn)",
            "(turn, end)",
            control.doubled,
        ),
        Fault(
            "a branch runs into the next",
            f"{_ASSEMBLY}.control:branch",
            "Jump(run.here)",
            "Jump(end + 1)",
            control.chosen,
        ),
        Fault(
            "branches in reverse",
            f"{_ASSEMBLY}.control:branch",
            "tuple(targets)",
            "tuple(targets[::-1])",
            control.chosen,
        ),
        Fault(
            "a body's values lie over those around it",
            f"{_ASSEMBLY}.instructions:Instructions.run",
            "inner = arena + memory.scratch.get((index, BODIES), 0)",
            "inner = arena",
            control.sorted_in_loop,
        ),
        Fault(
            "a result lies in an input that is read later",
            f"{_ASSEMBLY}.donation:_Lives.follow",
            "self._read.get(given, -1) < self._written[output]",
            "True",
            programs.two_products,
            donated=(0,),
        ),
        Fault(
            "a kernel writes over what it reads elsewhere",
            f"{_ASSEMBLY}.donation:_Lives._in_place",
            "runs_in_place(loops, read, written)",
            "True",
            programs.flipped_square,
            donated=(0,),
        ),
        Fault(
            "a routine is given its result first",
            f"{_ASSEMBLY}.regions:_call_routine",
            "(*frame.operands, *frame.results)",
            "(*frame.results, *frame.operands)",
            control.sorted_in_loop,
        ),
        Fault(
            "one buffer for two results of a body",
            "weftc.passes.own_outputs:own_each_output",
            "if node in seen else",
            "if node.op.name == 'input' else",
            control.swapped,
        ),
        Fault(
            "the condition of a loop is asked of the state before",
            "weftc.fusion.regions:_turn",
            "(*body.outputs, *body.inputs[len(body.outputs) :])",
            "body.inputs",
            control.doubled,
        ),
        Fault(
            "a body's arena is too small",
            "weftc.fusion.regions:scratch",
            "upper_bound(arenas)",
            "min(1, upper_bound(arenas))",
            control.sorted_in_loop,
        ),
    ),
}
