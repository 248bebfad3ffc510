"""Raising and lowering as users call it, with the space's metric or with one that is passed; inner product, adjoint.

A metric that is passed is a tensor like any other: it may depend on batch axes (a metric field) and carry gradients (a
Fisher metric), and using it is a contraction. One with down indices raises through its inverse.
"""

from __future__ import annotations

from collections.abc import Iterable

from tensoria.contraction import product
from tensoria.core import BaseTensor, T, kept, relabelled, require_labelled, same_backend, transposed
from tensoria.errors import MetricError, SpaceError
from tensoria.indices import Index, axes, starred
from tensoria.metric import chosen, conj, flipped, moved, split_names, with_symmetries

__all__ = ["adjoint", "inner", "inverted", "lowered", "raised", "slots"]


def raised(t: T, names: str | Iterable[str] | None = None, metric: BaseTensor | None = None) -> T:
    """The tensor with down indices made contravariant.

    Args:
        t: a labelled tensor.
        names: the indices to raise, as `"i j"`; all down indices if not given.
        metric: a tensor with two down (or two up) indices to use instead of the space's own; it may carry batch axes
            and gradients.

    Raises:
        MetricError: a space has no metric, or its indices are independent.
        VarianceError: a named index is up already.

    >>> import tensoria as tn
    >>> V = tn.Space("V", 2, metric=[-1, 1])
    >>> raised(tn.tensor([3., 4.], "_i", i=V)).array
    array([-3.,  4.])
    """
    return _moved(t, names, metric, up=True)


def lowered(t: T, names: str | Iterable[str] | None = None, metric: BaseTensor | None = None) -> T:
    """The tensor with up indices made covariant; arguments and errors as for `raised`."""
    return _moved(t, names, metric, up=False)


def _moved(t: T, names: str | Iterable[str] | None, metric: BaseTensor | None, up: bool) -> T:
    require_labelled(t, "raising and lowering")
    if metric is None:
        return moved(t, names, up)
    t, metric = same_backend(t, metric)
    start = t._axes
    for name in chosen(t._axes, split_names(names), up):
        t = _through(t, name, metric)
    return with_symmetries(t, start)


def _through(t: T, name: str, metric: BaseTensor) -> T:
    """One index moved by a metric that is a tensor: plain axes align by name, leading ones broadcast."""
    index = t._axes.indices[t._axes.find(name)]
    if index.basis is not None and index.basis.space.position == "independent":
        raise MetricError(f"the up and down indices of {index.basis.space} are independent: {index!r} does not move.")
    pair = slots(metric)
    if pair[0].variance == index.variance:
        metric = inverted(metric)
        pair = slots(metric)
    matching = [n for n in (1, 0) if pair[n].basis is index.basis]
    if not matching:
        raise SpaceError(
            f"the metric {metric._axes} belongs to {pair[0].basis}, and {index!r} to {index.basis}.",
            legal="a metric of the index's own space and basis",
        )
    meets, remains = pair[matching[0]], pair[1 - matching[0]]
    target = name if remains.basis is index.basis else starred(name)
    aside = {meets.name: name + "''''", remains.name: name + "'''"}
    placed = relabelled(relabelled(metric, aside), {name + "''''": name})
    result = relabelled(product(placed, t), {name + "'''": target})
    own = [target if n == name else n for n in t._axes.names]
    extra = [n for n in result._axes.names if n not in own]
    return _as(t, transposed(result, [result._axes.find(n) for n in (*extra, *own)]))


def _as(like: T, t: BaseTensor) -> T:
    return kept(like, t._array, t._axes)


def slots(metric: BaseTensor) -> tuple[Index, Index]:
    """The two indices of a tensor that serves as a metric.

    Raises:
        MetricError: it has others, or they belong to two spaces.
    """
    pair = [index for index in metric._axes.indices if index.basis is not None]
    if len(pair) != 2 or pair[0].variance != pair[1].variance:
        raise MetricError(
            f"a metric has two down or two up indices; this tensor has {metric._axes or 'none'}.",
            legal="tn.tensor(g, [-i, -j])",
        )
    first, second = pair
    assert first.basis is not None
    if second.basis is not first.basis and second.basis is not first.basis.conj():
        raise MetricError(
            f"a metric belongs to one space; {first!r} and {second!r} belong to two.", legal="tn.tensor(g, [-i, -j])"
        )
    return first, second


def inverted(metric: T) -> T:
    """The inverse of a form g_ij, which is g^ij: inverse matrices, batch axes kept.

    Raises:
        MetricError: the tensor is no form.
    """
    first, second = slots(metric)
    names = [n for n in metric._axes.names if n not in (first.name, second.name)]
    ordered = transposed(metric, [metric._axes.find(n) for n in (*names, first.name, second.name)])
    try:
        array = metric._backend.xp.linalg.inv(ordered._array)
    except Exception as error:  # every framework has an error of its own for it
        raise MetricError(f"the metric {metric._axes} is singular, so nothing can be raised through it.") from error
    # The inverse's rows belong to the second slot: g^{-1}[j, i] g[i, k] = delta[j, k].
    flipped_slots = tuple(Index(i.name, i.basis, -1 if i.variance > 0 else 1) for i in (second, first))
    return kept(metric, array, axes((*ordered._axes.indices[:-2], *flipped_slots)))


def adjoint(t: T) -> T:
    """The adjoint with respect to the metrics: conjugated, every index moved, and their order reversed.

    For a linear map A^w_v it is the map with <A x, y> = <x, adjoint(A) y>. (The *dual* map needs no metric: it is the
    same tensor read the other way.)

    Raises:
        MetricError: a space has no metric.
    """
    require_labelled(t, "the adjoint")
    result = t if _bilinear(t) else conj(t)
    result = flipped(result, [index.name for index in result._axes.indices if index.basis is not None])
    bare = [n for n, index in enumerate(result._axes.indices) if index.basis is None]
    slots = [n for n, index in enumerate(result._axes.indices) if index.basis is not None]
    return transposed(result, bare + slots[::-1])


def _bilinear(t: BaseTensor) -> bool:
    """Whether the metrics are bilinear, so that nothing is conjugated.

    Raises:
        MetricError: some are, and others are Hermitian.
    """
    kinds = {
        i.basis.space.bilinear for i in t._axes.indices if i.basis is not None and i.basis.space.field == "complex"
    }
    if len(kinds) > 1:
        raise MetricError(f"{t._axes}: some metrics are bilinear and some are Hermitian, so that no product is either.")
    return True in kinds


def inner(u: T, v: T) -> T:
    """The inner product of two tensors with the same indices by the metrics of their spaces: conj(u) * v, v moved.

    Args:
        u, v: labelled tensors with the same indices; the product is antilinear in the first (linear where the metric
            of a complex space is declared bilinear).

    Raises:
        MetricError: a space has no metric.
        SpaceError, VarianceError: the indices differ.

    >>> import tensoria as tn
    >>> i, = tn.indices("i", tn.Space("V", 2, metric=[-1, 1]))
    >>> float(inner(tn.tensor([1., 2.], [i]), tn.tensor([3., 4.], [i])))
    5.0
    """
    require_labelled(u, "an inner product")
    require_labelled(v, "an inner product")
    u, v = same_backend(u, v)
    return product(
        u if _bilinear(u) else conj(u), flipped(v, [index.name for index in v._axes.indices if index.basis is not None])
    )
