"""A connection: how a basis turns from point to point. Its coefficients look like a tensor's and are none.

Under a change of coordinates they gain second derivatives of the old coordinates, so that a product or a sum with a
tensor would mean nothing; what a connection is for is covariant differentiation. Differences of two connections are
tensors, and so is the torsion.
"""

from __future__ import annotations

from typing import Any, NoReturn

from tensoria.core import same_backend
from tensoria.errors import ModeError, ShapeError, SpaceError
from tensoria.indices import Index, axes
from tensoria.spaces import Basis, Space, frame
from tensoria.tensor import Tensor

__all__ = ["Connection"]


class Connection:
    """The coefficients G^a_bc of a connection in one basis: nabla_b v^a = d_b v^a + G^a_bc v^c.

    Args:
        coefficients: a plain tensor of shape (..., n, n, n): the up index, the direction b, the index c.
        space: the space (or a basis of it) of the tangent vectors.

    Raises:
        ModeError: the coefficients are labelled.
        ShapeError: their last three axes are not of the space's dimension.

    >>> import tensoria as tn
    >>> M = tn.Space("M", 2)
    >>> flat = Connection(tn.asarray([[[0., 0.], [0., 0.]], [[0., 0.], [0., 0.]]]), M)
    >>> flat
    Connection(M(2), shape (2, 2, 2), float64, numpy)
    """

    __slots__ = ("basis", "coefficients")

    coefficients: Tensor
    basis: Basis

    def __init__(self, coefficients: Any, space: Space | Basis) -> None:
        t = coefficients if isinstance(coefficients, Tensor) else Tensor(coefficients)
        if t.is_labelled:
            raise ModeError(
                f"the coefficients of a connection are no tensor, and these have the axes {t.axes}.",
                legal="tn.Connection(t.components, space)",
            )
        self.coefficients, self.basis = t, frame(space)
        n = self.basis.dimension
        if t.ndim < 3 or any(size not in (n, None) for size in t.shape[-3:]):
            raise ShapeError(f"a connection on {self.basis} has the shape (..., {n}, {n}, {n}), not {t.shape}.")

    @property
    def backend(self) -> str:
        """The backend's name."""
        return self.coefficients.backend

    def to(self, *, backend: str) -> Connection:
        """The same connection on another backend."""
        return Connection(self.coefficients.to(backend=backend), self.basis)

    def torsion(self) -> Tensor:
        """The torsion T^a_bc = G^a_bc - G^a_cb, which is a tensor; zero for the Levi-Civita connection."""
        t = self.coefficients
        return _tensor(t - t.mT, self.basis)

    def __sub__(self, other: object) -> Tensor:
        if not isinstance(other, Connection):
            _refused("subtracts from")
        mine, others = same_backend(self.coefficients, other.coefficients)
        if other.basis is not self.basis:
            raise SpaceError(f"one connection is on {self.basis}, the other on {other.basis}.")
        return _tensor(mine - others, self.basis)

    def _no(self, *other: object) -> NoReturn:
        _refused("is combined with")

    __add__ = __radd__ = __rsub__ = __mul__ = __rmul__ = __matmul__ = __rmatmul__ = __truediv__ = __neg__ = _no
    __getitem__ = __call__ = __rtruediv__ = __pow__ = _no
    __array_ufunc__ = None

    def __repr__(self) -> str:
        t = self.coefficients
        return f"Connection({self.basis}, shape {t.shape}, {t.dtype.name}, {t.backend})"


def _tensor(t: Tensor, basis: Basis) -> Tensor:
    of = axes((Index("a", basis), Index("b", basis, -1), Index("c", basis, -1)))
    return Tensor.from_parts(t._array, of, t._backend)


def _refused(what: str) -> NoReturn:
    raise ModeError(
        f"a connection {what} something: its coefficients are no tensor (they change by second derivatives of the "
        "coordinates), and contracting them means nothing.",
        legal="tn.covariant_derivative(T, connection_field), connection.torsion(), or connection.coefficients",
    )
