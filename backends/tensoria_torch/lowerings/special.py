"""ATen's special functions, computed in float64 as torch's own kernels have them to the last digits of float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensoria.dtypes import float64
from tensoria.programs.definitions import special
from tensoria.programs.recorder import SymbolicArray
from tensoria.programs.standard import cast
from tensoria_torch.lowerings.call import Call, Lowering, one, xp

__all__ = ["LOWERINGS"]

Array = SymbolicArray


def _of(function: Callable[[Any, Array], Array]) -> Lowering:
    return lambda call, x: cast(function(xp, cast(x, float64)), call.dtype)


def _erf(x: Array) -> Array:
    return one(x, "erf")


def _inverse(function: Callable[[Any, Any, Array], Array]) -> Lowering:
    return lambda call, x: cast(function(xp, _erf, cast(x, float64)), call.dtype)


def _polygamma(call: Call, order: int, x: Array) -> Array:
    return _of(special.digamma if order == 0 else lambda xp, x: special.polygamma(xp, order, x))(call, x)


LOWERINGS: dict[str, Lowering] = {
    "lgamma.default": _of(special.lgamma), "digamma.default": _of(special.digamma), "polygamma.default": _polygamma,
    "erfinv.default": _inverse(special.erfinv), "special_ndtri.default": _inverse(special.ndtri),
    "i0.default": _of(special.i0), "special_i0e.default": _of(special.i0e), "special_i1.default": _of(special.i1),
    "special_i1e.default": _of(special.i1e),
    "nextafter.default": lambda call, a, b: one(call.array(a, call.dtype), "nextafter", call.array(b, call.dtype)),
}  # fmt: skip
"""The lowerings of this chapter, by the operator's overload."""
