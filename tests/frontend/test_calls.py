"""The call path: one entry however arguments are passed, natively for every kind of tree."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

import weft as wf
from weft import dispatch
from weftrt import knobs
from weftrt.cpu import callable as callables
from weftrt.cpu.native.library import library

X = np.arange(6, dtype="f4").reshape(2, 3)


class Pair(NamedTuple):
    first: Any
    second: Any


class Checked(NamedTuple("Checked", [("only", Any)])):
    def __new__(cls, only: Any) -> Any:
        return super().__new__(cls, only)


@wf.tree.register
@dataclasses.dataclass(frozen=True)
class Weights:
    scale: Any
    shift: Any = 0.0


class Bag:
    def __init__(self, items: list[Any], label: str) -> None:
        self.items, self.label = items, label


wf.tree.register(
    Bag, lambda bag: (bag.items, bag.label), lambda label, items: Bag(list(items), label)
)


@pytest.fixture
def slow(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], list[str]]]:
    """The slow calls so far that were not new, as WEFT_LOG=calls reports them."""
    with knobs.scope(log=frozenset({"calls"})):
        yield lambda: [t for t in capsys.readouterr().err.splitlines() if "a slow call" in t]


def value(result: Any) -> float:
    return float(np.asarray(result).ravel()[-1])


def test_arguments_are_bound_first(slow: Callable[[], list[str]]) -> None:
    @wf.jit
    def f(x: Any, rate: Any = 2.0, /, shift: Any = 0.0, *, flip: Any = 1.0) -> Any:
        return x * rate * flip + shift

    @wf.jit(static_argnames="mode")
    def g(x: Any, rate: Any = 1.0, mode: str = "times") -> Any:
        return x * rate if mode == "times" else x + rate

    for _ in range(2):
        assert [value(f(X, 3.0, 1.0)), value(f(X, 3.0, shift=1.0))] == [16, 16]
        assert value(f(X, shift=1.0)) == 11  # `rate` is not given
        assert value(f(X, flip=2.0)) == 20
    assert len(f.cache_report()) == 3
    for _ in range(2):
        calls = [g(X, 3.0), g(X, rate=3.0), g(x=X, rate=3.0), g(rate=3.0, x=X)]
        assert list(map(value, calls)) == [15] * 4
        assert list(map(value, [g(X, 3.0, "plus"), g(mode="plus", rate=3.0, x=X)])) == [8, 8]
        assert value(g(X, mode="plus")) == 6
    assert len(g.cache_report()) == 3 and slow() == []


def test_wrappers_see_what_was_passed() -> None:
    def inner(x: Any, rate: Any = 1.0) -> Any:
        return x * rate

    @functools.wraps(inner)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return inner(*args, **kwargs) + len(args)

    f = wf.jit(wrapper)
    for _ in range(2):
        assert [value(f(X, 2.0)), value(f(X, rate=2.0)), value(f(x=X))] == [12, 11, 5]
    gradient = wf.grad(lambda x, rate: (x * rate).sum(), argnums=-1)
    assert gradient(X, rate=2.0).shape == (2, 3) and gradient(X, 2.0).shape == ()


def test_wrong_arguments_are_pythons_errors() -> None:
    f = wf.jit(lambda x, rate=1.0: x * rate)
    f(X, 2.0), f(X, rate=2.0)
    with pytest.raises(TypeError, match="multiple values"):
        f(X, 2.0, rate=2.0)
    with pytest.raises(TypeError, match="unexpected keyword"):
        f(X, factor=2.0)


def test_keywords_that_are_not_parameters(slow: Callable[[], list[str]]) -> None:
    f = wf.jit(lambda *xs, **named: sum(xs) + named["b"] - named.get("a", 0.0))
    for _ in range(2):
        assert value(f(X, X, b=X)) == 15 and value(f(X, a=X, b=X)) == 5
        assert value(f(X, b=X, a=X)) == 5
    assert len(f.cache_report()) == 2 and slow() == []


def test_the_order_in_which_a_dict_was_filled(slow: Callable[[], list[str]]) -> None:
    f = wf.jit(lambda d: {"sum": d["a"] - d["b"], "all": wf.stack(list(d.values()))})
    for given in ({"a": X, "b": 2 * X}, {"b": 2 * X, "a": X}) * 2:
        result = f(given)
        assert list(result) == ["sum", "all"] and value(result["sum"]) == -5
        np.testing.assert_array_equal(np.asarray(result["all"]), [X, 2 * X])
    assert len(f.cache_report()) == 1 and slow() == []


STRIDED = {
    "transposed": np.arange(6, dtype="f4").reshape(3, 2).T,
    "every other": np.arange(12, dtype="f8").reshape(2, 6)[:, ::2],
    "backwards": np.arange(6, dtype="i4").reshape(2, 3)[::-1, ::-1],
    "broadcast": np.broadcast_to(np.arange(3, dtype="u1"), (2, 3)),
    "unaligned": np.frombuffer(b"x" + X.tobytes(), dtype="f4", offset=1).reshape(2, 3),
    "a field": np.zeros((2, 3), [("a", "f4"), ("b", "?")])["b"],
    "pickled": pickle.loads(pickle.dumps(X)),
    "long": X.astype("l"),
    "long long": X.astype("q"),
    "unsigned long long": X.astype("Q"),
    "from a buffer": np.asarray(memoryview(X.astype("l"))),
    "deep": np.arange(256, dtype="f4").reshape((2,) * 8).transpose(*range(7, -1, -1)),
}


@pytest.mark.parametrize("name", STRIDED)
def test_strided_arrays_anywhere(name: str, slow: Callable[[], list[str]]) -> None:
    array = STRIDED[name]
    f = wf.jit(lambda d, *, more: (wf.asarray(d["a"][0]), more[0]))
    for _ in range(3):
        for result in f({"a": [array]}, more=(array,)):
            np.testing.assert_array_equal(np.asarray(result), array)
            assert np.asarray(result).dtype is np.dtype(array.dtype.name)
    assert slow() == []


def test_numpy_scalars_anywhere(slow: Callable[[], list[str]]) -> None:
    f = wf.jit(lambda x, p, *, k: x * p.first + p.second[0] * k)
    for p, k in (
        (Pair(2.0, [3]), True),
        (Pair(np.float64(2), [np.int32(3)]), np.True_),
        (Pair(np.float16(2), [np.uint8(3)]), np.bool_(1)),
    ):
        assert value(f(X, p, k=k)) == 13
    assert len(f.cache_report()) == 1 and slow() == []


def test_trees_of_every_kind_go_in_and_out(slow: Callable[[], list[str]]) -> None:
    @wf.jit
    def f(tree: Any) -> Any:
        return wf.tree.map(lambda leaf: leaf * 2, tree)

    def tree(x: Any) -> Any:
        return Pair(Weights(x, {"w": (x, None)}), [Bag([x, Checked(x)], "b"), ()])

    for _ in range(3):
        result = f(tree(X))
        assert wf.tree.structure(result) == wf.tree.structure(tree(X))
        assert all(value(leaf) == 10 for leaf in wf.tree.leaves(result))
        assert type(result) is Pair and type(result.first) is Weights
        assert type(result.second[0]) is Bag and type(result.second[0].items[1]) is Checked
    for label in "cdc":
        assert value(f(Pair(X, Bag([X], label))).second.items[0]) == 10
    assert len(f.cache_report()) == 3 and slow() == []  # the label is part of the structure


def test_classes_are_told_apart() -> None:
    class Other(NamedTuple):
        first: Any
        second: Any

    f = wf.jit(lambda p: p.first if isinstance(p, Other) else p.second)
    assert [value(f(kind(X, 2 * X))) for kind in (Pair, Other, Pair, Other)] == [10, 5, 10, 5]
    with pytest.raises(AttributeError):
        f((X, X))


def test_what_is_slow_says_why(slow: Callable[[], list[str]]) -> None:
    f = wf.jit(lambda x: x)
    swapped = X.astype(">f4")
    deep: Any = X
    for _ in range(40):
        deep = [deep]
    for argument, why in ((swapped, "x is a >f4 ndarray"), (deep, "nested more than 32 deep")):
        f(argument)
        f(argument)
        assert why in slow()[-1]
    f(X)
    assert slow() == []
    text = "text"
    g = wf.jit(lambda x: x if text else -x)
    g(X)
    text = "".join(["te", "xt"])
    g(X)
    assert "the closed-over text is another, equal object" in slow()[0]
    g(X)
    assert slow() == []


def test_a_list_does_not_slow_tuples_down(slow: Callable[[], list[str]]) -> None:
    x = wf.asarray(np.ones((3, 5, 7), "f4"))
    for axis in ([0, 1], (0, 1), [0, 1], (0, 1)):
        assert value(wf.sum(x, axis=axis)) == 15  # type: ignore[arg-type]
    assert slow() == []


@pytest.mark.parametrize("warm", [False, True])
def test_nested_functions_do_not_depend_on_what_ran_before(warm: bool) -> None:
    inner = wf.jit(lambda x: x * 2)
    if warm:
        inner(3), wf.add(3, 3), wf.asarray(X) + X
    f = wf.jit(lambda x: (x * inner(3), inner(x) + 1))
    assert [r.dtype for r in f(np.ones(2, "i4"))] == [wf.int32, wf.int32]


def test_a_trace_is_its_threads_own() -> None:
    inside, done = threading.Event(), threading.Event()
    results: list[Any] = []

    def traced(x: Any) -> Any:
        inside.set()
        done.wait(20)
        return x + 1.0

    thread = threading.Thread(target=lambda: results.append(wf.jit(traced)(X)))
    thread.start()
    assert inside.wait(20)
    other = wf.asarray(X) + X
    assert type(other) is wf.Array and value(other) == 10
    done.set()
    thread.join()
    assert value(results[0]) == 6


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_forked_while_others_trace() -> None:
    inside, done = threading.Event(), threading.Event()

    def traced(x: Any) -> Any:
        inside.set()
        done.wait(20)
        return x + 1.0

    thread = threading.Thread(target=lambda: wf.jit(traced)(X))
    thread.start()
    assert inside.wait(20)
    child = os.fork()
    if not child:
        right = value(wf.asarray(X) + X) == 10 and library().state.traces == 0
        os._exit(0 if right else 1)
    done.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0


def test_an_interrupted_trace_is_closed() -> None:
    def failing(x: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wf.jit(failing)(X)
    assert type(wf.asarray(X) + X) is wf.Array


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs interval timers")
def test_interrupts_leave_no_trace_open() -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    def body(x: Any) -> Any:
        for _ in range(10):
            x = wf.sin(x) + wf.exp(x).sum()
        return x

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for number in range(40):
            with contextlib.suppress(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, 0.0001 + 0.0001 * number)
                wf.jit(body)(X)
                time.sleep(0.1)
            assert library().state.traces == 0 and value(wf.asarray(X) + X) == 10
    finally:
        signal.signal(signal.SIGALRM, before)


def test_an_interrupt_as_soon_as_a_trace_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = callables.trace_opened

    def interrupted() -> None:
        opened()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(callables, "trace_opened", interrupted)
        wf.jit(lambda x: x * 3.0)(X)
    assert library().state.traces == 0 and value(wf.asarray(X) + X) == 10


def test_clear_cache(slow: Callable[[], list[str]]) -> None:
    f = wf.jit(lambda x: x * 1.5)
    for _ in range(2):
        f(X), f(X)
        f.clear_cache()
    assert len(f.cache_report()) == 2
    f(X), f(X)
    assert slow() == []


def test_public_names() -> None:
    names = {name for name in dir(wf.jit(lambda x: x)) if not name.startswith("_")}
    assert names == {"cache_report", "clear_cache", "explain", "ir", "lower"}


def test_entries_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "MOST_ENTRIES", 12)
    f = wf.jit(lambda x: x + 1.0)
    for size in range(2, 40):
        assert f(np.ones(size, "f4")).shape == (size,)
        assert value(f(np.ones(1, "f4"))) == 2
    assert len(f._dispatcher.entries) <= 12  # type: ignore[attr-defined]
    found = [record for record in f.cache_report() if record.signature == "x: f32[1]"]
    assert len(found) <= 1  # it was used all the time


def test_many_shapes_in_any_order(slow: Callable[[], list[str]]) -> None:
    f = wf.jit(lambda x, y: x[0] + y.shape[0], dynamic=False)
    sizes = [(a, b) for a in range(1, 6) for b in range(1, 6)]
    order = np.random.default_rng(0).permutation(len(sizes) * 4)
    for number in order:
        a, b = sizes[number % len(sizes)]
        assert value(f(np.ones(a, "f4"), y=np.zeros((b, a), "f4"))) == 1 + b
    assert len(f.cache_report()) == len(sizes) and slow() == []


def test_many_leaves_on_a_small_stack() -> None:
    f = wf.jit(lambda xs, rate: xs[0] * rate[2999] + xs[2999])
    xs, rate = [X] * 3000, [np.float32(2)] * 3000
    assert value(f(xs, rate)) == 15
    results: list[float] = []
    before = threading.stack_size(64 * 1024)
    try:
        thread = threading.Thread(target=lambda: results.append(value(f(xs, rate))))
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert results == [15]


def test_functions_are_pickled_by_name() -> None:
    assert pickle.loads(pickle.dumps(wf.add)) is wf.add
    assert repr(wf.add) == "<function weft.add>"


def test_strangers_answer_for_themselves() -> None:
    class Stranger:
        def __radd__(self, other: Any) -> str:
            return "mine"

        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]

    x = wf.asarray(X)
    for _ in range(2):
        assert x + Stranger() == "mine" and (x == Stranger()) is True
        assert (x == "text") is False
        assert value(x + X) == 10


@pytest.mark.parametrize("topic", sorted(knobs.LOG_TOPICS - {"calls"}))
def test_every_topic_of_the_log_says_something(
    topic: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rate = 1.25
    with knobs.scope(log=frozenset({topic})):
        wf.jit(lambda x: x * rate + len(topic))(X)
    assert capsys.readouterr().err
