"""Random programs over the public namespace, as data: the same program runs eager or under jit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

import weft as wf

UNARY = ("exp", "tanh", "sin", "sqrt", "abs", "negative", "floor", "sigmoid", "square", "log1p")
BINARY = ("add", "subtract", "multiply", "divide", "minimum", "maximum")
REDUCTIONS = ("sum", "max", "min", "mean", "prod", "argmax")


@dataclass(frozen=True)
class Instruction:
    """One operation over earlier values: `operands` index them modulo how many there are."""

    name: str
    operands: tuple[int, int]
    number: int


@dataclass(frozen=True)
class RandomProgram:
    """Inputs of `shape` (float32) and instructions; the last values are the outputs."""

    shape: tuple[int, ...]
    inputs: int
    instructions: tuple[Instruction, ...]
    outputs: int

    def __call__(self, *arrays: Any) -> list[Any]:
        values = list(arrays)
        for instruction in self.instructions:
            a, b = (values[o % len(values)] for o in instruction.operands)
            values.append(_RULES[instruction.name](instruction, a, b))
        return list({id(value): value for value in values[-self.outputs :]}.values())

    def arrays(self, seed: int) -> list[np.ndarray[Any, Any]]:
        rng = np.random.default_rng(seed)
        found = [rng.standard_normal(self.shape).astype(np.float32) for _ in range(self.inputs)]
        for array in found:
            flat = array.reshape(-1)
            count = len(flat) // 8
            special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, 1.0], np.float32)
            flat[rng.integers(0, len(flat), count)] = rng.choice(special, count)
        return found


def _float(x: Any) -> Any:
    return x if x.dtype is wf.float32 else wf.astype(x, wf.float32)


def _binary(i: Instruction, a: Any, b: Any) -> Any:
    a, b = _float(a), _float(b)
    return getattr(wf, i.name)(a, _fit(a, b))


def _fit(a: Any, b: Any) -> Any:
    """`b` made broadcastable against `a`: itself where it is, else its sum."""
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        return wf.sum(b)
    return b


def _reduce(i: Instruction, a: Any, b: Any) -> Any:
    if a.ndim == 0:
        return _float(a)
    axis: int | None = i.number % (a.ndim + 1)
    if axis == a.ndim:
        axis = None
    return getattr(wf, i.name)(_float(a), axis=axis, keepdims=bool(i.number & 8))


def _matmul(i: Instruction, a: Any, b: Any) -> Any:
    if a.ndim != 2:
        return _float(a)
    return wf.matmul(_float(a), wf.matrix_transpose(_float(a)))


def _softmax(i: Instruction, a: Any, b: Any) -> Any:
    return wf.nn.softmax(_float(a)) if a.ndim else _float(a)


def _where(i: Instruction, a: Any, b: Any) -> Any:
    a, b = _float(a), _float(b)
    b = _fit(a, b)
    return wf.where(a > b, a, b)


def _slice(i: Instruction, a: Any, b: Any) -> Any:
    if a.ndim == 0:
        return a
    step = (i.number % 5) - 2 or 1
    return a[::step]


def _transpose(i: Instruction, a: Any, b: Any) -> Any:
    return wf.permute_dims(a, tuple(range(a.ndim))[::-1])


def _reshape(i: Instruction, a: Any, b: Any) -> Any:
    return wf.reshape(a, (-1,)) if 0 not in a.shape else a


def _concat(i: Instruction, a: Any, b: Any) -> Any:
    return wf.concat([_float(a), _float(a)], axis=0) if a.ndim and a.size < 4096 else _float(a)


_RULES: dict[str, Callable[[Instruction, Any, Any], Any]] = {
    **{n: lambda i, a, b: getattr(wf, i.name)(_float(a)) for n in UNARY},
    **dict.fromkeys(BINARY, _binary),
    **dict.fromkeys(REDUCTIONS, _reduce),
    "matmul": _matmul,
    "softmax": _softmax,
    "where": _where,
    "slice": _slice,
    "transpose": _transpose,
    "reshape": _reshape,
    "concat": _concat,
}


def programs(instructions: int = 8) -> st.SearchStrategy[RandomProgram]:
    """Random programs of up to so many instructions."""
    index = st.integers(0, 63)
    instruction = st.builds(
        Instruction, st.sampled_from(sorted(_RULES)), st.tuples(index, index), st.integers(0, 15)
    )
    side = st.sampled_from([1, 2, 3, 5, 17, 33, 70])
    shape = st.lists(side, min_size=0, max_size=3).map(tuple)
    return st.builds(
        RandomProgram,
        shape,
        st.integers(1, 3),
        st.lists(instruction, min_size=1, max_size=instructions).map(tuple),
        st.integers(1, 3),
    )
