"""`tn.limits.analyse`: an ordinary program or model as a Tensor Program, with its kernels.

A model is captured at three widths and unified (`limits.widths`), read as families of vectors (`limits.reading`), and
its kernels are computed from what was read (`limits.kernels`).
"""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tensoria.errors import BackendNotFoundError, PortingError
from tensoria.limits.expansion import expanded
from tensoria.limits.kernels.kernel import InfiniteWidth
from tensoria.limits.laws import Law
from tensoria.limits.reading import RULES
from tensoria.limits.reading.reader import batch_symbol, read
from tensoria.limits.tensor_program import TensorProgram
from tensoria.limits.theorem import Limit
from tensoria.limits.widths import Widened, check_maker, widened
from tensoria.porting.models import port
from tensoria.programs.program import Program

__all__ = ["Analysis", "analyse"]


class Analysis(InfiniteWidth):
    """A program as a Tensor Program: its kernels, what it predicts, and its limit on data."""

    def tensor_program(self, X: Any) -> TensorProgram:
        """The program on data, in the language's own words: a vector for each member of a family.

        Args:
            X: few inputs, as for `nngp`: there are as many vectors as examples times finite axes.
        """
        return expanded(self, X).program

    def limit(self, X: Any, **options: Any) -> Limit:
        """The limit on data by the Master Theorem's full rule, transposes and all.

        Args:
            X: few inputs, as for `nngp`.
            options: those of `tn.limits.Limit`.
        """
        return self.tensor_program(X).limit(**options)


def analyse(
    model: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None, *,
    widths: Sequence[int] | Sequence[str] | None = None, laws: Mapping[str, Law] | None = None, dynamic: Any = None,
    gaussian: bool = False, frozen: Collection[str] = (),
) -> Analysis:  # fmt: skip
    """A program or model as a Tensor Program, and its kernels when its widths are infinite.

    Args:
        model: a function from a width to a model of a framework; or a traced program whose widths are symbols.
        args, kwargs: examples of the model's arguments (or a function from a width to them); one may stand alone.
        widths: three widths at which the model is captured; for a program the names of its width symbols.
        laws: how parameters' entries are drawn, by name or pattern, where the model's initialisers do not say so or
            something else is meant. For a traced program they say which of its inputs are parameters.
        dynamic: sizes of the model's arguments that stay open, as for `tn.port`; for each argument its first axis, the
            examples', by default.
        gaussian: take entries of all laws as Gaussian ones of their variance, input layers' too, where the limit is
            another one otherwise.
        frozen: names or patterns of parameters that are not trained.

    Raises:
        LimitError: the program is outside of the languages of Tensor Programs; the operation, its line and the reason
            are named.

    >>> import numpy as np
    >>> import tensoria as tn
    >>> n, d = tn.Space("n", "n", privileged=True), 3
    >>> def net(x, W, V, b):
    ...     return tn.relu(x @ W / d**0.5 + b) @ V / tn.sqrt(tn.asarray(W.shape[1], dtype=tn.float64))
    >>> ones = tn.asarray(np.ones((2, 3))), tn.asarray(np.ones((3, 8))), tn.asarray(np.ones((8, 1)))
    >>> sizes = {"x": ("batch", None), "W": (None, "n"), "V": ("n", None), "b": ("n",)}
    >>> p = tn.trace(net, *ones, tn.asarray(np.ones(8)), dynamic=sizes)
    >>> normal = tn.limits.Law(1.0)
    >>> tp = analyse(p, widths=("n",), laws={"W": normal, "V": normal, "b": normal})
    >>> tp.nngp(np.eye(3)).array.round(4)
    array([[0.6667, 0.5253, 0.5253],
           [0.5253, 0.6667, 0.5253],
           [0.5253, 0.5253, 0.6667]])
    """
    args = args if callable(args) or isinstance(args, (tuple, list)) else (args,)
    found = _widened(model, args, kwargs, widths, laws, dynamic)
    if gaussian:
        found = replace(
            found, laws={k: replace(v, distribution="normal") if not v.constant else v for k, v in found.laws.items()}
        )
    reading = read(found, RULES, batch_symbol(found))
    held = frozenset(found.program.parameters) - (found.trained or frozenset(found.program.parameters))
    names = tuple(name for name in reading.parameters if name not in held)  # buffers are not trained
    still = {name for name in names for wanted in frozen if fnmatch.fnmatch(name, wanted)}
    example = tuple(args) if args and not callable(args) and not kwargs else None
    return Analysis(reading, tuple(name for name in names if name not in still), example=example)


def _widened(
    model: Any, args: Any, kwargs: Mapping[str, Any] | None, widths: Any, laws: Mapping[str, Law] | None, dynamic: Any
) -> Widened:
    if isinstance(model, Widened):
        return model
    if isinstance(model, Program):
        return widened(model, widths=widths or (), laws=laws) if widths else widened(model, laws=laws)
    check_maker(model)
    chosen = widths or (64, 128, 256)
    if dynamic is None:
        dynamic = _open_batch(model, args, kwargs, int(chosen[0]))
        try:
            found = widened(model, args, kwargs, widths=chosen, laws=laws, dynamic=dynamic)
        except PortingError:  # the model fixes how many examples there are
            found = widened(model, args, kwargs, widths=chosen, laws=laws)
    else:
        found = widened(model, args, kwargs, widths=chosen, laws=laws, dynamic=dynamic or None)
    data = {value.name for value in found.program.inputs} - set(laws or {})  # a pattern means parameters
    return replace(found, laws={name: law for name, law in found.laws.items() if name not in data})


def _open_batch(model: Any, args: Any, kwargs: Mapping[str, Any] | None, width: int) -> Mapping[str, Any] | None:
    """The first axis of every argument open, if they have one in common."""
    given = args(width) if callable(args) else args
    given = given if isinstance(given, (tuple, list)) else (given,)
    made = model(width)
    try:
        first = port(made, given, kwargs)
    except BackendNotFoundError:  # a function of tensors, which is traced
        return None
    leading = {value.type.shape[0] for value in first.inputs if value.type.shape}
    if len(leading) != 1 or leading == {1}:
        return None
    return {value.name: ("batch", *(None,) * (value.type.ndim - 1)) for value in first.inputs}
