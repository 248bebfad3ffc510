"""Curves on a manifold: geodesics, which go straight on, and tensors carried along a curve without turning.

A geodesic solves x'' ^i = -G^i_jk x' ^j x' ^k. It is integrated with tensors, on every backend, for a whole batch at
once; derivatives by the initial point and velocity pass through.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tensoria.backend import Array
from tensoria.calculus.covariant import turned
from tensoria.calculus.fields import Field, Points, contracted
from tensoria.calculus.integration import State, integrated
from tensoria.calculus.lifting import engine_of, fitted, returned
from tensoria.calculus.metric_field import connection_jet
from tensoria.core import BaseTensor
from tensoria.discovery import run_on
from tensoria.errors import ModeError, ShapeError
from tensoria.indices import PLAIN, Axes, Index, axes
from tensoria.namespace.manipulation import reshape, stack
from tensoria.spaces import Basis
from tensoria.tensor import Tensor

__all__ = ["Geodesic", "geodesic", "parallel_transport"]


class Geodesic(NamedTuple):
    """A geodesic at the parameters that were asked for, which are the first axis.

    Attributes:
        x: the coordinates, a plain tensor of shape (parameters, ..., n).
        velocity: the tangent vectors dx/ds, of shape (parameters, ..., ^i).
    """

    x: Tensor
    velocity: Tensor


def geodesic(
    connection: Field,
    x: Any,
    velocity: Tensor,
    parameters: Sequence[float],
    *,
    rtol: float = 1e-9,
    atol: float = 1e-12,
    steps: int | None = None,
) -> Geodesic:
    """The geodesic through a point with a given velocity, at several values of its affine parameter.

    Args:
        connection: a metric field, or a field of connections.
        x: the points at the first parameter, plain, of shape (..., n).
        velocity: the velocities there: one up index over the manifold's space, of shape (..., ^i).
        parameters: rising or falling numbers; the first belongs to x.
        rtol, atol: what the error of one step may be, relative to x and its velocity and absolutely.
        steps: a fixed number of steps between two parameters, without a control of the error; needed where a framework
            traces.

    Raises:
        VarianceError, SpaceError, ShapeError: the velocity is no vector of that space at each point.
        MetricError: the metric is singular on the way, or the geodesic does not go on.

    Source: Wald, General Relativity, eq. 3.3.5.

    >>> import tensoria as tn
    >>> M = tn.Space("M", 2)
    >>> def plane(x):
    ...     return tn.from_components([[1, 0], [0, x[..., 0] ** 2]], "_i _j", i=M, j=M)
    >>> v = tn.tensor([0., 1.], "^i", i=M)
    >>> line = tn.geodesic(plane, tn.asarray([1., 0.]), v, [0., 1.])
    >>> line.x.array[-1].round(9).tolist()  # r = sqrt(2), phi = 45 degrees
    [1.414213562, 0.785398163]
    """
    points = Points(x)
    backend = points.backend
    with run_on(backend, points.own):
        basis, name = _frame(connection, points)
        labels = axes((Index(_name(velocity, name), basis),))
        like = _unflattened(points, points.x)
        start = fitted(backend, velocity, labels, like, "the velocity")

        def derivative(_: float, state: State) -> State:
            at = Tensor.from_parts(state[0], PLAIN, backend)
            v = Tensor.from_parts(state[1], PLAIN, backend)
            gamma = connection_jet(connection, Points(at))[2]
            return [state[1], (-contracted("nijk,nj,nk->ni", gamma, v, v))._array]

        initial = [points.x._array, backend.reshape(start, (-1, points.n))]
        found = integrated(backend, derivative, initial, _times(parameters), rtol=rtol, atol=atol, steps=steps)
        position, speed = (_stacked(points, [state[n] for state in found]) for n in (0, 1))
    return Geodesic(_back(points, position, PLAIN), _back(points, speed, labels))


def parallel_transport(
    connection: Field,
    curve: Callable[[Tensor], Any],
    value: Tensor,
    parameters: Sequence[float],
    *,
    rtol: float = 1e-9,
    atol: float = 1e-12,
    steps: int | None = None,
) -> Tensor:
    """A tensor carried along a curve without turning: its covariant derivative along the curve is zero.

    Args:
        connection: a metric field, or a field of connections.
        curve: a function of the parameter, a plain tensor without axes, to coordinates, plain, of shape (n,).
        value: the tensor at the first parameter, of any type over the manifold's space.
        parameters: rising or falling numbers.
        rtol, atol, steps: as for `geodesic`.

    Returns:
        The tensors at all parameters, which are the first axis.

    Raises:
        SpaceError: an index ranges over another space.
        MetricError: the metric is singular on the way.

    >>> import tensoria as tn
    >>> M = tn.Space("M", 2)
    >>> def sphere(x):
    ...     return tn.from_components([[1, 0], [0, tn.sin(x[..., 0]) ** 2]], "_i _j", i=M, j=M)
    >>> circle = lambda s: tn.stack([0 * s + tn.pi / 3, s])  # at 60 degrees from the pole, once around
    >>> v = tn.parallel_transport(sphere, circle, tn.tensor([1., 0.], "^i", i=M), [0., 2 * tn.pi])
    >>> v.array[-1].round(6).tolist()  # turned by 2 pi cos(60 degrees), half a turn
    [-1.0, 0.0]
    """
    if not isinstance(value, Tensor) or value.lead:
        raise ModeError("what is carried is one labelled tensor, without anonymous axes.", legal="tn.tensor(v, [i])")
    own = value._backend
    backend = engine_of(own)
    moved = value if backend is own else value.to(backend=backend.name)
    labels = value._axes
    with run_on(backend, own):

        def position(time: Array) -> list[Array]:
            at = curve(Tensor.from_parts(time, PLAIN, backend))
            if not isinstance(at, BaseTensor) or at.is_labelled or at.ndim != 1:
                raise ShapeError("a curve is a function to the coordinates of one point, plain, of shape (n,).")
            return [at._array]

        def derivative(time: float, state: State) -> State:
            scalar = backend.scalar_like(time, moved.dtype, moved._array)
            (x,), (speed,) = backend.jvp(position, [scalar], [backend.xp.ones_like(scalar)])
            points = Points(Tensor.from_parts(x, PLAIN, backend))
            basis, _, gamma, _ = connection_jet(connection, points)
            along = Tensor.from_parts(speed, PLAIN, backend)[None]
            turn = contracted("nikm,nk->nim", gamma, along)
            t = Tensor.from_parts(state[0], PLAIN, backend)
            return [turned(t, labels, turn, basis, "the connection")._array]

        initial = [moved.components[None]._array]
        found = integrated(backend, derivative, initial, _times(parameters), rtol=rtol, atol=atol, steps=steps)
        rows = stack([Tensor.from_parts(state[0], PLAIN, backend)[0] for state in found], axis=0)
    return returned(Tensor.from_parts(rows._array, labels, backend), own)


def _frame(connection: Field, points: Points) -> tuple[Basis, str]:
    """The manifold's basis, and the name for a vector's index."""
    found = connection_jet(connection, Points(points.x[:1]))
    return found[0], found[1]


def _name(velocity: Any, default: str) -> str:
    """The velocity keeps the name of its index."""
    if isinstance(velocity, BaseTensor) and len(velocity._axes.names) == 1:
        return velocity._axes.names[0]
    if isinstance(velocity, BaseTensor) and not velocity.is_labelled:
        raise ModeError("a velocity is a vector, and this tensor is plain.", legal='tn.tensor(v, "... ^i", i=M)')
    return default


def _times(parameters: Sequence[float]) -> list[float]:
    times = [float(s) for s in parameters]
    if not times:
        raise ShapeError("there is no parameter to go to.", legal="[0.0, 1.0]")
    return times


def _unflattened(points: Points, t: Tensor) -> Array:
    return reshape(t, (*(-1 if n is None else n for n in points.batch), points.n))._array


def _stacked(points: Points, arrays: Sequence[Array]) -> Tensor:
    rows = [Tensor.from_parts(_unflattened(points, Tensor.from_parts(a, PLAIN, points.backend)), PLAIN, points.backend)
            for a in arrays]  # fmt: skip
    return stack(rows, axis=0)


def _back(points: Points, t: Tensor, of: Axes) -> Tensor:
    return returned(Tensor.from_parts(t._array, of, points.backend), points.own)
