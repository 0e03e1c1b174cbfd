"""Operations of the native language that are neither Python's nor C's: casts, atomics, bits.

Each is a Python name for mypy and the reader, and a row of TABLE for the translator.
"""

from __future__ import annotations

import ast
from functools import partial
from typing import Any, NoReturn, TypeVar

from weftrt.cpu.native.translate import (
    BOOL,
    LITERAL,
    PTR,
    VOID,
    FunctionTranslator,
    Intrinsic,
    Value,
)
from weftrt.cpu.native.types import (
    I64,
    SCALARS,
    Bool,
    Pointer,
    Ptr,
    Struct,
    Type,
    resolve,
    size_of,
)

T = TypeVar("T")
INT32, INT64 = SCALARS["I32"], SCALARS["I64"]


def _native_only() -> NoReturn:
    raise NotImplementedError("this operation exists in native code only")


def cast(kind: type[T], value: Any) -> T:
    """The value seen as another type: addresses as one another or as I64, integers as in C."""
    _native_only()


def size(struct: type[Struct]) -> I64:
    """Bytes of a struct."""
    _native_only()


def stack(kind: type[T], count: I64) -> Pointer[T]:
    """Uninitialized elements that live until the function returns."""
    _native_only()


def record(struct: type[T]) -> T:
    """An uninitialized struct that lives until the function returns."""
    _native_only()


def address_of(place: Any) -> Ptr:
    """The address of a field or element."""
    _native_only()


def invoke(result: Any, function: Ptr, *arguments: Any) -> Any:
    """Call a C function of this result type by its address."""
    _native_only()


def below(a: I64, b: I64) -> Bool:
    """a < b, unsigned."""
    _native_only()


def leading_zeros(value: I64) -> I64:
    """Zero bits above the highest one; 64 for 0."""
    _native_only()


def product_overflows(a: I64, b: I64) -> Bool:
    """Whether a * b does not fit 64 bits, signed."""
    _native_only()


def sum_overflows(a: I64, b: I64) -> Bool:
    """Whether a + b does not fit 64 bits, signed."""
    _native_only()


def atomic_load(place: Pointer[T]) -> T:
    """Atomic, as all of these: sequentially consistent."""
    _native_only()


def atomic_store(place: Pointer[T], value: T) -> None:
    """Store atomically."""
    _native_only()


def atomic_add(place: Pointer[T], value: T) -> T:
    """Add atomically; the value before."""
    _native_only()


def compare_swap(place: Pointer[T], expected: T, value: T) -> Bool:
    """Store atomically if the place holds `expected`; whether it did."""
    _native_only()


def copy_bytes(target: Ptr, source: Ptr, count: I64) -> None:
    """Copy memory that does not overlap."""
    _native_only()


def relax() -> None:
    """Tell the core that this is a spin loop."""
    _native_only()


def float_mode() -> I64:
    """The control word of floating-point arithmetic."""
    _native_only()


def set_float_mode(mode: I64) -> None:
    """Set the control word."""
    _native_only()


def default_float_mode() -> I64:
    """IEEE: round to nearest even, denormals kept, no traps."""
    _native_only()


def is_default_float_mode(mode: I64) -> Bool:
    """Whether a control word is the default, whatever its sticky flags."""
    _native_only()


def _cast(t: FunctionTranslator, nodes: list[ast.expr]) -> Value:
    kind, value = resolve(nodes[0], t.names), t.expression(nodes[1])
    if value.type is LITERAL and kind.is_pointer and value.text != "0":
        return Value(f"inttoptr (i64 {value.text} to ptr)", kind)
    if value.type.is_pointer and kind.is_integer:
        return t.coerce(t.emit_value(INT64, f"ptrtoint {value} to i64"), kind)
    if value.type.is_integer and kind.is_pointer and value.type is not LITERAL:
        return t.emit_value(kind, f"inttoptr {value} to ptr")
    if value.type.is_integer and kind.llvm == "double":
        return t.emit_value(kind, f"sitofp {t.coerce(value, INT64)} to double")
    return t.coerce(value, kind)


def _size(t: FunctionTranslator, nodes: list[ast.expr]) -> Value:
    assert isinstance(nodes[0], ast.Name)
    return Value(str(size_of(t.names[nodes[0].id])), LITERAL)


def _stack(t: FunctionTranslator, nodes: list[ast.expr]) -> Value:
    kind = resolve(nodes[0], t.names)
    count = t.expression(nodes[1])
    if count.type is LITERAL:
        name = f"%{t.fresh('stack')}"
        t.allocas.append(f"{name} = alloca {kind.llvm}, i64 {count.text}, align 16")
        return Value(name, Type("ptr", 8, element=kind))
    count = t.coerce(count, INT64)
    return t.emit_value(Type("ptr", 8, element=kind), f"alloca {kind.llvm}, {count}, align 16")


def _record(t: FunctionTranslator, nodes: list[ast.expr]) -> Value:
    assert isinstance(nodes[0], ast.Name)
    kind = resolve(nodes[0], t.names)
    name = f"%{t.fresh('record')}"
    t.allocas.append(f"{name} = alloca i8, i64 {size_of(kind.struct)}, align 16")
    return Value(name, kind)


def _address_of(t: FunctionTranslator, nodes: list[ast.expr]) -> Value:
    return t.place(nodes[0])


def _invoke(t: FunctionTranslator, nodes: list[ast.expr]) -> Value:
    result = resolve(nodes[0], t.names)
    target, *values = (t.expression(node) for node in nodes[1:])
    given = [t.coerce(v, INT64) if v.type is LITERAL else v for v in values]
    return t.call(result, target.text, given)


def _below(t: FunctionTranslator, nodes: list[ast.expr]) -> Value:
    a, b = t.unify(t.expression(nodes[0]), t.expression(nodes[1]))
    return t.compare(("ult", ""), a, b)


def _leading_zeros(t: FunctionTranslator, nodes: list[ast.expr]) -> Value:
    t.unit.declare("i64 @llvm.ctlz.i64(i64, i1)")
    value = t.coerce(t.expression(nodes[0]), INT64)
    return t.emit_value(INT64, f"call i64 @llvm.ctlz.i64({value}, i1 false)")


def _overflows(operation: str, t: FunctionTranslator, nodes: list[ast.expr]) -> Value:
    name = f"@llvm.{operation}.with.overflow.i64"
    t.unit.declare(f"{{i64, i1}} {name}(i64, i64)")
    a, b = (t.coerce(t.expression(node), INT64) for node in nodes)
    pair = t.emit_value(INT64, f"call {{i64, i1}} {name}({a}, {b})")
    return t.emit_value(BOOL, f"extractvalue {{i64, i1}} {pair.text}, 1")


def _pointee(t: FunctionTranslator, node: ast.expr) -> tuple[Value, Type]:
    address = t.expression(node)
    assert address.type.element is not None
    return address, address.type.element


def _atomic_load(t: FunctionTranslator, nodes: list[ast.expr]) -> Value:
    address, kind = _pointee(t, nodes[0])
    return t.emit_value(kind, f"load atomic {kind.llvm}, {address} seq_cst, align {kind.size}")


def _atomic_store(t: FunctionTranslator, nodes: list[ast.expr]) -> Value:
    address, kind = _pointee(t, nodes[0])
    value = t.coerce(t.expression(nodes[1]), kind)
    t.emit(f"store atomic {value}, {address} seq_cst, align {kind.size}")
    return Value("", VOID)


def _atomic_add(t: FunctionTranslator, nodes: list[ast.expr]) -> Value:
    address, kind = _pointee(t, nodes[0])
    value = t.coerce(t.expression(nodes[1]), kind)
    return t.emit_value(kind, f"atomicrmw add {address}, {value} seq_cst")


def _compare_swap(t: FunctionTranslator, nodes: list[ast.expr]) -> Value:
    address, kind = _pointee(t, nodes[0])
    expected, value = (t.coerce(t.expression(node), kind) for node in nodes[1:])
    code = f"cmpxchg {address}, {expected}, {value} seq_cst seq_cst"
    pair = t.emit_value(kind, code)
    return t.emit_value(BOOL, f"extractvalue {{{kind.llvm}, i1}} {pair.text}, 1")


def _copy_bytes(t: FunctionTranslator, nodes: list[ast.expr]) -> Value:
    t.unit.declare("void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)")
    target, source, count = (t.expression(node) for node in nodes)
    count = t.coerce(count, INT64)
    t.emit(f"call void @llvm.memcpy.p0.p0.i64({target}, {source}, {count}, i1 false)")
    return Value("", VOID)


def _x86_relax(t: FunctionTranslator, nodes: list[ast.expr]) -> Value:
    t.unit.declare("void @llvm.x86.sse2.pause()")
    t.emit("call void @llvm.x86.sse2.pause()")
    return Value("", VOID)


def _x86_float_mode(t: FunctionTranslator, nodes: list[ast.expr]) -> Value:
    t.unit.declare("void @llvm.x86.sse.stmxcsr(ptr)")
    slot = t.alloca(INT32)
    t.emit(f"call void @llvm.x86.sse.stmxcsr({Value(slot.text, PTR)})")
    return t.coerce(t.load(slot.text, INT32), INT64)


def _x86_set_float_mode(t: FunctionTranslator, nodes: list[ast.expr]) -> Value:
    t.unit.declare("void @llvm.x86.sse.ldmxcsr(ptr)")
    slot = t.alloca(INT32)
    t.store(slot.text, t.expression(nodes[0]), INT32)
    t.emit(f"call void @llvm.x86.sse.ldmxcsr({Value(slot.text, PTR)})")
    return Value("", VOID)


def _x86_is_default_float_mode(t: FunctionTranslator, nodes: list[ast.expr]) -> Value:
    mode = t.coerce(t.expression(nodes[0]), INT64)
    control = t.emit_value(INT64, f"and {mode}, {~0x3F}")
    return t.emit_value(BOOL, f"icmp eq {control}, {0x1F80}")


def _arm_relax(t: FunctionTranslator, nodes: list[ast.expr]) -> Value:
    t.unit.declare("void @llvm.aarch64.hint(i32)")
    t.emit("call void @llvm.aarch64.hint(i32 1)")
    return Value("", VOID)


def _arm_float_mode(t: FunctionTranslator, nodes: list[ast.expr]) -> Value:
    t.unit.declare("i64 @llvm.aarch64.get.fpcr()")
    return t.emit_value(INT64, "call i64 @llvm.aarch64.get.fpcr()")


def _arm_set_float_mode(t: FunctionTranslator, nodes: list[ast.expr]) -> Value:
    t.unit.declare("void @llvm.aarch64.set.fpcr(i64)")
    mode = t.coerce(t.expression(nodes[0]), INT64)
    t.emit(f"call void @llvm.aarch64.set.fpcr({mode})")
    return Value("", VOID)


def _arm_is_default_float_mode(t: FunctionTranslator, nodes: list[ast.expr]) -> Value:
    mode = t.coerce(t.expression(nodes[0]), INT64)
    return t.emit_value(BOOL, f"icmp eq {mode}, 0")


_COMMON: dict[Any, Intrinsic] = {
    cast: _cast,
    size: _size,
    stack: _stack,
    record: _record,
    address_of: _address_of,
    invoke: _invoke,
    below: _below,
    leading_zeros: _leading_zeros,
    product_overflows: partial(_overflows, "smul"),
    sum_overflows: partial(_overflows, "sadd"),
    atomic_load: _atomic_load,
    atomic_store: _atomic_store,
    atomic_add: _atomic_add,
    compare_swap: _compare_swap,
    copy_bytes: _copy_bytes,
}
_X86: dict[Any, Intrinsic] = {
    relax: _x86_relax,
    float_mode: _x86_float_mode,
    set_float_mode: _x86_set_float_mode,
    is_default_float_mode: _x86_is_default_float_mode,
    default_float_mode: lambda t, nodes: Value(str(0x1F80), LITERAL),
}
_ARM: dict[Any, Intrinsic] = {
    relax: _arm_relax,
    float_mode: _arm_float_mode,
    set_float_mode: _arm_set_float_mode,
    is_default_float_mode: _arm_is_default_float_mode,
    default_float_mode: lambda t, nodes: Value("0", LITERAL),
}


def table(triple: str) -> dict[Any, Intrinsic]:
    """The intrinsics of an architecture."""
    return _COMMON | (_ARM if triple.startswith(("aarch64", "arm64")) else _X86)
