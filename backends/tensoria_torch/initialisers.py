"""How a module's parameters are initialised: read off PyTorch's own initialisers while they run.

PyTorch initialises in place: `kaiming_uniform_` becomes `uniform_(-b, b)`, `trunc_normal_` becomes uniform numbers,
`erfinv_` and a product. While a model is made, these operators are noted for the memory that they write to; numbers are
never looked at. A module that was made before nobody looked is asked to initialise a copy of itself
(`reset_parameters`), which says what PyTorch does for its class.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tensoria.limits.laws import Drawn

__all__ = ["initialisers", "watching"]

LOCK = threading.RLock()
UNIT_UNIFORM = Drawn("uniform", 0.5, 1 / 12)
UNIT_NORMAL = Drawn("normal", 0.0, 1.0)


@contextlib.contextmanager
def watching() -> Iterator[Callable[[Any], Mapping[str, Drawn]]]:
    """A block in which initialisers are noted; see `Backend.watching`. What it draws is drawn again afterwards."""
    noting = _Noting()
    with torch.random.fork_rng(devices=[]), noting, _whole(noting):
        yield lambda model: initialisers(model, noting)


def initialisers(model: Any, noted: _Noting | None = None) -> dict[str, Drawn]:
    """How each parameter of a module is drawn, by its first name; without those that are not known."""
    found: dict[str, Drawn] = {}
    for name, parameter in model.named_parameters():
        drawn = noted.law(parameter) if noted is not None else None
        if drawn is None and (noted is None or not noted.touched(parameter)):
            drawn = _of_class(model, name)
        if drawn is not None:
            found[name] = drawn
    return found


def _of_class(model: Any, name: str) -> Drawn | None:
    """What the parameter's module does in `reset_parameters`, seen on a copy of the module."""
    path, _, own = name.rpartition(".")
    module = model.get_submodule(path)
    reset = getattr(type(module), "reset_parameters", None) or getattr(type(module), "_reset_parameters", None)
    if reset is None or not type(module).__module__.startswith("torch.nn."):
        return None
    twin = copy.deepcopy(module)
    state = torch.get_rng_state()
    with _Noting() as noting, _whole(noting):
        reset(twin)
    torch.set_rng_state(state)
    return noting.law(getattr(twin, own))


@contextlib.contextmanager
def _whole(noting: _Noting) -> Iterator[None]:
    """For the duration of a block initialisers that are loops (rejection, a QR decomposition) are noted as a whole."""
    with LOCK, contextlib.ExitStack() as stack:
        for name, law in WHOLE.items():
            initialiser = getattr(torch.nn.init, name, None)
            if initialiser is not None:
                setattr(torch.nn.init, name, _noted(noting, initialiser, law))
                stack.callback(setattr, torch.nn.init, name, initialiser)
        yield


def _noted(noting: _Noting, initialiser: Any, law: Callable[..., Drawn]) -> Any:
    @functools.wraps(initialiser)
    def noted(tensor: Any, *args: Any, **kwargs: Any) -> Any:
        result = initialiser(tensor, *args, **kwargs)
        noting.set(tensor, law(*args, **kwargs))
        return result

    return noted


class _Noting(TorchDispatchMode):
    """Notes for memory by what it was last written."""

    def __init__(self) -> None:
        super().__init__()
        self.laws: dict[int, tuple[Any, Drawn | None]] = {}
        """For the address of a storage the storage, which is kept alive, and the law of its numbers."""
        self.shapes: dict[int, tuple[int, ...]] = {}
        """For the address of a storage the shape that it was made for."""

    def law(self, tensor: Any) -> Drawn | None:
        """How a tensor's numbers were drawn, if that was seen."""
        return self.laws.get(_address(tensor), (None, None))[1]

    def touched(self, tensor: Any) -> bool:
        """Whether something was written to a tensor that is no initialiser."""
        return _address(tensor) in self.laws

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = dict(kwargs or {})
        result = func(*args, **options)
        self._note(func.overloadpacket.__name__, args, options, result)
        return result

    def _note(self, name: str, args: Any, options: Mapping[str, Any], result: Any) -> None:
        if not isinstance(result, torch.Tensor) or not (result.is_floating_point() and result.numel()):
            return
        first = args[0] if args and isinstance(args[0], torch.Tensor) else None
        if name in MADE:
            self.set(result, MADE[name](args, options))
        elif name in ("cat", "stack"):
            parts = {self.law(part) for part in args[0]}
            self.set(result, parts.pop() if len(parts) == 1 else None)
        elif name.endswith("_") and not name.endswith("__") and first is not None:
            self._written(name[:-1], first, args, options)
        elif first is not None and _address(first) != _address(result):
            self.set(result, self._changed(name, self.law(first), args, options))

    def _written(self, name: str, target: Any, args: Any, options: Mapping[str, Any]) -> None:
        before = self.law(target)
        drawn = WRITTEN[name](args, options) if name in WRITTEN else self._changed(name, before, args, options)
        if name == "copy" and isinstance(args[1], torch.Tensor):
            drawn = self.law(args[1])
        whole = target.numel() * target.element_size() == target.untyped_storage().nbytes()
        if whole:
            self.set(target, drawn)
        elif before is None or drawn is None or not self._constant_row(target, drawn):
            # A part is written otherwise than the rest: only a row (the padding of an embedding) does not matter.
            self.set(target, before if drawn == before else None)

    def _constant_row(self, part: Any, drawn: Drawn) -> bool:
        """Whether a part that is written is one row of a table, and constant."""
        shape = self.shapes.get(_address(part), ())
        return drawn.variance == 0 and len(shape) > 1 and tuple(part.shape) == shape[1:] and part.is_contiguous()

    def _changed(self, name: str, law: Drawn | None, args: Any, options: Mapping[str, Any]) -> Drawn | None:
        if law is None or name not in CHANGED:
            return None
        return CHANGED[name](law, args, options)

    def set(self, tensor: Any, drawn: Drawn | None) -> None:
        """Note how a tensor's numbers were drawn."""
        address = _address(tensor)
        self.laws[address] = tensor.untyped_storage(), drawn
        self.shapes.setdefault(address, tuple(tensor.shape))


def _address(tensor: Any) -> int:
    return int(tensor.untyped_storage()._cdata) if tensor.is_meta else int(tensor.untyped_storage().data_ptr())


# -- what operators draw ----------------------------------------------------------------------------------------------


def _given(args: Any, options: Mapping[str, Any], position: int, name: str, default: float) -> float:
    return float(args[position] if len(args) > position else options.get(name, default))


def _uniform(args: Any, options: Mapping[str, Any]) -> Drawn:
    low, high = _given(args, options, 1, "from", 0.0), _given(args, options, 2, "to", 1.0)
    return Drawn("uniform", (low + high) / 2, (high - low) ** 2 / 12)


def _normal(args: Any, options: Mapping[str, Any]) -> Drawn:
    return Drawn("normal", _given(args, options, 1, "mean", 0.0), _given(args, options, 2, "std", 1.0) ** 2)


def _filled(position: int) -> Callable[[Any, Mapping[str, Any]], Drawn | None]:
    def drawn(args: Any, options: Mapping[str, Any]) -> Drawn | None:
        value = args[position]
        return Drawn("constant", float(value), 0.0) if isinstance(value, (int, float)) else None

    return drawn


def _number(number: float) -> Callable[[Any, Mapping[str, Any]], Drawn]:
    return lambda args, options: Drawn("constant", number, 0.0)


MADE: Mapping[str, Callable[[Any, Mapping[str, Any]], Drawn | None]] = {
    "zeros": _number(0.0), "ones": _number(1.0), "full": _filled(1), "zeros_like": _number(0.0),
    "ones_like": _number(1.0), "full_like": _filled(1), "new_zeros": _number(0.0), "new_ones": _number(1.0),
    "new_full": _filled(2), "scalar_tensor": _filled(0),
    "rand": lambda args, options: UNIT_UNIFORM, "rand_like": lambda args, options: UNIT_UNIFORM,
    "randn": lambda args, options: UNIT_NORMAL, "randn_like": lambda args, options: UNIT_NORMAL,
    "empty": lambda args, options: None, "empty_like": lambda args, options: None,
}  # fmt: skip
"""Operators that make tensors, and how their numbers are drawn."""
WRITTEN: Mapping[str, Callable[[Any, Mapping[str, Any]], Drawn | None]] = {
    "uniform": _uniform, "normal": _normal, "fill": _filled(1), "zero": _number(0.0),
}  # fmt: skip
"""Operators that overwrite a tensor."""


def _scaled(law: Drawn, factor: Any) -> Drawn | None:
    if not isinstance(factor, (int, float)):
        return None
    return replace(law, mean=law.mean * factor, variance=law.variance * factor * factor)


def _moved(law: Drawn, by: Any) -> Drawn | None:
    return replace(law, mean=law.mean + by) if isinstance(by, (int, float)) else None


def _erfinv(law: Drawn, args: Any, options: Mapping[str, Any]) -> Drawn | None:
    """sqrt(2) erfinv of uniform numbers between 2 P(a) - 1 and 2 P(b) - 1 is normal between a and b."""
    if law.distribution != "uniform":
        return None
    half = math.sqrt(3 * law.variance)
    return _scaled(_cut(*(_quantile(law.mean + end) for end in (-half, half))), math.sqrt(0.5))


def _cut(low: float, high: float) -> Drawn:
    """A standard normal variable between two bounds."""
    density = [math.exp(-x * x / 2) / math.sqrt(2 * math.pi) for x in (low, high)]
    mass = (math.erf(high / math.sqrt(2)) - math.erf(low / math.sqrt(2))) / 2
    mean = (density[0] - density[1]) / mass
    edges = [x * d if math.isfinite(x) else 0.0 for x, d in zip((low, high), density, strict=True)]
    return Drawn("truncated normal", mean, 1 + (edges[0] - edges[1]) / mass - mean * mean)


def _truncated(mean: float, std: float, a: float, b: float, *args: Any, **options: Any) -> Drawn:
    found = _cut((a - mean) / std, (b - mean) / std)
    # Bounds of eight deviations cut nothing that is ever drawn.
    kind = "normal" if abs(found.variance - 1) < 1e-12 else found.distribution
    return Drawn(kind, mean + std * found.mean, std * std * found.variance)


WHOLE: Mapping[str, Callable[..., Drawn]] = {
    "_no_grad_trunc_normal_": _truncated,
    "orthogonal_": lambda *args, **options: Drawn("orthogonal", 0.0, 1.0),
}
"""Initialisers of `torch.nn.init` that are no single operators, and what they draw."""


def _quantile(y: float) -> float:
    """x with 2 P(x) - 1 = y."""
    if abs(y) >= 1:
        return math.copysign(math.inf, y)
    return math.sqrt(2) * float(torch.erfinv(torch.tensor(y, dtype=torch.float64)))


def _padded(law: Drawn, args: Any, options: Mapping[str, Any]) -> Drawn | None:
    """Padding by nothing, or of a constant by the same, as models do that tie a bias."""
    value = _given(args, options, 2, "value", 0.0)
    same = not any(args[1]) or (law.variance == 0 and law.mean == value)
    return law if same else None


def _clamped(law: Drawn, args: Any, options: Mapping[str, Any]) -> Drawn | None:
    """Clamping what lies inside already, as `trunc_normal_` does, changes nothing."""
    return law if law.distribution == "truncated normal" else None


CHANGED: Mapping[str, Callable[[Drawn, Any, Mapping[str, Any]], Drawn | None]] = {
    "mul": lambda law, args, options: _scaled(law, args[1]),
    "div": lambda law, args, options: _scaled(law, 1 / args[1]) if isinstance(args[1], (int, float)) else None,
    "add": lambda law, args, options: _moved(law, args[1]),
    "sub": lambda law, args, options: _moved(law, -args[1]) if isinstance(args[1], (int, float)) else None,
    "neg": lambda law, args, options: _scaled(law, -1),
    "erfinv": _erfinv,
    "clamp": _clamped,
    "constant_pad_nd": _padded,
    "clone": lambda law, args, options: law,
    "_to_copy": lambda law, args, options: law,
    "detach": lambda law, args, options: law,
}
"""What operators on one tensor and numbers make of a law."""
