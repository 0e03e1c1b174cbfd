"""What runs along one axis, element after element (docs/architecture.md, section 3).

cumulate    the sum, product, maximum or minimum of an element and all before it
recurrence  y[k] = a[k] * y[k - 1] + b[k], of which the gradients are made
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import numpy as np

from weftc.ir.node import Node
from weftc.ir.opdef import TABLE, Attrs, Family, OpDef
from weftc.ir.sizes import Shape
from weftc.ir.types import TensorType
from weftc.loop.ir import Const, Expr, LoopType, Scalar, Var, apply
from weftc.loop.reductions import identity
from weftc.loop.scalar import evaluate_expr
from weftc.ops import build, check, complex_rules
from weftrt import dtypes
from weftrt.dtypes import DType

Array: TypeAlias = "np.ndarray[Any, Any]"
Arrays: TypeAlias = "Sequence[np.ndarray[Any, Any]]"
Types: TypeAlias = tuple[TensorType, ...]
Cotangents: TypeAlias = "tuple[Node | None, ...]"

KINDS: Final = {
    "sum": Scalar.ADD,
    "prod": Scalar.MUL,
    "max": Scalar.MAXIMUM,
    "min": Scalar.MINIMUM,
}
"""What `cumulate` combines by, for each `kind`."""

# ---------------------------------------------------------------------------------------------
# One step, for schedules and the reference
# ---------------------------------------------------------------------------------------------


def initial(name: str, attrs: Attrs, dtype: DType) -> Const:
    """What stands before the first element: combined with it, it gives it to the bit."""
    combine = KINDS[attrs["kind"]] if name == "cumulate" else Scalar.ADD
    if combine is Scalar.ADD and dtype.is_float:
        return Const(-0.0, LoopType(dtype))  # +0 would turn -0 into +0
    return identity(combine, dtype)


def step(name: str, attrs: Attrs, before: Expr, elements: Sequence[Expr]) -> Expr:
    """The result at an element, from that before it."""
    if name == "cumulate":
        return apply(KINDS[attrs["kind"]], before, *elements)
    factor, term = elements
    if factor.type.dtype is dtypes.bool_:
        nothing = initial(name, attrs, before.type.dtype)
        return apply(Scalar.ADD, apply(Scalar.SELECT, factor, before, nothing), term)
    return apply(Scalar.ADD, apply(Scalar.MUL, factor, before), term)


def _reference(name: str) -> Callable[[Arrays, Attrs, TensorType], Array]:
    def reference(arrays: Arrays, attrs: Attrs, type_: TensorType) -> Array:
        axis, dtype = attrs["axis"], type_.dtype
        rows = [np.moveaxis(array, axis, 0) for array in arrays]
        if attrs["reverse"]:
            rows = [row[::-1] for row in rows]
        before = Var("before", LoopType(dtype))
        elements = [Var(f"x{k}", LoopType(_dtype(row))) for k, row in enumerate(rows)]
        term = step(name, attrs, before, elements)
        value = np.full(rows[0].shape[1:], initial(name, attrs, dtype).value, dtype.dtype)
        result = np.empty(rows[0].shape, dtype.dtype)
        for place, given in enumerate(zip(*rows, strict=True)):
            value = evaluate_expr(term, {before: value, **dict(zip(elements, given))})
            result[place] = value
        found = result[::-1] if attrs["reverse"] else result
        return np.ascontiguousarray(np.moveaxis(found, 0, axis))

    return reference


def _dtype(array: Array) -> DType:
    found = dtypes.from_numpy(array.dtype)
    assert found is not None
    return found


# ---------------------------------------------------------------------------------------------
# Gradients
# ---------------------------------------------------------------------------------------------


def _shifted(x: Node, axis: int, reverse: bool, first: bool | float) -> Node:
    """`x`, each element in the place of the next one of its axis, and `first` in the first place;
    the order is that of `reverse`."""
    rank = x.type.rank
    one = tuple(int(a == axis) for a in range(rank))
    none = (0,) * rank
    low, high = (none, one) if reverse else (one, none)
    fill = build.constant(first, x.type.dtype)
    padded = build.call("pad", x, fill, low=low, high=high, interior=none)
    stop = padded.type.shape if reverse else x.type.shape
    return build.call("slice", padded, start=high, stop=stop, step=(1,) * rank)


def _recurrence(factors: Node, terms: Node, axis: int, reverse: bool) -> Node:
    return recurrence(factors, terms, axis=axis, reverse=reverse)


def product_of_others(x: Node, axis: int) -> Node:
    """For each element the product of those before it along an axis, times that of those after."""
    before, after = (cumulate(x, axis=axis, kind="prod", reverse=r) for r in (False, True))
    return build.call("mul", _shifted(before, axis, False, 1.0), _shifted(after, axis, True, 1.0))


def _vjp_prod(node: Node, g: Node) -> Node:
    """The product of what comes before an element, times what comes after it in the results that
    it is in: s[k] = g[k] + x[k + 1] * s[k + 1]. Nothing is divided, so that zeros are no case."""
    (x,), axis, reverse = node.inputs, node["axis"], node["reverse"]
    after = _recurrence(_shifted(x, axis, not reverse, 0.0), g, axis, not reverse)
    return build.call("mul", _shifted(node, axis, reverse, 1.0), after)


def _vjp_extremum(node: Node, g: Node) -> Node:
    """Equal shares to all elements so far that attain the extremum; where there are NaNs, to those.
    The results that an element attains stand side by side, so sums over such a run will do."""
    (x,), axis, reverse = node.inputs, node["axis"], node["reverse"]
    before = _shifted(node, axis, reverse, 0.0)
    goes_on = build.call(
        "bitwise_or", build.call("eq", node, before), build.call("ne", before, before)
    )
    attained = build.call("bitwise_or", build.call("eq", x, node), build.call("ne", x, x))
    count = _recurrence(goes_on, build.convert(attained, g.type.dtype), axis, reverse)
    share = build.call("div", g, count)
    went_on = _shifted(goes_on, axis, not reverse, False)
    shares = _recurrence(went_on, share, axis, not reverse)
    return build.call("where", attained, shares, build.like(0.0, x))


def _vjp_cumulate(node: Node, g: Node) -> Cotangents:
    if node["kind"] == "sum":
        return (cumulate(g, axis=node["axis"], kind="sum", reverse=not node["reverse"]),)
    return (_vjp_prod(node, g) if node["kind"] == "prod" else _vjp_extremum(node, g),)


def _vjp_recurrence(node: Node, g: Node) -> Cotangents:
    """The cotangent of y[k] is g[k] + a[k + 1] * that of y[k + 1]."""
    factors, axis, reverse = node.inputs[0], node["axis"], node["reverse"]
    after = _shifted(factors, axis, not reverse, False if _forgets(factors.type) else 0.0)
    by_terms = _recurrence(after, g, axis, not reverse)
    if _forgets(factors.type):
        return None, by_terms
    return build.call("mul", by_terms, _shifted(node, axis, reverse, 0.0)), by_terms


# ---------------------------------------------------------------------------------------------
# The ops
# ---------------------------------------------------------------------------------------------


def _infer_cumulate(types: Types, attrs: Attrs) -> TensorType:
    check.arity("cumulate", types, 1)
    takes_complex = attrs["kind"] in ("sum", "prod")
    check.kind(
        attrs["kind"], types[0], check.NUMBERS | check.COMPLEX if takes_complex else check.NUMBERS
    )
    check.axis("cumulate", attrs["axis"], types[0])
    assert attrs["kind"] in KINDS and isinstance(attrs["reverse"], bool)
    return types[0]


def _infer_recurrence(types: Types, attrs: Attrs) -> TensorType:
    check.arity("recurrence", types, 2)
    factors, terms = types
    check.kind("recurrence", terms, check.NUMBERS)
    check.axis("recurrence", attrs["axis"], terms)
    check.same_shape("recurrence", types)
    if not _forgets(factors):
        check.same_dtype("recurrence", types)
    assert isinstance(attrs["reverse"], bool)
    return terms


def _forgets(factors: TensorType) -> bool:
    """Whether factors are bools: where one is false, what came before does not count."""
    return factors.dtype is dtypes.bool_


_SHAPES: Final[tuple[tuple[Shape, int], ...]] = (
    ((5,), 0),
    ((3, 4), 0),
    ((3, 4), 1),
    ((2, 3, 2), 1),
    ((9, 3), 1),
    ((1, 3), 0),
    ((0, 3), 0),
    ((2, 0), 0),
    ((2, 300), 1),
    ((70, 90), 0),
)


def _samples_cumulate() -> list[tuple[Types, Attrs]]:
    return [
        ((TensorType(dtype, shape),), {"axis": axis, "kind": kind, "reverse": reverse})
        for dtype in dtypes.ALL
        if dtype.kind in check.NUMBERS
        for kind in KINDS
        for number, (shape, axis) in enumerate(_SHAPES)
        for reverse in ((False, True) if dtype.is_float else (bool(number % 2),))
    ]


def _samples_recurrence() -> list[tuple[Types, Attrs]]:
    cases = [(dtypes.float64, dtypes.float64), (dtypes.bool_, dtypes.float64)]
    cases += [(dtypes.float32, dtypes.float32), (dtypes.int64, dtypes.int64)]
    return [
        ((TensorType(factor, shape), TensorType(dtype, shape)), {"axis": axis, "reverse": reverse})
        for factor, dtype in cases
        for shape, axis in _SHAPES
        for reverse in (False, True)
    ]


cumulate = TABLE.add(
    OpDef(
        "cumulate",
        Family.CUMULATIVE,
        infer=_infer_cumulate,
        reference=_reference("cumulate"),
        vjp=_vjp_cumulate,
        pairs=complex_rules.cumulate,
        samples=_samples_cumulate,
    )
)
recurrence = TABLE.add(
    OpDef(
        "recurrence",
        Family.CUMULATIVE,
        infer=_infer_recurrence,
        reference=_reference("recurrence"),
        vjp=_vjp_recurrence,
        cost=2,
        samples=_samples_recurrence,
    )
)
