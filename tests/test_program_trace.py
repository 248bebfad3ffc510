"""Tracing: what a function does is recorded, labels included, and what Python would have to decide is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from across import native, values

import tensoria as tn
from tensoria.errors import DTypeError, ShapeError, TracingError
from tensoria.programs.program import Program
from tensoria.tensor import Tensor

V = tn.Space("V", 3, metric=[[2, 1, 0], [1, 3, 1], [0, 1, 4]])
T = tn.Space("T", "tokens", privileged=True)
i, j, k = tn.indices("i j k", V)
t, u = tn.indices("t u", T)
random = np.random.default_rng(0)


def plain(backend: str, *shape: int) -> Tensor:
    """A plain tensor of random numbers."""
    return tn.asarray(native(backend, random.standard_normal(shape)))


def same(found: Any, expected: Any) -> None:
    """Assert equal tensors, labels and data types included."""
    assert found.axes is expected.axes
    assert found.dtype is expected.dtype
    assert found.backend == expected.backend
    np.testing.assert_allclose(values(found), values(expected), rtol=1e-12, atol=1e-13)


def labelled_functions() -> dict[str, Callable[[Tensor, Tensor], Any]]:
    """Functions of a map ^i _j and a vector ^j."""
    return {
        "product": lambda A, v: A * v,
        "composition": lambda A, v: A @ A @ v,
        "trace": lambda A, v: A[i, -i],
        "raised": lambda A, v: A.lowered("i") * v.renamed(j="i"),
        "inner": lambda A, v: tn.inner(v, v),
        "sum": lambda A, v: 2 * A + A / 3 - A,
        "einsum": lambda A, v: tn.einsum("^i _j, ^j -> ^i", A, v),
        "network": lambda A, v: tn.einsum("^i _j, ^j _k, ^k -> ^i", A, A["^j _k"], v["^k"]),
        "fused": lambda A, v: A.fused("i j", into="p"),
        "hodge": lambda A, v: tn.hodge(v.lowered()),
        "symmetric": lambda A, v: A.lowered("i").symmetrised("i j"),
        "evaluated": lambda A, v: A(None, v),
        "permuted": lambda A, v: A.permuted("j i"),
        "basis": lambda A, v: v.to_basis(V.basis("b", [[1, 2, 0], [0, 1, 1], [1, 0, 1]])),
    }


@pytest.mark.parametrize("name", labelled_functions())
def test_what_a_function_of_labelled_tensors_does_is_recorded_with_its_labels(backend: str, name: str) -> None:
    function = labelled_functions()[name]
    A = tn.tensor(native(backend, random.standard_normal((3, 3))), [i, -j])
    v = tn.tensor(native(backend, random.standard_normal(3)), [j])
    program = tn.trace(function, A, v)
    same(program.run(A, v), function(A, v))


def test_the_labels_of_intermediate_values_survive() -> None:
    A, x = tn.tensor(random.random((4, 4)), [t, -u]), tn.tensor(random.random((2, 4)), ["b", u])
    program = tn.trace(lambda A, x: tn.relu(A * x), A, x)
    product = program.instructions[0].results[0]
    assert [str(index) for index in product.axes.indices] == ["b", "^t"]
    assert str(product.type) == "float64[2, tokens]"


def test_axes_over_a_symbolic_space_stay_open() -> None:
    A = tn.tensor(random.random((4, 4)), [t, -u])
    program = tn.trace(lambda A: tn.softmax(A, "u") * A.shape[0], A)
    for size in (1, 3, 7):
        B = tn.tensor(random.random((size, size)), [t, -u])
        same(program.run(B), tn.softmax(B, "u") * size)


def test_open_sizes_take_other_sizes_and_fixed_ones_do_not(backend: str) -> None:
    x, w = plain(backend, 5, 3), plain(backend, 3, 2)

    def function(x: Tensor, w: Tensor) -> Tensor:
        y = tn.reshape(x @ w, (-1,))
        return tn.concat([y[1:], y[:-1]]) * x.shape[0]

    program = tn.trace(function, x, w, dynamic={"x": ("batch", None)})
    for size in (2, 3, 9):
        other = plain(backend, size, 3)
        same(program.run(other, w), function(other, w))
    with pytest.raises(ShapeError, match="axis 1 of x is 4, declared as 3"):
        program.run(plain(backend, 5, 4), w)
    with pytest.raises(DTypeError, match="x is float32, declared as"):
        program.run(x.to(dtype="float32"), w)


def test_axes_of_one_name_have_one_size() -> None:
    x = plain("numpy", 4, 4)
    program = tn.trace(lambda x, y: x + y, x, x, dynamic={"x": ("n", None), "y": ("n", None)})
    with pytest.raises(ShapeError, match="axis 0 of y is 3, declared as n = 2"):
        program.run(plain("numpy", 2, 4), plain("numpy", 3, 4))


class Pair(NamedTuple):
    """A named tuple."""

    first: Tensor
    second: Tensor


def test_arguments_and_results_are_nested_containers(backend: str) -> None:
    a, b = plain(backend, 2), plain(backend, 2)

    def function(tree: dict[str, Any], *more: Tensor, scale: float = 2.0, flag: bool = True) -> Any:
        return {"sum": [tree["x"] + tree["y"][0], more[0] * scale], "pair": Pair(tree["x"], more[0]), "flag": flag}

    program = tn.trace(function, {"x": a, "y": (b, 1)}, b, scale=3.0)
    found = program.run({"x": b, "y": (a, 1)}, a, scale=3.0, flag=True)
    expected = function({"x": b, "y": (a, 1)}, a, scale=3.0)
    same(found["sum"][0], expected["sum"][0])
    same(found["sum"][1], expected["sum"][1])
    assert found["pair"]._fields == ("first", "second")
    assert found["flag"] is True
    with pytest.raises(TracingError, match="was traced for the arguments"):
        program.run({"x": b, "y": (a, 2)}, a, scale=3.0, flag=True)
    with pytest.raises(TracingError, match="missing a required argument"):
        program.run({"x": b, "y": (a, 1)})
    assert program.run({"x": b, "y": (a, 1)}, a)["flag"] is True


def test_tensors_of_any_backend_that_a_function_closes_over_become_constants(backend: str) -> None:
    closed, x = plain("numpy", 3), plain(backend, 3)
    labelled = tn.tensor(closed.array, [i])
    program = tn.trace(lambda x: tn.maximum(closed * x, 0.5) + closed, x)
    expected = np.maximum(values(closed) * values(x), 0.5) + values(closed)
    np.testing.assert_allclose(values(program.run(x)), expected)
    assert len(program.arrays) == 1
    covector = tn.tensor(x.array, [-i])
    np.testing.assert_allclose(
        values(tn.trace(lambda c: c * labelled, covector).run(covector)), values(x) @ values(closed)
    )


def test_tensors_made_inside_are_part_of_the_program(backend: str) -> None:
    x = plain(backend, 3, 2)

    def function(x: Tensor) -> Tensor:
        eye = tn.eye(x.shape[0], dtype="float64")
        ramp = tn.astype(tn.arange(x.shape[1]), "float64")
        return eye @ x + tn.asarray([[1.0, 2.0]]) * ramp + tn.zeros((1, 2), dtype="float64")

    program = tn.trace(function, x, dynamic={"x": ("rows", None)})
    for rows in (3, 5):
        y = plain(backend, rows, 2)
        expected = values(y) + np.array([[1.0, 2.0]]) * np.arange(2)
        np.testing.assert_allclose(values(program.run(y)), expected)


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (lambda x: x if x[0, 0] > 0 else -x, "a number is asked"),
        (lambda x: x * float(x[0, 0]), "a number is asked"),
        (lambda x: np.asarray(x), "a number is asked"),
        (lambda x: x[x > 0], "the shape of a boolean subscript's result depends on numbers"),
        (lambda x: tn.nonzero(x), "the shape of nonzero's result depends on numbers"),
        (lambda x: tn.unique_values(x), "the shape of unique_values's result depends on numbers"),
    ],
)
def test_what_depends_on_numbers_is_refused_with_the_line_and_a_remedy(
    function: Callable[[Tensor], Any], what: str
) -> None:
    with pytest.raises(TracingError) as caught:
        tn.trace(function, plain("numpy", 2, 2))
    assert what in str(caught.value)
    assert f"{__file__}:{function.__code__.co_firstlineno}" in str(caught.value)
    assert "Legal: tn.where" in str(caught.value)


def test_a_choice_by_size_is_refused_with_the_sizes_name() -> None:
    with pytest.raises(ShapeError, match="batch > 3 depends on the size of batch"):
        tn.trace(lambda x: x if x.shape[0] > 3 else -x, plain("numpy", 2, 2), dynamic={"x": ("batch", None)})


def test_a_tensor_that_left_its_trace_is_refused() -> None:
    left: list[Tensor] = []
    x = plain("numpy", 2)
    tn.trace(lambda x: left.append(x) or x, x)
    with pytest.raises(TracingError, match="another trace"):
        tn.trace(lambda y: y + left[0], x)


def test_every_instruction_knows_its_line() -> None:
    def function(x: Tensor) -> Tensor:
        return tn.exp(x)

    program = tn.trace(function, plain("numpy", 2))
    assert program.instructions[0].source.file == __file__
    assert program.instructions[0].source.line == function.__code__.co_firstlineno + 1


def test_instructions_never_promote() -> None:
    x, y = tn.asarray(np.ones(2, "float32")), tn.asarray(np.ones(2))
    program = tn.trace(lambda x, y: x + y, x, y)
    assert [made.operation for made in program.instructions] == ["astype", "add"]
    assert program.run(x, y).dtype is tn.float64


def test_assignment_is_a_new_value(backend: str) -> None:
    x = plain(backend, 3, 2)

    def function(x: Tensor) -> Tensor:
        y = x + 0
        y[0] = 7.0
        y[:, 1] = x[:, 0]
        y[y > 5] = 5.0
        return y

    before = values(x).copy()
    found = tn.trace(function, x).run(x)
    same(found, function(x))
    np.testing.assert_array_equal(values(x), before)


def test_einops_patterns_are_recorded(backend: str) -> None:
    x = tn.tensor(native(backend, random.standard_normal((2, 6))), "b h")
    function = lambda x: x.rearrange("b (h d) -> h b d", d=3)  # noqa: E731
    same(tn.trace(function, x).run(x), function(x))


def test_tensors_in_an_object_are_no_results() -> None:
    class Held:
        def __init__(self, x: object) -> None:
            self.x = x

    x = tn.asarray([1.0, 2.0])
    with pytest.raises(TracingError, match=r"returns a Held, whose tensors would not be results.*\n.*a dictionary"):
        tn.trace(lambda x: [Held(x * 2)], x)
    assert tn.trace(lambda x: {"x": x, "kind": Held(3), "of": float}, x).run(x)["of"] is float


@dataclass(frozen=True)
class State:
    """Tensors by name, what is no tensor, and what follows from both."""

    position: Tensor
    velocity: Tensor
    mass: float = 2.0
    energy: Any = field(init=False, default=None)

    def __post_init__(self) -> None:
        object.__setattr__(self, "energy", tn.sum(self.velocity**2) * self.mass / 2)

    def moved(self, step: Tensor) -> State:
        return State(self.position + self.velocity * step, self.velocity, self.mass)


def test_a_dataclass_that_holds_tensors_is_an_argument_and_a_result(tmp_path: Path) -> None:
    state, step = State(tn.asarray([1.0, 2.0]), tn.asarray([3.0, 4.0]), 3.0), tn.asarray(0.5)
    p = tn.trace(lambda states, step: {"next": [s.moved(step) for s in states]}, [state, state], step)
    assert [x.name for x in p.inputs][:3] == ["states_0_position", "states_0_velocity", "states_0_energy"]
    assert not p.arrays
    other = State(tn.asarray([10.0, 20.0]), tn.asarray([0.0, 2.0]), 3.0)
    for found in (p.run([other, state], step)["next"], tn.load(_saved(p, tmp_path)).run([other, state], step)["next"]):
        assert isinstance(found[0], State)
        np.testing.assert_array_equal(found[0].position.array, [10.0, 21.0])
        assert found[0].mass == 3.0
        assert float(found[0].energy) == 6.0
        np.testing.assert_array_equal(found[1].position.array, [2.5, 4.0])
    with pytest.raises(TracingError):
        p.run([State(other.position, other.velocity, 4.0), state], step)  # another number is another program


def _saved(p: Program, folder: Path) -> Path:
    p.save(folder / "program.safetensors")
    return folder / "program.safetensors"


def test_a_named_tuple_is_of_its_own_type_while_the_function_runs() -> None:
    class Pair(NamedTuple):
        a: Tensor
        b: Tensor

        def swapped(self) -> Pair:
            return Pair(self.b, self.a)

    p = tn.trace(lambda pair: pair.swapped(), Pair(tn.asarray(1.0), tn.asarray(2.0)))
    found = p.run(Pair(tn.asarray(3.0), tn.asarray(4.0)))
    assert isinstance(found, Pair)
    assert (float(found.a), float(found.b)) == (4.0, 3.0)
