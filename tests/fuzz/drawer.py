"""Growing a program by one valid instruction at a time; choosing shapes, elements and operands."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from tests.fuzz.program import Block, Input, Instruction, Literal, Operand
from tests.fuzz.reference.values import FLOATS, INTEGERS, LARGEST, SIGNED, Bounded, Invalid

MAXIMUM_RANK = 5
SIDES = (1, 2, 3, 3, 4, 5, 5, 6, 7, 7, 8)
LONG_SIDES = (1, 2, 9, 16, 17, 31, 33, 64, 65, 70, 130)
EDGES = (0.0, -0.0, math.inf, -math.inf, math.nan, 1e-40, -1e-40, 1.0, -1.0, 3e38, 1e-30)
SAMPLE = 97
"""Elements drawn for an input, at most; a prime, so that rows differ where it is repeated."""


@dataclass
class Drawer:
    """Grows a program one valid instruction at a time, knowing every value so far."""

    rng: random.Random
    inputs: list[Input] = field(default_factory=list)
    instructions: list[Instruction] = field(default_factory=list)
    values: list[Bounded] = field(default_factory=list)
    smooth: bool = False
    """Whether what is drawn is to have derivatives."""
    reverse: bool = False
    """Whether it is to have gradients: loops of an unknown number of turns have none."""
    pure: bool = False
    """Whether it is to have no effects: these cannot be mapped."""
    transforms: bool = False
    """Whether pieces of it are put under transforms."""
    depth: int = 0

    # -- choosing -------------------------------------------------------------------------------

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def pick(self, fits: Callable[[Bounded], bool] = lambda v: True) -> int | None:
        """A value that fits, a late one rather than an early one."""
        fitting = [n for n, v in enumerate(self.values) if not v.weak and fits(v)]
        if not fitting:
            return None
        place = len(fitting) - 1 - int(len(fitting) * self.rng.random() ** 1.6)
        return fitting[place]

    def operand(self, like: int) -> Operand:
        """What can meet the value `like`: one of its shape, one that broadcasts, or a scalar."""
        value = self.values[like]
        weak = [n for n, v in enumerate(self.values) if v.weak]
        if weak and self.chance(0.3):
            return self.rng.choice(weak)
        if self.chance(0.3):
            return self.literal(value.dtype)

        def meets(other: Bounded) -> bool:
            return broadcasts(other.shape, value.shape) and (
                other.dtype == value.dtype or self.chance(0.2)
            )

        found = self.pick(meets)
        return like if found is None else found

    def literal(self, dtype: str) -> Literal:
        """A scalar that people write beside an array of `dtype`."""
        numpy = self.rng.choice(("float32", "float64")) if self.chance(0.1) else ""
        if dtype in FLOATS:
            whole = self.chance(0.3)
            value = self.rng.choice((2, 3, 0, 1, -1)) if whole else self._fraction()
            return Literal(value if not numpy else float(value), numpy)
        if dtype == "bool":
            return Literal(self.chance(0.5))
        if self.chance(0.1) and not self.smooth:
            return Literal(self._fraction())
        values = (0, 1, 2, 3, 7, 100) if dtype not in SIGNED else (0, 1, 2, 3, -1, -5, 100)
        return Literal(self.rng.choice(values), "int64" if self.chance(0.05) else "")

    def _fraction(self) -> float:
        usual = (0.5, 2.0, 0.1, -1.5, 1e-3, 3.0, 1.0, -0.25)
        odd = (0.0, -0.0, math.inf, -math.inf, math.nan, 1e10, 1e-40)
        return self.rng.choice(odd if self.chance(0.08) and not self.smooth else usual)

    # -- growing --------------------------------------------------------------------------------

    def emit(
        self,
        name: str,
        *operands: Operand,
        form: str = "function",
        blocks: tuple[Block, ...] = (),
        **options: Any,
    ) -> int:
        """Append an instruction; Invalid if it would be refused, or is too large."""
        instruction = Instruction(name, operands, options, form, blocks)
        value = instruction.reference(self.values)
        if value.size > LARGEST or value.ndim > MAXIMUM_RANK:
            raise Invalid("too large")
        self.instructions.append(instruction)
        self.values.append(value)
        return len(self.values) - 1

    def within(self, parameters: Sequence[Bounded]) -> Drawer:
        """For a block: it reads the values so far, and `parameters`."""
        values = [*self.values, *parameters]
        return replace(self, inputs=[], instructions=[], values=values, depth=self.depth + 1)

    def add_input(self, dtype: str, shape: tuple[int, ...], sample: Iterable[Any]) -> int:
        """Another argument; only before the first instruction."""
        assert not self.instructions
        strided = len(shape) > 1 and self.chance(0.05)
        return self.add(Input(dtype, shape, tuple(sample), strided=strided))

    def add(self, given: Input) -> int:
        """Another input; those that are captured come last."""
        self.inputs.append(given)
        self.values.append(given.bounded)
        return len(self.values) - 1

    def grow(self, rules: tuple[Callable[[Drawer], Any], ...]) -> None:
        """One rule of `rules`; what it began is dropped if it turns out to be invalid."""
        length = len(self.instructions)
        try:
            self.rng.choice(rules)(self)
        except Invalid:
            while len(self.instructions) > length:
                self.instructions.pop()
                self.values.pop()

    # -- shapes and elements --------------------------------------------------------------------

    def shape(self) -> tuple[int, ...]:
        if self.chance(0.01) and not self.smooth:
            return self.rng.choice(((70_000,), (300, 230), (128, 128), (64, 1000), (2, 33_000)))
        if self.chance(0.04) and not self.smooth:
            return (self.rng.choice((4096, 4097, 5000, 20000)),)
        rank = self.rng.choice((0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 4))
        sides = LONG_SIDES if self.chance(0.15) and not self.smooth else SIDES
        shape = [self.rng.choice(sides) for _ in range(rank)]
        if rank and self.chance(0.12):
            shape[self.rng.randrange(rank)] = 1
        if rank and self.chance(0.04):
            shape[self.rng.randrange(rank)] = 0
        while math.prod(shape) > 9000:
            shape.pop()
        return tuple(shape)

    def related_shape(self) -> tuple[int, ...]:
        """A shape that meets the first input's: equal, a row, a column, a transpose, ..."""
        shape = list(self.values[0].shape)
        kind = self.rng.random()
        if kind < 0.4 or not shape:
            return tuple(shape)
        if kind < 0.55:
            return tuple(shape[1:])
        if kind < 0.7:
            shape[self.rng.randrange(len(shape))] = 1
            return tuple(shape)
        if kind < 0.8:
            return tuple(reversed(shape))
        if kind < 0.9:
            return (shape[-1], self.rng.choice(SIDES))
        return self.shape()

    def sample(self, dtype: str, size: int, kind: str) -> list[Any]:
        """Up to SAMPLE elements of `kind`: "normal", "positive", "edges", "small" or "full"."""
        count = min(max(size, 1), SAMPLE)
        if dtype == "bool":
            return [self.chance(0.5) for _ in range(count)]
        if dtype in INTEGERS:
            return [self._integer(dtype, kind) for _ in range(count)]
        numbers = [self.rng.gauss(0, 1) for _ in range(count)]
        if kind == "positive":
            numbers = [abs(n) + 0.1 for n in numbers]
        if kind == "small":
            numbers = [float(round(2 * n)) for n in numbers]
        if kind == "full":
            numbers = [n * 10.0 ** self.rng.uniform(-20, 20) for n in numbers]
        if kind == "edges":
            numbers = [self.rng.choice(EDGES) if self.chance(0.3) else n for n in numbers]
        with np.errstate(all="ignore"):
            return [float(n) for n in np.array(numbers, dtype)]

    def _integer(self, dtype: str, kind: str) -> int:
        limits = np.iinfo(dtype)
        if kind in ("edges", "full") and self.chance(0.5):
            ends = (int(limits.min), int(limits.max), int(limits.max) - 1)
            return self.rng.choice((*ends, self.rng.randint(int(limits.min), int(limits.max))))
        return self.rng.randint(0 if limits.min == 0 else -9, 9)


def broadcasts(other: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether the two shapes meet."""
    try:
        np.broadcast_shapes(other, shape)
    except ValueError:
        return False
    return True
