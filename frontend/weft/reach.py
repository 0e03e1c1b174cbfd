"""What code can reach besides the names that it reads: lists, attributes, defaults, modules."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import numpy as np

from weft.diagnostics import is_ours
from weft.guards import Binding, globals_in, is_of_library, names_in, names_of
from weftrt.array import Array
from weftrt.cpu.callable import Compiled
from weftrt.dtypes import DType
from weftrt.signature import ABSENT, FunctionGuard, Guard, PlaceGuard, is_built_in

_MOST_OBJECTS = 20_000
"""That are looked at, which takes some 10 ms."""
_ATOMS = (bool, int, float, complex, str, bytes, type(None), np.generic, np.dtype)
_WEFT = frozenset({"weft", "weftc", "weftrt"})
_PURE = _WEFT | {"numpy", "math", "cmath", "operator", "functools", "itertools", "typing"}
"""Packages whose functions give the same for the same arguments."""
_CHANGING = frozenset({"random", "open", "input", "globals", "vars", "getattr"})
_NAMED = (ModuleType, FunctionType, BuiltinFunctionType, type, np.ufunc, type(np.sum))


def arrays_besides(roots: Iterable[Any], bindings: Iterable[Binding]) -> set[int] | None:
    """The arrays, by id, that code with these bindings may get otherwise than by the names bound:
    from `roots`, or from what the names lead to. None if that is too much to look at."""
    walk = _Walk({b.place.key for b in bindings if isinstance(b, PlaceGuard)})
    values = (b.function if isinstance(b, FunctionGuard) else b.expected for b in bindings)
    pending = [*roots, *(value for value in values if not _is_array(value))]
    while pending:
        if not walk.follow(pending):
            return None
        pending = walk.named_in_modules()
    return walk.found


def _is_array(value: Any) -> bool:
    """Whether this is an array of numbers, not of objects."""
    return isinstance(value, Array) or (isinstance(value, np.ndarray) and value.dtype != object)


def is_seen(function: FunctionType | None, guards: Iterable[Guard]) -> bool:
    """Whether these guards of a trace of `function` saw all that it can have read: names of arrays,
    numbers and functions, and nothing that changes otherwise (lists, attributes, clocks)."""
    functions = [] if function is None else [function]
    for guard in guards:
        if isinstance(guard, FunctionGuard):
            functions.append(guard.function)
        elif isinstance(guard, PlaceGuard) and not _is_constant(guard.expected):
            return False
    return all(map(_reads_constants, functions))


def _reads_constants(function: FunctionType) -> bool:
    """Whether what a function holds, and reads in libraries, does not change."""
    held = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
    read = (function.__globals__.get(name) for name in globals_in(function.__code__))
    modules = (value for value in read if isinstance(value, ModuleType))
    changes = not _CHANGING.isdisjoint(names_in(function.__code__))
    return not changes and all(map(_is_constant, held)) and all(map(_is_constant, modules))


def _is_constant(value: Any) -> bool:
    """Whether an object is what it is for good, or guards say what it has become."""
    if isinstance(value, tuple):
        return type(value) is tuple and all(map(_is_constant, value))
    if _is_array(value) or isinstance(value, (*_ATOMS, Compiled, DType)) or value is ABSENT:
        return True
    if isinstance(value, FunctionType) and not is_of_library(value):
        return True  # its names have guards of their own
    if isinstance(value, type) and issubclass(value, tuple) and hasattr(value, "_fields"):
        return True
    return isinstance(value, _NAMED) and _is_pure(value)


def _is_pure(value: Any) -> bool:
    """Whether a module, class or function of a library has no state."""
    name = value.__name__ if isinstance(value, ModuleType) else value.__module__
    return isinstance(name, str) and name.split(".")[0] in _PURE and "random" not in name


class _Walk:
    """A walk over objects; names bound in `places` are not followed."""

    def __init__(self, places: set[tuple[int, str]]) -> None:
        self._places = places
        self._seen: dict[int, Any] = {}
        self._names: set[str] = set()
        self._modules: list[ModuleType] = []
        self.found: set[int] = set()

    def follow(self, pending: list[Any]) -> bool:
        """Look at these objects and what they lead to; False once there are too many."""
        while pending:
            value = pending.pop()
            if isinstance(value, _ATOMS) or id(value) in self._seen:
                continue
            self._seen[id(value)] = value
            if len(self._seen) > _MOST_OBJECTS:
                return False
            if _is_array(value):
                self.found.add(id(value))
            else:
                pending += self._parts(value)
        return True

    def named_in_modules(self) -> list[Any]:
        """What the code seen so far may get as attributes of the modules seen so far."""
        spaces = map(vars, self._modules)
        values = [space[name] for space in spaces for name in self._names & space.keys()]
        new = (value for value in values if not isinstance(value, _ATOMS))
        return [value for value in new if id(value) not in self._seen]

    def _parts(self, value: Any) -> Iterable[Any]:
        if isinstance(value, FunctionType):
            return self._read_by(value)
        if isinstance(value, np.ndarray):
            return value.flat
        if isinstance(value, ModuleType):
            self._modules.append(value)
            return ()
        if isinstance(value, type):
            known = is_built_in(value) or is_of_library(value)
            return () if known else (*value.__mro__, *vars(value).values())
        if type(value).__module__.split(".")[0] in _WEFT:  # a compiled function, and the like
            return (getattr(value, "__wrapped__", None),)
        return gc.get_referents(value)

    def _read_by(self, function: FunctionType) -> Iterable[Any]:
        """Defaults of a function, and what its names hold."""
        defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
        if is_of_library(function) or is_ours(function.__code__.co_filename):
            return (*defaults, *(function.__closure__ or ()))
        self._names |= names_in(function.__code__)
        guards = names_of(function)
        return (*defaults, *(g.expected for g in guards if g.place.key not in self._places))
