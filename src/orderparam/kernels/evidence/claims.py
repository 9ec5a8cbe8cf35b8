"""The claims of the studies of kernel evolution, each a set of findings on the study's cases."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from orderparam.comparison import compare
from orderparam.errors import InvalidProblem
from orderparam.kernels.evidence.captions import VARIABLES, gamma0, method, words
from orderparam.kernels.evidence.claims_limits import limits
from orderparam.kernels.evidence.claims_neurons import single_site, two_steps
from orderparam.kernels.evidence.measures import (
    FULL,
    error,
    leading_share,
    motion,
    time_to,
    train_block,
)
from orderparam.plots.deviation import deviations
from orderparam.results import Finding, Solution, judged
from orderparam.results.pair import Pair, with_networks

GROWING = ("static-ntk", "perturbation")
"""Approximations whose errors grow with gamma0.

That of gradient independence starts from zero too, but is largest at strengths of order 1."""

SLOPE_ROOM = 0.15
"""How far the mean slope may be from -1/2: the bias of order 1/N makes it steeper."""


def full_theory(pairs: Sequence[Pair]) -> list[Finding]:
    """Networks of every case agree with the theory, where it is one without approximation."""
    found = []
    for pair in with_networks(pairs, "agreement"):
        if method(pair) not in FULL:
            continue
        assert pair.experiment is not None
        comparison = compare(pair.theory, pair.experiment)
        least = min(row.p_value for row in comparison.table)
        note = ", ".join(row.variable for row in comparison.table if row.verdict == "fail")
        expected = f"no variable rejected at family-wise level {comparison.level:g}"
        statement = f"smallest p-value of {method(pair)} against networks, {words(pair)}"
        found.append(Finding(statement, least, expected, comparison.verdict, note=note))
    return found


def widths(pairs: Sequence[Pair]) -> list[Finding]:
    """Single networks deviate from the theory by an amount that falls as N^(-1/2)."""
    measured = with_networks(pairs, "widths")
    found = []
    for name in VARIABLES:
        if not all(name in pair.theory for pair in measured):
            continue
        each = [deviations(pair, name) for pair in measured]
        slopes = [slope for slope in (d.slope() for d in each) if slope is not None]
        if len(slopes) < len(each):
            raise InvalidProblem("The claim about widths needs two widths or more; add one.")
        highest = max(slope for slope, _, _ in slopes)
        statement = f"{name}: largest slope of log deviation against log width over all cases"
        found.append(Finding(statement, highest, "below 0 in every case", judged(highest < 0)))
        values = np.array([slope for slope, _, _ in slopes])
        mean = float(values.mean())
        # A single case has no spread over cases; the half width of its interval takes its place.
        spread = (slopes[0][2] - slopes[0][1]) / 4
        se = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else spread
        holds = bool(abs(mean + 0.5) <= SLOPE_ROOM + 2 * se)
        expected = f"-0.5 within {SLOPE_ROOM} and two standard errors"
        statement = f"{name}: slope of log deviation against log width, mean over cases"
        found.append(Finding(statement, mean, expected, judged(holds), se=float(se)))
    return found


def feature_learning(pairs: Sequence[Pair]) -> list[Finding]:
    """Training is faster, and final kernels more aligned, the larger gamma0 is."""
    ordered = sorted(pairs, key=gamma0)
    lazy, found = ordered[0], []
    moved = float(motion(train_block(lazy.theory, "ntk")))
    statement = f"change of the NTK in training at the smallest strength, {words(lazy)}"
    found.append(Finding(statement, moved, "below 0.02: lazy", judged(moved < 0.02)))
    for slower, pair in itertools.pairwise(ordered):
        found.append(_faster(slower, pair, lazy))
    for name, at in (("alignment", {}), ("Phi_alignment", {"layer": -1})):
        for lower, pair in itertools.pairwise(ordered):
            found.append(_aligned(lower, pair, name, at))
    return found


def _faster(slower: Pair, pair: Pair, lazy: Pair) -> Finding:
    """The time to a tenth of the loss, against the case of next smaller strength."""
    times = [float(time_to(0.1, p.theory)) for p in (lazy, slower, pair)]
    note, holds = "", bool(times[2] < times[1])
    if pair.experiment is not None and slower.experiment is not None:
        a, b = (np.ravel(time_to(0.1, _widest(p))) for p in (slower, pair))
        holds &= bool(b.max() < a.min())
        note = f"networks {b.mean():.3g} (from {b.min():.3g} to {b.max():.3g})"
    statement = f"learning time to a tenth of the first loss, {words(pair)}"
    expected = f"below {times[1]:.3g} of {words(slower)} (lazy: {times[0]:.3g}), networks alike"
    return Finding(statement, times[2], expected, judged(holds), note=note)


def _aligned(lower: Pair, pair: Pair, name: str, at: dict[str, int]) -> Finding:
    """The final alignment, against the case of next smaller strength."""
    values, errors, ranges = [], [], []
    for p in (lower, pair):
        values.append(float(p.theory[name].isel({"time": -1, **at})))
        errors.append(float(p.theory.error(name).isel({"time": -1, **at})))
        if p.experiment is not None:
            ranges.append(p.runs(name, p.sizes[-1]).isel({"time": -1, **at}).values)
    holds = values[1] - values[0] > 3 * float(np.hypot(*errors))
    note = ""
    if len(ranges) == 2:
        holds &= bool(ranges[1].min() > ranges[0].max())
        note = f"networks {ranges[1].mean():.3f}"
    kernel = "NTK" if name == "alignment" else "last feature kernel"
    statement = f"final alignment of the {kernel} with the labels, {words(pair)}"
    expected = f"above {values[0]:.3f} of {words(lower)}, networks alike"
    return Finding(statement, values[1], expected, judged(holds), se=errors[1] or None, note=note)


def _widest(pair: Pair) -> Solution:
    """The experiment at its largest size, without missing runs."""
    assert pair.experiment is not None
    data = pair.experiment.dataset.sel({pair.size: pair.sizes[-1]})
    if "run_valid" in data:
        data = data.isel(seed=np.flatnonzero(data["run_valid"].values))
    return Solution(data)


def silent_growth(pairs: Sequence[Pair]) -> list[Finding]:
    """Feature kernels grow along one direction, the labels, before the loss falls."""
    found = []
    for pair in pairs:
        loss = pair.theory["loss"].values
        early = int(np.argmax(loss < 0.9 * loss[0])) or len(loss) - 1
        kernel = train_block(pair.theory, "Phi")
        share = leading_share(np.moveaxis(kernel, -3, 0))[-1]
        statement = (
            f"share of one direction in the growth of the last feature kernel, {words(pair)}"
        )
        least = float(np.nanmin(share[1:]))
        found.append(Finding(statement, least, "above 0.9 at every step", judged(least > 0.9)))
        A = pair.theory["Phi_alignment"].isel(layer=-1).values
        part = float((A[early] - A[0]) / (A[-1] - A[0]))
        statement = f"part of the alignment gained while 90 % of the loss remains, {words(pair)}"
        found.append(Finding(statement, part, "above 0.5: silent", judged(part > 0.5)))
    return found


def breakdown(pairs: Sequence[Pair]) -> list[Finding]:
    """Approximations leave the networks as gamma0 grows, and the full theory does not."""
    measured = with_networks(pairs, "methods")
    found = []
    for name in dict.fromkeys(map(method, measured)):
        cases = sorted((p for p in measured if method(p) == name), key=gamma0)
        errors = [error(case, "f") for case in cases]
        if name in FULL:
            worst = max(errors, key=lambda e: e.value)
            holds = all(e.verdict != "fail" for e in errors)
            statement = f"{name}: largest relative error of f over all strengths"
            expected = "within the error of the networks at every strength"
            found.append(Finding(statement, worst.value, expected, judged(holds), se=worst.se))
            continue
        last = errors[-1]
        fails = last.verdict == "fail" and last.value > 5 * last.se
        statement = f"{name}: relative error of f, {words(cases[-1])}"
        expected = "rejected, above five standard errors"
        found.append(Finding(statement, last.value, expected, judged(fails), se=last.se))
        if name not in GROWING:
            continue
        small, growth = errors[0], last.value - errors[0].value
        statement = f"{name}: growth of that error from {words(cases[0])}"
        holds = growth > 3 * float(np.hypot(small.se, last.se))
        found.append(Finding(statement, growth, "above 0 by three standard errors", judged(holds)))
    return found


CLAIMS: dict[str, Callable[[Sequence[Pair]], list[Finding]]] = {
    "full-theory": full_theory,
    "widths": widths,
    "feature-learning": feature_learning,
    "silent-growth": silent_growth,
    "breakdown": breakdown,
    "single-site": single_site,
    "two-steps": two_steps,
    "limits": limits,
}
