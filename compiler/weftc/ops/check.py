"""What the type rules of all families share: descriptions, dtype and shape checks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from weftc.ir.constraints import AtLeast, assume, assume_equal
from weftc.ir.sizes import Shape, Size
from weftc.ir.types import TensorType
from weftrt.dtypes import Kind
from weftrt.errors import DTypeError, ShapeError

FLOATS = frozenset({Kind.FLOAT})
INTEGERS = frozenset({Kind.SIGNED, Kind.UNSIGNED})
NUMBERS = FLOATS | INTEGERS
BITS = INTEGERS | {Kind.BOOL}
BOOLS = frozenset({Kind.BOOL})
ANY = NUMBERS | BOOLS
COMPLEX = frozenset({Kind.COMPLEX})

Kinds = frozenset[Kind]

_WORDS: dict[Kinds, str] = {
    FLOATS: "floats",
    INTEGERS: "integers",
    NUMBERS: "integers or floats",
    BITS: "bools or integers",
    BOOLS: "bools",
    ANY: "any dtype",
    COMPLEX: "complex numbers",
}


_ORDERED = ("lt", "le", "gt", "ge", "maximum", "minimum", "max", "min", "sort", "argsort", "top_k")


def shape_text(shape: Sequence[Size]) -> str:
    """A shape as the user writes it: (3, n)."""
    inside = ", ".join(map(str, shape))
    return f"({inside},)" if len(shape) == 1 else f"({inside})"


def describe(type_: TensorType) -> str:
    """A type in the user's words: float32[3,4]."""
    return f"{type_.dtype.name}[{','.join(map(str, type_.shape))}]"


def describe_all(types: Sequence[TensorType]) -> str:
    """Several types: "float32[3], float32[4] and bool[3]"."""
    words = [describe(t) for t in types]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def arity(name: str, types: Sequence[TensorType], count: int) -> None:
    """ShapeError unless there are `count` inputs."""
    if len(types) != count:
        raise ShapeError(f"{name} takes {count} arrays, but was given {len(types)}")


def kind(name: str, type_: TensorType, kinds: Kinds) -> None:
    """DTypeError unless the dtype is of one of `kinds`."""
    if type_.dtype.kind not in kinds:
        hint = ""
        if type_.dtype.kind is Kind.BOOL and kinds & INTEGERS:
            hint = "; convert bools to a number first, or combine them with &, | and ^"
        elif type_.dtype.is_integer and kinds == FLOATS:
            hint = "; convert integers to a float first"
        elif type_.dtype.is_complex:
            hint = "; complex numbers have no order" if name in _ORDERED else ""
            hint = hint or "; take wf.real(z), wf.imag(z) or wf.abs(z) first"
        words = _WORDS[kinds if kinds == COMPLEX else kinds - COMPLEX]
        raise DTypeError(f"{name} takes {words}, but was given {describe(type_)}{hint}")


def same_dtype(name: str, types: Sequence[TensorType]) -> None:
    """DTypeError unless all dtypes are one."""
    dtype = types[0].dtype
    for other in types:
        if other.dtype is not dtype:
            raise DTypeError(f"{name}: {describe_all(types)} do not have the same dtype")


def same_sizes(a: Shape, b: Shape) -> bool:
    """Whether two shapes are equal, by form or by what is assumed."""
    return a == b or (len(a) == len(b) and all(assume_equal(x, y) for x, y in zip(a, b)))


def has_elements(sizes: Sequence[Size]) -> bool:
    """Whether every size is 1 or more, as is then assumed."""
    return all(assume(AtLeast(size, 1)) for size in sizes)


def same_shape(name: str, types: Sequence[TensorType]) -> None:
    """ShapeError unless all shapes are equal."""
    shape = types[0].shape
    for other in types:
        if other.shape is not shape and not same_sizes(shape, other.shape):
            raise ShapeError(f"{name}: {describe_all(types)} do not have the same shape")


def axis(name: str, axis_: int, type_: TensorType) -> None:
    """ShapeError unless 0 <= axis < rank."""
    if not 0 <= axis_ < type_.rank:
        raise ShapeError(f"{name}: {describe(type_)} has no axis {axis_}")


def axes(name: str, axes_: Sequence[int], type_: TensorType) -> None:
    """ShapeError unless `axes_` are axes of the type, ascending and without repeats."""
    for axis_ in axes_:
        axis(name, axis_, type_)
    if any(b <= a for a, b in pairwise(axes_)):
        raise ShapeError(f"{name}: the axes {shape_text(axes_)} are not ascending")
