"""The TensorFlow backend: the entry point `tensoria.backends` names `backend` here."""

from tensoria_tensorflow.backend import backend
from tensoria_tensorflow.tracing import register

register()

__all__ = ["backend"]
