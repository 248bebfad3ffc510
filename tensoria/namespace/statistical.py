"""Statistical functions: reductions over axes, given by number or by name."""

from __future__ import annotations

from tensoria.namespace.dispatch import along, over

__all__ = [
    "cumulative_prod",
    "cumulative_sum",
    "max",
    "mean",
    "min",
    "prod",
    "std",
    "sum",
    "var",
]

cumulative_prod = along("cumulative_prod", "Cumulative product along an axis.")
cumulative_sum = along("cumulative_sum", "Cumulative sum along an axis.")
max = over("max", "Largest component over axes.")
mean = over("mean", "Mean over axes.")
min = over("min", "Smallest component over axes.")
prod = over("prod", "Product over axes.")
std = over("std", "Standard deviation over axes.")
sum = over("sum", "Sum over axes.")
var = over("var", "Variance over axes.")
