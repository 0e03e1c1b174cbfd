"""Every op mapped over each choice of its inputs: the bits of a loop over the elements, but where
columns become a matrix (tests/compiler/transforms/test_batch.py has their bits)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
import pytest
from tests.bits import assert_same_as_loop
from tests.registry.cases import OPS, Case, drawn, op_cases

from weftc.ir.interpret import interpret
from weftc.ir.node import Graph, Node, result_types
from weftc.ir.opdef import Family, OpDef
from weftc.ir.types import TensorType
from weftc.ops import TABLE, build
from weftc.transforms.batch import batch, is_mapped
from weftrt import dtypes
from weftrt.errors import LinAlgError, TraceError

MAPPED = [op for op in OPS if op.family not in (Family.SOURCE, Family.STRUCTURE) and not op.effect]
EFFECTS = [op for op in OPS if op.effect]
SIZES = (3, 1, 0)


def inputs_of(types: Sequence[TensorType]) -> list[Node]:
    return [build.argument(place, f"x{place}", type_) for place, type_ in enumerate(types)]


def parts(node: Node) -> list[Node]:
    """The results of a node, one by one."""
    results = result_types(node)
    if node.is_tensor:
        return [node]
    return [TABLE["project"](node, index=index) for index in range(len(results))]


def check_map(op: OpDef, case: Case, chosen: Sequence[bool], size: int) -> None:
    random = np.random.default_rng(11)
    inputs = inputs_of(case.types)
    outputs = parts(op(*inputs, **case.attrs))
    types = [t.with_shape((size, *t.shape)) if c else t for t, c in zip(case.types, chosen)]
    given = inputs_of(types)
    mapped = batch(outputs, dict(zip(inputs, given)), size)
    draws = [drawn(op, case.types, case.attrs, random) for _ in range(size)]
    rows = [[d if c else a for d, a, c in zip(draw, case.arrays, chosen)] for draw in draws]
    stacks = [
        np.array([row[place] for row in rows], array.dtype).reshape(size, *array.shape)
        if chosen[place]
        else array
        for place, array in enumerate(case.arrays)
    ]
    found = interpret(Graph("mapped", tuple(given), tuple(mapped)), stacks)
    single = Graph("single", tuple(inputs), tuple(outputs))
    expected = [interpret(single, row) for row in rows]
    for place, (before, after, value) in enumerate(zip(outputs, mapped, found, strict=True)):
        if is_mapped(before, after):
            assert value.shape == (size, *before.type.shape)
        for number, row in enumerate(expected):
            own = value[number] if is_mapped(before, after) else value
            if case.attrs.get("column_sum") and chosen == (False, True):
                finite = np.isfinite(own) & np.isfinite(row[place])
                np.testing.assert_allclose(own[finite], row[place][finite], rtol=1e-12, atol=1e-12)
            else:
                assert_same_as_loop(own, row[place])


def choices(case: Case) -> Iterator[tuple[bool, ...]]:
    """Each choice of at least one input."""
    return (chosen for chosen in product((False, True), repeat=len(case.types)) if any(chosen))


def small_cases(op: OpDef) -> list[Case]:
    cases = [c for c in op_cases(op) if sum(array.size for array in c.arrays) <= 300]
    assert cases
    return cases


@pytest.mark.parametrize("op", MAPPED, ids=lambda op: op.name)
def test_mapped_op_gives_the_bits_of_a_loop(op: OpDef) -> None:
    for case in small_cases(op):
        for chosen in choices(case):
            check_map(op, case, chosen, SIZES[0])


@pytest.mark.parametrize("op", MAPPED, ids=lambda op: op.name)
def test_one_element_and_none_are_mapped_too(op: OpDef) -> None:
    for case in small_cases(op)[-8:]:
        for chosen, size in product(choices(case), SIZES[1:]):
            check_map(op, case, chosen, size)


def fails_for_values(op: OpDef) -> bool:
    case = op_cases(op)[0]
    inputs = inputs_of(case.types)
    return op.fails is not None and op.fails(op(*inputs, **case.attrs)).kind is LinAlgError


@pytest.mark.parametrize("mapped", [True, False])
@pytest.mark.parametrize("op", list(filter(fails_for_values, MAPPED)), ids=lambda op: op.name)
def test_elements_that_do_not_come_to_an_op_do_not_fail(op: OpDef, mapped: bool) -> None:
    """Of a branch with the op and one without, each takes its own."""
    random = np.random.default_rng(12)
    for case in (c for c in op_cases(op) if c.arrays[0].size > 1):
        inputs = inputs_of(case.types)
        found = parts(op(*inputs, **case.attrs))
        there = Graph("there", tuple(inputs), tuple(found))
        others = inputs_of(case.types)
        elsewhere = Graph("elsewhere", tuple(others), tuple(map(_zeros, found)))
        index, *operands = outer = inputs_of([TensorType(dtypes.bool_, ()), *case.types])
        results = parts(TABLE["branch"](index, *operands, branches=(elsewhere, there)))
        types = [
            t.with_shape((3, *t.shape)) if n < 1 + mapped else t
            for n, t in enumerate(_types(outer))
        ]
        given = inputs_of(types)
        whole = Graph("mapped", tuple(given), tuple(batch(results, dict(zip(outer, given)), 3)))
        first, *rest = drawn(op, case.types, case.attrs, random)
        bad = [np.zeros_like(first), np.full_like(first, np.nan)]
        if not mapped:  # nobody comes there
            for matrix in bad:
                for value in interpret(whole, [np.zeros(3, bool), matrix, *rest]):
                    assert not value.any()
            continue
        values = interpret(whole, [np.array([True, False, False]), np.stack([first, *bad]), *rest])
        for value, alone in zip(values, interpret(there, [first, *rest]), strict=True):
            assert_same_as_loop(value[0], alone)
            assert not value[1:].any()


def _zeros(node: Node) -> Node:
    return build.like(0.0 if node.type.dtype.is_float else 0, node)


def _types(nodes: Sequence[Node]) -> list[TensorType]:
    return [node.type for node in nodes]


@pytest.mark.parametrize("op", EFFECTS, ids=lambda op: op.name)
def test_effect_is_refused(op: OpDef) -> None:
    types, attrs = next((t, a) for t, a in op.samples() if len(t) > 1) if op.samples else ((), {})
    token = TABLE["token"]()
    inputs = inputs_of(types[1:])
    node = op(token, *inputs, **attrs)
    outputs = [node] if node.value_type == types[0] else parts(node)[:1]
    given = inputs_of([t.with_shape((2, *t.shape)) for t in types[1:]])
    with pytest.raises(TraceError, match=r"an effect .* cannot be mapped"):
        batch(outputs, dict(zip(inputs, given)), 2)
