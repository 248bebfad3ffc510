"""What muP does to a model of Keras: variables rescaled, multipliers where layers are called, rates by variable.

Keras has no hooks and no groups. A layer's `call` is replaced on the layer itself, which leaves its variables, their
names and the model's configuration as they are, and an optimiser's `update_step` is given another learning rate for
each variable. A model that is read from a file has neither: the plan is applied to it with `rescale=False`.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tensoria.errors import BackendError, LimitError, ShapeError
from tensoria.mup.models import Batch, Rate, Trained, check_target
from tensoria.programs.program import Program
from tensoria_tensorflow.initialisers import layers_of, names_of, renamed, renumbered

__all__ = ["MODELS"]

NOTE = "_tensoria_mup"
AFFINE = frozenset(
    "Dense EinsumDense Conv1D Conv2D Conv3D Conv1DTranspose Conv2DTranspose Conv3DTranspose DepthwiseConv1D "
    "DepthwiseConv2D".split()
)
"""Layers that are linear in their kernel, beside a bias, before an activation."""
NORMS = frozenset(("LayerNormalization", "RMSNormalization", "GroupNormalization", "BatchNormalization"))


class Models:
    """Keras' side of `mup.models.Models`."""

    # -- names ----------------------------------------------------------------------------------------------------

    def renamed(self, model: Any, program: Program) -> Program:
        """The program with names that are counted within the model; a `tf.Module`'s are paths of attributes."""
        if not hasattr(model, "_flatten_layers"):
            return program
        names, layers = names_of(model), renumbered(model)
        made = tuple(
            dataclasses.replace(
                of, source=dataclasses.replace(of.source, module=renamed(of.source.module, model, layers))
            )
            for of in program.instructions
        )
        parameters = {names.get(name, name): value for name, value in program.parameters.items()}
        more: dict[str, Any] = {}
        if hasattr(program, "trainable"):
            more["trainable"] = frozenset(names.get(name, name) for name in program.trainable)
        return dataclasses.replace(program, instructions=made, parameters=parameters, **more)

    def aliases(self, model: Any) -> dict[str, str]:
        """Keras has one name for each variable."""
        return {}

    def trained(self, model: Any, program: Program) -> frozenset[str]:
        """The names of the variables that training changes; of a `tf.Module` all of its program."""
        if not hasattr(model, "_flatten_layers"):
            return frozenset(program.parameters)
        return frozenset(self._named(model))

    def shapes(self, model: Any) -> dict[str, tuple[int, ...]]:
        """The shapes of the variables that training changes."""
        return {name: tuple(variable.shape) for name, variable in self._named(model).items()}

    def _named(self, model: Any) -> dict[str, Any]:
        if not hasattr(model, "_flatten_layers"):
            raise LimitError(f"a {type(model).__name__} is no model of Keras: muP is applied to layers.")
        names = names_of(model)
        found = {names[variable.path]: variable for variable in model.trainable_variables}
        if len(found) != len(model.trainable_variables):
            raise LimitError("two layers of the model have one name.", legal="keras.layers.Dense(..., name=...)")
        return found

    # -- notes ----------------------------------------------------------------------------------------------------

    def record(self, model: Any) -> Mapping[str, Any] | None:
        """What was noted on a model."""
        note = getattr(model, NOTE, None)
        return None if note is None else json.loads(note)

    def write(self, model: Any, record: Mapping[str, Any]) -> None:
        """Note something on a model."""
        setattr(model, NOTE, json.dumps(record))

    # -- variables ------------------------------------------------------------------------------------------------

    def scale(self, model: Any, factors: Mapping[str, float]) -> None:
        """Multiply variables by numbers."""
        for name, variable in self._named(model).items():
            if factors.get(name, 1.0) != 1.0:
                variable.assign(variable * factors[name])

    def multiplies(self, model: Any, path: str, own: Sequence[str]) -> str:
        """Why a layer can not have multipliers; empty if it can."""
        if not hasattr(model, "_flatten_layers"):
            return f"a {type(model).__name__} has no layers of Keras"
        layer = _layer(model, path)
        kind = type(layer).__name__
        names = {variable.name for variable in layer._trainable_variables}
        if kind in NORMS and names <= set(own):
            return ""
        if kind == "Embedding" and set(own) <= {"embeddings"}:
            return ""
        if kind in AFFINE and set(own) <= {"kernel", "bias"}:
            return ""
        if kind in NORMS:
            return f"gamma and beta of a {kind} have one multiplier together"
        return f"a {kind} is not known to be linear in {' and '.join(own)}"

    def multiply(self, model: Any, path: str, factors: Mapping[str, float]) -> None:
        """Multiply variables where a layer uses them.

        Raises:
            LimitError: it is not known how, or the factors differ where they can not.
        """
        if why := self.multiplies(model, path, sorted(factors)):
            raise LimitError(f"{path}: {why}.")
        layer = _layer(model, path)
        if type(layer).__name__ in AFFINE:
            kernel = factors.get("kernel", 1.0)
            bias = factors.get("bias", 1.0) if any(v.name == "bias" for v in layer._trainable_variables) else kernel
            # kernel W x + bias b = bias (W (kernel / bias) x + b), which the activation is given
            _called(layer, kernel / bias, 1.0)
            if bias != 1.0:
                layer.activation = _before(layer.activation, bias)
            return
        if len(set(factors.values())) > 1:
            raise LimitError(f"{path}: its variables have the multipliers {factors}, which have to be equal.")
        _called(layer, 1.0, next(iter(factors.values())))

    # -- optimisers -----------------------------------------------------------------------------------------------

    def groups(
        self, model: Any, rates: Mapping[str, Rate], lr: float, weight_decay: float, eps: float | None
    ) -> list[dict[str, Any]]:
        """Optimisers of Keras have no groups.

        Raises:
            BackendError: always.
        """
        raise BackendError("optimisers of Keras have no groups.", legal="plan.scaled_optimizer(optimizer)")

    def scaled(self, model: Any, optimizer: Any, rates: Mapping[str, Rate]) -> Any:
        """An optimiser whose steps have each variable's rate, and Adam's epsilon its factor.

        Keras decays weights by the learning rate of all variables, so that their product does not depend on the width.
        """
        if getattr(optimizer, NOTE, None) is not None:
            return optimizer
        own = {}
        for name, variable in self._named(model).items():
            own[id(variable)] = own[id(variable.value)] = rates[name]
        step = optimizer.update_step

        @functools.wraps(step)
        def update_step(gradient: Any, variable: Any, learning_rate: Any) -> Any:
            rate = own.get(id(variable))
            if rate is None:
                raise LimitError(f"the optimiser is given {variable.name}, which the model does not have.")
            epsilon = getattr(optimizer, "epsilon", None)
            if epsilon is None:
                return step(gradient, variable, learning_rate * rate.rate)
            optimizer.epsilon = epsilon * rate.epsilon
            try:
                return step(gradient, variable, learning_rate * rate.rate)
            finally:
                optimizer.epsilon = epsilon

        optimizer.update_step = update_step
        setattr(optimizer, NOTE, True)
        return optimizer

    def seed(self, number: int) -> None:
        """Seed what Keras draws."""
        import keras

        keras.utils.set_random_seed(number)

    def train(
        self, model: Any, rates: Mapping[str, Rate], optimizer: str, lr: float, batch: Batch, target: Any,
        loss: Callable[..., Any] | None, steps: int,
    ) -> Trained:  # fmt: skip
        """A few steps of training, with the outputs of every layer that has variables, and of the model."""
        import keras
        import tensorflow as tf

        kinds = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW}
        if optimizer not in kinds:
            raise LimitError(f"there is no optimiser {optimizer!r} of Keras here.", legal=", ".join(kinds))
        if optimizer == "adamw":
            made = keras.optimizers.AdamW(lr, weight_decay=0.0)
        else:
            made = kinds[optimizer](lr)
        made = self.scaled(model, made, rates)
        outputs: dict[str, list[float]] = {}
        first: dict[str, Any] = {}
        losses: list[float] = []
        for _ in range(steps + 1):
            with _Outputs(model) as seen, tf.GradientTape() as tape:
                output = model(*batch[0], **batch[1])
                value = _loss(output, target, loss)
            for path, tensor in seen.items():
                before = first.setdefault(path, tensor)
                change = tensor if tensor is before else tensor - before
                outputs.setdefault(path, []).append(float(tf.reduce_mean(tf.abs(change))))
            losses.append(float(value))
            if len(losses) <= steps:
                variables = model.trainable_variables
                gradients = tape.gradient(value, [variable.value for variable in variables])
                made.apply(gradients, variables)
        return Trained(outputs, losses)


MODELS = Models()


def _loss(output: Any, target: Any, loss: Callable[..., Any] | None) -> Any:
    import tensorflow as tf

    if loss is not None:
        return loss(output, target)
    check_target(output, tf.Tensor, target)
    if target.dtype.is_integer:
        each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=target, logits=output)
        return tf.reduce_mean(each)
    return tf.reduce_mean(tf.square(output - target))


def _layer(model: Any, path: str) -> Any:
    """The layer whose variables have this path before their own name."""
    if not path:
        return model
    names = names_of(model)
    for layer in layers_of(model):
        if any(names.get(v.path, "").rpartition(".")[0] == path for v in layer._trainable_variables):
            return layer
    raise ShapeError(f"the model has no layer {path} with variables.")


def _called(layer: Any, given: float, gives: float) -> None:
    """A layer's `call` with its first argument and its result multiplied."""
    call = layer.call

    @functools.wraps(call)
    def multiplied(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        result = call(inputs * given if given != 1.0 else inputs, *args, **kwargs)
        return result * gives if gives != 1.0 else result

    if given != 1.0 or gives != 1.0:
        layer.call = multiplied


def _before(activation: Any, factor: float) -> Any:
    @functools.wraps(activation)
    def multiplied(x: Any) -> Any:
        return activation(x * factor)

    return multiplied


class _Outputs:
    """A block in which the outputs of a model and of its layers with variables are kept, by name."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.seen: dict[str, Any] = {}
        self.before: list[tuple[Any, Any]] = []

    def __enter__(self) -> dict[str, Any]:
        layers = renumbered(self.model)
        for layer in layers_of(self.model):
            if layer is not self.model and layer._trainable_variables:
                self.before.append((layer, layer.__dict__.get("call")))
                layer.call = self._keeping(layer.call, layers.get(layer.name, layer.name))
        return self.seen

    def _keeping(self, call: Any, name: str) -> Any:
        @functools.wraps(call)
        def keeping(*args: Any, **kwargs: Any) -> Any:
            result = call(*args, **kwargs)
            self.seen[name] = result[0] if isinstance(result, tuple) else result
            return result

        return keeping

    def __exit__(self, *_: object) -> None:
        for layer, call in self.before:
            if call is None:
                del layer.call
            else:
                layer.call = call
