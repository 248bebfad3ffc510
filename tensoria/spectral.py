"""Derivatives of SVD and eigenvalue problems, finite and right also where singular values or eigenvalues are equal.

Write A = U S V^H, and for a change dA the Hermitian and the skew part of U^H dA V = H + K, and U^H dU + V^H dV = R,
U^H dU - V^H dV = D. Then H = [R, S] / 2 + dS and K = (D S + S D) / 2: D needs the sums of singular values only, and
only R and dS know of differences. Where s_i and s_j are equal nothing determines both; the convention is that
vectors do not turn there, R_ij = 0, and that S takes what is left, dS_ij = H_ij, off its diagonal too. So the
decomposition stays one by blocks, which is a smooth function of A, and every function that does not depend on the
choice of vectors within a block has its right derivative, provided it takes S as a matrix, as `tensoria.svd` gives it
(`S = U^H A V` says it all, see `changing`). Singular values as a list have no place for dS_ij: of functions of these,
what is right at equal values is what treats them alike (sums of functions of them) or leaves them out (U V^H).

Values count as equal if they differ by little in proportion to the greatest one, and as 0 if they are little. Then
1 / 0 is 0, and dS_ij = H_ij + K_ij between two that are 0. This leaves out what turns vectors of singular value 0 out
of the span of all, of matrices that are not square. Eigenvectors of Hermitian matrices go by the same rule:
V^H dV = 0 between equal ones.

The functions take a framework's Array API functions, so that one formula serves all. Gradients come and go as
d/dx + i d/dy, the conjugate of tensoria's, and as in the sources: J. Townsend, Differentiating the singular value
decomposition (2016); Z.-Q. Wan and S.-X. Zhang, arXiv:1909.02659; C. Boeddeker et al., arXiv:1701.00392.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tensoria.errors import MatrixError

__all__ = [
    "ALL",
    "Arithmetic",
    "Near",
    "changing",
    "counted",
    "eig_followed",
    "eig_pulled",
    "eig_pushed",
    "eigh_followed",
    "eigh_pulled",
    "eigh_pushed",
    "in_blocks",
    "nearly",
    "no_basis",
    "precision",
    "svd_followed",
    "svd_pulled",
    "svd_pushed",
    "svdvals_pulled",
]

Array = Any
ALL = 1.0
"""By this relative difference all singular values count as equal: for what needs no single singular vectors."""


class Near(NamedTuple):
    """Up to which relative difference values count as equal, and up to which relative size as zero."""

    equal: float
    zero: float


def nearly(kind: str, itemsize: int, equal: float | None = None) -> Near:
    """What counts as equal and as zero in a data type.

    Args:
        kind, itemsize: the data type's, of floating-point or complex numbers.
        equal: another relative difference up to which values count as equal.
    """
    zero = 16 * precision(kind, itemsize)
    return Near(zero if equal is None else equal, zero)


def in_blocks(kind: str, itemsize: int) -> float:
    """The relative difference up to which values count as equal where S is used as a matrix.

    To count them as equal costs nothing then, and quotients by smaller differences would lose more than a third of the
    digits.
    """
    return float(precision(kind, itemsize) ** (2 / 3))


def precision(kind: str, itemsize: int) -> float:
    """The distance from 1 to the next number, of a data type of `float` or `complex` kind and so many bytes."""
    return 2.0 ** (-23 if itemsize // (2 if kind == "complex" else 1) == 4 else -52)


def no_basis() -> MatrixError:
    """The error for eigenvectors whose derivatives do not exist."""
    return MatrixError(
        "eig: the eigenvectors are no basis, so that they have no derivatives.",
        legal="tn.linalg.eigh(t) of a Hermitian matrix, whose eigenvectors always are",
    )


class Arithmetic(NamedTuple):
    """A framework: its Array API functions, and what these have not.

    Attributes:
        xp: the functions, on native arrays with operators; `linalg.solve` raises `no_basis()` where it can see that.
        stop: cuts derivatives off.
        eye: the identity for the last axis of one array, in the data type and on the device of another.
        is_complex: whether an array is of complex numbers.
    """

    xp: Any
    stop: Callable[[Array], Array]
    eye: Callable[[Array, Array], Array]
    is_complex: Callable[[Array], bool]

    def adjoint(self, x: Array) -> Array:
        """Matrices conjugated and transposed."""
        turned = self.xp.matrix_transpose(x)
        return self.xp.conj(turned) if self.is_complex(x) else turned

    def hermitian(self, x: Array) -> Array:
        """The Hermitian part."""
        return (x + self.adjoint(x)) / 2

    def skew(self, x: Array) -> Array:
        """The skew-Hermitian part."""
        return (x - self.adjoint(x)) / 2

    def diagonal(self, x: Array) -> Array:
        """The diagonals of matrices, real."""
        found = self.xp.linalg.diagonal(x)
        return self.xp.real(found) if self.is_complex(found) else found

    def matrix(self, numbers: Array, like: Array) -> Array:
        """Numbers as diagonal matrices, in the data type of others."""
        return _row(self, self.xp.astype(numbers, like.dtype)) * self.eye(numbers, like)

    def kept(self, numbers: Array, derivatives: Array) -> Array:
        """The numbers of one array and the derivatives of another, which is the same but for rounding."""
        return self.stop(numbers) + (derivatives - self.stop(derivatives))

    def reciprocal(self, x: Array, without: Array) -> Array:
        """1 / x, and 0 where `without` holds (numbers 0 or 1 of the same data type)."""
        kept = 1 - without
        return kept / (x * kept + without)

    def holds(self, condition: Array, like: Array) -> Array:
        """A condition as numbers 0 and 1, which have no derivative."""
        return self.stop(self.xp.astype(condition, like.dtype))


def _row(m: Arithmetic, x: Array) -> Array:
    return m.xp.expand_dims(x, axis=-2)


def _column(m: Arithmetic, x: Array) -> Array:
    return m.xp.expand_dims(x, axis=-1)


def counted(m: Arithmetic, s: Array, near: Near) -> Array:
    """The singular values whose derivative is not 0 by convention, as |x|'s is at 0: 1, and 0 for the others."""
    return m.holds(m.xp.greater(s, near.zero * m.xp.max(s, axis=-1, keepdims=True)), s)


class _Gaps(NamedTuple):
    """What is divided by: 1 / (s_j - s_i), 1 / (s_j + s_i), 1 / s_j, with 0 where that is nothing to divide by."""

    differences: Array
    sums: Array
    single: Array


def _greatest(m: Arithmetic, values: Array) -> Array:
    return m.xp.max(m.xp.abs(values), axis=-1, keepdims=True)


def _differences(m: Arithmetic, values: Array, near: Near) -> Array:
    gaps = _row(m, values) - _column(m, values)
    size = near.equal * _column(m, _greatest(m, values))
    return m.reciprocal(gaps, m.holds(m.xp.less_equal(m.xp.abs(gaps), size), gaps))


def _gaps(m: Arithmetic, s: Array, near: Near, like: Array) -> _Gaps:
    sums, size = _row(m, s) + _column(m, s), near.zero * _greatest(m, s)
    single = m.reciprocal(s, m.holds(m.xp.less_equal(s, size), s))
    both = m.reciprocal(sums, m.holds(m.xp.less_equal(sums, _column(m, size)), sums))
    found = (_differences(m, s, near), both, _row(m, single))
    return _Gaps(*[m.xp.astype(x, like.dtype) for x in found])


def changing(m: Arithmetic, values: Array, left: Array, x: Array, right: Array) -> Array:
    """diag(values) as the matrix left @ x @ right that it is: the numbers of the one, the derivatives of the other."""
    product = left @ x @ right
    return m.kept(m.matrix(values, product), product)


def _solved(m: Arithmetic, given: Array, s: Array | None, inverse: Array, sign: int) -> Array:
    """The X with X S + sign S X = given for a diagonal S, by the reciprocals of its eigenvalues.

    If S is given, the solution also has the derivative that it has for an S which is about to be no longer diagonal.
    """
    found = inverse * given
    if s is None:
        return found
    rest = given - (found @ s + sign * (s @ found))
    return found + m.stop(inverse) * rest


def _right(m: Arithmetic, given: Array, s: Array | None, inverse: Array) -> Array:
    """given S^-1, likewise."""
    found = given * inverse
    return found if s is None else found + (given - found @ s) * m.stop(inverse)


# -- singular values --------------------------------------------------------------------------------------------------


def svd_pulled(
    m: Arithmetic, x: Array, factors: tuple[Array, Array, Array], cotangents: tuple[Any, Any, Any], near: Near,
    again: bool, full: bool = False,
) -> Array:  # fmt: skip
    """The gradient by x from those by U, s and V^H.

    Args:
        m: the framework.
        x: matrices.
        factors: their U, s, V^H.
        cotangents: the gradients by these, None for one that is zero.
        near: which singular values count as equal, and as zero.
        again: whether the gradient may be differentiated again.
        full: whether U and V are square; their further vectors are a basis of no importance.
    """
    (u, s, vh), (gu, gs, gvh) = factors, cotangents
    if s.shape[-1] == 0:
        return m.xp.zeros_like(x)
    gaps = _gaps(m, s, near, u)
    v, gv = m.adjoint(vh), None if gvh is None else m.adjoint(gvh)
    whole = (u, v)
    if full:
        k = s.shape[-1]
        u, v = u[..., :, :k], v[..., :, :k]
    one = changing(m, s, m.adjoint(u), x, v) if again else None
    inner = None if gs is None else m.matrix(gs, u)
    turn = _turned(m, u, gu, s.shape[-1]), _turned(m, v, gv, s.shape[-1])
    if gu is not None or gv is not None:
        first, second = (0 if t is None else m.skew(t) for t in turn)
        both = _solved(m, first + second, one, gaps.differences, -1)
        both = both + _solved(m, first - second, one, gaps.sums, 1)
        inner = both if inner is None else inner + both
    out = u @ inner @ m.adjoint(v)
    if gu is not None and _beyond(u):
        out = out + _right(m, _away(m, u, gu, turn[0], whole[0] if full else None), one, gaps.single) @ m.adjoint(v)
    if gv is not None and _beyond(v):
        out = out + u @ m.adjoint(_right(m, _away(m, v, gv, turn[1], whole[1] if full else None), one, gaps.single))
    return out


def _turned(m: Arithmetic, vectors: Array, cotangent: Array | None, count: Any) -> Array | None:
    if cotangent is None:
        return None
    return m.adjoint(vectors) @ (cotangent if _same(cotangent, vectors) else cotangent[..., :, :count])


def _same(a: Array, b: Array) -> bool:
    return bool(a.shape[-1] == b.shape[-1])


def _beyond(vectors: Array) -> bool:
    """Whether there are directions that vectors do not span (or may be: sizes can be unknown)."""
    rows, columns = vectors.shape[-2:]
    return not (rows is not None and columns is not None and rows == columns)


def _away(m: Arithmetic, vectors: Array, cotangent: Array, turned: Array, whole: Array | None) -> Array:
    """What of a cotangent leads out of the span of the vectors; of square matrices the rest turns against it."""
    if whole is None:
        return cotangent - vectors @ turned
    k = vectors.shape[-1]
    others, along = whole[..., :, k:], cotangent[..., :, k:]
    return cotangent[..., :, :k] - vectors @ turned - others @ (m.adjoint(along) @ vectors)


def svdvals_pulled(m: Arithmetic, factors: tuple[Array, Array, Array], gs: Array, near: Near) -> Array:
    """The gradient by x from that by s alone: singular values of 0 have the derivative 0, as |x| has."""
    u, s, vh = factors
    if s.shape[-1] == 0:
        return (u @ vh) * 0
    return (u * _row(m, m.xp.astype(gs * counted(m, s, near), u.dtype))) @ vh


def svd_pushed(
    m: Arithmetic, x: Array, factors: tuple[Array, Array, Array], tangent: Array, near: Near, full: bool = False
) -> tuple[Array, Array, Array]:
    """The derivatives of U, s and V^H along a tangent of x; arguments as for `svd_pulled`."""
    u, s, vh = factors
    if s.shape[-1] == 0:
        return m.xp.zeros_like(u), m.xp.zeros_like(s), m.xp.zeros_like(vh)
    v, k, gaps = m.adjoint(vh), s.shape[-1], _gaps(m, s, near, u)
    u1, v1 = (u[..., :, :k], v[..., :, :k]) if full else (u, v)
    one = changing(m, s, m.adjoint(u1), x, v1)
    change = m.adjoint(u1) @ tangent @ v1
    both = _solved(m, m.hermitian(change), one, gaps.differences, -1)
    opposite = _solved(m, m.skew(change), one, gaps.sums, 1)
    du, dv = u1 @ (both + opposite), v1 @ (both - opposite)
    if _beyond(u1):
        du = du + _right(m, tangent @ v1 - u1 @ change, one, gaps.single)
    if _beyond(v1):
        dv = dv + _right(m, m.adjoint(tangent) @ u1 - v1 @ m.adjoint(change), one, gaps.single)
    if full:
        du, dv = (_completed(m, part, whole, d, k) for part, whole, d in ((u1, u, du), (v1, v, dv)))
    return du, m.diagonal(change), m.adjoint(dv)


def _completed(m: Arithmetic, vectors: Array, whole: Array, change: Array, k: Any) -> Array:
    """The change of a square matrix from that of its first vectors: the others turn against them."""
    others = whole[..., :, k:]
    return m.xp.concat([change, -(vectors @ (m.adjoint(change) @ others))], axis=-1)


def svd_followed(
    m: Arithmetic, x: Array, factors: tuple[Array, Array, Array], near: Near, order: int, full: bool = False
) -> tuple[Array, Array, Array]:
    """The factors as functions of x written in plain operations, for frameworks that take no rules where this is used.

    Args:
        m, x, factors, near, full: as for `svd_pulled`.
        order: up to which order their derivatives are asked for. Newton's method for the nearest decomposition, with
            the slope at x, gains one in each step.
    """
    u, s, vh = (m.stop(part) for part in factors)
    if s.shape[-1] == 0:
        return m.kept(u, u @ x @ m.adjoint(vh)), s, vh
    v, k, gaps = m.adjoint(vh), s.shape[-1], _gaps(m, s, near, u)
    u1, v1 = (u[..., :, :k], v[..., :, :k]) if full else (u, v)
    others = [part[..., :, k:] if full else None for part in (u, v)]
    for _ in range(order):
        product, rest = m.adjoint(u1) @ x @ v1, [_excess(m, part, s) for part in (u1, v1)]
        change = product - (rest[0] @ product + product @ rest[1]) / 2
        both, opposite = gaps.differences * m.hermitian(change), gaps.sums * m.skew(change)
        du = u1 @ (both + opposite - rest[0] / 2)
        dv = v1 @ (both - opposite - rest[1] / 2)
        if _beyond(u1):
            du = du + (x @ v1 - u1 @ product) * gaps.single
        if _beyond(v1):
            dv = dv + (m.adjoint(x) @ u1 - v1 @ m.adjoint(product)) * gaps.single
        if full:
            others = [_followed(m, part, along) for part, along in zip((u1, v1), others, strict=True)]
        u1, v1 = u1 + du, v1 + dv
    values = m.diagonal(m.adjoint(u1) @ x @ v1)
    if full:
        others = [_followed(m, part, along) for part, along in zip((u1, v1), others, strict=True)]
        u1, v1 = (m.xp.concat([part, along], axis=-1) for part, along in zip((u1, v1), others, strict=True))
    return m.kept(u, u1), m.kept(s, values), m.kept(vh, m.adjoint(v1))


def _excess(m: Arithmetic, vectors: Array, s: Array) -> Array:
    """How far vectors are from being orthonormal."""
    return m.adjoint(vectors) @ vectors - m.eye(s, vectors)


def _followed(m: Arithmetic, vectors: Array, others: Array) -> Array:
    """The further vectors of a square matrix, one step nearer to being orthonormal, also to the first ones."""
    product = m.adjoint(others) @ others
    within = others @ ((3 * m.eye(m.diagonal(product), others) - product) / 2)
    return within - vectors @ (m.adjoint(vectors) @ others)


# -- eigenvalues ------------------------------------------------------------------------------------------------------


def eigh_pulled(
    m: Arithmetic, x: Array, factors: tuple[Array, Array], cotangents: tuple[Any, Any], near: Near, again: bool
) -> Array:
    """The gradient by Hermitian matrices, half in each triangle, from those by eigenvalues and eigenvectors."""
    (w, v), (gw, gv) = factors, cotangents
    if w.shape[-1] == 0:
        return m.xp.zeros_like(x)
    inner = None if gw is None else m.matrix(gw, v)
    if gv is not None:
        one = changing(m, w, m.adjoint(v), m.hermitian(x), v) if again else None
        inverse = m.xp.astype(_differences(m, w, near), v.dtype)
        turned = _solved(m, m.skew(m.adjoint(v) @ gv), one, inverse, -1)
        inner = turned if inner is None else inner + turned
    return v @ inner @ m.adjoint(v)


def eigh_pushed(
    m: Arithmetic, x: Array, factors: tuple[Array, Array], tangent: Array, near: Near
) -> tuple[Array, Array]:
    """The derivatives of eigenvalues and eigenvectors along the Hermitian part of a tangent."""
    w, v = factors
    if w.shape[-1] == 0:
        return m.xp.zeros_like(w), m.xp.zeros_like(v)
    change = m.adjoint(v) @ m.hermitian(tangent) @ v
    one = changing(m, w, m.adjoint(v), m.hermitian(x), v)
    inverse = m.xp.astype(_differences(m, w, near), v.dtype)
    return m.diagonal(change), v @ _solved(m, change, one, inverse, -1)


def eigh_followed(
    m: Arithmetic, x: Array, factors: tuple[Array, Array], near: Near, order: int
) -> tuple[Array, Array]:
    """Eigenvalues and eigenvectors as functions of x in plain operations (see `svd_followed`)."""
    w, v = start = tuple(m.stop(part) for part in factors)
    if w.shape[-1] == 0:
        return w, v
    x, inverse = m.hermitian(x), m.xp.astype(_differences(m, w, near), v.dtype)
    for _ in range(order):
        product, rest = m.adjoint(v) @ x @ v, _excess(m, v, w)
        change = product - (rest @ product + product @ rest) / 2
        v = v + v @ (inverse * change - rest / 2)
    return m.kept(start[0], m.diagonal(m.adjoint(v) @ x @ v)), m.kept(start[1], v)


def eig_pulled(m: Arithmetic, factors: tuple[Array, Array], cotangents: tuple[Any, Any], near: Near) -> Array:
    """The gradient by square matrices from those by eigenvalues and eigenvectors, which have length 1; complex."""
    (w, v), (gw, gv) = factors, cotangents
    if w.shape[-1] == 0:
        return (v * 0) @ m.adjoint(v)
    inner = None if gw is None else m.matrix(gw, v)
    if gv is not None:
        product = m.adjoint(v) @ gv
        lengths = _row(m, m.xp.astype(m.diagonal(product), v.dtype))
        turned = (product - (m.adjoint(v) @ v) * lengths) * m.xp.conj(_differences_of_complex(m, w, near))
        inner = turned if inner is None else inner + turned
    return m.xp.linalg.solve(m.adjoint(v), inner @ m.adjoint(v))


def eig_pushed(m: Arithmetic, factors: tuple[Array, Array], tangent: Array, near: Near) -> tuple[Array, Array]:
    """The derivatives of eigenvalues and eigenvectors along a tangent."""
    w, v = factors
    if w.shape[-1] == 0:
        return m.xp.zeros_like(w), m.xp.zeros_like(v)
    change = m.xp.linalg.solve(v, m.xp.astype(tangent, v.dtype) @ v)
    along = v @ (_differences_of_complex(m, w, near) * change)
    lengths = _row(m, m.xp.astype(m.diagonal(m.adjoint(v) @ along), v.dtype))
    return m.xp.linalg.diagonal(change), along - v * lengths


def _differences_of_complex(m: Arithmetic, w: Array, near: Near) -> Array:
    gaps, size = _row(m, w) - _column(m, w), near.equal * _column(m, _greatest(m, m.stop(w)))
    return m.reciprocal(gaps, m.holds(m.xp.less_equal(m.xp.abs(m.stop(gaps)), size), w))


def eig_followed(
    m: Arithmetic, x: Array, factors: tuple[Array, Array], near: Near, order: int
) -> tuple[Array, Array]:
    """Eigenvalues and eigenvectors as functions of x in plain operations (see `svd_followed`)."""
    w, v = start = tuple(m.stop(part) for part in factors)
    if w.shape[-1] == 0:
        return w, v
    x, inverse = m.xp.astype(x, v.dtype), _differences_of_complex(m, w, near)
    for _ in range(order):
        v = v + v @ (inverse * m.xp.linalg.solve(v, x @ v))
        v = v / _row(m, m.xp.astype(m.diagonal(m.adjoint(v) @ v) ** 0.5, v.dtype))
    return m.kept(start[0], m.xp.linalg.diagonal(m.xp.linalg.solve(v, x @ v))), m.kept(start[1], v)
