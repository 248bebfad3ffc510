"""What muP does to a model of Keras: variables rescaled, multipliers where layers are called, rates by variable.

Keras has no hooks and no groups. Layers and optimisers become objects of subclasses (`multiplied.py`), which leaves
variables and their names as they are, and files have what was added. What is noted about a model is carried by its
first layer that can.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tensoria.errors import BackendError, LimitError, ShapeError
from tensoria.mup.models import READOUT, Batch, Rate, Trained, check_target
from tensoria.programs.program import Program
from tensoria_tensorflow.initialisers import layers_of, names_of, renamed, renumbered

__all__ = ["MODELS"]

NOTE = "_tensoria_mup"
CARRIED = "tensoria_mup"
"""Where a layer has what `multiplied.py` adds to it, which is not imported before it is needed."""


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
        if not hasattr(model, "_flatten_layers"):
            return None
        notes = [getattr(model, NOTE, ""), *(layer.__dict__.get(CARRIED, {}).get("note") for layer in layers_of(model))]
        return next((json.loads(note) for note in notes if note), None)

    def write(self, model: Any, record: Mapping[str, Any]) -> None:
        """Note something on a model, on a layer that files keep it with; what Keras has compiled is compiled anew."""
        from tensoria_tensorflow import multiplied

        note = json.dumps(record)
        able = (of for of in layers_of(model) if type(of).__name__ in multiplied.KINDS and of._trainable_variables)
        if (carrier := next(able, None)) is not None:
            multiplied.follow(carrier, note=note)
        else:
            setattr(model, NOTE, note)
        for compiled in ("train_function", "test_function", "predict_function"):
            if hasattr(model, compiled):
                setattr(model, compiled, None)

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
        from tensoria_tensorflow.multiplied import AFFINE, NORMS

        layer = _layer(model, path)
        kind = type(layer).__name__
        names = {variable.name for variable in layer._trainable_variables}
        if kind in NORMS and names <= set(own):
            return ""
        if kind == "Embedding" and set(own) <= {"embeddings"}:
            return ""
        if kind == "ReversibleEmbedding" and set(own) <= {"embeddings", READOUT, "reverse_embeddings"}:
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
        from tensoria_tensorflow.multiplied import AFFINE, Before, follow

        layer = _layer(model, path)
        if type(layer).__name__ in AFFINE:
            kernel = factors.get("kernel", 1.0)
            bias = factors.get("bias", 1.0) if any(v.name == "bias" for v in layer._trainable_variables) else kernel
            # kernel W x + bias b = bias (W (kernel / bias) x + b), which the activation is given
            follow(layer, given=kernel / bias)
            if bias != 1.0:
                layer.activation = Before(layer.activation, bias)
            return
        if type(layer).__name__ == "ReversibleEmbedding":
            back = factors.get(READOUT, factors.get("reverse_embeddings", 1.0))
            follow(layer, gives=factors.get("embeddings", 1.0), reverse=back)
            return
        if len(set(factors.values())) > 1:
            raise LimitError(f"{path}: its variables have the multipliers {factors}, which have to be equal.")
        follow(layer, gives=next(iter(factors.values())))

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
        from tensoria_tensorflow import multiplied

        if multiplied.KEY in optimizer.__dict__:
            return optimizer
        named = self._named(model)
        return multiplied.paced(optimizer, list(named.values()), [rates[name] for name in named])

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
