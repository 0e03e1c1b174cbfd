"""Functions of primals as graphs, and tangents that go through them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from weft import diagnostics, tree
from weft.bodies import Argument, Body, fits, trace_body
from weft.promotion import convert, default_dtype
from weft.tracing import Tracer, active, lift
from weft.transforms.arguments import grouped, lifted, split
from weft.tree import Structure
from weftc.ir.node import Graph, Node, inlined
from weftc.ir.types import TensorType
from weftc.ops import build
from weftc.ops.check import same_sizes
from weftc.transforms.complex_derivatives import jvp
from weftc.transforms.linearize import linearized
from weftrt import dtypes
from weftrt.errors import DTypeError, ShapeError, UsageError, WeftError


class Slots(NamedTuple):
    """Where tangents belong: the leaves of primals, and the trees they form."""

    leaves: list[Argument]
    structures: list[Structure]

    def tangents(self, name: str, given: tuple[Any, ...]) -> list[Node]:
        """The leaves of one tangent for each primal; an error, in the words of the transform
        `name`, where these do not fit."""
        count = len(self.structures)
        if len(given) != count:
            problem = f"{name} takes one tangent for each primal: {count}, not {len(given)}"
            raise diagnostics.located(UsageError, problem)
        leaves: list[Any] = []
        for place, (structure, part) in enumerate(zip(self.structures, given, strict=True)):
            found, other = tree.flatten(part)
            if other != structure:
                where, wanted, instead = tree.difference(structure, other, "an array")
                problem = f"{name}: the tangent of argument {place}{where} is {instead}, "
                raise diagnostics.located(UsageError, problem + f"but the primal is {wanted}")
            leaves += found
        return [_fitting(name, *pair) for pair in zip(self.leaves, leaves, strict=True)]


def _fitting(name: str, primal: Argument, given: Any) -> Node:
    """A tangent of the type of its primal; that of a number may be as narrow as it likes."""
    what, type_ = f"the tangent of {primal.name}", primal.type
    tangent = lift(given, f"{name}: {what}")
    if not same_sizes(tangent.type.shape, type_.shape):
        problem = f"{name}: {what} has shape {tangent.type.shape}, the primal {type_.shape}"
        raise diagnostics.located(ShapeError, problem)
    narrow = primal.weak and tangent.dtype.kind is type_.dtype.kind
    if not narrow and not fits(tangent, type_.dtype):
        problem = f"{name}: {what} is {tangent.dtype}, the primal {type_.dtype}"
        raise diagnostics.located(DTypeError, problem)
    return convert(tangent, type_.dtype).node


class Results(NamedTuple):
    """What a function returned: its leaves, first those of the value, then those of aux."""

    value: Structure
    aux: Structure
    leaves: tuple[Tracer, ...]

    @property
    def values(self) -> int:
        """How many leaves the value has."""
        return self.value.leaves()

    @property
    def dtypes(self) -> list[dtypes.DType]:
        """What the leaves are outside: numbers among the values become arrays."""
        return [
            default_dtype(leaf.dtype) if leaf.weak and place < self.values else leaf.dtype
            for place, leaf in enumerate(self.leaves)
        ]


def _results(name: str, body: Body, has_aux: bool) -> Results:
    whole = body.structure.unflatten(body.leaves)
    value, aux = split(name, whole) if has_aux else (whole, None)
    return Results(tree.structure(value), tree.structure(aux), body.leaves)


class Traced:
    """A function of primals as a closed graph, for the transform `name`. `slots` is where tangents
    of the primals belong, and `given` are inputs for them."""

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        primals: Sequence[Any],
        has_aux: bool = False,
        places: Sequence[int] | None = None,
    ) -> None:
        found = lifted(name, range(len(primals)) if places is None else places, primals)
        pairs = zip(found.names, found.leaves, strict=True)
        arguments = [Argument(name, leaf.type, leaf.weak) for name, leaf in pairs]
        captures = dict[Node, int]()
        pack = lambda inputs: tuple(grouped(inputs, found.structures))  # noqa: E731
        body = trace_body(f"the function under {name}", function, arguments, pack, captures)
        self._name = name
        self._effects = body.has_effects
        self.results = _results(name, body, has_aux)
        outputs = body.converted(self.results.dtypes)
        outputs += [body.trace.last_token()] if self._effects else []
        self._graph = body.closed(outputs, captures, self._effects)
        token = [active().last_token()] if self._effects else []
        self._operands = [*(leaf.node for leaf in found.leaves), *token, *captures]
        self.slots = Slots(arguments, found.structures)
        self.given = [build.argument(0, "tangent", leaf.type) for leaf in arguments]

    def pushed(self, moving: Sequence[Node]) -> tuple[list[Node], list[Node | None]]:
        """The outputs of the graph, and the tangents of the values, where those among `given` that
        are `moving` are not zero."""
        tangents = [node if node in moving else None for node in self.given]
        tangents += [None] * (len(self._graph.inputs) - len(tangents))
        outputs, count = self._graph.outputs, self.results.values
        try:
            return jvp(outputs[:count], self._graph.inputs, tangents, outputs[count:])
        except WeftError as error:
            raise diagnostics.relocate(error, self._name, []) from None

    def linear(self, moving: Sequence[Node]) -> Push:
        """The tangents of the values as what is linear in `moving`, apart from what is not."""
        _, found = self.pushed(moving)
        try:
            residuals, graph = linearized(found, moving)
        except WeftError as error:
            raise diagnostics.relocate(error, self._name, []) from None
        return Push(self.results.value, self.value_types, found, residuals, graph)

    @property
    def value_types(self) -> list[TensorType]:
        """The types of the leaves of the value."""
        return [node.type for node in self._graph.outputs[: self.results.values]]

    def moved(self, tangents: Sequence[Node]) -> tuple[Any, Any, Any]:
        """(value, tangent, aux) for these leaves of tangents, in the trace that is active."""
        outputs, found = self.pushed(self.given)
        moved = [tangent for tangent in found if tangent is not None]
        graph = Graph(self._name, (*self._graph.inputs, *self.given), (*outputs, *moved))
        results = inlined(graph, [*self._operands, *tangents])
        value, aux = self._built(results[: len(outputs)])
        slopes = results[len(outputs) :]
        return value, tangent_tree(self.results.value, self.value_types, found, slopes), aux

    def run(self, besides: Sequence[Node]) -> tuple[Any, Any, list[Tracer]]:
        """(value, aux, what nodes of the graph are), in the trace that is active."""
        graph, count = self._graph, len(self._graph.outputs)
        whole = Graph(self._name, graph.inputs, (*graph.outputs, *besides))
        results = inlined(whole, self._operands)
        return *self._built(results[:count]), [Tracer(n, active()) for n in results[count:]]

    def _built(self, outputs: Sequence[Node]) -> tuple[Any, Any]:
        """(value, aux) of these nodes, which stand for the outputs of the graph."""
        if self._effects:
            active().token = outputs[-1]
        pairs = list(zip(outputs, self.results.leaves, strict=not self._effects))
        values = [Tracer(node, active()) for node, _ in pairs[: self.results.values]]
        others = [
            Tracer(node, active(), leaf.weak, leaf.value)
            for node, leaf in pairs[self.results.values :]
        ]
        return self.results.value.unflatten(values), self.results.aux.unflatten(others)


class Push(NamedTuple):
    """What tangents become: `graph` is linear in them, and reads `residuals` besides. `found` is
    None for leaves of the value that do not move."""

    value: Structure
    types: list[TensorType]
    found: list[Node | None]
    residuals: list[Node]
    graph: Graph

    def __call__(self, held: Sequence[Any], tangents: Sequence[Node]) -> Any:
        """The tangent of the value, in the trace that is active; `held` are the residuals there."""
        slopes = inlined(self.graph, [*(lift(item).node for item in held), *tangents])
        return tangent_tree(self.value, self.types, self.found, slopes)


def tangent_tree(
    value: Structure, types: Sequence[TensorType], found: Sequence[Node | None], given: list[Node]
) -> Any:
    """The tree of tangents: `given` where there are some, else zeros."""
    slopes = iter(given)
    leaves = [
        zeros(type_) if node is None else Tracer(next(slopes), active())
        for node, type_ in zip(found, types, strict=True)
    ]
    return value.unflatten(leaves)


def zeros(type_: TensorType) -> Tracer:
    """The tangent of a constant of this type; of the default dtype for what is no float."""
    dtype = type_.dtype if type_.dtype.is_inexact else dtypes.DEFAULT_FLOAT
    return Tracer(build.full(0.0, type_.with_dtype(dtype)), active())
