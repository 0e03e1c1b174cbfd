"""Whether a kernel may write a result over something that it reads."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from weftc.loop.ir import Block, Buffer, Const, Expr, Load, LoopFunction, Op, Store, Var
from weftc.loop.walk import blocks, expressions, operands, postorder


def runs_in_place(function: LoopFunction, read: Buffer, written: Buffer) -> bool:
    """Whether `written` may have the memory of `read`, which is as large.

    It may where each turn of a loop that reads or writes some elements of the one reads the same
    elements of the other, and before it writes them: every element is written once, so no other
    turn reads them.
    """
    numbers = _Numbers()
    return all(_keeps(block, read, written, numbers) for block in _blocks(function.body))


def _blocks(block: Block) -> Iterator[Block]:
    yield block
    for statement in block:
        for inner in blocks(statement):
            yield from _blocks(inner)


def _keeps(block: Block, read: Buffer, written: Buffer, numbers: _Numbers) -> bool:
    """Whether the statements of a block, leaving out the blocks within, keep to that."""
    loaded: set[Hashable] = set()
    stored: set[Hashable] = set()
    for statement in block:
        for node in _under(expressions(statement)):
            if isinstance(node, Load) and node.buffer is read:
                place = numbers.place(node.index, node.type.lanes)
                if place in stored:
                    return False
                loaded.add(place)
        if isinstance(statement, Store) and statement.buffer is written:
            stored.add(numbers.place(statement.index, statement.value.type.lanes))
    return loaded == stored


def _under(roots: tuple[Expr, ...]) -> Iterator[Expr]:
    seen: set[Expr] = set()
    for root in roots:
        for node in postorder(root, seen):
            seen.add(node)
            yield node


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
