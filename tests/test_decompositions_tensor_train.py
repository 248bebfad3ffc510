"""Tensor train: TT-SVD against plain NumPy, against TensorLy, its error bound, and trains of operators."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import tensorly
from across import installed, native, refusal, values
from hypothesis import given
from hypothesis import strategies as st
from tensorly.decomposition import tensor_train as their_train

import tensoria as tn
from tensoria.errors import AxisError, DomainError, MetricError, ShapeError

G = np.array([[2.0, 1.0, 0.0, 0.0], [1.0, 3.0, 0.5, 0.0], [0.0, 0.5, 2.0, 1.0], [0.0, 0.0, 1.0, 4.0]])
V = tn.Space("V", 4, metric=G)
W = tn.Space("W", 5, metric=[1, 2, 3, 4, 5])
N = tn.Space("N", 6, privileged=True)


def noise(shape: tuple[int, ...], kind: str = "real", seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    return x + 1j * rng.normal(size=shape) if kind == "complex" else x


def chain(shape: tuple[int, ...], rank: int, kind: str = "real") -> Any:
    """A tensor whose train has bonds of that size."""
    made = np.ones((1, 1))
    for n, size in enumerate(shape):
        core = noise((made.shape[-1], size, 1 if n == len(shape) - 1 else rank), kind, n)
        made = np.tensordot(made, core, (-1, 0))
    return made.reshape(shape)


def tt_svd(x: Any, ranks: tuple[int, ...]) -> Any:
    """Oseledets, algorithm 1, with fixed ranks: the approximation."""
    made, rest, before = np.ones((1, 1)), x, 1
    for size, rank in zip(x.shape, ranks, strict=False):
        u, s, vh = np.linalg.svd(rest.reshape(before * size, -1), full_matrices=False)
        made = np.tensordot(made, u[:, :rank].reshape(before, size, rank), (-1, 0))
        rest, before = s[:rank, None] * vh[:rank], rank
    return np.tensordot(made, rest.reshape(before, -1), (-1, 0)).reshape(x.shape)


@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 6), (2, 3, 4, 3, 2)])
def test_a_tensor_of_low_rank_comes_back(backend: str, kind: str, shape: tuple[int, ...]) -> None:
    x = chain(shape, 2, kind)
    ranks = (2,) * (len(shape) - 1)
    for more in ({"ranks": ranks}, {"tolerance": 1e-9}, {"ranks": 3}):
        found = tn.tensor_train(native(backend, x), **more)  # type: ignore[arg-type]
        np.testing.assert_allclose(values(found.tensor()), x, atol=1e-11 * np.abs(x).max())
        assert found.errors[-1] < 1e-13
    assert tn.tensor_train(native(backend, x), tolerance=1e-9).ranks == ranks


@pytest.mark.parametrize("kind", ["real", "complex"])
def test_the_approximation_is_that_of_the_algorithm(backend: str, kind: str) -> None:
    x = noise((4, 5, 6, 3), kind)
    found = tn.tensor_train(native(backend, x), (3, 6, 2))
    np.testing.assert_allclose(values(found.tensor()), tt_svd(x, (3, 6, 2)), atol=1e-10)
    assert [core.shape for core in found] == [(4, 3), (3, 5, 6), (6, 6, 2), (2, 3)]


def test_the_approximation_is_tensorlys(backend: str) -> None:
    tensorly.set_backend("numpy")
    x = noise((7, 8, 9))
    theirs = tensorly.tt_to_tensor(their_train(x, [1, 4, 5, 1]))
    found = tn.tensor_train(native(backend, x), (4, 5))
    np.testing.assert_allclose(values(found.tensor()), theirs, atol=1e-10)


@given(
    st.lists(st.integers(1, 4), min_size=2, max_size=5),
    st.one_of(st.just(0.0), st.floats(1e-14, 0.95)),
    st.integers(0, 99),
)
def test_the_tolerance_bounds_the_error(shape: list[int], tolerance: float, seed: int) -> None:
    x = noise(tuple(shape), seed=seed)
    found = tn.tensor_train(x, tolerance=tolerance)
    error = np.linalg.norm(x - values(found.tensor())) / np.linalg.norm(x)
    assert error <= max(tolerance, 1e-13)
    np.testing.assert_allclose(found.errors[-1], error, rtol=1e-6, atol=1e-13)


@given(st.lists(st.integers(2, 4), min_size=3, max_size=5), st.integers(0, 999))
def test_the_error_is_quasi_optimal(shape: list[int], seed: int) -> None:
    x = noise(tuple(shape), seed=seed)
    # What each unfolding alone has to lose bounds the best error from below, their sum ours from above (theorem 2.2).
    cuts = [x.reshape(int(np.prod(shape[:n])), -1) for n in range(1, len(shape))]
    tails = [np.sum(np.linalg.svd(cut, compute_uv=False)[2:] ** 2) for cut in cuts]
    error = tn.tensor_train(x, 2).errors[-1] * np.linalg.norm(x)
    assert max(tails) - 1e-9 <= error**2 <= sum(tails) + 1e-9


@pytest.mark.parametrize("kind", ["real", "complex"])
def test_all_cores_but_the_last_are_orthonormal_from_the_left(backend: str, kind: str) -> None:
    # The second matrix is tall: there the columns come by way of the smaller Gram matrix.
    found = tn.tensor_train(native(backend, noise((4, 6, 3, 2), kind)), (4, 6, 2))
    for core in found.cores[:-1]:
        columns = values(core).reshape(-1, core.shape[-1])
        np.testing.assert_allclose(columns.conj().T @ columns, np.eye(columns.shape[1]), atol=1e-13)


def test_axes_can_be_ordered_and_share_a_core(backend: str) -> None:
    a, b = noise((3, 4)), noise((2, 5), seed=1)
    operator = np.einsum("ij,kl->ikjl", a, b)  # a tensor product of two maps is a train of bond 1
    found = tn.tensor_train(native(backend, operator), tolerance=1e-10, axes=[(0, 2), (1, 3)])
    assert found.ranks == (1,)
    assert [core.shape for core in found] == [(3, 4, 1), (1, 2, 5)]
    np.testing.assert_allclose(values(found.tensor()), operator, atol=1e-12)
    assert found.groups == ((0, 2), (1, 3))


def test_single_precision_stays_single(backend: str) -> None:
    found = tn.tensor_train(native(backend, chain((4, 5, 6), 2).astype("float32")), 2)
    assert found.errors[-1] < 1e-5
    assert {core.dtype for core in found} == {tn.float32}


# -- labelled tensors -------------------------------------------------------------------------------------------------


def labelled(backend: str, x: Any) -> tn.Tensor:
    return tn.tensor(native(backend, x), "^i _j ^k", i=V, j=W, k=N)


def test_the_product_of_the_cores_is_the_tensor(backend: str) -> None:
    t = labelled(backend, noise((4, 5, 6)))
    found = tn.tensor_train(t, 6)
    assert [str(core.axes) for core in found] == ["^i _b1", "^b1 _j _b2", "^b2 ^k"]
    made = found[0] * found[1] * found[2]
    assert made.axes is t.axes
    assert found.tensor().axes is t.axes
    np.testing.assert_allclose(values(made), values(t), atol=1e-12)
    grouped = tn.tensor_train(t, 6, axes=["k", "i j"])
    assert [str(core.axes) for core in grouped] == ["^k _b1", "^b1 ^i _j"]
    np.testing.assert_allclose(values((grouped[0] * grouped[1]).permuted("i j k")), values(t), atol=1e-12)
    assert grouped.tensor().axes is t.axes


def test_it_is_orthonormal_in_the_metrics_and_does_not_depend_on_the_basis(backend: str) -> None:
    t = labelled(backend, noise((4, 5, 6)))
    found = tn.tensor_train(t, (2, 3))
    first = values(found[0])
    np.testing.assert_allclose(first.T @ G @ first, np.eye(2), atol=1e-12)
    second = values(found[1])
    inverse = np.diag(1 / np.arange(1.0, 6))
    np.testing.assert_allclose(np.einsum("ajb,jk,akc->bc", second, inverse, second), np.eye(3), atol=1e-12)
    other = V.basis("other", [[1, 2, 0, 0], [0, 1, 0, 0], [1, 0, 1, 3], [0, 0, 0, 1]])
    again = tn.tensor_train(t.to_basis(other), (2, 3))
    np.testing.assert_allclose(again.errors, found.errors, rtol=1e-9)
    np.testing.assert_allclose(values(again.tensor().to_basis(V)), values(found.tensor()), atol=1e-9)


def test_two_cores_are_a_singular_value_decomposition(backend: str) -> None:
    t = labelled(backend, noise((4, 5, 6)))
    u, s, v = tn.svd(t, "i", "j k", rank=2)
    np.testing.assert_allclose(values(tn.tensor_train(t, 2, axes=["i", "j k"]).tensor()), values(u * s * v), atol=1e-10)


# -- the value, tracing -----------------------------------------------------------------------------------------------


def test_the_value_prints_copies_and_pickles(backend: str) -> None:
    found = tn.tensor_train(labelled(backend, noise((4, 5, 6))), (2, 3))
    assert repr(found) == (f"TensorTrain(cores 4x2, 2x5x3, 3x6 of ^i _j ^k, float64, {backend}, fit {found.fit:.6f})")
    assert len(found) == 3
    for twin in (pickle.loads(pickle.dumps(found)), copy.deepcopy(found), found.to(backend="numpy")):
        np.testing.assert_allclose(values(twin.tensor()), values(found.tensor()), atol=1e-14)
        assert twin[1].axes is found[1].axes
    with pytest.raises(AttributeError):
        found.cores = ()  # type: ignore[misc]


def test_with_given_ranks_it_can_be_compiled_and_differentiated(backend: str) -> None:
    x, d, h = noise((4, 5, 6)), noise((4, 5, 6), seed=5), 1e-6

    def approximated(a: Any) -> Any:
        return tn.tensor_train(tn.asarray(a), (2, 3)).tensor()

    if backend == "tensorflow" and backend in installed():
        import tensorflow as tf

        traced = tf.function(lambda a: approximated(a).array, autograph=False)
        np.testing.assert_allclose(values(traced(tf.constant(x))), tt_svd(x, (2, 3)), atol=1e-10)
    if backend == "torch":
        import torch

        compiled = torch.compile(lambda a: approximated(a).array, backend="eager", fullgraph=True)
        np.testing.assert_allclose(values(compiled(torch.asarray(x))), tt_svd(x, (2, 3)), atol=1e-10)

    def loss(t: Any) -> tn.Tensor:
        return tn.sum(tn.square(approximated(t)))

    slope = np.sum(values(tn.grad(loss)(tn.asarray(native(backend, x)))) * d)
    np.testing.assert_allclose(slope, (float(loss(x + h * d)) - float(loss(x - h * d))) / (2 * h), rtol=1e-5)


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_what_is_refused() -> None:
    x = noise((4, 5, 6))

    def train(data: Any, *arguments: Any, **more: Any) -> Any:
        return lambda name: tn.tensor_train(native(name, data), *arguments, **more)

    refusal(ShapeError, train(x), "ranks or a tolerance")
    refusal(ShapeError, train(x, 2, tolerance=0.1), "one of the two")
    refusal(ShapeError, train(x, tolerance=-0.5), "0 or more")
    refusal(ShapeError, train(x, (2,)), "1 ranks for the 2 bonds")
    refusal(ShapeError, train(x, 0), "1 or more, not 0")
    refusal(ShapeError, train(x, (5, 2)), "4x30 matrix", "4 at most")
    refusal(ShapeError, train(x, (1, 6)), "5x6 matrix", "5 at most")
    refusal(AxisError, train(x, 2, axes=[0, 1]), "not those of the tensor")
    refusal(AxisError, train(x, 2, axes=[(0, 1, 2)]), "two cores or more")
    refusal(AxisError, train(np.ones(3), 1), "2 or more axes")
    refusal(DomainError, train((1e30 * x).astype("float32"), 2), "overflow in float32", "float64")
    refusal(DomainError, train(np.where(x > 2, np.nan, x), 2), "not finite")
    refusal(DomainError, train(np.zeros((2, 2)), 1), "zeros")
    bare = tn.Space("bare", 4)
    refusal(
        MetricError,
        lambda name: tn.tensor_train(tn.tensor(native(name, x), "^i _j ^k", i=bare, j=W, k=N), 2),
        "no metric",
        "metric='components'",
    )
