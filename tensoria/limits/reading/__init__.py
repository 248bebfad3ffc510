"""Reading an ordinary program as a Tensor Program: vectors over a width, in families over finite axes."""

from typing import Final

from tensoria.limits.reading import contractions, control, images, movements, reductions, rules
from tensoria.limits.reading.reader import Rule

__all__ = ["RULES"]

RULES: Final[dict[str, Rule]] = {
    **rules.RULES, **contractions.RULES, **movements.RULES, **reductions.RULES, **images.RULES,
    **control.RULES,
}  # fmt: skip
"""What each operation does to families, by its name."""
