"""What transforms are given, and what the functions they transform return."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from weft import diagnostics, tree
from weft.promotion import as_strong
from weft.tracing import Tracer, apply, lift
from weft.tree import Structure
from weftrt.errors import DTypeError, UsageError


def check_function(name: str, function: Any) -> None:
    """UsageError if the transform `name` is given no function."""
    if not callable(function):
        raise diagnostics.located(UsageError, f"{name} takes a function, not {function!r:.40}")


Numbers: TypeAlias = int | Sequence[int]
"""The number of an argument, or a tuple of numbers."""
Plain: TypeAlias = int | tuple[int, ...]
"""The same as `plain_numbers` gives it."""


def plain_numbers(argnums: Numbers) -> Plain:
    """`argnums` as an integer or a tuple; UsageError if they are no numbers of arguments."""
    if type(argnums) is int:
        return argnums
    are_many = isinstance(argnums, (tuple, list, range))
    numbers: Any = argnums if are_many else (argnums,)
    if not all(type(number) is int or isinstance(number, np.integer) for number in numbers):
        problem = f"argnums is the number of an argument or a tuple of them, not {argnums!r:.40}"
        raise diagnostics.located(UsageError, problem)
    found = tuple(map(int, numbers))
    return found if are_many else found[0]


class Chosen:
    """The arguments numbered `argnums` of a call that the transform `name` differentiates."""

    def __init__(self, name: str, argnums: Plain, args: tuple[Any, ...]) -> None:
        self._is_one = isinstance(argnums, int)
        numbers = (argnums,) if isinstance(argnums, int) else argnums
        self.places = [_place(name, number, len(args)) for number in numbers]
        if len(set(self.places)) < len(self.places):
            twice = next(p for k, p in enumerate(self.places) if p in self.places[:k])
            problem = f"{name}: argnums names argument {twice} twice"
            raise diagnostics.located(UsageError, problem)
        self._args = args

    @property
    def values(self) -> list[Any]:
        """The chosen ones."""
        return [self._args[place] for place in self.places]

    def replaced(self, parts: Sequence[Any]) -> list[Any]:
        """All arguments, with these in place of those that are chosen."""
        result = list(self._args)
        for place, part in zip(self.places, parts, strict=True):
            result[place] = part
        return result

    def parts(self, parts: Sequence[Any]) -> Any:
        """What belongs to the chosen arguments, as `argnums` was given."""
        return parts[0] if self._is_one else tuple(parts)


def _place(name: str, number: int, count: int) -> int:
    if not -count <= number < count:
        problem = f"{name}: argnums names argument {number}, but {count} were passed by position"
        problem += "; the first is 0" if number == count else ""
        raise diagnostics.located(UsageError, problem)
    return number % count


class Primals(NamedTuple):
    """The leaves of arguments, what to call each, and the trees that they form."""

    leaves: list[Tracer]
    names: list[str]
    structures: list[Structure]


def lifted(name: str, places: Sequence[int], args: Sequence[Any]) -> Primals:
    """The arguments at `places`, numbers weak, so that the function computes what it does of them
    elsewhere; DTypeError for a leaf that is no float, and so has no derivative by the transform
    `name`."""
    primals = Primals([], [], [])
    for place, arg in zip(places, args, strict=True):
        found, structure = tree.flatten_with_paths(arg)
        primals.structures.append(structure)
        for path, leaf in found:
            what = f"argument {place}{path}"
            value = lift(leaf, f"{what} of {name}")
            if not value.dtype.is_inexact:
                dtype = as_strong(value).dtype
                problem = f"{name}: {what} is {dtype}; only floats have derivatives"
                raise diagnostics.located(DTypeError, problem)
            primals.leaves.append(value)
            primals.names.append(what)
    return primals


def independent(
    name: str, places: Sequence[int], args: Sequence[Any]
) -> tuple[list[Tracer], list[Structure]]:
    """New nodes for the arguments at `places`, so that other uses of the same array stay out, and
    the trees that they form."""
    primals = lifted(name, places, args)
    return [apply("identity", leaf, weak=leaf.weak) for leaf in primals.leaves], primals.structures


def grouped(leaves: Sequence[Any], structures: Sequence[Structure]) -> list[Any]:
    """Trees of these structures, whose leaves come one after another."""
    parts: list[Any] = []
    taken = 0
    for structure in structures:
        count = structure.leaves()
        parts.append(structure.unflatten(leaves[taken : taken + count]))
        taken += count
    return parts


def split(name: str, result: Any) -> tuple[Any, Any]:
    """(value, aux) of a function under a transform `name` with has_aux."""
    if not isinstance(result, tuple) or len(result) != 2:
        problem = f"{name} with has_aux needs a function that returns (value, anything)"
        raise diagnostics.located(UsageError, problem)
    return result[0], result[1]
