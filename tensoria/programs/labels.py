"""Labels as plain data, so that a file can hold them, and read again with every check that declaring them has."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from tensoria.errors import TensoriaError
from tensoria.indices import Axes, Index, axes
from tensoria.planning import Pattern, pattern
from tensoria.spaces import Basis, ProductSpace, Space, bond_of

__all__ = ["axes_data", "axes_from", "pattern_data", "pattern_from"]

Data = Any
_TOKEN = re.compile(r"[0-9a-f]{32}\Z")


def axes_data(of: Axes) -> Data:
    """Axes as lists, dictionaries, strings and numbers."""
    return [
        [index.name, index.variance, None if index.basis is None else _basis_data(index.basis)] for index in of.indices
    ]


def axes_from(data: Data) -> Axes:
    """The axes that `axes_data` described.

    Raises:
        TensoriaError: the data describe none.
    """
    made = [Index(name, None if basis is None else _basis(basis), variance or 1) for name, variance, basis in data]
    return axes(tuple(made))


def _basis_data(basis: Basis) -> Data:
    return {"space": _space_data(basis.space), "name": basis.name, "matrix": _matrix_data(basis.matrix)}


def _basis(data: Data) -> Basis:
    space = _space(data["space"])
    return space.standard if data["name"] is None else space.basis(data["name"], _matrix(data["matrix"]))


def _space_data(space: Space) -> Data:
    if isinstance(space, ProductSpace):
        return {"factors": [[_basis_data(basis), variance] for basis, variance in space.factors]}
    return {
        "name": space.name, "dimension": space.dimension, "field": space.field, "position": space.position,
        "metric": _matrix_data(space.metric), "privileged": space.privileged, "bilinear": space.bilinear,
        "conjugated": space.conjugated, "token": space.token,
    }  # fmt: skip


def _space(data: Data) -> Space:
    if "factors" in data:
        return ProductSpace([(_basis(basis), variance) for basis, variance in data["factors"]])
    facts = {name: data[name] for name in ("field", "position", "privileged", "bilinear")}
    metric = _matrix(data["metric"])
    if data["conjugated"] and metric is not None:
        metric = metric.conj()
    space = Space(data["name"], data["dimension"], metric=metric, **facts)
    if data["token"] is not None:
        if not isinstance(data["token"], str) or not _TOKEN.match(data["token"]):
            raise TensoriaError(f"{data['token']!r} marks no bond space.")
        space = bond_of(space, data["token"])
    return space.conj() if data["conjugated"] else space


def _matrix_data(matrix: np.ndarray[Any, Any] | None) -> Data:
    if matrix is None:
        return None
    values = np.asarray(matrix)
    parts = {"real": values.real.tolist()}
    return {**parts, "imag": values.imag.tolist()} if np.iscomplexobj(values) else parts


def _matrix(data: Data) -> np.ndarray[Any, Any] | None:
    if data is None:
        return None
    real = np.asarray(data["real"], dtype=np.float64)
    return real + 1j * np.asarray(data["imag"], dtype=np.float64) if "imag" in data else real


def pattern_data(of: Pattern) -> Data:
    """A contraction's pattern as lists of numbers."""
    return {"terms": list(map(list, of.terms)), "out": list(of.out), "strict": sorted(of.strict),
            "symbols": list(map(list, of.symbols))}  # fmt: skip


def pattern_from(data: Data) -> Pattern:
    """The pattern that `pattern_data` described."""
    return pattern(
        tuple(tuple(map(int, term)) for term in data["terms"]),
        tuple(map(int, data["out"])),
        frozenset(map(int, data["strict"])),
        tuple(tuple(map(int, group)) for group in data["symbols"]),
    )
