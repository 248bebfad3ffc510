"""Keys that PyTorch reads in another way than NumPy, or not at all.

It has no negative steps; it takes an integer beside arrays as a cut made before, where NumPy counts it among the arrays
(which decides where their axes go); it takes arrays of uint8 for masks and lists of lists for tuples. Keys
of positive slices, integers, None and Ellipsis, and a single array, are PyTorch's own; every other one goes in three
steps: masks become positions, slices are cut (backwards ones flipped), and the arrays, moved to the front, are looked
up together.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import _get_current_dispatch_mode

from tensoria_torch.unsigned import LIFTED, bits, of_bits

__all__ = ["check_range", "get", "is_native", "put"]

Array = Any
_FULL = slice(None)


def is_native(key: Any) -> bool:
    """Whether PyTorch means by a key what NumPy does."""
    kind = type(key)
    if kind is tuple:
        return all(map(_is_basic, key)) and sum([part is Ellipsis for part in key]) < 2
    if kind is torch.Tensor:
        if key.dtype is torch.int64:
            return bool(key.device.type == "cpu")  # on GPUs their range has to be checked
        return bool(key.dtype is torch.bool and key.dim() > 0)
    return _is_basic(key)


def _is_basic(part: Any) -> bool:
    kind = type(part)
    if kind is slice:
        step = part.step
        return step is None or (isinstance(step, int) and step > 0)
    return kind is int or part is None or part is Ellipsis


def get(x: Array, key: Any) -> Array:
    """`x[key]` by NumPy's rules."""
    cut, flips, found, at = _read(x, key)
    out = x[cut]
    if flips:
        out = of_bits(torch.flip(bits(out), flips), x.dtype)
    if not found:
        return out
    axes = [axis for axis, _ in found]
    arrays = torch.broadcast_tensors(*(positions for _, positions in found))
    shape = arrays[0].shape
    if not torch.compiler.is_compiling() and arrays[0].numel():  # what selects nothing is not looked at
        for axis, positions in found:
            check_range(positions, out.shape[axis])
    rest = [axis for axis in range(out.dim()) if axis not in axes]
    out = out.permute(*axes, *rest)
    flat = tuple(array.reshape(-1) for array in arrays)  # a key without axes is an integer to PyTorch
    out = of_bits(bits(out)[flat], x.dtype).reshape(*shape, *(out.shape[n] for n in range(len(axes), out.dim())))
    if not at or not shape:
        return out
    front = list(range(len(shape), len(shape) + at))
    return out.permute(*front, *range(len(shape)), *range(len(shape) + at, out.dim()))


def place(x: Array, key: Any) -> Array:
    """Which of the components 0, 1, 2, ... a key selects."""
    return get(torch.arange(x.numel(), device=x.device).reshape(x.shape), key)


def _read(x: Array, key: Any) -> tuple[tuple[Any, ...], list[int], list[tuple[int, Array]], int]:
    """A basic key, the axes of its result to flip, the arrays along axes of it, and where their axes go."""
    parts = list(key) if isinstance(key, tuple) else [key]
    used = sum(_span(part) for part in parts)
    if used > x.dim() or sum(part is Ellipsis for part in parts) > 1:
        raise IndexError("too many indices for tensor")
    arrays = any(_is_array(part) for part in parts)
    dots = next((n for n, part in enumerate(parts) if part is Ellipsis), None)
    together = _together(parts) if arrays else True
    missing = [_FULL] * (x.dim() - used)
    parts = [*parts, *missing] if dots is None else [*parts[:dots], *missing, *parts[dots + 1 :]]
    cut: list[Any] = []
    flips: list[int] = []
    found: list[tuple[int, Array]] = []
    axis = target = 0
    first: int | None = None
    for part in parts:
        if part is None:
            cut.append(None)
            target += 1
        elif isinstance(part, slice):
            start, stop, step = part.indices(x.shape[axis])
            count = len(range(start, stop, step))
            if step < 0:
                flips.append(target)
                last = start + (count - 1) * step
                part = slice(last, start + 1, -step) if count else slice(0, 0)
            cut.append(part)
            axis, target = axis + 1, target + 1
        elif not arrays:
            cut.append(int(part))
            axis += 1
        else:
            if first is None:
                first = target
            for positions, size in _positions(part, x, axis):
                cut.append(None if size is None else _FULL)
                found.append((target, positions))
                target += 1
                axis += size is not None
    return tuple(cut), flips, found, first or 0 if together else 0


def _span(part: Any) -> int:
    if part is None or part is Ellipsis or _is_truth(part):
        return 0
    return part.dim() if isinstance(part, torch.Tensor) and part.dtype is torch.bool else 1


def _is_truth(part: Any) -> bool:
    return isinstance(part, bool) or type(part).__name__ == "bool"  # Python's, or NumPy's


def _is_array(part: Any) -> bool:
    return _is_truth(part) or (isinstance(part, torch.Tensor) and (part.dim() > 0 or part.dtype is torch.bool))


def _together(parts: list[Any]) -> bool:
    """Whether the arrays, and the integers beside them, stand side by side."""
    places = [
        n for n, part in enumerate(parts) if part is not None and part is not Ellipsis and type(part) is not slice
    ]
    return places[-1] - places[0] == len(places) - 1


def _positions(part: Any, x: Array, axis: int) -> list[tuple[Array, int | None]]:
    """The arrays of positions that a part stands for, each with the size of its axis (None for a new one)."""
    if not isinstance(part, torch.Tensor):
        if _span(part) == 0:
            return [(torch.zeros(int(part), dtype=torch.int64, device=x.device), None)]
        return [(torch.tensor(int(part), device=x.device), x.shape[axis])]
    if part.dtype is not torch.bool:
        return [(part.to(torch.int64), x.shape[axis])]
    if part.dim() == 0:
        return [(torch.zeros(int(part), dtype=torch.int64, device=x.device), None)]
    sizes = x.shape[axis : axis + part.dim()]
    pairs = list(zip(part.shape, sizes, strict=True))
    if any(m not in (0, n) for m, n in pairs):  # length 0 fits every axis
        raise IndexError(f"a mask of shape {tuple(part.shape)} does not fit {tuple(sizes)}")
    return list(zip(torch.nonzero(part, as_tuple=True), sizes, strict=True))


def check_range(positions: Array, size: int) -> None:
    """PyTorch checks positions on the CPU; out of range on a GPU they end the process.

    Raises:
        IndexError: a position is out of range, of any sample where a function is mapped.
    """
    if positions.device.type in ("cpu", "meta") or torch.compiler.is_compiling():
        return
    while torch._C._functorch.is_functorch_wrapped_tensor(positions):
        positions = torch._C._functorch.get_unwrapped(positions)
    if positions.numel() and _get_current_dispatch_mode() is None:
        low, high = (int(n) for n in torch.aminmax(positions))
        if low < -size or high >= size:
            raise IndexError(f"index out of range for size {size}")


def put(x: Array, key: Any, value: Array) -> None:
    """`x[key] = value` in place by NumPy's rules; of several values for one component the last stays."""
    where = place(x, key)
    value = _spread(value.to(x.dtype), where.shape)
    flat = where.reshape(-1)
    if torch.compiler.is_compiling() or flat.numel() > 1:
        # Values for one component are all replaced by the last of them, since PyTorch writes in any order.
        order = torch.arange(flat.numel(), device=x.device)
        last = torch.full((x.numel(),), -1, dtype=torch.int64, device=x.device)
        last = last.scatter_reduce(0, flat, order, "amax")
        value = of_bits(bits(value).reshape(-1)[last[flat]], value.dtype)
    at = torch.unravel_index(flat, x.shape) if x.dim() else ()
    if not x.dim():
        if flat.numel():
            bits(x).copy_(bits(value).reshape(-1)[-1])
        return
    bits(x).index_put_(at, bits(value).reshape(-1))


def _spread(value: Array, shape: Any) -> Array:
    while value.dim() > len(shape) and value.shape[0] == 1:
        value = value[0]
    return of_bits(bits(value).broadcast_to(shape), value.dtype) if value.dtype in LIFTED else value.broadcast_to(shape)
