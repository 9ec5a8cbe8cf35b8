"""Multipliers of one role: what the table, the parameterization and depth say together."""

from collections.abc import Mapping
from dataclasses import dataclass

from orderparam.errors import InvalidProblem
from orderparam.experts.rules.recipe import Recipe
from orderparam.experts.rules.rows import ROWS, Row, router_std, value


@dataclass(frozen=True)
class Multipliers:
    """Factors on the values of the tuned base model.

    Args:
        std: Of the initial standard deviation.
        learning_rate: Of the learning rate.
        epsilon: Of Adam's epsilon; 1 for optimisers without one.
        weight_decay: Of the weight decay.
    """

    std: float
    learning_rate: float
    epsilon: float
    weight_decay: float


def multipliers(
    role: str, ratio: Mapping[str, float], recipe: Recipe, group_growth: float = 1.0
) -> Multipliers:
    """The multipliers of a role.

    Args:
        role: A role of the table.
        ratio: Ratios target / base: n, k, e, l, and h if the row needs it.
        recipe: Parameterization, optimiser, depth and weight decay.
        group_growth: Growth of the number of independent experts under MSSP.

    Raises:
        InvalidProblem: If the role is unknown.
    """
    if role not in ROWS:
        raise InvalidProblem(f"The role {role!r} is unknown; use one of {', '.join(ROWS)}.")
    row = ROWS[role]
    if role == "frozen":
        return Multipliers(1.0, 1.0, 1.0, 1.0)
    std = _std(role, row, ratio, recipe, group_growth)
    rate, epsilon = _rate(role, row, ratio, recipe)
    if row.in_block and recipe.depth_exponent is not None:
        rate *= ratio["l"] ** _rate_depth(recipe)
        epsilon *= ratio["l"] ** -recipe.depth_exponent
    if recipe.parameterization in ("sp", "sp_lr1n", "ntp", "mup_global_eps", "jiang2026"):
        epsilon = 1.0
    if recipe.column != "adam":
        epsilon = 1.0
    return Multipliers(std, rate, epsilon, _decay(row, rate, recipe))


def gradient_growth(role: str, ratio: Mapping[str, float], recipe: Recipe) -> float:
    """Growth of a typical entry of a role's gradient, whatever the optimiser.

    This is the epsilon of Adam in mup; other parameterizations do not keep it, but it is what a
    gradient has to be for features to be learned at every size.
    """
    if recipe.head_multiplier and role == "head":
        return 1 / ratio["n"]
    depth = ratio["l"] ** -(recipe.depth_exponent or 0.0)
    return value(ROWS[role].epsilon, ratio) * (depth if ROWS[role].in_block else 1.0)


def _std(
    role: str, row: Row, ratio: Mapping[str, float], recipe: Recipe, group_growth: float
) -> float:
    """The initial standard deviation."""
    standard = recipe.parameterization in ("sp", "sp_lr1n", "ntp")
    if role == "router":
        if standard:
            return ratio["n"] ** -0.5
        return 1 / ratio["n"] if recipe.parameterization == "jiang2026" else router_std(ratio)
    if role in ("head", "gate"):
        if standard:
            return ratio["n"] ** -0.5
        if role == "head" and recipe.head_multiplier:
            return 1.0
    std = value(row.std, ratio)
    if role == "expert_out" and recipe.parameterization == "mssp":
        std *= group_growth**0.5
    return std


def _rate(role: str, row: Row, ratio: Mapping[str, float], recipe: Recipe) -> tuple[float, float]:
    """Learning rate and epsilon before depth."""
    if recipe.parameterization == "sp":
        return 1.0, 1.0
    if recipe.parameterization == "sp_lr1n":
        return 1 / ratio["n"], 1.0
    if recipe.parameterization == "ntp":
        fan_in = 1 / value(row.adam, ratio)
        return fan_in ** (-1.0 if recipe.column == "sgd" else -0.5), 1.0
    if role == "head" and recipe.head_multiplier:
        return (ratio["n"] if recipe.column == "sgd" else 1.0), 1 / ratio["n"]
    column = row.sgd if recipe.column == "sgd" else row.adam
    return value(column, ratio), value(row.epsilon, ratio)


def _rate_depth(recipe: Recipe) -> float:
    """Exponent of depth in the learning rate of a parameter on a branch."""
    a = recipe.depth_exponent or 0.0
    return 2 * a - 1 if recipe.column == "sgd" else a - 1


def _decay(row: Row, rate: float, recipe: Recipe) -> float:
    """Weight decay: the decay of one step is learning rate x weight decay."""
    if recipe.weight_decay_mode == "none_for_vectors" and row.initial != "normal":
        return 0.0
    return 1.0 if recipe.weight_decay_mode == "coupled" else 1 / rate
