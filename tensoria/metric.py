"""Raising, lowering, change of basis, conjugation: what happens to one index at a time.

Lowering contracts an up index with the metric of its space, raising a down index with the inverse. On a complex space
with a Hermitian metric both lead to the conjugate space: v^i becomes v_{i*}, so that `inner(u, v)` is
`u.conj() * v.lowered()`. A diagonal metric is a multiplication and the identity costs nothing. Each index of a fused
(product) space is raised or lowered factor by factor.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tensoria.backend import Array
from tensoria.components import Components, change, dtype_for, gram
from tensoria.core import BaseTensor, T, kept, new, require_labelled
from tensoria.declared import carried
from tensoria.errors import MetricError, SpaceError, VarianceError
from tensoria.indices import Axes, Index, axes, starred
from tensoria.planning import Pattern, pattern
from tensoria.spaces import Basis, Metric, Space, frame
from tensoria.structure import structural

__all__ = ["applied", "chosen", "conj", "flipped", "moved", "scaled", "split_names", "to_basis", "with_symmetries"]


def flipped(t: T, names: Iterable[str]) -> T:
    """The named indices raised or lowered, whichever they are not yet."""
    start = t._axes
    for name in names:
        index = t._axes.indices[t._axes.find(name)]
        t = _flip(t, t._axes.find(name), index)
    return with_symmetries(t, start)


def with_symmetries(t: T, of: Axes) -> T:
    """The tensor with those symmetries of the axes that it comes from which its own can have (see `carried`)."""
    return t if type(of) is Axes else kept(t, t._array, carried(of, t._axes))


def moved(t: T, names: str | Iterable[str] | None, up: bool) -> T:
    """The named indices (all that are not, if no name is given) made up, or made down, by their spaces' metrics."""
    start = t._axes
    for name in chosen(t._axes, split_names(names), up):
        position = t._axes.find(name)
        t = _flip(t, position, t._axes.indices[position])
    return with_symmetries(t, start)


def split_names(names: str | Iterable[str] | None) -> tuple[str, ...] | None:
    """Names given as one string or as several, without marks."""
    if names is None:
        return None
    return tuple(n.lstrip("^_") for n in (names.split() if isinstance(names, str) else names))


@structural
def chosen(of: Axes, names: tuple[str, ...] | None, up: bool) -> tuple[str, ...]:
    """The names of the indices to raise (or lower), checked.

    Raises:
        AxisError, SpaceError, VarianceError: a name is none of the tensor's, names a plain axis, or is moved already.
    """
    wrong = 1 if up else -1
    if names is None:
        return tuple(index.name for index in of.indices if index.variance == -wrong)
    for name in names:
        index = of.indices[of.find(name)]
        if index.basis is None:
            raise SpaceError(f"{name!r} is a plain axis, without a space, so it is neither up nor down.")
        if index.variance == wrong:
            state = "contravariant" if up else "covariant"
            raise VarianceError(f"{index!r} is {state} already.", legal=f't.{"lowered" if up else "raised"}("{name}")')
    return names


@structural
def _plan_flip(index: Index) -> tuple[Index, Metric]:
    """The index after raising or lowering, and the kind of the metric used."""
    basis = index.basis
    assert basis is not None
    space = basis.space
    if space.position == "independent":
        raise MetricError(
            f"the up and down indices of {space} are independent (position='independent'): {index!r} does not move.",
            legal=f"Space({space.name!r}, ..., position='fixed', metric=...)",
        )
    if basis.kind == "none":
        verb = "lowered" if index.variance > 0 else "raised"
        raise MetricError(
            f"{index!r} can not be {verb}: {space} has no metric.",
            legal=f"t.{verb}({index.name!r}, metric=g), or Space({space.name!r}, {space.dimension!r}, metric=...)",
        )
    target = basis if space.bilinear else basis.conj()
    name = index.name if target is basis else starred(index.name)
    return Index(name, target, -1 if index.variance > 0 else 1), basis.kind


def _flip(t: T, position: int, index: Index) -> T:
    moved, kind = _plan_flip(index)
    if kind == "identity":
        return new(t, t._array, _replaced(t._axes, position, moved))
    # Lowering V^i uses g of V; raising V_i uses the inverse of the metric of conj(V), whose up index it becomes.
    basis = index.basis if index.variance > 0 else moved.basis
    assert basis is not None
    if kind == "diagonal":
        return scaled(t, position, gram(basis, index.variance < 0, True), moved)
    return applied(t, position, gram(basis, index.variance < 0, False), moved)


@structural
def _replaced(of: Axes, position: int, index: Index) -> Axes:
    return axes((*of.indices[:position], index, *of.indices[position + 1 :]))


def applied(t: T, position: int, matrix: Components, index: Index) -> T:
    """A matrix applied to one labelled axis: new_a = M_ab old_b; the axis then carries `index`."""
    native, array = _meeting(t, matrix)
    of = _application(len(t._axes.indices), position)
    return new(t, t._backend.contract(of, native, array), _replaced(t._axes, position, index))


def _meeting(t: BaseTensor, components: Components) -> tuple[Array, Array]:
    """A space's numbers and the tensor's array, in data types that promote (integers give way to a real metric)."""
    kind = t.dtype
    of = dtype_for(components, kind)
    array = t._array
    if of is not kind and kind.kind in ("int", "uint"):
        array = t._backend.kernels.cast(array, t._backend.native_dtype(of))
    return t._backend.constant(components, of, array), array


@structural
def _application(rank: int, position: int) -> Pattern:
    term = tuple(range(rank))
    out = (*term[:position], rank, *term[position + 1 :])
    return pattern(((rank, position), term), out, frozenset(), ())


def scaled(t: T, position: int, diagonal: Components, index: Index) -> T:
    """One labelled axis multiplied by a vector, entry by entry; the axis then carries `index`."""
    backend = t._backend
    native, array = _meeting(t, diagonal)
    after = len(t._axes.indices) - 1 - position
    if after:
        native = backend.kernels.reshape(native, (diagonal.values.shape[0],) + (1,) * after)
    a, b = backend.promoted(array, native)
    return new(t, backend.kernels.multiply(a, b), _replaced(t._axes, position, index))


def conj(t: T) -> T:
    """The complex conjugate, which lives in the conjugate space; up stays up and down stays down."""
    made = t._backend.xp.conj(t._array) if t.dtype.kind == "complex" else t._array
    return kept(t, made, _conjugated(t._axes))


@structural
def _conjugated(of: Axes) -> Axes:
    made = axes(tuple(index.conj() for index in of.indices))
    return made if type(of) is Axes else carried(of, made)


def to_basis(t: T, target: Basis | Space, names: str | Iterable[str] | None = None) -> T:
    """The same tensor with its components in another basis: L acts on down indices, its inverse on up ones.

    Args:
        t: a labelled tensor.
        target: a basis of a space that some indices range over (a space means its standard basis).
        names: the indices to re-express; all those over the target's space if not given.

    Raises:
        SpaceError: no index ranges over that space, or a named one does not.
    """
    require_labelled(t, "a change of basis")
    basis, start = frame(target), t._axes
    for name in _in_space(t._axes, basis, split_names(names)):
        position = t._axes.find(name)
        index = t._axes.indices[position]
        assert index.basis is not None
        goal = basis if index.basis.space is basis.space else basis.conj()
        matrix = change(index.basis, goal, index.variance > 0)
        if matrix is not None:
            t = applied(t, position, matrix, Index(name, goal, index.variance))
    return with_symmetries(t, start)


@structural
def _in_space(of: Axes, basis: Basis, names: tuple[str, ...] | None) -> tuple[str, ...]:
    def fits(index: Index) -> bool:
        return index.basis is not None and index.basis.space in (basis.space, basis.space.conj())

    if names is None:
        found = tuple(index.name for index in of.indices if fits(index))
        if not found:
            raise SpaceError(f"no index of {', '.join(map(repr, of.indices))} ranges over {basis.space}.")
        return found
    for name in names:
        index: Any = of.indices[of.find(name)]
        if not fits(index):
            raise SpaceError(f"{index!r} does not range over {basis.space}.", legal=f"a basis of {index.space}")
    return names
