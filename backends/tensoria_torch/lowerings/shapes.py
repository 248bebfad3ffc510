"""ATen's operators that move components, select them, or make them of sizes."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from tensoria.dtypes import DType, bool_, float64, int64
from tensoria.errors import PortingError, ShapeError
from tensoria.programs.dimensions import Dim, Size
from tensoria.programs.operations.indexing import Cut
from tensoria.programs.recorder import SymbolicArray
from tensoria.programs.standard import cast, getitem
from tensoria_torch.lowerings.call import Call, Lowering, literal_like, of_one, one, positions, xp

__all__ = ["LOWERINGS"]

Array = SymbolicArray


# -- shapes -----------------------------------------------------------------------------------------------------------


def _same(call: Call, x: Array, *_: Any, **__: Any) -> Array:
    return x


def _reshape(call: Call, x: Array, *_: Any) -> Array:
    try:
        return xp.reshape(x, call.shape)
    except ShapeError:
        # Equal sizes whose expressions differ: one of them may follow from the others.
        shape: list[Any] = list(call.shape)
        (unknown,) = [n for n, size in enumerate(shape) if isinstance(size, Dim)][-1:]
        shape[unknown] = -1
        return xp.reshape(x, shape)


def _transpose(call: Call, x: Array, first: int, second: int) -> Array:
    order = list(range(x.ndim))
    if order:
        order[first], order[second] = order[second], order[first]
    return xp.permute_dims(x, order)


def _unsqueeze(call: Call, x: Array, axis: int) -> Array:
    return xp.expand_dims(x, axis=axis)


def _squeeze(call: Call, x: Array, axis: Any = None) -> Array:
    axes = positions(axis, x.ndim)
    gone = tuple(n for n in axes if not isinstance(x.shape[n], Dim) and x.shape[n] == 1)
    return xp.squeeze(x, axis=gone) if gone else x


def _expand(call: Call, x: Array, *_: Any, **__: Any) -> Array:
    return xp.broadcast_to(x, call.shape)


def _cat(call: Call, arrays: Any, axis: int = 0) -> Array:
    # A legacy of PyTorch: empty vectors join anything.
    kept = [x for x in arrays if x.shape != (0,)] or arrays[:1]
    return xp.concat([cast(x, call.dtype) for x in kept], axis=axis)


def _stack(call: Call, arrays: Any, axis: int = 0) -> Array:
    return xp.stack([cast(x, call.dtype) for x in arrays], axis=axis)


def _bound(end: Any) -> Any:
    return None if end is None or (isinstance(end, int) and end >= sys.maxsize) else end


def _along(x: Array, axis: int, part: Any) -> Array:
    (place,) = positions(axis, x.ndim)
    return getitem(x, (*(slice(None),) * place, part, Ellipsis))


def _slice(call: Call, x: Array, axis: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Array:
    (place,) = positions(axis, x.ndim)
    end = _bound(end)
    if end is not None and end == x.shape[place]:
        end = None
    begin = None if isinstance(start, int) and start == 0 else start
    return x if begin is None and end is None and step == 1 else _along(x, axis, slice(begin, end, step))


def _select(call: Call, x: Array, axis: int, index: Any) -> Array:
    return _along(x, axis, index)


def _pieces(x: Array, sizes: Any, axis: int) -> tuple[Array, ...]:
    found, start = [], 0
    for size in sizes:
        found.append(_along(x, axis, slice(start, start + size)))
        start = start + size
    return tuple(found)


def _split(call: Call, x: Array, size: Any, axis: int = 0) -> tuple[Array, ...]:
    (place,) = positions(axis, x.ndim)
    return _pieces(x, [call.sizes(part.shape[place]) for part in call.value], axis)


def _chunk(call: Call, x: Array, count: int, axis: int = 0) -> tuple[Array, ...]:
    return _split(call, x, None, axis)


def _unbind(call: Call, x: Array, axis: int = 0) -> tuple[Array, ...]:
    return tuple(_along(x, axis, n) for n in range(len(call.value)))


def _repeat(call: Call, x: Array, counts: Any) -> Array:
    x = xp.reshape(x, (*(1,) * (len(counts) - x.ndim), *x.shape))
    if all(isinstance(count, int) for count in counts):
        return xp.tile(x, tuple(counts))
    shape = [size for count, n in zip(counts, x.shape, strict=True) for size in (count, n)]
    spread = xp.reshape(x, tuple(size for n in x.shape for size in (1, n)))
    return xp.reshape(xp.broadcast_to(spread, tuple(shape)), call.shape)


def _repeat_interleave(call: Call, x: Array, count: Any, axis: int | None = None, **_: Any) -> Array:
    if axis is None:
        x, axis = xp.reshape(x, (-1,)), 0
    (place,) = positions(axis, x.ndim)
    wide = (*x.shape[: place + 1], count, *x.shape[place + 1 :])
    return xp.reshape(xp.broadcast_to(xp.expand_dims(x, axis=place + 1), wide), call.shape)


def _roll(call: Call, x: Array, shifts: Any, axes: Any = ()) -> Array:
    given = shifts if isinstance(shifts, (tuple, list)) else (shifts,)
    return xp.roll(x, given[0], axis=None) if not axes else xp.roll(x, tuple(given), axis=tuple(axes))


def _triangle(name: str) -> Lowering:
    def lower(call: Call, x: Array, k: int = 0) -> Array:
        if x.dtype is bool_:
            return cast(one(cast(x, int64), name, k=k), bool_)
        return one(x, name, k=k)

    return lower


def _pad(call: Call, x: Array, given: Any, mode: str = "constant", value: Any = None) -> Array:
    pairs = [(given[n], given[n + 1]) for n in range(0, len(given), 2)]
    padding = [(0, 0)] * (x.ndim - len(pairs)) + pairs[::-1]
    for axis, (low, high) in enumerate(padding):
        if mode != "constant" and (low or high):
            x = _mirrored(x, axis, low, high, mode)
        elif any(isinstance(n, int) and n < 0 for n in (low, high)):
            x = _along(x, axis, slice(_cut(low), x.shape[axis] - _cut(high)))
    chosen = tuple((0 if _cut(low) else low, 0 if _cut(high) else high) for low, high in padding)
    if mode != "constant" or not any(n for pair in chosen for n in pair):
        return x
    number = x.recorder.literal(0 if value is None else value, x.dtype).operand.number
    return one(x, "pad", padding=chosen, value=number)


def _cut(n: Any) -> int:
    """What padding by a negative number cuts off; an open number is none."""
    return -n if isinstance(n, int) and n < 0 else 0


def _mirrored(x: Array, axis: int, low: int, high: int, mode: str) -> Array:
    size = x.shape[axis]
    place, last = xp.arange(-low, size + high), x.recorder.size(size - 1, int64)
    if mode == "reflect":
        place = xp.subtract(last, xp.abs(xp.subtract(xp.abs(place), last)))
    elif mode == "replicate":
        place = xp.minimum(xp.maximum(place, 0), last)
    elif mode == "circular":
        # What is cut off does not come round again.
        before, after = _cut(low), _cut(high)
        place = xp.remainder(xp.subtract(place, before), x.recorder.size(size - before - after, int64))
        place = xp.add(place, before)
    else:
        raise PortingError(f"padding by {mode!r} is not ported.")
    return one(x, "take", place, axis=axis)


# -- positions --------------------------------------------------------------------------------------------------------


def _index(call: Call, x: Array, positions_: Any) -> Array:
    return getitem(x, tuple(slice(None) if at is None else at for at in positions_))


def _index_select(call: Call, x: Array, axis: int, at: Array) -> Array:
    return _along(x, axis, at)


def _gather(call: Call, x: Array, axis: int, at: Array, **_: Any) -> Array:
    (place,) = positions(axis, x.ndim)
    if any(m != n for k, (m, n) in enumerate(zip(x.shape, at.shape, strict=True)) if k != place):
        key = tuple(slice(None) if k == place else slice(0, n) for k, n in enumerate(at.shape))
        x = getitem(x, key)
    return one(x, "take_along_axis", at, axis=place)


def _scattered(add: bool) -> Lowering:
    def lower(call: Call, x: Array, axis: int, at: Array, updates: Any) -> Array:
        (place,) = positions(axis, x.ndim)
        new = updates if isinstance(updates, SymbolicArray) else literal_like(x, updates)
        if new.ndim and new.shape != at.shape:  # as much of the updates as there are positions
            new = getitem(new, tuple(slice(0, n) for n in at.shape))
        new = xp.broadcast_to(cast(new, x.dtype), at.shape)
        if all(m == n for k, (m, n) in enumerate(zip(x.shape, at.shape, strict=True)) if k != place):
            return one(x, "scatter", at, new, axis=place, add=add)
        key = _key(x, tuple(slice(None) if k == place else slice(0, n) for k, n in enumerate(at.shape)))
        written = one(one(x, "getitem", key=key), "scatter", at, new, axis=place, add=add)
        return one(x, "setitem", written, key=key)

    return lower


def _select_scatter(call: Call, x: Array, new: Array, axis: int, index: int) -> Array:
    (place,) = positions(axis, x.ndim)
    return one(x, "setitem", new, key=_key(x, (*(slice(None),) * place, index)))


def _slice_scatter(
    call: Call, x: Array, new: Array, axis: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> Array:
    (place,) = positions(axis, x.ndim)
    return one(x, "setitem", new, key=_key(x, (*(slice(None),) * place, slice(start, _bound(end), step))))


def _key(x: Array, key: tuple[Any, ...]) -> Any:
    full = (*key, *(slice(None),) * (x.ndim - len(key)))
    return tuple(Cut(part.start, part.stop, part.step or 1) if isinstance(part, slice) else part for part in full)


# -- creation ---------------------------------------------------------------------------------------------------------


def _filled(number: complex | None) -> Lowering:
    def lower(call: Call, *given: Any, **_: Any) -> Array:
        # full(size, value), full_like(x, value), new_full(x, size, value): the value is last.
        value = given[-1] if number is None else number
        return xp.broadcast_to(call.array(value, call.dtype), call.shape)

    return lower


def _arange(call: Call, *ends: Any, **_: Any) -> Array:
    start, stop, step = (0, ends[0], 1) if len(ends) == 1 else (*ends, 1)[:3]
    if all(isinstance(end, (int, Dim)) and not isinstance(end, bool) for end in (start, stop, step)):
        return _whole(call, start, stop, step, call.dtype)
    (count,) = call.shape
    of = call.dtype if call.dtype.kind == "float" else float64
    number = cast(_whole(call, 0, count, 1, int64), of)
    # (the ends may be open sizes, which are numbers here)
    return cast(xp.add(xp.multiply(number, call.array(step, of)), call.array(start, of)), call.dtype)


def _whole(call: Call, start: Size, stop: Size, step: int, of: DType) -> Array:
    return call.recorder.record("arange", (), start=start, stop=stop, step=step, dtype=of)[0]


def _cast(call: Call, x: Array, *_: Any, **__: Any) -> Array:
    if x.dtype.kind == "complex" and call.dtype.kind != "complex":
        x = one(x, "real")
    return cast(x, call.dtype)


LOWERINGS: dict[str, Lowering] = {
    **dict.fromkeys((
        "view.default", "_unsafe_view.default", "reshape.default", "flatten.using_ints", "unflatten.int",
        "view_as.default", "reshape_as.default", "_reshape_copy.default", "view_copy.default",
    ), _reshape),
    **{f"{name}.default": _same for name in ("clone", "contiguous", "alias", "lift_fresh_copy", "lift_fresh")},
    "copy.default": lambda call, x, new, *_: xp.broadcast_to(cast(new, x.dtype), x.shape),
    "detach.default": lambda call, x: one(x, "stop_gradient"),
    "transpose.int": _transpose, "t.default": lambda call, x: _transpose(call, x, 0, 1) if x.ndim > 1 else x,
    "permute.default": lambda call, x, axes: xp.permute_dims(x, axes), "unsqueeze.default": _unsqueeze,
    "movedim.int": of_one(lambda call, x, source, target: xp.moveaxis(x, source, target)),
    **{f"squeeze.{kind}": _squeeze for kind in ("default", "dim", "dims")},
    "expand.default": _expand, "expand_as.default": _expand, "broadcast_to.default": _expand,
    "cat.default": _cat, "stack.default": _stack, "slice.Tensor": _slice, "select.int": _select,
    "tril_indices.default": lambda call, rows, columns, k=0, **_: call.recorder.constant(
        np.stack(np.tril_indices(rows, k, columns)).astype(call.dtype.name)
    ),
    "triu_indices.default": lambda call, rows, columns, k=0, **_: call.recorder.constant(
        np.stack(np.triu_indices(rows, k, columns)).astype(call.dtype.name)
    ),
    "narrow_copy.default": lambda call, x, axis, start, count: _along(x, axis, slice(start, start + count)),
    "narrow.default": lambda call, x, axis, start, count: _along(x, axis, slice(start, start + count)),
    "split.Tensor": _split, "split_with_sizes.default": lambda call, x, sizes, axis=0: _pieces(x, sizes, axis),
    "chunk.default": _chunk, "unbind.int": _unbind, "repeat.default": _repeat,
    "repeat_interleave.self_int": _repeat_interleave, "roll.default": _roll,
    "flip.default": lambda call, x, axes: xp.flip(x, axis=tuple(axes)),
    "tril.default": _triangle("tril"), "triu.default": _triangle("triu"), "pad.default": _pad,
    "constant_pad_nd.default": lambda call, x, given, value=0: _pad(call, x, given, "constant", value),
    **{f"{mode}_pad{n}d.default": lambda call, x, given, mode=name: _pad(call, x, given, mode)
       for mode, name in (("reflection", "reflect"), ("replication", "replicate")) for n in (1, 2, 3)},
    "index.Tensor": _index, "index_select.default": _index_select, "gather.default": _gather,
    **{f"scatter.{kind}": _scattered(False) for kind in ("src", "value")}, "scatter_add.default": _scattered(True),
    "select_scatter.default": _select_scatter, "slice_scatter.default": _slice_scatter,
    **dict.fromkeys((f"{name}.default" for name in ("full", "full_like", "new_full", "scalar_tensor")), _filled(None)),
    **{f"{name}.default": _filled(number) for name, number in (
        ("zeros", 0), ("ones", 1), ("zeros_like", 0), ("ones_like", 1), ("new_zeros", 0), ("new_ones", 1),
        ("empty_like", 0), ("new_empty", 0),
    )},
    "empty.memory_format": _filled(0),
    **{f"arange.{kind}": _arange for kind in ("default", "start", "start_step")},
    "eye.default": lambda call, n, **_: xp.eye(n, dtype=call.dtype),
    "eye.m": lambda call, n, m, **_: xp.eye(n, m, dtype=call.dtype),
    **dict.fromkeys((
        "_to_copy.default", "to.dtype", "to.dtype_layout", "to.device", "to.other", "type_as.default",
    ), _cast),
    "diagonal.default": lambda call, x, offset=0, first=0, second=1: xp.linalg.diagonal(
        xp.moveaxis(x, (first, second), (-2, -1)), offset=offset
    ),
}  # fmt: skip
"""The lowerings of this chapter, by the operator's overload."""
