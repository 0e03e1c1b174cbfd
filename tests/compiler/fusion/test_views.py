"""What a view tells of a read through movement."""

from __future__ import annotations

import pytest
from tests.compiler.schedule.kernels import Inputs
from tests.compiler.schedule.networks import op

from weftc.fusion.views import Access, Way, direct, through
from weftc.ir.node import Node
from weftc.ir.sizes import Shape
from weftc.ops import build


def view(x: Node, *movement: Node) -> Access:
    """How `movement`, one after the other, reads `x`."""
    seen = (direct(x),)
    for node in movement:
        seen = through(node, [seen])
    return seen[0].how


def moved(shape: Shape, *to: Shape) -> Access:
    """Reshapes, and where the number of elements grows, broadcasts over new or stretched axes."""
    x = node = Inputs()(*shape)
    steps: list[Node] = []
    for target in to:
        if node.type.size == _size(target):
            node = build.reshape(node, target)
        else:
            node = build.expand(
                node, target, range(len(target) - len(node.type.shape), len(target))
            )
        steps.append(node)
    return view(x, *steps)


def _size(shape: Shape) -> object:
    return Inputs()(*shape).type.size


def test_a_direct_read_is_all_there_is() -> None:
    seen = direct(Inputs()(2, 1, 3)).how
    assert seen.is_identity and seen.is_flat and seen.is_ordered and seen.is_leading


@pytest.mark.parametrize(("shape", "to"), [((1, 3), (2, 3)), ((3,), (2, 3)), ((1,), (4,))])
def test_a_broadcast_is_neither_identity_nor_flat(shape: Shape, to: Shape) -> None:
    seen = moved(shape, to)
    assert not seen.is_identity and not seen.is_flat


def test_a_reshape_of_a_broadcast_is_not_flat() -> None:
    assert moved((1, 3), (2, 3), (6,)).way is Way.OTHER
    assert moved((2, 3), (6,)).way is Way.FLAT


def test_axes_of_size_one_come_and_go() -> None:
    seen = moved((3, 1), (3,))
    assert seen.is_flat and seen.is_leading and not seen.is_identity


def test_a_transpose_is_not_ordered() -> None:
    x = Inputs()(2, 3)
    seen = view(x, build.transpose(x, (1, 0)))
    assert not seen.is_ordered and not seen.is_leading and not seen.is_flat


def test_rows_lead_and_columns_do_not() -> None:
    x = Inputs()(3)
    rows, columns = build.expand(x, (3, 4), (0,)), build.expand(x, (4, 3), (1,))
    assert view(x, rows).is_leading and not view(x, columns).is_leading
    assert view(x, columns).is_ordered


def test_a_slice_says_nothing() -> None:
    x = Inputs()(5)
    seen = view(x, op("slice", x, start=(1,), stop=(4,), step=(1,)))
    assert not (seen.is_identity or seen.is_flat or seen.is_ordered or seen.is_leading)


def test_the_first_elements_are_not_all() -> None:
    x = Inputs()(5, 4)
    part = op("slice", x, start=(0, 0), stop=(3, 4), step=(1, 1))
    all_ = op("slice", x, start=(0, 0), stop=(5, 4), step=(1, 1))
    assert view(x, part).way is Way.OTHER
    assert view(x, all_).is_identity
