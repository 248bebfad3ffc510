"""Models for the tests of muP plans, and plans of models that are captured once."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import torch
from torch import nn

import tensoria as tn
from tensoria.mup.plans import Plan


class Net(nn.Module):
    """The model of the reference file's `mup` entries; its convolution sees an image without space."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.emb = nn.Embedding(10, n)
        self.inp = nn.Linear(8, n)
        self.hid = nn.Linear(n, n)
        self.up = nn.Linear(n, 2 * n)
        self.down = nn.Linear(2 * n, n)
        self.ln = nn.LayerNorm(n)
        self.conv = nn.Conv2d(n, n, 3, padding=1)
        self.out = nn.Linear(n, 3)

    def forward(self, t: Any, x: Any) -> Any:
        h = torch.relu(self.hid(self.emb(t) + self.inp(x)))
        h = self.ln(h + self.down(torch.relu(self.up(h))))
        return self.out(self.conv(h[:, :, None, None].expand(-1, -1, 3, 3)).mean((2, 3)))


class Transformer(nn.Module):
    """Tied embeddings, learned positions, attention with a scale that is given."""

    def __init__(self, n: int, power: float = -1.0) -> None:
        super().__init__()
        self.table = nn.Embedding(11, n)
        self.place = nn.Parameter(torch.zeros(5, n))
        self.q, self.k, self.v = (nn.Linear(n, n, bias=False) for _ in range(3))
        self.o = nn.Linear(n, n)
        self.norm = nn.LayerNorm(n)
        self.head = nn.Linear(n, 11, bias=False)
        self.head.weight = self.table.weight
        self.scale = (n // 4) ** power

    def forward(self, t: Any) -> Any:
        x = self.table(t) + self.place
        q, k, v = (f(x).unflatten(-1, (4, -1)).transpose(1, 2) for f in (self.q, self.k, self.v))
        y = nn.functional.scaled_dot_product_attention(q, k, v, scale=self.scale).transpose(1, 2).flatten(2)
        return self.head(self.norm(x + self.o(y)))


class Recurrent(nn.Module):
    """A GRU, a depthwise and a strided transposed convolution."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.gru = nn.GRU(3, n, batch_first=True)
        self.depthwise = nn.Conv1d(n, n, 3, groups=n, padding=1)
        self.grouped = nn.Conv1d(n, 2 * n, 1, groups=2)
        self.turned = nn.ConvTranspose1d(2 * n, 1, 2, stride=2)

    def forward(self, x: Any) -> Any:
        h = self.gru(x)[0].transpose(1, 2)
        return self.turned(self.grouped(self.depthwise(h)))


ARGS = torch.tensor([1, 2]), torch.ones(2, 8)
TOKENS = torch.tensor([[1, 2, 3, 4, 5]])

ONE, HALF = Fraction(1), Fraction(1, 2)

KNOWN: dict[Any, Any] = {}


def made(optimizer: str, table: str = "T8", make: Any = Net, args: Any = ARGS, **options: Any) -> Plan:
    """A plan; a model is captured once."""
    if options:
        return tn.mup.plan(make, args, base=64, optimizer=optimizer, table=table, **options)
    if make not in KNOWN:
        KNOWN[make] = tn.limits.widened(make, args, widths=(64, 128))
    return tn.mup.plan(KNOWN[make], base=64, optimizer=optimizer, table=table)


def groups(plan: Plan, model: nn.Module, **options: Any) -> dict[str, Any]:
    """The group of each parameter."""
    return {name: group for group in plan.param_groups(1.0, model, **options) for name in group["param_names"]}
