"""TensorFlow's operations on drawn shapes and attributes compute what TensorFlow computes, on NumPy.

The sibling of `test_porting_drawn_operators.py`: raw operations, each in a `tf.function` that is ported. What
TensorFlow refuses is no example.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from hypothesis import given, reject, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from tensoria_tensorflow.lowerings.call import own_dtype  # noqa: E402
from test_porting_tensorflow_operators import called  # noqa: E402

import tensoria as tn  # noqa: E402
from tensoria.discovery import get  # noqa: E402

Found = tuple[str, dict[str, Any]]
Draw = Callable[[Any], Any]
FAMILIES: dict[str, Callable[[Draw], Found]] = {}
"""Families of operations: each draws an operation with its arguments."""


def family(make: Callable[[Draw], Found]) -> Callable[[Draw], Found]:
    """Register a family."""
    FAMILIES[make.__name__.strip("_")] = make
    return make


# -- what is drawn -----------------------------------------------------------------------------------------------------


def tensor(draw: Draw, shape: Any, dtype: str = "float64", low: float = -3, high: float = 3) -> Any:
    """Numbers from a drawn seed: Hypothesis shrinks shapes, not numbers."""
    numbers = np.random.default_rng(draw(st.integers(0, 99))).uniform(low, high, tuple(shape))
    if dtype == "bool":
        return tf.constant(numbers > 0)
    return tf.constant(numbers if dtype.startswith("float") else np.rint(numbers), dtype)


def whole(draw: Draw, low: int, high: int) -> int:
    return int(draw(st.integers(low, high)))


def shape(draw: Draw, low: int = 0, high: int = 4, smallest: int = 0) -> tuple[int, ...]:
    return tuple(draw(st.lists(st.integers(smallest, 4), min_size=low, max_size=high)))


def axis(draw: Draw, of: Any) -> int:
    return whole(draw, -len(of), len(of) - 1)


def axes(draw: Draw, of: Any) -> Any:
    chosen = draw(st.lists(st.integers(0, len(of) - 1), unique=True)) if of else []
    return np.array([n - len(of) if draw(st.booleans()) else n for n in chosen], np.int32)


def one_of(draw: Draw, *choices: Any) -> Any:
    return draw(st.sampled_from(choices))


# -- families ----------------------------------------------------------------------------------------------------------


@family
def _elementwise(draw: Draw) -> Found:
    full = shape(draw)
    first, second = (
        tuple(1 if draw(st.booleans()) else n for n in full)[whole(draw, 0, len(full)) :] for _ in range(2)
    )
    name = one_of(
        draw, "AddV2", "Sub", "Mul", "RealDiv", "FloorDiv", "FloorMod", "TruncateDiv", "Maximum", "Minimum", "Greater",
        "LessEqual", "Equal", "SquaredDifference", "DivNoNan", "MulNoNan", "Pow", "SelectV2", "LogicalAnd", "Neg",
        "Abs", "Sign", "Exp", "Tanh", "Round", "Relu", "Softplus", "Elu", "Erf", "Rsqrt",
    )  # fmt: skip
    of = one_of(draw, "float64", "float32", "int64", "int32", "bool")
    if name == "LogicalAnd":
        of = "bool"
    if name == "Round" and not of.startswith("float"):
        reject()  # TensorFlow 2.21 rounds the int64 1 to 0; the program keeps it
    x = tensor(draw, first, of)
    if name in ("Relu", "Softplus", "Elu"):
        return name, {"features": x}
    if name in ("Neg", "Abs", "Sign", "Exp", "Tanh", "Round", "Erf", "Rsqrt"):
        return name, {"x": tensor(draw, first, of, 0.2) if name == "Rsqrt" else x}
    if name == "SelectV2":
        return name, {"condition": tensor(draw, second, "bool"), "t": x, "e": tensor(draw, second, of)}
    above = 1 if name in ("RealDiv", "FloorDiv", "FloorMod", "TruncateDiv", "Pow") else -3
    return name, {"x": tensor(draw, first, of, 1) if name == "Pow" else x, "y": tensor(draw, second, of, above)}


@family
def _reduction(draw: Draw) -> Found:
    name = one_of(draw, "Sum", "Mean", "Prod", "Max", "Min", "All", "Any", "EuclideanNorm", "ArgMax", "ArgMin")
    of = "bool" if name in ("All", "Any") else one_of(draw, "float64", "float32", "int64", "int32")
    x = tensor(draw, shape(draw, 1, smallest=1 if name in ("Mean", "ArgMax", "ArgMin") else 0), of)
    if name.startswith("Arg"):
        return name, {"input": x, "dimension": axis(draw, x.shape), "output_type": one_of(draw, tf.int32, tf.int64)}
    return name, {"input": x, "axis": axes(draw, x.shape), "keep_dims": draw(st.booleans())}


@family
def _running(draw: Draw) -> Found:
    name = one_of(draw, "Cumsum", "Cumprod", "TopKV2", "Softmax", "LogSoftmax")
    of = one_of(draw, "float64", "float32")
    x = tensor(draw, shape(draw, 1, 3), of)
    if name == "TopKV2":
        return name, {"input": x, "k": whole(draw, 0, x.shape[-1])}
    if name.startswith("Cum"):
        more = {"exclusive": draw(st.booleans()), "reverse": draw(st.booleans())}
        return name, {"x": x, "axis": axis(draw, x.shape), **more}
    return name, {"logits": tensor(draw, shape(draw, 2, 2), of)}


@family
def _arrangement(draw: Draw) -> Found:
    name = one_of(
        draw, "Transpose", "ExpandDims", "Squeeze", "Pack", "ConcatV2", "Split", "Slice", "StridedSlice", "Tile",
        "BroadcastTo", "PadV2", "MirrorPad", "ReverseV2", "Roll", "GatherV2", "GatherNd", "MatrixBandPart", "Unpack",
        "SplitV", "OneHot", "Reshape", "TensorScatterUpdate", "TensorScatterAdd",
    )  # fmt: skip
    x = tensor(draw, shape(draw, 1), one_of(draw, "float64", "float32", "int64", "int32", "bool"))
    rank, at = x.ndim, axis(draw, x.shape)
    size = x.shape[at]
    match name:
        case "Transpose":
            return name, {"x": x, "perm": list(draw(st.permutations(range(rank))))}
        case "ExpandDims":
            return name, {"input": x, "axis": whole(draw, -rank - 1, rank)}
        case "Squeeze":
            return name, {"input": x, "axis": [n for n in range(rank) if x.shape[n] == 1 and draw(st.booleans())]}
        case "Pack":
            return name, {"values": [x] * whole(draw, 1, 3), "axis": whole(draw, -rank - 1, rank)}
        case "ConcatV2":
            return name, {"values": [x] * whole(draw, 2, 3), "axis": at}
        case "Split":
            return name, {"value": x, "axis": at, "num_split": whole(draw, 1, 4)}
        case "SplitV":
            first = whole(draw, 0, size)
            sizes = [first, one_of(draw, -1, size - first)]
            return name, {"value": x, "size_splits": sizes, "axis": at, "num_split": 2}
        case "Unpack":
            return name, {"value": x, "num": size, "axis": at}
        case "Slice":
            begin = [whole(draw, 0, n) for n in x.shape]
            return name, {"input": x, "begin": begin, "size": [
                one_of(draw, -1, whole(draw, 0, n - b)) for n, b in zip(x.shape, begin, strict=True)
            ]}  # fmt: skip
        case "StridedSlice":
            count = whole(draw, 1, rank)
            steps = [one_of(draw, 1, 2, -1, -2) for _ in range(count)]
            bounds = {key: [whole(draw, -5, 5) for _ in range(count)] for key in ("begin", "end")}
            masks = {f"{key}_mask": whole(draw, 0, 2**count - 1) for key in ("begin", "end")}
            shrunk = {"shrink_axis_mask": one_of(draw, 0, 0, 1), "new_axis_mask": 0, "ellipsis_mask": 0}
            return name, {"input": x, **bounds, "strides": steps, **masks, **shrunk}
        case "Tile":
            return name, {"input": x, "multiples": [whole(draw, 0, 3) for _ in range(rank)]}
        case "BroadcastTo":
            more = shape(draw, 0, 2)
            return name, {"input": x, "shape": [*more, *(whole(draw, 0, 3) if n == 1 else n for n in x.shape)]}
        case "PadV2":
            value = np.asarray(2, x.dtype.as_numpy_dtype)
            pads = [[whole(draw, 0, 2), whole(draw, 0, 2)] for _ in range(rank)]
            return name, {"input": x, "paddings": pads, "constant_values": value}
        case "MirrorPad":
            mode = one_of(draw, "REFLECT", "SYMMETRIC")
            most = [max(n - (mode == "REFLECT"), 0) for n in x.shape]
            return name, {"input": x, "paddings": [[whole(draw, 0, m), whole(draw, 0, m)] for m in most], "mode": mode}
        case "ReverseV2":
            return name, {"tensor": x, "axis": axes(draw, x.shape)}
        case "Roll":
            of = axes(draw, x.shape)
            return name, {"input": x, "shift": [whole(draw, -5, 5) for _ in of], "axis": of}
        case "MatrixBandPart":
            return name, {"input": x, "num_lower": whole(draw, -1, 2), "num_upper": whole(draw, -1, 2)}
        case "OneHot":
            on, off = np.float64(2), np.float64(-1)
            given_ = tensor(draw, x.shape, one_of(draw, "int64", "int32"))
            more_ = {"depth": whole(draw, 0, 3), "on_value": on, "off_value": off, "axis": whole(draw, -1, rank)}
            return name, {"indices": given_, **more_}
        case "Reshape":
            sizes = [-1, *x.shape[2:]] if 0 not in x.shape else [*x.shape, 1]
            return name, {"tensor": x, "shape": sizes}
        case "GatherV2":
            batch = whole(draw, 0, min(at % rank, 1))
            places = tensor(draw, (*x.shape[:batch], *shape(draw, 0, 2)), "int64", 0, max(size - 1, 0))
            return name, {"params": x, "indices": places, "axis": at, "batch_dims": batch}
    depth = whole(draw, 1, rank)
    if 0 in x.shape[:depth]:
        reject()
    count = whole(draw, 0, 3) if name != "TensorScatterUpdate" else 1
    places = tf.stack([tensor(draw, (count,), "int32", 0, n - 1) for n in x.shape[:depth]], axis=-1)
    if name == "GatherNd":
        return name, {"params": x, "indices": places}
    return name, {"tensor": x, "indices": places, "updates": tensor(draw, (count, *x.shape[depth:]), x.dtype.name)}


@family
def _product(draw: Draw) -> Found:
    n, m, k = (whole(draw, 0, 3) for _ in range(3))
    of = one_of(draw, "float64", "float32", "int32")
    turned = [draw(st.booleans()) for _ in range(2)]
    first, second = (k, n) if turned[0] else (n, k), (m, k) if turned[1] else (k, m)
    if draw(st.booleans()):
        return "MatMul", {"a": tensor(draw, first, of), "b": tensor(draw, second, of), "transpose_a": turned[0],
                          "transpose_b": turned[1]}  # fmt: skip
    full = shape(draw, 0, 2)
    lead = [tuple(1 if draw(st.booleans()) else size for size in full) for _ in range(2)]
    return "BatchMatMulV2", {"x": tensor(draw, (*lead[0], *first), of), "y": tensor(draw, (*lead[1], *second), of),
                             "adj_x": turned[0], "adj_y": turned[1]}  # fmt: skip


@family
def _windows(draw: Draw) -> Found:
    name = one_of(draw, "Conv2D", "DepthwiseConv2dNative", "MaxPool", "AvgPool", "ResizeBilinear",
                  "ResizeNearestNeighbor")  # fmt: skip
    of, groups = one_of(draw, "float64", "float32"), whole(draw, 1, 2)
    into, window = groups * whole(draw, 1, 2), [whole(draw, 1, 3) for _ in range(2)]
    x = tensor(draw, (whole(draw, 1, 2), whole(draw, 1, 6), whole(draw, 1, 6), into), of)
    step, wide = whole(draw, 1, 3), whole(draw, 1, 2)
    common = {"strides": [1, step, step, 1], "padding": one_of(draw, "SAME", "VALID")}
    if name == "Conv2D":
        if step > 1:
            wide = 1
        kernel = tensor(draw, (*window, into // groups, groups * whole(draw, 1, 2)), of)
        return name, {"input": x, "filter": kernel, **common, "dilations": [1, wide, wide, 1]}
    if name == "DepthwiseConv2dNative":
        return name, {"input": x, "filter": tensor(draw, (*window, into, whole(draw, 1, 2)), of), **common}
    if name in ("MaxPool", "AvgPool"):
        return name, {"input" if name == "MaxPool" else "value": x, "ksize": [1, *window, 1], **common}
    corners, half = one_of(draw, (False, False), (True, False), (False, True))
    size = [whole(draw, 1, 7), whole(draw, 1, 7)]
    return name, {"images": x, "size": size, "align_corners": corners, "half_pixel_centers": half}


@family
def _transposed(draw: Draw) -> Found:
    of, into, out = one_of(draw, "float64", "float32"), whole(draw, 1, 3), whole(draw, 1, 3)
    window, steps = ([whole(draw, 1, 3) for _ in range(2)] for _ in range(2))
    sizes, padding = [whole(draw, 1, 7) for _ in range(2)], one_of(draw, "SAME", "VALID")
    counts = [
        -(-n // s) if padding == "SAME" else max(n - k, 0) // s + 1
        for n, k, s in zip(sizes, window, steps, strict=True)
    ]
    batch = whole(draw, 1, 2)
    return "Conv2DBackpropInput", {
        "input_sizes": [batch, *sizes, into], "filter": tensor(draw, (*window, into, out), of),
        "out_backprop": tensor(draw, (batch, *counts, out), of), "strides": [1, *steps, 1], "padding": padding,
    }  # fmt: skip


@family
def _volume(draw: Draw) -> Found:
    of, into = one_of(draw, "float64", "float32"), whole(draw, 1, 2)
    x = tensor(draw, (1, *(whole(draw, 1, 5) for _ in range(3)), into), of)
    window, steps = ([whole(draw, 1, 3) for _ in range(3)] for _ in range(2))
    common = {"strides": [1, *steps, 1], "padding": one_of(draw, "SAME", "VALID")}
    if draw(st.booleans()):
        return "Conv3D", {"input": x, "filter": tensor(draw, (*window, into, 2), of), **common}
    name = one_of(draw, "MaxPool3D", "AvgPool3D")
    return name, {"input": tf.cast(x, tf.float32), "ksize": [1, *window, 1], **common}


@family
def _normalised(draw: Draw) -> Found:
    channels = whole(draw, 1, 3)
    x = tensor(draw, (*(whole(draw, 1, 3) for _ in range(3)), channels), "float32")
    names = ("scale", "offset", "mean", "variance")
    vectors = {name: tensor(draw, (channels,), "float32", 0.2) for name in names}
    return "FusedBatchNormV3", {"x": x, **vectors, "epsilon": one_of(draw, 1e-3, 1e-5), "is_training": False}


@family
def _summed(draw: Draw) -> Found:
    letters = "abcde"
    sizes = {letter: whole(draw, 1, 3) for letter in letters}
    terms = [
        draw(st.lists(st.sampled_from(letters), min_size=1, max_size=3, unique=True))
        for _ in range(whole(draw, 1, 2))
    ]  # fmt: skip
    there = sorted({letter for term in terms for letter in term})
    out = draw(st.lists(st.sampled_from(there), max_size=3, unique=True))
    inputs = [tensor(draw, [sizes[letter] for letter in term]) for term in terms]
    return "Einsum", {"inputs": inputs, "equation": ",".join(map("".join, terms)) + "->" + "".join(out)}


@family
def _fourier(draw: Draw) -> Found:
    count = whole(draw, 1, 3)
    name = one_of(draw, "FFT", "IFFT", "RFFT", "IRFFT") + ("" if count == 1 else f"{count}D")
    full = [whole(draw, 1, 4) for _ in range(count + whole(draw, 0, 1))]
    real, imaginary = tensor(draw, full), tensor(draw, full)
    if name.startswith("RFFT"):
        return name, {"input": real, "fft_length": full[-count:], "Tcomplex": tf.complex128}
    x = tf.complex(real, imaginary)
    if name.startswith("IRFFT"):
        return name, {"input": x, "fft_length": [*full[-count:-1], max(2 * full[-1] - 2, 1)], "Treal": tf.float64}
    return name, {"input": x}


# -- the comparison ----------------------------------------------------------------------------------------------------


def compare(name: str, arguments: dict[str, Any]) -> None:
    """A ported operation computes what TensorFlow computes; what TensorFlow refuses is rejected."""
    function, tensors = called(name, arguments)
    try:
        expected = function(*tensors)
        tf.function(function).get_concrete_function(*tensors)  # which checks more
    except (tf.errors.OpError, TypeError, ValueError):
        reject()
    wanted = list(expected) if isinstance(expected, tuple) else [expected]
    if name == "FusedBatchNormV3":  # the others are for TensorFlow's derivative
        wanted, whole_function = wanted[:1], function
        function = lambda *xs: whole_function(*xs)[:1]  # noqa: E731
    program = tn.port(tf.function(function), tensors)
    target = get("numpy")
    with np.errstate(all="ignore"):
        results = program.evaluate(target, [target.asarray(x.numpy(), None, None, True) for x in tensors])
    assert len(results) == len(wanted)
    for found, theirs in zip(results, wanted, strict=True):
        assert target.dtype(found) is own_dtype(theirs.dtype)
        assert tuple(found.shape) == tuple(theirs.shape)
        kind = complex if theirs.dtype.is_complex else float
        a, b = np.asarray(found).astype(kind), theirs.numpy().astype(kind)
        scale = max(np.abs(b[np.isfinite(b)]).max(initial=0.0), 1.0)
        np.testing.assert_allclose(a, b, rtol=0, atol=(4e-6 if theirs.dtype == tf.float32 else 1e-12) * scale)


EMPTY = np.zeros((2, 0, 3))
FOUND: tuple[Found, ...] = (
    *((name, {"input": tf.constant(EMPTY, of), "axis": [1, -1], "keep_dims": keep})
      for name in ("Max", "Min") for of in ("float64", "int32") for keep in (False, True)),
    ("EuclideanNorm", {"input": tf.constant([[3, 4], [1, 1]], "int32"), "axis": [1], "keep_dims": False}),
    ("Softmax", {"logits": tf.constant(EMPTY[0])}),
    ("LogSoftmax", {"logits": tf.constant(EMPTY[..., 0])}),
)  # fmt: skip
"""What was drawn once and was not as TensorFlow has it."""


@pytest.mark.parametrize("found", FOUND, ids=[f"{n}-{found[0]}" for n, found in enumerate(FOUND)])
def test_what_was_found_stays_found(found: Found) -> None:
    compare(*found)


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=25)
@given(data=st.data())
def test_drawn_arguments_give_tensorflows_types_and_numbers(name: str, data: Any) -> None:
    compare(*FAMILIES[name](data.draw))


@pytest.mark.matrix
@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=500)
@given(data=st.data())
def test_many_drawn_arguments_give_tensorflows_types_and_numbers(name: str, data: Any) -> None:
    compare(*FAMILIES[name](data.draw))
