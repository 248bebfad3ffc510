"""Sorting functions, along one axis."""

from __future__ import annotations

from tensoria.namespace.dispatch import along

__all__ = [
    "argsort",
    "sort",
]

argsort = along("argsort", "Positions that put components in order along an axis.")
sort = along("sort", "Components in order along an axis.")
