"""Recording: arrays that hold no numbers, and the list of instructions that operations on them leave behind.

A `SymbolicArray` is a value of the program that is being recorded. Whoever asks it for numbers is refused, with the
line that asked: a program is one for all numbers.
"""

from __future__ import annotations

import contextlib
import contextvars
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import numpy as np

from tensoria.dtypes import DType, dtype
from tensoria.errors import TracingError
from tensoria.indices import PLAIN, Axes
from tensoria.programs.dimensions import Dim, Size
from tensoria.programs.operations import OPERATIONS
from tensoria.programs.types import Instruction, Literal, Operand, Shape, Source, Type, Value

__all__ = ["Recorder", "SymbolicArray", "caller", "recording", "refuse", "tracing"]

OWN = ("tensoria", "tensoria_numpy", "tensoria_torch", "tensoria_tensorflow", "einops", "opt_einsum", "contextlib")
"""Packages whose frames are not the user's."""


def caller() -> Source:
    """The line of the user's code that is running: the innermost frame that is not a library's."""
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] in OWN:
        frame = frame.f_back
    return Source() if frame is None else Source(frame.f_code.co_filename, frame.f_lineno)


class SymbolicArray:
    """An array of a program that is being recorded: a data type and a shape, and no numbers."""

    __slots__ = ("__weakref__", "operand", "recorder")

    def __init__(self, operand: Operand, recorder: Recorder) -> None:
        self.operand, self.recorder = operand, recorder

    @property
    def type(self) -> Type:
        """Data type and shape."""
        return self.operand.type

    @property
    def dtype(self) -> DType:
        """The data type."""
        return self.operand.type.dtype

    @property
    def shape(self) -> Shape:
        """The sizes of the axes, which may be expressions."""
        return self.operand.type.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.operand.type.shape)

    def __repr__(self) -> str:
        return f"<symbolic {self.type}>"

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        refuse("an array of NumPy")

    def __bool__(self) -> NoReturn:
        refuse("a truth value")


def refuse(what: str) -> NoReturn:
    """Raise for Python code that asks a symbolic array for numbers.

    Raises:
        TracingError: always.
    """
    source = caller()
    where = f", at {source}" if source.file else ""
    raise TracingError(
        f"{what} is asked of a tensor whose numbers are not known while tracing{where}.",
        legal="tn.where and tn.cond choose by value, tn.while_loop and tn.scan repeat; what Python decides must be an "
        "argument that is no tensor",
    )


class Recorder:
    """Collects the instructions of one program, or of one inside of another.

    Attributes:
        parent: what records the surrounding program.
        captures: the surrounding program's values that are used here, and what stands for them.
    """

    def __init__(self, parent: Recorder | None = None) -> None:
        self.parent = parent
        self.captures: dict[Value, Value] = {}
        self.instructions: list[Instruction] = []
        self.constants: dict[Value, np.ndarray[Any, Any]] = {}
        self._known: dict[int, tuple[Any, Value]] = {}
        self._source: Source | None = None

    @contextlib.contextmanager
    def sourced(self, source: Source) -> Iterator[None]:
        """Give instructions another source than the line that is running."""
        before, self._source = self._source, source
        try:
            yield
        finally:
            self._source = before

    @property
    def source(self) -> Source:
        """The line that what is recorded now comes from."""
        return self._source or caller()

    def constant(self, array: np.ndarray[Any, Any], of: DType | None = None, origin: object = None) -> SymbolicArray:
        """Numbers that become part of the program; the same object twice is one constant.

        Args:
            array: the numbers, copied.
            of: their data type in the program (bfloat16 has none in NumPy).
            origin: the object that they come from, if there is one.
        """
        if self.parent is not None:
            return self.owned(self.parent.constant(array, of, origin))
        key = id(array if origin is None else origin)
        if key in self._known:
            return SymbolicArray(self._known[key][1], self)
        kind = of or dtype(array.dtype)
        if array.ndim == 0 and kind.name != "bfloat16":
            return self.literal(array.item(), kind)
        value = Value(Type(kind, array.shape))
        self.constants[value] = np.array(array)
        self._known[key] = (array if origin is None else origin, value)
        return SymbolicArray(value, self)

    def literal(self, number: complex, of: DType) -> SymbolicArray:
        """A number, converted to its data type's kind."""
        convert = {"bool": bool, "int": int, "uint": int, "float": float, "complex": complex}[of.kind]
        return SymbolicArray(Literal(convert(number), of), self)

    def size(self, size: Size, of: DType) -> SymbolicArray:
        """A size as a number of a data type."""
        if not isinstance(size, Dim):
            return self.literal(size, of)
        (counted,) = self.record("size", (), size=size)
        return counted if counted.dtype is of else self.record("astype", (counted,), dtype=of)[0]

    def record(
        self, operation: str, operands: Sequence[SymbolicArray], /, **attributes: Any
    ) -> tuple[SymbolicArray, ...]:
        """Add an instruction; its types are inferred and its operands checked now, where the user's line is known.

        Raises:
            TensoriaError: the operands do not fit.
        """
        active = _current.get()
        if active is not None and active is not self and active.inside(self):
            return active.record(operation, operands, **attributes)
        row = OPERATIONS[operation]
        operands = [array if array.recorder is self else self.owned(array) for array in operands]
        types = row.infer(*[array.type for array in operands], **attributes)
        results = tuple(Value(of) for of in types)
        given = tuple([x.operand for x in operands])
        self.instructions.append(Instruction(operation, given, attributes, results, self.source))
        return tuple([SymbolicArray(value, self) for value in results])


    def inside(self, other: Recorder) -> bool:
        """Whether this one records a part of what another one records."""
        return self.parent is not None and (self.parent is other or self.parent.inside(other))

    def owned(self, array: SymbolicArray) -> SymbolicArray:
        """A value of this program: one of a surrounding program is captured.

        Raises:
            TracingError: it belongs to another trace.
        """
        if array.recorder is self:
            return array
        if isinstance(array.operand, Literal):
            return SymbolicArray(array.operand, self)
        if self.parent is None:
            raise TracingError(
                "a tensor of another trace is used here: it left the function in which it was recorded.",
                legal="return it, or pass it as an argument",
            )
        outer = self.parent.owned(array).operand
        assert isinstance(outer, Value)
        if outer not in self.captures:
            self.captures[outer] = Value(outer.type, outer.name, outer.axes)
        return SymbolicArray(self.captures[outer], self)


_current: contextvars.ContextVar[Recorder | None] = contextvars.ContextVar("tensoria recorder", default=None)


@contextlib.contextmanager
def recording(recorder: Recorder) -> Iterator[Recorder]:
    """Make a recorder the one that creation functions write to."""
    token = _current.set(recorder)
    try:
        yield recorder
    finally:
        _current.reset(token)


def tracing() -> bool:
    """Whether a function is being traced."""
    return _current.get() is not None


def current() -> Recorder:
    """The recorder at work.

    Raises:
        TracingError: nothing is being traced.
    """
    found = _current.get()
    if found is None:
        raise TracingError("symbolic tensors are made while tn.trace runs a function, and at no other time.")
    return found


def labelled(array: Any, of: Axes) -> None:
    """Note the labels that a tensor gives to a value, if it has none yet."""
    if isinstance(array, SymbolicArray) and isinstance(array.operand, Value) and array.operand.axes is PLAIN:
        array.operand.axes = of
