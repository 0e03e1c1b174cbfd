"""Products of windows with one row or column of few taps -> the chain of each element, written out.

    %1 = contract(%w, window(%x))
    ->
    %1 = fma(%w1, %x1, fma(%w0, %x0, 0))    # each broadcast: %w[k], and %x from tap k on

Each element of the windows is multiplied once: packing them would take longer than the product,
and what is written out fuses with what is around it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weftc.ir.node import Graph, Node
from weftc.ir.sizes import Shape, Size, product, static_shape
from weftc.ops import build
from weftc.ops.window_products import BATCH, Product
from weftc.passes.products import of_windows, rewrite_products, slides

_BRIEF = 64
"""Taps, at most, that are written out."""


def write_brief_products(graph: Graph) -> Graph:
    """Write out every product of windows that is brief, in the order of axes that is wanted."""
    return rewrite_products(graph, (_turned, _plain))


def _turned(node: Node) -> Node | None:
    return _brief(node) if node.op.name == "transpose" else None


def _plain(node: Node) -> Node | None:
    return _brief(node) if node.op.name == "contract" else None


def _brief(node: Node) -> Node | None:
    found = of_windows(node)
    return _written(found) if found is not None and is_brief(found) else None


def _taps(found: Product) -> tuple[Size, ...]:
    x = found.node.inputs[0]
    return tuple(x.type.shape[axis] for axis in found.pairs("contracted", 0))


def is_brief(found: Product) -> bool:
    """Whether each element of the windows is multiplied once: packing it would take longer."""
    taps, dtype = product(_taps(found)), found.node.type.dtype
    if not isinstance(taps, int) or not 0 < taps <= _BRIEF or dtype.is_complex:
        return False
    other = 1 if slides(found.node.inputs[0]) else 0
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
    part = build.at(x, dict(zip(found.pairs("contracted", operand), taps, strict=True)))
    pairs = enumerate(found.pairs("batch", operand))
    places = {axis: found.names.index((BATCH, number)) for number, axis in pairs}
    places |= {axis: found.names.index((o, axis)) for o, axis in found.free(operand)}
    kept = sorted(places)
    order = sorted(range(len(kept)), key=lambda number: places[kept[number]])
    return build.expand(build.transpose(part, order), shape, sorted(places.values()))
