"""The plain mode: a tensor without labels is an Array API array, the same on every backend."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from across import installed, native, needs_host_memory, refusal, values
from hypothesis import given, settings
from hypothesis import strategies as st

import tensoria as tn
from tensoria.discovery import get, home
from tensoria.errors import ConversionError, DTypeError, ModeError, ShapeError

INTS = ["int8", "int16", "int32", "int64", "uint8"]
FLOATS = ["float32", "float64"]
ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "//": operator.floordiv,
    "%": operator.mod, "**": operator.pow,
}  # fmt: skip
COMPARISON: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
BITWISE: dict[str, Callable[[Any, Any], Any]] = {
    "&": operator.and_, "|": operator.or_, "^": operator.xor, "<<": operator.lshift, ">>": operator.rshift,
}  # fmt: skip
INPLACE: dict[str, Callable[[Any, Any], Any]] = {
    "+=": operator.iadd, "-=": operator.isub, "*=": operator.imul, "/=": operator.itruediv, "//=": operator.ifloordiv,
    "%=": operator.imod, "**=": operator.ipow, "&=": operator.iand, "|=": operator.ior, "^=": operator.ixor,
    "<<=": operator.ilshift, ">>=": operator.irshift,
}  # fmt: skip


def plain(backend: str, data: Any, dtype: str | None = None) -> tn.Tensor:
    return tn.asarray(native(backend, data, dtype))


# -- operators --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("symbol", [*ARITHMETIC, *COMPARISON])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
def test_operators_broadcast_like_numpys(backend: str, symbol: str, dtype: str) -> None:
    if symbol == "/" and dtype.startswith("int"):
        return  # the standard leaves the division of integers open
    call = {**ARITHMETIC, **COMPARISON}[symbol]
    x = np.arange(1, 7).reshape(2, 1, 3).astype(dtype)
    y = np.array([[3], [2]]).astype(dtype)
    got = call(plain(backend, x), plain(backend, y))
    assert not got.is_labelled
    want = call(x, y)
    assert got.dtype.name == want.dtype.name
    np.testing.assert_allclose(values(got), want, rtol=1e-6)


@pytest.mark.parametrize("symbol", BITWISE)
def test_bitwise_operators(backend: str, symbol: str) -> None:
    call = BITWISE[symbol]
    x, y = np.array([5, 6, 12]), np.array([1, 3, 2])
    np.testing.assert_array_equal(values(call(plain(backend, x), plain(backend, y))), call(x, y))
    np.testing.assert_array_equal(values(call(plain(backend, x), 2)), call(x, 2))
    np.testing.assert_array_equal(values(call(9, plain(backend, y))), call(9, y))
    if symbol in "&|^":
        p, q = np.array([True, True, False]), np.array([True, False, False])
        np.testing.assert_array_equal(values(call(plain(backend, p), plain(backend, q))), call(p, q))


def test_unary_operators(backend: str) -> None:
    x = np.array([-1.5, 2.0])
    t = plain(backend, x)
    np.testing.assert_array_equal(values(-t), -x)
    np.testing.assert_array_equal(values(+t), x)
    np.testing.assert_array_equal(values(abs(t)), abs(x))
    np.testing.assert_array_equal(values(~plain(backend, [1, -3])), [~1, ~-3])
    np.testing.assert_array_equal(values(~plain(backend, [True, False])), [False, True])
    np.testing.assert_allclose(values(abs(plain(backend, [3 + 4j]))), [5])


@pytest.mark.parametrize("symbol", [*ARITHMETIC, *COMPARISON])
@pytest.mark.parametrize("number", [2, 2.0, np.float64(2), np.int64(2), np.float32(2)], ids=repr)
def test_numbers_stand_on_either_side_and_keep_the_data_type(backend: str, symbol: str, number: Any) -> None:
    call = {**ARITHMETIC, **COMPARISON}[symbol]
    x = np.array([[1.0, 2.0], [3.0, 5.0]], np.float32)
    t = plain(backend, x)
    for got, want in ((call(t, number), call(x, float(number))), (call(number, t), call(float(number), x))):
        assert isinstance(got, tn.Tensor)
        assert got.dtype.name == ("bool" if symbol in COMPARISON else "float32")
        np.testing.assert_allclose(values(got), want, rtol=1e-6)


@pytest.mark.parametrize("dtype", INTS)
def test_whole_numbers_keep_the_data_type_of_integers(backend: str, dtype: str) -> None:
    t = plain(backend, [1, 2, 3], dtype)
    for got in (t + 1, 1 + t, t * 2, t - 1, t // 2, t % 2, t**2):
        assert got.dtype.name == dtype


def test_numbers_that_do_not_promote_are_refused() -> None:
    refusal(DTypeError, lambda b: plain(b, [1, 2]) + 0.5, "0.5", "int64", "Legal:")
    refusal(DTypeError, lambda b: plain(b, [1, 2]) * 1j, "int64", "Legal:")
    refusal(DTypeError, lambda b: plain(b, [True]) + 1.5, "bool", "Legal:")
    refusal(DTypeError, lambda b: plain(b, [1, 2]) + plain(b, [0.5, 1.0]), "int64", "float64", "Legal:")


@pytest.mark.parametrize("first", INTS + FLOATS)
@pytest.mark.parametrize("second", INTS + FLOATS)
def test_promotion_follows_the_standards_table(backend: str, first: str, second: str) -> None:
    x, y = plain(backend, [1, 2], first), plain(backend, [3, 4], second)
    if (first in FLOATS) != (second in FLOATS):
        with pytest.raises(DTypeError):
            x + y
        return
    want = np.result_type(np.dtype(first), np.dtype(second)).name
    for got in (x + y, x * y, x - y, plain(backend, 1, first) + y, x + plain(backend, 1, second)):
        assert got.dtype.name == want
    assert (x < y).dtype.name == "bool"


def test_small_integers_wrap_around(backend: str) -> None:
    for dtype in INTS:
        most = np.iinfo(dtype).max
        with np.errstate(over="ignore"):
            want = np.array([most], dtype) + np.array([1], dtype)
        np.testing.assert_array_equal(values(plain(backend, [most], dtype) + plain(backend, [1], dtype)), want)


def test_floor_division_and_remainder_round_down(backend: str) -> None:
    for x, y in (([7, -7, 7, -7], [2, 2, -2, -2]), ([7.5, -7.5, 7.5, -7.5], [2.0, 2.0, -2.0, -2.0])):
        t, u = plain(backend, x), plain(backend, y)
        np.testing.assert_array_equal(values(t // u), np.floor_divide(x, y))
        np.testing.assert_array_equal(values(t % u), np.mod(x, y))


def test_matmul_broadcasts_stacks(backend: str) -> None:
    rng = np.random.default_rng(0)
    for first, second in [((2, 3), (3, 4)), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((5, 1, 2, 3), (4, 3, 2))]:
        x, y = rng.normal(size=first), rng.normal(size=second)
        np.testing.assert_allclose(values(plain(backend, x) @ plain(backend, y)), x @ y)


@pytest.mark.parametrize("symbol", ["+", "*", "<", "/"])
def test_shapes_that_do_not_broadcast_are_shape_errors(symbol: str) -> None:
    call = {**ARITHMETIC, **COMPARISON}[symbol]
    refusal(ShapeError, lambda b: call(plain(b, np.ones(2)), plain(b, np.ones(3))), "2", "3")


def test_shapes_that_do_not_multiply_are_shape_errors() -> None:
    refusal(ShapeError, lambda b: plain(b, np.ones((2, 3))) @ plain(b, np.ones((2, 3))), "2", "3")
    refusal(ShapeError, lambda b: plain(b, 1.0) @ plain(b, 1.0))


def test_what_is_no_number_and_no_tensor_is_not_operated_on(backend: str) -> None:
    t = plain(backend, [1.0, 2.0])
    for other in ("x", None, [1.0, 2.0], object(), np.ones(2)):
        for call in (operator.add, operator.mul, operator.lt, operator.pow, operator.matmul):
            with pytest.raises(TypeError):
                call(t, other)
            with pytest.raises(TypeError):
                call(other, t)
    assert (t == None) is False  # noqa: E711
    assert (t != "x") is True


# -- in place ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("symbol", INPLACE)
def test_operators_in_place_keep_the_tensor_and_its_data_type(backend: str, symbol: str) -> None:
    integral = symbol not in ("/=",)
    x, y = (
        (np.array([5, 6, 7]), np.array([1, 2, 3])) if integral else (np.array([5.0, 6.0, 7.0]), np.array([1.0, 2, 4]))
    )
    plain_symbol = {**ARITHMETIC, **BITWISE}[symbol[:-1]]
    for other, number in ((plain(backend, y), y), (2, 2)):
        t = plain(backend, x)
        before = t
        t = INPLACE[symbol](t, other)
        assert t is before
        assert t.dtype.name == x.dtype.name
        np.testing.assert_allclose(values(t), plain_symbol(x, number))


@pytest.mark.parametrize("symbol", [x for x in INPLACE if x not in ("/=",)])
def test_operators_in_place_never_change_the_data_type(symbol: str) -> None:
    call = INPLACE[symbol]
    refusal(
        ModeError,
        lambda b: call(plain(b, [1, 2], "int8"), plain(b, [1, 2], "int32")),
        symbol,
        "int8",
        "int32",
        "Legal:",
    )


def test_operators_in_place_never_change_shape_or_kind() -> None:
    def broadcast(b: str) -> Any:
        t = plain(b, np.ones(3))
        t += plain(b, np.ones((2, 3)))
        return t

    def compose(b: str) -> Any:
        V, W = tn.Space("V", 2), tn.Space("W", 2)
        t = tn.tensor(native(b, np.eye(2)), "^i _j", i=V, j=W)
        t @= tn.tensor(native(b, np.eye(2)), "^j _i", j=W, i=V)
        return t

    refusal(ModeError, broadcast, "+=", "(3,)", "(2, 3)", "Legal:")
    refusal(ModeError, compose, "@=", "^i _j", "Legal:")


def test_matmul_in_place_keeps_the_tensor(backend: str) -> None:
    x = np.arange(4.0).reshape(2, 2)
    t = plain(backend, x)
    before = t
    t @= plain(backend, x)
    assert t is before
    np.testing.assert_allclose(values(t), x @ x)


def test_operators_in_place_leave_other_tensors_alone(backend: str) -> None:
    t = plain(backend, [1.0, 2.0])
    u = t + 0
    v = tn.Tensor(t.array)
    t += 1
    np.testing.assert_array_equal(values(u), [1, 2])
    assert v.shape == (2,)


# -- indexing ---------------------------------------------------------------------------------------------------------

CUBE = np.arange(24.0).reshape(2, 3, 4)


@st.composite
def basic_keys(draw: st.DrawFn) -> Any:
    parts: list[Any] = []
    for size in CUBE.shape[: draw(st.integers(0, 3))]:
        parts.append(
            draw(
                st.one_of(
                    st.integers(-size, size - 1),
                    st.slices(size),
                    st.just(slice(None)),
                )
            )
        )
    if draw(st.booleans()):
        parts.insert(draw(st.integers(0, len(parts))), None)
    if len([x for x in parts if x is not None]) < 3 and draw(st.booleans()):
        parts.append(...)
    return tuple(parts) if len(parts) != 1 or draw(st.booleans()) else parts[0]


@given(key=basic_keys())
@settings(max_examples=150)
def test_basic_indexing_is_numpys(backend: str, key: Any) -> None:
    np.testing.assert_array_equal(values(plain(backend, CUBE)[key]), CUBE[key])


@given(key=basic_keys(), number=st.booleans())
@settings(max_examples=150)
def test_basic_assignment_is_numpys(backend: str, key: Any, number: bool) -> None:
    want = CUBE.copy()
    value = 7.0 if number else np.arange(want[key].size).reshape(want[key].shape) + 100.0
    t = plain(backend, CUBE)
    t[key] = value if number else plain(backend, value)
    want[key] = value
    np.testing.assert_array_equal(values(t), want)


def test_masks_select_and_assign(backend: str) -> None:
    mask = CUBE > 10
    t = plain(backend, CUBE)
    np.testing.assert_array_equal(values(t[plain(backend, mask)]), CUBE[mask])
    np.testing.assert_array_equal(values(t[t > 10]), CUBE[mask])
    t[plain(backend, mask)] = -1.0
    np.testing.assert_array_equal(values(t), np.where(mask, -1, CUBE))
    u = plain(backend, CUBE)
    u[plain(backend, mask)] = plain(backend, np.arange(float(mask.sum())))
    want = CUBE.copy()
    want[mask] = np.arange(mask.sum())
    np.testing.assert_array_equal(values(u), want)


def test_integer_arrays_gather(backend: str) -> None:
    rows, columns = np.array([1, 0, 1]), np.array([2, 0, -1])
    t = plain(backend, CUBE)
    np.testing.assert_array_equal(values(t[plain(backend, rows)]), CUBE[rows])
    np.testing.assert_array_equal(values(t[plain(backend, rows), plain(backend, columns)]), CUBE[rows, columns])
    np.testing.assert_array_equal(values(t[plain(backend, rows), 1]), CUBE[rows, 1])


def test_a_tensor_without_axes_is_a_position(backend: str) -> None:
    t = plain(backend, CUBE)
    np.testing.assert_array_equal(values(t[plain(backend, 1)]), CUBE[1])
    np.testing.assert_array_equal(values(t[..., plain(backend, -1)]), CUBE[..., -1])


def test_a_tensor_without_axes_can_be_assigned(backend: str) -> None:
    for t in (
        plain(backend, 3.0),
        plain(backend, [1.0, 2.0])[0],
        tn.einsum("i,i->", plain(backend, [1.0]), plain(backend, [3.0])),
    ):
        t[()] = 5.0
        assert float(t) == 5
        t[...] = 6.0
        assert float(t) == 6


def test_assignment_casts_to_the_tensors_data_type_and_broadcasts(backend: str) -> None:
    t = plain(backend, np.zeros((2, 3), np.float32))
    t[:, 1] = plain(backend, [5.0, 6.0])
    assert t.dtype.name == "float32"
    t[1] = np.float64(2.5)
    np.testing.assert_array_equal(values(t), [[0, 5, 0], [2.5, 2.5, 2.5]])


def test_assignment_never_drops_a_part_of_the_value() -> None:
    """A fraction into integers, an imaginary part into real numbers: refused, where NumPy truncates silently."""

    def assign(b: str, dtype: str, value: Callable[[str], Any]) -> None:
        t = plain(b, [1, 2], dtype)
        t[0] = value(b)

    for dtype, number in (("int64", 2.5), ("float64", 1j), ("int32", 1j)):
        refusal(DTypeError, lambda b, dtype=dtype, number=number: assign(b, dtype, lambda b: number), dtype)
        refusal(DTypeError, lambda b, dtype=dtype, number=number: assign(b, dtype, lambda b: plain(b, number)), dtype)


def test_assignment_leaves_read_only_memory_alone() -> None:
    data = np.zeros(3)
    data.setflags(write=False)
    t = tn.asarray(data)
    t[0] = 1.0
    np.testing.assert_array_equal(values(t), [1, 0, 0])
    np.testing.assert_array_equal(data, 0)


def test_positions_out_of_range_are_index_errors(backend: str) -> None:
    t = plain(backend, CUBE)
    for key in (2, -3, (0, 3), (0, 0, 0, 0)):
        with pytest.raises(IndexError):
            t[key]
        with pytest.raises(IndexError):
            t[key] = 1.0


def test_a_labelled_key_or_value_is_refused() -> None:
    def assign(b: str) -> None:
        t = plain(b, np.zeros(2))
        t[:] = tn.tensor(native(b, [1.0, 2.0]), ["n"])

    refusal(ModeError, assign, "n", "Legal:", "components")
    refusal(ModeError, lambda b: plain(b, np.zeros(2))[tn.tensor(native(b, [True, False]), ["n"])], "n", "Legal:")


# -- numbers ----------------------------------------------------------------------------------------------------------


def test_a_tensor_without_axes_is_a_number(backend: str) -> None:
    assert float(plain(backend, 1.5)) == 1.5
    assert float(plain(backend, 2)) == 2.0
    assert int(plain(backend, 7)) == 7
    assert int(plain(backend, -1.9)) == -1
    assert complex(plain(backend, 1 + 2j)) == 1 + 2j
    assert bool(plain(backend, True)) is True
    assert bool(plain(backend, 0.0)) is False
    assert operator.index(plain(backend, 3, "int8")) == 3
    assert [10, 20, 30][plain(backend, 1)] == 20
    assert type(float(plain(backend, 1.5))) is float


def test_other_tensors_are_no_numbers() -> None:
    refusal(ConversionError, lambda b: float(plain(b, [1.0])), "float()", "(1,)")
    refusal(ConversionError, lambda b: bool(plain(b, [])), "bool()", "(0,)")
    refusal(ConversionError, lambda b: int(plain(b, [[1]])), "int()", "(1, 1)")
    refusal(ConversionError, lambda b: operator.index(plain(b, 1.0)), "float64")
    refusal(ConversionError, lambda b: [1, 2][plain(b, True)], "bool")
    refusal(ConversionError, lambda b: len(plain(b, 1.0)), "length")


def test_complex_numbers_are_no_real_ones(backend: str) -> None:
    with pytest.raises(TypeError):
        float(plain(backend, 1 + 2j))
    with pytest.raises(TypeError):
        int(plain(backend, 1 + 2j))


def test_tensors_iterate_over_their_first_axis(backend: str) -> None:
    t = plain(backend, [[1.0, 2.0], [3.0, 4.0]])
    assert len(t) == 2
    rows = list(t)
    assert all(isinstance(row, tn.Tensor) for row in rows)
    np.testing.assert_array_equal(np.stack([values(row) for row in rows]), values(t))
    first, second = plain(backend, [1.0, 2.0])
    assert float(first) + float(second) == 3
    with pytest.raises(TypeError):
        iter(plain(backend, 1.0)).__next__()


def test_tensors_are_not_hashable(backend: str) -> None:
    with pytest.raises(TypeError):
        hash(plain(backend, [1.0]))


def test_attributes(backend: str) -> None:
    t = plain(backend, CUBE)
    assert t.shape == (2, 3, 4)
    assert t.ndim == 3
    assert t.size == 24
    assert t.device == (home(get(backend)) or "cpu")
    assert t.dtype is tn.dtype("float64")
    assert t.names == ()
    assert t.indices == ()
    assert plain(backend, 1.0).size == 1


# -- conversions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8", "bool", "complex64"])
def test_numpy_takes_a_plain_tensor(backend: str, dtype: str) -> None:
    x = np.array([[0, 1], [1, 0]]).astype(dtype)
    got = np.asarray(plain(backend, x))
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, x)
    np.testing.assert_array_equal(np.array(plain(backend, x), dtype=np.complex128), x)
    np.testing.assert_allclose(plain(backend, x), x)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8"])
def test_dlpack_gives_the_same_numbers(backend: str, dtype: str) -> None:
    needs_host_memory(backend)
    x = np.arange(6).reshape(2, 3).astype(dtype)
    t = plain(backend, x)
    assert t.__dlpack_device__()[0] == 1  # kDLCPU
    got = np.from_dlpack(t)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, x)


def test_numpys_functions_point_to_ours(backend: str) -> None:
    t = plain(backend, [1.0, 2.0])
    with pytest.raises(ConversionError, match=r"tn\.sin\(t\)"):
        np.sin(t)
    with pytest.raises(ConversionError, match="Legal"):
        np.add(np.ones(2), t)


def test_what_is_no_native_array_is_no_tensor() -> None:
    for bad in ([1.0], 1.0, "x", None):
        with pytest.raises(ConversionError, match="asarray"):
            tn.Tensor(bad)


def test_the_array_namespace_is_that_of_the_backend(backend: str) -> None:
    namespace = plain(backend, [1.0]).__array_namespace__()
    got = namespace.sum(plain(backend, [1.0, 2.0]))
    assert isinstance(got, tn.Tensor)
    assert float(got) == 3


def test_every_backend_is_tested() -> None:
    assert "numpy" in installed()


def test_complex_numbers_divided_by_zero_and_zeros_to_powers_are_numpys(backend: str) -> None:
    z = np.array([complex(a, b) for a in (0.0, -0.0, 1.0, -2.0) for b in (0.0, 1.0, -3.0)])
    zeros = np.array([complex(a, b) for a in (0.0, -0.0) for b in (0.0, -0.0)])
    x, y = tn.asarray(native(backend, z)), tn.asarray(native(backend, zeros))
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(values(x[:, None] / y), z[:, None] / zeros)
        np.testing.assert_array_equal(values(tn.divide(1.0, y)), 1.0 / zeros)
        np.testing.assert_array_equal(values(y[:, None] ** x), zeros[:, None] ** z)
        np.testing.assert_array_equal(values(tn.pow(x[:, None], y)), z[:, None] ** zeros)


def test_complex_quotients_and_powers_keep_their_derivatives_beside_zeros(backend: str) -> None:
    z, w = tn.asarray(native(backend, [0j, 1 + 1j, 2 - 1j])), tn.asarray(native(backend, [2 + 0j, 0j, 1 - 1j]))
    by_z, by_w = tn.grad(lambda z, w: tn.sum(z**w), (0, 1))(z, w)
    np.testing.assert_allclose(values(by_z), [0, 0, (1 - 1j) * (2 - 1j) ** (-1j)], atol=1e-15)
    np.testing.assert_allclose(values(by_w)[1:], [np.log(1 + 1j), (2 - 1j) ** (1 - 1j) * np.log(2 - 1j)], rtol=1e-13)
    np.testing.assert_allclose(values(tn.grad(lambda z: tn.sum(z / w[0]))(z)), [0.5, 0.5, 0.5])


def test_the_sign_of_a_determinant_that_is_not_a_number_is_none(backend: str) -> None:
    stack = np.stack([np.full((2, 2), np.nan), np.diag([2.0, -3.0])])
    with np.errstate(invalid="ignore"):
        sign, logarithm = tn.linalg.slogdet(tn.asarray(native(backend, stack)))
    np.testing.assert_allclose(values(sign), [np.nan, -1])
    np.testing.assert_allclose(values(logarithm), [np.nan, np.log(6)])
