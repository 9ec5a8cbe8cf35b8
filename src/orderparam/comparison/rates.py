"""Fractions of events that no run has seen: the error that counting alone explains."""

import numpy as np
from jaxtyping import Float

from orderparam.comparison.alignment import Aligned
from orderparam.comparison.statistics import limit_weights


def counting_error(aligned: Aligned) -> Float[np.ndarray, " entry"] | None:
    """Standard errors of the theory, with those of counting where the runs show no spread.

    Runs that all count 0 events have an empirical spread of 0, which would make any rate other
    than 0 infinitely many standard errors wrong. If the theory's rate p is right, the mean over
    `count` runs of `trials` trials each has the variance `p (1 - p) / (trials count)`; a size whose
    runs are all equal enters with that, times the square of its weight in the limit. With no event
    in N trials a rate of `c/N` is then `sqrt(c)` standard errors away (the exact probability of no
    event is `exp(-c)`).

    Returns:
        `aligned.theory_error` where the variable counts no trials.
    """
    if aligned.trials is None:
        return aligned.theory_error
    counts = aligned.valid.sum(axis=1)
    weights = limit_weights(aligned.widths, counts)
    rate = np.clip(aligned.theory, 0.0, 1.0)
    variance = np.zeros_like(rate) if aligned.theory_error is None else aligned.theory_error**2
    for i in np.flatnonzero(weights):
        runs = aligned.runs[i][aligned.valid[i]]
        still = runs.min(axis=0) == runs.max(axis=0)
        variance = variance + np.where(
            still, weights[i] ** 2 * rate * (1 - rate) / (aligned.trials[i] * counts[i]), 0.0
        )
    return np.sqrt(variance)
