"""Choices and loops of programs as modules: Python's own while they run, PyTorch's operators while it compiles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

__all__ = ["CONTROLLED"]


class Cond(nn.Module):
    """One of two programs."""

    def __init__(self, then: nn.Module, otherwise: nn.Module) -> None:
        super().__init__()
        self.then, self.otherwise = then, otherwise

    def forward(self, operands: Any, sizes: Any) -> Any:
        condition, *given = operands
        if torch.compiler.is_compiling():
            then, otherwise = self.then, self.otherwise
            return torch.cond(condition, lambda *x: then(*x, *sizes), lambda *x: otherwise(*x, *sizes), tuple(given))
        return (self.then if condition else self.otherwise)(*given, *sizes)


class WhileLoop(nn.Module):
    """A program again and again."""

    def __init__(self, test: nn.Module, body: nn.Module, states: int) -> None:
        super().__init__()
        self.test, self.body, self.states = test, body, states

    def forward(self, operands: Any, sizes: Any) -> Any:
        state, captured = tuple(operands[: self.states]), (*operands[self.states :], *sizes)
        if torch.compiler.is_compiling():
            from torch._higher_order_ops.while_loop import while_loop

            test, body = self.test, self.body
            return while_loop(lambda *x: test(*x, *captured)[0], lambda *x: body(*x, *captured), state)
        while self.test(*state, *captured)[0]:
            state = self.body(*state, *captured)
        return state


class Scan(nn.Module):
    """A program for each slice of arrays, with a state from one to the next."""

    def __init__(self, body: nn.Module, states: int, scanned: int, reverse: bool, opened: bool) -> None:
        super().__init__()
        self.body, self.states, self.scanned, self.reverse = body, states, scanned, reverse
        self.opened = opened
        """Whether the length is open, so that an exported graph holds for every one."""

    def forward(self, operands: Any, sizes: Any, length: Any) -> Any:
        state, end = tuple(operands[: self.states]), self.states + self.scanned
        xs, captured = operands[self.states : end], (*operands[end:], *sizes)
        if self.opened and torch.compiler.is_exporting():
            return self._scanned(state, xs, captured, length)
        parts: list[Any] = []
        for n in reversed(range(length)) if self.reverse else range(length):
            found = self.body(*state, *(x[n] for x in xs), *captured)
            state = found[: self.states]
            parts.append(found[self.states :])
        if self.reverse:
            parts.reverse()
        return (*state, *(torch.stack(of) for of in zip(*parts, strict=True)))

    def _scanned(self, state: Any, xs: Any, captured: Any, length: Any) -> Any:
        """The same as one operator of PyTorch's."""
        from torch._higher_order_ops.scan import scan

        def step(carry: Any, slices: Any) -> Any:
            # Results of their own: the operator refuses what shares memory with its arguments.
            found = tuple(y.clone() for y in self.body(*carry, *(slices if xs else ()), *captured))
            return found[: self.states], found[self.states :]

        state, parts = scan(step, state, xs or (torch.arange(length),), reverse=self.reverse)
        return (*state, *parts)


CONTROLLED: Mapping[str, Callable[..., nn.Module]] = {"cond": Cond, "while_loop": WhileLoop, "scan": Scan}
"""The modules by operation."""
