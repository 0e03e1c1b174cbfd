"""What the process does when a watched kernel touches a guard page: it says which, then dies.

Native code: Python cannot run in a handler, and the thread may be one of the pool's. So the lines
that may have to be written are made before the kernel starts.
"""

from __future__ import annotations

from weftrt.cpu.native.intrinsics import address_of
from weftrt.cpu.native.types import I32, I64, Ptr, Records, Struct, export, extern, inline, static

write = extern("i64 write(i32, ptr, i64)")
sigaction = extern("i32 sigaction(i32, ptr, ptr)")


class SignalInfo(Struct):
    """siginfo_t of Linux, as far as the address of a fault."""

    number: I32
    error: I32
    code: I32
    padding: I32
    address: I64


class ZoneTable(Struct):
    """weftrt.cpu.memory_check.report.Zone for native code."""

    begin: I64
    end: I64
    line: Ptr
    length: I64


class FaultState(Struct):
    """The zones around the buffers of the running kernel, and the handler that was there before
    (a struct sigaction)."""

    count: I64
    zones: Records[ZoneTable]
    previous: Ptr = inline(32)


FAULTS = static(FaultState)


@export
def weft_memory_fault(number: I32, info: SignalInfo, context: Ptr) -> None:
    """Write the line of the zone, and leave the rest to the handler before: the access is made
    again when this returns."""
    for index in range(FAULTS.count):
        zone = FAULTS.zones[index]
        if zone.begin <= info.address and info.address < zone.end:
            write(2, zone.line, zone.length)
            break
    sigaction(number, address_of(FAULTS.previous), None)
