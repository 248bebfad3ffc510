"""Identity: copies and pickles of spaces, bases, indices are the same object; interning and caches do not grow."""

from __future__ import annotations

import copy
import gc
import pickle
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from across import native, values

import tensoria as tn
from tensoria import matching, spaces
from tensoria.discovery import get
from tensoria.errors import SpaceError
from tensoria.indices import _axes, _indices
from tensoria.structure import Cache

METRIC = [[2.0, 1.0], [1.0, 3.0]]
V = tn.Space("V", 2, metric=METRIC)
C = tn.Space("C", 2, field="complex", metric=[[2, 1j], [-1j, 3]])
polar = V.basis("polar", [[1, 2], [0, 1]])
bond = tn.Space.bond(3)
product = tn.ProductSpace([(V.standard, 1), (polar, -1), (bond.standard, 1)])
i, j = tn.indices("i j", V)
STRUCTURES: dict[str, Any] = {
    "space": V,
    "symbolic space": tn.Space("T", "T", privileged=True),
    "complex space": C,
    "conjugate space": C.conj(),
    "bond": bond,
    "product": product,
    "conjugate product": tn.ProductSpace([(C.standard, 1), (V.standard, -1)]).conj(),
    "standard basis": V.standard,
    "basis": polar,
    "conjugate basis": C.basis("k", [[1, 1j], [0, 1]]).conj(),
    "index": -i,
    "index in a basis": tn.Index("k", polar),
    "index of a product": tn.Index("p", product, -1),
    "conjugate index": tn.Index("c", C).conj(),
    "plain index": tn.Index("n", None),
    "axes": tn.tensor(np.ones((2, 2)), [i, -j]).axes,
    "no axes": tn.asarray(1.0).axes,
    "dtype": tn.asarray(1.0).dtype,
    "backend": get("numpy"),
}


@pytest.mark.parametrize("kind", STRUCTURES)
def test_copies_and_pickles_are_the_identical_object(kind: str) -> None:
    value = STRUCTURES[kind]
    assert copy.copy(value) is value
    assert copy.deepcopy(value) is value
    assert copy.deepcopy([value])[0] is value
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(value, protocol)) is value


def test_the_same_data_give_the_identical_object() -> None:
    assert tn.Space("V", 2, metric=np.array(METRIC)) is V
    assert tn.Space("V", np.int64(2), metric=METRIC) is V
    assert V.basis("polar", np.array([[1.0, 2.0], [-0.0, 1.0]])) is polar
    assert tn.indices("i", V)[0] is i
    assert (-i).up is i.down.up is i
    assert tn.Index("i", V.standard) is i
    assert tn.tensor(np.ones((2, 2)), [i, -j]).axes is tn.tensor(np.zeros((2, 2)), "^i _j", i=V, j=V).axes
    assert tn.Space("D", 2, metric=[1, 2]) is tn.Space("D", 2, metric=[[1, 0], [0, 2]])


@pytest.mark.parametrize(
    "other",
    [
        tn.Space("W", 2, metric=METRIC),
        tn.Space("V", 3),
        tn.Space("V", 2),
        tn.Space("V", "n"),
        tn.Space("V", 2, metric=[2, 3]),
        tn.Space("V", 2, metric=METRIC, privileged=True),
        tn.Space("V", 2, metric=METRIC, position="free"),
        tn.Space("V", 2, metric=METRIC, field="complex"),
    ],
)
def test_other_data_give_another_object(other: tn.Space) -> None:
    assert other is not V
    assert other != V
    with pytest.raises(SpaceError):
        matching.check_same_frame(i, tn.Index("i", other), "a test")


def test_values_are_immutable() -> None:
    assert V.metric is not None
    with pytest.raises(ValueError, match="read-only"):
        V.metric[0, 0] = 7
    with pytest.raises(ValueError, match="read-only"):
        V.standard.gram[0, 0] = 7
    given = np.array(METRIC)
    space = tn.Space("given", 2, metric=given)
    given[0, 0] = 100
    assert space.metric is not None
    assert space.metric[0, 0] == 2


def test_bond_spaces_are_unique() -> None:
    first, second = tn.Space.bond(2), tn.Space.bond(2)
    assert first is not second
    assert first.is_bond
    assert pickle.loads(pickle.dumps(first)) is first
    assert not V.is_bond


def test_the_conjugate_of_the_conjugate_is_the_space() -> None:
    assert C.conj() is not C
    assert C.conj().conj() is C
    assert V.conj() is V
    assert tn.Index("c", C).conj().name == "c*"
    assert tn.Index("c", C).conj().conj() is tn.Index("c", C)
    assert product.conj() is product


def test_tensors_pickle_and_copy_with_their_labels(backend: str) -> None:
    data = np.arange(4.0).reshape(2, 2)
    for t in (tn.tensor(native(backend, data), [i, -j]), tn.asarray(native(backend, data))):
        for same in (pickle.loads(pickle.dumps(t)), copy.copy(t), copy.deepcopy(t)):
            assert same.axes is t.axes
            assert same.backend == backend
            assert same.dtype is t.dtype
            np.testing.assert_array_equal(values(same), data)


def test_a_deep_copy_of_a_tensor_has_memory_of_its_own(backend: str) -> None:
    t = tn.tensor(native(backend, [1.0, 2.0]), ["n"])
    other = copy.deepcopy(t)
    t[0] = 7.0
    np.testing.assert_array_equal(values(other), [1, 2])
    shallow = copy.copy(t)
    assert shallow.array is t.array


def test_pickles_meet_in_another_process() -> None:
    """A space that arrives before its namesake is made there is the namesake."""
    pickled = pickle.dumps((V, polar, -i, product, tn.tensor(np.ones(2), [i])))
    code = (
        "import pickle, sys; "
        "V, polar, down, product, t = pickle.loads(sys.stdin.buffer.read()); "
        "import tensoria as tn; "
        f"assert tn.Space('V', 2, metric={METRIC}) is V; "
        "assert V.basis('polar', [[1, 2], [0, 1]]) is polar; "
        "assert -tn.indices('i', V)[0] is down; "
        "assert t.indices[0] is -down and product.factors[0][0] is V.standard; "
        "sys.stdout.write(str(float(t * t.lowered())))"
    )
    done = subprocess.run([sys.executable, "-c", code], input=pickled, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == b"7.0"


def collect() -> None:
    """A product keeps its factors until it is gone, and these are cycles of their own: one round for each."""
    for _ in range(3):
        gc.collect()


def caches_of_structure() -> list[Cache[Any, Any]]:
    gc.unfreeze()  # what other files left, which `conftest.py` hides from the collector
    return [x for x in gc.get_objects() if type(x) is Cache]


# -- memory -----------------------------------------------------------------------------------------------------------


def test_spaces_bases_indices_and_axes_die_when_nobody_needs_them() -> None:
    space = tn.Space("mayfly", 2, metric=[1, 2])
    basis = space.basis("brief", [[1, 1], [0, 1]])
    index = tn.Index("i", basis)
    fused = tn.ProductSpace([(basis, 1), (space.standard, -1)])
    t = tn.tensor(np.ones((2, 4)), [index, tn.Index("p", fused)])
    watched = [weakref.ref(x) for x in (space, space.standard, basis, index, fused, t.axes)]
    del space, basis, index, fused, t
    collect()
    assert [x() for x in watched] == [None] * len(watched)


def test_the_tables_of_interned_values_do_not_grow() -> None:
    def make(n: int) -> None:
        space = tn.Space(f"fleeting{n}", 2, metric=[1, n + 1])
        basis = space.basis("b", [[1, n], [0, 1]])
        tn.tensor(np.ones((2, 2)), [tn.Index("i", basis), -tn.Index("j", basis)])

    tables = (spaces._spaces, spaces._bases, _indices, _axes)
    make(0)
    collect()
    before = [len(x) for x in tables]
    for n in range(200):
        make(n)
    collect()
    assert [len(x) - y for x, y in zip(tables, before, strict=True)] == [0, 0, 0, 0]


def test_a_cache_never_outgrows_its_limit() -> None:
    asked: list[int] = []

    def compute(n: int) -> int:
        asked.append(n)
        return n * n

    cache: Cache[int, int] = Cache(compute, limit=16)
    for n in range(1000):
        assert cache[n] == n * n
        assert len(cache) <= 16
    assert len(asked) == 1000
    assert cache[999] == 999**2
    assert len(asked) == 1000


def test_a_cache_keeps_nothing_of_a_failure() -> None:
    def compute(n: int) -> int:
        if n < 0:
            raise ValueError(n)
        return n

    cache: Cache[int, int] = Cache(compute, limit=4)
    for _ in range(3):
        with pytest.raises(ValueError, match="-1"):
            cache[-1]
    assert len(cache) == 0


def test_the_caches_of_structure_stay_bounded(backend: str) -> None:
    """More structures than a cache holds: old ones are forgotten, and asked again they give the same answer."""
    caches = caches_of_structure()
    assert any(cache is get(backend).pairs for cache in caches)
    limits = [cache.limit for cache in caches]
    sizes = [len(cache) for cache in caches]
    try:
        for cache in caches:
            cache.limit = 32
        for n in range(100):
            t = tn.tensor(native(backend, np.ones((2, n % 50 + 1))), [f"a{n}", f"b{n}"])
            np.testing.assert_array_equal(values(t * t), np.ones((2, n % 50 + 1)))
            assert values(t + t).shape == t.shape
            np.testing.assert_array_equal(values(tn.einsum(f"a b{n} -> a", t)), np.full(2, n % 50 + 1))
        grown = [cache for cache, size in zip(caches, sizes, strict=True) if len(cache) > max(32, size)]
        assert not grown
    finally:
        for cache, limit in zip(caches, limits, strict=True):
            cache.limit = limit


# -- threads ----------------------------------------------------------------------------------------------------------


def test_threads_that_contract_random_structures_get_right_numbers(backend: str) -> None:
    caches = caches_of_structure()
    limits = [cache.limit for cache in caches]
    barrier = threading.Barrier(6)

    def work(seed: int) -> int:
        rng = np.random.default_rng(seed)
        barrier.wait()
        for _ in range(60):
            letters = rng.permutation(list("abcd"))
            sizes = {x: int(rng.integers(2, 4)) for x in "abcd"}
            terms = ["".join(letters[: rng.integers(1, 4)]), "".join(letters[rng.integers(0, 3) :])]
            if rng.random() < 0.4:
                terms.append("".join(rng.permutation(list("abcd"))[: rng.integers(1, 3)]))
            used = sorted(set("".join(terms)))
            out = "".join(x for x in used if rng.random() < 0.5)
            arrays = [rng.normal(size=[sizes[x] for x in term]) for term in terms]
            equation = ",".join(terms) + "->" + out
            got = values(tn.einsum(equation, *(native(backend, x) for x in arrays)))
            np.testing.assert_allclose(got, np.einsum(equation, *arrays), rtol=1e-9, atol=1e-9)
            name = f"x{rng.integers(100)}"
            t = tn.tensor(native(backend, arrays[0]), [f"{name}{x}" for x in terms[0]])
            np.testing.assert_allclose(values(t * t), arrays[0] ** 2)
        return seed

    try:
        for cache in caches:
            cache.limit = 16  # so that entries are dropped while others read
        with ThreadPoolExecutor(6) as pool:
            assert sorted(pool.map(work, range(6))) == list(range(6))
    finally:
        for cache, limit in zip(caches, limits, strict=True):
            cache.limit = limit


def test_threads_that_intern_the_same_data_get_the_same_object() -> None:
    barrier = threading.Barrier(8)

    def work(_: int) -> list[Any]:
        barrier.wait()
        made: list[Any] = []
        for n in range(100):
            space = tn.Space(f"shared{n}", 2, metric=[1, n + 1])
            basis = space.basis("b", [[1, n], [0, 1]])
            made += [space, basis, tn.Index("i", basis), tn.tensor(np.ones(2), [tn.Index("i", basis)]).axes]
        return made

    with ThreadPoolExecutor(8) as pool:
        first, *others = list(pool.map(work, range(8)))
    for other in others:
        assert all(x is y for x, y in zip(first, other, strict=True))
