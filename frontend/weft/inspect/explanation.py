"""What a function becomes, in words: kernels with their lines, branches and loops with what is in
them, and why values go through memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

from weft import diagnostics
from weftc.fusion.kernel import Kernel, Region
from weftc.fusion.reasons import unfused
from weftc.ir.node import Node
from weftc.ir.opdef import Family
from weftc.ir.sizes import static_shape
from weftc.pipeline import Stages
from weftrt.sizes import scaled


def explain(stages: Stages) -> str:
    """The kernels, the lines of source that each computes, and why values go through memory."""
    count = _count(sum(len(each.kernels) for each in stages.all()), "kernel")
    lines = [f"{stages.graph.name}: {count}", *_steps(stages)]
    return "\n".join(lines) + "\n"


def _steps(stages: Stages) -> Iterator[str]:
    """The steps of a graph, those of the bodies of each among them."""
    number: dict[Node, str] = {}
    for index, step in enumerate(stages.plan.steps):
        name = f"{stages.prefix}{index}"
        yield ""
        if isinstance(step, Kernel):
            yield from _kernel(name, step, number)
            number.update(dict.fromkeys(step.nodes, f"kernel {name}"))
        else:
            yield from _region(name, step, stages.bodies[step], number)
            number.update(dict.fromkeys(step.outputs, f"{step.node.op.name} {name}"))
    for edge in unfused(stages.kernels):
        yield ""
        yield f"not fused: {_value(edge.producer, number)} -> {edge.consumer.op.name}"
        yield f"  {edge.reason}"


def _kernel(name: str, kernel: Kernel, number: dict[Node, str]) -> Iterator[str]:
    own = dict.fromkeys(kernel.nodes, f"kernel {name}")
    yield f"kernel {name}, {kernel.kind.value}: {_ops(kernel.nodes)}"
    yield from (f"  reads  {_value(n, {**number, **own})}" for n in kernel.inputs)
    yield from (f"  writes {n.type}" for n in kernel.outputs)
    yield from _work(kernel)
    yield from (f"  {line}" for line in _source(kernel.nodes))


def _region(
    name: str, region: Region, bodies: Iterable[Stages], number: dict[Node, str]
) -> Iterator[str]:
    op = region.node.op.name
    yield f"{op} {name}"
    yield from (f"  reads  {_value(n, number)}" for n in region.inputs)
    yield from (f"  writes {n.type}" for n in region.outputs)
    yield from (f"  {line}" for line in _source([region.node]))
    for place, body in enumerate(bodies):
        role = _ROLES[op][place] if op in _ROLES else f"branch {place}"
        yield ""
        yield f"  {role}, {body.graph.name}:"
        yield from (f"  {line}".rstrip() for line in list(_steps(body))[1:] or ["nothing to do"])


_ROLES = {"while": ("at first", "each turn"), "fori": ("each turn",), "scan": ("each turn",)}
"""When the bodies of a loop run; others are branches."""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _ops(nodes: Iterable[Node]) -> str:
    names: dict[str, int] = {}
    for node in nodes:
        if node.op.family is not Family.SOURCE:
            names[node.op.name] = names.get(node.op.name, 0) + 1
    return ", ".join(name if n == 1 else f"{name} x{n}" for name, n in names.items()) or "copy"


def _work(kernel: Kernel) -> list[str]:
    """Bytes moved and operations done, where the sizes are known. An operation is one of the
    primitives on one element; a multiplication and addition of a contraction are two."""
    if not all(n.type.is_static for n in (*kernel.nodes, *kernel.inputs)):
        return []
    read, written = (sum(map(_bytes, nodes)) for nodes in (kernel.inputs, kernel.outputs))
    operations = sum(_OPERATIONS.get(n.op.family, _none)(n) for n in kernel.nodes)
    return [f"  moves  {scaled(read)}B in, {scaled(written)}B out; {scaled(operations)}op"]


def _elements(node: Node) -> int:
    return math.prod(static_shape(node.type.shape))


def _bytes(node: Node) -> int:
    itemsize: int = node.type.dtype.itemsize
    return _elements(node) * itemsize


def _none(node: Node) -> int:
    return 0


def _multiplications(node: Node) -> int:
    shape = static_shape(node.inputs[0].type.shape)
    inner: int = math.prod(shape[axis] for axis in node["contracted"][0])
    return 2 * _elements(node) * inner


_OPERATIONS: dict[Family, Callable[[Node], int]] = {
    Family.POINTWISE: _elements,
    Family.CUMULATIVE: _elements,
    Family.REDUCTION: lambda node: _elements(node.inputs[0]),
    Family.CONTRACTION: _multiplications,
}


def _value(node: Node, number: dict[Node, str]) -> str:
    if node.op.name == "input":
        return f"{node.type} {node['name']}"
    name = "result" if node.op.name == "project" else node.op.name
    return f"{node.type} {name} of {number[node]}" if node in number else f"{node.type} {name}"


def _source(nodes: Iterable[Node]) -> list[str]:
    """The lines of the user's code that nodes come from, each once, in program order."""
    return list(
        dict.fromkeys(diagnostics.short_place(n.location) for n in nodes if n.location is not None)
    )
