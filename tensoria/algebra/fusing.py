"""Fusing several indices into one over their product space, and splitting it again.

The product space remembers its ordered factors and their variances: that is its identity, so that fusing is never a
loss. Rows, columns, Kronecker products and "vectors of covectors" are tensor products followed by a fusion. The fused
index is up; lowering it moves every factor.
"""

from __future__ import annotations

from collections.abc import Iterable

from tensoria.core import T, new, require_labelled, transposed
from tensoria.errors import AxisError, SpaceError
from tensoria.indices import Index
from tensoria.metric import split_names
from tensoria.spaces import ProductSpace, Variance
from tensoria.structure import structural

__all__ = ["fused", "split"]


def fused(t: T, names: str | Iterable[str], into: str) -> T:
    """The tensor with several indices fused into one, in the order given.

    Args:
        t: a labelled tensor.
        names: the indices to fuse, as `"i j"`; two or more.
        into: the name of the fused index, which stands where the first of them stood: up, over the space whose
            factors have the variances of the indices; `"_k"` makes a down index of it instead, over the space of the
            reversed variances (the same tensor, ready to meet an up index over that space).

    Raises:
        SpaceError: one of them is a plain axis.
        AxisError: a name is missing, or `into` is taken.

    >>> import tensoria as tn
    >>> i, j = tn.indices("i j", tn.Space("V", 2))
    >>> fused(tn.tensor([[1., 2.], [3., 4.]], [i, -j]), "i j", "k").axes
    Axes(^k)
    """
    require_labelled(t, "fusing")
    chosen = split_names(names) or ()
    if len(chosen) < 2 or len(set(chosen)) != len(chosen):
        raise AxisError(f"two or more different indices are fused, not {list(chosen)}.")
    positions = [t._axes.find(name) for name in chosen]
    factors = [t._axes.indices[n] for n in positions]
    for index in factors:
        if index.basis is None:
            raise SpaceError(
                f"{index.name!r} is a plain axis, without a space, and does not fuse with indices.",
                legal='t.rearrange("(b c) -> ...") merges plain axes',
            )
    at = min(positions)
    order = [n for n in range(len(t._axes.indices)) if n not in positions]
    place = sum(n < at for n in order)
    order[place:place] = positions
    t = transposed(t, order)
    kept = t._axes.indices
    new_axes = (*kept[:place], _fused_index(into, tuple(factors)), *kept[place + len(factors) :])
    return _reshaped(t, place, len(factors), (_total(t, place, len(factors)),), new_axes)


@structural
def _fused_index(into: str, factors: tuple[Index, ...]) -> Index:
    down = into.startswith("_")
    parts = [(i.basis, -i.variance if down else i.variance) for i in factors if i.basis is not None]
    return Index(
        into.lstrip("^_"), ProductSpace([(basis, 1 if v > 0 else -1) for basis, v in parts]), -1 if down else 1
    )


def split(t: T, name: str, into: str | Iterable[str]) -> T:
    """The tensor with a fused index split into the factors that its space remembers.

    Args:
        t: a labelled tensor.
        name: the fused index.
        into: names for the factors, in order.

    Raises:
        SpaceError: the index does not range over a product space.
        AxisError: the number of names is not the number of factors.
    """
    require_labelled(t, "splitting")
    position = t._axes.find(name)
    index = t._axes.indices[position]
    space = index.space
    if not isinstance(space, ProductSpace):
        raise SpaceError(
            f"{index!r} does not range over a product space, so nothing says how to split it.",
            legal="only an index made by t.fused(...) splits",
        )
    names = split_names(into) or ()
    if len(names) != len(space.factors):
        raise AxisError(f"{space} has {len(space.factors)} factors, and {len(names)} names are given: {list(names)}.")
    parts = []
    for part, (basis, variance) in zip(names, space.factors, strict=True):
        turned: Variance = variance if index.variance > 0 else (-1 if variance > 0 else 1)
        parts.append(Index(part, basis, turned))
    sizes = _factor_sizes(t, space, position)
    kept = t._axes.indices
    return _reshaped(t, position, 1, sizes, (*kept[:position], *parts, *kept[position + 1 :]))


def _factor_sizes(t: T, space: ProductSpace, position: int) -> tuple[int, ...]:
    """The factors' sizes; one that only a symbol gives is what the others leave."""
    sizes = [basis.dimension for basis, _ in space.factors]
    unknown = [n for n, size in enumerate(sizes) if isinstance(size, str)]
    if len(unknown) > 1:
        raise SpaceError(f"{space} has several factors of symbolic dimension, so their sizes are not determined.")
    known = 1
    for size in sizes:
        known *= size if isinstance(size, int) else 1
    total = t._backend.shape(t._array)[t.lead + position]
    return tuple(
        size if isinstance(size, int) else (-1 if total is None or not known else total // known) for size in sizes
    )


def _total(t: T, start: int, count: int) -> int:
    total = 1
    for size in t._backend.shape(t._array)[t.lead + start : t.lead + start + count]:
        if size is None:
            return -1
        total *= size
    return total


def _reshaped(t: T, start: int, count: int, sizes: tuple[int, ...], of: tuple[Index, ...]) -> T:
    shape = t._backend.shape(t._array)
    at = t.lead + start
    target = (*shape[:at], *sizes, *shape[at + count :])
    return new(t, t._backend.reshape(t._array, target), of)
