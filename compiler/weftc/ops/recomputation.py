"""barrier: values that are known no sooner than others are.

%1 = exp(%x)
%2 = barrier(%x, %g) {count=1}      ->  what is computed from %2 is computed once more, when it is
%3 = exp(%2)                            needed: no sooner than %g is known

Equal computations become one node, but a barrier is not what it is over. Fusion takes it out
(weftc.fusion.barriers) once it has settled which kernels there are, and in which order.
"""

from __future__ import annotations

from typing import Any

from weftc.ir.node import Node
from weftc.ir.opdef import TABLE, Attrs, Family, Mapper, OpDef
from weftc.ir.types import TensorType, TupleType
from weftc.ops.control import SCALAR, VECTOR, Arrays, Samples, Types
from weftc.transforms.jvp import Tangents
from weftrt.errors import VerifyError

# ---------------------------------------------------------------------------------------------
# barrier(count; *values, *before): the first `count` operands, once the others are known too
# ---------------------------------------------------------------------------------------------


def _infer_barrier(types: Types, attrs: Attrs) -> TupleType:
    count = attrs["count"]
    if not 0 < count <= len(types) or not all(isinstance(type_, TensorType) for type_ in types):
        raise VerifyError(f"barrier: {len(types)} operands are no {count} arrays and others")
    return TupleType(types[:count])


def _reference_barrier(arrays: Arrays, attrs: Attrs, type_: TupleType) -> tuple[Any, ...]:
    return tuple(arrays[: attrs["count"]])


def _vjp_barrier(node: Node, *cotangents: Node | None) -> tuple[Node | None, ...]:
    return (*cotangents, *[None] * (len(node.inputs) - node["count"]))


def _jvp_barrier(node: Node, *tangents: Node | None) -> tuple[Node, Tangents]:
    return node, tangents[: node["count"]]


def _batch_barrier(
    node: Node, inputs: tuple[Node, ...], batched: tuple[bool, ...], mapper: Mapper
) -> Node:
    return barrier(*inputs, **node.attrs)


def _samples_barrier() -> Samples:
    types: Types = (VECTOR, SCALAR, VECTOR)
    return [(types, {"count": count}) for count in (1, 2, 3)]


barrier = TABLE.add(
    OpDef(
        "barrier",
        Family.CONTROL,
        infer=_infer_barrier,
        reference=_reference_barrier,
        vjp=_vjp_barrier,
        jvp=_jvp_barrier,
        batch=_batch_barrier,
        samples=_samples_barrier,
    )
)
