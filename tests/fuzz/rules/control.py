"""Rules that append a branch or a loop, whose blocks are grown by the rules given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tests.fuzz.drawer import Drawer
from tests.fuzz.program import Block, Literal, Local, Operand
from tests.fuzz.reference.control import MOST_TURNS, row
from tests.fuzz.reference.values import Bounded, Invalid, exactly
from tests.fuzz.rules.operands import any_value, required

Rules = tuple[Callable[[Drawer], Any], ...]
DEEPEST = 3


def branch(d: Drawer, rules: Rules) -> None:
    """wf.cond or wf.switch of functions that return what some value here could be."""
    like = floating_if_smooth(d)
    if d.chance(0.6):
        index, name, count = _predicate(d), "cond", 2
    else:
        index, name, count = _number(d), "switch", d.rng.randint(1, 4)
    blocks = [_block(d, rules, [], [like]) for _ in range(count)]
    d.emit(name, index, blocks=tuple(blocks))


def counted_loop(d: Drawer, rules: Rules) -> None:
    """wf.fori_loop over one to three values, with bounds that may leave nothing to do."""
    state = _state(d)
    scalars = [n for n, v in enumerate(d.values) if v.weak and v.dtype == "int64"]
    upper: Operand = Literal(d.rng.choice((0, 1, 2, 3, 3, 4, 5)))
    if scalars and not d.reverse and d.chance(0.5):  # else nothing tells how much is kept
        upper = d.rng.choice(scalars)
    lower = Literal(d.rng.choice((0, 0, 0, 1, -2)))
    body = _block(d, rules, [exactly(1, "int64", weak=True), *_strong(d, state)], state, skipped=1)
    d.emit("fori_loop", lower, upper, *state, blocks=(body,), part=d.rng.randrange(len(state)))


def conditional_loop(d: Drawer, rules: Rules) -> None:
    """wf.while_loop for a few turns, or until its state is large."""
    state = _state(d)
    parameters = [exactly(0, "int64"), *_strong(d, state)]
    inner = d.within(parameters)
    counter = len(d.values)
    holds = inner.emit("less", counter, Literal(d.rng.choice((0, 1, 2, 4))), form="operator")
    number = counter + 1 + d.rng.randrange(len(state))
    if d.chance(0.5) and d.values[state[number - counter - 1]].is_float:
        size = inner.emit("sum", inner.emit("abs", number))
        small = inner.emit("less", size, Literal(1000.0), form="operator")
        holds = inner.emit("logical_and", holds, small)
    condition = closed(d, inner, len(parameters), [holds])
    body = _block(d, rules, parameters, state, skipped=1, counts=True)
    part = d.rng.randrange(len(state))
    d.emit("while_loop", *state, blocks=(condition, body), part=part)


def scanned_loop(d: Drawer, rules: Rules) -> None:
    """wf.scan over one or two arrays; a y has the type of the first one's rows."""

    def has_rows(value: Bounded) -> bool:
        few = value.ndim > 0 and value.shape[0] <= MOST_TURNS
        return few and (value.is_float or not d.smooth)

    stacks = [required(d.pick(has_rows))]
    length = d.values[stacks[0]].shape[0]
    also = d.pick(lambda value: value.shape[:1] == (length,))
    if also is not None and d.chance(0.5):
        stacks.append(also)
    state = _state(d)
    parameters = [*_strong(d, state), *(row(d.values[stack]) for stack in stacks)]
    body = _block(d, rules, parameters, [*state, stacks[0]])
    place = {"part": d.rng.randint(0, len(state)), "reverse": d.chance(0.4)}
    if d.chance(0.3):
        place["unroll"] = d.rng.choice((2, 3, 8))
    d.emit("scan", *state, *stacks, blocks=(body,), carried=len(state), **place)


def floating_if_smooth(d: Drawer) -> int:
    """A value of the type that a block is to return."""
    return required(d.pick(lambda v: v.is_float)) if d.smooth else any_value(d)


def _state(d: Drawer) -> list[int]:
    return [floating_if_smooth(d) for _ in range(d.rng.choice((1, 1, 2, 3)))]


def _strong(d: Drawer, numbers: Sequence[int]) -> list[Bounded]:
    return [d.values[number] for number in numbers]


def _predicate(d: Drawer) -> int:
    known = d.pick(lambda v: v.dtype == "bool" and not v.ndim)
    if known is not None and d.chance(0.5):
        return known
    value = required(d.pick(lambda v: v.dtype != "bool" and v.size > 0))
    size = d.emit(d.rng.choice(("sum", "max", "min")), value) if d.values[value].ndim else value
    name = d.rng.choice(("less", "greater", "greater_equal"))
    return d.emit(name, size, Literal(d.rng.choice((0, 1, 3))), form="operator")


def _number(d: Drawer) -> int:
    known = d.pick(lambda v: v.dtype in ("int32", "int64", "uint8") and not v.ndim)
    if known is not None and d.chance(0.7):
        return known
    return d.emit("argmax", required(d.pick(lambda v: v.size > 0 and v.dtype != "bool")))


def _block(
    d: Drawer,
    rules: Rules,
    parameters: Sequence[Bounded],
    like: Sequence[int],
    skipped: int = 0,
    counts: bool = False,
) -> Block:
    """A block that returns values of the types of those numbered `like`; the first `skipped`
    parameters belong to none. One that `counts` returns its counter plus 1 before them."""
    if d.depth >= DEEPEST:
        raise Invalid("deep enough")
    inner = d.within(parameters)
    for _ in range(d.rng.choice((1, 1, 2, 3))):
        inner.grow(rules)
    first = len(d.values)
    outputs = [inner.emit("add", first, Literal(1), form="operator")] if counts else []
    for place, number in enumerate(like):
        own = first + skipped + place if parameters else number
        outputs.append(fitting(inner, first, own))
    return closed(d, inner, len(parameters), outputs)


def fitting(d: Drawer, first: int, own: int) -> int:
    """A value of a block of the type of its value `own`: made there, or of it and a sum; seldom one
    from anywhere as it is."""
    wanted = d.values[own]
    alike = [
        n for n, v in enumerate(d.values) if (v.shape, v.dtype) == (wanted.shape, wanted.dtype)
    ]
    strong = [n for n in alike if not d.values[n].weak]
    if strong and d.chance(0.1):
        return d.rng.choice(strong)
    late = [n for n, v in enumerate(d.values) if n >= first and not v.weak]
    made = [n for n in late if d.values[n].shape == wanted.shape]
    exact = [n for n in made if d.values[n].dtype == wanted.dtype]
    if exact and d.chance(0.9):
        return exact[-1] if d.chance(0.7) else d.rng.choice(exact)
    if made and not d.smooth and d.chance(0.9):
        return d.emit("astype", made[-1], dtype=wanted.dtype)
    summed = [n for n in late if d.values[n].dtype == wanted.dtype and wanted.dtype != "bool"]
    if summed and d.chance(0.9):
        return d.emit("add", own, d.emit("sum", summed[-1], dtype=wanted.dtype), form="operator")
    return own


def closed(d: Drawer, inner: Drawer, parameters: int, outputs: Sequence[int]) -> Block:
    """What `inner` has drawn, as a block of `d`."""
    count = len(d.values)

    def local(o: Any) -> Any:
        return Local(inner.depth, o - count) if isinstance(o, int) and o >= count else o

    instructions = tuple(i.mapped(local) for i in inner.instructions)
    return Block(inner.depth, parameters, instructions, tuple(map(local, outputs))).live()
