"""Factors of the forward pass, which the model's code has to apply."""

from collections.abc import Iterable
from dataclasses import dataclass

from orderparam.experts.rules.recipe import UNSCALED, Recipe
from orderparam.experts.rules.shape import Shape, ratios


@dataclass(frozen=True)
class ForwardMultipliers:
    """Factors relative to the base model, all 1 at the base size.

    Args:
        aggregation: Of the sum over active experts: (K_0 / K)^alpha.
        residual: Of every residual branch: (L_0 / L)^a.
        attention: Of the base model's scale of attention logits: d_0 / d for head width d. Code
            that already divides by sqrt(d) needs sqrt(d_0 / d) instead.
        logits: Of the output: 1 / n with a tied embedding or a head multiplier.
        auxiliary_loss: Of the weight of a balancing loss M sum_i F_i P_i: K_0 / K.
    """

    aggregation: float = 1.0
    residual: float = 1.0
    attention: float = 1.0
    logits: float = 1.0
    auxiliary_loss: float = 1.0


def forward_multipliers(
    recipe: Recipe, base: Shape, target: Shape, roles: Iterable[str]
) -> ForwardMultipliers:
    """The factors of the forward pass of a target.

    Args:
        recipe: Gate, depth and form of the head.
        base: Sizes of the tuned model.
        target: Sizes of the model to train.
        roles: Roles that occur; a tied embedding scales the logits.
    """
    grown = ratios(base, target)
    if recipe.parameterization in UNSCALED:
        return ForwardMultipliers()
    k = grown.get("active", 1.0)
    small_logits = recipe.head_multiplier or "tied_embedding" in set(roles)
    return ForwardMultipliers(
        aggregation=k**-recipe.exponent,
        residual=grown["layers"] ** -(recipe.depth_exponent or 0.0),
        attention=1.0 if recipe.qk_norm else 1 / grown.get("head_dim", 1.0),
        logits=1 / grown["width"] if small_logits else 1.0,
        auxiliary_loss=1 / k,
    )
