"""The agreement statistic: one number that says whether runs and theory differ by chance.

With three or more widths the limit of the runs is the intercept of a weighted regression on 1/N,
entry by entry; it is a fixed combination of the runs, so its covariance over the entries is a
Gram form of the residuals, `A = sum_r v_r v_r^T`, and every trace that the test needs comes from
the small matrix of inner products between the residuals of the runs.

With four to eight seeds at three widths a right theory is rejected at level 0.05 in 4 to 7 % of
cases, but at level 0.001 in 0.1 to 0.6 %: few runs do not tell the far tail. More seeds do.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from orderparam.comparison.freedom import Sums, degrees
from orderparam.support.later import special

_CHUNK = 1 << 16
# Runs whose spread is below this fraction of the largest value are equal up to rounding.
_EQUAL = 1e-14


@dataclass(frozen=True)
class Agreement:
    """Result of one test.

    Attributes:
        rms_deviation: Root mean square over the entries of (limit of the runs - theory).
        combined_se: Root mean square over the entries of the standard error of that difference.
        scale: Root mean square of the theory over the same entries.
        z: One-sided normal score of `p_value`.
        p_value: Probability of a deviation at least as large under a correct theory.
        entries: Number of entries that entered.
        mismatches: Entries without any error whose values differ.
        extrapolated: Whether the runs were extrapolated in 1/N (three or more widths).
    """

    rms_deviation: float
    combined_se: float
    scale: float
    z: float
    p_value: float
    entries: int
    mismatches: int
    extrapolated: bool


def agreement(
    theory: Float[np.ndarray, " entry"],
    theory_error: Float[np.ndarray, " entry"] | None,
    runs: Float[np.ndarray, "width seed entry"],
    valid: Bool[np.ndarray, "width seed"],
    widths: Float[np.ndarray, " width"],
    *,
    replicates: int = 8,
    rounding: float = 1e-12,
) -> Agreement:
    """Test whether the runs, taken to infinite width, agree with the theory.

    The statistic is `mean d^2` with `d = limit - theory`. Under a correct theory it is a quadratic
    form of mean `tr(Sigma)/n`, `Sigma = A + B`, whose law is approximated by a scaled F with
    `nu = tr(Sigma)^2 / tr(Sigma^2)` degrees of freedom in the numerator (Satterthwaite) and those
    of the estimate of `tr(Sigma)` in the denominator. The theory's errors `B` are taken as fully
    correlated over the entries, the worst case.

    Args:
        theory: Values of the theory.
        theory_error: Their standard errors, or `None` for exact values.
        runs: Values of the runs; what is not `valid` is ignored.
        valid: Which runs exist; every width needs none, or at least two.
        widths: Width of each row, distinct and positive.
        replicates: Number of replicates behind `theory_error`.
        rounding: Relative difference that is allowed where neither side has any spread.

    Returns:
        The statistic and its parts.

    Cost:
        Time `entries x runs^2`, extra memory `65536 x runs`; nothing is of size entries squared.
    """
    counts = valid.sum(axis=1)
    combination = limit_weights(widths, counts)
    used = valid & (combination != 0)[:, None]
    group = np.nonzero(used)[0]
    sums = _accumulate(theory, theory_error, runs, used, combination, rounding)
    extrapolated = int(np.count_nonzero(counts)) >= 3
    if sums.entries == 0 and sums.mismatches == 0:
        return Agreement(0.0, 0.0, 0.0, 0.0, 1.0, 0, 0, extrapolated)
    trace, numerator, denominator = degrees(sums, group, widths, combination, replicates)
    if sums.mismatches:
        p_value = 0.0
    else:
        p_value = float(special.fdtrc(numerator, denominator, sums.deviation / trace))
    return Agreement(
        rms_deviation=float(np.sqrt(sums.deviation / sums.entries)),
        combined_se=float(np.sqrt(trace / sums.entries)),
        scale=float(np.sqrt(sums.theory / sums.entries)),
        z=float(-special.ndtri(p_value)),
        p_value=p_value,
        entries=sums.entries,
        mismatches=sums.mismatches,
        extrapolated=extrapolated,
    )


def limit_weights(
    widths: Float[np.ndarray, " width"], counts: np.ndarray
) -> Float[np.ndarray, " width"]:
    """Weights `c` such that `sum_w c_w mean_w` estimates the value at infinite width.

    Three or more widths with runs: intercept of the regression of the means on 1/N with weights
    `count x N`, since the variance of a mean is proportional to `1/(count x N)`. Fewer: the widest.
    """
    weights = np.zeros(len(widths))
    present = np.flatnonzero(counts)
    if len(present) < 3:
        weights[present[np.argmax(widths[present])]] = 1.0
        return weights
    inverse = widths[present].min() / widths[present]
    design = np.stack([np.ones_like(inverse), inverse], axis=1)
    root = np.sqrt(counts[present] * widths[present])
    weights[present] = np.linalg.pinv(design * root[:, None])[0] * root
    return weights


def holm(p_values: Float[np.ndarray, " row"], level: float) -> Bool[np.ndarray, " row"]:
    """Which rows are rejected at family-wise `level` (Holm 1979): step down from the smallest p."""
    order = np.argsort(p_values, kind="stable")
    below = p_values[order] <= level / np.arange(len(p_values), 0, -1)
    rejected = np.zeros(len(p_values), dtype=bool)
    rejected[order] = np.logical_and.accumulate(below)
    return rejected


def _accumulate(
    theory: Float[np.ndarray, " entry"],
    theory_error: Float[np.ndarray, " entry"] | None,
    runs: Float[np.ndarray, "width seed entry"],
    used: Bool[np.ndarray, "width seed"],
    combination: Float[np.ndarray, " width"],
    rounding: float,
) -> Sums:
    """Go through the entries in blocks and sum what the test needs."""
    group = np.nonzero(used)[0]
    counts = used.sum(axis=1)[group]
    centre = np.eye(len(group)) - (group[:, None] == group[None, :]) / counts
    weight = combination[group] ** 2 / (counts * (counts - 1))
    largest = float(np.max(np.abs(theory), initial=0.0))
    totals = np.zeros(5)
    gram = np.zeros_like(centre)
    for start in range(0, theory.size, _CHUNK):
        block = slice(start, start + _CHUNK)
        values = runs[:, :, block][used].astype(np.float64)
        expected = theory[block].astype(np.float64)
        variance = np.zeros_like(expected) if theory_error is None else theory_error[block] ** 2.0
        deviation = (combination[group] / counts) @ values - expected
        residuals = centre @ values
        spread = np.sqrt(weight @ residuals**2 + variance)
        certain = spread <= _EQUAL * max(largest, float(np.max(np.abs(values), initial=0.0)))
        wrong = certain & (np.abs(deviation) > rounding * largest)
        kept = ~certain | wrong
        gram += residuals[:, kept] @ residuals[:, kept].T
        totals += [
            np.sum(deviation[kept] ** 2),
            np.sum(expected[kept] ** 2),
            np.sum(variance[kept]),
            np.count_nonzero(kept),
            np.count_nonzero(wrong),
        ]
    deviation, squared, variance, entries, mismatches = totals.tolist()
    return Sums(deviation, squared, variance, int(entries), int(mismatches), gram)
