"""A kernel on a sample: the arrays it is tried on, and what should be in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from weftc.fusion.kernel import Kernel
from weftc.ir.node import Node
from weftc.ir.sizes import value_of
from weftc.schedule.lowered import Lowered
from weftc.validate import plans, samples
from weftc.validate.buffers import Guarded, difference, unlike
from weftc.validate.samples import Array, Sample


@dataclass(frozen=True, eq=False)
class Run:
    """A sample, and the value of every node of the optimized graph."""

    sample: Sample
    values: dict[Node, Array]


@dataclass(frozen=True, eq=False)
class Trial:
    """A kernel, lowered, and the values that nodes have."""

    kernel: Kernel
    low: Lowered
    run: Run

    @property
    def name(self) -> str:
        return self.low.function.name

    @cached_property
    def steps(self) -> int:
        """What interpreting the kernel's loops takes."""
        return samples.steps(self.kernel.nodes, self.run.sample.sizes)

    @cached_property
    def sizes(self) -> list[int]:
        """The kernel's size parameters."""
        return [value_of(size, self.run.sample.sizes) for size in self.low.sizes]

    @property
    def outputs(self) -> slice:
        """Where outputs are among buffers."""
        return slice(len(self.kernel.inputs), len(self.low.buffers))

    def arrays(self) -> list[Array]:
        """One array per node of `low.buffers`: the values of inputs; outputs hold other values in
        every element."""
        values = self.run.values
        given = [np.array(values[node], order="C") for node in self.kernel.inputs]
        return [*given, *(unlike(values[node]) for node in self.kernel.outputs)]

    def guarded(self) -> list[Guarded]:
        """The same between guards, and scratch."""
        scratch = [value_of(size, self.run.sample.sizes) for size in self.low.scratch]
        fresh = (np.full(size, 0xFF, np.uint8) for size in scratch)
        return [*map(Guarded, self.arrays()), *map(Guarded, fresh)]

    def written_outside(self, guarded: Sequence[Guarded]) -> str | None:
        """The buffer around which something was written."""
        for buffer, memory in zip(self.low.function.buffers, guarded):
            if not memory.is_intact():
                return buffer.name
        return None

    def difference(self, outputs: Sequence[Array]) -> str | None:
        """The first output that is not what it should be, and where."""
        for node, found in zip(self.kernel.outputs, outputs):
            where = difference(found, self.run.values[node])
            if where is not None:
                return f"{plans.describe(node)}: {where}"
        return None
