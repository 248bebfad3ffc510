"""How programs are written in TensorFlow: eagerly or in a tf.function, whose sizes may be unknown while it traces."""

from __future__ import annotations

from collections.abc import Callable

from tensoria.dtypes import DType
from tensoria.programs.dialects import Call, ClassStyle, Dialect, Row, kernel, number, rounding
from tensoria.programs.operations.indexing import At, Cut
from tensoria.programs.types import Shape
from tensoria_tensorflow import composed, neural
from tensoria_tensorflow.control import CONTROL
from tensoria_tensorflow.images import rows
from tensoria_tensorflow.neural import KERNELS, NEEDS

__all__ = ["DIALECT"]

BINARY = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "equal": "==", "not_equal": "!=",
    "less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=", "bitwise_and": "&", "bitwise_or": "|",
    "bitwise_xor": "^",
}  # fmt: skip
"""Operations that are operators."""
SAME = (
    "acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "exp", "sin", "sinh", "sqrt", "square", "tan",
    "tanh", "logical_not", "logical_and", "logical_or",
)  # fmt: skip
"""Functions of the same name."""
RENAMED = {
    "expm1": "math.expm1", "log": "math.log", "log1p": "math.log1p", "reciprocal": "math.reciprocal",
    "imag": "math.imag", "atan2": "math.atan2", "logical_xor": "math.logical_xor", "nextafter": "math.nextafter",
    "bitwise_left_shift": "bitwise.left_shift", "bitwise_right_shift": "bitwise.right_shift",
    "stop_gradient": "stop_gradient",
}  # fmt: skip
BROADCAST = 5
"""So many axes the elementwise kernels broadcast, when neighbours that broadcast alike are one."""
SHORT = frozenset(("int8", "int16", "uint8", "uint16", "uint32", "uint64"))
"""The other whole numbers; arithmetic modulo 2**64 restricts to theirs."""
COUNTED = frozenset(("int32", "int64", "float32", "float64"))
"""The data types that tf.range has kernels for."""


# -- components -------------------------------------------------------------------------------------------------------


def _dtype(of: DType) -> str:
    return f"tf.{of.name}"


def _kind(call: Call) -> str:
    return call.types[0].dtype.kind


def _by_kind(template: str, **exceptions: str) -> Row:
    """A template, and others for kinds of data types that TensorFlow has no kernel for."""

    def row(call: Call) -> str:
        dtype = call.writer.attribute(call.types[0].dtype)
        return exceptions.get(_kind(call), template).format(*call.texts, own=dtype)

    return row


def _on_whole(template: str) -> Row:
    """Functions of real numbers that are the identity on whole ones."""
    return _by_kind(template, int="{0}", uint="{0}")


def _test(name: str, whole: bool, join: str) -> Row:
    parts = f"tf.math.{name}(tf.math.real({{0}})) {join} tf.math.{name}(tf.math.imag({{0}}))"
    always = f"tf.{'ones' if whole else 'zeros'}_like({{0}}, dtype=tf.bool)"
    return _by_kind(f"tf.math.{name}({{0}})", complex=parts, int=always, uint=always)


def _operator(sign: str) -> Row:
    """An operator; operands are repeated before, where shapes interleave more than TensorFlow's kernels broadcast."""

    def row(call: Call) -> str:
        a, b = call.texts
        first, second = call.types
        rows = first.ndim == 2 and second.shape == first.shape[1:] and first.dtype.kind == "float"
        if sign == "+" and rows and call.instruction.source.module:
            return f"tf.nn.bias_add({a}, {b})"  # which a graph makes part of a product before it
        if _runs(*(of.shape for of in call.types)) > BROADCAST:
            a, b = (_tiled(call, n) for n in range(2))
        return f"{a} {sign} {b}"

    return row


def _tiled(call: Call, n: int) -> str:
    shape, wanted = call.types[n].shape, call.result.shape
    shape = (*(1,) * (len(wanted) - len(shape)), *shape)
    counts = tuple(size if own == 1 else 1 for own, size in zip(shape, wanted, strict=True))
    text = call.texts[n]
    if len(shape) != call.types[n].ndim:
        text = f"tf.reshape({text}, {call.writer.attribute(shape)})"
    return f"tf.tile({text}, {call.writer.attribute(counts)})"


def _runs(first: Shape, second: Shape) -> int:
    """How many axes are left when neighbours that broadcast alike become one."""
    ndim = max(len(first), len(second))
    padded = [(1,) * (ndim - len(shape)) + shape for shape in (first, second)]
    kinds = [(m == 1, n == 1) for m, n in zip(*padded, strict=True) if (m, n) != (1, 1)]
    return sum(1 for n, kind in enumerate(kinds) if not n or kinds[n - 1] != kind)


def _beside(template: str) -> Row:
    """Functions that take a bare number after an array, whose data type it gets; not before."""

    def row(call: Call) -> str:
        return template.format(*_after_array(call))

    return row


def _after_array(call: Call) -> tuple[str, ...]:
    return tuple(call.texts if call.typed[-2] == call.texts[-2] else call.typed)


def _hypot(call: Call) -> str:
    a, b = call.typed
    if call.types[0].shape != call.types[1].shape:  # tf.complex broadcasts, but its derivative does not
        a, b = f"{a} + tf.zeros_like({b})", f"{b} + tf.zeros_like({a})"
    return f"tf.abs(tf.complex({a}, {b}))"


def _copysign(call: Call) -> str:
    a, b = call.typed
    return f"tf.where({call.writer.need('signbit')}({b}), -tf.abs({a}), tf.abs({a}))"


def _needed(name: str, template: str, *more: str) -> Row:
    def row(call: Call) -> str:
        for other in (name, *more):
            call.writer.need(other)
        return template.format(*call.typed, **call.attributes)

    return row


def _repeated(template: str) -> Row:
    """Of uint16 by way of int32: it is the one data type that has no such kernel."""

    def row(call: Call) -> str:
        x, own = call.typed[0], call.types[0].dtype
        if own.name != "uint16":
            return template.format(x, **call.attributes)
        return f"tf.cast({template.format(f'tf.cast({x}, tf.int32)', **call.attributes)}, {_dtype(own)})"

    return row


def _astype(call: Call) -> str:
    if call.result.dtype.kind == "bool" and _kind(call) == "complex":
        return f"{call.typed[0]} != 0"
    return f"tf.cast({call.typed[0]}, {call.attributes['dtype']})"


# -- axes -------------------------------------------------------------------------------------------------------------


def _axes(call: Call) -> str:
    axes = call.of("axes")
    keep = ", keepdims=True" if call.of("keepdims") else ""
    return f"axis={axes[0] if len(axes) == 1 else list(axes)}{keep}"


def _reduction(name: str, operand: Callable[[Call], str] = lambda call: call.typed[0]) -> Row:
    return lambda call: f"tf.{name}({operand(call)}, {_axes(call)})"


def _truth(call: Call) -> str:
    return call.typed[0] if _kind(call) == "bool" else f"{call.typed[0]} != 0"


def _variance(call: Call) -> str:
    if call.of("correction") == 0:
        return f"tf.math.reduce_variance({call.typed[0]}, {_axes(call)})"
    name, axes = call.writer.need("variance"), list(call.of("axes"))
    return f"{name}({call.typed[0]}, {axes}, {call.attributes['correction']}, {call.of('keepdims')})"


def _position(name: str) -> Row:
    def row(call: Call) -> str:
        text = f"tf.{name}({call.typed[0]}, axis={call.of('axis')})"
        if _kind(call) == "float":
            text = f"{call.writer.need('place')}(tf.{name}, {call.typed[0]}, {call.of('axis')})"
        return f"tf.expand_dims({text}, {call.of('axis')})" if call.of("keepdims") else text

    return row


def _running(name: str, start: int) -> Row:
    def row(call: Call) -> str:
        axis = call.of("axis")
        text = f"tf.math.{name}({call.typed[0]}, axis={axis})"
        if not call.of("include_initial"):
            return text
        places = [[int(n == axis), 0] for n in range(call.types[0].ndim)]
        return f"tf.pad({text}, {places}{f', constant_values={start}' if start else ''})"

    return row


def _order(call: Call) -> str:
    direction = "DESCENDING" if call.of("descending") else "ASCENDING"
    return f"{call.writer.need('argsort')}({call.typed[0]}, {call.of('axis')}, '{direction}')"


def _sort(call: Call) -> str:
    if _kind(call) == "float":
        return f"tf.experimental.numpy.take_along_axis({call.typed[0]}, {_order(call)}, {call.of('axis')})"
    direction = ", direction='DESCENDING'" if call.of("descending") else ""
    return f"tf.sort({call.typed[0]}, axis={call.of('axis')}{direction})"


def _searchsorted(call: Call) -> str:
    (table, values), side = call.typed, call.attributes["side"]
    if call.types[1].ndim == 1:
        return f"tf.searchsorted({table}, {values}, side={side}, out_type=tf.int64)"
    found = f"tf.searchsorted({table}, tf.reshape({values}, [-1]), side={side}, out_type=tf.int64)"
    return f"tf.reshape({found}, tf.shape({values}))"


# -- shapes -----------------------------------------------------------------------------------------------------------


def _permute(call: Call) -> str:
    axes = call.of("axes")
    if axes == (1, 0):
        return f"tf.transpose({call.typed[0]})"
    if len(axes) > 1 and axes == (*range(len(axes) - 2), len(axes) - 1, len(axes) - 2):
        return f"tf.linalg.matrix_transpose({call.typed[0]})"
    return f"tf.transpose({call.typed[0]}, {list(axes)})"


def _expand(call: Call) -> str:
    axes = call.of("axes")
    if len(axes) == 1:
        return f"tf.expand_dims({call.typed[0]}, {axes[0]})"
    if not axes:
        return call.typed[0]
    inside = ", ".join("tf.newaxis" if n in axes else ":" for n in range(call.result.ndim))
    return f"{call.typed[0]}[{inside}]"


def _triangle(lower: bool) -> Row:
    """A band, or zeros in a band, where the k-th diagonal is on the other side of the main one."""

    def row(call: Call) -> str:
        x, k = call.typed[0], call.of("k")
        k, size = (k, call.types[0].shape[-1]) if lower else (-k, call.types[0].shape[-2])
        if isinstance(size, int):
            k = min(k, size)  # bands may not be wider than the matrix
        if k >= 0:
            return f"tf.linalg.band_part({x}, {f'-1, {k}' if lower else f'{k}, -1'})"
        size = call.types[0].shape[-2 if lower else -1]
        k = -k - 1 if not isinstance(size, int) else min(-k - 1, size)
        band = f"tf.linalg.band_part(tf.ones_like({x}, dtype=tf.bool), {f'{k}, -1' if lower else f'-1, {k}'})"
        return f"tf.where({band}, tf.zeros_like({x}), {x})"

    return row


# -- subscripts -------------------------------------------------------------------------------------------------------


def _whole(call: Call, n: int) -> str:
    """Positions in a data type that the gathers take."""
    text = call.typed[n]
    return text if call.types[n].dtype.name in ("int32", "int64") else f"tf.cast({text}, tf.int64)"


def _selected(call: Call, x: str, first: int) -> str:
    """Slices first; then one gather along an axis, or one along several axes."""
    key = call.of("key")
    cuts = tuple(Cut() if isinstance(part, At) else part for part in key)
    places = [n for n, part in enumerate(key) if isinstance(part, At)]
    if any(part != Cut() for part in cuts):
        x = f"{x}[{', '.join('tf.newaxis' if part is None else call.writer.attribute(part) for part in cuts)}]"
    if not places:
        return x
    numbers = [key[n].operand - 1 + first for n in places]
    if len(places) == 1:
        return f"{call.writer.need('gather')}({x}, {_whole(call, numbers[0])}, {places[0]})"
    cast = "tf.cast({}, tf.int64)" if _mixed(call, numbers) else "{}"
    positions = ", ".join(cast.format(call.typed[n]) for n in numbers)
    text = f"{call.writer.need('gather_nd')}({x}, [{positions}], {places})"
    if places[-1] - places[0] != len(places) - 1 or not places[0]:
        return text
    joined = max(call.types[n].ndim for n in numbers)
    before, rest = places[0], len(key) - len(places)
    order = [*range(joined, joined + before), *range(joined), *range(joined + before, joined + rest)]
    return f"tf.transpose({text}, {order})"


def _mixed(call: Call, numbers: list[int]) -> bool:
    dtypes = {call.types[n].dtype.name for n in numbers}
    return len(dtypes) > 1 or not dtypes <= {"int32", "int64"}


def _getitem(call: Call) -> str:
    return _selected(call, call.typed[0], 1)


def _at_places(name: str) -> Row:
    def row(call: Call) -> str:
        x, value = call.typed[:2]
        places = _selected(call, f"{call.writer.need('numbered')}({x})", 2)
        return f"{call.writer.need(name)}({x}, {places}, {value})"

    return row


def _take(call: Call) -> str:
    return f"{call.writer.need('gather')}({call.typed[0]}, {_whole(call, 1)}, {call.of('axis')})"


# -- creation ---------------------------------------------------------------------------------------------------------


def _arange(call: Call) -> str:
    start, stop, step, dtype = (call.attributes[name] for name in ("start", "stop", "step", "dtype"))
    if call.result.dtype.name in COUNTED:
        return f"tf.range({start}, {stop}, {step}, dtype={dtype})"
    return f"tf.cast(tf.range({start}, {stop}, {step}), {dtype})"


def _eye(call: Call) -> str:
    k, rows, columns, dtype = (call.attributes[name] for name in ("k", "rows", "columns", "dtype"))
    if call.of("k") == 0:
        return f"tf.eye({rows}, {columns}, dtype={dtype})"
    # Row i has its one where column - i is k.
    return f"tf.cast(tf.range({columns}) - tf.range({rows})[:, tf.newaxis] == {k}, {dtype})"


# -- linear algebra ---------------------------------------------------------------------------------------------------


def _matmul(call: Call) -> str:
    (a, b), (first, second) = call.typed, call.types
    if first.dtype.name in SHORT:
        a, b = f"tf.cast({a}, tf.int64)", f"tf.cast({b}, tf.int64)"
        return f"tf.cast({_product(a, b, first.ndim, second.ndim, '')}, {call.writer.attribute(first.dtype)})"
    flags = ""
    for n, name in enumerate(("transpose_a", "transpose_b")):
        inner = call.writer.transposed(call.instruction.operands[n])
        if inner is not None and min(first.ndim, second.ndim) > 1:
            a, b = (inner, b) if n == 0 else (a, inner)
            flags += f", {name}=True"
    return _product(a, b, first.ndim, second.ndim, flags)


def _product(a: str, b: str, first: int, second: int, flags: str) -> str:
    if first == second == 1:
        return f"tf.reduce_sum({a} * {b})"
    if second == 1:
        return f"tf.linalg.matvec({a}, {b})"
    if first == 1:
        return f"tf.linalg.matvec({b}, {a}, transpose_a=True)"
    if first > 2 and second == 2 and not flags:  # as one product, not one for each matrix
        return f"tf.tensordot({a}, {b}, 1)"
    return f"tf.matmul({a}, {b}{flags})"


def _diagonal(call: Call) -> str:
    if call.result.shape[-1] == 0:  # which TensorFlow refuses
        return f"tf.zeros({call.writer.attribute(call.result.shape)}, {_dtype(call.result.dtype)})"
    return f"tf.linalg.diag_part({call.typed[0]}, k={call.of('offset')})"


def _solve(call: Call) -> str:
    (a, b), (first, second) = call.typed, call.types
    if second.ndim == 1:
        b = f"{b}[:, tf.newaxis]"
    same = first.shape[:-2] == (() if second.ndim == 1 else second.shape[:-2])
    text = f"{'tf.linalg.solve' if same else call.writer.need('solve')}({a}, {b})"
    return f"{text}[..., 0]" if second.ndim == 1 else text


def _thresholded(name: str) -> Row:
    def row(call: Call) -> str:
        call.writer.need("counted")
        eps = {4: 1.1920928955078125e-07, 8: 2.220446049250313e-16}[_component_size(call)]
        return f"{call.writer.need(name)}({call.typed[0]}, {call.attributes['rtol']}, {eps})"

    return row


def _component_size(call: Call) -> int:
    of = call.types[0].dtype
    return of.itemsize // 2 if of.kind == "complex" else of.itemsize


def _magnitude(call: Call) -> str:
    return f"tf.abs({call.typed[0]})"


def _vector_norm(call: Call) -> str:
    order, over = call.of("ord"), _axes(call)
    if order == 2:
        x = _magnitude(call) if _kind(call) == "complex" else call.typed[0]
        return f"tf.math.reduce_euclidean_norm({x}, {over})"
    if order == 0:
        counted = f"tf.math.count_nonzero({call.typed[0]}, {over})"
        return f"tf.cast({counted}, {call.writer.attribute(call.result.dtype)})"
    if order in (float("inf"), float("-inf")):
        return f"tf.reduce_{'max' if order > 0 else 'min'}({_magnitude(call)}, {over})"
    if order == 1:
        return f"tf.reduce_sum({_magnitude(call)}, {over})"
    return f"tf.reduce_sum({_magnitude(call)} ** {float(order)!r}, {over}) ** {1 / order!r}"


def _matrix_norm(call: Call) -> str:
    order, keep = call.of("ord"), call.of("keepdims")
    over = f"axis=[-2, -1]{', keepdims=True' if keep else ''}"
    if order in ("fro", None):
        x = _magnitude(call) if _kind(call) == "complex" else call.typed[0]
        return f"tf.math.reduce_euclidean_norm({x}, {over})"
    extreme = "sum" if order == "nuc" else "max" if order > 0 else "min"
    if order in ("nuc", 2, -2):
        text = f"tf.reduce_{extreme}(tf.linalg.svd({call.typed[0]}, compute_uv=False), axis=-1)"
        return f"{text}[..., tf.newaxis, tf.newaxis]" if keep else text
    summed = -2 if abs(order) == 1 else -1
    return f"tf.reduce_{extreme}(tf.reduce_sum({_magnitude(call)}, axis={summed}, keepdims=True), {over})"


# -- Fourier transforms -----------------------------------------------------------------------------------------------

POWERS = {"backward": 0.0, "ortho": -0.5, "forward": -1.0}
"""Of the length, by which a forward transform is multiplied; TensorFlow's own normalisation is `backward`."""
TRANSFORMS: dict[str, tuple[str, float, float]] = {
    "fft": ("fft", 0.0, 1.0), "rfft": ("rfft", 0.0, 1.0), "ifft": ("ifft", 0.0, -1.0), "irfft": ("irfft", 0.0, -1.0),
    "hfft": ("irfft", 1.0, 1.0), "ihfft": ("rfft", -1.0, -1.0),
}  # fmt: skip
"""TensorFlow's function, and by what power of the length it is multiplied: a constant, and a multiple of `POWERS`.

Hermitian transforms are the inverse real ones of conjugates, which are normalised the other way round.
"""


def _fourier(name: str) -> Row:
    native, constant, multiple = TRANSFORMS[name]

    def row(call: Call) -> str:
        x, n, count = call.typed[0], call.of("n"), call.attributes["n"]
        function = f"tf.signal.{native}"
        if native != "rfft" and _kind(call) == "float":
            x = f"tf.cast({x}, {'tf.complex64' if call.types[0].dtype.itemsize == 4 else 'tf.complex128'})"
        if name == "hfft":
            x = f"tf.math.conj({x})"
        if native == "irfft":
            function, count = f"lambda x: tf.signal.irfft(x, [{count}])", call.writer.attribute(n // 2 + 1)
        text = f"{call.writer.need('fourier')}({function}, {x}, {count}, {call.of('axis')})"
        if name == "ihfft":
            text = f"tf.math.conj({text})"
        power = constant + multiple * POWERS[call.of("norm")]
        if not power:
            return text
        if isinstance(n, int):
            return f"{text} * {number(float(n) ** power)}"
        return f"{text} * tf.cast(tf.cast({call.attributes['n']}, tf.float64) ** {power}, {_dtype(call.result.dtype)})"

    return row


ROWS: dict[str, Row] = {
    **{name: _operator(sign) for name, sign in BINARY.items()},
    **{name: f"tf.{name}({{all}})" for name in SAME},
    **{name: f"tf.{native}({{all}})" for name, native in RENAMED.items()},
    "abs": _by_kind("tf.abs({0})", uint="{0}"), "negative": _by_kind("-{0}", uint="~{0} + 1"),
    "sign": _by_kind("tf.sign({0})", uint="tf.cast({0} != 0, {own})"),
    "ceil": _on_whole("tf.math.ceil({0})"), "floor": _on_whole("tf.floor({0})"),
    "trunc": _on_whole("tf.where({0} < 0, tf.math.ceil({0}), tf.floor({0}))"),
    "round": _by_kind("tf.round({0})", int="{0}", uint="{0}", complex=(
        "tf.complex(tf.round(tf.math.real({0})), tf.round(tf.math.imag({0})))"
    )),
    "conj": _by_kind("{0}", complex="tf.math.conj({0})"), "real": _by_kind("{0}", complex="tf.math.real({0})"),
    "isnan": _test("is_nan", False, "|"), "isinf": _test("is_inf", False, "|"),
    "isfinite": _test("is_finite", True, "&"),
    "log2": "tf.math.log({0}) * 1.4426950408889634", "log10": "tf.math.log({0}) * 0.4342944819032518",
    "signbit": _needed("signbit", "signbit({0})"), "bitwise_invert": "~{0}",
    "pow": _by_kind("{0} ** {1}", uint="tf.cast(tf.cast({0}, tf.int64) ** tf.cast({1}, tf.int64), {own})"),
    "floor_divide": rounding(_operator("//"), "floor_divide", ("int", "uint", "float")),
    "remainder": rounding(_operator("%"), "remainder", ("int", "uint")),
    "maximum": _beside("tf.maximum({0}, {1})"), "minimum": _beside("tf.minimum({0}, {1})"),
    "where": _beside("tf.where({0}, {1}, {2})"), "hypot": _hypot, "copysign": _copysign,
    "logaddexp": _needed("logaddexp", "logaddexp({0}, {1})"), "astype": _astype,
    "sum": _reduction("reduce_sum"), "prod": _reduction("reduce_prod"), "mean": _reduction("reduce_mean"),
    "max": _reduction("reduce_max"), "min": _reduction("reduce_min"), "var": _variance,
    "all": _reduction("reduce_all", _truth), "any": _reduction("reduce_any", _truth),
    "count_nonzero": _reduction("math.count_nonzero"),
    "argmax": _position("argmax"), "argmin": _position("argmin"),
    "cumulative_sum": _running("cumsum", 0), "cumulative_prod": _running("cumprod", 1),
    "sort": _sort, "argsort": _order, "searchsorted": _searchsorted,
    "reshape": "tf.reshape({0}, {shape})", "permute_dims": _permute, "expand_dims": _expand,
    "squeeze": "tf.squeeze({0}, axis={axes})", "broadcast_to": "tf.broadcast_to({0}, {shape})",
    "concat": "tf.concat([{all}], axis={axis})", "stack": "tf.stack([{all}], axis={axis})",
    "flip": "tf.reverse({0}, axis={axes})", "roll": "tf.roll({0}, {shifts}, {axes})",
    "repeat": _repeated("tf.repeat({0}, {repeats}, axis={axis})"), "tile": _repeated("tf.tile({0}, {repetitions})"),
    "tril": _triangle(True), "triu": _triangle(False),
    "getitem": _getitem, "setitem": _at_places("assigned"), "add_at": _at_places("added"), "take": _take,
    "take_along_axis": lambda call: (
        f"tf.experimental.numpy.take_along_axis({call.typed[0]}, {_whole(call, 1)}, {call.of('axis')})"
    ),
    "full": "tf.fill({shape}, {0})", "arange": _arange, "eye": _eye, "size": "tf.cast({size}, tf.int64)",
    "matmul": _matmul,
    "linalg.det": "tf.linalg.det({0})", "linalg.inv": "tf.linalg.inv({0})",
    "linalg.slogdet": lambda call: f"{call.writer.need('slogdet') if _kind(call) == 'complex' else 'tf.linalg.slogdet'}"
    f"({call.typed[0]})",
    "linalg.eigh": lambda call: f"{call.writer.need('eigh') if _kind(call) == 'complex' else 'tf.linalg.eigh'}"
    f"({call.typed[0]})",
    "linalg.eigvalsh": _by_kind("tf.linalg.eigh({0})[0]", complex="tf.math.real(tf.linalg.eigh({0})[0])"),
    "linalg.eig": "tf.linalg.eig({0})", "linalg.eigvals": "tf.linalg.eig({0})[0]",
    "linalg.svdvals": "tf.linalg.svd({0}, compute_uv=False)",
    "linalg.svd": _needed("svd", "svd({0}, {full_matrices})"),
    "linalg.qr": lambda call: f"tf.linalg.qr({call.typed[0]}, full_matrices={call.of('mode') == 'complete'})",
    "linalg.cholesky": lambda call: (
        f"tf.linalg.adjoint(tf.linalg.cholesky(tf.linalg.adjoint({call.typed[0]})))" if call.of("upper")
        else f"tf.linalg.cholesky({call.typed[0]})"
    ),
    "linalg.solve": _solve, "linalg.pinv": _thresholded("pinv"), "linalg.matrix_rank": _thresholded("matrix_rank"),
    "linalg.diagonal": _diagonal,
    "linalg.cross": _needed("cross", "cross({0}, {1}, {axis})"),
    "linalg.vector_norm": _vector_norm, "linalg.matrix_norm": _matrix_norm,
    "linalg.matrix_power": _needed("matrix_power", "matrix_power({0}, {n})"),
    **{f"fft.{name}": _fourier(name) for name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")},
}  # fmt: skip

ROWS.update({name: kernel(function, *NEEDS.get(name, ())) for name, function in KERNELS.items()})
ROWS.update(rows(ROWS))

DIALECT = Dialect(
    imports="import tensorflow as tf",
    rows=ROWS,
    scalars=frozenset({*BINARY, "pow", "floor_divide", "remainder", "maximum", "minimum", "where"}),
    dtype=_dtype,
    size="size({0}, {axis})",
    literal="tf.constant({number}, {dtype})",
    array="tf.cast({array}, {dtype})",
    prelude={**composed.PRELUDE, **neural.PRELUDE},
    functions={"min": "tf.minimum", "max": "tf.maximum"},
    control=CONTROL,
    passes=frozenset(("layout",)),
    graphs=frozenset(("rows",)),
    classes=ClassStyle(
        base="tf.Module",
        method="__call__",
        parameter="self.{name} = tf.Variable({array}{layout}, name={path})",
        buffer="self.{name} = tf.Variable({array}{layout}, trainable=False, name={path})",
        constant="self.{name} = tf.constant({array}, {dtype})",
        several="{items}",
        assign="{0}.assign({value})",
    ),
)
"""TensorFlow's Python."""
