"""The canonical reduction against a definition written here, along rows and down columns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weftc.loop import ir
from weftc.loop.build import Builder, load
from weftc.loop.interpret import Order, interpret
from weftc.loop.ir import LoopFunction, LoopKind, Scalar, const
from weftc.loop.simplify import simplify
from weftc.loop.verify import verify
from weftc.loop.widen import widen
from weftrt import dtypes
from weftrt.dtypes import DType
from weftrt.target import Target

TARGET = Target("x86_64-unknown-linux-gnu", (), 512)


def minimum(a, b):
    """A NaN wins, -0 < +0."""
    if np.isnan(a) or np.isnan(b):
        return type(a)(np.nan)
    return a if a < b or (a == b and np.signbit(a)) else b


OPS = {
    Scalar.ADD: (lambda a, b: a + b, 0),
    Scalar.MUL: (lambda a, b: a * b, 1),
    Scalar.MINIMUM: (minimum, np.inf),
    Scalar.MAXIMUM: (lambda a, b: -minimum(-a, -b), -np.inf),
}


def definition(op: Scalar, values: np.ndarray):
    """Section 3 of the numerics contract, one scalar at a time."""
    combine, start = OPS[op]
    start = values.dtype.type(start)
    results = []
    with np.errstate(all="ignore"):
        for at in range(0, len(values), 4096):
            lanes = [start] * 64
            for r, value in enumerate(values[at : at + 4096]):
                lanes[r % 64] = combine(lanes[r % 64], value)
            while len(lanes) > 1:
                half = len(lanes) // 2
                lanes = [combine(lanes[i], lanes[i + half]) for i in range(half)]
            results.append(lanes[0])
    if len(results) > 1:
        return definition(op, np.array(results, values.dtype))
    return results[0] if results else start


def reduction(op: Scalar, dtype: DType, extent: int | None, columns: bool) -> LoopFunction:
    """y[j] = reduce of x[r, j] over r; x is one column, or a vector loop runs over columns."""
    b = Builder("reduction")
    x, y = b.buffer("x", dtype), b.buffer("y", dtype)
    n, width = b.size("n"), b.size("width")
    kind, lanes = (LoopKind.VECTOR, 4) if columns else (LoopKind.SERIAL, 1)
    with b.for_("j", 0, width, kind, lanes=lanes) as loop:
        with b.reduce("r", n if extent is None else extent) as r:
            value = load(x, ir.add(ir.mul(r.var, width), loop.var))
            total = r.term(op, value)
        b.store(y, loop.var, total)
    return b.function()


def check(op: Scalar, x: np.ndarray, dtype: DType, fixed: bool, columns: bool) -> None:
    n, width = x.shape
    with np.errstate(all="ignore"):
        expected = np.array([definition(op, x[:, j]) for j in range(width)], x.dtype)
    written = reduction(op, dtype, n if fixed else None, columns)
    widened = widen(written, TARGET)
    for function in (written, widened, simplify(widened)):
        verify(function, widened=function is not written)
        y = np.zeros(width, x.dtype)
        interpret(function, [x, y], [n, width], Order.TOGETHER)
        same = (y == expected) & (np.signbit(y) == np.signbit(expected))
        assert np.all(same | (np.isnan(y) & np.isnan(expected)))


SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, 3e38, 1.1, -2.7, 0.3]


@settings(max_examples=40, deadline=None)
@given(
    op=st.sampled_from(list(OPS)),
    n=st.one_of(st.integers(0, 8), st.sampled_from((31, 32, 33, 63, 64, 65, 130, 200))),
    width=st.integers(1, 6),
    special=st.booleans(),
    fixed=st.booleans(),
    columns=st.booleans(),
    seed=st.integers(0, 99),
)
def test_small_extents(op, n, width, special, fixed, columns, seed) -> None:
    random = np.random.default_rng(seed)
    x = random.choice(SPECIAL, (n, width)) if special else random.standard_normal((n, width))
    check(op, x.astype(np.float32), dtypes.float32, fixed, columns)


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("n", [4096, 4097, 8300])
def test_several_blocks(n: int, columns: bool, fixed: bool) -> None:
    x = np.random.default_rng(n).standard_normal((n, 5 if columns else 1))
    check(Scalar.ADD, x.astype(np.float32), dtypes.float32, fixed, columns)


def test_sums_of_minus_zeros_are_plus_zero() -> None:
    for n in (1, 2, 64, 100):
        check(Scalar.ADD, np.full((n, 2), -0.0, np.float32), dtypes.float32, True, False)


@pytest.mark.parametrize("op", [Scalar.ADD, Scalar.MUL])
def test_integers_wrap(op: Scalar) -> None:
    x = np.random.default_rng(1).integers(-(1 << 31), 1 << 31, (150, 3)).astype(np.int32)
    check(op, x, dtypes.int32, False, False)
    check(op, x, dtypes.int32, True, True)


@pytest.mark.parametrize("n", [0, 1, 40, 64, 100])
@pytest.mark.parametrize("columns", [False, True])
def test_any_and_all(n: int, columns: bool) -> None:
    b = Builder("any_all")
    x, y = b.buffer("x", dtypes.int64), b.buffer("y", dtypes.bool_)
    size, width = b.size("n"), b.size("width")
    kind = LoopKind.VECTOR if columns else LoopKind.SERIAL
    with b.for_("j", 0, width, kind, lanes=4) as loop:
        with b.reduce("r", size) as r:
            at = ir.add(ir.mul(r.var, width), loop.var)
            holds = b.let("holds", ir.apply(Scalar.GT, load(x, at), const(0)))
            found, every = r.term(Scalar.OR, holds), r.term(Scalar.AND, holds)
        b.store(y, ir.mul(loop.var, const(2)), found)
        b.store(y, ir.add(ir.mul(loop.var, const(2)), const(1)), every)
    x_values = (np.random.default_rng(n).random((n, 7)) > [0, 1, 0.05, 0.95, 0.5, 0, 1]).astype(int)
    for function in (b.function(), widen(b.function(), TARGET)):
        y_found = np.zeros((7, 2), np.bool_)
        interpret(function, [x_values, y_found], [n, 7])
        assert np.array_equal(y_found[:, 0], x_values.astype(bool).any(0))
        assert np.array_equal(y_found[:, 1], x_values.astype(bool).all(0))
