"""One tensor type that knows what its axes mean, on NumPy, PyTorch and TensorFlow.

The upper floors (calculus, decompositions, programs, porting), random numbers and the algebra that no tensor has as
a method are imported when a name of theirs is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

from tensoria import errors
from tensoria.algebra.patterns import rearrange, reduce
from tensoria.algebra.raising import inner
from tensoria.discovery import available, use
from tensoria.dtypes import (
    DType,
    bfloat16,
    complex64,
    complex128,
    dtype,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
)
from tensoria.dtypes import bool_ as bool
from tensoria.einsum import einsum, einsum_path
from tensoria.indices import Index, indices
from tensoria.making import asarray, levi_civita, levi_civita_symbol, tensor
from tensoria.modules import namespace
from tensoria.namespace import fft, linalg
from tensoria.namespace.activation import (
    relu,
    softmax,
)
from tensoria.namespace.constants import e, inf, nan, newaxis, pi
from tensoria.namespace.creation import (
    arange,
    empty,
    empty_like,
    eye,
    from_dlpack,
    full,
    full_like,
    linspace,
    meshgrid,
    ones,
    ones_like,
    tril,
    triu,
    zeros,
    zeros_like,
)
from tensoria.namespace.data_types import (
    astype,
    can_cast,
    finfo,
    iinfo,
    isdtype,
    result_type,
)
from tensoria.namespace.elementwise import (
    abs,
    acos,
    acosh,
    add,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    bitwise_and,
    bitwise_invert,
    bitwise_left_shift,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
    ceil,
    clip,
    conj,
    copysign,
    cos,
    cosh,
    divide,
    equal,
    exp,
    expm1,
    floor,
    floor_divide,
    greater,
    greater_equal,
    hypot,
    imag,
    isfinite,
    isinf,
    isnan,
    less,
    less_equal,
    log,
    log1p,
    log2,
    log10,
    logaddexp,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    maximum,
    minimum,
    multiply,
    negative,
    nextafter,
    not_equal,
    positive,
    pow,
    real,
    reciprocal,
    remainder,
    round,
    sign,
    signbit,
    sin,
    sinh,
    sqrt,
    square,
    subtract,
    tan,
    tanh,
    trunc,
    where,
)
from tensoria.namespace.indexing import (
    take,
    take_along_axis,
)
from tensoria.namespace.linear_algebra import (
    matmul,
    matrix_transpose,
    tensordot,
    vecdot,
)
from tensoria.namespace.manipulation import (
    broadcast_arrays,
    broadcast_shapes,
    broadcast_to,
    concat,
    expand_dims,
    flip,
    moveaxis,
    permute_dims,
    repeat,
    reshape,
    roll,
    squeeze,
    stack,
    tile,
    transpose,
    unstack,
)
from tensoria.namespace.searching import (
    argmax,
    argmin,
    count_nonzero,
    nonzero,
    searchsorted,
)
from tensoria.namespace.sets import (
    isin,
    unique_all,
    unique_counts,
    unique_inverse,
    unique_values,
)
from tensoria.namespace.sorting import (
    argsort,
    sort,
)
from tensoria.namespace.statistical import (
    cumulative_prod,
    cumulative_sum,
    max,
    mean,
    min,
    prod,
    std,
    sum,
    var,
)
from tensoria.namespace.utility import (
    all,
    any,
    diff,
)
from tensoria.registration import register as _register
from tensoria.spaces import Basis, ProductSpace, Space
from tensoria.tensor import Tensor

if TYPE_CHECKING:
    from tensoria import limits as limits
    from tensoria import mup as mup
    from tensoria import random
    from tensoria.algebra.exterior import hodge
    from tensoria.algebra.factorisations import QR, SVD, Eig, EigH, Polar, eig, eigh, eigvals, polar, qr, svd
    from tensoria.algebra.forms import det, interior, wedge
    from tensoria.calculus.connection import Connection
    from tensoria.calculus.covariant import covariant_derivative, divergence, laplace_beltrami
    from tensoria.calculus.curvature import (
        Curvature,
        curvature,
        einstein,
        kretschmann,
        ricci,
        riemann,
        scalar_curvature,
        weyl,
    )
    from tensoria.calculus.exterior import codifferential, exterior_derivative, laplace_de_rham, pullback, pushforward
    from tensoria.calculus.fields import from_components
    from tensoria.calculus.geodesics import Geodesic, geodesic, parallel_transport
    from tensoria.calculus.gradient import grad, value_and_grad
    from tensoria.calculus.jacobian import hessian, jacobian
    from tensoria.calculus.lie import lie_derivative
    from tensoria.calculus.lifting import engine
    from tensoria.calculus.mapping import vmap
    from tensoria.calculus.metric_field import christoffel
    from tensoria.calculus.products import jvp, vjp
    from tensoria.decompositions.cp import CP, cp
    from tensoria.decompositions.products import hadamard, khatri_rao, kronecker
    from tensoria.decompositions.tensor_train import TensorTrain, tensor_train
    from tensoria.decompositions.tucker import Tucker, tucker
    from tensoria.decompositions.unfolding import fold, mode_product, unfold
    from tensoria.porting.lowering import lowering
    from tensoria.porting.models import coverage, port
    from tensoria.porting.parity import parity
    from tensoria.programs.control import cond, scan, while_loop
    from tensoria.programs.dimensions import dim
    from tensoria.programs.program import Program, load
    from tensoria.programs.trace import trace

__version__ = "0.1.0"

LATER: Final = {
    "algebra.exterior": "hodge",
    "algebra.factorisations": "QR SVD Eig EigH Polar eig eigh eigvals polar qr svd",
    "algebra.forms": "det interior wedge",
    "calculus.connection": "Connection",
    "calculus.covariant": "covariant_derivative divergence laplace_beltrami",
    "calculus.curvature": "Curvature curvature einstein kretschmann ricci riemann scalar_curvature weyl",
    "calculus.exterior": "codifferential exterior_derivative laplace_de_rham pullback pushforward",
    "calculus.fields": "from_components",
    "calculus.geodesics": "Geodesic geodesic parallel_transport",
    "calculus.gradient": "grad value_and_grad",
    "calculus.jacobian": "hessian jacobian",
    "calculus.lie": "lie_derivative",
    "calculus.lifting": "engine",
    "calculus.mapping": "vmap",
    "calculus.metric_field": "christoffel",
    "calculus.products": "jvp vjp",
    "decompositions.cp": "CP cp",
    "decompositions.products": "hadamard khatri_rao kronecker",
    "decompositions.tensor_train": "TensorTrain tensor_train",
    "decompositions.tucker": "Tucker tucker",
    "decompositions.unfolding": "fold mode_product unfold",
    "porting.lowering": "lowering",
    "porting.models": "coverage port",
    "porting.parity": "parity",
    "programs.control": "cond scan while_loop",
    "programs.dimensions": "dim",
    "programs.program": "Program load",
    "programs.trace": "trace",
}
"""The modules of the upper floors, and what is taken from them."""
_module_of = {name: module for module, names in LATER.items() for name in names.split()}


FLOORS: Final = ("limits", "mup", "random")
"""Packages that are reached by their name, `tn.random.normal`, and imported then."""


def __getattr__(name: str) -> Any:
    if name in FLOORS:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _module_of:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_module_of[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_module_of, *FLOORS})


_register()

__all__ = [
    "CP",
    "QR",
    "SVD",
    "Basis",
    "Connection",
    "Curvature",
    "DType",
    "Eig",
    "EigH",
    "Geodesic",
    "Index",
    "Polar",
    "ProductSpace",
    "Program",
    "Space",
    "Tensor",
    "TensorTrain",
    "Tucker",
    "__version__",
    "abs",
    "acos",
    "acosh",
    "add",
    "all",
    "any",
    "arange",
    "argmax",
    "argmin",
    "argsort",
    "asarray",
    "asin",
    "asinh",
    "astype",
    "atan",
    "atan2",
    "atanh",
    "available",
    "bfloat16",
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "bool",
    "broadcast_arrays",
    "broadcast_shapes",
    "broadcast_to",
    "can_cast",
    "ceil",
    "christoffel",
    "clip",
    "codifferential",
    "complex64",
    "complex128",
    "concat",
    "cond",
    "conj",
    "copysign",
    "cos",
    "cosh",
    "count_nonzero",
    "covariant_derivative",
    "coverage",
    "cp",
    "cumulative_prod",
    "cumulative_sum",
    "curvature",
    "det",
    "diff",
    "dim",
    "divergence",
    "divide",
    "dtype",
    "e",
    "eig",
    "eigh",
    "eigvals",
    "einstein",
    "einsum",
    "einsum_path",
    "empty",
    "empty_like",
    "engine",
    "equal",
    "errors",
    "exp",
    "expand_dims",
    "expm1",
    "exterior_derivative",
    "eye",
    "fft",
    "finfo",
    "flip",
    "float16",
    "float32",
    "float64",
    "floor",
    "floor_divide",
    "fold",
    "from_components",
    "from_dlpack",
    "full",
    "full_like",
    "geodesic",
    "grad",
    "greater",
    "greater_equal",
    "hadamard",
    "hessian",
    "hodge",
    "hypot",
    "iinfo",
    "imag",
    "indices",
    "inf",
    "inner",
    "int8",
    "int16",
    "int32",
    "int64",
    "interior",
    "isdtype",
    "isfinite",
    "isin",
    "isinf",
    "isnan",
    "jacobian",
    "jvp",
    "khatri_rao",
    "kretschmann",
    "kronecker",
    "laplace_beltrami",
    "laplace_de_rham",
    "less",
    "less_equal",
    "levi_civita",
    "levi_civita_symbol",
    "lie_derivative",
    "linalg",
    "linspace",
    "load",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "lowering",
    "matmul",
    "matrix_transpose",
    "max",
    "maximum",
    "mean",
    "meshgrid",
    "min",
    "minimum",
    "mode_product",
    "moveaxis",
    "multiply",
    "namespace",
    "nan",
    "negative",
    "newaxis",
    "nextafter",
    "nonzero",
    "not_equal",
    "ones",
    "ones_like",
    "parallel_transport",
    "parity",
    "permute_dims",
    "pi",
    "polar",
    "port",
    "positive",
    "pow",
    "prod",
    "pullback",
    "pushforward",
    "qr",
    "random",
    "real",
    "rearrange",
    "reciprocal",
    "reduce",
    "relu",
    "remainder",
    "repeat",
    "reshape",
    "result_type",
    "ricci",
    "riemann",
    "roll",
    "round",
    "scalar_curvature",
    "scan",
    "searchsorted",
    "sign",
    "signbit",
    "sin",
    "sinh",
    "softmax",
    "sort",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "subtract",
    "sum",
    "svd",
    "take",
    "take_along_axis",
    "tan",
    "tanh",
    "tensor",
    "tensor_train",
    "tensordot",
    "tile",
    "trace",
    "transpose",
    "tril",
    "triu",
    "trunc",
    "tucker",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "unfold",
    "unique_all",
    "unique_counts",
    "unique_inverse",
    "unique_values",
    "unstack",
    "use",
    "value_and_grad",
    "var",
    "vecdot",
    "vjp",
    "vmap",
    "wedge",
    "weyl",
    "where",
    "while_loop",
    "zeros",
    "zeros_like",
]
