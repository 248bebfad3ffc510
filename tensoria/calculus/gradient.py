"""The gradient of a scalar function, which has the opposite variance of what it is taken by.

df/dx^i has a down index: it is a covector, and `x - lr * grad` is an error where `x - lr * grad.raised()` is (natural)
gradient descent. For complex tensors the convention is JAX's: grad f = d(Re f)/dx - i d(Re f)/dy, which is f'(z) for a
holomorphic f and 2 df/dz for a real one. The frameworks differentiate; on NumPy, which can not, the function runs on
an installed backend that does (`engine` names it, and the result's attribute of that name), and values and gradients
come back as NumPy arrays; NumPy tensors that such a function closes over are constants there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensoria.backend import Array, Backend
from tensoria.calculus.lifting import IMAGINARY, Lifted, Results, require_floating
from tensoria.core import BaseTensor
from tensoria.errors import DTypeError, ModeError, ShapeError

__all__ = ["grad", "holomorphic", "value_and_grad"]

Argnums = int | Sequence[int]


def grad(function: Callable[..., Any], argnums: Argnums = 0, *, has_aux: bool = False) -> Callable[..., Any]:
    """The function that computes the gradient of a scalar function of tensors.

    Args:
        function: takes tensors, or trees of them (dicts, lists, tuples, dataclasses), returns a tensor without axes.
        argnums: which positional arguments to differentiate by; a gradient for an integer, a tuple for several.
        has_aux: whether the function returns a pair, whose second part is passed through as it is.

    Returns:
        A function of the same arguments. A gradient is a tree like its argument; each tensor in it has the axes of
        the argument's tensor with every variance reversed, and a native array has a native gradient. With `has_aux`,
        the gradients and the second part.

    Raises:
        ShapeError: (when called) the function's value has axes.
        DTypeError: (when called) an argument is of integers, or the value is complex and the function not holomorphic.
        BackendError: (when called) no installed backend differentiates.

    >>> import tensoria as tn
    >>> i, = tn.indices("i", tn.Space("V", 2, metric=[[2, 1], [1, 3]]))
    >>> x = tn.tensor([1., 2.], [i])
    >>> g = grad(lambda x: tn.inner(x, x) / 2)(x)
    >>> g.axes, g.array
    (Axes(_i), array([4., 7.]))
    """
    both = value_and_grad(function, argnums, has_aux=has_aux)

    def gradient(*arguments: Any, **named: Any) -> Any:
        value, gradients = both(*arguments, **named)
        return (gradients, value[1]) if has_aux else gradients

    return gradient


def value_and_grad(
    function: Callable[..., Any], argnums: Argnums = 0, *, has_aux: bool = False
) -> Callable[..., tuple[Any, Any]]:
    """The function that computes a scalar function's value and gradient; arguments and errors as for `grad`."""

    def both(*arguments: Any, **named: Any) -> tuple[Any, Any]:
        lifted = Lifted(function, arguments, named, (argnums,) if isinstance(argnums, int) else argnums)
        backend = lifted.backend
        kept: list[Results] = []

        def native(*arrays: Array) -> tuple[list[Array], list[Array]]:
            value = lifted.call(arrays)
            beside: list[Array] = []
            if has_aux:
                value, further = _pair(value)
                aux = Results(further, backend, lifted.own)
                kept.append(aux)
                beside = aux.arrays
            results = Results(value, backend, lifted.own)
            _require_scalar(value, results)
            require_floating(backend, results.arrays[0], "the value")
            kept.append(results)
            return results.arrays, beside

        mixed = any(backend.dtype(array).kind == "complex" for array in lifted.arrays)
        (value,), beside, pull = backend.vjp(native, lifted.arrays, reuse=mixed)
        gradients = holomorphic(backend, value, pull, lifted.arrays)
        parts = lifted.like_arguments(gradients, lifted.opposites())
        out = lifted.result(kept[-1], [value])
        if has_aux:
            out = out, lifted.result(kept[-2], beside)
        return out, parts[0] if isinstance(argnums, int) else tuple(parts)

    return both


def _pair(value: Any) -> tuple[Any, Any]:
    if not isinstance(value, tuple) or len(value) != 2:
        raise ModeError(f"with has_aux the function returns a pair, not {type(value).__name__}.", legal="return y, aux")
    return value


def _require_scalar(value: Any, results: Results) -> None:
    if len(results.arrays) != 1 or results.tree.build is not None:
        raise ModeError(
            f"the function returns {type(value).__name__} of {len(results.arrays)} tensors; "
            "a gradient is that of a tensor without axes."
        )
    count = len(results.arrays[0].shape)
    if count:
        labels = f" ({value._axes})" if isinstance(value, BaseTensor) and value.is_labelled else ""
        raise ShapeError(
            f"the function's value has {count} axes{labels}; a gradient is that of a scalar.",
            legal="contract it first, such as tn.inner(y, y) or y(alpha), or take all its derivatives, tn.jacobian(f)",
        )


def holomorphic(
    backend: Backend, value: Array, pull: Callable[[Sequence[Array]], list[Array]], arrays: Sequence[Array]
) -> list[Array]:
    """The derivatives of a scalar from its pull-back; a complex one must be holomorphic.

    Of f = u + iv, grad u = u_x - i u_y is f' and grad v is -i f', if and only if the Cauchy-Riemann equations hold.

    Raises:
        DTypeError: they do not. (While a framework traces there are no numbers yet, and the derivatives become NaN.)
    """
    one = backend.xp.ones_like(value)
    if backend.dtype(value).kind != "complex":
        return pull([one])
    if any(backend.dtype(array).kind != "complex" for array in arrays):
        raise DTypeError(
            "the value is complex and an argument is real.", legal="tn.real(y) or tn.abs(y), whichever is meant"
        )
    turned = backend.multiply(one, backend.constant(IMAGINARY, backend.dtype(value), value))
    first, second = pull([one]), pull([backend.xp.negative(turned)])
    return [proportional(backend, a, b) for a, b in zip(first, second, strict=True)]


TOLERANCE = 1e-4
"""How far, relative to the greatest derivative, the Cauchy-Riemann equations may be missed; float32 keeps it."""


def proportional(backend: Backend, a: Array, b: Array) -> Array:
    """The derivative a along the real direction, if b along the imaginary one is -i a; else an error, or NaN."""
    x, y = backend.numbers(a), backend.numbers(b)
    if x is None or y is None:
        xp = backend.xp
        off = xp.abs(backend.add(b, backend.multiply(a, backend.constant(IMAGINARY, backend.dtype(a), a))))
        size = xp.max(backend.add(xp.abs(a), xp.abs(b)))
        fits = xp.all(
            xp.less_equal(off, backend.multiply(size, backend.scalar_like(TOLERANCE, backend.dtype(size), size)))
        )
        return xp.where(fits, a, xp.full_like(a, float("nan")))
    size = np.abs(x).max(initial=0) + np.abs(y).max(initial=0)
    if not np.allclose(y, -1j * x, rtol=TOLERANCE, atol=TOLERANCE * size, equal_nan=True):
        raise DTypeError(
            "the function's value is complex, and the function is not holomorphic: it has no complex derivative.",
            legal="tn.real(y) or tn.abs(y), whichever is meant",
        )
    return a
