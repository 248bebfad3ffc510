"""Attention that is written out: the products of queries and keys, their softmax, and its product with values."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Final

from tensoria.programs.dimensions import Dim
from tensoria.programs.passes.masks import always_some, filled, kind_of
from tensoria.programs.passes.matching import Patterns, Work, number_of
from tensoria.programs.types import Instruction, Literal, Operand

__all__ = ["ATTENTION"]

LEAST: Final = -1e30
"""Numbers below take up any score that is added to them, and leave a weight of 0 beside whatever is seen."""


def _attention(work: Work, made: Instruction) -> Any:
    """softmax(scale q k + mask) v over heads, for the orders of axes in which products of three are written."""
    if len(made.operands) != 2:
        return None
    for weights, value in (made.operands, made.operands[::-1]):
        soft = work.maker(weights, "softmax")
        if soft is None or soft.attributes["axis"] != weights.type.ndim - 1 or weights.type.ndim != 4:
            continue
        found = _scores(work, soft.operands[0])
        if found is None or found.product.operation != "contract":
            continue
        order = _orders(found.product, made, weights, value)
        if order is None:
            continue
        query, key, orders, out = order
        masked = _masked(work, made, found, 4)
        if masked is None:
            continue
        *pair, scale = _unscaled(work, found.scale, query, key)
        arrays = [work.turned(made, of, axes) for of, axes in zip((*pair, value), orders, strict=True)]
        mask, causal = masked
        attributes = {"causal": causal, "scale": scale}
        if out == (0, 1, 2, 3):
            return ("attention", (*arrays, *mask), attributes)
        whole = work.one(made, "attention", *arrays, *mask, **attributes)
        return ("permute_dims", (whole,), {"axes": out})
    return None


def _unscaled(work: Work, scale: float, *operands: Operand) -> tuple[Any, ...]:
    """Queries and keys before they were scaled by numbers, and the scale of their products."""
    out: list[Any] = []
    for x in operands:
        for inner, factor in work.both(x, "multiply") if work.once(x) else ():
            times = number_of(factor)
            if times is not None:
                x, scale = inner, scale * times
                break
        for inner, factor in work.pairs(x, "divide") if work.once(x) else ():
            times = number_of(factor)
            if times:
                x, scale = inner, scale / times
        out.append(x)
    return (*out, scale)


# -- scores and masks -------------------------------------------------------------------------------------------------


@dataclass
class _Scores:
    """What the softmax is taken of.

    Attributes:
        product: the product of queries and keys.
        scale: what it is multiplied by.
        causal: whether what lies ahead is hidden.
        added: what is added to it.
        seen: truth values, false where it is hidden.
    """

    product: Instruction
    scale: float = 1.0
    causal: bool = False
    added: list[Operand] = field(default_factory=list)
    seen: list[Operand] = field(default_factory=list)


def _scores(work: Work, x: Operand) -> _Scores | None:
    """What the softmax is taken of: masks from the last one to the first, the scale, the product."""
    product = work.maker(x, "contract", "matmul")
    if product is not None:
        return _Scores(product) if len(product.operands) == 2 else None
    for inner, of in (*work.both(x, "multiply"), *work.pairs(x, "divide")):
        times, scaled = number_of(of), work.maker(inner, "contract", "matmul")
        if times and scaled is not None and len(scaled.operands) == 2:
            return _Scores(scaled, times if work.maker(x, "multiply") is not None else 1 / times)
    masked = work.maker(x, "where")
    if masked is not None:
        return _chosen(work, masked)
    for inner, mask in work.both(x, "add"):
        if inner.type.shape == x.type.shape and work.once(inner):
            found = _scores(work, inner)
            if found is not None:
                return _plus(work, found, mask)
    before = work.maker(x, "reshape")
    if before is not None and before.operands[0].type.shape[-2:] == x.type.shape[-2:] and x.type.ndim > 2:
        found = _scores(work, before.operands[0])
        return None if found is None else _seen_as(work, before, found)
    return None


def _chosen(work: Work, made: Instruction) -> _Scores | None:
    """Scores where a condition holds, elsewhere so little that nothing is seen there; or the other way round."""
    condition, *choices = made.operands
    for n, (x, least) in enumerate((choices, choices[::-1])):
        number = filled(work, least)
        found = _scores(work, x) if number is not None and number <= LEAST else None
        if found is None or number is None or x.type.shape != made.results[0].type.shape:
            continue
        if number > -math.inf:
            if found.added or found.seen or found.causal:
                return None  # what is hidden by a number is seen where other masks hide more
            # The number takes up any score, so that it is the same whether it is put there or added.
            both = (Literal(0.0, x.type.dtype), Literal(number, x.type.dtype))
            found.added.append(work.one(made, "where", condition, *(both[::-1] if n else both)))
        elif kind_of(work, condition) == ("ahead" if n else "triangle") and _square(condition, x):
            found.causal = True
        elif work.exact and not always_some(work, condition, bool(n)):
            return None
        else:
            found.seen.append(work.one(made, "logical_not", condition) if n else condition)
        return found
    return None


def _plus(work: Work, found: _Scores, mask: Operand) -> _Scores | None:
    """Scores to which a mask is added."""
    if _ahead(work, found, mask) == -math.inf:
        found.causal = True
        return found
    made = work.maker(work.plain(mask), "where")
    for n, choice in enumerate(made.operands[1:] if made is not None else ()):
        infinite = filled(work, choice) == -math.inf
        if infinite and work.exact and not always_some(work, made.operands[0], not n):  # type: ignore[union-attr]
            return None
    found.added.append(mask)
    return found


def _ahead(work: Work, found: _Scores, mask: Operand) -> float | None:
    """The number with which a mask that is added hides what lies ahead, if it does that and no more."""
    made, number = work.maker(work.plain(mask), "where", "triu"), None
    if made is None or not _square(made.results[0], found.product.results[0]):
        return None
    if made.operation == "triu":
        number = filled(work, made.operands[0]) if made.attributes["k"] == 1 else None
    elif _square(made.operands[0], found.product.results[0]):
        kind, (x, y) = kind_of(work, made.operands[0]), (filled(work, of) for of in made.operands[1:])
        number = y if (kind, x) == ("triangle", 0) else x if (kind, y) == ("ahead", 0) else None
    return number if number is not None and number <= LEAST else None


def _square(mask: Operand, scores: Operand) -> bool:
    """Whether a triangle is one over all queries and keys, of which there are as many."""
    rows, columns = scores.type.shape[-2:]
    return rows == columns and mask.type.shape[-2:] == (rows, columns)


def _seen_as(work: Work, made: Instruction, found: _Scores) -> _Scores | None:
    """Scores with other axes before the last two, and their masks likewise."""
    before, after = made.operands[0].type.shape[:-2], made.results[0].type.shape[:-2]
    for masks in (found.added, found.seen):
        for n, mask in enumerate(masks):
            lead = mask.type.shape[:-2]
            if all(not isinstance(size, Dim) and size == 1 for size in lead):
                continue  # alike for all
            if lead != before:
                return None
            masks[n] = work.one(made, "reshape", mask, shape=(*after, *mask.type.shape[-2:]))
    return found


def _masked(work: Work, made: Instruction, found: _Scores, ndim: int) -> tuple[tuple[Operand, ...], bool] | None:
    """All masks as one, or none, and whether what lies ahead is hidden besides."""
    if any(mask.type.ndim > ndim for mask in (*found.added, *found.seen)):
        return None
    if len(found.added) == 1 and not found.seen and not found.causal and _ahead(work, found, found.added[0]):
        return (), True
    one: Operand | None = None
    for mask in found.seen:
        one = mask if one is None else work.one(made, "logical_and", one, mask)
    added: Operand | None = None
    for mask in found.added:
        added = mask if added is None else work.one(made, "add", added, mask)
    if one is not None and added is not None:
        added = work.one(made, "where", one, added, Literal(-math.inf, added.type.dtype))
    whole = one if added is None else added
    return () if whole is None else (whole,), found.causal


def _orders(product: Instruction, made: Instruction, weights: Operand, value: Operand) -> Any:
    """Queries, keys, the orders of axes that make them (batch, heads, place, size), and that of the result."""
    first, last = product.attributes["pattern"], made.attributes["pattern"]
    swapped = made.operands[0] is not weights
    w_term, v_term = last.terms[::-1] if swapped else last.terms
    batch, heads, rows, columns = first.out
    # The same letters in the second product: those of the weights are those of the scores.
    letters = dict(zip(w_term, first.out, strict=True))
    size = next(iter(set(v_term) - set(w_term)), None)
    if size is None or len(v_term) != 4 or len(set(v_term)) != 4:
        return None
    names = {**letters, size: -1}
    v = [names.get(n) for n in v_term]
    out = [names.get(n) for n in last.out]
    for q_at, k_at in ((0, 1), (1, 0)):
        q, k = first.terms[q_at], first.terms[k_at]
        if not (rows in q and columns in k and rows not in k and columns not in q):
            continue
        shared = set(q) & set(k) - {batch, heads}
        if len(shared) != 1 or len(q) != 4 or len(k) != 4:
            continue
        (inner,) = shared
        wanted = [(batch, heads, rows, inner), (batch, heads, columns, inner), (batch, heads, columns, -1)]
        given = [q, k, v]
        if any(sorted(map(str, a)) != sorted(map(str, b)) for a, b in zip(wanted, given, strict=True)):
            continue
        if sorted(map(str, out)) != sorted(map(str, (batch, heads, rows, -1))):
            continue
        orders = [tuple(list(b).index(n) for n in a) for a, b in zip(wanted, given, strict=True)]
        result = tuple((batch, heads, rows, -1).index(n) for n in out)
        return product.operands[q_at], product.operands[k_at], orders, result
    return None


def _by_matrices(work: Work, made: Instruction) -> Any:
    """softmax(scale q k^T + mask) v as products of matrices, with the same axes before them."""
    weights, value = made.operands
    soft = work.maker(weights, "softmax")
    moved = work.maker(weights, "reshape")
    if moved is not None and moved.operands[0].type.shape[-2:] == weights.type.shape[-2:]:
        soft = work.maker(moved.operands[0], "softmax")
    if soft is None or min(x.type.ndim for x in (weights, value, *soft.results)) < 2:
        return None
    scores = soft.operands[0]
    found = _scores(work, scores) if soft.attributes["axis"] == scores.type.ndim - 1 else None
    if found is None or found.product.operation != "matmul":
        return None
    query, turned = found.product.operands
    if min(query.type.ndim, turned.type.ndim) < 2:
        return None
    lead, last = scores.type.shape[:-2], turned.type.ndim - 1
    before, after = found.product.results[0].type.shape[:-2], weights.type.shape[:-2]
    if not lead == before == after and (
        not query.type.shape[:-2] == turned.type.shape[:-2] == before or value.type.shape[:-2] != after
    ):
        return None  # what is shared between heads is not where their axes are others
    masked = _masked(work, made, found, scores.type.ndim)
    if masked is None:
        return None
    mask, causal = masked
    query, turned, scale = _unscaled(work, found.scale, query, turned)
    key = work.turned(made, turned, (*range(last - 1), last, last - 1))
    query, key, scale = _unscaled(work, scale, query, key)
    arrays = [query, key, value]
    for n, x in enumerate(arrays if not lead == before == after else ()):
        if x.type.shape[:-2] != lead:
            arrays[n] = work.one(made, "reshape", x, shape=(*lead, *x.type.shape[-2:]))
    attributes = {"causal": causal, "scale": scale}
    if lead == after:
        return ("attention", (*arrays, *mask), attributes)
    whole = work.one(made, "attention", *arrays, *mask, **attributes)
    return ("reshape", (whole,), {"shape": made.results[0].type.shape})


ATTENTION: Final[Patterns] = {"contract": (_attention,), "matmul": (_by_matrices,)}
"""The last product of attention."""
