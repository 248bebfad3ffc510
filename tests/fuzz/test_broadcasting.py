"""Every function of two arrays broadcasts as in NumPy, at any rank, with empty axes and with numbers."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from across import refusal
from hypothesis import given
from hypothesis import strategies as st

import tensoria as tn
from tensoria.errors import ShapeError

from .drawn import agree, arrays, same, tensor

REAL = ("float32", "float64", "int32", "int64", "uint8")
OF_REALS = ("add", "subtract", "multiply", "maximum", "minimum", "less", "less_equal", "greater", "greater_equal",
            "equal", "not_equal", "floor_divide", "remainder")  # fmt: skip
OF_FLOATS = ("divide", "hypot", "copysign", "nextafter", "logaddexp")
OF_INTEGERS = ("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift", "bitwise_right_shift")
OF_TRUTHS = ("logical_and", "logical_or", "logical_xor")
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add, "subtract": operator.sub, "multiply": operator.mul, "less": operator.lt,
    "floor_divide": operator.floordiv, "remainder": operator.mod, "equal": operator.eq, "bitwise_and": operator.and_,
    "bitwise_left_shift": operator.lshift, "divide": operator.truediv,
}  # fmt: skip
pairs = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, min_side=0, max_side=3)
triples = hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=4, min_side=0, max_side=3)


def check(backend: str, name: str, x: Any, y: Any, rtol: float = 0.0) -> None:
    t, u = tensor(backend, x), tensor(backend, y)
    numpys = getattr(np, name)
    agree(lambda: getattr(tn, name)(t, u), lambda: numpys(x, y), rtol)
    if name in OPERATORS:
        agree(lambda: OPERATORS[name](t, u), lambda: numpys(x, y), rtol)


@given(shapes=pairs, dtype=st.sampled_from(REAL), data=st.data())
def test_functions_of_two_arrays(backend: str, shapes: Any, dtype: str, data: Any) -> None:
    x, y = (data.draw(arrays((dtype,), shape, special=False)) for shape in shapes.input_shapes)
    name = data.draw(st.sampled_from(OF_REALS))
    if dtype.startswith("float") and name in ("floor_divide", "remainder"):
        y = np.where(y == 0, 1, y).astype(dtype)  # the standard and NumPy differ on numbers divided by zero
    check(backend, name, x, y)
    if dtype.startswith("float"):
        check(backend, data.draw(st.sampled_from(OF_FLOATS)), x, y, rtol=1e-5)
    else:
        check(backend, data.draw(st.sampled_from(OF_INTEGERS)), x, y)
    check(backend, data.draw(st.sampled_from(OF_TRUTHS)), x > 0, y > 0)


@given(shapes=triples, data=st.data())
def test_where_and_clip(backend: str, shapes: Any, data: Any) -> None:
    x, y, z = (data.draw(arrays(("float64",), shape)) for shape in shapes.input_shapes)
    t, u, v = (tensor(backend, a) for a in (x, y, z))
    agree(lambda: tn.where(t > 0, u, v), lambda: np.where(x > 0, y, z))
    agree(lambda: tn.where(t > 0, u, 2.5), lambda: np.where(x > 0, y, 2.5))
    agree(lambda: tn.clip(t, -1.0, 2.0), lambda: np.clip(x, -1.0, 2.0))
    found = tn.broadcast_arrays(t, u, v)
    for one, other in zip(found, np.broadcast_arrays(x, y, z), strict=True):
        same(one, other)
    assert tn.broadcast_shapes(x.shape, y.shape, z.shape) == shapes.result_shape


@given(
    shapes=hnp.mutually_broadcastable_shapes(signature=np.matmul.signature, max_dims=3, min_side=0, max_side=3),
    data=st.data(),
)
def test_matrix_products(backend: str, shapes: Any, data: Any) -> None:
    dtype = data.draw(st.sampled_from(["float64", "int64", "int8", "uint16", "complex64"]))
    x, y = (data.draw(arrays((dtype,), shape, special=False)) for shape in shapes.input_shapes)
    t, u = tensor(backend, x), tensor(backend, y)
    agree(lambda: t @ u, lambda: x @ y, rtol=1e-5)
    agree(lambda: tn.matmul(t, u), lambda: np.matmul(x, y), rtol=1e-5)


@given(
    sides=st.tuples(*[st.lists(st.integers(0, 3), max_size=2)] * 3), dtype=st.sampled_from(["float64", "int64", "int8"])
)
def test_tensor_products_over_any_axes(backend: str, sides: Any, dtype: str) -> None:
    left, shared, right = sides
    x = np.arange(np.prod([*left, *shared], dtype=int)).astype(dtype).reshape([*left, *shared])
    y = np.arange(np.prod([*shared, *right], dtype=int)).astype(dtype).reshape([*shared, *right])
    axes = ([-n for n in range(len(shared), 0, -1)], list(range(len(shared))))
    for given_axes in (len(shared), axes):
        agree(
            lambda axes=given_axes: tn.tensordot(tensor(backend, x), tensor(backend, y), axes=axes),
            lambda axes=given_axes: np.tensordot(x, y, axes=axes), rtol=1e-12,
        )  # fmt: skip


@pytest.mark.parametrize("rank", [9, 12, 16])
def test_many_axes(backend: str, rank: int) -> None:
    """TensorFlow's kernels broadcast up to rank eight."""
    x = np.arange(4.0).reshape((2,) + (1,) * (rank - 2) + (2,)) + 1
    y = np.arange(8.0).reshape((1,) * (rank - 3) + (2, 2, 2)) + 1
    for name in (*OF_REALS, *OF_FLOATS):
        check(backend, name, x, y, rtol=1e-12)
    for name in OF_INTEGERS:
        check(backend, name, x.astype("int64"), y.astype("int64"))
    t, u = tensor(backend, x), tensor(backend, y)
    for got, want in (
        (tn.where(t > 2, t, u), np.where(x > 2, x, y)), (t @ u, x @ y), (t * 2.0 + 1.0, x * 2 + 1),
        (tn.vecdot(t, u), np.vecdot(x, y)), (tn.broadcast_to(t, (3, *np.broadcast_shapes(x.shape, y.shape))),
                                             np.broadcast_to(x, (3, *np.broadcast_shapes(x.shape, y.shape)))),
        (tn.linalg.matrix_norm(t), np.linalg.norm(x, axis=(-2, -1))), (tn.exp(u), np.exp(y)),
        (tn.tensordot(t, t, axes=((0, rank - 1), (0, rank - 1))), np.tensordot(x, x, axes=((0, -1), (0, -1)))),
        (tn.einsum("...i,...i->...", t, u), np.einsum("...i,...i->...", x, y)),
    ):  # fmt: skip
        same(got, want, rtol=1e-12)


def test_shapes_that_do_not_broadcast_say_so_in_the_same_words() -> None:
    x, y = np.ones((2, 3)), np.ones((2, 4))
    for name in (*OF_REALS, *OF_FLOATS, "atan2", "pow"):
        refusal(ShapeError, lambda b, name=name: getattr(tn, name)(tensor(b, x), tensor(b, y)), "(2, 3)", "(2, 4)")
    for name in OF_INTEGERS:
        refusal(
            ShapeError,
            lambda b, name=name: getattr(tn, name)(tensor(b, x.astype(int)), tensor(b, y.astype(int))),
            "(2, 3)",
        )
    for call in OPERATORS.values():
        refusal(
            ShapeError, lambda b, call=call: call(tensor(b, x.astype("int32")), tensor(b, y.astype("int32"))), "(2, 4)"
        )
    refusal(ShapeError, lambda b: tn.where(tensor(b, x > 0), tensor(b, x), tensor(b, y)), "(2, 4)")
    refusal(ShapeError, lambda b: tn.where(tensor(b, y > 0), tensor(b, x), tensor(b, x)), "(2, 4)")
    refusal(ShapeError, lambda b: tn.clip(tensor(b, x), tensor(b, y)), "(2, 4)")
    refusal(ShapeError, lambda b: tensor(b, x) @ tensor(b, x), "3 against 2")
    refusal(ShapeError, lambda b: tensor(b, x) @ tensor(b, 1.0), "at least one axis")
    refusal(ShapeError, lambda b: tn.vecdot(tensor(b, x), tensor(b, y)), "3 and 4")
    refusal(ShapeError, lambda b: tn.tensordot(tensor(b, x), tensor(b, y), axes=1), "3 against 2")
    refusal(ShapeError, lambda b: tn.broadcast_arrays(tensor(b, x), tensor(b, y)), "(2, 4)")
    refusal(ShapeError, lambda b: tn.broadcast_to(tensor(b, x), (3, 3)), "(3, 3)")
    refusal(ShapeError, lambda b: tn.broadcast_to(tensor(b, 1.0), (1,) * 65), "65 axes")
