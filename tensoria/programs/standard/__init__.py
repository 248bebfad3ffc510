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
from tensoria.programs.recorder import SymbolicArray
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

OPERATORS = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "pow": "pow", "matmul": "matmul",
}  # fmt: skip


def _operators() -> None:
    """Symbolic arrays have the operators that derivative rules are written with; tensors use the functions."""
    for name, function in OPERATORS.items():
        of = FUNCTIONS[function]
        setattr(SymbolicArray, f"__{name}__", of)
        setattr(SymbolicArray, f"__r{name}__", lambda b, a, of=of: of(a, b))
    for name, function in {"neg": "negative", "lt": "less", "le": "less_equal", "gt": "greater"}.items():
        setattr(SymbolicArray, f"__{name}__", FUNCTIONS[function])
    setattr(SymbolicArray, "__getitem__", getitem)  # noqa: B010


_operators()
