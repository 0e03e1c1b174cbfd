"""Forward mode: how the results of a function move when its arguments do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from weft import diagnostics, dispatch, tree
from weft.bodies import Argument, fits, trace_body
from weft.promotion import convert, default_dtype
from weft.tracing import Tracer, active, lift, state
from weft.transforms.arguments import check_function, grouped, lifted, split
from weft.transforms.reverse import grad
from weft.tree import Structure
from weftc.ir.node import Graph, Node, inlined
from weftc.ir.types import TensorType
from weftc.ops import build
from weftc.ops.check import same_sizes
from weftc.transforms.jvp import jvp as transform
from weftc.transforms.linearize import linearized
from weftrt import dtypes
from weftrt.errors import DTypeError, ShapeError, UsageError, WeftError

Function = Callable[..., Any]


def jvp(
    function: Function, primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False
) -> tuple[Any, ...]:
    """(value, tangent), or (value, tangent, aux): `function(*primals)`, and how fast it changes
    where its arguments move by `tangents`.

    `primals` and `tangents` are tuples of trees of floats, which agree in structure, shapes and
    dtypes; a number is a tangent of a scalar. The tangent has the structure of the value; of what
    is no float it is zeros. With `has_aux` the function returns (value, anything). What happens in
    the function (prints, checks) happens once.

    UsageError, ShapeError or DTypeError, with the place, for tangents that do not fit; DTypeError
    for arguments that are no floats, and TraceError where a result depends on a callback's.
    """
    check_function("jvp", function)
    given = _tuple("jvp", "primals", primals), _tuple("jvp", "tangents", tangents)
    found: tuple[Any, ...] = _jvp("jvp", function, *given, has_aux)
    return found


def hvp(function: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, ...]:
    """The product of the Hessian of a scalar function of `primals` with `tangents`, one part per
    primal: the tangent of its gradient.

    Takes what `jvp` takes, and a function that `grad` takes.
    """
    check_function("hvp", function)
    given = _tuple("hvp", "primals", primals), _tuple("hvp", "tangents", tangents)
    gradient = grad(function, argnums=tuple(range(len(given[0]))))
    product: tuple[Any, ...] = _jvp("hvp", gradient, *given, False)[1]
    return product


def linearize(function: Function, *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """(value, push), or (value, push, aux): `push(*tangents)` is the tangent that `jvp` gives, and
    computes nothing again that only depends on the primals.

    Takes what `jvp` takes. Each `push` runs in the trace, or program, that calls it.
    """
    check_function("linearize", function)
    if state.trace is not None:
        value, aux, held, push = _linearized(function, primals, has_aux)
        return _with_aux(value, lambda *tangents: push(held, tangents), aux, has_aux)
    from weft.jitting import jit

    pushes: list[Any] = []

    def forward(primals: Any) -> Any:
        value, aux, held, push = _linearized(function, primals, has_aux)
        pushes.append(push)
        return value, aux, held

    value, aux, held = dispatch.run_now("linearize", forward, primals)
    push = jit(pushes[-1])
    return _with_aux(value, lambda *tangents: push(held, tangents), aux, has_aux)


def _with_aux(value: Any, other: Any, aux: Any, has_aux: bool) -> tuple[Any, ...]:
    return (value, other, aux) if has_aux else (value, other)


def _jvp(
    name: str, function: Function, primals: tuple[Any, ...], tangents: tuple[Any, ...], aux: bool
) -> Any:
    if state.trace is None:
        run: Function = lambda primals, tangents: _jvp(name, function, primals, tangents, aux)  # noqa: E731
        return dispatch.run_now(name, run, primals, tangents)
    traced = _Traced(name, function, primals, aux)
    moving = traced.primals.tangents(name, tangents)
    outputs, found = traced.pushed()
    moved = [tangent for tangent in found if tangent is not None]
    graph = Graph(name, (*traced.graph.inputs, *traced.given), (*outputs, *moved))
    results = inlined(graph, [*traced.operands, *moving])
    value, extra = traced.built(results[: len(outputs)])
    slopes = iter(results[len(outputs) :])
    tangent = traced.tangent([None if t is None else next(slopes) for t in found])
    return _with_aux(value, tangent, extra, aux)


def _linearized(
    function: Function, primals: tuple[Any, ...], has_aux: bool
) -> tuple[Any, Any, list[Tracer], Function]:
    """The value, aux, what a push needs of the primals, and the push: a function of that and the
    tangents."""
    traced = _Traced("linearize", function, primals, has_aux)
    outputs, found = traced.pushed()
    try:
        residuals, linear = linearized(found, traced.given)
    except WeftError as error:
        raise diagnostics.relocate(error, "linearize", []) from None
    graph = Graph("linearize", traced.graph.inputs, (*traced.graph.outputs, *residuals))
    results = inlined(graph, traced.operands)
    value, aux = traced.built(results[: len(outputs)])
    held = [Tracer(node, active()) for node in results[len(outputs) :]]

    def push(held: Sequence[Any], tangents: tuple[Any, ...]) -> Any:
        moving = traced.primals.tangents("linearize", tangents)
        slopes = iter(inlined(linear, [*(lift(h).node for h in held), *moving]))
        return traced.tangent([None if t is None else next(slopes) for t in found])

    return value, aux, held, push


# ---------------------------------------------------------------------------------------------
# Arguments
# ---------------------------------------------------------------------------------------------


def _tuple(name: str, what: str, given: Any) -> tuple[Any, ...]:
    if not isinstance(given, (tuple, list)):
        problem = f"{name}: {what} is a tuple with one for each argument of the function, "
        problem += f"not {diagnostics.kind_of(given)}"
        raise diagnostics.located(UsageError, problem)
    return tuple(given)


class _Primals(NamedTuple):
    """The arguments of a function: what to call each leaf, its type, and the trees they form."""

    names: list[str]
    types: list[TensorType]
    structures: list[Structure]

    def tangents(self, name: str, given: tuple[Any, ...]) -> list[Node]:
        """The leaves of tangents; an error where these do not fit."""
        if len(given) != len(self.structures):
            count = len(self.structures)
            problem = f"{name} takes one tangent for each primal: {count}, not {len(given)}"
            raise diagnostics.located(UsageError, problem)
        leaves: list[Any] = []
        for place, (structure, part) in enumerate(zip(self.structures, given)):
            found, other = tree.flatten(part)
            if other != structure:
                where, wanted, instead = tree.difference(structure, other, "an array")
                problem = f"{name}: the tangent of argument {place}{where} is {instead}, "
                raise diagnostics.located(UsageError, problem + f"but the primal is {wanted}")
            leaves += found
        return [_fitting(name, *pair) for pair in zip(self.names, self.types, leaves, strict=True)]


def _fitting(name: str, where: str, primal: TensorType, given: Any) -> Node:
    """A tangent of the type of its primal."""
    what = f"the tangent of {where}"
    tangent = lift(given, f"{name}: {what}")
    if not same_sizes(tangent.type.shape, primal.shape):
        problem = f"{name}: {what} has shape {tangent.type.shape}, the primal {primal.shape}"
        raise diagnostics.located(ShapeError, problem)
    if not fits(tangent, primal.dtype):
        problem = f"{name}: {what} is {tangent.dtype}, the primal {primal.dtype}"
        raise diagnostics.located(DTypeError, problem)
    return convert(tangent, primal.dtype).node


# ---------------------------------------------------------------------------------------------
# Functions as graphs
# ---------------------------------------------------------------------------------------------


class _Traced:
    """A function of primals as a closed graph, and the nodes around it that are its operands.
    `given` are inputs for tangents of the primals."""

    def __init__(
        self, name: str, function: Function, primals: tuple[Any, ...], has_aux: bool
    ) -> None:
        leaves, structures = lifted(name, range(len(primals)), primals)
        names = [
            f"argument {place}{path}"
            for place, primal in enumerate(primals)
            for path, _ in tree.flatten_with_paths(primal)[0]
        ]
        self._name = name
        self.primals = _Primals(names, [leaf.type for leaf in leaves], structures)
        captures: dict[Node, int] = {}
        arguments = [Argument(*pair) for pair in zip(names, self.primals.types, strict=True)]
        body = trace_body(
            name, function, arguments, lambda inputs: tuple(grouped(inputs, structures)), captures
        )
        result = body.structure.unflatten(body.leaves)
        value, aux = split(name, result) if has_aux else (result, None)
        self._value, self._aux = tree.structure(value), tree.structure(aux)
        count = self._value.leaves()
        self._leaves = body.leaves
        outputs = body.converted(
            [
                default_dtype(leaf.dtype) if leaf.weak and place < count else leaf.dtype
                for place, leaf in enumerate(body.leaves)
            ]
        )
        self._effects = body.has_effects
        if self._effects:
            outputs.append(body.trace.last_token())
        self.graph = body.closed(outputs, captures, self._effects)
        token = [active().last_token()] if self._effects else []
        self.operands = [*(leaf.node for leaf in leaves), *token, *captures]
        self.given = [build.argument(0, "tangent", type_) for type_ in self.primals.types]

    def pushed(self) -> tuple[list[Node], list[Node | None]]:
        """The outputs of the graph, and the tangents of those that are values."""
        tangents = [*self.given, *[None] * (len(self.graph.inputs) - len(self.given))]
        outputs, count = self.graph.outputs, self._value.leaves()
        try:
            return transform(outputs[:count], self.graph.inputs, tangents, outputs[count:])
        except WeftError as error:
            raise diagnostics.relocate(error, self._name, []) from None

    def built(self, outputs: Sequence[Node]) -> tuple[Any, Any]:
        """(value, aux) for these outputs of the graph, in the trace that is active."""
        trace, count = active(), self._value.leaves()
        if self._effects:
            trace.token = outputs[-1]
        values = [Tracer(node, trace) for node in outputs[:count]]
        others = [
            Tracer(node, trace, leaf.weak, leaf.value)
            for node, leaf in zip(outputs[count:], self._leaves[count:])
        ]
        return self._value.unflatten(values), self._aux.unflatten(others)

    def tangent(self, found: Sequence[Node | None]) -> Any:
        """The tangent of the value, zeros where there is none."""
        types = [node.type for node in self.graph.outputs[: len(found)]]
        return self._value.unflatten(
            [
                _zeros(type_) if node is None else Tracer(node, active())
                for node, type_ in zip(found, types, strict=True)
            ]
        )


def _zeros(type_: TensorType) -> Tracer:
    dtype = type_.dtype if type_.dtype.is_float else dtypes.DEFAULT_FLOAT
    return Tracer(build.full(0.0, type_.with_dtype(dtype)), active())
