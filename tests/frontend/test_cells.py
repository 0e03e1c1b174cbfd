"""Closed-over arrays: read at each call where they are bound, whatever else is bound to them."""

from __future__ import annotations

import gc
import sys
import threading
import types
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.threads import switching

import weft as wf

X = np.ones((2, 3), "f4")


def full(value: float, shape: tuple[int, ...] = (3,)) -> Any:
    return wf.asarray(np.full(shape, value, "f4"))


def first(result: Any) -> float:
    return float(np.asarray(result).ravel()[0])


def compiles(function: Any) -> int:
    return len(function.cache_report())


def program(text: str, **names: Any) -> dict[str, Any]:
    """The globals of a module with this text."""
    space = {"wf": wf, "np": np, **names}
    exec(text, space)
    return space


def count_slow(function: Any) -> list[Any]:
    """The calls of the slow path from here on."""
    dispatcher, calls = function._dispatcher, []
    before = dispatcher._entry
    dispatcher._entry = lambda call: calls.append(call) or before(call)
    return calls


MAKERS: dict[str, Callable[[float], Any]] = {
    "an Array": full,
    "an ndarray": lambda value: np.full(3, value, "f4"),
    "a strided ndarray": lambda value: np.full((3, 2), value, "f4")[:, 1],
}


@pytest.mark.parametrize("before", MAKERS)
@pytest.mark.parametrize("after", MAKERS)
def test_a_rebound_array_is_read_natively(before: str, after: str) -> None:
    w = MAKERS[before](2.0)
    f = wf.jit(lambda x: x * w)
    assert first(f(X)) == 2
    w = MAKERS[after](1.0)  # NumPy's operators compute with an ndarray that is not read by weft
    assert first(f(X)) == 1
    slow, traced_again = count_slow(f), before == "an Array" and after != before
    for value in (3.0, 4.0, 5.0):
        w = MAKERS[after](value)
        assert first(f(X)) == value
    assert compiles(f) == 1 + traced_again and not slow


def test_numpy_computes_with_an_ndarray_that_follows_an_array() -> None:
    w: Any = wf.asarray([1, 2])
    f = wf.jit(lambda x: x + w / 2)
    assert f(X[0, :2]).dtype is wf.float32
    w = np.array([3, 5])
    assert f(X[0, :2]).dtype is wf.float64
    assert f.cache_report()[-1].reason == "the closed-over w changed to an ndarray, i64[2]"
    w = wf.asarray([1, 2])
    assert f(X[0, :2]).dtype is wf.float32 and compiles(f) == 2


@pytest.mark.parametrize("use", [lambda x, w: wf.reshape(x, w.shape), lambda x, w: x[: w.size]])
def test_an_array_whose_elements_are_not_read(use: Callable[[Any, Any], Any]) -> None:
    w: Any = full(1.0)
    f = wf.jit(lambda x: use(x, w))
    x = full(2.0)
    slow: list[Any] = []
    for value in (1.0, 2.0, 3.0):
        w = full(value)
        assert first(f(x)) == 2
        slow = slow or count_slow(f)
    assert len(slow) == 0 and compiles(f) == 1
    w = np.ones(3, "f4")
    f(x)
    w = wf.zeros((3, 1))
    f(x)
    assert compiles(f) == 3
    w = full(9.0)
    f(x)
    assert compiles(f) == 3


def deep(x: Any) -> Any:
    return deeper(x)


def deeper(x: Any) -> Any:
    return x + shared


shared: Any = 1.0


def test_an_array_that_is_reached_through_globals(monkeypatch: pytest.MonkeyPatch) -> None:
    f = wf.jit(lambda x: (lambda y: deep(y))(x))
    gradient = wf.grad(lambda x: (deep(x) * x).sum())
    for value in (2.0, 5.0, 7.0):
        monkeypatch.setitem(globals(), "shared", full(value))
        assert first(f(X)) == value + 1
        assert first(gradient(X)) == value + 2
    assert compiles(f) == compiles(gradient) == 1


def test_another_type_is_another_entry_and_the_old_one_is_found_again() -> None:
    w: Any = full(2.0)
    f = wf.jit(lambda x: x * w)
    kinds: list[Any] = [
        full(2.0),
        full(3.0, (2, 3)),
        np.full(3, 4.0),
        np.full(3, 5, "i4"),
        full(6.0, (1, 3)),
    ]
    for _ in range(3):
        for kind in kinds:
            w = kind
            assert first(f(X)) == first(kind)
            assert f(X).dtype is (wf.float64 if kind.dtype == np.float64 else wf.float32)
    assert compiles(f) == len(kinds)
    reasons = [record.reason for record in f.cache_report()]
    assert reasons[:2] == ["first call", "the closed-over w changed to f32[2,3]"]


def test_what_is_no_array_any_more() -> None:
    space = program("def f(x): return x if w is None else x * w", w=full(2.0))
    f = wf.jit(space["f"])
    assert first(f(X)) == 2
    space["w"] = None
    assert first(f(X)) == 1
    space["w"] = 5.0
    assert first(f(X)) == 5
    space["w"] = full(3.0)
    assert first(f(X)) == 3 and compiles(f) == 3
    del space["w"]
    with pytest.raises(NameError, match="'w' is not defined"):
        f(X)
    space["w"] = full(4.0)
    assert first(f(X)) == 4 and compiles(f) == 3


@pytest.mark.parametrize("unknown", [np.zeros(3, "G"), np.ma.ones(3), np.zeros(3, "f4,f4")])
def test_an_array_that_weft_does_not_have(unknown: Any) -> None:
    w: Any = full(2.0)
    f = wf.jit(lambda x: x * w)
    f(X)
    w = unknown
    with pytest.raises(
        wf.errors.DTypeError, match=r"test_cells.py:\d+: x \* w\n.*(captured|an oper)"
    ):
        f(X)
    w = full(4.0)
    assert first(f(X)) == 4 and compiles(f) == 1


def test_an_array_that_native_code_cannot_read() -> None:
    w: Any = full(2.0)
    f = wf.jit(lambda x: x * w)
    f(X)
    assert compiles(f) == 1
    for dtype in (">f4", "f4"):
        w = np.full(3, 3.0, dtype)
        assert first(f(X)) == 3
    w = np.full(3, 4.0, "f4").view(type("Own", (np.ndarray,), {}))
    assert first(f(X)) == 4 and compiles(f) == 2


def test_one_array_under_two_names() -> None:
    w = v = full(2.0)
    f = wf.jit(lambda x: x * w + v)
    assert first(f(X)) == 4
    w = v = full(3.0)
    assert first(f(X)) == 6 and compiles(f) == 1
    v = full(10.0)
    assert first(f(X)) == 13 and compiles(f) == 2
    w = full(4.0)
    assert first(f(X)) == 14
    w = v = full(5.0)
    assert first(f(X)) == 10 and compiles(f) == 2


def test_one_array_under_two_names_of_which_one_is_read() -> None:
    w = v = full(2.0)
    f = wf.jit(lambda x: (x * w, v.shape[0])[0])
    assert first(f(X)) == 2
    w = full(3.0)
    assert first(f(X)) == 3
    v = full(3.0)
    assert first(f(X)) == 3


class Holder:
    def __init__(self, array: Any) -> None:
        self.array = array

    def __call__(self, x: Any) -> Any:
        return x + self.array


class Reading:
    """An object of which a property reads a global."""

    @property
    def shared(self) -> Any:
        return shared


def test_an_array_that_a_property_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    reading = Reading()
    f = wf.jit(lambda x: x * reading.shared)
    for value in (2.0, 3.0):
        monkeypatch.setitem(globals(), "shared", full(value))
        assert first(f(X)) == value
    assert compiles(f) == 1


class Slotted:
    __slots__ = ("array",)

    def __init__(self, array: Any) -> None:
        self.array = array


def module(array: Any) -> Any:
    made = types.ModuleType("elsewhere")
    made.array = array  # type: ignore[attr-defined]
    return made


def with_default(array: Any) -> Any:
    return lambda x, by=array: x + by


ELSEWHERE: dict[str, tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]] = {
    "a list": (lambda a: [a], lambda x, h: x + h[0]),
    "a nested dict": (lambda a: {"a": ({"b": a},)}, lambda x, h: x + h["a"][0]["b"]),
    "an attribute": (Holder, lambda x, h: x + h.array),
    "a slot": (Slotted, lambda x, h: x + h.array),
    "a class": (lambda a: type("Own", (), {"array": a}), lambda x, h: x + h.array),
    "a module": (module, lambda x, h: x + h.array),
    "a default": (with_default, lambda x, h: h(x)),
    "a call of an object": (Holder, lambda x, h: h(x)),
    "a bound method": (lambda a: Holder(a).__call__, lambda x, h: h(x)),
    "a closure": (lambda a: lambda x: x + a, lambda x, h: [h][0](x)),
    "a closure in an object": (lambda a: Holder(lambda: a), lambda x, h: x + h.array()),
    "an array of objects": (lambda a: np.array([a, None], object), lambda x, h: x + h[0]),
    "a generator": (lambda a: (a for _ in range(9)), lambda x, h: x + next(h)),
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_an_array_that_can_come_another_way_is_not_taken_for_the_name(name: str) -> None:
    make, use = ELSEWHERE[name]
    w = array = full(2.0)
    holder = make(array)
    f = wf.jit(lambda x: use(x * w, holder))
    assert first(f(X)) == 4
    w = full(3.0)
    assert first(f(X)) == 5
    del array
    w = full(4.0)
    assert first(f(X)) == 6


def test_a_number_of_a_module_beside_an_array_is_looked_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = types.ModuleType("settings")
    vars(settings).update(rate=0.5, name="text", nothing=None)
    monkeypatch.setitem(globals(), "settings", settings)
    weights = np.ones(3)

    def helper(x: Any) -> Any:
        return x * settings.rate if settings.name and settings.nothing is None else x

    found = wf.jit(lambda x: helper(x) * weights)(np.ones(3))
    np.testing.assert_array_equal(np.asarray(found), np.full(3, 0.5))


def test_what_lies_beyond_counting_is_not_taken_for_the_name() -> None:
    w = full(2.0)
    many = [[i] for i in range(30_000)]
    many[0] = w
    f = wf.jit(lambda x: x * w + many[0])
    assert first(f(X)) == 4
    w = full(3.0)
    assert first(f(X)) == 5


def test_arrays_in_containers_are_fixed() -> None:
    """`jit`'s docstring says so; who changes this test changes that text."""
    holder, items = Holder(full(2.0)), [full(10.0)]
    f = wf.jit(lambda x: x * holder.array + items[0])
    assert first(f(X)) == 12
    holder.array, items[0] = full(3.0), full(20.0)
    assert first(f(X)) == 12
    items = [full(30.0)]
    assert first(f(X)) == 33


READ: dict[str, Callable[[Any, Any], Any]] = {
    "NumPy": lambda x, w: x * w + np.asarray(w) * 2,
    "NumPy alone": lambda x, w: x + np.asarray(w) * 2,
    "a copy": lambda x, w: x * w + wf.asarray(np.asarray(w)),
    "copies in a list": lambda x, w: x * w + wf.asarray([w, w])[0],
    "a scalar of NumPy's": lambda x, w: x * w + np.asarray(w)[1],
    "a view": lambda x, w: x * w + np.asarray(w)[::-1],
    "memory": lambda x, w: x * w + np.frombuffer(memoryview(w), "f4"),
}


@pytest.mark.parametrize("kind", ["Array", "ndarray"])
@pytest.mark.parametrize("name", READ)
def test_elements_that_the_trace_looked_at(name: str, kind: str) -> None:
    compute = READ[name]
    w: Any = None
    f = wf.jit(lambda x: compute(x, w))
    for value in (2.0, 3.0, 3.0, 5.0):
        w = np.arange(value, value + 3, dtype="f4")
        w = wf.asarray(w) if kind == "Array" else w
        expected = np.asarray(wf.jit(lambda x, w=w: compute(x, w))(X))
        np.testing.assert_array_equal(np.asarray(f(X)), expected)
        np.testing.assert_array_equal(np.asarray(f(X)), expected)


def test_numbers_that_the_trace_took_from_an_array() -> None:
    w = full(2.0)
    f = wf.jit(lambda x: x * w + w.tolist()[0])
    for value in (2.0, 3.0):
        w = full(value)
        assert first(f(X)) == 2 * value


def test_numbers_taken_from_an_ndarray_that_weft_reads_too_are_not_seen() -> None:
    """`jit`'s docstring says so; who changes this test changes that text."""
    w = np.full(3, 2.0, "f4")
    f = wf.jit(lambda x: x * w + float(w[0]))
    assert first(f(X)) == 4
    w = np.full(3, 3.0, "f4")
    assert first(f(X)) == 5


def test_a_trace_that_rebinds_an_array() -> None:
    text = "def f(x):\n    global w\n    old, w = w, spare\n    return x * old + x * w"
    space = program(text, w=full(2.0), spare=full(3.0))
    f = wf.jit(space["f"])
    assert [first(f(X)) for _ in range(3)] == [5, 6, 6]


def test_an_argument_that_is_the_closed_over_array() -> None:
    w = full(2.0)
    f = wf.jit(lambda x: x * w)
    assert first(f(w)) == 4
    w, argument = full(3.0), w
    assert first(f(argument)) == 6 and compiles(f) == 1


def test_references_are_not_leaked() -> None:
    w = full(2.0)
    f = wf.jit(lambda x: x * w)
    f(X)
    rebound = full(3.0)
    before, w = sys.getrefcount(rebound), rebound
    for _ in range(100):
        f(X)
    assert sys.getrefcount(rebound) == before + 1
    gone = weakref.ref(rebound)
    w = full(4.0)
    del rebound
    assert gone() is None
    f(X)


def test_the_array_of_the_trace_is_not_kept() -> None:
    w = full(2.0)
    gone = weakref.ref(w)
    f = wf.jit(lambda x: x * w)
    f(X)
    w = full(3.0)
    f(X)
    gc.collect()
    assert gone() is None


def test_a_call_holds_the_array_that_it_reads() -> None:
    """The other thread drops the only reference while the program runs."""
    size = 1 << 20
    w: Any = full(1.0, (size,))
    f = wf.jit(lambda x: wf.sum(wf.sin(x * w) + wf.sin(w) - wf.sin(w)))
    x, stop = full(0.0, (size,)), threading.Event()
    f(x)

    def rebind() -> None:
        nonlocal w
        while not stop.is_set():
            w = full(float("nan"), (size,)) if first(w) == 1 else full(1.0, (size,))

    thread = threading.Thread(target=rebind)
    thread.start()
    try:
        found = {str(float(f(x))) for _ in range(60)}
    finally:
        stop.set()
        thread.join()
    assert found <= {"0.0", "nan"}


@switching()
def test_a_name_that_another_thread_rebinds_while_the_function_is_traced() -> None:
    values = (full(2.0), full(3.0), full(4.0, (2, 3)))
    w: Any = values[0]
    stop = threading.Event()

    def toggle() -> None:
        nonlocal w
        while not stop.is_set():
            for value in values:
                w = value

    thread = threading.Thread(target=toggle)
    thread.start()
    made = []
    try:
        for _ in range(40):
            f = wf.jit(lambda x: x * w + w * 0.0)
            made.append(f)
            assert {first(f(X)) for _ in range(5)} <= {2.0, 3.0, 4.0}
    finally:
        stop.set()
        thread.join()
    for f in made:
        for value in values:
            w = value
            assert first(f(X)) == first(value)
