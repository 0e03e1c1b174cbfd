"""The generator itself: what it draws, that it repeats, prints what runs, and shrinks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.frontend.staged import stage
from tests.fuzz import sizes
from tests.fuzz.differences import largest
from tests.fuzz.draw import draw_gradients, draw_transforms, draw_values
from tests.fuzz.oracles import Counts, check
from tests.fuzz.program import Block, Input, Instruction, Literal, Local, Program
from tests.fuzz.reference import namespace
from tests.fuzz.reference.complex_numbers import STEPS
from tests.fuzz.reference.control import CONTROL
from tests.fuzz.reference.linear_algebra import CALLS, MADE
from tests.fuzz.reference.movement import Place
from tests.fuzz.reference.values import DTYPES, Bounded
from tests.fuzz.rules.control import DEEPEST
from tests.fuzz.rules.transforms import RULES
from tests.fuzz.shrink import shrink
from tests.fuzz.transforms import TRANSFORMS

import weft as wf
from weftc.ir.node import Node
from weftc.ir.opdef import Vjp
from weftc.ops import TABLE
from weftrt import knobs

ROOT = Path(__file__).resolve().parents[2]


def test_every_instruction_is_drawn() -> None:
    instructions = [i for n in range(2000) for i in draw_values(n).instructions]
    drawn = Counter(part.name for i in instructions for part in i.parts())
    assert set(drawn) == {*namespace.FUNCTIONS, *CONTROL}
    options = [part.options for i in instructions for part in i.parts()]
    assert len(set(CALLS) - {o.get("call") for o in options}) < 3
    assert {o["made"] for o in options if "made" in o} == set(MADE)
    steps = {step for o in options for step in o.get("steps", ())}
    assert steps <= set(STEPS) and len(set(STEPS) - steps) < 3


def test_what_people_write_is_drawn() -> None:
    programs = [draw_values(n) for n in range(1000)]
    inputs = [i for p in programs for i in p.inputs]
    keys = [k for p in programs for i in p.instructions for k in i.options.get("key", ())]
    operands = [o for p in programs for i in p.instructions for o in i.operands]
    assert {i.dtype for i in inputs} == set(DTYPES)
    assert {len(i.shape) for i in inputs} >= {0, 1, 2, 3, 4}
    assert any(0 in i.shape for i in inputs) and any(1 in i.shape for i in inputs)
    assert any(i.scalar for i in inputs)
    assert any(np.prod(i.shape) > 4096 for i in inputs)
    assert {type(k) for k in keys} >= {int, slice, type(None), type(Ellipsis), list}
    assert any(isinstance(k, slice) and (k.step or 1) < 0 for k in keys)
    assert {type(o.value) for o in operands if isinstance(o, Literal)} == {bool, int, float}
    assert any(len(p.outputs) > 1 for p in programs)


def test_products_are_tried_with_one_column() -> None:
    arrays = np.ones((4, 3)), np.ones((5, 3))
    f = wf.jit(lambda x, y: x @ y.T, dynamic={"x": {0: "n"}, "y": {0: "m"}})
    f(*arrays)
    (record,) = f.cache_report()
    tried = [sizes.others(record.kind, arrays, seed) for seed in range(20)]
    assert {y.shape[0] for calls in tried for _, y in calls} >= {0, 1}


def test_some_programs_fail_a_check() -> None:
    programs = [p for p in map(draw_values, range(1500)) if p.failure() is not None]
    assert 1 < len(programs) < 150
    assert check(programs[0], 0, Counts()) is None


def test_gradients_are_of_several_arguments_and_of_gradients() -> None:
    programs = [draw_gradients(n) for n in range(200)]
    assert any(len(p.argnums) > 1 for p in programs)
    assert any(p.second for p in programs)
    assert any(p.inputs[n].scalar for p in programs for n in p.argnums)


def _nested(instruction: Instruction) -> int:
    """How deep functions are within functions."""
    inside = (_nested(i) for block in instruction.blocks for i in block.instructions)
    return 1 + max(inside, default=0) if instruction.blocks else 0


def _pairs(instruction: Instruction) -> Iterator[tuple[str, str]]:
    """What is directly in a block of what."""
    for inner in (i for block in instruction.blocks for i in block.instructions):
        yield instruction.name, inner.name
        yield from _pairs(inner)


def test_transforms_and_control_flow_are_drawn_in_each_other() -> None:
    instructions = [i for n in range(600) for i in draw_transforms(n).instructions]
    drawn = Counter(part.name for i in instructions for part in i.parts())
    assert set(drawn) >= {*TRANSFORMS, *CONTROL} and set(RULES) == set(TRANSFORMS)
    assert max(map(_nested, instructions)) == DEEPEST
    found = {pair for i in instructions for pair in _pairs(i)}
    outer = ("grad", "jvp", "vmap", "scan", "cond")
    wanted = set(product(outer, repeat=2))
    assert len(wanted - found) < 4, wanted - found
    libraries = ("linear_algebra", "complex_part", "spectrum", "cumsum")
    assert len(set(product(outer, libraries)) & found) > 10


@pytest.mark.parametrize("draw", [draw_values, draw_gradients, draw_transforms])
def test_a_number_is_one_program(draw: Callable[[int], Program]) -> None:
    assert all(draw(n).script() == draw(n).script() for n in range(50))


def test_a_printed_program_runs() -> None:
    program = draw_gradients(1)
    paths = os.pathsep.join(str(ROOT / p) for p in ("frontend", "compiler", "runtime", "."))
    environment = os.environ | {"PYTHONPATH": paths}
    done = subprocess.run(
        [sys.executable, "-c", program.script()], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()[:1]] == ["compiled"]


def test_a_negative_scalar_is_the_base_of_a_power() -> None:
    power = Instruction("pow", (Literal(-1), 0), form="operator")
    assert power.text(["x"]) == "(-1) ** x"


def _contains_tanh_of_a_sum(program: Program) -> bool:
    first = len(program.inputs)
    return any(
        i.name == "tanh" and program.instructions[i.sources()[0] - first].name == "sum"
        for i in program.instructions
        if i.sources()[0] >= first
    )


def test_shrinking_leaves_the_cause_alone() -> None:
    program = Program(
        (Input("float32", (4, 6), (1.5, 2.5, 3.5)), Input("float32", (6,), (1.0,))),
        (
            Instruction("multiply", (0, 1)),
            Instruction("exp", (2,)),
            Instruction("add", (3, Literal(2))),
            Instruction("sum", (4,), {"axis": 1}),
            Instruction("tanh", (5,)),
            Instruction("stack", (6, 6)),
            Instruction("negative", (3,)),
        ),
        (7, 8),
    )
    small = shrink(program, _contains_tanh_of_a_sum)
    assert [i.name for i in small.instructions] == ["sum", "tanh"]
    assert len(small.inputs) == 1 and small.outputs == (2,)
    assert small.inputs[0].shape in {(1,), (1, 1)}


def test_shrinking_reaches_into_blocks() -> None:
    def contains_tanh_in_a_loop(program: Program) -> bool:
        loops = (i for i in program.instructions if i.name == "fori_loop")
        return any(part.name == "tanh" for loop in loops for part in loop.parts())

    inner = Block(
        2,
        0,
        (Instruction("exp", (Local(1, 1),)), Instruction("tanh", (Local(2, 0),))),
        (Local(2, 1),),
    )
    other = Block(2, 0, (Instruction("sin", (0,)),), (Local(2, 0),))
    body = Block(
        1,
        2,
        (
            Instruction("cos", (Local(1, 1),)),
            Instruction("cond", (1,), blocks=(inner, other)),
            Instruction("multiply", (Local(1, 2), Local(1, 3))),
        ),
        (Local(1, 4),),
    )
    loop = Instruction("fori_loop", (Literal(0), Literal(3), 0), {"part": 0}, blocks=(body,))
    given = Input("float32", (5,), (0.5, 1.5)), Input("bool", (), (True,))
    program = Program(given, (loop, Instruction("negative", (2,))), (3,))
    small = shrink(program, contains_tanh_in_a_loop)
    (left,) = small.instructions
    assert [part.name for part in left.parts()] == ["fori_loop", "cond", "tanh"]


def test_a_planted_error_is_found_and_shrunken(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(x: Bounded) -> Bounded:
        return Bounded(np.sin(x.value) + 0.5, np.full(x.shape, 1e-6), x.dtype)

    monkeypatch.setitem(namespace.FUNCTIONS, "sin", wrong)

    def fails(program: Program) -> bool:
        found = check(program, 1, Counts())
        return found is not None and found.oracle == "float64"

    with knobs.scope(cache=None):
        drawn = map(draw_values, range(1000))
        program = next(p for p in drawn if _uses(p, "sin") and fails(p))
        small = shrink(program, fails)
    *before, last = [i.name for i in small.instructions if i.name != "astype"]
    assert last == "sin" and len(before) <= 1  # one that gives it its shape, at most


SUM_OF_SINES = Program(
    (Input("float64", (3,), (0.5,)),),
    (Instruction("sin", (0,)), Instruction("sum", (1,))),
    (2,),
    argnums=(0,),
)


def slopes_of_sine() -> tuple[Vjp, Vjp]:
    """The rule of its gradient, and one that is wrong."""
    right = TABLE["sin"].vjp
    assert right is not None

    def doubled(node: Node, g: Node) -> tuple[Node | None, ...]:
        return tuple(c and TABLE["add"](c, c) for c in right(node, g))

    return right, doubled


def test_a_wrong_gradient_is_found() -> None:
    right, doubled = slopes_of_sine()
    assert check(SUM_OF_SINES, 1, Counts()) is None
    object.__setattr__(TABLE["sin"], "vjp", doubled)
    try:
        found = check(SUM_OF_SINES, 1, Counts())
    finally:
        object.__setattr__(TABLE["sin"], "vjp", right)
    assert found is not None and found.oracle == "differences"


def test_a_difference_that_leaves_an_axis_says_nothing() -> None:
    """x is read at the place of the larger of two equal elements, on an axis of one."""
    equal = Input("float64", (1, 2), (1.0, 1.0))
    reads = Instruction("index", (0, 1), {"key": (Place(0),)})
    steps = (Instruction("argmax", (0,)), reads, Instruction("sum", (2,)))
    counts = Counts()
    assert check(Program((equal,), steps, (3,), argnums=(0,)), 1, counts) is None
    assert counts.skipped["differences: not smooth"] == 1


def test_a_wrong_tangent_is_found() -> None:
    def doubled(node: Node, tangent: Node) -> tuple[Node, tuple[Node, ...]]:
        return node, (TABLE["add"](tangent, tangent),)

    object.__setattr__(TABLE["sin"], "jvp", doubled)
    try:
        found = check(SUM_OF_SINES, 1, Counts())
    finally:
        object.__setattr__(TABLE["sin"], "jvp", None)
    assert found is not None and found.oracle == "tangents"


def test_what_cancels_within_a_branch_allows_for_roundings() -> None:
    """Constants, and the branch that is not run, do not."""
    x = np.full(3, 2.0)

    def by_branches(run: bool) -> float:
        def function(x: Any) -> Any:
            return wf.cond(run, lambda: wf.sum(x * 1e6) - wf.sum(x * 1e6), lambda: wf.sum(x))

        staged = stage(function, x)
        assert staged is not None
        return largest(staged, [x])

    assert (by_branches(True), by_branches(False)) == (6e6, 6.0)


def test_a_wrong_map_and_a_wrong_gradient_in_a_piece_are_found_and_shrunken() -> None:
    def unmapped(node: Node, inputs: Any, batched: Any, mapper: Any) -> Node:
        return TABLE["add"](inputs[0], inputs[0])

    _, doubled = slopes_of_sine()
    sine = Block(1, 1, (Instruction("sin", (Local(1, 0),)),), (Local(1, 1),))
    more = (Instruction("cos", (0,)), Instruction("multiply", (1, 0)))
    given = (Input("float64", (3,), (0.5, 1.0, 1.5)),)
    pulled = Instruction("vjp", (2, 0), {"part": 0}, blocks=(sine,))
    mapped = Instruction("vmap", (2,), {"in_axes": (0,), "out_axes": 0}, blocks=(sine,))
    faults = (
        ("vjp", doubled, pulled, "derivatives"),
        ("batch", unmapped, mapped, "float64"),
    )
    for rule, wrong, piece, oracle in faults:
        program = Program(given, (*more, piece, Instruction("exp", (3,))), (4,))
        assert check(program, 1, Counts()) is None
        before = getattr(TABLE["sin"], rule)
        object.__setattr__(TABLE["sin"], rule, wrong)
        try:
            assert _failing(program) == oracle
            small = shrink(program, lambda p, oracle=oracle: _failing(p) == oracle)
        finally:
            object.__setattr__(TABLE["sin"], rule, before)
        assert [i.name for i in small.instructions] == [piece.name]
        assert len(small.instructions[0].blocks[0].instructions) == 1


def _failing(program: Program) -> str | None:
    """The oracle that disagrees with a program."""
    found = check(program, 1, Counts())
    return None if found is None else found.oracle


def _uses(program: Program, name: str) -> bool:
    return any(i.name == name for i in program.instructions)
