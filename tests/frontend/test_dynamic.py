"""Compiled functions for any size: which sizes become symbols, and what code does to them."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from benchmarks.transformer import block, block_parameters
from tests.bits import assert_same_bits
from tests.threads import at_once, switching

import weft as wf
from weft import demo
from weft.errors import RangeError, ShapeError, TraceError, UsageError
from weftrt import knobs

RNG = np.random.default_rng(7)


def ones(*shape: int) -> np.ndarray[Any, Any]:
    return np.ones(shape, np.float32)


def compiles(function: Any) -> int:
    return len(function.cache_report())


def check_same_bits(function: Callable[..., Any], calls: list[tuple[Any, ...]]) -> Any:
    """Each call has the bits of a program for its sizes; returns the function compiled for any."""
    dynamic, fixed = wf.jit(function), wf.jit(function, dynamic=False)
    for arguments in calls:
        found, expected = (wf.tree.leaves(f(*arguments)) for f in (dynamic, fixed))
        for a, b in zip(found, expected, strict=True):
            assert_same_bits(np.asarray(a), np.asarray(b))
    return dynamic


def test_the_second_size_becomes_a_symbol() -> None:
    def f(x: Any, w: Any) -> Any:
        return wf.nn.softmax(wf.tanh(x @ w) / x.shape[0])

    calls = [(RNG.standard_normal((n, 3), np.float32), ones(3, 5)) for n in (4, 9, 0, 2, 100, 4)]
    assert compiles(check_same_bits(f, calls)) == 2


def test_a_training_step_for_any_batch() -> None:
    rng = np.random.default_rng(0)
    parameters = demo.initial_parameters(16, rng)
    zeros = {name: wf.zeros(p.shape) for name, p in parameters.items()}

    def batch(n: int) -> tuple[Any, ...]:
        x, labels = rng.random((n, 16), dtype=np.float32), rng.integers(0, demo.CLASSES, n)
        return (parameters, zeros, zeros, wf.zeros(()), x, labels)

    with np.errstate(all="ignore"):
        step = check_same_bits(demo.train_step.__wrapped__, [batch(n) for n in (8, 3, 0, 33, 64)])
    assert compiles(step) == 2


def test_never() -> None:
    f = wf.jit(lambda x: x * 2, dynamic=False)
    for n in (2, 3, 4):
        f(ones(n))
    assert compiles(f) == 3


def test_names_from_the_start() -> None:
    f = wf.jit(lambda x, y: (x.sum(), y * 2), dynamic={"x": {0: "batch"}, "y": {-1: "batch"}})
    for n in (2, 3, 4):
        f(ones(n, 5), ones(1, n))
    assert compiles(f) == 1
    with pytest.raises(ShapeError, match=r"x.shape\[0\] is 3 and y.shape\[1\] is 4, but .*'batch'"):
        f(ones(3, 5), ones(1, 4))


def test_names_in_trees() -> None:
    def total(rows: Any) -> Any:
        return rows["a"].sum() + rows["b"][0].sum()

    f = wf.jit(total, dynamic={"rows": {0: "n"}})
    g = wf.jit(total, dynamic={"rows['a']": {0: "n"}})
    for n in (2, 3, 4):
        f({"a": ones(n, 3), "b": [ones(n)]})
        g({"a": ones(n, 3), "b": [ones(2)]})
    assert compiles(f) == compiles(g) == 1


@pytest.mark.parametrize(
    "dynamic", [True, "x", ["x"], {"x": 0}, {"x": {"0": "n"}}, {"x": {0: "a b"}}, {0: {0: "n"}}]
)
def test_what_dynamic_is_not(dynamic: Any) -> None:
    with pytest.raises(UsageError, match="dynamic is None, False or names of axes"):
        wf.jit(lambda x: x, dynamic=dynamic)


def test_names_of_nothing() -> None:
    with pytest.raises(UsageError, match="no parameter 'y' to be dynamic"):
        wf.jit(lambda x: x, dynamic={"y": {0: "n"}})
    f = wf.jit(lambda x, rate: x * rate, dynamic={"x": {2: "n"}})
    with pytest.raises(UsageError, match="dynamic names axis 2 of x, which has 1 axes"):
        f(ones(3), 2.0)
    g = wf.jit(lambda x, rate: x * rate, dynamic={"rate": {0: "n"}})
    with pytest.raises(UsageError, match="dynamic names axis 0 of rate, which is a number"):
        g(ones(3), 2.0)


def sizes_as_numbers(x: Any) -> Any:
    n, m = x.shape
    scaled = x / n + x * (2 * m) - (n - 3) + 1.5 * n
    rows = wf.arange(n)[:, None] + wf.full((n, 1), m) + wf.zeros(x.shape)
    return scaled + rows, n, (n + 1) / 2, x.reshape(m * n).sum() / x.size, wf.eye(n)


def test_sizes_are_numbers_and_shapes() -> None:
    calls = [
        (RNG.standard_normal((n, m), np.float32),) for n, m in ((3, 4), (5, 6), (0, 2), (7, 7))
    ]
    assert compiles(check_same_bits(sizes_as_numbers, calls)) == 2


def test_sizes_as_results_of_bodies() -> None:
    def rows(x: Any) -> Any:
        n = x.shape[0]
        turned = wf.fori_loop(0, 2, lambda i, s: (s[0] + n, n), (n, 0))
        return wf.cond(wf.sum(x) > 5, lambda: n, lambda: 2 * n + 1), turned

    assert compiles(check_same_bits(rows, [(ones(n),) for n in (2, 6, 4, 9)])) == 2


def test_quotients() -> None:
    def parts(x: Any) -> Any:
        n = x.shape[0]
        half = wf.zeros((n // 2, n % 3)) + (2 * n) // 4 + divmod(7, n + 1)[1] - 9 // (n + 2)
        return half, x.reshape(2, n // 2), x * (n**2 % 4)

    assert compiles(check_same_bits(parts, [(ones(n),) for n in (2, 6, 4, 0, 20)])) == 2


def test_sizes_fit_the_dtype_that_they_meet() -> None:
    f = wf.jit(lambda x: x * x.shape[0])
    for n in (3, 5, 255):
        np.testing.assert_array_equal(np.asarray(f(np.ones(n, np.uint8))), n)
    assert compiles(f) == 2 and f.cache_report()[1].constraints == ("n <= 255",)
    with pytest.raises(RangeError, match="the integer 256 does not fit uint8"):
        f(np.ones(256, np.uint8))
    g = wf.jit(lambda x: x + (x.shape[0] - 4))
    for n in (5, 6):
        g(np.ones(n, np.uint64))
    with pytest.raises(RangeError, match="the integer -1 does not fit uint64"):
        g(np.ones(3, np.uint64))


def test_what_is_known_of_every_size() -> None:
    """Comparisons that have one answer for all sizes, and equal sizes, fix nothing."""

    def f(x: Any, y: Any) -> Any:
        n = x.shape[0]
        assert n == n and n >= 0 and n + 1 > 0 and not n < 0 and n + 1 != 0 and n != n + 1
        assert n == y.shape[0] and x.shape == (y.shape[0],) and n is not None and n != "n"
        assert isinstance(n, numbers.Integral) and n + 1
        return x + y * round(n) * math.floor(+n)

    assert compiles(check_same_bits(f, [(ones(n), ones(n)) for n in (2, 3, 4)])) == 2


USES: dict[str, Callable[[Any], Any]] = {
    "compare": lambda n: 1 if n > 3 else 2,
    "equal": lambda n: 1 if n == 3 else 2,
    "int": lambda n: int(n),
    "float": lambda n: float(n) ** 0.5,
    "range": lambda n: sum(range(n)),
    "index": lambda n: list(range(10))[n],
    "repeat": lambda n: len([0] * n),
    "text": lambda n: len(f"{'x' * n}") + len(f"{n:>{n}}") + len(str(n)),
    "hash": lambda n: {2: 5, 3: 6, 4: 7}[n],
    "truth": lambda n: 2 if n else 3,
    "min": lambda n: min(n, 3),
    "negative": lambda n: n // -2 + n % -3,
    "power": lambda n: 2**n,
    "root": lambda n: math.sqrt(n),
    "bits": lambda n: (n & 1) + (n << 2) + (~n),
    "numpy": lambda n: float(np.float32(0.1) * n) + float(np.sum(np.ones(3) * n)),
    "numpy sizes": lambda n: np.zeros(n).size,
}


@pytest.mark.parametrize("use", USES)
def test_uses_of_the_value(use: str) -> None:
    """What needs the value of a size has it: a program for each, as ordinary Python means it."""
    f = check_same_bits(lambda x: x * USES[use](x.shape[0]), [(ones(n),) for n in (2, 3, 4, 3)])
    assert compiles(f) == 3


def test_one_size_is_fixed_and_the_other_is_not() -> None:
    def f(x: Any) -> Any:
        return sum(x[:, i] for i in range(x.shape[1]))

    calls = [(RNG.standard_normal((n, m), np.float32),) for m in (2, 3) for n in (2, 3, 4, 5)]
    assert compiles(check_same_bits(f, calls)) <= 4


def test_errors_are_those_of_the_call() -> None:
    def f(x: Any) -> Any:
        return x + wf.zeros((x.shape[0] - 3,))

    g = wf.jit(lambda x: x.max(axis=0))
    compiled = wf.jit(f)
    for n in (5, 6):
        with pytest.raises(ShapeError, match=f"sizes {n} and {n - 3} of axis -1"):
            compiled(ones(n))
    for n in (2, 3):
        g(ones(n, 2))
    with pytest.raises(ShapeError, match="no elements"):
        g(ones(0, 2))


def test_sizes_do_not_leave_their_trace() -> None:
    kept: list[Any] = []

    @wf.jit
    def f(x: Any) -> Any:
        kept.append(x.shape[0])
        return x + 1

    f(ones(2))
    f(ones(3))
    assert kept[0] == 2
    with pytest.raises(TraceError, match="used after its trace has ended"):
        int(kept[-1])


def test_what_the_first_call_compiled_is_kept() -> None:
    """The fixed program answers its own size; no program is dropped for another's sake."""
    f = wf.jit(lambda x: x * 2)
    for n in (2, 3, 2, 5):
        f(ones(n))
    assert [entry.shapes for entry in f._dispatcher._entries] == [((2,),), None]  # type: ignore[attr-defined]


def test_the_report_tells_symbols_and_why_others_are_fixed() -> None:
    @wf.jit
    def f(x: Any, state: Any) -> Any:
        return sum(x[:, i] for i in range(x.shape[1])) - x.max() + state["a"] * state["b"]

    state = {"a": ones(), "b": ones()}
    for n, m in ((2, 2), (3, 3), (4, 3), (5, 3)):
        f(ones(n, m), state)
    with pytest.raises(ShapeError, match="max of no elements"):
        f(ones(0, 3), state)
    report = f.cache_report()
    assert [(r.signature, r.symbols, r.constraints, r.misses) for r in report] == [
        ("x: f32[2,2], state['a']: f32[], state['b']: f32[]", (), (), 1),
        ("x: f32[n,3], state['a']: f32[], state['b']: f32[]", ("n",), ("n >= 1",), 0),
    ]
    text = str(report)
    assert "  f(x: f32[n,3], state: 2 leaves)" in text and "for any n where n >= 1" in text
    assert "x.shape[0] is 3, not 2, x.shape[1] is 3, not 2" in text
    assert "fixed: x.shape[1] is 3: " in text and "range(x.shape[1])" in text
    assert str(report[1]).startswith("f(x: f32[n,3], ") and repr(report) == text


LENGTHS = (5, 3, 1, 2, 7, 0, 1, 40, 64, 4, 6, 8, 9, 12, 16, 17, 31, 33, 65, 100)


def attention(q: Any, k: Any, v: Any) -> Any:
    return wf.nn.softmax(q @ wf.matrix_transpose(k) / 8.0) @ v


def with_zeros(*shape: int, dtype: Any = np.float32) -> np.ndarray[Any, Any]:
    """Random values, a third of them zeros of either sign."""
    values = RNG.standard_normal(shape).astype(dtype)
    zeros = RNG.choice(np.array([0.0, -0.0], dtype), shape)
    return np.asarray(np.where(RNG.random(shape) < 0.3, zeros, values))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_attention_of_any_length_is_one_program(threads: int) -> None:
    """A product with one column is a sum of rounded products; with none it is nothing."""
    with knobs.scope(threads=threads):
        scores = [(with_zeros(n, 70), with_zeros(n, 70)) for n in LENGTHS]
        f = check_same_bits(lambda q, k: q @ k.T / 8.0, scores)
        assert compiles(f) == 2 and f.cache_report()[1].constraints == ()
        heads = [tuple(with_zeros(2, n, 70) for _ in range(3)) for n in LENGTHS]
        assert compiles(check_same_bits(attention, heads)) == 2


@pytest.mark.parametrize("function", [wf.nn.softmax, wf.nn.log_softmax])
@pytest.mark.parametrize("axis", [0, 1, (0, 1)])
def test_softmax_of_any_size_is_one_program(function: Any, axis: Any) -> None:
    calls = [(with_zeros(n, m),) for n, m in ((3, 4), (5, 6), (0, 3), (2, 0), (0, 0), (1, 70))]
    f = check_same_bits(lambda x: function(x, axis=axis), calls)
    assert compiles(f) == 2 and f.cache_report()[1].constraints == ()
    check_same_bits(wf.grad(lambda x: wf.sum(function(x, axis=axis) ** 2)), calls)


def test_a_loss_of_no_classes_is_an_error_at_any_size() -> None:
    f = wf.jit(lambda x: wf.nn.cross_entropy(x, wf.zeros(x.shape[0], dtype="int64")))
    for n in (3, 4):
        f(ones(2, n))
    with pytest.raises(ShapeError, match="no classes"):
        f(ones(2, 0))


PRODUCTS: dict[str, tuple[Callable[..., Any], Callable[[int], tuple[Any, ...]]]] = {
    "a layer": (
        lambda x, w, b: (wf.tanh(x @ w + b), wf.sum(x)),
        lambda n: (with_zeros(40, 300), with_zeros(300, n), with_zeros(n)),
    ),
    "a vector": (lambda x, w: x @ w, lambda n: (with_zeros(30), with_zeros(30, n))),
    "long sums": (lambda x, w: x @ w, lambda n: (with_zeros(2, 9000), with_zeros(9000, n))),
    "as long as wide": (lambda x, w: x @ w, lambda n: (with_zeros(2, n), with_zeros(n, n))),
    "many axes": (
        lambda x, y: wf.einsum("bshd,bthd->bhst", x, y),
        lambda n: (with_zeros(2, n, 3, 9, dtype=float), with_zeros(2, n, 3, 9, dtype=float)),
    ),
    "two columns": (
        lambda x, y: wf.einsum("ik,jlk->ijl", x, y),
        lambda n: (with_zeros(n, 9), with_zeros(n, n, 9)),
    ),
    "backwards": (
        lambda x, y: wf.flip(x, axis=1) @ wf.flip(y, axis=0).T,
        lambda n: (with_zeros(n, 33), with_zeros(n, 33)),
    ),
    "integers": (
        lambda x, y: x @ y,
        lambda n: (np.arange(9).reshape(3, 3), np.arange(3 * n).reshape(3, n)),
    ),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_of_any_size_is_one_program(name: str) -> None:
    function, make = PRODUCTS[name]
    sizes = (4, 5, 1, 0, 2, 1, 9, 40)
    assert compiles(check_same_bits(function, [make(n) for n in sizes])) == 2
    if name != "integers":
        loss = wf.value_and_grad(lambda *x: wf.sum(wf.sin(wf.tree.leaves(function(*x))[0])), (0, 1))
        assert compiles(check_same_bits(loss, [make(n) for n in sizes])) == 3  # one column alone


def test_a_column_that_is_multiplied_by_itself_has_the_gradient_of_both_places() -> None:
    """No symbol tells how long the slice is: that it is one row, its product takes for granted."""

    def f(x: Any) -> Any:
        y = x[-2:1:3]
        return wf.sum(y @ y)

    (found,) = wf.jit(wf.grad(f, (0,)), dynamic={"x": {0: "n", 1: "m"}})(3 * ones(1, 1))
    assert_same_bits(found, 6 * ones(1, 1))


def test_sizes_are_bound_by_numbers_in_shapes() -> None:
    def folded(x: Any) -> Any:
        return wf.reshape(x, (3, -1)).reshape((21, 3, 1, 1))

    def outer(x: Any) -> Any:
        padded = wf.pad(x, ((1, 1), (0, 0)), constant_values=1.0)
        return padded + wf.reshape(padded, (20, 1, 1))

    shapes = (3, 7, 3), (7, 1, 9), (9, 7, 1)
    assert compiles(check_same_bits(folded, [(ones(*s),) for s in shapes])) == 2
    assert compiles(check_same_bits(outer, [(ones(*s),) for s in ((3, 4), (2, 5), (8, 2))])) == 2


def test_squeeze_looks_at_the_axes_that_it_is_told() -> None:
    told, asked = (wf.jit(lambda x, axis=axis: wf.squeeze(x, axis) * 2) for axis in (1, None))
    for n in (2, 3, 1):
        assert told(ones(n, 1)).shape == (n,)
        assert asked(ones(n, 1)).shape == ((n,) if n > 1 else ())
    assert compiles(told) == 2 and compiles(asked) == 3


def test_why_a_size_did_not_fit() -> None:
    f = wf.jit(lambda x, y: wf.tensordot(x, y, 0) + wf.zeros((x.shape[0] - 1, 1)).sum())
    for n in (2, 3, 1, 5):
        f(ones(n), ones(n))
    assert "n is 1, m is 1, but m != 1" in f.cache_report()[2].reason
    g = wf.jit(lambda x, y: wf.concat([x, x]) + y)
    for n in (2, 3):
        g(ones(n), ones(2 * n))
    g(ones(3), ones(1))
    assert g.cache_report()[2].reason == "y.shape[0] is 1, not 2*n"


def test_a_transformer_block_of_any_length() -> None:
    parameters = block_parameters(16, RNG)

    def loss(p: Any, x: Any) -> Any:
        return wf.mean(block(p, x) ** 2)

    calls = [(parameters, RNG.standard_normal((n, 16), np.float32)) for n in (6, 3, 17, 2, 40)]
    assert compiles(check_same_bits(block, calls)) == 2
    step = check_same_bits(wf.value_and_grad(loss), calls[:4])
    assert compiles(step) == 2


def test_many_sizes_take_no_memory() -> None:
    f = wf.jit(lambda x, y: wf.tanh(x) @ y + x.shape[0])
    rng = np.random.default_rng(0)
    for n, m in rng.integers(0, 200, (10_000, 2)):
        f(ones(n, m), ones(m, 2))
    assert compiles(f) <= 4 and len(f._dispatcher._entries) <= 4  # type: ignore[attr-defined]


def test_threads_that_trace_at_once_have_their_own_sizes() -> None:
    """8 threads meet new sizes of new functions."""

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(40):
            rows, columns = (int(n) for n in rng.integers(2, 9, 2))
            f = wf.jit(lambda x, y: (x @ y + x.shape[0], y.reshape(y.size) * y.shape[1]))
            for n in (rows, rows + 1, columns, 1):
                x, y = ones(n, columns), ones(columns, n)
                found = f(x, y)
                assert (np.asarray(found[0]) == columns + n).all() and found[1].shape == (y.size,)

    with switching():
        at_once(work, 8)


def test_a_branch_may_not_use_a_size_that_is_constrained() -> None:
    """The checks of its plan find sizes all the same."""

    @wf.jit(dynamic={"x": {0: "n", 1: "m"}})
    def chosen(x: Any) -> Any:
        fifth = x[:, 4]
        return wf.cond(wf.sum(fifth) > 0, lambda: fifth, lambda: fifth / fifth)

    with knobs.scope(verify=1):
        assert np.asarray(chosen(np.ones((2, 5), np.float32))).tolist() == [1, 1]
