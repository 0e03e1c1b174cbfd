"""Widening and simplifying keep every bit of drawn functions, in every order of iterations."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from tests.compiler.loop.draw import Drawn, functions

from weftc.loop.interpret import Order, interpret
from weftc.loop.ir import LoopFunction
from weftc.loop.simplify import simplify
from weftc.loop.verify import verify
from weftc.loop.widen import widen
from weftrt.target import Target

TARGET = Target("x86_64-unknown-linux-gnu", (), 512)


def bits(drawn: Drawn, function: LoopFunction, order: Order) -> list[bytes]:
    """What a run leaves in the arrays; every NaN alike."""
    arrays = drawn.copies()
    interpret(function, arrays, drawn.sizes, order)
    return [np.where(np.isnan(a), np.float32(np.nan), a).tobytes() for a in arrays]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(functions())
def test_every_level_and_order_gives_the_same_bits(drawn: Drawn) -> None:
    verify(drawn.function)
    written = bits(drawn, drawn.function, Order.FORWARD)
    assert bits(drawn, drawn.function, Order.TOGETHER) == written
    assert bits(drawn, drawn.function, Order.REVERSE) == written
    simple = simplify(drawn.function)
    verify(simple)
    assert bits(drawn, simple, Order.FORWARD) == written
    widened = widen(drawn.function, TARGET)
    verify(widened, widened=True)
    assert bits(drawn, widened, Order.FORWARD) == written
    simplified = simplify(widened)
    verify(simplified, widened=True)
    assert bits(drawn, simplified, Order.REVERSE) == written
