"""CP: alternating least squares and its variants, against plain NumPy, against TensorLy, on exactly low rank."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import tensorly
from across import native, refusal, values
from tensorly.decomposition import non_negative_parafac_hals, parafac

import tensoria as tn
from tensoria.errors import (
    AxisError,
    BackendError,
    BasisError,
    DomainError,
    DTypeError,
    MetricError,
    ModeError,
    ShapeError,
)

G = np.array([[2.0, 1.0, 0.0, 0.0], [1.0, 3.0, 0.5, 0.0], [0.0, 0.5, 2.0, 1.0], [0.0, 0.0, 1.0, 4.0]])
V = tn.Space("V", 4, metric=G)
W = tn.Space("W", 5, metric=[1, 2, 3, 4, 5])
N = tn.Space("N", 6, privileged=True)

Arrays = list[np.ndarray[Any, Any]]


def factors(shape: tuple[int, ...], rank: int, seed: int = 0, kind: str = "real") -> Arrays:
    rng = np.random.default_rng(seed)
    if kind == "nonnegative":
        return [rng.uniform(size=(n, rank)) for n in shape]
    made = [rng.normal(size=(n, rank)) for n in shape]
    return [f + 1j * rng.normal(size=f.shape) for f in made] if kind == "complex" else made


def whole(parts: Arrays) -> Any:
    letters = "ijklm"[: len(parts)]
    return np.einsum(",".join(x + "r" for x in letters) + "->" + letters, *parts)


def noisy(shape: tuple[int, ...], rank: int, seed: int = 0, kind: str = "real") -> Any:
    x = whole(factors(shape, rank, seed, kind))
    noise = np.random.default_rng(seed + 1).normal(size=shape)
    return x + noise * (0.2 * np.linalg.norm(x) / np.linalg.norm(noise))


def alternating_least_squares(x: Any, parts: Arrays, sweeps: int) -> list[float]:
    """Kolda and Bader, figure 3.3, word by word: unfoldings, Khatri-Rao products, pseudoinverses."""
    parts, errors = list(parts), []
    for _ in range(sweeps):
        for n in range(x.ndim):
            others = [parts[m] for m in range(x.ndim) if m != n]
            product = others[0]
            for other in others[1:]:
                product = np.einsum("ir,jr->ijr", product, other).reshape(-1, product.shape[1])
            unfolded = np.moveaxis(x, n, 0).reshape(x.shape[n], -1)
            parts[n] = unfolded @ np.linalg.pinv(product).T
        errors.append(float(np.linalg.norm(x - whole(parts)) / np.linalg.norm(x)))
    return errors


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 6), (3, 4, 2, 5), (2, 3, 2, 3, 2)])
def test_every_sweep_is_that_of_kolda_and_bader(backend: str, shape: tuple[int, ...]) -> None:
    x, init = noisy(shape, 3), factors(shape, 2, seed=5)
    found = tn.cp(native(backend, x), 2, init=[native(backend, f) for f in init], sweeps=6, tolerance=-1)
    np.testing.assert_allclose(found.errors, alternating_least_squares(x, init, 6), rtol=1e-8)
    approximation = values(found.tensor())
    np.testing.assert_allclose(np.linalg.norm(x - approximation) / np.linalg.norm(x), found.errors[-1], rtol=1e-8)


def test_every_complex_sweep_is_that_of_the_pseudoinverse(backend: str) -> None:
    x, init = noisy((4, 5, 6), 3, kind="complex"), factors((4, 5, 6), 2, seed=5, kind="complex")
    found = tn.cp(native(backend, x), 2, init=[native(backend, f) for f in init], sweeps=6, tolerance=-1)
    np.testing.assert_allclose(found.errors, alternating_least_squares(x, init, 6), rtol=1e-8)


def test_the_errors_are_tensorlys_from_the_same_start(backend: str) -> None:
    tensorly.set_backend("numpy")
    x, init = noisy((6, 7, 8), 4), factors((6, 7, 8), 3, seed=9)
    begin = tensorly.cp_tensor.CPTensor((np.ones(3), [f.copy() for f in init]))
    _, theirs = parafac(x, 3, n_iter_max=15, init=begin, tol=1e-300, return_errors=True)
    ours = tn.cp(native(backend, x), 3, init=[native(backend, f) for f in init], sweeps=15, tolerance=-1)
    np.testing.assert_allclose(ours.errors, theirs[: len(ours.errors)], rtol=1e-7)


@pytest.mark.parametrize("init", ["svd", "random"])
@pytest.mark.parametrize("kind", ["real", "complex"])
def test_an_exactly_low_rank_tensor_comes_back_with_its_components(backend: str, init: Any, kind: str) -> None:
    parts = factors((5, 6, 7), 3, seed=2, kind=kind)
    found = tn.cp(native(backend, whole(parts)), 3, init=init, sweeps=500, tolerance=1e-11)
    assert found.fit > 1 - 1e-7
    # Components are unique up to order and scale (Kruskal): each of ours is parallel to one of those put in.
    for mine, true in zip(found.factors, parts, strict=True):
        cosines = np.abs(values(mine).conj().T @ (true / np.linalg.norm(true, axis=0)))
        np.testing.assert_allclose(np.sort(cosines.max(axis=1)), np.ones(3), atol=1e-6)
        assert sorted(cosines.argmax(axis=1)) == [0, 1, 2]


def test_columns_have_norm_one_weights_descend_and_signs_are_settled(backend: str) -> None:
    found = tn.cp(native(backend, noisy((4, 5, 6), 3)), 3, sweeps=20)
    weights = values(found.weights)
    assert (np.diff(weights) <= 0).all()
    assert (weights > 0).all()
    for n, factor in enumerate(found.factors):
        columns = values(factor)
        np.testing.assert_allclose(np.linalg.norm(columns, axis=0), np.ones(3))
        if n:
            assert (columns[np.abs(columns).argmax(axis=0), range(3)] > 0).all()


@pytest.mark.parametrize("variant", ["plain", "nonnegative", "masked"])
def test_the_error_never_rises(backend: str, variant: str) -> None:
    x = np.abs(noisy((4, 5, 6), 4, seed=3))
    more: dict[str, Any] = {"nonnegative": variant == "nonnegative"}
    if variant == "masked":
        more["mask"] = native(backend, np.random.default_rng(0).uniform(size=x.shape) > 0.2)
    found = tn.cp(native(backend, x), 3, sweeps=30, tolerance=-1, **more)
    assert len(found.errors) == 30
    assert (np.diff(found.errors) < 1e-10).all()


def test_single_precision_stays_single(backend: str) -> None:
    x = whole(factors((5, 6, 7), 2, seed=2)).astype("float32")
    found = tn.cp(native(backend, x), 2, sweeps=200)
    assert found.fit > 1 - 1e-4
    assert {found.weights.dtype, *(f.dtype for f in found.factors)} == {tn.float32}


def test_parallel_components_and_singular_equations_do_no_harm(backend: str) -> None:
    x = whole(factors((4, 5, 6), 1))
    same = [native(backend, np.repeat(f, 2, axis=1)) for f in factors((4, 5, 6), 1, seed=4)]
    found = tn.cp(native(backend, x), 2, init=same, sweeps=5, tolerance=-1)
    assert found.errors[-1] < 1e-7
    assert all(np.isfinite(values(f)).all() for f in found.factors)


# -- variants ---------------------------------------------------------------------------------------------------------


def test_nonnegative_factors_fit_as_tensorlys_or_better(backend: str) -> None:
    tensorly.set_backend("numpy")
    x, init = np.abs(noisy((6, 7, 8), 4, kind="nonnegative")), factors((6, 7, 8), 3, seed=9, kind="nonnegative")
    begin = tensorly.cp_tensor.CPTensor((np.ones(3), [f.copy() for f in init]))
    theirs = non_negative_parafac_hals(x, 3, n_iter_max=60, init=begin, tol=1e-300)
    error = np.linalg.norm(x - tensorly.cp_to_tensor(theirs)) / np.linalg.norm(x)
    parts = [native(backend, f) for f in init]
    found = tn.cp(native(backend, x), 3, nonnegative=True, init=parts, sweeps=60, tolerance=-1)
    assert all((values(f) >= 0).all() for f in found.factors)
    assert found.errors[-1] < error * (1 + 1e-3)


def test_a_nonnegative_tensor_of_low_rank_comes_back(backend: str) -> None:
    x = whole(factors((5, 6, 7), 3, seed=1, kind="nonnegative"))
    found = tn.cp(native(backend, x), 3, nonnegative=True, sweeps=400)
    assert found.fit > 0.998
    assert all((values(f) >= 0).all() for f in found.factors)


def test_missing_entries_are_recovered_whatever_stands_there(backend: str) -> None:
    x = whole(factors((6, 7, 8), 2, seed=1))
    seen = np.random.default_rng(0).uniform(size=x.shape) > 0.4
    found = tn.cp(native(backend, np.where(seen, x, np.nan)), 2, mask=native(backend, seen), sweeps=300)
    np.testing.assert_allclose(values(found.tensor()), x, atol=1e-4 * np.abs(x).max())


def test_a_masked_sweep_solves_each_row_by_itself(backend: str) -> None:
    x, init = noisy((4, 5, 6), 3), factors((4, 5, 6), 2, seed=5)
    seen = np.random.default_rng(3).uniform(size=x.shape) > 0.3
    found = tn.cp(
        native(backend, x),
        2,
        mask=native(backend, seen),
        init=[native(backend, f) for f in init],
        sweeps=3,
        tolerance=-1,
    )
    parts, errors = list(init), []
    for _ in range(3):
        for n in range(3):
            a, b = (parts[m] for m in range(3) if m != n)
            product = np.einsum("ir,jr->ijr", a, b).reshape(-1, 2)
            rows, there = np.moveaxis(x, n, 0).reshape(x.shape[n], -1), np.moveaxis(seen, n, 0).reshape(x.shape[n], -1)
            parts[n] = np.stack([np.linalg.lstsq(product[w], r[w])[0] for r, w in zip(rows, there, strict=True)])
        errors.append(np.linalg.norm((x - whole(parts))[seen]) / np.linalg.norm(x[seen]))
    np.testing.assert_allclose(found.errors, errors, rtol=1e-7)


def test_a_full_mask_changes_nothing(backend: str) -> None:
    x, init = noisy((4, 5, 6), 3), factors((4, 5, 6), 2, seed=5)
    parts = [native(backend, f) for f in init]
    mask = native(backend, np.ones(x.shape, dtype=bool))
    masked = tn.cp(native(backend, x), 2, mask=mask, init=parts, sweeps=4, tolerance=-1)
    np.testing.assert_allclose(masked.errors, alternating_least_squares(x, init, 4), rtol=1e-7)


def test_missing_entries_and_nonnegative_factors_go_together(backend: str) -> None:
    x = whole(factors((6, 7, 8), 2, seed=1, kind="nonnegative"))
    seen = np.random.default_rng(0).uniform(size=x.shape) > 0.3
    mask = native(backend, seen)
    found = tn.cp(native(backend, np.where(seen, x, np.inf)), 2, mask=mask, nonnegative=True, sweeps=300)
    assert np.linalg.norm(values(found.tensor()) - x) < 0.01 * np.linalg.norm(x)


def test_a_sample_of_the_equations_comes_close_to_all_of_them(backend: str) -> None:
    x = noisy((20, 21, 22), 3, seed=1)
    full = tn.cp(native(backend, x), 3, sweeps=50)
    sampled = tn.cp(native(backend, x), 3, samples=200, sweeps=100, seed=1)
    assert sampled.errors[-1] < 1.1 * full.errors[-1]
    true = np.linalg.norm(values(sampled.tensor()) - x) / np.linalg.norm(x)
    np.testing.assert_allclose(sampled.errors[-1], true)
    exact = tn.cp(native(backend, whole(factors((20, 21, 22), 3))), 3, samples=200, seed=2, sweeps=200)
    assert exact.fit > 0.9999


# -- labelled tensors -------------------------------------------------------------------------------------------------


def labelled(backend: str, x: Any) -> tn.Tensor:
    return tn.tensor(native(backend, x), "^i _j ^k", i=V, j=W, k=N)


def test_factors_carry_the_indices_and_align_along_the_rank_axis(backend: str) -> None:
    x = noisy((4, 5, 6), 3)
    found = tn.cp(labelled(backend, x), 2)
    assert [str(f.axes) for f in found.factors] == ["^i r", "_j r", "^k r"]
    weights, (a, b, c) = found
    assert str(weights.axes) == "r"
    made = tn.einsum("r, ^i r, _j r, ^k r -> ^i _j ^k", weights, a, b, c)
    np.testing.assert_allclose(values(made), values(found.tensor()))
    assert made.axes is found.tensor().axes
    np.testing.assert_allclose(values(tn.sum(weights * a * b * c, axis="r")), values(made))
    assert str(tn.cp(labelled(backend, x), 2, axis="i", sweeps=1).weights.axes) == "i'"


def test_the_decomposition_does_not_depend_on_the_basis(backend: str) -> None:
    x = noisy((4, 5, 6), 3)
    t = labelled(backend, x)
    other = V.basis("other", [[1, 2, 0, 0], [0, 1, 0, 0], [1, 0, 1, 3], [0, 0, 0, 1]])
    once, again = (tn.cp(s, 2, sweeps=8, tolerance=-1) for s in (t, t.to_basis(other)))
    np.testing.assert_allclose(once.errors, again.errors, rtol=1e-8)
    np.testing.assert_allclose(values(again.tensor().to_basis(V)), values(once.tensor()), atol=1e-9)
    np.testing.assert_allclose(values(once.weights), values(again.weights), rtol=1e-8)
    # Columns have norm 1 in the metric of their space: up with g, down with its inverse.
    a, b, _ = (values(f) for f in once.factors)
    np.testing.assert_allclose(np.einsum("ir,ij,jr->r", a, G, a), np.ones(2))
    np.testing.assert_allclose(np.einsum("ir,i,ir->r", b, 1 / np.arange(1.0, 6), b), np.ones(2))


def test_the_error_is_that_in_the_metric(backend: str) -> None:
    x = noisy((4, 5, 6), 3)
    found = tn.cp(labelled(backend, x), 2)
    white = np.einsum("ai,ijk,j->ajk", np.linalg.cholesky(G).T, x - values(found.tensor()), np.arange(1.0, 6) ** -0.5)
    norm = np.linalg.norm(np.einsum("ai,ijk,j->ajk", np.linalg.cholesky(G).T, x, np.arange(1.0, 6) ** -0.5))
    np.testing.assert_allclose(np.linalg.norm(white) / norm, found.errors[-1])
    plain = tn.cp(native(backend, x), 2)
    np.testing.assert_allclose(tn.cp(labelled(backend, x), 2, metric="components").errors, plain.errors)


def test_a_decomposition_is_a_start_for_another(backend: str) -> None:
    t = labelled(backend, noisy((4, 5, 6), 3))
    first = tn.cp(t, 2, sweeps=5, tolerance=-1)
    more = tn.cp(t, 2, init=tn.cp(t, 2, sweeps=3, tolerance=-1), sweeps=2, tolerance=-1)
    np.testing.assert_allclose(more.errors, first.errors[3:], rtol=1e-9)


# -- the value, progress ----------------------------------------------------------------------------------------------


def test_the_value_prints_copies_and_pickles(backend: str) -> None:
    found = tn.cp(labelled(backend, noisy((4, 5, 6), 3)), 2, sweeps=3, tolerance=-1)
    text = f"CP(rank 2 of ^i _j ^k, 4x5x6 float64, {backend}, fit {found.fit:.6f} after 3 sweeps)"
    assert repr(found) == text
    for twin in (pickle.loads(pickle.dumps(found)), copy.deepcopy(found), found.to(backend="numpy")):
        np.testing.assert_allclose(values(twin.tensor()), values(found.tensor()), atol=1e-14)
        assert twin.errors == found.errors
        assert twin.factors[0].axes is found.factors[0].axes
    with pytest.raises(AttributeError):
        found.weights = found.factors[0]  # type: ignore[misc]


def test_progress_is_printed_on_request_and_a_callback_can_stop(capsys: pytest.CaptureFixture[str]) -> None:
    x, told = noisy((4, 5, 6), 3), []

    def callback(sweep: int, error: float) -> bool:
        told.append((sweep, error))
        return sweep == 3

    found = tn.cp(x, 2, progress=True, callback=callback, tolerance=-1)
    assert [n for n, _ in told] == [1, 2, 3]
    assert tuple(error for _, error in told) == found.errors
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("CP: sweep 1 of at most 100, relative error 0.")
    tn.cp(x, 2, sweeps=2)
    assert capsys.readouterr().err == ""


def test_its_derivative_is_that_of_its_sweeps(backend: str) -> None:
    x, d, h = noisy((4, 5, 6), 3), noisy((4, 5, 6), 3, seed=8), 1e-6
    init = factors((4, 5, 6), 2, seed=5)

    def loss(t: tn.Tensor) -> tn.Tensor:
        start = [tn.asarray(f).to(backend=t.backend) for f in init]
        return tn.sum(tn.square(tn.cp(t, 2, init=start, sweeps=3, tolerance=-1).tensor()))

    slope = np.sum(values(tn.grad(loss)(tn.asarray(native(backend, x)))) * d)
    ends = [float(loss(tn.asarray(native(backend, x + s * d)))) for s in (h, -h)]
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / (2 * h), rtol=1e-5)


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_what_is_refused() -> None:
    x = noisy((4, 5, 6), 3)

    def cp(data: Any, rank: Any = 2, /, **more: Any) -> Any:
        return lambda name: tn.cp(native(name, data), rank, **more)

    refusal(ShapeError, cp(x, 0), "1 or more, not 0")
    refusal(ShapeError, cp(x, 2.0), "whole number")
    refusal(ShapeError, cp(x, 21), "4x5x6", "20 at most")
    refusal(ShapeError, cp(x, sweeps=0), "number of sweeps")
    refusal(ShapeError, cp(np.ones((2, 0, 3))), "no components")
    refusal(AxisError, cp(np.ones(3)), "2 or more axes")
    refusal(DTypeError, cp(np.ones((2, 2), dtype="int64")), "int64")
    refusal(DomainError, cp(np.zeros((2, 2, 2))), "zeros")
    refusal(DomainError, cp(np.where(x > 1, np.nan, x)), "not finite", "mask=")
    refusal(DomainError, cp((1e30 * x).astype("float32")), "overflow in float32", "float64")
    refusal(DomainError, cp((1e-30 * x).astype("float32")), "underflow in float32")
    refusal(DTypeError, cp(x + 0j, nonnegative=True), "complex128")
    refusal(ModeError, cp(x, init="nothing"), "'svd', 'random'")
    refusal(ModeError, lambda name: tn.cp(native(name, x), 2, samples=9, mask=native(name, x > 0)), "not both")
    refusal(DTypeError, lambda name: tn.cp(native(name, x), 2, mask=native(name, x)), "booleans")
    refusal(ShapeError, lambda name: tn.cp(native(name, x), 2, mask=native(name, x[0] > 0)), "mask of the shape")
    unseen = np.ones(x.shape, dtype=bool)
    unseen[:, 2] = False
    refusal(DomainError, lambda name: tn.cp(native(name, x), 2, mask=native(name, unseen)), "at 2 along axis 1")
    parts = factors((4, 5, 6), 2)
    short = [*parts[:2], parts[0]]
    refusal(ShapeError, lambda name: tn.cp(native(name, x), 2, init=[native(name, f) for f in parts[:2]]), "2 factors")
    refusal(ShapeError, lambda name: tn.cp(native(name, x), 2, init=[native(name, f) for f in short]), "(6, 2)")
    refusal(
        DTypeError, lambda name: tn.cp(native(name, x), 2, init=[native(name, f, "float32") for f in parts]), "float32"
    )


def test_what_is_refused_of_labelled_tensors() -> None:
    x = noisy((4, 5, 6), 3)
    with pytest.raises(MetricError, match="singular"):
        tn.Space("S", 4, metric=np.ones((4, 4)))

    def t(name: str, space: tn.Space | tn.Basis) -> tn.Tensor:
        return tn.tensor(native(name, x), "^i _j ^k", i=space, j=W, k=N)

    refusal(MetricError, lambda name: tn.cp(t(name, tn.Space("bare", 4)), 2), "no metric", "metric='components'")
    minkowski = tn.Space("M", 4, metric=[-1, 1, 1, 1])
    refusal(MetricError, lambda name: tn.cp(t(name, minkowski), 2), "indefinite")
    refusal(MetricError, lambda name: tn.cp(t(name, V), 2, metric="euclid"), "'spaces' or 'components'")  # type: ignore[arg-type]
    refusal(BasisError, lambda name: tn.cp(t(name, V), 2, nonnegative=True), "privileged")
    tilted = tn.Space("T", 4, metric=G, privileged=True)
    refusal(
        MetricError,
        lambda name: tn.cp(tn.tensor(native(name, x), "^i a ^k", i=tilted, k=N), 2, nonnegative=True),
        "not orthonormal",
        "metric='components'",
    )
    refusal(AxisError, lambda name: tn.cp(tn.tensor(native(name, x), "... ^k", k=N), 2), "2 anonymous axes")
    refusal(AxisError, lambda name: tn.cp(t(name, V), 2, init=tn.cp(t(name, tn.Space("E", 4, metric=G)), 2)), "^i")
    assert tn.cp(t("numpy", minkowski), 2, metric="components").rank == 2
    parts = factors((4, 5, 6), 2)
    refusal(ModeError, lambda name: tn.cp(t(name, V), 2, init=[native(name, f) for f in parts]), "labelled and plain")
    n = tn.Space("n", 4, privileged=True)
    refusal(ModeError, lambda name: tn.cp(t(name, n), 2, mask=native(name, x > 0)), "plain mask")
    other = tn.Space("other", 4, privileged=True)
    refusal(
        AxisError,
        lambda name: tn.cp(t(name, n), 2, mask=tn.tensor(native(name, x > 0), "^i _j ^k", i=other, j=W, k=N)),
        "other spaces",
    )


def test_a_labelled_mask_is_aligned_by_name(backend: str) -> None:
    x = whole(factors((6, 7, 8), 2, seed=1))
    n, m = tn.Space("n", 6, privileged=True), tn.Space("m", 7, privileged=True)
    seen = np.random.default_rng(0).uniform(size=x.shape) > 0.3
    t = tn.tensor(native(backend, np.where(seen, x, np.nan)), "^i _j k", i=n, j=m)
    turned = tn.tensor(native(backend, seen.transpose(2, 0, 1).copy()), "k ^i _j", i=n, j=m)
    found = tn.cp(t, 2, mask=turned, sweeps=300)
    assert np.linalg.norm(values(found.tensor()) - x) < 1e-3 * np.linalg.norm(x)


def test_an_iteration_is_not_traced() -> None:
    tf = pytest.importorskip("tensorflow")
    with pytest.raises(BackendError, match="not known while a framework traces"):
        tf.function(lambda x: tn.cp(x, 2).weights.array, autograph=False)(tf.ones((2, 3, 4)))
