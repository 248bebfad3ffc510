"""Rule 10: factorisations act between groups of indices, make a fresh orthonormal bond, and respect the metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from across import native, refusal, values

import tensoria as tn
from tensoria.errors import AxisError, MetricError, ModeError, ShapeError, SpaceError, SymmetryError, VarianceError

G = np.array([[2.0, 1.0], [1.0, 3.0]])
K = np.array([[2.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 4.0]])
H = np.array([[2, 1 + 1j], [1 - 1j, 5]])
U = tn.Space("U", 2, metric=G)
V = tn.Space("V", 3, metric=K)
E = tn.Space("E", 4, metric=np.ones(4))
C = tn.Space("C", 2, field="complex", metric=H)
M = tn.Space("M", 2, metric=[-1, 1])
bare = tn.Space("bare", 2)
rng = np.random.default_rng(10)


def whitened(data: Any, *metrics: Any) -> Any:
    """Components in orthonormal frames, one matrix for each axis."""
    for axis, matrix in enumerate(metrics):
        data = np.moveaxis(np.tensordot(matrix, data, (1, axis)), 0, axis)
    return data


def frame(metric: Any, up: bool) -> Any:
    root = np.linalg.cholesky(metric).conj().T
    return root if up else np.linalg.inv(root).T


def test_the_svd_multiplies_back_and_its_bond_has_the_right_variances(backend: str) -> None:
    data = rng.normal(size=(2, 3))
    t = tn.tensor(native(backend, data), "^u _v", u=U, v=V)
    left, s, right = tn.svd(t, "u", "v")
    assert str(left.axes) == "^u _b"
    assert [x.variance for x in s.indices] == [1, -1]
    assert [x.variance for x in right.indices] == [1, -1]
    bond = left.indices[1].space
    assert bond is not None
    assert bond.is_bond
    back = left * s * right
    assert back.axes is t.axes
    np.testing.assert_allclose(values(back), data)


def test_singular_values_are_those_of_the_components_in_orthonormal_frames(backend: str) -> None:
    data = rng.normal(size=(2, 3))
    t = tn.tensor(native(backend, data), "^u _v", u=U, v=V)
    expected = np.linalg.svd(whitened(data, frame(G, True), frame(K, False)), compute_uv=False)
    np.testing.assert_allclose(np.diag(values(tn.svd(t, "u", "v").S)), expected)
    plain = np.linalg.svd(data, compute_uv=False)
    np.testing.assert_allclose(np.diag(values(tn.svd(t, "u", "v", metric="components").S)), plain)


def test_singular_values_do_not_depend_on_the_basis(backend: str) -> None:
    t = tn.tensor(native(backend, rng.normal(size=(2, 3))), "^u _v", u=U, v=V)
    moved = t.to_basis(U.basis("a", [[1, 2], [0, 1]])).to_basis(V.basis("b", [[0, 1, 0], [2, 0, 0], [0, 1, 3]]))
    first, second = np.diag(values(tn.svd(t, "u", "v").S)), np.diag(values(tn.svd(moved, "u", "v").S))
    np.testing.assert_allclose(first, second)


def test_the_factors_are_orthonormal_in_the_metric(backend: str) -> None:
    left, _, right = tn.svd(tn.tensor(native(backend, rng.normal(size=(2, 3))), "^u _v", u=U, v=V), "u", "v")
    u, v = values(left), values(right)
    np.testing.assert_allclose(u.T @ G @ u, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(v @ np.linalg.inv(K) @ v.T, np.eye(2), atol=1e-12)


def test_groups_of_several_indices_and_plain_axes_as_a_batch(backend: str) -> None:
    data = rng.normal(size=(3, 5, 2, 4))
    t = tn.tensor(native(backend, data), "_v n ^u ^e", u=U, v=V, e=E)
    left, s, right = tn.svd(t, "u v", "e")
    assert left.names[:3] == ("n", "u", "v")
    back = left * s * right
    np.testing.assert_allclose(values(back.permuted("v n u e")), data)
    white = whitened(np.einsum("vnue->nuve", data), np.eye(5), frame(G, True), frame(K, False), np.eye(4))
    expected = np.linalg.svd(white.reshape(5, 6, 4), compute_uv=False)
    np.testing.assert_allclose(np.einsum("nbb->nb", values(s)), expected)


def test_leading_anonymous_axes_are_a_batch(backend: str) -> None:
    data = rng.normal(size=(5, 2, 3))
    t = tn.tensor(native(backend, data), "... ^u _v", u=U, v=V)
    left, s, right = tn.svd(t, "u", "v")
    np.testing.assert_allclose(values(left * s * right), data)


def test_a_truncated_svd_is_the_best_approximation_in_the_metric(backend: str) -> None:
    data = rng.normal(size=(2, 3))
    t = tn.tensor(native(backend, data), "^u _v", u=U, v=V)
    left, s, right = tn.svd(t, "u", "v", rank=1)
    error = values(left * s * right) - data
    white = whitened(error, frame(G, True), frame(K, False))
    np.testing.assert_allclose(np.linalg.norm(white), np.diag(values(tn.svd(t, "u", "v").S))[1])


def test_a_complex_svd_respects_hermitian_metrics(backend: str) -> None:
    data = rng.normal(size=(2, 2)) + 1j * rng.normal(size=(2, 2))
    t = tn.tensor(native(backend, data), "^c _d", c=C, d=C)
    left, s, right = tn.svd(t, "c", "d")
    np.testing.assert_allclose(values(left * s * right), data)
    np.testing.assert_allclose(values(left).conj().T @ H @ values(left), np.eye(2), atol=1e-12)
    changed = t.to_basis(C.basis("k", rng.normal(size=(2, 2)) + 1j * rng.normal(size=(2, 2))))
    np.testing.assert_allclose(values(tn.svd(changed, "c", "d").S).real, values(s).real, atol=1e-10)


def test_qr_multiplies_back_with_orthonormal_columns(backend: str) -> None:
    data = rng.normal(size=(3, 2))
    t = tn.tensor(native(backend, data), "^v _u", u=U, v=V)
    q, r = tn.qr(t, "v", "u")
    assert [x.variance for x in q.indices] == [1, -1]
    assert [x.variance for x in r.indices] == [1, -1]
    np.testing.assert_allclose(values(q * r), data)
    np.testing.assert_allclose(values(q).T @ K @ values(q), np.eye(2), atol=1e-12)
    np.testing.assert_allclose(np.tril(values(r), -1), 0, atol=1e-12)


def test_the_polar_decomposition_is_an_isometry_times_a_positive_map(backend: str) -> None:
    data = rng.normal(size=(3, 2))
    t = tn.tensor(native(backend, data), "^v _u", u=U, v=V)
    isometry, positive = tn.polar(t, "v", "u")
    back = isometry * positive
    assert back.axes is t.axes
    np.testing.assert_allclose(values(back), data)
    w, p = values(isometry), values(positive)
    np.testing.assert_allclose(w.T @ K @ w, G, atol=1e-12)  # <W x, W y> = <x, y>
    np.testing.assert_allclose(G @ p, (G @ p).T, atol=1e-12)  # self-adjoint
    assert (np.linalg.eigvals(p).real > 0).all()


def test_an_isometry_into_a_smaller_space_does_not_exist() -> None:
    refusal(ShapeError, lambda b: tn.polar(tn.tensor(native(b, np.ones((2, 3))), "^u _v", u=U, v=V), "u", "v"), "3",
            "2", "Legal:")  # fmt: skip


def test_eigenvalues_of_a_linear_map_do_not_depend_on_the_basis(backend: str) -> None:
    data = rng.normal(size=(2, 2))
    t = tn.tensor(native(backend, data), "^i _j", i=bare, j=bare)
    found = tn.eigvals(t)
    assert found.names == ("eigenvalue",)
    assert found.dtype.kind == "complex"
    expected = np.sort_complex(np.linalg.eigvals(data))
    np.testing.assert_allclose(np.sort_complex(values(found)), expected)
    moved = t.to_basis(bare.basis("k", [[1, 2], [0, 1]]))
    np.testing.assert_allclose(np.sort_complex(values(tn.eigvals(moved))), expected)


def test_eigenvectors_satisfy_their_equation(backend: str) -> None:
    data = rng.normal(size=(3, 3))
    t = tn.tensor(native(backend, data), "^i _j", i=V, j=V)
    lam, vectors = tn.eig(t)
    assert [x.variance for x in vectors.indices] == [1, -1]
    v = values(vectors)
    np.testing.assert_allclose(data @ v, v * values(lam), atol=1e-10)


def test_a_self_adjoint_map_has_an_orthonormal_basis_of_eigenvectors(backend: str) -> None:
    for space, g, kind in ((V, K, "f8"), (C, H, "c16")):
        n = len(g)
        h = rng.normal(size=(2, n, n)) + (1j * rng.normal(size=(2, n, n)) if kind == "c16" else 0)
        data = np.linalg.solve(g, h + h.conj().swapaxes(-1, -2)).astype(kind)  # <x, T y> is Hermitian
        t = tn.tensor(native(backend, data), "b ^i _j", i=space, j=space)
        vectors, d, covectors = tn.eigh(t, bond="k")
        assert (vectors.names, d.names, covectors.names) == (("b", "i", "k"), ("b", "k", "k'"), ("b", "k'", "j"))
        assert [x.variance for x in (vectors.indices[2], *d.indices[1:], covectors.indices[1])] == [-1, 1, -1, 1]
        back = vectors * d * covectors
        assert back.axes is t.axes
        np.testing.assert_allclose(values(back), data, atol=1e-12)
        v = values(vectors)
        np.testing.assert_allclose(v.conj().swapaxes(-1, -2) @ g @ v, np.stack([np.eye(n)] * 2), atol=1e-12)
        found = np.einsum("bkk->bk", values(d)).real
        np.testing.assert_allclose(found, np.sort(np.linalg.eigvals(data).real), atol=1e-10)


def test_a_map_that_is_not_self_adjoint_is_refused() -> None:
    data = rng.normal(size=(2, 2))
    refusal(SymmetryError, lambda b: tn.eigh(tn.tensor(native(b, data + data.T), "^i _j", i=U, j=U)), "^i _j",
            "self-adjoint in the metric", "tn.eig(t)")  # fmt: skip
    tn.eigh(tn.tensor(data + data.T, "^i _j", i=U, j=U), metric="components")
    refusal(VarianceError, lambda b: tn.eigh(tn.tensor(native(b, np.eye(2)), "_i _j", i=U, j=U)), "bilinear form")
    refusal(MetricError, lambda b: tn.eigh(tn.tensor(native(b, np.eye(2)), "^i _j", i=M, j=M)), "indefinite")


def test_eigenvalues_of_a_map_between_groups_with_a_batch(backend: str) -> None:
    data = rng.normal(size=(4, 2, 3, 2, 3))
    t = tn.tensor(native(backend, data), "n ^u ^v _w _x", u=U, v=V, w=U, x=V)
    found = values(tn.eigvals(t, rows="u v", columns="w x"))
    expected = np.linalg.eigvals(data.reshape(4, 6, 6))
    np.testing.assert_allclose(np.sort_complex(found), np.sort_complex(expected))


def test_a_bilinear_form_has_no_eigenvalues() -> None:
    for notation, legal in (("_i _j", "raised"), ("^i ^j", "lowered")):
        for function in (tn.eigvals, tn.eig):
            refusal(
                VarianceError,
                lambda b, notation=notation, function=function: function(
                    tn.tensor(native(b, np.eye(2)), notation, i=bare, j=bare)
                ),
                f"{notation[0]}i:bare(2)",
                f"{notation[0]}j:bare(2)",
                "eigenvalues",
                "Legal:",
                legal,
            )


def test_a_map_between_two_spaces_has_no_eigenvalues() -> None:
    refusal(SpaceError, lambda b: tn.eigvals(tn.tensor(native(b, np.eye(2)), "^i _j", i=U, j=bare)), "U(2)", "bare(2)")


@pytest.mark.parametrize("function", [tn.svd, tn.qr, tn.polar])
def test_an_indefinite_metric_is_refused(function: Any) -> None:
    refusal(MetricError, lambda b: function(tn.tensor(native(b, np.eye(2)), "^i _j", i=M, j=M), "i", "j"), "M(2)",
            "indefinite", "metric='components'", "Legal:")  # fmt: skip
    refusal(MetricError, lambda b: function(tn.tensor(native(b, np.eye(2)), "^i _j", i=bare, j=bare), "i", "j"),
            "bare(2)", "no metric", "Legal:")  # fmt: skip


def test_the_groups_are_all_indices_once() -> None:
    def t(b: str) -> tn.Tensor:
        return tn.tensor(native(b, np.ones((2, 3, 4))), "^u _v ^e", u=U, v=V, e=E)

    refusal(AxisError, lambda b: tn.svd(t(b), "u", "v"), "^e:E(4)")
    refusal(AxisError, lambda b: tn.svd(t(b), "u v", "v e"), "Legal:")
    refusal(AxisError, lambda b: tn.svd(t(b), "", "u v e"), "Legal:")
    refusal(AxisError, lambda b: tn.svd(t(b), "u x", "v e"), "'x'")
    refusal(ModeError, lambda b: tn.svd(tn.asarray(native(b, np.ones((2, 2)))), "u", "v"), "plain", "Legal:")
    refusal(MetricError, lambda b: tn.svd(t(b), "u", "v e", metric="none"), "'none'")  # type: ignore[arg-type]
