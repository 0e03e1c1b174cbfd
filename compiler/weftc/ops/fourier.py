"""Fourier transforms along an axis, times a number if one is given: pocketfft, once for each row.

Complex numbers are pairs of floats here: a last axis of two, the real and the imaginary part. The
axes before it are counted as those of the complex array. The routines are those of
weftrt.pocketfft; in float64 results have the bits of `numpy.fft`.

Transforms are linear. What transposes them is what the pullback does, in terms of the parts:
fft and ifft, which does not scale, transpose each other. rfft leaves out the half of the spectrum
that follows from the other, so that its transpose and irfft differ by a factor of two but at the
ends, which are their own other halves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from weftc.ir.constraints import assume_equal
from weftc.ir.node import Node
from weftc.ir.opdef import TABLE, Attrs, ExternCall, Failure, Family, Mapper, OpDef
from weftc.ir.size_functions import floor_div
from weftc.ir.sizes import Size, product, static_shape
from weftc.ir.types import TensorType
from weftc.ops import build, check
from weftrt import dtypes
from weftrt.errors import OutOfMemoryError, ShapeError

Array: TypeAlias = "np.ndarray[Any, Any]"
Arrays: TypeAlias = "Sequence[np.ndarray[Any, Any]]"
Types: TypeAlias = tuple[TensorType, ...]

ROW_NANOSECONDS, ELEMENT_NANOSECONDS = 300, 8
"""What a row takes, and each of its elements, about."""


def _operand(name: str, types: Types, attrs: Attrs, pairs: bool) -> TensorType:
    """The type, if it is of floats, or of pairs of them, with such an axis that has elements."""
    check.arity(name, types[:2], len(types) or 1)
    x, *scales = types
    check.kind(name, x, check.FLOATS)
    if any(scale.rank or scale.dtype is not x.dtype for scale in scales):
        raise ShapeError(f"{name} is not scaled by {check.describe_all(scales)}")
    if pairs and not (x.rank and assume_equal(x.shape[-1], 2)):
        raise ShapeError(f"{name} takes pairs, but {check.describe(x)} has no last axis of two")
    check.axis(name, attrs["axis"], x.with_shape(x.shape[:-1]) if pairs else x)
    length = attrs.get("n", x.shape[attrs["axis"]])
    if not check.has_elements((length,)):
        raise ShapeError(f"{name}: there is no transform of length {length}")
    return x


def _resized(x: TensorType, axis: int, size: Size) -> TensorType:
    return x.with_shape((*x.shape[:axis], size, *x.shape[axis + 1 :]))


def half(n: Size) -> Size:
    """How much of the spectrum of a real row of length n does not follow from the rest."""
    return floor_div(n, 2) + 1


def _call(node: Node, transform: str, length: Size) -> ExternCall:
    from weftrt import pocketfft  # most programs call none

    x, axis = node.inputs[0].type, node["axis"]
    shape = x.shape[: x.rank - (transform != "rfft")]
    lead, inner = product(shape[:axis]), product(shape[axis + 1 :])
    sizes = (lead, inner, shape[axis], node.type.shape[axis], length, len(node.inputs) - 1)
    name = pocketfft.routine_name(transform, x.dtype.itemsize)
    return ExternCall(name, sizes, lead * inner * (length * ELEMENT_NANOSECONDS + ROW_NANOSECONDS))


def _run(transform: str, x: Array, axis: int, n: int) -> Array:
    from weftrt import pocketfft

    return pocketfft.run(transform, x, axis, n)


def _complex(x: Array) -> Array:
    """Pairs as complex numbers."""
    return np.ascontiguousarray(x).view(f"c{2 * x.itemsize}")[..., 0]


def _pairs(z: Array) -> Array:
    """Complex numbers as pairs."""
    return np.ascontiguousarray(z).view(f"f{z.itemsize // 2}").reshape(*z.shape, 2)


def _scaled(value: Array, arrays: Arrays) -> Array:
    """A transform times the number that is given, as pocketfft does it in the end."""
    with np.errstate(all="ignore"):
        return value if len(arrays) == 1 else value * arrays[1]


def _by_scale(node: Node, g: Node) -> tuple[Node, ...]:
    """The cotangent of the number, if one is given."""
    if len(node.inputs) == 1:
        return ()
    products = build.call("mul", g, node.op(node.inputs[0], **node.attrs))
    return (build.reduce("sum", products, range(products.type.rank)),)


def _jvp(node: Node, *tangents: Node | None) -> tuple[Node, tuple[Node, ...]]:
    """Transforms of tangents, and by tangents of the number."""
    x, *scale = node.inputs
    by_x, *by_scale = tangents
    parts = [] if by_x is None else [node.op(by_x, *scale, **node.attrs)]
    parts += [node.op(x, t, **node.attrs) for t in by_scale if t is not None]
    return node, (parts[0] if len(parts) == 1 else build.call("add", *parts),)


def _fails(node: Node) -> Failure:
    return Failure(OutOfMemoryError, f"{node.op.name}: there is no memory to work in")


def _batch(node: Node, inputs: tuple[Node, ...], batched: tuple[bool, ...], mapper: Mapper) -> Node:
    """Rows are transformed each by itself, whatever axes there are besides theirs."""
    attrs = {**node.attrs, "axis": node["axis"] + 1}
    x = inputs[0] if batched[0] else mapper.expanded(inputs[0])
    if not any(batched[1:]):
        return node.op(x, *inputs[1:], **attrs)
    whole = node.op(x, **attrs)
    return build.call("mul", whole, build.expand(inputs[1], whole.type.shape, (0,)))


def _weighted(x: Node, axis: int, n: Size, inside: float) -> Node:
    """Half a spectrum of pairs, times a factor but at the ends: those of frequency 0 and, of even
    length, n / 2."""
    shape = (x.type.shape[axis],)
    place = build.call("iota", shape=shape, axis=0, dtype=dtypes.int64)
    length = build.expand(build.call("size", size=n), shape, ())
    first = build.call("eq", place, build.like(0, place))
    last = build.call("eq", build.call("add", place, place), length)
    ends = build.call("bitwise_or", first, last)
    one = build.full(1.0, TensorType(x.type.dtype, shape))
    factors = build.call("where", ends, one, build.like(inside, one))
    return build.call("mul", x, build.expand(factors, x.type.shape, (axis,)))


def _shapes() -> list[tuple[tuple[int, ...], int]]:
    """Shapes and axes: lengths 1, odd, even, and a large prime; rows of each kind."""
    return [
        ((8,), 0),
        ((1,), 0),
        ((7,), 0),
        ((3, 6), 1),
        ((6, 3), 0),
        ((2, 5, 3), 1),
        ((0, 4), 1),
        ((59,), 0),
    ]


_FLOATS = (dtypes.float32, dtypes.float64)


# ---------------------------------------------------------------------------------------------
# fft(axis, inverse; x, scale or none): sums over j of x[j] exp(-2 pi i j k / n), or exp(+...) if
# inverse
# ---------------------------------------------------------------------------------------------


def _infer_fft(types: Types, attrs: Attrs) -> TensorType:
    return _operand("fft", types, attrs, pairs=True)


def _reference_fft(arrays: Arrays, attrs: Attrs, type_: TensorType) -> Array:
    z, axis = _complex(arrays[0]), attrs["axis"]
    found = _run("ifft" if attrs["inverse"] else "fft", z, axis, z.shape[axis])
    return _scaled(_pairs(found), arrays)


def _vjp_fft(node: Node, g: Node) -> tuple[Node | None, ...]:
    back = node.op(g, *node.inputs[1:], axis=node["axis"], inverse=not node["inverse"])
    return (back, *_by_scale(node, g))


def _call_fft(node: Node) -> ExternCall:
    return _call(node, "ifft" if node["inverse"] else "fft", node.type.shape[node["axis"]])


def _samples_fft() -> list[tuple[Types, Attrs]]:
    return [
        ((TensorType(dtype, (*shape, 2)), *scale), {"axis": axis, "inverse": inverse})
        for dtype in _FLOATS
        for scale in ((), (TensorType(dtype, ()),))
        for shape, axis in _shapes()
        for inverse in (False, True)
    ]


fft = TABLE.add(
    OpDef(
        "fft",
        Family.EXTERN,
        infer=_infer_fft,
        reference=_reference_fft,
        vjp=_vjp_fft,
        jvp=_jvp,
        batch=_batch,
        extern=_call_fft,
        fails=_fails,
        cost=ELEMENT_NANOSECONDS,
        samples=_samples_fft,
    )
)


# ---------------------------------------------------------------------------------------------
# rfft(axis; x, scale or none): the first half(n) elements of the fft of a real array, as pairs
# ---------------------------------------------------------------------------------------------


def _infer_rfft(types: Types, attrs: Attrs) -> TensorType:
    x, axis = _operand("rfft", types, attrs, pairs=False), attrs["axis"]
    halved = _resized(x, axis, half(x.shape[axis]))
    return halved.with_shape((*halved.shape, 2))


def _reference_rfft(arrays: Arrays, attrs: Attrs, type_: TensorType) -> Array:
    x, axis = arrays[0], attrs["axis"]
    return _scaled(_pairs(_run("rfft", x, axis, x.shape[axis])), arrays)


def _vjp_rfft(node: Node, g: Node) -> tuple[Node | None, ...]:
    axis = node["axis"]
    n = node.inputs[0].type.shape[axis]
    back = build.call("irfft", _weighted(g, axis, n, 0.5), *node.inputs[1:], axis=axis, n=n)
    return (back, *_by_scale(node, g))


def _call_rfft(node: Node) -> ExternCall:
    return _call(node, "rfft", node.inputs[0].type.shape[node["axis"]])


def _samples_rfft() -> list[tuple[Types, Attrs]]:
    return [
        ((TensorType(dtype, shape), *scale), {"axis": axis})
        for dtype in _FLOATS
        for scale in ((), (TensorType(dtype, ()),))
        for shape, axis in _shapes()
    ]


rfft = TABLE.add(
    OpDef(
        "rfft",
        Family.EXTERN,
        infer=_infer_rfft,
        reference=_reference_rfft,
        vjp=_vjp_rfft,
        jvp=_jvp,
        batch=_batch,
        extern=_call_rfft,
        fails=_fails,
        cost=ELEMENT_NANOSECONDS,
        samples=_samples_rfft,
    )
)


# ---------------------------------------------------------------------------------------------
# irfft(axis, n; x, scale or none): the real array of length n whose spectrum has the first half(n)
# elements x, but for the imaginary parts of those that are real: times n, the inverse of rfft
# ---------------------------------------------------------------------------------------------


def _infer_irfft(types: Types, attrs: Attrs) -> TensorType:
    x, axis, n = _operand("irfft", types, attrs, pairs=True), attrs["axis"], attrs["n"]
    if not assume_equal(x.shape[axis], half(n)):
        raise ShapeError(
            f"irfft: {check.describe(x)} is no half of a spectrum of length {n} along axis {axis}"
        )
    whole = _resized(x, axis, n)
    return whole.with_shape(whole.shape[:-1])


def _reference_irfft(arrays: Arrays, attrs: Attrs, type_: TensorType) -> Array:
    axis = attrs["axis"]
    found = _run("irfft", _complex(arrays[0]), axis, static_shape(type_.shape)[axis])
    return _scaled(found, arrays)


def _vjp_irfft(node: Node, g: Node) -> tuple[Node | None, ...]:
    axis = node["axis"]
    back = _weighted(rfft(g, *node.inputs[1:], axis=axis), axis, node["n"], 2.0)
    return (back, *_by_scale(node, g))


def _samples_irfft() -> list[tuple[Types, Attrs]]:
    return [
        (
            (
                TensorType(dtype, (*shape[:axis], half(shape[axis]), *shape[axis + 1 :], 2)),
                *scale,
            ),
            {"axis": axis, "n": shape[axis]},
        )
        for dtype in _FLOATS
        for scale in ((), (TensorType(dtype, ()),))
        for shape, axis in _shapes()
    ]


irfft = TABLE.add(
    OpDef(
        "irfft",
        Family.EXTERN,
        infer=_infer_irfft,
        reference=_reference_irfft,
        vjp=_vjp_irfft,
        jvp=_jvp,
        batch=_batch,
        extern=lambda node: _call(node, "irfft", node["n"]),
        fails=_fails,
        cost=ELEMENT_NANOSECONDS,
        samples=_samples_irfft,
    )
)
