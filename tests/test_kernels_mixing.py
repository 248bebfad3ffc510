"""Tangent kernels where members of a family mix: normalisation over a batch, pooled functions, channels in groups."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import tensoria as tn
from tensoria.errors import LimitError
from tensoria.limits.laws import Law

torch = pytest.importorskip("torch")
nn = torch.nn

BATCHES = np.random.default_rng(0).normal(size=(2, 8, 4))
IMAGES = np.random.default_rng(1).normal(size=(2, 2, 3, 3))
TOKENS = np.random.default_rng(2).normal(size=(2, 3, 3))
WIDTHS = (8, 16, 32)
INPUT, SHIFT, MATRIX, READOUT = Law(0.4), Law(0.1), Law(2.0, -1), Law(1.0, -1)  # type: ignore[arg-type]
EPSILON = 1e-5


class Normalised(nn.Module):  # type: ignore[misc]
    """Dense layers, each normalised over the batch."""

    def __init__(self, n: int, depth: int = 1, act: Any = torch.relu) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4 if k == 0 else n, n) for k in range(depth))
        self.norms = nn.ModuleList(nn.BatchNorm1d(n, eps=EPSILON) for _ in range(depth))
        self.readout, self.act = nn.Linear(n, 2, bias=False), act
        self.double()

    def forward(self, x: Any) -> Any:
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = self.act(norm(layer(x)))
        return self.readout(x)


class Convolved(nn.Module):  # type: ignore[misc]
    """Convolutions, the second one in groups; the last one mixes them."""

    def __init__(self, n: int, groups: int, norm: bool = False) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, n, 2, groups=1 if norm else 2)
        self.conv = nn.Conv2d(n, n, 2, padding=1, groups=groups)
        self.norm = nn.BatchNorm2d(n) if norm else nn.Identity()
        self.mix, self.readout = nn.Conv2d(n, n, 1), nn.Linear(n, 2, bias=False)
        self.double()

    def forward(self, x: Any) -> Any:
        x = torch.relu(self.norm(self.conv(torch.relu(self.stem(x)))))
        return self.readout(torch.relu(self.mix(x)).mean((2, 3)))


@functools.cache
def normalised(depth: int = 1, **more: Any) -> Any:
    laws = {"layers.0.weight": INPUT, "layers.*.weight": MATRIX, "layers.*.bias": SHIFT, "readout.weight": READOUT}
    x = torch.tensor(BATCHES[0])
    if depth == 1:
        del laws["layers.*.weight"]
    return tn.limits.analyse(lambda n: Normalised(n, depth, **more), (x,), widths=WIDTHS, laws=laws)


@functools.cache
def convolved(groups: str, norm: bool = False) -> Any:
    laws = {"stem.weight": INPUT, "conv.weight": INPUT if groups == "n" else MATRIX, "mix.weight": MATRIX,
            "*.bias": SHIFT, "readout.weight": READOUT}  # fmt: skip
    if norm:
        laws |= {"norm.weight": Law(0.0, mean=1.0), "norm.bias": Law(0.0)}
    made = lambda n: Convolved(n, n if groups == "n" else int(groups), norm)  # noqa: E731
    return tn.limits.analyse(made, (torch.tensor(IMAGES),), widths=WIDTHS, laws=laws)


def by_the_chain_rule(x: Any, y: Any, count: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """T of relu(BN(W x + b)) on two batches, by draws of W and b: the mean, and its standard error."""
    random = np.random.default_rng(7)
    drawn = random.normal(size=(count, 5)) * np.sqrt([INPUT.variance] * 4 + [SHIFT.variance])

    def derived(batch: Any) -> tuple[Any, Any, Any]:
        size = len(batch)
        with_one = np.hstack([batch, np.ones((size, 1))])
        middle = np.eye(size) - 1 / size
        h = drawn @ with_one.T @ middle
        root = np.sqrt((h * h).mean(1) + EPSILON)
        h = h / root[:, None]
        step = (h > 0).astype(float)
        slope = (step / root[:, None])[:, :, None] * (middle - h[:, :, None] * h[:, None] / size)
        return np.maximum(h, 0), step, slope @ with_one  # by (W, b): the Jacobian of a channel

    (f, df, jf), (g, dg, jg) = derived(x), derived(y)
    # W and b before, the gain, the shift
    total = jf @ jg.transpose(0, 2, 1) + f[:, :, None] * g[:, None] + df[:, :, None] * dg[:, None]
    return total.mean(0), total.std(0) / count**0.5


@pytest.mark.parametrize("second", [0, 1])
def test_tangents_through_batch_normalisation_follow_the_chain_rule(second: int) -> None:
    x, y = BATCHES[0], BATCHES[second]
    wanted, error = by_the_chain_rule(x, y, 30_000)
    tp = normalised()
    powers = tp.ntk_powers(*((x, y) if second else (x,)))
    assert (np.abs(powers[0].array - wanted) / error).max() < 4.5  # of 64 numbers
    assert "D" not in tp.tiers.values()


def test_deep_batch_normalisation_is_that_of_wide_networks_on_every_backend(backend: str) -> None:
    x, tp = BATCHES[0], normalised(2)
    kernel = tp.ntk(x, width=128).array
    found = np.asarray(tp.ntk(x, width=128, backend=backend).to(backend="numpy").array)
    np.testing.assert_allclose(found, kernel, rtol=1e-9, atol=1e-9)
    if backend == "numpy":
        assert tp.simulate(x, width=128, seeds=12, ntk=True, backend="torch").ntk.distance(kernel) < 4


def test_normalisation_before_other_functions_is_sampled() -> None:
    x, tp = BATCHES[0][:5], normalised(act=torch.tanh)
    tp.points = 1 << 12
    kernel = tp.ntk(x, width=128).array
    assert "D" in tp.tiers.values()
    assert tp.simulate(x, width=128, seeds=12, ntk=True, backend="torch").ntk.distance(kernel) < 4


def test_normalisation_of_images_is_over_batch_and_pixels() -> None:
    tp = convolved("1", norm=True)
    kernel = tp.ntk(IMAGES, width=64).array
    assert tp.simulate(IMAGES, width=64, seeds=16, ntk=True, backend="torch").ntk.distance(kernel) < 4


def test_a_small_batch_without_epsilon_has_no_tangent_kernel() -> None:
    def net(x: Any, W: Any, v: Any) -> Any:
        h = x @ W
        return tn.relu((h - tn.mean(h, axis=0)) / tn.sqrt(tn.var(h, axis=0))) @ v

    ones = [tn.asarray(np.ones(shape)) for shape in ((3, 4), (4, 8), (8,))]
    p = tn.trace(net, *ones, dynamic={"x": ("batch", None), "W": (None, "n"), "v": ("n",)})
    tp = tn.limits.analyse(p, widths=("n",), laws={"W": INPUT, "v": READOUT})
    assert tp.ntk(BATCHES[0], width=64).shape == (8, 8)
    with pytest.raises(LimitError, match="3 members that differ in 2 directions: the mean of 1 / variance is infinite"):
        tp.ntk(BATCHES[0][:3], width=64)


def test_running_statistics_are_not_trained() -> None:
    laws = {"layers.0.weight": INPUT, "layers.0.bias": SHIFT, "readout.weight": READOUT}
    x = BATCHES[0]
    tp = tn.limits.analyse(lambda n: Normalised(n).eval(), (torch.tensor(x),), widths=WIDTHS, laws=laws)
    assert not any("running" in name for name in tp.trained)
    assert tp.simulate(x, width=64, seeds=12, ntk=True, backend="torch").ntk.distance(tp.ntk(x, width=64).array) < 4


# -- pooled functions -------------------------------------------------------------------------------------------------


def squeezed(x: Any, a: Any, b: Any, h: Any, v: Any) -> Any:
    y = tn.relu(x @ a + b)
    return tn.relu(y - 0.7 * tn.mean(y, axis=1, keepdims=True))[:, 0] @ v


def excited(x: Any, a: Any, b: Any, h: Any, v: Any) -> Any:
    y = x @ a + b
    return tn.mean(y * tn.tanh(tn.mean(tn.relu(y), axis=1, keepdims=True)), axis=1) @ v


def scaled(x: Any, a: Any, b: Any, h: Any, v: Any) -> Any:
    y = (x @ a + b) @ h
    return (y[:, 0] * tn.mean(tn.relu(y), axis=1)) @ v


@pytest.mark.parametrize("net", [squeezed, excited, scaled])
def test_functions_of_pooled_functions_have_the_tangents_of_wide_networks(net: Any) -> None:
    shapes = {"x": (2, 3, 3), "a": (3, 8), "b": (8,), "h": (8, 8), "v": (8, 2)}
    sizes = {"x": ("batch", None, None), "a": (None, "n"), "b": ("n",), "h": ("n", "n"), "v": ("n", None)}
    program = tn.trace(net, *(tn.asarray(np.ones(shape)) for shape in shapes.values()), dynamic=sizes)
    laws = {"a": INPUT, "b": SHIFT, "h": MATRIX, "v": READOUT}
    tp = tn.limits.analyse(program, widths=("n",), laws=laws)
    tp.points = 1 << 13
    kernel = tp.ntk(TOKENS, width=128).array
    assert "D" in tp.tiers.values()
    assert tp.simulate(TOKENS, width=128, seeds=20, ntk=True, backend="torch").ntk.distance(kernel) < 4


# -- groups -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("groups", ["1", "2"])
def test_convolutions_in_groups_have_the_kernels_of_wide_networks(groups: str, backend: str) -> None:
    tp = convolved(groups)
    kernels = tp.nngp(IMAGES).array, tp.ntk(IMAGES, width=64).array
    assert not tp.errors
    for kernel, of in zip(kernels, (tp.nngp(IMAGES, backend=backend), tp.ntk(IMAGES, width=64, backend=backend)),
                          strict=True):  # fmt: skip
        np.testing.assert_allclose(np.asarray(of.to(backend="numpy").array), kernel, rtol=1e-9)
    if backend == "numpy":
        found = tp.simulate(IMAGES, width=64, seeds=24, ntk=True, backend="torch")
        assert found.nngp.distance(kernels[0]) < 4
        assert found.ntk.distance(kernels[1]) < 4


def test_depthwise_convolutions_multiply_channels_by_weights_of_their_own() -> None:
    tp = convolved("n")
    tp.points = 1 << 11
    found = tp.simulate(IMAGES, width=64, seeds=16, ntk=True, backend="torch")
    assert found.nngp.distance(tp.nngp(IMAGES).array) < 4
    assert set(tp.tiers.values()) == {"B", "D"}
    assert found.ntk.distance(tp.ntk(IMAGES, width=64).array) < 4
