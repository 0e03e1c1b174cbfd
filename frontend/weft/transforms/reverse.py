"""Gradients: a function's graph, differentiated node by node while it is traced."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from weft import diagnostics, tree
from weft.ops import elementwise
from weft.ops.core import flag, operation
from weft.promotion import as_strong, convert
from weft.tracing import Tracer, active, apply, lift
from weft.transforms.arguments import (
    Chosen,
    Plain,
    check_function,
    grouped,
    independent,
    plain_numbers,
    split,
)
from weft.transforms.halves import halves
from weft.transforms.kept import compiled, kept
from weftc.ir.node import Node, inlined
from weftc.ir.types import TensorType
from weftc.ops import build
from weftc.ops.check import same_sizes
from weftc.transforms.complex_derivatives import vjp as transform
from weftc.transforms.linearize import linearized
from weftrt import dtypes
from weftrt.errors import DTypeError, ShapeError, UsageError, WeftError


@operation()
def stop_gradient(x: Any, /) -> Tracer:
    """x, as a constant for differentiation."""
    return apply("stop_gradient", as_strong(lift(x)))


def grad(
    function: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """The gradient of a scalar function with respect to the arguments numbered `argnums`.

    With `has_aux` the function returns (scalar, anything) and its gradient (gradient, anything).
    """
    return kept(gradient_of, function, plain_numbers(argnums), flag("grad", "has_aux", has_aux))


def gradient_of(
    function: Callable[..., Any], argnums: Plain, has_aux: bool, name: str = "grad"
) -> Callable[..., Any]:
    """What `grad` gives, in the words of the transform `name`."""
    both = _value_and_grad(function, argnums, has_aux, name)

    @functools.wraps(function)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, gradients = both(*args, **kwargs)
        return (gradients, value[1]) if has_aux else gradients

    return compiled(gradient, function)


def value_and_grad(
    function: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Like `grad`, but returns (value, gradient)."""
    has_aux = flag("value_and_grad", "has_aux", has_aux)
    return kept(_both, function, plain_numbers(argnums), has_aux)


def _both(function: Callable[..., Any], argnums: Plain, has_aux: bool) -> Callable[..., Any]:
    return compiled(_value_and_grad(function, argnums, has_aux, "value_and_grad"), function)


def _value_and_grad(
    function: Callable[..., Any], argnums: Plain, has_aux: bool, name: str
) -> Callable[..., Any]:
    check_function(name, function)

    @functools.wraps(function)
    def both(*args: Any, **kwargs: Any) -> Any:
        chosen = Chosen(name, argnums, args)
        inputs, structures = independent(name, chosen.places, chosen.values)
        result = function(*chosen.replaced(grouped(inputs, structures)), **kwargs)
        value, aux = split(name, result) if has_aux else (result, None)
        output = _scalar(name, value)
        one = convert(lift(1.0), output.dtype).node
        gradients = chosen.parts(grouped(pulled(name, [output], [one], inputs), structures))
        return ((output, aux) if has_aux else output), gradients

    return both


def _scalar(name: str, value: Any) -> Tracer:
    if tree.is_branch(value):
        found = "None" if value is None else diagnostics.kind_of(value)
        problem = f"{name} needs one scalar, but the function returns {found}"
        raise diagnostics.located(ShapeError, problem + "; has_aux=True allows (scalar, anything)")
    output = as_strong(lift(value, f"the result under {name}"))
    if output.ndim:
        problem = f"{name} needs a scalar, but the function returns shape {output.type.shape}"
        raise diagnostics.located(ShapeError, problem + "; sum it, or use wf.vjp")
    if not output.dtype.is_float:
        problem = f"{name} needs a float, but the function returns {output.dtype}"
        if output.dtype.is_complex:
            problem += "; take wf.real(z), wf.imag(z) or wf.abs(z) of it, or use wf.vjp"
        raise diagnostics.located(DTypeError, problem)
    return output


def pulled(
    name: str, outputs: Sequence[Tracer], cotangents: Sequence[Node], inputs: Sequence[Tracer]
) -> list[Tracer]:
    """Gradients of all inputs; zeros for one that the outputs do not depend on. That of a number is
    as wide as the widest output."""
    try:
        found = transform([o.node for o in outputs], cotangents, [i.node for i in inputs])
    except WeftError as error:
        raise diagnostics.relocate(error, name, []) from None
    gradients = [
        elementwise.like(0.0, i) if g is None else Tracer(g, active())
        for g, i in zip(found, inputs, strict=True)
    ]
    return [_as_wide(g, outputs) if i.weak else g for g, i in zip(gradients, inputs, strict=True)]


def _as_wide(gradient: Tracer, outputs: Sequence[Tracer]) -> Tracer:
    """`gradient` in the widest of the precisions of `outputs`."""
    parts = [output.dtype.part for output in outputs if output.dtype.is_inexact]
    part = max(parts, key=lambda dtype: dtype.bits, default=dtypes.DEFAULT_FLOAT)
    return convert(gradient, dtypes.complex_of(part) if gradient.dtype.is_complex else part)


def vjp(function: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """(value, pull) or (value, pull, aux): `pull(cotangent)` gives one gradient per primal, and
    computes nothing again that only depends on the primals. What happens in the function (prints,
    checks) happens once.

    The cotangent has the structure and the shapes of the value. Each `pull` runs in the trace, or
    program, that calls it.
    """
    check_function("vjp", function)
    has_aux = flag("vjp", "has_aux", has_aux)
    value, aux, later = halves("vjp", function, _pullback, primals, has_aux)

    def pull(*cotangents: Any) -> Any:
        if len(cotangents) != 1:
            problem = f"vjp: pull takes one cotangent, like the value, not {len(cotangents)}"
            raise diagnostics.located(UsageError, problem)
        return later(*cotangents)

    return (value, pull, aux) if has_aux else (value, pull)


def _pullback(
    function: Callable[..., Any], primals: tuple[Any, ...], has_aux: bool
) -> tuple[Any, Any, list[Tracer], Callable[..., Any]]:
    """The value, aux, what a pull needs of the primals, and the pull: a function of that and a
    cotangent."""
    inputs, structures = independent("vjp", range(len(primals)), primals)
    result = function(*grouped(inputs, structures))
    value, aux = split("vjp", result) if has_aux else (result, None)
    leaves, structure = tree.flatten(value)
    outputs = [as_strong(lift(leaf, "the result under vjp")) for leaf in leaves]
    types = [
        o.type if o.dtype.is_inexact else o.type.with_dtype(dtypes.DEFAULT_FLOAT) for o in outputs
    ]
    arriving = [build.argument(0, "cotangent", type_) for type_ in types]
    gradients = pulled("vjp", outputs, arriving, inputs)
    try:
        residuals, graph = linearized([g.node for g in gradients], arriving)
    except WeftError as error:
        raise diagnostics.relocate(error, "vjp", []) from None

    def pull(held: Sequence[Any], cotangent: Any) -> Any:
        given, shape = tree.flatten(cotangent)
        if shape != structure:
            where, wanted, instead = tree.difference(structure, shape, "an array")
            problem = f"vjp: the cotangent{diagnostics.at_path(where)} is {instead}, "
            raise diagnostics.located(UsageError, f"{problem}but the value is {wanted}")
        nodes = [_cotangent(g, type_) for g, type_ in zip(given, types, strict=True)]
        made = inlined(graph, [*(lift(item).node for item in held), *nodes])
        return tuple(grouped([Tracer(node, active()) for node in made], structures))

    return structure.unflatten(outputs), aux, [Tracer(n, active()) for n in residuals], pull


def _cotangent(given: Any, type_: TensorType) -> Node:
    cotangent = lift(given, "the cotangent")
    shapes = cotangent.type.shape, type_.shape
    if not same_sizes(*shapes):
        problem = f"the cotangent has shape {shapes[0]}, the value {shapes[1]}"
        raise diagnostics.located(ShapeError, f"vjp: {problem}")
    if cotangent.dtype.is_complex and not type_.dtype.is_complex:
        problem = f"the cotangent is {cotangent.dtype}, the value {type_.dtype}"
        raise diagnostics.located(DTypeError, f"vjp: {problem}")
    return convert(cotangent, type_.dtype).node
