"""Plans for contracting two arrays, as values that can be printed and run.

`einsum` is general and slow; BLAS is fast and knows only matrices. A `Plan` says how one contraction is brought into
the form in which its framework is fastest: which native call does it, and how operands are transposed and reshaped
before and the result after. Names and spaces play no part here: a `Pattern` has numbers for labels. The search for the
cheapest plan is in `planner`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tensoria.errors import ShapeError
from tensoria.structure import Cache, Structure, structural

__all__ = [
    "Costs",
    "Kernels",
    "Pattern",
    "Plan",
    "SizeConflictError",
    "check_diagonals",
    "equal_places",
    "equation",
    "labelled",
    "letters",
    "pattern",
    "runner",
    "sizes_of",
]

Array = Any
Labels = tuple[int, ...]
Shape = tuple[int, ...]
Run = Callable[[Array, Array], Array]
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


class SizeConflictError(ShapeError):
    """Two axes that must be of one size are not; `label` says which (a negative one is an anonymous axis)."""

    label: int = 0
    sizes: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Pattern(Structure):
    """Which axes of the operands meet: labels are 0, 1, 2, ... by first appearance; anonymous axes lead each operand.

    `strict` labels belong to vector-space indices: their sizes must be equal, where plain ones may be 1 and
    broadcast. Labels with the same number in `symbols` are sized by one symbol.
    """

    terms: tuple[Labels, ...]
    out: Labels
    strict: frozenset[int]
    symbols: tuple[tuple[int, ...], ...] = ()

    def __str__(self) -> str:
        return (
            ", ".join("".join(LETTERS[i % 52] for i in term) for term in self.terms)
            + " -> "
            + "".join(LETTERS[i % 52] for i in self.out)
        )


_patterns: Cache[Any, Pattern] = Cache(lambda key: Pattern(*key), limit=16384)


@structural
def pattern(
    terms: tuple[Labels, ...], out: Labels, strict: frozenset[int], symbols: tuple[tuple[int, ...], ...] = ()
) -> Pattern:
    """The interned pattern, with its labels renumbered by first appearance."""
    order: dict[int, int] = {}
    for label in itertools.chain(*terms):
        order.setdefault(label, len(order))
    renamed = (
        tuple(tuple(order[label] for label in term) for term in terms),
        tuple(order[label] for label in out),
        frozenset(order[label] for label in strict if label in order),
        tuple(tuple(order[label] for label in group) for group in symbols if len(group) > 1),
    )
    return _patterns[renamed]


class Costs(NamedTuple):
    """What a backend's native calls cost, in microseconds; measured on one CPU core, used as ratios only."""

    call: float
    """one product of two matrices"""
    batched: float
    """one product of two batches of matrices"""
    reshape: float
    transpose: float
    """without the copy, if it needs one"""
    copy: float
    """one million elements transposed, if the last axis moves"""
    copy_rows: float
    """one million elements transposed, if the last axis stays"""
    gemm: float
    """one million multiply-adds in a matrix product of floats (four times as much if it is thin)"""
    integer: float
    """one million multiply-adds in a matrix product of integers"""
    batch: float
    """one more matrix in a batch"""
    vector: float
    """making a matrix of a vector for the product, and a vector of its result"""
    multiply: float
    multiply_rate: float
    """one broadcast product; one million elements of it"""
    vecdot: float
    vecdot_rate: float
    """one batch of inner products; one million multiply-adds of it"""
    einsum: float
    einsum_rate: float
    einsum_thin: float
    """one native einsum (infinite if never worth while); one million multiply-adds of it, fat and thin"""
    outer_as_gemm: bool
    """whether an outer product may be a matrix product"""
    lazy_transpose: bool
    """whether transposes are views"""


class Kernels(NamedTuple):
    """The native calls that plans are made of; `matmul` may transpose the last two axes of either operand."""

    transpose: Callable[[Array, tuple[int, ...]], Array]
    reshape: Callable[[Array, Shape], Array]
    dot: Callable[[Array, Array], Array]
    """1-D or 2-D operands: the product over the last axis of the first and the first axis of the second"""
    inner: Callable[[Array, Array], Array]
    """the same for two 1-D operands"""
    matvec: Callable[[Array, Array], Array]
    """the same for a 2-D and a 1-D operand"""
    matmul: Callable[[Array, Array], Array]
    dot_nt: Callable[[Array, Array], Array]
    """first times transposed second"""
    dot_tn: Callable[[Array, Array], Array]
    """transposed first times second"""
    dot_tt: Callable[[Array, Array], Array]
    matmul_nt: Callable[[Array, Array], Array]
    matmul_tn: Callable[[Array, Array], Array]
    matmul_tt: Callable[[Array, Array], Array]
    multiply: Callable[[Array, Array], Array]
    vecdot: Callable[[Array, Array], Array] | None
    """sum over the last axis of the (unconjugated) product of two real arrays"""
    einsum: Callable[..., Array]
    cast: Callable[[Array, Any], Array]
    costs: Costs


@dataclass(frozen=True, slots=True)
class Layout:
    """How one operand reaches the kernel: an own einsum, a transpose, a reshape (None where nothing is to do)."""

    einsum: str | None = None
    perm: tuple[int, ...] | None = None
    shape: Shape | None = None
    transposed: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """How two arrays are contracted. `str(plan)` shows it."""

    equation: str
    kernel: str
    swapped: bool
    first: Layout
    second: Layout
    out_shape: Shape | None
    out_perm: tuple[int, ...] | None
    flops: int
    shape: Shape
    cost: float = field(compare=False)

    def __str__(self) -> str:
        def steps(layout: Layout) -> str:
            done = [f"einsum {layout.einsum!r}"] if layout.einsum else []
            done += [f"transpose {layout.perm}"] if layout.perm else []
            done += [f"reshape {layout.shape}"] if layout.shape is not None else []
            return ", ".join(done + (["transposed"] if layout.transposed else [])) or "as it is"

        lines = [f"{self.equation}   {self.kernel}, {self.flops:,} multiply-adds, result {self.shape}"]
        for name, layout in (
            (("second", self.first), ("first", self.second))
            if self.swapped
            else (
                ("first", self.first),
                ("second", self.second),
            )
        ):
            lines.append(f"  {name} operand: {steps(layout)}")
        if self.out_shape is not None or self.out_perm:
            lines.append(f"  result: {steps(Layout(None, None, self.out_shape))}, transpose {self.out_perm}")
        return "\n".join(lines)


# -- what the operands are --------------------------------------------------------------------------------------------


def labelled(of: Pattern, shapes: Sequence[Shape]) -> tuple[list[Labels], Labels]:
    """The pattern's terms with labels for anonymous axes too: -1 for the last of them, -2 for the one before."""
    leads = [len(shape) - len(term) for term, shape in zip(of.terms, shapes, strict=True)]
    most = max(leads)
    terms = [tuple(range(-lead, 0)) + term for lead, term in zip(leads, of.terms, strict=True)]
    return terms, tuple(range(-most, 0)) + of.out


def sizes_of(of: Pattern, terms: Sequence[Labels], shapes: Sequence[Shape]) -> dict[int, int]:
    """The size of every label, checked.

    Raises:
        SizeConflictError: one label has two sizes (1 broadcasts where the label is not strict), or a symbol has.
    """
    sizes: dict[int, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        if len(set(term)) != len(term):
            check_diagonals(term, shape)
        for label, size in zip(term, shape, strict=True):
            known = sizes.setdefault(label, size)
            if known != size:
                if label in of.strict or (known != 1 and size != 1):
                    raise _conflict(label, (known, size))
                sizes[label] = size if known == 1 else known
    for group in of.symbols:
        for label in group[1:]:
            if sizes[label] != sizes[group[0]]:
                raise _conflict(label, (sizes[group[0]], sizes[label]))
    return sizes


def check_diagonals(term: Labels, shape: Sequence[int | None]) -> None:
    """Hold the axes of a diagonal (labels that one operand has twice) against each other: none of them broadcasts.

    Raises:
        SizeConflictError: their sizes differ.
    """
    own: dict[int, int] = {}
    for label, size in zip(term, shape, strict=True):
        if size is not None and own.setdefault(label, size) != size:
            raise _conflict(label, (own[label], size))


def _conflict(label: int, sizes: tuple[int, ...]) -> SizeConflictError:
    error = SizeConflictError(f"axis {label} has the sizes {sizes[0]} and {sizes[1]}.")
    error.label, error.sizes = label, sizes
    return error


@structural
def equal_places(of: Pattern, ranks: tuple[int, ...]) -> tuple[tuple[tuple[int, int], tuple[int, int]], ...]:
    """Pairs of (operand, axis) whose sizes must be equal: those of strict labels, and of labels of one symbol."""
    places: dict[int, list[tuple[int, int]]] = {}
    for operand, (term, rank) in enumerate(zip(of.terms, ranks, strict=True)):
        for axis, label in enumerate(term, rank - len(term)):
            places.setdefault(label, []).append((operand, axis))
    groups = [places[label] for label in sorted(of.strict) if label in places]
    groups += [[place for label in group for place in places[label]] for group in of.symbols]
    return tuple((group[0], other) for group in groups for other in group[1:])


@structural
def equation(of: Pattern, ranks: tuple[int, ...]) -> str:
    """The pattern as a classic einsum string, for frameworks that trace with unknown sizes."""
    leads = [rank - len(term) for rank, term in zip(ranks, of.terms, strict=True)]
    dots = "..." if any(leads) else ""
    terms = [("..." if lead else "") + letters(term) for lead, term in zip(leads, of.terms, strict=True)]
    return ",".join(terms) + "->" + dots + letters(of.out)


def letters(labels: Sequence[int]) -> str:
    return "".join(LETTERS[label] for label in labels)


# -- running it -------------------------------------------------------------------------------------------------------


def runner(plan: Plan, kernels: Kernels) -> Run:
    """The function of two arrays that carries a plan out, with no step that it does not need."""
    name = plan.kernel
    if name.startswith("einsum "):
        own, einsum = name.removeprefix("einsum "), kernels.einsum

        def kernel(a: Array, b: Array) -> Array:
            return einsum(own, a, b)
    else:
        kernel = getattr(kernels, name)
    first = _steps(plan.first, kernels)
    second = _steps(plan.second, kernels)
    run = _composed(kernel, first, second, plan.swapped)
    out_shape, out_perm = plan.out_shape, plan.out_perm
    reshape, transpose = kernels.reshape, kernels.transpose
    if out_shape is None and out_perm is None:
        return run
    if out_perm is None:
        shape = out_shape
        return lambda a, b: reshape(run(a, b), shape)  # type: ignore[arg-type]
    if out_shape is None:
        return lambda a, b: transpose(run(a, b), out_perm)
    return lambda a, b: transpose(reshape(run(a, b), out_shape), out_perm)


def _composed(
    kernel: Run, first: Callable[[Array], Array] | None, second: Callable[[Array], Array] | None, swapped: bool
) -> Run:
    if swapped:
        if first is None and second is None:
            return lambda a, b: kernel(b, a)
        if second is None:
            return lambda a, b: kernel(first(b), a)  # type: ignore[misc]
        if first is None:
            return lambda a, b: kernel(b, second(a))
        return lambda a, b: kernel(first(b), second(a))
    if first is None and second is None:
        return kernel
    if second is None:
        return lambda a, b: kernel(first(a), b)  # type: ignore[misc]
    if first is None:
        return lambda a, b: kernel(a, second(b))
    return lambda a, b: kernel(first(a), second(b))


def _steps(layout: Layout, kernels: Kernels) -> Callable[[Array], Array] | None:
    own, perm, shape = layout.einsum, layout.perm, layout.shape
    einsum, transpose, reshape = kernels.einsum, kernels.transpose, kernels.reshape
    if own is None:
        if perm is None:
            return None if shape is None else lambda a: reshape(a, shape)
        if shape is None:
            return lambda a: transpose(a, perm)
        return lambda a: reshape(transpose(a, perm), shape)
    rest = _steps(Layout(None, perm, shape), kernels)
    if rest is None:
        return lambda a: einsum(own, a)
    return lambda a: rest(einsum(own, a))
