"""Replacing buffers in expressions and statements."""

from __future__ import annotations

from dataclasses import replace

from weftc.loop.ir import (
    Alloc,
    Block,
    Buffer,
    Call,
    Carry,
    Expr,
    For,
    Let,
    Load,
    LoopKind,
    Stmt,
    Store,
    Term,
)
from weftc.loop.walk import operands, postorder, with_operands


class BufferMap:
    """Old buffers and what stands for them; everything else is kept by identity."""

    def __init__(self) -> None:
        self._buffers: dict[Buffer, Buffer] = {}
        self._memo: dict[Expr, Expr] = {}

    def add(self, old: Buffer, new: Buffer) -> Buffer:
        """From now on `new` stands for `old`."""
        self._buffers[old] = new
        self._memo.clear()
        return new

    def buffer(self, old: Buffer) -> Buffer:
        return self._buffers.get(old, old)

    def expr(self, root: Expr) -> Expr:
        """`root` over the new buffers."""
        for node in postorder(root, self._memo):
            new = with_operands(node, tuple(self._memo[x] for x in operands(node)))
            if isinstance(new, Load) and new.buffer in self._buffers:
                new = Load(self._buffers[new.buffer], new.index, new.type, new.mask)
            self._memo[node] = new
        return self._memo[root]

    def optional(self, root: Expr | None) -> Expr | None:
        return None if root is None else self.expr(root)

    def let(self, s: Let) -> Let:
        return Let(s.var, self.expr(s.value))

    def loop(self, s: For, body: Block, kind: LoopKind) -> For:
        """`s` with another body and kind."""
        carried = tuple(
            Carry(c.var, self.expr(c.init), self.expr(c.next), c.result) for c in s.carried
        )
        return For(s.var, self.expr(s.start), self.expr(s.stop), body, kind, s.step, carried)

    def terms(self, terms: tuple[Term, ...]) -> tuple[Term, ...]:
        return tuple(Term(t.op, self.expr(t.value), t.result) for t in terms)

    def leaf(self, s: Stmt) -> Stmt:
        """A statement that holds no block."""
        if isinstance(s, Let):
            return self.let(s)
        if isinstance(s, Store):
            index, value = self.expr(s.index), self.expr(s.value)
            return Store(self.buffer(s.buffer), index, value, self.optional(s.mask))
        if isinstance(s, Call):
            return replace(s, args=tuple(self.expr(arg) for arg in s.args))
        assert isinstance(s, Alloc)
        return s
