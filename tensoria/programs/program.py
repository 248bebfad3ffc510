"""A program, with everything that can be done with it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tensoria.backend import Array, Backend
from tensoria.discovery import get, home
from tensoria.errors import FileError
from tensoria.programs.archives import write
from tensoria.programs.base import BaseProgram, chosen, natives
from tensoria.programs.classes import program_source
from tensoria.programs.compiled import Compiled
from tensoria.programs.differentiation import Argnums, gradient, pullback, pushforward, value_and_gradient
from tensoria.programs.drawing import drawn
from tensoria.programs.files import load as read
from tensoria.programs.files import save
from tensoria.programs.natives import native_model
from tensoria.programs.passes import Chosen, optimised
from tensoria.programs.regions import ModuleCall, module_calls
from tensoria.programs.state import fit, in_mode, loaded, matched, purified, save_state
from tensoria.programs.trees import unflatten
from tensoria.tensor import Tensor

__all__ = ["Program", "load"]


class Program(BaseProgram):
    """A function of tensors as data: it runs on any backend, compiles, and is written out as source.

    Made by `tn.trace`; its parts are described in `BaseProgram`.
    """

    def run(self, *arguments: Any, backend: str | None = None, **named: Any) -> Any:
        """The program's result, computed instruction by instruction; changes of the state are dropped.

        Args:
            arguments, named: as for the function that was traced; tensors, or native arrays. A program that draws
                random numbers has a key as its last argument (`key=tn.random.key(0)`).
            backend: where to compute; the arguments' backend by default.

        Raises:
            TracingError: the arguments' structure differs from the traced one.
            ShapeError, DTypeError: a tensor does not fit its declaration.
        """
        leaves = self.leaves(arguments, named)
        target = self._target(leaves, backend)
        return self._result(target, self.evaluate(target, natives(leaves, target)))

    __call__ = run

    def _target(self, leaves: Sequence[Any], backend: str | None) -> Backend:
        """Where to compute; a key comes along."""
        others = leaves[:-1] if self.key is not None and len(leaves) > 1 else leaves
        return chosen(others, backend)

    def _result(self, target: Backend, arrays: Sequence[Array]) -> Any:
        tensors = [
            Tensor.from_parts(array, axes, target) for array, axes in zip(arrays, self.output_axes, strict=True)
        ]
        return unflatten(self.output_tree, tensors)

    # -- state ----------------------------------------------------------------------------------------------------

    def state(self, backend: str = "numpy") -> dict[str, Tensor]:
        """The parameters and buffers by name, as new tensors of a backend; tied ones are there once."""
        target = get(backend)
        device = home(target)
        return {
            name: Tensor.from_parts(
                target.asarray(self.arrays[value], value.type.dtype, device, True), value.axes, target
            )
            for name, value in self.parameters.items()
        }

    def apply(
        self, state: Mapping[str, Any], *arguments: Any, backend: str | None = None, **named: Any
    ) -> tuple[Any, dict[str, Tensor]]:
        """The program as a pure function of (state, arguments, key): its result, and the state after the call.

        Args:
            state: a tensor or native array for each parameter and buffer by name, as `state()` has them; for tied ones
                one of their names is enough.
            arguments, named, backend: as for `run`.

        Returns:
            The result, and a new dictionary: the state with what the call changes.

        Raises:
            TracingError: a parameter is missing, a name is none of the program's, or the arguments' structure differs
                from the traced one.
            ShapeError, DTypeError: a tensor does not fit its declaration.

        >>> import numpy as np
        >>> import tensoria as tn
        >>> import torch
        >>> p = tn.port(torch.nn.Linear(2, 1, bias=False), (torch.ones(3, 2),))
        >>> result, state = p.apply({"weight": np.array([[1, 10]], "float32")}, np.ones((3, 2), "float32"))
        >>> result.array[0], list(state)
        (array([11.], dtype=float32), ['weight'])
        """
        leaves = self.leaves(arguments, named)
        given = matched(self, state)
        target = self._target([*given.values()] if not self.inputs else leaves, backend)
        kept = tuple(given.values())
        held = dict(zip((self.parameters[name] for name in given), natives(kept, target, leaves), strict=True))
        fit(target, held)
        arrays = natives(leaves, target, kept)
        found = self.computed(target, arrays, (*self.outputs, *self.updates.values()), state=held)
        results, changed = found[: len(self.outputs)], found[len(self.outputs) :]
        after = {name: Tensor.from_parts(held[value], value.axes, target) for name, value in self.parameters.items()}
        for name, array in zip(self.updates, changed, strict=True):
            after[name] = Tensor.from_parts(array, self.parameters[name].axes, target)
        return self._result(target, results), after

    def pure(self) -> Program:
        """The program without parameters: of a state and the arguments, that returns the result and the state after.

        Its first argument is a dictionary of all parameters and buffers by name, and its result is a pair. It compiles,
        prints and saves like any other: `p.pure().compile("torch").native` takes the parameters one by one before the
        inputs, and returns them, changed or not, after the outputs.

        >>> import torch
        >>> import tensoria as tn
        >>> print(tn.port(torch.nn.Linear(2, 1), (torch.ones(3, 2),)).pure())
        program Linear(weight: float32[1, 2], bias: float32[1], input: float32[3, 2])
          v1: float32[3, 1] = linear(input, weight, bias)
          return v1, weight, bias
        """
        return purified(self)

    def load_state(self, source: Any, *, prefix: str = "", strict: bool = True) -> Program:
        """The program with other parameters, by name; this one stays as it is (see `state.loaded`)."""
        return loaded(self, source, prefix=prefix, strict=strict)

    def save_state(self, path: str | os.PathLike[str]) -> None:
        """Write parameters and buffers by name to a safetensors file, or into a folder (see `state.save_state`)."""
        save_state(self, path)

    def train(self) -> Program:
        """The same model in train mode, with this program's parameters.

        Raises:
            PortingError: it was captured in one mode only.
        """
        return in_mode(self, "train")

    def eval(self) -> Program:
        """The same model in eval mode, with this program's parameters; errors as for `train`."""
        return in_mode(self, "eval")

    # -- equivalent programs, source, derivatives -----------------------------------------------------------------

    def optimised(self, passes: Chosen = True) -> Program:
        """The program after passes, which keep its results (up to rounding) and leave less to do.

        Args:
            passes: those of some names: "fusion", "folding", "layout", "rows", "constants", "literals",
                "subexpressions", "order", "movement", "dead code"; True for all but "layout" (channels last) and
                "rows" (vectors are rows of a matrix), which suit TensorFlow and are on there, "folding" (batch
                normalisations go into the convolutions and linear maps before them, whose parameters become
                constants), and "fusion" (normalisations, activations, softmax, attention, linear maps and biases that
                were written out become one instruction).

        Raises:
            TracingError: there is no pass of that name.

        >>> import numpy as np
        >>> import tensoria as tn
        >>> x = tn.asarray(np.ones((2, 3)))
        >>> print(tn.trace(lambda x: tn.maximum(x, tn.zeros_like(x)), x).optimised(["literals", "dead code"]))
        program lambda(x: float64[2, 3])
          t1: float64[2, 3] = maximum(x, 0.0:float64)
          return t1
        """
        return optimised(self, passes)

    def source(self, backend: str, *, form: str | None = None, passes: Chosen = True) -> str:
        """The program as a module of plain Python over one framework, which imports that, NumPy and nothing else.

        Args:
            backend: the framework's name; "tensoria" for source that runs on all of them.
            form: "function" is one function of arrays, with `load(arrays)` if there are parameters; "classes" has one
                class for each module of the source, and `load(path)` makes the model of a file that `save` or
                `save_state` wrote. By default classes, if the instructions know their modules.
            passes: the optimisations before, as for `optimised`; False for none.

        Raises:
            BackendError: the backend can not be written, or lacks an operation.
            TracingError: there is no such form, or no pass of that name.
        """
        return program_source(self, backend, form, passes)

    def compile(
        self, backend: str, *, passes: Chosen = True, jit: bool = False, device: str | None = None
    ) -> Compiled:
        """The program as a function over one framework: generated Python without a call of tensoria in it.

        Args:
            backend: the framework's name.
            passes: the optimisations before, as for `optimised`; False for none. True is with "folding" here, for
                parameters are constants of the function, but for a program with updates.
            jit: whether the framework's own compiler takes it from there (whole, without a break), where it has one.
            device: where constants and parameters are, for calls of `Compiled.native`, by default where new tensors
                are made; a call of the compiled program takes them to the device of its first input.

        Raises:
            BackendError: the backend can not be written, or lacks an operation.
            TracingError: there is no pass of that name.
        """
        return Compiled(self, get(backend), passes=passes, jit=jit, device=device)

    def to(self, kind: str, *, passes: Chosen = True) -> Any:
        """A native model that computes this program, trainable, with parameters of its own by the program's names.

        Args:
            kind: what to make; backends offer "numpy", "torch", "tensorflow" and "keras".
            passes: the optimisations before, as for `optimised`; False for none.

        Raises:
            BackendNotFoundError: no backend makes such models.
            BackendError: the backend lacks an operation.

        >>> import numpy as np
        >>> import tensoria as tn
        >>> model = tn.trace(lambda x: tn.tanh(x) + 1, tn.asarray([0.0, 1.0])).to("numpy")
        >>> model(np.zeros(2))
        array([1., 1.])
        """
        return native_model(self, kind, passes)

    def to_numpy(self, *, passes: Chosen = True) -> Any:
        """`to("numpy")`: a callable of NumPy's arrays."""
        return self.to("numpy", passes=passes)

    def to_torch(self, *, passes: Chosen = True) -> Any:
        """`to("torch")`: an `nn.Module`, a graph with modules of PyTorch's own where parameters belong to one."""
        return self.to("torch", passes=passes)

    def to_tensorflow(self, *, passes: Chosen = True) -> Any:
        """`to("tensorflow")`: a `tf.Module` with variables, whose SavedModel serves without tensoria."""
        return self.to("tensorflow", passes=passes)

    def to_keras(self, *, passes: Chosen = True) -> Any:
        """`to("keras")`: a `keras.Model`; a saved one is read again where `tensoria` is installed."""
        return self.to("keras", passes=passes)

    def grad(self, argnums: Argnums = None, *, parameters: bool | Sequence[str] = False) -> Program:
        """The program that computes the gradient of this one, which returns one number.

        Args:
            argnums: by which arguments: an integer (a gradient with the argument's structure) or several (a tuple);
                the first argument by default, if no parameters are asked for.
            parameters: by which parameters, by name; True for all that are trainable. Their gradients are a
                dictionary. With arguments as well, the program returns a pair.

        Returns:
            A program of the same arguments; each gradient has its tensor's labels with every variance reversed.

        Raises:
            ShapeError: the program returns several tensors, or one with axes.
            DTypeError: what is differentiated (by) are integers, or the number is complex and no holomorphic function.

        >>> import tensoria as tn
        >>> p = tn.trace(lambda x: tn.sum(tn.sin(x)), tn.asarray([0.0, 1.0]))
        >>> print(p.grad())
        program lambda_grad(x: float64[2])
          v1: float64[2] = full(1.0:float64, shape=(2,))
          v2: float64[2] = cos(x)
          v3: float64[2] = multiply(v1, v2)
          return v3
        """
        return gradient(self, argnums, parameters)

    def value_and_grad(self, argnums: Argnums = None, *, parameters: bool | Sequence[str] = False) -> Program:
        """The program that computes this one's number and its gradient; arguments and errors as for `grad`."""
        return value_and_gradient(self, argnums, parameters)

    def vjp(self, argnums: Argnums = None, *, parameters: bool | Sequence[str] = False) -> Program:
        """The program that computes this one's results, and pulls cotangents back to its arguments.

        Args:
            argnums, parameters: what cotangents are pulled back to, as for `grad`.

        Returns:
            A program of the same arguments and one more: cotangents in the structure of the results (None for those
            of integers), with variances reversed. It returns the results and the cotangents of what was chosen.

        Raises:
            DTypeError: what is chosen are integers.
        """
        return pullback(self, argnums, parameters)

    def jvp(self, argnums: Argnums = None) -> Program:
        """The program that computes this one's results, and their derivatives along tangents of its arguments.

        Args:
            argnums: which arguments have tangents, as for `grad`.

        Returns:
            A program of the same arguments and one more: the tangents, in the structure of what was chosen. It returns
            the results and their derivatives (None for those of integers).

        Raises:
            DTypeError: what is chosen are integers.
        """
        return pushforward(self, argnums)

    def modules(self) -> ModuleCall:
        """The calls of modules that the instructions came from, nested; it prints as a tree.

        >>> import tensoria as tn
        >>> print(tn.trace(lambda x: x + 1, tn.asarray(1.0)).modules())
        lambda: 1 instruction, 0
        """
        return module_calls(self)

    def draw(self, path: str | os.PathLike[str] | None = None, *, depth: int | None = None) -> str:
        """The graph as an SVG picture: modules as boxes, values from above to below.

        Args:
            path: a file to write it to as well, whose name ends in .svg; it appears whole or not at all.
            depth: modules this deep are drawn closed; by default as deep as can be read.

        Raises:
            FileError: the file can not be written, or is to be a picture of another kind.
        """
        if path is not None and Path(path).suffix.lower() not in (".svg", ""):
            raise FileError(f"{path}: graphs are drawn as SVG.", legal=str(Path(path).with_suffix(".svg")))
        picture = drawn(self, depth)
        if path is not None:
            write(Path(path), [picture.encode()])
        return picture

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the program to one file, which appears whole or not at all (see `files.save`)."""
        save(self, path)


def load(path: str | os.PathLike[str]) -> Program:
    """The program in a file that `Program.save` wrote; no framework is needed, and nothing in the file is run.

    Raises:
        FileError: the file is missing, damaged, cut short, of another version, or no program.
    """
    return read(Program, path)
