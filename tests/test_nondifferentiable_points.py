"""Points without a derivative: the table of docs/calculus.md, in both modes, on every backend."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from across import installed, native, values

import tensoria as tn
from tensoria.discovery import get

pytestmark = pytest.mark.skipif(
    not any(get(name).differentiates for name in installed()), reason="no installed backend differentiates"
)
WEIGHTS = [1.0, 2.0, 4.0]
EDGES: dict[str, tuple[Callable[[Any], Any], list[float], list[float]]] = {
    "abs at 0": (tn.abs, [0.0, -0.0, -2.0], [0, 0, -1]),
    "sign at 0": (tn.sign, [0.0, -0.0, 3.0], [0, 0, 0]),
    "relu at 0": (tn.relu, [0.0, -0.0, 2.0], [0, 0, 1]),
    "a tie of max": (tn.max, [2.0, 2.0, 1.0], [0.5, 0.5, 0]),
    "a tie of min": (tn.min, [2.0, 1.0, 1.0], [0, 0.5, 0.5]),
    "a tie of maximum": (lambda x: tn.maximum(x[0], x[1]), [2.0, 2.0], [0.5, 0.5]),
    "a tie of minimum": (lambda x: tn.minimum(x[0], x[1]), [2.0, 2.0], [0.5, 0.5]),
    "a tie of maximum with a number": (lambda x: tn.maximum(x, 2.0), [2.0, 1.0, 3.0], [0.5, 0, 1]),
    "a broadcast tie": (lambda x: tn.maximum(x, x[:1]), [2.0, 2.0], [1.5, 0.5]),
    "sort keeps the order of equals": (lambda x: tn.sort(x) * weights(x), [2.0, 2.0, 1.0], [2, 4, 1]),
    "sort downwards keeps it too": (
        lambda x: tn.sort(x, descending=True) * weights(x),
        [2.0, 2.0, 3.0],
        [2, 4, 1],
    ),
    "clip at its bounds": (lambda x: tn.clip(x, 0.0, 1.0), [0.0, 1.0, 2.0, -1.0, 0.5], [1, 1, 0, 0, 1]),
    "clip at one bound": (lambda x: tn.clip(x, min=0.0), [0.0, -1.0], [1, 0]),
    "clip between tensors": (lambda x: tn.clip(x, 0 * weights(x), weights(x)), [0.0, 2.0, 5.0], [1, 1, 0]),
    "sqrt at 0": (tn.sqrt, [0.0, 4.0], [math.inf, 0.25]),
    "the norm of 0": (tn.linalg.vector_norm, [0.0, 0.0], [0, 0]),
    "the norms of rows": (
        lambda x: tn.linalg.vector_norm(tn.reshape(x, (2, 2)), axis=1),
        [0.0, 0.0, 3.0, 4.0],
        [0, 0, 0.6, 0.8],
    ),
    "the deviation of equals": (tn.std, [2.0, 2.0, 2.0], [0, 0, 0]),
    "another norm of 0": (lambda x: tn.linalg.vector_norm(x, ord=3), [0.0, 0.0], [0, 0]),
    "the sum of sizes at 0": (lambda x: tn.linalg.vector_norm(x, ord=1), [0.0, -2.0], [0, -1]),
    "the greatest size, twice": (lambda x: tn.linalg.vector_norm(x, ord=math.inf), [2.0, -2.0, 1.0], [0.5, -0.5, 0]),
    "the norm of a zero matrix": (lambda x: tn.linalg.matrix_norm(tn.reshape(x, (2, 2))), [0.0] * 4, [0] * 4),
    "hypot at 0": (lambda x: tn.hypot(x[0], x[1]), [0.0, 0.0], [0, 0]),
    "where at the edge of its condition": (lambda x: tn.where(x > 0, x, 2 * x), [0.0, 1.0, -1.0], [2, 1, 2]),
    "steps": (lambda x: tn.floor(x) + tn.ceil(x) + tn.trunc(x) + tn.round(x), [1.0, 0.5], [0, 0]),
    "a product with a zero": (tn.prod, [0.0, 2.0, 3.0], [6, 0, 0]),
}


def weights(x: tn.Tensor) -> tn.Tensor:
    return tn.asarray(WEIGHTS[: len(x)], dtype="float64", backend=x.backend)


@pytest.mark.parametrize("name", EDGES)
def test_both_modes_keep_the_convention(backend: str, name: str) -> None:
    function, point, expected = EDGES[name]
    x = tn.asarray(native(backend, point))

    def total(x: tn.Tensor) -> tn.Tensor:
        return tn.sum(function(x))

    np.testing.assert_allclose(values(tn.grad(total)(x)), expected, rtol=1e-14)
    for unit, slope in zip(np.eye(len(point)), expected, strict=True):
        if math.isfinite(sum(expected)):
            _, along = tn.jvp(total, (x,), (tn.asarray(native(backend, unit)),))
            np.testing.assert_allclose(float(along), slope, rtol=1e-14, atol=1e-300)


@pytest.mark.parametrize("name", EDGES)
def test_mapped_derivatives_and_those_pulled_back_keep_it(backend: str, name: str) -> None:
    function, point, expected = EDGES[name]
    batch = tn.asarray(native(backend, [point, point]))
    found = tn.vmap(tn.grad(lambda x: tn.sum(function(x))))(batch)
    np.testing.assert_allclose(values(found), [expected, expected], rtol=1e-14)
    value, pull = tn.vjp(function, batch[0])
    np.testing.assert_allclose(values(pull(tn.ones_like(value))[0]), expected, rtol=1e-14)


@pytest.mark.parametrize("name", EDGES)
def test_programs_keep_it(name: str) -> None:
    function, point, expected = EDGES[name]
    x = tn.asarray(np.array(point))
    program = tn.trace(lambda x: tn.sum(function(x)), x)
    slopes = program.grad()
    for backend in installed():
        np.testing.assert_allclose(values(slopes.run(x.to(backend=backend))), expected, rtol=1e-14)
    np.testing.assert_allclose(values(slopes.compile("numpy")(x)), expected, rtol=1e-14)
    for unit, slope in zip(np.eye(len(point)), expected, strict=True):
        if math.isfinite(sum(expected)):
            np.testing.assert_allclose(float(program.jvp().run(x, tn.asarray(unit))[1]), slope, rtol=1e-14)


@pytest.mark.parametrize("name", EDGES)
def test_the_numbers_are_the_same_whether_somebody_differentiates_or_not(backend: str, name: str) -> None:
    function, point, _ = EDGES[name]
    x = tn.asarray(native(backend, point))
    value, _ = tn.jvp(function, (x,), (tn.ones_like(x),))
    np.testing.assert_array_equal(values(value), values(function(x)))


def test_special_values_pass_the_corrected_functions(backend: str) -> None:
    x = tn.asarray(native(backend, [math.nan, math.inf, -math.inf, 1e-300]))
    for function in (
        tn.relu,
        lambda x: tn.clip(x, -1.0, 1.0),
        lambda x: tn.maximum(x, 0 * x + 1),
        lambda x: tn.hypot(x, x),
    ):
        value, _ = tn.jvp(function, (x,), (tn.ones_like(x),))
        expected = function(tn.asarray(np.array([math.nan, math.inf, -math.inf, 1e-300])))
        np.testing.assert_allclose(values(value), values(expected), rtol=1e-15)


def test_the_size_of_a_complex_number_at_0(backend: str) -> None:
    z = tn.asarray(native(backend, [0j, 3 + 4j]))
    slope = tn.grad(lambda z: tn.sum(tn.abs(z)))(z)
    np.testing.assert_allclose(values(slope), [0, 0.6 - 0.8j])


def test_second_derivatives_beside_an_edge(backend: str) -> None:
    x = tn.asarray(native(backend, [3.0, 4.0]))
    H = tn.hessian(tn.linalg.vector_norm)(x)
    np.testing.assert_allclose(values(H), (np.eye(2) - np.outer([0.6, 0.8], [0.6, 0.8])) / 5, rtol=1e-14, atol=1e-15)
