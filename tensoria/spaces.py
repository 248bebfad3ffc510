"""Vector spaces and their bases: what an index ranges over.

A `Space` is a name with facts attached: a dimension (an integer, or a symbol that each call binds), a field, and
possibly a metric and a privileged basis. Identity is *nominal*: position R^3 and momentum R^3 are different spaces
although their dimensions agree. Every index refers to a `Basis` of its space, because components mean nothing
without one; each space has a standard basis, and `V.basis("polar", L)` names another, whose vectors are the columns
of L: b~ = b L.

Spaces and bases are interned: constructing the same one twice (or unpickling it) gives the same object, so that
equality is identity and costs nothing on hot paths.
"""

from __future__ import annotations

import itertools
import os
import re
import threading
import weakref
from collections.abc import Hashable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tensoria.errors import MetricError, ShapeError, SpaceError
from tensoria.structure import Structure

__all__ = ["Basis", "Dimension", "Metric", "ProductSpace", "Space", "Variance", "bond_of", "frame"]

Dimension = int | str
Variance = Literal[-1, 0, 1]
Metric = Literal["none", "identity", "diagonal", "full"]
Position = Literal["fixed", "free", "independent"]
Field = Literal["real", "complex"]
Matrix = npt.NDArray[Any]

_NAME = re.compile(r"[^\W\d](?:\w|[-./⊗()*·^])*'*\Z")
_SYMBOL = re.compile(r"[^\W\d]\w*\Z")
_lock = threading.RLock()
_spaces: weakref.WeakValueDictionary[Hashable, Space] = weakref.WeakValueDictionary()
_bases: weakref.WeakValueDictionary[Hashable, Basis] = weakref.WeakValueDictionary()
_bonds = itertools.count(1)


def _frozen(matrix: Matrix) -> Matrix:
    matrix = np.array(matrix, copy=True)
    matrix.setflags(write=False)
    return matrix


def _digest(matrix: Matrix | None) -> str | None:
    if matrix is None:
        return None
    import hashlib  # loads OpenSSL, which spaces without a metric do not need

    return hashlib.sha256(str(matrix.shape).encode() + np.ascontiguousarray(matrix + 0.0).tobytes()).hexdigest()


def _square(data: Any, what: str, space: str, dimension: Dimension, field: Field) -> Matrix:
    """`data` as a finite, nonsingular square matrix of the space's dimension; a vector is its diagonal."""
    try:
        matrix = np.asarray(data, dtype=np.complex128 if field == "complex" else np.float64)
    except (TypeError, ValueError, np.exceptions.ComplexWarning) as error:
        raise MetricError(f"the {what} of {space} is no matrix of {field} numbers: {error}") from None
    if np.iscomplexobj(np.asarray(data)) and field == "real":
        raise MetricError(f"the {what} of the real space {space} has complex entries.", legal='field="complex"')
    if matrix.ndim == 1:
        matrix = np.diag(matrix)
    if isinstance(dimension, str):
        raise MetricError(
            f"{space} has the symbolic dimension {dimension!r}, so a {what} of fixed components can not belong to it.",
            legal=f"Space({space!r}, {dimension!r}, privileged=True) has the orthonormal metric of any size",
        )
    if matrix.shape != (dimension, dimension):
        raise ShapeError(f"the {what} of {space} must be {dimension}x{dimension}; its shape is {matrix.shape}.")
    if not np.isfinite(matrix).all():
        raise MetricError(f"the {what} of {space} has entries that are not finite.")
    # Relative to the largest singular value, so that units (metres or light years) do not matter.
    singular = np.linalg.svd(matrix, compute_uv=False)
    if dimension and singular[-1] <= singular[0] * dimension * np.finfo(np.float64).eps:
        raise MetricError(f"the {what} of {space} is singular (smallest singular value {singular[-1]:.3g}).")
    return matrix


class Space(Structure):
    """A finite-dimensional vector space, known by its name.

    Args:
        name: the name; two spaces are the same only if name and all data agree.
        dimension: an integer, or a symbol such as `"T"` that every call binds (tokens, batch, width).
        metric: the Gram matrix of the standard basis, shape (n, n), or its diagonal, shape (n,); any signature.
            On a complex space it is Hermitian (antilinear in its first slot) unless `bilinear=True`.
        field: `"real"` or `"complex"`.
        position: `"fixed"`: a metric is used only on request; `"free"`: `*`, `+` and gradients insert it (real
            spaces only); `"independent"`: raising and lowering are errors.
        privileged: whether the standard basis is privileged (neurons, tokens, vocabulary), so that operations that
            depend on the basis are meaningful. Without a declared metric it counts as orthonormal.
        bilinear: on a complex space, the metric is bilinear and symmetric rather than Hermitian.

    Raises:
        MetricError: the metric is singular, not symmetric (Hermitian), or not finite.
        ShapeError: the dimension is negative or does not fit the metric.

    >>> M = Space("M", 4, metric=[-1, 1, 1, 1])
    >>> M
    Space('M', 4, metric=diag(-1, 1, 1, 1))
    >>> M is Space("M", 4, metric=[-1, 1, 1, 1])
    True
    """

    name: str
    dimension: Dimension
    metric: Matrix | None
    field: Field
    position: Position
    privileged: bool
    bilinear: bool
    conjugated: bool
    token: str | None
    _standard: Basis

    def __new__(
        cls,
        name: str,
        dimension: Dimension,
        *,
        metric: Any = None,
        field: Field = "real",
        position: Position = "fixed",
        privileged: bool = False,
        bilinear: bool = False,
    ) -> Space:
        if not isinstance(name, str) or not _NAME.match(name):
            raise SpaceError(f"a space is named by a word such as 'V' or 'residual', not {name!r}.")
        dimension = _checked_dimension(name, dimension)
        _choice(name, "field", field, ("real", "complex"))
        _choice(name, "position", position, ("fixed", "free", "independent"))
        if position == "free" and field == "complex":
            raise MetricError(f"{name} is complex, and only a real space can have position='free'.")
        if bilinear and field == "real":
            raise MetricError(f"{name} is real; bilinear=True is for complex spaces.")
        if metric is not None:
            metric = _square(metric, "metric", name, dimension, field)
            mirror = metric.T if bilinear else metric.conj().T
            if not np.allclose(metric, mirror, rtol=1e-12, atol=1e-12 * np.abs(metric).max(initial=0)):
                wanted = "symmetric" if field == "real" or bilinear else "Hermitian"
                raise MetricError(f"the metric of {name} is not {wanted}.")
            metric = (metric + mirror) / 2
        return _space(
            Space,
            name,
            dimension,
            field,
            position,
            metric,
            bool(privileged),
            bool(bilinear),
            conjugated=False,
            token=None,
        )

    # -- what it is ------------------------------------------------------------------------------------------------

    @property
    def standard(self) -> Basis:
        """The basis in which the metric is declared."""
        return self._standard

    @property
    def is_bond(self) -> bool:
        """Whether the space was made by a factorisation; every bond space is unique."""
        return self.token is not None

    def conj(self) -> Space:
        """The complex conjugate space; a real space is its own.

        >>> Space("V", 2).conj()
        Space('V', 2)
        """
        if self.field == "real":
            return self
        return _space(
            type(self),
            self.name,
            self.dimension,
            self.field,
            self.position,
            None if self.metric is None else self.metric.conj(),
            self.privileged,
            self.bilinear,
            conjugated=not self.conjugated,
            token=self.token,
        )

    def basis(self, name: str, matrix: Any) -> Basis:
        """A named basis whose vectors are the columns of `matrix`, in terms of the standard basis: b~ = b L.

        Args:
            name: the name of the basis.
            matrix: L, shape (n, n), nonsingular.

        Raises:
            MetricError: L is singular or not finite.

        >>> polar = Space("V", 2).basis("polar", [[1, 2], [0, 1]])
        >>> polar
        Basis('polar' of V)
        """
        if not isinstance(name, str) or not _NAME.match(name):
            raise SpaceError(f"a basis is named by a word such as 'polar', not {name!r}.")
        return _basis(self, name, _square(matrix, f"basis {name!r}", self.name, self.dimension, self.field))

    @staticmethod
    def bond(dimension: int, *, field: Field = "real", name: str = "bond") -> Space:
        """A fresh orthonormal space that equals no other, as factorisations make them.

        >>> Space.bond(3) is Space.bond(3)
        False
        """
        token = os.urandom(16).hex()
        return _space(Space, f"{name}{next(_bonds)}", dimension, field, "fixed", None, True, False, False, token)

    # -- identity --------------------------------------------------------------------------------------------------

    def difference(self, other: Space) -> str:
        """What tells two spaces of one name apart, in words."""
        facts = ("dimension", "field", "position", "privileged", "bilinear", "conjugated")
        for fact in facts:
            mine, theirs = getattr(self, fact), getattr(other, fact)
            if mine != theirs:
                return f"{fact} {mine!r} against {theirs!r}"
        if _digest(self.metric) != _digest(other.metric):
            return "different metrics"
        return "two bond spaces, each of which is unique" if self.token != other.token else "different factors"

    def __reduce__(self) -> tuple[Any, ...]:
        return _space, (
            Space,
            self.name,
            self.dimension,
            self.field,
            self.position,
            self.metric,
            self.privileged,
            self.bilinear,
            self.conjugated,
            self.token,
        )

    def __str__(self) -> str:
        return f"{'conj ' if self.conjugated else ''}{self.name}({self.dimension})"

    def __repr__(self) -> str:
        parts = [repr(self.name), repr(self.dimension)]
        if self.metric is not None:
            parts.append(f"metric={_shown(self.metric)}")
        if self.field != "real":
            parts.append(f"field={self.field!r}")
        if self.position != "fixed":
            parts.append(f"position={self.position!r}")
        if self.privileged:
            parts.append("privileged=True")
        if self.bilinear:
            parts.append("bilinear=True")
        return f"Space({', '.join(parts)}){'.conj()' if self.conjugated else ''}"


class ProductSpace(Space):
    """The tensor product of an ordered list of factors, which it remembers so that it can be split again.

    Each factor is a basis with a variance; that ordered list *is* the identity of the space. An up index of it stands
    for the factors as they are, a down index for the factors with every variance reversed.

    >>> U, V = Space("U", 2), Space("V", 3)
    >>> ProductSpace([(U.standard, 1), (V.standard, -1)])
    ProductSpace(U⊗V*, 6)
    """

    factors: tuple[tuple[Basis, Variance], ...]

    def __new__(cls, factors: Sequence[tuple[Basis, Variance]]) -> ProductSpace:
        factors = tuple((frame(basis), variance) for basis, variance in factors)
        key = ("product", factors)
        with _lock:
            found = _spaces.get(key)
            if isinstance(found, ProductSpace):
                return found
            space = object.__new__(ProductSpace)
            spaces = [basis.space for basis, _ in factors]
            space.factors = factors
            space.name = "⊗".join(str(basis.label) + ("*" if variance < 0 else "") for basis, variance in factors)
            sizes = [s.dimension for s in spaces]
            fixed = [n for n in sizes if isinstance(n, int)]
            space.dimension = int(np.prod(fixed)) if len(fixed) == len(sizes) else "·".join(str(n) for n in sizes)
            space.field = "complex" if any(s.field == "complex" for s in spaces) else "real"
            space.position = "independent" if any(s.position == "independent" for s in spaces) else "fixed"
            space.metric = None
            space.privileged = all(basis.privileged for basis, _ in factors)
            space.bilinear = space.field == "complex" and all(s.bilinear for s in spaces if s.field == "complex")
            space.conjugated = False
            space.token = None
            space._standard = _new_basis(space, None, None)
            _spaces[key] = space
            return space

    def conj(self) -> ProductSpace:
        """The product of the conjugate factors."""
        return ProductSpace([(basis.conj(), variance) for basis, variance in self.factors])

    def __reduce__(self) -> tuple[Any, ...]:
        return ProductSpace, (self.factors,)

    def __str__(self) -> str:
        return f"{self.name}({self.dimension})"

    def __repr__(self) -> str:
        return f"ProductSpace({self.name}, {self.dimension})"


class Basis(Structure):
    """A named frame of a space: the vectors that components refer to.

    `Space.standard` and `Space.basis` make them. `matrix` (None for the standard basis) holds the basis vectors as
    columns in the standard basis. Lower components transform with L, upper ones with its inverse, and the metric's
    components are those in this basis.
    """

    name: str | None
    space: Space
    matrix: Matrix | None
    _gram: Matrix | None
    _inverse: Matrix | None
    _kind: Metric | None

    @property
    def label(self) -> str:
        """The space's name, with the basis' name if it is not the standard one."""
        return self.space.name if self.name is None else f"{self.space.name}[{self.name}]"

    @property
    def dimension(self) -> Dimension:
        """The dimension of the space."""
        return self.space.dimension

    @property
    def privileged(self) -> bool:
        """Whether operations that depend on the basis are meaningful in this one."""
        return self.space.privileged and self.name is None

    @property
    def orientation(self) -> int:
        """+1 for a positively oriented basis, -1 for a negatively oriented one (the sign of det L)."""
        if self.matrix is None:
            return 1
        if np.iscomplexobj(self.matrix) and np.abs(self.matrix.imag).max(initial=0) > 0:
            raise MetricError(f"a complex change of basis ({self.label}) has no orientation.")
        return int(np.linalg.slogdet(self.matrix.real)[0])

    @property
    def kind(self) -> Metric:
        """Shape of the metric's components in this basis: none, identity, diagonal or full."""
        if self._kind is None:
            self._kind = self._classify()
        return self._kind

    @property
    def gram(self) -> Matrix:
        """The metric's components g_ij in this basis, shape (n, n).

        Raises:
            MetricError: the space has no metric, or its dimension is a symbol.
        """
        if self._gram is None:
            self._gram = _frozen(self._components())
        return self._gram

    @property
    def inverse_gram(self) -> Matrix:
        """The inverse metric's components g^ij in this basis, shape (n, n)."""
        if self._inverse is None:
            self._inverse = _frozen(np.linalg.inv(self.gram))
        return self._inverse

    def conj(self) -> Basis:
        """The same frame, seen as one of the conjugate space."""
        space = self.space.conj()
        if space is self.space and not isinstance(self.space, ProductSpace):
            return self
        if self.name is None:
            return space.standard
        assert self.matrix is not None
        return _basis(space, self.name, self.matrix.conj())

    def _classify(self) -> Metric:
        space = self.space
        if isinstance(space, ProductSpace) and self.matrix is None:
            kinds = {basis.kind for basis, _ in space.factors}
            return next((kind for kind in ("none", "full", "diagonal") if kind in kinds), "identity")
        if isinstance(space, ProductSpace):
            if any(basis.kind == "none" for basis, _ in space.factors):
                return "none"
        elif space.metric is None and not space.privileged:
            return "none"
        if isinstance(space.dimension, str) or (
            space.metric is None and self.matrix is None and not isinstance(space, ProductSpace)
        ):
            return "identity"
        gram = self.gram
        diagonal = np.diag(gram)
        if np.count_nonzero(gram) != np.count_nonzero(diagonal):
            return "full"
        return "identity" if (diagonal == 1).all() else "diagonal"

    def _components(self) -> Matrix:
        space = self.space
        if isinstance(space.dimension, str):
            raise MetricError(f"{space} has a symbolic dimension, so its metric has no fixed components.")
        if isinstance(space, ProductSpace):
            metric: Matrix = np.ones((1, 1))
            for basis, variance in space.factors:
                # Raising V_i leads to conj(V), by the inverse of that space's metric, unless the metric is bilinear.
                other = basis if basis.space.bilinear else basis.conj()
                metric = np.kron(metric, basis.gram if variance > 0 else other.inverse_gram)
        elif space.metric is None and not space.privileged:
            raise MetricError(
                f"{space} has no metric.", legal=f"declare one, Space({space.name!r}, {space.dimension}, metric=...)"
            )
        else:
            metric = np.eye(space.dimension) if space.metric is None else space.metric
        if self.matrix is None:
            return metric
        mirror = self.matrix.T if space.bilinear else self.matrix.conj().T
        return mirror @ metric @ self.matrix

    def __reduce__(self) -> tuple[Any, ...]:
        return _basis, (self.space, self.name, self.matrix)

    def __str__(self) -> str:
        return str(self.space) if self.name is None else f"{self.space} in basis {self.name!r}"

    def __repr__(self) -> str:
        return f"Basis({self.name or 'standard'!r} of {self.space.name})"


def bond_of(space: Space, token: str) -> Space:
    """The bond space with a space's facts and a token: the same one again, as reading a file has to find it."""
    return _space(
        Space, space.name, space.dimension, space.field, space.position, space.metric, space.privileged,
        space.bilinear, space.conjugated, token,
    )  # fmt: skip


def frame(space: Space | Basis) -> Basis:
    """The basis meant by a space or a basis: a space alone means its standard basis."""
    if isinstance(space, Basis):
        return space
    if isinstance(space, Space):
        return space.standard
    raise SpaceError(f"a Space or a Basis is needed here, not {type(space).__name__} {space!r}.")


def _checked_dimension(name: str, dimension: Any) -> Dimension:
    if isinstance(dimension, str):
        if not _SYMBOL.match(dimension):
            raise ShapeError(f"the dimension of {name} is a whole number or a symbol such as 'T', not {dimension!r}.")
        return dimension
    if isinstance(dimension, bool) or not hasattr(dimension, "__index__"):
        raise ShapeError(f"the dimension of {name} is a whole number or a symbol such as 'T', not {dimension!r}.")
    if (size := int(dimension.__index__())) < 0:
        raise ShapeError(f"the dimension of {name} is negative: {size}.")
    return size


def _choice(name: str, what: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise SpaceError(f"the {what} of {name} is one of {', '.join(map(repr, choices))}, not {value!r}.")


def _shown(metric: Matrix) -> str:
    diagonal = np.diag(metric)
    if metric.size <= 64 and np.count_nonzero(metric) == np.count_nonzero(diagonal):
        return f"diag({', '.join(f'{x:g}' for x in diagonal)})"
    return np.array2string(metric, separator=", ", threshold=16).replace("\n", "")


def _space(
    kind: type[Space],
    name: str,
    dimension: Dimension,
    field: Field,
    position: Position,
    metric: Matrix | None,
    privileged: bool,
    bilinear: bool,
    conjugated: bool,
    token: str | None,
) -> Space:
    """The interned space with these facts (checked by the caller)."""
    key = (name, dimension, field, position, _digest(metric), privileged, bilinear, conjugated, token)
    with _lock:
        space = _spaces.get(key)
        if space is None:
            space = object.__new__(kind)
            space.name, space.dimension, space.field, space.position = name, dimension, field, position
            space.metric = None if metric is None else _frozen(metric)
            space.privileged, space.bilinear, space.conjugated, space.token = privileged, bilinear, conjugated, token
            space._standard = _new_basis(space, None, None)
            _spaces[key] = space
        return space


def _basis(space: Space, name: str | None, matrix: Matrix | None) -> Basis:
    """The interned basis with these facts (checked by the caller)."""
    if name is None:
        return space.standard
    key = (space, name, _digest(matrix))
    with _lock:
        basis = _bases.get(key)
        if basis is None:
            basis = _bases[key] = _new_basis(space, name, matrix)
        return basis


def _new_basis(space: Space, name: str | None, matrix: Matrix | None) -> Basis:
    # The standard basis lives in its space and in no table: a table's key would keep the pair alive for ever.
    basis = object.__new__(Basis)
    basis.space, basis.name = space, name
    basis.matrix = None if matrix is None else _frozen(matrix)
    basis._gram = basis._inverse = basis._kind = None
    return basis
