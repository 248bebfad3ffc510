"""`vmap`: a function of one sample, mapped over a batch at once.

The mapped axis is a plain one: named (`"b"`), or anonymous and given by its position. An axis that carries an index is
no batch: what stands along it changes with the basis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tensoria.backend import Array, Backend
from tensoria.calculus.lifting import Labels, Lifted, Results
from tensoria.errors import AxisError, ModeError, ShapeError, SpaceError, TensoriaError, TracingError
from tensoria.indices import Axes, axes, plain
from tensoria.structure import structural

__all__ = ["vmap"]

Place = int | str | None


def vmap(
    function: Callable[..., Any], in_axes: Place | Sequence[Place] = 0, out_axes: int | str | None = None
) -> Callable[..., Any]:
    """The function mapped over an axis of its arguments.

    Args:
        function: takes tensors or trees of them without the axis, returns a tensor or a tree of them.
        in_axes: where the mapped axis is in the tensors of each argument: a name, the position of an anonymous axis,
            or None for an argument that is passed to every call as it is; one for all, or one for each argument.
        out_axes: where it is in the results: a name, which is put before the other labelled axes, or a position among
            the anonymous ones; if not given, the arguments' name if they agree on one, else 0.

    Returns:
        A function of the same arguments with the additional axis.

    Raises:
        AxisError, SpaceError: (when called) there is no such axis, or it carries an index.
        ShapeError: (when called) the mapped axes have different sizes, or so would the results of different samples.
        TracingError: (when called) Python asks for a number that every sample has its own of.

    >>> import tensoria as tn
    >>> i, = tn.indices("i", tn.Space("V", 2, metric=[1, 1]))
    >>> x = tn.tensor([[3., 4.], [6., 8.]], ["b", i])
    >>> norms = vmap(lambda x: tn.sqrt(tn.inner(x, x)), "b")(x)
    >>> norms.axes, norms.array
    (Axes(b), array([ 5., 10.]))
    """

    def batched(*arguments: Any, **named: Any) -> Any:
        places = _places(in_axes, len(arguments))
        chosen = [n for n, place in enumerate(places) if place is not None]
        if not chosen:
            raise ModeError("no argument has an axis to map over.", legal='tn.vmap(f, "b")')
        lifted = Lifted(function, arguments, named, chosen, floating=False)
        backend = lifted.backend
        per_leaf = [places[n] for n, count in zip(lifted.chosen, lifted.counts, strict=True) for _ in range(count)]
        inner: list[Labels] = []
        arrays, sizes = [], []
        for array, of, place in zip(lifted.arrays, lifted.labels, per_leaf, strict=True):
            assert place is not None
            axis, left = _taken(len(array.shape), of, place)
            inner.append(left)
            arrays.append(_moved_axis(backend, array, axis, 0))
            sizes.append(backend.shape(array)[axis])
        if len({size for size in sizes if size is not None}) > 1:
            raise ShapeError(f"the mapped axes have the sizes {', '.join(map(str, sizes))}.")
        kept: list[Results] = []

        def native(*slices: Array) -> list[Array]:
            results = Results(lifted.call(slices, inner), backend, lifted.own)
            kept.append(results)
            return results.arrays

        if any(size == 0 for size in sizes):
            raise ShapeError("the mapped axis has no element, so that nothing says what the function returns.")
        try:
            outputs = backend.vmap(native, arrays)
        except Exception as error:
            why = backend.refuses_map(error)
            if why is None:
                raise
            raise REFUSED[why]() from error
        names = {place for place in per_leaf if isinstance(place, str)}
        target = out_axes if out_axes is not None else (names.pop() if len(names) == 1 else 0)
        results = kept[-1]
        made = []
        for n, (array, of) in enumerate(zip(outputs, results.labels, strict=True)):
            axis, labels = _given(len(array.shape), of, target)
            results.labels[n] = labels
            made.append(_moved_axis(backend, array, 0, axis))
        return lifted.result(results, made)

    return batched


REFUSED: dict[str, Callable[[], TensoriaError]] = {
    "sizes": lambda: ShapeError(
        "the samples of a mapped function would have results of different sizes: how many components a mask selects, "
        "or are nonzero or unique, depends on their values.",
        legal="tn.where(mask, x, 0.0) keeps the shape; a loop over the samples",
    ),
    "numbers": lambda: TracingError(
        "a number is asked of a tensor that stands for all samples of a mapped function.",
        legal="tn.where and tn.cond choose by value",
    ),
}
"""What is wrong with a function that can not be mapped, by the word of `Backend.refuses_map`."""


def _places(given: Place | Sequence[Place], count: int) -> list[Place]:
    if given is None or isinstance(given, (int, str)):
        return [given] * count
    if len(given) != count:
        raise ModeError(f"in_axes has {len(given)} entries for {count} arguments.")
    return list(given)


def _taken(rank: int, of: Labels, place: int | str) -> tuple[int, Labels]:
    """The position of a mapped axis, and the labels of what is left."""
    count = 0 if of is None else len(of.indices)
    lead = rank - count
    if isinstance(place, str):
        if of is None:
            raise AxisError(f"a native array has no axis named {place!r}.", legal="in_axes=0")
        left = _without(of, place)
        return lead + of.find(place), left
    if not -lead <= place < lead:
        raise AxisError(
            f"there is no anonymous axis {place}; there are {lead}"
            + (f" before the labelled axes {of}." if count else "."),
            legal='the name of a plain axis, such as in_axes="b"',
        )
    return place % lead, of


@structural
def _without(of: Axes, name: str) -> Axes:
    index = of.indices[of.find(name)]
    if index.basis is not None:
        raise SpaceError(
            f"{index!r} carries an index: what stands along it changes with the basis, and can not be mapped over.",
            legal="a plain axis, such as t['b', i]",
        )
    return axes(tuple(other for other in of.indices if other is not index))


def _given(rank: int, of: Labels, place: int | str) -> tuple[int, Labels]:
    """Where the mapped axis (now the first of so many) goes, and the labels with it."""
    lead = rank - 1 - (0 if of is None else len(of.indices))
    if isinstance(place, str):
        return lead, axes((plain(place), *(() if of is None else of.indices)))
    if not -lead - 1 <= place <= lead:
        raise AxisError(f"the mapped axis can not be at {place} of {lead + 1} anonymous axes.", legal="out_axes=0")
    return place % (lead + 1), of


def _moved_axis(backend: Backend, array: Array, source: int, target: int) -> Array:
    if source == target:
        return array
    order = list(range(len(array.shape)))
    order.insert(target, order.pop(source))
    return backend.kernels.transpose(array, tuple(order))
