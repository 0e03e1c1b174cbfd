"""What a program has to agree with: the interpreter, eager calls, other thread counts, float64."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from tests.bits import assert_same_bits
from tests.frontend.staged import Staged, stage
from tests.fuzz import derivatives, differences, maps, sizes, tangents
from tests.fuzz.program import Program
from tests.fuzz.reference.values import Bounded, Invalid
from tests.threads import thread_limit

import weft as wf
from weft import tree
from weft.errors import CheckError
from weftc.ir.types import TensorType
from weftrt.array import is_donated

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Failure:
    """Which oracle disagreed, and how; `cause` is what a shrunken program must still fail by."""

    oracle: str
    cause: str
    detail: str


@dataclass
class Counts:
    """How often each oracle was asked, and why it was not."""

    checked: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    instructions: Counter[str] = field(default_factory=Counter)
    transforms: Counter[str] = field(default_factory=Counter)
    """What was compared of transforms, and why not."""

    def add(self, other: Counts) -> None:
        self.checked.update(other.checked)
        self.skipped.update(other.skipped)
        self.instructions.update(other.instructions)
        self.transforms.update(other.transforms)


class Disagreement(Exception):
    """Raised by an oracle with what differs."""


def results(value: Any) -> list[Array]:
    """The arrays of what a program returned."""
    return [np.asarray(leaf) for leaf in tree.leaves(value)]


def outcome(run: Callable[[], Any]) -> list[Array]:
    """The arrays that a program returned, or what the check said that it failed."""
    try:
        return results(run())
    except CheckError as error:
        return [_letters(str(error).rpartition(": ")[2])]


def _letters(text: str) -> Array:
    return np.frombuffer(text.encode(), np.uint8)


def _fails(found: list[Array], program: Program) -> bool:
    """Whether a program has to fail; Disagreement if it does not, by the right check."""
    failure = program.failure()
    if failure is not None:
        same(found, [_letters(failure)])
    return failure is not None


def check(program: Program, number: int, counts: Counts) -> Failure | None:
    """Ask every oracle that applies; `number` chooses which of the dear ones are asked."""
    run = Run(program, counts)
    for name, oracle in _oracles(run, number):
        failure = _asked(name, oracle)
        if failure is not None:
            return failure
        counts.checked[name] += 1
    return None


def _asked(name: str, oracle: Callable[[], None]) -> Failure | None:
    try:
        with np.errstate(all="ignore"):
            oracle()
    except (Disagreement, differences.Slope) as difference:
        return Failure(name, "different", str(difference))
    except Exception as error:
        return Failure(name, type(error).__name__, f"{type(error).__name__}: {error}")
    return None


def _oracles(run: Run, number: int) -> Iterator[tuple[str, Callable[[], None]]]:
    yield "compiled", run.compile
    yield "again", run.again
    yield "interpreter", run.interpreter
    if run.program.captured():
        yield "rebound", run.rebound
    if run.program.argnums:
        yield "value", run.value
        yield "differences", run.differences
        yield "tangents", run.tangents
        if number % 5 == 3:
            yield "compiled tangents", run.compiled_tangents
        if number % 5 == 1:
            yield "second tangents", run.second_tangents
    else:
        yield "float64", run.float64
        if number % 10 == 0:
            yield "eager", run.eager
    if run.program.has_transforms():
        yield "derivatives", run.derivatives
    if number % 4 == 0:
        yield "threads", run.threads
    if number % 5 == 0:
        yield "donated", run.donated
    if number % 10 == 3 and not run.program.has_effects():
        yield "mapped", lambda: run.mapped(number)
    if number % 20 == 2:
        yield "any size", lambda: run.any_size(number)


class Run:
    """One program, compiled once, and its results."""

    def __init__(self, program: Program, counts: Counts) -> None:
        self.program = program
        self.counts = counts
        self.module = program.module()
        self.function = self.module["run"]
        self.arguments = program.arguments()
        self.compiled = wf.jit(self.function)
        self.found: list[Array] = []

    def compile(self) -> None:
        """It compiles and runs."""
        self.found = outcome(lambda: self.compiled(*self.arguments))

    def again(self) -> None:
        """A second call, which is native, gives the same bits, and leaves the first result and
        the arguments alone."""
        first, before = [f.copy() for f in self.found], [np.copy(a) for a in self.arguments]
        same(outcome(lambda: self.compiled(*self.arguments)), first)
        same(self.found, first)
        same([np.asarray(a) for a in self.arguments], before)

    def interpreter(self) -> None:
        """The graph interpreter gives the same bits."""
        same(self.found, outcome(lambda: self.staged.run(*self.arguments)))

    def rebound(self) -> None:
        """Other arrays under the global names give what a function gives that never saw those
        before, or the same error (an index may be outside now), without tracing again."""
        other = self.program.rebound()
        self.module |= other.captured()
        found = attempt(self.compiled, self.arguments)
        same_attempt(found, attempt(_staged(self.function, self.arguments).run, self.arguments))
        if not (self.program.argnums or isinstance(found, str)):
            try:
                self._all_near(found, other)
            except Invalid:
                self.counts.skipped["other arrays mean nothing there"] += 1
        self.module |= self.program.captured()
        same(self.found, outcome(lambda: self.compiled(*self.arguments)))
        if len(self.compiled.cache_report()) != 1:
            raise Disagreement(f"traced again: {self.compiled.cache_report()[-1]}")

    @cached_property
    def staged(self) -> Staged:
        """The traced function."""
        return _staged(self.function, self.arguments)

    def eager(self) -> None:
        """Call by call it gives the same bits."""
        arrays = [wf.asarray(a) if isinstance(a, np.ndarray) else a for a in self.arguments]
        same(self.found, outcome(lambda: self.function(*arrays)))

    def derivatives(self) -> None:
        """Call by call it gives the same bits, and what transforms give agrees with what other
        transforms, differences and loops do."""
        if _fails(self.found, self.program):
            return
        module = self.program.module(derivatives.Watched(self.counts.transforms))
        arrays = [wf.asarray(a) if isinstance(a, np.ndarray) else a for a in self.arguments]
        name = "program" if self.program.argnums else "run"
        found = results(module[name](*arrays))
        same(found[:1] if self.program.argnums else found, self.found[: len(found)])

    def threads(self) -> None:
        """On 1, 2 and 3 threads it gives the same bits."""
        for count in (1, 2, 3):
            with thread_limit(count):
                same(self.found, outcome(lambda: self.compiled(*self.arguments)))

    def donated(self) -> None:
        """With the memory of its arguments it gives the same bits, and they are no more; those that
        are, because it fails, are what they were."""
        names = [n for n, i in zip(self.program.names(), self.program.inputs) if not i.captured]
        compiled = wf.jit(self.function, donate_argnames=names)
        for _ in range(2):
            given = [wf.asarray(a) if isinstance(a, np.ndarray) else a for a in self.arguments]
            same(outcome(lambda given=given: compiled(*given)), self.found)
            left = [
                (np.asarray(array), np.asarray(argument))
                for array, argument in zip(given, self.arguments, strict=True)
                if isinstance(array, wf.Array) and not is_donated(array)
            ]
            if left and self.program.failure() is None:
                raise Disagreement("a donated array is as it was")
            for array, argument in left:
                same([array], [argument])

    def any_size(self, seed: int) -> None:
        """Compiled for any size it gives the same bits, and for other sizes those of a program for
        these, or the same error."""
        names = [n for n, i in zip(self.program.names(), self.program.inputs) if not i.captured]
        ranks = {n: np.ndim(a) for n, a in zip(names, self.arguments, strict=True)}
        axes = {n: {axis: f"{n}_{axis}" for axis in range(rank)} for n, rank in ranks.items()}
        compiled = wf.jit(self.function, dynamic=axes)
        same(outcome(lambda: compiled(*self.arguments)), self.found)
        fixed = wf.jit(self.function, dynamic=False)
        for other in sizes.others(compiled.cache_report()[0].kind, self.arguments, seed):
            found, expected = attempt(compiled, other), attempt(fixed, other)
            if self._is_unneeded(found, expected, other):
                self.counts.skipped["an index out of bounds that no element needs"] += 1
                continue
            same_attempt(found, expected)
            self.counts.checked["other sizes"] += 1

    def _is_unneeded(
        self, found: list[Array] | str, expected: list[Array] | str, arguments: list[Any]
    ) -> bool:
        """Whether only one of two programs reports an index out of bounds, of an element that
        nothing of the result is made of: something is empty, or a gradient does not need what the
        function itself reports."""
        outcomes = (found, expected)
        if [outcome for outcome in outcomes if isinstance(outcome, str)] != ["OutOfBoundsError"]:
            return False
        arrays = [a for some in (*outcomes, arguments) if not isinstance(some, str) for a in some]
        if any(0 in np.shape(array) for array in arrays):
            return True
        return attempt(self.module["program"], arguments) == "OutOfBoundsError"

    def mapped(self, seed: int) -> None:
        """Mapped over rows of arguments, now and then over rows of rows, it gives what a loop
        over the rows does (`maps`), and fails if that does so for one of them."""
        rng = random.Random(seed)
        function, given, levels = self.function, self.arguments, []
        for _ in range(rng.choice((1, 1, 1, 2))):
            axes = [_an_axis(argument, rng) for argument in given]
            given = [_rows(argument, axis, rng) for argument, axis in zip(given, axes)]
            function = wf.vmap(function, in_axes=tuple(axes), axis_size=ROWS)
            levels.insert(0, axes)
        rows = list(_each_row(given, levels))
        found, looped = attempt(function, given), [attempt(self.compiled, row) for row in rows]
        failed = next((row for row in looped if isinstance(row, str)), None)
        if isinstance(found, str) or failed is not None:
            same_attempt(found, failed or [])
            return
        comparison = maps.Rows(self.staged, rows)
        if comparison.stepped:
            self.counts.skipped["a map that rounds otherwise, and steps"] += 1
        shape = (ROWS,) * len(levels)
        stacked = [np.stack(parts) for parts in zip(*looped, strict=True)]
        expected = [array.reshape(shape + array.shape[1:]) for array in stacked]
        same(found, expected, comparison.check)

    def float64(self) -> None:
        """NumPy in float64 gives nearly the same."""
        self._all_near(self.found, self.program)

    def _all_near(self, results: list[Array], program: Program) -> None:
        if _fails(results, program):
            return
        values = program.values()
        for found, output in zip(results, program.outputs, strict=True):
            self._near(found, values[output])

    def _near(self, found: Array, expected: Bounded) -> None:
        if found.dtype != expected.dtype or found.shape != expected.shape:
            raise Disagreement(
                f"{found.dtype}{list(found.shape)}, expected {expected.dtype}{list(expected.shape)}"
            )
        if not expected.known.all():
            self.counts.skipped["no bound for some elements"] += 1
        wrong = expected.known & ~_within(found, expected)
        if wrong.any():
            place = tuple(map(int, np.unravel_index(int(np.argmax(wrong)), wrong.shape)))
            raise Disagreement(
                f"{found[place]!r} at {place}, expected {expected.value[place]!r} "
                f"within {expected.error[place]:.3g}"
            )

    def value(self) -> None:
        """The value beside a gradient has the bits of the function's own."""
        expected = outcome(lambda: _staged(self.scalar, self.arguments).run(*self.arguments))
        same(self.found[:1], expected)

    def differences(self) -> None:
        """Finite differences of the value have the gradient's slope, where nothing in between is
        rounded to float32, of which the differences would see the steps."""
        if _fails(self.found, self.program):
            return
        value, *gradients = self.found
        types = [n.value_type for n in self.staged.traced.graph.all_nodes()]
        if any(isinstance(t, TensorType) and t.dtype is wf.float32 for t in types):
            skipped: str | None = "differences: not in float64"
        else:
            skipped = differences.check(self.program, self.staged, float(value), gradients)
        if skipped is not None:
            self.counts.skipped[skipped] += 1

    def tangents(self) -> None:
        """Forward mode gives what the gradient says."""
        if _fails(self.found, self.program):
            return
        value, *gradients = self.found
        skipped = tangents.check(self.program, self.scalar, value, gradients, self.staged)
        if skipped is not None:
            self.counts.skipped[skipped] += 1

    def compiled_tangents(self) -> None:
        """Forward mode, compiled, gives the bits of the graph interpreter."""
        if _fails(self.found, self.program):
            return
        moving = tangents.directions(self.found[1:], len(self.program.instructions))
        function = tangents.pushed(self.scalar, self.program.argnums)
        expected = _staged(function, [self.arguments, moving]).run(*self.arguments, *moving)
        same(results(wf.jit(function)(self.arguments, moving)), results(expected))

    def second_tangents(self) -> None:
        """Forward over reverse mode gives what reverse over reverse mode does."""
        if _fails(self.found, self.program):
            return
        skipped = tangents.check_second(self.program, self.scalar)
        if skipped is not None:
            self.counts.skipped[skipped] += 1

    @property
    def scalar(self) -> Callable[..., Any]:
        """The function that `run` gives the value and the gradient of."""
        found: Callable[..., Any] = self.module["slope" if self.program.second else "program"]
        return found


def _staged(function: Callable[..., Any], arguments: list[Any]) -> Staged:
    found = stage(function, *arguments)
    assert found is not None
    return found


ROWS = 3


def _an_axis(argument: Any, rng: random.Random) -> int | None:
    """Where rows of an argument are stacked; None for one that all rows have in common."""
    is_shared = not isinstance(argument, np.ndarray) or rng.random() < 0.3
    return None if is_shared else rng.randint(-argument.ndim - 1, argument.ndim)


def _rows(argument: Any, axis: int | None, rng: random.Random) -> Any:
    """The argument, and its elements in other orders, stacked."""
    if axis is None:
        return argument
    steps = [0, *(rng.randrange(1, 90) for _ in range(ROWS - 1))]
    return np.stack([np.roll(argument, step) for step in steps], axis)


def _each_row(given: list[Any], levels: list[list[int | None]]) -> Iterator[list[Any]]:
    """The arguments of each call that a map of maps stands for."""
    if not levels:
        yield given
        return
    outer, *inner = levels
    for number in range(ROWS):
        yield from _each_row([_row(a, axis, number) for a, axis in zip(given, outer)], inner)


def _row(stacked: Any, axis: int | None, number: int) -> Any:
    return stacked if axis is None else np.asarray(stacked.take(number, axis))


def _within(found: Array, expected: Bounded) -> Array:
    value = expected.value
    equal = (found == value) | ((found != found) & (value != value))
    if not expected.is_float:
        return np.asarray(equal)
    return np.asarray(equal | (np.abs(found.astype("float64") - value) <= expected.error))


def attempt(function: Callable[..., Any], arguments: list[Any]) -> list[Array] | str:
    """The outcome of a call, or the kind of its error."""
    try:
        return outcome(lambda: function(*arguments))
    except (ValueError, IndexError) as error:
        return type(error).__name__


def same_attempt(found: list[Array] | str, expected: list[Array] | str) -> None:
    """Equal bits, or the same error."""
    if isinstance(found, str) or isinstance(expected, str):
        if found != expected:
            raise Disagreement(f"{found}, expected {expected}")
    else:
        same(found, expected)


def same(
    found: list[Array],
    expected: list[Array],
    check: Callable[[Array, Array], None] = assert_same_bits,
) -> None:
    """Equal bits, NaN payloads aside, or what `check` asks for."""
    for position, (one, other) in enumerate(zip(found, expected, strict=True)):
        try:
            check(one, other)
        except AssertionError as error:
            lines = " ".join(str(error).split())
            raise Disagreement(f"output {position}: {lines[:300]}") from None
