"""The search for the cheapest plan of a pair: which axes are batch, rows, contracted, columns, in which memory order.

Each possibility is priced with the backend's `Costs`, and the cheapest is kept. The search is over layouts only; which
pair of operands comes first is `network`'s question, and what a plan is and how it runs is `planning`'s.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from tensoria.planning import (
    LETTERS,
    Costs,
    Kernels,
    Labels,
    Layout,
    Pattern,
    Plan,
    Shape,
    labelled,
    letters,
    sizes_of,
)

__all__ = ["plan_pair"]

THIN = 4
"""A product with fewer rows, columns or summands is bound by memory."""


def plan_pair(of: Pattern, shapes: tuple[Shape, Shape], kernels: Kernels, *, floating: bool, real: bool) -> Plan:
    """The cheapest way to contract two arrays.

    Args:
        of: which axes meet.
        shapes: of the two arrays, their anonymous leading axes included.
        kernels: the backend's native calls and what they cost.
        floating: whether the data type is one that BLAS multiplies.
        real: whether conjugation changes nothing.

    Raises:
        SizeConflictError: sizes do not fit.
    """
    terms, out = labelled(of, shapes)
    sizes = sizes_of(of, terms, shapes)
    renamed = {label: number for number, label in enumerate(dict.fromkeys(itertools.chain(*terms)))}
    text = ",".join("".join(LETTERS[renamed[x] % 52] for x in t) for t in terms)
    text += "->" + "".join(LETTERS[renamed[x] % 52] for x in out)
    solid = [
        {label for label, size in zip(term, shape, strict=True) if size != 1 or sizes[label] == 1}
        for term, shape in zip(terms, shapes, strict=True)
    ]
    left, left_einsum = _prepared(terms[0], solid[0], solid[1] | set(out))
    right, right_einsum = _prepared(terms[1], solid[1], solid[0] | set(out))
    flops = math.prod(sizes.values())
    shape = tuple(sizes[label] for label in out)
    best: Plan | None = None
    problem = _Problem(left, right, out, sizes, kernels.costs, floating)
    for plan in _candidates(problem, kernels, real, text, flops, shape):
        if best is None or plan.cost < best.cost:
            best = plan
    assert best is not None
    owns = (right_einsum, left_einsum) if best.swapped else (left_einsum, right_einsum)
    first, second = replace(best.first, einsum=owns[0]), replace(best.second, einsum=owns[1])
    return replace(best, equation=text, first=first, second=second)


def _prepared(term: Labels, solid: set[int], kept: set[int]) -> tuple[Labels, str | None]:
    """The labels left after one operand's own diagonals and sums, and the einsum that does these.

    Axes of size 1 that broadcast (not `solid`) are summed away: one term, so its value stays.
    """
    left = tuple(label for label in dict.fromkeys(term) if label in kept and label in solid)
    if left == term:
        return term, None
    local = {label: number for number, label in enumerate(dict.fromkeys(term))}
    return left, f"{letters([local[x] for x in term])}->{letters([local[x] for x in left])}"


class _Problem(NamedTuple):
    left: Labels
    right: Labels
    out: Labels
    sizes: dict[int, int]
    costs: Costs
    floating: bool

    def size(self, labels: Sequence[int]) -> int:
        return math.prod(self.sizes[label] for label in labels)


def _candidates(p: _Problem, kernels: Kernels, real: bool, text: str, flops: int, shape: Shape) -> Iterator[Plan]:
    contracted = [label for label in p.left if label in p.right and label not in p.out]
    missing = [label for label in p.out if label not in p.left and label not in p.right]
    assert not missing
    volume = p.size(p.out) * p.size(contracted)
    if p.costs.einsum < math.inf and len(p.sizes) <= 52:
        free = [p.size([x for x in p.out if x in term and x not in other]) for term, other in _both_ways(p)]
        thin = min(*free, p.size(contracted)) < THIN
        rate = p.costs.einsum_thin if thin or not p.floating else p.costs.einsum_rate
        cost = p.costs.einsum + rate * volume / 1e6
        whole = dict.fromkeys((*p.left, *p.right))
        local = {label: number for number, label in enumerate(whole)}
        own = f"{letters([local[x] for x in p.left])},{letters([local[x] for x in p.right])}->"
        own += letters([local[x] for x in p.out])
        yield Plan(own, f"einsum {own}", False, Layout(), Layout(), None, None, flops, shape, cost)
    if not contracted:
        yield _broadcast(p, text, flops, shape)
        if not p.costs.outer_as_gemm or any(label in p.right for label in p.left) or not p.left or not p.right:
            return
    if kernels.vecdot is not None and real and set(p.left) == set(p.right) and len(contracted) >= 1:
        plan = _vecdot(p, contracted, text, flops, shape)
        if plan is not None:
            yield plan
    yield from _products(p, contracted, text, flops, shape)


def _both_ways(p: _Problem) -> tuple[tuple[Labels, Labels], tuple[Labels, Labels]]:
    return (p.left, p.right), (p.right, p.left)


def _broadcast(p: _Problem, text: str, flops: int, shape: Shape) -> Plan:
    """No contracted axis: lay both operands out like the result, with 1 for what they lack, and multiply."""
    layouts = []
    cost = p.costs.multiply + p.costs.multiply_rate * p.size(p.out) / 1e6
    for term in (p.left, p.right):
        order = [label for label in p.out if label in term]
        perm = tuple(term.index(label) for label in order)
        spread = _spread(p, p.out, term)
        view = spread if len(spread) != len(order) else None
        permuted = perm != tuple(range(len(perm)))
        cost += permuted * p.costs.transpose + (view is not None) * p.costs.reshape
        if permuted and not p.costs.lazy_transpose:
            cost += _copying(p, term, perm)
        layouts.append(Layout(None, perm if permuted else None, view))
    return Plan(text, "multiply", False, layouts[0], layouts[1], None, None, flops, shape, cost)


def _spread(p: _Problem, labels: Sequence[int], term: Labels) -> Shape:
    """The shape in which a term broadcasts over labels: 1 for what it lacks, which is implied at the beginning."""
    first = next((n for n, label in enumerate(labels) if label in term), len(labels))
    return tuple(p.sizes[label] if label in term else 1 for label in labels[first:])


def _vecdot(p: _Problem, contracted: Sequence[int], text: str, flops: int, shape: Shape) -> Plan | None:
    order = (*p.out, *contracted)
    cost = p.costs.vecdot + p.costs.vecdot_rate * p.size(order) / 1e6
    layouts = []
    for term in (p.left, p.right):
        perm = tuple(term.index(label) for label in order)
        permuted = perm != tuple(range(len(perm)))
        merged = (*(p.sizes[x] for x in p.out), p.size(contracted)) if len(contracted) > 1 else None
        if permuted:
            cost += p.costs.transpose + _copying(p, term, perm)
        cost += p.costs.reshape * (merged is not None)
        layouts.append(Layout(None, perm if permuted else None, merged))
    return Plan(text, "vecdot", False, layouts[0], layouts[1], None, None, flops, shape, cost)


def _products(p: _Problem, contracted: Sequence[int], text: str, flops: int, shape: Shape) -> Iterator[Plan]:
    """Every arrangement as a (batched) matrix product of rows x contracted and contracted x columns."""
    for swapped in (False, True):
        x, y = (p.right, p.left) if swapped else (p.left, p.right)
        shared = [label for label in p.out if label in x and label in y]
        for batch in _prefixes(p.out, x, y, shared):
            free_x = [label for label in x if label not in y and label not in batch]
            free_y = [label for label in y if label not in x and label not in batch]
            for rows in _orders(free_x, p.out):
                for columns in _orders(free_y, p.out):
                    for inner in _orders([label for label in x if label in contracted], y):
                        yield _product(p, swapped, x, y, batch, rows, columns, inner, text, flops, shape)


def _prefixes(out: Labels, x: Labels, y: Labels, shared: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Batch axes: the shared labels alone, or a leading part of the result whose unshared labels are on one side."""
    yield tuple(shared)
    for length in range(1, len(out) + 1):
        prefix = out[:length]
        if not set(shared) <= set(prefix) or prefix == tuple(shared):
            continue
        if all(label in x for label in prefix) or all(label in y for label in prefix):
            yield prefix


def _orders(labels: list[int], like: Sequence[int]) -> list[tuple[int, ...]]:
    own = tuple(labels)
    other = tuple(label for label in like if label in own)
    return [own] if own == other else [own, other]


def _product(
    p: _Problem,
    swapped: bool,
    x: Labels,
    y: Labels,
    batch: tuple[int, ...],
    rows: tuple[int, ...],
    columns: tuple[int, ...],
    inner: tuple[int, ...],
    text: str,
    flops: int,
    shape: Shape,
) -> Plan:
    vector_x, vector_y = (not rows and bool(inner)) and not batch, (not columns and bool(inner)) and not batch
    first, cost_x = _arranged(p, x, batch, rows, inner, vector_x, leading=True)
    second, cost_y = _arranged(p, y, batch, columns, inner, vector_y, leading=False)
    natural = (*batch, *rows, *columns)
    grouped: Shape = tuple(p.sizes[label] for label in batch)
    grouped += (() if vector_x else (p.size(rows),)) + (() if vector_y else (p.size(columns),))
    full = tuple(p.sizes[label] for label in natural)
    out_shape = full if full != grouped else None
    perm = tuple(natural.index(label) for label in p.out)
    out_perm = perm if perm != tuple(range(len(perm))) else None
    matrices = p.size(batch)
    volume = p.size(natural) * p.size(inner)
    rate = p.costs.gemm if p.floating else p.costs.integer
    # A product with a vector is bound by memory, not by arithmetic.
    thin = min(p.size(rows), p.size(columns), p.size(inner)) < THIN
    cost = cost_x + cost_y + rate * volume / 1e6 * (4 if thin and p.floating else 1)
    cost += p.costs.batched + p.costs.batch * matrices if batch else p.costs.call
    cost += p.costs.vector * (vector_x or vector_y) + p.costs.reshape * (out_shape is not None)
    if out_perm is not None:
        # A transposed result is a view that later operations pay for, or a copy now.
        cost += p.costs.transpose + p.costs.copy * p.size(natural) / 1e6 * (0.5 if p.costs.lazy_transpose else 1)
    kernel = "matmul" if batch else "dot"
    flags = ("t" if first.transposed else "n") + ("t" if second.transposed else "n")
    if flags != "nn":
        kernel += "_" + flags
    elif vector_y:
        kernel = "inner" if vector_x else "matvec"
    return Plan(text, kernel, swapped, first, second, out_shape, out_perm, flops, shape, cost)


def _arranged(
    p: _Problem,
    term: Labels,
    batch: tuple[int, ...],
    free: tuple[int, ...],
    inner: tuple[int, ...],
    vector: bool,
    leading: bool,
) -> tuple[Layout, float]:
    """The cheaper of the two memory orders of one operand: (batch, free, inner) and (batch, inner, free)."""
    mine = tuple(label for label in batch if label in term)
    ones = _spread(p, batch, term)
    best: tuple[Layout, float] | None = None
    for natural in (True, False):
        groups = (free, inner) if natural else (inner, free)
        order = (*mine, *groups[0], *groups[1])
        perm = tuple(term.index(label) for label in order)
        permuted = perm != tuple(range(len(perm)))
        target: Shape = (p.size(inner),) if vector else (*ones, p.size(groups[0]), p.size(groups[1]))
        current = tuple(p.sizes[label] for label in order)
        reshaped = target != current
        cost = p.costs.transpose * permuted + p.costs.reshape * reshaped
        if permuted:
            mergeable = all(_adjacent(term, group) for group in groups)
            strided = not vector and term[-1] not in (groups[0][-1:] + groups[1][-1:])
            if not p.costs.lazy_transpose or not mergeable or strided:
                cost += _copying(p, term, perm) + p.costs.reshape
        transposed = (natural != leading) and not vector
        layout = Layout(None, perm if permuted else None, target if reshaped else None, transposed)
        cost += 0.1 * p.costs.reshape * transposed
        if best is None or cost < best[1]:
            best = layout, cost
        if vector or not free:
            break
    assert best is not None
    return best


def _copying(p: _Problem, term: Labels, perm: tuple[int, ...]) -> float:
    rate = p.costs.copy_rows if perm[-1] == len(term) - 1 else p.costs.copy
    return rate * p.size(term) / 1e6


def _adjacent(term: Labels, group: tuple[int, ...]) -> bool:
    if len(group) < 2:
        return True
    start = term.index(group[0])
    return term[start : start + len(group)] == group
