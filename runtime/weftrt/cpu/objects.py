"""Objects of kernels: relocatable ELF for x86-64, laid out in one piece and bound to an address.

Kernels are code and constants, and call routines by name. That takes a handful of relocations; a
loader that knows them puts many kernels into one mapping, which LLVM's JIT does not (see
weftrt.cpu.code). System V ABI, AMD64 supplement, 4.4.1.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from weftrt.errors import CompileError

_HEAD = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QQq")
_X86_64 = 62
_PROGRAM_BITS, _SYMBOLS, _RELOCATIONS = 1, 2, 4
_WRITABLE, _LOADED = 1, 2

_ABSOLUTE_64, _RELATIVE_32, _CALL_32, _RELATIVE_64 = 1, 2, 4, 24
_SLOT_32 = frozenset((9, 41, 42))
"""R_X86_64_GOTPCREL and its relaxable forms: the address of a place that holds the address."""
_FORMATS = {_ABSOLUTE_64: "<q", _RELATIVE_64: "<q"}

_STUB = struct.Struct("<HIHQ")
_JUMP, _TRAP = 0x25FF, 0x0B0F
"""jmp [rip + 2]; ud2; the address: a call of it arrives wherever that is."""
_SLOT = 8


class Section(NamedTuple):
    """Elf64_Shdr."""

    name: int
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry: int


class Symbol(NamedTuple):
    """Elf64_Sym, as far as it matters here: section 0 is another object's."""

    name: str
    section: int
    value: int


class KernelObject:
    """An object file: what `symbol` needs of memory, and its bytes for an address."""

    def __init__(self, image: bytes) -> None:
        self._image = image
        head = _HEAD.unpack_from(image)
        count, table = head[12], head[6]
        self._sections = [
            Section(*_SECTION.unpack_from(image, table + index * _SECTION.size))
            for index in range(count)
        ]
        self._symbols = [symbol for s in self._sections for symbol in self._symbols_of(s)]
        self._places: dict[int, int] = {}
        size = 0
        for index, section in enumerate(self._sections):
            if section.kind == _PROGRAM_BITS and section.flags & _LOADED:
                size += -size % max(section.alignment, 1)
                self._places[index] = size
                size += section.size
        size += -size % _STUB.size
        self.externals = tuple(
            dict.fromkeys(s.name for s in self._symbols if s.section == 0 and s.name)
        )
        self._stubs = {name: size + k * _STUB.size for k, name in enumerate(self.externals)}
        self.size = size + len(self.externals) * _STUB.size

    def offset(self, name: str) -> int:
        """Where a symbol lies in the bytes."""
        for symbol in self._symbols:
            if symbol.name == name and symbol.section in self._places:
                return self._places[symbol.section] + symbol.value
        raise CompileError(f"the object of {name} does not define it")

    def bound(self, address: int, externals: dict[str, int]) -> bytes:
        """The bytes to be put at `address`, with the addresses of what they call."""
        data = bytearray(self.size)
        for index, place in self._places.items():
            section = self._sections[index]
            data[place : place + section.size] = self._bytes(section)
        for name, place in self._stubs.items():
            _STUB.pack_into(data, place, _JUMP, _SLOT - 6, _TRAP, externals[name])
        for section in self._sections:
            if section.kind == _RELOCATIONS and section.info in self._places:
                self._relocate(data, section, address)
        return bytes(data)

    def _relocate(self, data: bytearray, section: Section, address: int) -> None:
        for place, info, addend in _RELOCATION.iter_unpack(self._bytes(section)):
            kind, symbol = info & 0xFFFFFFFF, self._symbols[info >> 32]
            at = self._places[section.info] + place
            value = self._target(kind, symbol) + addend
            value += address if kind == _ABSOLUTE_64 else -at
            try:
                struct.pack_into(_FORMATS.get(kind, "<i"), data, at, value)
            except struct.error:
                raise CompileError(f"{symbol.name} is out of reach of its kernel") from None

    def _target(self, kind: int, symbol: Symbol) -> int:
        """Where a reference leads, from the start of the bytes."""
        if symbol.section == 0:
            return self._stubs[symbol.name] + (_SLOT if kind in _SLOT_32 else 0)
        return self._places[symbol.section] + symbol.value

    def _bytes(self, section: Section) -> bytes:
        return self._image[section.offset : section.offset + section.size]

    def _symbols_of(self, section: Section) -> Iterator[Symbol]:
        if section.kind == _SYMBOLS:
            names = self._bytes(self._sections[section.link])
            for name, _, _, index, value, _ in _SYMBOL.iter_unpack(self._bytes(section)):
                end = names.index(b"\0", name)
                yield Symbol(names[name:end].decode(), index, value)

    def is_kernel(self) -> bool:
        """Whether this is all that a kernel may need: no data of its own that it writes, no
        references of another kind."""
        loaded = (s for s in self._sections if s.flags & _LOADED)
        if any(s.flags & _WRITABLE or s.kind != _PROGRAM_BITS for s in loaded):
            return False
        known = {_ABSOLUTE_64, _RELATIVE_32, _CALL_32, _RELATIVE_64, *_SLOT_32}
        return all(
            info & 0xFFFFFFFF in known and self._resolves(kind=info & 0xFFFFFFFF, number=info >> 32)
            for section in self._sections
            if section.kind == _RELOCATIONS and section.info in self._places
            for _, info, _ in _RELOCATION.iter_unpack(self._bytes(section))
        )

    def _resolves(self, kind: int, number: int) -> bool:
        """Whether a reference leads to a place of ours, or to a stub by way of a kind that may."""
        symbol = self._symbols[number]
        if symbol.section == 0:
            return kind in {_RELATIVE_32, _CALL_32, *_SLOT_32}
        return symbol.section in self._places and kind not in _SLOT_32


def read(image: bytes) -> KernelObject | None:
    """The object of a kernel; None for one that only LLVM's own linker can load."""
    if image[:6] != b"\x7fELF\x02\x01" or _HEAD.unpack_from(image)[2] != _X86_64:
        return None
    found = KernelObject(image)
    return found if found.is_kernel() else None
