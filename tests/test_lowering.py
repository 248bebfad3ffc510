"""Lowering any subset of slots of a tensor without symmetries, against the metric written out with `np.einsum`.

The best-known library permutes components silently when it lowers slot 3 of a rank-3 tensor (sympy#17168); here every
subset of slots of rank 3 and 4 is checked, and raised back.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from across import native, values

import tensoria as tn

rng = np.random.default_rng(20)


def frame(n: int, *, turned: bool = False) -> np.ndarray[Any, Any]:
    """A random matrix (complex if `turned`) with singular values between 1/2 and 2, so that nothing is lost in it."""
    parts = [rng.normal(size=(n, n)) + turned * 1j * rng.normal(size=(n, n)) for _ in range(2)]
    left, right = (np.linalg.qr(part)[0] for part in parts)
    matrix = left @ np.diag(np.linspace(0.5, 2, n)) @ right
    return matrix if turned else matrix.real


def symmetric(n: int, signs: list[float]) -> np.ndarray[Any, Any]:
    """A metric of that signature in a basis that is not orthonormal."""
    matrix = frame(n)
    return matrix @ np.diag(signs) @ matrix.T


def hermitian(n: int) -> np.ndarray[Any, Any]:
    matrix = frame(n, turned=True)
    return matrix @ matrix.conj().T


def bilinear(n: int) -> np.ndarray[Any, Any]:
    matrix = frame(n, turned=True)
    return matrix @ matrix.T


SPACES: dict[str, tn.Space | tn.Basis] = {
    "identity": tn.Space("identity", 3, metric=np.ones(3)),
    "diagonal": tn.Space("diagonal", 3, metric=[-1, 2, 0.5]),
    "euclidean": tn.Space("euclidean", 3, metric=symmetric(3, [1, 1, 1])),
    "lorentzian": tn.Space("lorentzian", 3, metric=symmetric(3, [-1, 1, 1])),
    "negative": tn.Space("negative", 3, metric=symmetric(3, [-1, -1, -1])),
    "neurons": tn.Space("neurons", 3, privileged=True),
    "skewed": tn.Space("skewed", 3, metric=symmetric(3, [-1, 1, 1])).basis("skewed", frame(3)),
}
COMPLEX: dict[str, tn.Space | tn.Basis] = {
    "hermitian": tn.Space("hermitian", 3, field="complex", metric=hermitian(3)),
    "hermitian diagonal": tn.Space("hermitian_diagonal", 3, field="complex", metric=[1, 2, -3]),
    "hermitian skewed": tn.Space("hermitian", 3, field="complex", metric=hermitian(3)).basis(
        "skewed", frame(3, turned=True)
    ),
    "bilinear": tn.Space("bilinear", 3, field="complex", metric=bilinear(3), bilinear=True),
}


def gram_of(space: tn.Space | tn.Basis) -> np.ndarray[Any, Any]:
    """The metric's components, from the definition: L^T g L, with the conjugate of L for a Hermitian one."""
    basis = space.standard if isinstance(space, tn.Space) else space
    g = np.eye(3) if basis.space.metric is None else basis.space.metric
    if basis.matrix is None:
        return g
    left = basis.matrix.T if basis.space.bilinear or basis.space.field == "real" else basis.matrix.conj().T
    return left @ g @ basis.matrix


def subsets(rank: int) -> list[tuple[int, ...]]:
    return [s for size in range(1, rank + 1) for s in itertools.combinations(range(rank), size)]


def applied(data: Any, matrices: dict[int, Any]) -> Any:
    """A matrix applied to each of some slots, by np.einsum: new_..a.. = M_ab data_..b.."""
    letters = "ijkl"[: data.ndim]
    for slot, matrix in matrices.items():
        term = letters.replace(letters[slot], "z")
        data = np.einsum(f"{letters[slot]}z,{term}->{letters}", matrix, data)
    return data


@pytest.mark.parametrize("rank", [3, 4])
@pytest.mark.parametrize("kind", SPACES)
def test_lowering_every_subset_of_slots(backend: str, kind: str, rank: int) -> None:
    space, g = SPACES[kind], gram_of(SPACES[kind])
    data = rng.normal(size=(3,) * rank)
    names = list("ijkl")[:rank]
    t = tn.tensor(native(backend, data), [tn.Index(n, space) for n in names])
    for slots in subsets(rank):
        chosen = [names[s] for s in slots]
        low = t.lowered(" ".join(chosen))
        assert low.names == tuple(names)
        assert [x.variance for x in low.indices] == [-1 if s in slots else 1 for s in range(rank)]
        np.testing.assert_allclose(values(low), applied(data, dict.fromkeys(slots, g)), rtol=1e-10, atol=1e-10)
        back = low.raised(chosen)
        assert back.axes is t.axes
        np.testing.assert_allclose(values(back), data, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("kind", SPACES)
def test_raising_every_subset_of_slots(backend: str, kind: str) -> None:
    space, inverse = SPACES[kind], np.linalg.inv(gram_of(SPACES[kind]))
    data = rng.normal(size=(3, 3, 3))
    t = tn.tensor(native(backend, data), [-tn.Index(n, space) for n in "ijk"])
    for slots in subsets(3):
        up = t.raised(["ijk"[s] for s in slots])
        expected = applied(data, dict.fromkeys(slots, inverse))
        np.testing.assert_allclose(values(up), expected, rtol=1e-8, atol=1e-8 * np.abs(expected).max())


@pytest.mark.parametrize("kind", COMPLEX)
def test_lowering_every_subset_of_slots_of_a_complex_tensor(backend: str, kind: str) -> None:
    space, g = COMPLEX[kind], gram_of(COMPLEX[kind])
    star = "" if kind == "bilinear" else "*"
    data = rng.normal(size=(3, 3, 3)) + 1j * rng.normal(size=(3, 3, 3))
    t = tn.tensor(native(backend, data), [tn.Index(n, space) for n in "ijk"])
    for slots in subsets(3):
        low = t.lowered(["ijk"[s] for s in slots])
        assert low.names == tuple(n + star if s in slots else n for s, n in enumerate("ijk"))
        expected = applied(data, dict.fromkeys(slots, g))
        np.testing.assert_allclose(values(low), expected, atol=1e-10 * np.abs(expected).max())
        back = low.raised()
        assert back.axes is t.axes
        np.testing.assert_allclose(values(back), data, atol=1e-8)


@pytest.mark.parametrize("kind", COMPLEX)
def test_raising_every_subset_of_slots_of_a_complex_tensor(backend: str, kind: str) -> None:
    g = gram_of(COMPLEX[kind])
    # Raising V_i leads to the conjugate space, whose metric is the conjugate.
    inverse = np.linalg.inv(g if kind == "bilinear" else g.conj())
    data = rng.normal(size=(3, 3, 3)) + 1j * rng.normal(size=(3, 3, 3))
    t = tn.tensor(native(backend, data), [-tn.Index(n, COMPLEX[kind]) for n in "ijk"])
    for slots in subsets(3):
        up = t.raised(["ijk"[s] for s in slots])
        expected = applied(data, dict.fromkeys(slots, inverse))
        np.testing.assert_allclose(values(up), expected, rtol=1e-8, atol=1e-8 * np.abs(expected).max())


def test_lowering_keeps_plain_and_leading_axes_where_they_are(backend: str) -> None:
    space, g = SPACES["lorentzian"], gram_of(SPACES["lorentzian"])
    data = rng.normal(size=(2, 3, 4, 3))
    t = tn.tensor(native(backend, data), [..., tn.Index("i", space), "n", tn.Index("k", space)])
    np.testing.assert_allclose(values(t.lowered("i")), np.einsum("ij,bjnk->bink", g, data))
    np.testing.assert_allclose(values(t.lowered("k")), np.einsum("kl,binl->bink", g, data))
    np.testing.assert_allclose(values(t.lowered()), np.einsum("ij,kl,bjnl->bink", g, g, data))
    scaled = SPACES["diagonal"]
    t = tn.tensor(native(backend, data), [..., tn.Index("i", scaled), "n", tn.Index("k", scaled)])
    expected = np.einsum("ij,bjnk->bink", np.diag([-1, 2, 0.5]), data)
    np.testing.assert_allclose(values(t.lowered("i")), expected)


def test_lowering_slots_of_different_spaces(backend: str) -> None:
    first, second = SPACES["euclidean"], SPACES["lorentzian"]
    data = rng.normal(size=(3, 3, 3))
    t = tn.tensor(native(backend, data), [tn.Index("i", first), tn.Index("j", second), -tn.Index("k", first)])
    expected = np.einsum("ia,jb,abk->ijk", gram_of(first), gram_of(second), data)
    np.testing.assert_allclose(values(t.lowered()), expected)
    assert [x.variance for x in t.lowered().indices] == [-1, -1, -1]


def test_lowering_every_subset_of_fused_slots(backend: str) -> None:
    """The metric of a product is the Kronecker product, with the inverse for a covariant factor."""
    first, second = SPACES["lorentzian"], SPACES["euclidean"]
    g, h = gram_of(first), gram_of(second)
    data = rng.normal(size=(3, 3, 3, 3))
    i, k = tn.Index("i", first), tn.Index("k", first)
    j, l = tn.Index("j", second), tn.Index("l", second)
    t = tn.tensor(native(backend, data), [i, -j, k, l]).fused("i j", "p").fused("k l", "q")
    flat = data.reshape(9, 9)
    first_metric, second_metric = np.kron(g, np.linalg.inv(h)), np.kron(g, h)
    for names, matrices in (
        ("p", {0: first_metric}),
        ("q", {1: second_metric}),
        ("p q", {0: first_metric, 1: second_metric}),
    ):
        low = t.lowered(names)
        np.testing.assert_allclose(values(low), applied(flat, matrices), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(values(low.raised(names)), flat, atol=1e-8)


@pytest.mark.parametrize("slots", subsets(3))
def test_a_metric_field_lowers_every_subset_of_slots(backend: str, slots: tuple[int, ...]) -> None:
    space = tn.Space("bare", 3)
    g = np.stack([symmetric(3, [-1, 1, 1]) for _ in range(4)])
    data = rng.normal(size=(4, 3, 3, 3))
    i, j = tn.indices("i j", space)
    names = "ijk"
    t = tn.tensor(native(backend, data), ["n", *(tn.Index(x, space) for x in names)])
    metric = tn.tensor(native(backend, g), ["n", -i, -j])
    low = t.lowered([names[s] for s in slots], metric=metric)
    assert low.names == ("n", "i", "j", "k")
    expected = np.stack([applied(x, dict.fromkeys(slots, m)) for x, m in zip(data, g, strict=True)])
    np.testing.assert_allclose(values(low), expected, rtol=1e-10, atol=1e-10)
    back = low.raised([names[s] for s in slots], metric=metric)
    assert back.axes is t.axes
    np.testing.assert_allclose(values(back), data, atol=1e-8)


def test_a_hermitian_metric_that_is_passed(backend: str) -> None:
    space = tn.Space("bare", 3, field="complex")
    g = hermitian(3)
    data = rng.normal(size=(3, 3)) + 1j * rng.normal(size=(3, 3))
    i, j = tn.indices("i j", space)
    t = tn.tensor(native(backend, data), [i, j])
    metric = tn.tensor(native(backend, g), [-i.conj(), -j])
    low = t.lowered("j", metric=metric)
    assert low.names == ("i", "j*")
    np.testing.assert_allclose(values(low), np.einsum("ja,ia->ij", g, data))
    np.testing.assert_allclose(values(low.raised("j*", metric=metric)), data, atol=1e-9)


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_lowering_integers_with_an_integral_metric_stays_exact(backend: str, dtype: str) -> None:
    space = tn.Space("Z", 2, metric=[[2, 1], [1, 3]])
    for metric, expected in ((space, [[4, 3], [7, 4]]), (tn.Space("D", 2, metric=[-1, 1]), [[-1, -2], [3, 0]])):
        t = tn.tensor(native(backend, [[1, 2], [3, 0]], dtype), "^i ^j", i=metric, j=tn.Space("W", 2)).lowered("i")
        assert t.dtype.name == dtype
        if metric is space:
            expected = (np.array([[2, 1], [1, 3]]) @ np.array([[1, 2], [3, 0]])).tolist()
        np.testing.assert_array_equal(values(t), expected)


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_lowering_keeps_single_precision(backend: str, dtype: str) -> None:
    space = SPACES["lorentzian"]
    t = tn.tensor(native(backend, np.ones(3), dtype), [tn.Index("i", space)])
    assert t.lowered().dtype.name == dtype
    np.testing.assert_allclose(values(t.lowered()), gram_of(space) @ np.ones(3), rtol=1e-5)


def test_a_real_tensor_on_a_complex_space_becomes_complex(backend: str) -> None:
    space = COMPLEX["hermitian"]
    t = tn.tensor(native(backend, np.ones(3), "float32"), [tn.Index("i", space)])
    assert t.lowered().dtype.name == "complex64"
    np.testing.assert_allclose(values(t.lowered()), gram_of(space) @ np.ones(3), rtol=1e-5)
    assert tn.tensor(native(backend, np.ones(3)), [tn.Index("i", space)]).lowered().dtype.name == "complex128"


def test_integers_become_floats_where_the_metric_is_not_integral(backend: str) -> None:
    i = tn.Index("i", tn.Space("halves", 2, metric=[0.5, 2]))
    lowered = tn.tensor(native(backend, [1, 2]), [i]).lowered()
    assert lowered.dtype is tn.float64
    np.testing.assert_array_equal(values(lowered), [0.5, 4])
