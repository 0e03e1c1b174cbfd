"""Which sizes of a call are symbols in its program, so that it answers calls of other sizes too."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from weft import diagnostics
from weft.calls import Call, Place, root
from weftrt.errors import ShapeError, UsageError


class Dynamic(Protocol):
    """A choice of sizes."""

    @property
    def parameters(self) -> Collection[str]:
        """The parameters that it names."""

    def places(self, call: Call, changed: Iterable[set[Place]]) -> dict[Place, str]:
        """The sizes of `call` that are to be symbols, each with its name, "" if it has none.
        `changed` are those that are others than in each of the programs so far."""


class Every:
    """Every size but 1, which may stand for any."""

    parameters = ()

    def places(self, call: Call, changed: Iterable[set[Place]]) -> dict[Place, str]:
        return {
            Place(leaf, axis): ""
            for leaf, shape in enumerate(call.shapes)
            for axis, size in enumerate(shape)
            if size != 1
        }


class Never:
    """No size."""

    parameters = ()

    def places(self, call: Call, changed: Iterable[set[Place]]) -> dict[Place, str]:
        return {}


@dataclass(frozen=True)
class Changing:
    """Sizes that were others in an earlier call, and those that have a name from the start."""

    function: str
    names: Mapping[str, Mapping[int, str]]

    @property
    def parameters(self) -> Collection[str]:
        return {root(key) for key in self.names}

    def places(self, call: Call, changed: Iterable[set[Place]]) -> dict[Place, str]:
        found = set().union(*changed)
        named = dict(self._named(call))
        _check_equal(call, named)
        chosen = sorted(found | named.keys(), key=lambda place: (place.leaf, place.axis))
        return {place: named.get(place, "") for place in chosen}

    def _named(self, call: Call) -> Iterator[tuple[Place, str]]:
        for key, axes in self.names.items():
            for leaf, name in enumerate(call.names):
                if name == key or name.startswith((f"{key}[", f"{key}.")):
                    yield from self._axes(call, leaf, axes)

    def _axes(self, call: Call, leaf: int, axes: Mapping[int, str]) -> Iterator[tuple[Place, str]]:
        rank = len(call.shapes[leaf])
        for axis, name in axes.items():
            if not -rank <= axis < rank:
                has = "is a number" if not rank else f"has {rank} axes"
                problem = f"dynamic names axis {axis} of {call.names[leaf]}, which {has}"
                raise diagnostics.located(UsageError, f"{self.function}: {problem}")
            yield Place(leaf, axis % rank), name


def _check_equal(call: Call, named: Mapping[Place, str]) -> None:
    """ShapeError unless equal names have equal sizes."""
    first: dict[str, Place] = {}
    for place, name in named.items():
        other = first.setdefault(name, place)
        texts = [f"{call.names[p.leaf]}.shape[{p.axis}]" for p in (other, place)]
        sizes = [call.shapes[p.leaf][p.axis] for p in (other, place)]
        if sizes[0] != sizes[1]:
            problem = f"{texts[0]} is {sizes[0]} and {texts[1]} is {sizes[1]}"
            raise diagnostics.located(ShapeError, f"{problem}, but dynamic calls both {name!r}")


def chosen(function: Any, dynamic: Any) -> Dynamic:
    """The choice that `wf.jit(dynamic=...)` describes; UsageError if it describes none."""
    if dynamic is False:
        return Never()
    if dynamic is not None and not _names_axes(dynamic):
        problem = 'dynamic is None, False or names of axes as in {"x": {0: "batch"}}'
        raise diagnostics.located(UsageError, f"{problem}, not {dynamic!r:.60}")
    return Changing(getattr(function, "__name__", "function"), dynamic or {})


def _names_axes(dynamic: Any) -> bool:
    return isinstance(dynamic, Mapping) and all(
        isinstance(key, str)
        and isinstance(axes, Mapping)
        and all(type(a) is int and isinstance(n, str) and n.isidentifier() for a, n in axes.items())
        for key, axes in dynamic.items()
    )
