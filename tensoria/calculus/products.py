"""Derivatives along a direction: `jvp` pushes a tangent forward, `vjp` pulls a cotangent back.

A tangent has the axes of the point that it is attached to, a cotangent those of the value with every variance
reversed. Pushing forward is linear over the real numbers. Pulling back c of y = f(z) gives the gradient of Re(sum c y),
in the convention of `grad`; for a holomorphic f it is c f'.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tensoria.backend import Array
from tensoria.calculus.lifting import Lifted, Results, fitted, opposite, require_floating
from tensoria.calculus.trees import LEAF, Tree, leaves_like
from tensoria.errors import ModeError

__all__ = ["jvp", "vjp"]


def jvp(function: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """A function's value, and its derivative along tangents (forward mode).

    Args:
        function: takes tensors or trees of them, returns a tensor or a tree of them.
        primals: its positional arguments.
        tangents: a tangent for each of them: trees of the same structure, tensors of the same axes.

    Returns:
        The value, and its derivative, which has the value's axes.

    Raises:
        VarianceError, SpaceError, ShapeError, ModeError: a tangent does not fit its argument.
        DTypeError: an argument or a value is of integers.

    >>> import tensoria as tn
    >>> i, = tn.indices("i", tn.Space("V", 2))
    >>> x, v = tn.tensor([1., 2.], [i]), tn.tensor([1., 0.], [i])
    >>> y, along = jvp(lambda x: x * tn.tensor([3., 4.], [-i]) * x, (x,), (v,))
    >>> along.axes, along.array
    (Axes(^i), array([14.,  6.]))
    """
    for name, given in (("primals", primals), ("tangents", tangents)):
        if not isinstance(given, (tuple, list)):
            raise ModeError(
                f"the {name} are {type(given).__name__}, and have to be a tuple.", legal="tn.jvp(f, (x,), (v,))"
            )
    lifted = Lifted(function, tuple(primals), {}, range(len(primals)))
    backend = lifted.backend
    if len(tangents) != len(primals):
        raise ModeError(f"there are {len(primals)} arguments and {len(tangents)} tangents.")
    leaves = [
        leaf for tree, t in zip(lifted.trees, tangents, strict=True) for leaf in leaves_like(tree, t, "a tangent")
    ]
    along = [
        fitted(backend, leaf, of, array, "a tangent")
        for leaf, of, array in zip(leaves, lifted.labels, lifted.arrays, strict=True)
    ]
    kept: list[Results] = []

    def native(*arrays: Array) -> list[Array]:
        results = Results(lifted.call(arrays), backend, lifted.own)
        for array in results.arrays:
            require_floating(backend, array, "the value")
        kept.append(results)
        return results.arrays

    outputs, pushed = backend.jvp(native, lifted.arrays, along)
    return lifted.result(kept[-1], outputs), lifted.result(kept[-1], pushed)


def vjp(function: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """A function's value, and the function that pulls cotangents back (reverse mode).

    Args:
        function: takes tensors or trees of them, returns a tensor or a tree of them.
        primals: its positional arguments.
        has_aux: whether the function returns a pair, whose second part is passed through as it is.

    Returns:
        The value; a function that takes a cotangent (a tree like the value, each tensor with every variance reversed)
        and returns a tuple with the gradient by each argument; with `has_aux`, the second part of what the function
        returns.

    Raises:
        VarianceError, SpaceError, ShapeError, ModeError: (when pulling back) the cotangent does not fit the value.
        DTypeError: an argument or a value is of integers.

    >>> import tensoria as tn
    >>> i, j = tn.indices("i j", tn.Space("V", 2))
    >>> A, x = tn.tensor([[1., 2.], [3., 4.]], [i, -j]), tn.tensor([1., 1.], [j])
    >>> y, pull = vjp(lambda A, x: A * x, A, x)
    >>> by_A, by_x = pull(tn.tensor([1., 0.], [-i]))
    >>> by_A.axes, by_x.axes, by_x.array
    (Axes(_i ^j), Axes(_j), array([1., 2.]))
    """
    lifted = Lifted(function, primals, {}, range(len(primals)))
    backend = lifted.backend
    kept: list[Results] = []

    def native(*arrays: Array) -> tuple[list[Array], list[Array]]:
        value = lifted.call(arrays)
        beside: list[Array] = []
        if has_aux:
            if not isinstance(value, tuple) or len(value) != 2:
                raise ModeError(f"with has_aux the function returns a pair, not {type(value).__name__}.")
            value, further = value
            aux = Results(further, backend, lifted.own)
            kept.append(aux)
            beside = aux.arrays
        results = Results(value, backend, lifted.own)
        for array in results.arrays:
            require_floating(backend, array, "the value")
        kept.append(results)
        return results.arrays, beside

    outputs, beside, transpose = backend.vjp(native, lifted.arrays)
    results = kept[-1]
    shape: Tree = results.tree if results.tree.build is not None else LEAF

    def pull(cotangent: Any) -> tuple[Any, ...]:
        leaves = leaves_like(shape, cotangent, "the cotangent")
        given = [
            fitted(backend, leaf, None if of is None else opposite(of), array, "the cotangent")
            for leaf, of, array in zip(leaves, results.labels, outputs, strict=True)
        ]
        return tuple(lifted.like_arguments(transpose(given), lifted.opposites()))

    value = lifted.result(results, outputs)
    return (value, pull, lifted.result(kept[-2], beside)) if has_aux else (value, pull)
