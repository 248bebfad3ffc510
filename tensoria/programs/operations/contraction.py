"""Sums of products: contractions by a pattern, and the matrix product."""

from __future__ import annotations

from tensoria.errors import ShapeError
from tensoria.planning import Pattern, SizeConflictError
from tensoria.programs.dimensions import Size
from tensoria.programs.operations.elementwise import broadcast
from tensoria.programs.operations.row import Operation, same_dtype
from tensoria.programs.types import Type

__all__ = ["ROWS"]


def _contract(*types: Type, pattern: Pattern) -> tuple[Type, ...]:
    same_dtype("contract", types)
    sizes: dict[int, Size] = {}
    leads = []
    for of, term in zip(types, pattern.terms, strict=True):
        lead = of.ndim - len(term)
        leads.append(of.shape[:lead])
        for label, size in zip(term, of.shape[lead:], strict=True):
            known = sizes.setdefault(label, size)
            if known == size:
                continue
            if label in pattern.strict or 1 not in (known, size):
                conflict = SizeConflictError(f"label {label} has the sizes {known} and {size}.")
                conflict.label, conflict.sizes = label, (known, size)  # type: ignore[assignment]
                raise conflict
            sizes[label] = size if known == 1 else known
    lead_shape = broadcast(leads, "leading axes")
    return (Type(types[0].dtype, (*lead_shape, *(sizes[label] for label in pattern.out))),)


def _matmul(x1: Type, x2: Type) -> tuple[Type, ...]:
    same_dtype("matmul", (x1, x2))
    if not x1.shape or not x2.shape:
        raise ShapeError(f"matmul of the shapes {x1.shape} and {x2.shape}.", legal="a * b")
    inner = x2.shape[-2] if x2.ndim > 1 else x2.shape[0]
    if x1.shape[-1] != inner:
        raise ShapeError(f"matmul of the shapes {x1.shape} and {x2.shape}: {x1.shape[-1]} against {inner}.")
    lead = broadcast((x1.shape[:-2], x2.shape[:-2]), "matmul")
    rows = x1.shape[-2:-1] if x1.ndim > 1 else ()
    columns = x2.shape[-1:] if x2.ndim > 1 else ()
    return (Type(x1.dtype, (*lead, *rows, *columns)),)


ROWS = {
    row.name: row
    for row in (
        Operation(
            "contract",
            ("arrays*",),
            "products summed over every label that the result has not; leading axes broadcast",
            _contract,
            ("pattern",),
        ),
        Operation("matmul", ("x1", "x2"), "matrix product over the last two axes, the others broadcast", _matmul),
    )
}
"""The operations of this chapter, by name."""
