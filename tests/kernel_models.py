"""Ordinary networks, written as `torch.nn.Module` and as functions of tensors, whose kernels the reference file has."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import tensoria as tn
from tensoria.limits.language import activations
from tensoria.limits.laws import Law

REFERENCE = json.loads((Path(__file__).parent / "data" / "tensor_programs.json").read_text())
NETWORKS = REFERENCE["neural_tangents"]
RECURRENT = REFERENCE["gp4a"]
X = np.array(NETWORKS["fc_mlp"]["X"])
STANDARD = {"*": Law(1.0)}
IMAGES = np.sin(np.arange(36.0)).reshape(2, 3, 3, 2)
TOKENS = np.array(NETWORKS["attention_linear_scaling"]["X"])
SEQUENCES = tuple(np.array(RECURRENT["inputs"][name]) for name in ("seq1", "seq2"))
BATCHES = RECURRENT["batchnorm_relu"]

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": tn.relu, "erf": activations.erf, "gelu": activations.gelu, "sin": tn.sin, "abs": tn.abs,
    "leaky_relu_0p1": lambda x: tn.where(x > 0, x, 0.1 * x),
}  # fmt: skip


def root(size: Any) -> Any:
    """The square root of a size, which may be a symbol."""
    return tn.sqrt(tn.asarray(size, dtype=tn.float64))


# -- functions of tensors ---------------------------------------------------------------------------------------------


def perceptron(act: str, weight: float, bias: float, depth: int, inputs: int = 4) -> Any:
    """[Dense, act] * depth + Dense in the NTK parametrization, traced with an open width."""

    def net(x, hidden, biases, v, c):  # type: ignore[no-untyped-def]
        for W, b in zip(hidden, biases, strict=True):
            x = ACTIVATIONS[act](weight / root(x.shape[-1]) * (x @ W) + bias * b)
        return weight / root(x.shape[-1]) * (x @ v) + bias * c

    hidden = [tn.asarray(np.ones((inputs if n == 0 else 8, 8))) for n in range(depth)]
    biases = [tn.asarray(np.ones(8)) for _ in range(depth)]
    sizes: dict[str, Any] = {"x": ("batch", None), "v": ("n", None)}
    for n in range(depth):
        sizes[f"hidden_{n}"], sizes[f"biases_{n}"] = (None if n == 0 else "n", "n"), ("n",)
    ones = tn.asarray(np.ones((2, inputs)))
    p = tn.trace(net, ones, hidden, biases, tn.asarray(np.ones((8, 1))), tn.asarray(np.ones(1)), dynamic=sizes)
    laws = {"hidden*": Law(1.0), "biases*": Law(1.0), "v": Law(1.0), "c": Law(1.0)}
    return tn.limits.analyse(p, widths=("n",), laws=laws)


def normalised_batch() -> Any:
    """relu(BN(Wx)) over the batch, without epsilon and affine map."""

    def net(x, W):  # type: ignore[no-untyped-def]
        h = x @ W
        return tn.relu((h - tn.mean(h, axis=0)) / tn.sqrt(tn.var(h, axis=0)))

    ones = tn.asarray(np.ones((4, 7))), tn.asarray(np.ones((7, 5)))
    p = tn.trace(net, *ones, dynamic={"x": ("batch", None), "W": (None, "n")})
    return tn.limits.analyse(p, widths=("n",), laws={"W": Law(1.0)})


def recurrent() -> Any:
    """s^t = erf(W s^(t-1) + U x^t + b) over two sequences of different length, and <v, s^t>."""

    def run(x, W, U, b, v):  # type: ignore[no-untyped-def]
        out, s = [], None
        for t in range(x.shape[0]):
            h = x[t] @ U + b if s is None else s @ W + x[t] @ U + b
            s = activations.erf(h)
            out.append(s @ v)
        return out

    def net(x, y, W, U, b, v):  # type: ignore[no-untyped-def]
        return tn.stack(run(x, W, U, b, v) + run(y, W, U, b, v))

    shapes = (3, 3), (2, 3), (5, 5), (3, 5), (5,), (5,)
    sizes = {"W": ("n", "n"), "U": (None, "n"), "b": ("n",), "v": ("n",)}
    p = tn.trace(net, *(tn.asarray(np.ones(shape)) for shape in shapes), dynamic=sizes)
    return tn.limits.analyse(p, widths=("n",), laws=RNN_LAWS)


RNN_LAWS = {"W": Law(1.2, -1), "U": Law(0.9 / 3), "b": Law(0.1), "v": Law(1.2, -1)}  # type: ignore[arg-type]
"""The file's numbers are those of a readout with the variance of W: GP4A's `thrnn` multiplies by varw at the end."""


# -- modules ----------------------------------------------------------------------------------------------------------


@functools.cache
def modules() -> dict[str, Any]:
    """The same networks, and others, as plain modules of PyTorch: functions from a width to a module."""
    import torch
    from torch import nn
    from torch.nn import functional as F  # noqa: N812

    class Dense(nn.Module):
        def __init__(self, inputs: int, outputs: int, weight: float = 1.5, bias: float = 0.1) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(outputs, inputs, dtype=torch.float64))
            self.bias = nn.Parameter(torch.zeros(outputs, dtype=torch.float64)) if bias else None
            self.scale, self.shift = weight, bias

        def forward(self, x):  # type: ignore[no-untyped-def]
            y = self.scale / x.shape[-1] ** 0.5 * F.linear(x, self.weight)
            return y if self.bias is None else y + self.shift * self.bias

    acts = {
        "relu": torch.relu, "erf": torch.erf, "gelu": F.gelu, "sin": torch.sin, "abs": torch.abs,
        "leaky_relu_0p1": lambda x: F.leaky_relu(x, 0.1),
    }  # fmt: skip

    class Perceptron(nn.Module):
        def __init__(self, n: int, act: str, weight: float, bias: float, depth: int, inputs: int = 4) -> None:
            super().__init__()
            sizes = [inputs, *[n] * depth]
            self.hidden = nn.ModuleList(Dense(a, b, weight, bias) for a, b in itertools.pairwise(sizes))
            self.readout, self.act = Dense(n, 1, weight, bias), act

        def forward(self, x):  # type: ignore[no-untyped-def]
            for layer in self.hidden:
                x = acts[self.act](layer(x))
            return self.readout(x)

    class Standard(nn.Module):
        def __init__(self, n: int) -> None:
            super().__init__()
            self.hidden = nn.Linear(4, n, dtype=torch.float64)
            self.readout = nn.Linear(n, 1, dtype=torch.float64)

        def forward(self, x):  # type: ignore[no-untyped-def]
            return self.readout(torch.relu(self.hidden(x)))

    class Normalised(nn.Module):
        def __init__(self, n: int) -> None:
            super().__init__()
            self.hidden, self.readout, self.n = Dense(4, n, 1.5, 0.3), Dense(n, 1, 1.5, 0.3), n

        def forward(self, x):  # type: ignore[no-untyped-def]
            return self.readout(torch.relu(F.layer_norm(self.hidden(x), (self.n,), eps=1e-12)))

    class Residual(nn.Module):
        def __init__(self, n: int) -> None:
            super().__init__()
            self.first, self.readout = Dense(4, n), Dense(n, 1)
            self.blocks = nn.ModuleList(Dense(n, n) for _ in range(2))

        def forward(self, x):  # type: ignore[no-untyped-def]
            x = self.first(x)
            for block in self.blocks:
                x = x + block(torch.relu(x))
            return self.readout(torch.relu(x))

    class Attention(nn.Module):
        def __init__(self, n: int) -> None:
            super().__init__()
            self.first, self.value, self.out = Dense(2, n), Dense(n, n, 1.3, 0), Dense(n, n, 1.1, 0.2)
            self.key, self.readout, self.n = Dense(n, n, 1.0, 0), Dense(n, 1, 1.0, 0), n

        def forward(self, x):  # type: ignore[no-untyped-def]
            h = self.first(x)
            keys = self.key(h)  # shared by queries and keys
            weights = torch.softmax((0.9 * keys) @ (1.2 * keys).transpose(-1, -2) / self.n, -1)
            return self.readout(self.out(weights @ self.value(h)).mean(1))

    class Convolutional(nn.Module):
        def __init__(self, n: int, head: str) -> None:
            super().__init__()
            given: Any = {"padding": "same", "bias": False, "dtype": torch.float64}
            self.first, self.second = nn.Conv2d(2, n, 3, **given), nn.Conv2d(n, n, 3, **given)
            self.biases = nn.ParameterList(torch.zeros(n, 1, 1, dtype=torch.float64) for _ in range(2))
            self.readout, self.n, self.head = Dense(n if head == "gap" else 9 * n, 1), n, head

        def forward(self, x):  # type: ignore[no-untyped-def]
            x = torch.relu(1.5 / (9 * 2) ** 0.5 * self.first(x) + 0.1 * self.biases[0])
            x = torch.relu(1.5 / (9 * self.n) ** 0.5 * self.second(x) + 0.1 * self.biases[1])
            return self.readout(x.mean((2, 3)) if self.head == "gap" else x.flatten(1))

    class Recurrent(nn.Module):
        def __init__(self, n: int) -> None:
            super().__init__()
            for name, shape in (("W", (n, n)), ("U", (n, 3)), ("b", (n,)), ("v", (n,))):
                self.register_parameter(name, nn.Parameter(torch.zeros(*shape, dtype=torch.float64)))

        def run(self, x):  # type: ignore[no-untyped-def]
            out, s = [], None
            for t in range(x.shape[0]):
                h = self.U @ x[t] + self.b
                s = torch.erf(h if s is None else h + self.W @ s)
                out.append(s @ self.v)
            return out

        def forward(self, x, y):  # type: ignore[no-untyped-def]
            return torch.stack(self.run(x) + self.run(y))

    return {
        "Dense": Dense, "perceptron": Perceptron, "standard": Standard, "layernorm": Normalised, "resnet": Residual,
        "attention": Attention, "gap": functools.partial(Convolutional, head="gap"),
        "flatten": functools.partial(Convolutional, head="flatten"), "recurrent": Recurrent,
    }  # fmt: skip


@functools.cache
def captured(name: str) -> Any:
    """A module of that name, analysed."""
    import torch

    def example(*shape: int) -> Any:
        return torch.ones(*shape, dtype=torch.float64)

    made = modules()[name.partition(":")[0]]
    if name.startswith("perceptron:"):
        _, act = name.split(":")
        return tn.limits.analyse(lambda n: made(n, act, 1.5, 0.3, 2), (example(2, 4),), laws=STANDARD)
    if name == "standard":
        laws = {"hidden.weight": Law(1.5**2 / 4), "readout.weight": Law(1.5**2, -1), "*.bias": Law(0.3**2)}  # type: ignore[arg-type]
        return tn.limits.analyse(made, (example(2, 4),), laws=laws)
    if name == "recurrent":
        return tn.limits.analyse(made, (example(3, 3), example(2, 3)), laws=RNN_LAWS, dynamic={})
    shape = {"attention": (2, 3, 2), "gap": (2, 2, 3, 3), "flatten": (2, 2, 3, 3)}.get(name, (2, 4))
    return tn.limits.analyse(made, (example(*shape),), laws=STANDARD)
