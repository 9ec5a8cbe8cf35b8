"""Sweeps of learning rates: every size trained at every rate, with its held-out loss."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from orderparam.experts.models.setup import Builder, built, code_of, run_list
from orderparam.experts.rules.recipe import PARAMETERIZATIONS
from orderparam.experts.theory.optimum import NEIGHBOURS
from orderparam.support.arguments import (
    function,
    integer,
    integers,
    one_of,
    positive,
    reals,
    refuse,
    truth,
)
from orderparam.support.extras import needed
from orderparam.support.progress import progress as progress_bar

_DIVERGED = 10.0  # times the loss before training


def sweep_losses(
    builder: Builder,
    sizes: Sequence[int],
    factors: Sequence[float],
    steps: int,
    seeds: int | Sequence[int],
    parameterization: str,
    progress: bool,
    **settings: Any,
) -> Float[np.ndarray, "size factor seed"]:
    """Held-out losses, infinite where a run diverged; arguments as in `learning_rate_transfer`."""
    function("builder", builder, "size, seed, parameterization and factor")
    sizes, factors = checked_grid(sizes, factors)
    steps, runs = integer("steps", steps), run_list(seeds)
    parameterization = one_of("parameterization", parameterization, PARAMETERIZATIONS)
    progress = truth("progress", progress)
    needed("torch", "torch")
    loss = np.full((len(sizes), len(factors), len(runs)), np.inf)
    with progress_bar(loss.size, "learning-rate transfer", progress) as advance:
        for i, j, run in np.ndindex(*loss.shape):
            setup = built(
                builder, sizes[i], runs[run], parameterization, factor=factors[j], **settings
            )
            with code_of(builder):
                loss[i, j, run] = _trained(setup, steps)
            advance()
    return loss


def _trained(setup: Any, steps: int) -> float:
    """Held-out loss after training, infinite if it is not finite or ten times that of the start."""
    import torch  # pyright: ignore[reportMissingImports]

    def held_out() -> float:
        inputs, labels = setup.test or setup.probe
        with torch.no_grad():
            return float(setup.loss(setup.model(inputs), labels))

    start = held_out()
    for step in range(steps):
        inputs, labels = setup.batch(step)
        setup.optimizer.zero_grad(set_to_none=True)
        loss = setup.loss(setup.model(inputs), labels)
        loss.backward()
        setup.optimizer.step()
        if not math.isfinite(float(loss.detach())):
            return math.inf
    final = held_out()
    return final if final < _DIVERGED * start else math.inf


def checked_grid(sizes: Any, factors: Any) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Sizes and factors that can show an optimum."""
    chosen, rates = integers("sizes", sizes), reals("factors", factors, positive)
    if len(chosen) < 2 or chosen != sorted(set(chosen)):
        raise refuse("sizes", sizes, "two or more increasing integers", "give more")
    if len(rates) < NEIGHBOURS or rates != sorted(set(rates)):
        raise refuse("factors", factors, "three or more increasing numbers", "give more")
    return tuple(chosen), tuple(rates)
