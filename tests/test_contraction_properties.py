"""Contractions of every structure agree with `np.einsum`: random terms, sizes, data types, memory layouts.

The structures are drawn: one to five operands, letters shared in any way, diagonals and traces, axes of size 0 and 1,
0-d operands, leading anonymous axes, views that are transposed, strided or reversed.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import opt_einsum
import pytest
from across import native, refusal, values
from hypothesis import given, settings
from hypothesis import strategies as st

import tensoria as tn
from tensoria.discovery import get
from tensoria.errors import BackendError, DTypeError, ModeError, NotationError, ShapeError

FLOATS = ["float32", "float64"]
COMPLEX = ["complex64", "complex128"]
INTEGERS = ["int8", "int16", "int32", "int64", "uint8"]
LETTERS = "abcdef"
VIEWS = ["plain", "transposed", "strided", "reversed", "offset"]


@dataclass(frozen=True)
class Network:
    """A drawn contraction: its equation, the operands' shapes, data types and layouts."""

    terms: tuple[str, ...]
    out: str
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[str, ...]
    views: tuple[str, ...]
    dots: bool
    seed: int

    @property
    def equation(self) -> str:
        return ",".join(self.terms) + "->" + self.out

    def arrays(self) -> list[np.ndarray[Any, Any]]:
        rng = np.random.default_rng(self.seed)
        return [numbers(rng, shape, dtype) for shape, dtype in zip(self.shapes, self.dtypes, strict=True)]


def numbers(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray[Any, Any]:
    if dtype in INTEGERS:
        limits = np.iinfo(dtype)
        low, high = max(limits.min, -100), min(limits.max, 250)
        return rng.integers(low, high, size=shape, endpoint=True).astype(dtype)
    data = rng.normal(size=shape)
    if dtype in COMPLEX:
        data = data + 1j * rng.normal(size=shape)
    return np.asarray(data).astype(dtype)


@st.composite
def networks(
    draw: st.DrawFn,
    *,
    most: int = 5,
    kinds: tuple[list[str], ...] = (FLOATS, COMPLEX, INTEGERS),
    diagonals: bool = True,
) -> Network:
    count = draw(st.integers(1, most))
    letters = LETTERS[: draw(st.integers(1, 6))]
    sizes = {x: draw(st.sampled_from([0, 1, 2, 2, 3, 3])) for x in letters}
    terms, shapes = [], []
    dots = draw(st.integers(0, 3)) == 0
    lead = tuple(draw(st.lists(st.sampled_from([1, 2, 3]), max_size=2))) if dots else ()
    for _ in range(count):
        term = "".join(draw(st.lists(st.sampled_from(letters), max_size=4, unique=not diagonals)))
        shape = [sizes[x] for x in term]
        if len(set(term)) == len(term) and draw(st.integers(0, 3)) == 0 and shape:
            shape[draw(st.integers(0, len(shape) - 1))] = 1  # broadcasts against the letter's size elsewhere
        mine: tuple[int, ...] = ()
        if dots and draw(st.booleans()):
            mine = tuple(n if draw(st.integers(0, 3)) else 1 for n in lead[draw(st.integers(0, len(lead))) :])
        terms.append(("..." if dots else "") + term)
        shapes.append(mine + tuple(shape))
    used = sorted({x for term in terms for x in term} - {"."})
    out = "".join(draw(st.permutations(draw(st.lists(st.sampled_from(used), unique=True)) if used else [])))
    kind = draw(st.sampled_from(kinds))
    mixed = draw(st.booleans())
    first = draw(st.sampled_from(kind))
    dtypes = tuple(draw(st.sampled_from(kind)) if mixed else first for _ in range(count))
    views = tuple(draw(st.sampled_from(VIEWS)) for _ in range(count))
    return Network(
        tuple(terms), ("..." if dots else "") + out, tuple(shapes), dtypes, views, dots, draw(st.integers(0, 2**16))
    )


def laid_out(backend: str, data: np.ndarray[Any, Any], view: str) -> Any:
    """A native array of these numbers with a memory layout of that kind, made by the framework's own views."""
    if view == "plain" or not data.ndim:
        return native(backend, data)
    if view == "transposed":
        order = tuple(reversed(range(data.ndim)))
        return get(backend).xp.permute_dims(native(backend, data.transpose(order)), order)
    if view == "strided":
        wide = np.full((*data.shape[:-1], 2 * data.shape[-1] + 1), 7).astype(data.dtype)
        wide[..., 1::2] = data
        return native(backend, wide)[..., 1::2]
    if view == "reversed":
        return get(backend).xp.flip(native(backend, np.flip(data)))
    wide = np.full((data.shape[0] + 2, *data.shape[1:]), 7).astype(data.dtype)
    wide[1:-1] = data
    return native(backend, wide)[1:-1]


def expected(network: Network, arrays: list[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """What np.einsum gives, with the operands brought to their common data type first, so that integers wrap there."""
    common = np.result_type(*arrays)
    wide = np.result_type(common, np.float64) if common.kind in "fc" else common
    return np.asarray(np.einsum(network.equation, *(x.astype(wide) for x in arrays)))


def assert_agrees(got: np.ndarray[Any, Any], want: np.ndarray[Any, Any], arrays: list[np.ndarray[Any, Any]]) -> None:
    assert got.shape == want.shape
    common = np.result_type(*arrays)
    assert got.dtype == common
    if common.kind in "iu":
        np.testing.assert_array_equal(got, want)
    else:
        single = common in (np.float32, np.complex64)
        scale = max(1.0, float(np.abs(want).max(initial=0)))
        np.testing.assert_allclose(got, want, rtol=2e-3 if single else 1e-9, atol=(1e-3 if single else 1e-9) * scale)


@given(network=networks())
@settings(max_examples=400)
def test_einsum_of_native_arrays_agrees_with_numpy(backend: str, network: Network) -> None:
    arrays = network.arrays()
    operands = [laid_out(backend, x, view) for x, view in zip(arrays, network.views, strict=True)]
    got = tn.einsum(network.equation, *operands)
    assert not isinstance(got, tn.Tensor)
    assert_agrees(values(got), expected(network, arrays), arrays)


@given(network=networks(most=3, kinds=(FLOATS,)))
@settings(max_examples=60)
def test_the_spaced_and_the_classic_notation_agree(backend: str, network: Network) -> None:
    arrays = network.arrays()
    operands = [native(backend, x) for x in arrays]

    # A notation without a space inside any term is the classic one, of single letters.
    stem = "name" if any(len(term.lstrip(".")) > 1 for term in network.terms) else ""

    def spaced(term: str) -> str:
        return ("... " if term.startswith("...") else "") + " ".join(stem + x for x in term.lstrip("."))

    notation = ", ".join(map(spaced, network.terms)) + " -> " + spaced(network.out) + " "
    got = tn.einsum(notation, *(tn.asarray(x) for x in operands))
    assert isinstance(got, tn.Tensor)
    assert not got.is_labelled
    assert_agrees(values(got), expected(network, arrays), arrays)


@given(network=networks(most=2, kinds=(INTEGERS,)))
@settings(max_examples=80)
def test_integers_wrap_around_like_numpys(backend: str, network: Network) -> None:
    arrays = network.arrays()
    got = tn.einsum(network.equation, *(native(backend, x) for x in arrays))
    assert_agrees(values(got), expected(network, arrays), arrays)


def test_integers_wrap_around_like_numpys_for_large_sums(backend: str) -> None:
    for dtype in INTEGERS:
        x = np.full((40, 40), np.iinfo(dtype).max, dtype)
        for equation in ("ij,jk->ik", "ij,ij->", "ij,ij->ij", "ij,kj->ik"):
            got = values(tn.einsum(equation, native(backend, x), native(backend, x)))
            with np.errstate(over="ignore"):
                np.testing.assert_array_equal(got, np.einsum(equation, x, x))
        got = values(tn.einsum("ij->i", native(backend, x)))
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, np.einsum("ij->i", x))


def test_implicit_output_is_alphabetical_in_the_classic_notation(backend: str) -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 3)), np.random.default_rng(1).normal(size=(3, 4))
    for equation in ("ba,ac", "ij,jk", "ba", "ab,ab", "...a,...a", "aa"):
        operands = [x, y][: equation.count(",") + 1]
        if equation in ("ab,ab", "...a,...a"):
            operands = [x, x]
        if equation == "aa":
            operands = [np.eye(3)]
        got = values(tn.einsum(equation, *(native(backend, z) for z in operands)))
        np.testing.assert_allclose(got, np.einsum(equation, *operands))


def test_a_long_chain_has_more_names_than_letters(backend: str) -> None:
    count = 60
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(2, 2)) / 1.5 for _ in range(count)]
    notation = ", ".join(f"x{n} x{n + 1}" for n in range(count)) + f" -> x0 x{count}"
    got = values(tn.einsum(notation, *(native(backend, x) for x in arrays)))
    np.testing.assert_allclose(got, np.linalg.multi_dot(arrays), rtol=1e-8)


# -- labelled tensors -------------------------------------------------------------------------------------------------


@st.composite
def labelled_pairs(draw: st.DrawFn) -> tuple[list[tuple[str, int]], list[tuple[str, int]], dict[str, int], int, int]:
    """Axes of two tensors as (name, variance); shared indexed names have opposite variance."""
    pool = [f"x{n}" for n in range(6)]
    sizes = {x: draw(st.sampled_from([1, 2, 3])) for x in pool}
    variance = {x: draw(st.sampled_from([-1, 0, 1])) for x in pool}
    left = draw(st.permutations(draw(st.lists(st.sampled_from(pool), unique=True, max_size=4, min_size=1))))
    right = draw(st.permutations(draw(st.lists(st.sampled_from(pool), unique=True, max_size=4, min_size=1))))
    lead = draw(st.integers(0, 2))
    return (
        [(x, variance[x]) for x in left],
        [(x, -variance[x]) for x in right],
        sizes,
        lead,
        draw(st.integers(0, 2**16)),
    )


def labelled(backend: str, data: Any, axes: list[tuple[str, int]], sizes: dict[str, int]) -> tn.Tensor:
    indices: list[Any] = [...]
    for name, variance in axes:
        if not variance:
            indices.append(name)
        else:
            index = tn.Index(name, tn.Space(f"S{sizes[name]}", sizes[name]))
            indices.append(index if variance > 0 else -index)
    return tn.tensor(native(backend, data), indices)


@given(pair=labelled_pairs())
@settings(max_examples=150)
def test_the_product_of_labelled_tensors_is_the_einsum_built_by_hand(backend: str, pair: Any) -> None:
    left, right, sizes, lead, seed = pair
    rng = np.random.default_rng(seed)
    letter = {name: chr(ord("a") + n) for n, name in enumerate(sizes)}
    x = rng.normal(size=[2] * lead + [sizes[n] for n, _ in left])
    y = rng.normal(size=[sizes[n] for n, _ in right])
    contracted = {n for n, v in left if v and n in dict(right)}
    order = list(dict.fromkeys([*left, *((n, v) for n, v in right if n not in dict(left))]))
    plain = [n for n, v in order if not v]
    free = [n for n, v in order if v and n not in contracted]
    equation = (
        "..." + "".join(letter[n] for n, _ in left) + "," + "..." + "".join(letter[n] for n, _ in right)
        + "->..." + "".join(letter[n] for n in plain + free)
    )  # fmt: skip
    t, u = labelled(backend, x, left, sizes), labelled(backend, y, right, sizes)
    got = t * u
    assert got.names == tuple(plain + free)
    variances = {**dict(right), **dict(left)}
    assert [index.variance for index in got.indices] == [variances[n] for n in plain + free]
    np.testing.assert_allclose(values(got), np.einsum(equation, x, y), rtol=1e-10, atol=1e-10)
    again = tn.einsum(equation, t, u)
    np.testing.assert_allclose(values(again), np.einsum(equation, x, y), rtol=1e-10, atol=1e-10)
    assert again.names == tuple(letter[n] for n in plain + free)


@given(pair=labelled_pairs())
@settings(max_examples=100)
def test_matmul_of_labelled_tensors_is_the_einsum_built_by_hand(backend: str, pair: Any) -> None:
    left, right, sizes, lead, seed = pair
    sizes = dict.fromkeys(sizes, 2)
    down = [n for n, v in left if v < 0]
    up = [n for n, v in right if v > 0]
    rng = np.random.default_rng(seed)
    x = rng.normal(size=[3] * lead + [2] * len(left))
    y = rng.normal(size=[2] * len(right))
    t, u = labelled(backend, x, left, sizes), labelled(backend, y, right, sizes)
    if not down or not up:
        with pytest.raises(tn.errors.VarianceError):
            t @ u
        return
    letters = iter("abcdefghijkl")
    first = {n: next(letters) for n, _ in left}
    second = {n: next(letters) for n, _ in right}
    second[up[0]] = first[down[-1]]
    for n, v in right:
        if not v and n in first and dict(left)[n] == 0:
            second[n] = first[n]
    keep = [(v, first[n]) for n, v in left if n != down[-1]]
    keep += [(v, second[n]) for n, v in right if n != up[0] and second[n] not in first.values()]
    out = [z for v, z in keep if not v] + [z for v, z in keep if v]
    equation = (
        "..." + "".join(first[n] for n, _ in left) + ",..." + "".join(second[n] for n, _ in right)
        + "->..." + "".join(out)
    )  # fmt: skip
    np.testing.assert_allclose(values(t @ u), np.einsum(equation, x, y), rtol=1e-10, atol=1e-10)
    assert len(set((t @ u).names)) == len(out)


@given(
    names=st.permutations(["x0", "x1", "x2"]),
    variances=st.lists(st.sampled_from([-1, 0, 1]), min_size=3, max_size=3),
    lead=st.integers(0, 2),
    fewer=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=60)
def test_addition_is_transposition_by_name(
    backend: str, names: list[str], variances: list[int], lead: int, fewer: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    sizes = {"x0": 1, "x1": 2, "x2": 3}
    left = list(zip(sizes, variances, strict=True))
    right = [(n, dict(left)[n]) for n in names]
    if fewer:
        right = [(n, v) for n, v in right if v] or right
    x = rng.normal(size=[2] * lead + list(sizes.values()))
    y = rng.normal(size=[sizes[n] for n, _ in right])
    # By hand: y's axes in x's order, with an axis of size 1 for each that it lacks.
    have = [n for n, _ in right]
    order = [have.index(n) for n in sizes if n in have]
    z = np.transpose(y, order).reshape([sizes[n] if n in have else 1 for n in sizes])
    t, u = labelled(backend, x, left, sizes), labelled(backend, y, right, sizes)
    got = t + u
    assert got.names == ("x0", "x1", "x2")
    np.testing.assert_allclose(values(got), x + z)
    np.testing.assert_allclose(values(t - u), x - z)


# -- what does not fit ------------------------------------------------------------------------------------------------


def test_sizes_that_do_not_fit_are_shape_errors_with_a_caret() -> None:
    text = refusal(ShapeError, lambda b: tn.einsum("ij,jk->ik", native(b, np.ones((2, 3))), native(b, np.ones((4, 5)))))
    assert text.split("\n") == ["'j' has the sizes 3 and 4.", "    ij,jk->ik", "       ^"]
    ones = {n: np.ones(n) for n in (2, 3)}
    refusal(ShapeError, lambda b: tn.einsum("i,i,i->", native(b, ones[2]), native(b, ones[2]), native(b, ones[3])), "2")


@pytest.mark.parametrize("shape", [(2, 3), (1, 3), (3, 1)])
def test_a_diagonal_of_axes_of_two_sizes_is_a_shape_error(shape: tuple[int, int]) -> None:
    first = refusal(ShapeError, lambda b: tn.einsum("ii->i", native(b, np.ones(shape))), "'i'", "    ii->i")
    assert first == refusal(ShapeError, lambda b: tn.einsum("ii->i", tn.asarray(native(b, np.ones(shape)))))
    refusal(ShapeError, lambda b: tn.einsum("ii,j->ij", native(b, np.ones(shape)), native(b, np.ones(2))), "'i'")
    refusal(
        ShapeError,
        lambda b: tn.einsum("ii,j,k->ijk", native(b, np.ones(shape)), native(b, np.ones(2)), native(b, np.ones(2))),
        "'i'",
    )


def test_leading_axes_that_do_not_broadcast_are_shape_errors() -> None:
    refusal(ShapeError, lambda b: tn.einsum("...i,...i", native(b, np.ones((2, 4))), native(b, np.ones((3, 4)))), "2")


def test_the_number_of_operands_and_axes_is_checked() -> None:
    refusal(NotationError, lambda b: tn.einsum("ij,jk->ik", native(b, np.ones((2, 3)))), "2 operands", "1")
    refusal(NotationError, lambda b: tn.einsum("ij->i", native(b, np.ones(3))), "operand 0 has 1 axes", "2 axes")
    refusal(NotationError, lambda b: tn.einsum("i->i", native(b, np.ones((2, 3)))), "operand 0 has 2 axes")


def test_what_is_no_array_is_refused() -> None:
    for bad in ([1.0, 2.0], 3.0, "x", None):
        refusal(ModeError, lambda b, bad=bad: tn.einsum("i,i->", native(b, np.ones(2)), bad), "operand 1", "Legal:")


def test_two_backends_do_not_meet(backend: str) -> None:
    if backend == "numpy":
        return
    with pytest.raises(BackendError, match="numpy"):
        tn.einsum("i,i->", native(backend, np.ones(2)), np.ones(2))
    with pytest.raises(BackendError, match="numpy"):
        tn.asarray(native(backend, np.ones(2))) + tn.asarray(np.ones(2))
    with pytest.raises(BackendError, match="numpy"):
        tn.tensor(native(backend, np.ones(2)), ["b"]) * tn.tensor(np.ones(2), ["b"])


def test_booleans_and_kinds_that_do_not_promote_are_refused() -> None:
    x = np.array([True, False])
    refusal(DTypeError, lambda b: tn.einsum("i,i->", native(b, x), native(b, x)), "bool", "Legal:")
    refusal(DTypeError, lambda b: tn.einsum("i->", native(b, x)), "bool", "Legal:")
    refusal(DTypeError, lambda b: tn.einsum("i,i->", native(b, [1, 2]), native(b, [1.0, 2.0])), "float64", "Legal:")


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(FLOATS + COMPLEX, 2)))
def test_floating_types_promote_by_the_standards_table(backend: str, first: str, second: str) -> None:
    x, y = np.array([1.5, -2.0]).astype(first), np.array([0.5, 3.0]).astype(second)
    for got in (
        tn.einsum("i,i->i", native(backend, x), native(backend, y)),
        (tn.tensor(native(backend, x), ["n"]) * tn.tensor(native(backend, y), ["n"])).array,
        tn.einsum("i,i,->i", native(backend, y), native(backend, x), native(backend, np.array(1, first))),
    ):
        assert values(got).dtype == np.result_type(x, y)
        np.testing.assert_allclose(values(got), x * y)


# -- paths ------------------------------------------------------------------------------------------------------------


def multiply_adds(equation: str, shapes: list[tuple[int, ...]], optimize: str) -> int:
    """The cost of opt_einsum's path, counted as the product of the sizes of all labels of each pair."""
    path, _ = opt_einsum.contract_path(equation, *shapes, shapes=True, optimize=optimize)
    terms, out = equation.split("->")[0].split(","), equation.split("->")[1]
    sizes = {x: n for term, shape in zip(terms, shapes, strict=True) for x, n in zip(term, shape, strict=True)}
    left = list(terms)
    total = 0
    for step in path:
        pair = [left.pop(n) for n in sorted(step, reverse=True)]
        while len(pair) > 1:  # the last step may name several; two at a time, as they stand
            first, second = pair.pop(), pair.pop()
            labels = set(first) | set(second)
            total += math.prod(sizes[x] for x in labels)
            rest = set(out).union(*left, *pair)
            pair.append("".join(sorted(labels & rest)))
        left.append(pair[0])
    return total


def random_network(seed: int, count: int) -> tuple[str, list[tuple[int, ...]]]:
    rng = np.random.default_rng(seed)
    letters = [chr(ord("a") + n) for n in range(26)][: count + 3]
    edges: list[list[str]] = [[] for _ in range(count)]
    for x in letters:
        for n in rng.choice(count, size=2, replace=False):
            edges[n].append(x)
    for n, term in enumerate(edges):
        if not term:
            term.append(letters[n % len(letters)])
    sizes = {x: int(rng.integers(2, 9)) for x in letters}
    used = sorted({x for term in edges for x in term})
    out = "".join(x for x in used if rng.random() < 0.2)
    return ",".join("".join(term) for term in edges) + "->" + out, [tuple(sizes[x] for x in term) for term in edges]


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6, 7, 8])
def test_paths_of_up_to_eight_operands_cost_what_the_optimal_one_does(count: int) -> None:
    for seed in range(20 if count < 7 else 5):
        equation, shapes = random_network(seed, count)
        plan = tn.einsum_path(equation, *(np.empty(shape, np.float32) for shape in shapes))
        assert plan.flops == multiply_adds(equation, shapes, "optimal"), equation


@pytest.mark.parametrize("count", [9, 10, 12, 16, 20])
def test_paths_of_more_operands_cost_no_more_than_the_automatic_choice(count: int) -> None:
    for seed in range(3):
        equation, shapes = random_network(seed, count)
        plan = tn.einsum_path(equation, *(np.empty(shape, np.float32) for shape in shapes))
        assert plan.flops <= multiply_adds(equation, shapes, "auto"), equation


@pytest.mark.parametrize("seed", range(6))
def test_networks_of_many_operands_agree_with_numpy(backend: str, seed: int) -> None:
    equation, shapes = random_network(seed, 5 + seed)
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=shape) for shape in shapes]
    got = values(tn.einsum(equation, *(native(backend, x) for x in arrays)))
    want = np.einsum(equation, *arrays, optimize=True)
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9 * np.abs(want).max(initial=0))


def test_a_path_is_a_value_that_can_be_printed(backend: str) -> None:
    a, b, c = native(backend, np.ones((8, 2))), native(backend, np.ones((2, 9))), native(backend, np.ones((9, 3)))
    plan = tn.einsum_path("ij,jk,kl->il", a, b, c)
    assert plan.path == ((1, 2), (0, 1))
    assert plan.flops == 2 * 9 * 3 + 8 * 2 * 3
    assert plan.largest == 24
    assert plan.naive_flops == 2 * 8 * 2 * 9 * 3
    assert "102 multiply-adds" in str(plan)
    refusal(NotationError, lambda b: tn.einsum_path("ij->i", native(b, np.ones((2, 2)))), "two operands")
