"""How large the integers of a loop function may be, as far as its text tells."""

from __future__ import annotations

import math

from weftc.loop.ir import Const, Expr, For, Let, Op, Scalar, Var


class Bounds:
    """What the names of a function stand for, noted as they are met."""

    def __init__(self) -> None:
        self._named: dict[str, Expr] = {}

    def note(self, s: Let) -> None:
        self._named[s.var.name] = s.value

    def most(self, expr: Expr) -> float:
        """An upper bound of `expr`."""
        expr = self._meant(expr)
        if isinstance(expr, Const):
            return int(expr.value)
        if isinstance(expr, Op) and expr.op is Scalar.MINIMUM:
            return min(map(self.most, expr.args))
        return math.inf

    def iterations(self, loop: For) -> float:
        """An upper bound of how often a loop of step 1 runs."""
        stop = self._meant(loop.stop)
        if isinstance(stop, Op) and stop.op is Scalar.MINIMUM:
            return min(self._beyond(loop.start, end) for end in stop.args)
        return self._beyond(loop.start, stop)

    def is_full(self, loop: For) -> bool:
        """Whether a loop always runs as often as it may."""
        stop = self._meant(loop.stop)
        return not (isinstance(stop, Op) and stop.op is Scalar.MINIMUM)

    def _beyond(self, start: Expr, stop: Expr) -> float:
        """By how much `stop` is more than `start`."""
        start, stop = self._meant(start), self._meant(stop)
        if isinstance(start, Const) and isinstance(stop, Const):
            return int(stop.value) - int(start.value)
        if isinstance(stop, Op) and stop.op is Scalar.ADD:
            first, more = stop.args
            if self._meant(first) is start and isinstance(more, Const):
                return int(more.value)
        return math.inf

    def _meant(self, expr: Expr) -> Expr:
        """What a name stands for."""
        while isinstance(expr, Var) and expr.name in self._named:
            expr = self._named[expr.name]
        return expr
