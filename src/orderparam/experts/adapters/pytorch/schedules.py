"""Schedules that keep the ratios of a plan, and those that do not."""

# pyright: reportMissingImports=false

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from orderparam.experts.rules.checks import ScalingWarning
from orderparam.support.arguments import at_least_zero, reals
from orderparam.support.notices import notice


def check_scheduler(scheduler: Any) -> None:
    """See `TorchPlan.check_scheduler`."""
    for text in _absolute_values(scheduler):
        notice(
            f"{text}, which changes the ratios of learning rates between groups; use factors, such "
            "as plan.schedule(optimizer, factors).",
            ScalingWarning,
        )


def scaled_schedule(
    optimizer: torch.optim.Optimizer, factors: Sequence[float] | Callable[[int], float]
) -> torch.optim.lr_scheduler.LambdaLR:
    """See `TorchPlan.schedule`."""
    if callable(factors):
        return torch.optim.lr_scheduler.LambdaLR(optimizer, factors)
    table = reals("factors", factors, at_least_zero)
    last = len(table) - 1
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: table[min(step, last)])


def _absolute_values(scheduler: Any) -> Iterator[str]:
    """Parts of a schedule that set learning rates instead of multiplying them."""
    for inner in getattr(scheduler, "_schedulers", []):
        yield from _absolute_values(inner)
    name = type(scheduler).__name__
    if getattr(scheduler, "eta_min", 0):
        yield f"The schedule {name} has the floor eta_min = {scheduler.eta_min:g} for all groups"
    if any(getattr(scheduler, "min_lrs", [])):
        yield f"The schedule {name} has the floor min_lr = {max(scheduler.min_lrs):g}"
    if name in ("OneCycleLR", "CyclicLR"):
        groups = scheduler.optimizer.param_groups
        peaks = {group.get("max_lr") for group in groups}
        if len(peaks) < len({group.get("planned_lr", group["lr"]) for group in groups}):
            yield f"The schedule {name} has one max_lr for groups with different learning rates"
