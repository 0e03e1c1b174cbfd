"""Properties that are computed once. functools.cached_property of Python 3.11 holds a lock of the
class meanwhile: threads would compile one at a time, and a forked child would wait for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class lazy(Generic[T]):
    """A property whose value is kept in the object's dict; equal whoever computes it."""

    def __init__(self, function: Callable[[Any], T]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    def __get__(self, instance: Any, owner: type | None = None) -> T:
        """The value, which hides this property from now on."""
        value = self._function(instance)
        instance.__dict__[self._function.__name__] = value
        return value
