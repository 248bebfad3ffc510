"""The Array API's functions on symbolic arrays: arguments made explicit, then recorded.

What the standard leaves to the call is decided here, once: negative and missing axes, promotion of operands, the data
type in which sums are taken, -1 in a shape, numbers beside arrays. Instructions have none of that. The chapters are
those of `operations`.
"""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, Final

from tensoria.dtypes import DTYPES
from tensoria.programs.standard import creation, elementwise, indexing, linear_algebra, manipulation, reductions
from tensoria.programs.standard.fourier import FFT
from tensoria.programs.standard.indexing import getitem, setitem
from tensoria.programs.standard.linear_algebra import LINALG
from tensoria.programs.standard.operands import cast, dtype_of, promote

__all__ = ["cast", "dtype_of", "getitem", "namespace", "promote", "setitem"]

CHAPTERS = (elementwise, reductions, manipulation, indexing, creation, linear_algebra)
FUNCTIONS: dict[str, Any] = {name: made for chapter in CHAPTERS for name, made in chapter.FUNCTIONS.items()}
namespace: Final = SimpleNamespace(
    **FUNCTIONS, linalg=LINALG, fft=FFT, **DTYPES, e=math.e, inf=math.inf, nan=math.nan, newaxis=None, pi=math.pi,
)  # fmt: skip
"""All of it."""
