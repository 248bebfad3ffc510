"""Set functions: the distinct components of an array."""

from __future__ import annotations

from tensoria.namespace.dispatch import plain

__all__ = [
    "isin",
    "unique_all",
    "unique_counts",
    "unique_inverse",
    "unique_values",
]

isin = plain("isin", "Whether each component is among others.")
unique_all = plain("unique_all", "Distinct components, their positions, inverse and counts.")
unique_counts = plain("unique_counts", "Distinct components and their counts.")
unique_inverse = plain("unique_inverse", "Distinct components and the inverse.")
unique_values = plain("unique_values", "Distinct components.")
