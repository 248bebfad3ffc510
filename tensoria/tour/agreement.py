"""The same code on every backend: what it finds, how long it takes, and how far the results lie apart.

The reference is NumPy in float64. Each backend runs in float32, in which the model was trained, and in float64; its
results are compared with NumPy's in the same data type and with the reference. A difference of two arrays is the
largest entry of it, divided by the largest entry of the reference.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tensoria import Tensor, available
from tensoria.errors import BackendNotFoundError
from tensoria.startup import start
from tensoria.tour import circuits
from tensoria.tour.progress import Progress
from tensoria.tour.weights import Model

__all__ = ["DTYPES", "REFERENCE", "Agreement", "Findings", "compare", "findings", "installed"]

REFERENCE = "numpy"
DTYPES = ("float32", "float64")
Numbers = npt.NDArray[Any]


@dataclass(frozen=True)
class Findings:
    """What one backend found in one data type.

    Args:
        backend, dtype: where and how it was computed.
        seconds: how long it took, from arrays in host memory to arrays in host memory.
        layer, number: the head that the attention of the sentence was computed for.
        of: the results by name, as NumPy arrays.
    """

    backend: str
    dtype: str
    seconds: float
    layer: int
    number: int
    of: Mapping[str, Numbers]


@dataclass(frozen=True)
class Agreement:
    """How far one backend's results lie from others', relative to the largest entry.

    Args:
        same_dtype: from NumPy's in the same data type.
        reference: from NumPy's in float64.
        farthest: the result for which the latter is largest.
        agrees: whether both are small: below the square root of the data type's epsilon.
    """

    same_dtype: float
    reference: float
    farthest: str
    agrees: bool


def installed(names: Sequence[str] | None = None) -> tuple[list[str], list[str]]:
    """The backends to run, and a note for each one that is left out because its framework is not installed.

    Args:
        names: those asked for; all that are registered if None.

    Raises:
        BackendNotFoundError: one that was asked for by name is unknown or not installed.
    """
    if names is not None:
        return [start(name).name for name in dict.fromkeys(names)], []
    found, notes = [], []
    for name in available():
        try:
            found.append(start(name).name)
        except BackendNotFoundError as error:
            notes.append(f"{name} is left out: {error.message} To install it: {error.legal}")
    # The reference first: the table reads from it downwards.
    return sorted(found, key=lambda name: name != REFERENCE), notes


def findings(
    model: Model,
    embedded: npt.NDArray[np.float64],
    backend: str,
    dtype: str,
    *,
    progress: Progress,
    head: int | None = None,
) -> Findings:
    """Both circuits and the copying score of every head, and one head's attention in both forms, on one backend.

    Args:
        model: the model.
        embedded: the token sequence that enters layer 0, shape (tokens, n).
        backend, dtype: where and how to compute.
        progress: what to tell about each head.
        head: the head of layer 0 for which attention is computed; the one with the highest copying score if None.
    """
    progress.stage(f"{backend} {dtype}: the circuits of {model.layers * model.heads} heads")
    start = time.perf_counter()
    residual = circuits.residual_space(model.residual)
    X = circuits.sequence(embedded, residual, backend=backend, dtype=dtype)
    copying = np.zeros((model.layers, model.heads))
    paid, moved = [], []
    for layer in range(model.layers):
        for number in range(model.heads):
            one = circuits.head(model.head(layer, number), residual, f"{layer}.{number}", backend=backend, dtype=dtype)
            copying[layer, number] = circuits.copying_score(circuits.value_map(one))
            paid.append(_numbers(circuits.scores(X, circuits.qk_circuit(one))))
            moved.append(_numbers(circuits.ov_circuit(one) * X))
            progress.step()
    number = int(np.argmax(copying[0])) if head is None else head
    one = circuits.head(model.head(0, number), residual, f"0.{number}", backend=backend, dtype=dtype)
    A = circuits.attention(circuits.scores(X, circuits.qk_circuit(one)))
    OV = circuits.ov_circuit(one)
    of = {
        "QK on the sentence": np.stack(paid),
        "OV on the sentence": np.stack(moved),
        "copying scores": copying,
        "attention A": _numbers(A),
        "y along the modes": _numbers(circuits.by_modes(A, OV, X)),
        "y by Kronecker": _numbers(circuits.by_kronecker(A, OV, X)),
    }
    return Findings(backend, dtype, time.perf_counter() - start, 0, number, of)


def difference(found: Numbers, reference: Numbers) -> float:
    """The largest entry of the difference, divided by the largest entry of the reference; 0 where both vanish."""
    scale = float(np.abs(reference).max(initial=0))
    apart = float(np.abs(found.astype(reference.dtype) - reference).max(initial=0))
    return apart / scale if scale else apart


def compare(found: Findings, same_dtype: Findings, reference: Findings) -> Agreement:
    """One backend's findings held against NumPy's in the same data type and in float64."""
    same = max(difference(numbers, same_dtype.of[name]) for name, numbers in found.of.items())
    apart = {name: difference(numbers, reference.of[name]) for name, numbers in found.of.items()}
    farthest = max(apart, key=lambda name: apart[name])
    tolerance = float(np.sqrt(np.finfo(found.dtype).eps))
    # Written so that nan, which compares false with everything, does not agree.
    return Agreement(same, apart[farthest], farthest, same <= tolerance and apart[farthest] <= tolerance)


def _numbers(t: Tensor) -> Numbers:
    return np.asarray(t.components)
