"""Functions of each component: their values, and what they say of infinities, NaN and signed zeros."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from hypothesis import strategies as st

import tensoria as tn
from tensoria_conformance.claims import exactly, numbers, same
from tensoria_conformance.contracts import contract
from tensoria_conformance.strategies import booleans, floats, integers, shapes

inf, nan = float("inf"), float("nan")
ANALYTIC = ("exp", "sin", "cos", "tan", "tanh", "sinh", "cosh", "atan", "asinh", "square", "negative", "abs", "expm1")


@contract(
    "elementwise",
    rule="Analytic functions have the values of the real functions, in every precision.",
    source="Array API 2025.12, Element-wise functions",
    x=floats(shapes(), low=-3.0, high=3.0),
)
def test_analytic_functions_have_their_values(xp: Any, x: Any) -> None:
    for name, dtype in itertools.product(ANALYTIC, ("float32", "float64")):
        y = x.astype(dtype)
        call = {"atan": "arctan", "asinh": "arcsinh"}.get(name, name)
        same(getattr(xp, name)(xp.asarray(y)), getattr(np, call)(y.astype("float64")), dtype=dtype)


@contract(
    "elementwise",
    rule="exp, expm1, log, sqrt and their relatives have the standard's values at infinities, NaN and zero.",
    source="Array API 2025.12, exp, expm1, log, sqrt, tanh, atan: special cases",
)
def test_functions_at_infinities_nan_and_zero(xp: Any) -> None:
    x = np.array([inf, -inf, nan, 0.0, -0.0])
    with np.errstate(all="ignore"):
        for name in ("exp", "expm1", "log", "log1p", "sqrt", "tanh", "atan", "sin", "floor", "square"):
            exactly(getattr(xp, name)(xp.asarray(x)), getattr(np, name)(x))


@contract(
    "elementwise",
    rule="Outside of their domain, real functions are NaN; no number, no error.",
    source="Array API 2025.12, log, sqrt, acos, atanh: special cases",
)
def test_outside_of_the_domain_is_nan(xp: Any) -> None:
    for name, x in (("log", -1.0), ("sqrt", -1.0), ("acos", 2.0), ("asin", -2.0), ("acosh", 0.5), ("log1p", -2.0)):
        exactly(getattr(xp, name)(xp.asarray([x, x], dtype="float64")), np.array([nan, nan]))


@contract(
    "elementwise",
    rule="The sign of zero survives, and atan2 tells the two zeros apart.",
    source="IEEE 754-2019, 6.3; Array API 2025.12, atan2: special cases",
)
def test_zeros_have_a_sign(xp: Any) -> None:
    x = np.array([0.0, -0.0])
    for name in ("negative", "sin", "tan", "sinh", "expm1", "floor", "ceil", "trunc", "round", "sqrt"):
        exactly(getattr(xp, name)(xp.asarray(x)), getattr(np, name)(x))
    y = np.array([0.0, -0.0, 0.0, -0.0])
    z = np.array([0.0, 0.0, -0.0, -0.0])
    exactly(xp.atan2(xp.asarray(y), xp.asarray(z)), np.arctan2(y, z))
    exactly(xp.signbit(xp.asarray(x)), np.signbit(x))


@contract(
    "elementwise",
    rule="NaN is not equal to itself, and compares false.",
    source="IEEE 754-2019, 5.11",
    x=floats(shapes(), special=True),
    y=floats((), special=True),
)
def test_comparisons_are_those_of_ieee(xp: Any, x: Any, y: Any) -> None:
    t, u = xp.asarray(x), xp.asarray(y)
    for got, want in (
        (t < u, x < y), (t <= u, x <= y), (t > u, x > y), (t >= u, x >= y), (t == u, x == y), (t != u, x != y),
    ):  # fmt: skip
        exactly(got, want)
    exactly(xp.isnan(t), np.isnan(x))
    exactly(xp.isfinite(t), np.isfinite(x))


@contract(
    "elementwise",
    rule="Halves are rounded to the even neighbour.",
    source="Array API 2025.12, round; IEEE 754-2019, 4.3.1",
)
def test_halves_are_rounded_to_even(xp: Any) -> None:
    exactly(
        xp.round(xp.asarray(np.array([0.5, 1.5, 2.5, -0.5, -1.5, 2.4]))), np.array([0.0, 2.0, 2.0, -0.0, -2.0, 2.0])
    )


@contract(
    "elementwise",
    rule="Floor division rounds down, and the remainder has the divisor's sign.",
    source="Array API 2025.12, floor_divide, remainder",
    x=integers((4,), low=-20, high=20),
    y=integers((4,), low=1, high=7),
    sign=st.sampled_from((1, -1)),
    dtype=st.sampled_from(("int32", "int64", "float64")),
)
def test_division_rounds_down(xp: Any, x: Any, y: Any, sign: int, dtype: str) -> None:
    a, b = x.astype(dtype), (sign * y).astype(dtype)
    same(xp.asarray(a) // xp.asarray(b), np.floor_divide(a, b))
    same(xp.asarray(a) % xp.asarray(b), np.mod(a, b))
    assert (numbers(xp.asarray(a) % xp.asarray(b)) * sign >= 0).all()


@contract(
    "elementwise",
    rule="Bitwise operations are those of two's complement.",
    source="Array API 2025.12, bitwise functions",
    x=integers((3,)),
    y=integers((3,)),
    shift=st.integers(0, 5),
)
def test_bits_are_those_of_twos_complement(xp: Any, x: Any, y: Any, shift: int) -> None:
    t, u = xp.asarray(x), xp.asarray(y)
    for got, want in (
        (t & u, x & y),
        (t | u, x | y),
        (t ^ u, x ^ y),
        (~t, ~x),
        (t << shift, x << shift),
        (t >> shift, x >> shift),
    ):
        exactly(got, want)


@contract(
    "elementwise",
    rule="Logical functions are those of Boolean algebra.",
    source="Array API 2025.12, logical functions",
    p=booleans((4,)),
    q=booleans((4,)),
)
def test_logic_is_boolean(xp: Any, p: Any, q: Any) -> None:
    t, u = xp.asarray(p), xp.asarray(q)
    exactly(xp.logical_and(t, u), p & q)
    exactly(xp.logical_or(t, u), p | q)
    exactly(xp.logical_xor(t, u), p ^ q)
    exactly(xp.logical_not(t), ~p)


@contract(
    "elementwise",
    rule="hypot, logaddexp, log1p and expm1 do not lose what the formula they stand for would lose.",
    source="Array API 2025.12, hypot, logaddexp, expm1, log1p: purpose",
)
def test_careful_functions_neither_overflow_nor_cancel(xp: Any) -> None:
    big = xp.asarray(np.array([3e200, 1000.0]))
    other = xp.asarray(np.array([4e200, 1000.0]))
    same(xp.hypot(big, other), np.hypot([3e200, 1000.0], [4e200, 1000.0]))
    same(xp.logaddexp(other[1:], big[1:]), np.array([1000.0 + np.log(2.0)]))
    small = np.array([1e-20, -3e-18])
    same(xp.expm1(xp.asarray(small)), small, scale=0.0)
    same(xp.log1p(xp.asarray(small)), small, scale=0.0)


@contract(
    "elementwise",
    rule="The principal branches of complex functions are those of the standard, with cuts on the same axes.",
    source="Array API 2025.12, Branch cuts; Kahan 1987",
    z=floats((3,), "complex128", low=-2.0, high=2.0),
)
def test_complex_functions_have_the_principal_branch(xp: Any, z: Any) -> None:
    z = np.where(np.abs(z) < 1e-3, 1 + 1j, z)
    t = xp.asarray(z)
    for name in ("exp", "log", "sqrt", "sin", "tanh"):
        same(getattr(xp, name)(t), getattr(np, name)(z))
    same(xp.abs(t), np.abs(z))
    exactly(xp.conj(t), z.conj())
    exactly(xp.real(t), z.real)
    exactly(xp.imag(t), z.imag)


@contract(
    "elementwise",
    rule="softmax sums to one and does not overflow; relu is zero below zero.",
    source="Goodfellow, Bengio, Courville, Deep Learning, 4.1",
    x=floats((2, 3), low=-1000.0, high=1000.0),
)
def test_softmax_is_a_distribution(xp: Any, x: Any) -> None:
    shifted = np.exp(x - x.max(axis=-1, keepdims=True))
    t = xp.asarray(x)
    same(tn.softmax(t, -1), shifted / shifted.sum(axis=-1, keepdims=True))
    same(tn.relu(t), np.maximum(x, 0.0))
