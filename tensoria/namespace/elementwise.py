"""Elementwise functions: one number in, one number out, broadcasting as the standard says."""

from __future__ import annotations

from typing import Any

from tensoria import coordinatewise
from tensoria.coordinatewise import is_scalar
from tensoria.core import new, same_backend
from tensoria.errors import DTypeError, ModeError
from tensoria.indices import PLAIN
from tensoria.matching import require_privileged
from tensoria.namespace.dispatch import binary, scalar, tensor_of, unary
from tensoria.tensor import Tensor

__all__ = [
    "abs",
    "acos",
    "acosh",
    "add",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "ceil",
    "clip",
    "conj",
    "copysign",
    "cos",
    "cosh",
    "divide",
    "equal",
    "exp",
    "expm1",
    "floor",
    "floor_divide",
    "greater",
    "greater_equal",
    "hypot",
    "imag",
    "isfinite",
    "isinf",
    "isnan",
    "less",
    "less_equal",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "multiply",
    "negative",
    "nextafter",
    "not_equal",
    "positive",
    "pow",
    "real",
    "reciprocal",
    "remainder",
    "round",
    "sign",
    "signbit",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "subtract",
    "tan",
    "tanh",
    "trunc",
    "where",
]

abs = unary("abs", "Absolute value (of complex numbers too).")
acos = unary("acos", "Inverse cosine, in radians.")
acosh = unary("acosh", "Inverse hyperbolic cosine.")
add = binary("add", "Sum.")
asin = unary("asin", "Inverse sine, in radians.")
asinh = unary("asinh", "Inverse hyperbolic sine.")
atan = unary("atan", "Inverse tangent, in radians.")
atan2 = binary("atan2", "Angle of the point (x2, x1), in radians.")
atanh = unary("atanh", "Inverse hyperbolic tangent.")
bitwise_and = binary("bitwise_and", "Bitwise and.")
bitwise_invert = unary("bitwise_invert", "Every bit inverted.")
bitwise_left_shift = binary("bitwise_left_shift", "Bits shifted to the left.")
bitwise_or = binary("bitwise_or", "Bitwise or.")
bitwise_right_shift = binary("bitwise_right_shift", "Bits shifted to the right.")
bitwise_xor = binary("bitwise_xor", "Bitwise exclusive or.")
ceil = unary("ceil", "The smallest integer that is not less.")
conj = unary("conj", "Complex conjugate.")
copysign = binary("copysign", "Magnitude of the first with the sign of the second.")
cos = unary("cos", "Cosine, of radians.")
cosh = unary("cosh", "Hyperbolic cosine.")
divide = binary("divide", "Quotient.")
equal = binary("equal", "Whether equal.")
exp = unary("exp", "Exponential.")
expm1 = unary("expm1", "Exponential minus one, accurate near zero.")
floor = unary("floor", "The largest integer that is not greater.")
floor_divide = binary("floor_divide", "Quotient rounded down.")
greater = binary("greater", "Whether greater.")
greater_equal = binary("greater_equal", "Whether greater or equal.")
hypot = binary("hypot", "Length of the hypotenuse.")
imag = unary("imag", "Imaginary part.")
isfinite = unary("isfinite", "Whether a number is finite.")
isinf = unary("isinf", "Whether a number is infinite.")
isnan = unary("isnan", "Whether a number is NaN.")
less = binary("less", "Whether less.")
less_equal = binary("less_equal", "Whether less or equal.")
log = unary("log", "Natural logarithm.")
log10 = unary("log10", "Logarithm to base 10.")
log1p = unary("log1p", "Logarithm of one plus the argument, accurate near zero.")
log2 = unary("log2", "Logarithm to base 2.")
logaddexp = binary("logaddexp", "Logarithm of the sum of exponentials.")
logical_and = binary("logical_and", "Logical and.")
logical_not = unary("logical_not", "Logical negation.")
logical_or = binary("logical_or", "Logical or.")
logical_xor = binary("logical_xor", "Logical exclusive or.")
maximum = binary("maximum", "The greater of two.")
minimum = binary("minimum", "The lesser of two.")
multiply = binary("multiply", "Coordinatewise product (`*` of labelled tensors is the tensor product).")
negative = unary("negative", "Minus the argument.")
nextafter = binary("nextafter", "The next number towards the second.")
not_equal = binary("not_equal", "Whether different.")
positive = unary("positive", "The argument itself.")
pow = binary("pow", "Power.")
real = unary("real", "Real part.")
reciprocal = unary("reciprocal", "One over the argument.")
remainder = binary("remainder", "Remainder with the sign of the divisor.")
round = unary("round", "The nearest integer, halves to even.")
sign = unary("sign", "Sign (the direction x/abs(x) of complex numbers).")
signbit = unary("signbit", "Whether the sign bit is set.")
sin = unary("sin", "Sine, of radians.")
sinh = unary("sinh", "Hyperbolic sine.")
sqrt = unary("sqrt", "Principal square root.")
square = unary("square", "The square.")
subtract = binary("subtract", "Difference.")
tan = unary("tan", "Tangent, of radians.")
tanh = unary("tanh", "Hyperbolic tangent.")
trunc = unary("trunc", "The nearest integer towards zero.")


def clip(x: Any, /, min: Any = None, max: Any = None) -> Tensor:
    """Components kept between two bounds, either of which may be missing.

    At a bound the derivative is 1.

    >>> from tensoria import asarray
    >>> clip(asarray([-2., 0.5, 3.]), 0, 1).array
    array([0. , 0.5, 1. ])
    """
    t = tensor_of(x, "clip")
    bounds = [bound for bound in (min, max) if bound is not None]
    if bounds and t._backend.differentiates and all(is_scalar(bound) for bound in bounds):
        if t._axes is not PLAIN:
            require_privileged(t._axes, "clip")
        low, high = (None if bound is None else scalar(t, bound) for bound in (min, max))
        return new(t, t._backend.xp.clip(t._array, low, high), t._axes)
    out = t if min is None else maximum(t, min)
    out = out if max is None else minimum(out, max)
    # At a bound a component is still inside and has the derivative 1, not the half that ties share.
    return where(equal(out, t), t, out) if bounds and t._backend.differentiates and t.dtype.kind == "float" else out


def where(condition: Any, x1: Any, x2: Any, /) -> Tensor:
    """Components of the first where the condition holds, else of the second.

    A condition on plain axes alone selects whole tensors, which every basis allows; one that has indices needs
    privileged bases like every coordinatewise function.

    Raises:
        BasisError: the condition has an index that is not in a privileged basis.
        SpaceError, VarianceError: the indices differ.
    """
    if is_scalar(x1) and is_scalar(x2):
        raise ModeError("where of two numbers; one operand at least is a tensor.", legal="tn.asarray(x)")
    mask, one = same_backend(tensor_of(condition, "where"), tensor_of(x2 if is_scalar(x1) else x1, "where"))
    if mask.dtype.kind != "bool":
        raise DTypeError(f"where chooses by truth values, not by {mask.dtype}.", legal="tn.where(t != 0, a, b)")
    if is_scalar(x1) or is_scalar(x2):
        if (x1 if is_scalar(x1) else x2) != 0:  # zero alone has the same components in every basis
            require_privileged(one._axes, "where with a number")
        other = new(one, scalar(one, x1 if is_scalar(x1) else x2), one._axes)
        # In the full shape, so that it aligns like a tensor.
        zeros = one._backend.xp.zeros_like(one._array, dtype=other._array.dtype)
        other = new(one, one._backend.add(zeros, other._array), one._axes)
        first, second = (other, one) if is_scalar(x1) else (one, other)
    else:
        first, second = same_backend(one, tensor_of(x2, "where"))
        mask = same_backend(first, mask)[1]
    a, b, of = coordinatewise.aligned("add", first, second)
    if mask.is_labelled and of.indices and all(index.basis is None for index in mask._axes.indices):
        m, a, b, of = coordinatewise.masked(mask, new(first, a, of), b)
    else:
        one_side, other_side = new(first, a, of), new(first, b, of)
        m, a, of = coordinatewise.aligned("where", mask, one_side)
        b = coordinatewise.aligned("where", mask, other_side)[1]
    backend = first._backend
    a, b = backend.promoted(a, b)
    try:
        return new(first, backend.xp.where(m, a, b), of)
    except Exception:
        coordinatewise.check_devices((m, a, b), backend, "where")
        for x, y in ((m, a), (m, b), (a, b)):
            coordinatewise.check_broadcast(backend.shape(x), backend.shape(y), "where")
        raise
