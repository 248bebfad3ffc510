"""Creation functions: tensors from shapes and ranges, on the current backend or a named one."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real
from typing import Any

from tensoria import dtypes
from tensoria.backend import UNKNOWN, Backend
from tensoria.coordinatewise import is_scalar, number
from tensoria.core import BaseTensor, new, same_backend
from tensoria.discovery import backend_of, current, get, home
from tensoria.dtypes import DType
from tensoria.errors import ShapeError
from tensoria.indices import PLAIN
from tensoria.literals import check_literal
from tensoria.making import asarray
from tensoria.matching import require_privileged
from tensoria.namespace.dispatch import plain, tensor_of
from tensoria.namespace.refusals import check_sizes
from tensoria.tensor import Tensor

__all__ = [
    "arange",
    "empty",
    "empty_like",
    "eye",
    "from_dlpack",
    "full",
    "full_like",
    "linspace",
    "meshgrid",
    "ones",
    "ones_like",
    "tril",
    "triu",
    "zeros",
    "zeros_like",
]


meshgrid = plain("meshgrid", "Coordinate matrices of coordinate vectors.")
tril = plain("tril", "The lower triangle, zeros above.")
triu = plain("triu", "The upper triangle, zeros below.")


def _made(
    name: str,
    arguments: tuple[Any, ...],
    dtype: DType | str | None,
    device: str | None,
    backend: str | None,
    **more: Any,
) -> Tensor:
    target = current() if backend is None else get(backend)
    of = None if dtype is None else dtypes.dtype(dtype)
    native = None if of is None else target.native_dtype(of)
    arguments = tuple(map(_number, arguments))
    if target.tracing is None or not target.tracing():
        CHECKS[name](*arguments, of)
    array = getattr(target.xp, name)(*arguments, dtype=native, **more)
    device = home(target, device)
    return Tensor.from_parts(array if device is None else target.to_device(array, device), PLAIN, target)


def _number(x: Any) -> Any:
    """A tensor without axes as the number that it holds: NumPy takes one for a bound or a step, PyTorch does not."""
    if not isinstance(x, Tensor):
        return x
    return int(x) if x.dtype.kind in ("int", "uint") else complex(x) if x.dtype.kind == "complex" else float(x)


def _shape(shape: Any, of: DType | None) -> None:
    check_sizes(shape, "a new tensor")


def _full(shape: Any, value: Any, of: DType | None) -> None:
    check_sizes(shape, "full")
    check_literal(number(value) if is_scalar(value) else value, of)


def _eye(rows: int, columns: int | None, of: DType | None) -> None:
    check_sizes((rows,) if columns is None else (rows, columns), "eye")


def _arange(start: float, stop: float, step: float, of: DType | None) -> None:
    if is_scalar(step) and step == 0:
        raise ShapeError("arange: the step is zero.")
    for bound in (start, stop, step):
        if isinstance(bound, Real) and not math.isfinite(bound):  # sizes that are not known yet are finite numbers
            raise ShapeError(f"arange: {bound!r} is no bound.")


def _linspace(start: complex, stop: complex, num: int, of: DType | None) -> None:
    check_sizes((num,), "linspace")


CHECKS: dict[str, Callable[..., None]] = {
    "arange": _arange, "empty": _shape, "eye": _eye, "full": _full, "linspace": _linspace, "ones": _shape,
    "zeros": _shape,
}  # fmt: skip
"""What each function asks of its arguments, and of the data type to come."""


def from_dlpack(
    x: Any, /, *, device: str | None = None, copy: bool | None = None, backend: str | None = None
) -> Tensor:
    """A tensor of another library's array, by DLPack: without a copy where the frameworks allow it.

    Args:
        x: an object with `__dlpack__`.
        device: where it shall be; where it is, by default.
        copy: True copies always, False never (and raises where a copy is needed).
        backend: the backend's name; the current one by default.

    Raises:
        ConversionError: `copy=False` is impossible.
    """
    target = current() if backend is None else get(backend)
    if isinstance(x, BaseTensor) or backend_of(x) is not None:
        return asarray(x, device=device, copy=copy, backend=target.name)
    array = target.from_dlpack(x, copy)
    return Tensor.from_parts(array if device is None else target.to_device(array, device), PLAIN, target)


def arange(
    start: float,
    /,
    stop: float | None = None,
    step: float = 1,
    *,
    dtype: DType | str | None = None,
    device: str | None = None,
    backend: str | None = None,
) -> Tensor:
    """Numbers from start (inclusive) to stop (exclusive) in steps."""
    return _made("arange", (0, start, step) if stop is None else (start, stop, step), dtype, device, backend)


def empty(
    shape: Any, *, dtype: DType | str | None = None, device: str | None = None, backend: str | None = None
) -> Tensor:
    """A tensor whose components are whatever was in memory."""
    return _made("empty", (shape,), dtype, device, backend)


def eye(
    n_rows: int,
    n_cols: int | None = None,
    /,
    *,
    k: int = 0,
    dtype: DType | str | None = None,
    device: str | None = None,
    backend: str | None = None,
) -> Tensor:
    """Ones on a diagonal, zeros elsewhere."""
    return _made("eye", (n_rows, n_cols), dtype, device, backend, k=k)


def full(
    shape: Any,
    fill_value: complex,
    *,
    dtype: DType | str | None = None,
    device: str | None = None,
    backend: str | None = None,
) -> Tensor:
    """A tensor of one number throughout; a tensor without axes is a number of its own data type."""
    if isinstance(fill_value, Tensor):
        target = current() if backend is None else get(backend)
        wide = target.xp.broadcast_to(_one(fill_value, target), (shape,) if isinstance(shape, int) else tuple(shape))
        return Tensor.from_parts(target.copy(wide), PLAIN, target).to(dtype=dtype, device=device)
    return _made("full", (shape, fill_value), dtype, device, backend)


def _one(value: Tensor, target: Backend) -> Any:
    """The array of a tensor without axes, which is repeated: its derivatives and what a compiler knows of it go on."""
    if value._axes is not PLAIN or value.ndim:
        raise ShapeError(
            f"full is of one number; this tensor has the axes {value._axes} and the shape {value.shape}.",
            legal="tn.broadcast_to(t, shape)",
        )
    return same_backend(value, Tensor.from_parts(None, PLAIN, target))[0]._array


def linspace(
    start: complex,
    stop: complex,
    /,
    num: int,
    *,
    endpoint: bool = True,
    dtype: DType | str | None = None,
    device: str | None = None,
    backend: str | None = None,
) -> Tensor:
    """Evenly spaced numbers over an interval."""
    return _made("linspace", (start, stop, num), dtype, device, backend, endpoint=endpoint)


def ones(
    shape: Any, *, dtype: DType | str | None = None, device: str | None = None, backend: str | None = None
) -> Tensor:
    """A tensor of ones."""
    return _made("ones", (shape,), dtype, device, backend)


def zeros(
    shape: Any, *, dtype: DType | str | None = None, device: str | None = None, backend: str | None = None
) -> Tensor:
    """A tensor of zeros."""
    return _made("zeros", (shape,), dtype, device, backend)


def _like(name: str, x: Any, arguments: tuple[Any, ...], dtype: DType | str | None, device: str | None) -> Tensor:
    t = tensor_of(x, name)
    if arguments:
        value = arguments[0]
        into = t.dtype if dtype is None else dtypes.dtype(dtype)
        check_literal(number(value) if is_scalar(value) else value, into, t._backend.tracing)
    if name != "zeros_like":  # zero is the same tensor in every basis
        require_privileged(t._axes, name)
    native = None if dtype is None else t._backend.native_dtype(dtypes.dtype(dtype))
    array = getattr(t._backend.xp, name)(t._array, *arguments, dtype=native)
    return new(t, array if device is None else t._backend.to_device(array, device), t._axes)


def empty_like(x: Any, /, *, dtype: DType | str | None = None, device: str | None = None) -> Tensor:
    """A tensor like another whose components are whatever was in memory."""
    return _like("empty_like", x, (), dtype, device)


def full_like(x: Any, /, fill_value: complex, *, dtype: DType | str | None = None, device: str | None = None) -> Tensor:
    """A tensor like another, of one number throughout."""
    if isinstance(fill_value, Tensor):
        t = tensor_of(x, "full_like")
        require_privileged(t._axes, "full_like")
        # Beside the array, not to its shape, which may have sizes that are not known yet.
        wide = t._backend.xp.broadcast_arrays(_one(fill_value, t._backend), t._array)[0]
        where = device or (None if t.device == UNKNOWN else t.device)
        return new(t, t._backend.copy(wide), t._axes).to(dtype=dtype or t.dtype, device=where)
    return _like("full_like", x, (fill_value,), dtype, device)


def ones_like(x: Any, /, *, dtype: DType | str | None = None, device: str | None = None) -> Tensor:
    """A tensor like another, of ones."""
    return _like("ones_like", x, (), dtype, device)


def zeros_like(x: Any, /, *, dtype: DType | str | None = None, device: str | None = None) -> Tensor:
    """A tensor like another, of zeros; labels are kept, because zero is the same in every basis."""
    return _like("zeros_like", x, (), dtype, device)
