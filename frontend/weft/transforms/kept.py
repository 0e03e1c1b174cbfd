"""What transforms make of functions, kept: `wf.grad(f)` in a loop is one compiled function.

A function that is transformed again owns what was made of it, and both go together. The lambda in a
loop is another function in each turn, of the same code, cells and defaults: what was made of the
last function of each code is remembered for a while. Nothing is kept of functions that read what
guards do not see (attributes, lists, files): these are traced anew each time.
"""

from __future__ import annotations

import functools
import gc
import inspect
import operator
from collections.abc import Callable
from types import FunctionType
from typing import Any

from weft import guards, reach
from weft.dispatch import Dispatcher, Entry
from weft.dynamic import Dynamic
from weft.jitting import jit
from weft.tracing import state

Function = Callable[..., Any]

_ATTRIBUTE = "__weft_transforms__"
_MOST_RECENT = 256


class _Made:
    """What a transform made of a function, as that was then; `used` since the last collection."""

    def __init__(self, function: Any, compiled: Any) -> None:
        self.function = function
        self.compiled = compiled
        self.used = True
        self._plain = guards.plain_function(function)
        self._held = _held(self._plain)
        self._is_bare = not function.__dict__
        self._entries: tuple[Entry, ...] = ()

    def answers(self, function: Any) -> bool:
        """Whether this is what would be made of `function` now."""
        if function is self.function:
            plain = self._plain
        elif self._is_again(function):
            plain = function
        else:
            return False
        seen = self._entries is self.compiled._dispatcher.entries or self._is_seen()
        return seen and self._holds(plain)

    def _holds(self, plain: FunctionType | None) -> bool:
        """Whether a function holds what this was made of."""
        if plain is None:
            return True
        code, defaults, named = self._held
        same = plain.__code__ is code and plain.__defaults__ is defaults
        if same and plain.__kwdefaults__ is named is None:
            return True  # as a rule, and at once
        return guards.agree(self._held, _held(plain))

    def _is_again(self, function: Any) -> bool:
        """Whether a definition was run once more: the same code reads the same names."""
        own = self.function
        return (
            self._is_bare
            and type(own) is type(function) is FunctionType
            and own.__code__ is function.__code__
            and own.__globals__ is function.__globals__
            and all(map(operator.is_, own.__closure__ or (), function.__closure__ or ()))
            and not function.__dict__
        )

    def _is_seen(self) -> bool:
        """Whether guards see all that the programs made so far depend on."""
        entries = self.compiled._dispatcher.entries
        if not all(reach.is_seen(self._plain, entry.guards) for entry in entries):
            return False
        self._entries = entries
        return True


def _held(function: FunctionType | None) -> tuple[Any, ...]:
    """What a function holds itself and may be given anew."""
    if function is None:
        return ()
    named = function.__kwdefaults__
    return function.__code__, function.__defaults__, named and tuple(named.items())


class _Owned:
    """What was made of a function, in its attributes. Another function that copies these, as
    `functools.wraps` does, has none of it."""

    def __init__(self, owner: int = 0) -> None:
        self.owner = owner
        self.made: dict[Any, _Made] = {}

    def __reduce__(self) -> Any:
        return _Owned, ()


_recent: dict[Any, _Made] = {}
"""The last that was made of each code, by transform."""


def kept(make: Callable[..., Any], function: Any, *how: Any) -> Function:
    """`make(function, *how)`, which is compiled: what that gave before, if it would be the same."""
    made = _found(function, (make, how))
    if made is not None and made.answers(function):
        before: Function = made.compiled
        return before
    result: Function = make(function, *how)
    if state.trace is None and type(function) in (FunctionType, type(result)):
        _keep((make, how), _Made(function, result))
    return result


def compiled(run: Function, function: Any) -> Function:
    """`run`, which calls `function` with its arguments, compiled: what is static for `function`
    stays so."""
    dispatcher = getattr(function, "_dispatcher", None)
    return jit(run, static_argnames=dispatcher.static if dispatcher is not None else ())


def _found(function: Any, key: Any) -> _Made | None:
    try:
        made: _Made = function.__dict__[_ATTRIBUTE].made[key]
    except (AttributeError, KeyError):
        pass
    else:
        if made.function is function:
            return made
    recent = _recent.get((key, _code(function)))
    if recent is not None:
        recent.used = True
        if recent.function is function:
            _keep(key, recent)
    return recent


def _code(function: Any) -> int:
    return id(function.__code__ if type(function) is FunctionType else function)


def _keep(key: Any, made: _Made) -> None:
    """With the function, if that was here before; else as the last one of its code."""
    function = made.function
    owned = function.__dict__.get(_ATTRIBUTE)
    if owned is not None and owned.owner == id(function):
        owned.made[key] = made
        return
    function.__dict__[_ATTRIBUTE] = _Owned(id(function))
    _recent[key, _code(function)] = made
    if len(_recent) > _MOST_RECENT:
        _recent.pop(next(iter(_recent)), None)


def _forget(phase: str, info: dict[str, int]) -> None:
    """Let go of what was not used since the last collection of more than the youngest objects, and
    of everything when all are collected."""
    if phase == "start" and info["generation"]:
        for key, made in list(_recent.items()):
            if info["generation"] == 2 or not made.used:
                _recent.pop(key, None)
            made.used = False


gc.callbacks.append(_forget)


def running(name: str, function: Any, run: Any, dynamic: Dynamic) -> Function:
    """`run`, which is Weft's and calls the user's `function`, compiled, with guards of what that
    reads."""
    shown = inspect.signature(run)
    run = functools.update_wrapper(run, function, updated=())
    run.__name__, run.__signature__ = name, shown
    result: Function = Dispatcher(run, (), dynamic, freeze=True).compiled
    return result
