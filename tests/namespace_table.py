"""Every function of the Array API and its extensions, one row each: what compilers and tapes have to take.

A row is a function of a namespace and of arrays that are named like their entries in `ARRAYS`, so that it can be run
eagerly, in a `tf.function` whose sizes are all unknown, by `torch.compile`, and under a tape, and be held against
NumPy. A name before a slash is the function's; what follows tells its variants apart. `ROWS` covers every name of the
namespace (`test_compiled_namespace` holds that), so a function that is added needs a row.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

__all__ = ["ARRAYS", "ROWS", "VARYING", "Row", "row"]

_rng = np.random.default_rng(11)


def _spread(*shape: int) -> np.ndarray[Any, Any]:
    """Numbers in (-0.95, 0.95), all far apart and off zero, so that no order or sign changes in a finite difference."""
    count = int(np.prod(shape))
    return _rng.permutation(np.linspace(-0.95, 0.93, count)).reshape(shape)


_square = _spread(3, 3)
ARRAYS: dict[str, np.ndarray[Any, Any]] = {
    "x": _spread(3, 4),
    "y": 3 * _spread(3, 4) + 0.01,
    "row": _spread(4) + 0.003,
    "column": _spread(3, 1) + 0.004,
    "cube": _spread(2, 3, 4),
    "one": _spread(1),
    "p": 1.5 + _spread(3, 4),  # positive
    "q": 3.5 + _spread(3, 4),  # above one
    "z": _spread(3, 4) + 1j * _spread(3, 4),
    "w": _spread(3, 4) + 1j * _spread(3, 4) + 2,
    "zrow": _spread(4) + 1j * _spread(4),
    "hermitian": np.array([1.0, 0.3 + 0.2j, -0.4 + 0.6j, 0.7 - 0.1j]),
    "scalar": np.array(0.7),
    "v": _spread(3),
    "u": _spread(3) + 0.05,
    "A": _square + 2 * np.eye(3),
    "S": _square @ _square.T + np.diag([1.0, 2.0, 3.5]),  # positive definite
    "H": (lambda a: a @ a.conj().T + np.diag([1.0, 2.0, 3.5]))(_spread(3, 3) + 1j * _spread(3, 3)),
    "C": _spread(3, 3) + 1j * _spread(3, 3) + 2 * np.eye(3),
    "stacked": _spread(2, 3, 3) + 2 * np.eye(3),
    "tall": _spread(5, 3),
    "flat": _spread(2, 4),
    "single": _spread(1, 3, 1),
    "ordered": np.sort(_spread(6)),
    "n": np.array([[5, -3, 2, 9], [7, 1, -8, 4], [3, 6, -2, 8]]),
    "k": np.array([[1, 3, 2, 1], [2, 1, 3, 2], [3, 1, 2, 1]]),
    "b": np.array([[True, False, True, True], [False, False, True, False], [True, True, False, True]]),
    "bb": np.array([[True, True, False, True], [False, True, True, False], [False, True, False, False]]),
    "rows": np.array([2, 0, 1, 0]),
    "columns": np.array([3, -1, 0, 2]),
    "places": np.array([[0, 2, 1, 1], [2, 0, -1, 0], [1, 1, 0, 2]]),
    "counts": np.array([2, 0, 3, 1]),
    "mask": np.array([True, False, True]),
    "wide_mask": np.array([True, False, True, True]),
    "order": np.array([3, 1, 0, 2, 5, 4]),
    "shuffled": np.array([0.3, -0.5, 0.9, 0.1, -0.7, 0.6]),
}
"""The arguments of the rows."""
ARRAYS["order"] = np.argsort(ARRAYS["shuffled"])


class Row(NamedTuple):
    """A function of a namespace and arrays."""

    function: Callable[..., Any]
    inputs: tuple[str, ...]
    """The names of its arrays."""
    by: tuple[str, ...]
    """Those of them that it is differentiable by."""


ROWS: dict[str, Row] = {}
"""Functions whose results have a static shape, or one that the arguments' shapes determine."""
VARYING: dict[str, Row] = {}
"""Functions whose results' shapes depend on the data."""


def row(name: str, function: Callable[..., Any], by: str = "", table: dict[str, Row] = ROWS) -> None:
    inputs = tuple(given for given in inspect.signature(function).parameters if given != "xp" and given != "_name")
    assert name not in table
    assert set(by.split()) <= set(inputs) <= set(ARRAYS)
    table[name] = Row(function, inputs, tuple(by.split()))


def _each(names: str, *inputs: str, by: bool | str = True, variant: str = "") -> None:
    """A row for each of several functions of the same arrays."""
    for name in names.split():
        function = lambda xp, *arrays, name=name: _found(xp, name)(*arrays)  # noqa: E731
        differentiable = inputs if by is True else tuple((by or "").split()) if isinstance(by, str) else ()
        assert name + variant not in ROWS
        ROWS[name + variant] = Row(function, inputs, differentiable)


def _found(xp: Any, name: str) -> Any:
    part, _, last = name.rpartition(".")
    return getattr(getattr(xp, part) if part else xp, last)


# -- elementwise ------------------------------------------------------------------------------------------------------

_each("acos asin atan atanh asinh cos cosh exp expm1 sin sinh tan tanh abs negative positive square sign", "x")
_each("acosh log log10 log1p log2 sqrt reciprocal", "q")
_each("real conj", "x")
_each(
    "acos asin atan atanh asinh acosh cos cosh exp expm1 sin sinh tan tanh abs negative positive square sign",
    "w",
    variant="/complex",
)
_each("log log10 log1p log2 sqrt reciprocal conj real imag", "w", variant="/complex")
_each("ceil floor round trunc signbit isfinite isinf isnan", "y", by=False)
_each("round isfinite isinf isnan", "z", by=False, variant="/complex")
_each("abs negative sign square bitwise_invert", "n", by=False, variant="/integers")
_each("logical_not", "b", by=False)
_each("add subtract multiply divide atan2 hypot logaddexp maximum minimum copysign", "x", "y")
_each("add subtract multiply divide maximum hypot", "x", "row", variant="/broadcast")
_each("add subtract multiply divide atan2", "column", "row", variant="/both broadcast")
_each("add subtract multiply divide pow", "z", "w", variant="/complex")
_each("multiply divide", "x", "w", variant="/real and complex")
_each("pow", "p", "y")
_each("remainder", "x", "y")
_each("floor_divide nextafter", "x", "y", by=False)
_each("equal not_equal less less_equal greater greater_equal", "x", "y", by=False)
_each("bitwise_and bitwise_or bitwise_xor", "n", "k", by=False)
_each(
    "bitwise_left_shift bitwise_right_shift add multiply floor_divide remainder pow divide",
    "n",
    "k",
    by=False,
    variant="/integers",
)
_each("logical_and logical_or logical_xor", "b", "bb", by=False)
for _name in ("add", "multiply", "divide", "pow", "maximum"):
    row(f"{_name}/number", lambda xp, p, _name=_name: (getattr(xp, _name)(p, 2.5), getattr(xp, _name)(0.5, p)), "p")
row("bitwise_left_shift", lambda xp, n: xp.bitwise_left_shift(n, 2))
row("bitwise_right_shift", lambda xp, n: xp.bitwise_right_shift(n, 2))
row("imag", lambda xp, z: xp.imag(z), "z")
row("clip", lambda xp, x, row: (xp.clip(x, -0.5, 0.4), xp.clip(x, max=0.1), xp.clip(x, xp.abs(row) - 1, 0.9)), "x row")
row("where", lambda xp, b, x, y: (xp.where(b, x, y), xp.where(b, x, 0.0), xp.where(b, 2.0, y)), "x y")
row("where/broadcast", lambda xp, mask, column, row: xp.where(mask[:, None], column, row), "column row")
row("where/complex", lambda xp, b, z, x: xp.where(b, z, x), "z x")

# -- creation ---------------------------------------------------------------------------------------------------------

row("asarray", lambda xp, x: (xp.asarray(x), xp.asarray(x, copy=True), xp.asarray([[1.0, 2.0]]) * xp.sum(x)), "x")
row("asarray/numbers", lambda xp: (xp.asarray(2), xp.asarray([True, False]), xp.asarray([1, 2], dtype=xp.float64)))
row("arange", lambda xp: (xp.arange(5), xp.arange(1, 9, 3), xp.arange(0.0, 1.0, 0.25)))
row("empty", lambda xp: xp.zeros_like(xp.empty((2, 3))))
row("eye", lambda xp: (xp.eye(3), xp.eye(2, 4, k=1)))
row("full", lambda xp: (xp.full((2, 3), 7), xp.full(4, 0.5, dtype=xp.float32)))
row("linspace", lambda xp: (xp.linspace(0.0, 1.0, 5), xp.linspace(0.0, 1.0, 5, endpoint=False)))
row("ones", lambda xp: xp.ones((2, 3)))
row("zeros", lambda xp: xp.zeros((2, 3), dtype=xp.int32))
row("empty_like", lambda xp, n: xp.zeros_like(xp.empty_like(n)))
row("full/tensor", lambda xp, scalar: xp.full((2, 3), scalar), "scalar")
row("full_like/tensor", lambda xp, x, scalar: xp.full_like(x, scalar), "scalar")
row("full_like", lambda xp, x: xp.full_like(x, 3.0))
row("ones_like", lambda xp, x: xp.ones_like(x))
row("zeros_like", lambda xp, x: xp.zeros_like(x, dtype=xp.int64))
row("meshgrid", lambda xp, v, row: (*xp.meshgrid(v, row), *xp.meshgrid(v, row, indexing="ij")), "v row")
row("tril", lambda xp, x, cube: (xp.tril(x), xp.tril(cube, k=1)), "x cube")
row("triu", lambda xp, x, cube: (xp.triu(x), xp.triu(cube, k=-1)), "x cube")

# -- data types -------------------------------------------------------------------------------------------------------

row("astype", lambda xp, x, n, b: (xp.astype(x, xp.complex128), xp.astype(n, xp.float32), xp.astype(b, xp.int8)), "x")
row("can_cast", lambda xp, n: n + int(xp.can_cast(xp.float32, xp.float64)) + 2 * int(xp.can_cast("int8", xp.int64)))
row("finfo", lambda xp, x: x * xp.finfo(x.dtype).eps)
row("iinfo", lambda xp, n: n * 0 + xp.iinfo(n.dtype).max)
row("isdtype", lambda xp, x: x * (1 if xp.isdtype(x.dtype, "real floating") else 2))
row("result_type", lambda xp, x, z: xp.astype(x, xp.result_type(x, z)), "x")

# -- manipulation, indexing -------------------------------------------------------------------------------------------

row("broadcast_arrays", lambda xp, column, row: xp.broadcast_arrays(column, row), "column row")
row("broadcast_shapes", lambda xp, x: xp.broadcast_to(x, xp.broadcast_shapes((2, 1, 1), (3, 4))), "x")
row("broadcast_to", lambda xp, row: (xp.broadcast_to(row, (3, 4)), xp.broadcast_to(row, (2, 1, 4))), "row")
row(
    "concat",
    lambda xp, x, y, flat: (xp.concat([x, flat]), xp.concat([x, y], axis=-1), xp.concat([x, flat], axis=None)),
    "x y flat",
)
row("concat/types", lambda xp, x, n: xp.concat([x, xp.astype(n, xp.float32)], axis=1), "x")
row(
    "expand_dims", lambda xp, x: (xp.expand_dims(x, axis=0), xp.expand_dims(x, axis=-1), xp.expand_dims(x, axis=1)), "x"
)
row("flip", lambda xp, cube: (xp.flip(cube), xp.flip(cube, axis=1), xp.flip(cube, axis=(0, -1))), "cube")
row("moveaxis", lambda xp, cube: (xp.moveaxis(cube, 0, -1), xp.moveaxis(cube, (0, 1), (2, 0))), "cube")
row("transpose", lambda xp, cube: xp.transpose(cube, (2, 0, 1)), "cube")
row("permute_dims", lambda xp, cube: xp.permute_dims(cube, (2, 0, 1)), "cube")
row("repeat", lambda xp, x: (xp.repeat(x, 2), xp.repeat(x, 3, axis=1)), "x")
row("reshape", lambda xp, x: (xp.reshape(x, (2, 6)), xp.reshape(x, (-1,)), xp.reshape(x, (2, -1, 3))), "x")
row("roll", lambda xp, x: (xp.roll(x, 2), xp.roll(x, -1, axis=0), xp.roll(x, (1, 2), axis=(0, 1))), "x")
row("squeeze", lambda xp, single: (xp.squeeze(single, axis=0), xp.squeeze(single, axis=(0, -1))), "single")
row("stack", lambda xp, x, y: (xp.stack([x, y]), xp.stack([x, y], axis=-1), xp.stack([x, y], axis=1)), "x y")
row("tile", lambda xp, x: (xp.tile(x, (2,)), xp.tile(x, (2, 1, 3))), "x")
row("unstack", lambda xp, x: (*xp.unstack(x), *xp.unstack(x, axis=-1)), "x")
row("take", lambda xp, x, columns, rows: (xp.take(x, columns, axis=1), xp.take(x, rows, axis=0)), "x")
row(
    "take_along_axis", lambda xp, x, places: (xp.take_along_axis(x, places, axis=0), xp.take_along_axis(x, places)), "x"
)

# -- reductions, searching, sorting, sets -----------------------------------------------------------------------------

for _name in ("sum", "prod", "mean", "max", "min", "std", "var"):
    row(
        _name,
        lambda xp, cube, _name=_name: (
            getattr(xp, _name)(cube),
            getattr(xp, _name)(cube, axis=1),
            getattr(xp, _name)(cube, axis=(0, -1), keepdims=True),
        ),
        "cube",
    )
for _name in ("sum", "prod", "mean"):
    row(f"{_name}/complex", lambda xp, z, _name=_name: (getattr(xp, _name)(z), getattr(xp, _name)(z, axis=0)), "z")
for _name in ("std", "var"):
    row(f"{_name}/correction", lambda xp, x, _name=_name: getattr(xp, _name)(x, axis=1, correction=1.0), "x")
for _name in ("sum", "prod", "max", "min"):
    row(f"{_name}/integers", lambda xp, n, _name=_name: (getattr(xp, _name)(n), getattr(xp, _name)(n, axis=0)))
for _name in ("all", "any", "count_nonzero"):
    row(_name, lambda xp, b, _name=_name: (getattr(xp, _name)(b), getattr(xp, _name)(b, axis=0, keepdims=True)))
for _name in ("argmax", "argmin"):
    row(_name, lambda xp, x, _name=_name: (getattr(xp, _name)(x), getattr(xp, _name)(x, axis=1, keepdims=True)))
for _name in ("cumulative_sum", "cumulative_prod"):
    row(
        _name,
        lambda xp, row, x, _name=_name: (
            getattr(xp, _name)(row),
            getattr(xp, _name)(x, axis=0),
            getattr(xp, _name)(x, axis=1, include_initial=True),
        ),
        "row x",
    )
    row(f"{_name}/complex", lambda xp, z, _name=_name: getattr(xp, _name)(z, axis=1), "z")
row("diff", lambda xp, x, column: (xp.diff(x), xp.diff(x, axis=0, n=2), xp.diff(x, prepend=column)), "x column")
row("sort", lambda xp, x: (xp.sort(x), xp.sort(x, axis=0, descending=True), xp.sort(x, stable=False)), "x")
row("argsort", lambda xp, x: (xp.argsort(x), xp.argsort(x, axis=0, descending=True)))
row(
    "searchsorted",
    lambda xp, ordered, x, shuffled, order: (
        xp.searchsorted(ordered, x),
        xp.searchsorted(shuffled, x, side="right", sorter=order),
    ),
)
row("isin", lambda xp, n, k: (xp.isin(n, k), xp.isin(n, k, invert=True)))
row("nonzero", lambda xp, b: xp.nonzero(b), table=VARYING)
row("repeat/counts", lambda xp, row, counts: xp.repeat(row, counts), "row", table=VARYING)
for _name in ("unique_all", "unique_counts", "unique_inverse", "unique_values"):
    row(_name, lambda xp, k, _name=_name: getattr(xp, _name)(k), table=VARYING)
row("getitem/mask", lambda xp, x, b: x[b], "x", table=VARYING)
row("getitem/mask of rows", lambda xp, x, mask: (x[mask], x[mask, 1:]), "x", table=VARYING)
row("getitem/mask of columns", lambda xp, x, wide_mask: x[:, wide_mask], "x", table=VARYING)

# -- linear algebra ---------------------------------------------------------------------------------------------------

row(
    "matmul",
    lambda xp, x, row, A, stacked, cube: (
        xp.matmul(A, x),
        xp.matmul(x, row),
        xp.matmul(stacked, cube),
        xp.matmul(A, cube),
    ),
    "x row A stacked cube",
)
row("matmul/complex", lambda xp, C, z, x: (xp.matmul(C, z), xp.matmul(C, x)), "C z x")
row("matmul/integers", lambda xp, n, k: xp.matmul(n, xp.matrix_transpose(k)))
row("matrix_transpose", lambda xp, cube: xp.matrix_transpose(cube), "cube")
row(
    "tensordot",
    lambda xp, x, A, y, cube: (
        xp.tensordot(A, x, axes=1),
        xp.tensordot(x, y),
        xp.tensordot(cube, y, axes=((1, 2), (0, 1))),
        xp.tensordot(A, x, axes=0),
    ),
    "x A y cube",
)
row("vecdot", lambda xp, x, y, row: (xp.vecdot(x, y), xp.vecdot(x, row), xp.vecdot(x, y, axis=-2)), "x y row")
row("vecdot/complex", lambda xp, z, w: xp.vecdot(z, w), "z w")
for _name in ("matmul", "matrix_transpose", "tensordot", "vecdot"):
    ROWS[f"linalg.{_name}"] = ROWS[_name]._replace(
        function=lambda xp, *arrays, _name=_name: ROWS[_name].function(xp.linalg, *arrays)
    )
row("linalg.cholesky", lambda xp, S: (xp.linalg.cholesky(S), xp.linalg.cholesky(S, upper=True)))
row("linalg.cholesky/symmetric", lambda xp, A: xp.linalg.cholesky(A @ A.mT), "A")
row("linalg.cholesky/complex", lambda xp, C: xp.linalg.cholesky(C @ xp.conj(C.mT)), "C")
row("linalg.cross", lambda xp, v, u, tall: (xp.linalg.cross(v, u), xp.linalg.cross(tall, u)), "v u tall")
_each("linalg.det linalg.inv", "A")
_each("linalg.det linalg.inv", "C", variant="/complex")
_each("linalg.det linalg.inv", "stacked", variant="/stacked")
row("linalg.diagonal", lambda xp, x, cube: (xp.linalg.diagonal(x), xp.linalg.diagonal(cube, offset=1)), "x cube")
row("linalg.trace", lambda xp, x, cube: (xp.linalg.trace(x), xp.linalg.trace(cube, offset=-1)), "x cube")
row("linalg.trace/integers", lambda xp, n: xp.linalg.trace(n))
# Eigenvectors have no sign or phase, so the rows show what does not depend on it.
row(
    "linalg.eig",
    lambda xp, A: (lambda e: (xp.max(xp.abs(A @ e[1] - e[1] * e[0])), xp.sum(e[0] ** 3)))(xp.linalg.eig(A)),
)
row("linalg.eigvals", lambda xp, A: xp.sum(xp.linalg.eigvals(A) ** 3))
row("linalg.eigvals/complex", lambda xp, C: xp.sum(xp.linalg.eigvals(C) ** 3), "C")
row("linalg.eigvals/gradient", lambda xp, A: xp.real(xp.sum(xp.exp(xp.linalg.eigvals(A)))), "A")
row("linalg.eig/gradient", lambda xp, C: (lambda e: (e[1] * xp.exp(e[0])) @ xp.linalg.inv(e[1]))(xp.linalg.eig(C)), "C")
row(
    "linalg.eigh",
    lambda xp, A: (lambda e: (e[0], (e[1] * xp.exp(e[0])) @ e[1].mT))(xp.linalg.eigh((A + A.mT) / 2)),
    "A",
)
row(
    "linalg.eigh/complex",
    lambda xp, C: (lambda e: (e[0], (e[1] * xp.exp(e[0])) @ xp.conj(e[1].mT)))(xp.linalg.eigh((C + xp.conj(C.mT)) / 2)),
    "C",
)
row("linalg.eigvalsh", lambda xp, A: xp.linalg.eigvalsh((A + A.mT) / 2), "A")
row("linalg.eigvalsh/complex", lambda xp, C: xp.linalg.eigvalsh((C + xp.conj(C.mT)) / 2), "C")
for _name in ("fro", "nuc", np.inf, -np.inf, 1, -1, 2, -2):
    row(f"linalg.matrix_norm/{_name}", lambda xp, x, _name=_name: xp.linalg.matrix_norm(x, ord=_name), "x")
row(
    "linalg.matrix_norm",
    lambda xp, cube, z: (xp.linalg.matrix_norm(cube, keepdims=True), xp.linalg.matrix_norm(z)),
    "cube z",
)
for _name in (0, 1, 2, 3, 2.5, np.inf, -np.inf):
    row(f"linalg.vector_norm/{_name}", lambda xp, x, _name=_name: xp.linalg.vector_norm(x, ord=_name, axis=1), "x")
row(
    "linalg.vector_norm",
    lambda xp, cube, z: (
        xp.linalg.vector_norm(cube),
        xp.linalg.vector_norm(cube, axis=(0, 2), keepdims=True),
        xp.linalg.vector_norm(z, axis=0),
    ),
    "cube z",
)
row(
    "linalg.matrix_power",
    lambda xp, A: (xp.linalg.matrix_power(A, 0), xp.linalg.matrix_power(A, 3), xp.linalg.matrix_power(A, -2)),
    "A",
)
row("linalg.matrix_rank", lambda xp, x, stacked: (xp.linalg.matrix_rank(x), xp.linalg.matrix_rank(stacked, rtol=0.5)))
row("linalg.outer", lambda xp, v, row: xp.linalg.outer(v, row), "v row")
row("linalg.outer/complex", lambda xp, v, zrow: xp.linalg.outer(v, zrow), "v zrow")
row("linalg.pinv", lambda xp, tall, A: (xp.linalg.pinv(tall), xp.linalg.pinv(A, rtol=1e-6)), "tall A")
row("linalg.qr", lambda xp, tall: (lambda f: (f[0] @ f[1], xp.abs(f[1]), f[0] @ f[0].mT))(xp.linalg.qr(tall)), "tall")
row("linalg.qr/complete", lambda xp, tall: (lambda f: (f[0] @ f[1], xp.abs(f[1])))(xp.linalg.qr(tall, mode="complete")))
row("linalg.slogdet", lambda xp, A, stacked: (*xp.linalg.slogdet(A), *xp.linalg.slogdet(stacked)), "A stacked")
row("linalg.slogdet/complex", lambda xp, C: xp.linalg.slogdet(C)[1], "C")
row(
    "linalg.solve",
    lambda xp, A, x, v, stacked: (xp.linalg.solve(A, x), xp.linalg.solve(A, v), xp.linalg.solve(stacked, x)),
    "A x v stacked",
)
row("linalg.solve/complex", lambda xp, C, z: xp.linalg.solve(C, z), "C z")
row(
    "linalg.svd",
    lambda xp, tall: (lambda f: (f[1], f[0] @ f[2], (f[0] * f[1]) @ f[2]))(xp.linalg.svd(tall, full_matrices=False)),
    "tall",
)
row("linalg.svd/complex", lambda xp, C: (lambda f: (f[1], f[0] @ f[2]))(xp.linalg.svd(C, full_matrices=False)), "C")
row("linalg.svd/full", lambda xp, x: (lambda f: (f[1], (f[0] * f[1]) @ f[2][:3, :]))(xp.linalg.svd(x)))
row("linalg.svdvals", lambda xp, x: xp.linalg.svdvals(x), "x")
row("linalg.svdvals/complex", lambda xp, C: xp.linalg.svdvals(C), "C")

# -- Fourier transforms -----------------------------------------------------------------------------------------------

for _name, _inputs in {"fft": "z", "ifft": "z", "irfft": "z", "hfft": "z", "rfft": "x", "ihfft": "x"}.items():
    _each(f"fft.{_name}", _inputs)
    ROWS[f"fft.{_name}/options"] = Row(
        lambda xp, a, _name=_name: (
            getattr(xp.fft, _name)(a, n=6, axis=0, norm="ortho"),
            getattr(xp.fft, _name)(a, n=2, norm="forward"),
        ),
        (_inputs,),
        (_inputs,),
    )
for _name, _inputs in {"fftn": "z", "ifftn": "z", "irfftn": "z", "rfftn": "x"}.items():
    _each(f"fft.{_name}", _inputs)
    ROWS[f"fft.{_name}/options"] = Row(
        lambda xp, a, _name=_name: (
            getattr(xp.fft, _name)(a, s=(5, 2), axes=(1, 0)),
            getattr(xp.fft, _name)(a, axes=(0,), norm="ortho"),
        ),
        (_inputs,),
        (_inputs,),
    )
row(
    "fft.fft/real",
    lambda xp, x: (xp.fft.fft(xp.astype(x, xp.complex128)), xp.fft.ifft(xp.astype(x, xp.complex128))),
    "x",
)
row("fft.fftfreq", lambda xp: (xp.fft.fftfreq(5), xp.fft.fftfreq(4, d=0.5)))
row("fft.rfftfreq", lambda xp: (xp.fft.rfftfreq(5), xp.fft.rfftfreq(4, d=0.5)))
row("fft.fftshift", lambda xp, x: (xp.fft.fftshift(x), xp.fft.fftshift(x, axes=1)), "x")
row("fft.ifftshift", lambda xp, x: (xp.fft.ifftshift(x), xp.fft.ifftshift(x, axes=(0,))), "x")
