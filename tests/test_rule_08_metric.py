"""Rule 8: raising and lowering use the space's metric or one that is passed; a change of basis uses L and L^-1."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from across import native, refusal, values

import tensoria as tn
from tensoria.errors import MetricError, ShapeError, SpaceError, VarianceError

G = np.array([[2.0, 1.0], [1.0, 3.0]])
H = np.array([[2, 1 + 1j], [1 - 1j, 5]])
B = np.array([[2, 1j], [1j, 3]])
V = tn.Space("V", 2, metric=G)
M = tn.Space("M", 4, metric=[-1, 1, 1, 1])
C = tn.Space("C", 2, field="complex", metric=H)
D = tn.Space("D", 2, field="complex", metric=B, bilinear=True)
bare = tn.Space("bare", 2)
L = np.array([[1.0, 2.0], [0.0, 1.0]])
polar = V.basis("polar", L)
rng = np.random.default_rng(8)


def z(*shape: int) -> Any:
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


def test_lowering_uses_the_metric_and_raising_its_inverse(backend: str) -> None:
    x = rng.normal(size=2)
    np.testing.assert_allclose(values(tn.tensor(native(backend, x), "^i", i=V).lowered()), G @ x)
    np.testing.assert_allclose(values(tn.tensor(native(backend, x), "_i", i=V).raised("i")), np.linalg.inv(G) @ x)


def test_an_indefinite_metric_lowers_with_its_signs(backend: str) -> None:
    t = tn.tensor(native(backend, [1.0, 2.0, 3.0, 4.0]), "^i", i=M).lowered("i")
    assert str(t.axes) == "_i"
    np.testing.assert_array_equal(values(t), [-1, 2, 3, 4])


def test_a_privileged_basis_without_a_metric_is_orthonormal_and_lowering_stays_explicit(backend: str) -> None:
    N = tn.Space("N", 2, privileged=True)
    t = tn.tensor(native(backend, [1.0, 2.0]), "^i", i=N)
    assert t.lowered().array is t.array
    assert float(t * t.lowered()) == 5
    refusal(VarianceError, lambda b: tn.tensor(native(b, [1.0, 2.0]), "^i", i=N) ** 1 * tn.tensor(
        native(b, [1.0, 2.0]), "^i", i=N), "lowered")  # fmt: skip


def test_the_privileged_metric_is_transformed_in_other_bases(backend: str) -> None:
    N = tn.Space("N", 2, privileged=True)
    turned = N.basis("turned", L)
    x = rng.normal(size=2)
    t = tn.tensor(native(backend, x), "^i", i=turned)
    np.testing.assert_allclose(values(t.lowered()), L.T @ L @ x)


def test_a_space_without_a_metric_is_an_error_that_names_it() -> None:
    refusal(MetricError, lambda b: tn.tensor(native(b, [1.0, 2.0]), "^i", i=bare).lowered(), "^i:bare(2)",
            "no metric", 'metric=g', "Legal:")  # fmt: skip


def test_moving_an_index_twice_is_an_error() -> None:
    refusal(VarianceError, lambda b: tn.tensor(native(b, [1.0, 2.0]), "^i", i=V).raised("i"), "^i:V(2)",
            "contravariant already", 'lowered("i")')  # fmt: skip
    refusal(VarianceError, lambda b: tn.tensor(native(b, [1.0, 2.0]), "_i", i=V).lowered("i"), "_i:V(2)",
            "covariant already", 'raised("i")')  # fmt: skip
    refusal(SpaceError, lambda b: tn.tensor(native(b, [1.0, 2.0]), ["b"]).raised("b"), "'b'", "plain")


def test_a_metric_that_is_passed_is_used_instead(backend: str) -> None:
    g = np.array([[5.0, 2.0], [2.0, 1.5]])
    x = rng.normal(size=2)
    for space in (V, bare):
        i, j = tn.indices("i j", space)
        metric = tn.tensor(native(backend, g), [-i, -j])
        inverse = tn.tensor(native(backend, np.linalg.inv(g)), [i, j])
        up, down = tn.tensor(native(backend, x), [i]), tn.tensor(native(backend, x), [-i])
        for form in (metric, inverse):
            np.testing.assert_allclose(values(up.lowered("i", metric=form)), g @ x, rtol=1e-10)
            np.testing.assert_allclose(values(down.raised(metric=form)), np.linalg.solve(g, x), rtol=1e-10)
        assert str(up.lowered(metric=metric).axes) == "_i"


def test_a_metric_field_carries_batch_axes(backend: str) -> None:
    """A metric at every point, by a plain name and by leading anonymous axes."""
    i, j, k = tn.indices("i j k", bare)
    a = rng.normal(size=(5, 2, 2))
    g = np.einsum("nij,nkj->nik", a, a) + np.eye(2)
    x = rng.normal(size=(5, 2))
    expected = np.einsum("nij,nj->ni", g, x)
    named = tn.tensor(native(backend, x), ["n", k]).lowered(metric=tn.tensor(native(backend, g), ["n", -i, -j]))
    assert named.names == ("n", "k")
    np.testing.assert_allclose(values(named), expected)
    dots = tn.tensor(native(backend, x), [..., k]).lowered(metric=tn.tensor(native(backend, g), [..., -i, -j]))
    assert dots.names == ("k",)
    np.testing.assert_allclose(values(dots), expected)
    one = tn.tensor(native(backend, x[0]), [-k])
    field = one.raised(metric=tn.tensor(native(backend, g), ["n", -i, -j]))
    assert field.names == ("n", "k")
    np.testing.assert_allclose(values(field), np.linalg.solve(g, np.broadcast_to(x[0], (5, 2))[..., None])[..., 0])


def test_what_is_no_metric_is_refused() -> None:
    def call(b: str, axes: list[Any], data: Any) -> Any:
        metric = tn.tensor(native(b, data), axes)
        return tn.tensor(native(b, [1.0, 2.0]), "^i", i=V).lowered(metric=metric)

    i, j = tn.indices("i j", V)
    p, q = tn.indices("p q", bare)
    refusal(MetricError, lambda b: call(b, [i, -j], np.eye(2)), "^i _j", "Legal:")
    refusal(MetricError, lambda b: call(b, [-i], np.ones(2)), "_i", "Legal:")
    refusal(SpaceError, lambda b: call(b, [-p, -q], np.eye(2)), "bare(2)", "^i:V(2)", "Legal:")


def test_a_singular_metric_that_is_passed_is_a_metric_error() -> None:
    i, j = tn.indices("i j", V)

    def call(b: str) -> Any:
        metric = tn.tensor(native(b, [[1.0, 2.0], [2.0, 4.0]]), [-i, -j])
        return tn.tensor(native(b, [1.0, 2.0]), [-i]).raised(metric=metric)

    refusal(MetricError, call, "singular")


@pytest.mark.parametrize("size", [2, 3])
def test_a_form_over_two_spaces_is_no_metric(size: int) -> None:
    i = tn.indices("i", V)[0]
    j = tn.indices("j", tn.Space("other", size))[0]
    for up in (True, False):

        def call(b: str, up: bool = up) -> Any:
            form = tn.tensor(native(b, np.eye(2, size)), [i, j] if up else [-i, -j])
            return tn.tensor(native(b, [1.0, 2.0]), [i]).lowered(metric=form)

        refusal(MetricError, call, "V(2)", f"other({size})")


def test_a_hermitian_metric_lowers_into_the_conjugate_space(backend: str) -> None:
    x = z(2)
    t = tn.tensor(native(backend, x), "^i", i=C).lowered()
    assert str(t.axes) == "_i*"
    assert t.indices[0].space is C.conj()
    np.testing.assert_allclose(values(t), H @ x)
    back = t.raised()
    assert str(back.axes) == "^i"
    assert back.indices[0].space is C
    np.testing.assert_allclose(values(back), x)


def test_raising_a_covector_of_a_hermitian_space_is_the_inverse_of_lowering(backend: str) -> None:
    x = z(2)
    t = tn.tensor(native(backend, x), "_i", i=C).raised()
    assert str(t.axes) == "^i*"
    np.testing.assert_allclose(values(t), np.linalg.inv(H.conj()) @ x)
    np.testing.assert_allclose(values(t.lowered()), x)


def test_the_inner_product_is_antilinear_in_its_first_argument(backend: str) -> None:
    x, y = z(2), z(2)
    u, v = tn.tensor(native(backend, x), "^i", i=C), tn.tensor(native(backend, y), "^i", i=C)
    np.testing.assert_allclose(complex(tn.inner(u, v)), x.conj() @ H @ y)
    np.testing.assert_allclose(complex(u.conj() * v.lowered()), x.conj() @ H @ y)
    np.testing.assert_allclose(complex(tn.inner(u, u)).imag, 0, atol=1e-12)


def test_the_inner_product_of_covectors_uses_the_inverse(backend: str) -> None:
    x, y = z(2), z(2)
    u, v = tn.tensor(native(backend, x), "_i", i=C), tn.tensor(native(backend, y), "_i", i=C)
    # The Riesz vectors of u and v are H^-1 u^* and H^-1 v^*; the inner product of the dual is that of v's and u's.
    np.testing.assert_allclose(complex(tn.inner(u, v)), x.conj() @ np.linalg.inv(H.conj()) @ y)


def test_a_bilinear_complex_metric_stays_in_its_space(backend: str) -> None:
    x = z(2)
    t = tn.tensor(native(backend, x), "^i", i=D).lowered()
    assert str(t.axes) == "_i"
    assert t.indices[0].space is D
    np.testing.assert_allclose(values(t), B @ x)
    np.testing.assert_allclose(values(t.raised()), x)


def test_a_change_of_basis_uses_the_inverse_up_and_the_matrix_down(backend: str) -> None:
    x, form = rng.normal(size=2), rng.normal(size=(2, 2))
    up = tn.tensor(native(backend, x), "^i", i=V).to_basis(polar)
    np.testing.assert_allclose(values(up), np.linalg.inv(L) @ x)
    assert up.indices[0].basis is polar
    down = tn.tensor(native(backend, x), "_i", i=V).to_basis(polar)
    np.testing.assert_allclose(values(down), L.T @ x)
    bilinear = tn.tensor(native(backend, form), "_i _j", i=V, j=V).to_basis(polar)
    np.testing.assert_allclose(values(bilinear), L.T @ form @ L)
    only = tn.tensor(native(backend, form), "_i _j", i=V, j=V).to_basis(polar, "j")
    np.testing.assert_allclose(values(only), form @ L)


def test_a_change_of_basis_goes_between_two_named_bases_and_back(backend: str) -> None:
    other = V.basis("other", [[0.0, -1.0], [2.0, 1.0]])
    x = rng.normal(size=(2, 2))
    t = tn.tensor(native(backend, x), "^i _j", i=V, j=V)
    there = t.to_basis(polar).to_basis(other)
    np.testing.assert_allclose(values(there), values(t.to_basis(other)))
    np.testing.assert_allclose(values(there.to_basis(V)), x)


def test_what_is_invariant_does_not_depend_on_the_basis(backend: str) -> None:
    x, y, a = rng.normal(size=2), rng.normal(size=2), rng.normal(size=(2, 2))
    u, v = tn.tensor(native(backend, x), "^i", i=V), tn.tensor(native(backend, y), "^i", i=V)
    A = tn.tensor(native(backend, a), "^i _j", i=V, j=V)
    np.testing.assert_allclose(float(tn.inner(u.to_basis(polar), v.to_basis(polar))), x @ G @ y)
    np.testing.assert_allclose(float(A.to_basis(polar).trace("i", "j")), np.trace(a))
    np.testing.assert_allclose(values((A.to_basis(polar) @ u.to_basis(polar)).to_basis(V)), a @ x)
    np.testing.assert_allclose(values(u.lowered().to_basis(polar)), values(u.to_basis(polar).lowered()))


def test_a_complex_change_of_basis_commutes_with_conjugating_and_lowering(backend: str) -> None:
    K = z(2, 2)
    frame = C.basis("frame", K)
    x = z(2)
    t = tn.tensor(native(backend, x), "^i", i=C)
    moved = t.to_basis(frame)
    np.testing.assert_allclose(values(moved), np.linalg.solve(K, x))
    np.testing.assert_allclose(values(moved.lowered()), K.conj().T @ H @ x)
    np.testing.assert_allclose(values(moved.lowered()), values(t.lowered().to_basis(frame)))
    np.testing.assert_allclose(values(moved.conj()), values(t.conj().to_basis(frame)))
    np.testing.assert_allclose(complex(tn.inner(moved, moved)), x.conj() @ H @ x)


def test_a_basis_of_another_space_is_refused() -> None:
    refusal(SpaceError, lambda b: tn.tensor(native(b, [1.0, 2.0]), "^i", i=bare).to_basis(polar), "bare(2)", "V(2)")
    refusal(SpaceError, lambda b: tn.tensor(native(b, np.eye(2)), "^i ^j", i=bare, j=V).to_basis(polar, "i"), "^i",
            "Legal:")  # fmt: skip


@pytest.mark.parametrize(
    ("data", "part"),
    [
        ([[1, 2], [2, 4]], "singular"),
        ([[1, 2], [0, 1]], "not symmetric"),
        ([[1, 0], [0, np.inf]], "not finite"),
        ([[1, 1j], [-1j, 1]], "complex"),
        ([0, 1], "singular"),
    ],
)
def test_what_can_not_be_a_metric_is_refused_when_the_space_is_made(data: Any, part: str) -> None:
    with pytest.raises(MetricError, match=part):
        tn.Space("bad", 2, metric=data)


def test_a_metric_of_another_size_or_of_a_symbolic_dimension_is_refused() -> None:
    with pytest.raises(ShapeError, match="2x2"):
        tn.Space("bad", 2, metric=np.eye(3))
    with pytest.raises(MetricError, match="symbolic"):
        tn.Space("bad", "n", metric=np.eye(3))
    with pytest.raises(MetricError, match="not Hermitian"):
        tn.Space("bad", 2, field="complex", metric=B)
    with pytest.raises(MetricError, match="singular"):
        V.basis("flat", [[1, 1], [1, 1]])


def test_the_size_of_the_units_does_not_make_a_metric_singular() -> None:
    for unit in (1e-200, 1e-30, 1e30):
        space = tn.Space("units", 2, metric=G * unit)
        np.testing.assert_allclose(space.standard.inverse_gram @ space.standard.gram, np.eye(2), atol=1e-12)
