"""The NumPy backend: the entry point `tensoria.backends` names `backend` here."""

from tensoria_numpy.backend import backend

__all__ = ["backend"]
