"""`weft.jit`: Python functions of arrays as compiled programs."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, ParamSpec, Protocol, TypeAlias, TypeVar, overload

from weft import diagnostics
from weft import dynamic as dynamics
from weft.dispatch import Dispatcher
from weft.inspect import Lowered, stages
from weft.records import CacheReport
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

    def cache_report(self) -> CacheReport:
        """The last compiles: for which calls, why, for how long. A list that prints well."""

    def clear_cache(self) -> None:
        """Forget the compiled programs; the next call traces the function again."""


Axes: TypeAlias = Mapping[str, Mapping[int, str]]
"""Names of axes of arguments: {"x": {0: "batch"}}."""


@overload
def jit(
    function: Callable[P, R],
    /,
    *,
    static_argnames: str | Iterable[str] = (),
    donate_argnames: str | Iterable[str] = (),
    dynamic: Axes | Literal[False] | None = None,
) -> Jitted[P, R]: ...


@overload
def jit(
    *,
    static_argnames: str | Iterable[str] = (),
    donate_argnames: str | Iterable[str] = (),
    dynamic: Axes | Literal[False] | None = None,
) -> Callable[[Callable[P, R]], Jitted[P, R]]: ...


def jit(
    function: Callable[..., Any] | None = None,
    /,
    *,
    static_argnames: str | Iterable[str] = (),
    donate_argnames: str | Iterable[str] = (),
    dynamic: Axes | Literal[False] | None = None,
) -> Any:
    """Compile a function of arrays, numbers and trees of them, once per kind of arguments.

    `@wf.jit` and `@wf.jit(...)` decorate. What they give is called as the function is, returns what
    it returns with Arrays in place of traced values and numbers, and has `ir`, `lower`, `explain`,
    `cache_report` and `clear_cache` (see `Jitted`). TraceError, with the line, where the function
    needs the value of an argument (`if x > 0`, `float(x)`); UsageError for options that name no
    parameter. What the function itself raises comes out as it is.

    Each call with new dtypes, shapes or static values traces the function and compiles what it
    did; other calls run natively. Arguments in `static_argnames` are hashable Python values that
    the trace may branch on. Python numbers are run-time arguments.

    The first call compiles for its sizes. A later call that differs from it only in some sizes
    makes these symbols: what is compiled then answers any size, with the same bits. Where the
    function needs the value of a size, as `range(x.shape[0])` does, each value has its own program.
    `dynamic={"x": {0: "batch"}}` names sizes that are symbols from the first call on (axes that
    have one name are equal); with `dynamic=False` there are none.

    Arrays in the arguments `donate_argnames` are given up: results take over their memory where
    they can, as `params = step(params, batch)` wants, and any later use of them is a DonatedError
    that names the line of the call. Where somebody else uses that memory (a view, NumPy, another
    argument), the result has its own. If the call fails, the arrays are whole or say that they are
    not. NumPy's arrays cannot be donated. A call within a trace donates nothing.

    What the function reads besides its arguments is looked at before each call: the closure cells
    and globals that it names, and those of the plain functions it can reach through them or
    through static arguments. A trace that changes what it reads is not kept.

    - Arrays that a name holds: each call reads what is bound to the name then, without tracing
      again where dtype and shape are the same. What NumPy computes from an ndarray while the
      function is traced (`w * 2`, `w[0]`), and elements of an Array that are looked at then, are
      constants, so another array under this name, or a change of the ndarray, traces again. Not
      seen are changes in ndarrays of more than 1 MiB that NumPy computed with, and elements read
      as Python numbers (`float(w[0])`) from an ndarray that Weft computes with as well.
    - Arrays in lists, tuples, dicts and attributes: this very array, whose elements are read at
      each call. A name whose array can also be reached in such a way is compared by identity.
    - Numbers, strings, None and tuples of them: by value. A changed one traces again.
    - Other objects, functions and lists: by identity. Rebinding the name traces again; changing
      the object in place (a list's items, an attribute, a default argument) is not seen.
    - What is drawn or read while tracing (`np.random`, a clock, a file) is a constant: pass it.
    - Names reached through a module (`config.rate`) and attributes (`self.rate`) are not seen:
      pass such values as arguments.
    """
    names = _names("static_argnames", static_argnames)
    donated = _names("donate_argnames", donate_argnames)
    if function is None:
        return functools.partial(
            jit, static_argnames=names, donate_argnames=donated, dynamic=dynamic
        )
    _check(function)
    choice = dynamics.chosen(function, dynamic)
    compiled = Dispatcher(function, names, choice, donated=donated).compiled
    return functools.update_wrapper(compiled, function, updated=())


def _names(option: str, given: Any) -> tuple[str, ...]:
    if isinstance(given, str):
        return (given,)
    listed = isinstance(given, (tuple, list, set, frozenset))
    if listed and all(isinstance(name, str) for name in given):
        return tuple(given)
    problem = f"{option} is a name or a tuple of names, not {given!r:.40}"
    raise diagnostics.located(UsageError, problem)


def _check(function: Any) -> None:
    if not callable(function):
        raise diagnostics.located(UsageError, f"jit takes a function, not {function!r:.40}")
    for kind, test in _UNTRACEABLE.items():
        if test(function):
            name = getattr(function, "__name__", "it")
            raise diagnostics.located(UsageError, f"jit takes a function; {name} is {kind}")


_UNTRACEABLE: dict[str, Callable[[Any], bool]] = {
    "a coroutine function": inspect.iscoroutinefunction,
    "a generator function": inspect.isgeneratorfunction,
    "an async generator function": inspect.isasyncgenfunction,
}


def _cache_report(compiled: Any) -> CacheReport:
    """The last compiles of this function: for which calls, why, for how long."""
    return CacheReport(compiled._dispatcher.records)


def _clear_cache(compiled: Any) -> None:
    """Forget the compiled programs; the next call traces the function again."""
    compiled._dispatcher.clear()


def _install() -> None:
    """Give the native callable the methods of `Jitted`."""
    for name, method in (
        ("ir", stages.ir),
        ("lower", stages.lower),
        ("explain", stages.explained),
        ("cache_report", _cache_report),
        ("clear_cache", _clear_cache),
    ):
        setattr(Compiled, name, method)


_install()
