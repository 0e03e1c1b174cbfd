"""Walks the table of ops: every record is complete, and its rules agree with each other."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.places import is_wholly_read, moved
from tests.registry.cases import (
    OPS,
    SYMMETRIC,
    Case,
    conditioned,
    indices,
    op_cases,
    symmetric,
)
from tests.registry.numpy_puller import pulled

from weftc.ir.index_map import Coverage
from weftc.ir.interpret import interpret
from weftc.ir.node import Graph, Node
from weftc.ir.opdef import Attr, Family, HostFunction, OpDef
from weftc.ir.sizes import static_shape
from weftc.ir.types import TensorType, TupleType, ValueType
from weftc.loop import scalar
from weftc.loop.ir import LoopType, Var
from weftc.ops import TABLE
from weftc.ops.control import INT
from weftc.ops.structure import project
from weftc.transforms.jvp import jvp
from weftc.transforms.vjp import has_floats, vjp
from weftrt import dtypes

POINTWISE = [op for op in OPS if op.family is Family.POINTWISE]
MOVEMENT = [op for op in OPS if op.family is Family.MOVEMENT]
PULLED = [op for op in OPS if op.pull is not None]
DIFFERENTIABLE = [op for op in OPS if op.vjp is not None and op.name != "while"]
PUSHED = [op for op in OPS if op.vjp is not None or op.jvp is not None]


def inputs_of(types: tuple[TensorType, ...]) -> list[Node]:
    named = enumerate(types)
    return [TABLE["input"](index=i, name=f"x{i}", dtype=t.dtype, shape=t.shape) for i, t in named]


def has_float(types: tuple[Any, ...]) -> bool:
    return any(isinstance(t, TensorType) and t.dtype.is_float for t in types)


def flat_attr(value: Attr) -> Iterator[Attr]:
    if not isinstance(value, tuple):
        yield value
        return
    for item in value:
        yield from flat_attr(item)


def node_of(op: OpDef, case: Case) -> Node:
    return op(*inputs_of(case.types), **case.attrs)


def referenced(op: OpDef, case: Case) -> Any:
    type_ = op.infer(case.types, case.attrs)
    return op.reference(case.arrays, case.attrs, type_)


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_record_is_complete(op: OpDef) -> None:
    cases = op_cases(op)
    assert cases, "an op whose inputs do not follow from its family needs samples"
    assert (op.lower is not None) == (op.family is Family.POINTWISE)
    assert (op.view is not None) == (op.family is Family.MOVEMENT)
    if op.family is Family.SOURCE:
        assert op.pull is not None
    if op.family is Family.REDUCTION:
        assert op.combine is not None
    assert (op.extern is not None) == (op.family is Family.EXTERN)
    held = {type(value) for case in cases for value in flat_attr(tuple(case.attrs.values()))}
    assert op.holds_graphs == (Graph in held)
    assert op.effect or HostFunction not in held
    for case in cases:
        result = op.infer(case.types, case.attrs)
        differs = has_float(case.types) and any(t.dtype.is_float for t in results_of(result))
        if differs and not op.effect and op.family is not Family.STRUCTURE:
            assert op.vjp is not None, "an op from floats to floats needs a gradient"
            assert op.jvp is not None or not op.holds_graphs, "it has tangents of its own"


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_reference_has_the_inferred_type_and_keeps_its_inputs(op: OpDef) -> None:
    for case in op_cases(op):
        before = copy.deepcopy(case.arrays)
        type_ = op.infer(case.types, case.attrs)
        check_type(op.reference(case.arrays, case.attrs, type_), type_)
        for array, kept in zip(flat(case.arrays), flat(before), strict=True):
            assert_same_bits(array, kept)


def check_type(value: Any, type_: ValueType) -> None:
    if isinstance(type_, TupleType):
        for item, item_type in zip(value, type_.items, strict=True):
            check_type(item, item_type)
    elif isinstance(type_, TensorType):
        assert (value.shape, value.dtype) == (type_.shape, type_.dtype.dtype)
    else:
        assert value is None


def flat(values: Any) -> list[Any]:
    """The arrays among values, out of their tuples."""
    if isinstance(values, (list, tuple)):
        return [array for value in values for array in flat(value)]
    return [] if values is None else [values]


@pytest.mark.parametrize("op", POINTWISE, ids=lambda op: op.name)
def test_scalar_term_gives_the_bits_of_the_reference(op: OpDef) -> None:
    assert op.lower is not None
    for case in op_cases(op):
        scalars = tuple(Var(f"x{i}", LoopType(t.dtype)) for i, t in enumerate(case.types))
        result = op.infer(case.types, case.attrs)
        term = op.lower(scalars, result.dtype, case.attrs)
        assert term.type.dtype is result.dtype, case.types
        value = scalar.evaluate_expr(term, dict(zip(scalars, case.arrays)))
        assert_same_bits(value, referenced(op, case))


@pytest.mark.parametrize("op", PULLED, ids=lambda op: op.name)
def test_pull_gives_the_bits_of_the_reference(op: OpDef) -> None:
    for case in op_cases(op):
        value = pulled(node_of(op, case), case.arrays)
        assert_same_bits(value, np.asarray(referenced(op, case)))


@pytest.mark.parametrize("op", MOVEMENT, ids=lambda op: op.name)
def test_view_reads_the_bits_of_the_reference(op: OpDef) -> None:
    for case in op_cases(op):
        node = node_of(op, case)
        assert_same_bits(moved(node, case.arrays), np.asarray(referenced(op, case)))
        for map_, operand in zip(node.maps, node.inputs, strict=True):
            assert (map_.shape, map_.operand) == (node.type.shape, operand.type.shape)
            assert map_.coverage is Coverage.SOME or is_wholly_read(map_)


# ---------------------------------------------------------------------------------------------
# Gradients
# ---------------------------------------------------------------------------------------------


def gradient_case(op: OpDef, case: Case, random: np.random.Generator) -> Case:
    """`case` with floats drawn from the op's domain."""
    arrays = [
        random.uniform(*op.domain, static_shape(t.shape)) if t.dtype is dtypes.float64 else a
        for t, a in zip(case.types, case.arrays)
    ]
    if op.family is Family.INDEXING:
        arrays[1] = indices(case.types[1], arrays[0].shape[case.attrs["axis"]], random)
    return case._replace(arrays=conditioned(op, arrays))


def numeric_gradient(op: OpDef, case: Case, cotangents: list[Any], operand: int) -> Any:
    step = 1e-6
    result = np.zeros_like(case.arrays[operand])
    for place in np.ndindex(result.shape):
        sides = []
        for sign in (1, -1):
            arrays = [a.copy() for a in case.arrays]
            arrays[operand][place] += sign * step
            values = flat([referenced(op, case._replace(arrays=arrays))])
            sides.append(sum(np.sum(c * v) for c, v in zip(cotangents, values, strict=True)))
        result[place] = (sides[0] - sides[1]) / (2 * step)
    return symmetric(result) if op.name in SYMMETRIC else result


def results_of(type_: ValueType) -> list[TensorType]:
    """The types of the tensors that a node gives."""
    items = type_.items if isinstance(type_, TupleType) else (type_,)
    return [item for item in items if isinstance(item, TensorType)]


def computed(op: OpDef, inputs: list[Node], case: Case) -> Node:
    """`op` of these inputs; how often a loop turns is known, as reverse mode wants it."""
    operands = list(inputs)
    if op.name == "fori":
        operands[:2] = [TABLE["constant"](value=int(a), dtype=INT.dtype) for a in case.arrays[:2]]
    return op(*operands, **case.attrs)


def check_gradient(op: OpDef, case: Case, random: np.random.Generator) -> None:
    inputs = inputs_of(case.types)
    node = computed(op, inputs, case)
    types = results_of(node.value_type)
    parts = [node] if len(types) == 1 else [project(node, index=i) for i in range(len(types))]
    floats = [t if t.dtype.is_float else TensorType(dtypes.float64, ()) for t in types]
    cotangents = [
        random.standard_normal(static_shape(f.shape)) * (f is t) for f, t in zip(floats, types)
    ]
    given = inputs_of((*case.types, *floats))
    gs = given[len(inputs) :]
    found = vjp(parts, [g if t.dtype.is_float else None for g, t in zip(gs, types)], inputs)
    wanted = [f for f in found if f is not None]
    graph = Graph("gradient", (*inputs, *gs), tuple(wanted))
    values = iter(interpret(graph, [*case.arrays, *cotangents]))
    for operand, part in enumerate(found):
        if case.types[operand].dtype is not dtypes.float64:
            assert part is None
            continue
        numeric = numeric_gradient(op, case, cotangents, operand)
        value = next(values) if part is not None else np.zeros_like(numeric)
        assert value.shape == numeric.shape
        np.testing.assert_allclose(value, numeric, rtol=2e-6, atol=2e-7, err_msg=f"{op} {operand}")


def is_small_and_smooth(op: OpDef, case: Case) -> bool:
    results = results_of(op.infer(case.types, case.attrs))
    return (
        any(result.dtype is dtypes.float64 for result in results)
        and any(t.dtype is dtypes.float64 for t in case.types)
        and sum(a.size for a in case.arrays) <= 60
    )


@pytest.mark.parametrize("op", DIFFERENTIABLE, ids=lambda op: op.name)
def test_gradient_against_central_differences(op: OpDef) -> None:
    random = np.random.default_rng(7)
    cases = [c for c in op_cases(op) if is_small_and_smooth(op, c)]
    assert cases, f"{op} has no float64 case to check its gradient on"
    if op.name == "stop_gradient":
        inputs = inputs_of(cases[0].types)
        assert vjp([op(*inputs)], inputs, inputs) == [None]
        return
    for case in cases:
        check_gradient(op, gradient_case(op, case, random), random)


# ---------------------------------------------------------------------------------------------
# Tangents
# ---------------------------------------------------------------------------------------------


def parts_of(node: Node) -> list[Node]:
    """The tensors that a node gives."""
    if not isinstance(node.value_type, TupleType):
        return [node] if node.is_tensor else []
    parts = [project(node, index=i) for i in range(len(node.value_type.items))]
    return [part for part in parts if part.is_tensor]


class Pushed:
    """An op over one case, with tangents of its inputs, and cotangents of its results."""

    def __init__(self, op: OpDef, case: Case, random: np.random.Generator) -> None:
        self.op, self.case = op, case
        self.inputs = inputs_of(case.types)
        self.outputs = parts_of(computed(op, self.inputs, case))
        floats = list(filter(has_floats, (*self.inputs, *self.outputs)))
        given = inputs_of((*case.types, *(node.type for node in floats)))
        given = given[len(self.inputs) :]
        self.given = dict(zip(floats, given))
        self.graph_inputs = (*self.inputs, *given)
        self.directions = {
            node: np.asarray(random.standard_normal(static_shape(node.type.shape)))
            for node in floats
        }
        if op.name in SYMMETRIC:
            self.directions[self.inputs[0]] = symmetric(self.directions[self.inputs[0]])
        tangents = [self.given.get(node) for node in self.inputs]
        self.values, self.tangents = jvp(self.outputs, self.inputs, tangents)

    def run(self, nodes: list[Node | None]) -> list[Any]:
        """What these nodes hold; None for None."""
        graph = Graph("pushed", self.graph_inputs, tuple(n for n in nodes if n is not None))
        arrays = [*self.case.arrays, *self.directions.values()]
        values = iter(interpret(graph, arrays))
        return [None if node is None else next(values) for node in nodes]

    def slopes(self) -> list[Any]:
        """What jvp gives for the results, by central differences."""
        step, sides = 1e-6, []
        for sign in (1, -1):
            arrays = [
                array + sign * step * self.directions.get(node, 0) if node.is_tensor else array
                for node, array in zip(self.inputs, self.case.arrays)
            ]
            arrays = [a.astype(c.dtype) for a, c in zip(arrays, self.case.arrays)]
            sides.append(flat([referenced(self.op, self.case._replace(arrays=arrays))]))
        return [(high - low) / (2 * step) for high, low in zip(*sides, strict=True)]

    def product(self, nodes: list[Node], found: list[Any]) -> float:
        """The inner product of what was found for these nodes with their directions."""
        pairs = zip(nodes, found, strict=True)
        return sum(np.sum(self.directions[n] * f) for n, f in pairs if f is not None)


def check_tangents(op: OpDef, case: Case, random: np.random.Generator) -> None:
    pushed = Pushed(op, case, random)
    for value, known in zip(pushed.run([*pushed.values]), pushed.run([*pushed.outputs])):
        assert_same_bits(value, known)
    found = pushed.run(pushed.tangents)
    for output, part, slope in zip(pushed.outputs, found, pushed.slopes(), strict=True):
        if has_floats(output):
            value = np.zeros_like(slope) if part is None else part
            assert (value.dtype, value.shape) == (output.type.dtype.dtype, output.type.shape)
            np.testing.assert_allclose(value, slope, rtol=2e-6, atol=2e-7, err_msg=op.name)
        else:
            assert part is None
    if op in DIFFERENTIABLE:
        sent = vjp(pushed.outputs, [pushed.given.get(o) for o in pushed.outputs], pushed.inputs)
        forward, reverse = (
            pushed.product(nodes, values)
            for nodes, values in ((pushed.outputs, found), (pushed.inputs, pushed.run(sent)))
        )
        np.testing.assert_allclose(forward, reverse, rtol=1e-10, atol=1e-12, err_msg=op.name)


@pytest.mark.parametrize("op", PUSHED, ids=lambda op: op.name)
def test_tangents_against_central_differences_and_gradients(op: OpDef) -> None:
    random = np.random.default_rng(8)
    cases = [c for c in op_cases(op) if is_small_and_smooth(op, c)]
    assert cases, f"{op} has no float64 case to check its tangents on"
    if op.name == "stop_gradient":
        inputs = inputs_of(cases[0].types)
        assert jvp([op(*inputs)], inputs, inputs)[1] == [None]
        return
    for case in cases:
        check_tangents(op, gradient_case(op, case, random), random)
