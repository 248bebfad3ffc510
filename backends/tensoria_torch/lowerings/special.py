"""ATen's special functions, computed in float64 as torch's own kernels have them to the last digits of float32."""

from __future__ import annotations

from tensoria.programs.special import FUNCTIONS, polygamma, recorded
from tensoria_torch.lowerings.call import Lowering, one

__all__ = ["LOWERINGS"]


def _of(name: str) -> Lowering:
    return lambda call, x: recorded(FUNCTIONS[name], x, call.dtype)


LOWERINGS: dict[str, Lowering] = {
    **{f"{name}.default": _of(name) for name in ("lgamma", "digamma", "erfinv", "i0")},
    **{f"special_{name}.default": _of(name) for name in ("ndtri", "i0e", "i1", "i1e")},
    "polygamma.default": lambda call, order, x: polygamma(order, x, call.dtype),
    "nextafter.default": lambda call, a, b: one(call.array(a, call.dtype), "nextafter", call.array(b, call.dtype)),
}
"""The lowerings of this chapter, by the operator's overload."""
