"""Buffers, which no plan draws: whoever empties a model's memory loses them too."""

# pyright: reportMissingImports=false

from collections.abc import Iterator
from typing import Any

import torch

from orderparam.experts.rules.checks import ScalingWarning
from orderparam.support.notices import notice


def restore_buffers(model: torch.nn.Module) -> None:
    """Compute buffers anew where the model's own code says how.

    Models of `transformers` do in `_init_weights` (frequencies of rotary embeddings, offsets of
    routers), layers that keep running statistics in `reset_running_stats`. Parameters and random
    state stay as they are.
    """
    for owner, module in _restorable(model):
        if owner is None:
            module.reset_running_stats()
            continue
        parameters: list[Any] = list(module.parameters())
        marked = [p for p in parameters if not getattr(p, "_is_hf_initialized", False)]
        for parameter in marked:  # the initialisers of transformers leave marked tensors alone
            parameter._is_hf_initialized = True
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            owner._init_weights(module)
        for parameter in marked:
            del parameter._is_hf_initialized


def warn_of_empty_buffers(model: torch.nn.Module) -> None:
    """Warn of buffers on the meta device that `restore_buffers` would leave without values."""
    known = {id(module) for _, module in _restorable(model)}
    empty = [
        f"{name}.{buffer}".lstrip(".")
        for name, module in model.named_modules()
        if id(module) not in known
        for buffer, value in module.named_buffers(recurse=False)
        if value.is_meta
    ]
    if empty:
        notice(
            f"Buffers such as {empty[0]!r} are on the meta device, and `to_empty` leaves them "
            "without values: initialize_ draws parameters, and no code is known here that computes "
            "these. Set them yourself, or make the model again on its device.",
            ScalingWarning,
        )


def _restorable(model: torch.nn.Module) -> Iterator[tuple[Any, Any]]:
    """Modules with buffers of their own, and the model of `transformers` that they belong to."""
    owners: list[Any] = [m for m in model.modules() if callable(getattr(m, "_init_weights", None))]
    owner_of = {id(inner): owner for owner in reversed(owners) for inner in owner.modules()}
    for module in model.modules():
        if not any(True for _ in module.buffers(recurse=False)):
            continue
        if id(module) in owner_of:
            yield owner_of[id(module)], module
        elif callable(getattr(module, "reset_running_stats", None)):
            yield None, module
