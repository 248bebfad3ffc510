"""Rule 11: Levi-Civita is the tensor, follows metric and orientation; the bare symbol is a density."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from across import native, refusal, values

import tensoria as tn
from tensoria.errors import AxisError, MetricError, ShapeError, SpaceError, VarianceError

G = np.array([[2.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 4.0]])
V = tn.Space("V", 3, metric=G)
i, j, k = tn.indices("i j k", V)
E2 = tn.Space("E", 2, metric=[1, 1])
rng = np.random.default_rng(11)


def permutation_symbol(n: int) -> np.ndarray[Any, Any]:
    symbol = np.zeros((n,) * n)
    for order in itertools.permutations(range(n)):
        symbol[order] = np.linalg.det(np.eye(n)[list(order)])
    return symbol


def test_the_components_are_the_root_of_the_determinant(backend: str) -> None:
    eps = tn.levi_civita(-i, -j, -k, backend=backend)
    assert eps.backend == backend
    np.testing.assert_allclose(values(eps), math.sqrt(18) * permutation_symbol(3))


@pytest.mark.parametrize("signature", [(1, 1, 1), (-1, 1, 1), (-1, -1, 1), (-1, -1, -1)])
def test_raising_gives_the_sign_of_the_signature(backend: str, signature: tuple[int, ...]) -> None:
    a = rng.normal(size=(3, 3))
    g = a @ np.diag(signature) @ a.T
    space = tn.Space("S", 3, metric=g)
    x, y, z = tn.indices("x y z", space)
    down = tn.levi_civita(-x, -y, -z, backend=backend)
    sign = np.prod(signature)
    np.testing.assert_allclose(
        values(down.raised()), sign / math.sqrt(abs(np.linalg.det(g))) * permutation_symbol(3), rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(values(tn.levi_civita(x, y, z, backend=backend)), values(down.raised()), atol=1e-10)
    np.testing.assert_allclose(float(down * down.raised()), sign * 6, rtol=1e-9)


def test_it_follows_the_orientation_of_the_basis(backend: str) -> None:
    for matrix in (np.diag([-1.0, 1.0, 1.0]), np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 2]]), np.diag([2.0, 1.0, 1.0])):
        basis = V.basis("f", matrix)
        x, y, z = tn.indices("i j k", basis)
        own = tn.levi_civita(-x, -y, -z, backend=backend)
        moved = tn.levi_civita(-i, -j, -k, backend=backend).to_basis(basis)
        np.testing.assert_allclose(values(own), values(moved), atol=1e-12)
        expected = np.sign(np.linalg.det(matrix)) * math.sqrt(abs(np.linalg.det(matrix.T @ G @ matrix)))
        np.testing.assert_allclose(values(own)[0, 1, 2], expected)


def test_the_symbol_needs_no_metric_and_does_not_follow_it(backend: str) -> None:
    bare = tn.Space("bare", 3)
    for space in (bare, V):
        x, y, z = tn.indices("x y z", space)
        symbol = tn.levi_civita_symbol(-x, -y, -z, backend=backend)
        np.testing.assert_array_equal(values(symbol), permutation_symbol(3))


def test_the_tensor_needs_a_metric() -> None:
    x, y = tn.indices("x y", tn.Space("bare", 2))
    refusal(MetricError, lambda b: tn.levi_civita(-x, -y, backend=b), "bare(2)", "metric", "Legal:", "symbol")


def test_it_has_one_index_for_each_dimension_all_down_or_all_up() -> None:
    refusal(ShapeError, lambda b: tn.levi_civita(-i, -j, backend=b), "V(3)", "3", "2")
    refusal(VarianceError, lambda b: tn.levi_civita(-i, j, -k, backend=b), "_i:V(3)", "^j:V(3)", "Legal:")
    x = tn.indices("x", E2)[0]
    refusal(SpaceError, lambda b: tn.levi_civita(-i, -j, -x, backend=b), "V(3)", "E(2)")
    refusal(AxisError, lambda b: tn.levi_civita(backend=b))


def wedge(x: tn.Tensor, y: tn.Tensor) -> tn.Tensor:
    """x ^ y of two one-forms: x_i y_j - x_j y_i."""
    return 2 * (x * y).antisymmetrised(f"{x.names[0]} {y.names[0]}")


def test_the_wedge_of_the_coordinate_forms_has_component_one(backend: str) -> None:
    x, y = tn.indices("x y", E2)
    dx, dy = tn.tensor(native(backend, [1.0, 0.0]), [-x]), tn.tensor(native(backend, [0.0, 1.0]), [-y])
    np.testing.assert_allclose(values(wedge(dx, dy)), [[0, 1], [-1, 0]])


def test_alpha_wedge_star_beta_is_the_inner_product_times_the_volume(backend: str) -> None:
    """For one-forms on a plane with a metric of either signature: alpha ^ *beta = <alpha, beta> eps."""
    for g in (np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([[1.0, 2.0], [2.0, 1.0]])):
        space = tn.Space("P", 2, metric=g)
        x, y = tn.indices("x y", space)
        a, b = rng.normal(size=2), rng.normal(size=2)
        alpha, beta = tn.tensor(native(backend, a), [-x]), tn.tensor(native(backend, b), [-x])
        star = tn.hodge(beta, into="y")
        volume = tn.levi_civita(-x, -y, backend=backend)
        expected = (a @ np.linalg.inv(g) @ b) * values(volume)
        np.testing.assert_allclose(values(wedge(alpha, star)), expected, atol=1e-12)


def test_the_hodge_star_of_the_coordinate_forms_in_space(backend: str) -> None:
    """*dx = dy ^ dz in Euclidean space."""
    space = tn.Space("E3", 3, metric=[1, 1, 1])
    x = tn.indices("x", space)[0]
    star = tn.hodge(tn.tensor(native(backend, [1.0, 0.0, 0.0]), [-x]))
    assert [index.variance for index in star.indices] == [-1, -1]
    np.testing.assert_allclose(values(star), [[0, 0, 0], [0, 0, 1], [0, -1, 0]])


def test_the_hodge_star_takes_forms() -> None:
    refusal(VarianceError, lambda b: tn.hodge(tn.tensor(native(b, np.ones(3)), [i])), "^i:V(3)", 'lowered("i")')
    refusal(AxisError, lambda b: tn.hodge(tn.tensor(native(b, np.ones(3)), ["n"])), "at least one index")
    refusal(AxisError, lambda b: tn.hodge(tn.tensor(native(b, np.ones(3)), [-i]), into="a b c"), "2")
    bare = tn.Space("bare", 3)
    refusal(MetricError, lambda b: tn.hodge(tn.tensor(native(b, np.ones(3)), "_x", x=bare)), "bare(3)", "metric")


def test_the_hodge_star_maps_over_plain_and_leading_axes(backend: str) -> None:
    data = rng.normal(size=(4, 3))
    one = tn.tensor(native(backend, data), ["n", -i])
    dots = tn.tensor(native(backend, data), [..., -i])
    raised = data @ np.linalg.inv(G)
    expected = np.einsum("na,abc->nbc", raised, math.sqrt(18) * permutation_symbol(3))
    np.testing.assert_allclose(values(tn.hodge(one)), expected)
    np.testing.assert_allclose(values(tn.hodge(dots)), expected)


def test_symmetric_and_antisymmetric_parts_over_one_space_and_one_variance(backend: str) -> None:
    data = rng.normal(size=(3, 2, 3, 3))
    t = tn.tensor(native(backend, data), "_i ^a _j _k", i=V, a=E2, j=V, k=V)
    orders = list(itertools.permutations((0, 2, 3)))
    both = [np.transpose(data, (o[0], 1, o[1], o[2])) for o in orders]
    signs = [np.linalg.det(np.eye(3)[[{0: 0, 2: 1, 3: 2}[x] for x in o]]) for o in orders]
    np.testing.assert_allclose(values(t.symmetrised("i j k")), sum(both) / 6)
    np.testing.assert_allclose(
        values(t.antisymmetrised("i j k")), sum(s * x for s, x in zip(signs, both, strict=True)) / 6
    )
    np.testing.assert_allclose(values(t.symmetrised("k i")), (data + np.einsum("iajk->kaji", data)) / 2)


def test_exchanging_different_spaces_or_variances_has_no_meaning() -> None:
    def t(b: str) -> tn.Tensor:
        return tn.tensor(native(b, np.ones((3, 3, 2))), "_i ^j ^a", i=V, j=V, a=E2)

    refusal(VarianceError, lambda b: t(b).symmetrised("i j"), "_i:V(3)", "^j:V(3)", "Legal:")
    refusal(SpaceError, lambda b: t(b).antisymmetrised("j a"), "V(3)", "E(2)")
    refusal(AxisError, lambda b: t(b).symmetrised("i i"), "once each")
