"""What fusion hands to schedules: clusters of nodes, their order, and where values live."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from weftc.ir.node import Graph, Node
from weftc.ir.types import Size


class KernelKind(Enum):
    """Which schedule lowers a cluster."""

    POINTWISE = "pointwise"  # roots of any shapes; each root is one loop nest over its own shape
    ROWWISE = (
        "rowwise"  # reductions over the trailing axes of one row space, and what surrounds them
    )
    REDUCTION = "reduction"  # a reduction over leading or middle axes, or over everything
    CONTRACTION = "contraction"  # one contract, with what its epilogue computes per output element
    SCATTER = "scatter"  # combine updates in index order


@dataclass(frozen=True, eq=False)
class Kernel:
    """A cluster. `nodes` are computed inside, producers first; `inputs` are read from buffers (or
    are `input` nodes); `outputs`, a subset of `nodes` (or of `inputs`, for a plain copy), are
    written to buffers. Two Kernels never compute the same node unless fusion chose to recompute.
    """

    kind: KernelKind
    nodes: tuple[Node, ...]
    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]


@dataclass(frozen=True)
class Unfused:
    """Why the edge producer -> consumer goes through memory."""

    producer: Node
    consumer: Node
    reason: str


@dataclass(frozen=True, eq=False)
class KernelPlan:
    """Kernels in execution order, and a recorded reason for each edge between them."""

    graph: Graph
    kernels: tuple[Kernel, ...]
    unfused: tuple[Unfused, ...]


@dataclass(frozen=True, eq=False)
class MemoryPlan:
    """Byte offsets in the arena (64-byte aligned) of every materialized node that is neither an
    input nor an output, and of every kernel's scratch (by (kernel index, buffer name))."""

    offsets: Mapping[Node, Size]
    scratch: Mapping[tuple[int, str], Size]
    arena: Size
    """Bytes of the whole arena."""
