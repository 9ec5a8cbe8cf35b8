"""One-pass SGD of two-layer networks: overlaps of student and teacher."""

from orderparam.online.ode import OverlapODE
from orderparam.online.overlaps import (
    Overlaps,
    learning_rate_from,
    overlaps_of,
    random_overlaps,
)
from orderparam.online.problem import TeacherStudent

__all__ = [
    "OverlapODE",
    "Overlaps",
    "TeacherStudent",
    "learning_rate_from",
    "overlaps_of",
    "random_overlaps",
]
