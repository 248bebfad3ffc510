"""Rule 1: plain and labelled tensors are one type in two modes, which never mix silently."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from across import installed, native, refusal, values

import tensoria as tn
from tensoria.errors import AxisError, ConversionError, ModeError, NotationError, ShapeError, SpaceError, VarianceError

U = tn.Space("U", 2)
V = tn.Space("V", 3)
N = tn.Space("N", 3, privileged=True)
i, j, k, l = tn.indices("i j k l", V)
u, w = tn.indices("u w", U)
n = tn.indices("n", N)[0]
A23 = np.arange(6.0).reshape(2, 3)


def labelled(backend: str, *, batch: bool = False) -> tn.Tensor:
    data = np.arange(18.0).reshape(2, 3, 3) if batch else np.arange(9.0).reshape(3, 3)
    return tn.tensor(native(backend, data), ["b", i, -j] if batch else [i, -j])


def test_a_tensor_without_labels_is_plain(backend: str) -> None:
    t = tn.asarray(native(backend, A23))
    assert not t.is_labelled
    assert t.names == ()
    assert t.backend == backend
    assert t.shape == (2, 3)


def test_index_objects_label_from_the_right_and_dots_leave_axes_anonymous(backend: str) -> None:
    t = tn.asarray(native(backend, np.zeros((5, 2, 3))))
    s = t[..., u, -i]
    assert s.is_labelled
    assert s.indices == (u, -i)
    assert s.lead == 1
    assert s.shape == (5, 2, 3)


def test_strings_and_index_objects_and_spaces_label_alike(backend: str) -> None:
    x = native(backend, A23)
    one = tn.tensor(x, "^u _i", u=U, i=V)
    two = tn.tensor(x, "^u _i", spaces={"u": U, "i": V})
    three = tn.tensor(x, [u, -i])
    four = tn.asarray(x)[u, -i]
    assert one.axes is two.axes is three.axes is four.axes
    assert tn.tensor(x, ["b", -i]).axes is tn.asarray(x)["b", -i].axes


def test_a_name_in_brackets_labels_a_plain_axis(backend: str) -> None:
    mask = tn.asarray(native(backend, [True, False]))
    assert mask["b"].names == ("b",)
    assert mask["b"].indices[0].is_plain


def test_subscripts_relabel_by_position(backend: str) -> None:
    t = labelled(backend)
    s = t[k, -l]
    assert s.indices == (k, -l)
    np.testing.assert_array_equal(values(s), values(t))
    swapped = t[j, -i]
    assert swapped.indices == (j, -i)
    np.testing.assert_array_equal(values(swapped), values(t))
    assert t["^k _l"].indices == (k, -l)


def test_a_repeated_index_in_a_subscript_is_the_trace(backend: str) -> None:
    data = np.arange(9.0).reshape(3, 3)
    assert float(labelled(backend)[i, -i]) == np.trace(data)
    assert float(tn.asarray(native(backend, data))[i, -i]) == np.trace(data)


@pytest.mark.parametrize("already", [True, False])
def test_a_subscript_with_a_trace_relabels_the_other_axes_too(backend: str, already: bool) -> None:
    data = np.random.default_rng(0).normal(size=(3, 3, 3, 3))
    t = tn.asarray(native(backend, data))
    t = t[i, -j, k, -l] if already else t
    a, b, c = tn.indices("a b c", V)
    s = t[a, -a, b, -c]
    assert s.indices == (b, -c)
    np.testing.assert_allclose(values(s), np.einsum("iikl->kl", data))


@pytest.mark.parametrize("already", [True, False])
def test_two_repeated_indices_in_a_subscript_are_two_traces(backend: str, already: bool) -> None:
    data = np.random.default_rng(0).normal(size=(3, 3, 3, 3))
    t = tn.asarray(native(backend, data))
    t = t[i, -j, k, -l] if already else t
    np.testing.assert_allclose(float(t[i, -i, k, -k]), np.einsum("iikk->", data))
    np.testing.assert_allclose(float(t[i, -k, k, -i]), np.einsum("ikki->", data))


def test_relabelling_checks_the_space_and_the_variance() -> None:
    refusal(SpaceError, lambda b: labelled(b)[u, -j], "U(2)", "V(3)", "Legal:")
    refusal(VarianceError, lambda b: labelled(b)[-i, -j], "_i", "^i", 'lowered("i")', "Legal:")
    refusal(AxisError, lambda b: labelled(b)[i], "^i _j", "Legal:")


def test_labels_are_checked_against_the_shape() -> None:
    refusal(ShapeError, lambda b: tn.tensor(native(b, A23), [i, -j]), "^i:V(3)", "size 2")
    refusal(NotationError, lambda b: tn.tensor(native(b, A23), [i]), "1 indices", "2 axes", "Legal:")
    refusal(AxisError, lambda b: tn.asarray(native(b, A23))[u, -i, j], "3 indices", "2 axes")
    refusal(AxisError, lambda b: tn.asarray(native(b, np.zeros((3, 3))))[i, i], "'i'", "Legal:")


def test_a_marked_name_needs_a_space() -> None:
    refusal(SpaceError, lambda b: tn.tensor(native(b, A23), "^u _i", u=U), "_i", "Legal:", "   ^^")
    refusal(SpaceError, lambda b: tn.asarray(native(b, A23))["^u _i"], "^u", "Legal:")


def test_integers_and_slices_take_anonymous_axes_by_position(backend: str) -> None:
    data = np.arange(24.0).reshape(4, 2, 3)
    t = tn.tensor(native(backend, data), [..., u, -i])
    np.testing.assert_array_equal(values(t[1]), data[1])
    assert t[1].indices == (u, -i)
    np.testing.assert_array_equal(values(t[1:3]), data[1:3])
    np.testing.assert_array_equal(values(t[-1]), data[-1])
    np.testing.assert_array_equal(values(t[::2]), data[::2])


def test_leading_anonymous_axes_broadcast_from_the_right(backend: str) -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(4, 1, 3)), rng.normal(size=(5, 3))
    s = tn.tensor(native(backend, a), [..., i]) * tn.tensor(native(backend, b), [..., -i])
    np.testing.assert_allclose(values(s), np.einsum("abi,bi->ab", np.broadcast_to(a, (4, 5, 3)), b))
    c = rng.normal(size=(5, 3))
    t = tn.tensor(native(backend, a), [..., i]) + tn.tensor(native(backend, c), [..., i])
    np.testing.assert_allclose(values(t), a + c)


def test_unlabelling_is_explicit_and_free(backend: str) -> None:
    t = labelled(backend)
    assert not t.components.is_labelled
    assert t.components.array is t.array


@pytest.mark.parametrize("symbol", ["+", "-", "*", "@", "==", "<"])
def test_mixing_the_modes_is_an_error_that_says_how_to_label_or_unlabel(symbol: str) -> None:
    def mixed(b: str, left: bool) -> Any:
        x, y = labelled(b), tn.asarray(native(b, np.ones((3, 3))))
        x, y = (x, y) if left else (y, x)
        return eval(f"x {symbol} y", {"x": x, "y": y})

    for left in (True, False):
        refusal(ModeError, lambda b, left=left: mixed(b, left), "^i _j", "Legal:", "label")


def test_einsum_does_not_mix_the_modes() -> None:
    def mixed(b: str) -> Any:
        return tn.einsum("^i _j, ^j -> ^i", labelled(b), native(b, np.ones(3)))

    refusal(ModeError, mixed, "operand 1", "Legal:")


def test_numbers_and_zero_dimensional_tensors_multiply_and_divide_labelled_ones(backend: str) -> None:
    t, data = labelled(backend), np.arange(9.0).reshape(3, 3)
    zero_d = tn.asarray(native(backend, 2.0))
    for s, expected in [
        (2 * t, 2 * data),
        (t * 2.0, 2 * data),
        (t / 2, data / 2),
        (zero_d * t, 2 * data),
        (t * zero_d, 2 * data),
        (t / zero_d, data / 2),
        (t * np.float64(2), 2 * data),
        (np.float64(2) * t, 2 * data),
    ]:
        assert s.axes is t.axes
        np.testing.assert_array_equal(values(s), expected)


def test_adding_a_number_to_a_labelled_tensor_is_an_error() -> None:
    refusal(ModeError, lambda b: labelled(b) + 1, "^i _j", "Legal:", "components")
    refusal(ModeError, lambda b: 1.0 - labelled(b), "^i _j", "Legal:")


def test_labelled_tensors_refuse_numpy(backend: str) -> None:
    t = labelled(backend)
    for action in (
        lambda: np.asarray(t),
        lambda: np.array([t, t]),
        lambda: np.sin(t),
        lambda: np.add(t, t),
        lambda: np.ones((3, 3)) * t,
        lambda: np.multiply.outer(np.ones(2), t),
        lambda: np.from_dlpack(t),
        lambda: t.__dlpack__(),
        lambda: tn.asarray(t),
    ):
        with pytest.raises((ModeError, ConversionError), match=r"\^i _j"):
            action()


def test_labelled_tensors_have_no_array_namespace(backend: str) -> None:
    with pytest.raises(ModeError, match=r"\^i _j"):
        labelled(backend).__array_namespace__()


def test_labelled_tensors_refuse_a_frameworks_implicit_conversion(backend: str) -> None:
    tensors = [labelled(backend), tn.tensor(native(backend, [1.0, 2.0]), ["b"])]
    conversions = []
    if "torch" in installed():
        import torch

        conversions += [torch.tensor, torch.as_tensor, torch.asarray, torch.from_dlpack]
    if "tensorflow" in installed():
        import tensorflow as tf

        conversions += [tf.convert_to_tensor, tf.constant, lambda t: tf.add(tf.ones((3, 3), tf.float64), t)]
    for t in tensors:
        for conversion in conversions:
            with pytest.raises((ModeError, TypeError, ValueError)):
                conversion(t)


def test_labelled_tensors_are_no_numbers() -> None:
    refusal(ModeError, lambda b: float(tn.tensor(native(b, [1.0]), ["b"])), "b", "Legal:")
    refusal(ModeError, lambda b: bool(labelled(b)), "^i _j", "Legal:")


def test_the_errors_of_a_labelled_place() -> None:
    def assign(b: str, value: Any) -> None:
        t = tn.tensor(native(b, np.zeros((2, 3))), ["b", n])
        t[0] = value(b)

    refusal(ModeError, lambda b: assign(b, lambda b: tn.asarray(native(b, np.ones(3)))), "^n")
    refusal(ModeError, lambda b: assign(b, lambda b: tn.tensor(native(b, np.ones(3)), [i])), "^n", "^i")
    refusal(ModeError, lambda b: assign(b, lambda b: [1.0, 2.0, 3.0]), "plain value")


def test_a_labelled_place_takes_a_value_with_its_axes(backend: str) -> None:
    t = tn.tensor(native(backend, np.zeros((2, 3))), ["b", n])
    t[0] = tn.tensor(native(backend, [1.0, 2.0, 3.0]), [n])
    t[1, 2] = 7.0
    np.testing.assert_array_equal(values(t), [[1, 2, 3], [0, 0, 7]])
    assert t.names == ("b", "n")


def test_a_labelled_tensor_takes_integers_and_slices_only() -> None:
    t = {b: tn.tensor(native(b, np.zeros((2, 3))), ["b", n]) for b in installed()}
    for key in ([0, 1], True, None, 1.0, np.array([0, 1]), (True, slice(None)), (slice(None), False)):
        refusal(ModeError, lambda b, key=key: t[b][key], "integers and slices", "Legal:")
    refusal(ModeError, lambda b: t[b][i, 0], "mixed")


def test_positions_out_of_range_are_index_errors(backend: str) -> None:
    t = tn.tensor(native(backend, np.zeros((2, 3))), ["b", n])
    for key in (2, -3, (0, 3)):
        with pytest.raises(IndexError, match="out of range"):
            t[key]
    with pytest.raises(AxisError):
        t[0, 0, 0]
