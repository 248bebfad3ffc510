"""Every operation of programs: its types are what backends compute, and generated code computes the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from operations_page import PAGE, page
from program_operations import EXAMPLES, Example, program_of

from tensoria.discovery import get, home
from tensoria.programs.definitions import DEFINITIONS
from tensoria.programs.operations import OPERATIONS
from tensoria.programs.passes import apply_definitions

DEFINED = [example for example in EXAMPLES if example.operation in DEFINITIONS]
each = pytest.mark.parametrize("example", EXAMPLES, ids=[f"{n}-{x}" for n, x in enumerate(EXAMPLES)])
GAUGE: dict[str, Callable[..., np.ndarray[Any, Any]]] = {
    "linalg.eigh": lambda w, v: v * w[..., None, :] @ v.swapaxes(-1, -2),
    "linalg.eig": lambda w, v: v * w[..., None, :] @ np.linalg.inv(v),
    "linalg.qr": lambda q, r: q @ r,
    "linalg.svd": lambda u, s, vh: u[..., : s.shape[-1]] * s[..., None, :] @ vh[..., : s.shape[-1], :],
    "linalg.eigvals": lambda w: np.sort_complex(w),
}
"""What does not depend on the choice of vectors or on their order."""


def numbers(example: Example, results: Any) -> list[np.ndarray[Any, Any]]:
    """The results as arrays that two backends can be compared by."""
    arrays = [np.asarray(x) for x in results]
    return [GAUGE[example.operation](*arrays)] if example.operation in GAUGE else arrays


def close(example: Example, found: Any, expected: Any) -> None:
    """Assert equal numbers, to the accuracy of the operands' data type."""
    short = any(x.dtype in (np.float32, np.complex64) for x in (*example.operands, *map(np.asarray, expected)))
    for a, b in zip(numbers(example, found), numbers(example, expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5 if short else 1e-11, atol=1e-5 if short else 1e-11)


def test_every_operation_has_an_example() -> None:
    assert {example.operation for example in EXAMPLES} == set(OPERATIONS)


@each
def test_an_operation_has_the_types_that_are_inferred_and_numpys_numbers(backend: str, example: Example) -> None:
    program, target = program_of(example), get(backend)
    native = [target.asarray(x, None, None, True) for x in example.operands]
    results = program.evaluate(target, native)
    for value, array in zip(program.outputs, results, strict=True):
        assert target.dtype(array) is value.type.dtype
        assert tuple(target.shape(array)) == value.type.shape
    close(example, map(target.to_numpy, results), program.evaluate(get("numpy"), example.operands))


@each
def test_generated_code_computes_the_same(backend: str, example: Example) -> None:
    program, target = program_of(example), get(backend)
    native = [target.asarray(x, None, home(target), True) for x in example.operands]
    before = [np.array(x) for x in example.operands]
    compiled = program.compile(backend)
    results = compiled.native(*native)
    assert "tensoria" not in compiled.text.replace("by tensoria", "")
    for value, array in zip(program.outputs, results, strict=True):
        array = target.asarray(array, None, None, None) if not target.owns(array) else array
        assert target.dtype(array) is value.type.dtype, compiled.text
        assert tuple(target.shape(array)) == value.type.shape, compiled.text
    close(example, (np.asarray(target.to_numpy(x)) for x in results), program.evaluate(get("numpy"), example.operands))
    for x, y in zip(example.operands, before, strict=True):
        np.testing.assert_array_equal(x, y)




BATCH = 60
"""Examples that share one graph."""
CHOICES = ("cond", "while_loop")
"""Python's own `if` and `while`, which stand in a graph only where AutoGraph translates them."""


@pytest.mark.parametrize("start", range(0, len(EXAMPLES), BATCH))
def test_generated_code_computes_the_same_in_a_graph_whose_sizes_are_unknown(start: int) -> None:
    tf = pytest.importorskip("tensorflow")
    examples = [x for x in EXAMPLES[start : start + BATCH] if x.operation not in CHOICES]
    functions = [program_of(example).compile("tensorflow").native for example in examples]
    given = [[tf.constant(x) for x in example.operands] for example in examples]
    unknown = [[tf.TensorSpec([None] * x.ndim, x.dtype) for x in arrays] for arrays in given]

    @tf.function(input_signature=[unknown], autograph=False)
    def graph(operands: Any) -> Any:
        return [function(*arrays) for function, arrays in zip(functions, operands, strict=True)]

    for example, results in zip(examples, graph(given), strict=True):
        expected = program_of(example).evaluate(get("numpy"), example.operands)
        for found, value in zip(results, program_of(example).outputs, strict=True):
            assert found.dtype.name == value.type.dtype.name, example
            assert tuple(found.shape) == value.type.shape, example
        close(example, [x.numpy() for x in results], expected)
@pytest.mark.parametrize("example", DEFINED, ids=[f"{n}-{x}" for n, x in enumerate(DEFINED)])
def test_a_definition_in_simpler_operations_computes_what_kernels_do(example: Example) -> None:
    program, numpy = program_of(example), get("numpy")
    simple = apply_definitions(program, ())
    assert not any(made.operation in DEFINITIONS for made in simple.instructions)
    assert [x.type for x in simple.outputs] == [x.type for x in program.outputs]
    close(example, simple.evaluate(numpy, example.operands), program.evaluate(numpy, example.operands))


def test_the_error_function_is_accurate_to_the_last_places() -> None:
    x = np.concatenate([np.linspace(-7, 7, 4001), np.logspace(-300, 0, 500), [0.0, -0.0, np.inf, -np.inf, np.nan]])
    for dtype, ulps in (("float64", 2), ("float32", 4)):
        given = x.astype(dtype)
        (found,) = apply_definitions(program_of(Example("erf", (given,), {})), ()).evaluate(get("numpy"), [given])
        expected = np.array([math.erf(number) for number in given.tolist()]).astype(dtype)
        near = np.abs(found - expected) <= ulps * np.spacing(np.abs(expected))
        assert np.all(near | (np.isnan(found) & np.isnan(expected)))
        assert np.signbit(found[-4])


def test_the_page_about_operations_is_that_of_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python tests/operations_page.py writes it"


def test_every_operation_says_what_it_means() -> None:
    for row in OPERATIONS.values():
        assert row.meaning, row.name
        assert str(row).startswith(f"{row.name}(")
