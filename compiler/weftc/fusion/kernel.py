"""What fusion hands to schedules: clusters of nodes, their order, and where values live."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from weftc.ir.node import Graph, Node
from weftc.ir.sizes import Size
from weftrt.lazy import lazy


class KernelKind(Enum):
    """Which schedule lowers a cluster."""

    POINTWISE = "pointwise"  # roots of any shapes; each root is one loop nest over its own shape
    ROWWISE = (
        "rowwise"  # reductions over the trailing axes of one row space, and what surrounds them
    )
    REDUCTION = "reduction"  # a reduction over leading or middle axes, or over everything
    CONTRACTION = "contraction"  # one contract, with what its epilogue computes per output element
    SCATTER = "scatter"  # combine updates in index order
    CUMULATIVE = "cumulative"  # one cumulative op, with what is computed from its results

    __hash__ = object.__hash__  # Enum's own is a Python function, and tables are keyed by these


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


@dataclass(frozen=True, eq=False)
class Region:
    """A node without loops of its own: control flow, a routine of the runtime, or an effect.
    `inputs` are read from buffers while it runs; `results[k]` owns the buffer of result k, None
    where nobody reads it. `bodies` are compiled as the whole graph is, and run within its step."""

    node: Node
    inputs: tuple[Node, ...]
    results: tuple[Node | None, ...]
    bodies: tuple[Graph, ...]

    @property
    def outputs(self) -> tuple[Node, ...]:
        """The results that somebody reads."""
        return tuple(node for node in self.results if node is not None)


Step: TypeAlias = Kernel | Region


@dataclass(frozen=True, eq=False)
class KernelPlan:
    """Steps in execution order."""

    graph: Graph
    steps: tuple[Step, ...]

    @lazy
    def kernels(self) -> tuple[Kernel, ...]:
        """The steps that are kernels."""
        return tuple(step for step in self.steps if isinstance(step, Kernel))


@dataclass(frozen=True, eq=False)
class MemoryPlan:
    """Byte offsets in the arena (64-byte aligned) of every materialized node that is neither an
    input nor an output, and of every step's scratch (by (step index, buffer name))."""

    offsets: Mapping[Node, Size]
    scratch: Mapping[tuple[int, str], Size]
    arena: Size
    """Bytes of the whole arena."""
