"""Simpler nodes of exactly the same value, -0, inf and nan included.

    %1 = mul(%x, 1)
    %2 = neg(%1)         ->    return %x
    %3 = neg(%2)

Each rule looks at one node and its inputs, never makes worse code, and is exact for every input
(NaN payloads aside): x+0, x*0 and x/3 -> x*(1/3) are not, so they are not here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence, Set
from functools import cache, partial, reduce
from typing import Any, TypeAlias

from weftc.ir.constraints import assume_equal
from weftc.ir.location import Location
from weftc.ir.node import Graph, Node, rewrite
from weftc.ir.opdef import Family, OpDef
from weftc.ir.sizes import Shape
from weftc.ops import elementary, movement, pointwise, recomputation
from weftc.ops.elementary.power import INVERSES, PRODUCTS, ROOTS
from weftc.ops.source import constant
from weftc.passes.join_pads import join_pads
from weftrt import dtypes

Rule: TypeAlias = Callable[[Node], Node | None]


def simplify(graph: Graph, before: Graph | None = None) -> Graph:
    """Apply every rule bottom up, in `graph` and the graphs in it, until none fires. None does for
    the nodes of `before`, which this made."""
    settled = frozenset(before.nodes() if before is not None else ())
    return rewrite(graph, _Simplest(settled).of, settled)


class _Simplest:
    """What nodes become. What a rule makes is made simpler itself before another node reads it, so
    that one walk is enough."""

    def __init__(self, settled: Set[Node]) -> None:
        self._known = {node: node for node in settled}

    def of(self, node: Node) -> Node:
        """`node`, over inputs of which this holds, where no rule fires any more."""
        for rule in _rules(node.op):
            simpler = rule(node)
            if simpler is not None:
                break
        else:
            self._known[node] = node
            return node
        found = self._known[node] = self._made(simpler)
        return found

    def _made(self, node: Node) -> Node:
        """The same of a node that a rule made, over some that it made too."""
        found = self._known.get(node)
        if found is None:
            made = node.rebuilt(tuple([self._made(i) for i in node.inputs]))
            found = self._known[node] = self.of(made)
        return found


@cache
def _rules(op: OpDef) -> tuple[Rule, ...]:
    """The rules for nodes of an op."""
    own = RULES.get(op.name, ())
    if op.family is not Family.POINTWISE:
        return own
    return (*own, compute_before_broadcast, compute_before_transpose)


# -- reading the graph ---------------------------------------------------------------------------


def scalar_value(node: Node) -> Any:
    """The Python value that every element of `node` has, or None where that is not known."""
    while node.op.name in ("broadcast", "reshape"):
        node = node.inputs[0]
    return node["value"] if node.op.name == "constant" else None


def _is(node: Node, value: float) -> bool:
    """Whether every element is `value`, telling -0.0 from 0.0."""
    found = scalar_value(node)
    if found is None or found != value:
        return False
    return not node.type.dtype.is_float or math.copysign(1, found) == math.copysign(1, value)


def _full_like(node: Node, value: float) -> Node:
    scalar = constant(value=value, dtype=node.type.dtype, at=node.location)
    return movement.broadcast(scalar, shape=node.type.shape, axes=(), at=node.location)


# -- arithmetic ----------------------------------------------------------------------------------


def drop_copy(node: Node) -> Node | None:
    """identity(x) -> x"""
    return node.inputs[0]


def drop_neutral_addend(node: Node) -> Node | None:
    """x + (-0.0) -> x; for integers x + 0 -> x"""
    neutral = -0.0 if node.type.dtype.is_float else 0
    for x, other in (node.inputs, node.inputs[::-1]):
        if _is(other, neutral):
            return x
    return None


def drop_neutral_subtrahend(node: Node) -> Node | None:
    """x - 0 -> x"""
    x, other = node.inputs
    return x if _is(other, 0) else None


def multiply_by_one(node: Node) -> Node | None:
    """x * 1 -> x; x * -1 -> neg(x)"""
    for x, other in (node.inputs, node.inputs[::-1]):
        value = scalar_value(other)
        if value == 1:
            return x
        if value == -1 and node.type.dtype.is_signed:
            return pointwise.neg(x, at=node.location)
    return None


def divide_by_power_of_two(node: Node) -> Node | None:
    """x / 2**k -> x * 2**-k, where 2**-k is a normal number; x / 1 -> x"""
    x, other = node.inputs
    value = scalar_value(other)
    if value is None or not math.isfinite(value) or value == 0:
        return None
    mantissa, exponent = math.frexp(value)
    if value == 1:
        return x
    if abs(mantissa) != 0.5 or not -100 < exponent < 100:
        return None
    return pointwise.mul(x, _full_like(other, 1 / value), at=node.location)


def write_out_power(node: Node) -> Node | None:
    """x**n -> multiplications, x**0.5 -> a root, x**-1 -> 1 / x, x**-0.5 -> 1 / a root, just as
    `pow` itself defines them; x**4 is (x*x)*(x*x)"""
    x, other = node.inputs
    value = scalar_value(other)
    if value in PRODUCTS:
        return _squarings(x, int(value), node.location)
    if value not in (*ROOTS, *INVERSES) or not x.type.dtype.is_float:
        return None
    base = _root(x, node.location) if value in ROOTS else x
    if value not in INVERSES:
        return base
    return pointwise.div(_full_like(x, 1.0), base, at=node.location)


def _root(x: Node, at: Location | None) -> Node:
    """sqrt(x), but 0.0 for -0.0 and inf for -inf, as C has it for powers."""
    root = elementary.sqrt(pointwise.add(x, _full_like(x, 0.0), at=at), at=at)
    infinite = pointwise.eq(x, _full_like(x, -math.inf), at=at)
    return pointwise.where(infinite, _full_like(x, math.inf), root, at=at)


def _squarings(x: Node, exponent: int, at: Location | None) -> Node:
    """The squares of x that the bits of the exponent choose, the lowest bit first."""
    factors = []
    while exponent:
        if exponent & 1:
            factors.append(x)
        exponent >>= 1
        if exponent:
            x = pointwise.mul(x, x, at=at)
    one = _full_like(x, 1.0 if x.type.dtype.is_float else 1)
    return reduce(partial(pointwise.mul, at=at), factors) if factors else one


def undo_twice(node: Node) -> Node | None:
    """neg(neg(x)) -> x, and likewise for every self-inverse op"""
    (x,) = node.inputs
    return x.inputs[0] if x.op is node.op else None


def absolute_of_sign_change(node: Node) -> Node | None:
    """abs(neg(x)) -> abs(x); abs(abs(x)) -> abs(x)"""
    (x,) = node.inputs
    if x.op.name == "abs":
        return x
    return pointwise.abs(x.inputs[0], at=node.location) if x.op.name == "neg" else None


def drop_cast_to_same(node: Node) -> Node | None:
    """convert(x) -> x where the dtype does not change"""
    (x,) = node.inputs
    return x if x.type.dtype is node.type.dtype else None


def known_condition(node: Node) -> Node | None:
    """where(true, x, y) -> x; where(c, x, x) -> x"""
    condition, x, y = node.inputs
    value = scalar_value(condition)
    if value is None:
        return x if x is y else None
    return x if value else y


def known_truth(node: Node) -> Node | None:
    """x & true -> x; x & false -> false; x | false -> x; x | true -> true"""
    decisive = node.op.name == "bitwise_or"
    for x, other in (node.inputs, node.inputs[::-1]) if node.type.dtype is dtypes.bool_ else ():
        value = scalar_value(other)
        if value is not None:
            return other if value == decisive else x
    return None


def compute_before_broadcast(node: Node) -> Node | None:
    """op(broadcast(a), broadcast(b)) -> broadcast(op(a, b)), where both are broadcast alike"""
    first = node.inputs[0] if node.inputs else None
    if first is None or first.op.name != "broadcast":
        return None
    axes, shape = first["axes"], first.inputs[0].type.shape
    for operand in node.inputs:
        if operand.op.name != "broadcast" or operand["axes"] != axes:
            return None
        if operand.inputs[0].type.shape != shape:
            return None
    small = node.op(*(i.inputs[0] for i in node.inputs), at=node.location, **node.attrs)
    return movement.broadcast(small, shape=node.type.shape, axes=axes, at=node.location)


def compute_before_transpose(node: Node) -> Node | None:
    """op(transpose(a), broadcast(b)) -> transpose(op(a, broadcast(b))): the work is done where `a`
    lies, and a contraction reads what is transposed as it is"""
    for turned in node.inputs:
        if turned.op.name == "transpose":
            break
    else:
        return None
    permutation, shape = turned["permutation"], turned.inputs[0].type.shape
    operands = [_before_transpose(x, permutation, shape) for x in node.inputs]
    found = [x for x in operands if x is not None]
    if len(found) < len(operands):
        return None
    before = node.op(*found, at=node.location, **node.attrs)
    return movement.transpose(before, permutation=permutation, at=node.location)


def _before_transpose(x: Node, permutation: Sequence[int], shape: Shape) -> Node | None:
    """The node of this shape whose transpose is x, if it takes no work."""
    if x.op.name == "transpose" and x["permutation"] == permutation:
        return x.inputs[0]
    if x.op.name != "broadcast":
        return None
    axes = tuple(permutation[axis] for axis in x["axes"])
    if list(axes) != sorted(axes):
        return None
    return movement.broadcast(x.inputs[0], shape=shape, axes=axes, at=x.location)


# -- movement ------------------------------------------------------------------------------------


def merge_broadcasts(node: Node) -> Node | None:
    """broadcast(broadcast(x)) -> broadcast(x); a broadcast to the same shape -> x"""
    (x,) = node.inputs
    if x.type.shape == node.type.shape and node["axes"] == tuple(range(x.type.rank)):
        return x
    if x.op.name != "broadcast":
        return None
    axes = tuple(node["axes"][a] for a in x["axes"])
    return movement.broadcast(x.inputs[0], shape=node.type.shape, axes=axes, at=node.location)


def merge_transposes(node: Node) -> Node | None:
    """transpose(transpose(x)) -> transpose(x); the identity permutation -> x"""
    (x,) = node.inputs
    permutation = node["permutation"]
    if permutation == tuple(range(len(permutation))):
        return x
    if x.op.name != "transpose":
        return None
    merged = tuple(x["permutation"][p] for p in permutation)
    return movement.transpose(x.inputs[0], permutation=merged, at=node.location)


def merge_reshapes(node: Node) -> Node | None:
    """reshape(reshape(x)) -> reshape(x); a reshape to the same shape -> x"""
    (x,) = node.inputs
    if x.type.shape == node.type.shape:
        return x
    if x.op.name != "reshape":
        return None
    return movement.reshape(x.inputs[0], shape=node["shape"], at=node.location)


def drop_full_slice(node: Node) -> Node | None:
    """slice(x) -> x where it takes every element"""
    (x,) = node.inputs
    return x if x.type.shape == node.type.shape and set(node["step"]) <= {1} else None


def drop_empty_pad(node: Node) -> Node | None:
    """pad(x) -> x where nothing is added"""
    x = node.inputs[0]
    added = (*node["low"], *node["high"], *node["interior"])
    return x if all(assume_equal(a, 0) for a in added) else None


def undo_flip(node: Node) -> Node | None:
    """flip(flip(x)) -> x over the same axes"""
    (x,) = node.inputs
    return x.inputs[0] if x.op is node.op and x["axes"] == node["axes"] else None


def drop_single_concat(node: Node) -> Node | None:
    """concat(x) -> x"""
    return node.inputs[0] if len(node.inputs) == 1 else None


def undo_parts(node: Node) -> Node | None:
    """interleave(x[..., 0], x[..., 1]) -> x, and what is computed of both parts alike is of x:
    interleave(add(x[..., 0], y[..., 0]), add(x[..., 1], y[..., 1])) -> add(x, y)"""
    real, imag = node.inputs
    return _joined(real, imag, {})


_CHEAP = 5
"""Work per element that may be done twice, where the parts are read too."""


def _joined(real: Node, imag: Node, known: dict[tuple[Node, Node], Node | None]) -> Node | None:
    """Pairs of these parts, computed without taking any apart; None where that cannot be."""
    if (real, imag) not in known:
        known[real, imag] = _join(real, imag, known)
    return known[real, imag]


def _join(real: Node, imag: Node, known: dict[tuple[Node, Node], Node | None]) -> Node | None:
    x = _pairs_of(real, 0)
    if x is not None and x is _pairs_of(imag, 1):
        return x
    value = scalar_value(real)
    if real is imag or (value is not None and _is(imag, value)):
        shape = real.type.shape
        axes = tuple(range(len(shape)))
        return movement.broadcast(real, shape=(*shape, 2), axes=axes, at=real.location)
    alike = real.op is imag.op and real.attrs == imag.attrs
    if not (alike and real.op.family is Family.POINTWISE and real.op.cost <= _CHEAP):
        return None
    joined = [_joined(a, b, known) for a, b in zip(real.inputs, imag.inputs)]
    operands = [operand for operand in joined if operand is not None]
    if len(operands) < len(joined):
        return None
    return real.op(*operands, **real.attrs, at=real.location)


def _pairs_of(node: Node, index: int) -> Node | None:
    """The node of pairs whose parts of this index are `node`."""
    part = node.inputs[0] if node.op.name == "reshape" else None
    if part is None or part.op.name != "slice":
        return None
    (x,), shape = part.inputs, node.type.shape
    begin, end = (*[0] * len(shape), index), (*shape, index + 1)
    whole = x.type.shape == (*shape, 2) and set(part["step"]) == {1}
    return x if whole and (part["start"], part["stop"]) == (begin, end) else None


# -- barriers --------------------------------------------------------------------------------------


def wait_for_sources(node: Node) -> Node | None:
    """barrier(x, broadcast(g)) -> barrier(x, g); barrier(x, constant) -> barrier(x)"""
    values, before = node.inputs[: node["count"]], node.inputs[node["count"] :]
    sources = [_source(x) for x in before]
    awaited = dict.fromkeys(x for x in sources if x.op.name != "constant")
    if tuple(awaited) == before:
        return None
    return recomputation.barrier(*values, *awaited, **node.attrs, at=node.location)


def _source(node: Node) -> Node:
    while node.op.name in ("broadcast", "reshape", "transpose"):
        node = node.inputs[0]
    return node


RULES: dict[str, tuple[Rule, ...]] = {
    "barrier": (wait_for_sources,),
    "identity": (drop_copy,),
    "stop_gradient": (drop_copy,),
    "add": (drop_neutral_addend, join_pads),
    "sub": (drop_neutral_subtrahend,),
    "mul": (multiply_by_one,),
    "div": (divide_by_power_of_two,),
    "pow": (write_out_power,),
    "neg": (undo_twice,),
    "bitwise_not": (undo_twice,),
    "bitwise_and": (known_truth,),
    "bitwise_or": (known_truth,),
    "abs": (absolute_of_sign_change,),
    "convert": (drop_cast_to_same,),
    "where": (known_condition,),
    "broadcast": (merge_broadcasts,),
    "transpose": (merge_transposes,),
    "reshape": (merge_reshapes,),
    "slice": (drop_full_slice,),
    "flip": (undo_flip,),
    "pad": (drop_empty_pad,),
    "concat": (drop_single_concat,),
    "interleave": (undo_parts,),
}
