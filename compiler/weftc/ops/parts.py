"""Complex numbers and their parts: complex, real, imag, and interleave, which puts the parts of an
array side by side in memory.

No kernel knows of complex numbers: `weftc.transforms.pairs` replaces them by their parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from weftc.ir.index_linear import Space
from weftc.ir.index_map import Guard, IndexMap
from weftc.ir.node import Node
from weftc.ir.opdef import TABLE, Attrs, Family, Mapper, OpDef
from weftc.ir.sizes import Shape
from weftc.ir.types import TensorType
from weftc.ops import build, check
from weftc.ops.complex_rules import Pair, Value
from weftrt import dtypes

Array: TypeAlias = "np.ndarray[Any, Any]"
Arrays: TypeAlias = "Sequence[np.ndarray[Any, Any]]"
Types: TypeAlias = tuple[TensorType, ...]

# ---------------------------------------------------------------------------------------------
# complex(; real, imag)
# ---------------------------------------------------------------------------------------------


def _infer_complex(types: Types, attrs: Attrs) -> TensorType:
    check.arity("complex", types, 2)
    check.same_dtype("complex", types)
    check.kind("complex", types[0], check.FLOATS)
    check.same_shape("complex", types)
    return types[0].with_dtype(dtypes.complex_of(types[0].dtype))


def _reference_complex(arrays: Arrays, attrs: Attrs, type_: TensorType) -> Array:
    result = np.empty(arrays[0].shape, type_.dtype.dtype)
    result.real, result.imag = arrays
    return result


def _samples_complex() -> list[tuple[Types, Attrs]]:
    return [((TensorType(d, (2, 3)),) * 2, {}) for d in (dtypes.float32, dtypes.float64)]


complex_ = TABLE.add(
    OpDef(
        "complex",
        Family.PARTS,
        infer=_infer_complex,
        reference=_reference_complex,
        pairs=lambda node, inputs: Pair(*inputs),  # type: ignore[arg-type]
        samples=_samples_complex,
    )
)


# ---------------------------------------------------------------------------------------------
# real(; z), imag(; z)
# ---------------------------------------------------------------------------------------------


def _part(name: str) -> OpDef:
    def infer(types: Types, attrs: Attrs) -> TensorType:
        check.arity(name, types, 1)
        check.kind(name, types[0], check.COMPLEX)
        return types[0].with_dtype(types[0].dtype.part)

    def reference(arrays: Arrays, attrs: Attrs, type_: TensorType) -> Array:
        return np.array(getattr(arrays[0], name))

    def pairs(node: Node, inputs: tuple[Value, ...]) -> Value:
        part: Node = getattr(inputs[0], name)
        return part

    return TABLE.add(
        OpDef(
            name,
            Family.PARTS,
            infer=infer,
            reference=reference,
            pairs=pairs,
            samples=lambda: [((TensorType(dtype, (2, 3)),), {}) for dtype in dtypes.COMPLEX],
        )
    )


real = _part("real")
imag = _part("imag")


# ---------------------------------------------------------------------------------------------
# interleave(; real, imag): a last axis of two
# ---------------------------------------------------------------------------------------------


def _infer_interleave(types: Types, attrs: Attrs) -> TensorType:
    check.arity("interleave", types, 2)
    check.same_dtype("interleave", types)
    check.same_shape("interleave", types)
    return types[0].with_shape((*types[0].shape, 2))


def _reference_interleave(arrays: Arrays, attrs: Attrs, type_: TensorType) -> Array:
    return np.stack(arrays, axis=-1)


def _view_interleave(
    shape: Shape, operands: tuple[Shape, ...], attrs: Attrs
) -> tuple[IndexMap, ...]:
    *axes, part = Space(shape).index
    guards = Guard(part, 1), Guard(part.shifted(-1), 1)
    real, imag = (IndexMap.made(shape, operands[0], axes, [guard]) for guard in guards)
    return real, imag


def _vjp_interleave(node: Node, g: Node) -> tuple[Node | None, ...]:
    return tuple(deinterleave(g))


def _batch_interleave(
    node: Node, inputs: tuple[Node, ...], batched: tuple[bool, ...], mapper: Mapper
) -> Node:
    whole = [x if has else mapper.expanded(x) for x, has in zip(inputs, batched, strict=True)]
    return node.op(*whole)


interleave = TABLE.add(
    OpDef(
        "interleave",
        Family.MOVEMENT,
        infer=_infer_interleave,
        reference=_reference_interleave,
        view=_view_interleave,
        vjp=_vjp_interleave,
        batch=_batch_interleave,
        exact=True,
        samples=lambda: [
            ((TensorType(dtypes.float64, shape),) * 2, {}) for shape in ((), (3,), (2, 3), (0, 3))
        ],
    )
)


def deinterleave(node: Node) -> Pair:
    """The parts of what `interleave` gives."""
    last = node.type.rank - 1
    return Pair(build.at(node, {last: 0}), build.at(node, {last: 1}))
