"""Derivatives of selections: cotangents are added at the places that were selected."""

from __future__ import annotations

from typing import Any

from tensoria.dtypes import int64
from tensoria.programs.derivatives.rule import Array, Call, Rule, xp, zeros
from tensoria.programs.operations.indexing import At, Cut, Key

__all__ = ["RULES"]


def _record(operation: str, x: Array, *more: Array, key: Key) -> Array:
    return x.recorder.record(operation, (x, *more), key=key)[0]


def _getitem(call: Call, g: Array) -> list[Array | None]:
    x, *positions = call.operands
    key = call["key"]
    if positions:
        return [_record("add_at", zeros(x), g, *positions, key=key), *(None for _ in positions)]
    # Slices and integers select nothing twice.
    new = [n for n, part in enumerate(p for p in key if not isinstance(p, int)) if part is None]
    if new:
        g = xp.squeeze(g, axis=tuple(new))
    return [_record("setitem", zeros(x), g, key=tuple(part for part in key if part is not None))]


def _setitem(call: Call, g: Array) -> list[Array | None]:
    """Of positions that are written twice the last one counts, and the cotangents of all are taken for it."""
    _, _, *positions = call.operands
    key = call["key"]
    zero = g.recorder.literal(0, g.dtype)
    return [
        _record("setitem", g, zero, *positions, key=key),
        _record("getitem", g, *positions, key=key) if call.needed[1] else None,
        *(None for _ in positions),
    ]


def _add_at(call: Call, g: Array) -> list[Array | None]:
    _, _, *positions = call.operands
    return [g, _record("getitem", g, *positions, key=call["key"]), *(None for _ in positions)]


def _take(call: Call, g: Array) -> list[Array | None]:
    x, indices = call.operands
    key = tuple(At(1) if n == call["axis"] else Cut() for n in range(x.ndim))
    return [_record("add_at", zeros(x), g, indices, key=key), None]


def _take_along_axis(call: Call, g: Array) -> list[Array | None]:
    x, indices = call.operands
    places: list[Any] = []
    for n, size in enumerate(x.shape):
        if n == call["axis"]:
            places.append(indices)
        elif size == 1:
            places.append(x.recorder.literal(0, int64))
        else:
            places.append(xp.reshape(xp.arange(size), (-1, *(1,) * (x.ndim - n - 1))))
    key = tuple(At(n) for n in range(1, x.ndim + 1))
    return [_record("add_at", zeros(x), g, *places, key=key), None]


RULES: dict[str, Rule] = {
    "getitem": _getitem, "setitem": _setitem, "add_at": _add_at, "take": _take, "take_along_axis": _take_along_axis,
}  # fmt: skip
"""The rules of this chapter, by operation."""
