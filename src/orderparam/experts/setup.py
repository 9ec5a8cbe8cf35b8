"""What a check needs of a model of one size: the model, its plan, its optimiser and its data."""

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orderparam.errors import InvalidProblem
from orderparam.experts.rules.plan import ScalingPlan

BUILT_IN = ("mlp-mixture", "transformer-mixture")


@dataclass(frozen=True)
class Setup:
    """One model of a ladder, ready to be trained.

    Args:
        model: A PyTorch module, initialised by its plan.
        plan: The plan.
        optimizer: Made from the plan's groups.
        batch: Inputs and labels of a training step.
        loss: Mean loss from outputs and labels.
        probe: Inputs and labels on which everything is measured; the same at every size.
        test: Held-out inputs and labels, for learning-rate transfer.
        experts: Blocks of experts by the prefix of their parameters' names; modules like
            `orderparam.experts.models.mixture.Experts` that record a tap.
    """

    model: Any
    plan: ScalingPlan
    optimizer: Any
    batch: Callable[[int], tuple[Any, Any]]
    loss: Callable[[Any, Any], Any]
    probe: tuple[Any, Any]
    test: tuple[Any, Any] | None = None
    experts: Mapping[str, Any] = field(default_factory=dict)


Builder = Callable[..., Setup]


def find_builder(name: str) -> Builder:
    """A builder by name: a built-in reference model, or `module:function`.

    Args:
        name: `mlp-mixture`, `transformer-mixture`, or an import path; modules in the current folder
            are found.

    Raises:
        InvalidProblem: If there is none.
    """
    from orderparam.experts.adapters.extras import needed

    needed("torch", "torch")
    if name in BUILT_IN:
        builders = importlib.import_module("orderparam.experts.models.builders")
        return builders.mlp_mixture if name == BUILT_IN[0] else builders.transformer_mixture
    module, colon, function = name.partition(":")
    if not (colon and module and function):
        raise InvalidProblem(
            f"The model {name!r} is neither {' nor '.join(BUILT_IN)} nor an import path; write "
            "module:function for a function build(size, seed, parameterization) -> Setup."
        )
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise InvalidProblem(
            f"The builder {name!r} cannot be imported ({error}); check its module and function."
        ) from error


def run_list(seeds: int | Sequence[int]) -> list[int]:
    """The seed of each run, from their number or given one by one.

    Raises:
        InvalidProblem: If there is no run, or a seed is not a distinct integer of at least 0.
    """
    if isinstance(seeds, bool):
        runs: list[int] = []
    else:
        runs = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not runs or len(set(runs)) < len(runs) or any(not isinstance(s, int) or s < 0 for s in runs):
        raise InvalidProblem(
            f"Argument `seeds` must be a number of runs of at least 1, or distinct seeds, but is "
            f"{seeds!r}; use 3."
        )
    return runs
