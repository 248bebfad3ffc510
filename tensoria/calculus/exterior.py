"""Exterior calculus of fields: d, the codifferential, the Laplacian of de Rham, pullback and pushforward along maps.

A field is a function of coordinates (see `calculus.fields`): a form's components belong to the coordinate basis, and a
0-form is a plain tensor, one number for each point. d needs no metric and no connection; what needs a metric takes a
field of metrics, or without one the metric that the space declares, which is then the same at every point.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tensoria.algebra.exterior import hodge
from tensoria.algebra.forms import pulled, pushed, scalar_multiple, slots_of
from tensoria.algebra.raising import slots
from tensoria.algebra.symmetry import form
from tensoria.calculus.fields import Field, Jet, Points, field, jet, value_at
from tensoria.core import BaseTensor, kept
from tensoria.declared import declare
from tensoria.errors import AxisError, ModeError, ShapeError, SpaceError
from tensoria.indices import Axes, Index, axes, primed
from tensoria.permuting import shuffled
from tensoria.spaces import Basis, Space, frame
from tensoria.structure import structural
from tensoria.tensor import Tensor

__all__ = ["codifferential", "exterior_derivative", "laplace_de_rham", "pullback", "pushforward"]

Map = Callable[[Tensor], Tensor]


def exterior_derivative(w: Field, index: Index | str | None = None) -> Field:
    """The exterior derivative of a form: (dw)_ab... = d_a w_b... - d_b w_a... + ..., that is (k + 1) d_[a w_b...].

    Args:
        w: a field of k-forms in the coordinate basis.
        index: the new index, which comes first, or its name; the first index's name primed, if not given. A 0-form
            does not know its space, and needs it.

    Returns:
        The field of (k + 1)-forms.

    Raises:
        SymmetryError: (when called) the field's values are not antisymmetric.
        AxisError: (when called) a 0-form is differentiated without an index.
        ShapeError: (when called) the space has another dimension than there are coordinates.

    >>> import tensoria as tn
    >>> i, = tn.indices("i", tn.Space("M", 2))
    >>> df = exterior_derivative(lambda x: x[..., 0] ** 2 * x[..., 1], -i)
    >>> df(tn.asarray([1., 2.])).array
    array([4., 1.])
    >>> float(abs(exterior_derivative(df)(tn.asarray([1., 2.])).components).array.max())
    0.0
    """

    def compute(points: Points) -> Tensor:
        found = jet(_antisymmetric(w, "the exterior derivative"), points, 1)
        made, before = _differentiated(found.axes, index, points.n)
        backend, first = points.backend, found.first
        count = first.ndim - 1
        order = (*range(1 + before), count, *range(1 + before, count))
        array = backend.kernels.transpose(first._array, order)
        places = list(range(1 + before, count + 1))
        array = shuffled(backend, array, places[:1], places[1:])
        return _placed(points, array, made)

    return field(compute)


def _antisymmetric(w: Field, what: str) -> Field:
    def seen(x: Any) -> Any:
        value = w(x)
        return form(value, slots_of(value), what) if isinstance(value, BaseTensor) else value

    return seen


def _placed(points: Points, array: Any, of: Axes) -> Tensor:
    """A row for each point as a field's value, with its declared symmetries."""
    made = points.placed(Tensor.from_parts(array, axes(()), points.backend), axes(of))
    return kept(made, made._array, of)


@structural
def _differentiated(of: Axes, index: Index | str | None, n: int) -> tuple[Axes, int]:
    """The derivative's axes, and how many plain names stand before its new index."""
    bare = [i for i in of.indices if i.basis is None]
    form_slots = [i for i in of.indices if i.basis is not None]
    if list(of.indices) != bare + form_slots:
        raise AxisError(f"plain axes come before the indices of a form; this one has {of}.")
    if form_slots:
        for slot in form_slots:
            if slot.variance > 0:
                raise AxisError(f"{slot!r} is up; a form has down indices.", legal=f'w(x).lowered("{slot.name}")')
            if slot.basis is not form_slots[0].basis:
                raise SpaceError(f"{form_slots[0]!r} and {slot!r} range over different spaces; a form has one.")
        basis = form_slots[0].basis
        if isinstance(index, Index) and index.basis is not basis:
            raise SpaceError(f"the form is over {basis}, and the new index is {index!r}.")
        name = index.name if isinstance(index, Index) else index or primed(form_slots[0].name, of.names)
    elif isinstance(index, Index) and index.basis is not None:
        basis, name = index.basis, index.name
    else:
        raise AxisError(
            "the derivative of a 0-form has an index over a space that the 0-form does not know.",
            legal="tn.exterior_derivative(f, -i)",
        )
    new = Index(name.lstrip("_"), basis, -1)
    assert basis is not None
    if basis.dimension != n:
        raise ShapeError(f"there are {n} coordinates, and {basis} has dimension {basis.dimension}.")
    made = axes((*bare, new, *form_slots))
    places = tuple(range(len(bare), len(made.indices)))
    return declare(made, ((places, True),)), len(bare)


def codifferential(w: Field, metric: Field | None = None) -> Field:
    """The codifferential: delta w = (-1)^(n (k + 1) + 1) sgn(g) * d * w, the adjoint of d.

    In other words (d a, b) = (a, delta b) for the inner product of fields, and (delta w)_b... = -nabla^a w_ab....

    Args:
        w: a field of k-forms; delta of a 0-form is zero.
        metric: a field of metrics; the space's own metric, the same at every point, if not given.

    Returns:
        The field of (k - 1)-forms.

    Raises:
        SymmetryError, MetricError: (when called) as for `hodge`.

    >>> import tensoria as tn
    >>> i, = tn.indices("i", tn.Space("M", 2, metric=[1, 1]))
    >>> float(codifferential(lambda x: (x**2)[..., -i])(tn.asarray([1., 2.])))  # minus the divergence
    -6.0
    """

    def compute(points: Points) -> Tensor:
        value = _at(_antisymmetric(w, "the codifferential"), points)
        names = [value._axes.names[n] for n in slots_of(value)]
        if not names:
            return points.placed(value.components * 0, value._axes)
        basis = value._axes.indices[slots_of(value)[0]].basis
        assert basis is not None
        n = points.n
        star = _starred(w, metric, None)
        turned = exterior_derivative(star, Index(primed(names[0], names), basis, -1))
        result = _starred(turned, metric, tuple(names[1:]))(points.x)
        sign = _signature(basis, metric, points)
        if (n * (len(names) + 1) + 1) % 2:
            result = -result
        result = scalar_multiple(result, sign) if isinstance(sign, BaseTensor) else sign * result
        return _placed(points, result._array, result._axes)

    return field(compute)


def _at(w: Field, points: Points) -> Tensor:
    """A field's value, one row for each point, labelled."""
    value, of, _ = value_at(w, points.x)
    return kept(value, value._array, of)


def _starred(w: Field, metric: Field | None, into: tuple[str, ...] | None) -> Field:
    def star(x: Any) -> Tensor:
        points = Points(x)
        value = _at(w, points)
        return hodge(value, into=into, metric=None if metric is None else _at(metric, points))

    return star


def _signature(basis: Basis, metric: Field | None, points: Points) -> Any:
    """The sign of the metric's determinant: a number, or one for each point."""
    if metric is None:
        return float(np.sign(np.linalg.det(basis.gram).real))
    g = _at(metric, points)
    slots(g)
    xp = points.backend.xp
    return Tensor.from_parts(xp.sign(xp.linalg.det(g._array)), axes(()), points.backend)


def laplace_de_rham(w: Field, metric: Field | None = None, index: Index | None = None) -> Field:
    """The Laplacian of de Rham, d delta + delta d; on functions of Euclidean space minus the sum of second derivatives.

    Args:
        w: a field of k-forms.
        metric: as for `codifferential`.
        index: for a 0-form without `metric`, an index over its space.

    >>> import tensoria as tn
    >>> i, = tn.indices("i", tn.Space("M", 2, metric=[1, 1]))
    >>> float(laplace_de_rham(lambda x: x[..., 0] ** 2 * x[..., 1], index=-i)(tn.asarray([1., 2.])))
    -4.0
    """

    def compute(points: Points) -> Tensor:
        value = _at(w, points)
        names = [value._axes.names[n] for n in slots_of(value)]
        new = index
        if not names and metric is not None and index is None:
            new = Index("i", slots(_at(metric, points))[0].basis, -1)
        parts: list[Tensor] = []
        if len(names) < points.n:
            parts.append(codifferential(exterior_derivative(w, None if names else new), metric)(points.x))
        if names:
            first = value._axes.indices[slots_of(value)[0]]
            parts.append(exterior_derivative(codifferential(w, metric), first)(points.x))
        result = parts[0] if len(parts) == 1 else parts[0] + parts[1]
        return _placed(points, result._array, result._axes)

    return field(compute)


def pullback(by: Any, w: Any, source: Space | Basis | None = None) -> Any:
    """A covariant tensor pulled back by a linear map, or a field of them along a map of coordinates.

    Args:
        by: a linear map A^u_v, a tensor; or phi, a function from coordinates (..., m) to coordinates (..., n), whose
            Jacobian is the linear map at each point.
        w: a tensor with down indices over the map's target; for a function, a field of them, or of 0-forms.
        source: for a function, the space of the result's indices; that of w's, if not given.

    Returns:
        (phi* w)_a...(x) = w_u...(phi(x)) d_a phi^u ...; indices over other spaces, and all names, stay.

    Raises:
        VarianceError: an index over the map's target is up: vectors push forward.
        SpaceError: there is no index over it.
        ShapeError: (when called) coordinates and dimensions differ.

    >>> import tensoria as tn
    >>> i, j = tn.indices("i j", tn.Space("V", 2))
    >>> pullback(tn.tensor([[1., 2.], [0., 1.]], [i, -j]), tn.tensor([5., 6.], [-i])).array
    array([ 5., 16.])
    >>> area = pullback(lambda x: x**2, lambda y: tn.tensor([[0., 1.], [-1., 0.]], [-i, -j]))
    >>> area(tn.asarray([1., 3.])).array
    array([[  0.,  12.],
           [-12.,   0.]])
    """
    if isinstance(by, BaseTensor):
        return pulled(by, w)

    def compute(points: Points) -> Tensor:
        found = _mapped(by, points)
        value = _at(w, Points(found.value))
        places = slots_of(value)
        if not places:
            return points.placed(value.components, value._axes)
        target = value._axes.indices[places[0]].basis
        assert target is not None
        jacobian = _jacobian(found, target, _source(source, target, points.n), points)
        result = pulled(jacobian, value)
        return _placed(points, result._array, result._axes)

    return field(compute)


def pushforward(by: Any, v: Any, target: Space | Basis | None = None) -> Any:
    """A contravariant tensor pushed forward by a linear map, or a field of them along a map of coordinates.

    Args:
        by: a linear map A^u_v, a tensor; or phi, a function from coordinates (..., m) to coordinates (..., n).
        v: a tensor with up indices over the map's source; for a function, a field of them.
        target: for a function, the space of the result's indices; that of v's, if not given.

    Returns:
        (phi_* v)^u... = d_a phi^u ... v^a...; for a function, a field *along* phi: its value at x belongs to the point
        phi(x).

    Raises:
        VarianceError: an index over the map's source is down: covectors pull back.
        SpaceError: there is no index over it.
        ShapeError: (when called) coordinates and dimensions differ.

    >>> import tensoria as tn
    >>> i, = tn.indices("i", tn.Space("V", 2))
    >>> pushforward(lambda x: x**2, lambda x: tn.tensor([1., 1.], [i]))(tn.asarray([1., 3.])).array
    array([2., 6.])
    """
    if isinstance(by, BaseTensor):
        return pushed(by, v)

    def compute(points: Points) -> Tensor:
        found, value = _mapped(by, points), _at(v, points)
        places = slots_of(value)
        if not places:
            raise SpaceError("a 0-form does not push forward; it pulls back.", legal="tn.pullback(phi, f)")
        source = value._axes.indices[places[0]].basis
        assert source is not None
        jacobian = _jacobian(found, _source(target, source, found.value.shape[-1]), source, points)
        result = pushed(jacobian, value)
        return _placed(points, result._array, result._axes)

    return field(compute)


COORDINATE = "coordinate"
"""The plain axis of a map's values, which are coordinates and no vector."""


def _mapped(phi: Map, points: Points) -> Jet:
    """A map's values, of shape (points, n), and its derivatives, of shape (points, n, m)."""

    def labelled(x: Tensor) -> Tensor:
        y = phi(x)
        if not isinstance(y, Tensor) or y.is_labelled or y.ndim != 2:
            shown = f"the axes {y.axes}" if isinstance(y, Tensor) and y.is_labelled else "another shape"
            raise ModeError(
                f"a map takes coordinates of shape (points, {points.n}) to coordinates of shape (points, n), which are "
                f"a plain tensor; this one's value has {shown}.",
                legal="tn.stack([f(x), g(x)], axis=-1)",
            )
        return y[..., COORDINATE]

    return jet(labelled, points, 1)


def _source(given: Space | Basis | None, other: Basis, n: int | None) -> Basis:
    basis = other if given is None else frame(given)
    if basis.dimension != n:
        raise ShapeError(
            f"there are {n} coordinates, and {basis} has dimension {basis.dimension}.",
            legal="name the space on the other side of the map: tn.pullback(phi, w, M), tn.pushforward(phi, v, M)",
        )
    return basis


def _jacobian(found: Jet, target: Basis, source: Basis, points: Points) -> Tensor:
    if found.first.shape[-2] != target.dimension or found.first.shape[-1] != source.dimension:
        raise ShapeError(
            f"the map leads from {found.first.shape[-1]} to {found.first.shape[-2]} coordinates, and the spaces are "
            f"{source} and {target}."
        )
    return Tensor.from_parts(found.first._array, axes((Index("u", target, 1), Index("v", source, -1))), points.backend)
