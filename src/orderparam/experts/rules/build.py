"""Making a plan from the names and shapes of a model's parameters."""

from collections.abc import Mapping
from typing import Any, TypeVar

from orderparam.errors import InvalidProblem
from orderparam.experts.rules.axes import Layout, default_axes, layout
from orderparam.experts.rules.checks import (
    ScalingWarning,
    check_recipe,
    plan_notes,
    recipe_warnings,
    sharing_warning,
)  # fmt: skip
from orderparam.experts.rules.entries import made_entry
from orderparam.experts.rules.forward import forward_multipliers
from orderparam.experts.rules.given import (
    Shapes,
    check_attention,
    check_widths,
    checked_layout,
    checked_shapes,
    make_recipe,
)  # fmt: skip
from orderparam.experts.rules.plan import ScalingPlan
from orderparam.experts.rules.recipe import Recipe
from orderparam.experts.rules.role_rules import Match, RoleRules
from orderparam.experts.rules.shape import Shape, checked_shape, infer_regime, ratios
from orderparam.experts.rules.sharing import expert_groups
from orderparam.experts.rules.sizes import check_sizes
from orderparam.support.arguments import instance, optional, refuse
from orderparam.support.keywords import known_keywords
from orderparam.support.notices import notice

Kind = TypeVar("Kind", bound=ScalingPlan)


@known_keywords
def plan_from_shapes(
    shapes: Shapes,
    rules: RoleRules,
    *,
    base: Shape,
    target: Shape,
    base_shapes: Shapes | None = None,
    default_layout: Mapping[str, str] | None = None,
    kind: type[Kind] = ScalingPlan,
    **choices: Any,
) -> Kind:
    """Make a plan for a model that is known by its parameters' names and shapes.

    Args:
        shapes: Unsharded shape of every parameter of the target, by normalised name.
        rules: Roles by patterns on the names.
        base: Sizes of the tuned model.
        target: Sizes of the model to train.
        base_shapes: Shapes of the base model's parameters, to check that rules explain every
            difference; not needed.
        default_layout: Axes of parameters whose rule names none, where they are not PyTorch's.
        kind: Class of the plan.
        **choices: Arguments of `Recipe`: `parameterization`, `optimizer`, `regime`, ...

    Returns:
        The plan. Its warnings are also given as `ScalingWarning`.

    Raises:
        InvalidProblem: If a parameter has no role, a rule no parameter, a shape does not fit the
            sizes, a size is missing or used by no rule, or choices contradict each other.
        UnsupportedCombination: If no rule covers the choices.

    Cost:
        Milliseconds; nothing is allocated.
    """
    recipe = make_recipe(choices)
    instance("rules", rules, RoleRules, "give orderparam.experts.RoleRules([...])")
    checked_shape("base", base)
    checked_shape("target", target)
    shapes = checked_shapes("shapes", shapes)
    base_shapes = optional(checked_shapes, "base_shapes", base_shapes)
    default_layout = optional(checked_layout, "default_layout", default_layout)
    if not (isinstance(kind, type) and issubclass(kind, ScalingPlan)):
        raise refuse("kind", kind, "a class of plans", "derive it from ScalingPlan")
    for shape in (base, target):
        check_widths(rules, shape)
    matches = rules.match_all(list(shapes))
    roles = [match.role.name for match in matches.values()]
    check_attention(recipe, base, roles)
    growth = infer_regime(base, target)
    regime = _regime(recipe, growth.regime)
    grown = ratios(base, target)
    groups = None if base.experts is None else expert_groups(recipe, regime, base, target)
    zero_router = _zero_router(recipe, regime)
    routing = recipe.routing or _routing(target)
    check_recipe(recipe, regime, groups, grown, zero_router=zero_router, routing=routing)
    layouts = _layouts(shapes, matches, default_layout or {}, target)
    if base_shapes is not None:
        _check_base(base_shapes, shapes, matches, default_layout or {}, base)
    entries = tuple(
        made_entry(name, shapes[name], match, layouts[name], grown, recipe, groups, zero_router)
        for name, match in matches.items()
    )
    found = recipe_warnings(recipe, growth, groups, base, target)
    if groups is not None:
        found += sharing_warning(recipe, regime, groups)
    for warning in found:
        notice(warning, ScalingWarning)
    return kind(
        base=base,
        target=target,
        recipe=recipe,
        regime=regime,
        entries=entries,
        forward_multipliers=forward_multipliers(recipe, base, target, roles),
        warnings=tuple(found),
        notes=tuple(plan_notes(recipe, regime, groups, zero_router, roles)),
    )


def _regime(recipe: Recipe, inferred: str) -> str:
    """The given regime, or the inferred one."""
    if recipe.regime is not None:
        return recipe.regime
    if inferred == "base" and recipe.parameterization == "mssp" and recipe.sharing is None:
        raise InvalidProblem(
            "Base and target have the same sizes, so that no regime can be inferred, but MSSP "
            "starts differently in each; give regime='I', 'II' or 'III', or say how experts share "
            "their draws."
        )
    return inferred


def _zero_router(recipe: Recipe, regime: str) -> bool:
    """Whether the router starts at zero."""
    if recipe.zero_router is not None:
        return recipe.zero_router
    return recipe.parameterization == "mssp" and regime == "I"


def _routing(target: Shape) -> str:
    """Top-k if an input uses fewer experts than there are."""
    sizes = target.sizes
    return "top_k" if sizes.get("active", 1) < sizes.get("experts", 1) else "soft"


def _layouts(
    shapes: Shapes, matches: Mapping[str, Match], defaults: Mapping[str, str], sizes: Shape
) -> dict[str, Layout]:
    """Layout of every parameter, checked against the sizes."""
    found = {}
    for name, match in matches.items():
        shape = shapes[name]
        axes = match.role.axes or defaults.get(name) or default_axes(len(shape))
        found[name] = layout(name, axes, shape)
        check_sizes(name, match.role, found[name], sizes, match.expert)
    return found


def _check_base(
    base_shapes: Shapes,
    shapes: Shapes,
    matches: Mapping[str, Match],
    defaults: Mapping[str, str],
    base: Shape,
) -> None:
    """Every difference between base and target has to be one that a role explains."""
    common = {name: match for name, match in matches.items() if name in base_shapes}
    for name, match in common.items():
        before, after = tuple(base_shapes[name]), tuple(shapes[name])
        if match.role.name == "frozen" and before != after:
            raise InvalidProblem(
                f"Parameter {name!r} has shape {before} in the base and {after} in the target, but "
                "its role 'frozen' does not scale; give it a role that does."
            )
    _layouts(base_shapes, common, defaults, base)
