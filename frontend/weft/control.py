"""Branches on traced values, which run inside the one program, and what loops share with them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from weft import diagnostics, dispatch, tree
from weft.bodies import Body, fits, meeting_dtype, trace_body
from weft.tracing import Tracer, active, follow, lift, results, state
from weft.tree import Structure
from weftc.ir.location import Location
from weftc.ir.node import Node
from weftc.ops import TABLE
from weftc.ops.check import describe, same_sizes
from weftrt import dtypes
from weftrt.dtypes import DType
from weftrt.errors import DTypeError, ShapeError, UsageError

Function = Callable[..., Any]


def cond(pred: Any, true_fn: Function, false_fn: Function, *operands: Any) -> Any:
    """`true_fn(*operands)` if the scalar bool `pred` holds, else `false_fn(*operands)`; only the
    chosen one runs.

    Both return trees of one structure, with arrays of the same dtypes and shapes; numbers take the
    dtype of the arrays that the other returns in their place. They may read any values around them.
    Works on concrete arrays outside of `jit` too, with the same bits.

    ShapeError or DTypeError, with both lines, where they return different arrays, and UsageError
    where they return different trees; ShapeError or DTypeError if `pred` is no scalar bool.
    """
    check_functions("cond", true_fn=true_fn, false_fn=false_fn)
    if state.trace is None:
        return dispatch.run_now(
            "cond", lambda pred, operands: cond(pred, true_fn, false_fn, *operands), pred, operands
        )
    index = scalar_of("cond", "pred", pred)
    if index.dtype is not dtypes.bool_:
        hint = "compare it with a number, or use wf.switch"
        problem = f"cond: pred is {type_text(index)}, not a bool; {hint}"
        raise diagnostics.located(DTypeError, problem)
    return _choice("cond", index, {"true_fn": true_fn, "false_fn": false_fn}, operands)


def switch(index: Any, branches: Sequence[Function], *operands: Any) -> Any:
    """`branches[index](*operands)` for an integer scalar, which counts as the first or the last
    branch where it is outside; only the chosen one runs.

    The branches return what those of `cond` do, or raise as they do.
    """
    functions = _functions(branches)
    if state.trace is None:
        return dispatch.run_now(
            "switch", lambda index, operands: switch(index, functions, *operands), index, operands
        )
    chosen = scalar_of("switch", "index", index)
    if not chosen.dtype.is_integer:
        hint = "; wf.cond takes a bool" if chosen.dtype is dtypes.bool_ else ""
        problem = f"switch: index is {type_text(chosen)}, not an integer{hint}"
        raise diagnostics.located(DTypeError, problem)
    named = {f"branch {number}": function for number, function in enumerate(functions)}
    return _choice("switch", chosen, named, operands)


# ---------------------------------------------------------------------------------------------
# Arguments
# ---------------------------------------------------------------------------------------------


def check_functions(name: str, **functions: Any) -> None:
    """UsageError unless each of these is a function."""
    for what, function in functions.items():
        if not callable(function):
            problem = f"{name}: {what} is a function, not {diagnostics.kind_of(function)}"
            raise diagnostics.located(UsageError, problem)


def traced(name: str, names: Sequence[str], role: str, function: Function, *how: Any) -> Body:
    """The body that `trace_body` makes of a function; TypeError as of `called`."""
    body: Body = called(name, names, role, function, lambda: trace_body(role, function, *how))
    return body


def called(
    name: str, names: Sequence[str], role: str, function: Function, call: Callable[[], Any]
) -> Any:
    """What `call` gives, which calls a function, or TypeError with what it is called with if it
    does not take that."""
    try:
        return call()
    except TypeError:
        try:
            signature = inspect.signature(function, follow_wrapped=False)
        except (TypeError, ValueError):  # it does not say
            signature = None
        if signature is not None and not _takes(signature, names):
            wanted = f"{name} calls {role}({', '.join(names)})"
            problem = f"{wanted}, but {role} is a function of {signature}"
            raise diagnostics.as_intended(TypeError(problem)) from None
        raise


def _takes(signature: inspect.Signature, arguments: Sequence[str]) -> bool:
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True


def _functions(branches: Any) -> tuple[Function, ...]:
    if not isinstance(branches, (tuple, list)) or not branches:
        problem = f"switch: branches is a list of functions, not {branches!r:.40}"
        raise diagnostics.located(UsageError, problem)
    check_functions("switch", **{f"branch {i}": b for i, b in enumerate(branches)})
    return tuple(branches)


def scalar_of(name: str, what: str, value: Any) -> Tracer:
    """A value that is traced as a scalar; ShapeError if it is none."""
    found = lift(value, f"{name}: {what}")
    if found.ndim:
        hint = "; wf.where chooses element by element" if name == "cond" else ""
        problem = f"{name}: {what} is {type_text(found)}, not a scalar{hint}"
        raise diagnostics.located(ShapeError, problem)
    return found


def type_text(value: Tracer) -> str:
    """A type in the user's words: float32[3,4]."""
    return describe(value.type)


# ---------------------------------------------------------------------------------------------
# Branches
# ---------------------------------------------------------------------------------------------


def _choice(
    name: str, index: Tracer, functions: Mapping[str, Function], operands: tuple[Any, ...]
) -> Any:
    captures: dict[Node, int] = {}
    names = [f"operand {number}" for number in range(len(operands))]
    bodies = [
        traced(name, names, role, function, [], lambda _: operands, captures)
        for role, function in functions.items()
    ]
    for other in bodies[1:]:
        _check_structures(name, bodies[0], other)
    wanted = [_common(name, bodies, leaf) for leaf in range(len(bodies[0].leaves))]
    outputs = [body.converted(wanted) for body in bodies]
    effects = any(body.has_effects for body in bodies)
    if effects:
        outputs = [[*o, b.trace.last_token()] for b, o in zip(bodies, outputs, strict=True)]
    graphs = [b.closed(o, captures, effects) for b, o in zip(bodies, outputs, strict=True)]
    branches = tuple(graphs[::-1] if index.dtype is dtypes.bool_ else graphs)
    node = TABLE["branch"](index.node, *token_of(effects), *captures, branches=branches)
    if effects:
        follow(node)
    return bodies[0].structure.unflatten(results(node))


def token_of(effects: bool) -> list[Node]:
    """The token that the next effect of the open trace follows, if there is one."""
    return [active().last_token()] if effects else []


def _check_structures(name: str, first: Body, other: Body) -> None:
    if first.structure != other.structure:
        where = tree.difference(first.structure, other.structure)[0]
        problem = f"{name}: the branches return trees that differ{diagnostics.at_path(where)}:"
        problem += returns(first, tree_text(first.structure, first.leaves))
        problem += returns(other, tree_text(other.structure, other.leaves))
        raise diagnostics.located(UsageError, problem)


def _common(name: str, bodies: Sequence[Body], leaf: int) -> DType:
    """The dtype of result number `leaf` of all bodies, which have one shape."""
    found = [body.leaves[leaf] for body in bodies]
    dtype = meeting_dtype(found)
    first = next((n for n, value in enumerate(found) if not value.weak), 0)
    for body, value in zip(bodies, found, strict=True):
        alike = same_sizes(value.type.shape, found[first].type.shape)
        if not alike or not fits(value, dtype):
            place = diagnostics.at_path(body.paths[leaf])
            problem = f"{name}: the branches return different types{place}:"
            problem += returns(bodies[first], value_text(found[first]))
            problem += returns(body, value_text(value))
            raise diagnostics.located(DTypeError if alike else ShapeError, problem)
    return dtype


def returns(body: Body, text: str) -> str:
    """A line of an error: what a body returns, and where it is."""
    return f"\n    {body.name} returns {text}{place_text(body.at)}"


def place_text(at: Location | None) -> str:
    """Where something is, in brackets; nothing where that is not known."""
    return f"  ({at})" if at is not None else ""


class _Text(str):
    """A string that shows in a tree as it is."""

    __repr__ = str.__str__


def tree_text(structure: Structure, leaves: Sequence[Tracer]) -> str:
    """ "(float32[3], {'a': int64[]})"."""
    return str(structure.unflatten([_Text(value_text(leaf)) for leaf in leaves]))


def value_text(value: Tracer) -> str:
    """A value in the user's words: its type, or "a Python int"."""
    return f"a {_PYTHON[value.dtype]}" if value.weak else type_text(value)


_PYTHON: dict[DType, str] = {
    dtypes.bool_: "Python bool",
    dtypes.int64: "Python int",
    dtypes.float64: "Python float",
}
