"""Forms and multivectors without a metric: wedge, interior product, pullback, pushforward, determinant.

A p-form is an antisymmetric tensor with p down indices of one space, a p-vector one with p up indices, and a 0-form a
scalar (of a field: a plain tensor whose leading axes count points). The normalisation is (dx ^ dy)_xy = 1, so that
components are the numbers that one writes before dx ^ dy. Whether a tensor is antisymmetric is looked up where that is
declared, else looked at (see `algebra.symmetry.form`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import reduce

from tensoria.algebra.symmetry import form
from tensoria.contraction import product
from tensoria.coordinatewise import binary
from tensoria.core import BaseTensor, T, divided, kept, new, relabelled, require_labelled, same_backend, transposed
from tensoria.declared import carried, declare
from tensoria.dtypes import float64
from tensoria.errors import AxisError, ModeError, SpaceError, VarianceError
from tensoria.indices import PLAIN, Axes, Index, primed
from tensoria.matching import check_same_frame, exchangeable
from tensoria.metric import split_names
from tensoria.permuting import shuffled
from tensoria.structure import structural

__all__ = ["det", "interior", "pulled", "pushed", "scalar_multiple", "slots_of", "wedge", "wedged"]


def wedge(*forms: T, into: str | Iterable[str] | None = None) -> T:
    """The exterior product of forms, or of multivectors: alpha ^ beta = (p + q)!/(p! q!) Alt(alpha beta).

    Args:
        forms: any number of forms of one space (or multivectors); scalars multiply. Names of a form that stand in one
            before it are primed; plain names align as in `*`.
        into: names for all indices of the product, in order.

    Returns:
        The product, whose antisymmetry is declared.

    Raises:
        SymmetryError: a factor is not antisymmetric.
        VarianceError, SpaceError: forms meet multivectors, or forms of another space or basis.

    >>> import tensoria as tn
    >>> V = tn.Space("V", 2)
    >>> dx, dy = (tn.tensor(row, "_i", i=V) for row in ([1., 0.], [0., 1.]))
    >>> wedge(dx, dy)
    Tensor(_[i i'] [i: V(2), i': V(2)], 2x2 float64, numpy)
    [[ 0.  1.]
     [-1.  0.]]
    """
    if not forms:
        raise ModeError("a wedge product has at least one factor.", legal="tn.wedge(alpha, beta)")
    checked = [form(t, slots_of(t), "the wedge product") for t in forms]
    result = reduce(wedged, checked)
    if into is None:
        return result
    names, given = [result._axes.names[n] for n in slots_of(result)], split_names(into) or ()
    if len(given) != len(names):
        raise AxisError(f"the product has {len(names)} indices, and {len(given)} names are given: {list(given)}.")
    return relabelled(result, dict(zip(names, given, strict=True)))


def wedged(a: T, b: T) -> T:
    """alpha ^ beta of tensors that are antisymmetric already."""
    a, b = same_backend(a, b)
    if not slots_of(a) or not slots_of(b):
        return scalar_multiple(a, b)
    b = relabelled(b, dict(_apart(a._axes, b._axes)))
    both = product(a, b)
    _check_wedge(both._axes)
    lead, p = both.lead, len(slots_of(a))
    places = [lead + n for n in slots_of(both)]
    array = shuffled(both._backend, both._array, places[:p], places[p:])
    return kept(both, array, declare(both._axes, ((slots_of(both), True),)))


def scalar_multiple(a: T, b: T) -> T:
    """A product one of whose factors is a 0-form: a tensor without axes, or with leading ones that count points."""
    for scalar, other in ((a, b), (b, a)):
        if scalar._axes is PLAIN and len(scalar._array.shape):
            if other._axes is PLAIN:
                return binary("multiply", a, b)
            backend = scalar._backend
            spread = backend.get_item(scalar._array, (Ellipsis, *([None] * len(other._axes.indices))))
            return kept(other, backend.multiply(*backend.promoted(spread, other._array)))
    return product(a, b) if a._axes is not PLAIN or b._axes is not PLAIN else binary("multiply", a, b)


def slots_of(t: BaseTensor) -> tuple[int, ...]:
    """The positions of the indices among the labelled axes, plain names left out."""
    return tuple(n for n, index in enumerate(t._axes.indices) if index.basis is not None)


@structural
def _apart(first: Axes, second: Axes) -> tuple[tuple[str, str], ...]:
    """New names for those indices of the second that stand in the first."""
    taken = {*first.names, *second.names}
    renamed = []
    for index in second.indices:
        if index.basis is not None and index.name in first.position:
            name = primed(index.name, taken)
            taken.add(name)
            renamed.append((index.name, name))
    return tuple(renamed)


@structural
def _check_wedge(of: Axes) -> None:
    exchangeable([index for index in of.indices if index.basis is not None], "a wedge product")


def interior(v: T, t: T) -> T:
    """The interior product: a vector in the first slot of a form, (i_v w)_b... = v^a w_ab....

    Args:
        v: a vector, or a p-vector: i_(u ^ v) w = i_v i_u w = w(u, v, ...), which is 1/p! v^a..b w_a..bc....
        t: a form of degree p or more, whose names the result keeps; or v a form and t a multivector.

    Raises:
        SymmetryError: one of them is not antisymmetric.
        VarianceError: both are up, or both are down.
        AxisError: the degree of the form is too small.

    >>> import tensoria as tn
    >>> V = tn.Space("V", 2)
    >>> area = tn.tensor([[0., 1.], [-1., 0.]], "_[i j]", i=V, j=V)
    >>> interior(tn.tensor([2., 3.], "^i", i=V), area)
    Tensor(_j [j: V(2)], 2 float64, numpy)
    [-3.  2.]
    """
    require_labelled(v, "an interior product")
    require_labelled(t, "an interior product")
    v, t = same_backend(v, t)
    v, t = (form(x, slots_of(x), "the interior product") for x in (v, t))
    names, rest = _interior(v._axes, t._axes)
    met = product(relabelled(v, dict(names)), t)
    made = divided(met, math.factorial(len(names))) if len(names) > 1 else met
    return kept(made, made._array, declare(made._axes, ((tuple(made._axes.find(name) for name in rest), True),)))


@structural
def _interior(v: Axes, of: Axes) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """What the first one's indices have to be called, and the names of those that remain."""
    first, slots = ([index for index in x.indices if index.basis is not None] for x in (v, of))
    for group in (first, slots):
        if group:
            exchangeable(group, "an interior product")
    if len(first) > len(slots) or not first:
        raise AxisError(f"{len(first)} indices ({v}) do not fit into the {len(slots)} slots of {of}.")
    check_same_frame(slots[0], first[0].renamed(slots[0].name), "an interior product")
    if first[0].variance == slots[0].variance:
        call = "lowered" if slots[0].variance > 0 else "raised"
        raise VarianceError(
            f"{first[0]!r} and {slots[0]!r} have one variance: vectors go into the slots of forms.",
            legal=f"v.{call}() (with a metric)",
        )
    pairs = tuple((a.name, b.name) for a, b in zip(first, slots, strict=False))
    return pairs, tuple(index.name for index in slots[len(first) :])


def det(t: T) -> T:
    """The determinant of a linear map of a space into itself: the number by which it stretches the top form.

    For a (1,1) tensor A and any top form w it is w(A u, ..., A v) / w(u, ..., v), in every basis. The determinant of a
    form g_ij would change with the basis (by det(L)^2), and is refused.

    Args:
        t: a tensor with one up and one down index of one space; plain axes are mapped over.

    Raises:
        VarianceError: both indices are up, or both are down.
        SpaceError: the map leads into another space.
        AxisError: the tensor has not two indices.

    >>> import tensoria as tn
    >>> i, j = tn.indices("i j", tn.Space("V", 2))
    >>> round(float(det(tn.tensor([[2., 5.], [0., 4.]], [i, -j]))), 12)
    8.0
    """
    require_labelled(t, "the determinant")
    rest, up, down = _endomorphism(t._axes)
    ordered = transposed(t, (*rest, up, down))
    array = ordered._array
    if t.dtype.kind not in ("float", "complex"):
        array = t._backend.kernels.cast(array, t._backend.native_dtype(float64))
    return new(t, t._backend.xp.linalg.det(array), ordered._axes.indices[:-2])


@structural
def _endomorphism(of: Axes) -> tuple[tuple[int, ...], int, int]:
    slots = [n for n, index in enumerate(of.indices) if index.basis is not None]
    if len(slots) != 2:
        raise AxisError(f"a determinant is that of a tensor with two indices, not of {of}.")
    first, second = (of.indices[n] for n in slots)
    if first.variance == second.variance:
        move = "raised" if first.variance < 0 else "lowered"
        raise VarianceError(
            f"{first!r} and {second!r}: the determinant of a bilinear form is no number, but a density; "
            "it changes with the square of the change of basis.",
            legal=f't.{move}("{first.name}") makes a linear map of it, with the metric; tn.linalg.det(t.components)',
        )
    check_same_frame(
        first,
        second.renamed(first.name),
        "a determinant",
        "tn.linalg.det(t.components), which depends on the bases of both spaces",
    )
    rest = tuple(n for n in range(len(of.indices)) if n not in slots)
    return (rest, slots[0], slots[1]) if first.variance > 0 else (rest, slots[1], slots[0])


def pulled(a: T, t: T) -> T:
    """A covariant tensor pulled back by a linear map A: V -> U, (A* t)_v... = t_u... A^u_v...."""
    return _carried(a, t, -1)


def pushed(a: T, t: T) -> T:
    """A contravariant tensor pushed forward by a linear map A: V -> U, (A t)^u... = A^u_v... t^v...."""
    return _carried(a, t, 1)


def _carried(a: T, t: T, variance: int) -> T:
    require_labelled(a, "pulling back and pushing forward")
    require_labelled(t, "pulling back and pushing forward")
    a, t = same_backend(a, t)
    up, down, names = _ends(a._axes, t._axes, variance)
    start, order = t._axes, list(t._axes.names)
    meets, remains = (up, down) if variance < 0 else (down, up)
    for name in names:
        placed = relabelled(relabelled(a, {meets: meets + ASIDE, remains: name + ASIDE * 2}), {meets + ASIDE: name})
        t = relabelled(product(placed, t), {name + ASIDE * 2: name})
        extra = [n for n in t._axes.names if n not in order]
        t = transposed(t, [t._axes.find(n) for n in (*extra, *order)])
    return kept(t, t._array, carried(start, t._axes))


ASIDE = "''''"
"""Marks a name for the moment of a contraction."""


@structural
def _ends(of: Axes, t: Axes, variance: int) -> tuple[str, str, tuple[str, ...]]:
    """The map's two indices, and the names of the tensor's that it carries."""
    ups: list[Index] = [index for index in of.indices if index.variance > 0]
    downs: list[Index] = [index for index in of.indices if index.variance < 0]
    if len(ups) != 1 or len(downs) != 1:
        raise VarianceError(f"a linear map has one up and one down index, and this one has {of}.")
    met = (ups if variance < 0 else downs)[0]
    names = []
    for index in t.indices:
        if index.space is not met.space:
            continue
        check_same_frame(index, met.renamed(index.name), "a pullback" if variance < 0 else "a pushforward")
        if index.variance != variance:
            kind = "covariant" if variance < 0 else "contravariant"
            verb = "pull back" if variance < 0 else "push forward"
            move = "lowered" if variance < 0 else "raised"
            raise VarianceError(
                f"only {kind} indices {verb}, and {index!r} is none.",
                legal=f't.{move}("{index.name}") first (with a metric), or the other direction: tn.'
                + ("pushforward" if variance < 0 else "pullback"),
            )
        names.append(index.name)
    if not names:
        where = "leads to" if variance < 0 else "comes from"
        raise SpaceError(f"no index of {', '.join(map(repr, t.indices))} ranges over {met.basis}, which {of} {where}.")
    return ups[0].name, downs[0].name, tuple(names)
