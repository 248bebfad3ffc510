"""Basic, boolean, integer-array and mixed keys, read and assigned, mean what they mean in NumPy, on every backend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from across import refusal, values
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import tensoria as tn
from tensoria.errors import BackendError, DTypeError, ModeError, PositionError, ShapeError

from .drawn import agree, tensor, wide

SLICES = st.builds(
    slice,
    st.one_of(st.none(), st.integers(-6, 6)),
    st.one_of(st.none(), st.integers(-6, 6)),
    st.one_of(st.none(), st.sampled_from([1, 2, 3, -1, -2, -5])),
)
SIDES = st.lists(st.integers(0, 4), min_size=0, max_size=4).map(tuple)
FORMS = ("tensor", "array", "list")


@st.composite
def keys(draw: Any, shape: tuple[int, ...], legal: bool = True) -> tuple[Any, ...]:
    """A key with any parts for an array of a shape; not always one that it has, unless `legal`."""
    parts: list[Any] = []
    axis, dots = 0, False
    common = draw(st.sampled_from([(), (1,), (2,), (3,), (2, 1), (2, 3), (0,)]))
    while axis < len(shape):
        size = shape[axis]
        kind = draw(st.sampled_from(["int", "slice", "slice", "none", "dots", "mask", "flag", "array", "array", "end"]))
        if kind == "end":
            break
        if kind == "none":
            parts.append(None)
            axis += draw(st.booleans())  # so that drawing ends
        elif kind == "dots" and not dots:
            parts.append(...)
            axis += draw(st.integers(0, len(shape) - axis))
            dots = True
        elif kind == "flag":
            parts.append(draw(st.booleans()))
            axis += draw(st.booleans())
        elif kind == "mask":
            covered = draw(st.integers(1, min(2, len(shape) - axis)))
            sizes = shape[axis : axis + covered]
            count = int(np.prod(sizes))
            bits = draw(st.lists(st.booleans(), min_size=count, max_size=count))
            parts.append(np.array(bits, dtype=bool).reshape(sizes))
            axis += covered
        elif kind == "slice":
            parts.append(draw(SLICES))
            axis += 1
        else:
            if legal and size == 0:
                parts.append(slice(None))
                axis += 1
                continue
            places = st.integers(-size, size - 1) if legal else st.integers(-5, 5)
            if kind == "int":
                parts.append(draw(places))
            else:
                ones = draw(st.sampled_from([common, common, tuple(1 for _ in common)]))
                count = int(np.prod(ones))
                flat = draw(st.lists(places, min_size=count, max_size=count))
                parts.append(np.array(flat, dtype=draw(st.sampled_from(["int64", "int32"]))).reshape(ones))
            axis += 1
    return tuple(parts)


def shown(backend: str, key: tuple[Any, ...], form: str) -> Any:
    """The key with its arrays in one of the forms in which users write them."""
    if form == "array":
        parts = key
    elif form == "list":
        parts = tuple(p.tolist() if isinstance(p, np.ndarray) and p.ndim and p.size else p for p in key)
    else:
        parts = tuple(tensor(backend, p) if isinstance(p, np.ndarray) else p for p in key)
    return parts[0] if len(parts) == 1 and parts[0] is not None else parts


def numbered(shape: tuple[int, ...], dtype: str = "float64") -> np.ndarray[Any, Any]:
    return np.arange(int(np.prod(shape))).reshape(shape).astype(dtype)


@settings(max_examples=250)
@given(data=st.data(), shape=SIDES, form=st.sampled_from(FORMS))
def test_any_key_selects_what_it_selects_in_numpy(backend: str, data: Any, shape: tuple[int, ...], form: str) -> None:
    x = numbered(shape)
    key = data.draw(keys(shape))
    agree(lambda: tensor(backend, x)[shown(backend, key, form)], lambda: x[key])


@settings(max_examples=100)
@given(data=st.data(), shape=SIDES)
def test_a_key_that_numpy_refuses_is_refused(backend: str, data: Any, shape: tuple[int, ...]) -> None:
    x = numbered(shape)
    key = data.draw(keys(shape, legal=False))
    error = agree(lambda: tensor(backend, x)[shown(backend, key, "tensor")], lambda: x[key])
    assert error is None or isinstance(error, PositionError)


def assigned(backend: str, x: Any, key: Any, value: Any) -> tn.Tensor:
    t = tensor(backend, x)
    t[key] = value
    return t


def changed(x: Any, key: Any, value: Any) -> Any:
    x = x.copy()
    x[key] = value
    return x


@settings(max_examples=250)
@given(data=st.data(), shape=SIDES, dtype=st.sampled_from(["float64", "int32", "bool", "uint16"]))
def test_any_key_takes_what_it_takes_in_numpy(backend: str, data: Any, shape: tuple[int, ...], dtype: str) -> None:
    x = numbered(shape, dtype)
    key = data.draw(keys(shape))
    try:
        place = x[key].shape
    except IndexError:
        assume(False)
    kept = data.draw(st.integers(0, len(place)))
    sizes = tuple(data.draw(st.sampled_from([size, 1])) for size in place[len(place) - kept :])
    value = (np.arange(int(np.prod(sizes))).reshape(sizes) % 2 if dtype == "bool" else 100 + numbered(sizes)).astype(
        dtype
    )
    native = shown(backend, key, data.draw(st.sampled_from(FORMS)))
    agree(lambda: assigned(backend, x, native, tensor(backend, value)), lambda: changed(x, key, value))
    one = value.reshape(-1)[:1]
    if one.size:
        agree(lambda: assigned(backend, x, native, one[0].item()), lambda: changed(x, key, one[0]))


@pytest.mark.parametrize("size", [5, 100_000])
def test_of_several_values_for_one_component_the_last_stays(backend: str, size: int) -> None:
    places = np.random.default_rng(0).integers(0, max(size // 10, 2), size)
    value = np.arange(size, dtype=np.float64)
    x = np.zeros(size)
    agree(
        lambda: assigned(backend, x, tensor(backend, places), tensor(backend, value)), lambda: changed(x, places, value)
    )
    rows = np.array([[0, 1], [1, 0], [0, 1]])
    y, of_rows = np.zeros((2, 2)), np.arange(12.0).reshape(3, 2, 2)
    agree(
        lambda: assigned(backend, y, tensor(backend, rows), tensor(backend, of_rows)), lambda: changed(y, rows, of_rows)
    )


@pytest.mark.parametrize("rank", [8, 9, 12, 16])
def test_keys_of_many_axes(backend: str, rank: int) -> None:
    x = numbered(wide(rank, 3))
    i = np.array([2, 0, 1, -1])
    for key in (
        0, -1, (..., -1), (slice(None, None, -1), ..., None, 0), (i, ...), (..., i), (i, ..., i), (0, ..., i),
        (slice(None),) * (rank // 2) + (i, None), (*(slice(None),) * (rank // 2), slice(None, None, -2), ..., i),
        x > 4, (None, ..., slice(2, None, -1)), (x.reshape(3, -1).any(1), ..., 1),
    ):  # fmt: skip
        parts = key if isinstance(key, tuple) else (key,)
        native = tuple(tensor(backend, p) if isinstance(p, np.ndarray) else p for p in parts)
        agree(lambda key=key, native=native: tensor(backend, x)[native], lambda key=key: x[key])
        value = -numbered(x[key].shape)
        agree(
            lambda key=key, native=native, value=value: assigned(backend, x, native, tensor(backend, value)),
            lambda key=key, value=value: changed(x, key, value),
        )


def test_arrays_apart_go_first_and_integers_count_among_them(backend: str) -> None:
    x = numbered((2, 3, 4, 5))
    i, j = np.array([[0], [1]]), np.array([3, 0, 1])
    for key in (
        (i, slice(None), j), (slice(None), i, j), (0, slice(None), j), (i, None, j), (..., i, j), (i, ..., 0),
        (slice(None), 0, slice(None), j), (slice(None), 0, j), (0, j), (True, j[:1]),
        (i[:, 0], True, slice(None), i[:, 0]),
    ):  # fmt: skip
        native = tuple(tensor(backend, p) if isinstance(p, np.ndarray) else p for p in key)
        agree(lambda key=key, native=native: tensor(backend, x)[native], lambda key=key: x[key])


def test_lists_and_arrays_of_any_integers_are_positions_not_masks(backend: str) -> None:
    x = numbered((3, 3))
    for dtype in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"):
        i = np.array([1, 0, 1], dtype)
        agree(lambda i=i: tensor(backend, x)[tensor(backend, i)], lambda i=i: x[i])
        agree(lambda i=i: tensor(backend, x)[i], lambda i=i: x[i])
    for key in ([[0, 1], [1, 2]], [], [True, False, True], [2], ([0, 1], [1, 2]), (slice(None), [0, 2])):
        agree(lambda key=key: tensor(backend, x)[key], lambda key=key: x[key])
    agree(lambda: tensor(backend, x)[tensor(backend, 1)], lambda: x[1])
    agree(lambda: tensor(backend, x)[tensor(backend, 1), [0, 2]], lambda: x[1, [0, 2]])


def test_values_are_promoted_and_leading_axes_of_length_one_do_not_count(backend: str) -> None:
    x = numbered((2, 3))
    agree(
        lambda: assigned(backend, x, 0, tensor(backend, np.ones((1, 1, 3)))), lambda: changed(x, 0, np.ones((1, 1, 3)))
    )
    agree(
        lambda: assigned(backend, x, [0], tensor(backend, np.ones((1, 1, 3)))),
        lambda: changed(x, [0], np.ones((1, 1, 3))),
    )
    # NumPy 2.4 refuses an array of one component for one component, though for no other place.
    agree(lambda: assigned(backend, x, (0, 1), tensor(backend, np.array([5]))), lambda: changed(x, (0, 1), 5))
    agree(lambda: assigned(backend, x, slice(None), [7, 8, 9]), lambda: changed(x, slice(None), [7, 8, 9]))


def test_what_selects_nothing_says_so_in_the_same_words() -> None:
    def get(key: Any) -> Any:
        return lambda b: tensor(b, numbered((2, 3)))[key(b) if callable(key) else key]

    for key, part in (
        (2, "position 2"), (-3, "axis 0 of size 2"), ((0, 3), "axis 1 of size 3"), ((0, 0, 0), "3 positions"),
        ((..., ...), "twice"), (slice(None, None, 0), "step"), (slice(0.5, None), "bound"), (1.5, "float 1.5"),
        (lambda b: {}, "dict"), ([0.5], "0.5"), ([[0, 1], [1]], "can not select"), ([2], "position 2"),
        ((slice(None), [0, -4]), "position -4"), (lambda b: tensor(b, np.array([1.0])), "float64"),
        (lambda b: tensor(b, np.array([True, False, True])), "mask"), (np.array(["a"]), "can not select"),
        (lambda b: (tensor(b, np.array([0, 1, 0])), tensor(b, np.array([0, 1]))), "do not broadcast"),
        (lambda b: (tensor(b, np.array([True, True])), [0, 1, 2]), "do not broadcast"),
    ):  # fmt: skip
        refusal(PositionError, get(key), part)
    refusal(ShapeError, lambda b: tensor(b, 1.0)[(None,) * 65], "65 axes")


def test_what_does_not_fit_a_place_says_so_in_the_same_words() -> None:
    def put(key: Any, value: Any, dtype: str = "float64") -> Any:
        return lambda b: assigned(b, numbered((2, 3), dtype), key, value(b) if callable(value) else value)

    refusal(ShapeError, put(0, lambda b: tensor(b, np.ones(2))), "(2,)", "(3,)")
    refusal(ShapeError, put([0, 1], lambda b: tensor(b, np.ones((2, 2)))), "(2, 2)", "(2, 3)")
    refusal(ShapeError, put(slice(None, None, -1), lambda b: tensor(b, np.ones((3, 3)))), "(3, 3)", "(2, 3)")
    refusal(PositionError, put(5, 1.0), "position 5")
    refusal(PositionError, put([0, 5], 1.0), "position 5")
    refusal(DTypeError, put(0, 1j), "complex128", "float64")
    refusal(DTypeError, put(0, 0.5, "int64"), "float64", "int64")
    refusal(DTypeError, put(0, 300, "uint8"), "300", "uint8")
    refusal(DTypeError, put(0, lambda b: tensor(b, np.ones(3)), "int32"), "float64", "int32")


def test_keys_and_values_of_another_backend_or_with_labels_are_refused(backend: str) -> None:
    other = "torch" if backend == "numpy" else "numpy"
    t, key = tensor(backend, numbered((2, 3))), tensor(other, np.array([0]))
    with pytest.raises(BackendError, match=other):
        t[key]
    with pytest.raises(BackendError, match=other):
        t[0] = tensor(other, np.ones(3))
    with pytest.raises(ModeError):
        t[tensor(backend, np.array([0]))["b"]]


def test_an_assignment_never_reaches_the_array_that_it_was_read_from_on_immutable_backends(backend: str) -> None:
    t = tensor(backend, numbered((2, 3)))
    before = values(t).copy()
    u = tn.asarray(t, copy=True)
    u[[0, 0]] = 5.0
    np.testing.assert_array_equal(values(t), before)
