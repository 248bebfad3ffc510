"""TensorFlow's Fourier transforms, along the last axes."""

from __future__ import annotations

from tensoria.programs.dimensions import Size
from tensoria.programs.standard import cast
from tensoria_tensorflow.lowerings.call import Array, Call, Known, Lowering, one, whole

__all__ = ["LOWERINGS"]


def _transform(x: Array, name: str, axis: int, n: Size) -> Array:
    return one(x, f"fft.{name}", n=n, axis=axis, norm="backward")


def _complex(name: str, count: int) -> Lowering:
    """A transform of complex numbers along as many axes."""

    def lower(call: Call, x: Array) -> Array:
        for axis in range(x.ndim - count, x.ndim):
            x = _transform(x, name, axis, x.shape[axis])
        return x

    return lower


def _half(count: int) -> Lowering:
    """The half spectrum of real numbers, which are cut or filled with zeros to given lengths."""

    def lower(call: Call, x: Array, lengths: Known) -> Array:
        *others, last = whole(lengths)
        x = _transform(x, "rfft", x.ndim - 1, last)
        for axis, n in enumerate(others, x.ndim - count):
            x = _transform(x, "fft", axis, n)
        return cast(x, call.dtype)

    return lower


def _whole_of_half(count: int) -> Lowering:
    """Real numbers of a half spectrum."""

    def lower(call: Call, x: Array, lengths: Known) -> Array:
        *others, last = whole(lengths)
        for axis, n in enumerate(others, x.ndim - count):
            x = _transform(x, "ifft", axis, n)
        return cast(_transform(x, "irfft", x.ndim - 1, last), call.dtype)

    return lower


AXES = {"": 1, "2D": 2, "3D": 3}
LOWERINGS: dict[str, Lowering] = {
    **{f"FFT{name}": _complex("fft", count) for name, count in AXES.items()},
    **{f"IFFT{name}": _complex("ifft", count) for name, count in AXES.items()},
    **{f"RFFT{name}": _half(count) for name, count in AXES.items()},
    **{f"IRFFT{name}": _whole_of_half(count) for name, count in AXES.items()},
}
"""The lowerings of this chapter, by TensorFlow's name."""
HOST: dict[str, tuple[int, ...]] = {
    f"{kind}{name}": (1,) for kind in ("RFFT", "IRFFT") for name in AXES
}  # fmt: skip
"""Which operands have to be known before anything runs."""
