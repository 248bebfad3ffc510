"""Derivatives of factorisations. Vectors that a factorisation may choose otherwise have no derivative by themselves:
the rules are those of functions that do not depend on the choice (signs, phases, vectors of one eigenvalue).

Sources: M. B. Giles, Collected matrix derivative results (2008), and for Cholesky I. Murray, arXiv:1602.07527; QR:
H. Walter and L. Lehmann, arXiv:1009.6112; SVD and eigenvalue problems are in `spectral`. These papers conjugate
cotangents, and so do the rules while they follow them: `bar` is the conjugate of ours. Functions of Hermitian matrices
have Hermitian gradients, half in each triangle.
"""

from __future__ import annotations

from typing import Any

from tensoria import spectral
from tensoria.programs.derivatives.rule import Array, Call, Rule, adjoint, xp
from tensoria.spectral import Arithmetic, Near, nearly

__all__ = ["RULES"]


def _bar(g: Array | None) -> Any:
    return g if g is None or g.dtype.kind != "complex" else xp.conj(g)


def _hermitian(x: Array) -> Array:
    return (x + adjoint(x)) / 2


def _eye(size: Any, like: Array) -> Array:
    return xp.eye(size, dtype=like.dtype)


def _diagonal(of: Array) -> Array:
    """Numbers as diagonal matrices."""
    return xp.expand_dims(of, axis=-1) * _eye(of.shape[-1], of)


def _stopped(x: Array) -> Array:
    return x.recorder.record("stop_gradient", (x,))[0]


MATHS = Arithmetic(xp, _stopped, lambda of, like: _eye(of.shape[-1], like), lambda x: x.dtype.kind == "complex")


def _near(x: Array, close: float | None = None) -> Near:
    return nearly(x.dtype.kind, x.dtype.itemsize, close)


def _cholesky(call: Call, g: Array) -> list[Array | None]:
    lower, bar = call.results[0], _bar(g)
    if call["upper"]:
        lower, bar = adjoint(lower), adjoint(bar)
    product = adjoint(lower) @ bar
    half = xp.tril(product, k=-1) + _diagonal(xp.linalg.diagonal(product)) / 2
    inner = _hermitian(half)
    # L^-H inner L^-1
    solved = xp.linalg.solve(adjoint(lower), inner)
    return [xp.conj(adjoint(xp.linalg.solve(adjoint(lower), adjoint(solved))))]


def _eigh(call: Call, g_values: Array | None, g_vectors: Array | None) -> list[Array | None]:
    (x,) = call.operands
    cotangents, near = (g_values, _bar(g_vectors)), _near(x, call.attributes.get("close"))
    return [_bar(spectral.eigh_pulled(MATHS, x, call.results, cotangents, near, True))]


def _eigvalsh(call: Call, g: Array) -> list[Array | None]:
    (x,) = call.operands
    factors = tuple(xp.linalg.eigh(x))
    return [_bar(spectral.eigh_pulled(MATHS, x, factors, (g, None), _near(x), True))]


def _eig(call: Call, g_values: Array | None, g_vectors: Array | None) -> list[Array | None]:
    """Vectors have length 1."""
    factors, cotangents = call.results, (_bar(g_values), _bar(g_vectors))
    return [xp.conj(spectral.eig_pulled(MATHS, factors, cotangents, _near(call.operands[0])))]


def _eigvals(call: Call, g: Array) -> list[Array | None]:
    (x,) = call.operands
    factors = tuple(xp.linalg.eig(x))
    return [xp.conj(spectral.eig_pulled(MATHS, factors, (_bar(g), None), _near(x)))]


def _svd(call: Call, g_u: Array | None, g_s: Array | None, g_vh: Array | None) -> list[Array | None]:
    (x,), cotangents = call.operands, (_bar(g_u), g_s, _bar(g_vh))
    near, full = _near(x, call.attributes.get("close")), call["full_matrices"]
    return [_bar(spectral.svd_pulled(MATHS, x, call.results, cotangents, near, True, full))]


def _svdvals(call: Call, g: Array) -> list[Array | None]:
    (x,) = call.operands
    factors = tuple(xp.linalg.svd(x, full_matrices=False))
    return [_bar(spectral.svdvals_pulled(MATHS, factors, g, _near(x)))]


def _qr(call: Call, g_q: Array | None, g_r: Array | None) -> list[Array | None]:
    (x,), (q, r) = call.operands, call.results
    m, n = x.shape[-2:]
    bar_q, bar_r = (xp.zeros_like(of) if g is None else _bar(g) for g, of in ((g_q, q), (g_r, r)))
    if m < n:
        # x = (a b) = q (r_a r_b), where q r_a is the factorisation of a, and r_b = q^H b.
        b = x[..., :, m:]
        bar_a, bar_b = bar_r[..., :, :m], bar_r[..., :, m:]
        left = _tall(q, r[..., :, :m], bar_q + b @ adjoint(bar_b), bar_a)
        return [_bar(xp.concat([left, q @ bar_b], axis=-1))]
    if call["mode"] == "complete":
        # The complement of the first n columns turns only as they do.
        q1, q2 = q[..., :, :n], q[..., :, n:]
        bar_q = bar_q[..., :, :n] - q2 @ (adjoint(bar_q[..., :, n:]) @ q1)
        q, r, bar_r = q1, r[..., :n, :], bar_r[..., :n, :]
    return [_bar(_tall(q, r, bar_q, bar_r))]


def _tall(q: Array, r: Array, bar_q: Array, bar_r: Array) -> Array:
    """(bar_q + q M) r^-H, where M is Hermitian with the upper triangle of bar_r r^H - q^H bar_q."""
    product = bar_r @ adjoint(r) - adjoint(q) @ bar_q
    above = xp.triu(product, k=1)
    diagonal = xp.linalg.diagonal(product)
    if diagonal.dtype.kind == "complex":
        diagonal = xp.astype(xp.real(diagonal), product.dtype)
    total = bar_q + q @ (above + adjoint(above) + _diagonal(diagonal))
    return adjoint(xp.linalg.solve(r, adjoint(total)))


RULES: dict[str, Rule] = {
    "linalg.cholesky": _cholesky, "linalg.eigh": _eigh, "linalg.eig": _eig, "linalg.svd": _svd, "linalg.qr": _qr,
    "linalg.eigvalsh": _eigvalsh, "linalg.eigvals": _eigvals, "linalg.svdvals": _svdvals,
}  # fmt: skip
"""The rules of this chapter, by operation."""
