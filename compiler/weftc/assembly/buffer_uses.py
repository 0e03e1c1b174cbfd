"""What a kernel does with each of its buffers, for whoever watches it run."""

from __future__ import annotations

from weftc.fusion.kernel import Kernel
from weftc.ir.node import Node
from weftc.ir.sizes import Size
from weftc.loop.ir import Buffer
from weftc.schedule.lowered import Lowered
from weftrt.program import BufferUse, KernelCode, LaunchUse, Role


def describe(kernel: Kernel, lowered: Lowered, code: KernelCode) -> tuple[LaunchUse, list[Size]]:
    """The use of a launch's buffers, and the sizes that it counts on after the kernel's own."""
    streams = "!nontemporal" in code.llvm  # only such stores rely on more than whole elements
    uses: list[BufferUse] = []
    counts: list[Size] = []

    def add(buffer: Buffer, name: str, role: Role, itemsize: int, count: Size) -> None:
        alignment = max(buffer.aligned, itemsize) if streams else itemsize
        uses.append(BufferUse(name, role, itemsize, alignment, len(lowered.sizes) + len(counts)))
        counts.append(count)

    parameters = [*lowered.function.buffers]
    for node, buffer in zip(lowered.buffers, parameters):
        role = Role.WRITTEN if node in kernel.outputs else Role.READ
        name = f"{buffer.name} ({node.op.name}, {node.type})"
        add(buffer, name, role, node.type.dtype.itemsize, node.type.size)
    for buffer, size in zip(lowered.function.scratch, lowered.scratch, strict=True):
        add(buffer, f"{buffer.name} of {size} bytes", Role.SCRATCH, 1, size)
    return LaunchUse(_place(kernel.outputs), tuple(uses)), counts


def _place(outputs: tuple[Node, ...]) -> str:
    """The user's line that the first output is from, as far as it is known."""
    places = (str(node.location) for node in outputs if node.location)
    return next(places, "?")
