"""Linear algebra on plain tensors; labelled ones have `*`, `@`, `tn.einsum` and the factorisations."""

from __future__ import annotations

from tensoria.namespace.dispatch import plain, tensor_of
from tensoria.tensor import Tensor

__all__ = [
    "matmul",
    "matrix_transpose",
    "tensordot",
    "vecdot",
]

matrix_transpose = plain("matrix_transpose", "The last two axes exchanged.")
tensordot = plain("tensordot", "Contraction over given axes.")
vecdot = plain("vecdot", "Product of vectors along an axis, the first conjugated.")


def matmul(x1: Tensor, x2: Tensor, /) -> Tensor:
    """Matrix product of plain tensors; of labelled ones, the composition of linear maps (see `Tensor.__matmul__`)."""
    return tensor_of(x1, "matmul") @ tensor_of(x2, "matmul")
