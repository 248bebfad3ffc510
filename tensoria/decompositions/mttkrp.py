"""The matricised tensor times the Khatri-Rao product, for one mode after the other, sharing what they have in common.

CP needs X_(n) times the Khatri-Rao product of all factors but the n-th (Kolda and Bader, section 3.4), for each mode
n in turn, where the factors of the modes before n are new already. The modes are split into two halves: X contracted
with the factors of one half serves all modes of the other, and the same again within each half (a dimension tree:
Phan, Tichavsky, Cichocki, IEEE Trans. Signal Processing 61, 2013; Kaya, Ucar, SIAM J. Sci. Comput. 40, 2018). So a
sweep reads X twice, however many modes there are, by two matrix products, and X is never copied or unfolded; the
Khatri-Rao product is formed for half of the modes only.

Factors are kept with the components along their *first* axis, (rank, size): then no product needs a transposed copy.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from tensoria.backend import Array, Backend
from tensoria.decompositions.framing import contracted

__all__ = ["balanced", "khatri_rao_rows", "kruskal", "mttkrps"]


def mttkrps(backend: Backend, x: Array, factors: Sequence[Array]) -> Iterator[tuple[int, Array]]:
    """Each mode with its product (rank, size); factors that the caller replaces meanwhile count from then on.

    Args:
        backend: whose arrays these are.
        x: the tensor, two modes or more.
        factors: (rank, size) for each mode; complex ones as they are to be multiplied, that is, conjugated.
    """
    sizes = tuple(x.shape)
    cut = balanced(sizes)
    matrix = backend.reshape(x, (math.prod(sizes[:cut]), math.prod(sizes[cut:])))
    for half, term in ((range(cut), (0, 1)), (range(cut, len(sizes)), (1, 0))):
        others = range(cut, len(sizes)) if term == (0, 1) else range(cut)
        rows = khatri_rao_rows(backend, [factors[m] for m in others])
        part = contracted(backend, rows, (2, 1), matrix, term, (2, 0))
        part = backend.reshape(part, (rows.shape[0], *(sizes[m] for m in half)))
        yield from _descend(backend, part, tuple(half), factors)


def _descend(
    backend: Backend, part: Array, modes: tuple[int, ...], factors: Sequence[Array]
) -> Iterator[tuple[int, Array]]:
    if len(modes) == 1:
        yield modes[0], part
        return
    cut = len(modes) // 2
    rank = len(modes)
    less = part
    for m in range(rank - 1, cut - 1, -1):
        axes = tuple(range(m + 2))
        less = contracted(backend, less, axes, factors[modes[m]], (0, m + 1), axes[:-1])
    yield from _descend(backend, less, modes[:cut], factors)
    less = part
    for m in range(cut):
        axes = tuple(range(rank - m + 1))
        less = contracted(backend, less, axes, factors[modes[m]], (0, 1), (0, *axes[2:]))
    yield from _descend(backend, less, modes[cut:], factors)


def balanced(sizes: Sequence[int]) -> int:
    """Where to cut the modes into two halves of about the same number of components."""
    return min(range(1, len(sizes)), key=lambda n: max(math.prod(sizes[:n]), math.prod(sizes[n:])))


def khatri_rao_rows(backend: Backend, factors: Sequence[Array]) -> Array:
    """The Khatri-Rao product of factors (rank, size), transposed: (rank, product of the sizes)."""
    made = factors[0]
    for factor in factors[1:]:
        made = contracted(backend, made, (0, 1), factor, (0, 2), (0, 1, 2))
        made = backend.reshape(made, (factor.shape[0], -1))
    return made


def kruskal(backend: Backend, weights: Array, factors: Sequence[Array]) -> Array:
    """The tensor sum_r weights_r a_r o b_r o ... of factors (rank, size)."""
    xp = backend.xp
    sizes = tuple(factor.shape[1] for factor in factors)
    scaled = xp.multiply(factors[0], xp.expand_dims(xp.astype(weights, factors[0].dtype), axis=1))
    if len(factors) == 1:
        return xp.sum(scaled, axis=0)
    cut = balanced(sizes)
    left = khatri_rao_rows(backend, [scaled, *factors[1:cut]])
    right = khatri_rao_rows(backend, factors[cut:])
    return backend.reshape(contracted(backend, left, (2, 0), right, (2, 1), (0, 1)), sizes)
