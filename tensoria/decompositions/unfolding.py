"""Unfolding a tensor into a matrix, folding it back, and the n-mode product.

The mode-n unfolding has mode n along its rows and all others along its columns. Which column comes first is a
convention: with `order="C"` the last mode varies fastest (the order in memory, and TensorLy's), with `order="F"` the
first one does (Kolda and Bader, SIAM Review 51, 2009, section 2.4). A product of matrices in all modes unfolds as

    X_(n) = A_n G_(n) (A_1 (x) ... (x) A_{n-1} (x) A_{n+1} (x) ... (x) A_N)^T    for "C",

and with the Kronecker factors in the reversed order for "F".
"""

from __future__ import annotations

import math
from typing import Any, Literal

from tensoria.algebra.fusing import fused, split
from tensoria.contraction import product
from tensoria.core import new, same_backend, transposed
from tensoria.decompositions.framing import contracted, places
from tensoria.errors import AxisError, ModeError, ShapeError
from tensoria.indices import PLAIN
from tensoria.namespace.dispatch import tensor_of
from tensoria.tensor import Tensor

__all__ = ["fold", "mode_product", "unfold"]

Order = Literal["C", "F"]


def unfold(t: Any, mode: int | str, *, order: Order = "C", into: str = "columns") -> Tensor:
    """The mode-n unfolding, a matrix.

    Args:
        t: a tensor with two or more axes.
        mode: the axis along the rows, by number or (labelled) by name.
        order: `"C"`, the last of the other axes varies fastest, or `"F"`, the first (Kolda and Bader).
        into: the name of the columns' index, for labelled tensors; it ranges over the product space, and remembers
            the indices that it is made of.

    Raises:
        AxisError: there is no such axis.
        SpaceError: a labelled tensor has plain axes, which do not fuse.

    >>> import tensoria as tn
    >>> t = tn.reshape(tn.arange(8.), (2, 2, 2))
    >>> tn.unfold(t, 1).array
    array([[0., 1., 4., 5.],
           [2., 3., 6., 7.]])
    >>> tn.unfold(t, 1, order="F").array
    array([[0., 4., 1., 5.],
           [2., 6., 3., 7.]])
    """
    x = tensor_of(t, "unfold")
    (n,) = places(x, mode, "unfold")
    others = _others(x.ndim, n, order)
    backend = x._backend
    if x.is_labelled:
        _refuse_lead(x, "unfolding")
        moved = transposed(x, (n, *others))
        names = [x.names[m] for m in others]
        return fused(moved, names, into) if len(names) > 1 else moved.renamed({names[0]: into})
    array = backend.kernels.transpose(x._array, (n, *others))
    return new(x, backend.reshape(array, (backend.shape(x._array)[n], -1)), PLAIN)


def fold(matrix: Any, mode: int | str, like: Any, *, order: Order = "C") -> Tensor:
    """The tensor whose mode-n unfolding is the matrix; `order` as in `unfold`.

    Args:
        matrix: the unfolding.
        mode: the axis along its rows.
        like: the tensor's shape; for labelled ones a tensor with the axes to go back to.

    Raises:
        ShapeError: the sizes do not fit.
        SpaceError: the columns of a labelled matrix are no product of the other indices' spaces.

    >>> import tensoria as tn
    >>> t = tn.reshape(tn.arange(8.), (2, 2, 2))
    >>> bool(tn.all(tn.fold(tn.unfold(t, 1), 1, t.shape) == t))
    True
    """
    m = tensor_of(matrix, "fold")
    if m.ndim != 2:
        raise ShapeError(f"fold is about a matrix, and this tensor has {m.ndim} axes.")
    if m.is_labelled:
        return _labelled_fold(m, mode, like, order)
    shape = tuple(like.shape if isinstance(like, Tensor) else like)
    rank = len(shape)
    if isinstance(mode, str) or not -rank <= mode < rank:
        raise AxisError(f"fold: a shape with {rank} axes has no axis {mode!r}.")
    n = mode % rank
    moved = (n, *_others(rank, n, order))
    if m.shape[0] != shape[n] or m.size != math.prod(shape):
        raise ShapeError(f"a {m.shape[0]}x{m.shape[1]} matrix is no mode-{n} unfolding of the shape {shape}.")
    array = m._backend.reshape(m._array, tuple(shape[k] for k in moved))
    return new(m, m._backend.kernels.transpose(array, tuple(moved.index(k) for k in range(rank))), PLAIN)


def _labelled_fold(matrix: Tensor, mode: int | str, like: Any, order: Order) -> Tensor:
    if not isinstance(like, Tensor) or not like.is_labelled:
        raise ModeError("a labelled matrix folds into the axes of a labelled tensor.", legal="fold(m, 'i', t)")
    (n,) = places(like, mode, "fold")
    names = [like.names[k] for k in _others(like.ndim, n, order)]
    rows, columns = matrix.names
    if rows != like.names[n]:
        raise AxisError(f"the rows of the unfolding are {matrix.indices[0]!r}, and not {like.names[n]!r}.")
    parts = split(matrix, columns, names) if len(names) > 1 else matrix.renamed({columns: names[0]})
    return parts.permuted(like.names)


def mode_product(t: Any, matrix: Any, mode: int | str) -> Tensor:
    """The n-mode product: a matrix applied along one axis, which stays in its place.

    Args:
        t: a tensor.
        matrix: of the shape (new size, size); a vector contracts the axis away. For labelled tensors, one index meets
            the mode by name, space and variance; the other one takes its place.
        mode: the axis, by number or (labelled) by name.

    Raises:
        ShapeError: the sizes do not fit.
        AxisError, SpaceError, VarianceError: labelled indices do not fit, as in a product.

    >>> import tensoria as tn
    >>> t = tn.ones((2, 3, 4))
    >>> tn.mode_product(t, tn.ones((5, 3)), 1).shape
    (2, 5, 4)
    """
    x, m = tensor_of(t, "mode_product"), tensor_of(matrix, "mode_product")
    (n,) = places(x, mode, "mode_product")
    x, m = same_backend(x, m)
    if m.ndim not in (1, 2):
        raise ShapeError(f"an n-mode product is with a matrix or a vector, not with {m.ndim} axes.")
    if x.is_labelled or m.is_labelled:
        return _labelled_mode_product(x, m, n)
    if m.shape[-1] != x.shape[n]:
        raise ShapeError(f"axis {n} has the size {x.shape[n]}, and the matrix has {m.shape[-1]} columns.")
    term = tuple(range(x.ndim))
    put = (x.ndim,) if m.ndim == 2 else ()
    array = contracted(x._backend, m._array, (*put, n), x._array, term, (*term[:n], *put, *term[n + 1 :]))
    return new(x, array, PLAIN)


def _labelled_mode_product(t: Tensor, matrix: Tensor, n: int) -> Tensor:
    if not t.is_labelled or not matrix.is_labelled:
        raise ModeError("an n-mode product of a labelled tensor and a plain one.", legal="label both, m[j, -i]")
    _refuse_lead(t, "an n-mode product")
    name = t.names[n]
    rest = [index for index in matrix.indices if index.name != name]
    if len(rest) != matrix.ndim - 1:
        raise AxisError(
            f"the matrix {matrix.axes} has not one index {name!r} to meet that of {t.axes}.",
            legal=f'name it so: m.renamed(j="{name}")',
        )
    if any(index.name in t.names for index in rest):
        raise AxisError(
            f"the index {rest[0]!r} of the matrix is one of the tensor {t.axes} already.", legal="another name for it"
        )
    made = product(matrix, t)
    return made.permuted([*t.names[:n], *(index.name for index in rest), *t.names[n + 1 :]]) if made.ndim else made


def _others(rank: int, n: int, order: Order) -> tuple[int, ...]:
    if order not in ("C", "F"):
        raise AxisError(f"the order of the columns is 'C' or 'F', not {order!r}.")
    if rank < 2:
        raise AxisError("an unfolding has rows and columns: the tensor needs two axes or more.")
    others = [m for m in range(rank) if m != n]
    return tuple(others if order == "C" else reversed(others))


def _refuse_lead(t: Tensor, what: str) -> None:
    if t.lead:
        raise AxisError(f"{what} of a tensor with {t.lead} anonymous axes beside {t.axes}.", legal="name every axis")
