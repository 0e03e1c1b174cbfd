"""Loops and branches inside of one program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import weft as wf
from benchmarks import peers
from benchmarks.harness import Case
from weftrt import dtypes
from weftrt.cpu import executable
from weftrt.program import ArraySpec, Copy, Count, Next, Program

TURNS = 1_000_000
ELEMENTS = 1_000_000
ROOT_TURNS = 20
STEPS, WIDTH = 100, 128
SIDE, ESCAPE_TURNS = 512, 50
CELLS, BATCH, HIDDEN = 1000, 16, 64


def cases() -> Iterator[Case]:
    """What a turn costs, and loops and branches over arrays."""
    yield _empty()
    yield _counting()
    yield _newton()
    yield _recurrence()
    yield _escape()
    for chosen in (False, True):
        yield _branch(chosen)
    yield from _cells()


def _empty() -> Case:
    """Turns of a loop whose body is nothing, which no traced function has: a program by hand."""
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
    given = [wf.asarray(np.asarray(n)) for n in (0, TURNS)]
    return Case(
        f"{TURNS:,} turns of an empty loop",
        {"weft": lambda: ready.run(given)[0]},
        np.asarray(float(TURNS)),
        limit=TURNS * 20e-9,
    )


def _case(
    name: str,
    ours: Callable[..., Any],
    theirs: Callable[[Any], Callable[..., Any]],
    numpys: Callable[..., Any] | None,
    *arrays: Any,
    goals: dict[str, float] | None = None,
    expected: Any = None,
    tolerance: float = 1e-4,
) -> Case:
    """`theirs` makes JAX's function of the module, whose counters are int32 where Weft's are int64.
    `expected` is what NumPy gives, where it is a contestant."""
    compiled, given = wf.jit(ours), tuple(map(wf.asarray, arrays))
    runs: dict[str, Any] = {"weft": lambda: compiled(*given)}
    if numpys is not None:
        runs["numpy"] = lambda: numpys(*arrays)
    if (jax := peers.load("jax")) is not None:
        jitted, values = jax.jit(theirs(jax)), tuple(map(jax.numpy.asarray, arrays))
        runs["jax.jit"] = lambda: jitted(*values).block_until_ready()
    if numpys is not None:
        expected = numpys(*arrays)
    return Case(name, runs, np.asarray(expected, np.float64), tolerance, goals or {})


def _counting() -> Case:
    def ours(n: Any, x: Any) -> Any:
        return wf.fori_loop(0, n, lambda i, x: x * 0.5 + i, x)

    def theirs(jax: Any) -> Any:
        return lambda n, x: jax.lax.fori_loop(0, n, lambda i, x: x * 0.5 + i, x)

    n, x = np.asarray(TURNS), np.zeros((), np.float32)
    limit = 2 * TURNS - 4  # the sum of (TURNS - 1 - k) / 2^k
    name = f"{TURNS:,} turns over one number"
    return _case(name, ours, theirs, None, n, x, expected=limit)


def _newton() -> Case:
    def ours(x: Any) -> Any:
        def turn(state: Any) -> Any:
            root, turns = state
            return (root + x / root) * 0.5, turns + 1

        return wf.while_loop(lambda state: state[1] < ROOT_TURNS, turn, (x, 0))[0]

    def theirs(jax: Any) -> Any:
        def run(x: Any) -> Any:
            def turn(state: Any) -> Any:
                root, turns = state
                return (root + x / root) * 0.5, turns + 1

            return jax.lax.while_loop(lambda state: state[1] < ROOT_TURNS, turn, (x, 0))[0]

        return run

    def numpys(x: Any) -> Any:
        root = x
        for _ in range(ROOT_TURNS):
            root = (root + x / root) * 0.5
        return root

    x = np.linspace(0.1, 9, ELEMENTS, dtype=np.float32)
    name = f"Newton's iteration, {ROOT_TURNS} turns over 1M float32"
    return _case(name, ours, theirs, numpys, x, goals={"jax.jit": 1.0})


def _recurrence() -> Case:
    def ours(h: Any, w: Any) -> Any:
        return wf.fori_loop(0, STEPS, lambda i, h: wf.tanh(h @ w), h)

    def theirs(jax: Any) -> Any:
        tanh = jax.numpy.tanh
        return lambda h, w: jax.lax.fori_loop(0, STEPS, lambda i, h: tanh(h @ w), h)

    def numpys(h: Any, w: Any) -> Any:
        for _ in range(STEPS):
            h = np.tanh(h @ w)
        return h

    rng = np.random.default_rng(0)
    h, w = (rng.standard_normal((WIDTH, WIDTH), dtype=np.float32) * 0.05 for _ in range(2))
    name = f"tanh(h @ w) {STEPS} times, {WIDTH}x{WIDTH}"
    return _case(name, ours, theirs, numpys, h, w, goals={"jax.jit": 1.0})


def _escape() -> Case:
    """The Mandelbrot set: after how many turns each point is far, until all are, or for long."""

    def run(np_: Any, loop: Callable[..., Any], x: Any, y: Any) -> Any:
        def turn(state: Any) -> Any:
            a, b, count, k = state
            near = a * a + b * b < 4
            a, b = np_.where(near, a * a - b * b + x, a), np_.where(near, 2 * a * b + y, b)
            return a, b, count + near, k + 1

        def goes_on(state: Any) -> Any:
            return state[3] < ESCAPE_TURNS

        return loop(goes_on, turn, (x * 0, y * 0, (x * 0).astype(np_.int32), 0))[2]

    def loop(goes_on: Any, turn: Any, state: Any) -> Any:
        while goes_on(state):
            state = turn(state)
        return state

    def ours(x: Any, y: Any) -> Any:
        return run(wf, wf.while_loop, x, y)

    def theirs(jax: Any) -> Any:
        return lambda x, y: run(jax.numpy, jax.lax.while_loop, x, y)

    axis = np.linspace(-2, 2, SIDE, dtype=np.float32)
    x, y = np.meshgrid(axis - 0.5, axis)
    name = f"Mandelbrot set, {SIDE}x{SIDE}, {ESCAPE_TURNS} turns"
    return _case(
        name,
        ours,
        theirs,
        lambda x, y: run(np, loop, x, y),
        x,
        y,
        goals={"jax.jit": 1.0},
        tolerance=0.05,  # where XLA rounds less often, a point leaves a turn or two later
    )


def _branch(chosen: bool) -> Case:
    def ours(p: Any, x: Any) -> Any:
        return wf.cond(p, lambda: wf.exp(x), lambda: -x)

    def theirs(jax: Any) -> Any:
        return lambda p, x: jax.lax.cond(p, lambda: jax.numpy.exp(x), lambda: -x)

    x = np.linspace(-1, 1, 1000, dtype=np.float32)

    def numpys(p: Any, x: Any) -> Any:
        return np.exp(x) if p else -x

    return _case(
        f"cond, {chosen}: 1000 float32",
        ours,
        theirs,
        numpys,
        np.asarray(chosen),
        x,
        goals={"jax.jit": 1.0},
    )


def _cells() -> Iterator[Case]:
    """LSTM cells one after another by scan, and the gradient through them."""
    rng = np.random.default_rng(0)
    shapes = {"x": (HIDDEN, 4 * HIDDEN), "h": (HIDDEN, 4 * HIDDEN), "b": (4 * HIDDEN,)}
    drawn = {name: rng.standard_normal(shape, np.float32) / 10 for name, shape in shapes.items()}
    xs = rng.standard_normal((CELLS, BATCH, HIDDEN), np.float32) / 10
    ours = _cells_loss(wf, wf.scan, wf.nn.sigmoid)
    p, given = wf.tree.map(wf.asarray, drawn), wf.asarray(xs)
    forward, backward = wf.jit(ours), wf.jit(wf.grad(ours))
    runs = {"weft": lambda: forward(p, given)}
    runs_back: dict[str, Any] = {"weft": lambda: backward(p, given)["h"]}
    if (jax := peers.load("jax")) is not None:
        theirs = _cells_loss(jax.numpy, jax.lax.scan, jax.nn.sigmoid)
        q, values = jax.tree_util.tree_map(jax.numpy.asarray, (drawn, xs))
        forth, back = jax.jit(theirs), jax.jit(jax.grad(theirs))
        runs["jax.jit"] = lambda: forth(q, values).block_until_ready()
        runs_back["jax.jit"] = lambda: jax.block_until_ready(back(q, values))["h"]
    name = f"scan of {CELLS:,} LSTM cells, hidden {HIDDEN}, batch {BATCH}"
    yield Case(name, runs, np.asarray(runs["weft"]()), 1e-3, {"jax.jit": 1.0})
    found = np.asarray(runs_back["weft"]())
    yield Case(f"gradient of the {name}", runs_back, found, 1e-3, {"jax.jit": 3.0})


def _cells_loss(np_: Any, scan: Callable[..., Any], sigmoid: Callable[..., Any]) -> Any:
    def loss(p: Any, xs: Any) -> Any:
        def cell(state: Any, x: Any) -> Any:
            h, c = state
            gates = x @ p["x"] + h @ p["h"] + p["b"]
            i, f, o, u = (gates[:, k * HIDDEN : (k + 1) * HIDDEN] for k in range(4))
            c = sigmoid(f) * c + sigmoid(i) * np_.tanh(u)
            h = sigmoid(o) * np_.tanh(c)
            return (h, c), h

        zero = np_.zeros((BATCH, HIDDEN), dtype=np_.float32)
        _, hs = scan(cell, (zero, zero), xs)
        return np_.sum(hs * hs)

    return loss
