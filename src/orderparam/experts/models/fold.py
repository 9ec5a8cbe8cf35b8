"""Forward multipliers of the reference models, folded into their weights."""

# pyright: reportMissingImports=false

import math

import torch
from torch import nn

from orderparam.errors import InvalidProblem, UnsupportedCombination
from orderparam.experts.adapters.pytorch.matching import planned
from orderparam.experts.adapters.pytorch.restored import factors_of
from orderparam.experts.models.mixture import Experts
from orderparam.experts.models.mlp import MLPMixture
from orderparam.experts.models.transformer import Block, TransformerMixture
from orderparam.experts.rules.plan import ScalingPlan


def fold(plan: ScalingPlan, model: nn.Module) -> None:
    """Fold a plan's forward multipliers into the weights of a reference model.

    The factor of the sum over experts goes into `expert_out`, that of residual branches into what
    writes to the stream. Outputs stay as they are, and a model made without factors gives them from
    the same weights. Fold what is trained: the plan's learning rates do not fit folded weights.
    A second call changes nothing.

    Args:
        plan: Its plan.
        model: An `MLPMixture` or `TransformerMixture`, unwrapped.

    Raises:
        UnsupportedCombination: For another model, or a multiplier of attention or logits, which
            these models do not carry.
        InvalidProblem: If the model and the plan do not fit.
    """
    if not isinstance(model, MLPMixture | TransformerMixture):
        raise UnsupportedCombination(
            f"Multipliers are folded into the reference models MLPMixture and TransformerMixture, "
            f"but this is a {type(model).__name__}, whose code is not known here; keep the factors "
            "in its forward pass (apply_forward_multipliers for models of transformers)."
        )
    given = factors_of(plan)
    for name in ("attention", "logits"):
        if given[name] != 1.0:
            raise UnsupportedCombination(
                f"The plan multiplies {name} by {given[name]:.4g}, which the reference models do "
                "not do, so that nothing can be folded; multiply outside of the model."
            )
    for _ in planned(plan, model):  # it has to be the plan's model
        pass
    experts = [module for module in model.modules() if isinstance(module, Experts)]
    blocks = [module for module in model.modules() if isinstance(module, Block)]
    for module in experts:
        own = 1 / plan.base.sizes["active"] if module.gate == "sigmoid" else 1.0
        wanted = own * plan.forward_multipliers.aggregation
        _check("aggregation", module.aggregation, wanted, module.natural)
    for block in blocks:
        _check("residual", block.residual, given["residual"], 1.0)
    with torch.no_grad():
        for module in experts:
            module.expert_out.mul_(module.aggregation / module.natural)
            module.aggregation = module.natural
        for block in blocks:
            block.proj.weight.mul_(block.residual)
            block.experts.expert_out.mul_(block.residual)
            block.residual = 1.0


def _check(name: str, found: float, wanted: float, natural: float) -> None:
    """A factor has to be the plan's, or none."""
    if not any(math.isclose(found, value, rel_tol=1e-9) for value in (wanted, natural)):
        raise InvalidProblem(
            f"The model's factor {name} is {found:.6g}, but the plan's is {wanted:.6g}; fold with "
            "the plan that the model was trained with."
        )
