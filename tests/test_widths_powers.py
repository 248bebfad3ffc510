"""The power of the width that every value has: what stays finite, what grows, what vanishes, and where it began."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import tensoria as tn
from tensoria.errors import LimitError
from tensoria.limits import Law, Parametrization, dichotomy, named, powers
from tensoria.limits import widened as read
from tensoria.limits.scaling import RULES
from tensoria.programs.operations import OPERATIONS

HALF = Fraction(1, 2)


class Mlp(nn.Module):
    """Two hidden layers and a readout, with deviations n^-b for each."""

    def __init__(self, n: int, b: tuple[float, float, float] = (0.0, 0.5, 0.5), phi: Any = torch.relu) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Linear(*s, bias=False) for s in ((4, n), (n, n), (n, 3)))
        for layer, power in zip((self.a, self.b, self.c), b, strict=True):
            nn.init.normal_(layer.weight, std=float(n) ** -power)
        self.phi = phi

    def forward(self, x: Any) -> Any:
        return self.c(self.phi(self.b(self.phi(self.a(x)))))


X = torch.ones(2, 4)


def widened(make: Any, args: Any = (), **options: Any) -> Any:
    """Two captures are enough here, for every size is proportional to the width."""
    return read(make, args, **{"widths": (64, 128), **options})


@pytest.mark.parametrize(
    ("b", "power"),
    [((0, 0.5, 0.5), 0), ((0, 0.5, 1), -HALF), ((0, 0, 0.5), HALF), ((0.5, 0.5, 0.5), -HALF), ((0, 0, 0), 1)],
)
def test_outputs_have_the_power_that_is_measured(b: Any, power: Fraction) -> None:
    """Of a homogeneous network the power is exact: it is the slope of what models of two widths give."""
    found = powers(widened(lambda n: Mlp(n, b), (X,)))
    assert found.outputs == (power,)
    sizes = []
    torch.manual_seed(0)
    for n in (64, 1024):
        with torch.no_grad():
            sizes.append(float(torch.stack([Mlp(n, b)(X).abs().mean() for _ in range(24)]).mean()))
    assert math.log(sizes[1] / sizes[0]) / math.log(16) == pytest.approx(float(power), abs=0.12)


def test_what_a_bounded_function_is_given_is_reported_with_the_line_where_it_began() -> None:
    found = powers(widened(lambda n: Mlp(n, (0, 0, 0.5), torch.tanh), (X,)))
    assert found.outputs == (0,)
    (finding,) = found.findings
    assert (finding.kind, finding.power, finding.what) == ("diverges", HALF, "the argument of tanh")
    assert finding.source.line > 0
    assert finding.source.file.endswith("test_widths_powers.py")
    assert "b.weight has normal, variance 1, and the sum gives n^1/2, at b" in finding.origin


@pytest.mark.parametrize(
    ("low", "high", "power", "reported"), [(-1, 1, 0, ["diverges"]), (0, 6, 0, ["diverges"]), (1, 2, 0, ["diverges"])]
)
def test_a_clipped_function_stays_finite_and_says_what_it_was_given(
    low: float, high: float, power: int, reported: list[str]
) -> None:
    found = powers(widened(lambda n: Mlp(n, (0, 0, 0.5), torch.nn.Hardtanh(low, high)), (X,)))
    assert found.outputs == (power,)
    assert [finding.kind for finding in found.findings] == reported
    assert found.findings[0].what == "the argument of hardtanh"


def test_initialisers_like_those_of_keras_let_the_first_layer_vanish() -> None:
    """Glorot's variance 2 / (fan-in + fan-out) is n^-1 for an input matrix."""

    def make(n: int) -> nn.Module:
        model = Mlp(n)
        for layer in (model.a, model.b, model.c):
            nn.init.xavier_uniform_(layer.weight)
        return model

    of = widened(make, (X,), widths=(64, 128, 256))
    assert of.law("a.weight").exponent == -1  # 2 / (4 + n)
    found = powers(of)
    assert found.outputs == (-HALF,)
    assert any("a.weight has uniform, variance 2 n^-1" in finding.origin for finding in found.findings)


def test_biases_that_vanish_are_reported() -> None:
    of = widened(lambda n: nn.Sequential(nn.Linear(4, n), nn.ReLU(), nn.Linear(n, n), nn.ReLU(), nn.Linear(n, 2)), (X,))
    found = powers(of)
    assert found.outputs == (0,)
    assert [finding.what for finding in found.findings] == ["2.bias, a bias", "4.bias, a bias"]


class Attention(nn.Module):
    """One head."""

    def __init__(self, n: int, scale: float) -> None:
        super().__init__()
        self.inp = nn.Linear(4, n)
        self.q, self.k = (nn.Linear(n, n, bias=False) for _ in range(2))
        self.scale = float(n) ** scale

    def forward(self, x: Any) -> Any:
        h = self.inp(x)
        return nn.functional.softmax(self.q(h) @ self.k(h).transpose(-1, -2) * self.scale, -1) @ h


@pytest.mark.parametrize(("scale", "kinds"), [(-1.0, []), (-0.5, ["diverges"])])
def test_a_sum_of_products_of_data_is_n_times_a_moment(scale: float, kinds: list[str]) -> None:
    found = powers(widened(lambda n: Attention(n, scale), (torch.ones(1, 3, 4),)))
    assert [finding.kind for finding in found.findings if finding.what == "the argument of softmax"] == kinds


def test_a_readout_that_its_data_depend_on_is_no_sum_of_independent_terms() -> None:
    class Tied(nn.Module):
        def __init__(self, n: int) -> None:
            super().__init__()
            self.table = nn.Embedding(5, n)

        def forward(self, t: Any) -> Any:
            return self.table(t) @ self.table.weight.T

    assert powers(widened(Tied, (torch.tensor([1]),))).outputs == (1,)


def test_a_matrix_and_its_transpose_keep_the_size() -> None:
    class Twice(nn.Module):
        def __init__(self, n: int) -> None:
            super().__init__()
            self.inp, self.w = nn.Linear(4, n, bias=False), nn.Parameter(torch.randn(n, n) / n**0.5)

        def forward(self, x: Any) -> Any:
            return torch.relu(self.inp(x) @ self.w) @ self.w.T

    assert powers(widened(Twice, (X,))).outputs == (0,)


def test_traced_programs_have_powers_too() -> None:
    N = tn.Space("N", "n", privileged=True)
    x, w = tn.tensor(np.ones(4), "^n", n=N), tn.tensor(np.ones((4, 4)), "^n _m", n=N, m=N)
    program = tn.trace(lambda x, w: tn.einsum("^n _m, ^m -> ^n", w, x), x, w)
    assert powers(widened(program, laws={"w": Law(1.0)})).outputs == (HALF,)
    with pytest.raises(LimitError, match="the law of w is not known"):
        widened(program).law("w")


def test_rules_are_for_operations_that_exist() -> None:
    # What is captured of models as they train has operations of its own.
    others = {"dropout", "random_normal", "random_uniform", "adaptive_max_pool", "stop_gradient", "take_at"}
    assert not RULES.keys() - OPERATIONS.keys() - others


def test_a_norm_over_the_width_grows_like_its_root() -> None:
    program = tn.trace(lambda x: x / tn.linalg.vector_norm(x), tn.asarray(np.ones(3)), dynamic={"x": ("n",)})
    assert powers(widened(program, widths=("n",))).outputs == (-HALF,)


def test_operations_without_a_rule_are_reported() -> None:
    program = tn.trace(lambda x: tn.linalg.inv(x), tn.asarray(np.eye(3)), dynamic={"x": ("n", "n")})
    (finding,) = powers(widened(program, widths=("n",))).findings
    assert finding.kind == "unsupported"
    assert str(finding).startswith("unsupported: linalg.inv, no rule for its power")


# -- the dynamical dichotomy ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("hidden", [1, 2, 4])
def test_named_parametrizations_are_what_they_are_known_for(optimizer: str, hidden: int) -> None:
    kinds = {name: dichotomy(named(name, hidden, optimizer)).kind for name in ("standard", "ntk", "mup")}
    assert kinds == {"standard": "unstable", "ntk": "kernel", "mup": "feature learning"}
    if hidden == 1:  # the mean field parametrization is muP of one hidden layer
        field, mup = named("mean field", 1, optimizer), named("mup", 1, optimizer)
        assert dichotomy(field).kind == "feature learning"
        assert field.canonical == mup.canonical


def test_the_standard_parametrization_with_a_small_rate_is_a_kernel() -> None:
    """TP IV, table 1: with the learning rate 1/n it is stable, and does not learn features."""
    a, b = (0, 0, 0), (0, "1/2", "1/2")
    small = dichotomy(Parametrization(a, b, (1, 1, 1)))  # type: ignore[arg-type]
    assert (small.kind, small.r) == ("kernel", HALF)
    large = dichotomy(Parametrization(a, b, ("1/2",) * 3))  # type: ignore[arg-type]
    assert large.kind == "unstable"
    assert large.r == 0  # min(1/2, 1/2) + 1/2 - 1 + min(1, 0)
    assert [str(of) for of in large.violated] == [
        "2 a_3 + c >= 1: violated (difference -1/2); the change of the output by the readout's own updates: "
        "diverges like n^1/2",
        "a_3 + b_3 + r >= 1: violated (difference -1/2); the change of the output by all other updates: diverges like "
        "n^1/2",
    ]  # fmt: skip
    smaller = dichotomy(Parametrization(a, b, (2, 2, 2)))  # type: ignore[arg-type]
    assert smaller.kind == "trivial"


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("name", ["standard", "ntk", "mup"])
def test_symmetries_change_nothing(name: str, optimizer: str) -> None:
    before = dichotomy(named(name, 3, optimizer))
    for shift in ((1, 1, 1, 1), ("1/2", 0, "-1/3", 2)):
        after = dichotomy(named(name, 3, optimizer).shifted(shift))
        assert (after.kind, after.r) == (before.kind, before.r)
        assert after.symmetry_class == before.symmetry_class


def test_unfaithful_parametrizations_are_told() -> None:
    p = named("mup", 2, "adam")
    found = dichotomy(Parametrization(p.a, p.b, p.c, (0, 0, 0)))  # type: ignore[arg-type]
    assert found.kind == "unfaithful"
    assert "faithful: d_1 = a_1 + a_3 + b_3: violated" in str(found)


def test_the_tables_of_mup_are_its_parametrization() -> None:
    """Multiplier, deviation, rate and gradient of each table are one symmetry class, for SGD and for Adam."""
    for optimizer in ("sgd", "adam"):
        wanted = named("mup", 2, optimizer).canonical
        for table in ("T3", "T8", "T9"):
            rows = [tn.mup.row(role, table) for role in ("input", "hidden", "output")]
            # The loss's gradient has order 1, and d undoes the gradient's power.
            found = Parametrization(
                tuple(-of.multiplier for of in rows), tuple(-of.variance / 2 for of in rows),
                tuple(-of.rate(optimizer) for of in rows),
                None if optimizer == "sgd" else tuple(-of.gradient for of in rows),
            )  # fmt: skip
            assert dichotomy(found).kind == "feature learning"
            assert dichotomy(found).symmetry_class == (
                wanted if optimizer == "adam" else dichotomy(named("mup", 2)).symmetry_class
            )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Parametrization((0, 0), (0,), (0, 0)), "one exponent for each layer, .* a has 2, b has 1"),
        (lambda: Parametrization((0, "x"), (0, 0), (0, 0)), "are no exponents"),
        (lambda: named("mup", 0), "0 hidden layers"),
        (lambda: named("mean field", 2), "no parametrization 'mean field' of 2"),
        (lambda: named("mup", 2, "lion"), "no exponents for 'lion'"),
        (lambda: named("mup", 2).shifted([1]), "1 shifts for 3 layers"),
    ],
)
def test_bad_parametrizations_are_refused(make: Any, message: str) -> None:
    with pytest.raises(LimitError, match=message):
        make()
