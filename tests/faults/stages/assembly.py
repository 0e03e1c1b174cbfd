"""Programs that run other steps, in other buffers, or for other sizes, than they should."""

from __future__ import annotations

from tests.compiler.schedule.networks import op
from tests.faults import control, programs
from tests.faults.fault import Fault
from tests.faults.programs import N

_ASSEMBLY = "weftc.assembly"

FAULTS: dict[str, tuple[Fault, ...]] = {
    "assembly": (
        Fault(
            "a constraint of sizes is dropped",
            f"{_ASSEMBLY}.size_slots:SizeSlots.checks",
            "map(self._check, constraints)",
            "map(self._check, constraints[1:])",
            lambda x: op("max", x(N, 5), axes=(0,)),
        ),
        Fault(
            "a constraint is one too lenient",
            f"{_ASSEMBLY}.size_slots:SizeSlots._check",
            "excess_of(constraint)",
            "excess_of(constraint) + 1",
            lambda x: op("max", x(N, 5), axes=(0,)),
        ),
        Fault(
            "an axis that derives from others is not checked",
            f"{_ASSEMBLY}.size_slots:SizeSlots.checks",
            "map(self._derivation, derived)",
            "map(self._derivation, derived[1:])",
            lambda x: op("add", op("concat", x(N), x(N), axis=0), x(N * 2)),
        ),
        Fault(
            "buffers of a step in reverse",
            f"{_ASSEMBLY}.instructions:Instructions._launch",
            "for node in low.buffers]",
            "for node in low.buffers[::-1]]",
            lambda x: op("exp", x(9)),
        ),
        Fault(
            "one output for all",
            f"{_ASSEMBLY}.program:assemble",
            "outputs.index(o)",
            "0",
            programs.two_outputs,
        ),
        Fault(
            "a factor of a size is dropped",
            f"{_ASSEMBLY}.size_slots:SizeSlots.expression",
            "insert(0, (coefficient,))",
            "insert(0, (1,))",
            programs.sizes,
        ),
        Fault(
            "the places of errors of another kernel",
            f"{_ASSEMBLY}.instructions:Instructions._launch",
            "site = len(self.sites)",
            "site = len(self.sites) + 1",
            programs.gather,
        ),
        Fault(
            "written over what another turn reads",
            "weftc.loop.in_place:_keeps",
            "return loaded == stored",
            "return True",
            programs.flipped_square,
            donated=(0,),
        ),
        Fault(
            "written over what a later step reads",
            f"{_ASSEMBLY}.donation:_Lives.__init__",
            "enumerate(steps) for node in step.inputs",
            "reversed([*enumerate(steps)]) for node in step.inputs",
            programs.read_again,
            donated=(0,),
        ),
        Fault(
            "state does not move on",
            f"{_ASSEMBLY}.control:_rotate",
            "Rotate(s.read, s.written, s.spare)",
            "Rotate(s.written, s.read, s.spare)",
            control.sums,
        ),
        Fault(
            "both turns write to one buffer",
            f"{_ASSEMBLY}.control:_state",
            "Point(spare, result)",
            "Point(spare, other)",
            control.sums,
        ),
        Fault(
            "state is written over while a turn still reads it",
            f"{_ASSEMBLY}.donation:updated_in_place",
            "lives.meet(i, o) or lives.follow(i, o)",
            "lives.meet(i, o) or True",
            control.sums,
        ),
        Fault(
            "what is updated in place is read from where it started",
            f"{_ASSEMBLY}.control:_rotate",
            "Point(s.read, s.result)",
            "Point(s.read, s.read)",
            control.sums,
        ),
        Fault(
            "a loop starts from what lies in its result",
            f"{_ASSEMBLY}.control:_state",
            "Point(read, first)",
            "Point(read, result)",
            control.sums,
        ),
        Fault(
            "a loop's last turn is forgotten where it ends in the spare buffer",
            f"{_ASSEMBLY}.control:_finish",
            "s.read, s.result",
            "s.result, s.result",
            control.odd_turns,
        ),
        Fault(
            "a loop runs at least once",
            f"{_ASSEMBLY}.control:fori",
            "Count(counter, upper, run.here)",
            "Count(counter, upper, first + 1)",
            control.between_bounds,
        ),
        Fault(
            "a loop counts from nothing",
            f"{_ASSEMBLY}.control:fori",
            "Copy(lower, counter",
            "Copy(upper, counter",
            control.between_bounds,
        ),
        Fault(
            "a loop runs while its condition fails",
            f"{_ASSEMBLY}.control:while_loop",
            "(end, turn)",
            "(turn, end)",
            control.doubled,
        ),
        Fault(
            "a branch runs into the next",
            f"{_ASSEMBLY}.control:branch",
            "Jump(run.here)",
            "Jump(end + 1)",
            control.chosen,
        ),
        Fault(
            "branches in reverse",
            f"{_ASSEMBLY}.control:branch",
            "tuple(targets)",
            "tuple(targets[::-1])",
            control.chosen,
        ),
        Fault(
            "a body's values lie over those around it",
            f"{_ASSEMBLY}.instructions:Instructions.run",
            "inner = arena + memory.scratch.get((index, BODIES), 0)",
            "inner = arena",
            control.sorted_in_loop,
        ),
        Fault(
            "a result lies in an input that is read later",
            f"{_ASSEMBLY}.donation:_Lives.follow",
            "self._read.get(given, -1) < self._written[output]",
            "True",
            programs.two_products,
            donated=(0,),
        ),
        Fault(
            "a kernel writes over what it reads elsewhere",
            f"{_ASSEMBLY}.donation:_Lives._in_place",
            "runs_in_place(loops, read, written)",
            "True",
            programs.flipped_square,
            donated=(0,),
        ),
        Fault(
            "a routine is given its result first",
            f"{_ASSEMBLY}.regions:_call_routine",
            "(*frame.operands, *frame.results)",
            "(*frame.results, *frame.operands)",
            control.sorted_in_loop,
        ),
        Fault(
            "one buffer for two results of a body",
            "weftc.passes.own_outputs:own_each_output",
            "if node in seen else",
            "if node.op.name == 'input' else",
            control.swapped,
        ),
        Fault(
            "the condition of a loop is asked of the state before",
            "weftc.fusion.regions:_turn",
            "(*body.outputs, *body.inputs[len(body.outputs) :])",
            "body.inputs",
            control.doubled,
        ),
        Fault(
            "a body's arena is too small",
            "weftc.fusion.regions:scratch",
            "upper_bound(arenas)",
            "min(1, upper_bound(arenas))",
            control.sorted_in_loop,
        ),
    ),
}
