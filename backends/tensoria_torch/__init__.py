"""The PyTorch backend: the entry point `tensoria.backends` names `backend` here."""

from tensoria_torch.backend import backend
from tensoria_torch.tracing import register

register()

__all__ = ["backend"]
