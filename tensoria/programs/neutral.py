"""How programs are written over tensoria itself: source that runs on every backend, labelled or not."""

from __future__ import annotations

from tensoria.dtypes import DType
from tensoria.programs.dialects import Call, ClassStyle, Dialect, Row

__all__ = ["DIALECT"]

BINARY = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "floor_divide": "//", "remainder": "%", "pow": "**",
    "equal": "==", "not_equal": "!=", "less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=",
    "bitwise_and": "&", "bitwise_or": "|", "bitwise_xor": "^", "bitwise_left_shift": "<<",
    "bitwise_right_shift": ">>", "matmul": "@",
}  # fmt: skip
SAME = (
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "conj", "cos", "cosh", "exp", "expm1", "floor",
    "imag", "isfinite", "isinf", "isnan", "log", "log10", "log1p", "log2", "logical_not", "real", "reciprocal",
    "round", "sign", "signbit", "sin", "sinh", "sqrt", "square", "tan", "tanh", "trunc", "atan2", "copysign", "hypot",
    "logaddexp", "logical_and", "logical_or", "logical_xor", "maximum", "minimum", "nextafter", "where", "relu",
)  # fmt: skip
"""Functions of the same name and arguments."""
OVER = ("max", "min", "mean", "all", "any", "count_nonzero")
LINEAR = ("det", "eig", "eigvals", "eigh", "eigvalsh", "inv", "slogdet", "svdvals", "solve")

PRELUDE = {
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
    numbers = tn.arange(x.size, backend=x.backend)
    places = tn.reshape(numbers, x.shape)[key]
    value = tn.reshape(tn.broadcast_to(value, places.shape), (-1,))
    hit = tn.reshape(places, (1, -1)) == tn.reshape(numbers, (-1, 1))
    return x + tn.reshape(tn.sum(tn.where(hit, value, tn.zeros_like(value)), axis=1, dtype=x.dtype), x.shape)
''',
}


def _reduction(name: str, more: str = "") -> Row:
    def row(call: Call) -> str:
        keep = ", keepdims=True" if call.of("keepdims") else ""
        own = f", dtype={call.writer.attribute(call.result.dtype)}" if name in ("sum", "prod") else ""
        if not call.of("axes") and name in ("sum", "prod", "max", "min", "mean"):
            return call.typed[0]
        return f"tn.{name}({call.typed[0]}, axis={call.axes}{own}{more.format(**call.attributes)}{keep})"

    return row


def _running(name: str) -> Row:
    def row(call: Call) -> str:
        start = ", include_initial=True" if call.of("include_initial") else ""
        dtype = call.writer.attribute(call.result.dtype)
        return f"tn.{name}({call.typed[0]}, axis={call.of('axis')}, dtype={dtype}{start})"

    return row


def _subscript(call: Call) -> str:
    return f"[{call.attributes['key'][1:-1].rstrip(',') or '...'}]"


def _key(call: Call) -> str:
    parts = (_slice(x) for x in call.attributes["key"][1:-1].rstrip(",").split(", "))
    return "(" + ", ".join(parts) + ",)" if call.attributes["key"] != "()" else "..."


def _slice(part: str) -> str:
    return f"slice({', '.join(end or 'None' for end in part.split(':'))})" if ":" in part else part


def _needed(name: str) -> Row:
    return lambda call: f"{call.writer.need(name)}({call.typed[0]}, {_key(call)}, {call.typed[1]})"


def _expand(call: Call) -> str:
    text = call.typed[0]
    for axis in call.of("axes"):
        text = f"tn.expand_dims({text}, axis={axis})"
    return text


def _dtype(of: DType) -> str:
    return "tn.bool" if of.name == "bool" else f"tn.{of.name}"


ROWS: dict[str, Row] = {
    **{name: f"{{0}} {sign} {{1}}" for name, sign in BINARY.items()},
    **{name: f"tn.{name}({{all}})" for name in SAME},
    **{name: _reduction(name) for name in (*OVER, "sum", "prod")},
    "var": _reduction("var", ", correction={correction}"),
    "negative": "-{0}", "bitwise_invert": "~{0}", "astype": "tn.astype({0}, {dtype})", "stop_gradient": "{0}.detach()",
    "softmax": "tn.softmax({0}, axis={axis})",
    "argmax": "tn.argmax({0}, axis={axis}, keepdims={keepdims})",
    "argmin": "tn.argmin({0}, axis={axis}, keepdims={keepdims})",
    "cumulative_sum": _running("cumulative_sum"), "cumulative_prod": _running("cumulative_prod"),
    "sort": "tn.sort({0}, axis={axis}, descending={descending})",
    "argsort": "tn.argsort({0}, axis={axis}, descending={descending})",
    "searchsorted": "tn.searchsorted({0}, {1}, side={side})",
    "reshape": "tn.reshape({0}, {shape})", "permute_dims": "tn.permute_dims({0}, {axes})", "expand_dims": _expand,
    "squeeze": "tn.squeeze({0}, axis={axes})", "broadcast_to": "tn.broadcast_to({0}, {shape})",
    "concat": "tn.concat([{all}], axis={axis})", "stack": "tn.stack([{all}], axis={axis})",
    "flip": "tn.flip({0}, axis={axes})", "roll": "tn.roll({0}, {shifts}, axis={axes})",
    "repeat": "tn.repeat({0}, {repeats}, axis={axis})", "tile": "tn.tile({0}, {repetitions})",
    "tril": "tn.tril({0}, k={k})", "triu": "tn.triu({0}, k={k})",
    "getitem": lambda call: f"{call.typed[0]}{_subscript(call)}",
    "setitem": _needed("assigned"), "add_at": _needed("added"),
    "take": "tn.take({0}, {1}, axis={axis})", "take_along_axis": "tn.take_along_axis({0}, {1}, axis={axis})",
    "full": "tn.broadcast_to({0}, {shape})",
    "arange": "tn.arange({start}, {stop}, {step}, dtype={dtype}{placed})",
    "eye": "tn.eye({rows}, {columns}, k={k}, dtype={dtype}{placed})",
    "size": "tn.asarray({size}, dtype=tn.int64{placed})",
    **{f"linalg.{name}": f"tn.linalg.{name}({{all}})" for name in LINEAR},
    "linalg.cholesky": "tn.linalg.cholesky({0}, upper={upper})",
    "linalg.pinv": "tn.linalg.pinv({0}, rtol={rtol})", "linalg.matrix_rank": "tn.linalg.matrix_rank({0}, rtol={rtol})",
    "linalg.qr": "tn.linalg.qr({0}, mode={mode})", "linalg.svd": "tn.linalg.svd({0}, full_matrices={full_matrices})",
    "linalg.diagonal": "tn.linalg.diagonal({0}, offset={offset})",
    "linalg.cross": "tn.linalg.cross({0}, {1}, axis={axis})",
    "linalg.vector_norm": "tn.linalg.vector_norm({0}, axis={axes}, keepdims={keepdims}, ord={ord})",
    "linalg.matrix_norm": "tn.linalg.matrix_norm({0}, keepdims={keepdims}, ord={ord})",
    "linalg.matrix_power": "tn.linalg.matrix_power({0}, {n})",
    **{f"fft.{name}": f"tn.fft.{name}({{0}}, n={{n}}, axis={{axis}}, norm={{norm}})" for name in (
        "fft", "ifft", "rfft", "irfft", "hfft", "ihfft",
    )},
}  # fmt: skip

DIALECT = Dialect(
    imports="import tensoria as tn",
    rows=ROWS,
    scalars=frozenset({*BINARY, "maximum", "minimum", "where"} - {"matmul"}),
    dtype=_dtype,
    size="{0}.shape[{axis}]",
    literal="tn.asarray({number}, dtype={dtype}{placed})",
    array="tn.asarray({array}, dtype={dtype})",
    device="{0}.backend",
    placing=", backend={device}",
    prelude=PRELUDE,
    stores=False,
    classes=ClassStyle(
        base="",
        method="__call__",
        parameter="self.{name} = tn.asarray({array}{layout})",
        buffer="self.{name} = tn.asarray({array}{layout})",
        constant="self.{name} = tn.asarray({array})",
        several="{items}",
        assign="{0} = {value}",
    ),
)
"""tensoria's own Python; parameters are on the backend that is the current one when they are loaded."""
