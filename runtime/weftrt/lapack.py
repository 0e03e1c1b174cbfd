"""LAPACK: which of its functions are called, with what arguments, and where they are found.

NumPy brings a LAPACK with it, whatever its build, and its own `numpy.linalg` is linked against it:
what the dynamic linker finds from there under one of the names that LAPACK's builds give their
functions is called, so nothing else need be installed, and results have the bits of NumPy's. Where
NumPy's build hides its LAPACK, SciPy's is taken (`scipy.linalg.cython_lapack` is public for this).
Functions of the BLAS below it are found in the same way.

A `Function` says how arrays become the arguments of a LAPACK function. Two readers follow it:
native code (weftrt.cpu.native.lapack), and `run`, in NumPy, which the graph interpreter uses.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Any, TypeAlias

import numpy as np

from weftrt.errors import UsageError

Array: TypeAlias = "np.ndarray[Any, Any]"

MOST_ARGUMENTS = 16
"""A call passes so many, whatever the function takes: those after its own are the lengths of its
letters, 1 each, which Fortran compilers add, and more that nobody reads."""
NAMES = ((8, "scipy_{}_64_"), (8, "{}_64_"), (8, "{}64_"), (4, "{}_"), (4, "scipy_{}_"), (4, "{}"))
"""Bytes of an integer, and the names that builds of LAPACK with such integers use."""


class Kind(IntEnum):
    """What an argument is; all are passed by address, as Fortran does."""

    LETTER = 0
    SIZE = 1
    LEADING = 2  # the distance of columns: the size, at least 1
    MATRIX = 3  # by columns: read from a buffer, or the identity; written to one, or not
    GIVEN = 4  # a buffer as it is, to read or write: LAPACK sees the transpose of its matrices
    PIVOTS = 5  # written to one buffer as places from 0, to the next as the permutation they make
    STATUS = 6
    WORK = 7  # room for so many floats; for integers, PIVOTS that are not written
    FLOAT = 8  # a float whose bits are a size
    REVERSED = 9  # a lower triangle, rows and columns in reverse order; written to both triangles


class Part(IntEnum):
    """What of a matrix is read, or written: the rest is zeros then."""

    ALL = 0
    LOWER = 1
    UPPER = 2


@dataclass(frozen=True)
class Argument:
    """One argument. `read` and `written` are numbers of buffers, -1 for none; `rows` and `columns`
    are numbers of sizes; for a LETTER, `read` is the letter, for a SIZE or FLOAT the number of the
    size. Of a matrix the `part` is written, and so many rows are `kept`, all if 0; LAPACK reads the
    part that is `needed`."""

    kind: Kind
    read: int = -1
    written: int = -1
    rows: int = 0
    columns: int = 0
    part: Part = Part.ALL
    kept: int = 0
    needed: Part = Part.ALL


@dataclass(frozen=True)
class Function:
    """A LAPACK function without the letter of its dtype, and its arguments. Sizes are numbered from
    1, after the number of matrices. It `fails` where the status says so, and if it takes `finite`
    numbers only where others are among those that it reads. Others that `follow` are called one
    after the other; `order` says which of the arguments are theirs."""

    name: str
    arguments: tuple[Argument, ...]
    fails: bool = True
    order: tuple[int, ...] = ()
    follow: tuple[tuple[str, tuple[int, ...]], ...] = ()
    finite: bool = False

    @property
    def steps(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """All that are called, and the arguments of each."""
        return ((self.name, self.order or tuple(range(len(self.arguments)))), *self.follow)


def _letter(letter: str) -> Argument:
    return Argument(Kind.LETTER, ord(letter))


_N, _K = Argument(Kind.SIZE, 1), Argument(Kind.SIZE, 2)
_LEADING, _STATUS = Argument(Kind.LEADING, 1), Argument(Kind.STATUS)
_SOLUTION = Argument(Kind.MATRIX, 1, 2, 1, 2)


def _cholesky() -> Function:
    matrix = Argument(Kind.MATRIX, 0, 1, 1, 1, Part.LOWER, needed=Part.LOWER)
    return Function("potrf", (_letter("L"), _N, matrix, _LEADING, _STATUS))


def _solve(factors: bool) -> Function:
    """With `factors`, what getrf leaves is written too."""
    matrix = Argument(Kind.MATRIX, 0, 3 if factors else -1, 1, 1)
    pivots = Argument(Kind.PIVOTS, -1, 4 if factors else -1, 1, 1)
    return Function("gesv", (_N, _K, matrix, _LEADING, pivots, _SOLUTION, _LEADING, _STATUS))


def _lu() -> Function:
    matrix, pivots = Argument(Kind.MATRIX, 0, 1, 1, 2), Argument(Kind.PIVOTS, -1, 2, 3, 1)
    return Function("getrf", (_N, _K, matrix, _LEADING, pivots, _STATUS), fails=False)


def _least_squares() -> Function:
    """The right side has as many rows as the larger size; those of the solution are kept."""
    matrix, values = Argument(Kind.MATRIX, 0, -1, 1, 2), Argument(Kind.GIVEN, 3, -1, 5, 6)
    solution = Argument(Kind.MATRIX, 1, 2, 4, 3, kept=2)
    sizes, rank = (_N, _K, Argument(Kind.SIZE, 3)), Argument(Kind.SIZE, 6)  # nobody reads the rank
    given = (matrix, _LEADING, solution, Argument(Kind.LEADING, 4), values)
    rest = (Argument(Kind.FLOAT, 7), rank, *_room(8), Argument(Kind.PIVOTS, rows=9), _STATUS)
    return Function("gelsd", (*sizes, *given, *rest), finite=True)


def _eigh() -> Function:
    letters = (_letter("V"), _letter("L"))
    matrix = Argument(Kind.MATRIX, 0, 2, 1, 1, needed=Part.LOWER)
    values = Argument(Kind.GIVEN, 1, -1, 1, 2)
    rest = (_LEADING, values, *_room(3), Argument(Kind.PIVOTS, rows=4), Argument(Kind.SIZE, 4))
    return Function("syevd", (*letters, _N, matrix, *rest, _STATUS))


def _eig() -> Function:
    """Of the vectors those on the right are asked for, and none on the left."""
    matrix, vectors = Argument(Kind.MATRIX, 0, -1, 1, 1), Argument(Kind.MATRIX, -1, 3, 1, 1)
    real, imag = Argument(Kind.GIVEN, 1, -1, 1, 2), Argument(Kind.GIVEN, 2, -1, 1, 2)
    given = (_letter("N"), _letter("V"), _N, matrix, _LEADING, real, imag)
    rest = (real, Argument(Kind.LEADING, 2), vectors, _LEADING, *_room(3), _STATUS)
    return Function("geev", (*given, *rest), finite=True)


def _svd(vectors: str) -> Function:
    left, right = Argument(Kind.MATRIX, -1, 1, 1, 5), Argument(Kind.MATRIX, -1, 3, 6, 2)
    matrix, values = Argument(Kind.MATRIX, 0, -1, 1, 2), Argument(Kind.GIVEN, 2, -1, 3, 4)
    results = (values, left, _LEADING, right, Argument(Kind.LEADING, 6))
    rest = (*_room(7), Argument(Kind.PIVOTS, rows=8), _STATUS)
    return Function("gesdd", (_letter(vectors), _N, _K, matrix, _LEADING, *results, *rest))


def _qr() -> Function:
    """Reflections that make a triangle, then these applied to columns of the identity."""
    matrix = Argument(Kind.MATRIX, 0, 2, 1, 2, Part.UPPER)
    product = Argument(Kind.MATRIX, -1, 1, 1, 4)
    sizes = (_N, _K, Argument(Kind.SIZE, 3), Argument(Kind.SIZE, 4))
    scales = Argument(Kind.WORK, rows=3)
    rest = (matrix, _LEADING, scales, *_room(5), product, _STATUS)
    first, second = (2, 3, 6, 7, 8, 9, 10, 12), (0, 1, 2, 5, 4, 6, 7, 8, 11, 7, 9, 10, 12)
    letters = (_letter("L"), _letter("N"))
    return Function("geqrf", (*letters, *sizes, *rest), True, first, (("ormqr", second),))


def _room(size: int) -> tuple[Argument, Argument]:
    """Room to work in, and how much it is."""
    return Argument(Kind.WORK, rows=size), Argument(Kind.SIZE, size)


def _cholesky_gradient() -> Function:
    """A product with one triangle, then solutions with it from the left and from the right, of
    which sygst, which knows that they are symmetric, computes half. It has only L^-1 X L^-T; in
    reverse order of rows and columns, which makes a lower triangle of L^T, that is L^-T X L^-1."""
    letters = tuple(map(_letter, "RLTN"))
    lower, product = (Argument(Kind.REVERSED, *io, 1, 1) for io in ((0, -1), (1, 2)))
    rest = (_N, Argument(Kind.FLOAT, 2), lower, _LEADING, product, Argument(Kind.SIZE, 3), _STATUS)
    first, second = (0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 7), (9, 1, 4, 8, 7, 6, 7, 10)
    return Function("trmm", (*letters, *rest), False, first, (("sygst", second),))


def _triangular(uplo: str, transposed: str, diagonal: str) -> Function:
    letters = (_letter(uplo), _letter(transposed), _letter(diagonal))
    matrix = Argument(Kind.GIVEN, 0, -1, 1, 1)
    rest = (_N, _K, matrix, _LEADING, _SOLUTION, _LEADING, _STATUS)
    return Function("trtrs", (*letters, *rest))


def triangular_name(lower: bool, transposed: bool, unit: bool) -> str:
    """The name in FUNCTIONS of solving with a triangle of matrices by rows: LAPACK, which sees them
    by columns, is asked for the other triangle, transposed."""
    return f"trtrs_{'U' if lower else 'L'}{'N' if transposed else 'T'}{'U' if unit else 'N'}"


FUNCTIONS: Mapping[str, Function] = {
    "potrf": _cholesky(),
    "trmm_sygst": _cholesky_gradient(),
    "gelsd": _least_squares(),
    "gesv": _solve(factors=False),
    "gesv_LU": _solve(factors=True),
    "getrf": _lu(),
    "geqrf": _qr(),
    "geev": _eig(),
    "syevd": _eigh(),
    "gesdd_A": _svd("A"),
    "gesdd_S": _svd("S"),
    **{f"trtrs_{u}{t}{d}": _triangular(u, t, d) for u in "UL" for t in "NT" for d in "NU"},
}


def routine_name(name: str, itemsize: int) -> str:
    """What programs call a function of FUNCTIONS for floats of so many bytes."""
    return f"weft_lapack_{name}_f{itemsize * 8}"


@dataclass(frozen=True)
class Pointer:
    """A LAPACK function that was found: its address, the bytes of its integers."""

    address: int
    width: int


@cache
def pointer(name: str, itemsize: int) -> Pointer:
    """The LAPACK function `name`, without the letter of its dtype, for floats of so many bytes;
    UsageError where there is none."""
    full = {4: "s", 8: "d"}[itemsize] + name
    found = _from_numpy(full) or _from_scipy(full)
    if found is None:
        raise UsageError(
            f"linear algebra needs LAPACK, but this build of NumPy hides its own ({full}), and "
            "SciPy, which brings one, is not installed: pip install scipy"
        )
    return found


def _from_numpy(full: str) -> Pointer | None:
    from numpy.linalg import _umath_linalg

    library = ctypes.CDLL(_umath_linalg.__file__)
    for width, pattern in NAMES:
        function = getattr(library, pattern.format(full), None)
        if function is not None:
            return Pointer(ctypes.cast(function, ctypes.c_void_p).value or 0, width)
    return None


def _from_scipy(full: str) -> Pointer | None:
    try:
        from scipy.linalg import cython_blas, cython_lapack
    except ImportError:
        return None
    capsule = (cython_lapack.__pyx_capi__ | cython_blas.__pyx_capi__)[full]
    name = _NAME_OF(capsule)
    return Pointer(_POINTER_OF(capsule, name) or 0, 4)


_NAME_OF = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(
    ("PyCapsule_GetName", ctypes.pythonapi)
)
_POINTER_OF = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


# ---------------------------------------------------------------------------------------------
# The reader in NumPy
# ---------------------------------------------------------------------------------------------


class Failed(Exception):
    """A matrix for which a function failed, by its number among all."""

    def __init__(self, matrix: int) -> None:
        super().__init__(matrix)
        self.matrix = matrix


def run(name: str, buffers: Sequence[Array], sizes: Sequence[int]) -> None:
    """Call a function of FUNCTIONS for each matrix, and write the results; Failed for the first
    matrix with which it fails. Buffers are stacks: their first axis has sizes[0] entries."""
    function, itemsize = FUNCTIONS[name], buffers[0].itemsize
    steps = [(pointer(step, itemsize), order) for step, order in function.steps]
    for number in range(sizes[0]):
        rows = [buffer[number] for buffer in buffers]
        if function.finite and not _are_finite(function, rows):
            raise Failed(number)
        prepared = [_prepared(a, rows, sizes, steps[0][0].width) for a in function.arguments]
        status = next(p for a, p in zip(function.arguments, prepared) if a.kind is Kind.STATUS)
        for found, order in steps:
            given = [prepared[place].ctypes.data for place in order]
            _CALL(found.address)(*given, *[1] * (MOST_ARGUMENTS - len(given)))
            if function.fails and int(status[0]) != 0:
                raise Failed(number)
        for argument, value in zip(function.arguments, prepared):
            _finish(argument, value, rows, sizes)


def _are_finite(function: Function, rows: Sequence[Array]) -> bool:
    """Whether all that a function reads of matrices is finite."""
    read = (a.read for a in function.arguments if a.kind is Kind.MATRIX and a.read >= 0)
    return all(bool(np.isfinite(rows[number]).all()) for number in read)


_CALL = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * MOST_ARGUMENTS)


def _prepared(argument: Argument, rows: Sequence[Array], sizes: Sequence[int], width: int) -> Array:
    """What the address of an argument is passed of."""
    integer = f"i{width}"
    match argument.kind:
        case Kind.LETTER:
            return np.array([argument.read], np.uint8)
        case Kind.SIZE:
            return np.array([sizes[argument.read]], integer)
        case Kind.FLOAT:
            return np.array([sizes[argument.read]], np.int64)
        case Kind.LEADING:
            return np.array([max(sizes[argument.read], 1)], integer)
        case Kind.GIVEN:
            return np.ascontiguousarray(rows[argument.read])
        case Kind.PIVOTS:
            return np.zeros(max(sizes[argument.rows], 1), integer)
        case Kind.STATUS:
            return np.zeros(1, integer)
        case Kind.WORK:
            return np.zeros(sizes[argument.rows], rows[0].dtype)
    if argument.kind is Kind.REVERSED:
        return np.ascontiguousarray(np.tril(rows[argument.read])[::-1, ::-1])
    if argument.read < 0:
        return np.eye(sizes[argument.columns], sizes[argument.rows], dtype=rows[0].dtype)
    return np.array(rows[argument.read].T, order="C")


def _finish(argument: Argument, value: Array, rows: Sequence[Array], sizes: Sequence[int]) -> None:
    """Write what a function left in an argument."""
    if argument.written < 0:
        return
    if argument.kind is Kind.PIVOTS:
        places = rows[argument.written]
        places[...] = value[: places.size] - 1
        _permute(places, rows[argument.written + 1])
        return
    if argument.kind is Kind.REVERSED:
        back = value[::-1, ::-1]
        rows[argument.written][...] = np.where(np.tri(len(back), dtype=bool), back, back.T)
        return
    parts: tuple[Callable[[Array], Array], ...] = (np.asarray, np.tril, np.triu)
    written = rows[argument.written]
    written[...] = parts[argument.part](value.T)
    written[sizes[argument.kept] if argument.kept else len(written) :] = 0


def _permute(places: Array, permutation: Array) -> None:
    permutation[...] = np.arange(permutation.size)
    for place, other in enumerate(places):
        permutation[[place, other]] = permutation[[other, place]]
