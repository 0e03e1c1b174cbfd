"""Drawing programs by number: values, and gradients of scalars."""

from __future__ import annotations

import math
import random

from tests.fuzz.drawer import SAMPLE, SIDES, Drawer
from tests.fuzz.idioms import ALL, SMOOTH
from tests.fuzz.program import Input, Program
from tests.fuzz.reference.values import SIGNED

_INPUT_DTYPES = ("float32",) * 10 + ("float64",) * 4 + ("int32", "int64", "int64", "bool")
_ODD_DTYPES = ("uint8", "uint32", "uint64")
_KINDS = ("normal", "normal", "normal", "positive", "small", "edges", "edges", "full")


def _draw_inputs(d: Drawer) -> None:
    first = d.rng.choice(_INPUT_DTYPES if d.chance(0.9) else _ODD_DTYPES)
    for position in range(d.rng.choice((1, 1, 2, 2, 3))):
        shape = d.related_shape() if position else d.shape()
        dtype = first if d.chance(0.7) else d.rng.choice(_INPUT_DTYPES)
        kind = d.rng.choice(_KINDS)
        d.add_input(dtype, shape, d.sample(dtype, math.prod(shape), kind))
    if d.chance(0.2):
        _draw_indices(d)
    if d.chance(0.1):
        value = d.rng.choice((2, 3, 0.5, 2.5, -1.0, True, 0))
        dtype = {bool: "bool", int: "int64", float: "float64"}[type(value)]
        d.add(Input(dtype, (), (value,), scalar=True))
    if d.chance(0.1):
        for _ in range(d.rng.choice((1, 1, 2))):
            _draw_captured(d, first)


def _draw_captured(d: Drawer, dtype: str) -> None:
    """A global array."""
    shape = d.related_shape()
    sample = tuple(d.sample(dtype, math.prod(shape), "normal"))
    d.add(Input(dtype, shape, sample, captured=True))


def _draw_indices(d: Drawer) -> None:
    """An array of integers that are indices of some axis of an input."""
    sizes = [s for v in d.values for s in v.shape if s]
    if not sizes:
        return
    size = d.rng.choice(sizes)
    dtype = d.rng.choice(("int64", "int64", "int32", "uint8", "uint32", "uint64"))
    low = -size if dtype in SIGNED and d.chance(0.5) else 0
    shape = tuple(d.rng.choice(SIDES) for _ in range(d.rng.choice((0, 1, 1, 1, 2))))
    count = min(math.prod(shape), SAMPLE)
    high = min(size, 256) if dtype == "uint8" else size
    d.add_input(dtype, shape, [d.rng.randrange(low, high) for _ in range(count)])


def _outputs(d: Drawer) -> tuple[int, ...]:
    """The last value, and others, those that nothing reads first."""
    made = [n for n in range(len(d.inputs), len(d.values)) if not d.values[n].weak]
    read = {s for i in d.instructions for s in i.sources()}
    unread = [n for n in made[:-1] if n not in read]
    others = d.rng.sample(unread, min(len(unread), d.rng.choice((0, 1, 1, 2, 3))))
    if d.chance(0.2):
        others.append(d.rng.choice(made))
    return tuple(dict.fromkeys([made[-1], *others]))


def draw_values(seed: int) -> Program:
    """A program of 1 to about 12 instructions; the same for the same seed."""
    d = Drawer(random.Random(seed))
    _draw_inputs(d)
    for _ in range(d.rng.choice((2, 3, 3, 4, 4, 5, 6, 7, 9))):
        d.grow(ALL)
    while all(v.weak for v in d.values[len(d.inputs) :]):
        d.grow(ALL)
    return live(Program(tuple(d.inputs), tuple(d.instructions), _outputs(d)))


def live(program: Program) -> Program:
    """`program` without instructions that no output needs."""
    first = len(program.inputs)
    needed = set(program.outputs)
    for number in reversed(range(first, first + len(program.instructions))):
        if number in needed:
            needed.update(program.instructions[number - first].sources())
    kept = [n for n in range(first + len(program.instructions)) if n < first or n in needed]
    new = {old: position for position, old in enumerate(kept)}
    instructions = [
        program.instructions[n - first].renumbered(new.__getitem__) for n in kept[first:]
    ]
    outputs = tuple(new[o] for o in program.outputs)
    return Program(program.inputs, tuple(instructions), outputs, program.argnums, program.second)


def draw_gradients(seed: int) -> Program:
    """The gradient of a scalar made of a random program, in float64 or float32."""
    d = Drawer(random.Random(seed), smooth=True)
    dtype = d.rng.choice(("float64", "float64", "float32"))
    for position in range(d.rng.choice((1, 1, 2, 3))):
        shape = d.related_shape() if position else d.shape()
        kind = d.rng.choice(("normal", "normal", "positive"))
        d.add_input(dtype, shape, d.sample(dtype, math.prod(shape), kind))
    argnums = tuple(range(len(d.inputs)))
    if d.chance(0.2):
        _draw_indices(d)
    for _ in range(d.rng.choice((1, 2, 2, 3, 3, 4, 5))):
        d.grow(SMOOTH)
    output = _scalarized(d)
    if d.chance(0.3) and len(argnums) > 1:
        argnums = tuple(d.rng.sample(argnums, d.rng.randint(1, len(argnums))))
    program = Program(tuple(d.inputs), tuple(d.instructions), (output,), argnums, d.chance(0.2))
    return live(program)


def _scalarized(d: Drawer) -> int:
    """A float scalar of the last float values: their sums, means of squares, or an element."""
    first = len(d.inputs)
    read = {s for i in d.instructions for s in i.sources()}
    ends = [n for n in range(first, len(d.values)) if n not in read and d.values[n].is_float]
    parts = [_scalar(d, n) for n in ends[-2:] or [0]]
    total = parts[0]
    for part in parts[1:]:
        total = d.emit("add", total, part, form="operator")
    return total


def _scalar(d: Drawer, number: int) -> int:
    value, kind = d.values[number], d.rng.random()
    if not value.ndim:
        return d.emit("square", number) if kind < 0.5 else d.emit("sin", number)
    if kind < 0.3:
        return d.emit("sum", number)
    if kind < 0.5:
        return d.emit("sum", d.emit("square", number))
    if kind < 0.65 and value.size:
        return d.emit("mean", number)
    if kind < 0.8 and value.size:
        return d.emit("index", number, key=tuple(d.rng.randrange(s) for s in value.shape))
    return d.emit("sum", d.emit("sin", number))
