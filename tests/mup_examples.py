"""The examples of the package `mup` (MLP, Transformer, ResNet), and what the package does to them.

`python tests/mup_examples.py` writes `data/mup_examples.json` again, if `mup` 1.0.0 is installed. The models are of
https://github.com/microsoft/mup/tree/main/examples (MIT License, commit 1981497), small, and with the attention
written for a PyTorch of today. What a model is drawn with is overwritten by numbers that do not hang on a generator.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

__all__ = ["BASE", "EXAMPLES", "PATH", "RATES", "WIDTH", "Example", "numbered", "trained"]

PATH = Path(__file__).parent / "data" / "mup_examples.json"
BASE, WIDTH = 16, 64
RATES: Mapping[str, float] = {"sgd": 0.05, "adam": 0.01, "adamw": 0.01}
Readout = Callable[..., nn.Module]


class Mlp(nn.Module):
    """examples/MLP/main.py: no biases, an input multiplier, a readout that begins at zero."""

    def __init__(self, width: int, readout: Readout, input_mult: float = 0.125) -> None:
        super().__init__()
        self.input_mult = input_mult
        self.fc_1, self.fc_2 = nn.Linear(48, width, bias=False), nn.Linear(width, width, bias=False)
        self.fc_3 = readout(width, 10, bias=False)
        nn.init.kaiming_normal_(self.fc_1.weight, a=1, mode="fan_in")
        self.fc_1.weight.data /= self.input_mult**0.5
        nn.init.kaiming_normal_(self.fc_2.weight, a=1, mode="fan_in")
        nn.init.zeros_(self.fc_3.weight)

    def forward(self, x: Any) -> Any:
        out = torch.tanh(self.fc_1(x) * self.input_mult**0.5)
        return self.fc_3(torch.tanh(self.fc_2(out)))


class Attention(nn.Module):
    """examples/Transformer/model.py: scores divided by the width of a head, a learned key and value."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        self.bias_k, self.bias_v = (nn.Parameter(torch.zeros(1, 1, width)) for _ in range(2))
        for weight in (self.in_proj_weight, self.out_proj.weight):
            nn.init.normal_(weight, std=width**-0.5)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: Any, mask: Any) -> Any:
        length, batch, width = x.shape
        q, k, v = functional.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)
        k, v = (torch.cat([y, b.expand(1, batch, width)]) for y, b in ((k, self.bias_k), (v, self.bias_v)))
        q, k, v = (y.reshape(-1, batch * self.heads, width // self.heads).transpose(0, 1) for y in (q, k, v))
        scores = q * float(width // self.heads) ** -1 @ k.transpose(1, 2)
        y = torch.softmax(scores + functional.pad(mask, (0, 1)), -1) @ v
        return self.out_proj(y.transpose(0, 1).reshape(length, batch, width))


class Block(nn.Module):
    """A layer of the example's encoder, normalised after each sum."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.self_attn = Attention(width, heads)
        self.linear1, self.linear2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        for layer in (self.linear1, self.linear2):
            nn.init.normal_(layer.weight, std=width**-0.5)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Any, mask: Any) -> Any:
        x = self.norm1(x + self.self_attn(x, mask))
        return self.norm2(x + self.linear2(torch.relu(self.linear1(x))))


class Transformer(nn.Module):
    """examples/Transformer/model.py, with learned positions instead of sines, whose entries are no law."""

    def __init__(self, width: int, readout: Readout) -> None:
        super().__init__()
        self.encoder = nn.Embedding(23, width)
        self.position = nn.Parameter(torch.zeros(6, 1, width))
        self.layers = nn.ModuleList(Block(width, 2, width) for _ in range(2))
        self.decoder = readout(width, 23)

    def forward(self, tokens: Any) -> Any:
        mask = torch.full((6, 6), -torch.inf).triu(1)
        x = self.encoder(tokens) + self.position
        for layer in self.layers:
            x = layer(x, mask)
        return functional.log_softmax(self.decoder(x), -1)


class Basic(nn.Module):
    """A block of the example's ResNet."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after)
        self.conv2, self.bn2 = nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after)
        self.shortcut = nn.Sequential()
        if stride != 1 or before != after:
            self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
        for layer in (self.conv1, self.conv2, *self.shortcut[:1]):
            nn.init.kaiming_normal_(layer.weight, a=1)

    def forward(self, x: Any) -> Any:
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet(nn.Module):
    """examples/ResNet/resnet.py, with two stages."""

    def __init__(self, width: int, readout: Readout) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.layer1, self.layer2 = Basic(width, width, 1), Basic(width, 2 * width, 2)
        self.linear = readout(2 * width, 10)

    def forward(self, x: Any) -> Any:
        x = self.layer2(self.layer1(torch.relu(self.bn1(self.conv1(x)))))
        return self.linear(functional.avg_pool2d(x, 4).flatten(1))


@dataclass(frozen=True)
class Example:
    """A model of the package, and what it is trained on.

    Attributes:
        make: the model of a width, with a class for its readout.
        x, y: a batch, and its labels.
    """

    make: Callable[[int, Readout], nn.Module]
    x: Any
    y: Any

    def loss(self, output: Any) -> Any:
        """Cross entropy."""
        return functional.cross_entropy(output.flatten(0, -2), self.y.flatten())


def _waves(*shape: int) -> Any:
    count = int(torch.Size(shape).numel())
    return torch.sin(1.7 * torch.arange(count, dtype=torch.float64) ** 1.3).reshape(shape).float()


TOKENS = torch.arange(12).reshape(6, 2)
EXAMPLES: Mapping[str, Example] = {
    "mlp": Example(Mlp, _waves(8, 48), torch.arange(8) % 10),
    "transformer": Example(Transformer, TOKENS * 7 % 23, TOKENS * 5 % 23),
    "resnet": Example(ResNet, _waves(4, 3, 8, 8), torch.arange(4)),
}


def numbered(model: nn.Module) -> nn.Module:
    """A model with numbers of our own where it was drawn: waves of the size that its fan-in asks for."""
    for position, parameter in enumerate(model.parameters()):
        of = parameter.detach()
        if float(of.std(correction=0)):
            wave = torch.sin(0.9 * position + 2.1 * torch.arange(of.numel(), dtype=torch.float64) ** 1.2)
            size = of[0].numel() ** -0.5 if of.ndim > 1 else 0.1
            parameter.data = (wave * 2**0.5 * size).reshape(of.shape).float()
    return model


def trained(example: Example, model: nn.Module, optimizer: Any, steps: int = 5) -> list[float]:
    """The loss before each step, and after the last one."""
    losses = []
    for _ in range(steps + 1):
        loss = example.loss(model(example.x))
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses


def measured(example: Example) -> dict[str, Any]:
    """What `mup` does to an example: rates and decays, the factors by which it rescales, and the losses of training."""
    import mup

    def make(width: int) -> nn.Module:
        torch.manual_seed(width)
        return example.make(width, mup.MuReadout)

    def based(model: nn.Module) -> nn.Module:
        return mup.set_base_shapes(model, make(BASE), delta=make(2 * BASE))

    before = numbered(make(WIDTH))
    first = {name: of.detach().clone() for name, of in before.named_parameters()}
    model = based(before)
    found: dict[str, Any] = {
        "rescaled": {
            name: float((of.detach().norm() / first[name].norm()).nan_to_num(1.0))
            for name, of in model.named_parameters()
        },
        "groups": {},
        "losses": {},
    }
    for name, kind in (("sgd", mup.MuSGD), ("adam", mup.MuAdam), ("adamw", mup.MuAdamW)):
        groups = kind(model.parameters(), lr=1.0, weight_decay=1.0).param_groups
        of = {id(p): [group["lr"], group["weight_decay"]] for group in groups for p in group["params"]}
        found["groups"][name] = {key: of[id(p)] for key, p in model.named_parameters()}
        again = based(numbered(make(WIDTH)))
        found["losses"][name] = trained(example, again, kind(again.parameters(), lr=RATES[name], weight_decay=0.0))
    return found


if __name__ == "__main__":
    record = {name: measured(of) for name, of in EXAMPLES.items()}
    PATH.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
