"""The string notation: what is read, where the caret stands when it can not be, and that nothing odd ever escapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from across import native, refusal, values
from hypothesis import given, settings
from hypothesis import strategies as st

import tensoria as tn
from tensoria.errors import AxisError, NotationError, SpaceError, TensoriaError, VarianceError
from tensoria.indices import check_sizes
from tensoria.notation import parse, parse_term

V = tn.Space("V", 2, metric=[[2, 1], [1, 3]])
W = tn.Space("W", 3)
EXPECTED = (TensoriaError, TypeError, ValueError, IndexError)


# -- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "terms", "output", "classic"),
    [
        ("^i _j, ^j -> ^i", ["^i _j", "^j"], "^i", False),
        ("  ^i   _j ,^j->^i  ", ["^i _j", "^j"], "^i", False),
        ("... ^i _j, ^j", ["... ^i _j", "^j"], None, False),
        ("b ^alpha' _β ->", ["b ^alpha' _β"], "", False),
        ("row col, col k -> row k", ["row col", "col k"], "row k", False),
        ("^i_j", ["^i _j"], None, False),
        ("^i* _i*", ["^i* _i*"], None, False),
        ("ij,jk->ik", ["i j", "j k"], "i k", True),
        (" ij , jk -> ik ", ["i j", "j k"], "i k", True),
        ("...ij,...jk", ["... i j", "... j k"], None, True),
        ("ij", ["i j"], None, True),
        ("", [""], None, True),
        (",->", ["", ""], "", True),
        ("i,,j->ij", ["i", "", "j"], "i j", True),
        ("αβ,βγ->αγ", ["α β", "β γ"], "α γ", True),
    ],
)
def test_reading(text: str, terms: list[str], output: str | None, classic: bool) -> None:
    e = parse(text)
    assert [str(term) for term in e.terms] == terms
    assert (None if e.output is None else str(e.output)) == output
    assert e.classic is classic


def test_every_name_knows_where_it_stands() -> None:
    text = "^i  _long', ... b -> ^i"
    e = parse(text)
    for term in (*e.terms, e.output):
        assert term is not None
        for label in term.labels:
            assert text[slice(*label.span)] == str(label)


def test_one_tensors_axes_are_one_term() -> None:
    assert [str(x) for x in parse_term("b ^i _j").labels] == ["b", "^i", "_j"]
    assert [x.name for x in parse_term("channels").labels] == ["channels"]
    assert parse_term("...").ellipsis
    assert parse_term("").labels == ()


MALFORMED = [
    ("^i _j, ^ -> ^i", "a mark without a name.", "       ^"),
    ("^i ^^j", "a mark without a name.", "   ^"),
    ("^i _2j", "'2j' is no name: letters, digits and primes make one.", "   ^^^"),
    ("^i -> ^i -> ^i", "a second '->'.", "         ^^"),
    ("^i, ^j -> ^i, ^j", "the result is one tensor; no ',' after '->'.", "            ^"),
    ("i1,j->ij", "'1' is no letter; the classic notation has one letter for each axis.", " ^"),
    ("i...j", "'...' stands for leading axes, so it comes first in a term.", " ^^^"),
    ("^i ... -> ^i", "'...' stands for leading axes, so it comes first in a term.", "   ^^^"),
    ("... ... ^i", "a second '...'.", "    ^^^"),
    ("ij{k", "'{' is no letter; the classic notation has one letter for each axis.", "  ^"),
]


@pytest.mark.parametrize(("text", "message", "caret"), MALFORMED)
def test_the_caret_stands_under_what_can_not_be_read(text: str, message: str, caret: str) -> None:
    said = refusal(NotationError, lambda b: tn.einsum(text, native(b, np.ones(2)), native(b, np.ones(2))))
    lines = said.split("\n")
    assert lines[:3] == [message, "    " + text, "    " + caret]


MISFITS: list[tuple[str, type[TensoriaError], str, str]] = [
    ("^i _j, ^j -> ^k", NotationError, "^k is in the result, but no operand has 'k'.", "             ^^"),
    ("^i _j, ^j -> ^i ^i", NotationError, "^i is twice in the result.", "                ^^"),
    ("^i _j, ^j -> _i", VarianceError, "the result's _i comes from ^i; contraction never changes variance.",
     "             ^^"),
    ("^i _j, _j -> ^i", VarianceError, "_j meets _j: both are down, so they do not contract.", "       ^^"),
    ("^i _j, j -> ^i", VarianceError, "'j' is an index in one place and a plain axis in another.", "       ^"),
    ("^i _j, ^j -> ^i _j", NotationError, "'j' is contracted, so it can not be in the result.", "                ^^"),
    ("^i _j, ^k -> ^i ^k", NotationError,
     "the index _j is free, and missing after '->'; a sum over it would depend on the basis.", "   ^^"),
    ("^i _j _k, ^j -> ^i _k", NotationError, "operand 0 has 2 axes, and 3 axes are named for it.", "^^^^^^^^"),
    ("^i, ^j -> ^i ^j", NotationError, "operand 0 has 2 axes, and 1 axes are named for it.", "^^"),
    ("... _j, ^j -> _j", NotationError, "", ""),
    ("^i _j, ^j -> ... ^i", NotationError, "no operand has '...'.", "             ^^^^^^"),
    ("... _j, ^j ->", NotationError, "the operands' leading axes '...' are missing in the result.", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "kind", "message", "caret"), MISFITS)
def test_the_caret_stands_under_what_does_not_fit(
    text: str, kind: type[TensoriaError], message: str, caret: str
) -> None:
    said = refusal(kind, lambda b: tn.einsum(text, native(b, np.ones((2, 2))), native(b, np.ones(2))))
    lines = said.split("\n")
    assert lines[1] == "    " + text
    if message:
        assert lines[0] == message
    if caret:
        assert lines[2] == "    " + caret


def test_marks_are_held_against_labelled_tensors() -> None:
    def t(b: str) -> tn.Tensor:
        return tn.tensor(native(b, np.ones((2, 2))), "^i _j", i=V, j=V)

    said = refusal(VarianceError, lambda b: tn.einsum("_i _j ->", t(b)))
    assert said.split("\n") == [
        "_i is written as a down index, but the axis is ^i:V(2), an up index.",
        "    _i _j ->",
        "    ^^",
        "  Legal: write ^i here, or raise or lower the index first",
    ]
    said = refusal(NotationError, lambda b: tn.einsum("^i j -> ^i", t(b)), "a plain axis", "a down index", "Legal:")
    assert said.split("\n")[2] == "       ^"
    refusal(NotationError, lambda b: tn.einsum("^i ^j", tn.tensor(native(b, np.ones((2, 2))), "^i n", i=V)), "plain")
    refusal(VarianceError, lambda b: t(b)["^k ^l"], "_j:V(2)", "      ^^")
    refusal(NotationError, lambda b: t(b)["^k"], "^i _j")


def test_spaces_are_held_against_each_other_with_a_caret() -> None:
    def call(b: str) -> Any:
        t = tn.tensor(native(b, np.ones((2, 2))), "^i _j", i=V, j=V)
        return tn.einsum("^a _b, ^b -> ^a", t, tn.tensor(native(b, np.ones(3)), "^k", k=W))

    said = refusal(SpaceError, call, "V(2)", "W(3)", "Legal:")
    assert said.split("\n")[1:3] == ["    ^a _b, ^b -> ^a", "           ^^"]


def test_a_caret_lines_up_under_text_with_tabs_and_newlines() -> None:
    said = refusal(NotationError, lambda b: tn.einsum("^i\t_j,\n^", native(b, np.ones((2, 2))), native(b, np.ones(2))))
    assert said.split("\n")[1:3] == ["    ^i _j, ^", "           ^"]


@pytest.mark.parametrize("bad", [None, 3, b"ij", ["i"], ("i", "j"), {}])
def test_a_notation_is_a_string(bad: Any) -> None:
    refusal(NotationError, lambda b: tn.einsum(bad, native(b, np.ones(2))), "string")


@pytest.mark.parametrize("name", ["", "1", "i j", "^i", "i-", "a_b", "_", "'", "i.", "\n", "i\n"])
def test_what_is_no_name_of_an_index(name: str) -> None:
    with pytest.raises(NotationError, match="letters"):
        tn.Index(name, V)


@pytest.mark.parametrize("name", ["i", "mu", "μ", "k'", "k''", "x1", "i*", "Ĥ", "变量"])
def test_names_of_any_length_and_script(name: str) -> None:
    assert tn.Index(name, V).name == name
    t = tn.tensor([1.0, 2.0], f"^{name}", spaces={name: V})
    assert float(tn.einsum(f"^{name}, _{name}", t, t.lowered())) == 2 + 2 * 2 + 3 * 4


# -- classic and marked -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("classic", "marked"),
    [
        ("ij,jk->ik", "^i _j, ^j _k -> ^i _k"),
        ("ij,jk", "^i _j, ^j _k"),
        ("ij,ji->", "^i _j, ^j _i ->"),
        ("ab,cd->acbd", "^a _b, ^c _d -> ^a ^c _b _d"),
    ],
)
def test_classic_letters_take_the_tensors_variance(backend: str, classic: str, marked: str) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 2)), rng.normal(size=(2, 2))
    t = tn.tensor(native(backend, x), "^i _j", i=V, j=V)
    u = tn.tensor(native(backend, y), "^i _j", i=V, j=V)
    one, two = tn.einsum(classic, t, u), tn.einsum(marked, t, u)
    assert one.axes is two.axes
    np.testing.assert_allclose(values(one), values(two))
    np.testing.assert_allclose(values(one), np.einsum(classic, x, y))
    native_one = tn.einsum(marked, native(backend, x), native(backend, y))
    np.testing.assert_allclose(values(native_one), np.einsum(classic, x, y))


def test_plain_names_missing_after_the_arrow_are_summed(backend: str) -> None:
    x = np.arange(6.0).reshape(2, 3)
    t = tn.tensor(native(backend, x), "^i n", i=V)
    np.testing.assert_allclose(values(tn.einsum("^i n -> ^i", t)), x.sum(1))
    np.testing.assert_allclose(values(tn.einsum("n t -> t", native(backend, x))), x.sum(0))


def test_without_an_arrow_plain_names_stay_and_pairs_contract(backend: str) -> None:
    x, y = np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(2, 3) + 1
    got = tn.einsum("^i n, _i n", native(backend, x), native(backend, y))
    np.testing.assert_allclose(values(got), (x * y).sum(0))


def test_a_plain_name_twice_in_one_operand_is_its_diagonal(backend: str) -> None:
    x = np.arange(9.0).reshape(3, 3)
    np.testing.assert_allclose(values(tn.einsum("n n -> n", native(backend, x))), np.diag(x))


# -- LaTeX and text --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("notation", "latex"),
    [
        ("^i _j", "T^{i}{}_{j}"),
        ("^i ^j", "T^{i j}"),
        ("_i ^j _k", "T_{i}{}^{j}{}_{k}"),
        ("^mu _nu", r"T^{\mu}{}_{\nu}"),
        ("^mu' _long", r"T^{\mu'}{}_{\mathrm{long}}"),
    ],
)
def test_latex_staggers_upper_and_lower_indices(notation: str, latex: str) -> None:
    names = [x.lstrip("^_") for x in notation.split()]
    t = tn.tensor(np.ones((2,) * len(names)), notation, spaces=dict.fromkeys(names, V))
    assert t.latex() == latex
    assert t._repr_latex_() == f"${latex}$"
    assert t.latex("R") == "R" + latex[1:]


def test_latex_writes_plain_axes_in_brackets() -> None:
    assert tn.tensor(np.ones((2, 2)), "n ^i", i=V).latex() == r"T_{[\mathrm{n}]}{}^{i}"
    assert tn.asarray(np.ones(2))._repr_latex_() is None


def test_text_and_html_name_axes_spaces_and_sizes(backend: str) -> None:
    t = tn.tensor(native(backend, np.ones((4, 2, 3))), "... ^i n", i=V)
    text = repr(t)
    assert text.startswith("Tensor(... ^i n [i: V(2)], 4x2x3 float64, " + backend)
    html = t._repr_html_()
    assert "<table>" in html
    assert "^i" in html
    assert "plain" in html
    assert repr(tn.asarray(native(backend, 1.0))).startswith("Tensor(scalar float64")


def test_an_error_message_survives_pickling() -> None:
    import pickle

    with pytest.raises(NotationError) as caught:
        parse("^i ^")
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is NotationError
    assert str(again) == str(caught.value)


# -- whatever is written ----------------------------------------------------------------------------------------------

MIXED = st.text(alphabet=st.sampled_from("^_,->. ()ijkabn'*1\t\n"), max_size=16)
TEXT = st.one_of(MIXED, MIXED, st.text(max_size=12), st.lists(st.sampled_from(
    ["^i", "_i", "^j", "_j", "n", "i", "...", ",", "->", "(", ")", "ij", "^", "_", "-", "1", "()"]
), max_size=9).map(" ".join))  # fmt: skip


def ends_well(call: Any) -> Any:
    try:
        return call()
    except EXPECTED as error:
        if isinstance(error, TensoriaError):
            str(error)  # the caret can be drawn
        return None


@given(text=TEXT, ranks=st.lists(st.integers(0, 3), max_size=3), labelled=st.booleans())
@settings(max_examples=300)
def test_any_text_as_an_einsum_ends_well(backend: str, text: str, ranks: list[int], labelled: bool) -> None:
    operands: list[Any] = [native(backend, np.ones((2,) * rank)) for rank in ranks]
    if labelled:
        operands = [
            tn.tensor(x, ["n", tn.Index("i", V), -tn.Index("j", V)][:rank])
            for x, rank in zip(operands, ranks, strict=True)
        ]
    ends_well(lambda: tn.einsum(text, *operands))
    ends_well(lambda: tn.einsum_path(text, *operands))


@given(text=TEXT, rank=st.integers(0, 3), named=st.booleans())
@settings(max_examples=200)
def test_any_text_as_the_indices_of_a_tensor_ends_well(backend: str, text: str, rank: int, named: bool) -> None:
    data = native(backend, np.ones((2,) * rank))
    spaces = {"i": V, "j": V} if named else {}
    t = ends_well(lambda: tn.tensor(data, text, spaces=spaces))
    if t is not None:
        check_sizes(t.axes, t.shape)
    ends_well(lambda: tn.tensor(data, [text, text]))
    ends_well(lambda: tn.Index(text, V))
    ends_well(lambda: tn.indices(text, V))
    ends_well(lambda: tn.Space(text, 2))
    ends_well(lambda: V.basis(text, np.eye(2)))


@given(
    parts=st.lists(st.one_of(TEXT, st.integers(-3, 3), st.just(...), st.none(), st.booleans()), max_size=4), one=TEXT
)
@settings(max_examples=200)
def test_any_text_in_brackets_ends_well(backend: str, parts: list[Any], one: str) -> None:
    data = native(backend, np.ones((2, 2)))
    for t in (tn.asarray(data), tn.tensor(data, "^i _j", i=V, j=V), tn.tensor(data, "n m")):
        for key in (one, tuple(parts)):
            got = ends_well(lambda t=t, key=key: t[key])
            if got is not None:
                check_sizes(got.axes, got.shape)
                assert got.ndim >= len(got.indices)


@given(text=st.one_of(TEXT, st.tuples(TEXT, TEXT).map(" -> ".join)), size=st.integers(0, 4))
@settings(max_examples=250)
def test_any_text_as_a_pattern_ends_well(backend: str, text: str, size: int) -> None:
    data = native(backend, np.ones((2, 4)))
    for t in (data, tn.asarray(data), tn.tensor(data, "^i n", i=V)):
        for call in (
            lambda t=t: tn.rearrange(t, text),
            lambda t=t: tn.rearrange(t, text, i=size),
            lambda t=t: tn.reduce(t, text, "sum"),
        ):
            got = ends_well(call)
            if isinstance(got, tn.Tensor):
                check_sizes(got.axes, got.shape)


@given(text=TEXT)
@settings(max_examples=150)
def test_any_text_as_names_ends_well(backend: str, text: str) -> None:
    t = tn.tensor(native(backend, np.ones((2, 2, 2))), "^i _j n", i=V, j=V)
    for call in (
        lambda: t.permuted(text),
        lambda: t.lowered(text),
        lambda: t.raised(text),
        lambda: t.trace(text, "j"),
        lambda: t.fused(text, "p"),
        lambda: t.fused("i j", text),
        lambda: t.split(text, "a b"),
        lambda: t.fused("i j", "p").split("p", text),
        lambda: t.renamed({"i": text}),
        lambda: t.renamed({text: "k"}),
        lambda: t.symmetrised(text),
        lambda: tn.svd(t, text, "j"),
        lambda: tn.svd(t, "i", "j", bond=text),
        lambda: tn.eigvals(t, text, "j"),
    ):
        got = ends_well(call)
        if isinstance(got, tn.Tensor):
            check_sizes(got.axes, got.shape)


BASES: list[Any] = [
    V, V, V.basis("tilted", [[1, 2], [0, 1]]), W, tn.Space("V", 3), tn.Space("F", 2, metric=[1, 2], position="free"),
    tn.Space("A", 2, position="independent"), tn.Space("C", 2, field="complex", metric=[[2, 1j], [-1j, 3]]),
    tn.Space("T", "T", privileged=True), tn.Space("S", "T"), tn.Space("N", 2, privileged=True), None, None,
]  # fmt: skip


@st.composite
def structures(draw: st.DrawFn) -> tuple[list[Any], list[int]]:
    names = draw(st.lists(st.sampled_from("ijkl"), unique=True, max_size=3))
    axes: list[Any] = []
    sizes = [draw(st.sampled_from([1, 2])) for _ in range(draw(st.integers(0, 1)))]
    for name in names:
        base = draw(st.sampled_from(BASES))
        index = tn.Index(name, base)
        axes.append(index if base is None or draw(st.booleans()) else -index)
        dimension = index.dimension
        sizes.append(dimension if isinstance(dimension, int) else draw(st.sampled_from([1, 2, 3])))
    return axes, sizes


def made(backend: str, structure: tuple[list[Any], list[int]]) -> Any:
    axes, sizes = structure
    data = native(backend, np.ones(sizes))
    return ends_well(lambda: tn.asarray(data) if not axes else tn.tensor(data, [..., *axes]))


@given(first=structures(), second=structures(), names=st.lists(st.sampled_from("ijklm"), max_size=3))
@settings(max_examples=250)
def test_any_two_index_structures_end_well_and_sizes_stay_true(
    backend: str, first: Any, second: Any, names: list[str]
) -> None:
    t, u = made(backend, first), made(backend, second)
    if t is None or u is None:
        return
    chosen = " ".join(names)
    calls: list[Any] = [
        lambda: t * u,
        lambda: t + u,
        lambda: t - u,
        lambda: t @ u,
        lambda: t / u,
        lambda: t**u,
        lambda: t == u,
        lambda: t(u),
        lambda: t(u, None),
        lambda: t.trace("i", "j"),
        lambda: t.lowered(),
        lambda: t.raised(),
        lambda: t.lowered(chosen),
        lambda: t.raised(chosen),
        lambda: t.lowered("i", metric=u),
        lambda: t.permuted(chosen),
        lambda: t.fused(chosen, "p"),
        lambda: t.fused("i j", "p").lowered(),
        lambda: t.fused("i j", "p").split("p", "a b"),
        lambda: t.to_basis(BASES[2]),
        lambda: t.adjoint(),
        lambda: t.conj(),
        lambda: tn.inner(t, u),
        lambda: tn.hodge(t),
        lambda: t.antisymmetrised(chosen),
        lambda: t[tn.Index("i", V), -tn.Index("j", V)],
        lambda: t[0],
        lambda: t[..., 0:1],
    ]
    for call in calls:
        got = ends_well(call)
        if isinstance(got, tn.Tensor):
            assert got.ndim >= len(got.indices)
            check_sizes(got.axes, got.shape)


def test_unknown_names_are_axis_errors_that_list_the_axes() -> None:
    def t(b: str) -> tn.Tensor:
        return tn.tensor(native(b, np.ones((2, 2))), "^i _j", i=V, j=V)

    for call in (
        lambda b: t(b).lowered("k"),
        lambda b: t(b).permuted("i k"),
        lambda b: t(b).trace("i", "k"),
        lambda b: t(b).renamed(k="l"),
        lambda b: t(b).fused("i k", "p"),
        lambda b: t(b).split("k", "a b"),
    ):
        refusal(AxisError, call, "'k'", "^i _j")
