"""Where PyTorch, through array_api_compat, misses the standard: unsigned integers, special values, distinct components.

One table says how each function takes unsigned integers; the functions below it say what they correct and why.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import array_api_compat.torch as base
import torch

from tensoria import special_values
from tensoria_torch import factorisations, unsigned
from tensoria_torch.contraction import integer_matmul, integer_tensordot
from tensoria_torch.subscripts import check_range
from tensoria_torch.unsigned import LIFTED, UNSIGNED, bits, lifted, of_bits, unified, widened

__all__ = ["CORRECTED", "FFT", "LINALG", "OPERATORS"]

Array = Any

# -- unsigned integers ------------------------------------------------------------------------------------------------

HOW: dict[str, tuple[str, int]] = {
    "abs": ("bits", 1), "negative": ("bits", 1), "square": ("bits", 1), "bitwise_invert": ("bits", 1),
    "add": ("bits", 2), "subtract": ("bits", 2), "multiply": ("bits", 2), "bitwise_left_shift": ("bits", 2),
    "bitwise_and": ("bits", 2), "bitwise_or": ("bits", 2), "bitwise_xor": ("bits", 2),
    "equal": ("bits!", 2), "not_equal": ("bits!", 2),
    "less": ("order!", 2), "less_equal": ("order!", 2), "greater": ("order!", 2), "greater_equal": ("order!", 2),
    "maximum": ("order", 2), "minimum": ("order", 2), "clip": ("order", 3),
    "max": ("order", 1), "min": ("order", 1), "argmax": ("order!", 1), "argmin": ("order!", 1),
    "sort": ("order", 1), "argsort": ("order!", 1),
    "nonzero": ("bits!", 1), "count_nonzero": ("bits!", 1),
    "flip": ("bits", 1), "roll": ("bits", 1), "tril": ("bits", 1), "triu": ("bits", 1),
    "take": ("bits", 1), "take_along_axis": ("bits", 1), "repeat": ("bits", 1),
    "matmul": ("bits", 2), "tensordot": ("bits", 2), "vecdot": ("bits", 2),
}  # fmt: skip
"""How a function takes unsigned integers, and how many of its leading arguments are such; see `unsigned.lifted`."""
WIDENED: dict[str, Callable[[Array, Array], Array]] = {
    "floor_divide": unsigned.floor_divide_64,
    "remainder": unsigned.remainder_64,
    "bitwise_right_shift": unsigned.right_shift_64,
    "pow": base.pow,
}
"""Functions that are computed in int64, and what computes them on the bits of uint64."""
ACCUMULATING = ("prod", "cumulative_sum", "cumulative_prod")


def _abs(x: Array, /) -> Array:
    """Unsigned integers are their own absolute values."""
    return x if x.dtype in LIFTED else torch.abs(x)


def _sign(x: Array, /) -> Array:
    """PyTorch's does not hand NaN on; array_api_compat corrects that through a mask, which is not mapped."""
    if x.dtype in LIFTED:
        return (x != 0).to(x.dtype)
    if x.dtype.is_complex:
        zero = x == 0
        return torch.where(zero, 0, x / torch.where(zero, 1, torch.abs(x)))
    return torch.where(torch.isnan(x), x, torch.sign(x)) if x.dtype.is_floating_point else torch.sign(x)


def _moveaxis(x: Array, source: Any, destination: Any, /) -> Array:
    """By the name by which PyTorch maps it."""
    return torch.movedim(x, source, destination)


def _unstack(x: Array, /, *, axis: int = 0) -> tuple[Array, ...]:
    """Likewise."""
    if not x.dim():
        raise ValueError("Input array must be at least 1-d.")
    return torch.unbind(x, axis)


def _vecdot(x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    """Likewise: the axis moved first, and then the product along the last one."""
    if not -min(x1.dim(), x2.dim()) <= axis < 0:
        return base.vecdot(x1, x2, axis=axis)
    a, b = (torch.movedim(x, axis, -1) for x in unified([x1, x2]))
    if a.shape[-1] != b.shape[-1]:
        return base.vecdot(x1, x2, axis=axis)
    if a.dtype.is_complex:
        a = torch.conj(a)
    return _matmul(a[..., None, :], b[..., None])[..., 0, 0]


def _square(x: Array, /) -> Array:
    return of_bits(torch.square(bits(x)), x.dtype) if x.dtype in LIFTED else torch.square(x)


def _count_nonzero(x: Array, /, *, axis: Any = None, keepdims: bool = False) -> Array:
    """PyTorch understands no axes as all."""
    if axis == ():
        return (bits(x) != 0).to(torch.int64)
    return _counted(x, axis=axis, keepdims=keepdims)


_counted = lifted(base.count_nonzero, *HOW["count_nonzero"])


def _diff(x: Array, /, *, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Array:
    if x.dtype not in LIFTED:
        return base.diff(x, axis=axis, n=n, prepend=prepend, append=append)
    ends = [None if end is None else bits(end.to(x.dtype)) for end in (prepend, append)]
    return of_bits(base.diff(bits(x), axis=axis, n=n, prepend=ends[0], append=ends[1]), x.dtype)


def _searchsorted(x1: Array, x2: Any, /, *, side: str = "left", sorter: Any = None) -> Array:
    """Positions in a sorted array; the standard has `side` where PyTorch has `right` too."""
    if not isinstance(x2, torch.Tensor):
        x2 = torch.tensor(x2, dtype=x1.dtype, device=x1.device)
    x1, x2 = unified([x1, x2])
    if x1.dtype in LIFTED:
        x1, x2 = unsigned._flipped(x1), unsigned._flipped(x2)
    if not x1.dtype.is_floating_point:
        return torch.searchsorted(x1, x2, side=side, sorter=sorter)
    # NaN is the last, which PyTorch does not know: NaNs at the end count as infinite, and only NaN goes behind them.
    table = x1 if sorter is None else x1[sorter]
    missing = torch.isnan(table)
    ordered = torch.logical_not(missing).sum()
    found = torch.searchsorted(torch.where(missing, torch.inf, table), x2.contiguous(), side=side)
    at_nan = ordered if side == "left" else torch.full_like(ordered, table.shape[0])
    return torch.where(torch.isnan(x2), at_nan, torch.minimum(found, ordered))


def _isin(x1: Any, x2: Any, /, *, invert: bool = False) -> Array:
    """PyTorch's takes neither truth values nor complex numbers."""
    like = x1 if isinstance(x1, torch.Tensor) else x2
    arrays = [x if isinstance(x, torch.Tensor) else torch.tensor(x, dtype=like.dtype, device=like.device)
              for x in (x1, x2)]  # fmt: skip
    a, b = (bits(x) for x in unified(arrays))
    if a.dtype is torch.bool or a.dtype.is_complex:
        found = (a.unsqueeze(-1) == b.reshape(-1)).any(-1)
        return torch.logical_not(found) if invert else found
    return torch.isin(a, b, invert=invert)


def _stack(arrays: Any, /, *, axis: int = 0) -> Array:
    return torch.stack(unified(arrays), dim=axis)


def _concat(arrays: Any, /, *, axis: int | None = 0) -> Array:
    return base.concat(unified(arrays), axis=axis)


# -- special values ---------------------------------------------------------------------------------------------------


def _expm1(x: Array, /) -> Array:
    """PyTorch loses digits and signs of complex numbers near zero."""
    return special_values.expm1(base, torch.complex, x) if x.dtype.is_complex else torch.expm1(x)


def _log1p(x: Array, /) -> Array:
    """PyTorch makes NaN of an infinite part beside a NaN."""
    return special_values.log1p(base, torch.complex, x) if x.dtype.is_complex else torch.log1p(x)


def _tanh(x: Array, /) -> Array:
    """PyTorch's imaginary part at infinity has the sign of sin(2 y)."""
    out = torch.tanh(x)
    return special_values.tanh(base, torch.complex, x, out) if x.dtype.is_complex else out


def _acos(x: Array, /) -> Array:
    """PyTorch loses the sign of the imaginary part at zero."""
    out = torch.acos(x)
    return special_values.acos(base, torch.complex, x, out) if x.dtype.is_complex else out


def _operands(x1: Any, x2: Any) -> tuple[Array, Array]:
    """Python's numbers as arrays beside the other operand."""
    like = x1 if isinstance(x1, torch.Tensor) else x2
    x, y = (x if isinstance(x, torch.Tensor) else torch.tensor(x, dtype=like.dtype, device=like.device)
            for x in (x1, x2))  # fmt: skip
    return x, y


def _quotient(x: Array, y: Array) -> Array:
    """PyTorch's `floor_divide` has no derivative, and so no compiled graph where one is wanted; this one has (zero)."""
    return torch.div(x, y, rounding_mode="floor")


def _by_zero(native: Callable[..., Array], name: str) -> Callable[..., Array]:
    """An integer divided by zero is zero, as in NumPy: PyTorch raises on the CPU, and answers -1 on GPUs."""
    divide = widened(native, WIDENED[name])

    def function(x: Array, y: Array) -> Array:
        if y.dtype.is_floating_point or x.dtype.is_floating_point:
            return divide(x, y)
        if y.device.type == "cpu":
            try:
                return divide(x, y)
            except RuntimeError as error:
                if "ZeroDivisionError" not in str(error):
                    raise
        zero = bits(y) == 0
        into = unified([x, y])[0].dtype
        quotient = divide(x, of_bits(torch.where(zero, 1, bits(y)), y.dtype))
        return of_bits(torch.where(zero, 0, bits(quotient)), into)

    return function


_integer_floor_divide = _by_zero(_quotient, "floor_divide")
_any_remainder = _by_zero(base.remainder, "remainder")


def _pow(x1: Any, x2: Any, /) -> Array:
    """PyTorch makes 0 of integers to negative powers, where they are tensors."""
    if isinstance(x2, torch.Tensor) and x2.dtype in SIGNED and not torch.compiler.is_compiling():
        try:
            negative = bool((x2 < 0).any())
        except RuntimeError:  # a transformation has no numbers to show
            negative = False
        if negative and (not isinstance(x1, torch.Tensor) or x1.dtype in SIGNED or x1.dtype in unsigned.UNSIGNED):
            raise RuntimeError("Integers to negative integer powers are not allowed.")
    return _any_power(x1, x2)


def _divided(native: Callable[[Any, Any], Array]) -> Callable[[Any, Any], Array]:
    """PyTorch's quotient of complex numbers by zero is NaN."""

    def divide(x1: Any, x2: Any, /) -> Array:
        out = native(x1, x2)
        if not out.dtype.is_complex:
            return out
        return special_values.divide(base, torch.complex, *_parts(x1, x2, out), out)

    return divide


def _any_power(x1: Any, x2: Any, /) -> Array:
    """PyTorch's complex zero to the power of zero is NaN."""
    out = _widened_power(x1, x2)
    if not out.dtype.is_complex:
        return out
    return special_values.power(base, torch.complex, *_parts(x1, x2, out), out)


def _parts(x1: Any, x2: Any, out: Array) -> list[Array]:
    """The operands of a complex result, without derivatives."""
    return [
        x.detach().to(out.dtype) if isinstance(x, torch.Tensor) else torch.tensor(x, dtype=out.dtype, device=out.device)
        for x in (x1, x2)
    ]


SIGNED = frozenset((torch.int8, torch.int16, torch.int32, torch.int64))
_widened_power = widened(base.pow, WIDENED["pow"])


def _imag(x: Array, /) -> Array:
    """PyTorch refuses real numbers, whose imaginary parts are zero."""
    return torch.imag(x) if x.dtype.is_complex else torch.zeros_like(x)


def _wrapped(indices: Array, size: int) -> Array:
    """Positions counted from the front; out of range on a GPU they would end the process."""
    check_range(indices, size)
    if indices.dtype.is_floating_point or indices.dtype in (torch.bool, torch.complex64, torch.complex128):
        raise IndexError(f"positions are integers, not {indices.dtype}")
    wide = indices.to(torch.int64)
    return torch.where(wide < -size, size, torch.where(wide < 0, wide + size, wide))


def _take(x: Array, indices: Array, /, *, axis: int | None = None) -> Array:
    """PyTorch's takes no negative positions."""
    return _lifted_take(x, _wrapped(indices, x.shape[axis or 0]), axis=axis)


def _take_along_axis(x: Array, indices: Array, /, *, axis: int = -1) -> Array:
    """PyTorch's takes no negative positions, and does not broadcast the other axes of both."""
    place = axis % x.dim()
    sizes = torch.broadcast_shapes((*x.shape[:place], 1, *x.shape[place + 1 :]),
                                   (*indices.shape[:place], 1, *indices.shape[place + 1 :]))  # fmt: skip
    shapes = ((*sizes[:place], y.shape[place], *sizes[place + 1 :]) for y in (x, indices))
    shown, positions = (bits(y).broadcast_to(shape) for y, shape in zip((x, indices), shapes, strict=True))
    return of_bits(torch.gather(shown, place, _wrapped(positions, x.shape[place])), x.dtype)


_lifted_take = lifted(base.take, *HOW["take"])


def _floor_divide(x1: Any, x2: Any, /) -> Array:
    """PyTorch follows Python, where inf // 2 is NaN."""
    x, y = _operands(x1, x2)
    out = _integer_floor_divide(x, y)
    return special_values.floor_divide(base, x, y, out) if out.dtype.is_floating_point else out


def _remainder(x1: Any, x2: Any, /) -> Array:
    """PyTorch's zeros have the sign of the dividend; the standard's have the divisor's."""
    x, y = _operands(x1, x2)
    out = _any_remainder(x, y)
    return torch.where(out == 0, torch.copysign(out, y), out) if out.dtype.is_floating_point else out


def _std(x: Array, /, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Array:
    """PyTorch's takes a correction that is no integer; array_api_compat's does not pass it on."""
    variance = base.var(x, axis=axis, correction=correction, keepdims=keepdims)
    none = variance == 0  # where the derivative is zero, as that of a norm is
    return torch.where(none, variance, torch.sqrt(torch.where(none, 1, variance)))


# -- distinct components ----------------------------------------------------------------------------------------------


class UniqueAll(NamedTuple):
    """Distinct components."""

    values: Array
    indices: Array
    inverse_indices: Array
    counts: Array


class UniqueCounts(NamedTuple):
    """Distinct components and how often they occur."""

    values: Array
    counts: Array


class UniqueInverse(NamedTuple):
    """Distinct components and where they stand."""

    values: Array
    inverse_indices: Array


def _order(flat: Array) -> Array:
    if flat.dtype.is_complex:
        first = torch.argsort(flat.imag, stable=True)
        return first[torch.argsort(flat.real[first], stable=True)]
    return torch.argsort(unsigned._flipped(flat) if flat.dtype in LIFTED else flat, stable=True)


def _unique_all(x: Array, /) -> UniqueAll:
    """PyTorch does not say where a component occurs first (pytorch#36748), and miscounts NaN (pytorch#94106)."""
    flat = x.reshape(-1)
    order = _order(flat)
    shown = bits(flat)[order]
    fresh = torch.ones_like(order, dtype=torch.bool)
    fresh[1:] = shown[1:] != shown[:-1]
    starts = torch.nonzero(fresh)[:, 0]
    indices = order[starts]
    inverse = torch.empty_like(order)
    inverse[order] = torch.cumsum(fresh, 0) - 1
    counts = torch.diff(starts, append=torch.tensor([flat.shape[0]], device=x.device))
    return UniqueAll(of_bits(bits(flat)[indices], x.dtype), indices, inverse.reshape(x.shape), counts)


def _unique_counts(x: Array, /) -> UniqueCounts:
    found = _unique_all(x)
    return UniqueCounts(found.values, found.counts)


def _unique_inverse(x: Array, /) -> UniqueInverse:
    found = _unique_all(x)
    return UniqueInverse(found.values, found.inverse_indices)


def _unique_values(x: Array, /) -> Array:
    return _unique_all(x).values


# -- linear algebra ---------------------------------------------------------------------------------------------------


def _product(native: Callable[..., Any], of_integers: Callable[..., Any]) -> Callable[..., Any]:
    """Products of integers, of which GPUs have no kernel."""

    @functools.wraps(native)
    def function(x1: Array, x2: Array, /, **options: Any) -> Any:
        elsewhere = x1.device.type != "cpu" and not x1.is_floating_point() and not x1.is_complex()
        return (of_integers if elsewhere else native)(x1, x2, **options)

    return function


_matmul = _product(base.matmul, integer_matmul)


def _promoting(native: Callable[..., Any], how: str = "bits") -> Callable[..., Any]:
    """A function of two arrays, which PyTorch does not promote."""
    taking = lifted(native, how, 2)

    def function(x1: Array, x2: Array, /, **options: Any) -> Any:
        return taking(*unified([x1, x2]), **options)

    function.__name__, function.__doc__ = native.__name__, native.__doc__
    return function


def _sum(x: Array, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Array:
    """The commonest case, everything summed, goes to PyTorch at once."""
    if axis is None and dtype is None and not keepdims and x.dtype not in UNSIGNED:
        return torch.sum(x)
    return _any_sum(x, axis=axis, dtype=dtype, keepdims=keepdims)


_any_sum = unsigned.accumulating(base.sum)


# -- points without a derivative (docs/calculus.md) -------------------------------------------------------------------

_any_clip, _any_hypot = lifted(base.clip, *HOW["clip"]), base.hypot


def _clip(x: Array, /, min: Any = None, max: Any = None) -> Array:
    """PyTorch's own kernel where it will do: at a limit a number is still inside, and has the derivative 1."""
    limits = [limit for limit in (min, max) if limit is not None]
    if limits and x.is_floating_point() and all(getattr(limit, "dtype", None) is x.dtype for limit in limits):
        # With one limit alone the kernel's forward derivative at it is 0.
        low = x.new_full((), -torch.inf) if min is None else min
        return torch.clamp(x, low, x.new_full((), torch.inf) if max is None else max)
    return _any_clip(x, min, max)


def _recorded(*operands: Array) -> bool:
    """Whether somebody may ask for derivatives."""
    if torch.compiler.is_compiling() or torch._C._functorch.peek_interpreter_stack() is not None:
        return True
    return any(x.requires_grad for x in operands)


def _hypot(x1: Array, x2: Array, /) -> Array:
    """The length of the zero vector has the derivative 0."""
    if not _recorded(x1, x2):
        return _any_hypot(x1, x2)
    zero = (x1 == 0) & (x2 == 0)
    out = _any_hypot(torch.where(zero, torch.ones_like(x1), x1), x2)
    return torch.where(zero, torch.zeros_like(out), out)


def _trace(x: Array, /, *, offset: int = 0, dtype: Any = None) -> Array:
    return CORRECTED["sum"](torch.diagonal(x, offset=offset, dim1=-2, dim2=-1), axis=-1, dtype=dtype)


def _det(x: Array, /) -> Array:
    if not _pushing():
        return base.linalg.det(x)
    sign, diagonal = _factored(x)
    return sign * torch.prod(diagonal, dim=-1)


def _slogdet(x: Array, /) -> Any:
    """The sign of what is not a number is none either, where PyTorch says 0."""
    if not _pushing():
        sign, logarithm = base.linalg.slogdet(x)
    else:
        sign, diagonal = _factored(x)
        size = torch.abs(diagonal)
        sign, logarithm = sign * torch.prod(diagonal / size, dim=-1), torch.sum(torch.log(size), dim=-1)
    return SlogDet(sign if x.is_complex() else torch.where(torch.isnan(logarithm), torch.nan, sign), logarithm)


class SlogDet(NamedTuple):
    """What `linalg.slogdet` returns."""

    sign: Array
    logabsdet: Array


def _pushing() -> bool:
    """Whether a forward-mode derivative is being computed.

    What PyTorch (2.13) computes as the forward-mode derivative of det and slogdet has wrong derivatives itself: the
    second one of det(diag(1, r^2)) comes out as 6. Those of LU factors are right.
    """
    if torch.compiler.is_compiling():
        return False
    functorch = torch._C._functorch
    return any(level.key() == functorch.TransformType.Jvp for level in functorch.get_interpreter_stack() or ())


def _factored(x: Array) -> tuple[Array, Array]:
    """The sign of the rows' permutation, and the diagonal of U, of matrices L U."""
    factors, pivots = torch.linalg.lu_factor(x)
    moved = pivots != torch.arange(1, pivots.shape[-1] + 1, dtype=pivots.dtype, device=pivots.device)
    sign = 1 - 2 * (torch.sum(moved, dim=-1) % 2)
    return sign.to(x.dtype), torch.diagonal(factors, dim1=-2, dim2=-1)


CORRECTED: dict[str, Callable[..., Any]] = {
    **{name: lifted(getattr(base, name), *how) for name, how in HOW.items()},
    **{name: widened(getattr(base, name), of_64) for name, of_64 in WIDENED.items()},
    **{name: unsigned.accumulating(getattr(base, name)) for name in ACCUMULATING},
    "matmul": _promoting(_matmul),
    "tensordot": _promoting(_product(base.tensordot, integer_tensordot)),
    "vecdot": _promoting(_vecdot), "moveaxis": _moveaxis, "unstack": _unstack,
    "abs": _abs, "sum": _sum, "sign": _sign, "square": _square, "diff": _diff, "count_nonzero": _count_nonzero,
    "stack": _stack, "concat": _concat, "searchsorted": _searchsorted, "isin": _isin,
    "clip": _clip, "hypot": _hypot,
    "expm1": _expm1, "log1p": _log1p, "tanh": _tanh, "acos": _acos, "floor_divide": _floor_divide,
    "remainder": _remainder, "pow": _pow, "imag": _imag, "take": _take, "take_along_axis": _take_along_axis,
    "divide": _divided(base.divide), "std": _std, "unique_all": _unique_all, "unique_counts": _unique_counts,
    "unique_inverse": _unique_inverse, "unique_values": _unique_values,
}  # fmt: skip
"""Functions of the top level, corrected."""
LINALG = SimpleNamespace(**{
    **{name: getattr(base.linalg, name) for name in base.linalg.__all__ if name != "__builtins__"},
    **{name: CORRECTED[name] for name in ("matmul", "tensordot", "vecdot")},
    "outer": _promoting(base.linalg.outer),
    "cross": _promoting(base.linalg.cross),
    "solve": _promoting(base.linalg.solve),
    "trace": _trace, "det": _det, "slogdet": _slogdet, **factorisations.LINALG,
})  # fmt: skip
"""The extension `linalg`, corrected."""


def _transform(native: Callable[..., Array]) -> Callable[..., Array]:
    """A Fourier transform of no arrays at all, which PyTorch's library refuses."""

    @functools.wraps(native)
    def function(x: Array, /, **options: Any) -> Array:
        if x.numel():
            return native(x, **options)
        axis = options.get("axis", -1)
        if "s" in options or "axes" in options:
            axis = options.get("axes")
            if axis is None:
                axis = tuple(range(-len(options["s"]), 0)) if options.get("s") is not None else tuple(range(x.dim()))
        along = {n % x.dim() for n in ((axis,) if isinstance(axis, int) else axis)}
        empty = [n for n in range(x.dim()) if not x.shape[n]]
        out = native(x.new_zeros([size or 1 for size in x.shape]), **options)
        return out[tuple(slice(0, 0) if n in empty and n not in along else slice(None) for n in range(x.dim()))]

    return function


FFT = SimpleNamespace(**{
    name: _transform(function) if "freq" not in name and "shift" not in name else function
    for name in dir(base.fft) if not name.startswith("_") and callable(function := getattr(base.fft, name))
})  # fmt: skip


def _operator(native: Callable[[Any, Any], Array], function: Callable[..., Array]) -> Callable[[Any, Any], Array]:
    """Python's operator, which is the fastest way into PyTorch, and the corrected function where it fails."""

    def apply(a: Any, b: Any) -> Array:
        try:
            return native(a, b)
        except RuntimeError:
            return function(a, b)

    return apply


def _power(a: Any, b: Any) -> Array:
    if isinstance(b, torch.Tensor) and not b.is_floating_point():
        return _pow(a, b)
    try:
        out = operator.pow(a, b)
    except RuntimeError:
        return _pow(a, b)
    return _pow(a, b) if out.dtype.is_complex else out


OPERATORS: dict[str, Callable[[Any, Any], Array]] = {
    name: _operator(native, CORRECTED[name])
    for name, native in {
        "add": operator.add, "subtract": operator.sub, "multiply": operator.mul,
        "equal": operator.eq, "not_equal": operator.ne, "less": operator.lt, "less_equal": operator.le,
        "greater": operator.gt, "greater_equal": operator.ge, "bitwise_and": operator.and_,
        "bitwise_or": operator.or_, "bitwise_xor": operator.xor, "bitwise_left_shift": operator.lshift,
        "bitwise_right_shift": operator.rshift,
    }.items()
} | {
    "divide": _divided(operator.truediv), "floor_divide": _floor_divide, "remainder": _remainder, "pow": _power,
}  # fmt: skip
"""What Python's operators do."""
