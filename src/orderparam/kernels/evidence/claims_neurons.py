"""Claims about single neurons: their distribution, and their process in the first two steps."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from orderparam.errors import InvalidProblem
from orderparam.kernels.evidence.captions import gamma0, words
from orderparam.kernels.evidence.measures import excess_kurtosis, field_block
from orderparam.kernels.theory.two_steps import first_predictions
from orderparam.results import Finding, judged
from orderparam.results.pair import Pair
from orderparam.support.later import stats

LEVEL = 1e-3
ROOM = 4.0
"""Standard errors within which a single number counts as equal, over a table of some tens."""


def single_site(pairs: Sequence[Pair]) -> list[Finding]:
    """Neurons follow the single-site law, which is Gaussian only where features do not move."""
    ordered = sorted(pairs, key=gamma0)
    if not all("h" in pair.theory for pair in pairs):
        raise InvalidProblem("The claim about single sites needs fields; set save.fields_at.")
    found = []
    for pair in ordered:
        for field in ("h", "z"):
            found += _law(pair, field)
    for pair, lazy in ((ordered[0], True), (ordered[-1], False)):
        found.append(_gaussian(pair, lazy))
    return found


def _law(pair: Pair, field: str) -> list[Finding]:
    """Distances and kurtosis of neurons and samples over all layers, last time."""
    if pair.experiment is None:
        return []
    pvalues, distances, gaps = [], [], []
    for layer in pair.theory["layer"].values.tolist():
        for time in pair.theory["field_time"].values.tolist():
            ours = field_block(pair.theory, field, layer, time)
            theirs = field_block(pair.experiment, field, layer, time)
            for a, b in zip(ours, theirs, strict=True):
                # Each side in its own units: the kernels' own fluctuations are another claim.
                test: Any = stats.ks_2samp(a / a.std(), b / b.std(), method="asymp")
                pvalues.append(float(test.pvalue))
                distances.append(float(test.statistic))
            (k, k_se), (n, n_se) = excess_kurtosis(ours), excess_kurtosis(theirs)
            gaps.append(abs(k - n) / float(np.hypot(k_se, n_se)))
    least = min(pvalues) * len(pvalues)
    statement = f"{field}: largest Kolmogorov distance of neurons from the theory, {words(pair)}"
    expected = f"explained by chance at level {LEVEL:g} over {len(pvalues)} tests"
    note = f"smallest p-value times number of tests: {min(least, 1):.2g}"
    first = Finding(statement, max(distances), expected, judged(least > LEVEL), note=note)
    statement = f"{field}: largest gap in excess kurtosis, in standard errors, {words(pair)}"
    second = Finding(statement, max(gaps), f"below {ROOM:g}", judged(max(gaps) < ROOM))
    return [first, second]


def _gaussian(pair: Pair, lazy: bool) -> Finding:
    """The largest excess kurtosis of preactivations of all layers after training."""
    time = int(pair.theory["field_time"].values[-1])
    values = [
        excess_kurtosis(field_block(pair.theory, "h", layer, time))
        for layer in pair.theory["layer"].values.tolist()
    ]
    value, se = max(values, key=lambda pair: abs(pair[0]))
    statement = f"h: largest excess kurtosis of a layer after training, {words(pair)}"
    if lazy:
        expected, holds = "below 0.1: Gaussian", abs(value) < 0.1
    else:
        expected = "beyond 0.1 by ten standard errors: not Gaussian"
        holds = abs(value) > 0.1 + 10 * se
    return Finding(statement, value, expected, judged(holds), se=se)


def two_steps(pairs: Sequence[Pair]) -> list[Finding]:
    """The theory's first two predictions are those of the random process, by quadrature."""
    found = []
    for pair in pairs:
        f = pair.theory["f"]
        if f["time"].values[:3].tolist() != [0, 1, 2]:
            raise InvalidProblem("The claim about two steps needs steps 0, 1, 2; save them all.")
        exact, coarse = first_predictions(pair.theory), first_predictions(pair.theory, nodes=36)
        note = f"quadrature accurate to {np.abs(exact - coarse).max():.1e}"
        for step in (1, 2):
            for sample in range(exact.shape[1]):
                at = {"time": step, "sample": sample}
                value = float(f.isel(at))
                se = float(pair.theory["f_se"].isel(at)) if "f_se" in pair.theory else 0.0
                # Few replicates: Student's t, and the rounding of an exact answer.
                room = ROOM * 1.5 * se + 1e-9
                statement = f"prediction of sample {sample} after {step} steps, {words(pair)}"
                expected = f"{exact[step, sample]:.6f} within six standard errors"
                holds = bool(abs(value - exact[step, sample]) < room)
                found.append(Finding(statement, value, expected, judged(holds), se=se, note=note))
    return found
