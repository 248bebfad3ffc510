"""The page about operations, docs/operations.md, made of their table: `python tests/operations_page.py` writes it."""

from __future__ import annotations

from pathlib import Path

from tensoria.programs.definitions import DEFINITIONS
from tensoria.programs.derivatives import RULES, WITHOUT
from tensoria.programs.operations import CHAPTERS
from tensoria.programs.operations.row import Operation

__all__ = ["PAGE", "page"]

PAGE = Path(__file__).parents[1] / "docs" / "operations.md"
HEAD = """# The operations of programs

Every instruction of a [program](programs.md) is one of these. Types of results follow from the operands' types and the
attributes; operands of different data types are refused, never promoted, and so are shapes that do not fit. An operand
with a star stands for any number of them. *Defined* says that the operation has a definition in simpler ones, which is
what it means on every backend; *derivative* is `rule` where its derivative is written in operations, and else the
reason why there is none.

This page is written by `tests/operations_page.py` from the table itself, and a test holds it to it.
"""


def page() -> str:
    """The page's text."""
    parts = [HEAD]
    for chapter in CHAPTERS:
        name = chapter.__name__.rpartition(".")[2].replace("_", " ").capitalize()
        about = (chapter.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")
        parts += [f"\n## {name}\n\n{about}\n", "| operation | meaning | defined | derivative |", "|---|---|---|---|"]
        parts += [_row(row) for row in chapter.ROWS.values()]
    return "\n".join(parts) + "\n"


def _row(row: Operation) -> str:
    call = f"{row.name}({', '.join([*row.operands, *(f'{name}=' for name in row.attributes)])})"
    derivative = "rule" if row.name in RULES else WITHOUT[row.name]
    cells = (f"`{call}`", row.meaning, "yes" if row.name in DEFINITIONS else "", derivative)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
