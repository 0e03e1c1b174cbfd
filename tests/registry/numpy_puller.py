"""Evaluates `OpDef.pull` over whole arrays, as a schedule does element by element."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from weftc.ir.node import Node
from weftc.ir.sizes import Size
from weftc.loop import scalar
from weftc.loop.ir import INDEX, Expr, LoopType, Scalar, Var, apply, const
from weftrt import dtypes

Array: TypeAlias = "np.ndarray[Any, Any]"


class NumpyPuller:
    """A Puller whose expressions are evaluated as they are made; a read outside is a failure."""

    def __init__(self, node: Node, arrays: Sequence[Array]) -> None:
        self._arrays = arrays
        self._values: dict[Var, Array] = {}
        self._shape = tuple(int(str(s)) for s in node.type.shape)
        self._mask = np.ones(self._shape, dtype=bool)
        self.reported: list[tuple[Array, Array]] = []
        places = np.meshgrid(*map(np.arange, self._shape), indexing="ij")
        self.index = tuple(self._bind(p) for p in places)

    def _bind(self, value: Array) -> Var:
        dtype = dtypes.from_numpy(value.dtype)
        assert dtype is not None
        var = Var(f"v{len(self._values)}", LoopType(dtype))
        self._values[var] = value
        return var

    def value(self, expr: Expr) -> Array:
        return np.broadcast_to(scalar.evaluate_expr(expr, self._values), self._shape)

    def read(self, operand: int, index: tuple[Expr, ...]) -> Expr:
        array = self._arrays[operand]
        assert len(index) == array.ndim, (operand, index)
        assert all(i.type == INDEX for i in index)
        places = [np.where(self._mask, self.value(i), 0) for i in index]
        for place, size in zip(places, array.shape):
            assert np.all((place >= 0) & (place < size) | ~self._mask), (operand, place, size)
        if not array.size:
            return self._bind(np.zeros(self._shape, array.dtype))
        return self._bind(np.broadcast_to(array[tuple(places)], self._shape))

    def size(self, size: Size) -> Expr:
        assert isinstance(size, int)
        return const(size)

    def guarded(self, condition: Expr, then: Callable[[], Expr], otherwise: Expr) -> Expr:
        before, self._mask = self._mask, self._mask & self.value(condition)
        value = then()
        self._mask = before
        return apply(Scalar.SELECT, condition, value, otherwise)

    def report(self, node: Node, condition: Expr, element: Expr) -> None:
        self.reported.append((self.value(condition), self.value(element)))


def pulled(node: Node, arrays: Sequence[Array]) -> Array:
    """The whole value of `node` by its `pull` rule; nothing may be reported."""
    assert node.op.pull is not None
    puller = NumpyPuller(node, arrays)
    value = puller.value(node.op.pull(node, puller.index, puller))
    assert not any(condition.any() for condition, _ in puller.reported)
    return value
