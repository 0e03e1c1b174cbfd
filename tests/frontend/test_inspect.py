"""Reading the stages of a compiled function."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.compiler.assembly.graphs import INT, graph, loop
from tests.compiler.assembly.test_control import INTS, nested

import weft as wf
from weft.inspect import STAGES, Lowered
from weftc.ir.node import Node
from weftc.ops.pointwise import add
from weftrt import knobs
from weftrt.cpu.host import host_options

X = np.ones((4, 8), "f4")


@wf.jit
def shifted(x: Any, by: Any) -> Any:
    """A function of one kernel."""
    scaled = x * 2
    return scaled + by


@pytest.mark.parametrize(
    ("stage", "text"),
    [
        ("graph", "mul"),
        ("optimized", "add"),
        ("kernels", "kernel 0, pointwise"),
        ("loops", "store"),
        ("llvm", "define"),
        ("asm", "ret"),
    ],
)
def test_stage_as_text(stage: str, text: str) -> None:
    assert text in shifted.ir(X, 1.0, stage=stage)


def test_unknown_stage() -> None:
    with pytest.raises(wf.errors.UsageError, match="no stage 'hlo'; there are graph, optimized"):
        shifted.ir(X, 1.0, stage="hlo")


def test_stages_as_objects() -> None:
    low = shifted.lower(X, 1.0)
    assert [n.op.name for n in low.graph.inputs] == ["input", "input"]
    assert len(low.kernels) == len(low.loops) == len(low.llvm) == 1
    assert low.program.name == "shifted"


def test_explain_names_lines() -> None:
    text = shifted.explain(X, 1.0)
    assert text.startswith("shifted: 1 kernel\n")
    assert "reads  f32[4,8] x" in text and "writes f32[4,8]" in text
    assert "test_inspect.py:" in text and "x * 2" in text and "scaled + by" in text


def test_explain_says_why_not_fused() -> None:
    text = wf.jit(lambda x, w: wf.exp(x) @ w).explain(X, X.T.copy())
    assert "2 kernels" in text and "not fused: f32[4,8] exp of kernel 0 -> contract" in text


def test_dump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEFT_DUMP", str(tmp_path))
    wf.jit(lambda x: x * 123.5)(X)
    (folder,) = tmp_path.iterdir()
    assert folder.name.startswith("_lambda_")
    names = sorted(p.name for p in folder.iterdir())
    assert [n.split("_")[1].split(".")[0] for n in names] == list(STAGES)
    assert all(path.stat().st_size for path in folder.iterdir() if path.suffix != ".cu")


IMPORTS = [
    "import sys, weft; assert not {'llvmlite', 'weftc', 'weft.ops'} & set(sys.modules);"
    "assert 'softmax' in dir(weft.nn) and 'matmul' in dir(weft)",
    "import weft; weft.grad; assert weft.jit(lambda x: x).__name__ == '<lambda>'",
    "from weft.calls import Reader; import weft; assert weft.asarray([1]).tolist() == [1]",
    "from weft import add, grad, jit, nn, tree; assert nn.relu and tree.map",
]


@pytest.mark.parametrize("code", IMPORTS)
def test_imports_in_any_order(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'matmull'"):
        _ = wf.matmull


def test_the_cuda_stage_names_what_has_no_cuda_schedule() -> None:
    square = np.ones((8, 8), np.float32)
    text = wf.jit(lambda a, b: wf.nn.relu(a @ b)).ir(square, square, stage="cuda")
    assert "contraction_0" in text and "vectors of the CPU" in text


def test_branches_and_loops_are_explained_with_what_is_in_them() -> None:
    """Bodies are indented, kernels numbered by the regions around them; every stage has them."""

    def body(i: Node, x: Node) -> list[Node]:
        return [nested(1, i, add(x, x))]

    program = graph("loops", lambda a, b, x: loop(a, b, [x], body), INT, INT, INTS)
    low = Lowered(program, host_options())
    text = low.text("kernels")
    assert text.startswith("loops: 5 kernels\n\nfori 0\n  reads  i64[] x0\n")
    assert "  each turn, turn:\n  kernel 0_0_0, pointwise: add x3\n" in text
    assert (
        "      branch 1, branch1:\n      kernel 0_0_1_0_1_1_0, pointwise: broadcast, sub\n" in text
    )
    assert "reads  i64[3] result of fori 0_0_1\n" in text
    assert len(low.kernels) == len(low.loops) == len(low.llvm) == 5
    assert "function pointwise_0_0_1_0_1_1_0(" in low.text("loops")
    assert all(f"\n{function.name}" in low.text("cuda") for function in low.loops)


def test_a_body_that_has_nothing_to_do() -> None:
    @wf.jit
    def checked(p: Any, x: Any) -> Any:
        wf.cond(p, lambda x: wf.debug.check(x > 0, "positive"), lambda x: None, x)
        return x + 1

    assert "  branch 0, false_fn:\n  nothing to do\n" in checked.explain(True, 1.0)


def test_the_program_shown_is_the_one_that_runs() -> None:
    """What it is compiled for is in its key: donation, the target, whether it is watched."""
    x = wf.ones(1000)
    plain, donating = wf.jit(_twice), wf.jit(_twice, donate_argnames="x")
    shown = [plain.lower(x).program, donating.lower(x).program]
    for knob in ({"check_memory": 1}, {"target": "x86-64-v3"}):
        with knobs.scope(**knob):
            shown.append(plain.lower(x).program)
    assert [program.donated for program in shown] == [(), (0,), (), ()]
    assert [program.is_watched for program in shown] == [False, False, True, False]
    narrow = host_options().target.vector_bits == 256
    assert len({program.key for program in shown}) == (3 if narrow else 4)


def _twice(x: Any) -> Any:
    return x * 2
