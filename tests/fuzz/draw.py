"""Drawing programs by number: values, and gradients of scalars."""

from __future__ import annotations

import math
import random

from tests.fuzz.drawer import SAMPLE, SIDES, Drawer
from tests.fuzz.idioms import ALL, SMOOTH, rules_of
from tests.fuzz.program import Input, Program
from tests.fuzz.reference.values import SIGNED
from tests.fuzz.rules.operands import scalar_of

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
    d = Drawer(random.Random(seed), smooth=True, reverse=True)
    dtype = d.rng.choice(("float64", "float64", "float32"))
    for position in range(d.rng.choice((1, 1, 2, 3))):
        shape = d.related_shape() if position else d.shape()
        kind = d.rng.choice(("normal", "normal", "positive"))
        d.add_input(dtype, shape, d.sample(dtype, math.prod(shape), kind))
    if d.chance(0.15):
        d.add(Input("float64", (), (d.rng.choice((0.1, 0.7, 2.0, -1.5)),), scalar=True))
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


def draw_transforms(seed: int) -> Program:
    """A program with pieces of it under transforms, and these within each other; of every other
    one the gradient."""
    rng = random.Random(seed)
    gradient = rng.random() < 0.4
    d = Drawer(rng, smooth=gradient, reverse=gradient, transforms=True)
    dtype = d.rng.choice(("float64", "float64", "float32"))
    for _ in range(d.rng.choice((1, 2, 2))):
        shape = _small_shape(d)
        kind = d.rng.choice(("normal", "normal", "positive", "small"))
        d.add_input(dtype, shape, d.sample(dtype, math.prod(shape), kind))
    argnums = tuple(range(len(d.inputs)))
    if d.chance(0.2):
        _draw_indices(d)
    if not gradient and d.chance(0.2):
        d.add_input("int64", _small_shape(d), d.sample("int64", SAMPLE, "normal"))
    for _ in range(d.rng.choice((1, 2, 2, 3))):
        d.grow(rules_of(d))
    while all(v.weak for v in d.values[len(d.inputs) :]):
        d.grow(rules_of(d))
    outputs = (_scalarized(d),) if gradient else _outputs(d)
    chosen = argnums if gradient else ()
    return live(Program(tuple(d.inputs), tuple(d.instructions), outputs, chosen))


def _small_shape(d: Drawer) -> tuple[int, ...]:
    """Of few enough elements for derivatives of derivatives."""
    shape = d.shape()
    while math.prod(shape) > 40:
        shape = shape[:-1]
    return shape


def _scalarized(d: Drawer) -> int:
    """A float scalar of the last float values: their sums, means of squares, or an element."""
    first = len(d.inputs)
    read = {s for i in d.instructions for s in i.sources()}
    ends = [n for n in range(first, len(d.values)) if n not in read and d.values[n].is_float]
    parts = [scalar_of(d, n) for n in ends[-2:] or [0]]
    total = parts[0]
    for part in parts[1:]:
        total = d.emit("add", total, part, form="operator")
    return total
