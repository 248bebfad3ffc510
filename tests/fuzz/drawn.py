"""What the differential tests draw, and what it means that a result is NumPy's.

Every test does the same thing twice: to tensors on a backend, and to NumPy's arrays of the same numbers. NumPy's
result is the expected one, and where NumPy raises, an error of tensoria is expected.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
from across import native, values
from hypothesis import strategies as st

import tensoria as tn
from tensoria.errors import TensoriaError

__all__ = [
    "COMPLEX", "FLOATS", "INTS", "UINTS", "agree", "arrays", "drawn_shapes", "elements", "same", "tensor", "wide",
]  # fmt: skip

INTS = ("int8", "int16", "int32", "int64")
UINTS = ("uint8", "uint16", "uint32", "uint64")
FLOATS = ("float32", "float64")
COMPLEX = ("complex64", "complex128")
drawn_shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


def wide(rank: int, side: int = 2) -> tuple[int, ...]:
    """A shape of high rank with few components: two axes of some length, among axes of length one."""
    return tuple(side if n in (0, rank // 2, rank - 1) else 1 for n in range(rank))


def elements(dtype: str, special: bool = True) -> st.SearchStrategy[Any]:
    """Small numbers, extreme ones, and (unless `special` is False) NaN, infinities and both zeros."""
    kind = np.dtype(dtype).kind
    if kind == "b":
        return st.booleans()
    if kind in "iu":
        info = np.iinfo(dtype)
        small = st.integers(max(-4, int(info.min)), 4)
        return st.one_of(small, st.sampled_from([int(info.min), int(info.max)])) if special else small
    part = st.integers(-32, 32).map(lambda n: n / 4)
    if kind == "c":
        return st.builds(complex, part, part)
    return st.one_of(part, st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -0.0])) if special else part


@st.composite
def arrays(
    draw: Any, dtypes: tuple[str, ...] = (*INTS, *FLOATS), shape: Any = drawn_shapes, special: bool = True
) -> np.ndarray[Any, Any]:
    """An array of one of the data types."""
    dtype = draw(st.sampled_from(dtypes))
    sizes = shape if isinstance(shape, tuple) else draw(shape)
    made: np.ndarray[Any, Any] = draw(hnp.arrays(dtype, sizes, elements=elements(dtype, special)))
    return made


def tensor(backend: str, x: Any) -> tn.Tensor:
    """A plain tensor of NumPy's numbers."""
    return tn.asarray(native(backend, x))


def same(ours: Any, wanted: Any, rtol: float = 0.0, dtype: bool = True) -> None:
    """Equal shapes, data types and numbers, NaN and the signs of zeros included; or close, with a tolerance."""
    wanted = np.asarray(wanted)
    found = values(ours)
    assert ours.shape == wanted.shape, (ours.shape, wanted.shape)
    if dtype:
        assert ours.dtype.name == wanted.dtype.name, (ours.dtype, wanted.dtype)
    if rtol:
        np.testing.assert_allclose(found, wanted, rtol=rtol, atol=rtol)
        return
    np.testing.assert_array_equal(found, wanted)
    if wanted.dtype.kind == "f":
        np.testing.assert_array_equal(np.signbit(found) & (found == 0), np.signbit(wanted) & (wanted == 0))


def agree(
    ours: Callable[[], Any], numpys: Callable[[], Any], rtol: float = 0.0, dtype: bool = True
) -> TensoriaError | None:
    """Ours is NumPy's result; or NumPy raises, and the error of tensoria that we raise is returned."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            wanted = numpys()
        except (ValueError, TypeError, IndexError, ZeroDivisionError, OverflowError) as refused:
            try:
                result = ours()
            except TensoriaError as error:
                return error
            raise AssertionError(f"NumPy refuses ({refused}), and the result is {result!r}") from refused
        found = ours()
    if isinstance(wanted, (tuple, list)):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            same(one, other, rtol, dtype)
    else:
        same(found, wanted, rtol, dtype)
    return None
