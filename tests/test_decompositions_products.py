"""Unfolding, folding, n-mode, Kronecker, Khatri-Rao and Hadamard products, and the identities between them."""

from __future__ import annotations

import numpy as np
import pytest
import tensorly
from across import native, refusal, values
from hypothesis import given
from hypothesis import strategies as st

import tensoria as tn
from tensoria.errors import AxisError, BasisError, ModeError, ShapeError, SpaceError, VarianceError

V = tn.Space("V", 2, metric=[[2, 1], [1, 3]])
W = tn.Space("W", 3, metric=np.eye(3))
U = tn.Space("U", 4, privileged=True)
rng = np.random.default_rng(6)

shapes = st.lists(st.integers(1, 4), min_size=2, max_size=5)


@given(shape=shapes, data=st.data())
def test_unfolding_is_the_columns_of_kolda_and_bader_or_of_the_memory(shape: list[int], data: st.DataObject) -> None:
    n = data.draw(st.integers(0, len(shape) - 1))
    x = np.arange(np.prod(shape, dtype=int), dtype="float64").reshape(shape)
    others = [m for m in range(len(shape)) if m != n]
    columns = np.moveaxis(x, n, 0)
    np.testing.assert_array_equal(values(tn.unfold(tn.asarray(x), n)), columns.reshape(shape[n], -1))
    kolda = values(tn.unfold(tn.asarray(x), n, order="F"))
    np.testing.assert_array_equal(kolda, columns.reshape(shape[n], -1, order="F"))
    # Element (i_1, ..., i_N) stands in column sum_k i_k prod_{m < k, m != n} I_m (Kolda and Bader, section 2.4).
    at = tuple(data.draw(st.integers(0, size - 1)) for size in shape)
    column = sum(at[m] * int(np.prod([shape[k] for k in others if k < m])) for m in others)
    assert kolda[at[n], column] == x[at]


@given(shape=shapes, data=st.data(), order=st.sampled_from(["C", "F"]))
def test_folding_undoes_unfolding(shape: list[int], data: st.DataObject, order: str) -> None:
    n = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = tn.asarray(np.arange(np.prod(shape, dtype=int)).reshape(shape))
    back = tn.fold(tn.unfold(x, n, order=order), n, x.shape, order=order)  # type: ignore[arg-type]
    np.testing.assert_array_equal(values(back), values(x))


def test_a_labelled_unfolding_remembers_its_columns_and_folds_back(backend: str) -> None:
    t = tn.tensor(native(backend, rng.normal(size=(2, 3, 4))), "^i _j ^k", i=V, j=W, k=U)
    for order in ("C", "F"):
        m = tn.unfold(t, "j", order=order, into="p")  # type: ignore[arg-type]
        assert str(m.axes) == "_j ^p"
        expected = np.moveaxis(values(t), 1, 0).reshape(3, -1, order=order)  # type: ignore[call-overload]
        np.testing.assert_array_equal(values(m), expected)
        back = tn.fold(m, "j", t, order=order)  # type: ignore[arg-type]
        assert back.axes is t.axes
        np.testing.assert_array_equal(values(back), values(t))


def test_the_mode_product_is_the_matrix_times_the_unfolding(backend: str) -> None:
    x, m = rng.normal(size=(2, 3, 4)), rng.normal(size=(5, 3))
    made = tn.mode_product(native(backend, x), native(backend, m), 1)
    np.testing.assert_allclose(values(made), np.einsum("jb,abc->ajc", m, x))
    np.testing.assert_allclose(values(tn.unfold(made, 1)), m @ np.moveaxis(x, 1, 0).reshape(3, -1))
    np.testing.assert_allclose(
        values(tn.mode_product(native(backend, x), native(backend, m[0]), -2)), np.einsum("b,abc->ac", m[0], x)
    )


def test_products_in_different_modes_commute_and_in_one_mode_compose() -> None:
    x, a, b = rng.normal(size=(2, 3, 4)), rng.normal(size=(5, 3)), rng.normal(size=(6, 4))
    one = tn.mode_product(tn.mode_product(x, a, 1), b, 2)
    np.testing.assert_allclose(values(one), values(tn.mode_product(tn.mode_product(x, b, 2), a, 1)))
    c = rng.normal(size=(2, 5))
    np.testing.assert_allclose(
        values(tn.mode_product(tn.mode_product(x, a, 1), c, 1)), values(tn.mode_product(x, c @ a, 1))
    )


def test_a_labelled_mode_product_contracts_by_the_rules_and_stays_in_place(backend: str) -> None:
    t = tn.tensor(native(backend, rng.normal(size=(2, 3, 4))), "^i ^j ^k", i=V, j=W, k=U)
    m = tn.tensor(native(backend, rng.normal(size=(2, 3))), "^l _j", l=V, j=W)
    made = tn.mode_product(t, m, "j")
    assert str(made.axes) == "^i ^l ^k"
    np.testing.assert_allclose(values(made), np.einsum("lj,ijk->ilk", values(m), values(t)))
    covector = tn.tensor(native(backend, np.ones(3)), "_j", j=W)
    assert str(tn.mode_product(t, covector, "j").axes) == "^i ^k"


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_tucker_product_unfolds_with_a_kronecker_product(backend: str, order: str) -> None:
    core = rng.normal(size=(2, 3, 2))
    factors = [rng.normal(size=(size, rank)) for size, rank in zip((3, 4, 5), (2, 3, 2), strict=True)]
    x = np.einsum("abc,ia,jb,kc->ijk", core, *factors)
    for n in range(3):
        others = [native(backend, factors[m]) for m in range(3) if m != n]
        kronecker = values(tn.kronecker(*(others if order == "C" else others[::-1])))
        small = values(tn.unfold(native(backend, core), n, order=order))  # type: ignore[arg-type]
        large = values(tn.unfold(native(backend, x), n, order=order))  # type: ignore[arg-type]
        np.testing.assert_allclose(large, factors[n] @ small @ kronecker.T, atol=1e-12)


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(0, 99))
def test_the_gram_matrix_of_a_khatri_rao_product_is_the_hadamard_product(i: int, j: int, r: int, seed: int) -> None:
    a, b = (np.random.default_rng(seed).normal(size=(n, r)) for n in (i, j))
    product = values(tn.khatri_rao(a, b))
    np.testing.assert_allclose(product.T @ product, values(tn.hadamard(a.T @ a, b.T @ b)), atol=1e-12)
    np.testing.assert_allclose(product, values(tn.kronecker(a, b))[:, :: r + 1], atol=1e-12)


def test_the_products_are_those_of_numpy_and_tensorly(backend: str) -> None:
    tensorly.set_backend("numpy")
    a, b, c = rng.normal(size=(2, 3)), rng.normal(size=(4, 3)), rng.normal(size=(2, 3))
    ours = [native(backend, x) for x in (a, b, c)]
    np.testing.assert_allclose(values(tn.kronecker(*ours)), np.kron(np.kron(a, b), c))
    np.testing.assert_allclose(values(tn.khatri_rao(*ours)), tensorly.tenalg.khatri_rao([a, b, c]))
    np.testing.assert_allclose(values(tn.hadamard(ours[0], ours[2])), a * c)
    x = rng.normal(size=(2, 3, 4))
    for n in range(3):
        np.testing.assert_allclose(values(tn.unfold(native(backend, x), n)), tensorly.unfold(x, n))


def test_a_labelled_kronecker_product_is_a_map_of_the_product_space(backend: str) -> None:
    a = tn.tensor(native(backend, rng.normal(size=(2, 2))), "^i _j", i=V, j=V)
    b = tn.tensor(native(backend, rng.normal(size=(3, 3))), "^k _l", k=W, l=W)
    made = tn.kronecker(a, b, into="p _q")
    assert str(made.axes) == "^p _q"
    np.testing.assert_allclose(values(made), np.kron(values(a), values(b)))
    np.testing.assert_allclose(
        values(made.trace("p", "q")), values(a.trace("i", "j")) * values(b.trace("k", "l")), rtol=1e-12
    )


def test_a_labelled_khatri_rao_product_aligns_its_plain_axis(backend: str) -> None:
    a = tn.tensor(native(backend, rng.normal(size=(2, 5))), "^i r", i=V)
    b = tn.tensor(native(backend, rng.normal(size=(5, 3))), "r _j", j=W)
    made = tn.khatri_rao(a, b, into="p")
    assert str(made.axes) == "^p r"
    np.testing.assert_allclose(values(made), values(tn.khatri_rao(values(a), values(b).T)))
    assert str(made.split("p", "i j").axes) == "^i _j r"


def test_what_is_refused() -> None:
    def t(name: str) -> tn.Tensor:
        return tn.tensor(native(name, np.ones((2, 3, 4))), "^i ^j ^k", i=V, j=W, k=U)

    x = np.ones((2, 3, 4))
    refusal(AxisError, lambda name: tn.unfold(native(name, x), 3), "no axis 3")
    refusal(AxisError, lambda name: tn.unfold(native(name, x), "i"), "no axis 'i'")
    refusal(AxisError, lambda name: tn.unfold(native(name, x), 0, order="K"), "'C' or 'F'")  # type: ignore[arg-type]
    refusal(AxisError, lambda name: tn.unfold(native(name, np.ones(3)), 0), "two axes or more")
    refusal(SpaceError, lambda name: tn.unfold(tn.tensor(native(name, x), "b ^j ^k", j=W, k=U), "j"), "plain axis")
    refusal(ShapeError, lambda name: tn.fold(native(name, np.ones((2, 5))), 0, (2, 3, 4)), "2x5 matrix")
    refusal(ModeError, lambda name: tn.fold(tn.unfold(t(name), "i"), "i", (2, 3, 4)), "labelled matrix")
    refusal(ShapeError, lambda name: tn.mode_product(native(name, x), native(name, np.ones((2, 2))), 1), "size 3")
    refusal(ModeError, lambda name: tn.mode_product(t(name), native(name, np.ones((2, 2))), 1), "plain one")

    def labelled(name: str, notation: str, **spaces: tn.Space) -> tn.Tensor:
        return tn.tensor(native(name, np.ones((3, 3))), notation, **spaces)

    wrong = tn.Space("X", 3)
    refusal(VarianceError, lambda name: tn.mode_product(t(name), labelled(name, "^l ^j", l=W, j=W), "j"), "^j")
    refusal(SpaceError, lambda name: tn.mode_product(t(name), labelled(name, "^l _j", l=W, j=wrong), "j"), "W(3)")
    refusal(AxisError, lambda name: tn.mode_product(t(name), labelled(name, "^l _m", l=W, m=W), "j"), "m.renamed")
    refusal(AxisError, lambda name: tn.mode_product(t(name), labelled(name, "^k _j", k=W, j=W), "j"), "already")
    refusal(ShapeError, lambda name: tn.kronecker(native(name, x), native(name, x[0])), "3 and 2 axes")
    refusal(ShapeError, lambda name: tn.khatri_rao(native(name, x[0]), native(name, x[0].T)), "4 and 3 columns")
    apart = lambda name: tn.khatri_rao(labelled(name, "^i a", i=W), labelled(name, "^j b", j=W))  # noqa: E731
    refusal(AxisError, apart, "in common")
    refusal(AxisError, lambda name: tn.kronecker(t(name), t(name).renamed(i="a", j="b", k="c"), into="p q"), "2 names")
    refusal(ShapeError, lambda name: tn.hadamard(native(name, x), native(name, x[0])), "Hadamard")
    refusal(BasisError, lambda name: tn.hadamard(t(name), t(name)), "privileged")
    refusal(ModeError, lambda name: tn.hadamard(t(name), native(name, x)), "labelled and plain")
    refusal(AxisError, lambda name: tn.kronecker(native(name, x)), "two tensors or more")
