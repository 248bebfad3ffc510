"""Products of tensors: `*`, `@`, traces, and calling a tensor as a multilinear map.

All of them become a `planning.Pattern` and go through the backend's cached plans. Which axes meet is decided by name
in `matching`; the arithmetic is the backend's.
"""

from __future__ import annotations

from collections.abc import Sequence

from tensoria.core import BaseTensor, T, kept, new, relabelled, require_labelled, same_backend
from tensoria.errors import AxisError, ModeError, ShapeError, VarianceError
from tensoria.indices import PLAIN, Axes, Index, axes, primed
from tensoria.matching import PRODUCTS, Product, align_product, check_same_frame, symbol_groups
from tensoria.metric import flipped
from tensoria.planning import Pattern, SizeConflictError, pattern
from tensoria.structure import Cache, structural

__all__ = ["compose", "evaluate", "product", "trace"]


def product(a: T, b: BaseTensor) -> T:
    """The tensor product with Einstein summation: `a * b` of two tensors, at least one of them labelled.

    Raises:
        SpaceError, VarianceError: indices of one name do not fit.
        ModeError: one of them is plain and no scalar.
        ShapeError: sizes do not fit.
    """
    backend = a._backend
    tracing = backend.tracing
    if tracing is not None and tracing():
        aligned = align_product(a._axes, b._axes)
    else:
        aligned = PRODUCTS[a._axes, b._axes]
    if not aligned.simple:
        return _special(a, b, aligned)
    try:
        return new(a, backend.contract(aligned.pattern, a._array, b._array), aligned.axes)
    except SizeConflictError as conflict:
        raise _named(conflict, (a, b), aligned.pattern) from None


def _special(a: T, b: BaseTensor, aligned: Product) -> T:
    """A product with a scalar, or one into which free indices insert a metric first."""
    if aligned.flips:
        return product(a, flipped(b, aligned.flips))
    _only_scalar(a, b)
    # A multiple keeps the order of its axes.
    return kept(a, a._backend.multiply(a._array, b._array), b._axes if a._axes is PLAIN else a._axes)


def _only_scalar(a: BaseTensor, b: BaseTensor) -> None:
    bare = a if a._axes is PLAIN else b
    if len(bare._array.shape):
        other = b if bare is a else a
        raise ModeError(
            f"a labelled tensor ({other._axes}) times a plain one with {len(bare._array.shape)} axes.",
            legal="label the plain one, t[i, -j] or t['b'] (numbers and 0-d tensors may multiply as they are)",
        )


def _named(conflict: SizeConflictError, tensors: Sequence[BaseTensor], of: Pattern) -> ShapeError:
    """The size conflict told with the names that the planner does not know."""
    first, second = conflict.sizes[:2]
    if conflict.label < 0:
        return ShapeError(f"leading axis {conflict.label} has the sizes {first} and {second}, which do not broadcast.")
    for term, t in zip(of.terms, tensors, strict=True):
        if conflict.label in term and t._axes is not PLAIN:
            index = t._axes.indices[term.index(conflict.label)]
            symbol = f" (the symbol {index.dimension})" if isinstance(index.dimension, str) else ""
            return ShapeError(f"{index!r}{symbol} has the sizes {first} and {second} in one operation.")
    return ShapeError(f"axis {conflict.label} has the sizes {first} and {second}, which do not broadcast.")


def compose(a: T, b: BaseTensor) -> T:
    """`a @ b` of labelled tensors: the last down index of the left meets the first up index of the right.

    Raises:
        VarianceError: there is no such pair.
        SpaceError: the two range over different spaces.
    """
    a, b = same_backend(a, b)
    backend = a._backend
    tracing = backend.tracing
    if tracing is not None and tracing():
        of, result = _composition(a._axes, b._axes)
    else:
        of, result = _compositions[a._axes, b._axes]
    try:
        if backend.immediate and (tracing is None or not tracing()):
            return planned(a, b, of, result)
        return new(a, backend.contract(of, a._array, b._array), result)
    except SizeConflictError as conflict:
        raise _named(conflict, (a, b), of) from None


def planned(a: T, b: BaseTensor, of: Pattern, result: Axes) -> T:
    """Two tensors contracted by the plan for their forms, which they remember, as the result does its own."""
    try:
        first, second = a._form, b._form
    except AttributeError:
        try:
            first, second = a.form(), b.form()
        except TypeError:  # sizes that are symbols have no hash
            return new(a, a._backend.contract(of, a._array, b._array), result)
    run, form = a._backend.formed[of, first, second]
    array = run(a._array, b._array)
    out = new(a, array, result)
    if array.dtype is form.dtype:
        out._form = form
    return out


@structural
def _composition(left: Axes, right: Axes) -> tuple[Pattern, Axes]:
    return _compositions[left, right]


def _compose(pair: tuple[Axes, Axes]) -> tuple[Pattern, Axes]:
    left, right = pair
    if left is PLAIN or right is PLAIN:
        raise ModeError(
            f"@ of a labelled tensor ({right if left is PLAIN else left}) and a plain one.",
            legal="label the plain one, t[i, -j], or unlabel the other with .components",
        )
    down = next((n for n in range(len(left.indices) - 1, -1, -1) if left.indices[n].variance < 0), None)
    up = next((n for n in range(len(right.indices)) if right.indices[n].variance > 0), None)
    if down is None or up is None:
        side, kind, of = ("left", "covariant (down)", left) if down is None else ("right", "contravariant (up)", right)
        raise VarianceError(
            f"@ needs a {kind} index on its {side}, which has {of}.",
            legal='raise or lower one first, t.raised("i"), or write the contraction out with tn.einsum',
        )
    check_same_frame(
        left.indices[down],
        right.indices[up],
        "a composition with @",
        "compose maps whose spaces meet; for a tensor product of two maps, use * with names that differ",
    )
    labels = {index.name: number for number, index in enumerate(left.indices)}
    term_right: list[int] = []
    kept_right: list[tuple[int, Index]] = []
    taken = [n for n in left.names if n != left.indices[down].name]
    fresh = len(left.indices)
    for number, index in enumerate(right.indices):
        if number == up:
            term_right.append(down)
            continue
        mine = left.indices[left.position[index.name]] if index.name in left.position else None
        if index.basis is None and mine is not None and mine.basis is None:
            term_right.append(labels[index.name])
            continue
        name = primed(index.name, taken)
        taken.append(name)
        term_right.append(fresh)
        kept_right.append((fresh, index.renamed(name)))
        fresh += 1
    everything = [(n, index) for n, index in enumerate(left.indices) if n != down] + kept_right
    result = [x for x in everything if x[1].basis is None] + [x for x in everything if x[1].basis is not None]
    strict = {n: i for n, i in [*enumerate(left.indices), *kept_right] if i.basis is not None}
    made = pattern(
        (tuple(range(len(left.indices))), tuple(term_right)),
        tuple(n for n, _ in result),
        frozenset(strict),
        symbol_groups(strict),
    )
    return made, axes(tuple(index for _, index in result))


_compositions: Cache[tuple[Axes, Axes], tuple[Pattern, Axes]] = Cache(_compose)


def trace(t: T, first: str, second: str) -> T:
    """The contraction of two of a tensor's own indices, one up and one down, of one space.

    Args:
        t: a labelled tensor.
        first, second: the names of the indices.

    Raises:
        VarianceError: both are up or both are down (a bilinear form has no trace).
        SpaceError: they range over different spaces, or in different bases.
        AxisError: the tensor has no such index.
    """
    require_labelled(t, "a trace")
    i, j = t._axes.find(first), t._axes.find(second)
    a, b = t._axes.indices[i], t._axes.indices[j]
    if i == j:
        raise AxisError(f"a trace needs two indices, not {a} twice.")
    if a.basis is not None and b.basis is not None and a.variance == b.variance and a.basis is b.basis:
        kind, call = ("contravariant", "lowered") if a.variance > 0 else ("covariant", "raised")
        if a.basis.space.position == "free":
            return trace(flipped(t, (b.name,)), first, second)
        raise VarianceError(
            f"{a} and {b} are both {kind} indices of {a.basis}: such a tensor has no trace, "
            "because the sum of its diagonal depends on the basis.",
            legal=f't.{call}("{b.name}").trace("{a.name}", "{b.name}") takes it with the metric',
        )
    check_same_frame(a, b.renamed(a.name), "a trace")
    labels = list(range(len(t._axes.indices)))
    labels[j] = labels[i]
    sizes = t._backend.shape(t._array)[t.lead :]
    if sizes[i] != sizes[j] and sizes[i] is not None and sizes[j] is not None:
        raise ShapeError(f"{a!r} has size {sizes[i]} and {b!r} has size {sizes[j]}: they have no trace.")
    kept = [n for n in range(len(t._axes.indices)) if n not in (i, j)]
    of = pattern((tuple(labels),), tuple(labels[n] for n in kept), frozenset(), ())
    array = t._backend.reduce_axes(of, t._array)
    return new(t, array, tuple(t._axes.indices[n] for n in kept))


def evaluate(t: T, arguments: Sequence[BaseTensor | None]) -> T:
    """The tensor as a multilinear map: a covector for each up index, a vector for each down index, None to leave open.

    Args:
        t: the labelled tensor.
        arguments: one for each index, in order; each has exactly one index (besides plain axes), whose name is free.

    Raises:
        VarianceError: a vector stands where a covector belongs, or the other way round.
        SpaceError: an argument is from another space.
        AxisError: the number of arguments is not the number of indices.
    """
    require_labelled(t, "evaluation as a multilinear map")
    slots = [index for index in t._axes.indices if index.basis is not None]
    if len(arguments) != len(slots):
        raise AxisError(
            f"the tensor {t._axes} has {len(slots)} slots, not {len(arguments)}.",
            legal=f"t({', '.join(['None'] * len(slots))}), with an argument or None in each place",
        )
    for slot, argument in zip(slots, arguments, strict=True):
        if argument is None:
            continue
        if not isinstance(argument, BaseTensor):
            raise ModeError(f"the slot {slot!r} takes a labelled tensor, not {type(argument).__name__}.")
        t, argument = same_backend(t, argument)
        own = [index for index in argument._axes.indices if index.basis is not None]
        if len(own) != 1:
            raise AxisError(
                f"the slot {slot!r} takes a tensor with one index; this one has {argument._axes or 'none'}."
            )
        wanted = "covector" if slot.variance > 0 else "vector"
        if own[0].variance == slot.variance and own[0].basis is slot.basis and slot.basis is not None:
            call = "lowered" if slot.variance > 0 else "raised"
            if slot.basis.space.position != "free":
                raise VarianceError(
                    f"the slot {slot!r} takes a {wanted}, and {own[0]!r} is none.",
                    legal=f"pass x.{call}() to use the metric",
                )
        check_same_frame(slot, own[0].renamed(slot.name), "a multilinear call")
        argument = relabelled(argument, {own[0].name: slot.name})
        t = product(t, argument)
    return t
