"""The backend whose arrays hold no numbers: every tensoria function runs on it unchanged, and is recorded."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from tensoria.backend import UNKNOWN, Array, Backend
from tensoria.components import Components
from tensoria.discovery import register
from tensoria.dtypes import DType
from tensoria.errors import ConversionError
from tensoria.network import NetworkPlan
from tensoria.planning import Costs, Kernels, Pattern
from tensoria.programs import recorder, standard
from tensoria.programs.derivatives.reverse import pulled, pushed
from tensoria.programs.dimensions import Dim
from tensoria.programs.operations import neural
from tensoria.programs.passes.inlining import region
from tensoria.programs.recorder import Recorder, SymbolicArray, refuse
from tensoria.programs.types import Type, Value

__all__ = ["SymbolicBackend", "backend"]

xp = standard.namespace


def _refused(*_: Any) -> NoReturn:
    raise AssertionError("contractions are recorded whole, not as native calls")


RECORDED: dict[str, Any] = {
    "transpose": xp.permute_dims, "reshape": xp.reshape, "multiply": xp.multiply, "cast": standard.cast,
}  # fmt: skip
FREE: Any = Costs(**dict.fromkeys(Costs._fields, 1.0))  # type: ignore[arg-type]
KERNELS = Kernels(**{**dict.fromkeys(Kernels._fields, _refused), **RECORDED, "costs": FREE})
"""The few native calls that are made outside of contractions."""


def _recorded(name: str) -> Callable[..., Any]:
    def record(x: Array, *more: Array, **attributes: Any) -> Any:
        results = x.recorder.record(name, (x, *more), **attributes)
        return results if len(results) > 1 else results[0]

    return record


class SymbolicBackend(Backend):
    """Arrays of the program that is being recorded."""

    name = "symbolic"
    package = "tensoria"
    xp = xp
    kernels = KERNELS
    immutable = True
    lifts = True
    primitives = {name: _recorded(name) for name in neural.ROWS}  # noqa: RUF012
    operators = {name: getattr(xp, name) for name in Backend.operators}  # noqa: RUF012

    add = staticmethod(xp.add)
    subtract = staticmethod(xp.subtract)
    multiply = staticmethod(xp.multiply)

    def owns(self, value: Any) -> bool:
        return isinstance(value, SymbolicArray)

    def native_dtype(self, of: DType) -> Any:
        return of

    def dtype(self, array: Array) -> DType:
        found: DType = array.dtype
        return found

    def device(self, array: Array) -> str:
        return UNKNOWN

    def devices(self) -> list[str]:
        return [UNKNOWN]

    def version(self) -> str:
        return importlib.metadata.version("tensoria")

    # -- making and moving ----------------------------------------------------------------------------------------

    def asarray(self, data: Any, of: DType | None, device: str | None, copy: bool | None) -> Array:
        if isinstance(data, Dim):
            return recorder.current().size(data, of or standard.dtype_of(np.asarray(0)))
        return xp.asarray(data, dtype=of)

    def scalar_like(self, value: complex, of: DType, like: Array) -> Array:
        return like.recorder.literal(value, of)

    def readable(self, array: Array) -> bool:
        return False

    def watched(self, array: Array) -> bool:
        return True

    def to_device(self, array: Array, device: str) -> Array:
        return array

    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]:
        refuse("a number")

    def numbers(self, array: Array) -> np.ndarray[Any, Any] | None:
        return None

    def import_array(self, array: Array, source: Backend) -> Array | None:
        return recorder.current().constant(source.to_numpy(source.detach(array)), source.dtype(array), origin=array)

    def from_dlpack(self, source: Any, copy: bool | None) -> Array:
        raise ConversionError("memory can not be imported while tracing.", legal="import it before, and close over it")

    def dlpack(self, array: Array, **options: Any) -> Any:
        refuse("memory")

    def constant(self, components: Components, of: DType, like: Array) -> Array:
        values = components.values
        return standard.cast(like.recorder.constant(values), of)

    def detach(self, array: Array) -> Array:
        return array.recorder.record("stop_gradient", (array,))[0]

    def vjp(
        self, function: Callable[..., tuple[list[Array], list[Array]]], arrays: Sequence[Array], reuse: bool = True
    ) -> tuple[list[Array], list[Array], Callable[[Sequence[Array]], list[Array]]]:
        into = recorder.current()
        inputs = [into.owned(x) for x in arrays]
        start = len(into.instructions)
        outputs, beside = function(*inputs)
        outputs = [into.owned(y) for y in outputs]
        made = into.instructions[start:]

        def pull(cotangents: Sequence[Array]) -> list[Array]:
            return pulled(into, made, outputs, [into.owned(g) for g in cotangents], inputs)

        return outputs, beside, pull

    def jvp(
        self, function: Callable[..., list[Array]], arrays: Sequence[Array], tangents: Sequence[Array]
    ) -> tuple[list[Array], list[Array]]:
        into = recorder.current()
        inputs = [into.owned(x) for x in arrays]
        start = len(into.instructions)
        outputs = [into.owned(y) for y in function(*inputs)]
        return outputs, pushed(into, into.instructions[start:], outputs, inputs, [into.owned(t) for t in tangents])

    def copy(self, array: Array) -> Array:
        return array

    def scan(
        self, body: Callable[[list[Array], list[Array]], tuple[list[Array], list[Array]]], state: list[Array],
        arrays: Sequence[Array], count: Any, reverse: bool,
    ) -> tuple[list[Array], list[Array]]:  # fmt: skip
        into: Recorder = arrays[0].recorder
        inner = Recorder(into)
        types = [*(x.type for x in state), *(Type(x.dtype, x.shape[1:]) for x in arrays)]
        inputs = [Value(of) for of in types]
        given = [SymbolicArray(value, inner) for value in inputs]
        with recorder.recording(inner):
            after, found = body(given[: len(state)], given[len(state) :])
            outputs = [inner.owned(x) for x in (*after, *found)]
        captured = inner.captures
        results = into.record(
            "scan", (*state, *arrays, *(SymbolicArray(value, into) for value in captured)),
            body=region(inner, (*inputs, *captured.values()), outputs), states=len(state), scanned=len(arrays),
            length=count, reverse=reverse,
        )  # fmt: skip
        return list(results[: len(state)]), list(results[len(state) :])

    # -- operations -----------------------------------------------------------------------------------------------

    def svd(self, array: Array, close: float) -> tuple[Array, Array, Array]:
        u, s, vh = xp.linalg.svd(array, full_matrices=False, close=close)
        return u, s, vh

    def eigh(self, array: Array, close: float) -> tuple[Array, Array]:
        w, v = xp.linalg.eigh(array, close=close)
        return w, v

    def get_item(self, array: Array, key: Any) -> Array:
        return standard.getitem(array, key)

    def set_item(self, array: Array, key: Any, value: Any) -> Array:
        return standard.setitem(array, key, value)

    def promoted(self, a: Array, b: Array) -> tuple[Array, Array]:
        first, second = standard.promote((a, b))
        return first, second

    def contract(self, of: Pattern, a: Array, b: Array) -> Array:
        return self.contract_network(of, (a, b))

    def contract_network(self, of: Pattern, arrays: Sequence[Array]) -> Array:
        first, *rest = standard.promote(arrays)
        return first.recorder.record("contract", (first, *rest), pattern=of)[0]

    def network_plan(self, of: Pattern, arrays: Sequence[Array]) -> tuple[NetworkPlan, Any, Any]:
        refuse("a plan, which depends on sizes,")

    def reduce_axes(self, of: Pattern, array: Array) -> Array:
        term, lead = of.terms[0], array.ndim - len(of.terms[0])
        if sorted(term) == sorted(of.out) and len(set(term)) == len(term):
            return xp.permute_dims(array, (*range(lead), *(lead + term.index(label) for label in of.out)))
        return array.recorder.record("contract", (array,), pattern=of)[0]

    def require_equal(self, a: Array, i: int, b: Array, j: int) -> None:
        """Sizes that differ as expressions are refused where the instruction is inferred."""


backend = SymbolicBackend()
register(backend, SymbolicArray)
