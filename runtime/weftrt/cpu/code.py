"""Executable memory: kernels side by side in large mappings, given back when nobody needs them.

A process may have 65,530 mappings (vm.max_map_count), and a mapping of one protection is split
wherever that changes. So memory is reserved in slabs and handed out in pages: writable until its
code is written, executable from then on, never both. Pages that are given back stay as they are
until they are written again. The memory is private, so that a child's code is its own.
"""

from __future__ import annotations

import ctypes
import mmap
from bisect import bisect
from collections import deque
from collections.abc import Callable

from weftrt.cpu import pages
from weftrt.errors import CompileError, OutOfMemoryError
from weftrt.forks import ForkLock
from weftrt.sizes import amount

SLAB_BYTES = 1 << 20


class Span:
    """Pages of code that are in use for as long as this object lives."""

    def __init__(self, memory: CodeMemory, address: int, size: int) -> None:
        self.address = address
        self._size = size
        self._memory = memory

    def __del__(self) -> None:
        self._memory.returned.append((self.address, self._size))


class CodeMemory:
    """All executable memory of the process. `returned` takes pages from any thread at any time,
    also from the garbage collector while a lock is held: to append is atomic."""

    def __init__(self) -> None:
        self.returned: deque[tuple[int, int]] = deque()
        self.reserved_bytes = 0
        self._free: list[tuple[int, int]] = []
        self._slabs: list[mmap.mmap] = []
        self._lock = ForkLock()

    def place(self, size: int, write: Callable[[int], bytes]) -> Span:
        """Executable pages that hold write(address), which is `size` bytes."""
        rounded = size + -size % mmap.PAGESIZE
        with self._lock:
            while self.returned:
                self._give(*self.returned.popleft())
            address = self._take(rounded)
            try:
                content = write(address)
                _protect(address, rounded, mmap.PROT_READ | mmap.PROT_WRITE)
                ctypes.memmove(address, content, len(content))
                _protect(address, rounded, mmap.PROT_READ | mmap.PROT_EXEC)
            except BaseException:
                self._give(address, rounded)
                raise
            return Span(self, address, rounded)

    def free_bytes(self) -> int:
        """Bytes that are reserved and not in use."""
        return sum(size for _, size in (*self._free, *self.returned))

    def _take(self, size: int) -> int:
        """The address of free pages, of the first place where there are enough."""
        for index, (address, room) in enumerate(self._free):
            if room >= size:
                rest = [(address + size, room - size)] if room > size else []
                self._free[index : index + 1] = rest
                return address
        self._reserve(max(size, SLAB_BYTES))
        return self._take(size)

    def _reserve(self, size: int) -> None:
        try:
            slab = pages.private(size)
        except OSError:
            raise OutOfMemoryError(f"there is no memory for {amount(size)} of code") from None
        self._slabs.append(slab)
        self.reserved_bytes += size
        self._give(ctypes.addressof(ctypes.c_char.from_buffer(slab)), size)

    def _give(self, address: int, size: int) -> None:
        """Make pages free, as one piece with their neighbours."""
        index = bisect(self._free, (address, size))
        if index < len(self._free) and address + size == self._free[index][0]:
            size += self._free.pop(index)[1]
        if index and sum(self._free[index - 1]) == address:
            address, before = self._free.pop(index - 1)
            size += before
            index -= 1
        self._free.insert(index, (address, size))


def _protect(address: int, size: int, protection: int) -> None:
    try:
        pages.protect(address, size, protection)
    except OSError as error:
        problem = f"this system lets a process write no code ({error.strerror})"
        raise CompileError(problem) from None


MEMORY = CodeMemory()
