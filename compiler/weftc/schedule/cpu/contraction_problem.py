"""A contract node as (batch, M, N, K): merged axes, and each operand as strides where it has them.

Movement nodes between a kernel input and the contract are absorbed: a transpose permutes strides, a
broadcast adds zero strides, a slice moves the offset. An operand that has no single stride per
merged axis is `general`: it is packed through its full index. So are windows, which padding may
surround: their elements are read again and again, and each task packs only those that it reads.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

from weftc.ir.index_linear import Axis, Part
from weftc.ir.index_map import IndexMap
from weftc.ir.node import Node
from weftc.ir.paths import along, path
from weftc.ir.sizes import Shape, Size, is_negative, product
from weftrt.dtypes import DType


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
    when it must be packed through its full index. `map` says where it reads the array that it
    comes from by movement alone, None where that are several."""

    node: Node
    axes: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
    strided: Strided | None
    map: IndexMap | None

    @property
    def slides(self) -> bool:
        """Whether it is windows, which have their elements many times, or leave some out."""
        return self.strided is None and self.map is not None and _slides(self.map)

    def runs(self, group: int) -> bool:
        """Whether vectors copy it along the last axis of a group."""
        axes = self.axes[group]
        return self.map is not None and bool(axes) and axes[-1] in self.map.runs

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
    map_ = operand.map
    if map_ is not None and _followed(map_).isdisjoint(operand.axes[0]):
        return 1
    return product(operand.sizes(0))


def _followed(map_: IndexMap) -> set[int]:
    """The axes of the reader that a map depends on."""
    pending, found = [*map_.axes, *(guard.linear for guard in map_.guards)], set[int]()
    while pending:
        for atom, _ in pending.pop().terms:
            if isinstance(atom, Axis):
                found.add(atom.number)
            else:
                pending.append(atom.linear)
    return found


def _operand(
    node: Node, batch: tuple[int, ...], contracted: tuple[int, ...], inputs: Collection[Node]
) -> Operand:
    free = tuple(x for x in range(node.type.rank) if x not in batch and x not in contracted)
    axes, way = (tuple(batch), free, tuple(contracted)), list(path(node, inputs))
    if way[-1] not in inputs:
        return Operand(node, axes, None, None)
    map_ = along(way)
    return Operand(node, axes, _strided(way[-1], map_, axes), map_)


def _strided(source: Node, map_: IndexMap, axes: Sequence[Sequence[int]]) -> Strided | None:
    """An operand of such (batch, free, contracted) axes, which reads `source` through a map."""
    strides = map_.strides
    if map_.guards or strides is None or any(map(is_negative, strides)):
        return None
    steps = [tuple(strides[axis] for axis in group) for group in axes]
    sizes = [tuple(map_.shape[axis] for axis in group) for group in axes]
    _, outer, inner = map(merged_stride, sizes, steps)
    if outer is None or inner is None:
        return None
    return Strided(source, map_.flat.offset, steps[0], outer, inner)


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


def _slides(map_: IndexMap) -> bool:
    """Whether axes of the operand are followed by several of the reader that are not its digits."""
    forms = list(map_.axes)
    forms += [atom.linear for form in forms for atom, _ in form.terms if isinstance(atom, Part)]
    for form in forms:
        for (_, step), (atom, inner) in pairwise(form.terms):
            if isinstance(atom, Axis) and step != inner * map_.shape[atom.number]:
                return True
    return False
