"""Reads the text of weftc.loop.print back into a loop function."""

from __future__ import annotations

import re
from collections.abc import Callable

from weftc.loop import ir
from weftc.loop.ir import (
    BOOL,
    INDEX,
    Alloc,
    Barrier,
    Block,
    Buffer,
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
    LoopType,
    Op,
    Ramp,
    Reduce,
    Scalar,
    Space,
    Splat,
    Stmt,
    Store,
    Term,
    Tree,
    Var,
)
from weftc.loop.print import INFIX, TYPED
from weftrt import dtypes
from weftrt.errors import VerifyError

_TOKEN = re.compile(
    r"%\d+|[A-Za-z_][\w.$]*|\d+(?:\.\d+)?(?:e[+-]?\d+)?|\.\.|->|==|!=|<=|>=|<<|>>|\S"
)
_TYPE = re.compile(r"(bool|[uif]\d+)(?:x(\d+))?")
_OPS = {op.value[0]: op for op in Scalar}
_FROM_INFIX = {sign: op for op, sign in INFIX.items()}
_KINDS = {kind.value: kind for kind in LoopKind}
_SPACES = {space.value: space for space in Space}


def parse_function(text: str) -> LoopFunction:
    """The function that `print_function` wrote; VerifyError names the line it cannot read."""
    return _Parser(text).function()


class _Parser:
    """A line at a time; `tokens` is the rest of the current line."""

    def __init__(self, text: str) -> None:
        lines = [line for line in text.splitlines() if line.strip()]
        self.lines = [((len(s) - len(s.lstrip())) // 2, s.strip()) for s in lines]
        self.at = 0
        self.tokens: list[str] = []
        self.vars: dict[str, Var] = {}
        self.shared: dict[str, Expr] = {}
        self.buffers: dict[str, Buffer] = {}

    def fail(self, wanted: str) -> VerifyError:
        line = self.lines[min(self.at, len(self.lines) - 1)][1] if self.lines else ""
        found = self.tokens[-1] if self.tokens else "the end of the line"
        return VerifyError(f"cannot read {line!r}: {wanted} expected, {found} found")

    # -- tokens, last first so that taking one is a pop ---------------------------------------

    def start(self, line: str) -> None:
        self.tokens = _TOKEN.findall(line)[::-1]

    def peek(self, ahead: int = 0) -> str:
        return self.tokens[-1 - ahead] if len(self.tokens) > ahead else ""

    def take(self) -> str:
        if not self.tokens:
            raise self.fail("more")
        return self.tokens.pop()

    def accept(self, token: str) -> bool:
        if self.peek() != token:
            return False
        self.tokens.pop()
        return True

    def expect(self, token: str) -> None:
        if not self.accept(token):
            raise self.fail(repr(token))

    def integer(self) -> int:
        token = self.take()
        if not token.isdigit():
            raise self.fail("a number")
        return int(token)

    def type(self) -> LoopType:
        match = _TYPE.fullmatch(self.take())
        if match is None or match[1] not in dtypes.BY_SHORT:
            raise self.fail("a type")
        return LoopType(dtypes.BY_SHORT[match[1]], int(match[2] or 1))

    # -- functions and buffers ----------------------------------------------------------------

    def function(self) -> LoopFunction:
        self.start(self.lines[0][1] if self.lines else "")
        self.expect("function")
        name = self.take()
        self.expect("(")
        # A size of a scratch buffer may name a size parameter, which comes later in the line.
        sizes = self._size_parameters(self.tokens[::-1])
        buffers = []
        while not self.accept(")"):
            if self.accept(";"):
                self.tokens = []
                break
            buffers.append(self.buffer())
            self.accept(",")
        self.at = 1
        body, _ = self.block(1)
        return LoopFunction(name, tuple(buffers), sizes, body)

    def _size_parameters(self, tokens: list[str]) -> tuple[Var, ...]:
        named = tokens[tokens.index(";") + 1 : -1] if ";" in tokens else []
        return tuple(self.bind(name, INDEX) for name in named if name != ",")

    def buffer(self) -> Buffer:
        name = self.take()
        self.expect(":")
        space = _SPACES[self.take()]
        dtype = self.type().dtype
        size: Expr | int | None = None
        if self.accept("["):
            written = self.expr()
            size = int(written.value) if isinstance(written, Const) else written
            self.expect("]")
        aligned = self.integer() if self.accept("align") else 1
        made = Buffer(name, dtype, space, size, aligned)
        self.buffers[name] = made
        return made

    def bind(self, name: str, type_: LoopType) -> Var:
        var = self.vars[name] = Var(name, type_)
        return var

    def buffer_named(self, name: str) -> Buffer:
        if name not in self.buffers:
            raise self.fail("a buffer")
        return self.buffers[name]

    # -- statements ---------------------------------------------------------------------------

    def block(self, indent: int) -> tuple[Block, list[Expr] | list[Term]]:
        """Statements indented by `indent`, and the `next` or `term` lines that end them."""
        statements: list[Stmt] = []
        following: list[Expr] = []
        terms: list[Term] = []
        while self.at < len(self.lines) and self.lines[self.at][0] >= indent:
            self.start(self.lines[self.at][1])
            word = self.take()
            if word.startswith("%"):
                self.expect("=")
                self.shared[word] = self.expr()
            elif word == "next":
                following = self.several()
            elif word == "term":
                terms.append(self.term())
            elif word in _STATEMENTS:
                statements.append(_STATEMENTS[word](self, indent))
                continue
            else:
                raise self.fail("a statement")
            self.end()
        return tuple(statements), terms or following

    def end(self) -> None:
        """The line is read."""
        if self.tokens:
            raise self.fail("the end of the line")
        self.at += 1

    def several(self) -> list[Expr]:
        found = [self.expr()]
        while self.accept(","):
            found.append(self.expr())
        return found

    def term(self) -> Term:
        name = self.take()
        self.expect(":")
        type_ = self.type()
        self.expect("=")
        op = _OPS[self.take()]
        value = self.expr()
        return Term(op, value, self.bind(name, type_))

    def let(self, indent: int) -> Stmt:
        name = self.take()
        self.expect(":")
        type_ = self.type()
        self.expect("=")
        value = self.expr()
        self.end()
        return Let(self.bind(name, type_), value)

    def store(self, indent: int) -> Stmt:
        nontemporal = self.peek(1) != "[" and self.accept("nontemporal")
        buffer = self.buffer_named(self.take())
        self.expect("[")
        index = self.expr()
        self.expect("]")
        self.expect("=")
        value = self.expr()
        mask = self.expr() if self.accept("if") else None
        self.end()
        return Store(buffer, index, value, mask, nontemporal)

    def loop(self, indent: int) -> Stmt:
        var = self.bind(self.take(), INDEX)
        self.expect("in")
        start = self.expr()
        self.expect("..")
        stop = self.expr()
        step = self.integer() if self.accept("step") else 1
        kind, lanes, grain = self._kind()
        carried = self._carried()
        self.end()
        body, following = self.block(indent + 1)
        carries = tuple(
            Carry(value, init, after, result)
            for (value, init, result), after in zip(carried, following, strict=True)
            if not isinstance(after, Term)
        )
        return For(var, start, stop, body, kind, step, carries, lanes, grain)

    def _kind(self) -> tuple[LoopKind, int, Expr | None]:
        if self.peek() not in _KINDS:
            return LoopKind.SERIAL, 1, None
        kind = _KINDS[self.take()]
        if not self.accept("("):
            return kind, 1, None
        lanes = self.integer() if kind is LoopKind.VECTOR else 1
        grain = None if kind is LoopKind.VECTOR else self.expr()
        self.expect(")")
        return kind, lanes, grain

    def _carried(self) -> list[tuple[Var, Expr, Var]]:
        found: list[tuple[Var, Expr, Var]] = []
        more = self.accept("carried")
        while more:
            name = self.take()
            self.expect(":")
            type_ = self.type()
            self.expect("=")
            init = self.expr()
            self.expect("->")
            found.append((self.bind(name, type_), init, self.bind(self.take(), type_)))
            more = self.accept(",")
        return found

    def reduce(self, indent: int) -> Stmt:
        var = self.bind(self.take(), INDEX)
        self.expect("in")
        extent = self.expr()
        self.end()
        body, terms = self.block(indent + 1)
        return Reduce(var, extent, body, tuple(t for t in terms if isinstance(t, Term)))

    def branch(self, indent: int) -> Stmt:
        condition = self.expr()
        self.end()
        then, _ = self.block(indent + 1)
        otherwise: Block = ()
        if self.at < len(self.lines) and self.lines[self.at] == (indent, "else"):
            self.at += 1
            otherwise, _ = self.block(indent + 1)
        return If(condition, then, otherwise)

    def alloc(self, indent: int) -> Stmt:
        buffer = self.buffer()
        self.end()
        return Alloc(buffer)

    def barrier(self, indent: int) -> Stmt:
        self.end()
        return Barrier()

    def call(self, indent: int) -> Stmt:
        name = self.take()
        buffer = None
        if self.accept("["):
            buffer = self.buffer_named(self.take())
            self.expect("]")
        self.expect("(")
        args = [] if self.peek() == ")" else self.several()
        self.expect(")")
        self.end()
        return Call(name, tuple(args), buffer)

    # -- expressions --------------------------------------------------------------------------

    def expr(self) -> Expr:
        """An operand, or two with an infix operation between them."""
        left = self.operand()
        if self.peek() not in _FROM_INFIX:
            return left
        op = _FROM_INFIX[self.take()]
        return ir.apply(op, left, self.operand())

    def operand(self) -> Expr:
        token = self.take()
        if token == "(":
            inside = self.expr()
            self.expect(")")
            return inside
        if token == "-":
            return self.literal("-" + self.take())
        if token[0].isdigit() or token in ("true", "false"):
            return self.literal(token)
        if token in ("inf", "nan") and self.peek() == ":":
            return self.literal(token)
        if token.startswith("%") and token in self.shared:
            return self.shared[token]
        if self.peek() == "(":
            return self.function_of(token)
        if self.peek() == "[":
            return self.load(token)
        if token not in self.vars:
            raise self.fail(f"a name instead of {token}")
        return self.vars[token]

    def literal(self, token: str) -> Expr:
        if token in ("true", "false"):
            return Const(token == "true", self.type() if self.accept(":") else BOOL)
        # after a ":" a name is a type, a number the lanes of a load
        typed = self.peek() == ":" and _TYPE.fullmatch(self.peek(1)) is not None
        if typed:
            self.take()
        type_ = self.type() if typed else INDEX
        return Const(float(token) if type_.dtype.is_float else int(token), type_)

    def ramp(self, base: Expr, type_: LoopType) -> Ramp:
        if not self.accept(","):
            return Ramp(base, type_)
        sign = -1 if self.accept("-") else 1
        return Ramp(base, type_, sign * self.integer())

    def load(self, name: str) -> Expr:
        buffer = self.buffer_named(name)
        self.expect("[")
        index = self.expr()
        lanes = self.integer() if self.accept(":") else index.type.lanes
        mask = self.expr() if self.accept("if") else None
        self.expect("]")
        return Load(buffer, index, LoopType(buffer.dtype, lanes), mask)

    def function_of(self, name: str) -> Expr:
        self.expect("(")
        if name in ("splat", "ramp"):
            value = self.expr()
            self.expect(",")
            type_ = LoopType(value.type.dtype, self.integer())
            made: Expr = Splat(value, type_) if name == "splat" else self.ramp(value, type_)
        elif name == "tree":
            op = _OPS[self.take()]
            self.expect(",")
            value = self.expr()
            made = Tree(op, value, LoopType(value.type.dtype))
        elif name in _OPS:
            made = self.operation(_OPS[name])
        else:
            raise self.fail("an operation")
        self.expect(")")
        return made

    def operation(self, op: Scalar) -> Expr:
        if op not in TYPED:
            return ir.apply(op, *self.several())
        dtype = self.type().dtype
        self.expect(",")
        value = self.expr()
        return Op(op, (value,), LoopType(dtype, value.type.lanes))


_STATEMENTS: dict[str, Callable[[_Parser, int], Stmt]] = {
    "let": _Parser.let,
    "store": _Parser.store,
    "for": _Parser.loop,
    "reduce": _Parser.reduce,
    "if": _Parser.branch,
    "alloc": _Parser.alloc,
    "barrier": _Parser.barrier,
    "call": _Parser.call,
}
