"""One tensor type that knows what its axes mean, on NumPy, PyTorch and TensorFlow."""

from tensoria import errors
from tensoria.algebra.exterior import hodge
from tensoria.algebra.factorisations import eig, eigvals, polar, qr, svd
from tensoria.algebra.patterns import rearrange, reduce, repeat
from tensoria.algebra.raising import inner
from tensoria.backend import available, use
from tensoria.einsum import einsum, einsum_path
from tensoria.indices import Index, indices
from tensoria.making import asarray, levi_civita, levi_civita_symbol, tensor
from tensoria.spaces import Basis, ProductSpace, Space
from tensoria.tensor import Tensor

__all__ = [
    "Basis",
    "Index",
    "ProductSpace",
    "Space",
    "Tensor",
    "asarray",
    "available",
    "eig",
    "eigvals",
    "einsum",
    "einsum_path",
    "errors",
    "hodge",
    "indices",
    "inner",
    "levi_civita",
    "levi_civita_symbol",
    "polar",
    "qr",
    "rearrange",
    "reduce",
    "repeat",
    "svd",
    "tensor",
    "use",
]
