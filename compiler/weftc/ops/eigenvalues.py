"""Eigenvalues and eigenvectors of any square matrix: LAPACK, once for each matrix of a stack.

They are complex, of a real matrix in pairs: a value with a positive imaginary part, then its
conjugate. LAPACK keeps the vectors of a pair, p + iq and p - iq, as the columns p and q of a real
matrix P. The rules here are in real arithmetic, with V = P S for the complex vectors.
"""

from __future__ import annotations

from weftc.ir.node import Node
from weftc.ir.opdef import TABLE, Attrs, ExternCall, Family, OpDef
from weftc.ir.sizes import Size, static_shape
from weftc.ir.types import TupleType
from weftc.ops import build, check
from weftc.ops.complex_rules import Pair
from weftc.ops.matrices import (
    NANOSECONDS,
    NO_CONVERGENCE,
    Array,
    Arrays,
    Types,
    by_matrix,
    call_of,
    failing,
    matmul,
    parts,
    run,
    samples_of,
    square_type,
    transposed,
    zeros,
)
from weftc.ops.systems import by_factors
from weftrt import dtypes


def eigenvectors(imag: Node, packed: Node) -> Pair:
    """The parts of V, of the imaginary parts of the eigenvalues and P."""
    pairing = _pairing(imag)
    return Pair(matmul(packed, pairing.real), matmul(packed, pairing.imag))


# ---------------------------------------------------------------------------------------------
# eig(a): the real and the imaginary parts of the eigenvalues, and P
# ---------------------------------------------------------------------------------------------


def _infer_eig(types: Types, attrs: Attrs) -> TupleType:
    check.arity("eig", types, 1)
    a = square_type("eig", types[0])
    values = a.with_shape(a.shape[:-1])
    return TupleType((values, values, a))


def _room_eig(n: Size) -> tuple[Size, ...]:
    """The sizes that the routine is told; the room is at least what LAPACK likes best."""
    return (n, 1, 300 * n + 1)


def _reference_eig(arrays: Arrays, attrs: Attrs, type_: TupleType) -> tuple[Array, ...]:
    results = zeros(type_)
    sizes = static_shape(_room_eig(arrays[0].shape[-1]))
    run("geev", arrays, list(zip(results, (1, 1, 2))), *sizes, failed=f"eig: {NO_CONVERGENCE}")
    return results


def _vjp_eig(
    node: Node, by_real: Node | None, by_imag: Node | None, by_packed: Node | None
) -> tuple[Node | None]:
    """V^-H (diag(gw) + (V^H gV - V^H V Re(diag(V^H gV))) / conj(gaps)) V^H (C. Boeddeker et al., On
    the computation of complex-valued gradients with application to statistically optimum
    beamforming, 2017, 4.19): of vectors whose length is 1 and whose phase does not count. With V as
    it is here, P^-T Re(S D Y S^H) P^T, where D halves what belongs to a pair."""
    if by_real is None and by_imag is None and by_packed is None:
        return (None,)
    real, imag, packed = parts(node)
    pairing, outer = _pairing(imag), Pair(real, imag)
    none = build.like(0.0, packed)
    by_vectors = Pair(none, none)
    if by_packed is not None:
        by_vectors = _by_vectors(outer, eigenvectors(imag, packed), _vectors_of(imag, by_packed))
    inner = Pair(
        *(
            part if g is None else build.call("add", part, _where(_diagonal(imag), _rows(g), none))
            for part, g in zip(by_vectors, (by_real, by_imag), strict=True)
        )
    )
    half = build.call("where", _is_zero(imag), build.like(1.0, imag), build.like(0.5, imag))
    left = _product(Pair(*(_mul(part, _columns(half)) for part in pairing)), inner)
    turned = _add(*(matmul(x, transposed(y)) for x, y in zip(left, pairing, strict=True)))
    both, _pivots, permutation = parts(build.call("lu", packed))
    return (by_factors(both, permutation, matmul(turned, transposed(packed))),)


def _by_vectors(values: Pair, vectors: Pair, g: Pair) -> Pair:
    """(V^H gV - V^H V Re(diag(V^H gV))) / conj(gaps), and zeros on the diagonal."""
    along, overlaps = _adjoint_product(vectors, g), _adjoint_product(vectors, vectors)
    on = _diagonal(values.real)
    none = build.like(0.0, along.real)
    growth = build.reduce("sum", _where(on, along.real, none), (along.real.type.rank - 2,))
    parts_ = (
        build.call("sub", x, _mul(y, _columns(growth)))
        for x, y in zip(along, overlaps, strict=True)
    )
    rest = Pair(*parts_)
    gaps = Pair(*(build.call("sub", _columns(part), _rows(part)) for part in values))
    size = _add(_mul(gaps.real, gaps.real), _mul(gaps.imag, gaps.imag))
    safe = _where(on, build.like(1.0, size), size)
    real = build.call("sub", _mul(rest.real, gaps.real), _mul(rest.imag, gaps.imag))
    imag = _add(_mul(rest.real, gaps.imag), _mul(rest.imag, gaps.real))
    return Pair(*(_where(on, none, build.call("div", part, safe)) for part in (real, imag)))


def _vectors_of(imag: Node, g: Node) -> Pair:
    """The cotangent of V for that of P: all of a pair's is that of its first vector."""
    first, second = _signs(imag)
    none = build.like(0.0, g)
    shift = _where(_both(_diagonal(imag, below=1), _columns(first)), build.like(1.0, g), none)
    return Pair(_where(_columns(second), none, g), matmul(g, shift))


def _pairing(imag: Node) -> Pair:
    """The parts of S: [[1, 1], [i, -i]] for a pair, and 1 for a real value."""
    first, second = _signs(imag)
    on, second_column = _diagonal(imag), _columns(second)
    none = build.full(0.0, imag.type.with_shape(on.type.shape))
    one, minus = build.like(1.0, none), build.like(-1.0, none)
    right = _both(_diagonal(imag, below=-1), _rows(first))
    left = _both(_diagonal(imag, below=1), _columns(first))
    lone = _both(on, build.call("bitwise_not", second_column))
    real = _where(lone, one, _where(right, one, none))
    return Pair(real, _where(left, one, _where(_both(on, second_column), minus, none)))


def _signs(imag: Node) -> tuple[Node, Node]:
    """Which values are the first of a pair, and which the second."""
    zero = build.like(0.0, imag)
    return build.call("gt", imag, zero), build.call("lt", imag, zero)


def _is_zero(imag: Node) -> Node:
    return build.call("eq", imag, build.like(0.0, imag))


def _diagonal(values: Node, below: int = 0) -> Node:
    """Which elements of matrices are on the diagonal, or so many rows below."""
    shape = (*values.type.shape, values.type.shape[-1])
    row, column = (
        build.call("iota", shape=shape, axis=len(shape) - axis, dtype=dtypes.int64)
        for axis in (2, 1)
    )
    return build.call("eq", row, build.call("add", column, build.like(below, column)))


def _columns(values: Node) -> Node:
    """A value for each column, in every row."""
    shape = (*values.type.shape, values.type.shape[-1])
    return build.expand(values, shape, (*range(len(shape) - 2), len(shape) - 1))


def _rows(values: Node) -> Node:
    """A value for each row, in every column."""
    shape = (*values.type.shape, values.type.shape[-1])
    return build.expand(values, shape, range(len(shape) - 1))


def _product(x: Pair, y: Pair) -> Pair:
    """x y."""
    real = build.call("sub", matmul(x.real, y.real), matmul(x.imag, y.imag))
    return Pair(real, _add(matmul(x.real, y.imag), matmul(x.imag, y.real)))


def _adjoint_product(x: Pair, y: Pair) -> Pair:
    """x^H y."""
    real, imag = (transposed(part) for part in x)
    other = build.call("sub", matmul(real, y.imag), matmul(imag, y.real))
    return Pair(_add(matmul(real, y.real), matmul(imag, y.imag)), other)


def _add(x: Node, y: Node) -> Node:
    return build.call("add", x, y)


def _mul(x: Node, y: Node) -> Node:
    return build.call("mul", x, y)


def _both(x: Node, y: Node) -> Node:
    return build.call("bitwise_and", x, y)


def _where(condition: Node, x: Node, y: Node) -> Node:
    return build.call("where", condition, x, y)


def _call_eig(node: Node) -> ExternCall:
    n = node.inputs[0].type.shape[-1]
    return call_of("geev", node, _room_eig(n), 25 * n * n * n)


def _samples_eig() -> list[tuple[Types, Attrs]]:
    shapes = ((3, 3), (1, 1), (0, 0), (2, 4, 4), (0, 2, 2))
    return [(types, {}) for shape in shapes for types in samples_of(shape)]


eig = TABLE.add(
    OpDef(
        "eig",
        Family.EXTERN,
        infer=_infer_eig,
        reference=_reference_eig,
        vjp=_vjp_eig,
        batch=by_matrix,
        extern=_call_eig,
        fails=failing(NO_CONVERGENCE),
        cost=NANOSECONDS,
        samples=_samples_eig,
    )
)
