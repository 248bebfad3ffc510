"""muP plans applied to PyTorch models: multipliers by use, groups of parameters, checkpoints, files."""

from __future__ import annotations

import copy
import io
import math
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from mup_models import TOKENS, Net, Transformer, groups, made
from torch import nn

import tensoria as tn
from tensoria.errors import FileError, LimitError, ShapeError
from tensoria.mup.plans import Plan
from tensoria.mup.tables import row


@pytest.fixture(scope="module")
def tied() -> Plan:
    return made("adamw", "T8", Transformer, (TOKENS,))


def state(model: nn.Module) -> dict[str, Any]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def same(a: nn.Module, b: nn.Module) -> bool:
    return torch.equal(a(TOKENS), b(TOKENS))


def test_at_the_base_width_nothing_changes(tied: Plan) -> None:
    model, twin = Transformer(64), Transformer(64)
    twin.load_state_dict(model.state_dict())
    assert same(tied.apply(model), twin)


def test_applying_twice_changes_nothing(tied: Plan) -> None:
    model = tied.apply(Transformer(128))
    before, output = state(model), model(TOKENS)
    tied.apply(model)
    made("adamw", "T8", Transformer, (TOKENS,)).apply(model)  # an equal plan
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(model(TOKENS), output)
    with pytest.raises(LimitError, match="follows another plan already"):
        made("adamw", "T9", Transformer, (TOKENS,)).apply(model)


def test_names_in_checkpoints_stay_and_a_checkpoint_says_which_plan_it_follows(tied: Plan) -> None:
    names = list(Transformer(128).state_dict())
    model = tied.apply(Transformer(128))
    assert list(model.state_dict()) == names
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    loaded = torch.load(file, weights_only=True)
    assert tn.mup.recorded(loaded) == tn.mup.recorded(model) == tied
    assert tn.mup.recorded(Transformer(64).state_dict()) is None
    other = tied.apply(Transformer(128))
    other.load_state_dict(loaded)
    assert same(other, model)
    # A plan that the checkpoint does not follow is noticed.
    wrong = made("adamw", "T9", Transformer, (TOKENS,)).apply(Transformer(128))
    with pytest.raises(RuntimeError, match="follows another muP plan"):
        wrong.load_state_dict(loaded)
    # Into a model as the checkpoint has it, only the multipliers come.
    bare = Transformer(128)
    bare.load_state_dict(loaded)
    assert not same(bare, model)
    assert same(tied.apply(bare, rescale=False), model)


def test_copies_pickles_and_compiled_models_follow_the_plan(tied: Plan) -> None:
    model = tied.apply(Transformer(128))
    assert same(copy.deepcopy(model), model)
    assert same(pickle.loads(pickle.dumps(model)), model)
    again = tied.apply(copy.deepcopy(model))
    assert same(again, model)
    compiled = torch.compile(model, backend="eager")
    torch.testing.assert_close(compiled(TOKENS), model(TOKENS))
    assert sorted(groups(tied, compiled)) == sorted(groups(tied, model))


class Wrapped(nn.Module):
    """A module of the user's own that is called `module`, whose name stays."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.module = nn.Linear(4, n)
        self.head = nn.Linear(n, 2)

    def forward(self, x: Any) -> Any:
        return self.head(torch.relu(self.module(x)))


def sharded(model: nn.Module) -> nn.Module:
    """A model in a wrapper like that of sharded training, and one of its layers as well."""

    class Sharded(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self._fsdp_wrapped_module = inner

        def forward(self, *args: Any) -> Any:
            return self._fsdp_wrapped_module(*args)

    Sharded.__module__ = "torch.distributed.fsdp.fully_sharded_data_parallel"
    inner: Any = model.get_submodule("module._orig_mod")
    inner.head = Sharded(inner.head)
    wrapped = Sharded(model)
    assert "_fsdp_wrapped_module.module._orig_mod.head._fsdp_wrapped_module.weight" in dict(wrapped.named_parameters())
    return wrapped


def test_wrappers_prefixes_are_removed_and_not_their_letters() -> None:
    """The package `mup` strips the characters of "module." from names: `module.mlp.weight` becomes `p.weight`."""
    plan = made("sgd", make=Wrapped, args=(torch.ones(1, 4),))
    assert "module.weight" in plan.entries
    model = Wrapped(128)
    head = model.head
    parallel = nn.DataParallel(torch.compile(model, backend="eager"))
    plan.apply(parallel)
    assert set(groups(plan, parallel)) == set(plan.entries)
    x = torch.randn(2, 128)
    torch.testing.assert_close(model.head(x), nn.functional.linear(x / 2, head.weight, head.bias))
    assert set(groups(plan, sharded(parallel))) == set(plan.entries)
    plan.apply(model)  # it is applied already
    torch.testing.assert_close(model.head(x), nn.functional.linear(x / 2, head.weight, head.bias))


class Bare(nn.Module):
    """A readout without a module of its own."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.inp = nn.Linear(4, n)
        self.own = nn.Parameter(torch.randn(3, n) / n**0.5)

    def forward(self, x: Any) -> Any:
        return nn.functional.linear(torch.relu(self.inp(x)), self.own)


@pytest.mark.parametrize("table", ["T8", "T9"])
def test_a_parameter_that_no_module_uses_alone_follows_an_equal_row_without_a_multiplier(table: str) -> None:
    entry = made("sgd", table, Bare, (torch.ones(1, 4),)).entries["own"]
    assert entry.role == "output"
    assert entry.multipliers == ()
    assert entry.row == row("output", "T3")


class TiedByHand(nn.Module):
    """A tied readout that is no module."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.table = nn.Embedding(11, n)
        self.mix = nn.Linear(n, n)

    def forward(self, t: Any) -> Any:
        return torch.relu(self.mix(self.table(t))) @ self.table.weight.T


def test_a_tied_use_that_no_module_makes_needs_a_hand() -> None:
    plan = made("sgd", make=TiedByHand, args=(TOKENS,))
    model = TiedByHand(128)
    before = state(model)
    with pytest.raises(LimitError, match=r"table.weight needs .* n\^-1, and no module .*test_mup_applied.py:\d+"):
        plan.apply(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    plan.apply(model, by_hand=["table.weight"])
    torch.testing.assert_close(model.mix.bias, before["mix.bias"] * math.sqrt(2))


def test_a_module_that_takes_no_multiplier_where_the_plan_s_model_had_one_is_refused(tied: Plan) -> None:
    class Own(nn.Module):
        """A readout with the names of a linear layer, of which nobody knows what it does."""

        def __init__(self, weight: Any) -> None:
            super().__init__()
            self.weight = weight

        def forward(self, x: Any) -> Any:
            return x @ self.weight.T

    model = Transformer(128)
    model.head = Own(model.table.weight)
    with pytest.raises(LimitError, match="head can not have the multipliers of weight: a Own is not known to be"):
        tied.apply(model)


def test_models_that_do_not_fit_are_refused_by_name(tied: Plan) -> None:
    wrong = Transformer(128)
    wrong.o = nn.Linear(128, 129)
    with pytest.raises(ShapeError, match=r"of o.(weight|bias) is 129"):
        tied.apply(wrong)
    with pytest.raises(LimitError, match=r"the model lacks the parameter k\.weight"):
        tied.apply(nn.Linear(3, 4))
    extra = Transformer(128)
    extra.more = nn.Linear(2, 2)
    with pytest.raises(LimitError, match=r"more\.bias is not in the plan"):
        tied.apply(extra)
    with pytest.raises(LimitError, match="not applied"):
        tied.param_groups(0.1, Transformer(128))


def test_adam_s_epsilon_scales_like_the_gradient(tied: Plan) -> None:
    found = groups(tied, tied.apply(Transformer(256)), eps=1e-8)
    assert found["q.weight"]["eps"] == pytest.approx(1e-8 / 4)
    third = made("adamw", "T3")
    outputs = groups(third, third.apply(Net(256)), eps=1e-8)
    assert (outputs["out.weight"]["eps"], outputs["out.bias"]["eps"]) == (1e-8, 1e-8)
    assert outputs["hid.weight"]["eps"] == pytest.approx(1e-8 / 4)


def test_muon_takes_hidden_matrices_and_the_rest_goes_to_adamw() -> None:
    plan = made("muon", "spectral")
    found = groups(plan, plan.apply(Net(256)), weight_decay=0.1)
    assert {name for name, group in found.items() if group["use_muon"]} == {
        "hid.weight", "up.weight", "down.weight", "conv.weight"
    }  # fmt: skip
    assert found["hid.weight"]["lr"] == 1.0
    assert found["out.weight"]["lr"] == 0.25
    assert all(group["lr"] * group["weight_decay"] == pytest.approx(0.1) for group in found.values())


# -- files ------------------------------------------------------------------------------------------------------------


def test_plans_are_saved_and_read_again(tied: Plan, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    tied.save(path)
    again = tn.mup.load(path)
    assert again == tied == pickle.loads(pickle.dumps(tied)) == copy.deepcopy(tied)
    assert str(again) == str(tied)
    model, twin = Transformer(128), Transformer(128)
    twin.load_state_dict(model.state_dict())
    assert same(again.apply(model), tied.apply(twin))
    assert [entry.name for entry in tmp_path.iterdir()] == ["plan.json"]
    with pytest.raises(FileError, match="can not be written"):
        tied.save(tmp_path / "missing" / "plan.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no JSON"), ("[]", "is no plan"), ("{}", "this is no plan"), ('{"version": 7}', "version 7"),
        ('{"version": 1, "table": "T8", "optimizer": "sgd", "base": 64, "unit": 1, "entries": [{}]}', "no plan"),
    ],
)  # fmt: skip
def test_what_is_no_plan_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises((LimitError, FileError), match=message):
        tn.mup.load(path)
    with pytest.raises(FileError, match="can not be read"):
        tn.mup.load(tmp_path / "missing.json")
