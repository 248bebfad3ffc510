"""The arrays that the tests draw, and what it means for two results to agree."""

from __future__ import annotations

from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import tensorflow as tf
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

INTS = ("int8", "int16", "int32", "int64")
UINTS = ("uint8", "uint16", "uint32", "uint64")
FLOATS = ("float32", "float64")
COMPLEX = ("complex64", "complex128")

few = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
some = settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))

shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


def elements(dtype: str, special: bool = True) -> st.SearchStrategy[Any]:
    kind = np.dtype(dtype).kind
    if kind == "b":
        return st.booleans()
    if kind in "iu":
        limits = np.iinfo(dtype)
        return st.one_of(st.integers(max(-4, limits.min), 4), st.integers(int(limits.min), int(limits.max)))
    if kind == "c":
        part = st.floats(-8, 8, width=32, allow_subnormal=False)  # TensorFlow flushes them to zero
        return st.builds(complex, part, part)
    width = np.dtype(dtype).itemsize * 8
    plain = st.floats(-8, 8, width=min(width, 32)).filter(lambda v: v == 0 or abs(v) > 1e-3)
    return st.one_of(plain, st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, 2.0])) if special else plain


@st.composite
def arrays(
    draw: Any, dtypes: tuple[str, ...] = (*INTS, *FLOATS), shape: Any = shapes, special: bool = True
) -> np.ndarray:
    dtype = draw(st.sampled_from(dtypes))
    return draw(
        hnp.arrays(dtype, shape if isinstance(shape, tuple) else draw(shape), elements=elements(dtype, special))
    )


@st.composite
def pairs(draw: Any, dtypes: tuple[str, ...] = (*INTS, *FLOATS), special: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays of one type whose shapes broadcast."""
    both = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, min_side=0, max_side=3))
    dtype = draw(st.sampled_from(dtypes))
    a, b = (draw(hnp.arrays(dtype, shape, elements=elements(dtype, special))) for shape in both.input_shapes)
    return a, b


def same(ours: Any, expected: Any, rtol: float = 0.0, dtype: bool = True) -> None:
    """Equal shapes, types and values, NaN and the signs of zeros included; or close, with a tolerance."""
    ours, expected = ours.numpy(), np.asarray(expected)
    assert ours.shape == expected.shape, (ours.shape, expected.shape)
    if dtype:
        assert ours.dtype == expected.dtype, (ours.dtype, expected.dtype)
    if rtol:
        np.testing.assert_allclose(ours, expected, rtol=rtol, atol=rtol)
    else:
        np.testing.assert_array_equal(ours, expected)
        if expected.dtype.kind == "f":
            np.testing.assert_array_equal(np.signbit(ours) | np.isnan(ours), np.signbit(expected) | np.isnan(expected))


def graph(function: Any, *arrays: np.ndarray) -> Any:
    """The result of `function` traced with axes of unknown length, then run on the arrays."""
    specs = [tf.TensorSpec([None] * a.ndim, a.dtype) for a in arrays]
    return tf.function(function, input_signature=specs)(*(tf.constant(a) for a in arrays))


def both_ways(function: Any, *arrays: np.ndarray) -> list[Any]:
    """The results of `function` run eagerly and traced with axes of unknown length."""
    return [function(*(tf.constant(a) for a in arrays)), graph(function, *arrays)]
