"""A module with two graphs over one state: `train()` and `eval()` choose between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.fx import Graph, GraphModule

__all__ = ["TwoModes"]


class TwoModes(nn.Module):
    """A program as it trains and as it is used; `module.training` says which of them a call is.

    Attributes:
        graphs: the modules that compute, by mode. They are no parts of this one: their parameters, buffers and modules
            are its own, in the same dictionaries, so that what happens to one happens to all.
    """

    def __init__(self, root: nn.Module, graphs: Mapping[str, Graph], name: str, training: bool) -> None:
        super().__init__()
        for own in SHARED:
            getattr(self, own).update(getattr(root, own))
        self._non_persistent_buffers_set.update(root._non_persistent_buffers_set)
        self.name = name
        self.graphs = {mode: GraphModule(root, graph, class_name=name) for mode, graph in graphs.items()}
        self._share()
        self.train(training)

    def _share(self) -> None:
        for module in self.graphs.values():
            module.__dict__.update({name: self.__dict__[name] for name in SHARED})

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._share()  # copies and pickles have dictionaries of their own

    def _get_name(self) -> str:
        return self.name

    @property
    def graph(self) -> Graph:
        """The graph of the mode in which the module is."""
        return self.graphs["train" if self.training else "eval"].graph

    def forward(self, *arguments: Any, **named: Any) -> Any:
        """The program's result in the module's mode."""
        return self.graphs["train" if self.training else "eval"](*arguments, **named)


SHARED = ("_parameters", "_buffers", "_modules")
"""Where a module keeps what is below it."""
