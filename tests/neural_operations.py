"""Examples of the operations of neural networks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import tensoria as tn

__all__ = ["neural_examples"]

Found = tuple[str, tuple[np.ndarray[Any, Any], ...], dict[str, Any]]
random = np.random.default_rng(1)


def _real(*shape: int, low: float = -2, high: float = 2, dtype: str = "float64") -> np.ndarray[Any, Any]:
    return random.uniform(low, high, shape).astype(dtype)


def neural_examples() -> Iterator[Found]:
    """Operation, operands, attributes."""
    for dtype in ("float32", "float64"):
        for name in ("erf", "sigmoid", "relu", "silu"):
            yield name, (_real(3, 4, low=-7, high=7, dtype=dtype),), {}
        for low, high in ((0.0, 6.0), (-1.5, 0.5)):
            yield "hardtanh", (_real(3, 4, low=-7, high=9, dtype=dtype),), {"low": low, "high": high}
        for approximate in ("none", "tanh"):
            yield "gelu", (_real(3, 4, low=-5, high=5, dtype=dtype),), {"approximate": approximate}
        yield "linear", (_real(2, 3, 4, dtype=dtype), _real(5, 4, dtype=dtype), _real(5, dtype=dtype)), {}
    for name in ("softmax", "log_softmax"):
        for axis in (0, 1):
            yield name, (_real(3, 4),), {"axis": axis}
    yield "linear", (_real(3, 4), _real(5, 4)), {}
    yield "linear", (_real(4), _real(5, 4)), {}
    for count in range(3):
        for axes, shape in (((2,), (4,)), ((1, 2), (3, 4))):
            scale = tuple(_real(*shape) for _ in range(count))
            yield "layer_norm", (_real(2, 3, 4), *scale), {"axes": axes, "epsilon": 1e-5}
            if count < 2:
                yield "rms_norm", (_real(2, 3, 4), *scale), {"axes": axes, "epsilon": 1e-6}
        vectors = tuple(_real(4) for _ in range(count))
        yield "group_norm", (_real(2, 4, 3, 2), *vectors), {"groups": 2, "epsilon": 1e-5}
        statistics = _real(4), _real(4, low=0.1)
        yield "batch_norm", (_real(2, 4, 3), *statistics, *vectors), {"axis": 1, "epsilon": 1e-5}
        yield "batch_norm", (_real(3, 4), *statistics, *vectors), {"axis": 1, "epsilon": 1e-3}
        yield "batch_norm", (_real(2, 3, 3, 4), *statistics, *vectors), {"axis": 3, "epsilon": 1e-3}
    for causal in (False, True):
        heads = _real(2, 3, 5, 4), _real(2, 3, 6, 4), _real(2, 3, 6, 2)
        mask = random.random((2, 1, 5, 6)) < 0.6
        mask[0, 0, 0] = mask[1, 0, 3] = False
        for of in ((), (mask,), (_real(5, 6),), (np.where(mask, 0.5, -np.inf),)):
            yield "attention", (*heads, *of), {"causal": causal, "scale": 0.5}
    yield "embedding", (_real(5, 3), np.array([[0, 4], [-1, 2]])), {}
    yield from _images()
    yield "take_at", (_real(3, 4, 2), np.array([[[0, 1], [2, -1]], [[-3, 0], [1, 3]]])), {}
    yield "take_at", (_real(3, 4), np.array([1, -2], "int32")), {}
    yield "take_at", (_real(3, 4), np.array([[1], [-1]])), {}
    yield "top_k", (_real(3, 5),), {"k": 2, "axis": 1, "largest": True}
    yield "top_k", (np.array([2, 1, 2, 1, 0]),), {"k": 4, "axis": 0, "largest": False}
    for add in (False, True):
        places = np.array([[0, 3], [4, -2], [1, 0]])
        yield "scatter", (_real(3, 5), places, _real(3, 2)), {"axis": 1, "add": add}
    yield "scatter", (_real(3, 2), np.array([[0, 1], [0, 2]]), _real(2, 2)), {"axis": 0, "add": True}
    for reverse in (False, True):
        for biased in (False, True):
            for name, gates, states in (("lstm", 4, 2), ("gru", 3, 1)):
                weights = [_real(gates * 3, 5), _real(gates * 3, 3), _real(gates * 3), _real(gates * 3)]
                held = [_real(2, 3) for _ in range(states)]
                yield name, (_real(4, 2, 5), *held, *weights[: 4 if biased else 2]), {"reverse": reverse}
        weights = [_real(9, 2), _real(9, 3)]
        yield "gru", (_real(19, 2, 2), _real(2, 3), *weights), {"reverse": reverse}  # (steps that are one scan)
        yield "lstm", (_real(17, 2, 2), _real(2, 2), _real(2, 2), _real(8, 2), _real(8, 2)), {"reverse": reverse}


def _images() -> Iterator[Found]:
    for space, shape in ((1, (9,)), (2, (7, 8)), (3, (5, 4, 6))):
        letters = "DHW"[3 - space :]
        plain = ("NC" + letters, "OI" + letters, "NC" + letters)
        for groups, outputs, step, wide, ends in ((1, 3, 1, 1, (0, 0)), (2, 4, 2, 1, (1, 1)), (4, 4, 1, 2, (2, 1)),
                                                  (4, 4, 2, 2, (1, 1)), (2, 2, 2, 1, (0, 2))):
            kernel = _real(outputs, 4 // groups, *(3, 2, 2)[:space])
            chosen = {"strides": (step,) * space, "padding": (ends,) * space, "dilation": (wide,) * space}
            bias = (_real(outputs),) if step == 1 else ()
            yield "convolution", (_real(2, 4, *shape), kernel, *bias), {**chosen, "groups": groups, "numbers": plain}
        last = ("N" + letters + "C", letters + "IO", "N" + letters + "C")
        yield "convolution", (_real(2, *shape, 4), _real(*(3, 2, 2)[:space], 4, 3)), {
            "strides": (1,) * space, "padding": ((1, 0),) * space, "dilation": (1,) * space, "groups": 1,
            "numbers": last,
        }
        for groups, step, wide, ends in ((1, 1, 1, (0, 0)), (2, 2, 1, (1, 0)), (1, 3, 2, (2, 2)), (2, 1, 1, (0, 1)),
                                         (1, 1, 1, (3, 3))):
            yield "convolution_transpose", (_real(2, 4, *(5, 4, 4)[:space]), _real(4, 3, *(3, 2, 3)[:space])), {
                "strides": (step,) * space, "padding": (ends, *(min(ends, (1, 1)),) * (space - 1)),
                "dilation": (wide,) * space, "groups": groups, "numbers": (plain[0], "IO" + letters, plain[0]),
            }
        yield "convolution_transpose", (_real(2, 4, *(5, 4, 4)[:space]), _real(4, 3, *(3, 2, 3)[:space]), _real(3)), {
            "strides": (2,) * space, "padding": ((0, 0),) * space, "dilation": (1,) * space, "groups": 1,
            "numbers": (plain[0], "IO" + letters, last[0]),
        }
        yield "convolution_transpose", (_real(2, *(5, 4, 4)[:space], 4), _real(*(3, 2, 3)[:space], 3, 4), _real(6)), {
            "strides": (2,) * space, "padding": ((1, 0),) * space, "dilation": (1,) * space, "groups": 2,
            "numbers": (last[0], letters + "OI", last[0]),
        }
        image = _real(2, 3, *shape)
        for step, ends, wide in ((1, (0, 0), 1), (2, (1, 1), 1), (2, (0, 1), 1), (1, (1, 1), 2)):
            chosen = {"window": (2,) * space, "strides": (step,) * space, "padding": (ends,) * space}
            yield "max_pool", (image - 3,), {**chosen, "dilation": (wide,) * space}
            for padded in (False, True):
                yield "mean_pool", (image,), {**chosen, "padded": padded}
        for size in (1, 3, 7):
            yield "adaptive_mean_pool", (image,), {"sizes": (size,) * space}
            yield "adaptive_max_pool", (image,), {"sizes": (size,) * space}
        for sizes in ((4, 3, 9)[:space], (11, 16, 2)[:space]):
            given = [(n, m) for n, m in zip(shape, sizes, strict=True)]
            inner = tuple(n / m for n, m in given)
            ends = tuple((n - 1) / (m - 1) for n, m in given)
            for method, rule, steps in (
                ("nearest", "asymmetric", inner), ("nearest", "half_pixel", inner), ("linear", "half_pixel", inner),
                ("linear", "corners", ends), ("cubic", "half_pixel", inner), ("cubic", "corners", ends),
            ):
                yield "resize", (image,), {"sizes": sizes, "method": method, "rule": rule, "steps": steps}
    for key in ((0, 0), (3, 2**32 - 1)):
        for x, shared in ((_real(3, 5), ()), (_real(2, 3, 2, 2, dtype="float32"), (2, 3)), (_real(), ())):
            for rate, stream in ((0.3, 0), (0.5, 2**32 + 7), (0.0, 1), (1.0, 1)):
                options = {"rate": rate, "stream": stream, "shared": shared}
                yield "dropout", (x, np.array(key, "uint32")), options
    for dtype in (tn.float32, tn.float64):
        for name in ("random_uniform", "random_normal"):
            yield name, (np.array((0, 7), "uint32"),), {"shape": (3, 5), "dtype": dtype, "stream": 2}
    yield "pad", (_real(2, 3),), {"padding": ((0, 2), (1, 0)), "value": 1.5}
    yield "pad", (np.arange(3),), {"padding": ((1, 1),), "value": 7}
