"""Metric calculus: connections, curvature and what follows from them, at batches of points, on every backend."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from across import installed, native, refusal, values
from hypothesis import given, settings
from hypothesis import strategies as st
from spacetimes import PLANE, SPACE, SPACETIME, kerr, lumpy, polar, schwarzschild, sphere

import tensoria as tn
from tensoria.discovery import get
from tensoria.errors import ConversionError, DTypeError, MetricError, ModeError, ShapeError, SpaceError, VarianceError

pytestmark = pytest.mark.skipif(
    not any(get(name).differentiates for name in installed()), reason="no installed backend differentiates"
)
RNG = np.random.default_rng(3)
POINT = [0.0, 3.0, math.pi / 3, 0.0]
LUMPS = RNG.uniform(-0.5, 0.5, size=(3, 4))


def at(b: str, x: Any = POINT) -> tn.Tensor:
    return tn.asarray(native(b, x, "float64"))


def vector_field(x: tn.Tensor) -> tn.Tensor:
    """A vector field in four dimensions without any symmetry."""
    return tn.from_components(
        [x[..., 1] * x[..., 2], tn.sin(x[..., 3]), x[..., 0] ** 2, 1 + x[..., 1] * x[..., 3]], "^a", a=SPACETIME
    )


def form(x: tn.Tensor) -> tn.Tensor:
    return vector_field(x).lowered(metric=lumpy(x))


# -- the worked numbers -----------------------------------------------------------------------------------------------


def test_schwarzschild_is_empty_and_curved(backend: str) -> None:
    """Item 1 of the worked numbers."""
    found = tn.curvature(schwarzschild)(at(backend))
    np.testing.assert_allclose(values(found.ricci), np.zeros((4, 4)), atol=1e-14)
    np.testing.assert_allclose(float(found.kretschmann), 48 / 3**6, rtol=1e-13)
    np.testing.assert_allclose(float(found.kretschmann), 0.0658436214, rtol=1e-9)
    R = found.riemann
    assert (str(R.axes), R.backend) == ("^i _j _i' _j'", backend)
    np.testing.assert_allclose(values(R)[0, 1, 0, 1], 2 / 9, rtol=1e-13)
    np.testing.assert_allclose(values(R)[2, 3, 2, 3], 1 / 2, rtol=1e-13)


def test_kerr_is_empty_and_curved(backend: str) -> None:
    """Item 2 of the worked numbers."""
    x = at(backend)
    assert str(tn.ricci(kerr)(x).axes) == "_i _j"
    np.testing.assert_allclose(values(tn.ricci(kerr)(x)), np.zeros((4, 4)), atol=1e-14)
    np.testing.assert_allclose(float(tn.kretschmann(kerr)(x)), 0.056631524479, rtol=1e-10)
    volume = math.sqrt(-np.linalg.det(values(kerr(x))))
    np.testing.assert_allclose(volume, 7.848355221796, rtol=1e-12)


def test_kerr_s_ricci_tensor_at_a_thousand_points_is_zero(backend: str) -> None:
    x = np.stack([np.zeros(1000), RNG.uniform(2.2, 12, 1000), RNG.uniform(0.2, 2.9, 1000), np.zeros(1000)], axis=-1)
    found = tn.ricci(kerr)(at(backend, x))
    assert found.shape == (1000, 4, 4)
    assert np.abs(values(found)).max() < 1e-10


def test_the_known_kretschmann_scalar_of_kerr(backend: str) -> None:
    """48 M^2 (r^2 - a^2 c^2) ((r^2 + a^2 c^2)^2 - 16 r^2 a^2 c^2) / (r^2 + a^2 c^2)^6 with c = cos(theta)."""
    r, theta, a = np.array([2.5, 3.0, 7.0]), np.array([0.3, 1.2, 2.0]), 0.5
    x = np.stack([0 * r, r, theta, 0 * r], axis=-1)
    q = (a * np.cos(theta)) ** 2
    expected = 48 * (r**2 - q) * ((r**2 + q) ** 2 - 16 * r**2 * q) / (r**2 + q) ** 6
    np.testing.assert_allclose(values(tn.kretschmann(kerr)(at(backend, x))), expected, rtol=1e-11)


@pytest.mark.parametrize("radius", [1.0, 3.0])
def test_a_sphere_is_evenly_curved(backend: str, radius: float) -> None:
    def metric(x: tn.Tensor) -> tn.Tensor:
        return sphere(x, radius)

    x = at(backend, [[0.5, 0.0], [1.5, 2.0]])
    found = tn.curvature(metric)(x)
    np.testing.assert_allclose(values(found.scalar), [2 / radius**2] * 2, rtol=1e-13)
    np.testing.assert_allclose(values(found.ricci), values(metric(x)) / radius**2, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(values(found.einstein), np.zeros((2, 2, 2)), atol=1e-14)
    np.testing.assert_allclose(values(found.kretschmann), [4 / radius**4] * 2, rtol=1e-13)


# -- identities, for a metric without symmetries ----------------------------------------------------------------------


def lowered(x: tn.Tensor) -> np.ndarray[Any, Any]:
    return values(tn.riemann(lumpy)(x).lowered("i", metric=lumpy(x)))


def test_the_symmetries_of_the_riemann_tensor_and_the_first_bianchi_identity(backend: str) -> None:
    R = lowered(at(backend, LUMPS))
    assert np.abs(R).max() > 0.01
    for sign, order in ((-1, (0, 2, 1, 3, 4)), (-1, (0, 1, 2, 4, 3)), (1, (0, 3, 4, 1, 2))):
        np.testing.assert_allclose(R.transpose(order), sign * R, atol=1e-15)
    cyclic = R + R.transpose(0, 1, 3, 4, 2) + R.transpose(0, 1, 4, 2, 3)
    np.testing.assert_allclose(cyclic, 0 * R, atol=1e-15)


def test_the_second_bianchi_identity(backend: str) -> None:
    """nabla_[e R_ab]cd = 0, and what follows of it: the Einstein tensor has no divergence."""
    x = at(backend, LUMPS)
    D = tn.covariant_derivative(tn.riemann(lumpy), lumpy, name="e")(x)
    assert str(D.axes) == "^i _j _i' _j' _e"
    d = values(D)
    cyclic = d + d.transpose(0, 1, 2, 4, 5, 3) + d.transpose(0, 1, 2, 5, 3, 4)
    assert np.abs(d).max() > 0.01
    np.testing.assert_allclose(cyclic, 0 * d, atol=1e-13)
    divergence = tn.divergence(lambda x: tn.einstein(lumpy)(x).raised("i", metric=lumpy(x)), lumpy)(x)
    assert str(divergence.axes) == "_j"
    np.testing.assert_allclose(values(divergence), np.zeros((3, 4)), atol=1e-13)


def test_the_metric_is_covariantly_constant_and_its_connection_without_torsion(backend: str) -> None:
    x = at(backend, LUMPS)
    np.testing.assert_allclose(values(tn.covariant_derivative(lumpy, lumpy)(x)), np.zeros((3, 4, 4, 4)), atol=1e-15)
    gamma = tn.christoffel(lumpy)(x)
    assert isinstance(gamma, tn.Connection)
    np.testing.assert_allclose(values(gamma.torsion()), np.zeros((3, 4, 4, 4)), atol=1e-15)


def test_covariant_derivatives_commute_up_to_curvature(backend: str) -> None:
    """nabla_c nabla_d V^a - nabla_d nabla_c V^a = R^a_bcd V^b, and with the opposite sign for down indices."""
    x = at(backend, LUMPS)
    R = values(tn.riemann(lumpy)(x))
    for field, equation, sign in ((vector_field, "nabcd,nb->nacd", 1), (form, "nbacd,nb->nacd", -1)):
        twice = values(tn.covariant_derivative(tn.covariant_derivative(field, lumpy), lumpy)(x))
        commutator = twice.transpose(0, 1, 3, 2) - twice  # the index that came last is the outer derivative's
        np.testing.assert_allclose(commutator, sign * np.einsum(equation, R, values(field(x))), atol=1e-13)


def test_the_covariant_derivative_obeys_the_rule_of_products(backend: str) -> None:
    x = at(backend, LUMPS)
    product = tn.covariant_derivative(lambda x: vector_field(x) * form(x).renamed(a="b"), lumpy, "k")(x)
    v, w = vector_field(x), form(x).renamed(a="b")
    dv, dw = tn.covariant_derivative(vector_field, lumpy, "k")(x), tn.covariant_derivative(form, lumpy, "k")(x)
    expected = np.einsum("nak,nb->nabk", values(dv), values(w)) + np.einsum("na,nbk->nabk", values(v), values(dw))
    assert str(product.axes) == "^a _b _k"
    np.testing.assert_allclose(values(product), expected, atol=1e-14)


def test_a_tensor_of_any_type_is_differentiated_against_differences(backend: str) -> None:
    """The partial derivatives in nabla T of a (1, 2) tensor with a plain axis, by central differences."""
    u = native(backend, [1.0, -2.0, 0.5])

    def field(x: tn.Tensor) -> tn.Tensor:
        b = tn.tensor(tn.asarray(u).to(backend=x.backend).array, "b")
        v = vector_field(x)
        return tn.einsum("b, ... ^a, ... _c, ... _d -> ... b ^a _c _d", b, v, form(x), form(x))

    x = LUMPS[0]
    h = 1e-5
    by = np.stack(
        [(values(field(at(backend, [x + h * e])))[0] - values(field(at(backend, [x - h * e])))[0]) / (2 * h)
         for e in np.eye(4)], axis=-1
    )  # fmt: skip
    T, gamma = values(field(at(backend, [x])))[0], values(tn.christoffel(lumpy)(at(backend, x)).coefficients)
    expected = by + np.einsum("akm,bmcd->bacdk", gamma, T)
    expected -= np.einsum("mkc,bamd->bacdk", gamma, T) + np.einsum("mkd,bacm->bacdk", gamma, T)
    found = tn.covariant_derivative(field, lumpy)(at(backend, x))
    assert str(found.axes) == "b ^a _c _d _i"
    np.testing.assert_allclose(values(found), expected, atol=1e-9)


def test_the_weyl_tensor_has_no_traces_and_does_not_see_the_scale(backend: str) -> None:
    x = at(backend, LUMPS)
    C = values(tn.weyl(lumpy)(x))
    assert np.abs(C).max() > 0.01
    np.testing.assert_allclose(np.einsum("nabad->nbd", C), np.zeros((3, 4, 4)), atol=1e-15)

    np.testing.assert_allclose(values(tn.weyl(weighted)(x)), C, atol=1e-14)


def weighted(x: tn.Tensor) -> tn.Tensor:
    """The lumpy metric with another scale at each point."""
    scale = tn.exp(tn.sin(x[..., 0]) + x[..., 2] * x[..., 1])
    return tn.tensor(lumpy(x).components * scale[..., None, None], [..., *lumpy(x).indices])


def test_in_three_dimensions_the_weyl_tensor_is_zero_and_in_two_there_is_none(backend: str) -> None:
    def metric(x: tn.Tensor) -> tn.Tensor:
        u, v, w = (x[..., k] for k in range(3))
        g = [[2 + u * v, 0.3 * w, 0.1 * u], [0.3 * w, 1 + tn.exp(v), 0.2], [0.1 * u, 0.2, 3 + tn.sin(w * u)]]
        return tn.from_components(g, "_i _j", i=SPACE, j=SPACE)

    x = at(backend, LUMPS[:, :3])
    assert np.abs(values(tn.riemann(metric)(x))).max() > 0.01
    np.testing.assert_allclose(values(tn.weyl(metric)(x)), np.zeros((3, 3, 3, 3, 3)), atol=1e-15)
    refusal(SpaceError, lambda b: tn.weyl(sphere)(at(b, [1.0, 0.0])), "three dimensions", "S(2)")


def test_a_flat_space_stays_flat_in_any_coordinates(backend: str) -> None:
    """The metric of the plane pulled back along any map: g_ij = d_i y . d_j y, differentiated twice more."""

    def metric(x: tn.Tensor) -> tn.Tensor:
        def y(x: tn.Tensor) -> tn.Tensor:
            return tn.from_components(
                [x[..., 0] + 0.2 * tn.sin(x[..., 1]), x[..., 1] * tn.exp(x[..., 0])], "^k", k=PLANE
            )

        columns = []
        for unit in ((1.0, 0.0), (0.0, 1.0)):
            tangent = tn.zeros_like(x) + tn.asarray(unit, dtype=x.dtype)
            columns.append(tn.jvp(y, (x,), (tangent,))[1].components)
        g = [[tn.vecdot(a, b) for a in columns] for b in columns]
        return tn.from_components(g, "_i _j", i=PLANE, j=PLANE)

    x = at(backend, RNG.uniform(-0.5, 0.5, size=(4, 2)))
    np.testing.assert_allclose(values(tn.riemann(metric)(x)), np.zeros((4, 2, 2, 2, 2)), atol=1e-13)


# -- connections ------------------------------------------------------------------------------------------------------


def test_the_curvature_of_a_connection_is_that_of_its_metric(backend: str) -> None:
    x = at(backend, LUMPS)
    np.testing.assert_allclose(values(tn.riemann(tn.christoffel(lumpy))(x)), values(tn.riemann(lumpy)(x)), atol=1e-13)


def test_a_connection_is_no_tensor() -> None:
    for action in (
        lambda c, v: c * v,
        lambda c, v: v * c,
        lambda c, v: c @ v,
        lambda c, v: c + c,
        lambda c, v: v + c,
        lambda c, v: 2 * c,
        lambda c, v: c[0],
    ):
        refusal(
            ModeError,
            lambda b, action=action: action(tn.christoffel(polar)(at(b, [2.0, 0.0])), at(b, [1.0, 2.0])),
            "no tensor",
            "tn.covariant_derivative",
        )


def test_differences_of_connections_are_tensors_and_so_is_torsion(backend: str) -> None:
    x = at(backend, [[2.0, 0.3]])
    difference = tn.christoffel(sphere)(x) - tn.christoffel(polar)(x)
    assert str(difference.axes) == "^a _b _c"
    twisted = tn.Connection(at(backend, np.arange(8.0).reshape(2, 2, 2)), PLANE)
    np.testing.assert_array_equal(values(twisted.torsion())[0], [[0, -1], [1, 0]])


def test_a_connection_with_torsion_differentiates_and_curves(backend: str) -> None:
    """R(X, Y) V = [nabla_X, nabla_Y] V for commuting X, Y; the torsion adds T^e_cd nabla_e V to the commutator."""
    fixed = RNG.normal(size=(2, 2, 2))

    def connection(x: tn.Tensor) -> tn.Connection:
        base = tn.asarray(fixed.tolist(), dtype="float64").to(backend=x.backend)
        return tn.Connection(base * tn.exp(x[..., 0] * x[..., 1])[..., None, None, None], PLANE)

    def field(x: tn.Tensor) -> tn.Tensor:
        return tn.from_components([tn.sin(x[..., 1]), x[..., 0] * x[..., 1]], "^a", a=PLANE)

    x = at(backend, [[0.3, 0.4], [1.0, -0.2]])
    once = tn.covariant_derivative(field, connection)
    twice = values(tn.covariant_derivative(once, connection)(x))
    torsion = values(connection(x.to(backend="numpy")).torsion())
    commutator = twice.transpose(0, 1, 3, 2) - twice
    expected = np.einsum("nabcd,nb->nacd", values(tn.riemann(connection)(x)), values(field(x)))
    expected -= np.einsum("necd,nae->nacd", torsion, values(once(x)))
    np.testing.assert_allclose(commutator, expected, atol=1e-12)


# -- divergence, Laplace-Beltrami, Lie --------------------------------------------------------------------------------


def test_the_divergence_of_a_vector_field_by_the_determinant(backend: str) -> None:
    """nabla_a V^a = d_a (sqrt|g| V^a) / sqrt|g|, by central differences."""

    def density(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        p = at(backend, [x])
        return np.sqrt(abs(np.linalg.det(values(lumpy(p))[0]))) * values(vector_field(p))[0]

    x, h = LUMPS[1], 1e-5
    total = sum((density(x + h * e) - density(x - h * e))[k] / (2 * h) for k, e in enumerate(np.eye(4)))
    volume = np.sqrt(abs(np.linalg.det(values(lumpy(at(backend, [x])))[0])))
    np.testing.assert_allclose(float(tn.divergence(vector_field, lumpy)(at(backend, x))), total / volume, rtol=1e-8)


def test_spherical_harmonics_are_eigenfunctions_of_the_laplacian(backend: str) -> None:
    """Of degree two: the eigenvalue is -2 (2 + 1)."""

    def harmonic(x: tn.Tensor) -> tn.Tensor:
        return tn.sin(x[..., 0]) * tn.cos(x[..., 0]) * tn.sin(x[..., 1])

    x = at(backend, RNG.uniform(0.3, 2.5, size=(5, 2)))
    np.testing.assert_allclose(values(tn.laplace_beltrami(harmonic, sphere)(x)), -6 * values(harmonic(x)), rtol=1e-12)


def test_the_laplacian_of_a_vector_field_on_the_plane_is_that_of_its_cartesian_components(backend: str) -> None:
    """The field x^2 d/dx in polar coordinates; its Laplacian is 2 d/dx."""

    def field(p: tn.Tensor) -> tn.Tensor:
        r, phi = p[..., 0], p[..., 1]
        square = (r * tn.cos(phi)) ** 2
        return tn.from_components([square * tn.cos(phi), -square * tn.sin(phi) / r], "^k", k=PLANE)

    x = np.array([[1.0, 0.3], [2.0, 1.2]])
    found = tn.laplace_beltrami(field, polar)(at(backend, x))
    assert str(found.axes) == "^k"
    expected = np.stack([2 * np.cos(x[:, 1]), -2 * np.sin(x[:, 1]) / x[:, 0]], axis=-1)
    np.testing.assert_allclose(values(found), expected, rtol=1e-12)


def test_the_lie_derivative_along_symmetries_of_the_metric_is_zero(backend: str) -> None:
    """Rotations of the sphere are Killing fields; the Lie derivative of the metric is nabla_i X_j + nabla_j X_i."""

    def rotation(x: tn.Tensor) -> tn.Tensor:
        theta, phi = x[..., 0], x[..., 1]
        return tn.from_components([-tn.sin(phi), -tn.cos(phi) * tn.cos(theta) / tn.sin(theta)], "^k", k=PLANE)

    x = at(backend, [[0.7, 0.2], [2.0, 1.0]])
    np.testing.assert_allclose(values(tn.lie_derivative(rotation, sphere)(x)), np.zeros((2, 2, 2)), atol=1e-15)
    x = at(backend, LUMPS)
    D = values(tn.covariant_derivative(form, lumpy)(x))
    found = tn.lie_derivative(vector_field, lumpy)(x)
    np.testing.assert_allclose(values(found), D + D.transpose(0, 2, 1), atol=1e-14)


def test_the_bracket_of_vector_fields_and_its_jacobi_identity(backend: str) -> None:
    def v(x: tn.Tensor) -> tn.Tensor:
        return tn.from_components(
            [x[..., 1] ** 2, x[..., 0], x[..., 2] * x[..., 3], tn.sin(x[..., 0])], "^a", a=SPACETIME
        )

    def w(x: tn.Tensor) -> tn.Tensor:
        return tn.from_components([x[..., 3], x[..., 0] * x[..., 2], 1, x[..., 1]], "^a", a=SPACETIME)

    def bracket(a: Callable[[Any], tn.Tensor], b: Callable[[Any], tn.Tensor]) -> Callable[[Any], tn.Tensor]:
        return tn.lie_derivative(a, b)

    x, u = at(backend, LUMPS), vector_field
    np.testing.assert_allclose(values(bracket(u, v)(x)), -values(bracket(v, u)(x)), atol=1e-15)
    total = sum(values(bracket(a, bracket(b, c))(x)) for a, b, c in ((u, v, w), (v, w, u), (w, u, v)))
    np.testing.assert_allclose(total, np.zeros((3, 4)), atol=1e-14)


# -- geodesics --------------------------------------------------------------------------------------------------------


def test_geodesics_of_the_sphere_are_great_circles(backend: str) -> None:
    start, angles = np.array([[math.pi / 2, 0.0], [1.0, 0.5]]), np.array([0.3, 1.1])
    v = np.stack([np.cos(angles), np.sin(angles) / np.sin(start[:, 0])], axis=-1)
    times = [0.0, 0.5, 0.9]
    found = tn.geodesic(sphere, at(backend, start), tn.tensor(native(backend, v), "... ^k", k=PLANE), times, rtol=1e-6)
    assert (found.x.shape, str(found.velocity.axes), found.x.backend) == ((3, 2, 2), "^k", backend)

    def embedded(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        theta, phi = x[..., 0], x[..., 1]
        return np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=-1)

    theta, phi = start[:, 0], start[:, 1]
    east = np.stack([-np.sin(phi), np.cos(phi), 0 * phi], axis=-1)
    south = np.stack([np.cos(theta) * np.cos(phi), np.cos(theta) * np.sin(phi), -np.sin(theta)], axis=-1)
    heading = np.cos(angles)[:, None] * south + np.sin(angles)[:, None] * east
    for n, s in enumerate(times):
        expected = np.cos(s) * embedded(start) + np.sin(s) * heading
        np.testing.assert_allclose(embedded(values(found.x)[n]), expected, atol=1e-5)


def test_an_orbit_keeps_its_energy_its_angular_momentum_and_its_length(backend: str) -> None:
    x = at(backend, [0.0, 10.0, math.pi / 2, 0.0])
    v = tn.tensor(native(backend, [1.2, 0.01, 0.0, 0.038]), "^k", k=SPACETIME)
    found = tn.geodesic(schwarzschild, x, v, [0.0, 20.0, 60.0], rtol=1e-5, atol=1e-8)
    g, u = values(schwarzschild(found.x)), values(found.velocity)
    momentum = np.einsum("nij,nj->ni", g, u)
    np.testing.assert_allclose(momentum[:, 0], momentum[0, 0], rtol=1e-4)
    np.testing.assert_allclose(momentum[:, 3], momentum[0, 3], rtol=1e-4)
    np.testing.assert_allclose(np.einsum("ni,ni->n", momentum, u), momentum[0] @ u[0], rtol=1e-4)
    assert values(found.x)[-1, 3] > 2


def test_the_end_of_a_geodesic_has_derivatives_by_its_beginning(backend: str) -> None:
    """On the sphere, of the angle after s = 1 from the equator northwards: sin(1) d(heading)."""

    def longitude(v: tn.Tensor) -> tn.Tensor:
        x = tn.asarray([math.pi / 2, 0.0], dtype="float64").to(backend=v.backend)
        return tn.geodesic(sphere, x, v, [0.0, 1.0], steps=5).x[-1, 1]

    slope = tn.grad(longitude)(tn.tensor(native(backend, [-1.0, 0.0]), "^k", k=PLANE))
    assert str(slope.axes) == "_k"
    np.testing.assert_allclose(values(slope), [0.0, math.tan(1.0)], atol=1e-4)


def test_a_vector_carried_around_a_circle_of_latitude_turns_by_the_area(backend: str) -> None:
    theta = 1.0

    def circle(s: tn.Tensor) -> tn.Tensor:
        return tn.stack([s * 0 + theta, s])

    # The identity map stays what it is, a vector turns.
    start = tn.tensor(native(backend, [[1.0, 0.0], [0.0, 1.0]]), "^k _l", k=PLANE, l=PLANE)
    still = tn.parallel_transport(sphere, circle, start, [0.0, 2 * math.pi], steps=2)
    np.testing.assert_allclose(values(still)[-1], np.eye(2), atol=1e-12)
    once = tn.tensor(native(backend, [1.0, 0.0]), "^k", k=PLANE)
    v = tn.parallel_transport(sphere, circle, once, [0.0, 2 * math.pi], steps=20)
    turned = values(v)[-1] * [1, math.sin(theta)]
    angle = 2 * math.pi * math.cos(theta)
    np.testing.assert_allclose(turned, [math.cos(angle), -math.sin(angle)], atol=1e-5)


# -- fields, points and what is refused -------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 3), max_size=3))
@settings(max_examples=8)
def test_a_batch_of_points_is_the_points_one_by_one(shape: list[int]) -> None:
    x = RNG.uniform(-0.5, 0.5, size=(*shape, 4))
    found = values(tn.ricci(lumpy)(at("numpy", x)))
    assert found.shape == (*shape, 4, 4)
    for place in np.ndindex(*shape):
        np.testing.assert_allclose(found[place], values(tn.ricci(lumpy)(at("numpy", x[place]))), atol=1e-14)


def test_the_metric_that_a_space_declares_is_never_used_for_a_field_s(backend: str) -> None:
    declared = tn.Space("D", 2, metric=[[5, 1], [1, 7]], position="free")

    def metric(x: tn.Tensor) -> tn.Tensor:
        s = tn.sin(x[..., 0]) ** 2
        return tn.from_components([[1, 0], [0, s]], "_i _j", i=declared, j=declared)

    x = at(backend, [1.0, 0.0])
    np.testing.assert_allclose(float(tn.scalar_curvature(metric)(x)), 2, rtol=1e-13)
    np.testing.assert_allclose(
        values(tn.christoffel(metric)(x).coefficients), values(tn.christoffel(sphere)(x).coefficients), rtol=1e-13
    )


def test_constant_fields_need_no_mention_of_the_points(backend: str) -> None:
    def flat(x: tn.Tensor) -> tn.Tensor:
        return tn.tensor([[-1.0, 0.0], [0.0, 1.0]], "_i _j", i=PLANE, j=PLANE)

    x = at(backend, [[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(values(tn.riemann(flat)(x)), np.zeros((2, 2, 2, 2, 2)))
    assert tn.covariant_derivative(flat, polar)(x).shape == (2, 2, 2, 2)


def test_components_of_a_field_are_numbers_and_plain_tensors() -> None:
    r = tn.asarray([[1.0], [2.0]])
    s = tn.asarray([3.0, 4.0, 5.0])
    t = tn.from_components([[r, 0], [1, s]], "_i _j", i=PLANE, j=PLANE)
    assert (t.shape, str(t.axes)) == ((2, 3, 2, 2), "_i _j")
    np.testing.assert_array_equal(values(t)[1, 2], [[2, 0], [1, 5]])
    with pytest.raises(ConversionError, match="rectangular"):
        tn.from_components([[r, 0], [1]], "_i _j", i=PLANE, j=PLANE)
    with pytest.raises(ConversionError, match=r"t\.components"):
        tn.from_components([t, t], "^k", k=PLANE)
    with pytest.raises(ShapeError):
        tn.from_components([r, r, r], "^k", k=PLANE)


def test_a_singular_metric_is_refused_and_says_where() -> None:
    text = refusal(MetricError, lambda b: tn.ricci(sphere)(at(b, [[1.0, 0.0], [0.0, 0.5]])), "1 of 2 points")
    assert "[0.0, 0.5]" in text
    refusal(MetricError, lambda b: tn.christoffel(schwarzschild)(at(b, [0.0, 0.0, 1.0, 0.0])), "not finite")
    degenerate = [[1.0, 2.0], [2.0, 4.0]]
    refusal(
        MetricError,
        lambda b: tn.ricci(lambda x: tn.tensor(degenerate, "_i _j", i=PLANE, j=PLANE))(at(b, [1.0, 1.0])),
        "singular",
    )


def test_coordinates_in_any_units_are_no_singularity(backend: str) -> None:
    def metric(x: tn.Tensor) -> tn.Tensor:
        return tn.from_components([[1e-20, 0], [0, 1e20 * tn.sin(1e-10 * x[..., 0]) ** 2]], "_i _j", i=PLANE, j=PLANE)

    np.testing.assert_allclose(float(tn.scalar_curvature(metric)(at(backend, [1e10, 0.0]))), 2.0, rtol=1e-12)


def test_what_is_no_metric_is_refused() -> None:
    def with_metric(make: Callable[[tn.Tensor], Any], x: Any = (1.0, 2.0)) -> Callable[[str], Any]:
        return lambda b: tn.ricci(make)(at(b, x))

    rows = [[1.0, 0.5], [0.0, 1.0]]
    refusal(MetricError, with_metric(lambda x: tn.tensor(rows, "_i _j", i=PLANE, j=PLANE)), "not symmetric")
    refusal(MetricError, with_metric(lambda x: tn.tensor(rows, "^i ^j", i=PLANE, j=PLANE)), "two down indices", "^i ^j")
    refusal(MetricError, with_metric(lambda x: tn.tensor(rows, "^i _j", i=PLANE, j=PLANE)), "^i _j")
    other = tn.Space("other", 2)
    refusal(MetricError, with_metric(lambda x: tn.tensor(rows, "_i _j", i=PLANE, j=other)), "two")
    refusal(ShapeError, with_metric(sphere, (1.0, 2.0, 3.0)), "3 coordinates", "S(2)")
    refusal(MetricError, with_metric(tn.christoffel(sphere)), "connection")
    refusal(ModeError, with_metric(lambda x: 1.0), "float")


def test_wrong_variances_spaces_and_points_are_refused() -> None:
    other = tn.Space("other", 2)
    x = [1.0, 2.0]

    def stranger(x: tn.Tensor) -> tn.Tensor:
        return tn.from_components([x[..., 0], x[..., 1]], "^k", k=other)

    def covector(x: tn.Tensor) -> tn.Tensor:
        return tn.from_components([x[..., 0], x[..., 1]], "_k", k=PLANE)

    refusal(SpaceError, lambda b: tn.covariant_derivative(stranger, polar)(at(b, x)), "^k:other(2)", "S(2)")
    refusal(SpaceError, lambda b: tn.lie_derivative(stranger, covector)(at(b, x)), "_k:S(2)", "other(2)")
    refusal(VarianceError, lambda b: tn.lie_derivative(covector, covector)(at(b, x)), "_k")
    refusal(VarianceError, lambda b: tn.divergence(covector, polar)(at(b, x)), "_k", "raised")
    refusal(VarianceError, lambda b: tn.divergence(covector, polar, "k")(at(b, x)), "_k", "raised")
    v = [1.0, 0.0]
    refusal(
        VarianceError,
        lambda b: tn.geodesic(polar, at(b, x), tn.tensor(native(b, v), "_k", k=PLANE), [0, 1]),
        "_k:S(2)",
    )
    refusal(
        SpaceError, lambda b: tn.geodesic(polar, at(b, x), tn.tensor(native(b, v), "^k", k=other), [0, 1]), "other(2)"
    )
    refusal(ModeError, lambda b: tn.geodesic(polar, at(b, x), tn.asarray(native(b, v)), [0, 1]), "plain")
    refusal(ModeError, lambda b: tn.ricci(polar)(tn.tensor(native(b, v), "^k", k=PLANE)), "no vector")
    refusal(DTypeError, lambda b: tn.ricci(polar)(tn.asarray(native(b, [1, 2]))), "int64")
    refusal(ShapeError, lambda b: tn.ricci(lambda x: polar(x[0]))(at(b, [x, x, x])), "x[..., k]")


def test_a_geodesic_that_ends_is_refused() -> None:
    """x'' = x'^2 from x' = 1 is at infinity at the parameter 1."""
    line = tn.Space("L", 1)

    def connection(x: tn.Tensor) -> tn.Connection:
        return tn.Connection(0 * x[..., None, None] - 1, line)

    start = tn.tensor([1.0], "^k", k=line)
    near = tn.geodesic(connection, tn.asarray([0.0]), start, [0.0, 0.5], rtol=1e-6)
    np.testing.assert_allclose(values(near.x)[-1], math.log(2), rtol=1e-5)
    with pytest.raises(MetricError, match=r"does not go on beyond the parameter 0\.999"):
        tn.geodesic(connection, tn.asarray([0.0]), start, [0.0, 2.0], rtol=1e-3)


def test_curvature_inside_of_compiled_functions() -> None:
    x = at("numpy", [POINT, POINT])
    expected = values(tn.riemann(kerr)(x))
    if "tensorflow" in installed():
        import tensorflow as tf

        found = tf.function(lambda x: tn.riemann(kerr)(x))(x.to(backend="tensorflow"))
        np.testing.assert_allclose(values(found), expected, atol=1e-13)


def test_curvature_inside_of_torch_compile() -> None:
    """In a process of its own: where a forward derivative was compiled before, PyTorch 2.13 fails on nested ones."""
    pytest.importorskip("torch")
    code = """
        import numpy as np, torch, tensoria as tn
        from test_curvature import POINT, at, kerr, values
        x = at("numpy", [POINT, POINT])
        compiled = torch.compile(lambda x: tn.riemann(kerr)(x), fullgraph=True, backend="eager")
        expected = values(tn.riemann(kerr)(x))
        np.testing.assert_allclose(values(compiled(x.to(backend="torch"))), expected, atol=1e-13)
    """
    paths = [str(Path(__file__).parent), *filter(None, sys.path)]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_sign_of_a_permuted_frame() -> None:
    """Curvature does not depend on the order of the coordinates."""
    x = LUMPS[0]
    R = values(tn.riemann(lumpy)(at("numpy", x)))
    for order in list(permutations(range(4)))[5:24:9]:
        back = np.argsort(order)

        def permuted(y: tn.Tensor, order: tuple[int, ...] = order, back: Any = back) -> tn.Tensor:
            g = lumpy(tn.stack([y[..., int(k)] for k in back], axis=-1)).components
            rows = [[g[..., a, b] for b in order] for a in order]
            return tn.from_components(rows, "_i _j", i=SPACETIME, j=SPACETIME)

        found = values(tn.riemann(permuted)(at("numpy", x[list(order)])))
        np.testing.assert_allclose(found, R[np.ix_(order, order, order, order)], atol=1e-13)
