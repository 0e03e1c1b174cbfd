"""Products of windows come out where they are wanted, with the bits of before."""

from __future__ import annotations

from functools import partial

import pytest
from tests.compiler.passes.products import ONES, contract, first, last, rewritten, source

from weftc.ir.node import Node
from weftc.ops import TABLE, build
from weftc.passes.place_windows import place_windows

placed = partial(rewritten, place_windows)


def product_of(nodes: list[Node]) -> Node:
    (found,) = (node for node in nodes if node.op.name == "contract")
    return found


IMAGES, WEIGHT = source(0, 2, 4, 9, 7), source(1, 6, 4, 3, 3)
CONVOLUTION = contract(WEIGHT, first(IMAGES), ((1, 2, 3), (1, 4, 5)))


def test_images_are_a_batch_of_the_product() -> None:
    turned = build.transpose(CONVOLUTION, (1, 0, 2, 3))
    nodes = placed(turned, inputs=(IMAGES, WEIGHT))
    assert product_of(nodes).type.shape == (2, 6, 9, 7) and nodes[-1] is product_of(nodes)


def test_groups_are_a_batch_beside_them() -> None:
    images, weight = source(0, 2, 3, 2, 9, 11), source(1, 3, 5, 2, 3, 3)
    windows = TABLE["window"](images, axes=(3, 4), sizes=(3, 3), strides=ONES, dilation=ONES)
    product = contract(weight, windows, ((2, 3, 4), (2, 5, 6)), ((0,), (1,)))
    nodes = placed(build.transpose(product, (2, 0, 1, 3, 4)), inputs=(images, weight))
    assert nodes[-1] is product_of(nodes) and nodes[-1].type.shape == (2, 3, 5, 7, 9)


def test_few_places_are_columns_of_one_product() -> None:
    images = source(0, 20, 4, 3, 4)
    product = contract(WEIGHT, first(images), ((1, 2, 3), (1, 4, 5)))
    nodes = placed(build.transpose(product, (1, 0, 2, 3)), inputs=(images, WEIGHT))
    assert product_of(nodes).type.shape == (6, 20, 3, 4)


def test_only_what_is_wanted_of_a_product_is_computed() -> None:
    turned = build.transpose(CONVOLUTION, (1, 0, 2, 3))
    bounds = {"start": (0, 2, 1, 0), "stop": (2, 6, 9, 7), "step": (1, 3, 2, 1)}
    part = TABLE["slice"](turned, **bounds)
    nodes = placed(part, inputs=(IMAGES, WEIGHT))
    assert product_of(nodes).type.shape == (2, 2, 4, 7)
    nodes = placed(part, turned, inputs=(IMAGES, WEIGHT))
    assert product_of(nodes).type.size == turned.type.size  # it is computed anyway


@pytest.mark.parametrize("is_last", [False, True])
def test_gradients_by_weights_read_along_memory(is_last: bool) -> None:
    """Places are summed over along rows, channels beside one another are columns."""
    if is_last:
        images, g = source(0, 2, 9, 8, 16), source(1, 2, 7, 6, 5)
        product = contract(last(images), g, ((0, 1, 2), (0, 1, 2)))
    else:
        images, g = source(0, 2, 4, 9, 8), source(1, 5, 2, 9, 8)
        product = contract(g, first(images), ((1, 2, 3), (0, 2, 3)))
    found = product_of(placed(product, inputs=(images, g)))
    assert found.type.shape == ((5, 3, 3, 16) if is_last else (4, 3, 3, 5))


def test_what_may_be_the_sum_of_one_column_is_left_alone() -> None:
    pairs = {"batch": ((), ()), "contracted": ((1, 2, 3), (1, 4, 5))}
    product = TABLE["contract"](WEIGHT, first(IMAGES), **pairs, column_sum=True)
    turned = build.transpose(product, (1, 0, 2, 3))
    assert turned in placed(turned, inputs=(IMAGES, WEIGHT))
