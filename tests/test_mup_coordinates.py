"""The coordinate check: the standard parametrization fails it as theory says, and muP passes it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import tensoria as tn
from tensoria.errors import LimitError
from tensoria.mup.coordinates import CoordinateCheck

REFERENCE = json.loads((Path(__file__).parent / "data" / "tensor_programs.json").read_text(encoding="utf-8"))["mup"][
    "coord_check_slopes"
]["theory"]


class Mlp(nn.Module):
    """The network of the reference file: three layers, tanh, without biases."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.h1, self.h2, self.f = (nn.Linear(*s, bias=False) for s in ((16, n), (n, n), (n, 1)))
        for layer in (self.h1, self.h2, self.f):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)

    def forward(self, x: Any) -> Any:
        return self.f(torch.tanh(self.h2(torch.tanh(self.h1(x)))))


RANDOM = torch.Generator().manual_seed(0)
X, Y = torch.randn(8, 16, generator=RANDOM), torch.randn(8, 1, generator=RANDOM)
RATES = {"sgd": 0.1, "adam": 0.01, "muon": 0.01}


@pytest.fixture(scope="module")
def captured() -> Any:
    return tn.limits.widened(Mlp, (X,))


def checked(optimizer: str, plan: Any = None, **options: Any) -> CoordinateCheck:
    given = {"widths": (128, 256, 512, 1024), "seeds": 3, "steps": 1, "lr": RATES[optimizer], "target": Y, **options}
    return tn.mup.coord_check(Mlp, (X,), optimizer=optimizer, plan=plan, **given)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_standard_parametrization_fails_with_the_powers_of_theory(optimizer: str) -> None:
    check = checked(optimizer)
    theory = REFERENCE[f"SP_{optimizer}"]
    assert not check.passed
    assert check.slopes["h1"][1] == pytest.approx(theory["dh1"], abs=0.15)
    # tanh saturates, so the change of h2 grows less
    assert theory["dh2"] - 0.25 <= check.slopes["h2"][1] <= theory["dh2"] + 0.1
    assert check.slopes["f"][1] > 0.7
    assert abs(check.slopes["f"][0]) < 0.15
    assert "the change of h2 after 1 steps grows as n^" in str(check)


@pytest.mark.parametrize(("optimizer", "table"), [("sgd", "T8"), ("sgd", "T9"), ("adam", "T3"), ("adam", "T8")])
def test_mup_passes(captured: Any, optimizer: str, table: str) -> None:
    plan = tn.mup.plan(captured, base=128, optimizer=optimizer, table=table)
    check = checked(optimizer, plan)
    theory = REFERENCE["muP"]
    assert check.passed, str(check)
    for name in ("h1", "h2", "f"):
        assert check.slopes[name][1] == pytest.approx(theory[f"d{name}"], abs=0.15)
    assert check.slopes["f"][0] == pytest.approx(theory["f_t0"], abs=0.15)


def test_orthogonal_steps_pass_with_the_spectral_table(captured: Any) -> None:
    plan = tn.mup.plan(captured, base=128, optimizer="muon", table="spectral")
    assert checked("muon", plan, widths=(128, 256, 512), seeds=2).passed


def test_the_verdict_is_drawn_and_printed(captured: Any, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plan = tn.mup.plan(captured, base=32, optimizer="sgd")
    check = checked("sgd", plan, widths=(32, 64), seeds=1, steps=2)
    check.plot(tmp_path / "check.png")
    assert (tmp_path / "check.png").read_bytes().startswith(b"\x89PNG")
    lines = str(check).splitlines()
    assert lines[1].split() == ["module", "t=0", "t=1", "t=2"]
    assert [line.split()[0] for line in lines[2:5]] == ["h1", "h2", "f"]


def test_what_diverges_or_stands_still_has_no_power() -> None:
    sizes = {"a": [(1.0, 1.0), (math.nan, 1.0)], "b": [(1.0, 1.0), (0.0, 0.0)]}
    check = CoordinateCheck("t", (64, 128), sizes, 0.2)
    assert check.failures == ("a is not finite after 1 steps",)
    assert math.isnan(check.slopes["b"][1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": (64,)}, "1 widths"), ({"target": None}, "it needs a target or a loss"),
        ({"optimizer": "lion"}, "no optimiser 'lion'"), ({"optimizer": "sgd", "planned": "adam"}, "one for adam, not"),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(captured: Any, options: dict[str, Any], message: str) -> None:
    planned = options.pop("planned", None)
    plan = tn.mup.plan(captured, optimizer=planned) if planned else None
    given = {"widths": (8, 16), "target": Y, "seeds": 1, **options}
    with pytest.raises(LimitError, match=message):
        tn.mup.coord_check(Mlp, (X,), plan=plan, **given)
