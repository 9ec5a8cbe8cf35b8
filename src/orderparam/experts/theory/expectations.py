"""What a scale-stable model gives for each observable, and how far from it is no failure."""

import math
from dataclasses import dataclass

from orderparam.experts.rules.plan import ScalingPlan

TOLERANCE = 0.1


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
