"""A Program made ready to run: kernels linked, tables written for the native executor."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn, TypeAlias

import numpy as np

from weftrt import array
from weftrt.cpu.callbacks import HostFunction, call_back
from weftrt.cpu.externs import NO_MEMORY
from weftrt.cpu.instructions import Callee, encode, encode_size, most_words
from weftrt.cpu.linker import Code, default
from weftrt.cpu.memory_check.checker import Checker
from weftrt.cpu.native.library import library
from weftrt.cpu.native.tables import ArrayTable, ProgramTable
from weftrt.cpu.native.types import mirror
from weftrt.cpu.size_words import encode_check, encode_expression
from weftrt.errors import DonatedError, DTypeError, OutOfMemoryError, ShapeError
from weftrt.program import ArraySpec, Callback, Instruction, KernelCode, Program
from weftrt.size_expressions import SizeSlot, evaluate, holds
from weftrt.sizes import MAXIMUM_RANK, MOST_BYTES, byte_count, fits_word, no_arena, no_memory

Input: TypeAlias = "array.Array | np.ndarray[Any, Any] | float | int | bool"

find_line: Callable[[], object] = str
"""The user's line that calls a program now, as something that has a text; the front end knows how
to find it."""

_Program = mirror(ProgramTable)
_Array = mirror(ArrayTable)


def load(program: Program, functions: Sequence[HostFunction] = ()) -> Executable:
    """Link a program's kernels and build its tables; `functions` are what its callbacks call. The
    kernels' text, which is most of a program, is not kept."""
    linked = link_kernels(program.kernels)
    symbols = tuple(replace(kernel, llvm="") for kernel in program.kernels)
    return Executable(replace(program, kernels=symbols), linked, functions)


@dataclass(frozen=True)
class DonationWords:
    """What an Array says that was donated: by which line, and to which program."""

    line: object
    program: str

    def __str__(self) -> str:
        said = f"this array was donated to {self.program}, and has no elements any more"
        return f"{line}\n  {said}" if (line := str(self.line)) else said


class Executable:
    """A program ready to run. It owns the native tables, which hold its own address."""

    def __init__(
        self, program: Program, kernels: dict[str, Code], functions: Sequence[HostFunction]
    ) -> None:
        self.program = program
        self.kernels = kernels
        self._functions = functions
        self._kept: list[object] = []
        callees = [Callee(kernels[k.symbol].address, k.sites) for k in program.kernels]
        self._checker = Checker(program, callees) if program.is_watched else None
        self._steps: Sequence[Instruction] = program.steps
        if self._checker is not None:
            self._steps, callees = self._checker.steps, self._checker.callees
        self.table = self._program_table(callees)
        self.address = ctypes.addressof(self.table)

    def run(self, inputs: Sequence[Input]) -> tuple[array.Array, ...]:
        """One Array for each output of the traced function (Program.results); ShapeError or
        DTypeError where the inputs do not fit."""
        given = tuple(array.as_array(item) for item in inputs)
        result = library().run(self.address, given)
        if result is None:
            explain_mismatch(self.program, given)
        return tuple(result[index] for index in self.program.results)

    def fail(self, site: int, element: int, buffers: int) -> NoReturn:
        """Raise the error of a failed (site, element), as the native executor reports it; the
        program's inputs are still at the addresses in `buffers`."""
        if self._checker is not None:
            self._checker.raise_found()
        failed = self.program.sites[site]
        if element == NO_MEMORY:
            raise OutOfMemoryError(f"{failed.location}: there is no memory to work in")
        if element < 0:
            raise failed.kind(f"{failed.location}: {failed.message}")
        index = "an index"
        if failed.indices is not None:
            index = f"the index {self._element(failed.indices, element, buffers)}"
        message = failed.message.format(index=index)
        raise failed.kind(f"{failed.location}: {message} (element {element})")

    def donation_words(self) -> DonationWords:
        """What Arrays say that a call of now is given for good."""
        return DonationWords(find_line(), self.program.name)

    def call_back(self, number: int, buffers: int, sizes: int) -> None:
        """Carry out instruction `number`, a callback, for the native executor."""
        step = self._steps[number]
        assert isinstance(step, Callback)
        call_back(step, self._functions[step.function], buffers, sizes)

    def _element(self, number: int, element: int, buffers: int) -> int:
        """An element of an integer input."""
        dtype = self.program.inputs[number].dtype
        start = ctypes.c_void_p.from_address(buffers + number * 8).value or 0
        data = ctypes.string_at(start + element * dtype.itemsize, dtype.itemsize)
        return int.from_bytes(data, sys.byteorder, signed=dtype.is_signed)

    def refuse(self, symbols: Sequence[int]) -> NoReturn:
        """Raise the error for memory that a run with these symbols cannot have: it names the
        largest part, or a size that is too large for a number where no part is."""
        bytes, place, error = max(self._parts(symbols), key=lambda part: part[0])
        if bytes < MOST_BYTES:
            for expression in self.program.derived:
                evaluate(expression, symbols, fits_word)
        raise OutOfMemoryError(f"{place}\n  {error}" if place else str(error))

    def _parts(self, symbols: Sequence[int]) -> list[tuple[int, str, OutOfMemoryError]]:
        """(bytes, place, error if they cannot be had) of each output, then of the arena."""
        program = self.program
        sizes = (*symbols, *(evaluate(p, symbols) for p in program.derived))
        what = f"a result of {program.name},"
        needs: list[tuple[int, OutOfMemoryError]] = []
        for spec in program.outputs:
            shape = tuple(_resolved(size, sizes) for size in spec.shape)
            needs.append((byte_count(spec.dtype, shape), no_memory(what, spec.dtype, shape)))
        arena = _resolved(program.arena, sizes)
        needs.append((arena, no_arena(program.name, arena)))
        places = program.places or ("",) * len(needs)
        return [(size, place, error) for place, (size, error) in zip(places, needs, strict=True)]

    def _program_table(self, kernels: Sequence[Callee]) -> Any:
        program = self.program
        taken = {len(program.inputs) + output for output, _ in program.aliases}
        code = encode(self._steps, kernels, taken)
        buffers = len(program.inputs) + len(program.outputs) + len(program.temporaries)
        return _Program(
            owner=id(self),
            input_count=len(program.inputs),
            inputs=self._specs(program.inputs),
            output_count=len(program.outputs),
            outputs=self._specs(program.outputs),
            temporary_count=len(program.temporaries),
            temporaries=self._numbers([encode_size(t.offset) for t in program.temporaries]),
            buffer_count=buffers,
            symbol_count=len(program.symbols),
            constraint_count=len(program.constraints),
            constraints=self._numbers([n for c in program.constraints for n in encode_check(c)]),
            derived_count=len(program.derived),
            derived=self._numbers([n for p in program.derived for n in encode_expression(p)]),
            size_count=len(program.symbols) + len(program.derived),
            arena=encode_size(program.arena),
            work=encode_size(program.work),
            code_length=len(code),
            code=self._numbers(code),
            call_words=most_words(self._steps, kernels),
            donated_count=len(program.donated),
            donated=self._numbers(program.donated),
            takes=self._takes(),
        )

    def _takes(self) -> int:
        """For each output the input whose memory it may take over, or -1; NULL where none is
        donated."""
        inputs = dict(self.program.aliases)
        if not self.program.donated:
            return 0
        return self._numbers([inputs.get(k, -1) for k in range(len(self.program.outputs))])

    def _keep(self, structure: Any) -> int:
        self._kept.append(structure)
        return ctypes.addressof(structure)

    def _numbers(self, numbers: Sequence[int]) -> int:
        return self._keep((ctypes.c_int64 * len(numbers))(*map(fits_word, numbers)))

    def _specs(self, specs: Sequence[ArraySpec]) -> int:
        return self._keep((_Array * len(specs))(*map(encode_spec, specs)))


def link_kernels(kernels: Sequence[KernelCode]) -> dict[str, Code]:
    """Kernels in memory, by symbol."""
    linker = default()
    return {kernel.symbol: linker.link(kernel.symbol, kernel.llvm) for kernel in kernels}


def _resolved(size: int | SizeSlot, sizes: Sequence[int]) -> int:
    return sizes[size.index] if isinstance(size, SizeSlot) else size


def encode_spec(spec: ArraySpec) -> Any:
    """An ArraySpec as a native ArrayTable."""
    shape = (ctypes.c_int64 * MAXIMUM_RANK)(*map(encode_size, spec.shape))
    return _Array(dtype=spec.dtype.code, ndim=len(spec.shape), shape=shape)


def explain_mismatch(program: Program, given: Sequence[array.Array]) -> NoReturn:
    """Raise the error that says which input does not fit the program."""
    for words in filter(None, map(library().words, given)):
        raise DonatedError(str(words))
    if len(given) != len(program.inputs):
        raise ShapeError(f"{program.name} takes {len(program.inputs)} inputs, not {len(given)}")
    bound: dict[int, int] = {}
    for index, (spec, item) in enumerate(zip(program.inputs, given)):
        if spec.dtype is not item.dtype:
            raise DTypeError(f"input {index} of {program.name} is {spec.dtype}, not {item.dtype}")
        if not _shape_fits(spec, item.shape, bound):
            sizes = ", ".join(_describe(size, bound) for size in spec.shape)
            raise ShapeError(
                f"input {index} of {program.name} has shape ({sizes}), not {item.shape}"
            )
    for check in program.constraints:
        if not holds(check, bound):
            sizes = ", ".join(f"n{slot} = {size}" for slot, size in sorted(bound.items()))
            raise ShapeError(f"{program.name} runs where {check.text}, not for {sizes}")
    raise ShapeError(f"the inputs do not fit {program.name}")


def _shape_fits(spec: ArraySpec, shape: tuple[int, ...], bound: dict[int, int]) -> bool:
    if len(spec.shape) != len(shape):
        return False
    for wanted, extent in zip(spec.shape, shape):
        if isinstance(wanted, SizeSlot):
            wanted = bound.setdefault(wanted.index, extent)
        if wanted != extent:
            return False
    return True


def _describe(size: int | SizeSlot, bound: dict[int, int]) -> str:
    if not isinstance(size, SizeSlot):
        return str(size)
    known = bound.get(size.index)
    return f"n{size.index}" if known is None else f"n{size.index} = {known}"
