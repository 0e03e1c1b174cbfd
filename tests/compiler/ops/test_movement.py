"""Movement ops with symbolic sizes, and their mistakes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.bits import assert_same_bits
from tests.places import moved
from tests.registry.cases import draw

from weftc.ir.node import Node
from weftc.ir.size_functions import floor_div, minimum
from weftc.ir.sizes import Dim
from weftc.ir.types import TensorType
from weftc.ops import get
from weftc.ops.movement import broadcast, concat, flip, pad, reshape, slice, transpose
from weftrt import dtypes
from weftrt.errors import DTypeError, ShapeError

N, M = Dim.symbol("n"), Dim.symbol("m")

PADDED = 3 * N - minimum(N, 1) * 2 + M + 1


def of(*shape: Any, dtype: dtypes.DType = dtypes.float32) -> TensorType:
    return TensorType(dtype, shape)


def test_symbolic_shapes() -> None:
    cases = [
        (reshape, (of(N, 4),), {"shape": (N * 4,)}, of(N * 4)),
        (reshape, (of(N, M * 2),), {"shape": (2, M * N)}, of(2, N * M)),
        (broadcast, (of(1, N),), {"shape": (M, N), "axes": (0, 1)}, of(M, N)),
        (transpose, (of(N, 2, M),), {"permutation": (2, 0, 1)}, of(M, N, 2)),
        (concat, (of(N, 3), of(4, 3), of(M, 3)), {"axis": 0}, of(N + M + 4, 3)),
        (flip, (of(N),), {"axes": (0,)}, of(N)),
        (slice, (of(N * 2),), {"start": (0,), "stop": (N * 2,), "step": (2,)}, of(N)),
        (slice, (of(N + 5),), {"start": (2,), "stop": (N + 4,), "step": (1,)}, of(N + 2)),
        (
            pad,
            (of(N), of()),
            {"low": (1,), "high": (M,), "interior": (2,)},
            of(PADDED),
        ),
        (slice, (of(N),), {"start": (0,), "stop": (N,), "step": (2,)}, of(floor_div(N + 1, 2))),
    ]
    for op, types, attrs, expected in cases:
        assert op.infer(types, attrs) == expected, op


def test_symbolic_slices_and_concats_invert_each_other() -> None:
    def node(index: int, *shape: Any) -> Node:
        return get("input")(index=index, name="x", dtype=dtypes.float32, shape=shape)

    x, y = node(0, N, 2), node(1, M + 1, 2)
    joined = concat(x, y, axis=0)
    assert joined.op.vjp is not None
    assert [p.type for p in joined.op.vjp(joined, joined) if p] == [x.type, y.type]
    part = slice(joined, start=(N, 0), stop=(N + M, 2), step=(1, 1))
    assert part.op.vjp is not None
    (back,) = part.op.vjp(part, part)
    assert back is not None and back.type == joined.type
    strided = slice(node(2, N * 3), start=(1,), stop=(N * 3,), step=(3,))
    assert strided.type.shape == (N,) and strided.op.vjp is not None
    (back,) = strided.op.vjp(strided, strided)
    assert back is not None and back.type.shape == (N * 3,)


def test_mistakes() -> None:
    cases = [
        (reshape, (of(3, 4),), {"shape": (5, 2)}, "12 elements.*10"),
        (reshape, (of(N, 4),), {"shape": (N, 3)}, r"4\*n elements"),
        (broadcast, (of(3),), {"shape": (2, 4), "axes": (1,)}, r"float32\[3\] does not fit"),
        (broadcast, (of(3, 4),), {"shape": (4, 3), "axes": (1, 0)}, "ascending"),
        (transpose, (of(3, 4),), {"permutation": (0, 0)}, "not a permutation"),
        (concat, (of(3, 4), of(3, 5)), {"axis": 0}, "differ in other axes"),
        (slice, (of(3),), {"start": (1,), "stop": (4,), "step": (1,)}, r"1:4:1"),
        (slice, (of(N),), {"start": (0,), "stop": (N + 1,), "step": (2,)}, r"0:n\+1:2"),
        (flip, (of(3),), {"axes": (1,)}, "no axis 1"),
        (pad, (of(3), of()), {"low": (-1,), "high": (0,), "interior": (0,)}, "do not fit"),
    ]
    for op, types, attrs, message in cases:
        with pytest.raises(ShapeError, match=message):
            op.infer(types, attrs)
    with pytest.raises(DTypeError, match="0-d float32"):
        attrs = {"low": (0,), "high": (0,), "interior": (0,)}
        pad.infer((of(3), of(dtype=dtypes.int64)), attrs)


@given(st.data())
def test_reshapes_read_the_right_elements(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.sampled_from([1, 1, 2, 3, 4, 6]), max_size=4))

    def grouped() -> tuple[int, ...]:
        shape: list[int] = []
        for size in sizes:
            choice = data.draw(st.sampled_from(["keep", "merge", "split", "one"]))
            if choice == "merge" and shape:
                shape[-1] *= size
            elif choice == "split" and size % 2 == 0:
                shape += [2, size // 2]
            else:
                shape += [size, 1] if choice == "one" else [size]
        return tuple(shape)

    before, after = grouped(), grouped()
    array = draw(dtypes.float32, before, np.random.default_rng(0))
    x = get("input")(index=0, name="x", dtype=dtypes.float32, shape=before)
    assert_same_bits(moved(reshape(x, shape=after), [array]), array.reshape(after))


def test_merging_axes_needs_no_division() -> None:
    def divides(before: tuple[Any, ...], after: tuple[Any, ...]) -> bool:
        x = get("input")(index=0, name="x", dtype=dtypes.float32, shape=before)
        (map_,) = reshape(x, shape=after).maps
        return map_.splits

    assert not divides((12, 5), (3, 4, 5))
    assert not divides((3, 1, 4), (1, 3, 4, 1))
    assert not divides((N * M, 4), (N, M, 2, 2))
    assert divides((3, 4, 5), (12, 5))
    assert divides((N, M), (N * M,))
