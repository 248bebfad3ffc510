"""Which axes of two tensors meet, decided by name, space, basis and variance alone.

Three questions, each answered once for each pair of axes and then remembered:

* `align_product`: for `*`: an up and a down index of one name contract, plain names align, any other name is free;
* `align_sum`: for `+` and everything coordinatewise: the same indices on both sides, in the left one's order;
* `meeting`: may these two indices meet, and if not, which error says so.

No array is touched here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tensoria.errors import BasisError, ModeError, SpaceError, VarianceError
from tensoria.indices import PLAIN, Axes, Index, axes
from tensoria.planning import Pattern, pattern
from tensoria.structure import Cache, Structure, structural

__all__ = [
    "PRODUCTS",
    "Product",
    "Sum",
    "align_product",
    "align_sum",
    "check_same_frame",
    "exchangeable",
    "meeting",
    "symbol_groups",
]


@dataclass(frozen=True, eq=False)
class Product(Structure):
    """How two tensors multiply: the pattern, the result's axes, and right indices to flip by a free metric first."""

    pattern: Pattern
    axes: Axes
    flips: tuple[str, ...]
    simple: bool
    """Whether both tensors are labelled and nothing has to be flipped."""


@dataclass(frozen=True, eq=False)
class Sum(Structure):
    """How two tensors add: for each operand the permutation (None: as it is) and where to insert size-1 axes."""

    left: tuple[tuple[int, ...] | None, tuple[int, ...]]
    right: tuple[tuple[int, ...] | None, tuple[int, ...]]
    axes: Axes
    flips: tuple[str, ...]


def check_same_frame(a: Index, b: Index, where: str, legal: str | None = None) -> None:
    """Raise unless two indices of one name range over one space in one basis.

    Raises:
        SpaceError: the spaces differ, or one space is written in two bases, or one axis is plain and the other not.
    """
    if a.basis is b.basis:
        return
    if a.basis is None or b.basis is None:
        bare, full = (a, b) if a.basis is None else (b, a)
        raise SpaceError(
            f"{bare.name!r} names a plain axis on one side and the index {full!r} on the other, in {where}.",
            legal=f"give one of them another name, or label the plain axis with {full}",
        )
    first, second = a.basis.space, b.basis.space
    if first is second:
        target = f"{first.name}.standard" if a.basis.name is None else f"<the basis {a.basis.name!r} of {first.name}>"
        raise SpaceError(
            f"{a!r} meets {b!r} in {where}: the same space in two bases.", legal=f"t.to_basis({target}) on the other"
        )
    if first.name == second.name and first.conjugated == second.conjugated:
        raise SpaceError(
            f"{a!r} meets {b!r} in {where}: two spaces are named {first.name!r}, with {first.difference(second)}.",
            legal="one Space object for one space, or two names",
        )
    raise SpaceError(
        f"{a!r} meets {b!r} in {where}: {first} and {second} are different spaces.",
        legal=legal
        or f"rename one of them for a tensor product, t.renamed({b.name}=...), or map one space to the other",
    )


def meeting(a: Index, b: Index, where: str) -> bool:
    """Whether two indices of one name contract; True too where a free metric has to flip the second one first.

    Raises:
        SpaceError: spaces or bases differ.
        VarianceError: both are up, or both are down, in a space whose indices do not move freely.
    """
    check_same_frame(a, b, where)
    if a.variance == -b.variance or a.basis is None:
        return True
    if a.basis.space.position == "free":
        return True
    kind = "contravariant" if a.variance > 0 else "covariant"
    other = "lowered" if a.variance > 0 else "raised"
    raise VarianceError(
        f"{a} meets {b} in {where}: both are {kind} indices of {a.basis}, so they do not contract.",
        legal=f't.{other}("{b.name}") on one of them (with a metric), or another name for a tensor product',
    )


def exchangeable(members: Sequence[Index], where: str) -> None:
    """Raise unless these indices may change places: one space, one basis, one variance.

    Raises:
        SpaceError: one of them is a plain axis, or they range over different spaces.
        VarianceError: some are up and some are down.
    """
    first = members[0]
    if first.basis is None:
        raise SpaceError(f"{first.name!r} is a plain axis; {where} is over indices of one space.")
    for index in members[1:]:
        check_same_frame(first, index.renamed(first.name), where)
        if index.variance != first.variance:
            raise VarianceError(
                f"{first!r} and {index!r} differ in variance, so exchanging them has no meaning.",
                legal=f't.lowered("{(first if first.variance > 0 else index).name}") first',
            )


def symbol_groups(labels: dict[int, Index]) -> tuple[tuple[int, ...], ...]:
    """Groups of labels whose sizes one symbol binds."""
    groups: dict[str, list[int]] = {}
    for label, index in labels.items():
        if isinstance(index.dimension, str):
            groups.setdefault(index.dimension, []).append(label)
    return tuple(tuple(group) for group in groups.values())


def _align_product(pair: tuple[Axes, Axes]) -> Product:
    left, right = pair
    label: dict[str, int] = {name: number for number, name in enumerate(left.names)}
    first = {index.name: index for index in left.indices}
    strict: dict[int, Index] = {label[i.name]: i for i in left.indices if i.basis is not None}
    contracted: set[str] = set()
    flips: list[str] = []
    for index in right.indices:
        mine = first.get(index.name)
        if mine is None:
            label[index.name] = len(label)
            if index.basis is not None:
                strict[label[index.name]] = index
            continue
        meeting(mine, index, "a product")
        if mine.basis is not None:
            contracted.add(index.name)
            if mine.variance == index.variance:
                flips.append(index.name)
    survivors = [*left.indices, *(i for i in right.indices if i.name not in first)]
    kept = [i for i in survivors if i.name not in contracted]
    result = [i for i in kept if i.basis is None] + [i for i in kept if i.basis is not None]
    terms = (tuple(label[n] for n in left.names), tuple(label[n] for n in right.names))
    made = pattern(terms, tuple(label[i.name] for i in result), frozenset(strict), symbol_groups(strict))
    simple = not flips and left is not PLAIN and right is not PLAIN
    return Product(made, axes(tuple(result)), tuple(flips), simple)


PRODUCTS: Cache[tuple[Axes, Axes], Product] = Cache(_align_product)
"""`align_product` for hot paths that no compiler is tracing."""


@structural
def align_product(left: Axes, right: Axes) -> Product:
    """How tensors with these axes multiply.

    Raises:
        SpaceError, VarianceError: indices of one name do not fit.
    """
    return PRODUCTS[left, right]


def _align_sum(key: tuple[Axes, Axes, str]) -> Sum:
    left, right, what = key
    if left is PLAIN or right is PLAIN:
        bare = "left" if left is PLAIN else "right"
        raise ModeError(
            f"{what} of a labelled tensor ({right if left is PLAIN else left}) and a plain one (the {bare} operand).",
            legal="label the plain one, t[i, -j] or t['b'], or unlabel the other with .components",
        )
    theirs = {index.name: index for index in right.indices}
    mine = {index.name: index for index in left.indices}
    flips: list[str] = []
    for index in left.indices:
        other = theirs.get(index.name)
        if other is None:
            if index.basis is not None:
                raise _unmatched(index, right, what, "right")
            continue
        check_same_frame(index, other, what)
        if index.variance != other.variance:
            if index.basis is not None and index.basis.space.position == "free":
                flips.append(index.name)
                continue
            verb = "lowered" if other.variance > 0 else "raised"
            hint = f't.{verb}("{other.name}") on the right'
            raise VarianceError(
                f"{what} has {index!r} on the left and {other!r} on the right: the variances differ.", legal=hint
            )
    for index in right.indices:
        if index.name not in mine and index.basis is not None:
            raise _unmatched(index, left, what, "left")
    extra_left = [n for n in left.names if n not in theirs]
    extra_right = [i for i in right.indices if i.name not in mine]
    if extra_left and extra_right:
        raise SpaceError(
            f"{what} has the plain axes {', '.join(extra_left)} only on the left and "
            f"{', '.join(i.name for i in extra_right)} only on the right: one set must contain the other.",
            legal="tn.repeat one operand along the axis that it lacks, or multiply by ones",
        )
    result = axes((*extra_right, *left.indices))
    return Sum(_placed(left, result), _placed(right, result), result, tuple(flips))


def _unmatched(index: Index, other: Axes, what: str, side: str) -> SpaceError:
    has = f"has {other}" if other.indices else "has none"
    return SpaceError(
        f"{what} needs the same indices on both sides: {index!r} is missing on the {side}, which {has}.",
        legal="rename, contract or multiply first, so that the free indices agree",
    )


def _placed(of: Axes, result: Axes) -> tuple[tuple[int, ...] | None, tuple[int, ...]]:
    perm = tuple(of.position[name] for name in result.names if name in of.position)
    missing = tuple(number for number, name in enumerate(result.names) if name not in of.position)
    return None if perm == tuple(range(len(perm))) else perm, missing


_sums: Cache[tuple[Axes, Axes, str], Sum] = Cache(_align_sum)


@structural
def align_sum(left: Axes, right: Axes, what: str) -> Sum:
    """How tensors with these axes add (or compare, or take the maximum).

    Raises:
        ModeError: one of them is plain.
        SpaceError, VarianceError: the indices differ.
    """
    return _sums[left, right, what]


@structural
def require_privileged(of: Axes, what: str, only: tuple[str, ...] | None = None) -> None:
    """Raise unless the indices (all, or only some) are plain or expressed in a privileged basis.

    Raises:
        BasisError: one is not.
    """
    if only is None and of.privileged:
        return
    for index in of.indices:
        if index.basis is None or index.basis.privileged or (only is not None and index.name not in only):
            continue
        space: Any = index.basis.space
        if index.basis.name is not None and space.privileged:
            legal = f"t.to_basis({space.name}.standard) first: that basis is privileged"
        else:
            legal = (
                f"declare Space({space.name!r}, ..., privileged=True) if its basis has a meaning of its own, "
                "or take .components"
            )
        raise BasisError(f"{what} depends on the basis, and {index!r} is not in a privileged one.", legal=legal)
