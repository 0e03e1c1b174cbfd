"""A pointwise function as the text that numexpr takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

FUNCTIONS = ("sin", "cos", "tanh", "exp", "log", "sqrt", "abs", "maximum", "minimum", "where")


class Text:
    """A value by how it is computed. What numexpr computes twice it finds itself."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __neg__(self) -> Text:
        return Text(f"(-{self.text})")


def _operator(symbol: str, reflected: bool) -> Callable[[Text, Any], Text]:
    def run(self: Text, other: Any) -> Text:
        pair = (_text(other), self.text) if reflected else (self.text, _text(other))
        return Text(f"({symbol.join(pair)})")

    return run


for _name, _symbol in (("add", "+"), ("sub", "-"), ("mul", "*"), ("truediv", "/"), ("pow", "**")):
    setattr(Text, f"__{_name}__", _operator(_symbol, False))
    setattr(Text, f"__r{_name}__", _operator(_symbol, True))


def _text(value: Any) -> str:
    return value.text if isinstance(value, Text) else repr(value)


class _Functions:
    """The functions that numexpr has; others are an AttributeError."""

    def __getattr__(self, name: str) -> Callable[..., Text]:
        if name not in FUNCTIONS:
            raise AttributeError(f"numexpr has no {name} of arrays")
        return lambda *values: Text(f"{name}({', '.join(map(_text, values))})")


def expression(
    function: Callable[[Any], Callable[..., Any]], arrays: tuple[Any, ...]
) -> tuple[str, dict[str, Any]]:
    """The text of a function of arrays, and the arrays by the names it has for them."""
    given = {f"x{number}": array for number, array in enumerate(arrays)}
    result = function(_Functions())(*map(Text, given))
    if not isinstance(result, Text):
        raise TypeError("numexpr gives one array")
    return result.text, given
