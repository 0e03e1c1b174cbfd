"""Strips of columns: the bits of the canonical reduction, whatever runs outside and inside."""

from __future__ import annotations

import numpy as np
import pytest
from tests.compiler.loop.test_reduce import TARGET, definition

from weftc.loop import ir
from weftc.loop.build import Builder, load
from weftc.loop.interpret import Order, interpret
from weftc.loop.ir import Expr, LoopFunction, LoopKind, LoopType, Scalar, const
from weftc.loop.print import print_function
from weftc.loop.simplify import simplify
from weftc.loop.verify import verify
from weftc.loop.widen import widen
from weftrt import dtypes

STRIP = 8
LANES = 4


def reductions(
    ops: tuple[Scalar, ...], extent: int | None, full: bool = True, centred: bool = False
) -> LoopFunction:
    """y[k, j] = reduce of x[r, j] over r by each of `ops`, in strips of 8 columns; if `centred`,
    a second time, of the elements less the first result."""
    b = Builder("reductions")
    x, y = b.buffer("x", dtypes.float32), b.buffer("y", dtypes.float32)
    n, width = b.size("n"), b.size("width")
    rows: Expr = n if extent is None else const(extent)
    with b.for_("strip", 0, width, step=STRIP) as strip:
        stop: Expr = ir.add(strip.var, const(STRIP))
        stop = b.let("stop", stop if full else ir.apply(Scalar.MINIMUM, stop, width))
        with b.for_("j", strip.var, stop, LoopKind.VECTOR, lanes=LANES) as j:

            def element(r: Expr) -> Expr:
                return load(x, ir.add(ir.mul(r, width), j.var))

            with b.reduce("r", rows) as r:
                found = [r.term(op, element(r.var)) for op in ops]
            if centred:
                middle = b.let("middle", ir.apply(Scalar.MUL, found[0], half()))
                with b.reduce("r", rows) as r:
                    found = [r.term(op, ir.apply(Scalar.SUB, element(r.var), middle)) for op in ops]
            for k, result in enumerate(found):
                b.store(y, ir.add(ir.mul(const(k), width), j.var), result)
    return b.function()


def half() -> Expr:
    return ir.Const(0.5, LoopType(dtypes.float32))


def check(written: LoopFunction, x: np.ndarray, expected: np.ndarray) -> None:
    widened = widen(written, TARGET)
    assert "_rows" in print_function(widened)
    for function in (written, widened, simplify(widened)):
        verify(function, widened=function is not written)
        y = np.zeros(expected.shape, x.dtype)
        interpret(function, [x, y.reshape(-1)], list(x.shape), Order.TOGETHER)
        assert np.array_equal(y.view(np.int32), expected.view(np.int32))


def columns(op: Scalar, x: np.ndarray) -> list[np.float32]:
    return [definition(op, x[:, j]) for j in range(x.shape[1])]


SUM, MOST = (Scalar.ADD,), (Scalar.MAXIMUM,)
SEVERAL = (Scalar.MINIMUM, Scalar.ADD, Scalar.MUL)


@pytest.mark.parametrize("ops", [SUM, MOST, SEVERAL])
@pytest.mark.parametrize("n", [65, 127, 128, 511, 512, 513, 700, 1100])
@pytest.mark.parametrize("fixed", [False, True])
def test_any_number_of_rows(ops: tuple[Scalar, ...], n: int, fixed: bool) -> None:
    x = np.random.default_rng(n).uniform(0.9, 1.1, (n, STRIP)).astype(np.float32)
    written = reductions(ops, n if fixed else None)
    check(written, x, np.array([columns(op, x) for op in ops]))


@pytest.mark.parametrize("n", [0, 1, 2, 63, 64])
def test_few_rows_of_a_number_that_only_the_call_tells(n: int) -> None:
    x = np.random.default_rng(n).standard_normal((n, STRIP)).astype(np.float32)
    check(reductions(SEVERAL, None), x, np.array([columns(op, x) for op in SEVERAL]))


@pytest.mark.parametrize("width", [1, 3, 8, 13, 20])
@pytest.mark.parametrize("n", [70, 200])
def test_the_last_strip_is_narrower(width: int, n: int) -> None:
    x = np.random.default_rng(width).standard_normal((n, width)).astype(np.float32)
    check(reductions(SUM, n, full=False), x, np.array([columns(Scalar.ADD, x)]))


@pytest.mark.parametrize("n", [4097, 9000])
@pytest.mark.parametrize("fixed", [False, True])
def test_several_blocks(n: int, fixed: bool) -> None:
    x = np.random.default_rng(n).standard_normal((n, STRIP)).astype(np.float32)
    ops = (Scalar.ADD, Scalar.MAXIMUM)
    written = reductions(ops, n if fixed else None)
    check(written, x, np.array([columns(op, x) for op in ops]))


def test_the_order_of_extremes_does_not_matter() -> None:
    """One row of accumulators, and no blocks of 4096."""
    text = print_function(widen(reductions(MOST, None), TARGET))
    assert f"local f32[{STRIP}]" in text
    assert f"local f32[{64 * STRIP}]" not in text


def test_a_reduction_that_needs_the_one_before() -> None:
    x = np.random.default_rng(5).standard_normal((200, STRIP)).astype(np.float32)
    middle = np.array(columns(Scalar.ADD, x)) * np.float32(0.5)
    check(reductions(SUM, 200, centred=True), x, np.array([columns(Scalar.ADD, x - middle)]))


def test_sums_of_minus_zeros_are_plus_zero() -> None:
    x = np.full((300, STRIP), -0.0, np.float32)
    check(reductions(SUM, 300), x, np.zeros((1, STRIP), np.float32))
