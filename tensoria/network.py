"""Contracting three or more arrays: in which order, two at a time.

The order decides the cost, by orders of magnitude. opt_einsum's path finders choose it: the exhaustive search up to
eight operands, beyond that the better of its automatic choice and dynamic programming. The chosen order becomes a
`NetworkPlan`: a list of pair plans (see `planning`) whose shapes are all known, so that running it looks nothing up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tensoria.planner import plan_pair
from tensoria.planning import (
    Array,
    Kernels,
    Labels,
    Pattern,
    Plan,
    Shape,
    labelled,
    pattern,
    runner,
    sizes_of,
)
from tensoria.structure import structural

__all__ = ["NetworkPlan", "Step", "execute", "find_path", "pairwise", "plan_network"]

EXHAUSTIVE = 8
"""Up to this many operands the path is optimal; the search takes about 0.1 s there, once."""
PROGRAMMED = 16
"""Up to this many operands dynamic programming is tried beside opt_einsum's automatic choice."""
UNKNOWN = 16
"""The size that stands for one that is not known while a framework traces."""

Path = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One pair of the path: positions of the operands in the list of those still left, and their plan."""

    operands: tuple[int, int]
    plan: Plan
    run: Callable[[Array, Array], Array]


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """The order in which a network is contracted, and what it costs.

    `flops` counts multiply-adds, `largest` the elements of the largest intermediate (or result).
    """

    equation: str
    path: Path
    steps: tuple[Step, ...]
    flops: int
    largest: int
    naive_flops: int

    def __str__(self) -> str:
        lines = [
            f"{self.equation}",
            f"  order {list(self.path)}",
            f"  {self.flops:,} multiply-adds ({self.naive_flops:,} in one go), largest intermediate {self.largest:,}",
        ]
        for number, step in enumerate(self.steps, 1):
            lines += [f"  {number}. operands {step.operands}: " + str(step.plan).replace("\n", "\n     ")]
        return "\n".join(lines)


def find_path(terms: Sequence[Labels], out: Labels, sizes: dict[int, int]) -> Path:
    """The order of contraction with the fewest multiply-adds that could be found."""
    from opt_einsum import paths

    # opt_einsum wants sets of labels; a label occurring twice in a term is the pair planner's business.
    inputs = [frozenset(term) for term in terms]
    if len(inputs) <= 2:
        return (tuple(range(len(inputs))),)
    if len(inputs) <= EXHAUSTIVE:
        return tuple(paths.optimal(inputs, frozenset(out), sizes))
    found = [tuple(paths.auto(inputs, frozenset(out), sizes))]
    if len(inputs) <= PROGRAMMED:
        found.append(tuple(paths.DynamicProgramming(minimize="flops")(inputs, frozenset(out), sizes)))
    return min(found, key=lambda path: _flops(terms, out, sizes, path))


def pairwise(terms: Sequence[Labels], out: Labels, path: Path) -> list[tuple[tuple[int, int], Labels, Labels, Labels]]:
    """A path as pairs of positions with both terms and the result's; a pair's result goes to the end of the list.

    The operand that stands later in the list is taken out first, so positions refer to the list before the step.
    """
    left = list(terms)
    steps: list[tuple[tuple[int, int], Labels, Labels, Labels]] = []
    for contraction in path:
        group = sorted(contraction)
        while len(group) > 1:  # opt_einsum may leave several operands to one last step
            i, j = group[0], group[1]
            second, first = left.pop(j), left.pop(i)
            needed = set(out).union(*left) if left else set(out)
            last = not left
            result = tuple(out) if last else tuple(x for x in dict.fromkeys((*first, *second)) if x in needed)
            steps.append(((i, j), first, second, result))
            left.append(result)
            group = sorted([g - (g > i) - (g > j) for g in group[2:]] + [len(left) - 1])
    return steps


def _flops(terms: Sequence[Labels], out: Labels, sizes: dict[int, int], path: Path) -> int:
    return sum(math.prod(sizes[x] for x in {*first, *second}) for _, first, second, _ in pairwise(terms, out, path))


@structural
def structural_path(of: Pattern, ranks: tuple[int, ...]) -> tuple[tuple[tuple[int, int], Pattern], ...]:
    """Pairs and their patterns for operands of unknown sizes (while a framework traces); leading axes stay leading."""
    terms = of.terms
    labels = {label for term in terms for label in term}
    path = find_path(terms, of.out, dict.fromkeys(labels, UNKNOWN))
    return tuple(
        (pair, pattern((first, second), result, of.strict, ()))
        for pair, first, second, result in pairwise(terms, of.out, path)
    )


def plan_network(
    of: Pattern, shapes: tuple[Shape, ...], kernels: Kernels, *, floating: bool, real: bool
) -> NetworkPlan:
    """The plan for a whole network of arrays of one data type.

    Raises:
        SizeConflictError: sizes do not fit.
    """
    terms, out = labelled(of, shapes)
    sizes = sizes_of(of, terms, shapes)
    # Anonymous axes are labels like others from here on; make them non-negative for `pattern`.
    base = 1 + max((x for term in terms for x in term), default=-1)
    rename = {label: label if label >= 0 else base - 1 - label for label in sizes}
    terms = [tuple(rename[x] for x in term) for term in terms]
    out = tuple(rename[x] for x in out)
    named = {rename[label]: size for label, size in sizes.items()}
    path = find_path(terms, out, named)
    left = list(shapes)
    steps = []
    flops = largest = 0
    for pair, first, second, result in pairwise(terms, out, path):
        i, j = pair
        shape_second, shape_first = left.pop(j), left.pop(i)
        plan = plan_pair(
            pattern((first, second), result, frozenset()), (shape_first, shape_second), kernels,
            floating=floating, real=real,
        )  # fmt: skip
        steps.append(Step(pair, plan, runner(plan, kernels)))
        # A label broadcast by size-1 axes can still be 1 here although it is larger elsewhere.
        left.append(plan.shape)
        flops += plan.flops
        largest = max(largest, math.prod(plan.shape))
    naive = math.prod(named.values()) * max(1, len(terms) - 1)
    return NetworkPlan(str(of), path, tuple(steps), flops, largest, naive)


def execute(plan: NetworkPlan, arrays: Sequence[Any]) -> Any:
    """Run a network plan on native arrays."""
    left = list(arrays)
    for step in plan.steps:
        i, j = step.operands
        second, first = left.pop(j), left.pop(i)
        left.append(step.run(first, second))
    return left[0]
