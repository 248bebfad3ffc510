"""ATen's operators that draw random numbers: from the program's key, each with a number of its own.

They have the distributions of PyTorch's, and not its numbers: those follow from a key on every backend alike.
"""

from __future__ import annotations

from typing import Any

from tensoria.dtypes import float32, float64
from tensoria.programs.recorder import SymbolicArray
from tensoria.programs.standard import cast
from tensoria_torch.lowerings.call import Call, Lowering, xp

__all__ = ["LOWERINGS", "dropped"]

Array = SymbolicArray


def dropped(call: Call, x: Array, probability: float, train: bool = True) -> Array:
    """x, of which some components are zero while training."""
    if not train or not probability:
        return x
    key, stream = call.draw()
    return x.recorder.record("dropout", (x, key), rate=float(probability), stream=stream, shared=())[0]


def _native_dropout(call: Call, x: Array, probability: float, train: bool | None) -> tuple[Array, Array]:
    if not train or not probability:
        return x, xp.ones_like(x, dtype="bool")
    # The mask is what dropout makes of ones; dead code if nobody asks for it.
    key, stream = call.draw()
    options: dict[str, Any] = {"rate": float(probability), "stream": stream, "shared": ()}
    y = x.recorder.record("dropout", (x, key), **options)[0]
    kept = x.recorder.record("dropout", (xp.ones_like(x), key), **options)[0]
    return y, xp.not_equal(kept, 0.0)


def _made(operation: str) -> Lowering:
    def lower(call: Call, *_: Any, **__: Any) -> Array:
        key, stream = call.draw()
        kind = {"shape": call.shape, "dtype": call.dtype, "stream": stream}
        return call.recorder.record(operation, (key,), **kind)[0]

    return lower


def _uniform(call: Call, x: Array, low: float = 0.0, high: float = 1.0, **_: Any) -> Array:
    u = _made("random_uniform")(call)
    return xp.add(xp.multiply(u, float(high) - float(low)), float(low))


def _normal(call: Call, x: Array, mean: float = 0.0, std: float = 1.0, **_: Any) -> Array:
    return xp.add(xp.multiply(_made("random_normal")(call), float(std)), float(mean))


def _exponential(call: Call, x: Array, rate: float = 1.0, **_: Any) -> Array:
    u = _made("random_uniform")(call)
    return xp.divide(xp.negative(xp.log1p(xp.negative(u))), float(rate))


def _bernoulli(call: Call, x: Array, p: Any = None, **_: Any) -> Array:
    """One with a probability, else zero; the probability is x itself, a number, or another array."""
    of = x.dtype if x.dtype in (float32, float64) else float32
    key, stream = call.draw()
    u = call.recorder.record("random_uniform", (key,), shape=call.shape, dtype=of, stream=stream)[0]
    chance = x if p is None else p
    return cast(xp.less(u, cast(chance, of) if isinstance(chance, SymbolicArray) else float(chance)), call.dtype)


def _whole(call: Call, *given: Any, **_: Any) -> Array:
    """randint: integers in [low, high), of 53 random bits."""
    ends = [x for x in given if isinstance(x, int) and not isinstance(x, bool)]
    low, high = (0, ends[0]) if len(ends) == 1 else ends[:2]
    key, stream = call.draw()
    u = call.recorder.record("random_uniform", (key,), shape=call.shape, dtype=float64, stream=stream)[0]
    return cast(xp.add(xp.floor(xp.multiply(u, float(high - low))), float(low)), call.dtype)


def _order(call: Call, *_: Any, **__: Any) -> Array:
    """randperm: the order of random numbers."""
    key, stream = call.draw()
    u = call.recorder.record("random_uniform", (key,), shape=call.shape, dtype=float64, stream=stream)[0]
    return cast(xp.argsort(u, stable=True), call.dtype)


def _rrelu(call: Call, x: Array, low: float = 1 / 8, high: float = 1 / 3, train: bool = False, *_: Any) -> Array:
    """relu with a slope below zero that is drawn while training, and its mean otherwise."""
    slope = _uniform(call, x, low, high) if train else xp.multiply(xp.ones_like(x), (float(low) + float(high)) / 2)
    return xp.where(xp.less_equal(x, 0.0), xp.multiply(x, slope), x)


def _drawn(call: Call, x: Array, count: int, replacement: bool = False, **_: Any) -> Array:
    """multinomial: the positions of the largest of log p + Gumbel noise, one draw for each sample if replaced."""
    of = x.dtype if x.dtype in (float32, float64) else float32
    weights = xp.log(cast(x, of))
    key, stream = call.draw()
    shape = (*x.shape[:-1], count, x.shape[-1]) if replacement else x.shape
    u = call.recorder.record("random_uniform", (key,), shape=shape, dtype=of, stream=stream)[0]
    smallest = 2.0**-53 if of is float64 else 2.0**-24
    noise = xp.negative(xp.log(xp.negative(xp.log(xp.add(xp.multiply(u, 1 - smallest), smallest / 2)))))
    if replacement:
        return xp.argmax(xp.add(xp.expand_dims(weights, axis=-2), noise), axis=-1)
    axis = x.ndim - 1
    return call.recorder.record("top_k", (xp.add(weights, noise),), k=count, axis=axis, largest=True)[1]


LOWERINGS: dict[str, Lowering] = {
    "dropout.default": dropped, "native_dropout.default": _native_dropout,
    **dict.fromkeys(("rand.default", "rand_like.default"), _made("random_uniform")),
    **dict.fromkeys(("randn.default", "randn_like.default"), _made("random_normal")),
    "uniform.default": _uniform, "normal_functional.default": _normal, "exponential.default": _exponential,
    **{f"bernoulli.{kind}": _bernoulli for kind in ("default", "p", "Tensor")},
    **dict.fromkeys((
        "randint.default", "randint.low", "randint_like.default", "randint_like.low_dtype",
    ), _whole),
    "randperm.default": _order, "rrelu.default": _rrelu, "multinomial.default": _drawn,
}  # fmt: skip
"""The lowerings of this chapter, by the operator's overload."""
RANDOM = frozenset(f"aten.{name}" for name in LOWERINGS)
"""Operators whose numbers are not PyTorch's."""
