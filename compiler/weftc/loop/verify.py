"""Checks that a loop function is well formed: names, types, masks, and where loops may stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from weftc.loop.intrinsics import INTRINSICS
from weftc.loop.ir import (
    BOOL,
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
    LoopType,
    Reduce,
    Space,
    Stmt,
    Store,
    Var,
)
from weftc.loop.reductions import REDUCING
from weftc.loop.types import index_mistake, mask_mistake, mistake
from weftc.loop.walk import postorder
from weftrt.errors import VerifyError

LOCAL_BYTES = 256 << 10


def verify(function: LoopFunction, widened: bool = False) -> None:
    """Raise VerifyError naming the first statement of `function` that breaks a rule."""
    _Verifier(function, widened).run()


class _Verifier:
    """Walks the statements with the names in scope; every name is bound once in a function."""

    def __init__(self, function: LoopFunction, widened: bool) -> None:
        self.function = function
        self.widened = widened
        self.scope: dict[str, LoopType] = {}
        self.buffers: set[Buffer] = set()
        self.checked: set[Expr] = set()
        """Expressions that are well formed where only what is in scope now is."""
        self.taken: set[str] = set()
        self.path: list[Stmt] = []
        self.lane_loops = 0
        """How many vector loops and reduces are open."""

    def run(self) -> None:
        for size in self.function.sizes:
            self.bind(size)
            self.require(size.type == INDEX, f"the size {size.name} is not i64")
        spaces = [buffer.space for buffer in self.function.buffers]
        count = spaces.count(Space.GLOBAL)
        expected = [Space.GLOBAL] * count + [Space.SCRATCH] * (len(spaces) - count)
        self.require(spaces == expected, "parameters are GLOBAL, then SCRATCH")
        for buffer in self.function.buffers:
            self.declare(buffer)
            if buffer.size is not None and not isinstance(buffer.size, int):
                self.expression(buffer.size, INDEX)
        self.block(self.function.body)

    # -- helpers ------------------------------------------------------------------------------

    def fail(self, message: str) -> NoReturn:
        where = " > ".join(_DESCRIBE[type(s)](s) for s in self.path) or "the parameters"
        raise VerifyError(f"{self.function.name}: {message} (in {where})")

    def require(self, holds: bool, message: str) -> None:
        if not holds:
            self.fail(message)

    def accept(self, found: str | None) -> None:
        if found is not None:
            self.fail(found)

    def take(self, name: str) -> None:
        if name in self.taken:
            self.fail(f"{name} is bound twice")
        self.taken.add(name)

    def bind(self, var: Var) -> None:
        self.take(var.name)
        self.scope[var.name] = var.type

    def declare(self, buffer: Buffer) -> None:
        self.take(buffer.name)
        self.buffers.add(buffer)
        aligned = buffer.aligned
        self.require(aligned > 0 and not aligned & (aligned - 1), f"alignment {aligned}")

    def expression(self, root: Expr, type_: LoopType | None = None) -> LoopType:
        """Check everything under `root`, and that its type is `type_` if given."""
        checked, scalar = self.checked, self.lane_loops > 0
        for node in postorder(root, checked):
            checked.add(node)
            if isinstance(node, Var):
                self.bound(node)
            elif isinstance(node, Load):
                self.known(node.buffer)
            self.accept(mistake(node, scalar))
        found = root.type
        if type_ is not None and found is not type_ and found != type_:
            self.fail(f"{found} where {type_} is needed")
        return found

    def bound(self, var: Var) -> None:
        found = self.scope.get(var.name)
        if found is None:
            self.fail(f"{var.name} is not bound here")
        if found != var.type:
            self.fail(f"{var.name} is {found}, used as {var.type}")

    def known(self, buffer: Buffer) -> None:
        if buffer not in self.buffers:
            self.fail(f"the buffer {buffer.name} is not declared here")

    # -- statements ---------------------------------------------------------------------------

    def block(self, block: Block) -> None:
        """Names bound in a block end with it."""
        with self.inside():
            self._body(block)

    @contextmanager
    def inside(self, lanes: bool = False) -> Iterator[None]:
        """What is bound in here is not known after it. Where it becomes `lanes`, what was well
        formed outside may not be so."""
        outer = self.scope, self.buffers, self.checked
        self.scope, self.buffers = dict(self.scope), set(self.buffers)
        self.checked = set() if lanes else set(self.checked)
        self.lane_loops += lanes
        yield
        self.lane_loops -= lanes
        self.scope, self.buffers, self.checked = outer

    def let(self, s: Let) -> None:
        self.expression(s.value, s.var.type)
        self.bind(s.var)

    def store(self, s: Store) -> None:
        self.known(s.buffer)
        index, value = self.expression(s.index), self.expression(s.value)
        self.require(
            value.dtype is s.buffer.dtype, f"{s.buffer.name} holds {s.buffer.dtype}, not {value}"
        )
        self.accept(index_mistake(index, value.lanes))
        if s.mask is not None:
            self.expression(s.mask)
            self.accept(mask_mistake(s.mask, value.lanes))

    def loop(self, s: For) -> None:
        self.expression(s.start, INDEX)
        self.expression(s.stop, INDEX)
        if s.grain is not None:
            self.expression(s.grain, INDEX)
        self._loop_kind(s)
        for carry in s.carried:
            self.expression(carry.init, carry.var.type)
            self.require(carry.result.type == carry.var.type, f"{carry.result.name} changes type")
        self.require(s.var.type == INDEX, f"{s.var.name} is not i64")
        with self.inside(lanes=s.kind is LoopKind.VECTOR):
            for var in (s.var, *(carry.var for carry in s.carried)):
                self.bind(var)
            self._body(s.body)
            for carry in s.carried:
                self.expression(carry.next, carry.var.type)
        for carry in s.carried:
            self.bind(carry.result)

    def _loop_kind(self, s: For) -> None:
        kind = s.kind
        self.require(s.step > 0, f"the step {s.step} is not positive")
        free = kind in (LoopKind.SERIAL, LoopKind.UNROLLED)
        self.require(free or not s.carried, f"a {kind.value} loop carries no values")
        top = kind is not LoopKind.PARALLEL or len(self.path) == 1
        self.require(top, "a parallel loop stands at the top level only")
        constant = isinstance(s.start, Const) and isinstance(s.stop, Const)
        self.require(constant or kind is not LoopKind.UNROLLED, "an unrolled loop has fixed bounds")
        if kind is LoopKind.VECTOR:
            self.require(not self.widened, "a widened function has no vector loop")
            power = s.lanes > 0 and not s.lanes & (s.lanes - 1)
            self.require(power, f"{s.lanes} lanes are not a power of two")

    def _body(self, body: Block) -> None:
        for statement in body:
            self.path.append(statement)
            _STATEMENTS[type(statement)](self, statement)
            self.path.pop()

    def reduce(self, s: Reduce) -> None:
        self.require(not self.widened, "a widened function has no reduce")
        self.expression(s.extent, INDEX)
        for statement in s.body:
            plain = isinstance(statement, (Let, Store))
            self.require(plain, f"a reduce holds {_DESCRIBE[type(statement)](statement)}")
        with self.inside(lanes=True):
            self.bind(s.var)
            self._body(s.body)
            for term in s.terms:
                self.expression(term.value, term.result.type)
        for term in s.terms:
            self.require(term.op in REDUCING, f"{term.op!r} does not reduce")
        for term in s.terms:
            self.bind(term.result)

    def branch(self, s: If) -> None:
        self.expression(s.condition, BOOL)
        self.block(s.then)
        self.block(s.otherwise)

    def alloc(self, s: Alloc) -> None:
        buffer = s.buffer
        size, space = buffer.size, buffer.space
        self.require(space in (Space.LOCAL, Space.SHARED), f"alloc of {space.value} memory")
        if not isinstance(size, int) or size < 0:
            self.fail(f"{buffer.name} needs a constant size")
        bytes_ = size * buffer.dtype.itemsize
        self.require(bytes_ <= LOCAL_BYTES, f"{buffer.name} takes {bytes_} bytes")
        self.declare(buffer)

    def barrier(self, s: Barrier) -> None:
        return None

    def call(self, s: Call) -> None:
        row = INTRINSICS.get(s.name)
        if row is None:
            self.fail(f"no intrinsic {s.name}")
        self.require(len(s.args) == len(row.operands), f"{len(s.args)} operands")
        for arg, type_ in zip(s.args, row.operands):
            self.expression(arg, type_)
        self.require((s.buffer is not None) == row.buffer, "with a buffer, or without")
        if s.buffer is not None:
            self.known(s.buffer)


_STATEMENTS: dict[type, Callable[[_Verifier, Any], None]] = {
    Let: _Verifier.let,
    Store: _Verifier.store,
    For: _Verifier.loop,
    Reduce: _Verifier.reduce,
    If: _Verifier.branch,
    Alloc: _Verifier.alloc,
    Barrier: _Verifier.barrier,
    Call: _Verifier.call,
}

_DESCRIBE: dict[type, Callable[[Any], str]] = {
    Let: lambda s: f"let {s.var.name}",
    Store: lambda s: f"store {s.buffer.name}",
    For: lambda s: f"for {s.var.name}",
    Reduce: lambda s: f"reduce {s.var.name}",
    If: lambda s: "if",
    Alloc: lambda s: f"alloc {s.buffer.name}",
    Barrier: lambda s: "barrier",
    Call: lambda s: f"call {s.name}",
}
