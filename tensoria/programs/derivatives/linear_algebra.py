"""Derivatives of linear algebra: of functions of matrices, and of norms. Factorisations are a chapter of their own.

Sources: M. B. Giles, Collected matrix derivative results for forward and reverse mode algorithmic differentiation
(2008); for the pseudo-inverse G. H. Golub and V. Pereyra, SIAM J. Numer. Anal. 10 (1973). Cotangents are not
conjugated (`rule`), so that transposes stand where those sources, for real matrices, have them.
"""

from __future__ import annotations

import math

from tensoria.programs.derivatives.rule import Array, Call, Rule, adjoint, matrix_transpose, spread, xp
from tensoria.programs.operations.indexing import At, Cut
from tensoria.programs.standard import cast

__all__ = ["RULES"]


def _last(g: Array) -> Array:
    """Numbers, one for each matrix, as matrices of one component."""
    return xp.expand_dims(g, axis=(g.ndim, g.ndim + 1))


def _inv(call: Call, g: Array) -> list[Array | None]:
    y = matrix_transpose(call.results[0])
    return [-(y @ g @ y)]


def _det(call: Call, g: Array) -> list[Array | None]:
    (x,), (y,) = call.operands, call.results
    return [_last(g * y) * matrix_transpose(xp.linalg.inv(x))]


def _slogdet(call: Call, g_sign: Array | None, g_log: Array | None) -> list[Array | None]:
    """The logarithm of det changes by tr(x^-1 dx): its real part is logabsdet's, its imaginary part turns the sign."""
    (x,), (sign, _) = call.operands, call.results
    total = None if g_log is None else cast(g_log, x.dtype)
    if g_sign is not None and x.dtype.kind == "complex":
        turned = -1j * xp.real(1j * g_sign * sign)
        total = turned if total is None else total + turned
    return [None if total is None else _last(total) * matrix_transpose(xp.linalg.inv(x))]


def _solve(call: Call, g: Array) -> list[Array | None]:
    a, b = call.operands
    (x,) = call.results
    vector = b.ndim == 1
    if vector:
        g, x = xp.expand_dims(g, axis=-1), xp.expand_dims(x, axis=-1)
    solved = xp.linalg.solve(matrix_transpose(a), g)
    return [-(solved @ matrix_transpose(x)), solved[..., 0] if vector else solved]


def _pinv(call: Call, g: Array) -> list[Array | None]:
    """Golub and Pereyra's (4.12), for a constant rank."""
    (x,), (p,) = call.operands, call.results
    bar = xp.conj(g)
    left, right = x @ p, p @ x
    one_left, one_right = (xp.eye(m.shape[-1], dtype=x.dtype) - m for m in (left, right))
    pt = adjoint(p)
    total = -(pt @ bar @ pt) + one_left @ adjoint(bar) @ p @ pt + pt @ p @ adjoint(bar) @ one_right
    return [xp.conj(total)]


def _matrix_power(call: Call, g: Array) -> list[Array | None]:
    def power(x: Array) -> tuple[Array]:
        n = call["n"]
        if n == 0:
            return (xp.zeros_like(x),)
        x = xp.linalg.inv(x) if n < 0 else x
        out = None
        # By the binary digits of n, least first.
        for digit in reversed(bin(abs(n))[2:]):
            if digit == "1":
                out = x if out is None else out @ x
            x = x @ x
        return (out,)

    return list(call.through(power, (g,), *call.operands))


def _diagonal(call: Call, g: Array) -> list[Array | None]:
    (x,), offset = call.operands, call["offset"]
    places = xp.arange(g.shape[-1])
    rows, columns = places + max(-offset, 0), places + max(offset, 0)
    key = (*(Cut(),) * (x.ndim - 2), At(1), At(2))
    return [x.recorder.record("setitem", (xp.zeros_like(x), g, rows, columns), key=key)[0]]


def _cross(call: Call, g: Array) -> list[Array | None]:
    a, b = call.operands
    # g . (da x b) = da . (b x g)
    return [
        xp.linalg.cross(*xp.broadcast_arrays(b, g), axis=call["axis"]),
        xp.linalg.cross(*xp.broadcast_arrays(g, a), axis=call["axis"]),
    ]


def _vector_norm(call: Call, g: Array) -> list[Array | None]:
    (x,), (y,) = call.operands, call.results
    order, axes, keepdims = call["ord"], call["axes"], call["keepdims"]
    if order == 0:
        return [None]
    if math.isinf(order):
        extreme = xp.max if order > 0 else xp.min
        return list(call.through(lambda x: (extreme(xp.abs(x), axis=axes, keepdims=keepdims),), (g,), x))
    g, y = (spread(of, x.shape, axes, keepdims) for of in (g, y))
    direction = xp.conj(xp.sign(x)) if x.dtype.kind == "complex" else xp.sign(x)
    if order == 1:
        return [g * direction]
    # Where the norm is 0, its least subgradient is.
    zero = xp.equal(y, 0)
    return [g * direction * xp.where(zero, 0, (xp.abs(x) / xp.where(zero, 1, y)) ** (order - 1))]


def _matrix_norm(call: Call, g: Array) -> list[Array | None]:
    order, keepdims = call["ord"], call["keepdims"]

    def norm(x: Array) -> tuple[Array]:
        if order == "fro":
            return (xp.linalg.vector_norm(x, axis=(x.ndim - 2, x.ndim - 1), keepdims=keepdims),)
        extreme = xp.min if order not in ("nuc",) and order < 0 else xp.max
        if order in ("nuc", 2, -2):
            values = xp.linalg.svdvals(x)
            out = xp.sum(values, axis=-1) if order == "nuc" else extreme(values, axis=-1)
        else:
            out = extreme(xp.sum(xp.abs(x), axis=-2 if abs(order) == 1 else -1), axis=-1)
        return (xp.expand_dims(out, axis=(out.ndim, out.ndim + 1)) if keepdims else out,)

    return list(call.through(norm, (g,), *call.operands))


RULES: dict[str, Rule] = {
    "linalg.det": _det, "linalg.slogdet": _slogdet, "linalg.inv": _inv, "linalg.solve": _solve, "linalg.pinv": _pinv,
    "linalg.matrix_power": _matrix_power, "linalg.diagonal": _diagonal, "linalg.cross": _cross,
    "linalg.vector_norm": _vector_norm, "linalg.matrix_norm": _matrix_norm,
}  # fmt: skip
"""The rules of this chapter, by operation."""
