"""Tracing: Python runs once on stand-ins for arrays, and what it does becomes a graph."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeAlias

import numpy as np

from weft import diagnostics, names
from weft.methods import TracerMethods
from weft.symbolic import SymbolicInt, plain
from weftc.ir import location as locations
from weftc.ir.node import Node
from weftc.ir.sizes import Dim, Size
from weftc.ir.types import TOKEN, TensorType, TupleType
from weftc.ops import TABLE, build
from weftrt import dtypes
from weftrt.array import Array
from weftrt.cpu import callable as callables
from weftrt.dtypes import DType
from weftrt.errors import DTypeError, ShapeError, TraceError, WeftError
from weftrt.forks import repair_in_child
from weftrt.sizes import MAXIMUM_RANK

SCALAR_DTYPES: dict[type, DType] = {
    bool: dtypes.bool_,
    int: dtypes.int64,
    float: dtypes.float64,
    complex: dtypes.complex128,
}
"""How Python scalars enter a graph: weak, in the dtype that holds them exactly."""


Range: TypeAlias = tuple[int, int]
"""The smallest and the largest integer of an interval."""
INT64: Range = (-(2**63), 2**63 - 1)


class Trace:
    """One run of a function on tracers. Closed-over arrays become hidden inputs, each once. `token`
    is that of the last effect, if there was one."""

    def __init__(self, name: str, arguments: int) -> None:
        self.name = name
        self.is_open = False
        self.is_current = False
        self.captured: list[Any] = []
        self._arguments = arguments
        self._nodes: dict[int, Node] = {}
        self.ranges: dict[Node, Range] = {}
        self.made_by_numpy = False
        self.token: Node | None = None

    @property
    def home(self) -> Trace:
        """The trace whose graph has the nodes of this one."""
        return self

    def last_token(self) -> Node:
        """What the next effect has to follow."""
        if self.token is None:
            self.token = TABLE["token"]()
        return self.token

    def node_of(self, tracer: Tracer) -> Node:
        """The node that stands, in this trace, for a tracer of one that is open."""
        if tracer._trace is not self:
            problem = f"a traced value of {tracer._trace.name} is used in another trace"
            raise diagnostics.located(TraceError, problem)
        return tracer._node

    def knows(self, tracer: Tracer) -> bool:
        """Whether a node stands, in this trace, for a tracer of one that has ended."""
        return False

    def note_numpy(self) -> None:
        """Note that a scalar of NumPy's making came into the trace."""
        self.made_by_numpy = True

    def narrow(self, node: Node, low: int, high: int) -> None:
        """Note that the trace holds only for calls whose integer argument `node` is in a range."""
        before = self.ranges.get(node, INT64)
        self.ranges[node] = max(before[0], low), min(before[1], high)

    def capture(self, array: Any) -> Node:
        """The hidden input that stands for a concrete array."""
        found = self._nodes.get(id(array))
        if found is None:
            dtype = array_dtype(array, "a captured array")
            check_rank(array.ndim, "a captured array")
            index = self._arguments + len(self.captured)
            type_ = TensorType(dtype, tuple(array.shape))
            found = build.argument(index, f"captured{len(self.captured)}", type_)
            self.captured.append(array)
            self._nodes[id(array)] = found
        return found

    def number(self, size: Dim) -> Tracer:
        """A symbolic size as a number that the program computes."""
        return lift(size)

    @property
    def hidden(self) -> tuple[Node, ...]:
        """The hidden input nodes, in the order of `captured`."""
        return tuple(self._nodes.values())


class BodyTrace(Trace):
    """The run of a function whose graph a node of another trace, `parent`, will hold. What it reads
    of outer traces becomes inputs: `captures` numbers the nodes of the parent that they stand for;
    the bodies of one node share it."""

    def __init__(self, name: str, arguments: int, parent: Trace, captures: dict[Node, int]) -> None:
        super().__init__(name, arguments)
        self._parent = parent
        self._captures = captures
        self._inner: dict[Node, Node] = {}
        self.first_token: Node | None = None

    def last_token(self) -> Node:
        if self.first_token is None:
            self.first_token = self.token = build.argument(self._arguments, "token", TOKEN)
        assert self.token is not None
        return self.token

    def node_of(self, tracer: Tracer) -> Node:
        own = tracer._trace is self
        return tracer._node if own else self.inside(self._parent.node_of(tracer))

    def knows(self, tracer: Tracer) -> bool:
        return self._parent.knows(tracer)

    def note_numpy(self) -> None:
        self._parent.note_numpy()

    def capture(self, array: Any) -> Node:
        return self.inside(self._parent.capture(array))

    def inside(self, outer: Node) -> Node:
        """The input that stands for a node of the parent; a constant is itself."""
        if not outer.inputs and outer.op.name != "input":
            return outer
        found = self._inner.get(outer)
        if found is None:
            position = self._captures.setdefault(outer, len(self._captures))
            name = outer["name"] if outer.op.name == "input" else f"captured{position}"
            found = build.argument(self._arguments + position, name, outer.type)
            self._inner[outer] = found
        return found


class _State(threading.local):
    trace: Trace | None = None


state = _State()
"""The trace that is open on this thread, if any."""
repair_in_child(lambda: callables.set_traces(int(state.trace is not None)))


@contextmanager
def tracing(trace: Trace, locate: bool = True) -> Iterator[Trace]:
    """Open a trace on this thread. Without `locate`, its nodes belong to no line of source."""
    before = state.trace
    try:  # before it is opened: an interrupt may come as soon as it is
        if before is None:
            callables.trace_opened()
        provider = diagnostics.user_location if locate else lambda: None
        with locations.provided_by(provider), entered(trace):
            yield trace
    finally:
        if before is None:
            callables.trace_closed()


@contextmanager
def entered(trace: Trace) -> Iterator[None]:
    """While open, functions called on this thread add to `trace`."""
    before = state.trace
    if before is not None:
        before.is_current = False
    state.trace, trace.is_open, trace.is_current = trace, True, True
    try:
        yield
    finally:
        state.trace, trace.is_open, trace.is_current = before, False, False
        if before is not None:
            before.is_current = True


def array_dtype(array: Any, what: str) -> DType:
    """The dtype of an Array or ndarray; DTypeError naming `what` if Weft has no such type."""
    found = known_dtype(array)
    if found is not None:
        return found
    if has_other_meaning(array):
        instead = "x.filled(value), or its data and mask" if hasattr(array, "mask") else "x.A"
        problem = f"{what} is a {type(array).__name__}, which Weft has no counterpart of"
        raise diagnostics.located(DTypeError, f"{problem}; use {instead}")
    known = ", ".join(d.name for d in dtypes.ALL)
    problem = f"{what} has dtype {array.dtype}; Weft's dtypes are {known}"
    raise diagnostics.located(DTypeError, problem)


def known_dtype(array: Any) -> DType | None:
    """The dtype of an Array or ndarray; None if Weft has no such type."""
    if isinstance(array, Array):
        return array.dtype
    unknown = has_other_meaning(array) or array.dtype.fields is not None
    return None if unknown else dtypes.from_numpy(array.dtype)


def has_other_meaning(array: Any) -> bool:
    """Whether this is a masked array or a matrix, whose elements alone would be something else."""
    return type(array) is not np.ndarray and isinstance(array, (np.ma.MaskedArray, np.matrix))


def check_rank(rank: int, what: str) -> None:
    """ShapeError naming `what` if an array cannot have so many axes."""
    if rank > MAXIMUM_RANK:
        problem = f"{what} has {rank} axes; an array has at most {MAXIMUM_RANK}"
        raise diagnostics.located(ShapeError, problem)


class Tracer(TracerMethods):
    """A stand-in for an array while its function is traced: a node, and whether it is weak.

    A weak tracer is a Python scalar: it takes the dtype of the array it meets, and arithmetic among
    weak tracers is Python's (float64, int64). `value` is the number that it is in this trace, where
    it is a literal or an argument.
    """

    __slots__ = ("_node", "_trace", "value", "weak")

    def __init__(
        self, node: Node, trace: Trace, weak: bool = False, value: complex | None = None
    ) -> None:
        self._node = node
        self._trace = trace
        self.weak = weak
        self.value = value

    @property
    def node(self) -> Node:
        """The graph node, or within a body the input that stands for it; TraceError if the trace
        has ended."""
        return self._node if self._trace.is_current else self._elsewhere()

    def _elsewhere(self) -> Node:
        if not (self._trace.is_open or active().knows(self)):
            made = f", made at {self._node.location}," if self._node.location else ""
            raise diagnostics.located(
                TraceError,
                f"a traced value{made} is used after the trace of {self._trace.name} has ended; "
                "return it from the function instead of storing it",
            )
        return active().node_of(self)

    def narrow(self, low: int, high: int) -> None:
        """Note that the trace holds only where this integer argument is in a range."""
        self._trace.narrow(self._node, low, high)

    def is_of(self, trace: Trace) -> bool:
        """Whether this was made in `trace`."""
        return self._trace is trace

    @property
    def is_open(self) -> bool:
        """Whether its trace has not ended."""
        return self._trace.is_open

    @property
    def made(self) -> Node:
        """The node that it is where it was made."""
        return self._node

    @property
    def type(self) -> TensorType:
        """Its dtype and sizes, as the compiler has them."""
        return self._node.type

    @property
    def shape(self) -> tuple[Any, ...]:
        """The sizes, as users see them: integers, or what acts like them."""
        return tuple(self._seen(size) for size in self._node.type.shape)

    @property
    def dtype(self) -> DType:
        return self._node.type.dtype

    @property
    def ndim(self) -> int:
        return self._node.type.rank

    @property
    def size(self) -> Any:
        """The number of elements."""
        return self._seen(self._node.type.size)

    def _seen(self, size: Size) -> Any:
        return SymbolicInt(size, self._trace) if isinstance(size, Dim) else size

    def __repr__(self) -> str:
        return f"<traced {'weak ' if self.weak else ''}{self._node.type}>"

    def __bool__(self) -> bool:
        of_python = _OF_PYTHON.get(diagnostics.builtin()) or _OF_SYNTAX.get(
            diagnostics.asks_truth()
        )
        _needs_value(self, "a branch on", of_python or _CHOICE + self._static_hint())

    def _static_hint(self) -> str:
        """How an argument that is a Python number is known while tracing."""
        name = self._node["name"] if self._node.op.name == "input" else ""
        if self.value is None or not name.isidentifier():
            return ""
        return f"; wf.jit(..., static_argnames={name!r}) chooses while tracing"

    def __int__(self) -> int:
        _needs_value(self, "int() of", _counterpart() or "x.astype(wf.int64), or shapes")

    def __float__(self) -> float:
        _needs_value(self, "float() of", _counterpart() or "x.astype(wf.float32)")

    def __index__(self) -> int:
        instead = "shapes, or name the argument in wf.jit(..., static_argnames=...)"
        if diagnostics.builtin() == "range":
            instead = "wf.fori_loop, or name the argument in wf.jit(..., static_argnames=...)"
        elif isinstance(self._trace, BodyTrace):  # a counter, or state of a loop
            instead = "wf.take(x, i + wf.arange(count)) for a part of x, or a loop of Python"
        elif diagnostics.reads_part():
            instead = "x[i + wf.arange(count)] for a part of x, or wf.jit(..., static_argnames=...)"
        _needs_value(self, "a Python integer from", instead)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
        instead = _counterpart() or diagnostics.indexed() or "the functions of weft"
        _needs_value(self, "a NumPy array of", instead)

    def __complex__(self) -> complex:
        _needs_value(self, "complex() of", _counterpart() or "x.astype(wf.complex64)")

    def __format__(self, spec: str) -> str:
        if spec:
            _needs_value(self, f"the format {spec!r} of", "the format outside of the function")
        return repr(self)

    def item(self) -> Any:
        _needs_value(self, "item() of", "the array itself")

    def tolist(self) -> Any:
        _needs_value(self, "tolist() of", "the array itself")

    def __copy__(self) -> Tracer:
        return self

    def __deepcopy__(self, memo: Any) -> Tracer:
        return self

    def __reduce__(self) -> Any:
        _needs_value(self, "pickling", "the result of the function")

    def __len__(self) -> int:
        if not self.ndim:
            _needs_value(self, "len() of", "x.shape", because="a 0-d array has no length")
        return int(self.shape[0])

    def __iter__(self) -> Iterator[Tracer]:
        if not self.ndim:
            _needs_value(self, "iterating over", "x.shape", because="a 0-d array has no elements")
        return (self[i] for i in range(len(self)))


def _counterpart() -> str | None:
    """Weft's function for the call of a library that stands on the user's line."""
    called = diagnostics.called()
    if called is None:
        return None
    name = names.counterpart(called)
    return name and f"wf.{name}"


def _needs_value(
    tracer: Tracer, what: str, instead: str, because: str = "its value is not known yet"
) -> NoReturn:
    raise diagnostics.located(
        TraceError,
        f"{what} a traced value ({tracer.node.type}): {because} while the function is traced; "
        f"use {instead}",
    )


_CHOICE = "wf.cond for a choice of code, wf.where(condition, x, y) for one of elements"
_OF_SYNTAX: dict[str | None, str] = {
    "<": "(a < x) & (x < b)",
    "and": "wf.logical_and(x, y), or (...) & (...)",
    "assert": "wf.debug.check(condition, message)",
    "not": "wf.logical_not(x)",
    "or": "wf.logical_or(x, y), or (...) | (...)",
    "while": "wf.while_loop(condition, body, state)",
}
"""What to use in place of syntax that branches."""
_OF_PYTHON: dict[str | None, str] = {
    "all": "wf.all",
    "any": "wf.any",
    "max": "wf.maximum(x, y), or wf.max(x) of one array",
    "min": "wf.minimum(x, y), or wf.min(x) of one array",
    "sorted": "wf.sort",
}
"""What to use in place of functions of Python's that branch."""

Tracer.__name__ = "traced value"  # as Python's own messages call it


def active() -> Trace:
    """The open trace; every staged function runs inside one."""
    trace = state.trace
    if trace is None:
        raise TraceError("no trace is open")
    return trace


OPERANDS = (Array, Tracer, SymbolicInt, np.ndarray, np.generic, bool, int, float, complex)
"""What `lift` makes tracers of."""


def lift(value: Any, what: str = "an operand") -> Tracer:
    """`value` as a tracer: arrays are captured, Python and NumPy scalars are weak constants."""
    if isinstance(value, Tracer):
        return value
    if isinstance(value, Array):
        return Tracer(active().capture(value), active())
    if isinstance(value, np.ndarray):
        array_dtype(value, what)
        return Tracer(active().capture(value), active())
    if isinstance(value, np.generic):
        active().note_numpy()
        value = scalar_item(value)
    value = plain(value)
    if type(value) is Dim:
        return Tracer(TABLE["size"](size=value), active(), weak=True)
    dtype = SCALAR_DTYPES.get(type(value))
    if dtype is None:
        raise no_operand(value, what)
    return literal(value, dtype)


def scalar_item(value: Any) -> Any:
    """The Python number that a NumPy scalar holds, for some the scalar itself: dates and durations,
    whose `item` is now and then an integer, are no numbers."""
    return value if isinstance(value, (np.datetime64, np.timedelta64)) else value.item()


def no_operand(value: Any, what: str) -> WeftError:
    """The error for what is no array and no number."""
    hint = "; wf.asarray makes one" if isinstance(value, (list, tuple)) else ""
    hint = hint or diagnostics.tree_hint(value)
    problem = f"{what} must be an array or a number, not {diagnostics.kind_of(value)}{hint}"
    return diagnostics.located(TraceError, problem)


def literal(value: complex, dtype: DType) -> Tracer:
    """A weak constant of `dtype`. The node of an integer beyond it is its nearest: promotion looks
    at `value` before anything uses the node."""
    held = max(INT64[0], min(value, INT64[1])) if type(value) is int else value
    return Tracer(constant(held, dtype), active(), weak=True, value=value)


def constant(value: complex, dtype: DType) -> Node:
    """A 0-d constant of a value that `dtype` holds."""
    return build.constant(value, dtype)


def is_literal(node: Node) -> bool:
    """Whether a node is what `literal` makes."""
    if node.op.name == "complex":
        return all(part.op.name == "constant" for part in node.inputs)
    return node.op.name == "constant"


def apply(op: str, *operands: Tracer, weak: bool = False, name: str = "", **attrs: Any) -> Tracer:
    """A node of the primitive `op`; errors of its type rule are raised again with the place."""
    trace = active()
    nodes = [operand.node for operand in operands]
    if attrs:
        attrs = {attr: plain(value) for attr, value in attrs.items()}
    try:
        node = TABLE[op](*nodes, **attrs)
    except WeftError as error:
        raise diagnostics.relocate(error, name or op, operands) from None
    if node.type.rank > MAXIMUM_RANK:
        check_rank(node.type.rank, f"the result of {name or op}")
    return Tracer(node, trace, weak)


def results(node: Node) -> list[Tracer]:
    """The tensors among the results of a node that has several."""
    assert isinstance(node.value_type, TupleType)
    trace = active()
    return [
        Tracer(TABLE["project"](node, index=index), trace)
        for index, type_ in enumerate(node.value_type.items)
        if isinstance(type_, TensorType)
    ]


def call_function(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What a user's function gives for tracers. Python's TypeError where it takes no such arguments
    is the user's to hear."""
    try:
        return function(*args, **kwargs)
    except TypeError as error:
        if error.__traceback__ is not None and error.__traceback__.tb_next is None:
            diagnostics.as_intended(error)
        raise


def effect(op: str, *operands: Tracer, **attrs: Any) -> list[Tracer]:
    """A node of the primitive `op`, which has an effect: it follows the last one of its trace. The
    tensors among its results."""
    trace = active()
    nodes = tuple(operand.node for operand in operands)
    try:
        node = TABLE[op](trace.last_token(), *nodes, **attrs)
    except WeftError as error:
        raise diagnostics.relocate(error, op, operands) from None
    follow(node)
    return [] if node.value_type is TOKEN else results(node)


def follow(node: Node) -> None:
    """Let the next effect of this trace follow `node`: a token, or a tuple that holds one."""
    type_ = node.value_type
    if isinstance(type_, TupleType):
        node = TABLE["project"](node, index=type_.items.index(TOKEN))
    active().token = node
