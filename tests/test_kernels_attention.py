"""Kernels of attention whose queries, keys and values come from one parameter, in every order that it is stored in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensoria as tn
from tensoria.errors import LimitError
from tensoria.limits.laws import Law

X = np.random.default_rng(3).normal(size=(2, 3, 4))
MATRIX = Law(0.5, -1)  #  type: ignore[arg-type]
LAYOUTS = ("three, then heads", "heads, then three", "chunks", "three parameters")


def heads(x: Any, order: tuple[int, ...], *parts: Any) -> Any:
    return tn.permute_dims(tn.reshape(x, (*x.shape[:2], *parts)), order)


def attention(layout: str, x: Any, W: Any) -> list[Any]:
    """Queries, keys and values: examples, heads, tokens, features."""
    if layout == "three parameters":
        return [heads(x @ part, (0, 2, 1, 3), 2, part.shape[1] // 2) for part in W]
    y, d = x @ W, W.shape[0] // 2
    if layout == "three, then heads":
        y = heads(y, (2, 0, 3, 1, 4), 3, 2, d)
        return [y[k] for k in range(3)]
    if layout == "heads, then three":
        y = heads(y, (0, 2, 1, 3), 2, 3 * d)
        return [y[..., k * d : (k + 1) * d] for k in range(3)]
    return [heads(y[..., 2 * k * d : 2 * (k + 1) * d], (0, 2, 1, 3), 2, d) for k in range(3)]


def analysed(layout: str) -> Any:
    def net(x: Any, E: Any, W: Any, P: Any, v: Any) -> Any:
        h = x @ E
        q, k, values = attention(layout, h, W)
        weights = tn.softmax(q @ tn.matrix_transpose(k) / tn.asarray(k.shape[-1], dtype=tn.float64), axis=-1)
        y = tn.reshape(tn.permute_dims(weights @ values, (0, 2, 1, 3)), h.shape)
        return tn.mean(h + y @ P, axis=1) @ v

    def ones(*shape: int) -> Any:
        return tn.asarray(np.ones(shape))

    one, n, wide = layout != "three parameters", tn.dim("n"), tn.dim("n") * 2
    W = ones(8, 24) if one else [ones(8, 8) for _ in range(3)]
    dynamic = {
        "x": ("batch", None, None), "E": (None, wide), "W": (wide, 6 * n if one else wide), "P": (wide, wide),
        "v": (wide, None),
    }  # fmt: skip
    program = tn.trace(net, ones(5, 3, 4), ones(4, 8), W, ones(8, 8), ones(8, 2), dynamic=dynamic)
    return tn.limits.analyse(program, widths=("n",), laws={"E": Law(1.0), "W*": MATRIX, "P": MATRIX, "v": MATRIX})


@pytest.mark.parametrize("layout", LAYOUTS)
def test_attention_has_one_kernel_however_its_weights_are_stored(layout: str) -> None:
    tp = analysed(layout)
    # Queries and keys are independent, so that q.k/d vanishes and every token is attended to alike: with h = x E, the
    # sums over tokens of y P are means of h times two matrices of variance 1 / fan-in. Each keeps covariances.
    tokens = X.mean(1)
    np.testing.assert_allclose(tp.nngp(X).array, 2 * tokens @ tokens.T, rtol=1e-12)
    # Sums of squares of derivatives by v (2 of them), P and the part of W for values grow with the width; by E not.
    n = 128
    wide = 2 * n
    total = 2 * wide + wide + wide + 2
    np.testing.assert_allclose(tp.ntk(X, width=n).array, total * tokens @ tokens.T, rtol=1e-12)


def module(n: int, count: int, weights: bool = False, **more: Any) -> Any:
    """An embedding, attention (or a whole layer) of PyTorch's, and a readout."""
    torch = pytest.importorskip("torch")
    nn = torch.nn

    class Net(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.readout = nn.Linear(4, n), nn.Linear(n, 16, bias=False)
            kind = nn.TransformerEncoderLayer if more else nn.MultiheadAttention
            self.attend = kind(n, count, dropout=0.0, batch_first=True, **more)

        def forward(self, x: Any) -> Any:
            h = self.embed(x)
            return self.readout(self.attend(h) if more else self.attend(h, h, h, need_weights=weights)[0])

    return Net()


LAYER = {"dim_feedforward": 16}
OPEN = {"x": ("batch", None, None)}
rest = pytest.mark.matrix


@pytest.mark.parametrize(
    ("weights", "more"),
    [(False, {}), pytest.param(True, {}, marks=rest), pytest.param(False, {**LAYER, "norm_first": True}, marks=rest),
     pytest.param(False, {**LAYER, "norm_first": False}, marks=rest)],
)  # fmt: skip
def test_heads_whose_number_grows_have_the_kernel_of_wide_networks(weights: bool, more: Any) -> None:
    import torch

    x = X.astype(np.float32)
    tp = tn.limits.analyse(
        lambda n: module(n, n // 4, weights, **more), torch.tensor(x), widths=(16, 32, 64), dynamic=OPEN
    )
    kernel = tp.nngp(x).array
    assert "D" in tp.tiers.values()
    np.testing.assert_allclose(tp.nngp(torch.tensor(x)).array.numpy(), kernel, atol=0.01 * kernel.max())  # sampled
    for inputs in (x, torch.tensor(x)):
        assert tp.simulate(inputs, width=256, seeds=32).nngp.distance(kernel) < 4


@pytest.mark.parametrize(
    ("weights", "more"),
    [(False, {}), pytest.param(True, {}, marks=rest), pytest.param(False, {**LAYER, "norm_first": True}, marks=rest)],
)
def test_a_fixed_number_of_heads_whose_logits_stay_random_is_refused(weights: bool, more: Any) -> None:
    torch = pytest.importorskip("torch")
    x = torch.tensor(X.astype(np.float32))
    with pytest.raises(LimitError, match="uncorrelated vectors, divided by less than the width") as refusal:
        tn.limits.analyse(lambda n: module(n, 2, weights, **more), x, widths=(16, 32, 64), dynamic=OPEN)
    assert "at attend" in str(refusal.value)
    assert "heads whose number grows" in str(refusal.value)
