"""SVD, QR, eigenvalues and polar decomposition between two groups of indices.

A factorisation makes a fresh orthonormal *bond* space: of T = U S V, U carries it down, S is a (1,1) tensor on it and V
carries it up, so that `U * S * V` is T again. "Orthonormal" means with respect to the metrics of the spaces: components
are brought to orthonormal frames first (whitening, by the Cholesky factor of each metric) and back afterwards, so that
singular values do not depend on the basis. `metric="components"` takes the components as they are instead. Eigenvalues
need no metric, and exist for (1,1) tensors only.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, TypeVar

import numpy as np

from tensoria.backend import Array
from tensoria.components import Components
from tensoria.core import BaseTensor, T, new, require_labelled, transposed
from tensoria.errors import (
    AxisError,
    DTypeError,
    MatrixError,
    MetricError,
    ShapeError,
    SpaceError,
    SymmetryError,
    VarianceError,
)
from tensoria.indices import Axes, Index, plain, primed
from tensoria.matching import check_same_frame
from tensoria.metric import applied, split_names
from tensoria.spaces import Basis, Field, Space
from tensoria.spectral import ALL, in_blocks, precision
from tensoria.structure import Cache, Structure, structural

__all__ = [
    "QR",
    "SVD",
    "Eig",
    "EigH",
    "Names",
    "Polar",
    "Whitening",
    "eig",
    "eigh",
    "eigvals",
    "fresh_space",
    "polar",
    "qr",
    "require_floats",
    "svd",
    "whitened",
]

Names = str | Iterable[str]
Whitening = Literal["spaces", "components"]
B = TypeVar("B", bound=BaseTensor)


class SVD(NamedTuple, Generic[B]):
    """T = U * S * V: U's bond index is down, S is (1,1) and diagonal, V's bond index is up."""

    U: B
    S: B
    V: B


class QR(NamedTuple, Generic[B]):
    """T = Q * R: Q's bond index is down and its columns are orthonormal, R's bond index is up."""

    Q: B
    R: B


class Eig(NamedTuple, Generic[B]):
    """Eigenvalues along the plain axis `eigenvalue`, and eigenvectors, whose bond index is down."""

    values: B
    vectors: B


class EigH(NamedTuple, Generic[B]):
    """T = vectors * values * covectors, with the variances of `SVD`."""

    vectors: B
    values: B
    covectors: B


class Polar(NamedTuple, Generic[B]):
    """T = isometry * positive."""

    isometry: B
    positive: B


def svd(
    t: T, rows: Names, columns: Names, *, rank: int | None = None, bond: str = "b", metric: Whitening = "spaces"
) -> SVD[T]:
    """The singular value decomposition between two groups of indices.

    Args:
        t: a labelled tensor; plain and leading axes are a batch.
        rows, columns: the two groups, together all indices of the tensor.
        rank: keep only so many of the largest singular values.
        bond: the name of the bond index (primed if it is taken).
        metric: `"spaces"` respects the metrics, `"components"` ignores them.

    Raises:
        MetricError: a space has no metric, or an indefinite one.
        AxisError: the groups are not the tensor's indices.
        MatrixError: a component is not finite.
        ShapeError: the rank is no positive integer.

    >>> import tensoria as tn
    >>> V = tn.Space("V", 2, metric=[[2, 1], [1, 3]])
    >>> i, j = tn.indices("i j", V)
    >>> U, S, W = svd(tn.tensor([[1., 2.], [3., 4.]], [i, -j]), "i", "j")
    >>> S.array.diagonal().round(6)
    array([5.446573, 0.367203])
    """
    matrix, groups = _matrix(t, rows, columns, metric, (True, True))
    rank = None if rank is None else _rank(rank)
    _require_finite(t, matrix, "svd")
    u, s, vh = t._backend.svd(matrix, in_blocks(t.dtype.kind, t.dtype.itemsize))
    if rank is not None:
        u, s, vh = u[..., :, :rank], s[..., :rank], vh[..., :rank, :]
    first, second = _bond(t, groups, bond, t._backend.shape(s)[-1])
    diagonal = _scales(t, matrix, u, s, vh)
    return SVD(
        _rebuilt(t, u, groups, groups.rows, (), (-first,), metric),
        new(t, diagonal, (*groups.batch, first, -second)),
        _rebuilt(t, vh, groups, (), groups.columns, (second,), metric),
    )


def qr(t: T, rows: Names, columns: Names, *, bond: str = "b", metric: Whitening = "spaces") -> QR[T]:
    """The QR decomposition between two groups of indices; only the metrics of the rows matter.

    Args and errors as for `svd`.
    """
    matrix, groups = _matrix(t, rows, columns, metric, (True, False))
    q, r = t._backend.xp.linalg.qr(matrix, mode="reduced")
    index, _ = _bond(t, groups, bond, t._backend.shape(q)[-1])
    return QR(
        _rebuilt(t, q, groups, groups.rows, (), (-index,), metric),
        _rebuilt(t, r, groups, (), groups.columns, (index,), "components"),
    )


def polar(t: T, rows: Names, columns: Names, *, metric: Whitening = "spaces") -> Polar[T]:
    """The polar decomposition T = isometry * positive of a linear map, by its singular value decomposition.

    Args:
        t: a labelled tensor.
        rows, columns: the two groups; the columns are the map's arguments. The positive part maps their space to
            itself, from the columns' own names to primed ones.
        metric: as for `svd`.

    Raises:
        ShapeError: the rows have a smaller dimension than the columns, so that no isometry exists.
        MetricError, AxisError: as `svd`.
    """
    matrix, groups = _matrix(t, rows, columns, metric, (True, True))
    shape = t._backend.shape(matrix)
    if shape[-2] is not None and shape[-1] is not None and shape[-2] < shape[-1]:
        raise ShapeError(
            f"no isometry from dimension {shape[-1]} to the smaller dimension {shape[-2]}.",
            legal="the polar decomposition of adjoint(t)",
        )
    xp = t._backend.xp
    _require_finite(t, matrix, "polar")
    # No single singular vector matters, so that derivatives need no differences of singular values.
    u, s, vh = t._backend.svd(matrix, ALL)
    v = _adjoint(t, vh)
    taken = list(t._axes.names)
    inner: list[Index] = []
    sizes: dict[str, int] = {}
    for index in groups.columns:
        name = primed(index.name, taken)
        taken.append(name)
        inner.append(index.renamed(name))
        sizes[name] = t.shape[t.lead + t._axes.find(index.name)]
    isometry = _rebuilt(t, xp.matmul(u, vh), groups, groups.rows, tuple(inner), (), metric, sizes)
    scaled = xp.matmul(v, _scales(t, matrix, u, s, vh))
    upper = tuple(-index for index in inner)
    return Polar(isometry, _rebuilt(t, xp.matmul(scaled, vh), groups, upper, groups.columns, (), metric, sizes))


def eigvals(t: T, rows: Names | None = None, columns: Names | None = None) -> T:
    """The eigenvalues of a (1,1) tensor, which do not depend on the basis; complex, in no particular order.

    Args:
        t: a labelled tensor; plain and leading axes are a batch.
        rows, columns: groups of up and of down indices of the same spaces, in corresponding order; the only up and
            the only down index if not given.

    Returns:
        The eigenvalues along the plain axis `eigenvalue`.

    Raises:
        VarianceError: the tensor is no linear map of a space to itself; a bilinear form has no eigenvalues.
        SpaceError: it maps one space to another.
    """
    matrix, groups = _endomorphism(t, rows, columns)
    _require_finite(t, matrix, "eigvals")
    return new(t, t._backend.eigvals(matrix), (*groups.batch, plain("eigenvalue")))


def eig(t: T, rows: Names | None = None, columns: Names | None = None, *, bond: str = "b") -> Eig[T]:
    """Eigenvalues and eigenvectors of a (1,1) tensor: t V^j_b = V^i_b lambda_b; arguments and errors as `eigvals`."""
    matrix, groups = _endomorphism(t, rows, columns)
    _require_finite(t, matrix, "eig")
    values, vectors = t._backend.eig(matrix)
    index, _ = _bond(t, groups, bond, t._backend.shape(values)[-1], "complex")
    return Eig(
        new(t, values, (*groups.batch, plain("eigenvalue"))),
        _rebuilt(t, vectors, groups, groups.rows, (), (-index,), "components"),
    )


def eigh(
    t: T, rows: Names | None = None, columns: Names | None = None, *, bond: str = "b", metric: Whitening = "spaces"
) -> EigH[T]:
    """The eigenvalues of a self-adjoint linear map, real and ascending, and an orthonormal basis of its eigenvectors.

    Args:
        t: a labelled tensor; plain and leading axes are a batch.
        rows, columns: as for `eigvals`.
        bond: the name of the bond index (primed if it is taken).
        metric: as for `svd`.

    Raises:
        SymmetryError: the map is not self-adjoint (while a framework traces, its self-adjoint part is taken).
        MetricError: a space has no metric, or an indefinite one.
        VarianceError, SpaceError, AxisError, MatrixError: as for `eigvals` and `svd`.

    >>> import tensoria as tn
    >>> i, j = tn.indices("i j", tn.Space("V", 2, metric=[[2, 1], [1, 3]]))
    >>> X, D, Y = tn.eigh(tn.tensor([[1., 2.], [3., 4.]], [-i, -j]).symmetrised("i j").raised("i"))
    >>> X.names, D.array.diagonal().round(6)
    (('i', 'b'), array([-0.3,  1.5]))
    """
    require_labelled(t, "an eigenvalue problem")
    require_floats(t)
    groups = _square(t._axes, split_names(rows), split_names(columns))
    names = [[index.name for index in group] for group in (groups.rows, groups.columns)]
    matrix, groups = _matrix(t, names[0], names[1], metric, (True, True))
    _require_finite(t, matrix, "eigh")
    backend, turned = t._backend, _adjoint(t, matrix)
    numbers = backend.numbers(matrix)
    if numbers is not None and numbers.size:
        off = np.abs(numbers - numbers.conj().swapaxes(-1, -2)).max()
        if off > 1000 * precision(t.dtype.kind, t.dtype.itemsize) * np.abs(numbers).max():
            raise SymmetryError(
                f"the map {t._axes} is not self-adjoint{' in the metric' * (metric == 'spaces')}.",
                legal="tn.eig(t)",
            )
    matrix = backend.operators["multiply"](backend.add(matrix, turned), 0.5)
    w, v = backend.eigh(matrix, in_blocks(t.dtype.kind, t.dtype.itemsize))
    first, second = _bond(t, groups, bond, backend.shape(w)[-1])
    vh = _adjoint(t, v)
    return EigH(
        _rebuilt(t, v, groups, groups.rows, (), (-first,), metric),
        new(t, _scales(t, matrix, v, w, vh), (*groups.batch, first, -second)),
        _rebuilt(t, vh, groups, (), groups.columns, (second,), metric),
    )


# -- groups of indices as matrices -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Groups(Structure):
    batch: tuple[Index, ...]
    rows: tuple[Index, ...]
    columns: tuple[Index, ...]


@structural
def _grouped(of: Axes, rows: tuple[str, ...], columns: tuple[str, ...]) -> _Groups:
    chosen = [of.indices[of.find(name)] for name in (*rows, *columns)]
    if len({index.name for index in chosen}) != len(chosen) or not rows or not columns:
        raise AxisError(
            f"rows {list(rows)} and columns {list(columns)} are two groups of different indices.",
            legal='svd(t, "i", "j k")',
        )
    rest = [index for index in of.indices if index not in chosen]
    for index in rest:
        if index.basis is not None:
            raise AxisError(
                f"{index!r} is neither in the rows {list(rows)} nor in the columns {list(columns)}.",
                legal="name every index that has a space; plain axes are a batch",
            )
    return _Groups(tuple(rest), tuple(chosen[: len(rows)]), tuple(chosen[len(rows) :]))


def _matrix(t: T, rows: Names, columns: Names, metric: Whitening, whiten: tuple[bool, bool]) -> tuple[Array, _Groups]:
    require_labelled(t, "a factorisation")
    if metric not in ("spaces", "components"):
        raise MetricError(f"metric is 'spaces' or 'components' here, not {metric!r}.")
    require_floats(t)
    groups = _grouped(t._axes, split_names(rows) or (), split_names(columns) or ())
    for group, wanted in zip((groups.rows, groups.columns), whiten, strict=True):
        if wanted and metric == "spaces":
            for index in group:
                t = whitened(t, index, inverse=False)
    return _flattened(t, groups), groups


def require_floats(t: BaseTensor) -> None:
    """Raise unless the tensor's data type is one that backends factorise.

    Raises:
        DTypeError: it is not.
    """
    if t.dtype.kind not in ("float", "complex") or t.dtype.itemsize < 4:
        raise DTypeError(f"no backend factorises {t.dtype}.", legal='t.to(dtype="float64")')


def _flattened(t: T, groups: _Groups) -> Array:
    order = [t._axes.find(index.name) for index in (*groups.batch, *groups.rows, *groups.columns)]
    t = transposed(t, order)
    shape = t._backend.shape(t._array)
    at = t.lead + len(groups.batch)
    middle = at + len(groups.rows)
    target = (*shape[:at], _size(shape[at:middle]), _size(shape[middle:]))
    return t._array if target == shape else t._backend.reshape(t._array, target)


def _size(sizes: tuple[int | None, ...]) -> int:
    total = 1
    for size in sizes:
        if size is None:
            return -1
        total *= size
    return total


def _rebuilt(
    t: T,
    matrix: Array,
    groups: _Groups,
    rows: tuple[Index, ...],
    columns: tuple[Index, ...],
    bond: tuple[Index, ...],
    metric: Whitening,
    more: dict[str, int] | None = None,
) -> T:
    """A factor as a tensor again: groups take their axes and their frames back; the bond stands for an empty group."""
    shape = t._backend.shape(matrix)
    sizes = {index.name: size for index, size in zip(t._axes.indices, t.shape[t.lead :], strict=True)}
    sizes.update(more or {})
    first = tuple(sizes[index.name] for index in rows) if rows else (shape[-2],)
    second = tuple(sizes[index.name] for index in columns) if columns else (shape[-1],)
    target = (*shape[:-2], *first, *second)
    array = matrix if target == shape else t._backend.reshape(matrix, target)
    result = new(t, array, (*groups.batch, *(rows or bond), *(columns or bond)))
    if metric == "spaces":
        for index in (*rows, *columns):
            result = whitened(result, index, inverse=True)
    return result


def _diagonal(t: BaseTensor, s: Array, matrix: Array) -> Array:
    """The singular values on the diagonal of a matrix, in the data type of the factors."""
    xp = t._backend.xp
    size = t._backend.shape(s)[-1]
    assert size is not None
    s = xp.astype(s, matrix.dtype)
    identity = t._backend.constant(_eye(size), t._backend.dtype(matrix), matrix)
    return xp.multiply(xp.expand_dims(s, axis=-1), identity)


def _rank(rank: int) -> int:
    try:
        wanted = operator.index(rank)
    except TypeError:
        raise ShapeError(f"a rank is a number of singular values, not {rank!r}.", legal="rank=2") from None
    if wanted < 1:
        raise ShapeError(f"a rank of {wanted}: at least one singular value is kept.")
    return wanted


def _require_finite(t: BaseTensor, matrix: Array, what: str) -> None:
    """Raise unless all components are finite, which passes while a framework traces: iterations need not end."""
    if t._backend.all_finite(matrix) is False:
        raise MatrixError(f"{what}: a component is not finite.", legal="tn.isfinite(t.components) shows which")


def _scales(t: BaseTensor, matrix: Array, u: Array, s: Array, vh: Array) -> Array:
    """S as a matrix. It is U^H T V, which tells its derivatives; those off the diagonal are not zero where singular
    values are equal (see `spectral`).
    """
    backend, diagonal = t._backend, _diagonal(t, s, matrix)
    if not backend.watched(matrix):
        return diagonal
    product = backend.xp.matmul(backend.xp.matmul(_adjoint(t, u), matrix), _adjoint(t, vh))
    return backend.add(backend.detach(diagonal), backend.subtract(product, backend.detach(product)))


def _adjoint(t: BaseTensor, matrix: Array) -> Array:
    xp = t._backend.xp
    return xp.matrix_transpose(xp.conj(matrix) if t._backend.dtype(matrix).kind == "complex" else matrix)


@structural
def _eye(size: int) -> Components:
    return _eyes[size]


_eyes: Cache[int, Components] = Cache(lambda size: Components(np.eye(size)), limit=64)


def _bond(
    t: BaseTensor, groups: _Groups, name: str, size: int | None, field: Field | None = None
) -> tuple[Index, Index]:
    if size is None:
        raise ShapeError("a factorisation needs the sizes of its groups; here one is not known while tracing.")
    complex_ = any(i.space is not None and i.space.field == "complex" for i in (*groups.rows, *groups.columns))
    space = fresh_space(size, field or ("complex" if complex_ else "real"))
    first = primed(name, t._axes.names)
    second = primed(first + "'", t._axes.names)
    return Index(first, space), Index(second, space)


@structural
def fresh_space(size: int, field: Field) -> Space:
    """A bond space that no other factorisation has."""
    return Space.bond(size, field=field)


def _endomorphism(t: T, rows: Names | None, columns: Names | None) -> tuple[Array, _Groups]:
    require_labelled(t, "an eigenvalue problem")
    require_floats(t)
    groups = _square(t._axes, split_names(rows), split_names(columns))
    return _flattened(t, groups), groups


@structural
def _square(of: Axes, rows: tuple[str, ...] | None, columns: tuple[str, ...] | None) -> _Groups:
    slots = [index for index in of.indices if index.basis is not None]
    if rows is None and columns is None:
        up, down = [i for i in slots if i.variance > 0], [i for i in slots if i.variance < 0]
        if len(slots) == 2 and len(up) != 1:
            raise _no_eigenvalues(slots[0], slots[1])
        if len(up) != 1 or len(down) != 1:
            raise AxisError(
                f"which indices of {of} are the map's result and argument?",
                legal='eigvals(t, rows="i k", columns="j l")',
            )
        rows, columns = (up[0].name,), (down[0].name,)
    groups = _grouped(of, rows or (), columns or ())
    if len(groups.rows) != len(groups.columns):
        raise AxisError(f"{len(groups.rows)} indices for the result and {len(groups.columns)} for the argument.")
    for a, b in zip(groups.rows, groups.columns, strict=True):
        if a.variance == b.variance and a.basis is b.basis:
            raise _no_eigenvalues(a, b)
        if a.basis is None or b.basis is None:
            raise SpaceError(f"{a!r} and {b!r}: a linear map has a space on both sides.")
        check_same_frame(a, b.renamed(a.name), "an eigenvalue problem")
    return groups


def _no_eigenvalues(a: Index, b: Index) -> VarianceError:
    kind, verb = ("covariant", "raised") if a.variance < 0 else ("contravariant", "lowered")
    return VarianceError(
        f"{a!r} and {b!r} are both {kind}: a bilinear form has no eigenvalues, because they would change under a "
        "change of basis.",
        legal=f't.{verb}("{a.name}") makes a linear map of it, with the metric; singular values are tn.svd',
    )


# -- whitening --------------------------------------------------------------------------------------------------------


def whitened(t: T, index: Index, inverse: bool) -> T:
    """One index's components in an orthonormal frame (or back from it); the labels stay as they are meanwhile."""
    matrix = _whitener(index, inverse)
    return t if matrix is None else applied(t, t._axes.find(index.name), matrix, index)


@structural
def _whitener(index: Index, inverse: bool) -> Components | None:
    if index.basis is None:
        return None
    return _whiteners[index.basis, index.variance > 0, inverse]


def _compute_whitener(key: tuple[Basis, bool, bool]) -> Components | None:
    basis, up, inverse = key
    if basis.kind == "none":
        raise MetricError(
            f"{basis.space} has no metric, so 'orthonormal' means nothing for its indices.",
            legal=f"Space({basis.space.name!r}, ..., metric=...), or metric='components' to ignore it",
        )
    if basis.space.bilinear:
        raise MetricError(
            f"the metric of {basis.space} is bilinear, and 'orthonormal' needs a Hermitian one.",
            legal="metric='components' uses the components as they are",
        )
    if basis.kind == "identity":
        return None
    try:
        lower = np.linalg.cholesky(basis.gram)
    except np.linalg.LinAlgError:
        raise MetricError(
            f"the metric of {basis.space} is indefinite, so there is no orthonormal frame to factorise in.",
            legal="metric='components' uses the components as they are",
        ) from None
    # g = L L^dagger: up components become L^dagger v, down ones (L^dagger)^{-T} a.
    frame = lower.conj().T
    matrix = frame if up else np.linalg.inv(frame).T
    return Components(np.linalg.inv(matrix) if inverse else matrix)


_whiteners: Cache[tuple[Basis, bool, bool], Components | None] = Cache(_compute_whitener, limit=512)
