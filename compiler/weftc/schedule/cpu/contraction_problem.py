"""A contract node as (batch, M, N, K): merged axes, and each operand as strides where it has them.

Movement nodes between a kernel input and the contract are absorbed: a transpose permutes strides, a
broadcast adds zero strides, a slice moves the offset. An operand that has no single stride per
merged axis is `general`: it is packed through its full index.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from weftc.ir.node import Node
from weftc.ir.sizes import Shape, Size, product
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
    chain: list[Node] = []
    while node not in inputs:
        if node.op.name not in _VIEWS:
            return None
        chain.append(node)
        node = node.inputs[0]
    found: View | None = contiguous(node)
    for step in reversed(chain):
        found = None if found is None else _VIEWS[step.op.name](step, found)
    return found


def contiguous(node: Node) -> View:
    """A kernel input as its row-major elements."""
    return View(node, 0, node.type.shape, row_major(node.type.shape))


def row_major(shape: Shape) -> tuple[Size, ...]:
    """The strides of a contiguous array of `shape`."""
    strides: list[Size] = []
    step: Size = 1
    for size in reversed(shape):
        strides.append(step)
        step = step * size
    return tuple(reversed(strides))


def _identity(node: Node, found: View) -> View:
    return found


def _transpose(node: Node, found: View) -> View:
    permutation = node["permutation"]
    strides = tuple(found.strides[axis] for axis in permutation)
    return View(found.source, found.offset, node.type.shape, strides)


def _broadcast(node: Node, found: View) -> View:
    strides: list[Size] = [0] * node.type.rank
    for axis, result in enumerate(node["axes"]):
        if found.shape[axis] != 1:  # of one size with the result's, by form or by what is assumed
            strides[result] = found.strides[axis]
    return View(found.source, found.offset, node.type.shape, tuple(strides))


def _slice(node: Node, found: View) -> View:
    offset = found.offset
    strides: list[Size] = []
    for start, step, stride in zip(node["start"], node["step"], found.strides, strict=True):
        offset = offset + stride * start
        strides.append(stride * step)
    return View(found.source, offset, node.type.shape, tuple(strides))


def _reshape(node: Node, found: View) -> View | None:
    old = [(n, s) for n, s in zip(found.shape, found.strides, strict=True) if n != 1]
    new = [axis for axis, size in enumerate(node.type.shape) if size != 1]
    strides: list[Size] = [0] * node.type.rank
    while old or new:
        group = _group(old, [node.type.shape[axis] for axis in new])
        if group is None:
            return None
        taken, made = group
        stride = merged_stride([n for n, _ in old[:taken]], [s for _, s in old[:taken]])
        if stride is None:
            return None
        for axis in reversed(new[:made]):
            strides[axis] = stride
            stride = stride * node.type.shape[axis]
        old, new = old[taken:], new[made:]
    return View(found.source, found.offset, node.type.shape, tuple(strides))


def _group(old: Sequence[tuple[Size, Size]], new: Sequence[Size]) -> tuple[int, int] | None:
    """The shortest leading runs of old and new axes with as many elements, as (taken, made)."""
    for total in range(2, len(old) + len(new) + 1):
        for taken in range(max(1, total - len(new)), min(total, len(old) + 1)):
            if product([n for n, _ in old[:taken]]) == product(new[: total - taken]):
                return taken, total - taken
    return None


_VIEWS: dict[str, Callable[[Node, View], View | None]] = {
    "identity": _identity,
    "stop_gradient": _identity,
    "transpose": _transpose,
    "broadcast": _broadcast,
    "slice": _slice,
    "reshape": _reshape,
}
