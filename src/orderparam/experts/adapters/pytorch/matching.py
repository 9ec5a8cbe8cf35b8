"""The parameters of a model and the entries of a plan, matched by name and held to their shapes."""

# pyright: reportMissingImports=false

from collections.abc import Iterator
from math import prod

import torch

from orderparam.errors import InvalidProblem
from orderparam.experts.rules.axes import expert_axis
from orderparam.experts.rules.plan import Entry, ScalingPlan
from orderparam.experts.rules.role_rules import normalised


def planned(
    plan: ScalingPlan, model: torch.nn.Module
) -> Iterator[tuple[str, torch.nn.Parameter, Entry]]:
    """Every parameter of a model with its entry.

    Raises:
        InvalidProblem: If one is not in the plan, has another size there, or was flattened.
    """
    entries = plan.by_name
    flat = is_flat(model)
    for name, parameter in model.named_parameters():
        key = normalised(name)
        if "flat_param" in key.rpartition(".")[2]:
            raise InvalidProblem(
                f"Parameter {name!r} is flattened by FSDP and mixes roles; wrap with "
                "use_orig_params=True, or use fully_shard."
            )
        entry = entries[key] if key in entries else plan[key]
        check_shape(parameter, entry, flat=flat)
        yield name, parameter, entry


def is_flat(model: torch.nn.Module) -> bool:
    """Whether the first kind of FSDP holds parameters as flat parts, which show no shape."""
    return any(type(module).__name__ == "FullyShardedDataParallel" for module in model.modules())


def has_some_experts(parameter: torch.Tensor, entry: Entry) -> bool:
    """Whether a rank holds a part of the experts along their axis, and all of each."""
    axis = None if entry.experts is None else expert_axis(entry.axes)
    found = tuple(parameter.shape)
    if axis is None or len(found) != len(entry.shape):
        return False
    others = [i for i in range(len(found)) if i != axis]
    whole = all(found[i] == entry.shape[i] for i in others)
    return whole and 0 < found[axis] < entry.shape[axis]


def check_shape(parameter: torch.Tensor, entry: Entry, *, flat: bool) -> None:
    """A parameter has to be the one that the plan was made for: its numbers belong to its size.

    Args:
        parameter: The parameter; a distributed tensor knows its whole shape.
        entry: What the plan says of its name.
        flat: Whether it may be a flat part of the parameter.

    Raises:
        InvalidProblem: If its shape is another one.
    """
    found = tuple(parameter.shape)
    part = flat and len(found) == 1 and found[0] <= prod(entry.shape)
    if found == tuple(entry.shape) or part or has_some_experts(parameter, entry):
        return
    raise InvalidProblem(
        f"Parameter {entry.name!r} has shape {found}, but the plan is for a model where it has "
        f"{tuple(entry.shape)}; make the plan for the model that is trained, or shard with tensors "
        "that know their placement (fully_shard)."
    )
