"""Inputs on which an op is tried, for the registry tests and for those of the compiled op."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from weftc.ir.opdef import ON_TENSORS, Attrs, Family, OpDef
from weftc.ir.sizes import Dim, Shape, Size, static_shape
from weftc.ir.types import TensorType, TupleType, ValueType
from weftc.ops import TABLE
from weftrt import dtypes
from weftrt.dtypes import DType, Kind
from weftrt.errors import DTypeError, ShapeError

Array: TypeAlias = "np.ndarray[Any, Any]"


OPS = [op for op in TABLE.all() if op.name != "input"]
ON_ARRAYS = [op for op in OPS if op.family in ON_TENSORS]
"""Those that kernels compute."""


class Case(NamedTuple):
    """Inputs of one op. The arrays have the types' dtypes and shapes; a tuple is a tuple of arrays,
    a token None."""

    types: tuple[Any, ...]
    attrs: Attrs
    arrays: list[Any]


_FLOAT_EDGES = (0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, np.inf, -np.inf, np.nan, 1e-45, -1e-40, 3e38)


def edges(dtype: DType) -> Array:
    """Values where definitions differ: zeros, infinities, NaN, denormals, ends of the range."""
    if dtype.is_float:
        info = np.finfo(dtype.dtype)
        extremes = (info.tiny, info.smallest_subnormal, info.max, -info.max)
        with np.errstate(under="ignore"):
            return np.array([*_FLOAT_EDGES, *extremes], dtype=dtype.dtype)
    if dtype.kind is Kind.BOOL:
        return np.array([False, True])
    info = np.iinfo(dtype.dtype)
    values = [0, 1, 2, 3, 7, 31, 63, 64, info.max, info.max - 1, info.min]
    if dtype.is_signed:
        values += [-1, -2, -3, -7, info.min + 1]
    return np.array(values, dtype=dtype.dtype)


def draw(dtype: DType, shape: Sequence[int], random: np.random.Generator) -> Array:
    """Random values: mostly ordinary, a tenth of them edges."""
    if dtype.is_complex:
        parts = draw(dtype.part, (*shape, 2), random)
        return parts.view(dtype.dtype)[..., 0]
    if dtype.is_float:
        values = random.standard_normal(shape).astype(dtype.dtype)
    elif dtype.kind is Kind.BOOL:
        values = random.random(shape) < 0.5
    else:
        low = -9 if dtype.is_signed else 0
        values = random.integers(low, 10, shape).astype(dtype.dtype)
    odd = random.random(shape) < 0.1
    return np.asarray(np.where(odd, random.choice(edges(dtype), shape), values))


def draw_value(type_: ValueType, random: np.random.Generator) -> Any:
    """A random value of a type."""
    if isinstance(type_, TupleType):
        return tuple(draw_value(item, random) for item in type_.items)
    if isinstance(type_, TensorType):
        return draw(type_.dtype, static_shape(type_.shape), random)
    return None


def indices(type_: Any, size: int, random: np.random.Generator) -> Array:
    """Random indices into an axis, negative ones too."""
    low = -size if type_.dtype.is_signed else 0
    return random.integers(low, max(size, 1), static_shape(type_.shape)).astype(type_.dtype.dtype)


def _pointwise_types(op: OpDef) -> Iterator[tuple[int, DType]]:
    """Each number of inputs and dtype that the op takes."""
    for count, dtype in product((1, 2, 3), dtypes.REAL):
        try:
            op.infer((TensorType(dtype, ()),) * count, {})
        except (DTypeError, ShapeError):
            continue
        yield count, dtype


def _pointwise_cases(op: OpDef, random: np.random.Generator) -> Iterator[Case]:
    for count, dtype in _pointwise_types(op):
        values = edges(dtype)
        grid = np.meshgrid(*[values if count < 3 else values[::2]] * count)
        flat = [np.ascontiguousarray(g.reshape(-1)) for g in grid]
        yield Case((TensorType(dtype, flat[0].shape),) * count, {}, flat)
        for shape in ((), (0, 3), (2, 3), (67,)):
            type_ = TensorType(dtype, shape)
            yield Case((type_,) * count, {}, [draw(dtype, shape, random) for _ in range(count)])


def _sample_cases(op: OpDef, random: np.random.Generator) -> Iterator[Case]:
    for types, attrs in op.samples() if op.samples else ():
        yield Case(types, attrs, drawn(op, types, attrs, random))


def drawn(
    op: OpDef, types: Sequence[ValueType], attrs: Attrs, random: np.random.Generator
) -> list[Any]:
    """Random inputs that the op takes: indices within their axes, few turns of a loop."""
    arrays = [draw_value(t, random) for t in types]
    if op.name == "fori":
        arrays[:2] = [np.asarray(random.integers(-2, 5)) for _ in range(2)]
    if op.name == "check":
        arrays[1] = np.asarray(True)
    if op.family is Family.INDEXING:
        arrays[1] = indices(types[1], arrays[0].shape[attrs["axis"]], random)
    return conditioned(op, arrays)


SYMMETRIC = frozenset({"cholesky", "eigh"})
"""Ops of symmetric matrices, of which they read one triangle."""
_SOLVED = frozenset({"solve", "triangular_solve", "lstsq"})
_MATRICES = SYMMETRIC | _SOLVED | {"cholesky_gradient", "eig", "lu", "qr", "svd"}


def symmetric(x: Array) -> Array:
    """The mean of matrices and their transposes."""
    return (x + np.swapaxes(x, -1, -2)) / 2


def conditioned(op: OpDef, arrays: list[Any]) -> list[Any]:
    """`arrays`, finite and the first one far from singular, and positive definite, for ops that
    want that of their matrices; a large part of what is drawn is not so."""
    if op.name not in _MATRICES:
        return arrays
    first, *rest = [np.where(np.abs(a) < 9, a, a.dtype.type(0.5)) for a in arrays]
    rows = np.eye(*first.shape[-2:], dtype=first.dtype) * (first.shape[-1] * 9)
    rows *= 1 + np.arange(first.shape[-1], dtype=first.dtype)  # and with spectra that have gaps
    first = (symmetric(first) if op.name in SYMMETRIC else first) + rows
    return [first, *rest]


def op_cases(op: OpDef) -> list[Case]:
    """The inputs on which `op` is tried: the same ones in every run."""
    random = np.random.default_rng(zlib.crc32(op.name.encode()))
    derived = op.family is Family.POINTWISE and op.samples is None
    return list((_pointwise_cases if derived else _sample_cases)(op, random))


def symbolic(case: Case) -> tuple[Case, dict[str, int]]:
    """`case` with a symbol for every size above 1 (one symbol per value), and their values."""
    sizes: dict[str, int] = {}

    def named(shape: Sequence[Size]) -> Shape:
        result: list[Size] = []
        for size in static_shape(tuple(shape)):
            sizes.update({f"s{size}": size} if size > 1 else {})
            result.append(Dim.symbol(f"s{size}") if size > 1 else size)
        return tuple(result)

    types = tuple(t.with_shape(named(t.shape)) for t in case.types)
    shapes = {name: named(value) for name, value in case.attrs.items() if name == "shape"}
    return Case(types, {**case.attrs, **shapes}, case.arrays), sizes
