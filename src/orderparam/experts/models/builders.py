"""Ladders of the reference models for coordinate checks and learning-rate transfer."""

# pyright: reportMissingImports=false

import warnings
from typing import Any

import torch

from orderparam.experts.adapters.pytorch.plan import TorchPlan, torch_plan
from orderparam.experts.models.ladders import MLP, TRANSFORMER, grown, rule_regime
from orderparam.experts.models.mlp import MLP_RULES, MLPMixture, mlp_base_std, natural_rates
from orderparam.experts.models.setup import Setup
from orderparam.experts.models.tasks import Task, cross_entropy, digits_task, token_task
from orderparam.experts.models.transformer import TRANSFORMER_RULES, TransformerMixture
from orderparam.experts.rules.checks import ScalingWarning
from orderparam.experts.rules.shape import Shape
from orderparam.support.arguments import one_of

# Somewhat below the rate at which the base learns best in 60 steps.
_FACTOR = {"sgd": 1.5, "adamw": 0.05}
_TASKS: dict[str, Task] = {}


def mlp_mixture(
    size: int,
    seed: int,
    parameterization: str,
    *,
    regime: str = "II",
    optimizer: str = "sgd",
    factor: float | None = None,
    sharing: str | None = None,
    batch_size: int = 64,
    zero_head: bool = False,
    eps: float = 1e-8,
) -> Setup:
    """The reference model on digits, at `size` times its base of the regime.

    Args:
        size: Scale factor, at least 1.
        seed: Of initial values and of the order of the data.
        parameterization: As in `Recipe`.
        regime: `I`, `II`, `III`, or `between` for experts whose width grows as a root.
        optimizer: `sgd` or `adamw`.
        factor: Multiplies the natural learning rates; 1.5 for SGD and 0.05 for Adam if `None`.
        sharing: As in `Recipe`.
        batch_size: Samples of a training step.
        zero_head: Whether the head starts at zero.
        eps: Epsilon of Adam at the base.
    """
    base, optimizer = MLP.base(regime), one_of("optimizer", optimizer, MLP.optimizers)
    target = grown(base, regime, size)
    plan_of: dict[str, Any] = {
        "regime": rule_regime(regime),
        "parameterization": parameterization,
        "optimizer": optimizer,
    }
    if parameterization == "mssp":
        plan_of["sharing"] = sharing
    with torch.device("meta"):  # the plan needs names and shapes alone
        empty = MLPMixture(target)
    plan = _quiet_plan(empty, MLP_RULES, base, target, zero_head=zero_head, **plan_of)
    model = MLPMixture(target, aggregation=_aggregation(plan))
    plan.initialize_(model, mlp_base_std(base), seed=seed)
    rates = natural_rates(base, optimizer, _FACTOR[optimizer] if factor is None else factor)
    task = _task("digits")
    return Setup(
        model=model,
        plan=plan,
        optimizer=_optimizer(plan, model, optimizer, rates, eps),
        batch=lambda step: task.batch(step, batch_size, seed),
        loss=cross_entropy,
        probe=(task.inputs[::8], task.labels[::8]),
        test=(task.test_inputs, task.test_labels),
        experts={"block": model.block},
    )


def transformer_mixture(
    size: int,
    seed: int,
    parameterization: str,
    *,
    regime: str = "II",
    rate: float = 0.01,
    factor: float = 1.0,
    batch_size: int = 16,
    sharing: str | None = None,
) -> Setup:
    """The small transformer on a Markov chain of tokens, with AdamW.

    Args:
        size: Scale factor, at least 1.
        seed: Of initial values and of the order of the data.
        parameterization: As in `Recipe`.
        regime: `I`, `II` or `III`.
        rate: Learning rate of the base.
        factor: Multiplies it, as a sweep over learning rates does.
        batch_size: Sequences of a training step.
        sharing: As in `Recipe`.
    """
    base = TRANSFORMER.base(regime)
    target = grown(base, regime, size)
    plan_of: dict[str, Any] = {
        "regime": rule_regime(regime),
        "parameterization": parameterization,
    }
    if parameterization == "mssp":
        plan_of["sharing"] = sharing
    with torch.device("meta"):
        empty = TransformerMixture(target)
    plan = _quiet_plan(empty, TRANSFORMER_RULES, base, target, **plan_of)
    model = TransformerMixture(target, aggregation=_aggregation(plan))
    plan.initialize_(model, {"head": 1 / base.width, "input": 1.0}, seed=seed)
    task = _task("tokens")
    return Setup(
        model=model,
        plan=plan,
        optimizer=_optimizer(plan, model, "adamw", rate * factor, 1e-8),
        batch=lambda step: task.batch(step, batch_size, seed),
        loss=cross_entropy,
        probe=(task.inputs[:16], task.labels[:16]),
        test=(task.test_inputs, task.test_labels),
        experts={f"blocks.{i}.experts": block.experts for i, block in enumerate(model.blocks)},
    )


def _aggregation(plan: TorchPlan) -> float:
    """The factor of the sum over experts: 1 / K_0 in the base's code, times the multiplier.

    Standard and tangent-kernel parameterizations have no multiplier; their blocks divide by K.
    """
    if plan.recipe.parameterization in ("sp", "sp_lr1n", "ntp"):
        return 1 / plan.target.sizes["active"]
    return plan.forward_multipliers.aggregation / plan.base.sizes["active"]


def _task(name: str) -> Task:
    """Data, made once for all models of a ladder."""
    if name not in _TASKS:
        _TASKS[name] = digits_task() if name == "digits" else token_task()
    return _TASKS[name]


def _quiet_plan(model: Any, rules: Any, base: Shape, target: Shape, **choices: Any) -> TorchPlan:
    """A plan without warnings: these ladders are small on purpose."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ScalingWarning)
        return torch_plan(model, rules, base=base, target=target, **choices)


def _optimizer(plan: TorchPlan, model: Any, name: str, lr: Any, eps: float) -> Any:
    """The optimiser of a plan."""
    groups = plan.param_groups(model, lr=lr, eps=eps)
    return torch.optim.SGD(groups) if name == "sgd" else torch.optim.AdamW(groups)
