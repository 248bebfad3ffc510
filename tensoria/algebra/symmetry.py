"""Symmetric and antisymmetric parts over some indices of one space and one variance."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

from tensoria.core import T, divided, new, require_labelled
from tensoria.errors import AxisError, SpaceError, VarianceError
from tensoria.matching import check_same_frame
from tensoria.metric import split_names

__all__ = ["antisymmetrised", "symmetrised"]


def symmetrised(t: T, names: str | Iterable[str]) -> T:
    """The mean over all permutations of the named indices, T_(ij).

    Args:
        t: a labelled tensor.
        names: two or more indices of one space, all up or all down, as `"i j"`.

    Raises:
        VarianceError: some are up and some are down: exchanging them has no meaning.
        SpaceError: they range over different spaces.

    >>> import tensoria as tn
    >>> i, j = tn.indices("i j", tn.Space("V", 2))
    >>> symmetrised(tn.tensor([[0., 2.], [0., 0.]], [i, j]), "i j").array
    array([[0., 1.],
           [1., 0.]])
    """
    return _averaged(t, names, antisymmetric=False)


def antisymmetrised(t: T, names: str | Iterable[str]) -> T:
    """The signed mean over all permutations of the named indices, T_[ij]; arguments as for `symmetrised`."""
    return _averaged(t, names, antisymmetric=True)


def _averaged(t: T, names: str | Iterable[str], antisymmetric: bool) -> T:
    require_labelled(t, "(anti)symmetrising")
    chosen = split_names(names) or ()
    if len(set(chosen)) != len(chosen) or not chosen:
        raise AxisError(f"the indices to (anti)symmetrise are named once each, not {list(chosen)}.")
    positions = [t._axes.find(name) for name in chosen]
    first = t._axes.indices[positions[0]]
    if first.basis is None:
        raise SpaceError(f"{first.name!r} is a plain axis; (anti)symmetrising is over indices of one space.")
    for n in positions[1:]:
        index = t._axes.indices[n]
        check_same_frame(first, index.renamed(first.name), "(anti)symmetrising")
        if index.variance != first.variance:
            raise VarianceError(
                f"{first!r} and {index!r} differ in variance, so exchanging them has no meaning.",
                legal=f't.lowered("{(first if first.variance > 0 else index).name}") first',
            )
    xp, kernels, lead = t._backend.xp, t._backend.kernels, t.lead
    total = None
    for order in itertools.permutations(range(len(positions))):
        perm = list(range(len(t._axes.indices)))
        for target, source in enumerate(order):
            perm[positions[target]] = positions[source]
        term = kernels.transpose(t._array, (*range(lead), *(lead + n for n in perm)))
        odd = antisymmetric and _is_odd(order)
        if total is None:
            total = term
        else:
            total = xp.subtract(total, term) if odd else xp.add(total, term)
    return divided(new(t, total, t._axes), math.factorial(len(positions)))


def _is_odd(order: tuple[int, ...]) -> bool:
    return sum(a > b for a, b in itertools.combinations(order, 2)) % 2 == 1
