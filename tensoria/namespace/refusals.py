"""What is wrong with a call, said before a framework sees it: one check for each function, in one table.

Frameworks accept different things (PyTorch squeezes an axis of size 3 by leaving it alone) and say the rest each in
their own words. A check takes the function's arguments, native arrays for tensors, and looks at shapes and numbers
in the arguments only; sizes that are not known while a framework traces pass. What only the components know - that a
matrix is singular - is found by the framework, and `matrix_fault` says it in our words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tensoria.backend import Array, Backend
from tensoria.coordinatewise import check_broadcast
from tensoria.errors import AxisError, DTypeError, MatrixError, PositionError, ShapeError
from tensoria.literals import check_dimensions

__all__ = [
    "CHECKS",
    "FINITE",
    "NONEMPTY",
    "PROMOTING",
    "axis_number",
    "check_finite",
    "check_positions",
    "check_sizes",
    "matrix_fault",
]

Shape = tuple[int | None, ...]

NONEMPTY = frozenset(("max", "min", "argmax", "argmin"))
"""Reductions without a value over no components."""
PROMOTING = frozenset((
    "tensordot", "vecdot", "isin", "searchsorted", "linalg.cross", "linalg.outer", "linalg.solve", "linalg.tensordot",
    "linalg.vecdot", "linalg.matmul",
))  # fmt: skip
"""Functions whose arrays promote to one data type."""
FINITE = frozenset((
    "linalg.eig", "linalg.eigvals", "linalg.eigh", "linalg.eigvalsh", "linalg.svd", "linalg.svdvals", "linalg.pinv",
    "linalg.matrix_rank",
))  # fmt: skip
"""Iterations that do not end, or end somewhere, where a component is not finite."""


def _shape(x: Array) -> Shape:
    """The sizes that are known; symbols of a compiler or of a program count as unknown."""
    return tuple([n if type(n) is int else None for n in x.shape])


def axis_number(axis: Any, count: int, what: str) -> int:
    """An axis counted from the front.

    Raises:
        AxisError: it is no integer, or out of range.
    """
    try:
        position: int = axis.__index__()
    except AttributeError:
        raise AxisError(f"{what} over the axis {axis!r}, which is no integer.", legal="axis=0") from None
    if not -count <= position < count:
        raise AxisError(f"{what} over axis {position} of a tensor with {count} axes.")
    return position % count


def _axes(axis: Any, count: int, what: str) -> tuple[int, ...]:
    given = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    found = tuple(axis_number(item, count, what) for item in given)
    if len(set(found)) != len(found):
        raise AxisError(f"{what} is given one axis twice: {given}.")
    return found


def check_sizes(shape: Any, what: str) -> tuple[Any, ...]:
    """The sizes of a shape to make.

    Raises:
        ShapeError: a size is negative or no integer, or there are too many.
    """
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) or hasattr(shape, "__iter__") else (shape,)
    check_dimensions(len(sizes))
    for size in sizes:
        if isinstance(size, (float, str)) or (isinstance(size, int) and size < 0):
            raise ShapeError(f"{what}: {size!r} is no size.")
    return sizes


def _at_least(count: int, x: Array, what: str) -> Shape:
    shape = _shape(x)
    if len(shape) < count:
        raise ShapeError(f"{what} needs at least {count} axes, and the shape is {shape}.")
    return shape


def _choice(value: Any, among: Sequence[Any], what: str, name: str) -> None:
    if value not in among:
        raise ShapeError(f"{what}: {name}={value!r} is none of {', '.join(map(repr, among))}.")


# -- manipulation -----------------------------------------------------------------------------------------------------


def _broadcast_to(x: Array, /, shape: Any) -> None:
    sizes = check_sizes(shape, "broadcast_to")
    have = _shape(x)
    fits = len(have) <= len(sizes) and all(
        m == 1 or m == n or m is None or not isinstance(n, int)
        for m, n in zip(have[::-1], sizes[::-1], strict=False)
    )  # fmt: skip
    if not fits:
        raise ShapeError(f"broadcast_to: the shape {have} does not broadcast to {sizes}.")


def _broadcast_arrays(*arrays: Array) -> None:
    for n, x in enumerate(arrays):
        for y in arrays[:n]:
            check_broadcast(_shape(y), _shape(x), "broadcast_arrays")


def _expand_dims(x: Array, /, axis: Any = 0) -> None:
    new = len(axis) if isinstance(axis, (tuple, list)) else 1
    check_dimensions(len(x.shape) + new)
    _axes(axis, len(x.shape) + new, "expand_dims")


def _moveaxis(x: Array, source: Any, destination: Any, /) -> None:
    count = len(x.shape)
    if len(_axes(source, count, "moveaxis")) != len(_axes(destination, count, "moveaxis")):
        raise AxisError(f"moveaxis moves {source} to {destination}, which are not as many.")


def _permute_dims(x: Array, /, axes: Any) -> None:
    count = len(x.shape)
    if len(_axes(axes, count, "permute_dims")) != count:
        raise AxisError(f"permute_dims: {tuple(axes)} does not name each of {count} axes once.")


def _squeeze(x: Array, /, axis: Any) -> None:
    shape = _shape(x)
    for n in _axes(axis, len(shape), "squeeze"):
        if shape[n] not in (1, None):
            raise ShapeError(f"squeeze: axis {n} of the shape {shape} has size {shape[n]}, not 1.", legal="t[0]")


def _tile(x: Array, repetitions: Any, /) -> None:
    check_sizes(repetitions, "tile")


def _unstack(x: Array, /, *, axis: int = 0) -> None:
    axis_number(axis, len(x.shape), "unstack")


def _repeat(x: Array, repeats: Any, /, *, axis: Any = None) -> None:
    shape = _shape(x)
    if axis is not None:
        axis_number(axis, len(shape), "repeat")
    if isinstance(repeats, int):
        check_sizes((repeats,), "repeat")
        return
    counts = tuple(getattr(repeats, "shape", ())) if hasattr(repeats, "shape") else (len(repeats),)
    size = _product(shape) if axis is None else shape[axis]
    if len(counts) > 1 or (counts and counts[0] not in (1, size) and size is not None):
        raise ShapeError(f"repeat: counts of the shape {counts} for {size} components.")


def _product(shape: Shape) -> int | None:
    out = 1
    for size in shape:
        if size is None:
            return None
        out *= size
    return out


def _roll(x: Array, shift: Any, *, axis: Any = None) -> None:
    shifts = shift if isinstance(shift, (tuple, list)) else (shift,)
    places = axis if isinstance(axis, (tuple, list)) else (axis,)
    if isinstance(shift, (tuple, list)) and len(shifts) != len(places):
        raise AxisError(f"roll by {tuple(shifts)} along {tuple(places)}, which are not as many.")


def _meshgrid(*arrays: Array, indexing: str = "xy") -> None:
    _choice(indexing, ("xy", "ij"), "meshgrid", "indexing")
    for x in arrays:
        if len(x.shape) > 1:
            raise ShapeError(f"meshgrid takes vectors, and one has the shape {_shape(x)}.")


def _triangle(what: str) -> Callable[..., None]:
    def check(x: Array, /, *, k: int = 0) -> None:
        _at_least(2, x, what)

    return check


# -- searching, sorting, sets, differences ----------------------------------------------------------------------------


def _nonzero(x: Array, /) -> None:
    _at_least(1, x, "nonzero")


def _searchsorted(x1: Array, x2: Any, /, *, side: str = "left", sorter: Any = None) -> None:
    _choice(side, ("left", "right"), "searchsorted", "side")
    if len(x1.shape) != 1:
        raise ShapeError(f"searchsorted takes a sorted vector, and this has the shape {_shape(x1)}.")
    if sorter is not None and _shape(sorter) != _shape(x1):
        raise ShapeError(f"searchsorted: a sorter of the shape {_shape(sorter)} for {_shape(x1)}.")


def _sort(what: str) -> Callable[..., None]:
    def check(x: Array, /, *, axis: Any = -1, descending: bool = False, stable: bool = True) -> None:
        axis_number(axis, len(x.shape), what)

    return check


def _cumulative(what: str) -> Callable[..., None]:
    def check(x: Array, /, *, axis: Any = None, dtype: Any = None, include_initial: bool = False) -> None:
        if axis is None and len(x.shape) != 1:
            raise AxisError(f"{what} of {len(x.shape)} axes needs an axis.", legal="axis=0")

    return check


def _count_nonzero(x: Array, /, *, axis: Any = None, keepdims: bool = False) -> None:
    if axis is not None:
        _axes(axis, len(x.shape), "count_nonzero")


def _diff(x: Array, /, *, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> None:
    place = axis_number(axis, len(x.shape), "diff")
    if n < 0:
        raise ShapeError(f"diff: the order n={n} is negative.")
    for end in (prepend, append):
        if end is not None and hasattr(end, "shape"):
            _same_but(_shape(x), _shape(end), place, "diff")


def _same_but(x: Shape, y: Shape, axis: int, what: str) -> None:
    fits = len(x) == len(y) and all(
        n == axis or m == k or None in (m, k) for n, (m, k) in enumerate(zip(x, y, strict=False))
    )
    if not fits:
        raise ShapeError(f"{what}: the shapes {x} and {y} differ off axis {axis}.")


def _take_along_axis(x: Array, indices: Array, /, *, axis: int = -1) -> None:
    have, wanted = _shape(x), _shape(indices)
    place = axis_number(axis, len(have), "take_along_axis")
    if len(have) != len(wanted):
        raise ShapeError(f"take_along_axis: positions of the shape {wanted} for {have}.")
    check_broadcast(
        (*have[:place], *have[place + 1 :]), (*wanted[:place], *wanted[place + 1 :]), "take_along_axis"
    )  # fmt: skip


# -- products ---------------------------------------------------------------------------------------------------------


def _tensordot(x1: Array, x2: Array, /, *, axes: Any = 2) -> None:
    x, y = _shape(x1), _shape(x2)
    if isinstance(axes, int):
        if not 0 <= axes <= min(len(x), len(y)):
            raise AxisError(f"tensordot over {axes} axes of the shapes {x} and {y}.")
        pairs = [(len(x) - axes + n, n) for n in range(axes)]
    else:
        first, second = (_axes(part, len(shape), "tensordot") for part, shape in zip(axes, (x, y), strict=True))
        if len(first) != len(second):
            raise AxisError(f"tensordot: {tuple(first)} and {tuple(second)} are not as many axes.")
        pairs = list(zip(first, second, strict=True))
    for m, n in pairs:
        if x[m] != y[n] and x[m] is not None and y[n] is not None:
            raise ShapeError(f"tensordot: axis {m} of {x} meets axis {n} of {y}: {x[m]} against {y[n]}.")


def _vecdot(x1: Array, x2: Array, /, *, axis: int = -1) -> None:
    x, y = _shape(x1), _shape(x2)
    for shape in (x, y):
        axis_number(axis, len(shape), "vecdot")
    m, n = x[axis], y[axis]
    if m != n and m is not None and n is not None:
        raise ShapeError(f"vecdot: the shapes {x} and {y} have {m} and {n} components along the axis.")
    check_broadcast(x, y, "vecdot")


# -- linear algebra ---------------------------------------------------------------------------------------------------


def _matrices(what: str, square: bool) -> Callable[..., None]:
    def check(x: Array, /, *_: Any, **options: Any) -> None:
        shape = _at_least(2, x, what)
        if square and shape[-1] != shape[-2] and None not in shape[-2:]:
            raise ShapeError(f"{what} takes square matrices, and the shape is {shape}.")
        if what == "linalg.qr":
            _choice(options.get("mode", "reduced"), ("reduced", "complete"), what, "mode")

    return check


def _matrix_power(x: Array, n: Any, /) -> None:
    _matrices("linalg.matrix_power", True)(x)
    if not hasattr(n, "__index__"):
        raise DTypeError(f"linalg.matrix_power takes an integer power, not {n!r}.")


def _solve(x1: Array, x2: Array, /) -> None:
    _matrices("linalg.solve", True)(x1)
    a, b = _shape(x1), _at_least(1, x2, "linalg.solve")
    rows = b[0] if len(b) == 1 else b[-2]
    if rows != a[-1] and rows is not None and a[-1] is not None:
        raise ShapeError(f"linalg.solve: {a[-1]} unknowns against {rows} equations in the shapes {a} and {b}.")
    check_broadcast(a[:-2], b[:-2], "linalg.solve")


def _cross(x1: Array, x2: Array, /, *, axis: int = -1) -> None:
    x, y = _shape(x1), _shape(x2)
    for shape in (x, y):
        if shape[axis_number(axis, len(shape), "linalg.cross")] not in (3, None):
            raise ShapeError(f"linalg.cross takes vectors of length 3, and the shapes are {x} and {y}.")
    check_broadcast(x, y, "linalg.cross")


def _outer(x1: Array, x2: Array, /) -> None:
    if len(x1.shape) != 1 or len(x2.shape) != 1:
        raise ShapeError(f"linalg.outer takes two vectors, and the shapes are {_shape(x1)} and {_shape(x2)}.")


def _vector_norm(x: Array, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> None:
    count = len(x.shape)
    places = tuple(range(count)) if axis is None else _axes(axis, count, "linalg.vector_norm")
    if ord in (float("inf"), float("-inf")) and any(x.shape[n] == 0 for n in places):
        raise ShapeError(f"linalg.vector_norm of no components with ord={ord}: the shape is {_shape(x)}.")


def _matrix_norm(x: Array, /, *, keepdims: bool = False, ord: Any = "fro") -> None:
    shape = _at_least(2, x, "linalg.matrix_norm")
    _choice(ord, ("fro", "nuc", float("inf"), float("-inf"), 1, -1, 2, -2), "linalg.matrix_norm", "ord")
    if ord not in ("fro", "nuc") and 0 in shape[-2:]:
        raise ShapeError(f"linalg.matrix_norm of no components with ord={ord}: the shape is {shape}.")


# -- Fourier transforms -----------------------------------------------------------------------------------------------


def _fft(what: str, many: bool) -> Callable[..., None]:
    def one(x: Array, /, *, n: Any = None, axis: int = -1, norm: str = "backward") -> None:
        _choice(norm, ("backward", "ortho", "forward"), what, "norm")
        shape = _shape(x)
        size = shape[axis_number(axis, len(shape), what)]
        if n is not None and n < 1:
            raise ShapeError(f"{what}: n={n} is no length of a transform.")
        short = what in ("fft.irfft", "fft.hfft") and size == 1  # 2 (1 - 1) components
        if n is None and (size == 0 or short):
            raise ShapeError(f"{what} of no components along axis {axis} of the shape {shape}.", legal="n=...")

    def several(x: Array, /, *, s: Any = None, axes: Any = None, norm: str = "backward") -> None:
        _choice(norm, ("backward", "ortho", "forward"), what, "norm")
        shape = _shape(x)
        if axes is None:
            places = tuple(range(len(shape) - len(s), len(shape))) if s is not None else tuple(range(len(shape)))
            if s is not None and len(s) > len(shape):
                raise AxisError(f"{what}: {len(s)} lengths for a tensor with {len(shape)} axes.")
        else:
            places = _axes(axes, len(shape), what)
        if s is not None and len(s) != len(places):
            raise AxisError(f"{what}: {len(s)} lengths for {len(places)} axes.")
        for n, place in enumerate(places):
            size = shape[place] if s is None or s[n] in (None, -1) else s[n]
            if size is not None and size < 1:
                raise ShapeError(f"{what} of no components along axis {place} of the shape {shape}.", legal="s=...")

    return several if many else one


CHECKS: dict[str, Callable[..., None]] = {
    "broadcast_arrays": _broadcast_arrays, "broadcast_to": _broadcast_to, "expand_dims": _expand_dims,
    "moveaxis": _moveaxis, "permute_dims": _permute_dims, "squeeze": _squeeze, "tile": _tile, "unstack": _unstack,
    "repeat": _repeat, "roll": _roll, "meshgrid": _meshgrid, "tril": _triangle("tril"), "triu": _triangle("triu"),
    "nonzero": _nonzero, "searchsorted": _searchsorted, "sort": _sort("sort"), "argsort": _sort("argsort"),
    "cumulative_sum": _cumulative("cumulative_sum"), "cumulative_prod": _cumulative("cumulative_prod"),
    "count_nonzero": _count_nonzero, "diff": _diff, "take_along_axis": _take_along_axis,
    "matrix_transpose": _triangle("matrix_transpose"), "tensordot": _tensordot, "vecdot": _vecdot,
    "linalg.solve": _solve, "linalg.cross": _cross, "linalg.outer": _outer, "linalg.vector_norm": _vector_norm,
    "linalg.matrix_power": _matrix_power, "linalg.matrix_norm": _matrix_norm,
    **{f"linalg.{name}": _matrices(f"linalg.{name}", True)
       for name in ("cholesky", "det", "slogdet", "inv", "eig", "eigvals", "eigh", "eigvalsh")},
    **{f"linalg.{name}": _matrices(f"linalg.{name}", False)
       for name in ("qr", "svd", "svdvals", "pinv", "matrix_rank", "diagonal", "trace")},
    **{f"fft.{name}": _fft(f"fft.{name}", False) for name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")},
    **{f"fft.{name}": _fft(f"fft.{name}", True) for name in ("fftn", "ifftn", "rfftn", "irfftn")},
}  # fmt: skip
"""What each function asks of its arguments; called with them as they are given, native arrays for tensors."""


# -- what only the components know ------------------------------------------------------------------------------------

FAULTS = {
    "linalg.inv": "a matrix is singular, so it has no inverse.",
    "linalg.solve": "a matrix is singular, so the equations have no unique solution.",
    "linalg.matrix_power": "a matrix is singular, so it has no negative power.",
    "linalg.cholesky": "a matrix is not positive definite.",
}
LEGAL = {
    "linalg.inv": "tn.linalg.pinv(t)",
    "linalg.solve": "tn.linalg.pinv(a) @ b",
    "linalg.matrix_power": "tn.linalg.pinv(t)",
    "linalg.cholesky": "tn.linalg.eigh(t), or t plus a multiple of the identity",
}


def matrix_fault(what: str) -> MatrixError | None:
    """What a framework's refusal of a well-shaped matrix means, or None for other functions."""
    return MatrixError(f"{what}: {FAULTS[what]}", legal=LEGAL[what]) if what in FAULTS else None


def check_finite(what: str, backend: Backend, x: Array) -> None:
    """Raise unless all components are finite; passes while a framework traces.

    Raises:
        MatrixError: they are not.
    """
    if backend.all_finite(x) is False:
        raise MatrixError(f"{what}: a component is not finite.", legal="tn.where(tn.isfinite(t), t, 0)")


def check_positions(what: str, backend: Backend, indices: Array, size: int | None) -> None:
    """Raise our own error for positions out of range, instead of a framework's.

    Raises:
        PositionError: one is.
    """
    found = backend.extremes(indices)
    if found is None or size is None:
        return
    for position in map(int, found):
        if not -size <= position < size:
            raise PositionError(f"{what}: position {position} is out of range for an axis of size {size}.")
