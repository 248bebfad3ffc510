"""For which data types a function is defined: the standard's word, held on every backend.

Frameworks differ here: NumPy sorts complex numbers and takes the sine of integers (as float64), PyTorch takes it as
float32, TensorFlow refuses. One table says what each function takes, so that what is refused is refused everywhere,
in the same words, and no integer becomes a float of a precision that nobody chose.
"""

from __future__ import annotations

from typing import Final

from tensoria.dtypes import DType
from tensoria.errors import DTypeError

__all__ = ["DOMAINS", "HALVES", "check_domain"]

NUMERIC: Final = frozenset(("int", "uint", "float", "complex"))
REAL: Final = frozenset(("int", "uint", "float"))
FLOATING: Final = frozenset(("float", "complex"))
REAL_FLOATING: Final = frozenset(("float",))
INTEGRAL: Final = frozenset(("int", "uint"))
BITS: Final = frozenset(("bool", "int", "uint"))
BOOL: Final = frozenset(("bool",))
WORDS: Final = {
    NUMERIC: "numbers", REAL: "real numbers", FLOATING: "floating-point numbers",
    REAL_FLOATING: "real floating-point numbers", INTEGRAL: "integers", BITS: "integers and truth values",
    BOOL: "truth values",
}  # fmt: skip
"""How each kind of data types is called in an error message."""


def _rows(kinds: frozenset[str], names: str) -> dict[str, frozenset[str]]:
    return dict.fromkeys(names.split(), kinds)


DOMAINS: Final[dict[str, frozenset[str]]] = {
    **_rows(NUMERIC, """
        abs conj imag isfinite isinf isnan negative positive pow real round sign square subtract diff
        matmul vecdot tensordot linalg.matmul linalg.vecdot linalg.tensordot linalg.cross linalg.outer linalg.trace
    """),
    **_rows(REAL, """
        ceil clip floor floor_divide greater greater_equal less less_equal maximum minimum remainder trunc
        argmax argmin argsort max min searchsorted sort
    """),
    **_rows(FLOATING, """
        acos acosh asin asinh atan atanh cos cosh exp expm1 log log10 log1p log2 mean reciprocal sin sinh sqrt std tan
        tanh var
        linalg.cholesky linalg.det linalg.eig linalg.eigh linalg.eigvals linalg.eigvalsh linalg.inv linalg.matrix_norm
        linalg.matrix_power linalg.matrix_rank linalg.pinv linalg.qr linalg.slogdet linalg.solve linalg.svd
        linalg.svdvals linalg.vector_norm
        fft.fft fft.fftn fft.hfft fft.ifft fft.ifftn fft.irfft fft.irfftn
    """),
    **_rows(REAL_FLOATING, "atan2 copysign hypot logaddexp nextafter signbit fft.ihfft fft.rfft fft.rfftn"),
    **_rows(INTEGRAL, "bitwise_left_shift bitwise_right_shift"),
    **_rows(BITS, "bitwise_and bitwise_invert bitwise_or bitwise_xor"),
    **_rows(BOOL, "logical_and logical_not logical_or logical_xor"),
    "divide": NUMERIC,
}  # fmt: skip
"""The kinds that a function takes; without a row it takes every data type."""
HALVES: Final = frozenset(("float16", "bfloat16"))
"""The data types of 16 bits, for which no framework factorises a matrix."""


def check_domain(name: str, of: DType) -> None:
    """Raise unless a function is defined for a data type.

    Raises:
        DTypeError: it is not.

    >>> check_domain("logical_and", DType("bool", "bool", 1))
    """
    kinds = DOMAINS.get(name)
    if kinds is not None and of.kind not in kinds:
        raise DTypeError(
            f"{name} is defined for {WORDS[kinds]}, not for {of}.", legal=f't.to(dtype="{_wanted(kinds)}")'
        )


def _wanted(kinds: frozenset[str]) -> str:
    return "bool" if kinds == BOOL else "int64" if "int" in kinds and "float" not in kinds else "float64"
