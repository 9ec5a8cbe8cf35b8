"""Forward multipliers of Hugging Face models, kept with the model."""

# pyright: reportMissingImports=false

from typing import Any

from orderparam.errors import InvalidProblem, UnsupportedCombination
from orderparam.experts.adapters.pytorch.multiply import multiply_output, multiply_scaling
from orderparam.experts.adapters.pytorch.plan import TorchPlan
from orderparam.experts.adapters.pytorch.restored import STORED, factors_of
from orderparam.support.arguments import positive

_ATTENTION = ("self_attn", "attn")
_BRANCHES = (*_ATTENTION, "mlp")


def apply_forward_multipliers(
    model: Any, plan: TorchPlan | None = None, base_config: Any = None
) -> list[Any]:
    """Put a plan's forward multipliers into a model of a known family.

    Attention scales become those of the base times the multiplier; outputs of attention and of
    feed-forward layers are multiplied on each residual branch, and the logits at the head, by
    hooks. The weight of the balancing loss (`router_aux_loss_coef`) becomes the base's times the
    multiplier. A second call changes nothing.

    Factors are kept in the configuration (`config.forward_multipliers`) and in the state. A model
    that `from_pretrained` makes has no hooks: it reports the state's entries as unexpected, and
    `apply_forward_multipliers(model)`, without a plan, puts back what the configuration holds.

    Args:
        model: The model, before it is compiled or wrapped, after `to_empty`.
        plan: Its plan; what the configuration holds if `None`.
        base_config: Configuration of the base model, needed with a plan.

    Returns:
        Handles of the hooks; `handle.remove()` takes one away.

    Raises:
        InvalidProblem: Without a plan, if the configuration holds no multipliers.
        UnsupportedCombination: If the model's code has no place for a multiplier that is not 1.
    """
    factors = _stored(model) if plan is None else factors_of(plan)
    if plan is not None and base_config is None:
        raise InvalidProblem(
            "Argument `base_config` is missing; give the configuration of the base model, whose "
            "weight of the balancing loss is scaled."
        )
    _check_places(model, factors, 1.0 if plan is None else plan.forward_multipliers.aggregation)
    if plan is not None:
        _balance(model, plan, base_config)
    handles = []
    for name, module in model.named_modules():
        last = name.rpartition(".")[2]
        if last in _ATTENTION and hasattr(module, "scaling"):
            multiply_scaling(module, factors["attention"])
        key = "residual" if last in _BRANCHES else "logits" if last == "lm_head" else None
        if key is not None and (factors[key] != 1.0 or hasattr(module, "forward_multiplier")):
            handles.append(multiply_output(module, factors[key]))
    setattr(model.config, STORED, factors)
    return handles


def _stored(model: Any) -> dict[str, float]:
    """The factors in a configuration."""
    found: Any = getattr(model.config, STORED, None)
    known = ("attention", "residual", "logits")
    if not isinstance(found, dict) or any(key not in found for key in known):
        raise InvalidProblem(
            f"The configuration of the model holds no {STORED}, because none were applied before "
            "it was saved; give the plan and the base's configuration."
        )
    return {key: positive(STORED, found[key]) for key in known}


def _balance(model: Any, plan: TorchPlan, base_config: Any) -> None:
    """Scale the weight of the balancing loss, in the model and in its configuration."""
    weight = getattr(base_config, "router_aux_loss_coef", None)
    if weight is not None:
        scaled = weight * plan.forward_multipliers.auxiliary_loss
        model.router_aux_loss_coef = model.config.router_aux_loss_coef = scaled


def _check_places(model: Any, factors: dict[str, float], aggregation: float) -> None:
    """Refuse a multiplier that the model's code has no place for."""
    if aggregation != 1.0:
        raise UnsupportedCombination(
            f"The sum over experts would have to be multiplied by {aggregation:.4g}, for which "
            "models of transformers have no place; use gates that are normalised, or write the "
            "factor into the model."
        )
    places = [
        module
        for name, module in model.named_modules()
        if name.rpartition(".")[2] in _ATTENTION and hasattr(module, "scaling")
    ]
    if factors["attention"] != 1.0 and not places:
        raise UnsupportedCombination(
            "The scale of attention would have to change, but no attention module of the model has "
            "an attribute `scaling`; keep `head_dim`, or scale it in the model."
        )
