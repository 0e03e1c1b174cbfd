"""What a trace depends on besides its arguments: closure cells and globals that it names.

Plain functions reachable through them are followed, but for Weft's and NumPy's. What is named
through a module, and attributes of objects, is not guarded.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any, TypeAlias

import numpy as np

from weft.diagnostics import is_ours
from weftrt.array import Array
from weftrt.signature import CellGuard, GlobalGuard

Guard: TypeAlias = CellGuard | GlobalGuard

_VALUES = (bool, int, float, complex, str, bytes, type(None))


def collect(function: Callable[..., Any]) -> list[Guard]:
    """Guards for the cells and globals of `function` and of the plain functions it can reach."""
    found: list[Guard] = []
    seen: set[int] = set()
    pending = [function]
    while pending:
        plain = _plain(pending.pop())
        if plain is None or id(plain) in seen:
            continue
        seen.add(id(plain))
        for guard in _of(plain):
            found.append(guard)
            if callable(guard.expected):
                pending.append(guard.expected)
    return found


def _plain(function: Any) -> FunctionType | None:
    """The Python function behind a callable, if it is one of the user's."""
    while True:
        function = getattr(function, "__func__", function)
        if isinstance(function, functools.partial):
            function = function.func
        elif isinstance(function, FunctionType) and not is_ours(function.__code__.co_filename):
            return None if (function.__module__ or "").split(".")[0] == "numpy" else function
        elif not isinstance(function, type) and hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        else:
            return None


def _of(function: FunctionType) -> Iterator[Guard]:
    for cell in function.__closure__ or ():
        try:
            value = cell.cell_contents
        except ValueError:  # a name that is bound later
            continue
        yield CellGuard(cell, value)
    namespace = function.__globals__
    for name in sorted(_names(function.__code__)):
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
