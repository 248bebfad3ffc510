"""Products and the extension `linalg`, recorded."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

from tensoria.errors import AxisError
from tensoria.planning import pattern
from tensoria.programs.operations import linear_algebra
from tensoria.programs.recorder import SymbolicArray
from tensoria.programs.standard.manipulation import matrix_transpose, moveaxis
from tensoria.programs.standard.operands import (
    axes_of,
    one,
    position,
    promote,
)
from tensoria.programs.standard.reductions import FUNCTIONS as REDUCTIONS

__all__ = ["FUNCTIONS", "LINALG"]

Array = SymbolicArray
Axis = int | tuple[int, ...] | None


def _matmul(x1: Array, x2: Array, /) -> Array:
    a, b = promote((x1, x2))
    return one(a, "matmul", b)


def _vecdot(x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    a, b = promote((x1, x2))
    if not -min(a.ndim, b.ndim) <= axis < 0:
        raise AxisError(f"vecdot along axis {axis}; it is negative and in both.")
    a, b = (moveaxis(x, axis, -1) for x in (a, b))
    if a.dtype.kind == "complex":
        a = one(a, "conj")
    return one(a, "contract", b, pattern=pattern(((0,), (0,)), (), frozenset((0,))))


def _tensordot(x1: Array, x2: Array, /, *, axes: Any = 2) -> Array:
    a, b = promote((x1, x2))
    if isinstance(axes, int):
        left, right = list(range(a.ndim - axes, a.ndim)), list(range(axes))
    else:
        left, right = ([position(n, x.ndim) for n in of] for n_, (of, x) in enumerate(zip(axes, (a, b), strict=True)))
    first = list(range(a.ndim))
    second = [a.ndim + n for n in range(b.ndim)]
    for m, n in zip(left, right, strict=True):
        second[n] = first[m]
    out = [n for m, n in enumerate(first) if m not in left] + [n for m, n in enumerate(second) if m not in right]
    met = frozenset(first[m] for m in left)
    return one(a, "contract", b, pattern=pattern((tuple(first), tuple(second)), tuple(out), met))


def _outer(x1: Array, x2: Array, /) -> Array:
    a, b = promote((x1, x2))
    return one(a, "contract", b, pattern=pattern(((0,), (1,)), (0, 1), frozenset()))


class EigResult(NamedTuple):
    """What `eig` and `eigh` return."""

    eigenvalues: Array
    eigenvectors: Array


class QRResult(NamedTuple):
    """What `qr` returns."""

    Q: Array
    R: Array


class SVDResult(NamedTuple):
    """What `svd` returns."""

    U: Array
    S: Array
    Vh: Array


class SlogdetResult(NamedTuple):
    """What `slogdet` returns."""

    sign: Array
    logabsdet: Array


NAMED: dict[str, type[Any]] = {
    "linalg.eig": EigResult, "linalg.eigh": EigResult, "linalg.qr": QRResult, "linalg.svd": SVDResult,
    "linalg.slogdet": SlogdetResult,
}  # fmt: skip
"""How results of several values are called."""


def _linalg(name: str, **defaults: Any) -> Callable[..., Any]:
    def function(x: Array, *more: Array, **options: Any) -> Any:
        results = x.recorder.record(name, (x, *more), **{**defaults, **options})
        return NAMED[name](*results) if name in NAMED else results[0]

    return function


def _solve(x1: Array, x2: Array, /) -> Array:
    a, b = promote((x1, x2))
    return one(a, "linalg.solve", b)


def _cross(x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    a, b = promote((x1, x2))
    return one(a, "linalg.cross", b, axis=axis)


def _power(x: Array, n: int, /) -> Array:
    return one(x, "linalg.matrix_power", n=n)


def _vector_norm(x: Array, /, *, axis: Axis = None, keepdims: bool = False, ord: float = 2) -> Array:
    return one(x, "linalg.vector_norm", axes=axes_of(axis, x.ndim), keepdims=keepdims, ord=ord)


def _trace(x: Array, /, *, offset: int = 0, dtype: Any = None) -> Array:
    found: Array = REDUCTIONS["sum"](one(x, "linalg.diagonal", offset=offset), axis=-1, dtype=dtype)
    return found


FUNCTIONS: dict[str, Callable[..., Any]] = {"matmul": _matmul, "vecdot": _vecdot, "tensordot": _tensordot}
"""The functions of this chapter, by name."""
LINALG = SimpleNamespace(**{
    **{name.removeprefix("linalg."): _linalg(name) for name in linear_algebra.ROWS},
    "cholesky": _linalg("linalg.cholesky", upper=False), "pinv": _linalg("linalg.pinv", rtol=None),
    "matrix_rank": _linalg("linalg.matrix_rank", rtol=None), "qr": _linalg("linalg.qr", mode="reduced"),
    "svd": _linalg("linalg.svd", full_matrices=True), "diagonal": _linalg("linalg.diagonal", offset=0),
    "matrix_norm": _linalg("linalg.matrix_norm", keepdims=False, ord="fro"),
    "solve": _solve, "cross": _cross, "matrix_power": _power, "vector_norm": _vector_norm, "outer": _outer,
    "trace": _trace, "matrix_transpose": matrix_transpose, **FUNCTIONS,
})  # fmt: skip
"""The extension `linalg`."""
