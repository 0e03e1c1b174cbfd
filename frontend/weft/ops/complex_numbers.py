"""Complex numbers: made of parts, and taken apart."""

from __future__ import annotations

from typing import Any

from weft.ops import core
from weft.ops.core import operation
from weft.ops.elementwise import floats, like
from weft.promotion import as_strong
from weft.tracing import Tracer, apply, lift


@operation()
def complex(real: Any, imag: Any, /) -> Tracer:
    """real + i imag, of two float32 arrays a complex64, of float64 a complex128; integers count as
    float32. Complex numbers are no parts (DTypeError)."""
    left, right = core.matched("complex", *floats("complex", lift(real), lift(imag)))
    return apply("complex", left, right)


@operation()
def real(z: Any, /) -> Tracer:
    """The real parts; of real numbers, these themselves."""
    value = as_strong(lift(z))
    return apply("real" if value.dtype.is_complex else "identity", value)


@operation()
def imag(z: Any, /) -> Tracer:
    """The imaginary parts; of real numbers, zeros."""
    value = as_strong(lift(z))
    return apply("imag", value) if value.dtype.is_complex else like(0, value)


@operation()
def conj(z: Any, /) -> Tracer:
    """The complex conjugates, real - i imag; of real numbers, these themselves."""
    value = as_strong(lift(z))
    return conjugated(value) if value.dtype.is_complex else apply("identity", value)


def conjugated(x: Tracer) -> Tracer:
    """The conjugates of complex numbers; what is real is itself."""
    if not x.dtype.is_complex:
        return x
    return apply("complex", apply("real", x), apply("neg", apply("imag", x)))


@operation()
def angle(z: Any, /) -> Tracer:
    """The angle of z in the plane, in [-pi, pi]: atan2(imag, real)."""
    value = as_strong(lift(z))
    if value.dtype.is_complex:
        return apply("atan2", apply("imag", value), apply("real", value), name="angle")
    (number,) = floats("angle", value)
    return apply("atan2", like(0.0, number), number, name="angle")
