"""`weft.jit`: Python functions of arrays as compiled programs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, Protocol, TypeVar, overload

from weft import diagnostics
from weft.dispatch import CompileRecord, Dispatcher
from weft.inspect import Lowered, stages
from weftrt.cpu.callable import Compiled
from weftrt.errors import UsageError

P = ParamSpec("P")
R = TypeVar("R", covariant=True)


class Jitted(Protocol[P, R]):
    """What `jit` returns, as the type checker sees it: weftrt's native callable."""

    __name__: str
    __wrapped__: Callable[..., Any]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function, natively where it was compiled for such arguments."""

    def __get__(self, instance: Any, owner: Any = None) -> Callable[..., Any]:
        """The function as a method."""

    def ir(self, *args: Any, stage: str = "graph", **kwargs: Any) -> str:
        """One stage of compiling the function for these arguments, as text."""

    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        """All stages of compiling the function for these arguments, as objects."""

    def explain(self, *args: Any, **kwargs: Any) -> str:
        """The kernels, the lines that they compute, and why values go through memory."""

    def cache_report(self) -> list[CompileRecord]:
        """The compiles so far: for which call, why, for how long."""


@overload
def jit(
    function: Callable[P, R], /, *, static_argnames: str | Iterable[str] = ()
) -> Jitted[P, R]: ...


@overload
def jit(
    *, static_argnames: str | Iterable[str] = ()
) -> Callable[[Callable[P, R]], Jitted[P, R]]: ...


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
    compiled = Dispatcher(function, names, symbolic=False).compiled
    return functools.update_wrapper(compiled, function, updated=())


def _install() -> None:
    """Give the native callable the methods of `Jitted`."""
    for name, method in (
        ("ir", stages.ir),
        ("lower", stages.lower),
        ("explain", stages.explained),
        ("cache_report", stages.cache_report),
    ):
        setattr(Compiled, name, method)


_install()
