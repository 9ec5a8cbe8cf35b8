"""What differs between two plans."""

from typing import Any

from orderparam.experts.rules.contents import PlanContents

_FIELDS = ("role", "shape", "std", "learning_rate", "epsilon", "weight_decay", "special")


def difference(one: PlanContents, other: PlanContents) -> list[str]:
    """One line for every choice, size, multiplier and parameter in which two plans differ."""
    lines = []
    for title, before, after in (
        ("base", one.base.sizes, other.base.sizes),
        ("target", one.target.sizes, other.target.sizes),
        ("recipe", one.recipe.plain(), other.recipe.plain()),
        ("forward", vars(one.forward_multipliers), vars(other.forward_multipliers)),
    ):
        lines += _changes(title, before, after)
    if one.regime != other.regime:
        lines.append(f"regime: {one.regime} -> {other.regime}")
    mine, theirs = one.by_name, other.by_name
    lines += [f"{name}: only in the first plan" for name in mine if name not in theirs]
    lines += [f"{name}: only in the second plan" for name in theirs if name not in mine]
    for name in mine:
        if name in theirs:
            before = {key: getattr(mine[name], key) for key in _FIELDS}
            after = {key: getattr(theirs[name], key) for key in _FIELDS}
            lines += _changes(name, before, after)
    return lines


def _changes(title: str, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The keys whose values differ."""
    keys = list(dict.fromkeys([*before, *after]))
    return [
        f"{title}: {key} {_text(before.get(key))} -> {_text(after.get(key))}"
        for key in keys
        if before.get(key) != after.get(key)
    ]


def _text(value: Any) -> str:
    """Short text of a value."""
    return f"{value:.6g}" if isinstance(value, float) else repr(value)
