"""Python values that a compiled function reads besides its arguments: never stale where guarded."""

from __future__ import annotations

import copy
import dataclasses
import functools
import types
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import weft as wf

X = np.ones((2, 3), "f4")


def first(result: Any) -> float:
    return float(np.asarray(result).ravel()[0])


def compiles(function: Any) -> int:
    return len(function.cache_report())


VALUES: list[tuple[Any, Any]] = [
    (2.0, 3.0),
    (2, 2.0),
    (1, True),
    (0.0, -0.0),
    ("a", "b"),
    (b"a", b"b"),
    (None, 1),
    ((1, (2.0, "a")), (1, (2.0, "b"))),
    ((1,), (True,)),
    (float("inf"), float("nan")),
    (np.float32(1), np.float32(2)),
    (wf.float32, wf.int32),
    (slice(0, 1), slice(0, 2)),
    ([1.0], [1.0]),
]


@pytest.mark.parametrize("number", range(len(VALUES)))
def test_a_rebound_value_is_traced_again(number: int) -> None:
    before, after = VALUES[number]
    held = before
    seen: list[Any] = []

    @wf.jit
    def f(x: Any) -> Any:
        seen.append(held)
        return x

    f(X)
    f(X)
    assert seen == [before]
    held = after
    f(X)
    assert len(seen) == 2 and type(seen[1]) is type(after)
    assert repr(seen[1]) == repr(after)


@pytest.mark.parametrize("value", [1 << 40, 2.5, float("nan"), "text " * 3, (1, ("a" * 9, 2.5))])
def test_an_equal_value_is_not_traced_again(value: Any) -> None:
    held = value

    @wf.jit
    def f(x: Any) -> Any:
        return x if held is not None else -x

    f(X)
    held = eval(repr(value), {"nan": float("nan")})
    f(X)
    assert compiles(f) == 1


scale: Any = 2.0


def helper(x: Any) -> Any:
    return deeper(x)


def deeper(x: Any) -> Any:
    return x * scale


def default(x: Any, by: Any = 1.0) -> Any:
    return x * by * scale


def recursive(x: Any, n: int) -> Any:
    return x * scale if n == 0 else recursive(x, n - 1)


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any) -> Any:
        return function(*args)

    return call


def unnamed(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args: function(*args)


class Model:
    def __call__(self, x: Any) -> Any:
        return self.method(x)

    def method(self, x: Any) -> Any:
        return x * scale

    @staticmethod
    def static(x: Any) -> Any:
        return x * scale

    @property
    def scale(self) -> Any:
        return scale


model = Model()
functions = [deeper]
named = {"a": deeper}
compiled = wf.jit(deeper)

REACHED: dict[str, Callable[..., Any]] = {
    "itself": deeper,
    "a helper": helper,
    "a lambda": lambda x: (lambda y: y * scale)(x),
    "a lambda in a tree": lambda x: wf.tree.map(lambda y: y * scale, x),
    "default arguments": default,
    "recursion": lambda x: recursive(x, 3),
    "a partial": functools.partial(lambda by, x: x * by * scale, 1.0),
    "a decorated function": wrapped(deeper),
    "a function without a name": unnamed(deeper),
    "a bound method": model.method,
    "a callable object": model,
    "a call of an object": lambda x: model(x),
    "a call of a method": lambda x: model.method(x),
    "a static method": lambda x: Model.static(x),
    "a property": lambda x: x * model.scale,
    "a list of functions": lambda x: functions[0](x),
    "a dict of functions": lambda x: named["a"](x),
    "a compiled function": lambda x: compiled(x),
    "a gradient": wf.grad(lambda x: (x * scale).sum()),
}


@pytest.mark.parametrize("name", REACHED)
def test_a_global_that_is_reached_through(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    f = wf.jit(REACHED[name])
    monkeypatch.setitem(globals(), "scale", 2.0)
    assert first(f(X)) == 2
    monkeypatch.setitem(globals(), "scale", 3.0)
    assert first(f(X)) == 3
    assert f.cache_report()[-1].reason == "the global scale changed"
    assert first(f(X)) == 3 and compiles(f) == 2


def test_a_redefined_helper(monkeypatch: pytest.MonkeyPatch) -> None:
    f = wf.jit(lambda x: helper(x))
    assert first(f(X)) == 2
    monkeypatch.setitem(globals(), "deeper", lambda x: x - scale)
    assert first(f(X)) == -1


def test_a_deleted_global(monkeypatch: pytest.MonkeyPatch) -> None:
    f = wf.jit(lambda x: deeper(x))
    f(X)
    monkeypatch.delitem(globals(), "scale")
    with pytest.raises(NameError, match="scale"):
        f(X)


def test_arrays_are_read_at_each_call() -> None:
    w: Any = np.ones(3, "f4")
    f = wf.jit(lambda x: w + x + 0.0)
    assert first(f(X)) == 2
    w[:] = 5
    assert first(f(X)) == 6 and compiles(f) == 1
    w = np.full(3, 7, "f4")
    assert first(f(X)) == 8 and compiles(f) == 1
    w = wf.asarray(np.full((2, 3), 9, "f4"))
    assert first(f(X)) == 10
    w = np.full(3, 1, "f8")
    assert f(X).dtype is wf.float64


def test_what_is_documented_as_not_seen() -> None:
    """`jit`'s docstring says so; who changes this test changes that text."""
    items = [2.0]
    module = types.ModuleType("module")
    module.rate = 2.0  # type: ignore[attr-defined]

    class Config:
        rate = 2.0

    def f(x: Any) -> Any:
        return x * items[0], x * module.rate, x * Config.rate

    compiled = wf.jit(f)
    assert [first(r) for r in compiled(X)] == [2, 2, 2]
    items[0] = module.rate = Config.rate = 3.0  # type: ignore[attr-defined]
    assert [first(r) for r in compiled(X)] == [2, 2, 2]
    items = [3.0]
    assert [first(r) for r in compiled(X)] == [3, 3, 3]


def test_static_arguments_compare_exactly() -> None:
    seen: list[Any] = []

    @wf.jit(static_argnames="n")
    def f(x: Any, n: Any) -> Any:
        seen.append(n)
        return x

    values: list[Any] = [0.0, -0.0, 0, False, 1, True, 1.0, (1,), (True,), ((0.0,),), ((-0.0,),)]
    for value in (*values, *values, float("nan"), float("nan")):
        f(X, value)
    assert [repr(v) for v in seen] == [*map(repr, values), "nan"]


def test_static_rest() -> None:
    @wf.jit(static_argnames="rest")
    def f(x: Any, *rest: Any) -> Any:
        return x * len(rest) if rest[0] == "count" else x

    assert first(f(X, "count", 2, 3)) == 3 and first(f(X, "no")) == 1


@dataclasses.dataclass(frozen=True)
class Config:
    rate: Any
    inner: Any = None


class Slotted:
    __slots__ = ("rate",)

    def __init__(self, rate: Any) -> None:
        self.rate = rate

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slotted) and bool(self.rate == other.rate)

    def __hash__(self) -> int:
        return hash(self.rate)


class Pair(NamedTuple):
    first: Any
    second: Any


CONFUSED: list[Any] = [
    *(Config(rate) for rate in (1, 1.0, True, 0.0, -0.0)),
    *(Config(0, Config(rate)) for rate in (1, 1.0)),
    *(Config(0, (2, rate)) for rate in (1, 1.0)),
    *(Slotted(rate) for rate in (1, 1.0)),
    *(Pair(0, rate) for rate in (1, 1.0)),
    *(frozenset({rate}) for rate in (1, 1.0)),
    *(complex(0.0, zero) for zero in (0.0, -0.0)),
]


def test_static_values_are_compared_part_by_part() -> None:
    seen: list[Any] = []

    @wf.jit(static_argnames="n")
    def f(x: Any, n: Any) -> Any:
        seen.append(n)
        return x

    for value in (*CONFUSED, *copy.deepcopy(CONFUSED), *reversed(CONFUSED)):
        f(X, value)
    assert list(map(id, seen)) == list(map(id, CONFUSED))


@pytest.mark.parametrize("static", [deeper, helper, functools.partial(default, by=1.0), model])
def test_what_a_static_callable_reads(static: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    f = wf.jit(lambda x, function: function(x), static_argnames="function")
    assert first(f(X, static)) == 2
    monkeypatch.setitem(globals(), "scale", 3.0)
    assert first(f(X, static)) == 3
    assert first(f(X, static)) == 3 and compiles(f) == 2


def program(text: str, **names: Any) -> dict[str, Any]:
    """The globals of a module with this text."""
    space = {"wf": wf, **names}
    exec(text, space)
    return space


def test_names_of_attributes_are_no_globals() -> None:
    space = program("def f(x): return x.T + x.mean()")
    f = wf.jit(space["f"])
    for number in range(3):
        space["T"] = space["mean"] = number
        f(X)
    assert compiles(f) == 1


def test_a_trace_that_changes_what_it_reads() -> None:
    space = program("def f(x):\n    global count\n    count += 1\n    return x * count", count=0)
    f = wf.jit(space["f"])
    assert [first(f(X)) for _ in range(4)] == [1, 2, 3, 4]

    space = program(
        "def f(x):\n    global made\n    made = made or 3.0\n    return x * made", made=None
    )
    f = wf.jit(space["f"])
    assert [first(f(X)) for _ in range(4)] == [3, 3, 3, 3] and compiles(f) == 2


def test_a_name_that_did_not_exist() -> None:
    space = program("def f(x): return x * abs(-2.0)")
    f = wf.jit(space["f"])
    assert first(f(X)) == 2
    space["abs"] = lambda value: value
    assert first(f(X)) == -2
    del space["abs"]
    assert first(f(X)) == 2


def test_another_module_of_the_same_name() -> None:
    modules = [types.ModuleType("settings"), types.ModuleType("settings")]
    for rate, module in enumerate(modules, 2):
        module.rate = float(rate)  # type: ignore[attr-defined]
    space = program("def f(x): return x * settings.rate", settings=modules[0])
    f = wf.jit(space["f"])
    assert first(f(X)) == 2
    space["settings"] = modules[1]
    assert first(f(X)) == 3


def test_a_cell_that_is_filled_later() -> None:
    def outer() -> tuple[Any, Callable[[Any], None]]:
        def f(x: Any) -> Any:
            try:
                return x * later
            except NameError:
                return x

        def fill(value: Any) -> None:
            nonlocal later
            later = value

        later: Any
        return f, fill

    function, fill = outer()
    f = wf.jit(function)
    assert first(f(X)) == 1
    fill(5.0)
    assert first(f(X)) == 5


def closed_over_arrays() -> list[np.ndarray[Any, Any]]:
    whole = np.arange(24, dtype="f4").reshape(4, 6)
    return [
        whole[0, :3].copy(),
        whole[:, :3][2],
        whole[0, ::2],
        whole[::-1, ::-1][0, :3],
        whole.T[:3, 1],
        whole[1, :3].astype(">f4"),
        np.frombuffer(bytearray(b"x" + whole[0, :3].tobytes()), dtype="f4", offset=1),
    ]


@pytest.mark.parametrize("number", range(7))
def test_arrays_of_any_layout_are_read_at_each_call(number: int) -> None:
    w = closed_over_arrays()[number]
    f = wf.jit(lambda x: (x + w, x + w[1]))
    for _ in range(2):
        np.testing.assert_array_equal(np.asarray(f(X)[0]), X + w)
        w += 1
    np.testing.assert_array_equal(np.asarray(f(X)[1]), X + w[1])


COMPUTED: dict[str, Callable[[Any, Any], Any]] = {
    "an array": lambda x, w: x * (w * 2),
    "an array beside the array itself": lambda x, w: x * w + w * 2,
    "a scalar": lambda x, w: x * w.sum(),
    "a scalar beside the array itself": lambda x, w: x * w + w.max(),
    "an element": lambda x, w: x * w[0],
    "a number": lambda x, w: x * float(w[0]),
    "a branch": lambda x, w: x if w[0] > 2 else x * 0,
    "a size": lambda x, w: wf.reshape(x, (int(w[0]), -1)),
    "a copy": lambda x, w: x + wf.asarray(w),
    "a list": lambda x, w: x + wf.asarray(w.tolist()),
    "a view and its sum": lambda x, w: x * w[::-1] + w[::-1].sum(),
}


@pytest.mark.parametrize("layout", range(7))
@pytest.mark.parametrize("name", COMPUTED)
def test_what_numpy_computes_from_an_array_is_not_stale(name: str, layout: int) -> None:
    w = closed_over_arrays()[layout]
    w[:] = [1, 2, 3]
    compute = COMPUTED[name]
    f = wf.jit(lambda x: compute(x, w))
    for elements in ([1, 2, 3], [3, 2, 5], [3, 2, 5], [6, 6, 6]):
        w[:] = elements
        fresh = wf.jit(lambda x: compute(x, w))
        np.testing.assert_array_equal(np.asarray(f(X)), np.asarray(fresh(X)))


def test_contents_are_compared_natively() -> None:
    w = np.arange(24, dtype="f4").reshape(2, 3, 4)[:, ::2, 1:]
    scalar, empty = np.array(2.0), np.zeros((0, 3))
    f = wf.jit(lambda x: x * float(w.sum()) + float(scalar) + empty.size)
    before = first(f(X))
    assert first(f(X)) == before and compiles(f) == 1
    w[1, 1, 2] += 1
    assert first(f(X)) == before + 1 and compiles(f) == 2
    scalar[...] = 3
    assert first(f(X)) == before + 2 and compiles(f) == 3
    reason = f.cache_report()[-1].reason
    assert reason == "an array that NumPy computed with changed"


def scaled(x: Any, by: int = 2, *, more: int = 0) -> Any:
    return x * by + more


CHANGES: list[tuple[str, Any, float]] = [
    ("__code__", (lambda x, by=2, *, more=0: x * 7).__code__, 7.0),
    ("__defaults__", (5,), 5.0),
    ("__kwdefaults__", {"more": 9}, 11.0),
]


@pytest.mark.parametrize("name, value, expected", CHANGES)
def test_a_function_changed_in_place_is_traced_again(
    name: str, value: Any, expected: float
) -> None:
    """As IPython's autoreload does."""
    copied = types.FunctionType(scaled.__code__, globals(), "copied", scaled.__defaults__)
    copied.__kwdefaults__ = {"more": 0}
    f = wf.jit(lambda x: copied(x))
    assert [first(f(X)) for _ in range(3)] == [2.0, 2.0, 2.0]
    assert compiles(f) == 1
    setattr(copied, name, value)
    assert [first(f(X)) for _ in range(3)] == [expected] * 3
    assert compiles(f) == 2
    assert "the function copied changed" in str(f.cache_report()[-1])
