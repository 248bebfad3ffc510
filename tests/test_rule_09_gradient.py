"""Rule 9: the gradient has opposite variance; the complex convention is JAX's on every backend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from across import installed, native, refusal, values

import tensoria as tn
from tensoria.discovery import get
from tensoria.errors import DTypeError, ModeError, ShapeError, VarianceError

pytestmark = pytest.mark.skipif(
    not any(get(name).differentiates for name in installed()), reason="no installed backend differentiates"
)
G = np.array([[2.0, 1.0], [1.0, 3.0]])
V = tn.Space("V", 2, metric=G)
H = np.array([[2.0, 1j], [-1j, 3.0]])
C = tn.Space("C", 2, field="complex", metric=H)
(i,) = tn.indices("i", V)
(c,) = tn.indices("c", C)


def x_squared_y(v: tn.Tensor, dx: tn.Tensor, dy: tn.Tensor) -> tn.Tensor:
    x, y = dx * v, dy * v
    return x * x * y


def basis_covectors(b: str) -> tuple[tn.Tensor, tn.Tensor]:
    dx, dy = (tn.tensor(native(b, row), [-i]) for row in ([1.0, 0.0], [0.0, 1.0]))
    return dx, dy


def test_the_differential_of_x_squared_y_is_4_1_and_raised_2_2_and_minus_0_4(backend: str) -> None:
    """Item 8 of the worked numbers: at (1, 2), with the metric [[2, 1], [1, 3]]."""
    v = tn.tensor(native(backend, [1.0, 2.0]), [i])
    slope = tn.grad(x_squared_y)(v, *basis_covectors(backend))
    assert slope.indices == (-i,)
    assert slope.backend == backend
    np.testing.assert_allclose(values(slope), [4, 1])
    np.testing.assert_allclose(values(slope.raised()), [2.2, -0.4])


def test_every_index_of_the_argument_changes_its_variance_and_plain_axes_stay(backend: str) -> None:
    j = tn.Index("j", V)
    A = tn.tensor(native(backend, np.arange(12.0).reshape(3, 2, 2)), ["b", i, -j])
    slope = tn.grad(lambda A: tn.sum(A["b", i, -i] * A["b", i, -i]))(A)
    assert str(slope.axes) == "b _i ^j"
    trace = np.trace(np.arange(12.0).reshape(3, 2, 2), axis1=1, axis2=2)
    np.testing.assert_allclose(values(slope), 2 * trace[:, None, None] * np.eye(2))


def test_descent_without_the_metric_is_an_error_and_with_it_descends(backend: str) -> None:
    v = tn.tensor(native(backend, [1.0, 2.0]), [i])
    covectors = basis_covectors(backend)

    def step(b: str) -> tn.Tensor:
        u = tn.tensor(native(b, [1.0, 2.0]), [i])
        return u - 0.1 * tn.grad(x_squared_y)(u, *basis_covectors(b))

    refusal(VarianceError, step, "^i:V(2)", "_i:V(2)", 't.raised("i")')
    value, slope = tn.value_and_grad(x_squared_y)(v, *covectors)
    assert float(x_squared_y(v - 0.01 * slope.raised(), *covectors)) < float(value)


def test_in_a_free_space_descent_inserts_the_metric(backend: str) -> None:
    free = tn.Index("i", tn.Space("free", 2, metric=G, position="free"))
    v = tn.tensor(native(backend, [1.0, 2.0]), [free])
    slope = tn.grad(lambda v: v * v / 2)(v)
    np.testing.assert_allclose(values(slope), G @ [1, 2])
    np.testing.assert_allclose(values(v - slope), [0, 0], atol=1e-12)


def test_the_complex_gradient_of_a_real_function_is_d_dx_minus_i_d_dy(backend: str) -> None:
    """f(z) = conj(z) H z, so that grad f = 2 df/dz = 2 conj(z) H, here against finite differences."""
    z = np.array([1 + 2j, 3 - 1j])

    def f(w: np.ndarray[Any, Any]) -> float:
        return float((w.conj() @ H @ w).real)

    step = 1e-6
    e = np.eye(2)
    by_x = np.array([(f(z + step * e[n]) - f(z - step * e[n])) / (2 * step) for n in range(2)])
    by_y = np.array([(f(z + 1j * step * e[n]) - f(z - 1j * step * e[n])) / (2 * step) for n in range(2)])
    t = tn.tensor(native(backend, z), [c])
    slope = tn.grad(lambda t: tn.real(tn.inner(t, t)))(t)
    assert slope.indices == (-c,)
    np.testing.assert_allclose(values(slope), by_x - 1j * by_y, rtol=1e-7)
    np.testing.assert_allclose(values(slope), 2 * z.conj() @ H, rtol=1e-12)


def test_complex_descent_is_along_the_conjugate_raised(backend: str) -> None:
    z = tn.tensor(native(backend, np.array([1 + 2j, 3 - 1j])), [c])
    slope = tn.grad(lambda t: tn.real(tn.inner(t, t)))(z)
    down = slope.conj().raised()
    assert down.indices == z.indices
    # 1/2 the steepest step of |z|^2 leads to zero at once, whatever the metric.
    np.testing.assert_allclose(values(z - 0.5 * down), [0, 0], atol=1e-12)


def test_several_arguments_and_a_value(backend: str) -> None:
    v, w = (tn.tensor(native(backend, row), [i]) for row in ([1.0, 2.0], [3.0, 4.0]))
    value, (by_v, by_w) = tn.value_and_grad(lambda v, w: tn.inner(v, w), argnums=(0, 1))(v, w)
    np.testing.assert_allclose(float(value), np.array([1, 2]) @ G @ [3, 4])
    np.testing.assert_allclose(values(by_v), G @ [3, 4])
    np.testing.assert_allclose(values(by_w), G @ [1, 2])


def test_the_value_must_be_a_real_scalar() -> None:
    def vector(b: str) -> tn.Tensor:
        return tn.grad(lambda v: 2 * v)(tn.tensor(native(b, [1.0, 2.0]), [i]))

    refusal(ShapeError, vector, "^i", "tn.inner")

    def not_holomorphic(b: str) -> tn.Tensor:
        return tn.grad(lambda z: tn.inner(z, z))(tn.tensor(native(b, np.array([1j, 2])), [c]))

    refusal(DTypeError, not_holomorphic, "holomorphic", "tn.real")
    refusal(ModeError, lambda b: tn.grad(lambda v: 3.0)(tn.tensor(native(b, [1.0, 2.0]), [i])), "float")


def test_integers_have_no_derivatives() -> None:
    refusal(
        DTypeError, lambda b: tn.grad(lambda v: tn.inner(v, v))(tn.tensor(native(b, [1, 2]), [i])), "int64", "float64"
    )


def test_the_gradient_of_a_holomorphic_function_is_its_derivative(backend: str) -> None:
    """f(z) = (a z)^3 + exp(a z) of a covector a: f' = (3 (a z)^2 + exp(a z)) a."""
    row, z = np.array([2.0, 1j]), np.array([0.3 + 0.2j, 0.5 - 0.1j])

    def f(t: tn.Tensor, a: tn.Tensor) -> tn.Tensor:
        s = a * t
        return s * s * s + tn.exp(s)

    a = tn.tensor(native(backend, row), [-c])
    value, slope = tn.value_and_grad(f)(tn.tensor(native(backend, z), [c]), a)
    assert slope.indices == (-c,)
    s = row @ z
    np.testing.assert_allclose(complex(value), s**3 + np.exp(s))
    np.testing.assert_allclose(values(slope), (3 * s**2 + np.exp(s)) * row)


def test_relu_has_no_slope_at_zero(backend: str) -> None:
    """Frameworks give the maximum with zero the slope 0, 1/2 or 1 there; relu has one answer, and keeps NaN."""
    x = tn.asarray(native(backend, [-1.0, 0.0, 2.0]))
    np.testing.assert_array_equal(values(tn.grad(lambda t: tn.sum(tn.relu(t)))(x)), [0, 0, 1])
    np.testing.assert_array_equal(
        values(tn.relu(tn.asarray(native(backend, [np.nan, -np.inf, np.inf])))), [np.nan, 0, np.inf]
    )
