"""All derivatives of a function at once: the Jacobian, and the Hessian as the Jacobian of the gradient.

The value's indices come first, then those of what it is differentiated by with reversed variance, primed where their
names are taken; anonymous axes lead, the value's before the argument's. Columns are derivatives along the basis
(forward mode), rows are basis cotangents pulled back (reverse mode); the shorter side is gone through.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from tensoria.backend import Array, Backend
from tensoria.calculus.gradient import Argnums, grad, proportional
from tensoria.calculus.lifting import IMAGINARY, Labels, Lifted, Results, opposite, require_floating
from tensoria.calculus.trees import unflatten
from tensoria.errors import BackendError, DTypeError, ModeError
from tensoria.indices import Axes, axes, primed
from tensoria.structure import structural

__all__ = ["hessian", "jacobian"]

MODES = ("forward", "reverse")
FEW = 8
"""So many directions are gone through one by one; more are mapped over."""


def jacobian(function: Callable[..., Any], argnums: Argnums = 0, *, mode: str | None = None) -> Callable[..., Any]:
    """The function that computes all first derivatives of a function of tensors.

    Args:
        function: takes tensors or trees of them, returns a tensor or a tree of them.
        argnums: which positional arguments to differentiate by; a tuple for several.
        mode: `"forward"` (one pass for each component of the arguments) or `"reverse"` (one for each component of the
            value); the cheaper one if not given.

    Returns:
        A function of the same arguments. In a tree like the value, each tensor is replaced by the tree of the argument
        (a tuple of them, if `argnums` is one), whose tensors have the value's axes and the argument's with reversed
        variance.

    Raises:
        DTypeError: (when called) the value is complex and the function not holomorphic, or something is of integers.
        BackendError: (when called) no installed backend differentiates.

    >>> import tensoria as tn
    >>> i, = tn.indices("i", tn.Space("V", 2, metric=[1, 1]))
    >>> J = jacobian(lambda x: x * tn.inner(x, x))(tn.tensor([1., 2.], [i]))
    >>> J.axes, J.array.tolist()
    (Axes(^i _i'), [[7.0, 4.0], [4.0, 13.0]])
    """
    if mode is not None and mode not in MODES:
        raise ModeError(f"a Jacobian is computed forward or in reverse, not {mode!r}.", legal='mode="forward"')

    def derivatives(*arguments: Any, **named: Any) -> Any:
        lifted = Lifted(function, arguments, named, (argnums,) if isinstance(argnums, int) else argnums)
        backend = lifted.backend
        kept: list[Results] = []

        def outputs_of(*arrays: Array) -> list[Array]:
            results = Results(lifted.call(arrays), backend, lifted.own)
            for array in results.arrays:
                require_floating(backend, array, "the value")
            kept.append(results)
            return results.arrays

        blocks: list[list[Array]] | None = None
        if mode != "forward":
            outputs, _, pull = backend.vjp(lambda *arrays: (outputs_of(*arrays), []), lifted.arrays)
            if mode == "reverse" or _count(backend, outputs) <= _count(backend, lifted.arrays):
                blocks = _rows(backend, pull, outputs, lifted.arrays)
        if blocks is None:
            outputs, blocks = _columns(backend, outputs_of, lifted.arrays)
        results = kept[-1]
        found = []
        for y, given, row in zip(outputs, results.labels, blocks, strict=True):
            placed, joined = [], []
            for x, of, block in zip(lifted.arrays, lifted.labels, row, strict=True):
                placed.append(_ordered(backend, block, (y, given), (x, of)))
                joined.append(_joined(given, of))
            parts = lifted.like_arguments(placed, joined)
            found.append(parts[0] if isinstance(argnums, int) else tuple(parts))
        return unflatten(results.tree, found)

    return derivatives


def hessian(function: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """The function that computes all second derivatives of a scalar function: for a vector ^i, a tensor _i _i'.

    It is a tensor under linear changes of the basis; on a curved space, where the coordinates are no vector, second
    covariant derivatives of a field are (`covariant_derivative`, twice).

    Args:
        function: as for `grad`.
        argnums: as for `grad`.

    Returns:
        A function of the same arguments; its values nest as those of `jacobian` of `grad` do.

    Raises:
        ShapeError, DTypeError, BackendError: (when called) as for `grad`; a real function of complex tensors has none.

    >>> import tensoria as tn
    >>> i, = tn.indices("i", tn.Space("V", 2, metric=[[2, 1], [1, 3]]))
    >>> H = hessian(lambda x: tn.inner(x, x) / 2)(tn.tensor([1., 2.], [i]))
    >>> H.axes, H.array.tolist()
    (Axes(_i _i'), [[2.0, 1.0], [1.0, 3.0]])
    """
    return jacobian(grad(function, argnums), argnums)


def _count(backend: Backend, arrays: Sequence[Array]) -> int:
    return sum(math.prod(_shape(backend, array)) for array in arrays)


def _shape(backend: Backend, array: Array) -> tuple[int, ...]:
    shape = backend.shape(array)
    if None in shape:
        raise BackendError(
            "a Jacobian goes through all components, and a size is unknown while the framework traces.",
            legal="an input signature with known sizes",
        )
    return shape  # type: ignore[return-value]


def _basis(backend: Backend, arrays: Sequence[Array]) -> list[list[Array]]:
    """The unit directions of all components of several arrays: for each array, one stack with a first axis for all."""
    total, start, stacks = _count(backend, arrays), 0, []
    for array in arrays:
        shape = _shape(backend, array)
        size = math.prod(shape)
        unit = backend.beside(backend.xp.eye(total, size, k=-start, dtype=array.dtype), array)
        stacks.append(backend.reshape(unit, (total, *shape)))
        start += size
    return stacks


def _mapped(backend: Backend, function: Callable[..., list[Array]], stacks: list[Array]) -> list[Array]:
    """A function of one direction applied to all."""
    count = backend.shape(stacks[0])[0] or 0
    if count > FEW:
        return backend.vmap(function, stacks)
    return Backend.vmap(backend, function, stacks)


def _rows(
    backend: Backend, pull: Callable[[Sequence[Array]], list[Array]], outputs: Sequence[Array], arrays: Sequence[Array]
) -> list[list[Array]]:
    """The blocks d(output)/d(argument), value's axes first, by reverse mode."""
    stacks = _basis(backend, outputs)
    found = _mapped(backend, lambda *cotangents: pull(list(cotangents)), stacks)
    if any(backend.dtype(y).kind == "complex" for y in outputs):
        _require_complex(backend, arrays)
        turned = [_times_i(backend, stack, -1) if backend.dtype(stack).kind == "complex" else stack for stack in stacks]
        again = _mapped(backend, lambda *cotangents: pull(list(cotangents)), turned)
        kinds = [backend.dtype(y).kind == "complex" for y in outputs]
        return [
            [proportional(backend, a, b) if kind else a for a, b in zip(row, other, strict=True)]
            for kind, row, other in zip(
                kinds, _split_rows(backend, found, outputs), _split_rows(backend, again, outputs), strict=True
            )
        ]
    return _split_rows(backend, found, outputs)


def _split_rows(backend: Backend, found: Sequence[Array], outputs: Sequence[Array]) -> list[list[Array]]:
    blocks, start = [], 0
    for y in outputs:
        shape = _shape(backend, y)
        stop = start + math.prod(shape)
        blocks.append([backend.reshape(part[start:stop], (*shape, *_shape(backend, part)[1:])) for part in found])
        start = stop
    return blocks


def _columns(
    backend: Backend, function: Callable[..., list[Array]], arrays: Sequence[Array]
) -> tuple[list[Array], list[list[Array]]]:
    """The outputs, and the blocks d(output)/d(argument), value's axes first, by forward mode."""
    stacks = _basis(backend, arrays)
    outputs: list[Array] = []

    def pushed(*tangents: Array) -> list[Array]:
        values, along = backend.jvp(function, arrays, list(tangents))
        outputs[:] = values
        return [*along, *values]

    both = _mapped(backend, pushed, stacks)
    count = len(both) // 2
    found, values = both[:count], [stack[0] for stack in both[count:]]
    complex_arguments = [backend.dtype(x).kind == "complex" for x in arrays]
    complex_values = [backend.dtype(y).kind == "complex" for y in values]
    if any(complex_values):
        _require_complex(backend, arrays)
    blocks = _split_columns(backend, found, arrays)
    if not any(complex_arguments):
        return values, blocks
    turned = [_times_i(backend, s, 1) if kind else s for s, kind in zip(stacks, complex_arguments, strict=True)]
    again = _split_columns(backend, _mapped(backend, pushed, turned)[:count], arrays)
    for n, whole in enumerate(complex_values):
        for m, kind in enumerate(complex_arguments):
            a, b = blocks[n][m], again[n][m]
            if whole:
                # b is df/dy = i f' of a holomorphic function, and -b what `proportional` asks for.
                blocks[n][m] = proportional(backend, a, backend.xp.negative(b))
            elif kind:
                blocks[n][m] = backend.subtract(
                    backend.kernels.cast(a, arrays[m].dtype),
                    _times_i(backend, backend.kernels.cast(b, arrays[m].dtype), 1),
                )
    return values, blocks


def _split_columns(backend: Backend, found: Sequence[Array], arrays: Sequence[Array]) -> list[list[Array]]:
    blocks = []
    for part in found:
        row, start = [], 0
        rest = _shape(backend, part)[1:]
        for x in arrays:
            shape = _shape(backend, x)
            stop = start + math.prod(shape)
            block = backend.reshape(part[start:stop], (*shape, *rest))
            lead = len(shape)
            order = (*range(lead, lead + len(rest)), *range(lead))
            row.append(backend.kernels.transpose(block, order) if rest and lead else block)
            start = stop
        blocks.append(row)
    return blocks


def _require_complex(backend: Backend, arrays: Sequence[Array]) -> None:
    if any(backend.dtype(array).kind != "complex" for array in arrays):
        raise DTypeError(
            "the value is complex and an argument is real.", legal="tn.real(y) or tn.abs(y), whichever is meant"
        )


def _times_i(backend: Backend, array: Array, sign: int) -> Array:
    turned = backend.multiply(array, backend.constant(IMAGINARY, backend.dtype(array), array))
    return turned if sign > 0 else backend.xp.negative(turned)


def _ordered(backend: Backend, block: Array, y: tuple[Array, Labels], x: tuple[Array, Labels]) -> Array:
    """A block with the anonymous axes of both sides in front."""
    ranks = [len(array.shape) for array, _ in (y, x)]
    leads = [rank - (len(of.indices) if of is not None else 0) for rank, (_, of) in zip(ranks, (y, x), strict=True)]
    first, second = range(ranks[0]), range(ranks[0], ranks[0] + ranks[1])
    order = (*first[: leads[0]], *second[: leads[1]], *first[leads[0] :], *second[leads[1] :])
    return block if order == tuple(range(len(order))) else backend.kernels.transpose(block, order)


def _joined(value: Labels, argument: Labels) -> Labels:
    """The axes of a derivative; that of a native array by a native array is native."""
    if value is None and argument is None:
        return None
    return _with(axes(()) if value is None else value, axes(()) if argument is None else opposite(argument))


@structural
def _with(first: Axes, second: Axes) -> Axes:
    found = list(first.indices)
    for index in second.indices:
        found.append(index.renamed(primed(index.name, [other.name for other in found])))
    return axes(tuple(found))
