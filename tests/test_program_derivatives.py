"""Derivatives of programs: every rule agrees with differences, and with PyTorch's derivatives of the generated code."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from across import native, values
from program_operations import EXAMPLES, Example, program_of

import tensoria as tn
from tensoria.discovery import get
from tensoria.errors import DTypeError, ModeError, ShapeError
from tensoria.programs.derivatives import RULES, WITHOUT
from tensoria.programs.operations import OPERATIONS
from tensoria.programs.program import Program, load
from tensoria.programs.symbolic import backend as symbolic
from tensoria.tensor import Tensor

HERMITIAN = frozenset(("linalg.cholesky", "linalg.eigh", "linalg.eigvalsh"))
"""Operations of Hermitian matrices, of which only one triangle is read."""
UNDIFFERENTIATED = frozenset(("nextafter", "linalg.svd", "linalg.qr", "linalg.eig"))
"""What PyTorch has no derivative of in some of our examples: complements of vectors, vectors up to a phase."""
STEP = 1e-6
random = np.random.default_rng(1)


def wide(example: Example) -> Example:
    """The example in double precision."""
    to = {"float32": "float64", "complex64": "complex128"}
    operands = tuple(x.astype(to.get(str(x.dtype), x.dtype)) for x in example.operands)
    return dataclasses.replace(example, operands=operands)


def inexact(x: Any) -> bool:
    return np.asarray(x).dtype.kind in "fc"


def distinct() -> list[Example]:
    """The examples with derivatives in double precision, each once; differences see no cast that rounds."""
    found = {}
    for example in EXAMPLES:
        rounds = example.attributes.get("dtype") in (tn.float32, tn.complex64, tn.int32, tn.int64)
        if example.operation in RULES and any(map(inexact, example.operands)) and not rounds:
            x = wide(example)
            found.setdefault((str(x), repr(x.attributes), str([y.shape for y in x.operands])), x)
    return list(found.values())


def complex_examples() -> list[Example]:
    """The rules that hold for complex numbers, away from cuts."""
    rng = np.random.default_rng(7)

    def z(*shape: int) -> np.ndarray[Any, Any]:
        return rng.uniform(0.2, 1, shape) + 1j * rng.uniform(0.2, 1, shape)

    def positive(n: int) -> np.ndarray[Any, Any]:
        a = z(2, n, n)
        return a @ a.conj().swapaxes(-1, -2) + n * np.eye(n)

    unary = (
        "acos", "acosh", "asin", "asinh", "atan", "atanh", "cosh", "expm1", "log10", "log1p", "log2", "sinh", "tan",
    )  # fmt: skip
    found = [Example(name, (z(3, 2),), {}) for name in unary]
    for name in ("prod", "mean"):
        found.append(Example(name, (z(2, 3, 2),), {"axes": (0, 2), "keepdims": False}))
    for name in ("cumulative_sum", "cumulative_prod"):
        found.append(Example(name, (z(3, 4),), {"axis": 1, "include_initial": False}))
    found += [
        Example("matmul", (z(2, 3), z(3, 4)), {}),
        Example("where", (np.array([True, False]), z(3, 2), z(2)), {}),
        Example("linalg.solve", (positive(3), z(2, 3, 4)), {}),
        Example("linalg.pinv", (z(2, 4, 3),), {"rtol": None}),
        Example("linalg.pinv", (z(3, 4),), {"rtol": None}),
        Example("linalg.matrix_power", (z(3, 3),), {"n": 5}),
        Example("linalg.matrix_power", (positive(3),), {"n": -1}),
        Example("linalg.diagonal", (z(2, 3, 4),), {"offset": 1}),
        Example("linalg.cross", (z(2, 3), z(3)), {"axis": -1}),
        Example("linalg.eigvals", (z(3, 3) + np.diag([1, 4, 9]),), {}),
        Example("linalg.svdvals", (z(2, 4, 3),), {}),
    ]
    found += [Example(f"linalg.{name}", (positive(3),), {}) for name in ("det", "inv", "slogdet", "eigvalsh")]
    found += [Example("linalg.cholesky", (positive(3),), {"upper": upper}) for upper in (False, True)]
    for order in (1, 2, 3.0, np.inf):
        found.append(Example("linalg.vector_norm", (z(2, 3),), {"axes": (1,), "keepdims": True, "ord": order}))
    for order in ("fro", "nuc", 2, -2, 1, -1, np.inf):
        found.append(Example("linalg.matrix_norm", (z(2, 3, 4),), {"keepdims": False, "ord": order}))
    return found


WIDE = [*distinct(), *complex_examples()]
each = pytest.mark.parametrize("example", WIDE, ids=[f"{n}-{x}" for n, x in enumerate(WIDE)])


def like(x: Any, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """Random numbers of an array's shape and kind."""
    x = np.asarray(x)
    made = rng.standard_normal(x.shape)
    return made + 1j * rng.standard_normal(x.shape) if x.dtype.kind == "c" else made


def hermitian(example: Example, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return (x + x.swapaxes(-1, -2).conj()) / 2 if example.operation in HERMITIAN else x


def pulled(example: Example) -> tuple[list[int], list[Any], list[np.ndarray[Any, Any]]]:
    """By which operands, with which cotangents, and the derivatives."""
    program, rng = program_of(example), np.random.default_rng(2)
    places = [n for n, x in enumerate(example.operands) if inexact(x)]
    results = program.evaluate(get("numpy"), example.operands)
    cotangents = [like(y, rng) if inexact(y) else None for y in results]
    given = [g for g in cotangents if g is not None]
    found = program.vjp(tuple(places)).evaluate(get("numpy"), (*example.operands, *given))
    return places, cotangents, found[len(results) :]


def test_every_operation_has_a_rule_or_the_reason_why_not() -> None:
    assert set(RULES) | set(WITHOUT) == set(OPERATIONS)
    assert not set(RULES) & set(WITHOUT)


@each
def test_a_rule_agrees_with_differences(example: Example) -> None:
    program, rng = program_of(example), np.random.default_rng(3)
    places, cotangents, found = pulled(example)

    def value(operands: list[Any]) -> float:
        results = program.evaluate(get("numpy"), operands)
        return float(sum(np.sum(g * y).real for g, y in zip(cotangents, results, strict=True) if g is not None))

    for n, g in zip(places, found, strict=True):
        x = example.operands[n]
        assert g.shape == x.shape
        assert g.dtype == x.dtype
        for _ in range(3):
            along = hermitian(example, like(x, rng))
            above, below = (value([*example.operands[:n], x + s * STEP * along, *example.operands[n + 1 :]])
                            for s in (1, -1))  # fmt: skip
            expected = (above - below) / (2 * STEP)
            np.testing.assert_allclose(np.sum(g * along).real, expected, rtol=2e-6, atol=2e-6)


@each
def test_a_rule_agrees_with_pytorchs_derivative_of_the_generated_code(example: Example) -> None:
    torch = pytest.importorskip("torch")
    if example.operation in UNDIFFERENTIATED:
        pytest.skip("PyTorch has no derivative")
    places, cotangents, found = pulled(example)
    inputs = [torch.tensor(x, requires_grad=inexact(x)) for x in example.operands]
    results = program_of(example).compile("torch").native(*inputs)
    total = sum(torch.sum(torch.tensor(g) * y).real for g, y in zip(cotangents, results, strict=True) if g is not None)
    theirs = torch.autograd.grad(total, [inputs[n] for n in places], allow_unused=True)
    for g, other in zip(found, theirs, strict=True):
        other = np.zeros_like(g) if other is None else other.resolve_conj().numpy(force=True).conj()
        np.testing.assert_allclose(hermitian(example, g), hermitian(example, other), rtol=1e-9, atol=1e-9)


@each
def test_tangents_are_pushed_as_cotangents_are_pulled(example: Example) -> None:
    program, rng = program_of(example), np.random.default_rng(4)
    places, cotangents, found = pulled(example)
    tangents = [hermitian(example, like(example.operands[n], rng)) for n in places]
    results = program.jvp(tuple(places)).evaluate(get("numpy"), (*example.operands, *tangents))
    along = results[len(cotangents) :]
    pushed = sum(np.sum(g * y).real for g, y in zip((g for g in cotangents if g is not None), along, strict=True))
    np.testing.assert_allclose(
        pushed, sum(np.sum(g * t).real for g, t in zip(found, tangents, strict=True)), rtol=1e-9, atol=1e-9
    )


# -- programs of many instructions ------------------------------------------------------------------------------------


def network(x: Tensor, w: dict[str, Tensor]) -> Tensor:
    """A small network, and its loss."""
    h = tn.tanh(x @ w["first"] + w["bias"])
    return tn.mean(tn.softmax(h @ w["second"], -1) ** 2)


def weights() -> dict[str, Tensor]:
    return {
        name: tn.asarray(random.standard_normal(shape))
        for name, shape in {"first": (3, 5), "bias": (5,), "second": (5, 2)}.items()
    }


def difference(function: Any, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The gradient of a function of an array by central differences."""
    out = np.zeros_like(x)
    for place in np.ndindex(*x.shape):
        step = np.zeros_like(x)
        step[place] = STEP
        out[place] = (float(function(x + step)) - float(function(x - step))) / (2 * STEP)
    return out


def test_gradients_have_the_structure_of_the_argument(backend: str) -> None:
    w, x = weights(), random.standard_normal((4, 3))
    given = {name: tn.asarray(native(backend, values(array))) for name, array in w.items()}
    program = tn.trace(network, tn.asarray(x), w)
    value, slopes = program.value_and_grad(1).run(tn.asarray(native(backend, x)), given)
    np.testing.assert_allclose(values(value), values(network(tn.asarray(x), w)), rtol=1e-12)
    for name, array in w.items():
        expected = difference(lambda y, name=name: values(network(tn.asarray(x), {**w, name: tn.asarray(y)})),
                              values(array))  # fmt: skip
        np.testing.assert_allclose(values(slopes[name]), expected, rtol=1e-6, atol=1e-8)


def test_a_derivative_holds_for_all_sizes_prints_saves_and_compiles(tmp_path: Any) -> None:
    program = tn.trace(network, tn.asarray(np.ones((4, 3))), weights(), dynamic={"x": ("batch", None)}).grad(1)
    assert "batch" in str(program)
    program.save(tmp_path / "grad.tensoria")
    again = load(tmp_path / "grad.tensoria")
    w = weights()
    for batch in (1, 2, 7):
        x = tn.asarray(random.standard_normal((batch, 3)))
        expected = tn.trace(network, x, w).grad(1).run(x, w)
        for found in (program.run(x, w), again.run(x, w), program.compile("numpy")(x, w)):
            for name in w:
                np.testing.assert_allclose(values(found[name]), values(expected[name]), rtol=1e-11, atol=1e-14)


OPEN: dict[str, Any] = {
    "mean": lambda x: tn.mean(x**2),
    "var": lambda x: tn.sum(tn.std(x, axis=0)),
    "concat": lambda x: tn.sum(tn.sin(tn.concat([x, 2 * x, x], axis=0)) * tn.concat([x, x, x**2])),
    "slices": lambda x: tn.sum(x[1:, :] * x[:-1, :] ** 2) + tn.sum(x[::-1, 0] * x[:, 1]),
    "contraction": lambda x: tn.sum(tn.einsum("ab,cb->ac", x, x) ** 2),
    "sort": lambda x: tn.sum(tn.sort(x, axis=0) * tn.cumulative_sum(x, axis=0)),
    "prod": lambda x: tn.sum(tn.prod(x, axis=0)) + tn.sum(tn.cumulative_prod(x, axis=0)),
    "take": lambda x: tn.sum(tn.take_along_axis(x, tn.argsort(x, axis=0), axis=0) * x),
    "spectrum": lambda x: tn.sum(tn.abs(tn.fft.rfft(x, axis=0)) ** 2) + tn.sum(tn.abs(tn.fft.fft(x, axis=0)) ** 4),
    "logsumexp": lambda x: tn.sum(tn.log(tn.sum(tn.exp(x), axis=0))),
    "gram": lambda x: tn.sum(tn.linalg.inv(x.mT @ x + tn.eye(2, dtype=tn.float64)) ** 2),
    "reshape": lambda x: tn.sum(tn.reshape(x, (-1,)) * tn.reshape(tn.permute_dims(x, (1, 0)), (-1,))),
}


@pytest.mark.parametrize("name", OPEN)
def test_gradients_of_open_sizes(name: str) -> None:
    function = OPEN[name]
    program = tn.trace(function, tn.asarray(np.ones((3, 2))), dynamic={"x": ("n", None)}).grad()
    second = tn.trace(function, tn.asarray(np.ones((3, 2))), dynamic={"x": ("n", None)}).vjp().vjp((0,))
    assert second.instructions
    for size in (2, 5):
        x = random.standard_normal((size, 2))
        expected = difference(lambda y: values(function(tn.asarray(y))), x)
        np.testing.assert_allclose(values(program.run(tn.asarray(x))), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", OPEN)
def test_second_derivatives(name: str) -> None:
    function, x = OPEN[name], random.standard_normal((4, 2))
    along = random.standard_normal((4, 2))
    gradient = tn.trace(function, tn.asarray(x)).grad()
    above, below = (values(gradient.run(tn.asarray(x + s * STEP * along))) for s in (1, -1))
    _, found = gradient.jvp().run(tn.asarray(x), tn.asarray(along))
    np.testing.assert_allclose(values(found), (above - below) / (2 * STEP), rtol=1e-5, atol=1e-6)
    _, transposed = gradient.vjp().run(tn.asarray(x), tn.asarray(along))
    np.testing.assert_allclose(values(transposed), values(found), rtol=1e-9, atol=1e-9)


# -- factorisations ---------------------------------------------------------------------------------------------------


def _rebuilt(left: Any, values: Any, right: Any) -> Any:
    """Parts put together with other values, which does not depend on signs and phases of vectors."""
    return (left * tn.expand_dims(tn.sin(values), axis=-2)) @ right


FACTORISATIONS: dict[str, tuple[Any, tuple[int, int]]] = {
    "eigh": (lambda h: (lambda w, v: _rebuilt(v, w, tn.conj(v).mT))(*tn.linalg.eigh(h + tn.conj(h).mT)), (4, 4)),
    "eig": (lambda x: (lambda w, v: _rebuilt(v, w, tn.linalg.inv(v)))(*tn.linalg.eig(x)), (4, 4)),
    "svd": (lambda x: (lambda u, s, vh: _rebuilt(u, s, vh))(*tn.linalg.svd(x, full_matrices=False)), (4, 3)),
    "wide svd": (lambda x: (lambda u, s, vh: _rebuilt(u, s, vh))(*tn.linalg.svd(x, full_matrices=False)), (3, 4)),
    "full svd": (lambda x: (lambda u, s, vh: u[:, 2:] @ tn.conj(u[:, 2:]).mT + 0 * tn.sum(vh))(
        *tn.linalg.svd(x, full_matrices=True)), (4, 2)),
    "full wide svd": (lambda x: (lambda u, s, vh: tn.conj(vh[2:]).mT @ vh[2:] + 0 * tn.sum(u))(
        *tn.linalg.svd(x, full_matrices=True)), (2, 4)),
    "qr": (lambda x: (lambda q, r: tn.abs(r) + tn.abs(q[:3, :]))(*tn.linalg.qr(x)), (4, 3)),
    "wide qr": (lambda x: (lambda q, r: tn.abs(r[:, :3]) + tn.abs(q))(*tn.linalg.qr(x)), (3, 5)),
    "complete qr": (lambda x: (lambda q, r: q[:, 2:] @ tn.conj(q[:, 2:]).mT)(
        *tn.linalg.qr(x, mode="complete")), (4, 2)),
    "cholesky": (lambda x: tn.linalg.cholesky(x @ tn.conj(x).mT + tn.eye(3, dtype=x.dtype)), (3, 3)),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize("name", FACTORISATIONS)
def test_factorisations_agree_with_differences(name: str, kind: str) -> None:
    function, shape = FACTORISATIONS[name]
    rng = np.random.default_rng(8)
    x = like(np.zeros(shape, "c16" if kind == "complex" else "f8"), rng)
    weight = tn.asarray(rng.standard_normal((5, 5)))

    def total(x: Tensor) -> Tensor:
        y = function(x)
        return tn.sum(tn.real(y * weight[: y.shape[-2], : y.shape[-1]]))

    gradient = values(tn.trace(total, tn.asarray(x)).grad().run(tn.asarray(x)))
    for _ in range(3):
        along = like(x, rng)
        above, below = (float(total(tn.asarray(x + s * STEP * along))) for s in (1, -1))
        np.testing.assert_allclose(np.sum(gradient * along).real, (above - below) / (2 * STEP), rtol=1e-5, atol=1e-6)


# -- labels and complex numbers ---------------------------------------------------------------------------------------


def test_gradients_have_opposite_variance() -> None:
    V = tn.Space("V", 3, metric=[[2, 1, 0], [1, 3, 1], [0, 1, 4]])
    i, j = tn.indices("i j", V)
    x, A = tn.tensor(random.random(3), [i]), tn.tensor(random.random((3, 3)), [i, -j])
    program = tn.trace(lambda x, A: tn.inner(A @ x, x), x, A)
    for found, expected in zip(program.grad((0, 1)).run(x, A), tn.grad(lambda x, A: tn.inner(A @ x, x), (0, 1))(x, A),
                               strict=True):  # fmt: skip
        assert found.axes is expected.axes
        np.testing.assert_allclose(values(found), values(expected), rtol=1e-11)
    _, pulled = tn.trace(lambda x, A: A @ x, x, A).vjp().run(x, A, tn.tensor(random.random(3), [-i]))
    assert str(pulled.axes) == "_i"
    _, pushed = tn.trace(lambda x, A: A @ x, x, A).jvp().run(x, A, x)
    assert str(pushed.axes) == "^i"


def test_the_gradient_of_complex_tensors_is_that_of_tn_grad() -> None:
    z = tn.asarray(random.standard_normal(3) + 1j * random.standard_normal(3))
    for function in (
        lambda z: tn.sum(tn.exp(z) * z),
        lambda z: tn.sum(tn.abs(z) ** 3),
        lambda z: tn.sum(tn.real(z * tn.conj(z) ** 2)),
        lambda z: tn.sum(tn.imag(tn.sin(z)) * tn.real(tn.sign(z))),
    ):
        found = tn.trace(function, z).grad().run(z)
        np.testing.assert_allclose(values(found), values(tn.grad(function)(z)), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("function", "x", "expected"),
    [
        (lambda x: tn.sum(tn.abs(x)), [0.0, -2.0], [0.0, -1.0]),
        (lambda x: tn.sum(tn.relu(x)), [0.0, 2.0], [0.0, 1.0]),
        (lambda x: tn.max(x), [1.0, 3.0, 3.0], [0.0, 0.5, 0.5]),
        (lambda x: tn.sum(tn.maximum(x, 1.0)), [1.0, 3.0, 0.0], [0.5, 1.0, 0.0]),
        (lambda x: tn.sum(tn.sqrt(x)), [0.0], [np.inf]),
        (lambda x: tn.linalg.vector_norm(x), [0.0, 0.0], [0.0, 0.0]),
        (lambda x: tn.sum(tn.hypot(x, x)), [0.0], [0.0]),
        (lambda x: tn.sum(tn.round(x) * x), [1.2], [1.0]),
        (lambda x: tn.sum(tn.sort(x) * tn.asarray([1.0, 2.0, 3.0])), [1.0, 1.0, 0.0], [2.0, 3.0, 1.0]),
        (lambda x: tn.prod(x), [0.0, 2.0, 3.0], [6.0, 0.0, 0.0]),
        (lambda x: tn.cumulative_prod(x)[2], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]),
    ],
)  # fmt: skip
def test_points_without_a_derivative(function: Any, x: list[float], expected: list[float]) -> None:
    found = tn.trace(function, tn.asarray(x)).grad().run(tn.asarray(x))
    np.testing.assert_array_equal(values(found), expected)


def test_a_gradient_inside_of_a_traced_function_is_recorded(backend: str) -> None:
    def energy(x: Tensor) -> Tensor:
        return tn.sum(tn.sin(x) ** 2)

    x = random.standard_normal(3)
    program = tn.trace(lambda x: x - 0.5 * tn.grad(energy)(x), tn.asarray(x))
    found = program.run(tn.asarray(native(backend, x)))
    np.testing.assert_allclose(values(found), x - 0.5 * np.sin(2 * x), rtol=1e-12)
    twice = tn.trace(lambda x: tn.sum(tn.grad(energy)(x)), tn.asarray(x)).grad()
    np.testing.assert_allclose(values(twice.run(tn.asarray(x))), 2 * np.cos(2 * x), rtol=1e-12)
    forward = tn.trace(lambda x: tn.jvp(lambda x: tn.sin(x) * x, (x,), (2 * x,))[1], tn.asarray(x))
    np.testing.assert_allclose(values(forward.run(tn.asarray(x))), 2 * x * (np.sin(x) + x * np.cos(x)), rtol=1e-12)
    pulled = tn.trace(lambda x: tn.vjp(lambda x: tn.sin(x) * x, x)[1](x)[0], tn.asarray(x))
    np.testing.assert_allclose(values(pulled.run(tn.asarray(x))), x * (np.sin(x) + x * np.cos(x)), rtol=1e-12)
    curved = tn.trace(tn.hessian(energy), tn.asarray(x))
    np.testing.assert_allclose(values(curved.run(tn.asarray(x))), np.diag(2 * np.cos(2 * x)), rtol=1e-12, atol=1e-14)


def test_clipping_at_a_bound_has_the_derivative_of_what_is_inside() -> None:
    def clipped(x: Tensor) -> Tensor:
        return tn.sum(Tensor.from_parts(symbolic.xp.clip(x._array, 0.0, 1.0), x.axes, symbolic))

    x = tn.asarray([0.0, 1.0, 2.0, -1.0, 0.5])
    program = tn.trace(clipped, x)
    assert float(program.run(x)) == 2.5
    np.testing.assert_array_equal(values(program.grad().run(x)), [1.0, 1.0, 0.0, 0.0, 1.0])


# -- what is refused --------------------------------------------------------------------------------------------------


def test_a_clipped_activation_has_the_derivative_zero_at_its_ends_as_in_both_frameworks() -> None:
    torch, tf = pytest.importorskip("torch"), pytest.importorskip("tensorflow")
    x = np.array([-1.0, -0.0, 0.0, 1.0, 6.0, 7.0, 5.5, -3.0])

    given = tf.Variable(x)
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(tf.nn.relu6(given))
    cases = [(tn.port(tf.function(tf.nn.relu6), (tf.constant(x),)), np.asarray(tape.gradient(y, given)))]
    for module in (torch.nn.ReLU6(), torch.nn.Hardtanh(), torch.nn.Hardtanh(-3.0, 5.5)):
        leaf = torch.from_numpy(x).requires_grad_()
        (expected,) = torch.autograd.grad(module(leaf).sum(), leaf)
        cases.append((tn.port(module, (torch.from_numpy(x),)), expected.numpy()))
    for program, expected in cases:
        assert program.operations() == {"hardtanh": 1}
        gradient = program.vjp()
        for backend in ("numpy", "torch", "tensorflow"):
            given = [get(backend).asarray(array, None, None, True) for array in (x, np.ones_like(x))]
            found = gradient.compile(backend).native(*given)
            np.testing.assert_array_equal(get(backend).to_numpy(found[1]), expected)


def test_what_has_no_gradient_is_refused() -> None:
    x, n = tn.asarray([1.0, 2.0]), tn.asarray([1, 2])
    with pytest.raises(ShapeError, match="a gradient is that of one number"):
        tn.trace(lambda x: 2 * x, x).grad()
    with pytest.raises(DTypeError, match="has no derivatives"):
        tn.trace(lambda n, x: tn.sum(x), n, x).grad()
    with pytest.raises(ModeError, match="there is no argument 2"):
        tn.trace(lambda x: tn.sum(x), x).grad(2)
    with pytest.raises(ModeError, match="no parameter"):
        tn.trace(lambda x: tn.sum(x), x).grad(parameters=("w",))
    z = tn.asarray([1j])
    with pytest.raises(DTypeError, match="not holomorphic"):
        tn.trace(lambda z: tn.sum(tn.conj(z)), z).grad()


def test_parameters_are_differentiated_by_name() -> None:
    x, w = random.standard_normal(3), random.standard_normal(3)
    traced = tn.trace(lambda x, w: tn.sum(tn.sin(x * w)), tn.asarray(x), tn.asarray(w))
    held = traced.inputs[1]
    program: Program = dataclasses.replace(
        traced, inputs=traced.inputs[:1], signature=("x",), parameters={"layer.w": held}, arrays={held: w},
        trainable=frozenset(("layer.w",)),
        input_tree=dataclasses.replace(traced.input_tree, children=traced.input_tree.children[:1]),
    )  # fmt: skip
    by_x, by_w = program.grad(0, parameters=True).run(tn.asarray(x))
    np.testing.assert_allclose(values(by_x), np.cos(x * w) * w, rtol=1e-12)
    np.testing.assert_allclose(values(by_w["layer.w"]), np.cos(x * w) * x, rtol=1e-12)


def test_nothing_is_differentiated_beyond_a_stop() -> None:
    x = tn.asarray([2.0])
    program = tn.trace(lambda x: tn.sum(x * x.detach()), x)
    assert program.operations()["stop_gradient"] == 1
    np.testing.assert_array_equal(values(program.grad().run(x)), [2.0])
