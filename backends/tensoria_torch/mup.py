"""What muP does to a PyTorch module: parameters rescaled, multipliers as hooks, groups for optimisers.

A multiplier is a hook on the module that uses the parameter, so the parameter, its name and `state_dict` stay as they
are. Hooks are instances of classes of this file: they are copied, pickled and compiled with the module. What was done
is noted on the module and goes into the metadata of its `state_dict`, beside the versions that PyTorch writes there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from tensoria.errors import LimitError, ShapeError
from tensoria.mup.models import Batch, Rate, Trained, check_target
from tensoria.programs.program import Program

__all__ = ["MODELS"]

NOTE = "_tensoria_mup"
KEY = "tensoria_mup"
WRAPPERS = frozenset(
    ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module")
)
"""The names under which wrappers hold what they wrap: data parallel, compiled, sharded, checkpointed."""
CONVOLUTIONS = torch.nn.modules.conv._ConvNd
NORMS = (
    torch.nn.LayerNorm, torch.nn.GroupNorm, torch.nn.RMSNorm, torch.nn.modules.batchnorm._BatchNorm,
)  # fmt: skip


class Models:
    """PyTorch's side of `mup.models.Models`."""

    # -- names ----------------------------------------------------------------------------------------------------

    def renamed(self, model: Any, program: Program) -> Program:
        """PyTorch's names are paths of attributes, the same for every model of a class."""
        return program

    def aliases(self, model: Any) -> dict[str, str]:
        """Further names of shared parameters, with the first name of each."""
        first = {id(parameter): name for name, parameter in model.named_parameters()}
        return {
            name: first[id(parameter)]
            for name, parameter in model.named_parameters(remove_duplicate=False)
            if first[id(parameter)] != name
        }

    def trained(self, model: Any, program: Program) -> frozenset[str]:
        """The names of the parameters that training changes; the others are buffers."""
        return frozenset(name for name, _ in model.named_parameters(remove_duplicate=False))

    def shapes(self, model: Any) -> dict[str, tuple[int, ...]]:
        """The shapes of the parameters, without the prefixes of wrappers."""
        return {name: tuple(parameter.shape) for name, parameter in self._named(model).items()}

    def _named(self, model: Any) -> dict[str, Any]:
        """The parameters by the names that they have without wrappers."""
        return {_unwrapped(model, name): parameter for name, parameter in model.named_parameters()}

    # -- notes ----------------------------------------------------------------------------------------------------

    def record(self, model: Any) -> Mapping[str, Any] | None:
        """What was noted on a module, or on one that it wraps; or in the metadata of a `state_dict`."""
        if not isinstance(model, torch.nn.Module):
            return _recorded(model)
        for module in model.modules():
            if NOTE in module.__dict__:
                return json.loads(module.__dict__[NOTE])  # type: ignore[no-any-return]
        return None

    def write(self, model: Any, record: Mapping[str, Any]) -> None:
        """Note something on a module; its `state_dict` carries it along, and refuses another one's."""
        inner = _inner(model)
        inner.__dict__[NOTE] = json.dumps(record)
        inner.register_state_dict_post_hook(_put)
        inner.register_load_state_dict_pre_hook(_compare)

    # -- parameters -----------------------------------------------------------------------------------------------

    def scale(self, model: Any, factors: Mapping[str, float]) -> None:
        """Multiply parameters by numbers, in place."""
        with torch.no_grad():
            for name, parameter in self._named(model).items():
                if factors.get(name, 1.0) != 1.0:
                    parameter.mul_(factors[name])

    def multiplies(self, model: Any, path: str, own: Sequence[str]) -> str:
        """Why a module can not have multipliers; empty if it can."""
        module = _submodule(model, path)
        kind = type(module).__name__
        if isinstance(module, NORMS):
            lacking = {"weight", "bias"} - set(own)
            if any(getattr(module, name, None) is not None for name in lacking):
                return f"the weight and the bias of a {kind} have one multiplier together"
            return ""
        if set(own) <= {"weight"} and isinstance(module, torch.nn.Embedding):
            return ""
        if set(own) <= {"weight", "bias"} and (
            isinstance(module, (torch.nn.Linear, CONVOLUTIONS)) or kind in ("Conv1D",)
        ):
            return ""
        return f"a {kind} is not known to be linear in {' and '.join(own)}"

    def multiply(self, model: Any, path: str, factors: Mapping[str, float]) -> None:
        """Multiply parameters where a module uses them, by hooks.

        Raises:
            LimitError: it is not known how, or the factors differ where they can not.
        """
        why = self.multiplies(model, path, sorted(factors))
        if why:
            raise LimitError(f"{path}: {why}.")
        module = _submodule(model, path)
        weight = factors.get("weight", 1.0)
        if isinstance(module, (torch.nn.Embedding, *NORMS)):
            if len(set(factors.values())) > 1:
                raise LimitError(f"{path}: weight and bias have the multipliers {factors}, which have to be equal.")
            module.register_forward_hook(Output(next(iter(factors.values()))))
            return
        bias = factors.get("bias", 1.0) if getattr(module, "bias", None) is not None else weight
        if bias == weight and weight != 1.0:
            module.register_forward_hook(Output(weight))
            return
        # weight W x + bias b = bias (W (weight / bias) x + b)
        if weight != bias:
            module.register_forward_pre_hook(Input(weight / bias))
        if bias != 1.0:
            module.register_forward_hook(Output(bias))

    # -- optimisers -----------------------------------------------------------------------------------------------

    def groups(
        self, model: Any, rates: Mapping[str, Rate], lr: float, weight_decay: float, eps: float | None
    ) -> list[dict[str, Any]]:
        """Parameters that are optimised alike, as groups of `torch.optim`."""
        found: dict[Rate, list[tuple[str, Any]]] = {}
        for name, parameter in self._named(model).items():
            if parameter.requires_grad:
                found.setdefault(rates[name], []).append((name, parameter))
        groups = []
        for rate, members in found.items():
            group: dict[str, Any] = {
                "params": [parameter for _, parameter in members], "param_names": [name for name, _ in members],
                "lr": lr * rate.rate, "weight_decay": weight_decay * rate.decay,
            }  # fmt: skip
            if eps is not None:
                group["eps"] = eps * rate.epsilon
            if any(of.muon for of in rates.values()):
                group["use_muon"] = rate.muon
            groups.append(group)
        return groups

    def scaled(self, model: Any, optimizer: Any, rates: Mapping[str, Rate]) -> Any:
        """PyTorch's optimisers take groups.

        Raises:
            LimitError: always.
        """
        raise LimitError("optimisers of PyTorch take groups.", legal="torch.optim.AdamW(plan.param_groups(lr))")

    def seed(self, number: int) -> None:
        """Seed PyTorch's generator."""
        torch.manual_seed(number)

    def train(
        self, model: Any, rates: Mapping[str, Rate], optimizer: str, lr: float, batch: Batch, target: Any,
        loss: Callable[..., Any] | None, steps: int,
    ) -> Trained:  # fmt: skip
        """A few steps of training, with the outputs of every module that has parameters, and of the model."""
        made = _optimisers(optimizer, self.groups(model, rates, lr, 0.0, None))
        outputs: dict[str, list[float]] = {}
        first: dict[str, Any] = {}
        losses = []
        with Outputs(model) as seen:
            for _ in range(steps + 1):
                seen.clear()
                value = self._loss(model, batch, target, loss)
                for path, output in seen.items():
                    before = first.setdefault(path, output)
                    change = output if output is before else output - before
                    outputs.setdefault(path, []).append(float(change.abs().mean()))
                losses.append(float(value.detach()))
                if len(losses) <= steps:
                    model.zero_grad()
                    value.backward()
                    for of in made:
                        of.step()
        return Trained(outputs, losses)

    def _loss(self, model: Any, batch: Batch, target: Any, loss: Callable[..., Any] | None) -> Any:
        output = model(*batch[0], **batch[1])
        if loss is not None:
            return loss(output, target)
        check_target(output, torch.Tensor, target)
        if target.dtype == torch.long:
            if target.shape == output.shape[:-1]:
                output, target = output.flatten(0, -2), target.flatten()  # classes of tokens are the last axis
            return torch.nn.functional.cross_entropy(output, target)
        return torch.nn.functional.mse_loss(output, target)


MODELS = Models()


def _optimisers(name: str, groups: list[dict[str, Any]]) -> list[Any]:
    """PyTorch's optimisers of one name; Muon takes the hidden matrices, and AdamW the rest."""
    if name != "muon":
        return [{"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[name](groups)]
    parts: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    for group in groups:
        parts[group.pop("use_muon", False)].append(group)
    return [{True: torch.optim.Muon, False: torch.optim.AdamW}[muon](part) for muon, part in parts.items() if part]


def _recorded(state: Any) -> Mapping[str, Any] | None:
    """What a `state_dict` says of the plan that its module follows; None if it says nothing."""
    for of in getattr(state, "_metadata", {}).values():
        if KEY in of:
            return json.loads(of[KEY])  # type: ignore[no-any-return]
    return None


# -- hooks ------------------------------------------------------------------------------------------------------------


@dataclass
class Input:
    """Multiplies what a module is given."""

    factor: float

    def __call__(self, module: Any, args: Any) -> Any:
        """The first argument, multiplied."""
        return (args[0] * self.factor, *args[1:])


@dataclass
class Output:
    """Multiplies what a module gives."""

    factor: float

    def __call__(self, module: Any, args: Any, output: Any) -> Any:
        """The output, multiplied."""
        return output * self.factor


def _put(module: Any, state: Any, prefix: str, local: dict[str, Any]) -> None:
    local[KEY] = module.__dict__[NOTE]


def _compare(
    module: Any, state: Any, prefix: str, local: Mapping[str, Any], strict: bool, missing: Any, unexpected: Any,
    errors: list[str],
) -> None:  # fmt: skip
    other = local.get(KEY)
    if other is not None and other != module.__dict__[NOTE]:
        theirs = json.loads(other)
        errors.append(
            f"the checkpoint follows another muP plan (table {theirs['plan']['table']}, base {theirs['plan']['base']}, "
            f"width {theirs['width']}) than the module."
        )


class Outputs:
    """A block in which the outputs of a model and of its modules with parameters are kept, by path."""

    def __init__(self, model: Any) -> None:
        self.model, self.seen, self.handles = model, dict[str, Any](), list[Any]()
        self.last: Any = None

    def __enter__(self) -> dict[str, Any]:
        for path, module in self.model.named_modules():
            if not path or next(module.parameters(recurse=False), None) is not None:
                self.handles.append(module.register_forward_hook(self._keep(path)))
        return self.seen

    def _keep(self, path: str) -> Any:
        def keep(module: Any, args: Any, output: Any) -> None:
            tensor = output[0] if isinstance(output, tuple) else output
            if isinstance(tensor, torch.Tensor) and tensor.is_floating_point():
                if path:
                    self.last = tensor
                elif tensor is self.last:
                    return  # the model's output is its last module's
                self.seen[path or "output"] = tensor.detach().clone()

        return keep

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()


# -- wrappers ---------------------------------------------------------------------------------------------------------


def _wrapping(module: Any) -> str:
    """The name under which a module holds the one that it only wraps; empty if it is none."""
    names = [name for name, _ in module.named_children()]
    if len(names) != 1 or names[0] not in WRAPPERS:
        return ""
    wrapper = type(module).__module__.startswith(("torch.", "deepspeed.", "accelerate."))
    return names[0] if wrapper and next(module.parameters(recurse=False), None) is None else ""


def _inner(model: Any) -> Any:
    """The module inside of all wrappers."""
    while name := _wrapping(model):
        model = getattr(model, name)
    return model


def _unwrapped(model: Any, name: str) -> str:
    """A parameter's name without the components that wrappers add, wherever they stand.

    A module of the user's own that is called `module` is no wrapper; a component goes if the module that has it is.
    """
    module, kept = model, []
    for component in name.split("."):
        if component != _wrapping(module):
            kept.append(component)
        module = getattr(module, component)
    return ".".join(kept)


def _submodule(model: Any, path: str) -> Any:
    """The module at a path that does not count wrappers."""
    module = _inner(model)
    for component in filter(None, path.split(".")):
        module = getattr(module, component, None)
        if module is None:
            raise ShapeError(f"the model has no module {path}.")
        module = _inner(module)
    return module


