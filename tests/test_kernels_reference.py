"""Every network entry of the reference file comes out of an ordinary model, on every backend (docs/limits.md)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernel_models import (
    BATCHES,
    IMAGES,
    NETWORKS,
    RECURRENT,
    SEQUENCES,
    TOKENS,
    X,
    captured,
    normalised_batch,
    perceptron,
    recurrent,
)

import tensoria as tn

CLOSED = 1e-9
"""The file's tolerance for closed forms."""
QUADRATURE = 1e-8


def numbers(t: tn.Tensor) -> np.ndarray[Any, Any]:
    """A tensor's numbers, of any backend."""
    return np.asarray(tn.asarray(t).to(backend="numpy").array)


def require(tp: Any, x: Any, entry: dict[str, Any], backend: str, **more: Any) -> None:
    """Both kernels are the file's."""
    np.testing.assert_allclose(numbers(tp.nngp(x, backend=backend)), entry["nngp"], rtol=CLOSED, atol=CLOSED)
    np.testing.assert_allclose(numbers(tp.ntk(x, backend=backend, **more)), entry["ntk"], rtol=CLOSED, atol=CLOSED)


@pytest.mark.parametrize("case", NETWORKS["fc_mlp"]["cases"], ids=lambda c: f"{c['act']}-{c['b_std']}-{c['n_hidden']}")
def test_dense_networks_have_the_kernels_of_the_file(case: dict[str, Any], backend: str) -> None:
    require(perceptron(case["act"], case["W_std"], case["b_std"], case["n_hidden"]), X, case, backend)


@pytest.mark.parametrize("act", ["gelu", "leaky_relu_0p1"])
def test_dense_modules_of_pytorch_have_the_kernels_of_the_file(act: str) -> None:
    (case,) = (c for c in NETWORKS["fc_mlp"]["cases"] if (c["act"], c["b_std"], c["n_hidden"]) == (act, 0.3, 2))
    require(captured(f"perceptron:{act}"), X, case, "torch")


@pytest.mark.parametrize("case", NETWORKS["cnn"]["cases"], ids=lambda c: c["head"])
def test_convolutional_modules_have_the_kernels_of_the_file(case: dict[str, Any], backend: str) -> None:
    require(captured(case["head"]), np.ascontiguousarray(IMAGES.transpose(0, 3, 1, 2)), case, backend)


@pytest.mark.parametrize(
    ("name", "entry", "x"),
    [
        ("layernorm", "layernorm_mlp", X),
        ("resnet", "resnet_preact", X),
        ("attention", "attention_linear_scaling", TOKENS),
    ],
)
def test_modules_have_the_kernels_of_the_file(name: str, entry: str, x: Any, backend: str) -> None:
    require(captured(name), x, NETWORKS[entry], backend)


def test_the_standard_parametrization_keeps_its_powers_of_n(backend: str) -> None:
    tp, entry = captured("standard"), NETWORKS["fc_standard_param"]
    require(tp, X, entry, backend, width=64)
    powers = tp.ntk_powers(X, backend=backend)
    assert sorted(powers) == [0, 1]
    np.testing.assert_allclose(64 * numbers(powers[1]) + numbers(powers[0]), entry["ntk"], rtol=CLOSED)
    with pytest.raises(tn.errors.LimitError, match=r"grows like n\^1"):
        tp.ntk(X)


@pytest.mark.parametrize("make", [recurrent, lambda: captured("recurrent")], ids=["traced", "module"])
def test_recurrent_networks_share_their_weights_over_two_sequences(make: Any, backend: str) -> None:
    found = numbers(make().nngp(SEQUENCES, backend=backend))
    np.testing.assert_allclose(found, RECURRENT["rnn_erf"]["kernel"], atol=CLOSED)


@pytest.mark.parametrize("entry", ["V11_exact", "V22_exact", "V12_exact"])
def test_batch_normalisation_is_integrated_exactly(entry: str, backend: str) -> None:
    first, second = np.array(BATCHES["Sigma1"]), np.array(BATCHES["Sigma2"])
    joint = np.block([[first, np.array(BATCHES["Xi"])], [np.array(BATCHES["Xi"]).T, second]])
    x = np.linalg.cholesky(joint)  # inputs with that Gram matrix
    sets = {"V11_exact": (x[:4],), "V22_exact": (x[4:],), "V12_exact": (x[:4], x[4:])}[entry]
    found = numbers(normalised_batch().nngp(*sets, backend=backend))
    np.testing.assert_allclose(found, BATCHES[entry], atol=QUADRATURE)
