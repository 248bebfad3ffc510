"""A model of any width: what captures at several widths have in common, and how its parameters are drawn."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import tensoria as tn
from tensoria.errors import LimitError, PortingError
from tensoria.limits.laws import Drawn, Law, law_of, power_law
from tensoria.limits.widths import Widened, widened


class Tied(nn.Module):
    """Sizes n, n + 3 and 7; numbers n^(1/2) and n; a shared table, a parameter of its own, a buffer."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.table = nn.Embedding(7, n, padding_idx=0)
        self.own = nn.Parameter(torch.randn(n, 8) / math.sqrt(8))
        self.hidden = nn.Linear(n + 3, n)
        self.readout = nn.Linear(n, 7, bias=False)
        self.readout.weight = self.table.weight
        self.gain = nn.Parameter(torch.ones(n) * 0.5)
        self.register_buffer("shift", torch.full((n,), 2.0))
        self.n = n

    def forward(self, t: Any, x: Any) -> Any:
        z = self.table(t) + x @ self.own.T / self.n**0.5 + self.shift
        z = self.gain * torch.tanh(self.hidden(torch.cat([z, x[:, :3]], 1)))
        return self.readout(z) / self.n


ARGS = torch.tensor([1, 2]), torch.ones(2, 8)


@pytest.fixture(scope="module")
def tied() -> Widened:
    return widened(Tied, ARGS)


def test_sizes_are_affine_and_numbers_are_powers_of_the_width(tied: Widened) -> None:
    n = tn.dim("n")
    assert tied.parameters["hidden.weight"].type.shape == (n, n + 3)
    assert tied.parameters["table.weight"].type.shape == (7, n)
    assert sorted(tied.scalars.values()) == [(1.0, Fraction(1, 2)), (1.0, Fraction(1))]
    assert tied.aliases == {"readout.weight": "table.weight"}
    assert tied.unit == 1
    assert tied.captured == (64, 128, 256)


def test_laws_are_those_of_the_initialisers_that_ran(tied: Widened) -> None:
    third = Fraction(-1)
    assert tied.law("own") == Law(0.125)
    assert tied.law("table.weight") == Law(1.0)  # the row of the padding does not count
    assert tied.law("gain") == Law(0.0, mean=0.5)
    assert tied.law("shift") == Law(0.0, mean=2.0)
    weight = tied.law("hidden.weight")  # uniform up to 1 / sqrt(n + 3): the leading power counts
    assert (weight.exponent, weight.distribution, weight.universal) == (third, "uniform", True)
    assert weight.variance == pytest.approx(1 / 3)


def test_at_a_width_the_program_is_the_model_of_that_width(tied: Widened) -> None:
    model = Tied(24)
    arrays = {name: value.detach().numpy() for name, value in model.named_parameters()}
    program = tied.at(24, parameters=arrays)
    np.testing.assert_allclose(program.run(*ARGS).components, model(*ARGS).detach().numpy(), rtol=1e-5, atol=1e-6)


def test_parameters_that_are_drawn_have_their_law(tied: Widened) -> None:
    drawn = tied.at(500, seed=3)
    weight = drawn.arrays[drawn.parameters["hidden.weight"]]
    assert weight.shape == (500, 503)
    assert weight.var() == pytest.approx(1 / 1500, rel=0.02)
    assert (drawn.arrays[drawn.parameters["gain"]] == 0.5).all()


def test_the_unit_is_the_smallest_part_of_the_width() -> None:
    found = widened(
        lambda n: nn.MultiheadAttention(n, 4, batch_first=True).eval(), lambda n: (torch.ones(1, 5, n),) * 3,
        widths=(32, 64),
    )  # fmt: skip
    n = tn.dim("n")
    assert found.unit == 4
    assert found.captured == (8, 16)
    assert found.parameters["in_proj_weight"].type.shape == (12 * n, 4 * n)
    assert (1.0, Fraction(-1, 2)) in found.scalars.values()


class Initialised(nn.Module):
    """Initialised by hand, in the ways that people do it."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.cut = nn.Linear(n, n, bias=False)
        nn.init.trunc_normal_(self.cut.weight, std=0.5, a=-1.0, b=1.0)
        self.fans = nn.Linear(n, n, bias=False)
        nn.init.xavier_normal_(self.fans.weight)
        self.data = nn.Linear(n, n)
        self.data.weight.data.normal_(0.0, n**-0.5)
        self.data.bias.data.zero_()
        self.turned = nn.Linear(n, n, bias=False)
        nn.init.orthogonal_(self.turned.weight)
        self.joined = nn.Parameter(torch.cat([torch.randn(n) * 2, torch.randn(n) * 2]).chunk(2)[0].clone())

    def forward(self, x: Any) -> Any:
        return self.joined * self.turned(self.data(self.fans(self.cut(x))))


def test_laws_of_models_that_initialise_themselves() -> None:
    found = widened(Initialised, lambda n: (torch.ones(1, n),))
    assert found.law("fans.weight") == Law(1.0, Fraction(-1))
    assert found.law("data.weight") == Law(1.0, Fraction(-1))
    assert found.law("data.bias") == Law(0.0)
    assert found.law("joined") == Law(4.0)
    cut = found.law("cut.weight")  # a normal variable cut at two of its deviations
    assert cut.distribution == "truncated normal"
    assert cut.variance == pytest.approx(0.25 * 0.7737413, rel=1e-4)
    with pytest.raises(LimitError, match=r"turned\.weight is not known"):
        found.law("turned.weight")


def test_capturing_leaves_the_random_state_alone() -> None:
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    widened(nn_linear, (torch.ones(2, 3),), widths=(8, 16))
    assert torch.equal(torch.rand(3), wanted)


def test_a_caller_s_law_goes_before_the_initialiser_s() -> None:
    found = widened(nn_linear, (torch.ones(2, 3),), laws={"*": Law(2.0), "bias": Law(0.0)})
    assert (found.law("weight"), found.law("bias")) == (Law(2.0), Law(0.0))
    with pytest.raises(LimitError, match="laws= names 'wieght'; the parameters are weight, bias"):
        widened(nn_linear, (torch.ones(2, 3),), laws={"wieght": Law(2.0)})


def nn_linear(n: int) -> nn.Module:
    return nn.Linear(3, n)


def test_modules_that_exist_already_have_the_law_of_their_class() -> None:
    made = {n: nn.Linear(3, n) for n in (8, 16)}
    found = widened(made.__getitem__, (torch.ones(2, 3),), widths=(8, 16))
    assert found.law("weight") == Law(1 / 9, distribution="uniform")


def test_programs_over_open_spaces_need_no_captures() -> None:
    N = tn.Space("N", "n")
    x = tn.tensor(np.ones((2, 4)), "b ^n", n=N)
    w = tn.tensor(np.ones((4, 4)), "^n _m", n=N, m=N)
    program = tn.trace(lambda x, w: tn.einsum("b ^m, ^n _m -> b ^n", x, w), x, w)
    found = widened(program, laws={"w": Law(1.0, Fraction(-1))})
    assert found.widths == ("n",)
    assert list(found.parameters) == ["w"]
    assert found.width_axes(found.parameters["w"]) == (0, 1)


class Constants(nn.Module):
    """Arrays that its code makes: ones and a ramp, as long as the width."""

    def __init__(self, n: int, ramp: bool) -> None:
        super().__init__()
        self.inner, self.ramp = nn.Linear(3, n), ramp

    def forward(self, x: Any) -> Any:
        n = self.inner.out_features
        return self.inner(x) + (torch.tensor([*range(n)]) if self.ramp else torch.tensor([2.0] * n))


def test_uniform_constants_that_grow_have_a_law_and_others_have_not() -> None:
    found = widened(lambda n: Constants(n, False), (torch.ones(2, 3),), widths=(8, 16))
    (name,) = (name for name, law in found.laws.items() if law == Law(0.0, mean=2.0))
    assert {**found.parameters, **found.growing}[name].type.shape == (tn.dim("n"),)
    model = Constants(5, False)
    program = found.at(5, parameters={name: value.detach().numpy() for name, value in model.named_parameters()})
    x = torch.ones(2, 3)
    np.testing.assert_allclose(program.run(x).components, model(x).detach().numpy(), rtol=1e-6)
    ramp = widened(lambda n: Constants(n, True), (torch.ones(2, 3),), widths=(8, 16))
    with pytest.raises(LimitError, match=r"it is a constant that is not uniform, at .*test_widths_unification.py:\d+"):
        ramp.at(5)


def test_functions_of_tensors_are_traced_at_each_width() -> None:
    def make(n: int) -> Any:
        return lambda x, w: tn.tanh(x @ w) / n

    found = widened(make, lambda n: (tn.ones((2, n)), tn.ones((n, 3))))
    assert found.program.inputs[1].type.shape == (tn.dim("n"), 3)
    assert list(found.scalars.values()) == [(1.0, Fraction(1))]


def deeper(n: int) -> nn.Module:
    return nn.Sequential(*(nn.Linear(4, 4) for _ in range(n // 64)))


class Other(nn.Module):
    """Does something else at a large width."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.inner = nn.Linear(4, n)

    def forward(self, x: Any) -> Any:
        h = self.inner(x)
        return torch.relu(h) if h.shape[1] < 100 else torch.tanh(h)


class Logarithm(nn.Module):
    """A number that is no power."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.inner = nn.Linear(4, n)

    def forward(self, x: Any) -> Any:
        h = self.inner(x)
        return h * math.log(h.shape[1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Other, r"different operations: relu at 64; tanh at 128; tanh at 256, at .*test_widths_unification.py:\d+"),
        (Logarithm, r"a number is no c n\^e: 4.15\d* at 64.*, at .*test_widths_unification.py:\d+"),
        (lambda n: nn.Linear(4, n * n // 64), "a size of weight is not affine in the width: 64 at 64, 256 at 128"),
        (deeper, "different parameters: "),
        (lambda n: "text", r"make_model\(64\) is a str"),
    ],
)
def test_what_differs_by_more_is_refused_with_its_line(make: Any, message: str) -> None:
    with pytest.raises(LimitError, match=message):
        widened(make, (torch.ones(2, 4),))


def test_two_widths_do_not_tell_a_line_from_a_parabola() -> None:
    with pytest.raises(LimitError, match="two widths do not tell"):
        widened(lambda n: nn.Linear(4, n * n), (torch.ones(2, 4),), widths=(4, 8))


@pytest.mark.parametrize("widths", [(64,), (64, 64), (128, 64), (0, 1), ("n",)])
def test_widths_are_increasing_sizes(widths: Any) -> None:
    with pytest.raises(LimitError, match="two or more sizes in increasing order"):
        widened(nn_linear, (torch.ones(2, 3),), widths=widths)


@pytest.mark.parametrize("model", [3, nn.Linear(3, 3)])
def test_a_model_instead_of_what_makes_it_has_one_width(model: Any) -> None:
    with pytest.raises(LimitError, match=r"has one width.*\n.*a function of the width"):
        widened(model, (torch.ones(2, 3),))


def test_powers_are_found_and_told_from_what_is_none() -> None:
    widths = (64, 128, 256)
    for e in (Fraction(-1), Fraction(-1, 2), Fraction(1, 4), Fraction(2)):
        assert power_law([3 * n ** float(e) for n in widths], widths) == (3.0, e)
    assert power_law([1.0, 2.0, 3.0], widths) is None
    assert power_law([0.0, 1.0, 2.0], widths) is None
    fans = [Drawn("uniform", 0.0, 2 / (n + 5)) for n in widths]
    assert law_of(fans, widths).exponent == -1
    with pytest.raises(LimitError, match="uniform with the mean 0 at the width 64, and constant"):
        law_of([fans[0], Drawn("constant", 1.0, 0.0), fans[2]], widths)


@pytest.mark.parametrize(("law", "variance"), [(Law(2.0, Fraction(-1)), 0.02), (Law(0.5, distribution="uniform"), 0.5),
                                               (Law(1.0, distribution="truncated normal", mean=3.0), 1.0)])
def test_samples_have_mean_and_variance(law: Law, variance: float) -> None:
    found = law.sample(100, (400, 400), np.random.default_rng(0))
    assert found.var() == pytest.approx(variance, rel=0.01)
    assert found.mean() == pytest.approx(law.mean, abs=0.01)


def test_laws_are_checked() -> None:
    for bad in ({"variance": -1.0}, {"variance": math.nan}, {"variance": 1.0, "distribution": "orthogonal"},
                {"variance": 1.0, "distribution": "constant"}):
        with pytest.raises(LimitError):
            Law(**bad)


class Heads(nn.Module):
    """PyTorch's attention, which merges examples and heads in one axis."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(n, n // 8, batch_first=True)

    def forward(self, x: Any) -> Any:
        return self.attention(x, x, x, need_weights=False)[0]


def test_sizes_are_affine_beside_open_sizes_of_data() -> None:
    examples = lambda n: (torch.ones(3, 2, n),)  # noqa: E731
    of = widened(Heads, examples, widths=(16, 32, 64), dynamic={"x": ("batch", None, None)})
    shapes = {str(value.type.shape[0]) for value in of.program.values() if value.type.ndim == 4}
    assert "batch" in shapes
    assert any("n" in str(size) and "batch" in str(size) for made in of.program.instructions
               for value in made.results for size in value.type.shape)  # fmt: skip


def test_a_function_of_nothing_is_no_function_of_the_width() -> None:
    for call in (widened, tn.limits.analyse, tn.mup.plan):
        with pytest.raises(LimitError, match=r"make can not be called with a width: too many positional arguments"):
            call(make, (torch.ones(2, 3),))


def make() -> Any:
    return nn.Linear(3, 4)


def test_a_model_is_no_function_of_the_width() -> None:
    for call in (widened, tn.limits.analyse):
        with pytest.raises(LimitError, match="a Linear of torch has one width"):
            call(nn.Linear(3, 4), (torch.ones(2, 3),))


def test_widths_that_do_not_fit_are_refused_with_the_line(capfd: pytest.CaptureFixture[str]) -> None:
    class Wrong(nn.Module):
        def __init__(self, n: int) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(5, n), nn.Linear(64, 1)

        def forward(self, x: Any) -> Any:
            return self.b(self.a(x))

    with pytest.raises(PortingError, match=r"at the width 128: .*, at .*test_widths_unification.py:\d+"):
        tn.limits.analyse(Wrong, (torch.ones(2, 5),))
    assert "Traceback" not in capfd.readouterr().err  # PyTorch would print its own frames, three times
