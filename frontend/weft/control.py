"""Control flow on traced values: branches and loops that run inside the one program."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from weft import diagnostics, dispatch, tree
from weft.bodies import Argument, Body, fits, meeting_dtype, trace_body
from weft.promotion import convert, default_dtype, promote_dtypes
from weft.tracing import Tracer, active, follow, lift, results, state
from weft.tree import Structure
from weftc.ir.location import Location
from weftc.ir.node import Node
from weftc.ir.types import TensorType
from weftc.ops import TABLE
from weftc.ops.check import describe, same_sizes
from weftrt import dtypes
from weftrt.dtypes import DType
from weftrt.errors import DTypeError, ShapeError, UsageError, WeftError

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
    _check_functions("cond", true_fn=true_fn, false_fn=false_fn)
    if state.trace is None:
        return dispatch.run_now(
            "cond", lambda pred, operands: cond(pred, true_fn, false_fn, *operands), pred, operands
        )
    index = _scalar("cond", "pred", pred)
    if index.dtype is not dtypes.bool_:
        hint = "compare it with a number, or use wf.switch"
        raise diagnostics.located(DTypeError, f"cond: pred is {_type(index)}, not a bool; {hint}")
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
    chosen = _scalar("switch", "index", index)
    if not chosen.dtype.is_integer:
        hint = "; wf.cond takes a bool" if chosen.dtype is dtypes.bool_ else ""
        problem = f"switch: index is {_type(chosen)}, not an integer{hint}"
        raise diagnostics.located(DTypeError, problem)
    named = {f"branch {number}": function for number, function in enumerate(functions)}
    return _choice("switch", chosen, named, operands)


def while_loop(cond: Function, body: Function, init: Any) -> Any:
    """The state that `init` becomes by `state = body(state)` while the scalar bool `cond(state)`
    holds.

    The state is any tree; its structure, dtypes and shapes stay what they are. A number in `init`
    becomes an array of its default dtype, or of the one that the body makes of it. Both functions
    may read any values around them. Works on concrete arrays outside of `jit` too.

    ShapeError or DTypeError, with the lines, where the body changes a type, and UsageError where it
    changes the tree. There is no gradient (TraceError): reverse mode would need every state that
    the loop went through.
    """
    _check_functions("while_loop", cond=cond, body=body)
    if state.trace is None:
        return dispatch.run_now("while_loop", lambda init: while_loop(cond, body, init), init)
    loop = _State("while_loop", init)
    while True:
        captures: dict[Node, int] = {}
        holds = _traced(
            "while_loop", ["state"], "cond", cond, loop.arguments(), loop.tree, captures
        )
        changed = _traced(
            "while_loop", ["state"], "body", body, loop.arguments(), loop.tree, captures
        )
        if loop.settled(changed):
            break
    _check_condition(holds)
    return loop.run("while", [], changed, captures, holds)


def fori_loop(lower: Any, upper: Any, body: Function, init: Any) -> Any:
    """The state that `init` becomes by `state = body(i, state)` for each i from `lower` to
    `upper - 1`; `init` itself if there is none.

    The bounds are integer scalars. If both are Python's, `i` is a number that takes the dtype of
    the arrays it meets, as it would in a loop of Python; else it is an int64. The state is what
    that of `while_loop` is.

    Gradients go through a loop of up to 64 turns if their number is known while tracing; else there
    are none (TraceError).
    """
    _check_functions("fori_loop", body=body)
    if state.trace is None:
        run: Function = lambda lower, upper, init: fori_loop(lower, upper, body, init)  # noqa: E731
        return dispatch.run_now("fori_loop", run, lower, upper, init)
    bounds = [_bound("lower", lower), _bound("upper", upper)]
    counter = Argument("i", TensorType(dtypes.int64, ()), all(bound.weak for bound in bounds))
    loop = _State("fori_loop", init)
    while True:
        captures: dict[Node, int] = {}
        arguments = [counter, *loop.arguments()]
        names = ["i", "state"]
        changed = _traced("fori_loop", names, "body", body, arguments, loop.counted, captures)
        if loop.settled(changed):
            break
    return loop.run("fori", [convert(b, dtypes.int64).node for b in bounds], changed, captures)


# ---------------------------------------------------------------------------------------------
# Arguments
# ---------------------------------------------------------------------------------------------


def _check_functions(name: str, **functions: Any) -> None:
    for what, function in functions.items():
        if not callable(function):
            problem = f"{name}: {what} is a function, not {diagnostics.kind_of(function)}"
            raise diagnostics.located(UsageError, problem)


def _traced(name: str, names: Sequence[str], role: str, function: Function, *how: Any) -> Body:
    """The body that `trace_body` makes of a function, or TypeError with what it is called with if
    it does not take that."""
    try:
        return trace_body(role, function, *how)
    except TypeError:
        try:
            signature = inspect.signature(function, follow_wrapped=False)
        except (TypeError, ValueError):  # it does not say
            signature = None
        if signature is not None and not _takes(signature, names):
            call = f"{name} calls {role}({', '.join(names)})"
            problem = f"{call}, but {role} is a function of {signature}"
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
    _check_functions("switch", **{f"branch {i}": b for i, b in enumerate(branches)})
    return tuple(branches)


def _scalar(name: str, what: str, value: Any) -> Tracer:
    found = lift(value, f"{name}: {what}")
    if found.ndim:
        hint = "; wf.where chooses element by element" if name == "cond" else ""
        problem = f"{name}: {what} is {_type(found)}, not a scalar{hint}"
        raise diagnostics.located(ShapeError, problem)
    return found


def _bound(what: str, value: Any) -> Tracer:
    found = _scalar("fori_loop", what, value)
    if not found.dtype.is_integer:
        problem = f"fori_loop: {what} is {_text(found)}, not an integer"
        raise diagnostics.located(DTypeError, problem)
    return found


def _type(value: Tracer) -> str:
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
        _traced(name, names, role, function, [], lambda _: operands, captures)
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
    node = TABLE["branch"](index.node, *_token(effects), *captures, branches=branches)
    if effects:
        follow(node)
    return bodies[0].structure.unflatten(results(node))


def _token(effects: bool) -> list[Node]:
    return [active().last_token()] if effects else []


def _check_structures(name: str, first: Body, other: Body) -> None:
    if first.structure != other.structure:
        where = tree.difference(first.structure, other.structure)[0]
        problem = f"{name}: the branches return trees that differ{diagnostics.at_path(where)}:"
        problem += _returns(first, _tree(first.structure, first.leaves))
        problem += _returns(other, _tree(other.structure, other.leaves))
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
            problem += _returns(bodies[first], _text(found[first])) + _returns(body, _text(value))
            raise diagnostics.located(DTypeError if alike else ShapeError, problem)
    return dtype


def _returns(body: Body, text: str) -> str:
    return f"\n    {body.name} returns {text}{_place(body.at)}"


def _place(at: Location | None) -> str:
    return f"  ({at})" if at is not None else ""


class _Text(str):
    """A string that shows in a tree as it is."""

    __repr__ = str.__str__


def _tree(structure: Structure, leaves: Sequence[Tracer]) -> str:
    """ "(float32[3], {'a': int64[]})"."""
    return str(structure.unflatten([_Text(_text(leaf)) for leaf in leaves]))


def _text(value: Tracer) -> str:
    return f"a {_PYTHON[value.dtype]}" if value.weak else _type(value)


_PYTHON: dict[DType, str] = {
    dtypes.bool_: "Python bool",
    dtypes.int64: "Python int",
    dtypes.float64: "Python float",
}


# ---------------------------------------------------------------------------------------------
# Loops
# ---------------------------------------------------------------------------------------------


class _State:
    """The state of a loop: its tree, and the dtypes that its leaves have in every iteration."""

    def __init__(self, name: str, init: Any) -> None:
        found, self._structure = tree.flatten_with_paths(init)
        self._name = name
        self._paths = [path for path, _ in found]
        self._leaves = [lift(leaf, f"{name}: init{path}") for path, leaf in found]
        self._dtypes = [default_dtype(x.dtype) if x.weak else x.dtype for x in self._leaves]
        self._is_widened = [False] * len(found)

    def arguments(self) -> list[Argument]:
        """What a body is traced with."""
        return [
            Argument(f"state{path}", leaf.type.with_dtype(dtype))
            for path, leaf, dtype in zip(self._paths, self._leaves, self._dtypes, strict=True)
        ]

    def tree(self, tracers: Sequence[Tracer]) -> tuple[Any]:
        """The state as the user's functions see it."""
        return (self._structure.unflatten(tracers),)

    def counted(self, tracers: Sequence[Tracer]) -> tuple[Any, Any]:
        """The counter and the state."""
        return tracers[0], *self.tree(tracers[1:])

    def settled(self, body: Body) -> bool:
        """Whether the body gives a state of the types that it takes. A number of `init` gets the
        dtype that it makes of it, for which it has to be traced again."""
        if body.structure != self._structure:
            place = diagnostics.at_path(tree.difference(self._structure, body.structure)[0])
            problem = f"{self._name}: the state changes its structure{place}:"
            problem += f"\n    init is {_tree(self._structure, self._leaves)}"
            problem += _returns(body, _tree(body.structure, body.leaves))
            raise diagnostics.located(UsageError, problem)
        made = [self._made(number, body) for number in range(len(self._leaves))]
        settled = made == self._dtypes
        self._is_widened = [
            a or b is not c for a, b, c in zip(self._is_widened, made, self._dtypes)
        ]
        self._dtypes = made
        return settled

    def _made(self, number: int, body: Body) -> DType:
        """The dtype of a leaf, as the body returns it."""
        init, result, now = self._leaves[number], body.leaves[number], self._dtypes[number]
        if not same_sizes(init.type.shape, result.type.shape):
            raise self._changed(ShapeError, number, body)
        if fits(result, now):
            return now
        wider = meeting_dtype([init, result])
        grows = not self._is_widened[number] or promote_dtypes(now, wider) is wider
        if not (init.weak and fits(init, wider) and grows):
            raise self._changed(DTypeError, number, body)
        return wider

    def _changed(self, kind: type[WeftError], number: int, body: Body) -> WeftError:
        init, place = self._leaves[number], diagnostics.at_path(self._paths[number])
        problem = f"{self._name}: the state changes its type{place}:"
        problem += f"\n    init is {_text(init)}{_place(init.node.location)}"
        problem += _returns(body, _text(body.leaves[number]))
        return diagnostics.located(kind, problem)

    def run(
        self,
        op: str,
        bounds: Sequence[Node],
        body: Body,
        captures: dict[Node, int],
        condition: Body | None = None,
    ) -> Any:
        """The state that the loop ends with."""
        outputs, effects = body.converted(self._dtypes), body.has_effects
        if effects:
            outputs.append(body.trace.last_token())
        attrs: dict[str, Any] = {}
        if condition is not None:  # a result that was captured as such is one once it is converted
            holds = condition.converted([dtypes.bool_])
            attrs["condition"] = condition.closed(holds, captures, effects)
        attrs["body"] = body.closed(outputs, captures, effects)
        start = [convert(x, d).node for x, d in zip(self._leaves, self._dtypes, strict=True)]
        start += _token(effects)
        node = TABLE[op](*bounds, *start, *captures, **attrs, carried=len(start))
        if effects:
            follow(node)
        return self._structure.unflatten(results(node))


def _check_condition(body: Body) -> None:
    scalar = len(body.leaves) == 1 and not body.leaves[0].ndim and body.structure is tree.LEAF
    if not scalar or body.leaves[0].dtype is not dtypes.bool_:
        text = _tree(body.structure, body.leaves)
        problem = f"while_loop: {body.name} returns {text}, not a scalar bool"
        raise diagnostics.located(DTypeError, problem + _place(body.at))
    if body.has_effects:
        problem = f"while_loop: the condition {body.name} has effects, which only the body may"
        raise diagnostics.located(UsageError, problem + _place(body.at))
