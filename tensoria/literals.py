"""Numbers written in Python - one, or nested sequences of them - held to be a rectangular array of numbers.

Frameworks read literals each in their own way: NumPy makes a float of an integer beyond int64, a NaN of None and a
number of the text "1"; PyTorch wraps around; all of them say something else about ragged rows. So the literal is
checked before a framework sees it, in one place. NumPy does the looking wherever it is strict.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from tensoria.dtypes import DTYPES, DType, check_range
from tensoria.errors import ConversionError, DTypeError, ShapeError

__all__ = ["MAX_DIMENSIONS", "check_dimensions", "check_literal"]

MAX_DIMENSIONS = 64
"""How many axes a tensor has at most on every backend: NumPy's and PyTorch's limit."""


def check_dimensions(count: int) -> None:
    """Raise unless every backend has arrays of so many axes.

    Raises:
        ShapeError: it has not (TensorFlow ends the process beyond 254).
    """
    if count > MAX_DIMENSIONS:
        raise ShapeError(f"{count} axes; a tensor has {MAX_DIMENSIONS} at most.")


def check_literal(data: Any, of: DType | None, tracing: Callable[[], bool] | None = None) -> None:
    """Raise unless Python data are numbers in a rectangular arrangement that the data type holds.

    Args:
        data: a number, or nested lists and tuples of numbers and arrays; anything else passes.
        of: the data type to come, if one is given.
        tracing: says whether a compiler reads this code now (`Backend.tracing`), which does not follow NumPy here.

    Raises:
        ConversionError: they are not.
        DTypeError: a number does not fit into the data type: an integer out of range, a complex number among real
            ones, a number that is not finite among integers.
    """
    if tracing is not None and tracing():
        return
    kind = type(data)
    if kind is float or kind is complex or kind is bool:
        if of is not None:
            _check_numbers(np.asarray(data), data, of)
        return
    if kind is int:
        _check_integer(data, of)
        return
    if not isinstance(data, (list, tuple)):
        if not isinstance(data, numbers.Number) and not hasattr(data, "__array__") and not hasattr(data, "__dlpack__"):
            raise _no_array(_no_number(data))
        return
    try:
        made = np.array(data)
    except (ValueError, TypeError, OverflowError, RecursionError):
        made = None
    if made is None or made.dtype.kind not in "biufc":
        fault = _fault(data, 0)
        if fault is not None:
            raise _no_array(fault)
        _check_leaves(data, of)  # integers beyond every data type
        return
    check_dimensions(made.ndim)
    if made.dtype.name not in DTYPES:
        raise _no_array(f"{made.dtype} is no data type of tensoria")
    # NumPy reads integers beyond int64 as unsigned ones, and beside others as floats.
    if made.dtype.kind == "u" or (made.dtype == np.float64 and made.size and not _has_float(data)):
        _check_leaves(data, of)
    elif of is not None:
        _check_numbers(made, data, of)


def _no_array(fault: str) -> ConversionError:
    return ConversionError(f"these data are no rectangular array of numbers: {fault}.")


def _check_numbers(made: np.ndarray[Any, Any], data: Any, of: DType) -> None:
    kind = made.dtype.kind
    if kind == "c" and of.kind not in ("complex", "bool"):
        raise DTypeError(f"complex numbers do not fit into {of}.", legal='dtype="complex128"')
    if of.kind not in ("int", "uint") or not made.size:
        return
    if kind == "f":
        wrong = made[~np.isfinite(made)]
        if wrong.size:
            raise DTypeError(f"{wrong[0].item()!r} does not fit into {of}.", legal='dtype="float64"')
    if kind in "iuf":
        for extreme in (made.min(), made.max()):
            check_range(int(extreme), of)


def _check_leaves(data: Any, of: DType | None) -> None:
    for item in data:
        if isinstance(item, (list, tuple)):
            _check_leaves(item, of)
        elif isinstance(item, (int, np.integer)):
            _check_integer(int(item), of)


def _check_integer(value: int, of: DType | None) -> None:
    if of is None:
        if not -(2**63) <= value < 2**63:
            raise DTypeError(
                f"the integer {value} does not fit into int64, which integers become without a data type.",
                legal='dtype="uint64" or dtype="float64"',
            )
    elif of.kind in ("int", "uint"):
        check_range(value, of)


def _has_float(data: Any) -> bool:
    """Whether a fractional number stands among the data, so that a float is what the author meant."""
    if isinstance(data, (list, tuple)):
        return any(map(_has_float, data))
    found = getattr(data, "dtype", None)
    return isinstance(data, (float, complex)) or (found is not None and np.dtype(found).kind in "fc")


def _fault(data: Any, depth: int) -> str | None:
    """What keeps nested sequences from being an array of numbers."""
    if depth > MAX_DIMENSIONS:
        check_dimensions(depth)
    if isinstance(data, numbers.Number) or hasattr(data, "__array__") or hasattr(data, "__dlpack__"):
        found = getattr(data, "dtype", None)
        return f"{data!r:.40} is no number" if isinstance(found, np.dtype) and found.kind not in "biufc" else None
    if not isinstance(data, (list, tuple)):
        return _no_number(data)
    for item in data:
        if (fault := _fault(item, depth + 1)) is not None:
            return fault
    shapes = {_shape(item) for item in data}
    if len(shapes) > 1:
        return f"rows of the shapes {' and '.join(map(str, sorted(shapes)))} stand side by side"
    return None


def _no_number(data: Any) -> str:
    shown = f" {data!r:.40}" if isinstance(data, (str, bytes)) else ""
    return f"{type(data).__name__}{shown} is no number"


def _shape(data: Any) -> tuple[int, ...]:
    if isinstance(data, (list, tuple)):
        return (len(data), *(_shape(data[0]) if data else ()))
    return tuple(getattr(data, "shape", ()))
