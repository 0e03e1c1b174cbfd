"""The C functions that call LAPACK: one routine for all, with a description of its own each.

Descriptions are kept for good, as the routine is.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache
from typing import Any

from weftrt import lapack
from weftrt.cpu import routines
from weftrt.cpu.externs import Routine
from weftrt.cpu.native import lapack as native
from weftrt.cpu.native.types import mirror

SYMBOL = "weft_lapack"


_NAMES = {
    lapack.routine_name(name, itemsize): (name, itemsize)
    for name in lapack.FUNCTIONS
    for itemsize in (4, 8)
}


def routine(name: str) -> Routine:
    """The C function that programs call by a name of lapack.routine_name; KeyError if none is."""
    told = description(*_NAMES[name])
    return Routine(routines.address(SYMBOL, native, "call_lapack"), ctypes.addressof(told), told)


@cache
def description(name: str, itemsize: int) -> Any:
    """What the routine is told of a function, kept for good."""
    function = lapack.FUNCTIONS[name]
    steps = _array(native.Step, [_step(step, order, itemsize) for step, order in function.steps])
    rows = [
        mirror(native.Argument)(
            a.kind, a.read, a.written, a.rows, a.columns, a.part, a.kept, a.needed
        )
        for a in function.arguments
    ]
    table = _array(native.Argument, rows)
    made = mirror(native.Function)(
        ctypes.addressof(steps),
        len(steps),
        lapack.pointer(function.name, itemsize).width,
        itemsize,
        function.fails,
        function.finite,
        len(rows),
        ctypes.addressof(table),
    )
    made.kept = steps, table  # which it points to
    return made


def _step(name: str, order: Sequence[int], itemsize: int) -> Any:
    places = (ctypes.c_int64 * lapack.MOST_ARGUMENTS)(*order)
    return mirror(native.Step)(lapack.pointer(name, itemsize).address, len(order), places)


def _array(struct: type, rows: Sequence[Any]) -> Any:
    return (mirror(struct) * len(rows))(*rows)
