"""The extension `fft`: discrete Fourier transforms along axes."""

from __future__ import annotations

from tensoria.dtypes import DType, complex64, complex128, float32, float64
from tensoria.errors import DTypeError, ShapeError
from tensoria.programs.dimensions import Size
from tensoria.programs.operations.elementwise import INEXACT
from tensoria.programs.operations.reductions import checked_axes
from tensoria.programs.operations.row import Operation
from tensoria.programs.types import Type

__all__ = ["ROWS"]

COMPLEX: dict[DType, DType] = {float32: complex64, float64: complex128, complex64: complex64, complex128: complex128}
REAL: dict[DType, DType] = {complex64: float32, complex128: float64, float32: float32, float64: float64}


def _row(name: str, meaning: str, *, real_in: bool = False, real_out: bool = False, half: int = 0) -> Operation:
    """Half is 1 if the result has the half spectrum (n // 2 + 1), -1 if the operand has."""

    def infer(x: Type, *, n: Size, axis: int, norm: str) -> tuple[Type, ...]:
        checked_axes(name, x.ndim, (axis,))
        if x.dtype not in COMPLEX or x.dtype.kind not in INEXACT or (real_in and x.dtype.kind == "complex"):
            raise DTypeError(f"{name} takes no {x.dtype}.")
        if norm not in ("backward", "ortho", "forward"):
            raise ShapeError(f"{norm!r} is no normalisation of {name}.", legal="backward, ortho or forward")
        size = n // 2 + 1 if half == 1 else n
        dtype = REAL[x.dtype] if real_out else COMPLEX[x.dtype]
        return (Type(dtype, tuple(size if i == axis else m for i, m in enumerate(x.shape))),)

    return Operation(name, ("x",), meaning, infer, ("n", "axis", "norm"))


ROWS = {
    row.name: row
    for row in (
        _row("fft.fft", "discrete Fourier transform of n components along an axis"),
        _row("fft.ifft", "its inverse"),
        _row("fft.rfft", "the half spectrum of real components", real_in=True, half=1),
        _row("fft.irfft", "n real components of a half spectrum", real_out=True, half=-1),
        _row("fft.hfft", "the real spectrum of a Hermitian half", real_out=True, half=-1),
        _row("fft.ihfft", "its inverse", real_in=True, half=1),
    )
}
"""The operations of this chapter, by name."""
