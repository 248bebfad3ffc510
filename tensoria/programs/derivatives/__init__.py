"""The table of derivatives: for every operation a rule, or the reason why it has none.

A row is the vector-Jacobian product of an operation, written in the operations of the table; `reverse` reads them.
"""

from __future__ import annotations

from typing import Final

from tensoria.programs.derivatives import (
    contraction,
    control,
    creation,
    elementwise,
    factorisations,
    fourier,
    indexing,
    linear_algebra,
    manipulation,
    neural,
    reductions,
)
from tensoria.programs.derivatives.rule import Call, Rule

__all__ = ["RULES", "WITHOUT", "Call", "Rule"]

CHAPTERS = (
    elementwise, reductions, manipulation, indexing, creation, contraction, linear_algebra, factorisations, fourier,
    control, neural,
)  # fmt: skip
RULES: Final[dict[str, Rule]] = {name: rule for chapter in CHAPTERS for name, rule in chapter.RULES.items()}

_DISCRETE = "its results are no floating-point numbers"
_STEPS = "it is constant between jumps"
WITHOUT: Final[dict[str, str]] = {
    **dict.fromkeys(
        (
            "isfinite", "isinf", "isnan", "signbit", "logical_not", "logical_and", "logical_or", "logical_xor",
            "equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "bitwise_invert", "bitwise_and",
            "bitwise_or", "bitwise_xor", "bitwise_left_shift", "bitwise_right_shift", "all", "any", "count_nonzero",
            "argmax", "argmin", "argsort", "searchsorted", "linalg.matrix_rank",
        ),
        _DISCRETE,
    ),
    **dict.fromkeys(("ceil", "floor", "floor_divide", "round", "trunc"), _STEPS),
    **dict.fromkeys(("arange", "eye", "size"), "it has no operands"),
    "stop_gradient": "that is its meaning",
}  # fmt: skip
"""Operations that nothing is differentiated through, and why."""
