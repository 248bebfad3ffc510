"""What a tensor is made of: a native array, the axes it is labelled with, and the backend that computes on it.

`BaseTensor` holds these three and nothing else, so that the algebra below `tensor.Tensor` (contraction, metric,
fusing, factorisations) can be written as functions on it, one idea a file, and the public class on top only has to
name them. No method here computes anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, TypeVar

from tensoria.backend import FORMS, Array, Backend, Form
from tensoria.conversion import convert
from tensoria.declared import carried, reordered
from tensoria.discovery import backend_of, takes
from tensoria.dtypes import DType, float64
from tensoria.errors import AxisError, BackendError, ModeError, ShapeError
from tensoria.indices import PLAIN, Axes, Index, axes, bare, check_sizes
from tensoria.structure import structural

__all__ = [
    "BaseTensor",
    "T",
    "adopt",
    "divided",
    "kept",
    "labelled",
    "leading",
    "new",
    "one_backend",
    "relabelled",
    "require_labelled",
    "same_backend",
    "transposed",
]

T = TypeVar("T", bound="BaseTensor")
U = TypeVar("U", bound="BaseTensor")
_create = object.__new__


class BaseTensor:
    """A native array with labels on its last axes (none for a plain tensor)."""

    __slots__ = ("__weakref__", "_array", "_axes", "_backend", "_engine", "_form", "_whole")

    _array: Any
    _axes: Axes
    _backend: Backend
    _engine: str
    """The name of the backend that computed the array, where it is not its own; not set otherwise (see `engine`)."""
    _form: Form
    """The array's form, once a contraction has asked for it (see `form`); not set before."""
    _whole: Any
    """Where arrays are immutable, what this is a view of, and how it is written into it (a `views.View`)."""

    @property
    def array(self) -> Array:
        """The native array itself, not a copy."""
        return self._array

    @property
    def axes(self) -> Axes:
        """The labelled axes, which are the array's last ones; declared symmetries are told by `notation`."""
        return bare(self._axes)

    @property
    def notation(self) -> str:
        """The labelled axes in the notation, such as `"b ^i _[j k]"`: brackets tell declared symmetries."""
        return str(self._axes)

    @property
    def indices(self) -> tuple[Index, ...]:
        """The indices of the labelled axes, in order."""
        return self._axes.indices

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the labelled axes, in order."""
        return self._axes.names

    @property
    def backend(self) -> str:
        """The backend's name."""
        return self._backend.name

    @property
    def engine(self) -> str:
        """The name of the backend that computed the components: another one than the tensor's own for derivatives of
        functions of NumPy tensors, as they come back. What is made of these says its own again.
        """
        return getattr(self, "_engine", None) or self._backend.name

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of all axes; None for one that is not known while a framework traces."""
        return self._backend.shape(self._array)  # type: ignore[return-value]

    @property
    def ndim(self) -> int:
        """The number of axes, anonymous ones included."""
        return len(self._array.shape)

    @property
    def size(self) -> int | None:
        """The number of elements; None if it is not known while a framework traces."""
        total = 1
        for n in self.shape:
            if n is None:
                return None
            total *= n
        return total

    @property
    def dtype(self) -> DType:
        """The data type."""
        return self._backend.dtype(self._array)

    @property
    def device(self) -> str:
        """The device, such as `"cpu"` or `"cuda:0"`."""
        return self._backend.device(self._array)

    def form(self) -> Form:
        """The array's shape and native data type as one interned value; remembered, unless they may change in place.

        Raises:
            TypeError: a size is a symbol of a tracing compiler, which has no hash.
        """
        array = self._array
        form = FORMS[array.shape, array.dtype]
        if type(array) in self._backend.fixed:
            self._form = form
        return form

    @property
    def is_labelled(self) -> bool:
        """Whether some axis is named or indexed; a plain tensor is an Array API array."""
        return self._axes is not PLAIN

    @property
    def lead(self) -> int:
        """The number of anonymous axes, which lead."""
        count = len(self._array.shape) - len(self._axes.indices)
        if count < 0:
            raise ShapeError(
                f"an array with {len(self._array.shape)} axes has the labels {self._axes}: a transformation took one.",
                legal="map over anonymous leading axes, t[..., i]",
            )
        return count


def new(like: T, array: Array, of: Axes | tuple[Index, ...]) -> T:
    """A tensor of the same class and backend with another array and axes, unchecked; declared symmetries go."""
    out = _create(type(like))
    out._array = array
    out._axes = of if type(of) is Axes else axes(of)
    out._backend = like._backend
    return out


def kept(like: T, array: Array, of: Axes | None = None) -> T:
    """A tensor of the same class and backend, unchecked, whose axes keep their declared symmetries.

    Args:
        like: the tensor that it is made of.
        array: its array, which has the symmetries too.
        of: its axes, those of `like` if not given.
    """
    out = _create(type(like))
    out._array = array
    out._axes = like._axes if of is None else of
    out._backend = like._backend
    return out


def require_labelled(t: BaseTensor, what: str) -> None:
    """Raise unless the tensor is labelled.

    Raises:
        ModeError: it is plain.
    """
    if t._axes is PLAIN:
        raise ModeError(
            f"{what} is about indices, and this tensor is plain.", legal="label its axes first, t[i, -j] or t['b']"
        )


def same_backend(a: T, b: U) -> tuple[T, U]:
    """Two tensors of one backend: themselves; where one backend takes the other's (`discovery.takes`), that a constant.

    Raises:
        BackendError: they live on two backends.
    """
    if a._backend is b._backend:
        return a, b
    for first, other in ((a, b), (b, a)):
        target, source = first._backend, other._backend
        if takes(target, source) and other._array is not None:
            lift = target.import_array if target.lifts else partial(convert, target=target)
            lifted = adopt(type(first), lift(other._array, source), other._axes, target)
            return (a, lifted) if first is a else (lifted, b)  # type: ignore[return-value]
    raise BackendError(
        f"one operand is on {a._backend.name}, the other on {b._backend.name}.",
        legal=f"b.to(backend={a._backend.name!r})",
    )


def one_backend(tensors: Sequence[T]) -> list[T]:
    """Any number of tensors on one backend (see `same_backend`).

    Raises:
        BackendError: they live on several backends.
    """
    first = leading(tensors)
    return [same_backend(first, t)[1] for t in tensors]


def leading(tensors: Sequence[T]) -> T:
    """The one of several tensors whose backend takes the others' (`discovery.takes`); the first if none has to."""
    first = tensors[0]
    for t in tensors:
        if t._backend is not first._backend and takes(t._backend, first._backend):
            first = t
    return first


def adopt(like: type[T], array: Array, of: Axes = PLAIN, backend: Backend | None = None) -> T:
    """A tensor of that class around a native array, without a copy.

    Raises:
        BackendError: no installed backend knows the array.
    """
    found = backend or backend_of(array)
    if found is None:
        raise BackendError(f"no installed backend has arrays of type {type(array).__name__}.")
    out: T = _create(found.tensor_class or like)
    out._array, out._axes, out._backend = array, of if type(of) is Axes else axes(of), found
    return out


def transposed(t: T, order: Sequence[int]) -> T:
    """The tensor with its labelled axes in another order; variance stays (rule 7)."""
    if tuple(order) == tuple(range(len(order))):
        return t
    lead = t.lead
    array = t._backend.kernels.transpose(t._array, (*range(lead), *(lead + n for n in order)))
    if type(t._axes) is Axes:
        return new(t, array, tuple(t._axes.indices[n] for n in order))
    return kept(t, array, reordered(t._axes, tuple(order)))


def relabelled(t: T, names: dict[str, str]) -> T:
    """The same tensor with some indices renamed."""
    return kept(t, t._array, _renamed(t._axes, tuple(names.items())))


@structural
def _renamed(of: Axes, names: tuple[tuple[str, str], ...]) -> Axes:
    mapping = dict(names)
    for name in mapping:
        of.find(name)
    made = axes(tuple(i.renamed(mapping[i.name]) if i.name in mapping else i for i in of.indices))
    return made if type(of) is Axes else carried(of, made)


def divided(t: T, number: int) -> T:
    """The tensor divided by a whole number; integers become float64, on every backend."""
    backend, array = t._backend, t._array
    if t.dtype.kind not in ("float", "complex"):
        array = backend.kernels.cast(array, backend.native_dtype(float64))
    return kept(t, backend.operators["divide"](array, float(number)))


def labelled(t: T, of: tuple[Index, ...]) -> T:
    """A plain tensor with indices on its last axes, checked against its shape.

    Raises:
        ShapeError: a size does not fit a dimension.
        AxisError: there are more indices than axes, or a name occurs twice.
    """
    shape = t._backend.shape(t._array)
    if len(of) > len(shape):
        raise AxisError(f"{len(of)} indices ({axes(of)}) for a tensor with {len(shape)} axes.")
    made = axes(of)
    check_sizes(made, shape)
    return new(t, t._array, made)
