"""How a function of the standard is carried out on tensors: read its row, check and align labels, call the backend.

The chapters make their functions with `unary`, `binary`, `along`, `over` and `plain`; each maker serves one shape of
signature.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from tensoria import coordinatewise
from tensoria.backend import Array, Backend
from tensoria.coordinatewise import is_scalar, number
from tensoria.core import BaseTensor, new, same_backend
from tensoria.discovery import backend_of, current, takes
from tensoria.domains import DOMAINS, HALVES, check_domain
from tensoria.dtypes import DType, beside, float32, promoted
from tensoria.dtypes import dtype as as_dtype
from tensoria.errors import (
    AxisError,
    ConversionError,
    MatrixError,
    ModeError,
    PositionError,
    ShapeError,
    TensoriaError,
)
from tensoria.indices import PLAIN, Index, axes
from tensoria.indices import plain as plain_index
from tensoria.matching import require_privileged
from tensoria.metric import conj
from tensoria.namespace.refusals import (
    CHECKS,
    FINITE,
    NONEMPTY,
    PROMOTING,
    axis_number,
    check_finite,
    check_positions,
    matrix_fault,
)
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
            check_domain(name, t.dtype)
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
            value = x1 if is_scalar(x1) else x2
            if name in t._backend.operators:
                function = t._backend.operators[name]
                return new(t, coordinatewise.beside_number(name, function, t, value, is_scalar(x1)), t._axes)
            native, other = getattr(t._backend.xp, name), scalar(t, value)
            check_domain(name, t._backend.dtype(other))
            return new(t, native(other, t._array) if is_scalar(x1) else native(t._array, other), t._axes)
        a, b = same_backend(tensor_of(x1, name), tensor_of(x2, name))
        x, y, of = coordinatewise.aligned(name, a, b)
        backend = a._backend
        function = backend.operators.get(name) or getattr(backend.xp, name)
        return new(a, coordinatewise.combined(name, function, backend, x, y), of)

    return _named(function, name, doc)


def scalar(t: BaseTensor, value: Any) -> Array:
    """A Python number as a 0-d array beside a tensor's: of its data type and on its device."""
    of = t.dtype
    value = coordinatewise.fitting(number(value), of)
    return t._backend.scalar_like(value, beside(value, of), t._array)


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
    given = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
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
    return axis_number(axis, t.ndim, what)


def over(name: str, doc: str) -> Callable[..., Tensor]:
    """A reduction over axes, such as `sum`: the axes go, or stay with size 1 as plain ones."""

    limited, nonempty = name in DOMAINS, name in NONEMPTY

    def function(x: Any, /, *, axis: Axis = None, keepdims: bool = False, **options: Any) -> Tensor:
        t = x if type(x) is Tensor else tensor_of(x, name)
        if limited:
            check_domain(name, t.dtype)
        if nonempty:
            _check_nonempty(t, axis, name)
        if axis == ():  # over no axis: PyTorch understands all
            single = t._backend.xp.expand_dims(t._array, axis=t.ndim)
            native = getattr(t._backend.xp, name)(single, axis=t.ndim, **native_options(t._backend, options))
            return new(t, native, t._axes)
        if axis is not None and not t._array.shape:
            axes_of(t, axis, name)  # PyTorch lets an array without axes have one
        if t._axes is PLAIN and not options and not isinstance(axis, str):
            try:
                return new(t, getattr(t._backend.xp, name)(t._array, axis=axis, keepdims=keepdims), PLAIN)
            except Exception:
                axes_of(t, axis, name)  # which says what is wrong
                raise
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


def _check_nonempty(t: BaseTensor, axis: Axis, name: str) -> None:
    shape = t._backend.shape(t._array)
    if 0 not in shape:
        return
    found = axes_of(t, axis, name)
    if any(shape[n] == 0 for n in (range(len(shape)) if found is None else found)):
        raise ShapeError(f"{name} of no components: the shape is {shape}.")


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

    check = CHECKS.get(name)

    def function(x: Any, /, *arguments: Any, axis: Axis = None, **options: Any) -> Tensor:
        t = tensor_of(x, name)
        of = t._axes
        check_domain(name, t.dtype)
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
        if check is not None:
            check(t._array, *arguments, **options)
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

    row = name if part is None else f"{part}.{name}"
    check = CHECKS.get(row)
    operands = row in DOMAINS or row in PROMOTING
    by_way = part in ("linalg", "fft") and row in DOMAINS and "int" not in DOMAINS[row]

    def function(*arguments: Any, **options: Any) -> Any:
        backend = _backend_of(arguments) or _native_backend(arguments, row)
        given = [unwrap(x, name, backend) for x in arguments]
        more = {key: unwrap(x, name, backend) for key, x in native_options(backend, options).items()}
        of = _domain(row, backend, given) if operands else None
        if check is not None:
            check(*given, **more)
        if row in FINITE or (row == "linalg.matrix_norm" and more.get("ord") in (2, -2, "nuc")):
            check_finite(row, backend, given[0])
        half = by_way and of is not None and of.name in HALVES
        if half:  # no framework factorises or transforms 16 bits
            given = [backend.kernels.cast(x, backend.native_dtype(float32)) if backend.owns(x) else x for x in given]
        try:
            native = getattr(backend.xp if part is None else getattr(backend.xp, part), name)(*given, **more)
            if row == "linalg.cholesky" and backend.all_finite(native) is False:
                raise _not_positive(row)  # TensorFlow does not say so
        except TensoriaError:
            raise
        except Exception as error:
            explain(row, backend, given, more, error)
            raise
        if half and part == "linalg" and of is not None:
            native = _narrowed(native, of, backend)
        return wrap(native, backend)

    return _named(function, name, doc, name if part is None else f"{part}.{name}")


def _domain(row: str, backend: Backend, given: Sequence[Any]) -> DType | None:
    """The data type that a function's arrays promote to, which the function has to be defined for."""
    found = [backend.dtype(x) for x in given if backend.owns(x)]
    if not found:
        return None
    of = functools.reduce(promoted, found) if row in PROMOTING else found[0]
    check_domain(row, of)
    return of


def _narrowed(x: Any, of: DType, backend: Backend) -> Any:
    """Results in 32 bits as the 16 bits that they were made of."""
    if backend.owns(x):
        return backend.kernels.cast(x, backend.native_dtype(of)) if backend.dtype(x) is float32 else x
    return type(x)(*(_narrowed(item, of, backend) for item in x))


def explain(row: str, backend: Backend, given: Sequence[Any], options: dict[str, Any], error: Exception) -> None:
    """Raise our own error for what a framework refused, if the arguments say what it is."""
    arrays = [x for item in given for x in (item if isinstance(item, (list, tuple)) else (item,)) if backend.owns(x)]
    coordinatewise.check_devices(arrays, backend, row)
    if row == "take_along_axis":
        x, positions = given
        if backend.dtype(positions).kind not in ("int", "uint"):
            raise PositionError(f"{row}: positions are integers, not {backend.dtype(positions)}.")
        check_positions(row, backend, positions, backend.shape(x)[options.get("axis", -1)])
    if backend.refuses_matrix(error) and (fault := matrix_fault(row)) is not None:
        raise fault from error


def _not_positive(row: str) -> MatrixError:
    found = matrix_fault(row)
    assert found is not None
    return found


def _native_backend(arguments: Sequence[Any], what: str) -> Backend:
    """The backend of the first native array among the arguments.

    Raises:
        ConversionError: there is none.
    """
    for x in arguments:
        for item in x if isinstance(x, (list, tuple)) else (x,):
            if (found := backend_of(item)) is not None:
                return found
    if arguments:
        raise ConversionError(f"{what} takes tensors, not {type(arguments[0]).__name__}.", legal="tn.asarray(x)")
    return current()


def _backend_of(arguments: Sequence[Any]) -> Backend | None:
    """The backend of the first tensor among arguments, or of one that takes the others."""
    found = None
    for x in arguments:
        if isinstance(x, BaseTensor):
            backend = x._backend
        elif isinstance(x, (list, tuple)) and (inside := _backend_of(x)) is not None:
            backend = inside
        else:
            continue
        if found is None or (backend is not found and takes(backend, found)):
            found = backend
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
