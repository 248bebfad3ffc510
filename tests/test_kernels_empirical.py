"""Networks of finite width: their tangent kernels are their own derivatives, and go to the limit as they widen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernel_models import X, perceptron, root

import tensoria as tn
from tensoria import cli
from tensoria.errors import LimitError
from tensoria.limits.digits import compare, digits, train
from tensoria.limits.empirical import sampled, with_parameters
from tensoria.limits.laws import Law

RANDOM = np.random.default_rng(0)
W, V = RANDOM.normal(size=(4, 6)), RANDOM.normal(size=(6, 2))


def network(batch: str | None = "batch") -> Any:
    """tanh(x W) V with these numbers."""
    program = tn.trace(
        lambda x, W, V: tn.tanh(x @ W) @ V, *(tn.asarray(a) for a in (X, W, V)), dynamic={"x": (batch, None)}
    )
    return with_parameters(program, {"W": W, "V": V})


def jacobian(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Its derivatives, by hand: examples by outputs by parameters."""
    h = np.tanh(x @ W)
    by_v = np.einsum("bh,oc->bcho", h, np.eye(2)).reshape(len(x), 2, -1)
    by_w = np.einsum("bi,bh,hc->bcih", x, 1 - h**2, V).reshape(len(x), 2, -1)
    return np.concatenate([by_w, by_v], axis=2)


@pytest.mark.parametrize("batch", ["batch", None])
def test_the_empirical_kernel_is_the_product_of_jacobians(backend: str, batch: str | None) -> None:
    x = tn.asarray(X).to(backend=backend)
    J = jacobian(X)
    whole = np.einsum("icp,jdp->ijcd", J, J)
    found = tn.limits.empirical_ntk(network(batch), x, components="all")
    assert found.backend == backend
    np.testing.assert_allclose(np.asarray(found.to(backend="numpy").array), whole, rtol=1e-10)
    mean = tn.limits.empirical_ntk(network(batch), x, block=1)
    np.testing.assert_allclose(
        np.asarray(mean.to(backend="numpy").array), np.einsum("ijcc->ij", whole) / 2, rtol=1e-10
    )


def test_the_empirical_kernel_of_a_captured_module_is_that_of_its_own_derivatives() -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.GELU(), torch.nn.Linear(16, 1)).double()
    x = torch.tensor(X)
    rows = []
    for example in x:
        gradients = torch.autograd.grad(model(example)[0], list(model.parameters()))
        rows.append(torch.cat([g.flatten() for g in gradients]))
    J = torch.stack(rows)
    program = tn.port(model, (x,), dynamic={"input": ("batch", None)})
    found = tn.limits.empirical_ntk(program, x)
    np.testing.assert_allclose(found.array.numpy(), (J @ J.T).numpy(), rtol=1e-10)


def test_some_parameters_alone_and_none_at_all() -> None:
    J = jacobian(X)[:, :, W.size :]
    found = tn.limits.empirical_ntk(network(), X, parameters=["V"])
    np.testing.assert_allclose(found.array, np.einsum("icp,jcp->ij", J, J) / 2, rtol=1e-10)
    with pytest.raises(LimitError, match="no parameters"):
        tn.limits.empirical_ntk(network(), X, parameters=[])


def test_a_wide_network_has_nearly_the_kernel_of_the_limit() -> None:
    tp = perceptron("relu", 1.5, 0.3, 2)
    distances = []
    for width in (64, 1024):
        kernels = [np.asarray(tn.limits.empirical_ntk(sampled(tp.widened, width, seed), X).array) for seed in range(4)]
        distances.append(np.mean([np.abs(k / tp.ntk(X).array - 1).max() for k in kernels]))
    assert distances[1] < 0.2
    assert distances[1] < distances[0]  # like 1/sqrt(n)


@pytest.mark.parametrize("order", [0, 1, 2, 3, 4])
def test_a_taylor_polynomial_of_a_polynomial_is_it(order: int, backend: str) -> None:
    program = tn.trace(lambda x, w: tn.sum(x * w * w * w), tn.asarray(X), tn.asarray(X))
    w, d = RANDOM.normal(size=X.shape), RANDOM.normal(size=X.shape)
    terms = [w**3, 3 * w**2 * d, 3 * w * d**2, d**3, 0 * d]
    around = tn.limits.taylor(with_parameters(program, {"w": w}), order)
    found = around({"w": tn.asarray(d).to(backend=backend)}, tn.asarray(X).to(backend=backend))
    assert float(found) == pytest.approx(float((X * sum(terms[: order + 1])).sum()), rel=1e-9)


def test_the_linearised_network_moves_by_its_jacobian() -> None:
    change = {"W": tn.asarray(0.1 * W), "V": tn.asarray(-0.2 * V)}
    flat = np.concatenate([0.1 * W.ravel(), -0.2 * V.ravel()])
    found = tn.limits.linearised(network())(change, tn.asarray(X))
    np.testing.assert_allclose(found.array, np.tanh(X @ W) @ V + jacobian(X) @ flat, rtol=1e-10)
    with pytest.raises(LimitError, match="no parameter 'U'"):
        tn.limits.linearised(network())({"U": tn.asarray(W)}, tn.asarray(X))


def test_digits_are_learnt_by_the_limit_and_by_networks_alike() -> None:
    pytest.importorskip("sklearn")

    def net(x, a, b, v):  # type: ignore[no-untyped-def]
        return tn.relu(x @ a / 8 + b) @ v / root(v.shape[0])

    ones = [tn.asarray(np.ones(shape)) for shape in ((2, 64), (64, 8), (8,), (8, 10))]
    sizes = {"x": ("batch", None), "a": (None, "n"), "b": ("n",), "v": ("n", None)}
    program = tn.trace(net, *ones, dynamic=sizes)
    tp = tn.limits.analyse(program, widths=("n",), laws={"a": Law(2.0), "b": Law(0.1), "v": Law(1.0)})
    data = digits(train=150, test=150)
    found = compare(tp, data, width=256, networks=2, steps=60)
    accuracy = {row.name: row.accuracy for row in found.rows}
    assert accuracy["NNGP, posterior"] > 0.9
    assert accuracy["NTK, trained to the end"] > 0.9
    # The ensemble is as far from the flow's mean as the flow's covariance says.
    assert found.distance == pytest.approx(found.expected, rel=0.3)
    with pytest.raises(LimitError, match="digits"):
        digits(train=1700, test=1700)


def test_training_goes_downhill() -> None:
    pytest.importorskip("sklearn")
    tp = perceptron("relu", 1.4, 0.1, 1, inputs=64)
    data = digits(train=40, test=20)
    one_output = type(data)(data.x, data.y[:, :1], data.x, data.y[:, :1])
    before, after = (train(sampled(tp.widened, 64, 0), one_output, steps, 1.0) for steps in (0, 60))
    assert np.mean((after - data.y[:, :1]) ** 2) < 0.5 * np.mean((before - data.y[:, :1]) ** 2)


def test_the_command_tells_kernels_and_networks_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    small = ["--train", "30", "--test", "30", "--width", "32", "--networks", "2", "--steps", "3"]
    assert cli.main(["limit", *small]) == 0
    shown = capsys.readouterr().out
    assert "4.weight : A(10, n)" in shown
    assert "NTK, 3 steps" in shown
    assert "2 networks of width 32, ensemble" in shown
    assert cli.main(["limit", "--model", "nowhere.py:make"]) == 2
    assert "there is no file 'nowhere.py'" in capsys.readouterr().err


def test_examples_that_see_each_other_are_differentiated_together() -> None:
    torch = pytest.importorskip("torch")

    def net(x, W, v):  # type: ignore[no-untyped-def]
        h = x @ W
        return tn.relu((h - tn.mean(h, axis=0)) / tn.sqrt(tn.var(h, axis=0))) @ v

    x = np.random.default_rng(0).normal(size=(4, 3))
    ones = [tn.asarray(np.ones(shape)) for shape in ((4, 3), (3, 5), (5,))]
    program = tn.trace(net, *ones, dynamic={"x": ("batch", None), "W": (None, "n"), "v": ("n",)})
    laws = {"W": Law(1.0), "v": Law(1.0, -1)}  # type: ignore[arg-type]
    tp = tn.limits.analyse(program, widths=("n",), laws=laws)
    with pytest.raises(LimitError, match="grows like n"):
        tp.ntk(x)  # of the standard parametrization
    found = tp.simulate(x, 6, 2, ntk=True, backend="torch").ntk
    wanted = []
    for seed in range(2):
        drawn = sampled(tp.widened, 6, seed)
        w, v = (torch.tensor(drawn.arrays[drawn.parameters[k]], requires_grad=True) for k in "Wv")
        h = torch.tensor(x) @ w
        f = torch.relu((h - h.mean(0)) / h.var(0, correction=0).sqrt()) @ v
        rows = [torch.cat([g.flatten() for g in torch.autograd.grad(y, (w, v), retain_graph=True)]) for y in f]
        wanted.append((torch.stack(rows) @ torch.stack(rows).T).numpy())
    assert found is not None
    np.testing.assert_allclose(found.mean, np.mean(wanted, axis=0), rtol=1e-9)
