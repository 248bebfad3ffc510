"""The one tensor type.

A `Tensor` is a native array with, possibly, labels on its last axes. Without labels it is an Array API array: its
operators mean what they mean in NumPy. With labels it is a tensor in the mathematician's sense: `*` contracts an up
with a down index of one name, `+` aligns by name, and what would depend on the basis is refused unless the basis is
privileged. This file names the operations and holds products and sums, whose hot paths are two comparisons and
one allocation beyond the native call; each operation's idea has a file of its own below, and so have the other
operators.
"""

from __future__ import annotations

import copy as copying
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from tensoria import contraction, indexing, printing
from tensoria.algebra import fusing, patterns, raising, symmetry
from tensoria.backend import Backend, device_name
from tensoria.casting import cast
from tensoria.conversion import convert
from tensoria.coordinatewise import (
    binary,
    check_broadcast,
    check_devices,
    check_matmul,
    is_scalar,
    scalar_product,
)
from tensoria.core import BaseTensor, adopt, kept, new, relabelled, require_labelled, same_backend, transposed
from tensoria.discovery import backend_of, get
from tensoria.domains import check_domain
from tensoria.dtypes import DType
from tensoria.dtypes import dtype as as_dtype
from tensoria.errors import AxisError, ConversionError, ModeError
from tensoria.indices import PLAIN, Axes
from tensoria.matching import PRODUCTS
from tensoria.metric import conj, to_basis
from tensoria.operators import Operators
from tensoria.planning import SizeConflictError
from tensoria.spaces import Basis, Space
from tensoria.views import view

__all__ = ["Tensor"]

_new = object.__new__


class Tensor(Operators):
    """A tensor on any backend; `tensoria.asarray` and `tensoria.tensor` make one.

    Args:
        array: a native array, which is adopted without a copy.

    Raises:
        ConversionError: it is no native array of an installed backend.

    >>> import tensoria as tn
    >>> V = tn.Space("V", 2, metric=[[2, 1], [1, 3]])
    >>> i, j = tn.indices("i j", V)
    >>> A = tn.tensor([[1., 2.], [3., 4.]], [i, -j])
    >>> v = tn.tensor([1., 1.], [j])
    >>> (A * v).components.array
    array([3., 7.])
    """

    __slots__ = ()

    def __init__(self, array: Any) -> None:
        if isinstance(array, BaseTensor):
            self._array, self._axes, self._backend = array._array, array._axes, array._backend
            return
        backend = backend_of(array)
        if backend is None:
            raise ConversionError(
                f"{type(array).__name__} is no native array of an installed backend.", legal="tn.asarray(x)"
            )
        self._array, self._axes, self._backend = array, PLAIN, backend

    # -- labels --------------------------------------------------------------------------------------------------

    @property
    def components(self) -> Tensor:
        """The same array without its labels: a plain tensor."""
        return new(self, self._array, PLAIN)

    def renamed(self, names: dict[str, str] | None = None, **more: str) -> Tensor:
        """The tensor with some indices renamed; spaces and variances stay.

        >>> import tensoria as tn
        >>> V = tn.Space("V", 2)
        >>> tn.tensor([1., 2.], "^i", i=V).renamed(i="k").axes
        Axes(^k)
        """
        return relabelled(self, {**(names or {}), **more})

    def permuted(self, names: str | Iterable[str]) -> Tensor:
        """The tensor with its labelled axes in another order; variance never changes (rule 7).

        Args:
            names: all names, in the new order.

        Raises:
            AxisError: a name is missing, unknown or given twice.
        """
        require_labelled(self, "permuting by name")
        order = names.split() if isinstance(names, str) else list(names)
        found = [self._axes.find(name) for name in order]
        if sorted(found) != list(range(len(self._axes.indices))):
            raise AxisError(f"{order} are not all the axes {self._axes}, each once.")
        return transposed(self, found)

    def __getitem__(self, key: Any) -> Tensor:
        return indexing.get(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        indexing.put(self, key, value)

    # -- products -------------------------------------------------------------------------------------------------

    def __mul__(self, other: Any) -> Tensor:
        if type(other) is not Tensor:
            return scalar_product(self, other) if not isinstance(other, BaseTensor) else self._times(other)
        backend, left, right = self._backend, self._axes, other._axes
        if backend is not other._backend:
            one, two = same_backend(self, other)
            return one * two
        x, y = self._array, other._array
        if left is PLAIN and right is PLAIN:
            try:
                array = backend.multiply(x, y)
            except Exception:
                check_broadcast(backend.shape(x), backend.shape(y), "'*'")
                return binary("multiply", self, other)  # for data types that the direct way lacks
        else:
            # `contraction.product` in a nutshell, for the common case: look up what meets, look up the plan, run it.
            tracing = backend.tracing
            if not backend.immediate or (tracing is not None and tracing()):
                return contraction.product(self, other)
            aligned = PRODUCTS[left, right]
            if not aligned.simple:
                return contraction.product(self, other)
            try:
                try:
                    first = self._form
                except AttributeError:
                    first = self.form()
                try:
                    second = other._form
                except AttributeError:
                    second = other.form()
                run, form = backend.formed[aligned.pattern, first, second]
                array = run(x, y)
            except (SizeConflictError, TypeError):
                return contraction.product(self, other)
            out = _new(Tensor)
            out._array = array
            out._axes = aligned.axes
            out._backend = backend
            # Under autocast the result is of another data type than its operands promise.
            if array.dtype is form.dtype:
                out._form = form
            return out
        out = _new(Tensor)
        out._array = array
        out._axes = PLAIN
        out._backend = backend
        return out

    def _times(self, other: BaseTensor) -> Tensor:
        """The product with an instance of a subclass."""
        first, second = same_backend(self, other)
        if self._axes is PLAIN and other._axes is PLAIN:
            return binary("multiply", first, second)
        return contraction.product(first, second)

    def __rmul__(self, other: Any) -> Tensor:
        return scalar_product(self, other)

    def __matmul__(self, other: Any) -> Tensor:
        if not isinstance(other, BaseTensor):
            return NotImplemented
        if self._axes is PLAIN and other._axes is PLAIN:
            backend = self._backend
            if backend is not other._backend:
                first, second = same_backend(self, other)
                return first @ second
            try:
                return new(self, backend.matmul(self._array, other._array), PLAIN)
            except Exception:
                check_domain("matmul", self.dtype)
                check_domain("matmul", other.dtype)
                check_devices((self._array, other._array), backend, "'@'")
                check_matmul(self.shape, other.shape)
                raise
        return contraction.compose(self, other)

    def __call__(self, *arguments: BaseTensor | None) -> Tensor:
        """The tensor evaluated as a multilinear map; `None` leaves a slot open (see `contraction.evaluate`)."""
        return contraction.evaluate(self, arguments)

    def trace(self, first: str, second: str) -> Tensor:
        """The contraction of two of the tensor's indices, one up and one down (see `contraction.trace`)."""
        return contraction.trace(self, first.lstrip("^_"), second.lstrip("^_"))

    # -- sums -----------------------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Tensor:
        if type(other) is Tensor and self._axes is other._axes and self._backend is other._backend:
            axes = self._axes
            if not axes.symbols or (self._backend.immediate and self._array.shape == other._array.shape):
                out = _new(Tensor)
                try:
                    out._array = self._backend.add(self._array, other._array)
                except Exception:
                    return binary("add", self, other)  # which says what is wrong
                out._axes = axes
                out._backend = self._backend
                return out
        return binary("add", self, other)

    def __radd__(self, other: Any) -> Tensor:
        return binary("add", self, other, swapped=True)

    def __sub__(self, other: Any) -> Tensor:
        if type(other) is Tensor and self._axes is other._axes and self._backend is other._backend:
            axes = self._axes
            if not axes.symbols or (self._backend.immediate and self._array.shape == other._array.shape):
                out = _new(Tensor)
                try:
                    out._array = self._backend.subtract(self._array, other._array)
                except Exception:
                    return binary("subtract", self, other)  # which says what is wrong
                out._axes = axes
                out._backend = self._backend
                return out
        return binary("subtract", self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return binary("subtract", self, other, swapped=True)

    # -- metric and basis -----------------------------------------------------------------------------------------

    def raised(self, names: str | Iterable[str] | None = None, *, metric: BaseTensor | None = None) -> Tensor:
        """The tensor with down indices made contravariant (see `algebra.raising.raised`)."""
        return raising.raised(self, names, metric)

    def lowered(self, names: str | Iterable[str] | None = None, *, metric: BaseTensor | None = None) -> Tensor:
        """The tensor with up indices made covariant (see `algebra.raising.lowered`)."""
        return raising.lowered(self, names, metric)

    def to_basis(self, basis: Basis | Space, names: str | Iterable[str] | None = None) -> Tensor:
        """The same tensor with its components in another basis (see `metric.to_basis`)."""
        return to_basis(self, basis, names)

    def conj(self) -> Tensor:
        """The complex conjugate, in the conjugate space; up stays up (see `metric.conj`)."""
        return conj(self)

    def adjoint(self) -> Tensor:
        """The adjoint with respect to the metrics (see `algebra.raising.adjoint`)."""
        return raising.adjoint(self)

    # -- shape ----------------------------------------------------------------------------------------------------

    def fused(self, names: str | Iterable[str], into: str) -> Tensor:
        """Several indices fused into one over their product space (see `algebra.fusing.fused`)."""
        return fusing.fused(self, names, into)

    def split(self, name: str, into: str | Iterable[str]) -> Tensor:
        """A fused index split into its factors (see `algebra.fusing.split`)."""
        return fusing.split(self, name, into)

    def rearrange(self, pattern: str, **sizes: int) -> Tensor:
        """Axes permuted, split and merged by an einops pattern (see `algebra.patterns.rearrange`)."""
        return patterns.rearrange(self, pattern, **sizes)  # type: ignore[no-any-return]

    def symmetrised(self, names: str | Iterable[str]) -> Tensor:
        """The symmetric part over some indices, T_(ij) (see `algebra.symmetry.symmetrised`)."""
        return symmetry.symmetrised(self, names)

    def antisymmetrised(self, names: str | Iterable[str]) -> Tensor:
        """The antisymmetric part over some indices, T_[ij] (see `algebra.symmetry.antisymmetrised`)."""
        return symmetry.antisymmetrised(self, names)

    @property
    def T(self) -> Tensor:  # noqa: N802 (the standard's name)
        """The transpose of a plain matrix; a labelled one has `t.permuted(...)`, and needs no transpose for `*`."""
        self._unlabelled(".T")
        if self.ndim != 2:
            raise AxisError(f".T is for matrices, and this tensor has {self.ndim} axes.", legal="t.mT")
        return self.mT

    @property
    def mT(self) -> Tensor:  # noqa: N802 (the standard's name)
        """The last two axes of a plain tensor exchanged."""
        array, count = self._unlabelled(".mT"), self.ndim
        if count < 2:
            raise AxisError(f".mT is for matrices and stacks of them, and this tensor has {count} axes.")
        transpose, order = self._backend.kernels.transpose, (*range(count - 2), count - 1, count - 2)
        out = new(self, transpose(array, order), PLAIN)
        if not self._backend.immutable:
            return out
        return view(self, out, lambda array: transpose(array, order), lambda _, new: transpose(new, order))

    # -- moving -----------------------------------------------------------------------------------------------------

    def to(
        self,
        *,
        backend: str | None = None,
        device: str | None = None,
        dtype: DType | str | None = None,
        copy: bool | None = None,
    ) -> Tensor:
        """The same tensor on another backend or device, or in another data type.

        Args:
            backend: the backend's name. The move shares memory (DLPack) where the frameworks allow it.
            device: such as `"cpu"`, `"cuda"`, `"cuda:1"`.
            dtype: a data type or its name.
            copy: True copies always, False never (and raises where a copy is needed).

        Raises:
            ConversionError: the tensor requires grad and would leave its framework, or `copy=False` is impossible.
            BackendError: there is no such backend or device.

        >>> import tensoria as tn
        >>> tn.asarray([1, 2]).to(dtype="float32").dtype
        tensoria.float32
        """
        source = target = self._backend
        array = self._array
        if dtype is not None and as_dtype(dtype) is not self.dtype:
            # Before the move: the other backend may lack the present data type.
            array = cast(source, array, as_dtype(dtype))
        if backend is not None and backend != source.name:
            target = get(backend)
            array = convert(array, source, target, copy)
        if device is not None and target.device(array) != device_name(device):
            array = target.to_device(array, device)
        elif device is None and target is source and array is self._array and copy is True:
            array = target.copy(array)
        if copy is False and target is source and array is not self._array:
            raise ConversionError(f"{dtype or device} needs a copy of this {self.dtype}, and copy=False forbids it.")
        out = kept(self, array)
        out._backend = target
        return out

    def to_device(self, device: str, /, *, stream: Any = None) -> Tensor:
        """The same tensor on another device (the Array API's way of writing `t.to(device=...)`)."""
        return self.to(device=device)

    def detach(self) -> Tensor:
        """The tensor without its history of derivatives."""
        return kept(self, self._backend.detach(self._array))

    # -- conversions that would drop labels --------------------------------------------------------------------------

    def _unlabelled(self, what: str) -> Any:
        if self._axes is not PLAIN:
            raise ModeError(
                f"{what} would drop the labels {self._axes} silently.",
                legal="t.components is the plain tensor, t.array the native array",
            )
        return self._array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        import numpy as np

        array = self._unlabelled("np.asarray")
        if self._backend.requires_grad(array):
            raise ConversionError(
                "a tensor that requires grad does not become a NumPy array: its history would be lost.",
                legal="np.asarray(t.detach())",
            )
        return np.array(self._backend.to_numpy(array), dtype=dtype, copy=copy)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        reflected = REFLECTED.get(ufunc.__name__)
        # np.float64(2) * t and array * t arrive here; a NumPy scalar is a number (comparisons make a 0-d array of
        # it first), an array has to be adopted openly.
        if self._axes is not PLAIN and any(
            type(x) is not type(self) and hasattr(x, "shape") and x.shape for x in inputs
        ):
            raise ModeError(
                f"the labelled tensor {self._axes} meets a NumPy array in np.{ufunc.__name__}.",
                legal="tn.tensor(x, [i, ...]) labels the array",
            )
        if method == "__call__" and reflected and len(inputs) == 2 and inputs[1] is self:
            left = inputs[0][()] if getattr(inputs[0], "shape", None) == () else inputs[0]
            if is_scalar(left):
                return getattr(self, reflected)(left)
        self._unlabelled(f"np.{ufunc.__name__}")
        ours = ufunc.__name__ if method == "__call__" else REDUCTIONS.get(ufunc.__name__, "")
        first = f"tn.{ours}(t) on every backend" if hasattr(sys.modules[__package__], ours) else "np.asarray(t)"
        raise ConversionError(
            f"np.{ufunc.__name__} works on NumPy arrays, and this is a tensor.",
            legal=f"{first}, or tn.asarray(x) for the array beside it",
        )

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[Any, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        array = self._unlabelled("__dlpack__")
        return self._backend.dlpack(array, stream=stream, max_version=max_version, dl_device=dl_device, copy=copy)

    def __dlpack_device__(self) -> tuple[Any, int]:
        return self._backend.dlpack_device(self._unlabelled("__dlpack_device__"))

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        self._unlabelled("__array_namespace__")
        if api_version not in (None, *API_VERSIONS):
            raise ConversionError(f"the Array API's version {api_version!r} is none of {', '.join(API_VERSIONS)}.")
        return sys.modules[__package__].namespace(self._backend.name)

    def _one(self, what: str) -> Any:
        self._unlabelled(what)
        if self.size != 1 or self.ndim:
            raise ConversionError(f"{what} needs a tensor without axes; this one has the shape {self.shape}.")
        return self._backend.to_numpy(self._backend.detach(self._array)).item()

    def __bool__(self) -> bool:
        return bool(self._one("bool()"))

    def __int__(self) -> int:
        return int(self._one("int()"))

    def __float__(self) -> float:
        return float(self._one("float()"))

    def __complex__(self) -> complex:
        return complex(self._one("complex()"))

    def __index__(self) -> int:
        if self.dtype.kind not in ("int", "uint"):
            raise ConversionError(f"only a tensor of integers is a position, and this one is {self.dtype}.")
        return int(self._one("a position"))

    def __len__(self) -> int:
        if not self.ndim:
            raise ConversionError("a tensor without axes has no length.")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self.ndim:
            raise ConversionError("a tensor without axes can not be iterated over.")
        return (self[position] for position in range(len(self)))

    # -- frameworks' protocols ---------------------------------------------------------------------------------------

    @classmethod
    def from_parts(cls, array: Any, of: Axes, backend: Backend) -> Tensor:
        """A tensor of its three parts, unchecked: what flattening and unflattening a pytree needs."""
        return adopt(cls, array, of, backend)

    def __copy__(self) -> Tensor:
        return kept(self, self._array)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        return kept(self, copying.deepcopy(self._array, memo))

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self._backend.freeze(self._array), self._axes, self._backend)

    # -- how it shows itself ------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return printing.as_text(self)

    def __format__(self, spec: str) -> str:
        return format(self._one("formatting"), spec) if spec else str(self)

    def latex(self, symbol: str = "T") -> str:
        """The tensor's symbol with its indices, such as `T^{i}{}_{j}`."""
        return printing.as_latex(self, symbol)

    def _repr_latex_(self) -> str | None:
        return f"${self.latex()}$" if self._axes is not PLAIN else None

    def _repr_html_(self) -> str:
        return printing.as_html(self)


API_VERSIONS = ("2023.12", "2024.12", "2025.12")
"""The versions of the Array API whose functions the package offers at its top level."""
REFLECTED = {
    "add": "__radd__", "subtract": "__rsub__", "multiply": "__rmul__", "divide": "__rtruediv__",
    "true_divide": "__rtruediv__", "floor_divide": "__rfloordiv__", "remainder": "__rmod__", "power": "__rpow__",
    "equal": "__eq__", "not_equal": "__ne__", "less": "__gt__", "less_equal": "__ge__", "greater": "__lt__",
    "greater_equal": "__le__", "bitwise_and": "__rand__", "bitwise_or": "__ror__", "bitwise_xor": "__rxor__",
    "left_shift": "__rlshift__", "right_shift": "__rrshift__",
}  # fmt: skip
"""The method of a tensor that answers when a NumPy scalar stands on the left of it."""
REDUCTIONS = {
    "add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min", "logical_and": "all", "logical_or": "any",
}  # fmt: skip
"""What a NumPy function over axes is called, by the function of two operands that NumPy makes it of."""


def _restored(frozen: Any, of: Axes, backend: Backend) -> Tensor:
    out = Tensor.from_parts(backend.thaw(frozen), of, backend)
    out._axes = of  # with its declared symmetries
    return out
