"""Keys that select components: made native, and what is wrong with one in our own words.

NumPy's rules hold on every backend: integers, slices, None, Ellipsis, masks over any number of axes, and arrays of
positions that broadcast; positions count from the end if they are negative; where arrays (and the integers beside
them) stand apart, their axes come first. A backend's `get_item` carries a key out. If the framework refuses it, this
file says why; frameworks that would accept a wrong one are held back by the conversion, which all keys go through.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, SupportsIndex, cast

import numpy as np

from tensoria.backend import Array, Backend
from tensoria.core import BaseTensor, same_backend
from tensoria.discovery import backend_of
from tensoria.errors import BackendError, ModeError, PositionError, ShapeError
from tensoria.indices import PLAIN
from tensoria.literals import MAX_DIMENSIONS, check_dimensions

__all__ = ["check_key", "check_value", "native_key"]

_BASIC = (int, slice, type(None), type(Ellipsis), np.integer, np.bool_)
LEGAL = "integers, slices, None, ..., masks and arrays of integers"


def native_key(t: BaseTensor, key: Any) -> Any:
    """A key with native arrays for tensors, lists and NumPy's arrays.

    Raises:
        PositionError: a part is neither of integers nor of truth values.
        ModeError: a tensor in it is labelled.
        BackendError: an array in it is on another backend.
    """
    if isinstance(key, tuple):
        if len(key) + t.ndim > MAX_DIMENSIONS:
            check_dimensions(t.ndim + sum(part is None for part in key))
        return tuple([part if isinstance(part, _BASIC) else _part(t, part) for part in key])
    return key if isinstance(key, _BASIC) else _part(t, key)


def _part(t: BaseTensor, part: Any) -> Any:
    backend = t._backend
    if isinstance(part, BaseTensor):
        if part._axes is not PLAIN:
            raise ModeError(f"a labelled tensor ({part._axes}) can not select components.", legal="its .components")
        part = same_backend(t, part)[1]
        array = part._array
        if part._backend is not backend:  # the tensor is a constant beside its key
            raise BackendError(
                f"a tensor on {backend.name} has a key on {part._backend.name}.",
                legal=f"t.to(backend={part._backend.name!r})[key]",
            )
    elif isinstance(part, (list, tuple)):
        array = _listed(t, part)
    elif isinstance(part, np.ndarray) and part.dtype.kind not in "biu":
        raise PositionError(f"an array of {part.dtype} can not select components.", legal=LEGAL)
    elif backend.owns(part):
        array = part
    elif isinstance(part, np.ndarray):
        array = backend.asarray(part, None, t.device, None)
    elif (owner := backend_of(part)) is not None:
        raise BackendError(
            f"a tensor on {backend.name} has a key on {owner.name}.", legal=f"key.to(backend={backend.name!r})"
        )
    elif hasattr(part, "__index__"):
        return part.__index__()
    else:
        raise PositionError(f"{type(part).__name__} {part!r:.40} can not select components.", legal=LEGAL)
    of = backend.dtype(array)
    if of.kind not in ("bool", "int", "uint"):
        raise PositionError(f"an array of {of} can not select components.", legal=LEGAL)
    return array


def _item(item: Any) -> Any:
    return operator.index(cast(SupportsIndex, item)) if isinstance(item, BaseTensor) and not item.ndim else item


def _listed(t: BaseTensor, part: Any) -> Array:
    plain = [_item(item) for item in part]
    try:
        made = np.asarray(plain)
    except (ValueError, TypeError):
        made = np.asarray(None)
    if not made.size:
        made = made.astype(np.int64)
    if made.dtype.kind not in "biu":
        raise PositionError(f"the list {part!r:.60} can not select components.", legal=LEGAL)
    return t._backend.asarray(made, None, t.device, None)


def check_key(backend: Backend, shape: tuple[int | None, ...], key: Any) -> None:
    """Raise unless a native key selects components of an array of a shape.

    Raises:
        PositionError: it does not.
    """
    shape = tuple([size if type(size) is int else None for size in shape])
    parts = key if isinstance(key, tuple) else (key,)
    arrays = [part for part in parts if backend.owns(part) and not isinstance(part, np.generic)]
    spans = [_span(backend, part) for part in parts]
    if sum(part is Ellipsis for part in parts) > 1:
        raise PositionError("'...' occurs twice in a key.")
    if sum(spans) > len(shape):
        raise PositionError(f"{sum(spans)} positions for a tensor with {len(shape)} axes.")
    check_dimensions(len(shape) + sum(part is None for part in parts))
    masks = [part for part in arrays if backend.dtype(part).kind == "bool"]
    found = [backend.shape(part) for part in arrays if not any(part is mask for mask in masks)]
    found += [(_count(backend, mask),) for mask in masks]
    if arrays:
        found += [(int(part),) for part in parts if isinstance(part, (bool, np.bool_))]
    nothing = any(0 in one for one in found)  # NumPy does not look at positions then
    axis = 0
    for part, span in zip(parts, spans, strict=True):
        if part is Ellipsis:
            axis += len(shape) - sum(spans)
        elif isinstance(part, slice):
            _check_slice(part)
        elif any(part is array for array in arrays):
            _check_array(backend, shape, axis, part, nothing)
        elif span and part is not None:
            _check_position(int(part), shape[axis], axis)
        axis += span
    for n, one in enumerate(found):
        for other in found[:n]:
            _check_together(other, one)


def _count(backend: Backend, mask: Array) -> int | None:
    try:
        return int(np.count_nonzero(backend.to_numpy(mask)))
    except Exception:  # while a framework traces
        return None


def _check_together(x: tuple[int | None, ...], y: tuple[int | None, ...]) -> None:
    for m, n in zip(reversed(x), reversed(y), strict=False):
        if m != n and 1 not in (m, n) and None not in (m, n):
            raise PositionError(f"arrays of positions of the shapes {x} and {y} do not broadcast.")


def _span(backend: Backend, part: Any) -> int:
    """How many axes a part speaks for."""
    if part is None or part is Ellipsis or isinstance(part, (bool, np.bool_)):
        return 0
    if isinstance(part, (slice, int, np.integer)):
        return 1
    return len(backend.shape(part)) if backend.dtype(part).kind == "bool" else 1


def _check_slice(part: slice) -> None:
    if part.step is not None and not hasattr(part.step, "shape") and part.step == 0:
        raise PositionError("the step of a slice is zero.")
    for bound in (part.start, part.stop, part.step):
        if bound is not None and not hasattr(bound, "__index__"):
            raise PositionError(f"the slice {part} has a bound that is no integer.")


def _check_array(backend: Backend, shape: tuple[int | None, ...], axis: int, part: Array, nothing: bool) -> None:
    have = backend.shape(part)
    if backend.dtype(part).kind == "bool":
        for n, (m, size) in enumerate(zip(have, shape[axis:], strict=False), axis):
            if m not in (0, size) and m is not None and size is not None:
                raise PositionError(f"a mask of the shape {have} does not fit axis {n} of size {size}.")
        return
    found = None if nothing and have else backend.extremes(part)
    for position in () if found is None else map(int, found):
        _check_position(position, shape[axis], axis)


def _check_position(position: int, size: int | None, axis: int) -> None:
    if size is not None and not -size <= position < size:
        raise PositionError(f"position {position} is out of range for axis {axis} of size {size}.")


def check_value(backend: Backend, shape: tuple[int | None, ...], key: Any, value: tuple[int | None, ...]) -> None:
    """Raise unless a value of a shape broadcasts to what a legal key selects.

    Raises:
        ShapeError: it does not.
    """
    if any(type(size) is not int for size in (*shape, *value)):
        return
    whole = np.broadcast_to(np.empty((), np.bool_), shape)  # type: ignore[arg-type]
    to_host: Callable[[Any], Any] = lambda part: backend.to_numpy(part) if backend.owns(part) else part  # noqa: E731
    place = whole[tuple(map(to_host, key)) if isinstance(key, tuple) else to_host(key)].shape
    sizes = list(value)
    while len(sizes) > len(place) and sizes[0] == 1:
        del sizes[0]
    if len(sizes) > len(place) or any(m not in (1, n) for m, n in zip(sizes[::-1], place[::-1], strict=False)):
        raise ShapeError(f"a value of the shape {value} does not broadcast to the place's shape {place}.")
