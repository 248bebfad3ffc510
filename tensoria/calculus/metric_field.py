"""Metric fields, and their Levi-Civita connection: the one without torsion that keeps lengths.

A metric field is a field of symmetric tensors g_ij with two down indices over the space of tangent vectors. A metric
that the space itself declares is never used in its place.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tensoria.calculus.connection import Connection
from tensoria.calculus.fields import Field, Jet, Points, contracted, field, jet, permuted
from tensoria.errors import MetricError, ShapeError
from tensoria.indices import Axes, Index
from tensoria.namespace.linalg import inv
from tensoria.spaces import Basis
from tensoria.tensor import Tensor

__all__ = ["Geometry", "christoffel", "connection_jet", "geometry", "lower_christoffel", "metric_basis"]


def metric_basis(of: Axes, n: int) -> tuple[Basis, Index, Index]:
    """The basis and the two indices of a metric field's values.

    Raises:
        MetricError: they are not two down indices of one space.
        ShapeError: there are more or fewer coordinates than the space has dimensions.
    """
    if len(of.indices) != 2 or any(index.variance != -1 for index in of.indices):
        raise MetricError(
            f"a metric field has two down indices; this one has {of or 'none'}.",
            legal='tn.from_components(g, "_i _j", i=M, j=M)',
        )
    i, j = of.indices
    if i.basis is not j.basis or i.basis is None:
        raise MetricError(f"a metric belongs to one space; {i!r} and {j!r} belong to two.")
    if i.basis.dimension != n:
        raise ShapeError(f"there are {n} coordinates, and {i.basis} has dimension {i.basis.dimension}.")
    return i.basis, i, j


class Geometry(NamedTuple):
    """A metric field at points: components, inverse, first and second derivatives, all plain, and its two indices."""

    basis: Basis
    indices: tuple[Index, Index]
    g: Tensor
    inverse: Tensor
    first: Tensor
    second: Tensor | None


def geometry(metric: Field, points: Points, order: int) -> Geometry:
    """What the metric calculus needs of a metric field.

    Raises:
        MetricError: the field is no metric, or singular or not symmetric at a point.
    """
    found = jet(metric, points, order)
    return _geometry(found, points)


def _geometry(found: Jet, points: Points) -> Geometry:
    if found.connection is not None:
        raise MetricError("this needs a metric field, and a connection has no metric.", legal="a field of g_ij")
    basis, i, j = metric_basis(found.axes, points.n)
    _require_regular(found.value, points)
    return Geometry(basis, (i, j), found.value, inv(found.value), found.first, found.second)


def _require_regular(g: Tensor, points: Points) -> None:
    backend = points.backend
    numbers = backend.numbers(g._array)
    if numbers is None:
        return  # while a framework traces; a singular metric's inverse is not finite then
    matrices = numbers.reshape(-1, *numbers.shape[-2:]).astype(np.float64)
    small = float(np.finfo(numbers.dtype if numbers.dtype.kind == "f" else np.float64).eps) * matrices.shape[-1]
    finite: Any = np.isfinite(matrices).all(axis=(1, 2))
    safe = np.where(finite[:, None, None], matrices, 0)
    size = np.abs(safe).max(axis=2)
    # Coordinates may be in any units: rows and columns are brought to size one before the determinant is judged.
    scale = 1 / np.sqrt(np.where(size > 0, size, 1))
    determinants = np.linalg.det(safe * scale[:, :, None] * scale[:, None, :])
    wrong = ~finite | (np.abs(determinants) <= small)
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        at = points.backend.numbers(points.x._array)
        where = "" if at is None or at.ndim != 2 or len(at) != len(wrong) else f", first at x = {at[first].tolist()}"
        raise MetricError(
            f"the metric field is singular or not finite at {int(wrong.sum())} of {len(wrong)} points{where}: "
            "these coordinates do not reach it.",
            legal="other points, or coordinates that are regular there",
        )
    skew = np.abs(safe - safe.transpose(0, 2, 1))
    if (skew > 100 * small * np.abs(safe).max(axis=(1, 2), keepdims=True)).any():
        raise MetricError("the metric field is not symmetric.", legal='(g + g.permuted("j i")) / 2')


def lower_christoffel(first: Tensor) -> Tensor:
    """G_abc = (d_c g_ab + d_b g_ac - d_a g_bc) / 2 from d_k g_ij of shape (points, i, j, k)."""
    return 0.5 * (first + permuted(first, (0, 1, 3, 2)) - permuted(first, (0, 3, 1, 2)))


def christoffel(metric: Field) -> Field:
    """The Levi-Civita connection of a metric field, whose coefficients are the Christoffel symbols of the second kind.

    Args:
        metric: a function of coordinates, of shape (points, n), with values g_ij (two down indices).

    Returns:
        A function of coordinates of shape (..., n), with a `Connection` as value: it is no tensor.

    Raises:
        MetricError: (when called) the field is no metric, or singular at a point.

    Source: Wald, General Relativity, eq. 3.1.30.

    >>> import tensoria as tn
    >>> M = tn.Space("M", 2)
    >>> def plane(x):
    ...     return tn.from_components([[1, 0], [0, x[..., 0] ** 2]], "_i _j", i=M, j=M)
    >>> tn.christoffel(plane)(tn.asarray([2., 0.])).coefficients.array.tolist()
    [[[0.0, 0.0], [0.0, -2.0]], [[0.0, 0.5], [0.5, 0.0]]]
    """

    def compute(points: Points) -> Connection:
        found = geometry(metric, points, 1)
        gamma = contracted("nae,nebc->nabc", found.inverse, lower_christoffel(found.first))
        return Connection(points.placed(gamma), found.basis)

    return field(compute)


def connection_jet(of: Field, points: Points) -> tuple[Basis, str, Tensor, Geometry | None]:
    """The coefficients of a connection field, or of a metric field's Levi-Civita connection, at points.

    Returns:
        The basis, the name for a further index, the coefficients of shape (points, n, n, n), and the metric's geometry
        if there is a metric.
    """
    found = jet(of, points, 1)
    if found.connection is not None:
        if found.connection.dimension != points.n:
            raise ShapeError(f"there are {points.n} coordinates, and the connection is on {found.connection}.")
        return found.connection, "i", found.value, None
    made = _geometry(found, points)
    gamma = contracted("nae,nebc->nabc", made.inverse, lower_christoffel(made.first))
    return made.basis, made.indices[0].name, gamma, made
