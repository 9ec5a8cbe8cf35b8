"""How many different draws the experts start from.

Experts in a group start from the same weights. With G groups and `expert_out` std proportional to
sqrt(G / N_e) every random part of the aggregate and of its adjoint is finite if and only if
G is proportional to N / N_e: regime II keeps experts independent and grows their output, regime III
shares draws and keeps it, regime I has a fixed number of experts.
"""

import math
from dataclasses import dataclass

from orderparam.errors import InvalidProblem
from orderparam.experts.rules.recipe import Recipe
from orderparam.experts.rules.shape import Shape


@dataclass(frozen=True)
class Groups:
    """The groups of experts that share a draw.

    Args:
        sharing: `none`, `groups` or `full`.
        count: G of the target.
        base_count: G of the base model.
        wanted: G before rounding to a divisor of M.
        experts: M of the target.
    """

    sharing: str
    count: int
    base_count: int
    wanted: float
    experts: int

    @property
    def growth(self) -> float:
        """G / G_0 with the rounded G, whose root multiplies the std of `expert_out`."""
        return self.count / self.base_count


def chosen_sharing(recipe: Recipe, regime: str) -> str:
    """What the recipe asks for, or what the regime needs."""
    if recipe.parameterization != "mssp":
        return "none"
    if recipe.sharing is not None:
        return recipe.sharing
    return {"III": "full", "mixed": "groups"}.get(regime, "none")


def expert_groups(recipe: Recipe, regime: str, base: Shape, target: Shape) -> Groups:
    """Groups of base and target.

    Raises:
        InvalidProblem: If neither shape has experts.
    """
    if base.experts is None or target.experts is None:
        raise InvalidProblem(
            "A dense model has no experts to share; give `experts` to both shapes."
        )
    sharing = chosen_sharing(recipe, regime)
    if sharing == "full":
        return Groups(sharing, 1, 1, 1.0, target.experts)
    if sharing == "none":
        count = target.experts
        return Groups(sharing, count, base.experts, float(count), count)
    n = target.width / base.width
    e = target.sizes["expert"] / base.sizes["expert"]
    wanted = base.experts * n / e
    return Groups(
        sharing, _nearest_divisor(target.experts, wanted), base.experts, wanted, target.experts
    )


def group_of(expert: int, experts: int, groups: int) -> int:
    """The group of an expert: neighbours are in different groups, so that ranks hold all of them.

    Example:
        >>> [group_of(i, 6, 3) for i in range(6)]
        [0, 1, 2, 0, 1, 2]
    """
    if not 0 <= expert < experts:
        raise InvalidProblem(
            f"Expert {expert} is not one of the {experts} experts, 0 to {experts - 1}; check the "
            "first expert of this rank."
        )
    return expert % groups


def _nearest_divisor(number: int, wanted: float) -> int:
    """The divisor of `number` whose logarithm is nearest to that of `wanted`."""
    divisors = [d for d in range(1, number + 1) if number % d == 0]
    return min(divisors, key=lambda d: abs(math.log(d / max(wanted, 1e-300))))
