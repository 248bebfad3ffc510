"""How PyTorch contracts fastest: `torch.matmul` on views; `torch.einsum` only while a compiler traces.

`torch.einsum` ends in the same batched product, after some 8 us of parsing and permuting (9.4 us against 1.3 for 4x4).
Integer products have no kernel on GPUs; there a broadcast product and a sum stand in.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from tensoria.planning import Costs, Kernels

__all__ = ["integer_kernels", "integer_matmul", "integer_tensordot", "kernels"]

Array = Any
matmul = torch.matmul


def _matmul_nt(a: Array, b: Array) -> Array:
    return matmul(a, b.mT)


def _matmul_tn(a: Array, b: Array) -> Array:
    return matmul(a.mT, b)


def _matmul_tt(a: Array, b: Array) -> Array:
    return matmul(a.mT, b.mT)


def _cast(a: Array, into: Any) -> Array:
    return a.to(into)


def integer_matmul(a: Array, b: Array) -> Array:
    """The matrix product of integers: wraps around like the elementwise product, on GPUs too."""
    if a.device.type == "cpu":
        return matmul(a, b)
    rows, columns = a.dim() > 1, b.dim() > 1
    left = (a if rows else a.unsqueeze(0)).unsqueeze(-1)
    right = (b if columns else b.unsqueeze(-1)).unsqueeze(-3)
    result = (left * right).sum(-2, dtype=a.dtype)
    if not columns:
        result = result.squeeze(-1)
    return result if rows else result.squeeze(-1 if not columns else -2)


def integer_tensordot(a: Array, b: Array, /, *, axes: Any = 2) -> Array:
    """Like `torch.tensordot`."""
    ours, theirs = (range(a.dim() - axes, a.dim()), range(axes)) if isinstance(axes, int) else axes
    ours, theirs = [n % a.dim() for n in ours], [n % b.dim() for n in theirs]
    left, right = ([n for n in range(x.dim()) if n not in at] for x, at in ((a, ours), (b, theirs)))
    count = math.prod(a.shape[n] for n in ours)
    rows = a.permute([*left, *ours]).reshape(math.prod(a.shape[n] for n in left), count)
    columns = b.permute([*theirs, *right]).reshape(count, math.prod(b.shape[n] for n in right))
    return integer_matmul(rows, columns).reshape([*(a.shape[n] for n in left), *(b.shape[n] for n in right)])


def _integer_matmul_nt(a: Array, b: Array) -> Array:
    return integer_matmul(a, b.mT)


def _integer_matmul_tn(a: Array, b: Array) -> Array:
    return integer_matmul(a.mT, b)


def _integer_matmul_tt(a: Array, b: Array) -> Array:
    return integer_matmul(a.mT, b.mT)


def _integer_einsum(equation: str, *arrays: Array) -> Array:
    # A sum of small integers comes back as int64.
    return torch.einsum(equation, *arrays).to(arrays[0].dtype)


kernels = Kernels(
    # The functions, not the methods: these take 0.6 us longer to read a tuple.
    transpose=torch.permute,
    reshape=torch.reshape,
    dot=matmul,
    inner=torch.dot,
    matvec=torch.mv,
    matmul=matmul,
    dot_nt=_matmul_nt,
    dot_tn=_matmul_tn,
    dot_tt=_matmul_tt,
    matmul_nt=_matmul_nt,
    matmul_tn=_matmul_tn,
    matmul_tt=_matmul_tt,
    multiply=torch.mul,
    vecdot=torch.linalg.vecdot,
    einsum=torch.einsum,
    cast=_cast,
    costs=Costs(
        call=1.2,
        batched=1.6,
        reshape=0.9,
        transpose=0.9,
        copy=1150.0,
        copy_rows=130.0,
        gemm=21.0,
        integer=60.0,
        batch=0.09,
        vector=0.0,
        multiply=1.1,
        multiply_rate=110.0,
        vecdot=2.4,
        vecdot_rate=137.0,
        einsum=math.inf,
        einsum_rate=math.inf,
        einsum_thin=math.inf,
        outer_as_gemm=False,
        lazy_transpose=True,
    ),
)
integer_kernels = kernels._replace(
    dot=integer_matmul,
    inner=integer_matmul,
    matvec=integer_matmul,
    vecdot=None,
    matmul=integer_matmul,
    dot_nt=_integer_matmul_nt,
    dot_tn=_integer_matmul_tn,
    dot_tt=_integer_matmul_tt,
    matmul_nt=_integer_matmul_nt,
    matmul_tn=_integer_matmul_tn,
    matmul_tt=_integer_matmul_tt,
    einsum=_integer_einsum,
)
