"""What every family provides: problems, methods and save plans, and the verbs' side of each."""

from orderparam.contract.parts import Claim, Estimate, Experiment, Family, Kind, Method, Problem
from orderparam.contract.save_plan import SavePlan

__all__ = [
    "Claim",
    "Estimate",
    "Experiment",
    "Family",
    "Kind",
    "Method",
    "Problem",
    "SavePlan",
]
