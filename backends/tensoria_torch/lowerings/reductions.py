"""ATen's operators along axes."""

from __future__ import annotations

from typing import Any

from tensoria.dtypes import bool_, int8
from tensoria.errors import PortingError
from tensoria.programs.recorder import SymbolicArray
from tensoria.programs.standard import cast
from tensoria.programs.standard.reductions import deviation
from tensoria_torch.lowerings.call import Call, Lowering, of_one, one, positions, xp

__all__ = ["LOWERINGS"]

Array = SymbolicArray
TRUTH = {"max": "any", "min": "all"}
"""What is the largest, and the smallest, of truth values."""


def _accumulated(operation: str) -> Lowering:
    def lower(call: Call, x: Array, axis: Any = None, keep: bool = False, *, dtype: Any = None) -> Array:
        return one(cast(x, call.dtype), operation, axes=positions(axis, x.ndim), keepdims=keep)

    return lower


def _reduced(operation: str) -> Lowering:
    def lower(call: Call, x: Array, axis: Any = None, keep: bool = False) -> Array:
        own = TRUTH.get(operation, operation) if x.dtype is bool_ else operation
        return one(x, own, axes=positions(axis, x.ndim), keepdims=keep)

    return lower


def _truth(operation: str) -> Lowering:
    """All or any along axes: along none of them for an empty list, which elsewhere means all of them."""

    def lower(call: Call, x: Array, axes: Any = None, keep: bool = False) -> Array:
        if axes is not None and not axes:
            return cast(x, bool_)
        return _reduced(operation)(call, x, axes, keep)

    return lower


def _extreme(name: str) -> Lowering:
    def lower(call: Call, x: Array, axis: int, keep: bool = False) -> tuple[Array, Array]:
        (place,) = positions(axis, x.ndim)
        if x.dtype is bool_:
            at = one(cast(x, int8), f"arg{name}", axis=place, keepdims=keep)
            return one(x, TRUTH[name], axes=(place,), keepdims=keep), at
        return (
            one(x, name, axes=(place,), keepdims=keep), one(x, f"arg{name}", axis=place, keepdims=keep),
        )  # fmt: skip

    return of_one(lower)


def _position(name: str) -> Lowering:
    def lower(call: Call, x: Array, axis: int | None = None, keep: bool = False) -> Array:
        return getattr(xp, name)(x, axis=axis, keepdims=keep)

    return of_one(lower)


def _var(root: bool) -> Lowering:
    def lower(call: Call, x: Array, axis: Any = None, *, correction: Any = None, keepdim: bool = False) -> Array:
        given = 1.0 if correction is None else float(correction)
        found = one(x, "var", axes=positions(axis, x.ndim), keepdims=keepdim, correction=given)
        return deviation(found) if root else found

    return lower


def _with_mean(root: bool) -> Lowering:
    def lower(call: Call, x: Array, axis: Any = None, *, correction: Any = None, keepdim: bool = False) -> Any:
        mean = one(x, "mean", axes=positions(axis, x.ndim), keepdims=keepdim)
        return _var(root)(call, x, axis, correction=correction, keepdim=keepdim), mean

    return lower


def _unbiased(root: bool) -> Lowering:
    def lower(call: Call, x: Array, axis: Any, unbiased: bool = True, keep: bool = False) -> Array:
        return _var(root)(call, x, axis, correction=int(unbiased), keepdim=keep)

    return lower


def _running(operation: str) -> Lowering:
    def lower(call: Call, x: Array, axis: int, *, dtype: Any = None) -> Array:
        (place,) = positions(axis, x.ndim)
        return one(cast(x, call.dtype), operation, axis=place, include_initial=False)

    return of_one(lower)


def _norm(call: Call, x: Array, order: Any = 2, axis: Any = None, keep: bool = False, *, dtype: Any = None) -> Array:
    return one(
        cast(x, call.dtype), "linalg.vector_norm", axes=positions(axis, x.ndim), keepdims=keep, ord=float(order)
    )


def _logsumexp(call: Call, x: Array, axis: Any, keep: bool = False) -> Array:
    axes, x = positions(axis, x.ndim), cast(x, call.dtype)
    if 0 in x.shape:
        return xp.full(call.shape, -float("inf"), dtype=call.dtype)
    largest = xp.max(x, axis=axes, keepdims=True)
    largest = xp.where(xp.isinf(largest), xp.zeros_like(largest), largest)
    total = xp.log(xp.sum(xp.exp(xp.subtract(x, largest)), axis=axes, keepdims=True))
    found = xp.add(total, largest)
    return found if keep else xp.squeeze(found, axis=axes)


def _sort(call: Call, x: Array, axis: int = -1, descending: bool = False) -> tuple[Array, Array]:
    order = xp.argsort(x, axis=axis, descending=descending, stable=True)
    return xp.take_along_axis(x, order, axis=axis), order


def _topk(
    call: Call, x: Array, k: int, axis: int = -1, largest: bool = True, ordered: bool = True
) -> tuple[Array, ...]:
    (place,) = positions(axis, x.ndim)
    return x.recorder.record("top_k", (x,), k=k, axis=place, largest=largest)


def _histogram(call: Call, x: Array, bins: int = 100, low: float = 0, high: float = 0) -> Array:
    """How many components lie in each of some bins of equal width; what lies outside counts nowhere."""
    if low == high:
        raise PortingError("a histogram between the smallest and largest component is not ported.", legal="min=, max=")
    flat = xp.reshape(x, (-1, 1))
    place = xp.floor(xp.multiply(xp.subtract(flat, float(low)), bins / (high - low)))
    place = xp.where(xp.equal(flat, float(high)), float(bins - 1), place)
    numbers = cast(xp.arange(bins), x.dtype)
    inside = xp.logical_and(xp.greater_equal(flat, float(low)), xp.less_equal(flat, float(high)))
    return xp.sum(cast(xp.logical_and(xp.equal(place, numbers), inside), x.dtype), axis=0)


LOWERINGS: dict[str, Lowering] = {
    **{f"sum.{kind}": _accumulated("sum") for kind in ("default", "dim_IntList")},
    **{f"mean.{kind}": _accumulated("mean") for kind in ("default", "dim")},
    **{f"prod.{kind}": _accumulated("prod") for kind in ("default", "dim_int")},
    "amax.default": _reduced("max"), "amin.default": _reduced("min"),
    "max.default": _reduced("max"), "min.default": _reduced("min"), "max.dim": _extreme("max"),
    "min.dim": _extreme("min"), "argmax.default": _position("argmax"), "argmin.default": _position("argmin"),
    **{f"{name}.{kind}": _reduced(name) for name in ("all", "any") for kind in ("default", "dim")},
    **{f"{name}.dims": _truth(name) for name in ("all", "any")},
    "var.correction": _var(False), "std.correction": _var(True),
    **{f"{name}_mean.correction": _with_mean(root) for name, root in (("var", False), ("std", True))},
    "var.dim": _unbiased(False), "std.dim": _unbiased(True),
    "cumsum.default": _running("cumulative_sum"), "cumprod.default": _running("cumulative_prod"),
    "linalg_vector_norm.default": _norm,
    "norm.ScalarOpt_dim": lambda call, x, order, *rest: _norm(call, x, 2 if order is None else order, *rest),
    "histc.default": _histogram,
    "logsumexp.default": _logsumexp, "sort.default": of_one(_sort), "topk.default": of_one(_topk),
    "sort.stable": lambda call, x, *, stable=None, dim=-1, descending=False: of_one(_sort)(call, x, dim, descending),
    "argsort.default": lambda call, x, dim=-1, descending=False: of_one(_sort)(call, x, dim, descending)[1],
    **{f"count_nonzero.{kind}": _reduced("count_nonzero") for kind in ("default", "dim_IntList")},
}  # fmt: skip
"""The lowerings of this chapter, by the operator's overload."""
