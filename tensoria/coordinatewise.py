"""Operations on components one by one: sums, comparisons, nonlinear functions, with the index rule that each needs.

Sums and multiples commute with every change of basis and are always allowed; everything else needs every index to be
plain or in a privileged basis (rule 6). Two tensors are aligned by name first, in the left one's order (rule 5).
"""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tensoria.backend import Array, Backend
from tensoria.core import BaseTensor, T, kept, new, same_backend
from tensoria.declared import common
from tensoria.domains import DOMAINS, check_domain
from tensoria.dtypes import DType, beside, check_scalar, float64
from tensoria.errors import BackendError, DTypeError, ModeError, ShapeError
from tensoria.indices import PLAIN, Axes, axes
from tensoria.matching import align_sum, require_privileged
from tensoria.metric import flipped

__all__ = [
    "SYMBOLS",
    "aligned",
    "beside_number",
    "binary",
    "check_broadcast",
    "check_devices",
    "check_matmul",
    "combined",
    "fitting",
    "is_scalar",
    "masked",
    "negative",
    "number",
    "scalar_product",
    "unary",
]

SYMBOLS = {
    "add": "+", "subtract": "-", "multiply": "a coordinatewise product", "divide": "/", "floor_divide": "//",
    "remainder": "%", "pow": "**", "equal": "==", "not_equal": "!=", "less": "<", "less_equal": "<=",
    "greater": ">", "greater_equal": ">=", "bitwise_and": "&", "bitwise_or": "|", "bitwise_xor": "^",
    "bitwise_left_shift": "<<", "bitwise_right_shift": ">>",
}  # fmt: skip
"""How each binary function is written in an error message."""
LINEAR = frozenset(("add", "subtract"))
"""Binary functions that commute with every change of basis."""


def is_scalar(value: Any) -> bool:
    """Whether a value is a Python number, or NumPy's version of one."""
    return isinstance(value, (bool, int, float, complex, np.generic)) or (
        isinstance(value, numbers.Number) and not isinstance(value, BaseTensor)
    )


def number(value: Any) -> Any:
    """NumPy's scalars as Python's, so that they do not impose their data type or their framework."""
    return value.item() if isinstance(value, np.generic) else value


def binary(name: str, a: T, b: Any, *, swapped: bool = False) -> T:
    """A function of two operands, coordinate by coordinate; the second may be a Python number.

    Raises:
        ModeError: a labelled operand meets a plain one, or a number is added to a labelled tensor.
        BasisError: the function depends on the basis, and an index is not in a privileged one.
        SpaceError, VarianceError: the indices differ.
    """
    backend = a._backend
    function = backend.operators[name]
    if isinstance(b, BaseTensor):
        a, b = same_backend(a, b)
        backend = a._backend
        function = backend.operators[name]
        x, y, of = aligned(name, b, a) if swapped else aligned(name, a, b)
        if name in LINEAR and type(a._axes) is not Axes is not type(b._axes):
            of = common(a._axes, b._axes, of)
        return kept(a, combined(name, function, backend, x, y), of)
    if not is_scalar(b):
        return NotImplemented  # type: ignore[no-any-return]
    if a._axes is not PLAIN:
        if name in LINEAR:
            raise ModeError(
                f"a number and the labelled tensor {a._axes} can not be added: the sum would depend on the basis.",
                legal="numbers multiply and divide; to shift every component, add to t.components",
            )
        require_privileged(a._axes, f"'{SYMBOLS.get(name, name)}'")
    return new(a, beside_number(name, function, a, b, swapped), a._axes)


def combined(name: str, function: Callable[[Array, Array], Array], backend: Backend, x: Array, y: Array) -> Array:
    """A function of two native arrays: promoted, in its domain, and with errors of our own.

    Raises:
        DTypeError: they do not promote, or the function is not defined for them.
        ShapeError: they do not broadcast.
        BackendError: they are on different devices.
    """
    x, y = backend.promoted(x, y)
    kind = backend.dtype(x).kind
    if (kinds := DOMAINS.get(name)) is not None and kind not in kinds:
        check_domain(name, backend.dtype(x))
    if name == "divide" and kind in ("int", "uint"):
        x, y = (backend.kernels.cast(operand, backend.native_dtype(float64)) for operand in (x, y))
    try:
        return function(x, y)
    except Exception:
        what = f"'{SYMBOLS[name]}'" if name in SYMBOLS else name
        check_devices((x, y), backend, what)
        check_broadcast(backend.shape(x), backend.shape(y), what)
        if name == "pow" and kind == "int":
            _refuse_power(backend.dtype(x))
        raise


def _refuse_power(of: DType) -> None:
    raise DTypeError(f"{of} to a negative power is no integer.", legal='t.to(dtype="float64") ** n')


def beside_number(name: str, function: Callable[[Any, Any], Array], a: BaseTensor, b: Any, swapped: bool) -> Array:
    """A function of a tensor's array and a number, which takes the array's data type.

    Raises:
        DTypeError: the number does not fit beside the array, or the function is not defined for them.
    """
    value, backend, array = number(b), a._backend, a._array
    of = a.dtype
    kind, given = of.kind, type(value)
    if not (given is float and kind == "float") and (given is not int or kind == "bool" or not 0 <= value < 128):
        value = fitting(value, of)
    if (kinds := DOMAINS.get(name)) is not None and (kind not in kinds or given is complex):
        check_domain(name, beside(value, of))
    if kind == "int" or kind == "uint":
        if name == "divide":
            array = backend.kernels.cast(array, backend.native_dtype(float64))
            value = float(value)
        elif name == "pow" and not swapped and value < 0:
            _refuse_power(of)
    try:
        return function(value, array) if swapped else function(array, value)
    except Exception:
        if name == "pow" and of.kind == "int" and swapped:
            _refuse_power(of)
        raise


def fitting(value: Any, of: DType) -> Any:
    """A Python number that fits beside an array of a data type; integers too large for a framework become floats.

    Raises:
        DTypeError: it does not fit.
    """
    check_scalar(value, of)
    if type(value) is int and not -(2**63) <= value < 2**63 and of.kind in ("float", "complex"):
        try:
            return float(value)
        except OverflowError:
            raise DTypeError(f"an integer of {len(str(value))} digits does not fit into {of}.") from None
    return value


def check_devices(arrays: Iterable[Array], backend: Backend, what: str) -> None:
    """Raise our own error for arrays on different devices, instead of a framework's.

    Raises:
        BackendError: they are; nothing moves between devices silently.
    """
    found = list(dict.fromkeys(backend.device(array) for array in arrays))
    if len(found) > 1:
        raise BackendError(
            f"{what}: one operand is on {found[0]}, another on {found[1]}.", legal=f"b.to(device={found[0]!r})"
        )


def aligned(name: str, a: BaseTensor, b: BaseTensor) -> tuple[Array, Array, Axes]:
    """Two tensors' arrays brought into one order of axes, and the result's axes.

    Raises:
        ModeError, SpaceError, VarianceError, BasisError, ShapeError: they do not fit.
    """
    if a._axes is PLAIN and b._axes is PLAIN:
        return a._array, b._array, PLAIN
    what = f"'{SYMBOLS.get(name, name)}'"
    made = align_sum(a._axes, b._axes, what)
    if name not in LINEAR:
        require_privileged(made.axes, what)
    if made.flips:
        b = flipped(b, made.flips)
    x, y = _placed(a, made.left, len(made.axes.indices)), _placed(b, made.right, len(made.axes.indices))
    if made.axes.symbols:
        _check_sizes(made.axes, a._backend.shape(x), a._backend.shape(y), what)
        for position, index in enumerate(made.axes.indices, -len(made.axes.indices)):
            if index.basis is not None:
                a._backend.require_equal(x, position, y, position)
    return x, y, made.axes


def _placed(t: BaseTensor, place: tuple[tuple[int, ...] | None, tuple[int, ...]], rank: int) -> Array:
    perm, missing = place
    array, kernels = t._array, t._backend.kernels
    lead = t.lead
    if perm is not None:
        array = kernels.transpose(array, (*range(lead), *(lead + n for n in perm)))
    if missing:
        xp = t._backend.xp
        for position in missing:
            array = xp.expand_dims(array, axis=lead + position)
    return array


def _check_sizes(of: Axes, x: tuple[int | None, ...], y: tuple[int | None, ...], what: str) -> None:
    """Indexed axes never broadcast; plain ones do."""
    count = len(of.indices)
    for index, m, n in zip(of.indices, x[len(x) - count :], y[len(y) - count :], strict=True):
        if m != n and m is not None and n is not None and (index.basis is not None or (m != 1 and n != 1)):
            raise ShapeError(f"{what}: {index!r} has size {m} on the left and {n} on the right.")


def check_broadcast(x: tuple[int | None, ...], y: tuple[int | None, ...], what: str) -> None:
    """Raise our own error for shapes that do not broadcast, instead of a framework's.

    Raises:
        ShapeError: they do not.
    """
    for m, n in zip(reversed(x), reversed(y), strict=False):
        if m is not None and n is not None and m != n and m != 1 and n != 1:
            raise ShapeError(f"{what}: the shapes {x} and {y} do not broadcast.")


def check_matmul(x: tuple[int | None, ...], y: tuple[int | None, ...]) -> None:
    """Raise our own error for shapes that have no matrix product.

    Raises:
        ShapeError: they have none.
    """
    if not x or not y:
        raise ShapeError(f"'@' needs at least one axis on each side; the shapes are {x} and {y}.", legal="a * b")
    inner = y[-2] if len(y) > 1 else y[0]
    if x[-1] != inner and x[-1] is not None and inner is not None:
        raise ShapeError(f"'@': the shapes {x} and {y} do not multiply: {x[-1]} against {inner}.")
    check_broadcast(x[:-2], y[:-2], "'@'")


def scalar_product(a: T, b: Any, *, divide: bool = False) -> T:
    """A tensor times (or divided by) a number, a 0-d tensor, or, dividing, a tensor with the same indices."""
    if isinstance(b, BaseTensor):
        a, b = same_backend(a, b)
        if not divide:
            return NotImplemented  # type: ignore[no-any-return]
        if b._axes is not PLAIN or len(b._array.shape):
            return binary("divide", a, b)
        array = combined("divide", a._backend.operators["divide"], a._backend, a._array, b._array)
        return kept(a, array)
    if not is_scalar(b):
        return NotImplemented  # type: ignore[no-any-return]
    backend = a._backend
    if divide:
        return kept(a, beside_number("divide", backend.operators["divide"], a, b, False))
    value = number(b)
    if type(value) is not int or not 0 <= value < 128:  # which every number type holds
        value = fitting(value, a.dtype)
    try:
        array = backend.operators["multiply"](a._array, value)
    except Exception:
        check_scalar(value, a.dtype)
        raise
    if backend.immediate and array.dtype is not a._array.dtype and type(value) is int:
        check_scalar(value, a.dtype)  # truth values, which frameworks count
    return kept(a, array)


def negative(a: T) -> T:
    """The tensor times minus one."""
    check_domain("negative", a.dtype)
    return kept(a, a._backend.xp.negative(a._array))


def unary(name: str, function: Callable[[Array], Array], a: T, *, linear: bool = False) -> T:
    """A function of each component.

    Raises:
        BasisError: it is not linear, and an index is not in a privileged basis.
    """
    if not linear and a._axes is not PLAIN:
        require_privileged(a._axes, name)
    check_domain(name, a.dtype)
    return new(a, function(a._array), a._axes)


def masked(mask: BaseTensor, t: BaseTensor, other: Array) -> tuple[Array, Array, Array, Axes]:
    """A mask over plain axes, a tensor and another array like it, laid out so that all three broadcast.

    Plain axes that only the mask has come first in the result.
    """
    mask, t = same_backend(mask, t)
    extra = tuple(index for index in mask._axes.indices if index.name not in t._axes.position)
    result = axes((*extra, *t._axes.indices))
    perm = tuple(mask._axes.position[name] for name in result.names if name in mask._axes.position)
    missing = tuple(n for n, name in enumerate(result.names) if name not in mask._axes.position)
    placed = _placed(mask, (perm, missing), len(result.names))
    x, y, xp = t._array, other, t._backend.xp
    leads = t.lead, len(y.shape) - len(t._axes.indices)
    for _ in extra:
        x, y = xp.expand_dims(x, axis=leads[0]), xp.expand_dims(y, axis=leads[1])
    shape = t._backend.shape
    for array in (x, y):
        check_broadcast(shape(placed), shape(array), "'where'")
    return placed, x, y, result
