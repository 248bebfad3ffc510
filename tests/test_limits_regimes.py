"""Training in every parametrization: the kernel regime beside fractions, the kernels of models, and finite networks."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from kernel_models import root

import tensoria as tn
from tensoria.errors import LimitError
from tensoria.limits import SGD, Adam, Parameters, Trained, train
from tensoria.limits.simulation import simulate

QUARTER = {"input": (0, 0, "1/2"), "hidden": ("1/2", 0, "1/2"), "output": ("1/2", "1/4", 0)}
"""a + b = 3/4 at the output: a kernel regime whose outputs begin at zero."""


def network(of: Any, optimizer: Any, inputs: Any = (1, -0.5), targets: Any = (1, 0.3), steps: int = 2,
            activation: Any = "tanh", **options: Any) -> Trained:  # fmt: skip
    q = Parameters()
    u, W, v = q.vector("u"), q.matrix("W"), q.vector("v", role="output")

    def model(t: Any, x: Any) -> Any:
        h = t.matmul(W, t.nonlin(activation, t.lincomb([x], [u])))
        return t.readout(v, t.nonlin(activation, h))

    return train(q, model, inputs, targets, steps=steps, optimizer=optimizer, parametrization=of, **options)


def test_a_linear_network_in_the_ntk_parametrization_trains_in_fractions() -> None:
    net = network("ntk", SGD("1/8"), [1], [1], 3, "identity")
    # K = 1 + 1 + 1, one for each layer, and f_0 has variance 1: f - 1 shrinks by 1 - 3/8 at each step.
    assert [f.value for (f,) in net.curve] == [1 - Fraction(5, 8) ** t for t in range(4)]
    assert [s for (s,) in net.deviations] == pytest.approx([0.625**t for t in range(4)])
    assert net.report.kind == "kernel"
    assert str(net).startswith("a kernel regime: features move by n^-1/2\nstep 0: 0 (exact)")


def test_only_weights_whose_updates_reach_the_output_train() -> None:
    # The standard parametrization with the rate eta / n: the first layer moves too little (TP IV, section 5).
    net = network("standard", SGD("1/8"), [1], [1], 1, "identity")
    assert [f.value for (f,) in net.curve] == [0, Fraction(1, 4)]
    assert net.kernel is not None
    assert net.limit[net.kernel[0][0]].value == 2


def test_the_kernel_is_the_tangent_kernel_of_the_model() -> None:
    n, batch = tn.dim("n"), tn.dim("batch")

    def model(x: Any, u: Any, w: Any, v: Any) -> Any:
        return tn.tanh(tn.tanh(x @ u) @ w / root(w.shape[0])) @ v / root(v.shape[0])

    ones = [np.ones((3, 1)), np.ones((1, 4)), np.ones((4, 4)), np.ones(4)]
    sizes = {"x": (batch, None), "u": (None, n), "w": (n, n), "v": (n,)}
    laws = dict.fromkeys(("u", "w", "v"), tn.limits.Law(1.0))
    read = tn.limits.analyse(tn.trace(model, *ones, dynamic=sizes), widths=("n",), laws=laws)
    inputs, targets = np.array([[1.0], [-0.5], [2.0]]), np.array([1.0, 0.3])
    kernel, start = (np.asarray(k.array) for k in (read.ntk(inputs), read.nngp(inputs)))
    net = network("ntk", SGD(0.5), inputs[:, 0].tolist(), targets.tolist(), 3)
    assert net.kernel is not None
    found = [[float(net.limit[k]) for k in row] for row in net.kernel]
    np.testing.assert_allclose(found, kernel[:, :2], rtol=1e-8)
    # The third input is only looked at: f_t = f_0 - eta/2 K (f - y), an affine function of f_0.
    whole, mean = np.eye(3), np.zeros(3)
    for row, spread in zip(net.curve, net.deviations, strict=True):
        np.testing.assert_allclose([float(f) for f in row], mean, atol=1e-8)
        np.testing.assert_allclose(spread, np.sqrt(np.diag(whole @ start @ whole.T)), rtol=1e-6)
        mean = mean - 0.25 * kernel[:, :2] @ (mean[:2] - targets)
        whole = whole - 0.25 * kernel[:, :2] @ whole[:2]


@pytest.mark.parametrize("parametrization", ["ntk", "standard", QUARTER])
def test_outputs_move_as_those_of_wide_networks(parametrization: Any) -> None:
    net = network(parametrization, SGD(0.5), loss=lambda f, y: tn.log1p(tn.exp(-f * y)))
    values = net.sampled(256, 32, key=3)
    assert net.kernel is not None
    kernel = np.array([[float(net.limit[k]) for k in row] for row in net.kernel])
    # The same kernel from where each network begins: what is left is its own kernel's distance, of the size n^-1/2.
    f, y = values[:, 0], np.array([1, 0.3])
    for t in (1, 2):
        f = f + 0.25 * (y / (1 + np.exp(f * y))) @ kernel
        difference = values[:, t] - f
        error = difference.std(axis=0, ddof=1) / np.sqrt(len(f))
        assert (abs(difference.mean(axis=0)) < 4 * error + 1e-3).all()
        assert (error * np.sqrt(len(f)) < 0.03).all()
    spread = values[:, 0].std(axis=0, ddof=1) * (0 if parametrization is QUARTER else 1)
    np.testing.assert_allclose(spread, net.deviations[0], rtol=0.5)


def test_networks_are_sampled_on_every_backend(backend: str) -> None:
    net = network("standard", SGD(0.5), steps=1)
    np.testing.assert_allclose(net.sampled(40, 2, backend=backend), net.sampled(40, 2), rtol=1e-9)


@pytest.mark.parametrize("parametrization", ["standard", QUARTER])
def test_adam_puts_all_gradients_through_its_nonlinearity_in_a_kernel_regime(parametrization: Any) -> None:
    if parametrization is QUARTER:  # that of Adam: a + c is 1/4 less for all
        parametrization = {"input": (0, 0, "1/4"), "hidden": ("1/2", 0, "3/4"), "output": ("1/2", "1/4", "1/2")}
    optimizer = Adam(0.3, beta1=0.5, beta2=0.9, eps=0.1)
    net = network(parametrization, optimizer, particles=2**12, quadrature=1)
    assert net.report.kind == "kernel"
    assert net.kernel is None
    values = net.sampled(256, 60)
    # Outputs at initialisation carry most of the scatter, and the steps depend on them smoothly.
    for n in range(2):
        design = np.stack([np.ones(60), *values[:, 0].T], axis=1)
        for t in (1, 2):
            moved = values[:, t, n] - values[:, 0, n]
            fit, *_ = np.linalg.lstsq(design, moved, rcond=None)
            error = np.std(moved - design @ fit) / np.sqrt(60 - 3)
            limit = net.curve[t][n]
            assert abs(fit[0] - float(limit)) < 4 * (error + limit.error) + 4e-3


@pytest.mark.parametrize("optimizer", [SGD(0.4), Adam(0.2, beta1=0.8, beta2=0.9, eps=0.05)])
@pytest.mark.parametrize("name", ["ntk", "standard", "mup"])
def test_networks_of_finite_width_are_those_of_the_parametrization(name: str, optimizer: Any) -> None:
    """Beside a loop in NumPy on w, with W = n^-a w, the rate eta n^-c, and for Adam gradients times n^d."""
    n, adam = 40, isinstance(optimizer, Adam)
    net = network(name, optimizer, tiers="AD", particles=2**11)  # the limit is not looked at
    assert net._run is not None
    program, rows = net._run(n)
    run = simulate(program, n, 1, key=4, keep_matrices=True)
    at = {x.name: np.asarray(a) for x, a in run.vectors[0].items() if x.name in ("u", "v")}
    at["W"] = np.asarray(next(iter(run.matrices[0].values()))) * np.sqrt(n)
    table = tn.limits.training.scaling.PARAMETRIZATIONS["adam" if adam else "sgd"][name]
    a, b, c = ({key: float(table[role][k]) for key, role in zip("uWv", table, strict=True)} for k in range(3))
    w = {key: at[key] * n ** -b[key] for key in "uWv"}
    m, s = ({key: np.zeros_like(w[key]) for key in "uWv"} for _ in range(2))
    for t, row in enumerate(rows):
        u, W, v = (w[key] * n ** -a[key] for key in "uWv")
        gradients = dict.fromkeys("uWv", 0.0)
        outputs = []
        for x, y in ((1, 1), (-0.5, 0.3)):
            first, second = np.tanh(x * u), np.tanh(W @ np.tanh(x * u))
            outputs.append(v @ second)
            chi = (v @ second - y) / 2
            back = chi * v * (1 - second**2)
            gradients["v"] = gradients["v"] + chi * second
            gradients["W"] = gradients["W"] + np.outer(back, first)
            gradients["u"] = gradients["u"] + x * (W.T @ back) * (1 - first**2)
        np.testing.assert_allclose([run[f].mean for f in row], outputs, rtol=1e-9, atol=1e-12)
        for key in "uWv":
            g = gradients[key] * n ** -a[key]
            if adam:
                g = g * n ** (a[key] + (a["v"] + b["v"] if key != "v" else 0))
                m[key], s[key] = 0.8 * m[key] + 0.2 * g, 0.9 * s[key] + 0.1 * g**2
                g = m[key] / (1 - 0.8 ** (t + 1)) / (np.sqrt(s[key] / (1 - 0.9 ** (t + 1))) + 0.05)
            w[key] = w[key] - optimizer.rate * n ** -c[key] * g


def test_an_output_that_begins_at_zero_learns_features_nevertheless() -> None:
    # a + b = 3/2: the output's weights vanish at first, and are of muP's size after one step.
    zero = {"input": ("-1/2", "1/2", 0), "hidden": (0, "1/2", 0), "output": ("1/2", 1, 0)}
    net = network(zero, SGD(0.5), [1], [1], particles=2**14, quadrature=1)
    assert net.report.kind == "feature learning"
    values = net.sampled(512, 8)
    for t, (limit,) in enumerate(net.curve):
        error = values[:, t, 0].std(ddof=1) / np.sqrt(8)
        assert abs(values[:, t, 0].mean() - float(limit)) < 4 * (error + limit.error) + 2e-3
    assert net.curve[0][0].value == 0


def test_what_diverges_or_vanishes_is_said() -> None:
    with pytest.raises(LimitError, match=r"unstable.*2 a_3 \+ c >= 1 is violated.*own updates: diverges like n"):
        network({"input": (0, 0, 0), "hidden": (0, "1/2", 0), "output": (0, "1/2", 0)}, SGD(0.1))
    with pytest.raises(LimitError, match=r"first layer's activation: vanishes like n\^-1/2"):
        network({"input": ("1/2", 0, 0), "hidden": (0, "1/2", 1), "output": (0, "1/2", 1)}, SGD(0.1))
    with pytest.raises(LimitError, match=r"unfaithful: d_1 = .* the gradient that layer 1's Q sees: vanishes like n"):
        network({"input": (0, 0, "1/2", 0), "hidden": ("1/2", 0, 1), "output": ("1/2", 0, "1/2")}, Adam(0.1))
    slow = {"input": (0, 0, 2), "hidden": (0, "1/2", 2), "output": (0, "1/2", 2)}
    net = network(slow, SGD(1), [1], [1], 2, "identity")
    assert [f.value for (f,) in net.curve] == [0, 0, 0]
    assert [s for (s,) in net.deviations] == [1, 1, 1]
    assert str(net).startswith("trivial: the outputs stay what they are (the change of the output by the readout's own "
                               "updates: vanishes like n^-1")  # fmt: skip


def test_a_kernel_regime_needs_an_output_that_is_a_readout() -> None:
    def trained(model: Any, optimizer: Any) -> Any:
        q = Parameters()
        u, v = q.vector("u"), q.vector("v", role="output")
        return train(q, lambda t, x: model(t, u, v), [1], [1], steps=1, optimizer=optimizer, parametrization="ntk")

    with pytest.raises(LimitError, match="no linear function of v"):
        trained(lambda t, u, v: t.moment(lambda f: tn.tanh(f), t.readout(v, u)), SGD(0.1))
    with pytest.raises(LimitError, match="other terms than readouts of v"):
        trained(lambda t, u, v: t.moment(lambda f: f + 1, t.readout(v, u)), SGD(0.1))
    with pytest.raises(LimitError, match="weight decay"):
        trained(lambda t, u, v: t.readout(v, u), Adam(0.1, decay=0.1))
