"""Backends: what tensoria needs from an array framework (`discovery` says how one is found).

Requirements that shape this layer:

* native arrays pass through untouched: a backend is functions *on* the framework's arrays, not a wrapper around them;
* while a framework traces Python code, nothing here reads a context variable or a growing dictionary (see `caching`).

A backend is a subclass of `Backend`: the attributes without a value and the methods that raise are what it must give.
"""

from __future__ import annotations

import functools
import operator
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tensoria.components import Components
from tensoria.dtypes import DType, dtype, int64, promoted
from tensoria.errors import BackendError, DTypeError, ShapeError
from tensoria.literals import check_dimensions
from tensoria.model_backend import ModelBackend
from tensoria.network import NetworkPlan, execute, plan_network, structural_path
from tensoria.planner import plan_pair
from tensoria.planning import Kernels, Pattern, equal_places, equation, labelled, runner, sizes_of
from tensoria.structure import Cache, Structure

if TYPE_CHECKING:
    pass

__all__ = [
    "FORMS",
    "PYTHON_OPERATORS",
    "UNKNOWN",
    "Array",
    "Backend",
    "Form",
    "device_name",
]

Array = Any
UNKNOWN = "unknown"
"""The device of arrays while a framework traces."""
_DEVICE = re.compile(r"(?:/job:[^/]*/replica:\d+/task:\d+)?/?(?:device:)?([A-Za-z_]+)(?::(\d+))?\Z")


def device_name(device: str) -> str:
    """The one name of a device, whichever framework's way it is written: `"cpu"`, `"cuda:0"`.

    Raises:
        BackendError: the text names no device.

    >>> device_name("/job:localhost/replica:0/task:0/device:GPU:1"), device_name("cuda"), device_name("CPU:0")
    ('cuda:1', 'cuda:0', 'cpu')
    """
    match = _DEVICE.match(device) if isinstance(device, str) else None
    if match is None:
        raise BackendError(f"{device!r} names no device.", legal='"cpu", "cuda" or "cuda:1"')
    kind = match[1].lower()
    if kind == "cpu":
        return "cpu"
    return f"{'cuda' if kind == 'gpu' else kind}:{match[2] or 0}"


class Form(Structure):
    """What plans ask of an array: its shape and its native data type; interned, so that it hashes by address."""

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        self.shape, self.dtype = shape, dtype


FORMS: Cache[tuple[tuple[int, ...], Any], Form] = Cache(lambda key: Form(tuple(key[0]), key[1]))
"""The form of an array of a shape and a native data type."""

PYTHON_OPERATORS: Mapping[str, Callable[[Any, Any], Array]] = {
    "add": operator.add, "subtract": operator.sub, "multiply": operator.mul, "divide": operator.truediv,
    "floor_divide": operator.floordiv, "remainder": operator.mod, "pow": operator.pow, "equal": operator.eq,
    "not_equal": operator.ne, "less": operator.lt, "less_equal": operator.le, "greater": operator.gt,
    "greater_equal": operator.ge, "bitwise_and": operator.and_, "bitwise_or": operator.or_,
    "bitwise_xor": operator.xor, "bitwise_left_shift": operator.lshift, "bitwise_right_shift": operator.rshift,
}  # fmt: skip
"""For frameworks whose arrays' own operators do what the standard says."""


class Backend(ModelBackend):
    """One framework's arrays, seen through the calls that tensoria makes (and its models, see `ModelBackend`).

    Attributes:
        name: the entry point's name, which is the framework's import name.
        package: the distribution to install.
        xp: the Array API functions on native arrays.
        kernels: the native calls that contraction plans are made of, and what they cost.
        integer_kernels: others for arrays of integers, where a framework lacks products of them.
        immutable: whether arrays can not be written in place.
        differentiates: whether `vjp` and `jvp` work.
        tracing: says whether a compiler is tracing our Python code now, so that structure must be asked of the oracle;
            None where no compiler does that.
        max_dimensions: how many axes an array may have.
        immediate: whether `contract` only looks the plan up by the arrays' own `shape` and `dtype` and runs it.
        fixed: types of arrays whose shape and data type stay what they are (a parameter's may be cast in place).
        lifts: whether tensors of other backends become constants beside its own.
        tensor_class: the class of its tensors, where they have to know more than others.
        operators: the binary functions of the Array API's operators, by the functions' names; the operands have one
            data type, or one of them is a Python number.
        add, subtract, multiply: three of them on the hot path, which promote their operands' data types themselves.
        primitives: the operations of programs that the framework has a kernel for, where they have a definition.
        updating: those of them that may write their result into the first operand, where that is faster.
        word: the data type in which random words of 32 bits are made: uint32, int32 (which shows their bits), or int64
            (whose upper half stays zero), whichever has kernels and is fastest.
    """

    name: str
    package: str
    xp: Any
    kernels: Kernels
    integer_kernels: Kernels | None = None
    immutable: bool = False
    differentiates: bool = True
    tracing: Callable[[], bool] | None = None
    immediate: bool = False
    fixed: frozenset[type] = frozenset()
    lifts: bool = False
    tensor_class: type | None = None
    max_dimensions: int = 64
    operators: Mapping[str, Callable[[Any, Any], Array]] = PYTHON_OPERATORS
    primitives: Mapping[str, Callable[..., Any]] = {}
    updating: Mapping[str, Callable[[Any, Any], Array]] = {}
    add: Callable[[Array, Array], Array]
    subtract: Callable[[Array, Array], Array]
    multiply: Callable[[Array, Array], Array]

    def __init__(self) -> None:
        self.pairs: Cache[tuple[Any, ...], Callable[[Array, Array], Array]] = Cache(self._plan_pair)
        self.formed: Cache[tuple[Pattern, Form, Form], tuple[Callable[[Array, Array], Array], Form]] = Cache(
            self._plan_formed
        )
        self.constants: Cache[tuple[Components, DType, str], Array] = Cache(
            lambda key: self.asarray(key[0].values, key[1], key[2], True), limit=1024
        )
        self.networks: Cache[tuple[Any, ...], tuple[NetworkPlan, Any, Any]] = Cache(self._plan_network, limit=512)

    def __repr__(self) -> str:
        return f"<backend {self.name!r}>"

    def __copy__(self) -> Backend:
        return self

    def __deepcopy__(self, memo: object) -> Backend:
        return self

    # -- arrays ---------------------------------------------------------------------------------------------------

    def owns(self, value: Any) -> bool:
        """Whether a value is a native array, a subclass's or a variable's instances included."""
        raise NotImplementedError

    def shape(self, array: Array) -> tuple[int | None, ...]:
        """The shape; None for a size that is not known while the framework traces."""
        return tuple(array.shape)

    def native_dtype(self, of: DType) -> Any:
        """The framework's own data type.

        Raises:
            DTypeError: it has none of that name.
        """
        found = getattr(self.xp, "bool" if of.name == "bool" else of.name, None)
        if found is None:
            raise DTypeError(f"the {self.name} backend has no data type {of.name}.")
        return found

    def dtype(self, array: Array) -> DType:
        """The data type of an array."""
        return dtype(array.dtype)

    def device(self, array: Array) -> str:
        """The device's name, such as `"cpu"` or `"cuda:0"`; `"unknown"` while the framework traces."""
        raise NotImplementedError

    def devices(self) -> list[str]:
        """The names of all devices that the framework sees."""
        raise NotImplementedError

    def known_device(self, device: str) -> str:
        """A device's own name, after it was seen to be there.

        Raises:
            BackendError: the text names no device, or none that is here.
        """
        name = device_name(device)
        if name == "cpu":  # which all of them have
            return name
        if name not in (here := self.devices()):
            raise BackendError(f"the {self.name} backend has no device {device!r} here; there is {', '.join(here)}.")
        return name

    @property
    def word(self) -> DType:
        return int64

    def version(self) -> str:
        """The framework's version."""
        return str(sys.modules[self.name].__version__)

    # -- making and moving ----------------------------------------------------------------------------------------

    def asarray(self, data: Any, of: DType | None, device: str | None, copy: bool | None) -> Array:
        """A native array of Python numbers, nested lists, a NumPy array or a native array."""
        raise NotImplementedError

    def scalar_like(self, value: complex, of: DType, like: Array) -> Array:
        """A number as a 0-d array on another array's device."""
        return self.asarray(value, of, self.device(like), None)

    def array_like(self, values: Sequence[float], of: DType, like: Array) -> Array:
        """Python numbers as a 1-D array on another array's device."""
        return self.asarray(list(values), of, self.device(like), None)

    def arange_like(self, count: int, of: DType, like: Array) -> Array:
        """The numbers 0, 1, ..., count - 1 on another array's device."""
        return self.beside(self.xp.arange(count, dtype=self.native_dtype(of)), like)

    def beside(self, array: Array, like: Array) -> Array:
        """An array on another one's device."""
        device = self.device(like)
        return array if device in (UNKNOWN, self.device(array)) else self.to_device(array, device)

    def to_device(self, array: Array, device: str) -> Array:
        """The array on that device (itself, if it is there)."""
        raise NotImplementedError

    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]:
        """The array in host memory, without a copy where the framework allows it."""
        raise NotImplementedError

    def import_array(self, array: Array, source: Backend) -> Array | None:
        """Another backend's array by DLPack, without a copy; None where the frameworks do not allow it."""
        return None

    def unshared(self, array: Array) -> Array:
        """An imported array in memory of its own."""
        return self.copy(array)

    def from_dlpack(self, source: Any, copy: bool | None) -> Array:
        """An array of any library that offers its memory by DLPack; here, through NumPy.

        Raises:
            ConversionError: `copy=False` is impossible.
        """
        import numpy as np

        return self.asarray(np.from_dlpack(source), None, None, copy)

    def dlpack(self, array: Array, **options: Any) -> Any:
        """The array's memory as a DLPack capsule; options as the standard's `__dlpack__` has them, None for none."""
        return array.__dlpack__(**{name: value for name, value in options.items() if value is not None})

    def dlpack_device(self, array: Array) -> tuple[Any, int]:
        """The array's device in DLPack's numbers."""
        kind, number = array.__dlpack_device__()
        return kind, number

    def constant(self, components: Components, of: DType, like: Array) -> Array:
        """Numbers that belong to a space (a metric, a change of basis) as an array on another one's device."""
        return self.constants[components, of, self.device(like)]

    def copy(self, array: Array) -> Array:
        """The array in memory of its own."""
        return self.xp.asarray(array, copy=True)

    def freeze(self, array: Array) -> Any:
        """The array as something that pickles."""
        return array

    def thaw(self, frozen: Any) -> Array:
        """The array that `freeze` froze."""
        return frozen

    def extremes(self, array: Array) -> tuple[float, float] | None:
        """The least and the greatest of real numbers, NaN if there is one; None of no numbers, or while tracing."""
        if 0 in self.shape(array) or not self.readable(array):
            return None
        array = self.detach(array)
        low, high = self.xp.min(array), self.xp.max(array)
        return float(self.to_numpy(low).item()), float(self.to_numpy(high).item())

    def refuses_matrix(self, error: Exception) -> bool:
        """Whether an error of the framework says that a matrix is singular or not positive definite."""
        return type(error).__name__ in ("LinAlgError", "_LinAlgError")

    def refuses_map(self, error: Exception) -> str | None:
        """Why `vmap` failed with an error: `sizes` of results that differ, `numbers` that Python asked for; or None."""
        return None

    def all_finite(self, array: Array) -> bool | None:
        """Whether all components are finite; None while tracing."""
        if not self.readable(array):
            return None
        return bool(self.to_numpy(self.xp.all(self.xp.isfinite(self.detach(array)))))

    def detach(self, array: Array) -> Array:
        """The array without its history of derivatives."""
        return array

    def readable(self, array: Array) -> bool:
        """Whether the array has numbers that can be looked at now: not while a framework traces or maps."""
        return self.tracing is None or not self.tracing()

    def watched(self, array: Array) -> bool:
        """Whether somebody may ask for derivatives by the array, now or later."""
        return self.differentiates

    def requires_grad(self, array: Array) -> bool:
        """Whether the array is part of a graph of derivatives that leaving the framework would cut."""
        return False

    # -- operations -----------------------------------------------------------------------------------------------

    def reshape(self, array: Array, shape: Sequence[int | None]) -> Array:
        """The array in another shape; at most one size may be -1 (or, while the framework traces, unknown)."""
        if None in shape:
            shape = [-1 if size is None else size for size in shape]
        if len(shape) > self.max_dimensions:
            check_dimensions(len(shape))
        return self.kernels.reshape(array, tuple(shape))  # type: ignore[arg-type]

    def eigvals(self, array: Array) -> Array:
        """The eigenvalues of square matrices, complex."""
        return self.xp.linalg.eigvals(array)

    def eig(self, array: Array) -> tuple[Array, Array]:
        """The eigenvalues and eigenvectors (as columns) of square matrices, complex."""
        values, vectors = self.xp.linalg.eig(array)
        return values, vectors

    def svd(self, array: Array, close: float) -> tuple[Array, Array, Array]:
        """The reduced singular value decomposition, whose derivative takes values that are relatively so close as
        equal (see `spectral`).
        """
        u, s, vh = self.xp.linalg.svd(array, full_matrices=False)
        return u, s, vh

    def eigh(self, array: Array, close: float) -> tuple[Array, Array]:
        """Eigenvalues and eigenvectors of Hermitian matrices, likewise."""
        values, vectors = self.xp.linalg.eigh(array)
        return values, vectors

    def get_item(self, array: Array, key: Any) -> Array:
        """`array[key]`."""
        return array[key]

    def overwrite(self, array: Array, value: Array) -> Array:
        """What an operator in place leaves: the array with a value of its shape and data type written into it, so that
        its views see it; the value itself where the array is immutable, or its history of derivatives forbids it.
        """
        return value

    def set_item(self, array: Array, key: Any, value: Any) -> Array:
        """The array after `array[key] = value`: itself, or a new one on immutable backends."""
        array[key] = value
        return array

    def scatter_add(self, array: Array, positions: Array, values: Array) -> Array:
        """A copy of an array of one axis with values added at positions; a position may occur several times."""
        total = self.to_numpy(self.detach(array)).copy()
        np.add.at(total, self.to_numpy(positions), self.to_numpy(self.detach(values)))
        return self.asarray(total, self.dtype(array), self.device(array), True)

    def matmul(self, a: Array, b: Array) -> Array:
        """The Array API's matrix product of two arrays."""
        return self.xp.matmul(*self.promoted(a, b))

    def contract(self, of: Pattern, a: Array, b: Array) -> Array:
        """Two arrays contracted by the plan for their pattern, shapes and data types."""
        if (sizes := self.shape(a) + self.shape(b)) and None in sizes:
            return self.trace_pair(of, a, b)
        return self.pairs[of, a.shape, b.shape, a.dtype, b.dtype](a, b)

    def contract_network(self, of: Pattern, arrays: Sequence[Array]) -> Array:
        """Three arrays and more, contracted in the best order."""
        shapes = tuple([self.shape(array) for array in arrays])
        if any(None in shape for shape in shapes):
            return self.trace_network(of, arrays)
        plan, into, out_of = self.networks[of, shapes, tuple([array.dtype for array in arrays])]
        if into is not None:
            arrays = [self.kernels.cast(array, into) for array in arrays]
        result = execute(plan, arrays)
        return result if out_of is None else self.kernels.cast(result, out_of)

    def network_plan(self, of: Pattern, arrays: Sequence[Array]) -> tuple[NetworkPlan, Any, Any]:
        """The plan that `contract_network` follows, with the data type to compute in and the result's."""
        return self.networks[of, tuple(self.shape(array) for array in arrays), tuple(array.dtype for array in arrays)]

    def trace_pair(self, of: Pattern, a: Array, b: Array) -> Array:
        """A pair whose sizes are not known yet: the framework's einsum, which its compiler lowers."""
        a, b = self.promoted(a, b)
        for (m, i), (n, j) in equal_places(of, (len(a.shape), len(b.shape))):
            self.require_equal((a, b)[m], i, (a, b)[n], j)
        return self.kernels.einsum(equation(of, (len(a.shape), len(b.shape))), a, b)

    def trace_network(self, of: Pattern, arrays: Sequence[Array]) -> Array:
        """A network whose sizes are not known yet, in an order found from its structure."""
        left = list(arrays)
        for (i, j), pair in structural_path(of, tuple(len(array.shape) for array in arrays)):
            second, first = left.pop(j), left.pop(i)
            left.append(self.trace_pair(pair, first, second))
        return left[0]

    def require_equal(self, a: Array, i: int, b: Array, j: int) -> None:
        """Hold two sizes against each other that a tracing framework may or may not know.

        Raises:
            ShapeError: they are known, and differ.
        """
        m, n = self.shape(a)[i], self.shape(b)[j]
        if m is not None and n is not None and m != n:
            raise ShapeError(f"one index has the sizes {m} and {n} in one operation.")

    def promoted(self, a: Array, b: Array) -> tuple[Array, Array]:
        """Both arrays in the data type that they promote to."""
        if a.dtype == b.dtype:
            return a, b
        into = self.native_dtype(promoted(self.dtype(a), self.dtype(b)))
        return self.kernels.cast(a, into), self.kernels.cast(b, into)

    def computing_dtype(self, native: Any) -> Any:
        """The data type in which to contract arrays of another one (where kernels are missing)."""
        return native

    # -- derivatives and compilation --------------------------------------------------------------------------------

    def vjp(
        self, function: Callable[..., tuple[list[Array], list[Array]]], arrays: Sequence[Array], reuse: bool = True
    ) -> tuple[list[Array], list[Array], Callable[[Sequence[Array]], list[Array]]]:
        """Values of a function of native arrays, and the transpose of its derivative (reverse mode).

        Args:
            function: takes the arrays, returns its outputs and further arrays, which are not differentiated.
            arrays: where to differentiate.
            reuse: whether the third result is called more than once.

        Returns:
            The outputs; the further arrays; a function from cotangents c, one for each output, to the derivatives of
            Re(sum c y) by the arrays: d/dx for real ones, d/dx - i d/dy for complex ones.
        """
        raise BackendError(f"the {self.name} backend has no derivatives.")

    def jvp(
        self, function: Callable[..., list[Array]], arrays: Sequence[Array], tangents: Sequence[Array]
    ) -> tuple[list[Array], list[Array]]:
        """Values of a function of native arrays, and their derivatives along tangents (forward mode)."""
        raise BackendError(f"the {self.name} backend has no derivatives.")

    def vmap(self, function: Callable[..., list[Array]], arrays: Sequence[Array]) -> list[Array]:
        """A function of native arrays mapped over their first axes; here, in a loop."""
        slices = [function(*(array[n] for array in arrays)) for n in range(self.shape(arrays[0])[0] or 0)]
        return [self.xp.stack(list(column)) for column in zip(*slices, strict=True)]

    def numbers(self, array: Array) -> np.ndarray[Any, Any] | None:
        """The array in host memory, out of its history and of transforms; None while a framework traces."""
        return self.to_numpy(self.detach(array))

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, compiled by the framework where it has a compiler."""
        return function

    def staged(
        self, function: Callable[..., tuple[Array, ...]], arrays: Sequence[Array], *static: Any
    ) -> tuple[Array, ...]:
        """`function(backend, arrays, *static)`, coordinatewise, of many operations, on 1-D arrays of one length or 1.

        A framework whose eager operations are dear may trace it once for all lengths; one that keeps every
        intermediate result in memory may do it slice by slice.
        """
        return function(self, arrays, *static)

    def deferred(self) -> bool:
        """Whether the framework traces a graph in which Python sees no numbers, and has choices and loops for it."""
        return False

    def cond(
        self, condition: Array, then: Callable[[], list[Array]], otherwise: Callable[[], list[Array]]
    ) -> list[Array]:
        """What one of two functions returns, in a graph; both are called, one after the other."""
        raise BackendError(f"the {self.name} backend has no choices for graphs.")

    def while_loop(
        self, test: Callable[[list[Array]], Array], body: Callable[[list[Array]], list[Array]], state: list[Array]
    ) -> list[Array]:
        """A state changed as long as a test of it holds, in a graph."""
        raise BackendError(f"the {self.name} backend has no loops for graphs.")

    def scan(
        self, body: Callable[[list[Array], list[Array]], tuple[list[Array], list[Array]]], state: list[Array],
        arrays: Sequence[Array], count: int, reverse: bool,
    ) -> tuple[list[Array], list[Array]]:  # fmt: skip
        """A state changed step by step with the slices of arrays: the last one, and the steps' results, stacked."""
        steps = []
        for n in reversed(range(count)) if reverse else range(count):
            state, found = body(state, [self.get_item(x, (n, Ellipsis)) for x in arrays])
            steps.append(found)
        if reverse:
            steps.reverse()
        return state, [self.xp.stack(list(results), axis=0) for results in zip(*steps, strict=True)]

    # -- plans ------------------------------------------------------------------------------------------------------

    def _dtypes(self, natives: Sequence[Any]) -> tuple[Any, Any, DType]:
        """What to compute in (None: no cast), what the result is cast to (None: no cast), and the former by name."""
        named = functools.reduce(promoted, map(dtype, natives))
        if named.kind == "bool":
            raise DTypeError(
                "a contraction multiplies and adds, which is not defined for the data type bool.",
                legal='cast first, t.to(dtype="int64")',
            )
        result = self.native_dtype(named)
        compute = self.computing_dtype(result)
        into = None if all(native == compute for native in natives) else compute
        return into, None if compute == result else result, dtype(compute)

    def _plan_pair(self, key: tuple[Any, ...]) -> Callable[[Array, Array], Array]:
        of, *shapes, first, second = key
        into, out_of, computed = self._dtypes((first, second))
        floating, real = computed.kind in ("float", "complex"), computed.kind != "complex"
        kernels = self.kernels if floating else self.integer_kernels or self.kernels
        plan = plan_pair(of, (tuple(shapes[0]), tuple(shapes[1])), kernels, floating=floating, real=real)
        run, cast = runner(plan, kernels), kernels.cast
        if into is None and out_of is None:
            return run
        if out_of is None:
            return lambda a, b: run(cast(a, into), cast(b, into))
        return lambda a, b: cast(run(cast(a, into), cast(b, into)), out_of)

    def _plan_formed(self, key: tuple[Pattern, Form, Form]) -> tuple[Callable[[Array, Array], Array], Form]:
        """The plan for arrays of two forms, and the form of its result."""
        of, x, y = key
        run = self.pairs[of, x.shape, y.shape, x.dtype, y.dtype]
        terms, out = labelled(of, (x.shape, y.shape))
        sizes = sizes_of(of, terms, (x.shape, y.shape))
        result = self.native_dtype(promoted(dtype(x.dtype), dtype(y.dtype)))
        return run, FORMS[tuple(sizes[label] for label in out), result]

    def _plan_network(self, key: tuple[Any, ...]) -> tuple[NetworkPlan, Any, Any]:
        of, shapes, natives = key
        into, out_of, computed = self._dtypes(natives)
        floating, real = computed.kind in ("float", "complex"), computed.kind != "complex"
        kernels = self.kernels if floating else self.integer_kernels or self.kernels
        return plan_network(of, shapes, kernels, floating=floating, real=real), into, out_of

    def reduce_axes(self, of: Pattern, array: Array) -> Array:
        """One array's traces, diagonals, sums and transposition."""
        term, out = of.terms[0], of.out
        lead = len(array.shape) - len(term)
        if sorted(term) == sorted(out) and len(set(term)) == len(term):
            perm = (*range(lead), *(lead + term.index(x) for x in out))
            return array if perm == tuple(range(len(perm))) else self.kernels.transpose(array, perm)
        into, out_of, _ = self._dtypes((array.dtype,))
        if into is not None:
            array = self.kernels.cast(array, into)
        result = self.kernels.einsum(equation(of, (len(array.shape),)), array)
        if out_of is not None or result.dtype != array.dtype:
            result = self.kernels.cast(result, array.dtype if out_of is None else out_of)
        return result
