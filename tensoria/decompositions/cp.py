"""CP: a tensor as a sum of rank-one tensors (CANDECOMP/PARAFAC), by alternating least squares.

    t = sum_r weights_r  a_r o b_r o c_r ...

The rank axis is a *plain* named axis of the weights and of every factor: it aligns in all of them, and has no freedom
of basis beyond permutation and scaling. Each factor carries one index of the tensor, with its variance and space, and
its columns have norm 1 in that space's metric.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tensoria.algebra.factorisations import Whitening
from tensoria.backend import Array, Backend
from tensoria.core import new, same_backend, transposed
from tensoria.decompositions.framing import Framed, contracted, framed, known, real_part, whole
from tensoria.decompositions.mttkrp import kruskal
from tensoria.decompositions.normal_equations import Full, Observed, Problem, Sampled, conjugated
from tensoria.decompositions.residual import norm_of, relative_error
from tensoria.decompositions.sweeps import Callback, Record
from tensoria.decompositions.updates import Update, least_squares, nonnegative_least_squares
from tensoria.errors import AxisError, BackendError, DomainError, DTypeError, MetricError, ModeError, ShapeError
from tensoria.indices import PLAIN, Index, plain, primed
from tensoria.matching import require_privileged
from tensoria.namespace.dispatch import tensor_of
from tensoria.tensor import Tensor

__all__ = ["CP", "cp"]

Start = Literal["svd", "random"]


@dataclass(frozen=True, eq=False)
class CP:
    """A CP decomposition: t = sum over the rank axis of weights * factors[0] * factors[1] * ...

    Attributes:
        weights: along the rank axis; not negative, the largest first.
        factors: one for each axis of the tensor, of the shape (size, rank); columns of norm 1.
        errors: the relative error ||t - approximation|| / ||t|| after each sweep (over the observed entries, if some
            are missing; estimated while sampling, except for the last one).
    """

    weights: Tensor
    factors: tuple[Tensor, ...]
    errors: tuple[float, ...] = ()

    @property
    def rank(self) -> int:
        """The number of components."""
        return self.weights.shape[0]

    @property
    def fit(self) -> float:
        """1 - the relative error after the last sweep."""
        return _fit(self.errors)

    def tensor(self) -> Tensor:
        """The tensor that the decomposition stands for."""
        backend, xp = self.weights._backend, self.weights._backend.xp
        rows = [xp.matrix_transpose(factor._array) for factor in self.factors]
        own = tuple(factor.indices[0] for factor in self.factors) if self.weights.is_labelled else ()
        return new(self.weights, kruskal(backend, self.weights._array, rows), own)

    def to(self, **where: Any) -> CP:
        """The decomposition on another backend or device or in another data type; arguments as for `Tensor.to`."""
        return CP(self.weights.to(**where), tuple(factor.to(**where) for factor in self.factors), self.errors)

    def __iter__(self) -> Iterator[Any]:
        return iter((self.weights, self.factors))

    def __repr__(self) -> str:
        sizes = "x".join(str(factor.shape[0]) for factor in self.factors)
        names = f" {' '.join(str(f.indices[0]) for f in self.factors)}," if self.weights.is_labelled else ""
        told = f", fit {self.fit:.6f} after {_sweeps(len(self.errors))}" if self.errors else ""
        return f"CP(rank {self.rank} of{names} {sizes} {self.factors[0].dtype}, {self.weights.backend}{told})"


def cp(
    t: Any,
    rank: int,
    *,
    init: Start | CP | Sequence[Any] | None = None,
    sweeps: int = 100,
    tolerance: float = 1e-8,
    nonnegative: bool = False,
    mask: Any = None,
    samples: int | None = None,
    seed: int = 0,
    axis: str = "r",
    metric: Whitening = "spaces",
    progress: bool | None = None,
    callback: Callback | None = None,
) -> CP:
    """The CP decomposition by alternating least squares (Kolda and Bader, SIAM Review 51, 2009, figure 3.3).

    Args:
        t: a tensor with two axes or more; each is a mode.
        rank: the number of components.
        init: where to start: `"svd"`, leading singular vectors of the unfoldings (completed by random ones);
            `"random"`; a `CP`; or the factors, one of the shape (size, rank) for each axis. None is `"svd"`, or
            `"random"` with `samples`.
        sweeps: how often each factor is updated at most.
        tolerance: stop once the relative error falls by less than this in a sweep (in ten sweeps, with `samples`).
        nonnegative: no negative entries in any factor, by hierarchical alternating least squares (Cichocki and Phan,
            IEICE Trans. Fundamentals E92-A, 2009).
        mask: a tensor of booleans of the same shape, True where the entry is observed: the others have no influence,
            whatever they are.
        samples: the number of equations to draw at random for each update instead of taking all (see
            `normal_equations.Sampled`); a few times `10 * rank * log(rank)`.
        seed: of the random numbers, which are the same on every backend.
        axis: the name of the rank axis, for labelled tensors (primed if it is taken).
        metric: `"spaces"` minimises the error in the spaces' metrics, `"components"` that of the components.
        progress: True prints a line for each sweep, False never does, None does on a terminal if it takes long.
        callback: called with the number of the sweep and its error; the iteration ends if it returns True.

    Derivatives are those of the sweeps that were done, from a fixed start; nonnegative updates have none.

    Returns:
        The components by descending weight; in each, the largest entry of every factor but the first is positive.

    Raises:
        ShapeError: the rank is less than 1, or more than the shape can need; factors do not fit.
        MetricError: a space has no metric or an indefinite one (`metric="components"` opts out).
        BasisError: entries are masked, or not to be negative, in a basis without a meaning of its own.
        DomainError: components are not finite, all zero, or a slice is not observed at all.

    >>> import numpy as np, tensoria as tn
    >>> a, b, c = (np.random.default_rng(n).normal(size=(5, 2)) for n in range(3))
    >>> t = tn.asarray(np.einsum("ir,jr,kr->ijk", a, b, c))
    >>> tn.cp(t, 2).fit > 0.9999
    True
    """
    if samples is not None and mask is not None:
        raise ModeError("equations are sampled, or entries are masked, but not both.", legal="samples=None")
    t = tensor_of(t, "cp")
    if nonnegative and t._backend.requires_grad(t._array):
        raise BackendError("nonnegative updates have no derivatives.", legal="cp(t.detach(), ...)")
    seen = None if mask is None else _mask(t, mask)
    ready = framed(t, "cp", metric, least=2, mask=seen)
    backend, x = ready.backend, ready.array
    if not known(backend, x):
        raise BackendError(
            "alternating least squares stops by the numbers it meets, which are not known while a framework traces.",
            legal="call it outside of the compiled function; tn.tucker(t, ranks, method='st-hosvd') can be traced",
        )
    if nonnegative or seen is not None:
        _require_coordinates(ready, "a nonnegative factor" if nonnegative else "a mask", nonnegative)
    rank = _checked_rank(ready, rank)
    whole(sweeps, "the number of sweeps")
    random = np.random.default_rng(seed)
    problem: Problem
    if samples is not None:
        problem = Sampled(backend, x, whole(samples, "the number of samples", rank), random)
    else:
        problem = Full(backend, x) if seen is None else Observed(backend, x, seen)
    chosen: Any = init if init is not None else "svd" if samples is None else "random"
    if isinstance(chosen, str):
        factors = _start(backend, _filled(backend, backend.detach(x), seen), rank, chosen, nonnegative, random)
    else:
        factors = _given(ready, rank, chosen, nonnegative)
    record = Record("CP", sweeps, tolerance, progress, callback, 1 if problem.exact else 10)
    update = nonnegative_least_squares if nonnegative else least_squares
    weights, factors = _iterate(backend, problem, factors, update, record)
    weights, factors = _arranged(backend, weights, factors)
    errors = record.errors
    if not problem.exact:
        exact = relative_error(backend, x, 0.0, norm_of(backend, x), lambda: kruskal(backend, weights, factors))
        errors = [*errors[:-1], exact]
    return _result(ready, weights, factors, axis, errors)


def _iterate(
    backend: Backend, problem: Problem, factors: list[Array], update: Update, record: Record
) -> tuple[Array, list[Array]]:
    """Sweeps until the record says stop; of an iteration whose errors need not fall, the best sweep."""
    xp = backend.xp
    weights = None
    factors = [_normalised(backend, factor)[1] for factor in factors]
    best: tuple[float, Array, list[Array]] | None = None
    while True:
        for n, v, m in problem.equations(factors):
            current = factors[n] if weights is None else xp.multiply(factors[n], xp.expand_dims(weights, axis=1))
            solved = update(backend, v, m, current)
            weights, factors[n] = _normalised(backend, solved)
            weights = xp.astype(weights, factors[n].dtype)
        error = problem.error((v, m, solved), factors)
        ended = record.ended(error)
        if problem.exact or best is None or error < best[0]:
            best = error, weights, list(factors)
        if ended:
            return real_part(backend, best[1]), best[2]


def _normalised(backend: Backend, factor: Array) -> tuple[Array, Array]:
    """The norms of a factor's components (rank, size), and the factor with components of norm 1 (or 0)."""
    xp = backend.xp
    norms = xp.sqrt(xp.sum(real_part(backend, xp.multiply(factor, conjugated(backend, factor))), axis=1))
    divisor = xp.astype(xp.where(norms > 0, norms, xp.ones_like(norms)), factor.dtype)
    return norms, backend.operators["divide"](factor, xp.expand_dims(divisor, axis=1))


def _arranged(backend: Backend, weights: Array, factors: list[Array]) -> tuple[Array, list[Array]]:
    """Components by descending weight, and with the largest entry of every factor but the first positive."""
    xp = backend.xp
    order = xp.argsort(weights, descending=True, stable=True)
    factors = [xp.take(factor, order, axis=0) for factor in factors]
    for n in range(1, len(factors)):
        at = xp.expand_dims(xp.argmax(xp.abs(factors[n]), axis=1), axis=1)
        largest = xp.take_along_axis(factors[n], at, axis=1)
        size = xp.abs(largest)
        phase = backend.operators["divide"](
            xp.where(size > 0, largest, xp.ones_like(largest)),
            xp.astype(xp.where(size > 0, size, xp.ones_like(size)), largest.dtype),
        )
        factors[n] = backend.operators["divide"](factors[n], phase)
        factors[0] = xp.multiply(factors[0], phase)
    return xp.take(weights, order, axis=0), factors


# -- where to start ---------------------------------------------------------------------------------------------------


def _start(
    backend: Backend, x: Array, rank: int, init: str, nonnegative: bool, random: np.random.Generator
) -> list[Array]:
    xp, kind = backend.xp, backend.dtype(x)
    if init not in ("svd", "random"):
        raise ModeError(f"init is 'svd', 'random', a CP or factors, not {init!r}.")
    factors = []
    for n, size in enumerate(x.shape):
        drawn = random.uniform(size=(rank, size)) if nonnegative else random.standard_normal((rank, size))
        if kind.kind == "complex":
            drawn = drawn + 1j * random.standard_normal((rank, size))
        factor = backend.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), kind, backend.device(x), True)
        # The first factor is the first to be solved for, and only the nonnegative update looks at what it was.
        if init == "svd" and (n or nonnegative):
            count = min(rank, size)
            term = tuple(range(len(x.shape)))
            other = (*term[:n], len(term), *term[n + 1 :])
            gram = contracted(backend, x, term, conjugated(backend, x), other, (n, len(term)))
            vectors = xp.flip(xp.linalg.eigh(gram)[1][:, size - count :], axis=1)
            leading = xp.matrix_transpose(xp.abs(vectors) if nonnegative else vectors)
            factor = leading if count == rank else xp.concat([leading, factor[count:]], axis=0)
        factors.append(factor)
    return factors


def _given(ready: Framed, rank: int, init: Any, nonnegative: bool) -> list[Array]:
    xp = ready.backend.xp
    parts = [tensor_of(part, "cp") for part in (init.factors if isinstance(init, CP) else init)]
    if len(parts) != len(ready.sizes):
        raise ShapeError(f"{len(parts)} factors to start from, for a tensor with {len(ready.sizes)} axes.")
    factors = []
    for n, (part, size, name) in enumerate(zip(parts, ready.sizes, ready.names, strict=True)):
        part = same_backend(ready.source, part)[1]
        if part.is_labelled != ready.source.is_labelled:
            raise ModeError(
                f"labelled and plain: the tensor and the factor of {name} to start from.",
                legal='label the factor, f[i, "r"], or take t.components',
            )
        if part.is_labelled:
            if part.lead or part.ndim != 2 or ready.source.indices[n] not in part.indices:
                raise AxisError(f"the factor {part.axes} to start from has not the index of {name}.")
            index = ready.source.indices[n]
            part = transposed(part, (part.names.index(index.name), 1 - part.names.index(index.name)))
            part = ready.moved(part, (index,), inverse=False)
        if part.shape != (size, rank):
            raise ShapeError(f"a factor of the shape {part.shape} to start from; {name} needs {(size, rank)}.")
        if part.dtype != ready.source.dtype:
            raise DTypeError(f"a factor of {part.dtype} to start from, for a tensor of {ready.source.dtype}.")
        array = xp.matrix_transpose(part._array)
        if nonnegative and bool(xp.any(array < 0)):
            raise DomainError(f"the factor of {name} to start from has negative entries.")
        factors.append(array)
    return factors


def _filled(backend: Backend, x: Array, seen: Array | None) -> Array:
    """For the start only: the observed entries' mean where nothing is observed."""
    if seen is None:
        return x
    xp = backend.xp
    mean = backend.operators["divide"](xp.sum(x), xp.sum(xp.astype(seen, x.dtype)))
    return xp.where(seen, x, mean)


# -- what is refused --------------------------------------------------------------------------------------------------


def _checked_rank(ready: Framed, rank: int) -> int:
    rank = whole(rank, "the rank of a CP decomposition")
    most = int(np.prod(ready.sizes, dtype=object)) // max(ready.sizes)
    if rank > most:
        shape = "x".join(map(str, ready.sizes))
        raise ShapeError(
            f"a rank of {rank}: every {shape} tensor is a sum of {most} tensors of rank one or fewer.",
            legal=f"cp(t, rank) with a rank of {most} at most",
        )
    return rank


def _mask(t: Tensor, mask: Any) -> Array:
    seen = same_backend(t, tensor_of(mask, "a mask"))[1]
    if seen.dtype.kind != "bool":
        raise DTypeError(f"a mask is of booleans, not of {seen.dtype}.", legal="mask=weights > 0")
    if seen.is_labelled != t.is_labelled:
        which = "labelled tensor and a plain mask" if t.is_labelled else "plain tensor and a labelled mask"
        raise ModeError(f"a {which}.", legal="label both, or take .components of both")
    if t.is_labelled:
        if set(seen.indices) != set(t.indices):
            raise AxisError(f"the mask has the axes {seen.axes}, and the tensor {t.axes}, or other spaces.")
        seen = seen.permuted(t.names)
    if seen.shape != t.shape:
        raise ShapeError(f"a mask of the shape {seen.shape} for a tensor of the shape {t.shape}.")
    return seen._array


def _require_coordinates(ready: Framed, what: str, nonnegative: bool) -> None:
    """Coordinatewise demands need privileged bases, and those to be orthonormal where the metric counts."""
    t = ready.source
    if nonnegative and t.dtype.kind == "complex":
        raise DTypeError(f"no order of complex numbers makes factors of {t.dtype} nonnegative.")
    if t.is_labelled and ready.metric == "spaces":
        require_privileged(t.axes, what)
        for index in t.indices:
            if index.basis is not None and index.basis.kind != "identity":
                raise MetricError(
                    f"{what} is about components, and the basis of {index!r} is not orthonormal.",
                    legal="metric='components' minimises the error of the components",
                )


# -- the result -------------------------------------------------------------------------------------------------------


def _result(ready: Framed, weights: Array, factors: list[Array], axis: str, errors: list[float]) -> CP:
    source = ready.source
    xp = ready.backend.xp
    labelled = source.is_labelled
    column: tuple[Index, ...] = (plain(primed(axis, source.names)),) if labelled else ()
    return CP(
        new(source, weights, column if labelled else PLAIN),
        tuple(ready.factor(xp.matrix_transpose(f), (), (n,), column) for n, f in enumerate(factors)),
        tuple(errors),
    )


def _fit(errors: tuple[float, ...]) -> float:
    return 1 - errors[-1] if errors else float("nan")


def _sweeps(count: int) -> str:
    return f"{count} sweep{'s' * (count != 1)}"
