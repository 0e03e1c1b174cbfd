"""Forward mode: how the results of a function move when its arguments do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from weft import diagnostics
from weft import dynamic as dynamics
from weft.ops.core import flag
from weft.tracing import Tracer, state
from weft.transforms.arguments import check_function
from weft.transforms.halves import halves
from weft.transforms.kept import kept, running
from weft.transforms.reverse import gradient_of
from weft.transforms.traced import Traced
from weftrt.errors import UsageError

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
    has_aux = flag("jvp", "has_aux", has_aux)
    given = _tuple("jvp", "primals", primals), _tuple("jvp", "tangents", tangents)
    found: tuple[Any, ...] = _jvp("jvp", function, *given, has_aux)
    return found


def hvp(function: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, ...]:
    """The product of the Hessian of a scalar function of `primals` with `tangents`, one part per
    primal: the tangent of its gradient, and that alone (`jvp` of `grad` gives the gradient too).

    Takes what `jvp` takes, and a function that `grad` takes.
    """
    check_function("hvp", function)
    given = _tuple("hvp", "primals", primals), _tuple("hvp", "tangents", tangents)
    if state.trace is None:
        product: tuple[Any, ...] = kept(_curving, function)(*given)
        return product
    product = _curved(function, *given)
    return product


def _curving(function: Function) -> Function:
    run = lambda primals, tangents: _curved(function, primals, tangents)  # noqa: E731
    return running("hvp", function, run, dynamics.chosen(run, None))


def _curved(function: Function, primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
    gradient = gradient_of(function, tuple(range(len(primals))), False, "hvp")
    return _jvp("hvp", gradient, primals, tangents, False)[1]


def linearize(function: Function, *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """(value, push), or (value, push, aux): `push(*tangents)` is the tangent that `jvp` gives, and
    computes nothing again that only depends on the primals.

    Takes what `jvp` takes. Each `push` runs in the trace, or program, that calls it.
    """
    check_function("linearize", function)
    has_aux = flag("linearize", "has_aux", has_aux)
    value, aux, push = halves("linearize", function, _linearized, primals, has_aux)
    return _with_aux(value, push, aux, has_aux)


def _with_aux(value: Any, other: Any, aux: Any, has_aux: bool) -> tuple[Any, ...]:
    return (value, other, aux) if has_aux else (value, other)


def _jvp(
    name: str, function: Function, primals: tuple[Any, ...], tangents: tuple[Any, ...], aux: bool
) -> Any:
    if state.trace is None:
        return kept(_running, function, name, aux)(primals, tangents)
    traced = Traced(name, function, primals, aux)
    value, tangent, extra = traced.moved(traced.slots.tangents(name, tangents))
    return _with_aux(value, tangent, extra, aux)


def _running(function: Function, name: str, aux: bool) -> Function:
    run = lambda primals, tangents: _jvp(name, function, primals, tangents, aux)  # noqa: E731
    return running(name, function, run, dynamics.chosen(run, None))


def _linearized(
    function: Function, primals: tuple[Any, ...], has_aux: bool
) -> tuple[Any, Any, list[Tracer], Function]:
    """The value, aux, what a push needs of the primals, and the push: a function of that and the
    tangents."""
    traced = Traced("linearize", function, primals, has_aux)
    push, slots = traced.linear(traced.given), traced.slots
    value, aux, held = traced.run(push.residuals)

    def pushed(held: Sequence[Any], *tangents: Any) -> Any:
        return push(held, slots.tangents("linearize", tangents))

    return value, aux, held, pushed


def _tuple(name: str, what: str, given: Any) -> tuple[Any, ...]:
    if not isinstance(given, (tuple, list)):
        problem = f"{name}: {what} is a tuple with one for each argument of the function, "
        problem += f"not {diagnostics.kind_of(given)}"
        raise diagnostics.located(UsageError, problem)
    return tuple(given)
