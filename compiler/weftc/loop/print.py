"""Loop functions as text; weftc.loop.parse reads it back.

    function scale(x: global f32 align 64, y: global f32; n)
      for i in 0..n vector(32)
        %0 = x[i] * 2.0:f32
        store y[i] = %0 + %0

`%k` names an expression object that has several users (or is deep); it is not a statement: its
users evaluate it where they stand. `x[i:16]` is a contiguous vector load, `x[i if m]` a masked one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from weftc.loop.ir import (
    INDEX,
    Alloc,
    Barrier,
    Block,
    Buffer,
    Call,
    Const,
    Expr,
    For,
    If,
    Let,
    Load,
    LoopFunction,
    LoopKind,
    Op,
    Ramp,
    Reduce,
    Scalar,
    Splat,
    Store,
    Tree,
    Var,
)
from weftc.loop.walk import expressions, operands, postorder, statements, under
from weftrt import dtypes

INFIX: dict[Scalar, str] = {
    Scalar.ADD: "+",
    Scalar.SUB: "-",
    Scalar.MUL: "*",
    Scalar.DIV: "/",
    Scalar.EQ: "==",
    Scalar.NE: "!=",
    Scalar.LT: "<",
    Scalar.LE: "<=",
    Scalar.GT: ">",
    Scalar.GE: ">=",
    Scalar.AND: "&",
    Scalar.OR: "|",
    Scalar.XOR: "^",
    Scalar.SHL: "<<",
    Scalar.SHR: ">>",
}

TYPED = (Scalar.CAST, Scalar.BITCAST)
"""Printed with their dtype: it does not follow from the operand."""

_DEEP = 6
_LONG = 80
"""Expressions nested deeper or written longer are cut by a `%k` line."""


def print_function(function: LoopFunction) -> str:
    """`function` as text."""
    return _Printer().function(function)


class _Printer:
    """Writes lines; `text` remembers how each expression is written."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.indent = ""
        self.uses: Counter[Expr] = Counter()
        self.text: dict[Expr, str] = {}
        self.depth: dict[Expr, int] = {}
        self.shared = 0

    def function(self, function: LoopFunction) -> str:
        self._count(function)
        buffers = ", ".join(self.buffer(b) for b in function.buffers)
        sizes = "; " + ", ".join(s.name for s in function.sizes)
        head = f"function {function.name}({buffers}{sizes if function.sizes else ''})"
        self.block(function.body)
        return "\n".join([head, *self.lines]) + "\n"

    def _count(self, function: LoopFunction) -> None:
        sizes = [b.size for b in function.buffers if b.size is not None]
        roots = [size for size in sizes if not isinstance(size, int)]
        for statement in statements(function.body):
            roots.extend(expressions(statement))
        self.uses.update(roots)
        for node in under(roots):
            self.uses.update(operands(node))

    def buffer(self, buffer: Buffer) -> str:
        size = buffer.size
        bracket = "" if size is None else f"[{size if isinstance(size, int) else self.expr(size)}]"
        aligned = f" align {buffer.aligned}" if buffer.aligned != 1 else ""
        head = f"{buffer.name}: {buffer.space.value} {buffer.dtype.short}"
        return head + bracket + aligned

    # -- statements ---------------------------------------------------------------------------

    def line(self, text: str) -> None:
        self.lines.append(self.indent + text)

    def block(self, block: Block) -> None:
        with self.indented():
            for statement in block:
                _STATEMENTS[type(statement)](self, statement)

    @contextmanager
    def indented(self) -> Iterator[None]:
        self.indent += "  "
        yield
        self.indent = self.indent[:-2]

    def let(self, s: Let) -> None:
        value = self.expr(s.value)
        self.line(f"let {s.var.name}: {s.var.type} = {value}")

    def store(self, s: Store) -> None:
        index, value = self.expr(s.index), self.expr(s.value)
        mask = "" if s.mask is None else f" if {self.expr(s.mask)}"
        hint = "nontemporal " if s.nontemporal else ""
        self.line(f"store {hint}{s.buffer.name}[{index}] = {value}{mask}")

    def loop(self, s: For) -> None:
        start, stop, kind = self.expr(s.start), self.expr(s.stop), self._kind(s)
        inits = [self.expr(carry.init) for carry in s.carried]
        step = f" step {s.step}" if s.step != 1 else ""
        head = f"for {s.var.name} in {start} .. {stop}{step}{kind}"
        carried = ", ".join(
            f"{c.var.name}: {c.var.type} = {init} -> {c.result.name}"
            for c, init in zip(s.carried, inits)
        )
        self.line(head + (f" carried {carried}" if carried else ""))
        self.block(s.body)
        if s.carried:
            with self.indented():
                following = [self.expr(carry.next) for carry in s.carried]
                self.line("next " + ", ".join(following))

    def _kind(self, s: For) -> str:
        if s.kind is LoopKind.SERIAL:
            return ""
        if s.kind is LoopKind.VECTOR:
            return f" vector({s.lanes})"
        grain = "" if s.grain is None else f"({self.expr(s.grain)})"
        return f" {s.kind.value}{grain}"

    def reduce(self, s: Reduce) -> None:
        extent = self.expr(s.extent)
        self.line(f"reduce {s.var.name} in {extent}")
        self.block(s.body)
        with self.indented():
            for term in s.terms:
                value = self.expr(term.value)
                result = f"{term.result.name}: {term.result.type}"
                self.line(f"term {result} = {term.op!r} {value}")

    def branch(self, s: If) -> None:
        self.line(f"if {self.expr(s.condition)}")
        self.block(s.then)
        if s.otherwise:
            self.line("else")
            self.block(s.otherwise)

    def alloc(self, s: Alloc) -> None:
        self.line(f"alloc {self.buffer(s.buffer)}")

    def barrier(self, s: Barrier) -> None:
        self.line("barrier")

    def call(self, s: Call) -> None:
        args = ", ".join([self.expr(arg) for arg in s.args])
        buffer = "" if s.buffer is None else f"[{s.buffer.name}]"
        self.line(f"call {s.name}{buffer}({args})")

    # -- expressions --------------------------------------------------------------------------

    def expr(self, root: Expr) -> str:
        """How `root` is written; lines for what it shares are written first."""
        text, depth = self.text, self.depth
        for node in postorder(root, text):
            children = operands(node)
            written = _EXPRESSIONS[type(node)](self, node)
            level = 1 + max((depth[child] for child in children), default=0)
            large = level > _DEEP or len(written) > _LONG
            if children and (large or self.uses[node] > 1):
                self.line(f"%{self.shared} = {written}")
                written, level = f"%{self.shared}", 0
                self.shared += 1
            text[node], depth[node] = written, level
        return text[root]

    def atom(self, node: Expr) -> str:
        """An operand of an infix operation."""
        infix = isinstance(node, Op) and node.op in INFIX and self.depth[node] > 0
        return f"({self.text[node]})" if infix else self.text[node]

    def op(self, node: Op) -> str:
        if node.op in INFIX:
            return f"{self.atom(node.args[0])} {INFIX[node.op]} {self.atom(node.args[1])}"
        args = [self.text[arg] for arg in node.args]
        if node.op in TYPED:
            args.insert(0, node.type.dtype.short)
        return f"{node.op!r}({', '.join(args)})"

    def load(self, node: Load) -> str:
        contiguous = node.index.type.lanes == 1 and node.type.lanes > 1
        lanes = f":{node.type.lanes}" if contiguous else ""
        mask = "" if node.mask is None else f" if {self.text[node.mask]}"
        return f"{node.buffer.name}[{self.text[node.index]}{lanes}{mask}]"

    def ramp(self, node: Ramp) -> str:
        step = "" if node.step == 1 else f", {node.step}"
        return f"ramp({self.text[node.base]}, {node.type.lanes}{step})"

    def const(self, node: Const) -> str:
        dtype = node.type.dtype
        if dtype.is_float:
            return f"{float(node.value)!r}:{node.type}"
        if dtype is dtypes.bool_:
            written = "true" if node.value else "false"
            return written if node.type.lanes == 1 else f"{written}:{node.type}"
        return str(int(node.value)) + ("" if node.type == INDEX else f":{node.type}")


_STATEMENTS: dict[type, Callable[[_Printer, Any], None]] = {
    Let: _Printer.let,
    Store: _Printer.store,
    For: _Printer.loop,
    Reduce: _Printer.reduce,
    If: _Printer.branch,
    Alloc: _Printer.alloc,
    Barrier: _Printer.barrier,
    Call: _Printer.call,
}

_EXPRESSIONS: dict[type, Callable[[_Printer, Any], str]] = {
    Const: _Printer.const,
    Var: lambda printer, node: node.name,
    Op: _Printer.op,
    Load: _Printer.load,
    Ramp: _Printer.ramp,
    Splat: lambda printer, node: f"splat({printer.text[node.value]}, {node.type.lanes})",
    Tree: lambda printer, node: f"tree({node.op!r}, {printer.text[node.value]})",
}
