"""Derivatives of operations along axes. Ties of max and min share equally; sort sends each component to its place."""

from __future__ import annotations

from tensoria.programs.derivatives.rule import Array, Call, Rule, spread, xp
from tensoria.programs.dimensions import Size, product
from tensoria.programs.types import Shape

__all__ = ["RULES"]


def _spread(call: Call, g: Array) -> Array:
    return spread(g, call.operands[0].shape, call["axes"], call["keepdims"])


def _count(call: Call) -> Size:
    return product(call.operands[0].shape[axis] for axis in call["axes"])


def _sum(call: Call, g: Array) -> list[Array | None]:
    return [_spread(call, g)]


def _mean(call: Call, g: Array) -> list[Array | None]:
    return [_spread(call, g / _count(call))]


def _var(call: Call, g: Array) -> list[Array | None]:
    (x,) = call.operands
    count: Array = call.recorder.size(_count(call), x.dtype)
    degrees = count - float(call["correction"])
    centred = x - xp.mean(x, axis=call["axes"], keepdims=True)
    return [2 * centred * _spread(call, g / degrees)]


def _extreme(call: Call, g: Array) -> list[Array | None]:
    (x,) = call.operands
    chosen = xp.astype(xp.equal(x, _spread(call, call.results[0])), x.dtype)
    return [_spread(call, g) * chosen / xp.sum(chosen, axis=call["axes"], keepdims=True)]


def _prod(call: Call, g: Array) -> list[Array | None]:
    """The product of all others, without a division: what stands before times what stands behind."""
    (x,), axes = call.operands, call["axes"]
    kept = [n for n in range(x.ndim) if n not in axes]
    order = (*kept, *axes)
    moved = xp.permute_dims(x, order)
    flat = xp.reshape(moved, (*(x.shape[n] for n in kept), _count(call)))
    others = xp.reshape(_before(flat) * xp.flip(_before(xp.flip(flat, axis=-1)), axis=-1), moved.shape)
    back = tuple(order.index(n) for n in range(x.ndim))
    return [_spread(call, g) * xp.permute_dims(others, back)]


def _before(x: Array) -> Array:
    """The products of all components in front of each one, along the last axis."""
    return xp.cumulative_prod(x, axis=-1, include_initial=True)[..., :-1]


def _cumulative_sum(call: Call, g: Array) -> list[Array | None]:
    axis = call["axis"]
    g = _without_initial(call, g)
    return [xp.flip(xp.cumulative_sum(xp.flip(g, axis=axis), axis=axis), axis=axis)]


def _without_initial(call: Call, g: Array) -> Array:
    return g[(*(slice(None),) * call["axis"], slice(1, None))] if call["include_initial"] else g


def _cumulative_prod(call: Call, g: Array) -> list[Array | None]:
    """Without a division: what is in front of i, times the sum over j of g_j x_{i+1} ... x_j.

    It costs the square of the axis' size.
    """
    (x,), axis = call.operands, call["axis"]
    x, g = (xp.moveaxis(y, axis, -1) for y in (x, _without_initial(call, g)))
    size = x.shape[-1]
    square: Shape = (*x.shape, size)
    behind = xp.triu(xp.broadcast_to(xp.expand_dims(x, axis=-2), square), k=1)
    upper = xp.triu(xp.ones(square, dtype=x.dtype), k=1)
    products = xp.triu(xp.cumulative_prod(behind + (1 - upper), axis=-1))
    total = xp.sum(products * xp.expand_dims(g, axis=-2), axis=-1)
    return [xp.moveaxis(_before(x) * total, -1, axis)]


def _sort(call: Call, g: Array) -> list[Array | None]:
    (x,), axis = call.operands, call["axis"]
    order = xp.argsort(x, axis=axis, descending=call["descending"], stable=call["stable"])
    return [xp.take_along_axis(g, xp.argsort(order, axis=axis), axis=axis)]


RULES: dict[str, Rule] = {
    "sum": _sum, "prod": _prod, "max": _extreme, "min": _extreme, "mean": _mean, "var": _var,
    "cumulative_sum": _cumulative_sum, "cumulative_prod": _cumulative_prod, "sort": _sort,
}  # fmt: skip
"""The rules of this chapter, by operation."""
