"""Random numbers: functions of a key, the same everywhere, and distributed as they say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

import tensoria as tn
from tensoria.errors import ConversionError, DTypeError
from tensoria_conformance.claims import exactly, has_dtype, numbers, refused, same
from tensoria_conformance.contracts import contract

THREEFRY = "Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3; docs/random.md"
SEEDS = st.integers(0, 2**64 - 1)


def on_numpy(action: Callable[[], tn.Tensor]) -> Any:
    """The numbers that an action gives on NumPy."""
    with tn.use("numpy"):
        return numbers(action())


@contract(
    "random", rule="The same key gives the same bits on every backend, in every width.", source=THREEFRY, seed=SEEDS
)
def test_bits_are_the_same_everywhere(xp: Any, seed: int) -> None:
    has_dtype(xp, "uint8", "uint32")
    for name in ("uint8", "uint32"):

        def drawn(name: str = name) -> tn.Tensor:
            return tn.random.bits(tn.random.key(seed), (2, 5), dtype=name)

        exactly(drawn(), on_numpy(drawn))


@contract(
    "random", rule="Numbers are functions of the key: asked twice, they are the same.", source=THREEFRY, seed=SEEDS
)
def test_a_key_has_no_state(xp: Any, seed: int) -> None:
    key = tn.random.key(seed)
    first = numbers(tn.random.bits(key, 7))
    tn.random.uniform(key, (3,))
    exactly(tn.random.bits(key, 7), first)


@contract(
    "random",
    rule="Split and folded keys differ from each other, and are the same everywhere.",
    source=THREEFRY,
    seed=SEEDS,
)
def test_keys_are_split(xp: Any, seed: int) -> None:
    def split() -> tn.Tensor:
        keys = tn.random.split(tn.random.key(seed))
        first, second = keys[0, :], keys[1, :]
        return tn.concat([first, second, tn.random.fold_in(first, 3), tn.random.fold_in(first, 4)])

    words = numbers(split()).reshape(4, 2)
    assert len({tuple(pair) for pair in words.tolist()}) == 4
    exactly(split(), on_numpy(split))


@contract(
    "random",
    rule="Uniform numbers lie in [low, high), and are the same to the last bit.",
    source="docs/random.md",
    seed=SEEDS,
    low=st.sampled_from((0.0, -3.0, 1.0)),
    name=st.sampled_from(("float32", "float64")),
)
def test_uniform_numbers_stay_in_their_interval(xp: Any, seed: int, low: float, name: str) -> None:
    def drawn() -> tn.Tensor:
        return tn.random.uniform(tn.random.key(seed), (64,), low=low, high=low + 2.0, dtype=name)

    found = numbers(drawn())
    assert ((found >= low) & (found < low + 2.0)).all()
    exactly(drawn(), on_numpy(drawn), dtype=name)


@contract(
    "random",
    rule="Normal numbers have mean 0 and variance 1, and are the same up to rounding.",
    source="Wichura 1988, AS 241; docs/random.md",
    seed=SEEDS,
    examples=10,
)
def test_normal_numbers_are_normal(xp: Any, seed: int) -> None:
    def drawn() -> tn.Tensor:
        return tn.random.normal(tn.random.key(seed), (4096,), dtype="float64")

    found = numbers(drawn())
    # Six standard errors of the mean, and of the variance.
    assert abs(found.mean()) < 6 / 64
    assert abs(found.var() - 1) < 6 * np.sqrt(2.0) / 64
    same(drawn(), on_numpy(drawn))


@contract(
    "random",
    rule="Integers are uniform in [low, high), and the same everywhere.",
    source="Lemire 2019; docs/random.md",
    seed=SEEDS,
    low=st.integers(-5, 5),
    count=st.integers(1, 7),
)
def test_integers_stay_in_their_range(xp: Any, seed: int, low: int, count: int) -> None:
    def drawn() -> tn.Tensor:
        return tn.random.integers(tn.random.key(seed), low, low + count, (256,))

    found = numbers(drawn())
    # The chance that one of 7 numbers is missing among 256 is below 1e-16.
    assert set(found.tolist()) == set(range(low, low + count))
    exactly(drawn(), on_numpy(drawn))


@contract(
    "random",
    rule="A permutation has every entry once, and is the same everywhere.",
    source="docs/random.md",
    seed=SEEDS,
)
def test_permutations_have_every_entry_once(xp: Any, seed: int) -> None:
    def drawn() -> tn.Tensor:
        return tn.random.permutation(tn.random.key(seed), 20)

    np.testing.assert_array_equal(np.sort(numbers(drawn())), np.arange(20))
    exactly(drawn(), on_numpy(drawn))


@contract(
    "random",
    rule="Without replacement nothing is chosen twice; what has no weight is never chosen.",
    source="docs/random.md",
    seed=SEEDS,
)
def test_choices_respect_weights(xp: Any, seed: int) -> None:
    def drawn() -> tn.Tensor:
        return tn.random.choice(tn.random.key(seed), 12, (8,), replace=False)

    assert len(set(numbers(drawn()).tolist())) == 8
    exactly(drawn(), on_numpy(drawn))

    def weighted() -> tn.Tensor:
        return tn.random.choice(tn.random.key(seed), 4, (64,), p=[0.0, 0.5, 0.0, 0.5])

    assert set(numbers(weighted()).tolist()) == {1, 3}
    exactly(weighted(), on_numpy(weighted))


@contract("random", rule="What is no key, and no data type of numbers, is refused.", source="docs/random.md")
def test_only_keys_are_keys(xp: Any) -> None:
    refused(ConversionError, lambda xp: tn.random.bits(0, (2,)), xp, "tn.random.key(0)")
    refused(DTypeError, lambda xp: tn.random.bits(xp.zeros((2,), dtype="float32"), (2,)), xp, "uint32")
    refused(DTypeError, lambda xp: tn.random.uniform(tn.random.key(0), (2,), dtype="int32"), xp, "int32")
