"""Forward-mode differentiation of whole graphs; the single rules are in tests/registry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from weftc.ir.interpret import interpret
from weftc.ir.location import Location, at
from weftc.ir.node import Graph, Node, toposort
from weftc.ir.opdef import Family, HostFunction, OpDef
from weftc.ir.verify import verify
from weftc.ops import build, get
from weftc.ops.structure import project, token
from weftc.transforms.jvp import jvp
from weftrt import dtypes
from weftrt.errors import TraceError, VerifyError


def make_input(index: int, *shape: int, dtype: dtypes.DType = dtypes.float64) -> Node:
    return get("input")(index=index, name=f"x{index}", dtype=dtype, shape=shape)


def pushed(output: Node, inputs: Sequence[Node], arrays: Sequence[Any]) -> list[Any]:
    """The output and its tangent, for tangents of one."""
    ones = [build.like(1.0, i) for i in inputs]
    (value,), (tangent,) = jvp([output], inputs, ones)
    assert tangent is not None
    graph = Graph("jvp", tuple(inputs), (value, tangent))
    if all(node.op.name == "input" for node in inputs):
        verify(graph)
    return interpret(graph, [np.asarray(a) for a in arrays])


def test_uses_add_up() -> None:
    x = make_input(0)
    cube = get("mul")(get("mul")(x, x), x)
    assert pushed(cube, [x], [2.0]) == [8.0, 12.0]


def test_the_walk_stops_at_inputs() -> None:
    x = make_input(0)
    y = get("mul")(x, x)
    z = get("mul")(y, x)
    assert pushed(z, [x, y], [3.0, 9.0]) == [27.0, 12.0]
    assert jvp([z], [x, y], [None, None]) == ([z], [None])


def test_what_is_constant_has_no_tangent() -> None:
    x, i = make_input(0, 3), make_input(1, 3, dtype=dtypes.int64)
    one = build.like(1.0, x)
    assert jvp([x, i], [x, i], [one, None]) == ([x, i], [one, None])
    for name in ("floor", "stop_gradient", "sign"):
        constant = get(name)(x)
        assert jvp([constant], [x], [one]) == ([constant], [None])


def test_tangents_do_not_pass_through_integers() -> None:
    x = make_input(0)
    whole = get("convert")(x, dtype=dtypes.int64)
    back = get("convert")(whole, dtype=dtypes.float64)
    assert pushed(get("mul")(back, x), [x], [2.5]) == [5.0, 2.0]


def test_tangents_belong_to_the_line_of_the_primal() -> None:
    x = make_input(0)
    place = Location(make_input.__code__, 0)
    with at(place):
        y = get("mul")(x, x)
    _, (found,) = jvp([y], [x], [build.like(1.0, x)])
    assert found is not None and found.location is place


def opaque(x: Node, **rules: Any) -> Node:
    rule = get("neg")
    with at(Location(make_input.__code__, 0)):
        return OpDef("opaque", Family.EXTERN, rule.infer, rule.reference, **rules)(x)


def test_an_op_without_a_rule_is_named_where_it_is_needed() -> None:
    x, y = make_input(0), make_input(1)
    total = get("add")(opaque(x), y)
    one = build.like(1.0, x)
    assert jvp([total], [x, y], [None, one]) == ([total], [one])
    with pytest.raises(TraceError, match=r"opaque has no derivative \(at .*test_jvp"):
        jvp([total], [x, y], [one, None])
    stopped = get("add")(get("stop_gradient")(opaque(x)), x)
    assert jvp([stopped], [x], [one])[1] == [one]
    assert jvp([x], [x], [one], beside=[opaque(x)])[1] == [one]


def test_a_pullback_that_is_not_linear_is_a_mistake() -> None:
    x = make_input(0)
    square = opaque(x, vjp=lambda node, g: (get("mul")(g, g),))
    with pytest.raises(VerifyError, match="the gradient of opaque is not linear"):
        jvp([square], [x], [build.like(1.0, x)])


def test_deep_graphs_do_not_recurse() -> None:
    x = y = make_input(0)
    for _ in range(3000):
        y = get("neg")(y)
    assert pushed(y, [x], [1.0]) == [1.0, 1.0]


def test_the_walk_of_a_transposed_pullback_ends_at_the_operands() -> None:
    """Else each op would cost as much as the graph above it."""
    x = y = make_input(0)
    for _ in range(2000):
        y = get("mul")(y, x)
    assert pushed(y, [x], [1.0]) == [1.0, 2001.0]


# ---------------------------------------------------------------------------------------------
# Branches and loops
# ---------------------------------------------------------------------------------------------


def body_of(outputs: Sequence[Node], *inputs: Node) -> Graph:
    return Graph("body", inputs, tuple(outputs))


def test_state_that_becomes_active_has_tangents() -> None:
    """a, b, n, m = b, x * a, n + 1, m: x moves, so b does after a turn, and a after two."""
    i = make_input(0, dtype=dtypes.int64)
    a, b, n, m, x = (
        make_input(1),
        make_input(2),
        make_input(3, dtype=dtypes.int64),
        *map(make_input, (4, 5)),
    )
    one = build.constant(1, dtypes.int64)
    body = body_of([b, get("mul")(x, a), get("add")(n, one), m], i, a, b, n, m, x)
    free = make_input(0)
    start = build.constant(2.0, dtypes.float64)
    bounds = [build.constant(k, dtypes.int64) for k in (0, 4)]
    loop = get("fori")(*bounds, start, start, bounds[0], start, free, body=body, carried=4)
    total = get("mul")(project(loop, index=0), project(loop, index=3))
    assert pushed(total, [free], [3.0]) == [36.0, 24.0]  # 2 x**2 * 2
    _, (tangent,) = jvp([total], [free], [build.like(1.0, free)])
    assert tangent is not None
    loops = [node for node in toposort([tangent]) if node.op.name == "fori"]
    assert [node["carried"] for node in loops] == [6]


def test_a_while_loop() -> None:
    state, factor = make_input(0), make_input(1)
    condition = Graph(
        "condition", (state, factor), (get("lt")(state, build.constant(100.0, dtypes.float64)),)
    )
    body = Graph("body", (state, factor), (get("mul")(state, factor),))
    x, f = make_input(0), make_input(1)
    loop = get("while")(x, f, condition=condition, body=body, carried=1)
    assert pushed(project(loop, index=0), [x, f], [2.0, 3.0]) == [162.0, 81 + 4 * 2 * 27]


def test_effects_happen_once() -> None:
    seen: list[float] = []

    def note(x: Any) -> list[Any]:
        seen.append(float(x))
        return []

    called = get("callback")
    state, step, before = (
        make_input(1),
        make_input(2),
        get("input")(index=3, name="token", dtype=None, shape=()),
    )
    i = make_input(0, dtype=dtypes.int64)
    effect = called(before, state, function=HostFunction(note), types=())
    after = [get("mul")(state, step), project(effect, index=0)]
    body = body_of(after, i, state, before, step)
    x, y = make_input(0), make_input(1)
    bounds = [build.constant(k, dtypes.int64) for k in (0, 3)]
    loop = get("fori")(*bounds, x, token(), y, body=body, carried=2)
    outputs = [project(loop, index=0)]
    ones = [build.like(1.0, x)] * 2
    (value, last), (tangent,) = jvp(outputs, [x, y], ones, beside=[project(loop, index=1)])
    assert tangent is not None
    graph = Graph("jvp", (x, y), (value, tangent, last))
    assert interpret(graph, [np.asarray(2.0), np.asarray(3.0)])[:2] == [54.0, 27.0 + 54.0]
    assert seen == [2.0, 6.0, 18.0]
