"""Which names of a vector loop's body depend on the lane."""

from __future__ import annotations

from weftc.loop.ir import Alloc, Block, Buffer, Expr, For, Let, Load, Reduce, Var
from weftc.loop.walk import operands, postorder, statements


class VaryingNames:
    """The variables in `body` whose value may differ between iterations of the loop over `index`.

    The set grows until a round over all statements adds nothing (carried values go round).
    """

    def __init__(self, index: str, body: Block) -> None:
        self._names: set[str] = {index}
        self._local: set[Buffer] = {s.buffer for s in statements(body) if isinstance(s, Alloc)}
        carries = any(isinstance(s, For) and s.carried for s in statements(body))
        while self._round(body) and carries:
            continue
        self.names = frozenset(self._names)

    def depends(self, expr: Expr) -> bool:
        """Whether `expr` may differ between lanes."""
        return self._varies(expr, {})

    def _round(self, body: Block) -> bool:
        before = len(self._names)
        known: dict[Expr, bool] = {}
        for statement in statements(body):
            if isinstance(statement, Let):
                self._mark(statement.var, self._varies(statement.value, known))
            elif isinstance(statement, For):
                for carry in statement.carried:
                    varies = self._varies(carry.init, known) or self._varies(carry.next, known)
                    self._mark(carry.var, varies)
                    self._mark(carry.result, varies)
            elif isinstance(statement, Reduce):
                for term in statement.terms:  # always reduced lane by lane
                    self._mark(term.result, True)
        return len(self._names) > before

    def _mark(self, var: Var, varies: bool) -> None:
        if varies:
            self._names.add(var.name)

    def _varies(self, expr: Expr, known: dict[Expr, bool]) -> bool:
        for node in postorder(expr, known):
            if isinstance(node, Var):
                known[node] = node.name in self._names
            else:
                local = isinstance(node, Load) and node.buffer in self._local
                known[node] = local or any(known[child] for child in operands(node))
        return known[expr]
