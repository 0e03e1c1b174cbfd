"""Wrong LLVM IR, and wrong CUDA C."""

from __future__ import annotations

from tests.compiler.schedule.networks import op
from tests.faults import programs
from tests.faults.fault import Fault

_LLVM = "weftc.codegen.llvm"
_CUDA = "weftc.schedule.cuda"
_CUDA_TEXT = "weftc.codegen.cuda.emit"

FAULTS: dict[str, tuple[Fault, ...]] = {
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
}
