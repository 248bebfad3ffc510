"""Faults that a reviewer found by use, each with what must come out instead."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from across import native, refusal, values

import tensoria as tn
from tensoria.errors import AxisError, BasisError, DTypeError, MetricError, ModeError, ShapeError, SpaceError

RNG = np.random.default_rng(5)
V = tn.Space("V", 3)
P = tn.Space("P", 3, privileged=True)
(i,) = tn.indices("i", V)
p, q = tn.indices("p q", P)


def test_integers_are_not_factorised() -> None:
    def call(b: str) -> Any:
        return tn.svd(tn.tensor(native(b, [[14, 2, 3], [4, 15, 6], [7, 8, 19]]), [p, -q]), "p", "q")

    refusal(DTypeError, call, "int64", "float64")
    refusal(DTypeError, lambda b: tn.eigvals(tn.tensor(native(b, np.eye(3, dtype=int)), [p, -q])), "int64")


def test_a_mask_chooses_between_tensors_with_different_leading_axes(backend: str) -> None:
    mask = tn.asarray(native(backend, [True, False]))["m"]
    a, b = RNG.random((2, 2, 3)), RNG.random((2, 3))
    got = tn.where(mask, tn.tensor(native(backend, a), [..., "b", i]), tn.tensor(native(backend, b), ["b", i]))
    assert str(got.axes) == "m b ^i"
    np.testing.assert_array_equal(values(got), np.where(np.array([True, False])[:, None, None], a[:, None], b))


def test_the_metric_of_a_product_space_follows_a_change_of_basis(backend: str) -> None:
    U = tn.Space("U", 2, metric=[2.0, 3.0])
    j, k = tn.indices("j k", U)
    t = tn.tensor(native(backend, RNG.random((2, 2))), [j, -k]).fused("j k", "z")
    space = t.indices[0].space
    assert space is not None
    basis = space.basis("b", RNG.random((4, 4)))
    changed = t.to_basis(basis)
    np.testing.assert_allclose(float(tn.inner(t, t)), float(tn.inner(changed, changed)))
    np.testing.assert_allclose(values(t.lowered().to_basis(basis)), values(changed.lowered()))


def test_a_bilinear_inner_product_does_not_depend_on_the_basis(backend: str) -> None:
    g = np.array([[2, 1j], [1j, 3]])
    C = tn.Space("C", 2, field="complex", bilinear=True, metric=g)
    (c,) = tn.indices("c", C)
    basis = C.basis("B", RNG.random((2, 2)) + 1j * RNG.random((2, 2)))
    x, y = (RNG.random(2) + 1j * RNG.random(2) for _ in range(2))
    u, v = tn.tensor(native(backend, x), [c]), tn.tensor(native(backend, y), [c])
    np.testing.assert_allclose(complex(tn.inner(u, v)), x @ g @ y)
    np.testing.assert_allclose(complex(tn.inner(u.to_basis(basis), v.to_basis(basis))), x @ g @ y)
    np.testing.assert_allclose(values(u.conj().to_basis(basis)), values(u.to_basis(basis)).conj())
    form = tn.tensor(native(backend, np.outer(x, y)), [c, -c.renamed("d")])
    with pytest.raises(MetricError, match="bilinear"):
        tn.svd(form, "c", "d")


def test_the_hodge_star_of_a_hermitian_space_is_refused() -> None:
    H = tn.Space("H", 2, field="complex", metric=[[2, 1j], [-1j, 3]])
    refusal(MetricError, lambda b: tn.hodge(tn.tensor(native(b, np.array([1, 2j])), "_h", h=H)), "Hermitian")


def test_gathering_takes_positions_in_a_row(backend: str) -> None:
    t = tn.tensor(native(backend, np.arange(6.0).reshape(2, 3)), ["b", p])
    np.testing.assert_array_equal(values(tn.take(t, [0, 2], axis="p")), [[0, 2], [3, 5]])
    for positions in (1, [[0, 1], [1, 2]]):
        with pytest.raises(AxisError, match="1-D"):
            tn.take(t, tn.asarray(native(backend, positions)), axis="p")


def test_a_cumulative_sum_with_its_start_is_no_longer_a_vector(backend: str) -> None:
    got = tn.cumulative_sum(tn.tensor(native(backend, [1.0, 2.0, 3.0]), [p]), axis="p", include_initial=True)
    assert str(got.axes) == "p"
    assert got.indices[0].is_plain
    np.testing.assert_array_equal(values(got), [0, 1, 3, 6])


def test_rolling_never_crosses_an_index() -> None:
    refusal(AxisError, lambda b: tn.roll(tn.tensor(native(b, np.eye(3)), [p, -q]), 1), "^p _q")


def test_plain_axes_have_no_symmetric_part() -> None:
    refusal(SpaceError, lambda b: tn.tensor(native(b, np.ones((1, 3))), "a b").symmetrised("a b"), "plain")


def test_integers_are_symmetrised_in_float64(backend: str) -> None:
    got = tn.tensor(native(backend, np.array([[0, 1, 0], [0, 0, 0], [0, 0, 0]])), [p, q]).symmetrised("p q")
    assert got.dtype is tn.float64
    np.testing.assert_array_equal(values(got)[:2, :2], [[0, 0.5], [0.5, 0]])


def test_a_metric_is_never_wrapped_into_small_integers(backend: str) -> None:
    W = tn.Space("W", 2, metric=[300.0, 1])
    got = tn.tensor(native(backend, [1, 1], "int8"), "^w", w=W).lowered()
    np.testing.assert_array_equal(values(got), [300, 1])


def test_setting_every_component_to_a_number_depends_on_the_basis(backend: str) -> None:
    def call(b: str) -> None:
        tn.tensor(native(b, [1.0, 2.0, 3.0]), [i])[...] = 5.0

    refusal(BasisError, call, "^i:V(3)")
    t = tn.tensor(native(backend, [1.0, 2.0, 3.0]), [i])
    t[...] = 0.0
    np.testing.assert_array_equal(values(t), [0, 0, 0])


def test_an_instance_of_a_subclass_multiplies_like_a_tensor(backend: str) -> None:
    class Named(tn.Tensor):
        __slots__ = ()

    u = tn.tensor(native(backend, [1.0, 2.0, 3.0]), [i])
    covector = Named(native(backend, [1.0, 1.0, 1.0]))[-i]
    assert float(u * covector) == 6
    assert float(covector * u) == 6


def test_matrices_and_masked_arrays_are_not_adopted() -> None:
    with pytest.raises(Exception, match="mask"):
        tn.asarray(np.ma.masked_array([1.0, 2.0], [True, False]))
    with pytest.warns(PendingDeprecationWarning):
        matrix = np.matrix([[1.0, 2.0]])
    assert type(tn.asarray(matrix).array) is np.ndarray


def test_real_parts_commute_with_real_changes_of_basis(backend: str) -> None:
    t = tn.tensor(native(backend, np.array([1 + 2j, 3, 4j])), [i])
    assert tn.real(t).axes is t.axes
    np.testing.assert_array_equal(values(tn.imag(t)), [2, 0, 4])


def test_independent_indices_do_not_move_by_another_metric_either() -> None:
    I = tn.Space("I", 2, position="independent")

    def call(b: str) -> Any:
        g = tn.tensor(native(b, np.eye(2)), "_a _b", a=I, b=I)
        return tn.tensor(native(b, [1.0, 2.0]), "^a", a=I).lowered(metric=g)

    refusal(MetricError, call, "independent")


def test_a_name_occurs_at_most_twice_in_a_subscript() -> None:
    refusal(AxisError, lambda b: tn.asarray(native(b, np.ones((3, 3, 3))))[i, -i, i], "'i'", "more than twice")


def test_a_labelled_tensor_beside_an_array_says_to_label_the_array() -> None:
    refusal(ModeError, lambda b: tn.tensor(native(b, np.ones(3)), [i]) * np.ones(3), "NumPy array", "labels the array")


def test_numbers_are_formatted(backend: str) -> None:
    assert f"{tn.asarray(native(backend, 3.14159)):.2f}" == "3.14"


def test_sizes_that_do_not_broadcast_are_told_by_every_function() -> None:
    for function in (tn.maximum, tn.atan2, tn.multiply):
        refusal(
            ShapeError,
            lambda b, function=function: function(tn.asarray(native(b, np.ones(2))), tn.asarray(native(b, np.ones(3)))),
            "(2,)",
            "(3,)",
        )


def test_a_constant_made_in_inference_mode_serves_training_afterwards() -> None:
    torch = pytest.importorskip("torch", reason="the torch backend's framework is not installed")
    M = tn.Space("inferred", 3, metric=[2, 3, 4])
    with torch.inference_mode():
        tn.tensor(torch.ones(3).double(), "^m", m=M).lowered()
    a = torch.ones(3, dtype=torch.float64, requires_grad=True)
    tn.tensor(a, "^m", m=M).lowered().array.sum().backward()
    np.testing.assert_array_equal(a.grad, [2, 3, 4])


def test_autocast_does_not_mislead_the_next_product() -> None:
    torch = pytest.importorskip("torch", reason="the torch backend's framework is not installed")
    (k,) = tn.indices("k", V)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        r = tn.tensor(torch.randn(64, 3), ["b", i]) * tn.tensor(torch.randn(3, 3), [k, -i])
        got = r * tn.tensor(torch.randn(3), [-k])
    assert got.shape == (64,)


def test_a_compiler_does_not_hide_that_a_symbol_has_two_sizes() -> None:
    torch = pytest.importorskip("torch", reason="the torch backend's framework is not installed")
    (t,) = tn.indices("t", tn.Space("T", "T"))
    compiled = torch.compile(lambda a, b: a * b, fullgraph=True, backend="eager")
    with pytest.raises(Exception, match="sizes"):
        compiled(tn.tensor(torch.ones(5), [t]), tn.tensor(torch.ones(1), [-t]))
    tf = pytest.importorskip("tensorflow", reason="the tensorflow backend's framework is not installed")

    @tf.function(input_signature=[tf.TensorSpec((None,)), tf.TensorSpec((None,))])
    def total(x: Any, y: Any) -> Any:
        return (tn.tensor(x, [t]) + tn.tensor(y, [t])).array

    np.testing.assert_array_equal(total(np.ones(5, "f4"), np.ones(5, "f4")), 2 * np.ones(5))
    with pytest.raises(tf.errors.InvalidArgumentError, match="two sizes"):
        total(np.ones(5, "f4"), np.ones(1, "f4"))


def test_everyday_calls_compile() -> None:
    torch = pytest.importorskip("torch", reason="the torch backend's framework is not installed")

    def f(x: Any) -> Any:
        t = tn.tensor(x, "b ^p", p=P)
        (r,) = tn.indices("p", P)
        return tn.clip(tn.maximum(t, 0.0), 0, 1)["b", r].array + tn.where(tn.greater(t, 0.0), t, 0).array

    x = torch.randn(4, 3)
    np.testing.assert_allclose(torch.compile(f, fullgraph=True, backend="eager")(x), f(x))
