"""The operators that are functions of components, and those that write into a tensor.

They only name what they do; `*`, `@`, `+` and `-`, which have a hot path, are in `tensor.py`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Self

from tensoria.coordinatewise import binary, negative, scalar_product, unary
from tensoria.core import BaseTensor, T
from tensoria.errors import BackendError, ModeError
from tensoria.indices import bare
from tensoria.views import rebound, refresh

__all__ = ["Operators"]


def _in_place(operation: Callable[[Any, Any], Any], symbol: str) -> Callable[[T, Any], T]:
    """An operator in place: it writes into the array's memory where it can; indices and data type never change."""

    def method(self: T, other: Any) -> T:
        if self._backend.immutable:
            refresh(self)
        result = operation(self, other)
        if result._backend is not self._backend:
            raise BackendError(
                f"'{symbol}' would write what is on {result._backend.name} into a tensor on {self._backend.name}.",
                legal="t = t + u",
            )
        if result._axes is not self._axes and bare(result._axes) is not bare(self._axes):
            raise ModeError(f"'{symbol}' would change the indices {self._axes} to {result._axes}.", legal="t = t * u")
        if result.dtype is not self.dtype or result.shape != self.shape:
            raise ModeError(
                f"'{symbol}' would change {self.dtype} {self.shape} to {result.dtype} {result.shape}.",
                legal="t = t + u",
            )
        rebound(self, self._backend.overwrite(self._array, result._array))
        self._axes = result._axes  # with the symmetries that the result has
        return self

    return method


class Operators(BaseTensor):
    """A tensor with Python's operators, but for products and sums."""

    __slots__ = ()

    def __neg__(self) -> Self:
        return negative(self)

    def __pos__(self) -> Self:
        return self

    def __truediv__(self, other: Any) -> Self:
        return scalar_product(self, other, divide=True)

    def __rtruediv__(self, other: Any) -> Self:
        return binary("divide", self, other, swapped=True)

    def __floordiv__(self, other: Any) -> Self:
        return binary("floor_divide", self, other)

    def __rfloordiv__(self, other: Any) -> Self:
        return binary("floor_divide", self, other, swapped=True)

    def __mod__(self, other: Any) -> Self:
        return binary("remainder", self, other)

    def __rmod__(self, other: Any) -> Self:
        return binary("remainder", self, other, swapped=True)

    def __pow__(self, other: Any) -> Self:
        return binary("pow", self, other)

    def __rpow__(self, other: Any) -> Self:
        return binary("pow", self, other, swapped=True)

    def __and__(self, other: Any) -> Self:
        return binary("bitwise_and", self, other)

    def __rand__(self, other: Any) -> Self:
        return binary("bitwise_and", self, other, swapped=True)

    def __or__(self, other: Any) -> Self:
        return binary("bitwise_or", self, other)

    def __ror__(self, other: Any) -> Self:
        return binary("bitwise_or", self, other, swapped=True)

    def __xor__(self, other: Any) -> Self:
        return binary("bitwise_xor", self, other)

    def __rxor__(self, other: Any) -> Self:
        return binary("bitwise_xor", self, other, swapped=True)

    def __lshift__(self, other: Any) -> Self:
        return binary("bitwise_left_shift", self, other)

    def __rlshift__(self, other: Any) -> Self:
        return binary("bitwise_left_shift", self, other, swapped=True)

    def __rshift__(self, other: Any) -> Self:
        return binary("bitwise_right_shift", self, other)

    def __rrshift__(self, other: Any) -> Self:
        return binary("bitwise_right_shift", self, other, swapped=True)

    def __lt__(self, other: Any) -> Self:
        return binary("less", self, other)

    def __le__(self, other: Any) -> Self:
        return binary("less_equal", self, other)

    def __gt__(self, other: Any) -> Self:
        return binary("greater", self, other)

    def __ge__(self, other: Any) -> Self:
        return binary("greater_equal", self, other)

    def __eq__(self, other: object) -> Self:  # type: ignore[override]
        return binary("equal", self, other)

    def __ne__(self, other: object) -> Self:  # type: ignore[override]
        return binary("not_equal", self, other)

    __hash__ = None  # type: ignore[assignment]

    def __invert__(self) -> Self:
        return unary("bitwise_invert", self._backend.xp.bitwise_invert, self)

    def __abs__(self) -> Self:
        return unary("abs", self._backend.xp.abs, self)

    __iadd__ = _in_place(operator.add, "+=")
    __isub__ = _in_place(operator.sub, "-=")
    __imul__ = _in_place(operator.mul, "*=")
    __itruediv__ = _in_place(operator.truediv, "/=")
    __ifloordiv__ = _in_place(operator.floordiv, "//=")
    __imod__ = _in_place(operator.mod, "%=")
    __ipow__ = _in_place(operator.pow, "**=")
    __imatmul__ = _in_place(operator.matmul, "@=")
    __iand__ = _in_place(operator.and_, "&=")
    __ior__ = _in_place(operator.or_, "|=")
    __ixor__ = _in_place(operator.xor, "^=")
    __ilshift__ = _in_place(operator.lshift, "<<=")
    __irshift__ = _in_place(operator.rshift, ">>=")
