"""Small PyTorch modules and the arguments that they are ported with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn.functional import interpolate

__all__ = ["MODELS", "Example", "flat", "stressed"]


@dataclass(frozen=True)
class Example:
    """A module, its arguments, and others of sizes that were left open.

    Attributes:
        inside: the precision in which the module computes some part, whatever its parameters have.
    """

    module: Any
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    dynamic: Mapping[str, Any] = field(default_factory=dict)
    others: tuple[tuple[Any, ...], Mapping[str, Any]] = ((), {})
    inside: str = "float64"


def flat(value: Any) -> list[Any]:
    """The tensors of a result, in order."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [leaf for item in value for leaf in flat(item)]
    return [] if value is None else [value]


def stressed(module: Any) -> Any:
    """A module whose normalisations have statistics that are not the neutral ones; in eval mode."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.5)
            part.running_var.uniform_(0.5, 2)
            part.weight.data.uniform_(0.5, 1.5)
        if isinstance(part, nn.LayerNorm) and part.weight is not None:
            part.weight.data.uniform_(0.5, 1.5)
            part.bias.data.normal_()
    return module.eval()


class Perceptron(nn.Module):
    """Linear maps, GELU, normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.LayerNorm(8), nn.Linear(8, 3), nn.LogSoftmax(-1))

    def forward(self, x: Any) -> Any:
        return self.layers(x)


class Images(nn.Module):
    """Convolutions, batch normalisation, pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(2),
            nn.Conv2d(8, 8, 3, groups=8, stride=2, padding=1), nn.Hardswish(), nn.AvgPool2d(2),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(8, 4),
        )  # fmt: skip

    def forward(self, x: Any) -> Any:
        return self.layers(x)


class Upward(nn.Module):
    """Transposed convolution, resizing, group and instance normalisation, padding; several results."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 4, 3, 2, 1)
        self.up = nn.ConvTranspose2d(4, 3, 3, 2, 1, output_padding=1)
        self.group, self.instance = nn.GroupNorm(2, 4), nn.InstanceNorm2d(3, affine=True)

    def forward(self, x: Any) -> Any:
        y = nn.functional.elu(self.group(self.down(x)))
        return {
            "up": self.instance(self.up(y)), "padded": nn.functional.pad(x, (1, 2, 3, 0), mode="reflect"),
            "resized": [interpolate(y, scale_factor=2, mode="bilinear"), interpolate(y, size=(9, 11))],
        }  # fmt: skip


class Recurrent(nn.Module):
    """LSTM in both directions and a GRU."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.LSTM(4, 5, 2, batch_first=True, bidirectional=True), nn.GRU(10, 3)

    def forward(self, x: Any) -> Any:
        y, (hidden, cell) = self.first(x)
        z, last = self.second(y)
        return y, z, [hidden, cell], last


class Tied(nn.Module):
    """One weight under two names, a region without gradients, integers, options that are no tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(11, 4), nn.Linear(4, 11, bias=False)
        self.head.weight = self.embedding.weight
        self.register_buffer("scale", torch.arange(1.0, 5.0))

    def forward(self, tokens: Any, mask: Any = None, *, sharp: bool = False) -> Any:
        x = self.embedding(tokens) * self.scale
        with torch.no_grad():
            size = x.square().mean(-1, keepdim=True)
        if mask is not None:
            x = x.masked_fill(~mask[..., None], 0.0)
        x = x / (1 + size)
        return self.head(x * 3 if sharp else x).softmax(-1)


def _models() -> dict[str, Example]:
    torch.manual_seed(0)
    real, truth = torch.randn, torch.ones(2, 5, dtype=torch.bool).tril()
    image = {"x": ("batch", None, None, None)}
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), 2)
    tokens = torch.randint(0, 11, (2, 5))
    return {
        "perceptron": Example(Perceptron(), (real(3, 6),), dynamic={"x": ("batch", None)}, others=((real(1, 6),), {})),
        "images": Example(Images(), (real(2, 3, 16, 16),), dynamic=image, others=((real(1, 3, 16, 16),), {})),
        "upward": Example(Upward(), (real(2, 3, 8, 8),), dynamic=image, others=((real(3, 3, 8, 8),), {})),
        "recurrent": Example(
            Recurrent(), (real(2, 6, 4),), dynamic={"x": ("batch", None, None)}, others=((real(3, 6, 4),), {})
        ),
        "transformer": Example(
            encoder, (real(2, 5, 16),), dynamic={"src": ("batch", "time", None)}, others=((real(1, 7, 16),), {})
        ),
        "tied": Example(
            Tied(), (tokens,), {"mask": truth, "sharp": True},
            {"tokens": ("batch", "time"), "mask": ("batch", "time")},
            ((tokens[:1, :3],), {"mask": truth[:1, :3], "sharp": True}),
        ),
    }  # fmt: skip


MODELS = _models()
