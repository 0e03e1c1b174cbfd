"""Widening one expression: what each value is across the lanes of a vector loop.

A value is uniform (a scalar, the same in every lane), affine (a scalar for lane 0 that grows by a
constant per lane), or varying (a vector). Indices stay scalars this way, so that `x[base + i]` is
one contiguous load, and uniform work is done once and splatted only where a vector needs it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from weftc.loop import ir
from weftc.loop.ir import (
    BOOL,
    INDEX,
    Buffer,
    Const,
    Expr,
    Load,
    LoopType,
    Op,
    Ramp,
    Scalar,
    Splat,
    Tree,
    Var,
    const,
)
from weftc.loop.walk import operands, postorder, with_operands


@dataclass(frozen=True, slots=True)
class Value:
    """`stride` 0 is uniform, another int is affine (`expr` is lane 0's), None is varying."""

    expr: Expr
    stride: int | None = None

    @property
    def uniform(self) -> bool:
        return self.stride == 0


def both(a: Expr | None, b: Expr | None) -> Expr | None:
    """The conjunction of two masks; None is always true."""
    if a is None or b is None:
        return b if a is None else a
    return ir.apply(Scalar.AND, a, b)


@dataclass
class Lanes:
    """The lanes a block runs in: how many, which are on, and what its names stand for."""

    count: int
    varying: frozenset[str]
    """The names that may differ between lanes; carried values among them are vectors."""
    environment: dict[str, Value]
    local: dict[Buffer, Buffer] = field(default_factory=dict)
    """Arrays allocated inside the vector loop, and their lane-interleaved form."""
    mask: Expr | None = None
    any_lane: Expr | None = None
    """Whether any lane is on; None where some lane always is (lane 0, even in a tail)."""
    memo: dict[Expr, Value] = field(default_factory=dict)
    vectors: dict[Expr, Expr] = field(default_factory=dict)

    def inner(self, mask: Expr | None = None, any_lane: Expr | None = None) -> Lanes:
        """Lanes for a block inside this one, with more of them masked when `mask` is given."""
        if mask is None:
            mask, any_lane = self.mask, self.any_lane
        names, local = dict(self.environment), dict(self.local)
        return Lanes(self.count, self.varying, names, local, mask, any_lane)

    def bind(self, name: str, value: Value) -> None:
        self.environment[name] = value

    def value(self, expr: Expr) -> Value:
        """What `expr` is across the lanes."""
        memo = self.memo
        if expr not in memo:
            for node in postorder(expr, memo):
                memo[node] = self._visit(node)
        return memo[expr]

    def vector(self, expr: Expr) -> Expr:
        """`expr` with a value in every lane."""
        return self.spread(self.value(expr))

    def spread(self, value: Value) -> Expr:
        """A uniform or affine value as a vector."""
        expr, stride = value.expr, value.stride
        if stride is None or self.count == 1:
            return expr
        found = self.vectors.get(expr) if stride == 0 else None
        if found is not None:
            return found
        type_ = LoopType(expr.type.dtype, self.count)
        if stride == 0:
            spread = self._splat(expr, type_)
            self.vectors[expr] = spread
            return spread
        return Ramp(expr, type_, stride)

    @staticmethod
    def _splat(expr: Expr, type_: LoopType) -> Expr:
        return Const(expr.value, type_) if isinstance(expr, Const) else Splat(expr, type_)

    # -- nodes --------------------------------------------------------------------------------

    def _visit(self, node: Expr) -> Value:
        if isinstance(node, Var):
            return self.environment.get(node.name) or Value(node, 0)
        if isinstance(node, Const):
            return Value(node, 0)
        if isinstance(node, Load):
            return self._load(node)
        values = [self.memo[child] for child in operands(node)]
        if all(value.uniform for value in values):
            return Value(with_operands(node, tuple(v.expr for v in values)), 0)
        if not isinstance(node, Op):
            raise ValueError(f"{type(node).__name__} in a written function")
        if node.type == INDEX and node.op in _AFFINE:
            affine = _AFFINE[node.op](values)
            if affine is not None:
                return affine
        return Value(self._vector_op(node, values))

    def _vector_op(self, node: Op, values: list[Value]) -> Expr:
        args = [self.spread(value) for value in values]
        if node.op in (Scalar.TDIV, Scalar.TREM) and self.any_lane is not None:
            # A divisor may be guarded by the If around it, and lanes that are off divide too.
            assert self.mask is not None
            one = Const(1, args[1].type)
            args[1] = ir.apply(Scalar.SELECT, self.mask, args[1], one)
        return Op(node.op, tuple(args), LoopType(node.type.dtype, self.count))

    def _load(self, node: Load) -> Value:
        mask = None if node.mask is None else self.memo[node.mask]
        index = self.memo[node.index]
        local = self.local.get(node.buffer)
        type_ = LoopType(node.type.dtype, self.count)
        if local is not None:
            at = self.local_index(index)
            return Value(Load(local, at, type_, self._masked(mask)))
        if index.uniform and (mask is None or mask.uniform):
            own = None if mask is None else mask.expr
            return Value(Load(node.buffer, index.expr, node.type, both(self.any_lane, own)), 0)
        at = index.expr if index.stride == 1 else self.spread(index)
        return Value(Load(node.buffer, at, type_, self._masked(mask)))

    def _masked(self, own: Value | None) -> Expr | None:
        return both(self.mask, None if own is None else self.spread(own))

    def local_index(self, index: Value) -> Expr:
        """Where element `index` of a lane-interleaved array lies; uniform is contiguous."""
        if index.uniform:
            return ir.mul(index.expr, const(self.count))
        type_ = LoopType(INDEX.dtype, self.count)
        scaled = ir.apply(Scalar.MUL, self.spread(index), Const(self.count, type_))
        return ir.apply(Scalar.ADD, scaled, Ramp(const(0), type_))


def any_of(mask: Expr) -> Expr:
    """Whether any lane of a mask is on."""
    return mask if mask.type.lanes == 1 else Tree(Scalar.OR, mask, BOOL)


# -- affine arithmetic: lane 0's value and the growth per lane ----------------------------------


def _add(values: list[Value]) -> Value | None:
    a, b = values
    if a.stride is None or b.stride is None:
        return None
    return Value(ir.add(a.expr, b.expr), a.stride + b.stride)


def _sub(values: list[Value]) -> Value | None:
    a, b = values
    if a.stride is None or b.stride is None:
        return None
    return Value(ir.subtract(a.expr, b.expr), a.stride - b.stride)


def _neg(values: list[Value]) -> Value | None:
    (a,) = values
    if a.stride is None:
        return None
    return Value(ir.apply(Scalar.NEG, a.expr), -a.stride)


def _mul(values: list[Value]) -> Value | None:
    for a, b in (values, values[::-1]):
        if a.stride is not None and isinstance(b.expr, Const) and b.uniform:
            return Value(ir.mul(a.expr, b.expr), a.stride * int(b.expr.value))
    return None


_AFFINE: dict[Scalar, Callable[[list[Value]], Value | None]] = {
    Scalar.ADD: _add,
    Scalar.SUB: _sub,
    Scalar.NEG: _neg,
    Scalar.MUL: _mul,
}
