"""Numbers that belong to a space, ready for every backend: metrics, their inverses, changes of basis.

They are computed once per basis on the host in double precision, and handed to a backend as a `Components` value. The
backend keeps the native array (data type, device) in a bounded cache, or, while its framework traces, writes the
numbers into the program as a constant.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tensoria.dtypes import DTYPES, DType
from tensoria.errors import SpaceError
from tensoria.spaces import Basis, Matrix
from tensoria.structure import Cache, Structure, structural

__all__ = ["Components", "change", "dtype_for", "flat", "gram", "of_array"]


class Components(Structure):
    """An array of numbers, known by identity."""

    values: Matrix
    complex: bool
    integral: bool
    negative: bool
    largest: float

    def __init__(self, values: Matrix) -> None:
        real = not np.iscomplexobj(values) or not np.abs(values.imag).max(initial=0)
        self.values = np.array(values.real if real else values, order="C")
        self.values.setflags(write=False)
        self.complex = not real
        self.integral = bool(real and (self.values == np.rint(self.values)).all())
        self.largest = float(np.abs(self.values).max(initial=0))
        self.negative = bool(real and (self.values < 0).any())


@structural
def flat(components: Components) -> tuple[tuple[Any, ...], tuple[int, ...]]:
    """The numbers in row-major order, and the shape: what a traced program can hold as a constant."""
    return tuple(components.values.ravel().tolist()), components.values.shape


@structural
def gram(basis: Basis, inverse: bool, diagonal: bool) -> Components:
    """The metric's components in a basis, or the inverse's; only the diagonal of it where the metric is diagonal.

    Raises:
        MetricError: the space has no metric.
    """
    return _grams[basis, inverse, diagonal]


def _gram(key: tuple[Basis, bool, bool]) -> Components:
    basis, inverse, diagonal = key
    matrix = basis.inverse_gram if inverse else basis.gram
    return Components(np.diag(matrix).copy() if diagonal else matrix)


_grams: Cache[tuple[Basis, bool, bool], Components] = Cache(_gram, limit=1024)


@structural
def change(old: Basis, new: Basis, up: bool) -> Components | None:
    """The matrix that takes components in one basis of a space to another: L^-1 for up indices, L^T for down ones.

    Here b_new = b_old L. None where the two frames are the same.

    Raises:
        SpaceError: the bases belong to different spaces.
    """
    return _changes[old, new, up]


def _change(key: tuple[Basis, Basis, bool]) -> Components | None:
    old, new, up = key
    if old.space is not new.space:
        raise SpaceError(
            f"{new!r} is no basis of {old.space}.", legal=f"{old.space.name}.basis({new.name or 'name'!r}, L)"
        )
    if old is new:
        return None
    # old = standard L_old, new = standard L_new, so new = old (L_old^-1 L_new).
    size = old.space.dimension
    if isinstance(size, str):
        raise SpaceError(f"{old.space} has a symbolic dimension and so only its standard basis.")
    first = np.eye(size) if old.matrix is None else old.matrix
    second = np.eye(size) if new.matrix is None else new.matrix
    return Components(np.linalg.solve(second, first) if up else np.linalg.solve(first, second).T)


_changes: Cache[tuple[Basis, Basis, bool], Components | None] = Cache(_change, limit=1024)


def of_array(values: Any) -> Components:
    """Numbers that belong to no basis (a Levi-Civita symbol, say)."""
    return Components(np.asarray(values))


@structural
def dtype_for(components: Components, like: DType) -> DType:
    """The data type in which these numbers meet an array of another one: no precision and no sign is lost."""
    if like.kind == "complex" or (like.kind == "float" and not components.complex):
        return like
    if components.complex:
        return DTYPES["complex64" if like.name == "float32" else "complex128"]
    if not components.integral:
        return DTYPES["float64"]
    # Products with a metric outgrow the smallest integers.
    wide = like.itemsize >= 4 and components.largest < 2 ** (8 * like.itemsize - 1)
    return like if wide and (like.kind == "int" or not components.negative) else DTYPES["int64"]
