"""Complex numbers as pairs of real ones: what comes before everything that computes.

z = mul(x, y) : c64[3]  ->  sub(mul(xr, yr), mul(xi, yi)), add(mul(xr, yi), mul(xi, yr)) : f32[3]

At the edge of a program an array of complex numbers is one of floats with a last axis of two: the
same memory. Within, each node becomes two, or what its op makes of it (`OpDef.pairs`); most ops act
on each part by itself. Graphs in branches and loops take and give the parts one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

import numpy as np

from weftc.ir import location as locations
from weftc.ir.constraints import Assumptions, assuming
from weftc.ir.node import Graph, Node, result_types, toposort
from weftc.ir.opdef import TABLE, Family
from weftc.ir.types import TensorType, ValueType
from weftc.ops import build
from weftc.ops.complex_rules import Pair, Value, each
from weftc.ops.parts import deinterleave
from weftrt.dtypes import DType
from weftrt.errors import DTypeError
from weftrt.sizes import MAXIMUM_RANK

Array: TypeAlias = "np.ndarray[Any, Any]"
Results: TypeAlias = "Value | list[Value]"


def is_complex(type_: ValueType) -> bool:
    """Whether this is the type of an array of complex numbers."""
    return isinstance(type_, TensorType) and type_.dtype.is_complex


def has_complex(nodes: Iterable[Node]) -> bool:
    """Whether complex numbers occur among the results of nodes, or in graphs that these hold."""
    return any(map(_has_complex, nodes))


def _has_complex(node: Node) -> bool:
    if node.op.holds_graphs and any(has_complex(graph.nodes()) for graph in node.graphs()):
        return True
    if node.is_tensor:
        return node.type.dtype.is_complex
    return any(map(is_complex, result_types(node)))


def stored(type_: TensorType) -> TensorType:
    """How an array lies in memory: complex numbers as a last axis of two floats."""
    return TensorType(type_.dtype.part, (*type_.shape, 2)) if type_.dtype.is_complex else type_


def as_stored(array: Array) -> Array:
    """An ndarray as it is `stored`."""
    if array.dtype.kind != "c":
        return array
    part = array.real.dtype
    return np.ascontiguousarray(array).view(part).reshape(*array.shape, 2)


def from_stored(array: Array, dtype: DType) -> Array:
    """The ndarray of a dtype that is stored as `array`."""
    if not dtype.is_complex:
        return array
    return np.ascontiguousarray(array).view(dtype.dtype).reshape(array.shape[:-1])


def as_real(graph: Graph) -> Graph:
    """A graph of real numbers that computes what `graph` does, from and to arrays as they are
    `stored`; itself where no complex numbers occur.

    DTypeError, with its line, for an op that is not defined on complex numbers.
    """
    if not has_complex(graph.nodes()):
        return graph
    inputs, known = [], dict[Node, Value]()
    for node in graph.inputs:
        if is_complex(node.value_type):
            plain = build.argument(node["index"], node["name"], stored(node.type))
            inputs.append(plain)
            known[node] = deinterleave(plain)
        else:
            inputs.append(node)
            known[node] = node
    with assuming(Assumptions(graph.constraints)):
        outputs = [
            TABLE["interleave"](*value) if isinstance(value, Pair) else value
            for value in Walk().values(graph.outputs, known)
        ]
    return replace(graph, inputs=tuple(inputs), outputs=tuple(outputs))


def for_program(graph: Graph) -> Graph:
    """`as_real`, in which a complex output is no real one's equal: those of no elements have more
    axes than an array may have."""
    real = as_real(graph)
    pairs = zip(graph.outputs, real.outputs, strict=True)
    return real.returning([_set_apart(node, output) for node, output in pairs])


def _set_apart(node: Node, output: Node) -> Node:
    if not is_complex(node.value_type) or node.type.size != 0:
        return output
    shape = output.type.shape
    return build.reshape(output, (*shape, *[1] * (MAXIMUM_RANK + 1 - len(shape))))


def apart(nodes: Sequence[Node], known: Mapping[Node, Value]) -> list[Value]:
    """What nodes are in real arithmetic, where the values of some are `known`; a complex node that
    depends on none of these is kept, and its parts are taken."""
    order = toposort(nodes, known)
    depends = set(known)
    given = dict(known)
    for node in order:
        if node in depends or not depends.isdisjoint(node.inputs):
            depends.add(node)
        else:
            given[node] = parts(node)
    return Walk().values(nodes, given)


def parts(node: Node) -> Value:
    """A node, or the parts of a complex one."""
    if not is_complex(node.value_type):
        return node
    return Pair(build.call("real", node), build.call("imag", node))


def joined(value: Value) -> Node:
    """The node of a value."""
    return build.call("complex", *value) if isinstance(value, Pair) else value


class Walk:
    """One walk through a graph, in which each node gets its value."""

    def __init__(self) -> None:
        self._values: Final[dict[Node, Value]] = {}
        self._results: Final[dict[Node, list[Value]]] = {}

    def values(self, outputs: Sequence[Node], known: Mapping[Node, Value]) -> list[Value]:
        """The values of outputs, where those of some nodes are known."""
        self._values.update(known)
        for node in toposort(outputs, known):
            if node not in self._values:
                with locations.at(node.location):
                    self._visit(node)
        return [self._values[output] for output in outputs]

    def _visit(self, node: Node) -> None:
        if node.op.name == "project" and node.inputs[0] in self._results:
            self._values[node] = self._results[node.inputs[0]][node["index"]]
            return
        inputs = tuple([self._values[operand] for operand in node.inputs])
        result = self._computed(node, inputs)
        if isinstance(result, list):
            self._results[node] = result
            self._values[node] = node  # nobody asks for it
        else:
            self._values[node] = result

    def _computed(self, node: Node, inputs: tuple[Value, ...]) -> Results:
        plain = [value for value in inputs if not isinstance(value, Pair)]
        if len(plain) == len(inputs) and not has_complex([node]):
            return node.rebuilt(tuple(plain))
        rule: Callable[..., Results] | None = node.op.pairs or FAMILIES.get(node.op.family)
        if rule is None:
            place = node.location or "unknown place"
            raise DTypeError(f"{node.op.name} is not defined on complex numbers (at {place})")
        return rule(node, inputs)


# ---------------------------------------------------------------------------------------------
# Branches and loops
# ---------------------------------------------------------------------------------------------


def control(node: Node, inputs: tuple[Value, ...], **changed: Any) -> list[Value]:
    """The same over graphs of the parts, with some attributes `changed`. Where `carried` or
    `scanned` operands are counted, their parts are."""
    operands = [part for value in inputs for part in flat(value)]
    attrs = node.attrs | changed
    start = node.op.loop.bounds if node.op.loop is not None else 0
    for name in ("carried", "scanned"):
        if name in attrs:
            group = inputs[start : start + attrs[name]]
            start += attrs[name]
            attrs[name] = sum(len(flat(value)) for value in group)
    result = node.op(*operands, **{name: _real_graphs(value) for name, value in attrs.items()})
    projected = (build.call("project", result, index=i) for i in range(len(result_types(result))))
    return [taken(type_, projected) for type_ in result_types(node)]


def flat(value: Value) -> tuple[Node, ...]:
    """A value as one node or two."""
    return tuple(value) if isinstance(value, Pair) else (value,)


def taken(type_: ValueType, nodes: Iterator[Node]) -> Value:
    """The value of a type, of the next one or two nodes."""
    return Pair(next(nodes), next(nodes)) if is_complex(type_) else next(nodes)


def _real_graphs(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_real_graphs, value))
    return by_parts(value) if isinstance(value, Graph) else value


def by_parts(graph: Graph) -> Graph:
    """A graph that takes and gives the parts of complex numbers one by one."""
    inputs: list[Node] = []
    known: dict[Node, Value] = {}
    for node in graph.inputs:
        if not is_complex(node.value_type):
            inputs.append(node if node["index"] == len(inputs) else _numbered(node, len(inputs)))
            known[node] = inputs[-1]
            continue
        type_ = node.type.with_dtype(node.type.dtype.part)
        place = len(inputs)
        inputs += [
            build.argument(place + k, f"{node['name']}.{part}", type_)
            for k, part in enumerate(("real", "imag"))
        ]
        known[node] = Pair(*inputs[place:])
    outputs = [part for value in Walk().values(graph.outputs, known) for part in flat(value)]
    return replace(graph, inputs=tuple(inputs), outputs=tuple(outputs))


def _numbered(node: Node, index: int) -> Node:
    return TABLE["input"](**{**node.attrs, "index": index})


FAMILIES: Final[Mapping[Family, Callable[..., Results]]] = {
    Family.MOVEMENT: each,
    Family.INDEXING: each,
    Family.CONTROL: control,
}
"""The rules of families whose ops need none of their own."""
