"""Reading through a reshape: which indices need a division, and which do not."""

from __future__ import annotations

import pytest

from weftc.fusion.kernel import Kernel, KernelKind
from weftc.loop.build import Builder
from weftc.loop.ir import INDEX, Op, Scalar, Var
from weftc.loop.walk import postorder
from weftc.ops.movement import reshape
from weftc.ops.source import input
from weftc.schedule.pull import Puller
from weftrt import dtypes

Sizes = tuple[int, ...]


def _divisions(before: Sizes, after: Sizes) -> set[Scalar]:
    """The divisions in the index of `before` for an index of `after`."""
    x = input(index=0, name="x", dtype=dtypes.float32, shape=before)
    y = reshape(x, shape=after)
    puller = Puller(Kernel(KernelKind.POINTWISE, (y,), (x,), (y,)), Builder("f"))
    index = tuple(Var(f"i{axis}", INDEX) for axis in range(len(after)))
    found = {
        node.op
        for place in puller.reshaped(index, after, before)
        for node in postorder(place, set())
        if isinstance(node, Op)
    }
    return found & {Scalar.TDIV, Scalar.TREM}


@pytest.mark.parametrize(
    ("before", "after"),
    [((12, 5), (3, 4, 5)), ((3, 1, 4), (1, 3, 4, 1)), ((2, 12), (2, 3, 4)), ((6,), (1, 6))],
)
def test_merging_axes_needs_no_division(before: Sizes, after: Sizes) -> None:
    assert not _divisions(before, after)


def test_splitting_an_axis_does() -> None:
    assert _divisions((3, 4), (12,))
