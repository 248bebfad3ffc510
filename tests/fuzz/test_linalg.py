"""The extension linalg against NumPy: stacks of matrices, none and empty ones, and matrices without an answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from across import installed, refusal, values
from hypothesis import given
from hypothesis import strategies as st

import tensoria as tn
from tensoria.errors import AxisError, DTypeError, MatrixError, ShapeError

from .drawn import agree, same, tensor

DTYPES = ("float32", "float64", "complex128")
BATCHES = st.sampled_from([(), (0,), (2,), (1, 3)])


def matrices(batch: tuple[int, ...], rows: int, columns: int, dtype: str, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(*batch, rows, columns))
    return (x + 1j * rng.normal(size=x.shape) if dtype.startswith("complex") else x).astype(dtype)


@given(batch=BATCHES, n=st.integers(0, 4), dtype=st.sampled_from(DTYPES), seed=st.integers(0, 99))
def test_square_matrices(backend: str, batch: tuple[int, ...], n: int, dtype: str, seed: int) -> None:
    x = matrices(batch, n, n, dtype, seed) + 4 * np.eye(n, dtype=dtype)
    hermitian = x @ np.conj(np.swapaxes(x, -1, -2))
    t, h, r = tensor(backend, x), tensor(backend, hermitian), 1e-2 if dtype == "float32" else 1e-8
    b = matrices(batch, n, 2, dtype, seed + 1)
    for ours, numpys in (
        (lambda: tn.linalg.inv(t), lambda: np.linalg.inv(x)), (lambda: tn.linalg.det(t), lambda: np.linalg.det(x)),
        (lambda: tn.linalg.solve(t, tensor(backend, b)), lambda: np.linalg.solve(x, b)),
        (lambda: tuple(tn.linalg.slogdet(t)), lambda: tuple(np.linalg.slogdet(x))),
        (lambda: tn.linalg.cholesky(h), lambda: np.linalg.cholesky(hermitian)),
        (lambda: tn.linalg.cholesky(h, upper=True), lambda: np.linalg.cholesky(hermitian, upper=True)),
        (lambda: tn.linalg.eigvalsh(h), lambda: np.linalg.eigvalsh(hermitian)),
        (lambda: tn.linalg.matrix_power(t, 3), lambda: np.linalg.matrix_power(x, 3)),
        (lambda: tn.linalg.matrix_power(t, -1), lambda: np.linalg.matrix_power(x, -1)),
        (lambda: tn.linalg.matrix_power(t, 0), lambda: np.linalg.matrix_power(x, 0)),
        (lambda: tn.linalg.trace(t), lambda: np.trace(x, axis1=-2, axis2=-1)),
    ):  # fmt: skip
        agree(ours, numpys, rtol=r, dtype=False)
    found = np.sort_complex(values(tn.linalg.eigvals(t)).reshape(-1))
    np.testing.assert_allclose(abs(np.prod(found)), abs(np.prod(np.linalg.det(x))), rtol=max(r, 1e-6))


@given(
    batch=BATCHES, m=st.integers(0, 4), n=st.integers(0, 4), dtype=st.sampled_from(DTYPES), seed=st.integers(0, 99),
    offset=st.integers(-5, 5),
)  # fmt: skip
def test_any_matrices(backend: str, batch: tuple[int, ...], m: int, n: int, dtype: str, seed: int, offset: int) -> None:
    x = matrices(batch, m, n, dtype, seed)
    t, r = tensor(backend, x), 1e-2 if dtype == "float32" else 1e-8
    agree(lambda: tn.linalg.svdvals(t), lambda: np.linalg.svd(x, compute_uv=False), rtol=r)
    agree(lambda: tn.linalg.diagonal(t, offset=offset), lambda: np.linalg.diagonal(x, offset=offset))
    agree(lambda: tn.linalg.matrix_norm(t), lambda: np.linalg.matrix_norm(x), rtol=r)
    agree(lambda: tn.linalg.vector_norm(t, axis=-1), lambda: np.linalg.vector_norm(x, axis=-1), rtol=r)
    u, s, v = tn.linalg.svd(t, full_matrices=False)
    same(tn.matmul(u * tn.astype(s, u.dtype)[..., None, :], v), x, rtol=r)
    q, upper = tn.linalg.qr(t)
    same(q @ upper, x, rtol=r)
    same(t @ tn.linalg.pinv(t) @ t, x, rtol=r)
    if m and n:
        agree(lambda: tn.linalg.matrix_rank(t), lambda: np.asarray(np.linalg.matrix_rank(x)))
    else:
        assert not values(tn.linalg.matrix_rank(t)).any()


@pytest.mark.parametrize("rank", [9, 12])
def test_stacks_of_many_axes(backend: str, rank: int) -> None:
    x = np.random.default_rng(0).normal(size=(2,) + (1,) * (rank - 3) + (3, 3)) + 3 * np.eye(3)
    t = tensor(backend, x)
    agree(lambda: tn.linalg.inv(t), lambda: np.linalg.inv(x), rtol=1e-9)
    agree(lambda: tn.linalg.det(t), lambda: np.linalg.det(x), rtol=1e-9)
    agree(lambda: tn.linalg.svdvals(t), lambda: np.linalg.svd(x, compute_uv=False), rtol=1e-9)
    agree(lambda: tn.linalg.solve(t, t), lambda: np.linalg.solve(x, x), rtol=1e-9)
    agree(lambda: tn.linalg.cross(t, t[..., ::-1]), lambda: np.linalg.cross(x, x[..., ::-1]), rtol=1e-9)


def test_matrices_without_an_answer_say_so_in_the_same_words() -> None:
    singular, x, v = np.array([[1.0, 2.0], [2.0, 4.0]]), np.ones((2, 3)), np.ones(3)
    infinite = np.array([[1.0, np.inf], [np.nan, 2.0]])
    L = tn.linalg
    for kind, call, part in (
        (MatrixError, lambda b: L.inv(tensor(b, singular)), "singular"),
        (MatrixError, lambda b: L.solve(tensor(b, singular), tensor(b, singular)), "singular"),
        (MatrixError, lambda b: L.matrix_power(tensor(b, singular), -2), "singular"),
        (MatrixError, lambda b: L.cholesky(tensor(b, -singular)), "not positive definite"),
        (MatrixError, lambda b: L.cholesky(tensor(b, np.stack([np.eye(2), -np.eye(2)]))), "not positive definite"),
        (DTypeError, lambda b: L.inv(tensor(b, np.eye(2, dtype=int))), "int64"),
        (DTypeError, lambda b: L.solve(tensor(b, np.eye(2)), tensor(b, np.eye(2, dtype=int))), "int64"),
        (DTypeError, lambda b: L.matrix_power(tensor(b, singular), 1.5), "1.5"),
        (ShapeError, lambda b: L.solve(tensor(b, np.eye(2)), tensor(b, v)), "2 unknowns"),
        (ShapeError, lambda b: L.cross(tensor(b, x), tensor(b, x[:, :2])), "length 3"),
        (ShapeError, lambda b: L.outer(tensor(b, x), tensor(b, v)), "two vectors"),
        (ShapeError, lambda b: L.qr(tensor(b, x), mode="raw"), "'raw'"),
        (ShapeError, lambda b: L.matrix_norm(tensor(b, x), ord=7), "ord=7"),
        (ShapeError, lambda b: L.vector_norm(tensor(b, x[:0]), ord=np.inf), "no components"),
        (AxisError, lambda b: L.vector_norm(tensor(b, x), axis=2), "axis 2"),
    ):
        refusal(kind, call, part)
    for name in ("inv", "det", "slogdet", "cholesky", "eig", "eigh", "eigvals", "eigvalsh"):
        refusal(ShapeError, lambda b, n=name: getattr(L, n)(tensor(b, x)), f"linalg.{name}", "square", "(2, 3)")
    for name in ("inv", "svd", "qr", "pinv", "matrix_rank", "matrix_norm", "trace", "diagonal", "svdvals"):
        refusal(ShapeError, lambda b, n=name: getattr(L, n)(tensor(b, v)), f"linalg.{name}", "2 axes")
    for name in ("eig", "eigh", "eigvals", "eigvalsh", "svd", "svdvals", "pinv", "matrix_rank"):
        refusal(MatrixError, lambda b, n=name: getattr(L, n)(tensor(b, infinite)), f"linalg.{name}", "not finite")


def test_transforms_without_an_answer_say_so_in_the_same_words() -> None:
    x = np.ones((2, 3))
    for kind, call, part in (
        (ShapeError, lambda t: tn.fft.fft(t, n=0), "n=0"), (AxisError, lambda t: tn.fft.fft(t, axis=5), "axis 5"),
        (ShapeError, lambda t: tn.fft.fft(t[:0], axis=0), "no components"),
        (ShapeError, lambda t: tn.fft.fft(t, norm="x"), "'x'"), (AxisError, lambda t: tn.fft.fft(t[0, 0]), "0 axes"),
        (AxisError, lambda t: tn.fft.fftn(t, axes=(0, 0)), "twice"),
        (AxisError, lambda t: tn.fft.fftn(t, s=(2,), axes=(0, 1)), "1 lengths"),
        (ShapeError, lambda t: tn.fft.irfft(t[:, :1]), "no components"),
        (DTypeError, lambda t: tn.fft.rfft(t * 1j), "complex128"),
        (DTypeError, lambda t: tn.fft.fft(tn.astype(t, "int64")), "int64"),
    ):  # fmt: skip
        refusal(kind, lambda b, call=call: call(tensor(b, x)), part)
    for b in installed():
        same(tn.fft.fft(tensor(b, x[:0])), np.fft.fft(x[:0]))
