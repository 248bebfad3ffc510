"""The whole namespace in graphs: `tf.function` with every size unknown, and `torch.compile` without a break.

Values are held against NumPy's and gradients against finite differences, so that a function that keeps its value and
loses its gradient in a graph is found too. What has no place in a graph says so in an error of ours.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from across import installed
from differences import CASES, arrays_of, close, derivative, reference, weights
from differences import flat as flattened
from namespace_table import ARRAYS, ROWS, VARYING
from operators_table import HOST, OPERATORS

import tensoria as tn
from tensoria import dtypes
from tensoria.errors import ConversionError
from tensoria.namespace import constants
from tensoria.tensor import Tensor

tensorflow = pytest.mark.skipif("tensorflow" not in installed(), reason="TensorFlow is not installed")
pytorch = pytest.mark.skipif("torch" not in installed(), reason="PyTorch is not installed")

# -- the table is whole -----------------------------------------------------------------------------------------------

FROM_OUTSIDE = {"from_dlpack"}
"""Functions of memory that no graph has; `test_memory` is about them."""
EXTENSIONS = ("fft", "linalg")


def functions() -> set[str]:
    """The names of all functions of a namespace."""
    xp = tn.namespace("numpy")
    names = set(xp.__all__) - set(EXTENSIONS) - set(dtypes.DTYPES) - set(constants.__all__)
    return names | {f"{part}.{name}" for part in EXTENSIONS for name in getattr(xp, part).__all__}


def test_every_function_has_a_row() -> None:
    rows = {name.partition("/")[0] for name in (*ROWS, *VARYING)} - {"getitem"}
    assert rows == functions() - FROM_OUTSIDE


NO_OPERATIONS = {
    "__array_namespace__", "__array_ufunc__", "__copy__", "__deepcopy__", "__reduce__", "__format__", "__repr__",
    "__init__", "__call__", "__len__", "__iter__", "__doc__", "__module__", "__slots__", "__hash__",
    "__dlpack_device__", "__tf_flatten__", "__tf_unflatten__", "__tf_tracing_type__", "__firstlineno__",
    "__static_attributes__", "__annotations__", "__weakref__",
}  # fmt: skip
"""What a tensor has beside operators: protocols, sizes, and what is about indices."""


def test_every_operator_has_a_row() -> None:
    rows = {name.partition("/")[0] for name in (*OPERATORS, *HOST)}
    named = {name for kind in Tensor.__mro__[:-1] for name in vars(kind)}
    special = {name for name in named if name.startswith("__")} - NO_OPERATIONS
    assert {name for name in rows if name.startswith("__")} == special


# -- TensorFlow -------------------------------------------------------------------------------------------------------


COUNTED = {"unstack"}
"""Functions that make as many tensors as an axis is long, which has to be known then."""


@functools.cache
def in_graph(case: str) -> tuple[Any, list[Any], list[Any], set[str]]:
    """A row in a `tf.function` all of whose sizes are unknown: it, its results, its gradients, its operations."""
    import tensorflow as tf

    row, xp = CASES[case], tn.namespace("tensorflow")
    signature = [tf.TensorSpec([None] * array.ndim, array.dtype) for array in arrays_of(case)]

    @tf.function(input_signature=signature, autograph=False)
    def graph(*arrays: Any) -> Any:
        by = [arrays[row.inputs.index(name)] for name in row.by]
        with tf.GradientTape() as tape:
            tape.watch(by)
            results = flattened(row.function(xp, *map(Tensor, arrays)))
            parts = [
                tf.cast(tf.reduce_sum(tf.math.real(result * tf.constant(weight))), tf.float64)
                for result, weight in zip(results, weights(case), strict=True)
                if weight is not None and by
            ]
            total = tf.add_n(parts) if by else None
        gradients = tape.gradient(total, by, unconnected_gradients=tf.UnconnectedGradients.ZERO) if by else []
        return results, [tf.convert_to_tensor(x) for x in gradients]

    results, gradients = graph(*map(tf.constant, arrays_of(case)))
    used = {operation.type for operation in graph.get_concrete_function().graph.get_operations()}
    return graph, results, gradients, used


@tensorflow
@pytest.mark.parametrize("case", sorted(CASES.keys() - COUNTED, key=list(CASES).index))
def test_a_function_works_in_a_graph_with_unknown_sizes(case: str) -> None:
    _, results, gradients, used = in_graph(case)
    for found, wanted in zip(results, reference(case), strict=True):
        close(found, wanted)
    for found, wanted in zip(gradients, derivative(case), strict=True):
        close(found, wanted, rtol=1e-5, atol=2e-7 * (1 + np.abs(wanted).max(initial=0)))
    # Assignment makes a new tensor; it hides no variable.
    assert not {kind for kind in used if "Var" in kind}


@tensorflow
@pytest.mark.parametrize("case", [name for name in CASES if name.startswith("varying ")])
def test_a_shape_that_depends_on_the_data_stays_unknown_in_a_graph(case: str) -> None:
    graph, *_ = in_graph(case)
    shapes = [spec.shape for spec in graph.get_concrete_function().structured_outputs[0]]
    assert any(None in shape.as_list() for shape in shapes)


@tensorflow
@pytest.mark.parametrize("name", HOST)
def test_numbers_of_a_tensor_in_a_graph_are_refused(name: str) -> None:
    import tensorflow as tf

    row, xp = HOST[name], tn.namespace("tensorflow")

    @tf.function(autograph=False)
    def graph(*arrays: Any) -> Any:
        row.function(xp, *map(Tensor, arrays))
        return arrays[0]

    with pytest.raises(ConversionError, match=r"inside of a tf\.function"):
        graph(*(tf.constant(ARRAYS[array]) for array in row.inputs))


@tensorflow
def test_slices_along_an_axis_of_unknown_length_are_refused() -> None:
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, 3))], autograph=False)
    def columns(x: Any) -> Any:
        return [t.array for t in tn.unstack(Tensor(x), axis=1)]

    assert [x.shape.as_list() for x in columns(tf.ones((2, 3)))] == [[2]] * 3
    with pytest.raises(Exception, match="unstack"):
        tf.function(lambda x: tn.unstack(Tensor(x))[0].array).get_concrete_function(tf.TensorSpec((None, 3)))


# -- PyTorch ----------------------------------------------------------------------------------------------------------

TOGETHER = 40
"""How many rows make one compiled function: compiling each by itself would take minutes."""
GROUPS = [list(CASES)[start : start + TOGETHER] for start in range(0, len(CASES), TOGETHER)]


@pytest.fixture
def dynamo() -> Iterator[Any]:
    import torch
    import torch._functorch.config

    torch._dynamo.reset()
    # The rows of a compiled function are differentiated one after the other.
    with warnings.catch_warnings(), torch._functorch.config.patch(donated_buffer=False):
        warnings.simplefilter("ignore")
        yield torch
    torch._dynamo.reset()


def compiled(torch: Any, cases: list[str]) -> None:
    """Compile some rows as one function without a break, and hold values and gradients against what they should be."""
    xp = tn.namespace("torch")

    def function(given: list[list[Any]]) -> list[list[Any]]:
        return [
            flattened(CASES[case].function(xp, *[Tensor(array) for array in arrays]))
            for case, arrays in zip(cases, given, strict=True)
        ]

    given = [
        [
            torch.tensor(array, requires_grad=name in CASES[case].by)
            for name, array in zip(CASES[case].inputs, arrays_of(case), strict=True)
        ]
        for case in cases
    ]
    results = torch.compile(function, fullgraph=True, backend="aot_eager")(given)
    for case, arrays, found in zip(cases, given, results, strict=True):
        try:
            for result, wanted in zip(found, reference(case), strict=True):
                close(result.detach().resolve_conj(), wanted)
            if not CASES[case].by:
                continue
            total = sum(
                (result * torch.tensor(weight)).real.sum()
                for result, weight in zip(found, weights(case), strict=True)
                if weight is not None
            )
            by = [arrays[CASES[case].inputs.index(name)] for name in CASES[case].by]
            gradients = torch.autograd.grad(total, by, retain_graph=True, allow_unused=True, materialize_grads=True)
            for gradient, wanted in zip(gradients, derivative(case), strict=True):
                close(gradient.resolve_conj(), wanted, rtol=1e-5, atol=2e-7 * (1 + np.abs(wanted).max(initial=0)))
        except AssertionError as error:
            raise AssertionError(f"{case}: {error}") from error


@pytorch
@pytest.mark.parametrize("group", range(len(GROUPS)), ids=[group[0] for group in GROUPS])
def test_functions_compile_to_one_graph(group: int, dynamo: Any) -> None:
    cases = GROUPS[group]
    try:
        compiled(dynamo, cases)
    except AssertionError:
        raise
    except Exception as error:
        # Which of them is it? Each by itself then.
        broken = {}
        for case in cases:
            dynamo._dynamo.reset()
            try:
                compiled(dynamo, [case])
            except Exception as single:
                broken[case] = f"{type(single).__name__}: {str(single)[:400]}"
        raise AssertionError(f"these do not compile: {broken}") from error


@pytorch
@pytest.mark.parametrize("name", ["__bool__", "__float__", "__array__"])
def test_numbers_of_a_tensor_do_not_compile(name: str, dynamo: Any) -> None:
    row, xp = HOST[name], tn.namespace("torch")

    def function(*arrays: Any) -> Any:
        return arrays[0] * float(np.sum(row.function(xp, *map(Tensor, arrays))))

    with pytest.raises(Exception, match=r"torch\.compile|Tensor|item|data-dependent"):
        dynamo.compile(function, fullgraph=True, backend="eager")(*(dynamo.tensor(ARRAYS[n]) for n in row.inputs))
