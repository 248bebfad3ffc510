"""Derivatives of operations that move components: the cotangents are moved back, and summed where one was repeated."""

from __future__ import annotations

from tensoria.programs.derivatives.rule import Array, Call, Rule, xp
from tensoria.programs.dimensions import Size

__all__ = ["RULES"]


def _reshape(call: Call, g: Array) -> list[Array | None]:
    return [xp.reshape(g, call.operands[0].shape)]


def _permute(call: Call, g: Array) -> list[Array | None]:
    axes = call["axes"]
    return [xp.permute_dims(g, tuple(axes.index(n) for n in range(len(axes))))]


def _broadcast_to(call: Call, g: Array) -> list[Array | None]:
    return [g]


def _concat(call: Call, g: Array) -> list[Array | None]:
    parts: list[Array | None] = []
    start: Size = 0
    for x in call.operands:
        stop = start + x.shape[call["axis"]]
        parts.append(g[(*(slice(None),) * call["axis"], slice(start, stop))])
        start = stop
    return parts


def _stack(call: Call, g: Array) -> list[Array | None]:
    return [g[(*(slice(None),) * call["axis"], n)] for n in range(len(call.operands))]


def _flip(call: Call, g: Array) -> list[Array | None]:
    return [xp.flip(g, axis=call["axes"])]


def _roll(call: Call, g: Array) -> list[Array | None]:
    return [xp.roll(g, tuple(-n for n in call["shifts"]), axis=call["axes"])]


def _repeat(call: Call, g: Array) -> list[Array | None]:
    shape, axis = call.operands[0].shape, call["axis"]
    split = xp.reshape(g, (*shape[: axis + 1], call["repeats"], *shape[axis + 1 :]))
    return [xp.sum(split, axis=axis + 1)]


def _tile(call: Call, g: Array) -> list[Array | None]:
    pairs = zip(call["repetitions"], call.operands[0].shape, strict=True)
    split = xp.reshape(g, tuple(size for pair in pairs for size in pair))
    return [xp.sum(split, axis=tuple(range(0, split.ndim, 2)))]


def _triangle(name: str) -> Rule:
    return lambda call, g: [getattr(xp, name)(g, k=call["k"])]


RULES: dict[str, Rule] = {
    "reshape": _reshape, "permute_dims": _permute, "expand_dims": _reshape, "squeeze": _reshape,
    "broadcast_to": _broadcast_to, "concat": _concat, "stack": _stack, "flip": _flip, "roll": _roll,
    "repeat": _repeat, "tile": _tile, "tril": _triangle("tril"), "triu": _triangle("triu"),
}  # fmt: skip
"""The rules of this chapter, by operation."""
