"""Contractions become matrix products between transposes and reshapes, which every framework has.

A pair is brought into the form (batch, rows, contracted) x (batch, contracted, columns) -> (batch, rows, columns).
Labels that one operand alone has and the result has not are summed first; an operand with the same label twice gives
its diagonal first. Three and more operands are contracted in the order that structure alone suggests.
"""

from __future__ import annotations

from collections.abc import Sequence

from tensoria.network import structural_path
from tensoria.planning import Pattern
from tensoria.programs.base import P
from tensoria.programs.dimensions import Size, product
from tensoria.programs.operations.elementwise import broadcast
from tensoria.programs.passes.rewriting import Builder, rewritten
from tensoria.programs.types import Instruction, Operand

__all__ = ["lower_contractions"]

Labels = tuple[int, ...]


def lower_contractions(program: P) -> P:
    """The program with `matmul` in place of `contract`."""
    return rewritten(program, _rewrite)


def _rewrite(builder: Builder, made: Instruction) -> tuple[Operand] | None:
    if made.operation != "contract":
        return None
    pattern: Pattern = made.attributes["pattern"]
    left = list(made.operands)
    if len(left) == 1:
        return (_single(builder, left[0], pattern.terms[0], pattern.out),)
    if len(left) == 2:
        return (_pair(builder, left[0], left[1], pattern),)
    for (i, j), pair in structural_path(pattern, tuple(operand.type.ndim for operand in left)):
        second, first = left.pop(j), left.pop(i)
        left.append(_pair(builder, first, second, pair))
    return (left[0],)


# -- one operand ------------------------------------------------------------------------------------------------------


def _single(builder: Builder, x: Operand, term: Labels, out: Labels) -> Operand:
    """Traces and diagonals, sums, and the order of axes of one operand; leading axes stay in front."""
    x, term = _diagonals(builder, x, term)
    x, term = _summed(builder, x, term, set(out))
    lead = x.type.ndim - len(term)
    order = (*range(lead), *(lead + term.index(label) for label in out))
    return x if order == tuple(range(len(order))) else builder.add("permute_dims", (x,), axes=order)


def _diagonals(builder: Builder, x: Operand, term: Labels) -> tuple[Operand, Labels]:
    for label in term:
        while term.count(label) > 1:
            lead = x.type.ndim - len(term)
            first = lead + term.index(label)
            second = lead + term.index(label, first - lead + 1)
            rest = [n for n in range(x.type.ndim) if n not in (first, second)]
            x = builder.add("permute_dims", (x,), axes=(*rest, first, second))
            x = builder.add("linalg.diagonal", (x,), offset=0)
            # The diagonal is the last axis now.
            labels = [label_ for n, label_ in enumerate(term, lead) if n not in (first, second)]
            term = (*labels, label)
    return x, term


def _summed(builder: Builder, x: Operand, term: Labels, kept: set[int]) -> tuple[Operand, Labels]:
    lead = x.type.ndim - len(term)
    gone = tuple(n for n, label in enumerate(term, lead) if label not in kept)
    if gone:
        x = builder.add("sum", (x,), axes=gone, keepdims=False)
    return x, tuple(label for label in term if label in kept)


# -- two operands -----------------------------------------------------------------------------------------------------


def _pair(builder: Builder, a: Operand, b: Operand, pattern: Pattern) -> Operand:
    a, left = _diagonals(builder, a, pattern.terms[0])
    b, right = _diagonals(builder, b, pattern.terms[1])
    out = pattern.out
    # Size 1 against another size broadcasts: such an axis has nothing to contract with, and goes.
    a, left = _unit_axes(builder, a, left, b, right)
    b, right = _unit_axes(builder, b, right, a, left)
    a, left = _summed(builder, a, left, {*right, *out})
    b, right = _summed(builder, b, right, {*left, *out})
    free = [label for label in out if (label in left) != (label in right)]
    if free and free[0] in right and free[-1] in left and a.type.ndim == len(left) and b.type.ndim == len(right):
        a, left, b, right = b, right, a, left  # the result's order needs no transpose then
    lead_a, lead_b = a.type.ndim - len(left), b.type.ndim - len(right)
    leads = (a.type.shape[:lead_a], b.type.shape[:lead_b])
    both = [label for label in left if label in right]
    batch = [label for label in out if label in both]
    met = [label for label in both if label not in out]
    rows = [label for label in out if label in left and label not in right]
    columns = [label for label in out if label in right and label not in left]
    sizes: dict[int, Size] = dict(zip(left, a.type.shape[lead_a:], strict=True))
    sizes.update(zip(right, b.type.shape[lead_b:], strict=True))
    lead = broadcast(leads, "leading axes")
    if not met:
        return _outer(builder, (a, left), (b, right), out)
    x = _ordered(builder, a, left, [*batch, *rows, *met])
    y = _ordered(builder, b, right, [*batch, *met, *columns])
    x = _reshaped(builder, x, (*leads[0], *(sizes[n] for n in batch), _merged(rows, sizes), _merged(met, sizes)))
    y = _reshaped(builder, y, (*leads[1], *(sizes[n] for n in batch), _merged(met, sizes), _merged(columns, sizes)))
    z: Operand = builder.add("matmul", _aligned(builder, x, y, len(batch) + 2))
    z = _reshaped(builder, z, (*lead, *(sizes[n] for n in (*batch, *rows, *columns))))
    return _ordered(builder, z, (*batch, *rows, *columns), out)


def _unit_axes(builder: Builder, x: Operand, term: Labels, other: Operand, others: Labels) -> tuple[Operand, Labels]:
    lead, lead_other = x.type.ndim - len(term), other.type.ndim - len(others)
    gone = tuple(
        n for n, label in enumerate(term, lead)
        if label in others and x.type.shape[n] == 1 and other.type.shape[lead_other + others.index(label)] != 1
    )  # fmt: skip
    if gone:
        x = builder.add("squeeze", (x,), axes=gone)
    return x, tuple(label for n, label in enumerate(term, lead) if n not in gone)


def _aligned(builder: Builder, x: Operand, y: Operand, core: int) -> tuple[Operand, Operand]:
    """Operands of `matmul` whose leading axes broadcast from the right, in front of batch axes."""
    counts = x.type.ndim - core, y.type.ndim - core
    if counts[0] == counts[1]:
        return x, y
    short, count = (x, counts[1] - counts[0]) if counts[0] < counts[1] else (y, counts[0] - counts[1])
    made = builder.add("reshape", (short,), shape=(*(1,) * count, *short.type.shape))
    return (made, y) if short is x else (x, made)


def _outer(builder: Builder, a: tuple[Operand, Labels], b: tuple[Operand, Labels], out: Labels) -> Operand:
    """A product without a sum: both operands with the result's axes, of size 1 where they have none."""
    spread = []
    for x, term in (a, b):
        own = x.type.ndim - len(term)
        x = _ordered(builder, x, term, [label for label in out if label in term])
        axes = iter(x.type.shape[own:])
        shape = (*x.type.shape[:own], *(next(axes) if label in term else 1 for label in out))
        spread.append(_reshaped(builder, x, shape))
    return builder.add("multiply", spread)


def _ordered(builder: Builder, x: Operand, term: Sequence[int], order: Sequence[int]) -> Operand:
    lead = x.type.ndim - len(term)
    axes = (*range(lead), *(lead + list(term).index(label) for label in order))
    return x if axes == tuple(range(len(axes))) else builder.add("permute_dims", (x,), axes=axes)


def _reshaped(builder: Builder, x: Operand, shape: tuple[Size, ...]) -> Operand:
    return x if shape == x.type.shape else builder.add("reshape", (x,), shape=shape)


def _merged(labels: Sequence[int], sizes: dict[int, Size]) -> Size:
    return product(sizes[label] for label in labels)
