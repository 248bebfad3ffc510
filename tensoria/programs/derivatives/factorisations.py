"""Derivatives of factorisations. Vectors that a factorisation may choose otherwise have no derivative by themselves:
the rules are those of functions that do not depend on the choice (signs, phases, vectors of one eigenvalue).

Sources: M. B. Giles, Collected matrix derivative results (2008), and for Cholesky I. Murray, arXiv:1602.07527; QR:
H. Walter and L. Lehmann, arXiv:1009.6112; SVD of complex matrices: Z.-Q. Wan and S.-X. Zhang, arXiv:1909.02659; eig:
C. Boeddeker et al., arXiv:1701.00392. These papers conjugate cotangents, and so do the rules while they follow them:
`bar` is the conjugate of ours. Functions of Hermitian matrices have Hermitian gradients, half in each triangle.
"""

from __future__ import annotations

from typing import Any

from tensoria.programs.derivatives.rule import Array, Call, Rule, adjoint, xp

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


def _inverse_gaps(of: Array) -> Array:
    """1 / (w_j - w_i), and 0 on the diagonal."""
    gaps = xp.expand_dims(of, axis=-2) - xp.expand_dims(of, axis=-1)
    eye = _eye(of.shape[-1], of)
    return (1 - eye) / (gaps + eye)


def _imaginary_diagonal(x: Array) -> Array:
    """i Im x_jj as diagonal matrices."""
    return _diagonal(1j * xp.imag(xp.linalg.diagonal(x)))


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
    w, v = call.results
    inner = None if g_values is None else _diagonal(g_values)
    if g_vectors is not None:
        turned = _inverse_gaps(w) * (adjoint(v) @ _bar(g_vectors))
        inner = turned if inner is None else inner + turned
    return [xp.conj(_hermitian(v @ xp.astype(inner, v.dtype) @ adjoint(v)))]


def _eig(call: Call, g_values: Array | None, g_vectors: Array | None) -> list[Array | None]:
    """Vectors have length 1."""
    w, v = call.results
    inner = None if g_values is None else _diagonal(_bar(g_values))
    if g_vectors is not None:
        product = adjoint(v) @ _bar(g_vectors)
        lengths = xp.expand_dims(xp.astype(xp.real(xp.linalg.diagonal(product)), v.dtype), axis=-2)
        turned = (product - (adjoint(v) @ v) * lengths) * xp.conj(_inverse_gaps(w))
        inner = turned if inner is None else inner + turned
    return [xp.conj(xp.linalg.solve(adjoint(v), inner @ adjoint(v)))]


def _svd(call: Call, g_u: Array | None, g_s: Array | None, g_vh: Array | None) -> list[Array | None]:
    u, s, vh = call.results
    k, of = s.shape[-1], u.dtype
    u1, u2, v = u[..., :, :k], u[..., :, k:], adjoint(vh)
    v1, v2 = v[..., :, :k], v[..., :, k:]
    sizes = xp.astype(s, of)
    gaps = xp.astype(_inverse_gaps(xp.square(s)), of)
    inverse = xp.expand_dims(1 / sizes, axis=-2)
    inner = xp.astype(_diagonal(xp.zeros_like(s) if g_s is None else g_s), of)
    outer = None
    if g_u is not None:
        bar = _bar(g_u)
        bar1, bar2 = bar[..., :, :k], bar[..., :, k:]
        product = adjoint(u1) @ bar1
        inner = inner + gaps * (product - adjoint(product)) * xp.expand_dims(sizes, axis=-2)
        if of.kind == "complex":
            inner = inner + _imaginary_diagonal(product) * inverse
        # What turns u1 towards its complement, and in full matrices the complement towards u1.
        away = bar1 - u1 @ product
        if call["full_matrices"]:
            away = away - u2 @ (adjoint(bar2) @ u1)
        outer = (away * inverse) @ adjoint(v1)
    if g_vh is not None:
        bar = adjoint(_bar(g_vh))
        bar1, bar2 = bar[..., :, :k], bar[..., :, k:]
        product = adjoint(v1) @ bar1
        inner = inner + xp.expand_dims(sizes, axis=-1) * gaps * (product - adjoint(product))
        away = bar1 - v1 @ product
        if call["full_matrices"]:
            away = away - v2 @ (adjoint(bar2) @ v1)
        right = u1 @ adjoint(away * inverse)
        outer = right if outer is None else outer + right
    total = u1 @ inner @ adjoint(v1)
    return [_bar(total if outer is None else total + outer)]


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
}  # fmt: skip
"""The rules of this chapter, by operation."""
