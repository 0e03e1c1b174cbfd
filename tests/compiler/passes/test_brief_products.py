"""Products of windows of few taps are written out, with the bits of before."""

from __future__ import annotations

import pytest
from tests.compiler.passes.products import ONES, contract, first, last, rewritten, source

from weftc.ops import TABLE, build
from weftc.passes.brief_products import write_brief_products
from weftc.passes.place_windows import place_windows


@pytest.mark.parametrize("is_last", [False, True])
def test_where_nothing_is_read_again_the_chain_is_written_out(is_last: bool) -> None:
    """A depthwise convolution: no product, and no copy of its result in another order."""
    images, weight = source(0, 2, 3, 9, 8), source(1, 3, 3, 3)
    if is_last:
        images = source(0, 2, 9, 8, 3)
        windows = last(images)
        product = contract(windows, weight, ((4, 5), (1, 2)), ((3,), (0,)))
        turned = build.transpose(product, (1, 2, 3, 0))
    else:
        windows = TABLE["window"](images, axes=(2, 3), sizes=(3, 3), strides=ONES, dilation=ONES)
        product = contract(weight, windows, ((1, 2), (4, 5)), ((0,), (1,)))
        turned = build.transpose(product, (1, 0, 2, 3))
    for wanted in (turned, product):
        names = [
            node.op.name
            for node in rewritten(write_brief_products, wanted, inputs=(images, weight))
        ]
        assert names.count("fma") == 9 and names[-1] == "fma" and "contract" not in names


def test_what_is_brief_is_not_placed() -> None:
    images, weight = source(0, 2, 1, 9, 8), source(1, 1, 1, 3, 3)
    product = contract(weight, first(images), ((1, 2, 3), (1, 4, 5)))
    turned = build.transpose(product, (1, 0, 2, 3))
    assert turned in rewritten(place_windows, turned, inputs=(images, weight))
    nodes = rewritten(write_brief_products, turned, inputs=(images, weight))
    assert not any(node.op.name == "contract" for node in nodes)


def test_what_is_read_twice_or_has_many_taps_stays_a_product() -> None:
    images = source(0, 2, 4, 9, 7)
    for channels in (6, 1):
        weight = source(1, channels, 4, 3, 3)
        product = contract(weight, first(images), ((1, 2, 3), (1, 4, 5)))
        nodes = rewritten(write_brief_products, product, inputs=(images, weight))
        assert (product in nodes) == (channels == 6)
