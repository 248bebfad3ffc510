"""Indices: the names that axes carry, and the interned tuples of them.

An `Index` is a name, a basis of a vector space and a variance: `i` contravariant (up), `-i` covariant (down). An index
without a space names a *plain* axis (a batch axis, say). A tensor's labelled axes are an `Axes`: an interned tuple of
indices with what hot paths ask of it worked out once. Interning makes "are these two tensors alike?" one pointer
comparison, and gives caches keyed by structure hits that cost one hash of an address.
"""

from __future__ import annotations

import re
import threading
import weakref
from collections.abc import Hashable, Iterable, Iterator
from typing import Any

from tensoria.errors import AxisError, NotationError, ShapeError, SpaceError
from tensoria.spaces import Basis, Dimension, ProductSpace, Space, Variance, frame
from tensoria.structure import Structure, structural

__all__ = ["PLAIN", "Axes", "Index", "axes", "bare", "indices", "plain"]

NAME = re.compile(r"[^\W\d_][^\W_]*['′*]*\Z")
MARKS: dict[Variance, str] = {1: "^", -1: "_", 0: ""}
_lock = threading.RLock()
_indices: weakref.WeakValueDictionary[Hashable, Index] = weakref.WeakValueDictionary()
_axes: weakref.WeakValueDictionary[Hashable, Axes] = weakref.WeakValueDictionary()


class Index(Structure):
    """A named index over a basis of a space: `i` is up, `-i` is down.

    `tensoria.indices` makes them. Indices match when name, space and basis agree.

    >>> from tensoria import Space, indices
    >>> i, j = indices("i j", Space("V", 3))
    >>> i, -j
    (^i:V(3), _j:V(3))
    """

    name: str
    basis: Basis | None
    variance: Variance

    def __new__(cls, name: str, basis: Space | Basis | None, variance: Variance = 1) -> Index:
        if not isinstance(name, str) or not NAME.match(name):
            raise NotationError(f"an index is named by letters, digits and primes, such as i, mu or k', not {name!r}.")
        if basis is None:
            return _index(name, None, 0)
        if variance not in (1, -1):
            raise NotationError(f"the variance of {name!r} is 1 (up) or -1 (down), not {variance!r}.")
        return _index(name, frame(basis), variance)

    @property
    def space(self) -> Space | None:
        """The vector space that it ranges over; None for a plain axis."""
        return None if self.basis is None else self.basis.space

    @property
    def dimension(self) -> Dimension | None:
        """The dimension of its space; None for a plain axis."""
        return None if self.basis is None else self.basis.space.dimension

    @property
    def is_plain(self) -> bool:
        """Whether it names a plain axis, without a space."""
        return self.basis is None

    @property
    def up(self) -> Index:
        """The contravariant index of that name."""
        return self if self.variance >= 0 else -self

    @property
    def down(self) -> Index:
        """The covariant index of that name."""
        return self if self.variance <= 0 else -self

    def __neg__(self) -> Index:
        return _dual(self)

    def __pos__(self) -> Index:
        return self

    def renamed(self, name: str) -> Index:
        """The same index by another name."""
        return Index(name, self.basis, self.variance)

    def conj(self) -> Index:
        """The index of the conjugate space, up or down as it was; named `i*` where that space is another."""
        return _conj(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return _index, (self.name, self.basis, self.variance)

    def __str__(self) -> str:
        return MARKS[self.variance] + self.name

    def __repr__(self) -> str:
        return str(self) if self.basis is None else f"{self}:{self.basis}"

    def _repr_latex_(self) -> str:
        return f"${'^' if self.variance >= 0 else '_'}{{{self.name}}}$"


class Axes(Structure):
    """The labelled axes of a tensor, in order: an interned tuple of indices.

    They are the *last* axes of the array; anonymous axes, if any, lead. No name occurs twice.

    >>> import tensoria as tn
    >>> t = tn.tensor([[1.0, 2.0], [3.0, 4.0]], "^i _j", i=tn.Space("V", 2), j=tn.Space("W", 2))
    >>> len(t.axes), [index.name for index in t.axes], "i" in t.axes, t.axes["j"]
    (2, ['i', 'j'], True, _j:W(2))
    """

    indices: tuple[Index, ...]
    names: tuple[str, ...]
    position: dict[str, int]
    privileged: bool
    """Whether every index is plain or in a privileged basis."""
    symbols: bool
    """Whether some dimension is a symbol, so that sizes have to be compared at run time."""
    free: bool
    """Whether some index's space has `position="free"`."""

    def __reduce__(self) -> tuple[Any, ...]:
        return axes, (self.indices,)

    def __str__(self) -> str:
        return " ".join(map(str, self.indices))

    def __repr__(self) -> str:
        return f"Axes({self})"

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[Index]:
        return iter(self.indices)

    def __contains__(self, of: object) -> bool:
        return of in self.position or of in self.indices

    def __getitem__(self, of: int | str) -> Index:
        """The index of that name, or at that position."""
        return self.indices[self.find(of) if isinstance(of, str) else of]

    def find(self, name: str) -> int:
        """The position of a name among the labelled axes.

        Raises:
            AxisError: there is no such name.
        """
        bare = name.lstrip("^_")
        try:
            return self.position[bare]
        except KeyError:
            have = f"its axes are {self}" if self.indices else "it is plain, without labels"
            raise AxisError(f"the tensor has no axis named {bare!r}; {have}.") from None


@structural
def axes(of: tuple[Index, ...] | Axes) -> Axes:
    """The interned tuple of these indices; of axes, the same without declared symmetries.

    Raises:
        AxisError: a name occurs twice.
    """
    if isinstance(of, Axes):
        of = of.indices
    with _lock:
        found = _axes.get(of)
        if found is not None:
            return found
        position: dict[str, int] = {}
        for number, index in enumerate(of):
            if index.name in position:
                other = of[position[index.name]]
                if other.basis is not None and index.basis is other.basis and index.variance == -other.variance:
                    legal = f"t[..., {', '.join(('-' if x.variance < 0 else '') + x.name for x in of)}] takes the trace"
                else:
                    legal = "give one of them another name, such as " + index.name + "'"
                raise AxisError(
                    f"two axes of one tensor are named {index.name!r}: {other!r} and {index!r}.", legal=legal
                )
            position[index.name] = number
        new = object.__new__(Axes)
        new.indices, new.names, new.position = of, tuple(position), position
        bases = [index.basis for index in of if index.basis is not None]
        new.privileged = all(basis.privileged for basis in bases)
        # A plain name has no dimension of its own either: its size is bound by each tensor.
        new.symbols = len(bases) < len(of) or any(isinstance(basis.dimension, str) for basis in bases)
        new.free = any(basis.space.position == "free" for basis in bases)
        _axes[of] = new
        return new


def bare(of: Axes) -> Axes:
    """The axes without declared symmetries."""
    return of if type(of) is Axes else axes(of)


PLAIN = axes(())
"""The axes of every plain tensor: none of them labelled."""


@structural
def plain(name: str) -> Index:
    """The index that names a plain axis."""
    return Index(name, None)


@structural
def indices(names: str | Iterable[str], space: Space | Basis) -> tuple[Index, ...]:
    """Contravariant indices of a space, one for each name; `-i` is the covariant one.

    Args:
        names: names separated by spaces (or a sequence of names): letters, digits and primes.
        space: the space, or one of its bases, that they range over.

    Raises:
        NotationError: a name is none.

    >>> V = Space("V", 3)
    >>> i, j = indices("i j", V)
    >>> -i
    _i:V(3)
    """
    split = names.replace(",", " ").split() if isinstance(names, str) else tuple(names)
    if not split:
        raise NotationError("no index is named.", legal='i, j = tn.indices("i j", V)')
    return tuple(Index(name, frame(space), 1) for name in split)


@structural
def _index(name: str, basis: Basis | None, variance: Variance) -> Index:
    key = (name, basis, variance)
    with _lock:
        index = _indices.get(key)
        if index is None:
            index = object.__new__(Index)
            index.name, index.basis, index.variance = name, basis, variance
            _indices[key] = index
        return index


@structural
def _dual(index: Index) -> Index:
    if index.basis is None:
        raise SpaceError(f"the plain axis {index.name!r} has no space, so it is neither up nor down.")
    return _index(index.name, index.basis, -1 if index.variance > 0 else 1)


@structural
def _conj(index: Index) -> Index:
    if index.basis is None:
        return index
    basis = index.basis.conj()
    if basis is index.basis:
        return index
    return _index(starred(index.name), basis, index.variance)


def starred(name: str) -> str:
    """The name of the conjugate's index: `i` and `i*` change places."""
    return name[:-1] if name.endswith("*") else name + "*"


def primed(name: str, taken: Iterable[str]) -> str:
    """The name with as many primes as it needs to differ from those taken."""
    names = set(taken)
    while name in names:
        name += "'"
    return name


def check_sizes(of: Axes, shape: tuple[Any, ...]) -> None:
    """Hold the sizes of labelled axes (the last ones of `shape`) against the dimensions of their spaces.

    Sizes that are not known (None, while a framework traces) pass.

    Raises:
        ShapeError: a size differs from the dimension, or one symbol is bound to two sizes.
    """
    bound: dict[str, tuple[int, Index]] = {}
    for index, size in zip(of.indices, shape[len(shape) - len(of.indices) :], strict=True):
        dimension = index.dimension
        if dimension is None or size is None:
            continue
        if isinstance(dimension, str):
            known, first = bound.setdefault(dimension, (size, index))
            if known != size:
                raise ShapeError(
                    f"the symbol {dimension} is bound to {known} by {first!r} and to {size} by {index!r}.",
                    legal="give the axes two spaces with symbols of their own",
                )
        elif dimension != size:
            fault = "" if not isinstance(index.space, ProductSpace) else " (a product space)"
            raise ShapeError(f"axis {index!r}{fault} has dimension {dimension}, but the array has size {size} there.")
