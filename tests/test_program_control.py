"""Choices and loops: the same at once, traced, in files and in generated code, on every backend; their derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from across import native, values

import tensoria as tn
from tensoria.discovery import get
from tensoria.errors import BackendError, DTypeError, ShapeError, TracingError
from tensoria.programs.passes import remove_dead_code
from tensoria.programs.program import Program, load
from tensoria.tensor import Tensor

random = np.random.default_rng(0)
V = tn.Space("V", 3, metric=[[2, 1, 0], [1, 3, 1], [0, 1, 4]])
i, j = tn.indices("i j", V)
WEIGHT = np.linspace(0.1, 0.9, 9).reshape(3, 3)


def chosen(x: Tensor, a: Tensor) -> Any:
    return tn.cond(tn.sum(x) > 0, lambda x: tn.sin(x) * a, lambda x: x**2, x)


def halved(x: Tensor, a: Tensor) -> Any:
    def body(state: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"x": state["x"] / 2 + a * 1e-3, "steps": state["steps"] + 1}

    return tn.while_loop(
        lambda state: tn.max(tn.abs(state["x"])) > 0.5, body, {"x": x, "steps": tn.zeros((), dtype=tn.int64)}
    )


def recurrent(x: Tensor, a: Tensor) -> Any:
    weight = tn.asarray(native(x.backend, WEIGHT)) if x.backend != "symbolic" else tn.asarray(WEIGHT)

    def body(h: Tensor, x: Tensor) -> tuple[Tensor, Any]:
        h = tn.tanh(weight @ h + x * a)
        return h, {"sum": tn.sum(h), "all": h * x}

    return tn.scan(body, tn.zeros_like(x[0]), x)


def backwards(x: Tensor, a: Tensor) -> Any:
    return tn.scan(lambda s, x: (s * tn.cos(x) + a, s), tn.zeros_like(x[0]), x, reverse=True)


def repeated(x: Tensor, a: Tensor) -> Any:
    return tn.scan(lambda s, _: (tn.sin(s) + a * x, ()), x, None, length=4)[0]


def nested(x: Tensor, a: Tensor) -> Any:
    def body(s: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        s = tn.cond(tn.sum(s) > 0, lambda s: tn.scan(lambda t, y: (t * a + y * s, t), s, x)[0], lambda s: s + 1, s)
        return s, s * 2

    return tn.scan(body, tn.sum(x, axis=0) * 0, tn.stack([x, 2 * x], axis=1))


FUNCTIONS: dict[str, Callable[[Tensor, Tensor], Any]] = {
    f.__name__: f for f in (chosen, halved, recurrent, backwards, repeated, nested)
}
each = pytest.mark.parametrize("name", FUNCTIONS)
DIFFERENTIABLE = [name for name in FUNCTIONS if name != "halved"]


def leaves(result: Any) -> list[np.ndarray[Any, Any]]:
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, (tuple, list)):
        return [array for item in result for array in leaves(item)]
    return [values(result)]


def same(found: Any, expected: Any) -> None:
    for a, b in zip(leaves(found), leaves(expected), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


def given(backend: str, sign: float = 1.0) -> tuple[Tensor, Tensor]:
    x = sign * np.abs(np.random.default_rng(5).standard_normal((4, 3)))
    return tn.asarray(native(backend, x)), tn.asarray(native(backend, np.asarray(0.7)))


def traced(name: str, *, open_: bool = False) -> Program:
    x, a = given("numpy")
    return tn.trace(FUNCTIONS[name], x, a, dynamic={"x": ("n", None)} if open_ else None)


# -- running ----------------------------------------------------------------------------------------------------------


@each
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_program_does_what_the_function_does(backend: str, name: str, sign: float) -> None:
    with tn.use(backend):
        eager = FUNCTIONS[name](*given(backend, sign))
    same(eager, FUNCTIONS[name](*given("numpy", sign)))
    same(traced(name).run(*given(backend, sign)), eager)


@each
def test_generated_code_does_what_the_function_does(backend: str, name: str) -> None:
    try:
        compiled = traced(name).compile(backend)
    except BackendError:
        pytest.skip(f"control flow is not written for {backend}")
    assert "tensoria" not in compiled.text.replace("by tensoria", "")
    for sign in (1.0, -1.0):
        same(compiled(*given(backend, sign)), FUNCTIONS[name](*given("numpy", sign)))


@each
def test_a_file_holds_programs_inside_of_instructions(name: str, tmp_path: Any) -> None:
    program = traced(name, open_=name != "nested")
    program.save(tmp_path / "p")
    again = load(tmp_path / "p")
    assert str(again) == str(program)
    for sign in (1.0, -1.0):
        same(again.run(*given("numpy", sign)), program.run(*given("numpy", sign)))


@pytest.mark.parametrize("name", ["chosen", "recurrent", "backwards", "repeated"])
def test_open_sizes_stay_open_inside(name: str) -> None:
    program = traced(name, open_=True)
    for rows in (1, 2, 6):
        x, a = tn.asarray(random.standard_normal((rows, 3))), tn.asarray(0.3)
        same(program.run(x, a), FUNCTIONS[name](x, a))
        same(program.compile("numpy")(x, a), FUNCTIONS[name](x, a))


def test_programs_inside_of_instructions_are_printed_indented() -> None:
    x = tn.asarray([1.0])
    program = tn.trace(lambda x: tn.cond(tn.any(x > 0), tn.sin, tn.cos, x), x)
    assert str(program).splitlines()[3:] == [
        "  v7: float64[1] = cond(v2, x)",
        "    then(v3: float64[1])",
        "      v4: float64[1] = sin(v3)",
        "      return v4",
        "    otherwise(v5: float64[1])",
        "      v6: float64[1] = cos(v5)",
        "      return v6",
        "  return v7",
    ]


def test_labels_pass_through(backend: str) -> None:
    A = tn.tensor(native(backend, random.random((3, 3)) / 3), [i, -j])
    v = tn.tensor(native(backend, random.random(3)), [i])

    def power(A: Tensor, v: Tensor) -> Tensor:
        return tn.scan(lambda v, _: (A @ v, tn.inner(v, v)), v, length=5)[0]

    for function in (
        power,
        lambda A, v: tn.while_loop(lambda v: tn.inner(v, v) > 0.01, lambda v: A @ v, v),
        lambda A, v: tn.cond(tn.inner(v, v) > 1, lambda v: A @ v, lambda v: 2 * v, v),
    ):
        program = tn.trace(function, A, v)
        found, expected = program.run(A, v), function(A, v)
        assert found.axes is expected.axes is v.axes
        np.testing.assert_allclose(values(found), values(expected), rtol=1e-12)
    slope = tn.trace(lambda A, v: tn.inner(power(A, v), power(A, v)), A, v).grad(1).run(A, v)
    assert str(slope.axes) == "_i"


def test_a_condition_that_python_knows_is_decided_while_tracing() -> None:
    x = tn.asarray([1.0])
    program = tn.trace(lambda x, flag: tn.cond(flag, tn.sin, tn.cos, x), x, True)
    assert program.operations() == {"sin": 1}


# -- derivatives ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DIFFERENTIABLE)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_derivatives_agree_with_differences_and_pytorch(name: str, sign: float) -> None:
    torch = pytest.importorskip("torch")
    program, rng = traced(name), np.random.default_rng(3)
    arrays = [values(t) for t in given("numpy", sign)]
    weights = [rng.standard_normal(np.shape(y)) for y in program.evaluate(get("numpy"), arrays)]

    def total(*arrays: Any) -> float:
        return float(sum(np.sum(w * y) for w, y in zip(weights, program.evaluate(get("numpy"), arrays), strict=True)))

    pulled = program.vjp((0, 1))
    found = pulled.evaluate(get("numpy"), [*arrays, *weights])[len(weights) :]
    for n in (0, 1):
        along, step = rng.standard_normal(arrays[n].shape), 1e-6
        ends = [total(*arrays[:n], arrays[n] + s * step * along, *arrays[n + 1 :]) for s in (1, -1)]
        np.testing.assert_allclose(np.sum(found[n] * along), (ends[0] - ends[1]) / (2 * step), rtol=1e-6, atol=1e-7)
    inputs = [torch.tensor(x, requires_grad=True) for x in arrays]
    theirs = torch.autograd.grad(
        sum(torch.sum(torch.tensor(w) * y) for w, y in zip(weights, program.compile("torch").native(*inputs),
                                                           strict=True)), inputs, allow_unused=True,
    )  # fmt: skip
    for ours, other in zip(found, theirs, strict=True):
        np.testing.assert_allclose(
            ours, np.zeros_like(ours) if other is None else other.numpy(), rtol=1e-10, atol=1e-12
        )
    again = pulled.compile("torch").native(*(torch.tensor(x) for x in [*arrays, *weights]))[len(weights) :]
    for ours, other in zip(found, again, strict=True):
        np.testing.assert_allclose(ours, other.numpy(), rtol=1e-10, atol=1e-12)


def test_second_derivatives_of_a_scan() -> None:
    x = np.random.default_rng(3).standard_normal((3, 2))
    weight = tn.asarray(np.ones((2, 2)) / 3)

    def energy(x: Tensor) -> Tensor:
        h, hs = tn.scan(lambda h, x: (tn.tanh(weight @ h + x), h), tn.zeros_like(x[0]), x)
        return tn.sum(h**2) + tn.sum(hs**3)

    gradient = tn.trace(energy, tn.asarray(x)).grad()
    along, step = np.random.default_rng(4).standard_normal((3, 2)), 1e-6
    ends = [values(gradient.run(tn.asarray(x + s * step * along))) for s in (1, -1)]
    _, second = gradient.vjp().run(tn.asarray(x), tn.asarray(along))
    np.testing.assert_allclose(values(second), (ends[0] - ends[1]) / (2 * step), rtol=1e-6, atol=1e-8)


def test_what_nobody_uses_is_not_computed_inside_of_loops() -> None:
    def several(x: Tensor) -> Tensor:
        def body(s: tuple[Tensor, Tensor, Tensor], x: Tensor) -> tuple[Any, Tensor]:
            return (s[0] + s[1], s[1] * x, tn.sin(s[2])), tn.cos(s[2])

        return tn.scan(body, (x[0], x[0], x[0]), x)[0][0]

    x = tn.asarray(np.random.default_rng(6).standard_normal(4))
    program = tn.trace(several, x)
    smaller = remove_dead_code(program)
    (loop,) = (made for made in smaller.instructions if made.operation == "scan")
    assert len(loop.results) == 2
    assert {made.operation for made in loop.attributes["body"].instructions} == {"add", "multiply"}
    same(smaller.run(x), program.run(x))
    waiting = tn.trace(
        lambda x: tn.while_loop(lambda s: s[0] < 9, lambda s: (s[0] + x, s[1] * 2, s[2] + s[1]), (x, x, x))[1],
        tn.asarray(2.0),
    )
    smaller = remove_dead_code(waiting)
    assert len(smaller.instructions[-1].results) == 2
    same(smaller.run(tn.asarray(2.0)), waiting.run(tn.asarray(2.0)))


def test_descent_inside_of_a_loop_is_recorded() -> None:
    target = np.array([1.0, -2.0])

    def fit(x: Tensor) -> Tensor:
        slope = tn.grad(lambda y: tn.sum((y - tn.asarray(target)) ** 2))
        return tn.scan(lambda y, _: (y - 0.25 * slope(y), ()), x, length=30)[0]

    found = tn.trace(fit, tn.asarray([0.0, 0.0])).run(tn.asarray([5.0, 5.0]))
    np.testing.assert_allclose(values(found), target, atol=1e-6)


def test_there_is_no_way_back_through_a_while_loop() -> None:
    program = tn.trace(lambda x: tn.while_loop(lambda y: y < 10, lambda y: y * x, x), tn.asarray(2.0))
    with pytest.raises(TracingError, match=r"tn\.scan"):
        program.grad()


# -- what is refused --------------------------------------------------------------------------------------------------


STATES: dict[str, tuple[Callable[[Tensor], Any], type[Exception]]] = {
    "shape": (lambda x: tn.scan(lambda s, _: (tn.concat([s, s]), ()), x, length=2), ShapeError),
    "data type": (lambda x: tn.scan(lambda s, _: (s > 0, ()), x, length=2), DTypeError),
    "structure": (lambda x: tn.scan(lambda s, _: ((s, s), ()), x, length=2), TracingError),
    "while": (lambda x: tn.while_loop(lambda s: tn.sum(s) < 9, lambda s: tn.sum(s), x), ShapeError),
    "no length": (lambda x: tn.scan(lambda s, _: (s, ()), x), ShapeError),
    "lengths": (lambda x: tn.scan(lambda s, _: (s, ()), x, (x, x[:1])), ShapeError),
    "no steps": (lambda x: tn.scan(lambda s, _: (s, ()), x, x[:0]), ShapeError),
}


@pytest.mark.parametrize("name", STATES)
def test_a_state_keeps_its_type_with_the_same_text_traced_or_not(name: str) -> None:
    function, error = STATES[name]
    x = tn.asarray([1.0, 2.0])
    with pytest.raises(error) as eager:
        function(x)
    with pytest.raises(error) as recorded:
        tn.trace(function, x)
    assert str(eager.value) == str(recorded.value)


def test_branches_return_the_same_types() -> None:
    x = tn.asarray([1.0, 2.0])
    for other, error in ((lambda x: x > 0, DTypeError), (lambda x: x[0], ShapeError), (lambda x: (x, x), TracingError)):
        with pytest.raises(error, match="the functions of cond return"):
            tn.trace(lambda x, other=other: tn.cond(tn.any(x > 0), tn.sin, other, x), x, other)
    with pytest.raises(DTypeError, match="not one truth value"):
        tn.trace(lambda x: tn.cond(x > 0, tn.sin, tn.cos, x), x)


def test_a_value_of_a_branch_does_not_leave_it() -> None:
    kept: list[Tensor] = []

    def leak(x: Tensor) -> Tensor:
        kept.append(tn.sin(x))
        return kept[0]

    with pytest.raises(TracingError, match="another trace"):
        tn.trace(lambda x: tn.cond(tn.any(x > 0), leak, tn.cos, x) + kept[0], tn.asarray([1.0]))


# -- while a framework traces -----------------------------------------------------------------------------------------


def arrays_of(result: Any) -> list[Any]:
    """The native arrays of a result, in order."""
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, (tuple, list)):
        return [array for item in result for array in arrays_of(item)]
    return [result.array]


@each
@pytest.mark.parametrize("rows", [None, 4])
def test_in_tensorflows_graphs_choices_and_loops_are_its_own(name: str, rows: int | None) -> None:
    tf = pytest.importorskip("tensorflow")
    specs = [tf.TensorSpec([rows, 3], tf.float64), tf.TensorSpec([], tf.float64)]

    @tf.function(autograph=False, input_signature=specs)
    def graph(x: Any, a: Any) -> Any:
        return arrays_of(FUNCTIONS[name](Tensor(x), Tensor(a)))

    for sign in (1.0, -1.0):
        found = graph(*(t.array for t in given("tensorflow", sign)))
        same([Tensor(x) for x in found], FUNCTIONS[name](*given("numpy", sign)))
    assert graph.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_in_tensorflows_graphs_they_are_differentiated(name: str) -> None:
    tf = pytest.importorskip("tensorflow")

    def total(x: Any, a: Any) -> Any:
        return tf.add_n([tf.reduce_sum(tf.sin(y)) for y in arrays_of(FUNCTIONS[name](Tensor(x), Tensor(a)))])

    @tf.function(autograph=False)
    def gradient(x: Any, a: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch((x, a))
            y = total(x, a)
        return tape.gradient(y, (x, a))

    x, a = (t.array for t in given("tensorflow", -1.0))
    with tf.GradientTape() as tape:
        tape.watch((x, a))
        y = total(x, a)
    zero = tf.UnconnectedGradients.ZERO
    for found, expected in zip(gradient(x, a), tape.gradient(y, (x, a), unconnected_gradients=zero), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


def test_in_tensorflows_graphs_a_state_that_changes_its_type_is_refused() -> None:
    tf = pytest.importorskip("tensorflow")
    x = tf.zeros((2, 3), tf.float64)

    def refused(function: Callable[[Tensor], Any]) -> None:
        tf.function(lambda x: arrays_of(function(Tensor(x))), autograph=False)(x)

    with pytest.raises(ShapeError, match="the body of while_loop makes a state"):
        refused(lambda x: tn.while_loop(lambda s: tn.sum(s) < 3, lambda s: s[:1], x))
    with pytest.raises(DTypeError, match="the functions of cond return"):
        refused(lambda x: tn.cond(tn.sum(x) > 0, lambda: x, lambda: tn.astype(x, tn.float32)))
    with pytest.raises(TracingError, match="returns a pair"):
        refused(lambda x: tn.scan(lambda s, y: s, x[0], x))


@pytest.mark.parametrize("name", ["chosen", "halved", "recurrent", "nested"])
def test_under_torchs_compiler_they_compute_the_same(name: str) -> None:
    torch = pytest.importorskip("torch")

    def function(x: Any, a: Any) -> Any:
        return arrays_of(FUNCTIONS[name](Tensor(x), Tensor(a)))

    compiled = torch.compile(function, backend="eager")
    for sign in (1.0, -1.0):
        found = compiled(*(t.array for t in given("torch", sign)))
        same([Tensor(x) for x in found], FUNCTIONS[name](*given("numpy", sign)))
