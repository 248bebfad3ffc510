"""The standard's signatures of the functions that `dispatch` makes, one row each.

A made function passes most of its arguments on, so that Python could not say what it takes; these rows say it, to
`inspect.signature`, `help` and editors.
"""

from __future__ import annotations

import ast
from inspect import Parameter, Signature
from typing import Any, Final

__all__ = ["ROWS", "signature"]

ROWS: Final[dict[str, str]] = {
    # creation
    "meshgrid": "*arrays, indexing='xy'",
    "tril": "x, /, *, k=0",
    "triu": "x, /, *, k=0",
    # indexing
    "take_along_axis": "x, indices, /, *, axis=-1",
    # linear algebra
    "matrix_transpose": "x, /",
    "tensordot": "x1, x2, /, *, axes=2",
    "vecdot": "x1, x2, /, *, axis=-1",
    # manipulation
    "broadcast_arrays": "*arrays",
    "broadcast_to": "x, /, shape",
    "expand_dims": "x, /, axis",
    "flip": "x, /, *, axis=None",
    "moveaxis": "x, source, destination, /",
    "repeat": "x, repeats, /, *, axis=None",
    "roll": "x, /, shift, *, axis=None",
    "squeeze": "x, /, axis",
    "tile": "x, repetitions, /",
    "unstack": "x, /, *, axis=0",
    # searching, sets, sorting
    "argmax": "x, /, *, axis=None, keepdims=False",
    "argmin": "x, /, *, axis=None, keepdims=False",
    "count_nonzero": "x, /, *, axis=None, keepdims=False",
    "nonzero": "x, /",
    "searchsorted": "x1, x2, /, *, side='left', sorter=None",
    "isin": "x1, x2, /, *, invert=False",
    "unique_all": "x, /",
    "unique_counts": "x, /",
    "unique_inverse": "x, /",
    "unique_values": "x, /",
    "argsort": "x, /, *, axis=-1, descending=False, stable=True",
    "sort": "x, /, *, axis=-1, descending=False, stable=True",
    # statistical, utility
    "cumulative_sum": "x, /, *, axis=None, dtype=None, include_initial=False",
    "cumulative_prod": "x, /, *, axis=None, dtype=None, include_initial=False",
    "max": "x, /, *, axis=None, keepdims=False",
    "mean": "x, /, *, axis=None, keepdims=False",
    "min": "x, /, *, axis=None, keepdims=False",
    "prod": "x, /, *, axis=None, dtype=None, keepdims=False",
    "std": "x, /, *, axis=None, correction=0.0, keepdims=False",
    "sum": "x, /, *, axis=None, dtype=None, keepdims=False",
    "var": "x, /, *, axis=None, correction=0.0, keepdims=False",
    "all": "x, /, *, axis=None, keepdims=False",
    "any": "x, /, *, axis=None, keepdims=False",
    "diff": "x, /, *, axis=-1, n=1, prepend=None, append=None",
    # the extension linalg
    "linalg.cholesky": "x, /, *, upper=False",
    "linalg.cross": "x1, x2, /, *, axis=-1",
    "linalg.det": "x, /",
    "linalg.diagonal": "x, /, *, offset=0",
    "linalg.eig": "x, /",
    "linalg.eigh": "x, /",
    "linalg.eigvals": "x, /",
    "linalg.eigvalsh": "x, /",
    "linalg.inv": "x, /",
    "linalg.matrix_norm": "x, /, *, keepdims=False, ord='fro'",
    "linalg.matrix_power": "x, n, /",
    "linalg.matrix_rank": "x, /, *, rtol=None",
    "linalg.outer": "x1, x2, /",
    "linalg.pinv": "x, /, *, rtol=None",
    "linalg.qr": "x, /, *, mode='reduced'",
    "linalg.slogdet": "x, /",
    "linalg.solve": "x1, x2, /",
    "linalg.svd": "x, /, *, full_matrices=True",
    "linalg.svdvals": "x, /",
    "linalg.trace": "x, /, *, offset=0, dtype=None",
    "linalg.vector_norm": "x, /, *, axis=None, keepdims=False, ord=2",
    # the extension fft
    "fft.fft": "x, /, *, n=None, axis=-1, norm='backward'",
    "fft.ifft": "x, /, *, n=None, axis=-1, norm='backward'",
    "fft.fftn": "x, /, *, s=None, axes=None, norm='backward'",
    "fft.ifftn": "x, /, *, s=None, axes=None, norm='backward'",
    "fft.rfft": "x, /, *, n=None, axis=-1, norm='backward'",
    "fft.irfft": "x, /, *, n=None, axis=-1, norm='backward'",
    "fft.rfftn": "x, /, *, s=None, axes=None, norm='backward'",
    "fft.irfftn": "x, /, *, s=None, axes=None, norm='backward'",
    "fft.hfft": "x, /, *, n=None, axis=-1, norm='backward'",
    "fft.ihfft": "x, /, *, n=None, axis=-1, norm='backward'",
    "fft.fftshift": "x, /, *, axes=None",
    "fft.ifftshift": "x, /, *, axes=None",
}


def signature(name: str) -> Signature | None:
    """The signature of a function with a row; None where Python reads it off the function itself.

    >>> signature("sum")
    <Signature (x, /, *, axis=None, dtype=None, keepdims=False)>
    """
    row = ROWS.get(name)
    if row is None:
        return None
    found: list[Parameter] = []
    kind: Any = Parameter.POSITIONAL_OR_KEYWORD
    for part in row.split(", "):
        label, _, default = part.partition("=")
        if part == "/":
            found = [p.replace(kind=Parameter.POSITIONAL_ONLY) for p in found]
        elif part == "*":
            kind = Parameter.KEYWORD_ONLY
        elif part.startswith("*"):
            found.append(Parameter(part[1:], Parameter.VAR_POSITIONAL))
            kind = Parameter.KEYWORD_ONLY
        else:
            found.append(Parameter(label, kind, default=ast.literal_eval(default) if default else Parameter.empty))
    return Signature(found)
