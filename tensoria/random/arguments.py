"""What is asked of a draw, checked before anything is drawn, in the same words on every backend."""

from __future__ import annotations

import math
import operator
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from tensoria.dtypes import DType
from tensoria.dtypes import dtype as as_dtype
from tensoria.errors import ConversionError, DomainError, DTypeError, ShapeError

__all__ = ["data_type", "integer", "real", "sizes"]


def integer(value: Any, what: str) -> int:
    """A Python or NumPy integer as Python's.

    Raises:
        ConversionError: it is none.
    """
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return operator.index(value)
    raise ConversionError(f"{what} is an integer, not {type(value).__name__} {value!r:.40}.")


def real(value: Any, what: str) -> float:
    """A finite real number as Python's.

    Raises:
        ConversionError: it is no real number.
        DomainError: it is infinite or NaN.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise ConversionError(f"{what} is a real number, not {type(value).__name__} {value!r:.40}.")
    try:
        # A tracing compiler may hold a symbol for the number; its digits are those of a constant.
        found = float.fromhex(float(value).hex())
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise DomainError(f"{what} is a finite number, not {value!r:.40}.")
    return found


def sizes(shape: Any) -> tuple[int, ...]:
    """A shape given as an integer or as a sequence of them.

    Raises:
        ConversionError: a size is no integer.
        ShapeError: a size is negative.
    """
    given: Sequence[Any] = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    found = tuple([integer(size, "a size") for size in given])
    for size in found:
        if size < 0:
            raise ShapeError(f"a size is negative: {found}.")
    return found


def data_type(of: Any, what: str, allowed: Collection[DType]) -> DType:
    """A data type among those that can be drawn.

    Raises:
        DTypeError: it is another one.
    """
    found = as_dtype(of)
    if found not in allowed:
        raise DTypeError(f"{what} has the data types {', '.join(map(str, allowed))}, not {found}.")
    return found
