"""What stands in square brackets.

On a plain tensor integers, slices, arrays and masks mean what they mean in NumPy; indices and names label its axes:
`t[i, -j]`, `t["b", i]`, `t[..., i]`. On a labelled tensor indices and names *relabel by position* (and `t[i, -i]` is
the trace), while integers and slices count axes from the left as ever; an indexed axis that is cut has to be plain or
in a privileged basis (rule 6), and what remains of it is a plain axis of that name, no longer the whole space.
"""

from __future__ import annotations

import operator
from typing import Any

from tensoria.contraction import trace
from tensoria.coordinatewise import fitting, is_scalar, number
from tensoria.core import BaseTensor, T, labelled, new, relabelled, same_backend
from tensoria.dtypes import bool_, check_assignable, dtype
from tensoria.einsum import relabel
from tensoria.errors import AxisError, BackendError, ModeError, PositionError, SpaceError, VarianceError
from tensoria.indices import PLAIN, Index, axes, bare, plain
from tensoria.keys import check_key, check_value, native_key
from tensoria.literals import check_literal
from tensoria.matching import check_same_frame, require_privileged
from tensoria.notation import parse_term
from tensoria.views import rebound, refresh, view

__all__ = ["get", "put"]


def get(t: T, key: Any) -> T:
    """`t[key]`.

    Raises:
        PositionError: a position is out of range, or the key selects no components.
        AxisError: too many indices, or a name occurs twice.
        SpaceError, VarianceError: a new index differs from the one it replaces in more than its name.
        BasisError: an axis is cut whose basis is not privileged.
    """
    kind = type(key)
    if t._axes is PLAIN and (kind is int or kind is slice):
        try:
            found = new(t, t._backend.get_item(t._array, key), PLAIN)
        except Exception:
            check_key(t._backend, t._backend.shape(t._array), key)
            raise
        return _selected(t, found, key) if t._backend.immutable else found
    parts = key if isinstance(key, tuple) else (key,)
    for part in parts:
        if isinstance(part, (Index, str)):
            return _label(t, parts)
    if t._axes is PLAIN:
        key = native_key(t, key)
        try:
            array = t._backend.get_item(t._array, key)
        except Exception:
            check_key(t._backend, t._backend.shape(t._array), key)
            raise
        if 0 in array.shape:  # frameworks look up nothing, and so find nothing wrong
            check_key(t._backend, t._backend.shape(t._array), key)
        found = new(t, array, PLAIN)
        return _cut_out(t, key, found) if t._backend.immutable else found
    cut, kept = _cut(t, parts)
    found = new(t, t._backend.get_item(t._array, cut), kept)
    return _cut_out(t, cut, found) if t._backend.immutable else found


def put(t: BaseTensor, key: Any, value: Any) -> None:
    """`t[key] = value`; on immutable backends the tensor is bound to a new array, and so is what it is a view of.

    Raises:
        PositionError: a position is out of range, or the key selects no components.
        ShapeError: the value does not broadcast to the place.
        ModeError: a labelled value meets a plain place, or the other way round.
    """
    kind, backend = type(key), t._backend
    if backend.immutable:
        refresh(t)
    if t._axes is PLAIN and (kind is int or kind is slice) and isinstance(value, BaseTensor):
        array = value._array
        if value._axes is PLAIN and value._backend is backend and array.dtype is t._array.dtype:
            try:
                written = backend.set_item(t._array, key, array)
            except Exception:
                check_key(backend, backend.shape(t._array), key)
                check_value(backend, backend.shape(t._array), key, backend.shape(array))
                raise
            if backend.immutable:
                rebound(t, written)
            else:
                t._array = written
            return
    parts = key if isinstance(key, tuple) else (key,)
    if any(isinstance(part, (Index, str)) for part in parts):
        raise ModeError(
            "indices label axes, they do not select components.", legal="assign through integers and slices"
        )
    if t._axes is PLAIN:
        if isinstance(value, BaseTensor) and value._axes is not PLAIN:
            raise ModeError(f"a labelled value ({value._axes}) for a plain place.", legal="t[key] = value.components")
        _write(t, native_key(t, key), _native_value(t, value))
        return
    cut, kept = _cut(t, parts)
    if isinstance(value, BaseTensor):
        value = _beside(t, value)
        if bare(value._axes) is not axes(kept):
            raise ModeError(
                f"the place has the axes {axes(kept)!s:.60} and the value {value._axes!s:.60}.",
                legal="give the value the place's axes, in its order",
            )
    elif is_scalar(value):
        if value != 0:  # zero alone has the same components in every basis
            require_privileged(axes(kept), "setting components to a number")
    else:
        raise ModeError("a plain value for a labelled place.", legal="label the value, or assign to a plain tensor")
    rebound(t, t._backend.set_item(t._array, cut, _native_value(t, value)))


def _write(t: BaseTensor, key: Any, value: Any) -> None:
    """`t[key] = value` of native parts on a plain tensor, with errors of our own."""
    backend, shape = t._backend, t._backend.shape(t._array)
    try:
        written = backend.set_item(t._array, key, value)
    except Exception:
        check_key(backend, shape, key)
        if backend.owns(value):
            check_value(backend, shape, key, backend.shape(value))
        raise
    if 0 in shape:  # frameworks write nothing, and so find nothing wrong
        check_key(backend, shape, key)
    rebound(t, written)


def _beside(t: BaseTensor, value: BaseTensor) -> BaseTensor:
    """A value that can be written into a tensor, on its backend.

    Raises:
        BackendError: it is on another one.
    """
    found = same_backend(t, value)[1]
    if found._backend is not t._backend:  # a constant, which a function has from outside, and something of its own
        raise BackendError(
            f"a value on {found._backend.name} can not be written into a tensor on {t._backend.name}.",
            legal=f"t = t.to(backend={found._backend.name!r}) first",
        )
    return found


def _native_value(t: BaseTensor, value: Any) -> Any:
    """A value in the tensor's data type, if that loses no part of it: a smaller kind becomes a larger one."""
    backend, kind = t._backend, t.dtype
    if isinstance(value, BaseTensor):
        value = _beside(t, value)._array
    elif is_scalar(value):
        value = number(value)
        check_assignable(dtype(type(value)), kind)
        return fitting(value, kind) if type(value) is int and kind is not bool_ else value
    elif not backend.owns(value):
        check_literal(value, None, backend.tracing)
        value = backend.asarray(value, None, t.device, None)
    check_assignable(backend.dtype(value), kind)
    return backend.kernels.cast(value, backend.native_dtype(kind))


# -- views ------------------------------------------------------------------------------------------------------------


def _selected(whole: BaseTensor, part: T, key: Any) -> T:
    backend = whole._backend
    return view(
        whole, part, lambda array: backend.get_item(array, key), lambda array, new: backend.set_item(array, key, new)
    )


def _cut_out(whole: BaseTensor, key: Any, part: T) -> T:
    """What integers and slices select is a view; what arrays select is a copy everywhere."""
    if all(type(item) in (int, slice) or item is Ellipsis for item in (key if isinstance(key, tuple) else (key,))):
        return _selected(whole, part, key)
    return part


# -- labelling --------------------------------------------------------------------------------------------------------


def _label(t: T, parts: tuple[Any, ...]) -> T:
    if len(parts) == 1 and isinstance(parts[0], str) and _is_notation(parts[0]):
        return _by_notation(t, parts[0])
    dots = [n for n, part in enumerate(parts) if part is Ellipsis]
    if len(dots) > 1 or (dots and dots[0] != 0):
        raise AxisError("'...' stands for leading axes, so it comes first and once.", legal="t[..., i, -j]")
    given: list[Index] = []
    for part in parts[len(dots) :]:
        if isinstance(part, Index):
            given.append(part)
        elif isinstance(part, str):
            term = parse_term(part)
            if len(term.labels) != 1 or term.ellipsis or term.labels[0].mark:
                raise AxisError(
                    f"{part!r} names no plain axis.", legal="one name for each axis, or one string for all: t['b ^i']"
                )
            given.append(plain(part.strip()))
        else:
            raise ModeError(
                f"indices and positions are mixed: {part!r} beside {', '.join(map(str, given)) or 'an index'}.",
                legal="cut first and label then, t[0][i, -j]",
            )
    if t._axes is not PLAIN:
        return _relabel(t, given, bool(dots))
    count = len(t._array.shape)
    if len(given) > count or (len(given) < count and not dots):
        legal = f"t[..., {', '.join(map(str, given))}] leaves leading axes anonymous" if len(given) < count else None
        raise AxisError(f"{len(given)} indices for a tensor with {count} axes.", legal=legal)
    pairs = _contracted(given)
    if not pairs:
        return labelled(t, tuple(given))
    aside = {second: given[second].renamed(given[second].name + MET) for _, second in pairs}
    t = labelled(t, tuple(aside.get(n, index) for n, index in enumerate(given)))
    for first, second in pairs:
        t = trace(t, given[first].name, aside[second].name)
    return t


def _is_notation(text: str) -> bool:
    return any(mark in text for mark in "^_ .")


def _by_notation(t: T, text: str) -> T:
    term = parse_term(text)
    if t._axes is not PLAIN:
        return relabel(t, term, text)
    marked = next((label for label in term.labels if label.mark), None)
    if marked is not None:
        raise SpaceError(
            f"{marked} carries an index, and a plain tensor has no space for it.",
            legal="t[i, -j] with Index objects, or tn.tensor(data, notation, i=V, j=V)",
            notation=text,
            span=marked.span,
        )
    return _label(t, ((...,) if term.ellipsis else ()) + term.names)


def _relabel(t: T, given: list[Index], dots: bool) -> T:
    have = t._axes.indices
    if len(given) != len(have):
        raise AxisError(
            f"{len(given)} names for the labelled axes {t._axes}.", legal="one for each, such as t[i, -j], by position"
        )
    for old, index in zip(have, given, strict=True):
        check_same_frame(old.renamed(index.name), index, "a subscript")
        if old.variance != index.variance:
            call = "raised" if index.variance > 0 else "lowered"
            raise VarianceError(
                f"{index} relabels {old!r}: a subscript never changes variance.", legal=f't.{call}("{old.name}") first'
            )
    pairs = _contracted(given)
    second = {n for _, n in pairs}
    # Two steps, so that names may change places.
    aside = {old.name: f"{old.name}{MET}" for old in have}
    t = relabelled(t, aside)
    final = {n: index.name + MET * (n in second) for n, index in enumerate(given)}
    t = relabelled(t, {aside[old.name]: final[n] for n, old in enumerate(have)})
    for first, n in pairs:
        t = trace(t, final[first], final[n])
    return t


MET = "'''''"
"""Marks a name for the moment between relabelling and trace."""


def _twice_at_most(given: list[Index]) -> None:
    for index in given:
        if sum(other.name == index.name for other in given) > 2:
            raise AxisError(f"the name {index.name!r} occurs more than twice in a subscript.")


def _contracted(given: list[Index]) -> list[tuple[int, int]]:
    """The positions of every up and down index of one name."""
    _twice_at_most(given)
    pairs = []
    for n, index in enumerate(given):
        for m in range(n):
            other = given[m]
            if other.name == index.name and other.basis is index.basis and other.variance == -index.variance != 0:
                pairs.append((m, n))
    return pairs


# -- cutting ----------------------------------------------------------------------------------------------------------


def _cut(t: BaseTensor, parts: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Index, ...]]:
    """The full key for a labelled tensor's array and the indices of what it leaves."""
    count = len(t._array.shape)
    lead = t.lead
    parts = tuple(part if part is Ellipsis or isinstance(part, slice) else _integer(part) for part in parts)
    given = [part for part in parts if part is not Ellipsis]
    if len(parts) - len(given) > 1:
        raise AxisError("'...' occurs twice.")
    if len(given) > count:
        raise AxisError(f"{len(given)} positions for a tensor with {count} axes.")
    at = next((n for n, part in enumerate(parts) if part is Ellipsis), len(given))
    full = [*given[:at], *([slice(None)] * (count - len(given))), *given[at:]]
    kept: list[Index] = []
    shape = t._backend.shape(t._array)
    for position, part in enumerate(full):
        index = t._axes.indices[position - lead] if position >= lead else None
        whole = isinstance(part, slice) and part == slice(None)
        if index is not None and not whole:
            require_privileged(t._axes, f"selecting components of {index}", (index.name,))
        if isinstance(part, slice):
            if index is not None:
                kept.append(index if whole or _same_size(part, shape[position]) else plain(index.name))
        else:
            size = shape[position]
            if size is not None and not -size <= part < size:
                raise PositionError(f"position {part} is out of range for axis {position} of size {size}.")
    return tuple(full), tuple(kept)


def _integer(part: Any) -> int:
    try:
        if not isinstance(part, bool):
            return operator.index(part)
    except TypeError:
        pass
    raise ModeError(
        f"a labelled tensor takes integers and slices, not {type(part).__name__}.",
        legal='tn.take(t, positions, axis="b") gathers, tn.where(mask["b"], t, 0 * t) masks',
    )


def _same_size(part: slice, size: int | None) -> bool:
    return size is not None and part.indices(size) == (0, size, 1)
