"""One row for each Array API function: what it demands of the indices of labelled input.

* `LINEAR`: commutes with every change of basis; always allowed, operands align by name.
* `COORDINATEWISE`: acts on components; every index must be plain or in a privileged basis, operands align by name.
* `ALONG`: acts along axes and is linear; those must be plain or in a privileged basis, the others may be anything.
* `COORDINATEWISE_ALONG`: acts along axes and is not linear, so that every index must be plain or privileged.
* `CONJUGATE`: leads to the conjugate space.

A function that is not in the table refuses labelled tensors.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

__all__ = ["RULES", "Rule"]


class Rule(Enum):
    """What a function demands of the indices of labelled input."""

    LINEAR = "always allowed"
    COORDINATEWISE = "every index plain or privileged"
    ALONG = "the axes it acts along plain or privileged"
    COORDINATEWISE_ALONG = "every index plain or privileged, along axes"
    CONJUGATE = "leads to the conjugate space"


RULES: Final[dict[str, Rule]] = {
    # elementwise
    "add": Rule.LINEAR,
    "subtract": Rule.LINEAR,
    "negative": Rule.LINEAR,
    "positive": Rule.LINEAR,
    "conj": Rule.CONJUGATE,
    "abs": Rule.COORDINATEWISE,
    "acos": Rule.COORDINATEWISE,
    "acosh": Rule.COORDINATEWISE,
    "asin": Rule.COORDINATEWISE,
    "asinh": Rule.COORDINATEWISE,
    "atan": Rule.COORDINATEWISE,
    "atan2": Rule.COORDINATEWISE,
    "atanh": Rule.COORDINATEWISE,
    "bitwise_and": Rule.COORDINATEWISE,
    "bitwise_invert": Rule.COORDINATEWISE,
    "bitwise_left_shift": Rule.COORDINATEWISE,
    "bitwise_or": Rule.COORDINATEWISE,
    "bitwise_right_shift": Rule.COORDINATEWISE,
    "bitwise_xor": Rule.COORDINATEWISE,
    "ceil": Rule.COORDINATEWISE,
    "copysign": Rule.COORDINATEWISE,
    "cos": Rule.COORDINATEWISE,
    "cosh": Rule.COORDINATEWISE,
    "divide": Rule.COORDINATEWISE,
    "equal": Rule.COORDINATEWISE,
    "exp": Rule.COORDINATEWISE,
    "expm1": Rule.COORDINATEWISE,
    "floor": Rule.COORDINATEWISE,
    "floor_divide": Rule.COORDINATEWISE,
    "greater": Rule.COORDINATEWISE,
    "greater_equal": Rule.COORDINATEWISE,
    "hypot": Rule.COORDINATEWISE,
    "imag": Rule.COORDINATEWISE,
    "isfinite": Rule.COORDINATEWISE,
    "isinf": Rule.COORDINATEWISE,
    "isnan": Rule.COORDINATEWISE,
    "less": Rule.COORDINATEWISE,
    "less_equal": Rule.COORDINATEWISE,
    "log": Rule.COORDINATEWISE,
    "log10": Rule.COORDINATEWISE,
    "log1p": Rule.COORDINATEWISE,
    "log2": Rule.COORDINATEWISE,
    "logaddexp": Rule.COORDINATEWISE,
    "logical_and": Rule.COORDINATEWISE,
    "logical_not": Rule.COORDINATEWISE,
    "logical_or": Rule.COORDINATEWISE,
    "logical_xor": Rule.COORDINATEWISE,
    "maximum": Rule.COORDINATEWISE,
    "minimum": Rule.COORDINATEWISE,
    "multiply": Rule.COORDINATEWISE,
    "nextafter": Rule.COORDINATEWISE,
    "not_equal": Rule.COORDINATEWISE,
    "pow": Rule.COORDINATEWISE,
    "real": Rule.COORDINATEWISE,
    "reciprocal": Rule.COORDINATEWISE,
    "remainder": Rule.COORDINATEWISE,
    "round": Rule.COORDINATEWISE,
    "sign": Rule.COORDINATEWISE,
    "signbit": Rule.COORDINATEWISE,
    "sin": Rule.COORDINATEWISE,
    "sinh": Rule.COORDINATEWISE,
    "sqrt": Rule.COORDINATEWISE,
    "square": Rule.COORDINATEWISE,
    "tan": Rule.COORDINATEWISE,
    "tanh": Rule.COORDINATEWISE,
    "trunc": Rule.COORDINATEWISE,
    "where": Rule.COORDINATEWISE,
    "clip": Rule.COORDINATEWISE,
    "relu": Rule.COORDINATEWISE,
    # along axes
    "all": Rule.COORDINATEWISE_ALONG,
    "any": Rule.COORDINATEWISE_ALONG,
    "argmax": Rule.COORDINATEWISE_ALONG,
    "argmin": Rule.COORDINATEWISE_ALONG,
    "argsort": Rule.COORDINATEWISE_ALONG,
    "concat": Rule.ALONG,
    "cumulative_prod": Rule.COORDINATEWISE_ALONG,
    "cumulative_sum": Rule.ALONG,
    "flip": Rule.ALONG,
    "max": Rule.COORDINATEWISE_ALONG,
    "mean": Rule.ALONG,
    "min": Rule.COORDINATEWISE_ALONG,
    "prod": Rule.COORDINATEWISE_ALONG,
    "roll": Rule.ALONG,
    "softmax": Rule.COORDINATEWISE_ALONG,
    "sort": Rule.COORDINATEWISE_ALONG,
    "std": Rule.COORDINATEWISE_ALONG,
    "sum": Rule.ALONG,
    "take": Rule.ALONG,
    "var": Rule.COORDINATEWISE_ALONG,
    # labels pass through unchanged
    "astype": Rule.LINEAR,
    "stack": Rule.LINEAR,
    "ones_like": Rule.COORDINATEWISE,
    "zeros_like": Rule.LINEAR,
    "full_like": Rule.COORDINATEWISE,
    "empty_like": Rule.COORDINATEWISE,
}
