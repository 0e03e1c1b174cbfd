"""Which results take over the memory of inputs that are given up: by the caller of a program, and
by a loop that goes on to its next turn."""

from __future__ import annotations

from collections.abc import Sequence

from weftc.assembly.compiled import Compiled
from weftc.fusion.kernel import Kernel
from weftc.fusion.regions import initial_state
from weftc.ir.node import Node
from weftc.loop.in_place import runs_in_place


def aliases(
    compiled: Compiled, donated: Sequence[int], outputs: Sequence[Node]
) -> tuple[tuple[int, int], ...]:
    """(output, donated input whose memory it takes over), for as many as can be: inputs of the same
    type that are read for the last time before the output is written, or by the same kernel,
    element by element, or that the loop starts from. Those of the same step come first: they are
    read late."""
    if not donated:
        return ()
    inputs, lives = compiled.plan.graph.inputs, _Lives(compiled)
    taken: dict[int, int] = {}
    for fits in (lives.meet, lives.follow):
        for number, output in enumerate(outputs):
            free = (k for k in donated if k not in taken.values() and number not in taken)
            fitting = (k for k in free if inputs[k].type == output.type and fits(inputs[k], output))
            found = next(fitting, None)
            if found is not None:
                taken[number] = found
    return tuple(sorted(taken.items()))


def updated_in_place(turn: Compiled, state: Sequence[Node]) -> frozenset[int]:
    """The parts of a loop's state, by number, that may be written over what is read of them: `turn`
    is what runs again and again, and `state` are the inputs that it has for them."""
    lives = _Lives(turn)
    pairs = enumerate(zip(state, turn.plan.graph.outputs))
    arrays = [(number, *pair) for number, pair in pairs if pair[0].is_tensor]
    return frozenset(n for n, i, o in arrays if lives.meet(i, o) or lives.follow(i, o))


class _Lives:
    """When the steps of a plan read and write."""

    def __init__(self, compiled: Compiled) -> None:
        self._compiled = compiled
        steps = compiled.plan.steps
        self._read = {node: k for k, step in enumerate(steps) for node in step.inputs}
        self._written = {node: k for k, step in enumerate(steps) for node in step.outputs}

    def follow(self, given: Node, output: Node) -> bool:
        """Whether an output is written after the last step that reads an input."""
        return self._read.get(given, -1) < self._written[output]

    def meet(self, given: Node, output: Node) -> bool:
        """Whether a step is the last to read an input, and writes an output in its place: a kernel,
        or a loop whose state starts with the one and ends with the other."""
        number = self._written[output]
        if self._read.get(given) != number:
            return False
        step = self._compiled.plan.steps[number]
        if isinstance(step, Kernel):
            return self._in_place(step, given, output)
        operands, part = step.node.inputs, step.results.index(output)
        return operands.count(given) == 1 and initial_state(step.node)[part : part + 1] == (given,)

    def _in_place(self, kernel: Kernel, given: Node, output: Node) -> bool:
        nodes, loops = self._compiled.lowered[kernel].buffers, self._compiled.loops[kernel]
        if given not in nodes:
            return True
        read, written = (loops.buffers[nodes.index(node)] for node in (given, output))
        return runs_in_place(loops, read, written)
