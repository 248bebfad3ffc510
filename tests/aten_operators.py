"""Arguments for every operator of PyTorch that is ported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

__all__ = ["aten_examples"]

torch.manual_seed(0)
Found = tuple[str, tuple[Any, ...], dict[str, Any]]


def real(*shape: int, low: float = -2, high: float = 2) -> torch.Tensor:
    return torch.rand(shape, dtype=torch.float64) * (high - low) + low


def whole(*shape: int, low: int = -5, high: int = 6) -> torch.Tensor:
    return torch.randint(low, high, shape)


def truth(*shape: int) -> torch.Tensor:
    return torch.rand(shape) < 0.5


POSITIVE = ("log", "log10", "log1p", "log2", "sqrt", "rsqrt", "reciprocal")
SMALL = ("acos", "asin", "atanh")
UNARY = (
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "erf", "erfc", "exp", "exp2",
    "expm1", "floor", "frac", "hardsigmoid", "hardswish", "hardtanh", "isfinite", "isinf", "isnan", "leaky_relu", "log",
    "log10", "log1p", "log2", "log_sigmoid", "mish", "neg", "reciprocal", "relu", "relu6", "round", "rsqrt", "sgn",
    "sigmoid", "sign", "signbit", "silu", "sin", "sinh", "softplus", "sqrt", "square", "tan", "tanh", "trunc", "elu",
    "gelu", "conj",
)  # fmt: skip
FLOAT_BINARY = ("atan2", "copysign", "hypot", "logaddexp", "maximum", "minimum")


def aten_examples() -> Iterator[Found]:
    """Operator, positional arguments, named ones."""
    for name, args, kwargs in _all():
        yield f"aten.{name}", args, kwargs


def _all() -> Iterator[Found]:
    for name in UNARY:
        low, high = (0.1, 3) if name in POSITIVE else (-0.9, 0.9) if name in SMALL else (1.1, 3) if name == "acosh" \
            else (-5, 5)  # fmt: skip
        yield f"{name}.default", (real(3, 4, low=low, high=high),), {}
    yield "exp.default", (whole(3),), {}
    yield "gelu.default", (real(3),), {"approximate": "tanh"}
    yield "softplus.default", (real(9, low=-30, high=30), 2.0, 10.0), {}
    yield "elu.default", (real(9), 0.7, 1.1, 1.3), {}
    for of in (truth(3), whole(3)):
        yield "bitwise_not.default", (of,), {}
        yield "logical_not.default", (of,), {}
    yield "prelu.default", (real(2, 3, 2), real(3)), {}
    for name in FLOAT_BINARY:
        if name != "copysign":
            yield f"{name}.default", (real(3, 1), real(4)), {}
    for name in ("maximum", "minimum"):
        yield f"{name}.default", (whole(3), whole(3)), {}
    yield "copysign.Tensor", (real(3), real(3)), {}
    yield "copysign.Scalar", (real(3), -1.0), {}
    for name in ("mul", "add", "sub"):
        yield f"{name}.Tensor", (real(3, 1), real(4)), {}
        yield f"{name}.Tensor", (real(3), whole(3)), {}
        yield f"{name}.Scalar", (real(3), 2), {}
        yield f"{name}.Tensor", (whole(3), 1.5), {}
        yield f"{name}.Tensor", (real(3).float(), torch.tensor(1.5, dtype=torch.float64)), {}
    yield "add.Tensor", (truth(3), truth(3)), {}
    yield "mul.Tensor", (truth(3), truth(3)), {}
    yield "mul.Tensor", (truth(3), real(3)), {}
    yield "add.Tensor", (real(3), real(3)), {"alpha": 2}
    yield "rsub.Scalar", (real(3), 1.0), {}
    yield "rsub.Tensor", (real(3), real(3)), {}
    for given in ((real(3), real(3, low=1)), (whole(3), whole(3, low=1))):
        yield "div.Tensor", given, {}
        yield "div.Scalar", (given[0], 3), {}
        for mode in ("floor", "trunc"):
            yield "div.Tensor_mode", given, {"rounding_mode": mode}
            yield "div.Scalar_mode", (given[0], 2), {"rounding_mode": mode}
        yield "fmod.Tensor", given, {}
        yield "fmod.Scalar", (given[0], 2), {}
        yield "floor_divide.default", given, {}
        yield "floor_divide.Scalar", (given[0], 2), {}
        yield "remainder.Tensor", given, {}
        yield "remainder.Scalar", (given[0], -2), {}
        yield "remainder.Scalar_Tensor", (5, given[1]), {}
    for power in (-1, 0.5, 1, 2, 3, 1.5):
        yield "pow.Tensor_Scalar", (real(3, low=0.5), power), {}
    yield "pow.Tensor_Scalar", (whole(3), 2), {}
    yield "pow.Tensor_Tensor", (real(3, low=0.5), real(3)), {}
    yield "pow.Scalar", (2.0, real(3)), {}
    for name in ("and", "or", "xor"):
        yield f"__{name}__.Tensor", (truth(3, 1), truth(2)), {}
        yield f"__{name}__.Scalar", (whole(3), 3), {}
        yield f"bitwise_{name}.Tensor", (whole(3), whole(3)), {}
        yield f"bitwise_{name}.Scalar", (whole(3), 3), {}
        yield f"bitwise_{name}.Scalar_Tensor", (3, whole(3)), {}
        yield f"logical_{name}.default", (whole(5, low=0, high=2), truth(5)), {}
    for side in ("left", "right"):
        for kind, b in (("Tensor", whole(3, low=0)), ("Tensor_Scalar", 2)):
            yield f"bitwise_{side}_shift.{kind}", (whole(3), b), {}
            yield f"__{side[0]}shift__.{kind.replace('Tensor_', '')}", (whole(3), b), {}
        yield f"bitwise_{side}_shift.Scalar_Tensor", (9, whole(3, low=0)), {}
    for name in ("eq", "ne", "lt", "le", "gt", "ge"):
        yield f"{name}.Tensor", (whole(3, 1), whole(4)), {}
        yield f"{name}.Tensor", (real(3).float(), whole(3)), {}
        yield f"{name}.Scalar", (whole(4), 1), {}
        yield f"{name}.Scalar", (whole(4), 0.5), {}
    yield "max.other", (real(3), real(3)), {}
    yield "min.other", (real(3), real(3)), {}
    yield "where.self", (truth(3, 1), real(3, 2), real(2)), {}
    yield "where.ScalarOther", (truth(3), real(3), 2), {}
    yield "where.ScalarSelf", (truth(3), 2.5, real(3)), {}
    yield "where.Scalar", (truth(3), 2.0, 1.0), {}
    yield "masked_fill.Scalar", (real(3, 2), truth(2), -float("inf")), {}
    yield "masked_fill.Tensor", (real(3, 2), truth(2), torch.tensor(1.5)), {}
    yield "clamp.default", (real(5), -1, 1.0), {}
    yield "clamp.default", (real(5), None, 1), {}
    yield "clamp.Tensor", (real(5), real(5, high=0), real(5, low=0)), {}
    yield "clamp_min.default", (real(5), 0), {}
    yield "clamp_max.default", (real(5), 0), {}
    yield "fill.Scalar", (real(3), 2), {}
    yield "fill.Tensor", (real(3), torch.tensor(2.0)), {}
    yield "lerp.Scalar", (real(3), real(3), 0.25), {}
    yield from _special()
    yield from _grids()
    yield from _reductions()
    yield from _shapes()
    yield from _neural()


def _grids() -> Iterator[Found]:
    for mode in (0, 1, 2):
        for padding in (0, 1, 2):
            for corners in (False, True):
                # beyond the image on each side, further than one reflection leads
                yield "grid_sampler_2d.default", (real(2, 3, 4, 5), real(2, 3, 2, 2), mode, padding, corners), {}
                if mode < 2:
                    given = real(1, 2, 3, 4, 5), real(1, 2, 2, 3, 3, low=-1.5, high=1.5)
                    yield "grid_sampler_3d.default", (*given, mode, padding, corners), {}


def _special() -> Iterator[Found]:
    infinite = float("inf")
    wide = torch.cat([real(30, low=-20, high=20), torch.tensor([1e-9, -1e-9, 1e5, 8.0, infinite], dtype=torch.float64)])
    for of in (wide, wide.float(), whole(4, low=1)):
        for name in ("lgamma", "digamma"):
            yield f"{name}.default", (of,), {}
        for order in (0, 1):
            yield "polygamma.default", (order, of), {}
        for name in ("i0", "special_i0e", "special_i1", "special_i1e"):
            yield f"{name}.default", (of[:-1].clip(-80, 80),), {}
    for name in ("lgamma", "digamma"):
        yield f"{name}.default", (torch.tensor([0.0, -1.0, -5.0], dtype=torch.float64),), {}
    inside = torch.cat([real(20, low=-1, high=1), torch.tensor([0.999, -1.0, 1.0, 0.0, 1.5], dtype=torch.float64)])
    for of in (inside, inside.float()):
        yield "erfinv.default", (of,), {}
        yield "special_ndtri.default", (of.abs(),), {}
    yield "nextafter.default", (real(3), real(3)), {}


def _reductions() -> Iterator[Found]:
    x = real(2, 3, 4)
    for name in ("fmax", "fmin"):
        yield f"{name}.default", (torch.tensor([1.0, float("nan"), 2.0]), torch.tensor([float("nan"), 3.0, -1.0])), {}
        yield f"{name}.default", (whole(3), whole(3)), {}
    for name in ("var", "std"):
        yield f"{name}_mean.correction", (x, [1]), {"correction": 0, "keepdim": True}
        yield f"{name}_mean.correction", (x,), {}
    for name in ("cummax", "cummin"):
        yield f"{name}.default", (real(3, 5), -1), {}
        yield f"{name}.default", (torch.tensor([1.0, 2.0, 2.0, 1.0, 3.0]), 0), {}
    yield "logcumsumexp.default", (real(3, 5, low=-50, high=50), 0), {}
    yield "kthvalue.default", (x, 2, 1), {}
    yield "median.dim", (x, 2, True), {}
    yield "median.dim", (x, 1), {}
    yield "median.default", (x,), {}
    for name in ("sum", "mean", "prod", "max", "min", "all", "any", "argmax", "argmin", "count_nonzero"):
        yield f"{name}.default", (x,), {}
    yield "sum.default", (truth(4),), {}
    yield "sum.dim_IntList", (x, [0, -1], True), {}
    yield "sum.dim_IntList", (whole(3, 2), [1]), {"dtype": torch.float32}
    yield "mean.dim", (x, [-1], True), {}
    yield "mean.default", (whole(3),), {"dtype": torch.float64}
    yield "prod.dim_int", (x, 1), {}
    for name in ("amax", "amin"):
        yield f"{name}.default", (x, [0, 2]), {}
    for name in ("max", "min"):
        yield f"{name}.dim", (x, 1, True), {}
    for name in ("argmax", "argmin"):
        yield f"{name}.default", (x, 1), {}
    for name in ("all", "any"):
        yield f"{name}.dim", (truth(3, 4), 1), {}
        yield f"{name}.dims", (truth(3, 4), [0, 1]), {}
    yield "count_nonzero.dim_IntList", (whole(3, 4, low=0, high=2), [1]), {}
    for name in ("var", "std"):
        yield f"{name}.correction", (x, [1]), {"correction": 0, "keepdim": True}
        yield f"{name}.correction", (x,), {}
        yield f"{name}.dim", (x, [1, 2], False), {}
    for name in ("cumsum", "cumprod"):
        yield f"{name}.default", (x, -1), {}
        yield f"{name}.default", (whole(3).int(), 0), {}
    yield "linalg_vector_norm.default", (x, 3, [1]), {}
    yield "linalg_vector_norm.default", (x,), {}
    yield "norm.ScalarOpt_dim", (x, 2, [1], True), {}
    yield "logsumexp.default", (x, [0, 1]), {}
    yield "histc.default", (real(20), 4, -1, 1.5), {}
    yield "histc.default", (whole(20).double(), 6, -3, 3), {}
    yield "sort.default", (x, 1, True), {}
    yield "sort.stable", (x,), {"stable": True, "dim": 0, "descending": False}
    yield "argsort.default", (x, 1), {}
    yield "topk.default", (x, 2), {}
    yield "topk.default", (x, 2, 1, False), {}


def _shapes() -> Iterator[Found]:
    x = real(2, 3, 4)
    for name in ("view", "_unsafe_view", "reshape", "_reshape_copy", "view_copy"):
        yield f"{name}.default", (x, [6, -1]), {}
    yield "flatten.using_ints", (x, 1), {}
    yield "unflatten.int", (x, 2, [2, 2]), {}
    yield "view_as.default", (x, real(6, 4)), {}
    yield "reshape_as.default", (x, real(6, 4)), {}
    for name in ("clone", "contiguous", "alias", "lift_fresh_copy", "lift_fresh", "detach", "t"):
        yield f"{name}.default", (x[0],), {}
    yield "copy.default", (x, whole(4)), {}
    yield "transpose.int", (x, 0, -1), {}
    yield "permute.default", (x, [2, 0, -2]), {}
    yield "movedim.int", (x, 0, -1), {}
    yield "unsqueeze.default", (x, -1), {}
    y = real(1, 3, 1)
    yield "squeeze.default", (y,), {}
    yield "squeeze.dim", (y, 0), {}
    yield "squeeze.dim", (y, 1), {}
    yield "squeeze.dims", (y, [0, -1]), {}
    yield "expand.default", (y, [2, -1, 4]), {}
    yield "expand_as.default", (y, x), {}
    yield "broadcast_to.default", (y, [5, 1, 3, 2]), {}
    yield "cat.default", ([x, x[:, :1]], 1), {}
    yield "cat.default", ([real(0), real(3), whole(2)],), {}
    yield "stack.default", ([x, x], -1), {}
    yield "slice.Tensor", (x, 2, 1, 2**63 - 1, 2), {}
    yield "slice.Tensor", (x, 1, -2, -1), {}
    yield "select.int", (x, 1, -1), {}
    for name in ("narrow", "narrow_copy"):
        yield f"{name}.default", (x, 1, 1, 2), {}
    for name in ("tril_indices", "triu_indices"):
        yield f"{name}.default", (3, 4, 1), {}
    yield "split.Tensor", (x, 3, 2), {}
    yield "split_with_sizes.default", (x, [1, 3], 2), {}
    yield "chunk.default", (x, 3, 2), {}
    yield "unbind.int", (x, 1), {}
    yield "repeat.default", (x, [2, 1, 2, 3]), {}
    yield "repeat_interleave.self_int", (x, 2, 1), {}
    yield "repeat_interleave.self_int", (x, 2), {}
    yield "roll.default", (x, [1, -2], [0, 2]), {}
    yield "roll.default", (x, [5]), {}
    yield "flip.default", (x, [0, -1]), {}
    for name in ("tril", "triu"):
        yield f"{name}.default", (x, 1), {}
        yield f"{name}.default", (truth(3, 3),), {}
    for mode in ("reflect", "replicate", "circular"):
        yield "pad.default", (x, [1, 2], mode), {}
        yield "pad.default", (x, [-1, 2], mode), {}
    yield "pad.default", (x, [1, 2, 0, 1]), {}
    yield "constant_pad_nd.default", (x, [1, -1, -1, 2], 1.5), {}
    for mode in ("reflection", "replication"):
        for space in (1, 2, 3):
            image = real(2, 2, *(4, 3, 5)[:space])
            yield f"{mode}_pad{space}d.default", (image, [1, 2, 0, 1, 2, 0][: 2 * space]), {}
    yield "index.Tensor", (x, [None, torch.tensor([0, -1, 2]), None]), {}
    yield "index.Tensor", (x, [torch.tensor([[0], [1]]), None, torch.tensor([1, 2])]), {}
    yield "index_put.default", (x, [None, torch.tensor([0, -1])], real(2, 2, 4)), {}
    yield "index_put.default", (x, [truth(2, 3)], torch.tensor(2.5, dtype=torch.float64)), {}
    yield "index_put.default", (x, [torch.tensor([0, 0, 1])], real(3, 3, 4), True), {}
    yield "index_put.default", (x, [None, torch.tensor([2, 2])], real(2, 2, 4), True), {}
    mask = torch.tensor([[True, False, True], [False, False, True]])
    yield "index_put.default", (x, [mask], real(3, 4)), {}
    yield "masked_scatter.default", (x, mask[..., None], real(20)), {}
    wide = torch.tensor([[0, 2, 0], [1, 0, 1]])
    for reduce in ("sum", "mean", "prod", "amax", "amin"):
        for own in (True, False):
            yield "scatter_reduce.two", (real(2, 3), 1, wide, real(2, 4), reduce), {"include_self": own}
    for reduce in ("add", "multiply"):
        yield "scatter.reduce", (real(2, 3), 1, wide, real(2, 4)), {"reduce": reduce}
    for reduce in ("mean", "prod", "amax", "amin"):
        for own in (True, False):
            here = torch.tensor([2, 0, 2])
            yield "index_reduce.default", (real(2, 3), 1, here, real(2, 3), reduce), {"include_self": own}
    few = torch.tensor([[2.0, 1.0, 2.0, 1.0, 3.0], [4.0, 3.0, 1.0, 2.0, 1.0]])
    for of in (few, few.long(), few.mT.contiguous()):
        yield "mode.default", (of,), {}
        yield "mode.default", (of, 0, True), {}
    some = torch.where(few > 3, torch.nan, few)
    for of in (some, some[:, :4], few.long(), torch.full((2, 3), torch.nan)):
        yield "nanmedian.default", (of,), {}
    for of in (real(3, 4), torch.tensor([[torch.nan, 1.0, torch.nan, 0.5], [3.0, torch.nan, 1.0, 2.0]])):
        yield "nanmedian.dim", (of, 1), {}
        yield "nanmedian.dim", (of, 0, True), {}
    for again in (False, True):
        yield "put.default", (real(3, 4), torch.tensor([0, -1, 5]), real(3), again), {}
    edges, inside = torch.tensor([0.0, 1.0, 1.0, 2.0], dtype=torch.float64), torch.tensor([[-1.0, 1.0], [0.5, 3.0]])
    for right in (False, True):
        yield "bucketize.Tensor", (inside.double(), edges), {"right": right}
        yield "searchsorted.Tensor", (edges, inside.double()), {"right": right}
        yield "searchsorted.Tensor", (edges.expand(2, 4), inside.double()), {"right": right, "out_int32": True}
    yield "scatter_reduce.two", (real(3, 2), 0, wide[:, :2], real(2, 2), "amax"), {}
    yield "unfold.default", (x, 2, 3, 1), {}
    yield "unfold.default", (x, 1, 2, 2), {}
    yield "as_strided.default", (real(4, 4), [3, 2], [4, 1], 1), {}
    yield "index_select.default", (x, 1, torch.tensor([2, 0])), {}
    yield "gather.default", (x, 2, whole(1, 3, 2, low=0, high=4)), {}
    at = torch.tensor([[0, 2], [1, 0]])
    yield "scatter.src", (real(2, 3), 1, at, real(2, 2)), {}
    yield "scatter.value", (real(2, 3), 1, at, 1.5), {}
    yield "scatter_add.default", (real(2, 3), 1, torch.tensor([[0, 0], [1, 0]]), real(2, 2)), {}
    yield "select_scatter.default", (x, real(2, 4), 1, -1), {}
    yield "slice_scatter.default", (x, real(2, 2, 4), 1, 1), {}
    yield "full.default", ([2, 3], 1.5), {}
    yield "full.default", ([2, 3], True), {}
    yield "full_like.default", (x, 2), {}
    yield "new_full.default", (x, [2], 3), {}
    yield "scalar_tensor.default", (2.5,), {"dtype": torch.float64}
    for name in ("zeros", "ones"):
        yield f"{name}.default", ([2, 3],), {"dtype": torch.int32}
        yield f"{name}_like.default", (x,), {}
        yield f"new_{name}.default", (x, [2, 2]), {"dtype": torch.bool}
    yield "arange.default", (5,), {}
    yield "arange.start", (2, 5), {"dtype": torch.float32}
    yield "arange.start_step", (5, 0, -2), {}
    yield "arange.start_step", (0, 1.0, 0.25), {"dtype": torch.float64}
    yield "eye.default", (3,), {}
    yield "eye.m", (3, 4), {"dtype": torch.float64}
    for of in (torch.float32, torch.int64, torch.bool):
        yield "_to_copy.default", (x,), {"dtype": of}
        yield "to.dtype", (x, of), {}
    yield "to.dtype_layout", (x,), {"dtype": torch.float32, "layout": torch.strided}
    yield "to.device", (x, torch.device("cpu"), torch.float32), {}
    yield "to.other", (x, whole(1)), {}
    yield "type_as.default", (x, whole(1)), {}
    yield "diagonal.default", (x, 1, 0, 2), {}


def _matrices() -> Iterator[Found]:
    m = real(2, 3, 3)
    spd = m @ m.mT + torch.eye(3, dtype=torch.float64)
    yield "_linalg_det.default", (m,), {}
    yield "_linalg_slogdet.default", (m,), {}
    yield "linalg_inv_ex.default", (m,), {}
    for upper in (False, True):
        yield "linalg_cholesky_ex.default", (spd,), {"upper": upper}
        yield "linalg_solve_triangular.default", (m.tril() + m.triu(), real(2, 3, 2)), {"upper": upper}
    yield "linalg_solve_triangular.default", (m, real(2, 2, 3)), {"upper": True, "left": False, "unitriangular": True}
    yield "_linalg_solve_ex.default", (m, real(2, 3, 2)), {}
    yield "_linalg_solve_ex.default", (m, real(2, 3)), {}
    yield "_linalg_solve_ex.default", (m, real(2, 2, 3)), {"left": False}
    yield "_linalg_svd.default", (m, False, False), {}
    yield "_linalg_eigh.default", (spd, "L", False), {}
    yield "linalg_qr.default", (spd, "r"), {}
    tall, flat = real(2, 4, 3), torch.outer(real(3), real(4))
    given = torch.tensor(0.5, dtype=torch.float64)
    for of in (m, tall, tall.mT, flat):
        yield "linalg_pinv.atol_rtol_tensor", (of,), {}
        yield "linalg_pinv.atol_rtol_tensor", (of,), {"atol": given, "rtol": given / 2}
        yield "linalg_pinv.atol_rtol_tensor", (of,), {"atol": given}
    skew = real(4, 4) * 300
    for of in (m, torch.stack([m[0], m[1] * 1e-3, m[0] * 20 - 40 * torch.eye(3)]), skew - skew.mT, m.float()):
        yield "linalg_matrix_exp.default", (of,), {}
    for upper in (False, True):
        yield "cholesky_solve.default", (real(2, 3, 2), m.tril() + m.triu(), upper), {}
        yield "cholesky_inverse.default", (m.tril() + m.triu(), upper), {}
    yield "linalg_eig.default", (torch.tensor([[2.0, 1.0], [0.0, 3.0]], dtype=torch.float64),), {}
    for name in ("linalg_eigvals", "_linalg_eigvals"):
        yield f"{name}.default", (torch.tensor([[2.0, 1.0], [0.0, 3.0]], dtype=torch.float64),), {}
    z = torch.complex(real(3, 4), real(3, 4))
    for n in range(3):
        yield "_fft_c2c.default", (z, [0, 1], n, True), {}
        yield "_fft_c2c.default", (z, [1], n, False), {}
        yield "_fft_r2c.default", (real(3, 4), [0, 1], n, True), {}
        yield "_fft_r2c.default", (real(3, 4), [1], n, False), {}
        yield "_fft_c2r.default", (torch.fft.rfft2(real(3, 5)), [0, 1], n, 5), {}
    yield "complex.default", (real(3), real(3)), {}
    yield "polar.default", (real(3, low=0), real(3)), {}
    for name in ("view_as_real", "angle", "real", "imag"):
        yield f"{name}.default", (z,), {}
    yield "view_as_complex.default", (real(3, 4, 2),), {}
    yield "angle.default", (real(5),), {}
    for order in (0.0, 1.0, 2.0, 3.0, float("inf")):
        yield "_cdist_forward.default", (real(2, 4, 3), real(2, 5, 3), order, None), {}
        yield "_pdist_forward.default", (real(4, 3), order), {}
    yield "_trilinear.default", (real(3, 4), real(2, 4, 5), real(3, 5), [1, 3], [0], [1, 2], [2, 3]), {}


def _neural() -> Iterator[Found]:
    a, b = real(3, 4), real(4, 2)
    yield "linear.default", (real(2, 3, 4), real(5, 4), real(5)), {}
    yield "addmm.default", (real(2), a, b), {"beta": 0.5, "alpha": 2}
    yield "addmm.default", (real(2), a, b), {"beta": 0}
    yield "addmv.default", (real(3), a, real(4)), {"beta": 2, "alpha": 3}
    yield "addbmm.default", (real(3, 2), real(5, 3, 4), real(5, 4, 2)), {"alpha": 2}
    yield "baddbmm.default", (real(1, 3, 2), a[None], b[None]), {}
    yield "mm.default", (a, b), {}
    yield "bmm.default", (real(2, 3, 4), real(2, 4, 5)), {}
    yield "matmul.default", (real(2, 3, 4), b), {}
    yield "mv.default", (a, real(4)), {}
    yield "dot.default", (real(4), real(4)), {}
    table, at, begin = real(5, 3), whole(6, low=0, high=5), torch.tensor([0, 2, 2, 5])
    for mode in (0, 1, 2):
        for name in ("_embedding_bag", "_embedding_bag_forward_only"):
            yield f"{name}.default", (table, at, begin, False, mode), {}
            yield f"{name}.default", (table, at, begin, False, mode, False, None, True, 2), {}
    yield "_embedding_bag.default", (table, at, begin, False, 0, False, real(6)), {}
    for shape, name in (((4, 7), "nll_loss_forward"), ((2, 7, 3, 2), "nll_loss2d_forward")):
        target = whole(shape[0], *shape[2:], low=0, high=7)
        target[0] = -100
        for reduction in (0, 1, 2):
            yield f"{name}.default", (real(*shape), target, None, reduction, -100), {}
            yield f"{name}.default", (real(*shape), target, real(7, low=0.5), reduction, -100), {}
    yield from _matrices()
    ends = torch.tensor([2, 2, 6], dtype=torch.int32)
    yield "_grouped_mm.default", (real(6, 4).float(), real(3, 4, 8).float(), ends), {}
    yield "outer.default", (real(4), real(3)), {}
    x = real(2, 4, 6)
    yield "layer_norm.default", (x, [6], real(6), real(6)), {}
    yield "layer_norm.default", (x, [4, 6], None, real(4, 6), 1e-3), {}
    yield "native_layer_norm.default", (x, [6], real(6), real(6), 1e-5), {}
    yield "rms_norm.default", (x, [6], real(6), 1e-6), {}
    yield "rms_norm.default", (x, [6]), {}
    yield "group_norm.default", (x, 2, real(4), real(4)), {}
    yield "native_group_norm.default", (x, real(4), real(4), 2, 4, 6, 2, 1e-5), {}
    statistics = real(4), real(4, low=0.1)
    yield "_native_batch_norm_legit_no_training.default", (x, real(4), real(4), *statistics, 0.1, 1e-5), {}
    yield "_native_batch_norm_legit.no_stats", (x, real(4), real(4), True, 0.1, 1e-5), {}
    for train in (False, True):
        given = (x, real(4), real(4), *statistics, train, 0.1, 1e-5)
        yield "_native_batch_norm_legit_functional.default", given, {}
        yield "batch_norm.default", (*given, False), {}
    yield "batch_norm.default", (x, None, None, *statistics, False, 0.1, 1e-5, False), {}
    yield "_weight_norm.default", (real(3, 4), real(3, 1)), {}
    heads = real(2, 4, 5, 3), real(2, 4, 6, 3), real(2, 4, 6, 3)
    mask = truth(2, 1, 5, 6)
    mask[0, 0, 0] = False
    yield "scaled_dot_product_attention.default", heads, {}
    yield "scaled_dot_product_attention.default", (*heads, mask), {}
    yield "scaled_dot_product_attention.default", (*heads, real(5, 6)), {"scale": 0.3}
    yield "scaled_dot_product_attention.default", (heads[0], heads[0], heads[0], None, 0.0, True), {}
    shared = (heads[0], heads[1][:, :2], heads[2][:, :2])
    yield "scaled_dot_product_attention.default", shared, {"enable_gqa": True}
    yield "embedding.default", (real(5, 3), whole(2, 2, low=0, high=5)), {}
    yield "dropout.default", (x, 0.5, False), {}
    yield "native_dropout.default", (x, 0.5, False), {}
    for name in ("softmax", "log_softmax"):
        yield f"{name}.int", (x, -1), {}
        yield f"{name}.int", (x.float(), 1, torch.float64), {}
        yield f"_{name}.default", (x, 1, False), {}
    for space in (1, 2, 3):
        image, kernel = real(2, 4, *(7, 6, 5)[:space]), real(6, 2, *(3, 2, 3)[:space])
        yield f"conv{space}d.default", (image, kernel, real(6), [2], [1], [1], 2), {}
        yield f"conv{space}d.padding", (image, kernel, None, [1], "same", [1], 2), {}
        yield f"max_pool{space}d.default", (image, [3] * space, [2], [1], [1], True), {}
        yield f"max_pool{space}d.default", (image, [2] * space), {}
        yield f"avg_pool{space}d.default", (image, [2] * space, [2] * space, [1] * space, False, False), {}
        yield f"adaptive_avg_pool{space}d.default", (image, [3] * space), {}
        wide = [9, 4, 11][:space]
        yield f"upsample_nearest{space}d.vec", (image, wide, None), {}
        yield f"upsample_nearest{space}d.vec", (image, None, [1.5] * space), {}
        overload = ("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d")[space - 1]
        for corners in (False, True):
            yield f"{overload}.vec", (image, wide, corners, None), {}
        yield f"{overload}.vec", (image, None, False, [1.7] * space), {}
        yield f"_upsample_nearest_exact{space}d.vec", (image, wide, None), {}
        yield f"_upsample_nearest_exact{space}d.vec", (image, None, [1.5] * space), {}
        name = f"conv_transpose{space}d.{'default' if space == 1 else 'input'}"
        yield name, (image, real(4, 3, *(3, 2, 3)[:space]), real(6), [3], [1], [1], 2), {}
        yield name, (image, real(4, 3, *(3, 2, 3)[:space]), real(6), [2], [0], [1], 2), {}
    for ends in ([3, 0, -1, 1], [2, 3, 1, 0], [-1, 0, 1, 2]):
        for reduction in (0, 1, 2):
            lists = torch.tensor([ends, [1, -1, 0, 0], ends])
            yield "multilabel_margin_loss.default", (real(3, 4), lists, reduction), {}
    yield "multilabel_margin_loss.default", (real(4), torch.tensor([3, 0, -1, 1])), {}
    image = real(2, 4, 7, 6)
    yield "convolution.default", (image, real(6, 4, 3, 3), real(6), [1, 1], [1, 1], [1, 1], False, [0, 0], 1), {}
    yield "convolution.default", (image, real(4, 6, 3, 3), None, [2, 2], [1, 1], [1, 1], True, [1, 1], 1), {}
    yield "conv2d.default", (image[0], real(6, 4, 3, 3)), {}
    for corners in (False, True):
        for wide in ([9, 4], [3, 2]):
            for kind in ("bilinear", "bicubic"):
                yield f"_upsample_{kind}2d_aa.default", (image, wide, corners), {}
        yield "upsample_bicubic2d.vec", (image, [9, 4], corners, None), {}
    yield "upsample_bicubic2d.vec", (image, None, False, [1.7, 0.6]), {}
    yield "_upsample_bilinear2d_aa.vec", (image, None, False, [0.5, 1.5]), {}
    yield "_upsample_bicubic2d_aa.vec", (image, [5, 3], False, None), {}
    yield "avg_pool2d.default", (image, [3, 3], [2, 2], [1, 1], True), {}
    yield "avg_pool2d.default", (image, [3, 3], [2, 2], [1, 1], True, False), {}
    yield "avg_pool2d.default", (image, [3, 2], [2, 2], [1, 1], False, True, 5), {}
    for space in (2, 3):
        volume = real(2, 3, *(6, 5, 4)[:space])
        yield f"max_pool{space}d_with_indices.default", (volume, [2] * space), {}
        yield f"max_pool{space}d_with_indices.default", (volume, [3] * space, [2], [1], [1], True), {}
        yield f"_adaptive_avg_pool{space}d.default", (volume, [2] * space), {}
        yield f"adaptive_max_pool{space}d.default", (volume, [2, 4, 3][:space]), {}
