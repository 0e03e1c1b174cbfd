"""Call signatures as data: what the native guard walks, and how outputs are put together.

A compiled function holds a list of (Signature, Executable, hidden inputs, OutputTree). A call tries
them; one whose signature matches runs. Program inputs are the array and scalar leaves in order
(positional, then keyword), then the hidden inputs: arrays that are no arguments. Most are cells,
which each call reads where they are kept.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from types import CellType, CodeType, FunctionType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from weftrt.program import ArraySpec

if TYPE_CHECKING:
    from weftrt.array import Array


@dataclass(frozen=True)
class ArrayPattern:
    """A weft Array or a native-order NumPy array of this dtype and shape; one that is not
    contiguous or aligned is copied.

    `foreign` is False for an Array only.

    A size slot is bound by the first (input, axis) that mentions it and compared by the others.
    """

    spec: ArraySpec
    foreign: bool = True


@dataclass(frozen=True)
class ScalarPattern:
    """A scalar of Python's `float`, `int` or `bool`, or one of NumPy's of that kind; passed as a
    0-d float64, int64 or bool. An int matches from `low` to `high`, which int64 holds."""

    type: type
    low: int = -(2**63)
    high: int = 2**63 - 1


_HEAP_TYPE = 1 << 9
"""Py_TPFLAGS_HEAPTYPE."""


def equal(a: Any, b: Any) -> bool:
    """Whether two static values are the same to a trace: of one type, equal, and so are their
    parts. 1 is not True, 0.0 is not -0.0, and Config(1) is not Config(1.0); a NaN is itself."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, float):
        return bool(a.hex() == b.hex())
    return bool(a == b) and _parts_equal(a, b)


def _parts_equal(a: Any, b: Any) -> bool:
    """Whether the parts of two values that call themselves equal are too. Parts that differ by
    their own == do not matter to the values."""
    if type(a) is frozenset:
        return {(type(item), repr(item)) for item in a} == {(type(item), repr(item)) for item in b}
    if is_built_in(type(a)):
        return isinstance(a, (int, str, bytes)) or repr(a) == repr(b)
    pairs = ((getattr(a, name, None), getattr(b, name, None)) for name in _attributes(a))
    return all(equal(x, y) or not _same(x, y) for x, y in pairs)


def is_built_in(cls: type) -> bool:
    """Whether a class is written in C, as a static type: its objects have no parts of Python's."""
    return not cls.__flags__ & _HEAP_TYPE


def _attributes(value: Any) -> list[str]:
    if dataclasses.is_dataclass(value):
        return [field.name for field in dataclasses.fields(value)]
    slots = (getattr(cls, "__slots__", ()) for cls in type(value).__mro__)
    named = [(names,) if isinstance(names, str) else tuple(names) for names in slots]
    return [*getattr(value, "__dict__", ()), *itertools.chain(*named)]


def _same(a: Any, b: Any) -> bool:
    try:
        return bool(a == b)
    except (TypeError, ValueError):  # arrays have no single truth
        return False


@dataclass(frozen=True, eq=False)
class StaticPattern:
    """The very object, or an `equal` one; with `lists`, lists in it are as good as tuples."""

    value: Any
    lists: bool = False


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


@dataclass(frozen=True)
class NamedTuplePattern:
    """A named tuple of exactly this class with these items."""

    kind: type
    items: tuple[Pattern, ...]


@dataclass(frozen=True)
class ObjectPattern:
    """An object of exactly this class with these attributes, in this order."""

    kind: type
    names: tuple[str, ...]
    items: tuple[Pattern, ...]


@dataclass(frozen=True, eq=False)
class RegisteredPattern:
    """An object of exactly this class that `flatten` takes apart into (children, `extra`)."""

    kind: type
    flatten: Callable[[Any], Any]
    items: tuple[Pattern, ...]
    extra: Any


Pattern: TypeAlias = (
    ArrayPattern
    | ScalarPattern
    | StaticPattern
    | TuplePattern
    | ListPattern
    | DictPattern
    | NamedTuplePattern
    | ObjectPattern
    | RegisteredPattern
)


ABSENT = object()
"""What is in a place that nothing is bound in: a built-in's name, or one that is bound later."""


@dataclass(frozen=True, eq=False)
class ClosurePlace:
    """Where a name of an enclosing function is bound."""

    cell: CellType
    name: str

    @property
    def key(self) -> tuple[int, str]:
        """The same for places that are one."""
        return id(self.cell), ""

    def read(self) -> Any:
        """What is bound there now; ABSENT if nothing."""
        try:
            return self.cell.cell_contents
        except ValueError:
            return ABSENT


@dataclass(frozen=True, eq=False)
class GlobalPlace:
    """Where a global name of a module is bound."""

    namespace: dict[str, Any]
    name: str

    @property
    def key(self) -> tuple[int, str]:
        """The same for places that are one."""
        return id(self.namespace), self.name

    def read(self) -> Any:
        """What is bound there now; ABSENT if nothing."""
        return self.namespace.get(self.name, ABSENT)


Place: TypeAlias = ClosurePlace | GlobalPlace


@dataclass(frozen=True, eq=False)
class CellInput:
    """The array that is in a place when a call begins; the call holds it until it ends. An ndarray
    does only if it is `foreign`: NumPy's own operators would have computed with one."""

    place: Place
    foreign: bool = False

    def read(self) -> Any:
        """What is there now, whatever it is; ABSENT for an ndarray that does not do."""
        found = self.place.read()
        return ABSENT if isinstance(found, np.ndarray) and not self.foreign else found


@dataclass(frozen=True, eq=False)
class FixedInput:
    """This very array; its elements are read at each call."""

    array: Array | np.ndarray[Any, Any]

    def read(self) -> Any:
        """The array."""
        return self.array


Hidden: TypeAlias = CellInput | FixedInput


@dataclass(frozen=True, eq=False)
class PlaceGuard:
    """The place still holds this very object, or is still empty (ABSENT)."""

    place: Place
    expected: Any


@dataclass(frozen=True, eq=False)
class TypeGuard:
    """The place holds some Array of this dtype and shape."""

    place: Place
    spec: ArraySpec


@dataclass(frozen=True, eq=False)
class SameGuard:
    """The place holds the very object that is the program's input number `leaf`."""

    place: Place
    leaf: int


@dataclass(frozen=True, eq=False)
class ContentGuard:
    """The NumPy array still has the elements of `expected`, a contiguous copy of it."""

    array: np.ndarray[Any, Any]
    expected: np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class FunctionGuard:
    """The function still has this code and these defaults: it was not changed in place."""

    function: FunctionType
    expected: CodeType
    defaults: tuple[Any, ...] | None
    keyword_defaults: dict[str, Any] | None


Guard: TypeAlias = PlaceGuard | TypeGuard | SameGuard | ContentGuard | FunctionGuard


@dataclass(frozen=True, eq=False)
class Signature:
    """What a call must look like, its arguments bound as far as they can be: `positional`, then
    `keywords` in this order (sorted by name)."""

    positional: tuple[Pattern, ...]
    keywords: tuple[tuple[str, Pattern], ...]
    guards: tuple[Guard, ...]


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


@dataclass(frozen=True)
class NamedTupleOutput:
    """A named tuple of these."""

    kind: type
    items: tuple[OutputTree, ...]


@dataclass(frozen=True)
class ObjectOutput:
    """An object of this class, made without its __init__, with these attributes."""

    kind: type
    names: tuple[str, ...]
    items: tuple[OutputTree, ...]


@dataclass(frozen=True, eq=False)
class RegisteredOutput:
    """What `unflatten(extra, children)` makes of a list of these."""

    unflatten: Callable[[Any, list[Any]], Any]
    extra: Any
    items: tuple[OutputTree, ...]


OutputTree: TypeAlias = (
    ArrayOutput
    | ConstantOutput
    | TupleOutput
    | ListOutput
    | DictOutput
    | NamedTupleOutput
    | ObjectOutput
    | RegisteredOutput
)
