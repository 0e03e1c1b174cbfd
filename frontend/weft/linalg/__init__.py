"""Linear algebra: the functions of the Array API's `linalg` extension.

Matrices are the last two axes; those before them are as many matrices. LAPACK computes in float32
or float64. A matrix that does not have what a function needs (that is singular, say) is a
`numpy.linalg.LinAlgError` with the line that asked for it.
"""

from typing import TYPE_CHECKING

from weft.boundary import public
from weft.linalg.determinants import det, slogdet
from weft.linalg.factorizations import cholesky, lu, qr
from weft.linalg.norms import cond, matrix_norm, vector_norm
from weft.linalg.powers import expm, matrix_power
from weft.linalg.products import cross, diagonal, multi_dot, trace
from weft.linalg.spectra import eig, eigh, eigvals, eigvalsh, matrix_rank, svd, svdvals
from weft.linalg.systems import inv, lstsq, pinv, solve, solve_triangular
from weft.names import listed, missing
from weft.ops.linear_algebra import matmul, outer, tensordot, vecdot
from weft.ops.movement import matrix_transpose

__all__ = [
    "cholesky",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "expm",
    "inv",
    "lstsq",
    "lu",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "multi_dot",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensordot",
    "trace",
    "vecdot",
    "vector_norm",
]

if not TYPE_CHECKING:
    __getattr__ = public(missing("linalg", __all__))
    __dir__ = listed(__all__)
