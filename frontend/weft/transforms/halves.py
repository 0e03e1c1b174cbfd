"""Transforms in two halves: what a function computes now, and what is linear and comes later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from weft import dispatch, tree
from weft.bodies import returned
from weft.diagnostics import definition
from weft.jitting import jit
from weft.tracing import state

Function = Callable[..., Any]
Begin = Callable[..., tuple[Any, Any, Sequence[Any], Function]]


def halves(
    name: str, function: Function, begin: Begin, primals: tuple[Any, ...]
) -> tuple[Any, Any, Function]:
    """(value, aux, later) of `begin(*primals)`, which gives (value, aux, residuals, rest) of the
    user's function in a trace: `later(*given)` is `rest(residuals, *given)`.

    Where no trace is open, the first half runs as a program at once, and `later` is compiled.
    """
    if state.trace is not None:
        value, aux, held, rest = begin(*primals)
        return value, aux, lambda *given: rest(held, *given)
    rests: list[Function] = []

    def first(*primals: Any) -> Any:
        value, aux, held, rest = begin(*primals)
        rests.append(rest)
        for path, leaf in tree.flatten_with_paths(aux)[0]:
            returned(f"the function under {name}", f"[1]{path}", leaf, definition(function))
        return value, aux, held

    value, aux, held = dispatch.run_now(name, first, *primals)
    compiled = jit(rests[-1])
    return value, aux, lambda *given: compiled(held, *given)
