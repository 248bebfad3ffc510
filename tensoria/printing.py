"""How tensors show themselves: as text, as LaTeX, as HTML in notebooks."""

from __future__ import annotations

from tensoria.backend import UNKNOWN
from tensoria.core import BaseTensor
from tensoria.indices import PLAIN
from tensoria.notation import latex

__all__ = ["as_html", "as_latex", "as_text"]


def header(t: BaseTensor) -> str:
    """One line: axes with their spaces, sizes, data type, backend and device."""
    where = t.backend if t.device in ("cpu", UNKNOWN) else f"{t.backend} on {t.device}"
    if t.engine != t.backend:
        where += f" by {t.engine}"
    sizes = "x".join("?" if n is None else str(n) for n in t.shape) or "scalar"
    if t._axes is PLAIN:
        return f"{sizes} {t.dtype}, {where}"
    dots = "... " * bool(t.lead)
    spaces = {f"{index.name}: {index.basis}": None for index in t._axes.indices if index.basis is not None}
    return f"{dots}{t._axes}" + (f" [{', '.join(spaces)}]" if spaces else "") + f", {sizes} {t.dtype}, {where}"


def as_text(t: BaseTensor) -> str:
    """The header and the native array's own text."""
    return f"Tensor({header(t)})\n{t._array}"


def as_latex(t: BaseTensor, symbol: str = "T") -> str:
    """The tensor's symbol with its indices, such as `T^{i}{}_{j}`.

    >>> import tensoria as tn
    >>> i, j = tn.indices("i j", tn.Space("V", 2))
    >>> as_latex(tn.tensor([[1., 2.], [3., 4.]], [i, -j]))
    'T^{i}{}_{j}'
    """
    return latex(symbol, t._axes.indices)


def as_html(t: BaseTensor) -> str:
    """A small table for notebooks: one row an axis, then the components."""
    import html  # its table of entities is wanted here only

    rows = "".join(
        f"<tr><td>{html.escape(str(index))}</td><td>"
        f"{'plain' if index.basis is None else html.escape(repr(index.basis.space))}</td>"
        f"<td>{'?' if size is None else size}</td></tr>"
        for index, size in zip(t._axes.indices, t.shape[t.lead :], strict=True)
    )
    table = f"<table><tr><th>axis</th><th>space</th><th>size</th></tr>{rows}</table>" if rows else ""
    return f"<div><code>{html.escape(header(t))}</code>{table}<pre>{html.escape(str(t._array))}</pre></div>"
