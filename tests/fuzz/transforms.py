"""Pieces of a program under a transform: `wf.grad(f)(x)`, `wf.vmap(f)(x, y)`, where f is a block.

What each gives of its operands, as far as is known, and how it is written. An instruction with a
block is all that shrinking asks for: blocks get smaller, and what an operand is stands for the
whole. `tests.fuzz.rules.transforms` draws them; `tests.fuzz.derivatives` knows what has to agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from tests.fuzz.reference.control import MOST_TURNS, row, run, unknown
from tests.fuzz.reference.values import Bounded, Invalid

if TYPE_CHECKING:
    from tests.fuzz.program import Instruction

MOST_DERIVATIVES = 400
"""Elements of a Jacobian or a Hessian."""


@dataclass(frozen=True)
class Transform:
    """`result` gives the value of an instruction from its operands and the values around it, and
    `call` its text from the options, the name of the block's function, and the operands; `before`
    gives lines that come between."""

    result: Callable[[Instruction, Sequence[Any], list[Bounded]], Bounded]
    call: Callable[[Mapping[str, Any], str, list[str]], str]
    before: Callable[[str], list[str]] = lambda function: []


def _plain(instruction: Instruction, operands: Sequence[Any], values: list[Bounded]) -> Bounded:
    """What the function gives."""
    _check_arrays(operands)
    return _only(run(instruction.blocks[0], values, operands))


def _ruled(instruction: Instruction, operands: Sequence[Any], values: list[Bounded]) -> Bounded:
    """What the function gives, which reads nothing that its rule does not know of."""
    _check_floats(*operands)
    if instruction.blocks[0].sources():
        raise Invalid("a rule says nothing of what is no argument")
    value = _only(run(instruction.blocks[0], values, operands))
    _check_floats(value)
    return value


def _only(results: list[Bounded]) -> Bounded:
    (result,) = results
    if result.weak:
        raise Invalid("a scalar of Python is no result")
    return result


def _check_arrays(operands: Sequence[Any]) -> None:
    if any(o.weak for o in operands):
        raise Invalid("a scalar of Python has no derivative, and no rows")


def _check_floats(*values: Bounded) -> None:
    _check_arrays(values)
    if not all(value.is_float for value in values):
        raise Invalid("only floats have derivatives")


def _check_alike(one: Bounded, other: Bounded) -> None:
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        raise Invalid("the types differ")


def _grad(instruction: Instruction, operands: Sequence[Any], values: list[Bounded]) -> Bounded:
    _check_floats(*operands)
    value = _only(run(instruction.blocks[0], values, operands))
    if value.ndim or not value.is_float:
        raise Invalid("a gradient is of a scalar")
    part: Bounded = operands[instruction.options["part"]]
    return unknown(part)


def _pull(instruction: Instruction, operands: Sequence[Any], values: list[Bounded]) -> Bounded:
    """The last operand is the cotangent."""
    *primals, cotangent = operands
    _check_floats(*operands)
    _check_alike(_only(run(instruction.blocks[0], values, primals)), cotangent)
    return unknown(primals[instruction.options["part"]])


def _push(instruction: Instruction, operands: Sequence[Any], values: list[Bounded]) -> Bounded:
    """The last operand is the tangent of the first one."""
    primal, tangent = operands
    _check_floats(primal, tangent)
    _check_alike(primal, tangent)
    value = _only(run(instruction.blocks[0], values, [primal]))
    if instruction.options.get("part") == 0:
        return value
    return unknown(value if value.is_float else _zeros(value.shape, "float32"))


def _hvp(instruction: Instruction, operands: Sequence[Any], values: list[Bounded]) -> Bounded:
    value = _push(instruction, operands, values)
    if value.ndim or not _only(run(instruction.blocks[0], values, operands[:1])).is_float:
        raise Invalid("a gradient is of a scalar")
    return unknown(operands[0])


def _jacobian(instruction: Instruction, operands: Sequence[Any], values: list[Bounded]) -> Bounded:
    (primal,) = operands
    value = _only(run(instruction.blocks[0], values, operands))
    _check_floats(primal, value)
    return _derivatives((*value.shape, *primal.shape), value.dtype)


def _hessian(instruction: Instruction, operands: Sequence[Any], values: list[Bounded]) -> Bounded:
    _grad(instruction, operands, values)
    return _derivatives(operands[0].shape * 2, operands[0].dtype)


def _derivatives(shape: tuple[int, ...], dtype: str) -> Bounded:
    if np.prod(shape, dtype=float) > MOST_DERIVATIVES:
        raise Invalid("too many derivatives")
    return unknown(_zeros(shape, dtype))


def _zeros(shape: tuple[int, ...], dtype: str) -> Bounded:
    return Bounded(np.zeros(shape), np.zeros(shape), dtype)


def _vmap(instruction: Instruction, operands: Sequence[Any], values: list[Bounded]) -> Bounded:
    """Options: an axis or None for each operand, and the axis of the result."""
    _check_arrays(operands)
    axes = instruction.options["in_axes"]
    pairs = list(zip(operands, axes, strict=True))
    if any(axis is not None and axis >= operand.ndim for operand, axis in pairs):
        raise Invalid("no such axis")
    sizes = {operand.shape[axis] for operand, axis in pairs if axis is not None}
    if len(sizes) != 1 or max(sizes) > MOST_TURNS:
        raise Invalid("no one number of rows, or too many")
    stacks = [o if axis is None else _to_front(o, axis) for o, axis in pairs]

    def of_row(place: int) -> Bounded:
        rows = [o if axis is None else row(o, place) for o, axis in zip(stacks, axes)]
        return _only(run(instruction.blocks[0], values, rows))

    first, out = of_row(0), instruction.options["out_axes"]
    if out > first.ndim:
        raise Invalid("no such axis of the result")
    rows = [of_row(place) for place in range(max(sizes))]
    value, error = (
        np.array([getattr(y, name) for y in rows]).reshape(len(rows), *first.shape)
        for name in ("value", "error")
    )
    return _from_front(Bounded(value.astype(first.value.dtype), error, first.dtype), out)


def _to_front(x: Bounded, axis: int) -> Bounded:
    return Bounded(np.moveaxis(x.value, axis, 0), np.moveaxis(x.error, axis, 0), x.dtype)


def _from_front(x: Bounded, axis: int) -> Bounded:
    return Bounded(np.moveaxis(x.value, 0, axis), np.moveaxis(x.error, 0, axis), x.dtype)


# -- text ---------------------------------------------------------------------------------------


def _wrapped(name: str) -> Callable[[Mapping[str, Any], str, list[str]], str]:
    """wf.NAME(f)(x, y)."""
    return lambda _, function, operands: f"wf.{name}({function})({', '.join(operands)})"


def _grad_text(options: Mapping[str, Any], function: str, operands: list[str]) -> str:
    argnums = tuple(range(len(operands)))
    return f"wf.grad({function}, argnums={argnums})({', '.join(operands)})[{options['part']}]"


def _vjp_text(options: Mapping[str, Any], function: str, operands: list[str]) -> str:
    *primals, cotangent = operands
    return f"wf.vjp({', '.join([function, *primals])})[1]({cotangent})[{options['part']}]"


def _jvp_text(options: Mapping[str, Any], function: str, operands: list[str]) -> str:
    x, t = operands
    return f"wf.jvp({function}, ({x},), ({t},))[{options['part']}]"


def _linearize_text(options: Mapping[str, Any], function: str, operands: list[str]) -> str:
    x, t = operands
    return f"wf.linearize({function}, {x})[1]({t})"


def _hvp_text(options: Mapping[str, Any], function: str, operands: list[str]) -> str:
    x, t = operands
    return f"wf.hvp({function}, ({x},), ({t},))[0]"


def _vmap_text(options: Mapping[str, Any], function: str, operands: list[str]) -> str:
    axes = f"in_axes={options['in_axes']}, out_axes={options['out_axes']}"
    return f"wf.vmap({function}, {axes})({', '.join(operands)})"


def _ruled_text(options: Mapping[str, Any], function: str, operands: list[str]) -> str:
    return f"{function}r({', '.join(operands)})"


def _by_vjp(function: str) -> list[str]:
    """A function with a rule that says what is true."""
    return [
        f"{function}r = wf.custom_vjp({function})",
        f"{function}r.defvjp(lambda *xs: ({function}r(*xs), xs), "
        f"lambda xs, g: wf.vjp({function}, *xs)[1](g))",
    ]


def _by_jvp(function: str) -> list[str]:
    return [
        f"{function}r = wf.custom_jvp({function})",
        f"{function}r.defjvp(lambda xs, ts: wf.jvp({function}, xs, ts))",
    ]


TRANSFORMS: dict[str, Transform] = {
    "jit": Transform(_plain, _wrapped("jit")),
    "grad": Transform(_grad, _grad_text),
    "vjp": Transform(_pull, _vjp_text),
    "jvp": Transform(_push, _jvp_text),
    "linearize": Transform(_push, _linearize_text),
    "jacfwd": Transform(_jacobian, _wrapped("jacfwd")),
    "jacrev": Transform(_jacobian, _wrapped("jacrev")),
    "hessian": Transform(_hessian, _wrapped("hessian")),
    "hvp": Transform(_hvp, _hvp_text),
    "vmap": Transform(_vmap, _vmap_text),
    "checkpoint": Transform(_plain, _wrapped("checkpoint")),
    "custom_vjp": Transform(_ruled, _ruled_text, _by_vjp),
    "custom_jvp": Transform(_ruled, _ruled_text, _by_jvp),
}
"""By the name in weft. One that leaves values and derivatives as they are is as `jit`; it is drawn
by a line of `tests.fuzz.rules.transforms.RULES`."""
