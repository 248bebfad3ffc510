"""A program, with everything that can be done with it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from tensoria.backend import get
from tensoria.programs.base import BaseProgram, chosen, native
from tensoria.programs.compiled import Compiled
from tensoria.programs.differentiation import Argnums, gradient, pullback, pushforward, value_and_gradient
from tensoria.programs.files import load as read
from tensoria.programs.files import save
from tensoria.programs.passes import Chosen, optimised
from tensoria.programs.source import written
from tensoria.programs.trees import unflatten
from tensoria.tensor import Tensor

__all__ = ["Program", "load"]


class Program(BaseProgram):
    """A function of tensors as data: it runs on any backend, compiles, and is written out as source.

    Made by `tn.trace`; its parts are described in `BaseProgram`.
    """

    def run(self, *arguments: Any, backend: str | None = None, **named: Any) -> Any:
        """The program's result, computed instruction by instruction.

        Args:
            arguments, named: as for the function that was traced; tensors, or native arrays.
            backend: where to compute; the arguments' backend by default.

        Raises:
            TracingError: the arguments' structure differs from the traced one.
            ShapeError, DTypeError: a tensor does not fit its declaration.
        """
        leaves = self.leaves(arguments, named)
        target = chosen(leaves, backend)
        arrays = [native(leaf, target) for leaf in leaves]
        results = self.evaluate(target, arrays)
        tensors = [
            Tensor.from_parts(array, axes, target) for array, axes in zip(results, self.output_axes, strict=True)
        ]
        return unflatten(self.output_tree, tensors)

    __call__ = run

    def optimised(self, passes: Chosen = True) -> Program:
        """The program after passes, which keep its results (up to rounding) and leave less to do.

        Args:
            passes: all, or those of some names: "constants", "literals", "subexpressions", "order", "movement",
                "dead code".

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

    def source(self, backend: str, *, passes: Chosen = True) -> str:
        """The program as a module of plain Python over one framework, which imports nothing else.

        Args:
            backend: the framework's name.
            passes: the optimisations before, as for `optimised`; False for none.

        Raises:
            BackendError: the backend can not be written, or lacks an operation.
            TracingError: there is no pass of that name.
        """
        return written(self, get(backend).dialect(), backend, passes)

    def compile(
        self, backend: str, *, passes: Chosen = True, jit: bool = False, device: str | None = None
    ) -> Compiled:
        """The program as a function over one framework: generated Python without a call of tensoria in it.

        Args:
            backend: the framework's name.
            passes: the optimisations before, as for `optimised`; False for none.
            jit: whether the framework's own compiler takes it from there (whole, without a break), where it has one.
            device: where constants and parameters are, for calls of `Compiled.native`; a call of the compiled program
                takes them to the device of its first input.

        Raises:
            BackendError: the backend can not be written, or lacks an operation.
            TracingError: there is no pass of that name.
        """
        return Compiled(self, get(backend), passes=passes, jit=jit, device=device)

    def grad(self, argnums: Argnums = None, *, parameters: bool | Sequence[str] = False) -> Program:
        """The program that computes the gradient of this one, which returns one number.

        Args:
            argnums: by which arguments: an integer (a gradient with the argument's structure) or several (a tuple);
                the first argument by default, if no parameters are asked for.
            parameters: by which parameters, by name; True for all. Their gradients are a dictionary. With arguments
                as well, the program returns a pair.

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

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the program to one file, which appears whole or not at all (see `files.save`)."""
        save(self, path)


def load(path: str | os.PathLike[str]) -> Program:
    """The program in a file that `Program.save` wrote; no framework is needed, and nothing in the file is run.

    Raises:
        FileError: the file is missing, damaged, cut short, of another version, or no program.
    """
    return read(Program, path)
