"""From the loops of a CPU schedule to blocks and threads, keeping every bit.

    for p in 0..rows parallel            for p in 0..rows block
      let s = reduce add over r ...  =>    shared s_lanes: 64 threads take a lane each; tree
      for j in 0..n vector                 for j in 0..n thread
        store y[p*n + j] = ...               store y[p*n + j] = ...

Three levels. At the top, each BLOCK loop is a launch of its own, so that what one writes the next
may read. Inside a block, everything outside of THREAD loops runs alike in all threads, and only
THREAD loops store. Inside a thread, loops are serial. Barriers stand wherever threads of a block
may have written what others read next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from weftc.loop import ir
from weftc.loop.build import Names
from weftc.loop.ir import (
    INDEX,
    Alloc,
    Barrier,
    Block,
    Buffer,
    Call,
    Const,
    For,
    If,
    Let,
    Load,
    LoopFunction,
    LoopKind,
    Op,
    Reduce,
    Scalar,
    Space,
    Stmt,
    Store,
    Var,
    const,
)
from weftc.loop.split_reduce import split_reductions
from weftc.loop.walk import bound, expressions, names, statements, under
from weftc.schedule.cuda import reduction
from weftc.schedule.cuda.rewrite import BufferMap

THREADS = 256
"""Threads of a block."""

SHARED_LIMIT = 48 << 10
"""Bytes of shared memory that a block has on every GPU."""


@dataclass(frozen=True)
class Unbound:
    """A kernel that has no CUDA schedule, and why."""

    name: str
    reason: str


class _Unfit(Exception):
    """What a function does that cannot be bound; turned into Unbound."""


def bind(function: LoopFunction) -> LoopFunction | Unbound:
    """`function` (written, with CPU loop kinds) with BLOCK and THREAD loops."""
    try:
        if _has_lanes(function.body):
            raise _Unfit("its loops are written in vectors of the CPU")
        return _Binder(split_reductions(function)).bind()
    except _Unfit as reason:
        return Unbound(function.name, str(reason))


def _has_lanes(body: Block) -> bool:
    """Whether a schedule wrote its loops widened."""
    roots = (root for statement in statements(body) for root in expressions(statement))
    return any(node.type.lanes > 1 for node in under(roots))


class _Binder:
    def __init__(self, function: LoopFunction) -> None:
        self.function = function
        self.names = Names(tuple(names(function)))
        self.buffers = BufferMap()
        self.shared_bytes = 0
        self.rewritten = _written(function.body) & _read(function.body)
        """Buffers through which one statement may hand values to another."""

    def bind(self) -> LoopFunction:
        body = self._phases() or self._one_block(self.function.body)
        f = self.function
        return LoopFunction(f.name, f.buffers, f.sizes, tuple(body))

    # -- the top level --------------------------------------------------------------------------

    def _phases(self) -> list[Stmt] | None:
        """A launch for each loop whose iterations are independent and one for what stands between
        two of those, but for the Lets that all share; None when one needs a name or an array of
        another."""
        shared, rest = self._known_before()
        groups = [tuple(group) for _, group in groupby(rest, self._launch_of)]
        if _pass_names((tuple(shared), *groups)) or _pass_arrays(groups):
            return None
        return [*shared, *(phase for group in groups for phase in self._phase(group))]

    def _known_before(self) -> tuple[list[Stmt], list[Stmt]]:
        """The Lets that read nothing that is written, and use no names but those of one another:
        cheap enough to be computed by every launch. And the other statements."""
        body = self.function.body
        found: tuple[list[Stmt], list[Stmt]] = ([], [])
        written, later = _written(body), set[str]()
        for s in body:
            used = {var.name for var in _variables((s,))}
            known = isinstance(s, Let) and not _read((s,)) & written and not used & later
            found[0 if known else 1].append(s)
            later |= set() if known else {var.name for var in _outer_names(s)}
        return found

    def _launch_of(self, s: Stmt) -> Stmt | None:
        """What tells apart the launches of neighbours: a loop of independent iterations that passes
        on values in memory alone is one."""
        if not isinstance(s, For) or _outer_names(s) or _arrays((s,)) - _own_arrays(s):
            return None
        return s if _independent(s) else None

    def _phase(self, group: Block) -> list[Stmt]:
        s = self._launch_of(group[0])
        if not isinstance(s, For):
            return self._one_block(group)
        if s.kind is LoopKind.VECTOR or not _has_vectors(s.body):
            return [self._flat(s)]
        s = self._by_vectors(s)
        return [For(s.var, s.start, s.stop, self.block(s.body), LoopKind.BLOCK, s.step)]

    def _by_vectors(self, s: For) -> For:
        """Strips of columns that are reduced, one after another by a thread of the CPU, as a block
        for each vector of a strip: a column is a thread's, and many blocks hide what memory takes.
        """
        *before, strip = s.body
        width = _strip_width(before, strip) if isinstance(strip, For) else None
        if not isinstance(strip, For) or width is None or width <= strip.lanes or s.step != 1:
            return s
        number, first, last = (
            Var(self.names.fresh(name), INDEX) for name in (s.var.name, "first", "last")
        )
        parts = const(width // strip.lanes)
        along = ir.mul(ir.apply(Scalar.TREM, number, parts), const(strip.lanes))
        end = ir.apply(Scalar.MINIMUM, ir.add(first, const(strip.lanes)), strip.stop)
        body = (
            Let(s.var, ir.add(s.start, ir.apply(Scalar.TDIV, number, parts))),
            *before,
            Let(first, ir.add(strip.start, along)),
            Let(last, end),
            replace(strip, start=first, stop=last),
        )
        count = ir.mul(ir.subtract(s.stop, s.start), parts)
        return replace(s, var=number, start=const(0), stop=count, body=body)

    def _flat(self, s: For) -> For:
        """Independent iterations over all threads of all blocks."""
        first, last = Var(self.names.fresh("first"), INDEX), Var(self.names.fresh("last"), INDEX)
        width = THREADS * s.step
        stop = ir.apply(Scalar.MINIMUM, ir.add(first, const(width)), s.stop)
        inner = For(s.var, first, last, self.thread(s.body), LoopKind.THREAD, s.step)
        body = (Let(last, stop), inner)
        return For(first, s.start, s.stop, body, LoopKind.BLOCK, width)

    def _one_block(self, body: Block) -> list[Stmt]:
        """Statements that must stay in order, in the only block of a launch."""
        only = Var(self.names.fresh("only"), INDEX)
        return [For(only, const(0), const(1), self.block(body), LoopKind.BLOCK)]

    # -- inside a block: all threads together -----------------------------------------------------

    def block(self, body: Block) -> Block:
        return tuple(new for s in body for new in self._in_block(s))

    def _in_block(self, s: Stmt) -> Sequence[Stmt]:
        if isinstance(s, Alloc):
            return self._share(s)
        if isinstance(s, Reduce):
            return self._reduce_in_block(s)
        if isinstance(s, For) and s.kind is LoopKind.VECTOR:
            loop = self.buffers.loop(s, self.thread(s.body), LoopKind.THREAD)
            return [loop, *self._barrier(s)]
        if isinstance(s, Let):
            return [self.buffers.let(s), *self._barrier(s)]
        if not _has_vectors((s,)) and _has_effects((s,)) and not _outer_names(s):
            return [self._one_thread(s), *self._barrier(s)]
        if isinstance(s, If):
            condition = self.buffers.expr(s.condition)
            return [If(condition, self.block(s.then), self.block(s.otherwise))]
        if isinstance(s, For):
            kind = LoopKind.SERIAL if s.kind is LoopKind.PARALLEL else s.kind
            after = self._barrier(s) if s.carried else ()  # `next` may read what others then write
            return [self.buffers.loop(s, (*self.block(s.body), *after), kind)]
        raise _Unfit(f"a {type(s).__name__} statement outside of loops")

    def _one_thread(self, s: Stmt) -> For:
        one = Var(self.names.fresh("one"), INDEX)
        return For(one, const(0), const(1), self.thread((s,)), LoopKind.THREAD)

    def _share(self, s: Alloc) -> Sequence[Stmt]:
        """A stack array of the CPU's thread is shared by the threads of the block."""
        if not isinstance(s.buffer.size, int):
            raise _Unfit(f"the array {s.buffer.name} has no fixed size")
        return [Alloc(self.buffers.add(s.buffer, self._shared(s.buffer.name, s.buffer)))]

    def _shared(self, name: str, like: Buffer) -> Buffer:
        assert isinstance(like.size, int)
        self.shared_bytes += like.size * like.dtype.itemsize
        if self.shared_bytes > SHARED_LIMIT:
            raise _Unfit(f"its arrays take more than {SHARED_LIMIT >> 10} KiB of shared memory")
        return Buffer(name, like.dtype, Space.SHARED, like.size, 64)

    def _barrier(self, s: Stmt) -> list[Stmt]:
        """A barrier after `s` if it touches memory that threads pass values through."""
        touched = _written((s,)) | _read((s,))
        passing = any(b in self.rewritten or b.space is Space.LOCAL for b in touched)
        return [Barrier()] if passing else []

    def _reduce_in_block(self, s: Reduce) -> Sequence[Stmt]:
        rows = []
        for term in s.terms:
            like = Buffer("", term.result.type.dtype, Space.SHARED, reduction.LANES)
            rows.append(self._shared(self.names.fresh(f"{term.result.name}_lanes"), like))
        extent = self.buffers.expr(s.extent)
        body, terms = self.thread(s.body), self.buffers.terms(s.terms)
        loops = reduction.shared(Reduce(s.var, extent, body, terms), rows, self.names)
        return [*map(Alloc, rows), *loops]

    # -- inside a thread --------------------------------------------------------------------------

    def thread(self, body: Block) -> Block:
        return tuple(new for s in body for new in self._in_thread(s))

    def _in_thread(self, s: Stmt) -> Sequence[Stmt]:
        if isinstance(s, Reduce):
            extent, terms = self.buffers.expr(s.extent), self.buffers.terms(s.terms)
            inner = Reduce(s.var, extent, self.thread(s.body), terms)
            return reduction.private(inner, self.names)
        if isinstance(s, For):
            serial = s.kind is not LoopKind.UNROLLED
            kind = LoopKind.SERIAL if serial else LoopKind.UNROLLED
            return [self.buffers.loop(s, self.thread(s.body), kind)]
        if isinstance(s, If):
            condition = self.buffers.expr(s.condition)
            return [If(condition, self.thread(s.then), self.thread(s.otherwise))]
        return [self.buffers.leaf(s)]


# -- questions about statements -----------------------------------------------------------------


def _independent(s: For) -> bool:
    """Whether iterations may run in any order. A serial loop may, unless it reads memory that it
    writes and that outlives an iteration: schedules write no element twice but to combine it."""
    if s.kind in (LoopKind.VECTOR, LoopKind.PARALLEL):
        return True
    return not s.carried and _written(s.body) & _read(s.body) <= _own_arrays(s)


def _strip_width(before: Block | list[Stmt], strip: For) -> int | None:
    """The most iterations of a vector loop that reduces columns, where only what it takes is named
    `before` it: from start to minimum(start + width, all), or to start + width."""
    named = {s.var: s.value for s in before if isinstance(s, Let)}
    reduces = any(isinstance(s, Reduce) for s in statements(strip.body))
    if strip.kind is not LoopKind.VECTOR or not reduces or len(named) < len(before):
        return None
    stop = strip.stop
    if isinstance(stop, Var):
        stop = named.get(stop, stop)
    if isinstance(stop, Op) and stop.op is Scalar.MINIMUM:
        stop = stop.args[0]
    if isinstance(stop, Op) and stop.op is Scalar.ADD and stop.args[0] is strip.start:
        width = stop.args[1]
        return int(width.value) if isinstance(width, Const) else None
    return None


def _has_vectors(body: Block) -> bool:
    return any(
        isinstance(s, Reduce) or (isinstance(s, For) and s.kind is LoopKind.VECTOR)
        for s in statements(body)
    )


def _pass_names(groups: Sequence[Block]) -> bool:
    """Whether a statement of one group leaves a name that one of another group uses."""
    used = [{var.name for var in _variables(group)} for group in groups]
    for number, group in enumerate(groups[1:], 1):
        left = {var.name for s in group for var in _outer_names(s)}
        if any(left & names for other, names in enumerate(used) if other != number):
            return True
    return False


def _pass_arrays(groups: Sequence[Block]) -> bool:
    """Whether two groups use one array of the stack."""
    used = list(map(_arrays, groups))
    return sum(map(len, used)) > len(set[Buffer]().union(*used))


def _arrays(body: Block) -> set[Buffer]:
    """The arrays of the stack that are used."""
    return {b for b in _written(body) | _read(body) if b.space is Space.LOCAL}


def _own_arrays(s: For) -> set[Buffer]:
    """The arrays that an iteration has to itself."""
    return {a.buffer for a in statements(s.body) if isinstance(a, Alloc)}


def _has_effects(body: Block) -> bool:
    return any(isinstance(s, (Store, Call)) for s in statements(body))


def _outer_names(s: Stmt) -> tuple[Var, ...]:
    """The names that `s` leaves to the statements after it."""
    if isinstance(s, For):
        return tuple(carry.result for carry in s.carried)
    return () if isinstance(s, If) else bound(s)


def _written(body: Block) -> set[Buffer]:
    return {s.buffer for s in statements(body) if isinstance(s, Store)}


def _read(body: Block) -> set[Buffer]:
    return {load.buffer for load in _loads(statements(body))}


def _variables(body: Block) -> Iterator[Var]:
    roots = (root for s in statements(body) for root in expressions(s))
    return (node for node in under(roots) if isinstance(node, Var))


def _loads(body: Sequence[Stmt] | Iterator[Stmt]) -> Iterator[Load]:
    for node in under(root for s in body for root in expressions(s)):
        if isinstance(node, Load):
            yield node
