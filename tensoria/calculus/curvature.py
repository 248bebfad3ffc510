"""Curvature: Riemann, Ricci, scalar, Einstein and Weyl tensors of a metric field, and the Kretschmann scalar.

The conventions are those of Misner, Thorne and Wheeler:

    R^a_bcd = d_c G^a_db - d_d G^a_cb + G^a_ce G^e_db - G^a_de G^e_cb,    R_bd = R^a_bad.

With all indices down the same is

    R_abcd = (d_b d_c g_ad + d_a d_d g_bc - d_a d_c g_bd - d_b d_d g_ac) / 2 + G_ebc G^e_ad - G_ebd G^e_ac,

which needs no derivative of the inverse metric: one forward pass over g, g' and g'' is all that is differentiated, and
`curvature` shares it between all tensors that are asked of it.
"""

from __future__ import annotations

from typing import Any

from tensoria.calculus.fields import Field, Points, contracted, field, jet, permuted, value_at
from tensoria.calculus.metric_field import Geometry, geometry, lower_christoffel
from tensoria.errors import SpaceError
from tensoria.indices import Axes, Index, axes, primed
from tensoria.namespace.manipulation import reshape
from tensoria.structure import structural
from tensoria.tensor import Tensor

__all__ = ["Curvature", "curvature", "einstein", "kretschmann", "ricci", "riemann", "scalar_curvature", "weyl"]


class Curvature:
    """A metric's curvature at points; what is asked for is computed once, and from what is there.

    With the metric's indices _i _j, Riemann and Weyl tensors have ^i _j _i' _j', Ricci and Einstein tensors _i _j.
    """

    def __init__(self, found: Geometry, points: Points) -> None:
        self._geometry, self._points = found, points
        self._made: dict[str, Tensor] = {}

    def _once(self, name: str) -> Tensor:
        if name not in self._made:
            self._made[name] = _PARTS[name](self)
        return self._made[name]

    def _placed(self, name: str, labels: str) -> Tensor:
        return self._points.placed(self._once(name), _labels(self._geometry.indices, labels))

    @property
    def riemann(self) -> Tensor:
        """The Riemann tensor R^a_bcd."""
        return self._placed("riemann", "^___")

    @property
    def ricci(self) -> Tensor:
        """The Ricci tensor R_bd = R^a_bad."""
        return self._placed("ricci", "__")

    @property
    def scalar(self) -> Tensor:
        """The scalar curvature R = g^bd R_bd."""
        return self._placed("scalar", "")

    @property
    def einstein(self) -> Tensor:
        """The Einstein tensor R_bd - R g_bd / 2."""
        return self._placed("einstein", "__")

    @property
    def weyl(self) -> Tensor:
        """The Weyl tensor C^a_bcd, the part of the Riemann tensor without traces.

        Raises:
            SpaceError: there are fewer than three dimensions.
        """
        return self._placed("weyl", "^___")

    @property
    def kretschmann(self) -> Tensor:
        """The Kretschmann scalar R_abcd R^abcd."""
        return self._placed("kretschmann", "")


def _lowered(c: Curvature) -> Tensor:
    found = c._geometry
    assert found.second is not None
    below = lower_christoffel(found.first)
    above = contracted("nfe,nebc->nfbc", found.inverse, below)
    half = 0.5 * permuted(found.second, (0, 1, 3, 4, 2))  # (a, b, c, d): d_b d_c g_ad / 2
    part = half + permuted(half, (0, 2, 1, 4, 3)) + contracted("nebc,nead->nabcd", below, above)
    return part - permuted(part, (0, 1, 2, 4, 3))


def _ricci(c: Curvature) -> Tensor:
    found = c._geometry
    if "lowered" in c._made:
        return contracted("nac,nabcd->nbd", found.inverse, c._made["lowered"])
    # The same contraction term by term, without the tensor of rank four.
    assert found.second is not None
    up, below, n = found.inverse, lower_christoffel(found.first), c._points.n
    flat = reshape(up, (-1, n * n, 1))
    pairs = reshape(found.second, (-1, n * n, n * n))
    traced = reshape(pairs @ flat, (-1, n, n)) + reshape(flat.mT @ pairs, (-1, n, n))
    cross = contracted("nadbc,nac->nbd", found.second, up)
    above = contracted("nfe,nebc->nfbc", up, below)
    trace = contracted("nac,neac->ne", up, above)
    # g^ac G_ebc G^e_ad and g^ac G_ebd G^e_ac
    turned = contracted("nacb,ncad->nbd", contracted("nebc,nac->naeb", below, up), above)
    return 0.5 * (cross + cross.mT - traced) + turned - contracted("ne,nebd->nbd", trace, below)


def _scalar(c: Curvature) -> Tensor:
    return contracted("nbd,nbd->n", c._geometry.inverse, c._once("ricci"))


def _einstein(c: Curvature) -> Tensor:
    return c._once("ricci") - 0.5 * c._once("scalar")[:, None, None] * c._geometry.g


def _weyl(c: Curvature) -> Tensor:
    n = c._points.n
    if n < 3:
        raise SpaceError(f"a Weyl tensor needs three dimensions; {c._geometry.basis} has {n}.", legal="tn.riemann(g)")
    g, ricci = c._geometry.g, c._once("ricci")
    # Schouten's tensor: R_abcd = C_abcd + (the Kulkarni-Nomizu product of it and the metric).
    schouten = (ricci - (0.5 / (n - 1)) * c._once("scalar")[:, None, None] * g) / (n - 2)
    part = contracted("nac,nbd->nabcd", g, schouten)
    part = part + permuted(part, (0, 2, 1, 4, 3))
    lowered = c._once("lowered") - part + permuted(part, (0, 1, 2, 4, 3))
    return contracted("nea,nabcd->nebcd", c._geometry.inverse, lowered)


def _kretschmann(c: Curvature) -> Tensor:
    up, mixed = c._geometry.inverse, c._once("riemann")
    # R^a_b^cd, from which R_abcd R^abcd = R^a_b^cd R_a^b_cd, and the latter is R^b_a with both moved.
    twice = contracted("nabcd,nce,ndf->nabef", mixed, up, up)
    return -contracted("nabcd,nbacd->n", twice, mixed)


_PARTS = {
    "lowered": _lowered,
    "riemann": lambda c: contracted("nea,nabcd->nebcd", c._geometry.inverse, c._once("lowered")),
    "ricci": _ricci,
    "scalar": _scalar,
    "einstein": _einstein,
    "weyl": _weyl,
    "kretschmann": _kretschmann,
}
"""How each part is made of others; plain tensors with one row for each point."""


@structural
def _labels(of: tuple[Index, Index], marks: str) -> Axes:
    """The indices of a curvature tensor: the metric's names in turn, primed where they are taken."""
    found: list[Index] = []
    for number, mark in enumerate(marks):
        name = primed(of[number % 2].name, [index.name for index in found])
        found.append(Index(name, of[0].basis, 1 if mark == "^" else -1))
    return axes(tuple(found))


def curvature(metric: Field) -> Field:
    """All curvature of a metric field: its value has `riemann`, `ricci`, `scalar`, `einstein`, `weyl`, `kretschmann`.

    Args:
        metric: a function of coordinates, of shape (points, n), with values g_ij (two down indices).

    Returns:
        A function of coordinates of shape (..., n), with a `Curvature` as value.

    Raises:
        MetricError: (when called) the field is no metric, or singular at a point.

    Source: Misner, Thorne, Wheeler, Gravitation, eqs. 8.44 to 8.50 and 13.48 to 13.50.

    >>> import tensoria as tn
    >>> M = tn.Space("M", 2)
    >>> def sphere(x):
    ...     return tn.from_components([[4, 0], [0, 4 * tn.sin(x[..., 0]) ** 2]], "_i _j", i=M, j=M)
    >>> c = tn.curvature(sphere)(tn.asarray([1., 0.]))
    >>> c.riemann.axes, round(float(c.scalar), 12), round(float(c.kretschmann), 12)
    (Axes(^i _j _i' _j'), 0.5, 0.25)
    """
    return field(lambda points: Curvature(geometry(metric, points, 2), points))


def _part(metric: Field, name: str) -> Field:
    at = curvature(metric)

    def value(x: Any) -> Tensor:
        found: Tensor = getattr(at(x), name)
        return found

    return value


def riemann(of: Field) -> Field:
    """The Riemann tensor R^i_ji'j' of a metric field, or of a field of connections; arguments as for `curvature`.

    >>> import tensoria as tn
    >>> M = tn.Space("M", 2)
    >>> def sphere(x):
    ...     return tn.from_components([[1, 0], [0, tn.sin(x[..., 0]) ** 2]], "_i _j", i=M, j=M)
    >>> R = tn.riemann(sphere)(tn.asarray([1., 0.]))
    >>> round(float(R.array[0, 1, 0, 1] / tn.sin(tn.asarray(1.)).array ** 2), 12)
    1.0
    """

    def compute(points: Points) -> Tensor:
        basis = value_at(of, points.x[:1])[2]  # one point tells a connection from a metric
        if basis is None:
            return Curvature(geometry(of, points, 2), points).riemann
        found = jet(of, points, 1)
        gamma = found.value
        turned = permuted(found.first, (0, 1, 3, 4, 2)) + contracted("nace,nedb->nabcd", gamma, gamma)
        mixed = turned - permuted(turned, (0, 1, 2, 4, 3))
        return points.placed(mixed, _labels((Index("i", basis, -1), Index("j", basis, -1)), "^___"))

    return field(compute)


def ricci(metric: Field) -> Field:
    """The Ricci tensor R_ij of a metric field; arguments as for `curvature`."""
    return _part(metric, "ricci")


def scalar_curvature(metric: Field) -> Field:
    """The scalar curvature R of a metric field; arguments as for `curvature`."""
    return _part(metric, "scalar")


def einstein(metric: Field) -> Field:
    """The Einstein tensor R_ij - R g_ij / 2 of a metric field; arguments as for `curvature`."""
    return _part(metric, "einstein")


def weyl(metric: Field) -> Field:
    """The Weyl tensor C^i_ji'j' of a metric field in three or more dimensions; arguments as for `curvature`."""
    return _part(metric, "weyl")


def kretschmann(metric: Field) -> Field:
    """The Kretschmann scalar R_abcd R^abcd of a metric field; arguments as for `curvature`."""
    return _part(metric, "kretschmann")
