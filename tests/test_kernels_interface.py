"""Kernels between sets, in blocks, in other precision; what they predict; and what is refused, with its line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_models import NETWORKS, X, perceptron, root

import tensoria as tn
from tensoria.errors import DomainError, LimitError, MatrixError, ShapeError
from tensoria.limits.language import activations
from tensoria.limits.laws import Law

MANY = np.random.default_rng(0).normal(size=(7, 4))
ONE = Law(1.0)


@pytest.fixture(scope="module")
def tp() -> Any:
    """A network of two hidden layers."""
    return perceptron("relu", 1.5, 0.3, 2)


# -- kernels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["nngp", "ntk"])
def test_a_kernel_between_sets_is_a_block_of_the_whole(tp: Any, which: str, backend: str) -> None:
    kernel = getattr(tp, which)
    whole = np.asarray(kernel(MANY).array)
    x = tn.asarray(MANY).to(backend=backend)
    for part in (kernel(x[:3], x[3:]), kernel(x[:3], x[3:], block=2)):
        assert part.backend == backend
        np.testing.assert_allclose(np.asarray(part.to(backend="numpy").array), whole[:3, 3:], rtol=1e-12)
    np.testing.assert_allclose(
        np.asarray(kernel(x, diagonal=True, block=3).to(backend="numpy").array), whole.diagonal(), rtol=1e-12
    )


@settings(max_examples=10)
@given(st.integers(1, 9))
def test_blocks_of_any_size_make_the_same_kernel(block: int) -> None:
    tp = perceptron("erf", 1.5, 0.3, 1)
    np.testing.assert_allclose(tp.ntk(MANY, block=block).array, tp.ntk(MANY).array, rtol=1e-12)


def test_entries_of_parameters_make_no_block_smaller() -> None:
    """Their covariances are the same for all examples; those of pixels are not."""
    assert perceptron("relu", 1.5, 0.3, 1, inputs=64).block == 1024

    def pixels(x: Any, kernel: Any, v: Any) -> Any:
        return tn.mean(tn.relu(x @ kernel), axis=1) @ v  # a vector for each of 64 pixels, and their mean

    ones = [tn.asarray(np.ones(shape)) for shape in ((2, 64, 3), (3, 8), (8, 1))]
    sizes: dict[str, Any] = {"x": ("batch", None, None), "kernel": (None, "n"), "v": ("n", None)}
    p = tn.trace(pixels, *ones, dynamic=sizes)
    assert tn.limits.analyse(p, widths=("n",), laws={"kernel": ONE, "v": ONE}).block == 2048 // 64


def test_progress_tells_how_many_blocks_are_done(tp: Any, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[tuple[int, int]] = []
    tp.nngp(MANY, block=3, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(n, 6) for n in range(1, 7)]  # the blocks on and above the diagonal
    tp.nngp(MANY, block=4, progress=True)
    assert "3/3 blocks" in capsys.readouterr().err


def test_kernels_are_positive_and_symmetric(tp: Any) -> None:
    for kernel in (tp.nngp(MANY).array, tp.ntk(MANY).array):
        np.testing.assert_allclose(kernel, kernel.T, rtol=1e-12)
        assert np.linalg.eigvalsh(kernel).min() > 0


def test_precision_is_the_inputs_or_chosen(tp: Any) -> None:
    assert tp.nngp(MANY.astype("float32")).dtype is tn.float32
    assert tp.nngp(MANY.astype("float32"), dtype="float64").dtype is tn.float64
    np.testing.assert_allclose(tp.ntk(MANY.astype("float32")).array, tp.ntk(MANY).array, rtol=1e-5)


def test_inputs_twice_and_orthogonal_ones_are_no_special_case(tp: Any) -> None:
    x = np.concatenate([MANY[:2], MANY[:2], -MANY[:1]])
    kernel = tp.ntk(x).array
    assert np.isfinite(kernel).all()
    np.testing.assert_allclose(kernel[:2, 2:4], kernel[:2, :2], rtol=1e-6)


def test_images_are_computed_in_smaller_blocks(tp: Any) -> None:
    def net(x, U, v):  # type: ignore[no-untyped-def]
        return tn.mean(tn.relu(x @ U), axis=1) @ v

    ones = tn.asarray(np.ones((2, 64, 3))), tn.asarray(np.ones((3, 8))), tn.asarray(np.ones(8))
    program = tn.trace(net, *ones, dynamic={"x": ("batch", None, None), "U": (None, "n"), "v": ("n",)})
    images = tn.limits.analyse(program, widths=("n",), laws={"U": ONE, "v": Law(1.0, -1)})  # type: ignore[arg-type]
    assert tp.block == 1024
    assert images.block**2 * 64**2 <= 2**22
    x = np.random.default_rng(1).normal(size=(5, 64, 3))
    np.testing.assert_allclose(images.nngp(x, block=2).array, images.nngp(x, block=0).array, rtol=1e-12)


def test_a_dropout_mask_is_its_own_for_every_example() -> None:
    keep = 0.8

    def net(x, U, mask, v):  # type: ignore[no-untyped-def]
        return (tn.relu(x @ U) * mask) @ v

    given = [tn.asarray(np.ones(shape)) for shape in ((2, 4), (4, 8), (2, 8), (8,))]
    sizes = {"x": ("batch", None), "U": (None, "n"), "mask": ("batch", "n"), "v": ("n",)}
    laws = {"U": ONE, "v": Law(1.0, -1), "mask": Law((1 - keep) / keep, mean=1.0)}  # type: ignore[arg-type]
    tp = tn.limits.analyse(tn.trace(net, *given, dynamic=sizes), widths=("n",), laws=laws, frozen=("mask",))
    without = perceptron("relu", 1.0, 0.0, 1).nngp(2 * X).array
    scaled = without + np.diag(without.diagonal() * (1 / keep - 1))  # E[mask^2] = 1 / keep, for an example with itself
    np.testing.assert_allclose(tp.nngp(X).array, scaled, rtol=1e-12)
    np.testing.assert_allclose(tp.nngp(X, X.copy()).array, without, rtol=1e-12)
    np.testing.assert_allclose(tp.nngp(X, diagonal=True).array, scaled.diagonal(), rtol=1e-12)


def test_networks_are_simulated_on_the_examples_of_the_analysis_unless_others_are_given() -> None:
    torch = pytest.importorskip("torch")

    def make(n: int) -> Any:
        return torch.nn.Sequential(torch.nn.Linear(4, n), torch.nn.ReLU(), torch.nn.Linear(n, 2))

    tp = tn.limits.analyse(make, torch.tensor(X, dtype=torch.float32), widths=(8, 16, 32), gaussian=True)
    found = tp.simulate(width=16, seeds=2).outputs
    np.testing.assert_allclose(found, tp.simulate(X.astype("float32"), 16, 2).outputs, atol=1e-6)
    with pytest.raises(LimitError, match="no examples"):
        perceptron("relu", 1.0, 0.0, 1).simulate(width=16)


def test_frozen_parameters_have_no_tangents() -> None:
    program = perceptron("relu", 1.5, 0.3, 1).widened
    whole = tn.limits.analyse(program)
    readout = tn.limits.analyse(program, frozen=("hidden*", "biases*", "c"))
    np.testing.assert_allclose(readout.ntk(X).array, whole.nngp(X).array - 0.09, rtol=1e-12)


# -- predictions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("time", [None, 1.0, 10.0])
@pytest.mark.parametrize("kernel", ["nngp", "ntk"])
def test_gradient_flow_has_the_mean_and_covariance_of_the_file(time: float | None, kernel: str, backend: str) -> None:
    entry = NETWORKS["predict_gd_mse_ensemble"]
    tp, x = perceptron("relu", 1.5, 0.3, 1), tn.asarray(X).to(backend=backend)
    found = tp.predict(x, np.array([[1.0], [-0.5]]), np.array(entry["X_test"]), kernel=kernel, time=time, rate=0.1,
                       backend=backend)  # fmt: skip
    wanted = entry[f"t={time},{kernel}"]
    assert found.covariance is not None
    np.testing.assert_allclose(np.asarray(found.mean.to(backend="numpy").array), wanted["mean"], atol=1e-9)
    np.testing.assert_allclose(np.asarray(found.covariance.to(backend="numpy").array), wanted["cov"], atol=1e-9)


def test_the_largest_stable_learning_rate_is_the_files() -> None:
    kernel = perceptron("relu", 1.5, 0.3, 1).ntk(X)
    found = tn.limits.max_learning_rate(kernel, size=1)
    assert found == pytest.approx(NETWORKS["max_learning_rate"]["value"], rel=1e-9)


def test_the_flow_begins_at_the_prior_and_ends_at_its_end(tp: Any) -> None:
    y, x, x_test = np.arange(4.0)[:, None], MANY[:4], MANY[4:]
    start = tp.predict(x, y, x_test, time=0.0)
    np.testing.assert_allclose(start.mean.array, 0, atol=1e-12)
    np.testing.assert_allclose(start.covariance.array, tp.nngp(x_test).array, rtol=1e-9)
    late, end = tp.predict(x, y, x_test, time=1e9), tp.predict(x, y, x_test)
    np.testing.assert_allclose(late.mean.array, end.mean.array, atol=1e-6)
    np.testing.assert_allclose(tp.predict(x, y, x).mean.array, y, atol=1e-8)


def test_predictions_refuse_what_makes_no_sense(tp: Any) -> None:
    twice = np.concatenate([MANY[:1], MANY[:1]])
    with pytest.raises(MatrixError, match="singular"):
        tp.predict(twice, np.ones((2, 1)), MANY)
    with pytest.raises(MatrixError, match="not positive definite"):
        tn.limits.posterior(np.array([[1.0, 2.0], [2.0, 1.0]]), np.ones((2, 1)), np.ones((1, 2)))
    with pytest.raises(DomainError, match="time"):
        tp.predict(MANY[:2], np.ones((2, 1)), MANY, time=-1.0)
    with pytest.raises(ShapeError, match="targets"):
        tp.predict(MANY[:2], np.ones((3, 1)), MANY)
    with pytest.raises(LimitError, match="kernel="):
        tp.predict(MANY[:2], np.ones((2, 1)), MANY, kernel="rbf")


# -- what is refused --------------------------------------------------------------------------------------------------

SIZES: dict[str, Any] = {"x": ("batch", None), "W": ("n", "n"), "U": (None, "n"), "v": ("n",), "V": ("n", None)}


def refused(function: Any, laws: dict[str, Law] | None = None, kernel: str = "ntk", x: Any = X) -> str:
    """The message with which a function of x, U [4, n], W [n, n] and v [n] or V [n, 2] is refused."""
    names = function.__code__.co_varnames[1 : function.__code__.co_argcount]
    shapes = {"W": (8, 8), "U": (4, 8), "v": (8,), "V": (8, 2)}
    given = [tn.asarray(np.ones(shapes[name])) for name in names]
    program = tn.trace(function, tn.asarray(X), *given, dynamic={k: SIZES[k] for k in ("x", *names)})
    known = {"W": Law(1.0, -1), "v": Law(1.0, -1), "V": Law(1.0, -1), "U": ONE} | (laws or {})  # type: ignore[arg-type]

    def attempt() -> None:
        tp = tn.limits.analyse(program, widths=("n",), laws={name: known[name] for name in names})
        getattr(tp, kernel)(x)

    with pytest.raises(LimitError) as error:
        attempt()
    return str(error.value)


def test_a_softmax_over_the_width_is_refused_with_its_line() -> None:
    message = refused(lambda x, U, v: tn.softmax(x @ U, axis=-1) @ v)
    assert message.startswith("unsupported: ")
    assert "along the width" in message
    assert __file__ in message


def test_attention_logits_divided_by_a_root_stay_random() -> None:
    def net(x, U, W, v):  # type: ignore[no-untyped-def]
        h = x @ U
        logits = tn.matmul(h @ W, tn.matrix_transpose(h)) / root(W.shape[0])
        return tn.softmax(logits, axis=-1) @ h @ v

    message = refused(net)
    assert "stays random" in message
    assert "by the width" in message
    assert __file__ in message


def test_a_sum_that_grows_has_no_limit() -> None:
    message = refused(lambda x, U, W, v: tn.tanh((x @ U) @ W) @ v, {"W": ONE})
    assert "grows like n^1/2" in message
    assert __file__ in message


def test_a_matrix_used_as_its_transpose_makes_gradients_dependent() -> None:
    message = refused(lambda x, U, W, v: tn.relu(tn.relu(x @ U @ W) @ tn.matrix_transpose(W)) @ v)
    assert "transpose" in message


def test_a_readout_that_is_used_elsewhere_makes_gradients_dependent() -> None:
    message = refused(lambda x, U, v: tn.relu(x @ U + v) @ v)
    assert "readout" in message or "no limit" in message or "without a kernel" in message


def test_the_tangents_of_a_function_of_the_output_are_random() -> None:
    message = refused(lambda x, U, V: tn.tanh(tn.relu(x @ U) @ V))
    assert "random" in message


def test_pytorchs_default_input_layer_keeps_its_law_unless_it_is_taken_as_gaussian() -> None:
    torch = pytest.importorskip("torch")

    def make(n: int) -> Any:
        layers = torch.nn.Linear(4, n), torch.nn.ReLU(), torch.nn.Linear(n, n), torch.nn.Tanh(), torch.nn.Linear(n, 1)
        return torch.nn.Sequential(*layers).double()

    example = (torch.tensor(X),)
    tp = tn.limits.analyse(make, example)
    assert "0.weight" in str(tp)
    assert any("universality" in note for note in tp.notes())
    rng, count = np.random.default_rng(0), 1_000_000

    def tanh(relu: Any) -> Any:
        z = np.linalg.cholesky(relu / 3) @ rng.normal(size=(2, count))
        return np.tanh(z) @ np.tanh(z).T / count / 3

    # Uniform on (-1/sqrt(4), 1/sqrt(4)) has the variance 1/12; hidden layers have 1/(3 n), their biases vanish.
    h = np.maximum(X @ rng.uniform(-0.5, 0.5, (4, count)) + rng.uniform(-0.5, 0.5, count), 0)
    np.testing.assert_allclose(tp.nngp(X).array, tanh(h @ h.T / count), rtol=0.01)
    np.testing.assert_allclose(tp.nngp(X, diagonal=True).array, tp.nngp(X).array.diagonal(), rtol=0.01)
    np.testing.assert_allclose(tp.nngp(X, X[:1]).array, tp.nngp(X).array[:, :1], rtol=0.01)
    taken = tn.limits.analyse(make, example, gaussian=True)
    given = np.array([[q if i == j else X[0] @ X[1] for j, q in enumerate((X[i] ** 2).sum() for i in (0, 1))]
                      for i in (0, 1)]) / 12 + 1 / 12  # fmt: skip
    size = np.sqrt(np.outer(given.diagonal(), given.diagonal()))
    angle = np.arccos(np.clip(given / size, -1, 1))
    relu = size * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi)
    np.testing.assert_allclose(taken.nngp(X).array, tanh(relu), rtol=0.01)


def test_the_tangent_kernel_keeps_the_law_of_an_input_layer() -> None:
    """One hidden layer: E phi'(x u) phi'(y u) x y + E phi phi, with u uniform, beside an integral on a grid."""
    n, batch = tn.dim("n"), tn.dim("batch")
    sizes = {"x": (batch, None), "U": (None, n), "v": (n,)}
    ones = np.ones((2, 2)), np.ones((2, 4)), np.ones(4)
    p = tn.trace(lambda x, U, v: tn.tanh(x @ U) @ v / root(v.shape[0]), *ones, dynamic=sizes)
    laws = {"U": Law(1.0, distribution="uniform"), "v": ONE}
    tp = tn.limits.analyse(p, widths=("n",), laws=laws)
    x = X[:, :2]
    u = 3**0.5 * (2 * (np.arange(1000) + 0.5) / 1000 - 1)
    h = np.tanh(x[:, 0, None, None] * u[:, None] + x[:, 1, None, None] * u).reshape(2, -1)
    slopes = 1 - h**2
    expected = (h @ h.T + (slopes @ slopes.T) * (x @ x.T)) / h.shape[1]
    np.testing.assert_allclose(tp.ntk(x).array, expected, rtol=2e-3)
    np.testing.assert_allclose(tp.ntk(x, diagonal=True).array, expected.diagonal(), rtol=2e-3)


def test_functions_of_matrices_are_refused() -> None:
    assert "a function of a matrix" in refused(lambda x, U, W, v: (x @ U) @ tn.tanh(W) @ v)
    assert "multiply the vector first" in refused(lambda x, U, W, v: (x @ U) @ (W @ W) @ v)


def test_a_missing_law_is_asked_for() -> None:
    torch = pytest.importorskip("torch")

    class Net(torch.nn.Module):
        def __init__(self, n: int) -> None:
            super().__init__()
            self.W = torch.nn.Parameter(torch.ones(n, 4, dtype=torch.float64).cumsum(0))
            self.v = torch.nn.Linear(n, 1, dtype=torch.float64)

        def forward(self, x):  # type: ignore[no-untyped-def]
            return self.v(torch.relu(x @ self.W.T))

    with pytest.raises(LimitError, match="law of W is not known"):
        tn.limits.analyse(Net, (torch.ones(2, 4, dtype=torch.float64),))


# -- what a program is ------------------------------------------------------------------------------------------------


def test_a_program_prints_in_the_papers_notation(tp: Any) -> None:
    text = str(tp)
    assert "hidden_1 : A(n, n)" in text
    assert "h1 : H(n)" in text
    assert "MatMul" in text
    assert tp.language == "NETSOR"
    assert tp.classify().holds


def test_normalisation_needs_moments() -> None:
    def net(x, U, v):  # type: ignore[no-untyped-def]
        h = activations.gelu(x @ U)
        return h / tn.sqrt(tn.mean(h * h, axis=-1, keepdims=True)) @ v

    ones = tn.asarray(X), tn.asarray(np.ones((4, 8))), tn.asarray(np.ones(8))
    program = tn.trace(net, *ones, dynamic={k: SIZES[k] for k in "xUv"})
    tp = tn.limits.analyse(program, widths=("n",), laws={"U": ONE, "v": Law(1.0, -1)})  # type: ignore[arg-type]
    assert tp.language == "NETSOR+"
    np.testing.assert_allclose(tp.nngp(X, diagonal=True).array, 1.0, rtol=1e-12)
