"""What export would take apart: recurrent networks, and derivatives that a model defines itself.

PyTorch's own `lstm`, `gru` and `rnn` are unrolled while their shapes are found, which fixes the sizes of batch and
time; the shapes of `ctc_loss` are not found at all, and `max_pool1d` fixes those that it sees. While a model is
captured, operators of ours stand in their place; they call PyTorch's kernels when the graph is run. An adaptive softmax
chooses clusters by the numbers of its targets; in its place all clusters are computed, and the same components taken.
Of an `autograd.Function` export keeps what it computes and drops its derivative, so its calls are noted, and the two
derivatives are compared.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

__all__ = ["derivatives_noted", "kept_whole", "own_derivatives", "replaced"]

LOCK = threading.RLock()
OPTIONS = "bool biased, int layers, float dropout, bool train, bool both, bool batch_first"
library = torch.library.Library("tensoria", "FRAGMENT")
library.define(f"lstm(Tensor x, Tensor[] held, Tensor[] weights, {OPTIONS}) -> (Tensor, Tensor, Tensor)")
library.define(f"gru(Tensor x, Tensor held, Tensor[] weights, {OPTIONS}) -> (Tensor, Tensor)")
for name in ("rnn_tanh", "rnn_relu"):
    library.define(f"{name}(Tensor x, Tensor held, Tensor[] weights, {OPTIONS}) -> (Tensor, Tensor)")
library.define("ctc_loss(Tensor x, Tensor targets, Tensor lengths, Tensor counts, int blank) -> Tensor")


def _states(x: Tensor, first: Tensor, weights: Any, biased: bool, layers: int, both: bool) -> tuple[Tensor, Tensor]:
    ways = 1 + both
    projected = len(weights) // (layers * ways) > (4 if biased else 2)
    units = weights[-1].shape[0] if projected else weights[1].shape[1]
    return x.new_empty((*x.shape[:-1], ways * units)), torch.empty_like(first)


def _lstm_types(
    x: Any, held: Any, weights: Any, biased: bool, layers: int, dropout: float, train: bool, both: bool, first: bool
) -> Any:
    return (*_states(x, held[0], weights, biased, layers, both), torch.empty_like(held[1]))


def _gru_types(
    x: Any, held: Any, weights: Any, biased: bool, layers: int, dropout: float, train: bool, both: bool, first: bool
) -> Any:
    return _states(x, held, weights, biased, layers, both)


for name, kernel, types in (
    ("lstm", torch.lstm, _lstm_types), ("gru", torch.gru, _gru_types), ("rnn_tanh", torch.rnn_tanh, _gru_types),
    ("rnn_relu", torch.rnn_relu, _gru_types),
):  # fmt: skip
    library.impl(name, kernel, "CompositeExplicitAutograd")
    library._register_fake(name, types)


def _aligned(x: Any, targets: Any, lengths: Any, counts: Any, blank: int) -> Any:
    return torch.ops.aten._ctc_loss.Tensor(x, targets, lengths, counts, blank)[0]


library.impl("ctc_loss", _aligned, "CompositeExplicitAutograd")
library._register_fake("ctc_loss", lambda x, *_: x.new_empty(x.shape[1:2]))


def _ctc_loss(
    x: Any, targets: Any, lengths: Any, counts: Any, blank: int = 0, reduction: int = 1, zero_infinity: bool = False
) -> Any:
    """PyTorch's, by the operator of ours."""
    if x.ndim == 2:
        lengths, counts = (torch.as_tensor(n).reshape(1) for n in (lengths, counts))
        found = _ctc_loss(x[:, None], targets.reshape(1, -1), lengths, counts, blank, reduction, zero_infinity)
        return found.squeeze(0) if reduction == 0 else found
    lengths, counts = (torch.as_tensor(n, dtype=torch.int64) for n in (lengths, counts))
    loss = torch.ops.tensoria.ctc_loss(x, targets.long(), lengths, counts, blank)
    if zero_infinity:
        loss = torch.where(loss == torch.inf, 0.0, loss)
    if reduction == 1:
        return (loss / counts.clamp_min(1)).mean()
    return loss.sum() if reduction == 2 else loss


def _adaptive_softmax(self: Any, x: Tensor, target: Tensor) -> Any:
    """An adaptive softmax's logarithms at the targets, and minus their mean."""
    rows, at = (x, target) if target.ndim else (x.unsqueeze(0), target.unsqueeze(0))
    output = self.log_prob(rows).gather(1, at.unsqueeze(1)).squeeze(1)
    loss = (-output).mean()
    return ADAPTED(output if target.ndim else output.squeeze(0), loss)


ADAPTIVE, ADAPTED = torch.nn.AdaptiveLogSoftmaxWithLoss, torch.nn.modules.adaptive._ASMoutput


@contextlib.contextmanager
def kept_whole() -> Iterator[None]:
    """For the duration of a `with` block these operators are called in place of what export would take apart."""
    functions = torch.nn.modules.rnn._VF

    def max_pool1d(
        x: Any, window: Any, strides: Any = (), padding: Any = 0, dilation: Any = 1, ceil: bool = False
    ) -> Any:
        if not any(isinstance(n, torch.SymInt) for n in x.shape):
            return pool(x, window, strides, padding, dilation, ceil)
        size, steps, around, wide = (
            (one, n[0] if isinstance(n, (tuple, list)) else n)
            for one, n in ((1, window), (1, strides or window), (0, padding), (1, dilation))
        )
        return torch.max_pool2d(x.unsqueeze(-2), size, steps, around, wide, ceil).squeeze(-2)

    def gaussian_nll_loss(*args: Any, **kwargs: Any) -> Any:
        # It asks for the sign of variances, and an answer that follows from numbers can not be exported.
        with replaced((torch, "any", lambda *_: False)):
            return gaussian(*args, **kwargs)

    def recurrent(name: str, place: int) -> Any:
        unrolled = getattr(functions, name)

        def network(x: Any, *given: Any) -> Any:
            packed = isinstance(given[place], Tensor)  # the batch's sizes stand before the state
            opened = name in ("lstm", "gru") or isinstance(x.shape[1 if given[-1] else 0], torch.SymInt)
            return (getattr(torch.ops.tensoria, name) if opened and not packed else unrolled)(x, *given)

        return network

    with LOCK:
        pool, gaussian = torch.max_pool1d, torch.nn.functional.gaussian_nll_loss
        networks = {"lstm": 0, "gru": 1, "rnn_tanh": 1, "rnn_relu": 1}
        with replaced(
            *((functions, name, recurrent(name, place)) for name, place in networks.items()),
            (ADAPTIVE, "forward", _adaptive_softmax),
            (ADAPTIVE, "predict", lambda self, x: self.log_prob(x).argmax(dim=1)),
            (torch, "max_pool1d", max_pool1d), (torch, "ctc_loss", _ctc_loss),
            (torch.nn.functional, "gaussian_nll_loss", gaussian_nll_loss),
        ):  # fmt: skip
            yield


@contextlib.contextmanager
def replaced(*changes: tuple[Any, str, Any]) -> Iterator[None]:
    """For the duration of a `with` block attributes of PyTorch's have other values: of what, its name, the value."""
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in changes]
    for owner, name, value in changes:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


Called = tuple[Any, tuple[Any, ...]]
"""An `autograd.Function` and its arguments, of which tensors are known by shape and data type."""


@contextlib.contextmanager
def derivatives_noted() -> Iterator[list[Called]]:
    """For the duration of a `with` block the calls of functions with derivatives of their own."""
    found: list[Called] = []
    kind: Any = torch.autograd.Function
    before = kind.__dict__["apply"]

    def apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
        if not cls.__module__.startswith("torch."):
            found.append((cls, tuple(_described(x) for x in args)))
        return before.__get__(None, cls)(*args, **kwargs)

    with LOCK:
        kind.apply = classmethod(apply)
        try:
            yield found
        finally:
            kind.apply = before


def _described(x: Any) -> Any:
    if not isinstance(x, Tensor):
        return x
    shape = [n.node.hint if isinstance(n, torch.SymInt) else n for n in x.shape]  # asking for numbers would fix them
    return torch.empty(shape, dtype=x.dtype, device="meta")


SCALES = (0.01, 1.0, 30.0)


def own_derivatives(called: list[Called]) -> list[str]:
    """The functions whose derivative is another one than that of what they compute, which export keeps.

    A derivative that is only written out by hand is no other one: both are compared, in float64, at random arguments of
    several sizes and for random cotangents.
    """
    names = []
    for cls, args in called:
        name = cls.__qualname__
        if name not in names and not _same_derivative(cls, args):
            names.append(name)
    return names


def _same_derivative(cls: Any, args: tuple[Any, ...]) -> bool:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            return all(_agrees(cls, args, scale) for scale in SCALES)
        except Exception:
            return False  # what can not be compared is not known to be the same


def _agrees(cls: Any, args: tuple[Any, ...], scale: float) -> bool:
    given = [_random(x, scale) if isinstance(x, Tensor) else x for x in args]
    inputs = [x for x in given if isinstance(x, Tensor) and x.requires_grad]
    with torch.enable_grad():
        own = cls.apply(*given)
        separate = cls.setup_context is not torch.autograd.Function.setup_context
        context = () if separate else (torch.autograd.function.FunctionCtx(),)
        plain = cls.forward(*context, *given)
    pairs = list(zip(*((x if isinstance(x, tuple) else (x,)) for x in (own, plain)), strict=True))
    moving = [(a, b) for a, b in pairs if isinstance(a, Tensor) and a.requires_grad]
    if any(not b.requires_grad for _, b in moving):
        return False
    cotangents = [torch.randn_like(a) * scale for a, _ in moving]
    found = [
        torch.autograd.grad([pair[n] for pair in moving], inputs, cotangents, allow_unused=True, materialize_grads=True)
        for n in (0, 1)
    ]
    return all(
        bool((a - b).abs().max() <= 1e-9 * max(float(b.abs().max()), 1e-30)) for a, b in zip(*found, strict=True)
        if a.numel()
    )  # fmt: skip


def _random(x: Tensor, scale: float) -> Tensor:
    if x.dtype.is_floating_point:
        return (torch.randn(x.shape, dtype=torch.float64) * scale).requires_grad_()
    if x.dtype == torch.bool:
        return torch.rand(x.shape) < 0.5
    return torch.zeros(x.shape, dtype=x.dtype)
