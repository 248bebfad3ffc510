"""Searching functions: where the extremes are, and where components are not zero."""

from __future__ import annotations

from tensoria.namespace.dispatch import over, plain

__all__ = [
    "argmax",
    "argmin",
    "count_nonzero",
    "nonzero",
    "searchsorted",
]

argmax = over("argmax", "Position of the largest component along an axis.")
argmin = over("argmin", "Position of the smallest component along an axis.")
count_nonzero = plain("count_nonzero", "Number of components that are not zero.")
nonzero = plain("nonzero", "Positions of components that are not zero.")
searchsorted = plain("searchsorted", "Positions at which to insert into a sorted array.")
