"""Every public function natively: outside a trace and jitted, the bits of the interpreter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.frontend import test_values as values
from tests.frontend.staged import run

import weft as wf

Case = tuple[Callable[..., Any], tuple[Any, ...]]


def reductions() -> list[Case]:
    def case(name: str, axis: Any, keepdims: bool) -> Case:
        return lambda x: getattr(wf, name)(x, axis=axis, keepdims=keepdims), (values.X,)

    names = ("sum", "max", "mean", "any", "argmax")
    axes = (None, 0, 1, -1, (0, 2), (1, 2))
    cases = [case(n, a, k) for n in names for a in axes for k in (False, True)]
    return [c for c, (n, a) in zip(cases, [(n, a) for n in names for a in axes for _ in "tf"])
            if n != "argmax" or not isinstance(a, tuple)]  # fmt: skip


def powers() -> list[Case]:
    return [(lambda x, p=p: x**p, (values.POSITIVE,)) for p in (0, 1, 2, 3, -1, 0.5, 1.5)]


def products() -> list[Case]:
    shapes = [
        tuple(values.RNG.standard_normal(shape).astype("f4") for shape in pair)
        for pair in values.MATMULS
    ]
    matmuls: list[Case] = [(lambda a, b: a @ b, pair) for pair in shapes]
    einsums: list[Case] = [
        (lambda *xs, s=s: wf.einsum(s, *xs), operands) for s, operands in values.EINSUMS
    ]
    return matmuls + einsums


def neural() -> list[Case]:
    x = values.X
    return [
        (wf.nn.softmax, (x,)),
        (wf.nn.log_softmax, (x,)),
        (wf.nn.gelu, (x,)),
        (wf.nn.silu, (x,)),
        (wf.nn.cross_entropy, (x[0], values.LABELS)),
        (wf.nn.layer_norm, (x, x[0, 0], x[0, 0])),
        (lambda x: wf.logsumexp(x, axis=1), (x,)),
        (lambda x: wf.var(x, axis=1, correction=1), (x,)),
        (lambda x, i: x[:, i], (x, values.INDICES)),
    ]


GROUPS: dict[str, Sequence[Case]] = {
    "unary": [(getattr(wf, name), (x,)) for name, _, x in values.UNARY],
    "binary": [(getattr(wf, name), (x, y)) for name, _, x, y in values.BINARY],
    "movement": [(function, args) for function, _, args in values.MOVEMENT],
    "indexing": [(lambda x, k=k: x[k], (values.X,)) for k in values.KEYS],
    "reductions": reductions(),
    "powers": powers(),
    "products": products(),
    "neural": neural(),
}
CASES = [
    pytest.param(*case, id=f"{name}{number}")
    for name, cases in GROUPS.items()
    for number, case in enumerate(cases)
]


@pytest.mark.parametrize(("function", "args"), CASES)
def test_bits(function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    expected = run(function, *args)
    eager = function(*(wf.asarray(np.ascontiguousarray(a).reshape(a.shape)) for a in args))
    assert_same_bits(np.asarray(eager), expected)
    assert_same_bits(np.asarray(wf.jit(function)(*args)), expected)
