"""What contracts are written with: a tensor is what it should be; something is refused, in the same words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tensoria as tn
from tensoria.discovery import backend_of
from tensoria.errors import DTypeError
from tensoria_conformance.comparison import agreement, coarsest, tolerance
from tensoria_conformance.contracts import NotApplicable

__all__ = ["exactly", "has_dtype", "numbers", "refusal", "refused", "same"]

Values = np.ndarray[Any, Any]


def numbers(t: Any) -> Values:
    """The numbers of a tensor (labels aside) or of a native array, in host memory; bfloat16 as float32."""
    t = t.detach() if isinstance(t, tn.Tensor) else tn.Tensor(t).detach()
    if t.dtype is tn.bfloat16:
        t = t.to(dtype="float32")
    found = backend_of(t.array)
    owner = t._backend if found is None else found
    return np.asarray(owner.to_numpy(t.array))


def same(
    got: Any,
    want: Any,
    *,
    dtype: str | None = None,
    axes: str | None = None,
    rtol: float | None = None,
    scale: float = 1.0,
) -> None:
    """Assert that a tensor has these numbers up to rounding, their shape, and their data type.

    Args:
        got: the tensor.
        want: the numbers, as NumPy has them.
        dtype: the data type's name; by default that of `want`.
        axes: how its labelled axes are written, such as `"^i _j"`; not checked by default.
        rtol: the relative tolerance; by default the data type's (`comparison.tolerance`).
        scale: the size of the terms that `want` is made of, if it may be much smaller than these: rtol is relative to
            the larger of this and the largest number in `want`.
    """
    assert isinstance(got, tn.Tensor), f"{type(got).__name__} is no tensor"
    expected = np.asarray(want)
    name = expected.dtype.name if dtype is None else dtype
    assert got.dtype.name == name, f"the data type is {got.dtype.name} instead of {name}"
    assert got.shape == expected.shape, f"the shape is {got.shape} instead of {expected.shape}"
    if axes is not None:
        assert str(got.axes) == axes, f"the axes are {got.axes} instead of {axes}"
    atol = None
    if coarsest(name) is not None:
        rtol = tolerance(name) if rtol is None else rtol
        size = np.abs(expected)
        atol = rtol * max(scale, float(size[np.isfinite(size)].max(initial=0.0)))
    fault = agreement(numbers(got), expected, name, rtol=rtol, atol=atol).fault
    assert fault is None, fault


def exactly(got: Any, want: Any, *, dtype: str | None = None) -> None:
    """Assert that a tensor has these very numbers: NaN where NaN is, and zeros of the same sign."""
    assert isinstance(got, tn.Tensor), f"{type(got).__name__} is no tensor"
    expected, found = np.asarray(want), numbers(got)
    name = expected.dtype.name if dtype is None else dtype
    assert got.dtype.name == name, f"the data type is {got.dtype.name} instead of {name}"
    fault = agreement(found, expected, name, rtol=0.0, atol=0.0).fault
    assert fault is None, fault
    if coarsest(name) is not None:
        for x, y in ((found.real, expected.real), (found.imag, expected.imag)):
            zeros = (x == 0) & (np.signbit(x) != np.signbit(y))
            assert not zeros.any(), f"zeros of the wrong sign: {found} instead of {expected}"


def refused(kind: type[Exception], action: Callable[[Any], object], xp: Any, *parts: str) -> None:
    """Assert that something is refused by an error of exactly that class, in the same words as on NumPy.

    Args:
        kind: the class.
        action: what is refused; called with a namespace, inside of `tn.use`.
        xp: the namespace of the backend that is checked.
        parts: texts that the message has to contain.
    """
    said = refusal(kind, action, xp)
    for part in parts:
        assert part in said, f"{part!r} is missing in the message: {said}"
    with tn.use("numpy"):
        there = refusal(kind, action, tn.namespace("numpy"))
    assert said == there, f"the message is\n{said}\nand on numpy\n{there}"


def refusal(kind: type[Exception], action: Callable[[Any], object], xp: Any) -> str:
    """What is said when something is refused by an error of exactly that class; arguments as for `refused`."""
    try:
        result = action(xp)
    except Exception as error:
        if type(error) is kind:
            return str(error)
        raise AssertionError(f"{type(error).__name__} instead of {kind.__name__}: {error}") from error
    raise AssertionError(f"no {kind.__name__}, the result is {result!r}")


def has_dtype(xp: Any, *names: str) -> None:
    """Skip the contract where the backend lacks one of these data types."""
    for name in names:
        try:
            xp.zeros((1,), dtype=name)
        except DTypeError as missing:
            raise NotApplicable(missing.message) from None
