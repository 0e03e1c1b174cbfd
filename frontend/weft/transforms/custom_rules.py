"""The rules that a user wrote for a function, as graphs: traced for one call of it, and checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from weft import diagnostics, tree
from weft.bodies import fits
from weft.control import called
from weft.promotion import convert
from weft.tracing import OPERANDS, Trace, Tracer, active, call_function, entered, lift
from weft.transforms.arguments import grouped
from weft.transforms.custom_call import Call, Function
from weft.transforms.traced import zeros
from weft.tree import Structure
from weftc.ir.node import Graph, Node, toposort
from weftc.ir.types import TensorType, ValueType
from weftc.ops import TABLE, build
from weftc.ops.check import describe, same_sizes
from weftc.transforms.rules import Push, Reverse, arguments
from weftc.transforms.vjp import has_slopes
from weftrt.errors import DTypeError, ShapeError, TraceError, UsageError, WeftError


class _RuleTrace(Trace):
    """The run of a rule, whose graph is closed but for arrays. `held` are the nodes that stand in
    it for values of outside; effects follow `token`."""

    def __init__(self, name: str, held: Mapping[Node, Node], token: Node | None, hint: str) -> None:
        super().__init__(name, 0)
        self._parent = active()
        self._held = held
        self.token = token
        self._hint = hint

    def last_token(self) -> Node:
        if self.token is None:
            problem = f"{self.name} has an effect (a print, check or callback), {self._hint}"
            raise diagnostics.located(TraceError, problem)
        return self.token

    def knows(self, tracer: Tracer) -> bool:
        return True

    def node_of(self, tracer: Tracer) -> Node:
        found = tracer.made if tracer.is_of(self) else self._held.get(tracer.made)
        if found is None:
            problem = f"{self.name} reads a traced value from around it ({tracer.made.type}); "
            problem += "make it an argument, or a residual"
            raise diagnostics.located(TraceError, problem)
        return found

    def note_numpy(self) -> None:
        self._parent.note_numpy()

    def capture(self, array: Any) -> Node:
        return self._parent.capture(array)


class _Graphs:
    """The rules of one call, traced when they are asked for."""

    def __init__(self, call: Call, rules: Mapping[str, Function]) -> None:
        self._call = call
        self._rules = dict(rules)
        self._made: dict[Any, Any] = {}

    def of(self, types: Sequence[ValueType]) -> Any:
        """The rules for operands of these types, traced once in a trace."""
        key = active(), tuple(types)
        if key not in self._made:
            self._made[key] = self._traced(types)
        return self._made[key]

    def _traced(self, types: Sequence[ValueType]) -> Any:
        raise NotImplementedError

    def _trace(self, role: str, outside: Sequence[Node], token: Node | None) -> _RuleTrace:
        """A trace for a rule: `outside` stand for the operands that are no arguments."""
        call = self._call
        first = call.operands - len(outside)
        held = {n: p if isinstance(p, Node) else outside[p - first] for n, p in call.held.items()}
        return _RuleTrace(self._name(role), held, token, f"which {call.custom.of} has not")

    def _name(self, role: str) -> str:
        name: str = getattr(self._rules[role], "__name__", role)
        return role if name == "<lambda>" else name

    def _leaves(self, inputs: Sequence[Node], trace: Trace) -> list[Tracer]:
        """The leaves of the arguments, in a trace of a rule."""
        return [Tracer(n, trace, weak) for n, weak in zip(inputs, self._call.weak)]

    def _after_fixed(self, role: str, names: Sequence[str], *given: Any) -> Any:
        """What a rule gives that takes the arguments without a derivative first."""
        fixed = self._call.fixed
        names = [*(f"argument {place}" for place in sorted(fixed)), *names]
        return self._called(role, names, *(fixed[place] for place in sorted(fixed)), *given)

    def _called(self, role: str, names: Sequence[str], *given: Any) -> Any:
        """What a rule gives; TypeError, with what it is called with, if it does not take that."""
        rule = self._rules[role]
        return called(self._call.custom.of, names, role, rule, lambda: call_function(rule, *given))

    # -- what rules return ------------------------------------------------------------------------

    def _wrong(self, kind: type[WeftError], role: str, problem: str) -> WeftError:
        at = diagnostics.definition(self._rules[role])
        problem = f"{self._call.custom.of}: {self._name(role)} {problem}"
        return diagnostics.located(kind, problem, at)

    def _pair(self, role: str, second: str, result: Any) -> tuple[Any, Any]:
        if isinstance(result, (tuple, list)) and len(result) == 2:
            return result[0], result[1]
        problem = f"returns {_text(result)}, not a pair of the result and {second}"
        raise self._wrong(UsageError, role, problem)

    def _result(self, role: str, value: Any) -> list[Node]:
        """The leaves of a result, which is like that of the function."""
        leaves = self._like(role, self._call.structure, value, "the result")
        pairs = zip(leaves, self._call.types, strict=True)
        return [self._leaf(role, what, leaf, type_) for (what, leaf), type_ in pairs]

    def _leaf(self, role: str, what: str, leaf: Any, type_: TensorType, weak: bool = False) -> Node:
        """A leaf of this type, or of any float dtype for what is `weak`: a number, which takes the
        dtype of what it meets. An error where it has another."""
        if not isinstance(leaf, OPERANDS):
            problem = f"gives {_text(leaf)} as {what}, which is {describe(type_)}"
            raise self._wrong(UsageError, role, problem)
        value = lift(leaf)
        is_shaped = same_sizes(value.type.shape, type_.shape)
        is_fitting = fits(value, type_.dtype) or (weak and value.dtype.is_float)
        if not is_shaped or not is_fitting:
            problem = f"gives {describe(value.type)} as {what}, which is {describe(type_)}"
            raise self._wrong(DTypeError if is_shaped else ShapeError, role, problem)
        return convert(value, type_.dtype).node

    def _slope(
        self, role: str, what: str, leaf: Any, type_: TensorType, weak: bool = False
    ) -> Node:
        """A cotangent or a tangent of what has this type; zeros where there is none."""
        return zeros(type_).node if leaf is None else self._leaf(role, what, leaf, type_, weak)

    def _like(
        self, role: str, structure: Structure, given: Any, what: str, may_lack: bool = False
    ) -> Iterator[tuple[str, Any]]:
        """The leaves of a tree of this structure, and what each is; None for those of a part that
        is None where one may be left out."""
        if structure.kind is None or (given is None and may_lack):
            yield from [(what, given)] * structure.leaves()
            return
        fits_kind = type(given) is structure.kind
        keys, children, _ = tree.rules_of(structure.kind).split(given) if fits_kind else ((), (), 0)
        if not fits_kind or keys != structure.keys:
            problem = f"gives {_text(given)} as {what}, which is {structure}"
            raise self._wrong(UsageError, role, problem)
        for key, child, part in zip(keys, structure.children, children, strict=True):
            yield from self._like(role, child, part, f"{what}[{key!r}]", may_lack)


class ReverseGraphs(_Graphs):
    """The rules for reverse mode."""

    def _traced(self, types: Sequence[ValueType]) -> Reverse:
        inputs, name = arguments(types), self._call.custom.of
        token, outside = self._call.parted(inputs)
        trace = self._trace("forward", outside, token)
        with entered(trace):
            args = self._call.args(self._leaves(inputs, trace))
            result = self._called("forward", [f"argument {k}" for k in range(len(args))], *args)
            value, residuals = self._pair("forward", "residuals", result)
            outputs = self._result("forward", value)
            leaves, structure = tree.flatten(residuals)
            nodes = [leaf.node for leaf in leaves if isinstance(leaf, Tracer)]
        outputs += [] if trace.token is None else [trace.token]
        forward = Graph(name, tuple(inputs), (*outputs, *nodes, *outside))
        held = arguments([node.value_type for node in (*nodes, *outside)])
        gs = [build.argument(0, "cotangent", t) for t in self._call.types if t.dtype.is_inexact]
        sent = self._sent(leaves, structure, held, gs)
        floats = [zeros_of(node) for node in outside if has_slopes(node)]
        return Reverse(len(outputs), forward, Graph(name, (*held, *gs), (*sent, *floats)))

    def _sent(
        self, leaves: Sequence[Any], structure: Structure, held: Sequence[Node], gs: Sequence[Node]
    ) -> list[Node]:
        """The cotangents of the arguments that are floats. `held` stand for the residuals among
        `leaves` that are traced, and for what is read from outside."""
        call, read, arriving = self._call, iter(held), iter(gs)
        start = TABLE["token"]()
        count = sum(isinstance(leaf, Tracer) for leaf in leaves)
        trace = self._trace("backward", held[count:], start)
        with entered(trace):
            kept = [
                Tracer(next(read), trace, leaf.weak) if isinstance(leaf, Tracer) else leaf
                for leaf in leaves
            ]
            cotangents = [
                Tracer(next(arriving), trace) if t.dtype.is_inexact else zeros(t)
                for t in call.types
            ]
            trees = structure.unflatten(kept), call.structure.unflatten(cotangents)
            result = self._after_fixed("backward", ["residuals", "cotangent"], *trees)
            sent = self._cotangents(result)
        self._check_effects(trace.last_token(), sent)
        return sent

    def _cotangents(self, result: Any) -> list[Node]:
        call = self._call
        if not isinstance(result, (tuple, list)) or len(result) != len(call.places):
            count = len(call.places)
            problem = f"returns {_text(result)}, not a tuple of {count}, a cotangent for each "
            raise self._wrong(UsageError, "backward", f"{problem}argument")
        found = [
            leaf
            for place, structure, part in zip(call.places, call.structures, result, strict=True)
            for leaf in self._like(
                "backward", structure, part, f"the cotangent of argument {place}", True
            )
        ]
        return [
            self._slope("backward", what, leaf, type_, weak)
            for (what, leaf), type_, weak in zip(found, call.leaf_types, call.weak, strict=True)
            if type_.dtype.is_inexact
        ]

    def _check_effects(self, last: Node, sent: Sequence[Node]) -> None:
        """An effect of `backward` happens where what it gives is read, and nowhere else."""
        read = set(toposort(sent))
        for node in toposort([last]):
            if node.op.effect and node not in read:
                problem = "has an effect (a print, check or callback) of which no cotangent depends"
                raise self._wrong(TraceError, "backward", f"{problem}, so that it would not happen")


class ForwardGraphs(_Graphs):
    """The rule for forward mode."""

    def _traced(self, types: Sequence[ValueType]) -> Push:
        call, inputs = self._call, arguments(types)
        token, outside = call.parted(inputs)
        given = [build.argument(0, "tangent", n.type) for n in inputs if has_slopes(n)]
        moving = dict(zip(filter(has_slopes, inputs), given))
        trace = self._trace("rule", outside, token)
        with entered(trace):
            leaves = self._leaves(inputs, trace)
            tangents = [
                Tracer(moving[n], trace, weak) if n in moving else zeros(n.type)
                for n, weak in zip(inputs, call.weak)
            ]
            trees = [tuple(grouped(some, call.structures)) for some in (leaves, tangents)]
            result = self._after_fixed("rule", ["primals", "tangents"], *trees)
            value, slope = self._pair("rule", "its tangent", result)
            outputs = self._result("rule", value)
            slopes = self._like("rule", call.structure, slope, "the tangent of the result", True)
            moved = [
                self._slope("rule", what, leaf, type_)
                for (what, leaf), type_ in zip(slopes, call.types, strict=True)
                if type_.dtype.is_inexact
            ]
        outputs += [] if trace.token is None else [trace.token]
        graph = Graph(call.custom.of, (*inputs, *given), (*outputs, *moved))
        return Push(len(outputs), graph)


def zeros_of(node: Node) -> Node:
    """The cotangent of what has no part in a rule."""
    return build.like(0.0, node)


def _text(value: Any) -> str:
    """What a rule returned, for an error."""
    if isinstance(value, OPERANDS):
        return "an array" if not isinstance(value, (bool, int, float)) else "a number"
    if tree.is_branch(value) and value is not None:
        return str(tree.structure(value))
    return "None" if value is None else diagnostics.kind_of(value)
