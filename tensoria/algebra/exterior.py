"""The Levi-Civita tensor and the Hodge star.

The *tensor* follows the metric and the orientation: eps_{01...} = +sqrt(abs(det g)) in a positively oriented basis, and
raising its indices gives the sign of the signature. The bare *symbol* with entries +1, -1, 0 is a density of another
kind and has a function of its own. The metric is the space's, or a tensor that is passed, which may differ from point
to point (batch axes) and carry gradients.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import numpy as np

from tensoria.algebra.raising import inverted, raised, slots
from tensoria.algebra.symmetry import form
from tensoria.backend import Backend
from tensoria.components import Components, dtype_for
from tensoria.contraction import product
from tensoria.core import T, adopt, divided, kept, new, relabelled, require_labelled, same_backend, transposed
from tensoria.declared import declare
from tensoria.discovery import home
from tensoria.dtypes import DType
from tensoria.errors import AxisError, MetricError, ShapeError, VarianceError
from tensoria.indices import Axes, Index, axes
from tensoria.matching import check_same_frame
from tensoria.metric import flipped, split_names
from tensoria.permuting import is_odd
from tensoria.spaces import Basis, Matrix
from tensoria.structure import Cache, structural

__all__ = ["epsilon", "hodge", "symbol", "volume"]


def symbol(rank: int) -> Matrix:
    """The entries of the permutation symbol: +1 for even permutations of 0, 1, ..., -1 for odd ones, else 0.

    >>> symbol(2)
    array([[ 0.,  1.],
           [-1.,  0.]])
    """
    values = np.zeros((rank,) * rank)
    for order in itertools.permutations(range(rank)):
        values[order] = -1.0 if is_odd(order) else 1.0
    return values


def epsilon(like: type[T], indices: tuple[Index, ...], backend: Backend, of: DType, tensor: bool) -> T:
    """The Levi-Civita tensor (or the bare symbol) with these indices, one for each dimension of their space.

    Raises:
        ShapeError: the number of indices is not the dimension.
        MetricError: the space has no metric (the symbol needs none), or no orientation.
        VarianceError: some indices are up and some are down.
    """
    values = _values(_checked(axes(indices)), indices[0].variance, tensor)
    probe = backend.asarray(0.0, of, home(backend), True)
    # A copy: whoever writes into the tensor must not write into the constant.
    constant = backend.constant(values, dtype_for(values, of), probe)
    return _antisymmetric(adopt(like, backend.copy(constant), axes(indices), backend))


def _antisymmetric(t: T) -> T:
    places = tuple(n for n, index in enumerate(t._axes.indices) if index.basis is not None)
    return kept(t, t._array, declare(t._axes, ((places, True),)))


def volume(metric: T, indices: tuple[Index, ...]) -> T:
    """The Levi-Civita tensor of a metric that is a tensor, whose batch axes it has too.

    Args:
        metric: a real tensor with two down (or two up) indices.
        indices: one for each dimension of its space, all down (or all up).

    Raises:
        MetricError: the tensor is no metric, or complex.
        SpaceError: the indices belong to another space.
    """
    pair, basis = slots(metric), _checked(axes(indices))
    check_same_frame(pair[0].renamed(indices[0].name), indices[0], "a Levi-Civita tensor")
    if metric.dtype.kind == "complex":
        raise MetricError(f"the metric {metric._axes} is complex, and has no real volume.", legal="tn.real(g)")
    backend, xp = metric._backend, metric._backend.xp
    names = [n for n in metric._axes.names if n not in (pair[0].name, pair[1].name)]
    found = [metric._axes.find(n) for n in (*names, pair[0].name, pair[1].name)]
    ordered = transposed(metric, found)
    values = _oriented(basis)
    kind = dtype_for(values, metric.dtype)
    matrices = backend.kernels.cast(ordered._array, backend.native_dtype(kind))
    determinant = xp.linalg.det(matrices)
    size = xp.sqrt(xp.abs(determinant))
    if pair[0].variance > 0:
        size = xp.divide(xp.ones_like(size), size)
    if indices[0].variance > 0:
        size = xp.divide(xp.sign(determinant), size)
    spread = backend.get_item(size, (Ellipsis, *([None] * len(indices))))
    array = backend.multiply(spread, backend.constant(values, kind, matrices))
    return _antisymmetric(new(metric, array, (*ordered._axes.indices[:-2], *indices)))


@structural
def _oriented(basis: Basis) -> Components:
    """The permutation symbol with the sign of a basis's orientation."""
    return _symbols[basis]


def _orient(basis: Basis) -> Components:
    assert isinstance(basis.dimension, int)
    return Components(symbol(basis.dimension) * basis.orientation)


_symbols: Cache[Basis, Components] = Cache(_orient, limit=256)


@structural
def _checked(of: Axes) -> Basis:
    if not of.indices or of.indices[0].basis is None:
        raise AxisError("the Levi-Civita tensor has one index for each dimension of a space.")
    first = of.indices[0]
    for index in of.indices[1:]:
        check_same_frame(first, index.renamed(first.name), "a Levi-Civita tensor")
        if index.variance != first.variance:
            raise VarianceError(
                f"{first!r} and {index!r}: the Levi-Civita tensor is made with all indices down (or all up).",
                legal="raise some of its indices afterwards",
            )
    basis = first.basis
    assert basis is not None
    if basis.dimension != len(of.indices):
        raise ShapeError(
            f"{basis} needs {basis.dimension} indices for its Levi-Civita tensor, not {len(of.indices)} ({of})."
        )
    return basis


@structural
def _values(basis: Basis, variance: int, tensor: bool) -> Components:
    return _cached[basis, variance, tensor]


def _compute(key: tuple[Basis, int, bool]) -> Components:
    basis, variance, tensor = key
    assert isinstance(basis.dimension, int)
    bare = symbol(basis.dimension)
    if not tensor:
        return Components(bare)
    if basis.kind == "none":
        raise MetricError(
            f"the Levi-Civita tensor of {basis.space} needs a metric.",
            legal="declare one, or take tn.levi_civita_symbol, which is a density",
        )
    determinant = np.linalg.det(basis.gram)
    if abs(np.imag(determinant)) > 1e-12 * abs(determinant):
        raise MetricError(f"the bilinear metric of {basis.space} has a complex determinant, and so no real volume.")
    size = math.sqrt(abs(np.real(determinant))) * basis.orientation
    # Raising all indices of eps_{01...} = s sqrt(abs(g)) gives sign(g) s / sqrt(abs(g)).
    return Components(bare * (size if variance < 0 else float(np.sign(np.real(determinant))) / size))


_cached: Cache[tuple[Basis, int, bool], Components] = Cache(_compute, limit=256)


def hodge(
    t: T,
    names: str | Iterable[str] | None = None,
    into: str | Iterable[str] | None = None,
    *,
    metric: T | None = None,
) -> T:
    """The Hodge dual of an antisymmetric tensor with k down indices, with n - k down indices.

    (*t)_{b...} = 1/k! t^{a...} eps_{a...b...}, so that alpha ^ *beta = <alpha, beta> vol.

    Args:
        t: the form.
        names: its indices, in order; all down indices if not given.
        into: names for the n - k indices of the dual; `i1 i2 ...` of the first index's name if not given.
        metric: a tensor to use instead of the space's own metric; it may carry batch axes and gradients.

    Raises:
        SymmetryError: the tensor is not antisymmetric in these indices.
        MetricError: the space has no metric.
        VarianceError: an index is up.
        SpaceError: the indices range over different spaces.
    """
    require_labelled(t, "the Hodge star")
    chosen = split_names(names)
    if chosen is None:
        chosen = tuple(index.name for index in t._axes.indices if index.basis is not None)
    if not chosen:
        raise AxisError("the Hodge star needs a form with at least one index; of a 0-form it is f * eps.")
    places = tuple(t._axes.find(name) for name in chosen)
    given = [t._axes.indices[n] for n in places]
    for index in given:
        check_same_frame(given[0], index.renamed(given[0].name), "a Hodge star")
        if index.variance >= 0:
            raise VarianceError(f"{index!r} is up; a form has down indices.", legal=f't.lowered("{index.name}")')
    t = form(t, places, "the Hodge star")
    basis = given[0].basis
    assert basis is not None
    if metric is None and basis.conj() is not basis and not basis.space.bilinear:
        raise MetricError(f"the Hodge star needs a bilinear metric, and that of {basis.space} is Hermitian.")
    dimension = basis.dimension
    if not isinstance(dimension, int) or len(given) > dimension:
        raise ShapeError(f"a form with {len(given)} indices on {basis}.")
    rest = split_names(into) or _fresh(given[0].name, dimension - len(given), t._axes.names)
    if len(rest) != dimension - len(given):
        raise AxisError(f"the dual has {dimension - len(given)} indices, not {list(rest)}.")
    # The form's names are summed away, so the dual may use them again.
    aside = {name: name + "''''" for name in chosen}
    slots_of_volume = tuple(Index(name, basis, -1) for name in (*aside.values(), *rest))
    if metric is None:
        eps = epsilon(type(t), slots_of_volume, t._backend, t.dtype, tensor=True)
        up = flipped(t, chosen)
    else:
        t, metric = same_backend(t, metric)
        inverse = inverted(metric) if slots(metric)[0].variance < 0 else metric
        eps, up = volume(metric, slots_of_volume), raised(t, chosen, inverse)
    result = divided(product(relabelled(up, aside), eps), math.factorial(len(given)))
    return kept(result, result._array, _with_group(result._axes, rest))


@structural
def _with_group(of: Axes, names: tuple[str, ...]) -> Axes:
    return declare(of, ((tuple(of.find(name) for name in names), True),))


def _fresh(stem: str, count: int, taken: Iterable[str]) -> tuple[str, ...]:
    used = set(taken)
    names: list[str] = []
    number = 1
    while len(names) < count:
        name = f"{stem.rstrip(chr(39))}{number}"
        if name not in used:
            names.append(name)
        number += 1
    return tuple(names)
