"""Initial values of PyTorch models, drawn by name so that sharding does not change them."""

# pyright: reportMissingImports=false

import hashlib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

import torch

from orderparam.errors import InvalidProblem
from orderparam.experts.adapters.pytorch.groups import planned
from orderparam.experts.adapters.pytorch.values import Base
from orderparam.experts.rules.axes import expert_axis
from orderparam.experts.rules.plan import Entry, ScalingPlan
from orderparam.experts.rules.sharing import group_of


def initialise(
    plan: ScalingPlan,
    model: torch.nn.Module,
    base_std: Base | None,
    seed: int,
    generator: torch.Generator | None,
    first_expert: int,
) -> None:
    """See `TorchPlan.initialize_`."""
    if generator is not None:
        seed = int(torch.randint(2**31, (1,), generator=generator))
    _check_used(base_std, plan)
    for name, parameter, entry in planned(plan, model):
        if parameter.is_meta:
            raise InvalidProblem(
                f"Parameter {name!r} is on the meta device and has no memory; call "
                "model.to_empty(device=...) first, then initialize_."
            )
        if entry.role != "frozen":
            with torch.no_grad():
                _fill(parameter, entry, _std(entry, base_std), seed, first_expert)


def rescale(plan: ScalingPlan, model: torch.nn.Module, initialised: str) -> None:
    """See `TorchPlan.rescale_`."""
    if initialised not in ("fan_in", "constant"):
        raise InvalidProblem(
            f"Argument `initialised` must be 'fan_in' or 'constant', but is {initialised!r}; say "
            "how the model's own code sets the std of its weights."
        )
    first: dict[tuple[str, int], torch.Tensor] = {}
    with torch.no_grad():
        for _, parameter, entry in planned(plan, model):
            if entry.initial == "zero":
                parameter.zero_()
            if entry.initial != "normal" or entry.role == "frozen":
                continue
            own = entry.fan_in / entry.base_fan_in if initialised == "fan_in" else 1.0
            factor = entry.std * own**0.5
            if factor != 1.0:
                parameter.mul_(factor)
            _share(parameter, entry, first)


def _fill(parameter: torch.Tensor, entry: Entry, std: float, seed: int, first_expert: int) -> None:
    """Write the initial values of one parameter, whole or the part that this rank holds."""
    if entry.initial != "normal":
        parameter.fill_(1.0 if entry.initial == "one" else 0.0)
        return
    axis = expert_axis(entry.axes)
    if entry.experts is None or axis is None:
        expert = None if entry.expert is None else entry.expert
        full = _draw(entry, entry.shape, std, seed, expert)
    else:
        full = _stacked(parameter, entry, axis, std, seed, first_expert)
    _write(parameter, entry, full)


def _stacked(
    parameter: torch.Tensor, entry: Entry, axis: int, std: float, seed: int, first_expert: int
) -> torch.Tensor:
    """Draws of the experts along an axis, each by its own number."""
    shape = list(entry.shape)
    count = parameter.shape[axis]
    one = shape[:axis] + shape[axis + 1 :]
    draws = [_draw(entry, one, std, seed, first_expert + i) for i in range(count)]
    return torch.stack(draws, dim=axis)


def _draw(
    entry: Entry, shape: list[int] | tuple[int, ...], std: float, seed: int, expert: int | None
) -> torch.Tensor:
    """Normal numbers that depend on the seed, the name and the group of the expert alone."""
    group = ""
    if expert is not None and entry.experts is not None and entry.groups is not None:
        group = str(group_of(expert, entry.experts, entry.groups))
    elif expert is not None:
        group = str(expert)
    digest = hashlib.sha256(f"{seed}|{entry.key}|{group}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") % 2**63)
    return torch.randn(tuple(shape), generator=generator, dtype=torch.float32) * std


def _write(parameter: Any, entry: Entry, full: torch.Tensor) -> None:
    """Copy values into a parameter; of a distributed tensor each rank takes its part."""
    if hasattr(parameter, "placements"):
        from torch.distributed.tensor import distribute_tensor

        full = full.to(device=parameter.device, dtype=parameter.dtype)
        spread = distribute_tensor(
            full, parameter.device_mesh, parameter.placements, src_data_rank=None
        )
        parameter.copy_(spread)
        return
    if tuple(parameter.shape) != tuple(full.shape):
        raise InvalidProblem(
            f"Parameter {entry.name!r} has shape {tuple(parameter.shape)}, but the plan says "
            f"{tuple(full.shape)}; initialise before sharding, or with tensors that know their "
            "placement (fully_shard)."
        )
    parameter.copy_(full)


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


def _std(entry: Entry, base_std: Base | None) -> float:
    """Std of one parameter: the base's, by role or pattern, times the multiplier."""
    base = entry.base_fan_in**-0.5
    if isinstance(base_std, Mapping):
        fitting = [key for key in base_std if key == entry.role or fnmatchcase(entry.name, key)]
        key = fitting[0] if fitting else "default"
        base = float(base_std.get(key, base))
    elif base_std is not None:
        base = float(base_std)
    if not base >= 0:
        raise InvalidProblem(
            f"Argument `base_std` must be at least 0, but is {base!r} for {entry.name!r}; give the "
            "std of the base model."
        )
    return base * entry.std


def _check_used(base_std: Base | None, plan: ScalingPlan) -> None:
    """Every key of `base_std` has to mean a parameter."""
    if not isinstance(base_std, Mapping):
        return
    for key in base_std:
        if key != "default" and not any(
            key == entry.role or fnmatchcase(entry.name, key) for entry in plan.entries
        ):
            raise InvalidProblem(
                f"Argument `base_std` names {key!r}, which is no role or parameter of the plan; "
                "use a role, a name pattern or 'default'."
            )
