"""Contraction: sums over indices that meet, of however many tensors, in whatever order they are multiplied."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

import tensoria as tn
from tensoria.errors import AxisError, DTypeError, NotationError, ShapeError, VarianceError
from tensoria_conformance.claims import exactly, refused, same
from tensoria_conformance.contracts import contract
from tensoria_conformance.strategies import floats, integers

V, W = tn.Space("V", 3), tn.Space("W", 2)
i, j, k = tn.indices("i j k", V)
EINSTEIN = "Einstein 1916; docs/rules.md, rule 3"
SIZES = {"a": 2, "b": 3, "c": 2, "d": 4}


@st.composite
def equations(draw: st.DrawFn) -> tuple[str, list[Any]]:
    """A classic einsum string of two or three operands, each letter at most once in a term, with its arrays."""
    terms = draw(st.lists(st.lists(st.sampled_from("abcd"), max_size=3, unique=True), min_size=2, max_size=3))
    letters = sorted({x for term in terms for x in term})
    out = draw(st.lists(st.sampled_from(letters), unique=True)) if letters else []
    operands = [draw(floats(tuple(SIZES[x] for x in term))) for term in terms]
    return ",".join(map("".join, terms)) + "->" + "".join(out), operands


@contract(
    "contraction",
    rule="einsum sums over every letter that is missing in the result.",
    source="NumPy, einsum",
    drawn=equations(),
    examples=60,
)
def test_einsum_is_numpys(xp: Any, drawn: Any) -> None:
    equation, operands = drawn
    same(tn.einsum(equation, *map(xp.asarray, operands)), np.einsum(equation, *operands), rtol=1e-10)


@contract(
    "contraction",
    rule="A letter twice in one term is its diagonal, and missing in the result its trace.",
    source="NumPy, einsum",
    x=floats((3, 3)),
)
def test_repeated_letters_are_diagonals(xp: Any, x: Any) -> None:
    same(tn.einsum("aa->a", xp.asarray(x)), np.diagonal(x))
    same(tn.einsum("aa->", xp.asarray(x)), np.trace(x))
    same(
        tn.einsum("aab,b->a", xp.asarray(x[:, :, None] * np.ones(2)), xp.ones((2,), dtype="float64")),
        2 * np.diagonal(x),
    )


@contract(
    "contraction",
    rule="* contracts an up with a down index of one name, and keeps the others in order.",
    source=EINSTEIN,
    x=floats((3, 3)),
    y=floats((3, 3)),
)
def test_up_and_down_of_one_name_contract(xp: Any, x: Any, y: Any) -> None:
    A, B = tn.tensor(xp.asarray(x), [i, -j]), tn.tensor(xp.asarray(y), [j, -k])
    same(A * B, x @ y, axes="^i _k")
    same(B * A, np.einsum("jk,ij->ki", y, x), axes="_k ^i")


@contract(
    "contraction",
    rule="Indices of different names make the tensor product.",
    source=EINSTEIN,
    x=floats((3,)),
    y=floats((2,)),
)
def test_other_names_make_the_tensor_product(xp: Any, x: Any, y: Any) -> None:
    got = tn.tensor(xp.asarray(x), [i]) * tn.tensor(xp.asarray(y), "^w", w=W)
    same(got, np.outer(x, y), axes="^i ^w")


@contract(
    "contraction",
    rule="The result does not depend on the order in which a network is contracted.",
    source="Associativity of the tensor product",
    x=floats((3, 3)),
    y=floats((3, 3)),
    z=floats((3,)),
)
def test_networks_do_not_depend_on_the_order(xp: Any, x: Any, y: Any, z: Any) -> None:
    A, B = tn.tensor(xp.asarray(x), [i, -j]), tn.tensor(xp.asarray(y), [j, -k])
    v = tn.tensor(xp.asarray(z), [k])
    for got in ((A * B) * v, A * (B * v), tn.einsum("^i _j, ^j _k, ^k -> ^i", A, B, v)):
        same(got, x @ y @ z, axes="^i", rtol=1e-10)


@contract("contraction", rule="An index up and down on one tensor is a trace.", source=EINSTEIN, x=floats((2, 3, 3)))
def test_an_index_up_and_down_is_a_trace(xp: Any, x: Any) -> None:
    t = tn.tensor(xp.asarray(x), ["b", i, -j])
    same(t["b", i, -i], np.trace(x, axis1=1, axis2=2), axes="b")
    same(t.trace("i", "j"), np.trace(x, axis1=1, axis2=2), axes="b")


@contract(
    "contraction",
    rule="@ composes linear maps without looking at names.",
    source="docs/rules.md, rule 3",
    x=floats((3, 3)),
    y=floats((3, 3)),
)
def test_maps_are_composed(xp: Any, x: Any, y: Any) -> None:
    A, B = tn.tensor(xp.asarray(x), [i, -j]), tn.tensor(xp.asarray(y), [i, -k])
    same(A @ B, x @ y, axes="^i _k")
    same(A @ tn.tensor(xp.asarray(y[0]), [k]), x @ y[0], axes="^i")


@contract(
    "contraction",
    rule="Plain names align, come first in the result, and are summed where it does not name them.",
    source="docs/rules.md, rule 3",
    x=floats((2, 3)),
    y=floats((2, 3)),
)
def test_plain_names_align(xp: Any, x: Any, y: Any) -> None:
    t, u = tn.tensor(xp.asarray(x), ["b", i]), tn.tensor(xp.asarray(y), ["b", -i])
    same(t * u, (x * y).sum(axis=1), axes="b")
    same(tn.einsum("b ^i, b _i ->", t, u), (x * y).sum())


@contract(
    "contraction",
    rule="A tensor called with vectors is the multilinear map; None leaves a slot open.",
    source="docs/rules.md, rule 12",
    x=floats((3, 3)),
    y=floats((3,)),
    z=floats((3,)),
)
def test_tensors_are_multilinear_maps(xp: Any, x: Any, y: Any, z: Any) -> None:
    A = tn.tensor(xp.asarray(x), [i, -j])
    alpha, v = tn.tensor(xp.asarray(y), [-i]), tn.tensor(xp.asarray(z), [k])
    same(A(alpha, v), y @ x @ z, rtol=1e-10)
    same(A(None, v), x @ z, axes="^i", rtol=1e-10)
    refused(VarianceError, lambda xp: tn.tensor(xp.ones((3,)), [i])(tn.tensor(xp.ones((3,)), [j])), xp, "covector")


@contract(
    "contraction",
    rule="Integers contract exactly, and mixed precisions at the larger one.",
    source="Array API 2025.12, Type promotion rules",
    x=integers((3, 3)),
    y=integers((3,)),
)
def test_contraction_promotes(xp: Any, x: Any, y: Any) -> None:
    big = x * (2**40 + 1)
    exactly(tn.einsum("ij,j->i", xp.asarray(big), xp.asarray(y)), big @ y)
    half, full = (x / 7).astype("float32"), y / 3
    same(tn.einsum("ij,j->i", xp.asarray(half), xp.asarray(full)), half.astype("float64") @ full)


@contract(
    "contraction",
    rule="Sizes that differ are refused by the name of the index; they never broadcast.",
    source="docs/rules.md, rules 2 and 3",
)
def test_sizes_of_one_index_agree(xp: Any) -> None:
    T = tn.Space("T", "tokens")
    refused(
        ShapeError,
        lambda xp: tn.tensor(xp.ones((3,)), "^q", q=T) * tn.tensor(xp.ones((4,)), "_q", q=T),
        xp,
        "tokens",
        "3",
        "4",
    )
    refused(ShapeError, lambda xp: tn.tensor(xp.ones((2,)), [i]), xp, "V(3)")


@contract(
    "contraction",
    rule="An index contracts in pairs: three of a name are refused, with a caret under the third.",
    source=EINSTEIN,
)
def test_an_index_contracts_in_pairs(xp: Any) -> None:
    def thrice(xp: Any) -> Any:
        v = tn.tensor(xp.ones((3,)), [j])
        return tn.einsum("^i _j, ^j, ^j -> ^i", tn.tensor(xp.ones((3, 3)), [i, -j]), v, v)

    refused(NotationError, thrice, xp, "3 times", "^i _j, ^j, ^j -> ^i", "^^")
    refused(AxisError, lambda xp: xp.ones((3, 3, 3))[i, -i, i], xp, "twice")


@contract(
    "contraction",
    rule="Booleans are not contracted: there is no sum of them.",
    source="docs/rules.md; ARCHITECTURE.md, decisions",
)
def test_booleans_are_not_contracted(xp: Any) -> None:
    refused(DTypeError, lambda xp: tn.einsum("i,i->", xp.asarray([True]), xp.asarray([True])), xp, "bool", "Legal:")


@contract(
    "contraction", rule="Fused indices split into what they were.", source="docs/rules.md, rule 12", x=floats((3, 2))
)
def test_fusing_is_undone_by_splitting(xp: Any, x: Any) -> None:
    t = tn.tensor(xp.asarray(x), "^i _w", i=V, w=W)
    row = t.fused("i w", "p")
    exactly(row.components, x.reshape(6))
    back = row.split("p", "i w")
    assert str(back.axes) == "^i _w"
    exactly(back.components, x)
