"""Real numbers that follow from open sizes, as a model's Python computes them: `1 / math.sqrt(x.shape[1])`."""

from __future__ import annotations

import math
from typing import Any

import sympy

from tensoria.dtypes import DType, float64
from tensoria.errors import PortingError
from tensoria.programs.recorder import Recorder, SymbolicArray
from tensoria.programs.standard import cast, namespace
from tensoria_torch.sizes import Sizes

__all__ = ["Real"]

xp = namespace


class Real:
    """A number that a program computes from its sizes, in float64 as Python does.

    Attributes:
        expression: PyTorch's, of its symbols.
        sizes: reads these.
    """

    def __init__(self, expression: Any, sizes: Sizes) -> None:
        self.expression, self.sizes = expression, sizes

    def array(self, recorder: Recorder, of: DType) -> SymbolicArray:
        """The number as an array of a data type.

        Raises:
            PortingError: it follows from the sizes in a way that is not known.
        """
        return cast(self._read(self.expression, recorder), of)

    def __float__(self) -> float:
        raise PortingError(
            f"the number {self.expression} depends on open sizes, and is needed before they are known.",
            legal="give these axes their sizes",
        )

    def _read(self, expression: Any, recorder: Recorder) -> SymbolicArray:
        name = type(expression).__name__
        if expression.is_number:
            return recorder.literal(float(expression), float64)
        if name == "ToFloat":
            return recorder.size(self.sizes(expression.args[0]), float64)
        if name == "IntTrueDiv":
            first, second = (recorder.size(self.sizes(part), float64) for part in expression.args)
            return xp.divide(first, second)
        parts = [self._read(part, recorder) for part in expression.args]
        if name == "FloatTrueDiv":
            return xp.divide(*parts)
        if name in ("FloatPow", "PowByNatural", "Pow"):
            return xp.pow(*parts)
        if isinstance(expression, (sympy.Add, sympy.Mul)):
            found, *rest = parts
            for part in rest:
                found = xp.add(found, part) if isinstance(expression, sympy.Add) else xp.multiply(found, part)
            return found
        function = getattr(xp, name.removeprefix("OpaqueUnaryFn_"), None)
        if not name.startswith("OpaqueUnaryFn_") or function is None or not hasattr(math, name[14:]):
            raise PortingError(f"the number {expression}, which depends on open sizes, is not ported.")
        result: SymbolicArray = function(*parts)
        return result
