"""The PyTorch backend: arrays, devices, conversions and derivatives; contraction lives in `contraction`."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import _get_current_dispatch_mode

from tensoria.backend import UNKNOWN, Array, Backend
from tensoria.components import Components, flat
from tensoria.dtypes import DType, dtype, int32, int64
from tensoria.errors import ConversionError, DTypeError
from tensoria.planning import Pattern
from tensoria_torch import factorisations, subscripts
from tensoria_torch import namespace as xp
from tensoria_torch.contraction import integer_kernels, kernels
from tensoria_torch.corrections import OPERATORS
from tensoria_torch.neural import KERNELS
from tensoria_torch.unsigned import LIFTED, bits

__all__ = ["TorchBackend", "backend"]

is_compiling = torch.compiler.is_compiling

NATIVE = {name: getattr(torch, name) for name in (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "bfloat16", "float32", "float64", "complex64", "complex128",
)}  # fmt: skip
PLAIN_KEYS = (int, slice)
NAMED = {native: dtype(name) for name, native in NATIVE.items()}
UPDATING = {
    "add": operator.iadd, "multiply": operator.imul, "bitwise_and": operator.iand, "bitwise_or": operator.ior,
    "bitwise_xor": operator.ixor, "bitwise_left_shift": operator.ilshift,
}  # fmt: skip
"""Half of the time that many operations in a row take is the allocation of results."""


transforming = torch._C._functorch.peek_interpreter_stack
"""The innermost transform of `torch.func` that is at work, if any."""


def _by_number(name: str, direct: Callable[[Array, float], Array]) -> Callable[[Any, Any], Array]:
    """An operator that meets a Python number.

    PyTorch makes a tensor without a tangent of it, which nested forward derivatives take through Python code, eight
    times as slow as the kernel for numbers.
    """
    usual = OPERATORS[name]

    def apply(a: Any, b: Any) -> Array:
        if type(b) in (float, int) and not is_compiling() and transforming() is not None and a.is_floating_point():
            return direct(a, b)
        return usual(a, b)

    return apply


class TorchBackend(Backend):
    """PyTorch tensors on any device; parameters and other subclasses stay what they are."""

    name = "torch"
    package = "torch"
    xp = xp
    kernels = kernels
    integer_kernels = integer_kernels
    immutable = False
    immediate = True
    fixed = frozenset((torch.Tensor,))
    primitives = KERNELS
    models = ("torch",)
    updating = UPDATING
    operators = OPERATORS | {
        "multiply": _by_number("multiply", torch.ops.aten.mul.Scalar),
        "divide": _by_number("divide", torch.ops.aten.div.Scalar),
    }
    # A constant for TorchDynamo; the other tracers run our code for real.
    tracing = staticmethod(torch.compiler.is_dynamo_compiling)

    # PyTorch lets a 0-d operand of the same kind not promote, where the Array API does.
    def add(self, a: Array, b: Array) -> Array:
        return a + b if a.dtype == b.dtype else operator.add(*self.promoted(a, b))

    def subtract(self, a: Array, b: Array) -> Array:
        return a - b if a.dtype == b.dtype else operator.sub(*self.promoted(a, b))

    def multiply(self, a: Array, b: Array) -> Array:
        return a * b if a.dtype == b.dtype else operator.mul(*self.promoted(a, b))

    # -- arrays ---------------------------------------------------------------------------------------------------

    def owns(self, value: Any) -> bool:
        return isinstance(value, torch.Tensor)

    def shape(self, array: Array) -> tuple[int | None, ...]:
        return tuple(array.shape)

    def native_dtype(self, of: DType) -> Any:
        return NATIVE[of.name]

    def dtype(self, array: Array) -> DType:
        found = NAMED.get(array.dtype)
        if found is None:
            raise DTypeError(f"{array.dtype} is no data type of tensoria.")
        return found

    def device(self, array: Array) -> str:
        device = array.device
        return "cpu" if device.type == "cpu" else f"{device.type}:{device.index or 0}"

    def devices(self) -> list[str]:
        kind = torch.accelerator.current_accelerator(check_available=True)
        return ["cpu", *(f"{kind.type}:{n}" for n in range(torch.accelerator.device_count() if kind else 0))]

    @property
    def word(self) -> DType:
        # Eager int32 wraps around, in half of int64's time; in compiled C++ it is undefined what an overflow gives.
        return int64 if is_compiling() else int32

    # -- making and moving ----------------------------------------------------------------------------------------

    def asarray(self, data: Any, of: DType | None, device: str | None, copy: bool | None) -> Array:
        native = None if of is None else NATIVE[of.name]
        where = None if device is None or device == UNKNOWN else torch.device(self.known_device(device))
        if isinstance(data, np.ndarray):
            return self._from_numpy(data, native, where, copy)
        if copy is False:
            raise ConversionError("this needs a copy, and copy=False forbids it.")
        if isinstance(data, (list, tuple)) and _has_arrays(data):
            data = np.asarray(data)  # PyTorch reads nested sequences of arrays element by element
        try:
            return torch.tensor(data, dtype=native, device=where)
        except (TypeError, ValueError, OverflowError, RuntimeError) as error:
            raise ConversionError(f"no rectangular array of numbers: {str(error).splitlines()[0]}") from None

    def _from_numpy(self, data: Any, native: Any, where: Any, copy: bool | None) -> Array:
        if data.dtype.name not in NATIVE:
            raise DTypeError(f"NumPy's {data.dtype} is no data type of tensoria.")
        # PyTorch aborts on negative strides and warns on read-only memory: both are copied instead.
        fresh = any(stride < 0 for stride in data.strides) or not data.flags.writeable or not data.dtype.isnative
        if copy is False and (fresh or (where is not None and where.type != "cpu")):
            raise ConversionError("PyTorch can not share this NumPy array; copy=False is impossible.")
        if fresh or copy:
            data = np.array(data, dtype=data.dtype.newbyteorder("="), copy=True)
        return torch.from_numpy(data).to(dtype=native, device=where)

    def to_device(self, array: Array, device: str) -> Array:
        return array.to(self.known_device(device))

    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]:
        array = array.detach()
        if array.dtype == torch.bfloat16:
            array = array.float()  # NumPy has no bfloat16; every one of its values is a float32
        return array.cpu().resolve_conj().resolve_neg().numpy()

    def import_array(self, array: Array, source: Backend) -> Array | None:
        if isinstance(array, np.ndarray):
            try:
                return self._from_numpy(array, None, None, False)
            except ConversionError:
                return None
        try:
            return torch.from_dlpack(array)
        except (RuntimeError, TypeError, BufferError, AttributeError, NotImplementedError):
            return None

    def from_dlpack(self, source: Any, copy: bool | None) -> Array:
        if int(source.__dlpack_device__()[0]) == 1:
            try:
                view = np.from_dlpack(source)
            except (BufferError, RuntimeError):  # a data type that NumPy lacks
                view = np.empty(0)
            if any(stride < 0 for stride in view.strides):  # which PyTorch aborts on (pytorch#188023)
                return self._from_numpy(view, None, None, copy)
        array = torch.from_dlpack(source)
        return array.clone() if copy else array

    def constant(self, components: Components, of: DType, like: Array) -> Array:
        if is_compiling():
            numbers, shape = flat(components)
            return torch.tensor(numbers, dtype=NATIVE[of.name], device=like.device).reshape(shape)
        if _get_current_dispatch_mode() is not None:  # fake tensors and the like must not be remembered
            return self.asarray(components.values, of, None, True).to(like.device)
        # Nor tensors that can not be differentiated with, nor such as belong to a transform that ends.
        device = self.device(like)
        with torch.inference_mode(False), torch._C._DisableFuncTorch():
            return self.constants[components, of, device]

    def scalar_like(self, value: complex, of: DType, like: Array) -> Array:
        return torch.tensor(value, dtype=NATIVE[of.name], device=like.device)

    def array_like(self, values: Sequence[float], of: DType, like: Array) -> Array:
        return torch.tensor(list(values), dtype=NATIVE[of.name], device=like.device)

    def arange_like(self, count: int, of: DType, like: Array) -> Array:
        return torch.arange(count, dtype=NATIVE[of.name], device=like.device)

    def copy(self, array: Array) -> Array:
        return array.clone()

    def extremes(self, array: Array) -> tuple[float, float] | None:
        if array.dtype in LIFTED:
            return super().extremes(array)
        if not array.numel() or not self.readable(array) or array.device.type == "meta":
            return None
        low, high = torch.aminmax(array.detach())
        return float(low), float(high)

    def detach(self, array: Array) -> Array:
        return array.detach()

    def readable(self, array: Array) -> bool:
        return (
            not is_compiling()
            and _get_current_dispatch_mode() is None
            and not torch._C._functorch.is_functorch_wrapped_tensor(array)
        )

    def watched(self, array: Array) -> bool:
        return factorisations.watched(array)

    def requires_grad(self, array: Array) -> bool:
        return bool(array.requires_grad)

    # -- operations -----------------------------------------------------------------------------------------------

    def model(self, program: Any, kind: str, passes: Any) -> Any:
        from tensoria_torch.modules import made

        return made(program, kind, passes)

    def dialect(self) -> Any:
        from tensoria_torch.source import DIALECT

        return DIALECT

    def perceptron(self, sizes: Sequence[int]) -> Any:
        layers: list[torch.nn.Module] = []
        for a, b in itertools.pairwise(sizes):
            layers += [torch.nn.Linear(a, b), torch.nn.ReLU()]
        return torch.nn.Sequential(*layers[:-1])

    def captures(self, model: Any) -> bool:
        return isinstance(model, torch.nn.Module)

    def register_lowering(self, operator: str, lowering: Callable[..., Any]) -> None:
        from tensoria_torch.lowerings import register

        register(operator, lowering)

    def capture(
        self, model: Any, args: Sequence[Any], kwargs: Mapping[str, Any], dynamic: Mapping[str, Any],
        train: bool | None = None,
    ) -> Any:  # fmt: skip
        from tensoria_torch.capture import capture

        return capture(model, args, kwargs, dynamic, train)

    def reference(
        self, model: Any, args: Sequence[Any], kwargs: Mapping[str, Any], pull: Any = None, wide: bool = False,
        train: bool | None = None,
    ) -> Any:  # fmt: skip
        from tensoria_torch.reference import reference

        return reference(model, args, kwargs, pull, wide, train)

    def substituted(self, model: Any, arrays: Mapping[str, Any]) -> Any:
        from tensoria_torch.reference import substituted

        return substituted(model, arrays)

    def unpacked(self, value: Any) -> Any:
        from tensoria_torch.reference import unpacked

        return unpacked(value)

    def svd(self, array: Array, close: float) -> tuple[Array, Array, Array]:
        return factorisations.svd(array, close)

    def eigh(self, array: Array, close: float) -> tuple[Array, Array]:
        return factorisations.eigh(array, close)

    def watching(self) -> Any:
        from tensoria_torch.initialisers import watching

        return watching()

    def parametrised(self) -> Any:
        from tensoria_torch.mup import MODELS

        return MODELS

    def get_item(self, array: Array, key: Any) -> Array:
        if type(key) not in PLAIN_KEYS and (is_compiling() or transforming() is not None) and _scalars(key):
            array, key = _cut_by_scalars(array, key)
        if type(key) is int or subscripts.is_native(key):
            try:
                return array[key]
            except IndexError:
                if not isinstance(key, torch.Tensor):
                    raise
        return subscripts.get(array, key)

    def scatter_add(self, array: Array, positions: Array, values: Array) -> Array:
        return torch.index_add(array, 0, positions, values)

    def set_item(self, array: Array, key: Any, value: Any) -> Array:
        if type(key) is int and not array.requires_grad and array.dtype not in LIFTED:
            array[key] = value  # the commonest assignment needs none of what follows
            return array
        if array.requires_grad and array.is_leaf:
            array = array.clone()  # PyTorch forbids writing into a leaf; the tensor is bound to a copy
        if type(key) not in PLAIN_KEYS and is_compiling() and _scalars(key):
            place, value = _places(array, value)
            places = torch.arange(place.numel(), device=place.device).reshape(place.shape)
            places = self.get_item(places, key)
            if not isinstance(value, torch.Tensor):
                value = torch.tensor(value, dtype=place.dtype, device=place.device)
            place.put_(places, value.to(place.dtype).broadcast_to(places.shape))
            return array
        several = isinstance(value, torch.Tensor) and value.dim() > 0
        if not several and isinstance(key, torch.Tensor) and key.dtype is torch.bool and transforming() is not None:
            mask = key.reshape(*key.shape, *(1,) * (array.dim() - key.dim()))
            if key.shape == array.shape[: key.dim()]:  # an index would have another size for every sample
                place, value = _places(array, value)
                place.masked_fill_(mask, value.to(place.dtype) if isinstance(value, torch.Tensor) else value)
                return array
        if subscripts.is_native(key) and not (several and isinstance(key, torch.Tensor)):
            place, value = _places(array, value)
            place[key] = value
        else:
            if not isinstance(value, torch.Tensor):
                value = torch.tensor(value, dtype=array.dtype, device=array.device)
            subscripts.put(array, key, value)
        return array

    def overwrite(self, array: Array, value: Array) -> Array:
        if array.requires_grad or value.requires_grad or torch.compiler.is_compiling():
            return value
        try:
            return array.copy_(value)
        except RuntimeError:  # one place in memory for several components
            return value

    def matmul(self, a: Array, b: Array) -> Array:
        try:
            return torch.matmul(a, b) if a.dtype == b.dtype else torch.matmul(*self.promoted(a, b))
        except NotImplementedError:
            return xp.matmul(a, b)

    def contract(self, of: Pattern, a: Array, b: Array) -> Array:
        if is_compiling():
            return self.trace_pair(of, a, b)
        try:
            return self.pairs[of, a.shape, b.shape, a.dtype, b.dtype](a, b)
        except TypeError:
            # Sizes that are symbols (make_fx) have no hash; everything else that is wrong is wrong again here.
            if any(type(size) is not int for size in (*a.shape, *b.shape)):
                return self.trace_pair(of, a, b)
            raise

    def contract_network(self, of: Pattern, arrays: Sequence[Array]) -> Array:
        if is_compiling():
            return self.trace_network(of, arrays)
        try:
            return super().contract_network(of, arrays)
        except TypeError:
            if any(type(size) is not int for array in arrays for size in array.shape):
                return self.trace_network(of, arrays)
            raise

    # -- derivatives and compilation --------------------------------------------------------------------------------

    def vjp(
        self, function: Callable[..., tuple[list[Array], list[Array]]], arrays: Sequence[Array], reuse: bool = True
    ) -> tuple[list[Array], list[Array], Callable[[Sequence[Array]], list[Array]]]:
        outputs, pull, further = torch.func.vjp(function, *arrays, has_aux=True)

        # PyTorch's derivative of a real function is d/dx + i d/dy; ours (JAX's) is its conjugate.
        def conjugated(cotangents: Sequence[Array]) -> list[Array]:
            return [x.conj() if x.is_complex() else x for x in pull([c.conj() for c in cotangents])]

        return list(outputs), list(further), conjugated

    def jvp(
        self, function: Callable[..., list[Array]], arrays: Sequence[Array], tangents: Sequence[Array]
    ) -> tuple[list[Array], list[Array]]:
        # PyTorch refuses tangents whose elements share memory, such as broadcast ones.
        primals = tuple(x.contiguous() for x in arrays)
        outputs, along = torch.func.jvp(function, primals, tuple(t.contiguous() for t in tangents))
        return list(outputs), list(along)

    def vmap(self, function: Callable[..., list[Array]], arrays: Sequence[Array]) -> list[Array]:
        return list(torch.func.vmap(function)(*arrays))

    def refuses_map(self, error: Exception) -> str | None:
        if not isinstance(error, RuntimeError):
            return None
        return next((why for text, why in UNMAPPED.items() if text in str(error)), None)

    def numbers(self, array: Array) -> np.ndarray[Any, Any] | None:
        if is_compiling() or _get_current_dispatch_mode() is not None:
            return None
        functorch = torch._C._functorch
        with torch._C._DisableFuncTorch():
            while functorch.is_functorch_wrapped_tensor(array):
                mapped = functorch.maybe_get_bdim(array) if functorch.is_batchedtensor(array) else None
                array = functorch.get_unwrapped(array)
                if mapped:  # it may be anywhere; here it leads, as anonymous axes do
                    array = array.movedim(mapped, 0)
            return self.to_numpy(array)

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return torch.compile(function, fullgraph=True)


UNMAPPED = {
    "dynamic shape": "sizes", "nonzero": "sizes", "data pointer": "numbers", "data-dependent control flow": "numbers",
    ".item()": "numbers",
}  # fmt: skip
"""What PyTorch says of functions that it can not map."""


def _has_arrays(data: Any) -> bool:
    return any(isinstance(x, np.ndarray) or (isinstance(x, (list, tuple)) and _has_arrays(x)) for x in data)


def _is_scalar(part: Any) -> bool:
    return isinstance(part, torch.Tensor) and part.dim() == 0 and part.dtype != torch.bool


def _scalars(key: Any) -> bool:
    """Whether a key has 0-d integer tensors; TorchDynamo would ask them for numbers that are not known yet."""
    return any(map(_is_scalar, key)) if type(key) is tuple else _is_scalar(key)


def _cut_by_scalars(array: Array, key: Any) -> tuple[Array, tuple[Any, ...]]:
    """A key with zeros for 0-d integer tensors, and the array cut by these beforehand."""
    parts = list(key) if type(key) is tuple else [key]
    axis = 0
    used = sum(_consumed(part) for part in parts if part is not Ellipsis)
    for place, part in enumerate(parts):
        if _is_scalar(part):
            array = array[(slice(None),) * axis + (part.reshape(1),)]
            parts[place] = 0
        axis += array.dim() - used if part is Ellipsis else _consumed(part)
    return array, tuple(parts)


def _consumed(part: Any) -> int:
    if part is None or type(part) is bool:
        return 0
    return part.dim() if isinstance(part, torch.Tensor) and part.dtype == torch.bool else 1


def _places(array: Array, value: Any) -> tuple[Array, Any]:
    """What to write into and what to write: of unsigned integers the bits, because PyTorch masks no others."""
    if array.dtype not in LIFTED:
        return array, value
    if not isinstance(value, torch.Tensor):
        value = torch.tensor(value, dtype=array.dtype, device=array.device)
    return bits(array), bits(value.to(array.dtype))


backend = TorchBackend()
