"""Operations on components one by one; the shapes of several operands broadcast."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tensoria.dtypes import DType, bool_, float32, float64, int64
from tensoria.errors import DTypeError, ShapeError
from tensoria.programs.dimensions import Size
from tensoria.programs.operations.row import Operation, same_dtype
from tensoria.programs.types import Shape, Type

__all__ = ["ROWS", "broadcast"]

INEXACT = ("float", "complex")
NUMBERS = ("int", "uint", "float", "complex")
REAL = ("int", "uint", "float")
WHOLE = ("int", "uint")
BITS = ("bool", "int", "uint")
ANY = ("bool", *NUMBERS)


def broadcast(shapes: Sequence[Shape], what: str) -> Shape:
    """The shape that shapes broadcast to; a symbol is taken as a size of its own, never as 1.

    Raises:
        ShapeError: they do not broadcast.
    """
    out: list[Size] = []
    for n in range(1, max(map(len, shapes), default=0) + 1):
        sizes = {shape[-n] for shape in shapes if len(shape) >= n} - {1}
        if len(sizes) > 1:
            raise ShapeError(f"{what}: the shapes {' and '.join(map(str, shapes))} do not broadcast.")
        out.append(next(iter(sizes), 1))
    return tuple(reversed(out))


def _kinds(name: str, types: Sequence[Type], kinds: tuple[str, ...]) -> None:
    for of in types:
        if of.dtype.kind not in kinds:
            raise DTypeError(f"{name} takes {' or '.join(kinds)} components, not {of.dtype}.")


def _same(of: DType) -> DType:
    return of


def _truth(of: DType) -> DType:
    return bool_


def _real(of: DType) -> DType:
    return (float64 if of.itemsize == 16 else float32) if of.kind == "complex" else of


def _row(name: str, count: int, kinds: tuple[str, ...], result: Callable[[DType], DType], meaning: str) -> Operation:
    def infer(*types: Type) -> tuple[Type, ...]:
        same_dtype(name, types)
        _kinds(name, types, kinds)
        return (Type(result(types[0].dtype), broadcast([of.shape for of in types], name)),)

    return Operation(name, ("x",) if count == 1 else ("x1", "x2"), meaning, infer)


def _where(condition: Type, x1: Type, x2: Type) -> tuple[Type, ...]:
    _kinds("where", (condition,), ("bool",))
    same_dtype("where", (x1, x2))
    return (Type(x1.dtype, broadcast((condition.shape, x1.shape, x2.shape), "where")),)


def _astype(x: Type, *, dtype: DType) -> tuple[Type, ...]:
    return (Type(dtype, x.shape),)


def _unchanged(x: Type) -> tuple[Type, ...]:
    return (x,)


ROWS = {
    row.name: row
    for row in (
        # one operand
        _row("abs", 1, NUMBERS, _real, "absolute value"),
        _row("acos", 1, INEXACT, _same, "inverse cosine"),
        _row("acosh", 1, INEXACT, _same, "inverse hyperbolic cosine"),
        _row("asin", 1, INEXACT, _same, "inverse sine"),
        _row("asinh", 1, INEXACT, _same, "inverse hyperbolic sine"),
        _row("atan", 1, INEXACT, _same, "inverse tangent"),
        _row("atanh", 1, INEXACT, _same, "inverse hyperbolic tangent"),
        _row("bitwise_invert", 1, BITS, _same, "every bit inverted"),
        _row("ceil", 1, REAL, _same, "rounded up"),
        _row("conj", 1, NUMBERS, _same, "complex conjugate"),
        _row("cos", 1, INEXACT, _same, "cosine"),
        _row("cosh", 1, INEXACT, _same, "hyperbolic cosine"),
        _row("exp", 1, INEXACT, _same, "exponential"),
        _row("expm1", 1, INEXACT, _same, "exponential minus one, exact near zero"),
        _row("floor", 1, REAL, _same, "rounded down"),
        _row("imag", 1, ("complex",), _real, "imaginary part"),
        _row("isfinite", 1, NUMBERS, _truth, "neither infinite nor NaN"),
        _row("isinf", 1, NUMBERS, _truth, "infinite"),
        _row("isnan", 1, NUMBERS, _truth, "not a number"),
        _row("log", 1, INEXACT, _same, "natural logarithm"),
        _row("log10", 1, INEXACT, _same, "logarithm to base 10"),
        _row("log1p", 1, INEXACT, _same, "logarithm of one plus x, exact near zero"),
        _row("log2", 1, INEXACT, _same, "logarithm to base 2"),
        _row("logical_not", 1, ("bool",), _same, "negation"),
        _row("negative", 1, NUMBERS, _same, "minus x"),
        _row("real", 1, NUMBERS, _real, "real part"),
        _row("reciprocal", 1, INEXACT, _same, "one divided by x"),
        _row("round", 1, NUMBERS, _same, "rounded to the nearest whole number, halves to even ones"),
        _row("sign", 1, NUMBERS, _same, "sign, x / abs(x)"),
        _row("signbit", 1, ("float",), _truth, "whether the sign bit is set"),
        _row("sin", 1, INEXACT, _same, "sine"),
        _row("sinh", 1, INEXACT, _same, "hyperbolic sine"),
        _row("sqrt", 1, INEXACT, _same, "square root"),
        _row("square", 1, NUMBERS, _same, "x times x"),
        _row("tan", 1, INEXACT, _same, "tangent"),
        _row("tanh", 1, INEXACT, _same, "hyperbolic tangent"),
        _row("trunc", 1, REAL, _same, "rounded towards zero"),
        # two operands
        _row("add", 2, NUMBERS, _same, "sum"),
        _row("atan2", 2, ("float",), _same, "angle of the point (x2, x1)"),
        _row("bitwise_and", 2, BITS, _same, "bits set in both"),
        _row("bitwise_left_shift", 2, WHOLE, _same, "bits shifted to the left"),
        _row("bitwise_or", 2, BITS, _same, "bits set in either"),
        _row("bitwise_right_shift", 2, WHOLE, _same, "bits shifted to the right, the sign kept"),
        _row("bitwise_xor", 2, BITS, _same, "bits set in one of both"),
        _row("copysign", 2, ("float",), _same, "the magnitude of x1 with the sign of x2"),
        _row("divide", 2, INEXACT, _same, "quotient"),
        _row("equal", 2, ANY, _truth, "equality"),
        _row("floor_divide", 2, REAL, _same, "quotient rounded down"),
        _row("greater", 2, REAL, _truth, "x1 > x2"),
        _row("greater_equal", 2, REAL, _truth, "x1 >= x2"),
        _row("hypot", 2, ("float",), _same, "square root of the sum of squares"),
        _row("less", 2, REAL, _truth, "x1 < x2"),
        _row("less_equal", 2, REAL, _truth, "x1 <= x2"),
        _row("logaddexp", 2, ("float",), _same, "logarithm of the sum of exponentials"),
        _row("logical_and", 2, ("bool",), _same, "conjunction"),
        _row("logical_or", 2, ("bool",), _same, "disjunction"),
        _row("logical_xor", 2, ("bool",), _same, "exclusive disjunction"),
        _row("maximum", 2, REAL, _same, "the larger one; NaN if either is"),
        _row("minimum", 2, REAL, _same, "the smaller one; NaN if either is"),
        _row("multiply", 2, NUMBERS, _same, "product"),
        _row("nextafter", 2, ("float",), _same, "the next number after x1 towards x2"),
        _row("not_equal", 2, ANY, _truth, "inequality"),
        _row("pow", 2, NUMBERS, _same, "power"),
        _row("remainder", 2, REAL, _same, "remainder with the sign of the divisor"),
        _row("subtract", 2, NUMBERS, _same, "difference"),
        # others
        Operation("where", ("condition", "x1", "x2"), "x1 where the condition holds, else x2", _where),
        Operation("astype", ("x",), "the same numbers in another data type", _astype, ("dtype",)),
        Operation("stop_gradient", ("x",), "x, of which nothing is differentiated", _unchanged),
    )
}
"""The operations of this chapter, by name."""
POSITIONS = int64
"""The data type of positions and counts."""
