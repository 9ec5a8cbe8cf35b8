"""Whether a PyTorch optimiser keeps to a plan."""

# pyright: reportMissingImports=false

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from orderparam.errors import InvalidProblem, UnsupportedCombination
from orderparam.experts.adapters.pytorch.matching import check_shape, planned
from orderparam.experts.rules.checks import ScalingWarning
from orderparam.experts.rules.plan import ScalingPlan
from orderparam.experts.rules.recipe import check_optimizer_name
from orderparam.support.notices import notice

_CLASSES = {
    "SGD": ("sgd",),
    "Adam": ("adam", "adamw"),
    "AdamW": ("adamw", "adam"),
    "Lion": ("lion",),
    "SignSGD": ("signsgd",),
}
_WITHOUT_RULE = ("muon", "shampoo", "soap", "adafactor", "lamb", "lars", "sophia")
_CLOSE = 1e-6
_RECORDED = ("planned_lr", "planned_weight_decay", "planned_count", "lr_mult", "name_list")


def check_optimizer(
    plan: ScalingPlan, optimizer: torch.optim.Optimizer, model: torch.nn.Module | None
) -> None:
    """See `TorchPlan.check_optimizer`."""
    _check_class(plan, optimizer)
    groups = optimizer.param_groups
    for group in groups:
        if any(name not in group for name in _RECORDED):
            raise InvalidProblem(
                "The optimiser has a group that no plan made, or an earlier version of this "
                "library; build it from plan.param_groups(model, lr=...), without further groups."
            )
        _check_group(plan, group)
    _check_complete(plan, groups)
    if model is not None:
        _check_model(plan, groups, model)
    _check_ratios(groups, "lr", "Learning rates", "plan.schedule")
    _check_ratios(groups, "weight_decay", "Weight decays", "one factor for all groups")


def _check_class(plan: ScalingPlan, optimizer: torch.optim.Optimizer) -> None:
    """The kind of optimiser has to be the plan's."""
    name = type(optimizer).__name__
    for known in _WITHOUT_RULE:
        if known in name.lower():
            check_optimizer_name(known)
    if name not in _CLASSES:
        notice(
            f"The optimiser {name} is not known here; the plan holds for updates like those of "
            f"{plan.recipe.optimizer}.",
            ScalingWarning,
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


def _check_group(plan: ScalingPlan, group: Mapping[str, Any]) -> None:
    """A group has to hold the parameters that it names, with the plan's values."""
    names, parameters = group["name_list"], group["params"]
    if len(names) != len(parameters):
        raise InvalidProblem(
            f"The group {group['role']!r} names {len(names)} parameters, but holds "
            f"{len(parameters)}; do not change groups of a plan, build them anew."
        )
    for name, parameter in zip(names, parameters, strict=True):
        entry = plan[name]
        check_shape(parameter, entry, flat=True)
        if not math.isclose(entry.learning_rate, group["lr_mult"], rel_tol=_CLOSE):
            raise InvalidProblem(
                f"Parameter {name!r} has the learning-rate multiplier {group['lr_mult']:.6g} in "
                f"the optimiser, but {entry.learning_rate:.6g} in the plan; build the optimiser "
                "from this plan's groups."
            )
    wanted = group.get("planned_eps")
    if wanted is not None and not math.isclose(group.get("eps", 0.0), wanted, rel_tol=_CLOSE):
        raise InvalidProblem(
            f"The group {group['role']!r} has eps = {group.get('eps')!r}, but the plan's is "
            f"{wanted:.6g}; give epsilon to plan.param_groups, which scales it."
        )


def _check_complete(plan: ScalingPlan, groups: Sequence[Mapping[str, Any]]) -> None:
    """All parameters for which groups were made have to be there, each once."""
    names = [name for group in groups for name in group["name_list"]]
    count = groups[0]["planned_count"]
    if len(names) == count and len(set(names)) == count:
        return
    absent = [entry.name for entry in plan.entries if entry.name not in names]
    some = f", among them some of {', '.join(absent[:3])}" if absent else ""
    raise InvalidProblem(
        f"The optimiser has {len(set(names))} of the {count} parameters for which the plan made "
        f"groups; the others are not trained{some}. Give it all groups."
    )


def _check_model(
    plan: ScalingPlan, groups: Sequence[Mapping[str, Any]], model: torch.nn.Module
) -> None:
    """The optimiser's tensors have to be the model's, each under its own name."""
    held = {
        id(parameter): name
        for group in groups
        for name, parameter in zip(group["name_list"], group["params"], strict=True)
    }
    for _, parameter, entry in planned(plan, model):
        if not parameter.requires_grad:
            continue
        found = held.get(id(parameter))
        if found is None:
            raise InvalidProblem(
                f"Parameter {entry.name!r} requires a gradient, but is not in the optimiser; build "
                "groups after sharding, for all parameters."
            )
        if found != entry.name:
            raise InvalidProblem(
                f"Parameter {entry.name!r} is in the optimiser under the name {found!r}, with that "
                "one's values; build the optimiser from plan.param_groups anew."
            )


def _check_ratios(groups: Sequence[Mapping[str, Any]], key: str, what: str, advice: str) -> None:
    """Values may change in time, but by one factor for all groups."""
    factors = []
    for group in groups:
        planned_value, now = group[f"planned_{key}"], float(group[key])
        if planned_value:
            factors.append((now / planned_value, group))
        elif now:
            raise InvalidProblem(
                f"The group {group['role']!r} has {key} = {now:.4g}, but the plan's is 0; give it "
                "to plan.param_groups, which scales it."
            )
    for factor, group in factors[1:]:
        first, reference = factors[0]
        if not math.isclose(factor, first, rel_tol=_CLOSE, abs_tol=1e-12):
            raise InvalidProblem(
                f"{what} no longer have the plan's ratios: group {group['role']!r} is at "
                f"{factor:.4g} of its planned value, group {reference['role']!r} at {first:.4g}. "
                f"Use a schedule that multiplies all groups by one factor, such as {advice}."
            )
