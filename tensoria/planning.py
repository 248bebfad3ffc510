"""Plans for contracting two arrays, as values that can be printed.

`einsum` is general and slow; BLAS is fast and knows only matrices. Planning decides once, from pattern, shapes and
data types, how to bring a contraction into the form in which the framework is fastest: which axes are batch, which
are rows, contracted and columns, in which order they are laid out, what has to be copied for it, and whether the
framework's own einsum would win after all. Each possibility is priced with the backend's `Costs` and the cheapest is
kept. Names and spaces play no part here: a `Pattern` has numbers for labels.

The search is over layouts only; which pair of operands comes first is `network`'s question.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from tensoria.errors import ShapeError
from tensoria.structure import Structure, structural

__all__ = [
    "Costs",
    "Kernels",
    "Pattern",
    "Plan",
    "SizeConflictError",
    "check_diagonals",
    "equation",
    "pattern",
    "plan_pair",
    "runner",
]

Array = Any
Labels = tuple[int, ...]
Shape = tuple[int, ...]
Run = Callable[[Array, Array], Array]
THIN = 4
"""A product with fewer rows, columns or summands is bound by memory."""
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


_patterns: dict[Any, Pattern] = {}


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
    found = _patterns.get(renamed)
    if found is None:
        if len(_patterns) > 16384:  # a program has dozens of patterns; a fuzzer has more
            _patterns.clear()
        found = _patterns.setdefault(renamed, Pattern(*renamed))
    return found


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
def equation(of: Pattern, ranks: tuple[int, ...]) -> str:
    """The pattern as a classic einsum string, for frameworks that trace with unknown sizes."""
    leads = [rank - len(term) for rank, term in zip(ranks, of.terms, strict=True)]
    dots = "..." if any(leads) else ""
    terms = [("..." if lead else "") + _letters(term) for lead, term in zip(leads, of.terms, strict=True)]
    return ",".join(terms) + "->" + dots + _letters(of.out)


def _letters(labels: Sequence[int]) -> str:
    return "".join(LETTERS[label] for label in labels)


# -- the search -------------------------------------------------------------------------------------------------------


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
    return left, f"{_letters([local[x] for x in term])}->{_letters([local[x] for x in left])}"


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
        own = f"{_letters([local[x] for x in p.left])},{_letters([local[x] for x in p.right])}->"
        own += _letters([local[x] for x in p.out])
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
