"""What a check needs of a model of one size: the model, its plan, its optimiser and its data."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from orderparam.errors import InvalidProblem, OrderParamError
from orderparam.experts.rules.plan import ScalingPlan
from orderparam.support.arguments import (
    instance,
    integer,
    integers,
    nearest,
    one_line,
    refuse,
    several,
)
from orderparam.support.keywords import KnownKeywords
from orderparam.support.memory import require_numbers


@dataclass(frozen=True)
class Setup(KnownKeywords):
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


def built(builder: Builder, size: int, seed: int, parameterization: str, **settings: Any) -> Setup:
    """One model of a builder, which is code of a user.

    Raises:
        InvalidProblem: If it fails, has no such argument, or gives something else than a `Setup`.
    """
    with code_of(builder):
        known = inspect.signature(builder).parameters
    free = any(p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in known.values())
    for name in settings:
        if not free and name not in known:
            raise InvalidProblem(
                f"The builder {_called(builder)} has no argument `{name}`; it has "
                f"{', '.join(known)}.{nearest(name, known)}"
            )
    with code_of(builder):
        made = builder(size, seed, parameterization, **settings)
    return instance("builder", made, Setup, "let the builder return one")


@contextmanager
def code_of(builder: Builder) -> Iterator[None]:
    """Turn what fails in a builder, or in a model that it made, into one sentence.

    Raises:
        InvalidProblem: In place of any error that is not the library's own.
    """
    try:
        yield
    except OrderParamError:
        raise
    except Exception as error:
        raise InvalidProblem(
            f"The builder {_called(builder)} failed ({type(error).__name__}: {one_line(error)}); "
            "correct it, or the model that it makes; called from Python it shows where."
        ) from error


def _called(builder: Builder) -> str:
    """The name of a builder in messages."""
    return repr(getattr(builder, "__name__", "builder"))


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
