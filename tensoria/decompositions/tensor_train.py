"""Tensor train: a tensor as a chain of cores, each with one of its axes and a bond to either side, by TT-SVD.

    t = G_1  G_2 ... G_d          (matrix product state; Oseledets, SIAM J. Sci. Comput. 33, 2011)

As in a singular value decomposition, a bond is a fresh orthonormal space, which the core on its left carries down and
the one on its right carries up: the product of the cores is the tensor. All cores but the last have orthonormal columns
from the left. A core may carry several axes together, so that an operator becomes a train of operators.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tensoria.algebra.factorisations import Whitening
from tensoria.backend import Array, Backend
from tensoria.core import new
from tensoria.decompositions.framing import Framed, contracted, framed, known, number, places, whole
from tensoria.decompositions.residual import norm_of, relative_error, squared_norm
from tensoria.decompositions.truncation import Truncation, split
from tensoria.errors import AxisError, ShapeError
from tensoria.indices import PLAIN, Index
from tensoria.namespace.dispatch import tensor_of
from tensoria.tensor import Tensor

__all__ = ["TensorTrain", "tensor_train"]


@dataclass(frozen=True, eq=False)
class TensorTrain:
    """A tensor train: t = cores[0] * cores[1] * ...

    Attributes:
        cores: (n_1, r_1), (r_1, n_2, r_2), ..., (r_{d-1}, n_d), with several axes where they go together; a bond is
            up in the core on its right and down in the one on its left.
        groups: the positions of the tensor's axes in each core.
        errors: the relative error ||t - approximation|| / ||t||, as a tuple of one; none if a framework was tracing.
    """

    cores: tuple[Tensor, ...]
    groups: tuple[tuple[int, ...], ...]
    errors: tuple[float, ...] = ()

    @property
    def ranks(self) -> tuple[int, ...]:
        """The sizes of the bonds."""
        return tuple(core.shape[0] for core in self.cores[1:])

    @property
    def fit(self) -> float:
        """1 - the relative error."""
        return 1 - self.errors[-1] if self.errors else math.nan

    def tensor(self) -> Tensor:
        """The tensor that the train stands for."""
        first = self.cores[0]
        array = _chained(first._backend, [core._array for core in self.cores])
        back = self._order()
        if back != tuple(range(len(back))):
            array = first._backend.kernels.transpose(array, back)
        return new(first, array, self._own())

    def _order(self) -> tuple[int, ...]:
        """Where each axis of the tensor stands along the train."""
        order = [n for group in self.groups for n in group]
        return tuple(order.index(n) for n in range(len(order)))

    def _own(self) -> tuple[Index, ...]:
        """The tensor's indices."""
        if not self.cores[0].is_labelled:
            return ()
        own = self.cores[0].indices[:-1]
        for core in self.cores[1:-1]:
            own += core.indices[1:-1]
        own += self.cores[-1].indices[1:]
        return tuple(own[n] for n in self._order())

    def to(self, **where: Any) -> TensorTrain:
        """The train on another backend or device or in another data type; arguments as for `Tensor.to`."""
        return TensorTrain(tuple(core.to(**where) for core in self.cores), self.groups, self.errors)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.cores)

    def __len__(self) -> int:
        return len(self.cores)

    def __getitem__(self, n: int) -> Tensor:
        return self.cores[n]

    def __repr__(self) -> str:
        cores = ", ".join("x".join(map(str, core.shape)) for core in self.cores)
        names = f" of {' '.join(map(str, self._own()))}" if self._own() else ""
        fit = f", fit {self.fit:.6f}" if self.errors else ""
        return f"TensorTrain(cores {cores}{names}, {self.cores[0].dtype}, {self.cores[0].backend}{fit})"


def tensor_train(
    t: Any,
    ranks: int | Sequence[int] | None = None,
    *,
    tolerance: float | None = None,
    axes: Sequence[int | str | Sequence[int | str]] | None = None,
    bond: str = "b",
    metric: Whitening = "spaces",
) -> TensorTrain:
    """The tensor train by successive truncated singular value decompositions (TT-SVD).

    Args:
        t: a tensor with two axes or more.
        ranks: the size of every bond, from the left; one number is the most that a bond may have.
        tolerance: instead of ranks: the smallest ones that keep ||t - approximation|| <= tolerance * ||t||. Each of
            the d - 1 decompositions may discard tolerance / sqrt(d - 1) of the norm (Oseledets, theorem 2.2).
        axes: the order of the axes along the train, all of them; axes in a tuple (or in one string, `"i j"`) share a
            core. The tensor's own order, one to a core, if not given.
        bond: the name of the bonds of labelled tensors: `"b"` makes b1, b2, ...
        metric: `"spaces"` measures errors and angles in the spaces' metrics, `"components"` in the components.

    Raises:
        ShapeError: a rank does not fit the shape.
        AxisError: `axes` are not the tensor's.
        MetricError: a space has no metric or an indefinite one.
        DomainError: components are not finite, or all zero.

    >>> import tensoria as tn
    >>> train = tn.tensor_train(tn.reshape(tn.arange(24.), (2, 3, 4)), tolerance=1e-10)
    >>> train.ranks, [core.shape for core in train]
    ((2, 2), [(2, 2), (2, 3, 2), (2, 4)])
    """
    t = tensor_of(t, "tensor_train")
    ready = framed(t, "tensor_train", metric, least=2)
    backend, x = ready.backend, ready.array
    groups = _groups(t, axes)
    order = tuple(n for group in groups for n in group)
    sizes = tuple(ready.sizes[n] for n in order)
    if order != tuple(range(len(order))):
        x = backend.kernels.transpose(x, order)
    visible = known(backend, x)
    norm = norm_of(backend, x) if visible else math.nan
    counts = [math.prod([ready.sizes[n] for n in group]) for group in groups]
    keep = _truncations(counts, ranks, tolerance, norm)
    arrays: list[Array] = []
    rest, rank = x, 1
    for count, truncation in zip(counts[:-1], keep, strict=True):
        matrix = backend.reshape(rest, (rank * count, -1))
        if truncation.rank is not None:
            truncation = Truncation(min(truncation.rank, *matrix.shape))
        u, rest = split(backend, matrix, truncation)
        arrays.append(backend.reshape(u, (rank, count, u.shape[1])) if arrays else u)
        rank = u.shape[1]
    arrays.append(backend.reshape(rest, (rank, counts[-1])))
    errors: tuple[float, ...] = ()
    if visible:
        # Every step is an orthogonal projection, so that the squares of what is kept and lost add up.
        lost = norm**2 - number(backend, squared_norm(backend, arrays[-1]))

        def approximation() -> Array:
            return backend.reshape(_chained(backend, arrays), sizes)

        errors = (relative_error(backend, x, lost, norm, approximation),)
    return _result(ready, arrays, groups, bond, errors)


def _chained(backend: Backend, cores: Sequence[Array]) -> Array:
    """The product of the cores over their bonds."""
    made = cores[0]
    for core in cores[1:]:
        left, right = tuple(range(len(made.shape))), len(core.shape)
        new_axes = tuple(range(len(left), len(left) + right - 1))
        made = contracted(backend, made, left, core, (left[-1], *new_axes), (*left[:-1], *new_axes))
    return made


def _groups(t: Tensor, axes: Sequence[Any] | None) -> tuple[tuple[int, ...], ...]:
    if axes is None:
        return tuple((n,) for n in range(t.ndim))
    if isinstance(axes, str):
        axes = axes.split()
    groups = tuple(places(t, item, "tensor_train") for item in axes)
    if sorted(n for group in groups for n in group) != list(range(t.ndim)):
        raise AxisError(
            f"the axes {list(axes)} of a train are not those of the tensor, each once.",
            legal="tensor_train(t, axes=[(0, 2), (1, 3)])",
        )
    if len(groups) < 2:
        raise AxisError("a train has two cores or more, and all axes are in one.")
    return groups


def _truncations(
    counts: Sequence[int], ranks: int | Sequence[int] | None, tolerance: float | None, norm: float
) -> list[Truncation]:
    steps = len(counts) - 1
    if (ranks is None) == (tolerance is None):
        raise ShapeError("a tensor train has ranks or a tolerance, one of the two.", legal="tensor_train(t, 8)")
    if tolerance is not None:
        if not 0 <= tolerance < 1:
            raise ShapeError(f"a tolerance is relative to the norm, 0 or more and less than 1, not {tolerance!r}.")
        return [Truncation(None, tolerance**2 * norm**2 / steps)] * steps
    if not isinstance(ranks, Sequence):
        return [Truncation(whole(ranks, "a rank of a tensor train"))] * steps
    if len(ranks) != steps:
        raise ShapeError(f"{len(ranks)} ranks for the {steps} bonds of a train with {len(counts)} cores.")
    keep, before = [], 1
    for n, value in enumerate(ranks):
        rank = whole(value, f"rank {n + 1} of a tensor train")
        most = min(before * counts[n], math.prod(counts[n + 1 :]))
        if rank > most:
            raise ShapeError(
                f"a rank of {rank} for bond {n + 1}: what it divides is a {before * counts[n]}x"
                f"{math.prod(counts[n + 1 :])} matrix.",
                legal=f"{most} at most, or one number for all bonds",
            )
        keep.append(Truncation(rank))
        before = rank
    return keep


def _result(
    ready: Framed, arrays: Sequence[Array], groups: tuple[tuple[int, ...], ...], bond: str, errors: tuple[float, ...]
) -> TensorTrain:
    source, backend = ready.source, ready.backend
    sizes = [array.shape[0] for array in arrays[1:]]
    bonds: tuple[Index, ...] = ready.bonds(bond, sizes) if source.is_labelled else ()
    cores = []
    for place, (array, group) in enumerate(zip(arrays, groups, strict=True)):
        left = sizes[place - 1 : place] if place else []
        right = sizes[place : place + 1]
        shaped = backend.reshape(array, (*left, *(ready.sizes[n] for n in group), *right))
        before = bonds[place - 1 : place] if place else ()
        after = tuple(-index for index in bonds[place : place + 1])
        cores.append(ready.factor(shaped, before, group, after) if bonds else new(source, shaped, PLAIN))
    return TensorTrain(tuple(cores), groups, errors)
