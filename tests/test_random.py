"""Random numbers: the same bits from the same key on every backend; labels, refusals."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from across import installed, refusal, values
from draws import DRAWS, MASK, NORMAL, SEED, P, bits_of
from hypothesis import given
from hypothesis import strategies as st

import tensoria as tn
from tensoria import random
from tensoria.discovery import get
from tensoria.dtypes import DType, int32, int64, uint32
from tensoria.errors import (
    AxisError,
    BackendError,
    BasisError,
    ConversionError,
    DomainError,
    DTypeError,
    ModeError,
    ShapeError,
    TensoriaError,
)
from tensoria.random.keys import DRAW, block, opened
from tensoria.random.threefry import threefry2x32
from tensoria.random.words import as_words, cast

# -- the generator ----------------------------------------------------------------------------------------------------


def reference(key: tuple[int, int], counter: tuple[int, int]) -> tuple[int, int]:
    """Threefry-2x32-20 in Python's integers, from the paper's description."""
    keys = (*key, key[0] ^ key[1] ^ 0x1BD11BDA)
    x, y = (counter[0] + keys[0]) & MASK, (counter[1] + keys[1]) & MASK
    for n in range(20):
        r = (13, 15, 26, 6, 17, 29, 16, 24)[n % 8]
        x = (x + y) & MASK
        y = ((y << r | y >> (32 - r)) & MASK) ^ x
        if n % 4 == 3:
            s = n // 4 + 1
            x, y = (x + keys[s % 3]) & MASK, (y + keys[(s + 1) % 3] + s) & MASK
    return x, y


KNOWN = [
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((MASK, MASK), (MASK, MASK), (0x1CB996FC, 0xBB002BE7)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
]
"""Key, counter, result: the lines `threefry2x32 20` of tests/kat_vectors of Random123 (D. E. Shaw Research)."""


def encrypted(name: str, key: tuple[int, int], counters: list[tuple[int, int]]) -> list[tuple[int, int]]:
    backend = get(name)

    def words(numbers: list[int]) -> Any:
        return as_words(backend, backend.asarray(np.array(numbers, "uint32"), None, None, True))

    found = threefry2x32(
        backend,
        [words([word]) for word in key],
        [words([counter[n] for counter in counters]) for n in (0, 1)],
    )
    first, second = (backend.to_numpy(cast(backend, x, uint32)).tolist() for x in found)
    return list(zip(first, second, strict=True))


@pytest.mark.parametrize(("key", "counter", "expected"), KNOWN)
def test_threefry_gives_the_published_vectors(
    backend: str, key: tuple[int, int], counter: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert reference(key, counter) == expected
    assert encrypted(backend, key, [counter]) == [expected]


@pytest.mark.parametrize("word", [uint32, int32, int64], ids=str)
@given(words=st.lists(st.integers(0, MASK), min_size=6, max_size=6))
def test_threefry_is_the_same_in_whichever_type_its_words_are(word: DType, words: list[int]) -> None:
    key, counters = (words[0], words[1]), [(words[2], words[3]), (words[4], words[5])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(get("numpy")), "word", word)
        assert encrypted("numpy", key, counters) == [reference(key, counter) for counter in counters]


@pytest.mark.parametrize("word", [int32, int64], ids=str)
@pytest.mark.parametrize("name", DRAWS)
def test_a_draw_is_the_same_in_whichever_type_its_words_are(name: str, word: DType) -> None:
    expected = bits_of(DRAWS[name](random.key(SEED)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(get("numpy")), "word", word)
        assert bits_of(DRAWS[name](random.key(SEED))) == expected


def test_counters_pass_two_to_the_thirty_second(backend: str) -> None:
    found, key = opened(random.key(7, backend=backend))
    first = 2**32 - 2
    drawn = [found.to_numpy(cast(found, x, uint32)) for x in block(found, key, DRAW, 4, first)]
    expected = [reference((0, 7), ((first + n) & MASK, (first + n) >> 32)) for n in range(4)]
    assert list(zip(*(x.tolist() for x in drawn), strict=True)) == expected


# -- the same everywhere ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DRAWS)
def test_a_key_draws_the_same_bits_on_every_backend(name: str, backend: str) -> None:
    here = DRAWS[name](random.key(SEED, backend=backend))
    assert here.backend == backend
    assert bits_of(here) == bits_of(DRAWS[name](random.key(SEED)))


@pytest.mark.parametrize("name", NORMAL)
def test_a_key_draws_the_same_normal_numbers_but_for_an_ulp(name: str, backend: str) -> None:
    """The chance that one of these differs at all is 1e-5; were one to, its bound is one ulp of the largest."""
    here, there = (values(NORMAL[name](random.key(SEED, backend=b))) for b in (backend, "numpy"))
    assert here.dtype == there.dtype
    np.testing.assert_allclose(here, there, rtol=float(np.finfo(here.dtype).eps))


def native_bfloat16() -> list[str]:
    found = []
    for name in installed():
        try:
            get(name).native_dtype(tn.bfloat16)
        except DTypeError:
            continue
        found.append(name)
    return found


@pytest.mark.parametrize("interval", [(0, 1), (-1, 1), (0.1, 0.7), (1, 2)])
def test_bfloat16_is_drawn_where_there_is_one(interval: tuple[float, float]) -> None:
    low, high = interval
    drawn = [
        values(random.uniform(random.key(1, backend=b), 999, dtype="bfloat16", low=low, high=high))
        for b in native_bfloat16()
    ]
    for array in drawn:
        np.testing.assert_array_equal(array, drawn[0])
        assert random_rounded(low, 8) <= array.min()
        assert array.max() < random_rounded(high, 8)
        assert len(np.unique(array)) > 60
    refused = [name for name in installed() if name not in native_bfloat16()]
    for name in refused:
        with pytest.raises(DTypeError, match="has no data type bfloat16"):
            random.normal(random.key(1, backend=name), dtype="bfloat16")


def random_rounded(x: float, precision: int) -> float:
    """The nearest number of so many bits."""
    if not x:
        return 0.0
    unit = Fraction(2) ** (math.frexp(x)[1] - precision)
    return float(round(Fraction(x) / unit) * unit)


@given(st.integers(0, 2**64 - 1), st.integers(0, 40), st.integers(0, 40))
def test_the_first_components_are_the_same_however_many_are_drawn(seed: int, m: int, n: int) -> None:
    key = random.key(seed)
    m, n = min(m, n), max(m, n)
    for draw in (
        lambda shape: random.bits(key, shape),
        lambda shape: random.uniform(key, shape, dtype="float64"),
        lambda shape: random.normal(key, shape),
        lambda shape: random.integers(key, 0, 2**50, shape),
        lambda shape: random.choice(key, 5, shape, p=P),
    ):
        np.testing.assert_array_equal(values(draw((1, m))).ravel(), values(draw(n))[:m])
    np.testing.assert_array_equal(values(random.split(key, m)), values(random.split(key, n))[:m])


def test_other_keys_draw_other_numbers() -> None:
    key = random.key(0)
    keys = [key, *random.split(key, 3), *(random.fold_in(key, n) for n in (0, 1, 2**32, 2**63)), random.key(1)]
    drawn = np.stack([values(random.bits(k, 64)) for k in keys])
    assert len(np.unique(drawn)) == drawn.size


def test_numbers_folded_in_may_be_tensors(backend: str) -> None:
    key = random.key(3, backend=backend)
    numbers = tn.asarray(np.array([[0, 5], [2**40, -1]]), backend=backend)
    found = values(random.fold_in(key, numbers))
    assert found.shape == (2, 2, 2)
    for place, number in (((0, 0), 0), ((0, 1), 5), ((1, 0), 2**40), ((1, 1), 2**64 - 1)):
        np.testing.assert_array_equal(found[place], values(random.fold_in(key, number)))


def test_a_seed_is_its_two_halves(backend: str) -> None:
    key = random.key(2**64 - 2**32 + 7, backend=backend)
    assert (key.backend, key.dtype, values(key).tolist()) == (backend, tn.uint32, [MASK, 7])
    with tn.use(backend):
        assert random.key(0).backend == backend


# -- labels -----------------------------------------------------------------------------------------------------------


def test_a_named_axis_is_permuted(backend: str) -> None:
    V = tn.Space("V", 3)
    t = tn.tensor(np.arange(12.0).reshape(4, 3), "b ^v", v=V, backend=backend)
    key = random.key(0, backend=backend)
    permuted = random.permutation(key, t, axis="b")
    assert permuted.axes is t.axes
    order = values(random.permutation(key, 4))
    np.testing.assert_array_equal(values(permuted), values(t)[order])
    assert random.choice(key, t, 2, axis="b").shape == (2, 3)


# -- refusals ---------------------------------------------------------------------------------------------------------


def labelled(backend: str, *arguments: Any) -> tn.Tensor:
    (i,) = tn.indices("i", tn.Space("V", 2))
    return tn.tensor([1.0, 2.0], [i], backend=backend)


def key(backend: str) -> tn.Tensor:
    return random.key(0, backend=backend)


REFUSED: dict[str, tuple[type[TensoriaError], Callable[[str], object], str]] = {
    "negative seed": (DomainError, lambda b: random.key(-1, backend=b), "[0, 2**64)"),
    "large seed": (DomainError, lambda b: random.key(2**64, backend=b), "[0, 2**64)"),
    "seed": (ConversionError, lambda b: random.key(1.0, backend=b), "a seed is an integer"),  # type: ignore[arg-type]
    "boolean seed": (ConversionError, lambda b: random.key(True, backend=b), "a seed is an integer"),
    "seed for a key": (ConversionError, lambda b: random.uniform(0), "tn.random.key(0)"),
    "two keys": (ShapeError, lambda b: random.uniform(random.split(key(b))), "(2,), not (2, 2)"),
    "floating key": (DTypeError, lambda b: random.bits(tn.asarray([1.0, 2.0], dtype="float64", backend=b)), "float64"),
    "labelled key": (ModeError, lambda b: random.bits(labelled(b)), "plain"),
    "negative size": (ShapeError, lambda b: random.uniform(key(b), (2, -1)), "(2, -1)"),
    "size": (ConversionError, lambda b: random.uniform(key(b), 2.0), "a size"),
    "uniform integers": (DTypeError, lambda b: random.uniform(key(b), dtype="int32"), "float16, bfloat16"),
    "uniform complex": (DTypeError, lambda b: random.uniform(key(b), dtype="complex64"), "complex64"),
    "bits": (DTypeError, lambda b: random.bits(key(b), dtype="int32"), "uint8, uint16, uint32, uint64"),
    "empty interval": (DomainError, lambda b: random.uniform(key(b), low=1, high=1), "low must be smaller"),
    "interval too narrow": (
        DomainError,
        lambda b: random.uniform(key(b), low=1, high=1 + 1e-9),
        "no float32 lies in",
    ),
    "interval near zero": (DomainError, lambda b: random.uniform(key(b), low=1e-30, high=1), "too near zero"),
    "wide interval": (DomainError, lambda b: random.uniform(key(b), low=-3e38, high=3e38), "too wide"),
    "infinite bound": (DomainError, lambda b: random.uniform(key(b), high=math.inf), "high is a finite number"),
    "bound": (ConversionError, lambda b: random.uniform(key(b), low=1j), "low is a real"),  # type: ignore[arg-type]
    "negative deviation": (DomainError, lambda b: random.normal(key(b), std=-1), "standard deviation"),
    "mean": (DomainError, lambda b: random.normal(key(b), mean=math.nan), "mean is a finite number"),
    "complex mean": (ConversionError, lambda b: random.normal(key(b), mean=1j), "mean is a real number"),
    "no integers": (DomainError, lambda b: random.integers(key(b), 3, 3), "no integer lies in [3, 3)"),
    "bound of integers": (ConversionError, lambda b: random.integers(key(b), 0, 2.5), "high"),  # type: ignore[arg-type]
    "too large for int8": (DomainError, lambda b: random.integers(key(b), 0, 129, dtype="int8"), "[-128, 128)"),
    "negative for uint8": (DomainError, lambda b: random.integers(key(b), -1, 5, dtype="uint8"), "[0, 256)"),
    "floating integers": (DTypeError, lambda b: random.integers(key(b), 0, 5, dtype="float32"), "float32"),
    "permutation": (DomainError, lambda b: random.permutation(key(b), -1), "negative"),
    "permuted number": (AxisError, lambda b: random.permutation(key(b), tn.asarray(1.0, backend=b)), "without axes"),
    "permutation of an index": (BasisError, lambda b: random.permutation(key(b), labelled(b), axis="i"), "permutation"),
    "no axis": (AxisError, lambda b: random.permutation(key(b), tn.zeros((2, 2), backend=b), axis=2), "axis 2"),
    "axis of a number": (AxisError, lambda b: random.permutation(key(b), 5, axis=1), "they have one"),
    "choice from nothing": (DomainError, lambda b: random.choice(key(b), 0), "nothing"),
    "too many": (DomainError, lambda b: random.choice(key(b), 3, 4, replace=False), "4 out of 3"),
    "too few positive": (
        DomainError, lambda b: random.choice(key(b), 3, 3, p=[1.0, 0.0, 1.0], replace=False), "2 of the weights",
    ),
    "negative weight": (DomainError, lambda b: random.choice(key(b), 2, p=[1.0, -1.0]), "not negative"),
    "weights of zero": (
        DomainError, lambda b: random.choice(key(b), 2, p=tn.zeros(2, dtype="float32", backend=b)), "0 of the weights",
    ),
    "weights too small": (
        DomainError, lambda b: random.choice(key(b), 2, p=tn.asarray(np.full(2, 1e-40, "f4"), backend=b)), "0 of the",
    ),
    "infinite weight": (
        DomainError, lambda b: random.choice(key(b), 2, p=tn.asarray(np.array([1.0, np.inf]), backend=b)), "finite",
    ),
    "number of weights": (ShapeError, lambda b: random.choice(key(b), 2, p=[1.0]), "(2,), not (1,)"),
    "integers for weights": (
        DTypeError, lambda b: random.choice(key(b), 2, p=tn.asarray(np.array([1, 2]), backend=b)), "int64",
    ),
    "words for weights": (ConversionError, lambda b: random.choice(key(b), 2, p=["a", "b"]), "a weight"),
    "labelled weights": (ModeError, lambda b: random.choice(key(b), 2, p=labelled(b)), "plain"),
    "folded float": (ConversionError, lambda b: random.fold_in(key(b), 1.5), "folded in"),
    "folded negative": (DomainError, lambda b: random.fold_in(key(b), -1), "[0, 2**64)"),
    "folded floats": (
        ConversionError, lambda b: random.fold_in(random.key(0), tn.asarray(np.ones(2))), "folded in is an integer",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_in_the_same_words(name: str) -> None:
    kind, action, part = REFUSED[name]
    refusal(kind, action, part)


def test_key_and_tensor_are_on_one_backend() -> None:
    if "torch" not in installed():
        pytest.skip("needs two backends")
    with pytest.raises(BackendError, match="one operand is on numpy, the other on torch"):
        random.permutation(random.key(0), tn.zeros(3, backend="torch"))
