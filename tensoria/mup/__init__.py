"""muP: parametrizations under which learning rates carry over from small models to wide ones."""

from tensoria.mup.coordinates import CoordinateCheck, coord_check
from tensoria.mup.plans import Entry, Plan, plan
from tensoria.mup.records import base_of, load, read_base_shapes, recorded
from tensoria.mup.tables import Row, row

__all__ = [
    "CoordinateCheck", "Entry", "Plan", "Row", "base_of", "coord_check", "load", "plan", "read_base_shapes",
    "recorded", "row",
]  # fmt: skip
