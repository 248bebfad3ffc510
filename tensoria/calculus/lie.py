"""The Lie derivative: how a tensor field changes along the flow of a vector field. It needs no metric."""

from __future__ import annotations

from tensoria.backend import Array
from tensoria.calculus.covariant import turned
from tensoria.calculus.fields import Field, Points, field, jet, value_at
from tensoria.errors import ModeError, ShapeError, VarianceError
from tensoria.indices import PLAIN, Axes
from tensoria.spaces import Basis
from tensoria.tensor import Tensor

__all__ = ["lie_derivative"]


def lie_derivative(along: Field, of: Field) -> Field:
    """The Lie derivative L_X T of a field of tensors of any type; of a vector field it is the bracket [X, Y].

    Args:
        along: the vector field X: a function of coordinates, of shape (points, n), whose values have one up index.
        of: the field T, whose indices range over the same space; plain named axes are carried along.

    Returns:
        A function of coordinates of shape (..., n), whose values have the indices of T.

    Raises:
        VarianceError: (when called) X is no vector field.
        SpaceError: (when called) an index of T ranges over another space.

    Source: L_X T^a_b = X^c d_c T^a_b - T^c_b d_c X^a + T^a_c d_b X^c (Wald, General Relativity, eq. C.2.14).

    >>> import tensoria as tn
    >>> M = tn.Space("M", 2)
    >>> X = lambda x: tn.from_components([-x[..., 1], x[..., 0]], "^k", k=M)
    >>> metric = lambda x: tn.tensor([[1., 0.], [0., 1.]], "_i _j", i=M, j=M)
    >>> tn.lie_derivative(X, metric)(tn.asarray([3., 4.])).array.tolist()
    [[0.0, 0.0], [0.0, 0.0]]
    """

    def compute(points: Points) -> Tensor:
        flow = jet(along, points, 1)
        basis = _vector(flow.axes, points.n)
        backend = points.backend
        seen: list[Axes] = []

        def native(array: Array) -> list[Array]:
            t, labels, connection = value_at(of, Tensor.from_parts(array, PLAIN, backend))
            if connection is not None:
                raise ModeError("the Lie derivative of a connection is not made here.", legal="that of a tensor field")
            seen.append(labels)
            return [t._array]

        (value,), (change,) = backend.jvp(native, [points.x._array], [flow.value._array])
        moved = Tensor.from_parts(change, PLAIN, backend)
        total = moved + turned(Tensor.from_parts(value, PLAIN, backend), seen[-1], flow.first, basis, "the flow")
        return points.placed(total, seen[-1])

    return field(compute)


def _vector(of: Axes, n: int) -> Basis:
    if len(of.indices) != 1 or of.indices[0].variance != 1 or of.indices[0].basis is None:
        raise VarianceError(
            f"a flow is that of a vector field, with one up index, and this field has {of or 'no axes'}.",
            legal='tn.from_components([...], "^i", i=M)',
        )
    basis = of.indices[0].basis
    if basis.dimension != n:
        raise ShapeError(f"there are {n} coordinates, and {basis} has dimension {basis.dimension}.")
    return basis
