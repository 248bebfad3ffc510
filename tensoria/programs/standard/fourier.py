"""The extension `fft`, recorded."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from tensoria.errors import TracingError
from tensoria.programs import recorder
from tensoria.programs.dimensions import Size
from tensoria.programs.operations import fourier
from tensoria.programs.recorder import SymbolicArray
from tensoria.programs.standard.operands import (
    as_dtype,
    axes_of,
    cast,
    one,
    position,
)

__all__ = ["FFT"]

Array = SymbolicArray
Axis = int | tuple[int, ...] | None


def _transform(name: str) -> Callable[..., Array]:
    half = name in ("fft.irfft", "fft.hfft")

    def function(x: Array, /, *, n: Size | None = None, axis: int = -1, norm: str = "backward") -> Array:
        place = position(axis, x.ndim)
        count = n if n is not None else 2 * (x.shape[place] - 1) if half else x.shape[place]
        return one(x, name, n=count, axis=place, norm=norm)

    return function


def _many(name: str, last: str | None = None, first: str | None = None) -> Callable[..., Array]:
    """A transform over several axes, one after the other; the real one has a half spectrum along its last axis."""

    def function(x: Array, /, *, s: Any = None, axes: Any = None, norm: str = "backward") -> Array:
        count = x.ndim if s is None else len(s)
        chosen = list(range(x.ndim - count, x.ndim)) if axes is None else [position(n, x.ndim) for n in axes]
        sizes = list(s) if s is not None else [None] * len(chosen)
        steps = list(zip(chosen, sizes, strict=True))
        if last is not None:
            x = FFT.__dict__[last](x, n=steps[-1][1], axis=steps[-1][0], norm=norm)
            steps = steps[:-1]
        end = steps.pop() if first is not None else None
        for axis, size in steps:
            x = FFT.__dict__[name](x, n=size, axis=axis, norm=norm)
        return x if end is None or first is None else FFT.__dict__[first](x, n=end[1], axis=end[0], norm=norm)

    return function


def _shifted(sign: int) -> Callable[..., Array]:
    def function(x: Array, /, *, axes: Axis = None) -> Array:
        chosen = axes_of(axes, x.ndim)
        shifts = []
        for axis in chosen:
            size = x.shape[axis]
            if not isinstance(size, int):
                raise TracingError(f"fftshift of an axis of size {size}, which is not known while tracing.")
            shifts.append(size // 2 if sign > 0 else -(size // 2))
        return one(x, "roll", shifts=tuple(shifts), axes=chosen)

    return function


def _frequencies(function: Callable[..., Any]) -> Callable[..., Array]:
    def made(n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Array:
        return cast(recorder.current().constant(function(n, d)), as_dtype(dtype))

    return made


FFT = SimpleNamespace(
    **{name.removeprefix("fft."): _transform(name) for name in fourier.ROWS},
    fftn=_many("fft"), ifftn=_many("ifft"), rfftn=_many("fft", last="rfft"), irfftn=_many("ifft", first="irfft"),
    fftfreq=_frequencies(np.fft.fftfreq), rfftfreq=_frequencies(np.fft.rfftfreq),
    fftshift=_shifted(1), ifftshift=_shifted(-1),
)  # fmt: skip
"""The extension `fft`."""
