"""When two arrays agree: tolerances that know their data type, and distances in units in the last place.

A unit in the last place (ulp) is the step from one floating-point number to the next: floats of one format, read as
integers, are in order, so the distance is the difference of these integers (IEEE 754-2019, section 3.4). Errors are
measured against a reference in double precision, rounded to the format that is checked.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

__all__ = ["EPSILON", "Agreement", "agreement", "coarsest", "tolerance", "ulps"]

Values = np.ndarray[Any, Any]
EPSILON = {"bfloat16": 2.0**-7, "float16": 2.0**-10, "float32": 2.0**-23, "float64": 2.0**-52}
"""The distance from 1 to the next number of each format, coarsest first."""
REAL = {"complex64": "float32", "complex128": "float64"}
INTEGERS = {"float16": np.int16, "float32": np.int32, "float64": np.int64}


def coarsest(*names: str) -> str | None:
    """The floating-point format with the fewest digits among data types; None if there is none.

    >>> coarsest("float64", "complex64", "int8")
    'float32'
    """
    found = [REAL.get(name, name) for name in names if REAL.get(name, name) in EPSILON]
    return min(found, key=list(EPSILON).index, default=None)


def tolerance(name: str) -> float:
    """The relative error that is put down to rounding in a format: three quarters of its digits are right.

    >>> f"{tolerance('float64'):.1e}", f"{tolerance('float32'):.1e}"
    ('1.8e-12', '6.4e-06')
    """
    return float(EPSILON[REAL.get(name, name)] ** 0.75)


def ulps(got: Values, want: Values, name: str) -> Values:
    """How many numbers of a format lie between two arrays, element by element; NaN is at no distance from NaN.

    Args:
        got, want: arrays of one shape; both are rounded to the format. Of complex numbers the worse part counts.
        name: the format, or a complex data type of such parts.

    Returns:
        Distances as float64; infinite where one is NaN and the other is not.

    >>> ulps(np.array([1.0, np.nan]), np.array([1 + 2**-51, 1.0]), "float64")
    array([ 2., inf])
    """
    if np.iscomplexobj(got) or np.iscomplexobj(want):
        got, want = np.asarray(got, np.complex128), np.asarray(want, np.complex128)
        return np.asarray(np.maximum(ulps(got.real, want.real, name), ulps(got.imag, want.imag, name)))
    form = REAL.get(name, name)
    # bfloat16 is the upper half of float32.
    stored, scale = ("float32", 2.0**16) if form == "bfloat16" else (form, 1.0)
    with np.errstate(over="ignore", invalid="ignore"):
        x, y = (np.atleast_1d(np.asarray(a)).astype(stored) for a in (got, want))
    integer = INTEGERS[stored]
    m, n = (_in_order(a, integer) for a in (x, y))
    # Numbers of different signs lie on two sides of zero; their integers' difference may not fit.
    far = np.abs(m.astype(np.float64)) + np.abs(n.astype(np.float64))
    with np.errstate(over="ignore"):
        near = np.abs((m - n).astype(np.float64))
    distance = np.where((m < 0) != (n < 0), far, near) / scale
    nan = np.isnan(x).astype(int) + np.isnan(y)
    distance = np.where(nan == 2, 0.0, np.where(nan == 1, np.inf, distance))
    return np.asarray(distance.reshape(np.broadcast_shapes(np.shape(got), np.shape(want))))


def _in_order(x: Values, integer: Any) -> Values:
    bits = x.view(integer)
    return np.asarray(np.where(bits < 0, np.iinfo(integer).min - bits, bits))


class Agreement(NamedTuple):
    """How two arrays compare.

    Attributes:
        fault: what is wrong, or None.
        ulps: the largest distance where both are finite; 0 for integers and booleans that are equal.
    """

    fault: str | None
    ulps: float


def agreement(
    got: Values,
    want: Values,
    name: str,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    slack: Values | float = 0.0,
) -> Agreement:
    """Whether numbers agree with what they should be.

    Infinities and NaN have to be in the same places. Integers and booleans have to be equal. Otherwise
    |got - want| <= atol + rtol |want|.

    Args:
        got: the numbers.
        want: what they should be, in double precision where that is more.
        name: the data type whose digits can be expected: the coarsest that was on the way.
        rtol: the relative tolerance; by default `tolerance(name)`.
        atol: the absolute tolerance; by default rtol times the largest magnitude in `want`, because the error of a
            sum is relative to its largest term (Higham, Accuracy and Stability of Numerical Algorithms, section 4.2).
        slack: what is allowed besides, element by element.
    """
    got, want = np.asarray(got), np.asarray(want)
    if got.shape != want.shape:
        return Agreement(f"the shape is {got.shape} instead of {want.shape}", np.inf)
    if not got.size:
        return Agreement(None, 0.0)
    if coarsest(name) is None:
        wrong = np.asarray(got != want)
        distance = np.zeros(got.shape)
    else:
        distance = ulps(got, want, name)
        with np.errstate(invalid="ignore", over="ignore"):
            wrong = ~(_close(got, want, name, rtol, atol) | (np.abs(got - want) <= slack))
    finite = distance[np.isfinite(got) & np.isfinite(want)]
    worst = float(finite.max(initial=0.0))
    if not wrong.any():
        return Agreement(None, worst)
    score = np.where(wrong, np.where(np.isfinite(distance), distance, np.inf), -1.0)
    place = np.unravel_index(int(np.argmax(score)), got.shape)
    count, where = int(wrong.sum()), ", ".join(str(int(n)) for n in place)
    text = f"{count} of {got.size} values differ" if got.size > 1 else "the value differs"
    text += f"; at [{where}] {_shown(got[place])} instead of {_shown(want[place])}"
    if coarsest(name) is not None and np.isfinite(score[place]):
        text += f", {count_of(float(distance[place]))} of {name}"
    return Agreement(text, worst)


def count_of(distance: float) -> str:
    """A number of ulps as text.

    >>> count_of(1.0), count_of(3.2e9)
    ('1 ulp', '3.2e+09 ulps')
    """
    return "1 ulp" if distance == 1 else f"{distance:.6g} ulps" if distance < 1e6 else f"{distance:.1e} ulps"


def _close(got: Values, want: Values, name: str, rtol: float | None, atol: float | None) -> Values:
    rtol = tolerance(name) if rtol is None else rtol
    if np.iscomplexobj(got) or np.iscomplexobj(want):
        got, want = np.asarray(got, np.complex128), np.asarray(want, np.complex128)
        special = ~(np.isfinite(got) & np.isfinite(want))
        if special.any():
            parts = [_close(p, q, name, rtol, atol) for p, q in ((got.real, want.real), (got.imag, want.imag))]
            return np.asarray(np.where(special, parts[0] & parts[1], _near(got, want, rtol, atol)))
        return _near(got, want, rtol, atol)
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    special = ~(np.isfinite(got) & np.isfinite(want))
    same = (got == want) | (np.isnan(got) & np.isnan(want))
    # What overflows the format that is checked is an infinity there.
    most = {"float16": 65504.0, "bfloat16": 3.3895314e38, "float32": 3.4028235e38}.get(REAL.get(name, name), np.inf)
    same |= (np.abs(want) > most) & np.isinf(got) & (np.sign(got) == np.sign(want))
    return np.asarray(np.where(special, same, _near(got, want, rtol, atol)))


def _near(got: Values, want: Values, rtol: float, atol: float | None) -> Values:
    size = np.abs(want)
    if atol is None:
        atol = rtol * float(size[np.isfinite(size)].max(initial=0.0))
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(np.abs(got - want) <= atol + rtol * size)


def _shown(value: Any) -> str:
    return repr(value.item() if hasattr(value, "item") else value)
