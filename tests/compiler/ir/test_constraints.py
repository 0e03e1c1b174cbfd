"""What is assumed of sizes: shown, recorded, or refused."""

from __future__ import annotations

from weftc.ir.constraints import (
    Assumptions,
    AtLeast,
    AtMost,
    Differs,
    Divides,
    Equal,
    assume,
    assume_equal,
    assume_is_one,
    assuming,
    holds,
    solved,
)
from weftc.ir.parse import parse_graph
from weftc.ir.print import print_graph
from weftc.ir.size_functions import floor_div, minimum
from weftc.ir.sizes import Dim

N, M, K = map(Dim.symbol, "nmk")


def test_what_holds_for_all_sizes_is_not_recorded() -> None:
    assumptions = Assumptions(values={"n": 5, "m": 5})
    with assuming(assumptions):
        assert assume(AtLeast(N, 0))
        assert assume(AtMost(minimum(N, 4), N))
        assert assume(Divides(4, N * 8))
        assert assume_equal(N + M, M + N)
    assert not assumptions.recorded


def test_what_holds_for_this_call_is_recorded_once() -> None:
    assumptions = Assumptions(values={"n": 6, "m": 6})
    with assuming(assumptions):
        assert assume_equal(N, M)
        assert assume_equal(M, N)
        assert assume(AtLeast(N, 2))
        assert assume(AtLeast(N * 3, 4))
        assert assume(Divides(3, N))
        assert not assume(Divides(4, N))
        assert not assume(AtMost(N, 5))
    assert list(map(str, assumptions.recorded)) == ["n == m", "n >= 2", "n % 3 == 0"]
    assert all(holds(c, {"n": 6, "m": 6}) for c in assumptions.recorded)


def test_sums_of_equalities_follow_from_them() -> None:
    third = floor_div(N * M, 3)
    assumptions = Assumptions([Divides(3, N * M), Equal(3 * third, 63), Equal(2 * K, N + 4)])
    assert assumptions.shows(Equal(N * M, 63))
    assert assumptions.shows(Equal(third, 21))
    assert assumptions.shows(Equal(N + N * M, 2 * K + 59))
    assert not assumptions.shows(Equal(N * M, 62))
    assert not assumptions.shows(Equal(K, 21))


def test_sizes_that_differ() -> None:
    """Whether a size is 1 is told apart from all others, 0 among them."""
    assert [size for size in range(4) if holds(Differs(N, 1), {"n": size})] == [0, 2, 3]
    for value, recorded in ((0, "n != 1"), (5, "n != 1"), (1, "n == 1")):
        assumptions = Assumptions(values={"n": value})
        with assuming(assumptions):
            assert assume_is_one(N) == (value == 1)
            assert assume_is_one(N) == (value == 1)
        assert list(map(str, assumptions.recorded)) == [recorded]
    assert Assumptions([AtLeast(N, 2)]).shows(Differs(N, 1))
    graph = parse_graph("graph g\n  where n != 1, m >= n\n  return")
    assert graph.constraints == (Differs(N, 1), AtLeast(M, N))
    assert parse_graph(print_graph(graph)).constraints == graph.constraints


def test_without_a_trace_only_what_can_be_refuted_is_refused() -> None:
    assert not assume_equal(N, M)
    assert assume(AtMost(N, M))
    assert not assume(AtLeast(N, N + 1))
    with assuming(Assumptions([Equal(N, M)])):
        assert assume_equal(N, M)
        assert not assume_equal(N, K)


def test_inequalities_are_of_whole_numbers() -> None:
    assumptions = Assumptions([AtLeast(N * 3, 1), AtMost(M * 4, 7)], strict=True)
    assert assumptions.shows(AtLeast(N, 1))
    assert assumptions.shows(AtMost(M, 1))
    assert not assumptions.shows(AtLeast(N, 2))


def test_of_inequalities_that_differ_by_a_constant_the_tightest_counts() -> None:
    """A loop over elements asks for n >= 1, n >= 2 ...: proofs need no more than the last."""
    assumptions = Assumptions(values={"n": 1000, "m": 7})
    for bound in (*range(1, 401), 3):
        assert assumptions.assume(AtLeast(N, bound))
        assert assumptions.assume(AtMost(M, N + 400 - bound))
    assert len(assumptions.recorded) > 400
    assert sorted(map(str, assumptions.needed())) == ["n >= 400", "n >= m"]
    assert assumptions.shows(AtLeast(N, 400)) and assumptions.shows(AtMost(M, N))
    assert not assumptions.shows(AtLeast(N, 401))
    assert not Assumptions([AtLeast(N, 5), AtLeast(N, 3)], strict=True).shows(AtLeast(N, 6))
    assert Assumptions([AtLeast(N, 5), AtLeast(N, 3)], strict=True).shows(AtLeast(N, 5))


def test_a_fixed_size_is_an_equality() -> None:
    assumptions = Assumptions(values={"n": 5})
    assert assumptions.fix(N * 2) == 10
    assert solved(tuple(assumptions.recorded)) == {}
    assert assumptions.fix(N) == 5
    assert solved(tuple(assumptions.recorded)) == {"n": 5}


def test_equalities_are_solved_for_symbols() -> None:
    assert solved([Equal(N, M)]) == {"n": M}
    assert solved([Equal(N + M, K)]) == {"k": N + M}
    assert solved([Equal(K, floor_div(N, 2)), Equal(N, M)]) == {"k": floor_div(M, 2), "n": M}
    assert solved([Equal(N, M), Equal(M, K), Equal(K, 4)]) == {"n": 4, "m": 4, "k": 4}
    assert solved([Equal(N * M, K * K), AtLeast(N, 1)]) == {}


def test_what_is_needed_is_told_once_and_plainly() -> None:
    assumptions = Assumptions(values={"n": 6, "m": 6})
    for constraint in (AtLeast(N, 1), AtLeast(N - 2, 0), AtMost(M * 2, 13), AtMost(N, N + M - 1)):
        assert assumptions.assume(constraint)
    assert list(map(str, assumptions.needed())) == ["n >= 2", "m <= 6", "m >= 1"]
    assert assumptions.assume(Differs(M, 3))
    assert list(map(str, assumptions.needed())) == ["n >= 2", "m <= 6", "m >= 1", "m != 3"]
    assert Assumptions(values={"n": 6}).needed() == ()
