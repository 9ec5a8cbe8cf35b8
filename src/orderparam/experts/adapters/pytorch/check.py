"""Whether a PyTorch optimiser and its schedule keep to a plan."""

# pyright: reportMissingImports=false

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from orderparam.errors import InvalidProblem, UnsupportedCombination
from orderparam.experts.rules.checks import ScalingWarning
from orderparam.experts.rules.plan import ScalingPlan
from orderparam.experts.rules.recipe import check_optimizer_name

_CLASSES = {
    "SGD": ("sgd",),
    "Adam": ("adam", "adamw"),
    "AdamW": ("adamw", "adam"),
    "Lion": ("lion",),
    "SignSGD": ("signsgd",),
}
_WITHOUT_RULE = ("muon", "shampoo", "soap", "adafactor", "lamb", "lars", "sophia")
_CLOSE = 1e-6


def check_optimizer(plan: ScalingPlan, optimizer: torch.optim.Optimizer) -> None:
    """See `TorchPlan.check_optimizer`."""
    _check_class(plan, optimizer)
    factors = []
    for group in optimizer.param_groups:
        if "planned_lr" not in group or "name_list" not in group:
            raise InvalidProblem(
                "The optimiser has a group that no plan made; build it from "
                "plan.param_groups(model, lr=...), without further groups."
            )
        for name in group["name_list"]:
            _check_entry(plan, name, group)
        factors.append((float(group["lr"]) / group["planned_lr"], group))
    first, reference = factors[0]
    for factor, group in factors[1:]:
        if not math.isclose(factor, first, rel_tol=_CLOSE, abs_tol=1e-12):
            raise InvalidProblem(
                f"Learning rates no longer have the plan's ratios: group {group['role']!r} is at "
                f"{factor:.4g} of its planned value, group {reference['role']!r} at {first:.4g}. "
                "Use a schedule that multiplies all groups by one factor, such as plan.schedule."
            )


def check_scheduler(scheduler: Any) -> None:
    """See `TorchPlan.check_scheduler`."""
    for text in _absolute_values(scheduler):
        warnings.warn(
            f"{text}, which changes the ratios of learning rates between groups; use factors, such "
            "as plan.schedule(optimizer, factors).",
            ScalingWarning,
            stacklevel=3,
        )


def scaled_schedule(
    optimizer: torch.optim.Optimizer, factors: Sequence[float] | Callable[[int], float]
) -> torch.optim.lr_scheduler.LambdaLR:
    """See `TorchPlan.schedule`."""
    if callable(factors):
        return torch.optim.lr_scheduler.LambdaLR(optimizer, factors)
    table = [float(factor) for factor in factors]
    if not table or not all(math.isfinite(factor) and factor >= 0 for factor in table):
        raise InvalidProblem(
            "Argument `factors` must hold at least one factor, all finite and at least 0; give one "
            "for each step."
        )
    last = len(table) - 1
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: table[min(step, last)])


def check_clipping(max_norm: float | int | None) -> None:
    """See `TorchPlan.check_clipping`."""
    if max_norm:
        warnings.warn(
            f"Gradients are clipped by their global norm ({max_norm:g}), which other roles "
            "dominate at other sizes; switch it off (max_grad_norm=0), or clip each role by itself "
            "with plan.clip_groups.",
            ScalingWarning,
            stacklevel=3,
        )


def _check_class(plan: ScalingPlan, optimizer: torch.optim.Optimizer) -> None:
    """The kind of optimiser has to be the plan's."""
    name = type(optimizer).__name__
    for known in _WITHOUT_RULE:
        if known in name.lower():
            check_optimizer_name(known)
    if name not in _CLASSES:
        warnings.warn(
            f"The optimiser {name} is not known here; the plan holds for updates like those of "
            f"{plan.recipe.optimizer}.",
            ScalingWarning,
            stacklevel=4,
        )
    elif plan.recipe.optimizer not in _CLASSES[name]:
        raise InvalidProblem(
            f"The plan is for {plan.recipe.optimizer}, but the optimiser is {name}; make the plan "
            f"with optimizer={_CLASSES[name][0]!r}, or use the other optimiser."
        )
    if name != "Adam":
        return
    for group in optimizer.param_groups:
        if group["weight_decay"] and not group.get("decoupled_weight_decay", False):
            raise UnsupportedCombination(
                "torch.optim.Adam puts the decay into the gradient (coupled L2) and normalises it "
                "away, so that its strength has no scaling rule; use torch.optim.AdamW."
            )


def _check_entry(plan: ScalingPlan, name: str, group: dict[str, Any]) -> None:
    """One parameter of a group has to have the multiplier and the epsilon of the plan."""
    entry = plan[name]
    if not math.isclose(entry.learning_rate, group["lr_mult"], rel_tol=_CLOSE):
        raise InvalidProblem(
            f"Parameter {name!r} has the learning-rate multiplier {group['lr_mult']:.6g} in the "
            f"optimiser, but {entry.learning_rate:.6g} in the plan; build the optimiser from this "
            "plan's groups."
        )


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
