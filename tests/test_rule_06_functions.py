"""Rule 6 for the functions of the standard: one row each says what they demand of the indices of labelled input."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from across import native, refusal, values

import tensoria as tn
from tensoria.errors import AxisError, BasisError, ModeError, SpaceError, VarianceError
from tensoria.namespace.rules import RULES, Rule

V = tn.Space("V", 3)
N = tn.Space("neurons", 3, privileged=True)
turned = N.basis("turned", [[1, 1, 0], [0, 1, 0], [0, 0, 1]])
x = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])

UNARY = [
    "abs", "ceil", "cos", "cosh", "exp", "expm1", "floor", "isfinite", "isinf", "isnan", "round", "sign",
    "signbit", "sin", "sinh", "square", "tan", "tanh", "trunc", "asinh", "atan", "reciprocal",
]  # fmt: skip
BINARY = {
    "multiply": np.multiply, "divide": np.divide, "maximum": np.maximum, "minimum": np.minimum, "atan2": np.arctan2,
    "hypot": np.hypot, "copysign": np.copysign, "logaddexp": np.logaddexp, "equal": np.equal,
    "not_equal": np.not_equal, "less": np.less, "less_equal": np.less_equal, "greater": np.greater,
    "greater_equal": np.greater_equal, "floor_divide": np.floor_divide, "remainder": np.remainder,
}  # fmt: skip
NUMPY = {"asinh": "arcsinh", "atan": "arctan"}
LINEAR_ALONG: dict[str, Callable[..., Any]] = {
    "sum": np.sum,
    "mean": np.mean,
    "flip": np.flip,
    "cumulative_sum": np.cumsum,
}
NONLINEAR_ALONG: dict[str, Callable[..., Any]] = {
    "max": np.max,
    "min": np.min,
    "prod": np.prod,
    "std": np.std,
    "var": np.var,
    "sort": np.sort,
    "argsort": np.argsort,
    "argmax": np.argmax,
    "argmin": np.argmin,
    "cumulative_prod": np.cumprod,
}


def made(b: str, space: Any, data: Any = x) -> tn.Tensor:
    return tn.tensor(native(b, data), "n ^i", i=space)


def function(name: str) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(tn, name)
    return found


def test_every_row_is_a_function() -> None:
    for name in RULES:
        assert callable(function(name)), name


@pytest.mark.parametrize("name", UNARY)
def test_coordinatewise_functions_keep_indices_in_a_privileged_basis(backend: str, name: str) -> None:
    assert RULES[name] is Rule.COORDINATEWISE
    got = function(name)(made(backend, N))
    assert got.axes is made(backend, N).axes
    np.testing.assert_allclose(values(got), getattr(np, NUMPY.get(name, name))(x), rtol=1e-12)


@pytest.mark.parametrize("name", UNARY)
def test_coordinatewise_functions_refuse_other_bases(name: str) -> None:
    refusal(BasisError, lambda b: function(name)(made(b, V)), name, "^i:V(3)", "privileged=True", "Legal:")
    refusal(BasisError, lambda b: function(name)(made(b, turned)), name, "'turned'", "to_basis", "Legal:")


@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two_operands_align_like_sums_and_keep_variance(backend: str, name: str) -> None:
    y = np.array([1.5, -0.5, 0.75])
    t, u = made(backend, N), tn.tensor(native(backend, y), "^i", i=N)
    got = function(name)(t, u)
    assert got.axes is t.axes
    np.testing.assert_allclose(values(got), BINARY[name](x, y), rtol=1e-12)
    got = function(name)(tn.tensor(native(backend, x.T.copy()), "^i n", i=N), t)
    assert got.names == ("i", "n")
    np.testing.assert_allclose(values(got), BINARY[name](x.T, x.T), rtol=1e-12)


@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two_operands_refuse_what_sums_refuse(name: str) -> None:
    f = function(name)
    refusal(BasisError, lambda b: f(made(b, V), made(b, V)), name if name == "hypot" else "^i:V(3)", "Legal:")
    refusal(ModeError, lambda b: f(made(b, N), tn.asarray(native(b, x))), "n ^i", "Legal:")
    refusal(SpaceError, lambda b: f(made(b, N), made(b, V)), "neurons(3)", "V(3)")
    refusal(VarianceError, lambda b: f(made(b, N), made(b, N).lowered("i")), "^i", "_i", "Legal:")


def test_linear_functions_are_allowed_in_every_basis(backend: str) -> None:
    t = made(backend, V)
    np.testing.assert_allclose(values(tn.add(t, t)), 2 * x)
    np.testing.assert_allclose(values(tn.subtract(t, t)), 0 * x)
    np.testing.assert_allclose(values(tn.negative(t)), -x)
    assert tn.astype(t, tn.float32).axes is t.axes
    assert tn.zeros_like(t).axes is t.axes
    refusal(ModeError, lambda b: tn.add(made(b, V), 1.0), "n ^i", "Legal:")


@pytest.mark.parametrize("name", LINEAR_ALONG)
def test_linear_functions_along_an_axis_leave_other_indices_alone(backend: str, name: str) -> None:
    want = LINEAR_ALONG[name](x, axis=0)
    got = function(name)(made(backend, V), axis="n")
    np.testing.assert_allclose(values(got), want)
    assert got.names == (("i",) if want.ndim == 1 else ("n", "i"))
    np.testing.assert_allclose(values(function(name)(made(backend, V), axis=0)), want)
    over = LINEAR_ALONG[name](x, axis=1)
    np.testing.assert_allclose(values(function(name)(made(backend, N), axis="i")), over)
    refusal(BasisError, lambda b: function(name)(made(b, V), axis="i"), name, "^i:V(3)", "Legal:")
    refusal(BasisError, lambda b: function(name)(made(b, V), axis=-1), name, "^i:V(3)", "Legal:")


@pytest.mark.parametrize("name", NONLINEAR_ALONG)
def test_nonlinear_functions_along_an_axis_need_every_index(backend: str, name: str) -> None:
    """The maximum over n of v_n^i is no vector: under a change of basis of V it would change in another way."""
    for axis, number in (("n", 0), ("i", 1)):
        want = NONLINEAR_ALONG[name](x, axis=number)
        got = function(name)(made(backend, N), axis=axis)
        np.testing.assert_allclose(values(got), want)
        refusal(BasisError, lambda b, axis=axis: function(name)(made(b, V), axis=axis), name, "^i:V(3)", "Legal:")


def test_softmax_needs_every_index(backend: str) -> None:
    want = np.exp(x) / np.exp(x).sum(0)
    np.testing.assert_allclose(values(tn.softmax(made(backend, N), "n")), want)
    assert tn.softmax(made(backend, N), "n").axes is made(backend, N).axes
    refusal(BasisError, lambda b: tn.softmax(made(b, V), "n"), "softmax", "^i:V(3)", "Legal:")
    large = tn.tensor(native(backend, [[1000.0, 0.0, -1000.0]]), "n k")
    np.testing.assert_allclose(values(tn.softmax(large, "k")), [[1, 0, 0]])


def test_relu(backend: str) -> None:
    np.testing.assert_allclose(values(tn.relu(made(backend, N))), np.maximum(x, 0))
    refusal(BasisError, lambda b: tn.relu(made(b, V)), "relu", "^i:V(3)", "Legal:")


def test_reductions_over_all_axes_need_all_of_them(backend: str) -> None:
    assert float(tn.sum(made(backend, N))) == pytest.approx(x.sum())
    refusal(BasisError, lambda b: tn.sum(made(b, V)), "sum", "^i:V(3)")
    assert float(tn.sum(made(backend, N), axis=("n", "i"))) == pytest.approx(x.sum())


def test_a_kept_axis_of_size_one_is_plain(backend: str) -> None:
    got = tn.sum(made(backend, N), axis="i", keepdims=True)
    assert got.names == ("n", "i")
    assert got.indices[1].is_plain
    assert got.shape == (2, 1)


def test_leading_anonymous_axes_are_reduced_by_number(backend: str) -> None:
    t = tn.tensor(native(backend, x), "... ^i", i=V)
    got = tn.sum(t, axis=0)
    assert str(got.axes) == "^i"
    np.testing.assert_allclose(values(got), x.sum(0))


def test_gathering_needs_its_index_and_leaves_a_plain_axis(backend: str) -> None:
    places = tn.asarray(native(backend, [2, 0]))
    got = tn.take(made(backend, N), places, axis="i")
    np.testing.assert_array_equal(values(got), x[:, [2, 0]])
    assert got.names == ("n", "i")
    assert got.indices[1].is_plain
    rows = tn.take(made(backend, V), tn.asarray(native(backend, [1])), axis="n")
    np.testing.assert_array_equal(values(rows), x[[1]])
    assert str(rows.axes) == "n ^i"
    refusal(BasisError, lambda b: tn.take(made(b, V), tn.asarray(native(b, [0])), axis="i"), "take", "^i:V(3)")


def test_gathering_without_an_axis_follows_the_same_rule() -> None:
    vector = tn.tensor(x[0], "^i", i=V)
    with pytest.raises((BasisError, AxisError)):
        tn.take(vector, tn.asarray([0]))


def test_rolling_and_flipping(backend: str) -> None:
    np.testing.assert_array_equal(values(tn.roll(made(backend, V), 1, axis="n")), np.roll(x, 1, axis=0))
    np.testing.assert_array_equal(values(tn.roll(made(backend, N), 1, axis="i")), np.roll(x, 1, axis=1))
    refusal(BasisError, lambda b: tn.roll(made(b, V), 1, axis="i"), "roll", "^i:V(3)")
    refusal(BasisError, lambda b: tn.flip(made(b, V)), "flip", "^i:V(3)")


def test_a_mask_with_names_selects(backend: str) -> None:
    mask = tn.asarray(native(backend, [True, False]))["n"]
    t = made(backend, N)
    got = tn.where(mask, t, 0 * t)
    np.testing.assert_array_equal(values(got), np.where([[True], [False]], x, 0))
    assert set(got.names) == {"n", "i"}
    # A mask over plain axes chooses whole vectors, which commutes with every change of basis; one over V does not.
    np.testing.assert_array_equal(values(tn.where(mask, made(backend, V), 2 * made(backend, V))), x * [[1], [2]])
    refusal(
        BasisError,
        lambda b: tn.where(tn.tensor(native(b, [True, False, True]), "^i", i=V), made(b, V), made(b, V)),
        "^i:V(3)",
        "Legal:",
    )


def test_a_number_chosen_by_a_mask_is_no_vector(backend: str) -> None:
    """Only zero has the same components in every basis."""
    mask = tn.asarray(native(backend, [True, False]))["n"]
    np.testing.assert_array_equal(values(tn.where(mask, made(backend, N), 5.0)), np.where([[True], [False]], x, 5))
    np.testing.assert_array_equal(values(tn.where(mask, 5.0, made(backend, N))), np.where([[True], [False]], 5, x))

    def call(b: str) -> Any:
        return tn.where(tn.asarray(native(b, [True, False]))["n"], made(b, V), 5.0)

    refusal(BasisError, call, "^i:V(3)", "Legal:")


def test_where_aligns_by_name(backend: str) -> None:
    mask = x > 0
    m = tn.tensor(native(backend, mask), "n ^i", i=N)
    t, u = tn.tensor(native(backend, x.T.copy()), "^i n", i=N), tn.tensor(native(backend, 10 * x[0]), "^i", i=N)
    got = tn.where(m, t, u)
    np.testing.assert_array_equal(values(got.permuted("n i")), np.where(mask, x, 10 * x[0]))
    first = tn.asarray(native(backend, [True, False]))["n"]
    got = tn.where(first, u, -u)
    np.testing.assert_array_equal(values(got.permuted("n i")), np.array([10 * x[0], -10 * x[0]]))
    batch = tn.tensor(native(backend, np.stack([x, -x])), "... n ^i", i=N)
    got = tn.where(first, batch, 0 * batch)
    np.testing.assert_array_equal(values(got), np.stack([x, -x]) * [[1], [0]])


def test_concatenation_never_crosses_an_index(backend: str) -> None:
    t = made(backend, V)
    got = tn.concat([t, t], axis="n")
    assert got.axes is t.axes
    np.testing.assert_array_equal(values(got), np.concatenate([x, x]))
    for space in (V, N):
        with pytest.raises((AxisError, BasisError), match=r"\^i"):
            tn.concat([made(backend, space)] * 2, axis="i")
    refusal(ModeError, lambda b: tn.concat([made(b, V), tn.asarray(native(b, x))], axis=0), "n ^i")
    with pytest.raises((AxisError, ModeError)):
        tn.concat([tn.tensor(native(backend, x), "n m")] * 2, axis=None)


def test_stacking_makes_a_new_plain_axis(backend: str) -> None:
    t = made(backend, V)
    got = tn.stack([t, 2 * t], axis="m")
    assert str(got.axes) == "m n ^i"
    np.testing.assert_array_equal(values(got), np.stack([x, 2 * x]))
    front = tn.stack([t, 2 * t], axis=0)
    assert front.axes is t.axes
    assert front.shape == (2, 2, 3)
    refusal(ModeError, lambda b: tn.stack([made(b, V)] * 2, axis=1), "Legal:")


NO_ROW: dict[str, Callable[[Any], Any]] = {
    "reshape": lambda t: tn.reshape(t, (6,)),
    "permute_dims": lambda t: tn.permute_dims(t, (1, 0)),
    "expand_dims": lambda t: tn.expand_dims(t, axis=0),
    "squeeze": lambda t: tn.squeeze(t, axis=0),
    "broadcast_to": lambda t: tn.broadcast_to(t, (4, 2, 3)),
    "tile": lambda t: tn.tile(t, (2, 2)),
    "moveaxis": lambda t: tn.moveaxis(t, 0, 1),
    "unstack": lambda t: tn.unstack(t),
    "tensordot": lambda t: tn.tensordot(t, t, axes=2),
    "vecdot": lambda t: tn.vecdot(t, t),
    "matrix_transpose": lambda t: tn.matrix_transpose(t),
    "unique_values": lambda t: tn.unique_values(t),
    "nonzero": lambda t: tn.nonzero(t),
    "searchsorted": lambda t: tn.searchsorted(t, t),
    "diff": lambda t: tn.diff(t),
    "tril": lambda t: tn.tril(t),
    "triu": lambda t: tn.triu(t),
    "take_along_axis": lambda t: tn.take_along_axis(t, tn.asarray(native(t.backend, [[0, 1, 2]])), axis=1),
}


@pytest.mark.parametrize("name", NO_ROW)
def test_a_function_without_a_row_refuses_labelled_input(name: str) -> None:
    assert name not in RULES
    assert inspect.isroutine(function(name))
    refusal(ModeError, lambda b: NO_ROW[name](made(b, N)), "n ^i", "Legal:")
