"""Making tensors: `asarray` adopts, `tensor` labels, `levi_civita` builds."""

from __future__ import annotations

from collections.abc import Sequence
from types import EllipsisType
from typing import Any

from tensoria.algebra import exterior, symmetry
from tensoria.backend import Array, Backend
from tensoria.casting import cast
from tensoria.conversion import convert
from tensoria.core import BaseTensor, labelled
from tensoria.declared import Groups
from tensoria.discovery import backend_of, current, get, home
from tensoria.dtypes import DType
from tensoria.dtypes import dtype as as_dtype
from tensoria.errors import ConversionError, NotationError, SpaceError
from tensoria.indices import PLAIN, Index, plain
from tensoria.literals import check_literal
from tensoria.notation import parse_term
from tensoria.spaces import Basis, Space, frame
from tensoria.structure import structural
from tensoria.tensor import Tensor

__all__ = ["asarray", "levi_civita", "levi_civita_symbol", "tensor"]


def asarray(
    data: Any,
    *,
    dtype: DType | str | None = None,
    device: str | None = None,
    copy: bool | None = None,
    backend: str | None = None,
) -> Tensor:
    """A plain tensor of numbers, nested lists, a native array or a tensor.

    Args:
        data: what to take. A native array is adopted as it is, without a copy: variables, parameters and other
            subclasses stay what they are.
        dtype: the data type, if it is to be another.
        device: such as `"cpu"` or `"cuda:1"`; by default where a native array is, else that of `tensoria.use`.
        copy: True copies always, False never (and raises where a copy is needed).
        backend: the backend's name; a native array's own, else the current one (`tensoria.use`).

    Raises:
        ConversionError: the data are no rectangular array of numbers, or `copy=False` is impossible.
        DTypeError: a number does not fit into the data type.
        BackendError: there is no such backend or device.

    >>> asarray([[1, 2], [3, 4]]).shape
    (2, 2)
    """
    array, found = _native(data, backend, dtype, device, copy)
    if type(data) is Tensor and array is data._array:
        return data  # the tensor itself, so that on immutable backends too both names see what is assigned to one
    return Tensor.from_parts(array, PLAIN, found)


def _native(
    data: Any, backend: str | None, dtype: DType | str | None, device: str | None, copy: bool | None
) -> tuple[Array, Backend]:
    if isinstance(data, BaseTensor):
        if data._axes is not PLAIN:
            raise ConversionError(
                f"asarray would drop the labels {data._axes} silently.", legal="t.components, or t.to(...)"
            )
        data = data._array
    if type(data).__name__ == "MaskedArray":
        raise ConversionError("a masked array would lose its mask.", legal="data.filled(0), and tn.where with the mask")
    owner = backend_of(data)
    target = get(backend) if backend is not None else owner or current()
    kind = None if dtype is None else as_dtype(dtype)
    if owner is None:
        plain_data = _plain_data(data)
        check_literal(plain_data, kind, target.tracing)
        return target.asarray(plain_data, kind, home(target, device), copy), target
    owner.dtype(data)  # what is no data type of ours is refused now, not at its first use
    fresh = copy
    if owner is not target:
        data, fresh = convert(data, owner, target, copy), None
    if kind is not None and target.dtype(data) is not kind:
        if copy is False:
            raise ConversionError(f"{target.dtype(data)} becomes {kind} by a copy only, and copy=False forbids it.")
        data, fresh = cast(target, data, kind), None
    if device is not None:
        data = target.to_device(data, device)
    return (target.copy(data) if fresh is True else data), target


def _plain_data(data: Any) -> Any:
    """Nested sequences with tensors in them taken apart; everything else as it is."""
    if isinstance(data, BaseTensor):
        return data._backend.to_numpy(data._unlabelled("asarray") if isinstance(data, Tensor) else data._array)
    if isinstance(data, (list, tuple)):
        return [_plain_data(item) for item in data]
    return data


def tensor(
    data: Any,
    indices: str | Sequence[Index | str | EllipsisType] | None = None,
    *,
    spaces: dict[str, Space | Basis] | None = None,
    dtype: DType | str | None = None,
    device: str | None = None,
    backend: str | None = None,
    **more: Space | Basis,
) -> Tensor:
    """A labelled tensor: data whose last axes carry indices.

    Args:
        data: numbers, nested lists, a native array or a plain tensor; adopted without a copy where possible.
        indices: `Index` objects (and names of plain axes), as `[i, -j]` or `["b", i]`, or a notation, as
            `"b ^i _j"`; a leading `...` leaves further leading axes anonymous. Brackets, `"_(i j)"` and `"_[i j]"`,
            declare that the data are symmetric, or antisymmetric; the data are looked at, and the tensor remembers.
        spaces: the spaces of a notation's marked names; `i=V, j=V` is shorthand for `spaces={"i": V, "j": V}`.
        dtype, device, backend: as in `asarray`.

    Raises:
        NotationError: the notation can not be read; a caret points at the place.
        SpaceError: a marked name has no space, or an unmarked one has.
        ShapeError: a size differs from the dimension of its space.
        AxisError: there are more or fewer indices than axes.
        SymmetryError: the data do not have a declared symmetry (to within `algebra.symmetry.TOLERANCE`).

    >>> V = Space("V", 2)
    >>> tensor([[1., 2.], [3., 4.]], "^i _j", i=V, j=V).axes
    Axes(^i _j)
    >>> (2 * tensor([[0., 1.], [-1., 0.]], "_[i j]", i=V, j=V)).notation
    '_[i j]'
    """
    plain_one = asarray(data, dtype=dtype, device=device, backend=backend)
    known = {**(spaces or {}), **more}
    if indices is None:
        if known:
            raise NotationError("spaces are given, and no indices.", legal='tn.tensor(data, "^i _j", i=V, j=V)')
        return plain_one
    groups: Groups = ()
    if isinstance(indices, str):
        dots, given, groups = _from_notation(indices, tuple(known.items()))
    else:
        if known:
            raise SpaceError("Index objects know their spaces; spaces= goes with a notation string.")
        dots = bool(indices) and indices[0] is Ellipsis
        given = tuple(_index(item) for item in indices[1 if dots else 0 :])
    if len(given) < plain_one.ndim and not dots:
        raise NotationError(
            f"{len(given)} indices for data with {plain_one.ndim} axes.",
            legal="name every axis, or begin with ... to leave leading axes anonymous",
            notation=indices if isinstance(indices, str) else None,
        )
    made = labelled(plain_one, given)
    return symmetry.declared(made, groups) if groups else made


def _index(item: Any) -> Index:
    if isinstance(item, Index):
        return item
    if isinstance(item, str):
        return plain(item)
    raise NotationError(f"an Index or the name of a plain axis is needed, not {type(item).__name__} {item!r}.")


@structural
def _from_notation(
    text: str, spaces: tuple[tuple[str, Space | Basis], ...]
) -> tuple[bool, tuple[Index, ...], Groups]:
    known = dict(spaces)
    term = parse_term(text)
    given = []
    for label in term.labels:
        if not label.mark:
            if label.name in known:
                raise NotationError(
                    f"{label.name!r} has a space and no mark.",
                    legal=f"^{label.name} (up) or _{label.name} (down)",
                    notation=text,
                    span=label.span,
                )
            given.append(plain(label.name))
        elif label.name not in known:
            raise SpaceError(
                f"no space is given for {label}.",
                legal=f"tn.tensor(data, {text!r}, {label.name}=V)",
                notation=text,
                span=label.span,
            )
        else:
            given.append(Index(label.name, frame(known[label.name]), 1 if label.mark == "^" else -1))
    unused = [name for name in known if name not in term.names]
    if unused:
        raise NotationError(f"a space is given for {unused[0]!r}, which the notation does not name.", notation=text)
    return term.ellipsis, tuple(given), tuple((group.positions, group.antisymmetric) for group in term.groups)


def levi_civita(
    *indices: Index, metric: Tensor | None = None, backend: str | None = None, dtype: DType | str = "float64"
) -> Tensor:
    """The Levi-Civita tensor: eps_{01...} = +sqrt(abs(det g)) in a positively oriented basis.

    Args:
        indices: one for each dimension of their space, all down (or all up: then raised by the metric).
        metric: a tensor to use instead of the space's own metric; its batch axes are the result's, its backend and its
            data type too.
        backend, dtype: where and how to make it otherwise.

    Raises:
        MetricError: the space has no metric.
        ShapeError: the number of indices is not the dimension.
        VarianceError: some are up and some are down.

    >>> import tensoria as tn
    >>> i, j = tn.indices("i j", Space("V", 2, metric=[[2, 1], [1, 3]]))
    >>> levi_civita(-i, -j).array.round(4)
    array([[ 0.    ,  2.2361],
           [-2.2361,  0.    ]])
    """
    if metric is not None:
        return exterior.volume(metric, indices)
    found = current() if backend is None else get(backend)
    return exterior.epsilon(Tensor, indices, found, as_dtype(dtype), tensor=True)


def levi_civita_symbol(*indices: Index, backend: str | None = None, dtype: DType | str = "float64") -> Tensor:
    """The permutation symbol with entries +1, -1, 0, which needs no metric: a density, not a tensor.

    Under a change of basis its entries have to stay what they are, and those of a tensor do not: use it for
    determinants, and `levi_civita` for volumes. Arguments as for `levi_civita`.
    """
    found = current() if backend is None else get(backend)
    return exterior.epsilon(Tensor, indices, found, as_dtype(dtype), tensor=False)
