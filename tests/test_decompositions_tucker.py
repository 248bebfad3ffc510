"""Tucker: HOSVD, ST-HOSVD and HOOI, against plain NumPy, against TensorLy, on exactly low rank."""

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
from tensorly.decomposition import partial_tucker

import tensoria as tn
from tensoria.errors import AxisError, BackendError, DomainError, DTypeError, MetricError, ModeError, ShapeError

G = np.array([[2.0, 1.0, 0.0, 0.0], [1.0, 3.0, 0.5, 0.0], [0.0, 0.5, 2.0, 1.0], [0.0, 0.0, 1.0, 4.0]])
V = tn.Space("V", 4, metric=G)
W = tn.Space("W", 5, metric=[1, 2, 3, 4, 5])
N = tn.Space("N", 6, privileged=True)
METHODS = ["hosvd", "st-hosvd", "hooi"]
SHAPE, RANKS = (4, 5, 6), (2, 3, 2)


def noise(shape: tuple[int, ...] = SHAPE, kind: str = "real", seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    return x + 1j * rng.normal(size=shape) if kind == "complex" else x


def low_rank(shape: tuple[int, ...] = SHAPE, ranks: tuple[int, ...] = RANKS, kind: str = "real") -> Any:
    x = noise(ranks, kind, 1)
    for n, (size, rank) in enumerate(zip(shape, ranks, strict=True)):
        x = np.moveaxis(np.tensordot(noise((size, rank), kind, n + 2), x, (1, n)), 0, n)
    return x


def unfolding(x: Any, n: int) -> Any:
    return np.moveaxis(x, n, 0).reshape(x.shape[n], -1)


def multiplied(core: Any, factors: Any) -> Any:
    for n, factor in enumerate(factors):
        core = np.moveaxis(np.tensordot(factor, core, (1, n)), 0, n)
    return core


def hosvd(x: Any, ranks: tuple[int, ...]) -> Any:
    """The truncated HOSVD by the definition: the approximation."""
    factors = [np.linalg.svd(unfolding(x, n))[0][:, :rank] for n, rank in enumerate(ranks)]
    return multiplied(multiplied(x, [f.conj().T for f in factors]), factors)


def hooi(x: Any, factors: Any, sweeps: int) -> list[float]:
    """Kolda and Bader, figure 4.4, word by word: the relative errors."""
    factors, errors = [np.linalg.qr(f)[0] for f in factors], []
    for _ in range(sweeps):
        for n in range(x.ndim):
            y = multiplied(x, [np.eye(x.shape[m]) if m == n else f.conj().T for m, f in enumerate(factors)])
            factors[n] = np.linalg.svd(unfolding(y, n))[0][:, : factors[n].shape[1]]
        core = multiplied(x, [f.conj().T for f in factors])
        errors.append(float(np.linalg.norm(x - multiplied(core, factors)) / np.linalg.norm(x)))
    return errors


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["real", "complex"])
def test_an_exactly_low_rank_tensor_comes_back(backend: str, method: Any, kind: str) -> None:
    x = low_rank(kind=kind)
    for found in (
        tn.tucker(native(backend, x), RANKS, method=method),
        tn.tucker(native(backend, x), tolerance=1e-9, method=method),
    ):
        assert found.ranks == RANKS
        np.testing.assert_allclose(values(found.tensor()), x, atol=1e-10 * np.abs(x).max())
        assert found.errors[-1] < 1e-12


@pytest.mark.parametrize("kind", ["real", "complex"])
def test_hosvd_is_that_of_the_definition(backend: str, kind: str) -> None:
    x = noise(kind=kind)
    found = tn.tucker(native(backend, x), RANKS, method="hosvd")
    np.testing.assert_allclose(values(found.tensor()), hosvd(x, RANKS), atol=1e-10)


@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize("shape", [SHAPE, (3, 4, 2, 5)])
def test_every_sweep_of_hooi_is_that_of_kolda_and_bader(backend: str, kind: str, shape: tuple[int, ...]) -> None:
    x = noise(shape, kind)
    ranks = (2, 3, 2, 2)[: len(shape)]
    init = [noise((size, rank), kind, 7) for size, rank in zip(shape, ranks, strict=True)]
    found = tn.tucker(native(backend, x), ranks, init=[native(backend, f) for f in init], sweeps=5, change=-1)
    np.testing.assert_allclose(found.errors, hooi(x, init, 5), rtol=1e-9)


def test_the_fit_is_tensorlys_from_the_same_start(backend: str) -> None:
    tensorly.set_backend("numpy")
    x = noise((7, 8, 9))
    init = [np.linalg.qr(noise((size, 3), seed=n))[0] for n, size in enumerate(x.shape)]
    begin = (multiplied(x, [f.T for f in init]), list(init))
    _, theirs = partial_tucker(x, [3, 3, 3], n_iter_max=6, init=begin, tol=1e-300)
    ours = tn.tucker(native(backend, x), 3, init=[native(backend, f) for f in init], sweeps=6, change=-1)
    np.testing.assert_allclose(ours.errors, theirs, rtol=1e-8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["real", "complex"])
def test_factors_are_orthonormal_and_the_error_is_the_true_one(backend: str, method: Any, kind: str) -> None:
    x = noise(kind=kind)
    found = tn.tucker(native(backend, x), RANKS, method=method)
    for factor in found.factors:
        columns = values(factor)
        np.testing.assert_allclose(columns.conj().T @ columns, np.eye(columns.shape[1]), atol=1e-12)
    np.testing.assert_allclose(
        found.errors[-1], np.linalg.norm(x - values(found.tensor())) / np.linalg.norm(x), rtol=1e-9
    )
    assert found.fit == 1 - found.errors[-1]


def test_the_error_of_hooi_never_rises(backend: str) -> None:
    found = tn.tucker(native(backend, noise((6, 7, 8))), 2, sweeps=20, change=-1)
    assert len(found.errors) == 20
    assert (np.diff(found.errors) < 1e-12).all()


@given(st.lists(st.integers(2, 5), min_size=3, max_size=4), st.integers(0, 999), st.sampled_from(METHODS))
def test_the_error_is_at_most_the_root_of_the_number_of_modes_times_the_best(
    shape: list[int], seed: int, method: Any
) -> None:
    x = noise(tuple(shape), seed=seed)
    # The best error of any approximation is at least what every single unfolding has to lose, and ours at most their
    # sum, which is no more than the number of modes times the largest of them.
    tails = [np.sum(np.linalg.svd(unfolding(x, n), compute_uv=False)[2:] ** 2) for n in range(len(shape))]
    error = tn.tucker(x, 2, method=method).errors[-1] * np.linalg.norm(x)
    assert error**2 <= sum(tails) + 1e-9
    assert error**2 >= max(tails) - 1e-9


@given(st.lists(st.integers(2, 5), min_size=2, max_size=4), st.floats(1e-14, 0.9), st.sampled_from(METHODS))
def test_a_tolerance_is_kept(shape: list[int], tolerance: float, method: Any) -> None:
    x = noise(tuple(shape))
    found = tn.tucker(x, tolerance=tolerance, method=method)
    error = np.linalg.norm(x - values(found.tensor())) / np.linalg.norm(x)
    assert error <= max(tolerance, 1e-13)


@pytest.mark.parametrize("scale", [1e-3, 1e-6, 1e-10])
def test_small_singular_values_are_kept(backend: str, scale: float) -> None:
    # A Gram matrix would lose what is below the square root of the machine epsilon, 1.5e-8; see `truncation`.
    q = [np.linalg.qr(noise((n, 2), seed=n))[0] for n in SHAPE]
    core = np.zeros((2, 2, 2))
    core[0, 0, 0], core[1, 1, 1] = 1, scale
    x = multiplied(core, q)
    for method in METHODS:
        found = tn.tucker(native(backend, x), 2, method=method)  # type: ignore[arg-type]
        assert np.linalg.norm(values(found.tensor()) - x) < np.finfo(float).eps ** 0.75
        small = tn.tucker(native(backend, x), tolerance=scale / 10, method=method)  # type: ignore[arg-type]
        assert small.ranks == (2, 2, 2)
        assert tn.tucker(native(backend, x), tolerance=scale * 10, method=method).ranks == (1, 1, 1)  # type: ignore[arg-type]


def test_some_modes_only(backend: str) -> None:
    x = low_rank(ranks=(2, 5, 2))
    for method in METHODS:
        found = tn.tucker(native(backend, x), (2, 2), axes=(0, 2), method=method)  # type: ignore[arg-type]
        assert found.core.shape == (2, 5, 2)
        assert found.modes == (0, 2)
        np.testing.assert_allclose(values(found.tensor()), x, atol=1e-11)


def test_one_mode_is_a_truncated_singular_value_decomposition(backend: str) -> None:
    x = noise()
    found = tn.tucker(native(backend, x), 2, axes=1)
    u, s, vh = np.linalg.svd(unfolding(x, 1), full_matrices=False)
    np.testing.assert_allclose(unfolding(values(found.tensor()), 1), u[:, :2] * s[:2] @ vh[:2], atol=1e-11)


def test_single_precision_stays_single(backend: str) -> None:
    found = tn.tucker(native(backend, low_rank().astype("float32")), RANKS)
    assert found.errors[-1] < 1e-5
    assert {found.core.dtype, *(f.dtype for f in found.factors)} == {tn.float32}


# -- labelled tensors -------------------------------------------------------------------------------------------------


def labelled(backend: str, x: Any) -> tn.Tensor:
    return tn.tensor(native(backend, x), "^i _j ^k", i=V, j=W, k=N)


@pytest.mark.parametrize("method", METHODS)
def test_the_product_of_core_and_factors_is_the_tensor(backend: str, method: Any) -> None:
    t = labelled(backend, low_rank())
    core, (a, b, c) = tn.tucker(t, RANKS, method=method)
    assert [str(x.axes) for x in (core, a, b, c)] == ["^b1 ^b2 ^b3", "^i _b1", "_j _b2", "^k _b3"]
    assert all(index.space.is_bond for index in core.indices if index.space is not None)
    made = core * a * b * c
    np.testing.assert_allclose(values(made.permuted("i j k")), values(t), atol=1e-10)
    found = tn.tucker(t, RANKS, method=method)
    assert found.tensor().axes is t.axes


def test_factors_are_orthonormal_in_the_metrics_and_nothing_depends_on_the_basis(backend: str) -> None:
    t = labelled(backend, noise())
    other = V.basis("other", [[1, 2, 0, 0], [0, 1, 0, 0], [1, 0, 1, 3], [0, 0, 0, 1]])
    for method in METHODS:
        found = tn.tucker(t, RANKS, method=method)  # type: ignore[arg-type]
        a, b, c = (values(f) for f in found.factors)
        np.testing.assert_allclose(a.T @ G @ a, np.eye(2), atol=1e-12)
        np.testing.assert_allclose(b.T @ np.diag(1 / np.arange(1.0, 6)) @ b, np.eye(3), atol=1e-12)
        np.testing.assert_allclose(c.T @ c, np.eye(2), atol=1e-12)
        again = tn.tucker(t.to_basis(other), RANKS, method=method)  # type: ignore[arg-type]
        np.testing.assert_allclose(again.errors[-1], found.errors[-1], rtol=1e-9)
        np.testing.assert_allclose(values(again.tensor().to_basis(V)), values(found.tensor()), atol=1e-6)


def test_modes_that_are_left_keep_their_indices(backend: str) -> None:
    t = labelled(backend, noise())
    found = tn.tucker(t, 4, axes="i", method="st-hosvd")
    assert str(found.core.axes) == "^b1 _j ^k"
    np.testing.assert_allclose(
        values(found.core * found.factors[0].renamed(i="a")), values(found.core * found.factors[0])
    )
    np.testing.assert_allclose(values(found.tensor()), values(t), atol=1e-12)
    # The left modes' metrics count too: the singular values are those of the whole tensor.
    _, s, _ = tn.svd(t, "i", "j k")
    core = values(found.core) * (np.arange(1.0, 6) ** -0.5)[:, None]
    np.testing.assert_allclose(np.linalg.norm(unfolding(core, 0), axis=1), np.diag(values(s)))


def test_a_labelled_decomposition_is_a_start_for_another(backend: str) -> None:
    t = labelled(backend, noise())
    first = tn.tucker(t, RANKS, sweeps=2, change=-1)
    more = tn.tucker(t, RANKS, init=first, sweeps=3, change=-1)
    np.testing.assert_allclose(more.errors, tn.tucker(t, RANKS, sweeps=5, change=-1).errors[2:], rtol=1e-9)


def test_components_are_taken_as_they_are_on_request(backend: str) -> None:
    x = noise()
    found = tn.tucker(labelled(backend, x), RANKS, method="hosvd", metric="components")
    np.testing.assert_allclose(values(found.tensor()), hosvd(x, RANKS), atol=1e-10)


def test_a_hermitian_metric_is_respected(backend: str) -> None:
    h = np.array([[2, 1 + 1j], [1 - 1j, 5]])
    space = tn.Space("C", 2, field="complex", metric=h)
    t = tn.tensor(native(backend, noise((2, 3, 4), "complex")), "^c m n", c=space)
    found = tn.tucker(t, (1, 2, 2))
    a = values(found.factors[0])
    np.testing.assert_allclose(a.conj().T @ h @ a, np.eye(1), atol=1e-12)
    moved = t.to_basis(space.basis("other", [[1, 2j], [0, 1]]))
    np.testing.assert_allclose(tn.tucker(moved, (1, 2, 2)).errors[-1], found.errors[-1], rtol=1e-7)


# -- the value, tracing, gradients ------------------------------------------------------------------------------------


def test_the_value_prints_copies_and_pickles(backend: str) -> None:
    found = tn.tucker(labelled(backend, noise()), RANKS, method="hosvd")
    assert repr(found) == f"Tucker(core 2x3x2 of ^i _j ^k, 4x5x6 float64, {backend}, fit {found.fit:.6f})"
    for twin in (pickle.loads(pickle.dumps(found)), copy.deepcopy(found), found.to(backend="numpy")):
        np.testing.assert_allclose(values(twin.tensor()), values(found.tensor()), atol=1e-14)
        assert twin.core.axes is found.core.axes
    with pytest.raises(AttributeError):
        found.core = found.factors[0]  # type: ignore[misc]


def decomposed(x: Any, method: Any) -> tn.Tensor:
    return tn.tucker(tn.asarray(x), RANKS, method=method).tensor()


@pytest.mark.parametrize("method", ["hosvd", "st-hosvd"])
def test_without_iteration_it_can_be_differentiated(backend: str, method: Any) -> None:
    x, d, h = noise(), noise(seed=5), 1e-6

    def loss(t: Any) -> tn.Tensor:
        return tn.sum(tn.square(decomposed(t, method)))

    slope = np.sum(values(tn.grad(loss)(tn.asarray(native(backend, x)))) * d)
    np.testing.assert_allclose(slope, (float(loss(x + h * d)) - float(loss(x - h * d))) / (2 * h), rtol=1e-5)


def test_without_iteration_it_can_be_compiled() -> None:
    x = noise()
    expected = hosvd(x, RANKS)
    if "tensorflow" in installed():
        import tensorflow as tf

        traced = tf.function(lambda a: decomposed(a, "hosvd").array, autograph=False)
        np.testing.assert_allclose(values(traced(tf.constant(x))), expected, atol=1e-10)
        with pytest.raises(BackendError, match="not known while a framework traces"):
            tf.function(lambda a: decomposed(a, "hooi").array, autograph=False)(tf.constant(x))
        by_tolerance = tf.function(lambda a: tn.tucker(a, tolerance=0.1, method="hosvd").ranks, autograph=False)
        with pytest.raises(BackendError, match="give the ranks"):
            by_tolerance(tf.constant(x))
    if "torch" in installed():
        import torch

        compiled = torch.compile(lambda a: decomposed(a, "hosvd").array, backend="eager", fullgraph=True)
        np.testing.assert_allclose(values(compiled(torch.asarray(x))), expected, atol=1e-10)


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_what_is_refused() -> None:
    x = noise()

    def tucker(data: Any, *arguments: Any, **more: Any) -> Any:
        return lambda name: tn.tucker(native(name, data), *arguments, **more)

    refusal(ShapeError, tucker(x), "ranks or a tolerance")
    refusal(ShapeError, tucker(x, 2, tolerance=0.1), "one of the two")
    refusal(ShapeError, tucker(x, tolerance=1.5), "less than 1")
    refusal(ShapeError, tucker(x, (2, 2)), "2 ranks for 3 modes")
    refusal(ShapeError, tucker(x, (2, 0, 2)), "1 or more, not 0")
    refusal(ShapeError, tucker(x, (5, 2, 2)), "axis 0", "4x30 matrix")
    refusal(ShapeError, tucker(x, (4, 1, 2)), "rows of zeros", "2 at most")
    refusal(ModeError, tucker(x, 2, method="als"), "'hooi', 'st-hosvd' or 'hosvd'")
    refusal(ModeError, tucker(x, 2, method="hosvd", init=[]), "no iteration")
    refusal(AxisError, tucker(x, 2, axes=(0, 3)), "no axis 3")
    refusal(AxisError, tucker(x, 2, axes=(0, -3)), "different axes")
    refusal(AxisError, tucker(x, 2, axes="i"), "no axis 'i'")
    refusal(DomainError, tucker((1e30 * x).astype("float32"), 2), "overflow in float32", "float64")
    refusal(DomainError, tucker(np.full((2, 2), np.inf), 1), "not finite")
    refusal(DomainError, tucker(np.zeros((2, 2)), 1), "zeros")
    refusal(DTypeError, tucker(np.ones((2, 2), dtype="int32"), 1), "int32")
    refusal(ShapeError, lambda name: tn.tucker(native(name, x), 2, init=[native(name, x[0])]), "1 factors")
    refusal(
        ModeError, lambda name: tn.tucker(labelled(name, x), 2, init=[native(name, x[0])] * 3), "labelled and plain"
    )
    refusal(MetricError, lambda name: tn.tucker(bare(name, x), 2), "no metric", "metric='components'")
    refusal(MetricError, lambda name: tn.tucker(indefinite(name, x), 2), "indefinite")
    refusal(AxisError, lambda name: tn.tucker(labelled(name, x), 2, axes="i q"), "'q'")


def bare(name: str, x: Any) -> tn.Tensor:
    return tn.tensor(native(name, x), "^i _j ^k", i=tn.Space("bare", 4), j=W, k=N)


def indefinite(name: str, x: Any) -> tn.Tensor:
    return tn.tensor(native(name, x), "^i _j ^k", i=tn.Space("M", 4, metric=[-1, 1, 1, 1]), j=W, k=N)
