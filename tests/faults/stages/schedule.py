"""Wrong loops: indices, guards, order, what is stored where."""

from __future__ import annotations

from tests.faults import programs
from tests.faults.fault import Fault

_INDICES = "weftc.schedule.indices:Indices"
_PULL = "weftc.schedule.pull:Puller"
_SPACE = "weftc.ir.index_linear:Space"
_MOVEMENT = "weftc.ops.movement"
_PIECES = "weftc.ops.pieces"
_WINDOWS = "weftc.ops.windows"
_CPU = "weftc.schedule.cpu"
_CUMULATIVE = "weftc.schedule.cpu.cumulative:_Schedule"

FAULTS: dict[str, tuple[Fault, ...]] = {
    "schedule": (
        Fault(
            "the carry between pieces of a row is lost",
            f"{_CUMULATIVE}._local_steps",
            '("last", value) for value in rows.values',
            '("last", self._initial()) for value in rows.values',
            programs.running_pieces,
        ),
        Fault(
            "the rows that are left over begin one too late",
            f"{_CUMULATIVE}.along_rows",
            "add(left, k)",
            "add(left, const(1))",
            programs.running_rows,
        ),
        Fault(
            "an element is combined with itself, not with what came before",
            f"{_CUMULATIVE}._straight",
            "self._step(before, [",
            "self._step(puller.pull(self._node.inputs[0], index), [",
            programs.running_rows,
        ),
        Fault(
            "what runs in reverse runs forward",
            f"{_CUMULATIVE}._steps",
            'if self._node["reverse"]:',
            "if False:",
            programs.running_columns,
        ),
        Fault(
            "what runs in reverse begins after the end",
            f"{_CUMULATIVE}._steps",
            "subtract(extent, const(1))",
            "subtract(extent, const(0))",
            programs.running_pieces,
        ),
        Fault(
            "the last results of columns are not kept",
            f"{_CUMULATIVE}.across_columns",
            "self._builder.store(last, at, result)",
            "pass",
            programs.running_columns,
        ),
        Fault(
            "an axis too many in a divisor",
            "weftc.ir.index_map:IndexMap.reshape",
            "if k > number",
            "if k >= number",
            programs.reshaped_transpose,
        ),
        Fault(
            "a divisor of the neighbouring axis alone",
            "weftc.schedule.indices:_parts",
            "divisor = divisor * shape[axis]",
            "divisor = shape[axis]",
            programs.turned_rows,
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
            " or a.divisor != b.divisor * b.extent",
            "",
            programs.reshaped_transpose,
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
            f"{_MOVEMENT}:_view_flip",
            "shifted(shape[axis] - 1)",
            "shifted(shape[axis])",
            programs.flipped,
        ),
        Fault(
            "the places of windows lie side by side",
            f"{_WINDOWS}:_view_window",
            "scaled(stride)",
            "scaled(1)",
            programs.slid,
        ),
        Fault(
            "the taps of windows lie side by side",
            f"{_WINDOWS}:_view_window",
            "scaled(dilation)",
            "scaled(1)",
            programs.slid,
        ),
        Fault(
            "runs of columns begin at the one before",
            f"{_CPU}.contraction_address:runs",
            'puller.name("base", ir.mul(run, size))',
            'puller.name("base", ir.mul(ir.subtract(run, const(1)), size))',
            programs.slid_product,
        ),
        Fault(
            "wrong axis of a transpose",
            f"{_MOVEMENT}:_view_transpose",
            '_inverse(attrs["permutation"])',
            'attrs["permutation"]',
            programs.permuted,
        ),
        Fault(
            "off-by-one slice",
            f"{_PIECES}:_view_slice",
            "shifted(start)",
            "shifted(start + 1)",
            programs.strides,
        ),
        Fault(
            "the wrong step of a slice",
            f"{_PIECES}:_view_slice",
            "scaled(step)",
            "scaled(1)",
            programs.strides,
        ),
        Fault(
            "a guard of concat that lets one more pass",
            f"{_PIECES}:_view_concat",
            "[Guard(here, operand[axis])]",
            "[Guard(here, operand[axis] + 1)]",
            programs.padded_concat,
        ),
        Fault(
            "a lost guard of pad",
            f"{_PIECES}:_view_pad",
            "guards.append(Guard(here, _spread(size, step)))",
            "pass",
            programs.padded_concat,
        ),
        Fault(
            "a guard that is not asked",
            f"{_PULL}._condition",
            "if not before_end:",
            "if False:",
            programs.padded_concat,
        ),
        Fault(
            "a guard that is taken to hold for one more",
            f"{_SPACE}.within",
            "extent - 1 - high",
            "extent - high",
            programs.padded_by_one,
        ),
        Fault(
            "a remainder that the range does not spare",
            f"{_SPACE}.part",
            "if all(self.within(rest, divisor * extent)):",
            "if True:",
            programs.reshaped_transpose,
        ),
        Fault(
            "the sign of an offset",
            f"{_INDICES}.form",
            "self.size(-1 * form.offset)",
            "self.size(form.offset)",
            programs.padded_concat,
        ),
        Fault(
            "what every operand has is read of the first",
            f"{_PULL}._moved",
            "apply(Scalar.SELECT, condition, chosen, value)",
            "chosen",
            programs.padded_concat,
        ),
        Fault(
            "the inner guard alone masks a read",
            f"{_PULL}._masked",
            "holds if outer is None else apply(Scalar.AND, outer, holds)",
            "holds",
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
            f"{_CPU}.arithmetic:ceil_divide",
            "ir.add(a, ir.subtract(divisor, const(1)))",
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
            "self._finish(row, results, column)",
            "self._finish(row, results)",
            programs.column_sum,
        ),
        Fault(
            "two reductions exchange the results of their blocks",
            f"{_CPU}.reduction:_Schedule.along_rows",
            "zip(partials, results, strict=True)",
            "zip(partials, results[::-1], strict=True)",
            programs.range_of_all,
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
            "with loops.serial(puller, [product(own)]) as (k,):",
            "with loops.axis_loop(puller, product(own), 4) as k:",
            programs.scattered,
        ),
        Fault(
            "every row has the indices of the first",
            f"{_CPU}.scatter:_Schedule._update",
            "which = (*before[: self._shared], *position)",
            "which = (*[puller.indices.size(0)] * self._shared, *position)",
            programs.scattered_by_row,
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
            f"{_CPU}.contraction:_Schedule._row",
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
            "minimum(const(width), ir.subtract(extent, begin))",
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
    # what is too large for the loops to be run one by one
    "schedule, widening or emission": (
        Fault(
            "narrower tiles compute the panel before the last",
            f"{_CPU}.contraction:_Schedule._panels",
            "yield _Panel(last, lanes, first)",
            "yield _Panel(ir.subtract(last, const(1)), lanes, first)",
            programs.narrow_rests,
        ),
    ),
}
