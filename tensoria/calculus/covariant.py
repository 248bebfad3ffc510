"""The covariant derivative of tensor fields, and what is made of it: divergence and Laplace-Beltrami operator.

Every index adds a term to the partial derivative: + G^i_km T^m for an up index, - G^m_ki T_m for a down one. Plain
named axes are carried along; an index over another space than the manifold's has no connection, and is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from tensoria.calculus.fields import Field, Jet, Points, contracted, field, jet, require_same
from tensoria.calculus.metric_field import connection_jet, geometry
from tensoria.errors import ModeError, VarianceError
from tensoria.indices import Axes, Index, axes, primed
from tensoria.spaces import Basis
from tensoria.structure import structural
from tensoria.tensor import Tensor

__all__ = ["covariant_derivative", "divergence", "laplace_beltrami", "turned"]

LETTERS = "abcdefghijklmopqrstuvwxyz"
"""Labels for einsum; n is the point."""


def covariant_derivative(of: Field, connection: Field, name: str | None = None) -> Field:
    """The covariant derivative of a field of tensors of any type.

    Args:
        of: a function of coordinates, of shape (points, n), whose values have any up and down indices over the
            manifold's space, and any plain named axes.
        connection: a metric field, for its Levi-Civita connection, or a field of connections.
        name: the name of the new down index, which comes last; if not given, that of the metric's first index, primed
            where it is taken.

    Returns:
        A function of coordinates of shape (..., n).

    Raises:
        SpaceError: (when called) an index ranges over another space.
        MetricError: (when called) the metric is singular at a point.

    Source: Wald, General Relativity, eq. 3.1.14.

    >>> import tensoria as tn
    >>> M = tn.Space("M", 2)
    >>> def plane(x):
    ...     return tn.from_components([[1, 0], [0, x[..., 0] ** 2]], "_i _j", i=M, j=M)
    >>> def rotation(x):
    ...     return tn.from_components([0, 1 + 0 * x[..., 0]], "^k", k=M)
    >>> D = tn.covariant_derivative(rotation, plane)(tn.asarray([2., 0.]))
    >>> D.axes, D.array.tolist()
    (Axes(^k _i), [[0.0, -2.0], [0.5, 0.0]])
    """

    def compute(points: Points) -> Tensor:
        basis, default, gamma, _ = connection_jet(connection, points)
        derivative, labels = _derivative(jet(of, points, 1), basis, gamma, name or default)
        return points.placed(derivative, labels)

    return field(compute)


def _derivative(found: Jet, basis: Basis, gamma: Tensor, name: str) -> tuple[Tensor, Axes]:
    if found.connection is not None:
        raise ModeError("a connection is no tensor, and has no covariant derivative.", legal="tn.riemann(connection)")
    total = found.first
    term = _term(found.axes)
    for position, index in enumerate(found.axes.indices):
        if index.basis is None:
            continue
        require_same(basis, index, "the connection")
        # v^a_;k has G^a_km v^m, and w_a;k has -G^m_ka w_m.
        old, new = term[position], "z"
        inner = term[:position] + new + term[position + 1 :]
        factor = f"n{old}y{new}" if index.variance > 0 else f"n{new}y{old}"
        change = contracted(f"{factor},n{inner}->n{term}y", gamma, found.value)
        total = total + change if index.variance > 0 else total - change
    return total, _with_index(found.axes, basis, name)


def _term(of: Axes) -> str:
    """One letter for each labelled axis."""
    return LETTERS[: len(of.indices)]


@structural
def _with_index(of: Axes, basis: Basis, name: str) -> Axes:
    return axes((*of.indices, Index(primed(name, of.names), basis, -1)))


def turned(value: Tensor, of: Axes, matrix: Tensor, basis: Basis, what: str) -> Tensor:
    """Minus the sum over up indices of M^i_m T^m, plus the sum over down ones of M^m_i T_m: an infinitesimal change
    of basis by a matrix of shape (points, n, n).
    """
    term = _term(of)
    total = value * 0
    for position, index in enumerate(of.indices):
        if index.basis is None:
            continue
        require_same(basis, index, what)
        inner = term[:position] + "z" + term[position + 1 :]
        factor = f"n{term[position]}z" if index.variance > 0 else f"nz{term[position]}"
        change = contracted(f"{factor},n{inner}->n{term}", matrix, value)
        total = total - change if index.variance > 0 else total + change
    return total


def divergence(of: Field, connection: Field, name: str | None = None) -> Field:
    """The divergence of a field: its covariant derivative contracted with one of its up indices.

    Args:
        of: a function of coordinates, of shape (points, n), whose values have an up index.
        connection: a metric field, for its Levi-Civita connection, or a field of connections.
        name: the name of the index to contract; the first up index over the manifold's space if not given.

    Returns:
        A function of coordinates of shape (..., n); its values have the other indices.

    Raises:
        VarianceError: (when called) the index is down, or there is no up index.
        SpaceError, MetricError: (when called) as for `covariant_derivative`.

    >>> import tensoria as tn
    >>> M = tn.Space("M", 2)
    >>> def plane(x):
    ...     return tn.from_components([[1, 0], [0, x[..., 0] ** 2]], "_i _j", i=M, j=M)
    >>> outwards = lambda x: tn.from_components([x[..., 0], 0], "^k", k=M)
    >>> float(tn.divergence(outwards, plane)(tn.asarray([2., 0.])))
    2.0
    """

    def compute(points: Points) -> Tensor:
        basis, default, gamma, _ = connection_jet(connection, points)
        found = jet(of, points, 1)
        position = _contracted(found.axes, basis, name)
        derivative, _ = _derivative(found, basis, gamma, default)
        term = _term(found.axes)
        left = term[:position] + term[position + 1 :]
        return points.placed(
            contracted(f"n{term}{term[position]}->n{left}", derivative), _without(found.axes, position)
        )

    return field(compute)


@structural
def _contracted(of: Axes, basis: Basis, name: str | None) -> int:
    """The position of the up index that a divergence contracts."""
    if name is not None:
        index = of.indices[of.find(name)]
        require_same(basis, index, "the connection")
        if index.variance < 0:
            raise VarianceError(
                f"a divergence contracts an up index, and {index!r} is down.",
                legal=f'lambda x: t(x).raised("{index.name}", metric=g(x))',
            )
        return of.find(name)
    for position, index in enumerate(of.indices):
        if index.basis is basis and index.variance > 0:
            return position
    raise VarianceError(
        f"a divergence contracts an up index over {basis}, and the field has {of or 'no axes'}.",
        legal="lambda x: t(x).raised(metric=g(x))",
    )


@structural
def _without(of: Axes, position: int) -> Axes:
    return axes((*of.indices[:position], *of.indices[position + 1 :]))


def laplace_beltrami(of: Field, metric: Field) -> Field:
    """The Laplace-Beltrami operator g^ij nabla_i nabla_j of a field of scalars, or of tensors of any type.

    Args:
        of: a function of coordinates, of shape (points, n).
        metric: a metric field; of Lorentzian signature, the operator is the d'Alembertian.

    Returns:
        A function of coordinates of shape (..., n), whose values are like the field's.

    Raises:
        SpaceError, MetricError: (when called) as for `covariant_derivative`.

    >>> import tensoria as tn
    >>> M = tn.Space("M", 2)
    >>> def plane(x):
    ...     return tn.from_components([[1, 0], [0, x[..., 0] ** 2]], "_i _j", i=M, j=M)
    >>> float(tn.laplace_beltrami(lambda x: x[..., 0] ** 3, plane)(tn.asarray([2., 0.])))
    18.0
    """
    twice = covariant_derivative(covariant_derivative(of, metric), metric)

    def compute(points: Points) -> Tensor:
        found = geometry(metric, points, 1)
        second = twice(points.x)
        term = _term(second._axes)
        inner = term[:-2]
        traced = contracted(f"n{term},n{term[-2:]}->n{inner}", second.components, found.inverse)
        return points.placed(traced, _first(second._axes, len(inner)))

    return field(compute)


@structural
def _first(of: Axes, count: int) -> Axes:
    kept: Sequence[Index] = of.indices[:count]
    return axes(tuple(kept))
