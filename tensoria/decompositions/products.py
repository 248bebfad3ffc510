"""Kronecker, Khatri-Rao and Hadamard products.

On plain tensors these are the matrix products of that name. On labelled ones they are what they stand for: the
Kronecker product is the tensor product with corresponding indices fused, the Khatri-Rao product is the same for one
index while a plain axis aligns, and the Hadamard product multiplies coordinates, which needs privileged bases.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from tensoria.algebra.fusing import fused
from tensoria.contraction import product
from tensoria.core import new, one_backend
from tensoria.decompositions.framing import contracted
from tensoria.errors import AxisError, ModeError, ShapeError
from tensoria.indices import PLAIN
from tensoria.namespace.dispatch import tensor_of
from tensoria.namespace.elementwise import multiply
from tensoria.tensor import Tensor

__all__ = ["hadamard", "khatri_rao", "kronecker"]


def kronecker(*operands: Any, into: str | Sequence[str] | None = None) -> Tensor:
    """The Kronecker product of two tensors or more with equally many axes; the last one's entries vary fastest.

    Args:
        operands: plain tensors, or labelled ones whose names all differ.
        into: for labelled tensors, the names of the fused indices, one for each position, as in `Tensor.fused`
            (`"p _q"`: up for the rows, down for the columns).

    Raises:
        ShapeError: the numbers of axes differ.
        SpaceError, AxisError: indices can not be fused, or names clash.

    >>> import tensoria as tn
    >>> tn.kronecker(tn.asarray([[1., 2.]]), tn.asarray([[1.], [10.]])).array
    array([[ 1.,  2.],
           [10., 20.]])
    >>> i, j, k, l = tn.indices("i j k l", tn.Space("V", 2))
    >>> A = tn.tensor([[1., 2.], [3., 4.]], [i, -j])
    >>> float(tn.kronecker(A, A[k, -l], into="p _q").trace("p", "q"))
    25.0
    """
    tensors = _operands(operands, "kronecker")
    if len({t.ndim for t in tensors}) > 1:
        raise ShapeError(f"a Kronecker product of tensors with {' and '.join(str(t.ndim) for t in tensors)} axes.")
    if tensors[0].is_labelled:
        names = _into(into, tensors[0].ndim, "p _q")
        made = reduce(product, tensors)
        if made.ndim != sum(t.ndim for t in tensors):
            raise AxisError(
                f"{' and '.join(str(t.axes) for t in tensors)} share a name, which contracts.",
                legal="t.renamed(...), so that all names differ",
            )
        for position, name in enumerate(names):
            made = fused(made, [t.names[position] for t in tensors], name)
        return made.permuted(names)
    return reduce(_plain_kronecker, tensors)


def _plain_kronecker(a: Tensor, b: Tensor) -> Tensor:
    rank, backend = a.ndim, a._backend
    first, second = tuple(range(0, 2 * rank, 2)), tuple(range(1, 2 * rank, 2))
    array = contracted(backend, a._array, first, b._array, second, tuple(range(2 * rank)))
    return new(a, backend.reshape(array, tuple(m * n for m, n in zip(a.shape, b.shape, strict=True))), PLAIN)


def khatri_rao(*operands: Any, into: str = "p") -> Tensor:
    """The Khatri-Rao product: the Kronecker product column by column; the last operand's rows vary fastest.

    Args:
        operands: matrices with equally many columns; or labelled tensors with one index each and one plain axis in
            common, as the factors of a CP decomposition.
        into: the name of the fused index, for labelled tensors.

    Returns:
        A matrix of (product of the numbers of rows, columns); labelled, with the fused index first.

    Raises:
        ShapeError: the numbers of columns differ, or an operand is no matrix.
        AxisError: labelled operands have no plain axis in common.

    >>> import tensoria as tn
    >>> tn.khatri_rao(tn.asarray([[1., 2.], [3., 4.]]), tn.asarray([[1., 10.], [100., 1000.]])).array
    array([[1.e+00, 2.e+01],
           [1.e+02, 2.e+03],
           [3.e+00, 4.e+01],
           [3.e+02, 4.e+03]])
    """
    tensors = _operands(operands, "khatri_rao")
    if any(t.ndim != 2 for t in tensors):
        raise ShapeError(f"a Khatri-Rao product of tensors with {' and '.join(str(t.ndim) for t in tensors)} axes.")
    if tensors[0].is_labelled:
        return _labelled_khatri_rao(tensors, into)
    if len({t.shape[1] for t in tensors}) > 1:
        raise ShapeError(f"the operands have {' and '.join(str(t.shape[1]) for t in tensors)} columns.")
    return reduce(_plain_khatri_rao, tensors)


def _plain_khatri_rao(a: Tensor, b: Tensor) -> Tensor:
    array = contracted(a._backend, a._array, (0, 2), b._array, (1, 2), (0, 1, 2))
    return new(a, a._backend.reshape(array, (a.shape[0] * b.shape[0], a.shape[1])), PLAIN)


def _labelled_khatri_rao(tensors: Sequence[Tensor], into: str) -> Tensor:
    common = set.intersection(*[{i.name for i in t.indices if i.basis is None} for t in tensors])
    if len(common) != 1:
        raise AxisError(
            f"{' and '.join(str(t.axes) for t in tensors)} need one plain axis in common, which aligns.",
            legal='A["i", "r"] and B["j", "r"] with one name for the columns',
        )
    (column,) = common
    made = reduce(product, tensors)
    names = [name for t in tensors for name in t.names if name != column]
    return fused(made, names, into).permuted([into.lstrip("^_"), column])


def hadamard(*operands: Any) -> Tensor:
    """The product entry by entry of tensors of one shape; labelled ones need privileged bases, as `tn.multiply` does.

    Raises:
        ShapeError: the shapes differ.
        BasisError: an index is not in a privileged basis.

    >>> import tensoria as tn
    >>> tn.hadamard(tn.asarray([1., 2.]), tn.asarray([3., 4.])).array
    array([3., 8.])
    """
    tensors = _operands(operands, "hadamard")
    if not tensors[0].is_labelled and len({t.shape for t in tensors}) > 1:
        raise ShapeError(f"a Hadamard product of the shapes {' and '.join(str(t.shape) for t in tensors)}.")
    return reduce(multiply, tensors)


def _operands(operands: Sequence[Any], what: str) -> list[Tensor]:
    if len(operands) < 2:
        raise AxisError(f"{what} is a product of two tensors or more.")
    tensors = one_backend([tensor_of(x, what) for x in operands])
    if len({t.is_labelled for t in tensors}) > 1:
        raise ModeError(f"{what} of labelled and plain tensors.", legal="label all of them, or take .components")
    return tensors


def _into(into: str | Sequence[str] | None, count: int, example: str) -> list[str]:
    names = into.split() if isinstance(into, str) else list(into or ())
    if len(names) != count:
        raise AxisError(
            f"{len(names)} names for the {count} fused indices of a Kronecker product.",
            legal=f'kronecker(a, b, into="{example}")',
        )
    return names
