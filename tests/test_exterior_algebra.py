"""Exterior algebra: wedge, interior product, Hodge star, determinant, pullback and pushforward by linear maps."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from across import native, refusal, values
from hypothesis import given
from hypothesis import strategies as st

import tensoria as tn
from tensoria.errors import AxisError, MetricError, ModeError, SpaceError, SymmetryError, VarianceError

Array = np.ndarray[Any, Any]
NAMES = tuple("abcdefgh")
SIGNATURES = [(1, 1, 1), (-1, 1, 1, 1), (-1, -1, 1, 1), (-1, 1)]


def sign(order: tuple[int, ...]) -> int:
    return int(np.prod([-1 if a > b else 1 for a, b in itertools.combinations(order, 2)]))


def alternating(data: Array, k: int) -> Array:
    """The antisymmetric part over the last k axes, by definition."""
    lead = data.ndim - k
    orders = list(itertools.permutations(range(k)))
    total = sum(sign(o) * np.transpose(data, (*range(lead), *(lead + n for n in o))) for o in orders)
    return np.asarray(total) / math.factorial(k)


def wedged(a: Array, p: int, b: Array, q: int) -> Array:
    """(p + q)! / (p! q!) Alt(a b)."""
    factor = math.factorial(p + q) / (math.factorial(p) * math.factorial(q))
    return factor * alternating(np.multiply.outer(a, b), p + q)


def random_form(rng: np.random.Generator, n: int, k: int) -> Array:
    # Of too high a degree there is only zero, and its rounding errors are no form.
    return alternating(rng.normal(size=(n,) * k), k) * (k <= n)


def random_metric(rng: np.random.Generator, signature: tuple[int, ...]) -> Array:
    """A metric of that signature in a basis that is not orthonormal, and not badly conditioned either."""
    n = len(signature)
    a = np.eye(n) + 0.4 * rng.normal(size=(n, n)) / math.sqrt(n)
    return np.asarray(a @ np.diag(signature) @ a.T)


def form(backend: str, data: Array, space: tn.Space, names: str = "abcdefgh", dtype: str | None = None) -> tn.Tensor:
    k = data.ndim
    if not k:
        return tn.asarray(native(backend, data, dtype))
    return tn.tensor(native(backend, data, dtype), [-tn.Index(x, space) for x in names[:k]])


degrees = st.tuples(st.integers(1, 4), st.integers(0, 3), st.integers(0, 3), st.integers(0, 2**32 - 1))


# -- wedge ------------------------------------------------------------------------------------------------------------


@given(degrees)
def test_the_wedge_is_the_normalised_antisymmetric_part(backend: str, drawn: tuple[int, int, int, int]) -> None:
    n, p, q, seed = drawn
    rng = np.random.default_rng(seed)
    V = tn.Space("V", n)
    a, b = random_form(rng, n, p), random_form(rng, n, q)
    got = tn.wedge(form(backend, a, V), form(backend, b, V, "rstu"))
    assert got.backend == backend
    np.testing.assert_allclose(values(got), wedged(a, p, b, q), atol=1e-12)


@given(degrees)
def test_the_wedge_is_graded_commutative_and_associative(backend: str, drawn: tuple[int, int, int, int]) -> None:
    n, p, q, seed = drawn
    rng = np.random.default_rng(seed)
    V = tn.Space("V", n)
    a, b, c = (form(backend, random_form(rng, n, k), V) for k in (p, q, 1))
    np.testing.assert_allclose(values(tn.wedge(a, b)), (-1) ** (p * q) * values(tn.wedge(b, a)), atol=1e-12)
    left, right = tn.wedge(tn.wedge(a, b), c), tn.wedge(a, tn.wedge(b, c))
    np.testing.assert_allclose(values(left), values(right), atol=1e-12)
    np.testing.assert_allclose(values(left), values(tn.wedge(a, b, c)), atol=1e-12)


def test_the_wedge_of_all_coordinate_forms_has_component_one(backend: str) -> None:
    V = tn.Space("V", 4)
    top = tn.wedge(*(form(backend, row, V) for row in np.eye(4)))
    assert top.notation == "_[a a' a'' a''']"
    assert values(top)[0, 1, 2, 3] == 1
    i, j, k, l = tn.indices("i j k l", V)
    np.testing.assert_array_equal(values(top), values(tn.levi_civita_symbol(-i, -j, -k, -l, backend=backend)))


def test_a_repeated_factor_gives_zero_and_so_do_too_many(backend: str) -> None:
    V = tn.Space("V", 2)
    a, b = form(backend, np.array([1.0, 2.0]), V), form(backend, np.array([3.0, 5.0]), V)
    assert not values(tn.wedge(a, a)).any()
    assert not values(tn.wedge(a, b, a)).any()


def test_the_wedge_keeps_names_and_takes_new_ones(backend: str) -> None:
    V = tn.Space("V", 3)
    a, b = form(backend, np.ones(3), V, "i"), form(backend, np.arange(3.0), V, "i")
    assert tn.wedge(a, b).notation == "_[i i']"
    assert tn.wedge(a, b.renamed(i="j")).notation == "_[i j]"
    assert tn.wedge(a, b, into="x y").notation == "_[x y]"
    refusal(AxisError, lambda x: tn.wedge(form(x, np.ones(3), V), into="x y"), "1 indices", "2 names")


def test_the_wedge_of_vectors_is_a_multivector(backend: str) -> None:
    V = tn.Space("V", 2)
    u, v = (tn.tensor(native(backend, x), "^i", i=V) for x in ([1.0, 2.0], [3.0, 5.0]))
    area = tn.wedge(u, v)
    assert area.notation == "^[i i']"
    np.testing.assert_allclose(values(area), [[0, -1], [1, 0]])


def test_the_wedge_maps_over_plain_and_leading_axes(backend: str) -> None:
    rng = np.random.default_rng(2)
    V = tn.Space("V", 3)
    a, b = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    expected = np.einsum("ni,nj->nij", a, b) - np.einsum("ni,nj->nji", a, b)
    for label in ("n", ...):
        got = tn.wedge(*(tn.tensor(native(backend, x), [label, -tn.Index("i", V)]) for x in (a, b)))
        np.testing.assert_allclose(values(got), expected)
    scalars = tn.asarray(native(backend, a[:, 0]))
    one = tn.wedge(scalars, tn.tensor(native(backend, b), [..., -tn.Index("i", V)]))
    np.testing.assert_allclose(values(one), a[:, :1] * b)


def test_the_wedge_refuses_what_is_no_form() -> None:
    V, U = tn.Space("V", 2), tn.Space("U", 2)
    one = np.ones(2)
    refusal(SymmetryError, lambda b: tn.wedge(form(b, np.eye(2), V), form(b, one, V)), "a b", "Legal:", "antisymm")
    refusal(
        VarianceError,
        lambda b: tn.wedge(form(b, one, V), tn.tensor(native(b, one), "^j", j=V)),
        "_a:V(2)",
        "^j:V(2)",
    )
    refusal(SpaceError, lambda b: tn.wedge(form(b, one, V), form(b, one, U, "j")), "V(2)", "U(2)")
    refusal(ModeError, lambda b: tn.wedge(), "at least one")


# -- interior product -------------------------------------------------------------------------------------------------


@given(degrees)
def test_the_interior_product_is_an_antiderivation(backend: str, drawn: tuple[int, int, int, int]) -> None:
    n, p, q, seed = drawn
    p, q = max(p, 1), max(q, 1)
    rng = np.random.default_rng(seed)
    V = tn.Space("V", n)
    a, b = form(backend, random_form(rng, n, p), V), form(backend, random_form(rng, n, q), V)
    v = tn.tensor(native(backend, rng.normal(size=n)), "^v", v=V)
    got = values(tn.interior(v, tn.wedge(a, b)))
    first, second = tn.wedge(tn.interior(v, a), b), tn.wedge(a, tn.interior(v, b))
    np.testing.assert_allclose(got, values(first) + (-1) ** p * values(second), atol=1e-12)
    if p > 1:
        twice = tn.interior(v, tn.interior(v, a))
        np.testing.assert_allclose(values(twice), 0, atol=1e-12)


def test_a_multivector_fills_the_first_slots_in_order(backend: str) -> None:
    rng = np.random.default_rng(3)
    V = tn.Space("V", 4)
    w = form(backend, random_form(rng, 4, 3), V)
    u, v = (tn.tensor(native(backend, rng.normal(size=4)), "^i", i=V) for _ in range(2))
    filled = tn.interior(tn.wedge(u, v), w)
    np.testing.assert_allclose(values(filled), values(w(u, v, None)), atol=1e-12)
    np.testing.assert_allclose(values(filled), values(tn.interior(v, tn.interior(u, w))), atol=1e-12)
    assert tn.interior(u, w).notation == "_[b c]"


def test_vectors_go_into_the_slots_of_forms() -> None:
    V = tn.Space("V", 2)
    one = np.ones(2)
    refusal(VarianceError, lambda b: tn.interior(form(b, one, V, "v"), form(b, one, V)), "_v:V(2)", "_a:V(2)", "raised")
    two = np.array([[0.0, 1.0], [-1.0, 0.0]])
    refusal(
        AxisError,
        lambda b: tn.interior(tn.tensor(native(b, two), "^[i j]", i=V, j=V), form(b, one, V)),
        "do not fit",
    )


# -- the Hodge star ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signature", SIGNATURES, ids=str)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_twice_the_star_is_the_sign_of_the_signature(backend: str, signature: tuple[int, ...], dtype: str) -> None:
    """** = sgn(g) (-1)^(k (n - k)) for every k, in a basis that is not orthonormal."""
    rng = np.random.default_rng(4)
    n = len(signature)
    space = tn.Space("S", n, metric=random_metric(rng, signature))
    for k in range(1, n):
        w = form(backend, random_form(rng, n, k), space, dtype=dtype)
        twice = tn.hodge(tn.hodge(w), into=NAMES[:k])
        assert twice.dtype is tn.dtype(dtype)
        expected = np.prod(signature) * (-1) ** (k * (n - k)) * values(w)
        np.testing.assert_allclose(values(twice), expected, rtol=1e-9 if dtype == "float64" else 1e-3, atol=1e-5)
    indices = [-tn.Index(x, space) for x in NAMES[:n]]
    volume = tn.levi_civita(*indices, backend=backend)
    assert float(tn.hodge(volume)) == pytest.approx(np.prod(signature))  # *(f vol) = sgn(g) f, and *f = f vol


@pytest.mark.parametrize("signature", SIGNATURES, ids=str)
def test_alpha_wedge_star_beta_is_the_inner_product_times_the_volume(backend: str, signature: tuple[int, ...]) -> None:
    rng = np.random.default_rng(5)
    n = len(signature)
    space = tn.Space("S", n, metric=random_metric(rng, signature))
    volume = values(tn.levi_civita(*(-tn.Index(x, space) for x in NAMES[:n]), backend=backend))
    for k in range(1, n + 1):
        a, b = (form(backend, random_form(rng, n, k), space) for _ in range(2))
        inner = float(tn.inner(a, b)) / math.factorial(k)
        np.testing.assert_allclose(values(tn.wedge(a, tn.hodge(b))), inner * volume, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("signature", SIGNATURES, ids=str)
def test_a_metric_field_is_one_metric_at_every_point(backend: str, signature: tuple[int, ...]) -> None:
    rng = np.random.default_rng(6)
    n = len(signature)
    metrics = np.stack([random_metric(rng, signature) for _ in range(3)])
    bare = tn.Space("bare", n)
    for k in range(1, n + 1):
        data = np.stack([random_form(rng, n, k) for _ in range(3)])
        names = NAMES[:k]
        expected = []
        for point in range(3):
            space = tn.Space("S", n, metric=metrics[point])
            expected.append(values(tn.hodge(form(backend, data[point], space))))
        for label in ("p", ...):
            w = tn.tensor(native(backend, data), [label, *(-tn.Index(x, bare) for x in names)])
            g = tn.tensor(native(backend, metrics), [label, -tn.Index("r", bare), -tn.Index("s", bare)])
            np.testing.assert_allclose(values(tn.hodge(w, metric=g)), expected, rtol=1e-8, atol=1e-9)
            inverse = tn.tensor(native(backend, np.linalg.inv(metrics)), [label, *tn.indices("r s", bare)])
            np.testing.assert_allclose(values(tn.hodge(w, metric=inverse)), expected, rtol=1e-8, atol=1e-9)


def test_the_volume_of_a_metric_tensor_follows_the_orientation(backend: str) -> None:
    g = np.array([[2.0, 1.0], [1.0, -3.0]])
    space = tn.Space("P", 2, metric=g)
    for matrix in (np.eye(2), np.array([[0.0, 1.0], [1.0, 0.0]])):
        i, j = tn.indices("i j", space.basis("f", matrix))
        metric = tn.tensor(native(backend, matrix.T @ g @ matrix), [-i, -j])
        for x, y in ((-i, -j), (i, j)):
            own = tn.levi_civita(x, y, backend=backend)
            np.testing.assert_allclose(values(tn.levi_civita(x, y, metric=metric)), values(own))


def test_the_star_carries_gradients_of_the_metric(backend: str) -> None:
    """d/dg_00 of sqrt(det g) is g^00 sqrt(det g) / 2."""
    bare = tn.Space("bare", 2)
    i, j = tn.indices("i j", bare)
    g = tn.tensor(native(backend, np.array([[2.0, 1.0], [1.0, 3.0]])), [-i, -j])
    area = tn.tensor(native(backend, np.array([[0.0, 1.0], [-1.0, 0.0]])), [-i, -j])
    got = tn.grad(lambda g, area: tn.hodge(area, metric=g))(g, area)
    # *(dx ^ dy) = 1 / sqrt(det g)
    inverse = np.linalg.inv(values(g))
    np.testing.assert_allclose(values(got), -inverse.T / 2 / math.sqrt(5), rtol=1e-9)


def test_the_star_refuses_what_is_no_form() -> None:
    E = tn.Space("E", 2, metric=[1, 1])
    refusal(SymmetryError, lambda b: tn.hodge(form(b, np.eye(2), E)), "Hodge star", "a b", "Legal:")
    bare = tn.Space("bare", 2)
    complex_one = np.eye(2) * 1j
    refusal(
        MetricError,
        lambda b: tn.hodge(form(b, np.ones(2), bare), metric=form(b, complex_one, bare)),
        "complex",
        "Legal:",
    )


# -- determinant, pullback, pushforward -------------------------------------------------------------------------------


@given(st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_the_determinant_is_what_a_map_does_to_the_top_form(backend: str, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    V = tn.Space("V", n)
    A = tn.tensor(native(backend, rng.normal(size=(n, n))), "^i _j", i=V, j=V)
    top = tn.wedge(*(form(backend, row, V) for row in np.eye(n)))
    stretched = tn.pullback(A, top)
    np.testing.assert_allclose(values(stretched), float(tn.det(A)) * values(top), atol=1e-10)
    columns = [tn.tensor(native(backend, column), "^v", v=V) for column in values(A).T]
    np.testing.assert_allclose(float(top(*columns)), float(tn.det(A)), atol=1e-10)  # det(v1, ..., vn)
    B = tn.tensor(native(backend, rng.normal(size=(n, n))), "_j ^i", i=V, j=V)
    np.testing.assert_allclose(float(tn.det(A @ B)), float(tn.det(A)) * float(tn.det(B)), atol=1e-9)
    L = V.basis("f", np.eye(n) + np.triu(rng.normal(size=(n, n)), 1))
    np.testing.assert_allclose(float(tn.det(A.to_basis(L))), float(tn.det(A)), atol=1e-9)


def test_the_determinant_maps_over_batches_and_takes_integers(backend: str) -> None:
    V = tn.Space("V", 2)
    data = np.arange(12).reshape(3, 2, 2)
    got = tn.det(tn.tensor(native(backend, data), "n _j ^i", i=V, j=V))
    assert got.notation == "n"
    np.testing.assert_allclose(values(got), np.linalg.det(data))


def test_the_determinant_has_derivatives_of_every_order(backend: str) -> None:
    """d^2/dt^2 det(t A) = n (n - 1) t^(n - 2) det A, in any mix of forward and reverse mode."""
    data = np.array([[2.0, 1.0, 0.0], [1.0, -3.0, 1.0], [4.0, 1.0, 4.0]])
    t = tn.asarray(native(backend, 0.7))

    def along(f: Any) -> Any:
        return lambda t: tn.jvp(f, (t,), (t * 0 + 1,))[1]

    def f(t: tn.Tensor) -> tn.Tensor:
        return tn.det(tn.tensor(data, "^i _j", i=tn.Space("V", 3), j=tn.Space("V", 3), backend=t.backend) * t)

    def logarithm(t: tn.Tensor) -> tn.Tensor:
        return tn.linalg.slogdet(tn.asarray(data, backend=t.backend) * t)[1]

    for first in (along, tn.grad):
        for second in (along, tn.grad):
            assert float(second(first(f))(t)) == pytest.approx(6 * 0.7 * np.linalg.det(data))
            assert float(second(first(logarithm))(t)) == pytest.approx(-3 / 0.7**2)


def test_a_form_has_no_determinant_and_neither_has_a_map_between_spaces() -> None:
    V, U = tn.Space("V", 2), tn.Space("U", 2)
    eye = np.eye(2)
    text = refusal(VarianceError, lambda b: tn.det(form(b, eye, V)), "_a:V(2)", "density", "Legal:", 'raised("a")')
    assert "linalg.det" in text
    refusal(VarianceError, lambda b: tn.det(tn.tensor(native(b, eye), "^i ^j", i=V, j=V)), "lowered")
    refusal(SpaceError, lambda b: tn.det(tn.tensor(native(b, eye), "^i _j", i=V, j=U)), "V(2)", "U(2)", "Legal:")
    refusal(AxisError, lambda b: tn.det(tn.tensor(native(b, np.ones(2)), "^i", i=V)), "two indices")
    refusal(ModeError, lambda b: tn.det(tn.asarray(native(b, eye))), "plain")


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_pulling_back_is_dual_to_pushing_forward(backend: str, n: int, m: int, k: int, seed: int) -> None:
    """(A* w)(v, ...) = w(A v, ...), for maps between spaces of different dimensions."""
    rng = np.random.default_rng(seed)
    V, U = tn.Space("V", n), tn.Space("U", m)
    A = tn.tensor(native(backend, rng.normal(size=(m, n))), "^u _v", u=U, v=V)
    w = form(backend, rng.normal(size=(m,) * k), U)
    vectors = [tn.tensor(native(backend, rng.normal(size=n)), "^x", x=V) for _ in range(k)]
    pulled, pushed = tn.pullback(A, w), [tn.pushforward(A, v) for v in vectors]
    assert [index.space for index in pulled.indices] == [V] * k
    assert pulled.names == w.names
    assert pushed[0].indices[0].space is U
    np.testing.assert_allclose(float(pulled(*vectors)), float(w(*pushed)), atol=1e-10)


def test_pulling_back_is_contravariant_and_respects_the_wedge(backend: str) -> None:
    rng = np.random.default_rng(8)
    V, U, W = tn.Space("V", 4), tn.Space("U", 3), tn.Space("W", 5)
    A = tn.tensor(native(backend, rng.normal(size=(3, 4))), "^u _v", u=U, v=V)
    B = tn.tensor(native(backend, rng.normal(size=(4, 5))), "^v _w", v=V, w=W)
    a, b = form(backend, random_form(rng, 3, 1), U), form(backend, random_form(rng, 3, 2), U)
    both = tn.pullback(A @ B, tn.wedge(a, b))
    assert both.notation == "_[a a' b]"
    step = tn.pullback(B, tn.pullback(A, tn.wedge(a, b)))
    np.testing.assert_allclose(values(both), values(step), atol=1e-12)
    np.testing.assert_allclose(values(both), values(tn.wedge(*(tn.pullback(A @ B, x) for x in (a, b)))), atol=1e-12)
    up, vp = (tn.tensor(native(backend, rng.normal(size=5)), "^w", w=W) for _ in range(2))
    pushed = tn.pushforward(B, tn.wedge(up, vp))
    np.testing.assert_allclose(
        values(pushed), values(tn.wedge(tn.pushforward(B, up), tn.pushforward(B, vp))), atol=1e-12
    )


def test_other_indices_and_plain_axes_stay(backend: str) -> None:
    rng = np.random.default_rng(9)
    V, U, W = tn.Space("V", 2), tn.Space("U", 3), tn.Space("W", 4)
    A, t = rng.normal(size=(6, 3, 2)), rng.normal(size=(6, 4, 3))
    got = tn.pullback(
        tn.tensor(native(backend, A), "n ^u _v", u=U, v=V), tn.tensor(native(backend, t), "n ^w _x", w=W, x=U)
    )
    assert got.notation == "n ^w _x"
    np.testing.assert_allclose(values(got), np.einsum("nwu,nuv->nwv", t, A))


def test_vectors_do_not_pull_back_and_covectors_do_not_push_forward() -> None:
    V, U = tn.Space("V", 2), tn.Space("U", 3)

    def A(b: str) -> tn.Tensor:
        return tn.tensor(native(b, np.ones((3, 2))), "^u _v", u=U, v=V)

    refusal(VarianceError, lambda b: tn.pullback(A(b), tn.tensor(native(b, np.ones(3)), "^i", i=U)), "^i:U(3)", "push")
    refusal(VarianceError, lambda b: tn.pushforward(A(b), form(b, np.ones(2), V)), "_a:V(2)", "pull")
    refusal(SpaceError, lambda b: tn.pullback(A(b), form(b, np.ones(2), V)), "_a:V(2)", "U(3)")
    refusal(VarianceError, lambda b: tn.pullback(form(b, np.eye(2), V), form(b, np.ones(2), V)), "one up and one down")
