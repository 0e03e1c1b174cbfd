"""Products of windows where and as they are wanted, for packing and stores to follow memory.

    slice(contract(%w, window(%x)))      ->  contract(%w, slice(window(%x)))
    contract(%g, window(%x))             ->  transpose(contract(window(%x), %g)), where neighbours
                                             in memory are summed over
    transpose(contract(%w, window(%x)))  ->  contract(broadcast(%w), window(%x)), axes of the batch
                                             that are to come first

Each element of a product is the same chain whichever axes are a batch, and whichever operand comes
first: the values are those of before, to the bit. Those of few taps are cut alone: they are written
out (weftc.passes.brief_products).
"""

from __future__ import annotations

from collections.abc import Sequence

from weftc.ir.node import Graph, Node
from weftc.ir.paths import along, path
from weftc.ir.sizes import Size, product
from weftc.ops import build
from weftc.ops.window_products import BATCH, Name, Product
from weftc.passes.brief_products import is_brief
from weftc.passes.products import of_windows, rewrite_products, slides

_TILE = 64
"""Columns that a product computes at once, about."""
_WASTED = 8
"""One column in so many may be of no use where there is a product for each image of a batch."""


def place_windows(graph: Graph) -> Graph:
    """Rewrite every product of windows."""
    return rewrite_products(graph, (_cut, _turned, _ordered))


def _line(operand: Node) -> int | None:
    """The axis along which neighbours in memory are copied by vectors, if there is one."""
    return next(iter(along(list(path(operand))).runs), None)


def _in_order(made: Node, names: Sequence[Name], wanted: Sequence[Name]) -> Node:
    return build.transpose(made, [names.index(name) for name in wanted])


# -- rules ----------------------------------------------------------------------------------------


def _cut(node: Node) -> Node | None:
    """slice(product) -> product of slices"""
    found = of_windows(node.inputs[0]) if node.op.name == "slice" else None
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
    found = of_windows(node) if node.op.name == "transpose" else None
    return None if found is None or is_brief(found) else _batched(found)


def _ordered(node: Node) -> Node | None:
    """The operand that has windows first where their line is summed over, else second, with the
    line as the last of its free axes."""
    found = of_windows(node) if node.op.name == "contract" else None
    if found is None or is_brief(found):
        return None
    operand = 1 if slides(node.inputs[1]) else 0
    x, other = node.inputs[operand], node.inputs[1 - operand]
    line, free = _line(x), found.free(operand)
    if line is None:
        return None
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
    if not slides(found.node.inputs[1]):
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
