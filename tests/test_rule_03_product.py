"""Rule 3: `*` is the tensor product with Einstein summation, pairwise; `@` composes linear maps without names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from across import native, refusal, values

import tensoria as tn
from tensoria.errors import AxisError, NotationError, ShapeError, SpaceError, VarianceError

U = tn.Space("U", 2)
V = tn.Space("V", 3)
W = tn.Space("W", 4)
i, j, k = tn.indices("i j k", V)
a, b, c = tn.indices("a b c", U)
p, q = tn.indices("p q", W)
rng = np.random.default_rng(3)


def make(backend: str, *axes: Any, batch: int = 5) -> tuple[tn.Tensor, np.ndarray[Any, Any]]:
    data = rng.normal(size=[batch if isinstance(x, str) else x.dimension for x in axes])
    return tn.tensor(native(backend, data), list(axes)), data


def test_an_up_and_a_down_index_of_one_name_contract(backend: str) -> None:
    t, x = make(backend, a, -j)
    u, y = make(backend, j, p)
    s = t * u
    assert s.indices == (a, p)
    np.testing.assert_allclose(values(s), np.einsum("aj,jp->ap", x, y))


def test_a_plain_name_aligns_in_any_number_of_operands(backend: str) -> None:
    t, x = make(backend, "n", i)
    u, y = make(backend, "n", -i)
    v, z = make(backend, "n", a)
    s = t * u * v
    assert s.names == ("n", "a")
    np.testing.assert_allclose(values(s), np.einsum("ni,ni,na->na", x, y, z))


def test_plain_names_of_size_one_broadcast(backend: str) -> None:
    t, x = make(backend, "n", i, batch=1)
    u, y = make(backend, "n", -i)
    np.testing.assert_allclose(values(t * u), np.einsum("ni,ni->n", np.broadcast_to(x, (5, 3)), y))


def test_any_other_name_is_free_and_plain_names_come_first(backend: str) -> None:
    t, x = make(backend, a, "n", -i)
    u, y = make(backend, p, "m")
    s = t * u
    assert s.names == ("n", "m", "a", "i", "p")
    np.testing.assert_allclose(values(s), np.einsum("ani,pm->nmaip", x, y))


def test_the_product_is_pairwise(backend: str) -> None:
    """u^i w_i v^i: the first pair contracts, and i is free again for the third."""
    u, x = make(backend, i)
    w, y = make(backend, -i)
    v, z = make(backend, i)
    s = u * w * v
    assert s.indices == (i,)
    np.testing.assert_allclose(values(s), (x @ y) * z)


def test_einsum_refuses_a_third_occurrence_of_a_variance_carrying_name() -> None:
    def third(backend: str) -> Any:
        u, w = make(backend, i)[0], make(backend, -i)[0]
        return tn.einsum("^i, _i, ^i -> ^i", u, w, u)

    text = refusal(NotationError, third, "'i' occurs 3 times")
    lines = text.split("\n")
    assert lines[1].strip() == "^i, _i, ^i -> ^i"
    assert lines[2] == "    " + " " * 8 + "^^"


def test_a_sum_over_a_free_index_is_refused() -> None:
    refusal(NotationError, lambda b: tn.einsum("^i ->", make(b, i)[0]), "^i", "free", "Legal:")
    refusal(NotationError, lambda b: tn.einsum("i->", make(b, i)[0]), "^i", "free", "Legal:")


def test_two_up_indices_do_not_contract() -> None:
    refusal(VarianceError, lambda b: make(b, i)[0] * make(b, i)[0], "contravariant", "V(3)", 'lowered("i")', "Legal:")
    refusal(VarianceError, lambda b: make(b, -i)[0] * make(b, -i)[0], "covariant", 'raised("i")', "Legal:")


def test_matmul_applies_a_linear_map_without_names(backend: str) -> None:
    t, x = make(backend, a, -j)
    v, y = make(backend, k)
    s = t @ v
    assert s.indices == (a,)
    np.testing.assert_allclose(values(s), x @ y)


def test_matmul_takes_the_last_down_and_the_first_up_index(backend: str) -> None:
    t, x = make(backend, -i, -j, a)
    u, y = make(backend, -p, k, q)
    s = t @ u
    assert s.indices == (-i, a, -p, q)
    np.testing.assert_allclose(values(s), np.einsum("ija,pjq->iapq", x, y))


def test_matmul_primes_clashing_free_names_of_the_right(backend: str) -> None:
    t, x = make(backend, i, -j)
    u, y = make(backend, i, -j)
    s = t @ u
    assert s.names == ("i", "j")  # j of the left was contracted, so that the name is free again
    np.testing.assert_allclose(values(s), x @ y)
    m, z = make(backend, k, i, -j)
    s = t @ m
    assert s.names == ("i", "i'", "j")
    np.testing.assert_allclose(values(s), np.einsum("ak,kij->aij", x, z))


def test_matmul_aligns_plain_names(backend: str) -> None:
    t, x = make(backend, "n", i, -j)
    u, y = make(backend, "n", k)
    s = t @ u
    assert s.names == ("n", "i")
    np.testing.assert_allclose(values(s), np.einsum("nij,nj->ni", x, y))


def test_matmul_needs_a_down_index_on_the_left_and_an_up_one_on_the_right() -> None:
    refusal(VarianceError, lambda b: make(b, i)[0] @ make(b, i)[0], "covariant", "left", "^i", "Legal:")
    refusal(VarianceError, lambda b: make(b, -i)[0] @ make(b, -i)[0], "contravariant", "right", "Legal:")
    refusal(SpaceError, lambda b: make(b, -i)[0] @ make(b, a)[0], "V(3)", "U(2)", "Legal:")


def test_a_trace_contracts_one_up_and_one_down_index(backend: str) -> None:
    t, x = make(backend, i, a, -j)
    s = t.trace("i", "j")
    assert s.indices == (a,)
    np.testing.assert_allclose(values(s), np.einsum("iai->a", x))


def test_a_bilinear_form_has_no_trace() -> None:
    refusal(VarianceError, lambda b: make(b, -i, -j)[0].trace("i", "j"), "_i", "_j", "V(3)", "Legal:", "raised")
    refusal(SpaceError, lambda b: make(b, i, -a)[0].trace("i", "a"), "V(3)", "U(2)", "Legal:")
    refusal(AxisError, lambda b: make(b, i, -j)[0].trace("i", "i"), "^i")
    refusal(AxisError, lambda b: make(b, i, -j)[0].trace("i", "k"), "'k'", "^i _j")


def test_a_trace_over_sizes_that_differ_is_a_shape_error() -> None:
    T = tn.Space("T", "T")
    refusal(ShapeError, lambda b: tn.tensor(native(b, np.ones((2, 3))), "m n").trace("m", "n"), "2", "3")
    refusal(ShapeError, lambda b: tn.tensor(native(b, np.ones((1, 3))), "m n").trace("m", "n"), "1", "3")
    refusal(ShapeError, lambda b: tn.tensor(native(b, np.ones((2, 3))), "^s _t", s=T, t=T).trace("s", "t"), "2", "3")


def test_calling_a_tensor_evaluates_it_as_a_multilinear_map(backend: str) -> None:
    t, x = make(backend, i, -a, -p)
    alpha, y = make(backend, -k)
    u, z = make(backend, b)
    v, w = make(backend, q)
    np.testing.assert_allclose(float(t(alpha, u, v)), np.einsum("iap,i,a,p->", x, y, z, w))
    s = t(alpha, None, v)
    assert s.indices == (-a,)
    np.testing.assert_allclose(values(s), np.einsum("iap,i,p->a", x, y, w))
    assert t(None, None, None).axes is t.axes


def test_a_multilinear_map_refuses_a_vector_in_a_covectors_place() -> None:
    refusal(VarianceError, lambda b: make(b, i, -a)[0](make(b, k)[0], None), "^i:V(3)", "covector", "Legal:")
    refusal(SpaceError, lambda b: make(b, i, -a)[0](None, make(b, k)[0]), "U(2)", "V(3)")
    refusal(AxisError, lambda b: make(b, i, -a)[0](make(b, -k)[0]), "2 slots", "Legal:")


@pytest.mark.parametrize("notation", ["^i _j, ^j -> ^i", "ij,j->i", "^i _j, ^j", "^x _y, ^y -> ^x"])
def test_einsum_relabels_by_position_and_keeps_the_spaces(backend: str, notation: str) -> None:
    t, x = make(backend, i, -j)
    v, y = make(backend, k)
    s = tn.einsum(notation, t, v)
    assert s.indices[0].space is V
    assert s.indices[0].variance == 1
    np.testing.assert_allclose(values(s), x @ y)


def test_attention_reads_as_in_the_design(backend: str) -> None:
    residual = tn.Space("residual", 3)
    x = rng.normal(size=(4, 3))
    form, value = rng.normal(size=(3, 3)), rng.normal(size=(3, 3))
    X = tn.tensor(native(backend, x), "t ^a", a=residual)
    QK = tn.tensor(native(backend, form), "_a _b", a=residual, b=residual)
    OV = tn.tensor(native(backend, value), "^a _b", a=residual, b=residual)
    s = tn.einsum("q ^a, _a _b, k ^b -> q k", X, QK, X)
    assert s.names == ("q", "k")
    np.testing.assert_allclose(values(s), x @ form @ x.T)
    y = tn.einsum("q k, ^a _b, k ^b -> q ^a", s, OV, X)
    np.testing.assert_allclose(values(y), (x @ form @ x.T) @ x @ value.T)
    assert y.names == ("q", "a")
