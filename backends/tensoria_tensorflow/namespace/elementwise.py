"""Elementwise functions: one row per function, read by two makers.

A row names the function, the kernel, the types that it is defined for, and the exceptions: kinds of types for which
TensorFlow has no kernel or has another idea. `unary` and `binary` turn a row into a function that promotes its
operands and picks the route for their type. Two tensors of one type that the kernel itself handles go straight to it.
What needs more than a kernel is written out below the makers, and the rows come last.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, TypeVar

import tensorflow as tf

from tensoria import special_values

from ..kernels import EagerTensor, cast, raw, read, scalar, select
from . import edges
from .data_types import COMPONENT, DEFAULTS, HALVES, KINDS, Scalar, check, common, result_type
from .derivatives import directions
from .shapes import MAX_RANK, aligned, broadcast_shapes, static

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
]

Array = Any
Route = Callable[..., Array]
Unary = Callable[[Array], Array]
Binary = Callable[[Any, Any], Array]
F = TypeVar("F", bound=Callable[..., Array])

# Kernels raise these where `namespace` raises ValueError or takes another way.
_REFUSALS = (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError, tf.errors.NotFoundError)


def _routes(kind: str, kernel: Route | None, exceptions: dict[str, Route]) -> dict[tf.DType, Route]:
    """The route for each type of `kind`; the last exception that names a type wins."""
    out = {dtype: kernel for dtype in KINDS[kind] if kernel is not None}
    for name, route in exceptions.items():
        out.update(dict.fromkeys(KINDS[name] & KINDS[kind], route))
    return out


def _named(function: F, name: str, doc: str) -> F:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


def unary(name: str, kind: str, kernel: Route | None, doc: str, exceptions: dict[str, Route] | None = None) -> Unary:
    """The function of one array described by a row."""
    routes = _routes(kind, kernel, exceptions or {})

    def function(x: Array, /) -> Array:
        x = read(x)
        route = routes.get(x.dtype)
        if route is None:
            check(name, kind, x.dtype)
        if x.shape.rank > MAX_RANK:
            return aligned(lambda x: route(x=x), x)  # type: ignore[misc]
        return route(x=x)  # type: ignore[misc]

    return _named(function, name, doc)


def binary(name: str, kind: str, kernel: Route | None, doc: str, exceptions: dict[str, Route] | None = None) -> Binary:
    """The function of two arrays, or of an array and a Python scalar, described by a row."""
    routes = _routes(kind, kernel, exceptions or {})
    direct = frozenset(dtype for dtype, route in routes.items() if route is kernel and _is_raw(kernel))

    def function(x1: Any, x2: Any, /) -> Array:
        if (
            x1.dtype in direct and (x2.dtype is x1.dtype if type(x2) is EagerTensor else _simple(x2, x1.dtype))
            if type(x1) is EagerTensor
            else type(x2) is EagerTensor and x2.dtype in direct and _simple(x1, x2.dtype)
        ):
            try:
                return kernel(x=x1, y=x2)  # type: ignore[misc]
            except _REFUSALS:
                pass  # a rank above eight, or shapes that do not broadcast: found out below
        return apply(name, kind, routes, x1, x2)

    return _named(function, name, doc)


def _is_raw(kernel: Route | None) -> bool:
    """Whether a route is one of TensorFlow's own kernels, not a function of this file."""
    return kernel is not None and kernel.__module__.startswith("tensorflow.")


def _simple(scalar: Any, dtype: tf.DType) -> bool:
    """Whether the kernel itself converts this Python scalar to `dtype` as `constant` would."""
    if type(scalar) is float:
        return scalar != 0 and (dtype is tf.float32 or dtype is tf.float64)
    return type(scalar) is int and -(2**31) <= scalar < 2**31 and dtype in _SIMPLE


_SIMPLE = frozenset({tf.int32, tf.int64, tf.float32, tf.float64})


def apply(name: str, kind: str, routes: dict[tf.DType, Route], x1: Any, x2: Any) -> Array:
    x, y = common(name, kind, x1, x2)
    broadcast_shapes(static(x), static(y))  # type: ignore[arg-type]
    route = routes[x.dtype]
    return aligned(lambda x, y: route(x=x, y=y), x, y)


def _like(x: Array, value: Any) -> Array:
    return scalar(value, x.dtype)


def _same(x: Array) -> Array:
    return x


def _within(dtype: tf.DType, kernel: Route) -> Route:
    """`kernel` for types that lack it, by way of `dtype`; integers wrap around on the way back, as they should."""

    def route(**operands: Array) -> Array:
        have = next(iter(operands.values())).dtype
        return cast(kernel(**{name: cast(x, dtype) for name, x in operands.items()}), have)

    return route


# --- one array ---------------------------------------------------------------------------------------------------


# What `special_values` needs; it is called with tensors of one type only.
_CORRECTING = SimpleNamespace(
    real=lambda x: _real(x), imag=lambda x: _imag(x), where=select,
    full_like=lambda x, value: tf.fill(tf.shape(x), _like(x, value)),
    zeros_like=lambda x: raw.ZerosLike(x=x), exp=lambda x: raw.Exp(x=x), expm1=lambda x: raw.Expm1(x=x),
    sin=lambda x: raw.Sin(x=x), cos=lambda x: raw.Cos(x=x), log=lambda x: raw.Log(x=x), log1p=lambda x: raw.Log1p(x=x),
    abs=lambda x: raw.Abs(x=x), hypot=lambda x, y: _hypot(x, y), atan2=lambda y, x: raw.Atan2(y=y, x=x),
    isinf=lambda x: raw.IsInf(x=x), isfinite=lambda x: raw.IsFinite(x=x), logical_not=lambda x: raw.LogicalNot(x=x),
    logical_and=lambda x, y: _and(x, y), logical_or=lambda x, y: _or(x, y), copysign=lambda x, y: _copysign(x, y),
)  # fmt: skip


def _log_complex(x: Array) -> Array:
    """The vectorised kernel makes NaN of some finite numbers, large and small: those are taken apart."""
    native, a, b = raw.Log(x=x), _real(x), _imag(x)
    lost = _and(_and(raw.IsFinite(x=a), raw.IsFinite(x=b)), _or(raw.IsNan(x=_real(native)), raw.IsNan(x=_imag(native))))
    return select(lost, _complex(raw.Log(x=_hypot(a, b)), raw.Atan2(y=b, x=a)), native)


def _expm1_complex(x: Array) -> Array:
    return special_values.expm1(_CORRECTING, _complex, x)


def _log1p_complex(x: Array) -> Array:
    return special_values.log1p(_CORRECTING, _complex, x)


def _tanh_complex(x: Array) -> Array:
    return special_values.tanh(_CORRECTING, _complex, x, raw.Tanh(x=x))


def _absolute_complex(x: Array) -> Array:
    return raw.ComplexAbs(x=x, Tout=COMPONENT[x.dtype])


def _real(x: Array) -> Array:
    return raw.Real(input=x, Tout=COMPONENT[x.dtype])


def _imag(x: Array) -> Array:
    return raw.Imag(input=x, Tout=COMPONENT[x.dtype])


def _conj(x: Array) -> Array:
    return raw.Conj(input=x)


def _complex(re: Array, im: Array) -> Array:
    return raw.Complex(real=re, imag=im, Tout=tf.complex128 if re.dtype is tf.float64 else tf.complex64)


def _on_parts(kernel: Route, join: Callable[[Array, Array], Array]) -> Route:
    return lambda x: join(kernel(x=_real(x)), kernel(x=_imag(x)))


def _or(x: Array, y: Array) -> Array:
    return raw.LogicalOr(x=x, y=y)


def _and(x: Array, y: Array) -> Array:
    return raw.LogicalAnd(x=x, y=y)


def _trunc(x: Array) -> Array:
    return select(raw.Less(x=x, y=_like(x, 0)), raw.Ceil(x=x), raw.Floor(x=x))


def _always(value: bool) -> Route:
    return lambda x: tf.fill(tf.shape(x), tf.constant(value))


def _logarithm(base: float) -> Route:
    def scaled(x: Array) -> Array:
        return raw.Mul(x=x, y=_like(x, 1 / math.log(base)))

    def route(x: Array) -> Array:
        if x.dtype not in COMPONENT:
            return scaled(raw.Log(x=x))
        whole = _log_complex(x)  # by parts, because an infinite number times a complex one has a NaN in it
        return _complex(scaled(_real(whole)), scaled(_imag(whole)))

    return route


_BITS = {tf.float16: tf.int16, tf.bfloat16: tf.int16, tf.float32: tf.int32, tf.float64: tf.int64}


def bits(x: Array) -> Array:
    """The bit pattern of a floating-point tensor as a signed integer."""
    return raw.Bitcast(input=x, type=_BITS[x.dtype])


def _signbit(x: Array) -> Array:
    pattern = bits(x)
    return raw.Less(x=pattern, y=_like(pattern, 0))


# --- two arrays --------------------------------------------------------------------------------------------------


def _divide_integers(x: Array, y: Array) -> Array:
    real = DEFAULTS["real floating"]
    return raw.RealDiv(x=cast(x, real), y=cast(y, real))


def _by_zero_is_zero(kernel: Route) -> Route:
    """Integer division where the divisor zero gives zero, as NumPy has it.

    The CPU kernel raises, the GPU kernel returns -1 or the dividend (tensorflow#57935, #79162).
    """

    def route(x: Array, y: Array) -> Array:
        known = tf.get_static_value(y) if y.shape.rank == 0 else None
        if known is not None and known != 0:
            return kernel(x=x, y=y)
        zero = _like(y, 0)
        at_zero = raw.Equal(x=y, y=zero)
        return select(at_zero, zero, kernel(x=x, y=select(at_zero, _like(y, 1), y)))

    return route


def _remainder_real(x: Array, y: Array) -> Array:
    """x - floor(x/y) y with the sign of y also where it is zero, which FloorMod forgets."""
    if type(x) is EagerTensor and x.dtype not in HALVES:
        # Adding 0.0 turns -0.0 into 0.0 and leaves the gradient alone. Traced, the graph optimiser would remove it.
        towards = select(_signbit(y), _like(y, -1), _like(y, 1))
        out = raw.Mul(x=raw.FloorMod(x=x, y=y), y=towards)
        return raw.Mul(x=raw.AddV2(x=out, y=_like(x, 0)), y=towards)
    return _remainder_traced(x, y)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _remainder_traced(x: Array, y: Array) -> Any:
    if x.dtype in HALVES:
        wide = raw.FloorMod(x=cast(x, tf.float32), y=cast(y, tf.float32))
        out = cast(wide, x.dtype)
    else:
        out = raw.FloorMod(x=x, y=y)
    signed_zero = select(_signbit(y), _like(x, -0.0), _like(x, 0))
    out = select(raw.Equal(x=out, y=_like(x, 0)), raw.Mul(x=signed_zero, y=raw.OnesLike(x=out)), out)

    def gradient(up: Array) -> tuple[Array, Array]:
        shape_x, shape_y = tf.shape(x), tf.shape(y)
        over_x, over_y = raw.BroadcastGradientArgs(s0=shape_x, s1=shape_y)
        to_y = raw.Mul(x=raw.Neg(x=up), y=raw.Floor(x=raw.RealDiv(x=x, y=y)))
        to_x = tf.reshape(tf.reduce_sum(up, over_x), shape_x)
        return to_x, tf.reshape(tf.reduce_sum(to_y, over_y), shape_y)

    return out, gradient


def _floor_divide_real(x: Array, y: Array) -> Array:
    """Python's floor division: the integer q with x = q y + remainder, so that 1 // 0.1 is 9 and not floor(10.0)."""
    if x.dtype in HALVES:
        return cast(_floor_divide_real(cast(x, tf.float32), cast(y, tf.float32)), x.dtype)
    x, y = tf.stop_gradient(x), tf.stop_gradient(y)  # a step function
    zero, one, half = _like(x, 0), _like(x, 1), _like(x, 0.5)
    ratio = raw.RealDiv(x=x, y=y)
    rest = raw.TruncateMod(x=x, y=y)
    quotient = raw.RealDiv(x=raw.Sub(x=x, y=rest), y=y)
    other_side = _and(raw.NotEqual(x=rest, y=zero), raw.NotEqual(x=raw.Less(x=y, y=zero), y=raw.Less(x=rest, y=zero)))
    quotient = select(other_side, raw.Sub(x=quotient, y=one), quotient)
    down = raw.Floor(x=quotient)
    down = select(raw.Greater(x=raw.Sub(x=quotient, y=down), y=half), raw.AddV2(x=down, y=one), down)
    signed_zero = select(_signbit(ratio), _like(x, -0.0), zero)
    down = select(raw.Equal(x=quotient, y=zero), signed_zero, down)
    infinite = _or(raw.IsInf(x=x), raw.IsInf(x=y))
    return select(raw.Equal(x=y, y=zero), ratio, select(infinite, raw.Floor(x=ratio), down))


def _hypot(x: Array, y: Array) -> Array:
    if x.dtype in HALVES:
        return cast(_hypot(cast(x, tf.float32), cast(y, tf.float32)), x.dtype)
    return _absolute_complex(_complex(*_spread_both(x, y)))


def _spread_both(x: Array, y: Array) -> tuple[Array, Array]:
    if static(x) == static(y) and None not in static(x):
        return x, y
    shape = raw.BroadcastArgs(s0=tf.shape(x), s1=tf.shape(y))  # Complex broadcasts, its gradient does not
    return raw.BroadcastTo(input=x, shape=shape), raw.BroadcastTo(input=y, shape=shape)


def _copysign(x: Array, y: Array) -> Array:
    return select(raw.Equal(x=_signbit(x), y=_signbit(y)), x, raw.Neg(x=x))


def _nextafter(x: Array, y: Array) -> Array:
    return _nextafter_half(x, y) if x.dtype in HALVES else raw.NextAfter(x1=x, x2=y)


def _nextafter_half(x: Array, y: Array) -> Array:
    """NextAfter has no 16-bit kernels: step along the bit patterns, which are ordered like the numbers' magnitudes."""
    zero = _like(x, 0)
    pattern = bits(x)
    away = raw.Equal(x=raw.Greater(x=y, y=x), y=raw.Greater(x=x, y=zero))
    stepped = raw.AddV2(x=pattern, y=select(away, _like(pattern, 1), _like(pattern, -1)))
    least = select(_signbit(y), _like(pattern, -(2**15) + 1), _like(pattern, 1))
    stepped = select(raw.Equal(x=x, y=zero), least, stepped)
    out = select(raw.Equal(x=x, y=y), y, raw.Bitcast(input=stepped, type=x.dtype))
    unordered = _or(raw.IsNan(x=x), raw.IsNan(x=y))
    return select(unordered, raw.AddV2(x=x, y=y), out)


def _logaddexp(x: Array, y: Array) -> Array:
    # Equal operands apart: their difference is zero, or NaN if they are infinite.
    same = raw.Equal(x=x, y=y)
    gap = select(same, _like(x, 0), raw.Abs(x=raw.Sub(x=x, y=y)))
    apart = raw.AddV2(x=raw.Maximum(x=x, y=y), y=raw.Log1p(x=raw.Exp(x=raw.Neg(x=gap))))
    half = _like(x, 0.5)
    middle = raw.AddV2(x=raw.Mul(x=x, y=half), y=raw.Mul(x=y, y=half))
    return select(same, raw.AddV2(x=middle, y=_like(x, math.log(2))), apart)


def _in_width(y: Array, width: int) -> Array:
    enough = raw.Less(x=y, y=_like(y, width))
    return enough if y.dtype.is_unsigned else _and(enough, raw.GreaterEqual(x=y, y=_like(y, 0)))


def _shift(kernel: Route) -> Route:
    """Shifts by the width or more push every bit out; the kernels clamp the count to width - 1 instead."""

    def route(x: Array, y: Array) -> Array:
        width = x.dtype.size * 8
        if kernel is raw.RightShift and not x.dtype.is_unsigned:
            last = _like(y, width - 1)  # which leaves the sign
            return kernel(x=x, y=select(_in_width(y, width), y, last))
        inside = _in_width(y, width)
        return select(inside, kernel(x=x, y=select(inside, y, _like(y, 0))), _like(x, 0))

    return route


def clip(x: Array, /, min: Any = None, max: Any = None) -> Array:
    """`x` limited to the interval from `min` to `max` (arrays or scalars that broadcast with it; None: no limit).

    Scalar limits outside the range of an integer type limit nothing. The result has the type of `x`.
    """
    # At a limit the number is still inside, and has the derivative 1: the kernels give it to their first operand.
    x = read(x)
    check("clip", "real", x.dtype)
    for limit, kernel in ((min, _at_least), (max, _at_most)):
        if limit is None:
            continue
        if isinstance(limit, Scalar) and x.dtype in KINDS["integral"] and isinstance(limit, int):
            limit = sorted((int(x.dtype.min), limit, int(x.dtype.max)))[1]
        elif not isinstance(limit, Scalar):
            limit = read(limit)
            if result_type(x, limit) is not x.dtype:
                raise TypeError(f"clip: a limit of type {limit.dtype.name} does not fit {x.dtype.name}")
        x = kernel(x, limit)
    return x


# --- the rows ----------------------------------------------------------------------------------------------------

_IDENTITY = {"integral": _same}

abs = unary(
    "abs", "numeric", raw.Abs, "Absolute value.", {"unsigned integer": _same, "complex floating": _absolute_complex}
)
negative = unary(
    "negative", "numeric", raw.Neg, "The number with the other sign; unsigned integers wrap around.",
    # Not 0 - x, which the optimiser of graphs turns into Neg, for which short unsigned integers have no kernel.
    {"unsigned integer": lambda x: raw.AddV2(x=raw.Invert(x=x), y=_like(x, 1))},
)  # fmt: skip
positive = unary("positive", "numeric", _same, "The number itself.")
sign = unary(
    "sign", "numeric", raw.Sign, "-1, 0 or 1; for a complex number z / |z|.",
    {"unsigned integer": lambda x: cast(raw.NotEqual(x=x, y=_like(x, 0)), x.dtype),
     "complex floating": lambda x: directions(x)},
)  # fmt: skip
square = unary("square", "numeric", raw.Square, "The number times itself.")
reciprocal = unary("reciprocal", "floating", raw.Reciprocal, "One over the number.")
sqrt = unary("sqrt", "floating", raw.Sqrt, "Principal square root.")
exp = unary("exp", "floating", raw.Exp, "e to the power of the number.")
expm1 = unary("expm1", "floating", raw.Expm1, "exp(x) - 1, exact near zero.", {"complex floating": _expm1_complex})
log = unary("log", "floating", raw.Log, "Natural logarithm.", {"complex floating": _log_complex})
log1p = unary("log1p", "floating", raw.Log1p, "log(1 + x), exact near zero.", {"complex floating": _log1p_complex})
log2 = unary("log2", "floating", _logarithm(2), "Logarithm to the base two.")
log10 = unary("log10", "floating", _logarithm(10), "Logarithm to the base ten.")
sin = unary("sin", "floating", raw.Sin, "Sine.")
cos = unary("cos", "floating", raw.Cos, "Cosine.")
tan = unary("tan", "floating", raw.Tan, "Tangent.")
asin = unary("asin", "floating", raw.Asin, "Inverse sine.")
acos = unary("acos", "floating", raw.Acos, "Inverse cosine.")
atan = unary("atan", "floating", raw.Atan, "Inverse tangent.")
sinh = unary("sinh", "floating", raw.Sinh, "Hyperbolic sine.")
cosh = unary("cosh", "floating", raw.Cosh, "Hyperbolic cosine.")
tanh = unary("tanh", "floating", raw.Tanh, "Hyperbolic tangent.", {"complex floating": _tanh_complex})
asinh = unary("asinh", "floating", raw.Asinh, "Inverse hyperbolic sine.")
acosh = unary("acosh", "floating", raw.Acosh, "Inverse hyperbolic cosine.")
atanh = unary("atanh", "floating", raw.Atanh, "Inverse hyperbolic tangent.")
floor = unary("floor", "real", raw.Floor, "The greatest integer not above.", _IDENTITY)
ceil = unary("ceil", "real", raw.Ceil, "The least integer not below.", _IDENTITY)
trunc = unary("trunc", "real", _trunc, "The nearest integer towards zero.", _IDENTITY)
round = unary(
    "round", "numeric", raw.Round, "The nearest integer, halves to the even one.",
    {**_IDENTITY, "complex floating": _on_parts(raw.Round, _complex)},
)  # fmt: skip
isnan = unary(
    "isnan", "numeric", raw.IsNan, "Whether the number is NaN.",
    {"integral": _always(False), "complex floating": _on_parts(raw.IsNan, _or)},
)  # fmt: skip
isinf = unary(
    "isinf", "numeric", raw.IsInf, "Whether the number is infinite.",
    {"integral": _always(False), "complex floating": _on_parts(raw.IsInf, _or)},
)  # fmt: skip
isfinite = unary(
    "isfinite", "numeric", raw.IsFinite, "Whether the number is neither infinite nor NaN.",
    {"integral": _always(True), "complex floating": _on_parts(raw.IsFinite, _and)},
)  # fmt: skip
signbit = unary("signbit", "real floating", _signbit, "Whether the sign bit is set, also of -0.0 and NaN.")
conj = unary("conj", "numeric", _same, "Complex conjugate.", {"complex floating": _conj})
real = unary("real", "numeric", _same, "Real part.", {"complex floating": _real})
imag = unary("imag", "numeric", lambda x: raw.ZerosLike(x=x), "Imaginary part.", {"complex floating": _imag})
bitwise_invert = unary(
    "bitwise_invert", "bool or integral", raw.Invert, "Every bit inverted.", {"bool": raw.LogicalNot}
)
logical_not = unary("logical_not", "bool", raw.LogicalNot, "Not x.")

add = binary("add", "numeric", raw.AddV2, "Sum.")
subtract = binary("subtract", "numeric", raw.Sub, "Difference.")
multiply = binary("multiply", "numeric", raw.Mul, "Product.")
def _divide_complex(x: Array, y: Array) -> Array:
    """TensorFlow's quotients by zero and by infinity are NaN."""
    native = raw.RealDiv(x=x, y=y)
    x, y = tf.stop_gradient(x), tf.stop_gradient(y)
    native = special_values.divide_by_infinity(_CORRECTING, _complex, x, y, native)
    return special_values.divide(_CORRECTING, _complex, x, y, native)


def _power_complex(x: Array, y: Array) -> Array:
    """TensorFlow's zero to the power of zero is NaN."""
    native = raw.Pow(x=x, y=y)
    return special_values.power(_CORRECTING, _complex, tf.stop_gradient(x), tf.stop_gradient(y), native)


divide = binary(
    "divide", "numeric", raw.RealDiv, "Quotient; of integers in the default real type.",
    {"integral": _divide_integers, "complex floating": _divide_complex},
)
floor_divide = binary(
    "floor_divide", "real", _floor_divide_real, "Quotient rounded down; integers divided by zero give zero.",
    {"integral": _by_zero_is_zero(raw.FloorDiv)},
)  # fmt: skip
remainder = binary(
    "remainder", "real", lambda x, y: _remainder_real(x, y), "x1 - floor(x1 / x2) x2, with the sign of x2.",
    {"integral": _by_zero_is_zero(raw.FloorMod)},
)  # fmt: skip
pow = binary(
    "pow", "numeric", raw.Pow, "x1 to the power of x2.",
    {"unsigned integer": _within(tf.int64, raw.Pow), "complex floating": _power_complex},
)  # fmt: skip
atan2 = binary(
    "atan2", "real floating", lambda x, y: raw.Atan2(y=x, x=y), "The angle whose tangent is x1 / x2, in its quadrant."
)
hypot = binary("hypot", "real floating", _hypot, "sqrt(x1**2 + x2**2) without overflow.")
copysign = binary("copysign", "real floating", _copysign, "The magnitude of x1 with the sign of x2.")
nextafter = binary("nextafter", "real floating", _nextafter, "The number next to x1 in the direction of x2.")
logaddexp = binary("logaddexp", "real floating", _logaddexp, "log(exp(x1) + exp(x2)).")
_at_least = binary("clip", "real", raw.Maximum, "The greater of the two.")
_at_most = binary("clip", "real", raw.Minimum, "The lesser of the two.")
maximum = binary("maximum", "real", edges.maximum, "The greater of the two; NaN if either is NaN.")
minimum = binary("minimum", "real", edges.minimum, "The lesser of the two; NaN if either is NaN.")
equal = binary("equal", "any", raw.Equal, "x1 == x2.")
not_equal = binary("not_equal", "any", raw.NotEqual, "x1 != x2.")
less = binary("less", "real", raw.Less, "x1 < x2.")
less_equal = binary("less_equal", "real", raw.LessEqual, "x1 <= x2.")
greater = binary("greater", "real", raw.Greater, "x1 > x2.")
greater_equal = binary("greater_equal", "real", raw.GreaterEqual, "x1 >= x2.")
bitwise_and = binary("bitwise_and", "bool or integral", raw.BitwiseAnd, "Bits set in both.", {"bool": raw.LogicalAnd})
bitwise_or = binary("bitwise_or", "bool or integral", raw.BitwiseOr, "Bits set in either.", {"bool": raw.LogicalOr})
bitwise_xor = binary(
    "bitwise_xor", "bool or integral", raw.BitwiseXor, "Bits set in exactly one.", {"bool": raw.NotEqual}
)
bitwise_left_shift = binary("bitwise_left_shift", "integral", _shift(raw.LeftShift), "x1 shifted left by x2 bits.")
bitwise_right_shift = binary(
    "bitwise_right_shift", "integral", _shift(raw.RightShift), "x1 shifted right by x2 bits, the sign kept."
)
logical_and = binary("logical_and", "bool", raw.LogicalAnd, "x1 and x2.")
logical_or = binary("logical_or", "bool", raw.LogicalOr, "x1 or x2.")
logical_xor = binary("logical_xor", "bool", raw.NotEqual, "Exactly one of x1 and x2.")
