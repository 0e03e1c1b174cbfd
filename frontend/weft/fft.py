"""Fourier transforms: the functions of the Array API's `fft` extension.

float32 and complex64 are transformed in float32, float64 and complex128 in float64; integers count
as float32. Where `n` is not the size of an axis, what is too much is cut off, and what is missing
is zeros, at the end. ShapeError for a length below 1.

`norm` says what is divided by the length: "backward" the inverse transforms, "forward" the others,
"ortho" both, by its square root.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from weft import diagnostics
from weft.boundary import public
from weft.names import listed, missing
from weft.ops import core, creation, elementwise, movement
from weft.ops.core import operation
from weft.promotion import as_float, as_strong, convert, dtype_of
from weft.symbolic import known
from weft.tracing import Tracer, apply, lift
from weftc.ir.constraints import AtLeast, AtMost, assume, assume_equal
from weftc.ir.size_functions import floor_div
from weftc.ir.sizes import Size, product
from weftc.ops.check import describe
from weftc.ops.fourier import half
from weftrt import dtypes
from weftrt.dtypes import DType
from weftrt.errors import DTypeError, ShapeError, UsageError
from weftrt.sizes import MAXIMUM_RANK

__all__ = [
    "fft",
    "fft2",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifft2",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfft2",
    "irfftn",
    "rfft",
    "rfft2",
    "rfftfreq",
    "rfftn",
]


# ---------------------------------------------------------------------------------------------
# Along one axis
# ---------------------------------------------------------------------------------------------


@operation("n", "axis", "norm")
def fft(x: Any, /, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Tracer:
    """The Fourier transform along an axis: sums over j of x[j] exp(-2 pi i j k / n)."""
    value, place, length = _row("fft", x, n, axis)
    return _complex(_spectrum("fft", value, [place], [length], norm, inverse=False))


@operation("n", "axis", "norm")
def ifft(x: Any, /, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Tracer:
    """The inverse of fft."""
    value, place, length = _row("ifft", x, n, axis)
    return _complex(_spectrum("ifft", value, [place], [length], norm, inverse=True))


@operation("n", "axis", "norm")
def rfft(x: Any, /, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Tracer:
    """The first n // 2 + 1 elements of the fft of a real array: the others are the conjugates of
    these. DTypeError for complex numbers."""
    value, place, length = _row("rfft", _real("rfft", x), n, axis)
    return _complex(_half_transformed("rfft", value, [place], [length], norm))


@operation("n", "axis", "norm")
def irfft(x: Any, /, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Tracer:
    """The inverse of rfft: a real array of length n, which is 2 (m - 1) for m elements unless
    given. The imaginary parts of element 0, and n / 2 of an even length, are not looked at."""
    value, place, length = _row("irfft", x, n, axis, halved=True)
    return _whole_transformed("irfft", _pairs(value), [place], [length], norm, inverse=True)


@operation("n", "axis", "norm")
def hfft(x: Any, /, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Tracer:
    """The fft, which is real, of an array of length n that is its own conjugate when reversed, by
    its first n // 2 + 1 elements; n is as for irfft."""
    value, place, length = _row("hfft", x, n, axis, halved=True)
    pairs = _conjugated(_pairs(value))
    return _whole_transformed("hfft", pairs, [place], [length], norm, inverse=False)


@operation("n", "axis", "norm")
def ihfft(x: Any, /, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Tracer:
    """The inverse of hfft: the first n // 2 + 1 elements of the ifft of a real array."""
    value, place, length = _row("ihfft", _real("ihfft", x), n, axis)
    pairs = _half_transformed("ihfft", value, [place], [length], norm, inverse=True)
    return _complex(_conjugated(pairs))


# ---------------------------------------------------------------------------------------------
# Along several axes
# ---------------------------------------------------------------------------------------------

Axes = Sequence[int] | None


@operation("s", "axes", "norm")
def fftn(x: Any, /, s: Axes = None, axes: Axes = None, norm: str | None = "backward") -> Tracer:
    """The fft along several axes, all by default, of lengths `s`: -1 is the size of the axis. With
    `s` and no axes, the last ones."""
    value, places, lengths = _rows("fftn", x, s, axes)
    return _complex(_spectrum("fftn", value, places, lengths, norm, inverse=False))


@operation("s", "axes", "norm")
def ifftn(x: Any, /, s: Axes = None, axes: Axes = None, norm: str | None = "backward") -> Tracer:
    """The inverse of fftn."""
    value, places, lengths = _rows("ifftn", x, s, axes)
    return _complex(_spectrum("ifftn", value, places, lengths, norm, inverse=True))


@operation("s", "axes", "norm")
def rfftn(x: Any, /, s: Axes = None, axes: Axes = None, norm: str | None = "backward") -> Tracer:
    """The rfft along the last of the axes, then the fft along the others; see fftn."""
    value, places, lengths = _rows("rfftn", _real("rfftn", x), s, axes, least=1)
    return _complex(_half_transformed("rfftn", value, places, lengths, norm))


@operation("s", "axes", "norm")
def irfftn(x: Any, /, s: Axes = None, axes: Axes = None, norm: str | None = "backward") -> Tracer:
    """The inverse of rfftn; the last length is as for irfft."""
    value, places, lengths = _rows("irfftn", x, s, axes, least=1, halved=True)
    return _whole_transformed("irfftn", _pairs(value), places, lengths, norm, inverse=True)


@operation("s", "axes", "norm")
def fft2(x: Any, /, s: Axes = None, axes: Axes = (-2, -1), norm: str | None = "backward") -> Tracer:
    """fftn of the last two axes."""
    value, places, lengths = _rows("fft2", x, s, axes)
    return _complex(_spectrum("fft2", value, places, lengths, norm, inverse=False))


@operation("s", "axes", "norm")
def ifft2(
    x: Any, /, s: Axes = None, axes: Axes = (-2, -1), norm: str | None = "backward"
) -> Tracer:
    """ifftn of the last two axes."""
    value, places, lengths = _rows("ifft2", x, s, axes)
    return _complex(_spectrum("ifft2", value, places, lengths, norm, inverse=True))


@operation("s", "axes", "norm")
def rfft2(
    x: Any, /, s: Axes = None, axes: Axes = (-2, -1), norm: str | None = "backward"
) -> Tracer:
    """rfftn of the last two axes."""
    value, places, lengths = _rows("rfft2", _real("rfft2", x), s, axes, least=1)
    return _complex(_half_transformed("rfft2", value, places, lengths, norm))


@operation("s", "axes", "norm")
def irfft2(
    x: Any, /, s: Axes = None, axes: Axes = (-2, -1), norm: str | None = "backward"
) -> Tracer:
    """irfftn of the last two axes."""
    value, places, lengths = _rows("irfft2", x, s, axes, least=1, halved=True)
    return _whole_transformed("irfft2", _pairs(value), places, lengths, norm, inverse=True)


# ---------------------------------------------------------------------------------------------
# What is asked for
# ---------------------------------------------------------------------------------------------


def _real(name: str, x: Any) -> Tracer:
    """`x`, which must not be complex."""
    value = lift(x)
    if value.dtype.is_complex:
        given = describe(value.type)
        problem = f"{name} takes real numbers, but was given {given}; take wf.real(z) first"
        raise diagnostics.located(DTypeError, problem)
    return value


def _operand(name: str, x: Any) -> Tracer:
    """What is transformed, in a float or complex dtype."""
    value = as_float(lift(x))
    if value.ndim == MAXIMUM_RANK:
        problem = f"it takes at most {MAXIMUM_RANK - 1} axes: complex numbers need one of their own"
        diagnostics.fail(ShapeError, name, [value], problem)
    return value


def _row(name: str, x: Any, n: Any, axis: Any, halved: bool = False) -> tuple[Tracer, int, Size]:
    """The array, the axis from the front, and the length."""
    value = _operand(name, x)
    place = core.axis_of(name, value, axis)
    return value, place, _length(name, n, _default(value, place, halved))


def _default(x: Tracer, axis: int, halved: bool) -> Size:
    """The length along an axis, of half a spectrum if `halved`."""
    size = x.type.shape[axis]
    return (size - 1) * 2 if halved else size


def _length(name: str, n: Any, size: Size) -> Size:
    """A length that is asked for, or else `size`, if it is at least 1."""
    (length,) = (size,) if n is None else core.shape_of(name, (n,))
    if not assume(AtLeast(length, 1)):
        problem = f"{name}: there is no transform of length {length}"
        raise diagnostics.located(ShapeError, problem)
    return length


def _rows(
    name: str, x: Any, s: Any, axes: Any, least: int = 0, halved: bool = False
) -> tuple[Tracer, list[int], list[Size]]:
    """The array, the axes from the front, and the lengths along them."""
    value = _operand(name, x)
    lengths = None if s is None else core.items_of(name, "s, the lengths,", s)
    if axes is None:
        axes = range(value.ndim) if lengths is None else range(-len(lengths), 0)
    places = [core.axis_of(name, value, axis) for axis in core.items_of(name, "axes", axes)]
    if lengths is not None and len(lengths) != len(places):
        problem = f"{len(lengths)} lengths do not go with {len(places)} axes"
        diagnostics.fail(ShapeError, name, [value], problem)
    if len(places) < least:
        diagnostics.fail(ShapeError, name, [value], "it takes one axis at least")
    if lengths is None:
        lengths = (-1,) * len(places)
        if halved:
            lengths = (*lengths[:-1], _default(value, places[-1], halved))
    sizes = (value.type.shape[place] for place in places)
    given = (None if length == -1 else length for length in lengths)
    return value, places, [_length(name, n, size) for n, size in zip(given, sizes)]


# ---------------------------------------------------------------------------------------------
# What is done: complex numbers are pairs of floats, in a last axis
# ---------------------------------------------------------------------------------------------


def _pairs(x: Tracer) -> Tracer:
    """Complex numbers, or real ones, as pairs."""
    if x.dtype.is_complex:
        return apply("interleave", apply("real", x), apply("imag", x))
    return apply("interleave", x, elementwise.like(0.0, x))


def _parts(pairs: Tracer) -> tuple[Tracer, Tracer]:
    """The real and the imaginary parts of pairs."""
    shape = pairs.type.shape[:-1]
    parts = (movement.part(pairs, pairs.ndim - 1, index, index + 1) for index in (0, 1))
    first, second = (apply("reshape", part, shape=shape) for part in parts)
    return first, second


def _complex(pairs: Tracer) -> Tracer:
    return apply("complex", *_parts(pairs))


def _conjugated(pairs: Tracer) -> Tracer:
    real, imag = _parts(pairs)
    return apply("interleave", real, apply("neg", imag))


def _transformed(
    name: str, pairs: Tracer, axes: list[int], scale: Scale, lengths: list[Size], inverse: bool
) -> Tracer:
    """Pairs transformed along axes, the last one first, and then scaled."""
    for number in reversed(range(len(axes))):
        resized = _resized(pairs, axes[number], lengths[number])
        own = () if number else scale
        pairs = apply("fft", resized, *own, axis=axes[number], inverse=inverse, name=name)
    return pairs


def _spectrum(
    name: str, x: Tracer, axes: list[int], lengths: list[Size], norm: Any, inverse: bool
) -> Tracer:
    """The pairs of complex or real numbers transformed along axes."""
    scale = _scale(name, x, product(lengths), norm, inverse)
    return _transformed(name, _pairs(x), axes, scale, lengths, inverse)


def _half_transformed(
    name: str, x: Tracer, axes: list[int], lengths: list[Size], norm: Any, inverse: bool = False
) -> Tracer:
    """A real array as the pairs of half its spectrum along the last of axes, transformed along the
    others."""
    *others, last = axes
    scale = _scale(name, x, product(lengths), norm, inverse)
    own = () if others else scale
    pairs = apply("rfft", _resized(x, last, lengths[-1]), *own, axis=last, name=name)
    return _transformed(name, pairs, others, scale, lengths, inverse=False)


def _whole_transformed(
    name: str, pairs: Tracer, axes: list[int], lengths: list[Size], norm: Any, inverse: bool
) -> Tracer:
    """The real array of the pairs of half a spectrum."""
    *others, last = axes
    scale = _scale(name, pairs, product(lengths), norm, inverse)
    for axis, length in zip(others, lengths):
        pairs = apply("fft", _resized(pairs, axis, length), axis=axis, inverse=True, name=name)
    resized = _resized(pairs, last, half(lengths[-1]))
    return apply("irfft", resized, *scale, axis=last, n=lengths[-1], name=name)


def _resized(x: Tracer, axis: int, size: Size) -> Tracer:
    """x with so many elements along an axis: cut off, or with zeros, at the end."""
    own = x.type.shape[axis]
    if assume_equal(own, size):
        return x
    if assume(AtMost(size, own)):
        return movement.part(x, axis, 0, size)
    none = (0,) * x.ndim
    high = (*none[:axis], size - own, *none[axis + 1 :])
    zero = convert(lift(0.0), x.dtype)
    return apply("pad", x, zero, low=none, high=high, interior=none)


_NORMS = ("backward", "ortho", "forward")


Scale: TypeAlias = "tuple[Tracer, ...]"


def _scale(name: str, x: Tracer, length: Size, norm: Any, inverse: bool) -> Scale:
    """What a transform is multiplied by, where `norm` asks for it: 1 / length, or the root."""
    norm = "backward" if norm is None else norm
    if norm not in _NORMS:
        problem = f"{name}: norm is 'backward', 'ortho' or 'forward', not {norm!r:.40}"
        raise diagnostics.located(UsageError, problem)
    if norm == ("forward" if inverse else "backward"):
        return ()
    count = convert(apply("size", size=length), x.dtype.part)
    count = apply("sqrt", count) if norm == "ortho" else count
    return (apply("div", elementwise.like(1.0, count), count),)


# ---------------------------------------------------------------------------------------------
# Frequencies, and the order they stand in
# ---------------------------------------------------------------------------------------------


def fftfreq(n: int, /, d: float = 1.0, *, dtype: Any = None, device: Any = None) -> Any:
    """The frequencies of a transform of length n, of samples that are `d` apart, in its order: 0,
    the positive ones, the negative ones. They are computed in float64, and float32 unless `dtype`
    says float64. ShapeError unless n is at least 1."""
    size, chosen = _sampled("fftfreq", n, d, dtype, device)
    return _signed(creation.iota((size,), 0, dtypes.int64), n, d, chosen)


def rfftfreq(n: int, /, d: float = 1.0, *, dtype: Any = None, device: Any = None) -> Any:
    """The frequencies of the transform of a real array of length n, none of which is negative; see
    fftfreq."""
    size, chosen = _sampled("rfftfreq", n, d, dtype, device)
    return _spaced(creation.iota((floor_div(size, 2) + 1,), 0, dtypes.int64), n, d, chosen)


def _sampled(name: str, n: Any, d: Any, dtype: Any, device: Any) -> tuple[Size, DType]:
    """The length and the dtype, after a look at all that is given."""
    chosen = dtypes.DEFAULT_FLOAT if dtype is None else dtype_of(dtype)
    if not chosen.is_float:
        problem = f"{name}: frequencies are float32 or float64, not {chosen.name}"
        raise diagnostics.located(DTypeError, problem)
    if device not in (None, "cpu"):
        raise diagnostics.located(UsageError, f"{name}: there is no device {device!r:.40}")
    if isinstance(d, (int, float)) and d == 0:
        raise diagnostics.located(UsageError, f"{name}: d, the distance of samples, is 0")
    (size,) = core.shape_of(name, (n,))
    if not assume(AtLeast(size, 1)):
        problem = f"{name}: there is no transform of length {known(n)}"
        raise diagnostics.located(ShapeError, problem)
    return size, chosen


@operation("dtype")
def _signed(places: Any, n: Any, d: Any, /, dtype: DType) -> Any:
    """Frequencies of which the upper half is negative."""
    middle = elementwise.floor_divide(elementwise.add(n, 1), 2)
    negative = elementwise.subtract(places, n)
    places = elementwise.where(elementwise.less(places, middle), places, negative)
    return _spaced(places, n, d, dtype)


@operation("dtype")
def _spaced(places: Any, n: Any, d: Any, /, dtype: DType) -> Any:
    """places / (n d), in float64, as `dtype`."""
    length = convert(lift(n), dtypes.float64)
    step = elementwise.divide(1.0, elementwise.multiply(length, d))
    return convert(elementwise.multiply(convert(lift(places), dtypes.float64), step), dtype)


@operation("axes")
def fftshift(x: Any, /, axes: Any = None) -> Tracer:
    """A spectrum, along `axes` (all by default), in ascending order of frequencies: frequency 0
    comes to the place n // 2."""
    return _turned("fftshift", x, axes, lambda n: n - floor_div(n, 2))


@operation("axes")
def ifftshift(x: Any, /, axes: Any = None) -> Tracer:
    """The inverse of fftshift: frequency 0 comes from the place n // 2 to the first."""
    return _turned("ifftshift", x, axes, lambda n: floor_div(n, 2))


def _turned(name: str, x: Any, axes: Any, first: Callable[[Size], Size]) -> Tracer:
    """x, along axes, from the place `first`(n) on, then what is before it."""
    value = as_strong(lift(x))
    for axis in core.axes_of(name, value, axes):
        shape = value.type.shape
        cut = first(shape[axis])
        value = movement.concat(
            [movement.part(value, axis, cut, shape[axis]), movement.part(value, axis, 0, cut)],
            axis=axis,
        )
    return apply("identity", value) if value.node is lift(x).node else value


if not TYPE_CHECKING:
    __getattr__ = public(missing("fft", __all__))
    __dir__ = listed(__all__)
