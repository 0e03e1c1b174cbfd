"""Ways through movement: what a node has of another, element by element."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from weftc.ir.index_map import IndexMap
from weftc.ir.node import Node
from weftc.ir.opdef import Family


def path(node: Node, inputs: Collection[Node] = ()) -> Iterator[Node]:
    """`node`, and what each reads by movement of one operand, padding aside, down to one of
    `inputs` or what is computed."""
    yield node
    while node not in inputs and _moves(node):
        (node, *_) = node.inputs
        yield node


def along(nodes: Sequence[Node]) -> IndexMap:
    """Where the first node of a path reads the last; where guards do not hold, it is padding."""
    map_ = IndexMap.identity(nodes[0].type.shape)
    for node in nodes[:-1]:
        if node.op.family is Family.MOVEMENT:
            map_ = map_.then(node.maps[0])
    return map_


def _moves(node: Node) -> bool:
    if node.op.name in ("pad", "identity", "stop_gradient"):
        return True
    return node.op.family is Family.MOVEMENT and len(node.inputs) == 1
