"""Symmetric and antisymmetric parts, and symmetries that are declared: checked against the data, then remembered.

`t.antisymmetrised("i j")`, `t["_[i j]"]` and the brackets of `tn.einsum` make a part; `tn.tensor(data, "_[i j]", ...)`
declares that the data have the symmetry. Either way the tensor remembers it (see `tensoria.declared`), and what asks
for a form does not look at the data again.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np

from tensoria.core import T, kept, require_labelled
from tensoria.declared import Groups, declare, groups_of
from tensoria.errors import AxisError, SymmetryError
from tensoria.indices import Axes
from tensoria.matching import exchangeable
from tensoria.metric import split_names
from tensoria.permuting import averaged
from tensoria.structure import structural

__all__ = ["TOLERANCE", "antisymmetrised", "declared", "form", "symmetrised"]

TOLERANCE = {
    "float64": 1e-11, "complex128": 1e-11, "float32": 1e-5, "complex64": 1e-5, "float16": 1e-2, "bfloat16": 5e-2,
}  # fmt: skip
"""How far data may be from a declared symmetry, relative to their largest component; integers may not."""


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
    >>> symmetrised(tn.tensor([[0., 2.], [0., 0.]], [i, j]), "i j")
    Tensor(^(i j) [i: V(2), j: V(2)], 2x2 float64, numpy)
    [[0. 1.]
     [1. 0.]]
    """
    return _averaged(t, names, antisymmetric=False)


def antisymmetrised(t: T, names: str | Iterable[str]) -> T:
    """The signed mean over all permutations of the named indices, T_[ij]; arguments as for `symmetrised`."""
    return _averaged(t, names, antisymmetric=True)


def _averaged(t: T, names: str | Iterable[str], antisymmetric: bool) -> T:
    require_labelled(t, "(anti)symmetrising")
    places, of = _symmetrised(t._axes, split_names(names) or (), antisymmetric)
    lead = t.lead
    return kept(t, averaged(t._backend, t._array, tuple(lead + n for n in places), antisymmetric), of)


@structural
def _symmetrised(of: Axes, names: tuple[str, ...], antisymmetric: bool) -> tuple[tuple[int, ...], Axes]:
    if len(set(names)) != len(names) or not names:
        raise AxisError(f"the indices to (anti)symmetrise are named once each, not {list(names)}.")
    places = tuple(of.find(name) for name in names)
    exchangeable([of.indices[n] for n in places], "(anti)symmetrising")
    # Exchanging these indices commutes with exchanging others, but not with exchanging one of them and another.
    others = tuple((group, odd) for group, odd in groups_of(of) if not set(group) & set(places))
    return places, declare(of, (*others, (places, antisymmetric)))


def declared(t: T, groups: Groups) -> T:
    """The tensor with symmetries that its data are seen to have.

    Args:
        t: a labelled tensor.
        groups: positions among the labelled axes, and whether exchanging two of them changes the sign.

    Raises:
        SymmetryError: the data do not have them, to within `TOLERANCE`. (While a framework traces there are no data
            to look at, and the declaration is believed.)
        SpaceError, VarianceError: the indices of a group can not change places.
    """
    for places, odd in groups:
        exchangeable([t._axes.indices[n] for n in places], "a declared symmetry")
        if _has(t, places, odd) is False:
            shown = " ".join(t._axes.names[n] for n in places)
            part = "antisymmetrised" if odd else "symmetrised"
            raise SymmetryError(
                f"the data of {Axes.__str__(t._axes)} are not {part.removesuffix('ised') + 'ic'} in {shown}.",
                legal=f'declare none, and take the part that is: t.{part}("{shown}")',
            )
    return kept(t, t._array, declare(t._axes, groups))


def form(t: T, places: tuple[int, ...], what: str) -> T:
    """The tensor, seen to be antisymmetric in the indices at these places.

    While a framework traces, its antisymmetric part instead, unless the symmetry is declared.

    Raises:
        SymmetryError: it is not antisymmetric.
    """
    if len(places) < 2 or any(odd and set(places) <= set(group) for group, odd in groups_of(t._axes)):
        return t
    found = _has(t, places, odd=True)
    if found is None:
        return _averaged(t, [t._axes.names[n] for n in places], antisymmetric=True)
    if not found:
        names = " ".join(t._axes.names[n] for n in places)
        raise SymmetryError(
            f"{what} takes antisymmetric tensors, and {Axes.__str__(t._axes)} is not antisymmetric in {names}.",
            legal=f't.antisymmetrised("{names}")',
        )
    return t


def _has(t: T, places: tuple[int, ...], odd: bool) -> bool | None:
    """Whether the data have a symmetry; None if they can not be seen."""
    numbers = t._backend.numbers(t._array)
    if numbers is None:
        return None
    wide = numbers.astype(complex if t.dtype.kind == "complex" else float)
    bound = TOLERANCE.get(t.dtype.name, 0.0) * np.abs(wide).max(initial=0)
    lead = wide.ndim - len(t._axes.indices)
    # Exchanges of neighbours make all permutations.
    for a, b in itertools.pairwise(places):
        exchanged = np.swapaxes(wide, lead + a, lead + b)
        if not (np.abs(wide + exchanged if odd else wide - exchanged) <= bound).all():
            return False
    return True
