"""Whole derivatives of arrays by arrays: Jacobians and Hessians."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from weft import diagnostics, tree
from weft.bodies import Argument
from weft.ops.core import flag
from weft.promotion import as_strong, convert
from weft.tracing import Tracer, active, lift
from weft.transforms.arguments import (
    Chosen,
    Numbers,
    Plain,
    check_function,
    grouped,
    independent,
    plain_numbers,
    split,
)
from weft.transforms.kept import compiled, kept
from weft.transforms.mapping import vmap
from weft.transforms.reverse import pulled
from weft.transforms.traced import Push, Traced, zeros
from weftc.ir.node import Graph, Node, inlined
from weftc.ir.types import TensorType
from weftc.ops import build
from weftc.transforms.linearize import linearized
from weftc.transforms.products import by_element, with_products
from weftrt import dtypes
from weftrt.errors import DTypeError

Function = Callable[..., Any]


def jacfwd(function: Function, argnums: Numbers = 0, has_aux: bool = False) -> Function:
    """The Jacobian of a function with respect to the arguments numbered `argnums`, one column after
    another by forward mode: best where there are fewer inputs than results.

    Each leaf of the value becomes a tree with the structure of the argument (a tuple of these, if
    `argnums` is a tuple), whose leaves have the shape of the value followed by that of the leaf of
    the argument. With `has_aux` the function returns (value, anything), and its Jacobian (Jacobian,
    anything). DTypeError for arguments and values that are no floats.
    """
    return kept(_columnwise, function, plain_numbers(argnums), flag("jacfwd", "has_aux", has_aux))


def _columnwise(function: Function, argnums: Plain, has_aux: bool) -> Function:
    return compiled(_forward("jacfwd", function, argnums, has_aux), function)


def jacrev(function: Function, argnums: Numbers = 0, has_aux: bool = False) -> Function:
    """What `jacfwd` gives, one row after another by reverse mode: best where there are fewer
    results than inputs."""
    return kept(_rowwise, function, plain_numbers(argnums), flag("jacrev", "has_aux", has_aux))


def _rowwise(function: Function, argnums: Plain, has_aux: bool) -> Function:
    return compiled(_reverse("jacrev", function, argnums, has_aux), function)


def hessian(function: Function, argnums: Numbers = 0, has_aux: bool = False) -> Function:
    """The second derivatives of a function, as a rule a scalar one: the Jacobian, by forward mode,
    of its gradient. What `jacfwd` says of trees holds twice."""
    return kept(_twice, function, plain_numbers(argnums), flag("hessian", "has_aux", has_aux))


def _twice(function: Function, argnums: Plain, has_aux: bool) -> Function:
    gradient = _reverse("hessian", function, argnums, has_aux)
    return compiled(_forward("hessian", gradient, argnums, has_aux), function)


# ---------------------------------------------------------------------------------------------
# Columns
# ---------------------------------------------------------------------------------------------


def _forward(name: str, function: Function, argnums: Plain, has_aux: bool) -> Function:
    check_function(name, function)

    @functools.wraps(function)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        chosen = Chosen(name, argnums, args)

        @functools.wraps(function)
        def of_chosen(*parts: Any) -> Any:
            return function(*chosen.replaced(parts), **kwargs)

        traced = Traced(name, of_chosen, chosen.values, has_aux, chosen.places)
        _check_real(name, traced.slots.leaves)
        _check_floats(name, traced.results.value, traced.value_types)
        pushes = [traced.linear([tangent]) for tangent in traced.given]
        _, aux, held = traced.run([node for push in pushes for node in push.residuals])
        columns = []
        for push, leaf in zip(pushes, traced.slots.leaves, strict=True):
            columns.append(_columns(push, held[: len(push.residuals)], leaf.type))
            held = held[len(push.residuals) :]
        rows = [
            chosen.parts(grouped([column[k] for column in columns], traced.slots.structures))
            for k in range(traced.results.values)
        ]
        whole = traced.results.value.unflatten(rows)
        return (whole, aux) if has_aux else whole

    return jacobian


def _columns(push: Push, held: Sequence[Tracer], type_: TensorType) -> list[Tracer]:
    """The derivatives of the leaves of a value by an argument of this type."""
    nodes = [item.node for item in held]
    moved = iter(_along_basis(push.graph, nodes, type_, -1))
    shapes = [(*value.shape, *type_.shape) for value in push.types]
    return [
        zeros(value.with_shape(shape)) if node is None else _reshaped(next(moved), shape)
        for value, shape, node in zip(push.types, shapes, push.found, strict=True)
    ]


def _along_basis(graph: Graph, held: Sequence[Node], type_: TensorType, axis: int) -> list[Tracer]:
    """What `graph`, which reads `held` and is linear in its last input, of this type, gives where
    one element of that is 1, and the others are 0: for each element, along a new `axis`."""
    if not type_.rank:
        made = inlined(graph, [*held, convert(lift(1.0), type_.dtype).node])
        return [Tracer(node, active()) for node in made]
    graph = with_products(graph)
    known = {node: x for node in graph.nodes() if (x := by_element(node, graph.inputs[-1]))}
    arrays = inlined(Graph("known", graph.inputs[:-1], tuple(known.values())), held)
    rest = Graph(graph.name, (*graph.inputs, *known), graph.outputs)

    def along(*moving: Any) -> list[Tracer]:
        made = inlined(rest, [*held, *(lift(item).node for item in moving)])
        return [Tracer(node, active()) for node in made]

    given = [_basis(type_), *(Tracer(node, active()) for node in arrays)]
    found: list[Tracer] = vmap(along, out_axes=axis)(*given)
    return found


def _basis(type_: TensorType) -> Tracer:
    """An array of as many arrays of `type_` as they have elements, each with its own one of 1."""
    shape = (type_.size, type_.size)
    row, column = (
        build.call("iota", shape=shape, axis=axis, dtype=dtypes.int64) for axis in (0, 1)
    )
    ones = build.convert(build.call("eq", row, column), type_.dtype)
    return Tracer(build.reshape(ones, (type_.size, *type_.shape)), active())


def _reshaped(x: Tracer, shape: Any) -> Tracer:
    return Tracer(build.reshape(x.node, shape), active())


# ---------------------------------------------------------------------------------------------
# Rows
# ---------------------------------------------------------------------------------------------


def _reverse(name: str, function: Function, argnums: Plain, has_aux: bool) -> Function:
    check_function(name, function)

    @functools.wraps(function)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        chosen = Chosen(name, argnums, args)
        inputs, structures = independent(name, chosen.places, chosen.values)
        _check_real(name, [Argument("an argument", value.type) for value in inputs])
        result = function(*chosen.replaced(grouped(inputs, structures)), **kwargs)
        value, aux = split(name, result) if has_aux else (result, None)
        leaves, structure = tree.flatten(value)
        outputs = [as_strong(lift(leaf, f"the result under {name}")) for leaf in leaves]
        _check_floats(name, structure, [output.type for output in outputs])
        rows = [
            chosen.parts(grouped(_rows(name, output, inputs), structures)) for output in outputs
        ]
        whole = structure.unflatten(rows)
        return (whole, aux) if has_aux else whole

    return jacobian


def _rows(name: str, output: Tracer, inputs: Sequence[Tracer]) -> list[Tracer]:
    """The derivatives of an output by the inputs."""

    cotangent = build.argument(0, "cotangent", output.type)
    gradients = [x.node for x in pulled(name, [output], [cotangent], inputs)]
    residuals, graph = linearized(gradients, [cotangent])
    found = _along_basis(graph, residuals, output.type, 0)
    shapes = [(*output.type.shape, *value.type.shape) for value in inputs]
    return [_reshaped(x, shape) for x, shape in zip(found, shapes, strict=True)]


def _check_real(name: str, arguments: Sequence[Argument]) -> None:
    """DTypeError for arguments that are complex: one complex number is no derivative by them."""
    for what, type_, _ in arguments:
        if type_.dtype.is_complex:
            problem = f"{name}: {what} is {type_.dtype}; a Jacobian is one of real numbers"
            raise diagnostics.located(DTypeError, f"{problem}: pass wf.real(z) and wf.imag(z)")


def _check_floats(name: str, structure: tree.Structure, types: Sequence[TensorType]) -> None:
    """DTypeError if a value has no derivative."""
    found = tree.flatten_with_paths(structure.unflatten(types))[0]
    for path, type_ in found:
        if not type_.dtype.is_float:
            problem = f"{name} needs floats, but the function returns {type_.dtype}"
            raise diagnostics.located(DTypeError, problem + diagnostics.at_path(path))
