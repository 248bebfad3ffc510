"""Gradients: their values, their variance, and the convention for complex numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

import tensoria as tn
from tensoria.discovery import available, get
from tensoria.errors import BackendNotFoundError, DTypeError, ModeError, ShapeError, VarianceError
from tensoria_conformance.claims import refused, same
from tensoria_conformance.contracts import NotApplicable, contract
from tensoria_conformance.strategies import floats

G = np.array([[2.0, 1.0], [1.0, 3.0]])
V = tn.Space("V", 2, metric=G)
i, j = tn.indices("i j", V)
RTOL, SCALE = 1e-7, 10.0
"""Above the errors of difference quotients of fourth order, for backends that differentiate with these."""
BAUER = "Baydin et al. 2018, Automatic Differentiation in Machine Learning"


def differentiated(xp: Any) -> None:
    """Skip where neither the backend nor another one that is installed differentiates."""
    for name in (xp.ones(()).backend, *available()):
        try:
            if get(name).differentiates:
                return
        except BackendNotFoundError:
            continue
    raise NotApplicable("no installed backend differentiates.")


@contract(
    "gradients",
    rule="The gradient of a sum of functions is what calculus says.",
    source=BAUER,
    x=floats((2, 3), low=-2.0, high=2.0),
)
def test_gradients_of_elementary_functions(xp: Any, x: Any) -> None:
    differentiated(xp)
    t = xp.asarray(x)
    same(tn.grad(lambda t: tn.sum(tn.exp(t)))(t), np.exp(x), rtol=RTOL, scale=SCALE)
    same(tn.grad(lambda t: tn.sum(tn.sin(t) * t))(t), np.cos(x) * x + np.sin(x), rtol=RTOL, scale=SCALE)
    same(tn.grad(lambda t: tn.sum(t * t * t) / 3.0)(t), x * x, rtol=RTOL, scale=SCALE)


@contract(
    "gradients",
    rule="Gradients pass through matrix products and contractions.",
    source=BAUER,
    x=floats((2, 2)),
    y=floats((2, 2)),
)
def test_gradients_of_products(xp: Any, x: Any, y: Any) -> None:
    differentiated(xp)
    a, b = tn.grad(lambda s, t: tn.sum(s @ t @ s), (0, 1))(xp.asarray(x), xp.asarray(y))
    ones = np.ones((2, 2))
    same(a, ones @ (y @ x).T + (x @ y).T @ ones, rtol=1e-6)
    same(b, x.T @ ones @ x.T, rtol=1e-6)


@contract("gradients", rule="Gradients pass through reshaping, indexing and joining.", source=BAUER, x=floats((2, 3)))
def test_gradients_pass_through_views(xp: Any, x: Any) -> None:
    differentiated(xp)

    def f(t: Any) -> Any:
        u = tn.concat([tn.reshape(t, (3, 2))[1:], tn.permute_dims(t, (1, 0))], axis=0)
        return tn.sum(u * u * tn.asarray(weights, backend=t.backend))

    # Each element is taken once by the transpose, and those of rows 1 and 2 of the other shape once more.
    weights = np.arange(1.0, 11.0).reshape(5, 2)
    rows = np.concatenate([np.zeros((1, 2)), weights[:2]]).reshape(2, 3)
    same(tn.grad(f)(xp.asarray(x)), 2 * x * (rows + weights[2:].T), rtol=RTOL, scale=SCALE)


@contract(
    "gradients",
    rule="A gradient has the opposite variance, so that descent needs the metric.",
    source="docs/rules.md, rule 9",
    x=floats((2,)),
)
def test_a_gradient_has_the_opposite_variance(xp: Any, x: Any) -> None:
    differentiated(xp)
    v = tn.tensor(xp.asarray(x), [i])
    g = tn.grad(lambda v: tn.inner(v, v) / 2)(v)
    same(g, G @ x, axes="_i", rtol=RTOL, scale=SCALE)
    same(g.raised(), x, axes="^i", rtol=RTOL, scale=SCALE)

    def descent(xp: Any) -> Any:
        v = tn.tensor(xp.asarray(np.ones(2)), [i])
        return v - 0.5 * tn.grad(lambda v: tn.inner(v, v))(v)

    refused(VarianceError, descent, xp, "variances differ")


@contract(
    "gradients",
    rule="value_and_grad returns the value of the function as well.",
    source="docs/rules.md, rule 9",
    x=floats((3,)),
)
def test_the_value_comes_with_the_gradient(xp: Any, x: Any) -> None:
    differentiated(xp)
    value, gradient = tn.value_and_grad(lambda t: tn.sum(t * t))(xp.asarray(x))
    same(value, (x * x).sum())
    same(gradient, 2 * x, rtol=RTOL, scale=SCALE)


@contract(
    "gradients",
    rule="The gradient of a holomorphic function is its derivative.",
    source="docs/rules.md, rule 9; Ahlfors, Complex Analysis, 2.1",
    z=floats((), "complex128", low=-2.0, high=2.0),
)
def test_holomorphic_functions_have_their_derivative(xp: Any, z: Any) -> None:
    differentiated(xp)
    same(tn.grad(lambda t: t * t * t)(xp.asarray(z)), 3 * z * z, rtol=1e-6)


@contract(
    "gradients",
    rule="The gradient of a real function of z is d/dx - i d/dy, which is 2 conj(z) for |z|^2.",
    source="docs/rules.md, rule 9; JAX, complex numbers and differentiation",
    z=floats((2,), "complex128", low=-2.0, high=2.0),
)
def test_real_functions_of_complex_numbers(xp: Any, z: Any) -> None:
    differentiated(xp)
    same(tn.grad(lambda t: tn.sum(tn.real(t * tn.conj(t))))(xp.asarray(z)), 2 * z.conj(), rtol=RTOL, scale=SCALE)


@contract(
    "gradients", rule="A complex function that is not holomorphic has no gradient.", source="docs/rules.md, rule 9"
)
def test_other_complex_functions_are_refused(xp: Any) -> None:
    differentiated(xp)
    refused(DTypeError, lambda xp: tn.grad(lambda t: tn.conj(t) * t)(xp.asarray(1 + 2j)), xp, "not holomorphic")


@contract(
    "gradients", rule="A gradient is that of a scalar, by floating-point numbers.", source="docs/rules.md, rule 9"
)
def test_gradients_are_those_of_scalars(xp: Any) -> None:
    differentiated(xp)
    refused(ShapeError, lambda xp: tn.grad(lambda t: t)(xp.ones((2,))), xp, "scalar")
    refused(DTypeError, lambda xp: tn.grad(tn.sum)(xp.asarray([1, 2])), xp, "int64")
    refused(ModeError, lambda xp: tn.grad(lambda t: t)(1.0), xp, "argument 0")
