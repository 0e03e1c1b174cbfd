"""Why a value goes through memory, in a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from weftc.fusion.kernel import Kernel, KernelKind
from weftc.ir.node import Node
from weftc.ir.opdef import Family


@dataclass(frozen=True)
class Unfused:
    """Why the edge producer -> consumer goes through memory."""

    producer: Node
    consumer: Node
    reason: str


def unfused(kernels: Sequence[Kernel]) -> Iterator[Unfused]:
    """A reason for each pair of a written value and a kernel that reads it."""
    written = {node: kernel for kernel in kernels for node in kernel.outputs}
    for kernel in kernels:
        first: dict[Node, Node] = {}
        for node in kernel.nodes:
            for operand in node.inputs:
                first.setdefault(operand, node)
        for node in kernel.inputs:
            if node in written:
                reader = first[node]
                yield Unfused(node, reader, _reason(node, written[node], reader, kernel))


def _reason(value: Node, producer: Kernel, reader: Node, consumer: Kernel) -> str:
    """A short code and a sentence."""
    for code, sentence, applies in (
        (
            "operand",
            "a contraction reads each element of its operands many times",
            consumer.kind is KernelKind.CONTRACTION and _reaches_contraction(value, consumer),
        ),
        (
            "scatter",
            "a scatter runs in index order, apart from what reads or feeds it",
            KernelKind.SCATTER in (producer.kind, consumer.kind),
        ),
        (
            "cumulative",
            "each of its elements waits for the one before, in a loop of its own",
            KernelKind.CUMULATIVE in (producer.kind, consumer.kind),
        ),
        (
            "gather",
            "its elements are read at indices known only at run time",
            reader.op.family is Family.INDEXING and reader.inputs[0] is value,
        ),
        (
            "reduction",
            "all of it must be known before a reduction over other axes is",
            consumer.kind in (KernelKind.REDUCTION, KernelKind.ROWWISE),
        ),
        (
            "reduced",
            "its reduction must end before its readers, which run over other axes, begin",
            producer.kind in (KernelKind.REDUCTION, KernelKind.ROWWISE),
        ),
        (
            "product",
            "its readers do not visit the elements of the product one by one",
            producer.kind is KernelKind.CONTRACTION,
        ),
    ):
        if applies:
            return f"{code}: {sentence}"
    return "shared: computing it again in every reader would cost more than reading it"


def _reaches_contraction(value: Node, consumer: Kernel) -> bool:
    """Whether the contract of `consumer` reads `value`, through movement or not."""
    for node in consumer.nodes:
        if node.op.family is Family.CONTRACTION:
            pending = list(node.inputs)
            while pending:
                operand = pending.pop()
                if operand is value:
                    return True
                if operand.op.family is Family.MOVEMENT:
                    pending += operand.inputs
    return False
