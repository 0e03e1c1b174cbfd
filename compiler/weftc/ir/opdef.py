"""The record that defines an op, once. The families of ops live in `weftc.ops`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from weftc.ir.node import Graph, Node, make
from weftc.ir.sizes import Dim, Shape, Size
from weftc.ir.types import ValueType
from weftrt.dtypes import DType
from weftrt.errors import VerifyError, WeftError

if TYPE_CHECKING:
    from weftc.ir.index_map import IndexMap
    from weftc.ir.location import Location
    from weftc.loop.ir import Expr
    from weftc.ops.complex_rules import Value

Attr: TypeAlias = (
    "bool | int | float | str | DType | Dim | Graph | HostFunction | tuple[Attr, ...] | None"
)
"""What an attribute may be: hashable, printable data."""
Attrs: TypeAlias = dict[str, Any]
"""Attributes by name, each an `Attr`; the rules of an op know which kind its own are."""

RULE_ERRORS = (WeftError, LookupError, TypeError, ValueError, AttributeError)
"""What `infer` raises for inputs that do not fit, or for attributes of other kinds than its own."""

Infer: TypeAlias = Callable[[tuple[Any, ...], Attrs], ValueType]
Reference: TypeAlias = Callable[[Sequence[Any], Attrs, Any], Any]
Lower: TypeAlias = "Callable[[tuple[Expr, ...], DType, Attrs], Expr]"
Vjp: TypeAlias = "Callable[..., tuple[Node | None, ...]]"
Jvp: TypeAlias = "Callable[..., tuple[Node | Sequence[Node], tuple[Node | None, ...]]]"
View: TypeAlias = "Callable[[Shape, tuple[Shape, ...], Attrs], tuple[IndexMap, ...]]"
Pull: TypeAlias = "Callable[[Node, tuple[Expr, ...], Puller], Expr]"
Pairs: TypeAlias = "Callable[[Node, tuple[Value, ...]], Value | list[Value]]"
Batch: TypeAlias = (
    "Callable[[Node, tuple[Node, ...], tuple[bool, ...], Mapper], Node | Sequence[Node]]"
)


@dataclass(frozen=True, eq=False)
class HostFunction:
    """A Python function that a program calls. Two are equal if they hold the same object."""

    function: Callable[..., Any]

    @property
    def name(self) -> str:
        """What the function is called in its source."""
        return getattr(self.function, "__qualname__", type(self.function).__qualname__)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HostFunction) and self.function is other.function

    def __hash__(self) -> int:
        return id(self.function)


@dataclass(frozen=True)
class Failure:
    """How a node fails at run time: the error, and its message, with {index} where the index that
    the failing element of `indices` holds belongs."""

    kind: type[WeftError]
    message: str
    indices: Node | None = None


@dataclass(frozen=True)
class ExternCall:
    """The routine of the runtime that computes a node from the buffers of its inputs into those of
    its results, the sizes it is told, and the nanoseconds it takes, about."""

    function: str
    sizes: tuple[Size, ...]
    work: Size


@dataclass(frozen=True)
class Loop:
    """Where a loop has what. Its state is `carried` operands, the first results and those of its
    body; of `scanned` operands after them, if it has such an attribute, a turn reads one row each.

    `bounds` operands come before the state, and `counters` inputs of the body: the number of the
    turn. `turns(node)` says how many there are, None where it is not known.
    """

    bounds: int = 0
    counters: int = 0
    turns: Callable[[Node], Size | None] = lambda node: None


class Puller(Protocol):
    """What a `pull` rule may ask of the schedule that lowers its node."""

    def read(self, operand: int, index: tuple[Expr, ...]) -> Expr:
        """The element of input number `operand` at `index`."""

    def size(self, size: Size) -> Expr:
        """A size as an int64 expression."""

    def guarded(self, condition: Expr, then: Callable[[], Expr], otherwise: Expr) -> Expr:
        """`then()` where the condition holds, else `otherwise`; reads inside `then` are masked."""

    def report(self, node: Node, condition: Expr, element: Expr) -> None:
        """Fail at run time with the node's location if `condition` holds for any element."""


class Mapper(Protocol):
    """What a `batch` rule may ask of the map that its node comes under."""

    @property
    def size(self) -> Size:
        """How many elements the mapped axis has."""

    @property
    def active(self) -> Node | None:
        """A bool for each element: whether it comes there at all; None where all do."""

    def expanded(self, node: Node) -> Node:
        """`node`, which is the same for all elements, with the mapped axis in front."""

    def outputs(
        self, graph: Graph, operands: Sequence[Node], active: Node | None
    ) -> Sequence[Node]:
        """The outputs of `graph` for `operands`, each mapped or not, as are the outputs."""


class Family(Enum):
    """How an op computes, which is all that fusion and schedules know of it."""

    PARTS = "parts"  # complex, real, imag: no kernel sees them (weftc.transforms.pairs)
    SOURCE = "source"  # input, constant, iota, size: no inputs
    POINTWISE = "pointwise"  # equal shapes in, the same shape out; `lower` gives the scalar term
    MOVEMENT = "movement"  # index arithmetic only: `view` gives it
    INDEXING = "indexing"  # gathers and scatters: data-dependent index, bounds checked
    REDUCTION = "reduction"  # attrs: axes (adjacent, ascending), removed from the shape
    CUMULATIVE = "cumulative"  # attrs: axis, reverse; each result from that before it on the axis
    CONTRACTION = "contraction"  # attrs: batch, contract (pairs of axis tuples)
    STRUCTURE = "structure"  # project, token: parts of tuples, and order; nothing is computed
    CONTROL = "control"  # branch, while, fori, scan: attrs hold the graphs that run
    EXTERN = "extern"  # a routine of the runtime, called with whole arrays
    EFFECT = "effect"  # a token first in and last out: what happens in order

    __hash__ = object.__hash__  # Enum's own is a Python function, and tables are keyed by these


ON_TENSORS = frozenset(
    {
        Family.SOURCE,
        Family.POINTWISE,
        Family.MOVEMENT,
        Family.INDEXING,
        Family.REDUCTION,
        Family.CUMULATIVE,
        Family.CONTRACTION,
    }
)
"""Families of ops from tensors to one tensor, which kernels are made of."""


@dataclass(frozen=True, eq=False)
class OpDef:
    """One op: its type rule, its meaning in NumPy, its gradient, its scalar term.

    `infer(types, attrs)` gives the result type or raises ShapeError/DTypeError in user's words.
    `reference(arrays, attrs, type)` computes it literally to the numerics contract, bit for bit; a
    tuple is a tuple of arrays, a token None.
    `lower(scalars, dtype, attrs)` builds the scalar term (POINTWISE only; pulled elementwise).
    `view(shape, operands, attrs)` gives an index map for each input (MOVEMENT), of a result of this
    shape and operands of these: the element is that of the first input whose guards hold. Those
    of some input do at every index, so that the last one's need not be asked.
    `pull(node, index, puller)` builds the element at `index` (SOURCE and INDEXING).
    `vjp(node, *cotangents)` takes one cotangent per result, None for a result that has none, and
    gives one per input, None where there is none; None for the whole rule means the op is not
    differentiable (integer, boolean or piecewise constant). An op that holds graphs is told besides
    which inputs need one, by `wanted`, a bool for each.
    `jvp(node, *tangents)` takes one tangent per input, None for zero, and gives (a node whose
    results begin with those of `node`, or these results one by one; one tangent per result of
    `node`). Most ops need none: their tangent is the transpose of `vjp` (weftc.transforms.jvp).
    `batch(node, inputs, batched, mapper)` computes the node for every element of a new axis that
    stands in front of those `inputs` that are `batched`: a node, whose results have that axis in
    front, or need not where they are the same for all elements; or the results one by one. Families
    that need no rules of their ops have theirs in weftc.transforms.batch.
    `pairs(node, inputs)` gives what an op of complex numbers is in real arithmetic: `inputs` are
    the parts of complex operands, and real ones as they are; so are its results, in a list if there
    are several. Pointwise ops that have it take complex numbers (weftc.transforms.pairs).
    """

    name: str
    family: Family
    infer: Infer
    reference: Reference
    lower: Lower | None = None
    view: View | None = None
    pull: Pull | None = None
    vjp: Vjp | None = None
    jvp: Jvp | None = None
    batch: Batch | None = None
    pairs: Pairs | None = None
    extern: Callable[[Node], ExternCall] | None = None
    """For EXTERN: which routine of the runtime computes a node; `fails` says how it may not."""
    fails: Callable[[Node], Failure] | None = None
    """How a node of this op fails at run time; None for ops that cannot."""
    effect: bool = False
    """Whether a run does more than compute: it takes a token first, and gives one last."""
    holds_graphs: bool = False
    """Whether attributes are graphs, or hold some."""
    loop: Loop | None = None
    """For ops that run a graph again and again."""
    cost: int = 1
    """Rough work per element in simple vector instructions (exp: 15, divide: 5)."""
    identity: float | None = None
    """For reductions: what an empty one gives; None where that is an error (max, min)."""
    combine: str | None = None
    """For reductions: the Scalar that combines two elements, by name ("ADD", "MAXIMUM")."""
    exact: bool = False
    """Whether NumPy's result is exact everywhere, so that constant folding may use `reference`."""
    samples: Callable[[], Sequence[tuple[tuple[Any, ...], Attrs]]] | None = None
    """Input types and attrs the registry test tries besides those it derives from the family."""
    domain: tuple[float, float] = field(default=(-3.0, 3.0))
    """Where the registry test draws inputs for the gradient check."""

    def __call__(self, *inputs: Node, at: Location | None = None, **attrs: Any) -> Node:
        """A new node of this op. `at` defaults to the location in force (weftc.ir.location)."""
        return make(self, inputs, attrs, at)

    def __repr__(self) -> str:
        return f"<op {self.name}>"


class OpTable:
    """All ops by name. Registering a name twice is a bug."""

    def __init__(self) -> None:
        self._ops: dict[str, OpDef] = {}

    def add(self, op: OpDef) -> OpDef:
        if op.name in self._ops:
            raise VerifyError(f"the op {op.name} is defined twice")
        self._ops[op.name] = op
        return op

    def __getitem__(self, name: str) -> OpDef:
        return self._ops[name]

    def __contains__(self, name: str) -> bool:
        return name in self._ops

    def all(self) -> tuple[OpDef, ...]:
        return tuple(self._ops.values())


TABLE = OpTable()
