"""The Array API's functions on symbolic arrays: arguments made explicit, then recorded.

What the standard leaves to the call is decided here, once: negative and missing axes, promotion of operands, the data
type in which sums are taken, -1 in a shape, numbers beside arrays. Instructions have none of that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from tensoria.dtypes import DTYPES, DType, beside, bool_, dtype, float64, int64, promoted, uint64
from tensoria.errors import AxisError, ShapeError, TracingError
from tensoria.planning import pattern
from tensoria.programs import recorder
from tensoria.programs.dimensions import Dim, Size, product
from tensoria.programs.operations import elementwise, fourier, linear_algebra
from tensoria.programs.operations.elementwise import broadcast
from tensoria.programs.operations.indexing import At, Cut
from tensoria.programs.recorder import Recorder, SymbolicArray
from tensoria.programs.types import Shape

__all__ = ["binary", "cast", "getitem", "namespace", "promote", "setitem"]

Array = SymbolicArray
Axis = int | tuple[int, ...] | None


# -- operands ---------------------------------------------------------------------------------------------------------


def cast(x: Array, of: DType) -> Array:
    """The array in a data type, recorded only if it changes; complex to real drops nothing silently."""
    return x if x.dtype is of else _one(x, "astype", dtype=of)


def _one(x: Array, operation: str, *more: Array, **attributes: Any) -> Array:
    return x.recorder.record(operation, (x, *more), **attributes)[0]


def _beside(value: Any, like: Array) -> Array:
    """A number or a size as a symbolic array of the data type that it takes beside another one."""
    if isinstance(value, SymbolicArray):
        return value
    if isinstance(value, Dim):
        return like.recorder.size(value, like.dtype)
    if isinstance(value, np.ndarray):
        return like.recorder.constant(value)
    return like.recorder.literal(value, beside(value, like.dtype))


def promote(arrays: Sequence[Array]) -> list[Array]:
    of = arrays[0].dtype
    for x in arrays[1:]:
        of = promoted(of, x.dtype)
    return [cast(x, of) for x in arrays]


def _position(axis: Any, ndim: int) -> int:
    place: int = axis.__index__()
    if not -ndim <= place < ndim:
        raise AxisError(f"axis {place} of a tensor with {ndim} axes.")
    return place % ndim


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    given = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    found = tuple(sorted(_position(n, ndim) for n in given))
    if len(set(found)) != len(found):
        raise AxisError(f"one axis is given twice: {given}.")
    return found


# -- elementwise ------------------------------------------------------------------------------------------------------


def unary(name: str) -> Callable[[Array], Array]:
    """A function of each component."""

    def function(x: Array, /) -> Array:
        return _one(x, name)

    return function


def binary(name: str) -> Callable[[Any, Any], Array]:
    """A function of two operands, either of which may be a number."""

    def function(x1: Any, x2: Any, /) -> Array:
        if not isinstance(x1, SymbolicArray):
            x1 = _beside(x1, x2)
        a, b = promote((x1, _beside(x2, x1)))
        if name == "divide" and a.dtype.kind in ("int", "uint", "bool"):
            a, b = cast(a, float64), cast(b, float64)
        return _one(a, name, b)

    return function


def _where(condition: Array, x1: Any, x2: Any, /) -> Array:
    if not isinstance(x1, SymbolicArray):
        x1 = _beside(x1, x2 if isinstance(x2, SymbolicArray) else condition)
    return _one(condition, "where", *promote((x1, _beside(x2, x1))))


def _clip(x: Array, /, min: Any = None, max: Any = None) -> Array:
    if min is not None:
        x = _one(x, "maximum", cast(_beside(min, x), x.dtype))
    if max is not None:
        x = _one(x, "minimum", cast(_beside(max, x), x.dtype))
    return x


def _astype(x: Array, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Array:
    return cast(x, _dtype(dtype))


def _dtype(of: Any, default: DType = float64) -> DType:
    return default if of is None else dtype(of)


# -- reductions -------------------------------------------------------------------------------------------------------


def accumulator(of: DType) -> DType:
    """The data type in which the standard adds and multiplies: the default integer at least, of the same sign."""
    return uint64 if of.kind == "uint" else int64 if of.kind in ("int", "bool") else of


def _accumulating(name: str) -> Callable[..., Array]:
    def function(x: Array, /, *, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Array:
        x = cast(x, accumulator(x.dtype) if dtype is None else _dtype(dtype))
        return _one(x, name, axes=_axes(axis, x.ndim), keepdims=keepdims)

    return function


def _reduction(name: str, **more: Any) -> Callable[..., Array]:
    def function(x: Array, /, *, axis: Axis = None, keepdims: bool = False, **options: Any) -> Array:
        return _one(x, name, axes=_axes(axis, x.ndim), keepdims=keepdims, **{**more, **options})

    return function


def _std(x: Array, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Array:
    return _one(_one(x, "var", axes=_axes(axis, x.ndim), keepdims=keepdims, correction=correction), "sqrt")


def _arg(name: str) -> Callable[..., Array]:
    def function(x: Array, /, *, axis: int | None = None, keepdims: bool = False) -> Array:
        if axis is not None:
            return _one(x, name, axis=_position(axis, x.ndim), keepdims=keepdims)
        found = _one(_reshape(x, (-1,)), name, axis=0, keepdims=False)
        return _reshape(found, (1,) * x.ndim) if keepdims else found

    return function


def _running(name: str) -> Callable[..., Array]:
    def function(
        x: Array, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
    ) -> Array:
        if axis is None and x.ndim != 1:
            raise AxisError(f"{name} over an axis: give one of {x.ndim}.")
        x = cast(x, accumulator(x.dtype) if dtype is None else _dtype(dtype))
        return _one(x, name, axis=_position(axis or 0, x.ndim), include_initial=include_initial)

    return function


def _ordered(name: str) -> Callable[..., Array]:
    def function(x: Array, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
        return _one(x, name, axis=_position(axis, x.ndim), descending=descending, stable=stable)

    return function


def _searchsorted(x1: Array, x2: Any, /, *, side: str = "left", sorter: Array | None = None) -> Array:
    if sorter is not None:
        x1 = _one(x1, "take", sorter, axis=0)
    a, b = promote((x1, _beside(x2, x1)))
    return _one(a, "searchsorted", b, side=side)


def _diff(
    x: Array, /, *, axis: int = -1, n: int = 1, prepend: Array | None = None, append: Array | None = None
) -> Array:
    place = _position(axis, x.ndim)
    parts = [part for part in (prepend, x, append) if part is not None]
    x = x if len(parts) == 1 else _concat(parts, axis=place)
    for _ in range(n):
        later, earlier = (getitem(x, (*(slice(None),) * place, cut)) for cut in (slice(1, None), slice(None, -1)))
        x = _one(later, "not_equal" if x.dtype is bool_ else "subtract", earlier)
    return x


def _isin(x1: Any, x2: Any, /, *, invert: bool = False) -> Array:
    if not isinstance(x1, SymbolicArray):
        x1 = _beside(x1, x2)
    a, b = promote((x1, _beside(x2, x1)))
    same = _one(_expand(a, -1), "equal", _reshape(b, (-1,)))
    found = _one(same, "any", axes=(a.ndim,), keepdims=False)
    return _one(found, "logical_not") if invert else found


def _depends(name: str) -> Callable[..., Any]:
    def function(*_: Any, **__: Any) -> Any:
        source = recorder.caller()
        raise TracingError(
            f"the shape of {name}'s result depends on numbers that are not known while tracing, at {source}.",
            legal="tn.where with a mask keeps the shape",
        )

    return function


# -- shapes -----------------------------------------------------------------------------------------------------------


def _reshape(x: Array, /, shape: Any, *, copy: bool | None = None) -> Array:
    sizes: list[Any] = list(shape) if isinstance(shape, (tuple, list)) else [shape]
    open_ = [n for n, size in enumerate(sizes) if isinstance(size, int) and size == -1]
    if len(open_) > 1:
        raise ShapeError(f"a shape has one -1 at most: {tuple(sizes)}.")
    if open_:
        rest = product(size for n, size in enumerate(sizes) if n != open_[0])
        total = product(x.shape)
        size = 0 if rest == 0 else total // rest
        if rest != 0 and total % rest != 0:
            raise ShapeError(f"a value of shape {x.shape} does not reshape to {tuple(sizes)}.")
        sizes[open_[0]] = size
    wanted = tuple(sizes)
    return x if wanted == x.shape else _one(x, "reshape", shape=wanted)


def _permute(x: Array, /, axes: Sequence[int]) -> Array:
    order = tuple(_position(axis, x.ndim) for axis in axes)
    return x if order == tuple(range(x.ndim)) else _one(x, "permute_dims", axes=order)


def _moveaxis(x: Array, source: Any, destination: Any, /) -> Array:
    sources, destinations = (
        [_position(n, x.ndim) for n in (item if isinstance(item, (tuple, list)) else (item,))]
        for item in (source, destination)
    )
    order = [n for n in range(x.ndim) if n not in sources]
    for place, axis in sorted(zip(destinations, sources, strict=True)):
        order.insert(place, axis)
    return _permute(x, order)


def _matrix_transpose(x: Array, /) -> Array:
    if x.ndim < 2:
        raise AxisError(f"matrix_transpose of {x.ndim} axes.")
    return _permute(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def _expand(x: Array, /, axis: Any = 0) -> Array:
    given = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    return _one(x, "expand_dims", axes=_axes(given, x.ndim + len(given)))


def _squeeze(x: Array, /, axis: Any) -> Array:
    return _one(x, "squeeze", axes=_axes(axis, x.ndim))


def _broadcast_to(x: Array, /, shape: Sequence[Size]) -> Array:
    return x if tuple(shape) == x.shape else _one(x, "broadcast_to", shape=tuple(shape))


def _broadcast_arrays(*arrays: Array) -> list[Array]:
    shape = broadcast([x.shape for x in arrays], "broadcast_arrays")
    return [_broadcast_to(x, shape) for x in arrays]


def _concat(arrays: Sequence[Array], /, *, axis: int | None = 0) -> Array:
    parts = promote(arrays)
    if axis is None:
        parts, axis = [_reshape(x, (-1,)) for x in parts], 0
    return _one(parts[0], "concat", *parts[1:], axis=_position(axis, parts[0].ndim))


def _stack(arrays: Sequence[Array], /, *, axis: int = 0) -> Array:
    parts = promote(arrays)
    return _one(parts[0], "stack", *parts[1:], axis=_position(axis, parts[0].ndim + 1))


def _unstack(x: Array, /, *, axis: int = 0) -> tuple[Array, ...]:
    place = _position(axis, x.ndim)
    size = x.shape[place]
    if not isinstance(size, int):
        raise TracingError(f"unstack along an axis of size {size} makes a number of tensors that is not known.")
    return tuple(getitem(x, (*(slice(None),) * place, n)) for n in range(size))


def _flip(x: Array, /, *, axis: Axis = None) -> Array:
    return _one(x, "flip", axes=_axes(axis, x.ndim))


def _roll(x: Array, /, shift: Any, *, axis: Any = None) -> Array:
    if axis is None:
        return _reshape(_roll(_reshape(x, (-1,)), shift, axis=0), x.shape)
    axes = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    shifts = tuple(shift) if isinstance(shift, (tuple, list)) else (shift,) * len(axes)
    return _one(x, "roll", shifts=shifts, axes=tuple(_position(n, x.ndim) for n in axes))


def _repeat(x: Array, repeats: Any, /, *, axis: int | None = None) -> Array:
    if not isinstance(repeats, int):
        raise TracingError("repeat by a tensor makes a size that is not known while tracing.", legal="an integer")
    if axis is None:
        return _one(_reshape(x, (-1,)), "repeat", repeats=repeats, axis=0)
    return _one(x, "repeat", repeats=repeats, axis=_position(axis, x.ndim))


def _tile(x: Array, repetitions: Sequence[int], /) -> Array:
    given = tuple(repetitions)
    if len(given) > x.ndim:
        x = _reshape(x, (*(1,) * (len(given) - x.ndim), *x.shape))
    return _one(x, "tile", repetitions=(*(1,) * (x.ndim - len(given)), *given))


def _triangle(name: str) -> Callable[..., Array]:
    def function(x: Array, /, *, k: int = 0) -> Array:
        return _one(x, name, k=k)

    return function


def _meshgrid(*arrays: Array, indexing: str = "xy") -> list[Array]:
    count = len(arrays)
    order = [1, 0, *range(2, count)] if indexing == "xy" and count > 1 else list(range(count))
    shape = tuple(arrays[order[n]].shape[0] for n in range(count))
    spread = []
    for n, x in enumerate(arrays):
        place = order.index(n)
        spread.append(_broadcast_to(_reshape(x, (*(1,) * place, x.shape[0], *(1,) * (count - place - 1))), shape))
    return spread


# -- indexing ---------------------------------------------------------------------------------------------------------


def _key(x: Array, key: Any) -> tuple[tuple[Any, ...], list[Array]]:
    """A subscript in the table's form, and the arrays of positions in it."""
    items = key if isinstance(key, tuple) else (key,)
    items = tuple(x.recorder.constant(np.asarray(i)) if isinstance(i, (list, np.ndarray)) else i for i in items)
    for item in items:
        if isinstance(item, bool) or (isinstance(item, SymbolicArray) and item.dtype is bool_):
            _depends("a boolean subscript")()
    used = sum(item is not None and item is not Ellipsis for item in items)
    if used > x.ndim:
        raise AxisError(f"{used} positions for a tensor with {x.ndim} axes.")
    dots = [n for n, item in enumerate(items) if item is Ellipsis]
    if len(dots) > 1:
        raise AxisError("'...' occurs twice.")
    at = dots[0] if dots else len(items)
    full = (*items[:at], *(slice(None),) * (x.ndim - used), *items[at + len(dots) :])
    arrays = any(isinstance(item, SymbolicArray) for item in full)
    parts: list[Any] = []
    positions: list[Array] = []
    for item in full:
        if item is None:
            parts.append(None)
        elif isinstance(item, slice):
            parts.append(Cut(_bound(item.start), _bound(item.stop), _bound(item.step) or 1))
        elif isinstance(item, SymbolicArray) or arrays:
            index = item if isinstance(item, SymbolicArray) else x.recorder.literal(item.__index__(), int64)
            positions.append(index)
            parts.append(At(len(positions)))
        else:
            parts.append(item.__index__())
    return tuple(parts), positions


def _bound(end: Any) -> Any:
    if isinstance(end, SymbolicArray):
        recorder.refuse("a bound of a slice")
    return end if end is None or isinstance(end, Dim) else end.__index__()


def getitem(x: Array, key: Any) -> Array:
    """`x[key]`."""
    parts, positions = _key(x, key)
    if not positions and all(part == Cut() for part in parts):
        return x
    return _one(x, "getitem", *positions, key=parts)


def setitem(x: Array, key: Any, value: Any) -> Array:
    """The array after `x[key] = value`, which is another value; a mask as the key chooses with `where`."""
    value = cast(_beside(value, x), x.dtype)
    if isinstance(key, SymbolicArray) and key.dtype is bool_ and value.ndim <= x.ndim - key.ndim:
        mask = _reshape(key, (*key.shape, *(1,) * (x.ndim - key.ndim)))
        return _one(mask, "where", value, x)
    parts, positions = _key(x, key)
    return _one(x, "setitem", value, *positions, key=parts)


def _take(x: Array, indices: Array, /, *, axis: int | None = None) -> Array:
    if axis is None and x.ndim != 1:
        raise AxisError(f"take along an axis: give one of {x.ndim}.")
    return _one(x, "take", _beside(indices, x), axis=_position(axis or 0, x.ndim))


def _take_along_axis(x: Array, indices: Array, /, *, axis: int = -1) -> Array:
    return _one(x, "take_along_axis", indices, axis=_position(axis, x.ndim))


# -- creation ---------------------------------------------------------------------------------------------------------


def _at_work(*arrays: Any) -> Recorder:
    return next((x.recorder for x in arrays if isinstance(x, SymbolicArray)), None) or recorder.current()


def _shape(shape: Any) -> Shape:
    return tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)


def _default(value: Any) -> DType:
    return bool_ if isinstance(value, bool) else int64 if isinstance(value, int) else dtype(type(value))


def _full(shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Array:
    if isinstance(fill_value, SymbolicArray):
        value = fill_value if dtype is None else cast(fill_value, _dtype(dtype))
    else:
        value = recorder.current().literal(fill_value, _dtype(dtype, _default(fill_value)))
    return value if _shape(shape) == () else _one(value, "full", shape=_shape(shape))


def _filled(number: float) -> Callable[..., Array]:
    def function(shape: Any, *, dtype: Any = None, device: Any = None) -> Array:
        return _full(shape, number, dtype=_dtype(dtype))

    return function


def _filled_like(number: float) -> Callable[..., Array]:
    def function(x: Array, /, *, dtype: Any = None, device: Any = None) -> Array:
        return _full_like(x, number, dtype=dtype)

    return function


def _full_like(x: Array, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Array:
    value = x.recorder.literal(fill_value, _dtype(dtype, x.dtype))
    return value if x.shape == () else _one(value, "full", shape=x.shape)


def _arange(
    start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None
) -> Array:
    if stop is None:
        start, stop = 0, start
    if any(isinstance(end, float) for end in (start, stop, step)):
        return recorder.current().constant(np.arange(start, stop, step), _dtype(dtype))
    (made,) = recorder.current().record("arange", (), start=start, stop=stop, step=step, dtype=_dtype(dtype, int64))
    return made


def _eye(
    n_rows: Size, n_cols: Size | None = None, /, *, k: int = 0, dtype: Any = None, device: Any = None
) -> Array:
    columns = n_rows if n_cols is None else n_cols
    (made,) = recorder.current().record("eye", (), rows=n_rows, columns=columns, k=k, dtype=_dtype(dtype))
    return made


def _linspace(
    start: float, stop: float, /, num: int, *, dtype: Any = None, device: Any = None, endpoint: bool = True
) -> Array:
    made = np.linspace(start, stop, num, endpoint=endpoint)
    return cast(recorder.current().constant(made), _dtype(dtype, dtype_of(made)))


def dtype_of(array: np.ndarray[Any, Any]) -> DType:
    """tensoria's data type of a NumPy array."""
    return dtype(array.dtype)


def _asarray(obj: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Array:
    if isinstance(obj, SymbolicArray):
        return obj if dtype is None else cast(obj, _dtype(dtype))
    made = recorder.current().constant(np.asarray(obj), origin=obj if isinstance(obj, np.ndarray) else None)
    return made if dtype is None else cast(made, _dtype(dtype))


# -- products ---------------------------------------------------------------------------------------------------------


def _matmul(x1: Array, x2: Array, /) -> Array:
    a, b = promote((x1, x2))
    return _one(a, "matmul", b)


def _vecdot(x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    a, b = promote((x1, x2))
    if not -min(a.ndim, b.ndim) <= axis < 0:
        raise AxisError(f"vecdot along axis {axis}; it is negative and in both.")
    a, b = (_moveaxis(x, axis, -1) for x in (a, b))
    if a.dtype.kind == "complex":
        a = _one(a, "conj")
    return _one(a, "contract", b, pattern=pattern(((0,), (0,)), (), frozenset((0,))))


def _tensordot(x1: Array, x2: Array, /, *, axes: Any = 2) -> Array:
    a, b = promote((x1, x2))
    if isinstance(axes, int):
        left, right = list(range(a.ndim - axes, a.ndim)), list(range(axes))
    else:
        left, right = ([_position(n, x.ndim) for n in of] for n_, (of, x) in enumerate(zip(axes, (a, b), strict=True)))
    first = list(range(a.ndim))
    second = [a.ndim + n for n in range(b.ndim)]
    for m, n in zip(left, right, strict=True):
        second[n] = first[m]
    out = [n for m, n in enumerate(first) if m not in left] + [n for m, n in enumerate(second) if m not in right]
    met = frozenset(first[m] for m in left)
    return _one(a, "contract", b, pattern=pattern((tuple(first), tuple(second)), tuple(out), met))


def _outer(x1: Array, x2: Array, /) -> Array:
    a, b = promote((x1, x2))
    return _one(a, "contract", b, pattern=pattern(((0,), (1,)), (0, 1), frozenset()))


# -- linalg -----------------------------------------------------------------------------------------------------------


class EigResult(NamedTuple):
    """What `eig` and `eigh` return."""

    eigenvalues: Array
    eigenvectors: Array


class QRResult(NamedTuple):
    """What `qr` returns."""

    Q: Array
    R: Array


class SVDResult(NamedTuple):
    """What `svd` returns."""

    U: Array
    S: Array
    Vh: Array


class SlogdetResult(NamedTuple):
    """What `slogdet` returns."""

    sign: Array
    logabsdet: Array


NAMED: dict[str, type[Any]] = {
    "linalg.eig": EigResult, "linalg.eigh": EigResult, "linalg.qr": QRResult, "linalg.svd": SVDResult,
    "linalg.slogdet": SlogdetResult,
}  # fmt: skip
"""How results of several values are called."""


def _linalg(name: str, **defaults: Any) -> Callable[..., Any]:
    def function(x: Array, *more: Array, **options: Any) -> Any:
        results = x.recorder.record(name, (x, *more), **{**defaults, **options})
        return NAMED[name](*results) if name in NAMED else results[0]

    return function


def _solve(x1: Array, x2: Array, /) -> Array:
    a, b = promote((x1, x2))
    return _one(a, "linalg.solve", b)


def _cross(x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    a, b = promote((x1, x2))
    return _one(a, "linalg.cross", b, axis=axis)


def _power(x: Array, n: int, /) -> Array:
    return _one(x, "linalg.matrix_power", n=n)


def _vector_norm(x: Array, /, *, axis: Axis = None, keepdims: bool = False, ord: float = 2) -> Array:
    return _one(x, "linalg.vector_norm", axes=_axes(axis, x.ndim), keepdims=keepdims, ord=ord)


def _trace(x: Array, /, *, offset: int = 0, dtype: Any = None) -> Array:
    found: Array = LINALG.sum(_one(x, "linalg.diagonal", offset=offset), axis=-1, dtype=dtype)
    return found


# -- fft --------------------------------------------------------------------------------------------------------------


def _transform(name: str) -> Callable[..., Array]:
    half = name in ("fft.irfft", "fft.hfft")

    def function(x: Array, /, *, n: Size | None = None, axis: int = -1, norm: str = "backward") -> Array:
        place = _position(axis, x.ndim)
        count = n if n is not None else 2 * (x.shape[place] - 1) if half else x.shape[place]
        return _one(x, name, n=count, axis=place, norm=norm)

    return function


def _many(name: str, last: str | None = None, first: str | None = None) -> Callable[..., Array]:
    """A transform over several axes, one after the other; the real one has a half spectrum along its last axis."""

    def function(x: Array, /, *, s: Any = None, axes: Any = None, norm: str = "backward") -> Array:
        count = x.ndim if s is None else len(s)
        chosen = list(range(x.ndim - count, x.ndim)) if axes is None else [_position(n, x.ndim) for n in axes]
        sizes = list(s) if s is not None else [None] * len(chosen)
        steps = list(zip(chosen, sizes, strict=True))
        if last is not None:
            x = FFT.__dict__[last](x, n=steps[-1][1], axis=steps[-1][0], norm=norm)
            steps = steps[:-1]
        end = steps.pop() if first is not None else None
        for axis, size in steps:
            x = FFT.__dict__[name](x, n=size, axis=axis, norm=norm)
        return x if end is None or first is None else FFT.__dict__[first](x, n=end[1], axis=end[0], norm=norm)

    return function


def _shifted(sign: int) -> Callable[..., Array]:
    def function(x: Array, /, *, axes: Axis = None) -> Array:
        chosen = _axes(axes, x.ndim)
        shifts = []
        for axis in chosen:
            size = x.shape[axis]
            if not isinstance(size, int):
                raise TracingError(f"fftshift of an axis of size {size}, which is not known while tracing.")
            shifts.append(size // 2 if sign > 0 else -(size // 2))
        return _one(x, "roll", shifts=tuple(shifts), axes=chosen)

    return function


def _frequencies(function: Callable[..., Any]) -> Callable[..., Array]:
    def made(n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Array:
        return cast(recorder.current().constant(function(n, d)), _dtype(dtype))

    return made


FFT = SimpleNamespace(
    **{name.removeprefix("fft."): _transform(name) for name in fourier.ROWS},
    fftn=_many("fft"), ifftn=_many("ifft"), rfftn=_many("fft", last="rfft"), irfftn=_many("ifft", first="irfft"),
    fftfreq=_frequencies(np.fft.fftfreq), rfftfreq=_frequencies(np.fft.rfftfreq),
    fftshift=_shifted(1), ifftshift=_shifted(-1),
)  # fmt: skip
"""The extension `fft`."""

_PLAIN: dict[str, Callable[..., Any]] = {
    **{name: unary(name) for name, row in elementwise.ROWS.items() if row.operands == ("x",) and not row.attributes},
    **{name: binary(name) for name, row in elementwise.ROWS.items() if row.operands == ("x1", "x2")},
    "positive": lambda x: x,
    "where": _where, "clip": _clip, "astype": _astype,
    "sum": _accumulating("sum"), "prod": _accumulating("prod"),
    **{name: _reduction(name) for name in ("max", "min", "mean", "all", "any", "count_nonzero")},
    "var": _reduction("var", correction=0.0), "std": _std,
    "argmax": _arg("argmax"), "argmin": _arg("argmin"),
    "cumulative_sum": _running("cumulative_sum"), "cumulative_prod": _running("cumulative_prod"),
    "sort": _ordered("sort"), "argsort": _ordered("argsort"), "searchsorted": _searchsorted,
    "diff": _diff, "isin": _isin,
    **{name: _depends(name) for name in (
        "nonzero", "unique_all", "unique_counts", "unique_inverse", "unique_values", "from_dlpack",
    )},
    "reshape": _reshape, "permute_dims": _permute, "moveaxis": _moveaxis, "matrix_transpose": _matrix_transpose,
    "expand_dims": _expand, "squeeze": _squeeze, "broadcast_to": _broadcast_to, "broadcast_arrays": _broadcast_arrays,
    "concat": _concat, "stack": _stack, "unstack": _unstack, "flip": _flip, "roll": _roll, "repeat": _repeat,
    "tile": _tile, "tril": _triangle("tril"), "triu": _triangle("triu"), "meshgrid": _meshgrid,
    "take": _take, "take_along_axis": _take_along_axis,
    "full": _full, "zeros": _filled(0.0), "ones": _filled(1.0), "empty": _filled(0.0),
    "full_like": _full_like, "zeros_like": _filled_like(0.0), "ones_like": _filled_like(1.0),
    "empty_like": _filled_like(0.0), "arange": _arange, "eye": _eye, "linspace": _linspace, "asarray": _asarray,
    "matmul": _matmul, "vecdot": _vecdot, "tensordot": _tensordot,
}  # fmt: skip

LINALG = SimpleNamespace(**{
    **{name.removeprefix("linalg."): _linalg(name) for name in linear_algebra.ROWS},
    "cholesky": _linalg("linalg.cholesky", upper=False), "pinv": _linalg("linalg.pinv", rtol=None),
    "matrix_rank": _linalg("linalg.matrix_rank", rtol=None), "qr": _linalg("linalg.qr", mode="reduced"),
    "svd": _linalg("linalg.svd", full_matrices=True), "diagonal": _linalg("linalg.diagonal", offset=0),
    "matrix_norm": _linalg("linalg.matrix_norm", keepdims=False, ord="fro"),
    "solve": _solve, "cross": _cross, "matrix_power": _power, "vector_norm": _vector_norm, "outer": _outer,
    "trace": _trace, "sum": _PLAIN["sum"],
    **{name: _PLAIN[name] for name in ("matmul", "matrix_transpose", "tensordot", "vecdot")},
})  # fmt: skip
"""The extension `linalg`."""

namespace = SimpleNamespace(
    **_PLAIN, linalg=LINALG, fft=FFT, **DTYPES, e=math.e, inf=math.inf, nan=math.nan, newaxis=None, pi=math.pi,
)  # fmt: skip
"""All of it."""

