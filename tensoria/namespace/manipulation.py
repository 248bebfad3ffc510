"""Manipulation functions: the same numbers in another shape or order.

Reshaping never crosses an index, so most of these are for plain tensors; labelled ones have `t.rearrange`,
`t.permuted` and `t.fused`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

from tensoria.algebra import patterns
from tensoria.backend import Array
from tensoria.coordinatewise import check_devices
from tensoria.core import BaseTensor, new, one_backend
from tensoria.dtypes import promoted
from tensoria.errors import AxisError, ConversionError, ModeError, ShapeError
from tensoria.indices import PLAIN, bare
from tensoria.indices import plain as plain_index
from tensoria.literals import check_dimensions
from tensoria.namespace.dispatch import Axis, along, axes_of, plain, tensor_of, unwrap
from tensoria.namespace.refusals import axis_number
from tensoria.tensor import Tensor
from tensoria.views import view

__all__ = [
    "broadcast_arrays",
    "broadcast_shapes",
    "broadcast_to",
    "concat",
    "expand_dims",
    "flip",
    "moveaxis",
    "permute_dims",
    "repeat",
    "reshape",
    "roll",
    "squeeze",
    "stack",
    "tile",
    "transpose",
    "unstack",
]

broadcast_arrays = plain("broadcast_arrays", "Arrays brought to one shape.")
broadcast_to = plain("broadcast_to", "An array brought to a shape.")
expand_dims = plain("expand_dims", "A new axis of size 1.")
flip = along("flip", "Components in reverse order along axes.")
moveaxis = plain("moveaxis", "Axes moved to other places.")
roll = along("roll", "Components shifted cyclically along axes.")
squeeze = plain("squeeze", "Axes of size 1 removed.")
tile = plain("tile", "An array repeated along its axes.")
unstack = plain("unstack", "The slices along an axis.")


def permute_dims(x: Any, /, axes: Sequence[int]) -> Tensor:
    """Axes in another order. For plain tensors."""
    t = tensor_of(x, "permute_dims")
    found: Tensor = _permuted(t, tuple(axes))
    if not t._backend.immutable:
        return found
    count, transpose = t.ndim, t._backend.kernels.transpose
    places = [axis % count for axis in axes]
    back = tuple(places.index(axis) for axis in range(count))
    return view(t, found, lambda array: transpose(array, tuple(places)), lambda _, new: transpose(new, back))


_permuted = plain("permute_dims", "Axes in another order.")


def transpose(x: Any, /, axes: Sequence[int] | None = None) -> Tensor:
    """`permute_dims` by the name that opt_einsum, autoray and xarray ask a namespace for; reversed by default.

    >>> import tensoria as tn
    >>> transpose(tn.zeros((2, 3, 4))).shape, transpose(tn.zeros((2, 3)), (0, 1)).shape
    ((4, 3, 2), (2, 3))
    """
    t = tensor_of(x, "transpose")
    return permute_dims(t, tuple(range(t.ndim))[::-1] if axes is None else tuple(axes))


def broadcast_shapes(*shapes: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """The shape to which arrays of the given shapes broadcast; None is a size that is not known.

    Raises:
        ShapeError: they do not broadcast.

    >>> broadcast_shapes((3, 1), (2,))
    (3, 2)
    """
    count = max([len(shape) for shape in shapes] or [0])  # in words that TorchDynamo reads
    out: list[int | None] = []
    for sizes in zip(*((1,) * (count - len(shape)) + tuple(shape) for shape in shapes), strict=True):
        known = {size for size in sizes if size is not None and size != 1}
        if len(known) > 1:
            raise ShapeError(f"the shapes {' and '.join(map(str, shapes))} do not broadcast.")
        out.append(known.pop() if known else None if None in sizes else 1)
    return tuple(out)


def concat(arrays: Sequence[Any], /, *, axis: Axis = 0) -> Tensor:
    """Tensors one after the other along an axis, which must not be an index (rule 1: concatenation crosses none).

    Args:
        arrays: tensors that agree in all other axes.
        axis: number or name; None flattens plain tensors first.

    Raises:
        AxisError: the axis has an index.
        ModeError: the labels differ.
    """
    tensors = [tensor_of(x, "concat") for x in arrays]
    if not tensors:
        raise ModeError("concat of no tensors.")
    tensors = one_backend(tensors)
    first = tensors[0]
    for t in tensors[1:]:
        if bare(t._axes) is not bare(first._axes):
            raise ModeError(
                f"concat of tensors with the axes {first._axes or 'none'} and {t._axes or 'none'}.",
                legal="t.permuted(...) to the first one's order",
            )
    if axis is None and first._axes is not PLAIN:
        raise AxisError(f"concat without an axis would flatten {first._axes}.", legal='tn.concat(tensors, axis="b")')
    where = None if axis is None and first._axes is PLAIN else axes_of(first, axis, "concat")
    if where is not None and where[0] >= first.lead and first._axes is not PLAIN:
        index = first._axes.indices[where[0] - first.lead]
        if index.basis is not None:
            raise AxisError(
                f"concat along {index!r} would leave its space.", legal="a plain axis, or the direct sum by hand"
            )
    arrays_ = _joined("concat", tensors, None if where is None else where[0], flat=where is None)
    return new(first, first._backend.xp.concat(arrays_, axis=None if where is None else where[0]), first._axes)


def _joined(what: str, tensors: Sequence[BaseTensor], axis: int | None, *, flat: bool = False) -> list[Array]:
    """The arrays of tensors to be joined, in the data type that they promote to.

    Raises:
        DTypeError: they do not promote.
        ShapeError: the shapes differ, off `axis`.
        BackendError: they are on different devices.
    """
    first = tensors[0]
    backend = first._backend
    of = functools.reduce(promoted, [t.dtype for t in tensors])
    shape = first.shape
    for t in () if flat else tensors[1:]:
        other = t.shape
        if len(other) != len(shape) or any(
            m != n and place != axis and type(m) is type(n) is int
            for place, (m, n) in enumerate(zip(shape, other, strict=False))
        ):
            off = "" if axis is None else f" off axis {axis}"
            raise ShapeError(f"{what}: the shapes {shape} and {other} differ{off}.")
    check_devices([t._array for t in tensors], backend, what)
    return [t._array if t.dtype is of else backend.kernels.cast(t._array, backend.native_dtype(of)) for t in tensors]


def reshape(x: Any, /, shape: int | Sequence[int], *, copy: bool | None = None) -> Tensor:
    """The same components in another shape; one size may be -1. For plain tensors: reshaping crosses no index.

    Raises:
        ModeError: the tensor is labelled.
        ShapeError: the shape does not hold as many components.
    """
    t = tensor_of(x, "reshape")
    array = unwrap(t, "reshape")
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    try:
        if copy is not None:
            return new(t, t._backend.xp.reshape(array, sizes, copy=copy), PLAIN)
        return new(t, t._backend.reshape(array, sizes), PLAIN)
    except Exception as error:
        check_dimensions(len(sizes))
        if copy is False and _reshapes(t.shape, sizes):
            raise ConversionError(f"reshaping {t.shape} to {sizes} needs a copy, and copy=False forbids it.") from error
        raise ShapeError(f"a tensor of shape {t.shape} does not reshape to {sizes}.") from error


def _reshapes(shape: tuple[int | None, ...], sizes: tuple[int, ...]) -> bool:
    known = [size for size in sizes if size != -1]
    return None not in shape and math.prod(shape) % max(math.prod(known), 1) == 0  # type: ignore[arg-type]


def stack(arrays: Sequence[Any], /, *, axis: int | str = 0) -> Tensor:
    """Tensors side by side along a new axis: a number, or the name of a new plain axis, which comes first.

    Raises:
        ModeError: the labels differ, or a new axis of labelled tensors has no name.
    """
    tensors = [tensor_of(x, "stack") for x in arrays]
    if not tensors:
        raise ModeError("stack of no tensors.")
    tensors = one_backend(tensors)
    first = tensors[0]
    for t in tensors[1:]:
        if bare(t._axes) is not bare(first._axes):
            raise ModeError(f"stack of tensors with the axes {first._axes or 'none'} and {t._axes or 'none'}.")
    arrays_ = _joined("stack", tensors, None)
    check_dimensions(first.ndim + 1)
    if isinstance(axis, str):
        native = first._backend.xp.stack(arrays_, axis=first.lead)
        return new(first, native, (plain_index(axis), *first._axes.indices))
    position = axis_number(axis, first.ndim + 1, "stack")
    if first._axes is not PLAIN and position > first.lead:
        raise ModeError("a new axis among labelled ones needs a name.", legal='tn.stack(tensors, axis="b")')
    return new(first, first._backend.xp.stack(arrays_, axis=position), first._axes)


def repeat(x: Any, repeats: Any, /, *, axis: int | None = None, **sizes: int) -> Any:
    """Components repeated: `repeat(x, 3, axis=0)` as in the standard, or `repeat(x, "b -> b h", h=3)` as in einops."""
    if isinstance(repeats, str):
        return patterns.repeat(x, repeats, **sizes)
    return _repeat(x, repeats, axis=axis)


_repeat = plain("repeat", "Components repeated.")
