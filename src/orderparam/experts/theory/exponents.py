"""Exponents of observables against size: fits and verdicts."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from orderparam.comparison.statistics import holm
from orderparam.experts.rules.plan import ScalingPlan
from orderparam.experts.theory.expectations import expectation
from orderparam.support.later import special

LAST = 3  # sizes in the fit that is judged


@dataclass(frozen=True)
class Exponent:
    """The growth of one observable at one step.

    Args:
        observable: Its name, such as `agg/base`.
        step: Number of updates before it was measured.
        slope: Mean over seeds of the slope of log2(value) against log2(size), largest sizes.
        se: Its standard error over seeds; NaN with one seed.
        low, high: Its interval (Student's t), of 95 % by itself; NaN with one seed.
        slope_all: The same slope over all sizes.
        predicted: What a scale-stable model has; NaN where nothing is predicted.
        verdict: `pass`, `fail`, `undecided` or `not judged`.
        drift: Factor by which the observable changes over the whole ladder.
        note: Why it is not judged, or judged differently.
        p_value: Probability of a slope as far outside its tolerance by chance; NaN where it is not
            judged, or nothing is known of its error.
    """

    observable: str
    step: int
    slope: float
    se: float
    low: float
    high: float
    slope_all: float
    predicted: float
    verdict: str
    drift: float
    note: str = ""
    p_value: float = math.nan


def fit(
    values: Float[np.ndarray, "seed size"], sizes: Float[np.ndarray, " size"], level: float = 0.95
) -> tuple[float, float, float, float, float]:
    """Mean slope, standard error, interval and slope over all sizes of log2 values.

    Returns:
        Slope on the largest sizes, its standard error, both ends of its interval, and the
        slope on all sizes; all NaN where a value is zero or not finite.
    """
    if not (np.isfinite(values).all() and (values > 0).all()) or len(sizes) < 2:
        return math.nan, math.nan, math.nan, math.nan, math.nan
    slopes, slopes_all = (run_slopes(values, sizes, last) for last in (LAST, len(sizes)))
    mean, count = float(slopes.mean()), len(slopes)
    if count < 2:
        return mean, math.nan, math.nan, math.nan, float(slopes_all.mean())
    se = float(slopes.std(ddof=1) / math.sqrt(count))
    half = float(special.stdtrit(count - 1, (1 + level) / 2)) * se
    return mean, se, mean - half, mean + half, float(slopes_all.mean())


def run_slopes(
    values: Float[np.ndarray, "seed size"], sizes: Float[np.ndarray, " size"], last: int = LAST
) -> Float[np.ndarray, " seed"]:
    """Least-squares slope of log2(value) against log2(size) of every run, on the last sizes.

    NaN where a value is zero, negative or not finite.
    """
    kept = values[:, -last:]
    usable = np.asarray((np.isfinite(kept) & (kept > 0)).all(axis=1))
    x = np.log2(sizes[-last:])
    centred = x - x.mean()
    y = np.log2(np.where(usable[:, None], kept, 1.0))
    return np.where(usable, y @ centred / (centred @ centred), np.nan)


def judge_all(
    found: Iterable[tuple[str, int, Float[np.ndarray, "seed size"]]],
    sizes: Float[np.ndarray, " size"],
    plan: ScalingPlan,
    level: float = 0.95,
) -> list[Exponent]:
    """Fit many observables and judge them together.

    Each is judged as by `judge`, but what fails there alone stays undecided unless Holm's rule
    rejects it, at a level that holds for all of them: with a model that keeps every size, one check
    in twenty fails anywhere, not one in twenty observables. Infinite and single runs, which
    have no error, fail as they do alone.

    Args:
        found: Name, number of updates and values of each observable.
        sizes: Scale factors.
        plan: Plan of the largest model.
        level: Probability that nothing fails by chance.
    """
    lines = [judge(name, step, values, sizes, plan, level) for name, step, values in found]
    tested = [i for i, line in enumerate(lines) if line.p_value == line.p_value]
    rejected = holm(np.array([lines[i].p_value for i in tested]), 1 - level)
    for i, certain in zip(tested, rejected, strict=True):
        if lines[i].verdict == "fail" and not certain:
            note = "; ".join(
                filter(None, (lines[i].note, f"may be one of {len(tested)} by chance"))
            )
            lines[i] = replace(lines[i], verdict="undecided", note=note)
    return lines


def judge(
    observable: str,
    step: int,
    values: Float[np.ndarray, "seed size"],
    sizes: Float[np.ndarray, " size"],
    plan: ScalingPlan,
    level: float = 0.95,
) -> Exponent:
    """Fit one observable and compare it with what is expected.

    It passes within max(0.1, 3 standard errors) of the prediction, or the wider tolerance that its
    expectation names. It fails if all of its interval, of 95 % by default, lies outside that
    tolerance, and is undecided in between: more seeds or larger sizes would tell.
    """
    expected = expectation(observable, step, plan)
    slope, se, low, high, slope_all = fit(values, sizes, level)
    verdict, note, p_value = "not judged", expected.note, math.nan
    if not np.isfinite(values).all():
        verdict, note = "fail", "not finite"
    elif math.isnan(slope):
        note = "zero at some size, so that it has no slope"
    elif expected.judged:
        error = 0.0 if math.isnan(se) else 3 * se
        off = slope - expected.predicted
        inside = -max(expected.below, error) <= off <= max(expected.above, error)
        half = 0.0 if math.isnan(se) else high - slope
        outside = off - half > expected.above or off + half < -expected.below
        verdict = "pass" if inside else "fail" if outside else "undecided"
        p_value = _chance(max(off - expected.above, -expected.below - off), values, sizes)
    drift = 2.0 ** (slope_all * math.log2(sizes[-1] / sizes[0])) if len(sizes) > 1 else math.nan
    return Exponent(
        observable,
        step,
        slope,
        se,
        low,
        high,
        slope_all,
        expected.predicted,
        verdict,
        drift,
        note,
        p_value,
    )


def _chance(
    outside: float, values: Float[np.ndarray, "seed size"], sizes: Float[np.ndarray, " size"]
) -> float:
    """Probability (Student's t, both sides) of a slope that far outside its tolerance.

    The error comes from the spread of runs within each of the sizes, pooled: few runs of several
    sizes know it better than the few slopes do. Runs of one seed at several sizes that share random
    numbers make it too large, never too small.
    """
    runs = len(values)
    if runs < 2:
        return math.nan
    if outside <= 0:
        return 1.0
    x = np.log2(sizes[-LAST:])
    logs = np.log2(values[:, -LAST:])
    variance = float(logs.var(axis=0, ddof=1).mean()) / (runs * float(((x - x.mean()) ** 2).sum()))
    freedom = logs.shape[1] * (runs - 1)
    return float(2 * special.stdtr(freedom, -outside / math.sqrt(variance))) if variance else 0.0
