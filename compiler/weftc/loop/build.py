"""A statement builder for schedules: nested blocks of statements, every value named once.

b = Builder("scale")
x, y, n = b.buffer("x", f32), b.buffer("y", f32), b.size("n")
with b.for_("i", 0, n, kind=LoopKind.VECTOR, lanes=32) as loop:
    b.store(y, loop.var, ir.apply(Scalar.MUL, Load(x, loop.var, LoopType(f32)), two))
function = b.function()
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

from weftc.loop.ir import (
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
    Reduce,
    Scalar,
    Space,
    Stmt,
    Store,
    Term,
    Var,
    const,
)
from weftrt.dtypes import DType

Index: TypeAlias = "Expr | int"
"""Where an int64 expression is wanted, a Python int will do."""


def index(value: Index) -> Expr:
    """`value` as an expression."""
    return const(value) if isinstance(value, int) else value


class Names:
    """Gives names that were not given before."""

    def __init__(self, taken: Sequence[str] = ()) -> None:
        self._taken = set(taken)
        self._next: dict[str, int] = {}

    def fresh(self, hint: str) -> str:
        """`hint`, or `hint_k` for the first k that is free."""
        name, k = hint, self._next.get(hint, 0)
        while name in self._taken:
            k += 1
            name = f"{hint}_{k}"
        self._next[hint] = k
        self._taken.add(name)
        return name


class Loop:
    """An open loop: its index, the values it carries, and their values after it."""

    def __init__(self, var: Var, values: tuple[Var, ...], results: tuple[Var, ...]) -> None:
        self.var = var
        self.values = values
        self.results = results
        self.nexts: tuple[Expr, ...] | None = () if not values else None

    def next(self, *values: Expr) -> None:
        """The carried values for the next iteration, in the order of `carried`; call it once."""
        if len(values) != len(self.values):
            raise ValueError(f"the loop carries {len(self.values)} values, not {len(values)}")
        self.nexts = values


class Reduction:
    """An open Reduce: its index, and `term` for each value it combines."""

    def __init__(self, var: Var, names: Names) -> None:
        self.var = var
        self.terms: list[Term] = []
        self._names = names

    def term(self, op: Scalar, value: Expr, hint: str = "reduced") -> Var:
        """Combine `value` with `op`; the result may be used after the Reduce."""
        result = Var(self._names.fresh(hint), value.type)
        self.terms.append(Term(op, value, result))
        return result


class Builder:
    """Collects the statements of one function."""

    def __init__(self, name: str, names: Names | None = None) -> None:
        self._name = name
        self.names = names or Names()
        self._buffers: list[Buffer] = []
        self._sizes: list[Var] = []
        self._blocks: list[list[Stmt]] = [[]]

    # -- parameters ---------------------------------------------------------------------------

    def buffer(
        self,
        hint: str,
        dtype: DType,
        space: Space = Space.GLOBAL,
        size: Index | None = None,
        aligned: int = 1,
    ) -> Buffer:
        """A parameter, GLOBAL or SCRATCH."""
        made = Buffer(self.names.fresh(hint), dtype, space, size, aligned)
        self._buffers.append(made)
        return made

    def size(self, hint: str) -> Var:
        """An int64 size parameter."""
        var = Var(self.names.fresh(hint), INDEX)
        self._sizes.append(var)
        return var

    # -- statements ---------------------------------------------------------------------------

    def emit(self, *statements: Stmt) -> None:
        """Append statements made elsewhere; their names are the caller's care."""
        self._blocks[-1].extend(statements)

    def let(self, hint: str, value: Expr) -> Expr:
        """Name a value; a literal or a variable is returned as it is."""
        if isinstance(value, (Const, Var)):
            return value
        var = Var(self.names.fresh(hint), value.type)
        self.emit(Let(var, value))
        return var

    def store(
        self,
        buffer: Buffer,
        at: Index,
        value: Expr,
        mask: Expr | None = None,
        nontemporal: bool = False,
    ) -> None:
        self.emit(Store(buffer, index(at), value, mask, nontemporal))

    def alloc(self, hint: str, dtype: DType, size: int, space: Space = Space.LOCAL) -> Buffer:
        """A LOCAL or SHARED array, alive to the end of the open block."""
        buffer = Buffer(self.names.fresh(hint), dtype, space, size, 64)
        self.emit(Alloc(buffer))
        return buffer

    def call(self, name: str, *args: Expr, buffer: Buffer | None = None) -> None:
        self.emit(Call(name, args, buffer))

    def barrier(self) -> None:
        self.emit(Barrier())

    @contextmanager
    def for_(
        self,
        hint: str,
        start: Index,
        stop: Index,
        kind: LoopKind = LoopKind.SERIAL,
        step: int = 1,
        carried: Sequence[tuple[str, Expr]] = (),
        lanes: int = 1,
        grain: Index | None = None,
    ) -> Iterator[Loop]:
        """A loop; `carried` lists (hint, initial value). Statements inside `with` are its body."""
        var = Var(self.names.fresh(hint), INDEX)
        values = tuple(Var(self.names.fresh(h), init.type) for h, init in carried)
        results = tuple(Var(self.names.fresh(f"{h}_end"), init.type) for h, init in carried)
        loop = Loop(var, values, results)
        with self.block() as body:
            yield loop
        if loop.nexts is None:
            raise ValueError("a loop that carries values needs next(...)")
        carries = tuple(
            Carry(value, init, following, result)
            for value, (_, init), following, result in zip(values, carried, loop.nexts, results)
        )
        bound = None if grain is None else index(grain)
        self.emit(
            For(var, index(start), index(stop), tuple(body), kind, step, carries, lanes, bound)
        )

    @contextmanager
    def reduce(self, hint: str, extent: Index) -> Iterator[Reduction]:
        """The canonical reduction; statements inside `with` run for every element."""
        reduction = Reduction(Var(self.names.fresh(hint), INDEX), self.names)
        with self.block() as body:
            yield reduction
        self.emit(Reduce(reduction.var, index(extent), tuple(body), tuple(reduction.terms)))

    @contextmanager
    def if_(self, condition: Expr) -> Iterator[None]:
        """Statements inside `with` run where `condition` holds."""
        with self.block() as body:
            yield
        self.emit(If(condition, tuple(body)))

    @contextmanager
    def else_(self) -> Iterator[None]:
        """The other branch of the If that was closed just before."""
        before = self._blocks[-1].pop()
        if not isinstance(before, If) or before.otherwise:
            raise ValueError("else_ follows an if_ without one")
        with self.block() as body:
            yield
        self.emit(If(before.condition, before.then, tuple(body)))

    @contextmanager
    def block(self) -> Iterator[list[Stmt]]:
        """Collect statements in a list of their own."""
        opened: list[Stmt] = []
        self._blocks.append(opened)
        try:
            yield opened
        finally:
            self._blocks.pop()

    @property
    def depth(self) -> int:
        """How many blocks are open inside the function's own."""
        return len(self._blocks) - 1

    @contextmanager
    def outside(self, depth: int) -> Iterator[None]:
        """Statements inside `with` go to the open block number `depth`, before the loop that is
        open in it: what does not depend on that loop is computed once."""
        inner = self._blocks[depth + 1 :]
        del self._blocks[depth + 1 :]
        try:
            yield
        finally:
            self._blocks.extend(inner)

    # -- results ------------------------------------------------------------------------------

    def statements(self) -> Block:
        """The statements of the outermost block so far."""
        return tuple(self._blocks[0])

    def function(self) -> LoopFunction:
        """The function of all statements, GLOBAL buffers before SCRATCH ones."""
        buffers = sorted(self._buffers, key=lambda b: b.space is Space.SCRATCH)
        return LoopFunction(self._name, tuple(buffers), tuple(self._sizes), self.statements())


def load(buffer: Buffer, at: Index, mask: Expr | None = None) -> Load:
    """buffer[at]; with a mask, 0 (unread) where it is false."""
    at = index(at)
    return Load(buffer, at, LoopType(buffer.dtype, at.type.lanes), mask)
