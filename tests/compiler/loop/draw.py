"""Random loop functions: vector and parallel loops, reductions, branches, local arrays, gathers.

Buffers are wide enough for every drawn index, so that whatever is drawn runs; iterations of
VECTOR loops write elements of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from weftc.loop import ir
from weftc.loop.build import Builder, load
from weftc.loop.ir import Buffer, Expr, LoopFunction, LoopKind, Scalar, Space, const
from weftrt import dtypes

Draw = Callable[[st.SearchStrategy], object]

FLOATS = (0.0, -0.0, 1.5, -2.25, float("inf"), float("nan"), 1e-40, 3e38)
WIDTH = 40
"""Elements of a row; drawn row indices stay below it."""


@dataclass
class Drawn:
    """A function and arrays that it runs on."""

    function: LoopFunction
    arrays: list[np.ndarray]
    sizes: list[int]

    def copies(self) -> list[np.ndarray]:
        return [array.copy() for array in self.arrays]


@dataclass
class _Writer:
    draw: Draw
    b: Builder = field(default_factory=lambda: Builder("drawn"))
    inputs: list[Buffer] = field(default_factory=list)
    table: Buffer | None = None
    output: Buffer | None = None
    few: Expr = field(default_factory=lambda: const(2))
    many: Expr = field(default_factory=lambda: const(2))
    """Sizes of at most 4 and at most WIDTH."""
    floats: list[Expr] = field(default_factory=list)
    indices: list[Expr] = field(default_factory=list)
    """Expressions in [0, WIDTH)."""

    def pick(self, *choices: object) -> object:
        return self.draw(st.sampled_from(choices))

    def index(self) -> Expr:
        """An index in [0, WIDTH)."""
        kind = self.pick("known", "known", "constant", "reversed", "gather", "clamped")
        known = self.pick(*self.indices, const(3)) if self.indices else const(3)
        assert isinstance(known, ir.Const | ir.Var | ir.Op | ir.Load)
        if kind == "constant":
            return const(self.draw(st.integers(0, WIDTH - 1)))
        if kind == "reversed":
            return ir.apply(Scalar.SUB, const(WIDTH - 1), known)
        if kind == "gather":
            return load(self.table, known)
        if kind == "clamped":
            scaled = ir.mul(known, const(self.draw(st.integers(-3, 3))))
            low = ir.apply(Scalar.MAXIMUM, scaled, const(0))
            return ir.apply(Scalar.MINIMUM, low, const(WIDTH - 1))
        return known

    def condition(self) -> Expr:
        if self.pick(True, False):
            return ir.apply(self.pick(Scalar.LT, Scalar.NE), self.index(), self.index())
        return ir.apply(self.pick(Scalar.GT, Scalar.EQ, Scalar.NE), self.value(), self.value())

    def value(self) -> Expr:
        """A float32 value."""
        kind = self.pick("old", "old", "load", "masked", "op", "select", "cast", "literal")
        if kind == "old" and self.floats:
            return self.pick(*self.floats)
        if kind == "masked":
            # May point outside where the mask is off.
            at = ir.apply(Scalar.SUB, self.index(), const(7))
            inside = ir.apply(Scalar.GE, at, const(0))
            return load(self.pick(*self.inputs), at, inside)
        if kind == "op":
            op = self.pick(Scalar.ADD, Scalar.MUL, Scalar.MINIMUM, Scalar.SUB)
            return ir.apply(op, self.value(), self.value())
        if kind == "select":
            return ir.apply(Scalar.SELECT, self.condition(), self.value(), self.value())
        if kind == "cast":
            return ir.cast(self.index(), dtypes.float32)
        if kind == "literal":
            return const(self.pick(*FLOATS), dtypes.float32)
        return load(self.pick(*self.inputs), self.index())

    # -- statements ---------------------------------------------------------------------------

    def body(self, row: Expr, depth: int, scalar: bool = False) -> None:
        """Statements of one iteration; its own output elements are row * WIDTH + [0, WIDTH)."""
        floats, indices = list(self.floats), list(self.indices)
        steps = ["let", "let", "store", "store", "update"]
        if depth < 2:
            steps += ["if", "serial", "reduce", "local"]
            steps += ["vector"] if scalar else []
        for _ in range(self.draw(st.integers(1, 4))):
            getattr(self, f"_{self.pick(*steps)}")(row, depth)
        self.floats, self.indices = floats, indices

    def _let(self, row: Expr, depth: int) -> None:
        if self.pick(True, False):
            self.floats.append(self.b.let("v", self.value()))
        else:
            self.indices.append(self.b.let("k", self.index()))

    def _store(self, row: Expr, depth: int) -> None:
        at = ir.add(ir.mul(row, const(WIDTH)), self.index())
        self.b.store(self.output, at, self.value())
        if self.pick(True, False):
            self.floats.append(self.b.let("read", load(self.output, at)))

    def _update(self, row: Expr, depth: int) -> None:
        """Reads of one element before, between and after stores to it, in a loop."""
        at = ir.add(ir.mul(row, const(WIDTH)), self.index())
        before = self.b.let("before", load(self.output, at))
        stop = self.pick(const(1), const(2), self.few)
        with self.b.for_("again", 0, stop):
            old = self.b.let("old", load(self.output, at))
            self.b.store(self.output, at, ir.apply(Scalar.ADD, self.value(), old))
            if self.pick(True, False):
                self.b.store(self.output, at, ir.apply(Scalar.SUB, old, load(self.output, at)))
        self.floats += [before, self.b.let("after", load(self.output, at))]

    def _if(self, row: Expr, depth: int) -> None:
        with self.b.if_(self.condition()):
            self.body(row, depth + 1)
        if self.pick(True, False):
            with self.b.else_():
                self.body(row, depth + 1)

    def _serial(self, row: Expr, depth: int) -> None:
        stop = self.pick(const(0), const(1), const(3), self.few)
        carried = [("c", self.value()), ("d", self.value())][: self.draw(st.integers(0, 2))]
        kind = LoopKind.SERIAL
        with self.b.for_("s", 0, stop, kind, carried=carried) as loop:
            floats = list(self.floats)
            self.floats += list(loop.values)
            self.indices.append(loop.var)
            self.body(row, depth + 1)
            loop.next(*[ir.apply(Scalar.ADD, v, self.value()) for v in loop.values])
            self.indices.remove(loop.var)
            self.floats = floats
        self.floats += list(loop.results)

    def _reduce(self, row: Expr, depth: int) -> None:
        extent = self.pick(const(1), const(5), const(WIDTH), self.many)
        with self.b.reduce("r", extent) as reduction:
            self.indices.append(reduction.var)
            floats = list(self.floats)
            value = self.b.let("element", self.value())
            if self.pick(True, False):
                at = ir.add(ir.mul(row, const(WIDTH)), reduction.var)
                self.b.store(self.output, at, value)
            op = self.pick(Scalar.ADD, Scalar.MUL, Scalar.MINIMUM, Scalar.MAXIMUM)
            result = reduction.term(op, value)
            found = reduction.term(Scalar.OR, self.condition())
            self.indices.remove(reduction.var)
            self.floats = floats
        chosen = ir.apply(Scalar.SELECT, found, result, const(2.0, dtypes.float32))
        self.floats += [result, self.b.let("chosen", chosen)]

    def _local(self, row: Expr, depth: int) -> None:
        array = self.b.alloc("local", dtypes.float32, WIDTH)
        with self.b.for_("z", 0, WIDTH) as loop:
            self.b.store(array, loop.var, ir.cast(loop.var, dtypes.float32))
        self.b.store(array, self.index(), self.value())
        places = [const(self.draw(st.integers(0, 2))) for _ in range(4)]
        for place in places[:-1]:
            self.b.store(array, place, self.value())
        for place in (places[-1], self.index()):
            self.floats.append(self.b.let("kept", load(array, place)))

    def _vector(self, row: Expr, depth: int) -> None:
        """A vector loop that writes one element per iteration."""
        stop = self.pick(const(7), const(WIDTH), const(16), self.many)
        with self.b.for_("v", 0, stop, LoopKind.VECTOR, lanes=self.pick(4, 8, 16)) as loop:
            self.indices.append(loop.var)
            at = ir.add(ir.mul(row, const(WIDTH)), loop.var)
            self.b.store(self.output, at, self.value())
            self.indices.remove(loop.var)


@st.composite
def functions(draw: Draw) -> Drawn:
    """A function of a loop over rows, vector or parallel, and arrays and sizes for it."""
    writer = _Writer(draw)
    b = writer.b
    writer.inputs = [b.buffer("x", dtypes.float32), b.buffer("w", dtypes.float32)]
    writer.table = b.buffer("table", dtypes.int64)
    writer.output = b.buffer("y", dtypes.float32)
    scratch = b.buffer("kept", dtypes.float32, Space.SCRATCH, size=WIDTH)
    rows, writer.few, writer.many = b.size("rows"), b.size("few"), b.size("many")
    sizes = [draw(st.integers(0, 11)), draw(st.integers(0, 4)), draw(st.integers(0, WIDTH))]
    with b.for_("z", 0, WIDTH, LoopKind.VECTOR, lanes=8) as loop:
        b.store(scratch, loop.var, load(writer.inputs[0], loop.var))
    writer.inputs.append(scratch)
    vector = draw(st.booleans())
    kind = LoopKind.VECTOR if vector else LoopKind.PARALLEL
    lanes = draw(st.sampled_from((2, 4, 8))) if vector else 1
    start = draw(st.sampled_from((0, 0, 2)))
    with b.for_("row", start, rows, kind, lanes=lanes) as loop:
        writer.indices.append(loop.var)
        writer.body(loop.var, 0, scalar=not vector)
    random = np.random.default_rng(draw(st.integers(0, 1000)))
    values = random.choice(np.array([*FLOATS, 0.5, 3.25, -7.0]), size=(2, WIDTH))
    arrays = [
        values[0].astype(np.float32),
        values[1].astype(np.float32),
        random.integers(0, WIDTH, WIDTH),
        np.zeros(WIDTH * 16, np.float32),
    ]
    return Drawn(b.function(), arrays, sizes)
