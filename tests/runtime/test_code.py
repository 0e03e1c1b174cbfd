"""Code in memory: bound to its address, side by side, unloaded with its last user."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tests.runtime.programs import ADD, add_program

from weftrt import array
from weftrt.cache import Store
from weftrt.cpu import executable, objects
from weftrt.cpu.code import MEMORY, SLAB_BYTES, CodeMemory, Span
from weftrt.cpu.host import host
from weftrt.cpu.linker import Code, Linker
from weftrt.errors import CompileError

pytestmark = pytest.mark.skipif(
    not host().triple.startswith("x86_64") or not Path("/proc/self/maps").exists(),
    reason="kernels are linked by LLVM here",
)

RETURN_7 = bytes.fromhex("b807000000c3")  # mov eax, 7; ret


def call(address: int, *arguments: int) -> int:
    return int(
        ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * len(arguments))(address)(*arguments)
    )


def linked(text: str) -> Code:
    linker = Linker(host(), Store(None))
    assert objects.read(linker.object_file("f", text)) is not None, "left to LLVM's linker"
    return linker.link("f", text)


def mappings() -> int:
    return len(Path("/proc/self/maps").read_text().splitlines())


def constant(value: int) -> str:
    return f"define i64 @f() nounwind {{\n  ret i64 {value}\n}}\n"


def test_a_table_of_jumps() -> None:
    cases = "\n".join(f"    i64 {k}, label %c{k}" for k in range(12))
    blocks = "\n".join(
        f"c{k}:\n  store volatile i64 {k}, ptr %p\n  %r{k} = mul i64 %x, {k * k + 3}\n"
        f"  ret i64 %r{k}"
        for k in range(12)
    )
    text = (
        "define i64 @f(i64 %k, i64 %x) nounwind {\nentry:\n  %p = alloca i64\n"
        f"  switch i64 %k, label %other [\n{cases}\n  ]\n{blocks}\nother:\n  ret i64 -1\n}}\n"
    )
    code = linked(text)
    assert [call(code.address, k, 2) for k in range(13)] == [2 * (k * k + 3) for k in range(12)] + [
        -1
    ]


@pytest.mark.parametrize("attributes", ["", "nonlazybind"])
def test_routines_are_called_wherever_they_are(attributes: str) -> None:
    text = (
        f"declare i64 @labs(i64) {attributes}\n"
        "define i64 @f(i64 %x) nounwind {\n  %y = call i64 @labs(i64 %x)\n"
        "  %z = add i64 %y, 1\n  ret i64 %z\n}\n"
    )
    assert call(linked(text).address, -41) == 42


def test_the_address_of_a_routine() -> None:
    text = (
        "declare i64 @labs(i64)\ndefine i64 @f() nounwind {\n"
        "  %r = ptrtoint ptr @labs to i64\n  ret i64 %r\n}\n"
    )
    address = call(linked(text).address)
    assert ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(address)(-5) == 5


def test_data_that_is_written_is_left_to_llvm() -> None:
    text = (
        "@counter = internal global i64 5\ndefine i64 @f() {\n  %a = load i64, ptr @counter\n"
        "  %b = add i64 %a, 1\n  store i64 %b, ptr @counter\n  ret i64 %b\n}\n"
    )
    linker = Linker(host(), Store(None))
    assert objects.read(linker.object_file("f", text)) is None
    code = linker.link("f", text)
    assert [call(code.address) for _ in range(2)] == [6, 7]


def test_other_files_are_no_kernels() -> None:
    assert objects.read(b"\xcf\xfa\xed\xfe" + bytes(100)) is None
    image = Linker(host(), Store(None)).object_file("f", constant(1))
    with pytest.raises(CompileError, match="does not define"):
        objects.KernelObject(image).offset("g")


@pytest.fixture
def memory() -> Iterator[CodeMemory]:
    yield CodeMemory()


def place(memory: CodeMemory, size: int = 4096) -> Span:
    return memory.place(size, lambda address: RETURN_7)


def test_pages_are_used_again_as_one_piece(memory: CodeMemory) -> None:
    spans = [place(memory) for _ in range(SLAB_BYTES // 4096)]
    assert memory.reserved_bytes == SLAB_BYTES and memory.free_bytes() == 0
    assert all(call(span.address) & 0xFFFFFFFF == 7 for span in spans)
    del spans[10:20], spans[0], spans[20]
    del spans[::3]
    spans.clear()
    assert memory.free_bytes() == SLAB_BYTES
    large = place(memory, SLAB_BYTES)
    assert memory.reserved_bytes == SLAB_BYTES and call(large.address) & 0xFFFFFFFF == 7
    place(memory, 3 * SLAB_BYTES)
    assert memory.reserved_bytes == 4 * SLAB_BYTES


def test_pages_of_code_that_cannot_be_written_are_given_back(memory: CodeMemory) -> None:
    def refuse(address: int) -> bytes:
        raise CompileError("no")

    with pytest.raises(CompileError):
        memory.place(10_000, refuse)
    assert memory.free_bytes() == memory.reserved_bytes


def test_neighbours_share_a_mapping(memory: CodeMemory) -> None:
    before = mappings()
    spans = [place(memory, 5000) for _ in range(1000)]
    slabs = memory.reserved_bytes // SLAB_BYTES
    assert slabs == 8 and mappings() - before <= 3 * slabs
    del spans[::2]
    again = [place(memory, 5000) for _ in range(500)]
    assert memory.reserved_bytes == 8 * SLAB_BYTES and mappings() - before <= 3 * slabs
    assert {call(span.address) & 0xFFFFFFFF for span in (*spans, *again)} == {7}


def test_code_goes_with_its_last_user() -> None:
    linker = Linker(host(), Store(None))
    first, second = linker.link("f", constant(1)), linker.link("f", constant(1))
    assert first is second
    taken = MEMORY.reserved_bytes - MEMORY.free_bytes()
    del first
    assert call(second.address) == 1 and MEMORY.reserved_bytes - MEMORY.free_bytes() == taken
    del second
    assert MEMORY.reserved_bytes - MEMORY.free_bytes() < taken
    assert call(linker.link("f", constant(1)).address) == 1


def test_programs_share_kernels_and_let_go_of_them() -> None:
    x = np.arange(6, dtype="f4")
    first, second = executable.load(add_program(6)), executable.load(add_program(2, 3))
    assert first.kernels[ADD.symbol] is second.kernels[ADD.symbol]
    del first
    [out] = second.run([x.reshape(2, 3)] * 2)
    np.testing.assert_array_equal(array.to_numpy(out), (x + x).reshape(2, 3))


def test_code_comes_and_goes_on_many_threads() -> None:
    """Pages are written again while their neighbours run."""
    linker = Linker(host(), Store(None))
    images = [linker.object_file("f", constant(k)) for k in range(20)]
    wrong: list[int] = []

    def work(seed: int) -> None:
        kept: dict[int, Code] = {}
        for step in range(400):
            k = (seed * 7 + step * step) % 20
            kept[k] = linker._link("f", [images[k]])
            kept.pop((k + 3) % 20, None)
            wrong.extend(k for k, code in kept.items() if call(code.address) != k)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert not wrong


def test_hundreds_of_programs_leave_nothing_behind() -> None:
    linker = Linker(host(), Store(None))
    gc.collect()
    before, reserved = mappings(), MEMORY.reserved_bytes
    for k in range(300):
        assert call(linker.link("f", constant(k)).address) == k
    assert mappings() - before < 10 and MEMORY.reserved_bytes - reserved <= SLAB_BYTES
