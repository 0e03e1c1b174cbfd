"""Products of windows where and as they are wanted, for packing and stores to follow memory.

    slice(contract(%w, window(%x)))      ->  contract(%w, slice(window(%x)))
    contract(%g, window(%x))             ->  transpose(contract(window(%x), %g)), where neighbours
                                             in memory are summed over
    transpose(contract(%w, window(%x)))  ->  contract(broadcast(%w), window(%x)), axes of the batch
                                             that are to come first

Each element of a product is the same chain whichever axes are a batch, and whichever operand comes
first: the values are those of before, to the bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from weftc.ir import location as locations
from weftc.ir.index_linear import Axis
from weftc.ir.index_map import IndexMap
from weftc.ir.node import Graph, Node
from weftc.ir.opdef import Family
from weftc.ir.sizes import Size, product
from weftc.ops import build
from weftc.ops.contraction import sums_column
from weftc.ops.window_products import BATCH, Name, Product, product_of

_LINE = 6
"""Elements that lie side by side, at least, for vectors to copy them."""
_WIDE = 32
"""Columns of a product, at least, for which there may be one for each image of a batch."""


def place_windows(graph: Graph) -> Graph:
    """Rewrite every product of windows."""
    if not any(node.op.name == "window" for node in graph.all_nodes()):
        return graph
    return _rewritten(_rewritten(graph, _cut), _turned)


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
    return found if any(map(_line, found.node.inputs)) else None


def _line(operand: Node) -> int | None:
    """The axis of windows along which the most neighbours lie side by side, or nearly so; None
    where `operand` is no windows."""
    map_, node, slides = IndexMap.identity(operand.type.shape), operand, False
    while node.op.family is Family.MOVEMENT and (len(node.inputs) == 1 or node.op.name == "pad"):
        slides = slides or node.op.name == "window"
        map_, node = map_.then(node.maps[0]), node.inputs[0]
    if not slides:
        return None
    steps = [(c, a.number) for a, c in map_.flat.terms if isinstance(a, Axis) and _is_step(c)]
    long = [number for _, number in sorted(steps) if _is_long(operand.type.shape[number])]
    return long[0] if long else operand.type.rank - 1


def _is_step(size: Size) -> bool:
    return isinstance(size, int) and size > 0


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
    if node.op.name == "contract":
        return _ordered(node)
    return _batched(node) if node.op.name == "transpose" else None


def _ordered(node: Node) -> Node | None:
    """The operand that has windows first where their line is summed over, else second, with the
    line as the last of its free axes."""
    found = _of_windows(node)
    if found is None:
        return None
    operand = 1 if _line(node.inputs[1]) is not None else 0
    line, free = _line(node.inputs[operand]), found.free(operand)
    assert line is not None
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


def _batched(node: Node) -> Node | None:
    """Free axes of windows that are to come before those of the other operand become a batch."""
    found = _of_windows(node)
    if found is None or _line(found.node.inputs[1]) is None:
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
    size = product([contract.inputs[1].type.shape[axis] for _, axis in rest])
    return not isinstance(size, int) or size >= _WIDE


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
