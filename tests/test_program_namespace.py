"""Every function and operator is traced, and the program computes what the function does, for other sizes too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from across import installed, native, values
from namespace_table import ARRAYS, ROWS, VARYING, Row
from operators_table import HOST, OPERATORS

import tensoria as tn
from tensoria.errors import TracingError
from tensoria.tensor import Tensor

TABLE: dict[str, Row] = {**ROWS, **OPERATORS}
OPEN = {name: tuple(f"{name}{n}" for n in range(array.ndim)) for name, array in ARRAYS.items()}


def arguments(row: Row, backend: str) -> list[Tensor]:
    """The row's arrays as tensors."""
    return [tn.asarray(native(backend, ARRAYS[name])) for name in row.inputs]


def leaves(result: Any) -> list[np.ndarray[Any, Any]]:
    """All tensors of a result, as NumPy arrays; numbers too."""
    if isinstance(result, (tuple, list)):
        return [array for item in result for array in leaves(item)]
    return [values(result)] if isinstance(result, Tensor) else [np.asarray(result)]


def gauged(name: str, arrays: list[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
    """What does not depend on the choice of singular vectors."""
    return [np.abs(x) for x in arrays] if name.split("/")[0] in ("linalg.svd", "linalg.eigh", "linalg.qr") else arrays


def traced(row: Row, given: list[Tensor]) -> Any:
    """The row's program."""
    return tn.trace(lambda *arrays: row.function(tn, *arrays), *given)


@pytest.mark.parametrize("name", TABLE)
def test_a_traced_function_computes_what_the_function_does(name: str) -> None:
    row = TABLE[name]
    given = arguments(row, "numpy")
    expected = gauged(name, leaves(row.function(tn, *given)))
    program = traced(row, given)
    for array, other in zip(gauged(name, leaves(program.run(*given))), expected, strict=True):
        assert array.dtype == other.dtype
        np.testing.assert_allclose(array, other, rtol=1e-11, atol=1e-12)
    for backend in installed():
        compiled = program.compile(backend)
        arrays = [native(backend, ARRAYS[name_]) for name_ in row.inputs]
        found = gauged(name, leaves([tn.asarray(x, backend=backend) for x in compiled.native(*arrays)]))
        for array, other in zip(found, expected, strict=False):
            np.testing.assert_allclose(array, other, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("name", [*VARYING, *HOST])
def test_what_needs_numbers_is_refused_while_tracing(name: str) -> None:
    row = {**VARYING, **HOST}[name]
    with pytest.raises(TracingError):
        traced(row, arguments(row, "numpy"))
