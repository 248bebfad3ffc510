"""The examples of the package `mup` under our plans: its rates, decays and factors, and its losses while training.

The numbers in `data/mup_examples.json` are those of `mup` 1.0.0; where it is installed, they are measured again.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from mup_examples import BASE, EXAMPLES, PATH, RATES, WIDTH, measured, numbered, trained
from torch import nn

import tensoria as tn
from tensoria.mup.plans import Plan

MEASURED = json.loads(PATH.read_text(encoding="utf-8"))
KNOWN: dict[str, Any] = {}
STEPS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


def made(name: str, width: int) -> nn.Module:
    """An example with an ordinary readout, as somebody has it who never heard of muP."""
    torch.manual_seed(0)
    return EXAMPLES[name].make(width, nn.Linear)


def planned(name: str, optimizer: str, table: str = "T8") -> Plan:
    if name not in KNOWN:
        widths = (BASE, 2 * BASE, 4 * BASE)
        KNOWN[name] = tn.limits.widened(lambda n: made(name, n), (EXAMPLES[name].x,), widths=widths)
    return tn.mup.plan(KNOWN[name], base=BASE, optimizer=optimizer, table=table)


@pytest.mark.parametrize("name", EXAMPLES)
def test_parameters_of_the_examples_are_rescaled_as_by_mup(name: str) -> None:
    model = numbered(made(name, WIDTH))
    before = {key: of.detach().clone() for key, of in model.named_parameters()}
    planned(name, "sgd").apply(model)
    for key, of in model.named_parameters():
        torch.testing.assert_close(of.detach(), before[key] * MEASURED[name]["rescaled"][key], rtol=1e-5, atol=0)


@pytest.mark.parametrize("optimizer", STEPS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_rates_and_decays_of_the_examples_are_those_of_mup(name: str, optimizer: str) -> None:
    plan = planned(name, optimizer)
    decay = 0.0 if optimizer == "adam" else 1.0  # mup gives Adam a decay that depends on the width
    groups = plan.param_groups(1.0, plan.apply(made(name, WIDTH)), weight_decay=decay)
    found = {key: [group["lr"], group["weight_decay"]] for group in groups for key in group["param_names"]}
    wanted = MEASURED[name]["groups"][optimizer]
    assert found == {key: [rate, of * decay] for key, (rate, of) in wanted.items()}


@pytest.mark.parametrize("optimizer", STEPS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_have_the_losses_that_they_have_with_mup(name: str, optimizer: str) -> None:
    plan = planned(name, optimizer)
    model = plan.apply(numbered(made(name, WIDTH)))
    groups = plan.param_groups(RATES[optimizer], model)
    losses = trained(EXAMPLES[name], model, STEPS[optimizer](groups))
    assert losses == pytest.approx(MEASURED[name]["losses"][optimizer], rel=2e-4)
    # Training that is not scaled has other losses, so that agreement means something.
    plain = numbered(made(name, WIDTH))
    others = trained(EXAMPLES[name], plain, STEPS[optimizer](plain.parameters(), lr=RATES[optimizer]))
    assert others[-1] != pytest.approx(MEASURED[name]["losses"][optimizer][-1], rel=0.01)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_recorded_numbers_are_those_of_the_package(name: str) -> None:
    pytest.importorskip("mup", reason="its numbers are recorded in tests/data/mup_examples.json")
    found = measured(EXAMPLES[name])
    assert found["groups"] == MEASURED[name]["groups"]
    assert found["rescaled"] == pytest.approx(MEASURED[name]["rescaled"], rel=1e-5)
    for optimizer, losses in found["losses"].items():
        assert losses == pytest.approx(MEASURED[name]["losses"][optimizer], rel=2e-4)
