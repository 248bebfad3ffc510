"""TensorFlow's special functions, computed in float64."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensoria.errors import PortingError
from tensoria.programs.special import FUNCTIONS, polygamma, recorded
from tensoria_tensorflow.lowerings.call import Array, Call, Lowering, xp

__all__ = ["HOST", "LOWERINGS"]

NAMES = {
    "Lgamma": "lgamma", "Digamma": "digamma", "Erfinv": "erfinv", "Ndtri": "ndtri", "BesselI0": "i0",
    "BesselI0e": "i0e", "BesselI1": "i1", "BesselI1e": "i1e",
}  # fmt: skip


def _of(name: str) -> Lowering:
    return lambda call, x: recorded(FUNCTIONS[name], x, call.dtype)


def _polygamma(call: Call, orders: Any, x: Array) -> Array:
    order, *others = np.unique(np.asarray(orders)).tolist()
    if others or order != int(order) or order < 0:
        raise PortingError(f"polygamma of the orders {[order, *others]} is not ported.", legal="one whole number")
    found = polygamma(int(order), x, call.dtype)
    return xp.broadcast_to(found, np.broadcast_shapes(np.shape(orders), found.shape)) if np.ndim(orders) else found


LOWERINGS: dict[str, Lowering] = {**{theirs: _of(name) for theirs, name in NAMES.items()}, "Polygamma": _polygamma}
"""The lowerings of this chapter, by the operation's name."""
HOST: dict[str, tuple[int, ...]] = {"Polygamma": (0,)}
"""Which of its operands have to be known before anything runs."""
