"""What a check needs of a model of one size: the model, its plan, its optimiser and its data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orderparam.experts.rules.plan import ScalingPlan
from orderparam.support.arguments import integer, integers, refuse, several
from orderparam.support.memory import require_numbers


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


def run_list(seeds: int | Sequence[int]) -> list[int]:
    """The seed of each run, from their number or given one by one.

    Raises:
        InvalidProblem: If there is no run, or a seed is not a distinct integer of at least 0.
    """
    if several(seeds) is None:
        count = integer("seeds", seeds, advice="use 3, or give a list of seeds")
        require_numbers("seeds", count)
        return list(range(count))
    runs = integers("seeds", seeds, least=0)
    if len(set(runs)) < len(runs):
        raise refuse("seeds", seeds, "a number of runs, or distinct seeds", "use 3")
    return runs
