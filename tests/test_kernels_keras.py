"""Kernels of Keras models: those of the same module of PyTorch, or of the same function of tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensoria as tn
from tensoria.limits.laws import Law

keras = pytest.importorskip("keras")
torch = pytest.importorskip("torch")
layers, nn = keras.layers, torch.nn

X = np.random.default_rng(0).normal(size=(4, 6))
IMAGES = np.random.default_rng(1).normal(size=(3, 4, 5, 2))
WIDTHS = (8, 16, 32)
GIVEN: dict[str, Any] = {
    "kernel_initializer": "he_normal", "bias_initializer": keras.initializers.RandomNormal(stddev=0.5)
}  # fmt: skip


def of_keras(shape: tuple[int, ...], *body: Any) -> Any:
    return keras.Sequential([keras.Input(shape, dtype="float64"), *body])


def dense(n: int) -> Any:
    """Keras' Dense(relu)."""
    given = {**GIVEN, "dtype": "float64"}
    hidden = [layers.Dense(n, activation="relu", **given) for _ in range(2)]
    return of_keras(X.shape[1:], *hidden, layers.Dense(1, **given))


def dense_module(n: int) -> Any:
    return nn.Sequential(nn.Linear(6, n), nn.ReLU(), nn.Linear(n, n), nn.ReLU(), nn.Linear(n, 1)).double()


def normalised(n: int) -> Any:
    """LayerNormalization before the second layer."""
    given = {**GIVEN, "dtype": "float64"}
    first, second = (layers.Dense(n, activation="relu", **given) for _ in range(2))
    norm = layers.LayerNormalization(epsilon=1e-3, dtype="float64")
    return of_keras(X.shape[1:], first, norm, second, layers.Dense(1, **given))


def normalised_module(n: int) -> Any:
    norm = nn.LayerNorm(n, eps=1e-3)
    return nn.Sequential(nn.Linear(6, n), nn.ReLU(), norm, nn.Linear(n, n), nn.ReLU(), nn.Linear(n, 1)).double()


def convolutional(n: int) -> Any:
    """Convolutions with channels last."""
    given = {**GIVEN, "dtype": "float64", "activation": "relu"}
    first, second = layers.Conv2D(n, 3, padding="same", **given), layers.Conv2D(n, 2, strides=2, **given)
    pool = layers.GlobalAveragePooling2D(dtype="float64")
    return of_keras(IMAGES.shape[1:], first, second, pool, layers.Dense(1, **{**given, "activation": None}))


class ConvolutionalModule(nn.Module):
    """The same with channels first."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, n, 3, padding=1), nn.Conv2d(n, n, 2, stride=2)
        self.readout = nn.Linear(n, 1)
        self.double()

    def forward(self, x):  # type: ignore[no-untyped-def]
        x = torch.relu(self.second(torch.relu(self.first(x.permute(0, 3, 1, 2)))))
        return self.readout(x.mean((2, 3)))


def he(*fans: tuple[float, int]) -> list[Law]:
    """He's variance 2 / fan_in for each weight, where fan_in = c n^e is given as (c, e)."""
    return [Law(2 / c, -e) for c, e in fans]  # type: ignore[arg-type]


BIAS = Law(0.25)
DENSE = dict(zip(("0.weight", "2.weight", "4.weight"), he((6, 0), (1, 1), (1, 1)), strict=True))
NORMAL = dict(zip(("0.weight", "3.weight", "5.weight"), he((6, 0), (1, 1), (1, 1)), strict=True))
IMAGE = dict(zip(("first.weight", "second.weight", "readout.weight"), he((18, 0), (4, 1), (1, 1)), strict=True))
BIASES = {"0.bias": BIAS, "2.bias": BIAS, "4.bias": BIAS}
NORMAL_BIASES = {"0.bias": BIAS, "3.bias": BIAS, "5.bias": BIAS}
MODELS: dict[str, tuple[Callable[[int], Any], Any, dict[str, Law], np.ndarray[Any, Any]]] = {
    "dense": (dense, dense_module, {**DENSE, **BIASES}, X),
    "normalised": (normalised, normalised_module, {**NORMAL, **NORMAL_BIASES}, X),
    "convolutional": (convolutional, ConvolutionalModule, {**IMAGE, "*.bias": BIAS}, IMAGES),
}
"""A model of Keras, the same of PyTorch, and for the latter the laws that the former's initialisers have."""


@pytest.mark.parametrize("name", MODELS)
def test_models_of_keras_have_the_kernels_of_the_same_module(name: str) -> None:
    make, module, laws, x = MODELS[name]
    ours = tn.limits.analyse(make, (x,), widths=WIDTHS, gaussian=True)
    theirs = tn.limits.analyse(module, (torch.tensor(x),), widths=WIDTHS, laws=laws)
    np.testing.assert_allclose(ours.nngp(x).array, theirs.nngp(x).array, rtol=1e-9)
    np.testing.assert_allclose(ours.ntk(x, width=64).array, theirs.ntk(x, width=64).array, rtol=1e-9)
    assert not any("diverges" in note or "vanishes" in note for note in ours.notes())


def test_keras_own_initialisers_let_the_first_layer_vanish_and_the_notes_say_so() -> None:
    def make(n: int) -> Any:
        hidden = [layers.Dense(n, activation="relu", dtype="float64") for _ in range(2)]
        return of_keras(X.shape[1:], *hidden, layers.Dense(1, dtype="float64"))

    tp = tn.limits.analyse(make, (X,), widths=WIDTHS)
    found = [note for note in tp.notes() if "vanishes" in note]
    assert any("dense.kernel has uniform, variance 2 n^-1" in note for note in found), tp.notes()
    assert found == [str(finding) for finding in tn.limits.powers(tp.widened).findings]
    np.testing.assert_array_equal(tp.nngp(X).array, 0)
