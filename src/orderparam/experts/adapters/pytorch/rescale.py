"""Rescaling of what a model's own code has drawn."""

# pyright: reportMissingImports=false

from collections.abc import Mapping

import torch

from orderparam.errors import InvalidProblem
from orderparam.experts.adapters.pytorch.matching import planned
from orderparam.experts.rules.axes import expert_axis
from orderparam.experts.rules.plan import Entry, ScalingPlan
from orderparam.experts.rules.rows import ROWS
from orderparam.experts.rules.sharing import group_of
from orderparam.support.arguments import one_of


def rescale(plan: ScalingPlan, model: torch.nn.Module, initialised: str) -> None:
    """See `TorchPlan.rescale_`."""
    fan_in = one_of("initialised", initialised, ("fan_in", "constant")) == "fan_in"
    found = [(p, entry) for _, p, entry in planned(plan, model) if p.requires_grad]
    table = {entry.name: entry for _, entry in found}
    factors = [
        _bias_factor(p, entry, table, fan_in)
        if ROWS[entry.role].initial == "zero"
        else _factor(entry, fan_in)
        for p, entry in found
    ]
    first: dict[tuple[str, int], torch.Tensor] = {}
    with torch.no_grad():
        for (parameter, entry), factor in zip(found, factors, strict=True):
            if factor == 0.0:
                parameter.zero_()
            elif factor != 1.0:
                parameter.mul_(factor)
            _share(parameter, entry, first)


def _factor(entry: Entry, fan_in: bool) -> float:
    """What a weight is multiplied with."""
    if entry.role == "frozen" or entry.initial == "one":
        return 1.0
    if entry.initial == "zero":
        return 0.0
    own = (entry.fan_in / entry.base_fan_in) ** 0.5 if fan_in else 1.0
    return entry.std * own * entry.std_factor / entry.own_factor


def _bias_factor(
    bias: torch.Tensor, entry: Entry, table: Mapping[str, Entry], fan_in: bool
) -> float:
    """What a bias is multiplied with: whatever its size, it stays as it is at the base.

    PyTorch's layers draw a bias with the std of their weight, so that the fan-in is the weight's.
    """
    if not fan_in or not bool(bias.count_nonzero()):
        return 1.0
    head, dot, last = entry.name.rpartition(".")
    weight = table.get(f"{head}{dot}{last.replace('bias', 'weight')}")
    if weight is None or weight is entry:
        if all(ratio == 1.0 for ratio in entry.ratios.values()):
            return 1.0
        raise InvalidProblem(
            f"The bias {entry.name!r} is not zero, but there is no weight beside it whose fan-in "
            "tells how its size changes; set it to zero, or use initialize_."
        )
    return (weight.fan_in / weight.base_fan_in) ** 0.5


def _share(
    parameter: torch.Tensor, entry: Entry, first: dict[tuple[str, int], torch.Tensor]
) -> None:
    """Give experts of one group the values of the first of them."""
    if entry.experts is None or entry.groups is None or entry.groups == entry.experts:
        return
    axis = expert_axis(entry.axes)
    if axis is not None:
        source = torch.tensor(
            [group_of(i, entry.experts, entry.groups) for i in range(entry.experts)]
        )
        parameter.copy_(parameter.index_select(axis, source.to(parameter.device)))
    elif entry.expert is not None:
        key = (entry.key, group_of(entry.expert, entry.experts, entry.groups))
        parameter.copy_(first.setdefault(key, parameter))
