"""What infinitely wide networks predict: the Gaussian process posterior, and gradient flow with the tangent kernel.

Only the readout trained, or the network taken as a prior and conditioned on the data: the posterior of a Gaussian
process with the NNGP kernel (Lee et al. 2018). All parameters trained by gradient flow on the mean squared error:
Gaussian at every time t, by the tangent kernel (Jacot et al. 2018; Lee et al. 2019, equations 14 to 16). With the loss

    sum over examples and outputs of (f - y)^2 / (2 size),    size = the number of components of y,

the flow is df/dt = -(rate / size) Theta (f - y), so that one unit of t is one step of gradient descent at that rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tensoria.backend import Array, Backend
from tensoria.errors import DomainError, MatrixError, ShapeError
from tensoria.programs.base import chosen, native
from tensoria.tensor import Tensor

__all__ = ["Prediction", "flow", "max_learning_rate", "posterior"]


@dataclass(frozen=True)
class Prediction:
    """A Gaussian over the outputs at test inputs.

    Attributes:
        mean: of the shape of the targets, with test examples for training examples.
        covariance: between test examples, the same for each output; None if it was not asked for.
    """

    mean: Tensor
    covariance: Tensor | None


def posterior(train: Any, y: Any, cross: Any, test: Any = None, *, noise: float = 0.0) -> Prediction:
    """A Gaussian process conditioned on observations.

    Args:
        train: the kernel of the training inputs.
        y: the observations, examples first.
        cross: the kernel of test inputs (rows) with training inputs.
        test: the kernel of the test inputs; without it there is no covariance.
        noise: the variance of the observations' noise.

    Raises:
        MatrixError: the kernel of the training inputs is not positive definite.

    >>> import numpy as np
    >>> found = posterior(np.eye(2), np.array([[1.0], [2.0]]), np.array([[0.5, 0.0]]), np.array([[1.0]]))
    >>> found.mean.array, found.covariance.array
    (array([[0.5]]), array([[0.75]]))
    """
    backend, (k, k_cross, targets, k_test) = _native(train, cross, y, test)
    _require(k, k_cross, targets)
    if noise < 0:
        raise DomainError(f"a noise of variance {noise}.", legal="noise >= 0")
    xp = backend.xp
    k = k + noise * backend.beside(xp.eye(k.shape[0], dtype=k.dtype), k) if noise else k
    try:
        lower = xp.linalg.cholesky(k)
    except Exception as error:
        if backend.refuses_matrix(error):
            raise MatrixError(
                "the kernel of the training inputs is not positive definite: two of them are (nearly) the same.",
                legal="noise=1e-6 times its mean diagonal",
            ) from error
        raise
    half = xp.linalg.solve(lower, xp.matrix_transpose(k_cross))
    mean = xp.matmul(xp.matrix_transpose(half), xp.linalg.solve(lower, targets))
    covariance = None if k_test is None else k_test - xp.matmul(xp.matrix_transpose(half), half)
    return Prediction(Tensor(mean), None if covariance is None else Tensor(covariance))


def flow(
    train: Any, y: Any, cross: Any, *, time: float | None = None, rate: float = 1.0,
    nngp: tuple[Any, Any, Any] | None = None, ridge: float = 0.0,
) -> Prediction:  # fmt: skip
    """The outputs of an ensemble of networks at a time of gradient flow on the mean squared error.

    Args:
        train: the tangent kernel of the training inputs.
        y: their targets, examples first.
        cross: the tangent kernel of test inputs (rows) with training inputs.
        time: t, in steps of gradient descent; None for the end.
        rate: the learning rate.
        nngp: the covariance at initialisation of training inputs, of test with training inputs, and of test inputs;
            without it there is no covariance.
        ridge: added to the diagonal of the training kernel, times its mean.

    Raises:
        DomainError: the time is negative.
        MatrixError: at infinite time, the tangent kernel is singular.
    """
    if time is not None and not time >= 0:
        raise DomainError(f"the outputs at the time {time}.", legal="time >= 0, or None for the end of training")
    given = nngp or (None, None, None)
    backend, (theta, theta_cross, targets, k, k_cross, k_test) = _native(train, cross, y, *given)
    _require(theta, theta_cross, targets)
    xp = backend.xp
    size = 1
    for n in targets.shape:
        size *= n
    if ridge:
        unit = backend.beside(xp.eye(theta.shape[0], dtype=theta.dtype), theta)
        theta = theta + ridge * xp.mean(xp.linalg.diagonal(theta)) * unit
    values, vectors = xp.linalg.eigh(theta)
    turned = xp.matrix_transpose(vectors)

    def applied(weights: Array, x: Array) -> Array:
        return xp.matmul(vectors, xp.expand_dims(weights, axis=-1) * xp.matmul(turned, x))

    gain = _gain(backend, values, None if time is None else time * rate / size)
    mean = xp.matmul(theta_cross, applied(gain, targets))
    covariance = None
    if nngp is not None:
        moved = applied(gain, xp.matrix_transpose(theta_cross))  # Theta^-1 (1 - exp(-t Theta)) Theta(train, test)
        first = xp.matmul(xp.matrix_transpose(moved), xp.matmul(k, moved))
        second = xp.matmul(k_cross, moved)
        covariance = Tensor(k_test + first - second - xp.matrix_transpose(second))
    return Prediction(Tensor(mean), covariance)


def _gain(backend: Backend, values: Array, time: float | None) -> Array:
    """(1 - exp(-t v)) / v for each eigenvalue; t where v is 0."""
    xp = backend.xp
    top = xp.max(values)
    tiny = top * values.shape[0] * float(xp.finfo(values.dtype).eps)
    small = values <= tiny
    safe = xp.where(small, xp.ones_like(values), values)
    if time is None:
        if backend.readable(values) and bool(xp.any(small)):
            raise MatrixError(
                "the tangent kernel of the training inputs is singular: the flow does not reach all targets.",
                legal="time=... or ridge=1e-6",
            )
        return 1 / safe
    return xp.where(small, xp.full_like(values, time), -xp.expm1(-time * safe) / safe)


def max_learning_rate(ntk: Any, size: int | None = None) -> float:
    """The largest learning rate at which gradient descent on the mean squared error is stable: 2 size / max eigenvalue.

    Args:
        ntk: the tangent kernel of the training inputs.
        size: the number of components of the targets; that of examples by default.

    >>> import numpy as np
    >>> max_learning_rate(np.diag([4.0, 1.0]), size=1)
    0.5
    """
    backend, (theta,) = _native(ntk)
    if len(theta.shape) != 2 or theta.shape[0] != theta.shape[1]:
        raise ShapeError(f"a kernel of the shape {tuple(theta.shape)}, which is not square.")
    top = float(backend.to_numpy(backend.detach(backend.xp.max(backend.xp.linalg.eigvalsh(theta)))))
    return 2.0 * (theta.shape[0] if size is None else size) / top


def _native(*given: Any) -> tuple[Backend, list[Any]]:
    """Arrays of one backend."""
    backend = chosen([x for x in given if x is not None], None)
    arrays = [None if x is None else native(x, backend) for x in given]
    return backend, arrays


def _require(train: Array, cross: Array, y: Array) -> None:
    n = train.shape[0]
    if len(train.shape) != 2 or train.shape[1] != n:
        raise ShapeError(
            f"a kernel of training inputs of the shape {tuple(train.shape)}.",
            legal="one output without finite axes, so that kernels are matrices",
        )
    if cross.shape[-1] != n or y.shape[0] != n:
        raise ShapeError(
            f"{n} training inputs, a cross kernel of the shape {tuple(cross.shape)} and {y.shape[0]} targets.",
            legal="cross is test by training",
        )
