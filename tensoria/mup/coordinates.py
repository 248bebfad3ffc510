"""The coordinate check: how much a few steps of training change the outputs of each layer, at several widths.

In muP the change neither grows nor vanishes with the width (TP V, appendix D.1). Its power of n is the slope of the
mean absolute change over the width, both in logarithms.
"""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tensoria.errors import LimitError
from tensoria.mup.models import Rate
from tensoria.mup.plans import Plan, models_of
from tensoria.mup.tables import OPTIMISERS

__all__ = ["CoordinateCheck", "coord_check"]


@dataclass(frozen=True)
class CoordinateCheck:
    """What was measured.

    Attributes:
        title: how it was parametrised and trained.
        widths: the widths.
        sizes: for the path of a module and a step the mean absolute value at each width: of its output at step 0, of
            its output's change since then at others.
        tolerance: what the verdict allows.
    """

    title: str
    widths: tuple[int, ...]
    sizes: Mapping[str, Sequence[Sequence[float]]]
    tolerance: float

    @property
    def slopes(self) -> dict[str, tuple[float, ...]]:
        """For the path of a module the power of n at each step; NaN where something is 0 or not finite."""
        return {
            path: tuple(_slope(self.widths, values) for values in steps) for path, steps in self.sizes.items()
        }

    @property
    def failures(self) -> tuple[str, ...]:
        """What grows or vanishes.

        Outputs may vanish at the beginning, and nothing is said of what does not change at all. A change vanishes if
        it still does so after the last step and between the larger widths: those of small models have parts that fade
        as n^(-1/2) beside the part that stays.
        """
        found = []
        upper = len(self.widths) // 2 if len(self.widths) > 2 else 0
        for path, steps in self.slopes.items():
            for step, slope in enumerate(steps):
                values = self.sizes[path][step]
                if not all(map(math.isfinite, values)):
                    found.append(f"{path} is not finite after {step} steps")
                    break
                if math.isnan(slope):
                    continue
                falls = slope < -self.tolerance and _slope(self.widths[upper:], values[upper:]) < -self.tolerance
                if slope > self.tolerance or (falls and 0 < step == len(steps) - 1):
                    what = f"the change of {path} after {step} steps" if step else f"{path} at the beginning"
                    found.append(f"{what} {'grows' if slope > 0 else 'vanishes'} as n^{slope:.2f}")
                    break
        return tuple(found)

    @property
    def passed(self) -> bool:
        """Whether nothing grows or vanishes."""
        return not self.failures

    def __str__(self) -> str:
        steps = len(next(iter(self.sizes.values())))
        head = ["module", *(f"t={t}" for t in range(steps))]
        rows = [head] + [[path, *(f"{slope:+.2f}" for slope in slopes)] for path, slopes in self.slopes.items()]
        sizes = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [f"{self.title}: powers of n of outputs (t=0) and of their changes, widths {self.widths}"]
        lines += ["  ".join(cell.ljust(n) for cell, n in zip(row, sizes, strict=True)).rstrip() for row in rows]
        lines.append("passed" if self.passed else "failed: " + "; ".join(self.failures))
        return "\n".join(lines)

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Draw the sizes over the width, one panel for each step, into a file.

        Raises:
            LimitError: matplotlib is not installed.
        """
        if importlib.util.find_spec("matplotlib") is None:
            raise LimitError("a plot needs the package matplotlib, which is not installed.", legal="print(check)")
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        steps = len(next(iter(self.sizes.values())))
        figure = Figure(figsize=(3.2 * steps, 3.4), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(1, steps, sharex=True, squeeze=False)[0]
        for step, panel in enumerate(panels):
            for name, values in self.sizes.items():
                panel.plot(self.widths, values[step], marker="o", markersize=3, label=name)
            panel.set_xscale("log", base=2)
            if all(value > 0 for values in self.sizes.values() for value in values[step]):
                panel.set_yscale("log")
            panel.set_xlabel("width")
            panel.set_title("outputs at t=0" if not step else f"changes at t={step}", fontsize=10)
        panels[0].set_ylabel("mean absolute value")
        panels[-1].legend(fontsize=7)
        figure.suptitle(f"{self.title}: {'passed' if self.passed else 'failed'}", fontsize=11)
        figure.savefig(os.fspath(path), dpi=110)


def coord_check(
    make_model: Callable[[int], Any], args: Any = (), kwargs: Mapping[str, Any] | None = None, *, target: Any = None,
    loss: Callable[..., Any] | None = None, plan: Plan | None = None, optimizer: str | None = None, lr: float = 0.01,
    steps: int = 3, widths: Sequence[int] = (128, 256, 512, 1024), seeds: int = 3, tolerance: float = 0.25,
) -> CoordinateCheck:  # fmt: skip
    """Train models of several widths for a few steps, and see whether what they compute grows or vanishes.

    Args:
        make_model: a function from a width to a model.
        args, kwargs: one batch, native tensors, as the model is called with; `args` may be a function from the width.
        target, loss: what the model is trained for: `loss(output, target)`. By default cross entropy for integers, and
            the mean squared error for others, of a model whose output is a tensor.
        plan: of muP; without one the model is trained as it is (standard parametrization).
        optimizer: "sgd", "adam", "adamw" or "muon"; the plan's by default.
        lr: the learning rate at the plan's base width.
        steps: so many steps.
        widths: the widths, at least two.
        seeds: so many models of each width; their sizes are averaged.
        tolerance: the largest power of n that counts as 0; powers are multiples of one half.

    Raises:
        LimitError: there is nothing to train for, an unknown optimiser, or less than two widths.
    """
    chosen = optimizer or (plan.optimizer if plan is not None else "sgd")
    if chosen not in OPTIMISERS:
        raise LimitError(f"there is no optimiser {chosen!r}.", legal=", ".join(OPTIMISERS))
    if plan is not None and chosen not in (plan.optimizer, {"adam": "adamw", "adamw": "adam"}.get(plan.optimizer)):
        raise LimitError(f"the plan is one for {plan.optimizer}, not for {chosen}.", legal=f'optimizer="{chosen}"')
    numbers = tuple(widths)
    if len(set(numbers)) < 2 or steps < 1 or seeds < 1:
        raise LimitError(f"{len(set(numbers))} widths, {steps} steps, {seeds} seeds: two, one and one at least.")
    totals: dict[str, list[list[float]]] = {}
    for k, n in enumerate(numbers):
        for seed in range(seeds):
            trained = _trained(make_model, (args, kwargs), n, seed, plan, chosen, lr, target, loss, steps)
            for path, values in trained.outputs.items():
                cells = totals.setdefault(path, [[0.0] * len(numbers) for _ in range(steps + 1)])
                for step, value in enumerate(values):
                    cells[step][k] += value / seeds
    title = f"muP, table {plan.table}, {chosen}" if plan is not None else f"standard parametrization, {chosen}"
    return CoordinateCheck(title, numbers, totals, tolerance)


def _trained(
    make: Callable[[int], Any], given: Any, n: int, seed: int, plan: Plan | None, optimizer: str, lr: float,
    target: Any, loss: Any, steps: int,
) -> Any:  # fmt: skip
    model = make(n)
    models = models_of(model)[1]
    models.seed(1000 * seed + n)
    model = make(n)
    if plan is not None:
        plan.apply(model)
        rates = plan.rates(plan.width_of(model))
    else:
        rates = {name: Rate(1.0, 1.0, 1.0, len(shape) == 2) for name, shape in models.shapes(model).items()}
    args, kwargs = given
    batch = args(n) if callable(args) else args, kwargs or {}
    wanted = target(n) if callable(target) else target
    return models.train(model, rates, optimizer, lr, batch, wanted, loss, steps)


def _slope(widths: Sequence[int], values: Sequence[float]) -> float:
    """The power of n by least squares of logarithms."""
    if any(value <= 0 or not math.isfinite(value) for value in values):
        return math.nan
    x, y = [math.log(n) for n in widths], [math.log(value) for value in values]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    above = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return above / sum((a - mean_x) ** 2 for a in x)
