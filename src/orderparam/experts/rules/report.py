"""A plan as a table for people."""

import io

from orderparam.experts.rules.contents import Entry, PlanContents
from orderparam.support.later import rich_console, rich_table

_COLUMNS = ("std", "learning_rate", "epsilon", "weight_decay")
_WIDE = 150


def report(plan: PlanContents) -> str:
    """One line for each group of parameters that are treated alike, then multipliers and notes."""
    table = rich_table.Table(
        "parameter", "role", "fan-in", "fan-out", "std x", "lr x", "eps x", "wd x", "special rule",
        box=None, pad_edge=False,
    )  # fmt: skip
    for entries in _alike(plan):
        first = entries[0]
        more = f" (+{len(entries) - 1})" if len(entries) > 1 else ""
        numbers = [f"{getattr(first, column):.4g}" for column in _COLUMNS]
        table.add_row(
            first.name + more, first.role, str(first.fan_in), str(first.fan_out), *numbers,
            first.special,
        )  # fmt: skip
    target = io.StringIO()
    console = rich_console.Console(file=target, width=_WIDE, color_system=None)
    console.print(_title(plan))
    console.print(table)
    console.print(_forward(plan))
    for kind, texts in (("Warning", plan.warnings), ("Note", plan.notes)):
        for text in texts:
            console.print(f"{kind}: {text}")
    return "\n".join(line.rstrip() for line in target.getvalue().splitlines())


def _alike(plan: PlanContents) -> list[list[Entry]]:
    """Entries with the same role, sizes and numbers, in the order of the model."""
    groups: dict[tuple[object, ...], list[Entry]] = {}
    for entry in plan.entries:
        numbers = tuple(getattr(entry, column) for column in _COLUMNS)
        key = (entry.role, entry.fan_in, entry.fan_out, entry.special, *numbers)
        groups.setdefault(key, []).append(entry)
    return list(groups.values())


def _title(plan: PlanContents) -> str:
    """What is scaled, and by which rules."""
    recipe = plan.recipe
    sizes = [
        f"{name} {before} -> {plan.target.sizes[name]}"
        for name, before in plan.base.sizes.items()
        if before != plan.target.sizes[name]
    ]
    depth = "" if recipe.depth_exponent is None else f", depth exponent {recipe.depth_exponent:g}"
    return (
        f"{recipe.parameterization}, {recipe.optimizer}, regime {plan.regime}{depth}: "
        f"{', '.join(sizes) or 'base and target have the same sizes'}"
    )


def _forward(plan: PlanContents) -> str:
    """The factors of the forward pass."""
    given = vars(plan.forward_multipliers)
    return "Forward pass: " + ", ".join(f"{name} x {value:.4g}" for name, value in given.items())
