"""Graphs that nodes hold: written, read, checked, run and rewritten like those around them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits

from weftc.ir.digest import digest
from weftc.ir.hosts import host_functions
from weftc.ir.interpret import interpret
from weftc.ir.location import Location, at
from weftc.ir.node import Graph, Node, rewrite, substitute
from weftc.ir.opdef import TABLE, Family, HostFunction, OpDef
from weftc.ir.parse import parse_graph
from weftc.ir.print import print_attr, print_graph
from weftc.ir.sizes import Dim
from weftc.ir.types import TOKEN, TensorType, TokenType, TupleType
from weftc.ir.verify import verify
from weftc.ops import get
from weftc.passes.cse import eliminate_common_subexpressions
from weftc.passes.fold import fold_constants
from weftc.passes.simplify import simplify
from weftrt import dtypes
from weftrt.errors import DTypeError, OutOfBoundsError, ShapeError, VerifyError

N = Dim.symbol("n")


def x_of(index: int, *shape: Any, dtype: dtypes.DType = dtypes.float32, name: str = "x") -> Node:
    return get("input")(index=index, name=f"{name}{index}", dtype=dtype, shape=shape)


def token_input(index: int) -> Node:
    return get("input")(index=index, name="token", dtype=None, shape=())


def constant(value: float, dtype: dtypes.DType = dtypes.float32) -> Node:
    return get("constant")(value=value, dtype=dtype)


def of_one(op: str, *shape: Any, name: str = "x") -> Graph:
    """graph op(x): op(x)"""
    x = x_of(0, *shape, name=name)
    return Graph(op, (x,), (get(op)(x),))


def chosen(*branches: Graph, shape: tuple[Any, ...] = (N,)) -> Graph:
    """A branch of one vector by a bool."""
    p, x = x_of(0, dtype=dtypes.bool_), x_of(1, *shape)
    result = get("branch")(p, x, branches=branches)
    return Graph("f", (p, x), (get("project")(result, index=0),))


def nested(depth: int) -> Graph:
    """Branches in branches: neg or abs of a vector, after `depth` choices by the same bool."""
    p, x = x_of(0, dtype=dtypes.bool_), x_of(1, N)
    if not depth:
        return Graph("leaf", (p, x), (get("neg")(x),))
    other = Graph("other", (p, x), (get("abs")(x),))
    result = get("branch")(p, p, x, branches=(other, nested(depth - 1)))
    return Graph(f"level {depth}", (p, x), (get("project")(result, index=0),))


# ---------------------------------------------------------------------------------------------
# Types
# ---------------------------------------------------------------------------------------------


def test_tuples_and_tokens_are_types_and_no_tensors() -> None:
    node = chosen(of_one("neg", N)).outputs[0].inputs[0]
    assert node.value_type == TupleType((TensorType(dtypes.float32, (N,)),))
    assert str(TupleType((TensorType(dtypes.float32, (N, 2)), TOKEN))) == "(f32[n,2], token)"
    assert TokenType() == TOKEN
    with pytest.raises(VerifyError, match="no tensor"):
        _ = node.type
    with pytest.raises(AttributeError, match="no attribute"):
        _ = node.kind


def test_a_node_with_a_token_first_is_an_effect() -> None:
    effect = OpDef("shout", Family.EFFECT, lambda t, a: TOKEN, lambda *_: None, effect=True)
    TABLE.add(effect)
    try:
        verify(Graph("f", (), (effect(get("token")()),)))
        with pytest.raises(VerifyError, match="takes a token first"):
            verify(Graph("f", (), (effect(constant(1.0)),)))
    finally:
        del TABLE._ops["shout"]


# ---------------------------------------------------------------------------------------------
# Text
# ---------------------------------------------------------------------------------------------


def test_text_of_a_graph_in_a_graph() -> None:
    assert print_graph(chosen(of_one("neg", N), of_one("abs", N))) == (
        "graph f\n"
        '  %0 = input() {index=0, name="x0", dtype=b8, shape=()} : b8[]\n'
        '  %1 = input() {index=1, name="x1", dtype=f32, shape=(n,)} : f32[n]\n'
        '  %2 = branch(%0, %1) {branches=(graph "neg" {\n'
        '      %0 = input() {index=0, name="x0", dtype=f32, shape=(n,)} : f32[n]\n'
        "      %1 = neg(%0) : f32[n]\n"
        "      return %1\n"
        '    }, graph "abs" {\n'
        '      %0 = input() {index=0, name="x0", dtype=f32, shape=(n,)} : f32[n]\n'
        "      %1 = abs(%0) : f32[n]\n"
        "      return %1\n"
        "    })} : (f32[n],)\n"
        "  %3 = project(%2) {index=0} : f32[n]\n"
        "  return %3\n"
    ).replace("b8", dtypes.bool_.short)


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_graphs_in_graphs_read_back(depth: int) -> None:
    graph = nested(depth)
    text = print_graph(graph, str)
    read = parse_graph(text)
    verify(read)
    assert print_graph(read) == print_graph(graph)
    assert digest(read) == digest(graph)
    assert len(list(graph.all_nodes())) == len(list(read.all_nodes())) == 3 + 7 * depth


def test_tokens_read_back() -> None:
    token = token_input(0)
    x = x_of(1)
    body = Graph("body", (token, x), (token, x))
    pair = get("branch")(x_of(0, dtype=dtypes.bool_), get("token")(), x_of(1), branches=(body,))
    graph = Graph("f", pair.inputs[::2], (get("project")(pair, index=1),))
    assert print_graph(parse_graph(print_graph(graph))) == print_graph(graph)
    assert "(token, f32[])" in print_graph(graph)


def test_locations_stand_in_the_graphs_too() -> None:
    with at(Location(of_one.__code__, 0)):
        inner = of_one("neg", N)
    assert "test_graphs.py" in print_graph(chosen(inner), str)


def test_the_line_of_a_mistake_in_a_graph_in_a_graph() -> None:
    text = print_graph(chosen(of_one("neg", N), of_one("abs", N)))
    with pytest.raises(VerifyError, match="line 6: %1 = nag"):
        parse_graph(text.replace("neg(", "nag("))
    with pytest.raises(VerifyError, match="expected the end"):
        parse_graph(text + "  }\n")
    with pytest.raises(VerifyError, match="ends too early"):
        parse_graph(text[: text.index("return")])


def shout() -> None:
    """A function that programs may call."""


def test_host_functions_are_numbered_and_read_back() -> None:
    one, other = HostFunction(shout), HostFunction(print)
    assert one == HostFunction(shout) and one != other and len({one, HostFunction(shout)}) == 1
    assert print_attr((one, other, one)) == '(host "shout" #0, host "print" #1, host "shout" #0)'
    text = (
        f"graph f\n  %0 = input() {{index=0, name={print_attr((one, other))}, dtype=f32, shape=()}}"
    )
    text += " : f32[]  # here\n  return %0\n"
    assert parse_graph(text, (shout, print)).inputs[0]["name"] == (one, other)
    unknown = parse_graph(text).inputs[0]["name"][0]
    with pytest.raises(VerifyError, match="shout is known by its name only"):
        unknown.function()


# ---------------------------------------------------------------------------------------------
# Digest and common subexpressions
# ---------------------------------------------------------------------------------------------


def test_digest_sees_the_graphs_but_no_names_in_them() -> None:
    one = digest(chosen(of_one("neg", N), of_one("abs", N)))
    named = of_one("neg", N, name="other")
    assert one == digest(chosen(Graph("g", named.inputs, named.outputs), of_one("abs", N)))
    others = [
        chosen(of_one("abs", N), of_one("neg", N)),
        chosen(of_one("neg", N)),
        chosen(of_one("neg", N), of_one("abs", N), of_one("abs", N)),
        chosen(of_one("neg", 3), of_one("abs", 3), shape=(3,)),
    ]
    assert len({one, *map(digest, others)}) == 5


def test_digest_tells_host_functions_apart_by_their_order_only() -> None:
    def graph(*functions: Any) -> Graph:
        calls = OpDef("calls", Family.EFFECT, lambda t, a: TOKEN, lambda *_: None, effect=True)
        token = get("token")()
        for function in functions:
            token = calls(token, function=HostFunction(function))
        return Graph("f", (), (token,))

    assert digest(graph(shout, print)) == digest(graph(print, shout))
    found = host_functions(graph(print, shout, print))
    assert found == (HostFunction(print), HostFunction(shout))
    assert digest(graph(shout, shout)) != digest(graph(shout, print))


def test_equal_branches_are_one() -> None:
    p, x = x_of(0, dtype=dtypes.bool_), x_of(1, N)
    both = [
        get("project")(get("branch")(p, x, branches=(of_one("neg", N), other)), index=0)
        for other in (of_one("abs", N, name="a"), of_one("abs", N, name="b"), of_one("neg", N))
    ]
    one, same, different = eliminate_common_subexpressions(Graph("f", (p, x), tuple(both))).outputs
    assert one is same and one is not different


def test_passes_reach_into_the_graphs() -> None:
    x = x_of(0, N)
    twice = Graph("twice", (x,), (get("neg")(get("neg")(x)),))
    two, three = constant(2.0), constant(3.0)
    six = get("broadcast")(get("mul")(two, three), shape=(N,), axes=())
    sums = Graph("sums", (x,), (get("mul")(get("add")(x, six), get("add")(x, six)),))
    graph = fold_constants(simplify(chosen(twice, sums)))
    graph = eliminate_common_subexpressions(graph)
    verify(graph)
    short, merged = graph.outputs[0].inputs[0]["branches"]
    assert short.outputs == short.inputs
    left, right = merged.outputs[0].inputs
    assert left is right
    assert any(node.attrs.get("value") == 6.0 for node in merged.nodes())


def test_what_does_not_change_is_kept() -> None:
    graph = nested(3)
    assert rewrite(graph, lambda node: None) is graph
    negs = [node for node in graph.all_nodes() if node.op.name == "neg"]
    changed = substitute(graph, {neg: get("exp")(neg.inputs[0]) for neg in negs})
    verify(changed)
    assert "exp(" in print_graph(changed) and "neg(" not in print_graph(changed)


# ---------------------------------------------------------------------------------------------
# Verification
# ---------------------------------------------------------------------------------------------


def test_graphs_in_graphs_are_verified() -> None:
    x = x_of(0, N)
    bad = Node(get("neg"), (x,), {}, TensorType(dtypes.float32, (N, 1)), None)
    inner = Graph("inner", (x,), (get("sum")(bad, axes=(1,)),))
    with pytest.raises(VerifyError, match=r"graph inner, %1: its type is f32\[n\]"):
        verify(chosen(inner))
    open_ = Graph("open", (x,), (get("add")(x, x_of(1, N)),))
    with pytest.raises(VerifyError, match="does not list"):
        verify(chosen(open_))


def test_types_of_branches_and_loops() -> None:
    p, x = x_of(0, dtype=dtypes.bool_), x_of(1, 4)
    neg, wide = of_one("neg", 4), Graph("wide", (v := x_of(0, 4),), (get("neg")(v), v))
    with pytest.raises(ShapeError, match=r"results of wide are \(f32\[4\], f32\[4\]\), but should"):
        get("branch")(p, x, branches=(neg, wide))
    with pytest.raises(ShapeError, match=r"inputs of neg are \(f32\[4\]\), but should be \(\)"):
        get("branch")(p, branches=(neg,))
    with pytest.raises(DTypeError, match=r"the index is f32\[4\]"):
        get("branch")(x, x, branches=(neg,))
    with pytest.raises(DTypeError, match=r"the condition is f32\[4\]"):
        get("while")(x, condition=neg, body=neg, carried=1)
    holds = Graph("holds", (x_of(0, 4),), (constant(True, dtypes.bool_),))
    with pytest.raises(ShapeError, match=r"results of sum are \(f32\[\]\)"):
        total = Graph("sum", (v,), (get("sum")(v, axes=(0,)),))
        get("while")(x, condition=holds, body=total, carried=1)
    with pytest.raises(ShapeError, match="hold no state of 2"):
        get("while")(x, condition=holds, body=neg, carried=2)
    with pytest.raises(DTypeError, match="the upper bound is bool"):
        get("fori")(constant(0, dtypes.int64), p, body=Graph("b", (), ()), carried=0)
    with pytest.raises(VerifyError, match="has no part 1"):
        get("project")(get("branch")(p, x, branches=(neg,)), index=1)


# ---------------------------------------------------------------------------------------------
# Interpretation
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 3])
@pytest.mark.parametrize("p", [False, True])
def test_nested_branches_run(n: int, p: bool) -> None:
    x = np.arange(n, dtype=np.float32) - 1
    (found,) = interpret(nested(5), [np.asarray(p), x])
    assert_same_bits(found, -x if p else np.abs(x))


@pytest.mark.parametrize(("index", "factor"), [(-5, 1), (0, 1), (1, 2), (2, 3), (9, 3)])
def test_an_index_outside_counts_as_the_nearest_branch(index: int, factor: int) -> None:
    def times(factor: int) -> Graph:
        x = x_of(0)
        return Graph(f"times {factor}", (x,), (get("mul")(x, constant(float(factor))),))

    i, x = x_of(0, dtype=dtypes.int64), x_of(1)
    result = get("branch")(i, x, branches=tuple(map(times, (1, 2, 3))))
    graph = Graph("f", (i, x), (get("project")(result, index=0),))
    (found,) = interpret(graph, [np.asarray(index), np.asarray(2.0, np.float32)])
    assert found == 2 * factor


def powers(carried: int = 2) -> Graph:
    """while count < n: count, x = count + 1, x * step"""
    count, x = x_of(0, dtype=dtypes.int64), x_of(1, N)
    step, n = x_of(2), x_of(3, dtype=dtypes.int64)
    all_ = (count, x, step, n)
    condition = Graph("condition", all_, (get("lt")(count, n),))
    spread = get("broadcast")(step, shape=(N,), axes=())
    more = get("add")(count, constant(1, dtypes.int64))
    body = Graph("body", all_, (more, get("mul")(x, spread)))
    inputs = tuple(x_of(i, *v.type.shape, dtype=v.type.dtype) for i, v in enumerate(all_))
    loop = get("while")(*inputs, condition=condition, body=body, carried=carried)
    return Graph("f", inputs, tuple(get("project")(loop, index=i) for i in range(2)))


@pytest.mark.parametrize("n", [-1, 0, 1, 5])
def test_a_loop_runs_while_its_condition_holds(n: int) -> None:
    x = np.arange(3, dtype=np.float32)
    graph = powers()
    verify(graph)
    count, found = interpret(graph, [np.asarray(0), x, np.asarray(2.0, np.float32), np.asarray(n)])
    assert count == max(n, 0)
    assert_same_bits(found, x * np.float32(2.0 ** max(n, 0)))


@pytest.mark.parametrize(("lower", "upper"), [(0, 5), (2, 5), (3, 3), (5, 2), (-2, 2)])
def test_a_counted_loop_counts(lower: int, upper: int) -> None:
    i, total = x_of(0, dtype=dtypes.int64), x_of(1, dtype=dtypes.int64)
    body = Graph("body", (i, total), (get("add")(i, total),))
    bounds = x_of(0, dtype=dtypes.int64), x_of(1, dtype=dtypes.int64)
    loop = get("fori")(*bounds, constant(0, dtypes.int64), body=body, carried=1)
    graph = Graph("f", bounds, (get("project")(loop, index=0),))
    assert interpret(graph, [np.asarray(lower), np.asarray(upper)])[0] == sum(range(lower, upper))


def test_tokens_have_no_value() -> None:
    graph = Graph("f", (), (get("token")(), constant(1.0)))
    assert interpret(graph, []) == [None, 1]


def test_an_index_out_of_bounds_in_a_branch_names_its_own_place() -> None:
    x, i = x_of(0, 3), x_of(1, dtype=dtypes.int64)
    with at(Location(powers.__code__, 0)):
        taken = get("take")(x, i, axis=0)
    inner = Graph("inner", (x, i), (taken,))
    with at(Location(nested.__code__, 0)):
        p = x_of(0, dtype=dtypes.bool_)
        result = get("branch")(p, x_of(1, 3), x_of(2, dtype=dtypes.int64), branches=(inner,))
    graph = Graph("f", (p, *result.inputs[1:]), (get("project")(result, index=0),))
    arrays = [np.asarray(True), np.zeros(3, np.float32), np.asarray(3)]
    with pytest.raises(OutOfBoundsError, match=r"^take at .*test_graphs.*index 3") as caught:
        interpret(graph, arrays)
    assert "branch" not in str(caught.value)


def test_what_can_fail_says_how() -> None:
    x, i = x_of(0, 3), x_of(1, 2, dtype=dtypes.int64)
    failing = [op for op in TABLE.all() if op.fails is not None]
    assert {"check", "take", "scatter_add", "sort", "cholesky"} <= {op.name for op in failing}
    assert {op.family for op in failing} == {Family.EFFECT, Family.INDEXING, Family.EXTERN}
    node = get("take")(x, i, axis=0)
    assert node.op.fails is not None
    failure = node.op.fails(node)
    assert failure.kind is OutOfBoundsError and failure.indices is i
    assert failure.message == "{index} is out of bounds for axis 0 of size 3"
