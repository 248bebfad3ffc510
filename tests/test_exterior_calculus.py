"""Exterior calculus of fields: d, pullback, pushforward, codifferential, Laplacian; Stokes' theorem by quadrature."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from across import native, refusal, values

import tensoria as tn
from tensoria.errors import AxisError, ModeError, ShapeError, SpaceError, SymmetryError, VarianceError

Array = np.ndarray[Any, Any]
Field = Callable[[tn.Tensor], tn.Tensor]
R2, R3, R4 = tn.Space("R2", 2), tn.Space("R3", 3), tn.Space("R4", 4)
i, j, k = tn.indices("i j k", R3)


def points(backend: str, n: int, count: int = 5, dtype: str = "float64") -> tn.Tensor:
    data = np.random.default_rng(n).uniform(0.4, 1.3, size=(count, n))
    return tn.asarray(native(backend, data, dtype))


def coordinates(x: tn.Tensor) -> list[tn.Tensor]:
    return [x[..., m] for m in range(x.shape[-1])]


def smooth(x: tn.Tensor, seed: int) -> tn.Tensor:
    """A function of all coordinates without symmetries: sin of one combination times exp of another."""
    rng = np.random.default_rng(seed)
    a, b = (sum(float(c) * y for c, y in zip(rng.normal(size=x.shape[-1]), coordinates(x), strict=True)) for _ in "ab")
    return tn.sin(a) * tn.exp(0.5 * b)


def form_field(space: tn.Space, degree: int, seed: int) -> Field:
    """A k-form field: sums of functions times wedges of coordinate forms."""
    n = space.dimension
    assert isinstance(n, int)
    names = "abcd"[:degree]

    def value(x: tn.Tensor) -> tn.Tensor:
        if not degree:
            return smooth(x, seed)
        entries = [smooth(x, seed * 100 + m) for m in range(n**degree)]
        plain = tn.reshape(tn.stack(entries, axis=-1), (-1, *(n,) * degree))
        labelled = plain[..., *(-tn.Index(name, space) for name in names)]
        return labelled.antisymmetrised(list(names)) if degree > 1 else labelled

    return value


# -- d ----------------------------------------------------------------------------------------------------------------


def test_d_of_a_function_is_its_gradient(backend: str) -> None:
    x = points(backend, 3)
    df = tn.exterior_derivative(lambda x: x[..., 0] ** 2 * x[..., 1] + tn.sin(x[..., 2]), -i)(x)
    assert df.backend == backend
    assert df.notation == "_i"
    a, b, c = values(x).T
    np.testing.assert_allclose(values(df), np.stack([2 * a * b, a**2, np.cos(c)], axis=-1))


def test_d_of_a_one_form_is_its_curl(backend: str) -> None:
    """d(y dx) = -dx ^ dy, so that (dw)_01 = -1."""
    w = lambda x: tn.from_components([x[..., 1], 0, 0], "_i", i=R3)  # noqa: E731
    got = tn.exterior_derivative(w)(points(backend, 3, 2))
    assert got.notation == "_[i' i]"
    expected = np.zeros((2, 3, 3))
    expected[:, 0, 1], expected[:, 1, 0] = -1, 1
    np.testing.assert_array_equal(values(got), expected)
    assert tn.exterior_derivative(w, "j")(points(backend, 3, 2)).notation == "_[j i]"


@pytest.mark.parametrize(("n", "degree"), [(2, 0), (3, 0), (3, 1), (4, 1), (4, 2)])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_d_twice_is_zero(backend: str, n: int, degree: int, dtype: str) -> None:
    if dtype == "float32" and (n, degree) != (3, 1):
        pytest.skip("once is enough")
    space = {2: R2, 3: R3, 4: R4}[n]
    w, x = form_field(space, degree, 7), points(backend, n, dtype=dtype)
    once = tn.exterior_derivative(w, None if degree else -tn.Index("a", space))
    size = np.abs(values(once(x))).max()
    twice = tn.exterior_derivative(once)(x)
    assert twice.dtype is tn.dtype(dtype)
    assert len(twice.indices) == degree + 2
    assert np.abs(values(twice)).max() <= (1e-13 if dtype == "float64" else 1e-5) * max(1, size)


@pytest.mark.parametrize(("p", "q"), [(0, 1), (1, 1), (1, 2), (2, 1)])
def test_d_is_a_graded_derivation(backend: str, p: int, q: int) -> None:
    """d(a ^ b) = da ^ b + (-1)^p a ^ db."""
    a, b, x = form_field(R4, p, 1), form_field(R4, q, 2), points(backend, 4, 3)
    d = tn.exterior_derivative
    new = -tn.Index("z", R4)
    both = d(lambda x: tn.wedge(a(x), b(x)), new)(x)
    # The derivatives' values come from the points' backend, which for NumPy is not where they are computed.
    first, second = tn.wedge(d(a, new)(x), b(x)), tn.wedge(a(x), d(b, new)(x))
    np.testing.assert_allclose(values(both), values(first) + (-1) ** p * values(second), atol=1e-12)


def test_d_agrees_with_differences(backend: str) -> None:
    w, x, h = form_field(R3, 2, 5), points(backend, 3), 1e-5
    steps = []
    for direction in np.eye(3):
        ahead, behind = (values(w(tn.asarray(native(backend, values(x) + sign * h * direction)))) for sign in (1, -1))
        steps.append((ahead - behind) / (2 * h))
    partial = np.stack(steps, axis=1)  # (point, derivative, a, b)
    expected = partial - np.einsum("pkab->pakb", partial) + np.einsum("pkab->pabk", partial)
    np.testing.assert_allclose(values(tn.exterior_derivative(w)(x)), expected, atol=1e-8)


def test_any_leading_axes_are_points(backend: str) -> None:
    w, x = form_field(R3, 1, 3), points(backend, 3, 6)
    flat = values(tn.exterior_derivative(w)(x))
    grid = tn.asarray(native(backend, values(x).reshape(2, 3, 3)))
    np.testing.assert_allclose(values(tn.exterior_derivative(w)(grid)), flat.reshape(2, 3, 3, 3))
    np.testing.assert_allclose(values(tn.exterior_derivative(w)(x[0])), flat[0])


def test_d_refuses_what_is_no_field_of_forms() -> None:
    d = tn.exterior_derivative
    refusal(AxisError, lambda b: d(lambda x: x[..., 0])(points(b, 3)), "0-form", "Legal:", "-i")
    refusal(AxisError, lambda b: d(lambda x: x[..., i])(points(b, 3)), "^i:R3(3)", "up")
    refusal(ShapeError, lambda b: d(lambda x: x[..., 0], -i)(points(b, 2)), "2 coordinates", "R3(3)")
    refusal(SpaceError, lambda b: d(lambda x: x[..., -i], -tn.Index("a", R2))(points(b, 3)), "R3(3)", "_a:R2(2)")
    eye = np.eye(3)
    refusal(
        SymmetryError,
        lambda b: d(lambda x: tn.tensor(eye, [-i, -j]))(points(b, 3)),
        "exterior derivative",
        "antisymmetric",
    )


# -- maps -------------------------------------------------------------------------------------------------------------


def bent(x: tn.Tensor) -> tn.Tensor:
    """A map from the plane into space."""
    u, v = coordinates(x)
    return tn.stack([u * tn.cos(v), u * tn.sin(v) + v**2, u * v], axis=-1)


def swirl(x: tn.Tensor) -> tn.Tensor:
    """A map of space into itself."""
    u, v, w = coordinates(x)
    return tn.stack([u * tn.exp(0.3 * v), v + 0.5 * tn.sin(w), w * u], axis=-1)


@pytest.mark.parametrize("degree", [0, 1, 2])
def test_d_commutes_with_pullback(backend: str, degree: int) -> None:
    """phi*(dw) = d(phi* w)."""
    d = tn.exterior_derivative
    w = form_field(R3, degree, 11)
    new = None if degree else -tn.Index("a", R3)
    for phi, source in ((bent, R2), (swirl, R3)):
        x = points(backend, int(source.dimension))
        here = None if degree else -tn.Index("a", source)
        left = tn.pullback(phi, d(w, new), source)(x)
        right = d(tn.pullback(phi, w, source if degree else None), here)(x)
        assert left.indices[0].space is source
        np.testing.assert_allclose(values(left), values(right), atol=1e-12)


def test_pulling_back_along_maps_is_contravariant(backend: str) -> None:
    w, x = form_field(R3, 2, 12), points(backend, 2)
    both = tn.pullback(lambda x: swirl(bent(x)), w, R2)(x)
    step = tn.pullback(bent, tn.pullback(swirl, w), R2)(x)
    assert both.notation == "_[a b]"
    np.testing.assert_allclose(values(both), values(step), atol=1e-12)


def test_a_pushed_vector_is_the_velocity_of_the_image(backend: str) -> None:
    """(phi_* v) f = v (f o phi), and forms pair with it as their pullbacks do with v."""
    v = lambda x: tn.from_components([x[..., 1], -(x[..., 0] ** 2)], "^v", v=R2)  # noqa: E731
    x = points(backend, 2)
    pushed = tn.pushforward(bent, v, R3)(x)
    assert pushed.notation == "^v"
    assert pushed.indices[0].space is R3
    w = form_field(R3, 1, 13)
    left = values(w(bent(x)).renamed(a="v") * pushed)
    right = values(tn.pullback(bent, w, R2)(x).renamed(a="v") * v(x))
    np.testing.assert_allclose(left, right, rtol=1e-12)
    u, t = values(x).T
    jacobian = np.stack(
        [
            np.stack([np.cos(t), -u * np.sin(t)], -1),
            np.stack([np.sin(t), u * np.cos(t) + 2 * t], -1),
            np.stack([t, u], -1),
        ],
        -2,
    )
    np.testing.assert_allclose(values(pushed), np.einsum("puv,pv->pu", jacobian, values(v(x))), rtol=1e-12)


def test_the_lie_derivative_by_cartans_formula(backend: str) -> None:
    """L_v w = d(i_v w) + i_v(dw)."""
    v = lambda x: tn.from_components([x[..., 1], tn.sin(x[..., 0]), x[..., 2] * x[..., 0]], "^v", v=R3)  # noqa: E731
    x, d = points(backend, 3), tn.exterior_derivative
    for degree in (1, 2):
        w = form_field(R3, degree, 14)
        first = d(lambda x, w=w: tn.interior(v(x), w(x)), -tn.Index("a", R3))(x)
        second = tn.interior(v(x), d(w, "z")(x))
        cartan = values(first) + values(second)
        expected = values(tn.lie_derivative(v, w)(x))
        np.testing.assert_allclose(cartan, expected, atol=1e-12)


def test_maps_are_functions_between_coordinates() -> None:
    w = form_field(R3, 1, 1)
    refusal(ShapeError, lambda b: tn.pullback(bent, w)(points(b, 2)), "2 coordinates", "R3(3)", "Legal:")
    refusal(ShapeError, lambda b: tn.pullback(lambda x: x, form_field(R2, 1, 1), R3)(points(b, 3)), "3 coordinates")
    refusal(ModeError, lambda b: tn.pullback(lambda x: x[..., i], w)(points(b, 3)), "plain", "^i", "Legal:")
    refusal(VarianceError, lambda b: tn.pullback(swirl, lambda x: x[..., i])(points(b, 3)), "^i:R3(3)", "pushforward")
    refusal(SpaceError, lambda b: tn.pushforward(swirl, lambda x: x[..., 0])(points(b, 3)), "0-form", "pullback")


# -- Stokes -----------------------------------------------------------------------------------------------------------


NODES, WEIGHTS = (a / 2 for a in np.polynomial.legendre.leggauss(20))
NODES = NODES + 0.5


def integral(w: Field, patch: Callable[[tn.Tensor], tn.Tensor], dimension: int, backend: str) -> float:
    """The integral of a form over a patch of [0, 1]^m, by Gauss's quadrature of its pullback."""
    grid = np.stack(np.meshgrid(*[NODES] * dimension, indexing="ij"), axis=-1)
    weight = WEIGHTS
    for _ in range(dimension - 1):
        weight = np.multiply.outer(weight, WEIGHTS)
    space = tn.Space(f"Q{dimension}", dimension)
    pulled = values(tn.pullback(patch, w, space)(tn.asarray(native(backend, grid))))
    return float((weight * pulled[(..., *range(dimension))]).sum())


def face(patch: Callable[[tn.Tensor], tn.Tensor], axis: int, at: float) -> Callable[[tn.Tensor], tn.Tensor]:
    """A patch restricted to the face where one of its coordinates is 0 or 1."""

    def edge(x: tn.Tensor) -> tn.Tensor:
        rest = coordinates(x)
        return patch(tn.stack([*rest[:axis], 0 * rest[0] + at, *rest[axis:]], axis=-1))

    return edge


def solid(x: tn.Tensor) -> tn.Tensor:
    u, v, w = coordinates(x)
    return tn.stack([u * tn.cos(v), u * tn.sin(v) + w * u, w + u * v], axis=-1)


@pytest.mark.parametrize(("dimension", "patch"), [(2, bent), (3, solid)])
def test_stokes(backend: str, dimension: int, patch: Callable[[tn.Tensor], tn.Tensor]) -> None:
    """The integral of dw over a patch is that of w over its boundary, with the sides' orientations (-1)^axis."""
    w = form_field(R3, dimension - 1, 21)
    inside = integral(tn.exterior_derivative(w), patch, dimension, backend)
    boundary = 0.0
    for axis in range(dimension):
        for at in (0, 1):
            sign = (-1) ** axis * (1 if at else -1)
            boundary += sign * integral(w, face(patch, axis, at), dimension - 1, backend)
    assert abs(inside) > 0.01
    assert inside == pytest.approx(boundary, abs=1e-12)


# -- codifferential and Laplacian -------------------------------------------------------------------------------------


def polar(x: tn.Tensor) -> tn.Tensor:
    """dr^2 + r^2 dphi^2."""
    return tn.from_components([[1, 0], [0, x[..., 0] ** 2]], "_r _s", r=R2, s=R2)


def minkowski_rindler(x: tn.Tensor) -> tn.Tensor:
    """-a^2 dt^2 + da^2: flat, of indefinite signature."""
    return tn.from_components([[-(x[..., 1] ** 2), 0], [0, 1]], "_r _s", r=R2, s=R2)


@pytest.mark.parametrize("metric", [polar, minkowski_rindler])
def test_the_codifferential_is_minus_the_divergence(backend: str, metric: Field) -> None:
    """delta a = -1/sqrt(g) d_i (sqrt(g) a^i), whatever the signature."""
    a, x = form_field(R2, 1, 31), points(backend, 2)
    got = tn.codifferential(a, metric)(x)
    assert not got.is_labelled

    divergence = values(tn.divergence(lambda x: a(x).raised(metric=metric(x)), metric)(x))
    np.testing.assert_allclose(values(got), -divergence, rtol=1e-10)


@pytest.mark.parametrize(("space", "metric"), [(R2, polar), (R3, None)])
def test_the_codifferential_is_the_adjoint_of_d(backend: str, space: tn.Space, metric: Field | None) -> None:
    """d(a ^ *b) = da ^ *b - a ^ *(delta b), whose integral says (da, b) = (a, delta b)."""
    n = int(space.dimension)
    if metric is None:
        space = tn.Space("E3", 3, metric=[[2, 1, 0], [1, 3, 1], [0, 1, 4]])
    x = points(backend, n, 3)
    here = (lambda x: None) if metric is None else metric

    def star(t: tn.Tensor, x: tn.Tensor) -> tn.Tensor:
        return tn.hodge(t, metric=here(x))

    for degree in range(1, n):
        a, b = form_field(space, degree - 1, 41), form_field(space, degree, 42)
        new = -tn.Index("z", space)
        total = values(tn.exterior_derivative(lambda x, a=a, b=b: tn.wedge(a(x), star(b(x), x)), new)(x))
        first = values(tn.wedge(tn.exterior_derivative(a, new)(x), star(b(x), x)))
        delta = tn.codifferential(b, metric)(x)
        if degree == 1:
            volume = tn.levi_civita(*(-tn.Index(c, space) for c in "wxyz"[:n]), metric=here(x), backend=backend)
            second = values(tn.wedge(tn.asarray(values(a(x)) * values(delta), backend=backend), _spread(volume, x)))
        else:
            second = values(tn.wedge(a(x), star(delta, x)))
        np.testing.assert_allclose(total, first - second, atol=1e-10)


def _spread(volume: tn.Tensor, x: tn.Tensor) -> tn.Tensor:
    """A volume form at every point."""
    if volume.ndim > len(volume.indices):
        return volume
    data = np.broadcast_to(values(volume), (x.shape[0], *volume.shape)).copy()
    return tn.tensor(native(volume.backend, data), [..., *volume.indices])


def test_the_codifferential_twice_is_zero(backend: str) -> None:
    w, x = form_field(R2, 2, 51), points(backend, 2)
    once = tn.codifferential(w, polar)
    assert np.abs(values(once(x))).max() > 0.1
    np.testing.assert_allclose(values(tn.codifferential(once, polar)(x)), 0, atol=1e-12)
    zero = tn.codifferential(form_field(R2, 0, 1), polar)(x)
    np.testing.assert_array_equal(values(zero), 0)


@pytest.mark.parametrize("metric", [polar, minkowski_rindler])
def test_the_laplacian_of_a_function(backend: str, metric: Field) -> None:
    """On functions it is minus the Laplace-Beltrami operator."""
    f, x = form_field(R2, 0, 61), points(backend, 2)
    got = values(tn.laplace_de_rham(f, metric)(x))
    np.testing.assert_allclose(got, -values(tn.laplace_beltrami(f, metric)(x)), rtol=1e-9)


def test_the_laplacian_commutes_with_d_and_with_the_star(backend: str) -> None:
    f, x = form_field(R2, 0, 71), points(backend, 2, 3)
    df = tn.exterior_derivative(f, -tn.Index("a", R2))
    left = values(tn.laplace_de_rham(df, polar)(x))
    right = values(tn.exterior_derivative(tn.laplace_de_rham(f, polar), -tn.Index("a", R2))(x))
    np.testing.assert_allclose(left, right, atol=1e-9)
    top = lambda x: tn.wedge(f(x), tn.levi_civita(-tn.Index("a", R2), -tn.Index("b", R2), metric=polar(x)))  # noqa: E731
    starred = tn.hodge(tn.laplace_de_rham(top, polar)(x), metric=polar(x))
    np.testing.assert_allclose(values(starred), values(tn.laplace_de_rham(f, polar)(x)), rtol=1e-9)


def test_maxwells_equations_of_a_plane_wave(backend: str) -> None:
    """A_y = sin(x - t): dF = 0, delta F = 0 in the declared metric; faster than light, delta F is a current."""
    M = tn.Space("M", 4, metric=[-1, 1, 1, 1])
    x = points(backend, 4)
    for speed, current in ((1.0, 0.0), (2.0, 3.0)):
        A = lambda x, c=speed: tn.from_components(  # noqa: E731
            [0, 0, tn.sin(x[..., 1] - c * x[..., 0]), 0], "_a", a=M
        )
        F = tn.exterior_derivative(A)
        assert np.abs(values(F(x))).max() > 0.1
        np.testing.assert_allclose(values(tn.exterior_derivative(F)(x)), 0, atol=1e-13)
        source = values(tn.codifferential(F)(x))
        t, r = values(x)[:, 0], values(x)[:, 1]
        expected = np.zeros((5, 4))
        expected[:, 2] = -current * np.sin(r - speed * t)  # (c^2 - 1) d^2A = box A
        np.testing.assert_allclose(source, expected, atol=1e-12)


def test_the_circle_has_a_closed_form_that_is_not_exact(backend: str) -> None:
    """(x dy - y dx) / (x^2 + y^2): closed, and its integral around the circle is 2 pi."""
    w = lambda p: tn.from_components(  # noqa: E731
        [-p[..., 1] / (p[..., 0] ** 2 + p[..., 1] ** 2), p[..., 0] / (p[..., 0] ** 2 + p[..., 1] ** 2)], "_i", i=R2
    )
    np.testing.assert_allclose(values(tn.exterior_derivative(w)(points(backend, 2))), 0, atol=1e-13)
    circle = lambda s: tn.stack([tn.cos(2 * math.pi * s[..., 0]), tn.sin(2 * math.pi * s[..., 0])], axis=-1)  # noqa: E731
    assert integral(w, circle, 1, backend) == pytest.approx(2 * math.pi, rel=1e-12)
