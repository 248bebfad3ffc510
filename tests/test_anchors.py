"""Worked numbers of the literature, on every backend: fields, stars, cross products, circuits, metric SVD."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from across import native, refusal, values

import tensoria as tn
from tensoria.errors import VarianceError

M = tn.Space("M", 4, metric=[-1, 1, 1, 1])
a, b, c, d = tn.indices("a b c d", M)


def permutation_symbol(n: int) -> np.ndarray[Any, Any]:
    symbol = np.zeros((n,) * n)
    for order in itertools.permutations(range(n)):
        symbol[order] = np.linalg.det(np.eye(n)[list(order)])
    return symbol


# -- electromagnetism: signature -+++, F_i0 = E_i, F_ij = eps_ijk B_k ----------------------------------------


def field_strength(backend: str) -> tn.Tensor:
    electric, magnetic = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])
    F = np.zeros((4, 4))
    F[1:, 0], F[0, 1:] = electric, -electric
    F[1:, 1:] = np.einsum("ijk,k->ij", permutation_symbol(3), magnetic)
    return tn.tensor(native(backend, F), [-a, -b])


def energy_momentum(backend: str) -> tn.Tensor:
    """T_ab = F_ac F_b^c - 1/4 g_ab F.F"""
    F = field_strength(backend)
    metric = tn.tensor(native(backend, np.diag([-1.0, 1, 1, 1])), [-a, -b])
    square = F[-a, -b] * F.raised()[a, b]
    return F[-a, -c] * F.raised("b")[-b, c] - metric * square / 4


def test_the_invariants_of_the_electromagnetic_field(backend: str) -> None:
    F = field_strength(backend)
    assert float(F[-a, -b] * F.raised()[a, b]) == pytest.approx(126)  # 2 (B.B - E.E)
    star = tn.hodge(F, into="c d")
    assert abs(float(star[-a, -b] * F.raised()[a, b])) == pytest.approx(128)  # 4 E.B
    assert float(star[-a, -b] * F.raised()[a, b]) == pytest.approx(128)


def test_the_energy_momentum_tensor_of_the_electromagnetic_field(backend: str) -> None:
    T = energy_momentum(backend)
    assert float(T.raised("a").trace("a", "b")) == pytest.approx(0, abs=1e-12)
    up = values(T.raised())
    assert up[0, 0] == pytest.approx(45.5)  # (E.E + B.B) / 2
    np.testing.assert_allclose(up[0, 1:], [-3, 6, -3])  # E x B
    np.testing.assert_allclose(up, up.T)
    assert float(T * T.raised()) == pytest.approx(8065)


def test_the_energy_momentum_tensor_squares_to_a_multiple_of_the_identity(backend: str) -> None:
    mixed = energy_momentum(backend).raised("a")
    np.testing.assert_allclose(values(mixed @ mixed), 8065 / 4 * np.eye(4), atol=1e-9)


# -- the Hodge star ----------------------------------------------------------------


def random_form(rng: np.random.Generator, n: int, k: int) -> np.ndarray[Any, Any]:
    data = rng.normal(size=(n,) * k)
    total = np.zeros_like(data)
    for order in itertools.permutations(range(k)):
        sign = np.linalg.det(np.eye(k)[list(order)]) if k else 1.0
        total += sign * np.transpose(data, order)
    return total


@pytest.mark.parametrize("signature", [(3, 0), (3, 1), (2, 2)])
def test_the_star_twice_is_a_sign(backend: str, signature: tuple[int, int]) -> None:
    """** = sgn(g) (-1)^(k (n - k)) for a random metric of that signature, in a basis that is not orthonormal."""
    plus, minus = signature
    n = plus + minus
    rng = np.random.default_rng(n * 10 + minus)
    frame = rng.normal(size=(n, n))
    g = frame @ np.diag([1.0] * plus + [-1.0] * minus) @ frame.T
    space = tn.Space("S", n, metric=g)
    for k in range(1, n):
        data = random_form(rng, n, k)
        names = [f"x{m}" for m in range(k)]
        form = tn.tensor(native(backend, data), [-tn.Index(name, space) for name in names])
        twice = tn.hodge(tn.hodge(form), into=names)
        assert twice.axes is form.axes
        sign = (-1) ** minus * (-1) ** (k * (n - k))
        np.testing.assert_allclose(values(twice), sign * data, rtol=1e-7, atol=1e-9 * np.abs(data).max())


@pytest.mark.parametrize("signature", [(3, 0), (3, 1), (2, 2)])
def test_the_star_of_the_volume_is_the_sign_of_the_metric(backend: str, signature: tuple[int, int]) -> None:
    """k = n and k = 0: *(f eps) = sgn(g) f, and *f = f eps."""
    plus, minus = signature
    n = plus + minus
    frame = np.random.default_rng(n).normal(size=(n, n))
    space = tn.Space("S", n, metric=frame @ np.diag([1.0] * plus + [-1.0] * minus) @ frame.T)
    indices = [-tn.Index(f"x{m}", space) for m in range(n)]
    volume = tn.levi_civita(*indices, backend=backend)
    assert float(tn.hodge(3.0 * volume)) == pytest.approx(3.0 * (-1) ** minus)


def test_the_lorentzian_epsilon_has_square_minus_24(backend: str) -> None:
    eps = tn.levi_civita(-a, -b, -c, -d, backend=backend)
    assert float(eps * eps.raised()) == pytest.approx(-24)
    assert values(eps)[0, 1, 2, 3] == 1
    assert values(eps.raised())[0, 1, 2, 3] == -1


# -- vectors, covectors, circuits ----------------------------------------------------------------


def test_the_cross_product_in_a_skew_basis(backend: str) -> None:
    """g = [[2,1,0],[1,3,1],[0,1,4]] (det 18): eps_ijk u^i v^j = sqrt(18) (7, -3, 1), of squared norm 810."""
    V = tn.Space("V", 3, metric=[[2, 1, 0], [1, 3, 1], [0, 1, 4]])
    i, j, k = tn.indices("i j k", V)
    u, v = tn.tensor(native(backend, [1.0, 2.0, -1.0]), [i]), tn.tensor(native(backend, [0.0, 1.0, 3.0]), [j])
    cross = tn.levi_civita(-i, -j, -k, backend=backend) * u * v
    np.testing.assert_allclose(values(cross), math.sqrt(18) * np.array([7.0, -3.0, 1.0]))
    assert float(cross * cross.raised()) == pytest.approx(810)


def test_a_change_of_basis(backend: str) -> None:
    V = tn.Space("V", 2)
    i, j = tn.indices("i j", V)
    tilted = V.basis("tilted", [[1, 2], [0, 1]])
    v, alpha = tn.tensor(native(backend, [3.0, 4.0]), [i]), tn.tensor(native(backend, [5.0, 6.0]), [-i])
    np.testing.assert_allclose(values(v.to_basis(tilted)), [-5, 4])
    np.testing.assert_allclose(values(alpha.to_basis(tilted)), [5, 16])
    assert float(alpha * v) == 39
    assert float(alpha.to_basis(tilted)(v.to_basis(tilted))) == pytest.approx(39)
    data = [[1.0, 2.0], [3.0, 4.0]]
    A = tn.tensor(native(backend, data), [i, -j]).to_basis(tilted)
    np.testing.assert_allclose(values(A), [[-5, -16], [3, 10]])
    assert float(A.trace("i", "j")) == pytest.approx(5)
    np.testing.assert_allclose(values(tn.tensor(native(backend, data), [-i, -j]).to_basis(tilted)), [[1, 4], [5, 18]])


def test_a_bilinear_form_has_no_trace() -> None:
    V = tn.Space("V", 2)
    i, j = tn.indices("i j", V)
    data = [[1.0, 2.0], [3.0, 4.0]]
    refusal(VarianceError, lambda b: tn.tensor(native(b, data), [-i, -j]).trace("i", "j"), "V(2)", "Legal:")


def test_transformer_circuits(backend: str) -> None:
    """The QK circuit is a bilinear form, the OV circuit a linear map, of the residual space."""
    R, head = tn.Space("residual", 2), tn.Space("head", 1)
    r, s = tn.indices("r s", R)
    h = tn.indices("h", head)[0]
    W_Q, W_K = tn.tensor(native(backend, [[1.0, 2.0]]), [h, -r]), tn.tensor(native(backend, [[3.0, 1.0]]), [-h, -s])
    W_O, W_V = tn.tensor(native(backend, [[1.0], [-1.0]]), [r, -h]), tn.tensor(native(backend, [[2.0, 1.0]]), [h, -s])
    QK, OV = W_Q * W_K, W_O @ W_V
    assert str(QK.axes) == "_r _s"
    np.testing.assert_allclose(values(QK), [[3, 1], [6, 2]])
    with pytest.raises(VarianceError, match="bilinear form has no eigenvalues"):
        tn.eigvals(QK)
    assert str(OV.axes) == "^r _s"
    np.testing.assert_allclose(values(OV), [[2, 1], [-2, -1]])
    np.testing.assert_allclose(np.sort(values(tn.eigvals(OV)).real), [0, 1], atol=1e-12)
    X = tn.tensor(native(backend, [[1.0, 2.0], [3.0, -1.0]]), ["t", r])
    scores = tn.einsum("q ^r, _r _s, k ^s -> q k", X, QK, X)
    np.testing.assert_allclose(values(scores), [[25, 40], [5, 8]])
    A = tn.tensor(native(backend, [[1.0, 0.0], [0.25, 0.75]]), ["q", "k"])
    out = tn.einsum("q k, ^r _s, k ^s -> q ^r", A, OV, X)
    assert str(out.axes) == "q ^r"
    np.testing.assert_allclose(values(out), [[4, -4], [4.75, -4.75]])


def test_the_eigenvalues_of_a_form_would_change_with_the_basis() -> None:
    """Why they are refused: L^T Q L has others than Q."""
    Q, L = np.array([[3.0, 1.0], [6.0, 2.0]]), np.array([[1.0, 2.0], [0.0, 1.0]])
    assert not np.allclose(np.sort(np.linalg.eigvals(Q)), np.sort(np.linalg.eigvals(L.T @ Q @ L)))


def test_the_metric_svd(backend: str) -> None:
    """T = [[1,2],[3,4]] with g = [[2,1],[1,3]]: the singular values of g^(1/2) T g^(-1/2)."""
    V = tn.Space("V", 2, metric=[[2, 1], [1, 3]])
    t = tn.tensor(native(backend, [[1.0, 2.0], [3.0, 4.0]]), "^i _j", i=V, j=V)
    np.testing.assert_allclose(np.diag(values(tn.svd(t, "i", "j").S)), [5.446573, 0.367203], atol=5e-7)


def test_raising_the_differential(backend: str) -> None:
    """d(x^2 y) at (1, 2) is (4, 1); with g = [[2,1],[1,3]] its gradient vector is (2.2, -0.4)."""
    V = tn.Space("V", 2, metric=[[2, 1], [1, 3]])
    np.testing.assert_allclose(values(tn.tensor(native(backend, [4.0, 1.0]), "_i", i=V).raised()), [2.2, -0.4])
