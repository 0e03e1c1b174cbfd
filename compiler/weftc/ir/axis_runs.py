"""Which axes of two shapes of one size correspond."""

from __future__ import annotations

from collections.abc import Sequence

from weftc.ir.sizes import Shape, Size


def axis_runs(a: Shape, b: Shape) -> list[tuple[Sequence[int], Sequence[int]]]:
    """Axes of two shapes of one size in runs of equal products, each as short as can be shown."""
    runs: list[tuple[Sequence[int], Sequence[int]]] = []
    i = j = i0 = j0 = 0
    left: Size = 1
    right: Size = 1
    while i < len(a) or j < len(b):
        if left == right and i > i0 and j > j0:
            runs.append((range(i0, i), range(j0, j)))
            i0, j0, left, right = i, j, 1, 1
        elif i < len(a) and (j == len(b) or i == i0 or not _shorter(right, left)):
            left, i = left * a[i], i + 1
        else:
            right, j = right * b[j], j + 1
    runs.append((range(i0, i), range(j0, j)))
    return runs


def _shorter(a: Size, b: Size) -> bool:
    """Whether the product `a` has fewer factors to go by its degree, then by its coefficients."""
    return _degree(a) < _degree(b)


def _degree(size: Size) -> tuple[int, int]:
    if isinstance(size, int):
        return 0, size
    return max(len(m) for m, _ in size.terms), sum(c for _, c in size.terms)
