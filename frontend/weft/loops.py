"""Loops on traced values, which run inside the one program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar

from weft import diagnostics, dispatch, tree
from weft.bodies import Argument, Body, fits, meeting_dtype
from weft.control import (
    Function,
    check_functions,
    place_text,
    returns,
    scalar_of,
    token_of,
    traced,
    tree_text,
    value_text,
)
from weft.ops import core
from weft.promotion import convert, default_dtype, promote_dtypes
from weft.symbolic import plain
from weft.tracing import SCALAR_DTYPES, Tracer, follow, lift, results, state
from weftc.ir.node import Node
from weftc.ir.sizes import Dim, Size
from weftc.ir.types import TensorType
from weftc.ops import TABLE
from weftc.ops.check import same_sizes
from weftrt import dtypes
from weftrt.dtypes import DType
from weftrt.errors import DTypeError, ShapeError, UsageError, WeftError


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
    check_functions("while_loop", cond=cond, body=body)
    if state.trace is None:
        return dispatch.run_now("while_loop", lambda init: while_loop(cond, body, init), init)
    loop = _State("while_loop", init)

    def turn(captures: dict[Node, int]) -> tuple[Body, Body]:
        how = loop.arguments(), loop.tree, captures
        holds = traced("while_loop", ["state"], "cond", cond, *how)
        return traced("while_loop", ["state"], "body", body, *how), holds

    changed, holds, captures = loop.settled(turn)
    _check_condition(holds)
    return loop.run("while", [], changed, captures, holds)


def fori_loop(lower: Any, upper: Any, body: Function, init: Any) -> Any:
    """The state that `init` becomes by `state = body(i, state)` for each i from `lower` to
    `upper - 1`; `init` itself if there is none.

    The bounds are integer scalars. If both are Python's, `i` is a number that takes the dtype of
    the arrays it meets, as it would in a loop of Python; else it is an int64. The state is what
    that of `while_loop` is.

    Gradients go through it if the number of turns is known while tracing, or follows from shapes:
    memory for what each turn has computed is needed then. Else there are none (TraceError).
    """
    check_functions("fori_loop", body=body)
    if state.trace is None:
        run: Function = lambda lower, upper, init: fori_loop(lower, upper, body, init)  # noqa: E731
        return dispatch.run_now("fori_loop", run, lower, upper, init)
    bounds = [_bound("lower", lower), _bound("upper", upper)]
    counter = Argument("i", TensorType(dtypes.int64, ()), all(bound.weak for bound in bounds))
    loop = _State("fori_loop", init)

    def turn(captures: dict[Node, int]) -> tuple[Body, None]:
        how = [counter, *loop.arguments()], loop.counted, captures
        return traced("fori_loop", ["i", "state"], "body", body, *how), None

    changed, _, captures = loop.settled(turn)
    return loop.run("fori", [convert(b, dtypes.int64).node for b in bounds], changed, captures)


def scan(
    body: Function,
    init: Any,
    xs: Any = None,
    length: Any = None,
    reverse: bool = False,
    unroll: int = 1,
) -> tuple[Any, Any]:
    """The carry that `init` becomes by `carry, y = body(carry, x)` for each x along the first axis
    of the arrays in the tree `xs`, and the ys, stacked along a new first axis: `(carry, ys)`.

    The carry is what the state of `while_loop` is; an x is the tree `xs` with one row of each
    array, and a y any tree of arrays. Without `xs` there are `length` turns, which is the number of
    rows otherwise; with `reverse` the last row comes first. Rows are read, and ys written, where
    they are: a turn copies nothing. Works on concrete arrays outside of `jit` too.

    With `unroll` so many turns become one, which does as they did, to the last bit, and gradients
    too: their kernels fuse, which pays where a turn does little. True makes one of all. The stacks
    are copied once for it, and what is compiled grows with it.

    ShapeError or DTypeError, with the lines, where the body changes a type of the carry, and
    UsageError where it changes its tree or returns no pair. ShapeError names what has no rows, or
    another number of them.
    """
    check_functions("scan", body=body)
    core.flag("scan", "reverse", reverse)
    if not isinstance(unroll, int) or (unroll < 1 and unroll is not True):
        problem = f"scan: unroll is how many turns become one, not {unroll!r:.40}"
        raise diagnostics.located(UsageError, problem)
    if state.trace is None:
        run: Function = lambda init, xs: scan(body, init, xs, length, reverse, unroll)  # noqa: E731
        return dispatch.run_now("scan", run, init, xs)  # type: ignore[no-any-return]
    rows, loop = _Rows("scan", xs, length), _State("scan", init, "carry")
    pack: Function = lambda given: (*loop.tree(given[: loop.size]), *rows.tree(given[loop.size :]))  # noqa: E731

    def turn(captures: dict[Node, int]) -> tuple[Body, Body]:
        how = [*loop.arguments(), *rows.arguments()], pack, captures
        return _halves(traced("scan", ["carry", "x"], "body", body, *how))

    carry, ys, captures = loop.settled(turn)
    return loop.scan(carry, ys, rows, captures, reverse, unroll)


def map(f: Function, xs: Any) -> Any:
    """`f(x)` for each x along the first axis of the arrays in the tree `xs`, stacked along a new
    first axis: a `scan` without a carry, one row after another.

    Raises what `scan` does.
    """
    check_functions("map", f=f)
    if state.trace is None:
        return dispatch.run_now("map", lambda xs: map(f, xs), xs)
    rows, loop = _Rows("map", xs, None), _State("map", ())
    captures: dict[Node, int] = {}
    ys = traced("map", ["x"], "f", f, rows.arguments(), rows.tree, captures)
    nothing = replace(ys, leaves=(), paths=(), structure=tree.structure(()))
    _, results = loop.scan(nothing, ys, rows, captures, False)
    return results


def _halves(body: Body) -> tuple[Body, Body]:
    """What a body returns, as one that returns the carry, and one that returns y."""
    shape = body.structure
    if shape.kind not in (tuple, list) or len(shape.children) != 2:
        found = tree_text(shape, body.leaves)
        problem = f"scan: {body.name} returns {found}, not a pair of the carry and a y"
        raise diagnostics.located(UsageError, problem + place_text(body.at))
    count = shape.children[0].leaves()
    places = (slice(count), slice(count, None))
    carry, ys = (
        replace(body, leaves=body.leaves[some], paths=body.paths[some], structure=child)
        for some, child in zip(places, shape.children, strict=True)
    )
    return carry, ys


def _bound(what: str, value: Any) -> Tracer:
    found = scalar_of("fori_loop", what, value)
    if not found.dtype.is_integer:
        problem = f"fori_loop: {what} is {value_text(found)}, not an integer"
        raise diagnostics.located(DTypeError, problem)
    return found


T = TypeVar("T")
Turn: TypeAlias = "Callable[[dict[Node, int]], tuple[Body, T]]"
"""Traces the body of a loop, and what belongs to it, and numbers what they capture."""

_NUMBERS = {default_dtype(dtype): dtype for dtype in SCALAR_DTYPES.values()}
"""In which dtype numbers of a default dtype enter a graph."""


class _State:
    """The state of a loop: its tree, and the dtypes that its leaves have in every iteration."""

    def __init__(self, name: str, init: Any, noun: str = "state") -> None:
        found, self._structure = tree.flatten_with_paths(init)
        self._name, self._noun, self.size = name, noun, len(found)
        self._paths = [path for path, _ in found]
        self._leaves = [lift(leaf, f"{name}: init{path}") for path, leaf in found]
        self._begin([False] * len(found))

    def _begin(self, numbers: list[bool]) -> None:
        self._dtypes = [default_dtype(x.dtype) if x.weak else x.dtype for x in self._leaves]
        self._is_widened = [False] * self.size
        self._numbers = numbers

    def arguments(self) -> list[Argument]:
        """What a body is traced with."""
        taken = [_NUMBERS[d] if n else d for n, d in zip(self._numbers, self._dtypes)]
        types = [x.type.with_dtype(d) for x, d in zip(self._leaves, taken)]
        return [
            Argument(f"{self._noun}{path}", type_, number)
            for path, type_, number in zip(self._paths, types, self._numbers, strict=True)
        ]

    def tree(self, tracers: Sequence[Tracer]) -> tuple[Any]:
        """The state as the user's functions see it."""
        return (self._structure.unflatten(tracers),)

    def counted(self, tracers: Sequence[Tracer]) -> tuple[Any, Any]:
        """The counter and the state."""
        return tracers[0], *self.tree(tracers[1:])

    def settled(self, turn: Turn[T]) -> tuple[Body, T, dict[Node, int]]:
        """The body that `turn` traces, and what else, when it gives a state of the types that it
        takes; with the captures of both. A number of `init` gets the dtype that the body makes of
        it: of an array of its default dtype, or, where it does not take that, of the number."""
        try:
            return self._repeated(turn)
        except DTypeError as refused:
            numbers = [leaf.weak for leaf in self._leaves]
            if not any(numbers):
                raise
            self._begin(numbers)
            try:
                self._repeated(turn)
            except Exception:
                raise refused from None
        self._numbers = [False] * self.size
        return self._repeated(turn)

    def _repeated(self, turn: Turn[T]) -> tuple[Body, T, dict[Node, int]]:
        """What `turn` traces when no dtype changes any more."""
        while True:
            captures: dict[Node, int] = {}
            body, other = turn(captures)
            if self._keeps(body):
                return body, other, captures

    def _keeps(self, body: Body) -> bool:
        """Whether the body gives a state of the types that it takes. For those that it makes of
        numbers it has to be traced again."""
        if body.structure != self._structure:
            place = diagnostics.at_path(tree.difference(self._structure, body.structure)[0])
            problem = f"{self._name}: the {self._noun} changes its structure{place}:"
            problem += f"\n    init is {tree_text(self._structure, self._leaves)}"
            problem += returns(body, tree_text(body.structure, body.leaves))
            raise diagnostics.located(UsageError, problem)
        made = [self._made(number, body) for number in range(len(self._leaves))]
        numbers = [a and leaf.weak for a, leaf in zip(self._numbers, body.leaves)]
        kept = made == self._dtypes and numbers == self._numbers
        self._is_widened = [
            a or b is not c for a, b, c in zip(self._is_widened, made, self._dtypes)
        ]
        self._dtypes, self._numbers = made, numbers
        return kept

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
        problem = f"{self._name}: the {self._noun} changes its type{place}:"
        problem += f"\n    init is {value_text(init)}{place_text(init.node.location)}"
        problem += returns(body, value_text(body.leaves[number]))
        return diagnostics.located(kind, problem + self._remedy(init, body.leaves[number]))

    def _remedy(self, init: Tracer, result: Tracer) -> str:
        """How the dtype of a result may be that of its state."""
        if init.dtype is result.dtype:
            return ""
        begin = f"begin with a {result.dtype}"
        narrows = result.dtype.is_complex and not init.dtype.is_complex
        keep = "" if narrows else f", or return x.astype(wf.{init.dtype})"
        return f"\n  {begin}{keep}"

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
        start = self._start() + token_of(effects)
        node = TABLE[op](*bounds, *start, *captures, **attrs, carried=len(start))
        if effects:
            follow(node)
        return self._structure.unflatten(results(node))

    def scan(
        self,
        carry: Body,
        ys: Body,
        rows: _Rows,
        captures: dict[Node, int],
        reverse: bool,
        unroll: int = 1,
    ) -> tuple[Any, Any]:
        """The carry that a scan ends with, and its stacks."""
        effects = carry.has_effects
        start, outputs = self._start() + token_of(effects), carry.converted(self._dtypes)
        if effects:
            outputs.append(carry.trace.last_token())
        outputs += ys.converted([default_dtype(y.dtype) if y.weak else y.dtype for y in ys.leaves])
        graph = carry.closed(outputs, captures, effects, len(rows.stacks))
        node = TABLE["scan"](
            *start,
            *rows.stacks,
            *captures,
            body=graph,
            carried=len(start),
            scanned=len(rows.stacks),
            length=rows.length,
            reverse=reverse,
            **_unrolling(unroll, rows.length),
        )
        if effects:
            follow(node)
        found = results(node)
        last, stacks = found[: self.size], found[self.size :]
        return self._structure.unflatten(last), ys.structure.unflatten(stacks)

    def _start(self) -> list[Node]:
        return [convert(x, d).node for x, d in zip(self._leaves, self._dtypes, strict=True)]


def _unrolling(unroll: int, length: Size) -> dict[str, Any]:
    """How many turns are to be made one, if more than one."""
    count = length if unroll is True else unroll
    return {"unroll": count} if isinstance(count, int) and count > 1 else {}


class _Rows:
    """What a scan reads the rows of: a tree of arrays with equally many."""

    def __init__(self, name: str, xs: Any, length: Any) -> None:
        found, self._structure = tree.flatten_with_paths(xs)
        self._name = name
        self._paths = [path for path, _ in found]
        leaves = [lift(leaf, f"{name}: xs{path}") for path, leaf in found]
        for path, leaf in zip(self._paths, leaves):
            if not leaf.ndim:
                problem = f"{name}: xs{path} is {value_text(leaf)}, which has no rows"
                raise diagnostics.located(ShapeError, problem)
        self.stacks = [leaf.node for leaf in leaves]
        self.length = self._length(length)

    def arguments(self) -> list[Argument]:
        """The rows that a body is traced with."""
        types = [stack.type.with_shape(stack.type.shape[1:]) for stack in self.stacks]
        return [Argument(f"x{path}", type_) for path, type_ in zip(self._paths, types)]

    def tree(self, tracers: Sequence[Tracer]) -> tuple[Any]:
        """A row as the user's functions see it."""
        return (self._structure.unflatten(tracers),)

    def _length(self, given: Any) -> Size:
        """How many rows there are, of each array; ShapeError names two that differ."""
        counts = [(f"xs{p}", s.type.shape[0]) for p, s in zip(self._paths, self.stacks)]
        if given is not None:
            counts.insert(0, ("length", _size(self._name, given)))
        if not counts:
            hint = "; length says how often to turn without" if self._name == "scan" else ""
            problem = f"{self._name}: there is no array in xs to take rows of{hint}"
            raise diagnostics.located(UsageError, problem)
        (first, length), *others = counts
        for what, count in others:
            if not same_sizes((length,), (count,)):
                one = f"length is {length}" if first == "length" else f"{first} has {length} rows"
                problem = f"{self._name}: {one}, but {what} has {count}"
                raise diagnostics.located(ShapeError, problem)
        return length


def _size(name: str, given: Any) -> Size:
    """A length as the compiler has it."""
    size = plain(given)
    return size if isinstance(size, Dim) else core.size_of(name, size)


def _check_condition(body: Body) -> None:
    scalar = len(body.leaves) == 1 and not body.leaves[0].ndim and body.structure is tree.LEAF
    if not scalar or body.leaves[0].dtype is not dtypes.bool_:
        text = tree_text(body.structure, body.leaves)
        problem = f"while_loop: {body.name} returns {text}, not a scalar bool"
        raise diagnostics.located(DTypeError, problem + place_text(body.at))
    if body.has_effects:
        problem = f"while_loop: the condition {body.name} has effects, which only the body may"
        raise diagnostics.located(UsageError, problem + place_text(body.at))
