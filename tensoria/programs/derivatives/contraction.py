"""Derivatives of products: each operand's cotangent is the contraction of the result's with all other operands."""

from __future__ import annotations

from tensoria.planning import pattern
from tensoria.programs.derivatives.rule import Array, Call, Rule, matrix_transpose, xp

__all__ = ["RULES"]


def _contract(call: Call, g: Array) -> list[Array | None]:
    return [_of_operand(call, g, n) if needed else None for n, needed in enumerate(call.needed)]


def _of_operand(call: Call, g: Array, n: int) -> Array:
    of, x = call["pattern"], call.operands[n]
    term: tuple[int, ...] = of.terms[n]
    labels = tuple(dict.fromkeys(term))
    others = [m for m in range(len(of.terms)) if m != n]
    met = {*of.out, *(label for m in others for label in of.terms[m])}
    reached = tuple(label for label in labels if label in met)
    terms = (of.out, *(of.terms[m] for m in others))
    g = g.recorder.record(
        "contract", (g, *(call.operands[m] for m in others)), pattern=pattern(terms, reached, of.strict)
    )[0]
    lead = g.ndim - len(reached)
    # A label that is this operand's alone was summed; one whose size is 1 everywhere else was broadcast.
    alone = tuple(lead + place for place, label in enumerate(labels) if label not in met)
    if alone:
        g = xp.expand_dims(g, axis=alone)
    sizes = dict(zip(term, x.shape[x.ndim - len(term) :], strict=True))
    wide = tuple(sizes[label] if g.shape[lead + p] == 1 else g.shape[lead + p] for p, label in enumerate(labels))
    g = xp.broadcast_to(g, (*g.shape[:lead], *wide))
    return g if len(labels) == len(term) else _on_diagonal(g, labels, term, sizes, of.strict)


def _on_diagonal(
    g: Array, labels: tuple[int, ...], term: tuple[int, ...], sizes: dict[int, object], strict: frozenset[int]
) -> Array:
    """A cotangent on the diagonal that a repeated label has selected."""
    fresh = max(term) + 1
    eyes, terms, out = [], [labels], []
    for place, label in enumerate(term):
        if label in term[:place]:
            eyes.append(xp.eye(sizes[label], dtype=g.dtype))
            terms.append((label, fresh))
            label, fresh = fresh, fresh + 1
        out.append(label)
    of = pattern(tuple(terms), tuple(out), frozenset(strict))
    return g.recorder.record("contract", (g, *eyes), pattern=of)[0]


def _matmul(call: Call, g: Array) -> list[Array | None]:
    a, b = call.operands
    if a.ndim == 1 and b.ndim == 1:
        return [g * b, g * a]
    if a.ndim == 1:
        column = xp.expand_dims(g, axis=-1)
        return [(b @ column)[..., 0], xp.expand_dims(a, axis=-1) * xp.expand_dims(g, axis=-2)]
    if b.ndim == 1:
        column = xp.expand_dims(g, axis=-1)
        return [column * b, (matrix_transpose(a) @ column)[..., 0]]
    return [g @ matrix_transpose(b) if call.needed[0] else None, matrix_transpose(a) @ g if call.needed[1] else None]


RULES: dict[str, Rule] = {"contract": _contract, "matmul": _matmul}
"""The rules of this chapter, by operation."""
