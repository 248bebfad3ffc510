"""Natural gradient: steps written with types, Fisher metrics passed as `metric=`, and the example on digits."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from across import native, refusal, values

import tensoria as tn
from tensoria.errors import VarianceError

Array = np.ndarray[Any, Any]
ROOT = Path(__file__).resolve().parent.parent
FEATURES, TARGETS = tn.Space("features", 3), tn.Space("targets", 2, metric=[[2, 1], [1, 3]])
x, y = tn.indices("x y", FEATURES)
c, d = tn.indices("c d", TARGETS)
SHEARED = FEATURES.basis("sheared", [[1, 2, 0], [0, 1, 0.5], [0, 0, 3]])


@pytest.fixture(scope="module")
def example() -> ModuleType:
    """`examples/natural_gradient.py` as a module."""
    pytest.importorskip("sklearn")
    spec = importlib.util.spec_from_file_location("natural_gradient", ROOT / "examples" / "natural_gradient.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# -- linear regression, where everything is known ----------------------------------------------------------------------


def regression(backend: str, samples: int = 40) -> tuple[tn.Tensor, tn.Tensor, tn.Tensor]:
    rng = np.random.default_rng(0)
    data = rng.normal(size=(samples, 3)) @ np.array([[1.0, 0.4, 0.0], [0.0, 0.1, 2.0], [0.0, 0.0, 5.0]])
    target = data @ rng.normal(size=(3, 2)) + 0.1 * rng.normal(size=(samples, 2))
    W = tn.tensor(native(backend, rng.normal(size=(2, 3))), [c, -x])
    return W, tn.tensor(native(backend, data), ["n", x]), tn.tensor(native(backend, target), ["n", c])


def loss(W: tn.Tensor, inputs: tn.Tensor, targets: tn.Tensor) -> tn.Tensor:
    """Half the mean squared error by the metric of the targets."""
    error = W * inputs - targets
    return tn.mean(tn.inner(error, error), axis="n") / 2


def moments(inputs: tn.Tensor) -> tn.Tensor:
    return tn.einsum("n ^x, n ^y -> ^(x y)", inputs, inputs) / inputs.shape[0]


def kronecker_step(W: tn.Tensor, inputs: tn.Tensor, targets: tn.Tensor) -> tn.Tensor:
    """The Fisher metric of a Gaussian model is the metric of the targets and the second moments of the inputs."""
    return W - tn.grad(loss)(W, inputs, targets).raised("c").lowered("x", metric=moments(inputs))


def fused_step(W: tn.Tensor, inputs: tn.Tensor, targets: tn.Tensor) -> tn.Tensor:
    """The same with one metric over pairs of indices: how the predictions follow the parameters, squared."""
    gradient = tn.grad(loss)(W, inputs, targets).fused("c x", "_p")
    unit = tn.tensor(np.eye(2), [c, -d], backend=W.backend)
    follow = tn.einsum("^c _d, n ^x -> n ^c _d ^x", unit, inputs).fused("d x", "_p")
    F = tn.einsum("n _c _p, n ^c _q -> _p _q", follow.lowered("c"), follow) / inputs.shape[0]
    return (W.fused("c x", "p") - gradient.raised("p", metric=F)).split("p", "c x")


def test_a_step_needs_the_gradient_raised() -> None:
    def step(b: str) -> tn.Tensor:
        W, inputs, targets = regression(b)
        return W - tn.grad(loss)(W, inputs, targets)

    refusal(VarianceError, step, "^c:targets(2)", "_c:targets(2)", "Legal:")


def test_one_natural_step_solves_a_linear_problem(backend: str) -> None:
    """Newton's step: whatever the units, it leads to least squares."""
    W, inputs, targets = regression(backend)
    found = kronecker_step(W, inputs, targets)
    assert found.axes is W.axes
    expected = np.linalg.lstsq(values(inputs), values(targets), rcond=None)[0].T
    np.testing.assert_allclose(values(found), expected, atol=1e-10)


def test_a_metric_for_each_index_is_one_for_pairs_of_them(backend: str) -> None:
    W, inputs, targets = regression(backend)
    both = kronecker_step(W, inputs, targets), fused_step(W, inputs, targets)
    np.testing.assert_allclose(values(both[0]), values(both[1]), atol=1e-9)
    assert both[1].axes is W.axes


def test_a_natural_step_is_the_same_in_every_basis(backend: str) -> None:
    problem = regression(backend)
    W, inputs, targets = problem
    moved = (W.to_basis(SHEARED), inputs.to_basis(SHEARED), targets)
    for step in (kronecker_step, fused_step):
        np.testing.assert_allclose(values(step(*moved)), values(step(*problem).to_basis(SHEARED)), atol=1e-8)


def test_the_metric_may_carry_gradients(backend: str) -> None:
    """The loss after a natural step, differentiated through the step by the data that define its metric."""
    W, inputs, targets = regression(backend, 8)

    def after(inputs: tn.Tensor, W: tn.Tensor, targets: tn.Tensor) -> tn.Tensor:
        error = W * inputs - targets
        slope = tn.einsum("n _c, n ^x -> _c ^x", error.lowered("c"), inputs) / inputs.shape[0]
        return loss(W - 0.5 * slope.raised("c").lowered("x", metric=moments(inputs)), inputs, targets)

    got = tn.grad(after)(inputs, W, targets)
    assert got.notation == "n _x"
    data, h = values(inputs), 1e-6
    for place in ((0, 0), (3, 2)):
        ahead, behind = (data.copy() for _ in range(2))
        ahead[place] += h
        behind[place] -= h
        lifted = [tn.tensor(native(backend, each), ["n", x]) for each in (ahead, behind)]
        slope = (float(after(lifted[0], W, targets)) - float(after(lifted[1], W, targets))) / (2 * h)
        assert values(got)[place] == pytest.approx(slope, rel=1e-5, abs=1e-8)


# -- the example ------------------------------------------------------------------------------------------------------


def few(example: ModuleType, backend: str, count: int = 60) -> Any:
    data = example.digits(backend)[0]
    return example.Data(*(tn.tensor(t.array[:count], list(t.indices)) for t in (data.images, data.labels)))


def test_the_fisher_metric_is_the_mean_square_of_the_score(example: ModuleType, backend: str) -> None:
    """S = <score score> over classes drawn from the model, computed in NumPy one class at a time."""
    data, network = few(example, backend), example.initial(backend)
    (S1, A1), (S2, A2) = example.fisher(network.W1, network.W2, data.images)
    images, W1, W2 = values(data.images), values(network.W1), values(network.W2)
    active = np.tanh(images @ W1.T)
    logits = active @ W2.T
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    first, second = np.zeros((24, 24)), np.zeros((10, 10))
    for label in range(10):
        score = np.eye(10)[label] - p
        below = score @ W2 * (1 - active**2)
        second += np.einsum("n,nc,nd->cd", p[:, label], score, score) / len(p)
        first += np.einsum("n,nh,nk->hk", p[:, label], below, below) / len(p)
    np.testing.assert_allclose(values(S1), first, atol=1e-12)
    np.testing.assert_allclose(values(S2), second, atol=1e-12)
    np.testing.assert_allclose(values(A1), images.T @ images / len(p), atol=1e-12)
    np.testing.assert_allclose(values(A2), active.T @ active / len(p), atol=1e-12)
    assert [m.notation for m in (S1, A1, S2, A2)] == ["_(h k)", "^(i j)", "_(c d)", "^(i j)"]


def test_a_step_of_the_example_is_what_its_formula_says(example: ModuleType, backend: str) -> None:
    """W - (S + damping)^-1 g (A + damping)^-1."""
    data, network = few(example, backend), example.initial(backend)
    arguments = (network.W1, network.W2, data.images, data.labels)
    gradients = tn.grad(example.loss, (0, 1))(*arguments)
    metrics = example.fisher(*arguments[:3])
    stepped = example.natural_step(network, data, 0.7, 0.2)
    for old, new, g, (S, A) in zip((network.W1, network.W2), (stepped.W1, stepped.W2), gradients, metrics, strict=True):
        assert new.axes is old.axes
        left, right = (np.linalg.inv(values(m) + 0.2 * np.eye(m.shape[0])) for m in (S, A))
        np.testing.assert_allclose(values(new), values(old) - 0.7 * left @ values(g) @ right, atol=1e-10)


def test_a_small_network_learns_digits_faster_by_the_natural_gradient(example: ModuleType, backend: str) -> None:
    plain, _ = example.train(backend, example.plain_step, 1.0, 6)
    natural, share = example.train(backend, example.natural_step, 1.0, 6)
    assert natural < 0.2 < plain
    assert share > 0.94
