"""ATen's functions of single components."""

from __future__ import annotations

import math
from typing import Any

from tensoria.dtypes import bool_, int8
from tensoria.programs.recorder import SymbolicArray
from tensoria.programs.standard import cast
from tensoria_torch.lowerings.call import Call, Lowering, literal_like, one, xp

__all__ = ["LOWERINGS"]

Array = SymbolicArray
UNARY = {
    name: name
    for name in (
        "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "erf", "exp", "expm1", "floor",
        "isfinite", "isinf", "isnan", "log", "log10", "log1p", "log2", "reciprocal", "round", "sigmoid", "sign", "sin",
        "sinh", "sqrt", "tan", "tanh", "trunc", "relu", "silu", "signbit", "square",
    )
} | {"neg": "negative", "bitwise_not": "bitwise_invert", "conj": "conj", "sgn": "sign"}  # fmt: skip
KEPT = ("abs", "isfinite", "isinf", "isnan", "signbit")
"""Whose results have another data type than they compute in."""
ARITHMETIC = {
    "mul": "multiply", "maximum": "maximum", "minimum": "minimum", "atan2": "atan2", "copysign": "copysign",
    "hypot": "hypot", "logaddexp": "logaddexp", "bitwise_and": "bitwise_and", "bitwise_or": "bitwise_or",
    "bitwise_xor": "bitwise_xor", "__and__": "bitwise_and", "__or__": "bitwise_or", "__xor__": "bitwise_xor",
    "__lshift__": "bitwise_left_shift", "__rshift__": "bitwise_right_shift", "floor_divide": "floor_divide",
    "remainder": "remainder", "bitwise_left_shift": "bitwise_left_shift",
    "bitwise_right_shift": "bitwise_right_shift",
}  # fmt: skip
COMPARED = {
    "eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal",
}  # fmt: skip
TRUTH = {"multiply": "logical_and", "minimum": "logical_and", "maximum": "logical_or"}
"""What is done with truth values where others are multiplied or compared."""
LOGICAL = ("logical_and", "logical_or", "logical_xor")


def _unary(name: str, operation: str) -> Lowering:
    def lower(call: Call, x: Array) -> Array:
        if x.dtype is bool_ and operation == "bitwise_invert":
            return one(x, "logical_not")
        if operation == "relu" and x.dtype.kind != "float":
            return xp.maximum(x, literal_like(x, 0))
        if operation == "sign" and x.dtype is bool_:
            return x
        if operation == "signbit" and x.dtype.kind != "float":
            return xp.less(cast(x, int8) if x.dtype is bool_ else x, 0)
        if name in KEPT and x.dtype is bool_:
            return one(cast(x, int8), operation)
        # Integers become floats where the function says so.
        return one(x if name in KEPT else cast(x, call.dtype), operation)

    return lower


def _binary(operation: str) -> Lowering:
    def lower(call: Call, a: Any, b: Any) -> Array:
        of = call.dtype
        if of is bool_ and operation in TRUTH:
            return one(call.array(a, of), TRUTH[operation], call.array(b, of))
        return one(call.array(a, of), operation, call.array(b, of))

    return lower


def _compared(operation: str) -> Lowering:
    def lower(call: Call, a: Any, b: Any) -> Array:
        of = call.promoted()
        if of is bool_ and operation not in ("equal", "not_equal"):
            of = int8  # truth values have no order
        return one(call.array(a, of), operation, call.array(b, of))

    return lower


def _logical(operation: str) -> Lowering:
    return lambda call, a, b: one(_truth(a), operation, _truth(b))


def _truth(x: Array) -> Array:
    return x if x.dtype is bool_ else one(x, "not_equal", literal_like(x, 0))


def _sum(operation: str) -> Lowering:
    def lower(call: Call, a: Any, b: Any, *, alpha: Any = 1) -> Array:
        of = call.dtype
        second = call.array(b, of)
        if alpha != 1:
            second = one(second, "multiply", call.array(alpha, of))
        if of is bool_:
            return one(call.array(a, of), "logical_or", second)
        return one(call.array(a, of), operation, second)

    return lower


def _rsub(call: Call, a: Any, b: Any, alpha: Any = 1) -> Array:
    return _sum("subtract")(call, b, a, alpha=alpha)


def _div(call: Call, a: Any, b: Any, *, rounding_mode: str | None = None) -> Array:
    of = call.dtype
    if rounding_mode is None:
        return one(call.array(a, of), "divide", call.array(b, of))
    if rounding_mode == "floor":
        return one(call.array(a, of), "floor_divide", call.array(b, of))
    if of.kind == "float":
        return one(one(call.array(a, of), "divide", call.array(b, of)), "trunc")
    x, y = call.array(a, of), call.array(b, of)
    quotient = one(one(x, "abs"), "floor_divide", one(y, "abs"))
    return one(quotient, "multiply", one(one(x, "sign"), "multiply", one(y, "sign")))


def _fmod(call: Call, a: Any, b: Any) -> Array:
    """The remainder with the dividend's sign."""
    x, y = call.array(a, call.dtype), call.array(b, call.dtype)
    rest = one(one(x, "abs"), "remainder", one(y, "abs"))
    return one(rest, "multiply", one(x, "sign")) if call.dtype.kind != "float" else one(rest, "copysign", x)


def _pow(call: Call, a: Any, b: Any) -> Array:
    of = call.dtype
    if isinstance(b, (int, float)) and isinstance(a, SymbolicArray):
        simple = {0.5: "sqrt", 2: "square", -1: "reciprocal", 1: None}
        if b in simple and (of.kind == "float" or b in (1, 2)):
            name = simple[b]
            return cast(a, of) if name is None else one(cast(a, of), name)
    return one(call.array(a, of), "pow", call.array(b, of))


def _where(call: Call, condition: Array, a: Any, b: Any) -> Array:
    return one(_truth(condition), "where", call.array(a, call.dtype), call.array(b, call.dtype))


def _masked_fill(call: Call, x: Array, mask: Array, value: Any) -> Array:
    return one(mask, "where", call.array(value, x.dtype), x)


def _clamp(call: Call, x: Array, low: Any = None, high: Any = None) -> Array:
    """Choices, whose derivative at a bound is that of x; a tie of maximum would share it."""
    x = cast(x, call.dtype)
    for bound, outside, inside, name in (
        (low, "less", "greater_equal", "maximum"), (high, "greater", "less_equal", "minimum"),
    ):  # fmt: skip
        if bound is None:
            continue
        end = call.array(bound, call.dtype)
        if call.dtype.kind != "float":
            x = one(x, name, end)
        elif isinstance(bound, (int, float)) and bound == bound:
            x = one(one(x, outside, end), "where", end, x)
        else:  # a bound that may be NaN, which stays
            x = one(one(x, inside, end), "where", x, one(x, name, end))
    return x


def _hardtanh(call: Call, x: Array, low: float = -1.0, high: float = 1.0) -> Array:
    if call.dtype.kind != "float":
        return _clamp(call, x, low, high)
    return one(cast(x, call.dtype), "hardtanh", low=float(low), high=float(high))


def _hardsigmoid(call: Call, x: Array) -> Array:
    # At -3 and 3 the derivative is 0.
    raised = xp.where(xp.less_equal(x, -3.0), 0.0, xp.where(xp.greater_equal(x, 3.0), 6.0, xp.add(x, 3.0)))
    return xp.multiply(raised, 1 / 6)


def _softplus(call: Call, x: Array, beta: float = 1, threshold: float = 20) -> Array:
    scaled = xp.multiply(x, float(beta))
    smooth = xp.divide(xp.logaddexp(scaled, xp.zeros_like(scaled)), float(beta))
    return xp.where(xp.greater(scaled, float(threshold)), x, smooth)


def _elu(call: Call, x: Array, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Array:
    # The exponential of what is not positive, so that the part which is not chosen is finite.
    positive = xp.greater(x, 0.0)
    low = xp.expm1(xp.multiply(xp.where(positive, 0.0, x), float(input_scale)))
    return xp.multiply(xp.where(positive, x, xp.multiply(low, float(alpha))), float(scale))


def _leaky(call: Call, x: Array, slope: float = 0.01) -> Array:
    return xp.where(xp.greater(x, 0.0), x, xp.multiply(x, float(slope)))


def _fill(call: Call, x: Array, value: Any) -> Array:
    return xp.broadcast_to(call.array(value, call.dtype), x.shape)


def _known(name: str) -> Lowering:
    """The larger (smaller) of two components; of a number and NaN the number."""

    def lower(call: Call, a: Any, b: Any) -> Array:
        x, y = call.array(a, call.dtype), call.array(b, call.dtype)
        if call.dtype.kind != "float":
            return one(x, TRUTH[name] if call.dtype is bool_ else name, y)
        # At a tie the derivative is the first one's.
        first = one(x, "greater_equal" if name == "maximum" else "less_equal", y)
        return xp.where(xp.isnan(x), y, xp.where(xp.logical_or(first, xp.isnan(y)), x, y))

    return lower


LOWERINGS: dict[str, Lowering] = {
    **{f"{name}.default": _unary(name, operation) for name, operation in UNARY.items()},
    **{f"{name}.{kind}": _binary(operation) for name, operation in ARITHMETIC.items()
       for kind in ("default", "Tensor", "Scalar", "Scalar_Tensor", "Tensor_Scalar")},
    **{f"{name}.{kind}": _compared(operation) for name, operation in COMPARED.items() for kind in ("Tensor", "Scalar")},
    **{f"{name}.default": _logical(name) for name in LOGICAL},
    "logical_not.default": lambda call, x: one(_truth(x), "logical_not"),
    **{f"add.{kind}": _sum("add") for kind in ("Tensor", "Scalar")},
    **{f"sub.{kind}": _sum("subtract") for kind in ("Tensor", "Scalar")},
    **{f"rsub.{kind}": _rsub for kind in ("Tensor", "Scalar")},
    **{f"div.{kind}": _div for kind in ("Tensor", "Scalar", "Tensor_mode", "Scalar_mode")},
    **{f"fmod.{kind}": _fmod for kind in ("Tensor", "Scalar")},
    **{f"pow.{kind}": _pow for kind in ("Tensor_Scalar", "Tensor_Tensor", "Scalar")},
    "fmax.default": _known("maximum"), "fmin.default": _known("minimum"),
    "max.other": _binary("maximum"), "min.other": _binary("minimum"),
    **{f"where.{kind}": _where for kind in ("self", "ScalarOther", "ScalarSelf", "Scalar")},
    **{f"masked_fill.{kind}": _masked_fill for kind in ("Scalar", "Tensor")},
    **{f"clamp.{kind}": _clamp for kind in ("default", "Tensor")},
    "clamp_min.default": _clamp, "clamp_max.default": lambda call, x, high: _clamp(call, x, None, high),
    "hardtanh.default": _hardtanh, "relu6.default": lambda call, x: _hardtanh(call, x, 0, 6),
    "rsqrt.default": lambda call, x: one(one(cast(x, call.dtype), "sqrt"), "reciprocal"),
    "erfc.default": lambda call, x: xp.subtract(1.0, one(x, "erf")),
    "exp2.default": lambda call, x: xp.exp(xp.multiply(x, math.log(2))),
    "frac.default": lambda call, x: xp.subtract(x, xp.trunc(x)),
    "hardsigmoid.default": _hardsigmoid, "hardswish.default": lambda call, x: xp.multiply(x, _hardsigmoid(call, x)),
    "softplus.default": _softplus, "elu.default": _elu, "leaky_relu.default": _leaky,
    "mish.default": lambda call, x: xp.multiply(x, xp.tanh(_softplus(call, x))),
    "log_sigmoid.default": lambda call, x: xp.negative(_softplus(call, xp.negative(x), 1, math.inf)),
    "prelu.default": lambda call, x, weight: xp.where(
        xp.greater(x, 0.0), x,
        xp.multiply(x, xp.reshape(weight, (1, -1, *(1,) * (x.ndim - 2))[: max(x.ndim, 1)] if x.ndim > 1 else (-1,))),
    ),
    "fill.Scalar": _fill, "fill.Tensor": _fill,
    "lerp.Scalar": lambda call, a, b, weight: xp.add(a, xp.multiply(xp.subtract(b, a), float(weight))),
    "gelu.default": lambda call, x, approximate="none": one(x, "gelu", approximate=approximate),
}  # fmt: skip
"""The lowerings of this chapter, by the operator's overload."""
