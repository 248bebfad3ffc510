"""The Master Theorem: hats and dots against published limits, against finite programs, and tier against tier."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensor_programs import autoencoder, reference, two_layers

import tensoria as tn
from tensoria.errors import LimitError
from tensoria.limits.language.activations import step

THEORY = reference("theory")


def test_the_tied_autoencoder_comes_out_exactly() -> None:
    p, x, y = autoencoder()
    known = THEORY["tied_autoencoder_relu"]
    limit = p.limit()
    assert limit.covariance(y, y).value == Fraction(known["E_h2_sq"])
    assert limit.covariance(y, x).value == Fraction(known["E_h2_x0"])
    assert limit.expect(lambda y: tn.relu(y) ** 2, y).value == Fraction(known["E_relu_h2_sq"])
    assert {limit.tiers[name] for name in ("g1", "h1", "g2")} == {"A"}


def test_gradient_independence_fails_where_it_must() -> None:
    known = THEORY["gia_counterexample"]
    p = tn.limits.TensorProgram()
    W, x = p.matrix("W"), p.vector("x", mean=1, variance=0)
    h = W @ x
    dx = W.T @ p.nonlin(lambda h: 2 * h, h)
    limit = p.limit()
    mean = limit.mean(dx).value
    assert mean == known["mean"]
    assert limit.covariance(dx, dx).value - mean**2 == known["var"]


def test_a_matrix_and_its_transpose_return_the_vector() -> None:
    known = THEORY["ATA_v"]
    p = tn.limits.TensorProgram()
    A, v = p.matrix("A"), p.vector("v")
    powers = [v]
    for _ in range(4):
        powers.append(A.T @ (A @ powers[-1]))
    limit = p.limit()
    assert limit.covariance(powers[1], powers[1]).value == known["E2"]
    assert limit.covariance(powers[1], v).value == known["Ev"]
    assert [limit.covariance(powers[k], v).value for k in range(5)] == [1, 1, 2, 5, 14]


def test_rectangular_matrices_carry_their_ratio() -> None:
    rho = Fraction(1, 3)
    p = tn.limits.TensorProgram()
    p.dimension("m", rho)
    p.dimension("n", 1)
    A = p.matrix("A", variance=2, rows="m", columns="n")
    x, u = p.vector("x", dimension="n"), p.vector("u", dimension="m")
    back = A.T @ (A @ x)
    forth = A @ (A.T @ u)
    limit = p.limit()
    # A^T A and A A^T with entries N(0, 2/n): traces 2 rho of n, and 2 of m.
    assert limit.covariance(back, x).value == 2 * rho
    assert limit.covariance(forth, u).value == 2
    assert limit.covariance(back, back).value == 4 * (rho + rho**2)
    assert limit.covariance(forth, forth).value == 4 * (1 + rho)


def test_outer_nonlinearities_are_functions_of_one_copy() -> None:
    known = THEORY["outer_nonlin"]
    p = tn.limits.TensorProgram()
    x = p.vectors(["a", "b"])
    y = p.outer_nonlin(lambda a, a_, b: tn.tanh(a * b) * b + 0 * a_, x[0], x)
    s = p.outer_nonlin(lambda a, b: tn.sign(a * b) * b, x[0], x[1])
    two = p.outer_nonlin(lambda a, b, c: a * b * b + a * c**4, x[0], x[1], x[1])
    limit = p.limit()
    # Adaptive quadrature to 1e-12 gives 0.25240993527915717; the reference's last digits are of a coarser rule.
    found = limit.covariance(y, y)
    assert found.tier == "C"
    assert float(found) == pytest.approx(0.25240993527915717, abs=1e-12)
    assert float(found) == pytest.approx(known["E_y2"], abs=1e-7)
    assert float(limit.expect(lambda s, a: s * tn.sign(a), s, x[0])) == pytest.approx(known["sign"], rel=1e-14)
    assert limit.covariance(two, two).value == 16
    # f(1) and f(1/2) of the ket, with a that is given.
    for at, expected in ((1, known["f_at_1"]), ("1/2", known["f_at_half"])):
        q = tn.limits.TensorProgram()
        a, b = q.vector("a", mean=at, variance=0), q.vector("b")
        z = q.outer_nonlin(lambda a, b: tn.tanh(a * b) * b, a, b)
        assert float(q.limit().mean(z)) == pytest.approx(expected, rel=1e-12)


def test_outer_nonlinearities_of_particles_agree_with_quadrature() -> None:
    p = tn.limits.TensorProgram()
    a = p.vector("a")
    y = p.outer_nonlin(lambda a, b: tn.tanh(a * b) * b, a, a)
    found = p.limit(tiers="AD", particles=2**15).covariance(y, y)
    assert found.tier == "D"
    assert abs(float(found) - 0.25240993527915717) < 5 * found.error


def test_the_dot_does_not_depend_on_how_a_program_is_written() -> None:
    whole, parts = [], []
    for found, apart in ((whole, False), (parts, True)):
        p = tn.limits.TensorProgram()
        W, v = p.matrix("W"), p.vector("v")
        z = p.nonlin("tanh", W @ v)
        y = p.nonlin("relu", v)
        if apart:
            u = p.matmul(W.T, z) + p.matmul(W.T, p.nonlin("sin", W @ y))
        else:
            s = p.nonlin("sin", W @ y)
            u = p.matmul(W.T, p.lincomb([1, 1], [z, s]))
        again = W @ u
        limit = p.limit()
        found += [float(limit.covariance(a, b)) for a, b in ((u, u), (u, v), (u, y), (again, z))]
    np.testing.assert_allclose(whole, parts, rtol=1e-9)


def test_a_sum_of_known_products_is_no_new_product() -> None:
    p = tn.limits.TensorProgram()
    W, x, y = p.matrix("W"), p.vector("x"), p.vector("y")
    a, b = W @ x, W @ y
    c = p.matmul(W, p.lincomb([2, "-1/2"], [x, y]))
    difference = p.lincomb([1, -2, "1/2"], [c, a, b])
    assert p.limit().covariance(difference, difference).value == 0


def test_linear_dependence_among_hats_costs_nothing() -> None:
    p = tn.limits.TensorProgram()
    x, y, z = p.vectors(["x", "y", "z"], covariance=[[1, 1, 2], [1, 1, 2], [2, 2, 4]])
    W = p.matrix("W")
    hs = [W @ u for u in (x, y, z)]
    gap = p.lincomb([1, 1, -1], hs)
    back = W.T @ p.nonlin("relu", hs[2])
    limit = p.limit()
    assert limit.covariance(gap, gap).value == 0
    assert limit.covariance(back, x).value == 1
    assert limit.rank_stable()["W"][0] is False
    assert "rank 1 of 3" in limit.rank_stable()["W"][1]


def test_vectors_of_different_widths_have_no_joint_moments() -> None:
    p = tn.limits.TensorProgram()
    x, y = p.vector("x"), p.vector("y")
    with pytest.raises(LimitError, match=r"inconsistent widths: x .* and y .* have no coordinates in common"):
        p.limit().covariance(x, y)
    with pytest.raises(LimitError, match="is no vector of this program"):
        p.limit().covariance(x, tn.limits.TensorProgram().vector("z"))


def test_long_linear_programs_stay_exact() -> None:
    p = tn.limits.TensorProgram()
    A, v = p.matrix("A"), p.vector("v")
    powers = [v]
    for _ in range(20):
        powers.append(A.T @ (A @ powers[-1]))
    catalan = math.comb(2 * 39, 39) // 40
    assert p.limit().covariance(powers[20], powers[19]).value == catalan


def test_layer_normalisation_makes_the_second_moment_one() -> None:
    p = tn.limits.TensorProgram()
    W, x = p.matrix("W", variance=3), p.vector("x", mean="1/2")
    h = W @ x
    m = p.moment(lambda h: h, h)
    v = p.moment(lambda h, m: (h - m) ** 2, h, m)
    z = p.nonlin(lambda h, m, v: (h - m) / tn.sqrt(v), h, m, v)
    r = p.nonlin("relu", z)
    limit = p.limit()
    assert limit[v].value == Fraction(15, 4)
    assert float(limit.covariance(z, z)) == pytest.approx(1, rel=1e-14)
    assert float(limit.covariance(r, r)) == pytest.approx(0.5, rel=1e-14)


def test_tiers_are_chosen_and_reported() -> None:
    p, at = two_layers()
    r = p.nonlin("relu", at["h"], name="r")
    limit = p.limit()
    assert limit.covariance(at["x"], at["x"]).tier == "A"
    assert limit.covariance(at["z"], at["z"]).tier == "C"
    e = p.nonlin("erf", at["x"], name="e")
    q = p.nonlin("gelu", at["x"], name="q")
    limit.advance()
    assert limit.covariance(e, q).tier == "B"
    assert limit.tiers["r"] == "C"
    assert "r   C  Z = relu(h)" in str(limit)
    assert limit.covariance(r, r).error < 1e-12
    with pytest.raises(LimitError, match="unsupported: an expectation beyond the tiers AB"):
        p.limit(tiers="AB")
    with pytest.raises(LimitError, match="the tiers are A, B, C and D"):
        p.limit(tiers="E")
    with pytest.raises(LimitError, match="particles are too few"):
        p.limit(tiers="AD", particles=100)


def test_expectations_with_kinks_in_three_directions_are_accurate() -> None:
    p = tn.limits.TensorProgram()
    covariance = [[1, "0.3", "-0.2"], ["0.3", 2, "0.5"], ["-0.2", "0.5", "0.7"]]
    x, y, z = p.vectors(["x", "y", "z"], mean=["0.1", 0, "-0.2"], covariance=covariance)
    limit = p.limit()
    sigma = np.array([[float(Fraction(c)) for c in row] for row in covariance])
    # P(u, v, w > 0) = 1/8 + (sum of the correlations' arc sines) / (4 pi) (Sheppard 1899).
    q = tn.limits.TensorProgram()
    u, v, w = q.vectors(["u", "v", "w"], covariance=covariance)
    found = q.limit().expect(lambda a, b, c: step(a) * step(b) * step(c), u, v, w)
    d = np.sqrt(np.diag(sigma))
    r = sigma / np.outer(d, d)
    expected = 1 / 8 + (math.asin(r[0, 1]) + math.asin(r[0, 2]) + math.asin(r[1, 2])) / (4 * math.pi)
    assert float(found) == pytest.approx(expected, abs=1e-9)
    assert abs(float(found) - expected) <= 10 * found.error + 1e-12
    # The largest of three: a particle estimate beside quadrature.
    largest = limit.expect(lambda a, b, c: tn.maximum(tn.maximum(a, b), c), x, y, z)
    sample = np.random.default_rng(3).multivariate_normal([0.1, 0, -0.2], sigma, 10**6).max(axis=1)
    assert largest.tier == "C"
    assert abs(float(largest) - sample.mean()) < 5 * sample.std() / 1000


@pytest.mark.parametrize("rho", [0.999999, 1 - 1e-10, -0.9999])
def test_nearly_degenerate_covariances_are_accurate(rho: float) -> None:
    p = tn.limits.TensorProgram()
    x, y = p.vectors(["x", "y"], covariance=[[1, rho], [rho, 1]])
    found = p.limit(tiers="AC").expect(lambda a, b: tn.relu(a) * tn.relu(b), x, y)
    angle = math.atan2(math.sqrt((1 - rho) * (1 + rho)), rho)
    expected = (math.sin(angle) + (math.pi - angle) * math.cos(angle)) / (2 * math.pi)
    assert float(found) == pytest.approx(expected, abs=1e-10)


def test_relu_six_and_functions_of_masks_have_their_kinks_found() -> None:
    p = tn.limits.TensorProgram()
    x, y = p.vectors(["x", "y"], covariance=[[9, 4], [4, 9]])
    limit = p.limit()
    six = limit.expect(lambda a, b: tn.clip(a, 0, 6) * tn.tanh(tn.relu(b)), x, y)
    assert six.tier == "C"
    sample = np.random.default_rng(3).multivariate_normal([0, 0], [[9, 4], [4, 9]], 10**6)
    values = np.clip(sample[:, 0], 0, 6) * np.tanh(np.maximum(sample[:, 1], 0))
    assert abs(float(six) - values.mean()) < 5 * values.std() / 1000


@pytest.mark.parametrize("tiers", ["AD", "ABCD"])
def test_particles_run_on_every_backend_and_agree(tiers: str, backend: str) -> None:
    p = tn.limits.TensorProgram()
    W, x = p.matrix("W"), p.vector("x")
    z = p.nonlin("tanh", W @ x)
    y = p.nonlin("tanh", W.T @ z)
    w = W @ y
    found = p.limit(tiers=tiers, particles=2**15, backend=backend, key=3).covariance(w, z)
    exact = p.limit().covariance(w, z)
    assert abs(float(found) - float(exact)) < max(4e-4, 5 * found.error)
    if tiers == "AD":
        assert found.tier == "D"
        other = p.limit(tiers=tiers, particles=2**15, key=3).covariance(w, z)
        assert float(found) == pytest.approx(float(other), abs=1e-12)


def test_the_standard_error_of_particles_is_honest() -> None:
    """Over many seeds the errors scatter as they say, with what earlier coefficients contribute."""
    p = tn.limits.TensorProgram()
    W, x = p.matrix("W"), p.vector("x")
    z = p.nonlin("relu", W @ x)
    y = p.nonlin(lambda y: tn.relu(y) + 0.3, W.T @ z)
    w = p.nonlin("relu", W @ y)
    exact = float(p.limit().covariance(w, w))
    scores = []
    for seed in range(24):
        found = p.limit(tiers="D", particles=2**12, key=seed).covariance(w, w)
        scores.append((float(found) - exact) / found.error)
    assert np.sqrt(np.mean(np.square(scores))) < 1.6
    assert np.max(np.abs(scores)) < 5


def test_batch_normalisation_is_a_nonlinearity_of_the_whole_batch() -> None:
    """Two batches of four and three inputs: seven Gaussians, so particles; the exact kernel is the published one."""
    known = reference("gp4a")["batchnorm_relu"]
    first, second, cross = (np.array(known[k]) for k in ("Sigma1", "Sigma2", "Xi"))
    p = tn.limits.TensorProgram()
    hs = p.vectors([f"h{n}" for n in range(7)], covariance=np.block([[first, cross], [cross.T, second]]))

    def normalised(x: Any, *batch: Any) -> Any:
        mean = sum(batch[1:], batch[0]) / len(batch)
        variance = sum(((b - mean) ** 2 for b in batch[1:]), (batch[0] - mean) ** 2) / len(batch)
        return tn.relu((x - mean) / tn.sqrt(variance))

    ys = [p.nonlin(normalised, h, *(hs[:4] if n < 4 else hs[4:])) for n, h in enumerate(hs)]
    limit = p.limit(particles=2**17)
    expected = np.block([[np.array(known["V11_exact"]), np.array(known["V12_exact"])],
                         [np.array(known["V12_exact"]).T, np.array(known["V22_exact"])]])  # fmt: skip
    for i in range(7):
        for j in range(i, 7):
            found = limit.covariance(ys[i], ys[j])
            assert found.tier == "D"
            assert abs(float(found) - expected[i, j]) <= max(4e-4, 5 * found.error)


# -- programs at random -----------------------------------------------------------------------------------------------

FUNCTIONS: list[tuple[int, Any]] = [
    (1, "relu"), (1, "tanh"), (1, "abs"), (1, lambda x: tn.relu(x) - 0.5), (1, "erf"),
    (2, lambda x, y: x * tn.tanh(y)), (2, lambda x, y: tn.relu(x + y)), (2, lambda x, y: tn.sin(x) * tn.cos(y)),
]  # fmt: skip


@st.composite
def programs(draw: Any) -> Any:
    p = tn.limits.TensorProgram()
    ratio = draw(st.sampled_from([1, "1/2", 2]))
    p.dimension("n", 1)
    p.dimension("m", ratio)
    A = p.matrix("A", rows="m", columns="n")
    B = p.matrix("B", variance="1/2", rows="n", columns="n")
    pool: dict[str, list[Any]] = {
        "n": [p.vector("x", dimension="n"), p.vector("v", mean="1/2", dimension="n")],
        "m": [p.vector("u", dimension="m")],
    }
    for _ in range(draw(st.integers(2, 6))):
        side = draw(st.sampled_from("nm"))
        kind = draw(st.sampled_from(["matmul", "matmul", "nonlin", "lincomb"]))
        if kind == "nonlin":
            count, function = draw(st.sampled_from(FUNCTIONS))
            pool[side].append(p.nonlin(function, *[draw(st.sampled_from(pool[side])) for _ in range(count)]))
        elif kind == "lincomb":
            pool[side].append(p.lincomb([1, "-1/2"], [draw(st.sampled_from(pool[side])) for _ in range(2)]))
        elif side == "m":
            pool["m"].append(A @ draw(st.sampled_from(pool["n"])))
        else:
            which, x = draw(st.sampled_from([(A.T, "m"), (B, "n"), (B.T, "n")]))
            pool["n"].append(which @ draw(st.sampled_from(pool[x])))
    return p, pool


@settings(max_examples=16)
@given(programs())
def test_any_program_at_a_large_width_is_near_its_limit(made: Any) -> None:
    p, pool = made
    limit = p.limit(particles=2**14, quadrature=2)
    run = p.simulate(400, seeds=6)
    for side in "nm":
        last = pool[side][-1]
        for x in (last, pool[side][0]):
            measured = run.covariance(last, x)
            expected = limit.covariance(last, x)
            bias = 8 / 400 * (1 + abs(float(expected)))
            assert abs(measured.mean - float(expected)) < 6 * (measured.error + expected.error) + bias


@settings(max_examples=12)
@given(programs())
def test_particles_agree_with_the_other_tiers(made: Any) -> None:
    p, pool = made
    limit, particles = p.limit(particles=2**14, quadrature=2), p.limit(tiers="AD", particles=2**14, key=5)
    for side in "nm":
        x = pool[side][-1]
        a, b = limit.covariance(x, x), particles.covariance(x, x)
        assert abs(float(a) - float(b)) < 6 * (a.error + b.error) + 1e-3 * (1 + abs(float(a)))
