"""Wrong rewrites in passes over graphs."""

from __future__ import annotations

from tests.compiler.schedule.networks import full, op
from tests.faults import control, programs
from tests.faults.fault import Fault

from weftc.ops import build

_SIMPLIFY = "weftc.passes.simplify"

FAULTS: dict[str, tuple[Fault, ...]] = {
    "pass inline_calls": (
        Fault(
            "operands in another order",
            "weftc.passes.inline:_Inlined._body",
            "in node.inputs]",
            "in node.inputs[::-1]]",
            control.call_of_two,
        ),
    ),
    "pass write_columns": (
        Fault(
            "results in the order of the first operand",
            "weftc.ops.contraction:product_sum",
            "for axis in order",
            "for axis in sorted(order)",
            programs.columns_of_a_batch,
        ),
    ),
    "pass replace_empty": (
        Fault(
            "a product of nothing is 0",
            "weftc.passes.empty:_replace",
            "type(node.op.identity)",
            "type(0)",
            lambda x: op("prod", x(0, 4), axes=(0,)),
        ),
    ),
    "pass place_windows": (
        Fault(
            "what is cut of a product begins at its corner",
            "weftc.passes.place_windows:_sliced",
            "bounds[name[1]] = parts[name]",
            "bounds[name[1]] = (0, parts[name][1] - parts[name][0], 1)",
            programs.slid_product,
        ),
        Fault(
            "the taps of repeated weights change places",
            "weftc.passes.place_windows:_with_batch",
            "tuple(behind[axis] for axis in contracted_a)",
            "tuple(behind[axis] for axis in (contracted_a[0], *contracted_a[:0:-1]))",
            programs.slid_product,
        ),
    ),
    "pass write_brief_products": (
        Fault(
            "taps are added from the last to the first",
            "weftc.passes.brief_products:_written",
            "np.ndindex(*static_shape(_taps(found)))",
            "list(np.ndindex(*static_shape(_taps(found))))[::-1]",
            programs.slid_depthwise,
        ),
        Fault(
            "products are rounded before they are added",
            "weftc.passes.brief_products:_written",
            "if dtype.is_float:",
            "if False:",
            programs.slid_depthwise,
        ),
    ),
    "pass simplify": (
        Fault(
            "x + 0 is taken for x",
            f"{_SIMPLIFY}:drop_neutral_addend",
            "-0.0 if",
            "0.0 if",
            lambda x: op("add", x(40), full(0.0, (40,))),
        ),
        Fault(
            "what was padded keeps its -0",
            "weftc.passes.join_pads:_with_zero",
            "if _has_zero(node)",
            "if node",
            programs.padded_pieces,
        ),
        Fault(
            "joined pieces at the other end",
            "weftc.passes.join_pads:join_pads",
            "for end in ends",
            "for end in ends[::-1]",
            programs.padded_pieces,
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
            f"{_SIMPLIFY}:multiply_by_one",
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
            "and of what is known, as or",
            f"{_SIMPLIFY}:known_truth",
            "other if value == decisive else x",
            "x if value == decisive else other",
            programs.known_truth,
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
            "pairs of exchanged parts are the pairs",
            f"{_SIMPLIFY}:_pairs_of",
            '(part["start"], part["stop"]) == (begin, end)',
            "True",
            programs.exchanged_parts,
        ),
        Fault(
            "what is computed of the real parts is of the imaginary ones",
            f"{_SIMPLIFY}:_join",
            "alike = real.op is imag.op",
            "alike = True",
            programs.conjugated_sum,
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
    "pass merge_scans": (
        Fault(
            "the stacks of another scan",
            "weftc.passes.merge:_joined",
            "len(state) + stacks.index(row)",
            "len(state)",
            control.two_scans,
        ),
    ),
    "pass share_branches": (
        Fault(
            "another result of the branch before",
            "weftc.passes.share:_Shared._give",
            "outputs.index(value)",
            "0",
            control.computed_twice,
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
            "weftc.passes.control:_same",
            "body.outputs[k] is inputs[k]",
            "body.outputs[k] is not inputs[k]",
            control.kept_beside,
        ),
        Fault(
            "a result needs no first operand",
            "weftc.passes.control:_used",
            "range(bits.bit_length())",
            "range(1, bits.bit_length())",
            control.half_read,
        ),
        Fault(
            "a solution without factors is of the other system",
            "weftc.ops.systems:without_factors",
            "*node.inputs",
            "*node.inputs[::-1]",
            control.solved,
        ),
    ),
    "pass unroll_scans": (
        Fault(
            "the turns of a group come in the other direction",
            "weftc.passes.unroll:_turns",
            "in reversed(places) if reverse",
            "in reversed(places) if not reverse",
            control.unrolled_scan,
        ),
    ),
    "pass hoist_invariants": (
        Fault(
            "a fixed matrix is turned for nobody",
            "weftc.passes.hoist:_laid_out",
            "(0,))",
            "(1,))",
            control.fixed_matrix,
        ),
    ),
    "pass own_outputs": (
        Fault(
            "outputs in reverse",
            "weftc.passes.own_outputs:own_outputs",
            "in graph.outputs]",
            "in graph.outputs[::-1]]",
            programs.two_outputs,
        ),
    ),
}
