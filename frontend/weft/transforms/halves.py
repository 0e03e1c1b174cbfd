"""Transforms in two halves: what a function computes now, and what is linear and comes later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from weft import tree
from weft.bodies import returned
from weft.diagnostics import definition
from weft.dynamic import Never
from weft.jitting import jit
from weft.tracing import state
from weft.transforms.kept import kept, running
from weft.tree import register

Function = Callable[..., Any]
Begin = Callable[[Function, tuple[Any, ...], bool], tuple[Any, Any, Sequence[Any], Function]]


def halves(
    name: str, function: Function, begin: Begin, primals: tuple[Any, ...], has_aux: bool
) -> tuple[Any, Any, Function]:
    """(value, aux, later) of `begin`, which gives (value, aux, residuals, rest) of the user's
    function in a trace: `later(*given)` is `rest(residuals, *given)`.

    Where no trace is open, the first half runs as a program at once, and `later` is compiled.
    """
    if state.trace is not None:
        value, aux, held, rest = begin(function, primals, has_aux)
        return value, aux, lambda *given: rest(held, *given)
    value, aux, half = kept(_first, function, name, begin, has_aux)(*primals)
    return value, aux, lambda *given: half.rest(half.held, *given)


class _Half(NamedTuple):
    """What the second half is computed from, and how."""

    held: Sequence[Any]
    rest: Function


register(_Half, lambda half: ((half.held,), half.rest), lambda rest, held: _Half(held[0], rest))


def _first(function: Function, name: str, begin: Begin, has_aux: bool) -> Function:
    """The first half, compiled for these sizes: the second half is made for the same."""

    def first(*primals: Any) -> Any:
        value, aux, held, rest = begin(function, primals, has_aux)
        for path, leaf in tree.flatten_with_paths(aux)[0]:
            returned(f"the function under {name}", f"[1]{path}", leaf, definition(function))
        return value, aux, _Half(held, jit(rest))

    return running(name, function, first, Never())
