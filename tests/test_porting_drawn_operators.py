"""ATen's operators on drawn shapes and attributes compute what PyTorch computes.

The tables of examples (`aten_operators.py`) have every operator with a few arguments; here whole families have theirs
from Hypothesis: ranks 0 to 4, sizes 0 and 1, pairs that broadcast, negative axes, data types, windows, strides and
padding. What PyTorch refuses is no example. NumPy is the only backend: what is tested is the lowering, not kernels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, reject, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from tensoria_torch.lowerings.call import own_dtype  # noqa: E402
from test_porting_operators import computed, flat, lowered  # noqa: E402

from tensoria.discovery import get  # noqa: E402
from tensoria.programs.types import Type  # noqa: E402

Found = tuple[str, tuple[Any, ...], dict[str, Any]]
Draw = Callable[[Any], Any]
FLOATS = (torch.float64, torch.float32)
DTYPES = (*FLOATS, torch.int64, torch.int32, torch.bool)
FAMILIES: dict[str, Callable[[Draw], Found]] = {}
"""Families of operators: each draws an operator with its arguments."""


def family(make: Callable[[Draw], Found]) -> Callable[[Draw], Found]:
    """Register a family."""
    FAMILIES[make.__name__.strip("_")] = make
    return make


# -- what is drawn -----------------------------------------------------------------------------------------------------


def whole(low: int, high: int) -> Any:
    return st.integers(low, high)


def tensor(draw: Draw, shape: Any, dtype: Any = torch.float64, low: float = -3, high: float = 3) -> Any:
    """Numbers from a drawn seed: Hypothesis shrinks shapes, not numbers."""
    random = torch.Generator().manual_seed(draw(whole(0, 99)))
    if dtype is torch.bool:
        return torch.rand(tuple(shape), generator=random) < 0.5
    numbers = torch.rand(tuple(shape), generator=random, dtype=torch.float64) * (high - low) + low
    return numbers.to(dtype) if dtype.is_floating_point else numbers.round().to(dtype)


def shape(draw: Draw, low: int = 0, high: int = 4, smallest: int = 0) -> tuple[int, ...]:
    return tuple(draw(st.lists(whole(smallest, 4), min_size=low, max_size=high)))


def axis(draw: Draw, of: Any) -> int:
    return int(draw(whole(-max(len(of), 1), max(len(of), 1) - 1)))


def axes(draw: Draw, of: Any, low: int = 1) -> list[int]:
    """Some axes, each counted from either end."""
    if not of:
        return []
    chosen = draw(st.lists(whole(0, len(of) - 1), unique=True, min_size=low))
    return [n - len(of) if draw(st.booleans()) else n for n in chosen]


def pair(draw: Draw) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes that broadcast."""
    full = shape(draw)
    return tuple(
        tuple(1 if draw(st.booleans()) else n for n in full)[draw(whole(0, len(full))) :] for _ in range(2)
    )  # type: ignore[return-value]


def one_of(draw: Draw, *choices: Any) -> Any:
    return draw(st.sampled_from(choices))


def numbers(draw: Draw, count: int, low: int, high: int) -> list[int]:
    return [draw(whole(low, high)) for _ in range(count)]


# -- component by component --------------------------------------------------------------------------------------------


@family
def _binary(draw: Draw) -> Found:
    name = one_of(
        draw, "add.Tensor", "sub.Tensor", "mul.Tensor", "div.Tensor", "remainder.Tensor", "fmod.Tensor",
        "floor_divide.default", "maximum.default", "minimum.default", "fmax.default", "fmin.default", "atan2.default",
        "hypot.default", "copysign.Tensor", "logaddexp.default", "eq.Tensor", "lt.Tensor", "ge.Tensor",
        "logical_and.default", "logical_xor.default", "bitwise_or.Tensor", "bitwise_and.Tensor", "pow.Tensor_Tensor",
        "div.Tensor_mode", "max.other",
    )  # fmt: skip
    first, second = (tensor(draw, of, one_of(draw, *DTYPES)) for of in pair(draw))
    if name.startswith(("rem", "fmod", "floor_div", "div.Tensor_mode", "div")):
        second = torch.where(second == 0, torch.ones_like(second), second)
    if name.startswith("pow"):
        first, second = (x if x.dtype is torch.bool else x.abs() + 1 for x in (first, second))
    if name == "div.Tensor_mode":
        return name, (first, second), {"rounding_mode": one_of(draw, "floor", "trunc")}
    if name in ("add.Tensor", "sub.Tensor") and first.dtype.is_floating_point and draw(st.booleans()):
        return name, (first, second), {"alpha": one_of(draw, 2, -1, 0.5)}
    return name, (first, second), {}


@family
def _scalar(draw: Draw) -> Found:
    name = one_of(
        draw, "add.Tensor", "mul.Tensor", "div.Tensor", "rsub.Scalar", "remainder.Scalar", "fmod.Scalar",
        "floor_divide.default", "pow.Tensor_Scalar", "eq.Scalar", "gt.Scalar", "clamp_min.default", "fill.Scalar",
        "clamp_max.default", "copysign.Scalar", "masked_fill.Scalar", "div.Tensor_mode",
    )  # fmt: skip
    x, number = tensor(draw, shape(draw), one_of(draw, *DTYPES), 0.5), one_of(draw, 2, -3, 1.5, True)
    if name == "masked_fill.Scalar":
        return name, (x, tensor(draw, x.shape, torch.bool), number), {}
    if name == "div.Tensor_mode":
        return name, (x, number), {"rounding_mode": one_of(draw, "floor", "trunc")}
    return name, (x, number), {}


@family
def _unary(draw: Draw) -> Found:
    name = one_of(
        draw, "abs", "neg", "exp", "sin", "tanh", "sigmoid", "relu", "floor", "ceil", "trunc", "round", "sign", "sgn",
        "erf", "square", "isnan", "isfinite", "logical_not", "atan", "silu", "gelu", "expm1", "cosh", "sqrt", "log1p",
        "reciprocal", "rsqrt", "softplus", "mish", "elu", "hardtanh", "leaky_relu", "relu6", "signbit", "frac",
        "bitwise_not", "hardswish", "log_sigmoid",
    )  # fmt: skip
    x = tensor(draw, shape(draw), one_of(draw, *DTYPES), 0.1 if name in ("sqrt", "log1p", "rsqrt") else -3)
    if name == "gelu":
        return "gelu.default", (x,), {"approximate": one_of(draw, "none", "tanh")}
    if name in ("hardtanh", "elu", "leaky_relu", "softplus") and draw(st.booleans()):
        return f"{name}.default", (x, *{"hardtanh": (-0.5, 2), "elu": (0.5,)}.get(name, (0.7,))), {}
    return f"{name}.default", (x,), {}


@family
def _choice(draw: Draw) -> Found:
    first, second = pair(draw)
    name = one_of(draw, "where.self", "masked_fill.Tensor", "clamp.Tensor", "clamp.default", "lerp.Scalar")
    x = tensor(draw, first, one_of(draw, *DTYPES))
    if name == "clamp.default":
        return name, (x, one_of(draw, None, -1, 0.5), one_of(draw, None, 1, 2.5)), {}
    if name == "clamp.Tensor":
        return name, (x, tensor(draw, second, x.dtype), tensor(draw, second, one_of(draw, *DTYPES))), {}
    if name == "lerp.Scalar":
        return name, (x, tensor(draw, second, x.dtype), 0.25), {}
    if name == "masked_fill.Tensor":
        return name, (x, tensor(draw, second, torch.bool), tensor(draw, (), x.dtype)), {}
    return name, (tensor(draw, second, torch.bool), x, tensor(draw, second, one_of(draw, *DTYPES))), {}


# -- along axes --------------------------------------------------------------------------------------------------------


@family
def _reduction(draw: Draw) -> Found:
    name = one_of(
        draw, "sum.dim_IntList", "mean.dim", "amax.default", "amin.default", "all.dims", "any.dims", "var.correction",
        "std.correction", "logsumexp.default", "linalg_vector_norm.default", "prod.dim_int", "max.dim", "min.dim",
        "argmax.default", "argmin.default", "all.dim", "any.dim", "sum.default", "prod.default", "all.default",
        "count_nonzero.dim_IntList", "var_mean.correction", "max.default", "median.dim", "mean.default", "any.default",
        "argmax.default", "count_nonzero.default",
    )  # fmt: skip
    x = tensor(draw, shape(draw), one_of(draw, *DTYPES))
    keep, kind = draw(st.booleans()), name.split(".")[0]
    if name.endswith("correction"):
        of = one_of(draw, None, axes(draw, x.shape, 0))
        return name, (x, of), {"correction": one_of(draw, 0, 1, 2), "keepdim": keep}
    along = kind.startswith("arg") or name.endswith((".dim", ".dim_int"))
    if along and kind != "mean":
        x = x.int() if x.dtype is torch.bool and kind.startswith("arg") else x
        return name, (x, axis(draw, x.shape), keep), {}
    if name.endswith(".default") and kind in ("sum", "prod", "all", "any", "max", "mean", "count_nonzero"):
        return name, (x,), {}
    of = axes(draw, x.shape, 0)
    if kind == "count_nonzero":
        return name, (x, of), {}
    if kind == "linalg_vector_norm":
        return name, (x, one_of(draw, 0, 1, 2, 3, 0.5, math.inf, -math.inf), of or None, keep), {}
    if kind == "sum" and draw(st.booleans()):
        return name, (x, of, keep), {"dtype": one_of(draw, torch.float32, torch.int64)}
    return name, (x, of, keep), {}


@family
def _running(draw: Draw) -> Found:
    name = one_of(
        draw, "cumsum", "cumprod", "softmax", "log_softmax", "cummax", "cummin", "logcumsumexp", "sort", "argsort",
        "topk", "kthvalue",
    )  # fmt: skip
    x = tensor(draw, shape(draw), one_of(draw, *DTYPES))
    at = axis(draw, x.shape)
    if name in ("softmax", "log_softmax"):
        return f"{name}.int", (tensor(draw, x.shape, one_of(draw, *FLOATS)), at), {}
    if name in ("sort", "argsort", "topk", "kthvalue", "cummax", "cummin"):
        # PyTorch promises no order among equal components: all different.
        order = torch.randperm(max(x.numel(), 1), generator=torch.Generator().manual_seed(draw(whole(0, 9))))
        x = order[: x.numel()].reshape(x.shape).to(one_of(draw, *FLOATS, torch.int64) if name[:3] != "cum" else x.dtype)
    if name == "sort":
        return "sort.stable", (x,), {"stable": True, "dim": at, "descending": draw(st.booleans())}
    if name == "argsort":
        return "argsort.default", (x, at, draw(st.booleans())), {}
    size = x.shape[at] if x.ndim else 1
    if name == "topk":
        return "topk.default", (x, draw(whole(0 if x.ndim else 1, size)), at, draw(st.booleans())), {}
    if name == "kthvalue":
        return "kthvalue.default", (x, draw(whole(1, max(size, 1))), at, draw(st.booleans())), {}
    return f"{name}.default", (x, at), {}


# -- shapes and positions ----------------------------------------------------------------------------------------------


@family
def _arrangement(draw: Draw) -> Found:
    name = one_of(
        draw, "permute.default", "roll.default", "flip.default", "transpose.int", "unsqueeze.default", "squeeze.dims",
        "expand.default", "view.default", "flatten.using_ints", "repeat.default", "tril.default", "triu.default",
        "repeat_interleave.self_int", "movedim.int", "unfold.default", "diagonal.default", "squeeze.dim",
        "squeeze.default", "constant_pad_nd.default",
    )  # fmt: skip
    x = tensor(draw, shape(draw), one_of(draw, *DTYPES))
    rank, at = x.ndim, axis(draw, x.shape)
    match name.split(".")[0]:
        case "permute":
            order = draw(st.permutations(range(rank)))
            return name, (x, [n - rank if draw(st.booleans()) else n for n in order]), {}
        case "roll":
            of = axes(draw, x.shape, 0)
            return name, (x, numbers(draw, len(of) or 1, -5, 5), of), {}
        case "flip":
            return name, (x, axes(draw, x.shape, 0)), {}
        case "transpose" | "movedim" | "flatten":
            return name, (x, at, axis(draw, x.shape)), {}
        case "unsqueeze":
            return name, (x, draw(whole(-rank - 1, rank))), {}
        case "squeeze":
            return name, (x, *((axes(draw, x.shape),) if name.endswith("dims") else (at,) if "dim" in name else ())), {}
        case "expand":
            more = shape(draw, 0, 2)
            return name, (x, [*more, *(draw(whole(0, 3)) if n == 1 else one_of(draw, n, -1) for n in x.shape)]), {}
        case "view":
            sizes = [x.shape[0] * x.shape[1], *x.shape[2:]] if rank > 1 else [1, *x.shape]
            if draw(st.booleans()) and x.numel():
                sizes[draw(whole(0, len(sizes) - 1))] = -1
            return name, (x, sizes), {}
        case "repeat":
            return name, (x, numbers(draw, rank + draw(whole(0, 1)), 0, 3)), {}
        case "repeat_interleave":
            return name, (x, draw(whole(0, 3)), one_of(draw, None, at)), {}
        case "unfold":
            return name, (x, at, draw(whole(1, 3)), draw(whole(1, 3))), {}
        case "diagonal":
            return name, (x, draw(whole(-2, 2)), at, axis(draw, x.shape)), {}
        case "constant_pad_nd":
            return name, (x, numbers(draw, 2 * draw(whole(0, rank)), -1, 2), one_of(draw, 0, 2, 1.5)), {}
        case _:
            return name, (x, draw(whole(-3, 3))), {}


@family
def _parts(draw: Draw) -> Found:
    name = one_of(
        draw, "cat.default", "stack.default", "split.Tensor", "slice.Tensor", "select.int", "index_select.default",
        "gather.default", "scatter.src", "scatter_add.default", "index.Tensor", "narrow.default", "chunk.default",
        "unbind.int", "split_with_sizes.default", "scatter.value", "select_scatter.default", "slice_scatter.default",
        "index_put.default",
    )  # fmt: skip
    x = tensor(draw, shape(draw, 1), one_of(draw, *DTYPES))
    at = axis(draw, x.shape)
    size = x.shape[at]
    match name.split(".")[0]:
        case "cat":
            others = [list(x.shape) for _ in range(draw(whole(0, 2)))]
            for other in others:
                other[at] = draw(whole(0, 3))
            return name, ([x, *(tensor(draw, other, one_of(draw, *DTYPES)) for other in others)], at), {}
        case "stack":
            return name, ([x] * draw(whole(1, 3)), draw(whole(-x.ndim - 1, x.ndim))), {}
        case "split" | "chunk":
            return name, (x, draw(whole(1, 5)), at), {}
        case "split_with_sizes":
            first = draw(whole(0, size))
            return name, (x, [first, size - first], at), {}
        case "slice":
            bound = st.one_of(st.none(), whole(-6, 6))
            return name, (x, at, draw(bound), draw(bound), draw(whole(1, 3))), {}
        case "narrow":
            begin = draw(whole(0, size))
            return name, (x, at, begin, draw(whole(0, size - begin))), {}
        case "unbind":
            return name, (x, at), {}
        case "slice_scatter":
            begin, end, step = draw(whole(-5, 5)), draw(whole(-5, 5)), draw(whole(1, 2))
            space = torch.ops.aten.slice.Tensor(x, at, begin, end, step).shape
            return name, (x, tensor(draw, space, x.dtype), at, begin, end, step), {}
    if not size:
        reject()
    match name.split(".")[0]:
        case "select":
            return name, (x, at, draw(whole(-size, size - 1))), {}
        case "select_scatter":
            space = x.select(at, 0).shape
            return name, (x, tensor(draw, space, x.dtype), at, draw(whole(-size, size - 1))), {}
        case "index_select":
            places = torch.tensor(numbers(draw, draw(whole(0, 4)), 0, size - 1), dtype=torch.int64)
            return name, (x, at, places), {}
        case "index" | "index_put":
            # Indices that broadcast, at some axes, of either sign.
            ways: list[Any] = []
            lead = shape(draw, 0, 2, 1)
            for n in x.shape:
                own = tuple(1 if draw(st.booleans()) else m for m in lead)
                ways.append(None if not n or draw(st.booleans()) else tensor(draw, own, torch.int64, -n, n - 1))
            if all(way is None for way in ways):
                reject()
            if name.startswith("index_put"):
                space = torch.ops.aten.index.Tensor(x, ways).shape
                add = draw(st.booleans())  # without it, PyTorch does not say which of several is written
                value = tensor(draw, space if add else (), x.dtype)
                return name, (x, ways, value, add), {}
            return name, (x, ways), {}
    space = tuple(draw(whole(0, n)) for n in x.shape)
    if name.startswith("gather"):
        space = tuple(draw(whole(0, 5)) if n == at % x.ndim else m for n, m in enumerate(space))
        return name, (x, at, tensor(draw, space, torch.int64, 0, size - 1)), {}
    places = torch.argsort(torch.rand(x.shape, generator=torch.Generator().manual_seed(draw(whole(0, 9)))), at)
    places = places[tuple(slice(0, n) for n in space)]
    if name == "scatter.value":
        return name, (x, at, places, one_of(draw, 1, 2.5)), {}
    if name.startswith("scatter_add"):
        places = tensor(draw, space, torch.int64, 0, size - 1)
    source = tensor(draw, tuple(n + draw(whole(0, 1)) for n in space), x.dtype)
    return name, (x, at, places, source), {}


# -- products, windows and norms ---------------------------------------------------------------------------------------


@family
def _product(draw: Draw) -> Found:
    name = one_of(draw, "matmul", "bmm", "mm", "addmm", "baddbmm", "linear", "mv", "dot", "addmv")
    n, m, k, b = numbers(draw, 4, 0, 3)
    of = one_of(draw, torch.float64, torch.float32, torch.int64)
    scales = {"alpha": one_of(draw, 1, 2, -1), "beta": one_of(draw, 0, 1, 3)}
    match name:
        case "matmul":
            lead, other = pair(draw)
            first = one_of(draw, (k,), (n, k), (*lead[:2], n, k))
            second = one_of(draw, (k,), (k, m), (*other[:2], k, m))
            return "matmul.default", (tensor(draw, first, of), tensor(draw, second, of)), {}
        case "bmm" | "baddbmm":
            factors = tensor(draw, (b, n, k), of), tensor(draw, (b, k, m), of)
            if name == "bmm":
                return "bmm.default", factors, {}
            added = tensor(draw, one_of(draw, (b, n, m), (1, n, 1), (m,)), of)
            return "baddbmm.default", (added, *factors), scales
        case "mm" | "addmm":
            pair_of = tensor(draw, (n, k), of), tensor(draw, (k, m), of)
            if name == "mm":
                return "mm.default", pair_of, {}
            return "addmm.default", (tensor(draw, one_of(draw, (n, m), (m,), (n, 1), ()), of), *pair_of), scales
        case "linear":
            x, weight = tensor(draw, (*shape(draw, 0, 2), k), of), tensor(draw, (m, k), of)
            return "linear.default", (x, weight, *one_of(draw, (), (tensor(draw, (m,), of),))), {}
        case "mv":
            return "mv.default", (tensor(draw, (n, k), of), tensor(draw, (k,), of)), {}
        case "addmv":
            given_ = tensor(draw, (n,), of), tensor(draw, (n, k), of), tensor(draw, (k,), of)
            return "addmv.default", given_, scales
        case _:
            return "dot.default", (tensor(draw, (k,), of), tensor(draw, (k,), of)), {}


@family
def _convolution(draw: Draw) -> Found:
    space = draw(whole(1, 3))
    groups, of = draw(whole(1, 3)), one_of(draw, *FLOATS)
    into, out, batch = groups * draw(whole(1, 2)), groups * draw(whole(1, 2)), draw(whole(0, 2))
    window, image = numbers(draw, space, 1, 3), numbers(draw, space, 1, 6)
    strides, padding, wide = numbers(draw, space, 1, 3), numbers(draw, space, 0, 2), numbers(draw, space, 1, 2)
    x = tensor(draw, (batch, into, *image) if draw(st.booleans()) else (into, *image), of)
    bias = tensor(draw, (out,), of) if draw(st.booleans()) else None
    if draw(st.booleans()):
        kernel = tensor(draw, (into, out // groups, *window), of)
        more = [draw(whole(0, max(s, d) - 1)) for s, d in zip(strides, wide, strict=True)]
        name = f"conv_transpose{space}d.{'default' if space == 1 else 'input'}"
        return name, (x, kernel, bias, strides, padding, more, groups, wide), {}
    kernel = tensor(draw, (out, into // groups, *window), of)
    if draw(st.booleans()):
        return f"conv{space}d.default", (x, kernel, bias, strides, padding, wide, groups), {}
    way = one_of(draw, "same", "valid")
    return f"conv{space}d.padding", (x, kernel, bias, [1] if way == "same" else strides, way, wide, groups), {}


@family
def _pooling(draw: Draw) -> Found:
    space = draw(whole(1, 3))
    name = one_of(draw, "max_pool", "avg_pool", "adaptive_avg_pool")
    lead = one_of(draw, (2, 2), (1, 3), (2,))
    x = tensor(draw, (*lead, *numbers(draw, space, 1, 6)), one_of(draw, *FLOATS))
    window, strides = numbers(draw, space, 1, 3), one_of(draw, [], numbers(draw, space, 1, 3))
    padding, ceil = [draw(whole(0, n // 2)) for n in window], draw(st.booleans())
    if name == "adaptive_avg_pool":
        return f"{name}{space}d.default", (x, numbers(draw, space, 1, 5)), {}
    if name == "max_pool":
        wide = numbers(draw, space, 1, 2)
        if space > 1 and draw(st.booleans()):
            if max(wide) > 1:  # the place in a window of padding alone is not defined
                padding, ceil = [0] * space, False
            return f"max_pool{space}d_with_indices.default", (x, window, strides, padding, wide, ceil), {}
        return f"max_pool{space}d.default", (x, window, strides, padding, wide, ceil), {}
    padded = draw(st.booleans())
    divisor = (one_of(draw, None, 3),) if space > 1 else ()
    return f"avg_pool{space}d.default", (x, window, strides, padding, ceil, padded, *divisor), {}


@family
def _normalised(draw: Draw) -> Found:
    name = one_of(draw, "layer_norm", "rms_norm", "group_norm", "batch_norm")
    of = one_of(draw, *FLOATS)
    epsilon = 1e-2 if of is torch.float32 else one_of(draw, 1e-5, 1e-2)  # PyTorch's rounding, not ours, grows by it
    groups = draw(whole(1, 2))
    x = tensor(draw, (draw(whole(1, 3)), groups * draw(whole(1, 2)), *shape(draw, 0, 2, 1)), of)

    def some(space: Any, low: float = -2) -> Any:
        return tensor(draw, space, of, low) if draw(st.booleans()) else None

    if name in ("layer_norm", "rms_norm"):
        last = list(x.shape[draw(whole(0, x.ndim - 1)) :])
        if name == "rms_norm":
            return "rms_norm.default", (x, last, some(last), one_of(draw, None, epsilon)), {}
        return "layer_norm.default", (x, last, some(last), some(last), epsilon), {}
    channels = (x.shape[1],)
    if name == "group_norm":
        return "group_norm.default", (x, groups, some(channels), some(channels), epsilon), {}
    train = draw(st.booleans())
    means, variances = tensor(draw, channels, of), tensor(draw, channels, of, 0.1)
    return "batch_norm.default", (x, some(channels), some(channels), means, variances, train, 0.1, epsilon, False), {}


@family
def _resized(draw: Draw) -> Found:
    space = draw(whole(1, 3))
    x = tensor(draw, (2, 1, *numbers(draw, space, 1, 5)), one_of(draw, *FLOATS))
    by = draw(st.booleans())
    sizes = None if by else numbers(draw, space, 1, 7)
    scales = [one_of(draw, 0.5, 1.0, 1.5, 2.0, 2.6) for _ in range(space)] if by else None
    if draw(st.booleans()):
        return f"upsample_nearest{space}d.vec", (x, sizes, scales), {}
    kind = {1: "linear1d", 2: "bilinear2d", 3: "trilinear3d"}[space]
    return f"upsample_{kind}.vec", (x, sizes, draw(st.booleans()), scales), {}


@family
def _looked_up(draw: Draw) -> Found:
    table = tensor(draw, (draw(whole(1, 4)), draw(whole(0, 3))), one_of(draw, *FLOATS))
    return "embedding.default", (table, tensor(draw, shape(draw, 0, 3), torch.int64, 0, table.shape[0] - 1)), {}


@family
def _attention(draw: Draw) -> Found:
    of, heads, batch = one_of(draw, *FLOATS), draw(whole(1, 2)), draw(whole(1, 2))
    length, other, size, wide = numbers(draw, 4, 1, 4)
    shared = draw(whole(1, 2))
    query = tensor(draw, (batch, heads * shared, length, size), of)
    key, value = tensor(draw, (batch, heads, other, size), of), tensor(draw, (batch, heads, other, wide), of)
    more: dict[str, Any] = {"scale": one_of(draw, None, 0.3), "enable_gqa": shared > 1}
    if draw(st.booleans()):
        return "scaled_dot_product_attention.default", (query, key, value, None, 0.0, True), more
    space = (*(1 if draw(st.booleans()) else n for n in (batch, heads * shared)), length, other)
    mask = one_of(draw, None, tensor(draw, space[draw(whole(0, 2)) :], one_of(draw, torch.bool, of)))
    return "scaled_dot_product_attention.default", (query, key, value, mask), more


# -- the comparison ----------------------------------------------------------------------------------------------------


def compare(name: str, args: Any, kwargs: Any) -> None:
    """An operator computes on NumPy what PyTorch computes; what PyTorch refuses is rejected."""
    operator, overload = name.split(".")
    try:
        expected = getattr(getattr(torch.ops.aten, operator), overload)(*args, **kwargs)
    except (RuntimeError, IndexError, ValueError, TypeError, NotImplementedError):
        reject()
    target = get("numpy")
    with np.errstate(all="ignore"):
        recorder, inputs, results = lowered(f"aten.{name}", args, kwargs, expected)
        arrays = list(computed(target, recorder, inputs, results))
    wanted = list(flat(expected))
    assert len(results) == len(wanted)
    for symbolic, found, theirs in zip(results, arrays, wanted, strict=True):
        if symbolic is None:
            continue
        assert symbolic.type == Type(own_dtype(theirs.dtype), tuple(theirs.shape))
        assert tuple(np.shape(found)) == tuple(theirs.shape)
        assert target.dtype(found) is symbolic.dtype
        sizes = theirs.double()[theirs.isfinite()].abs()
        scale = max(float(sizes.max()), 1.0) if sizes.numel() else 1.0
        tolerance = (1e-12 if theirs.dtype == torch.float64 else 4e-6) * scale
        np.testing.assert_allclose(np.asarray(found), theirs.numpy(), rtol=0, atol=tolerance)


def numbered(*of: int, dtype: Any = torch.float64) -> Any:
    return torch.arange(1, math.prod(of) + 1).reshape(of).to(dtype)


ONE, VECTOR, TRUTH = torch.tensor(2.0), numbered(4), torch.tensor([True, False, True])
FOUND: tuple[Found, ...] = (
    ("relu.default", (torch.tensor([-1, 2]),), {}),
    ("isfinite.default", (TRUTH,), {}),
    ("sgn.default", (TRUTH,), {}),
    ("square.default", (TRUTH,), {}),
    ("signbit.default", (torch.tensor([-1, 2]),), {}),
    ("lt.Tensor", (TRUTH, TRUTH[:, None]), {}),
    ("minimum.default", (TRUTH, TRUTH[:, None]), {}),
    ("fmax.default", (TRUTH, TRUTH[:, None]), {}),
    ("amin.default", (TRUTH, [0], True), {}),
    ("max.dim", (TRUTH, 0), {}),
    ("logsumexp.default", (torch.tensor([1, 2]), [0]), {}),
    ("logsumexp.default", (numbered(2, 0), [1]), {}),
    ("all.dims", (numbered(2, 2), []), {}),
    *((f"{name}.default", (ONE, *more), {}) for name, *more in (
        ("cumsum", 0), ("topk", 1, 0), ("argsort", -1), ("kthvalue", 1, 0, True), ("unfold", 0, 1, 1), ("argmin", 0),
    )),
    ("median.dim", (ONE, 0), {}),
    ("min.dim", (ONE, 0, True), {}),
    ("softmax.int", (ONE, 0), {}),
    ("softmax.int", (numbered(0, 2), 0), {}),
    ("movedim.int", (ONE, 0, 0), {}),
    ("cummax.default", (torch.tensor([3, 1, 4, 1, 5]), 0), {}),
    ("cummin.default", (TRUTH, 0), {}),
    ("cummax.default", (numbered(0, 3), 0), {}),
    ("logcumsumexp.default", (numbered(0), 0), {}),
    ("scatter.src", (VECTOR, 0, torch.tensor([2, 0]), numbered(3)), {}),
    ("scatter_add.default", (numbered(2, 3), 1, torch.tensor([[2, 2]]), numbered(2, 3)), {}),
    ("scatter_add.default", (numbered(2, 3), 0, torch.zeros(0, 2, dtype=torch.int64), numbered(1, 2)), {}),
    ("index_put.default", (TRUTH, [torch.tensor([1, 0])], TRUTH[:2], True), {}),
    ("linear.default", (numbered(0), numbered(1, 0)), {}),
    ("conv_transpose1d.default", (numbered(2, 3), numbered(2, 1, 3), None, [2]), {}),
    ("conv_transpose1d.default", (numbered(2, 2, 1).float(), numbered(2, 1, 2).float(), None, [2], [1]), {}),
    ("group_norm.default", (numbered(2, 4), 2, None, VECTOR), {}),
    ("batch_norm.default", (numbered(2, 4), None, VECTOR, VECTOR, VECTOR, False, 0.1, 1e-5, False), {}),
)  # fmt: skip
"""What was drawn once and was not as PyTorch has it."""


@pytest.mark.parametrize("found", FOUND, ids=[f"{n}-{found[0]}" for n, found in enumerate(FOUND)])
def test_what_was_found_stays_found(found: Found) -> None:
    compare(*found)


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=100)
@given(data=st.data())
def test_drawn_arguments_give_pytorchs_types_and_numbers(name: str, data: Any) -> None:
    compare(*FAMILIES[name](data.draw))


@pytest.mark.matrix
@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=2000)
@given(data=st.data())
def test_many_drawn_arguments_give_pytorchs_types_and_numbers(name: str, data: Any) -> None:
    compare(*FAMILIES[name](data.draw))
