"""Calls of Python functions from the middle of a program."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from weftrt import array
from weftrt.errors import DTypeError, ShapeError
from weftrt.program import ArraySpec, Callback
from weftrt.size_expressions import SizeSlot

HostFunction: TypeAlias = "Callable[..., Sequence[array.Array | np.ndarray[Any, Any]]]"
"""Takes an Array for each operand and gives back an array for each result."""


def call_back(step: Callback, function: HostFunction, buffers: int, sizes: int) -> None:
    """Call `function` on copies of the operands, and copy what it gives back to the results; the
    program's buffers are at the addresses in `buffers`."""
    operands = [_view(operand, buffers, sizes) for operand in step.operands]
    given = function(*(array.from_numpy(operand, copy=True) for operand in operands))
    if len(given) != len(step.results):
        raise ShapeError(
            f"{step.location}: the function gives {len(given)} results, not {len(step.results)}"
        )
    targets = [_view(result, buffers, sizes) for result in step.results]
    values = list(map(array.as_array, given))
    for value, target in zip(values, targets):
        _check(step, value, target)
    for value, target in zip(values, targets):
        target[...] = array.to_numpy(value)


def _view(place: tuple[int, ArraySpec], buffers: int, sizes: int) -> np.ndarray[Any, Any]:
    """A buffer of a program as an ndarray."""
    number, spec = place
    shape = tuple(_number_at(sizes, n.index) if isinstance(n, SizeSlot) else n for n in spec.shape)
    count = int(np.prod(shape, dtype=np.int64)) * spec.dtype.itemsize
    memory: Any = (ctypes.c_char * count).from_address(_number_at(buffers, number))
    return np.ndarray(shape, spec.dtype.dtype, memory)


def _number_at(table: int, index: int) -> int:
    return ctypes.c_int64.from_address(table + 8 * index).value


def _check(step: Callback, value: array.Array, target: np.ndarray[Any, Any]) -> None:
    """The value has the dtype and shape that were declared."""
    if value.dtype.dtype != target.dtype:
        raise DTypeError(
            f"{step.location}: the function gives {value.dtype}, not {target.dtype} as declared"
        )
    if value.shape != target.shape:
        raise ShapeError(
            f"{step.location}: the function gives the shape {value.shape}, not {target.shape} as "
            "declared"
        )
