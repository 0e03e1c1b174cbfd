"""Products of windows for the tests of passes, and what a pass makes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tests.bits import assert_same_bits

from weftc.ir.interpret import interpret
from weftc.ir.node import Graph, Node
from weftc.ops import TABLE, build
from weftrt import dtypes

ONES = (1, 1)


def source(index: int, *shape: int) -> Node:
    return TABLE["input"](index=index, name=f"x{index}", dtype=dtypes.float32, shape=shape)


def first(images: Node) -> Node:
    """Windows of images, channels first: (n, c, y, x, 3, 3)."""
    zero, width, none = build.zero(dtypes.float32), (0, 0, 1, 1), (0,) * 4
    padded = TABLE["pad"](images, zero, low=width, high=width, interior=none)
    return TABLE["window"](padded, axes=(2, 3), sizes=(3, 3), strides=ONES, dilation=ONES)


def last(images: Node) -> Node:
    """The same, channels last: (n, y, x, c, 3, 3)."""
    return TABLE["window"](images, axes=(1, 2), sizes=(3, 3), strides=ONES, dilation=ONES)


def contract(a: Node, b: Node, contracted: Any, batch: Any = ((), ())) -> Node:
    return TABLE["contract"](a, b, batch=batch, contracted=contracted)


def rewritten(
    run: Callable[[Graph], Graph], *outputs: Node, inputs: tuple[Node, ...]
) -> list[Node]:
    """The nodes of the graph after a pass, whose outputs keep their bits."""
    graph = Graph("products", inputs, outputs)
    found = run(graph)
    random = np.random.default_rng(0)
    arrays = [random.standard_normal(x.type.shape).astype("f4") for x in inputs]  # type: ignore[arg-type]
    for new, old in zip(interpret(found, arrays), interpret(graph, arrays)):
        assert_same_bits(new, old)
    return found.nodes()
