"""How a backend computes each instruction: by its Array API functions, which need no translation.

`EVALUATE` has a row for the operations whose name or arguments differ from the standard's; the others are the
backend's functions of that name. Generated code (`source`) goes another way, to the framework's own functions.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tensoria.backend import UNKNOWN, Array, Backend
from tensoria.discovery import home
from tensoria.dtypes import int64
from tensoria.programs.definitions import DEFINITIONS
from tensoria.programs.dimensions import Dim, evaluated
from tensoria.programs.operations.indexing import At, Cut
from tensoria.programs.types import Region

__all__ = ["EVALUATE", "MADE", "evaluate", "place", "sized"]

Attributes = dict[str, Any]
Evaluate = Callable[..., Any]
Run = Callable[[Backend, tuple[Array, ...]], list[Array]]


def sized(value: Any, sizes: Mapping[str, int]) -> Any:
    """An attribute with integers for expressions, inside of tuples and subscripts too."""
    if isinstance(value, Dim):
        return value.evaluate(sizes)
    if isinstance(value, Region):
        return functools.partial(value.evaluate, sizes=sizes)
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return tuple(sized(item, sizes) for item in value)
    if isinstance(value, Cut):
        start, stop = (None if end is None else evaluated(end, sizes) for end in (value.start, value.stop))
        return Cut(start, stop, value.step)
    return value


def _positions(backend: Backend, x: Array) -> Array:
    """Positions in int64: frameworks take short integers for masks, or refuse them."""
    return x if backend.dtype(x) is int64 else backend.kernels.cast(x, backend.native_dtype(int64))


def _at(name: str) -> Evaluate:
    return lambda backend, x, indices, *, axis: getattr(backend.xp, name)(x, _positions(backend, indices), axis=axis)


def _subscript(backend: Backend, key: tuple[Any, ...], positions: tuple[Array, ...]) -> tuple[Any, ...]:
    return tuple(
        slice(part.start, part.stop, part.step) if isinstance(part, Cut)
        else _positions(backend, positions[part.operand - 1]) if isinstance(part, At)
        else part
        for part in key
    )  # fmt: skip


def _axes(name: str) -> Evaluate:
    def run(backend: Backend, x: Array, *, axes: tuple[int, ...], keepdims: bool, **more: Any) -> Array:
        if not axes and name not in ("var",):
            return x if name not in ("all", "any", "count_nonzero") else getattr(backend.xp, name)(x, axis=())
        return getattr(backend.xp, name)(x, axis=axes, keepdims=keepdims, **more)

    return run


def _sum(name: str) -> Evaluate:
    """The type is the operand's: whoever recorded has chosen it."""

    def run(backend: Backend, x: Array, *, axes: tuple[int, ...], keepdims: bool) -> Array:
        return x if not axes else getattr(backend.xp, name)(x, axis=axes, keepdims=keepdims, dtype=x.dtype)

    return run


def _running(name: str) -> Evaluate:
    def run(backend: Backend, x: Array, *, axis: int, include_initial: bool) -> Array:
        return getattr(backend.xp, name)(x, axis=axis, include_initial=include_initial, dtype=x.dtype)

    return run


def _join(name: str) -> Evaluate:
    return lambda backend, *arrays, axis: getattr(backend.xp, name)(list(arrays), axis=axis)


def _expand(backend: Backend, x: Array, *, axes: tuple[int, ...]) -> Array:
    for axis in axes:
        x = backend.xp.expand_dims(x, axis=axis)
    return x


def _setitem(backend: Backend, x: Array, value: Array, *positions: Array, key: Any) -> Array:
    target = x if backend.immutable else backend.copy(x)
    return backend.set_item(target, _subscript(backend, key, positions), value)


def _add_at(backend: Backend, x: Array, value: Array, *positions: Array, key: Any) -> Array:
    """Through the numbers of the components, in the order of a flat array."""
    shape = backend.shape(x)
    count = math.prod(n or 0 for n in shape)
    numbered = backend.reshape(backend.arange_like(count, int64, x), shape)
    places = backend.get_item(numbered, _subscript(backend, key, positions))
    value = backend.xp.broadcast_to(value, places.shape)
    flat = (backend.reshape(of, (-1,)) for of in (x, places, value))
    return backend.reshape(backend.scatter_add(*flat), shape)


def _roll(backend: Backend, x: Array, *, shifts: tuple[int, ...], axes: tuple[int, ...]) -> Array:
    return backend.xp.roll(x, shifts, axis=axes)


def _contract(backend: Backend, *arrays: Array, pattern: Any) -> Array:
    if len(arrays) == 1:
        return backend.reduce_axes(pattern, arrays[0])
    if len(arrays) == 2:
        return backend.contract(pattern, *arrays)
    return backend.contract_network(pattern, arrays)


def _vector_norm(backend: Backend, x: Array, *, axes: tuple[int, ...], keepdims: bool, ord: float) -> Array:
    return backend.xp.linalg.vector_norm(x, axis=axes, keepdims=keepdims, ord=ord)


def _svd(backend: Backend, x: Array, *, full_matrices: bool, close: float | None = None) -> Any:
    return backend.xp.linalg.svd(x, full_matrices=full_matrices) if close is None else backend.svd(x, close)


def _cond(backend: Backend, condition: Array, *operands: Array, then: Run, otherwise: Run) -> Any:
    return _results((then if bool(condition) else otherwise)(backend, operands))


def _while_loop(backend: Backend, *operands: Array, test: Run, body: Run, states: int) -> Any:
    state, captured = list(operands[:states]), operands[states:]
    while bool(test(backend, (*state, *captured))[0]):
        state = body(backend, (*state, *captured))
    return _results(state)


def _scan(
    backend: Backend, *operands: Array, body: Run, states: int, scanned: int, length: int, reverse: bool
) -> Any:
    state, xs, captured = list(operands[:states]), operands[states : states + scanned], operands[states + scanned :]
    steps = []
    for n in reversed(range(length)) if reverse else range(length):
        found = body(backend, (*state, *(backend.get_item(x, n) for x in xs), *captured))
        state = found[:states]
        steps.append(found[states:])
    if reverse:
        steps.reverse()
    return _results([*state, *(backend.xp.stack(list(ys), axis=0) for ys in zip(*steps, strict=True))])


def _results(arrays: list[Array]) -> Any:
    return arrays[0] if len(arrays) == 1 else tuple(arrays)


EVALUATE: dict[str, Evaluate] = {
    "astype": lambda backend, x, *, dtype: backend.kernels.cast(x, backend.native_dtype(dtype)),
    "stop_gradient": lambda backend, x: backend.detach(x),
    **{name: _axes(name) for name in ("max", "min", "mean", "var", "all", "any", "count_nonzero")},
    "sum": _sum("sum"), "prod": _sum("prod"),
    "cumulative_sum": _running("cumulative_sum"), "cumulative_prod": _running("cumulative_prod"),
    "concat": _join("concat"), "stack": _join("stack"),
    "expand_dims": _expand,
    "squeeze": lambda backend, x, *, axes: backend.xp.squeeze(x, axis=axes) if axes else x,
    "flip": lambda backend, x, *, axes: backend.xp.flip(x, axis=axes),
    "roll": _roll,
    "repeat": lambda backend, x, *, repeats, axis: backend.xp.repeat(x, repeats, axis=axis),
    "tile": lambda backend, x, *, repetitions: backend.xp.tile(x, repetitions),
    "permute_dims": lambda backend, x, *, axes: backend.xp.permute_dims(x, axes),
    "reshape": lambda backend, x, *, shape: backend.reshape(x, shape),
    "broadcast_to": lambda backend, x, *, shape: backend.xp.broadcast_to(x, shape),
    "getitem": lambda backend, x, *positions, key: backend.get_item(x, _subscript(backend, key, positions)),
    "setitem": _setitem, "add_at": _add_at,
    "take": _at("take"), "take_along_axis": _at("take_along_axis"),
    "full": lambda backend, value, *, shape: backend.xp.broadcast_to(value, shape),
    "contract": _contract,
    "cond": _cond, "while_loop": _while_loop, "scan": _scan,
    "linalg.vector_norm": _vector_norm,
    "linalg.matrix_power": lambda backend, x, *, n: backend.xp.linalg.matrix_power(x, n),
    "linalg.svd": _svd,
    "linalg.eigh": lambda backend, x, *, close=None: (
        tuple(backend.xp.linalg.eigh(x)) if close is None else backend.eigh(x, close)
    ),
    "linalg.eig": lambda backend, x: backend.eig(x),
    "linalg.eigvals": lambda backend, x: backend.eigvals(x),
    **DEFINITIONS,
}  # fmt: skip
"""The operations that are not the backend's function of that name with these arguments."""


MADE: dict[str, Evaluate] = {
    "arange": lambda backend, *, start, stop, step, dtype: backend.xp.arange(
        start, stop, step, dtype=backend.native_dtype(dtype)
    ),
    "eye": lambda backend, *, rows, columns, k, dtype: backend.xp.eye(
        rows, columns, k=k, dtype=backend.native_dtype(dtype)
    ),
    "size": lambda backend, *, size: backend.asarray(size, int64, None, None),
}  # fmt: skip
"""The operations that make an array of no other one."""


def place(backend: Backend, arrays: Sequence[Array]) -> str | None:
    """Where constants belong beside these arrays: on the first one's device, else where new tensors are made."""
    return backend.device(arrays[0]) if arrays else home(backend)


def evaluate(
    backend: Backend, operation: str, operands: tuple[Array, ...], attributes: Mapping[str, Any],
    device: str | None = None,
) -> Any:  # fmt: skip
    """The result of one instruction on native arrays: an array, or a tuple of them; on the device, if it has none."""
    if operation in MADE:
        made = MADE[operation](backend, **attributes)
        return made if device in (None, UNKNOWN, backend.device(made)) else backend.to_device(made, device)
    kernel = backend.primitives.get(operation)
    if kernel is not None:
        return kernel(*operands, **attributes)
    row = EVALUATE.get(operation)
    if row is not None:
        return row(backend, *operands, **attributes)
    part, _, name = operation.rpartition(".")
    return getattr(getattr(backend.xp, part) if part else backend.xp, name)(*operands, **attributes)
