"""How programs are written in PyTorch."""

from __future__ import annotations

from tensoria.dtypes import DType
from tensoria.programs.dialects import Call, ClassStyle, Dialect, Row, kernel, number, rounding
from tensoria.programs.operations.indexing import Cut
from tensoria.programs.types import Literal
from tensoria_torch import composed, neural
from tensoria_torch.memory import orders
from tensoria_torch.neural import KERNELS, NEEDS

__all__ = ["DIALECT"]

BINARY = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "equal": "==", "not_equal": "!=", "less": "<",
    "less_equal": "<=", "greater": ">", "greater_equal": ">=", "bitwise_and": "&", "bitwise_or": "|",
    "bitwise_xor": "^", "bitwise_left_shift": "<<", "bitwise_right_shift": ">>", "pow": "**", "matmul": "@",
}  # fmt: skip
"""Operations that are operators."""
SAME = (
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "exp", "expm1", "floor",
    "isfinite", "isinf", "isnan", "log", "log10", "log1p", "log2", "logical_not", "reciprocal", "round", "signbit",
    "sin", "sinh", "sqrt", "square", "tan", "tanh", "trunc", "atan2", "copysign", "hypot", "logaddexp", "logical_and",
    "logical_or", "logical_xor", "maximum", "minimum", "nextafter", "real", "imag", "where",
)  # fmt: skip
"""Functions of the same name."""


def _reduction(template: str) -> Row:
    def row(call: Call) -> str:
        keep = ", keepdim=True" if call.of("keepdims") else ""
        return template.format(*call.typed, keep=keep, **{**call.attributes, "axes": call.axes})

    return row


def _sum(call: Call) -> str:
    dtype = call.writer.attribute(call.result.dtype)
    keep = ", keepdim=True" if call.of("keepdims") else ""
    short = f", dtype={dtype}" if _short(call.result.dtype) else ""
    return f"torch.sum({call.typed[0]}, dim={call.axes}{short}{keep})"


def _sign(call: Call) -> str:
    if call.types[0].dtype.kind == "float":
        return f"{call.writer.need('sign')}({call.typed[0]})"
    return f"torch.sgn({call.typed[0]})"


def _short(of: DType) -> bool:
    """Whether PyTorch would choose a longer data type for a sum."""
    return of.kind in ("int", "uint", "bool") and of.name != "int64"


def _over(row: Row) -> Row:
    """Over no axes nothing is reduced; PyTorch would reduce all of them."""
    return lambda call: call.typed[0] if not call.of("axes") else row(call) if callable(row) else row


def _prod(call: Call) -> str:
    axes = call.of("axes")
    if len(axes) == 1:
        short = f", dtype={call.writer.attribute(call.result.dtype)}" if _short(call.result.dtype) else ""
        return f"torch.prod({call.typed[0]}, dim={axes[0]}, keepdim={call.of('keepdims')}{short})"
    return f"{call.writer.need('prod')}({call.typed[0]}, {axes}, {call.of('keepdims')})"


def _running(name: str, start: int) -> Row:
    def row(call: Call) -> str:
        x, axis, dtype = call.typed[0], call.of("axis"), call.result.dtype
        if call.of("include_initial"):
            text = f"{call.writer.need('cumulative')}({name!r}, {x}, {axis}, {start})"
        else:
            text = f"torch.{name}({x}, dim={axis})"
        return f"{text}.to({call.writer.attribute(dtype)})" if _short(dtype) else text

    return row


def _getitem(call: Call) -> str:
    """PyTorch has no negative steps: the same components forwards, then reversed."""
    key, flips = _forward(call)
    text = call.typed[0]
    if any(part != Cut() for part in key):
        text = f"{text}[{_inside(call, key, _positions(call, 1))}]"
    return f"torch.flip({text}, {flips})" if flips else text


def _positions(call: Call, first: int) -> tuple[str, ...]:
    """The operands from one on as positions: in int64, because PyTorch takes uint8 for a mask and refuses others."""
    pairs = zip(call.typed[first:], call.types[first:], strict=True)
    return tuple(text if of.dtype.name == "int64" else f"{text}.to(torch.int64)" for text, of in pairs)


def _setitem(call: Call) -> str:
    key, flips = _forward(call)
    inside = _inside(call, key, _positions(call, 2))
    tupled = "(" + ", ".join(_slice(part) for part in _split(inside)) + ",)"
    if flips:
        need = call.writer.need("assigned_reversed")
        return f"{need}({call.typed[0]}, {tupled}, {flips}, {call.typed[1]})"
    return f"{call.writer.need('assigned')}({call.typed[0]}, {tupled}, {call.texts[1]})"


def _add_at(call: Call) -> str:
    key, flips = _forward(call)
    places = f"{call.writer.need('places')}({call.typed[0]})"
    if any(part != Cut() for part in key):
        places += f"[{_inside(call, key, _positions(call, 2))}]"
    places = f"torch.flip({places}, {flips})" if flips else places
    return f"{call.writer.need('added')}({call.typed[0]}, {places}, {call.typed[1]})"


def _split(inside: str) -> list[str]:
    return inside.split(", ")


def _slice(part: str) -> str:
    if ":" not in part:
        return part
    ends = [end or "None" for end in part.split(":")]
    return f"slice({', '.join(ends)})"


def _inside(call: Call, key: tuple[object, ...], positions: tuple[str, ...]) -> str:
    return ", ".join(call.writer.attribute(part, positions) for part in key)


def _forward(call: Call) -> tuple[tuple[object, ...], list[int]]:
    """The key with positive steps, and the axes of the result to be reversed."""
    key, flips, shape = [], [], iter(call.types[0].shape)
    axis = 0
    for part in call.of("key"):
        if part is None:
            key.append(part)
            axis += 1
            continue
        size = next(shape)
        if not isinstance(part, Cut):
            key.append(part)
            continue
        if part.step < 0:
            length = part.length(size)
            start = size - 1 if part.start is None else part.start
            if isinstance(start, int) and start < 0:
                start = size + start
            if isinstance(start, int) and isinstance(size, int):
                start = min(start, size - 1)
            first = start + (length - 1) * part.step
            part = Cut(first, start + 1, -part.step)
            flips.append(axis)
        key.append(part)
        axis += 1
    return tuple(key), flips


def _round(call: Call) -> str:
    x = call.typed[0]
    if call.result.dtype.kind == "complex":
        return f"torch.complex(torch.round({x}.real), torch.round({x}.imag))"
    return f"torch.round({x})"


def _whole(name: str) -> Row:
    """Functions that PyTorch has for floating-point numbers only; of whole numbers they are the identity."""
    return lambda call: call.typed[0] if call.result.dtype.kind in ("int", "uint") else f"torch.{name}({call.typed[0]})"


def _conj(call: Call) -> str:
    return f"torch.conj_physical({call.typed[0]})" if call.result.dtype.kind == "complex" else call.typed[0]


def _real(call: Call) -> str:
    return f"torch.real({call.typed[0]})" if call.types[0].dtype.kind == "complex" else call.typed[0]


def _minmax(name: str) -> Row:
    def row(call: Call) -> str:
        keep = ", keepdim=True" if call.of("keepdims") else ""
        return f"torch.{name}({call.typed[0]}, dim={call.axes}{keep})"

    return row


def _logical(name: str) -> Row:
    def row(call: Call) -> str:
        keep = ", keepdim=True" if call.of("keepdims") else ""
        x = call.typed[0] if call.types[0].dtype.kind == "bool" else f"{call.typed[0]} != 0"
        if not call.of("axes"):
            return x
        return f"torch.{name}({x}, dim={call.axes}{keep})"

    return row


def _take(call: Call) -> str:
    """A subscript, which counts negative positions from the end as `index_select` does not."""
    return f"{call.typed[0]}[{':, ' * call.of('axis')}{_positions(call, 1)[0]}]"


def _solve(call: Call) -> str:
    a, b = call.typed
    if call.types[1].ndim == 1 and call.types[0].ndim > 2:
        return f"torch.linalg.solve({a}, {b}[:, None])[..., 0]"
    return f"torch.linalg.solve({a}, {b})"


def _matrix_rank(call: Call) -> str:
    return f"torch.linalg.matrix_rank({call.typed[0]}, rtol={_rtol(call)})"


def _pinv(call: Call) -> str:
    return f"torch.linalg.pinv({call.typed[0]}, rtol={_rtol(call)})"


def _rtol(call: Call) -> str:
    if call.of("rtol") is not None:
        return call.attributes["rtol"]
    return f"max({call.typed[0]}.shape[-2:]) * torch.finfo({call.writer.attribute(call.types[0].dtype)}).eps"


def _full(call: Call) -> str:
    (value,), shape = call.instruction.operands, call.attributes["shape"]
    if isinstance(value, Literal):
        dtype = call.writer.attribute(value.dtype)
        return f"torch.full({shape}, {number(value.number)}, dtype={dtype}{call.writer.placed})"
    return f"{call.typed[0]}.expand({shape})"


def _limited(name: str, limit: str) -> Row:
    """The larger or smaller one; beside a number PyTorch calls it a clamp."""

    def row(call: Call) -> str:
        for x, other in ((0, 1), (1, 0)):
            if call.texts[other] != call.typed[other]:
                return f"{call.texts[x]}.clamp({limit}={call.texts[other]})"
        return f"torch.{name}({call.typed[0]}, {call.typed[1]})"

    return row


def _eye(call: Call) -> str:
    k, rows, columns = (call.attributes[name] for name in ("k", "rows", "columns"))
    dtype = call.attributes["dtype"]
    if call.of("k") == 0:
        return f"torch.eye({rows}, {columns}, dtype={dtype}{call.writer.placed})"
    # Row i has its one where column - i is k.
    placed = call.writer.placed
    return f"(torch.arange({columns}{placed}) - torch.arange({rows}{placed})[:, None] == {k}).to({dtype})"


def _arange(call: Call) -> str:
    start, stop, step = (call.attributes[name] for name in ("start", "stop", "step"))
    placed = call.writer.placed
    if call.of("step") > 0:
        return f"torch.arange({start}, {stop}, {step}, dtype={call.attributes['dtype']}{placed})"
    count = call.writer.size(call.result.shape[0])
    return f"{start} + {step} * torch.arange({count}, dtype={call.attributes['dtype']}{placed})"


def _permute(call: Call) -> str:
    axes = call.of("axes")
    if axes == (1, 0):
        return f"{call.typed[0]}.T"
    if len(axes) > 1 and axes == (*range(len(axes) - 2), len(axes) - 1, len(axes) - 2):
        return f"{call.typed[0]}.mT"
    return f"{call.typed[0]}.permute({call.spread('axes')})"


def _expand(call: Call) -> str:
    text = call.typed[0]
    for axis in call.of("axes"):
        text = f"{text}.unsqueeze({axis})"
    return text


def _dtype(of: DType) -> str:
    return f"torch.{of.name}"


def _argument(name: str) -> Row:
    def row(call: Call) -> str:
        return f"torch.{name}({call.typed[0]}, dim={call.attributes['axis']}, keepdim={call.attributes['keepdims']})"

    return row


def _order(name: str, template: str) -> Row:
    def row(call: Call) -> str:
        axis, down = call.attributes["axis"], call.attributes["descending"]
        return template.format(call.typed[0], axis=axis, down=down)

    return row


ROWS: dict[str, Row] = {
    **{name: f"{{0}} {sign} {{1}}" for name, sign in BINARY.items()},
    **{name: f"torch.{name}({{all}})" for name in SAME},
    **{name: _whole(name) for name in ("ceil", "floor", "trunc")},
    "round": _round, "conj": _conj, "real": _real, "sign": _sign, "negative": "-{0}",
    "bitwise_invert": "~{0}", "astype": "{0}.to({dtype})", "stop_gradient": "{0}.detach()",
    "sum": _over(_sum), "prod": _prod, "mean": _over(_reduction("torch.mean({0}, dim={axes}{keep})")),
    "max": _over(_minmax("amax")), "min": _over(_minmax("amin")),
    "var": _reduction("torch.var({0}, dim={axes}, correction={correction}{keep})"),
    "all": _logical("all"), "any": _logical("any"),
    "count_nonzero": _reduction("torch.sum({0} != 0, dim={axes}{keep})"),
    "floor_divide": rounding("{0} // {1}", "floor_divide", ("int", "uint", "float")),
    "remainder": rounding("{0} % {1}", "remainder", ("int", "uint")),
    "argmax": _argument("argmax"), "argmin": _argument("argmin"),
    "cumulative_sum": _running("cumsum", 0), "cumulative_prod": _running("cumprod", 1),
    "sort": _order("sort", "torch.sort({0}, dim={axis}, descending={down}, stable=True).values"),
    "argsort": _order("argsort", "torch.argsort({0}, dim={axis}, descending={down}, stable=True)"),
    "searchsorted": "torch.searchsorted({0}, {1}, side={side})",
    "reshape": lambda call: f"{call.typed[0]}.reshape({call.spread('shape')})", "permute_dims": _permute,
    "expand_dims": _expand,
    "squeeze": "{0}.squeeze({axes})", "broadcast_to": "{0}.expand({shape})",
    "concat": "torch.cat([{all}], dim={axis})", "stack": "torch.stack([{all}], dim={axis})",
    "flip": "torch.flip({0}, {axes})", "roll": "torch.roll({0}, {shifts}, {axes})",
    "repeat": "torch.repeat_interleave({0}, {repeats}, dim={axis})", "tile": "{0}.repeat({repetitions})",
    "tril": "torch.tril({0}, {k})", "triu": "torch.triu({0}, {k})",
    "getitem": _getitem, "setitem": _setitem, "add_at": _add_at,
    "take": _take, "take_along_axis": lambda call: (
        f"torch.take_along_dim({call.typed[0]}, {_positions(call, 1)[0]}, {call.of('axis')})"
    ),
    "full": _full, "maximum": _limited("maximum", "min"), "minimum": _limited("minimum", "max"),
    "arange": _arange, "eye": _eye, "size": "torch.tensor({size}, dtype=torch.int64{placed})",
    **{f"linalg.{name}": f"torch.linalg.{name}({{all}})" for name in (
        "det", "eigh", "eigvalsh", "inv", "slogdet", "svdvals",
    )},
    "linalg.eig": "torch.linalg.eig({0})", "linalg.eigvals": "torch.linalg.eigvals({0})",
    "linalg.cholesky": "torch.linalg.cholesky({0}, upper={upper})",
    "linalg.qr": "torch.linalg.qr({0}, mode={mode})",
    "linalg.svd": "torch.linalg.svd({0}, full_matrices={full_matrices})",
    "linalg.solve": _solve, "linalg.pinv": _pinv, "linalg.matrix_rank": _matrix_rank,
    "linalg.diagonal": "torch.diagonal({0}, offset={offset}, dim1=-2, dim2=-1)",
    "linalg.cross": "torch.linalg.cross(*torch.broadcast_tensors({0}, {1}), dim={axis})",
    "linalg.vector_norm": "torch.linalg.vector_norm({0}, ord={ord}, dim={axes}, keepdim={keepdims})",
    "linalg.matrix_norm": "torch.linalg.matrix_norm({0}, ord={ord}, keepdim={keepdims})",
    "linalg.matrix_power": "torch.linalg.matrix_power({0}, {n})",
    **{f"fft.{name}": f"torch.fft.{name}({{0}}, n={{n}}, dim={{axis}}, norm={{norm}})" for name in (
        "fft", "ifft", "rfft", "irfft", "hfft", "ihfft",
    )},
}  # fmt: skip

ROWS.update({name: kernel(function, *NEEDS.get(name, ())) for name, function in KERNELS.items()})

DIALECT = Dialect(
    imports="import torch",
    rows=ROWS,
    scalars=frozenset({*BINARY, "floor_divide", "remainder", "where", "setitem", "maximum", "minimum"} - {"matmul"}),
    dtype=_dtype,
    size="{0}.shape[{axis}]",
    literal="torch.tensor({number}, dtype={dtype}{placed})",
    array="torch.tensor({array}, dtype={dtype}, device=device)",
    device="{0}.device",
    prelude={**composed.PRELUDE, **neural.PRELUDE},
    stores=False,
    orders=orders,
    permuted=".permute({axes})",
    classes=ClassStyle(
        base="torch.nn.Module",
        method="forward",
        parameter="self.{name} = torch.nn.Parameter(torch.tensor({array}{layout}, dtype={dtype}){back})",
        buffer='self.register_buffer("{name}", torch.tensor({array}{layout}, dtype={dtype}){back})',
        constant='self.register_buffer("{name}", torch.tensor({array}, dtype={dtype}), persistent=False)',
        several="torch.nn.ModuleList({items})",
        assign="{0}.copy_({value}.detach())",
    ),
)
"""PyTorch's Python."""
