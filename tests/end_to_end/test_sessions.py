"""Life in a notebook, a REPL, threads and processes: definitions without files, copies, pickles."""

from __future__ import annotations

import copy
import dataclasses
import linecache
import os
import pickle
from typing import Any, NamedTuple

import numpy as np
import pytest
from tests.threads import at_once

import weft as wf

X = np.ones((2, 3), "f4")


@wf.jit
def doubled(x: Any) -> Any:
    """Twice x."""
    return x * 2


class Layer:
    @wf.jit(static_argnames="self")
    def apply(self, x: Any) -> Any:
        return x * 3


def test_definitions_without_a_file() -> None:
    space: dict[str, Any] = {"wf": wf}
    exec("@wf.jit\ndef f(x, i):\n    y = x + 1\n    return wf.take(y, i, axis=0)", space)
    f = space["f"]
    assert float(f(X, np.array([1]))[0, 0]) == 2
    with pytest.raises(IndexError, match=r"^<string>:4: the index 7 is out of bounds"):
        f(X, np.array([7]))
    assert "<string>:3" in f.explain(X, np.array([1]))
    assert "take" in f.ir(X, np.array([1]))


def test_cells_of_a_notebook() -> None:
    """IPython registers the source of a cell with linecache; messages then show it."""
    source = "def f(x):\n    return x @ x\n"
    name = "<ipython-input-1>"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    space: dict[str, Any] = {}
    exec(compile(source, name, "exec"), space)
    with pytest.raises(wf.errors.ShapeError, match=r"^<ipython-input-1>:2: x @ x\n  matmul: x has"):
        wf.jit(space["f"])(X)
    first = wf.jit(space["f"])
    exec(compile("def f(x):\n    return x + 1\n", name, "exec"), space)
    assert float(wf.jit(space["f"])(X)[0, 0]) == 2
    with pytest.raises(wf.errors.ShapeError):
        first(X)


def test_kinds_of_parameters() -> None:
    @wf.jit
    def f(a: Any, /, b: Any = 2.0, *rest: Any, c: Any, d: Any = 5.0, **others: Any) -> Any:
        return a + b + sum(rest) + c + d + sum(others.values())

    assert float(f(X, c=1.0)[0, 0]) == 9
    assert float(f(X, 3.0, X, X, c=1.0, d=0.0, e=X, g=2.0)[0, 0]) == 10
    assert float(f(X, 3.0, X, X, g=2.0, e=X, d=0.0, c=1.0)[0, 0]) == 10
    assert len(f.cache_report()) == 2


def test_methods() -> None:
    layer = Layer()
    assert float(layer.apply(X)[0, 0]) == 3 and float(Layer.apply(layer, X)[0, 0]) == 3
    plain: Any = type("Plain", (), {"apply": wf.jit(lambda self, x: x)})()
    with pytest.raises(wf.errors.TraceError, match=r"self of <lambda> is a Plain.*tree\.register"):
        plain.apply(X)


class Pair(NamedTuple):
    left: Any
    right: Any


@wf.tree.register
@dataclasses.dataclass
class State:
    weights: Any
    rest: Any


def test_classes_as_trees() -> None:
    @wf.jit
    def f(state: State, pair: Pair) -> Any:
        return State(state.weights * 2, pair.left), Pair(state.rest, {"z": pair.right[0]})

    for _ in range(2):
        state, pair = f(State(X, 1.0), Pair(X, [X]))
        assert type(state) is State and type(pair) is Pair
        assert float(state.weights[0, 0]) == 2 and float(pair.left) == 1
        np.testing.assert_array_equal(np.asarray(pair.right["z"]), X)
    assert len(f.cache_report()) == 1


def test_threads_that_call_first_together() -> None:
    f = wf.jit(lambda x: wf.tanh(x) * 1.2345 + x)
    found = at_once(lambda _: np.asarray(f(X)).tobytes(), 8)
    assert len(set(found)) == 1 and len(f.cache_report()) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_calls_and_compiles() -> None:
    big = np.ones((600, 700), "f4")
    f = wf.jit(lambda x: wf.exp(x) * 2)
    expected = np.asarray(f(big)).tobytes()
    child = os.fork()
    if not child:
        same = np.asarray(f(big)).tobytes() == expected
        fresh = float(wf.jit(lambda x: (x * 3.5).sum())(big)) == 3.5 * big.size
        os._exit(0 if same and fresh else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert np.asarray(f(big)).tobytes() == expected


def test_pickles_of_functions() -> None:
    assert repr(doubled) == "<weft.jit doubled>" and doubled.__doc__ == "Twice x."
    assert copy.copy(doubled) is doubled and copy.deepcopy([doubled])[0] is doubled
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(wf.jit(lambda x: x))
    nameless = wf.jit(Layer().apply.__get__)
    assert repr(nameless).startswith("<weft.jit ")


def test_functions_are_pickled_by_name() -> None:
    """As Python's own functions are; the module must be importable, as weft's own is."""
    from weft import demo

    assert pickle.loads(pickle.dumps(demo.train_step)) is demo.train_step
    assert pickle.loads(pickle.dumps(wf.exp)) is wf.exp
    assert pickle.loads(pickle.dumps(wf.float32)) is wf.float32


def test_copies_of_arrays() -> None:
    array = wf.asarray([[1.5, -0.0], [np.nan, np.inf]])
    for other in (
        copy.copy(array),
        copy.deepcopy({"a": array})["a"],
        pickle.loads(pickle.dumps(array)),
    ):
        assert type(other) is wf.Array and other.dtype is array.dtype
        assert np.asarray(other).tobytes() == np.asarray(array).tobytes()


def test_arrays_in_python() -> None:
    array = wf.asarray([3.0, 1.0, 2.0])
    assert [float(v) for v in sorted(array)] == [1, 2, 3] and float(max(array)) == 3
    assert 2.0 in array and 5.0 not in array
    assert f"{array[0]:.2f} {array} {wf.asarray([1, 2])!r}" == (
        "3.00 [3. 1. 2.] Array([1, 2], dtype=int64)"
    )
    assert (array == array).all() and not (array == 5).any()
    assert (array == None) is False and (array != None) is True  # noqa: E711
    assert (array == "text") is False
    assert [float(v) for v in reversed(array)] == [2, 1, 3]
    first, *rest = array
    assert float(first) == 3 and len(rest) == 2


def test_numpy_functions_on_arrays() -> None:
    array = wf.asarray(X)
    assert float(np.sum(array)) == 6 and float(np.mean(array)) == 1
    assert np.max(array, axis=0).shape == (3,)
    assert np.std(array, axis=1).shape == (2,) and bool(np.all(array))
    np.testing.assert_allclose(array, X)
    assert isinstance(np.float32(2) * array, wf.Array) and isinstance(X @ array.T, wf.Array)
    assert np.stack([array, array]).shape == (2, 2, 3)
