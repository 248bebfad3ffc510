"""The gradient of a scalar function, which has the opposite variance of what it is taken by.

df/dx^i has a down index: it is a covector, and `x - lr * grad` is an error where `x - lr * grad.raised()` is (natural)
gradient descent. For complex tensors the convention is JAX's: grad f = d(Re f)/dx - i d(Re f)/dy, which is f'(z) for a
holomorphic f and 2 df/dz for a real one. The frameworks differentiate; on NumPy, which can not, the function runs on
an installed backend that does, and values and gradients come back as NumPy arrays; tensors that such a function needs
besides are passed as arguments, since those that it closes over stay where they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from tensoria.backend import Backend, available, backend_of, get
from tensoria.components import of_array
from tensoria.core import BaseTensor
from tensoria.errors import BackendError, BackendNotFoundError, DTypeError, ModeError, ShapeError
from tensoria.indices import Axes, axes
from tensoria.structure import structural
from tensoria.tensor import Tensor

__all__ = ["grad", "value_and_grad"]

Argnums = int | Sequence[int]
R = TypeVar("R")


def grad(function: Callable[..., Tensor], argnums: Argnums = 0) -> Callable[..., Any]:
    """The function that computes the gradient of a scalar function of tensors.

    Args:
        function: takes tensors, returns a tensor without axes.
        argnums: which positional arguments to differentiate by; a tensor for an integer, a tuple for several.

    Returns:
        A function of the same arguments; each gradient has its argument's axes with every variance reversed.

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
    both = value_and_grad(function, argnums)

    def gradient(*arguments: Any, **named: Any) -> Any:
        return both(*arguments, **named)[1]

    return gradient


def value_and_grad(function: Callable[..., Tensor], argnums: Argnums = 0) -> Callable[..., tuple[Tensor, Any]]:
    """The function that computes a scalar function's value and gradient; arguments and errors as for `grad`."""

    def both(*arguments: Any, **named: Any) -> tuple[Tensor, Any]:
        chosen = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        inputs = [_differentiable(arguments, n) for n in chosen]
        own = inputs[0]._backend
        backend = _differentiating(own)
        moved = [_on(backend, argument) for argument in arguments]
        extra = {name: _on(backend, argument) for name, argument in named.items()}

        def native(*arrays: Any) -> Any:
            filled = list(moved)
            for n, array in zip(chosen, arrays, strict=True):
                filled[n] = Tensor.from_parts(array, inputs[chosen.index(n)]._axes, backend)
            return _scalar(function(*filled, **extra))

        arrays = [moved[n]._array for n in chosen]
        value, gradients = _derivative(backend, native, arrays)
        result = [
            _back(own, Tensor.from_parts(array, _opposite(x._axes), backend))
            for x, array in zip(inputs, gradients, strict=True)
        ]
        out = _back(own, Tensor.from_parts(value, axes(()), backend))
        return out, result[0] if isinstance(argnums, int) else tuple(result)

    return both


def _derivative(backend: Backend, function: Callable[..., Any], arrays: Sequence[Any]) -> tuple[Any, list[Any]]:
    """The value and the derivatives of a scalar function; a complex one must be holomorphic.

    Of f = u + iv, grad u = u_x - i u_y is f' and grad v is -i f', if and only if the Cauchy-Riemann equations hold.
    """
    xp = backend.xp
    parts: list[Any] = []

    def part(name: str) -> Callable[..., Any]:
        def real_function(*inputs: Any) -> Any:
            value = function(*inputs)
            if backend.dtype(value).kind != "complex":
                return value
            parts.append(name)
            return getattr(xp, name)(value)

        return real_function

    real, first = backend.value_and_grad(part("real"), arrays)
    if not parts:
        return real, first
    if any(backend.dtype(array).kind != "complex" for array in arrays):
        raise DTypeError(
            "the value is complex and an argument is real.", legal="tn.real(y) or tn.abs(y), whichever is meant"
        )
    imag, second = backend.value_and_grad(part("imag"), arrays)
    for u, v in zip(first, second, strict=True):
        a, b = (backend.to_numpy(backend.detach(x)) for x in (u, v))
        if not np.allclose(b, -1j * a, rtol=1e-4, atol=1e-4 * (np.abs(a).max(initial=0) + np.abs(b).max(initial=0))):
            raise DTypeError(
                "the function's value is complex, and the function is not holomorphic: it has no complex derivative.",
                legal="tn.real(y) or tn.abs(y), whichever is meant",
            )
    one = backend.constant(IMAGINARY, backend.dtype(arrays[0]), arrays[0])
    joined = [backend.kernels.cast(x, arrays[0].dtype) for x in (real, imag)]
    return backend.add(joined[0], backend.multiply(one, joined[1])), first


IMAGINARY = of_array(1j)
"""The imaginary unit."""


@structural
def _opposite(of: Axes) -> Axes:
    return axes(tuple(index if index.basis is None else -index for index in of.indices))


def _differentiable(arguments: Sequence[Any], n: int) -> Tensor:
    if not -len(arguments) <= n < len(arguments):
        raise ModeError(f"there is no argument {n} to differentiate by; {len(arguments)} were given.")
    x = arguments[n]
    if not isinstance(x, Tensor):
        raise ModeError(f"argument {n} is {type(x).__name__}; a gradient is taken by a tensor.", legal="tn.asarray(x)")
    if x.dtype.kind not in ("float", "complex"):
        raise DTypeError(f"argument {n} is of {x.dtype}, which has no derivatives.", legal='t.to(dtype="float64")')
    return x


def _differentiating(own: Backend) -> Backend:
    """The backend itself, or for one without derivatives the first installed one that has them."""
    if own.differentiates:
        return own
    for name in available():
        try:
            found = get(name)
        except BackendNotFoundError:
            continue
        if found.differentiates:
            return found
    raise BackendError(
        f"the {own.name} backend has no derivatives, and no other that has them is installed.",
        legal="pip install 'tensoria[torch]'",
    )


def _on(backend: Backend, value: Any) -> Any:
    if isinstance(value, Tensor) and value._backend is not backend:
        return value.to(backend=backend.name)
    if not isinstance(value, BaseTensor) and backend_of(value) not in (None, backend):
        return Tensor(value).to(backend=backend.name).array
    return value


def _back(backend: Backend, t: Tensor) -> Tensor:
    return t if t._backend is backend else t.to(backend=backend.name)


def _scalar(value: Any) -> Any:
    if not isinstance(value, BaseTensor):
        raise ModeError(f"the function returns {type(value).__name__}; a gradient is that of a tensor without axes.")
    if len(value._array.shape):
        labels = f" ({value._axes})" if value.is_labelled else ""
        raise ShapeError(
            f"the function's value has {len(value._array.shape)} axes{labels}; a gradient is that of a scalar.",
            legal="contract it first, such as tn.inner(y, y) or y(alpha)",
        )
    return value._array
