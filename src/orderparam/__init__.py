"""Order parameters of large learning systems: theory beside trained networks, on the same axes."""

from orderparam import data, kernels
from orderparam.contract import SavePlan
from orderparam.results import citation, compare
from orderparam.verbs import estimate, load, simulate, solve

__all__ = [
    "SavePlan",
    "citation",
    "compare",
    "data",
    "estimate",
    "kernels",
    "load",
    "simulate",
    "solve",
]
__version__ = "0.1.0"
