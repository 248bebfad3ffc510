"""The mathematics of an attention head, with every axis typed by the space it belongs to.

A head reads the residual space through Q, K and V and writes to it through O. Queries and keys of a head live in one
space, whose metric is the scaled dot product; values live in another, which has no metric. From these follow

* the QK circuit, a bilinear form on the residual space, a (0,2) tensor: how much one vector attends to another;
* the OV circuit, a linear map of the residual space, a (1,1) tensor: what is moved when it does;
* attention itself, y = (A ⊗ OV) X, where X is a tensor on tokens ⊗ residual.

A linear map has eigenvalues and a bilinear form has none: that is the mistake which types catch. The token space has a
privileged basis (each token is one of its vectors), so that softmax over it means something; the residual space has
none, and no metric. Nothing here names a backend: the tensors bring their own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import tensoria as tn
from tensoria.tour.weights import HeadWeights

__all__ = [
    "TOKENS",
    "Head",
    "attention",
    "by_kronecker",
    "by_modes",
    "copying_score",
    "head",
    "kronecker",
    "ov_circuit",
    "qk_circuit",
    "query_bias",
    "residual_space",
    "scores",
    "sequence",
    "value_map",
]

TOKENS = tn.Space("tokens", "n", privileged=True)
"""The positions of a sequence; its dimension is a symbol, which every call binds."""


@dataclass(frozen=True, slots=True)
class Head:
    """One attention head; a, b are indices of the residual space, c of queries and keys, d of values.

    Args:
        Q: `^c _a`, from the residual space to queries.
        K: `^c _b`, from the residual space to keys.
        V: `^d _b`, from the residual space to values.
        O: `^a _d`, from values to the residual space.
        q: `^c`, the bias of the queries.
    """

    Q: tn.Tensor
    K: tn.Tensor
    V: tn.Tensor
    O: tn.Tensor
    q: tn.Tensor


def residual_space(dimension: int) -> tn.Space:
    """The space that layers read and write; it has neither a privileged basis nor a metric."""
    return tn.Space("residual", dimension)


def head(weights: HeadWeights, residual: tn.Space, name: str, *, backend: str, dtype: str) -> Head:
    """A head's matrices as typed tensors.

    Args:
        weights: the matrices, shapes as in `HeadWeights`.
        residual: the residual space.
        name: such as `"2.7"`; the head's own spaces are named after it, so that those of two heads never mix.
        backend, dtype: where and how to make the tensors.
    """
    size = weights.Q.shape[0]
    # Attention scores are dot products divided by sqrt(d) (Vaswani et al. 2017, eq. 1): a metric on queries and keys.
    keys = tn.Space(f"keys-{name}", size, metric=[1 / math.sqrt(size)] * size)
    values = tn.Space(f"values-{name}", weights.V.shape[0])
    a, b = tn.indices("a b", residual)
    (c,) = tn.indices("c", keys)
    (d,) = tn.indices("d", values)

    def typed(data: Any, *of: tn.Index) -> tn.Tensor:
        return tn.tensor(data, of, backend=backend, dtype=dtype)

    return Head(
        Q=typed(weights.Q, c, -a),
        K=typed(weights.K, c, -b),
        V=typed(weights.V, d, -b),
        O=typed(weights.O, a, -d),
        q=typed(weights.q, c),
    )


def sequence(data: Any, residual: tn.Space, *, backend: str, dtype: str) -> tn.Tensor:
    """A token sequence `^k ^b` on tokens ⊗ residual, of data with the shape (tokens, n)."""
    return tn.tensor(data, "^k ^b", k=TOKENS, b=residual, backend=backend, dtype=dtype)


def qk_circuit(of: Head) -> tn.Tensor:
    """The QK circuit `_a _b`: the bilinear form Q^T g K, where g is the metric of queries and keys."""
    return of.Q.lowered("c") * of.K


def ov_circuit(of: Head) -> tn.Tensor:
    """The OV circuit `^a _b`: the linear map O V of the residual space."""
    return of.O @ of.V


def value_map(of: Head) -> tn.Tensor:
    """V O, a linear map of the space of values: its eigenvalues are those of O V, without that one's many zeros."""
    return of.V @ of.O


def copying_score(of: tn.Tensor) -> float:
    """Re(sum of the eigenvalues) / (sum of their absolute values): 1 for a map that copies, -1 for one that negates.

    Args:
        of: a linear map of a space to itself, a (1,1) tensor.

    Returns:
        A number between -1 and 1; nan where every eigenvalue is zero.

    Raises:
        VarianceError: it is a bilinear form, which has no eigenvalues.
    """
    values = tn.eigvals(of)
    total = complex(tn.sum(values, axis="eigenvalue"))
    absolute = float(tn.sum(abs(values), axis="eigenvalue"))
    return total.real / absolute if absolute else math.nan


def scores(X: tn.Tensor, QK: tn.Tensor) -> tn.Tensor:
    """The attention scores `^q ^k` of a sequence: the bilinear form on every pair of tokens."""
    result: tn.Tensor = tn.einsum("^q ^a, _a _b, ^k ^b -> ^q ^k", X, QK, X)
    return result


def query_bias(of: Head) -> tn.Tensor:
    """The covector `_b` that the bias of the queries adds to every row of the scores; the keys' bias adds a constant
    to each row, which softmax does not see."""
    return of.q.lowered("c") * of.K


def attention(of: tn.Tensor) -> tn.Tensor:
    """The attention pattern `^q _k`, a linear map of the token space, from scores `^q ^k`.

    Tokens have a privileged basis and so an orthonormal metric; lowering the keys by it is a step that is written out.
    """
    return tn.softmax(of, "k").lowered("k")


def by_modes(A: tn.Tensor, OV: tn.Tensor, X: tn.Tensor) -> tn.Tensor:
    """y = (A ⊗ OV) X as one contraction along each mode of X: tokens first, then the residual space; `^q ^a`."""
    return A * X * OV


def kronecker(A: tn.Tensor, OV: tn.Tensor, X: tn.Tensor) -> tuple[tn.Tensor, tn.Tensor]:
    """The same as a matrix and a vector: A ⊗ OV as a map `^y _x` of tokens ⊗ residual, and X fused to `^x`.

    Args:
        A, OV, X: `^q _k`, `^a _b` and `^k ^b`.

    Returns:
        The Kronecker product, of size (tokens n) x (tokens n), and the vector that it acts on.
    """
    vector = X.fused("k b", "x")
    (x,) = vector.indices
    product = (A * OV).fused("q a", "y").fused("k b", "x")
    # Fused covectors are an up index of tokens* ⊗ residual*: the same numbers as a down index of tokens ⊗ residual.
    return product.components[x.renamed("y"), -x], vector


def by_kronecker(A: tn.Tensor, OV: tn.Tensor, X: tn.Tensor) -> tn.Tensor:
    """y = (A ⊗ OV) X as one matrix times one vector, split again into `^q ^a`."""
    matrix, vector = kronecker(A, OV, X)
    return (matrix * vector).split("y", "q a")
