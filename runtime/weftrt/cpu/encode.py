"""Signatures and output trees as the words that the native guard reads.

Objects are written by address; the encoder keeps them alive with the words.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from weftrt import dtypes
from weftrt.cpu.executable import encode_spec
from weftrt.cpu.native import guard, results
from weftrt.cpu.native.types import mirror
from weftrt.dtypes import DType
from weftrt.program import ArraySpec
from weftrt.signature import (
    ABSENT,
    ArrayOutput,
    ArrayPattern,
    CellInput,
    ClosurePlace,
    ConstantOutput,
    ContentGuard,
    DictOutput,
    DictPattern,
    FunctionGuard,
    Guard,
    Hidden,
    ListOutput,
    ListPattern,
    NamedTupleOutput,
    NamedTuplePattern,
    ObjectOutput,
    ObjectPattern,
    OutputTree,
    Pattern,
    Place,
    PlaceGuard,
    RegisteredOutput,
    RegisteredPattern,
    SameGuard,
    ScalarPattern,
    StaticPattern,
    TupleOutput,
    TuplePattern,
    TypeGuard,
)

_Guard = mirror(guard.GuardTable)
_Place = mirror(guard.PlaceTable)


SCALARS: dict[type, tuple[int, DType]] = {
    float: (guard.FLOAT, dtypes.float64),
    int: (guard.INT, dtypes.int64),
    bool: (guard.BOOL, dtypes.bool_),
}
SEQUENCES = {TuplePattern: guard.TUPLE, ListPattern: guard.LIST}
BUILDERS = {TupleOutput: results.TUPLE, ListOutput: results.LIST}


@dataclass
class Encoder:
    """Collects words, the objects they name, and the specs of the leaves in order."""

    words: list[int] = field(default_factory=list)
    objects: list[object] = field(default_factory=list)
    leaves: list[ArraySpec] = field(default_factory=list)

    def name(self, item: object) -> int:
        """The address of an object, which is kept alive."""
        self.objects.append(item)
        return id(item)

    def pattern(self, pattern: Pattern) -> None:
        """Append a pattern (recursive, as deep as the user's nested containers)."""
        match pattern:
            case ArrayPattern(spec, foreign):
                self.words.append(guard.ARRAY if foreign else guard.OWN_ARRAY)
                self.leaves.append(spec)
            case ScalarPattern(kind, low, high):
                operation, dtype = SCALARS[kind]
                self.words += (operation, low, high) if kind is int else (operation,)
                self.leaves.append(ArraySpec(dtype, ()))
            case StaticPattern(value, lists):
                self.static(value, lists)
            case DictPattern(keys, items):
                self.words += (guard.DICT, len(keys))
                for key, item in zip(keys, items):
                    self.words.append(self.name(key))
                    self.pattern(item)
            case TuplePattern(items) | ListPattern(items):
                self.words += (SEQUENCES[type(pattern)], len(items))
                self.patterns(items)
            case NamedTuplePattern(kind, items):
                self.words += (guard.NAMED, self.name(kind), len(items))
                self.patterns(items)
            case ObjectPattern(kind, names, items):
                self.words += (guard.OBJECT, self.name(kind), len(items))
                for name, item in zip(names, items):
                    self.words.append(self.name(name))
                    self.pattern(item)
            case RegisteredPattern(kind, flatten, items, extra):
                self.words += (guard.REGISTERED, self.name(kind), self.name(flatten))
                self.words += (guard.TUPLE, 2, guard.SEQUENCE, len(items))
                self.patterns(items)
                self.static(extra)

    def patterns(self, items: Sequence[Pattern]) -> None:
        """Append patterns one after the other."""
        for item in items:
            self.pattern(item)

    def static(self, value: Any, lists: bool = False) -> None:
        """A value by identity or equality; floats by bits, in tuples too, since 0.0 == -0.0 and
        1 == True. With `lists` a list is as good as a tuple."""
        if type(value) is tuple:
            self.words += (guard.SEQUENCE if lists else guard.TUPLE, len(value))
            for item in value:
                self.static(item, lists)
        elif type(value) is float:
            self.words += (guard.STATIC_FLOAT, struct.unpack("=q", struct.pack("=d", value))[0])
        else:
            exact = type(value) in (int, bool, str, bytes, type(None))
            operation = guard.STATIC if exact else guard.STATIC_PARTS
            self.words += (operation, self.name(value))

    def output(self, tree: OutputTree) -> None:
        """Append an output tree (recursive, as deep as the user's nested containers)."""
        match tree:
            case ArrayOutput(index):
                self.words += (results.ARRAY, index)
            case ConstantOutput(value):
                self.words += (results.CONSTANT, self.name(value))
            case DictOutput(keys, items):
                self.words += (results.DICT, len(keys))
                for key, item in zip(keys, items):
                    self.words.append(self.name(key))
                    self.output(item)
            case TupleOutput(items) | ListOutput(items):
                self.words += (BUILDERS[type(tree)], len(items))
                self.outputs(items)
            case NamedTupleOutput(kind, items):
                self.words += (results.NAMED if _is_plain(kind) else results.CALL, self.name(kind))
                self.words.append(len(items))
                self.outputs(items)
            case ObjectOutput(kind, names, items):
                self.words += (results.OBJECT, self.name(kind), len(items))
                for name, item in zip(names, items):
                    self.words.append(self.name(name))
                    self.output(item)
            case RegisteredOutput(unflatten, extra, items):
                self.words += (results.CALL, self.name(unflatten), 2)
                self.words += (results.CONSTANT, self.name(extra), results.LIST, len(items))
                self.outputs(items)

    def outputs(self, items: Sequence[OutputTree]) -> None:
        """Append output trees one after the other."""
        for item in items:
            self.output(item)

    def _named(self, value: Any) -> int | None:
        return None if value is None else self.name(value)

    def _place(self, place: Place) -> tuple[int, int, int | None]:
        """The kind of a place, and the objects that it is in."""
        if isinstance(place, ClosurePlace):
            return guard.CELL, self.name(place.cell), None
        return guard.GLOBAL, self.name(place.namespace), self.name(place.name)

    def _rows(self, item: Guard) -> list[tuple[int, int, int | None, int | None]]:
        """The rows of one guard."""
        match item:
            case PlaceGuard(place, expected):
                held = None if expected is ABSENT else self.name(expected)
                return [(*self._place(place), held)]
            case TypeGuard(place, spec):
                kind, holder, name = self._place(place)
                table = encode_spec(spec)
                self.objects.append(table)
                return [(guard.TYPE + kind, holder, name, ctypes.addressof(table))]
            case SameGuard(place, leaf):
                kind, holder, name = self._place(place)
                return [(guard.SAME + kind, holder, name, leaf)]
            case ContentGuard(array, expected):
                size = array.itemsize
                return [(guard.CONTENT, self.name(array), size, self.name(expected))]
            case FunctionGuard(function, code, defaults, keywords):
                holder = self.name(function)
                return [
                    (guard.CODE, holder, self._named(defaults), self.name(code)),
                    (guard.KEYWORDS, holder, None, self._named(keywords)),
                ]

    def guards(self, guards: Sequence[Guard]) -> Any:
        """The native table of guards."""
        rows = [row for item in guards for row in self._rows(item)]
        return (_Guard * len(rows))(*rows)

    def hidden(self, hidden: Sequence[Hidden]) -> Any:
        """The native table of the places that hidden inputs are read from."""
        rows = [
            (*self._place(item.place), item.foreign)
            if isinstance(item, CellInput)
            else (guard.FIXED, self.name(item.array), None, True)
            for item in hidden
        ]
        return (_Place * len(rows))(*rows)

    def array(self) -> Any:
        """The words as native memory."""
        return (ctypes.c_int64 * len(self.words))(*self.words)


def _is_plain(kind: type) -> bool:
    """Whether a named tuple class makes its tuples as collections.namedtuple wrote it."""
    made: Any = kind.__new__
    space = getattr(made, "__globals__", {})
    return str(space.get("__name__", "")).startswith("namedtuple_")
