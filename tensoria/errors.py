"""What can go wrong, as one small family.

Every error of tensoria derives from `TensoriaError`, and from the built-in exception that a caller would expect
(`ValueError`, `TypeError`, ...), so that both `except tensoria.errors.TensoriaError` and plain Python habits work.
A message has up to three parts, the same on every backend:

1. what met what: the index and the two spaces, by name;
2. where: the notation string with a caret under the offending place, if a notation string was given;
3. `Legal:` the call that says what was probably meant.
"""

from __future__ import annotations

__all__ = [
    "AxisError",
    "BackendError",
    "BackendNotFoundError",
    "BasisError",
    "ConversionError",
    "DTypeError",
    "DomainError",
    "FileError",
    "LimitError",
    "MatrixError",
    "MetricError",
    "ModeError",
    "NotationError",
    "PortingError",
    "PositionError",
    "ShapeError",
    "SpaceError",
    "SymmetryError",
    "TensoriaError",
    "TracingError",
    "VarianceError",
]


class TensoriaError(Exception):
    """Base of every error that tensoria raises on purpose.

    Args:
        message: what met what, in one or two sentences.
        legal: the call that would be legal instead, if there is one.
        notation: the notation string in which the problem lies.
        span: start and end of the offending place in `notation`; a caret is drawn under it.
    """

    def __init__(
        self,
        message: str,
        *,
        legal: str | None = None,
        notation: str | None = None,
        span: tuple[int, int] | None = None,
    ) -> None:
        self.message = message
        self.legal = legal
        self.notation = notation
        self.span = span
        super().__init__(message)

    def located(self, notation: str, span: tuple[int, int]) -> TensoriaError:
        """The same error, pointing at a place in a notation string (kept if it points somewhere already)."""
        if self.notation is None:
            self.notation, self.span = notation, span
        return self

    def __str__(self) -> str:
        lines = [self.message]
        if self.notation is not None:
            # A caret line only lines up under a single line of text.
            lines.append("    " + self.notation.replace("\n", " ").replace("\t", " "))
            if self.span is not None:
                start, end = self.span
                lines.append("    " + " " * start + "^" * max(1, end - start))
        if self.legal is not None:
            lines.append(f"  Legal: {self.legal}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.legal, self.notation, self.span)


def _rebuild(
    kind: type[TensoriaError],
    message: str,
    legal: str | None,
    notation: str | None,
    span: tuple[int, int] | None,
) -> TensoriaError:
    return kind(message, legal=legal, notation=notation, span=span)


class NotationError(TensoriaError, ValueError):
    """A notation string can not be read, or does not fit the operands."""


class AxisError(TensoriaError, ValueError, IndexError):
    """A tensor has no axis of that name, or has it twice, or an axis number is out of range (both, as NumPy's)."""


class SpaceError(TensoriaError, ValueError):
    """Two indices of one name range over different spaces, or are written in different bases."""


class TracingError(TensoriaError, TypeError):
    """A traced function asks for numbers, or a symbolic tensor left its trace."""


class VarianceError(TensoriaError, ValueError):
    """Indices meet with the wrong variance: two ups, two downs, or an eigenvalue of a bilinear form."""


class BasisError(TensoriaError, ValueError):
    """An operation depends on the basis, and the index is not in a privileged one."""


class MetricError(TensoriaError, ValueError):
    """A metric is missing, singular, indefinite where a definite one is needed, or may not be used."""


class SymmetryError(TensoriaError, ValueError):
    """Data do not have the symmetry that is declared or needed."""


class ModeError(TensoriaError, TypeError):
    """A labelled and a plain tensor meet, or a labelled tensor would lose its labels silently."""


class ShapeError(TensoriaError, ValueError):
    """Sizes do not fit each other or the dimension of a space."""


class MatrixError(TensoriaError, ValueError):
    """A matrix is singular, not positive definite, or not finite, where that is needed."""


class PositionError(TensoriaError, IndexError):
    """A position is out of range, or what stands in square brackets selects no components."""


class DTypeError(TensoriaError, TypeError):
    """A dtype is unknown, missing on a backend, or does not fit the operation."""


class DomainError(TensoriaError, ValueError):
    """A number lies outside of the values for which an operation is defined."""


class ConversionError(TensoriaError, TypeError):
    """A value can not become a tensor, or a tensor can not become that value."""


class FileError(TensoriaError, OSError):
    """A file can not be written, or is missing, damaged, or not what it should be."""


class PortingError(TensoriaError, ValueError):
    """A model does not become a program: operators are missing, or sizes that were to stay open are fixed."""


class LimitError(TensoriaError, ValueError):
    """A program is no Tensor Program, or its limit, kernel or parametrization can not be derived."""


class BackendError(TensoriaError, RuntimeError):
    """Backends or devices are mixed in one operation, or a backend can not do what is asked."""


class BackendNotFoundError(BackendError, ImportError):
    """No backend of that name is installed."""
