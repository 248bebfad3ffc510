"""Passes leave what a program computes as it is, and less to compute."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from across import installed, native, values
from hypothesis import given, settings
from hypothesis import strategies as st

import tensoria as tn
from tensoria.errors import TracingError
from tensoria.programs.passes import OPTIMISATIONS
from tensoria.programs.program import Program
from tensoria.tensor import Tensor

random = np.random.default_rng(0)
NUMBERS = {name: random.uniform(-1, 1, shape) for name, shape in {"x": (3, 3), "y": (3, 3), "v": (3,), "s": ()}.items()}
CONSTANT = random.uniform(-1, 1, (3, 3))

UNARY: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": tn.tanh,
    "negative": lambda a: -a,
    "transposed": lambda a: tn.permute_dims(a, tuple(reversed(range(a.ndim)))),
    "flat and back": lambda a: tn.reshape(tn.reshape(a, (-1,)), a.shape),
    "flat": lambda a: tn.reshape(a, (a.shape[0], -1)) if a.ndim else tn.reshape(a, (1,)),
    "longer": lambda a: tn.expand_dims(a, axis=0) if a.ndim < 3 else tn.sum(a, axis=0),
    "narrow and back": lambda a: tn.astype(tn.astype(a, tn.float32), tn.float64),
    "complex and back": lambda a: tn.real(tn.astype(a, tn.complex128)),
    "cast to itself": lambda a: tn.astype(tn.astype(a, tn.float64), tn.float64),
    "whole": lambda a: tn.astype(tn.astype(tn.round(a), tn.int64), tn.float64),
    "rectified": lambda a: tn.maximum(a, tn.zeros_like(a)),
    "masked": lambda a: tn.where(a > tn.full_like(a, 0.25), a, tn.full_like(a, -1.0)),
    "chosen": lambda a: a + tn.where(a > 0, 1.0, 0.0),
    "first": lambda a: a[:1] if a.ndim else a,
    "with a constant": lambda a: a * tn.sum(tn.asarray(CONSTANT, backend="numpy") @ tn.ones((3,), dtype=tn.float64)),
    "with a range": lambda a: a + tn.sum(tn.arange(4, dtype=tn.float64) * 2.0),
    "unused": lambda a: (tn.exp(a), a)[1],
}  # fmt: skip
BINARY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": lambda a, b: a + b,
    "multiply": lambda a, b: a * b,
    "maximum": tn.maximum,
    "matmul": lambda a, b: a @ b,
    "matmul of the transpose": lambda a, b: a @ tn.matrix_transpose(b),
    "same twice": lambda a, b: tn.exp(a) * b + tn.exp(a),
}
Step = tuple[str, int, int]
STEPS = st.lists(st.tuples(st.sampled_from([*UNARY, *BINARY]), st.integers(0, 9), st.integers(0, 9)), max_size=7)


def function(steps: list[Step]) -> Callable[..., list[Tensor]]:
    """A function that applies operations to its arguments and what they make; what does not fit is left out."""

    def run(x: Tensor, y: Tensor, v: Tensor, s: Tensor) -> list[Tensor]:
        made = [x, y, v, s]
        for name, i, j in steps:
            a, b = made[-1 - i % len(made)], made[-1 - j % len(made)]
            try:
                made.append(UNARY[name](a) if name in UNARY else BINARY[name](a, b))
            except tn.errors.TensoriaError:
                continue
        return made[-2:]

    return run


def traced(steps: list[Step]) -> Program:
    """The function as a program."""
    return tn.trace(function(steps), *(tn.asarray(array) for array in NUMBERS.values()))


def same(found: Any, expected: Any) -> None:
    """Assert equal results, types included."""
    for a, b in zip(found, expected, strict=True):
        assert a.dtype is b.dtype
        np.testing.assert_allclose(values(a), values(b), rtol=1e-9, atol=1e-9)


@given(STEPS, st.sampled_from(sorted(OPTIMISATIONS)))
@settings(deadline=None, max_examples=300)
def test_a_pass_keeps_the_results_and_makes_no_program_longer(steps: list[Step], name: str) -> None:
    program = traced(steps)
    expected = program.run(*NUMBERS.values())
    changed = program.optimised([name])
    same(changed.run(*NUMBERS.values()), expected)
    assert len(changed.optimised("dead code").instructions) <= len(program.instructions)
    again = changed.optimised([name])
    assert again.operations() == changed.operations()


@given(STEPS)
@settings(deadline=None, max_examples=15)
def test_all_passes_together_keep_what_every_framework_computes(steps: list[Step]) -> None:
    program = traced(steps)
    expected = program.run(*NUMBERS.values())
    for backend in installed():
        arrays = [native(backend, array) for array in NUMBERS.values()]
        for passes in (True, False):
            found = program.compile(backend, passes=passes).native(*arrays)
            same([tn.asarray(x, backend=backend) for x in found], expected)


# -- what each of them does -------------------------------------------------------------------------------------------


def counted(run: Callable[..., Any], *arrays: Any, passes: Any) -> dict[str, int]:
    """The operations that are left, without dead code."""
    return tn.trace(run, *map(tn.asarray, arrays)).optimised(passes).optimised("dead code").operations()


def test_what_constants_say_alone_is_computed_once() -> None:
    w = tn.asarray(CONSTANT)
    program = tn.trace(lambda x: x @ tn.tanh(w * tn.ones((3, 3), dtype=w.dtype)) + tn.sum(w), NUMBERS["x"])
    assert program.optimised("dead code").operations() == {"add": 1, "full": 1, "matmul": 1, "multiply": 1, "tanh": 1}
    folded = program.optimised(["constants", "dead code"])
    assert folded.operations() == {"add": 1, "matmul": 1}
    same([folded.run(NUMBERS["x"])], [program.run(NUMBERS["x"])])


def test_constants_that_grow_are_computed_where_the_program_runs() -> None:
    def outer(x: Tensor, size: int) -> Tensor:
        v = tn.arange(size, dtype=tn.float64) * 2.0
        return x + v[:, None] * v

    small, large = (counted(lambda s, n=n: outer(s, n), NUMBERS["s"], passes="constants") for n in (9, 99))
    assert small == {"add": 1}
    assert large == {"add": 1, "multiply": 1}


def test_parameters_are_no_constants() -> None:
    w = tn.asarray(CONSTANT)
    program = tn.trace(lambda x: x @ tn.exp(w * tn.ones((), dtype=w.dtype)), NUMBERS["x"])
    (value,) = program.arrays
    parameters = dataclasses.replace(program, parameters={"w": value}).optimised(["constants", "dead code"])
    assert program.optimised(["constants", "dead code"]).operations() == {"matmul": 1}
    assert parameters.operations() == program.optimised("dead code").operations()


def test_a_full_operand_becomes_a_number() -> None:
    assert counted(lambda x: tn.maximum(x, tn.zeros_like(x)), NUMBERS["x"], passes="literals") == {"maximum": 1}
    wider = counted(lambda v: v + tn.zeros((3, 3), dtype=tn.float64), NUMBERS["v"], passes="literals")
    assert wider == {"add": 1, "full": 1}  # the number alone would not have the shape


def test_movement_that_is_undone_goes() -> None:
    x = NUMBERS["x"]
    assert counted(lambda x: x.T.T + 1, x, passes="movement") == {"add": 1}
    assert counted(lambda x: tn.reshape(tn.reshape(x, (9,)), (1, 9)), x, passes="movement") == {"reshape": 1}
    assert counted(lambda x: tn.squeeze(tn.expand_dims(x, axis=1), axis=1) * 2, x, passes="movement") == {"multiply": 1}
    twice = counted(lambda x: tn.astype(tn.astype(x, tn.complex128), tn.complex64), x, passes="movement")
    assert twice == {"astype": 1}
    narrow = counted(lambda x: tn.astype(tn.astype(x, tn.float32), tn.float64), x, passes="movement")
    assert narrow == {"astype": 2}  # digits are lost on the way


def test_equal_instructions_run_once() -> None:
    assert counted(lambda x: tn.exp(x) + tn.exp(x) * 2, NUMBERS["x"], passes="subexpressions")["exp"] == 1


@pytest.mark.parametrize("labelled", [False, True])
def test_products_run_in_the_cheapest_order(labelled: bool) -> None:
    a, b, v = random.uniform(-1, 1, (50, 40)), random.uniform(-1, 1, (40, 30)), random.uniform(-1, 1, (30,))
    arguments: list[Any] = [a, b, v]
    if labelled:
        indices = [tn.Index(name, tn.Space(name, size)) for name, size in zip("abc", (50, 40, 30), strict=True)]
        arguments = [tn.tensor(a, [indices[0], -indices[1]]), tn.tensor(b, [indices[1], -indices[2]]),
                     tn.tensor(v, [indices[2]])]  # fmt: skip
    program = tn.trace((lambda a, b, v: a * b * v) if labelled else (lambda a, b, v: a @ b @ v), *arguments)
    ordered = program.optimised(["order", "dead code"])
    shapes = [value.type.shape for made in ordered.instructions for value in made.results]
    assert shapes == [(40,), (50,)]
    np.testing.assert_allclose(values(ordered.run(*arguments)), a @ b @ v)
    assert ordered.optimised(["order", "dead code"]).operations() == ordered.operations()
    best = tn.trace(lambda a, b, v: a @ (b @ v), a, b, v)
    assert best.optimised("order").operations() == {"matmul": 2}  # nothing to gain


def test_products_of_batches_and_broadcast_axes_keep_their_shapes() -> None:
    x, y, z = random.uniform(-1, 1, (7, 1, 2, 9)), random.uniform(-1, 1, (4, 9, 8)), random.uniform(-1, 1, (8, 1))
    program = tn.trace(lambda x, y, z: tn.permute_dims(x @ y, (1, 0, 2, 3)) @ z, x, y, z)
    for backend in installed():
        (found,) = program.compile(backend).native(*(native(backend, array) for array in (x, y, z)))
        np.testing.assert_allclose(values(found), (x @ y).transpose((1, 0, 2, 3)) @ z)


@pytest.mark.parametrize("passes", [*([name] for name in OPTIMISATIONS), True], ids=str)
def test_passes_look_into_choices_and_loops_and_share_nothing_with_what_is_around(passes: Any) -> None:
    def step(s: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        s = tn.maximum(s.mT.mT @ x @ tn.ones((3, 3), dtype=s.dtype), tn.zeros_like(s))
        return s / (1 + tn.max(s)), tn.exp(x) + tn.exp(x) + tn.arange(3, dtype=x.dtype) * 2.0

    def f(x: Tensor, y: Tensor) -> list[Tensor]:
        chosen = tn.cond(tn.sum(x) > 0, lambda x: tn.exp(x) @ x @ x + tn.ones((3, 3), dtype=x.dtype) * 2.0,
                         lambda x: x - tn.arange(3, dtype=x.dtype) * 2.0, x)  # fmt: skip
        s, ys = tn.scan(step, x, tn.stack([x, y]))
        return [chosen, s, ys, tn.exp(x) @ x @ x, y + tn.arange(3, dtype=x.dtype) * 2.0]

    x, y = NUMBERS["x"], NUMBERS["y"]
    program = tn.trace(f, x, y)
    for sign in (1, -1):
        expected = program.run(sign * x, y)
        same(program.optimised(passes).run(sign * x, y), expected)
        for backend in installed():
            found = program.compile(backend, passes=passes).native(native(backend, sign * x), native(backend, y))
            same([tn.asarray(a, backend=backend) for a in found], expected)


def test_a_pass_that_is_not_there_is_refused() -> None:
    with pytest.raises(TracingError, match="dead code"):
        traced([]).compile("numpy", passes=["inlining"])


def test_a_number_that_changes_nothing_is_left_out_and_one_that_changes_a_sign_is_not() -> None:
    x, n, b = tn.asarray([-0.0, 1.0]), tn.asarray([1, 2]), tn.asarray([True, False])

    def some(x: Tensor, n: Tensor, b: Tensor) -> list[Tensor]:
        return [x * 1.0, 1.0 * x, x / 1.0, n + 0, 0 + n, n - 0, n * 1, b & True, tn.logical_or(b, tn.asarray(False))]

    program = tn.trace(some, x, n, b)
    assert not program.optimised().instructions, str(program.optimised())
    kept = tn.trace(lambda x, n: [x + 0.0, 1.0 / x, 0 - n, n / 1, tn.ones(3, dtype=tn.float64)[:, None] * x], x, n)
    assert len(kept.optimised().instructions) >= 5
    for found, before in zip(kept.optimised().run(x, n), kept.run(x, n), strict=True):
        np.testing.assert_array_equal(found.array, before.array)
        np.testing.assert_array_equal(np.signbit(found.array), np.signbit(before.array))


def test_what_is_looked_up_at_all_places_in_order_is_there_already() -> None:
    x = tn.asarray(random.standard_normal((3, 4)))

    def looked_up(x: Tensor) -> Tensor:
        rows, columns = (tn.arange(size) for size in x.shape)
        return x[tn.reshape(rows, (-1, 1, 1, 1)), tn.reshape(columns, (1, 1, 1, -1))]

    program = tn.trace(looked_up, x, dynamic={"x": ("rows", "columns")})
    assert [made.operation for made in program.optimised().instructions] == ["reshape"]
    np.testing.assert_array_equal(program.optimised().run(x).array, looked_up(x).array)
    others: list[Callable[[Tensor], Tensor]] = [
        lambda x: x[tn.arange(3)[None, :], tn.arange(4)[:, None]],  # columns before rows
        lambda x: x[tn.arange(3), tn.arange(3)],  # the diagonal
        lambda x: x[tn.arange(2)[:, None], tn.arange(4)],  # not all rows
        lambda x: x[tn.arange(2, -1, -1)[:, None], tn.arange(4)],  # from the last one to the first
    ]
    for function in others:
        program = tn.trace(function, x)
        np.testing.assert_array_equal(program.optimised().run(x).array, function(x).array)
        assert "getitem" in [made.operation for made in program.optimised().instructions]
