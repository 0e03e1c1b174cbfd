"""A compiled graph -> a Program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from weftc.assembly.compiled import Compiled
from weftc.assembly.donation import aliases
from weftc.assembly.estimate import work
from weftc.assembly.instructions import Instructions
from weftc.assembly.regions import emit
from weftc.assembly.size_slots import SizeSlots
from weftc.ir.node import Node
from weftc.ir.opdef import HostFunction
from weftc.ir.sizes import Size
from weftrt.errors import OutOfMemoryError
from weftrt.options import Options
from weftrt.program import Program, Temporary
from weftrt.sizes import MOST_BYTES, no_arena

MOST_WORK = 1 << 62
"""Nanoseconds: an estimate past all counting."""


def assemble(
    compiled: Compiled, key: str, options: Options, functions: Sequence[HostFunction] = ()
) -> Program:
    """The Program of a compiled graph, which calls some of the `functions`."""
    graph = compiled.plan.graph
    returned = [node for node in graph.outputs if node.is_tensor]
    outputs = tuple(dict.fromkeys(returned))
    sizes = SizeSlots()
    sizes.bind(graph.inputs)
    counts = len(graph.inputs), len(outputs)
    run = Instructions(graph.name, *counts, sizes, functions, emit, options.watched)
    run.run(compiled, {node: number for number, node in enumerate((*graph.inputs, *outputs))})
    return Program(
        name=graph.name,
        key=key,
        inputs=tuple(sizes.spec(n.type) for n in graph.inputs),
        outputs=tuple(sizes.spec(n.type) for n in outputs),
        temporaries=tuple(Temporary(sizes.value(t)) for t in run.temporaries),
        arena=sizes.value(_checked_arena(compiled)),
        work=sizes.value(_bounded(work(compiled))),
        kernels=tuple(code for _, code in run.kernels.values()),
        steps=tuple(run.code),
        sites=tuple(run.sites),
        results=tuple(outputs.index(o) for o in returned),
        symbols=tuple(sizes.sources),
        derived=sizes.expressions(),
        constraints=sizes.checks(graph.constraints),
        donated=options.donated,
        aliases=aliases(compiled, options.donated, outputs),
        places=(*map(_place, outputs), _largest_place(compiled)),
    )


def _bounded(work: Size) -> Size:
    return min(work, MOST_WORK) if isinstance(work, int) else work


def _checked_arena(compiled: Compiled) -> Size:
    """The size of the arena; OutOfMemoryError where no memory is so large."""
    arena = compiled.memory.arena
    if isinstance(arena, int) and arena >= MOST_BYTES:
        error = no_arena(compiled.plan.graph.name, arena)
        raise OutOfMemoryError(f"{_largest_place(compiled)}\n  {error}".strip())
    return arena


def _place(node: Node) -> str:
    """The user's line that makes a value so large that it may not be had."""
    return str(node.location or "") if node.type.is_large else ""


def _largest_place(compiled: Compiled) -> str:
    """The place of the largest value of fixed size in the arena."""
    fixed = [node for node in _in_arena(compiled) if node.type.is_large]
    return _place(max(fixed, key=lambda n: n.type.bytes)) if fixed else ""


def _in_arena(compiled: Compiled) -> Iterator[Node]:
    """The values in the arena, those of bodies among them."""
    yield from compiled.memory.offsets
    for bodies in compiled.bodies.values():
        for body in bodies:
            yield from _in_arena(body)
