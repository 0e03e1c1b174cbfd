"""Looking into a program while it runs: print values, check conditions, in order."""

from __future__ import annotations

import builtins
import string
from typing import Any

import numpy as np

from weft import callbacks, diagnostics, tree
from weft.boundary import public
from weft.ops import elementwise, reductions
from weft.tracing import effect, state
from weftc.ir.location import Location
from weftrt.errors import CheckError, UsageError, WeftError


@public
def print(format: str, /, *args: Any, **kwargs: Any) -> None:
    """Print format.format(*args, **kwargs) each time the program comes here, in order.

    Arrays among the arguments, which may be trees, are NumPy's then, and 0-d ones its scalars:
    "{:.3f}" formats each element, and "{x.shape}" works. Gradients are those without the line.

    UsageError if the format does not fit: at once if an argument is missing, else where it prints.
    """
    _check_format(format, args, kwargs)
    callbacks.call(_Printer(format), "wf.debug.print", None, args, kwargs)


@public
def check(condition: Any, message: str, /) -> None:
    """Raise CheckError with `message` and this line where an element of `condition` is false.

    The program ends there: it gives nothing back, and effects after it do not happen.
    """
    if not isinstance(message, str):
        problem = f"debug.check: the message is a str, not {diagnostics.kind_of(message)}"
        raise diagnostics.located(UsageError, problem)
    if state.trace is not None:
        effect("check", reductions.all(elementwise.truth(condition)), message=message)
    elif not reductions.all(condition):
        raise _failed(message)


def _failed(message: str) -> CheckError:
    """The error of a check that fails on the user's line, as programs raise it."""
    place = diagnostics.user_location()
    error = CheckError(f"{place}: {message}" if place is not None else message)
    error.is_located = True
    return error


class _Printer:
    """Prints what it is called with."""

    def __init__(self, format: str) -> None:
        self.__qualname__ = "debug.print"
        self._format = format
        self._at = diagnostics.user_location()

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        args, kwargs = tree.map(_shown, (args, kwargs))
        try:
            text = _Elementwise().vformat(self._format, args, kwargs)
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise _unfitting(self._format, str(error), self._at) from None
        builtins.print(text)


class _Elementwise(string.Formatter):
    """Formats the elements of an array."""

    def format_field(self, value: Any, format_spec: str) -> Any:
        if not format_spec or not isinstance(value, np.ndarray):
            return super().format_field(value, format_spec)
        return np.array2string(value, formatter={"all": lambda item: item.__format__(format_spec)})


def _shown(leaf: Any) -> Any:
    return leaf[()] if isinstance(leaf, np.ndarray) else leaf


def _check_format(format: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """UsageError for a format that asks for an argument which is not there."""
    if not isinstance(format, str):
        problem = f"debug.print: the format is a str, not {diagnostics.kind_of(format)}"
        raise diagnostics.located(UsageError, problem)
    try:
        _Arguments().vformat(format, args, kwargs)
    except ValueError as error:
        raise _unfitting(format, str(error)) from None


def _unfitting(format: str, why: str, at: Location | None = None) -> WeftError:
    problem = f"debug.print: the format {format!r:.60} does not fit: {why}"
    return diagnostics.located(UsageError, problem, at)


class _Arguments(string.Formatter):
    """Looks up what a format asks for, and formats nothing."""

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        first = field_name.replace("[", ".").partition(".")[0]
        key = int(first) if first.isdigit() else first
        try:
            return self.get_value(key, args, kwargs), key
        except (IndexError, KeyError):
            raise ValueError(f"there is no argument {key!r}") from None

    def convert_field(self, value: Any, conversion: Any) -> Any:
        return ""

    def format_field(self, value: Any, format_spec: str) -> str:
        return ""
