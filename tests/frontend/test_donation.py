"""`wf.jit(donate_argnames=)`: results in the memory of arguments that are given up."""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
from tests.threads import at_once

import weft as wf
from weft.errors import CheckError, DonatedError, OutOfBoundsError, UsageError
from weftrt import array

SIZE = 1000


def full(value: float, size: int = SIZE) -> Any:
    """An array with memory of Weft's: `wf.full` shows NumPy's."""
    return wf.asarray(np.full(size, value, "f4"))


def address(given: Any) -> int:
    return int(np.asarray(given).ctypes.data)


def first(given: Any) -> float:
    return float(np.asarray(given).ravel()[0])


@pytest.fixture(autouse=True)
def blocks() -> Iterator[None]:
    """No block is lost, and none is given back twice."""
    gc.collect()
    before = array.pool_stats()["used_blocks"]
    yield
    gc.collect()
    assert array.pool_stats()["used_blocks"] == before


@wf.jit(donate_argnames=("p", "m", "v"))
def adam(p: Any, m: Any, v: Any, g: Any) -> Any:
    m = {k: 0.9 * m[k] + 0.1 * g[k] for k in m}
    v = {k: 0.99 * v[k] + 0.01 * g[k] * g[k] for k in v}
    p = {k: p[k] - 0.1 * m[k] / (wf.sqrt(v[k]) + 1e-3) for k in p}
    return p, m, v


def leaves(tree: Any) -> list[Any]:
    return [np.asarray(leaf) for leaf in wf.tree.leaves(tree)]


def test_a_step_of_training_allocates_nothing() -> None:
    def state() -> Any:
        return tuple({"w": full(x), "b": full(x, 7)} for x in (1.0, 0.0, 0.0))

    gradients = {"w": full(0.5), "b": full(0.25, 7)}
    plain = wf.jit(adam.__wrapped__)
    expected, found = state(), state()
    places = sorted(map(address, wf.tree.leaves(found)))
    for _ in range(4):
        expected, found = plain(*expected, gradients), adam(*found, gradients)
        assert sorted(map(address, wf.tree.leaves(found))) == places
    for one, other in zip(leaves(expected), leaves(found), strict=True):
        np.testing.assert_array_equal(one, other)
    assert first(gradients["w"]) == 0.5
    adam.clear_cache()


def test_a_donated_array_says_who_has_its_elements() -> None:
    f = wf.jit(lambda x: x + 1, donate_argnames="x")
    closed = gone = full(1.0)
    g = wf.jit(lambda y: y * closed)
    assert first(g(full(2.0))) == 2
    assert first(f(gone)) == 2  # given up
    uses: list[Callable[[], Any]] = [
        lambda: gone + 1,
        lambda: gone.sum(),
        lambda: gone[0],
        lambda: gone.reshape((10, 100)),
        lambda: gone.tolist(),
        lambda: np.asarray(gone),
        lambda: np.from_dlpack(gone),
        lambda: memoryview(gone),
        lambda: print(gone),
        lambda: f(gone),
        lambda: wf.jit(lambda x: x * 2)(gone),
        lambda: g(full(2.0)),
        lambda: wf.grad(lambda x: x.sum())(gone),
    ]
    for use in uses:
        with pytest.raises(DonatedError, match=r"test_donation.py:\d+: f\(gone\)\n.*to <lambda>"):
            use()
    assert repr(gone) == "<donated Array, float32[1000]>"
    assert gone.shape == (SIZE,) and gone.dtype is wf.float32


def test_an_array_is_given_up_even_if_no_result_can_take_its_memory() -> None:
    f = wf.jit(lambda x: x.sum(), donate_argnames="x")
    for _ in range(2):
        x = full(1.0)
        used = array.pool_stats()["used_bytes"]
        total = f(x)
        assert array.pool_stats()["used_bytes"] <= used - 4 * SIZE + 64
        assert float(total) == SIZE
        with pytest.raises(DonatedError):
            x.tolist()


def test_memory_that_somebody_sees_is_copied() -> None:
    f = wf.jit(lambda x: x + 1, donate_argnames="x")
    for see in (np.asarray, memoryview, lambda x: wf.reshape(x, (10, 100)), np.from_dlpack):
        x = full(1.0)
        seen = see(x)
        assert first(f(x)) == 2
        assert first(seen) == 1
        with pytest.raises(DonatedError):
            x.tolist()
        del x
        assert first(seen) == 1


class Pair(NamedTuple):
    first: Any
    second: Any


@pytest.mark.parametrize("kind", [list, tuple, lambda items: Pair(*items), lambda i: {"a": [*i]}])
def test_trees_are_donated_whole(kind: Callable[[Any], Any]) -> None:
    f = wf.jit(lambda t, s: (wf.tree.map(lambda x: x * s, t), s + 1), donate_argnames="t")
    for _ in range(2):
        items = [full(1.0), full(2.0)]
        places = list(map(address, items))
        result, _ = f(kind(items), 3.0)
        assert sorted(map(address, wf.tree.leaves(result))) == sorted(places)
        assert list(map(first, wf.tree.leaves(result))) == [3, 6]
        for item in items:
            with pytest.raises(DonatedError):
                item.tolist()


def test_numbers_among_what_is_donated() -> None:
    f = wf.jit(lambda t: {"w": t["w"] + t["n"], "n": t["n"] + 1}, donate_argnames="t")
    state: Any = {"w": full(1.0), "n": 1}
    for expected in (2, 4, 7):
        state = f(state)
        assert first(state["w"]) == expected


PROGRAMS: dict[str, Callable[[Any, Any], Any]] = {
    "a loop": lambda x, y: (wf.fori_loop(0, 5, lambda i, s: s * 0.5 + y, x), x + y),
    "state that changes places": lambda x, y: wf.fori_loop(
        0, 3, lambda i, s: (s[1], s[0] + s[1]), (x, y)
    ),
    "a loop of no turns": lambda x, y: wf.fori_loop(0, 0, lambda i, s: (s[1], s[0]), (x, y)),
    "a while loop": lambda x, y: wf.while_loop(
        lambda s: wf.sum(s[0] * s[0]) > 1e-3, lambda s: (s[0] * 0.5, s[1] + s[0]), (x, y)
    ),
    "branches": lambda x, y: wf.cond(x[0, 0] > 0, lambda: (x + 1, y), lambda: (y, x * 2)),
    "branches that do nothing": lambda x, y: wf.cond(x[0, 0] > 0, lambda: (x, y), lambda: (y, x)),
    "sorting": lambda x, y: (wf.sort(x, axis=-1), wf.argsort(y, axis=-1), y * 2),
    "products": lambda x, y: (x @ y, (x @ y) @ x, wf.exp(y)),
    "arguments in another order": lambda x, y: (y, x),
    "a transpose": lambda x, y: (x.T, y + x.T),
    "an argument twice": lambda x, y: (x, x, y + x),
    "rows in reverse": lambda x, y: (x[::-1] + y, x - y, wf.concat([x, y])),
    "rows": lambda x, y: (wf.nn.softmax(x), y - wf.mean(x, axis=-1, keepdims=True)),
}


@pytest.mark.parametrize("names", ["x", "y", ("x", "y")], ids=str)
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_bits_are_those_without_donation(name: str, names: Any) -> None:
    program = PROGRAMS[name]
    plain, donating = wf.jit(program), wf.jit(program, donate_argnames=names)
    rng = np.random.default_rng(3)
    for size in (5, 100):
        for _ in range(2):
            elements = [rng.standard_normal((size, size)).astype("f4") for _ in range(2)]
            given = {key: wf.asarray(e) for key, e in zip("xy", elements)}
            expected, found = leaves(plain(*elements)), leaves(donating(*given.values()))
            for one, other in zip(expected, found, strict=True):
                np.testing.assert_array_equal(one, other)
            assert [key for key, a in given.items() if array.is_donated(a)] == list(names)


def test_one_array_given_twice() -> None:
    f = wf.jit(lambda x, y: (x + y, x - y), donate_argnames=("x", "y"))
    g = wf.jit(lambda x, y: x + y, donate_argnames="x")
    for _ in range(2):
        x = full(2.0)
        assert list(map(first, f(x, x))) == [4, 0]
        y = full(3.0)
        assert first(g(y, y)) == 6
        for gone in (x, y):
            with pytest.raises(DonatedError):
                gone.tolist()


def test_an_array_that_is_closed_over_too() -> None:
    w = full(3.0)
    f = wf.jit(lambda x: x * w, donate_argnames="x")
    assert first(f(full(1.0))) == 3
    assert first(f(w)) == 9
    with pytest.raises(DonatedError, match=r"f\(w\)"):
        f(full(1.0))
    w = full(4.0)
    assert first(f(full(1.0))) == 4
    w = f(w)
    assert first(w) == 16


def test_what_cannot_be_donated() -> None:
    f = wf.jit(lambda x: x["a"] + 1, donate_argnames="x")
    message = r"x\['a'\] .*is donated, but NumPy keeps the memory.*pass wf.asarray\(x\['a'\]\)"
    f({"a": full(1.0)})
    for _ in range(2):
        with pytest.raises(UsageError, match=message):
            f({"a": np.ones(SIZE, "f4")})
    options: list[tuple[Any, str]] = [
        ("z", "has no parameter 'z' to be donated"),
        (3, "donate_argnames is a name or a tuple of names, not 3"),
    ]
    for option, problem in options:
        with pytest.raises(UsageError, match=problem):
            wf.jit(lambda x: x, donate_argnames=option)
    with pytest.raises(UsageError, match="x is static, so there is nothing to donate"):
        wf.jit(lambda x: x, donate_argnames="x", static_argnames="x")


def test_keywords_and_the_rest() -> None:
    f = wf.jit(lambda *rest, y: (rest[0] + 1, rest[1] + 2, y), donate_argnames=("rest", "y"))
    for _ in range(2):
        x, y = full(1.0), full(2.0)
        f(x, full(0.0), y=y)
        for gone in (x, y):
            with pytest.raises(DonatedError):
                gone.tolist()


def test_a_call_within_a_trace_donates_nothing() -> None:
    inner = wf.jit(lambda x: x + 1, donate_argnames="x")
    outer = wf.jit(lambda x: inner(x) * x)
    x = full(2.0)
    assert first(outer(x)) == first(outer(x)) == 6


def test_any_size() -> None:
    f = wf.jit(lambda x: x + 1, donate_argnames="x")
    for size in (5, 6, 0, 1, 7, 8):
        x = full(1.0, size)
        result = f(x)
        assert result.tolist() == [2.0] * size
        with pytest.raises(DonatedError):
            x.tolist()
    assert len(f.cache_report()) == 2


def test_a_check_that_fails_leaves_arrays_whole_or_in_words() -> None:
    @wf.jit(donate_argnames="p")
    def f(p: Any, good: Any, rows: Any) -> Any:
        wf.debug.check(good, "no good")
        return p + 1, wf.take(p * 2, rows, axis=0)

    rows = wf.asarray([0, 1])
    for _ in range(2):
        for good, index, kind in ((False, 0, CheckError), (True, 5000, OutOfBoundsError)):
            p = full(1.0)
            with pytest.raises(kind):
                f(p, wf.asarray(good), rows + index)
            _whole_or_in_words(p, 1.0)
    assert first(f(full(1.0), wf.asarray(True), rows)[0]) == 2


def _whole_or_in_words(given: Any, value: float) -> None:
    try:
        elements = given.tolist()
    except DonatedError as error:
        assert "test_donation.py" in str(error)
    else:
        assert elements == [value] * len(elements)


@pytest.fixture
def interrupts() -> Iterator[None]:
    """Ctrl-C raises, though it may be ignored here: it is in what runs in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_leaves_arrays_whole_or_in_words(interrupts: None) -> None:
    turns = 200_000

    @wf.jit(donate_argnames="x")
    def f(x: Any) -> Any:
        return wf.fori_loop(0, turns, lambda i, s: wf.sin(s) + 1.0, x)

    x = full(1.0)
    f.lower(x)
    for _ in range(3):
        x = full(1.0)
        timer = threading.Timer(0.2, lambda: signal.raise_signal(signal.SIGINT))
        timer.start()
        try:
            with pytest.raises(KeyboardInterrupt):
                f(x)
                timer.join()
        finally:
            timer.cancel()
        _whole_or_in_words(x, 1.0)


def test_threads_that_donate_to_one_function() -> None:
    f = wf.jit(lambda x: x + 1, donate_argnames="x")

    def run(_: int) -> None:
        x = full(0.0)
        for turn in range(200):
            x = f(x)
            assert x.tolist() == [turn + 1.0] * SIZE

    at_once(run, 4)


def test_an_array_that_two_threads_give_away_is_somebodys() -> None:
    """One of them gets it; the other is told so."""
    f = wf.jit(lambda x: x + 1, donate_argnames="x")
    f(full(0.0))
    for _ in range(50):
        x = full(1.0)

        def give(_: int, x: Any = x) -> float | None:
            try:
                return first(f(x))
            except DonatedError:
                return None

        assert set(at_once(give, 2)) == {2.0, None}


def test_what_is_lowered_knows_what_is_donated() -> None:
    f = wf.jit(lambda x, y: x + y, donate_argnames="y")
    assert f.lower(full(1.0), full(2.0)).program.aliases == ((0, 1),)


class Giving:
    """A tree of one array; taking it apart runs `while_read` first."""

    def __init__(self, value: Any, while_read: Callable[[], Any] = int) -> None:
        self.value = value
        self.while_read = while_read

    def children(self) -> tuple[list[Any], None]:
        self.while_read()
        return [self.value], None


wf.tree.register(Giving, Giving.children, lambda _, children: Giving(*children))


def test_an_argument_that_is_given_away_while_the_next_one_is_read() -> None:
    """Its address was noted already; its memory belongs to others by the time the program runs."""
    give = wf.jit(lambda x: x + 1, donate_argnames="x")
    both = wf.jit(lambda x, tree: x * 2 + tree.value)
    give(full(0.0))
    for _ in range(2):
        assert first(both(full(1.0), Giving(full(0.0)))) == 2
    x = full(1.0)
    kept: list[Any] = []
    with pytest.raises(DonatedError, match="donated to <lambda>"):
        both(x, Giving(full(0.0), lambda: kept.append(give(x)) if not kept else None))
    assert first(kept[0]) == 2
