"""Where the user's code calls Weft: an error shows the user's frames, not Weft's own."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from types import FunctionType, TracebackType
from typing import Any, TypeVar, cast

from weft import diagnostics, names
from weft.errors import WeftError
from weftrt import knobs
from weftrt.cpu.native.library import library

F = TypeVar("F", bound=Callable[..., Any])


def public(function: F, module: str | None = None) -> F:
    """`function` as users call it: Weft's frames are left out of the traceback of an error. They
    find it in `module`, its own by default.

    Returned as it is: what is no Python function, such as a class or a compiled function."""
    if not isinstance(function, FunctionType):
        return function
    wrapped = library().boundary_new(function)
    functools.update_wrapper(wrapped, function, updated=())
    wrapped.__module__ = module or function.__module__
    return cast(F, wrapped)


def shortened(error: BaseException, traceback: TracebackType | None) -> TracebackType | None:
    """`traceback` without Weft's frames: of an error that Weft raises on purpose, or one that the
    user's code raised within Weft. A fault of Weft's own keeps them all."""
    frames = []
    link: TracebackType | None = traceback
    while link is not None:
        frames.append(link)
        link = link.tb_next
    if isinstance(error, (TypeError, AttributeError)):
        _add_hint(error)
    intended = isinstance(error, WeftError) or getattr(error, "is_intended", False)
    fault = isinstance(error, Exception) and not intended and bool(frames)
    if knobs.full_traceback() or (fault and _is_ours(frames[-1])):
        return traceback
    if error.__context__ is not None and _began_here(error.__context__):
        error.__suppress_context__ = True
    result: TracebackType | None = None
    for frame in reversed(frames):
        if not _is_ours(frame):
            result = TracebackType(result, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return result


def _began_here(error: BaseException) -> bool:
    """Whether Weft met `error` on the way, and not the user."""
    return error.__traceback__ is not None and _is_ours(error.__traceback__)


def _add_hint(error: TypeError | AttributeError) -> None:
    """How else arguments are given, where one of our functions does not take them; what to write
    for a method that arrays do not have."""
    said = str(error)
    if isinstance(error, TypeError):
        hint = names.argument_hint(said, _function)
    else:
        hint = names.method_hint(error.name or "") if _is_array(error.obj) else ""
    if hint and not said.endswith(hint):
        error.args = (said + hint,)


def _is_array(value: Any) -> bool:
    """Whether this is one of our arrays, or stands for one."""
    kind = type(value)
    return hasattr(kind, "__array_namespace__") and kind.__module__.startswith("weft")


def _function(name: str) -> Any:
    """The public function of this name, if there is one."""
    weft = sys.modules["weft"]
    homes = (weft, *(sys.modules.get(f"weft.{name}") for name in ("nn", "linalg", "fft")))
    return next((f for h in homes if callable(f := getattr(h, name, None))), None)


def _is_ours(frame: TracebackType) -> bool:
    return diagnostics.is_ours(frame.tb_frame.f_code.co_filename)


def _by_name(function: Any) -> str:
    """Pickled as functions are: by name."""
    return str(function.__qualname__)


def _described(function: Any) -> str:
    return f"<function {function.__module__}.{function.__qualname__}>"


for _name, _method in {"__reduce__": _by_name, "__repr__": _described}.items():
    setattr(library().Boundary, _name, _method)
library().filter_tracebacks(shortened)
