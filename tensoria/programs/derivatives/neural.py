"""Derivatives of the operations of neural networks: those of their definitions, and of a few a shorter form."""

from __future__ import annotations

import math

from tensoria.discovery import get
from tensoria.programs.definitions import DEFINITIONS
from tensoria.programs.derivatives.rule import Array, Call, Rule, each, xp

__all__ = ["RULES"]


def _defined(name: str) -> Rule:
    def rule(call: Call, *cotangents: Array) -> list[Array | None]:
        def definition(*operands: Array) -> list[Array]:
            results = DEFINITIONS[name](get("symbolic"), *operands, **call.attributes)
            return list(results) if isinstance(results, tuple) else [results]

        return list(call.through(definition, cotangents, *call.operands))

    return rule


def _dropout(call: Call, g: Array) -> list[Array | None]:
    """Linear in x, and diagonal: the cotangent loses the same components."""
    return [call.recorder.record("dropout", (g, call.operands[1]), **call.attributes)[0], None]


def _hardtanh(call: Call, g: Array) -> list[Array | None]:
    (x,) = call.operands
    outside = xp.logical_or(xp.less_equal(x, call["low"]), xp.greater_equal(x, call["high"]))
    return [xp.where(outside, 0.0, g)]


RULES: dict[str, Rule] = {
    **{name: _defined(name) for name in DEFINITIONS},
    "dropout": _dropout, "hardtanh": _hardtanh,
    "erf": each(lambda g, x, y: xp.multiply(g, xp.multiply(xp.exp(xp.negative(xp.square(x))), 2 / math.sqrt(math.pi)))),
    "sigmoid": each(lambda g, x, y: xp.multiply(g, xp.multiply(y, xp.subtract(1.0, y)))),
}
"""The rules of this chapter, by the operation's name."""
