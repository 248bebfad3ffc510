"""The TensorFlow backend: arrays, devices, conversions and derivatives; contraction lives in `contraction`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tensoria.backend import UNKNOWN, Array, Backend, device_name
from tensoria.dtypes import DTYPES, DType, uint32
from tensoria.errors import BackendError, ConversionError, DTypeError
from tensoria.literals import MAX_DIMENSIONS, check_dimensions
from tensoria.planning import Pattern
from tensoria.structure import Cache
from tensoria_tensorflow import kernels as native
from tensoria_tensorflow import namespace as xp
from tensoria_tensorflow.contraction import kernels
from tensoria_tensorflow.namespace import edges, linalg
from tensoria_tensorflow.namespace.shapes import extents, spread
from tensoria_tensorflow.neural import KERNELS

__all__ = ["TensorflowBackend", "backend"]

EagerTensor = native.EagerTensor
NATIVE = {name: tf.as_dtype(name) for name in DTYPES}
NAMED = {native_: DTYPES[name] for name, native_ in NATIVE.items()}
DEFAULTS = {np.dtype(np.float64): np.float32, np.dtype(np.complex128): np.complex64}
"""What NumPy makes of Python's numbers, and TensorFlow's default precision."""
ALIGNMENT = 64
"""TensorFlow's kernels assume memory aligned to so many bytes; importing other memory aborts the process."""
MULTIPLIED = frozenset(
    (tf.float16, tf.bfloat16, tf.float32, tf.float64, tf.int32, tf.int64, tf.complex64, tf.complex128)
)
"""The data types that the matrix product has kernels for, on every device."""


def _truthful(numbers: Callable[[Any, Any], Array], truths: Callable[[Any, Any], Array]) -> Any:
    """A function of numbers that also takes truth values, as the other frameworks do."""

    def function(x: Any, y: Any) -> Array:
        try:
            return numbers(x, y)
        except TypeError:
            if tf.bool not in (getattr(x, "dtype", None), getattr(y, "dtype", None)):
                raise
            return truths(x, y)

    return function


OPERATORS = {name: getattr(xp, name) for name in (
    "add", "subtract", "multiply", "divide", "floor_divide", "remainder", "pow", "equal", "not_equal", "less",
    "less_equal", "greater", "greater_equal", "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift",
    "bitwise_right_shift",
)} | {"add": _truthful(xp.add, xp.logical_or), "multiply": _truthful(xp.multiply, xp.logical_and)}  # fmt: skip


class TensorflowBackend(Backend):
    """TensorFlow tensors, eager and in graphs; variables are kept and read at each use."""

    name = "tensorflow"
    package = "tensorflow"
    xp = xp
    kernels = kernels
    immutable = True
    max_dimensions = 254
    operators = OPERATORS
    primitives = KERNELS
    models = ("tensorflow", "keras")
    word = uint32

    def __init__(self) -> None:
        super().__init__()
        self.graphs: Cache[tuple[Any, ...], Callable[..., Any]] = Cache(self._graph, limit=256)

    def add(self, a: Array, b: Array) -> Array:
        return (
            native.add(a, b)
            if type(a) is type(b) is EagerTensor and a.dtype is b.dtype
            else xp.add(*self.promoted(a, b))
        )

    def subtract(self, a: Array, b: Array) -> Array:
        return xp.subtract(*self.promoted(a, b))

    def multiply(self, a: Array, b: Array) -> Array:
        return (
            native.multiply(a, b)
            if type(a) is type(b) is EagerTensor and a.dtype is b.dtype
            else xp.multiply(*self.promoted(a, b))
        )

    # -- arrays ---------------------------------------------------------------------------------------------------

    def owns(self, value: Any) -> bool:
        return isinstance(value, (tf.Tensor, tf.Variable))

    def shape(self, array: Array) -> tuple[int | None, ...]:
        if type(array) is EagerTensor:
            return array._shape_tuple()
        return tuple(array.shape.as_list())

    def native_dtype(self, of: DType) -> Any:
        return NATIVE[of.name]

    def dtype(self, array: Array) -> DType:
        found = NAMED.get(array.dtype)
        if found is None:
            raise DTypeError(f"{array.dtype!r} is no data type of tensoria.")
        return found

    def device(self, array: Array) -> str:
        found = array.device
        if not found:
            return UNKNOWN
        known = _DEVICES.get(found)
        if known is None:
            known = _DEVICES[found] = device_name(found)
        return known

    def devices(self) -> list[str]:
        gpus = tf.config.list_logical_devices("GPU")
        return ["cpu", *(f"cuda:{n}" for n in range(len(gpus)))]

    # -- making and moving ----------------------------------------------------------------------------------------

    def asarray(self, data: Any, of: DType | None, device: str | None, copy: bool | None) -> Array:
        if isinstance(data, np.ndarray):
            array = self._from_numpy(data, copy)
        else:
            if copy is False:
                raise ConversionError("this needs a copy, and copy=False forbids it.")
            array = self._from_python(data, of)
        if of is not None:
            array = native.cast(array, NATIVE[of.name])
        return array if device is None or device == UNKNOWN else self.to_device(array, device)

    def _from_python(self, data: Any, of: DType | None) -> Array:
        try:
            # With the data type at once: NumPy alone makes floats of large integers beside small ones.
            values = np.asarray(data, dtype=None if of is None else NATIVE[of.name].as_numpy_dtype)
        except (ValueError, TypeError, OverflowError) as error:
            raise ConversionError(f"no rectangular array of numbers: {error}") from None
        if values.dtype.name not in NATIVE:
            raise ConversionError(f"no rectangular array of numbers: NumPy makes {values.dtype} of it.")
        if of is None and values.dtype in DEFAULTS and not _has_arrays(data):
            values = values.astype(DEFAULTS[values.dtype])
        with tf.init_scope():
            return tf.constant(values)

    def _from_numpy(self, data: Any, copy: bool | None) -> Array:
        if data.dtype.name not in NATIVE:
            raise DTypeError(f"NumPy's {data.dtype} is no data type of tensoria.")
        if copy is False:
            aligned = data.ctypes.data % ALIGNMENT == 0 and data.flags.c_contiguous and data.dtype.isnative
            aligned = aligned and data.flags.writeable  # NumPy exports no other
            if not data.size:
                return tf.zeros(data.shape, NATIVE[data.dtype.name])  # there is nothing to share
            if not aligned:
                raise ConversionError(
                    f"TensorFlow shares only contiguous memory aligned to {ALIGNMENT} bytes; copy=False is impossible."
                )
            return tf.experimental.dlpack.from_dlpack(data.__dlpack__())
        # Tensors are immutable and NumPy's memory may be written to: a copy, not the alias tf.constant may make.
        return tf.constant(np.array(data, dtype=data.dtype.newbyteorder("="), copy=True, order="C"))

    def to_device(self, array: Array, device: str) -> Array:
        name = self.known_device(device)
        if self.device(array) == name:
            return array
        with tf.device("/CPU:0" if name == "cpu" else f"/GPU:{name.partition(':')[2]}"):
            return tf.identity(array)

    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]:
        array = native.read(array)
        _require_numbers(array)
        if array.dtype == tf.bfloat16:
            array = native.cast(array, tf.float32)  # NumPy has no bfloat16; every one of its values is a float32
        # The tensor's own memory, which must not be written to.
        host = np.asarray(array)
        host.flags.writeable = False
        return host

    def import_array(self, array: Array, source: Backend) -> Array | None:
        if isinstance(array, np.ndarray) or source.device(array) != "cpu":
            return None
        try:
            return xp.from_dlpack(array, copy=False)
        except (ValueError, RuntimeError, TypeError, BufferError, AttributeError, tf.errors.OpError):
            return None

    def unshared(self, array: Array) -> Array:
        return native.raw.DeepCopy(x=array)

    def constant(self, components: Any, of: DType, like: Array) -> Array:
        with tf.init_scope():
            return super().constant(components, of, like)

    def from_dlpack(self, source: Any, copy: bool | None) -> Array:
        try:
            # Nobody knows who else writes to this memory: only copy=False shares it.
            return xp.from_dlpack(source, copy=copy is not False)
        except ValueError as error:
            raise ConversionError(f"{error}; copy=False is impossible.") from None

    def dlpack(self, array: Array, **options: Any) -> Any:
        array = native.read(array)  # TensorFlow's own method refuses a copy and another device
        _require_numbers(array)
        target = options.get("dl_device")
        if target is not None and int(target[0]) != int(array.__dlpack_device__()[0]):
            if int(target[0]) != 1:
                raise BufferError(f"TensorFlow exports to its own device or to host memory, not to {target}.")
            array = self.to_device(array, "cpu")
        return (native.raw.DeepCopy(x=array) if options.get("copy") else array).__dlpack__()

    def copy(self, array: Array) -> Array:
        return tf.identity(array)

    def freeze(self, array: Array) -> Any:
        return np.array(native.read(array)) if array.dtype != tf.bfloat16 else (self.to_numpy(array), "bfloat16")

    def thaw(self, frozen: Any) -> Array:
        return tf.cast(frozen[0], tf.bfloat16) if isinstance(frozen, tuple) else tf.constant(frozen)

    def readable(self, array: Array) -> bool:
        return type(native.read(array)) is EagerTensor

    def refuses_matrix(self, error: Exception) -> bool:
        return isinstance(error, tf.errors.InvalidArgumentError)

    def detach(self, array: Array) -> Array:
        return tf.stop_gradient(array)

    def watched(self, array: Array) -> bool:
        return edges.recorded(array)

    # -- operations -----------------------------------------------------------------------------------------------

    def reshape(self, array: Array, shape: Sequence[int | None]) -> Array:
        if len(shape) > MAX_DIMENSIONS:
            check_dimensions(len(shape))
        if -1 in shape and 0 in shape:
            raise ValueError("no size is determined by an array without components")
        if sum(size is None or size < 0 for size in shape) < 2:
            return native.reshape(array, tuple(-1 if size is None else size for size in shape))
        raise BackendError("several sizes are unknown while a tf.function traces, so this shape is not determined.")

    def examples(self, model: Any) -> tuple[tuple[Any, ...], dict[str, Any], dict[str, Any]]:
        from tensoria_tensorflow.examples import examples

        return examples(model)

    def model(self, program: Any, kind: str, passes: Any) -> Any:
        from tensoria_tensorflow.modules import made

        return made(program, kind, passes)

    def dialect(self) -> Any:
        from tensoria_tensorflow.source import DIALECT

        return DIALECT

    def watching(self) -> Any:
        from tensoria_tensorflow.initialisers import watching

        return watching()

    def parametrised(self) -> Any:
        from tensoria_tensorflow.mup import MODELS

        return MODELS

    def eigvals(self, array: Array) -> Array:
        return xp.linalg.eigvals(array)

    def svd(self, array: Array, close: float) -> tuple[Array, Array, Array]:
        return linalg.near_svd(native.read(array), close)

    def eigh(self, array: Array, close: float) -> tuple[Array, Array]:
        return linalg.near_eigh(native.read(array), close)

    def captures(self, model: Any) -> bool:
        from tensoria_tensorflow.exporting import is_model

        return is_model(model)

    def capture(
        self, model: Any, args: Sequence[Any], kwargs: Mapping[str, Any], dynamic: Mapping[str, Any],
        train: bool | None = None,
    ) -> Any:  # fmt: skip
        from tensoria_tensorflow.capture import capture

        return capture(model, args, kwargs, dynamic, train)

    def register_lowering(self, operator: str, lowering: Callable[..., Any]) -> None:
        from tensoria_tensorflow.lowerings import register

        register(operator, lowering)

    def reference(
        self, model: Any, args: Sequence[Any], kwargs: Mapping[str, Any],
        pull: Callable[[list[Array]], Sequence[Array | None]] | None = None, wide: bool = False,
        train: bool | None = None,
    ) -> Any:  # fmt: skip
        from tensoria_tensorflow.reference import reference

        return reference(model, args, kwargs, pull, wide, train)

    def substituted(
        self, model: Any, arrays: Mapping[str, np.ndarray[Any, Any]]
    ) -> contextlib.AbstractContextManager[None]:
        from tensoria_tensorflow.reference import substituted

        return substituted(model, arrays)

    def deferred(self) -> bool:
        return not tf.executing_eagerly()

    def cond(self, condition: Array, then: Any, otherwise: Any) -> list[Array]:
        found = tf.cond(condition, then, otherwise)
        return list(found) if isinstance(found, (list, tuple)) else [found]

    def while_loop(self, test: Any, body: Any, state: list[Array]) -> list[Array]:
        found = tf.while_loop(lambda *now: test(list(now)), lambda *now: tuple(body(list(now))), tuple(state))
        return list(found)

    def scan(
        self, body: Any, state: list[Array], arrays: Sequence[Array], count: Any, reverse: bool
    ) -> tuple[list[Array], list[Array]]:
        if not self.deferred():
            return super().scan(body, state, arrays, count, reverse)
        # The first step stands before the loop: it says what is stacked.
        total = tf.shape(arrays[0])[0] if count is None else tf.constant(count)
        place = (lambda n: total - 1 - n) if reverse else (lambda n: n)
        state, first = body(state, [x[place(0)] for x in arrays])
        stacks = [
            tf.TensorArray(y.dtype, total, element_shape=y.shape, clear_after_read=False).write(place(0), y)
            for y in first
        ]

        def step(n: Array, now: Any, stacks: Any) -> Any:
            after, ys = body(list(now), [x[place(n)] for x in arrays])
            return n + 1, tuple(after), tuple(s.write(place(n), y) for s, y in zip(stacks, ys, strict=True))

        start = tf.constant(1), tuple(state), tuple(stacks)
        _, last, stacks = tf.while_loop(lambda n, *_: n < total, step, start)
        found = [stack.stack() for stack in stacks]
        for x in found:
            x.set_shape([count, *x.shape[1:]])
        return list(last), found

    def served(self, program: Any, folder: Any, arrays: Mapping[str, Any]) -> list[np.ndarray[Any, Any]]:
        from tensoria_tensorflow.serving import served

        return served(program, folder, arrays)

    def get_item(self, array: Array, key: Any) -> Array:
        return xp.getitem(array, key)

    def set_item(self, array: Array, key: Any, value: Any) -> Array:
        return xp.setitem(array, key, value)

    def scatter_add(self, array: Array, positions: Array, values: Array) -> Array:
        return tf.tensor_scatter_nd_add(native.read(array), tf.expand_dims(positions, -1), native.read(values))

    def contract(self, of: Pattern, a: Array, b: Array) -> Array:
        if type(a) is EagerTensor and type(b) is EagerTensor:
            # The numbers of data types are keys that hash without a Python call.
            return self.pairs[of, a._shape_tuple(), b._shape_tuple(), a._datatype_enum(), b._datatype_enum()](a, b)
        a, b = native.read(a), native.read(b)
        first, second = self.shape(a), self.shape(b)
        if None in first or None in second:
            return self.trace_pair(of, a, b)
        return self.pairs[of, first, second, a.dtype.as_datatype_enum, b.dtype.as_datatype_enum](a, b)

    def trace_pair(self, of: Pattern, a: Array, b: Array) -> Array:
        return super().trace_pair(of, *_stretched(of, native.read(a), native.read(b)))

    def _dtypes(self, natives: Sequence[Any]) -> tuple[Any, Any, DType]:
        return super()._dtypes([tf.as_dtype(native_dtype) for native_dtype in natives])

    def require_equal(self, a: Array, i: int, b: Array, j: int) -> None:
        super().require_equal(a, i, b, j)
        if None in (self.shape(a)[i], self.shape(b)[j]):
            tf.debugging.assert_equal(
                tf.shape(a)[i], tf.shape(b)[j], "one index has two sizes in one operation", name="sizes_of_an_index"
            )

    def reduce_axes(self, of: Pattern, array: Array) -> Array:
        return super().reduce_axes(of, native.read(array))

    def computing_dtype(self, native_dtype: Any) -> Any:
        # Products of small integers wrap around; so do those of int64, and casting back keeps the low bits.
        return native_dtype if native_dtype in MULTIPLIED else tf.int64

    # -- derivatives and compilation --------------------------------------------------------------------------------

    def vjp(
        self, function: Callable[..., tuple[list[Array], list[Array]]], arrays: Sequence[Array], reuse: bool = True
    ) -> tuple[list[Array], list[Array], Callable[[Sequence[Array]], list[Array]]]:
        with tf.GradientTape(persistent=reuse, watch_accessed_variables=False) as tape:
            inputs = [tf.identity(array) for array in arrays]
            tape.watch(inputs)
            outputs, further = function(*inputs)

        # TensorFlow's derivative of a real function is d/dx + i d/dy; ours (JAX's) is its conjugate.
        def conjugated(cotangents: Sequence[Array]) -> list[Array]:
            return [_conj(x) for x in _gradient(tape, outputs, inputs, [_conj(c) for c in cotangents])]

        return outputs, further, conjugated

    def jvp(
        self, function: Callable[..., list[Array]], arrays: Sequence[Array], tangents: Sequence[Array]
    ) -> tuple[list[Array], list[Array]]:
        # The pull-back is linear in its cotangents, and its own pull-back is the derivative along tangents.
        # TensorFlow's ForwardAccumulator would be the direct way, but one inside of another loses terms (2.21: all
        # those of a product's second factor, for instance), and it compiles every operation that it meets first.
        with tf.GradientTape(watch_accessed_variables=False) as outer:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                inputs = [tf.identity(array) for array in arrays]
                tape.watch(inputs)
                outputs = function(*inputs)
            # Anywhere would do, but for derivatives that divide by the cotangent.
            cotangents = [tf.ones_like(y) for y in outputs]
            outer.watch(cotangents)
            pulled = _gradient(tape, outputs, inputs, cotangents)
        return outputs, _gradient(outer, pulled, cotangents, list(tangents))

    def vmap(self, function: Callable[..., list[Array]], arrays: Sequence[Array]) -> list[Array]:
        return list(tf.vectorized_map(lambda slices: function(*slices), tuple(arrays)))

    def refuses_map(self, error: Exception) -> str | None:
        return next((why for text, why in UNMAPPED.items() if text in str(error)), None)

    def numbers(self, array: Array) -> np.ndarray[Any, Any] | None:
        array = native.read(array)
        return self.to_numpy(array) if type(array) is EagerTensor else None

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return tf.function(function)

    def staged(self, function: Callable[..., Any], arrays: Sequence[Array], *static: Any) -> Any:
        if not all(type(array) is EagerTensor for array in arrays):
            return function(self, arrays, *static)
        return self.graphs[function, tuple(array.dtype for array in arrays), static](*arrays)

    def _graph(self, key: tuple[Any, ...]) -> Callable[..., Any]:
        function, dtypes, static = key
        vectors = [tf.TensorSpec((None,), of) for of in dtypes]
        return tf.function(lambda *arrays: function(self, arrays, *static), input_signature=vectors, autograph=False)


UNMAPPED = {"TensorListStack": "sizes", "has no numbers yet": "numbers"}
"""What is said of functions that TensorFlow can not map: lists of slices, and tensors inside of its graph."""


def _stretched(of: Pattern, a: Array, b: Array) -> tuple[Array, Array]:
    """Operands whose common plain axes have one size, which the raw einsum wants where the standard broadcasts.

    Sizes that are equal in the end cost nothing: the kernel hands on what it was given.
    """
    common = set(of.terms[0]).intersection(of.terms[1]) - of.strict
    if not common:
        return a, b
    sizes = list(extents(a)), list(extents(b))
    first, second = (len(found) - len(term) for found, term in zip(sizes, of.terms, strict=True))
    for label in common:
        i, j = first + of.terms[0].index(label), second + of.terms[1].index(label)
        m, n = sizes[0][i], sizes[1][j]
        if isinstance(m, int) and m != 1:
            sizes[1][j] = m
        elif isinstance(n, int):
            sizes[0][i] = n if n != 1 else m
            sizes[1][j] = sizes[0][i]
        else:
            sizes[0][i] = sizes[1][j] = n if isinstance(m, int) else tf.where(tf.equal(m, 1), n, m)
    return spread(a, sizes[0]), spread(b, sizes[1])


def _require_numbers(array: Array) -> None:
    if type(array) is not EagerTensor:
        raise ConversionError(
            "a tensor inside of a tf.function has no numbers yet.", legal="return it, and convert then"
        )


def _conj(array: Array) -> Array:
    return tf.math.conj(array) if array.dtype.is_complex else array


def _gradient(tape: Any, of: list[Array], by: list[Array], cotangents: list[Array]) -> list[Array]:
    zero = tf.UnconnectedGradients.ZERO
    found = tape.gradient(of, by, output_gradients=cotangents, unconnected_gradients=zero)
    return [tf.convert_to_tensor(x) for x in found]


def _has_arrays(data: Any) -> bool:
    if isinstance(data, (np.ndarray, np.generic)):
        return True
    return isinstance(data, (list, tuple)) and any(map(_has_arrays, data))


_DEVICES: dict[str, str] = {}
backend = TensorflowBackend()
