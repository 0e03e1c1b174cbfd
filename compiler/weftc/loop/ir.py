"""The loop IR: what schedules write and both backends print.

Frozen data, identity equality. A `LoopFunction` is a list of statements over buffers; scalars are
SSA (`Let`, loop-carried values), so no backend needs mem2reg. Two levels share these classes:

- *written*: every expression is scalar. `For(kind=VECTOR)` says "these iterations may run as
  lanes", whatever its body holds (a serial loop inside it runs once for all lanes: outer-loop
  vectorization). `Reduce` is the canonical reduction of the numerics contract.
- *widened* (after weftc.loop.widen): no VECTOR loop and no Reduce is left; expressions have lanes,
  and `Ramp`, `Splat`, `Tree` and masks appear.

Written example, `y[i] = exp(x[i])`:

    function exp_f32(x: global f32, y: global f32; n)
      for i in 0..n vector(32)
        let e = <scalar definition of exp of x[i]>
        store y[i] = e
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from weftrt import dtypes
from weftrt.dtypes import DType


class Scalar(Enum):
    """Typed scalar operations; the value is (name, number of operands).

    Integer arithmetic wraps. Comparisons give bool. Rows of weftc.loop.scalar give each its NumPy
    meaning; each backend has one table from here to its own text.
    """

    ADD = ("add", 2)
    SUB = ("sub", 2)
    MUL = ("mul", 2)
    DIV = ("div", 2)  # floats: correctly rounded
    TDIV = ("tdiv", 2)  # integers: truncated; the divisor is never 0 or (min, -1): the op guards it
    TREM = ("trem", 2)
    FMOD = ("fmod", 2)  # floats: x - trunc(x / y) * y, exact, with the sign of x, as in C
    FMA = ("fma", 3)  # a*b + c rounded once
    NEG = ("neg", 1)
    ABS = ("abs", 1)
    SQRT = ("sqrt", 1)
    MINIMUM = ("minimum", 2)  # IEEE 754-2019: a NaN wins, -0 < +0
    MAXIMUM = ("maximum", 2)
    FLOOR = ("floor", 1)
    CEIL = ("ceil", 1)
    TRUNC = ("trunc", 1)
    RINT = ("rint", 1)  # half to even
    COPYSIGN = ("copysign", 2)
    LDEXP = ("ldexp", 2)  # x * 2**n, rounded once; 0.25 <= |x| <= 4 (or 0, inf, nan), n int32/int64
    AND = ("and", 2)  # bools and integers
    OR = ("or", 2)
    XOR = ("xor", 2)
    NOT = ("not", 1)
    SHL = ("shl", 2)  # shift counts are in range: the op guards it
    SHR = ("shr", 2)  # arithmetic for signed, logical for unsigned
    EQ = ("eq", 2)  # floats: ordered, except NE which is true for NaN
    NE = ("ne", 2)
    LT = ("lt", 2)
    LE = ("le", 2)
    GT = ("gt", 2)
    GE = ("ge", 2)
    SELECT = ("select", 3)  # condition, if true, if false
    CAST = ("cast", 1)  # value conversion to the node's type; float to int truncates and saturates,
    #                     NaN to 0; to bool: != 0
    BITCAST = ("bitcast", 1)  # same width

    __hash__ = object.__hash__  # Enum's own is a Python function, and tables are keyed by these

    def __init__(self, text: str, arity: int) -> None:
        self.text = text
        self.arity = arity

    def __repr__(self) -> str:
        return self.text


@dataclass(frozen=True)
class LoopType:
    """A dtype and a number of lanes; 1 is a scalar. A bool lane is one bit in registers and one
    byte in memory."""

    dtype: DType
    lanes: int = 1

    def __str__(self) -> str:
        return self.dtype.short if self.lanes == 1 else f"{self.dtype.short}x{self.lanes}"


INDEX = LoopType(dtypes.int64)
BOOL = LoopType(dtypes.bool_)


class Space(Enum):
    """Where a buffer lives."""

    GLOBAL = "global"  # a parameter of the function
    LOCAL = "local"  # the stack of the running thread; at most 256 KiB
    SHARED = "shared"  # CUDA shared memory
    SCRATCH = "scratch"  # a parameter allocated by the memory plan for this call of the kernel


# ---------------------------------------------------------------------------------------------
# Expressions
# ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, slots=True)
class Const:
    """A literal: bool, int, or float (nan and inf included)."""

    value: bool | int | float
    type: LoopType


@dataclass(frozen=True, eq=False, slots=True)
class Var:
    """A loop index, a size parameter, or a name bound by Let, Carry or Reduce."""

    name: str
    type: LoopType


@dataclass(frozen=True, eq=False, slots=True)
class Op:
    """A scalar operation, lane by lane."""

    op: Scalar
    args: tuple[Expr, ...]
    type: LoopType


@dataclass(frozen=True, eq=False, slots=True)
class Buffer:
    """Elements of one dtype behind one pointer; `size` (elements) is needed for LOCAL, SHARED and
    SCRATCH, an int for the first two."""

    name: str
    dtype: DType
    space: Space = Space.GLOBAL
    size: Expr | int | None = None
    aligned: int = 1
    """A promise about the base address, in bytes (64 for Weft's own arrays and temporaries)."""


@dataclass(frozen=True, eq=False, slots=True)
class Load:
    """buffer[index]. A scalar mask guards a scalar load: where it is false nothing is read and the
    value is 0 (the way to write a padded or checked read, at both levels). Widened: an index with
    lanes is a gather, a scalar index under a type with lanes is a contiguous vector load; a lane
    whose mask is false is not read and gives 0."""

    buffer: Buffer
    index: Expr
    type: LoopType
    mask: Expr | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Ramp:
    """Widened only: base, base+step, ..., base+(lanes-1)*step (base a scalar integer)."""

    base: Expr
    type: LoopType
    step: int = 1


@dataclass(frozen=True, eq=False, slots=True)
class Splat:
    """Widened only: a scalar in every lane."""

    value: Expr
    type: LoopType


@dataclass(frozen=True, eq=False, slots=True)
class Tree:
    """Widened only: lanes combined to a scalar by the fixed tree: lane i with lane i + lanes/2,
    halving until one is left. `op` is ADD, MUL, MINIMUM, MAXIMUM, AND or OR."""

    op: Scalar
    value: Expr
    type: LoopType


Expr: TypeAlias = Const | Var | Op | Load | Ramp | Splat | Tree

# ---------------------------------------------------------------------------------------------
# Statements
# ---------------------------------------------------------------------------------------------


class LoopKind(Enum):
    """How the iterations of a loop run."""

    SERIAL = "serial"
    UNROLLED = "unrolled"  # constant bounds; printed as straight code
    VECTOR = "vector"  # independent; becomes lanes (widen), masked at the tail
    PARALLEL = "parallel"  # independent; split over threads; only at the top level of a function
    BLOCK = "block"  # CUDA: blockIdx.x, grid-stride
    THREAD = "thread"  # CUDA: threadIdx.x, block-stride


@dataclass(frozen=True, eq=False, slots=True)
class Let:
    """var = value."""

    var: Var
    value: Expr


@dataclass(frozen=True, eq=False, slots=True)
class Store:
    """buffer[index] = value. Widened: as for Load; lanes whose mask is false are not written."""

    buffer: Buffer
    index: Expr
    value: Expr
    mask: Expr | None = None
    nontemporal: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Carry:
    """A loop-carried value: `var` inside the loop, starting at `init`, becoming `next` after each
    iteration; `result` is its value after the loop (`init` when the loop runs no iteration)."""

    var: Var
    init: Expr
    next: Expr
    result: Var


@dataclass(frozen=True, eq=False, slots=True)
class For:
    """for var in range(start, stop, step), step a positive int.

    `lanes` is for VECTOR: the logical lanes of one step (a multiple of the machine's vector is
    an unroll). `grain` is for PARALLEL: the fewest iterations worth a thread (an Expr, >= 1).
    Only SERIAL and UNROLLED loops may carry values.
    """

    var: Var
    start: Expr
    stop: Expr
    body: Block
    kind: LoopKind = LoopKind.SERIAL
    step: int = 1
    carried: tuple[Carry, ...] = ()
    lanes: int = 1
    grain: Expr | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Term:
    """One value a Reduce combines: `op` over `value`, starting at the op's identity."""

    op: Scalar  # ADD MUL MINIMUM MAXIMUM AND OR
    value: Expr
    result: Var


@dataclass(frozen=True, eq=False, slots=True)
class Reduce:
    """The canonical reduction over var in range(extent): blocks of 4096; within a block, element r
    into lane r mod 64, in order, lanes starting at the identity; lanes combined by the halving
    tree; block results combined by this same rule again. An empty extent gives the identity.
    `body` runs for every element before `value` is taken (Let and Store only, and Alloc-free), so
    that a row can be kept for a second pass. Inside a VECTOR loop each lane of the loop does its
    own reduction.
    """

    var: Var
    extent: Expr
    body: Block
    terms: tuple[Term, ...]


@dataclass(frozen=True, eq=False, slots=True)
class If:
    """Run `then` or `otherwise`. Under lanes both become masks."""

    condition: Expr
    then: Block
    otherwise: Block = ()


@dataclass(frozen=True, eq=False, slots=True)
class Alloc:
    """A LOCAL or SHARED buffer, uninitialized, alive to the end of the enclosing block."""

    buffer: Buffer


@dataclass(frozen=True, eq=False, slots=True)
class Barrier:
    """All threads of a CUDA block meet (SHARED writes before it are seen after it)."""


@dataclass(frozen=True, eq=False, slots=True)
class Call:
    """An intrinsic from weftc.loop.intrinsics, for its effect:

    - "report"(condition, site, element): if the condition holds, the program fails with the
      smallest (site, element) reported; the kernel runs on (its masked loads read 0).
      Scalars at both levels: the widening pass folds lanes to the smallest element.
    - "prefetch"(index) with `buffer`: a hint.
    """

    name: str
    args: tuple[Expr, ...]
    buffer: Buffer | None = None


Stmt: TypeAlias = Let | Store | For | Reduce | If | Alloc | Barrier | Call
Block: TypeAlias = tuple[Stmt, ...]


@dataclass(frozen=True, eq=False, slots=True)
class LoopFunction:
    """A kernel: buffers (GLOBAL then SCRATCH) and int64 size parameters, in call order."""

    name: str
    buffers: tuple[Buffer, ...]
    sizes: tuple[Var, ...]
    body: Block

    @property
    def scratch(self) -> tuple[Buffer, ...]:
        return tuple(b for b in self.buffers if b.space is Space.SCRATCH)

    def named(self, name: str) -> LoopFunction:
        """This function under another name."""
        return LoopFunction(name, self.buffers, self.sizes, self.body)


# ---------------------------------------------------------------------------------------------
# Building
# ---------------------------------------------------------------------------------------------


def const(value: bool | int | float, dtype: DType = dtypes.int64, lanes: int = 1) -> Const:
    """A literal of `dtype`."""
    return Const(value, LoopType(dtype, lanes))


_COMPARISONS = frozenset((Scalar.EQ, Scalar.NE, Scalar.LT, Scalar.LE, Scalar.GT, Scalar.GE))


def apply(op: Scalar, *args: Expr) -> Op:
    """`op` over operands of fitting types. CAST and BITCAST need a target: `cast`, `bitcast`."""
    if op in _COMPARISONS:
        type_ = LoopType(dtypes.bool_, args[0].type.lanes)
    elif op is Scalar.SELECT:
        type_ = args[1].type
    else:
        type_ = args[0].type
    return Op(op, args, type_)


def cast(value: Expr, dtype: DType) -> Expr:
    """`value` converted to `dtype` (the value itself where it has that dtype)."""
    if value.type.dtype is dtype:
        return value
    return Op(Scalar.CAST, (value,), LoopType(dtype, value.type.lanes))


def bitcast(value: Expr, dtype: DType) -> Expr:
    """The bits of `value` read as `dtype`, of the same width."""
    return Op(Scalar.BITCAST, (value,), LoopType(dtype, value.type.lanes))


def add(a: Expr, b: Expr) -> Expr:
    """a + b for indices, folding constants and zeros."""
    if isinstance(a, Const) and isinstance(b, Const):
        return const(int(a.value) + int(b.value))
    if isinstance(a, Const) and a.value == 0:
        return b
    if isinstance(b, Const) and b.value == 0:
        return a
    return apply(Scalar.ADD, a, b)


def subtract(a: Expr, b: Expr) -> Expr:
    """a - b for indices, folding constants and a zero."""
    if isinstance(a, Const) and isinstance(b, Const):
        return const(int(a.value) - int(b.value))
    if isinstance(b, Const) and b.value == 0:
        return a
    return apply(Scalar.SUB, a, b)


def mul(a: Expr, b: Expr) -> Expr:
    """a * b for indices, folding constants, zeros and ones."""
    if isinstance(a, Const) and isinstance(b, Const):
        return const(int(a.value) * int(b.value))
    for x, y in ((a, b), (b, a)):
        if isinstance(x, Const) and x.value == 0:
            return const(0)
        if isinstance(x, Const) and x.value == 1:
            return y
    return apply(Scalar.MUL, a, b)
