"""Indexing functions: gathering along an axis."""

from __future__ import annotations

from typing import Any

from tensoria import coordinatewise
from tensoria.core import new
from tensoria.dtypes import int64
from tensoria.errors import AxisError, PositionError
from tensoria.indices import plain as plain_index
from tensoria.literals import check_literal
from tensoria.namespace.dispatch import Axis, axes_of, plain, tensor_of, unwrap
from tensoria.namespace.refusals import check_positions
from tensoria.tensor import Tensor

__all__ = [
    "take",
    "take_along_axis",
]

take_along_axis = plain("take_along_axis", "Components at positions along an axis, one for each place.")


def take(x: Any, indices: Any, /, *, axis: Axis = None) -> Tensor:
    """Components at given positions along an axis.

    Args:
        x: a tensor.
        indices: a 1-D plain tensor of integers.
        axis: number or name; what remains of an indexed axis is a plain axis of that name.

    Raises:
        PositionError: a position is out of range, or no integer.
        BasisError: the axis has an index that is not in a privileged basis.
    """
    t = tensor_of(x, "take")
    if axis is None and (t.is_labelled or t.ndim != 1):
        raise AxisError(
            "take needs an axis, unless the tensor is plain and has one only.", legal='tn.take(t, n, axis="b")'
        )
    found = axes_of(t, 0 if axis is None else axis, "take")
    assert found is not None
    positions = unwrap(indices, "take", t._backend)
    if isinstance(positions, (list, tuple)):
        check_literal(positions, int64, t._backend.tracing)
        positions = t._backend.asarray(positions, int64, t.device, None)
    if t._backend.dtype(positions).kind not in ("int", "uint"):
        raise PositionError(f"take: positions are integers, not {t._backend.dtype(positions)}.")
    if len(positions.shape) != 1:
        raise AxisError(
            f"positions are a 1-D tensor, and these have {len(positions.shape)} axes.", legal="t[..., 1] cuts"
        )
    try:
        native = t._backend.xp.take(t._array, positions, axis=found[0])
    except Exception:
        coordinatewise.check_devices((t._array, positions), t._backend, "take")
        check_positions("take", t._backend, positions, t._backend.shape(t._array)[found[0]])
        raise
    at = found[0] - t.lead
    left = tuple(plain_index(i.name) if n == at else i for n, i in enumerate(t._axes.indices))
    return new(t, native, left)
