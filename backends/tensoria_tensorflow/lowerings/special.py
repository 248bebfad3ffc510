"""TensorFlow's special functions, computed in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tensoria.dtypes import float64
from tensoria.errors import PortingError
from tensoria.programs.definitions import special
from tensoria.programs.standard import cast
from tensoria_tensorflow.lowerings.call import Array, Call, Lowering, one, xp

__all__ = ["HOST", "LOWERINGS"]


def _of(function: Callable[[Any, Array], Array]) -> Lowering:
    return lambda call, x: cast(function(xp, cast(x, float64)), call.dtype)


def _erf(x: Array) -> Array:
    return one(x, "erf")


def _inverse(function: Callable[[Any, Any, Array], Array]) -> Lowering:
    return lambda call, x: cast(function(xp, _erf, cast(x, float64)), call.dtype)


def _polygamma(call: Call, orders: Any, x: Array) -> Array:
    order, *others = np.unique(np.asarray(orders)).tolist()
    if others or order != int(order) or order < 0:
        raise PortingError(f"polygamma of the orders {[order, *others]} is not ported.", legal="one whole number")
    found = _of(special.digamma if order == 0 else lambda xp, x: special.polygamma(xp, int(order), x))(call, x)
    return xp.broadcast_to(found, np.broadcast_shapes(np.shape(orders), found.shape)) if np.ndim(orders) else found


LOWERINGS: dict[str, Lowering] = {
    "Lgamma": _of(special.lgamma), "Digamma": _of(special.digamma), "Polygamma": _polygamma,
    "Erfinv": _inverse(special.erfinv), "Ndtri": _inverse(special.ndtri), "BesselI0": _of(special.i0),
    "BesselI0e": _of(special.i0e), "BesselI1": _of(special.i1), "BesselI1e": _of(special.i1e),
}  # fmt: skip
"""The lowerings of this chapter, by the operation's name."""
HOST: dict[str, tuple[int, ...]] = {"Polygamma": (0,)}
"""Which of its operands have to be known before anything runs."""
