"""array_api_strict as a framework that tensoria knows nothing of: a backend of what the Array API demands."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tensoria.backend import Backend
from tensoria.dtypes import DType
from tensoria.planning import Costs, Kernels

strict = pytest.importorskip("array_api_strict", reason="array_api_strict is a development dependency")


def einsum(equation: str, *arrays: Any) -> Any:
    return strict.asarray(np.einsum(equation, *[np.asarray(a) for a in arrays]))


def transposed(a: Any) -> Any:
    return a.T if a.ndim == 2 else strict.matrix_transpose(a)


KERNELS = Kernels(
    transpose=strict.permute_dims,
    reshape=strict.reshape,
    dot=strict.matmul,
    inner=strict.matmul,
    matvec=strict.matmul,
    matmul=strict.matmul,
    dot_nt=lambda a, b: a @ transposed(b),
    dot_tn=lambda a, b: transposed(a) @ b,
    dot_tt=lambda a, b: transposed(a) @ transposed(b),
    matmul_nt=lambda a, b: a @ transposed(b),
    matmul_tn=lambda a, b: transposed(a) @ b,
    matmul_tt=lambda a, b: transposed(a) @ transposed(b),
    multiply=strict.multiply,
    vecdot=None,
    einsum=einsum,
    cast=strict.astype,
    costs=Costs(
        call=1, batched=1, reshape=1, transpose=1, copy=500, copy_rows=100, gemm=20, integer=500, batch=0.1, vector=0,
        multiply=1, multiply_rate=200, vecdot=1, vecdot_rate=100, einsum=math.inf, einsum_rate=math.inf,
        einsum_thin=math.inf, outer_as_gemm=False, lazy_transpose=True,
    ),
)  # fmt: skip


class StrictBackend(Backend):
    name = "array_api_strict"
    package = "array-api-strict"
    xp = strict
    kernels = KERNELS
    differentiates = False

    def add(self, a: Any, b: Any) -> Any:
        return strict.add(*self.promoted(a, b))

    def subtract(self, a: Any, b: Any) -> Any:
        return strict.subtract(*self.promoted(a, b))

    def multiply(self, a: Any, b: Any) -> Any:
        return strict.multiply(*self.promoted(a, b))

    def owns(self, value: Any) -> bool:
        return isinstance(value, type(strict.asarray(0)))

    def device(self, array: Any) -> str:
        return "cpu"

    def devices(self) -> list[str]:
        return ["cpu"]

    def asarray(self, data: Any, of: DType | None, device: str | None, copy: bool | None) -> Any:
        return strict.asarray(data, dtype=None if of is None else self.native_dtype(of), copy=copy)

    def to_device(self, array: Any, device: str) -> Any:
        return array

    def to_numpy(self, array: Any) -> np.ndarray[Any, Any]:
        return np.asarray(array)
