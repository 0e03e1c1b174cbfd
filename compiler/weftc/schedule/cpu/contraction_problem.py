"""A contract node as (batch, M, N, K): merged axes, and each operand as strides where it has them.

Movement nodes between a kernel input and the contract are absorbed: a transpose permutes strides, a
broadcast adds zero strides, a slice moves the offset. An operand that has no single stride per
merged axis is `general`: it is packed through its full index.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from weftc.ir.index_map import IndexMap
from weftc.ir.node import Node
from weftc.ir.opdef import Family
from weftc.ir.sizes import Shape, Size, is_negative, product
from weftrt.dtypes import DType


@dataclass(frozen=True, eq=False)
class View:
    """Element [i0, i1, ...] of a value is `source`'s element number offset + sum of i * stride."""

    source: Node
    offset: Size
    shape: Shape
    strides: tuple[Size, ...]


@dataclass(frozen=True, eq=False)
class Strided:
    """An operand as memory: `batch` has one stride per batch axis."""

    source: Node
    offset: Size
    batch: tuple[Size, ...]
    free: Size
    contracted: Size


@dataclass(frozen=True, eq=False)
class Operand:
    """One side of the contract. `axes` are its (batch, free, contracted) axes; `strided` is None
    when it must be packed through its full index."""

    node: Node
    axes: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
    strided: Strided | None

    def sizes(self, group: int) -> Shape:
        """The sizes of its batch (0), free (1) or contracted (2) axes."""
        return tuple(self.node.type.shape[axis] for axis in self.axes[group])


@dataclass(frozen=True, eq=False)
class Problem:
    """C[batch, m, n] = sum over k of A[batch, m, k] * B[batch, k, n]."""

    node: Node
    dtype: DType
    batch: Shape
    m: Size
    n: Size
    k: Size
    a: Operand
    b: Operand


def analyse(contract: Node, inputs: Collection[Node]) -> Problem:
    """The merged problem of `contract`, whose operands reach back to `inputs`."""
    left, right = contract.inputs
    (batch_a, batch_b), (contracted_a, contracted_b) = contract["batch"], contract["contracted"]
    a = _operand(left, batch_a, contracted_a, inputs)
    b = _operand(right, batch_b, contracted_b, inputs)
    return Problem(
        contract,
        contract.type.dtype,
        a.sizes(0),
        product(a.sizes(1)),
        product(b.sizes(1)),
        product(a.sizes(2)),
        a,
        b,
    )


def batches(operand: Operand) -> Size:
    """How many different matrices the operand holds: 1 where the batch only repeats it."""
    strided = operand.strided
    if strided is not None and all(stride == 0 for stride in strided.batch):
        return 1
    return product(operand.sizes(0))


def _operand(
    node: Node, batch: tuple[int, ...], contracted: tuple[int, ...], inputs: Collection[Node]
) -> Operand:
    free = tuple(x for x in range(node.type.rank) if x not in batch and x not in contracted)
    found = view(node, inputs)
    strided = None if found is None else _strided(found, batch, free, contracted)
    return Operand(node, (tuple(batch), free, tuple(contracted)), strided)


def _strided(
    found: View, batch: Sequence[int], free: Sequence[int], contracted: Sequence[int]
) -> Strided | None:
    outer, inner = _merged(found, free), _merged(found, contracted)
    if outer is None or inner is None:
        return None
    strides = tuple(found.strides[axis] for axis in batch)
    return Strided(found.source, found.offset, strides, outer, inner)


def _merged(found: View, axes: Sequence[int]) -> Size | None:
    """The one stride of `axes` taken as one axis, or None."""
    sizes = [found.shape[axis] for axis in axes]
    return merged_stride(sizes, [found.strides[axis] for axis in axes])


def merged_stride(sizes: Sequence[Size], strides: Sequence[Size]) -> Size | None:
    """The stride of adjacent axes taken as one; 0 for no axes; None where there is none."""
    result: Size | None = None
    expected: Size = 0
    for size, stride in zip(reversed(sizes), reversed(strides)):
        if size == 1:
            continue
        if result is None:
            result = stride
        elif stride != expected:
            return None
        expected = stride * size
    return 0 if result is None else result


# ---------------------------------------------------------------------------------------------
# Views
# ---------------------------------------------------------------------------------------------


def view(node: Node, inputs: Collection[Node]) -> View | None:
    """`node` as strides over the kernel input it comes from, or None."""
    shape, map_ = node.type.shape, IndexMap.identity(node.type.shape)
    while node not in inputs:
        if node.op.family is Family.MOVEMENT and len(node.inputs) == 1:
            map_ = map_.then(node.maps[0])
        elif node.op.name not in ("identity", "stop_gradient"):
            return None
        node = node.inputs[0]
    strides = None if map_.guards else map_.strides
    if strides is None or any(map(is_negative, strides)):
        return None
    return View(node, map_.flat.offset, shape, strides)
