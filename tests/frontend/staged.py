"""Public functions without the backend: traced, then run by the graph interpreter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import weft.operators  # noqa: F401  (installs the operators)
from weft import specialize, tree
from weft.calls import Reader
from weftc.ir.interpret import interpret
from weftc.ir.verify import verify


def run(function: Callable[..., Any], *args: Any, symbolic: bool = False) -> Any:
    """The result of `function`, as ndarrays; None where symbolic sizes are asked but do not do."""
    call = Reader(function, (), freeze=False).read(args, {})
    trace = specialize.trace_symbolic if symbolic else specialize.trace
    traced = trace(function, "function", call)
    if traced is None:
        return None
    verify(traced.graph)
    arrays = [np.asarray(item) for item in (*call.leaves, *traced.captured)]
    found = interpret(traced.graph, arrays)
    return tree.unflatten(traced.result, [found[index] for index in traced.outputs])


def assert_close(found: Any, expected: Any, tolerance: float = 1e-5) -> None:
    """Equal shapes, values within `tolerance`, NaN where expected."""
    assert np.shape(found) == np.shape(expected)
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
