"""Moving an array from one backend to another: in the memory it has where the frameworks can share it, else copied."""

from __future__ import annotations

import contextlib

import numpy as np

from tensoria.backend import Array, Backend
from tensoria.discovery import home
from tensoria.errors import ConversionError

__all__ = ["convert"]


def convert(array: Array, source: Backend, target: Backend, copy: bool | None = None) -> Array:
    """One backend's array as another's: by DLPack where the frameworks allow it, else by a copy through the host.

    It is made where `tensoria.use` says, else where the array is if the frameworks can share it there.

    Raises:
        ConversionError: the array carries a history of derivatives, which the move would cut; or `copy=False` and
            the frameworks can not share this memory.
    """
    if source is target:
        return array
    if source.requires_grad(array):
        raise ConversionError(
            f"a tensor that requires grad can not move from {source.name} to {target.name}: its history would be lost.",
            legal=f"t.detach().to(backend={target.name!r})",
        )
    target.native_dtype(source.dtype(array))  # a data type that the target lacks is an error, never another one
    shared = None if copy is True else target.import_array(array, source)
    if copy is False:
        if shared is None:
            with contextlib.suppress(ConversionError):
                shared = target.asarray(source.to_numpy(array), None, None, False)
        if shared is None or not _is_shared(array, source, shared, target):
            raise ConversionError(
                f"{source.name} and {target.name} can not share this array; copy=False is impossible."
            )
        return shared
    where = home(target)
    if shared is None:
        return target.asarray(source.to_numpy(array), source.dtype(array), where, True)
    if where is not None and target.device(shared) != where:
        return target.to_device(shared, where)
    # What is written to in the one must not show in an immutable tensor of the other.
    return shared if source.immutable is target.immutable else target.unshared(shared)


def _is_shared(array: Array, source: Backend, made: Array, target: Backend) -> bool:
    """Whether an array that was made of another one shows the same memory, as far as NumPy can tell in the host's."""
    if target.dtype(made) is not source.dtype(array):
        return False
    if source.device(array) != "cpu" or not all(made.shape):
        return True
    before, after = source.to_numpy(array), target.to_numpy(made)
    if np.shares_memory(before, after):
        return True
    # Where NumPy gets copies of both (bfloat16), the import by DLPack is believed.
    return not np.shares_memory(before, source.to_numpy(array)) and not np.shares_memory(after, target.to_numpy(made))
