"""Variance rules: what up and down allow, what a metric does, and what may not depend on the basis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

import tensoria as tn
from tensoria.errors import BasisError, MetricError, SpaceError, VarianceError
from tensoria_conformance.claims import exactly, numbers, refused, same
from tensoria_conformance.contracts import contract
from tensoria_conformance.strategies import floats

G = np.array([[2.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 4.0]])
V = tn.Space("V", 3, metric=G)
i, j, k = tn.indices("i j k", V)
L = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
VECTOR, MATRIX = floats((3,)), floats((3, 3))


@contract(
    "variance",
    rule="Two up indices of one name do not contract; the error says how they would.",
    source="docs/rules.md, rule 4",
    x=VECTOR,
)
def test_two_ups_do_not_contract(xp: Any, x: Any) -> None:
    refused(VarianceError, lambda xp: tn.tensor(xp.ones((3,)), [i]) * tn.tensor(xp.ones((3,)), [i]), xp, "lowered")
    v = tn.tensor(xp.asarray(x), [i])
    same(v * v.lowered(), x @ G @ x)


@contract("variance", rule="A bilinear form has neither trace nor eigenvalues.", source="docs/rules.md, rules 3 and 10")
def test_a_form_has_no_trace(xp: Any) -> None:
    refused(VarianceError, lambda xp: tn.tensor(xp.ones((3, 3)), [-i, -j]).trace("i", "j"), xp, "raised")
    refused(VarianceError, lambda xp: tn.eigvals(tn.tensor(xp.ones((3, 3)), [-i, -j])), xp, "bilinear form")


@contract(
    "variance",
    rule="Lowering contracts with the metric, raising with its inverse.",
    source="docs/rules.md, rule 8; Misner, Thorne, Wheeler, 3.2",
    x=MATRIX,
)
def test_lowering_contracts_with_the_metric(xp: Any, x: Any) -> None:
    t = tn.tensor(xp.asarray(x), [i, -j])
    same(t.lowered("i"), G @ x, axes="_i _j")
    same(t.raised("j"), x @ np.linalg.inv(G), axes="^i ^j", rtol=1e-10)


@contract("variance", rule="Raising undoes lowering.", source="docs/rules.md, rule 8", x=MATRIX)
def test_raising_undoes_lowering(xp: Any, x: Any) -> None:
    t = tn.tensor(xp.asarray(x), [i, j])
    same(t.lowered().raised(), x, axes="^i ^j", rtol=1e-10)


@contract(
    "variance",
    rule="An inner product with an indefinite metric may be negative.",
    source="docs/rules.md, rule 8; Minkowski 1908",
    x=floats((4,)),
)
def test_metrics_may_be_indefinite(xp: Any, x: Any) -> None:
    M = tn.Space("M", 4, metric=[-1, 1, 1, 1])
    v = tn.tensor(xp.asarray(x), "^m", m=M)
    same(tn.inner(v, v), -(x[0] ** 2) + (x[1:] ** 2).sum(), rtol=1e-10)


@contract(
    "variance",
    rule="Sums align by name, whatever the order of axes, and the left order wins.",
    source="docs/rules.md, rule 5",
    x=MATRIX,
    y=MATRIX,
)
def test_sums_align_by_name(xp: Any, x: Any, y: Any) -> None:
    got = tn.tensor(xp.asarray(x), [i, -j]) + tn.tensor(xp.asarray(y), [-j, i])
    same(got, x + y.T, axes="^i _j")
    same(tn.tensor(xp.asarray(x), [i, -j]) - tn.tensor(xp.asarray(y), [-j, i]), x - y.T, axes="^i _j")


@contract("variance", rule="Tensors of different variance do not add.", source="docs/rules.md, rule 5")
def test_different_variances_do_not_add(xp: Any) -> None:
    refused(
        VarianceError, lambda xp: tn.tensor(xp.ones((3,)), [i]) + tn.tensor(xp.ones((3,)), [-i]), xp, "variances differ"
    )
    refused(SpaceError, lambda xp: tn.tensor(xp.ones((3,)), [i]) + tn.tensor(xp.ones((3,)), [j]), xp, "same indices")


@contract(
    "variance",
    rule="Vectors of different spaces never meet, even if they are equally large.",
    source="docs/rules.md, rule 2",
)
def test_identity_is_nominal(xp: Any) -> None:
    other = tn.Space("momentum", 3)
    refused(
        SpaceError,
        lambda xp: tn.tensor(xp.ones((3,)), [i]) * tn.tensor(xp.ones((3,)), "_i", i=other),
        xp,
        "different spaces",
    )
    twin = tn.Space("V", 3)
    refused(
        SpaceError,
        lambda xp: tn.tensor(xp.ones((3,)), [i]) * tn.tensor(xp.ones((3,)), "_i", i=twin),
        xp,
        "different metrics",
    )


@contract("variance", rule="Permuting axes never changes variance.", source="docs/rules.md, rule 7", x=MATRIX)
def test_permuting_keeps_variance(xp: Any, x: Any) -> None:
    got = tn.tensor(xp.asarray(x), [i, -j]).permuted("j i")
    same(got, x.T, axes="_j ^i")


@contract(
    "variance",
    rule="A change of basis takes L on down and its inverse on up indices; contractions stay what they are.",
    source="docs/rules.md, rule 8; Lee, Introduction to Smooth Manifolds, 11",
    x=MATRIX,
    y=VECTOR,
)
def test_contractions_do_not_depend_on_the_basis(xp: Any, x: Any, y: Any) -> None:
    basis = V.basis("sheared", L)
    t, v = tn.tensor(xp.asarray(x), [i, -j]), tn.tensor(xp.asarray(y), [j])
    changed = t.to_basis(basis)
    same(changed, np.linalg.inv(L) @ x @ L, rtol=1e-9)
    same((changed * v.to_basis(basis)).to_basis(V), x @ y, axes="^i", rtol=1e-9)
    same(changed.trace("i", "j"), np.trace(x), rtol=1e-9)
    same(tn.inner(v.to_basis(basis), v.to_basis(basis)), y @ G @ y, rtol=1e-9)


@contract(
    "variance",
    rule="What depends on the basis is refused where the basis is not privileged.",
    source="docs/rules.md, rule 6",
)
def test_coordinates_need_a_privileged_basis(xp: Any) -> None:
    def of_a_vector(call: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda xp: call(tn.tensor(xp.ones((3,)), [i]))

    calls: list[Callable[[Any], Any]] = [
        tn.exp, tn.relu, lambda t: tn.sum(t, axis="i"), lambda t: t > 0.0, lambda t: t[:2],
    ]  # fmt: skip
    for call in calls:
        refused(BasisError, of_a_vector(call), xp, "privileged")


@contract(
    "variance",
    rule="In a privileged basis coordinates have a meaning: functions, sums and maxima work.",
    source="docs/rules.md, rule 6",
    x=floats((2, 3)),
)
def test_coordinates_work_in_a_privileged_basis(xp: Any, x: Any) -> None:
    P = tn.Space("neurons", 3, privileged=True)
    h = tn.tensor(xp.asarray(x), "sample ^n", n=P)
    same(tn.relu(h), np.maximum(x, 0.0), axes="sample ^n")
    same(tn.sum(h, axis="n"), x.sum(axis=1), axes="sample")
    exactly(tn.max(h, axis="n").components + 0.0, x.max(axis=1) + 0.0)
    same(tn.multiply(h, h), x * x, axes="sample ^n")


@contract(
    "variance",
    rule="A space with position='free' inserts its metric by itself; one with 'independent' has none.",
    source="docs/rules.md, rule 4; Cadabra",
    x=VECTOR,
)
def test_positions_are_declared(xp: Any, x: Any) -> None:
    F = tn.Space("F", 3, metric=G, position="free")
    u = tn.tensor(xp.asarray(x), "^i", i=F)
    same(u * u, x @ G @ x)
    I = tn.Space("I", 3, position="independent")
    refused(MetricError, lambda xp: tn.tensor(xp.ones((3,)), "^a", a=I).lowered(), xp, "independent")


@contract(
    "variance",
    rule="Conjugation leads to the conjugate space, and the inner product of a vector with itself is real.",
    source="docs/rules.md, rules 7 and 8",
    z=floats((2,), "complex128"),
)
def test_complex_metrics_are_hermitian(xp: Any, z: Any) -> None:
    H = np.array([[2, 1j], [-1j, 3]])
    C = tn.Space("C", 2, field="complex", metric=H)
    t = tn.tensor(xp.asarray(z), "^c", c=C)
    same(t.conj(), z.conj(), axes="^c*")
    assert str(t.lowered().axes) == "_c*"
    got = numbers(tn.inner(t, t))
    same(tn.inner(t, t), z.conj() @ numbers(t.lowered()), rtol=1e-10)
    assert abs(got.imag) <= 1e-9 * (1 + abs(got))
    assert got.real >= -1e-9


@contract(
    "variance",
    rule="The Levi-Civita tensor is sqrt(det g) times the symbol; the cross product is orthogonal to its factors.",
    source="docs/rules.md, rule 11; Lee, Introduction to Riemannian Manifolds, 2",
    x=VECTOR,
    y=VECTOR,
)
def test_levi_civita_is_a_tensor(xp: Any, x: Any, y: Any) -> None:
    eps = tn.levi_civita(-i, -j, -k)
    same(eps[-i, -j, -k], np.sqrt(np.linalg.det(G)) * numbers(tn.levi_civita_symbol(-i, -j, -k)), rtol=1e-10)
    u, v = tn.tensor(xp.asarray(x), [i]), tn.tensor(xp.asarray(y), [j])
    normal = xp.asarray(numbers(eps * u * v))
    same(eps * u * v, np.sqrt(np.linalg.det(G)) * np.cross(x, y), axes="_k", rtol=1e-9)
    assert abs(float(normal @ xp.asarray(x))) <= 1e-9 * (1 + np.abs(x).max()) ** 2 * (1 + np.abs(y).max())


@contract(
    "variance",
    rule="The Hodge star twice is the identity, up to the sign of the signature.",
    source="docs/rules.md, rule 11; Frankel, The Geometry of Physics, 14",
    x=floats((4,)),
    lorentzian=st.booleans(),
)
def test_hodge_twice_is_a_sign(xp: Any, x: Any, lorentzian: bool) -> None:
    M = tn.Space("M", 4, metric=[-1.0 if lorentzian else 1.0, 2.0, 3.0, 0.5])
    form = tn.tensor(xp.asarray(x), "_m", m=M)
    # ** = sgn(g) (-1)^(k (n - k)), and k (n - k) = 3.
    same(tn.hodge(tn.hodge(form)).components, x if lorentzian else -x, rtol=1e-9)


@contract(
    "variance",
    rule="Singular values respect the metric: they do not depend on the basis.",
    source="docs/rules.md, rule 10",
    x=floats((3, 3)),
)
def test_singular_values_do_not_depend_on_the_basis(xp: Any, x: Any) -> None:
    t = tn.tensor(xp.asarray(x), [i, -j])
    found, changed = tn.svd(t, "i", "j"), tn.svd(t.to_basis(V.basis("sheared", L)), "i", "j")
    root = np.linalg.cholesky(G).T
    want = np.linalg.svd(root @ x @ np.linalg.inv(root), compute_uv=False)
    for S in (found.S, changed.S):
        np.testing.assert_allclose(numbers(S).diagonal(), want, atol=1e-8)
    same(found.U * found.S * found.V, x, axes="^i _j", rtol=1e-8)


@contract(
    "variance",
    rule="The symmetric and the antisymmetric part add to the tensor.",
    source="Wald, General Relativity, 2.4",
    x=MATRIX,
)
def test_parts_add_to_the_tensor(xp: Any, x: Any) -> None:
    t = tn.tensor(xp.asarray(x), [i, j])
    same(t.symmetrised("i j"), (x + x.T) / 2, axes="^i ^j")
    same(t.antisymmetrised("i j"), (x - x.T) / 2, axes="^i ^j")
