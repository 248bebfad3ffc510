"""Derivatives of SVD, polar decomposition and eigenvalue problems, also where values are equal, zero, or nearly so.

What does not depend on the choice of singular vectors has a derivative there, and differences tell what it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from across import installed, native, refusal, values

import tensoria as tn
from tensoria.discovery import get
from tensoria.errors import MatrixError, ShapeError
from tensoria.tensor import Tensor

ENGINES = [name for name in installed() if get(name).differentiates]
rng = np.random.default_rng(31)
Numbers = np.ndarray[Any, Any]
SHAPES = [(4, 4), (5, 3), (3, 5)]
SPECTRA = {
    "distinct": [4.0, 3.0, 2.0, 1.5],
    "equal": [2.0, 2.0, 1.0, 1.0],
    "all equal": [2.0, 2.0, 2.0, 2.0],
    "nearly equal": [2.0 + 1e-11, 2.0, 1.0, 1.0 - 1e-13],
}
STEP = 1e-4
WEIGHTS = np.cos(np.arange(1.0, 101.0)).tolist()


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """A backend that differentiates; the others' derivatives are one's of these."""
    return str(request.param)


def random(*shape: int, kind: str = "real") -> Numbers:
    made = rng.standard_normal(shape)
    return made + 1j * rng.standard_normal(shape) if kind == "complex" else made


def turned(n: int, kind: str) -> Numbers:
    """A random orthogonal or unitary matrix."""
    return np.asarray(np.linalg.qr(random(n, n, kind=kind))[0])


def metric(n: int, kind: str) -> Numbers:
    a = random(n, n, kind=kind)
    return np.asarray(np.eye(n) + a @ a.conj().T / 4)


METRICS = {(n, kind): metric(n, kind) for n in (3, 4, 5) for kind in ("real", "complex")}
SPACES = {
    (n, kind): tn.Space(f"{kind}{n}", n, metric=g, field=kind)  # type: ignore[arg-type]
    for (n, kind), g in METRICS.items()
}
FRAMES = {key: np.linalg.cholesky(g).conj().T for key, g in METRICS.items()}


def with_singular_values(m: int, n: int, given: list[float], kind: str) -> Numbers:
    """The components of a map T^u_v with these singular values in the metrics of its spaces."""
    k = min(m, n)
    white = (turned(m, kind)[:, :k] * given[:k]) @ turned(n, kind)[:, :k].conj().T
    return np.asarray(np.linalg.solve(FRAMES[m, kind], white) @ FRAMES[n, kind])


def kind_of(x: Tensor) -> str:
    return "complex" if x.dtype.kind == "complex" else "real"


def labelled(x: Tensor) -> Tensor:
    m, n = x.shape[-2:]
    return tn.tensor(x, "... ^u _v", u=SPACES[m, kind_of(x)], v=SPACES[n, kind_of(x)])


def weighted(y: Tensor) -> Tensor:
    """A real number that depends on every component, and not linearly."""
    y = y.components
    count = math.prod(y.shape)
    weight = tn.reshape(tn.asarray(WEIGHTS[:count], dtype="float64", backend=y.backend), y.shape)
    return tn.sum(tn.real(y) * weight) + tn.sum(tn.real(y * tn.conj(y)) * weight[..., ::-1])


def rebuilt(x: Tensor) -> Tensor:
    u, s, v = tn.svd(labelled(x), "u", "v")
    return weighted(u * s * v)


def cubed(x: Tensor) -> Tensor:
    """U S^3 V, a function of the matrix that treats singular values by their size."""
    u, s, v = tn.svd(labelled(x), "u", "v")
    return weighted(u @ s @ s @ s @ v)


def truncated(x: Tensor) -> Tensor:
    u, s, v = tn.svd(labelled(x), "u", "v", rank=2)
    return weighted(u * s * v)


def subspace(x: Tensor) -> Tensor:
    """The projection onto the space of the two leading vectors."""
    u = tn.svd(labelled(x), "u", "v", rank=2, metric="components").U.components
    return weighted(u @ tn.conj(u.mT))


def nuclear(x: Tensor) -> Tensor:
    s = tn.svd(labelled(x), "u", "v").S
    return tn.real(tn.sum(tn.linalg.diagonal(s.components)))


def squares(x: Tensor) -> Tensor:
    return tn.sum(tn.square(tn.linalg.svdvals(x)))


def isometry(x: Tensor) -> Tensor:
    if x.shape[-2] < x.shape[-1]:
        x = tn.conj(x.mT)
    return weighted(tn.polar(labelled(x), "u", "v").isometry)


def positive(x: Tensor) -> Tensor:
    if x.shape[-2] < x.shape[-1]:
        x = tn.conj(x.mT)
    return weighted(tn.polar(labelled(x), "u", "v").positive)


FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    f.__name__: f for f in (rebuilt, cubed, truncated, subspace, nuclear, squares, isometry, positive)
}
UNDEFINED = {("truncated", "all equal"), ("subspace", "all equal")}
"""Which two of several equal ones lead is not determined."""


def difference(f: Callable[[Numbers], Any], x: Numbers, along: Numbers) -> Numbers:
    """The derivative along a direction, by central differences of fourth order."""
    near, far = (np.asarray(f(x + h * along) - f(x - h * along)) for h in (STEP, 2 * STEP))
    return np.asarray((8 * near - far) / (12 * STEP))


def on_numpy(f: Callable[[Tensor], Tensor]) -> Callable[[Numbers], float]:
    return lambda x: float(f(tn.asarray(x)))


def cases(name: str) -> list[tuple[str, Numbers]]:
    found = []
    for kind in ("real", "complex"):
        for m, n in SHAPES:
            for spectrum, given in SPECTRA.items():
                if (name, spectrum) not in UNDEFINED:
                    found.append((f"{kind} {m} x {n}, {spectrum}", with_singular_values(m, n, given, kind)))
    return found


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_does_not_depend_on_the_choice_of_vectors_has_its_derivative(engine: str, name: str) -> None:
    f = FUNCTIONS[name]
    for case, x in cases(name):
        at, along = tn.asarray(native(engine, x)), random(*x.shape, kind="complex" if np.iscomplexobj(x) else "real")
        expected = difference(on_numpy(f), x, along)
        slope = values(tn.grad(f)(at))
        _, pushed = tn.jvp(f, (at,), (tn.asarray(native(engine, along)),))
        np.testing.assert_allclose((slope * along).sum().real, expected, rtol=1e-7, atol=1e-7, err_msg=case)
        np.testing.assert_allclose(float(pushed), expected, rtol=1e-7, atol=1e-7, err_msg=case)


def along_twice(f: Callable[[Tensor], Tensor], x: Tensor, v: Tensor) -> float:
    """The second derivative along a direction, forward both times."""
    return float(tn.jvp(lambda y: tn.jvp(f, (y,), (v,))[1], (x,), (v,))[1])


@pytest.mark.parametrize("name", ["rebuilt", "cubed", "truncated", "isometry", "positive", "nuclear"])
def test_second_derivatives_are_right_too_where_values_are_equal(engine: str, name: str) -> None:
    f = FUNCTIONS[name]
    def gradient(x: Numbers) -> Numbers:
        return values(tn.grad(f)(tn.asarray(native(engine, x))))

    for kind in ("real", "complex"):
        x = with_singular_values(4, 4, SPECTRA["equal"], kind)
        at, along = tn.asarray(native(engine, x)), random(4, 4, kind=kind)
        expected = difference(gradient, x, along)
        _, found = tn.jvp(tn.grad(f), (at,), (tn.asarray(native(engine, along)),))
        np.testing.assert_allclose(values(found), expected, rtol=1e-5, atol=1e-5)
        twice = along_twice(f, at, tn.asarray(native(engine, along)))
        np.testing.assert_allclose(twice, (values(found) * along).sum().real, rtol=1e-8, atol=1e-8)


def test_programs_have_the_same_derivatives() -> None:
    for name, f in FUNCTIONS.items():
        for kind in ("real", "complex"):
            x = with_singular_values(5, 3, SPECTRA["distinct" if name in ("truncated", "subspace") else "all equal"],
                                     kind)  # fmt: skip
            along = random(5, 3, kind=kind)
            program = tn.trace(f, tn.asarray(x))
            slope = values(program.grad().run(tn.asarray(x)))
            expected = difference(on_numpy(f), x, along)
            np.testing.assert_allclose((slope * along).sum().real, expected, rtol=1e-7, atol=1e-7, err_msg=name)
            _, pushed = program.jvp().run(tn.asarray(x), tn.asarray(along))
            np.testing.assert_allclose(float(pushed), expected, rtol=1e-7, atol=1e-7, err_msg=name)
            restored = float(program.run(tn.asarray(x)))
            np.testing.assert_allclose(restored, float(f(tn.asarray(x))), rtol=1e-12)


# -- lists of values --------------------------------------------------------------------------------------------------

LISTS: dict[str, Callable[[Tensor], Tensor]] = {
    "sum of functions of singular values": lambda x: tn.sum(tn.sin(tn.linalg.svdvals(x))),
    "nuclear norm": lambda x: tn.linalg.matrix_norm(x, ord="nuc"),
    "U V^H": lambda x: (lambda f: weighted(f.U @ f.Vh))(tn.linalg.svd(x, full_matrices=False)),
    "sum of functions of eigenvalues": lambda x: tn.sum(tn.sin(tn.linalg.eigvalsh(x @ tn.conj(x.mT)))),
    "eigenvectors of one value": lambda x: (lambda v: weighted(v @ tn.conj(v.mT)))(
        tn.linalg.eigh(x @ tn.conj(x.mT)).eigenvectors[:, :2]
    ),
    "sum of powers of any eigenvalues": lambda x: tn.sum(tn.real(tn.linalg.eigvals(x @ tn.conj(x.mT)) ** 3)),
}


@pytest.mark.parametrize("name", LISTS)
def test_functions_of_lists_that_treat_equal_values_alike_have_their_derivative(engine: str, name: str) -> None:
    f = LISTS[name]
    for kind in ("real", "complex"):
        for spectrum in ("distinct", "equal"):
            x = (turned(4, kind) * SPECTRA[spectrum]) @ turned(4, kind)
            at, along = tn.asarray(native(engine, x)), random(4, 4, kind=kind)
            expected = difference(on_numpy(f), x, along)
            slope = values(tn.grad(f)(at))
            _, pushed = tn.jvp(f, (at,), (tn.asarray(native(engine, along)),))
            np.testing.assert_allclose((slope * along).sum().real, expected, rtol=1e-6, atol=1e-6)
            np.testing.assert_allclose(float(pushed), expected, rtol=1e-6, atol=1e-6)
            program = tn.trace(f, tn.asarray(x)).grad()
            np.testing.assert_allclose(values(program.run(tn.asarray(x))), slope, rtol=1e-9, atol=1e-9)


def arbitrary(x: Tensor) -> Tensor:
    """A function that does depend on the choice of vectors."""
    u, s, v = tn.linalg.svd(x, full_matrices=False)
    q, r = tn.linalg.eigh(x @ tn.conj(x.mT))
    parts = [u, s, v, q, r, *(t.components for t in tn.svd(labelled(x), "u", "v"))]
    return sum((weighted(part) for part in parts), start=tn.sum(tn.real(x)))


EXTREMES = {
    "equal": np.eye(5, 3),
    "zero": np.zeros((4, 4)),
    "zero, wide": np.zeros((3, 4)),
    "rank one": np.ones((4, 3)),
    "rank two": np.diag([2.0, 2.0, 0.0, 0.0]),
    "a batch of all": np.stack([np.zeros((3, 3)), np.eye(3), np.ones((3, 3)), np.diag([1.0, 2.0, 3.0])]),
}


@pytest.mark.parametrize("name", EXTREMES)
def test_derivatives_are_finite_whatever_the_values(engine: str, name: str) -> None:
    for x in (EXTREMES[name], EXTREMES[name].astype("complex128")):
        at = tn.asarray(native(engine, x))
        slope = values(tn.grad(arbitrary)(at))
        assert np.isfinite(slope).all()
        assert np.isfinite(float(tn.jvp(arbitrary, (at,), (at + 1.0,))[1]))
        assert np.isfinite(values(tn.trace(arbitrary, tn.asarray(x)).grad().run(tn.asarray(x)))).all()


def test_a_square_matrix_of_any_rank_is_rebuilt_with_its_derivative(engine: str) -> None:
    for x in (np.zeros((4, 4)), np.diag([2.0, 2.0, 0.0, 0.0]), np.ones((4, 4))):
        along = random(4, 4)
        slope = values(tn.grad(rebuilt)(tn.asarray(native(engine, x))))
        np.testing.assert_allclose((slope * along).sum(), difference(on_numpy(rebuilt), x, along), rtol=1e-7, atol=1e-7)


def test_singular_values_of_zero_have_the_derivative_zero_as_absolute_values_have(engine: str) -> None:
    """The least of the subgradients, the same on every backend."""
    for x, expected in ((np.zeros((3, 2)), np.zeros((3, 2))), (np.ones((3, 2)), np.ones((3, 2)) / np.sqrt(6))):
        at = tn.asarray(native(engine, x))
        for f in (lambda x: tn.linalg.matrix_norm(x, ord="nuc"), lambda x: tn.linalg.matrix_norm(x, ord=2),
                  lambda x: tn.sum(tn.linalg.svdvals(x))):  # fmt: skip
            np.testing.assert_allclose(values(tn.grad(f)(at)), expected, atol=1e-15)
            np.testing.assert_allclose(values(tn.trace(f, tn.asarray(x)).grad().run(tn.asarray(x))), expected,
                                       atol=1e-15)  # fmt: skip


def test_equal_leading_singular_values_share_the_derivative_of_the_norm(engine: str) -> None:
    slope = tn.grad(lambda x: tn.linalg.matrix_norm(x, ord=2))(tn.asarray(native(engine, np.eye(2))))
    np.testing.assert_allclose(values(slope), np.eye(2) / 2, atol=1e-15)


def test_full_matrices_have_derivatives(engine: str) -> None:
    """The projection onto what the singular vectors leave over."""
    for kind in ("real", "complex"):
        for m, n in ((5, 3), (5, 1)):
            def rest(x: Tensor, n: int = n) -> Tensor:
                u = tn.linalg.svd(x, full_matrices=True).U[:, n:]
                return weighted(u @ tn.conj(u.mT))

            def wide(x: Tensor, n: int = n) -> Tensor:
                v = tn.linalg.svd(tn.conj(x.mT), full_matrices=True).Vh[n:]
                return weighted(tn.conj(v.mT) @ v)

            x, along = random(m, n, kind=kind), random(m, n, kind=kind)
            at = tn.asarray(native(engine, x))
            for f in (rest, wide):
                expected = difference(on_numpy(f), x, along)
                np.testing.assert_allclose((values(tn.grad(f)(at)) * along).sum().real, expected, rtol=1e-6, atol=1e-8)
                _, pushed = tn.jvp(f, (at,), (tn.asarray(native(engine, along)),))
                np.testing.assert_allclose(float(pushed), expected, rtol=1e-6, atol=1e-8)


def test_single_vectors_of_distinct_values_have_their_derivative(engine: str) -> None:
    def first(x: Tensor) -> Tensor:
        u, _, v = tn.svd(labelled(x), "u", "v")
        return weighted(tn.abs(u.components)) + weighted(tn.abs(v.components))

    for kind in ("real", "complex"):
        x, along = with_singular_values(4, 4, SPECTRA["distinct"], kind), random(4, 4, kind=kind)
        slope = values(tn.grad(first)(tn.asarray(native(engine, x))))
        np.testing.assert_allclose((slope * along).sum().real, difference(on_numpy(first), x, along), rtol=1e-6)


def test_eigenvalues_of_a_self_adjoint_map_with_equal_ones(engine: str) -> None:
    """Sums of powers of the eigenvalues of a map that is self-adjoint in its space's metric."""
    V = SPACES[4, "real"]
    frame = FRAMES[4, "real"]
    q = turned(4, "real")
    data = np.linalg.solve(frame, (q * [2.0, 2.0, 1.0, 1.0]) @ q.T @ frame)
    t = tn.tensor(native(engine, data), "^i _j", i=V, j=V)
    slope = tn.grad(lambda t: tn.sum(tn.real(tn.eigvals(t).components ** 3)))(t)
    assert str(slope.axes) == "_i ^j"
    np.testing.assert_allclose(values(slope), 3 * (data @ data).T, rtol=1e-9)
    for x in (np.eye(3), np.zeros((3, 3)), np.diag([1.0, 1.0, 2.0])):
        slope = tn.grad(lambda x: weighted(tn.abs(tn.linalg.eig(x).eigenvectors)))(tn.asarray(native(engine, x)))
        assert np.isfinite(values(slope)).all()


@pytest.mark.parametrize("spectrum", ["distinct", "equal", "all equal", "nearly equal"])
def test_self_adjoint_maps_have_derivatives_whatever_eigenvalues_are_equal(engine: str, spectrum: str) -> None:
    """Along self-adjoint changes, in the metric: T^3, and the projection onto the lower half of the eigenvalues."""

    def cube(t: Tensor) -> Tensor:
        x, d, y = tn.eigh(t)
        return weighted(x @ d @ d @ d @ y)

    def lower(t: Tensor) -> Tensor:
        x, _, y = tn.eigh(t)
        return weighted(x.components[:, :2] @ y.components[:2])

    for kind in ("real", "complex"):
        V, frame, q = SPACES[4, kind], FRAMES[4, kind], turned(4, kind)
        data = np.linalg.solve(frame, (q * SPECTRA[spectrum]) @ q.conj().T @ frame)
        h = random(4, 4, kind=kind)
        along = np.linalg.solve(frame, (h + h.conj().T) @ frame)

        def at(x: Numbers, b: str = "numpy", V: tn.Space = V) -> Tensor:
            return tn.tensor(native(b, x), "^i _j", i=V, j=V)

        for f in (cube,) if spectrum == "all equal" else (cube, lower):
            expected = difference(lambda x, f=f: float(f(at(x))), data, along)
            slope = tn.grad(f)(at(data, engine))
            assert str(slope.axes) == "_i ^j"
            np.testing.assert_allclose((values(slope) * along).sum().real, expected, rtol=1e-6, atol=1e-7)
            _, pushed = tn.jvp(f, (at(data, engine),), (at(along, engine),))
            np.testing.assert_allclose(float(pushed), expected, rtol=1e-6, atol=1e-7)
            program = tn.trace(f, at(data)).grad()
            np.testing.assert_allclose(values(program.run(at(data))), values(slope), rtol=1e-7, atol=1e-7)


def test_components_that_are_not_finite_are_refused() -> None:
    def labelled_(b: str) -> Tensor:
        return tn.tensor(native(b, np.full((3, 3), np.nan)), "^i _j", i=SPACES[3, "real"], j=SPACES[3, "real"])

    for what, act in {
        "svd": lambda t: tn.svd(t, "i", "j"), "polar": lambda t: tn.polar(t, "i", "j"), "eig": tn.eig,
        "eigvals": tn.eigvals, "eigh": tn.eigh,
    }.items():  # fmt: skip
        refusal(MatrixError, lambda b, act=act: act(labelled_(b)), f"{what}: a component is not finite", "Legal:")
    for b in installed():
        with pytest.raises(MatrixError, match="not finite"):
            tn.grad(lambda t: tn.sum(tn.real(tn.eigvals(t).components)))(labelled_(b))
    refusal(ShapeError, lambda b: tn.svd(labelled_(b), "i", "j", rank=0), "a rank of 0")
    refusal(ShapeError, lambda b: tn.svd(labelled_(b), "i", "j", rank="2"), "'2'", "rank=2")  # type: ignore[arg-type]


def test_qr_has_its_derivative_at_equal_singular_values(engine: str) -> None:
    def f(x: Tensor) -> Tensor:
        q, r = tn.qr(labelled(x), "u", "v")
        return weighted(tn.abs(q.components)) + weighted(tn.abs(r.components))

    for m, n in SHAPES:
        x, along = with_singular_values(m, n, SPECTRA["all equal"], "real"), random(m, n)
        slope = values(tn.grad(f)(tn.asarray(native(engine, x))))
        np.testing.assert_allclose((slope * along).sum(), difference(on_numpy(f), x, along), rtol=1e-6, atol=1e-7)


# -- inside of compilers ----------------------------------------------------------------------------------------------


COMPILED: dict[str, tuple[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "svd, forward over reverse": ("real", lambda x, v: tn.jvp(tn.grad(truncated), (x,), (v,))[1]),
    "polar, reverse": ("complex", lambda x, v: tn.grad(isometry)(x)),
    "lists, forward": ("complex", lambda x, v: tn.jvp(lambda x: tn.linalg.matrix_norm(x, ord="nuc")
        + LISTS["eigenvectors of one value"](x), (x,), (v,))[1]),
}  # fmt: skip


def given(framework: str, kind: str) -> tuple[Tensor, Tensor]:
    x, along = with_singular_values(4, 4, SPECTRA["equal"], kind), random(4, 4, kind=kind)
    return tn.asarray(native(framework, x)), tn.asarray(native(framework, along))


@pytest.mark.parametrize("name", COMPILED)
def test_torch_compiles_them(name: str) -> None:
    torch = pytest.importorskip("torch")
    kind, f = COMPILED[name]
    arguments = given("torch", kind)
    torch._dynamo.reset()
    found = torch.compile(f, fullgraph=True, backend="eager")(*arguments)
    np.testing.assert_allclose(values(found), values(f(*arguments)), rtol=1e-9, atol=1e-9)
    torch._dynamo.reset()


@pytest.mark.parametrize("name", COMPILED)
def test_tensorflow_traces_them(name: str) -> None:
    tf = pytest.importorskip("tensorflow")
    kind, f = COMPILED[name]
    arguments = given("tensorflow", kind)
    found = tf.function(f, autograph=False)(*arguments)
    np.testing.assert_allclose(values(found), values(f(*arguments)), rtol=1e-9, atol=1e-9)
