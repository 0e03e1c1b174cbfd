"""Tracing a function for one kind of arguments: a graph, its hidden inputs, its result's shape."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from weft import diagnostics, tree
from weft.bodies import returned
from weft.calls import Call, Leaf, Place
from weft.promotion import as_strong
from weft.tracing import (
    INT64,
    SCALAR_DTYPES,
    Range,
    Trace,
    Tracer,
    array_dtype,
    call_function,
    tracing,
)
from weft.tree import Structure
from weftc.ir.constraints import (
    Assumptions,
    Constraint,
    assuming,
    excess_of,
    solved,
    symbols_of,
    zero_of,
)
from weftc.ir.location import Location
from weftc.ir.node import Graph, Node
from weftc.ir.size_functions import substitute
from weftc.ir.sizes import Dim, Size, lone_symbol
from weftc.ir.types import TensorType
from weftc.ops import build
from weftrt.array import Array


@dataclass(frozen=True)
class Traced:
    """A function's graph for one kind of call. `result` has one leaf per entry of `outputs`,
    which are numbers of graph outputs. It holds while integer arguments are in their `ranges`, of
    which each leaf has one. `made_by_numpy`: a scalar of NumPy's came into it. `fixed` tells
    which sizes might have been symbols, but for the use that is made of their values."""

    graph: Graph
    captured: tuple[Any, ...]
    result: Structure
    outputs: tuple[int, ...]
    ranges: tuple[Range, ...]
    made_by_numpy: bool
    fixed: tuple[str, ...] = ()

    @property
    def symbolic(self) -> bool:
        """Whether an input has a symbolic size."""
        return not all(node.type.is_static for node in self.graph.inputs)


_MOST_SYMBOLS = 32
"""Independent sizes of one program (a concat of as many arrays): with more, a program for any sizes
takes several times as long to compile as one for these."""
_MOST_ROUNDS = 16
"""Times that a function is traced while it takes ever more for granted of its sizes."""


def trace(function: Callable[..., Any], name: str, call: Call) -> Traced:
    """Trace `function` for exactly the shapes of `call`."""
    return _trace(function, name, call, [_fixed(leaf) for leaf in call.leaves], locate=True)


def trace_symbolic(
    function: Callable[..., Any],
    name: str,
    call: Call,
    places: Mapping[Place, str],
    locate: bool = False,
) -> Traced | str:
    """Trace with symbols for the sizes at `places`, which may have names ("" if they have none).

    A round finds what must hold of them: what is equal, and of which the value is needed. Another
    is traced with that put in, until nothing more is found. A text says why there is no such graph:
    the function raised an error, or too many sizes are independent.
    """
    symbols = _Symbols(call, places)
    for _ in range(_MOST_ROUNDS):
        if len(symbols.values) > _MOST_SYMBOLS:
            return f"{len(symbols.values)} sizes are independent"
        assumptions = Assumptions(values=symbols.values)
        traced: Traced | str
        try:
            with assuming(assumptions):
                traced = _trace(function, name, call, symbols.types, locate)
        except Exception as error:
            traced = f"for any size it raises {type(error).__name__}"
        equal = solved(tuple(assumptions.recorded))
        if equal:
            symbols.put_in(equal, assumptions.recorded)
        elif isinstance(traced, str):
            return traced
        else:
            graph = replace(traced.graph, constraints=assumptions.needed())
            return replace(traced, graph=graph, fixed=tuple(symbols.fixed))
    return "its sizes depend on one another"


class _Symbols:
    """The sizes of a call that are symbols: `types` of the leaves, and `values` in this call."""

    def __init__(self, call: Call, places: Mapping[Place, str]) -> None:
        self._call = call
        self._given = set(places.values())
        self.fixed: list[str] = []
        symbols = {
            place: name or f"_{number}" for number, (place, name) in enumerate(places.items())
        }
        self._places = {name: place for place, name in reversed(symbols.items())}
        self.values = {name: call.shapes[place.leaf][place.axis] for place, name in symbols.items()}
        self.types = [
            type_.with_shape(
                tuple(
                    Dim.symbol(symbols[place]) if (place := Place(leaf, axis)) in symbols else size
                    for axis, size in enumerate(type_.shape)
                )
            )
            for leaf, type_ in enumerate(map(_fixed, call.leaves))
        ]
        self._rename({})

    def put_in(self, equal: Mapping[str, Size], why: Mapping[Constraint, Location | None]) -> None:
        """Replace symbols by what they equal."""
        for name, size in equal.items():
            if isinstance(size, int):
                self.fixed.append(self._needed(name, size, why))
        self._substitute(equal)
        given = {lone_symbol(size): name for name, size in equal.items() if name in self._given}
        self._rename({old: new for old, new in given.items() if old and old not in self._given})

    def _needed(self, name: str, value: int, why: Mapping[Constraint, Location | None]) -> str:
        """ "x.shape[0] is 5: f.py:4: range(x.shape[0])"."""
        place = self._places[name]
        text = f"{self._call.names[place.leaf]}.shape[{place.axis}] is {value}"
        equal = [c for c in why if zero_of(c) is not None and name in symbols_of(excess_of(c))]
        at = why[min(equal, key=lambda c: len(symbols_of(excess_of(c))))] if equal else None
        return text if at is None else f"{text}: {diagnostics.short_place(at)}"

    def _substitute(self, sizes: Mapping[str, Size]) -> None:
        self.types = [
            t.with_shape(tuple(substitute(size, sizes) for size in t.shape)) for t in self.types
        ]

    def _rename(self, names: Mapping[str, str]) -> None:
        """Give symbols these names, or keep those of users; the others are n, m, k in order."""
        free = _free_names(self._given)
        sizes = (size for t in self.types for size in t.shape)
        new: dict[str, str] = {}
        for old in (name for size in sizes for name in sorted(symbols_of(size))):
            if old not in new:
                new[old] = names.get(old) or (old if old in self._given else next(free))
        self._substitute({old: Dim.symbol(name) for old, name in new.items()})
        self.values = {name: self.values[old] for old, name in new.items()}
        self._places = {name: self._places[old] for old, name in new.items()}


def _free_names(taken: set[str]) -> Iterator[str]:
    """n, m, k, ... and numbered ones after these."""
    names = itertools.chain("nmkpqrst", (f"n{i}" for i in itertools.count(1)))
    return (name for name in names if name not in taken)


def _fixed(leaf: Leaf) -> TensorType:
    if isinstance(leaf, (Array, np.ndarray)):
        return TensorType(array_dtype(leaf, "an argument"), tuple(leaf.shape))
    return TensorType(SCALAR_DTYPES[type(leaf)], ())


def _trace(
    function: Callable[..., Any],
    name: str,
    call: Call,
    types: Sequence[TensorType],
    locate: bool,
) -> Traced:
    context = Trace(name, len(types))
    inputs = [
        build.argument(number, *given)
        for number, given in enumerate(zip(call.names, types, strict=True))
    ]
    with tracing(context, locate):
        tracers = [
            Tracer(node, context, weak=True, value=leaf)  # type: ignore[arg-type]
            if type(leaf) in SCALAR_DTYPES
            else Tracer(node, context)
            for node, leaf in zip(inputs, call.leaves, strict=True)
        ]
        args, kwargs = call.structure.unflatten(tracers)
        result = call_function(function, *args, **kwargs)
        nodes, structure = _results(name, result, diagnostics.definition(function))
    outputs = list(dict.fromkeys(nodes))
    position = {node: index for index, node in enumerate(outputs)}
    if context.token is not None:
        outputs.append(context.token)
    graph = Graph(name, (*inputs, *context.hidden), tuple(outputs))
    indices = tuple(position[node] for node in nodes)
    ranges = tuple(context.ranges.get(node, INT64) for node in graph.inputs)
    captured = tuple(context.captured)
    context.captured.clear()  # a value that outlives its trace keeps no array
    return Traced(graph, captured, structure, indices, ranges, context.made_by_numpy)


def _results(name: str, result: Any, at: Location | None) -> tuple[list[Node], Structure]:
    """The nodes of a result tree; scalars become arrays of their default dtype."""
    found, structure = tree.flatten_with_paths(result, as_filled=True)
    nodes = [as_strong(returned(name, path, leaf, at)).node for path, leaf in found]
    return nodes, structure
