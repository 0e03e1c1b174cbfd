"""callback and check: what happens in the order in which it was written.

Each takes a token first and gives one last; the next effect takes that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from weftc.ir.node import Node
from weftc.ir.opdef import TABLE, Attrs, Failure, Family, HostFunction, OpDef
from weftc.ir.types import TOKEN, TensorType, TokenType, TupleType, ValueType
from weftc.ops import build
from weftc.ops.complex_rules import Pair, Value
from weftc.ops.parts import deinterleave, interleave
from weftrt import dtypes
from weftrt.errors import CheckError, DTypeError, VerifyError

Types: TypeAlias = tuple[ValueType, ...]


def _check_token(name: str, types: Types) -> None:
    if not types or types[0] is not TOKEN:
        raise VerifyError(f"{name}: the first operand is a token")


# ---------------------------------------------------------------------------------------------
# callback(function, types: (dtype, shape) of each result; token, *arrays): what the function makes
# of the arrays, and a token
# ---------------------------------------------------------------------------------------------


def _infer_callback(types: Types, attrs: Attrs) -> TupleType:
    _check_token("callback", types)
    if not all(isinstance(type_, TensorType) for type_ in types[1:]):
        raise VerifyError("callback: what follows the token are tensors")
    results = [TensorType(dtype, shape) for dtype, shape in attrs["types"]]
    return TupleType((*results, TOKEN))


def _reference_callback(arrays: Sequence[Any], attrs: Attrs, type_: TupleType) -> tuple[Any, ...]:
    given = attrs["function"].function(*(np.array(array) for array in arrays[1:]))
    return (*map(np.asarray, given), None)


def _pairs_callback(node: Node, inputs: tuple[Value, ...]) -> list[Value]:
    """A call with arrays as they lie in memory: complex numbers as a last axis of two floats."""
    operands = [interleave(*value) if isinstance(value, Pair) else value for value in inputs]
    types = tuple(
        (dtype.part, (*shape, 2)) if dtype.is_complex else (dtype, shape)
        for dtype, shape in node["types"]
    )
    made = callback(*operands, function=node["function"], types=types)
    found = [build.call("project", made, index=index) for index in range(len(types) + 1)]
    return [
        deinterleave(part) if is_complex else part
        for part, is_complex in zip(found, [*(d.is_complex for d, _ in node["types"]), False])
    ]


def _halved(*arrays: Any) -> list[Any]:
    return [array / 2 for array in arrays]


def _samples_callback() -> list[tuple[Types, Attrs]]:
    function, x = HostFunction(_halved), TensorType(dtypes.float32, (3,))
    y = TensorType(dtypes.float64, ())
    return [
        ((TOKEN, *some), {"function": function, "types": tuple((t.dtype, t.shape) for t in some)})
        for some in ((), (x,), (x, y))
    ]


callback: OpDef = TABLE.add(
    OpDef(
        "callback",
        Family.EFFECT,
        infer=_infer_callback,
        reference=_reference_callback,
        effect=True,
        pairs=_pairs_callback,
        samples=_samples_callback,
    )
)


# ---------------------------------------------------------------------------------------------
# check(message; token, condition): fails unless the condition holds
# ---------------------------------------------------------------------------------------------


def _infer_check(types: Types, attrs: Attrs) -> TokenType:
    _check_token("check", types)
    if types[1:] != (TensorType(dtypes.bool_, ()),):
        raise DTypeError(f"check takes one bool, but was given {', '.join(map(str, types[1:]))}")
    return TOKEN


def _reference_check(arrays: Sequence[Any], attrs: Attrs, type_: TokenType) -> None:
    if not arrays[1]:
        raise CheckError(attrs["message"])


def _fails(node: Node) -> Failure:
    return Failure(CheckError, node["message"])


check = TABLE.add(
    OpDef(
        "check",
        Family.EFFECT,
        infer=_infer_check,
        reference=_reference_check,
        fails=_fails,
        effect=True,
        samples=lambda: [((TOKEN, TensorType(dtypes.bool_, ())), {"message": "x is no number"})],
    )
)
