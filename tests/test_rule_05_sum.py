"""Rule 5: `+` aligns by name; the left operand's order wins; the sets of indices must be equal."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from across import native, refusal, values

import tensoria as tn
from tensoria.errors import ShapeError, SpaceError, VarianceError

U, V, W = tn.Space("U", 2), tn.Space("V", 3), tn.Space("W", 4)
AXES = {"u": tn.indices("u", U)[0], "v": -tn.indices("v", V)[0], "w": tn.indices("w", W)[0], "n": "n"}
SIZES = {"u": 2, "v": 3, "w": 4, "n": 5}


def make(backend: str, names: str, seed: int = 0) -> tuple[tn.Tensor, np.ndarray[Any, Any]]:
    data = np.random.default_rng(seed).normal(size=[SIZES[x] for x in names])
    return tn.tensor(native(backend, data), [AXES[x] for x in names]), data


@pytest.mark.parametrize("symbol", ["+", "-"])
def test_sums_align_by_name_in_the_left_ones_order(backend: str, symbol: str) -> None:
    t, x = make(backend, "uvw")
    for order in itertools.permutations("uvw"):
        s, y = make(backend, "".join(order), 1)
        got = eval(f"t {symbol} s", {"t": t, "s": s})
        aligned = np.einsum(f"{''.join(order)}->uvw", y)
        assert got.names == ("u", "v", "w")
        np.testing.assert_allclose(values(got), x + aligned if symbol == "+" else x - aligned)


def test_plain_names_broadcast_when_one_set_contains_the_other(backend: str) -> None:
    t, x = make(backend, "uv")
    s, y = make(backend, "vnu")
    got = t + s
    assert set(got.names) == {"u", "v", "n"}
    np.testing.assert_allclose(values(got.permuted("n u v")), x[None] + np.einsum("vnu->nuv", y))
    got = s + t
    assert got.names == ("v", "n", "u")
    np.testing.assert_allclose(values(got), y + np.einsum("uv->vu", x)[:, None, :])


def test_plain_axes_of_size_one_broadcast(backend: str) -> None:
    one = tn.tensor(native(backend, np.ones((1, 2))), ["n", AXES["u"]])
    many, y = make(backend, "nu")
    np.testing.assert_allclose(values(one + many), 1 + y)


def test_plain_axes_on_either_side_only_are_an_error() -> None:
    def call(b: str) -> Any:
        u = AXES["u"]
        return tn.tensor(native(b, np.ones((2, 2))), ["m", u]) + tn.tensor(native(b, np.ones((2, 2))), ["n", u])

    refusal(SpaceError, call, "m", "n", "Legal:")


def test_a_missing_index_is_an_error_that_names_it_and_its_space() -> None:
    refusal(SpaceError, lambda b: make(b, "uv")[0] + make(b, "u")[0], "_v:V(3)", "right", "Legal:")
    refusal(SpaceError, lambda b: make(b, "u")[0] - make(b, "uv")[0], "_v:V(3)", "left", "Legal:")


def test_a_vector_and_a_covector_do_not_add() -> None:
    def call(b: str) -> Any:
        return tn.tensor(native(b, np.ones(2)), "^u", u=U) + tn.tensor(native(b, np.ones(2)), "_u", u=U)

    refusal(VarianceError, call, "^u:U(2)", "_u:U(2)", 'raised("u")', "Legal:")


def test_sizes_of_plain_axes_must_fit() -> None:
    def call(b: str) -> Any:
        return tn.tensor(native(b, np.ones(2)), ["n"]) + tn.tensor(native(b, np.ones(3)), ["n"])

    refusal(ShapeError, call, "n", "2", "3")


def test_addition_in_place_never_changes_indices(backend: str) -> None:
    t, x = make(backend, "uv")
    s, y = make(backend, "vu", 1)
    t += s
    assert t.names == ("u", "v")
    np.testing.assert_allclose(values(t), x + y.T)
