"""Kernels of architectures beside networks of finite width: every mean within four standard errors of its limit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from kernel_models import modules, root

import tensoria as tn
from tensoria.limits.language import activations
from tensoria.limits.laws import Law

OUTPUTS = 64
"""Outputs are iid in the limit: each network gives so many samples of a product."""
NORMAL, MATRIX = Law(0.8), Law(1.3, -1)  # type: ignore[arg-type]
X = np.random.default_rng(0).normal(size=(3, 3))
TOKENS = np.random.default_rng(1).normal(size=(2, 3, 3))
SIZES: dict[str, tuple[Any, ...]] = {
    "a": (3, "n"), "b": ("n",), "c": (3, "n"), "g": ("n",), "h": ("n", "n"), "k": ("n", "n"), "table": (7, "n"),
    "place": (3, "n"), "v": ("n", OUTPUTS),
}  # fmt: skip
"""Parameters that networks use by name, and their axes."""


def dense(x, a, b, h, v):  # type: ignore[no-untyped-def]
    return tn.relu(tn.relu(x @ a + b) @ h) @ v


def gated(x, a, b, c, h, v):  # type: ignore[no-untyped-def]
    return tn.relu((activations.sigmoid(x @ c) * (x @ a + b)) @ h) @ v


def swish(x, a, b, v):  # type: ignore[no-untyped-def]
    h = x @ a + b
    return (h * activations.sigmoid(h) + tn.tanh(h)) @ v


def normalised(x, a, b, g, h, v):  # type: ignore[no-untyped-def]
    y = tn.relu(x @ a + b)
    y = y - tn.mean(y, axis=-1, keepdims=True)
    y = g * y / tn.sqrt(tn.mean(y * y, axis=-1, keepdims=True) + 0.01)
    return activations.erf(y @ h) @ v


def shared(x, a, b, h, v):  # type: ignore[no-untyped-def]
    y = x @ a + b
    for _ in range(3):
        y = tn.relu(y) @ h
    return y @ v


def after_residual(x, a, b, h, v):  # type: ignore[no-untyped-def]
    y = tn.relu(x @ a + b)
    return tn.relu(y + y @ h) @ v


def tokens(x, table, place, h, v):  # type: ignore[no-untyped-def]
    return tn.mean(tn.relu((table[x] + place) @ h), axis=1) @ v


def attention(x, a, h, k, v):  # type: ignore[no-untyped-def]
    y = x @ a
    keys = y @ k
    weights = tn.softmax(keys @ tn.matrix_transpose(keys) / tn.asarray(k.shape[0], dtype=tn.float64), axis=-1)
    return tn.mean(y + weights @ (y @ h), axis=1) @ v


def recurrent(x, a, b, h, v):  # type: ignore[no-untyped-def]
    s = tn.tanh(x[:, 0] @ a + b)
    for t in (1, 2):
        s = tn.tanh(s @ h + x[:, t] @ a + b)
    return s @ v


def pooled(x, a, b, h, v):  # type: ignore[no-untyped-def]
    return tn.relu(tn.mean(tn.relu(x @ a + b), axis=1) @ h) @ v


def largest(x, a, b, h, v):  # type: ignore[no-untyped-def]
    return tn.relu(tn.max(x @ a + b, axis=1) @ h) @ v


NETWORKS: dict[str, tuple[Callable[..., Any], np.ndarray[Any, Any]]] = {
    "dense": (dense, X), "gated": (gated, X), "swish": (swish, X), "normalised": (normalised, X), "shared": (shared, X),
    "after_residual": (after_residual, X), "tokens": (tokens, np.array([[0, 1, 2], [2, 2, 5]])),
    "attention": (attention, TOKENS), "recurrent": (recurrent, TOKENS), "pooled": (pooled, TOKENS),
    "largest": (largest, TOKENS),
}  # fmt: skip
LAWS = {"h": MATRIX, "k": MATRIX, "v": Law(1.0, -1), "g": Law(0.0, mean=1.0)}  # type: ignore[arg-type]


def analysed(name: str, outputs: int = OUTPUTS) -> Any:
    """A network of the table, read."""
    function, x = NETWORKS[name]
    names = function.__code__.co_varnames[1 : function.__code__.co_argcount]
    shapes = {p: tuple(outputs if n == OUTPUTS else n for n in SIZES[p]) for p in names}
    sizes: dict[str, Any] = {"x": ("batch", *(None,) * (x.ndim - 1))}
    for p, shape in shapes.items():
        sizes[p] = tuple(n if isinstance(n, str) else None for n in shape)
    ones = [tn.asarray(np.ones([8 if isinstance(n, str) else n for n in shape])) for shape in shapes.values()]
    program = tn.trace(function, tn.asarray(x[:2]), *ones, dynamic=sizes)
    return tn.limits.analyse(program, widths=("n",), laws={p: LAWS.get(p, NORMAL) for p in names})


@pytest.mark.parametrize("name", NETWORKS)
def test_products_of_outputs_have_the_covariance_of_the_limit(name: str) -> None:
    tp, x = analysed(name), NETWORKS[name][1]
    found = tp.simulate(x, width=512, seeds=24)
    assert found.nngp.distance(tp.nngp(x).array) < 4


@pytest.mark.parametrize("name", ["gated", "normalised", "shared", "after_residual", "tokens"])
def test_tangent_kernels_are_those_of_wide_networks(name: str) -> None:
    tp, x = analysed(name, outputs=2), NETWORKS[name][1]
    found = tp.simulate(x, width=128, seeds=24, ntk=True, backend="torch")
    assert found.ntk is not None
    assert found.ntk.distance(tp.ntk(x, width=128).array) < 4


def test_what_has_no_closed_form_is_sampled_and_says_so() -> None:
    tp = analysed("after_residual")
    tp.nngp(X)
    assert "D" in tp.tiers.values()
    assert all(0 < error < 0.05 for error in tp.errors.values())
    closed = analysed("dense")
    closed.nngp(X)
    assert set(closed.tiers.values()) == {"B"}
    assert not closed.errors


def test_heads_of_a_fused_projection_are_a_finite_axis() -> None:
    torch = pytest.importorskip("torch")
    nn = torch.nn
    f = torch.nn.functional

    class Heads(nn.Module):
        def __init__(self, n: int) -> None:
            super().__init__()
            self.n = n
            self.embed, self.qkv = nn.Linear(3, n), nn.Linear(n, 6 * n, bias=False)
            self.out, self.readout = nn.Linear(2 * n, n, bias=False), nn.Linear(n, OUTPUTS, bias=False)
            self.double()

        def forward(self, x):  # type: ignore[no-untyped-def]
            h = self.embed(x)
            q, _, v = (t.unflatten(-1, (2, self.n)).transpose(1, 2) for t in self.qkv(h).chunk(3, -1))
            y = f.scaled_dot_product_attention(q, q, v, scale=1 / self.n)
            return self.readout((h + self.out(y.transpose(1, 2).flatten(2))).mean(1))

    laws = {"embed.*": NORMAL, "qkv.weight": MATRIX, "out.weight": MATRIX, "readout.weight": Law(1.0, -1)}  # type: ignore[arg-type]
    tp = tn.limits.analyse(Heads, (torch.tensor(TOKENS),), widths=(32, 64, 128), laws=laws)
    found = tp.simulate(TOKENS, width=256, seeds=12)
    assert found.nngp.distance(tp.nngp(TOKENS).array) < 4
    assert "qkv.weight[6] : A(6*n, n)" in str(tp)


def test_the_standard_deviation_of_weights_can_be_learnt() -> None:
    torch = pytest.importorskip("torch")

    def net(x, scale, a, v):  # type: ignore[no-untyped-def]
        return tn.relu(scale * (x @ a)) @ v / root(v.shape[0])

    ones = tn.asarray(X), tn.asarray(1.0), tn.asarray(np.ones((3, 8))), tn.asarray(np.ones((8, 1)))
    program = tn.trace(net, *ones, dynamic={"x": ("batch", None), "a": (None, "n"), "v": ("n", None)})
    tp = tn.limits.analyse(program, widths=("n",), laws={"a": Law(1.0), "v": Law(1.0)})
    scale = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    kernel = tp.nngp((torch.tensor(X), scale)).array
    (slope,) = torch.autograd.grad(kernel.sum(), scale)
    # relu is homogeneous: the kernel is scale^2 times that at 1.
    assert float(slope) == pytest.approx(2 * float(kernel.detach().sum()) / 1.3, rel=1e-9)


def test_modules_and_functions_are_one_program() -> None:
    torch = pytest.importorskip("torch")
    made = modules()["Dense"]

    class Net(torch.nn.Module):
        def __init__(self, n: int) -> None:
            super().__init__()
            self.a, self.v = made(3, n, 1.0, 0.5), made(n, 1, 1.0, 0)

        def forward(self, x):  # type: ignore[no-untyped-def]
            return self.v(torch.tanh(self.a(x)))

    def net(x, a, b, v):  # type: ignore[no-untyped-def]
        return tn.tanh(x @ a / 3**0.5 + 0.5 * b) @ v / root(v.shape[0])

    ones = [tn.asarray(np.ones(shape)) for shape in ((3, 8), (8,), (8, 1))]
    sizes = {"x": ("batch", None), "a": (None, "n"), "b": ("n",), "v": ("n", None)}
    program = tn.trace(net, tn.asarray(X), *ones, dynamic=sizes)
    first = tn.limits.analyse(program, widths=("n",), laws=dict.fromkeys("abv", Law(1.0)))
    second = tn.limits.analyse(Net, (torch.tensor(X),), laws={"*": Law(1.0)})
    np.testing.assert_allclose(first.ntk(X).array, second.ntk(X).array, rtol=1e-12)
