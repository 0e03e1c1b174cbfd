"""Index maps against NumPy, by brute force: what they read, alone and one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import permutations, product
from math import prod
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.places import Array, inside, read, value

from weftc.ir import sizes
from weftc.ir.index_linear import Axis, Linear, Space
from weftc.ir.index_map import Coverage, Guard, IndexMap
from weftc.ir.sizes import Dim, Shape, Size

SHAPES = [shape for rank in range(4) for shape in product(range(4), repeat=rank)]
N, M = Dim.symbol("n"), Dim.symbol("m")
FILL = -1

Move: TypeAlias = "tuple[IndexMap, Callable[[Array], Array]]"


# ---------------------------------------------------------------------------------------------
# Movement as maps and as NumPy does it
# ---------------------------------------------------------------------------------------------


def transposed(shape: Shape, permutation: Sequence[int]) -> Move:
    result = Space(tuple(shape[a] for a in permutation))
    axes = [result.axis(permutation.index(a)) for a in range(len(shape))]
    return IndexMap.made(result.shape, shape, axes), lambda x: x.transpose(permutation)


def flipped(shape: Shape, axis: int) -> Move:
    space = Space(shape)
    axes = list(space.index)
    axes[axis] = space.plus(Linear(shape[axis] - 1), axes[axis].scaled(-1))
    return IndexMap.made(shape, shape, axes), lambda x: np.flip(x, axis)


def sliced(shape: Shape, axis: int, start: Size, count: Size, step: int) -> Move:
    space = Space((*shape[:axis], count, *shape[axis + 1 :]))
    axes = list(space.index)
    axes[axis] = space.plus(Linear(start), axes[axis].scaled(step))

    def cut(x: Array) -> Array:
        places = slice(start, None, step)
        return x[(slice(None),) * axis + (places,)].take(range(count), axis)  # type: ignore[arg-type]

    is_all = start == 0 and step == 1 and count == shape[axis]
    coverage = Coverage.ALL if is_all else Coverage.SOME
    return IndexMap.made(space.shape, shape, axes, coverage=coverage), cut


def reshaped(shape: Shape, result: Shape) -> Move:
    space = Space(result)
    position = space.position(space.index, result)
    axes = []
    for axis, size in enumerate(shape):
        axes.append(space.part(position, sizes.product(shape[axis + 1 :]), size if axis else None))
    return IndexMap.made(result, shape, axes), lambda x: x.reshape(result)


def stretched(shape: Shape, size: Size) -> Move:
    """A new first axis."""
    space = Space((size, *shape))
    axes = [space.axis(a + 1) for a in range(len(shape))]
    return IndexMap.made(space.shape, shape, axes), lambda x: np.broadcast_to(x, (size, *x.shape))


def padded(shape: Shape, axis: int, low: int, high: int, interior: int) -> Move:
    step, size = interior + 1, shape[axis]
    spread = 0 if size == 0 else (size - 1) * step + 1
    space = Space((*shape[:axis], low + spread + high, *shape[axis + 1 :]))
    axes = list(space.index)
    place = space.plus(axes[axis], Linear(-low))
    axes[axis] = space.part(place, step)
    guards = Guard(place, spread), Guard(space.part(place, 1, step), 1)

    def extend(x: Array) -> Array:
        result = np.full(space.shape, FILL, x.dtype)  # type: ignore[arg-type]
        if x.size:
            places = slice(low, low + spread, step)  # type: ignore[misc]
            result[(slice(None),) * axis + (places,)] = x
        return result

    return IndexMap.made(space.shape, shape, axes, guards), extend


def moves(shape: tuple[int, ...]) -> Iterator[Move]:
    """Some movement of each kind."""
    for permutation in permutations(range(len(shape))):
        yield transposed(shape, permutation)
    for axis, size in enumerate(shape):
        yield flipped(shape, axis)
        for start in range(min(size + 1, 2)):
            for step in (1, 2):
                yield sliced(shape, axis, start, max(0, -(-(size - start) // step)), step)
        yield padded(shape, axis, 1, 0, 0)
        yield padded(shape, axis, 0, 2, 1)
        yield padded(shape, axis, 1, 1, 2)
    for result in {
        (prod(shape),),
        shape[::-1],
        (*shape[:1], 1, *shape[1:]),
        (1, *shape),
        *of(shape),
    }:
        yield reshaped(shape, result)
    for size in (0, 1, 2):
        yield stretched(shape, size)


def of(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Shapes of as many elements."""
    total = prod(shape)
    for first in range(1, total + 1):
        if total % first == 0:
            yield (first, total // first)
            yield (
                (2, first, total // first // 2)
                if total // first % 2 == 0
                else (first, total // first)
            )


def filled(shape: Sequence[int]) -> Array:
    return np.arange(prod(shape)).reshape(shape)


def check(map_: IndexMap, wanted: Array, operand: Array) -> None:
    np.testing.assert_array_equal(read(map_, operand, {}, FILL), wanted, err_msg=str(map_))


# ---------------------------------------------------------------------------------------------
# Reading
# ---------------------------------------------------------------------------------------------


def test_maps_read_what_numpy_reads_and_so_do_two() -> None:
    random = np.random.default_rng(3)
    for shape in SHAPES:
        x = filled(shape)
        for map_, move in moves(shape):
            once = move(x)
            check(map_, once, x)
            after = list(moves(once.shape))
            for number in random.choice(len(after), min(len(after), 2), replace=False):
                other, move_on = after[number]
                check(other.then(map_), move_on(once), x)


@settings(deadline=None)
@given(st.data())
def test_chains_of_movement(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.sampled_from([1, 2, 3, 4, 6]), max_size=3)))
    x = wanted = filled(shape)
    map_ = IndexMap.identity(shape)
    for _ in range(data.draw(st.integers(1, 5))):
        found = list(moves(wanted.shape))
        following, move = found[data.draw(st.integers(0, len(found) - 1))]
        wanted, map_ = move(wanted), following.then(map_)
        if not 0 < wanted.size < 5000:
            break
        assert np.isin(x, wanted).all() or map_.coverage is Coverage.SOME
    check(map_, wanted, x)
    flat = value(map_.flat, list(np.indices(wanted.shape)), {})
    held = inside(map_, {})
    np.testing.assert_array_equal(x.reshape(-1)[np.where(held, flat, 0)][held], wanted[held])


def symbolic() -> list[Move]:
    """Movement whose sizes depend on n >= 1 and m >= 1."""
    shape = (N, 4, M)
    return [
        transposed(shape, (2, 0, 1)),
        flipped(shape, 0),
        reshaped(shape, (N * 4, M)),
        reshaped(shape, (4 * N * M,)),
        reshaped(shape, (2, 2 * N * M)),
        reshaped((N * M, 4), (M, N, 2, 2)),
        reshaped((N * M, 4), (2 * N, 2 * M)),
        stretched(shape, M + 1),
        sliced((N + 3, M), 0, N, 3, 1),
        sliced((2 * N, M), 0, 1, N, 2),
    ]


def test_symbolic_maps_by_substitution() -> None:
    for map_, _ in symbolic():
        for n, m in product((1, 2, 3), repeat=2):
            given_sizes = {"n": n, "m": m}
            operand = filled(sizes.concrete_shape(map_.operand, given_sizes))
            found = read(map_, operand, given_sizes, FILL)
            flat = value(map_.flat, list(np.indices(found.shape)), given_sizes)
            np.testing.assert_array_equal(operand.reshape(-1)[flat], found, err_msg=str(map_))


def test_symbolic_maps_one_after_the_other() -> None:
    chains = [
        [reshaped((N, 4, M), (4 * N, M)), transposed((4 * N, M), (1, 0))],
        [transposed((N, M), (1, 0)), reshaped((M, N), (N * M,)), reshaped((N * M,), (N, M))],
        [flipped((N, M), 1), reshaped((N, M), (N * M,)), sliced((N * M,), 0, 0, N, 1)],
        [reshaped((N * M,), (N, M)), stretched((N, M), 2), reshaped((2, N, M), (2 * N, M))],
    ]
    for chain in chains:
        (whole, _), *others = chain
        for map_, _ in others:
            whole = map_.then(whole)
        for n, m in product((1, 2, 3), repeat=2):
            given_sizes = {"n": n, "m": m}
            wanted = operand = filled(sizes.concrete_shape(whole.operand, given_sizes))
            for map_, _ in chain:
                wanted = read(map_, wanted, given_sizes, FILL)
            np.testing.assert_array_equal(read(whole, operand, given_sizes, FILL), wanted)


# ---------------------------------------------------------------------------------------------
# Normal form
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "between"),
    [
        ((2, 3, 4), (24,)),
        ((2, 6), (4, 3)),
        ((6, 4), (3, 8)),
        ((6, 4), (2, 3, 2, 2)),
        ((N, 4), (4 * N,)),
        ((N, M, 2), (2 * M * N,)),
        ((N, 6), (N, 2, 3)),
    ],
)
def test_a_reshape_there_and_back_is_nothing(shape: Shape, between: Shape) -> None:
    there, back = reshaped(shape, between)[0], reshaped(between, shape)[0]
    assert back.then(there).is_identity
    assert there.then(back).is_identity


@pytest.mark.parametrize(
    ("shape", "result", "divides"),
    [
        ((12, 5), (3, 4, 5), False),
        ((3, 4, 5), (12, 5), True),
        ((3, 1, 4), (1, 3, 4, 1), False),
        ((N * 4, M), (N, 4, M), False),
        ((N, M), (N * M,), True),
        ((6, 4), (2, 3, 2, 2), False),
        ((4, 3), (2, 6), True),
    ],
)
def test_a_reshape_divides_where_an_axis_is_split(
    shape: Shape, result: Shape, divides: bool
) -> None:
    map_, _ = reshaped(shape, result)
    assert map_.splits == divides
    assert not map_.flat.divides
    whole = Space(result)
    assert map_.flat == whole.position(whole.index, result)


def test_parts_of_one_axis_are_written_as_they_are() -> None:
    map_ = IndexMap.reshape((12, 5), (3, 4, 5))
    assert str(map_) == "[12, 5] -> [3, 4, 5]: ((i0)//4, (i0)%4, i1)"
    map_, _ = padded((3,), 0, 1, 1, 1)
    assert (
        str(map_) == "[7] -> [3]: ((i0 + -1)//2) where 0 <= i0 + -1 < 5 where 0 <= (i0 + -1)%2 < 1"
    )


def test_a_remainder_stays_where_the_range_does_not_allow_to_drop_it() -> None:
    space = Space((6,))
    assert space.part(space.axis(0), 2, 3) == space.part(space.axis(0), 2)
    assert space.part(space.axis(0), 2, 2) != space.part(space.axis(0), 2)
    assert Space((N,)).part(Linear(0, ((Axis(0), 1),)), 2, N).divides


def test_guards_that_always_hold_are_dropped_and_others_are_not() -> None:
    assert not padded((3,), 0, 0, 0, 0)[0].guards
    assert len(padded((3,), 0, 1, 0, 0)[0].guards) == 1
    cut = sliced((5,), 0, 1, 3, 1)[0]
    assert not cut.then(padded((3,), 0, 1, 1, 0)[0]).guards, "the slice takes the padding off"
    beyond = sliced((5,), 0, 0, 4, 1)[0]
    assert beyond.then(padded((3,), 0, 1, 1, 0)[0]).guards


# ---------------------------------------------------------------------------------------------
# Properties
# ---------------------------------------------------------------------------------------------


def test_followed_axes() -> None:
    assert transposed((2, 3, 4), (2, 0, 1))[0].followed == (1, 2, 0)
    assert stretched((1, 3), 2)[0].followed == (None, 2)
    assert reshaped((3, 1), (3,))[0].followed == (0, None)
    assert reshaped((6,), (2, 3))[0].followed is None
    assert flipped((3,), 0)[0].followed is None
    assert padded((3,), 0, 1, 0, 0)[0].followed is None
    assert sliced((3, 4), 0, 0, 3, 1)[0].followed == (0, 1)
    assert sliced((3, 4), 0, 0, 2, 1)[0].followed is None, "not to the end"
    assert IndexMap.made((3,), (1,), [Linear(0)]).followed == (None,)


def test_identity() -> None:
    assert IndexMap.identity((2, 1, N)).is_identity
    assert not sliced((3,), 0, 0, 2, 1)[0].is_identity
    assert not transposed((3, 3), (1, 0))[0].is_identity


def test_the_same_row_major_position() -> None:
    flat = [
        IndexMap.identity((2, 1, N)),
        reshaped((2, 6), (4, 3))[0],
        reshaped((N, M), (N * M,))[0],
        transposed((3, 1), (1, 0))[0],
        reshaped((6,), (2, 3))[0].then(reshaped((3, 2), (6,))[0]),
        IndexMap.reshape((N, M), (2 * N, 3 * M)),  # of one size by what is assumed
    ]
    other = [
        transposed((2, 3), (1, 0))[0],
        stretched((3,), 2)[0],
        stretched((1,), 0)[0],
        sliced((4,), 0, 0, 3, 1)[0],
        padded((4,), 0, 0, 1, 0)[0],
        flipped((2, 3), 0)[0],
    ]
    assert all(map_.is_flat for map_ in flat)
    assert not any(map_.is_flat for map_ in other)
    back = sliced((5,), 0, 1, 3, 1)[0].then(padded((3,), 0, 1, 1, 0)[0])
    assert back.is_identity, "what a slice leaves of padding is all that was padded"


def test_runs_of_axes_have_no_more_parts_than_they_must() -> None:
    assert str(IndexMap.reshape((6, 4), (2, 3, 2, 2))) == (
        "[6, 4] -> [2, 3, 2, 2]: ((i0)//3, (i0)%3, (i1)//2, (i1)%2)"
    )
    assert not IndexMap.reshape((N, 4), (4 * N,)).splits
    assert IndexMap.reshape((4 * N,), (N, 4)).splits
    assert not padded((3,), 0, 1, 1, 1)[0].splits, "it has a quotient, but no remainder"


def test_strides_are_what_neighbours_differ_by() -> None:
    assert transposed((2, 3, 4), (2, 0, 1))[0].strides == (1, 12, 4)
    assert sliced((N, M), 0, 1, 3, 2)[0].strides == (2 * M, 1)
    assert flipped((3,), 0)[0].strides == (-1,)
    assert reshaped((2, 6), (3, 4))[0].strides == (4, 1)
    tilted = transposed((2, 6), (1, 0))[0]
    assert reshaped((6, 2), (4, 3))[0].then(tilted).strides is None


def test_vectors_copy_along_axes_of_many_neighbours_that_lie_near() -> None:
    assert IndexMap.identity((9, 3, 8)).runs == (2,)
    assert transposed((9, 2), (1, 0))[0].runs == (1,), "two elements apart"
    assert sliced((9, 20), 1, 0, 20, 2)[0].runs == (1,)
    assert transposed((7, N), (1, 0))[0].runs == (0,), "as many as it turns out"
    assert flipped((9,), 0)[0].runs == () and IndexMap.identity((9, 5)).runs == ()
    diagonal = IndexMap.made((6, 7), (12,), [Space((6, 7)).plus(*Space((6, 7)).index)])
    assert diagonal.runs == (0, 1)
    steps = IndexMap.made((7, 6), (19,), [Linear(0, ((Axis(0), 2), (Axis(1), 1)))])
    assert steps.runs == (1, 0), "the nearest first"


def test_where_an_index_needs_no_guard() -> None:
    halves = Space((3, 2))
    first = IndexMap.made((3, 2), (3,), [halves.axis(0)], [Guard(halves.axis(1), 1)])
    assert first.guards and first.is_inside
    assert not padded((3,), 0, 1, 0, 0)[0].is_inside


# ---------------------------------------------------------------------------------------------
# Forms
# ---------------------------------------------------------------------------------------------

_SMALL = st.integers(1, 4)


@settings(deadline=None)
@given(st.data())
def test_normal_forms_have_the_values_of_what_they_are_made_of(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(_SMALL, min_size=1, max_size=3)))
    space, index = Space(shape), list(np.indices(shape))

    def drawn(depth: int) -> tuple[Linear, Any]:
        count = data.draw(st.integers(1, 3))
        forms, values = [], []
        for _ in range(count):
            factor = data.draw(st.sampled_from([1, 1, 2, 3, 4, 6, 12, -1, -2, -3]))
            if depth and data.draw(st.booleans()):
                inner, inner_value = drawn(depth - 1)
                divisor = data.draw(st.sampled_from([1, 2, 3, 4, 6]))
                extent = data.draw(st.sampled_from([None, 1, 2, 3, 4, 6]))
                form, found = space.part(inner, divisor, extent), inner_value // divisor
                found = found if extent is None else found % extent
            else:
                axis = data.draw(st.integers(0, len(shape) - 1))
                form, found = space.axis(axis), index[axis]
            forms.append(form.scaled(factor))
            values.append(found * factor)
        offset = data.draw(st.integers(-5, 5))
        return space.plus(Linear(offset), *forms), sum(values) + offset

    form, wanted = drawn(2)
    np.testing.assert_array_equal(value(form, index, {}) + np.zeros_like(wanted), wanted, str(form))
    low, high = space.bounds(form)
    assert low is None or np.all(wanted >= low)
    assert high is None or np.all(wanted <= high)
