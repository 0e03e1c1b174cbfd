"""Mapping whole graphs: what stays as it is; the single rules are in tests/registry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits

from weftc.ir.interpret import interpret
from weftc.ir.node import Graph, Node
from weftc.ir.sizes import Dim, Size
from weftc.ir.types import TensorType
from weftc.ir.verify import verify
from weftc.ops import build, get
from weftc.transforms.batch import batch, is_mapped
from weftrt import dtypes
from weftrt.errors import OutOfBoundsError, ShapeError

N = 4
RNG = np.random.default_rng(5)


def make_input(index: int, *shape: Size, dtype: dtypes.DType = dtypes.float64) -> Node:
    return build.argument(index, f"x{index}", TensorType(dtype, shape))


def mapped_of(node: Node, index: int, size: Size = N) -> Node:
    return make_input(index, size, *node.type.shape, dtype=node.type.dtype)


def run(outputs: Sequence[Node], inputs: Sequence[Node], arrays: Sequence[Any]) -> list[Any]:
    graph = Graph("mapped", tuple(inputs), tuple(outputs))
    verify(graph)
    return interpret(graph, [np.asarray(a) for a in arrays])


def test_what_is_the_same_for_all_is_kept() -> None:
    x, y = make_input(0, 3), make_input(1, 3)
    shared = get("exp")(y)
    xs = mapped_of(x, 0)
    product, kept, given = batch([get("mul")(x, shared), shared, y], {x: xs}, N)
    assert is_mapped(x, product)
    assert kept is shared
    assert given is y
    operand = next(i for i in product.inputs if i is not xs)
    assert operand.op.name == "broadcast"
    assert operand.inputs[0] is shared


def test_inputs_may_be_replaced_without_being_mapped() -> None:
    x, y = make_input(0, 3), make_input(1, 3)
    other = make_input(7, 3)
    (found,) = batch([get("add")(x, y)], {y: other}, N)
    assert found.inputs == (x, other)


@pytest.mark.parametrize("size", [N, Dim.symbol("n")])
@pytest.mark.parametrize("chosen", [(True, False), (False, True), (True, True)])
def test_product_stays_one_contraction(chosen: tuple[bool, bool], size: Size) -> None:
    operands = make_input(0, 2, 3), make_input(1, 3, 5)
    product = get("contract")(*operands, batch=((), ()), contracted=((1,), (0,)))
    given = [mapped_of(o, n, size) if c else o for n, (o, c) in enumerate(zip(operands, chosen))]
    (found,) = batch([product], dict(zip(operands, given)), size)
    assert found.type.shape == (size, 2, 5)
    inner = found if found.op.name == "contract" else found.inputs[0]
    assert inner.op.name == "contract"
    assert list(inner.inputs) == given
    assert found is inner or chosen == (False, True)


@pytest.mark.parametrize("rows", [(4,), (1,), ()])
def test_columns_become_a_matrix(rows: tuple[int, ...]) -> None:
    """The product of all columns, as rows, with the matrix that they have in common: with its bits,
    sums of rounded products if that has one row."""
    matrix, column = make_input(0, *rows, 70), make_input(1, 70)
    attrs = {"batch": ((), ()), "contracted": ((len(rows),), (0,))}
    product = get("contract")(matrix, column, **attrs, column_sum=True)
    columns = mapped_of(column, 1)
    (found,) = batch([product], {column: columns}, N)
    assert [node.op.name for node in Graph("f", (matrix, columns), (found,)).nodes()].count(
        "contract"
    ) == 1
    more = {} if rows == (4,) else {"column_sum": True}
    by_hand = get("contract")(
        columns, matrix, batch=((), ()), contracted=((1,), (len(rows),)), **more
    )
    values = [RNG.standard_normal((*rows, 70)), RNG.standard_normal((N, 70))]
    found, expected = run([found, by_hand], [matrix, columns], values)
    assert_same_bits(found, expected)


@pytest.mark.parametrize("chosen", [(True, False), (True, True)])
def test_column_of_mapped_matrices_stays_one(chosen: tuple[bool, bool]) -> None:
    operands = make_input(0, 2, 3), make_input(1, 3)
    attrs = {"batch": ((), ()), "contracted": ((1,), (0,)), "column_sum": True}
    product = get("contract")(*operands, **attrs)
    given = [mapped_of(o, n) if c else o for n, (o, c) in enumerate(zip(operands, chosen))]
    (found,) = batch([product], dict(zip(operands, given)), N)
    assert found.op.name == "contract" and found.attrs["column_sum"]


def turning(n: Node, x: Node) -> list[Node]:
    """(turns, x doubled n times): the state (i, x), and a constant n."""
    i, y, limit = (build.argument(k, f"s{k}", t.type) for k, t in enumerate((n, x, n)))
    one = build.constant(1, dtypes.int64)
    condition = Graph("condition", (i, y, limit), (get("lt")(i, limit),))
    body = Graph("body", (i, y, limit), (get("add")(i, one), get("add")(y, y)))
    start = build.constant(0, dtypes.int64)
    loop = get("while")(start, x, n, condition=condition, body=body, carried=2)
    return [get("project")(loop, index=k) for k in range(2)]


def test_state_of_a_loop_is_mapped_only_where_it_differs() -> None:
    n, x = make_input(0, dtype=dtypes.int64), make_input(1, 3)
    xs = mapped_of(x, 1)
    outputs = turning(n, x)
    turns, doubled = batch(outputs, {x: xs}, N)
    assert (is_mapped(outputs[0], turns), is_mapped(outputs[1], doubled)) == (False, True)
    (holds,) = turns.inputs[0]["condition"].outputs
    assert holds.op.name == "lt"
    values = RNG.standard_normal((N, 3))
    found = run([turns, doubled], [n, xs], [np.int64(3), values])
    assert found[0] == 3
    assert_same_bits(found[1], values * 8)


def test_loop_turns_for_each_element_as_often_as_it_asks() -> None:
    n, x = make_input(0, dtype=dtypes.int64), make_input(1, 3)
    ns = mapped_of(n, 0)
    found = batch(turning(n, x), {n: ns}, N)
    counts, values = np.array([0, 3, 1, -2]), RNG.standard_normal(3)
    turns, doubled = run(found, [ns, x], [counts, values])
    assert turns.tolist() == [0, 3, 1, 0]
    assert_same_bits(doubled, np.stack([values * 2.0**k for k in (0, 3, 1, 0)]))


def choosing(index: Node, table: Node, place: Node) -> Node:
    """table[place] in branch 1, else 0."""
    t, p = (build.argument(k, f"o{k}", o.type) for k, o in enumerate((table, place)))
    zero = Graph("zero", (t, p), (build.constant(0.0, dtypes.float64),))
    one = Graph("one", (t, p), (get("take")(t, p, axis=0),))
    branch = get("branch")(index, table, place, branches=(zero, one))
    return get("project")(branch, index=0)


@pytest.mark.parametrize("place_is_mapped", [False, True])
def test_branch_that_is_not_taken_does_not_fail(place_is_mapped: bool) -> None:
    index = make_input(0, dtype=dtypes.bool_)
    table, place = make_input(1, 3), make_input(2, dtype=dtypes.int64)
    indices = mapped_of(index, 0)
    places = mapped_of(place, 2) if place_is_mapped else place
    (found,) = batch([choosing(index, table, place)], {index: indices, place: places}, N)
    inputs, values = [indices, table, places], np.array([5.0, 6.0, 7.0])
    beyond = np.array([9, 1, 9, -3]) if place_is_mapped else np.int64(9)
    chosen = np.array([False, place_is_mapped, False, place_is_mapped])
    expected = [0, 6, 0, 5] if place_is_mapped else [0, 0, 0, 0]
    assert run([found], inputs, [chosen, values, beyond])[0].tolist() == expected
    with pytest.raises(OutOfBoundsError):
        run([found], inputs, [~chosen, values, beyond])


def test_value_of_too_many_axes_is_told() -> None:
    x = make_input(0, *(1,) * 8)
    with pytest.raises(ShapeError, match="exp gives 9 axes, the mapped one included"):
        batch([get("exp")(x)], {x: mapped_of(x, 0)}, N)


def test_kernels_may_have_more_axes_on_the_way() -> None:
    x = make_input(0, *(1,) * 7, 3)
    xs = mapped_of(x, 0)
    (found,) = batch([get("sum")(get("exp")(x), axes=(7,))], {x: xs}, N)
    values = RNG.standard_normal((N, *x.type.shape))
    (result,) = run([found], [xs], [values])
    np.testing.assert_allclose(result, np.exp(values).sum(-1))
