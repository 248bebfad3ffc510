"""`einsum`: a contraction of any number of tensors, written in the notation.

A notation is resolved against the operands' axes once (`resolve`): names relabel by position, marks, spaces and bases
are checked, and what remains is a `planning.Pattern` and the result's axes. The checks are the same for native arrays,
where only the marks are known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tensoria.backend import Array, Backend
from tensoria.core import BaseTensor, T, adopt, kept, leading, same_backend
from tensoria.declared import Groups, carried, declare
from tensoria.discovery import NATIVE_TYPES, backend_of, takes
from tensoria.errors import BackendError, ModeError, NotationError, ShapeError, TensoriaError, VarianceError
from tensoria.indices import PLAIN, Axes, Index, axes, plain
from tensoria.matching import check_same_frame, exchangeable, meeting, symbol_groups
from tensoria.metric import flipped
from tensoria.network import NetworkPlan
from tensoria.notation import Expression, Group, Label, Term, parse
from tensoria.permuting import averaged
from tensoria.planning import Pattern, SizeConflictError, check_diagonals, pattern
from tensoria.structure import Cache, Structure, structural

__all__ = ["einsum", "einsum_path", "relabel", "resolve"]


def einsum(notation: str, *operands: Any) -> Any:
    """Contract any number of tensors as a notation says.

    Args:
        notation: `"^i _j, ^j -> ^i"`, or the classic `"ij,jk->ik"`. On labelled tensors the names relabel by position
            and marks, spaces and bases are checked; on native arrays and plain tensors the marks alone are. Brackets
            take the symmetric part, `_(i j)`, or the antisymmetric one, `_[i j]`, of an operand or of the result.
        operands: labelled tensors, or plain tensors, or native arrays of one backend.

    Returns:
        A labelled tensor for labelled ones, a plain tensor for plain ones, a native array for native ones.

    Raises:
        NotationError: the notation can not be read or does not fit the operands; a caret points at the place.
        VarianceError, SpaceError, ShapeError: indices, spaces or sizes do not fit.

    >>> import numpy as np
    >>> einsum("^i _j, ^j -> ^i", np.array([[1., 2.], [3., 4.]]), np.array([1., 1.]))
    array([3., 7.])
    >>> einsum("_i, _j -> _[i j]", np.array([1., 0.]), np.array([0., 2.]))
    array([[ 0.,  1.],
           [-1.,  0.]])
    """
    if len(operands) == 2 and (backend := NATIVE_TYPES.get(type(operands[0]))) is not None and backend.immediate:
        # Two native arrays: one look-up leads to the native call.
        a, b = operands
        if type(b) is type(a) and (backend.tracing is None or not backend.tracing()):
            try:
                return _native_pairs[notation, backend, a.shape, b.shape, a.dtype, b.dtype](a, b)
            except (SizeConflictError, TypeError):
                pass  # told, or done, below
    backend, arrays, of, ranks = _operands(operands)
    if backend.tracing is not None and backend.tracing():
        made = resolve(notation, of, ranks)
    else:
        made = _resolved[notation if type(notation) is str else parse(notation).text, of, ranks]
    if made.brackets is not None:
        arrays = [_bracketed(backend, *both) for both in zip(arrays, made.brackets, strict=True)]
        operands = tuple(
            adopt(type(t), array, t._axes, backend) if isinstance(t, BaseTensor) else array
            for t, array in zip(operands, arrays, strict=True)
        )
    if made.flips:
        # The pattern stays: once these indices are flipped, what it contracts is an up with a down index.
        arrays = [flipped(t, names)._array for t, names in zip(operands, made.flips, strict=True)]
    try:
        if len(arrays) == 2:
            array = backend.contract(made.pattern, arrays[0], arrays[1])
        elif len(arrays) == 1:
            check_diagonals(made.pattern.terms[0], backend.shape(arrays[0])[ranks[0] - len(made.pattern.terms[0]) :])
            array = backend.reduce_axes(made.pattern, arrays[0])
        else:
            array = backend.contract_network(made.pattern, arrays)
    except SizeConflictError as conflict:
        raise _located(conflict, parse(notation), made.pattern) from None
    array = _bracketed(backend, array, made.part)
    for operand in operands:
        if isinstance(operand, BaseTensor) and operand._backend is backend:
            return kept(operand, array, PLAIN if made.axes is None else made.axes)
    return array


def _bracketed(backend: Backend, array: Array, groups: Groups) -> Array:
    """The array's part that is symmetric, or antisymmetric, in each group of its last axes (counted from the end)."""
    for places, antisymmetric in groups:
        array = averaged(backend, array, [len(array.shape) + n for n in places], antisymmetric)
    return array


def _native_pair(key: tuple[Any, ...]) -> Callable[[Array, Array], Array]:
    notation, backend, first, second, *dtypes = key
    made = resolve(notation, (None, None), (len(first), len(second)))
    if made.brackets is not None or made.part:
        raise TypeError("brackets are no matter of one call")
    of = made.pattern
    run: Callable[[Array, Array], Array] = backend.pairs[(of, first, second, *dtypes)]
    return run


_native_pairs: Cache[tuple[Any, ...], Callable[[Array, Array], Array]] = Cache(_native_pair)


def einsum_path(notation: str, *operands: Any) -> NetworkPlan:
    """The plan that `einsum` would follow, without carrying it out: order, multiply-adds, largest intermediate.

    Raises:
        NotationError, VarianceError, SpaceError, ShapeError: as `einsum`.

    >>> import numpy as np
    >>> a, b, c = np.ones((8, 2)), np.ones((2, 9)), np.ones((9, 3))
    >>> plan = einsum_path("ij,jk,kl->il", a, b, c)
    >>> plan.path, plan.flops, plan.largest
    (((1, 2), (0, 1)), 102, 24)
    """
    backend, arrays, of, ranks = _operands(operands)
    made = resolve(notation, of, ranks)
    if len(arrays) < 2:
        raise NotationError("a path has at least two operands.", notation=notation, span=(0, len(notation)))
    try:
        plan: NetworkPlan = backend.network_plan(made.pattern, arrays)[0]
        return plan
    except SizeConflictError as conflict:
        raise _located(conflict, parse(notation), made.pattern) from None


@dataclass(frozen=True, eq=False)
class Resolved(Structure):
    """What a notation means for operands with certain axes."""

    pattern: Pattern
    axes: Axes | None
    """The result's axes; None for plain and native operands."""
    flips: tuple[tuple[str, ...], ...] | None
    """Indices that a free metric has to flip first, for each operand."""
    brackets: tuple[Groups, ...] | None
    """The operands' groups in brackets, by positions counted from the end; None where there are none."""
    part: Groups
    """The result's."""


def _operands(
    operands: Sequence[Any],
) -> tuple[Any, list[Array], tuple[Axes | None, ...], tuple[int, ...]]:
    """The backend, the native arrays, each operand's axes (None for plain and native ones) and its rank."""
    backend: Any = None
    arrays: list[Array] = []
    of: list[Axes | None] = []
    ranks: list[int] = []
    tensors = [operand for operand in operands if isinstance(operand, BaseTensor)]
    lifting = leading(tensors) if tensors else None
    for number, operand in enumerate(operands):
        if isinstance(operand, BaseTensor):
            if lifting is not None and operand._backend is not lifting._backend and takes(
                lifting._backend, operand._backend
            ):
                operand = same_backend(lifting, operand)[1]
            found, array, axes_ = operand._backend, operand._array, operand._axes
            rank = len(array.shape)
            of.append(None if axes_ is PLAIN and rank else axes_)
        else:
            native = backend_of(operand)
            if native is None:
                raise ModeError(
                    f"operand {number} of einsum is {type(operand).__name__}, neither a tensor nor a native array.",
                    legal="tn.asarray(x)",
                )
            found, array = native, operand
            if lifting is not None and native is not lifting._backend and takes(lifting._backend, native):
                found, array = lifting._backend, same_backend(lifting, adopt(type(lifting), operand))[1]._array
            rank = len(array.shape)
            of.append(None)
        if backend is not None and found is not backend:
            raise BackendError(
                f"operand {number} of einsum is on {found.name}, the ones before on {backend.name}.",
                legal=f"x.to(backend={backend.name!r})",
            )
        backend = found
        arrays.append(array)
        ranks.append(rank)
    if backend is None:
        raise NotationError("einsum has no operands.", legal='tn.einsum("^i _j, ^j -> ^i", A, v)')
    return backend, arrays, tuple(of), tuple(ranks)


@structural
def resolve(notation: str, of: tuple[Axes | None, ...], ranks: tuple[int, ...]) -> Resolved:
    """What a notation means for operands with these axes and numbers of axes.

    Raises:
        NotationError, VarianceError, SpaceError, ModeError: notation and operands do not fit.
    """
    parse(notation)  # a notation that is no string has no hash, perhaps
    return _resolved[notation, of, ranks]


def _resolve(key: tuple[str, tuple[Axes | None, ...], tuple[int, ...]]) -> Resolved:
    notation, of, ranks = key
    e = parse(notation)
    if len(of) != len(e.terms):
        last = e.terms[min(len(of), len(e.terms) - 1)]
        raise e.error(f"the notation has {len(e.terms)} operands, and {len(of)} were given.", last)
    if any(x is not None and x is not PLAIN for x in of):
        for number, x in enumerate(of):
            if x is None:
                raise ModeError(
                    f"einsum mixes labelled operands with a plain one (operand {number}).",
                    legal="label it, t[i, -j] or t['b']",
                    notation=notation,
                    span=e.terms[number].span,
                )
    else:
        of = (None,) * len(of)
    made, result = _match(e, of, ranks)
    flips = None if result is None else _flips(e, of)
    brackets = tuple(_groups(e, term, axes_) for term, axes_ in zip(e.terms, of, strict=True))
    part = () if e.output is None else _groups(e, e.output, result)
    if result is not None:
        result = declare(result, tuple((tuple(n + len(result.indices) for n in places), odd) for places, odd in part))
    return Resolved(made, result, flips, brackets if any(brackets) else None, part)


def _groups(e: Expression, term: Term, of: Axes | None) -> Groups:
    """A term's groups in brackets, by positions counted from the end, checked against its axes."""
    for group in term.groups:
        if of is not None:
            members = [of.indices[n].renamed(term.labels[n].name) for n in group.positions]
            _at(e, group, exchangeable, members, "an (anti)symmetric part")
    count = len(term.labels)
    return tuple((tuple(n - count for n in group.positions), group.antisymmetric) for group in term.groups)


def _match(e: Expression, of: tuple[Axes | None, ...], ranks: tuple[int, ...]) -> tuple[Pattern, Axes | None]:
    uses: dict[str, list[tuple[int, Label, Index | None]]] = {}
    dotted = False
    for number, (term, axes_, rank) in enumerate(zip(e.terms, of, ranks, strict=True)):
        lead = rank - len(term.labels)
        if lead < 0 or (lead > 0 and not term.ellipsis):
            wrote = f"{len(term.labels)} axes" + (" besides '...'" if term.ellipsis else "")
            hint = "without marks and spaces every letter is a name; longer names need one" if e.classic else None
            raise e.error(f"operand {number} has {rank} axes, and {wrote} are named for it.", term, hint)
        dotted = dotted or term.ellipsis
        if axes_ is not None and len(axes_.indices) != len(term.labels):
            raise e.error(
                f"operand {number} has the labelled axes {axes_}; each needs a name here, '...' stands for the others.",
                term,
            )
        for position, label in enumerate(term.labels):
            index = None if axes_ is None else axes_.indices[position]
            if index is not None:
                _check_label(e, label, index)
            uses.setdefault(label.name, []).append((number, label, index))
    out = _output(e, uses)
    if dotted and e.output is not None and not e.output.ellipsis:
        raise e.error("the operands' leading axes '...' are missing in the result.", e.output, "-> ... and the rest")
    if e.output is not None and e.output.ellipsis and not dotted:
        raise e.error("no operand has '...'.", e.output)
    for name, found in uses.items():
        _check_uses(e, name, found, name in out)
    labels = {name: number for number, name in enumerate(uses)}
    indexed = {labels[name]: found[0][2] for name, found in uses.items()}
    strict = {n: i for n, i in indexed.items() if i is not None and i.basis is not None}
    made = pattern(
        tuple(tuple(labels[name] for name in term.names) for term in e.terms),
        tuple(labels[name] for name in out),
        frozenset(strict),
        symbol_groups(strict),
    )
    if all(x is None for x in of):
        return made, None
    result = []
    for name in out:
        index = uses[name][0][2]
        assert index is not None
        result.append(index.renamed(name) if index.basis is not None else plain(name))
    return made, axes(tuple(result))


_resolved: Cache[tuple[str, tuple[Axes | None, ...], tuple[int, ...]], Resolved] = Cache(_resolve)


def _check_label(e: Expression, label: Label, index: Index) -> None:
    """One name of the notation against the axis that it relabels."""
    if e.classic:
        return  # letters take the tensor's variance
    if label.variance == index.variance:
        return
    shown = {1: "an up index", -1: "a down index", 0: "a plain axis"}
    legal = str(index.renamed(label.name)) if index.basis is not None else label.name
    error = VarianceError if label.variance and index.variance else NotationError
    raise error(
        f"{label} is written as {shown[label.variance]}, but the axis is {index!r}, {shown[index.variance]}.",
        legal=f"write {legal} here" + (", or raise or lower the index first" if error is VarianceError else ""),
        notation=e.text,
        span=label.span,
    )


def _check_uses(e: Expression, name: str, found: list[tuple[int, Label, Index | None]], in_result: bool) -> None:
    """All places of one name: variance pairs up, spaces agree, nothing is summed that depends on a basis."""
    variances = [label.variance if index is None else index.variance for _, label, index in found]
    first_label, first_index = found[0][1], found[0][2]
    if not any(variances):
        if first_index is not None:
            for _, label, index in found[1:]:
                assert index is not None
                _at(e, label, check_same_frame, first_index.renamed(name), index.renamed(name), "an einsum")
        return
    if len(found) > 2:
        raise e.error(f"the index {name!r} occurs {len(found)} times; an index contracts in pairs.", found[2][1])
    if len(found) == 2:
        label, index = found[1][1], found[1][2]
        if index is not None and first_index is not None:
            _at(e, label, meeting, first_index.renamed(name), index.renamed(name), "an einsum")
        elif variances[0] == variances[1] or 0 in variances:
            kind = "up" if variances[0] > 0 else "down"
            message = (
                f"{first_label} meets {label}: both are {kind}, so they do not contract."
                if 0 not in variances
                else f"{name!r} is an index in one place and a plain axis in another."
            )
            flipped_mark = ("_" if variances[0] > 0 else "^") + name
            raise VarianceError(message, legal=f"write {flipped_mark} here", notation=e.text, span=label.span)
        if in_result:
            assert e.output is not None
            where = next(x for x in e.output.labels if x.name == name)
            raise e.error(f"{name!r} is contracted, so it can not be in the result.", where)
        return
    if not in_result:
        raise e.error(
            f"the index {first_label if first_index is None else first_index.renamed(name)} is free, "
            "and missing after '->'; a sum over it would depend on the basis.",
            first_label,
            "keep it, contract it, or sum with tn.sum in a privileged basis",
        )


def _at(e: Expression, label: Label | Group, check: Any, *arguments: Any) -> None:
    try:
        check(*arguments)
    except TensoriaError as error:
        raise error.located(e.text, label.span) from None


def _output(e: Expression, uses: dict[str, list[tuple[int, Label, Index | None]]]) -> tuple[str, ...]:
    """The names of the result's axes."""
    if e.output is None:
        if e.classic:
            return tuple(sorted(name for name, found in uses.items() if len(found) == 1))
        once = [name for name, found in uses.items() if len(found) == 1 or not _variance(found[0])]
        bare = [name for name in once if not _variance(uses[name][0])]
        return (*bare, *(name for name in once if name not in bare))
    seen: set[str] = set()
    for label in e.output.labels:
        if label.name not in uses:
            raise e.error(f"{label} is in the result, but no operand has {label.name!r}.", label)
        if label.name in seen:
            raise e.error(f"{label} is twice in the result.", label)
        seen.add(label.name)
        variance = _variance(uses[label.name][0])
        if not e.classic and label.variance != variance and len(uses[label.name]) == 1:
            shown = {1: "^", -1: "_", 0: ""}[variance] + label.name
            raise VarianceError(
                f"the result's {label} comes from {shown}; contraction never changes variance.",
                legal=f"write {shown} here, or raise or lower the index",
                notation=e.text,
                span=label.span,
            )
    return e.output.names


def _variance(use: tuple[int, Label, Index | None]) -> int:
    _, label, index = use
    return label.variance if index is None else index.variance


def _flips(expression: Expression, of: tuple[Axes | None, ...]) -> tuple[tuple[str, ...], ...] | None:
    """Indices that a free metric has to flip before an einsum, for each operand; None where there are none."""
    if not any(x is not None and x.free for x in of):
        return None
    first: dict[str, Index] = {}
    firsts: dict[str, Label] = {}
    flips: list[list[str]] = [[] for _ in of]
    for number, (term, axes_) in enumerate(zip(expression.terms, of, strict=True)):
        for label, index in zip(term.labels, () if axes_ is None else axes_.indices, strict=True):
            other = first.setdefault(label.name, index)
            firsts.setdefault(label.name, label)
            if label is not firsts[label.name] and index.basis is not None and other.variance == index.variance:
                flips[number].append(index.name)
    return tuple(map(tuple, flips)) if any(flips) else None


def _located(conflict: SizeConflictError, e: Expression, of: Pattern) -> ShapeError:
    first, second = conflict.sizes[:2]
    places = [
        label
        for term, numbers in zip(e.terms, of.terms, strict=True)
        for label, number in zip(term.labels, numbers, strict=True)
        if number == conflict.label
    ]
    if not places:
        return ShapeError(
            f"the leading axes '...' have the sizes {first} and {second} in one place, which do not broadcast."
        )
    return ShapeError(f"{places[-1].name!r} has the sizes {first} and {second}.", notation=e.text, span=places[-1].span)


def relabel(t: T, term: Term, text: str) -> T:
    """A labelled tensor whose indices take new names by position, as in `t["^k _l"]`; `t["_[i j]"]` is a part of it.

    Raises:
        NotationError, VarianceError: number or marks do not fit.
    """
    e = Expression(text, (term,), None, classic=False)
    if len(term.labels) != len(t._axes.indices):
        raise e.error(f"the tensor has the labelled axes {t._axes}; each needs a name here.", term)
    for label, index in zip(term.labels, t._axes.indices, strict=True):
        _check_label(e, label, index)
    made = axes(tuple(i.renamed(x.name) for i, x in zip(t._axes.indices, term.labels, strict=True)))
    if not term.groups:
        return kept(t, t._array, made if type(t._axes) is Axes else carried(t._axes, made))
    count = len(made.indices)
    part = _groups(e, term, made)
    groups = tuple((tuple(n + count for n in places), odd) for places, odd in part)
    return kept(t, _bracketed(t._backend, t._array, part), declare(made, groups))
