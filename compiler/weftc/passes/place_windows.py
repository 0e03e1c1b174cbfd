"""Products of windows where and as they are wanted, for packing and stores to follow memory.

    slice(contract(%w, window(%x)))      ->  contract(%w, slice(window(%x)))
    contract(%g, window(%x))             ->  transpose(contract(window(%x), %g)), where neighbours
                                             in memory are summed over
    transpose(contract(%w, window(%x)))  ->  contract(broadcast(%w), window(%x)), axes of the batch
                                             that are to come first
    contract(%w, window(%x))             ->  fma(%w1, %x1, fma(%w0, %x0, 0)) of slices, where there
                                             is one row or column of few taps

Each element of a product is the same chain whichever axes are a batch, and whichever operand comes
first: the values are those of before, to the bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from weftc.ir import location as locations
from weftc.ir.index_linear import Axis
from weftc.ir.index_map import IndexMap
from weftc.ir.node import Graph, Node
from weftc.ir.opdef import Family
from weftc.ir.sizes import Shape, Size, product, static_shape
from weftc.ops import build
from weftc.ops.contraction import sums_column
from weftc.ops.window_products import BATCH, Name, Product, product_of

NO_LINE: Final = -1
_LINE = 6
"""Elements that lie side by side, at least, for vectors to copy them."""
_NEAR = 4
"""Elements that they may be apart."""
_BRIEF = 64
"""Taps, at most, that are written out."""
_TILE = 64
"""Columns that a product computes at once, about."""
_WASTED = 8
"""One column in so many may be of no use where there is a product for each image of a batch."""


def place_windows(graph: Graph) -> Graph:
    """Rewrite every product of windows."""
    if not any(node.op.name == "window" for node in graph.all_nodes()):
        return graph
    for rule in (_cut, _turned, _ordered):
        graph = _rewritten(graph, rule)
    return graph


def _rewritten(graph: Graph, rule: Callable[[Node], Node | None]) -> Graph:
    """`graph` with nodes replaced that read a product which nobody else reads, or are one."""
    readers = Counter(i for node in graph.nodes() for i in node.inputs)
    readers.update(graph.outputs)
    new: dict[Node, Node] = {}
    for node in graph.nodes():
        made = node
        if any(i in new for i in node.inputs):
            made = node.rebuilt(tuple([new.get(i, i) for i in node.inputs]))
        if node.op.holds_graphs:
            made = made.with_graphs(lambda inner: _rewritten(inner, rule))
        if _reads_alone(node, readers):
            with locations.at(node.location):
                made = rule(made) or made
        if made is not node:
            new[node] = made
    return graph.returning([new.get(o, o) for o in graph.outputs])


def _reads_alone(node: Node, readers: Counter[Node]) -> bool:
    while node.op.name in ("slice", "transpose"):
        (node,) = node.inputs
        if readers[node] > 1:
            return False
    return node.op.name == "contract"


def _of_windows(node: Node) -> Product | None:
    """The product of windows that `node` is, if it is one."""
    found = product_of(node)
    if found is None or sums_column(found.node.attrs):
        return None
    return found if any(_line(x) is not None for x in found.node.inputs) else None


def _line(operand: Node) -> int | None:
    """The axis of windows along which many neighbours lie side by side, or nearly so, NO_LINE where
    there is none; None where `operand` is no windows."""
    map_, node, slides = IndexMap.identity(operand.type.shape), operand, False
    while node.op.family is Family.MOVEMENT and (len(node.inputs) == 1 or node.op.name == "pad"):
        slides = slides or node.op.name == "window"
        map_, node = map_.then(node.maps[0]), node.inputs[0]
    if not slides:
        return None
    steps = [(c, a.number) for a, c in map_.flat.terms if isinstance(a, Axis) and _is_step(c)]
    long = [number for _, number in sorted(steps) if _is_long(operand.type.shape[number])]
    return long[0] if long else NO_LINE


def _is_step(size: Size) -> bool:
    return isinstance(size, int) and 0 < size <= _NEAR


def _is_long(size: Size) -> bool:
    return not isinstance(size, int) or size >= _LINE


def _in_order(made: Node, names: Sequence[Name], wanted: Sequence[Name]) -> Node:
    return build.transpose(made, [names.index(name) for name in wanted])


# -- rules ----------------------------------------------------------------------------------------


def _cut(node: Node) -> Node | None:
    """slice(product) -> product of slices"""
    found = _of_windows(node.inputs[0]) if node.op.name == "slice" else None
    if found is None:
        return None
    bounds = zip(node["start"], node["stop"], node["step"], strict=True)
    parts = [(name, bound) for name, bound in zip(found.names, bounds, strict=True)]
    operands = [_sliced(found, operand, dict(parts)) for operand in (0, 1)]
    made = build.call("contract", *operands, **found.node.attrs)
    return _in_order(made, found.own_names, found.names)


def _sliced(found: Product, operand: int, parts: dict[Name, tuple[Size, Size, int]]) -> Node:
    x = found.node.inputs[operand]
    bounds: list[tuple[Size, Size, int]] = [(0, size, 1) for size in x.type.shape]
    for number, axis in enumerate(found.pairs("batch", operand)):
        bounds[axis] = parts[BATCH, number]
    for name in found.free(operand):
        bounds[name[1]] = parts[name]
    if all(bound == (0, size, 1) for bound, size in zip(bounds, x.type.shape, strict=True)):
        return x
    start, stop, step = zip(*bounds)
    return build.call("slice", x, start=start, stop=stop, step=step)


def _turned(node: Node) -> Node | None:
    """transpose(product), where it is wanted"""
    found = _of_windows(node) if node.op.name == "transpose" else None
    if found is None:
        return None
    return _written(found) if _is_brief(found) else _batched(found)


def _ordered(node: Node) -> Node | None:
    """The operand that has windows first where their line is summed over, else second, with the
    line as the last of its free axes."""
    found = _of_windows(node) if node.op.name == "contract" else None
    if found is None:
        return None
    if _is_brief(found):
        return _written(found)
    operand = 1 if _line(node.inputs[1]) is not None else 0
    line, free = _line(node.inputs[operand]), found.free(operand)
    if line is None or line == NO_LINE:
        return None
    x, other = node.inputs[operand], node.inputs[1 - operand]
    contracted = found.pairs("contracted", operand)
    if line in contracted:
        if operand == 0 or contracted[-1] != line:
            return None
        attrs = {name: pair[::-1] for name, pair in node.attrs.items()}
        made = build.call("contract", x, other, **attrs)
        return _in_order(made, found.batch + found.free(1) + found.free(0), found.own_names)
    if (operand, line) not in free or (operand == 1 and free[-1][1] == line):
        return None
    return _line_last(found, operand, line)


def _line_last(found: Product, operand: int, line: int) -> Node:
    """The windows second, one of their axes moved behind all others."""
    x, other = found.node.inputs[operand], found.node.inputs[1 - operand]
    moved = [axis for axis in range(x.type.rank) if axis != line] + [line]
    place = {axis: number for number, axis in enumerate(moved)}
    pairs = {
        name: (
            found.pairs(name, 1 - operand),
            tuple(place[axis] for axis in found.pairs(name, operand)),
        )
        for name in ("batch", "contracted")
    }
    made = build.call("contract", other, build.transpose(x, moved), **pairs)
    free = sorted(found.free(operand), key=lambda name: place[name[1]])
    return _in_order(made, found.batch + found.free(1 - operand) + free, found.own_names)


def _batched(found: Product) -> Node | None:
    """Free axes of windows that are to come before those of the other operand become a batch."""
    if _line(found.node.inputs[1]) is None:
        return None
    rows, columns = found.free(0), found.free(1)
    count = len(found.names) - len(rows)
    first = next((i for i, name in enumerate(found.names) if name in rows), count)
    lead, rest = found.names[:first], list(found.names[first + len(rows) :])
    kept = [name for name in columns if name not in lead]
    in_order = list(found.names[first:]) == rows + kept and set(found.batch) <= set(lead)
    if not in_order or lead == tuple(found.batch) or not _is_wide(found.node, rest):
        return None
    return _with_batch(found, lead)


def _is_wide(contract: Node, rest: Sequence[Name]) -> bool:
    """Whether these axes alone fill the tiles that columns are cut into, but for a small part."""
    size = product([contract.inputs[1].type.shape[axis] for _, axis in rest])
    if not isinstance(size, int):
        return True
    wasted = -size % _TILE
    return size >= _TILE // 2 and wasted * _WASTED <= size + wasted


def _with_batch(found: Product, lead: Sequence[Name]) -> Node:
    a, b = found.node.inputs
    new = [axis for operand, axis in lead if operand != BATCH]
    shape = (*(b.type.shape[axis] for axis in new), *a.type.shape)
    behind = tuple(range(len(new), len(shape)))
    batch_a, batch_b = found.node["batch"]
    of_a = [behind[batch_a[axis]] if o == BATCH else new.index(axis) for o, axis in lead]
    of_b = [batch_b[axis] if o == BATCH else axis for o, axis in lead]
    contracted_a, contracted_b = found.node["contracted"]
    return build.call(
        "contract",
        build.expand(a, shape, behind),
        b,
        batch=(tuple(of_a), tuple(of_b)),
        contracted=(tuple(behind[axis] for axis in contracted_a), contracted_b),
    )


# -- brief products -------------------------------------------------------------------------------


def _taps(found: Product) -> tuple[Size, ...]:
    x = found.node.inputs[0]
    return tuple(x.type.shape[axis] for axis in found.pairs("contracted", 0))


def _is_brief(found: Product) -> bool:
    """Whether each element of the windows is multiplied once: packing it would take longer."""
    taps, dtype = product(_taps(found)), found.node.type.dtype
    if not isinstance(taps, int) or not 0 < taps <= _BRIEF or dtype.is_complex:
        return False
    other = 1 if _line(found.node.inputs[0]) is not None else 0
    shape = found.node.inputs[other].type.shape
    return product([shape[axis] for _, axis in found.free(other)]) == 1


def _written(found: Product) -> Node:
    """The chain of a product, written out over all of its elements, in the order of `names`."""
    dtype, shape = found.node.type.dtype, _shape(found)
    total = build.full(dtype.dtype.type(0).item(), found.node.type.with_shape(shape))
    for taps in np.ndindex(*static_shape(_taps(found))):
        left, right = (_part(found, operand, taps, shape) for operand in (0, 1))
        if dtype.is_float:
            total = build.call("fma", left, right, total)
        else:
            total = build.call("add", build.call("mul", left, right), total)
    return total


def _shape(found: Product) -> Shape:
    sizes = dict(zip(found.own_names, found.node.type.shape, strict=True))
    return tuple(sizes[name] for name in found.names)


def _part(found: Product, operand: int, taps: Sequence[int], shape: Shape) -> Node:
    """What an operand has at one place of the axes that are summed over, for every element."""
    x = found.node.inputs[operand]
    start, stop = [0] * x.type.rank, list(x.type.shape)
    for axis, tap in zip(found.pairs("contracted", operand), taps, strict=True):
        start[axis], stop[axis] = tap, tap + 1
    part = build.call("slice", x, start=tuple(start), stop=tuple(stop), step=(1,) * x.type.rank)
    pairs = enumerate(found.pairs("batch", operand))
    places = {axis: found.names.index((BATCH, number)) for number, axis in pairs}
    places |= {axis: found.names.index((o, axis)) for o, axis in found.free(operand)}
    kept = sorted(places)
    part = build.reshape(part, tuple(x.type.shape[axis] for axis in kept))
    order = sorted(range(len(kept)), key=lambda number: places[kept[number]])
    return build.expand(build.transpose(part, order), shape, sorted(places.values()))
