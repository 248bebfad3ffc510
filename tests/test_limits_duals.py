"""Dual activations: closed forms against quadrature and published numbers, on every backend, at all correlations."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from tensor_programs import reference

import tensoria as tn
from tensoria.core import new
from tensoria.discovery import get
from tensoria.limits.expectation import duals
from tensoria.limits.expectation.closed_forms import Pair
from tensoria.limits.expectation.pairs import pair_by_quadrature
from tensoria.limits.language.activations import leaky_relu, rectified
from tensoria.limits.language.nonlinearity import traced

CLOSED = {
    **{name: traced(name, 1) for name in
       "relu erf gelu sin cos exp square sign step abs leaky_relu gaussian rbf identity".split()},
    "steep leaky": traced(lambda x: leaky_relu(x, 0.3), 1),
    "rectified 2": traced(lambda x: rectified(x, 2), 1),
    "rectified 3": traced(lambda x: rectified(x, 3), 1),
    "Hermite 3": traced(lambda x: x**3 - 3 * x, 1),
    "Hermite 4": traced(lambda x: x**4 - 6 * x * x + 3, 1),
    "scaled": traced(lambda x: 2 * tn.maximum(3 * x, -0.5 * x) + 0.3, 1),
    "waves": traced(lambda x: tn.sin(x + 0.3) * tn.cos(2 * x), 1),
    "bump": traced(lambda x: x * tn.exp(-0.5 * x * x + 0.1), 1),
}  # fmt: skip
DUALS = reference("theory")["dual_activations"]


def arrays(backend: Any, *values: Any, dtype: Any = tn.float64) -> list[Any]:
    return [backend.asarray(np.asarray(v, dtype="float64"), dtype, None, None) for v in values]


@pytest.mark.parametrize("name", "relu erf gelu tanh silu softplus sin cos exp square cube sign step abs".split())
def test_the_published_dual_activations_come_out(name: str, backend: str) -> None:
    phi = traced(lambda x: x**3, 1) if name == "cube" else traced(name, 1)
    target = get(backend)
    found = duals.both(target, phi, *arrays(target, 1.5, 0.8, 0.6))
    for value, expected in zip(found, DUALS[name], strict=False):
        assert float(target.to_numpy(value)) == pytest.approx(expected, rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("power", [0, 1, 2])
def test_the_arc_cosine_kernels_come_out(power: int) -> None:
    known = reference("theory")["arccos_kernel"]
    found = duals.pair(get("numpy"), traced(lambda x: rectified(x, power), 1), traced(lambda x: rectified(x, power), 1),
                       *arrays(get("numpy"), 4.0, 9.0, 3.0))  # fmt: skip
    expected = (2.0 * 3.0) ** power * known[f"J{power}"] / (2 * math.pi)
    assert float(found) == pytest.approx(expected, rel=1e-14)
    if power == 1:
        unit = duals.pair(get("numpy"), traced("relu", 1), traced("relu", 1), *arrays(get("numpy"), 1.0, 1.0, 0.5))
        assert float(unit) == pytest.approx(known["E_relu_relu_unit_norm_cos_half"], rel=1e-14)


def test_hardtanh_is_what_a_sum_over_a_plane_gives(backend: str) -> None:
    target = get(backend)
    found = duals.both(target, traced("hardtanh", 1), *arrays(target, 1.5, 0.8, 0.6))
    # The midpoint rule for x = sqrt(1.5) u, y = 0.4 x + sqrt(0.8 - 0.24) v, whose error falls like the square of 0.005.
    u, spread = np.arange(-8, 8, 0.005) + 0.0025, math.sqrt(0.56)
    weight = np.exp(-u * u / 2) * 0.005 / math.sqrt(2 * math.pi)
    x = math.sqrt(1.5) * u
    value = (weight * np.clip(x, -1, 1)) @ np.clip(0.4 * x[:, None] + spread * u, -1, 1) @ weight
    # Of the slopes, 1 inside and 0 outside, y's mean for each x is a difference of error functions.
    x = np.arange(-1, 1, 0.0005) + 0.00025
    inside = [sum(math.erf((1 + sign * 0.4 * t) / spread / math.sqrt(2)) for sign in (1, -1)) / 2 for t in x]
    slope = np.exp(-x * x / 3) @ np.array(inside) * 0.0005 / math.sqrt(3 * math.pi)
    np.testing.assert_allclose([float(target.to_numpy(of)) for of in found], [value, slope], rtol=2e-6)


PAIRS = [
    (a, b) for a, b in itertools.combinations_with_replacement(CLOSED, 2) if duals.tier(CLOSED[a], CLOSED[b]) == "B"
]


def test_most_pairs_of_activations_have_a_closed_form() -> None:
    missing = set(itertools.combinations_with_replacement(CLOSED, 2)) - set(PAIRS)
    assert len(PAIRS) > 200
    # Dawson's integral would be needed for a wave beside a mask or an error function.
    waves = {"sin", "cos", "rbf", "waves"}
    assert all({a, b} & waves and not {a, b} <= waves for a, b in missing)


def test_closed_forms_agree_with_quadrature_at_all_correlations() -> None:
    backend = get("numpy")
    near = np.array([1 - 1e-12, 1 - 1e-6, 1 - 1e-3, -1 + 1e-9, 1.0, -1.0, 0.0])
    for a, b in PAIRS:
        for covariance in ((1.5, 0.8, np.array([0.6, -0.6, 1.0954, -1.09, 0.0, 1e-9])), (1.0, 1.0, near)):
            x = duals.pair(backend, CLOSED[a], CLOSED[b], *arrays(backend, *covariance))
            y = pair_by_quadrature(backend, CLOSED[a], CLOSED[b], *arrays(backend, *covariance))
            np.testing.assert_allclose(x, y, rtol=1e-10, atol=1e-10, err_msg=f"{a} {b}")


@pytest.mark.parametrize("name", ["relu", "abs", "leaky_relu", "step", "erf", "gelu", "rectified 2", "tanh"])
def test_the_diagonal_is_exact_where_a_clipped_correlation_would_not_be(name: str, backend: str) -> None:
    phi = CLOSED.get(name) or traced(name, 1)
    target = get(backend)
    q = np.array([1e-3, 0.7, 1.0, 3.0, 50.0])
    value, slope = duals.both(target, phi, *arrays(target, q, q, q))
    numpy = get("numpy")
    square = traced(lambda x: phi(x) * phi(x), 1)
    slope2 = traced(lambda x: phi.derivative()(x) * phi.derivative()(x), 1)
    np.testing.assert_allclose(target.to_numpy(value), duals.mean(numpy, square, q), rtol=1e-12)
    expected = duals.mean(numpy, slope2, q) if name != "step" else 0 * q
    np.testing.assert_allclose(target.to_numpy(slope), expected, rtol=1e-11, atol=1e-14)


def test_a_covariance_beyond_its_bound_by_rounding_is_no_nan(backend: str) -> None:
    target = get(backend)
    q = np.array([0.1, 0.3, 1.7])
    value, slope = duals.both(target, CLOSED["relu"], *arrays(target, q, q, np.nextafter(q, 10)))
    np.testing.assert_allclose(target.to_numpy(value), q / 2, rtol=1e-14)
    np.testing.assert_allclose(target.to_numpy(slope), 0.5, rtol=1e-12)


@pytest.mark.parametrize("name", ["relu", "gelu", "erf", "sin"])
def test_whole_kernels_broadcast_and_keep_their_data_type(name: str, backend: str) -> None:
    target = get(backend)
    x = np.random.default_rng(1).normal(size=(5, 3))
    K = x @ x.T
    d = np.diag(K)
    wide = duals.pair(target, CLOSED[name], CLOSED[name], *arrays(target, d[:, None], d[None, :], K))
    single = duals.pair(target, CLOSED[name], CLOSED[name], *arrays(target, d[1], d[3], K[1, 3]))
    assert tuple(wide.shape) == (5, 5)
    np.testing.assert_allclose(target.to_numpy(wide)[1, 3], target.to_numpy(single), rtol=1e-13)
    short = duals.pair(target, CLOSED[name], CLOSED[name],
                       *arrays(target, d[:, None], d[None, :], K, dtype=tn.float32))  # fmt: skip
    assert target.dtype(short) is tn.float32
    np.testing.assert_allclose(target.to_numpy(short), target.to_numpy(wide), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", ["relu", "abs", "gelu", "erf", "tanh"])
def test_derivatives_through_the_covariances_are_finite_on_the_diagonal(name: str) -> None:
    phi = CLOSED.get(name) or traced(name, 1)

    def diagonal(q: Any) -> Any:
        value = duals.pair(q._backend, phi, phi, q._array, q._array, q._array)
        return tn.sum(new(q, value, q._axes))

    q = np.array([0.5, 1.0, 2.0])
    slope = tn.grad(diagonal)(tn.asarray(q)).array
    h = 1e-5
    numpy = get("numpy")
    above, below = (duals.pair(numpy, phi, phi, q + s, q + s, q + s) for s in (h, -h))
    between = (above - below) / (2 * h)
    np.testing.assert_allclose(slope, between, rtol=1e-6, atol=1e-8)


def test_rectified_monomials_have_moments_of_all_powers() -> None:
    # E[u^4 1(u > 0)] = 3/2 q^2, where another library's kernel is NaN.
    found = duals.pair(get("numpy"), CLOSED["rectified 2"], CLOSED["rectified 2"], *arrays(get("numpy"), 2.0, 2.0, 2.0))
    assert float(found) == pytest.approx(1.5 * 4.0, rel=1e-14)
    u = np.random.default_rng(0).multivariate_normal([0, 0], [[1.0, 0.4], [0.4, 2.0]], 400_000)
    pair = Pair(get("numpy"), *arrays(get("numpy"), 1.0, 2.0, 0.4))
    for p, q in ((0, 1), (3, 0), (2, 3)):
        sample = np.maximum(u[:, 0], 0) ** p * (u[:, 0] > 0) * np.maximum(u[:, 1], 0) ** q * (u[:, 1] > 0)
        found = pair.moment(p, ("step", 1.0, 0.0), q, ("step", 1.0, 0.0))
        assert abs(float(found) - sample.mean()) < 5 * sample.std() / math.sqrt(len(sample))
