"""Products and linear algebra, in torch's signatures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tests.peers.unexpressed import Unexpressed

import weft as wf

Function = Callable[..., Any]
linalg = wf.linalg


def plus_product(product: Function) -> Function:
    """beta times x, plus alpha times a product of the others."""

    def run(x: Any, *operands: Any, beta: float = 1, alpha: float = 1) -> Any:
        return beta * x + alpha * product(*operands)

    return run


def tensordot(a: Any, b: Any, dims: Any = 2) -> Any:
    dims = dims.tolist() if hasattr(dims, "tolist") else dims
    if isinstance(dims, int):
        return wf.tensordot(a, b, dims)
    if any(a.shape[i] != b.shape[j] for i, j in zip(*dims)):
        raise Unexpressed("a sum over axes of different sizes")
    return wf.tensordot(a, b, tuple(map(tuple, dims)))


def einsum(equation: str, operands: Sequence[Any]) -> Any:
    terms = equation.partition("->")[0].replace("...", "").split(",")
    if any(len(set(term)) != len(term) for term in terms):
        raise Unexpressed("a letter twice in an operand: a diagonal is wf.linalg.diagonal")
    return wf.einsum(equation, *operands)


def inner(a: Any, b: Any) -> Any:
    return wf.tensordot(a, b, ((a.ndim - 1,), (b.ndim - 1,))) if a.ndim and b.ndim else a * b


def kron(a: Any, b: Any) -> Any:
    rank = max(a.ndim, b.ndim)
    a, b = (wf.reshape(x, (1,) * (rank - x.ndim) + tuple(x.shape)) for x in (a, b))
    left = wf.reshape(a, [n for size in a.shape for n in (size, 1)])
    right = wf.reshape(b, [n for size in b.shape for n in (1, size)])
    return wf.reshape(left * right, [m * n for m, n in zip(a.shape, b.shape)])


def cholesky(x: Any, upper: bool = False) -> Any:
    return linalg.cholesky(x, upper=upper)


def solve(a: Any, b: Any, *, left: bool = True) -> Any:
    if not left:
        raise Unexpressed("the unknown on the left")
    vectors = b.ndim == 1 or (a.ndim - 1 == b.ndim and a.shape[:-1] == b.shape)
    return linalg.solve(a, b[..., None])[..., 0] if vectors else linalg.solve(a, b)


def solve_triangular(
    a: Any, b: Any, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Any:
    if not left:
        return wf.matrix_transpose(
            solve_triangular(
                wf.matrix_transpose(a),
                wf.matrix_transpose(b),
                upper=not upper,
                unitriangular=unitriangular,
            )
        )
    lead = wf.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (wf.broadcast_to(x, (*lead, *x.shape[-2:])) for x in (a, b))
    return linalg.solve_triangular(a, b, lower=not upper, unit_diagonal=unitriangular)


def old_triangular_solve(
    b: Any, a: Any, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> Any:
    own = wf.matrix_transpose(a) if transpose else a
    return solve_triangular(own, b, upper=upper != transpose, unitriangular=unitriangular), a + 0


def cholesky_solve(b: Any, factor: Any, upper: bool = False) -> Any:
    """torch's gradient is that of the product, also by what is no part of the triangle."""
    other = wf.matrix_transpose(factor)
    return solve(other @ factor if upper else factor @ other, b)


def svd(x: Any, full_matrices: bool = True, **_: Any) -> Any:
    u, s, vh = linalg.svd(x, full_matrices=False)
    return abs(u), s, abs(vh)


def eigh(x: Any, UPLO: str = "L") -> Any:
    values, vectors = linalg.eigh(symmetric(x, UPLO))
    return values, abs(vectors)


def symmetric(x: Any, UPLO: str) -> Any:
    return wf.matrix_transpose(x) if UPLO == "U" else x


def qr(x: Any, mode: str = "reduced") -> Any:
    found = linalg.qr(x, mode="complete" if mode == "complete" else "reduced")
    return found[1:] if mode == "r" else tuple(found)


def matrix_norm(
    x: Any, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, dtype: Any = None
) -> Any:
    axes = [axis % x.ndim for axis in dim]
    others = [axis for axis in range(x.ndim) if axis not in axes]
    norm = linalg.matrix_norm(wf.permute_dims(x, [*others, *axes]), ord=ord)
    return wf.expand_dims(norm, tuple(sorted(axes))) if keepdim else norm


def norm(x: Any, ord: Any = None, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    if isinstance(dim, int):
        dim = (dim,)
    of_matrices = isinstance(ord, str) or (ord is not None and len(dim or range(x.ndim)) == 2)
    if of_matrices:
        return matrix_norm(x, ord, (0, 1) if dim is None else dim, keepdim)
    axes = None if dim is None or not x.ndim else tuple(dim)
    return linalg.vector_norm(x, ord=2 if ord is None else ord, axis=axes, keepdims=keepdim)


def cross(a: Any, b: Any, *, dim: int = -1) -> Any:
    shape = wf.broadcast_shapes(a.shape, b.shape)
    return linalg.cross(
        wf.broadcast_to(a, shape),
        wf.broadcast_to(b, shape),
        axis=dim - (len(shape) if dim >= 0 else 0),
    )


def first_cross(a: Any, b: Any, dim: Any = None) -> Any:
    return cross(a, b, dim=list(a.shape).index(3) if dim is None else dim)


def vecdot(a: Any, b: Any, *, dim: int = -1) -> Any:
    return wf.sum(a * b, axis=dim)


def inverse(x: Any) -> Any:
    return linalg.inv(x)


def vander(x: Any, *, N: int | None = None) -> Any:
    x = x if x.ndim else wf.reshape(x, (1,))
    count = x.shape[-1] if N is None else N
    return wf.stack([x**power if power else wf.ones_like(x) for power in range(count)], axis=-1)


def covariance(x: Any, *, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Any:
    if (
        fweights is not None
        or aweights is not None
        or x.ndim < 2
        or x.shape[0] < 2
        or x.shape[1] <= correction
    ):
        raise Unexpressed("weights, or too few observations")
    centered = x - wf.mean(x, axis=1, keepdims=True)
    return centered @ centered.T / (x.shape[1] - correction)


def trapezoid(y: Any, x: Any = None, *, dx: float = 1, dim: int = -1) -> Any:
    dim %= y.ndim
    between = lambda a, low, high: a[(*(slice(None),) * dim, slice(low, high))]  # noqa: E731
    heights = (between(y, 1, None) + between(y, None, -1)) / 2
    if x is None:
        return wf.sum(heights * dx, axis=dim)
    if x.ndim == 1:
        x = wf.reshape(x, (-1,) + (1,) * (y.ndim - dim - 1))
        return wf.sum(heights * (x[1:] - x[:-1]), axis=dim)
    raise Unexpressed("places of several axes")


TABLE: dict[str, Function] = {
    "__rmatmul__": lambda x, y: y @ x,
    "addbmm": plus_product(lambda a, b: wf.sum(a @ b, axis=0)),
    "addmm": plus_product(wf.matmul),
    "addmv": plus_product(wf.matmul),
    "addr": plus_product(wf.outer),
    "baddbmm": plus_product(wf.matmul),
    "bmm": wf.matmul,
    "cholesky": cholesky,
    "cholesky_solve": cholesky_solve,
    "cov": covariance,
    "cross": first_cross,
    "dot": wf.vecdot,
    "einsum": lambda operands, equation: einsum(equation, operands),
    "inner": inner,
    "kron": kron,
    "linalg.cholesky": lambda x, *, upper=False: cholesky(x, upper),
    "linalg.cross": cross,
    "linalg.det": linalg.det,
    "linalg.diagonal": lambda x, *, offset=0, dim1=-2, dim2=-1: linalg.diagonal(
        wf.permute_dims(
            x,
            [a for a in range(x.ndim) if a not in (dim1 % x.ndim, dim2 % x.ndim)]
            + [dim1 % x.ndim, dim2 % x.ndim],
        ),
        offset=offset,
    ),
    "linalg.eigh": eigh,
    "linalg.eigvalsh": lambda x, UPLO="L": linalg.eigvalsh(symmetric(x, UPLO)),
    "linalg.inv": inverse,
    "linalg.inv_ex": inverse,
    "linalg.matrix_norm": matrix_norm,
    "linalg.matrix_power": lambda x, n: linalg.matrix_power(x, n),
    "linalg.multi_dot": linalg.multi_dot,
    "linalg.norm": norm,
    "linalg.qr": qr,
    "linalg.slogdet": lambda x: tuple(linalg.slogdet(x)),
    "linalg.solve": solve,
    "linalg.solve_triangular": solve_triangular,
    "linalg.svd": svd,
    "linalg.svdvals": linalg.svdvals,
    "linalg.vander": vander,
    "linalg.vecdot": vecdot,
    "logdet": lambda x: wf.where(linalg.slogdet(x)[0] > 0, linalg.slogdet(x)[1], wf.nan),
    "matmul": wf.matmul,
    "matrix_exp": linalg.expm,
    "mm": wf.matmul,
    "mv": wf.matmul,
    "outer": wf.outer,
    "qr": lambda x, some=True: qr(x, "reduced" if some else "complete"),
    "tensordot": tensordot,
    "trace": linalg.trace,
    "trapezoid": trapezoid,
    "trapz": trapezoid,
    "triangular_solve": old_triangular_solve,
    "vdot": wf.vecdot,
}

GAUGES: dict[str, Function] = {
    "linalg.eigh": lambda found: (found[0], abs(found[1])),
    "linalg.svd": lambda found: (
        abs(found[0][..., : found[1].shape[-1]]),
        found[1],
        abs(found[2][..., : found[1].shape[-1], :]),
    ),
}
"""What is unique of results that are not: vectors up to a sign, and those of no singular value."""
