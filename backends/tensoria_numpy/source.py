"""How programs are written in NumPy."""

from __future__ import annotations

from tensoria.dtypes import DType
from tensoria.programs.dialects import Call, ClassStyle, Dialect, Row, kernel, rounding
from tensoria_numpy import neural
from tensoria_numpy.neural import KERNELS, NEEDS

__all__ = ["DIALECT"]

BINARY = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "remainder": "%", "pow": "**",
    "equal": "==", "not_equal": "!=", "less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=",
    "bitwise_and": "&", "bitwise_or": "|", "bitwise_xor": "^", "bitwise_left_shift": "<<",
    "bitwise_right_shift": ">>", "matmul": "@",
}  # fmt: skip
"""Operations that are operators."""
SAME = (
    "abs", "cos", "cosh", "exp", "expm1", "floor", "isfinite", "isinf", "isnan", "log", "log10", "log1p", "log2",
    "logical_not", "conj", "reciprocal", "round", "sign", "signbit", "sin", "sinh", "sqrt", "square", "tan", "tanh",
    "trunc", "ceil", "copysign", "hypot", "logaddexp", "logical_and", "logical_or", "logical_xor", "maximum",
    "minimum", "nextafter", "real", "imag", "where",
)  # fmt: skip
"""Functions of the same name."""
RENAMED = {
    "acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh", "atan": "arctan", "atanh": "arctanh",
    "atan2": "arctan2", "bitwise_invert": "invert",
}  # fmt: skip
REDUCTIONS = ("sum", "prod", "max", "min", "mean", "all", "any")

PRELUDE = {
    "sort": '''
def sort(x, axis, descending):
    """Components in order along an axis, equal ones in the order in which they are."""
    x = np.sort(x, axis=axis, stable=True)
    return np.flip(x, axis=axis) if descending else x
''',
    "argsort": '''
def argsort(x, axis, descending):
    """Positions that bring an axis in order, equal components in the order in which they are."""
    if not descending:
        return np.argsort(x, axis=axis, stable=True)
    # Reversed twice, so that equal components keep their order.
    order = np.flip(np.argsort(np.flip(x, axis=axis), axis=axis, stable=True), axis=axis)
    return x.shape[axis] - 1 - order
''',
    "floor_divide": '''
def floor_divide(x, y):
    """The quotient of real numbers rounded down, that of infinities too (Python's is NaN)."""
    return np.where(np.isinf(x) | np.isinf(y), np.floor(x / y), x // y)
''',
    "cumulative": '''
def cumulative(function, x, axis, start):
    """Sums or products up to each component, with the empty one first."""
    first = np.full((*x.shape[:axis], 1, *x.shape[axis + 1 :]), start, dtype=x.dtype)
    return function(np.concatenate([first, x], axis=axis), axis=axis, dtype=x.dtype)
''',
    "assigned": '''
def assigned(x, key, value):
    """A copy of x with a value where a subscript selects."""
    x = x.copy()
    x[key] = value
    return x
''',
    "added": '''
def added(x, key, value):
    """A copy of x with a value added where a subscript selects, as often as it does."""
    x = x.copy()
    np.add.at(x, key, value)
    return x
''',
    "pinv": '''
def pinv(x, rtol):
    """Pseudo-inverse, without the singular values below rtol times the largest one."""
    rtol = max(x.shape[-2:]) * np.finfo(x.dtype).eps if rtol is None else rtol
    return np.linalg.pinv(x, rtol=rtol)
''',
    "matrix_rank": '''
def matrix_rank(x, rtol):
    """Number of singular values above rtol times the largest one."""
    s = np.linalg.svdvals(x)
    rtol = max(x.shape[-2:]) * np.finfo(x.dtype).eps if rtol is None else rtol
    return np.count_nonzero(s > s.max(axis=-1, keepdims=True) * rtol, axis=-1)
''',
}


def _running(name: str, start: int) -> Row:
    def row(call: Call) -> str:
        if call.of("include_initial"):
            return f"{call.writer.need('cumulative')}(np.{name}, {call.typed[0]}, {call.attributes['axis']}, {start})"
        return f"np.{name}({call.typed[0]}, axis={call.attributes['axis']}, dtype={call.typed[0]}.dtype)"

    return row


def _ordered(name: str) -> Row:
    def row(call: Call) -> str:
        descending = call.attributes["descending"]
        return f"{call.writer.need(name)}({call.typed[0]}, {call.attributes['axis']}, {descending})"

    return row


def _setitem(call: Call) -> str:
    return f"{call.writer.need('assigned')}({call.typed[0]}, np.s_{subscript(call)}, {call.texts[1]})"


def _add_at(call: Call) -> str:
    return f"{call.writer.need('added')}({call.typed[0]}, np.s_{subscript(call)}, {call.texts[1]})"


def subscript(call: Call) -> str:
    """The brackets of a subscript."""
    inside = call.attributes["key"][1:-1].rstrip(",")
    return f"[{inside or '...'}]"


def _needed(name: str, template: str) -> Row:
    def row(call: Call) -> str:
        call.writer.need(name)
        return template.format(*call.typed, **call.attributes)

    return row


def _reduction(name: str) -> Row:
    def row(call: Call) -> str:
        dtype = call.result.dtype
        short = name in ("sum", "prod") and dtype.kind in ("int", "uint") and dtype.itemsize < 8
        more = f", dtype={call.writer.attribute(dtype)}" if short else ""  # NumPy itself would choose a longer one
        keep = ", keepdims=True" if call.of("keepdims") else ""
        return f"np.{name}({call.typed[0]}, axis={call.axes}{more}{keep})"

    return row


def _permute(call: Call) -> str:
    axes = call.of("axes")
    if axes == (1, 0):
        return f"{call.typed[0]}.T"
    if len(axes) > 1 and axes == (*range(len(axes) - 2), len(axes) - 1, len(axes) - 2):
        return f"{call.typed[0]}.mT"
    return f"{call.typed[0]}.transpose({call.spread('axes')})"


def _dtype(of: DType) -> str:
    return "np.bool" if of.name == "bool" else f"np.{of.name}"


ROWS: dict[str, Row] = {
    **{name: f"{{0}} {sign} {{1}}" for name, sign in BINARY.items()},
    **{name: f"np.{name}({{all}})" for name in SAME},
    **{name: f"np.{native}({{all}})" for name, native in RENAMED.items()},
    **{name: _reduction(name) for name in REDUCTIONS},
    "negative": "-{0}", "astype": "{0}.astype({dtype})", "stop_gradient": "{0}",
    "var": "np.var({0}, axis={axes}, ddof={correction}, keepdims={keepdims})",
    "count_nonzero": "np.count_nonzero({0}, axis={axes}, keepdims={keepdims})",
    "floor_divide": rounding("{0} // {1}", "floor_divide", ("float",)),
    "argmax": "np.argmax({0}, axis={axis}, keepdims={keepdims})",
    "argmin": "np.argmin({0}, axis={axis}, keepdims={keepdims})",
    "cumulative_sum": _running("cumsum", 0), "cumulative_prod": _running("cumprod", 1),
    "sort": _ordered("sort"), "argsort": _ordered("argsort"),
    "searchsorted": "np.searchsorted({0}, {1}, side={side})",
    "reshape": lambda call: f"{call.typed[0]}.reshape({call.spread('shape')})", "permute_dims": _permute,
    "expand_dims": "np.expand_dims({0}, {axes})", "squeeze": "np.squeeze({0}, axis={axes})",
    "broadcast_to": "np.broadcast_to({0}, {shape})",
    "concat": "np.concatenate([{all}], axis={axis})", "stack": "np.stack([{all}], axis={axis})",
    "flip": "np.flip({0}, axis={axes})", "roll": "np.roll({0}, {shifts}, axis={axes})",
    "repeat": "np.repeat({0}, {repeats}, axis={axis})", "tile": "np.tile({0}, {repetitions})",
    "tril": "np.tril({0}, k={k})", "triu": "np.triu({0}, k={k})",
    "getitem": lambda call: f"{call.typed[0]}{subscript(call)}", "setitem": _setitem, "add_at": _add_at,
    "take": "np.take({0}, {1}, axis={axis})", "take_along_axis": "np.take_along_axis({0}, {1}, axis={axis})",
    "full": lambda call: f"np.full({call.attributes['shape']}, {call.typed[0]})",
    "arange": "np.arange({start}, {stop}, {step}, dtype={dtype})",
    "eye": "np.eye({rows}, {columns}, k={k}, dtype={dtype})", "size": "np.int64({size})",
    **{f"linalg.{name}": f"np.linalg.{name}({{all}})" for name in (
        "det", "eigh", "eigvalsh", "inv", "slogdet", "svdvals",
    )},
    "linalg.eig": lambda call: f"np.linalg.eig({complexed(call)})",
    "linalg.eigvals": lambda call: f"np.linalg.eigvals({complexed(call)})",
    "linalg.cholesky": "np.linalg.cholesky({0}, upper={upper})",
    "linalg.qr": "np.linalg.qr({0}, mode={mode})", "linalg.svd": "np.linalg.svd({0}, full_matrices={full_matrices})",
    "linalg.solve": lambda call: (
        f"np.linalg.solve({call.typed[0]}, {call.typed[1]})" if call.types[1].ndim > 1 or call.types[0].ndim == 2
        else f"np.linalg.solve({call.typed[0]}, {call.typed[1]}[:, None])[..., 0]"
    ),
    "linalg.pinv": _needed("pinv", "pinv({0}, {rtol})"),
    "linalg.matrix_rank": _needed("matrix_rank", "matrix_rank({0}, {rtol})"),
    "linalg.diagonal": "np.linalg.diagonal({0}, offset={offset})",
    "linalg.cross": "np.linalg.cross({0}, {1}, axis={axis})",
    "linalg.vector_norm": "np.linalg.vector_norm({0}, axis={axes}, keepdims={keepdims}, ord={ord})",
    "linalg.matrix_norm": "np.linalg.matrix_norm({0}, keepdims={keepdims}, ord={ord})",
    "linalg.matrix_power": "np.linalg.matrix_power({0}, {n})",
    **{f"fft.{name}": f"np.fft.{name}({{0}}, n={{n}}, axis={{axis}}, norm={{norm}})" for name in (
        "fft", "ifft", "rfft", "irfft", "hfft", "ihfft",
    )},
}  # fmt: skip


def complexed(call: Call) -> str:
    """The operand in the (complex) data type of the result."""
    return f"{call.typed[0]}.astype({call.writer.attribute(call.result.dtype)})"


ROWS.update({name: kernel(function, *NEEDS.get(name, ())) for name, function in KERNELS.items()})

DIALECT = Dialect(
    imports="import numpy as np",
    rows=ROWS,
    scalars=frozenset({*BINARY, "floor_divide", "maximum", "minimum", "where", "setitem"} - {"matmul"}),
    dtype=_dtype,
    size="{0}.shape[{axis}]",
    literal="{dtype}({number})",
    array="np.asarray({array}, dtype={dtype})",
    prelude={**PRELUDE, **neural.PRELUDE},
    classes=ClassStyle(
        base="",
        method="__call__",
        parameter="self.{name} = {array}{layout}",
        buffer="self.{name} = {array}{layout}.copy()",
        constant="self.{name} = {array}",
        several="{items}",
        assign="{0} = np.asarray({value})",
    ),
)
"""NumPy's Python."""
