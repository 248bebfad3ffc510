"""Text for people: headings, paragraphs and tables with aligned columns."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

__all__ = ["heading", "paragraph", "quotation", "table"]

WIDTH = 100


def heading(text: str) -> str:
    """The text, underlined, after an empty line."""
    return f"\n{text}\n{'-' * len(text)}"


def paragraph(*sentences: str) -> str:
    """The sentences, wrapped."""
    return textwrap.fill(" ".join(sentences), WIDTH)


def quotation(text: str) -> str:
    """Somebody else's lines, marked as such and wrapped, with their own indentation kept."""
    lines = []
    for line in text.split("\n"):
        indent = " " * (len(line) - len(line.lstrip()))
        lines += textwrap.wrap(line, WIDTH - 4, subsequent_indent=indent, break_on_hyphens=False) or [""]
    return "\n".join(f"  | {line}" for line in lines)


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Rows under titles, each column as wide as its widest entry; those numbered in `right` are flush right.

    >>> print(table(["name", "size"], [["a", "10"], ["bcd", "9"]], right=[1]))
      name  size
      a       10
      bcd      9
    """
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    lines = []
    for row in (titles, *rows):
        cells = [x.rjust(w) if n in right else x.ljust(w) for n, (x, w) in enumerate(zip(row, widths, strict=True))]
        lines.append(("  " + "  ".join(cells)).rstrip())
    return "\n".join(lines)
