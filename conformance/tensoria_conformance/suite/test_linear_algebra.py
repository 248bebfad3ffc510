"""Linear algebra of plain arrays: products, factorisations by what they multiply to, and invariants."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

import tensoria as tn
from tensoria.errors import ShapeError
from tensoria_conformance.claims import numbers, refused, same
from tensoria_conformance.contracts import contract
from tensoria_conformance.strategies import floats, integers

MATMUL, LINALG = "Array API 2025.12, matmul", "Array API 2025.12, Linear algebra extension"
SQUARE = floats((2, 3, 3))
RTOL = 1e-8
"""Condition numbers of the drawn matrices stay far below 1e6."""


def regular(x: Any) -> Any:
    """Matrices far from singular ones."""
    return x + 40.0 * np.eye(x.shape[-1])


@contract(
    "linear algebra",
    rule="@ multiplies stacks of matrices, whose leading axes broadcast.",
    source=MATMUL,
    x=floats((2, 1, 2, 3)),
    y=floats((3, 3, 2)),
)
def test_matrices_in_stacks_are_multiplied(xp: Any, x: Any, y: Any) -> None:
    same(xp.asarray(x) @ xp.asarray(y), x @ y)
    same(xp.matmul(xp.asarray(x), xp.asarray(y)), x @ y)


@contract(
    "linear algebra",
    rule="@ of vectors is their inner product, of a matrix and a vector a vector.",
    source=MATMUL,
    x=floats((2, 3)),
    y=floats((3,)),
)
def test_vectors_are_multiplied(xp: Any, x: Any, y: Any) -> None:
    same(xp.asarray(x) @ xp.asarray(y), x @ y)
    same(xp.asarray(y) @ xp.asarray(x.T.copy()), y @ x.T)
    same(xp.asarray(y) @ xp.asarray(y), y @ y)


@contract(
    "linear algebra",
    rule="Integer matrices are multiplied exactly.",
    source=MATMUL,
    x=integers((2, 3)),
    y=integers((3, 2)),
)
def test_integer_matrices_are_multiplied_exactly(xp: Any, x: Any, y: Any) -> None:
    big = x * (2**40 + 1)
    same(xp.asarray(big) @ xp.asarray(y), big @ y)


@contract(
    "linear algebra",
    rule="tensordot sums over the axes that are named, or the last and first ones.",
    source="Array API 2025.12, tensordot",
    x=floats((2, 3, 4)),
    y=floats((3, 4, 2)),
)
def test_tensordot_sums_over_named_axes(xp: Any, x: Any, y: Any) -> None:
    same(xp.tensordot(xp.asarray(x), xp.asarray(y), axes=2), np.tensordot(x, y, axes=2))
    axes = ((0, 1), (2, 0))
    same(xp.tensordot(xp.asarray(x), xp.asarray(y), axes=axes), np.tensordot(x, y, axes=axes))


@contract(
    "linear algebra",
    rule="vecdot conjugates its first operand.",
    source="Array API 2025.12, vecdot",
    x=floats((2, 3), "complex128"),
    y=floats((3,), "complex128"),
)
def test_vecdot_conjugates_the_first(xp: Any, x: Any, y: Any) -> None:
    same(xp.vecdot(xp.asarray(x), xp.asarray(y)), (x.conj() * y).sum(axis=-1))


@contract(
    "linear algebra",
    rule="solve and inv undo the product with a matrix.",
    source=f"{LINALG}, solve, inv",
    x=SQUARE,
    b=floats((2, 3, 2)),
)
def test_systems_are_solved(xp: Any, x: Any, b: Any) -> None:
    a = regular(x)
    same(xp.linalg.solve(xp.asarray(a), xp.asarray(b)), np.linalg.solve(a, b), rtol=RTOL)
    same(xp.linalg.inv(xp.asarray(a)) @ xp.asarray(a), np.broadcast_to(np.eye(3), (2, 3, 3)), rtol=RTOL)


@contract(
    "linear algebra",
    rule="det is multiplicative, and slogdet its sign and logarithm.",
    source=f"{LINALG}, det, slogdet",
    x=SQUARE,
)
def test_determinants(xp: Any, x: Any) -> None:
    a = regular(x)
    a[0, 0] *= -1.0
    same(xp.linalg.det(xp.asarray(a)), np.linalg.det(a), rtol=RTOL)
    got, want = xp.linalg.slogdet(xp.asarray(a)), np.linalg.slogdet(a)
    same(got.sign, want.sign)
    same(got.logabsdet, want.logabsdet, rtol=RTOL)


@contract(
    "linear algebra",
    rule="qr is an orthonormal matrix times an upper triangular one.",
    source=f"{LINALG}, qr",
    x=floats((4, 3)),
)
def test_qr_is_orthonormal_times_triangular(xp: Any, x: Any) -> None:
    found = xp.linalg.qr(xp.asarray(x))
    q, r = numbers(found.Q), numbers(found.R)
    same(found.Q @ found.R, x, rtol=RTOL)
    np.testing.assert_allclose(q.T @ q, np.eye(3), atol=1e-10)
    np.testing.assert_array_equal(r, np.triu(r))


@contract(
    "linear algebra",
    rule="svd multiplies to the matrix; singular values descend and are not negative.",
    source=f"{LINALG}, svd, svdvals",
    x=floats((3, 4)),
)
def test_svd_multiplies_to_the_matrix(xp: Any, x: Any) -> None:
    found = xp.linalg.svd(xp.asarray(x), full_matrices=False)
    u, s, v = numbers(found.U), numbers(found.S), numbers(found.Vh)
    np.testing.assert_allclose(u @ np.diag(s) @ v, x, atol=1e-9)
    np.testing.assert_allclose(v @ v.T, np.eye(3), atol=1e-9)
    assert (np.diff(s) <= 0).all()
    assert (s >= 0).all()
    same(xp.linalg.svdvals(xp.asarray(x)), np.linalg.svd(x, compute_uv=False), rtol=RTOL)


@contract(
    "linear algebra",
    rule="eigh has ascending real eigenvalues and orthonormal eigenvectors.",
    source=f"{LINALG}, eigh, eigvalsh",
    x=SQUARE,
)
def test_eigenvectors_of_symmetric_matrices(xp: Any, x: Any) -> None:
    a = x + np.swapaxes(x, -1, -2)
    found = xp.linalg.eigh(xp.asarray(a))
    values, vectors = numbers(found.eigenvalues), numbers(found.eigenvectors)
    np.testing.assert_allclose(a @ vectors, vectors * values[..., None, :], atol=1e-8)
    np.testing.assert_allclose(np.swapaxes(vectors, -1, -2) @ vectors, np.broadcast_to(np.eye(3), a.shape), atol=1e-9)
    assert (np.diff(values) >= 0).all()
    same(xp.linalg.eigvalsh(xp.asarray(a)), np.linalg.eigvalsh(a), rtol=1e-7)


@contract(
    "linear algebra",
    rule="cholesky is triangular, lower or upper, with a positive diagonal.",
    source=f"{LINALG}, cholesky",
    x=SQUARE,
    upper=st.booleans(),
)
def test_cholesky_is_triangular(xp: Any, x: Any, upper: bool) -> None:
    a = x @ np.swapaxes(x, -1, -2) + np.eye(3)
    factor = np.linalg.cholesky(a)
    want = np.swapaxes(factor, -1, -2) if upper else factor
    same(xp.linalg.cholesky(xp.asarray(a), upper=upper), want, rtol=RTOL)


@contract(
    "linear algebra",
    rule="Norms are those of the standard, of vectors and of matrices.",
    source=f"{LINALG}, matrix_norm, vector_norm",
    x=floats((2, 3)),
)
def test_norms(xp: Any, x: Any) -> None:
    t = xp.asarray(x)
    same(xp.linalg.vector_norm(t, axis=1), np.sqrt((x * x).sum(axis=1)))
    same(xp.linalg.vector_norm(t, ord=1), np.abs(x).sum())
    same(xp.linalg.vector_norm(t, ord=np.inf, axis=0), np.abs(x).max(axis=0))
    same(xp.linalg.matrix_norm(t), np.linalg.norm(x))
    same(xp.linalg.matrix_norm(t, ord=1), np.linalg.norm(x, 1))


@contract(
    "linear algebra",
    rule="cross, outer, trace, diagonal and matrix_power are what their names say.",
    source=LINALG,
    x=floats((3, 3)),
    y=floats((3,)),
)
def test_small_products(xp: Any, x: Any, y: Any) -> None:
    t, u = xp.asarray(x), xp.asarray(y)
    same(xp.linalg.cross(t[0, ...], u), np.cross(x[0], y), scale=100.0)
    same(xp.linalg.outer(u, t[1, ...]), np.outer(y, x[1]))
    same(xp.linalg.trace(t), np.trace(x))
    same(xp.linalg.diagonal(t, offset=1), np.diagonal(x, 1))
    same(xp.linalg.matrix_power(t, 3), x @ x @ x)


@contract(
    "linear algebra",
    rule="Shapes that do not multiply are refused, and both are told.",
    source=f"{MATMUL}; docs/rules.md",
)
def test_shapes_that_do_not_multiply_are_refused(xp: Any) -> None:
    refused(ShapeError, lambda xp: xp.ones((2, 3)) @ xp.ones((2, 3)), xp, "(2, 3)", "3 against 2")
    refused(ShapeError, lambda xp: xp.asarray(1.0) @ xp.asarray(1.0), xp)


@contract(
    "linear algebra",
    rule="The Fourier transform of a shifted impulse is a wave, and ifft undoes fft.",
    source="Array API 2025.12, Fourier transform extension",
    place=st.integers(0, 7),
)
def test_fourier_transforms(xp: Any, place: int) -> None:
    x = np.zeros(8, complex)
    x[place] = 1.0
    wave = np.exp(-2j * np.pi * place * np.arange(8) / 8)
    t = xp.fft.fft(xp.asarray(x))
    same(t, wave)
    same(xp.fft.ifft(t), x)
    same(xp.fft.rfft(xp.asarray(x.real)), wave[:5])


@contract(
    "linear algebra",
    rule="Eigenvalues of a (1,1) tensor are those of its matrix, complex where they are.",
    source="docs/rules.md, rule 10",
)
def test_eigenvalues_of_a_map(xp: Any) -> None:
    V = tn.Space("V", 2)
    rotation = tn.tensor(xp.asarray(np.array([[0.0, -2.0], [2.0, 0.0]])), "^i _j", i=V, j=V)
    values = numbers(tn.eigvals(rotation))
    np.testing.assert_allclose(sorted(values.imag), [-2.0, 2.0], atol=1e-12)
    np.testing.assert_allclose(values.real, 0.0, atol=1e-12)
