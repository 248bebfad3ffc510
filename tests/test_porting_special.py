"""Special functions and their derivatives beside PyTorch's and SciPy's."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import tensoria as tn  # noqa: E402

GAMMA = [-20.3, -3.5, -1e-3, 1e-6, 0.3, 1.0, 2.0, 7.999, 8.0, 30.0, 1e6]
FUNCTIONS: dict[str, list[float]] = {
    "lgamma": GAMMA, "digamma": GAMMA, "erfinv": [-0.999999, -0.8, -0.5, -1e-9, 0.0, 0.3, 0.5, 0.7, 0.93, 0.9999],
    "i0": [-20.0, -8.0, -0.5, 0.0, 1e-6, 2.0, 8.5, 30.0], "special.i0e": [-20.0, -0.5, 1e-6, 2.0, 8.5, 300.0],
    "special.i1": [-20.0, -8.0, -0.5, 1e-6, 2.0, 8.5, 30.0],
    "special.ndtri": [1e-300, 1e-9, 0.1, 0.25, 0.5, 0.8, 0.999],
}  # fmt: skip


def special(name: str) -> Any:
    space, _, own = name.rpartition(".")
    return getattr(getattr(torch, space) if space else torch, own)


class Applied(nn.Module):
    """Functions, each of its part of the argument, added up."""

    def __init__(self, points: dict[str, list[float]]) -> None:
        super().__init__()
        self.points = points

    def forward(self, x: Any) -> Any:
        parts = x.split([len(points) for points in self.points.values()])
        return sum(special(name)(part).sum() for name, part in zip(self.points, parts, strict=True))


def derivatives(points: dict[str, list[float]]) -> tuple[Any, Any, Any]:
    """The arguments, and PyTorch's first two derivatives there."""
    x = torch.tensor([number for numbers in points.values() for number in numbers], dtype=torch.float64)
    x.requires_grad_()
    (first,) = torch.autograd.grad(Applied(points)(x), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    return x.detach(), first.detach().numpy(), second.numpy()


# PyTorch's trigamma has nine digits: 1.64493406763 at 1, which is pi^2 / 6 = 1.64493406685.
TOLERANCE = {"lgamma": (1e-11, 1e-9), "digamma": (1e-9, 0.0)}


def compare(points: dict[str, list[float]], found: Any, expected: Any, order: int) -> None:
    at = 0
    for name, numbers in points.items():
        part, at = slice(at, at + len(numbers)), at + len(numbers)
        tolerance = TOLERANCE.get(name, (1e-11, 1e-9))[order - 1]
        np.testing.assert_allclose(found[part], expected[part], rtol=tolerance, atol=1e-12, err_msg=name)


def test_derivatives_of_special_functions_are_pytorchs() -> None:
    x, first, _ = derivatives(FUNCTIONS)
    p = tn.port(Applied(FUNCTIONS), (x,)).grad()
    for backend in ("numpy", "tensorflow"):
        found = np.asarray(p.run(x.numpy(), backend=backend).to(backend="numpy").array)
        compare(FUNCTIONS, found, first, 1)
        assert abs(found[len(GAMMA) + GAMMA.index(1.0)] - np.pi**2 / 6) < 1e-14


def test_so_are_second_derivatives() -> None:
    points = {name: [x for x in FUNCTIONS[name] if abs(x) > 1e-5] for name in ("lgamma", "erfinv", "i0")}
    x, _, second = derivatives(points)
    p = tn.port(Applied(points), (x,)).grad()
    found = tn.grad(lambda t: tn.sum(p(t)))(tn.asarray(x.numpy(), backend="torch")).array
    compare(points, found.numpy(), second, 2)


@pytest.mark.parametrize("order", [2, 3, 5, 8])
def test_higher_derivatives_of_digamma_are_scipys_and_reflect(order: int) -> None:
    class Derivative(nn.Module):
        def forward(self, x: Any) -> Any:
            return torch.polygamma(order, x)

    x = np.array([1e-3, 0.3, 1.0, 2.0, 7.5, 9.999, 10.0, 30.0, 1e4])
    p = tn.port(Derivative(), (torch.tensor(x),), dynamic={"x": ("n",)})
    scipy = pytest.importorskip("scipy.special")
    np.testing.assert_allclose(np.asarray(p(tn.asarray(x))), scipy.polygamma(order, x), rtol=2e-14 * order)
    # Below zero by the recurrence psi(x) = psi(x + 1) - (-1)^n n! / x^(n + 1), from the numbers above.
    below = np.array([-0.3, -1.5, -3.75])
    steps = (-1) ** order * math.factorial(order) / (below[:, None] + np.arange(5)) ** (order + 1)
    wanted = scipy.polygamma(order, below + 5) - steps.sum(1)
    np.testing.assert_allclose(np.asarray(p(tn.asarray(below))), wanted, atol=4e-15 * np.abs(steps).max(), rtol=1e-12)


def test_quantiles_in_the_tails_are_scipys() -> None:
    """A step of Newton's method for erf itself would lose them: erfinv(1 - 1e-10) to 1e-7."""
    scipy = pytest.importorskip("scipy.special")

    class Quantiles(nn.Module):
        def forward(self, x: Any) -> Any:
            return torch.erfinv(x), torch.special.ndtri(1 - x)

    x = 1 - 10.0 ** -np.arange(1, 16)
    found = tn.port(Quantiles(), (torch.tensor(x),)).run(x)
    for ours, theirs in zip(found, (scipy.erfinv(x), scipy.ndtri(1 - x)), strict=True):
        np.testing.assert_allclose(ours.array, theirs, rtol=1e-13)


def test_a_distribution_of_gamma_functions_is_ported_and_trains() -> None:
    class Likelihood(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shape = nn.Parameter(torch.tensor([0.3, 4.0], dtype=torch.float64))

        def forward(self, x: Any) -> Any:
            rate = self.shape.exp()
            gamma = torch.distributions.Gamma(self.shape, rate, validate_args=False)
            beta = torch.distributions.Beta(self.shape, rate, validate_args=False)
            apart = torch.distributions.kl_divergence(gamma, torch.distributions.Gamma(rate, rate, validate_args=False))
            return (gamma.log_prob(x) + beta.log_prob(x) + apart).sum()

    model, x = Likelihood(), torch.rand(5, 2, dtype=torch.float64) * 0.8 + 0.1
    p = tn.port(model, (x,)).value_and_grad(parameters=True)
    (value, gradients), _ = p.apply(p.state(), x.numpy())
    expected = model(x)
    expected.backward()
    np.testing.assert_allclose(float(np.asarray(value.to(backend="numpy").array)), float(expected.detach()), rtol=1e-12)
    np.testing.assert_allclose(
        np.asarray(gradients["shape"].to(backend="numpy").array), model.shape.grad.numpy(), rtol=1e-8  # trigamma again
    )


# -- matrices ----------------------------------------------------------------------------------------------------------

MATRICES: dict[str, Any] = {
    "pinv of a tall matrix": lambda x: torch.linalg.pinv(x[:, :2]), "pinv": torch.linalg.pinv,
    "pinv of a matrix of rank one": lambda x: torch.linalg.pinv(torch.outer(x[0], x[1])),
    "matrix_exp": torch.linalg.matrix_exp, "matrix_exp of a large matrix": lambda x: torch.matrix_exp(30 * (x - x.mT)),
    "cholesky_solve": lambda x: torch.cholesky_solve(x[:, :2], torch.tril(x) + 2 * torch.eye(3)),
    "cholesky_inverse": lambda x: torch.cholesky_inverse(torch.triu(x) + 2 * torch.eye(3), upper=True),
    "lu": lambda x: torch.linalg.lu(x)[2],
    "lu_solve": lambda x: torch.linalg.lu_solve(*torch.linalg.lu_factor(x), x.mT),
    "eigvals": lambda x: torch.linalg.eigvals(x - x.mT).abs(),
    "nanmedian": lambda x: torch.where(x > 0, x, torch.nan).nanmedian(0)[0],
    "index_reduce": lambda x: x.index_reduce(0, torch.tensor([2, 0]), x[1:], "mean"),
}  # fmt: skip


class Squares(nn.Module):
    """Functions, each of its own matrix."""

    def forward(self, x: Any) -> Any:
        return tuple(function(x[n]) for n, function in enumerate(MATRICES.values()))


class Weighted(Squares):
    def forward(self, x: Any) -> Any:
        weighed = [torch.arange(1.0, y.numel() + 1).reshape(y.shape) * y for y in super().forward(x)]
        return sum(y.sum() for y in weighed)


def test_functions_of_matrices_and_their_derivatives_are_pytorchs() -> None:
    x = torch.tensor([[0.3, -0.7, 0.2], [1.1, 0.4, -0.5], [0.6, 0.9, -1.2]], dtype=torch.float64)
    x = x.repeat(len(MATRICES), 1, 1).requires_grad_()
    (expected,) = torch.autograd.grad(Weighted()(x), x)
    p, slopes = tn.port(Squares(), (x.detach(),)), tn.port(Weighted(), (x.detach(),)).grad()
    for backend in ("numpy", "tensorflow"):
        results = p.run(x.detach().numpy(), backend=backend)
        found = np.asarray(slopes.run(x.detach().numpy(), backend=backend).to(backend="numpy").array)
        for n, (name, ours, theirs) in enumerate(zip(MATRICES, results, Squares()(x), strict=True)):
            ours, theirs = np.asarray(ours.to(backend="numpy").array), theirs.detach().numpy()
            np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-14, err_msg=name)
            size = float(expected[n].abs().max())
            np.testing.assert_allclose(found[n], expected[n].numpy(), rtol=0, atol=1e-11 * size, err_msg=name)


FACTORED: dict[str, Any] = {
    "batch": lambda x: x, "tall": lambda x: x[..., :2], "wide": lambda x: x[..., :2, :], "zero": lambda x: 0 * x,
}  # fmt: skip


@pytest.mark.parametrize("name", FACTORED)
def test_triangular_factors_and_exchanges_are_pytorchs(name: str) -> None:
    class Factors(nn.Module):
        def forward(self, x: Any) -> Any:
            factors = torch.linalg.lu_factor_ex(x)[:2]
            return *torch.linalg.lu(x), *factors, *torch.lu_unpack(*factors)

    x = FACTORED[name](torch.randn(2, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
    p = tn.port(Factors(), (x,))
    for backend in ("numpy", "tensorflow"):
        for found, expected in zip(p.run(x.numpy(), backend=backend), Factors()(x), strict=True):
            ours = np.asarray(found.to(backend="numpy").array)
            assert ours.dtype == expected.numpy().dtype
            np.testing.assert_allclose(ours, expected.numpy(), atol=1e-12)


def test_equations_are_solved_by_triangular_factors() -> None:
    class Solved(nn.Module):
        def forward(self, x: Any, y: Any) -> Any:
            factors, ways = torch.linalg.lu_factor(x), itertools.product((True, False), repeat=2)
            return torch.stack([torch.linalg.lu_solve(*factors, y, left=a, adjoint=b) for a, b in ways])

    x, y = torch.rand(2, 3, 3, dtype=torch.float64), torch.rand(2, 3, 3, dtype=torch.float64)
    found = tn.port(Solved(), (x, y)).run(x.numpy(), y.numpy()).array
    np.testing.assert_allclose(found, Solved()(x, y).numpy(), rtol=1e-9)
