"""One-pass SGD of two-layer networks: overlaps of student and teacher."""

import orderparam.support.quiet_imports  # noqa: F401 (first: others draw random numbers)

# isort: split
from typing import Never

from orderparam.online.analysis.conserved import conserved_matrix
from orderparam.online.analysis.escape import EscapeLaw, escape_law
from orderparam.online.analysis.hessian import HessianSpectrum, closed_spectrum, hessian_spectrum
from orderparam.online.analysis.selection import (
    Selected,
    gram_schmidt_factor,
    manifold_dimension,
    polar_factor,
    selected_solution,
)
from orderparam.online.analysis.stability import critical_learning_rate
from orderparam.online.methods.modal import ModalODE
from orderparam.online.methods.ode import OverlapODE
from orderparam.online.model.binned import (
    BinnedOverlaps,
    binned_overlaps_of,
    random_binned_overlaps,
    spread_overlaps,
)
from orderparam.online.model.input_spectrum import InputSpectrum, power_law_inputs
from orderparam.online.model.overlaps import (
    Overlaps,
    learning_rate_from,
    overlaps_of,
)
from orderparam.online.model.schedule import RateSchedule
from orderparam.online.model.starts import random_overlaps
from orderparam.online.problem import TeacherStudent
from orderparam.online.theory.isotropic import Isotropic, isotropic
from orderparam.support.arguments import old_name

__all__ = [
    "BinnedOverlaps",
    "EscapeLaw",
    "HessianSpectrum",
    "InputSpectrum",
    "Isotropic",
    "ModalODE",
    "OverlapODE",
    "Overlaps",
    "RateSchedule",
    "Selected",
    "TeacherStudent",
    "binned_overlaps_of",
    "closed_spectrum",
    "conserved_matrix",
    "critical_learning_rate",
    "escape_law",
    "gram_schmidt_factor",
    "hessian_spectrum",
    "isotropic",
    "learning_rate_from",
    "manifold_dimension",
    "overlaps_of",
    "polar_factor",
    "power_law_inputs",
    "random_binned_overlaps",
    "random_overlaps",
    "selected_solution",
    "spread_overlaps",
]


def __getattr__(name: str) -> Never:
    raise old_name("online", name, {"Spectrum": "HessianSpectrum"})
