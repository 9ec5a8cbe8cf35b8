"""Scaling of mixture-of-experts and dense models: rules, adapters and the checks that prove them.

Rules need nothing but names and shapes; so does counting, the theory of this family, which predicts
how everything in a model grows. PyTorch, Optax and Hugging Face models come in only through
adapters, which are imported where they are used.
"""

import orderparam.support.quiet_imports  # noqa: F401 (first: others draw random numbers)

# isort: split
from orderparam.experts.adapters.pytorch.plan import TorchPlan, torch_plan
from orderparam.experts.evidence.coordinate_check import CoordinateCheck, coordinate_check
from orderparam.experts.evidence.transfer import LearningRateTransfer, learning_rate_transfer
from orderparam.experts.methods.counting import Counting
from orderparam.experts.models.setup import Setup
from orderparam.experts.problem import Ladder, Transfer
from orderparam.experts.rules.build import plan_from_shapes
from orderparam.experts.rules.checks import ScalingWarning
from orderparam.experts.rules.forward import ForwardMultipliers
from orderparam.experts.rules.plan import Entry, ScalingPlan
from orderparam.experts.rules.recipe import Recipe
from orderparam.experts.rules.role_rules import Role, RoleRules
from orderparam.experts.rules.role_table import role_table
from orderparam.experts.rules.shape import Growth, Shape, infer_regime
from orderparam.experts.traps import Trap

__all__ = [
    "CoordinateCheck",
    "Counting",
    "Entry",
    "ForwardMultipliers",
    "Growth",
    "Ladder",
    "LearningRateTransfer",
    "Recipe",
    "Role",
    "RoleRules",
    "ScalingPlan",
    "ScalingWarning",
    "Setup",
    "Shape",
    "TorchPlan",
    "Transfer",
    "Trap",
    "coordinate_check",
    "infer_regime",
    "learning_rate_transfer",
    "plan_from_shapes",
    "role_table",
    "torch_plan",
]
