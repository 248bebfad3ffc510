"""Derivatives of Fourier transforms, which are linear: the transposed transform.

The matrix of a transform is symmetric. A half spectrum stands for both halves of a Hermitian one, so that every
component counts twice except the first, and the last of an even size.
"""

from __future__ import annotations

from tensoria.programs.derivatives.rule import Array, Call, Rule, xp
from tensoria.programs.dimensions import Dim, Size
from tensoria.programs.standard import cast

__all__ = ["RULES"]


def _resized(g: Array, size: Size, axis: int) -> Array:
    """The first components along an axis, and zeros behind them."""
    if g.shape[axis] == size:
        return g
    # Which of both sizes is the greater one may depend on symbols.
    if isinstance(size, Dim) or isinstance(g.shape[axis], Dim) or g.shape[axis] < size:
        rest = xp.zeros(tuple(size if n == axis else m for n, m in enumerate(g.shape)), dtype=g.dtype)
        g = xp.concat([g, rest], axis=axis)
    return g[(*(slice(None),) * axis, slice(None, size))]


def _transform(name: str, g: Array, call: Call) -> Array:
    return getattr(xp.fft, name)(g, n=call["n"], axis=call["axis"], norm=call["norm"])


def _whole(name: str) -> Rule:
    """Of a transform of whole spectra, or of real numbers to a half one."""

    def rule(call: Call, g: Array) -> list[Array | None]:
        axis = call["axis"]
        out = _transform(name, _resized(g, call["n"], axis), call)
        return [_resized(out, call.operands[0].shape[axis], axis)]

    return rule


def _half(name: str) -> Rule:
    """Of a transform from a half spectrum to real numbers."""

    def rule(call: Call, g: Array) -> list[Array | None]:
        (x,), n, axis = call.operands, call["n"], call["axis"]
        spectrum = _transform(name, cast(g, x.dtype), call)
        half = spectrum[(*(slice(None),) * axis, slice(None, n // 2 + 1))]
        k = xp.arange(n // 2 + 1)
        once = xp.logical_or(xp.equal(k, 0), xp.equal(2 * k, n))
        times = xp.astype(xp.where(once, xp.ones_like(k), 2), g.dtype)
        times = xp.reshape(times, (-1, *(1,) * (x.ndim - axis - 1)))
        return [_resized(half * times, x.shape[axis], axis)]

    return rule


RULES: dict[str, Rule] = {
    "fft.fft": _whole("fft"), "fft.ifft": _whole("ifft"), "fft.rfft": _whole("fft"), "fft.ihfft": _whole("ifft"),
    "fft.irfft": _half("ifft"), "fft.hfft": _half("fft"),
}  # fmt: skip
"""The rules of this chapter, by operation."""
