"""Installs the native handler of faults while a watched kernel runs."""

from __future__ import annotations

import ctypes
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from weftrt.cpu.host import host
from weftrt.cpu.linker import Code, link
from weftrt.cpu.memory_check import fault
from weftrt.cpu.native import intrinsics, translate
from weftrt.cpu.native.types import mirror
from weftrt.cpu.pages import libc

_WITH_INFO, _ON_STACK = 4, 0x08000000
_SYMBOL = "weft_memory_fault_table"

_State = mirror(fault.FaultState)
_ZoneTable = mirror(fault.ZoneTable)


class _Action(ctypes.Structure):
    """struct sigaction of Linux's C libraries on 64-bit machines."""

    _fields_ = [
        ("handler", ctypes.c_void_p),
        ("mask", ctypes.c_uint64 * 16),
        ("flags", ctypes.c_int),
        ("restorer", ctypes.c_void_p),
    ]


@dataclass(frozen=True)
class Zone:
    """Addresses that are nobody's, and the line to write when one of them is touched."""

    begin: int
    end: int
    line: str


@contextmanager
def faults_reported(zones: Sequence[Zone]) -> Iterator[None]:
    """While open, a thread that touches a zone ends the process with its line on standard error.
    Where Weft does not know the system's signals, it ends without."""
    if not sys.platform.startswith("linux"):
        yield
        return
    handler, state = _handler()
    lines = [f"weft: {zone.line}\n".encode() for zone in zones]
    table = (_ZoneTable * len(zones))(*map(_encode, zones, lines))
    state.count, state.zones = len(zones), ctypes.addressof(table)
    action = _Action(handler=handler, flags=_WITH_INFO | _ON_STACK)
    previous = ctypes.addressof(state) + _State.previous.offset
    _sigaction(ctypes.addressof(action), previous)
    try:
        yield
    finally:
        _sigaction(previous, None)


def _encode(zone: Zone, line: bytes) -> Any:
    text = ctypes.cast(ctypes.c_char_p(line), ctypes.c_void_p)
    return _ZoneTable(begin=zone.begin, end=zone.end, line=text.value, length=len(line))


def _sigaction(new: int, old: int | None) -> None:
    libc().sigaction(signal.SIGSEGV, ctypes.c_void_p(new), ctypes.c_void_p(old))


@cache
def _code() -> Code:
    """The table of the native handler and its state; loaded for good."""
    text = translate.translate((fault,), intrinsics.table(host().triple))
    text += f"@{_SYMBOL} = constant [2 x ptr] [ptr @weft_memory_fault, ptr @FAULTS]\n"
    return link(_SYMBOL, text)


@cache
def _handler() -> tuple[int, Any]:
    """The address of the native handler, and its state."""
    table = (ctypes.c_void_p * 2).from_address(_code().address)
    return int(table[0] or 0), _State.from_address(table[1] or 0)
