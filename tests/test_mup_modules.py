"""muP beside modules that compute with several parameters at once, and what becomes of a model afterwards."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import tensoria as tn
from tensoria.mup.tables import row


class Packed(nn.Module):
    """Modules that compute with several parameters at once: recurrent ones, and attention with its weights in one."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.gru, self.lstm = nn.GRU(3, n, batch_first=True), nn.LSTM(n, n, batch_first=True, bidirectional=True)
        self.attention = nn.MultiheadAttention(2 * n, n // 8, batch_first=True)
        self.head = nn.Linear(2 * n, 2)

    def forward(self, x: Any) -> Any:
        h = self.lstm(self.gru(x)[0])[0]
        return self.head(h + self.attention(h, h, h, need_weights=False)[0])


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_modules_that_take_no_multipliers_train_the_same_function_in_every_table(optimizer: str) -> None:
    x = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    of = tn.limits.widened(Packed, (x.float(),), widths=(64, 128))
    results = []
    for table in ("T3", "T8", "T9"):
        plan = tn.mup.plan(of, base=64, optimizer=optimizer, table=table)
        assert plan.entries["gru.weight_ih_l0"].row == row("input", "T3")
        torch.manual_seed(0)
        model = plan.apply(Packed(128)).double()
        groups = plan.param_groups(0.02, eps=1e-30 if optimizer == "adam" else None)
        steps: Any = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[optimizer](groups)
        for _ in range(3):
            steps.zero_grad()
            model(x).square().mean().backward()
            steps.step()
        results.append(model(x).detach())
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=1e-4, atol=1e-7)
