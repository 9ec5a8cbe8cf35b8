"""Whether a model of `transformers` carries the forward multipliers that it should."""

# pyright: reportMissingImports=false

import math
from typing import Any

import torch

from orderparam.errors import InvalidProblem
from orderparam.experts.adapters.pytorch.multiply import multiplies
from orderparam.experts.rules.checks import ScalingWarning
from orderparam.experts.rules.plan import ScalingPlan
from orderparam.experts.rules.recipe import UNSCALED
from orderparam.support.notices import notice

STORED = "forward_multipliers"
"""Key of a configuration under which applied factors are kept."""


def factors_of(plan: ScalingPlan) -> dict[str, float]:
    """Factors on what a model's own code computes: attention divides by sqrt(d) there."""
    given = plan.forward_multipliers
    heads = (plan.base.head_dim or 1, plan.target.head_dim or 1)
    plain = plan.recipe.parameterization in UNSCALED
    own = 1.0 if plain or heads[0] == heads[1] else math.sqrt(heads[1] / heads[0])
    return {
        "attention": own * given.attention,
        "residual": given.residual,
        "logits": given.logits,
    }


def check_applied(plan: ScalingPlan, model: torch.nn.Module) -> None:
    """Refuse a model that was loaded without its multipliers, and warn of one that never had any.

    Only models of `transformers`, which have a configuration, can be judged.

    Raises:
        InvalidProblem: If the configuration holds multipliers that no module carries.
    """
    inner: Any = next((m for m in model.modules() if hasattr(_config(m), "model_type")), None)
    if inner is None or multiplies(inner):
        return
    stored = getattr(inner.config, STORED, None)
    if stored and any(value != 1.0 for value in stored.values()):
        raise InvalidProblem(
            "The model was saved with forward multipliers, but was loaded without them; call "
            "apply_forward_multipliers(model) from orderparam.experts.adapters.hugging_face.plan."
        )
    if stored:
        return
    wanted = [name for name, value in factors_of(plan).items() if value != 1.0]
    if plan.forward_multipliers.auxiliary_loss != 1.0 and _balances(inner.config):
        wanted.append("auxiliary_loss")
    if wanted:
        notice(
            f"The plan has forward multipliers ({', '.join(wanted)}) that the model does not "
            "carry; call apply_forward_multipliers(model, plan, base_config), unless its own code "
            "has them.",
            ScalingWarning,
        )


def _config(module: Any) -> Any:
    """The configuration of a module, `None` without one."""
    return getattr(module, "config", None)


def _balances(config: Any) -> bool:
    """Whether a model adds a balancing loss to its own."""
    return bool(getattr(config, "output_router_logits", False)) and bool(
        getattr(config, "router_aux_loss_coef", 0.0)
    )
