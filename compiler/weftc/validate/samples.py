"""Inputs on which a graph is tried: ordinary values, edge values, and valid indices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, Final, TypeAlias

import numpy as np

from weftc.fusion.regions import body_operands
from weftc.ir.hosts import host_functions
from weftc.ir.interpret import TooLongError, bounded, concrete_type, evaluate, interpret
from weftc.ir.node import Graph, Node, result_types
from weftc.ir.opdef import Family
from weftc.ir.sizes import concrete_shape, static_shape
from weftc.ir.types import TensorType
from weftc.validate.sizes import is_allowed, symbol_sizes
from weftrt.dtypes import DType, Kind
from weftrt.errors import CheckError, LinAlgError, OutOfBoundsError

Array: TypeAlias = "np.ndarray[Any, Any]"

LARGEST: Final = 1 << 24
"""Work above which a graph is not tried (a second or so in the graph interpreter)."""
LARGEST_LOOPS: Final = 1 << 16
"""Steps above which a kernel's loops are not tried (a second or so in the loop interpreter)."""
_FIRST_SIZES: Final = (70, 19, 3)
"""What the first symbol may be, the first that is not too large: 70 fills vectors and the 64 lanes
of a reduction, and leaves a rest."""
_INDEX_RANGES: Final = ((-1.0, 1.0), (0.0, 1.0), (0.0, 0.5), (0.0, 0.0))
"""Where indices are drawn, in parts of their axis, until all are valid."""
_TURNS: Final = 6
"""About how often loops turn whose bounds are inputs."""
_FLOAT_EDGES: Final = (-0.0, np.nan, np.inf, 0.0, -np.inf, 1.0, -1.0, 1e-40)


@dataclass(frozen=True, eq=False)
class Sample:
    """Arrays for the inputs of a graph, with the sizes of its symbols, and its outputs."""

    sizes: dict[str, int]
    inputs: list[Array]
    outputs: list[Array]


def draw(graph: Graph) -> list[Sample]:
    """Two samples of `graph`: ordinary values in larger sizes, and edge values in small ones; where
    sizes are symbols also with all of them 1, and 0. Fewer where its values are too large, it runs
    too long, or no indices are found that are valid; none where it calls Python, which might
    notice."""
    if host_functions(graph):
        return []
    choices = [symbol_sizes(graph, first) for first in _FIRST_SIZES]
    possible = [s for s in choices if s is not None and _is_possible(graph, s)]
    fitting = [s for s in possible if steps(graph.nodes(), s) <= LARGEST_LOOPS]
    fitting = fitting or [s for s in possible if _work(graph.nodes(), s) <= LARGEST]
    if not fitting:
        return []
    tries = [_draw(graph, fitting[0], edges=False), _draw(graph, fitting[-1], edges=True)]
    for size in (1, 0) if fitting[0] else ():
        sizes = dict.fromkeys(fitting[0], size)
        if is_allowed(graph, sizes) and _is_possible(graph, sizes):
            tries.append(_draw(graph, sizes, edges=True))
    return [sample for sample in tries if sample is not None]


def node_values(graph: Graph, sample: Sample) -> dict[Node, Array]:
    """The value of every node."""
    values: dict[Node, Array] = dict(zip(graph.inputs, sample.inputs, strict=True))
    with np.errstate(all="ignore"):
        for node in graph.nodes():
            if node not in values:
                operands = [values[i] for i in node.inputs]
                values[node] = evaluate(node, operands, sample.sizes)
    return values


def outputs(graph: Graph, sample: Sample) -> list[Array]:
    """The outputs of `graph` on the sample of another that should mean the same."""
    return _outputs(graph, sample.inputs, sample.sizes)


def steps(nodes: Iterable[Node], sizes: dict[str, int]) -> int:
    """What the loop interpreter does for some nodes: loops count more than what is in them."""
    return sum(
        elements * (4 if node.op.family is Family.CONTRACTION else 1 + node.op.cost // 8)
        for node, elements in _counted(nodes, sizes)
    )


def _work(nodes: Iterable[Node], sizes: dict[str, int]) -> int:
    """What the graph interpreter does, in additions."""
    return sum(
        elements * (1 if node.op.family is Family.CONTRACTION else max(node.op.cost, 1))
        for node, elements in _counted(nodes, sizes)
    )


def _counted(nodes: Iterable[Node], sizes: dict[str, int]) -> Iterator[tuple[Node, int]]:
    """Each node with the number of its elements; with that of its products for a contraction. A
    body counts once."""
    for node in nodes:
        for graph in node.graphs():
            yield from _counted(graph.nodes(), sizes)
        count = sum(map(prod, _shapes(node, sizes)))
        if node.op.family is Family.CONTRACTION:
            operand = _shape(node.inputs[0], sizes)
            count *= prod(operand[axis] for axis in node["contracted"][0])
        yield node, count


def _shape(node: Node, sizes: dict[str, int]) -> tuple[int, ...]:
    return concrete_shape(node.type.shape, sizes)


def _shapes(node: Node, sizes: dict[str, int]) -> Iterator[tuple[int, ...]]:
    """Those of all arrays that a node gives."""
    for type_ in result_types(node):
        if isinstance(type_, TensorType):
            yield concrete_shape(type_.shape, sizes)


def _is_possible(graph: Graph, sizes: dict[str, int]) -> bool:
    shapes = (shape for node in graph.all_nodes() for shape in _shapes(node, sizes))
    return all(size >= 0 for shape in shapes for size in shape)


def _outputs(graph: Graph, inputs: list[Array], sizes: dict[str, int]) -> list[Array]:
    with np.errstate(all="ignore"), bounded(LARGEST):
        return interpret(graph, inputs, sizes)


def _draw(graph: Graph, sizes: dict[str, int], edges: bool) -> Sample | None:
    axes = _indexed_axes(graph, sizes)
    for part in _INDEX_RANGES:
        random = np.random.default_rng(len(graph.inputs))
        inputs: list[Any] = []
        for node in graph.inputs:
            type_ = concrete_type(node.value_type, sizes)
            if not isinstance(type_, TensorType):
                inputs.append(None)  # a token
            elif node in axes:
                inputs.append(_indices(type_, axes[node], part, random))
            else:
                inputs.append(_values(type_, edges, random))
        try:
            return Sample(sizes, inputs, _outputs(graph, inputs, sizes))
        except (OutOfBoundsError, CheckError, LinAlgError):
            continue
        except TooLongError:
            break
    return None


def _indexed_axes(graph: Graph, sizes: dict[str, int]) -> dict[Node, int]:
    """For each integer input that reaches the indices of a take or scatter, the smallest axis; a
    loop that counts to it is an axis of a few elements, and so are branches that it chooses."""
    smallest: dict[Node, int] = {}
    for node in reversed(graph.nodes()):
        for operand, size in _index_uses(node, smallest, sizes):
            type_ = operand.value_type
            if isinstance(type_, TensorType) and type_.dtype.is_integer:
                smallest[operand] = min(size, smallest.get(operand, size))
    return {node: size for node, size in smallest.items() if node.op.name == "input"}


def _index_uses(
    node: Node, smallest: dict[Node, int], sizes: dict[str, int]
) -> Iterator[tuple[Node, int]]:
    if node.op.family is Family.INDEXING:
        yield node.inputs[1], _shape(node.inputs[0], sizes)[node["axis"]]
    for graph, operands in body_operands(node):
        inner = _indexed_axes(graph, sizes)
        yield from ((o, inner[i]) for o, i in zip(operands, graph.inputs) if i in inner)
    if node.op.loop is not None:
        yield from zip(node.inputs[: node.op.loop.bounds], (1, _TURNS))
    if node.op.name == "branch":
        yield node.inputs[0], len(node["branches"])
    if node in smallest:
        yield from ((operand, smallest[node]) for operand in node.inputs)


def _indices(
    type_: TensorType, axis: int, part: tuple[float, float], random: np.random.Generator
) -> Array:
    low = int(axis * part[0]) if type_.dtype.is_signed else 0
    high = max(int(axis * part[1]), low + 1)
    low, high = _within(type_.dtype, low, high)
    return np.asarray(random.integers(low, high, static_shape(type_.shape)), type_.dtype.dtype)


def _within(dtype: DType, low: int, high: int) -> tuple[int, int]:
    info: Any = np.iinfo(dtype.dtype)
    return max(low, int(info.min)), min(high, int(info.max))


def _values(type_: TensorType, edges: bool, random: np.random.Generator) -> Array:
    shape, dtype = static_shape(type_.shape), type_.dtype.dtype
    if type_.dtype.kind is Kind.BOOL:
        return np.asarray(random.random(shape) < 0.5)
    if type_.dtype.is_float:
        values = np.asarray(random.standard_normal(shape), dtype)
        special = np.array(_FLOAT_EDGES if edges else (-0.0, 0.0, 1.0), dtype)
    else:
        low = -9 if type_.dtype.is_signed else 0
        values = np.asarray(random.integers(low, 10, shape), dtype)
        info: Any = np.iinfo(dtype)
        special = np.array((info.min, info.max, 0, 1) if edges else (0, 1), dtype)
    return _mixed(values, special, 8 if edges else 32, random)


def _mixed(values: Array, special: Array, rarity: int, random: np.random.Generator) -> Array:
    """`values` with one of `rarity` replaced, and each special value there if there is room."""
    count = max(values.size // rarity, min(values.size // 2, special.size))
    values.reshape(-1)[random.permutation(values.size)[:count]] = np.resize(special, count)
    return values
