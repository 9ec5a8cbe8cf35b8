"""Clipping of gradients, role by role."""

# pyright: reportMissingImports=false

import math
from typing import Any

import torch

from orderparam.errors import UnsupportedCombination
from orderparam.experts.adapters.pytorch.matching import has_some_experts, is_flat, planned
from orderparam.experts.adapters.values import Base, checked_values, of_role
from orderparam.experts.rules.checks import ScalingWarning
from orderparam.experts.rules.plan import ScalingPlan
from orderparam.support.arguments import at_least_zero, optional, positive
from orderparam.support.notices import notice


def clip_groups(plan: ScalingPlan, model: torch.nn.Module, max_rms: Base) -> dict[str, float]:
    """See `TorchPlan.clip_groups`."""
    max_rms = checked_values("max_rms", max_rms, positive)
    _check_whole(plan, model)
    found: dict[str, list[tuple[torch.Tensor, float]]] = {}
    for _, parameter, entry in planned(plan, model):
        if parameter.grad is not None:
            found.setdefault(entry.role, []).append((parameter.grad, entry.gradient))
    sizes = {}
    for role, gradients in found.items():
        square = sum(_square(gradient.detach(), growth) for gradient, growth in gradients)
        count = sum(gradient.numel() for gradient, _ in gradients)
        sizes[role] = math.sqrt(square / count)
        factor = of_role(max_rms, role, "max_rms") / (sizes[role] + 1e-30)
        if factor < 1:
            for gradient, _ in gradients:
                gradient.mul_(factor)
    return sizes


def check_clipping(max_norm: float | int | None) -> None:
    """See `TorchPlan.check_clipping`."""
    if optional(at_least_zero, "max_norm", max_norm):
        notice(
            f"Gradients are clipped by their global norm ({max_norm:g}), which other roles "
            "dominate at other sizes; switch it off (max_grad_norm=0), or clip each role by itself "
            "with plan.clip_groups.",
            ScalingWarning,
        )


def _square(gradient: Any, growth: float) -> float:
    """Sum of squares of a whole gradient, relative to its growth; of all parts where it is spread.

    The sum of a distributed tensor is a sum of this rank's part until it is made whole.
    """
    total: Any = (gradient.float() / growth).square().sum()
    return float(total.full_tensor() if hasattr(total, "full_tensor") else total)


def _check_whole(plan: ScalingPlan, model: torch.nn.Module) -> None:
    """Refuse gradients of which other ranks hold parts that cannot be asked for.

    Raises:
        UnsupportedCombination: Under FSDP of the first kind, or where ranks share out experts.
    """
    if is_flat(model):
        raise UnsupportedCombination(
            "FullyShardedDataParallel holds gradients as flat parts, whose norm is not that of the "
            "role; use fully_shard, whose tensors know their whole."
        )
    held = set()
    for _, parameter, entry in planned(plan, model):
        held.add(entry.name)
        if has_some_experts(parameter, entry):
            _refuse_experts(entry.name)
    for entry in plan.entries:
        if entry.expert is not None and entry.name not in held:
            _refuse_experts(entry.name)


def _refuse_experts(name: str) -> None:
    """The error of a rank that holds only some of the experts."""
    raise UnsupportedCombination(
        f"This rank holds only some of the experts of {name!r}, so that each rank would clip by "
        "another norm; hold experts in tensors that know their placement (DTensor), or clip before "
        "they are shared out."
    )
