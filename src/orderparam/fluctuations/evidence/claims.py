"""The claims of the studies of fluctuations, each a set of findings on the study's cases."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from orderparam.fluctuations.evidence.claims_depth import deep_linear
from orderparam.fluctuations.evidence.claims_edge import level_repulsion, self_stabilisation
from orderparam.fluctuations.evidence.claims_shift import (
    coverage,
    ensembling,
    lagging,
    mean_shift,
    width_laws,
)
from orderparam.fluctuations.evidence.measures import (
    deviation,
    gamma0,
    relative_variance,
    words,
)
from orderparam.results import Finding, judged
from orderparam.results.pair import Pair, with_networks

SHALLOW, DEEP = 0.08, 0.10
"""Largest relative deviation of an N Var, for one hidden layer and linear networks, and for deep
nonlinear ones."""

VARIANCES = ("f_nvar", "ntk_nvar")


def variances(pairs: Sequence[Pair]) -> list[Finding]:
    """N Var of ensembles of the largest width is that of the theory."""
    return [
        _agrees(pair, name, allowed(pair))
        for pair in with_networks(pairs, "variances")
        for name in VARIANCES
    ]


def allowed(pair: Pair) -> float:
    """The deviation of variances that is allowed to a case."""
    network = pair.theory.problem["evolution"]["network"]
    is_easy = network["depth"] == 1 or network["activation"] == "linear"
    return SHALLOW if is_easy else DEEP


def _agrees(pair: Pair, name: str, most: float) -> Finding:
    """A deviation below `most`; undecided where chance alone gives half of that or more."""
    width = pair.sizes[-1]
    off, chance = deviation(pair, name, width)
    note = f"chance alone: {chance:.3f}"
    verdict = judged(bool(off <= most))
    if off > most and chance > most / 2:
        verdict, note = "undecided", f"{note}; train more networks"
    quantity = name.removesuffix("_nvar")
    statement = f"relative deviation of N Var {quantity} at N = {width}, {words(pair)}"
    return Finding(statement, off, f"at most {most:g}", verdict, note=note)


def suppression(pairs: Sequence[Pair]) -> list[Finding]:
    """Variances fall with the strength of feature learning, and peaks of predictions move earlier.

    For activations that saturate; in linear networks the peak stays (docs/theory/fluctuations.md).
    """
    found = []
    for lower, pair in itertools.pairwise(sorted(pairs, key=gamma0)):
        found += _lower(lower, pair)
    return found


def _lower(lower: Pair, pair: Pair) -> list[Finding]:
    """Peak, time of the peak, last variance of a test sample and of the kernel: all fall."""
    (peak, error, when), (peak_, error_, when_) = (_peak(p) for p in (pair, lower))
    found = [
        _falls("peak of N Var f of the first train sample", pair, peak, peak_, error, error_),
        Finding(
            f"step of that peak, {words(pair)}", when, f"at most {when_:g} of {words(lower)}",
            judged(bool(when <= when_)),
        ),
    ]  # fmt: skip
    if (pair.theory["split"].values == "test").any():
        (end, error), (end_, error_) = (_last(p, "f_nvar", {"sample": -1}) for p in (pair, lower))
        statement = "last N Var f of the last test sample"
        found.append(_falls(statement, pair, end, end_, error, error_))
    first = {"sample": 0, "sample_": 0}
    values = [relative_variance(p, "ntk")[-1, 0, 0] for p in (pair, lower)]
    errors = [
        _last(p, "ntk_nvar", first)[1] / _last(p, "ntk", first)[0] ** 2 for p in (pair, lower)
    ]
    statement = "last N Var K / K^2 of the first train sample"
    return [*found, _falls(statement, pair, *map(float, values), *errors)]


def _peak(pair: Pair) -> tuple[float, float, float]:
    """Largest N Var f of the first sample, its error and its step."""
    values = pair.theory["f_nvar"].isel(sample=0).values
    error = pair.theory.error("f_nvar").isel(sample=0).values
    at = int(np.argmax(values))
    return float(values[at]), float(error[at]), float(pair.theory["time"].values[at])


def _last(pair: Pair, name: str, at: dict[str, int]) -> tuple[float, float]:
    """One entry at the last step, and its error."""
    place = {"time": -1, **at}
    return float(pair.theory[name].isel(place)), float(pair.theory.error(name).isel(place))


def _falls(
    name: str, pair: Pair, value: float, before: float, error: float, error_: float
) -> Finding:
    """A finding that a number is below that of the smaller strength by three errors."""
    holds = before - value > 3 * float(np.hypot(error, error_))
    expected = f"below {before:.4g} of the next smaller gamma0 by three errors"
    return Finding(f"{name}, {words(pair)}", value, expected, judged(bool(holds)), se=error or None)


CLAIMS: dict[str, Callable[[Sequence[Pair]], list[Finding]]] = {
    "variances": variances,
    "suppression": suppression,
    "width-laws": width_laws,
    "mean-shift": mean_shift,
    "lagging": lagging,
    "ensembling": ensembling,
    "coverage": coverage,
    "deep-linear": deep_linear,
    "self-stabilisation": self_stabilisation,
    "level-repulsion": level_repulsion,
}
