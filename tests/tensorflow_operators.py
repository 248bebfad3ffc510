"""One call or more of every operation of TensorFlow that is ported: its arguments and attributes, in float64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

__all__ = ["examples"]

Found = tuple[str, dict[str, Any]]
"""An operation and its arguments: tensors are the program's inputs, what else there is is known before."""
random = np.random.default_rng(0)


def real(*shape: int, low: float = -2.0, high: float = 2.0, of: str = "float64") -> tf.Tensor:
    """Real numbers."""
    return tf.constant(random.uniform(low, high, shape), of)


def whole(*shape: int, low: int = -5, high: int = 6, of: str = "int64") -> tf.Tensor:
    """Whole numbers."""
    return tf.constant(random.integers(low, high, shape), of)


def truth(*shape: int) -> tf.Tensor:
    """Truth values."""
    return tf.constant(random.uniform(size=shape) < 0.5)


def complexes(*shape: int) -> tf.Tensor:
    """Complex numbers."""
    return tf.complex(real(*shape), real(*shape))


UNARY = {
    **dict.fromkeys((
        "Abs", "Asinh", "Atan", "Ceil", "Cos", "Cosh", "Elu", "Erf", "Erfc", "Exp", "Expm1", "Floor", "IsFinite",
        "IsInf", "IsNan", "Neg", "Reciprocal", "Relu", "Relu6", "Rint", "Round", "Selu", "Sigmoid", "Sign", "Sin",
        "Sinh", "Softplus", "Softsign", "Square", "Tan", "Tanh", "ZerosLike", "OnesLike", "Inv",
    ), (-3.0, 9.0)),
    **dict.fromkeys(("Acos", "Asin", "Atanh"), (-0.99, 0.99)), "Acosh": (1.01, 4.0),
    **dict.fromkeys(("Log", "Log1p", "Rsqrt", "Sqrt"), (0.1, 3.0)),
}  # fmt: skip
ONE = {"Relu", "Elu", "Selu", "Softplus", "Softsign", "Relu6"}
"""Whose argument is called `features`."""


def _elementwise() -> Iterator[Found]:
    for name, (low, high) in UNARY.items():
        yield name, {"features" if name in ONE else "x": real(3, 4, low=low, high=high)}
    for name in ("Abs", "Neg", "Sign", "Square", "Relu"):
        yield name, {"features" if name in ONE else "x": whole(3, 4, of="int32")}
    halves = tf.constant([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5], tf.float64)
    yield "Round", {"x": halves}
    yield "Rint", {"x": halves}
    infinite = tf.constant([1.0, np.inf, -np.inf, np.nan], tf.float64)
    for name in ("IsFinite", "IsInf", "IsNan"):
        yield name, {"x": infinite}
    yield "Relu6", {"features": tf.constant([0.0, 6.0, 7.0, -1.0], tf.float64)}
    z = complexes(3)
    yield "ComplexAbs", {"x": z, "Tout": tf.float64}
    yield "Conj", {"input": z}
    yield "Real", {"input": z, "Tout": tf.float64}
    yield "Imag", {"input": z, "Tout": tf.float64}
    yield "Complex", {"real": real(3), "imag": real(3), "Tout": tf.complex128}
    yield "Invert", {"x": whole(4)}
    yield "LogicalNot", {"x": truth(4)}
    yield "Bitcast", {"input": real(3), "type": tf.float64}
    yield "LeakyRelu", {"features": real(3, 4), "alpha": 0.3}
    for name in ("Identity", "Snapshot", "StopGradient", "PreventGradient"):
        yield name, {"input": real(3)}
    yield "CheckNumerics", {"tensor": real(3), "message": ""}
    yield "CheckNumericsV2", {"tensor": real(3), "message": ""}
    yield "DeepCopy", {"x": real(3)}
    yield "IdentityN", {"input": [real(3), whole(2)]}
    yield "PlaceholderWithDefault", {"input": real(3), "shape": [3]}
    for name in (
        "Add", "AddV2", "Sub", "Mul", "RealDiv", "Div", "Maximum", "Minimum", "SquaredDifference", "FloorDiv",
        "FloorMod", "Greater", "GreaterEqual", "Less", "LessEqual", "Equal", "NotEqual", "DivNoNan", "MulNoNan",
        "TruncateMod", "Mod",
    ):
        if name not in ("TruncateMod", "Mod"):
            yield name, {"x": real(3, 1, 4), "y": real(2, 4)}
        if name not in ("RealDiv", "DivNoNan", "MulNoNan"):
            a, b = whole(3, 4, low=-7, high=8, of="int32"), whole(3, 4, low=1, high=4, of="int32")
            yield name, {"x": a, "y": b}
            if name in ("FloorDiv", "FloorMod", "TruncateMod", "Mod", "Div"):
                yield name, {"x": a, "y": -b}
    yield "TruncateDiv", {"x": whole(9, low=-8, high=9), "y": whole(9, low=2, high=4)}
    yield "Add", {"x": real(3), "y": tf.constant(2.0, tf.float64)}
    zeros = tf.constant([0.0, 1.0, 0.0, 2.0], tf.float64)
    yield "DivNoNan", {"x": real(4), "y": zeros}
    yield "MulNoNan", {"x": tf.constant([1.0, np.nan, np.inf, 2.0], tf.float64), "y": zeros}
    for name in ("Xlogy", "Xlog1py", "Xdivy"):
        yield name, {"x": zeros, "y": real(4, low=0.5)}
        yield name, {"x": zeros, "y": tf.constant([0.0, 1.0, np.nan, 2.0], tf.float64)}
    yield "Pow", {"x": real(3, 4, low=0.2), "y": real(4)}
    yield "Pow", {"x": whole(4), "y": tf.constant([0, 1, 2, 3], tf.int64)}
    yield "Atan2", {"y": real(3), "x": real(3)}
    for name in ("BesselI0", "BesselI0e", "BesselI1", "BesselI1e", "Lgamma", "Digamma"):
        yield name, {"x": real(3, 4, low=-6.0, high=9.0)}
    yield "Erfinv", {"x": real(3, 4, low=-0.99, high=0.99)}
    yield "Ndtri", {"x": real(3, 4, low=0.001, high=0.999)}
    for order in (0.0, 1.0, 3.0):
        yield "Polygamma", {"a": np.float64(order), "x": real(3, 4, low=0.1, high=20.0)}
    for name in ("BitwiseAnd", "BitwiseOr", "BitwiseXor"):
        yield name, {"x": whole(4), "y": whole(4)}
    for name in ("LeftShift", "RightShift"):
        yield name, {"x": whole(4, low=0, high=99), "y": whole(4, low=0, high=5)}
    for name in ("LogicalAnd", "LogicalOr"):
        yield name, {"x": truth(3, 4), "y": truth(4)}
    yield "ApproximateEqual", {"x": real(4), "y": real(4), "tolerance": 0.5}
    yield "SelectV2", {"condition": truth(3, 1), "t": real(3, 4), "e": real(4)}
    yield "Select", {"condition": truth(3), "x": real(3, 4), "y": real(3, 4)}
    yield "ClipByValue", {"t": real(3, 4), "clip_value_min": np.float64(-1), "clip_value_max": np.float64(1)}
    for of in (tf.float32, tf.int32, tf.bool, tf.float16):
        yield "Cast", {"x": real(3, 4), "DstT": of}
    yield "Cast", {"x": whole(3), "DstT": tf.float64}
    yield "Cast", {"x": truth(3), "DstT": tf.int32}
    yield "AddN", {"inputs": [real(3), real(3), real(3)]}
    yield "BiasAdd", {"value": real(2, 3, 4), "bias": real(4)}
    yield "BiasAdd", {"value": real(2, 4, 3, 3), "bias": real(4), "data_format": "NCHW"}


def _reductions() -> Iterator[Found]:
    x = real(3, 4, 5)
    for name in ("Sum", "Mean", "Prod", "Max", "Min", "EuclideanNorm"):
        yield name, {"input": x, "axis": [0, 2], "keep_dims": True}
        yield name, {"input": x, "axis": -1}
        yield name, {"input": whole(3, 4, of="int32") if name in ("Sum", "Mean", "Prod", "Max") else x, "axis": 0}
    yield "Mean", {"input": x, "axis": np.zeros(0, np.int32)}
    for name in ("All", "Any"):
        yield name, {"input": truth(3, 4), "axis": [1]}
    for name in ("ArgMax", "ArgMin"):
        yield name, {"input": x, "dimension": 1}
        yield name, {"input": x, "dimension": -1, "output_type": tf.int32}
    for name in ("Cumsum", "Cumprod"):
        for exclusive in (False, True):
            for reverse in (False, True):
                yield name, {"x": x, "axis": 1, "exclusive": exclusive, "reverse": reverse}
    yield "TopKV2", {"input": x, "k": 2}
    yield "L2Loss", {"t": x}


def _shapes() -> Iterator[Found]:
    x = real(3, 4, 5)
    yield "Reshape", {"tensor": x, "shape": [5, -1]}
    yield "EnsureShape", {"input": x, "shape": [3, None, 5]}
    yield "Transpose", {"x": x, "perm": [2, 0, 1]}
    yield "ConjugateTranspose", {"x": complexes(2, 3), "perm": [1, 0]}
    yield "ExpandDims", {"input": x, "axis": -1}
    yield "Squeeze", {"input": real(1, 3, 1), "axis": [-1]}
    yield "Squeeze", {"input": real(1, 3, 1)}
    yield "Pack", {"values": [real(3), real(3)], "axis": 1}
    yield "Pack", {"values": [real(3), real(3)], "axis": -1}
    yield "Unpack", {"value": x, "num": 4, "axis": 1}
    yield "ConcatV2", {"values": [real(2, 3), real(2, 1)], "axis": -1}
    yield "Concat", {"values": [real(2, 3), real(1, 3)], "concat_dim": 0}
    yield "Split", {"value": x, "axis": 1, "num_split": 2}
    yield "SplitV", {"value": x, "size_splits": [1, -1, 2], "axis": 2, "num_split": 3}
    yield "Slice", {"input": x, "begin": [1, 0, 2], "size": [2, -1, 3]}
    yield "Slice", {"input": x, "begin": tf.constant([1, 0, 2]), "size": [2, 4, 3]}
    masks = {"begin_mask": 0, "end_mask": 0, "ellipsis_mask": 0, "new_axis_mask": 0, "shrink_axis_mask": 0}
    yield "StridedSlice", {"input": x, "begin": [0, 1], "end": [2, 4], "strides": [1, 2], **masks}
    yield "StridedSlice", {"input": x, "begin": [0, 3], "end": [0, 0], "strides": [1, -1], **masks, "begin_mask": 1,
                           "end_mask": 1}  # fmt: skip
    yield "StridedSlice", {"input": x, "begin": [0, -1], "end": [0, 0], "strides": [1, 1], **masks,
                           "ellipsis_mask": 1, "shrink_axis_mask": 2}  # fmt: skip
    yield "StridedSlice", {"input": x, "begin": [0, 0, 1], "end": [0, 0, 3], "strides": [1, 1, 1], **masks,
                           "new_axis_mask": 1, "begin_mask": 2, "end_mask": 2}  # fmt: skip
    yield "StridedSlice", {"input": x, "begin": tf.constant([1]), "end": tf.constant([2]), "strides": [1], **masks,
                           "shrink_axis_mask": 1}  # fmt: skip
    yield "Tile", {"input": x, "multiples": [2, 1, 3]}
    yield "BroadcastTo", {"input": real(4, 1), "shape": [3, 4, 5]}
    yield "Pad", {"input": x, "paddings": [[1, 2], [0, 0], [0, 3]]}
    yield "PadV2", {"input": x, "paddings": [[1, 2], [0, 0], [0, 3]], "constant_values": np.float64(-1)}
    yield "PadV2", {"input": x, "paddings": [[1, 2], [0, 0], [0, 3]], "constant_values": real()}
    for mode in ("REFLECT", "SYMMETRIC"):
        yield "MirrorPad", {"input": x, "paddings": [[1, 2], [0, 0], [3, 0]], "mode": mode}
    yield "ReverseV2", {"tensor": x, "axis": [0, -1]}
    yield "Roll", {"input": x, "shift": [1, -2], "axis": [0, 2]}
    for lower, upper in ((-1, 0), (0, -1), (1, 2)):
        yield "MatrixBandPart", {"input": real(2, 4, 5), "num_lower": lower, "num_upper": upper}
    yield "MatrixBandPart", {"input": truth(4, 4), "num_lower": -1, "num_upper": 0}
    yield "SpaceToDepth", {"input": real(2, 4, 6, 3), "block_size": 2}
    yield "DepthToSpace", {"input": real(2, 2, 3, 12), "block_size": 2}
    yield "SpaceToBatchND", {"input": real(2, 4, 6, 3), "block_shape": [2, 3], "paddings": [[1, 1], [0, 3]]}
    yield "BatchToSpaceND", {"input": real(12, 2, 3, 2), "block_shape": [2, 3], "crops": [[1, 0], [0, 2]]}
    yield "GatherV2", {"params": real(5, 3), "indices": whole(2, 2, low=0, high=5), "axis": 0}
    yield "GatherV2", {"params": x, "indices": whole(2, 2, low=0, high=4, of="int32"), "axis": 1}
    yield "GatherV2", {"params": x, "indices": whole(3, 2, low=0, high=4), "axis": 1, "batch_dims": 1}
    yield "GatherV2", {"params": x, "indices": whole(3, 2, low=0, high=5), "axis": 2, "batch_dims": 1}
    yield "GatherV2", {"params": whole(5, 3), "indices": whole(2, low=0, high=5), "axis": 0}
    yield "Gather", {"params": real(5, 3), "indices": whole(4, low=0, high=5)}
    yield "GatherNd", {"params": x, "indices": whole(2, 2, low=0, high=3)}
    at = tf.constant([[0, 1], [2, 3], [1, 1]])
    for name in ("TensorScatterUpdate", "TensorScatterAdd", "TensorScatterSub"):
        yield name, {"tensor": real(3, 4, 2), "indices": at, "updates": real(3, 2)}
    yield "TensorScatterAdd", {"tensor": real(4), "indices": tf.constant([[1], [1], [3]]), "updates": real(3)}
    yield "ScatterNd", {"indices": tf.constant([[1], [1], [3]]), "updates": real(3, 2), "shape": [5, 2]}
    yield "UnsortedSegmentSum", {"data": real(4, 2), "segment_ids": tf.constant([0, 2, 0, 1]), "num_segments": 3}
    on, off = np.float64(2), np.float64(-1)
    for axis in (-1, 0):
        at = whole(2, 3, low=-1, high=5)
        yield "OneHot", {"indices": at, "depth": 4, "on_value": on, "off_value": off, "axis": axis}
    yield "Fill", {"dims": [2, 3], "value": real()}
    yield "LinSpace", {"start": real(), "stop": real(), "num": 5}
    yield "LinSpace", {"start": real(), "stop": real(), "num": 1}
    yield "MatrixDiag", {"diagonal": real(2, 3)}
    yield "MatrixDiagPart", {"input": real(2, 3, 3)}
    yield "MatrixDiagV3", {"diagonal": real(2, 3), "k": 0, "num_rows": -1, "num_cols": -1,
                           "padding_value": np.float64(0)}  # fmt: skip
    yield "MatrixDiagPartV3", {"input": real(2, 3, 4), "k": 0, "padding_value": np.float64(0)}
    yield "Diag", {"diagonal": real(3)}


def _matrices() -> Iterator[Found]:
    square = real(2, 4, 4)
    positive = tf.matmul(square, square, transpose_b=True) + 2 * tf.eye(4, dtype=tf.float64)
    yield "SelfAdjointEigV2", {"input": positive, "compute_v": False}
    yield "LogMatrixDeterminant", {"input": square}
    yield "Qr", {"input": real(2, 4, 3), "full_matrices": True}
    yield "Svd", {"input": real(2, 4, 3), "compute_uv": False}
    for lower in (False, True):
        for adjoint in (False, True):
            yield "MatrixTriangularSolve", {"matrix": positive, "rhs": real(2, 4, 3), "lower": lower,
                                            "adjoint": adjoint}  # fmt: skip
    yield "Cross", {"a": real(4, 3), "b": real(4, 3)}
    yield "InvertPermutation", {"x": tf.constant([2, 0, 3, 1])}
    for k in (-2, 0, 1):
        size = 4 - abs(k)
        yield "MatrixSetDiagV3", {"input": square, "diagonal": real(2, size), "k": k}
        yield "MatrixDiagV3", {"diagonal": real(2, 3), "k": k, "num_rows": -1, "num_cols": -1,
                               "padding_value": np.float64(5)}  # fmt: skip
        yield "MatrixDiagPartV3", {"input": real(2, 4, 5), "k": k, "padding_value": np.float64(0)}
    yield "MatrixDiagV3", {"diagonal": real(2, 3), "k": 1, "num_rows": 3, "num_cols": 6, "padding_value": np.float64(0)}


def _signals() -> Iterator[Found]:
    for name, shape in (("", (3, 5)), ("2D", (2, 3, 4)), ("3D", (3, 4, 2))):
        axes = int(name[:1] or 1)
        yield f"FFT{name}", {"input": complexes(*shape)}
        yield f"IFFT{name}", {"input": complexes(*shape)}
        for length in (shape[-1], shape[-1] - 1):  # the axes as they are, or cut
            lengths = [*shape[-axes:-1], length]
            yield f"RFFT{name}", {"input": real(*shape), "fft_length": lengths, "Tcomplex": tf.complex128}
            yield f"IRFFT{name}", {"input": complexes(*shape), "fft_length": lengths, "Treal": tf.float64}


def _counting() -> Iterator[Found]:
    at = tf.constant([0, 2, 0, 3])
    for name in ("Max", "Min", "Prod"):
        yield f"UnsortedSegment{name}", {"data": real(4, 2), "segment_ids": at, "num_segments": 5}
    yield "UnsortedSegmentSum", {"data": real(4, 2), "segment_ids": tf.constant([0, -1, 2, 0]), "num_segments": 3}
    for name in ("Sum", "Mean", "Max", "Min", "Prod"):
        yield f"Segment{name}", {"data": real(5, 2), "segment_ids": np.array([0, 0, 1, 2, 2])}
    for weights in (np.zeros(0), real(2, 6)):
        for binary in (False, True):
            if not (binary and len(weights)):
                yield "DenseBincount", {"input": whole(2, 6, low=0, high=7, of="int32"), "size": np.int32(5),
                                        "weights": weights, "binary_output": binary}  # fmt: skip
    yield "DenseBincount", {"input": whole(6, low=0, high=7, of="int32"), "size": np.int32(5),
                            "weights": np.zeros(0)}  # fmt: skip
    yield "HistogramFixedWidth", {"values": real(20), "value_range": np.array([-1.0, 1.5]), "nbins": np.int32(4)}
    yield "Bucketize", {"input": real(3, 4), "boundaries": [-1.0, 0.0, 0.5]}
    yield "Bucketize", {"input": whole(3, 4), "boundaries": [-1.0, 0.0, 2.0]}
    for name in ("LowerBound", "UpperBound"):
        rows = tf.sort(whole(2, 5, of="float64"), axis=1)
        yield name, {"sorted_inputs": rows, "values": whole(2, 7, of="float64")}
        yield name, {"sorted_inputs": rows[:1], "values": whole(1, 7, of="float64")}
    scores, two = real(4, 5, of="float32"), tf.constant(2, tf.int64)
    yield "InTopKV2", {"predictions": scores, "targets": whole(4, low=0, high=5), "k": two}
    yield "ReverseSequence", {"input": real(3, 4, 2), "seq_lengths": tf.constant([1, 4, 0]), "seq_dim": 1}
    yield "NextAfter", {"x1": real(4), "x2": real(4)}
    yield "Angle", {"input": complexes(5), "Tout": tf.float64}


def _images() -> Iterator[Found]:
    image = real(2, 7, 8, 3, of="float32")
    for corners, half in ((False, False), (True, False), (False, True)):
        for size in ([9, 4], [14, 16], [3, 3]):
            more = {"align_corners": corners, "half_pixel_centers": half}
            yield "ResizeBicubic", {"images": image, "size": size, **more}
    for size in ([9, 4], [3, 16]):
        for corners in (False, True):
            yield "ResizeArea", {"images": image, "size": size, "align_corners": corners}
    for padding in ("SAME", "VALID"):
        yield "ExtractImagePatches", {"images": image, "ksizes": [1, 3, 2, 1], "strides": [1, 2, 1, 1],
                                      "rates": [1, 1, 2, 1], "padding": padding}  # fmt: skip
    yield "LRN", {"input": image, "depth_radius": 2, "bias": 1.5, "alpha": 0.3, "beta": 0.75}
    yield "AdjustContrastv2", {"images": image, "contrast_factor": tf.constant(1.7)}
    colours = real(2, 3, 3, low=0.0, high=1.0)
    yield "RGBToHSV", {"images": tf.concat([colours, [[[0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.2]]]], 0)}
    yield "HSVToRGB", {"images": colours}


def _neural() -> Iterator[Found]:
    for first in (False, True):
        for second in (False, True):
            a, b = real(*((4, 3) if first else (3, 4))), real(*((5, 4) if second else (4, 5)))
            yield "MatMul", {"a": a, "b": b, "transpose_a": first, "transpose_b": second}
    for name in ("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"):
        more = {"Tout": tf.float64} if name.endswith("3") else {}
        yield name, {"x": real(2, 3, 4), "y": real(2, 5, 4), "adj_x": False, "adj_y": True, **more}
    yield "BatchMatMulV2", {"x": complexes(3, 2, 4), "y": complexes(2, 5), "adj_x": True, "adj_y": False}
    for equation, shapes in {
        "abc,cde->abde": ((2, 3, 4), (4, 2, 5)), "aecd,abcd->acbe": ((2, 3, 4, 5), (2, 6, 4, 5)),
        "...ab,bc->...ac": ((2, 3, 4, 5), (5, 6)), "ab,...bc->...ac": ((2, 3), (4, 3, 5)),
        "a...b,...b->...a": ((2, 3, 4), (3, 4)), "ab->ba": ((2, 3),), "abb->a": ((2, 3, 3),), "ab->": ((2, 3),),
    }.items():  # fmt: skip
        yield "Einsum", {"inputs": [real(*shape) for shape in shapes], "equation": equation}
    image, kernel = real(2, 7, 8, 4), real(3, 2, 4, 6)
    for padding in ("SAME", "VALID"):
        for strides, dilations in (([1, 2, 2, 1], [1, 1, 1, 1]), ([1, 1, 1, 1], [1, 2, 2, 1]), ([1, 3, 3, 1], [1] * 4)):
            yield "Conv2D", {"input": image, "filter": kernel, "strides": strides, "padding": padding,
                             "dilations": dilations}  # fmt: skip
    yield "Conv2D", {"input": image, "filter": kernel, "strides": [1, 1, 1, 1], "padding": "EXPLICIT",
                     "explicit_paddings": [0, 0, 1, 2, 0, 3, 0, 0]}  # fmt: skip
    yield "Conv2D", {"input": image, "filter": real(3, 3, 2, 6), "strides": [1, 1, 1, 1], "padding": "SAME"}
    yield "Conv3D", {"input": real(2, 5, 4, 6, 3), "filter": real(2, 3, 2, 3, 4), "strides": [1, 2, 1, 2, 1],
                     "padding": "SAME"}  # fmt: skip
    for padding in ("SAME", "VALID"):
        for step in (1, 2):
            yield "DepthwiseConv2dNative", {"input": image, "filter": real(3, 3, 4, 2), "strides": [1, step, step, 1],
                                            "padding": padding}  # fmt: skip
            rows, columns = (7, 8) if padding == "SAME" else (7 + 2 * (step - 1), 8 + 2 * (step - 1))
            size = [-(-n // step) if padding == "SAME" else (n - 3) // step + 1 for n in (rows, columns)]
            yield "Conv2DBackpropInput", {"input_sizes": [2, rows, columns, 4], "filter": real(3, 3, 4, 6),
                                          "out_backprop": real(2, *size, 6), "strides": [1, step, step, 1],
                                          "padding": padding}  # fmt: skip
    yield "Conv2DBackpropInput", {"input_sizes": [2, 9, 9, 4], "filter": real(2, 2, 4, 6),
                                  "out_backprop": real(2, 3, 3, 6), "strides": [1, 3, 3, 1],
                                  "padding": "VALID"}  # fmt: skip
    yield "Conv3DBackpropInputV2", {"input_sizes": [2, 4, 6, 4, 3], "filter": real(2, 3, 2, 3, 4),
                                    "out_backprop": real(2, 2, 3, 2, 4), "strides": [1, 2, 2, 2, 1],
                                    "padding": "SAME"}  # fmt: skip
    for padding in ("SAME", "VALID"):
        for name in ("MaxPool", "AvgPool"):
            of = {"input" if name == "MaxPool" else "value": image}
            yield name, {**of, "ksize": [1, 3, 2, 1], "strides": [1, 2, 2, 1], "padding": padding}
        for name in ("MaxPool3D", "AvgPool3D"):
            volume = real(2, 5, 4, 6, 3, of="float32")
            yield name, {"input": volume, "ksize": [1, 2, 2, 3, 1], "strides": [1, 2, 1, 2, 1], "padding": padding}
    yield "MaxPoolV2", {"input": image, "ksize": [1, 2, 2, 1], "strides": [1, 2, 2, 1], "padding": "VALID"}
    x, vectors = real(2, 3, 4, 5, of="float32"), [real(5, low=0.2, of="float32") for _ in range(4)]
    statistics = dict(zip(("scale", "offset", "mean", "variance"), vectors, strict=True))
    for name in ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"):
        yield name, {"x": x, **statistics, "epsilon": 1e-3, "is_training": False}
    empty = tf.zeros(0)
    given = {**statistics, "mean": empty, "variance": empty}
    yield "FusedBatchNormV3", {"x": x, **given, "epsilon": 1e-3, "is_training": True}
    for name in ("ResizeBilinear", "ResizeNearestNeighbor"):
        for corners, half in ((False, False), (True, False), (False, True)):
            for size in ([9, 4], [14, 16]):
                yield name, {"images": image, "size": size, "align_corners": corners, "half_pixel_centers": half}
    yield "Softmax", {"logits": real(3, 5)}
    yield "LogSoftmax", {"logits": real(3, 5)}
    yield "SoftmaxCrossEntropyWithLogits", {"features": real(3, 5), "labels": real(3, 5, low=0.0)}
    yield "SparseSoftmaxCrossEntropyWithLogits", {"features": real(3, 5), "labels": whole(3, low=0, high=5)}
    a = real(2, 3, 3)
    positive = tf.matmul(a, a, transpose_b=True) + tf.eye(3, dtype=tf.float64)
    yield "Cholesky", {"input": positive}
    yield "MatrixInverse", {"input": positive}
    yield "MatrixInverse", {"input": positive + a, "adjoint": True}
    yield "MatrixDeterminant", {"input": positive}
    yield "MatrixSolve", {"matrix": positive, "rhs": real(2, 3, 2)}


def examples() -> Iterator[Found]:
    """All of them."""
    for chapter in (_elementwise, _reductions, _shapes, _matrices, _signals, _counting, _images, _neural):
        yield from chapter()
