"""What Python's syntax calls on a plain tensor, one row each: operators, subscripts, assignments, attributes.

The rows are read like those of `namespace_table`.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from namespace_table import Row, row

__all__ = ["HOST", "OPERATORS"]

OPERATORS: dict[str, Row] = {}
"""Operators, subscripts, assignments, and the standard's attributes and methods."""
HOST: dict[str, Row] = {}
"""What makes Python numbers or foreign memory of a tensor, and so needs its numbers."""


def _operator(name: str, function: Callable[..., Any], by: str = "") -> None:
    row(name, function, by, OPERATORS)


_operator("__add__", lambda xp, x, y, row: (x + y, x + row, x + 2.0), "x y row")
_operator("__radd__", lambda xp, x: 2.0 + x, "x")
_operator("__sub__", lambda xp, x, y, row: (x - y, x - row, x - 2.0), "x y row")
_operator("__rsub__", lambda xp, x: 2.0 - x, "x")
_operator("__mul__", lambda xp, x, y, row: (x * y, x * row, x * 2.0), "x y row")
_operator("__rmul__", lambda xp, z: 2.0 * z, "z")
_operator("__truediv__", lambda xp, x, y, scalar: (x / y, x / 2.0, x / scalar), "x y scalar")
_operator("__rtruediv__", lambda xp, p: 2.0 / p, "p")
_operator("__floordiv__", lambda xp, n, k, y: (n // k, n // 2, y // 0.7))
_operator("__rfloordiv__", lambda xp, k: 7 // k)
_operator("__mod__", lambda xp, n, k, x: (n % k, n % 3, x % 0.7))
_operator("__rmod__", lambda xp, k: 7 % k)
_operator("__pow__", lambda xp, p, y: (p**y, p**2, p**0.5), "p y")
_operator("__rpow__", lambda xp, x: 2.0**x, "x")
_operator("__matmul__", lambda xp, A, x, v: (A @ x, v @ A, A @ v, v @ v), "A x v")
_operator("__neg__", lambda xp, x: -x, "x")
_operator("__pos__", lambda xp, x: +x, "x")
_operator("__abs__", lambda xp, x, z: (abs(x), abs(z)), "x z")
_operator("__invert__", lambda xp, n, b: (~n, ~b))
_operator("__and__", lambda xp, n, k, b, bb: (n & k, b & bb, n & 5))
_operator("__rand__", lambda xp, n: 5 & n)
_operator("__or__", lambda xp, n, k, b, bb: (n | k, b | bb, n | 5))
_operator("__ror__", lambda xp, n: 5 | n)
_operator("__xor__", lambda xp, n, k, b, bb: (n ^ k, b ^ bb, n ^ 5))
_operator("__rxor__", lambda xp, n: 5 ^ n)
_operator("__lshift__", lambda xp, n, k: (n << k, n << 2))
_operator("__rlshift__", lambda xp, k: 5 << k)
_operator("__rshift__", lambda xp, n, k: (n >> k, n >> 2))
_operator("__rrshift__", lambda xp, k: 50 >> k)
_operator("__lt__", lambda xp, x, y: (x < y, x < 0.5))
_operator("__le__", lambda xp, x, y: (x <= y, x <= 0.5))
_operator("__gt__", lambda xp, x, y: (x > y, x > 0.5))
_operator("__ge__", lambda xp, x, y: (x >= y, x >= 0.5))
_operator("__eq__", lambda xp, n, k: (n == k, n == 2))
_operator("__ne__", lambda xp, n, k: (n != k, n != 2))
_operator("T", lambda xp, x: x.T, "x")
_operator("mT", lambda xp, cube: cube.mT, "cube")
_operator("ndim", lambda xp, x: x * x.ndim, "x")
_operator("dtype", lambda xp, x: xp.zeros((2, 2), dtype=x.dtype))
_operator("device", lambda xp, x: xp.asarray(1.0 if isinstance(x.device, str) else 0.0))
_operator("to_device", lambda xp, x: x.to_device("cpu") * 2, "x")
_operator("detach", lambda xp, x: x.detach() * 2)
_operator("conj", lambda xp, z: z.conj(), "z")
_operator("to", lambda xp, x: x.to(dtype="complex128"), "x")


def _in_place(name: str, change: Callable[..., Any], first: str, by: str, *others: str) -> None:
    def function(xp: Any, *arrays: Any) -> Any:
        t = arrays[0] + 0 if first not in ("b",) else arrays[0] | False
        return change(t, *arrays[1:])

    inputs = (first, *others)
    OPERATORS[name] = Row(function, inputs, tuple(by.split()))


_in_place("__iadd__", operator.iadd, "x", "x y", "y")
_in_place("__isub__", operator.isub, "x", "x row", "row")
_in_place("__imul__", operator.imul, "x", "x y", "y")
_in_place("__itruediv__", operator.itruediv, "x", "x p", "p")
_in_place("__ifloordiv__", operator.ifloordiv, "n", "", "k")
_in_place("__imod__", operator.imod, "n", "", "k")
_in_place("__ipow__", operator.ipow, "p", "p y", "y")
_in_place("__imatmul__", operator.imatmul, "A", "A S", "S")
_in_place("__iand__", operator.iand, "b", "", "bb")
_in_place("__ior__", operator.ior, "n", "", "k")
_in_place("__ixor__", operator.ixor, "n", "", "k")
_in_place("__ilshift__", operator.ilshift, "n", "", "k")
_in_place("__irshift__", operator.irshift, "n", "", "k")

# Subscripts: every kind of key, alone and mixed.
for _label, _function in {
    "": lambda xp, x: (x[1], x[-1, 2], x[0, :]),
    "slices": lambda xp, x: (x[1:], x[:, ::2], x[-2:, 1:-1], x[:0], x[5:]),
    "negative steps": lambda xp, x: (x[::-1], x[:, ::-2], x[2:0:-1, -1:0:-2]),
    "None": lambda xp, x: (x[None], x[:, None, 1:], x[..., None]),
    "Ellipsis": lambda xp, cube: (cube[...], cube[..., 1], cube[0, ..., ::2], cube[..., 1, :]),
}.items():
    _operator(
        "__getitem__" + (f"/{_label}" if _label else ""), _function, tuple(inspect.signature(_function).parameters)[1]
    )
_operator("__getitem__/integer array", lambda xp, x, rows: (x[rows], x[rows, 1:], x[rows, None]), "x")
_operator("__getitem__/integer arrays", lambda xp, x, rows, columns: (x[rows, columns], x[rows[:, None], columns]), "x")
_operator("__getitem__/integer array and integer", lambda xp, cube, rows: (cube[1, rows], cube[1, rows, 2]), "cube")
_operator("__getitem__/arrays apart", lambda xp, cube, counts: cube[counts[:2] % 2, :, counts[:2]], "cube")
_operator("__getitem__/integer array beside Ellipsis", lambda xp, cube, columns: cube[..., columns], "cube")
_operator("__getitem__/0-d tensor", lambda xp, x, rows: x[rows[0]], "x")
_operator(
    "__getitem__/0-d tensors",
    lambda xp, cube, rows, columns: (
        cube[..., rows[0] - 3, columns[1]],
        cube[1, None, rows[2]],
        cube[:, rows[0], 1:],
        cube[rows[2], columns % 3],
    ),
    "cube",
)
_operator("__getitem__/complex", lambda xp, z, rows: (z[rows], z[1:, ::2]), "z")


def _assigning(label: str, assign: Callable[..., None], *inputs: str, by: str) -> None:
    def function(xp: Any, first: Any, *others: Any) -> Any:
        t = first * 1
        assign(t, *others)
        return t

    OPERATORS["__setitem__" + (f"/{label}" if label else "")] = Row(function, inputs, tuple(by.split()))


def _put(key: Any) -> Callable[..., None]:
    """An assignment to a constant key."""

    def assign(t: Any, value: Any = 0.25) -> None:
        t[key] = value

    return assign


def _put_at(t: Any, value: Any, *key: Any) -> None:
    t[key if len(key) > 1 else key[0]] = value


_assigning("", _put((1, 2)), "x", by="x")
_assigning("number in a slice", _put((slice(None), slice(None, None, 2))), "x", by="x")
_assigning("number everywhere", _put(...), "x", by="x")
_assigning("row", _put(1), "x", "row", by="x row")
_assigning("broadcast", _put((slice(1, None), slice(None))), "x", "row", by="x row")
_assigning("column", _put((slice(None), slice(1, 3))), "x", "column", by="x column")
_assigning("negative steps", _put((slice(None, None, -1), slice(None, None, -1))), "x", "y", by="x y")
_assigning("0-d value", _put((slice(0, 2), 1)), "x", "scalar", by="x scalar")
_assigning("Ellipsis", _put((..., 1)), "cube", "v", by="cube v")
_assigning("None", _put((None, 1)), "x", "row", by="x row")
_assigning("complex", _put(0), "z", "zrow", by="z zrow")
_assigning("real into complex", _put(0), "z", "row", by="z row")
_assigning("integers", lambda t, k: _put_at(t, k[0], 1), "n", "k", by="")
_assigning("number at a mask", lambda t, b: _put_at(t, 0.5, b), "x", "b", by="x")
_assigning("tensor at a mask", lambda t, b, scalar: _put_at(t, scalar, b), "x", "b", "scalar", by="x scalar")
_assigning("rows at a mask", lambda t, mask, row: _put_at(t, row, mask), "x", "mask", "row", by="x row")
# (at distinct positions: which of several values for one place wins is not said)
_assigning(
    "integer array", lambda t, counts, v: _put_at(t, v[:, None], slice(None), counts), "x", "counts", "v", by="x v"
)
_assigning(
    "integer arrays",
    lambda t, counts, rows, row: _put_at(t, row, rows, counts),
    "x",
    "counts",
    "rows",
    "row",
    by="x row",
)
_assigning("number at an integer array", lambda t, rows: _put_at(t, 0.5, rows), "x", "rows", by="x")
_assigning("0-d tensor", lambda t, rows, row: _put_at(t, row, rows[0]), "x", "rows", "row", by="x row")
_assigning("0-d tensors", lambda t, rows, columns: _put_at(t, 0.5, rows[0], columns[1]), "x", "rows", "columns", by="x")

for _name, _function in {
    "__bool__": lambda xp, scalar: bool(scalar),
    "__int__": lambda xp, scalar: int(scalar),
    "__float__": lambda xp, scalar: float(scalar),
    "__complex__": lambda xp, scalar: complex(scalar),
    "__index__": lambda xp, rows: range(9)[rows[0]],
    "__array__": lambda xp, x: np.asarray(x),
    "__dlpack__": lambda xp, x: x.__dlpack__(),
}.items():
    row(_name, _function, table=HOST)
