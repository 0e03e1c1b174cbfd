"""Example arguments of a function from text, as the command line takes them.

The text is what stands between the parentheses of a call, with types in place of arrays:
`f32[64,784], {"w": f32[784,10], "b": f32[]}, 2, rate=0.1`. A name in place of a size, `f32[n,784]`,
stands for any; one name is one size.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from weft.calls import Example
from weftrt import dtypes
from weftrt.errors import UsageError

_SCALAR = re.compile(rf"\b({'|'.join([*dtypes.BY_SHORT, *dtypes.BY_NAME])})\[\s*\]")
"""A type without sizes, which is no Python expression."""


@dataclass(frozen=True)
class Arguments:
    """Positional and keyword arguments: arrays, scalars, strings, and trees of them."""

    positional: tuple[Any, ...]
    keywords: dict[str, Any]

    def __len__(self) -> int:
        return len(self.positional) + len(self.keywords)


def arguments(text: str) -> Arguments:
    """The arguments that `text` describes. Arrays are ones, and take no memory of their own."""
    call = _call(text)
    sizes = _sizes(call)
    named = {keyword.arg: _value(keyword.value, sizes) for keyword in call.keywords if keyword.arg}
    return Arguments(tuple(_value(argument, sizes) for argument in call.args), named)


def _sizes(call: ast.Call) -> dict[str, int]:
    """For each name a size that is nobody else's and divides well."""
    nodes = list(ast.walk(call))
    taken = {node.value for node in nodes if isinstance(node, ast.Constant)}
    free = (size for size in itertools.count(96 * 11, 96) if size not in taken)
    return dict(zip(dict.fromkeys(node.id for node in nodes if isinstance(node, ast.Name)), free))


def _call(text: str) -> ast.Call:
    readable = _SCALAR.sub(r"\1[()]", text)
    try:
        call = ast.parse(f"f({readable}\n)", mode="eval").body
    except (SyntaxError, ValueError):
        raise _unreadable(text) from None
    if not isinstance(call, ast.Call):
        raise _unreadable(text)
    return call


def _unreadable(text: str) -> UsageError:
    expected = 'arguments like f32[64,784], {"w": f32[3]}, 2'
    return UsageError(f"cannot read {text!r}; expected {expected}")


def _value(expression: ast.expr, sizes: Mapping[str, int]) -> Any:
    match expression:
        case ast.Subscript(value=ast.Name(id=dtype), slice=shape):
            return _array(dtype, shape, sizes)
        case ast.List(elts=items):
            return [_value(item, sizes) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_value(item, sizes) for item in items)
        case ast.Dict(keys=keys, values=values):
            return {_literal(k): _value(v, sizes) for k, v in zip(keys, values, strict=True)}
    return _literal(expression)


def _literal(expression: ast.expr | None) -> Any:
    """A number, a string, True, False or None."""
    if expression is None:  # as of {**other}
        raise _unreadable("**")
    try:
        return ast.literal_eval(expression)
    except (ValueError, TypeError):
        raise _unreadable(ast.unparse(expression)) from None


def _array(short: str, given: ast.expr, sizes: Mapping[str, int]) -> np.ndarray[Any, Any]:
    dtype = dtypes.BY_SHORT.get(short) or dtypes.BY_NAME.get(short)
    if dtype is None:
        raise UsageError(f"there is no dtype {short}; there are: {', '.join(dtypes.BY_SHORT)}")
    items = given.elts if isinstance(given, ast.Tuple) else [given]
    text = ",".join(map(ast.unparse, items))
    shape = [_size(item, text, sizes) for item in items]
    try:
        array = np.broadcast_to(np.ones((), dtype.dtype), shape)
    except ValueError:
        raise UsageError(f"no array has the shape [{text}]") from None
    example = array.view(Example)
    example.names = {axis: i.id for axis, i in enumerate(items) if isinstance(i, ast.Name)}
    return example


def _size(item: ast.expr, text: str, sizes: Mapping[str, int]) -> int:
    match item:
        case ast.Constant(value=int(size)) if type(size) is int:
            return size
        case ast.Name(id=name):
            return sizes[name]
    raise UsageError(f"sizes are whole numbers or names, got [{text}]")
