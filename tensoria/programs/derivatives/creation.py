"""Derivatives of what is made from sizes: only the component that `full` repeats has one."""

from __future__ import annotations

from tensoria.programs.derivatives.rule import Array, Call, Rule

__all__ = ["RULES"]


def _full(call: Call, g: Array) -> list[Array | None]:
    return [g]


RULES: dict[str, Rule] = {"full": _full}
"""The rules of this chapter, by operation."""
