"""Data types as values of our own: `tn.float32` is the same object whichever backend an array lives on.

They are not `numpy.dtype` instances on purpose (`np.dtype("float64") == None` is true). Each backend maps them to its
own and back; a dtype that a backend lacks is an error there, never another dtype.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from tensoria.errors import DTypeError
from tensoria.structure import Structure

__all__ = [
    "DTYPES",
    "DType",
    "beside",
    "bfloat16",
    "bool_",
    "check_assignable",
    "check_range",
    "check_scalar",
    "complex64",
    "complex128",
    "dtype",
    "float16",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "limits",
    "promoted",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
]

Kind = Literal["bool", "int", "uint", "float", "complex"]


class DType(Structure):
    """A data type, known by its name.

    >>> dtype("float32").kind, dtype("float32").itemsize
    ('float', 4)
    """

    name: str
    kind: Kind
    itemsize: int

    def __init__(self, name: str, kind: Kind, itemsize: int) -> None:
        self.name, self.kind, self.itemsize = name, kind, itemsize

    def __repr__(self) -> str:
        return f"tensoria.{self.name}"

    def __str__(self) -> str:
        return self.name

    def __eq__(self, other: object) -> bool:
        # NumPy's data types are asked themselves, so that both sides of the comparison give one answer.
        return self is other if isinstance(other, Structure) else NotImplemented

    __hash__ = Structure.__hash__

    def __reduce__(self) -> tuple[Any, ...]:
        return dtype, (self.name,)

    @property
    def __numpy_dtype__(self) -> Any:
        """What NumPy (2.4 and later) takes for `dtype=t.dtype`; other frameworks' own types it does not know."""
        if self.name == "bfloat16":
            raise DTypeError("NumPy has no bfloat16.", legal='t.to(dtype="float32")')
        import numpy as np

        return np.dtype(self.name)


bool_: Final = DType("bool", "bool", 1)
int8: Final = DType("int8", "int", 1)
int16: Final = DType("int16", "int", 2)
int32: Final = DType("int32", "int", 4)
int64: Final = DType("int64", "int", 8)
uint8: Final = DType("uint8", "uint", 1)
uint16: Final = DType("uint16", "uint", 2)
uint32: Final = DType("uint32", "uint", 4)
uint64: Final = DType("uint64", "uint", 8)
float16: Final = DType("float16", "float", 2)
bfloat16: Final = DType("bfloat16", "float", 2)
float32: Final = DType("float32", "float", 4)
float64: Final = DType("float64", "float", 8)
complex64: Final = DType("complex64", "complex", 8)
complex128: Final = DType("complex128", "complex", 16)

DTYPES: Final = {
    d.name: d
    for d in (
        bool_, int8, int16, int32, int64, uint8, uint16, uint32, uint64,
        float16, bfloat16, float32, float64, complex64, complex128,
    )
}  # fmt: skip
_PYTHON: Final[dict[Any, DType]] = {bool: bool_, int: int64, float: float64, complex: complex128}


def dtype(of: Any) -> DType:
    """The data type meant by a name, a Python type, or a framework's own dtype.

    Args:
        of: a `DType`, a name such as `"float32"`, one of `bool`, `int`, `float`, `complex`, or a framework's dtype.

    Raises:
        DTypeError: there is no such data type.

    >>> dtype(float)
    tensoria.float64
    """
    if isinstance(of, DType):
        return of
    found = _PYTHON.get(of) if isinstance(of, type) else None
    if found is None:
        # "torch.float32", "<dtype: 'float32'>", dtype('float32') and <class 'numpy.float32'> all end in the name.
        name = of if isinstance(of, str) else getattr(of, "name", None) or getattr(of, "__name__", None) or str(of)
        found = DTYPES.get(str(name).rsplit(".", 1)[-1].removesuffix("_"))
    if found is None:
        raise DTypeError(f"{of!r} is no data type; there are {', '.join(DTYPES)}.")
    return found


_ORDER: Final[dict[Kind, int]] = {"bool": 0, "int": 1, "uint": 1, "float": 2, "complex": 3}


def promoted(first: DType, second: DType) -> DType:
    """The data type that two arrays promote to, by the Array API's table, the same on every backend.

    Raises:
        DTypeError: their kinds differ in a way that the standard leaves open (integers with floats, booleans with
            numbers, uint64 with signed integers), and that frameworks therefore answer differently.

    >>> promoted(int8, uint8), promoted(float64, complex64)
    (tensoria.int16, tensoria.complex128)
    """
    if first is second:
        return first
    a, b = (first, second) if _ORDER[first.kind] <= _ORDER[second.kind] else (second, first)
    if _ORDER[a.kind] == _ORDER[b.kind]:
        if a.kind == b.kind:
            if a.itemsize == b.itemsize:
                return float32  # float16 and bfloat16 meet at the smallest type that holds both
            return a if a.itemsize > b.itemsize else b
        signed, unsigned = (a, b) if a.kind == "int" else (b, a)
        if signed.itemsize > unsigned.itemsize:
            return signed
        if unsigned.itemsize < 8:
            return DTYPES[f"int{unsigned.itemsize * 16}"]
    elif a.kind == "float" and b.kind == "complex":
        return complex128 if a is float64 else b
    raise DTypeError(
        f"{first} and {second} do not promote: the standard leaves it open, and frameworks differ.",
        legal=f't.to(dtype="{b.name}")',
    )


def check_scalar(value: complex, of: DType) -> None:
    """Raise unless a Python number fits beside an array of a data type, without changing the array's kind.

    Raises:
        DTypeError: a float meets integers, a complex number meets integers, a truth value meets numbers or the other
            way round, or an integer is out of the range of the array's integers.
    """
    _check_kind(value, of)
    if type(value) is int and of.kind in ("int", "uint"):
        check_range(value, of)


def _check_kind(value: complex, of: DType) -> None:
    kind = of.kind
    if isinstance(value, bool):
        fits = kind == "bool"
    elif isinstance(value, int):
        fits = kind != "bool"
    else:
        fits = kind == "float" or kind == "complex"
    if not fits:
        raise DTypeError(
            f"the number {value!r} and an array of {of} do not promote: frameworks differ on the result.",
            legal=f't.to(dtype="{"int64" if isinstance(value, int) else "float64"}") first',
        )


def check_range(value: int, of: DType) -> None:
    """Raise unless an integer data type holds an integer.

    Raises:
        DTypeError: it does not; nothing wraps around silently.
    """
    least, most = limits(of)
    if not least <= value <= most:
        raise DTypeError(
            f"the integer {value} does not fit into {of}, which holds {least} to {most}.",
            legal="a larger data type, t.to(dtype=...)",
        )


def limits(of: DType) -> tuple[int, int]:
    """The least and the greatest integer of an integer data type.

    >>> limits(int8), limits(uint8)
    ((-128, 127), (0, 255))
    """
    bits = of.itemsize * 8
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if of.kind == "int" else (0, 2**bits - 1)


def beside(value: complex, of: DType) -> DType:
    """The data type of a Python number beside an array: the array's, or its complex counterpart.

    Raises:
        DTypeError: the number is of a larger kind.

    >>> beside(1, float32), beside(1j, float32)
    (tensoria.float32, tensoria.complex64)
    """
    _check_kind(value, of)
    if isinstance(value, complex) and of.kind == "float":
        return complex128 if of is float64 else complex64
    return of


def check_assignable(value: DType, place: DType) -> None:
    """Raise if writing a value into a place of another data type would drop a part of it.

    Raises:
        DTypeError: the value's kind is larger (complex into float, float into integers, numbers into booleans).
    """
    if _ORDER[value.kind] > _ORDER[place.kind]:
        raise DTypeError(f"a {value} does not fit into a tensor of {place}.", legal=f't.to(dtype="{value}") first')
