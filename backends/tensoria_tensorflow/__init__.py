"""The TensorFlow backend: the entry point `tensoria.backends` names `backend` here."""

import os

# Not five lines about instruction sets for everyone who imports it; who wants them sets the variable to 0.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")

from tensoria_tensorflow.backend import backend
from tensoria_tensorflow.tracing import register

register()

__all__ = ["backend"]
