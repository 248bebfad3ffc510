"""TensorFlow's operations along axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensoria.dtypes import DType, float64
from tensoria.programs.standard import cast
from tensoria_tensorflow.lowerings.call import Array, Call, Known, Lowering, one, position, positions, xp

__all__ = ["LOWERINGS"]

REDUCED = {
    "All": "all", "Any": "any", "Max": "max", "Mean": "mean", "Min": "min", "Prod": "prod", "Sum": "sum",
}  # fmt: skip


def _reduced(operation: str) -> Lowering:
    def lower(call: Call, x: Array, axes: Known) -> Array:
        chosen = positions(axes, x.ndim) if np.size(axes) else ()
        keepdims = bool(call.attribute("keep_dims"))
        if not chosen:
            return x
        if operation == "mean" and x.dtype.kind in ("int", "uint"):
            return _whole_mean(x, chosen, keepdims)
        if operation in ("max", "min") and any(x.shape[axis] == 0 for axis in chosen):
            shape = tuple(1 if n in chosen else size for n, size in enumerate(x.shape) if keepdims or n not in chosen)
            return xp.full(shape, _bound(x.dtype, operation == "max"), dtype=x.dtype)
        return one(x, operation, axes=chosen, keepdims=keepdims)

    return lower


def _bound(dtype: DType, lowest: bool) -> float:
    """What the largest (smallest) of no components is."""
    if dtype.kind == "float":
        return -np.inf if lowest else np.inf
    limits = np.iinfo(dtype.name)
    return int(limits.min if lowest else limits.max)


def _whole_mean(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    """A mean of integers is one, rounded towards zero."""
    total = one(x, "sum", axes=axes, keepdims=keepdims)
    count: Any = 1
    for axis in axes:
        count = count * x.shape[axis]
    number = x.recorder.size(count, x.dtype)
    if x.dtype.kind == "uint":
        return one(total, "floor_divide", number)
    return one(one(one(total, "abs"), "floor_divide", number), "multiply", one(total, "sign"))


def _norm(call: Call, x: Array, axes: Known) -> Array:
    total = one(xp.square(x), "sum", axes=positions(axes, x.ndim), keepdims=bool(call.attribute("keep_dims")))
    return xp.sqrt(total) if x.dtype.kind in ("float", "complex") else cast(xp.sqrt(cast(total, float64)), x.dtype)


def _place(operation: str) -> Lowering:
    def lower(call: Call, x: Array, axis: Known) -> Array:
        return cast(one(x, operation, axis=position(axis, x.ndim), keepdims=False), call.dtype)

    return lower


def _running(operation: str) -> Lowering:
    def lower(call: Call, x: Array, axis: Known) -> Array:
        place = position(axis, x.ndim)
        reverse, exclusive = call.attribute("reverse"), call.attribute("exclusive")
        found = xp.flip(x, axis=place) if reverse else x
        found = one(found, operation, axis=place, include_initial=bool(exclusive))
        if exclusive:
            found = found[(*(slice(None),) * place, slice(0, x.shape[place]), Ellipsis)]  # type: ignore[index]
        return xp.flip(found, axis=place) if reverse else found

    return lower


def _top(call: Call, x: Array, k: Known) -> tuple[Array, Array]:
    values, places = x.recorder.record("top_k", (x,), k=int(k), axis=x.ndim - 1, largest=True)
    kinds = call.operation.outputs
    return values, cast(places, _of(kinds[1]))


def _of(tensor: Any) -> Any:
    from tensoria_tensorflow.lowerings.call import own_dtype

    return own_dtype(tensor.dtype)


def _half_square(call: Call, x: Array) -> Array:
    return xp.multiply(one(xp.square(x), "sum", axes=tuple(range(x.ndim)), keepdims=False), 0.5)


LOWERINGS: dict[str, Lowering] = {
    **{name: _reduced(operation) for name, operation in REDUCED.items()},
    "EuclideanNorm": _norm, "ArgMax": _place("argmax"), "ArgMin": _place("argmin"),
    "Cumsum": _running("cumulative_sum"), "Cumprod": _running("cumulative_prod"), "TopKV2": _top,
    "L2Loss": _half_square,
}  # fmt: skip
"""The lowerings of this chapter, by TensorFlow's name."""
HOST: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(REDUCED, (1,)),
    **dict.fromkeys(("EuclideanNorm", "ArgMax", "ArgMin", "Cumsum", "Cumprod", "TopKV2"), (1,)),
}
"""Which operands have to be known before anything runs."""
