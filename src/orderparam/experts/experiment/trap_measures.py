"""Traps of mixture-of-experts training, measured on the reference model."""

# pyright: reportMissingImports=false

import math
from typing import Any

import torch

from orderparam.experts.models.builders import mlp_mixture
from orderparam.experts.models.mixture import Experts, balancing_loss
from orderparam.experts.models.tasks import cross_entropy

_UPDATES = 15
_LEFT, _PATIENCE = 0.5, 200  # share of the initial loss at which sizes are compared; most updates
_FLOOR = 1e-3
_ACTIVE, _EXPERTS, _INPUTS = 4, 16, 512


def identical_experts(size: int, seed: int, avoided: bool) -> float:
    """Share of experts that differ from the first one after some updates."""
    setup = _reference(size, seed)
    block = setup.model.block
    if not avoided:
        with torch.no_grad():
            block.router.weight.zero_()
    _train(setup, _UPDATES)
    weights = torch.cat([block.expert_in.flatten(1), block.expert_out.flatten(1)], dim=1)
    differ = (weights != weights[:1]).any(dim=1)
    return float(differ[1:].double().mean())


def tied_logits(size: int, seed: int, avoided: bool) -> float:
    """Experts that any of the inputs selects over experts of one input, before any update."""
    torch.manual_seed(seed)
    width = 32 * size
    block = Experts(width, _EXPERTS, _ACTIVE, 8, jitter=1e-3 if avoided else 0.0)
    torch.nn.init.zeros_(block.router.weight)
    with torch.no_grad():
        selected = block.selected(block.router(torch.randn(_INPUTS, width)))
    return float(selected.any(dim=0).sum()) / _ACTIVE


def schedule_floor(size: int, seed: int, avoided: bool) -> float:
    """Logarithm of the ratio of learning rates at the end, over that of the plan."""
    setup = _reference(size, seed, optimizer="adamw")
    groups = setup.plan.param_groups(setup.model, lr=10 * _FLOOR)
    optimizer = torch.optim.AdamW(groups)
    if avoided:
        factors = [0.5 * (1 + float(torch.cos(torch.tensor(torch.pi * t / 10)))) for t in range(9)]
        schedule: Any = setup.plan.schedule(optimizer, factors)
    else:
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10, eta_min=_FLOOR)
    planned = [group["planned_lr"] for group in optimizer.param_groups]
    for _ in range(10):
        optimizer.step()
        schedule.step()
    left = [group["lr"] for group in optimizer.param_groups]
    return float(_log_ratio(left) / _log_ratio(planned))


def balancing_ratio(size: int, seed: int, avoided: bool) -> float:
    """Gradient of the balancing loss at the logits over that of the task, at half the initial loss.

    Larger models train faster, and the task's gradient falls with its loss, so that all sizes are
    compared at one loss. NaN if it is not reached.
    """
    setup, half = _reference(size, seed), None
    for step in range(_PATIENCE):
        loss, ratio = _loss_and_ratio(setup, avoided)
        half = _LEFT * loss if half is None else half
        if loss <= half:
            return ratio
        _update(setup, step)
    return math.nan


def _loss_and_ratio(setup: Any, avoided: bool) -> tuple[float, float]:
    """Loss of the probe, and the root mean square of the two gradients at its logits, divided."""
    block = setup.model.block
    block.recording = True
    task = cross_entropy(setup.model(setup.probe[0]), setup.probe[1])
    logits, gates = block.tap.logits, block.tap.gates
    balance = balancing_loss(logits, gates, normalised=False)
    if avoided:
        balance = setup.plan.forward_multipliers.auxiliary_loss * balance
    gradients = [torch.autograd.grad(x, logits, retain_graph=True)[0] for x in (balance, task)]
    sizes = [float(g.double().square().mean().sqrt()) for g in gradients]
    block.recording = False
    return float(task.detach()), sizes[0] / sizes[1]


MEASURES = {
    "identical-experts": identical_experts,
    "tied-logits": tied_logits,
    "schedule-floor": schedule_floor,
    "balancing-loss": balancing_ratio,
}


def _reference(size: int, seed: int, **choices: Any) -> Any:
    """The reference model of regime III, whose experts start from one draw."""
    return mlp_mixture(size, seed, "mssp", regime="III", **choices)


def _train(setup: Any, updates: int) -> None:
    for step in range(updates):
        _update(setup, step)


def _update(setup: Any, step: int) -> None:
    inputs, labels = setup.batch(step)
    setup.optimizer.zero_grad(set_to_none=True)
    setup.loss(setup.model(inputs), labels).backward()
    setup.optimizer.step()


def _log_ratio(rates: list[float]) -> torch.Tensor:
    values = torch.tensor(rates, dtype=torch.float64).log()
    return values.max() - values.min()
