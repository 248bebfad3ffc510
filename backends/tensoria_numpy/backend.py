"""The NumPy backend: arrays, devices and conversions; contraction lives in `contraction`."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensoria.backend import PYTHON_OPERATORS, Array, Backend
from tensoria.dtypes import DType, dtype, uint32
from tensoria.errors import ConversionError, DTypeError
from tensoria_numpy import namespace as xp
from tensoria_numpy.contraction import kernels
from tensoria_numpy.neural import KERNELS

__all__ = ["NumpyBackend", "backend"]

SLICE = 2**15
"""So many components of every intermediate result stay in the processor's cache."""
OPERATORS = {**PYTHON_OPERATORS, "floor_divide": xp.floor_divide}


class NumpyBackend(Backend):
    """NumPy arrays in host memory."""

    name = "numpy"
    package = "numpy"
    xp = xp
    kernels = kernels
    immutable = False
    differentiates = False
    immediate = True
    fixed = frozenset((np.ndarray,))
    operators = OPERATORS
    primitives = KERNELS
    models = ("numpy",)
    word = uint32

    # Mixed kinds promote in NumPy's own way, which is not the standard's.
    def add(self, a: Array, b: Array) -> Array:
        return a + b if a.dtype is b.dtype else operator.add(*self.promoted(a, b))

    def subtract(self, a: Array, b: Array) -> Array:
        return a - b if a.dtype is b.dtype else operator.sub(*self.promoted(a, b))

    def multiply(self, a: Array, b: Array) -> Array:
        return a * b if a.dtype is b.dtype else operator.mul(*self.promoted(a, b))

    def matmul(self, a: Array, b: Array) -> Array:
        if a.dtype is not b.dtype:
            a, b = self.promoted(a, b)
        if a.dtype.kind == "b":
            raise TypeError("NumPy multiplies matrices of truth values, and the standard does not")
        return a @ b

    # -- arrays ---------------------------------------------------------------------------------------------------

    def owns(self, value: Any) -> bool:
        # A matrix never has fewer than two axes, and a masked array has components that are none.
        return isinstance(value, (np.ndarray, np.generic)) and not isinstance(value, (np.matrix, np.ma.MaskedArray))

    def native_dtype(self, of: DType) -> Any:
        if of.name == "bfloat16":
            raise DTypeError("the numpy backend has no data type bfloat16.")
        return np.dtype(of.name)

    def dtype(self, array: Array) -> DType:
        return _DTYPES[array.dtype] if array.dtype in _DTYPES else dtype(array.dtype.name)

    def device(self, array: Array) -> str:
        return "cpu"

    def devices(self) -> list[str]:
        return ["cpu"]

    # -- making and moving ----------------------------------------------------------------------------------------

    def asarray(self, data: Any, of: DType | None, device: str | None, copy: bool | None) -> Array:
        if device is not None:
            self.known_device(device)
        native = None if of is None else self.native_dtype(of)
        try:
            made = np.array(data, dtype=native, copy=copy)
        except ValueError as error:
            if copy is False:
                raise ConversionError("this needs a copy, and copy=False forbids it.") from None
            raise ConversionError(f"no rectangular array of numbers: {error}") from None
        except (TypeError, OverflowError) as error:
            raise ConversionError(f"no array of numbers: {error}") from None
        if made.dtype not in _DTYPES:
            raise DTypeError(f"NumPy makes {made.dtype} of this, which is no data type of tensoria.")
        return made

    def to_device(self, array: Array, device: str) -> Array:
        self.known_device(device)
        return array

    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]:
        return np.asarray(array)

    def dlpack(self, array: Array, **options: Any) -> Any:
        return super().dlpack(np.asarray(array), **options)  # NumPy's scalars have no such method

    def dlpack_device(self, array: Array) -> tuple[Any, int]:
        return super().dlpack_device(np.asarray(array))

    def import_array(self, array: Array, source: Backend) -> Array | None:
        # Every host array of the other backends can be seen by NumPy; they know best how.
        return source.to_numpy(array) if source.device(array) == "cpu" else None

    def unshared(self, array: Array) -> Array:
        # What an immutable tensor shows as read-only is copied when it is first written to.
        return array.copy() if array.flags.writeable else array

    # -- operations -----------------------------------------------------------------------------------------------

    def reshape(self, array: Array, shape: Sequence[int | None]) -> Array:
        out = array.reshape(shape)  # the method: NumPy's scalars have it too
        if out.shape != shape and -1 not in shape and out.shape != tuple(shape):
            raise ValueError("a size is negative")  # which NumPy takes for -1
        return out

    def eigvals(self, array: Array) -> Array:
        values = np.linalg.eigvals(array)
        return values if np.iscomplexobj(values) else values.astype(np.result_type(values, np.complex64))

    def eig(self, array: Array) -> tuple[Array, Array]:
        values, vectors = np.linalg.eig(array)
        into = np.result_type(values, np.complex64)
        return values.astype(into, copy=False), vectors.astype(into, copy=False)

    def contract(self, of: Any, a: Array, b: Array) -> Array:
        return self.pairs[of, a.shape, b.shape, a.dtype, b.dtype](a, b)

    def model(self, program: Any, kind: str, passes: Any) -> Any:
        from tensoria_numpy.modules import Model

        return Model(program, passes)

    def dialect(self) -> Any:
        from tensoria_numpy.source import DIALECT

        return DIALECT
    def staged(self, function: Callable[..., Any], arrays: Sequence[Array], *static: Any) -> Any:
        length = max(map(len, arrays))
        if length <= SLICE:
            return function(self, arrays, *static)
        parts = [
            function(self, [x[start : start + SLICE] if len(x) > 1 else x for x in arrays], *static)
            for start in range(0, length, SLICE)
        ]
        return tuple(map(np.concatenate, zip(*parts, strict=True)))

    def set_item(self, array: Array, key: Any, value: Any) -> Array:
        if isinstance(array, np.generic) or not array.flags.writeable:
            array = np.array(array)
        try:
            array[key] = value
        except ValueError:
            if getattr(value, "size", 0) != 1 or not value.ndim:
                raise
            array[key] = value.reshape(())[()]  # leading axes of length one do not count, here neither
        return array

    def overwrite(self, array: Array, value: Array) -> Array:
        if isinstance(array, np.generic) or not array.flags.writeable:
            return value
        array[...] = value
        return array


_DTYPES = {np.dtype(name): dtype(name) for name in (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64", "complex64", "complex128",
)}  # fmt: skip
backend = NumpyBackend()
