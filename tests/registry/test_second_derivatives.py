"""Second derivatives of every op: all orders of the modes agree, and with differences of the first.

Of f(x) = <c, op(x)>, with fixed cotangents c, and a direction t, these are one vector: the tangent
of the gradient, the gradient of what the gradient says along t, and the gradient of what the
tangent says against c.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import pytest
from tests.registry.cases import SYMMETRIC, Case, op_cases, symmetric
from tests.registry.test_registry import (
    DIFFERENTIABLE,
    PUSHED,
    computed,
    gradient_case,
    inputs_of,
    is_small_and_smooth,
    parts_of,
)

from weftc.ir.interpret import interpret
from weftc.ir.node import Graph, Node
from weftc.ir.opdef import OpDef
from weftc.ir.sizes import static_shape
from weftc.transforms.jvp import jvp
from weftc.transforms.vjp import has_floats, vjp

Found: TypeAlias = "list[Node | None]"
STEP = 1e-5
CLOSE = {"rtol": 1e-8, "atol": 1e-9}
NEAR = {"rtol": 1e-4, "atol": 1e-5}
"""Differences of what has roundings of its own."""


class Twice:
    """An op over one case, cotangents c of its results, and a direction t of its inputs."""

    def __init__(self, op: OpDef, case: Case, random: np.random.Generator) -> None:
        self.op, self.case = op, case
        self.inputs = inputs_of(case.types)
        self.moving = [node for node in self.inputs if has_floats(node)]
        self.results = [r for r in parts_of(computed(op, self.inputs, case)) if has_floats(r)]
        types = [node.type for node in (*self.moving, *self.results)]
        given = inputs_of((*case.types, *types))[len(self.inputs) :]
        self.graph_inputs = (*self.inputs, *given)
        self.t, self.c = given[: len(self.moving)], given[len(self.moving) :]
        drawn = [random.standard_normal(static_shape(t.shape)) for t in types]
        if op.name in SYMMETRIC:
            drawn[0] = symmetric(drawn[0])
        self.arrays = [*case.arrays, *map(np.asarray, drawn)]

    @cached_property
    def gradient(self) -> Found:
        """Of f, by the inputs that move."""
        return vjp(self.results, self.c, self.moving)

    @cached_property
    def tangent(self) -> Found:
        """Of the results."""
        return jvp(self.results, self.moving, self.t)[1]

    def pushed(self, first: Found) -> Found:
        """The tangents of first derivatives."""
        return _filled(first, jvp(_there(first), self.moving, self.t)[1])

    def pulled(self, first: Found, against: Sequence[Node]) -> Found:
        """The gradient of first derivatives against an array for each."""
        arrays = [a for a, node in zip(against, first, strict=True) if node is not None]
        return vjp(_there(first), arrays, self.moving)

    def values(self, nodes: Found, like: Sequence[Node], step: float = 0.0) -> list[Any]:
        """What these nodes hold, zeros for None; so much further along t."""
        graph = Graph("twice", tuple(self.graph_inputs), tuple(_there(nodes)))
        directions = self.arrays[len(self.inputs) :]
        along = dict(zip(self.moving, directions))
        moved = [a + step * along[n] if n in along else a for n, a in zip(self.inputs, self.arrays)]
        found = iter(interpret(graph, [*moved, *directions]))
        shapes = [static_shape(node.type.shape) for node in like]
        zeros = (np.zeros(shape) for shape in shapes)
        return [z if n is None else next(found) for z, n in zip(zeros, nodes, strict=True)]

    def by_input(self, nodes: Found) -> list[Any]:
        """What these second derivatives hold."""
        return self.of_matrix(self.values(nodes, self.moving))

    def of_matrix(self, values: list[Any]) -> list[Any]:
        """`values`, the first one symmetric if only one triangle of the first input is read."""
        is_symmetric = self.op.name in SYMMETRIC
        return [symmetric(values[0]), *values[1:]] if is_symmetric else values

    def slopes(self, first: Found, like: Sequence[Node]) -> list[Any]:
        """How fast first derivatives change along t, by central differences."""
        high, low = (self.values(first, like, sign * STEP) for sign in (1, -1))
        return [(h - l) / (2 * STEP) for h, l in zip(high, low, strict=True)]


def _there(nodes: Found) -> list[Node]:
    return [node for node in nodes if node is not None]


def _filled(places: Found, found: Found) -> Found:
    """One of `found` for each place that is not None."""
    each = iter(found)
    return [None if place is None else next(each) for place in places]


def smooth_cases(op: OpDef) -> list[Case]:
    random = np.random.default_rng(9)
    cases = [c for c in op_cases(op) if is_small_and_smooth(op, c)]
    assert cases, f"{op} has no float64 case to check its second derivatives on"
    return [gradient_case(op, case, random) for case in cases]


def check_all_equal(op: OpDef, found: list[Any], expected: list[Any], **close: float) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, **close, err_msg=op.name)


@pytest.mark.parametrize("op", DIFFERENTIABLE, ids=lambda op: op.name)
def test_second_derivatives_agree_in_all_orders(op: OpDef) -> None:
    random = np.random.default_rng(10)
    for case in smooth_cases(op):
        twice = Twice(op, case, random)
        if op.name == "stop_gradient":
            assert twice.gradient == [None] and twice.tangent == [None]
            continue
        over_reverse = twice.by_input(twice.pushed(twice.gradient))
        reverse_twice = twice.by_input(twice.pulled(twice.gradient, twice.t))
        over_forward = twice.by_input(twice.pulled(twice.tangent, twice.c))
        slopes = twice.slopes(twice.gradient, twice.moving)
        check_all_equal(op, over_reverse, twice.of_matrix(slopes), **NEAR)
        check_all_equal(op, reverse_twice, over_reverse, **CLOSE)
        check_all_equal(op, over_forward, over_reverse, **CLOSE)


@pytest.mark.parametrize("op", PUSHED, ids=lambda op: op.name)
def test_tangents_of_tangents_against_differences(op: OpDef) -> None:
    random = np.random.default_rng(11)
    for case in smooth_cases(op):
        twice = Twice(op, case, random)
        found = twice.values(twice.pushed(twice.tangent), twice.results)
        check_all_equal(op, found, twice.slopes(twice.tangent, twice.results), **NEAR)


SPECIAL = (0.0, 1.0, -1.0, 2.0, 0.0, 0.5, 1.0)


def _where_it_is_smooth(op: OpDef, arrays: list[Any]) -> list[Any]:
    """No power of what is negative, and of 0 none lower than the square."""
    if op.name != "pow":
        return arrays
    base = np.abs(arrays[0])
    return [base, np.where(base == 0, 2.0, arrays[1])]


def special_cases(op: OpDef) -> list[Case]:
    """Cases of zeros, ones and equal elements, in the company of one another."""
    cases = []
    for case, phase in itertools.product(smooth_cases(op)[:3], range(6)):
        arrays = list(case.arrays)
        for k, array in enumerate(arrays):
            if array.dtype == np.float64:
                places = np.arange(array.size) * (1 + 2 * k * (phase % 3)) + phase * (k + 1)
                arrays[k] = np.array(SPECIAL)[places % len(SPECIAL)].reshape(array.shape)
        cases.append(case._replace(arrays=_where_it_is_smooth(op, arrays)))
    return cases


@pytest.mark.parametrize(
    "op", [op for op in DIFFERENTIABLE if op.extern is None], ids=lambda op: op.name
)
def test_second_derivatives_where_people_start(op: OpDef) -> None:
    """At 0, at 1, and where elements are equal, all orders agree, and none is NaN alone: what is
    infinite beside what a rule chooses makes no NaN of its derivative."""
    random = np.random.default_rng(11)
    for case in special_cases(op):
        twice = Twice(op, case, random)
        first = twice.by_input(twice.pushed(twice.gradient))
        for nodes in (
            twice.pulled(twice.gradient, twice.t),
            twice.pulled(twice.tangent, twice.c),
        ):
            for one, other in zip(twice.by_input(nodes), first, strict=True):
                finite = np.isfinite(one) | np.isfinite(other)
                np.testing.assert_allclose(one[finite], other[finite], **CLOSE, err_msg=op.name)
        slopes = twice.of_matrix(twice.slopes(twice.gradient, twice.moving))
        for one, slope in zip(first, slopes, strict=True):
            smooth = np.isfinite(one) & (np.abs(slope) < 1e3)
            np.testing.assert_allclose(one[smooth], slope[smooth], **NEAR, err_msg=op.name)
