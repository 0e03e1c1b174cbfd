"""Widened loop IR -> LLVM IR text.

The kernel's ABI is that of weftrt.program. A PARALLEL loop becomes a function of its own, `body(ptr
context, i64 begin, i64 end)`; the context is a row of 64-byte slots with the values it captures.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from weftc.codegen.llvm import text
from weftc.codegen.llvm.addresses import Linear
from weftc.codegen.llvm.expressions import ExpressionWriter, first_index
from weftc.codegen.llvm.function import Binding, FunctionWriter
from weftc.loop.ir import (
    INDEX,
    Alloc,
    Block,
    Call,
    Carry,
    Const,
    Expr,
    For,
    If,
    Let,
    LoopFunction,
    LoopKind,
    Space,
    Store,
)
from weftrt import dtypes
from weftrt.errors import CompileError
from weftrt.target import Target

_STATUS = ".status"
"""The status pointer in the environment; no name of the loop IR starts with a dot."""


def emit(function: LoopFunction, target: Target, symbol: str) -> str:
    """The LLVM module of `function`, whose one external function is `symbol`."""
    module = _Module(target, symbol)
    main = module.function({}, None)
    _write_entry(main, function)
    StatementWriter(module, main).block(function.body)
    main.effect("ret void")
    attributes = f'nounwind "prefer-vector-width"="{target.vector_bits}"'
    signature = f"define void @{symbol}(ptr %.buffers, ptr %.sizes, ptr %.status) #0"
    parts = [f'target triple = "{target.triple}"', *module.bodies, main.render(signature)]
    parts += [*module.declarations.values(), f"attributes #0 = {{ {attributes} }}"]
    return "\n\n".join(parts) + "\n"


def _write_entry(main: FunctionWriter, function: LoopFunction) -> None:
    """Load every buffer address and size from the argument tables."""
    main.environment[_STATUS] = Binding("%.status", "ptr")
    tables = (
        ("buffers", "ptr", [buffer.name for buffer in function.buffers]),
        ("sizes", "i64", [size.name for size in function.sizes]),
    )
    for table, type_, names in tables:
        for position, name in enumerate(names):
            slot = f"%.{table}.{position}"
            operand = f'%"{name}"'
            main.entry.append(f"  {slot} = getelementptr {type_}, ptr %.{table}, i64 {position}")
            main.entry.append(f"  {operand} = load {type_}, ptr {slot}")
            main.environment[name] = Binding(operand, type_)


class _Module:
    """What the functions of one module share."""

    def __init__(self, target: Target, symbol: str) -> None:
        self.target = target
        self.symbol = symbol
        self.bodies: list[str] = []
        self.declarations: dict[str, str] = {}

    def function(
        self, environment: dict[str, Binding], outer: FunctionWriter | None
    ) -> FunctionWriter:
        return FunctionWriter(self.target, self.declarations, environment, outer)


class StatementWriter:
    """Writes the statements of one LLVM function."""

    def __init__(self, module: _Module, out: FunctionWriter) -> None:
        self.module = module
        self.out = out
        self.expressions = ExpressionWriter(out)

    def block(self, block: Block) -> None:
        for statement in block:
            writer = _WRITERS.get(type(statement))
            if writer is None:
                kind = type(statement).__name__
                raise CompileError(f"a {kind} statement must not reach the CPU backend")
            self.expressions.begin_statement()
            writer(self, statement)

    def scoped(self, block: Block) -> None:
        """A block whose names end with it."""
        with self.out.scope():
            self.block(block)

    def bind(self, name: str, operand: str, type_: str) -> None:
        self.out.environment[name] = Binding(operand, type_)

    # -- simple statements -----------------------------------------------------------------------

    def _let(self, statement: Let) -> None:
        value = statement.value
        operand = self.expressions.operand(value)
        form = self.expressions.linear(value) if value.type == INDEX else None
        binding = Binding(operand, text.of(statement.var.type), value, form)
        self.out.environment[statement.var.name] = binding

    def _store(self, statement: Store) -> None:
        out, dtype = self.out, statement.buffer.dtype
        lanes = statement.value.type.lanes
        value = self.expressions.operand(statement.value)
        scalar = text.MEMORY[dtype]
        memory = text.lanes_of(scalar, lanes)
        if dtype is dtypes.bool_:
            value = out.value(f"zext {text.of(statement.value.type)} {value} to {memory}")
        pointer = self.expressions.address(statement.buffer, statement.index)
        scattered = first_index(statement.index).type.lanes > 1
        if scattered or statement.mask is not None:
            self._masked_store(statement, pointer, value, scattered)
            return
        alignment, hint = dtype.itemsize, ""
        if statement.nontemporal and statement.buffer.aligned >= 64 and lanes > 1:
            # The schedule promises whole, aligned vectors; x86 has no other streaming store.
            alignment, hint = min(64, lanes * dtype.itemsize), ", !nontemporal !{i32 1}"
        out.effect(f"store {memory} {value}, ptr {pointer}, align {alignment}{hint}")

    def _masked_store(self, statement: Store, pointer: str, value: str, scattered: bool) -> None:
        out, dtype = self.out, statement.buffer.dtype
        lanes = statement.value.type.lanes
        scalar = text.MEMORY[dtype]
        memory = f"<{lanes} x {scalar}>"
        if lanes == 1:
            value = out.value(f"insertelement {memory} poison, {scalar} {value}, i64 0")
        name, pointers = "store", "ptr"
        suffix = f"v{lanes}{text.mangled(scalar, 1)}.p0"
        if scattered:
            name, pointers = "scatter", f"<{lanes} x ptr>"
            suffix = f"v{lanes}{text.mangled(scalar, 1)}.v{lanes}p0"
        operands = [
            (memory, value),
            (pointers, pointer),
            ("i32", str(dtype.itemsize)),
            (f"<{lanes} x i1>", self.expressions.mask(statement.mask, lanes)),
        ]
        out.call(f"llvm.masked.{name}.{suffix}", "void", operands)

    def _alloc(self, statement: Alloc) -> None:
        buffer = statement.buffer
        if buffer.space is not Space.LOCAL or not isinstance(buffer.size, int):
            raise CompileError(f"the buffer {buffer.name} cannot live on the CPU's stack")
        operand = f'%"{self.out.label(buffer.name)}"'
        type_ = text.MEMORY[buffer.dtype]
        self.out.entry.append(f"  {operand} = alloca [{buffer.size} x {type_}], align 64")
        self.bind(buffer.name, operand, "ptr")

    def _if(self, statement: If) -> None:
        out = self.out
        then, otherwise, after = (out.label(n) for n in ("then", "else", "after"))
        condition = self.expressions.operand(statement.condition)
        out.branch(condition, then, otherwise if statement.otherwise else after)
        out.start(then)
        self.scoped(statement.then)
        out.jump(after)
        if statement.otherwise:
            out.start(otherwise)
            self.scoped(statement.otherwise)
            out.jump(after)
        out.start(after)

    # -- calls -----------------------------------------------------------------------------------

    def _call(self, statement: Call) -> None:
        if statement.name == "report":
            self._report(*statement.args)
        elif statement.name == "prefetch" and statement.buffer is not None:
            pointer = self.expressions.address(statement.buffer, statement.args[0])
            operands = [("ptr", pointer), ("i32", "0"), ("i32", "3"), ("i32", "1")]
            self.out.call("llvm.prefetch.p0", "void", operands)
        else:
            raise CompileError(f"the CPU backend has no intrinsic {statement.name}")

    def _report(self, condition: Expr, site: Expr, element: Expr) -> None:
        """If any lane fails: status[site] = min(status[site], smallest failing element)."""
        out, lanes = self.out, condition.type.lanes
        failed = self.expressions.operand(condition)
        elements = self._spread(element, lanes)
        anywhere = failed
        if lanes > 1:
            name = f"llvm.vector.reduce.or.v{lanes}i1"
            anywhere = out.call(name, "i1", [(f"<{lanes} x i1>", failed)])
        report, after = out.label("report"), out.label("after")
        out.branch(anywhere, report, after)
        out.start(report)
        if lanes > 1:
            type_, mask = text.lanes_of("i64", lanes), text.lanes_of("i1", lanes)
            none = text.splat(-1, dtypes.int64, lanes)
            kept = out.value(f"select {mask} {failed}, {type_} {elements}, {type_} {none}")
            elements = out.call(f"llvm.vector.reduce.umin.v{lanes}i64", "i64", [(type_, kept)])
        status, number = out.lookup(_STATUS).operand, self.expressions.operand(site)
        place = out.value(f"getelementptr i64, ptr {status}, i64 {number}")
        out.value(f"atomicrmw umin ptr {place}, i64 {elements} monotonic, align 8")
        out.jump(after)
        out.start(after)

    def _spread(self, expr: Expr, lanes: int) -> str:
        """An int64 operand with `lanes` lanes."""
        operand = self.expressions.operand(expr)
        if expr.type.lanes == lanes:
            return operand
        return self.expressions.broadcast(operand, "i64", lanes)

    # -- loops -----------------------------------------------------------------------------------

    def _for(self, loop: For) -> None:
        if loop.kind is LoopKind.UNROLLED:
            self._unrolled(loop)
        elif loop.kind is LoopKind.PARALLEL:
            self._parallel(loop)
        elif loop.kind is LoopKind.SERIAL:
            self._serial(loop)
        else:
            raise CompileError(f"a {loop.kind.value} loop must not reach the CPU backend")

    def _unrolled(self, loop: For) -> None:
        if not (isinstance(loop.start, Const) and isinstance(loop.stop, Const)):
            raise CompileError("an unrolled loop needs constant bounds")
        values = [self.expressions.operand(carry.init) for carry in loop.carried]
        index = text.of(loop.var.type)
        for number in range(int(loop.start.value), int(loop.stop.value), loop.step):
            with self.out.scope():
                literal = Binding(str(number), index, linear=Linear(frozenset(), number))
                self.out.environment[loop.var.name] = literal
                for carry, value in zip(loop.carried, values, strict=True):
                    self.bind(carry.var.name, value, text.of(carry.var.type))
                self.block(loop.body)
                values = self._next_values(loop.carried)
        for carry, value in zip(loop.carried, values, strict=True):
            self.bind(carry.result.name, value, text.of(carry.result.type))

    def _next_values(self, carried: tuple[Carry, ...]) -> list[str]:
        self.expressions.begin_statement()
        return [self.expressions.operand(carry.next) for carry in carried]

    def _serial(self, loop: For) -> None:
        start = self.expressions.operand(loop.start)
        stop = self.expressions.operand(loop.stop)
        inits = [self.expressions.operand(carry.init) for carry in loop.carried]
        self._counted(loop, start, stop, inits, never_empty=_runs(loop))

    def _counted(
        self, loop: For, start: str, stop: str, inits: list[str], never_empty: bool
    ) -> None:
        """A loop tested at its end, behind a test that it runs at all."""
        out, index = self.out, text.of(loop.var.type)
        body, after = out.label("loop"), out.label("after")
        before = out.block
        if never_empty:
            ahead = out.open_line()
            out.jump(body)
        else:
            runs = out.value(f"icmp slt {index} {start}, {stop}")
            ahead = out.open_line()
            out.branch(runs, body, after)
        out.start(body)
        with out.looping(ahead):
            phis = [out.placeholder() for _ in range(1 + len(loop.carried))]
            self.bind(loop.var.name, phis[0][0], index)
            for carry, (name, _) in zip(loop.carried, phis[1:], strict=True):
                self.bind(carry.var.name, name, text.of(carry.var.type))
            self.block(loop.body)
            values = self._next_values(loop.carried)
        values.insert(0, out.value(f"add {index} {phis[0][0]}, {loop.step}"))
        types = [index, *(text.of(carry.var.type) for carry in loop.carried)]
        rows = zip(phis, types, [start, *inits], values, strict=True)
        for (name, line), type_, init, value in rows:
            incoming = f"[ {init}, %{before} ], [ {value}, %{out.block} ]"
            out.fill(name, line, f"phi {type_} {incoming}")
        out.branch(out.value(f"icmp slt {index} {values[0]}, {stop}"), body, after)
        last = out.block
        out.start(after)
        for carry, init, value in zip(loop.carried, inits, values[1:], strict=True):
            type_ = text.of(carry.result.type)
            if not never_empty:
                incoming = f"[ {init}, %{before} ], [ {value}, %{last} ]"
                value = out.value(f"phi {type_} {incoming}")
            self.bind(carry.result.name, value, type_)

    def _parallel(self, loop: For) -> None:
        if self.out.outer is not None:
            raise CompileError("a parallel loop must not be inside another")
        out, module = self.out, self.module
        name = f"{module.symbol}.body.{len(module.bodies)}"
        start = self.expressions.operand(loop.start)
        count = self._trip_count(loop, start)
        grain = self.expressions.operand(loop.grain) if loop.grain is not None else "1"
        captured = self._write_body(loop, name)
        context = "null"
        if captured:
            context = f"%{out.label('.context')}"
            out.entry.append(f"  {context} = alloca [{64 * len(captured)} x i8], align 64")
        for slot, outside in enumerate(out.lookup(key) for key in captured):
            pointer = out.value(f"getelementptr [64 x i8], ptr {context}, i64 {slot}")
            out.effect(f"store {outside.type} {outside.operand}, ptr {pointer}")
        operands = [("ptr", f"@{name}"), ("ptr", context), ("i64", count), ("i64", grain)]
        out.call("weft_parallel", "void", operands)

    def _trip_count(self, loop: For, start: str) -> str:
        """The number of iterations, 0 at least."""
        out = self.out
        if isinstance(loop.start, Const) and isinstance(loop.stop, Const):
            return str(len(range(int(loop.start.value), int(loop.stop.value), loop.step)))
        stop = self.expressions.operand(loop.stop)
        count = stop if start == "0" else out.value(f"sub i64 {stop}, {start}")
        if loop.step > 1:
            rounded = out.value(f"add i64 {count}, {loop.step - 1}")
            count = out.value(f"sdiv i64 {rounded}, {loop.step}")
        return out.call("llvm.smax.i64", "i64", [("i64", count), ("i64", "0")])

    def _write_body(self, loop: For, name: str) -> tuple[str, ...]:
        """Write the function of a parallel loop; the names it captures, by slot."""
        module = self.module
        module.bodies.append("")  # keeps the number that `name` has
        position = len(module.bodies) - 1
        out = module.function({}, self.out)
        writer = StatementWriter(module, out)
        begin, end = "%.begin", "%.end"
        if loop.step > 1:
            begin, end = (out.value(f"mul i64 {x}, {loop.step}") for x in (begin, end))
        if not (isinstance(loop.start, Const) and loop.start.value == 0):
            start = writer.expressions.operand(loop.start)
            begin, end = (out.value(f"add i64 {x}, {start}") for x in (begin, end))
        writer._counted(loop, begin, end, [], never_empty=False)
        out.effect("ret void")
        signature = f"define internal void @{name}(ptr %.context, i64 %.begin, i64 %.end) #0"
        module.bodies[position] = out.render(signature)
        return tuple(out.captured)


def _runs(loop: For) -> bool:
    """Whether the loop is known to run at least once."""
    if isinstance(loop.start, Const) and isinstance(loop.stop, Const):
        return loop.start.value < loop.stop.value
    return False


_WRITERS: dict[type, Callable[[StatementWriter, Any], None]] = {
    Let: StatementWriter._let,
    Store: StatementWriter._store,
    Alloc: StatementWriter._alloc,
    If: StatementWriter._if,
    Call: StatementWriter._call,
    For: StatementWriter._for,
}
