"""Roles of the parameters of PyTorch models under muP: from use, not from names or the order of axes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mup_models import ARGS, HALF, ONE, TOKENS, Net, Recurrent, Transformer, groups, made
from torch import nn

import tensoria as tn
from tensoria.errors import LimitError
from tensoria.limits.laws import Law
from tensoria.mup.tables import OPTIMISERS


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
    assert "mup_models.py:" in finding
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
        (Products, r"it multiplies the parameters a and b over the width .*, at .*test_mup_roles.py:\d+"),
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
