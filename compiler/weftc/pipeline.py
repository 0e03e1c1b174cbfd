"""The compiler's table of contents: every stage from a traced graph to a Program, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from weftc import cluster
from weftc.assembly import program as programs
from weftc.assembly.compiled import Compiled
from weftc.assembly.donation import updated_in_place
from weftc.cluster import Cluster, Clusters
from weftc.codegen import cuda
from weftc.fusion import clusters, memory, regions
from weftc.fusion.kernel import Kernel, KernelPlan, MemoryPlan, Region, Step
from weftc.fusion.memory import Scratch
from weftc.ir.constraints import Assumptions, assuming
from weftc.ir.digest import digest
from weftc.ir.hosts import host_functions
from weftc.ir.node import Graph, Node
from weftc.loop.ir import LoopFunction
from weftc.passes.brief_products import write_brief_products
from weftc.passes.columns import write_columns
from weftc.passes.control import trim_control
from weftc.passes.cse import eliminate_common_subexpressions
from weftc.passes.empty import replace_empty
from weftc.passes.fold import fold_constants
from weftc.passes.hoist import hoist_invariants
from weftc.passes.inline import inline_calls
from weftc.passes.merge import merge_scans
from weftc.passes.own_outputs import own_each_output, own_outputs
from weftc.passes.place_windows import place_windows
from weftc.passes.share import share_branches
from weftc.passes.simplify import simplify
from weftc.passes.unroll import unroll_scans
from weftc.schedule.cuda.bind import bind
from weftc.schedule.lowered import Lowered
from weftc.transforms.pairs import for_program, is_complex
from weftc.validate import Validator
from weftrt.lazy import lazy
from weftrt.options import Options
from weftrt.program import ArraySpec, KernelCode, Program

PASSES: tuple[Callable[[Graph], Graph], ...] = (
    inline_calls,
    write_columns,
    replace_empty,
    place_windows,
    write_brief_products,
    simplify,
    fold_constants,
    eliminate_common_subexpressions,
    merge_scans,
    share_branches,
    trim_control,
    unroll_scans,
    simplify,
    fold_constants,
    eliminate_common_subexpressions,
    hoist_invariants,
    own_outputs,
)
"""Graph -> Graph, one file each. Dead code needs no pass: a graph is what its outputs reach."""

BY_NODE: Mapping[Callable[[Graph], Graph], Callable[[Graph, Graph], Graph]] = {
    simplify: simplify,
    fold_constants: fold_constants,
}
"""Those that look at nodes one by one, as functions of a graph and what they made before: they look
at new nodes only."""

BODY_PASSES = (eliminate_common_subexpressions, own_each_output)
"""For the body of a region, which the passes over the whole have been through: only a loop's turn
is new, as a body with a condition."""


def optimize(
    graph: Graph,
    validator: Validator | None = None,
    passes: Sequence[Callable[[Graph], Graph]] = PASSES,
) -> Graph:
    """Run `passes` over `graph`, each checked by `validator`: what one leaves as it was needs no
    check, nor the same pass again."""
    validator = validator or Validator()
    validator.begin(graph)
    made: dict[Callable[[Graph], Graph], Graph] = {}
    for run in passes:
        before = made.get(run)
        if before is graph:
            continue
        with assuming(Assumptions(graph.constraints)):
            again = BY_NODE.get(run) if before is not None else None
            result = made[run] = again(graph, before) if again and before else run(graph)
        if result is not graph:
            validator.after(run.__name__, result)
        graph = result
    return graph


@dataclass(frozen=True, eq=False)
class Stages:
    """Everything between a traced graph and its Program, computed when first looked at."""

    graph: Graph
    options: Options
    validator: Validator
    known: Clusters
    ready: Callable[[KernelCode], object]
    """Told of each kernel's code as soon as it is known, and may be used."""
    prefix: str = ""
    """What the numbers of kernels start with: those of the regions that this is a body of."""

    @lazy
    def optimized(self) -> Graph:
        if self.prefix:
            return optimize(self.graph, self.validator, BODY_PASSES)
        return optimize(for_program(self.graph), self.validator, PASSES)

    @lazy
    def plan(self) -> KernelPlan:
        plan = clusters.fuse(self.optimized)
        self.validator.fusion(plan)
        return plan

    @lazy
    def bodies(self) -> dict[Region, tuple[Stages, ...]]:
        """The stages of the bodies of each region."""
        return {
            step: tuple(self._body(body, f"{index}_{k}_") for k, body in enumerate(step.bodies))
            for index, step in enumerate(self.plan.steps)
            if isinstance(step, Region)
        }

    def _body(self, graph: Graph, place: str) -> Stages:
        validator, prefix = self.validator.nested(), self.prefix + place
        graph = replace(graph, constraints=self.graph.constraints)
        return replace(self, graph=graph, validator=validator, prefix=prefix)

    def all(self) -> Iterator[Stages]:
        """These stages, then those of all bodies."""
        yield self
        for bodies in self.bodies.values():
            for body in bodies:
                yield from body.all()

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        return self.plan.kernels

    @lazy
    def clusters(self) -> tuple[Cluster, ...]:
        """What each kernel has in common with equal ones."""
        return tuple(self.known.of(kernel, self.options.target) for kernel in self.kernels)

    @lazy
    def lowered(self) -> tuple[Lowered, ...]:
        return tuple(map(Cluster.lowered_for, self.clusters, self.kernels, self._names()))

    def _names(self) -> Iterator[str]:
        for index, step in enumerate(self.plan.steps):
            if isinstance(step, Kernel):
                yield f"{step.kind.value}_{self.prefix}{index}"

    @lazy
    def lowered_of(self) -> dict[Kernel, Lowered]:
        return dict(zip(self.kernels, self.lowered, strict=True))

    @lazy
    def loops(self) -> tuple[LoopFunction, ...]:
        for kernel, low in zip(self.kernels, self.lowered, strict=True):
            self.validator.loops("schedule", kernel, low, low.function)
        return tuple(low.function for low in self.lowered)

    @lazy
    def widened(self) -> tuple[LoopFunction, ...]:
        return tuple(map(self._widened, self.loops, self.clusters, self.kernels, self.lowered))

    def _widened(
        self, written: LoopFunction, shared: Cluster, kernel: Kernel, low: Lowered
    ) -> LoopFunction:
        self.validator.loops("widening", kernel, low, shared.widened)
        self.validator.loops("simplify", kernel, low, shared.simplified)
        return shared.simplified.named(written.name)

    @lazy
    def memory(self) -> MemoryPlan:
        places = memory.plan(self.plan, self.scratch)
        self.validator.memory(self.plan, self.scratch, places)
        return places

    @lazy
    def scratch(self) -> tuple[dict[str, Scratch], ...]:
        """What each step needs while it runs, by name."""
        return tuple(map(self._scratch, self.plan.steps))

    def _scratch(self, step: Step) -> dict[str, Scratch]:
        if isinstance(step, Region):
            arenas = [body.memory.arena for body in self.bodies[step]]
            return regions.scratch(step, arenas, self._in_place(step))
        low = self.lowered_of[step]
        pairs = zip(low.function.scratch, low.scratch, strict=True)
        return {b.name: Scratch(size, b.dtype.itemsize) for b, size in pairs}

    def _in_place(self, region: Region) -> frozenset[int]:
        """The parts of the state of a loop that need no second buffer."""
        if not regions.is_loop(region.node):
            return frozenset()
        turn = self.bodies[region][-1]
        return updated_in_place(turn.compiled, regions.state_inputs(region.node, turn.graph))

    @lazy
    def codes(self) -> tuple[KernelCode, ...]:
        """LLVM IR per kernel, under a symbol that names its content: equal kernels are one."""
        if not self.validator.checks:
            for shared in self.clusters:
                self.ready(shared.code)
        rows = zip(self.kernels, self.lowered, self.clusters, self.widened, strict=True)
        for kernel, low, shared, _ in rows:  # the widened loops are checked first
            self.validator.emission(kernel, low, shared.code)
        return tuple(shared.code for shared in self.clusters)

    @property
    def llvm(self) -> tuple[str, ...]:
        return tuple(code.llvm for code in self.codes)

    @lazy
    def cuda(self) -> str:
        """CUDA C of every kernel that has a CUDA schedule, those of bodies too."""
        bound = [(stages, [bind(loop) for loop in stages.loops]) for stages in self.all()]
        text = cuda.emit([loop for _, loops in bound for loop in loops])
        for stages, loops in bound:
            stages.validator.cuda(stages.plan, stages.lowered, loops, text)
        return text

    @lazy
    def compiled(self) -> Compiled:
        """All that the program is made of."""
        codes = dict(zip(self.kernels, self.codes, strict=True))  # first: others wait for them
        return Compiled(
            self.plan,
            self.memory,
            self.lowered_of,
            dict(zip(self.kernels, self.widened, strict=True)),
            codes,
            {region: tuple(b.compiled for b in bodies) for region, bodies in self.bodies.items()},
        )

    @lazy
    def program(self) -> Program:
        key, functions = program_key(self.graph, self.options), host_functions(self.graph)
        program = programs.assemble(self.compiled, key, self.options, functions)
        self.validator.program(program)
        return with_complex(program, self.graph)


def with_complex(program: Program, graph: Graph) -> Program:
    """The program of `for_program(graph)` with the complex arrays that `graph` takes and gives."""
    inputs, outputs = list(program.inputs), list(program.outputs)
    for place, node in enumerate(graph.inputs):
        inputs[place] = _complex_spec(inputs[place], node)
    for place, node in zip(program.results, graph.outputs):
        outputs[place] = _complex_spec(program.outputs[place], node)
    return replace(program, inputs=tuple(inputs), outputs=tuple(outputs))


def _complex_spec(spec: ArraySpec, node: Node) -> ArraySpec:
    if not is_complex(node.value_type):
        return spec
    return ArraySpec(node.type.dtype, spec.shape[: node.type.rank])


def _nobody(code: KernelCode) -> None:
    """Nobody waits for a kernel's code."""


def stages(
    graph: Graph,
    options: Options,
    validator: Validator | None = None,
    ready: Callable[[KernelCode], object] = _nobody,
) -> Stages:
    """The stages of compiling `graph` for `options`, lazily, each checked by `validator`. Where
    something is checked, nothing is used that was compiled for another program."""
    validator = validator or Validator()
    known = Clusters() if validator.checks else cluster.SHARED
    return Stages(graph, options, validator, known, ready)


def compile(
    graph: Graph,
    options: Options,
    validator: Validator | None = None,
    ready: Callable[[KernelCode], object] = _nobody,
) -> Program:
    """Compile `graph` for `options`. `ready` is told of each kernel's code, perhaps more than once,
    as soon as it is known."""
    return stages(graph, options, validator, ready).program


def program_key(graph: Graph, options: Options) -> str:
    """What a compiled program depends on, but for the compiler's own source (the cache adds it)."""
    return sha256(f"{digest(graph)} {options}".encode()).hexdigest()
