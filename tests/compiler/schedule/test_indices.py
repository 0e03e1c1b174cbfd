"""Index algebra: splits merge again, and what one guard makes valid stays under it."""

from __future__ import annotations

from weftc.ir.sizes import Dim, product
from weftc.loop.build import Builder
from weftc.loop.ir import INDEX, Const, Expr, Scalar, Var, add, apply, const, mul
from weftc.schedule.indices import Indices

FLAT = Var("flat", INDEX)
ROW, COLUMN = Var("row", INDEX), Var("column", INDEX)


def indices() -> Indices:
    return Indices(Builder("test"))


def is_zero(expr: Expr) -> bool:
    return isinstance(expr, Const) and expr.value == 0


def test_a_split_merges_again() -> None:
    made = indices()
    flat = made.intern(FLAT)
    assert made.linearize(made.split(flat, (3, 4, 5)), (3, 4, 5)) is flat


def test_a_split_that_runs_backwards_in_every_axis_merges_again() -> None:
    made = indices()
    rows = Dim.symbol("rows")
    for shape in ((3, 4, 5), (rows, 4)):
        split = zip(made.split(FLAT, shape), shape, strict=True)
        backwards = [apply(Scalar.SUB, made.size(size - 1), part) for part, size in split]
        whole = apply(Scalar.SUB, made.size(product(shape) - 1), FLAT)
        assert made.linearize(backwards, shape) is made.intern(whole)
        forwards = [backwards[0], *made.split(FLAT, shape)[1:]]
        assert made.linearize(forwards, shape) is not made.intern(whole)


def test_a_linear_index_splits_into_what_it_was_made_of() -> None:
    made = indices()
    row, column = made.intern(ROW), made.intern(COLUMN)
    assert made.split(made.linearize((row, column), (3, 4)), (3, 4)) == (row, column)


def test_an_axis_of_size_one_has_only_element_zero() -> None:
    made = indices()
    shifted = apply(Scalar.SUB, ROW, const(1))  # 0 where a guard holds, anything elsewhere
    at = made.linearize((shifted, COLUMN), (1, 4))
    first, second = made.split(at, (1, 4))
    assert is_zero(first)
    assert second is made.intern(COLUMN)


def test_an_empty_shape_teaches_nothing() -> None:
    made = indices()
    at = made.linearize((ROW, COLUMN), (4, 0))
    assert ROW not in made.split(at, (4, 0))


def test_components_known_under_a_guard_are_not_used_outside_of_it() -> None:
    made = indices()
    made.guard = made.intern(Var("inside", INDEX))
    index = (made.intern(ROW), made.intern(const(5)))  # the guard is false here: 5 is no column
    at = made.linearize(index, (3, 4))
    assert made.split(at, (3, 4)) == index
    made.guard = None
    assert made.split(at, (3, 4)) != index


def test_a_part_of_an_axis_merges_with_the_axes_after_it() -> None:
    """x[8, 28] read as [2, 4, 28], where one loop counts the last two."""
    made = indices()
    group, flat = made.intern(ROW), made.intern(FLAT)
    channel, column = made.split(flat, (4, 28))
    axis = made.linearize((group, channel), (2, 4))
    at = made.linearize((axis, column), (8, 28))
    assert at is made.intern(add(mul(group, const(4 * 28)), flat))
    shorter = made.linearize((axis, column), (8, 30))
    assert shorter is not made.intern(add(mul(group, const(4 * 30)), flat))
