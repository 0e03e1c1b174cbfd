"""The native language against Python itself: the same function, native and interpreted."""

from __future__ import annotations

import ctypes
import sys
from types import ModuleType

import llvmlite.binding as binding
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weftrt.cpu.host import host
from weftrt.cpu.linker import link
from weftrt.cpu.native import intrinsics, library
from weftrt.cpu.native.intrinsics import below, leading_zeros, product_overflows, stack
from weftrt.cpu.native.translate import translate
from weftrt.cpu.native.types import I32, I64, Bool, Pointer, Ptr, Struct, fields, native, size_of


class Mixed(Struct):
    flag: I32
    wide: I64
    narrow: I32
    pointer: Ptr


@native
def arithmetic(a: I64, b: I64) -> I64:
    return ((a + 3) * b - (a & b)) ^ (a | b)


@native
def collatz(a: I64, b: I64) -> I64:
    steps = 0
    value = (a & 0xFFFF) + 1
    while value != 1 and steps < 1000:
        if value % 2 == 0:
            value = value // 2
        else:
            value = 3 * value + 1
        steps += 1
    return steps + (b & 1)


@native
def loops(a: I64, b: I64) -> I64:
    total = 0
    for i in range(a & 31):
        if i == 3:
            continue
        if i > b & 31:
            break
        total += i * i
    return total


@native
def choices(a: I64, b: I64) -> I64:
    bigger = a if a > b else b
    if a < 0 or b < 0:
        if a < 0 and b < 0:
            return -1
        elif not a < 0:
            return bigger
        return -2
    return 0 if a == b else 1


@native
def fill(values: Pointer[I64], count: I64) -> None:
    for i in range(count):
        values[i] = i * 2


@native
def memory(a: I64, b: I64) -> I64:
    values = stack(I64, 32)
    fill(values, 32)
    values[a & 31] += b & 15
    total = 0
    for i in range(32):
        total += values[i]
    return total


FUNCTIONS = [arithmetic, collatz, loops, choices, memory]
WRAP = 1 << 64


def compiled(function, *more):
    """The function as machine code, exported by a table."""
    name = f"language_{function.__name__}"
    module = ModuleType(name)
    for item in (function, *more):
        setattr(module, item.__name__, item)
    before = {item: item.__module__ for item in (function, *more)}
    for item in before:
        item.__module__ = name
    try:
        text = translate([module], intrinsics.table(host().triple))
    finally:
        for item, home in before.items():
            item.__module__ = home
    text += f"@{name} = constant ptr @{function.__name__}\n"
    code = link(name, text)
    address = ctypes.c_void_p.from_address(code.address).value
    run = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)(address)
    run.code = code
    return run


def wrapped(value):
    return (value + WRAP // 2) % WRAP - WRAP // 2


def reference_memory(a, b):
    return sum(range(0, 64, 2)) + (b & 15)


small = st.integers(-1000, 1000)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_native_is_python(function):
    more = (fill,) if function is memory else ()
    run = compiled(function, *more)
    plain = reference_memory if function is memory else function

    @given(small, small)
    def agree(a, b):
        assert run(a, b) == wrapped(plain(a, b))

    agree()


@native
def bit_operations(a: I64, b: I64) -> I64:
    shifted = a >> 60
    flags = (1 if below(a, b) else 0) + (2 if product_overflows(a, b) else 0)
    return leading_zeros(a) * 1000 + flags * 100 + shifted


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_operations_on_bits(a, b):
    unsigned = a % WRAP
    flags = (unsigned < b % WRAP) + 2 * (wrapped(a * b) != a * b)
    expected = (64 - unsigned.bit_length()) * 1000 + flags * 100 + (unsigned >> 60)
    assert BITS(a, b) == expected


BITS = compiled(bit_operations)


def test_structs_are_laid_out_as_c_does():
    offsets = {name: field.offset for name, field in fields(Mixed).items()}
    assert offsets == {"flag": 0, "wide": 8, "narrow": 16, "pointer": 24}
    assert size_of(Mixed) == 32


@native
def unknown_statement(a: I64, b: I64) -> I64:
    with a:
        return b


@native
def unknown_call(a: I64, b: I64) -> I64:
    return max(a, b)


@native
def mixed_types(a: I64, b: Ptr) -> Bool:
    return a == b


@pytest.mark.parametrize(
    "function, message",
    [(unknown_statement, "no native With"), (unknown_call, "max"), (mixed_types, "is not a")],
)
def test_what_is_not_native_is_refused(function, message):
    with pytest.raises(TypeError, match=message):
        compiled(function)
    assert sys.modules[function.__module__] is sys.modules[__name__]


@pytest.mark.parametrize("triple", ["aarch64-unknown-linux-gnu", "arm64-apple-darwin"])
def test_the_runtime_compiles_for_other_machines(triple):
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    module = binding.parse_assembly(translate(library.MODULES, intrinsics.table(triple)))
    module.verify()
    module.triple = triple
    machine = binding.Target.from_triple(triple).create_target_machine(opt=1)
    module.data_layout = str(machine.target_data)
    assembly = machine.emit_assembly(module)
    assert "fpcr" in assembly.lower() and "ldmxcsr" not in assembly
