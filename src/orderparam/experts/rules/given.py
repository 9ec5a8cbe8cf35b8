"""What a plan is given, checked before anything is computed: shapes, axes, choices, sizes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from orderparam.errors import InvalidProblem
from orderparam.experts.rules.recipe import Recipe
from orderparam.experts.rules.role_rules import RoleRules
from orderparam.experts.rules.shape import Shape
from orderparam.experts.rules.sizes import hidden_name
from orderparam.support.arguments import integer, nearest, refuse, sequence, text

Shapes = Mapping[str, Sequence[int]]


def checked_shapes(name: str, value: Any) -> dict[str, tuple[int, ...]]:
    """Shapes of parameters by name, which may have no axes."""
    if not isinstance(value, Mapping) or not value:
        raise refuse(name, value, "a mapping from names to shapes", "give one entry a parameter")
    axes = {text(name, key): sequence(name, shape, "sizes", 0) for key, shape in value.items()}
    return {key: tuple(integer(name, size) for size in shape) for key, shape in axes.items()}


def checked_layout(name: str, value: Any) -> dict[str, str]:
    """Axes of parameters by name."""
    if not isinstance(value, Mapping):
        raise refuse(name, value, "a mapping from names to axes", "write {'head.weight': 'o i'}")
    return {text(name, key): text(name, axes) for key, axes in value.items()}


def make_recipe(choices: Mapping[str, Any]) -> Recipe:
    """A recipe from keyword arguments; an unknown one is an error that names the nearest."""
    known = Recipe.__dataclass_fields__
    unknown = sorted(set(choices) - set(known))
    if unknown:
        raise InvalidProblem(
            f"Argument `{unknown[0]}` of a plan is unknown; use one of {', '.join(known)}."
            f"{nearest(unknown[0], known)}"
        )
    return Recipe(**choices)


def check_widths(rules: RoleRules, shape: Shape) -> None:
    """Every further width of a shape has to be the hidden width of some role.

    Raises:
        InvalidProblem: If no rule uses one, because it would scale nothing.
    """
    used = {hidden_name(role) for _, role in rules.rules} - {""}
    own = [name for name in Shape.__dataclass_fields__ if name != "widths"]
    for name in shape.widths:
        if name not in used:
            raise InvalidProblem(
                f"The Shape has a width {name!r} that no rule uses, so that it would scale "
                f"nothing; sizes are {', '.join(own)}, and hidden widths of these rules "
                f"{', '.join(sorted(used)) or 'none'}.{nearest(name, [*own, *sorted(used)])}"
            )


def check_attention(recipe: Recipe, base: Shape, roles: Iterable[str]) -> None:
    """A model with attention has to say how wide its heads are.

    Raises:
        InvalidProblem: If it does not, because the scale of attention depends on it.
    """
    found = sorted(role for role in set(roles) if role.startswith("attn_"))
    if found and base.head_dim is None and not recipe.qk_norm:
        raise InvalidProblem(
            f"A model with attention (role {found[0]!r}) needs `head_dim`, on whose growth the "
            "scale of attention depends; add it to both shapes, equal where heads keep their "
            "width, or say qk_norm=True if queries and keys are normalised."
        )
