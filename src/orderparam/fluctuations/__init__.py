"""Finite-width fluctuations: how networks of width N scatter around their limit."""

import orderparam.support.quiet_imports  # noqa: F401 (first: others draw random numbers)

# isort: split
from orderparam.fluctuations.analysis.exponents import gaussianity, width_exponents
from orderparam.fluctuations.analysis.widths import Split, at_width, best_split, minimal_width
from orderparam.fluctuations.methods.action import Action
from orderparam.fluctuations.methods.deep_linear import DeepLinear
from orderparam.fluctuations.methods.influence import Influence
from orderparam.fluctuations.methods.layered import LayeredInfluence
from orderparam.fluctuations.methods.lazy import Lazy
from orderparam.fluctuations.methods.rounded import RoundedInfluence
from orderparam.fluctuations.methods.shared_seeds import SharedSeeds
from orderparam.fluctuations.problem import FiniteWidth

__all__ = [
    "Action",
    "DeepLinear",
    "FiniteWidth",
    "Influence",
    "LayeredInfluence",
    "Lazy",
    "RoundedInfluence",
    "SharedSeeds",
    "Split",
    "at_width",
    "best_split",
    "gaussianity",
    "minimal_width",
    "width_exponents",
]
