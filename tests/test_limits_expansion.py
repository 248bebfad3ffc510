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
