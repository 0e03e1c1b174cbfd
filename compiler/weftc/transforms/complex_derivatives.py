"""Derivatives where complex numbers occur: those of the real graph that stands for them.

Complex inputs and outputs count as their parts. The cotangent of z = a + ib is that of a plus i
times that of b: of a real result the direction in which it grows fastest, as PyTorch has it; for
f(z) that has a complex derivative, g times the conjugate of it. The tangent of z is da + i db.

Where no complex numbers occur these are `vjp` and `jvp` themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from weftc.ir.node import Node, toposort
from weftc.ops import build
from weftc.transforms import jvp as forward
from weftc.transforms import vjp as reverse
from weftc.transforms.pairs import apart, flat, has_complex, is_complex, joined, parts, taken


def vjp(
    outputs: Sequence[Node], cotangents: Sequence[Node | None], inputs: Sequence[Node]
) -> list[Node | None]:
    """`weftc.transforms.vjp.vjp`, through complex numbers too."""
    if not has_complex(toposort(outputs, inputs)):
        return reverse.vjp(outputs, cotangents, inputs)
    known = {node: parts(node) for node in inputs}
    given = [part for node in apart(outputs, known) for part in flat(node)]
    arriving = _flat_all(outputs, cotangents)
    roots = [part for value in known.values() for part in flat(value)]
    return _taken_all(inputs, reverse.vjp(given, arriving, roots))


def jvp(
    outputs: Sequence[Node],
    inputs: Sequence[Node],
    tangents: Sequence[Node | None],
    beside: Sequence[Node] = (),
) -> tuple[list[Node], list[Node | None]]:
    """`weftc.transforms.jvp.jvp`, through complex numbers too."""
    if not has_complex(toposort([*outputs, *beside], inputs)):
        return forward.jvp(outputs, inputs, tangents, beside)
    known = {node: parts(node) for node in inputs}
    values = apart([*outputs, *beside], known)
    given = [part for value in values[: len(outputs)] for part in flat(value)]
    others = [part for value in values[len(outputs) :] for part in flat(value)]
    roots = [part for value in known.values() for part in flat(value)]
    made, moved = forward.jvp(given, roots, _flat_all(inputs, tangents), others)
    nodes = iter(made)
    wanted = [joined(taken(node.value_type, nodes)) for node in (*outputs, *beside)]
    return wanted, _taken_all(outputs, moved)


def _flat_all(nodes: Sequence[Node], moving: Sequence[Node | None]) -> list[Node | None]:
    """The parts of what belongs to nodes: a cotangent or a tangent each."""
    pairs = zip(nodes, moving, strict=True)
    return list(chain.from_iterable(_parts_of(node, item) for node, item in pairs))


def _parts_of(node: Node, item: Node | None) -> Sequence[Node | None]:
    if item is not None:
        return flat(parts(item))
    return (None, None) if is_complex(node.value_type) else (None,)


def _taken_all(nodes: Sequence[Node], found: Sequence[Node | None]) -> list[Node | None]:
    """What was found for the parts of nodes, put together."""
    rest = iter(found)
    return [_joined(node, rest) for node in nodes]


def _joined(node: Node, found: Iterator[Node | None]) -> Node | None:
    if not is_complex(node.value_type):
        return next(found)
    pair = next(found), next(found)
    if pair == (None, None):
        return None
    zero = build.full(0.0, node.type.with_dtype(node.type.dtype.part))
    return build.call("complex", *(zero if part is None else part for part in pair))
