"""Reductions over adjacent axes, in the canonical order of docs/architecture.md, section 3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from weftc.ir.node import Node
from weftc.ir.opdef import TABLE, Attrs, Family, Infer, OpDef, Reference, Vjp
from weftc.ir.sizes import product
from weftc.ir.types import TensorType
from weftc.loop.ir import Scalar
from weftc.loop.reductions import reduce_canonically
from weftc.ops import build, check, complex_rules
from weftc.ops.check import BOOLS, NUMBERS, Kinds
from weftc.ops.cumulative import product_of_others
from weftrt import dtypes
from weftrt.errors import ShapeError

Array: TypeAlias = "np.ndarray[Any, Any]"
Arrays: TypeAlias = "Sequence[np.ndarray[Any, Any]]"
Cotangents: TypeAlias = "tuple[Node | None, ...]"

# ---------------------------------------------------------------------------------------------
# Type rule and reference
# ---------------------------------------------------------------------------------------------


def _infer(name: str, kinds: Kinds, has_identity: bool) -> Infer:
    def infer(types: tuple[TensorType, ...], attrs: Attrs) -> TensorType:
        check.arity(name, types, 1)
        operand, axes = types[0], attrs["axes"]
        check.kind(name, operand, kinds | check.COMPLEX if name in _PAIRS else kinds)
        check.axes(name, axes, operand)
        if not axes or axes[-1] - axes[0] != len(axes) - 1:
            raise ShapeError(f"{name}: {check.shape_text(axes)} are not neighbouring axes")
        never_fails = has_identity or attrs.get("or_lowest", False)
        if not never_fails and not check.has_elements([operand.shape[a] for a in axes]):
            raise ShapeError(
                f"{name} of no elements: {check.describe(operand)} over {check.shape_text(axes)}"
            )
        return operand.with_shape(tuple(s for a, s in enumerate(operand.shape) if a not in axes))

    return infer


def _reference(op: Scalar) -> Reference:
    def reference(arrays: Arrays, attrs: Attrs, type_: TensorType) -> Array:
        x, axes = arrays[0], attrs["axes"]
        sizes = x.shape[: axes[0]], x.shape[axes[0] : axes[-1] + 1], x.shape[axes[-1] + 1 :]
        outer, length, inner = (int(np.prod(s, dtype=np.int64)) for s in sizes)
        elements = np.moveaxis(x.reshape(outer, length, inner), 1, 0)
        result = reduce_canonically(op, elements, type_.dtype)
        return result.reshape(sizes[0] + sizes[2])

    return reference


# ---------------------------------------------------------------------------------------------
# Gradients
# ---------------------------------------------------------------------------------------------


def _spread_back(node: Node, reduced: Node) -> Node:
    return build.spread(reduced, node.inputs[0].type.shape, node["axes"])


def _vjp_sum(node: Node, g: Node) -> Cotangents:
    return (_spread_back(node, g),)


def _vjp_prod(node: Node, g: Node) -> Cotangents:
    """The product of the others. Nothing is divided, so that zeros are no case, here and in
    derivatives of this one."""
    x, axes = node.inputs[0], node["axes"]
    shape, first = x.type.shape, axes[0]
    length = product([shape[a] for a in axes])
    rows = build.reshape(x, (*shape[:first], length, *shape[axes[-1] + 1 :]))
    others = build.reshape(product_of_others(rows, first), shape)
    return (build.call("mul", _spread_back(node, g), others),)


def _vjp_extremum(node: Node, g: Node) -> Cotangents:
    """Equal shares to all elements that attain the extremum: where there are NaNs, to those."""
    x, axes = node.inputs[0], node["axes"]
    attained = build.call("eq", x, _spread_back(node, node))
    attained = build.call("bitwise_or", attained, build.call("ne", x, x))
    count = build.call("sum", build.convert(attained, g.type.dtype), axes=axes)
    share = _spread_back(node, build.call("div", g, count))
    return (build.call("where", attained, share, build.like(0.0, x)),)


# ---------------------------------------------------------------------------------------------
# The ops
# ---------------------------------------------------------------------------------------------


def _samples(kinds: Kinds, has_identity: bool) -> list[tuple[tuple[TensorType, ...], Attrs]]:
    cases: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
        ((3, 4), (0,)),
        ((3, 4), (1,)),
        ((2, 3, 2), (0, 1)),
        ((2, 3, 2), (1,)),
        ((5,), (0,)),
        ((0, 3), (1,)),
        ((3, 100), (1,)),
        ((100, 2), (0,)),
        ((5000,), (0,)),
    ]
    if has_identity:
        cases.append(((2, 0), (1,)))
    return [
        ((TensorType(dtype, shape),), {"axes": axes})
        for dtype in dtypes.REAL
        if dtype.kind in kinds
        for shape, axes in cases
    ]


def _define(
    name: str, combine: str, kinds: Kinds, identity: float | None, vjp: Vjp | None
) -> OpDef:
    return TABLE.add(
        OpDef(
            name,
            Family.REDUCTION,
            infer=_infer(name, kinds, identity is not None),
            reference=_reference(Scalar[combine]),
            vjp=vjp,
            jvp=build.along if name == "sum" else None,
            pairs=_PAIRS.get(name),
            identity=identity,
            combine=combine,
            exact=True,
            samples=lambda: _samples(kinds, identity is not None),
        )
    )


_PAIRS: dict[str, complex_rules.Rule] = {"sum": complex_rules.each, "prod": complex_rules.product}
"""The reductions of complex numbers."""

sum = _define("sum", "ADD", NUMBERS, 0.0, _vjp_sum)
prod = _define("prod", "MUL", NUMBERS, 1.0, _vjp_prod)
min = _define("min", "MINIMUM", NUMBERS, None, _vjp_extremum)
max = _define("max", "MAXIMUM", NUMBERS, None, _vjp_extremum)
all = _define("all", "AND", BOOLS, 1.0, None)
any = _define("any", "OR", BOOLS, 0.0, None)
