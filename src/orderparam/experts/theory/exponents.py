"""Exponents of observables against size: fits, what theory expects, and verdicts."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from orderparam.experts.rules.plan import ScalingPlan

TOLERANCE = 0.1
LAST = 3  # sizes in the fit that is judged


@dataclass(frozen=True)
class Exponent:
    """The growth of one observable at one step.

    Args:
        observable: Its name, such as `agg/base`.
        step: Number of updates before it was measured.
        slope: Mean over seeds of the slope of log2(value) against log2(size), largest sizes.
        se: Its standard error over seeds; NaN with one seed.
        low, high: Its interval (Student's t); NaN with one seed.
        slope_all: The same slope over all sizes.
        predicted: What a scale-stable model has; NaN where nothing is predicted.
        verdict: `pass`, `fail`, `undecided` or `not judged`.
        drift: Factor by which the observable changes over the whole ladder.
        note: Why it is not judged, or judged differently.
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


@dataclass(frozen=True)
class Expectation:
    """What is expected of one observable.

    Args:
        predicted: Slope; NaN where nothing is predicted.
        judged: Whether a deviation fails the check.
        below: Allowed deviation to smaller slopes.
        above: Allowed deviation to larger slopes.
        note: Why, in words.
    """

    predicted: float
    judged: bool = True
    below: float = TOLERANCE
    above: float = TOLERANCE
    note: str = ""


def expectation(observable: str, step: int, plan: ScalingPlan) -> Expectation:
    """What a scale-stable model gives, and where a deviation is known not to be a failure.

    The prediction is 0: every activation, update and atomic term stays of order one. Gradients
    follow the exponent of epsilon. With MSSP outputs of single experts grow as the square root of
    the number of experts that start from different draws.

    Args:
        observable: Name of the observable.
        step: Number of updates.
        plan: The plan of the largest model.
    """
    family, _, name = observable.partition("/")
    if family in ("loss", "router", "faithful") or name in ("psi_spread", "output"):
        return Expectation(math.nan, judged=False, note="reported, not judged")
    if family == "grad":
        return _gradient(name, step, plan)
    n = plan.target.width / plan.base.width
    if observable in ("act/o", "prop/expert_out"):
        grows = _single_expert(plan)
        return Expectation(grows, note="grows by design" if grows else "")
    if step <= 1 and name in ("psi", "router") and (plan.regime == "I" or family == "eff"):
        return Expectation(0.0, judged=False, note="the router aligns in the first steps")
    if name == "cross" and step <= 1:
        return Expectation(0.0, judged=False, note="transient in the first steps")
    if observable in ("act/head", "prop/head", "eff/head"):
        return Expectation(0.0, judged=step > 1, note="" if step > 1 else "transient at the start")
    if observable in ("agg/eff", "eff/expert_out") and n > 1:
        return Expectation(0.0, below=0.25, note="falls slowly at finite size")
    return Expectation(0.0)


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
    half = float(stats.t.ppf((1 + level) / 2, count - 1)) * se
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
    verdict, note = "not judged", expected.note
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
    drift = 2.0 ** (slope_all * math.log2(sizes[-1] / sizes[0])) if len(sizes) > 1 else math.nan
    return Exponent(
        observable, step, slope, se, low, high, slope_all, expected.predicted, verdict, drift, note
    )


def _single_expert(plan: ScalingPlan) -> float:
    """Exponent of what a single expert gives: std of `expert_out` times the root of its fan-in."""
    entries = [entry for entry in plan.entries if entry.role == "expert_out"]
    n = plan.target.width / plan.base.width
    if not entries or n == 1:
        return 0.0
    spread = entries[0].std * math.sqrt(entries[0].ratios["e"])
    return round(math.log(spread) / math.log(n), 9)


def _gradient(role: str, step: int, plan: ScalingPlan) -> Expectation:
    """Gradients follow epsilon once features have aligned."""
    entries = [entry for entry in plan.entries if entry.role == role]
    n = plan.target.width / plan.base.width
    if not entries or n == 1:
        return Expectation(math.nan, judged=False, note="no growth of width")
    predicted = math.log(entries[0].gradient) / math.log(n)
    early = step <= (10 if role == "router" else 1)
    note = "gradients need some steps to align" if early else ""
    return Expectation(predicted, not early, 0.15, 0.15, note)
