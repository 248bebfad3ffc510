"""A tensor made ready to decompose, and the way back from arrays of numbers to factors with labels.

Least squares and orthogonality need an inner product. A plain axis has the usual one; an index has its space's metric,
so that components are brought to orthonormal frames first and factors are brought back afterwards, as in
`algebra.factorisations`. In between, decompositions compute on native arrays: each axis is one *mode*.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tensoria.algebra.factorisations import Whitening, fresh_space, require_floats, whitened
from tensoria.backend import UNKNOWN, Array, Backend
from tensoria.core import new
from tensoria.errors import AxisError, DomainError, MetricError, ShapeError
from tensoria.indices import PLAIN, Axes, Index, primed
from tensoria.namespace.dispatch import tensor_of
from tensoria.planning import pattern
from tensoria.structure import structural
from tensoria.tensor import Tensor

__all__ = ["Framed", "contracted", "framed", "known", "number", "places", "real_part", "whole"]


@dataclass(frozen=True, eq=False)
class Framed:
    """A tensor's array in orthonormal frames, and what its factors need to become tensors again."""

    source: Tensor
    array: Array
    metric: Whitening

    @property
    def backend(self) -> Backend:
        """The backend that computes."""
        return self.source._backend

    @property
    def sizes(self) -> tuple[int, ...]:
        """The size of each mode."""
        return tuple(self.array.shape)

    @property
    def names(self) -> tuple[str, ...]:
        """What errors call the modes."""
        return self.source.names or tuple(f"axis {n}" for n in range(len(self.sizes)))

    def bonds(self, name: str, sizes: Sequence[int]) -> tuple[Index, ...]:
        """Fresh bond indices `name1`, `name2`, ..., up; names that the tensor has are primed."""
        of = self.source._axes
        complex_ = any(i.space is not None and i.space.field == "complex" for i in of.indices)
        return tuple(
            Index(primed(f"{name}{n}", of.names), fresh_space(size, "complex" if complex_ else "real"))
            for n, size in enumerate(sizes, 1)
        )

    def factor(self, array: Array, before: tuple[Index, ...], modes: Sequence[int], after: tuple[Index, ...]) -> Tensor:
        """A factor over some modes, between other indices, with the labels and in the frames of the tensor."""
        of = self.source._axes
        if of is PLAIN:
            return new(self.source, array, PLAIN)
        own = tuple(of.indices[n] for n in modes)
        made = new(self.source, array, (*before, *own, *after))
        return self.moved(made, own, inverse=True)

    def moved(self, t: Tensor, own: Iterable[Index], inverse: bool) -> Tensor:
        """The tensor with these of its indices taken to orthonormal frames, or back."""
        if self.metric == "spaces":
            for index in own:
                t = whitened(t, index, inverse=inverse)
        return t


def framed(t: Any, what: str, metric: Whitening, *, least: int = 1, mask: Array | None = None) -> Framed:
    """The tensor ready to decompose, checked.

    Args:
        t: a tensor, or a native array.
        what: what errors call the decomposition.
        metric: `"spaces"` or `"components"`.
        least: how many axes it must have.
        mask: the entries that are observed; the others may be anything, and become zeros.

    Raises:
        DTypeError: its data type is none that backends factorise.
        AxisError: it has too few axes, or anonymous axes beside labelled ones.
        ShapeError: it has no components.
        MetricError: a space has no metric, or an indefinite one.
        DomainError: components are not finite, or all are zero.
    """
    t = tensor_of(t, what)
    if metric not in ("spaces", "components"):
        raise MetricError(f"metric is 'spaces' or 'components' here, not {metric!r}.")
    require_floats(t)
    if t.is_labelled and t.lead:
        raise AxisError(
            f"{what} of a tensor with {t.lead} anonymous axes beside {t.axes}: each axis is one of its modes.",
            legal="name them, t['sample', i, -j], or decompose one element of the batch at a time",
        )
    if t.ndim < least:
        raise AxisError(f"{what} is about {least} or more axes, and this tensor has {t.ndim}.")
    backend = t._backend
    if None in t.shape:
        raise ShapeError(f"{what} needs the sizes of all axes; here some are not known while tracing.")
    if 0 in t.shape:
        raise ShapeError(f"{what} of a tensor of the shape {t.shape}, which has no components.")
    if mask is not None:
        t = new(t, backend.xp.where(mask, t._array, backend.xp.zeros_like(t._array)), t._axes)
    _require_sound(t, what, mask is not None)
    ready = Framed(t, t._array, metric)
    return Framed(t, ready.moved(t, t.indices, inverse=False)._array, metric)


def _require_sound(t: Tensor, what: str, masked: bool) -> None:
    backend, xp = t._backend, t._backend.xp
    if not known(backend, t._array):
        return
    largest = number(backend, xp.max(xp.abs(t._array)))
    if not math.isfinite(largest):
        raise DomainError(
            f"{what} of a tensor with components that are not finite.",
            legal="tn.cp(t, rank, mask=tn.isfinite(t)) leaves them out" if not masked else None,
        )
    if largest == 0:
        raise DomainError(f"{what} of a tensor of zeros: errors are relative to its norm.")
    limits = xp.finfo(t._array.dtype)
    least, most = float(limits.smallest_normal) / float(limits.eps) ** 2, float(limits.max) / math.prod(t.shape)
    if not least < largest**2 < most:
        raise DomainError(
            f"{what} sums squares, and those of components as large as {largest:.0e} "
            f"{'under' if largest < 1 else 'over'}flow in {t.dtype}.",
            legal="scale the tensor, or compute in float64",
        )


def known(backend: Backend, array: Array) -> bool:
    """Whether numbers can be looked at, so that decisions may depend on them; False while a framework traces."""
    if backend.tracing is not None and backend.tracing():
        return False
    return None not in backend.shape(array) and backend.device(array) != UNKNOWN


def number(backend: Backend, array: Array) -> float:
    """A real 0-d array as a Python number."""
    return float(backend.detach(array))


def real_part(backend: Backend, array: Array) -> Array:
    """The real part of an array of any data type."""
    return backend.xp.real(array) if backend.dtype(array).kind == "complex" else array


def contracted(
    backend: Backend, a: Array, first: tuple[int, ...], b: Array, second: tuple[int, ...], out: tuple[int, ...]
) -> Array:
    """Two native arrays contracted by the backend's plan; each axis has a number."""
    return backend.contract(pattern((first, second), out, frozenset()), a, b)


def places(t: Tensor, names: int | str | Sequence[int | str], what: str) -> tuple[int, ...]:
    """The positions of axes, given by name (labelled tensors) or by number.

    Raises:
        AxisError: there is no such axis, or one is named twice.
    """
    given = tuple(names.split()) if isinstance(names, str) else (names,) if isinstance(names, int) else tuple(names)
    return _places(t.axes, t.ndim, given, what)


@structural
def _places(of: Axes, rank: int, given: tuple[int | str, ...], what: str) -> tuple[int, ...]:
    found = []
    for item in given:
        if isinstance(item, str) and of is not PLAIN:
            found.append(rank - len(of.indices) + of.find(item.lstrip("^_")))
        elif isinstance(item, int) and not isinstance(item, bool) and -rank <= item < rank:
            found.append(item % rank)
        else:
            whose = f"{rank} axes" if of is PLAIN else f"the axes {of}"
            raise AxisError(f"{what}: a tensor with {whose} has no axis {item!r}.")
    if len(set(found)) < len(found) or not found:
        raise AxisError(f"{what} needs different axes, not {list(given)}.")
    return tuple(found)


def whole(value: Any, what: str, least: int = 1) -> int:
    """A whole number that is large enough.

    Raises:
        ShapeError: it is none, or too small.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise ShapeError(f"{what} is a whole number, not {value!r}.")
    if (n := value.__index__()) < least:
        raise ShapeError(f"{what} is {least} or more, not {n}.")
    return int(n)
