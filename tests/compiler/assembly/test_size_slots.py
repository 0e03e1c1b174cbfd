"""Sizes as expressions over what is read from inputs: their values, and what is checked of them."""

from __future__ import annotations

import itertools

import pytest
from tests.compiler.schedule.kernels import Inputs

from weftc.assembly.size_slots import SizeSlots
from weftc.ir.constraints import AtLeast, Constraint, Divides, Equal, holds
from weftc.ir.size_functions import ceil_div, floor_div, maximum, minimum, mod
from weftc.ir.sizes import Dim, Size, value_of
from weftrt import size_expressions

N, M = Dim.symbol("n"), Dim.symbol("m")
VALUES = [{"n": n, "m": m} for n, m in itertools.product((0, 1, 2, 7, 64), repeat=2)]
SIZES: list[Size] = [
    *(0, 5, N, N + 1, 3 * N - M, N * N * M - 2 * M + 4),
    *(ceil_div(N * 4, 64) * 64, floor_div(N, M), mod(N + M, 3), minimum(N, 2 * M)),
    maximum(floor_div(N + 3, 2), minimum(M, 5)) * N,
]


def slots(*shape: Size) -> SizeSlots:
    """The sizes of a program with an input of this shape."""
    x = Inputs()
    result = SizeSlots()
    result.bind([x(*shape)])
    return result


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_an_expression_has_the_value_of_its_size(size: Size) -> None:
    expression = slots(M, N).expression(size)
    for sizes in VALUES:
        found = size_expressions.evaluate(expression, [sizes["m"], sizes["n"]])
        assert found == value_of(size, sizes)


def test_a_size_has_one_number_and_those_that_are_read_come_first() -> None:
    found = slots(N, M, N, 4)
    assert found.sources == [(0, 0), (0, 1)]
    assert [found.slot(size) for size in (N * 2, M, 4, N * 2, N)] == [2, 1, 3, 2, 0]
    assert found.expressions() == (found.expression(N * 2), (4,))


@pytest.mark.parametrize(
    "constraint", [Equal(N * 2, M + 2), AtLeast(N, 2), AtLeast(M, N), Divides(N, 7)], ids=str
)
def test_a_check_holds_where_its_constraint_does(constraint: Constraint) -> None:
    (check,) = slots(N, M).checks([constraint])
    assert check.text == str(constraint)
    found = [size_expressions.holds(check, [sizes["n"], sizes["m"]]) for sizes in VALUES]
    assert found == [holds(constraint, sizes) for sizes in VALUES]
    assert True in found and False in found


def test_an_axis_that_follows_from_others_is_checked() -> None:
    (check,) = slots(N, N + 1).checks([])
    assert size_expressions.holds(check, [4, 5]) and not size_expressions.holds(check, [4, 4])
