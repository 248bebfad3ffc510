"""Examples of every operation of programs: operands and attributes, one program for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from neural_operations import neural_examples

import tensoria as tn
from tensoria import dtypes
from tensoria.indices import PLAIN
from tensoria.planning import pattern
from tensoria.programs.operations import OPERATIONS
from tensoria.programs.operations.indexing import At, Cut
from tensoria.programs.program import Program
from tensoria.programs.trees import LEAF, Tree
from tensoria.programs.types import Instruction, Type, Value

__all__ = ["EXAMPLES", "Example", "program_of"]

random = np.random.default_rng(0)


@dataclass(frozen=True)
class Example:
    """One use of one operation."""

    operation: str
    operands: tuple[np.ndarray[Any, Any], ...]
    attributes: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.operation}-{'-'.join(str(x.dtype) for x in self.operands)}"


def program_of(example: Example) -> Program:
    """A program of one instruction."""
    inputs = tuple(
        Value(Type(dtypes.dtype(x.dtype), x.shape), f"x{n}") for n, x in enumerate(example.operands, 1)
    )
    types = OPERATIONS[example.operation].infer(*(value.type for value in inputs), **example.attributes)
    results = tuple(Value(of, f"y{n}") for n, of in enumerate(types, 1))
    made = Instruction(example.operation, inputs, example.attributes, results)
    return Program(
        name="example",
        signature=tuple(value.name for value in inputs),
        inputs=inputs,
        parameters={},
        arrays={},
        instructions=(made,),
        outputs=results,
        input_tree=Tree("tuple", (), (LEAF,) * len(inputs)),
        output_tree=Tree("tuple", (), (LEAF,) * len(results)),
        output_axes=(PLAIN,) * len(results),
    )


def _real(*shape: int, low: float = -2, high: float = 2, dtype: str = "float64") -> np.ndarray[Any, Any]:
    return random.uniform(low, high, shape).astype(dtype)


def _complex(*shape: int, dtype: str = "complex128") -> np.ndarray[Any, Any]:
    return (random.uniform(-1, 1, shape) + 1j * random.uniform(-1, 1, shape)).astype(dtype)


def _whole(*shape: int, low: int = -5, high: int = 6, dtype: str = "int64") -> np.ndarray[Any, Any]:
    return random.integers(low, high, shape).astype(dtype)


def _truth(*shape: int) -> np.ndarray[Any, Any]:
    return random.random(shape) < 0.5


def _spd(n: int) -> np.ndarray[Any, Any]:
    a = _real(2, n, n)
    return a @ a.transpose((0, 2, 1)) + n * np.eye(n)


DOMAINS: dict[str, tuple[float, float]] = {
    "acos": (-0.9, 0.9), "asin": (-0.9, 0.9), "atanh": (-0.9, 0.9), "acosh": (1.1, 3), "log": (0.1, 3),
    "log2": (0.1, 3), "log10": (0.1, 3), "log1p": (-0.5, 3), "sqrt": (0.1, 3), "reciprocal": (0.5, 2),
}  # fmt: skip
REAL_UNARY = (
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "exp", "expm1", "floor",
    "isfinite", "isinf", "isnan", "log", "log10", "log1p", "log2", "negative", "reciprocal", "round", "sign", "signbit",
    "sin", "sinh", "sqrt", "square", "tan", "tanh", "trunc", "stop_gradient",
)  # fmt: skip
COMPLEX_UNARY = (
    "abs", "conj", "cos", "exp", "imag", "isfinite", "log", "negative", "real", "reciprocal", "sign", "sin", "sqrt",
    "square", "tanh",
)  # fmt: skip
REAL_BINARY = (
    "add", "atan2", "copysign", "divide", "equal", "floor_divide", "greater", "greater_equal", "hypot", "less",
    "less_equal", "logaddexp", "maximum", "minimum", "multiply", "nextafter", "not_equal", "remainder", "subtract",
)  # fmt: skip
WHOLE_BINARY = (
    "add", "bitwise_and", "bitwise_or", "bitwise_xor", "equal", "floor_divide", "less", "maximum", "multiply",
    "remainder", "subtract",
)  # fmt: skip


def _examples() -> list[Example]:
    out: list[Example] = []

    def add(operation: str, *operands: Any, **attributes: Any) -> None:
        out.append(Example(operation, operands, attributes))

    for dtype in ("float32", "float64"):
        for name in REAL_UNARY:
            low, high = DOMAINS.get(name, (-2, 2))
            add(name, _real(3, 2, low=low, high=high, dtype=dtype))
        for name in REAL_BINARY:
            add(name, _real(3, 1, dtype=dtype), _real(2, dtype=dtype))
        add("pow", _real(3, 2, low=0.5, dtype=dtype), _real(2, dtype=dtype))
    for name in COMPLEX_UNARY:
        add(name, _complex(3, 2))
    for name in ("add", "divide", "multiply", "pow", "subtract", "not_equal"):
        add(name, _complex(3, 1), _complex(2))
    for dtype in ("int32", "int64"):
        for name in WHOLE_BINARY:
            add(name, _whole(3, 1, dtype=dtype), _whole(2, low=1, dtype=dtype))
        for name in ("abs", "bitwise_invert", "negative", "sign", "square"):
            add(name, _whole(3, dtype=dtype))
        for name in ("bitwise_left_shift", "bitwise_right_shift", "pow"):
            add(name, _whole(3, dtype=dtype), _whole(3, low=0, high=4, dtype=dtype))
    for name in ("logical_and", "logical_or", "logical_xor", "equal"):
        add(name, _truth(3, 1), _truth(2))
    add("logical_not", _truth(4))
    add("bitwise_invert", _truth(4))
    add("where", _truth(3, 1), _real(3, 2), _real(2))
    for source, to in (("float64", "float32"), ("int64", "float32"), ("float32", "complex64"), ("int64", "bool")):
        add("astype", _whole(5, dtype=source), dtype=dtypes.dtype(to))
    add("astype", _truth(5), dtype=dtypes.int32)
    add("astype", _real(5), dtype=dtypes.int64)

    for axes, keepdims in (((0, 2), False), ((1,), True), ((0, 1, 2), False)):
        for name in ("sum", "prod", "max", "min", "mean"):
            add(name, _real(2, 3, 2, dtype="float32"), axes=axes, keepdims=keepdims)
        add("sum", _whole(2, 3, 2), axes=axes, keepdims=keepdims)
        add("max", _whole(2, 3, 2), axes=axes, keepdims=keepdims)
        add("var", _real(2, 3, 2), axes=axes, keepdims=keepdims, correction=1.0)
        add("all", _truth(2, 3, 2), axes=axes, keepdims=keepdims)
        add("any", _truth(2, 3, 2), axes=axes, keepdims=keepdims)
        add("count_nonzero", _whole(2, 3, 2, low=0, high=2), axes=axes, keepdims=keepdims)
    add("sum", _complex(2, 3), axes=(1,), keepdims=False)
    for name in ("argmax", "argmin"):
        add(name, _whole(3, 4), axis=1, keepdims=False)
        add(name, _real(3, 4), axis=0, keepdims=True)
    for name in ("cumulative_sum", "cumulative_prod"):
        for initial in (False, True):
            add(name, _real(3, 4), axis=1, include_initial=initial)
            add(name, _whole(3, 4), axis=0, include_initial=initial)
    for name in ("sort", "argsort"):
        for descending in (False, True):
            add(name, _real(3, 5), axis=1, descending=descending, stable=True)
            add(name, _whole(9, high=-2), axis=0, descending=descending, stable=True)
    for side in ("left", "right"):
        add("searchsorted", np.array([1.0, 2.0, 2.0, 4.0]), np.array([[0.0, 2.0], [3.0, 9.0]]), side=side)

    add("reshape", _real(2, 6), shape=(3, 4))
    add("permute_dims", _real(2, 3, 4), axes=(2, 0, 1))
    add("expand_dims", _real(2, 3), axes=(0, 2))
    add("squeeze", _real(1, 2, 1), axes=(0, 2))
    add("broadcast_to", _real(2, 1), shape=(4, 2, 3))
    add("concat", _real(2, 3), _real(1, 3), axis=0)
    add("stack", _real(2, 3), _real(2, 3), axis=1)
    add("flip", _real(2, 3), axes=(0, 1))
    add("roll", _real(4, 3), shifts=(1, -2), axes=(0, 1))
    add("repeat", _real(2, 3), repeats=2, axis=1)
    add("tile", _real(2, 3), repetitions=(2, 3))
    for k in (-1, 0, 1):
        add("tril", _real(2, 3, 4), k=k)
        add("triu", _real(3, 3), k=k)

    keys = (Cut(1, None, 2), 0), (Cut(None, None, -1), None, Cut(0, 2)), (-1, Cut(-3, -1)), (Cut(), Cut(3, 0, -2))
    for key in keys:
        add("getitem", _real(4, 5), key=key)
        if None not in key:
            add("setitem", _real(4, 5), np.array(7.0), key=key)
    add("setitem", _real(4, 5), _real(5), key=(Cut(1, 3), Cut()))
    add("getitem", _real(4, 5), np.array([0, -1, 2]), key=(Cut(), At(1)))
    add("getitem", _real(4, 5, 3), np.array([[0], [2]]), np.array([1, 2]), key=(At(1), Cut(0, 2), At(2)))
    add("getitem", _real(4, 5, 3), np.array([0, 2]), np.array([1, 2]), key=(Cut(), At(1), At(2)))
    add("setitem", _real(4, 5), _real(3), np.array([0, 3, 1]), key=(At(1), Cut(2, 5)))
    add("setitem", _real(4, 5), _real(2), np.array([0, 3]), np.array([1, 1]), key=(At(1), At(2)))
    add("add_at", _real(4, 5), _real(5), key=(Cut(1, 3), Cut(None, None, -1)))
    add("add_at", _real(4, 5), _real(3), np.array([0, 3, 0]), key=(At(1), Cut(2, 5)))
    add("add_at", _whole(4, 5), _whole(2), np.array([0, -1]), np.array([1, 1]), key=(At(1), At(2)))
    add("add_at", _real(4, 5, 3), _real(2, 2, 1), np.array([[0], [0]]), np.array([1, 1]), key=(At(1), Cut(0, 2), At(2)))
    add("take", _real(4, 5), np.array([0, 3, 1]), axis=1)
    add("take_along_axis", _real(3, 4), _whole(3, 2, low=0, high=4), axis=1)

    add("full", np.array(2.5, "float32"), shape=(2, 3))
    add("arange", start=1, stop=8, step=3, dtype=dtypes.int64)
    add("arange", start=5, stop=0, step=-2, dtype=dtypes.float32)
    add("eye", rows=3, columns=4, k=1, dtype=dtypes.float64)
    add("size", size=5)

    for terms, result in (
        (("ab", "bc"), "ac"), (("ab", "cb"), "ca"), (("a", "a"), ""), (("a", "b"), "ba"), (("abc", "abd"), "adc"),
        (("aab", "b"), "a"), (("ab", "ab"), "ab"), (("abc", "cd"), "d"), (("aa",), ""), (("abc",), "ca"),
        (("ab", "bc", "cd"), "ad"), (("ab", "cd"), "acbd"), (("ab", "c"), "abc"), (("ab", "b"), "a"),
        (("b", "ba"), "a"),
    ):  # fmt: skip
        sizes = dict(zip("abcd", (2, 3, 4, 5), strict=True))
        numbers = {letter: n for n, letter in enumerate("abcd")}
        of = pattern(
            tuple(tuple(numbers[x] for x in term) for term in terms), tuple(numbers[x] for x in result), frozenset()
        )
        arrays = [_real(*(sizes[x] for x in term)) for term in terms]
        add("contract", *arrays, pattern=of)
        add("contract", *(_real(6, *x.shape) if n == 0 else x for n, x in enumerate(arrays)), pattern=of)
        if len(arrays) > 1:
            leads = [(6, 1), (7,), ()]
            add("contract", *(_real(*leads[n], *x.shape) for n, x in enumerate(arrays)), pattern=of)
    add("contract", _complex(2, 3), _complex(3, 4), pattern=pattern(((0, 1), (1, 2)), (0, 2), frozenset()))
    add("contract", _real(1, 3), _real(2, 3), pattern=pattern(((0, 1), (0, 1)), (0, 1), frozenset()))
    add("contract", _real(2, 1), _real(3, 4), pattern=pattern(((0, 1), (1, 2)), (0, 2), frozenset()))
    for left, right in (
        ((2, 3), (3, 4)), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((5, 2, 3), (3, 4)), ((4, 1, 2, 3), (6, 3, 2)),
    ):  # fmt: skip
        add("matmul", _real(*left, dtype="float32"), _real(*right, dtype="float32"))
    add("matmul", _whole(2, 3), _whole(3, 2))

    for name in ("det", "inv", "slogdet", "eigh", "eigvalsh"):
        add(f"linalg.{name}", _spd(3))
    add("linalg.eigvals", _spd(3) + np.triu(_real(2, 3, 3)))
    add("linalg.eig", _spd(3) + np.triu(_real(2, 3, 3)))
    for upper in (False, True):
        add("linalg.cholesky", _spd(3), upper=upper)
    for mode in ("reduced", "complete"):
        add("linalg.qr", _real(2, 4, 3), mode=mode)
    for full in (False, True):
        add("linalg.svd", _real(2, 4, 3), full_matrices=full)
    add("linalg.svdvals", _real(2, 4, 3))
    for rtol in (None, 1e-3):
        add("linalg.pinv", _real(2, 4, 3), rtol=rtol)
        add("linalg.matrix_rank", np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]]), rtol=rtol)
    add("linalg.solve", _spd(3), _real(2, 3, 4))
    add("linalg.solve", _spd(3), _real(3))
    add("linalg.solve", _spd(3)[0], _real(3))
    for offset in (-1, 0, 1):
        add("linalg.diagonal", _real(2, 3, 4), offset=offset)
    add("linalg.cross", _real(2, 3), _real(3), axis=-1)
    for order in (1, 2, float("inf")):
        add("linalg.vector_norm", _real(2, 3, 4), axes=(0, 2), keepdims=False, ord=order)
    for order in ("fro", "nuc", 2, 1, float("inf")):
        add("linalg.matrix_norm", _real(2, 3, 4), keepdims=True, ord=order)
    for n in (0, 1, 3, -2):
        add("linalg.matrix_power", _spd(3), n=n)
    for norm in ("backward", "ortho", "forward"):
        for name in ("fft", "ifft", "irfft", "hfft"):
            add(f"fft.{name}", _complex(3, 4), n=6, axis=1, norm=norm)
        for name in ("rfft", "ihfft"):
            add(f"fft.{name}", _real(5, 3), n=4, axis=0, norm=norm)
    for dtype in ("int8", "uint8"):
        short = _whole(2, 3, low=1, high=9, dtype=dtype)
        for name in ("sum", "prod", "max", "all", "any", "count_nonzero"):
            add(name, short, axes=(1,), keepdims=False)
        for name in ("abs", "negative", "sign"):
            add(name, short)
        for name in ("floor_divide", "remainder", "bitwise_left_shift", "pow"):
            add(name, short, np.array([1, 2, 2], dtype))
        add("matmul", short, short.T.copy())
        add("getitem", _real(3, 4), np.array([0, 2], dtype), key=(At(1), Cut()))
        add("setitem", _real(3, 4), _real(4), np.array([0, 2], dtype), key=(At(1), Cut()))
        add("take", _real(3, 4), np.array([0, 2], dtype), axis=1)
        add("take_along_axis", _real(3, 4), np.array([[0], [2], [1]], dtype), axis=1)
    add("tile", _whole(2, 3, low=0, dtype="uint16"), repetitions=(2, 1))
    add("repeat", _whole(2, 3, low=0, dtype="uint16"), repeats=2, axis=1)
    for name in ("sum", "prod", "max", "mean"):
        add(name, _real(2, 3), axes=(), keepdims=False)
    add("all", _whole(2, 3), axes=(), keepdims=False)
    for name in ("cumulative_sum", "cumulative_prod"):
        add(name, _real(0, 2), axis=0, include_initial=True)
    add("linalg.diagonal", _real(2, 3), offset=3)

    x = tn.asarray(np.ones(3))
    for program, operands in (
        (tn.trace(lambda t, x: tn.cond(t, lambda x: tn.sin(x) * 2, lambda x: x * x, x), tn.asarray(True), x),
         (np.array(True), _real(3))),
        (tn.trace(lambda t, x: tn.cond(t, lambda x: tn.sin(x) * 2, lambda x: x * x, x), tn.asarray(True), x),
         (np.array(False), _real(3))),
        (tn.trace(lambda n, k: tn.while_loop(lambda n: n < 40, lambda n: n * k, n), tn.asarray(1), tn.asarray(3)),
         (np.array(2), np.array(3))),
        (tn.trace(lambda s, xs, a: tn.scan(lambda s, x: (tn.tanh(s * a) + x, s * x), s, xs), x, tn.asarray(
            np.ones((4, 3))), tn.asarray(1.0)), (_real(3), _real(4, 3), _real())),
        (tn.trace(lambda s, xs, a: tn.scan(lambda s, x: (tn.tanh(s * a) + x, s * x), s, xs, reverse=True), x,
                  tn.asarray(np.ones((4, 3))), tn.asarray(1.0)), (_real(3), _real(4, 3), _real())),
    ):  # fmt: skip
        (made,) = program.instructions
        add(made.operation, *operands, **made.attributes)
    for operation, operands, attributes in neural_examples():
        add(operation, *operands, **attributes)
    return out


EXAMPLES = _examples()
