"""Forward mode against reverse mode: the tangent along a direction is what the gradient says, at
kinks too, for both have one rule. Both are evaluated by the graph interpreter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tests.bits import assert_same_bits
from tests.frontend.staged import Staged, stage
from tests.fuzz.differences import Slope, largest
from tests.fuzz.program import Program

import weft as wf
from weftc.ir.types import TensorType

Array = np.ndarray[Any, Any]

ROUNDINGS = 1e4
"""How many roundings of the largest value in between the two may differ by."""


def directions(gradients: list[Array], seed: int) -> list[Array]:
    """Where to go, of the dtypes of the gradients."""
    rng = np.random.default_rng(seed)
    return [
        np.asarray(rng.choice((-1.0, 1.0), g.shape) * rng.uniform(0.5, 1, g.shape)).astype(g.dtype)
        for g in gradients
    ]


def pushed(function: Callable[..., Any], argnums: tuple[int, ...]) -> Callable[..., Any]:
    """(value, tangent) of `function`, given its arguments and tangents of those at `argnums`."""

    def run(arguments: list[Any], tangents: list[Any]) -> Any:
        def of_moving(*moving: Any) -> Any:
            given = list(arguments)
            for place, part in zip(argnums, moving, strict=True):
                given[place] = part
            return function(*given)

        return wf.jvp(of_moving, tuple(arguments[n] for n in argnums), tuple(tangents))

    return run


def check(
    program: Program, function: Callable[..., Any], value: Array, gradients: list[Array], by: Staged
) -> str | None:
    """None if they agree, else why nothing can be said; Slope if they disagree. `by` is what gave
    value and gradients, and `function` the scalar function of which."""
    arguments = program.arguments()
    moving = directions(gradients, len(program.instructions))
    staged = stage(pushed(function, program.argnums), arguments, moving)
    assert staged is not None
    leaves = [*arguments, *moving]
    found, tangent = staged.run(*leaves)
    assert_same_bits(found, value)
    if not all(np.isfinite(g).all() for g in (*gradients, tangent)):
        return "tangents: not finite"
    pairs = list(zip(gradients, moving, strict=True))
    expected = sum(float(np.sum(g.astype("f8") * d)) for g, d in pairs)
    size = max(largest(by, arguments), largest(staged, leaves), *(abs(g).sum() for g in gradients))
    if abs(float(tangent) - expected) <= ROUNDINGS * _epsilon(staged) * float(size):
        return None
    raise Slope(f"the tangent is {float(tangent):.9g}, by the gradient {expected:.9g}")


def check_second(program: Program, function: Callable[..., Any]) -> str | None:
    """As `check`, of second derivatives: the tangent of the gradient is the gradient of what the
    gradient says along a direction."""
    arguments = program.arguments()
    primals = [np.asarray(arguments[n]) for n in program.argnums]
    moving = directions(primals, len(program.instructions))
    gradient = wf.grad(function, argnums=program.argnums)

    def slope(tangents: Any, *given: Any) -> Any:
        parts = zip(gradient(*given), tangents, strict=True)
        return sum(wf.sum(part * tangent) for part, tangent in parts)

    backward = wf.grad(slope, argnums=tuple(n + 1 for n in program.argnums))
    ways = [
        stage(way, arguments, moving)
        for way in (pushed(gradient, program.argnums), lambda given, t: (None, backward(t, *given)))
    ]
    leaves = [*arguments, *moving]
    (forward, reverse), scale = _both(ways, leaves)
    if not all(np.isfinite(part).all() for part in (*forward, *reverse)):
        return "second tangents: not finite"
    for one, other in zip(forward, reverse, strict=True):
        if np.any(np.abs(one.astype("f8") - other) > scale):
            raise Slope(f"the tangent of the gradient is {one}, by the second gradient {other}")
    return None


def _both(ways: list[Staged | None], leaves: list[Any]) -> tuple[list[list[Array]], float]:
    """What two functions give as the second of their results, and by how much it may differ: by
    roundings of products of two first derivatives, which are as large as what is in between."""
    found, size = [], 0.0
    for staged in ways:
        assert staged is not None
        found.append([np.asarray(part) for part in staged.run(*leaves)[1]])
        between = np.float64(largest(staged, leaves))
        size = max(size, _epsilon(staged) * float(max(between, between**2)))
    return found, ROUNDINGS * size


def _epsilon(staged: Staged) -> float:
    """The rounding of the coarsest floats in a graph."""
    types = [node.value_type for node in staged.traced.graph.all_nodes()]
    coarse = any(isinstance(t, TensorType) and t.dtype is wf.float32 for t in types)
    return 2.0**-24 if coarse else 2.0**-53
