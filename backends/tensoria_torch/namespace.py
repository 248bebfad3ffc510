"""The Array API on PyTorch's tensors: array_api_compat, corrected."""

from types import ModuleType

import array_api_compat.torch as base

from tensoria_torch.corrections import CORRECTED, FFT, LINALG

# Functions, data types and constants; PyTorch's submodules stay where they are.
globals().update(
    {name: value for name in base.__all__ if not isinstance(value := getattr(base, name), ModuleType)}, **CORRECTED
)
fft, linalg = FFT, LINALG

__all__ = ["fft", "linalg"]
