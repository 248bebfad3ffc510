"""The Array API on PyTorch's tensors: array_api_compat, corrected."""

from array_api_compat.torch import *  # noqa: F403

from tensoria_torch.corrections import CORRECTED, FFT, LINALG

globals().update(CORRECTED)
fft, linalg = FFT, LINALG

__all__ = ["fft", "linalg"]
