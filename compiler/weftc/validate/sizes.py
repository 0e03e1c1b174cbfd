"""Sizes of the symbols of a graph for which it is tried, as its constraints allow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from weftc.ir.constraints import excess_of, holds, symbols_of
from weftc.ir.node import Graph, result_types
from weftc.ir.opdef import Attr
from weftc.ir.sizes import Dim, Size
from weftc.ir.types import TensorType

_USUAL: Final = 7
"""What the first symbol is in the first choice of sizes."""
_LARGE: Final = 200
_MOST_VARIED: Final = 8
"""Symbols that are varied one by one."""
_FARTHEST: Final = 16
"""By how much a size is changed to satisfy constraints."""


def is_allowed(graph: Graph, sizes: dict[str, int]) -> bool:
    """Whether a graph means something for these sizes."""
    return _broken(graph, sizes) == 0


def symbol_sizes(graph: Graph, first: int) -> dict[str, int] | None:
    """A size for every symbol, near `first` and all different and greater than 1 if the constraints
    of the graph allow this; None where none are found that they allow. A body may have symbols that
    its inputs do not show, and constraints of symbols that it does not use."""
    sizes = [*_sizes_in(graph), *map(excess_of, graph.constraints)]
    names = sorted({name for size in sizes for name in symbols_of(size)})
    found = {name: first + 2 * position for position, name in enumerate(names)}
    for _ in names:  # each time the best that changing one symbol after the other brings
        if is_allowed(graph, found):
            return found
        for name in names:
            near = sorted(range(found[name] + _FARTHEST), key=lambda n: abs(n - found[name]))
            found[name] = min(near, key=lambda n: _broken(graph, {**found, name: n}))
    return found if is_allowed(graph, found) else None


def _sizes_in(graph: Graph) -> Iterator[Size]:
    """Those of values and in attributes, in the graphs in it too."""
    for node in graph.all_nodes():
        for type_ in result_types(node):
            if isinstance(type_, TensorType):
                yield from type_.shape
        for value in node.attrs.values():
            yield from _sizes_of(value)


def _sizes_of(value: Attr) -> Iterator[Size]:
    if isinstance(value, Dim):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _sizes_of(item)


def various_sizes(graph: Graph) -> Iterator[dict[str, int]]:
    """Sizes of all symbols: a few that differ, then one much larger or smaller than the others."""
    usual = symbol_sizes(graph, _USUAL)
    if usual is None:
        return
    yield usual
    for name in list(usual)[:_MOST_VARIED]:
        for one, others in ((_LARGE, 1), (1, _LARGE)):
            sizes = {**dict.fromkeys(usual, others), name: one}
            if is_allowed(graph, sizes):
                yield sizes


def _broken(graph: Graph, sizes: dict[str, int]) -> int:
    return sum(not holds(constraint, sizes) for constraint in graph.constraints)
