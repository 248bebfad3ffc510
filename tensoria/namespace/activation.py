"""Two functions beyond the standard that labelled tensors cannot do without: `relu` and `softmax`."""

from __future__ import annotations

from typing import Any

from tensoria.core import new
from tensoria.errors import AxisError
from tensoria.matching import require_privileged
from tensoria.namespace.dispatch import Axis, axes_of, tensor_of
from tensoria.tensor import Tensor

__all__ = ["relu", "softmax"]


def relu(x: Any, /) -> Tensor:
    """The positive part of every component (neurons are a privileged basis; most spaces have none).

    At 0 its derivative is 0.

    Raises:
        BasisError: an index is not in a privileged basis.
    """
    t = tensor_of(x, "relu")
    require_privileged(t._axes, "relu")
    xp, x = t._backend.xp, t._array
    zeros = xp.zeros_like(x)
    # Not the maximum with zero, whose derivative at zero frameworks give as 1/2 or 1; here it is 0. NaN stays NaN.
    return new(t, xp.where(xp.less_equal(x, zeros), zeros, x), t._axes)


def softmax(x: Any, /, axis: Axis) -> Tensor:
    """Exponentials normalised to sum one over axes (their number or name).

    Raises:
        BasisError: an axis has an index that is not in a privileged basis.

    >>> import tensoria as tn
    >>> softmax(tn.tensor([[0., 0.], [0., 0.]], "q k"), "k").array
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """
    t = tensor_of(x, "softmax")
    found = axes_of(t, axis, "softmax")
    if found is None:
        raise AxisError("softmax is over an axis.", legal='tn.softmax(t, "k")')
    require_privileged(t._axes, "softmax")
    xp = t._backend.xp
    weights = xp.exp(xp.subtract(t._array, xp.max(t._array, axis=found, keepdims=True)))
    return new(t, xp.divide(weights, xp.sum(weights, axis=found, keepdims=True)), t._axes)
