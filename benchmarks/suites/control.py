"""Loops and branches inside of one program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

import weft as wf
from benchmarks import names
from benchmarks.jobs import Written, case, exact
from benchmarks.records import Case, Size, Work
from weftrt import dtypes
from weftrt.cpu import executable
from weftrt.program import ArraySpec, Copy, Count, Next, Program

AMONG = ("numpy", "jax.jit")
TURNS = 1_000_000
ROOT_TURNS = 20
STEPS = 100
ESCAPE_TURNS = 50


def cases(size: Size) -> Iterator[Case]:
    """What a turn costs, and loops and branches over arrays."""
    rng = np.random.default_rng(0)
    yield _empty(size(TURNS))
    yield _counting(size(TURNS))
    yield _newton(size(TURNS))
    yield _recurrence(rng, size(128), size(STEPS))
    yield _escape(size(512))
    for chosen in (False, True):
        yield _branch(chosen, size(1000))
    yield from _cells(rng, size(1000), size(16), size(64))


def _empty(turns: int) -> Case:
    """Turns of a loop whose body is nothing, which no traced function has: a program by hand."""
    makers = {"weft": partial(_empty_loop, turns)}
    return Case(f"{turns:,} turns of an empty loop", makers, lambda: np.asarray(float(turns)))


def _empty_loop(turns: int) -> Work:
    number = ArraySpec(dtypes.int64, ())
    start, upper, counter = range(3)
    program = Program(
        name="empty",
        key="",
        inputs=(number, number),
        outputs=(number,),
        symbols=(),
        derived=(),
        temporaries=(),
        arena=0,
        kernels=(),
        steps=(Copy(start, counter, 1, 8), Count(counter, upper, 3), Next(counter, upper, 2)),
        sites=(),
        results=(0,),
        work=0,
    )
    ready = executable.load(program)
    given = [wf.asarray(np.asarray(n)) for n in (0, turns)]
    return lambda: ready.run(given)[0]


def _counting(turns: int) -> Case:
    """JAX's counters are int32, Weft's int64."""

    def count(xp: Any) -> Callable[..., Any]:
        return lambda n, x: xp.fori_loop(0, n, lambda i, x: x * 0.5 + i, x)

    def total() -> Any:
        return np.asarray(2.0 * turns - 4 + 4 * 0.5**turns)

    arrays = np.asarray(turns), np.zeros((), np.float32)
    name = f"{turns:,} turns over one number"
    return case(name, count, *arrays, among=("jax.jit",), expected=total)


def _newton(elements: int) -> Case:
    def newton(xp: Any) -> Callable[..., Any]:
        def run(x: Any) -> Any:
            def turn(state: Any) -> Any:
                root, turns = state
                return (root + x / root) * 0.5, turns + 1

            return xp.while_loop(lambda state: state[1] < ROOT_TURNS, turn, (x, 0))[0]

        return run

    x = np.linspace(0.1, 9, elements, dtype=np.float32)
    name = f"Newton's iteration, {ROOT_TURNS} turns over {elements:,}"
    return case(name, newton, x, among=AMONG, quick=True)


def _recurrence(rng: np.random.Generator, width: int, steps: int) -> Case:
    def recurrence(xp: Any) -> Callable[..., Any]:
        return lambda h, w: xp.fori_loop(0, steps, lambda i, h: xp.tanh(h @ w), h)

    h, w = (rng.standard_normal((width, width), dtype=np.float32) * 0.05 for _ in range(2))
    name = f"tanh(h @ w) {steps} times, {width}x{width}"
    return case(name, recurrence, h, w, among=AMONG, tolerance=1e-4)


def _escape(side: int) -> Case:
    """The Mandelbrot set: after how many turns each point is far, until all are, or for long."""

    def escape(xp: Any) -> Callable[..., Any]:
        def turn(x: Any, y: Any, state: Any) -> Any:
            a, b, count, k = state
            near = a * a + b * b < 4
            a, b = xp.where(near, a * a - b * b + x, a), xp.where(near, 2 * a * b + y, b)
            return a, b, count + near, k + 1

        def run(x: Any, y: Any) -> Any:
            start = x * 0, y * 0, xp.astype(x * 0, xp.int32), 0
            far = xp.while_loop(lambda s: s[3] < ESCAPE_TURNS, partial(turn, x, y), start)
            return far[2]

        return run

    axis = np.linspace(-2, 2, side, dtype=np.float32)
    arrays = np.meshgrid(axis - np.float32(0.5), axis)
    return case(
        f"Mandelbrot set, {side}x{side}, {ESCAPE_TURNS} turns",
        escape,
        *arrays,
        among=AMONG,
        expected=partial(escape(names.NUMPY), *arrays),  # in float64 some points leave later
        tolerance=0.05,  # where XLA rounds less often, a point leaves a turn or two later
    )


def _branch(chosen: bool, elements: int) -> Case:
    def branch(xp: Any) -> Callable[..., Any]:
        return lambda p, x: xp.cond(p, lambda: xp.exp(x), lambda: -x)

    x = np.linspace(-1, 1, elements, dtype=np.float32)
    name = f"cond, {chosen}: {elements}"
    return case(name, branch, np.asarray(chosen), x, among=AMONG, quick=chosen)


def _cells(rng: np.random.Generator, steps: int, batch: int, hidden: int) -> Iterator[Case]:
    """LSTM cells one after another by scan, and the gradient through them."""
    shapes = {"x": (hidden, 4 * hidden), "h": (hidden, 4 * hidden), "b": (4 * hidden,)}
    p = {name: rng.standard_normal(shape, np.float32) / 10 for name, shape in shapes.items()}
    xs = rng.standard_normal((steps, batch, hidden), np.float32) / 10
    name = f"scan of {steps:,} LSTM cells, hidden {hidden}, batch {batch}"
    yield _scan(name, _cells_loss, p, xs)
    yield _scan(f"gradient of the {name}", lambda xp: xp.grad(_cells_loss(xp)), p, xs)


def _scan(name: str, function: Written, *arrays: Any) -> Case:
    expected = partial(exact, function, arrays, names.weft())
    return case(name, function, *arrays, among=("jax.jit",), expected=expected, tolerance=1e-3)


def _cells_loss(xp: Any) -> Callable[..., Any]:
    def loss(p: Any, xs: Any) -> Any:
        def cell(state: Any, x: Any) -> Any:
            h, c = state
            gates = x @ p["x"] + h @ p["h"] + p["b"]
            width = h.shape[-1]
            i, f, o, u = (gates[:, k * width : (k + 1) * width] for k in range(4))
            c = xp.nn.sigmoid(f) * c + xp.nn.sigmoid(i) * xp.tanh(u)
            h = xp.nn.sigmoid(o) * xp.tanh(c)
            return (h, c), h

        zero = xp.zeros(xs.shape[1:], dtype=xs.dtype)
        _, hs = xp.scan(cell, (zero, zero), xs)
        return xp.sum(hs * hs)

    return loss
