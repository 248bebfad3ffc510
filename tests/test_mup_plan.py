"""muP plans of PyTorch models: the numbers of the package `mup`, the tables of Tensor Programs V, base shapes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from mup_models import ARGS, HALF, ONE, Net, groups, made
from torch import nn

import tensoria as tn
from tensoria.errors import FileError, LimitError
from tensoria.mup.plans import Plan
from tensoria.mup.tables import ROLES, TABLES, row

REFERENCE = json.loads((Path(__file__).parent / "data" / "tensor_programs.json").read_text(encoding="utf-8"))["mup"]


@pytest.fixture(scope="module")
def plans() -> dict[str, Plan]:
    return {optimizer: made(optimizer) for optimizer in ("sgd", "adam", "adamw")}


# -- where `mup` is right, its numbers come out -----------------------------------------------------------------------


def test_widths_and_the_number_of_growing_axes_are_those_of_mup(plans: dict[str, Plan]) -> None:
    plan = plans["sgd"]
    assert {name: of.growing for name, of in plan.entries.items()} == REFERENCE["ninf"]
    model = plan.apply(Net(256))
    ratio = float(plan.ratio(plan.width_of(model)))
    assert {n: ratio if of.growing else 1 for n, of in plan.entries.items()} == REFERENCE["width_mult"]


@pytest.mark.parametrize(("optimizer", "entry"), [("sgd", "MuSGD"), ("adamw", "MuAdamW")])
def test_learning_rates_and_decays_are_those_of_mup(plans: dict[str, Plan], optimizer: str, entry: str) -> None:
    found = groups(plans[optimizer], plans[optimizer].apply(Net(256)), weight_decay=1.0)
    assert {name: [group["lr"], group["weight_decay"]] for name, group in found.items()} == REFERENCE[entry]


def test_adam_has_the_rates_of_mup_and_refuses_the_decay_that_it_can_not_have(plans: dict[str, Plan]) -> None:
    model = plans["adam"].apply(Net(256))
    found = groups(plans["adam"], model)
    assert {n: group["lr"] for n, group in found.items()} == {n: rate for n, (rate, _) in REFERENCE["MuAdam"].items()}
    with pytest.raises(LimitError, match="Adam's weight decay is added to the gradient"):
        plans["adam"].param_groups(1.0, model, weight_decay=0.1)


def test_parameters_are_rescaled_as_by_mup(plans: dict[str, Plan]) -> None:
    model = Net(256)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    plans["sgd"].apply(model)
    for name, value in model.named_parameters():
        wanted = REFERENCE["init_std_ratio_post_over_pre"][name]
        if wanted is None:  # mup says nothing of constants, which stay
            assert torch.equal(value, before[name])
        else:
            assert float(value.detach().std() / before[name].std()) == pytest.approx(wanted, rel=1e-5)


class Normal(Net):
    """Every parameter drawn with the deviation 1, as by `mup.init.normal_`."""

    def __init__(self, n: int) -> None:
        super().__init__(n)
        for parameter in self.parameters():
            nn.init.normal_(parameter)


def test_entries_that_are_drawn_alike_are_rescaled_to_the_deviations_of_mup() -> None:
    torch.manual_seed(0)
    plan = made("sgd", make=Normal)
    model = plan.apply(Normal(256))
    for name, value in model.named_parameters():
        wanted = REFERENCE["mup_init_normal_std1"][name]
        if value.numel() >= 256:  # the reference is a sample, of few entries for the others
            assert float(value.detach().std()) == pytest.approx(wanted, rel=0.15)
        assert plan.entries[name].drawn == (-HALF if plan.entries[name].role == "hidden" else 0)


def test_the_readout_s_input_is_divided_as_by_mup(plans: dict[str, Plan]) -> None:
    model = plans["sgd"].apply(Net(256))
    x = torch.randn(3, 256)
    wanted = nn.functional.linear(x / REFERENCE["readout_input_divisor"], model.out.weight, model.out.bias)
    torch.testing.assert_close(model.out(x), wanted)


# -- tables -----------------------------------------------------------------------------------------------------------

PUBLISHED = {
    # table, role: variance, multiplier, SGD, Adam, epsilon (as powers of n; fan-in and fan-out are n if they grow)
    ("T3", "input"): (0, 0, ONE, 0, -ONE),
    ("T3", "output"): (-2 * ONE, 0, -ONE, -ONE, 0),
    ("T3", "hidden"): (-ONE, 0, 0, -ONE, -ONE),
    ("T8", "input"): (0, 0, ONE, 0, -ONE),
    ("T8", "output"): (0, -ONE, ONE, 0, -ONE),
    ("T8", "hidden"): (-ONE, 0, 0, -ONE, -ONE),
    ("T9", "input"): (-ONE, HALF, 0, -HALF, -HALF),
    ("T9", "output"): (-ONE, -HALF, 0, -HALF, -HALF),
    ("T9", "hidden"): (-ONE, 0, 0, -ONE, -ONE),
}


@pytest.mark.parametrize(("table", "role"), PUBLISHED)
def test_tables_are_those_of_tensor_programs_v(table: str, role: str) -> None:
    of = row(role, table)
    assert (of.variance, of.multiplier, of.sgd, of.adam, of.gradient) == PUBLISHED[table, role]


def test_the_spectral_condition_leads_to_table_3_and_gives_orthogonal_steps() -> None:
    for role in ROLES:
        assert row(role, "spectral") == row(role, "T3")
    # sqrt(n_out / n_in) for matrices
    assert [row(role, "spectral").rate("muon") for role in ("input", "hidden", "output")] == [HALF, 0, -HALF]


@pytest.mark.parametrize("table", TABLES)
def test_tied_uses_agree_with_the_rows_of_both_roles(table: str) -> None:
    if table in ("T8", "T9"):  # the tables that allow it
        tied, embedding, output = (row(role, table) for role in ("tied", "input", "output"))
        assert (tied.variance, tied.sgd, tied.adam) == (embedding.variance, embedding.sgd, embedding.adam)
        assert (tied.variance, tied.sgd, tied.adam) == (output.variance, output.sgd, output.adam)
        assert (tied.multiplier, tied.readout) == (embedding.multiplier, output.multiplier)


def test_every_table_trains_the_same_function() -> None:
    """Tables differ by multipliers; with SGD and Adam (without its epsilon) training does not see them."""
    target = torch.randn(2, 3, generator=torch.Generator().manual_seed(1))
    for optimizer, make, lr in (("sgd", torch.optim.SGD, 0.05), ("adam", torch.optim.Adam, 0.01)):
        results = []
        for table in ("T3", "T8", "T9"):
            plan = made(optimizer, table)
            torch.manual_seed(0)
            model = plan.apply(Net(128)).double()
            steps: Any = make(plan.param_groups(lr, eps=1e-30 if optimizer == "adam" else None))
            for _ in range(4):
                steps.zero_grad()
                nn.functional.mse_loss(model(ARGS[0], ARGS[1].double()), target.double()).backward()
                steps.step()
            results.append(model(ARGS[0], ARGS[1].double()).detach())
        for other in results[1:]:
            torch.testing.assert_close(other, results[0], rtol=1e-4, atol=1e-6)


# -- base shapes -------------------------------------------------------------------------------------------------------

BASE_SHAPES = """\
emb.weight: [null, 32]
inp.weight:
- 32
- null
inp.bias: [32]
hid.weight:
- 32
- 32
hid.bias: [32]
up.weight: [64, 32]
up.bias: [64]
down.weight: [32, 64]
down.bias: [32]
ln.weight: [32]
ln.bias: [32]
conv.weight: [32, 32, null, null]
conv.bias: [32]
out.weight: [null, 32]
out.bias: [null]
"""


def test_base_shapes_of_mup_give_the_base_width(plans: dict[str, Plan], tmp_path: Path) -> None:
    path = tmp_path / "base.bsh"
    path.write_text(BASE_SHAPES, encoding="utf-8")
    shapes = tn.mup.read_base_shapes(path)
    assert shapes["conv.weight"] == (32, 32, None, None)
    plan = tn.mup.base_of(plans["sgd"], shapes)
    assert plan.base == 32
    assert groups(plan, plan.apply(Net(256)))["out.weight"]["lr"] == 8.0
    parallel = {f"module.{name}": sizes for name, sizes in shapes.items()}
    assert tn.mup.base_of(plans["sgd"], parallel).base == 32


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("hid.weight:\n- 32", "hid.weight:\n- 33"), "fit no width: 32, 33"),
        (("inp.bias: [32]", "inp.bias: [null]"), "axis 0 of inp.bias grows here and not in the base shapes"),
        (("inp.bias: [32]\n", ""), "the parameter inp.bias is not in the base shapes"),
        (("out.bias: [null]", "out.bias: [null, 3]"), "out.bias has 1 axes, and 2"),
        (("out.bias: [null]", "out bias"), "line 19, is no base shape"),
        (("out.bias: [null]", "out.bias: [x]"), "is no base shape"),
    ],
)
def test_base_shapes_that_do_not_fit_are_refused(
    plans: dict[str, Plan], tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    path = tmp_path / "base.bsh"
    path.write_text(BASE_SHAPES.replace(*change), encoding="utf-8")
    with pytest.raises((LimitError, FileError), match=message):
        tn.mup.base_of(plans["sgd"], tn.mup.read_base_shapes(path))


def test_a_printed_plan_has_every_parameter_and_its_powers(plans: dict[str, Plan]) -> None:
    text = str(plans["adamw"])
    assert text.startswith("muP, table T8, adamw, base width 64")
    (line,) = (line for line in text.splitlines() if line.startswith("out.weight"))
    assert line.split()[:4] == ["out.weight", "(3,", "n)", "output"]
    assert line.split()[-5:] == ["1/2", "-1", "0", "0", "-1"]
    assert "limits by universality (not normal): inp.weight" in text
