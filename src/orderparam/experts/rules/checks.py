"""What can go wrong before any compute is spent: errors and warnings of a plan's choices."""

import math
from collections.abc import Mapping, Sequence

from orderparam.errors import InvalidProblem
from orderparam.experts.rules.recipe import Recipe
from orderparam.experts.rules.shape import Growth, Shape
from orderparam.experts.rules.sharing import Groups


class ScalingWarning(UserWarning):
    """A plan, optimiser or schedule that is allowed, but may not scale as the theory says."""


def check_recipe(
    recipe: Recipe,
    regime: str,
    groups: Groups | None,
    grown: Mapping[str, float],
    *,
    zero_router: bool,
    routing: str,
) -> None:
    """Refuse combinations that cannot work.

    Raises:
        InvalidProblem: If choices contradict each other.
    """
    _check_aggregation(recipe, grown.get("active", 1.0))
    shared = groups is not None and groups.sharing == "full"
    if zero_router and shared:
        raise InvalidProblem(
            "A zero router and experts that all start from one draw keep the experts identical "
            "for ever, because nothing tells them apart; start the router at random, or use "
            "sharing='groups'."
        )
    if zero_router and routing == "top_k" and not recipe.tie_break:
        raise InvalidProblem(
            "A zero router gives every expert the same logit, and top-k then selects the same "
            "experts for every input; break ties at random (jitter) or with a balancing bias and "
            "say tie_break=True, or route softly in the first steps and say routing='soft'."
        )
    grows = grown.get("experts", 1.0) > 1 or regime in ("II", "mixed")
    if recipe.expert_output_norm and recipe.parameterization == "mssp" and grows:
        raise InvalidProblem(
            "A norm on the output of an expert undoes the growth of its initial size, on which "
            "MSSP with many experts rests; remove the norm, or use mup."
        )


def recipe_warnings(
    recipe: Recipe, growth: Growth, groups: Groups | None, base: Shape, target: Shape
) -> list[str]:
    """What a user should know about a plan that is allowed."""
    found = []
    before, after = base.sizes, target.sizes
    if base.experts is not None:
        kappa = [sizes["active"] / sizes["experts"] for sizes in (before, after)]
        if not math.isclose(*kappa, rel_tol=1e-9):
            found.append(
                f"The active share of experts changes from {kappa[0]:.4g} to {kappa[1]:.4g}; the "
                "table holds for a fixed share."
            )
        if before["active"] < 4:
            found.append(f"The base has only {before['active']} active experts; laws hold from 4.")
    if base.width < 64:
        found.append(f"The base has width {base.width}; below 64 it is far from its limit.")
    if growth.regime == "mixed":
        found.append(_mixed(growth))
    if base.layers != target.layers and recipe.depth_exponent is None:
        found.append(
            f"Depth changes from {base.layers} to {target.layers} without `depth_exponent`, so "
            "that no rule for depth is applied."
        )
    if recipe.auxiliary_loss == "fixed":
        found.append(
            "The auxiliary loss has a fixed weight: its gradient per logit does not shrink with "
            "the number of experts as that of the task does; multiply it by "
            "forward_multipliers.auxiliary_loss."
        )
    if recipe.capacity_factor is not None:
        found.append("Dropping tokens by capacity breaks the equivalence of experts.")
    if groups is not None and not math.isclose(groups.count, groups.wanted, rel_tol=0.01):
        found.append(
            f"The rule asks for {groups.wanted:.3g} groups of experts, rounded to {groups.count}, "
            f"a divisor of {target.experts}; the std follows the rounded number."
        )
    return found


def sharing_warning(recipe: Recipe, regime: str, groups: Groups) -> list[str]:
    """Sharing that the regime does not ask for."""
    fitting = {"I": ("none", "groups"), "II": ("none", "groups"), "III": ("full", "groups")}
    if recipe.parameterization == "mssp" and groups.sharing not in fitting.get(
        regime, ("groups",) if regime == "mixed" else ("none", "groups", "full")
    ):
        return [
            f"Sharing {groups.sharing!r} is not scale-stable in regime {regime}; leave `sharing` "
            "out, or use 'groups'."
        ]
    return []


def plan_notes(
    recipe: Recipe, regime: str, groups: Groups | None, zero_router: bool, roles: Sequence[str]
) -> list[str]:
    """Rules that are no multipliers; they hold at the base size too."""
    found = []
    if zero_router and "router" in roles:
        found.append("The router starts at zero, at the base size too: tune the base with it.")
    if groups is not None and groups.sharing == "full":
        found.append(
            "All experts start from one draw, at the base size too: tune the base with it. With "
            "sharing='groups' the base is an ordinary model."
        )
    if recipe.zero_head:
        found.append("The head starts at zero, at the base size too.")
    if regime == "II" and recipe.parameterization == "mssp":
        found.append(
            "Outputs of single experts grow as the square root of their number by design; check "
            "the range of half precision, and that no norm acts on them."
        )
    if "router" in roles:
        found.append("Compute the router's logits in float32.")
    return found


def _check_aggregation(recipe: Recipe, active_growth: float) -> None:
    """The factor K^(-alpha) has to fit the gate."""
    if recipe.gate == "normalised" and recipe.exponent == 1.0:
        raise InvalidProblem(
            "A normalised gate already divides by the number of active experts, and "
            "aggregation_exponent=1 does so again; use 0, or leave it out."
        )
    if recipe.gate == "unnormalised" and recipe.exponent == 0.0 and active_growth > 1:
        raise InvalidProblem(
            "The gate is not normalised and the number of active experts grows, so that the sum "
            "over experts grows with it; use aggregation_exponent=1, or leave it out."
        )


def _mixed(growth: Growth) -> str:
    """Why a ladder belongs to no regime."""
    if math.isnan(growth.experts):
        return (
            "Experts grow but the residual width does not; the theory gives multipliers of mup, "
            "but no limit."
        )
    return (
        f"Experts grow as width^{growth.experts:.2f} and expert width as "
        f"width^{growth.expert_width:.2f}, which is none of the regimes (nearest within "
        f"{growth.deviation:.2f}); general formulas and the rule of groups are used."
    )
