"""`weft.jit`: Python functions of arrays as compiled programs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, overload

from weftrt.errors import UsageError

from weft import diagnostics
from weft.dispatch import Dispatcher

F = TypeVar("F", bound=Callable[..., Any])


@overload
def jit(function: F, /, *, static_argnames: str | Iterable[str] = ()) -> F: ...


@overload
def jit(*, static_argnames: str | Iterable[str] = ()) -> Callable[[F], F]: ...


def jit(
    function: Callable[..., Any] | None = None, /, *, static_argnames: str | Iterable[str] = ()
) -> Any:
    """Compile a function of arrays, numbers and trees of them, once per kind of arguments.

    Each call with new dtypes, shapes or static values traces the function and compiles what it
    did; other calls run natively. Arguments in `static_argnames` are hashable Python values that
    the trace may branch on. Python numbers are run-time arguments. Closed-over arrays are read
    at every call; a changed closed-over or global Python value traces again.
    """
    names = (static_argnames,) if isinstance(static_argnames, str) else tuple(static_argnames)
    if function is None:
        return functools.partial(jit, static_argnames=names)
    if not callable(function):
        raise diagnostics.located(UsageError, f"jit takes a function, not {function!r:.40}")
    dispatcher = Dispatcher(function, names, symbolic=False)
    compiled = dispatcher.compiled
    functools.update_wrapper(compiled, function, updated=())
    compiled.dispatcher = dispatcher
    return compiled
