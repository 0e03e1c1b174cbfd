"""Functions outside a trace: symbolic sizes, few compiles, the bits of jit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.frontend.staged import run, trace_symbolic

import weft as wf
from weft.calls import Reader
from weft.specialize import Traced

RNG = np.random.default_rng(3)


def traced(function: Any, *args: Any) -> Traced | None:
    return trace_symbolic(function, Reader(function, (), False).read(args, {}))


def inputs(function: Any, *args: Any) -> list[str]:
    found = traced(function, *args)
    assert found is not None
    return [str(node.type) for node in found.graph.inputs]


def test_sizes_become_symbols() -> None:
    a, b = np.ones((3, 4), "f4"), np.ones((1, 4), "f4")
    assert inputs(wf.add, a, b) == ["f32[n,m]", "f32[1,m]"]
    assert inputs(wf.matmul, a, a.T.copy()) == ["f32[n,m]", "f32[m,k]"]
    assert inputs(wf.outer, a[0], a[0]) == ["f32[n]", "f32[m]"]
    assert inputs(lambda x: wf.sum(x, axis=1), a) == ["f32[n,m]"]


def test_functions_that_need_the_sizes() -> None:
    assert traced(lambda x: x * float(x.shape[0]), np.ones(4, "f4")) is None
    assert traced(lambda x: sum(x[i] for i in range(x.shape[0])), np.ones(4, "f4")) is None


def test_parts_and_quotients_of_any_size() -> None:
    for function, constraints in (
        (lambda x: wf.reshape(x, (2, -1)), ["(m*n) % 2 == 0"]),
        (lambda x: x[1:, ::2], []),
        (lambda x: x[:, -1], ["m >= 1"]),
    ):
        found = traced(function, np.ones((4, 3), "f4"))
        assert found is not None
        assert list(map(str, found.graph.constraints)) == constraints


def test_new_sizes_need_no_compile() -> None:
    from weft import engine

    for n in (2, 3):
        wf.expm1(wf.asarray(np.ones((n, n + 1), "f4")))
    before = len(engine._slots)
    for n in (4, 7, 50):
        x = RNG.standard_normal((n, n + 3)).astype("f4")
        assert_same_bits(np.asarray(wf.expm1(wf.asarray(x))), run(wf.expm1, x))
    assert len(engine._slots) == before


def test_same_bits_as_jit() -> None:
    x = RNG.standard_normal((5, 7)).astype("f4")
    functions: tuple[Callable[[Any], Any], ...] = (
        lambda x: wf.exp(x) * x + 0.1,
        lambda x: x**3 - x**0.5,
        lambda x: wf.where(x > 0, x, -x),
        lambda x: 1 / (1 + abs(x)),
    )
    for function in functions:
        eager = function(wf.asarray(x))
        assert_same_bits(np.asarray(wf.jit(function)(x)), np.asarray(eager))


def test_broadcast_patterns_do_not_mix() -> None:
    a = np.arange(3, dtype="f4")
    for left, right in (((3,), (3,)), ((1,), (3,)), ((3,), (1,)), ((3, 1), (3,)), ((3, 3), (3,))):
        x, y = np.resize(a, left), np.resize(a + 1, right)
        np.testing.assert_array_equal(np.asarray(wf.asarray(x) - wf.asarray(y)), x - y)
    with pytest.raises(wf.errors.ShapeError, match="sizes 3 and 2"):
        wf.asarray(a) - wf.asarray(a[:2])


def test_mixed_operands() -> None:
    a = wf.asarray([1.0, 2.0])
    for result in (np.ones(2, "f4") + a, a + np.ones(2, "f4"), np.float32(1) + a, 1 + a, a + True):
        assert isinstance(result, wf.Array) and result.dtype is wf.float32
        np.testing.assert_array_equal(np.asarray(result), [2, 3])
    with pytest.raises(TypeError):
        a + "text"


def test_lists_as_static_arguments() -> None:
    x = wf.asarray(RNG.standard_normal((2, 3)).astype("f4"))
    assert wf.permute_dims(x, [1, 0]).shape == (3, 2)
    assert wf.permute_dims(x, (1, 0)).shape == (3, 2)


def test_index_errors_name_the_line_and_the_size() -> None:
    x = wf.asarray(np.zeros((3, 4), "f4"))
    far = np.array([1, 99])
    calls: list[Callable[[], Any]] = [lambda: wf.take(x, far, axis=0), lambda: x[far]]
    for call in calls:
        with pytest.raises(IndexError, match=r"test_eager\.py:\d+: .*axis 0 of size 3"):
            call()


def test_very_many_independent_sizes_are_fixed() -> None:
    arrays = [wf.asarray(np.full(2 + n % 3, n, "f4")) for n in range(40)]
    for given in (arrays, arrays[::-1], arrays[:20]):
        for _ in range(2):
            expected = np.concatenate([np.asarray(a) for a in given])
            np.testing.assert_array_equal(np.asarray(wf.concat(given)), expected)
