"""From functions of trees of tensors to functions of native arrays, which is what a framework differentiates.

`Lifted` takes arguments apart, remembers the axes of every leaf, and moves everything to the *engine*: the backend of
the arguments, or for one that can not differentiate (NumPy) one that can. Only the outermost call
of nested derivatives moves anything; those inside meet the engine's tensors already. While a moved function runs,
the engine is also the backend on which new tensors are made, and beside which those that the function holds are
constants (`discovery.run_on`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tensoria.backend import Array, Backend
from tensoria.calculus.trees import Tree, flatten, mapped, unflatten
from tensoria.components import of_array
from tensoria.conversion import convert
from tensoria.core import BaseTensor, transposed
from tensoria.discovery import available, backend_of, current, get, loaded, run_on, takes
from tensoria.errors import (
    BackendError,
    BackendNotFoundError,
    DTypeError,
    ModeError,
    ShapeError,
    SpaceError,
    TensoriaError,
    VarianceError,
)
from tensoria.indices import PLAIN, Axes, Index, axes
from tensoria.structure import structural
from tensoria.tensor import Tensor

__all__ = [
    "IMAGINARY",
    "Lifted",
    "Results",
    "engine",
    "engine_of",
    "fitted",
    "labels",
    "moved",
    "opposite",
    "require_floating",
    "returned",
]

IMAGINARY = of_array(1j)
"""The imaginary unit."""
NATIVE = None
"""Stands for the axes of a leaf that is a native array, and stays one."""
Labels = Axes | None


def engine(backend: str) -> str:
    """The name of the backend that differentiates tensors of another one: itself, if it can.

    NumPy can not; functions of NumPy tensors are differentiated on another backend, and values and derivatives come
    back as NumPy arrays. It is the current one (`tensoria.use`), if it can; else of those that are loaded already the
    one whose calls cost least; else one that is installed.

    Raises:
        BackendError: no installed backend differentiates.
        BackendNotFoundError: there is none of that name.
    """
    return engine_of(get(backend)).name


def engine_of(own: Backend) -> Backend:
    """The backend that differentiates another one's arrays."""
    if own.differentiates:
        return own
    chosen = current()
    if chosen.differentiates:
        return chosen
    # A symbolic one differentiates what is recorded on it, and takes no numbers over.
    ready = [found for found in loaded() if found.differentiates and not found.lifts]
    if ready:
        return min(ready, key=lambda found: found.kernels.costs.call)
    for name in reversed(available()):
        try:
            found = get(name)
        except BackendNotFoundError:
            continue
        if found.differentiates:
            return found
    raise BackendError(
        f"the {own.name} backend has no derivatives, and no other that has them is installed.",
        legal="pip install 'tensoria[torch]'",
    )


@structural
def opposite(of: Axes) -> Axes:
    """The same axes with every variance reversed."""
    return axes(tuple(index if index.basis is None else -index for index in of.indices))


def labels(leaf: Any) -> Labels:
    """A leaf's axes; None for a native array."""
    return leaf._axes if isinstance(leaf, BaseTensor) else NATIVE


def moved(backend: Backend, value: Any) -> Any:
    """A tensor or a native array on another backend; everything else as it is."""
    if isinstance(value, Tensor):
        return value if value._backend is backend else value.to(backend=backend.name)
    if isinstance(value, BaseTensor):
        return value
    owner = backend_of(value)
    return value if owner is None or owner is backend else convert(value, owner, backend)


def returned(t: Tensor, own: Backend) -> Tensor:
    """A result on the backend that the arguments came from; it remembers where it was computed (`Tensor.engine`)."""
    if t._backend is own:
        return t
    made = t.to(backend=own.name)
    made._engine = t._backend.name
    return made


def require_floating(backend: Backend, array: Array, what: str) -> None:
    """Raise unless an array is of a data type with derivatives.

    Raises:
        DTypeError: it is of integers or booleans.
    """
    found = backend.dtype(array)
    if found.kind not in ("float", "complex"):
        raise DTypeError(f"{what} is of {found}, which has no derivatives.", legal='t.to(dtype="float64")')


class Results:
    """What a function returned: the structure and the axes of its leaves, and the native arrays in them."""

    def __init__(self, value: Any, backend: Backend, own: Backend) -> None:
        leaves, self.tree = flatten(value)
        self.labels: list[Labels] = []
        self.arrays: list[Array] = []
        for leaf in leaves:
            if not isinstance(leaf, BaseTensor) and backend_of(leaf) is None:
                raise ModeError(
                    f"the function returns {type(leaf).__name__}, where a tensor belongs.", legal="tn.asarray(y)"
                )
            array = leaf._array if isinstance(leaf, BaseTensor) else leaf
            owner = leaf._backend if isinstance(leaf, BaseTensor) else backend_of(leaf)
            if owner is own and own is not backend:
                array, owner = convert(array, own, backend), backend  # a constant
            if owner is not backend:
                raise BackendError(
                    f"the function's value is on {owner.name if owner else None}, and its argument on {backend.name}: "
                    "nothing of the argument can be in it.",
                    legal="compute with the argument, on its backend",
                )
            self.labels.append(labels(leaf))
            self.arrays.append(array)


class Lifted:
    """A function of trees, as one of native arrays on the engine.

    Args:
        function: what to differentiate or to map.
        arguments: its positional arguments.
        named: its named ones.
        chosen: the positions of the arguments whose leaves are the arrays.
        floating: whether these leaves must have a data type with derivatives.

    Raises:
        ModeError: there is no argument of that number, or a leaf is no tensor.
        DTypeError: a leaf is of integers.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        arguments: Sequence[Any],
        named: dict[str, Any],
        chosen: Sequence[int],
        *,
        floating: bool = True,
    ) -> None:
        self.function = function
        self.chosen = tuple(_positions(chosen, len(arguments)))
        self.trees: list[Tree] = []
        self.counts: list[int] = []
        leaves: list[Any] = []
        for n in self.chosen:
            found, tree = flatten(arguments[n])
            for leaf in found:
                _require_tensor(leaf, n)
            leaves += found
            self.trees.append(tree)
            self.counts.append(len(found))
        if not leaves:
            raise ModeError("the arguments to differentiate by hold no tensor.", legal="tn.asarray(x)")
        first = leaves[0]
        own = first._backend if isinstance(first, BaseTensor) else backend_of(first)
        assert own is not None
        self.backend = engine_of(own) if floating else _mapping(own)
        # Inside of a function that has moved there already, results stay: outer derivatives may go through them.
        self.own: Backend = self.backend if self.backend is not own and takes(self.backend, own) else own
        self.labels = [labels(leaf) for leaf in leaves]
        placed = [moved(self.backend, leaf) for leaf in leaves]
        self.arrays = [leaf._array if isinstance(leaf, BaseTensor) else leaf for leaf in placed]
        if floating:
            for number, array in zip(self._numbers(), self.arrays, strict=True):
                require_floating(self.backend, array, f"argument {number}")
        if self.backend is own:
            self.arguments, self.named = list(arguments), named
        else:
            self.arguments = [
                None if n in self.chosen else mapped(self._move, argument) for n, argument in enumerate(arguments)
            ]
            self.named = {name: mapped(self._move, argument) for name, argument in named.items()}

    def _move(self, leaf: Any) -> Any:
        return moved(self.backend, leaf)

    def _numbers(self) -> list[int]:
        return [n for n, count in zip(self.chosen, self.counts, strict=True) for _ in range(count)]

    def call(self, arrays: Sequence[Array], given: Sequence[Labels] | None = None) -> Any:
        """The function's value for other arrays in place of the leaves (with other labels, where they are given)."""
        filled = list(self.arguments)
        for n, part in zip(
            self.chosen, self.arguments_of(arrays, self.labels if given is None else given), strict=True
        ):
            filled[n] = part
        if self.backend is self.own:
            return self.function(*filled, **self.named)
        with run_on(self.backend, self.own):
            try:
                return self.function(*filled, **self.named)
            except Exception as error:
                if not isinstance(error, TensoriaError):
                    error.add_note(self._where())
                raise

    def _where(self) -> str:
        own, engine = self.own.name, self.backend.name
        return (
            f"tensoria: {own} has no derivatives, so the function ran on {engine}: all that it got was there. "
            f"Tensors of {own} that it closes over are constants there; arrays of {own} and functions for these "
            "are not. Legal: functions of tensoria, tn.asarray(array), tn.tensor(array, ...)"
        )

    def arguments_of(self, arrays: Sequence[Array], given: Sequence[Labels]) -> list[Any]:
        """The chosen arguments with these leaves, on the engine."""
        made, start = [], 0
        for tree, count in zip(self.trees, self.counts, strict=True):
            stop = start + count
            leaves = [
                array if of is NATIVE else Tensor.from_parts(array, of, self.backend)
                for array, of in zip(arrays[start:stop], given[start:stop], strict=True)
            ]
            made.append(unflatten(tree, leaves))
            start = stop
        return made

    def back(self, array: Array, of: Labels) -> Any:
        """A native array of the engine as a leaf on the backend that the arguments came from."""
        if of is NATIVE:
            return convert(array, self.backend, self.own)
        return returned(Tensor.from_parts(array, of, self.backend), self.own)

    def result(self, results: Results, arrays: Sequence[Array]) -> Any:
        """A tree of results with these arrays in it."""
        leaves = [self.back(array, of) for array, of in zip(arrays, results.labels, strict=True)]
        return unflatten(results.tree, leaves)

    def like_arguments(self, arrays: Sequence[Array], given: Sequence[Labels]) -> list[Any]:
        """One tree for each chosen argument, with these arrays and labels, on the arguments' backend."""
        made, start = [], 0
        for tree, count in zip(self.trees, self.counts, strict=True):
            stop = start + count
            pairs = zip(arrays[start:stop], given[start:stop], strict=True)
            made.append(unflatten(tree, [self.back(array, of) for array, of in pairs]))
            start = stop
        return made

    def opposites(self) -> list[Labels]:
        """The leaves' axes with every variance reversed."""
        return [NATIVE if of is NATIVE else opposite(of) for of in self.labels]


def _positions(chosen: Sequence[int], count: int) -> list[int]:
    for n in chosen:
        if not -count <= n < count:
            raise ModeError(f"there is no argument {n} to differentiate by; {count} were given.")
    found = [n % count for n in chosen]
    if len(set(found)) != len(found):
        raise ModeError(f"one argument is named twice: {tuple(chosen)}.")
    return found


def _require_tensor(leaf: Any, n: int) -> None:
    if not isinstance(leaf, Tensor) and backend_of(leaf) is None:
        raise ModeError(
            f"argument {n} is {type(leaf).__name__}; a gradient is taken by a tensor.", legal="tn.asarray(x)"
        )


def _mapping(own: Backend) -> Backend:
    """The backend that maps another one's arrays: the engine if there is one, since derivatives may be inside."""
    try:
        return engine_of(own)
    except BackendError:
        return own


def fitted(backend: Backend, value: Any, of: Labels, like: Array, what: str) -> Array:
    """The native array of a tangent or cotangent, which must have given axes (in any order), shape and data type.

    Raises:
        SpaceError, VarianceError: its indices are others.
        ShapeError, DTypeError, ModeError: so is its shape or data type, or it is no tensor.
    """
    if not isinstance(value, BaseTensor):
        if backend_of(value) is None:
            raise ModeError(f"{what} is {type(value).__name__}, where a tensor belongs.", legal="tn.asarray(v)")
        array = moved(backend, value)
    else:
        value = moved(backend, value)
        wanted = PLAIN if of is NATIVE else of
        if value._axes is not wanted:
            value = transposed(value, _order(value._axes, wanted, what))
        array = value._array
    if backend.shape(array) != backend.shape(like):
        raise ShapeError(f"{what} has the shape {backend.shape(array)}, where {backend.shape(like)} belongs.")
    mine, needed = backend.dtype(array), backend.dtype(like)
    if mine is not needed:
        if mine.kind == "complex" and needed.kind == "float":
            raise DTypeError(f"{what} is complex, where {needed} belongs.", legal="tn.real(v)")
        array = backend.kernels.cast(array, like.dtype)
    return array


@structural
def _order(given: Axes, wanted: Axes, what: str) -> tuple[int, ...]:
    """The order in which given axes are the wanted ones."""
    if len(given.indices) != len(wanted.indices):
        raise SpaceError(f"{what} has the axes {given or 'none'}, where {wanted or 'none'} belong.")
    found = []
    for index in wanted.indices:
        if index.name not in given.position:
            raise SpaceError(f"{what} has the axes {given}, where {wanted} belong.", legal="t.renamed(...)")
        other: Index = given.indices[given.position[index.name]]
        if other.basis is not index.basis:
            raise SpaceError(f"{what} has {other!r}, where {index!r} belongs.")
        if other.variance != index.variance:
            raise VarianceError(
                f"{what} has {other!r}, where {index!r} belongs: the variances differ.",
                legal=f't.{"raised" if index.variance > 0 else "lowered"}("{index.name}")',
            )
        found.append(given.position[index.name])
    return tuple(found)
