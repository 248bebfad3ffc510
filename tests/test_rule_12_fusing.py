"""Rule 12: fusing yields a product space that remembers its ordered factors, so that it can be split again."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from across import native, refusal, values

import tensoria as tn
from tensoria.errors import AxisError, BasisError, ModeError, NotationError, ShapeError, SpaceError

U = tn.Space("U", 2, metric=[[2, 1], [1, 3]])
V = tn.Space("V", 3, metric=[1, 2, 4])
N = tn.Space("N", 2, privileged=True)
K = tn.Space("K", 3, privileged=True)
H = np.array([[2, 1 + 1j], [1 - 1j, 5]])
C = tn.Space("C", 2, field="complex", metric=H)
T = tn.Space("tokens", "T", privileged=True)
rng = np.random.default_rng(12)


def make(backend: str, notation: str = "^u n _v") -> tuple[tn.Tensor, np.ndarray[Any, Any]]:
    sizes = {"u": 2, "v": 3, "n": 4}
    data = rng.normal(size=[sizes[x.lstrip("^_")] for x in notation.split()])
    spaces = {name: space for name, space in (("u", U), ("v", V)) if name in notation}
    return tn.tensor(native(backend, data), notation, spaces=spaces), data


def test_fusing_puts_the_index_up_where_the_first_stood_and_splitting_undoes_it(backend: str) -> None:
    t, data = make(backend)
    f = t.fused("u v", "p")
    assert str(f.axes) == "^p n"
    np.testing.assert_array_equal(values(f), np.einsum("unv->uvn", data).reshape(6, 4))
    s = f.split("p", "u v")
    assert str(s.axes) == "^u _v n"
    np.testing.assert_array_equal(values(s.permuted("u n v")), data)


def test_the_order_of_the_factors_is_the_order_of_the_names(backend: str) -> None:
    t, data = make(backend)
    f = t.fused("v u", "p")
    np.testing.assert_array_equal(values(f), np.einsum("unv->vun", data).reshape(6, 4))
    assert f.indices[0].space is not t.fused("u v", "p").indices[0].space
    assert str(f.split("p", "a b").axes) == "_a ^b n"


def test_the_ordered_factors_with_their_variances_are_the_identity(backend: str) -> None:
    first, second = make(backend, "^u _v")[0], make(backend, "^u ^v")[0]
    p = first.fused("u v", "p").indices[0]
    q = second.fused("u v", "p").indices[0]
    assert p.space is make(backend, "^u _v")[0].fused("u v", "p").indices[0].space
    assert p.space is not q.space
    left = tn.tensor(native(backend, np.ones(6)), [-p])
    with pytest.raises(SpaceError, match="different"):
        left * tn.tensor(native(backend, np.ones(6)), [q])


def test_a_fused_index_contracts_like_its_factors(backend: str) -> None:
    t, x = make(backend, "^u _v")
    s, y = make(backend, "_u ^v")
    # s, read on the dual, is the down index of the same product space.
    p = t.fused("u v", "p").indices[0]
    down = tn.tensor(native(backend, y.reshape(6)), [-p])
    np.testing.assert_allclose(float(t.fused("u v", "p") * down), (x * y).sum())
    assert str(down.split("p", "u v").axes) == "_u ^v"
    np.testing.assert_allclose(float(t * down.split("p", "u v")), float(t * s))


@pytest.mark.parametrize("marks", list(itertools.product("^_", repeat=2)))
def test_the_metric_of_a_product_is_the_product_of_the_metrics(backend: str, marks: tuple[str, str]) -> None:
    t, _ = make(backend, f"{marks[0]}u {marks[1]}v")
    fused_then_lowered = t.fused("u v", "p").lowered()
    assert str(fused_then_lowered.axes) == "_p"
    factors = fused_then_lowered.split("p", "u v")
    expected = t
    for name, mark in zip("uv", marks, strict=True):
        expected = expected.lowered(name) if mark == "^" else expected.raised(name)
    assert factors.axes is expected.axes
    np.testing.assert_allclose(values(factors), values(expected))
    np.testing.assert_allclose(values(fused_then_lowered.raised()), values(t.fused("u v", "p")))


@pytest.mark.parametrize("marks", list(itertools.product("^_", repeat=2)))
def test_the_metric_of_a_complex_product_is_the_product_of_the_metrics(backend: str, marks: tuple[str, str]) -> None:
    data = rng.normal(size=(2, 2)) + 1j * rng.normal(size=(2, 2))
    t = tn.tensor(native(backend, data), f"{marks[0]}c {marks[1]}d", c=C, d=C)
    f = t.fused("c d", "p").lowered()
    assert str(f.axes) == "_p*"
    expected = t
    for name, mark in zip("cd", marks, strict=True):
        expected = expected.lowered(name) if mark == "^" else expected.raised(name)
    split = f.split("p*", [index.name for index in expected.indices])
    assert split.axes is expected.axes
    np.testing.assert_allclose(values(split), values(expected))
    np.testing.assert_allclose(values(f.raised()), data.reshape(4))


def test_fused_vectors_are_the_kronecker_product(backend: str) -> None:
    x, y = rng.normal(size=2), rng.normal(size=3)
    t = tn.tensor(native(backend, x), "^u", u=U) * tn.tensor(native(backend, y), "^v", v=V)
    np.testing.assert_allclose(values(t.fused("u v", "p")), np.kron(x, y))


def test_fused_maps_are_the_kronecker_product(backend: str) -> None:
    x, y = rng.normal(size=(2, 2)), rng.normal(size=(3, 3))
    i, j = tn.indices("i j", U)
    k, l = tn.indices("k l", V)
    t = tn.tensor(native(backend, x), [i, -j]) * tn.tensor(native(backend, y), [k, -l])
    np.testing.assert_allclose(values(t.fused("i k", "p").fused("j l", "q")), np.kron(x, y))


def test_a_product_is_privileged_if_all_factors_are(backend: str) -> None:
    t = tn.tensor(native(backend, np.arange(1.0, 7.0).reshape(2, 3)), "^n ^k", n=N, k=K).fused("n k", "p")
    np.testing.assert_allclose(values(t**2), np.arange(1.0, 7.0) ** 2)

    def mixed(b: str) -> Any:
        return tn.tensor(native(b, np.ones((2, 3))), "^n ^v", n=N, v=V).fused("n v", "p") ** 2

    refusal(BasisError, mixed, "^p", "N⊗V(6)", "Legal:")


def test_a_fused_symbol_splits_by_what_the_others_leave(backend: str) -> None:
    data = rng.normal(size=(5, 2))
    t = tn.tensor(native(backend, data), "^t ^n", t=T, n=N).fused("t n", "p")
    np.testing.assert_array_equal(values(t.split("p", "t n")), data)


def test_an_index_splits_only_if_its_space_is_a_product() -> None:
    refusal(SpaceError, lambda b: make(b)[0].split("v", "a b"), "_v:V(3)", "product space", "Legal:")
    refusal(AxisError, lambda b: make(b)[0].fused("u v", "p").split("p", "a b c"), "2 factors", "3 names")
    refusal(SpaceError, lambda b: make(b)[0].rearrange("(u w) n v -> u w n v", u=2), "^u:U(2)", "product", "Legal:")


def test_plain_axes_do_not_fuse_with_indices() -> None:
    refusal(SpaceError, lambda b: make(b)[0].fused("u n", "p"), "'n'", "plain", "Legal:")
    refusal(SpaceError, lambda b: make(b)[0].rearrange("u n v -> (u n) v"), "plain")
    refusal(AxisError, lambda b: make(b)[0].fused("u", "p"), "two or more")
    refusal(AxisError, lambda b: make(b)[0].fused("u u", "p"), "different")
    refusal(AxisError, lambda b: make(b)[0].fused("u v", "n"), "'n'", "Legal:")
    refusal(ModeError, lambda b: tn.asarray(native(b, np.ones((2, 2)))).fused("u v", "p"), "plain", "Legal:")


def test_rearrange_splits_and_merges_plain_axes(backend: str) -> None:
    data = rng.normal(size=(2, 12))
    t = tn.tensor(native(backend, data), "b c")
    s = t.rearrange("b (h d) -> b h d", h=3)
    assert s.names == ("b", "h", "d")
    np.testing.assert_array_equal(values(s), data.reshape(2, 3, 4))
    np.testing.assert_array_equal(values(s.rearrange("b h d -> b (h d)")), data)


def test_rearrange_merges_indices_into_a_product_and_splits_it_without_sizes(backend: str) -> None:
    t, data = make(backend)
    f = t.rearrange("u n v -> n (u v)")
    assert str(f.axes) == "n ^uv"
    np.testing.assert_array_equal(values(f), np.einsum("unv->nuv", data).reshape(4, 6))
    back = f.rearrange("n (u v) -> u n v")
    assert back.axes is t.axes
    np.testing.assert_array_equal(values(back), data)


def test_rearrange_relabels_by_position_and_keeps_leading_axes(backend: str) -> None:
    data = rng.normal(size=(5, 2, 3))
    t = tn.tensor(native(backend, data), "... ^u _v", u=U, v=V)
    s = t.rearrange("... a b -> ... b a")
    assert str(s.axes) == "_b ^a"
    np.testing.assert_array_equal(values(s), np.swapaxes(data, 1, 2))


def test_repeat_adds_plain_axes(backend: str) -> None:
    t, data = make(backend, "^u _v")
    s = tn.repeat(t, "u v -> u n v", n=4)
    assert str(s.axes) == "^u n _v"
    np.testing.assert_array_equal(values(s), np.repeat(data[:, None, :], 4, axis=1))


def test_patterns_on_native_arrays_give_native_arrays(backend: str) -> None:
    data = rng.normal(size=(2, 12))
    got = tn.rearrange(native(backend, data), "b (h d) -> h b d", h=3)
    assert not isinstance(got, tn.Tensor)
    np.testing.assert_array_equal(values(got), np.swapaxes(data.reshape(2, 3, 4), 0, 1))
    np.testing.assert_allclose(values(tn.reduce(native(backend, data), "b c -> b", "mean")), data.mean(1))


def test_a_pattern_that_does_not_fit_is_an_error_with_a_caret() -> None:
    text = refusal(NotationError, lambda b: make(b)[0].rearrange("u n v -> u n"), "'v' is missing on the right")
    assert text.split("\n")[1:] == ["    u n v -> u n", "        ^"]
    text = refusal(NotationError, lambda b: make(b)[0].rearrange("u n v -> u n v w"), "'w' is not on the left")
    assert text.split("\n")[2] == "    " + " " * 15 + "^"
    refusal(NotationError, lambda b: make(b)[0].rearrange("u n -> n u"), "^u n _v")
    refusal(NotationError, lambda b: make(b)[0].rearrange("u (n v -> u n v"), "not closed")
    refusal(ShapeError, lambda b: tn.tensor(native(b, np.ones((2, 5))), "b c").rearrange("b (h d) -> b h d", h=3))
    refusal(ShapeError, lambda b: tn.asarray(native(b, np.ones((2, 5)))).rearrange("b (h d) -> b h d", h=3))
