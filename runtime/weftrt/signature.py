"""Call signatures as data: what the native guard walks, and how outputs are put together.

A compiled function holds a list of (Signature, Executable, hidden inputs, OutputTree). A call walks
them in order; the first signature that matches runs. Program inputs are the array and scalar leaves
in order (positional, then keyword), then the hidden inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import CellType
from typing import Any, TypeAlias

from weftrt.program import ArraySpec


@dataclass(frozen=True)
class ArrayPattern:
    """A weft Array or a C-contiguous, aligned, native-order NumPy array of this dtype and shape.

    A size slot is bound by the first (input, axis) that mentions it and compared by the others;
    binding fails on size 1 (a symbolic size never broadcasts).
    """

    spec: ArraySpec


@dataclass(frozen=True)
class ScalarPattern:
    """A Python scalar of exactly this type: `float`, `int` or `bool`; passed as a 0-d float64,
    int64 or bool. An int that does not fit int64 does not match."""

    type: type


@dataclass(frozen=True, eq=False)
class StaticPattern:
    """The very object, or one of exactly the same type that compares equal."""

    value: Any


@dataclass(frozen=True)
class TuplePattern:
    """An exact tuple (no subclass) of these items."""

    items: tuple[Pattern, ...]


@dataclass(frozen=True)
class ListPattern:
    """An exact list of these items."""

    items: tuple[Pattern, ...]


@dataclass(frozen=True)
class DictPattern:
    """An exact dict with exactly these keys, in any order; leaves come in this order."""

    keys: tuple[Any, ...]
    items: tuple[Pattern, ...]


Pattern: TypeAlias = (
    ArrayPattern | ScalarPattern | StaticPattern | TuplePattern | ListPattern | DictPattern
)


@dataclass(frozen=True, eq=False)
class CellGuard:
    """The closure cell still holds this very object."""

    cell: CellType
    expected: Any


@dataclass(frozen=True, eq=False)
class GlobalGuard:
    """The module dict still maps this name to this very object."""

    namespace: dict[str, Any]
    name: str
    expected: Any


@dataclass(frozen=True, eq=False)
class Signature:
    """What a call must look like. `keywords` come in this order (sorted by name)."""

    positional: tuple[Pattern, ...]
    keywords: tuple[tuple[str, Pattern], ...]
    guards: tuple[CellGuard | GlobalGuard, ...]


@dataclass(frozen=True)
class ArrayOutput:
    """Program output number `index`, as a new Array (the same object each time it is named)."""

    index: int


@dataclass(frozen=True, eq=False)
class ConstantOutput:
    """A Python object that does not depend on the inputs (None, a static value)."""

    value: Any


@dataclass(frozen=True)
class TupleOutput:
    """A tuple of these."""

    items: tuple[OutputTree, ...]


@dataclass(frozen=True)
class ListOutput:
    """A list of these."""

    items: tuple[OutputTree, ...]


@dataclass(frozen=True)
class DictOutput:
    """A dict of these, in this order."""

    keys: tuple[Any, ...]
    items: tuple[OutputTree, ...]


OutputTree: TypeAlias = ArrayOutput | ConstantOutput | TupleOutput | ListOutput | DictOutput
