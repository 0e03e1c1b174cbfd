"""Rules that put a piece of a program under a transform; its block is grown by the rules given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tests.fuzz.drawer import Drawer
from tests.fuzz.program import Block
from tests.fuzz.reference.control import MOST_TURNS, row
from tests.fuzz.reference.values import Bounded, Invalid
from tests.fuzz.rules.control import DEEPEST, Rules, closed, fitting
from tests.fuzz.rules.operands import any_value, floating, required, scalar_of

MOST_INPUTS = 60
"""Elements of what one differentiates by."""


def _plain(d: Drawer, rules: Rules, name: str) -> None:
    """A function that is called as it is."""
    operands = [any_value(d) for _ in range(d.rng.choice((1, 1, 2)))]
    inner = _grown(d, rules, [d.values[o] for o in operands])
    d.emit(name, *operands, blocks=(_ended(d, inner, len(operands), _last(d, inner)),))


def _ruled(d: Drawer, rules: Rules, name: str) -> None:
    """What computes forward again to go back has no effect: nothing would wait for it."""
    operands = [_primal(d) for _ in range(d.rng.choice((1, 1, 2)))]
    given, pure = [d.values[o] for o in operands], name == "custom_vjp"
    inner = _grown(d, rules, given, smooth=True, reverse=True, pure=pure)
    output = _last(d, inner, lambda v: v.is_float)
    d.emit(name, *operands, blocks=(_ended(d, inner, len(operands), output),))


def _grad(d: Drawer, rules: Rules, name: str) -> None:
    operands = [_primal(d) for _ in range(d.rng.choice((1, 1, 1, 2)))]
    block = _scalar_block(d, rules, operands)
    d.emit(name, *operands, blocks=(block,), part=d.rng.randrange(len(operands)))


def _vjp(d: Drawer, rules: Rules, name: str) -> None:
    operands, cotangent = [_primal(d) for _ in range(d.rng.choice((1, 1, 2)))], floating(d)
    inner = _grown(d, rules, [d.values[o] for o in operands], smooth=True, reverse=True)
    output = fitting(inner, len(d.values), cotangent)
    block = _ended(d, inner, len(operands), output)
    part = d.rng.randrange(len(operands))
    d.emit(name, *operands, cotangent, blocks=(block,), part=part)


def _jvp(d: Drawer, rules: Rules, name: str) -> None:
    primal, tangent, block = _pushed(d, rules)
    d.emit(name, primal, tangent, blocks=(block,), part=d.rng.choice((0, 1, 1, 1)))


def _linearize(d: Drawer, rules: Rules, name: str) -> None:
    primal, tangent, block = _pushed(d, rules)
    d.emit(name, primal, tangent, blocks=(block,))


def _pushed(d: Drawer, rules: Rules) -> tuple[int, int, Block]:
    primal = _primal(d)
    tangent = _alike(d, primal)
    inner = _grown(d, rules, [d.values[primal]], smooth=True)
    return primal, tangent, _ended(d, inner, 1, _last(d, inner))


def _jacobian(d: Drawer, rules: Rules, name: str) -> None:
    primal = _primal(d)
    inner = _grown(d, rules, [d.values[primal]], smooth=True, reverse=name == "jacrev")
    block = _ended(d, inner, 1, _last(d, inner, lambda v: v.is_float))
    d.emit(name, primal, blocks=(block,))


def _hessian(d: Drawer, rules: Rules, name: str) -> None:
    primal = _primal(d)
    d.emit(name, primal, blocks=(_scalar_block(d, rules, [primal]),), part=0)


def _hvp(d: Drawer, rules: Rules, name: str) -> None:
    primal = _primal(d)
    tangent = _alike(d, primal)
    d.emit(name, primal, tangent, blocks=(_scalar_block(d, rules, [primal]),))


def _vmap(d: Drawer, rules: Rules, name: str) -> None:
    def has_rows(value: Bounded) -> bool:
        return any(size <= MOST_TURNS for size in value.shape)

    operands = [required(d.pick(has_rows))]
    shape = d.values[operands[0]].shape
    axes: list[int | None] = [d.rng.choice([n for n, s in enumerate(shape) if s <= MOST_TURNS])]
    size = shape[axes[0] or 0]
    for _ in range(d.rng.choice((0, 1, 1, 2))):
        operands.append(any_value(d))
        fits = [n for n, s in enumerate(d.values[operands[-1]].shape) if s == size]
        axes.append(d.rng.choice(fits) if fits and d.chance(0.8) else None)
    rows = [_row_type(d.values[o], axis) for o, axis in zip(operands, axes)]
    inner = _grown(d, rules, rows, pure=True)
    output = _last(d, inner)
    block = _ended(d, inner, len(operands), output)
    out = d.rng.randint(0, inner.values[output].ndim) if d.chance(0.4) else 0
    d.emit(name, *operands, blocks=(block,), in_axes=tuple(axes), out_axes=out)


def _row_type(value: Bounded, axis: int | None) -> Bounded:
    if axis is None:
        return value
    front = Bounded(value.value.swapaxes(0, axis), value.error.swapaxes(0, axis), value.dtype)
    first = row(front)
    others = [n for n in range(value.ndim) if n != axis]
    shape = tuple(value.shape[n] for n in others)
    return Bounded(first.value.reshape(shape), first.error.reshape(shape), value.dtype)


# -- operands and blocks ------------------------------------------------------------------------


def _primal(d: Drawer) -> int:
    """What is differentiated by."""
    return required(d.pick(lambda v: v.is_float and v.size <= MOST_INPUTS))


def _alike(d: Drawer, number: int) -> int:
    """A value of the type of one."""
    wanted = d.values[number]
    found = d.pick(lambda v: (v.dtype, v.shape) == (wanted.dtype, wanted.shape))
    return number if found is None else found


def _grown(
    d: Drawer,
    rules: Rules,
    parameters: Sequence[Bounded],
    smooth: bool = False,
    reverse: bool = False,
    pure: bool = False,
) -> Drawer:
    """What is in a block with these parameters."""
    if d.depth >= DEEPEST:
        raise Invalid("deep enough")
    inner = d.within(parameters)
    inner.smooth |= smooth
    inner.reverse |= reverse
    inner.pure |= pure
    for _ in range(d.rng.choice((1, 1, 2, 3))):
        inner.grow(rules)
    return inner


def _last(d: Drawer, inner: Drawer, fits: Callable[[Bounded], bool] = lambda v: True) -> int:
    """A value that a block has made, or a parameter; as a rule one that depends on these."""
    first = len(d.values)
    found = [n for n, v in enumerate(inner.values) if n >= first and not v.weak and fits(v)]
    if not found:
        raise Invalid("nothing to return")
    moving = _depending(inner, first)
    if d.chance(0.9):
        found = [n for n in found if n in moving] or found
    return found[-1] if d.chance(0.8) else d.rng.choice(found)


def _depending(inner: Drawer, first: int) -> set[int]:
    """The values of a block that depend on its parameters, which are the first ones."""
    made = len(inner.values) - len(inner.instructions)
    moving = set(range(first, made))
    for number, instruction in enumerate(inner.instructions, made):
        if not moving.isdisjoint(instruction.sources()):
            moving.add(number)
    return moving


def _ended(d: Drawer, inner: Drawer, parameters: int, output: int) -> Block:
    return closed(d, inner, parameters, [output])


def _scalar_block(d: Drawer, rules: Rules, operands: Sequence[int]) -> Block:
    """A function of the operands whose result has a gradient."""
    inner = _grown(d, rules, [d.values[o] for o in operands], smooth=True, reverse=True)
    output = scalar_of(inner, _last(d, inner, lambda v: v.is_float))
    return _ended(d, inner, len(operands), output)


RULES: dict[str, Callable[[Drawer, Rules, str], Any]] = {
    "jit": _plain,
    "checkpoint": _plain,
    "custom_vjp": _ruled,
    "custom_jvp": _ruled,
    "grad": _grad,
    "vjp": _vjp,
    "jvp": _jvp,
    "linearize": _linearize,
    "jacfwd": _jacobian,
    "jacrev": _jacobian,
    "hessian": _hessian,
    "hvp": _hvp,
    "vmap": _vmap,
}
"""How an instruction of each name is drawn."""
OFTEN = ("grad", "grad", "jvp", "jvp", "vmap", "vmap", "vmap")


def transform(d: Drawer, rules: Rules) -> None:
    """Some transform of a function drawn by `rules`."""
    name = d.rng.choice((*RULES, *OFTEN))
    RULES[name](d, rules, name)
