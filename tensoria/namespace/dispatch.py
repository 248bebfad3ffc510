"""How a function of the standard is carried out on tensors: read its row, check and align labels, call the backend.

The chapters make their functions with `unary`, `binary`, `along`, `over` and `plain`; each maker serves one shape of
signature.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from tensoria import coordinatewise
from tensoria.backend import Array, Backend, current
from tensoria.coordinatewise import is_scalar, number
from tensoria.core import BaseTensor, new, same_backend
from tensoria.dtypes import DType, beside
from tensoria.dtypes import dtype as as_dtype
from tensoria.errors import AxisError, ModeError
from tensoria.indices import PLAIN, Index, axes
from tensoria.indices import plain as plain_index
from tensoria.matching import require_privileged
from tensoria.metric import conj
from tensoria.namespace.rules import RULES, Rule
from tensoria.namespace.signatures import signature
from tensoria.tensor import Tensor

__all__ = ["Axis", "along", "axes_of", "binary", "over", "plain", "tensor_of", "unary", "unwrap", "wrap"]

Axis = int | str | Sequence[int | str] | None
F = TypeVar("F", bound=Callable[..., Any])
Unary = Callable[[Any], Tensor]
Binary = Callable[[Any, Any], Tensor]


def tensor_of(value: Any, what: str) -> Tensor:
    """A tensor as it is, a native array adopted.

    Raises:
        ConversionError: it is neither.
    """
    return value if isinstance(value, Tensor) else Tensor(value)


def unary(name: str, doc: str) -> Unary:
    """A function of each component, such as `exp`."""
    rule = RULES[name]

    def function(x: Any, /) -> Tensor:
        t = tensor_of(x, name)
        if rule is Rule.CONJUGATE:
            return conj(t)
        # Real and imaginary parts commute with real changes of basis.
        linear = rule is Rule.LINEAR or (name in ("real", "imag") and not _complex(t))
        return coordinatewise.unary(name, getattr(t._backend.xp, name), t, linear=linear)

    return _named(function, name, doc)


def _complex(t: BaseTensor) -> bool:
    return any(i.basis is not None and i.basis.space.field == "complex" for i in t._axes.indices)


def binary(name: str, doc: str) -> Binary:
    """A function of two operands, coordinate by coordinate; either may be a Python number."""
    linear = RULES[name] is Rule.LINEAR

    def function(x1: Any, x2: Any, /) -> Tensor:
        if is_scalar(x1) and is_scalar(x2):
            raise ModeError(f"{name} of two numbers; one operand at least is a tensor.", legal="tn.asarray(x)")
        if is_scalar(x1) or is_scalar(x2):
            t = tensor_of(x2 if is_scalar(x1) else x1, name)
            if t._axes is not PLAIN:
                if linear:
                    raise ModeError(
                        f"a number and the labelled tensor {t._axes} can not be added.",
                        legal="numbers multiply and divide; to shift every component, add to t.components",
                    )
                require_privileged(t._axes, name)
            native = getattr(t._backend.xp, name)
            other = scalar(t, x1 if is_scalar(x1) else x2)
            return new(t, native(other, t._array) if is_scalar(x1) else native(t._array, other), t._axes)
        a, b = same_backend(tensor_of(x1, name), tensor_of(x2, name))
        x, y, of = coordinatewise.aligned(name, a, b)
        try:
            return new(a, getattr(a._backend.xp, name)(*a._backend.promoted(x, y)), of)
        except Exception:
            coordinatewise.check_broadcast(a._backend.shape(x), a._backend.shape(y), name)
            raise

    return _named(function, name, doc)


def scalar(t: BaseTensor, value: Any) -> Array:
    """A Python number as a 0-d array beside a tensor's: of its data type and on its device."""
    value = number(value)
    return t._backend.scalar_like(value, beside(value, t.dtype), t._array)


# -- along axes -------------------------------------------------------------------------------------------------------


def axes_of(t: BaseTensor, axis: Axis, what: str) -> tuple[int, ...] | None:
    """Positions of the axes meant by numbers or names, checked by rule 6; None for all.

    Raises:
        AxisError: there is no such axis.
        BasisError: an axis has an index that is not in a privileged basis.
    """
    if axis is None or RULES.get(what) is Rule.COORDINATEWISE_ALONG:
        require_privileged(t._axes, what)
    if axis is None:
        return None
    given = (axis,) if isinstance(axis, (int, str)) else tuple(axis)
    found = tuple(_position(t, item, what) for item in given)
    if len(set(found)) != len(found):
        raise AxisError(f"{what} is given one axis twice: {given}.")
    lead = t.lead
    names = tuple(t._axes.indices[n - lead].name for n in found if n >= lead)
    if names:
        require_privileged(t._axes, what, names)
    return found


def _position(t: BaseTensor, axis: Any, what: str) -> int:
    if isinstance(axis, str):
        if t._axes is PLAIN:
            raise AxisError(
                f"{what} over the axis {axis!r} of a plain tensor, whose axes have no names.", legal="axis=0"
            )
        return t.lead + t._axes.find(axis)
    count = t.ndim
    position: int = axis.__index__()
    if not -count <= position < count:
        raise AxisError(f"{what} over axis {position} of a tensor with {count} axes.")
    return position % count


def over(name: str, doc: str) -> Callable[..., Tensor]:
    """A reduction over axes, such as `sum`: the axes go, or stay with size 1 as plain ones."""

    def function(x: Any, /, *, axis: Axis = None, keepdims: bool = False, **options: Any) -> Tensor:
        t = x if type(x) is Tensor else tensor_of(x, name)
        if t._axes is PLAIN and not options and not isinstance(axis, str):
            return new(t, getattr(t._backend.xp, name)(t._array, axis=axis, keepdims=keepdims), PLAIN)
        found = axes_of(t, axis, name)
        if isinstance(axis, (int, str)) and found is not None:
            where: int | tuple[int, ...] | None = found[0]
        else:
            where = found
        native = getattr(t._backend.xp, name)(
            t._array, axis=where, keepdims=keepdims, **native_options(t._backend, options)
        )
        gone = set(range(t.ndim)) if found is None else set(found)
        return new(t, native, _left(t, gone, keepdims))

    return _named(function, name, doc)


def _left(t: BaseTensor, gone: set[int], keepdims: bool) -> tuple[Index, ...]:
    lead = t.lead
    left = []
    for number_, index in enumerate(t._axes.indices, lead):
        if number_ not in gone:
            left.append(index)
        elif keepdims:
            left.append(plain_index(index.name))
    return tuple(left)


def along(name: str, doc: str) -> Callable[..., Tensor]:
    """A function along one axis (or more) that keeps every axis, such as `sort` or `flip`."""

    def function(x: Any, /, *arguments: Any, axis: Axis = None, **options: Any) -> Tensor:
        t = tensor_of(x, name)
        of = t._axes
        if of is not PLAIN and axis is None and name == "roll":
            raise AxisError(f"roll without an axis would flatten {of}.", legal='tn.roll(t, 1, axis="b")')
        if axis is not None or t._axes is not PLAIN or "axis" in options:
            found = axes_of(t, axis, name)
            options["axis"] = found[0] if isinstance(axis, (int, str)) and found else found
            if options.get("include_initial") and found and found[0] >= t.lead:
                # One entry more than the space has dimensions.
                of = axes(tuple(plain_index(i.name) if n == found[0] - t.lead else i for n, i in enumerate(of.indices)))
        if options.get("axis", 0) is None:
            del options["axis"]
        native = getattr(t._backend.xp, name)(t._array, *map(unwrap, arguments), **native_options(t._backend, options))
        return new(t, native, of)

    return _named(function, name, doc)


# -- plain functions --------------------------------------------------------------------------------------------------


def plain(name: str, doc: str, part: str | None = None) -> Callable[..., Any]:
    """A function for plain tensors only: arguments are unwrapped, results wrapped.

    Args:
        name: its name.
        doc: what it does.
        part: the extension of the standard that it belongs to.
    """

    def function(*arguments: Any, **options: Any) -> Any:
        backend = _backend_of(arguments) or current()
        native = getattr(backend.xp if part is None else getattr(backend.xp, part), name)(
            *[unwrap(x, name, backend) for x in arguments],
            **{key: unwrap(x, name, backend) for key, x in native_options(backend, options).items()},
        )
        return wrap(native, backend)

    return _named(function, name, doc, name if part is None else f"{part}.{name}")


def _backend_of(arguments: Sequence[Any]) -> Backend | None:
    """The backend of the first tensor among arguments, or of the first one that lifts the others."""
    found = None
    for x in arguments:
        if isinstance(x, BaseTensor):
            backend = x._backend
        elif isinstance(x, (list, tuple)) and (inside := _backend_of(x)) is not None:
            backend = inside
        else:
            continue
        if backend.lifts:
            return backend
        found = found or backend
    return found


def unwrap(x: Any, what: str = "this function", backend: Backend | None = None) -> Any:
    """Native arrays for plain tensors, also inside of lists and tuples; everything else as it is.

    Raises:
        ModeError: a tensor is labelled.
        BackendError: a tensor is on another backend.
    """
    if isinstance(x, BaseTensor):
        if x._axes is not PLAIN:
            raise ModeError(
                f"{what} has no rule for labelled tensors, and this one has {x._axes}.",
                legal="use t.components, or an operation that knows indices (*, tn.einsum, t.rearrange)",
            )
        if backend is not None and x._backend is not backend:
            x = same_backend(_on(backend), x)[1]
        return x._array
    if isinstance(x, (list, tuple)) and not hasattr(x, "_fields"):
        return type(x)(unwrap(item, what, backend) for item in x)
    return x


def _on(backend: Backend) -> BaseTensor:
    return Tensor.from_parts(None, PLAIN, backend)


def wrap(x: Any, backend: Backend) -> Any:
    """Plain tensors for native arrays, also inside of tuples, named tuples and lists."""
    if backend.owns(x):
        return Tensor.from_parts(x, PLAIN, backend)
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*(wrap(item, backend) for item in x))
    if isinstance(x, (list, tuple)):
        return type(x)(wrap(item, backend) for item in x)
    return x


def native_options(backend: Backend, options: dict[str, Any]) -> dict[str, Any]:
    """Keyword arguments with the framework's own data types and devices."""
    made = dict(options)
    if isinstance(made.get("dtype"), (DType, str)):
        made["dtype"] = backend.native_dtype(as_dtype(made["dtype"]))
    return made


def _named(function: F, name: str, doc: str, row: str | None = None) -> F:
    function.__name__ = function.__qualname__ = name
    if (found := signature(row or name)) is not None:
        function.__signature__ = found  # type: ignore[attr-defined]
    function.__doc__ = doc + (f" Labelled input: {RULES[name].value}." if name in RULES else " For plain tensors.")
    return function
