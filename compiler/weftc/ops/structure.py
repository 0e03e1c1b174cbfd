"""project and token: the parts of a tuple, and the beginning of an order of effects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weftc.ir.opdef import TABLE, Attrs, Family, OpDef
from weftc.ir.types import TOKEN, TensorType, TokenType, TupleType, ValueType
from weftrt import dtypes
from weftrt.errors import VerifyError

# ---------------------------------------------------------------------------------------------
# project(index; x): one result of an op that has several
# ---------------------------------------------------------------------------------------------


def _infer_project(types: tuple[ValueType, ...], attrs: Attrs) -> TensorType | TokenType:
    (x,), index = types, attrs["index"]
    if not isinstance(x, TupleType) or not 0 <= index < len(x.items):
        raise VerifyError(f"project: {x} has no part {index}")
    return x.items[index]


def _reference_project(arrays: Sequence[Any], attrs: Attrs, type_: ValueType) -> Any:
    return arrays[0][attrs["index"]]


def _samples_project() -> list[tuple[tuple[ValueType, ...], Attrs]]:
    parts = TensorType(dtypes.float32, (3,)), TOKEN, TensorType(dtypes.bool_, ())
    return [((TupleType(parts),), {"index": index}) for index in range(len(parts))]


project = TABLE.add(
    OpDef(
        "project",
        Family.STRUCTURE,
        infer=_infer_project,
        reference=_reference_project,
        samples=_samples_project,
    )
)


# ---------------------------------------------------------------------------------------------
# token(): what the first effect of a program follows
# ---------------------------------------------------------------------------------------------


def _infer_token(types: tuple[ValueType, ...], attrs: Attrs) -> TokenType:
    if types:
        raise VerifyError("token takes no inputs")
    return TOKEN


def _reference_token(arrays: Sequence[Any], attrs: Attrs, type_: ValueType) -> None:
    return None


token = TABLE.add(
    OpDef(
        "token",
        Family.STRUCTURE,
        infer=_infer_token,
        reference=_reference_token,
        samples=lambda: [((), {})],
    )
)
