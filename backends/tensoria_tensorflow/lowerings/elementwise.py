"""TensorFlow's functions of single components."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tensoria.dtypes import bool_
from tensoria.errors import ShapeError
from tensoria.programs.standard import cast
from tensoria_tensorflow.lowerings.call import Array, Call, Lowering, literal_like, one, xp

__all__ = ["LOWERINGS"]

UNARY = {
    "Abs": "abs", "Acos": "acos", "Acosh": "acosh", "Asin": "asin", "Asinh": "asinh", "Atan": "atan", "Atanh": "atanh",
    "Ceil": "ceil", "ComplexAbs": "abs", "Conj": "conj", "Cos": "cos", "Cosh": "cosh", "Erf": "erf", "Exp": "exp",
    "Expm1": "expm1", "Floor": "floor", "Imag": "imag", "Inv": "reciprocal", "Invert": "bitwise_invert",
    "IsFinite": "isfinite", "IsInf": "isinf", "IsNan": "isnan", "Log": "log", "Log1p": "log1p",
    "LogicalNot": "logical_not", "Neg": "negative", "Real": "real", "Reciprocal": "reciprocal", "Rint": "round",
    "Round": "round", "Sigmoid": "sigmoid", "Sign": "sign", "Sin": "sin", "Sinh": "sinh", "Sqrt": "sqrt",
    "Square": "square", "StopGradient": "stop_gradient", "Tan": "tan", "Tanh": "tanh",
}  # fmt: skip
BINARY = {
    "Add": "add", "AddV2": "add", "Atan2": "atan2", "BitwiseAnd": "bitwise_and", "BitwiseOr": "bitwise_or",
    "BitwiseXor": "bitwise_xor", "FloorDiv": "floor_divide", "FloorMod": "remainder", "Greater": "greater",
    "GreaterEqual": "greater_equal", "LeftShift": "bitwise_left_shift", "Less": "less", "LessEqual": "less_equal",
    "LogicalAnd": "logical_and", "LogicalOr": "logical_or", "Maximum": "maximum", "Minimum": "minimum",
    "Mul": "multiply", "NextAfter": "nextafter", "Pow": "pow", "RealDiv": "divide",
    "RightShift": "bitwise_right_shift", "Sub": "subtract",
}  # fmt: skip


def _unary(operation: str) -> Lowering:
    return lambda call, x: one(x, operation)


def _binary(operation: str) -> Lowering:
    return lambda call, a, b: one(a, operation, b)


def _compared(operation: str) -> Lowering:
    def lower(call: Call, a: Array, b: Array) -> Array:
        return one(a, operation, b)

    return lower


def _same(call: Call, x: Any, *_: Any) -> Any:
    return x


def _rsqrt(call: Call, x: Array) -> Array:
    return one(one(x, "sqrt"), "reciprocal")


def _erfc(call: Call, x: Array) -> Array:
    return xp.subtract(1.0, one(x, "erf"))


def _relu(call: Call, x: Array) -> Array:
    return one(x, "relu") if x.dtype.kind == "float" else one(x, "maximum", literal_like(x, 0))


def _relu6(call: Call, x: Array) -> Array:
    # At 6 itself the derivative is half of the sides', where TensorFlow's is 0; a choice would cost two more passes.
    return xp.minimum(_relu(call, x), literal_like(x, 6))


def _leaky(call: Call, x: Array) -> Array:
    return xp.where(xp.greater(x, 0.0), x, xp.multiply(x, float(call.attribute("alpha"))))


def _elu(call: Call, x: Array) -> Array:
    # The exponential of what is not positive, so that the part which is not chosen is finite.
    return xp.where(xp.greater_equal(x, 0.0), x, xp.expm1(xp.minimum(x, 0.0)))


SELU = 1.0507009873554804934193349852946, 1.7580993408473768599402175208123
"""The scale, and the scale times alpha, of Klambauer et al. (2017)."""


def _selu(call: Call, x: Array) -> Array:
    low = xp.multiply(xp.expm1(xp.minimum(x, 0.0)), SELU[1])
    return xp.where(xp.greater_equal(x, 0.0), xp.multiply(x, SELU[0]), low)


def _softplus(call: Call, x: Array) -> Array:
    return xp.logaddexp(x, xp.zeros_like(x))


def _softsign(call: Call, x: Array) -> Array:
    return xp.divide(x, xp.add(xp.abs(x), 1.0))


def _truncated(call: Call, a: Array, b: Array) -> Array:
    """The quotient rounded towards zero."""
    if a.dtype.kind == "uint":
        return one(a, "floor_divide", b)
    if a.dtype.kind == "float":
        return one(one(a, "divide", b), "trunc")
    quotient = one(one(a, "abs"), "floor_divide", one(b, "abs"))
    return one(quotient, "multiply", one(one(a, "sign"), "multiply", one(b, "sign")))


def _remainder(call: Call, a: Array, b: Array) -> Array:
    """The remainder with the dividend's sign."""
    if a.dtype.kind == "uint":
        return one(a, "remainder", b)
    rest = one(one(a, "abs"), "remainder", one(b, "abs"))
    return one(rest, "copysign", a) if a.dtype.kind == "float" else one(rest, "multiply", one(a, "sign"))


def _div(call: Call, a: Array, b: Array) -> Array:
    return one(a, "divide", b) if a.dtype.kind in ("float", "complex") else _truncated(call, a, b)


def _unless_zero(chosen: int, operation: str) -> Lowering:
    """A product or quotient that is 0 where one operand is, whatever the other one is."""

    def lower(call: Call, a: Array, b: Array) -> Array:
        zero = one((a, b)[chosen], "equal", literal_like(a, 0))
        other = xp.where(zero, literal_like(a, 1), b)
        result = one(a, operation, other)
        return xp.where(xp.broadcast_to(zero, result.shape), literal_like(a, 0), result)

    return lower


def _xlog(function: Any) -> Lowering:
    """x log y and its like: 0 where x is."""

    def lower(call: Call, x: Array, y: Array) -> Array:
        zero = one(x, "equal", literal_like(x, 0))
        return xp.where(zero, literal_like(x, 0), one(x, "multiply", function(xp.where(zero, literal_like(y, 1), y))))

    return lower


def _equality(operation: str) -> Lowering:
    def lower(call: Call, a: Array, b: Array) -> Array:
        try:
            return one(a, operation, b)
        except ShapeError:
            if call.attribute("incompatible_shape_error") or call.operation.outputs[0].shape.rank != 0:
                raise
            # Of shapes that differ the comparison is one truth value.
            return call.array(np.asarray(operation == "not_equal"), bool_)

    return lower


def _approximate(call: Call, a: Array, b: Array) -> Array:
    return xp.less(xp.abs(xp.subtract(a, b)), float(call.attribute("tolerance")))


def _select(call: Call, condition: Array, a: Array, b: Array) -> Array:
    if call.operation.type == "Select" and condition.ndim == 1 and a.ndim > 1:
        condition = xp.reshape(condition, (condition.shape[0], *(1,) * (a.ndim - 1)))
    return one(condition, "where", a, b)


def _clip(call: Call, x: Array, low: Array, high: Array) -> Array:
    return xp.minimum(xp.maximum(x, low), high)


def _cast(call: Call, x: Array) -> Array:
    of = call.dtype
    if x.dtype.kind == "complex" and of.kind != "complex":
        x = one(x, "real")
    return one(x, "not_equal", literal_like(x, 0)) if of is bool_ and x.dtype is not bool_ else cast(x, of)


def _sum(call: Call, *xs: Array) -> Array:
    first, *rest = xs
    for x in rest:
        first = one(first, "add", x)
    return first


def _bias(call: Call, x: Array, bias: Array) -> Array:
    if call.attribute("data_format") == "NCHW":
        bias = xp.reshape(bias, (-1, *(1,) * (x.ndim - 2)))
    return one(x, "add", bias)


def _all(call: Call, *xs: Any) -> tuple[Any, ...]:
    return xs


LOWERINGS: dict[str, Lowering] = {
    **{name: _unary(operation) for name, operation in UNARY.items()},
    **{name: _binary(operation) for name, operation in BINARY.items()},
    **dict.fromkeys(("Identity", "Snapshot", "CheckNumerics", "CheckNumericsV2", "DeepCopy"), _same),
    "PreventGradient": lambda call, x: one(x, "stop_gradient"),
    "IdentityN": _all, "Rsqrt": _rsqrt, "Erfc": _erfc, "Relu": _relu, "Relu6": _relu6, "LeakyRelu": _leaky,
    "Elu": _elu, "Selu": _selu, "Softplus": _softplus, "Softsign": _softsign,
    "Div": _div, "TruncateDiv": _truncated, "TruncateMod": _remainder, "Mod": _remainder,
    "SquaredDifference": lambda call, a, b: one(one(a, "subtract", b), "square"),
    "DivNoNan": _unless_zero(1, "divide"), "MulNoNan": _unless_zero(1, "multiply"),
    "Xlogy": _xlog(xp.log), "Xlog1py": _xlog(xp.log1p), "Xdivy": _xlog(xp.reciprocal),
    "Equal": _equality("equal"), "NotEqual": _equality("not_equal"), "ApproximateEqual": _approximate,
    "Select": _select, "SelectV2": _select, "ClipByValue": _clip, "Cast": _cast, "AddN": _sum, "BiasAdd": _bias,
    "Complex": lambda call, a, b: xp.add(cast(a, call.dtype), xp.multiply(cast(b, call.dtype), 1j)),
    "Angle": lambda call, x: xp.atan2(xp.imag(x), xp.real(x)),
    "Log2": lambda call, x: xp.divide(xp.log(x), math.log(2)),
}  # fmt: skip
"""The lowerings of this chapter, by TensorFlow's name."""
HOST: dict[str, tuple[int, ...]] = {}
"""Which operands have to be known before anything runs."""
