"""The table of roles for a base and a target shape, without any model."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from orderparam.experts.rules.build import plan_from_shapes
from orderparam.experts.rules.given import make_recipe
from orderparam.experts.rules.plan import ScalingPlan
from orderparam.experts.rules.role_rules import Role, RoleRules
from orderparam.experts.rules.rows import ROWS
from orderparam.experts.rules.shape import Shape, checked_shape
from orderparam.support.keywords import known_keywords

_FIXED = 1  # stands for sizes that do not scale, such as the number of outputs
_EXPERTS = ("router", "router_bias", "expert_in", "expert_out", "expert_in_bias", "expert_out_bias")
_NO_ATTENTION = (
    "The shapes have no head_dim, so that nothing is said of attention; add it where a model has "
    "attention."
)
_LEFT_OUT = ("frozen", "tied_embedding", "low_rank_in", "low_rank_out")


@known_keywords
def role_table(base: Shape, target: Shape, **choices: Any) -> ScalingPlan:
    """A plan with one parameter for each role that the shapes have.

    Args:
        base: Sizes of the tuned model.
        target: Sizes of the model to train.
        **choices: Arguments of `Recipe`.

    Returns:
        A plan whose parameters carry the names of their roles; `report()` prints the table. Rows of
        attention are in it where the shapes have `head_dim`, on which the scale of attention
        depends.

    Raises:
        InvalidProblem, UnsupportedCombination: As for any plan.

    Example:
        >>> plan = role_table(Shape(width=256, ffn_width=1024), Shape(width=1024, ffn_width=4096))
        >>> plan["ffn_out"].learning_rate
        0.25
    """
    checked_shape("base", base)
    sizes = checked_shape("target", target).sizes
    known = _attention_known(target, choices)
    roles = [name for name in ROWS if _present(name, sizes, known)]
    shapes = {name: _shape(name, sizes) for name in roles}
    rules = RoleRules([(name, Role(name, axes=_axes(name))) for name in roles])
    plan = plan_from_shapes(shapes, rules, base=base, target=target, **choices)
    return plan if known else replace(plan, notes=(*plan.notes, _NO_ATTENTION))


def _attention_known(target: Shape, choices: Mapping[str, Any]) -> bool:
    """Whether rows of attention can be given; without any of its sizes there is none to scale."""
    named = (target.head_dim, target.attention_width, target.kv_width)
    return any(size is not None for size in named) or make_recipe(choices).qk_norm


def _present(role: str, sizes: Mapping[str, int], attention: bool) -> bool:
    """Whether a model of these sizes has the role."""
    if role in _LEFT_OUT or (role in _EXPERTS and "experts" not in sizes):
        return False
    if role.startswith("attn_") and not attention:
        return False
    row = ROWS[role]
    return not row.hidden or row.hidden in sizes


def _axes(role: str) -> str:
    """Axes of the role's parameter."""
    vector = ROWS[role].initial != "normal"
    expert = "e " if role.startswith("expert_") else ""
    return expert + ("o" if vector else "o i")


def _shape(role: str, sizes: Mapping[str, int]) -> Sequence[int]:
    """Shape of the role's parameter."""
    row = ROWS[role]

    def size(name: str) -> int:
        return sizes[row.hidden if name == "h" else name] if name else _FIXED

    axes = {"e": sizes.get("experts", _FIXED), "o": size(row.outputs), "i": size(row.inputs)}
    return [axes[letter] for letter in _axes(role).split()]
