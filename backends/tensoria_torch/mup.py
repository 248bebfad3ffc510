"""What muP does to a PyTorch module (in progress)."""

from __future__ import annotations

from typing import Any

__all__ = ["MODELS"]


class Models:
    """PyTorch's side of `mup.models.Models`."""

    def aliases(self, model: Any) -> dict[str, str]:
        """Further names of shared parameters, with the first name of each."""
        first = {id(parameter): name for name, parameter in model.named_parameters()}
        return {
            name: first[id(parameter)]
            for name, parameter in model.named_parameters(remove_duplicate=False)
            if first[id(parameter)] != name
        }

    def trained(self, model: Any) -> frozenset[str]:
        """The names of the parameters that training changes."""
        return frozenset(name for name, _ in model.named_parameters(remove_duplicate=False))


MODELS = Models()
