"""What transforms are given, and what the functions they transform return."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weft import diagnostics, tree
from weft.promotion import as_strong
from weft.tracing import Tracer, apply, lift
from weft.tree import Structure
from weftrt.errors import DTypeError, UsageError


def check_function(name: str, function: Any) -> None:
    """UsageError if the transform `name` is given no function."""
    if not callable(function):
        raise diagnostics.located(UsageError, f"{name} takes a function, not {function!r:.40}")


def lifted(
    name: str, places: Sequence[int], args: Sequence[Any]
) -> tuple[list[Tracer], list[Structure]]:
    """The leaves of the arguments at `places`, and the structure of each of these; DTypeError for
    one that is no float, and so has no derivative."""
    leaves: list[Tracer] = []
    structures: list[Structure] = []
    for place in places:
        found, structure = tree.flatten_with_paths(args[place])
        structures.append(structure)
        for path, leaf in found:
            value = as_strong(lift(leaf, f"argument {place}{path} of {name}"))
            if not value.dtype.is_float:
                problem = f"{name}: argument {place}{path} is {value.dtype}"
                problem += "; only floats have derivatives"
                raise diagnostics.located(DTypeError, problem)
            leaves.append(value)
    return leaves, structures


def independent(
    name: str, places: Sequence[int], args: Sequence[Any]
) -> tuple[list[Tracer], list[Structure]]:
    """As `lifted`, but new nodes, so that other uses of the same array stay out."""
    leaves, structures = lifted(name, places, args)
    return [apply("identity", leaf) for leaf in leaves], structures


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
