"""What a plan says about one parameter, from its role, its axes and the growth of sizes."""

import re
from collections.abc import Mapping, Sequence

from orderparam.experts.rules.axes import Layout
from orderparam.experts.rules.multipliers import gradient_growth, multipliers
from orderparam.experts.rules.plan import Entry
from orderparam.experts.rules.recipe import Recipe
from orderparam.experts.rules.role_rules import Match
from orderparam.experts.rules.rows import ROWS, value
from orderparam.experts.rules.sharing import Groups
from orderparam.experts.rules.sizes import hidden_name

# A pair of LoRA adds nothing at the start, because its second matrix is zero.
_LORA_SECOND = re.compile(r"(^|\.)lora_(embedding_)?B(\.|$)")


def made_entry(
    name: str,
    shape: Sequence[int],
    match: Match,
    placed: Layout,
    grown: Mapping[str, float],
    recipe: Recipe,
    groups: Groups | None,
    zero_router: bool,
) -> Entry:
    """What the plan says about one parameter."""
    role, row = match.role, ROWS[match.role.name]
    in_block = row.in_block if role.in_block is None else role.in_block
    ratio = {
        "n": grown["width"],
        "k": grown.get("active", 1.0),
        "e": grown.get("expert", 1.0),
        "l": grown["layers"] if in_block else 1.0,
        "h": grown.get(hidden_name(role), 1.0),
    }
    given = multipliers(role.name, ratio, recipe, 1.0 if groups is None else groups.growth)
    of_expert = groups is not None and role.name.startswith("expert_")
    zero = (role.name == "router" and zero_router) or (role.name == "head" and recipe.zero_head)
    return Entry(
        name=name,
        key=match.key,
        role=role.name,
        shape=tuple(int(size) for size in shape),
        axes=placed.axes,
        fan_in=placed.fan_in,
        fan_out=placed.fan_out,
        experts=groups.experts if of_expert and groups else None,
        expert=match.expert,
        groups=groups.count if of_expert and groups else None,
        base_fan_in=placed.fan_in * value(row.adam, ratio),
        initial="zero" if zero else _initial(name, match),
        std=given.std,
        learning_rate=given.learning_rate,
        epsilon=given.epsilon,
        weight_decay=given.weight_decay,
        gradient=gradient_growth(role.name, ratio, recipe),
        ratios=ratio,
        in_block=in_block,
        std_factor=role.std_factor,
        own_factor=role.std_factor if role.own_factor is None else role.own_factor,
    )


def _initial(name: str, match: Match) -> str:
    """How a parameter starts: as its rule says, else as LoRA pairs do, else as its role does."""
    if match.role.initial is not None:
        return match.role.initial
    return "zero" if _LORA_SECOND.search(name) else ROWS[match.role.name].initial
