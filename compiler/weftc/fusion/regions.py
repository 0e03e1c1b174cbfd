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
"""The scratch of a loop that counts, which the body of `fori` reads as the number of the turn."""
LENGTH: Final = "length"
"""The scratch of `scan` that says how many turns there are."""
_LARGE_ROW: Final = 1 << 20
"""Bytes from which on a kernel may write an array by whole cache lines, which begin at one."""


def result(number: int) -> str:
    """The scratch of a region that is a result which nobody reads."""
    return f"result_{number}"


def spare(number: int) -> str:
    """The scratch of a loop that a part of its state is written to every other turn."""
    return f"spare_{number}"


def row(number: int) -> str:
    """The scratch of a scan that a turn writes a row to which may not begin at a cache line."""
    return f"row_{number}"


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
    return node.op.loop is not None


def initial_state(node: Node) -> tuple[Node, ...]:
    """What a loop starts from; nothing for other regions."""
    if node.op.loop is None:
        return ()
    first: int = node.op.loop.bounds
    return node.inputs[first : first + node["carried"]]


def state_inputs(node: Node, turn: Graph) -> tuple[Node, ...]:
    """The inputs that the graph of a loop's turn has for the state."""
    assert node.op.loop is not None
    first = node.op.loop.counters
    return turn.inputs[first : first + node["carried"]]


def _bodies(node: Node) -> tuple[Graph, ...]:
    if node.op.name == "while":
        return node["condition"], _turn(node["body"], node["condition"])
    return tuple(node.graphs())


def body_operands(node: Node) -> Iterator[tuple[Graph, Sequence[Node]]]:
    """The graphs that a node runs, each with what it is given at first; a body that counts is given
    the upper bound, which it stays below, and one that reads rows the whole stacks."""
    loop = node.op.loop
    given = node.inputs[1 if loop is None else loop.bounds - loop.counters :]
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
        if isinstance(type_, TensorType) and region.results[number] is None:
            needs[result(number)] = _room(type_)
    if is_loop(region.node):
        needs.update(_loop_scratch(region.node, in_place))
    arena = upper_bound(arenas)
    return {BODIES: Scratch(arena, ALIGNMENT), **needs} if arena != 0 else needs


def _room(type_: TensorType) -> Scratch:
    return Scratch(type_.size * type_.dtype.itemsize, type_.dtype.itemsize)


def _loop_scratch(node: Node, in_place: Collection[int]) -> dict[str, Scratch]:
    """What a loop needs to move its state along, to write rows, and to know when it ends."""
    state = enumerate(result_types(node)[: node["carried"]])
    needs = {
        spare(number): _room(type_)
        for number, type_ in state
        if isinstance(type_, TensorType) and number not in in_place
    }
    if node.op.name == "while":
        return {**needs, CONDITION: Scratch(1, 1)}
    needs[COUNTER] = Scratch(8, 8)
    if node.op.name == "scan":
        needs[LENGTH] = Scratch(8, 8)
        for number, type_ in stacked(node):
            if _may_miss_lines(row_type(type_)):
                needs[row(number)] = _room(row_type(type_))
    return needs


def stacked(node: Node) -> list[tuple[int, TensorType]]:
    """The results of a scan that are stacks of rows, by number."""
    parts = list(enumerate(result_types(node)))[node["carried"] :]
    return [(number, type_) for number, type_ in parts if isinstance(type_, TensorType)]


def row_type(stack: TensorType) -> TensorType:
    """The type of a row of a stack."""
    return stack.with_shape(stack.shape[1:])


def _may_miss_lines(row: TensorType) -> bool:
    """Whether a row may be written by whole cache lines though it does not begin at one."""
    size = row.size * row.dtype.itemsize
    return isinstance(size, int) and size > _LARGE_ROW and size % ALIGNMENT != 0
