"""Networks of finite width beside their limits: empirical tangent kernels, linearisation, Taylor expansion, ensembles.

All of it holds for any program with parameters: captured from a framework's model, traced, or sampled from a program of
open width (`Widened.at`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensoria.backend import Array, Backend
from tensoria.calculus.products import jvp
from tensoria.dtypes import dtype
from tensoria.errors import BackendError, LimitError
from tensoria.limits.widths import Widened
from tensoria.programs.base import chosen, is_leaf, native
from tensoria.programs.dimensions import Dim, evaluated
from tensoria.programs.evaluation import place
from tensoria.programs.program import Program
from tensoria.programs.trees import LEAF, Tree, flatten
from tensoria.programs.types import Value
from tensoria.tensor import Tensor

__all__ = ["Estimate", "Simulated", "empirical_ntk", "ensemble", "linearised", "sampled", "taylor"]


# -- the empirical tangent kernel -------------------------------------------------------------------------------------


def empirical_ntk(
    program: Program, X1: Any, X2: Any = None, *, parameters: Sequence[str] | None = None, output: int = 0,
    components: str = "mean", block: int = 64, together: bool = False, backend: str | None = None,
) -> Tensor:  # fmt: skip
    """The tangent kernel of a network of finite width: sums over parameters of df(x)/dw df(x')/dw.

    Args:
        program: with its parameters' numbers.
        X1, X2: inputs, examples first; X1 twice by default.
        parameters: by which to differentiate; all of floating-point numbers by default.
        output: which of the program's results.
        components: what of an output with several components for each example: `mean`, the mean over them of the
            kernel of each with itself, or `all`, a matrix of components for each pair of examples.
        block: so many examples are differentiated at a time; as many gradients are in memory, twice.
        together: whether examples see each other, as in normalisation over the batch: then each set is one batch, and
            is differentiated as a whole. Otherwise each example is taken by itself.
        backend: where; X1's backend by default.

    Returns:
        Examples by examples; with `all`, then components by components.

    Raises:
        LimitError: the program has no parameters to differentiate by.

    >>> import numpy as np
    >>> import tensoria as tn
    >>> x = tn.asarray(np.array([[1.0, 2.0], [0.0, 1.0]]))
    >>> from tensoria.limits.empirical import with_parameters
    >>> p = tn.trace(lambda x, w: x @ w, x, tn.asarray(np.ones((2, 1))), dynamic={"x": ("batch", None)})
    >>> empirical_ntk(with_parameters(p, {"w": np.ones((2, 1))}), x).array
    array([[5., 2.],
           [2., 1.]])
    """
    if components not in ("mean", "all"):
        raise LimitError(f"components={components!r}.", legal='components="mean" or components="all"')
    sets = [_leaves(X1)] + ([] if X2 is None else [_leaves(X2)])
    target = chosen([x for leaves in sets for x in leaves], backend)
    names = tuple(parameters) if parameters is not None else tuple(
        name for name, value in program.parameters.items() if value.type.dtype.kind == "float"
    )
    if not names:
        raise LimitError("the program has no parameters to differentiate by.", legal="tn.port keeps a model's")
    jacobian = _Jacobian(program, names, target, output, together)
    arrays = [[native(x, target) for x in leaves] for leaves in sets]
    rows = []
    second = arrays[-1]
    for left in jacobian.blocks(arrays[0], block):
        row = [_inner(target, left, right, components) for right in jacobian.blocks(second, block)]
        rows.append(row[0] if len(row) == 1 else target.xp.concat(row, axis=1))
    return Tensor(rows[0] if len(rows) == 1 else target.xp.concat(rows, axis=0))


def _inner(backend: Backend, a: Array, b: Array, components: str) -> Array:
    xp = backend.xp
    if components == "mean":
        parts = [xp.matmul(a[:, c], xp.matrix_transpose(b[:, c])) for c in range(a.shape[1])]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total / len(parts) if len(parts) > 1 else total
    flat = xp.matmul(
        backend.reshape(a, (-1, a.shape[-1])), xp.matrix_transpose(backend.reshape(b, (-1, b.shape[-1])))
    )
    found = backend.reshape(flat, (a.shape[0], a.shape[1], b.shape[0], b.shape[1]))
    return xp.permute_dims(found, (0, 2, 1, 3))


class _Jacobian:
    """Derivatives of every component of an output by all parameters, example by example."""

    def __init__(
        self, program: Program, names: Sequence[str], backend: Backend, output: int, together: bool = False
    ) -> None:
        self.backend, self.output = backend, output
        single = dataclasses.replace(
            program, outputs=(program.outputs[output],), output_tree=LEAF, output_axes=(program.output_axes[output],)
        )
        self.value = single
        self.pulled = single.vjp(parameters=list(names))
        shapes = {value.type.shape[:1] for value in single.inputs}
        self.batch = next(iter(shapes))[0] if len(shapes) == 1 and all(shapes) else None
        if together or not isinstance(self.batch, Dim):
            self.batch = None

    def blocks(self, arrays: Sequence[Array], size: int) -> Any:
        """Arrays of examples by components by parameters."""
        # Parameters are placed now: a framework that maps traces, and what it makes then does not last.
        self.pulled.constants(self.backend, place(self.backend, arrays))
        if self.batch is None:
            yield self._whole(arrays)
            return
        count = arrays[0].shape[0]
        for start in range(0, count, size):
            part = [x[start : start + size] for x in arrays]
            yield self._mapped(part)

    def _mapped(self, arrays: Sequence[Array]) -> Array:
        """Each example by itself, mapped by the framework."""
        backend = self.backend

        def one(*example: Array) -> list[Array]:
            given = [backend.xp.expand_dims(x, axis=0) for x in example]
            return [self._rows(given)]

        try:
            return backend.vmap(one, list(arrays))[0]
        except Exception as error:  # an operation that the framework does not map: example by example
            if isinstance(error, BackendError):
                raise
            return backend.xp.stack([one(*(x[n] for x in arrays))[0] for n in range(arrays[0].shape[0])])

    def _rows(self, arrays: Sequence[Array]) -> Array:
        """Derivatives of all components, one row for each."""
        backend = self.backend
        shape = self._shape(arrays)
        count = math.prod(shape)
        rows = []
        of = self.value.outputs[0].type.dtype
        for n in range(count):
            unit = np.zeros(count, of.name)
            unit[n] = 1.0
            cotangent = backend.asarray(unit.reshape(shape), of, backend.device(arrays[0]), True)
            found = self.pulled.evaluate(backend, [*arrays, cotangent], self._sizes)
            flat = [backend.reshape(x, (-1,)) for x in found[1:]]
            rows.append(flat[0] if len(flat) == 1 else backend.xp.concat(flat, axis=0))
        return backend.xp.stack(rows)

    def _shape(self, arrays: Sequence[Array]) -> tuple[int, ...]:
        shapes = [tuple(x.shape) for x in arrays]
        sizes: dict[str, int] = {}
        for value, shape in zip(self.value.inputs, shapes, strict=True):
            for declared, actual in zip(value.type.shape, shape, strict=True):
                if isinstance(declared, Dim) and len(declared.symbols()) == 1 and declared == _symbol(declared):
                    sizes[str(declared)] = actual
        self._sizes = sizes
        return tuple(evaluated(size, sizes) for size in self.value.outputs[0].type.shape)

    _sizes: dict[str, int]

    def _whole(self, arrays: Sequence[Array]) -> Array:
        """All examples at once, where the program says how many there are or lets them see each other."""
        found = self._rows(arrays)
        shape = self._shape(arrays)
        count = shape[0] if shape else 1
        return self.backend.reshape(found, (count, -1, found.shape[-1]))


def _symbol(size: Dim) -> Any:
    (symbol,) = size.symbols()
    return Dim({(symbol,): 1}.items())


def _leaves(X: Any) -> list[Any]:
    leaves, _ = flatten(X, is_leaf)
    return leaves


# -- around the parameters --------------------------------------------------------------------------------------------


def opened(program: Program) -> Program:
    """A program whose parameters are arguments, after its own ones; its parameters' names are kept as theirs."""
    names = tuple(program.parameters)
    held = [program.parameters[name] for name in names]
    arrays = {value: array for value, array in program.arrays.items() if value not in held}
    return dataclasses.replace(
        program, inputs=(*program.inputs, *held), signature=(*program.signature, "parameters"), parameters={},
        arrays=arrays,
        input_tree=Tree("tuple", (), (*program.input_tree.children, Tree("dict", names, (LEAF,) * len(names)))),
    )  # fmt: skip


def with_parameters(program: Program, arrays: dict[str, np.ndarray[Any, Any]]) -> Program:
    """A program some of whose inputs are parameters, with these numbers."""
    chosen_inputs = {value: value.name for value in program.inputs if value.name in arrays}
    left = tuple(value for value in program.inputs if value not in chosen_inputs)
    numbers: dict[Value, np.ndarray[Any, Any]] = {
        value: np.asarray(arrays[name], value.type.dtype.name) for value, name in chosen_inputs.items()
    }
    return dataclasses.replace(
        program, inputs=left, signature=tuple(value.name for value in left),
        parameters={**program.parameters, **{name: value for value, name in chosen_inputs.items()}},
        arrays={**program.arrays, **numbers}, input_tree=Tree("tuple", (), (LEAF,) * len(left)),
    )  # fmt: skip


def linearised(program: Program) -> Callable[..., Tensor]:
    """f(x; w0) + df/dw (w - w0), as a function of the change of the parameters, then of the program's arguments."""
    return taylor(program, 1)


def taylor(program: Program, order: int) -> Callable[..., Tensor]:
    """The Taylor polynomial of a program around its parameters.

    Args:
        program: with its parameters' numbers.
        order: its degree.

    Returns:
        A function of a dictionary of changes of parameters by name (those that are missing do not change) and the
        program's arguments: the sum over k up to the order of the k-th derivative along the change, divided by k!.

    Raises:
        LimitError: the order is negative.

    >>> import numpy as np
    >>> import tensoria as tn
    >>> p = tn.trace(lambda x, w: x * w**3, tn.asarray(1.0), tn.asarray(2.0))
    >>> around = taylor(with_parameters(p, {"w": np.array(2.0)}), 2)  # 8 + 12 d + 6 d^2
    >>> float(around({"w": tn.asarray(0.5)}, tn.asarray(1.0)))
    15.5
    """
    if order < 0:
        raise LimitError(f"a Taylor polynomial of the degree {order}.", legal="order >= 0")
    open_program = opened(program)
    held = {name: program.arrays[value] for name, value in program.parameters.items()}

    def polynomial(change: dict[str, Any], *arguments: Any) -> Any:
        for name in change:
            if name not in held:
                raise LimitError(f"the program has no parameter {name!r}.", legal=", ".join(held))
        moved = {name: d if isinstance(d, Tensor) else Tensor(d) for name, d in change.items()}
        backend = chosen([*moved.values(), *arguments], None)
        device = place(backend, [native(x, backend) for x in (*moved.values(), *arguments)])
        base = {
            name: Tensor(backend.asarray(array, dtype(array.dtype), device, True)) for name, array in held.items()
        }
        positional = {str(n): x if isinstance(x, Tensor) else Tensor(x) for n, x in enumerate(arguments)}
        zero = Tensor(backend.asarray(0.0, next(iter(base.values())).dtype, device, True))
        one = Tensor(backend.asarray(1.0, zero.dtype, device, True))

        def along(t: Any) -> Any:
            # Derivatives of NumPy's tensors run on another framework: what t does not depend on goes there too.
            name_of = t._backend.name
            start, moving, rest = (
                {name: x.to(backend=name_of) for name, x in of.items()}
                for of in (base, moved, positional)
            )
            given = {name: x + t * moving[name] if name in moving else x for name, x in start.items()}
            return open_program.run(*rest.values(), given)

        of: Callable[[Any], Any] = along
        total = along(zero)
        for k in range(1, order + 1):
            of = _derived(of, one)
            total = total + of(zero) / math.factorial(k)
        return total

    return polynomial


def _derived(function: Callable[[Any], Any], one: Any) -> Callable[[Any], Any]:
    return lambda t: jvp(function, (t,), (one,))[1]


# -- ensembles --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Estimate:
    """A mean over samples.

    Attributes:
        mean: of each number.
        error: the standard error of each.
    """

    mean: np.ndarray[Any, Any]
    error: np.ndarray[Any, Any]

    def distance(self, limit: Any) -> float:
        """The largest distance from a limit, in standard errors."""
        away = np.abs(self.mean - np.asarray(limit))
        return float((away / np.maximum(self.error, np.finfo(float).tiny)).max())


@dataclass(frozen=True)
class Simulated:
    """Kernels of sampled networks at one width.

    Attributes:
        width: n.
        outputs: for each seed the output.
        nngp, ntk: the means over seeds (and over outputs that are iid); None if not asked for.
    """

    width: int
    outputs: np.ndarray[Any, Any]
    nngp: Estimate
    ntk: Estimate | None


def sampled(widened: Widened, width: int, seed: int) -> Program:
    """A network of a width, its parameters drawn from their laws."""
    if width % widened.unit:
        raise LimitError(f"the width is a multiple of {widened.unit}, not {width}.")
    n = width // widened.unit
    program = widened.at(n, seed=seed)
    random = np.random.default_rng([seed, 1])
    drawn = {}
    for value in program.inputs:
        if value.name in widened.laws:
            shape = tuple(evaluated(size, {widened.widths[0]: n}) for size in value.type.shape)
            drawn[value.name] = widened.law(value.name).sample(n, shape, random)
    return with_parameters(program, drawn) if drawn else program


def ensemble(
    widened: Widened, X: Any, width: int, seeds: int, *, output: int = 0, iid: int | None = None, ntk: bool = False,
    trained: Sequence[str] | None = None, together: bool = False, first: int = 0, backend: str | None = None,
) -> Simulated:  # fmt: skip
    """Networks sampled at one width, and the means of their kernels.

    Args:
        widened: the program.
        X: inputs.
        width: how wide.
        seeds: how many networks.
        output: which result.
        iid: the axis of the output along which components are iid.
        ntk: whether the tangent kernel is measured too.
        trained: the parameters that it is by.
        together: whether examples see each other.
        first: the first seed.
        backend: where; X's backend by default.
    """
    if seeds < 2:
        raise LimitError(f"{seeds} networks have no standard error.", legal="seeds >= 2")
    leaves = _leaves(X)
    target = chosen(leaves, backend)
    arrays = [native(leaf, target) for leaf in leaves]
    outputs, kernels = [], []
    for seed in range(first, first + seeds):
        program = sampled(widened, width, seed)
        found = program.evaluate(target, arrays)[output]
        outputs.append(np.asarray(target.to_numpy(target.detach(found)), float))
        if ntk:
            kernel = empirical_ntk(
                program, X, parameters=trained, output=output, together=together, backend=target.name
            )
            kernels.append(np.asarray(target.to_numpy(target.detach(kernel._array)), float))
    products = [_products(of, iid) for of in outputs]
    return Simulated(
        width, np.stack(outputs), _estimated(np.stack(products)), _estimated(np.stack(kernels)) if ntk else None
    )


def _products(f: np.ndarray[Any, Any], iid: int | None) -> np.ndarray[Any, Any]:
    """f f', the mean over the iid axis; examples by examples, then the other axes twice."""
    moved = np.moveaxis(f, iid, -1) if iid is not None else f[..., None]
    flat = moved.reshape(-1, moved.shape[-1])
    shape = moved.shape[:-1]
    found: np.ndarray[Any, Any] = (flat @ flat.T / flat.shape[1]).reshape(*shape, *shape)
    k = len(shape)
    if k < 1:
        return found
    return np.asarray(found.transpose(0, k, *range(1, k), *range(k + 1, 2 * k)))


def _estimated(samples: np.ndarray[Any, Any]) -> Estimate:
    return Estimate(samples.mean(axis=0), samples.std(axis=0, ddof=1) / math.sqrt(len(samples)))
