"""Models that were read, written out as Tensor Programs: the full rule beside kernels and beside finite networks."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import tensoria as tn
from tensoria.errors import LimitError

Law = tn.limits.Law
SHAPES = {"U": (None, "n"), "b": ("n",), "W": ("n", "n"), "V": ("n", "n"), "v": ("n",), "c": ("n",)}
LAWS = {
    "U": Law(0.5), "b": Law(0.3), "c": Law(0.2, mean=1.0), "W": Law(2.0, Fraction(-1)), "V": Law(1.5, Fraction(-1)),
    "v": Law(1.0, Fraction(-1)),
}  # fmt: skip
X = np.random.default_rng(4).normal(size=(3, 2))


def analysed(net: Callable[..., Any], names: str) -> Any:
    n, batch = tn.dim("n"), tn.dim("batch")
    sizes = {name: tuple(n if s == "n" else None for s in SHAPES[name]) for name in names}
    ones = {name: np.ones(tuple(4 if s == "n" else 2 for s in SHAPES[name])) for name in names}
    p = tn.trace(net, np.ones((3, 2)), *ones.values(), dynamic={"x": (batch, None), **sizes})
    return tn.limits.analyse(p, widths=("n",), laws={name: LAWS[name] for name in names})


def plain(x: Any, U: Any, b: Any, W: Any, v: Any) -> Any:
    return tn.relu(tn.relu(x @ U + b) @ W) @ v


def normalised(x: Any, U: Any, W: Any, c: Any, v: Any) -> Any:
    h = x @ U @ W
    h = h - tn.mean(h, axis=-1, keepdims=True)
    h = h / tn.sqrt(tn.mean(h * h, axis=-1, keepdims=True) + 0.1)
    return (tn.relu(h) * c) @ v


def recurrent(x: Any, U: Any, W: Any, v: Any) -> Any:
    h = tn.tanh(x @ U)
    for _ in range(2):
        h = tn.tanh(h @ W + x @ U)
    return h @ v


def gated(x: Any, U: Any, W: Any, V: Any, v: Any) -> Any:
    h = tn.tanh(x @ U)
    return (tn.exp(-tn.abs(h @ W)) * (h @ V) + h) @ v


@pytest.mark.parametrize(
    ("net", "names"), [(plain, "UbWv"), (normalised, "UWcv"), (recurrent, "UWv"), (gated, "UWVv")]
)
def test_a_model_written_out_has_the_kernel_of_its_families(net: Callable[..., Any], names: str) -> None:
    model = analysed(net, names)
    kernel = model.nngp(X).array
    found = tn.limits.expanded(model, X)
    limit = found.program.limit(particles=2**16, quadrature=2)
    for i in range(3):
        for j in range(i, 3):
            e = limit.covariance(found.outputs[0][i], found.outputs[0][j])
            assert abs(float(e) - kernel[i, j]) < max(1e-9, 5 * e.error + 2e-3 * (e.tier == "D"))


def tied(x: Any, U: Any, W: Any, v: Any) -> Any:
    h = tn.tanh(x @ U)
    return (tn.relu(h @ W) @ tn.matrix_transpose(W) + h) @ v


def test_tied_weights_take_the_full_rule() -> None:
    model = analysed(tied, "UWv")
    with pytest.raises(LimitError, match=r"a transpose, W is used as its transpose too") as refused:
        model.nngp(X)
    assert "tn.limits.expanded(tp, X)" in str(refused.value)
    found = tn.limits.expanded(model, X)
    assert found.program.classify().gradient_independence.holds is False
    gram = found.program.limit(particles=2**15).gram(list(found.outputs[0]))
    # Finite networks, in plain NumPy: the readout is averaged over exactly.
    rng, n, seeds = np.random.default_rng(0), 500, 12
    kernels = []
    for _ in range(seeds):
        U, W = rng.normal(size=(2, n)) * 0.5**0.5, rng.normal(size=(n, n)) * (2 / n) ** 0.5
        h = np.tanh(X @ U)
        y = np.maximum(h @ W, 0) @ W.T + h
        kernels.append(y @ y.T / n)
    mean, error = np.mean(kernels, axis=0), np.std(kernels, axis=0) / seeds**0.5
    np.testing.assert_array_less(np.abs(mean - gram), 5 * error + 0.03 * np.abs(gram) + 1e-3)
    # Taken as independent matrices the cross terms would be missing: half of the first kernel.
    assert gram[0, 0] > 0.9


def test_what_has_no_vector_of_its_own_is_refused() -> None:
    def twice(x: Any, U: Any, W: Any, v: Any) -> Any:
        return (tn.tanh(x @ U) @ W * v) @ v

    with pytest.raises(LimitError, match="the output, it is a number that is known in the limit"):
        tn.limits.expanded(analysed(twice, "UWv"), X)


@pytest.mark.parametrize("distribution", ["uniform", "truncated normal"])
def test_an_input_layer_keeps_its_law_in_kernels_too(distribution: str) -> None:
    """A sum of two entries is not Gaussian: beside an integral over both, on a grid of midpoints."""
    n, batch = tn.dim("n"), tn.dim("batch")
    sizes = {"x": (batch, None), "U": (None, n), "v": (n,)}
    p = tn.trace(lambda x, U, v: tn.abs(x @ U) @ v, np.ones((3, 2)), np.ones((2, 4)), np.ones(4), dynamic=sizes)
    law = Law(0.5, distribution=distribution)
    model = tn.limits.analyse(p, widths=("n",), laws={"U": law, "v": LAWS["v"]})
    found = tn.limits.expanded(model, X)
    limit = found.program.limit(particles=2**17)
    u = (np.arange(2000) + 0.5) / 2000
    if distribution == "uniform":
        entries, weights = 0.5**0.5 * 3**0.5 * (2 * u - 1), np.ones(2000) / 2000
    else:
        weights = np.exp(-0.5 * (4 * u - 2) ** 2)
        weights /= weights.sum()
        entries = (4 * u - 2) * (0.5 / (weights @ (4 * u - 2) ** 2)) ** 0.5
    h = abs(X[:, 0, None, None] * entries[:, None] + X[:, 1, None, None] * entries)
    exact = np.einsum("iab,jab,a,b->ij", h, h, weights, weights, optimize=True)
    for i in range(3):
        for j in range(i, 3):
            e = limit.covariance(found.outputs[0][i], found.outputs[0][j])
            assert abs(float(e) - exact[i, j]) < 4 * e.error + 1e-6
    np.testing.assert_allclose(model.nngp(X).array, exact, atol=4 * max(model.errors.values()))
    normal = tn.limits.analyse(p, widths=("n",), laws={"U": Law(0.5), "v": LAWS["v"]}).nngp(X).array
    np.testing.assert_allclose(np.diag(exact), np.diag(normal), rtol=1e-5)  # the square of a modulus sees the variance
    assert abs(exact - normal).max() > 1e-3


def test_a_dropout_mask_is_written_out_for_every_example() -> None:
    def net(x: Any, U: Any, mask: Any, v: Any) -> Any:
        return tn.relu(tn.relu(x @ U) * mask) @ v

    n, batch = tn.dim("n"), tn.dim("batch")
    sizes = {"x": (batch, None), "U": (None, n), "mask": (batch, n), "v": (n,)}
    p = tn.trace(net, np.ones((3, 2)), np.ones((2, 4)), np.ones((3, 4)), np.ones(4), dynamic=sizes)
    mask = Law(0.25, distribution="mask", mean=1.0)  # 1.25 with the probability 0.8, else 0
    model = tn.limits.analyse(p, widths=("n",), laws={"U": LAWS["U"], "v": LAWS["v"], "mask": mask}, frozen=("mask",))
    found = tn.limits.expanded(model, X)
    limit = found.program.limit(particles=2**16, quadrature=2)
    plain = analysed(lambda x, U, v: tn.relu(x @ U) @ v, "Uv").nngp(X).array
    # A positive factor goes through relu; E mask = 1, E mask^2 = 1.25 where an example meets itself.
    for i in range(3):
        for j in range(i, 3):
            e = limit.covariance(found.outputs[0][i], found.outputs[0][j])
            assert abs(float(e) - plain[i, j] * (1.25 if i == j else 1)) < max(1e-9, 4 * e.error)
    drawn = mask.sample(8, (100_000,), np.random.default_rng(0))
    assert set(np.unique(drawn)) == {0, 1.25}
    assert drawn.mean() == pytest.approx(1, abs=0.01)
    assert model.classify() is not None
    with pytest.raises(LimitError, match="a mask has a mean"):
        Law(0.25, distribution="mask")
