"""Parameter groups of PyTorch optimisers, and clipping by role."""

# pyright: reportMissingImports=false

import math
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from orderparam.errors import InvalidProblem, UnsupportedCombination
from orderparam.experts.adapters.pytorch.values import Base
from orderparam.experts.rules.checks import ScalingWarning
from orderparam.experts.rules.plan import Entry, ScalingPlan
from orderparam.experts.rules.role_rules import normalised
from orderparam.experts.rules.rows import ROWS


def param_groups(
    plan: ScalingPlan, model: torch.nn.Module, lr: Base, eps: Base, weight_decay: Base
) -> list[dict[str, Any]]:
    """See `TorchPlan.param_groups`."""
    for name, given, zero in (
        ("lr", lr, False),
        ("eps", eps, False),
        ("weight_decay", weight_decay, True),
    ):
        _check_values(name, given, zero)
    groups: dict[tuple[float, ...], dict[str, Any]] = {}
    for _, parameter, entry in planned(plan, model):
        if not parameter.requires_grad:
            continue
        if entry.role == "frozen":
            raise InvalidProblem(
                f"Parameter {entry.name!r} has the role 'frozen' but requires a gradient; call "
                "requires_grad_(False), or give it a role that is trained."
            )
        values = _values(plan, entry, lr, eps, weight_decay)
        _check_precision(entry, parameter, values)
        key = (*values.values(), entry.learning_rate)
        group = groups.setdefault(
            key,
            {"params": [], **values, "role": "", "lr_mult": entry.learning_rate,
             "planned_lr": values["lr"], "name_list": []},
        )  # fmt: skip
        group["params"].append(parameter)
        group["name_list"].append(entry.name)
        roles = {*filter(None, group["role"].split(", ")), entry.role}
        group["role"] = ", ".join(sorted(roles))
    return list(groups.values())


def clip_groups(plan: ScalingPlan, model: torch.nn.Module, max_rms: Base) -> dict[str, float]:
    """See `TorchPlan.clip_groups`."""
    _check_values("max_rms", max_rms, False)
    found: dict[str, list[tuple[torch.Tensor, float]]] = {}
    for _, parameter, entry in planned(plan, model):
        if parameter.grad is not None:
            found.setdefault(entry.role, []).append((parameter.grad, entry.gradient))
    sizes = {}
    for role, gradients in found.items():
        square = sum(float((g.detach().float() / growth).square().sum()) for g, growth in gradients)
        count = sum(g.numel() for g, _ in gradients)
        sizes[role] = math.sqrt(square / count)
        factor = of_role(max_rms, role, "max_rms") / (sizes[role] + 1e-30)
        if factor < 1:
            for gradient, _ in gradients:
                gradient.mul_(factor)
    return sizes


def planned(
    plan: ScalingPlan, model: torch.nn.Module
) -> Iterator[tuple[str, torch.nn.Parameter, Entry]]:
    """Every parameter of a model with its entry.

    Raises:
        InvalidProblem: If one is not in the plan, or was flattened.
    """
    entries = plan.by_name
    for name, parameter in model.named_parameters():
        key = normalised(name)
        if "flat_param" in key.rpartition(".")[2]:
            raise InvalidProblem(
                f"Parameter {name!r} is flattened by FSDP and mixes roles; wrap with "
                "use_orig_params=True, or use fully_shard."
            )
        yield name, parameter, entries[key] if key in entries else plan[key]


def of_role(given: Base, role: str, what: str) -> float:
    """The value of a role, where one number or numbers by role are given."""
    if not isinstance(given, Mapping):
        return float(given)
    if role not in given and "default" not in given:
        raise InvalidProblem(
            f"Argument `{what}` gives no value for the role {role!r}; add it, or the key 'default'."
        )
    return float(given.get(role, given.get("default", 0.0)))


def _values(
    plan: ScalingPlan, entry: Entry, lr: Base, eps: Base, weight_decay: Base
) -> dict[str, float]:
    """The optimiser's values for one parameter."""
    decay = of_role(weight_decay, entry.role, "weight_decay")
    if decay and plan.recipe.optimizer == "adam":
        raise UnsupportedCombination(
            "Adam puts the decay into the gradient (coupled L2) and then normalises it away, so "
            "that its strength has no scaling rule; use optimizer='adamw' and torch.optim.AdamW."
        )
    values = {
        "lr": of_role(lr, entry.role, "lr") * entry.learning_rate,
        "weight_decay": decay * entry.weight_decay,
    }
    if plan.recipe.column == "adam":
        values["eps"] = of_role(eps, entry.role, "eps") * entry.epsilon
    return values


def _check_values(name: str, given: Base, zero_allowed: bool) -> None:
    """Refuse values that are not positive numbers, and roles that do not exist."""
    table = given if isinstance(given, Mapping) else {"default": given}
    for role, number in table.items():
        if role != "default" and role not in ROWS:
            raise InvalidProblem(
                f"Argument `{name}` names the role {role!r}, which does not exist; use "
                f"'default' or one of {', '.join(ROWS)}."
            )
        good = isinstance(number, int | float) and math.isfinite(number)
        if not good or number < 0 or (number == 0 and not zero_allowed):
            allowed = "at least 0" if zero_allowed else "above 0"
            raise InvalidProblem(
                f"Argument `{name}` must be a finite number {allowed}, but is {number!r}; give the "
                "value that the base model was tuned with."
            )


def _check_precision(
    entry: Entry, parameter: torch.nn.Parameter, values: Mapping[str, float]
) -> None:
    """Warn of numbers that half precision cannot hold."""
    smallest = torch.finfo(parameter.dtype).tiny
    if values.get("eps", 1.0) < smallest:
        warnings.warn(
            f"Epsilon {values['eps']:.3g} of {entry.name!r} is below the smallest normal number of "
            f"{parameter.dtype}, the type of the optimiser's state; keep the state in float32.",
            ScalingWarning,
            stacklevel=4,
        )
    if entry.role == "router" and parameter.dtype in (torch.float16, torch.bfloat16):
        warnings.warn(
            f"The router {entry.name!r} is in {parameter.dtype}; compute its logits in float32, "
            "because top-k decides on small differences.",
            ScalingWarning,
            stacklevel=4,
        )
