"""Kernels of functions of several correlated Gaussian vectors - maxima, gates - beside networks of finite width."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensoria as tn
from tensoria.limits.laws import Law

torch = pytest.importorskip("torch")
nn = torch.nn

WIDTHS = (8, 16, 32)
OUTPUTS = 16
"""Outputs are iid in the limit: each network gives so many samples of a product."""
IMAGES = np.random.default_rng(0).normal(size=(2, 2, 3, 3))
SEQUENCES = np.random.default_rng(1).normal(size=(2, 2, 3))
READOUT = Law(1.0, -1)  # type: ignore[arg-type]
POOLED = {"stem.weight": Law(0.3), "stem.bias": Law(0.1), "readout.weight": READOUT}
RECURRENT = {"net.weight_ih*": Law(0.5), "net.weight_hh*": READOUT, "net.bias*": Law(0.1), "readout.weight": READOUT}


class Pooled(nn.Module):  # type: ignore[misc]
    """A convolution, the largest of each window, and the mean over positions."""

    def __init__(self, n: int, window: int, padding: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, n, 2, padding=1)
        self.pool = nn.MaxPool2d(window, stride=2, padding=padding)
        self.readout = nn.Linear(n, OUTPUTS, bias=False)
        self.double()

    def forward(self, x: Any) -> Any:
        return self.readout(torch.relu(self.pool(self.stem(x) - 1.0) + 0.5).mean((2, 3)))


class Recurrent(nn.Module):  # type: ignore[misc]
    """The last state of a recurrent layer of PyTorch."""

    def __init__(self, n: int, kind: str, outputs: int = OUTPUTS) -> None:
        super().__init__()
        self.net = getattr(nn, kind)(3, n, batch_first=True)
        self.readout = nn.Linear(n, outputs, bias=False)
        self.double()

    def forward(self, x: Any) -> Any:
        return self.readout(self.net(x)[0][:, -1])


def analysed(make: Any, x: np.ndarray[Any, Any]) -> Any:
    sizes = {"x": ("batch", *(None,) * (x.ndim - 1))}
    laws = RECURRENT if x is SEQUENCES else POOLED
    return tn.limits.analyse(make, (torch.tensor(x),), widths=WIDTHS, laws=laws, dynamic=sizes)


def distance(tp: Any, x: np.ndarray[Any, Any], width: int, seeds: int) -> float:
    """Of the limit from the mean over finite networks, in standard errors."""
    tp.points = 1 << 14
    kernel = tp.nngp(x).array
    assert "D" in tp.tiers.values()
    return float(tp.simulate(x, width=width, seeds=seeds).nngp.distance(kernel))


@pytest.mark.parametrize("padding", [0, 1])
def test_the_largest_of_every_window_is_that_of_wide_networks(padding: int) -> None:
    # Around the image there is nothing, rather than zeros, which would often be the largest here.
    tp = analysed(lambda n: Pooled(n, 2 if padding else 3, padding), IMAGES)
    assert distance(tp, IMAGES, 256, 40) < 4


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_gates_of_recurrent_layers_are_those_of_wide_networks(kind: str) -> None:
    assert distance(analysed(lambda n: Recurrent(n, kind), SEQUENCES), SEQUENCES, 128, 40) < 4


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_tangents_of_gates_are_those_of_wide_networks(kind: str) -> None:
    tp = analysed(lambda n: Recurrent(n, kind, outputs=2), SEQUENCES)
    tp.points = 1 << 13
    found = tp.simulate(SEQUENCES, width=96, seeds=16, ntk=True)
    assert found.ntk.distance(tp.ntk(SEQUENCES, width=96).array) < 4


def maximum(x: Any, a: Any, v: Any) -> Any:
    return tn.max(x @ a, axis=1) @ v


def rectified(x: Any, a: Any, v: Any) -> Any:
    h = tn.relu(x @ a)
    return tn.relu(h[:, 0] - h[:, 1] * h[:, 2]) @ v


def gated(x: Any, a: Any, v: Any) -> Any:
    h = x @ a
    return (tn.tanh(h[:, 0] + h[:, 1]) * tn.mean(tn.relu(h), axis=1)) @ v


@pytest.mark.parametrize("function", [maximum, rectified, gated])
def test_standard_errors_cover_what_many_points_find(function: Any) -> None:
    ones = [tn.asarray(np.ones(shape)) for shape in ((2, 3, 3), (3, 8), (8,))]
    program = tn.trace(function, *ones, dynamic={"x": ("batch", None, None), "a": (None, "n"), "v": ("n",)})
    tp = tn.limits.analyse(program, widths=("n",), laws={"a": Law(1.0), "v": READOUT})
    x = np.random.default_rng(3).normal(size=(4, 3, 3))
    tp.points = 1 << 18
    exact = tp.nngp(x).array
    far = max(tp.errors.values())
    for points in (1 << 10, 1 << 12, 1 << 14):
        tp.points = points
        away = np.abs(tp.nngp(x).array - exact).max()
        (error,) = tp.errors.values()
        assert away < 4 * np.hypot(error, far)
