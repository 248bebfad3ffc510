"""Draws of random numbers that must be the same everywhere, and how results are compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from across import values

import tensoria as tn
from tensoria import random

SEED = 12345678901234567890
MASK = 2**32 - 1
Draw = Callable[[tn.Tensor], tn.Tensor]

P = [0.1, 0.0, 0.2, 0.3, 0.4]
DRAWS: dict[str, Draw] = {
    "split": lambda key: random.split(key, (2, 3)),
    "unpacked split": lambda key: random.uniform(tuple(random.split(key))[1], 3),
    "fold_in": lambda key: random.fold_in(random.fold_in(key, 3), 2**64 - 5),
    "a key made here": lambda key: random.bits(random.key(2**64 - 3, backend=key.backend), 3),
    "bits": lambda key: random.bits(key, (3, 5)),
    "bits uint8": lambda key: random.bits(key, 7, dtype="uint8"),
    "bits uint16": lambda key: random.bits(key, 7, dtype="uint16"),
    "bits uint64": lambda key: random.bits(key, 7, dtype="uint64"),
    "uniform": lambda key: random.uniform(key, (3, 50)),
    "uniform of no axes": lambda key: random.uniform(key),
    "uniform, nothing": lambda key: random.uniform(key, (3, 0)),
    "uniform float16": lambda key: random.uniform(key, 99, dtype="float16", low=0.1, high=0.7),
    "uniform scaled": lambda key: random.uniform(key, 999, high=1 / 3),
    "uniform shifted": lambda key: random.uniform(key, 999, low=-3.3, high=7.1),
    "uniform float64": lambda key: random.uniform(key, 999, dtype="float64"),
    "uniform float64 shifted": lambda key: random.uniform(key, 999, dtype="float64", low=0.1, high=0.7),
    "integers": lambda key: random.integers(key, -5, 1000, (2, 50)),
    "integers int8": lambda key: random.integers(key, -128, 128, 50, dtype="int8"),
    "integers, many": lambda key: random.integers(key, -(2**63), 2**63 - 7, 50),
    "integers uint64": lambda key: random.integers(key, 2**63 - 5, 2**63 + 5, 50, dtype="uint64"),
    "permutation": lambda key: random.permutation(key, 100),
    "permuted tensor": lambda key: random.permutation(key, tn.reshape(random.uniform(key, 60), (3, 20)), axis=1),
    "choice": lambda key: random.choice(key, 10, (2, 30)),
    "choice without replacement": lambda key: random.choice(key, 50, 20, replace=False),
    "weighted choice": lambda key: random.choice(key, 5, 300, p=P),
    "weighted choice, float32": lambda key: random.choice(key, 300, 300, p=random.uniform(key, 300)),
    "weighted choice without replacement": lambda key: random.choice(key, 5, 3, p=P, replace=False),
    "choice of rows": lambda key: random.choice(key, random.uniform(key, (6, 4)), (2, 3)),
}
"""All that must be the same bits everywhere."""
NORMAL: dict[str, Draw] = {
    "float32": lambda key: random.normal(key, 999),
    "float16": lambda key: random.normal(key, 99, dtype="float16"),
    "complex64": lambda key: random.normal(key, (3, 5), dtype="complex64", mean=1 - 2j, std=3),
    "float32 moved": lambda key: random.normal(key, 99, mean=5, std=0.1),
}


def bits_of(t: tn.Tensor) -> tuple[str, tuple[int, ...], bytes]:
    """All that can be compared of a result."""
    array = values(t)
    return str(array.dtype), array.shape, array.tobytes()


def ulps(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """How many numbers of their data type lie between two arrays of them."""

    def ordered(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        shown = x.view(f"int{8 * x.dtype.itemsize}").astype("int64")
        return np.where(shown < 0, np.iinfo(f"int{8 * x.dtype.itemsize}").min - shown, shown)

    return np.abs(ordered(a) - ordered(b))
