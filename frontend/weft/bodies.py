"""Functions traced within a trace: what they do becomes a graph that a node holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from weft import diagnostics, tree
from weft.promotion import convert, default_dtype
from weft.tracing import (
    OPERANDS,
    BodyTrace,
    Tracer,
    active,
    call_function,
    check_rank,
    entered,
    lift,
)
from weft.tree import Structure
from weftc.ir.location import Location
from weftc.ir.node import Graph, Node, numbered
from weftc.ir.types import TensorType
from weftc.ops import build
from weftrt import dtypes
from weftrt.dtypes import DType
from weftrt.errors import TraceError


class Argument(NamedTuple):
    """A tracer that a body is called with: what to call it, its type, and whether it is weak."""

    name: str
    type: TensorType
    weak: bool = False


@dataclass(frozen=True, eq=False)
class Body:
    """A traced function: its results as leaves of a tree, with the path of each. `at` is where the
    function is defined."""

    trace: BodyTrace
    inputs: tuple[Node, ...]
    leaves: tuple[Tracer, ...]
    paths: tuple[str, ...]
    structure: Structure
    at: Location | None

    @property
    def name(self) -> str:
        return self.trace.name

    @property
    def has_effects(self) -> bool:
        return self.trace.token is not None

    def converted(self, wanted: Sequence[DType]) -> list[Node]:
        """The results in these dtypes."""
        with entered(self.trace):
            return [convert(leaf, dtype).node for leaf, dtype in zip(self.leaves, wanted)]

    def closed(
        self,
        outputs: Sequence[Node],
        captures: dict[Node, int],
        effects: bool,
        rows: int = 0,
    ) -> Graph:
        """The graph of these outputs. Its inputs are the arguments, with the token before the last
        `rows` of them where there are `effects`, and the captures of all bodies."""
        tokens = []
        if effects:
            self.trace.last_token()
            assert self.trace.first_token is not None
            tokens = [self.trace.first_token]
        captured = [self.trace.inside(outer) for outer in captures]
        first = len(self.inputs) - rows
        inputs = (*self.inputs[:first], *tokens, *self.inputs[first:], *captured)
        return numbered(Graph(self.name, inputs, tuple(outputs)))


def trace_body(
    role: str,
    function: Callable[..., Any],
    arguments: Sequence[Argument],
    pack: Callable[[list[Tracer]], tuple[Any, ...]],
    captures: dict[Node, int],
) -> Body:
    """Run `function` in a trace of its own, on what `pack` makes of tracers for the arguments. The
    nodes around it that it reads are numbered by `captures`, which bodies of one node share."""
    name = getattr(function, "__name__", role)
    trace = BodyTrace(role if name == "<lambda>" else name, len(arguments), active(), captures)
    at = diagnostics.definition(function)
    with entered(trace):
        inputs = [build.argument(n, a.name, a.type) for n, a in enumerate(arguments)]
        given = pack([Tracer(node, trace, a.weak) for node, a in zip(inputs, arguments)])
        result = call_function(function, *given)
        found, structure = tree.flatten_with_paths(result)
        leaves = tuple([returned(trace.name, path, leaf, at) for path, leaf in found])
    return Body(trace, tuple(inputs), leaves, tuple([p for p, _ in found]), structure, at)


def returned(name: str, path: str, leaf: Any, at: Location | None) -> Tracer:
    """A leaf of what the traced function `name`, defined `at`, returned."""
    if isinstance(leaf, OPERANDS):
        called = f"the result of {name}{path}"
        value = lift(leaf, called)
        check_rank(value.ndim, called)  # windows may have more axes, while they are read
        return value
    what = f"{diagnostics.kind_of(leaf)}{diagnostics.at_path(path)} ({leaf!r:.40})"
    problem = f"{name} returns {what}; it may return arrays, numbers, None, and tuples, lists and "
    problem += f"dicts of them{diagnostics.tree_hint(leaf)}"
    raise diagnostics.located(TraceError, problem, at)


def fits(value: Tracer, dtype: DType) -> bool:
    """Whether a value is of this dtype, or a number that an array of it takes beside itself."""
    if not value.weak:
        return value.dtype is dtype
    if value.dtype.is_inexact:
        return dtype.is_complex or dtype.kind is value.dtype.kind
    return value.dtype is dtypes.bool_ or dtype is not dtypes.bool_


def meeting_dtype(values: Sequence[Tracer]) -> DType:
    """The dtype of the first array, which all should fit; that of the loosest number if there are
    only numbers."""
    strong = [value.dtype for value in values if not value.weak]
    if strong:
        return strong[0]
    order = (dtypes.bool_, dtypes.int64, dtypes.float64, dtypes.complex128)
    return default_dtype(max((value.dtype for value in values), key=order.index))
