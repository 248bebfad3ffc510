"""muP plans of PyTorch models: roles from use, the numbers of the package `mup`, multipliers by use, checkpoints."""

from __future__ import annotations

import copy
import io
import json
import math
import pickle
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import tensoria as tn
from tensoria.errors import FileError, LimitError, ShapeError
from tensoria.limits.laws import Law
from tensoria.mup.plans import Plan
from tensoria.mup.tables import OPTIMISERS, ROLES, TABLES, row

REFERENCE = json.loads((Path(__file__).parent / "data" / "tensor_programs.json").read_text(encoding="utf-8"))["mup"]


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


ARGS = torch.tensor([1, 2]), torch.ones(2, 8)

ONE, HALF = Fraction(1), Fraction(1, 2)

KNOWN: dict[Any, Any] = {}


def made(optimizer: str, table: str = "T8", make: Any = Net, args: Any = ARGS, **options: Any) -> Plan:
    """A plan; a model is captured once."""
    if options:
        return tn.mup.plan(make, args, base=64, optimizer=optimizer, table=table, **options)
    if make not in KNOWN:
        KNOWN[make] = tn.limits.widened(make, args, widths=(64, 128))
    return tn.mup.plan(KNOWN[make], base=64, optimizer=optimizer, table=table)


@pytest.fixture(scope="module")
def plans() -> dict[str, Plan]:
    return {optimizer: made(optimizer) for optimizer in ("sgd", "adam", "adamw")}


def groups(plan: Plan, model: nn.Module, **options: Any) -> dict[str, Any]:
    """The group of each parameter."""
    return {name: group for group in plan.param_groups(1.0, model, **options) for name in group["param_names"]}


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


# -- roles ------------------------------------------------------------------------------------------------------------


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


TOKENS = torch.tensor([[1, 2, 3, 4, 5]])


def test_tied_embeddings_are_divided_at_the_readout_only_and_not_rescaled() -> None:
    """The package `mup` multiplies tied embeddings by the root of the width (its issue 55)."""
    for table, embedding, readout in (("T8", 1, 4), ("T9", 0.5, 2), ("T3", 1, 4)):
        plan = made("adam", table, Transformer, (TOKENS,))
        assert plan.entries["table.weight"].role == "tied"
        assert plan.aliases == {"head.weight": "table.weight"}
        model = Transformer(256)
        before = model.table.weight.detach().clone()
        plan.apply(model)
        assert model.head.weight is model.table.weight
        scale = 0.5 if table == "T9" else 1.0
        torch.testing.assert_close(model.table.weight, before * scale)
        torch.testing.assert_close(model.table(TOKENS), nn.functional.embedding(TOKENS, before * scale) / embedding)
        x = torch.randn(2, 256)
        torch.testing.assert_close(model.head(x), nn.functional.linear(x, before * scale) / readout)
        assert groups(plan, model)["table.weight"]["lr"] == (0.5 if table == "T9" else 1.0)


def test_attention_is_checked_for_its_scale() -> None:
    assert made("adam", "T8", Transformer, (TOKENS,)).findings == ()
    root = made("adam", "T8", lambda n: Transformer(n, -0.5), (TOKENS,))
    (finding,) = root.findings
    assert "the scores of attention diverges as n^1/2" in finding
    assert "test_mup_plan.py:" in finding
    assert f"! {finding}" in str(root)


class Einsum(nn.Module):
    """Matrices stored in every order of axes, split heads, a bilinear form, a gate, parameters without a module."""

    def __init__(self, n: int) -> None:
        super().__init__()
        d = n // 4
        self.first = nn.Parameter(torch.randn(8, n))
        self.heads = nn.Parameter(torch.randn(n, 4, d) / n**0.5)
        self.back = nn.Parameter(torch.randn(4, d, n) / n**0.5)
        self.gate = nn.Parameter(torch.zeros(n))
        self.temperature = nn.Parameter(torch.ones(()))
        self.last = nn.Linear(n, 2)

    def forward(self, x: Any) -> Any:
        h = torch.tanh(x @ self.first)
        h = torch.einsum("bn,nhd->bhd", h, self.heads)
        h = torch.einsum("bhd,hdn->bn", torch.relu(h), self.back)
        return self.last(h * torch.sigmoid(self.gate) * self.temperature)


def test_roles_follow_from_use_and_not_from_the_order_of_axes() -> None:
    plan = made("adam", make=Einsum, args=(torch.ones(3, 8),))
    assert {name: of.role for name, of in plan.entries.items()} == {
        "first": "input", "heads": "hidden", "back": "hidden", "gate": "vector", "temperature": "scalar",
        "last.weight": "output", "last.bias": "scalar",
    }  # fmt: skip


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


def test_roles_of_recurrent_weights_and_of_convolutions() -> None:
    plan = made("adam", make=Recurrent, args=(torch.ones(1, 4, 3),))
    roles = {name: of.role for name, of in plan.entries.items()}
    assert roles["gru.weight_ih_l0"] == "input"
    assert roles["gru.weight_hh_l0"] == "hidden"
    assert roles["gru.bias_hh_l0"] == "vector"
    assert roles["depthwise.weight"] == "input"  # one component for each channel and tap, summed over taps
    assert roles["grouped.weight"] == "hidden"
    assert (roles["turned.weight"], roles["turned.bias"]) == ("output", "scalar")


class Own(nn.Module):
    """The parametrization of the neural tangent kernel, written into the model."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Parameter(torch.randn(*shape)) for shape in ((n, 8), (n, n), (n, 1)))
        self.n = n

    def forward(self, x: Any) -> Any:
        h = torch.relu(x @ self.a.T / 8**0.5)
        return torch.relu(h @ (self.b / self.n**0.5).T) @ self.c / self.n**0.5


@pytest.mark.parametrize("table", ["T3", "T8", "T9"])
def test_multipliers_of_the_model_s_own_code_stay_and_the_rest_follows(table: str) -> None:
    plan = made("adam", table, Own, (torch.ones(2, 8),))
    assert not plan.entries["b"].multipliers
    assert not plan.entries["c"].multipliers
    # b = n^-1/2 w: of a hidden matrix's variance 1/n nothing is left, and its rate n^-1 is n^-1/2
    assert (plan.entries["b"].row.variance, plan.entries["b"].row.adam) == (0, -HALF)
    assert (plan.entries["c"].row.variance, plan.entries["c"].row.adam) == (-ONE, -HALF)
    assert plan.findings == ()


class Cube(nn.Module):
    """A parameter that grows along three axes."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.inp = nn.Linear(2, n)
        self.form = nn.Parameter(torch.zeros(n, n, n))

    def forward(self, x: Any) -> Any:
        h = self.inp(x)
        return (self.form * h[0]).sum((0, 1))


class Products(nn.Module):
    """Two matrices that are multiplied with each other."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.a, self.b = (nn.Parameter(torch.randn(n, n)) for _ in range(2))

    def forward(self, x: Any) -> Any:
        return x @ (self.a @ self.b)[:2]


class Unknown(nn.Module):
    """A parameter whose law nobody has seen."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.own = nn.Parameter(torch.linspace(0, 1, 2 * n).reshape(n, 2))

    def forward(self, x: Any) -> Any:
        return x @ self.own.T


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Cube, r"form float32\[n, n, n\] grows along 3 axes"),
        (Products, r"it multiplies the parameters a and b over the width .*, at .*test_mup_plan.py:\d+"),
        (Unknown, r"the law of own is not known"),
        (lambda n: nn.Linear(2, n * n // 64), r"weight is not affine in the width"),
        (lambda n: nn.Linear(2, 3), None),
    ],
)
def test_models_without_roles_are_refused_by_name(make: Any, message: str | None) -> None:
    if message is None:
        plan = made("sgd", make=make, args=(torch.ones(2, 2),))
        with pytest.raises(LimitError, match="no parameter of the model grows"):
            plan.apply(make(64))
        return
    with pytest.raises(LimitError, match=message):
        made("sgd", make=make, args=(torch.ones(2, 2),), widths=(64, 128, 256))


def test_laws_can_be_given() -> None:
    plan = made("sgd", make=Unknown, args=(torch.ones(2, 2),), laws={"own": Law(1.0)}, widths=(64, 128))
    assert plan.entries["own"].drawn == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "lion"}, "no optimiser 'lion'.*\n.*sgd, adam, adamw, muon"),
        ({"table": "T4"}, "no table 'T4' of muP"),
        ({"base": 0}, "base=0 is no width"),
        ({"widths": (64,)}, "two or more sizes"),
    ],
)
def test_bad_arguments_are_named(options: dict[str, Any], message: str) -> None:
    given = {"base": 64, "optimizer": "sgd", "table": "T8", **options}
    with pytest.raises(LimitError, match=message):
        tn.mup.plan(Net, ARGS, **given)
    assert "lion" not in OPTIMISERS


# -- applying ---------------------------------------------------------------------------------------------------------


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
    with pytest.raises(LimitError, match=r"table.weight needs .* n\^-1, and no module .*test_mup_plan.py:\d+"):
        plan.apply(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    plan.apply(model, by_hand=["table.weight"])
    torch.testing.assert_close(model.mix.bias, before["mix.bias"] * math.sqrt(2))


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
