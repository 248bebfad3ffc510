"""The language of Tensor Programs: how programs are written and printed, what is refused, which language they need."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tensor_programs import autoencoder, two_layers

import tensoria as tn
from tensoria.discovery import get
from tensoria.errors import LimitError
from tensoria.limits.language.activations import ACTIVATIONS, rectified
from tensoria.limits.language.continuity import breaks_of, controlled, parameter_controlled, pseudo_lipschitz
from tensoria.limits.language.growth import growth
from tensoria.limits.language.nonlinearity import Nonlinearity, traced


def test_a_program_prints_in_the_papers_notation() -> None:
    p = tn.limits.TensorProgram()
    p.dimension("n", 1)
    p.dimension("m", "1/2")
    A, x = p.matrix("A", variance=2, rows="m", columns="n"), p.vector("x", mean=1)
    h = p.matmul(A, x, name="h")
    c = p.moment(lambda h: h * h, h, name="c")
    z = p.nonlin(lambda h, c: h / (c + 1), h, c, name="z")
    p.matmul(A.T, z, name="y")
    p.outer_nonlin(lambda a, b: tn.tanh(a * b) * b, x, x, name="o")
    p.lincomb([2, -1, c], [x, x, x], name="s")
    lines = str(p).splitlines()
    assert lines[0] == "A : A(m, n), entries N(0, 2/n), rho = 1/2"
    assert [line.split("=")[0].strip() for line in lines[1:]] == [
        "x : G(n)", "h : G(m)", "c : C", "z : H(m)", "y : G(n)", "o : H(n)", "s : G(n)",
    ]  # fmt: skip
    assert [line.split(" = ")[1].rsplit("  ", 1)[0].strip() for line in lines[1:]] == [
        "N(1, 1)", "A x", "mean(h * h)", "h / (c + 1)", "A^T z", "mean_b(tanh(x_a * x_b) * x_b)", "2 x - x + c x",
    ]  # fmt: skip
    assert [line.rsplit("  ", 1)[1] for line in lines[1:]] == [
        "Input", "MatMul", "Moment", "Nonlin+", "MatMul, transposed", "OuterNonlin", "LinComb",
    ]  # fmt: skip


def test_widths_that_are_joined_are_one_and_a_conflict_names_the_line() -> None:
    p = tn.limits.TensorProgram()
    p.dimension("n", 1)
    p.dimension("m", 2)
    A = p.matrix("A", rows="m", columns="n")
    x, y = p.vector("x", dimension="n"), p.vector("y", dimension="m")
    z = p.vector("z")
    p.nonlin(lambda a, b: a * b, A @ x, z)
    assert z.dimension.root is p.dimension("m").root
    with pytest.raises(LimitError, match=r"inconsistent widths: A y at .*test_limits_language\.py:\d+"):
        p.matmul(A, y)
    with pytest.raises(LimitError, match=r"inconsistent widths: the sum of x, y at .*test_limits_language"):
        p.lincomb([1, 1], [x, y])
    with pytest.raises(LimitError, match="inconsistent widths: m is declared as 2 and 3"):
        p.dimension("m", 3)


def test_a_transpose_is_refused_where_the_language_has_none() -> None:
    p = tn.limits.TensorProgram(transposes=False)
    W = p.matrix("W")
    with pytest.raises(LimitError, match=r"W\^T at .*test_limits_language\.py:\d+: NETSOR and NETSOR\+ have no"):
        p.transpose(W)


def test_a_covariance_that_is_not_positive_semidefinite_is_refused() -> None:
    p = tn.limits.TensorProgram()
    with pytest.raises(LimitError, match=r"covariance of x, y is not positive semidefinite: .* -1.*language\.py:\d+"):
        p.vectors(["x", "y"], covariance=[[1, 2], [2, 1]])
    with pytest.raises(LimitError, match="not symmetric"):
        p.vectors(["x", "y"], covariance=[[1, 0], [1, 1]])
    with pytest.raises(LimitError, match="variance of W is -1, a negative number"):
        p.matrix("W", variance=-1)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("nonsense", "unknown nonlinearity 'nonsense'"),
        (3, "a nonlinearity is a function of tensors or a name, not 3"),
        (lambda x: x / tn.sum(x), r"unsupported: sum, moment\(\.\.\.\) is the mean over a width.*language\.py:\d+"),
        (lambda x: x * x.shape[0], r"unsupported: size, a width is no number in the limit"),
        (lambda x: tn.softmax(x, 0), r"unsupported: max, it is not coordinatewise; at .*language\.py:\d+"),
        (lambda x: tn.cumulative_sum(x), "unsupported: cumulative_sum, it is not coordinatewise"),
        (lambda x: x if x[0] > 0 else -x, "a number is asked of a tensor"),
    ],
)
def test_what_is_no_nonlinearity_is_refused_with_its_line(function: object, message: str) -> None:
    p = tn.limits.TensorProgram()
    x = p.vector("x")
    with pytest.raises(LimitError, match=message):
        p.nonlin(function, x)


def test_variables_of_other_programs_and_names_that_are_taken_are_refused() -> None:
    p, q = tn.limits.TensorProgram(), tn.limits.TensorProgram()
    x = p.vector("x")
    with pytest.raises(LimitError, match="x belongs to another program"):
        q.nonlin("relu", x)
    with pytest.raises(LimitError, match="has a variable 'x' already"):
        p.vector("x")


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_a_nonlinearity_and_its_derivative_are_the_same_on_every_backend(name: str, backend: str) -> None:
    phi, target = traced(name, 1), get(backend)
    x = np.linspace(-2.3, 2.6, 8)
    array = target.asarray(x, tn.float64, None, None)
    value = target.to_numpy(phi.evaluate(target, [array]))
    slope = np.broadcast_to(target.to_numpy(phi.derivative().evaluate(target, [array])), x.shape)
    numpy = get("numpy")
    h = 1e-6
    np.testing.assert_allclose(value, phi.evaluate(numpy, [x]), rtol=1e-13, atol=1e-13)
    between = (phi.evaluate(numpy, [x + h]) - phi.evaluate(numpy, [x - h])) / (2 * h)
    np.testing.assert_allclose(slope, between, rtol=1e-7, atol=1e-8)


def test_a_nonlinearity_is_read_from_the_instructions_of_a_program() -> None:
    ones = tn.asarray(np.ones((2, 3), "float32"))
    p = tn.trace(lambda x, y: tn.relu(x) * 2 + tn.tanh(y), ones, ones)
    phi = Nonlinearity.from_region(p, 2)
    found = phi.evaluate(get("numpy"), [np.array([1.0, -1.0]), np.array([0.5, 0.5])])
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, [2 + math.tanh(0.5), math.tanh(0.5)], rtol=1e-15)
    with pytest.raises(LimitError, match=r"unsupported: matmul, matmul\(W, x\) is an instruction of its own"):
        Nonlinearity.from_region(tn.trace(lambda x: x @ x, tn.asarray(np.eye(2))), 1)


# -- classification ---------------------------------------------------------------------------------------------------


def _program(what: str) -> tn.limits.TensorProgram:
    p = tn.limits.TensorProgram()
    W, x = p.matrix("W"), p.vector("x")
    h = W @ x
    z = p.nonlin("relu", h)
    if "T" in what:
        z = W.T @ z
    if "+" in what:
        z = p.nonlin(lambda z, c: z / c, z, p.moment(tn.square, z))
    if "outer" in what:
        p.outer_nonlin(lambda a, b: tn.tanh(a * b), z, z)
    return p


@pytest.mark.parametrize(
    ("what", "language"),
    [("", "NETSOR"), ("+", "NETSOR+"), ("T", "NETSOR-T"), ("T+", "NETSOR-T+"), ("T+ outer", "NE-OR-T")],
)
def test_the_smallest_sufficient_language_is_found(what: str, language: str) -> None:
    p = _program(what)
    found = p.classify()
    assert found.language == language
    assert str(found).startswith(f"language: {language}")


def test_a_given_number_is_no_empirical_moment() -> None:
    p = tn.limits.TensorProgram()
    x, c = p.vector("x"), p.scalar(2)
    p.nonlin(lambda x, c: x * c, x, p.scalar_function(lambda c: c + 1, c))
    assert p.classify().language == "NETSOR"


@pytest.mark.parametrize(
    ("function", "grows", "lipschitz", "kinks", "jumps"),
    [
        ("relu", True, True, ["x1 = 0"], []),
        ("leaky_relu", True, True, ["x1 = 0"], []),
        ("gelu", True, True, [], []),
        ("hardtanh", True, True, ["x1 + 1 = 0", "x1 - 1 = 0"], []),
        ("softplus", True, True, [], []),
        ("tanh", True, True, [], []),
        ("sign", True, False, [], ["x1 = 0"]),
        ("step", True, False, [], ["x1 = 0"]),
        (lambda x: tn.clip(x, -1, 2), True, True, ["x1 + 1 = 0", "x1 - 2 = 0"], []),
        (lambda x: tn.where(x > 1, x * x, 2 * x - 1), True, True, ["x1 - 1 = 0"], []),
        (lambda x: tn.where(x > 1, x * x, 2 * x), True, False, [], ["x1 - 1 = 0"]),
        (lambda x: rectified(x, 2), True, True, ["x1 = 0"], []),
        (lambda x: tn.floor(x), True, False, [], ["floor"]),
        (lambda x: x**5, True, True, [], []),
        ("exp", False, False, [], []),
        (lambda x: tn.exp(-(x * x)), True, True, [], []),
    ],
)
def test_growth_and_continuity_are_decided(
    function: object, grows: bool, lipschitz: bool, kinks: list[str], jumps: list[str]
) -> None:
    phi = traced(function, 1)
    assert growth(phi).polynomial is grows
    assert pseudo_lipschitz(phi).holds is lipschitz
    found = breaks_of(phi)
    assert sorted(found[0]) == sorted(kinks)
    assert found[1] == jumps


def test_controlled_functions_grow_slower_than_a_gaussian_falls() -> None:
    assert controlled(traced("exp", 1)).holds is True
    assert controlled(traced(lambda x: tn.exp(tn.abs(x) ** 1.9), 1)).holds is True
    assert controlled(traced(lambda x: tn.exp(x * x), 1)).holds is False


def test_what_can_not_be_decided_says_so_and_why() -> None:
    answer = pseudo_lipschitz(traced(lambda x: tn.sqrt(tn.abs(x)), 1))
    assert answer.holds is None
    assert "a divisor may be 0" in answer.reason
    answer = controlled(traced(lambda x: tn.log(x), 1))
    assert answer.holds is None
    assert "a logarithm of what may be 0, at" in answer.reason
    # The bound is an upper one: logaddexp's derivative is exp(...) as it is written, and no "no" comes of that.
    assert growth(traced(lambda x: tn.exp(x - tn.abs(x)), 1)).polynomial is not False


def test_parameter_control_looks_at_the_neighbourhood_of_the_limit() -> None:
    ratio = traced(lambda z, c: z / c, 1, 1)
    assert parameter_controlled(ratio, [(0.9, 1.1)]).holds is True
    assert parameter_controlled(ratio, [(-0.1, 0.1)]).holds is None
    jump = parameter_controlled(traced(lambda z, c: tn.sign(z - c), 1, 1), [(0.0, 0.1)])
    assert jump.holds is None
    assert "a jump whose place depends on a scalar" in jump.reason


def test_layer_normalisation_before_a_relu_meets_its_conditions_at_the_limit() -> None:
    p = tn.limits.TensorProgram()
    W, x = p.matrix("W"), p.vector("x")
    h = W @ x
    m = p.moment(lambda h: h, h)
    v = p.moment(lambda h, m: (h - m) ** 2, h, m)
    p.nonlin(lambda h, m, v: tn.relu((h - m) / tn.sqrt(v + 1e-5)), h, m, v)
    assert p.classify().holds is None
    found = p.classify(p.limit())
    assert found.language == "NETSOR+"
    assert found.holds is True


def test_gradients_are_independent_of_a_readout_that_is_used_backwards_only() -> None:
    p, at = two_layers()
    found = p.classify().gradient_independence
    assert found.holds is True
    assert "the readout v is zero-mean, independent" in found.reason
    limit = p.limit()
    assert limit.dots(at["dz"]) == {}


def test_gradients_depend_where_a_matrix_and_its_transpose_meet_forward() -> None:
    p, _, _ = autoencoder()
    found = p.classify().gradient_independence
    assert found.holds is False
    assert "the forward pass uses W and its transpose (g1 = W x)" in found.reason


@pytest.mark.parametrize("fault", ["mean", "correlated", "squared"])
def test_a_readout_with_a_mean_or_used_otherwise_breaks_independence(fault: str) -> None:
    p = tn.limits.TensorProgram()
    W = p.matrix("W")
    covariance = [[1, 0.5], [0.5, 1]] if fault == "correlated" else [[1, 0], [0, 1]]
    x, v = p.vectors(["x", "v"], mean=[0, 1 if fault == "mean" else 0], covariance=covariance)
    h = W @ x
    p.matmul(W.T, p.nonlin((lambda v, h: v * v * h) if fault == "squared" else (lambda v, h: v * h), v, h))
    found = p.classify().gradient_independence
    assert found.holds is False


def test_an_update_of_the_weights_breaks_independence() -> None:
    p, at = two_layers()
    z = p.lincomb([1, -0.1], [at["z"], at["dz"]])
    p.matmul(p.matrices["W"], p.nonlin("tanh", z))
    assert p.classify().gradient_independence.holds is False
