"""Derivatives where they are a choice: each row of the guide's table is run, in both modes, and
compared with JAX and PyTorch where these are installed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import weft as wf
from weft.errors import DTypeError

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "transforms.md"
nan, inf = np.nan, np.inf
Function = Callable[..., Any]
BOTH = "JAX, PyTorch"


class Row(NamedTuple):
    """A line of the table, by what it says first: a function of namespaces, the points at which it
    is differentiated, and its gradient by each. In `agrees` is who gives the same."""

    where: str
    agrees: str
    function: Callable[[Any], Function]
    points: Sequence[Sequence[float]]
    gradients: Sequence[Sequence[float]]


class Weft:
    """The names that rows use; other libraries have their own for some."""

    name = "Weft"

    def __getattr__(self, name: str) -> Any:
        return getattr(wf, name)

    array = staticmethod(lambda values: wf.asarray(np.array(values, np.float32)))
    relu = staticmethod(wf.nn.relu)
    norm = staticmethod(lambda x: wf.linalg.vector_norm(x))
    top_k = staticmethod(lambda x, k: wf.top_k(x, k)[0])
    power = staticmethod(wf.pow)
    complex_sqrt = staticmethod(lambda x: wf.imag(wf.sqrt(wf.complex(x * 0 - 1, x))))
    cond = staticmethod(lambda holds, one, other: wf.cond(holds, one, other))
    vmap = staticmethod(wf.vmap)

    def gradients(self, function: Function, points: Any) -> list[Any]:
        given = [np.array(p, np.float32) for p in points]
        total = lambda *xs: wf.sum(function(*xs))  # noqa: E731
        return list(wf.grad(total, argnums=tuple(range(len(given))))(*given))


class Jax:
    """The same in JAX."""

    name = "JAX"

    def __init__(self) -> None:
        self.jax = pytest.importorskip("jax")
        self.numpy = self.jax.numpy

    def __getattr__(self, name: str) -> Any:
        return getattr(self.numpy, name)

    def array(self, values: Any) -> Any:
        return self.numpy.array(values, np.float32)

    def relu(self, x: Any) -> Any:
        return self.jax.nn.relu(x)

    def norm(self, x: Any) -> Any:
        return self.numpy.linalg.norm(x)

    def rsqrt(self, x: Any) -> Any:
        return self.jax.lax.rsqrt(x)

    def logsumexp(self, x: Any) -> Any:
        return self.jax.nn.logsumexp(x)

    def cummax(self, x: Any) -> Any:
        return self.jax.lax.cummax(x)

    def atan2(self, y: Any, x: Any) -> Any:
        return self.numpy.arctan2(y, x)

    def top_k(self, x: Any, k: int) -> Any:
        return self.jax.lax.top_k(x, k)[0]

    def std(self, x: Any) -> Any:
        return self.numpy.std(x)

    def complex_sqrt(self, x: Any) -> Any:
        return self.numpy.imag(self.numpy.sqrt(self.jax.lax.complex(x * 0 - 1, x)))

    def cond(self, holds: Any, one: Function, other: Function) -> Any:
        return self.jax.lax.cond(holds, one, other)

    def vmap(self, function: Function) -> Function:
        mapped: Function = self.jax.vmap(function)
        return mapped

    def gradients(self, function: Function, points: Any) -> list[Any]:
        given = [self.array(p) for p in points]
        total = lambda *xs: self.numpy.sum(function(*xs))  # noqa: E731
        return list(self.jax.grad(total, argnums=tuple(range(len(given))))(*given))


class Torch:
    """The same in PyTorch."""

    name = "PyTorch"

    def __init__(self) -> None:
        self.torch = pytest.importorskip("torch")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.torch, name)

    def array(self, values: Any) -> Any:
        return self.torch.tensor(values, dtype=self.torch.float32)

    def max(self, x: Any) -> Any:
        return self.torch.max(x)

    def norm(self, x: Any) -> Any:
        return self.torch.linalg.vector_norm(x)

    def std(self, x: Any) -> Any:
        return self.torch.std(x, correction=0)

    def sort(self, x: Any) -> Any:
        return self.torch.sort(x, stable=True)[0]

    def top_k(self, x: Any, k: int) -> Any:
        return self.torch.topk(x, k)[0]

    def power(self, x: Any, y: Any) -> Any:
        return self.torch.pow(x, y)

    def logsumexp(self, x: Any) -> Any:
        return self.torch.logsumexp(x, 0)

    def cummax(self, x: Any) -> Any:
        return self.torch.cummax(x, 0)[0]

    def cumprod(self, x: Any) -> Any:
        return self.torch.cumprod(x, 0)

    def complex_sqrt(self, x: Any) -> Any:
        return self.torch.imag(self.torch.sqrt(self.torch.complex(x * 0 - 1, x)))

    def cond(self, holds: Any, one: Function, other: Function) -> Any:
        return one() if holds else other()

    def vmap(self, function: Function) -> Function:
        return lambda x: self.torch.stack([function(row) for row in x])

    def gradients(self, function: Function, points: Any) -> list[Any]:
        given = [self.array(p).requires_grad_() for p in points]
        total = self.torch.sum(function(*given))
        found = self.torch.autograd.grad(total, given, allow_unused=True)
        return [self.torch.zeros_like(x) if g is None else g for g, x in zip(found, given)]


def safe_root(ns: Any) -> Function:
    return lambda x: ns.cond(x > 0, lambda: ns.sqrt(x), lambda: x * 0)


ROWS = [
    Row("`max`, `min`, ties", BOTH, lambda ns: ns.max, [[1, 3, 3]], [[0, 0.5, 0.5]]),
    Row("`max`, `min`, NaNs", "PyTorch", lambda ns: ns.max, [[1, nan, nan]], [[0, 0.5, 0.5]]),
    Row(
        "`maximum`, `minimum`, ties",
        BOTH,
        lambda ns: ns.maximum,
        [[1, 2, 3], [2, 2, 2]],
        [[0, 0.5, 1], [1, 0.5, 0]],
    ),
    Row(
        "`maximum`, `minimum`, beside NaN",
        "PyTorch",
        lambda ns: ns.maximum,
        [[nan, 1], [1, nan]],
        [[1, 1], [1, 1]],
    ),
    Row(
        "`clip` at a limit",
        "JAX",
        lambda ns: lambda x: ns.clip(x, -1.0, 1.0),
        [[-2, -1, 0, 1, 2]],
        [[0, 0.5, 1, 0.5, 0]],
    ),
    Row("`clip` of NaN", "neither", lambda ns: lambda x: ns.clip(x, -1.0, 1.0), [[nan]], [[1]]),
    Row("`abs` at 0", "PyTorch", lambda ns: ns.abs, [[-1, 0, -0.0, 1]], [[-1, 0, 0, 1]]),
    Row("`sign`, `relu` at 0", BOTH, lambda ns: ns.relu, [[-1, 0, -0.0, 1]], [[0, 0, 0, 1]]),
    Row(
        "`sqrt`, `log`, `1 / x` at 0",
        BOTH,
        lambda ns: lambda x, y, z: ns.sqrt(x) + ns.log(y) + 1 / z,
        [[0], [0], [0]],
        [[inf], [inf], [-inf]],
    ),
    Row(
        "`sqrt(sum(x * x))` at zeros",
        BOTH,
        lambda ns: lambda x: ns.sqrt(ns.sum(x * x)),
        [[0, 0]],
        [[nan, nan]],
    ),
    Row(
        "`std` of equal elements, `linalg.vector_norm` of zeros",
        "JAX",
        lambda ns: lambda x, y: ns.std(x) + ns.norm(y),
        [[2, 2], [0, 0]],
        [[nan, nan], [nan, nan]],
    ),
    Row(
        "complex `sqrt`, `log`, powers on the branch cut",
        BOTH,
        lambda ns: ns.complex_sqrt,
        [[0.0, -0.0]],
        [[0, 0]],
    ),
    Row(
        "`x ** y` by x, where y = 0",
        "PyTorch",
        lambda ns: lambda x: ns.power(x, ns.array([0, 0, 0])),
        [[0, -1, nan]],
        [[0, 0, 0]],
    ),
    Row(
        "`x ** y` by x, where x = 0",
        BOTH,
        lambda ns: lambda x: ns.power(x, ns.array([0.5, 1, 2, -1])),
        [[0, 0, 0, 0]],
        [[inf, 1, 0, -inf]],
    ),
    Row(
        "`x ** y` by y, where x = 0",
        "PyTorch",
        lambda ns: lambda y: ns.power(ns.array([0, 0, 0]), y),
        [[0, 1, -1]],
        [[0, 0, -inf]],
    ),
    Row(
        "`x ** y` by y, where x < 0",
        BOTH,
        lambda ns: lambda y: ns.power(ns.array([-1]), y),
        [[2]],
        [[nan]],
    ),
    Row("`atan2` at the origin", "PyTorch", lambda ns: ns.atan2, [[0], [0]], [[0], [0]]),
    Row(
        "`prod`, `cumprod` with zeros",
        BOTH,
        lambda ns: lambda x, y: ns.prod(x) + ns.cumprod(y, **_axis(ns)),
        [[0, 2, 3], [2, 0, 0]],
        [[6 * 3, 0, 0], [1, 2, 0]],
    ),
    Row(
        "`cummax`, `cummin`, ties",
        "neither",
        lambda ns: lambda x: ns.cummax(x) * ns.array([1, 2, 6]),
        [[1, 1, 1]],
        [[1 + 1 + 2, 1 + 2, 2]],
    ),
    Row(
        "`sort`, and medians made of it, ties",
        BOTH,
        lambda ns: lambda x: ns.sort(x) * ns.array([1, 2, 3, 4]),
        [[2, 1, 2, 1]],
        [[3, 1, 4, 2]],
    ),
    Row(
        "`top_k`, ties", "JAX", lambda ns: lambda x: ns.top_k(x, 2), [[2, 1, 2, 2]], [[1, 0, 1, 0]]
    ),
    Row(
        "`logsumexp` of nothing but -inf",
        BOTH,
        lambda ns: ns.logsumexp,
        [[-inf, -inf]],
        [[nan, nan]],
    ),
    Row(
        "`where`, by what is not chosen",
        BOTH,
        lambda ns: lambda x, y: ns.where(x > 1, x, y),
        [[1, 2], [3, 3]],
        [[0, 1], [1, 0]],
    ),
    Row(
        "`where`, beside an infinite derivative or a division by zero",
        BOTH,
        lambda ns: (
            lambda x: ns.where(x > 0, ns.sqrt(x), 0.0) + ns.where(x == 0, ns.array(0), 1 / x)
        ),
        [[0, 4]],
        [[nan, 0.25 - 1 / 16]],
    ),
    Row(
        "`cond`, beside such a branch that is not taken",
        BOTH,
        lambda ns: lambda x: safe_root(ns)(x[0]),
        [[0]],
        [[0]],
    ),
    Row(
        "the same in a map, by what is mapped",
        BOTH,
        lambda ns: lambda x: ns.vmap(safe_root(ns))(x),
        [[0, 4]],
        [[0, 0.25]],
    ),
    Row(
        "rounding, comparisons, integers from floats",
        BOTH,
        lambda ns: lambda x: ns.floor(x) + ns.round(x) + x * (x > 1),
        [[0.5, 1, 2]],
        [[0, 0, 1]],
    ),
    Row(
        "`x % y` by x, by y",
        BOTH,
        lambda ns: ns.remainder,
        [[1, 4, -5], [2, 2, 2]],
        [[1, 1, 1], [0, -2, 3]],
    ),
]
INTEGERS = ("arguments that are integers", BOTH)
"""The row that is about an error."""


def _axis(ns: Any) -> dict[str, int]:
    return {} if ns.name == "PyTorch" else {"axis": 0}


def same(found: Sequence[Any], wanted: Sequence[Any]) -> bool:
    pairs = zip(found, wanted, strict=True)
    return all(
        np.allclose(np.asarray(f), np.asarray(w, np.float32), rtol=1e-6, atol=0, equal_nan=True)
        for f, w in pairs
    )


def test_the_table_has_these_rows() -> None:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    start = cells.index(["where", "derivative", "as in"])
    told = {(row[0], row[2]) for row in cells[start + 1 :]}
    assert told == {(row.where, row.agrees) for row in ROWS} | {INTEGERS}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.where)
def test_gradients_and_tangents(row: Row) -> None:
    function = row.function(Weft())
    assert same(Weft().gradients(function, row.points), row.gradients)
    given = tuple(np.array(p, np.float32) for p in row.points)
    for place, wanted in enumerate(row.gradients):
        for number, slope in enumerate(wanted):
            tangents = tuple(np.zeros_like(x) for x in given)
            tangents[place][number] = 1
            tangent = wf.jvp(lambda *xs: wf.sum(function(*xs)), given, tangents)[1]
            is_clean = not any(np.isinf(s) or np.isnan(s) for s in np.ravel(row.gradients))
            if is_clean:  # else 0 times an infinite derivative of another element
                assert same([tangent], [slope])


@pytest.mark.parametrize("library", [Jax, Torch])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.where)
def test_who_agrees(row: Row, library: Any) -> None:
    ns = library()
    with np.errstate(all="ignore"):
        found = ns.gradients(row.function(ns), row.points)
    assert same(found, row.gradients) == (ns.name in row.agrees)


def test_integers_have_no_derivatives() -> None:
    with pytest.raises(DTypeError, match="only floats have derivatives"):
        wf.grad(wf.sum)(np.array([1, 2]))
    for library in (Jax, Torch):
        ns = library()
        if ns.name == "JAX":
            with pytest.raises(TypeError):
                ns.jax.grad(ns.sum)(ns.numpy.array([1, 2]))
        else:
            with pytest.raises(RuntimeError):
                ns.torch.tensor([1, 2]).requires_grad_()
    by_float = wf.grad(lambda x, n: wf.sum(x * n))(np.ones(2, np.float32), np.array([1, 2]))
    assert by_float.tolist() == [1, 2]
