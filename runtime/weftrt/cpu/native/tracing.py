"""Which threads trace: while one does, its calls of compiled functions become part of the trace.

A thread that traces is marked in its own dict, which is only looked at while any thread traces.
"""

from __future__ import annotations

from weftrt.cpu.native.python import (
    STATE,
    PyDict_DelItem,
    PyDict_GetItemWithError,
    PyDict_SetItem,
    PyThreadState_GetDict,
    new_none,
)
from weftrt.cpu.native.types import I64, Bool, Pointer, Ptr, export, native, rare


@native
def is_tracing() -> Bool:
    """Whether a trace is open on this thread."""
    if STATE.traces == 0:
        return False
    known: Ptr = PyThreadState_GetDict()
    if known is None:
        return False
    found: Bool = PyDict_GetItemWithError(known, STATE.trace_mark) is not None
    return found


@rare
@export
def weft_trace_opened(module: Ptr, arguments: Pointer[Ptr], count: I64) -> Ptr:
    """trace_opened(): from here on this thread traces."""
    known: Ptr = PyThreadState_GetDict()
    if not is_tracing():
        if PyDict_SetItem(known, STATE.trace_mark, STATE.true) != 0:
            return None
        STATE.traces += 1
    return new_none()


@rare
@export
def weft_trace_closed(module: Ptr, arguments: Pointer[Ptr], count: I64) -> Ptr:
    """trace_closed(): the thread's outermost trace has ended."""
    known: Ptr = PyThreadState_GetDict()
    if is_tracing():
        if PyDict_DelItem(known, STATE.trace_mark) != 0:
            return None
        STATE.traces -= 1
    return new_none()
