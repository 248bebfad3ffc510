"""Inspection: what a backend offers, as the standard's `__array_namespace_info__` says it."""

from __future__ import annotations

from typing import Any

from tensoria.discovery import get
from tensoria.dtypes import DTYPES, DType, int64
from tensoria.errors import DTypeError
from tensoria.namespace.data_types import isdtype

__all__ = ["NamespaceInfo"]

BEYOND = frozenset(("float16", "bfloat16"))
"""Data types that the standard does not know."""
NUMBERS = {"real floating": 0.0, "complex floating": 0j, "integral": 0}


class NamespaceInfo:
    """What one backend offers: devices, data types, capabilities."""

    def __init__(self, backend: str) -> None:
        self._backend = get(backend)

    def capabilities(self) -> dict[str, Any]:
        """What is optional in the standard, and whether it is there."""
        return {
            "boolean indexing": True,
            "data-dependent shapes": True,
            "max dimensions": self._backend.max_dimensions,
        }

    def default_device(self) -> str:
        """The device on which tensors are made."""
        return self._backend.device(self._backend.asarray(0, None, None, None))

    def default_dtypes(self, *, device: str | None = None) -> dict[str, DType]:
        """The data types that Python's numbers become."""
        backend = self._backend
        found = {kind: backend.dtype(backend.asarray(x, None, device, None)) for kind, x in NUMBERS.items()}
        return {**found, "indexing": int64}

    def devices(self) -> tuple[str, ...]:
        """The names of all devices."""
        return tuple(self._backend.devices())

    def dtypes(self, *, device: str | None = None, kind: Any = None) -> dict[str, DType]:
        """The standard's data types that the backend has, by name.

        Args:
            device: makes no difference.
            kind: only those of a kind (or of several), as in `isdtype`.
        """
        return {
            name: of
            for name, of in DTYPES.items()
            if name not in BEYOND and self._has(of) and (kind is None or isdtype(of, kind))
        }

    def _has(self, of: DType) -> bool:
        try:
            self._backend.native_dtype(of)
        except DTypeError:
            return False
        return True
