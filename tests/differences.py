"""A row of the namespace's table run somewhere, and its derivative by central finite differences of NumPy's result."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from namespace_table import ARRAYS, ROWS, VARYING, Row
from operators_table import OPERATORS

import tensoria as tn
from tensoria.tensor import Tensor

__all__ = ["CASES", "arrays_of", "close", "derivative", "flat", "reference", "weights"]

CASES: dict[str, Row] = {
    **ROWS,
    **{f"Tensor.{name}": row for name, row in OPERATORS.items()},
    **{f"varying {name}": row for name, row in VARYING.items()},
}
"""All rows of the table that compute."""
STEP = 1e-6


def flat(result: Any) -> list[Any]:
    """The native arrays of a function's results, in order."""
    if isinstance(result, (tuple, list)):
        return [array for item in result for array in flat(item)]
    return [result.array if isinstance(result, Tensor) else result]


def arrays_of(case: str) -> list[np.ndarray[Any, Any]]:
    """The arguments of a row."""
    return [ARRAYS[name] for name in CASES[case].inputs]


def evaluate(case: str, arrays: list[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
    with np.errstate(all="ignore"):
        return [
            np.asarray(x)
            for x in flat(CASES[case].function(tn.namespace("numpy"), *(Tensor(a.copy()) for a in arrays)))
        ]


@cache
def reference(case: str) -> list[np.ndarray[Any, Any]]:
    """What NumPy makes of a row."""
    return evaluate(case, arrays_of(case))


@cache
def weights(case: str) -> list[np.ndarray[Any, Any] | None]:
    """Numbers to multiply a row's results with, so that the real part of the sum is a scalar; None for no floats."""
    rng = np.random.default_rng(3)
    made: list[np.ndarray[Any, Any] | None] = []
    for array in reference(case):
        real = rng.uniform(0.5, 1.5, array.shape)
        both = real + 1j * rng.uniform(0.5, 1.5, array.shape)
        weight = both if array.dtype.kind == "c" else real
        made.append(weight.astype(array.dtype) if array.dtype.kind in "fc" else None)
    return made


def _scalar(case: str, arrays: list[np.ndarray[Any, Any]]) -> float:
    pairs = zip(evaluate(case, arrays), weights(case), strict=True)
    return float(sum(np.sum((array * weight).real) for array, weight in pairs if weight is not None))


@cache
def derivative(case: str) -> list[np.ndarray[Any, Any]]:
    """The derivatives of the weighted sum by the arrays of `Row.by`: d/dx, or d/dx + i d/dy for complex arrays."""
    row, found = CASES[case], []
    for name in row.by:
        place, array = row.inputs.index(name), ARRAYS[name]
        out = np.zeros_like(array)
        for at in np.ndindex(array.shape):
            for direction in (1, 1j) if array.dtype.kind == "c" else (1,):
                sides = []
                for sign in (1, -1):
                    moved = [x.copy() for x in arrays_of(case)]
                    moved[place][at] += sign * STEP * direction
                    sides.append(_scalar(case, moved))
                out[at] += direction * (sides[0] - sides[1]) / (2 * STEP)
        found.append(out)
    return found


def close(found: Any, wanted: np.ndarray[Any, Any], rtol: float = 1e-6, atol: float = 1e-7) -> None:
    """Hold a result against NumPy's: shape, kind and numbers."""
    found = np.asarray(found)
    assert found.shape == wanted.shape
    assert found.dtype.kind == wanted.dtype.kind
    if found.dtype.kind in "fc":
        rtol = max(rtol, 4 * float(np.finfo(found.dtype).eps))  # TensorFlow's default precision is float32
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=atol)
