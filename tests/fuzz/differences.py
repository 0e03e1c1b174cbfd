"""Gradients against finite differences in float64, where the function is smooth enough to tell.

The function is evaluated by the graph interpreter, so that what is tested is the transform.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any
from unittest import mock

import numpy as np
from tests.frontend.staged import Staged
from tests.fuzz.program import Program

from weftc.ir import interpret as interpreter
from weftc.ir.interpret import interpret
from weftc.ir.node import Graph, Node
from weftc.ir.types import TensorType
from weftc.transforms.pairs import as_real, as_stored
from weftrt.errors import OutOfBoundsError

Array = np.ndarray[Any, Any]

STEP = 1e-4
AGREEMENT = 1e-5
"""Relative disagreement of two step sizes, or of the two sides, at which a slope is no slope."""
TOLERANCE = 1e-3


class Slope(Exception):
    """The gradient is another than the differences say."""


def check(program: Program, staged: Staged, value: float, gradients: list[Array]) -> str | None:
    """None if they agree, else why nothing can be said; Slope if they disagree."""
    if not all(np.isfinite(g).all() for g in gradients) or not np.isfinite(value):
        return "differences: not finite"
    arguments = program.arguments()
    rng = np.random.default_rng(len(program.instructions))
    direction = [rng.choice((-1.0, 1.0), g.shape) * rng.uniform(0.5, 1, g.shape) for g in gradients]
    expected = sum(float((g * d).sum()) for g, d in zip(gradients, direction, strict=True))
    scale = sum(float(np.abs(g * d).sum()) for g, d in zip(gradients, direction, strict=True))

    def at(step: float) -> float:
        moved = list(arguments)
        for place, d in zip(program.argnums, direction, strict=True):
            moved[place] = arguments[place] + step * d
        try:
            return float(staged.leaf(0, *moved))
        except OutOfBoundsError:  # an argmax that is an index may be another a step away
            return np.nan

    found, doubt = _slope(at, value)
    if not doubt <= AGREEMENT * abs(found) + 1e-8:
        return "differences: not smooth"
    if abs(found - expected) <= TOLERANCE * abs(found) + 1e-9 * scale + 1e-6 + 10 * doubt:
        return None
    if abs(found - expected) <= 1e3 * 2.0**-53 * largest(staged, arguments):
        return "differences: cancelled"
    raise Slope(f"the slope along a direction is {found:.9g}, by the gradient {expected:.9g}")


def is_float(node: Node) -> bool:
    """Whether a node is an array of floats."""
    type_ = node.value_type
    return isinstance(type_, TensorType) and type_.dtype.is_float


def largest(staged: Staged, arguments: list[Any]) -> float:
    """The largest magnitude in between, in branches and loops too: (1 + 1e54) - 1e54 is 0, and no
    wrong gradient. Constants say nothing of it."""
    found = [0.0]
    outputs = interpreter._outputs

    @cache
    def watched(graph: Graph) -> Graph:
        return replace(graph, outputs=(*graph.outputs, *_moving_floats(graph)))

    def noted(graph: Graph, arrays: Sequence[Any], sizes: Mapping[str, int]) -> tuple[Any, ...]:
        values = outputs(watched(graph), arrays, sizes)
        found.extend(map(_magnitude, values[len(graph.outputs) :]))
        return values[: len(graph.outputs)]

    graph = as_real(staged.traced.graph)
    with mock.patch.object(interpreter, "_outputs", noted):
        interpret(graph, [as_stored(array) for array in staged.inputs(tuple(arguments))])
    return max(found)


def _moving_floats(graph: Graph) -> list[Node]:
    """The floats that depend on what the graph is given."""
    moving = set(graph.inputs)
    for node in graph.nodes():
        if not moving.isdisjoint(node.inputs):
            moving.add(node)
    return [node for node in graph.nodes() if node in moving and is_float(node)]


def _magnitude(array: Array) -> float:
    finite = np.abs(array[np.isfinite(array)])
    return float(finite.max()) if finite.size else 0.0


def _slope(at: Callable[[float], float], value: float) -> tuple[float, float]:
    """The slope at 0 and how far estimates of it are apart."""
    sides = {h: (at(h), at(-h)) for h in (STEP, STEP / 2)}
    centered = {h: (right - left) / (2 * h) for h, (right, left) in sides.items()}
    best = (4 * centered[STEP / 2] - centered[STEP]) / 3
    # Each side by itself, second order: a kink at 0 shows as a difference of the two.
    (r1, l1), (r2, l2) = sides[STEP], sides[STEP / 2]
    right = (4 * r2 - r1 - 3 * value) / STEP
    left = -(4 * l2 - l1 - 3 * value) / STEP
    doubt = max(abs(best - centered[STEP / 2]), abs(right - best), abs(left - best))
    return best, doubt if np.isfinite(doubt) else np.inf
