"""Parameter groups of PyTorch optimisers."""

# pyright: reportMissingImports=false

import inspect
from collections.abc import Mapping
from types import FrameType
from typing import Any

import torch

from orderparam.errors import InvalidProblem, UnsupportedCombination
from orderparam.experts.adapters.pytorch.matching import planned
from orderparam.experts.adapters.pytorch.restored import check_applied
from orderparam.experts.adapters.values import Base, checked_values, of_role
from orderparam.experts.rules.checks import ScalingWarning
from orderparam.experts.rules.plan import Entry, ScalingPlan
from orderparam.support.arguments import at_least_zero, positive
from orderparam.support.notices import notice

_CALLERS = 5  # frames between an optimiser and a group, with wrappers such as checks of types


class PlannedGroup(dict[str, Any]):
    """A group of parameters that refuses values of an optimiser which it would not use.

    An optimiser offers each group its own learning rate, epsilon and decay, and drops them where
    the group has its own, as groups of a plan do.

    Args:
        values: What the group holds.
        base: The values of the base model by name: one number, or numbers by role.
    """

    def __init__(self, values: Mapping[str, Any], base: Mapping[str, Base]) -> None:
        super().__init__(values)
        self.base = dict(base)

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value of a key, with a default.

        Raises:
            InvalidProblem: If a default is offered that contradicts the base's values.
        """
        if key in self and key in self.base and _said(inspect.currentframe(), key, default):
            given = self.base[key]
            mine = given.values() if isinstance(given, Mapping) else (given,)
            if default not in mine:
                raise InvalidProblem(
                    f"The optimiser was given {key}={default!r}, but the groups of a plan carry "
                    f"their own {key}, made from {given!r}; give {key}={default!r} to "
                    "plan.param_groups instead, which scales it."
                )
        return super().setdefault(key, default)


def _said(frame: FrameType | None, key: str, value: Any) -> bool:
    """Whether an optimiser that called `setdefault` was given a value other than its own.

    Its defaults stand in the signature of its class; the groups are not told which they are.
    """
    if not isinstance(value, float | int):
        return False
    for _ in range(_CALLERS):
        frame = None if frame is None else frame.f_back
        optimizer = None if frame is None else frame.f_locals.get("self")
        if isinstance(optimizer, torch.optim.Optimizer):
            known = inspect.signature(type(optimizer)).parameters
            return key in known and known[key].default != value
    return False


def param_groups(
    plan: ScalingPlan, model: torch.nn.Module, lr: Base, eps: Base, weight_decay: Base
) -> list[dict[str, Any]]:
    """See `TorchPlan.param_groups`."""
    base = {
        "lr": checked_values("lr", lr, positive),
        "eps": checked_values("eps", eps, positive),
        "weight_decay": checked_values("weight_decay", weight_decay, at_least_zero),
    }
    check_applied(plan, model)
    groups: dict[tuple[float, ...], dict[str, Any]] = {}
    names = set()
    for _, parameter, entry in planned(plan, model):
        names.add(entry.name)
        if not parameter.requires_grad:
            continue
        if entry.role == "frozen":
            raise InvalidProblem(
                f"Parameter {entry.name!r} has the role 'frozen' but requires a gradient; call "
                "requires_grad_(False), or give it a role that is trained."
            )
        values = _values(plan, entry, base)
        _check_precision(entry, parameter, values)
        key = (*values.values(), entry.learning_rate)
        if key not in groups:
            groups[key] = PlannedGroup({"params": [], **values, **_record(entry, values)}, base)
        group = groups[key]
        group["params"].append(parameter)
        group["name_list"].append(entry.name)
        roles = {*filter(None, group["role"].split(", ")), entry.role}
        group["role"] = ", ".join(sorted(roles))
    _warn_of_missing(plan, names)
    count = sum(len(group["params"]) for group in groups.values())
    for group in groups.values():
        group["planned_count"] = count
    return list(groups.values())


def _record(entry: Entry, values: Mapping[str, float]) -> dict[str, Any]:
    """What `check_optimizer` compares with later."""
    start = {f"planned_{name}": value for name, value in values.items()}
    return {"role": "", "lr_mult": entry.learning_rate, "name_list": [], **start}


def _values(plan: ScalingPlan, entry: Entry, base: Mapping[str, Base]) -> dict[str, float]:
    """The optimiser's values for one parameter."""
    decay = of_role(base["weight_decay"], entry.role, "weight_decay")
    if decay and plan.recipe.optimizer == "adam":
        raise UnsupportedCombination(
            "Adam puts the decay into the gradient (coupled L2) and then normalises it away, so "
            "that its strength has no scaling rule; use optimizer='adamw' and torch.optim.AdamW."
        )
    values = {
        "lr": of_role(base["lr"], entry.role, "lr") * entry.learning_rate,
        "weight_decay": decay * entry.weight_decay,
    }
    if plan.recipe.column == "adam":
        values["eps"] = of_role(base["eps"], entry.role, "eps") * entry.epsilon
    return values


def _warn_of_missing(plan: ScalingPlan, names: set[str]) -> None:
    """Warn of a model that lacks parameters of the plan; experts may be on other ranks."""
    missing = [e.name for e in plan.entries if e.expert is None and e.name not in names]
    if missing:
        notice(
            f"The model lacks {len(missing)} parameters of the plan, such as {missing[0]!r}; that "
            "is right for one stage of a pipeline, otherwise the plan is of another model.",
            ScalingWarning,
        )


def _check_precision(
    entry: Entry, parameter: torch.nn.Parameter, values: Mapping[str, float]
) -> None:
    """Warn of numbers that half precision cannot hold."""
    smallest = torch.finfo(parameter.dtype).tiny
    if values.get("eps", 1.0) < smallest:
        notice(
            f"Epsilon {values['eps']:.3g} of {entry.name!r} is below the smallest normal number of "
            f"{parameter.dtype}, the type of the optimiser's state; keep the state in float32.",
            ScalingWarning,
        )
    if entry.role == "router" and parameter.dtype in (torch.float16, torch.bfloat16):
        notice(
            f"The router {entry.name!r} is in {parameter.dtype}; compute its logits in float32, "
            "because top-k decides on small differences.",
            ScalingWarning,
        )
