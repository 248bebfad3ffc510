"""Derivatives of every kind, nested in every way, on trees of tensors: the same numbers on every backend."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from across import installed, native, refusal, values
from hypothesis import given
from hypothesis import strategies as st

import tensoria as tn
from tensoria.discovery import get
from tensoria.errors import AxisError, DTypeError, ModeError, ShapeError, SpaceError, TracingError, VarianceError

pytestmark = pytest.mark.skipif(
    not any(get(name).differentiates for name in installed()), reason="no installed backend differentiates"
)
G = np.array([[2.0, 1.0], [1.0, 3.0]])
V = tn.Space("V", 2, metric=G)
W = tn.Space("W", 3)
C = tn.Space("C", 2, field="complex")
i, j = tn.indices("i j", V)
(w,) = tn.indices("w", W)
(c,) = tn.indices("c", C)
RNG = np.random.default_rng(0)
A = RNG.normal(size=(3, 2, 2))
X = np.array([0.7, -0.4])


def vector(b: str, data: Any = X) -> tn.Tensor:
    return tn.tensor(native(b, data), [i])


def quadratic(x: tn.Tensor) -> tn.Tensor:
    """W^w = A^w_ij x^i x^j: two variables, three values."""
    return tn.tensor(A.tolist(), [w, -i, -j], dtype="float64") * x * x.renamed(i="j")


def scalar(x: tn.Tensor) -> tn.Tensor:
    s = tn.inner(x, x)
    return tn.exp(s / 4) * (tn.tensor([1.0, 2.0], [-i], dtype="float64") * x)


def numeric(f: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]], x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Central differences of fourth order, the differentiated index last."""
    h = 1e-3
    columns = []
    for e in np.eye(len(x)):
        near, far = f(x + h * e) - f(x - h * e), f(x + 2 * h * e) - f(x - 2 * h * e)
        columns.append((8 * near - far) / (12 * h))
    return np.stack(columns, axis=-1)


def plain_scalar(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(np.exp(x @ G @ x / 4) * (x @ [1.0, 2.0]))


def first(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The gradient of the scalar by hand, so that second and third derivatives are differences of one order less."""
    e = np.exp(x @ G @ x / 4)
    return np.asarray(e * (np.array([1.0, 2.0]) + (x @ [1.0, 2.0]) * (G @ x) / 2))


# -- against finite differences ---------------------------------------------------------------------------------------


def test_gradients_are_what_differences_say(backend: str) -> None:
    with tn.use(backend):
        slope = tn.grad(scalar)(vector(backend))
    assert (slope.indices, slope.backend) == ((-i,), backend)
    np.testing.assert_allclose(values(slope), numeric(plain_scalar, X), rtol=1e-10)
    np.testing.assert_allclose(values(slope), first(X), rtol=1e-13)


@pytest.mark.parametrize("mode", [None, "forward", "reverse"])
def test_a_jacobian_has_the_value_s_indices_and_then_the_reversed_one(backend: str, mode: str | None) -> None:
    with tn.use(backend):
        J = tn.jacobian(quadratic, mode=mode)(vector(backend))
    assert (str(J.axes), J.backend) == ("^w _i", backend)
    np.testing.assert_allclose(values(J), np.einsum("wij,j->wi", A + A.transpose(0, 2, 1), X), rtol=1e-13)


NESTED: dict[str, Callable[[tn.Tensor], tn.Tensor]] = {
    "hessian": tn.hessian(scalar),
    "jacobian of grad": tn.jacobian(tn.grad(scalar), mode="forward"),
    "jacobian of forward jacobian": tn.jacobian(tn.jacobian(scalar, mode="forward"), mode="reverse"),
    "rows by jvp of grad": lambda x: tn.stack(
        [tn.jvp(tn.grad(scalar), (x,), (e,))[1].components for e in basis(x)], axis=-1
    ),
    "rows by grad of jvp": lambda x: tn.stack(
        [tn.grad(lambda y, e=e: tn.jvp(scalar, (y,), (e,))[1])(x).components for e in basis(x)], axis=-1
    ),
    "rows by jvp of jvp": lambda x: tn.stack(
        [
            tn.stack([tn.jvp(lambda y, e=e: tn.jvp(scalar, (y,), (e,))[1], (x,), (d,))[1] for d in basis(x)], axis=-1)
            for e in basis(x)
        ],
        axis=-1,
    ),
    "rows by vjp of grad": lambda x: tn.stack(
        [tn.vjp(tn.grad(scalar), x)[1](e)[0].components for e in basis(x)], axis=-1
    ),
    "grad of grad": lambda x: tn.stack(
        [tn.grad(lambda y, e=e: tn.grad(scalar)(y) * e)(x).components for e in basis(x)], axis=-1
    ),
}


def basis(x: tn.Tensor) -> list[tn.Tensor]:
    with tn.use(x.backend):
        return [tn.tensor(row, [i], dtype="float64") for row in np.eye(2).tolist()]


@pytest.mark.parametrize("name", NESTED)
def test_second_derivatives_agree_however_they_are_nested(backend: str, name: str) -> None:
    engine = tn.engine(backend)
    with tn.use(engine):
        found = NESTED[name](vector(engine))
    np.testing.assert_allclose(values(found), numeric(first, X), rtol=1e-9)
    if found.is_labelled:
        assert str(found.axes) == "_i _i'"


def test_nested_derivatives_of_numpy_tensors_come_back_to_numpy() -> None:
    H = tn.hessian(scalar)(vector("numpy"))
    assert (H.backend, str(H.axes)) == ("numpy", "_i _i'")
    np.testing.assert_allclose(values(H), numeric(first, X), rtol=1e-9)
    third = tn.jacobian(tn.hessian(scalar))(vector("numpy"))
    assert str(third.axes) == "_i _i' _i''"
    full = values(third)
    for order in ((0, 2, 1), (2, 1, 0)):
        np.testing.assert_allclose(full, full.transpose(order), rtol=1e-12)


def test_a_function_of_numpy_tensors_makes_new_ones_where_it_runs() -> None:
    """... and which backend that is, is stated."""
    seen = []

    def f(x: tn.Tensor) -> tn.Tensor:
        seen.append((x.backend, tn.ones(2).backend))
        return tn.inner(x, x)

    assert tn.grad(f)(vector("numpy")).backend == "numpy"
    engine = tn.engine("numpy")
    assert seen == [(engine, engine)]
    assert engine != "numpy"
    for name in installed():
        assert tn.engine(name) == (name if get(name).differentiates else engine)


@given(st.lists(st.floats(-2, 2), min_size=9, max_size=9))
def test_forward_and_reverse_are_transposes(numbers: list[float]) -> None:
    """c (J v) = (c J) v for any point, tangent and cotangent, on every backend."""
    x, v, k = np.array(numbers[:2]), np.array(numbers[2:4]), np.array(numbers[4:7])
    for b in installed():
        with tn.use(tn.engine(b)):
            at, along, back = vector(b, x), vector(b, v), tn.tensor(native(b, k), [-w])
            _, pushed = tn.jvp(quadratic, (at,), (along,))
            _, pull = tn.vjp(quadratic, at)
            (pulled,) = pull(back)
        assert (str(pushed.axes), str(pulled.axes)) == ("^w", "_i")
        np.testing.assert_allclose(float(back * pushed), float(pulled * along), rtol=1e-12, atol=1e-12)


# -- trees ------------------------------------------------------------------------------------------------------------


class Layer(NamedTuple):
    weight: Any
    bias: Any


@dataclasses.dataclass(frozen=True)
class Model:
    layers: list[Layer]
    scale: Any
    nothing: None = None


def energy(model: Model) -> tn.Tensor:
    total = model.scale * 0
    for layer in model.layers:
        y = layer.weight * layer.bias
        total = total + model.scale * tn.inner(y, y)
    return total


def test_a_gradient_has_the_structure_of_its_argument(backend: str) -> None:
    weight = tn.tensor(native(backend, [[1.0, 2.0], [3.0, 4.0]]), [i, -j])
    bias = tn.tensor(native(backend, [1.0, -1.0]), [j])
    model = Model([Layer(weight, bias), Layer(2 * weight, bias)], tn.asarray(native(backend, 0.5)))
    slope = tn.grad(energy)(model)
    assert isinstance(slope, Model)
    assert slope.nothing is None
    assert [str(layer.weight.axes) for layer in slope.layers] == ["_i ^j", "_i ^j"]
    assert [str(layer.bias.axes) for layer in slope.layers] == ["_j", "_j"]
    y = np.array([-1.0, -1.0])
    np.testing.assert_allclose(values(slope.layers[0].weight), np.outer(G @ y, [1, -1]))
    np.testing.assert_allclose(values(slope.scale), 5 * (y @ G @ y))
    _, along = tn.jvp(energy, (model,), (model,))  # of degree four in weights and biases, and one in the scale
    np.testing.assert_allclose(float(along), 5 * float(energy(model)))


def test_dicts_lists_and_native_arrays(backend: str) -> None:
    p = {"b": [native(backend, [1.0, 2.0]), None], "a": (native(backend, 3.0),)}

    def f(p: Any) -> tn.Tensor:
        return tn.sum(tn.square(p["b"][0])) * tn.asarray(p["a"][0])

    value, slope = tn.value_and_grad(f)(p)
    assert float(value) == 15.0
    assert list(slope) == ["b", "a"]
    assert type(slope["b"][0]) is type(p["b"][0])
    np.testing.assert_allclose(values(slope["b"][0]), [6, 12])
    np.testing.assert_allclose(values(slope["a"][0]), 5)
    J = tn.jacobian(lambda p: {"y": tn.square(p["b"][0])})(p)
    assert set(J) == {"y"}
    np.testing.assert_allclose(values(J["y"]["b"][0]), np.diag([2, 4]))
    np.testing.assert_allclose(values(J["y"]["a"][0]), [0, 0])


def test_a_further_result_is_passed_through(backend: str) -> None:
    def f(x: tn.Tensor) -> tuple[tn.Tensor, dict[str, tn.Tensor]]:
        return tn.inner(x, x), {"twice": 2 * x}

    (value, aux), slope = tn.value_and_grad(f, has_aux=True)(vector(backend))
    np.testing.assert_allclose(float(value), X @ G @ X)
    assert aux["twice"].axes is vector(backend).axes
    np.testing.assert_allclose(values(aux["twice"]), 2 * X)
    np.testing.assert_allclose(values(slope), 2 * G @ X)
    slope, aux = tn.grad(f, has_aux=True)(vector(backend))
    assert aux["twice"].backend == slope.backend == backend
    _, pull, aux = tn.vjp(f, vector(backend), has_aux=True)
    np.testing.assert_allclose(values(pull(tn.asarray(native(backend, 1.0)))[0]), 2 * G @ X)
    np.testing.assert_allclose(values(aux["twice"]), 2 * X)


def test_nodes_that_optree_knows_are_nodes() -> None:
    pytest.importorskip("optree")
    slope = tn.grad(lambda d: tn.inner(d[0], d[1]))(deque([vector("numpy"), vector("numpy")]))
    assert type(slope) is deque
    np.testing.assert_allclose(values(slope[1]), G @ X)


# -- mapping ----------------------------------------------------------------------------------------------------------

BATCH = RNG.normal(size=(3, 2))


def test_a_function_is_mapped_over_a_named_axis_and_over_an_anonymous_one(backend: str) -> None:
    expected = np.einsum("bi,ij,bj->b", BATCH, G, BATCH)
    named = tn.tensor(native(backend, BATCH), ["b", i])
    found = tn.vmap(lambda x: tn.inner(x, x), "b")(named)
    assert (str(found.axes), found.backend) == ("b", backend)
    np.testing.assert_allclose(values(found), expected)
    leading = tn.tensor(native(backend, BATCH), [..., i])
    found = tn.vmap(lambda x: 2 * x)(leading)
    assert (found.axes, found.shape) == (leading.axes, (3, 2))
    np.testing.assert_allclose(values(found), 2 * BATCH)
    found = tn.vmap(lambda x: 2 * x, out_axes="sample")(leading)
    assert str(found.axes) == "sample ^i"
    native_one = tn.vmap(lambda x: tn.sum(x), in_axes=1)(native(backend, BATCH))
    np.testing.assert_allclose(values(native_one), BATCH.sum(0))


def test_an_argument_that_is_not_mapped_is_passed_to_every_call(backend: str) -> None:
    x, y = tn.tensor(native(backend, BATCH), ["b", i]), vector(backend)
    found = tn.vmap(tn.inner, ("b", None))(x, y)
    np.testing.assert_allclose(values(found), BATCH @ G @ X)
    slopes = tn.vmap(tn.grad(lambda p, y: tn.inner(p["x"], p["x"]) + tn.inner(p["x"], y)), ("b", None))({"x": x}, y)
    assert str(slopes["x"].axes) == "b _i"
    np.testing.assert_allclose(values(slopes["x"]), 2 * BATCH @ G + G @ X)


def test_gradients_of_mapped_functions_and_mapped_hessians(backend: str) -> None:
    x = tn.tensor(native(backend, BATCH), ["b", i])

    def s(x: tn.Tensor) -> tn.Tensor:
        return tn.inner(x, x) * tn.inner(x, x)

    slope = tn.grad(lambda x: tn.sum(tn.vmap(s, "b")(x)))(x)
    assert str(slope.axes) == "b _i"
    size = np.einsum("bi,ij,bj->b", BATCH, G, BATCH)
    np.testing.assert_allclose(values(slope), 4 * size[:, None] * (BATCH @ G))
    H = tn.vmap(tn.hessian(s), "b")(x)
    assert str(H.axes) == "b _i _i'"
    low = BATCH @ G
    expected = 4 * size[:, None, None] * G + 8 * low[:, :, None] * low[:, None, :]
    np.testing.assert_allclose(values(H), expected, rtol=1e-12)


ASSIGNED: dict[str, Callable[[Any, Any], tuple[Any, Any]]] = {
    "a number at positions": lambda x, at: (at, 9.0),
    "components at positions": lambda x, at: (at, x[:2]),
    "a number at a mask": lambda x, at: (x > 1, 0.0),
    "components of a slice": lambda x, at: (slice(1, None), x[:2]),
}


@pytest.mark.parametrize("name", ASSIGNED)
def test_assignments_are_mapped(backend: str, name: str) -> None:
    def changed(x: Any, at: Any) -> Any:
        y = x + 0
        key, value = ASSIGNED[name](x, at)
        y[key] = value
        return y

    x, at = np.arange(6.0).reshape(2, 3), np.array([[0, 2], [2, 1]])
    expected = [changed(x[n], at[n]) for n in range(2)]
    found = tn.vmap(changed)(tn.asarray(native(backend, x)), tn.asarray(native(backend, at)))
    np.testing.assert_array_equal(values(found), expected)


def test_what_can_not_be_mapped_is_refused_in_the_same_words() -> None:
    def mapped(function: Callable[[Any], Any]) -> Callable[[str], Any]:
        return lambda b: tn.vmap(function)(tn.asarray(native(b, np.arange(6.0).reshape(2, 3))))

    refusal(ShapeError, mapped(lambda x: x[x > 1]))
    refusal(ShapeError, mapped(lambda x: tn.nonzero(x)[0]))
    refusal(TracingError, mapped(lambda x: x if x[0] > 1 else -x))


def test_what_can_not_be_mapped_over_is_refused() -> None:
    def over(place: Any) -> Callable[[str], Any]:
        return lambda b: tn.vmap(lambda x: x, place)(tn.tensor(native(b, BATCH), ["b", i]))

    refusal(SpaceError, over("i"), "^i:V(2)", "changes with the basis")
    refusal(AxisError, over("q"), "'q'")
    refusal(AxisError, over(0), "anonymous", 'in_axes="b"')
    refusal(ModeError, over(None), "no argument")
    refusal(
        ShapeError,
        lambda b: tn.vmap(tn.add)(tn.asarray(native(b, BATCH)), tn.asarray(native(b, BATCH[:2]))),
        "3, 2",
    )


# -- complex numbers --------------------------------------------------------------------------------------------------

Z = np.array([0.3 + 0.2j, 0.5 - 0.1j])


def cube(z: tn.Tensor) -> tn.Tensor:
    """z^c (r z)^2 with a covector r: holomorphic."""
    s = tn.tensor([2.0, 1j], [-c], dtype="complex128") * z
    return z * (s * s)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_the_jacobian_of_a_holomorphic_function_is_its_complex_derivative(backend: str, mode: str) -> None:
    r = np.array([2.0, 1j])
    s = r @ Z
    with tn.use(backend):
        J = tn.jacobian(cube, mode=mode)(tn.tensor(native(backend, Z), [c]))
    assert str(J.axes) == "^c _c'"
    np.testing.assert_allclose(values(J), s**2 * np.eye(2) + 2 * s * np.outer(Z, r), rtol=1e-12)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_the_rows_of_a_real_jacobian_are_gradients(backend: str, mode: str) -> None:
    """d/dx - i d/dy of |z_k|^2 is 2 conj(z_k)."""
    z = tn.asarray(native(backend, Z))
    J = tn.jacobian(lambda z: tn.real(z * tn.conj(z)), mode=mode)(z)
    np.testing.assert_allclose(values(J), np.diag(2 * Z.conj()), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_a_complex_function_that_is_not_holomorphic_has_no_jacobian(mode: str) -> None:
    refusal(
        DTypeError, lambda b: tn.jacobian(lambda z: z * tn.conj(z), mode=mode)(tn.asarray(native(b, Z))), "holomorphic"
    )


def test_second_derivatives_of_a_holomorphic_function(backend: str) -> None:
    z = tn.asarray(native(backend, Z))
    H = tn.hessian(lambda z: tn.sum(z * z * z))(z)
    np.testing.assert_allclose(values(H), np.diag(6 * Z), rtol=1e-12, atol=1e-14)


def test_pulling_back_a_complex_cotangent_multiplies_by_it(backend: str) -> None:
    z = tn.asarray(native(backend, Z))
    value, pull = tn.vjp(lambda z: z * z, z)
    np.testing.assert_allclose(values(value), Z * Z)
    factor = np.array([1 + 2j, -1j])
    np.testing.assert_allclose(values(pull(tn.asarray(native(backend, factor)))[0]), 2 * Z * factor)


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_tangents_and_cotangents_must_fit() -> None:
    def pushed(v: Callable[[str], Any]) -> Callable[[str], Any]:
        return lambda b: tn.jvp(lambda x: x, (vector(b),), (v(b),))

    refusal(VarianceError, pushed(lambda b: tn.tensor(native(b, X), [-i])), "_i:V(2)", "^i:V(2)", "raised")
    refusal(SpaceError, pushed(lambda b: tn.tensor(native(b, A[:, 0, 0]), [w])), "^w")
    refusal(ShapeError, pushed(lambda b: tn.tensor(native(b, BATCH), [..., i])), "(3, 2)")
    refusal(ModeError, pushed(lambda b: 1.0), "float")
    refusal(ModeError, pushed(lambda b: {"x": vector(b)}), "dict")

    def pulled(k: Callable[[str], Any]) -> Callable[[str], Any]:
        return lambda b: tn.vjp(lambda x: 2 * x, vector(b))[1](k(b))

    refusal(VarianceError, pulled(vector), "^i:V(2)", "_i:V(2)", "lowered")
    refusal(DTypeError, pulled(lambda b: tn.tensor(native(b, 1j * X), [-i])), "complex")


def test_values_and_arguments_without_derivatives_are_refused() -> None:
    refusal(ShapeError, lambda b: tn.grad(lambda x: x)(vector(b)), "^i", "tn.jacobian(f)")
    refusal(DTypeError, lambda b: tn.grad(lambda x: tn.argmax(x.components))(vector(b)), "int64")
    refusal(
        DTypeError, lambda b: tn.jvp(lambda x: x, (vector(b, [1, 2]),), (vector(b, [1, 2]),)), "argument 0", "int64"
    )
    refusal(ModeError, lambda b: tn.jacobian(lambda x: "x")(vector(b)), "str")
    refusal(ModeError, lambda b: tn.grad(tn.inner, 3)(vector(b), vector(b)), "argument 3")
    refusal(ModeError, lambda b: tn.grad(lambda x: x)({"x": "text"}), "str")
    with pytest.raises(ModeError, match="forward or in reverse"):
        tn.jacobian(scalar, mode="sideways")


# -- inside of the frameworks' compilers ------------------------------------------------------------------------------


def norm4(x: tn.Tensor) -> tn.Tensor:
    return tn.inner(x, x) * tn.inner(x, x)


COMPILED: dict[str, Callable[[tn.Tensor], Any]] = {
    "grad": tn.grad(norm4),
    "hessian": tn.hessian(norm4),
    "forward jacobian": tn.jacobian(tn.grad(norm4), mode="forward"),
    "jvp": lambda x: tn.jvp(norm4, (x,), (x,))[1],
    "vjp": lambda x: tn.vjp(tn.grad(norm4), x)[1](x)[0],
    "tree": lambda x: tn.grad(lambda p: norm4(p["a"]) * tn.inner(p["b"][0], p["a"]))({"a": x, "b": [x]})["b"][0],
    "vmap": lambda x: tn.vmap(tn.grad(norm4), "b")(tn.stack([x.components, 2 * x.components])["b", i]),
}


@pytest.mark.parametrize("name", COMPILED)
def test_derivatives_inside_of_tf_function(name: str) -> None:
    tf = pytest.importorskip("tensorflow")
    x = vector("tensorflow")
    found, expected = tf.function(COMPILED[name], autograph=False)(x), COMPILED[name](x)
    assert found.axes is expected.axes
    np.testing.assert_allclose(values(found), values(expected), rtol=1e-13)


@pytest.mark.parametrize("name", COMPILED)
def test_derivatives_compile_to_one_graph(name: str) -> None:
    torch = pytest.importorskip("torch")
    torch._dynamo.reset()
    x = vector("torch")
    found = torch.compile(COMPILED[name], fullgraph=True, backend="eager")(x)
    expected = COMPILED[name](x)
    assert found.axes is expected.axes
    np.testing.assert_allclose(values(found), values(expected), rtol=1e-13)


def test_a_graph_without_numbers_answers_a_function_that_is_not_holomorphic_with_nan() -> None:
    tf = pytest.importorskip("tensorflow")
    slope = tf.function(tn.grad(lambda z: tn.sum(z * tn.conj(z))), autograph=False)(tn.asarray(native("tensorflow", Z)))
    assert np.isnan(values(slope)).all()
    fine = tf.function(tn.grad(lambda z: tn.sum(z * z)), autograph=False)(tn.asarray(native("tensorflow", Z)))
    np.testing.assert_allclose(values(fine), 2 * Z)


def test_constants_that_are_first_needed_inside_of_a_transform_outlive_it(backend: str) -> None:
    """A space's metric is made for a backend once, here first inside of nested transforms, and used again outside."""
    fresh = tn.Space("fresh", 2, metric=[[3, 1], [1, 2]])
    (k,) = tn.indices("k", fresh)
    x = tn.tensor(native(backend, BATCH), ["b", k])
    H = tn.vmap(tn.hessian(lambda x: tn.inner(x, x)), "b")(x)
    np.testing.assert_allclose(values(H), [[[6, 2], [2, 4]]] * 3)
    for _ in range(2):
        np.testing.assert_allclose(values(x.lowered()), BATCH @ [[3, 1], [1, 2]])
        np.testing.assert_allclose(values(tn.grad(lambda x: tn.sum(x * x.lowered()))(x)), 2 * BATCH @ [[3, 1], [1, 2]])
