"""vmap: the bits of a loop over the elements, whatever the function does (but for one product of
matrices); trees of axes; errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.bits import assert_same_bits
from tests.frontend.staged import nodes_of, run

import weft as wf
from weft import errors, tree

RNG = np.random.default_rng(21)
X = RNG.standard_normal((5, 4, 3)).astype(np.float32)
W = RNG.standard_normal((3, 2)).astype(np.float32)
COUNTS = np.array([0, 4, 2, 1, 3])
PLACES = RNG.integers(-4, 4, (5, 6))


def stacked(function: Callable[..., Any], *args: Any) -> Any:
    """The loop that a map is: the results for the rows of all arguments, stacked."""
    rows = [run(function, *map(np.asarray, row)) for row in zip(*args, strict=True)]
    return tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *rows)


def assert_maps(function: Callable[..., Any], *args: Any) -> None:
    """The bits of the loop: by the interpreter, for fixed and for any sizes, and natively."""
    expected = stacked(function, *args)
    mapped = wf.vmap(function)
    for found in (run(mapped, *args), run(mapped, *args, symbolic=True), mapped(*args)):
        if found is not None:
            tree.map(lambda a, b: assert_same_bits(np.asarray(a), b), found, expected)


def doubling(x: Any, n: Any) -> Any:
    """Reads an axis up to its end: an element that is done must not read on."""
    start = (wf.asarray(0), wf.asarray(0.0, dtype=wf.float32))
    body = lambda s: (s[0] + 1, s[1] + x[s[0], 0] * 2)  # noqa: E731
    return wf.while_loop(lambda s: s[0] < n, body, start)


def nested_loops(x: Any, n: Any) -> Any:
    inner = lambda i, a: wf.fori_loop(0, i, lambda j, b: b * 0.5 + x[j, 1], a)  # noqa: E731
    return wf.fori_loop(0, n, inner, wf.sum(x))


def guarded_read(x: Any, n: Any) -> Any:
    """The branch that is not taken would read out of bounds."""
    return wf.cond(n < 4, lambda: x[n], lambda: x[0] * 0)


def guarded_loop(x: Any, n: Any) -> Any:
    """The branch that is not taken would never end."""
    grown = lambda: wf.while_loop(lambda i: i != 4, lambda i: i + 2, n)  # noqa: E731
    return wf.cond(n % 2 == 0, grown, lambda: n) + x.astype(wf.int64)[0]


def guarded_by_size(x: Any, n: Any) -> Any:
    """No branch could read or add to an axis of no elements."""
    none = x[:0]
    added = wf.grad(lambda y: wf.sum(y[n] * 2))
    read = lambda: (none[n], none[0 * n + wf.asarray(0)], added(none))  # noqa: E731
    return wf.cond(n > 9, read, lambda: (x[0], x[1], none))


def guarded_write(x: Any, n: Any) -> Any:
    """The branches that are not taken would add out of bounds."""
    added = wf.grad(lambda y: wf.sum(y[5 - n] * y[0]))
    return wf.switch(n, [lambda: x, lambda: wf.flip(x), lambda: added(x)])


def guarded_scan(x: Any, n: Any) -> Any:
    """The branch that is not taken would read out of bounds in every turn."""
    step = lambda a, row: (a * 0.5 + row, a[n] * row)  # noqa: E731
    start = wf.zeros(3, dtype=wf.float32)
    return wf.cond(n < 3, lambda: wf.scan(step, start, x), lambda: (start, x))


ONE: dict[str, Callable[..., Any]] = {
    "elements": lambda x: wf.exp(x) * 2 + x / 3,
    "rows": lambda x: (wf.sum(x, axis=0), wf.mean(x), wf.max(x, axis=1), wf.var(x)),
    "product": lambda x: x @ W,
    "vector": lambda x: (x[0] @ W, x.T @ x[:, 0], x @ W[:, 0], wf.vecdot(x, x)),
    "self product": lambda x: (x @ x.T, wf.einsum("ij,kj->ik", x, x)),
    "captured first": lambda x: wf.matmul(W.T, x.T),
    "softmax": lambda x: wf.nn.softmax(x, axis=0),
    "layer norm": wf.nn.layer_norm,
    "cuts": lambda x: (x[1:, ::-2], x[0], x[..., -1], x[None, 2], x.T.reshape(2, 6)),
    "joins": lambda x: (wf.concat([x, W.T[:, :3]]), wf.stack([x, 2 * x], axis=1)),
    "pads": lambda x: wf.pad(x, ((0, 1), (2, 0))),
    "constant": lambda x: (1.0, wf.arange(3), W, x.shape[0]),
    "where": lambda x: wf.where(x > 0, x, W[0, 0]),
    "order": lambda x: (wf.sort(x, axis=0), wf.argsort(x, descending=True), wf.top_k(x, 2)),
    "places": lambda x: x[np.array([2, 0, 0])],
    "loss": lambda x: wf.nn.cross_entropy(x, np.array([1, 0, 2, 1])),
    "gradient": wf.grad(lambda x: wf.sum(wf.tanh(x @ W) ** 2) + wf.sum(wf.sort(x[:, 0]))),
    "scan": lambda x: wf.scan(lambda a, row: (a + row, wf.sum(a) * row), x[0], x, reverse=True),
    "scan of what is around": lambda x: wf.scan(lambda a, w: (a * w[0], x), x[0, 0], W),
    "tree": lambda x: {"a": x, "b": [wf.sum(x), None]},
}
TWO: dict[str, Callable[..., Any]] = {
    "places of each": lambda x, i: x[i],
    "places in columns": lambda x, i: wf.take(x, i % 3, axis=1),
    "sums at places": wf.grad(lambda x, i: wf.sum(x[i] ** 2)),
    "one place": lambda x, i: (x[i[0]], x[i[0], i[1] % 3]),
}
COUNTED = [
    doubling,
    nested_loops,
    guarded_read,
    guarded_loop,
    guarded_write,
    guarded_scan,
    guarded_by_size,
]


@pytest.mark.parametrize("name", ONE)
def test_function_of_one_array(name: str) -> None:
    assert_maps(ONE[name], X)


@pytest.mark.parametrize("name", TWO)
def test_indices_of_each_element(name: str) -> None:
    assert_maps(TWO[name], X, PLACES)


@pytest.mark.parametrize("function", COUNTED)
def test_elements_go_different_ways(function: Any) -> None:
    assert_maps(function, X, COUNTS)


@pytest.mark.parametrize("name", ["elements", "product", "vector", "cuts", "order", "gradient"])
def test_one_element_and_none(name: str) -> None:
    function = ONE[name]
    assert_maps(function, X[:1])
    of_none = [np.shape(leaf) for leaf in tree.leaves(wf.vmap(function)(X[:0]))]
    assert of_none == [(0, *np.shape(leaf)) for leaf in tree.leaves(run(function, X[0]))]


def test_loop_of_no_elements_ends() -> None:
    assert [leaf.shape for leaf in wf.vmap(doubling)(X[:0], COUNTS[:0])] == [(0,), (0,)]


def test_axes_of_trees() -> None:
    def function(first: Any, second: Any, *, scale: Any) -> Any:
        return {"sum": first["a"] + first["b"], "second": second}, wf.sum(first["a"]) * scale

    first = {"a": X, "b": W[:, 0]}
    axes, scale = ({"a": 1, "b": None}, None), np.arange(4.0)
    mapped = wf.vmap(function, axes, ({"sum": -1, "second": None}, 0))
    found, sums = mapped(first, 2, scale=scale)
    assert_same_bits(np.asarray(found["sum"]), np.moveaxis(X.swapaxes(0, 1) + W[:, 0], 0, -1))
    assert found["second"].shape == ()
    rows = [float(wf.sum(X[:, n])) * scale[n] for n in range(4)]
    assert_same_bits(np.asarray(sums), np.array(rows))


def test_axes_from_the_end_and_those_of_all_arguments() -> None:
    found = wf.vmap(wf.subtract, in_axes=-1, out_axes=1)(X, X[:, :, ::-1])
    assert_same_bits(np.asarray(found), np.stack([X[..., n] - X[..., 2 - n] for n in range(3)], 1))


def test_numbers_and_values_around_are_the_same_for_all() -> None:
    @wf.jit
    def function(x: Any, scale: Any, n: Any) -> Any:
        shift = wf.sum(x)
        return wf.vmap(lambda row, s: row * s + shift + n)(x, scale)

    expected = X * np.float32(2) + np.asarray(wf.sum(X)) + np.float32(3)
    assert_same_bits(np.asarray(function(X, 2.0, 3)), expected)


def test_size_without_a_mapped_argument() -> None:
    assert wf.vmap(lambda: W, axis_size=3)().shape == (3, *W.shape)
    assert wf.vmap(lambda x: x, in_axes=None, out_axes=None, axis_size=3)(W).shape == W.shape
    each = wf.vmap(lambda x: x.sum(), axis_size=5)
    assert each(X).shape == (5,)


def test_maps_of_maps() -> None:
    product = wf.vmap(wf.vmap(lambda a, b: wf.sum(a * b), (None, 0)), (0, None))
    rows = X.reshape(-1, 3)
    expected = [[wf.sum(wf.asarray(a * b)) for b in rows] for a in rows]
    assert_same_bits(np.asarray(product(rows, rows)), np.array(expected, np.float32))
    inner = lambda x, n: wf.vmap(lambda row: doubling(x + row, n))(x)  # noqa: E731
    assert_maps(inner, X, COUNTS)


def test_map_within_a_branch_and_a_loop() -> None:
    def function(x: Any, n: Any) -> Any:
        rows = lambda a: wf.vmap(lambda row: row * n + wf.sum(a))(a)  # noqa: E731
        return wf.fori_loop(0, n, lambda i, a: wf.cond(i > 1, rows, lambda b: b + 1, a), x)

    assert_maps(function, X, COUNTS)


def test_gradients_of_each_and_through_a_map() -> None:
    loss = lambda w, x: wf.sum(wf.tanh(x @ w) ** 2)  # noqa: E731
    each = wf.vmap(wf.grad(loss), in_axes=(None, 0))(W, X)
    assert_same_bits(np.asarray(each), np.stack([run(wf.grad(loss), W, x) for x in X]))
    whole = wf.grad(lambda w: wf.sum(wf.vmap(loss, in_axes=(None, 0))(w, X)))(W)
    np.testing.assert_allclose(np.asarray(whole), np.asarray(each).sum(0), rtol=1e-5)


def test_a_branch_not_taken_has_no_derivative() -> None:
    def chosen(x: Any, which: Any) -> Any:
        deeper = lambda: wf.cond(x > 1, lambda: 1 / (x - 1), lambda: wf.log(x))  # noqa: E731
        return wf.switch(which, [lambda: wf.sqrt(x), lambda: x * 3, deeper])

    x, which = np.array([4.0, 0.0, 1.0, 3.0]), np.array([0, 1, 2, 2])
    whole = lambda x: wf.sum(wf.vmap(chosen)(x, which))  # noqa: E731
    found = run(wf.grad(whole), x)
    assert_same_bits(found, run(wf.vmap(wf.grad(chosen)), x, which))
    assert found.tolist() == [0.25, 3, 1, -0.25]
    along = lambda x: wf.jvp(lambda x: wf.vmap(chosen)(x, which), (x,), (np.ones(4),))[1]  # noqa: E731
    assert run(along, x).tolist() == found.tolist()


def test_pullback_of_a_value_outside() -> None:
    @wf.jit
    def jacobian(x: Any) -> Any:
        _, pull = wf.vjp(lambda x: wf.tanh(x @ W), x)
        return wf.vmap(pull)(wf.eye(2))[0]

    row = X[0, 0]
    expected = (1 - np.tanh(row @ W) ** 2)[:, None] * W.T
    np.testing.assert_allclose(np.asarray(jacobian(row)), expected, rtol=1e-5)


def test_product_of_matrices_is_one_contraction() -> None:
    for function, arrays in ((wf.matmul, (X, W)), (wf.matmul, (X, X.transpose(0, 2, 1)))):
        axes = (0, 0 if arrays[1].ndim == 3 else None)
        ops = [n.op.name for n in nodes_of(wf.vmap(function, axes), *arrays)]
        assert ops.count("contract") == 1
        assert "broadcast" not in ops


def test_product_with_a_column_of_each_has_the_bits_of_the_product_of_matrices() -> None:
    matrix, rows = X[0], X[1]
    function = lambda x: wf.tanh(matrix @ x)  # noqa: E731
    expected = wf.tanh(wf.asarray(rows) @ matrix.T)
    for found in (run(wf.vmap(function), rows), wf.vmap(function)(rows)):
        assert_same_bits(np.asarray(found), np.asarray(expected))
    each = wf.vmap(wf.grad(lambda x: wf.sum(matrix @ x)))(rows)
    np.testing.assert_allclose(np.asarray(each), np.tile(matrix.sum(0), (4, 1)), rtol=1e-6)
    ops = [n.op.name for n in nodes_of(wf.vmap(wf.grad(lambda x: wf.sum(function(x)))), rows)]
    assert ops.count("contract") == 2


def test_products_of_matrices_of_each_keep_their_bits() -> None:
    assert_maps(wf.matmul, X, X[:, 0])
    assert_maps(lambda w: w @ X[0, 0], X)


def test_index_out_of_bounds_is_the_one_of_the_element() -> None:
    places = PLACES.copy()
    places[3, 1] = 9
    with pytest.raises(IndexError, match="9 is out of bounds for axis 0 of size 4"):
        wf.vmap(lambda x, i: x[i])(X, places)


def test_windows_of_three_axes() -> None:
    rng = np.random.default_rng(3)
    x, weight = rng.standard_normal((3, 1, 2, 3, 4, 3)), rng.standard_normal((2, 1, 2, 2, 2))

    def loss(x: Any) -> Any:
        y = wf.nn.conv(x, weight, stride=(1, 2, 1), groups=2)
        return wf.sum(wf.nn.max_pool(y, (2, 1, 1)) ** 2)

    for function in (loss, wf.grad(loss)):
        for index, found in enumerate(np.asarray(wf.vmap(function)(x))):
            assert_same_bits(found, np.asarray(function(x[index])))


def test_value_of_one_element_ends_with_the_map() -> None:
    kept: list[Any] = []

    @wf.jit
    def function(x: Any) -> Any:
        wf.vmap(lambda row: kept.append(row) or row)(x)
        return kept[0] + 1

    with pytest.raises(errors.TraceError, match="used after the trace of <lambda> has ended"):
        function(X)


def failing(function: Callable[..., Any], *args: Any, **how: Any) -> Callable[[], Any]:
    return lambda: wf.vmap(function, **how)(*args)


def identity(x: Any) -> Any:
    return x


MISTAKES: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (failing(wf.add, X, X[:3]), errors.ShapeError,
     "argument 0 has 5 along axis 0, but argument 1 has 3 along axis 0"),
    (failing(identity, {"a": X, "b": W}), errors.ShapeError,
     r"argument 0\['a'\] has 5 along axis 0, but argument 0\['b'\] has 3"),
    (failing(identity, X, axis_size=4), errors.ShapeError,
     "axis_size is 4, but argument 0 has 5 along axis 0"),
    (failing(identity, 1.0), errors.UsageError, "there is nothing to map"),
    (failing(identity, X, in_axes=None), errors.UsageError, "there is nothing to map"),
    (failing(identity, X, in_axes=3), errors.ShapeError,
     r"argument 0 is float32\[5,4,3\], which has no axis 3 to map"),
    (failing(identity, wf.asarray(1.0)), errors.ShapeError,
     r"argument 0 is float32\[\], which has no axis 0 to map; in_axes=None is for what is"),
    (failing(identity, X, in_axes=(0, 0)), errors.UsageError,
     r"in_axes is \(0, 0\); it has one entry for each argument passed by position, which are 1"),
    (failing(identity, X, in_axes=({"a": 0},)), errors.UsageError,
     r"in_axes is \{'a': 0\} for argument 0, which is one array"),
    (failing(identity, [X, X], in_axes=((0, 0),)), errors.UsageError,
     r"in_axes is \(0, 0\) for argument 0, which is \[\*, \*\]"),
    (failing(identity, X, in_axes="x"), errors.UsageError,
     r"in_axes holds axes \(integers\) and None, not 'x'"),
    (failing(identity, X, out_axes=None), errors.UsageError,
     "out_axes is None for the result of identity, which is not the same for all elements"),
    (failing(identity, X, out_axes=3), errors.ShapeError,
     "out_axes is 3 for the result of identity, but with the new axis there are 3"),
    (failing(identity, X, axis_size=-1), errors.UsageError,
     "axis_size is the number of elements, not -1"),
    (failing(lambda x: wf.debug.print("{}", x), X), errors.TraceError,
     r"has an effect \(a print, check or callback\), which cannot be mapped"),
    (failing(lambda x: wf.reshape(x, (1,) * 6 + (4, 3)), X), errors.ShapeError,
     "gives 9 axes, the mapped one included; an array has at most 8"),
    (failing(lambda x: "x", X), errors.TraceError, "<lambda> returns a str"),
    (lambda: wf.vmap(3), errors.UsageError, "vmap takes a function, not 3"),  # type: ignore[arg-type]
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(MISTAKES)))
def test_mistake_is_told_in_words(number: int) -> None:
    call, kind, message = MISTAKES[number]
    with pytest.raises(kind, match=message):
        call()
