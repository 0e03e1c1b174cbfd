"""Bound loop functions -> CUDA C text.

Every BLOCK loop at the top of a function is a `__global__` function: they are launched in order,
with blocks of THREADS threads and any number of blocks, and all take the same arguments: the
buffers, the sizes, and the status words that reports go to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from weftc.codegen.cuda import text
from weftc.codegen.cuda.prelude import PRELUDE
from weftc.loop.ir import (
    INDEX,
    Alloc,
    Barrier,
    Block,
    Call,
    Carry,
    Const,
    Expr,
    For,
    If,
    Let,
    Load,
    LoopFunction,
    LoopKind,
    Op,
    Scalar,
    Space,
    Store,
    Var,
)
from weftc.loop.walk import expressions, operands, statements, under
from weftc.schedule.cuda.bind import THREADS, Unbound
from weftrt import dtypes
from weftrt.errors import CompileError

_LONG = 72
"""Text longer than this is given a name."""


def emit(functions: Sequence[LoopFunction | Unbound]) -> str:
    """The CUDA C module of some kernels; those without a CUDA schedule are named in comments."""
    parts = [PRELUDE]
    for function in functions:
        if isinstance(function, Unbound):
            parts.append(f"// {function.name} has no CUDA schedule: {function.reason}.\n")
        else:
            parts.extend(_launches(function))
    return "\n".join(parts)


def _launches(function: LoopFunction) -> Iterator[str]:
    """One __global__ function for each BLOCK loop."""
    lets = tuple(s for s in function.body if isinstance(s, Let))
    phases = [s for s in function.body if not isinstance(s, Let)]
    for number, phase in enumerate(phases):
        name = text.identifier(function.name)
        if len(phases) > 1:
            name = f"{name}_p{number}"
        body = (*lets, phase)
        writer = _Writer(function, _read(body))
        writer.block(body)
        yield "\n".join([*_head(function, name), *writer.lines, "}", ""])


def _head(function: LoopFunction, name: str) -> list[str]:
    written = {s.buffer for s in statements(function.body) if isinstance(s, Store)}
    parameters = []
    for buffer in function.buffers:
        const = "" if buffer in written else "const "
        pointer = f"{const}{text.MEMORY[buffer.dtype]} *__restrict__"
        parameters.append(f"{pointer} {text.identifier(buffer.name)}")
    parameters += [f"i64 {text.identifier(size.name)}" for size in function.sizes]
    parameters.append("u64 *status")
    joined = ",\n    ".join(parameters)
    return [
        f'extern "C" __global__ void __launch_bounds__({THREADS})',
        f"{name}(\n    {joined}) {{",
    ]


class _Writer:
    """Writes the lines of one __global__ function."""

    def __init__(self, function: LoopFunction, read: Container[str]) -> None:
        self.lines: list[str] = []
        self.indent = ""
        self.read = read
        """Names of values that are used."""
        self.names = {size.name: text.identifier(size.name) for size in function.sizes}
        self.positions = {size.name for size in function.sizes}
        """Names of int64 values that are sums and products of sizes and indices."""
        self.temporaries = 0

    def line(self, line: str) -> None:
        self.lines.append(f"{self.indent}{line}")

    @contextmanager
    def indented(self) -> Iterator[None]:
        self.indent += "  "
        yield
        self.indent = self.indent[:-2]

    def block(self, block: Block) -> None:
        with self.indented():
            for statement in block:
                writer = _STATEMENTS.get(type(statement))
                if writer is None:
                    kind = type(statement).__name__
                    raise CompileError(f"a {kind} statement must not reach the CUDA backend")
                writer(self, statement)

    def bind(self, var: Var, position: bool = False) -> str:
        name = self.names[var.name] = text.identifier(var.name)
        if position:
            self.positions.add(var.name)
        else:
            self.positions.discard(var.name)
        return name

    # -- expressions -----------------------------------------------------------------------------

    def values(self, *roots: Expr) -> list[str]:
        """The text of expressions; what they share or what is long gets a line of its own."""
        uses: Counter[Expr] = Counter(roots)
        known: dict[Expr, str] = {}
        order = list(under(roots))
        for node in order:
            uses.update(operands(node))
        for node in order:
            written = self._node(node, known)
            leaf = isinstance(node, (Const, Var))
            if not leaf and (uses[node] > 1 or len(written) > _LONG) and node not in roots:
                written = self._named(node, written)
            known[node] = written
        return [known[root] for root in roots]

    def value(self, root: Expr) -> str:
        return self.values(root)[0]

    def _named(self, node: Expr, written: str) -> str:
        name = f"_{self.temporaries}"
        self.temporaries += 1
        self.line(f"const {text.REGISTER[node.type.dtype]} {name} = {written};")
        return name

    def _node(self, node: Expr, known: dict[Expr, str]) -> str:
        if node.type.lanes != 1:
            raise CompileError("the CUDA backend takes written, not widened, functions")
        if isinstance(node, Const):
            return text.constant(node)
        if isinstance(node, Var):
            return self.names[node.name]
        if isinstance(node, Load):
            return self._load(node, known)
        if not isinstance(node, Op):
            raise CompileError("the CUDA backend takes written, not widened, functions")
        rules = text.RULES[node.args[0].type.dtype.kind]
        rule = rules.get(node.op)
        if node.op in text.INDEX_RULES and self.is_position(node):
            rule = text.INDEX_RULES[node.op]
        if rule is None:
            dtype = node.args[0].type.dtype
            raise CompileError(f"the scalar operation {node.op!r} is not defined on {dtype}")
        return rule(node, [_operand(node, arg, known[arg]) for arg in node.args])

    def _load(self, node: Load, known: dict[Expr, str]) -> str:
        element = f"{text.identifier(node.buffer.name)}[{known[node.index]}]"
        if node.type.dtype is dtypes.bool_:
            element = f"{element} != 0"
        if node.mask is None:
            return element
        zero = text.literal(0, node.type.dtype)
        return f"{_atom(known[node.mask])} ? {element} : {zero}"

    def is_position(self, root: Expr) -> bool:
        """Whether an int64 is made of sizes, loop indices and literals only."""
        stack, seen = [root], set()
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            if node.type != INDEX or isinstance(node, Load):
                return False
            if isinstance(node, Var) and node.name not in self.positions:
                return False
            if isinstance(node, Op):
                stack.extend(node.args)
        return True

    # -- statements --------------------------------------------------------------------------------

    def let(self, s: Let) -> None:
        if s.var.name not in self.read:
            return
        value = self.value(s.value)
        position = self.is_position(s.value)
        name = self.bind(s.var, position)
        self.line(f"const {text.REGISTER[s.var.type.dtype]} {name} = {value};")

    def store(self, s: Store) -> None:
        roots = (s.index, s.value) if s.mask is None else (s.index, s.value, s.mask)
        index, value, *mask = self.values(*roots)
        guard = f"if ({mask[0]}) " if mask else ""
        self.line(f"{guard}{text.identifier(s.buffer.name)}[{index}] = {value};")

    def alloc(self, s: Alloc) -> None:
        shared = "__shared__ " if s.buffer.space is Space.SHARED else ""
        type_, name = text.MEMORY[s.buffer.dtype], text.identifier(s.buffer.name)
        self.line(f"{shared}{type_} {name}[{s.buffer.size}];")

    def barrier(self, s: Barrier) -> None:
        self.line("__syncthreads();")

    def call(self, s: Call) -> None:
        if s.name == "report":
            self.line(f"report(status, {', '.join(self.values(*s.args))});")
        elif s.name != "prefetch":
            raise CompileError(f"the CUDA backend has no intrinsic {s.name}")

    def branch(self, s: If) -> None:
        self.line(f"if ({self.value(s.condition)}) {{")
        self.block(s.then)
        if s.otherwise:
            self.line("} else {")
            self.block(s.otherwise)
        self.line("}")

    def loop(self, s: For) -> None:
        for carry, init in zip(s.carried, self.values(*(c.init for c in s.carried)), strict=True):
            name = self.bind(carry.var)
            self.line(f"{text.REGISTER[carry.var.type.dtype]} {name} = {init};")
        start, stop = self.values(s.start, s.stop)
        name = self.bind(s.var, position=True)
        if s.kind is LoopKind.UNROLLED:
            self.line("#pragma unroll")
        only = _single(s)
        if only:
            self.line(f"if ({only} == 0) {{")
            if _mentions(s.body, s.var):
                self.line(f"  const i64 {name} = {start};")
        else:
            self.line(_loop_head(s, name, start, stop))
        self.block(s.body)
        self._carry(s.carried)
        self.line("}")
        for carry in s.carried:
            self.names[carry.result.name] = self.names[carry.var.name]

    def _carry(self, carried: Sequence[Carry]) -> None:
        """All `next` values before any carried variable changes."""
        with self.indented():
            values = self.values(*(carry.next for carry in carried))
            if len(carried) > 1:
                values = [
                    self._named(c.next, value) for c, value in zip(carried, values, strict=True)
                ]
            for carry, value in zip(carried, values, strict=True):
                self.line(f"{self.names[carry.var.name]} = {value};")


def _read(body: Block) -> set[str]:
    """The names that statements use; a Let that nobody reads uses none."""
    values: dict[str, list[Expr]] = {}
    roots: list[Expr] = []
    for s in statements(body):
        found = values.setdefault(s.var.name, []) if isinstance(s, Let) else roots
        found += expressions(s)
    read: set[str] = set()
    while roots:
        names = {node.name for node in under(roots) if isinstance(node, Var)} - read
        read |= names
        roots = [value for name in names for value in values.get(name, ())]
    return read


def _mentions(body: Block, var: Var) -> bool:
    """Whether any expression of `body` uses `var`."""
    nodes = under(root for statement in statements(body) for root in expressions(statement))
    return any(isinstance(node, Var) and node.name == var.name for node in nodes)


_WHERE = {
    LoopKind.BLOCK: ("blockIdx.x", "gridDim.x"),
    LoopKind.THREAD: ("threadIdx.x", str(THREADS)),
}
"""Which iteration a block or thread starts with, and how many run at once."""


def _single(s: For) -> str:
    """What must be 0 to run a loop over blocks or threads that has one iteration."""
    if s.kind not in _WHERE or not isinstance(s.start, Const) or not isinstance(s.stop, Const):
        return ""
    count = len(range(int(s.start.value), int(s.stop.value), s.step))
    return _WHERE[s.kind][0] if count == 1 else ""


def _loop_head(s: For, name: str, start: str, stop: str) -> str:
    step = str(s.step)
    if s.kind in _WHERE:
        first, width = _WHERE[s.kind]
        if s.step > 1:
            first, width = f"i64({first}) * {s.step}", f"i64({width}) * {s.step}"
        start = first if start == "0" else f"{_atom(start)} + {first}"
        step = width
    advance = f"++{name}" if step == "1" else f"{name} += {step}"
    return f"for (i64 {name} = {start}; {name} < {_atom(stop)}; {advance}) {{"


_CALLED = frozenset(
    (
        *(Scalar.FMA, Scalar.ABS, Scalar.SQRT, Scalar.FLOOR, Scalar.CEIL, Scalar.TRUNC),
        *(Scalar.RINT, Scalar.COPYSIGN, Scalar.LDEXP, Scalar.BITCAST),
    )
)
"""Written as calls, so that operands need no parentheses."""


def _operand(parent: Op, arg: Expr, written: str) -> str:
    """An operand's text, in parentheses where C needs them or a reader does."""
    product = isinstance(arg, Op) and arg.op is Scalar.MUL and parent.op in (Scalar.ADD, Scalar.SUB)
    return written if parent.op in _CALLED or product else _atom(written)


def _atom(written: str) -> str:
    """In parentheses unless it is a name, a literal, a call or an element."""
    depth = 0
    for position, character in enumerate(written):
        depth += character in "(["
        depth -= character in ")]"
        sign = character == "-" and position == 0 and written[1:2].isdigit()
        if depth == 0 and character in " -!~?" and not sign and "e-" not in written[: position + 1]:
            return f"({written})"
    return written


_STATEMENTS: dict[type, Callable[[_Writer, Any], None]] = {
    Let: _Writer.let,
    Store: _Writer.store,
    Alloc: _Writer.alloc,
    Barrier: _Writer.barrier,
    Call: _Writer.call,
    If: _Writer.branch,
    For: _Writer.loop,
}
