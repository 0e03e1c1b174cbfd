"""Whether a kernel may write a result over something that it reads."""

from __future__ import annotations

from collections.abc import Hashable

from weftc.loop.ir import Block, Buffer, Const, Expr, Load, LoopFunction, Op, Store, Var
from weftc.loop.walk import blocks, expressions, operands, postorder, statements, under


def runs_in_place(function: LoopFunction, read: Buffer, written: Buffer) -> bool:
    """Whether `written` may have the memory of `read`, which is as large.

    It may where each turn of a loop that reads or writes some elements of the one reads the same
    elements of the other, and before it writes them: every element is written once, so no other
    turn reads them.
    """
    numbers = _Numbers()
    inner = (block for statement in statements(function.body) for block in blocks(statement))
    return all(_keeps(block, read, written, numbers) for block in (function.body, *inner))


def _keeps(block: Block, read: Buffer, written: Buffer, numbers: _Numbers) -> bool:
    """Whether the statements of a block, leaving out the blocks within, keep to that."""
    loaded: set[Hashable] = set()
    stored: set[Hashable] = set()
    for statement in block:
        for node in under(expressions(statement)):
            if isinstance(node, Load) and node.buffer is read:
                place = numbers.place(node.index, node.type.lanes)
                if place in stored:
                    return False
                loaded.add(place)
        if isinstance(statement, Store) and statement.buffer is written:
            stored.add(numbers.place(statement.index, statement.value.type.lanes))
    return loaded == stored


class _Numbers:
    """Numbers for expressions: equal ones, by how they are written, have the same."""

    def __init__(self) -> None:
        self._of: dict[Expr, int] = {}
        self._known: dict[Hashable, int] = {}

    def place(self, index: Expr, lanes: int) -> Hashable:
        """What tells so many elements from an index on."""
        for node in postorder(index, self._of):
            self._of[node] = self._known.setdefault(self._text(node), len(self._known))
        return self._of[index], lanes

    def _text(self, node: Expr) -> Hashable:
        inner = tuple(self._of[operand] for operand in operands(node))
        match node:
            case Var(name):
                return name
            case Const(value, type_):
                return value, type_
            case Op(op, _, type_):
                return op, type_, inner
            case Load(buffer):
                return buffer, inner
        return id(node)  # with lanes: equal only to itself
