"""Ops without inputs: program inputs, constants, counters and run-time sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from weftc.ir.node import Node
from weftc.ir.opdef import TABLE, Attrs, Family, OpDef, Puller
from weftc.ir.types import TOKEN, TensorType, TokenType
from weftc.loop.ir import Expr, cast, const
from weftc.ops import check
from weftrt import dtypes
from weftrt.dtypes import DType
from weftrt.errors import DTypeError, VerifyError

Array: TypeAlias = "np.ndarray[Any, Any]"
Arrays: TypeAlias = "Sequence[np.ndarray[Any, Any]]"


# ---------------------------------------------------------------------------------------------
# input(index, name, dtype, shape): without a dtype, a token
# ---------------------------------------------------------------------------------------------


def _infer_input(types: tuple[TensorType, ...], attrs: Attrs) -> TensorType | TokenType:
    check.arity("input", types, 0)
    if attrs["dtype"] is None:
        return TOKEN
    return TensorType(attrs["dtype"], attrs["shape"])


def _reference_input(arrays: Arrays, attrs: Attrs, type_: TensorType) -> Array:
    raise VerifyError(f"the input {attrs['name']!r} is not among the graph's inputs")


input = TABLE.add(  # the op's name shadows the builtin on purpose
    OpDef("input", Family.SOURCE, infer=_infer_input, reference=_reference_input)
)


# ---------------------------------------------------------------------------------------------
# constant(value, dtype): 0-d
# ---------------------------------------------------------------------------------------------


def _fits(value: int, dtype: DType) -> bool:
    bits = dtype.bits - dtype.is_signed
    return (-1 << bits if dtype.is_signed else 0) <= value < 1 << bits


def _infer_constant(types: tuple[TensorType, ...], attrs: Attrs) -> TensorType:
    check.arity("constant", types, 0)
    value, dtype = attrs["value"], attrs["dtype"]
    wanted = bool if dtype is dtypes.bool_ else int if dtype.is_integer else float
    if type(value) is not wanted:
        raise DTypeError(f"a constant of {dtype} is a {wanted.__name__}, not {value!r}")
    if dtype.is_integer and not _fits(int(value), dtype):
        raise DTypeError(f"{value} does not fit {dtype}")
    return TensorType(dtype, ())


def _reference_constant(arrays: Arrays, attrs: Attrs, type_: TensorType) -> Array:
    with np.errstate(over="ignore"):
        return np.asarray(attrs["value"], dtype=type_.dtype.dtype)


def _pull_constant(node: Node, index: tuple[Expr, ...], puller: Puller) -> Expr:
    return const(_reference_constant((), node.attrs, node.type).item(), node["dtype"])


def _samples_constant() -> list[tuple[tuple[TensorType, ...], Attrs]]:
    samples: list[tuple[tuple[TensorType, ...], Attrs]] = [
        ((), {"value": True, "dtype": dtypes.bool_}),
        ((), {"value": 2**64 - 1, "dtype": dtypes.uint64}),
        ((), {"value": -(2**63), "dtype": dtypes.int64}),
    ]
    for value in (-0.0, 0.1, float("inf"), float("nan"), 1e-45):
        samples += [((), {"value": value, "dtype": d}) for d in (dtypes.float32, dtypes.float64)]
    return samples


constant = TABLE.add(
    OpDef(
        "constant",
        Family.SOURCE,
        infer=_infer_constant,
        reference=_reference_constant,
        pull=_pull_constant,
        exact=True,
        samples=_samples_constant,
    )
)


# ---------------------------------------------------------------------------------------------
# iota(shape, axis, dtype): each element is its index along `axis`
# ---------------------------------------------------------------------------------------------


def _infer_iota(types: tuple[TensorType, ...], attrs: Attrs) -> TensorType:
    check.arity("iota", types, 0)
    type_ = TensorType(attrs["dtype"], attrs["shape"])
    check.axis("iota", attrs["axis"], type_)
    check.kind("iota", type_, check.NUMBERS)
    return type_


def _reference_iota(arrays: Arrays, attrs: Attrs, type_: TensorType) -> Array:
    shape, axis = attrs["shape"], attrs["axis"]
    counter = np.arange(shape[axis]).astype(type_.dtype.dtype)
    return np.broadcast_to(counter.reshape([-1] + [1] * (len(shape) - axis - 1)), shape)


def _pull_iota(node: Node, index: tuple[Expr, ...], puller: Puller) -> Expr:
    return cast(index[node["axis"]], node["dtype"])


def _samples_iota() -> list[tuple[tuple[TensorType, ...], Attrs]]:
    cases = [((3,), 0), ((2, 3), 0), ((2, 300), 1), ((0,), 0), ((2, 0, 3), 2)]
    kinds = (dtypes.uint8, dtypes.int64, dtypes.float32)
    return [
        ((), {"shape": shape, "axis": axis, "dtype": dtype})
        for dtype in kinds
        for shape, axis in cases
    ]


iota = TABLE.add(
    OpDef(
        "iota",
        Family.SOURCE,
        infer=_infer_iota,
        reference=_reference_iota,
        pull=_pull_iota,
        exact=True,
        samples=_samples_iota,
    )
)


# ---------------------------------------------------------------------------------------------
# size(size): a run-time size as int64
# ---------------------------------------------------------------------------------------------


def _infer_size(types: tuple[TensorType, ...], attrs: Attrs) -> TensorType:
    check.arity("size", types, 0)
    return TensorType(dtypes.int64, ())


def _reference_size(arrays: Arrays, attrs: Attrs, type_: TensorType) -> Array:
    return np.asarray(attrs["size"], dtype=np.int64)


def _pull_size(node: Node, index: tuple[Expr, ...], puller: Puller) -> Expr:
    return puller.size(node["size"])


size = TABLE.add(
    OpDef(
        "size",
        Family.SOURCE,
        infer=_infer_size,
        reference=_reference_size,
        pull=_pull_size,
        samples=lambda: [((), {"size": 3})],
    )
)
