"""Derivatives that users write, as graphs. One mode is given, the other is its transpose.

    reverse: forward (x) -> (y, residuals);  backward (residuals, g) -> the cotangent of x
    push:    (x, t) -> (y, the tangent of y)

sin with the pullback g * cos(x): forward (x) -> (sin(x), x), backward (x, g) -> g * cos(x). Its
push is (x, t) -> (sin(x), t * cos(x)): the transpose of backward, on the residuals of forward. And
from that push the reverse comes back: cos(x) is what it reads of x, and t -> t * cos(x) is linear.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias

from weftc.ir.node import Graph, Node, inlined, numbered, rewrite, substitute, toposort
from weftc.ir.opdef import HostFunction, Mapper
from weftc.ir.sizes import Size
from weftc.ir.types import TensorType, TokenType, ValueType
from weftc.ops import build
from weftc.passes.control import trim_control
from weftc.transforms.batch import is_mapped, mapper_of
from weftc.transforms.linearize import linearized
from weftc.transforms.vjp import has_slopes
from weftrt.dtypes import complex_of
from weftrt.errors import TraceError

Types: TypeAlias = Sequence[ValueType]


class Reverse(NamedTuple):
    """A pullback. `forward` gives `results` results, then residuals; `backward` takes the residuals
    and a cotangent for each result that is a float, and gives one for each operand that is."""

    results: int
    forward: Graph
    backward: Graph


class Asked(NamedTuple):
    """Which results that are floats have a cotangent, and which operands that are floats need one.
    `backward` may give zeros where none is needed."""

    given: Sequence[bool]
    wanted: Sequence[bool]


class Push(NamedTuple):
    """A push. `graph` takes operands, and tangents of those that are floats, and gives `results`
    results, and tangents of those that are."""

    results: int
    graph: Graph


@dataclass(frozen=True, eq=False)
class Rule(HostFunction):
    """The derivative of a call of so many operands, for any types of these; `function` makes it."""

    operands: int
    _mapped: dict[tuple[Size, tuple[bool, ...], bool], Rule] = field(
        default_factory=dict, init=False, repr=False
    )
    _in_parts: dict[tuple[bool, ...], Rule] = field(default_factory=dict, init=False, repr=False)

    def reverse(self, types: Types) -> Reverse:
        """The pullback for operands of these types."""
        raise NotImplementedError

    def asked(self, types: Types, asked: Asked) -> Reverse:
        """The pullback of cotangents that are `given`: no others are among its inputs."""
        count, forward, backward = self.reverse(types)
        first = len(backward.inputs) - len(asked.given)
        pairs = list(zip(backward.inputs[first:], asked.given, strict=True))
        zeros = {g: build.like(0.0, g) for g, is_given in pairs if not is_given}
        inputs = (*backward.inputs[:first], *(g for g, is_given in pairs if is_given))
        return Reverse(count, forward, replace(substitute(backward, zeros), inputs=inputs))

    def after_push(self, push: Push) -> Rule | None:
        """The rule of a call that computes `push`; none where it is differentiated as it is."""
        return None

    def of_part(self, body: Graph) -> Rule | None:
        """The rule of a call of less of the body; none where the rule is of all results."""
        return None

    def push(self, types: Types) -> Push:
        """The push for operands of these types."""
        raise NotImplementedError

    def mapped(self, size: Size, batched: tuple[bool, ...], is_masked: bool) -> Rule:
        """The rule of the mapped call, one for all that are mapped alike. If `is_masked`, a first
        operand more tells which elements are active."""
        key = size, batched[: self.operands], is_masked
        if key not in self._mapped:
            count = self.operands + is_masked
            self._mapped[key] = _MappedRule(lambda: None, count, self, *key)
        return self._mapped[key]

    def in_parts(self, is_complex: tuple[bool, ...]) -> Rule:
        """The rule of the call that takes, and gives, the parts of complex numbers one by one: one
        for all whose operands are complex alike."""
        if is_complex not in self._in_parts:
            count = self.operands + sum(is_complex[: self.operands])
            self._in_parts[is_complex] = _RuleInParts(lambda: None, count, self, is_complex)
        return self._in_parts[is_complex]


@dataclass(frozen=True, eq=False)
class ReverseRule(Rule):
    """A rule whose `function` gives the pullback."""

    def reverse(self, types: Types) -> Reverse:
        reverse: Reverse = self.function(types)
        return reverse

    def push(self, types: Types) -> Push:
        count, forward, backward = self.reverse(types)
        operands = arguments(types)
        made = inlined(forward, operands)
        gs = _like(made[:count], "cotangent")
        sent = inlined(backward, [*made[count:], *gs])
        tangents = _like(operands, "tangent")
        moved = _transposed(sent, tangents, gs)
        if moved is None:
            problem = f"the reverse rule of {self.name} is not linear in the cotangent"
            raise TraceError(f"{problem}, so there is none for forward mode")
        graph = Graph(self.name, (*operands, *tangents), (*made[:count], *moved))
        return Push(count, graph)


@dataclass(frozen=True, eq=False)
class ForwardRule(Rule):
    """A rule whose `function` gives the push."""

    def reverse(self, types: Types) -> Reverse:
        count, graph = self.push(types)
        operands, given = graph.inputs[: len(types)], graph.inputs[len(types) :]
        results, moved = graph.outputs[:count], graph.outputs[count:]
        residuals, linear = linearized(moved, given)
        held = [build.argument(0, "residual", node.type) for node in residuals]
        gs, tangents = _like(results, "cotangent"), _like(given, "tangent")
        sent = _transposed(inlined(linear, [*held, *tangents]), gs, tangents)
        if sent is None:
            problem = f"the forward rule of {self.name} is not linear in the tangents"
            raise TraceError(f"{problem}, so there is none for reverse mode")
        made = _without(given, (*results, *residuals))
        if made is None:
            problem = f"the forward rule of {self.name} has a result that depends on the tangents"
            raise TraceError(f"{problem}, so there is none for reverse mode")
        forward = Graph(self.name, operands, made)
        return Reverse(count, forward, Graph(self.name, (*held, *gs), tuple(sent)))

    def push(self, types: Types) -> Push:
        push: Push = self.function(types)
        return push


@dataclass(frozen=True, eq=False)
class _MappedRule(Rule):
    """`rule`, for each of `size` elements."""

    rule: Rule
    size: Size
    batched: tuple[bool, ...]
    is_masked: bool

    @property
    def name(self) -> str:
        return self.rule.name

    def reverse(self, types: Types) -> Reverse:
        return self._reverse(types, self.rule.reverse(self._own(types)))

    def asked(self, types: Types, asked: Asked) -> Reverse:
        return self._reverse(types, self.rule.asked(self._own(types), asked))

    def _reverse(self, types: Types, reverse: Reverse) -> Reverse:
        count, forward, backward = reverse
        operands, mapper = arguments(types), mapper_of(self.size)
        active, own = self._parted(operands)
        made = mapper.outputs(forward, own, active)
        results = _whole(forward.outputs[:count], made[:count], mapper)
        residuals = [*operands[: self.is_masked], *made[count:]]
        held = arguments([node.value_type for node in residuals])
        cotangents = backward.inputs[len(forward.outputs) - count :]
        gs = [build.argument(0, "cotangent", self._mapped_type(g)) for g in cotangents]
        active, own = self._parted(held)
        found = mapper.outputs(backward, [*own, *gs], active)
        wanted = [self._is_batched(k) for k, type_ in enumerate(types) if _is_float(type_)]
        rows = zip(backward.outputs, found, wanted, strict=True)
        sent = tuple([_sent(*row, mapper) for row in rows])
        forward = Graph(self.name, tuple(operands), (*results, *residuals))
        return Reverse(count, forward, Graph(self.name, (*held, *gs), sent))

    def push(self, types: Types) -> Push:
        count, graph = self.rule.push(self._own(types))
        operands, mapper = arguments(types), mapper_of(self.size)
        tangents = _like(operands, "tangent")
        active, own = self._parted(operands)
        made = mapper.outputs(graph, [*own, *tangents], active)
        outputs = _whole(graph.outputs, made, mapper)
        return Push(count, Graph(self.name, (*operands, *tangents), tuple(outputs)))

    def _parted(self, nodes: Sequence[Node]) -> tuple[Node | None, Sequence[Node]]:
        """The node that tells which elements are active, if there is one, and the others."""
        return (nodes[0], nodes[1:]) if self.is_masked else (None, nodes)

    def _mapped_type(self, node: Node) -> TensorType:
        return node.type.with_shape((self.size, *node.type.shape))

    def _is_batched(self, place: int) -> bool:
        return self.batched[place - self.is_masked]

    def _own(self, types: Types) -> Types:
        """The types of the operands for one element."""
        return [
            type_.with_shape(type_.shape[1:])
            if is_batched and isinstance(type_, TensorType)
            else type_
            for type_, is_batched in zip(types[self.is_masked :], self.batched, strict=True)
        ]


@dataclass(frozen=True, eq=False)
class _RuleInParts(Rule):
    """`rule`, on the parts of those operands that are complex."""

    rule: Rule
    is_complex: tuple[bool, ...]

    @property
    def name(self) -> str:
        return self.rule.name

    def reverse(self, types: Types) -> Reverse:
        count, forward, backward = self.rule.reverse(self._whole(types))
        return Reverse(_parts(forward.outputs[:count]), *map(_by_parts, (forward, backward)))

    def push(self, types: Types) -> Push:
        count, graph = self.rule.push(self._whole(types))
        return Push(_parts(graph.outputs[:count]), _by_parts(graph))

    def _whole(self, types: Types) -> Types:
        """The types of the operands, from those of their parts."""
        rest = iter(types)
        return [_joined(next(rest), next(rest)) if c else next(rest) for c in self.is_complex]


def _joined(real: ValueType, imag: ValueType) -> ValueType:
    assert isinstance(real, TensorType)
    return real.with_dtype(complex_of(real.dtype))


def _parts(nodes: Sequence[Node]) -> int:
    """How many parts values have, of which real ones are one."""
    return sum(1 + (node.is_tensor and node.type.dtype.is_complex) for node in nodes)


def _by_parts(graph: Graph) -> Graph:
    from weftc.transforms.pairs import by_parts  # which knows of calls by their rules

    return numbered(by_parts(numbered(graph)))


def _sent(before: Node, found: Node, is_batched: bool, mapper: Mapper) -> Node:
    """A cotangent of what is mapped, or of what all elements have in common."""
    if is_batched:
        return found if is_mapped(before, found) else mapper.expanded(found)
    if is_mapped(before, found):
        return build.reduce("sum", found, (0,))
    return found


def _whole(before: Sequence[Node], after: Sequence[Node], mapper: Mapper) -> list[Node]:
    """Results, all mapped."""
    return [a if is_mapped(b, a) else mapper.expanded(a) for b, a in zip(before, after)]


def arguments(types: Types) -> list[Node]:
    """Inputs of a graph for values of these types."""
    return [build.argument(place, f"x{place}", type_) for place, type_ in enumerate(types)]


def _is_float(type_: ValueType) -> bool:
    return isinstance(type_, TensorType) and type_.dtype.is_inexact


def _like(nodes: Sequence[Node], name: str) -> list[Node]:
    """Stand-ins for a cotangent, or a tangent, of each of `nodes` that is a float."""
    return [build.argument(0, name, node.type) for node in nodes if has_slopes(node)]


def _transposed(
    outputs: Sequence[Node], cotangents: Sequence[Node], inputs: Sequence[Node]
) -> Sequence[Node] | None:
    """What the transpose of `inputs` -> `outputs` makes of cotangents; None if it is not linear."""
    from weftc.transforms.complex_derivatives import vjp  # which knows of calls by their rules

    if _has_steps(outputs, inputs):
        return None
    found = vjp(outputs, cotangents, inputs)
    sent = [build.like(0.0, i) if g is None else g for i, g in zip(inputs, found, strict=True)]
    return _without(inputs, sent)


def _has_steps(outputs: Sequence[Node], inputs: Sequence[Node]) -> bool:
    """Whether outputs depend on `inputs` by way of comparisons, rounding or integers: these have no
    slope, so that a transpose would not see them."""
    from weftc.ops.pointwise import no_gradient, stop_gradient  # which are built on transforms

    moved = set(inputs)
    for node in toposort(_trimmed(outputs)):
        if moved.isdisjoint(node.inputs) or isinstance(node.value_type, TokenType):
            continue
        if not has_slopes(node) and node.op.name == "project":
            continue  # what a branch or a loop gives need not depend on all that it reads
        if not has_slopes(node) or (node.op.vjp is no_gradient and node.op is not stop_gradient):
            return True
        moved.add(node)
    return False


def _without(inputs: Sequence[Node], outputs: Sequence[Node]) -> tuple[Node, ...] | None:
    """`outputs` that do not read `inputs`, which branches and loops may be given unread; None if
    they need them."""
    if not set(inputs).isdisjoint(toposort(outputs)):
        outputs = _trimmed(outputs)
    return tuple(outputs) if set(inputs).isdisjoint(toposort(outputs)) else None


def _trimmed(outputs: Sequence[Node]) -> Sequence[Node]:
    """`outputs` without what branches and loops are given and need not, and without waiting."""
    return trim_control(rewrite(Graph("part", (), tuple(outputs)), _at_once)).outputs


def _at_once(node: Node) -> Node | None:
    """A barrier that waits for nothing."""
    if node.op.name != "barrier":
        return None
    return node.op(*node.inputs[: node["count"]], **node.attrs, at=node.location)
