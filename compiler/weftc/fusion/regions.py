"""Regions: nodes that become steps of their own, and the graphs that run within them.

A loop reads its state from one buffer and writes the next to another. `while` runs ONE graph per
turn, the body with the condition on what it returns, so that they share kernels:

    condition(state, rest)                    once, on the initial state
    body(state, rest), condition(that, rest)  per turn
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from weftc.fusion.kernel import Region
from weftc.fusion.memory import ALIGNMENT, Scratch
from weftc.ir.node import Graph, Node, inlined, result_types
from weftc.ir.size_functions import upper_bound
from weftc.ir.sizes import Size
from weftc.ir.types import TensorType

BODIES: Final = "bodies"
"""The scratch of a region that is the arena of its bodies, of which one runs at a time."""
CONDITION: Final = "condition"
"""The scratch of `while` that tells whether there is another turn."""
COUNTER: Final = "counter"
"""The scratch of `fori` that its body reads as the number of the turn."""
_LOOPS: Final = ("while", "fori")


def result(number: int) -> str:
    """The scratch of a region that is a result which nobody reads."""
    return f"result_{number}"


def spare(number: int) -> str:
    """The scratch of a loop that a part of its state is written to every other turn."""
    return f"spare_{number}"


def region_of(node: Node, results: Sequence[Node]) -> Region:
    """The step of `node`; `results` are projected from it, unless it is an array itself."""
    arrays = dict.fromkeys(i for i in node.inputs if i.is_tensor)
    owners = {r["index"]: r for r in results if r.is_tensor}
    if node.is_tensor:
        owners[0] = node
    found = tuple(owners.get(number) for number in range(len(result_types(node))))
    return Region(node, tuple(arrays), found, _bodies(node))


def is_loop(node: Node) -> bool:
    """Whether a region runs its body again and again, on a state."""
    return node.op.name in _LOOPS


def initial_state(node: Node) -> tuple[Node, ...]:
    """What a loop starts from; nothing for other regions."""
    if not is_loop(node):
        return ()
    first = 2 if node.op.name == "fori" else 0
    return node.inputs[first : first + len(result_types(node))]


def state_inputs(node: Node, turn: Graph) -> tuple[Node, ...]:
    """The inputs that the graph of a loop's turn has for the state."""
    first = 1 if node.op.name == "fori" else 0
    return turn.inputs[first : first + len(result_types(node))]


def _bodies(node: Node) -> tuple[Graph, ...]:
    if node.op.name == "while":
        return node["condition"], _turn(node["body"], node["condition"])
    return tuple(node.graphs())


def body_operands(node: Node) -> Iterator[tuple[Graph, Sequence[Node]]]:
    """The graphs that a node runs, each with what it is given at first; a body that counts is given
    the upper bound, which it stays below."""
    given = {"branch": node.inputs[1:], "fori": node.inputs[1:]}.get(node.op.name, node.inputs)
    for graph in node.graphs():
        yield graph, given


def _turn(body: Graph, condition: Graph) -> Graph:
    """The body of a loop, and whether its condition holds for what the body returns."""
    operands = (*body.outputs, *body.inputs[len(body.outputs) :])
    return body.returning((*body.outputs, *inlined(condition, operands)))


def scratch(
    region: Region, arenas: Sequence[Size], in_place: Collection[int]
) -> dict[str, Scratch]:
    """The memory that a region needs while it runs, by name; `arenas` are those of its bodies, and
    `in_place` the parts of a loop's state that are written over what is read of them."""
    needs: dict[str, Scratch] = {}
    for number, type_ in enumerate(result_types(region.node)):
        if isinstance(type_, TensorType):
            room = Scratch(type_.size * type_.dtype.itemsize, type_.dtype.itemsize)
            if region.results[number] is None:
                needs[result(number)] = room
            if is_loop(region.node) and number not in in_place:
                needs[spare(number)] = room
    if region.node.op.name == "while":
        needs[CONDITION] = Scratch(1, 1)
    if region.node.op.name == "fori":
        needs[COUNTER] = Scratch(8, 8)
    arena = upper_bound(arenas)
    return {BODIES: Scratch(arena, ALIGNMENT), **needs} if arena != 0 else needs
