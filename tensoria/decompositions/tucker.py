"""Tucker: a tensor as a small core with one matrix for each mode, by HOSVD, ST-HOSVD or HOOI.

    t = core  x_1 A  x_2 B  x_3 C ...

Every bond is a fresh orthonormal space: a factor carries it down, the core carries it up, so that `core * A * B * C` is
the tensor again. Columns are orthonormal in the metrics of the indices' spaces. With `axes=` only some modes are
decomposed; the others stay in the core as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tensoria.algebra.factorisations import Whitening
from tensoria.backend import Array, Backend
from tensoria.core import new, same_backend
from tensoria.decompositions.framing import Framed, contracted, framed, known, number, places, whole
from tensoria.decompositions.mttkrp import balanced
from tensoria.decompositions.normal_equations import conjugated
from tensoria.decompositions.residual import norm_of, relative_error, squared_norm
from tensoria.decompositions.sweeps import Callback, Record
from tensoria.decompositions.truncation import Truncation, leading
from tensoria.errors import AxisError, BackendError, ModeError, ShapeError
from tensoria.indices import PLAIN, Index
from tensoria.namespace.dispatch import tensor_of
from tensoria.tensor import Tensor

__all__ = ["Tucker", "tucker"]

Method = Literal["hooi", "st-hosvd", "hosvd"]


@dataclass(frozen=True, eq=False)
class Tucker:
    """A Tucker decomposition: t = core * factors[0] * factors[1] * ...

    Attributes:
        core: as many axes as the tensor; those of the decomposed modes are bonds, up.
        factors: one for each decomposed mode, of the shape (size, rank), the bond down; orthonormal columns.
        modes: the positions of the decomposed modes.
        errors: the relative error ||t - approximation|| / ||t|| after each sweep; a single one without sweeps, and
            none if a framework was tracing.
    """

    core: Tensor
    factors: tuple[Tensor, ...]
    modes: tuple[int, ...]
    errors: tuple[float, ...] = ()

    @property
    def ranks(self) -> tuple[int, ...]:
        """The size of the core along each decomposed mode."""
        return tuple(factor.shape[1] for factor in self.factors)

    @property
    def fit(self) -> float:
        """1 - the relative error."""
        return 1 - self.errors[-1] if self.errors else math.nan

    def tensor(self) -> Tensor:
        """The tensor that the decomposition stands for."""
        array = self.core._array
        for n, factor in zip(self.modes, self.factors, strict=True):
            array = _times(self.core._backend, array, n, factor._array, (0, 1))
        own = list(self.core.indices)
        for n, factor in zip(self.modes, self.factors, strict=True):
            if own:
                own[n] = factor.indices[0]
        return new(self.core, array, tuple(own))

    def to(self, **where: Any) -> Tucker:
        """The decomposition on another backend or device or in another data type; arguments as for `Tensor.to`."""
        return Tucker(self.core.to(**where), tuple(f.to(**where) for f in self.factors), self.modes, self.errors)

    def __iter__(self) -> Iterator[Any]:
        return iter((self.core, self.factors))

    def __repr__(self) -> str:
        sizes = list(self.core.shape)
        names = [str(index) for index in self.core.indices]
        for n, factor in zip(self.modes, self.factors, strict=True):
            sizes[n] = factor.shape[0]
            if names:
                names[n] = str(factor.indices[0])
        labels = f" {' '.join(names)}," if names else ""
        fit = f", fit {self.fit:.6f}" if self.errors else ""
        swept = f" after {len(self.errors)} sweeps" if len(self.errors) > 1 else ""
        core = "x".join(map(str, self.core.shape))
        return (
            f"Tucker(core {core} of{labels} {'x'.join(map(str, sizes))} {self.core.dtype}, "
            f"{self.core.backend}{fit}{swept})"
        )


def tucker(
    t: Any,
    ranks: int | Sequence[int] | None = None,
    *,
    tolerance: float | None = None,
    method: Method = "hooi",
    axes: int | str | Sequence[int | str] | None = None,
    init: Tucker | Sequence[Any] | None = None,
    sweeps: int = 50,
    change: float = 1e-6,
    bond: str = "b",
    metric: Whitening = "spaces",
    progress: bool | None = None,
    callback: Callback | None = None,
) -> Tucker:
    """The Tucker decomposition.

    Args:
        t: a tensor.
        ranks: the size of the core along each decomposed mode; one number for all of them.
        tolerance: instead of ranks: the smallest ones that keep ||t - approximation|| <= tolerance * ||t||.
        method: `"hosvd"`, the leading singular vectors of each unfolding (De Lathauwer, De Moor, Vandewalle, SIAM J.
            Matrix Anal. Appl. 21, 2000); `"st-hosvd"`, the same of what is left after the modes before, the smallest
            mode first (Vannieuwenhoven, Vandebril, Meerbergen, SIAM J. Sci. Comput. 34, 2012), which costs less and
            has the same bound, sqrt(number of modes) times the best error; `"hooi"`, orthogonal iteration from there
            (Kolda and Bader, figure 4.4), whose error falls with every sweep.
        axes: the modes to decompose, by number or name; all of them if not given.
        init: for HOOI, a `Tucker` or one factor for each decomposed mode to start from.
        sweeps: of HOOI, at most.
        change: HOOI stops once the relative error falls by less than this in a sweep.
        bond: the name of the bonds of labelled tensors: `"b"` makes b1, b2, ...
        metric: `"spaces"` measures errors and angles in the spaces' metrics, `"components"` in the components.
        progress, callback: for HOOI, as in `cp`.

    Raises:
        ShapeError: a rank does not fit the shape.
        MetricError: a space has no metric or an indefinite one.
        DomainError: components are not finite, or all zero.

    >>> import tensoria as tn
    >>> t = tn.reshape(tn.arange(24.), (2, 3, 4))
    >>> core, factors = tn.tucker(t, (2, 2, 2))
    >>> core.shape, [factor.shape for factor in factors]
    ((2, 2, 2), [(2, 2), (3, 2), (4, 2)])
    """
    t = tensor_of(t, "tucker")
    if method not in ("hooi", "st-hosvd", "hosvd"):
        raise ModeError(f"a Tucker decomposition by 'hooi', 'st-hosvd' or 'hosvd', not {method!r}.")
    if init is not None and method != "hooi":
        raise ModeError(f"{method!r} is no iteration, so it starts from nothing.", legal='method="hooi"')
    modes = tuple(range(t.ndim)) if axes is None else tuple(sorted(places(t, axes, "tucker")))
    ready = framed(t, "tucker", metric)
    backend, x = ready.backend, ready.array
    visible = known(backend, x)
    if method == "hooi" and not visible:
        raise BackendError(
            "orthogonal iteration stops by the numbers it meets, which are not known while a framework traces.",
            legal='method="st-hosvd"',
        )
    norm = norm_of(backend, x) if visible else math.nan
    keep = _truncations(ready, modes, ranks, tolerance, norm)
    if init is not None:
        factors = _given(ready, modes, keep, init)
        core = None
    else:
        factors, core = _sequential(backend, x, modes, keep, st=method != "hosvd")
    if method == "hooi":
        if ranks is not None:
            _require_iterable(ready, modes, factors)
        record = Record("HOOI", whole(sweeps, "the number of sweeps"), change, progress, callback)
        core = _iterate(backend, x, modes, factors, norm, record)
        errors = tuple(record.errors)
    else:
        assert core is not None
        errors = (_error(backend, x, core, modes, factors, norm),) if visible else ()
    return _result(ready, core, modes, factors, bond, errors)


def _sequential(
    backend: Backend, x: Array, modes: Sequence[int], keep: Sequence[Truncation], st: bool
) -> tuple[list[Array], Array]:
    """HOSVD, or ST-HOSVD: factors in the modes' order, and the core."""
    found: dict[int, Array] = {}
    core = x
    for n, truncation in sorted(zip(modes, keep, strict=True), key=lambda item: x.shape[item[0]]):
        found[n] = leading(backend, core if st else x, n, truncation)
        if st:
            core = _projected(backend, core, n, found[n])
    if not st:
        for n in modes:
            core = _projected(backend, core, n, found[n])
    return [found[n] for n in modes], core


def _iterate(
    backend: Backend, x: Array, modes: tuple[int, ...], factors: list[Array], norm: float, record: Record
) -> Array:
    """HOOI: each factor the best for the others, until the record says stop; the core."""
    while True:
        for place, y in _projections(backend, x, modes, factors, tuple(range(len(modes)))):
            size = y.shape[modes[place]]
            # Ranks that a tolerance chose one after the other may be more than the later ones leave room for.
            rank = min(factors[place].shape[1], math.prod(y.shape) // size)
            factors[place] = leading(backend, y, modes[place], Truncation(rank))
            last, rest = place, y
        core = _projected(backend, rest, modes[last], factors[last])
        if record.ended(_error(backend, x, core, modes, factors, norm)):
            return core


def _projections(
    backend: Backend, x: Array, modes: tuple[int, ...], factors: Sequence[Array], part: tuple[int, ...]
) -> Iterator[tuple[int, Array]]:
    """Each mode's number among `modes` with x projected on all other factors, sharing products by halves.

    As in `mttkrp`, a sweep reads x twice: once for the projection on the factors of each half.
    """
    if len(part) == 1:
        yield part[0], x
        return
    cut = balanced([x.shape[modes[k]] for k in part])
    for half, others in ((part[:cut], part[cut:]), (part[cut:], part[:cut])):
        y = x
        # From the outside in, so that the product with the whole of x needs no copy of it.
        for k in reversed(others) if others[0] > half[0] else others:
            y = _projected(backend, y, modes[k], factors[k])
        yield from _projections(backend, y, modes, factors, half)


def _projected(backend: Backend, x: Array, n: int, factor: Array) -> Array:
    """x times the adjoint of a factor (size, rank) in mode n."""
    return _times(backend, x, n, conjugated(backend, factor), (1, 0))


def _times(backend: Backend, x: Array, n: int, matrix: Array, term: tuple[int, int]) -> Array:
    """x times a matrix in mode n; `term` says which of its axes is the new one (0), and which meets x (1)."""
    axes = tuple(range(len(x.shape)))
    names = (len(axes), n) if term == (0, 1) else (n, len(axes))
    return contracted(backend, x, axes, matrix, names, (*axes[:n], len(axes), *axes[n + 1 :]))


def _error(
    backend: Backend, x: Array, core: Array, modes: Sequence[int], factors: Sequence[Array], norm: float
) -> float:
    """||X - Y||^2 = ||X||^2 - ||core||^2, as the columns are orthonormal (Kolda and Bader, (4.4))."""

    def approximation() -> Array:
        array = core
        for n, factor in zip(modes, factors, strict=True):
            array = _times(backend, array, n, factor, (0, 1))
        return array

    return relative_error(backend, x, norm**2 - number(backend, squared_norm(backend, core)), norm, approximation)


# -- what is asked for ------------------------------------------------------------------------------------------------


def _truncations(
    ready: Framed, modes: tuple[int, ...], ranks: int | Sequence[int] | None, tolerance: float | None, norm: float
) -> list[Truncation]:
    if (ranks is None) == (tolerance is None):
        raise ShapeError(
            "a Tucker decomposition has ranks or a tolerance, one of the two.", legal="tucker(t, (2, 3, 4))"
        )
    if tolerance is not None:
        if not 0 <= tolerance < 1:
            raise ShapeError(f"a tolerance is relative to the norm, 0 or more and less than 1, not {tolerance!r}.")
        return [Truncation(None, tolerance**2 * norm**2 / len(modes))] * len(modes)
    given = list(ranks) if isinstance(ranks, Sequence) else [ranks] * len(modes)
    if len(given) != len(modes):
        raise ShapeError(f"{len(given)} ranks for {len(modes)} modes.")
    total = math.prod(ready.sizes)
    keep = []
    for n, value in zip(modes, given, strict=True):
        rank = whole(value, f"the rank of {ready.names[n]}")
        size = ready.sizes[n]
        if rank > min(size, total // size):
            raise ShapeError(
                f"a rank of {rank} along {ready.names[n]}, whose unfolding is a {size}x{total // size} matrix.",
                legal=f"{min(size, total // size)} at most",
            )
        keep.append(Truncation(rank))
    return keep


def _require_iterable(ready: Framed, modes: tuple[int, ...], factors: Sequence[Array]) -> None:
    """Orthogonal iteration needs as many columns in a projected unfolding as the rank."""
    sizes = list(ready.sizes)
    for n, factor in zip(modes, factors, strict=True):
        sizes[n] = factor.shape[1]
    for n in modes:
        others = math.prod(sizes) // sizes[n]
        if sizes[n] > others:
            raise ShapeError(
                f"a rank of {sizes[n]} along {ready.names[n]}, and the others multiply to {others}: such a core has "
                "rows of zeros.",
                legal=f"{others} at most",
            )


def _given(ready: Framed, modes: tuple[int, ...], keep: Sequence[Truncation], init: Any) -> list[Array]:
    backend = ready.backend
    parts = [tensor_of(part, "tucker") for part in (init.factors if isinstance(init, Tucker) else init)]
    if len(parts) != len(modes):
        raise ShapeError(f"{len(parts)} factors to start from, for {len(modes)} modes.")
    factors = []
    for n, part, truncation in zip(modes, parts, keep, strict=True):
        part = same_backend(ready.source, part)[1]
        if part.is_labelled != ready.source.is_labelled:
            raise ModeError(
                f"labelled and plain: the tensor and the factor of {ready.names[n]} to start from.",
                legal='label the factor, f[i, "r"], or take t.components',
            )
        if part.is_labelled:
            own = ready.source.indices[n : n + 1]
            if part.lead or part.indices[:1] != own:
                raise AxisError(f"the factor {part.axes} to start from has not the index of {ready.names[n]} first.")
            part = ready.moved(part, own, inverse=False)
        wanted = (ready.sizes[n], truncation.rank or part.shape[-1])
        if part.shape != wanted:
            raise ShapeError(f"a factor of the shape {part.shape} to start from; {ready.names[n]} needs {wanted}.")
        factors.append(backend.xp.linalg.qr(part._array, mode="reduced")[0])
    return factors


def _result(
    ready: Framed, core: Array, modes: tuple[int, ...], factors: Sequence[Array], bond: str, errors: tuple[float, ...]
) -> Tucker:
    source = ready.source
    bonds = ready.bonds(bond, [factor.shape[1] for factor in factors]) if source.is_labelled else ()
    made = []
    own: list[Index] = list(source.indices)
    for place, (n, factor) in enumerate(zip(modes, factors, strict=True)):
        made.append(ready.factor(factor, (), (n,), (-bonds[place],) if bonds else ()))
        if bonds:
            own[n] = bonds[place]
    small = new(source, core, tuple(own) if bonds else PLAIN)
    rest = [index for n, index in enumerate(source.indices) if n not in modes]
    return Tucker(ready.moved(small, rest, inverse=True), tuple(made), modes, errors)
