"""Degrees of freedom of the agreement statistic, from inner products between the runs.

Both estimates, of the total variance and of its shape over the entries, are made from few runs;
what they do not know widens the law of the statistic, and never narrows it.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

# Degrees of freedom below which the shape of a covariance is taken as unknown.
_FEW = 6
_TINY = 1e-300


@dataclass(frozen=True)
class Sums:
    """Sums over the entries that entered, and the inner products between the runs."""

    deviation: float
    theory: float
    theory_variance: float
    entries: int
    mismatches: int
    gram: Float[np.ndarray, "run run"]


def degrees(
    sums: Sums,
    group: np.ndarray,
    widths: Float[np.ndarray, " width"],
    combination: Float[np.ndarray, " width"],
    replicates: int,
) -> tuple[float, float, float]:
    """`tr(Sigma)` and the degrees of freedom of numerator and denominator.

    Each width has its own size of fluctuations, estimated with `count - 1` degrees of freedom;
    their shape over the entries, `tr(A^2)/tr(A)^2`, is taken to be common and estimated from all.
    """
    members = group[:, None] == np.arange(len(widths))[None, :]
    members = members[:, members.any(axis=0)]
    inside = np.unique(group)
    counts = members.sum(axis=0)
    freedom = counts - 1.0
    shape = _shape(sums.gram, widths[group], float(np.sum(freedom)))
    sizes = np.diag(sums.gram) @ members * combination[inside] ** 2 / (counts * freedom)
    theory_freedom = max(replicates - 1.0, 1.0)
    theory = sums.theory_variance**2 * theory_freedom / (theory_freedom + 2)
    spread = float(np.sum(shape * sizes**2 / (freedom + 2 * shape)))
    uncertainty = spread + theory / theory_freedom
    trace = float(np.sum(sizes) + sums.theory_variance)
    # The square of an estimate is too large by its variance, which is taken off.
    experiment = shape * max(float(np.sum(sizes)) ** 2 - 2 * spread, 0.0)
    square = max(trace**2 - 2 * uncertainty, 0.0)
    # Cauchy-Schwarz bounds the cross term of experiment and theory.
    numerator = square / max((np.sqrt(experiment) + np.sqrt(theory)) ** 2, _TINY)
    numerator = float(np.clip(numerator, 1.0, max(sums.entries, 1)))
    return trace, numerator, float(max(square / max(uncertainty, _TINY), 1.0))


def _shape(
    gram: Float[np.ndarray, "run run"], widths: Float[np.ndarray, " run"], freedom: float
) -> float:
    """Estimate `tr(A^2)/tr(A)^2`, between 0 (many independent entries) and 1 (one direction).

    For a Wishart matrix `S` of `f` degrees of freedom, `f^2/((f-1)(f+2)) (tr(S^2) - tr(S)^2/f)` is
    an unbiased estimate of `tr(A^2)`. With few degrees of freedom the worst case is assumed.
    """
    if freedom < _FEW:
        return 1.0
    scale = np.sqrt(widths / freedom)
    common = scale[:, None] * gram * scale[None, :]
    trace = float(np.trace(common))
    if trace == 0:
        return 1.0
    own = float(np.sum(common**2)) - trace**2 / freedom
    own *= freedom**2 / ((freedom - 1) * (freedom + 2))
    # Rounding can take an estimate of one direction a little above 1, and of many to 0.
    return float(np.clip(own / max(trace**2 - 2 * own / freedom, _TINY), 1e-12, 1.0))
