"""Data types and numbers: what promotes, what wraps around, what is refused; integers at their limits; 16 bits.

Where tensoria differs from NumPy on purpose: data types of mixed kinds do not promote (an error names the cast), and
neither do Python's numbers of a larger kind; functions of floating-point numbers take no integers; the quotient of
integers is float64; a cast of NaN, of an infinity or of a
number out of range to integers is an error.
"""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from across import installed, native, refusal, values
from hypothesis import given
from hypothesis import strategies as st

import tensoria as tn
from tensoria.domains import DOMAINS
from tensoria.errors import ConversionError, DTypeError

from .drawn import COMPLEX, FLOATS, INTS, UINTS, agree, arrays, same, tensor

WHOLE = (*INTS, *UINTS)
ANY = ("bool", *WHOLE, *FLOATS, *COMPLEX)
OF_TWO = frozenset("""
    atan2 add bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor copysign divide floor_divide
    greater greater_equal hypot less less_equal logaddexp logical_and logical_or logical_xor matmul maximum minimum
    multiply nextafter pow remainder searchsorted subtract tensordot vecdot
""".split())  # fmt: skip
"""Functions of two arrays."""
KIND = {"b": 0, "i": 1, "u": 1, "f": 2, "c": 2}


def promotes(first: str, second: str) -> bool:
    a, b = np.dtype(first), np.dtype(second)
    return KIND[a.kind] == KIND[b.kind] and not ({a.kind, b.kind} == {"i", "u"} and "uint64" in (first, second))


@given(first=st.sampled_from(ANY), second=st.sampled_from(ANY), ones=st.sampled_from([(), (1,), (2,)]))
def test_two_data_types(backend: str, first: str, second: str, ones: tuple[int, ...]) -> None:
    """Whatever the number of axes: a 0-d array counts as every other."""
    x, y = np.ones((2,), first), np.ones(ones, second)
    t, u = tensor(backend, x), tensor(backend, y)
    calls: list[Any] = [
        lambda a, b: a * b, lambda a, b: tn.equal(a, b), lambda a, b: tn.concat([a, b[None] if not b.ndim else b]),
        lambda a, b: tn.where(tn.equal(a, a), a, b), lambda a, b: tn.isin(a, b),
    ]  # fmt: skip
    if "bool" not in (first, second):
        calls += [lambda a, b: a + b, lambda a, b: tn.subtract(a, b), lambda a, b: tn.pow(a, b)]
    for n, call in enumerate(calls):
        if not promotes(first, second):
            with pytest.raises(DTypeError, match="do not promote"):
                call(t, u)
        elif n not in (1, 4):
            assert call(t, u).dtype.name == np.result_type(first, second).name
        else:
            assert call(t, u).dtype is tn.bool


@given(x=arrays(WHOLE), data=st.data())
def test_integers_wrap_around_and_divide_by_zero_to_zero(backend: str, x: Any, data: Any) -> None:
    y = data.draw(arrays((x.dtype.name,), x.shape))
    t, u = tensor(backend, x), tensor(backend, y)
    for ours, numpys in (
        (lambda: t + u, lambda: x + y), (lambda: t - u, lambda: x - y), (lambda: t * u, lambda: x * y),
        (lambda: t // u, lambda: x // y), (lambda: t % u, lambda: x % y),
        (lambda: t // 0, lambda: x // x.dtype.type(0)),
        (lambda: t % 0, lambda: x % x.dtype.type(0)), (lambda: 3 // u, lambda: x.dtype.type(3) // y),
        (lambda: abs(t), lambda: abs(x)), (lambda: -t, lambda: -x), (lambda: tn.square(t), lambda: np.square(x)),
        (lambda: tn.sign(t), lambda: np.sign(x)), (lambda: ~t, lambda: ~x),
        (lambda: t / u, lambda: x.astype("float64") / y.astype("float64")),
    ):  # fmt: skip
        agree(ours, lambda numpys=numpys: np.asarray(numpys()))
    for shift in (0, 1, x.dtype.itemsize * 8 - 1, x.dtype.itemsize * 8, 100):
        by = x.dtype.type(shift)
        agree(lambda s=shift: t << s, lambda by=by: np.asarray(x << by))
        agree(lambda s=shift: t >> s, lambda by=by: np.asarray(x >> by))
    agree(lambda: t << u, lambda: np.asarray(x << y))
    agree(lambda: t >> u, lambda: np.asarray(x >> y))


@given(x=arrays(WHOLE, special=False), data=st.data())
def test_integers_to_a_power(backend: str, x: Any, data: Any) -> None:
    y = data.draw(arrays((x.dtype.name,), x.shape, special=False))
    t, u = tensor(backend, x), tensor(backend, y)
    agree(lambda: t**u, lambda: np.asarray(x**y))
    agree(lambda: tn.pow(t, u), lambda: np.asarray(x**y))
    agree(lambda: t**3, lambda: np.asarray(x ** x.dtype.type(3)))


@given(x=arrays((*FLOATS, *WHOLE, "bool")), into=st.sampled_from([*WHOLE, *FLOATS, "bool"]))
def test_casts(backend: str, x: Any, into: str) -> None:
    t = tensor(backend, x)
    if x.dtype.kind == "f" and into in WHOLE:
        info = np.iinfo(into)
        inside = all(math.isfinite(v) and int(info.min) - 1 < v < int(info.max) + 1 for v in x.reshape(-1).tolist())
        if not inside:
            for call in (lambda: tn.astype(t, into), lambda: t.to(dtype=into), lambda: tn.asarray(t, dtype=into)):
                with pytest.raises(DTypeError, match="no integer between"):
                    call()
            return
    same(tn.astype(t, into), x.astype(into))
    same(t.to(dtype=into), x.astype(into))
    same(tn.asarray(t, dtype=into), x.astype(into))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_sixteen_bits(backend: str, dtype: str) -> None:
    """Everything that has kernels of 32 bits has an answer in 16, within their precision."""
    if dtype == "bfloat16" and backend == "numpy":
        return  # which has no such data type
    reference = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else np.float16)
    rng = np.random.default_rng(0)
    x = rng.uniform(0.25, 0.9, (3, 4)).astype(reference).astype(np.float32)
    y = rng.uniform(0.25, 0.9, (3, 4)).astype(reference).astype(np.float32)
    t, u = (tn.asarray(tensor(backend, v), dtype=dtype) for v in (x, y))
    tolerance = 0.04 if dtype == "bfloat16" else 0.005
    for name in (*DOMAINS, "sum", "prod", "cumulative_sum", "flip", "matrix_transpose", "unique_values", "equal"):
        function = getattr(tn, name, None) if "." not in name else None
        kinds = DOMAINS.get(name)
        if function is None or (kinds is not None and "float" not in kinds) or name in ("nextafter", "clip"):
            continue
        numpys = getattr(np, name)
        if name in ("acosh",):
            a, b = tn.reciprocal(t), 1 / x
        else:
            a, b = t, x
        if name in ("matmul",):
            got, want = tn.matmul(a, u.T), np.matmul(b, y.T)
        elif name == "tensordot":
            got, want = tn.tensordot(a, u), np.tensordot(b, y)
        elif name == "searchsorted":
            got, want = tn.searchsorted(tn.sort(a[0]), u), np.searchsorted(np.sort(b[0]), y)
        elif name in (*OF_TWO, "equal"):
            got, want = function(a, u), numpys(b, y)
        elif name == "cumulative_sum":
            got, want = function(a, axis=1), numpys(b, axis=1)
        else:
            got, want = function(a), numpys(b)
        if got.dtype.kind == "float":
            assert got.dtype.name == dtype, name
        np.testing.assert_allclose(
            values(got).astype(np.float32), np.asarray(want, np.float32), rtol=tolerance, atol=tolerance, err_msg=name
        )
    square = np.array([[2.0, 0.5], [0.5, 1.0]], np.float32)
    m = tn.asarray(tensor(backend, square), dtype=dtype)
    for name in ("cholesky", "det", "inv", "pinv", "eigvalsh", "svdvals", "matrix_norm"):
        got = getattr(tn.linalg, name)(m)
        assert got.dtype.name == dtype, name
        want = {"svdvals": lambda v: np.linalg.svd(v, compute_uv=False), "matrix_norm": np.linalg.norm}.get(
            name, getattr(np.linalg, name, None)
        )
        np.testing.assert_allclose(values(got).astype(np.float32), want(square), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(values(tn.fft.fft(m)), np.fft.fft(square), rtol=tolerance)


def test_numbers_that_do_not_fit_say_so_in_the_same_words() -> None:
    for value, dtype in ((300, "uint8"), (-1, "uint16"), (200, "int8"), (2**70, "int64"), (2**64, "uint64")):
        for call in (
            lambda t, v: t + v, lambda t, v: v * t, lambda t, v: t == v, lambda t, v: tn.maximum(t, v),
            lambda t, v: tn.where(t > 0, t, v), lambda t, v: tn.full_like(t, v), lambda t, v: v // t,
        ):  # fmt: skip
            refusal(DTypeError, lambda b, c=call, v=value, d=dtype: c(tensor(b, np.ones(2, d)), v), str(value), dtype)
        refusal(DTypeError, lambda b, v=value, d=dtype: tn.asarray([1, v], dtype=d, backend=b), str(value), dtype)
        refusal(DTypeError, lambda b, v=value, d=dtype: tn.full((2,), v, dtype=d, backend=b), str(value), dtype)
    for value, dtype in ((True, "int64"), (True, "float32"), (2, "bool"), (0.5, "int8"), (1j, "uint8"), (0.5, "bool")):
        for call in (lambda t, v: t + v, lambda t, v: v * t, lambda t, v: t == v, lambda t, v: t < v):
            refusal(DTypeError, lambda b, c=call, v=value, d=dtype: c(tensor(b, np.ones(2, d)), v), dtype)
    refusal(DTypeError, lambda b: tensor(b, 1.0) * 10**400, "401 digits", "float64")
    refusal(DTypeError, lambda b: tensor(b, [2, 3]) ** -1, "negative power")
    refusal(DTypeError, lambda b: tensor(b, [2, 3]) ** tensor(b, [1, -1]), "negative power")
    refusal(DTypeError, lambda b: 2 ** tensor(b, [1, -1]), "negative power")


def test_numbers_beyond_int64_stand_beside_floats(backend: str) -> None:
    same(tensor(backend, np.ones(2)) * 2**70, np.full(2, 2.0**70))
    assert bool(tn.all(tensor(backend, np.ones(2)) < 2**70))


@pytest.mark.parametrize("name", sorted(name for name in DOMAINS if "." not in name))
def test_a_function_is_refused_outside_of_its_domain_in_the_same_words(name: str) -> None:
    kinds = {"bool": "bool", "int": "int64", "uint": "uint8", "float": "float64", "complex": "complex128"}
    two = name in OF_TWO
    for kind, dtype in kinds.items():
        if kind in DOMAINS[name] or name == "clip":
            continue
        x = np.ones(3 if name in ("searchsorted", "vecdot") else (3, 3), dtype)

        def call(b: str, x: Any = x) -> Any:
            t = tensor(b, x)
            return getattr(tn, name)(t, t) if two else getattr(tn, name)(t)

        refusal(DTypeError, call, name, dtype)


# -- literals ---------------------------------------------------------------------------------------------------------


def test_data_that_are_no_numbers_say_so_in_the_same_words() -> None:
    for data, part in (
        ([[1], [2, 3]], "(1,) and (2,)"), ([[1, 2], 3], "() and (2,)"), (["a"], "'a'"), (None, "NoneType"),
        ("abc", "'abc'"),
        ([None, 1.0], "NoneType"), ({1: 2}, "dict"), (object(), "object"), ([object()], "object"), ([b"x"], "bytes"),
        ([np.datetime64("2020")], "2020"), ([np.longdouble(1)], ""),
    ):  # fmt: skip
        refusal(
            ConversionError, lambda b, data=data: tn.asarray(data, backend=b), "no rectangular array of numbers", part
        )
    for data in (["1", "2"], [None, 1.0], [[1.0], [2.0, 3.0]]):
        refusal(ConversionError, lambda b, data=data: tn.asarray(data, dtype="float64", backend=b), "no rectangular")
    for array in (
        np.array(["a"]), np.array([None]), np.array([1], np.longdouble), np.zeros(2, [("a", "i4")]),
        np.array(["2020"], "datetime64[D]"),
    ):  # fmt: skip
        refusal(DTypeError, lambda b, array=array: tn.asarray(array, backend=b), "is no data type")
    for dtype in ("float63", "object", object, str, "datetime64"):
        refusal(DTypeError, lambda b, dtype=dtype: tn.asarray([1], dtype=dtype, backend=b), "is no data type")


def test_literals_keep_their_numbers_or_are_refused() -> None:
    for data in ([2**63], [1, 2**63], 2**70, [[1], [-(2**64)]]):
        refusal(DTypeError, lambda b, data=data: tn.asarray(data, backend=b), "does not fit into int64")
    for value in (math.nan, math.inf):
        refusal(DTypeError, lambda b, v=value: tn.asarray([1.0, v], dtype="int64", backend=b), str(value), "int64")
        refusal(DTypeError, lambda b, v=value: tn.full((2,), v, dtype="int8", backend=b), str(value), "int8")
    refusal(DTypeError, lambda b: tn.asarray([1j], dtype="float64", backend=b), "complex", "float64")
    for b in installed():
        same(tn.asarray([1, 2**64 - 1], dtype="uint64", backend=b), np.array([1, 2**64 - 1], np.uint64))
        same(tn.asarray([2**62, 1], backend=b), np.array([2**62, 1]))
        assert float(tn.asarray([2**70, 1], dtype="float64", backend=b)[0]) == 2.0**70
        same(tn.asarray([True, False], backend=b), np.array([True, False]))


@pytest.mark.parametrize("dtype", ["uint64", "int64", "uint32", "int32"])
def test_the_greatest_integer_rounded_to_a_float_is_cast_to_itself(backend: str, dtype: str) -> None:
    """Which the standard's suite draws as a number in range; frameworks wrap, saturate or make zero of it."""
    most = np.iinfo(dtype).max
    t = tn.asarray(native(backend, np.array([1.5, float(most)], "float32")))
    assert values(tn.astype(t, dtype)).tolist() == [1, most]
