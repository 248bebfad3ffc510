"""Utility functions: whether all or any components are true, and differences."""

from __future__ import annotations

from tensoria.namespace.dispatch import over, plain

__all__ = [
    "all",
    "any",
    "diff",
]

all = over("all", "Whether all components are true.")
any = over("any", "Whether any component is true.")
diff = plain("diff", "Differences of neighbours along an axis.")
