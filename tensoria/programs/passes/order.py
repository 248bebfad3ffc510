"""Products of products are computed in the cheapest order: `(A @ B) @ v` as `A @ (B @ v)`.

Matrix products, contractions and permutations whose result is used once, by another of them, are one contraction of
all their operands. opt_einsum finds its cheapest order, and if that has fewer multiply-adds than the order in which
the program was written, its pairs stand in the program instead. Sizes that are not known count as some number.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Final

from tensoria.network import UNKNOWN, find_path, pairwise
from tensoria.planning import Pattern, pattern
from tensoria.programs.base import P
from tensoria.programs.dimensions import Size
from tensoria.programs.passes.rewriting import Builder, rewritten
from tensoria.programs.types import Instruction, Operand, Region, regions

__all__ = ["order_contractions"]

Labels = tuple[int, ...]
PRODUCTS: Final = frozenset(("contract", "matmul", "permute_dims"))
LIMIT: Final = 16
"""So many operands one contraction may have: the search grows fast."""


@dataclasses.dataclass(frozen=True)
class Network:
    """A contraction of values, as labels of their axes; every axis has one.

    Attributes:
        operands: what is contracted.
        terms: the labels of each operand's axes.
        out: those of the result.
        sizes: of each label.
        cost: the multiply-adds in the order in which the program was written.
        pairs: how many products that are.
    """

    operands: tuple[Operand, ...]
    terms: tuple[Labels, ...]
    out: Labels
    sizes: dict[int, Size]
    cost: float
    pairs: int


def order_contractions(program: P) -> P:
    """The program with nested products in the cheapest order that was found."""
    uses: dict[Operand, int] = {}
    last: dict[Operand, Instruction] = {}

    def count(region: Region) -> None:
        for made in region.instructions:
            for operand in made.operands:
                uses[operand] = uses.get(operand, 0) + 1
                last[operand] = made
            for inner in regions(made).values():
                count(inner)
        for operand in region.outputs:
            uses[operand] = uses.get(operand, 0) + 2

    count(program)
    for operand in program.updates.values():
        uses[operand] = uses.get(operand, 0) + 2
    networks: dict[Operand, Network] = {}

    def rewrite(builder: Builder, made: Instruction) -> tuple[Operand] | None:
        if made.operation not in PRODUCTS or (found := _network(made)) is None:
            return None
        value = made.results[0]
        found = _merged(found, {x: networks[x] for x in made.operands if x in networks and uses[x] == 1})
        if len(found.operands) <= LIMIT:
            networks[value] = found
        inner = uses.get(value) == 1 and last[value].operation in PRODUCTS
        if inner or len(found.operands) < 3:
            return None
        return _cheapest(builder, found)

    return rewritten(program, rewrite)


def _network(made: Instruction) -> Network | None:
    """One instruction as a network, if all axes with one label have one size."""
    operands = made.operands
    shapes = [x.type.shape for x in operands]
    fresh = itertools.count(len(shapes) * 64)
    if made.operation == "permute_dims":
        term = tuple(range(len(shapes[0])))
        return Network(operands, (term,), tuple(made.attributes["axes"]), dict(zip(term, shapes[0], strict=True)), 0, 0)
    if made.operation == "matmul":
        terms, out = _matmul(len(shapes[0]), len(shapes[1]))
    else:
        of: Pattern = made.attributes["pattern"]
        terms, out = of.terms, of.out
    leads = [len(shape) - len(term) for shape, term in zip(shapes, terms, strict=True)]
    lead = tuple(next(fresh) for _ in range(max(leads)))
    terms = tuple((*lead[len(lead) - n :], *term) for n, term in zip(leads, terms, strict=True))
    sizes: dict[int, Size] = {}
    for term, shape in zip(terms, shapes, strict=True):
        for label, size in zip(term, shape, strict=True):
            if sizes.setdefault(label, size) != size:
                return None  # broadcast
    out = (*lead, *out)
    return Network(operands, terms, out, sizes, _cost(terms, sizes), len(terms) - 1)


def _matmul(first: int, second: int) -> tuple[tuple[Labels, ...], Labels]:
    rows, columns = ((0,) if first > 1 else ()), ((2,) if second > 1 else ())
    return ((*rows, 1), (1, *columns)), (*rows, *columns)


def _cost(terms: Sequence[Labels], sizes: dict[int, Size]) -> float:
    cost = 1.0
    for label in {label for term in terms for label in term}:
        cost *= _known(sizes[label])
    return cost if len(terms) > 1 else 0.0


def _known(size: Size) -> int:
    return size if isinstance(size, int) else UNKNOWN


def _merged(outer: Network, inner: dict[Operand, Network]) -> Network:
    """A network with networks in place of some of its operands."""
    operands: list[Operand] = []
    terms: list[Labels] = []
    sizes = dict(outer.sizes)
    cost, pairs = outer.cost, outer.pairs
    fresh = itertools.count(max(sizes, default=0) + 1)
    for operand, term in zip(outer.operands, outer.terms, strict=True):
        part = inner.get(operand)
        if part is None:
            operands.append(operand)
            terms.append(term)
            continue
        became = dict(zip(part.out, term, strict=True))
        for label in sorted({label for one in part.terms for label in one}):
            if label not in became:
                became[label] = next(fresh)
                sizes[became[label]] = part.sizes[label]
        operands += part.operands
        terms += [tuple(became[label] for label in one) for one in part.terms]
        cost, pairs = cost + part.cost, pairs + part.pairs
    return Network(tuple(operands), tuple(terms), outer.out, sizes, cost, pairs)


def _cheapest(builder: Builder, of: Network) -> tuple[Operand] | None:
    sizes = {label: _known(size) for label, size in of.sizes.items()}
    steps = pairwise(of.terms, of.out, find_path(of.terms, of.out, sizes))
    if sum(_cost((first, second), of.sizes) for _, first, second, _ in steps) >= of.cost:
        return None
    left = list(of.operands)
    for (i, j), first, second, result in steps:
        b, a = left.pop(j), left.pop(i)
        left.append(builder.add("contract", (a, b), pattern=pattern((first, second), result, frozenset())))
    return (left[0],)
