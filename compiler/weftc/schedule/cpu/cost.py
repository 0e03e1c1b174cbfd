"""How long a kernel takes, roughly: decides lanes, chunks, and whether threads are worth it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from weftc.ir.node import Node
from weftc.ir.opdef import Family
from weftc.ir.sizes import Dim, Size
from weftrt.target import Target

VECTOR_OP: Final = 0.17
"""Nanoseconds of one simple instruction on a whole vector."""
BYTE: Final = 0.03
"""Nanoseconds to bring one byte from the outer caches, on one thread."""
GRAIN: Final = 20_000
"""Nanoseconds of work that a thread must get before waking it pays."""
UNROLL: Final = 4
"""Vectors side by side in a vector loop: enough to hide the latency of dependent operations."""
UNROLL_BRIEF: Final = 2
"""The same for a body of more than LONG_BODY instructions that runs less than LONG_RUN."""
LONG_BODY: Final = 64
LONG_RUN: Final = 1_000_000
"""Nanoseconds."""


def work(nodes: Iterable[Node]) -> int:
    """Simple instructions per element of everything in `nodes` that computes."""
    return sum(n.op.cost for n in nodes if n.op.family is Family.POINTWISE)


def element(nodes: Iterable[Node], operands: Iterable[Node], target: Target) -> float:
    """Nanoseconds per element of a loop that computes `nodes` and touches `operands` once."""
    nodes, operands = tuple(nodes), tuple(operands)
    bits = max((n.type.dtype.bits for n in (*nodes, *operands)), default=32)
    lanes = max(target.vector_bits // bits, 1)
    traffic = sum(n.type.dtype.itemsize for n in operands)
    return work(nodes) * VECTOR_OP / lanes + traffic * BYTE


def lanes(nodes: Iterable[Node], target: Target, elements: Size = 0) -> int:
    """Lanes of a vector loop that computes `nodes` for so many elements: several vectors of the
    widest dtype. A long body is less unrolled unless it is known to run long: LLVM takes 50 us for
    each of its instructions, and its own parallelism hides most latency."""
    nodes = tuple(nodes)
    lanes = max(target.vector_bits // max((n.type.dtype.bits for n in nodes), default=32), 1)
    instructions = work(nodes)
    total = elements * instructions * VECTOR_OP / lanes if isinstance(elements, int) else 0
    brief = instructions > LONG_BODY and total < LONG_RUN
    return lanes * (UNROLL_BRIEF if brief else UNROLL)


def scale(size: Size, nanoseconds: float) -> Size:
    """`size` elements at so many nanoseconds, as a whole number of nanoseconds."""
    if isinstance(size, Dim):
        total: Size = 0
        for monomial, factor in size.terms:
            part = max(1, round(factor * nanoseconds)) if factor > 0 else 0
            total = total + (part * Dim(((monomial, 1),)) if monomial else part)
        return total
    return round(size * nanoseconds)


def grain(nanoseconds: float) -> int:
    """How many iterations of so many nanoseconds make a thread worth waking."""
    return max(1, round(GRAIN / max(nanoseconds, 0.1)))


def is_serial(nanoseconds: Size) -> bool:
    """Whether so much work is known to be too little for two threads."""
    return isinstance(nanoseconds, int) and nanoseconds < 2 * GRAIN
