"""Promotion: the data type of a result, and what is refused because frameworks would differ."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

import tensoria as tn
from tensoria.errors import DTypeError
from tensoria_conformance.claims import exactly, has_dtype, numbers, refused, same
from tensoria_conformance.contracts import contract

PROMOTION = "Array API 2025.12, Type promotion rules"
SIGNED, UNSIGNED = ("int8", "int16", "int32", "int64"), ("uint8", "uint16", "uint32")
FLOATS, COMPLEX = ("float32", "float64"), ("complex64", "complex128")


def data_types_of_pairs(xp: Any, *families: tuple[str, ...]) -> None:
    """Hold sums and products of all pairs of data types against the standard's table, which is NumPy's for these."""
    names = tuple(itertools.chain(*families))
    has_dtype(xp, *names)
    for first, second in itertools.combinations_with_replacement(names, 2):
        want = np.result_type(first, second).name
        t, u = xp.ones((2,), dtype=first), xp.ones((2,), dtype=second)
        for got in (t + u, u * t, xp.maximum(t, u) if want[0] != "c" else t - u):
            assert got.dtype.name == want, f"{first} with {second} gives {got.dtype.name} instead of {want}"
        assert xp.result_type(t, u).name == want
        exactly(t + u, np.full(2, 2).astype(want))


@contract("promotion", rule="Signed integers promote to the larger one.", source=PROMOTION)
def test_signed_integers_promote(xp: Any) -> None:
    data_types_of_pairs(xp, SIGNED)


@contract("promotion", rule="Signed and unsigned integers promote to a signed one that holds both.", source=PROMOTION)
def test_signed_and_unsigned_integers_promote(xp: Any) -> None:
    data_types_of_pairs(xp, SIGNED, UNSIGNED)


@contract(
    "promotion", rule="Real and complex numbers promote to the complex type that keeps the precision.", source=PROMOTION
)
def test_floats_promote(xp: Any) -> None:
    data_types_of_pairs(xp, FLOATS, COMPLEX)


@contract("promotion", rule="float16 promotes to the larger formats.", source=f"{PROMOTION}; docs/rules.md")
def test_half_precision_promotes(xp: Any) -> None:
    data_types_of_pairs(xp, ("float16", "float32", "float64"))


@contract(
    "promotion",
    rule="float16 and bfloat16 meet at float32, which holds both.",
    source="docs/rules.md; IEEE 754-2019, 3.6",
)
def test_the_two_half_precisions_meet_at_float32(xp: Any) -> None:
    has_dtype(xp, "float16", "bfloat16")
    same(xp.ones((2,), dtype="float16") + xp.full((2,), 0.5, dtype="bfloat16"), np.full(2, 1.5, "float32"))


@contract(
    "promotion",
    rule="A Python number takes the array's data type.",
    source="Array API 2025.12, Mixing arrays with Python scalars",
)
def test_numbers_take_the_arrays_data_type(xp: Any) -> None:
    for name in ("int8", "int64", "uint8", "float32", "float64"):
        t = xp.asarray([1, 2, 3], dtype=name)
        for got in (t + 1, 2 * t, t - 1, 7 - t):
            assert got.dtype.name == name, f"{name} with a number gives {got.dtype.name}"
        exactly(2 * t + 1, np.array([3, 5, 7], name))
    same(xp.asarray([1.0, 2.0], dtype="float32") / 4.0, np.array([0.25, 0.5], "float32"))


@contract(
    "promotion",
    rule="A float beside integers is refused: frameworks differ on the result.",
    source=f"{PROMOTION}; docs/rules.md",
)
def test_floats_beside_integers_are_refused(xp: Any) -> None:
    refused(DTypeError, lambda xp: xp.asarray([1, 2]) + 0.5, xp, "0.5", "int64", "Legal:")
    refused(DTypeError, lambda xp: xp.asarray([True]) * 1.5, xp, "bool")


@contract(
    "promotion", rule="Arrays of mixed kinds do not promote, and are refused.", source=f"{PROMOTION}; docs/rules.md"
)
def test_mixed_kinds_are_refused(xp: Any) -> None:
    def added(first: str, second: str) -> Callable[[Any], Any]:
        return lambda xp: xp.ones((2,), dtype=first) + xp.ones((2,), dtype=second)

    for pair in (("int64", "float64"), ("bool", "int32"), ("uint64", "int8"), ("bool", "float32")):
        has_dtype(xp, *pair)
        refused(DTypeError, added(*pair), xp, *pair)


@contract(
    "promotion",
    rule="An integer that leaves its range wraps around.",
    source="NumPy, Array types: overflow errors; two's complement",
)
def test_integers_wrap_around(xp: Any) -> None:
    for name in ("int8", "int16", "int32", "int64", "uint8"):
        most = np.array([np.iinfo(name).max], name)
        with np.errstate(over="ignore"):
            want = most + np.array([1], name), most * np.array([2], name)
        t = xp.asarray(most)
        exactly(t + xp.ones((1,), dtype=name), want[0])
        exactly(t * xp.asarray([2], dtype=name), want[1])


@contract(
    "promotion",
    rule="Double precision is never lowered silently.",
    source="Array API 2025.12, Type promotion rules; docs/rules.md",
)
def test_double_precision_is_kept(xp: Any) -> None:
    x = np.array([1.0, 1 + 2.0**-40])
    t = xp.asarray(x)
    for got, want in (
        (t * 1.0, x),
        (xp.sum(t), x.sum()),
        (xp.exp(t), np.exp(x)),
        (t[1], x[1]),
        (tn.einsum("i,i->i", t, t), x * x),
    ):
        same(got, want, dtype="float64", rtol=1e-15)
    i = np.array([2**53 + 1, 2**62 + 1])
    exactly(xp.asarray(i) - 1, i - 1)
    exactly(xp.sum(xp.asarray(i)), np.sum(i))


@contract(
    "promotion", rule="Sums and products of small integers are taken in 64 bits.", source="Array API 2025.12, sum, prod"
)
def test_sums_of_small_integers_do_not_overflow(xp: Any) -> None:
    for name in ("int8", "int16", "int32"):
        same(xp.sum(xp.full((4,), 100, dtype=name)), np.int64(400))
        same(xp.prod(xp.full((4,), 100, dtype=name)), np.int64(100**4))
    t = xp.sum(xp.full((3,), 200, dtype="uint8"))
    assert t.dtype.kind == "uint"
    assert int(t) == 600


@contract(
    "promotion",
    rule="A cast rounds to the nearest number, and to the even one of two.",
    source="IEEE 754-2019, 4.3.1; Array API 2025.12, astype",
)
def test_casts_round_to_nearest(xp: Any) -> None:
    x = np.array([1 + 2.0**-24, 1 + 3 * 2.0**-24, 0.1, 1e300, -0.0])
    with np.errstate(over="ignore"):
        exactly(xp.astype(xp.asarray(x), "float32"), x.astype("float32"))
    exactly(xp.astype(xp.asarray(np.array([1.9, -1.9, 0.0])), "int64"), np.array([1, -1, 0]))
    exactly(xp.astype(xp.asarray(np.array([0.0, 0.5, -3.0])), "bool"), np.array([False, True, True]))


@contract("promotion", rule="Assigning never drops a fraction or an imaginary part.", source="docs/rules.md, setitem")
def test_assignment_keeps_all_of_the_value(xp: Any) -> None:
    def assigned(dtype: str, value: complex) -> Callable[[Any], None]:
        def assign(xp: Any) -> None:
            xp.zeros((2,), dtype=dtype)[0] = value

        return assign

    for dtype, value in (("int64", 2.5), ("float64", 1j), ("int32", 1j)):
        refused(DTypeError, assigned(dtype, value), xp, dtype)
    t = xp.zeros((2,), dtype="float32")
    t[0] = 0.1
    assert t.dtype is tn.float32
    assert numbers(t)[0] == np.float32(0.1)


@contract(
    "promotion",
    rule="finfo and iinfo are those of the format.",
    source="Array API 2025.12, finfo, iinfo; IEEE 754-2019, 3.6",
)
def test_formats_have_their_limits(xp: Any) -> None:
    for name in FLOATS:
        got, want = xp.finfo(tn.dtype(name)), np.finfo(name)
        assert (got.bits, got.eps, got.max, got.smallest_normal) == (
            want.bits,
            want.eps,
            want.max,
            want.smallest_normal,
        )
        one = xp.ones((), dtype=name)
        assert float(xp.nextafter(one, one + 1) - one) == want.eps
    for name in SIGNED:
        limits = np.iinfo(name)
        assert (xp.iinfo(tn.dtype(name)).min, xp.iinfo(tn.dtype(name)).max) == (limits.min, limits.max)
