"""Functions of NumPy tensors are differentiated on another backend: what they close over, and what says where."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from across import installed, values

import tensoria as tn
from tensoria.discovery import get
from tensoria.errors import BackendError, ConversionError
from tensoria.tensor import Tensor

ENGINES = [name for name in installed() if get(name).differentiates]
V = tn.Space("V", 2, metric=[[2, 1], [1, 3]])
i, j = tn.indices("i j", V)
G = np.array([[1.0, 2.0], [3.0, 5.0]])
N = np.array([0.5, -2.0])
X = np.array([1.0, 2.0])
FORM, MATRIX, VECTOR = tn.tensor(G, [-i, -j]), tn.asarray(G), tn.asarray(N)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Any:
    """NumPy's derivatives are computed there meanwhile."""
    with tn.use(request.param):
        yield request.param


def quadratic(x: Tensor) -> Tensor:
    """It closes over a labelled tensor of NumPy."""
    return FORM * x * x.renamed(i="j")


def squared(x: Tensor) -> Tensor:
    return quadratic(x) * quadratic(x)


def point() -> Tensor:
    return tn.tensor(X.copy(), [i])


def test_every_derivative_closes_over_numpy_tensors(engine: str) -> None:
    both = G + G.T
    found = {
        "grad": (tn.grad(quadratic)(point()), both @ X),
        "value": (tn.value_and_grad(quadratic)(point())[0], X @ G @ X),
        "hessian": (tn.hessian(quadratic)(point()), both),
        "jacobian": (tn.jacobian(lambda x: FORM * x)(point()), G.T),
        "forward": (tn.jacobian(lambda x: FORM * x, mode="forward")(point()), G.T),
        "jvp": (tn.jvp(quadratic, (point(),), (point(),))[1], 2 * X @ G @ X),
        "vjp": (tn.vjp(lambda x: FORM * x, point())[1](tn.tensor(N, [j]))[0], G @ N),
        "vmap": (tn.vmap(lambda x: FORM * x, "b")(tn.tensor(np.stack([X, N]), ["b", i])), np.stack([X, N]) @ G),
        "mapped gradients": (tn.vmap(tn.grad(quadratic), "b")(tn.tensor(np.stack([X, N]), ["b", i])),
                             np.stack([X, N]) @ both),
        # (a x^2 + b x + c)^2 with a = 1, b = 10, c = 20 at x = 1
        "third": (tn.jacobian(tn.hessian(squared))(point()).components[0, 0, 0], 24 + 120),
    }  # fmt: skip
    for name, (t, expected) in found.items():
        np.testing.assert_allclose(values(t), expected, rtol=1e-12, err_msg=name)
        if name != "third":
            assert (t.backend, t.engine) == ("numpy", engine), name


CLOSING: dict[str, Callable[[Tensor], Tensor]] = {
    "products": lambda p: tn.sum(MATRIX @ p * p),
    "products of its own constants": lambda p: tn.sum((MATRIX @ MATRIX + 1.0) @ p),
    "operators": lambda p: tn.sum((MATRIX + p) / (2.0 + p**2) - VECTOR * p),
    "functions of two": lambda p: tn.sum(tn.maximum(MATRIX, p) + tn.clip(p, VECTOR)),
    "conditions": lambda p: tn.sum(tn.where(MATRIX > 2.5, p, MATRIX)),
    "solve": lambda p: tn.sum(tn.linalg.solve(MATRIX, p)),
    "lists": lambda p: tn.sum(tn.stack([VECTOR, p]) ** 2) + tn.sum(tn.concat([p, VECTOR]) ** 3),
    "einsum": lambda p: tn.einsum("ij,i,j->", MATRIX, p, p),
    "einsum of native arrays": lambda p: tn.einsum("ij,i,j->", G, p, p),
    "native arrays that are made tensors": lambda p: tn.sum(tn.asarray(N) * p) + tn.tensor(N, [-i]) * tn.tensor(p, [i]),
    "inner products": lambda p: tn.inner(tn.tensor(N, [i]), tn.tensor(p, [i])),
    "keys": lambda p: p[tn.asarray([1, 0])][0] * p[np.array([0, 0])][1],
    "assignment": lambda p: _assigned(p),
    "Kronecker products": lambda p: tn.sum(tn.kronecker(MATRIX, tn.stack([p, p])) ** 2),
    "n-mode products": lambda p: tn.sum(tn.mode_product(tn.stack([p, p]), MATRIX, 0) ** 2),
    "full": lambda p: tn.sum(tn.full((2,), VECTOR[0]) * p),
    "nested": lambda p: tn.sum(tn.grad(lambda q: tn.sum(MATRIX @ q * q))(p) * VECTOR),
    "nested at a constant": lambda p: tn.sum(tn.grad(lambda q: tn.sum(MATRIX @ q * q * p))(VECTOR) * p),
    "decompositions": lambda p: tn.sum(tn.linalg.svd(MATRIX * p, full_matrices=False).S ** 2),
    "nothing else": lambda p: tn.sum(MATRIX),
}


def _assigned(p: Tensor) -> Tensor:
    made = 0 * p
    made[0] = VECTOR[1]
    made[1] = p[0]
    return tn.sum(made * p)


@pytest.mark.parametrize("name", CLOSING)
def test_what_a_function_closes_over_is_constant(engine: str, name: str) -> None:
    f, step = CLOSING[name], 1e-5
    slope = tn.grad(f)(tn.asarray(X.copy()))
    assert (slope.backend, slope.engine) == ("numpy", engine)
    for k in range(2):
        e = step * np.eye(2)[k]
        with tn.use("numpy"):
            numeric = (float(f(tn.asarray(X + e))) - float(f(tn.asarray(X - e)))) / (2 * step)
        np.testing.assert_allclose(values(slope)[k], numeric, rtol=1e-6, atol=1e-8)
    assert MATRIX.backend == "numpy"
    np.testing.assert_array_equal(values(MATRIX), G)


def test_further_results_and_values_may_be_constants(engine: str) -> None:
    slope, beside = tn.grad(lambda p: (tn.sum(MATRIX @ p), {"m": MATRIX}), has_aux=True)(tn.asarray(X))
    np.testing.assert_allclose(values(slope), G.sum(0))
    np.testing.assert_allclose(values(beside["m"]), G)
    assert tn.vmap(lambda p: MATRIX)(tn.asarray(np.ones((3, 2)))).shape == (3, 2, 2)
    native = tn.grad(lambda p: tn.sum(tn.asarray(p) * VECTOR))(X)
    assert isinstance(native, np.ndarray)
    np.testing.assert_allclose(native, N)


def test_a_metric_field_and_a_geodesic_close_over_numpy_tensors(engine: str) -> None:
    M = tn.Space("M", 2)
    extra = tn.tensor(np.diag([0.0, 1.0]), "_i _j", i=M, j=M)

    def g(x: Tensor) -> Tensor:
        return tn.from_components([[1, 0], [0, x[..., 0] ** 2 - 1.0]], "_i _j", i=M, j=M) + extra

    R = tn.ricci(g)(tn.asarray(np.array([[2.0, 0.0]])))
    np.testing.assert_allclose(values(R), 0, atol=1e-12)
    assert (R.backend, R.engine) == ("numpy", engine)
    line = tn.geodesic(g, tn.asarray(X), tn.tensor(N, "^i", i=M), [0.0, 1.0])
    assert line.x.engine == engine


def test_other_backends_tensors_still_do_not_mix(engine: str) -> None:
    other = tn.asarray(X, backend=engine)
    with pytest.raises(BackendError, match="numpy"):
        tn.asarray(X) * other
    if len(ENGINES) > 1:
        (third,) = (name for name in ENGINES if name != engine)
        foreign = tn.asarray(X).to(backend=third)
        with pytest.raises(BackendError, match=third):
            tn.grad(lambda p: tn.sum(p * foreign))(tn.asarray(X))


def test_a_thread_of_its_own_knows_nothing_of_it(engine: str) -> None:
    """What is lifted inside of a function is refused beside it."""
    seen: list[Any] = []

    def elsewhere() -> None:
        try:
            seen.append(tn.asarray(X) * tn.asarray(X).to(backend=engine))
        except BackendError as error:
            seen.append(error)

    def f(p: Tensor) -> Tensor:
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        return tn.sum(p)

    tn.grad(f)(tn.asarray(X))
    assert all(isinstance(found, BackendError) for found in seen)


def test_what_can_not_be_written_is_refused_with_what_would_be_legal(engine: str) -> None:
    def in_place(p: Tensor) -> Tensor:
        made = tn.asarray(N.copy(), backend="numpy")
        made *= p
        return tn.sum(made)

    def assigned(p: Tensor) -> Tensor:
        made = tn.asarray(N.copy(), backend="numpy")
        made[0] = p[0]
        return tn.sum(made)

    def selected(p: Tensor) -> Tensor:
        return MATRIX[tn.argmax(p)][0] * p[0]

    for f, legal in ((in_place, "t = t + u"), (assigned, "t = t.to(backend="), (selected, "[key]")):
        with pytest.raises(BackendError, match="numpy") as refused:
            tn.grad(f)(tn.asarray(X))
        assert legal in str(refused.value)


def test_native_arrays_beside_tensors_are_refused_as_everywhere(engine: str) -> None:
    for act in (lambda p: tn.sum(N * p), lambda p: tn.sum(tn.asarray(np.sin(p)))):
        with pytest.raises(ConversionError, match="Legal"):
            tn.grad(act)(tn.asarray(X))


def test_errors_of_others_say_that_the_function_was_moved(engine: str) -> None:
    def wrong(p: Tensor) -> Tensor:
        raise TypeError("unsupported operand")

    with pytest.raises(TypeError, match="unsupported operand") as refused:
        tn.grad(wrong)(tn.asarray(X))
    (note,) = refused.value.__notes__
    assert "numpy has no derivatives" in note
    assert engine in note
    assert "tn.asarray(array)" in note


def test_a_result_says_where_it_was_computed_and_prints_it(engine: str) -> None:
    slope = tn.grad(quadratic)(point())
    assert slope.engine == engine
    assert repr(slope).startswith(f"Tensor(_i [i: V(2)], 2 float64, numpy by {engine})")
    assert f"numpy by {engine}" in slope._repr_html_()
    # It is a tensor like any other: what is made of it was computed on NumPy.
    assert (slope.raised().engine, (slope + slope).engine, slope.to(dtype="float32").engine) == ("numpy",) * 3
    assert "by" not in repr(2 * slope)
    for other in (copy.copy(slope), copy.deepcopy(slope), pickle.loads(pickle.dumps(slope))):
        assert other.engine == "numpy"
        np.testing.assert_array_equal(values(other), values(slope))
    assert point().engine == "numpy"


def test_derivatives_on_a_backend_that_has_them_are_its_own(engine: str) -> None:
    x = point().to(backend=engine)
    slope = tn.grad(lambda x: tn.inner(x, x))(x)
    assert (slope.backend, slope.engine) == (engine, engine)
    assert "by" not in repr(slope)
    with pytest.raises(BackendError, match="numpy"):  # nothing was moved, so nothing is lifted
        tn.grad(quadratic)(x)
