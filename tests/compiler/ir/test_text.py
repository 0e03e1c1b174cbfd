"""Graphs as text: printing, parsing, verifying."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weftc.ir.digest import digest
from weftc.ir.location import Location, at
from weftc.ir.node import Graph, Node
from weftc.ir.opdef import Family, HostFunction, OpDef
from weftc.ir.parse import parse_graph
from weftc.ir.print import Canonical, print_attr, print_graph
from weftc.ir.sizes import Dim
from weftc.ir.types import TensorType, ValueType
from weftc.ir.verify import verify
from weftc.ops import TABLE, get
from weftrt import dtypes
from weftrt.errors import VerifyError

N, M = Dim.symbol("n"), Dim.symbol("m")


def make_input(index: int, *shape: Any, dtype: dtypes.DType = dtypes.float32) -> Node:
    return get("input")(index=index, name=f"x{index}", dtype=dtype, shape=shape)


def input_of(index: int, type_: ValueType) -> Node:
    if isinstance(type_, TensorType):
        return make_input(index, *type_.shape, dtype=type_.dtype)
    return get("input")(index=index, name="token", dtype=None, shape=())


def sample_graph() -> Graph:
    x, y = make_input(0, N, 4), make_input(1, 4)
    spread = get("broadcast")(y, shape=(N, 4), axes=(1,))
    total = get("sum")(get("mul")(x, spread), axes=(1,))
    zero = get("constant")(value=-0.0, dtype=dtypes.float32)
    padded = get("pad")(total, zero, low=(1,), high=(N,), interior=(0,))
    return Graph("f", (x, y), (padded, total))


def test_text_of_a_graph() -> None:
    assert print_graph(sample_graph()) == (
        "graph f\n"
        '  %0 = input() {index=0, name="x0", dtype=f32, shape=(n, 4)} : f32[n,4]\n'
        '  %1 = input() {index=1, name="x1", dtype=f32, shape=(4,)} : f32[4]\n'
        "  %2 = broadcast(%1) {shape=(n, 4), axes=(1,)} : f32[n,4]\n"
        "  %3 = mul(%0, %2) : f32[n,4]\n"
        "  %4 = sum(%3) {axes=(1,)} : f32[n]\n"
        "  %5 = constant() {value=-0.0, dtype=f32} : f32[]\n"
        "  %6 = pad(%4, %5) {low=(1,), high=(n,), interior=(0,)} : f32[2*n+1]\n"
        "  return %6, %4\n"
    )


def test_parsing_gives_the_graph_back() -> None:
    graph = sample_graph()
    text = print_graph(graph)
    parsed = parse_graph(text)
    assert print_graph(parsed) == text
    assert digest(parsed) == digest(graph)
    assert [i["name"] for i in parsed.inputs] == ["x0", "x1"]
    verify(parsed)


def test_every_sample_of_every_op_round_trips() -> None:
    for op in TABLE.all():
        for types, attrs in op.samples() if op.samples else ():
            if op.name == "project":  # of what only other ops make: see test_graphs
                continue
            inputs = tuple(input_of(index, type_) for index, type_ in enumerate(types))
            graph = Graph("f", inputs, (op(*inputs, **attrs),))
            text = print_graph(graph)
            functions = [v.function for v in attrs.values() if isinstance(v, HostFunction)]
            assert print_graph(parse_graph(text, functions)) == text


_ATOMS: Any = st.one_of(
    st.booleans(),
    st.none(),
    st.integers(),
    st.floats(),
    st.text(),
    st.sampled_from(dtypes.REAL),
    st.sampled_from([N, N * M, N * 4 - M * M + 3, N * -1 - 1]),
)


@given(st.recursive(_ATOMS, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=8))
def test_every_attribute_reads_back(value: Any) -> None:
    text = f"graph f\n  %0 = input() {{index=0, name={print_attr(value)}, dtype=f32, shape=()}}"
    read = parse_graph(f"{text} : f32[]\n  return %0\n").inputs[0]["name"]
    assert type(read) is type(value)
    assert repr(read) == repr(value)


def test_locations_are_comments() -> None:
    with at(Location(sample_graph.__code__, 0)):
        graph = sample_graph()
    text = print_graph(graph, str)
    assert "# " in text and "test_text.py" in text
    assert print_graph(parse_graph(text)) == print_graph(graph)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("%1 = frobnicate(%0) : f32[4]", "frobnicate"),
        ("%1 = neg(%7) : f32[4]", "%7"),
        ("%1 = neg(%0) : f32[5]", r"is f32\[4\], not f32\[5\]"),
        ("%1 = neg(%0) & : f32[4]", "cannot read"),
        ("%1 = neg(%0)", "':'"),
        ("%1 = add(%0) : f32[4]", "takes 2 arrays"),
    ],
)
def test_bad_text_is_refused_with_its_line(line: str, message: str) -> None:
    head = 'graph f\n  %0 = input() {index=0, name="x", dtype=f32, shape=(4,)} : f32[4]\n'
    with pytest.raises(VerifyError, match=message) as caught:
        parse_graph(f"{head}  {line}\n  return %0\n")
    assert "line 3" in str(caught.value)


@pytest.mark.parametrize("name", ["branch", "callback", "constant", "pad"])
def test_damaged_text_is_refused_in_words(name: str) -> None:
    op = get(name)
    assert op.samples is not None
    types, attrs = op.samples()[-1]
    inputs = tuple(input_of(index, type_) for index, type_ in enumerate(types))
    text = print_graph(Graph("f", inputs, (op(*inputs, **attrs),)))
    for place in range(text.rindex("return")):
        with pytest.raises(VerifyError):
            parse_graph(text[:place])
        with suppress(VerifyError):
            parse_graph(text[:place] + text[place + 1 :])


def test_text_without_return_is_refused() -> None:
    with pytest.raises(VerifyError, match="return"):
        parse_graph("graph f\n")


def test_symbols_that_are_words_cannot_be_printed() -> None:
    with pytest.raises(VerifyError, match="symbol"):
        print_attr(Dim.symbol("inf"))


# ---------------------------------------------------------------------------------------------
# verify
# ---------------------------------------------------------------------------------------------


def test_a_good_graph_verifies() -> None:
    verify(sample_graph())


def test_wrong_types_are_found_with_the_lines_around() -> None:
    x = make_input(0, 4)
    bad = Node(get("neg"), (x,), {}, TensorType(dtypes.float32, (5,)), None)
    with pytest.raises(VerifyError) as caught:
        verify(Graph("f", (x,), (get("abs")(bad),)))
    assert "> %1 = neg(%0) : f32[5]" in str(caught.value)
    assert "%2 = abs(%1)" in str(caught.value)


def test_inputs_must_be_listed_once() -> None:
    x, y = make_input(0, 4), make_input(1, 4)
    total = get("add")(x, y)
    with pytest.raises(VerifyError, match="does not list"):
        verify(Graph("f", (x,), (total,)))
    with pytest.raises(VerifyError, match="twice"):
        verify(Graph("f", (x, y, x), (total,)))
    with pytest.raises(VerifyError, match="not an input"):
        verify(Graph("f", (x, y, total), (total,)))


def test_unknown_ops_and_attributes_are_found() -> None:
    x = make_input(0, 4)
    known = get("neg")
    unknown = OpDef("neg", Family.POINTWISE, known.infer, known.reference)
    with pytest.raises(VerifyError, match="not a registered op"):
        verify(Graph("f", (x,), (unknown(x),)))
    with pytest.raises(VerifyError, match="cannot be printed"):
        verify(Graph("f", (x,), (known(x, extra=[1]),)))


# ---------------------------------------------------------------------------------------------
# digest
# ---------------------------------------------------------------------------------------------


def test_digest_ignores_names_locations_and_unused_nodes() -> None:
    def graph(name: str) -> Graph:
        x = get("input")(index=0, name=name, dtype=dtypes.float32, shape=(4,))
        return Graph(name, (x,), (get("exp" if "exp" in TABLE else "neg")(x),))

    with at(Location(sample_graph.__code__, 0)):
        one = graph("a")
    assert digest(one) == digest(graph("b"))


def test_digest_sees_operands_constants_types_and_outputs() -> None:
    x, y = make_input(0, 4), make_input(1, 4)
    wide = make_input(0, 4, dtype=dtypes.float64)
    sub = get("sub")

    def constant(value: float) -> Graph:
        return Graph("f", (), (get("constant")(value=value, dtype=dtypes.float32),))

    graphs = [
        Graph("f", (x, y), (sub(x, y),)),
        Graph("f", (x, y), (sub(y, x),)),
        Graph("f", (x, y), (x,)),
        Graph("f", (x, y), (y,)),
        Graph("f", (wide,), (get("neg")(wide),)),
        Graph("f", (x,), (get("neg")(x),)),
        constant(0.0),
        constant(-0.0),
        constant(math.inf),
        constant(math.nan),
    ]
    assert len({digest(g) for g in graphs}) == len(graphs)


def test_canonical_text_tells_apart_what_print_does() -> None:
    numbers = [0, 0.0, -0.0, False, 1, 1.0, True, math.nan, math.inf, None]
    words = ["", "0", "1", "n", "nan", "none", "true", "f32", "(1,)"]
    others = [N, N * 2, dtypes.float32, dtypes.float64, (), (1,), (1.0,), ("1",), (N,), ((1,),)]
    values = [*numbers, *words, *others]
    kind = TensorType(dtypes.float32, ())
    nodes = [Node(get("constant"), (), {"value": value}, kind, None) for value in values]
    assert len(set(map(Canonical().attrs, nodes))) == len(values)
    assert len(set(map(print_attr, values))) == len(values)


def test_digest_is_the_same_for_nan_constants() -> None:
    def constant() -> Graph:
        return Graph("f", (), (get("constant")(value=float("nan"), dtype=dtypes.float32),))

    assert digest(constant()) == digest(constant())


def test_constraints_and_quotients_read_back() -> None:
    text = (
        "graph f\n"
        "  where (m+n) % 2 == 0, (m*n) % 4 == 0, n//2 >= 1, n <= 2*m, n != 3, min(m,7) == 7\n"
        '  %0 = input() {index=0, name="x", dtype=f32, shape=(n, m)} : f32[n,m]\n'
        "  %1 = reshape(%0) {shape=(4, (m*n)//4)} : f32[4,(m*n)//4]\n"
        "  %2 = slice(%1) {start=(0, 0), stop=(4, min((m*n)//4,2)), step=(1, 1)} "
        ": f32[4,min((m*n)//4,2)]\n"
        "  %3 = reshape(%2) {shape=(2*min((m*n)//4,2), 2)} : f32[2*min((m*n)//4,2),2]\n"
        "  %4 = sum(%3) {axes=(1,)} : f32[2*min((m*n)//4,2)]\n"
        "  return %4\n"
    )
    graph = parse_graph(text)
    assert print_graph(graph) == text
    verify(graph)
