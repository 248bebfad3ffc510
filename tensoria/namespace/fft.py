"""The standard's extension `fft`: discrete Fourier transforms of plain tensors."""

from __future__ import annotations

from functools import partial

from tensoria.discovery import current, get, home
from tensoria.dtypes import DType
from tensoria.dtypes import dtype as as_dtype
from tensoria.indices import PLAIN
from tensoria.namespace.dispatch import plain
from tensoria.tensor import Tensor

__all__ = [
    "fft",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfftn",
    "rfft",
    "rfftfreq",
    "rfftn",
]

_plain = partial(plain, part="fft")

fft = _plain("fft", "Fourier transform along an axis.")
fftn = _plain("fftn", "Fourier transform along axes.")
fftshift = _plain("fftshift", "Frequencies reordered, zero in the middle.")
hfft = _plain("hfft", "Fourier transform of a signal that is Hermitian in time, real.")
ifft = _plain("ifft", "Inverse of `fft`.")
ifftn = _plain("ifftn", "Inverse of `fftn`.")
ifftshift = _plain("ifftshift", "Inverse of `fftshift`.")
ihfft = _plain("ihfft", "Inverse of `hfft`.")
irfft = _plain("irfft", "Inverse of `rfft`, real.")
irfftn = _plain("irfftn", "Inverse of `rfftn`, real.")
rfft = _plain("rfft", "Fourier transform of real numbers along an axis: the frequencies that are not negative.")
rfftn = _plain("rfftn", "Fourier transform of real numbers along axes.")


def _frequencies(
    name: str, n: int, d: float, dtype: DType | str | None, device: str | None, backend: str | None
) -> Tensor:
    target = current() if backend is None else get(backend)
    native = None if dtype is None else target.native_dtype(as_dtype(dtype))
    array = getattr(target.xp.fft, name)(n, d=d, dtype=native)
    device = home(target, device)
    return Tensor.from_parts(array if device is None else target.to_device(array, device), PLAIN, target)


def fftfreq(
    n: int,
    /,
    *,
    d: float = 1.0,
    dtype: DType | str | None = None,
    device: str | None = None,
    backend: str | None = None,
) -> Tensor:
    """The frequencies of `fft` for n samples at the distance d."""
    return _frequencies("fftfreq", n, d, dtype, device, backend)


def rfftfreq(
    n: int,
    /,
    *,
    d: float = 1.0,
    dtype: DType | str | None = None,
    device: str | None = None,
    backend: str | None = None,
) -> Tensor:
    """The frequencies of `rfft` for n samples at the distance d."""
    return _frequencies("rfftfreq", n, d, dtype, device, backend)
