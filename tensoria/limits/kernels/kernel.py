"""Kernels of a program that was read: between sets of inputs, in blocks of bounded memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any, Final

from tensoria.backend import Array, Backend
from tensoria.dtypes import DType, dtype
from tensoria.errors import LimitError, ShapeError
from tensoria.limits.empirical import Simulated, ensemble
from tensoria.limits.kernels.covariance import Covariance
from tensoria.limits.kernels.progress import bar
from tensoria.limits.kernels.session import Run, Session
from tensoria.limits.kernels.tangents import Powers, Tangents, evaluated
from tensoria.limits.language.classification import Classification
from tensoria.limits.prediction import Prediction, flow, posterior
from tensoria.limits.reading.contractions import ancestry
from tensoria.limits.reading.families import unsupported
from tensoria.limits.reading.nodes import (
    BATCH,
    Coordinate,
    Detached,
    Initial,
    Map,
    MatMul,
    Matrix,
    Node,
    Place,
    Scale,
    Sum,
    View,
)
from tensoria.limits.reading.reader import Reading
from tensoria.limits.reading.telling import classified, in_order, told
from tensoria.limits.scaling import powers
from tensoria.programs.base import chosen, is_leaf, native
from tensoria.programs.binding import bind
from tensoria.programs.dimensions import Dim
from tensoria.programs.trees import flatten
from tensoria.tensor import Tensor

__all__ = ["InfiniteWidth"]

Progress = Callable[[int, int], None]
BLOCK: Final = 1024
"""So many examples of each set are computed at a time, unless another number is asked for."""
ENTRIES: Final = 1 << 22
"""So many numbers has one covariance of families with many members."""


class InfiniteWidth:
    """A program as a Tensor Program: what it is when its widths are infinite.

    Attributes:
        reading: its families.
        trained: the parameters whose derivatives make the tangent kernel.
        points: samples of expectations that have no closed form.
        example: the arguments that the model was analysed with, if there were any.
        tiers: for each function that kernels needed, how its expectations were computed: B closed forms, C quadrature,
            D samples.
        errors: of those that the last kernel sampled, the largest standard error.
    """

    def __init__(
        self, reading: Reading, trained: Sequence[str], points: int = 1 << 16, example: tuple[Any, ...] | None = None
    ) -> None:
        self.reading, self.trained, self.points, self.example = reading, tuple(trained), points, example
        self.errors: dict[str, float] = {}
        self.tiers: dict[str, str] = {}
        self.widened = reading.widened

    # -- kernels --------------------------------------------------------------------------------------------------

    def nngp(
        self, X1: Any, X2: Any = None, *, output: int = 0, diagonal: bool = False, block: int | None = None,
        progress: Progress | bool = False, dtype: Any = None, backend: str | None = None,
    ) -> Tensor:  # fmt: skip
        """The covariance of the output in the limit, E[f(x) f(x')]: the kernel of the network at initialisation.

        Args:
            X1: inputs as the program takes them: one array, or a tuple of them; examples stand along the first axis.
            X2: other inputs; X1 by default.
            output: which of the program's results.
            diagonal: only E[f(x)^2].
            block: so many examples of each set are computed at a time; beside the result, the memory is that of block^2
                pairs. By default 1024, fewer where families have many members (pixels); 0 computes all at once.
            progress: whether to print a bar, or a function of what is done and what is to do.
            dtype: the data type of the computation; that of X1 by default.
            backend: where to compute; where X1 is by default.

        Returns:
            Examples by examples, then the finite axes of the output for both, if it has any.

        Raises:
            LimitError: the output has no such limit.
        """
        return self._blocks(X1, X2, "nngp", output, diagonal, block, progress, dtype, backend, None)

    def ntk(
        self, X1: Any, X2: Any = None, *, width: int | None = None, output: int = 0, diagonal: bool = False,
        block: int | None = None, progress: Progress | bool = False, dtype: Any = None, backend: str | None = None,
    ) -> Tensor:  # fmt: skip
        """The neural tangent kernel in the limit: the sum over all parameters of df(x)/dw df(x')/dw.

        Args:
            width: how many neurons, where the kernel grows like a power of n, as in the standard parametrization;
                `ntk_powers` has the powers themselves (n counts parts of the width, where some sizes are such parts).
            X1, X2, output, diagonal, block, progress, dtype, backend: as for `nngp`.

        Raises:
            LimitError: gradients are not independent, so that the kernel is another one; or it grows with n and no
                width is given.
        """
        return self._blocks(X1, X2, "ntk", output, diagonal, block, progress, dtype, backend, width)

    def ntk_powers(self, X1: Any, X2: Any = None, *, output: int = 0, dtype: Any = None, backend: str | None = None
                   ) -> dict[Fraction, Tensor]:  # fmt: skip
        """The tangent kernel by powers of n."""
        self.require_independent_gradients()
        session, _ = self._session(X1, X2, dtype, backend)
        view = self._output(output)
        found = evaluated(self._tangents(session).of(view.of, view.of, self._mode(session, False)))  # type: ignore[arg-type]
        return {
            power: Tensor(self._finished(array, view, session, False, len(session.runs) - 1))
            for power, array in sorted(found.items(), reverse=True)
        }

    # -- predictions ----------------------------------------------------------------------------------------------

    def predict(
        self, X: Any, y: Any, X_test: Any, *, kernel: str = "ntk", time: float | None = None, rate: float = 1.0,
        noise: float = 0.0, covariance: bool = True, width: int | None = None, block: int | None = None,
        progress: Progress | bool = False, dtype: Any = None, backend: str | None = None,
    ) -> Prediction:  # fmt: skip
        """What the infinitely wide network predicts after training on the mean squared error.

        Args:
            X, y: inputs and targets, examples first; y has a column for each output.
            X_test: where to predict.
            kernel: `ntk`, all parameters are trained by gradient flow; `nngp`, the posterior of the Gaussian process
                that the network is at initialisation (the flow of the readout alone, where a time is given).
            time: of the flow, in steps of gradient descent at the learning rate `rate`; None for its end.
            noise: of the observations, as a variance, for `nngp`; for `ntk` a ridge relative to the kernel's mean
                diagonal.
            covariance: whether it is computed too.
            width: n, where the tangent kernel grows with it.
            block, progress, dtype, backend: as for `nngp`.

        Raises:
            MatrixError: the kernel of the training inputs is singular.
        """
        if kernel not in ("ntk", "nngp"):
            raise LimitError(f"predictions with the kernel {kernel!r}.", legal='kernel="ntk" or kernel="nngp"')
        given: dict[str, Any] = {"block": block, "progress": progress, "dtype": dtype, "backend": backend}
        wanted = covariance or kernel == "nngp"
        k, k_cross = (self.nngp(X, **given), self.nngp(X_test, X, **given)) if wanted else (None, None)
        k_test = self.nngp(X_test, **given) if covariance else None
        if kernel == "nngp" and time is None:
            return posterior(k, _beside(y, k), k_cross, k_test, noise=noise)
        theta, theta_cross = (
            (self.ntk(X, width=width, **given), self.ntk(X_test, X, width=width, **given))
            if kernel == "ntk"
            else (k, k_cross)
        )
        start = (k, k_cross, k_test) if covariance else None
        return flow(theta, _beside(y, theta), theta_cross, time=time, rate=rate, nngp=start, ridge=noise)

    def simulate(
        self, X: Any = None, width: int = 4096, seeds: int = 8, *, output: int = 0, ntk: bool = False, first: int = 0,
        backend: str | None = None,
    ) -> Simulated:  # fmt: skip
        """Networks of a finite width, drawn from the laws of their parameters, and the means of their kernels.

        Args:
            X: inputs, as for `nngp`; by default the examples that the model was analysed with.
            width: how many neurons; where the model has several widths, the one that was varied.
            seeds: how many networks.
            output: which of the program's results.
            ntk: whether the tangent kernel is measured too, which takes a derivative for each example and output.
            first: the first seed.
            backend: where; where X is by default.
        """
        if X is None and self.example is None:
            raise LimitError("there are no examples of the model's arguments to simulate it on.", legal="simulate(X)")
        X = self.example if X is None else X
        view = self._output(output)
        axes = [n for n, slots in enumerate(view.axes) if any(isinstance(slot, Coordinate) for slot in slots)]
        return ensemble(
            self.widened, X, width, seeds, output=output, iid=axes[0] if axes else None, ntk=ntk, trained=self.trained,
            together=not self.reading.decisions.mapped, first=first, backend=backend,
        )  # fmt: skip

    def _blocks(
        self, X1: Any, X2: Any, what: str, output: int, diagonal: bool, block: int | None, progress: Any, of: Any,
        backend: str | None, width: int | None,
    ) -> Tensor:  # fmt: skip
        if what == "ntk":
            self.require_independent_gradients()
        self.require_no_dots()
        self.errors = {}
        if diagonal and X2 is not None:
            raise LimitError("the diagonal of a kernel between two sets.", legal="diagonal=True with one set")
        first = self._leaves(X1)
        second = first if X2 is None else self._leaves(X2)
        counts = [self._count(leaves) for leaves in (first, second)]
        block = self.block if block is None else block
        if block < 1 or max(counts) <= block:
            session, _ = self._session(X1, X2, of, backend)
            return Tensor(self._one(session, what, output, diagonal, width))
        parts = [[slice(k, min(k + block, n)) for k in range(0, n, block)] for n in counts]
        total = len(parts[0]) * (1 if diagonal else len(parts[1]))
        if X2 is None and not diagonal:
            total = len(parts[0]) * (len(parts[0]) + 1) // 2
        tell, done = _progress(progress), 0
        rows: list[list[Array | None]] = []
        target = None
        for i, rows_at in enumerate(parts[0]):
            row: list[Array | None] = []
            for j, columns_at in enumerate([rows_at] if diagonal else parts[1]):
                if X2 is None and j < i and not diagonal:
                    row.append(None)
                    continue
                left = self._part(first, rows_at)
                right = None if (X2 is None and i == j) or diagonal else self._part(second, columns_at)
                session, target = self._session(_tupled(left), None if right is None else _tupled(right), of, backend)
                row.append(self._one(session, what, output, diagonal, width))
                done += 1
                tell(done, total)
            rows.append(row)
        assert target is not None
        xp = target.xp
        view = self._output(output)
        for i, row in enumerate(rows):
            for j, array in enumerate(row):
                if array is None:
                    row[j] = _turned(xp, rows[j][i], len(view.of.sizes))
        joined = [row[0] if len(row) == 1 else xp.concat(row, axis=1) for row in rows]
        return Tensor(joined[0] if len(joined) == 1 else xp.concat(joined, axis=0))

    def _one(self, session: Session, what: str, output: int, diagonal: bool, width: int | None) -> Array:
        view = self._output(output)
        mode = self._mode(session, diagonal)
        node = view.of
        assert isinstance(node, Node)
        if what == "nngp":
            if node.power > 0:
                raise LimitError(f"the output grows like n^{node.power}: it has no limit.")
            found = session.covariance.of(node, node, mode) if node.power == 0 else None
        else:
            found = self._evaluated(self._tangents(session).of(node, node, mode), width)
        if found is None:
            found = session.backend.reshape(session.number(0.0), (1,) * (2 - diagonal + 2 * len(node.sizes)))
        return self._finished(found, view, session, diagonal, mode[1])

    def _evaluated(self, powers: Powers, width: int | None) -> Array | None:
        """The kernel at a width, or its limit."""
        top = max(powers, default=Fraction(0))
        if top > 0 and width is None:
            raise LimitError(
                f"the tangent kernel grows like n^{top}.",
                legal="width=n gives it at a width; ntk_powers the coefficients; a learning rate of the order "
                f"n^-{top} makes it finite",
            )
        unit = self.widened.unit
        if width is not None and width % unit:
            raise LimitError(f"the width is a multiple of {unit}, not {width}.")
        total = None
        for power, array in evaluated(powers).items():
            if width is None and power < 0:
                continue
            part = array if power == 0 or width is None else array * (width / unit) ** float(power)
            total = part if total is None else total + part
        return total

    def _tangents(self, session: Session) -> Tangents:
        return Tangents(session.covariance, self.reading.families, self.trained)

    def _mode(self, session: Session, diagonal: bool) -> tuple[int, int, bool]:
        return (0, len(session.runs) - 1, diagonal or (not self.reading.decisions.mapped and len(session.runs) == 1))

    def _output(self, output: int) -> View:
        if not 0 <= output < len(self.reading.outputs):
            raise LimitError(f"there is no output {output}; the program has {len(self.reading.outputs)}.")
        view = self.reading.outputs[output]
        if not isinstance(view.of, Node) or isinstance(view.of, Matrix):
            known = "it is a number that is known in the limit, without a kernel"
            raise unsupported("the output", "it is a matrix" if isinstance(view.of, Node) else known)
        return view

    def _finished(self, array: Array, view: View, session: Session, diagonal: bool, second: int) -> Array:
        """Examples by examples, then finite axes."""
        mapped, xp = self.reading.decisions.mapped, session.backend.xp
        node = view.of
        lead = len(array.shape) - 2 * len(node.sizes)
        array = session.stretched(array, node.sizes, lead, 0)
        array = session.stretched(array, node.sizes, lead + len(node.sizes), second)
        lengths = tuple(array.shape)
        counts = (session.runs[0].count, session.runs[second].count)[:lead]
        array = xp.broadcast_to(array, (*counts, *lengths[lead:]))
        places = [slot for slots in view.axes for slot in slots if isinstance(slot, int)]
        n, k = len(node.sizes), len(node.sizes)
        order = [*range(lead), *(lead + p for p in places), *(lead + n + p for p in places)]
        if order != sorted(order):
            array = xp.permute_dims(array, tuple(order))
        if mapped and any(slot is BATCH for slots in view.axes for slot in slots):
            return array
        # Examples that see each other are finite axes, or there are none.
        array = array[(0,) * lead] if lead else array
        batch = self.reading.decisions.batch
        numbers = {slot: i for i, slot in enumerate(places)}
        examples = [numbers[s] for s in places if batch is not None and node.sizes[s] == batch]
        if examples:
            (e,) = examples[:1]
            rest = [i for i in range(k) if i != e]
            if diagonal:
                raise LimitError("the diagonal alone, of a program whose examples see each other.")
            array = xp.permute_dims(array, (e, k + e, *rest, *(k + i for i in rest)))
        return array

    # -- inputs ---------------------------------------------------------------------------------------------------

    def _leaves(self, X: Any) -> list[Any]:
        leaves, _ = flatten(X, is_leaf)
        inputs = self._inputs
        if len(leaves) != len(inputs):
            raise LimitError(f"the program takes {len(inputs)} arrays of data, not {len(leaves)}.")
        return leaves

    @cached_property
    def block(self) -> int:
        """How many examples are computed at a time if nobody says so: their covariances have at most 2^22 numbers."""
        alike: set[Node] = set()
        for x in in_order(self.reading):
            linear = isinstance(x, (Sum, Scale, Map, Place, Detached)) and all(y in alike for y in x.below())
            if linear or (isinstance(x, Initial) and not x.fresh):
                alike.add(x)  # parameters: their covariance has one number for all examples
        sizes = [[n for n in x.sizes if isinstance(n, int)] for x in in_order(self.reading) if x not in alike]
        members = max((math.prod(of) for of in sizes), default=1)
        return max(1, min(BLOCK, int(math.sqrt(ENTRIES) / max(members, 1))))

    def _count(self, leaves: Sequence[Any]) -> int:
        """How many examples there are."""
        if not self.reading.decisions.mapped:
            return 1
        lengths = [leaf.shape[0] for leaf, yes in zip(leaves, self._with_examples, strict=True) if yes]
        return int(lengths[0])

    def _part(self, leaves: Sequence[Any], at: slice) -> list[Any]:
        """Some of the examples."""
        return [leaf[at] if yes else leaf for leaf, yes in zip(leaves, self._with_examples, strict=True)]

    @cached_property
    def _with_examples(self) -> list[bool]:
        """Which inputs have the examples along their first axis."""
        shapes = [self.widened.program.inputs[n].type.shape for n in self._inputs]
        return [bool(shape) and shape[0] == self.reading.decisions.batch for shape in shapes]

    @cached_property
    def _inputs(self) -> list[int]:
        """The numbers of the program's inputs that are data."""
        names = set(self.widened.parameters.values())
        return [n for n, value in enumerate(self.widened.program.inputs) if value not in names]

    def _session(self, X1: Any, X2: Any, of: Any, backend: str | None) -> tuple[Session, Backend]:
        sets = [self._leaves(X1)] + ([] if X2 is None else [self._leaves(X2)])
        target = chosen([leaf for leaves in sets for leaf in leaves], backend)
        arrays = [[native(leaf, target) for leaf in leaves] for leaves in sets]
        kind: DType = _float(of) if of is not None else target.dtype(arrays[0][0])
        if kind.kind != "float":
            kind = dtype("float64")
        covariance = Covariance(self.reading.families, self.points)
        runs = [self._run(target, leaves) for leaves in arrays]
        session = Session(target, kind, runs, arrays[0][0], covariance)
        covariance.session, covariance.errors, covariance.tiers = session, self.errors, self.tiers
        return session, target

    def _run(self, target: Backend, leaves: Sequence[Array]) -> Run:
        inputs = self.widened.program.inputs
        sizes = bind(
            (inputs[n].type.shape, tuple(target.shape(leaf)), inputs[n].name)  # type: ignore[arg-type]
            for n, leaf in zip(self._inputs, leaves, strict=True)
        )
        for name in self.widened.widths:
            sizes.setdefault(name, 1)
        decisions = self.reading.decisions
        count = 1
        if decisions.mapped and isinstance(decisions.batch, Dim):
            count = decisions.batch.evaluate(sizes)
        if count < 1:
            raise ShapeError("a kernel of no examples.")
        return Run(dict(zip(self._inputs, leaves, strict=True)), sizes, count)

    # -- what it is -----------------------------------------------------------------------------------------------

    def __str__(self) -> str:
        return told(self.reading)

    def __repr__(self) -> str:
        return f"<{self.language} program of {len(self.reading.parameters)} parameters, infinitely wide>"

    @property
    def language(self) -> str:
        """The smallest language of Tensor Programs that suffices; `classify` has its conditions."""
        return self.classify().language

    def classify(self) -> Classification:
        """The language that the program needs, whether its conditions hold, and whether gradients are independent."""
        return classified(self.reading, lambda: self.dependence)

    def notes(self) -> list[str]:
        """What is to be known: laws that are not Gaussian, what vanishes or diverges, how kernels were computed."""
        found = [f"{name}: {law}" for name, law in self.widened.laws.items() if law.universal]
        found += [str(finding) for finding in powers(self.widened).findings]
        for name, tier in self.tiers.items():
            how = {"B": "closed form", "C": "quadrature", "D": "samples"}[tier]
            error = f", standard error {self.errors[name]:.1g}" if name in self.errors else ""
            found.append(f"{name}: {how}{error}")
        return found

    def require_independent_gradients(self) -> None:
        """Raise unless gradients may be taken as independent of what they are propagated through.

        Raises:
            LimitError: they may not; the reason is named.
        """
        reason = self.dependence
        if reason is not None:
            raise LimitError(
                f"gradients are not independent: {reason}. The tangent kernel needs the full rule (TP II, section 6).",
                legal="tp.simulate(width=..., seeds=...) estimates it",
            )

    def require_no_dots(self) -> None:
        """Raise if a matrix meets its transpose, or a readout something that depends on it, in the forward pass.

        Raises:
            LimitError: what they remember of each other is no part of these kernels (TP III, definition 7.3).
        """
        reason = self.dependence
        if reason is not None and reason.endswith("transpose too"):
            raise LimitError(
                f"unsupported: a transpose, {reason}, and what it remembers of the forward pass is in no kernel.",
                legal="tn.limits.expanded(tp, X), whose program has a limit with all dots",
            )
        if reason is not None:
            raise LimitError(f"unsupported: a readout, {reason}: it is not independent of what it reads.")

    @cached_property
    def dependence(self) -> str | None:
        """Why gradients are not independent of the weights that they pass, or None if they are (TP II, condition 1)."""
        matrices: dict[str, set[int]] = {}
        vectors: set[str] = set()
        outputs = [view.of for view in self.reading.outputs if isinstance(view.of, Node)]
        nodes = list(_reached(outputs))
        for node in nodes:
            if isinstance(node, MatMul):
                matrices.setdefault(node.matrix.name, set()).add(node.side)
            elif isinstance(node, Initial) and node.wide:
                vectors.add(node.name)
        for name, sides in matrices.items():
            if len(sides) > 1:
                return f"{name} is used as its transpose too"
            if name in vectors:
                return f"{name} is a readout and is used elsewhere"
        readouts = {node.matrix.name for node in nodes if isinstance(node, MatMul) and not node.wide}
        for node in nodes:
            if isinstance(node, MatMul) and node.wide and node.matrix.name in readouts:
                return f"{node.matrix.name} is a readout and is used elsewhere"
            if isinstance(node, MatMul) and not node.wide and node.matrix.name in ancestry(node.x):
                return f"{node.matrix.name} is a readout of what depends on it"
        return None


def _reached(outputs: Sequence[Node]) -> list[Node]:
    seen: dict[int, Node] = {}
    waiting = list(outputs)
    while waiting:
        node = waiting.pop()
        if id(node) not in seen:
            seen[id(node)] = node
            waiting += node.below()
    return list(seen.values())


def _beside(y: Any, kernel: Any) -> Tensor:
    """Targets on the backend and in the data type of a kernel."""
    given = y if isinstance(y, Tensor) else Tensor(y)
    return given.to(backend=kernel._backend.name, dtype=kernel.dtype)


def _tupled(leaves: Sequence[Any]) -> Any:
    return leaves[0] if len(leaves) == 1 else tuple(leaves)


def _turned(xp: Any, array: Array, k: int) -> Array:
    """A block below the diagonal from the one above."""
    return xp.permute_dims(array, (1, 0, *range(2 + k, 2 + 2 * k), *range(2, 2 + k)))


def _float(of: Any) -> DType:
    return of if isinstance(of, DType) else dtype(of)


def _progress(progress: Any) -> Progress:
    if progress is True:
        return bar
    return progress if callable(progress) else lambda done, total: None


