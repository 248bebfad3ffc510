"""einops patterns on tensors: `"b (h d) -> b h d"`.

The arithmetic is einops'. On labelled tensors the pattern's names relabel the axes by position, and labels follow: a
plain axis splits into plain axes, an index splits only if its space is a product (into the factors that it remembers),
axes fuse into a product space, a reduction needs a plain axis or a privileged basis, and new axes are plain.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from tensoria.backend import Array
from tensoria.core import BaseTensor, new
from tensoria.discovery import backend_of
from tensoria.errors import AxisError, ModeError, NotationError, ShapeError, SpaceError
from tensoria.indices import NAME, PLAIN, Axes, Index, axes, plain
from tensoria.matching import require_privileged
from tensoria.spaces import ProductSpace, Variance
from tensoria.structure import structural

__all__ = ["rearrange", "reduce", "repeat"]

Operation = Literal["rearrange", "reduce", "repeat"]
Reduction = Literal["sum", "mean", "max", "min", "prod"]
_TOKEN = re.compile(r"\s*(\.\.\.|\(|\)|[^\s().]+)")


def rearrange(t: Any, pattern: str, **sizes: int) -> Any:
    """Permute, split and merge axes by an einops pattern.

    Args:
        t: a tensor, or a native array (which gives a native array).
        pattern: such as `"b (h d) -> b h d"`; on labelled tensors names relabel by position.
        sizes: sizes of axes that split, unless a product space knows them.

    Raises:
        NotationError: the pattern can not be read or does not fit.
        SpaceError: an index splits whose space is no product, or plain axes merge with indices.

    >>> import tensoria as tn
    >>> tn.tensor([[1., 2., 3., 4.]], "b c").rearrange("b (h d) -> h b d", h=2).axes
    Axes(h b d)
    """
    return _apply("rearrange", t, pattern, None, sizes)


def reduce(t: Any, pattern: str, reduction: Reduction, **sizes: int) -> Any:
    """Reduce axes by an einops pattern: those missing on its right are summed, averaged, ...

    Args:
        t: a tensor, or a native array (which gives a native array).
        pattern: such as `"b (h w) -> b h"`.
        reduction: `"sum"`, `"mean"`, `"max"`, `"min"` or `"prod"`.
        sizes: sizes of axes that split.

    Raises:
        BasisError: a reduced index is not in a privileged basis.
        NotationError, SpaceError: as `rearrange`.
    """
    return _apply("reduce", t, pattern, reduction, sizes)


def repeat(t: Any, pattern: str, **sizes: int) -> Any:
    """Repeat along new (plain) axes by an einops pattern, such as `"b -> b h"` with `h=3`; errors as `rearrange`."""
    return _apply("repeat", t, pattern, None, sizes)


def _apply(operation: Operation, t: Any, pattern: str, reduction: Reduction | None, sizes: dict[str, int]) -> Any:
    if not isinstance(t, BaseTensor):
        if backend_of(t) is None:
            raise ModeError(f"{type(t).__name__} is neither a tensor nor a native array.", legal="tn.asarray(x)")
        return _einops(operation, t, pattern, reduction, sizes, pattern)
    if t._axes is PLAIN:
        return new(t, _on_tensor(operation, t, pattern, reduction, sizes, pattern), PLAIN)
    safe, result, known = _labelled_pattern(operation, t._axes, t.lead > 0, pattern, tuple(sizes.items()))
    return new(t, _on_tensor(operation, t, safe, reduction, dict(known), pattern), result)


def _on_tensor(
    operation: Operation, t: BaseTensor, pattern: str, reduction: Reduction | None, sizes: dict[str, int], shown: str
) -> Array:
    try:
        return _einops(operation, t._array, pattern, reduction, sizes, shown)
    except RuntimeError as error:
        if "unknown to einops" not in str(error):
            raise
        # It knows plain tensors (see `registration`).
        return _einops(operation, new(t, t._array, PLAIN), pattern, reduction, sizes, shown)._array


def _einops(
    operation: Operation, array: Array, pattern: str, reduction: Reduction | None, sizes: dict[str, int], shown: str
) -> Array:
    import einops

    try:
        if operation == "reduce":
            return einops.reduce(array, pattern, reduction, **sizes)
        function = einops.rearrange if operation == "rearrange" else einops.repeat
        return function(array, pattern, **sizes)
    except einops.EinopsError as error:
        lines = [line for line in str(error).split("\n") if line.strip()]
        raise ShapeError(f"the pattern {shown!r} does not fit: {lines[-1].strip()}") from None


# -- what a pattern does to labels -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Item:
    """One axis of a side: its names (several for a merged axis), and where it stands."""

    names: tuple[str, ...]
    merged: bool
    span: tuple[int, int]


def _side(text: str, start: int, end: int) -> tuple[list[_Item], bool]:
    items: list[_Item] = []
    dots = False
    group: list[str] | None = None
    opened = start
    at = start
    while at < end:
        match = _TOKEN.match(text, at, end)
        if match is None:
            if text[at:end].strip():
                raise NotationError("this can not be read.", notation=text, span=(at, end))
            break
        token, span, at = match[1], match.span(1), match.end()
        if token == "(":
            if group is not None:
                raise NotationError("a parenthesis inside another.", notation=text, span=span)
            group, opened = [], span[0]
        elif token == ")":
            if group is None:
                raise NotationError("nothing is open here.", notation=text, span=span)
            items.append(_Item(tuple(group), True, (opened, span[1])))
            group = None
        elif token == "...":
            if dots or items or group is not None:
                raise NotationError(
                    "'...' stands for leading axes, so it comes first and once.", notation=text, span=span
                )
            dots = True
        elif not NAME.match(token):
            raise NotationError(f"{token!r} names no axis of a labelled tensor.", notation=text, span=span)
        elif group is not None:
            group.append(token)
        else:
            items.append(_Item((token,), False, span))
    if group is not None:
        raise NotationError("this parenthesis is not closed.", notation=text, span=(opened, opened + 1))
    return items, dots


@structural
def _labelled_pattern(
    operation: Operation, of: Axes, lead: bool, text: str, sizes: tuple[tuple[str, int], ...]
) -> tuple[str, Axes, tuple[tuple[str, int], ...]]:
    """The pattern with names that einops accepts, the result's axes, and all sizes that are known."""
    if not isinstance(text, str) or text.count("->") != 1:
        raise NotationError("a pattern has two sides, 'b c -> c b'.", notation=str(text), span=(0, len(str(text))))
    arrow = text.index("->")
    left, left_dots = _side(text, 0, arrow)
    right, right_dots = _side(text, arrow + 2, len(text))
    if left_dots != right_dots or (lead and not left_dots):
        raise NotationError(
            "the tensor's leading axes are written '...' on both sides.", notation=text, span=(0, len(text))
        )
    if len(left) != len(of.indices):
        raise NotationError(
            f"{len(left)} axes are named, and the tensor has {of}.", notation=text, span=(0, max(arrow, 1))
        )
    known = dict(sizes)
    index_of = _left_indices(text, left, of, known)
    given = [name for item in right for name in item.names]
    for item in right:
        for name in item.names:
            if given.count(name) > 1:
                raise NotationError(f"{name!r} is twice in the result.", notation=text, span=item.span)
            if name not in index_of:
                if operation != "repeat":
                    raise NotationError(f"{name!r} is not on the left.", notation=text, span=item.span)
                index_of[name] = plain(name)
    for item in left:
        for name in item.names:
            if name in given:
                continue
            if operation != "reduce":
                raise NotationError(f"{name!r} is missing on the right.", notation=text, span=item.span)
            require_privileged(axes((index_of[name],)), f"reducing over {index_of[name]}")
    result = axes(tuple(_right_index(text, item, index_of) for item in right))
    safe = {name: f"n{number}" for number, name in enumerate(index_of)}
    unknown = [name for name in known if name not in safe]
    if unknown:
        raise AxisError(f"a size is given for {unknown[0]!r}, which the pattern does not name.")
    dots = "... " * left_dots
    pattern = f"{dots}{_written(left, safe)} -> {dots}{_written(right, safe)}"
    return pattern, result, tuple((safe[name], size) for name, size in known.items())


def _left_indices(text: str, left: list[_Item], of: Axes, sizes: dict[str, int]) -> dict[str, Index]:
    found: dict[str, Index] = {}
    for item, index in zip(left, of.indices, strict=True):
        if not item.merged:
            parts: tuple[Index, ...] = (index.renamed(item.names[0]) if index.basis else plain(item.names[0]),)
        elif index.basis is None:
            parts = tuple(plain(name) for name in item.names)
        else:
            parts = _factors(text, item, index, sizes)
        for name, part in zip(item.names, parts, strict=True):
            if name in found:
                raise NotationError(f"{name!r} names two axes.", notation=text, span=item.span)
            found[name] = part
    return found


def _factors(text: str, item: _Item, index: Index, sizes: dict[str, int]) -> tuple[Index, ...]:
    space = index.space
    if not isinstance(space, ProductSpace):
        raise SpaceError(
            f"{index!r} does not range over a product space, so it does not split.",
            legal="split plain axes, or indices made by fusing",
            notation=text,
            span=item.span,
        )
    if len(item.names) != len(space.factors):
        raise SpaceError(f"{space} has {len(space.factors)} factors.", notation=text, span=item.span)
    parts = []
    for name, (basis, variance) in zip(item.names, space.factors, strict=True):
        turned: Variance = variance if index.variance > 0 else (-1 if variance > 0 else 1)
        parts.append(Index(name, basis, turned))
        if isinstance(basis.dimension, int):
            sizes.setdefault(name, basis.dimension)
    return tuple(parts)


def _right_index(text: str, item: _Item, index_of: dict[str, Index]) -> Index:
    parts = [index_of[name] for name in item.names]
    if not item.merged:
        return parts[0]
    name = "".join(item.names)
    if not NAME.match(name):
        raise NotationError("a merged axis needs a name.", notation=text, span=item.span)
    if all(index.basis is None for index in parts):
        return plain(name)
    if any(index.basis is None for index in parts):
        raise SpaceError(
            "plain axes and indices do not merge: the result would be neither.", notation=text, span=item.span
        )
    if len(parts) == 1:
        return parts[0]
    return Index(name, ProductSpace([(i.basis, i.variance) for i in parts if i.basis is not None]))


def _written(items: list[_Item], safe: dict[str, str]) -> str:
    return " ".join(
        "(" + " ".join(safe[n] for n in item.names) + ")" if item.merged else safe[item.names[0]] for item in items
    )
