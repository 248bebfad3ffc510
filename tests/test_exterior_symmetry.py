"""Symmetries: brackets in the notation, parts, and declarations that are checked once and remembered."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
from typing import Any

import numpy as np
import pytest
from across import native, refusal, values
from hypothesis import given
from hypothesis import strategies as st

import tensoria as tn
from tensoria.errors import ModeError, NotationError, SpaceError, SymmetryError, VarianceError
from tensoria.notation import parse, parse_term

V = tn.Space("V", 3, metric=[[2, 1, 0], [1, 3, 1], [0, 1, 4]])
W = tn.Space("W", 2)
i, j, k = tn.indices("i j k", V)
SKEW = np.array([[0.0, 1.0, 2.0], [-1.0, 0.0, 3.0], [-2.0, -3.0, 0.0]])
EVEN = SKEW @ SKEW


def part(data: np.ndarray[Any, Any], places: tuple[int, ...], odd: bool) -> np.ndarray[Any, Any]:
    """The (anti)symmetric part by its definition."""
    total = np.zeros_like(data)
    for order in itertools.permutations(range(len(places))):
        axes = list(range(data.ndim))
        for target, source in enumerate(order):
            axes[places[target]] = places[source]
        total += (np.linalg.det(np.eye(len(places))[list(order)]) if odd else 1.0) * np.transpose(data, axes)
    return total / math.factorial(len(places))


# -- the notation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("_(i j)", [((0, 1), False)]),
        ("_[i j]", [((0, 1), True)]),
        ("^i _[j k]", [((1, 2), True)]),
        ("_[i |j| k]", [((0, 2), True)]),
        ("_[i |^j _k| l]", [((0, 3), True)]),
        ("... b ^(alpha beta) _[m n o]", [((1, 2), False), ((3, 4, 5), True)]),
        ("[_i _j]", [((0, 1), True)]),
        ("_[i _j]", [((0, 1), True)]),
    ],
)
def test_brackets_group_names_and_share_a_mark(text: str, groups: list[Any]) -> None:
    term = parse_term(text)
    assert [(group.positions, group.antisymmetric) for group in term.groups] == groups
    again = parse_term(str(term))
    assert [str(label) for label in again.labels] == [str(label) for label in term.labels]
    assert [g.positions for g in again.groups] == [g.positions for g in term.groups]


def test_brackets_in_the_classic_notation() -> None:
    e = parse("ij,jk->(ik)")
    assert e.classic
    assert e.output is not None
    assert e.output.groups[0].positions == (0, 1)


MALFORMED = [
    ("_[i j", "'[' is not closed.", " ^"),
    ("_i j)", "')' without a bracket before it.", "    ^"),
    ("_[i j)", "'[' does not end with ')'.", "     ^"),
    ("_[i (j k)]", "brackets do not nest.", "    ^"),
    ("_[i] _j", "brackets (anti)symmetrise over two or more names.", " ^^^"),
    ("_[i |j k]", "a second '|' is missing.", "    ^"),
    ("_[i ^j]", "_i and ^j differ in variance, so exchanging them has no meaning.", "    ^^"),
    ("(b c)", "'b' is a plain axis, and brackets exchange indices of one space.", " ^"),
    ("^_[i j]", "a mark without a name.", "^"),
]


@pytest.mark.parametrize(("text", "message", "caret"), MALFORMED)
def test_the_caret_stands_under_a_bracket_that_can_not_be_read(text: str, message: str, caret: str) -> None:
    said = refusal(NotationError, lambda b: tn.tensor(native(b, SKEW), [-i, -j])[text])
    assert said.split("\n")[:3] == [message, "    " + text, "    " + caret]


# -- parts ------------------------------------------------------------------------------------------------------------


@given(st.integers(2, 4), st.booleans(), st.integers(0, 2**32 - 1), st.data())
def test_a_subscript_in_brackets_is_a_part(backend: str, rank: int, odd: bool, seed: int, drawn: st.DataObject) -> None:
    chosen = sorted(drawn.draw(st.sets(st.integers(0, rank - 1), min_size=2, max_size=min(rank, 3))))
    data = np.random.default_rng(seed).normal(size=(2, *((3,) * rank)))
    names = "abcd"[:rank]
    t = tn.tensor(native(backend, data), ["n", *(-tn.Index(x, V) for x in names)])
    words = [name if n in chosen else f"|{name}|" for n, name in enumerate(names)]
    first, last = chosen[0], chosen[-1]
    inner = " ".join(words[first : last + 1])
    text = " ".join(
        [
            "n",
            *("_" + x for x in names[:first]),
            "_" + "(["[odd] + inner + ")]"[odd],
            *("_" + x for x in names[last + 1 :]),
        ]
    )
    expected = part(data, tuple(n + 1 for n in chosen), odd)
    got = t[text]
    np.testing.assert_allclose(values(got), expected, atol=1e-12)
    same = (t.antisymmetrised if odd else t.symmetrised)([names[n] for n in chosen])
    assert got.axes is same.axes is t.axes
    assert got.notation == same.notation
    np.testing.assert_allclose(values(same), expected, atol=1e-12)


def test_einsum_takes_the_part_of_the_result_and_of_operands(backend: str) -> None:
    rng = np.random.default_rng(1)
    a, b, T = rng.normal(size=3), rng.normal(size=3), rng.normal(size=(3, 3))
    left, right = tn.tensor(native(backend, a), [-i]), tn.tensor(native(backend, b), [-j])
    skew = (np.outer(a, b) - np.outer(b, a)) / 2
    got = tn.einsum("_i, _j -> _[i j]", left, right)
    np.testing.assert_allclose(values(got), skew)
    assert got.notation == "_[i j]"
    np.testing.assert_allclose(values(tn.einsum("i,j->[ij]", left, right)), skew)
    form = tn.tensor(native(backend, T), [-i, -j])
    u, v = (tn.tensor(native(backend, x), [index]) for x, index in ((a, i), (b, j)))
    assert float(tn.einsum("_[i j], ^i, ^j", form, u, v)) == pytest.approx(a @ (T - T.T) @ b / 2)
    assert float(tn.einsum("_(i j), ^i, ^j", form, u, v)) == pytest.approx(a @ (T + T.T) @ b / 2)
    # Native arrays know no spaces; the brackets mean the same.
    np.testing.assert_allclose(
        values(tn.einsum("i,j->(ij)", native(backend, a), native(backend, b))), (np.outer(a, b) + np.outer(b, a)) / 2
    )
    np.testing.assert_allclose(
        values(tn.einsum("_[i j], ^j -> _i", native(backend, T), native(backend, b))), (T - T.T) @ b / 2
    )


def test_brackets_exchange_indices_of_one_space_and_one_variance() -> None:
    def mixed(b: str) -> tn.Tensor:
        return tn.tensor(native(b, np.ones((3, 2, 3))), "_i _a ^j", i=V, a=W, j=V)

    refusal(SpaceError, lambda b: mixed(b)["_[i a] ^j"], "V(3)", "W(2)", "^^^^^")
    refusal(VarianceError, lambda b: tn.einsum("ija->(i|j|a)", mixed(b)), "_i:V(3)", "^a:V(3)")


# -- declarations -----------------------------------------------------------------------------------------------------


def test_a_declared_symmetry_is_checked_when_a_tensor_is_made() -> None:
    good = [("_[i j]", SKEW), ("^(i j)", EVEN), ("_(i j)", EVEN.astype(int)), ("^[i j]", SKEW.astype("complex64"))]
    for text, data in good:
        for name in tn.available():
            t = tn.tensor(native(name, data), text, i=V, j=V)
            assert t.notation == text
    refusal(
        SymmetryError,
        lambda b: tn.tensor(native(b, EVEN), "_[i j]", i=V, j=V),
        "not antisymmetric in i j",
        'Legal: declare none, and take the part that is: t.antisymmetrised("i j")',
    )
    refusal(SymmetryError, lambda b: tn.tensor(native(b, SKEW), "_(i j)", i=V, j=V), "not symmetric")
    refusal(SymmetryError, lambda b: tn.tensor(native(b, SKEW.astype(int) + 1), "_[i j]", i=V, j=V))
    refusal(SpaceError, lambda b: tn.tensor(native(b, np.ones((3, 2))), "_(i j)", i=V, j=W), "V(3)", "W(2)")


@pytest.mark.parametrize(
    ("dtype", "noise", "fine"),
    [("float64", 1e-13, True), ("float64", 1e-9, False), ("float32", 1e-6, True), ("float32", 1e-3, False)],
)
def test_rounding_errors_pass_and_others_do_not(backend: str, dtype: str, noise: float, fine: bool) -> None:
    data = EVEN.copy()
    data[0, 1] += noise * np.abs(EVEN).max()
    array = native(backend, data, dtype)
    if fine:
        assert tn.tensor(array, "_(i j)", i=V, j=V).notation == "_(i j)"
    else:
        with pytest.raises(SymmetryError):
            tn.tensor(array, "_(i j)", i=V, j=V)


def test_nothing_that_is_not_a_number_is_symmetric() -> None:
    refusal(SymmetryError, lambda b: tn.tensor(native(b, EVEN * np.nan), "_(i j)", i=V, j=V))


KEEPS = {
    "a sum": (lambda F: F + F, "_[i j]"),
    "a sum in another order": (lambda F: F + F.permuted("j i"), "_[i j]"),
    "a difference": (lambda F: F - 2 * F, "_[i j]"),
    "a multiple": (lambda F: 3 * F / 2, "_[i j]"),
    "a multiple by a tensor": (lambda F: F * (F * F.raised()), "_[i j]"),
    "the negative": (lambda F: -F, "_[i j]"),
    "another order": (lambda F: F.permuted("j i"), "_[j i]"),
    "other names": (lambda F: F.renamed(i="p"), "_[p j]"),
    "a subscript": (lambda F: F["_p _q"], "_[p q]"),
    "raising all": (lambda F: F.raised(), "^[i j]"),
    "another basis": (lambda F: F.to_basis(V.basis("f", [[1, 2, 0], [0, 1, 0], [0, 0, 1]])), "_[i j]"),
    "another data type": (lambda F: F.to(dtype="float32"), "_[i j]"),
    "the conjugate": (lambda F: F.conj(), "_[i j]"),
    "a copy": (lambda F: copy.deepcopy(F), "_[i j]"),
    "pickling": (lambda F: pickle.loads(pickle.dumps(F)), "_[i j]"),
}
DROPS = {
    "raising one": (lambda F: F.raised("i"), "^i _j"),
    "a sum with another": (lambda F: F + tn.tensor(native(F.backend, EVEN), [-i, -j]), "_i _j"),
    "a product": (lambda F: F * F.renamed(i="k", j="l"), "_i _j _k _l"),
    "mapping over a tree": (lambda F: tn.vmap(lambda x: x)(F.components[None][..., -i, -j])[0], "_i _j"),
}


@pytest.mark.parametrize("name", [*KEEPS, *DROPS])
def test_a_symmetry_is_remembered_by_what_keeps_it(backend: str, name: str) -> None:
    function, expected = {**KEEPS, **DROPS}[name]
    F = tn.tensor(native(backend, SKEW), "_[i j]", i=V, j=V)
    got = function(F)
    assert got.notation == expected
    plain = function(tn.tensor(native(backend, SKEW), "_i _j", i=V, j=V))
    np.testing.assert_allclose(values(got), values(plain))
    if name in KEEPS:
        np.testing.assert_allclose(values(got), -values(got).T, atol=1e-12)


def test_functions_of_components_forget_a_symmetry(backend: str) -> None:
    """exp(F) of an antisymmetric F is not antisymmetric."""
    P = tn.Space("P", 3, privileged=True)
    F = tn.tensor(native(backend, SKEW), "_[i j]", i=P, j=P)
    for result in (tn.exp(F), F**2, tn.multiply(F, F), tn.cumulative_sum(F, axis="i"), tn.where(F > 0, F, 0 * F)):
        assert result.notation == "_i _j"
    F[0, 1] = 0.0
    assert F.notation == "_i _j"


def test_what_is_added_in_place_may_lack_the_symmetry(backend: str) -> None:
    F = tn.tensor(native(backend, SKEW), "_[i j]", i=V, j=V)
    F += F
    assert F.notation == "_[i j]"
    F += tn.tensor(native(backend, EVEN), [-i, -j])
    assert F.notation == "_i _j"
    np.testing.assert_allclose(values(F), 2 * SKEW + EVEN)


def test_two_groups_and_what_stands_between(backend: str) -> None:
    rng = np.random.default_rng(2)
    t = tn.tensor(native(backend, rng.normal(size=(3, 3, 2, 3, 3))), "_i _j ^a _k _l", i=V, j=V, a=W, k=V, l=V)
    both = t["_[i j] ^a _(k l)"]
    assert both.notation == "_[i j] ^a _(k l)"
    assert both.permuted("i a j k l").notation == "_[i |^a| j] _(k l)"
    assert "with [i j], (k l)" in both.permuted("i k a j l").notation
    assert both.raised("k l").notation == "_[i j] ^a ^(k l)"
    assert both.antisymmetrised("i j").notation == "_[i j] ^a _(k l)"
    # An exchange across the groups breaks both.
    assert both.symmetrised("j k").notation == "_i _(j |^a| k) _l"


def test_tensors_with_equal_declarations_share_their_axes(backend: str) -> None:
    one, two = (tn.tensor(native(backend, SKEW), "_[i j]", i=V, j=V) for _ in range(2))
    bare = tn.tensor(native(backend, SKEW), "_i _j", i=V, j=V)
    assert one._axes is two._axes is not bare._axes
    assert one.axes is bare.axes


def test_labelled_parts_need_labels() -> None:
    refusal(ModeError, lambda b: tn.asarray(native(b, SKEW)).symmetrised("i j"), "plain")


def test_data_are_seen_inside_of_transforms(backend: str) -> None:
    """A form that is not declared is looked at where a gradient is computed, too; what is none is refused."""

    def squared(t: tn.Tensor, u: tn.Tensor) -> tn.Tensor:
        w = tn.interior(u, t)
        return tn.inner(w, w)

    u = tn.tensor(native(backend, [1.0, 2.0, -1.0]), [i])
    got = tn.grad(squared)(tn.tensor(native(backend, SKEW), [-i, -j]), u)
    assert np.isfinite(values(got)).all()
    with pytest.raises(SymmetryError):
        tn.grad(squared)(tn.tensor(native(backend, EVEN), [-i, -j]), u)


def test_a_mapped_axis_may_be_anywhere() -> None:
    torch = pytest.importorskip("torch")
    batch = SKEW[:, :, None] * np.arange(1.0, 6.0)
    one = tn.tensor(torch.ones(3, dtype=torch.float64), [-k])

    def product(array: Any) -> Any:
        return tn.wedge(tn.tensor(array, [-i, -j]), one).array

    got = torch.func.vmap(product, in_dims=2)(torch.asarray(batch))
    np.testing.assert_allclose(got[1].numpy(), 2 * values(tn.wedge(tn.tensor(SKEW, [-i, -j]), one.to(backend="numpy"))))
    with pytest.raises(SymmetryError):
        torch.func.vmap(product, in_dims=2)(torch.asarray(batch + EVEN[:, :, None]))
