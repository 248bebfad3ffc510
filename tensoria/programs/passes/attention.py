"""Attention that is written out: the products of queries and keys, their softmax, and its product with values."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from tensoria.programs.operations.indexing import Cut
from tensoria.programs.passes.matching import Patterns, Work, number_of, sizes_of
from tensoria.programs.types import Instruction, Literal, Operand

__all__ = ["ATTENTION", "kind_of"]


def kind_of(work: Work, x: Operand) -> str:
    """What is known of an array of constants: `true`, `one`, `zero`, or the lower triangle."""
    if isinstance(x, Literal):
        if x.dtype.kind == "bool":
            return "true" if x.number else "zero"
        return {1: "one", 0: "zero"}.get(x.number, "")  # type: ignore[call-overload, no-any-return]
    made = work.makers.get(x)
    if made is None:
        return _constant(work.arrays.get(x))
    first = made.operands[0] if made.operands else None
    if made.operation in ("broadcast_to", "full", "reshape", "expand_dims") and first is not None:
        return kind_of(work, first) if made.operation != "reshape" or sizes_of(first) == sizes_of(x) else ""
    if made.operation == "getitem" and len(made.operands) == 1 and sizes_of(made.operands[0]) == sizes_of(x):
        forwards = all(not isinstance(part, Cut) or part.step == 1 for part in made.attributes["key"])
        return kind_of(work, made.operands[0]) if forwards else ""
    if made.operation == "astype" and first is not None:
        inner = kind_of(work, first)
        boolean = made.attributes["dtype"].kind == "bool"
        return {"true": "one", "one": "one"}.get(inner, inner) if not boolean else {"one": "true"}.get(inner, inner)
    if made.operation == "tril" and made.attributes["k"] == 0 and first is not None:
        return "triangle" if kind_of(work, first) in ("one", "true") else ""
    if made.operation == "not_equal" and number_of(made.operands[1]) == 0 and first is not None:
        inner = kind_of(work, first)
        return {"one": "true"}.get(inner, inner)
    if made.operation == "logical_and":
        kinds = [kind_of(work, of) for of in made.operands]
        if "true" in kinds:
            kinds.remove("true")
            return kinds[0]
        return "triangle" if kinds == ["triangle", "triangle"] else ""
    return ""


def _constant(array: Any) -> str:
    if array is None or str(getattr(array, "dtype", "")) != "bool" or not array.ndim:
        return ""
    if array.all():
        return "true"
    lower = np.tril(np.ones(array.shape[-2:], bool)) if array.ndim > 1 else True
    return "triangle" if (array == lower).all() else ""


def _filled(work: Work, x: Operand) -> float | None:
    """The number that every component of an array is."""
    if isinstance(x, Literal):
        return number_of(x)
    made = work.makers.get(x)
    if made is None:
        array = work.arrays.get(x)
        if not isinstance(array, np.ndarray) or array.dtype.kind != "f" or not array.size:
            return None
        return float(array.flat[0]) if (array == array.flat[0]).all() else None
    if made.operation in ("full", "broadcast_to", "reshape", "expand_dims"):
        return _filled(work, made.operands[0])
    if made.operation == "add":
        numbers = [_filled(work, of) for of in made.operands]
        return sum(of for of in numbers if of is not None) if None not in numbers else None
    return None


def _attention(work: Work, made: Instruction) -> Any:
    """softmax(scale q k + mask) v over heads, for the orders of axes in which products of three are written."""
    if len(made.operands) != 2:
        return None
    for weights, value in (made.operands, made.operands[::-1]):
        soft = work.maker(weights, "softmax")
        if soft is None or soft.attributes["axis"] != weights.type.ndim - 1 or weights.type.ndim != 4:
            continue
        found = _scores(work, soft.operands[0])
        if found is None:
            continue
        product, scale, causal = found
        if product.operation != "contract":
            continue
        order = _orders(product, made, weights, value)
        if order is None:
            continue
        query, key, orders, out = order
        arrays = [
            work.turned(made, of, axes) for of, axes in zip((query, key, value), orders, strict=True)
        ]
        attributes = {"causal": causal, "scale": scale}
        if out == (0, 1, 2, 3):
            return ("attention", tuple(arrays), attributes)
        whole = work.one(made, "attention", *arrays, **attributes)
        return ("permute_dims", (whole,), {"axes": out})
    return None


def _scores(work: Work, x: Operand) -> tuple[Instruction, float, bool] | None:
    """The product of queries and keys, its scale, and whether what lies ahead is masked."""
    causal = False
    masked = work.maker(x, "where")
    if masked is not None:
        condition, x, least = masked.operands
        number, square = _filled(work, least), x.type.shape[-2:]
        if number is None or number > -1e30 or kind_of(work, condition) != "triangle":
            return None
        if square[0] != square[1] or condition.type.shape[-2:] != square:
            return None
        causal = True
    scale = 1.0
    product = work.maker(x, "contract", "matmul")
    if product is None:
        for inner, factor in work.both(x, "multiply"):
            found, times = work.maker(inner, "contract", "matmul"), number_of(factor)
            if found is not None and times is not None:
                product, scale = found, times
        for inner, factor in work.pairs(x, "divide"):
            found, times = work.maker(inner, "contract", "matmul"), number_of(factor)
            if found is not None and times:
                product, scale = found, 1 / times
    if product is None or len(product.operands) != 2:
        return None
    return product, scale, causal


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
    if soft is None or weights.type.ndim < 2 or soft.attributes["axis"] != weights.type.ndim - 1:
        return None
    found = _scores(work, soft.operands[0])
    if found is None or found[0].operation != "matmul":
        return None
    product, scale, causal = found
    query, turned = product.operands
    if not query.type.shape[:-2] == turned.type.shape[:-2] == value.type.shape[:-2] == weights.type.shape[:-2]:
        return None
    if min(x.type.ndim for x in (query, turned, value)) < 2:
        return None
    last = turned.type.ndim - 1
    key = work.turned(made, turned, (*range(last - 1), last, last - 1))
    return ("attention", (query, key, value), {"causal": causal, "scale": scale})


ATTENTION: Final[Patterns] = {"contract": (_attention,), "matmul": (_by_matrices,)}
"""The last product of attention."""
