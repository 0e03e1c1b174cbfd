"""How long a program is taken to run: what its loops do, as often as they turn."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.compiler.assembly.graphs import INT, Body, choose, graph, integer, loop, repeat
from tests.compiler.schedule.kernels import TARGET

from weftc import pipeline
from weftc.assembly.estimate import FEW, STEP_NANOSECONDS
from weftc.assembly.program import MOST_WORK
from weftc.ir.node import Node
from weftc.ir.types import TensorType
from weftc.ops.elementary import exp
from weftc.ops.pointwise import lt, neg
from weftrt import dtypes
from weftrt.options import Options

WIDE = TensorType(dtypes.float32, (1 << 16,))


def work(body: Body, *types: TensorType) -> int:
    """The estimate for a program."""
    found = pipeline.compile(graph("f", body, *types), Options(TARGET)).work
    assert isinstance(found, int)
    return found


def turn(i: Node, x: Node) -> Sequence[Node]:
    return (exp(x),)


def once() -> int:
    """What one turn takes."""
    return work(lambda x: [exp(x)], WIDE)


def counting(lower: int, upper: int) -> Body:
    """A loop of so many turns."""
    return lambda x: loop(integer(lower), integer(upper), [x], turn)


@pytest.mark.parametrize(("lower", "upper", "turns"), [(0, 5, 5), (-1, 2, 3), (4, 4, 0), (5, 2, 0)])
def test_a_loop_of_known_bounds(lower: int, upper: int, turns: int) -> None:
    assert once() > 1000
    assert work(counting(lower, upper), WIDE) == STEP_NANOSECONDS + turns * once()


def test_loops_of_unknown_length_turn_a_few_times() -> None:
    counted = work(lambda n, x: loop(integer(0), n, [x], turn), INT, WIDE)
    assert counted == STEP_NANOSECONDS + FEW * once()

    def small(x: Node, n: Node) -> Sequence[Node]:
        return (lt(n, n),)

    repeated = work(lambda x, n: repeat(small, [x], lambda x, n: [exp(x)], n), WIDE, INT)
    assert FEW * once() < repeated < FEW * (once() + 1000)


def test_a_loop_in_a_loop() -> None:
    def outer(i: Node, x: Node) -> Sequence[Node]:
        return counting(0, 4)(x)

    found = work(lambda x: loop(integer(0), integer(3), [x], outer), WIDE)
    assert found == STEP_NANOSECONDS + 3 * (STEP_NANOSECONDS + 4 * once())


def test_any_branch_may_run() -> None:
    def whole(p: Node, x: Node) -> Sequence[Node]:
        return choose(p, [x], lambda x: [exp(x)], lambda x: [neg(exp(x))])

    assert work(whole, INT, WIDE) > STEP_NANOSECONDS + 2 * once()


def test_an_estimate_past_all_counting() -> None:
    assert work(counting(0, 1 << 62), WIDE) == MOST_WORK
