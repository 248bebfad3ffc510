"""The standard's extension `linalg`: matrices and stacks of them, for plain tensors.

Labelled tensors have factorisations of their own (`tn.svd`, `tn.qr`, `tn.eig`), which know spaces and metrics.
"""

from __future__ import annotations

from functools import partial

from tensoria.namespace.dispatch import plain
from tensoria.namespace.linear_algebra import matmul, matrix_transpose, tensordot, vecdot

__all__ = [
    "cholesky",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "inv",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "tensordot",
    "trace",
    "vecdot",
    "vector_norm",
]

_plain = partial(plain, part="linalg")

cholesky = _plain("cholesky", "The triangular factor of a positive definite matrix.")
cross = _plain("cross", "Product of two vectors in three dimensions.")
det = _plain("det", "Determinant.")
diagonal = _plain("diagonal", "The diagonal of the last two axes.")
eig = _plain("eig", "Eigenvalues and eigenvectors (as columns), complex.")
eigh = _plain("eigh", "Eigenvalues, ascending, and eigenvectors (as columns) of a Hermitian matrix.")
eigvals = _plain("eigvals", "Eigenvalues, complex.")
eigvalsh = _plain("eigvalsh", "Eigenvalues of a Hermitian matrix, ascending.")
inv = _plain("inv", "Inverse.")
matrix_norm = _plain("matrix_norm", "Norm of matrices.")
matrix_power = _plain("matrix_power", "Integer power of a square matrix.")
matrix_rank = _plain("matrix_rank", "Number of singular values above a threshold.")
outer = _plain("outer", "All products of the components of two vectors.")
pinv = _plain("pinv", "Pseudo-inverse.")
qr = _plain("qr", "Orthonormal and triangular factors.")
slogdet = _plain("slogdet", "Sign and logarithm of the absolute value of the determinant.")
solve = _plain("solve", "Solution of linear equations.")
svd = _plain("svd", "Singular vectors and values.")
svdvals = _plain("svdvals", "Singular values, descending.")
trace = _plain("trace", "Sum of the diagonal of the last two axes.")
vector_norm = _plain("vector_norm", "Norm of vectors along axes.")
