"""What a trace depends on besides its arguments: closure cells and globals that it names.

Plain functions reachable through them are followed, but for Weft's and NumPy's: by name, in a list,
tuple or dict, or as methods of an object. What is named through a module, and the attributes of
objects, are not guarded. What NumPy computes from an array while tracing stays in the program, so
the elements of arrays that it may have computed with are compared at each call. Guards are taken
before the trace: what the trace itself changes does not hold afterwards. Arrays that the program
reads where they are bound need no guard (weft.cells).
"""

from __future__ import annotations

import dis
import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import CodeType, FunctionType, ModuleType
from typing import Any, TypeAlias

import numpy as np

from weft.diagnostics import is_ours
from weftrt.array import Array
from weftrt.cpu.callable import Compiled
from weftrt.signature import (
    ClosurePlace,
    ContentGuard,
    FunctionGuard,
    GlobalPlace,
    Guard,
    Place,
    PlaceGuard,
    SameGuard,
    TypeGuard,
    equal,
    is_built_in,
)

Binding: TypeAlias = PlaceGuard | FunctionGuard
"""A guard of what a name holds, or of a function that it leads to."""

_LIBRARIES = frozenset({"weft", "weftc", "weftrt", "numpy", *sys.stdlib_module_names})
"""Packages whose globals do not change, and whose names are not given to others."""
_GLOBAL_LOADS = frozenset(("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"))
_MOST_BYTES = 1 << 20
"""Of an array whose elements are compared at each call (about 40 us); larger ones are trusted."""
_VALUES = (bool, int, float, complex, str, bytes, type(None))


def collect(function: Callable[..., Any], statics: Iterable[Any] = ()) -> list[Binding]:
    """Guards for the cells and globals of `function`, of callables among its static arguments, and
    of the plain functions that these can reach."""
    found: dict[tuple[int, str], Binding] = {}
    seen: set[int] = set()
    plain = plain_function(function)
    names = names_in(plain.__code__) if plain is not None else set()
    pending: list[tuple[Any, Any]] = [(function, None)]
    for static in statics:
        pending += _reachable(static, names)
    while pending:
        value, owner = pending.pop()
        for guard in _rules_of(value):
            found.setdefault(_place(guard), guard)
            pending.append((guard.expected, None))
        plain = plain_function(value)
        if plain is None or id(plain) in seen:
            continue
        seen.add(id(plain))
        names = names_in(plain.__code__)
        if owner is None and not isinstance(value, FunctionType):
            owner = value
        owner = getattr(value, "__self__", owner)
        pending += [(method, owner) for method in _methods(owner, names)]
        if value is not function:  # the parameters of `function` are bound once, as it was
            unchanged = _unchanged(plain)
            found[_place(unchanged)] = unchanged
        for guard in names_of(plain):
            found.setdefault(_place(guard), guard)
            pending += _reachable(guard.expected, names)
    return list(found.values())


def _place(guard: Binding) -> tuple[int, str]:
    return (id(guard.function), "") if isinstance(guard, FunctionGuard) else guard.place.key


def _unchanged(function: FunctionType) -> FunctionGuard:
    code, defaults = function.__code__, function.__defaults__
    return FunctionGuard(function, code, defaults, function.__kwdefaults__)


def _reachable(value: Any, names: set[str]) -> list[tuple[Any, Any]]:
    """Callables that code with these names may get from `value`, and the objects they belong to."""
    if isinstance(value, (list, tuple, dict)):
        items = value.values() if isinstance(value, dict) else value
        return [(item, None) for item in items if callable(item)]
    methods = [(method, value) for method in _methods(value, names)]
    return [(value, value), *methods] if callable(value) else methods


def _rules_of(function: Any) -> Iterator[PlaceGuard]:
    """Guards for the rules for derivatives that the user gave a function, or one that it wraps."""
    while function is not None:
        own = vars(function) if isinstance(function, (FunctionType, Compiled)) else {}
        for name, cell in own.get("derivative_rules", {}).items():
            place = ClosurePlace(cell, name)
            yield PlaceGuard(place, place.read())
        function = own.get("__wrapped__")


def _methods(owner: Any, names: set[str]) -> list[Any]:
    """The methods and properties among `names` of an object of a class written in Python."""
    cls = owner if isinstance(owner, type) else type(owner)
    if is_built_in(cls) or isinstance(owner, (FunctionType, ModuleType)):
        return []
    found = (_static(cls, name) for name in names)
    getters = (f.fget if isinstance(f, property) else f for f in found)
    return [f for f in getters if isinstance(f, (FunctionType, staticmethod, classmethod))]


def plain_function(function: Any) -> FunctionType | None:
    """The Python function behind a callable, if it is one of the user's."""
    while True:
        function = getattr(function, "__func__", function)
        if isinstance(function, functools.partial):
            function = function.func
        elif isinstance(function, FunctionType) and not is_ours(function.__code__.co_filename):
            return None if is_of_library(function) else function
        elif isinstance(function, type):
            return None
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif isinstance(call := _static(type(function), "__call__"), FunctionType):
            function = call
        else:
            return None


def _static(cls: type, name: str) -> Any:
    return inspect.getattr_static(cls, name, None)


def is_of_library(item: Any) -> bool:
    """Whether a function, class or module belongs to Weft, NumPy or Python."""
    name = item.__name__ if isinstance(item, ModuleType) else item.__module__
    return isinstance(name, str) and name.split(".")[0] in _LIBRARIES


def names_of(function: FunctionType) -> Iterator[PlaceGuard]:
    """Guards for the names that a plain function reads."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        place = ClosurePlace(cell, name)
        yield PlaceGuard(place, place.read())
    for name in sorted(globals_in(function.__code__)):
        there = GlobalPlace(function.__globals__, name)
        value = there.read()
        if not isinstance(value, ModuleType) or not is_of_library(value):
            yield PlaceGuard(there, value)


def _codes(code: CodeType) -> Iterator[CodeType]:
    """`code` and the code of the functions defined in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def names_in(code: CodeType) -> set[str]:
    """Names that `code` and the functions defined in it may look up, attributes included."""
    return {name for part in _codes(code) for name in part.co_names}


@functools.lru_cache(maxsize=1024)
def globals_in(code: CodeType) -> frozenset[str]:
    """Names that `code` and the functions defined in it read as globals."""
    return frozenset(
        instruction.argval
        for part in _codes(code)
        for instruction in dis.get_instructions(part)
        if instruction.opname in _GLOBAL_LOADS
    )


def holds(guard: Guard, leaves: Sequence[Any] = ()) -> bool:
    """Whether the guarded name still means what was traced: scalars, strings and tuples of them by
    value, the rest by identity. `leaves` are the inputs of the program that would run."""
    if isinstance(guard, ContentGuard):
        now, then = guard.array, guard.expected
        alike = (now.dtype, now.shape) == (then.dtype, then.shape)
        return alike and now.tobytes() == then.tobytes()
    if isinstance(guard, FunctionGuard):
        function = guard.function
        now_held = (function.__code__, function.__defaults__, function.__kwdefaults__)
        held = (guard.expected, guard.defaults, guard.keyword_defaults)
        return all(a is b for a, b in zip(now_held, held, strict=True))
    if isinstance(guard, SameGuard):
        return guard.place.read() is leaves[guard.leaf]
    if isinstance(guard, TypeGuard):
        array = guard.place.read()
        wanted = guard.spec.dtype, guard.spec.shape
        return isinstance(array, Array) and (array.dtype, array.shape) == wanted
    return agree(guard.place.read(), guard.expected)


def agree(a: Any, b: Any) -> bool:
    """Whether two objects mean the same: scalars, strings and tuples of them by value, the rest by
    identity."""
    if a is b or type(a) is not type(b):
        return a is b
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(agree, a, b))
    return isinstance(a, _VALUES) and equal(a, b)


def contents(bindings: Iterable[Binding]) -> list[ContentGuard]:
    """Guards for the elements of the NumPy arrays that names hold, as they are now."""
    return [
        ContentGuard(array, np.array(array, order="C"))
        for array in _arrays(bindings).values()
        if array.nbytes <= _MOST_BYTES and not array.dtype.hasobject
    ]


def has_foreign(bindings: Sequence[Binding], captured: Sequence[Any]) -> bool:
    """Whether a program reads arrays of NumPy's that no name holds, as it is or in part."""
    known = set(_arrays(bindings))
    foreign = (a for a in captured if isinstance(a, np.ndarray))
    return any(known.isdisjoint(map(id, bases(array))) for array in foreign)


def _arrays(bindings: Iterable[Binding]) -> dict[int, np.ndarray[Any, Any]]:
    return {id(g.expected): g.expected for g in bindings if isinstance(g.expected, np.ndarray)}


def bases(array: Any) -> Iterator[Any]:
    """An array and those that it is a view of."""
    while array is not None:
        yield array
        array = getattr(array, "base", None)


def describe(guard: Guard) -> str:
    """ "the global lr" or "the closed-over lr"."""
    if isinstance(guard, ContentGuard):
        return "an array that NumPy computed with"
    if isinstance(guard, FunctionGuard):
        return f"the function {guard.function.__name__}"
    return described(guard.place)


def described(place: Place) -> str:
    """ "the global lr" or "the closed-over lr"."""
    kind = "global" if isinstance(place, GlobalPlace) else "closed-over"
    return f"the {kind} {place.name}"


def is_renamed(guard: Guard) -> bool:
    """Whether a guard that holds was taken of another, equal object."""
    return isinstance(guard, PlaceGuard) and guard.place.read() is not guard.expected


def refreshed(guard: Guard) -> Guard:
    """The guard for the object that the name holds now."""
    return PlaceGuard(guard.place, guard.place.read()) if isinstance(guard, PlaceGuard) else guard
