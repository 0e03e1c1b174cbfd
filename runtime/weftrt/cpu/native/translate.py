"""The native language: typed Python functions in, LLVM IR text out.

The subset: integers, floats, addresses and structs (see types.py); assignment, if, while,
for-range, return, and, or, not, conditional expressions; calls of native functions, of C functions
and of the operations in intrinsics.py. A local variable has the type of its first assignment;
integers convert as in C. Locals live in memory; LLVM's passes put them into registers.
"""

from __future__ import annotations

import ast
import linecache
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import FunctionType, ModuleType
from typing import Any, NoReturn

from weftrt.cpu.native.types import (
    SCALARS,
    Extern,
    Static,
    Type,
    fields,
    parse_annotation,
    resolve,
    size_of,
)

BOOL, I64, PTR, VOID = SCALARS["Bool"], SCALARS["I64"], SCALARS["Ptr"], SCALARS["None"]
LITERAL = Type("i", 0)


@dataclass(frozen=True)
class Value:
    """An operand as text, with its type. A LITERAL takes the type of its use."""

    text: str
    type: Type

    def __str__(self) -> str:
        return f"{self.type.llvm} {self.text}"


BINARY = {
    ast.Add: ("add", "fadd"),
    ast.Sub: ("sub", "fsub"),
    ast.Mult: ("mul", "fmul"),
    ast.FloorDiv: ("sdiv", ""),
    ast.Mod: ("srem", ""),
    ast.Div: ("", "fdiv"),
    ast.BitAnd: ("and", ""),
    ast.BitOr: ("or", ""),
    ast.BitXor: ("xor", ""),
    ast.LShift: ("shl", ""),
    ast.RShift: ("lshr", ""),
}
COMPARE = {
    ast.Eq: ("eq", "oeq"),
    ast.NotEq: ("ne", "une"),
    ast.Lt: ("slt", "olt"),
    ast.LtE: ("sle", "ole"),
    ast.Gt: ("sgt", "ogt"),
    ast.GtE: ("sge", "oge"),
    ast.Is: ("eq", ""),
    ast.IsNot: ("ne", ""),
}

Intrinsic = Callable[["FunctionTranslator", list[ast.expr]], Value]


@dataclass
class Unit:
    """What the functions of one library declare along the way."""

    intrinsics: dict[Any, Intrinsic]
    constants: dict[str, int] = field(default_factory=dict)
    declarations: dict[str, None] = field(default_factory=dict)
    strings: dict[str, str] = field(default_factory=dict)
    files: dict[str, dict[int, ast.FunctionDef]] = field(default_factory=dict)
    """What was read of the sources: each file once for all its functions, where inspect.getsource
    would look through it for each."""

    def definition(self, function: FunctionType) -> ast.FunctionDef:
        """The source of a function."""
        code = function.__code__
        if code.co_filename not in self.files:
            self.files[code.co_filename] = _definitions(code.co_filename)
        return self.files[code.co_filename][code.co_firstlineno]

    def declare(self, prototype: str) -> None:
        self.declarations[f"declare {prototype}"] = None

    def string(self, text: str) -> str:
        """The global that holds a C string."""
        return self.strings.setdefault(text, f"@string.{len(self.strings)}")


def translate(
    modules: Iterable[ModuleType],
    intrinsics: dict[Any, Intrinsic],
    constants: Mapping[str, int] | None = None,
) -> str:
    """LLVM IR of all the native functions and statics that these modules define; `constants` are
    what some of their globals mean instead."""
    unit = Unit(intrinsics, dict(constants or {}))
    statics: dict[str, str] = {}  # by name: modules import those of others
    functions: list[str] = []
    for module in modules:
        for name, value in vars(module).items():
            if isinstance(value, Static):
                statics[name] = _static_global(name, value)
            elif hasattr(value, "__native__") and value.__module__ == module.__name__:
                functions.append(FunctionTranslator(unit, value).translate())
    strings = [_string_global(name, text) for text, name in unit.strings.items()]
    return "\n".join([*unit.declarations, *strings, *statics.values(), *functions, ""])


def _static_global(name: str, value: Static) -> str:
    size = size_of(value.struct)
    return f"@{name} = internal global [{size} x i8] zeroinitializer, align 128"


def _string_global(name: str, text: str) -> str:
    data = text.encode() + b"\0"
    escaped = "".join(f"\\{byte:02x}" for byte in data)
    return f'{name} = private constant [{len(data)} x i8] c"{escaped}"'


def _definitions(file: str) -> dict[int, ast.FunctionDef]:
    """The functions of a source file by the lines where they begin."""
    found: dict[int, ast.FunctionDef] = {}
    pending: list[ast.AST] = [ast.parse("".join(linecache.getlines(file)))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef):
            found[min([node.lineno, *(d.lineno for d in node.decorator_list)])] = node
        for block in ("body", "orelse"):  # of statements, in which alone functions are
            inside = getattr(node, block, ())
            pending += inside if isinstance(inside, list) else ()
    return found


class FunctionTranslator:
    """Translates one function; a new one for each."""

    def __init__(self, unit: Unit, function: FunctionType) -> None:
        self.unit = unit
        self.function = function
        self.names: dict[str, Any] = function.__globals__ | unit.constants
        self.locals: dict[str, Value] = {}
        self.allocas: list[str] = []
        self.lines: list[str] = []
        self.loops: list[tuple[str, str]] = []
        self.count = 0
        self.open = True
        self.line = 0

    def translate(self) -> str:
        tree = self.unit.definition(self.function)
        self.result = resolve(tree.returns, self.names) if tree.returns else VOID
        parameters = []
        for argument in tree.args.args:
            assert argument.annotation is not None
            kind = resolve(argument.annotation, self.names)
            parameters.append(f"{kind.llvm} %{argument.arg}")
            self.assign_local(argument.arg, Value(f"%{argument.arg}", kind))
        self.block(tree.body)
        if self.open:
            self.emit("ret void" if self.result is VOID else "unreachable")
        head = f"define internal {self.result.llvm} @{tree.name}({', '.join(parameters)})"
        body = "\n".join(f"  {line}" if line[-1] != ":" else line for line in self.lines)
        return "\n".join([head + " {", *(f"  {line}" for line in self.allocas), body, "}"])

    # Emission

    def fail(self, message: str) -> NoReturn:
        raise TypeError(f"{self.function.__name__}, line {self.line}: {message}")

    def emit(self, line: str) -> None:
        if self.open:
            self.lines.append(line)

    def fresh(self, prefix: str = "v") -> str:
        self.count += 1
        return f"{prefix}.{self.count}"

    def emit_value(self, kind: Type, code: str) -> Value:
        name = f"%{self.fresh()}"
        self.emit(f"{name} = {code}")
        return Value(name, kind)

    def jump(self, label: str) -> None:
        self.emit(f"br label %{label}")
        self.open = False

    def branch(self, condition: Value, yes: str, no: str) -> None:
        self.emit(f"br i1 {condition.text}, label %{yes}, label %{no}")
        self.open = False

    def start(self, label: str) -> None:
        """Begin a block; code that falls off the last one runs into it."""
        if self.open:
            self.jump(label)
        self.lines.append(f"{label}:")
        self.open = True

    def alloca(self, kind: Type) -> Value:
        name = f"%{self.fresh('slot')}"
        self.allocas.append(f"{name} = alloca {kind.llvm}")
        return Value(name, Type("ptr", 8, element=kind))

    def load(self, address: str, kind: Type) -> Value:
        return self.emit_value(kind, f"load {kind.llvm}, ptr {address}")

    def store(self, address: str, value: Value, kind: Type) -> None:
        self.emit(f"store {self.coerce(value, kind)}, ptr {address}")

    # Types

    def coerce(self, value: Value, kind: Type) -> Value:
        """The value as this type, by C's integer conversions."""
        source = value.type
        if source is LITERAL:
            return Value("null" if kind.is_pointer else value.text, kind)
        if source.llvm == kind.llvm:
            return Value(value.text, kind)
        if not (source.is_integer and kind.is_integer):
            self.fail(f"{source.llvm} is not a {kind.llvm}")
        if kind is BOOL:
            return self.emit_value(BOOL, f"icmp ne {value}, 0")
        widen = "sext" if source.llvm in ("i32", "i64") else "zext"
        code = widen if int(source.llvm[1:]) < int(kind.llvm[1:]) else "trunc"
        return self.emit_value(kind, f"{code} {value} to {kind.llvm}")

    def unify(self, a: Value, b: Value) -> tuple[Value, Value]:
        if a.type is LITERAL and b.type is LITERAL:
            return self.coerce(a, I64), self.coerce(b, I64)
        if a.type is LITERAL:
            return self.coerce(a, b.type), b
        if b.type is LITERAL or not a.type.is_integer or not b.type.is_integer:
            return a, self.coerce(b, a.type)
        wide = max(a.type, b.type, key=lambda kind: int(kind.llvm[1:]))
        return self.coerce(a, wide), self.coerce(b, wide)

    def truth(self, node: ast.expr) -> Value:
        value = self.expression(node)
        if value.type.is_pointer:
            return self.emit_value(BOOL, f"icmp ne {value}, null")
        return self.coerce(value, BOOL)

    # Statements

    def block(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            self.line = statement.lineno
            handler = getattr(self, f"do_{type(statement).__name__}", None)
            if handler is None:
                self.fail(f"no native {type(statement).__name__}")
            handler(statement)

    def do_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            self.expression(node.value)

    def do_Return(self, node: ast.Return) -> None:
        if node.value is None:
            self.emit("ret void")
        else:
            self.emit(f"ret {self.coerce(self.expression(node.value), self.result)}")
        self.open = False

    def do_Assign(self, node: ast.Assign) -> None:
        self.assign(node.targets[0], self.expression(node.value))

    def do_AnnAssign(self, node: ast.AnnAssign) -> None:
        assert node.value is not None and isinstance(node.target, ast.Name)
        kind = resolve(node.annotation, self.names)
        self.assign(node.target, self.coerce(self.expression(node.value), kind))

    def do_AugAssign(self, node: ast.AugAssign) -> None:
        self.assign(node.target, self.binary(node.op, node.target, node.value))

    def do_If(self, node: ast.If) -> None:
        yes, no, end = self.fresh("then"), self.fresh("else"), self.fresh("end")
        self.branch(self.truth(node.test), yes, no)
        reached = False
        for label, body in ((yes, node.body), (no, node.orelse)):
            self.start(label)
            self.block(body)
            reached |= self.open
            if self.open:
                self.jump(end)
        if reached:
            self.start(end)

    def do_While(self, node: ast.While) -> None:
        test, body, end = self.fresh("test"), self.fresh("body"), self.fresh("end")
        self.start(test)
        self.branch(self.truth(node.test), body, end)
        self.start(body)
        self.loops.append((test, end))
        self.block(node.body)
        self.loops.pop()
        if self.open:
            self.jump(test)
        self.start(end)

    def do_For(self, node: ast.For) -> None:
        assert isinstance(node.target, ast.Name) and isinstance(node.iter, ast.Call)
        bounds = [self.coerce(self.expression(arg), I64) for arg in node.iter.args]
        begin, stop = bounds if len(bounds) == 2 else (Value("0", I64), bounds[0])
        test, body = self.fresh("test"), self.fresh("body")
        step, end = self.fresh("step"), self.fresh("end")
        self.assign_local(node.target.id, begin)
        self.start(test)
        index = self.load(self.locals[node.target.id].text, I64)
        self.branch(self.emit_value(BOOL, f"icmp slt {index}, {stop.text}"), body, end)
        self.start(body)
        self.loops.append((step, end))
        self.block(node.body)
        self.loops.pop()
        self.start(step)
        index = self.load(self.locals[node.target.id].text, I64)
        self.assign_local(node.target.id, self.emit_value(I64, f"add {index}, 1"))
        self.jump(test)
        self.start(end)

    def do_Break(self, node: ast.Break) -> None:
        self.jump(self.loops[-1][1])

    def do_Continue(self, node: ast.Continue) -> None:
        self.jump(self.loops[-1][0])

    def assign(self, target: ast.expr, value: Value) -> None:
        if isinstance(target, ast.Name):
            self.assign_local(target.id, value)
        else:
            place = self.place(target)
            assert place.type.element is not None
            self.store(place.text, value, place.type.element)

    def assign_local(self, name: str, value: Value) -> None:
        if name not in self.locals:
            kind = I64 if value.type is LITERAL else value.type
            self.locals[name] = self.alloca(kind)
        slot = self.locals[name]
        assert slot.type.element is not None
        self.store(slot.text, value, slot.type.element)

    # Expressions

    def expression(self, node: ast.expr) -> Value:
        handler = getattr(self, f"get_{type(node).__name__}", None)
        if handler is None:
            self.fail(f"no native {ast.unparse(node)}")
        result: Value = handler(node)
        return result

    def get_Constant(self, node: ast.Constant) -> Value:
        return self.constant(node.value)

    def constant(self, value: object) -> Value:
        match value:
            case None:
                return Value("null", PTR)
            case bool():
                return Value(str(value).lower(), BOOL)
            case int():
                return Value(str(value), LITERAL)
            case str():
                return Value(self.unit.string(value), PTR)
        self.fail(f"no native constant {value!r}")

    def get_Name(self, node: ast.Name) -> Value:
        if node.id in self.locals:
            slot = self.locals[node.id]
            assert slot.type.element is not None
            return self.load(slot.text, slot.type.element)
        value = self.names.get(node.id, self)
        if isinstance(value, Static):
            return Value(f"@{node.id}", Type("ptr", 8, struct=value.struct))
        if hasattr(value, "__native__"):
            return Value(f"@{node.id}", PTR)
        if isinstance(value, Extern):
            self.unit.declare(value.declaration)
            return Value(value.declaration.split("(")[0].split()[-1], PTR)
        return self.constant(value)

    def place(self, node: ast.expr) -> Value:
        """The address of an attribute or element, as a pointer to its type."""
        if isinstance(node, ast.Attribute):
            return self.field(node)[0]
        assert isinstance(node, ast.Subscript)
        base = self.expression(node.value)
        if base.type.element is None:
            self.fail(f"{ast.unparse(node.value)} has no elements")
        return self.offset(base, self.expression(node.slice))

    def field(self, node: ast.Attribute) -> tuple[Value, bool]:
        """The address of a field, and whether it is an array inside the struct."""
        base = self.expression(node.value)
        if base.type.struct is None:
            self.fail(f"{ast.unparse(node.value)} is not a struct")
        found = fields(base.type.struct)[node.attr]
        kind = found.type if found.length else Type("ptr", 8, element=found.type)
        address = self.emit_value(kind, f"getelementptr i8, {base}, i64 {found.offset}")
        return address, found.length > 0

    def offset(self, base: Value, index: Value) -> Value:
        """The address of element `index` after `base`; bytes where the type is unknown."""
        element = base.type.element
        size = element.size if element else 1
        if base.type.records and element and element.struct:
            size = size_of(element.struct)
        index = self.coerce(index, I64)
        scaled = self.emit_value(I64, f"mul {index}, {size}")
        return self.emit_value(base.type, f"getelementptr i8, {base}, {scaled}")

    def get_Attribute(self, node: ast.Attribute) -> Value:
        address, inside = self.field(node)
        assert address.type.element is not None
        return address if inside else self.load(address.text, address.type.element)

    def get_Subscript(self, node: ast.Subscript) -> Value:
        place = self.place(node)
        assert place.type.element is not None
        if place.type.records:
            return Value(place.text, place.type.element)
        return self.load(place.text, place.type.element)

    def get_BinOp(self, node: ast.BinOp) -> Value:
        return self.binary(node.op, node.left, node.right)

    def binary(self, op: ast.operator, left: ast.expr, right: ast.expr) -> Value:
        a, b = self.expression(left), self.expression(right)
        if a.type.is_pointer and isinstance(op, ast.Add):
            return self.offset(a, b)
        a, b = self.unify(a, b)
        code = BINARY[type(op)][a.type.llvm == "double"]
        return self.emit_value(a.type, f"{code} {a}, {b.text}")

    def get_UnaryOp(self, node: ast.UnaryOp) -> Value:
        if isinstance(node.op, ast.Not):
            return self.emit_value(BOOL, f"xor {self.truth(node.operand)}, true")
        value = self.expression(node.operand)
        if isinstance(node.op, ast.USub) and value.type is LITERAL:
            return Value(f"-{value.text}", LITERAL)
        if isinstance(node.op, ast.USub):
            return self.emit_value(value.type, f"sub {value.type.llvm} 0, {value.text}")
        if isinstance(node.op, ast.Invert):
            return self.emit_value(value.type, f"xor {value}, -1")
        self.fail(f"no native {ast.unparse(node)}")

    def get_Compare(self, node: ast.Compare) -> Value:
        a, b = self.unify(self.expression(node.left), self.expression(node.comparators[0]))
        return self.compare(COMPARE[type(node.ops[0])], a, b)

    def compare(self, codes: tuple[str, str], a: Value, b: Value) -> Value:
        if a.type.llvm == "double":
            return self.emit_value(BOOL, f"fcmp {codes[1]} {a}, {b.text}")
        return self.emit_value(BOOL, f"icmp {codes[0]} {a}, {b.text}")

    def get_BoolOp(self, node: ast.BoolOp) -> Value:
        slot, end = self.alloca(BOOL), self.fresh("end")
        for index, operand in enumerate(node.values):
            value = self.truth(operand)
            self.store(slot.text, value, BOOL)
            if index + 1 == len(node.values):
                break
            further = self.fresh("more")
            labels = (further, end) if isinstance(node.op, ast.And) else (end, further)
            self.branch(value, *labels)
            self.start(further)
        self.start(end)
        return self.load(slot.text, BOOL)

    def get_IfExp(self, node: ast.IfExp) -> Value:
        yes, no, end = self.fresh("then"), self.fresh("else"), self.fresh("end")
        self.branch(self.truth(node.test), yes, no)
        self.start(yes)
        first = self.expression(node.body)
        slot = self.alloca(I64 if first.type is LITERAL else first.type)
        assert slot.type.element is not None
        self.store(slot.text, first, slot.type.element)
        self.jump(end)
        self.start(no)
        self.store(slot.text, self.expression(node.orelse), slot.type.element)
        self.start(end)
        return self.load(slot.text, slot.type.element)

    def get_Call(self, node: ast.Call) -> Value:
        assert isinstance(node.func, ast.Name)
        target = self.names.get(node.func.id)
        if isinstance(target, Extern):
            return self.call_extern(target, node.args)
        if target in self.unit.intrinsics:
            return self.unit.intrinsics[target](self, node.args)
        if not hasattr(target, "__native__"):
            self.fail(f"{node.func.id} is not native")
        return self.call_native(target, node)

    def call_native(self, target: Any, node: ast.Call) -> Value:
        hints = target.__annotations__
        kinds = [self.annotation(target, hint) for hint in hints.values()]
        given = [self.coerce(self.expression(a), k) for a, k in zip(node.args, kinds[:-1])]
        if len(given) != len(kinds) - 1 or len(node.args) != len(given):
            self.fail(f"{target.__name__} takes {len(kinds) - 1} arguments")
        return self.call(kinds[-1], f"@{target.__name__}", given)

    def annotation(self, target: Any, hint: str) -> Type:
        return resolve(parse_annotation(hint), target.__globals__)

    def call_extern(self, target: Extern, nodes: list[ast.expr]) -> Value:
        self.unit.declare(target.declaration)
        head, _, tail = target.declaration.rstrip(")").partition("(")
        result, _, symbol = head.rpartition(" ")
        types = [word.strip() for word in tail.split(",") if word.strip()]
        values = [self.expression(node) for node in nodes]
        fixed = [name for name in types if name != "..."]
        wanted = [llvm_type(name) for name in fixed]
        wanted += [I64 if v.type is LITERAL else v.type for v in values[len(fixed) :]]
        if len(wanted) != len(values) or len(values) < len(fixed):
            self.fail(f"{symbol} takes {len(fixed)} arguments")
        given = [self.coerce(value, kind) for value, kind in zip(values, wanted)]
        signature = f"{result} ({tail})" if "..." in types else result
        return self.call(llvm_type(result), symbol, given, signature)

    def call(
        self, result: Type, target: str, given: list[Value], signature: str | None = None
    ) -> Value:
        code = f"call {signature or result.llvm} {target}({', '.join(map(str, given))})"
        if result.llvm == "void":
            self.emit(code)
            return Value("", VOID)
        return self.emit_value(result, code)


def llvm_type(name: str) -> Type:
    """The scalar type with this LLVM name."""
    return next(kind for kind in SCALARS.values() if kind.llvm == name)
