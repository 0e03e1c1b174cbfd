"""What a trace depends on besides its arguments: closure cells and globals that it names.

Plain functions reachable through them are followed, but for Weft's and NumPy's: by name, in a list,
tuple or dict, or as methods of an object. What is named through a module, and the attributes of
objects, are not guarded.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any, TypeAlias

import numpy as np

from weft.diagnostics import is_ours
from weftrt.array import Array
from weftrt.signature import CellGuard, GlobalGuard

Guard: TypeAlias = CellGuard | GlobalGuard

_HEAP_TYPE = 1 << 9
"""The flag of classes that are not built in."""
_LIBRARIES = frozenset({"numpy", *sys.stdlib_module_names})
"""Packages whose globals do not change."""
_VALUES = (bool, int, float, complex, str, bytes, type(None))


def collect(function: Callable[..., Any]) -> list[Guard]:
    """Guards for the cells and globals of `function` and of the plain functions it can reach."""
    found: list[Guard] = []
    seen: set[int] = set()
    pending: list[tuple[Any, Any]] = [(function, None)]
    while pending:
        value, owner = pending.pop()
        plain = _plain(value)
        if plain is None or id(plain) in seen:
            continue
        seen.add(id(plain))
        names = _names(plain.__code__)
        if owner is None and not isinstance(value, FunctionType):
            owner = value
        owner = getattr(value, "__self__", owner)
        pending += [(method, owner) for method in _methods(owner, names)]
        for guard in _of(plain, names):
            found.append(guard)
            pending += _reachable(guard.expected, names)
    return found


def _reachable(value: Any, names: set[str]) -> list[tuple[Any, Any]]:
    """Callables that code with these names may get from `value`, and the objects they belong to."""
    if isinstance(value, (list, tuple, dict)):
        items = value.values() if isinstance(value, dict) else value
        return [(item, None) for item in items if callable(item)]
    methods = [(method, value) for method in _methods(value, names)]
    return [(value, value), *methods] if callable(value) else methods


def _methods(owner: Any, names: set[str]) -> list[Any]:
    """The methods among `names` of an object of a class written in Python."""
    cls = owner if isinstance(owner, type) else type(owner)
    if not cls.__flags__ & _HEAP_TYPE or isinstance(owner, (FunctionType, ModuleType)):
        return []
    found = (_static(cls, name) for name in names)
    return [f for f in found if isinstance(f, (FunctionType, staticmethod, classmethod))]


def _plain(function: Any) -> FunctionType | None:
    """The Python function behind a callable, if it is one of the user's."""
    while True:
        function = getattr(function, "__func__", function)
        if isinstance(function, functools.partial):
            function = function.func
        elif isinstance(function, FunctionType) and not is_ours(function.__code__.co_filename):
            return None if (function.__module__ or "").split(".")[0] in _LIBRARIES else function
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


def _of(function: FunctionType, names: set[str]) -> Iterator[Guard]:
    for cell in function.__closure__ or ():
        try:
            value = cell.cell_contents
        except ValueError:  # a name that is bound later
            continue
        yield CellGuard(cell, value)
    namespace = function.__globals__
    for name in sorted(names):
        value = namespace.get(name, namespace)
        if value is not namespace and not isinstance(value, ModuleType):
            yield GlobalGuard(namespace, name, value)


def _names(code: CodeType) -> set[str]:
    """Names that `code` and the functions defined in it may read as globals."""
    names: set[str] = set()
    pending = [code]
    while pending:
        current = pending.pop()
        names.update(current.co_names)
        pending.extend(c for c in current.co_consts if isinstance(c, CodeType))
    return names


def current(guard: Guard) -> Any:
    """What the guarded cell or global holds now (the guard itself if nothing)."""
    if isinstance(guard, GlobalGuard):
        return guard.namespace.get(guard.name, guard)
    try:
        return guard.cell.cell_contents
    except ValueError:
        return guard


def holds(guard: Guard) -> bool:
    """Whether the guarded name still means what was traced: scalars, strings and tuples of them by
    value, the rest by identity."""
    return current(guard) is guard.expected or _equal(current(guard), guard.expected)


def _equal(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, tuple):
        return len(a) == len(b) and all(x is y or _equal(x, y) for x, y in zip(a, b))
    return isinstance(a, _VALUES) and (a == b or (a != a and b != b)) and repr(a) == repr(b)


def describe(guard: Guard) -> str:
    """ "the global lr" or "a closed-over value"."""
    if isinstance(guard, GlobalGuard):
        return f"the global {guard.name}"
    value = guard.expected
    kind = "array" if isinstance(value, (Array, np.ndarray)) else type(value).__name__
    return f"a closed-over {kind}"


def refreshed(guard: Guard) -> Guard:
    """The guard for the object that the name holds now."""
    if isinstance(guard, GlobalGuard):
        return GlobalGuard(guard.namespace, guard.name, current(guard))
    return CellGuard(guard.cell, current(guard))
