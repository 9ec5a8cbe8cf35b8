"""What the kernels before training say of a run that is about to start."""

import numpy as np

from orderparam.kernels.problem import KernelEvolution
from orderparam.kernels.theory.initial import kernels_at_start, stable_learning_rate
from orderparam.support.notices import notice

MANY_POSITIONS = 4096
"""Positions of all samples above which kernels between them are not formed for a look alone."""

WIDE = 100.0
"""Size of the input kernel above which inputs count as not normalised; usual ones have 1."""


def look_ahead(problem: KernelEvolution) -> tuple[list[str], float]:
    """Notes on learning rate and inputs, and the part of the points that carries the gradients.

    Warns before long work if the learning rate is above the stability limit at the start.
    """
    rows = (problem.data.count + problem.data.test_count) * problem.network.positions
    notes = _wide_inputs(problem)
    if rows > MANY_POSITIONS:
        notes.append(
            f"The stability limit of the learning rate was not computed for {rows} positions."
        )
        return notes, 1.0
    start, count = kernels_at_start(problem), problem.data.count
    limit = stable_learning_rate(start.ntk[:count, :count])
    if problem.learning_rate > limit:
        notes.append(
            f"The learning rate {problem.learning_rate:g} is above the stability limit "
            f"{limit:.3g} of the initial kernel; training may diverge."
        )
        notice(notes[-1])
    return notes, start.active


def _wide_inputs(problem: KernelEvolution) -> list[str]:
    """A note on inputs that were not normalised, as raw pixels are."""
    largest = float(np.diagonal(problem.data.gram()).max(initial=0.0))
    if largest <= WIDE:
        return []
    return [
        f"The inputs have |x|^2/D up to {largest:.3g}, where 1 is usual: divide them by "
        f"{largest**0.5:.3g} unless that is meant."
    ]
