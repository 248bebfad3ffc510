"""Training curves in the limit: published ones, exact fractions, particles, and networks of finite width."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from tensor_programs import reference

import tensoria as tn
from tensoria.discovery import get
from tensoria.errors import LimitError
from tensoria.limits import SGD, Adam, Parameters, train, update_exponents

THEORY = reference("theory")


def one_hidden(activation: Any = "tanh", inputs: Any = (1,), targets: Any = (1,), **options: Any) -> Any:
    q = Parameters()
    u, v = q.vector("u"), q.vector("v", role="output")
    return train(q, lambda t, x: t.readout(v, t.nonlin(activation, t.lincomb([x], [u]))), inputs, targets, **options)


def two_hidden(activation: Any = "tanh", **options: Any) -> Any:
    q = Parameters()
    u, W, v = q.vector("u"), q.matrix("W"), q.vector("v", role="output")

    def model(t: Any, x: Any) -> Any:
        h = t.matmul(W, t.nonlin(activation, t.lincomb([x], [u])))
        return t.readout(v, t.nonlin(activation, h))

    return train(q, model, [1], [1], **options)


def test_a_linear_network_trains_in_fractions() -> None:
    known = THEORY["mup_linear_1hidden"]
    net = one_hidden("identity", steps=3, optimizer=SGD("1/2"))
    assert [f.value for (f,) in net.curve] == [Fraction(f) for f in known["f"]]


def test_a_deep_linear_network_trains_in_fractions() -> None:
    known = THEORY["mup_linear_2hidden"]
    net = two_hidden("identity", steps=4, optimizer=SGD("1/4"))
    assert [f.value for (f,) in net.curve][:3] == [Fraction(f) for f in known["f"]]
    assert all(isinstance(f.value, Fraction) for (f,) in net.curve)
    np.testing.assert_allclose([float(f) for (f,) in net.curve], known["f_float"], rtol=1e-14)


def test_a_tanh_network_trains_as_published() -> None:
    net = one_hidden(steps=5, optimizer=SGD(0.5))
    np.testing.assert_allclose([float(f) for (f,) in net.curve], THEORY["mup_tanh_1hidden_sgd"]["check"], atol=1e-11)
    assert max(f.error for (f,) in net.curve) < 1e-10
    particles = one_hidden(steps=5, optimizer=SGD(0.5), tiers="AD", particles=2**16)
    for (f,), expected in zip(particles.curve, THEORY["mup_tanh_1hidden_sgd"]["f"], strict=True):
        assert abs(float(f) - expected) <= max(4e-4, 4 * f.error)


def test_a_deep_network_trains_like_a_wide_one() -> None:
    net = two_hidden(steps=3, optimizer=SGD(0.5), particles=2**16, quadrature=2)
    assert net.curve[1][0].tier in "CD"
    run = net.program.simulate(1024, seeds=6)
    for (f,), (limit,) in zip(net.outputs, net.curve, strict=True):
        assert abs(run[f].mean - float(limit)) < 5 * (run[f].error + limit.error) + 2e-3


def test_adam_steps_are_outer_nonlinearities_and_train_like_a_wide_network() -> None:
    optimizer = Adam(0.1, beta1=0.8, eps=0.1, decay=0.2)
    net = two_hidden(steps=2, optimizer=optimizer, particles=2**13, quadrature=1)
    assert net.program.classify().language == "NE-OR-T"
    run = net.program.simulate(400, seeds=8)
    for (f,), (limit,) in zip(net.outputs, net.curve, strict=True):
        assert abs(run[f].mean - float(limit)) < 5 * (run[f].error + limit.error) + 4e-3


def test_adam_is_the_optimizer_that_everybody_knows() -> None:
    """A width of one neuron's worth of arithmetic, beside a loop in NumPy over the same gradients."""
    optimizer = Adam(0.1, beta1=0.9, beta2=0.99, eps=0.05)
    net = one_hidden(inputs=[1, -0.5], targets=[1, 0.3], steps=3, optimizer=optimizer, tiers="AD", particles=2**12)
    run = net.program.simulate(500, seeds=1)
    u0, v0 = (np.asarray(run.vectors[0][net.parameters.trained[k].start]) for k in "uv")
    theta = [u0.copy(), v0.copy()]
    m, s = [0.0, 0.0], [0.0, 0.0]
    for t in range(1, 5):
        u, v = theta
        outputs = [np.mean(v * np.tanh(x * u)) for x in (1, -0.5)]
        np.testing.assert_allclose(outputs, [run[f].mean for f in net.outputs[t - 1]], rtol=1e-10)
        gradients = [0.0, 0.0]
        for x, y, f in zip((1, -0.5), (1, 0.3), outputs, strict=True):
            chi = (f - y) / 2
            gradients[0] = gradients[0] + chi * v * (1 - np.tanh(x * u) ** 2) * x
            gradients[1] = gradients[1] + chi * np.tanh(x * u)
        for k in range(2):
            m[k] = 0.9 * m[k] + 0.1 * gradients[k]
            s[k] = 0.99 * s[k] + 0.01 * gradients[k] ** 2
            step = (m[k] / (1 - 0.9**t)) / (np.sqrt(s[k] / (1 - 0.99**t)) + 0.05)
            theta[k] = theta[k] - 0.1 * step


def test_a_loss_and_parameters_of_other_kinds_are_differentiated() -> None:
    q = Parameters()
    u, b, v = q.vector("u"), q.vector("b", variance=0), q.vector("v", role="output")

    def model(t: Any, x: Any) -> Any:
        h = t.lincomb([x, 1], [u, b])
        scale = t.moment(lambda h: h * h, h)
        return t.readout(v, t.nonlin(lambda h, s: tn.tanh(h / tn.sqrt(s + 1)), h, scale))

    net = train(q, model, [1, 2], [1, -1], steps=2, optimizer=SGD(0.4), loss=lambda f, y: tn.exp(-f * y),
                tiers="AD", particles=2**14)  # fmt: skip
    run = net.program.simulate(2000, seeds=6)
    for row, limits in zip(net.outputs, net.curve, strict=True):
        for f, limit in zip(row, limits, strict=True):
            assert abs(run[f].mean - float(limit)) < 5 * (run[f].error + limit.error) + 2e-3


def test_parametrizations_are_checked() -> None:
    assert set(update_exponents("mup").values()) == {0}
    shifted = {"input": (0, 0, -1), "hidden": ("1/2", 0, -1), "output": (1, 0, -1)}
    assert set(update_exponents(shifted).values()) == {0}
    assert set(update_exponents("ntk").values()) == {Fraction(1, 2)}
    assert set(update_exponents("mup", adam=True).values()) == {0}
    with pytest.raises(LimitError, match=r"unstable: r >= 0 .*, the change of hidden features: diverges like n\^1"):
        update_exponents({**shifted, "hidden": ("1/2", 0, -2)})
    with pytest.raises(LimitError, match=r"layer 2's activation: diverges like n\^1/2"):
        update_exponents({**shifted, "hidden": (0, 0, 0)})
    with pytest.raises(LimitError, match="4 exponents for output weights"):
        update_exponents({**shifted, "output": (1, 0, -1, 0)})
    with pytest.raises(LimitError, match="no \\(a, b, c\\) for hidden weights"):
        two_hidden(steps=1, optimizer=SGD(0.1), parametrization="mean-field")
    with pytest.raises(LimitError, match="unknown parametrization 'muP'"):
        update_exponents("muP")


def test_weights_whose_update_vanishes_stay() -> None:
    lazy = {"input": (0, 0, 0), "hidden": (0, "1/2", 0), "output": ("1/2", "1/2", 0)}
    net = one_hidden(steps=3, optimizer=SGD(0.5), parametrization=lazy)
    # Only the readout trains: f moves by eta (1 - f) E tanh^2.
    second = tn.limits.variance_map("tanh", 1.0, 1.0)[0]
    f = 0.0
    for (found,) in net.curve:
        assert float(found) == pytest.approx(f, abs=1e-12)
        f += 0.5 * (1 - f) * second


def test_an_ordinary_function_is_trained_like_the_same_model_on_the_tape() -> None:
    def parameters() -> Any:
        q = Parameters()
        return q, q.vector("u"), q.vector("b", variance=0), q.matrix("W"), q.vector("v", role="output")

    q, *_ = parameters()

    def net(p: Any, x: float) -> Any:
        h = tn.maximum(p["W"] @ tn.tanh(p["u"] * x + p["b"]), 0 * p["b"])
        g = tn.einsum("i,ij->j", h, p["W"])
        return p["v"] @ h / h.shape[0] + tn.mean(g * p["u"]) + tn.sum(h) / tn.sqrt(tn.sum(h * h) * h.shape[0])

    options: dict[str, Any] = {"steps": 2, "optimizer": SGD(0.2), "tiers": "AD", "particles": 2**12}
    traced = train(q, tn.limits.traced_model(q, net), [1, -2], [1, 0], **options)
    q, u, b, W, v = parameters()

    def taped(t: Any, x: Any) -> Any:
        inner = t.nonlin("tanh", t.lincomb([1, 1], [t.lincomb([x], [u]), b]))
        h = t.nonlin(lambda h: tn.maximum(h, 0 * h), t.matmul(W, inner))
        g = t.matmul(W, h, transposed=True)
        terms = [t.readout(v, h), t.readout(g, u), t.moment(lambda h: h, h), t.moment(lambda h: h * h, h)]
        return t.moment(lambda a, b, c, d: a + b + c / tn.sqrt(d), *terms)

    other = train(q, taped, [1, -2], [1, 0], **options)
    runs = [net.program.simulate(200, seeds=2, key=5) for net in (traced, other)]
    for rows in zip(traced.outputs, other.outputs, strict=True):
        for f, g in zip(*rows, strict=True):
            np.testing.assert_allclose(runs[0][f].values, runs[1][g].values, rtol=1e-9)
    wide = traced.program.simulate(500, seeds=6)
    for row, limits in zip(traced.outputs, traced.curve, strict=True):
        for f, limit in zip(row, limits, strict=True):
            assert abs(wide[f].mean - float(limit)) < 5 * (wide[f].error + limit.error) + 1e-2


def test_a_model_that_has_no_limit_is_refused_with_its_line() -> None:
    def trained(net: Any) -> Any:
        q = Parameters()
        q.vector("u")
        q.matrix("W")
        q.vector("v", role="output")
        return train(q, tn.limits.traced_model(q, net), [1], [1], steps=1, optimizer=SGD(0.1))

    with pytest.raises(LimitError, match=r"the model's output is of the size n\^1"):
        trained(lambda p, x: p["v"] @ p["u"])
    with pytest.raises(LimitError, match=r"unsupported: tanh, its operands are of the sizes n\^1.*training\.py:\d+"):
        trained(lambda p, x: tn.tanh(p["v"] @ p["u"]))
    with pytest.raises(LimitError, match="unsupported: tanh, a function of a matrix's entries"):
        trained(lambda p, x: p["v"] @ (tn.tanh(p["W"]) @ p["u"]))
    with pytest.raises(LimitError, match="unsupported: matmul, a product of two matrices"):
        trained(lambda p, x: p["v"] @ (tn.tanh(p["W"] @ p["W"]) @ p["u"]))
    with pytest.raises(LimitError, match="unsupported: cumulative_sum, no rule takes it to the limit"):
        trained(lambda p, x: tn.mean(tn.cumulative_sum(p["u"])))


def test_a_transposed_product_has_the_gradient_of_the_matrix(backend: str) -> None:
    """The updates of W from W^T x, between two widths, beside what a framework's own gradient gives."""
    q = Parameters()
    q.program.dimension("n", 1)
    q.program.dimension("m", "1/2")
    W = q.matrix("W", rows="m", columns="n")
    u, v = q.vector("u", dimension="m"), q.vector("v", role="output", dimension="n")
    net = train(q, lambda t, x: t.readout(v, t.nonlin("tanh", t.matmul(W, u, transposed=True))), [1], [1], steps=1,
                optimizer=SGD(0.7), tiers="AD", particles=2**12)  # fmt: skip
    run = net.program.simulate(60, seeds=1, backend=backend, key=2, keep_matrices=True)
    to_numpy = get(backend).to_numpy
    at = {x.name: to_numpy(a) for x, a in run.vectors[0].items() if x.name in ("u", "v")}
    matrix = to_numpy(run.matrices[0][W.start])
    m, n = matrix.shape
    assert (m, n) == (30, 60)
    h = matrix.T @ at["u"]
    f = np.mean(at["v"] * np.tanh(h))
    slope = (f - 1) * at["v"] * (1 - np.tanh(h) ** 2) / n  # dL/dh
    moved = {
        "u": at["u"] - 0.7 * m * (matrix @ slope),
        "v": at["v"] - 0.7 * (f - 1) * np.tanh(h),
        "W": matrix - 0.7 * np.outer(at["u"], slope),
    }
    after = np.mean(moved["v"] * np.tanh(moved["W"].T @ moved["u"]))
    assert [run[f].mean for (f,) in net.outputs] == pytest.approx([f, after], rel=1e-9)
