"""Initial values of PyTorch models, drawn by name so that sharding does not change them."""

# pyright: reportMissingImports=false

import hashlib
from collections.abc import Iterator
from typing import Any

import torch

from orderparam.errors import InvalidProblem
from orderparam.experts.adapters.pytorch.buffers import restore_buffers
from orderparam.experts.adapters.pytorch.matching import planned
from orderparam.experts.adapters.values import Base, checked_std, initial_std
from orderparam.experts.rules.axes import expert_axis
from orderparam.experts.rules.plan import Entry, ScalingPlan
from orderparam.experts.rules.sharing import group_of
from orderparam.support.arguments import integer


def initialise(
    plan: ScalingPlan,
    model: torch.nn.Module,
    base_std: Base | None,
    seed: int,
    generator: torch.Generator | None,
    first_expert: int,
) -> None:
    """See `TorchPlan.initialize_`."""
    seed = integer("seed", seed, least=0)
    if generator is not None:
        seed = int(torch.randint(2**31, (1,), generator=generator))
    first_expert = integer("first_expert", first_expert, least=0)
    base_std = checked_std(base_std, plan.entries)
    entries = list(planned(plan, model))
    for name, tensor in (*((name, p) for name, p, _ in entries), *model.named_buffers()):
        if tensor.is_meta:
            raise InvalidProblem(
                f"Parameter or buffer {name!r} is on the meta device and has no memory; call "
                "model.to_empty(device=...) first, then initialize_."
            )
    padding = dict(_padding(model))
    with torch.no_grad():
        for _, parameter, entry in entries:
            if entry.role != "frozen" and parameter.requires_grad:
                std = initial_std(entry, base_std)
                _fill(parameter, entry, std, seed, first_expert, padding.get(id(parameter)))
    restore_buffers(model)


def _padding(model: torch.nn.Module) -> Iterator[tuple[int, int]]:
    """Embeddings with a row that stands for padding, which is zero and gets no gradient."""
    for module in model.modules():
        row, weight = getattr(module, "padding_idx", None), getattr(module, "weight", None)
        if row is not None and isinstance(weight, torch.nn.Parameter):
            yield id(weight), row


def _fill(
    parameter: torch.Tensor,
    entry: Entry,
    std: float,
    seed: int,
    first_expert: int,
    padding: int | None,
) -> None:
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
    if padding is not None:
        full[padding] = 0.0
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
