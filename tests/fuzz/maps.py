"""What a map has to give: the bits of a loop over its rows.

But where only the column of a product with one column is mapped, the map is a product of matrices,
which adds up in another order (docs/guide/mapping.md). A program with such products may be off by
roundings, and nothing is said of one that also has steps, which roundings may take.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from tests.bits import assert_same_as_loop
from tests.frontend.staged import Staged
from tests.fuzz.differences import is_float, largest

from weftc.ir.node import Node
from weftc.ops.contraction import sums_column

Array: TypeAlias = "np.ndarray[Any, Any]"

ROUNDINGS = 1e4
"""How many roundings of the largest value in between the two may differ by."""
_STEPS = {"floor", "ceil", "round", "trunc", "sign", "remainder", "floor_divide"}


class Rows:
    """What the rows of a map are compared by: the program that each of them is given to."""

    def __init__(self, staged: Staged, rows: Iterable[Sequence[Any]]) -> None:
        graph = staged.traced.graph
        self.reordered = any(map(_has_one_column, graph.all_nodes()))
        """Whether the map may add up in another order than the program does."""
        self.stepped = self.reordered and any(map(_is_step, graph.all_nodes()))
        """Whether a rounding may then be a large difference."""
        self._size = max(largest(staged, list(row)) for row in rows) if self.reordered else 0.0

    def check(self, found: Array, expected: Array) -> None:
        """AssertionError unless a map has what a loop has."""
        if not self.reordered or expected.dtype.kind != "f":
            assert_same_as_loop(found, expected)
        elif not self.stepped:
            assert found.dtype == expected.dtype and found.shape == expected.shape
            unit = ROUNDINGS * float(np.finfo(expected.dtype).eps)
            finite = np.isfinite(found) & np.isfinite(expected)  # one order may overflow
            bounds = {"rtol": unit, "atol": unit * self._size}
            np.testing.assert_allclose(found[finite], expected[finite], **bounds)


def _has_one_column(node: Node) -> bool:
    return node.op.name == "contract" and sums_column(node.attrs)


def _is_step(node: Node) -> bool:
    floats = any(map(is_float, node.inputs))
    return floats and (node.op.name in _STEPS or not is_float(node))
