"""Attention with heads, written once in named axes, on every installed backend; float64, random weights.

Tokens, heads and the sequence are plain axes; what is attended to lives in vector spaces. The largest difference is
to the first backend. It prints:

numpy       y: q ^r, largest difference 0.0e+00
tensorflow  y: q ^r, largest difference below 1e-12
torch       y: q ^r, largest difference below 1e-12
the same in a rotated residual basis: largest difference below 1e-12
"""

import numpy as np

import tensoria as tn
from tensoria.errors import BackendNotFoundError

RESIDUAL = tn.Space("residual", 16)
HEAD = tn.Space("head", 4, privileged=True)  # orthonormal, so that queries can be lowered


def weights(heads=3, tokens=7):
    """A sequence X and the maps of all heads, as NumPy tensors."""
    random = np.random.default_rng(0)
    shape = (heads, HEAD.dimension, RESIDUAL.dimension)
    Q, K, V = (tn.tensor(random.normal(size=shape), "h ^c _r", c=HEAD, r=RESIDUAL) for _ in range(3))
    out = tn.tensor(random.normal(size=(heads, shape[2], shape[1])), "h ^r _c", c=HEAD, r=RESIDUAL)
    return tn.tensor(random.normal(size=(tokens, shape[2])), "token ^r", r=RESIDUAL), Q, K, V, out


def attention(X, Q, K, V, out):
    """Scores between queries and keys, a softmax over keys, and values moved along it; heads are summed."""
    queries = tn.einsum("h ^c _r, q ^r -> h q ^c", Q, X)
    keys = tn.einsum("h ^c _r, k ^r -> h k ^c", K, X)
    values = tn.einsum("h ^c _r, k ^r -> h k ^c", V, X)
    scores = tn.einsum("h q _c, h k ^c -> h q k", queries.lowered("c"), keys)
    A = tn.softmax(scores / HEAD.dimension**0.5, "k")
    return tn.einsum("h q k, h ^r _c, h k ^c -> q ^r", A, out, values)


def difference(x, y):
    """The largest difference of two tensors' components, in words."""
    largest = float(np.abs(np.asarray(x.components) - np.asarray(y.components)).max())
    return f"{largest:.1e}" if largest == 0 or largest >= 1e-12 else "below 1e-12"


def main():
    """Run the same function on each backend, and in another basis."""
    tensors = weights()
    first = attention(*tensors)
    for name in tn.available():
        try:
            y = attention(*(t.to(backend=name) for t in tensors))
        except BackendNotFoundError:
            continue
        print(f"{name:11} y: {y.axes}, largest difference {difference(first, y)}")
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(RESIDUAL.dimension,) * 2))
    rotated = RESIDUAL.basis("rotated", rotation)
    y = attention(*(t.to_basis(rotated) for t in tensors)).to_basis(RESIDUAL)
    print(f"the same in a rotated residual basis: largest difference {difference(first, y)}")


if __name__ == "__main__":
    main()
