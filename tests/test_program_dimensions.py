"""Sizes of symbols: arithmetic is that of integers, equal expressions are equal values, comparisons never guess."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensoria import dim
from tensoria.errors import ShapeError
from tensoria.programs.binding import bind
from tensoria.programs.dimensions import Dim, evaluated, maximum, minimum
from tensoria.programs.size_notation import parsed

N, M = dim("n"), dim("m", lower=2, upper=50)
OPERATIONS: dict[str, Any] = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "//": lambda a, b: a // b,
    "%": lambda a, b: a % b, "min": lambda a, b: minimum(a, b), "max": lambda a, b: maximum(a, b),
}  # fmt: skip


def trees() -> st.SearchStrategy[Any]:
    """Expressions as nested tuples of operations and leaves."""
    leaves = st.sampled_from(["n", "m"]) | st.integers(0, 6)
    return st.recursive(
        leaves, lambda inside: st.tuples(st.sampled_from(sorted(OPERATIONS)), inside, inside), max_leaves=7
    )


def value(tree: Any, n: Any, m: Any) -> Any:
    """An expression's value for integers or for sizes; None where it divides by zero."""
    if tree in ("n", "m"):
        return n if tree == "n" else m
    if isinstance(tree, int):
        return tree
    a, b = (value(part, n, m) for part in tree[1:])
    if a is None or b is None or (tree[0] in ("//", "%") and isinstance(b, int) and b == 0):
        return None
    return OPERATIONS[tree[0]](a, b)


@given(trees(), st.integers(1, 40), st.integers(2, 50))
def test_arithmetic_of_sizes_is_that_of_integers(tree: Any, n: int, m: int) -> None:
    expected, size = value(tree, n, m), value(tree, N, M)
    if expected is None or size is None:
        return
    assert evaluated(size, {"n": n, "m": m}) == expected


@given(trees(), st.integers(1, 40), st.integers(2, 50))
def test_bounds_hold_every_value(tree: Any, n: int, m: int) -> None:
    expected, size = value(tree, n, m), value(tree, N, M)
    if isinstance(size, Dim) and expected is not None:
        low, high = size.bounds()
        assert low <= expected <= high


@given(trees(), trees(), st.integers(1, 40), st.integers(2, 50))
def test_a_comparison_is_right_or_refused(first: Any, second: Any, n: int, m: int) -> None:
    a, b = value(first, N, M), value(second, N, M)
    x, y = value(first, n, m), value(second, n, m)
    if None in (a, b, x, y):
        return
    for compare in (lambda p, q: p < q, lambda p, q: p <= q, lambda p, q: p > q, lambda p, q: p >= q):
        with contextlib.suppress(ShapeError):
            assert compare(a, b) == compare(x, y)


@given(trees())
def test_an_expression_is_read_again_as_it_was_printed(tree: Any) -> None:
    size = value(tree, N, M)
    if size is not None:
        assert parsed(str(size), {"n": N, "m": M}) == size


def test_equal_expressions_are_equal_values() -> None:
    assert (N + M) * (N - M) == N * N - M * M
    assert hash((N + 1) * 2) == hash(2 * N + 2)
    assert N - N == 0
    assert (6 * N * M) // (2 * M) == 3 * N
    assert (4 * N + 3) % 4 == 3
    assert N != M


def test_a_comparison_that_depends_on_the_size_names_it() -> None:
    with pytest.raises(ShapeError, match=r"n > 3 depends on the size of n(.|\n)*Legal: tn\.dim\('n', lower="):
        bool(N > 3)
    assert M >= 2
    assert not M > 50


@pytest.mark.parametrize("text", ["", "n +", "q", "n)", "min(n)", "n ** 2", "__import__('os')", "n; m"])
def test_a_text_that_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ShapeError):
        parsed(text, {"n": N})


def test_symbols_are_bound_by_sizes_and_linear_expressions() -> None:
    assert bind([((N, 3), (5, 3), "x"), ((2 * M + N,), (13,), "y")]) == {"n": 5, "m": 4}


@pytest.mark.parametrize(
    ("declared", "actual", "said"),
    [
        ((N, N), (3, 4), r"axis 1 of x is 4, declared as n = 3 \(n = 3 from axis 0 of x\)"),
        ((3,), (4,), "axis 0 of x is 4, declared as 3"),
        ((2 * N,), (5,), r"axis 0 of x is 5, declared as 2\*n with 1 <= n"),
        ((M,), (51,), "axis 0 of x is 51, declared as m with 2 <= m <= 50"),
        ((N,), (3, 3), r"x has the shape \(3, 3\)"),
        ((N * N,), (9,), "does not determine"),
    ],
)
def test_shapes_that_contradict_their_declaration_are_refused(declared: Any, actual: Any, said: str) -> None:
    with pytest.raises(ShapeError, match=said):
        bind([(declared, actual, "x")])
