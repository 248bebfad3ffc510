"""Laws of random matrices, message passing and the edge of chaos, as they come out of programs."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from tensor_programs import reference

import tensoria as tn
from tensoria.errors import LimitError

THEORY = reference("theory")


def test_the_semicircle_has_catalan_moments() -> None:
    law = tn.limits.semicircle(16)
    assert list(law.moments[2::2]) == THEORY["semicircle"]["even_moments"]
    assert not any(law.moments[1::2])
    x = np.linspace(-1.9, 1.9, 7)
    np.testing.assert_allclose(law.density(x), np.sqrt(4 - x * x) / (2 * math.pi), rtol=1e-9)
    assert law.edges == (-2.0, 2.0)


@pytest.mark.parametrize("ratio", ["1/4", "1/2", "1", "2"])
def test_the_marchenko_pastur_law_comes_out(ratio: str) -> None:
    law = tn.limits.marchenko_pastur(ratio, 6)
    assert list(law.moments[1:]) == [Fraction(m) for m in THEORY["marchenko_pastur"]["moments"][ratio]]
    rho = float(Fraction(ratio))
    low, high = (1 - math.sqrt(rho)) ** 2, (1 + math.sqrt(rho)) ** 2
    assert law.edges == pytest.approx((low, high), abs=1e-9)
    x = low + (high - low) * np.array([0.2, 0.5, 0.9])
    np.testing.assert_allclose(law.density(x), np.sqrt((high - x) * (x - low)) / (2 * math.pi * rho * x), rtol=1e-6)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_products_have_fuss_catalan_moments(depth: int) -> None:
    law = tn.limits.product(depth, 5)
    assert list(law.moments[1:]) == THEORY["fuss_catalan"]["moments"][str(depth)]


@pytest.mark.parametrize("depth", [1, 2, 3, 10])
def test_the_jacobian_of_a_relu_network_comes_out_exactly(depth: int) -> None:
    law = tn.limits.jacobian("relu", depth, variance=2, count=5)
    assert list(law.moments[1:]) == [Fraction(m) for m in THEORY["relu_mlp_jacobian"]["moments"][str(depth)]]
    assert law.moments[2] - law.moments[1] ** 2 == 2 * depth


def test_the_jacobian_of_a_smooth_network_agrees_with_matrices() -> None:
    law = tn.limits.jacobian("tanh", 2, variance="3/2", count=3)
    rng = np.random.default_rng(0)
    n, found = 400, []
    for _ in range(6):
        x, J = rng.normal(size=n), np.eye(n)
        for _ in range(2):
            W = rng.normal(size=(n, n)) * math.sqrt(1.5 / n)
            h = W @ x
            J, x = (1 - np.tanh(h) ** 2)[:, None] * (W @ J), np.tanh(h)
        found.append([np.trace(np.linalg.matrix_power(J @ J.T, k)) / n for k in (1, 2, 3)])
    mean, error = np.mean(found, axis=0), np.std(found, axis=0) / math.sqrt(6)
    np.testing.assert_array_less(np.abs(mean - [float(m) for m in law.moments[1:]]), 5 * error + 0.01)


def test_a_density_has_the_moments_that_it_is_made_of() -> None:
    law = tn.limits.product(2, 12)
    low, high = law.edges
    x = low + (high - low) * (1 - np.cos(np.linspace(0, math.pi, 4001))) / 2
    middle, width = (x[1:] + x[:-1]) / 2, np.diff(x)
    weight = law.density(middle) * width
    # The law is singular at 0, where the approximation keeps a little back.
    for k in (1, 2, 3):
        assert (weight * middle**k).sum() == pytest.approx(float(law.moments[k]), rel=5e-3)


def test_the_onsager_term_and_state_evolution_come_from_the_program() -> None:
    known = THEORY["amp_state_evolution_tanh"]
    found = tn.limits.message_passing("tanh", 7)
    np.testing.assert_allclose([float(v) for v in found.variances], known["tau2"], atol=1e-10)
    for t in range(1, 7):
        (coefficient,) = found.onsager[t].values()
        slope = found.limit.expect(lambda x: 1 - tn.tanh(x) ** 2, found.iterates[t - 1])
        assert float(coefficient) == pytest.approx(float(slope), abs=1e-12)
    # The corrected iterates are centred Gaussians: their fourth moments say so.
    x = found.iterates[4]
    assert float(found.limit.expect(lambda x: x**4, x)) == pytest.approx(3 * known["tau2"][4] ** 2, abs=1e-10)


def test_message_passing_between_two_widths_runs_at_finite_width() -> None:
    found = tn.limits.rectangular_message_passing("tanh", "tanh", 2, ratio="1/2")
    run = found.program.simulate(1000, seeds=6)
    for x, variance in zip(found.iterates, found.variances, strict=True):
        measured = run.covariance(x, x)
        assert abs(measured.mean - float(variance)) < 5 * measured.error + 4e-3


def test_without_the_correction_the_iterates_remember() -> None:
    p = tn.limits.TensorProgram()
    W, m = p.matrix("W", variance="1/2"), p.vector("m")
    x = (W @ m) + (W.T @ m)
    z = p.nonlin("tanh", x)
    y = (W @ z) + (W.T @ z)
    limit = p.limit()
    assert float(limit.covariance(y, m)) == pytest.approx(0.6057055096021584, abs=1e-12)


@pytest.mark.parametrize("point", THEORY["edge_of_chaos_tanh"]["points"])
def test_the_edge_of_chaos_of_tanh_comes_out(point: dict[str, float]) -> None:
    found = tn.limits.edge_of_chaos("tanh", point["sb2"])
    assert found.weight_variance == pytest.approx(point["sw2"], abs=1e-9)
    assert found.fixed_point == pytest.approx(point["qstar"], abs=1e-9)


def test_the_edge_of_chaos_without_biases() -> None:
    assert tn.limits.edge_of_chaos("relu", 0).weight_variance == pytest.approx(2)
    assert tn.limits.edge_of_chaos("relu", 0).fixed_point is None
    assert tn.limits.edge_of_chaos("tanh", 0).weight_variance == pytest.approx(1)
    assert tn.limits.variance_map("relu", 3.0, 2.0, 0.1) == pytest.approx((3.1, 1.0))
    with pytest.raises(LimitError, match="no edge of chaos"):
        tn.limits.edge_of_chaos("relu", 0.1)
