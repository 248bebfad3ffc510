"""The Array API on NumPy's arrays: array_api_compat, corrected."""

from array_api_compat.numpy import *  # noqa: F403
from array_api_compat.numpy import fft

from tensoria_numpy.corrections import *  # noqa: F403
from tensoria_numpy.corrections import LINALG as linalg  # noqa: N811

__all__ = ["fft", "linalg"]
