"""Hypothesis' strategies for arrays, as functions of tensors need them: a shape, a data type, a range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

__all__ = ["arrays", "booleans", "broadcastable", "floats", "integers", "shapes"]

Shape = Sequence[int] | st.SearchStrategy[tuple[int, ...]]
Drawn = st.SearchStrategy[Any]


def shapes(min_dims: int = 0, max_dims: int = 3, min_side: int = 1, max_side: int = 4) -> Drawn:
    """Shapes of arrays."""
    return hnp.array_shapes(min_dims=min_dims, max_dims=max_dims, min_side=min_side, max_side=max_side)


def broadcastable(count: int = 2, max_dims: int = 3, max_side: int = 4) -> Drawn:
    """Several shapes that broadcast against each other, as a tuple."""
    return hnp.mutually_broadcastable_shapes(num_shapes=count, max_dims=max_dims, max_side=max_side).map(
        lambda found: tuple(found.input_shapes)
    )


def floats(
    shape: Shape = (), dtype: str = "float64", *, low: float = -10.0, high: float = 10.0, special: bool = False
) -> Drawn:
    """Arrays of real or complex floating-point numbers.

    Args:
        shape: the shape, or a strategy for it.
        dtype: such as `"float32"`, `"complex128"`.
        low, high: where the numbers lie (both parts of complex ones).
        special: whether infinities, NaN and zeros of both signs occur as well.
    """
    real = {"complex64": "float32", "complex128": "float64"}.get(dtype, dtype)
    width = {"float16": 16, "float32": 32, "float64": 64}[real]
    numbers: Drawn = st.floats(low, high, width=width, allow_subnormal=False)  # type: ignore[arg-type]
    if special:
        numbers = st.one_of(numbers, st.sampled_from([np.inf, -np.inf, np.nan, 0.0, -0.0]))
    if real != dtype:
        numbers = st.builds(complex, numbers, numbers)
    return hnp.arrays(np.dtype(dtype), shape, elements=numbers)  # type: ignore[arg-type]


def integers(shape: Shape = (), dtype: str = "int64", *, low: int | None = None, high: int | None = None) -> Drawn:
    """Arrays of integers between `low` and `high`, both included; by default between -100 and 100 where possible."""
    limits = np.iinfo(dtype)
    least = max(-100, int(limits.min)) if low is None else low
    most = min(100, int(limits.max)) if high is None else high
    return hnp.arrays(np.dtype(dtype), shape, elements=st.integers(least, most))  # type: ignore[arg-type]


def booleans(shape: Shape = ()) -> Drawn:
    """Arrays of booleans."""
    return hnp.arrays(np.dtype("bool"), shape)  # type: ignore[arg-type]


def arrays(shape: Shape, dtype: str) -> Drawn:
    """Arrays of any data type: `floats`, `integers` or `booleans`, whichever it is."""
    if dtype == "bool":
        return booleans(shape)
    return integers(shape, dtype) if np.dtype(dtype).kind in "iu" else floats(shape, dtype)
