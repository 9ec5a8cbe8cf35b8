"""Claims about means: exponents in the width, mean shifts, and what ensembling leaves of them."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from orderparam.comparison import compare
from orderparam.errors import InvalidProblem
from orderparam.fluctuations.analysis.exponents import gaussianity, width_exponents
from orderparam.fluctuations.evidence.measures import runs_of, words
from orderparam.results import Finding, judged
from orderparam.results.pair import Pair, with_networks

SCATTER_ROOM, SHIFT_ROOM = 0.03, 0.1
"""How far the exponents may be from -1 and from -2."""

SHIFTS = ("f_shift", "ntk_shift", "loss_shift")
ENSEMBLE = 8
SHIFT_OFF = 0.15
"""Largest relative deviation of a shift of losses at finite width; its standard error is 0.05."""

TWO_DEVIATIONS, COVERAGE_ROOM = 0.954, 0.02
"""Part of a Gaussian within two standard deviations, and how far the skewness of narrow networks
may move it."""


def width_laws(pairs: Sequence[Pair]) -> list[Finding]:
    """Mean square deviations fall as 1/N, squared mean deviations as 1/N^2, skewness as N^-1/2."""
    found = []
    measured = with_networks(pairs, "widths")
    for pair in measured:
        assert pair.experiment is not None
        fit = width_exponents(pair.theory, pair.experiment, variable="f")
        for name, what, power, room in (
            ("scatter", "mean square deviation", -1, SCATTER_ROOM),
            ("shift", "squared mean deviation", -2, SHIFT_ROOM),
        ):
            slope, se = (float(fit[f"{name}_exponent{end}"]) for end in ("", "_se"))
            note = ""
            if name == "shift":
                note = f"without control variate drowned above N = {fit.drowned_width[-1]:.0f}"
            statement = f"exponent in N of the {what} of f, {words(pair)}"
            expected = f"{power} within {room}"
            verdict = "undecided" if np.isnan(slope) else judged(bool(abs(slope - power) <= room))
            if verdict == "fail" and se > room / 2:
                verdict, note = "undecided", "too few networks; train more"
            found.append(Finding(statement, slope, expected, verdict, se=se, note=note))
    return [*found, _gaussian(measured[0])]  # before training, when no strength matters


def _gaussian(pair: Pair) -> Finding:
    """The skewness of the first sample's kernel at the start, taken to infinite width."""
    assert pair.experiment is not None
    moments = gaussianity(pair.experiment, variable="ntk").isel(time=0, sample=0, sample_=0)
    x, y, error = moments["width"].values ** -0.5, moments["skewness"], moments["skewness_se"]
    design = np.stack([np.ones(len(x)), x], axis=1) / error.values[:, None]
    inverse = np.linalg.inv(design.T @ design)
    intercept, slope = inverse @ design.T @ (y / error).values
    se = float(np.sqrt(inverse[0, 0]))
    statement = f"skewness of K before training, extrapolated in N^-1/2, {words(pair)}"
    note = f"slope {slope:.2f} ± {np.sqrt(inverse[1, 1]):.2f}"
    holds = abs(intercept) < 3.5 * se
    expected = "0 within 3.5 standard errors"
    return Finding(statement, float(intercept), expected, judged(bool(holds)), se=se, note=note)


def mean_shift(pairs: Sequence[Pair]) -> list[Finding]:
    """Shifts of ensembles, extrapolated in 1/N, are those of the theory."""
    found = []
    for pair in with_networks(pairs, "shifts"):
        assert pair.experiment is not None
        if f"{SHIFTS[0]}" not in pair.experiment:
            raise InvalidProblem("The claim about shifts needs them; train with `control`.")
        table = compare(pair.theory, pair.experiment, variables=SHIFTS).table
        for row in table:
            size = float(np.sqrt(np.mean(pair.theory[row.variable].values ** 2)))
            statement = f"relative deviation of {row.variable} from the theory, {words(pair)}"
            expected = "not rejected at family-wise level 0.001"
            note = "; ".join(filter(None, (f"p = {row.p_value:.2g}", row.note)))
            off, se = row.rms_deviation / size, row.combined_se / size
            found.append(Finding(statement, off, expected, row.verdict, se=se, note=note))
    return found


def lagging(pairs: Sequence[Pair]) -> list[Finding]:
    """Finite networks lag behind the limit: the shift of train predictions is opposite to y."""
    found = []
    for pair in pairs:
        theory = pair.theory
        train = np.flatnonzero(theory["split"].values == "train")
        labels = theory["f"].values[0, train] + theory["Delta"].values[0]
        ahead = labels * theory["f_shift"].values[1:, train]
        worst, most = float(ahead.max()), float(np.abs(ahead).max())
        statement = f"largest shift of f along y over the largest against it, {words(pair)}"
        # Near convergence discrete steps overshoot, so that a trace of the other sign may be left.
        found.append(
            Finding(statement, worst / most, "below 0.1", judged(bool(worst < 0.1 * most)))
        )
    return found


def ensembling(pairs: Sequence[Pair]) -> list[Finding]:
    """Averaging E predictions divides the part of the loss that is scatter, and leaves the rest."""
    found = []
    for pair in with_networks(pairs, "ensembles"):
        width = pair.sizes[-1]
        expected = ensemble_shift(pair, ENSEMBLE)
        measured = measured_ensemble_shift(pair, width, ENSEMBLE)
        size = np.linalg.norm(expected)
        off = float(np.linalg.norm(measured.mean(axis=0) - expected) / size)
        chance = float(np.sqrt(np.sum(measured.var(axis=0, ddof=1)) / len(measured)) / size)
        verdict = judged(bool(off <= SHIFT_OFF))
        if off > SHIFT_OFF and chance > SHIFT_OFF / 2:
            verdict = "undecided"
        statement = f"relative deviation of the loss shift of {ENSEMBLE} networks averaged"
        found.append(Finding(
            f"{statement}, N = {width}, {words(pair)}", off, f"at most {SHIFT_OFF:g}", verdict,
            note=f"chance alone: {chance:.3f}",
        ))  # fmt: skip
        left = float(expected.max() / ensemble_shift(pair, 1).max())
        statement = f"largest loss shift that averaging any number leaves, {words(pair)}"
        most = float(ensemble_shift(pair, 10**9).max() / ensemble_shift(pair, 1).max())
        holds = 0 < most < left < 1
        expected_text = f"above 0 and below {left:.3f} of {ENSEMBLE} networks, in units of one"
        found.append(Finding(statement, most, expected_text, judged(bool(holds))))
    return found


def ensemble_shift(pair: Pair, ensemble: int) -> Float[np.ndarray, " time"]:
    """N times the shift of the loss of the mean prediction of E networks."""
    noise = pair.theory["loss_noise"].values
    return pair.theory["loss_shift"].values - noise * (1 - 1 / ensemble)


def measured_ensemble_shift(
    pair: Pair, width: int, ensemble: int
) -> Float[np.ndarray, "group time"]:
    """The same of trained networks in groups of E, from their controlled shifts.

    The loss of a mean prediction is the mean of the losses less half the variance inside the group.
    """
    theory = pair.theory
    train = np.flatnonzero(theory["split"].values == "train")
    f = runs_of(pair, "f", width)[..., train]
    shift = runs_of(pair, "loss_shift", width)
    groups = len(f) // ensemble
    f, shift = (a[: groups * ensemble].reshape(groups, ensemble, *a.shape[1:]) for a in (f, shift))
    return shift.mean(axis=1) - width * f.var(axis=1).mean(axis=-1) / 2


def coverage(pairs: Sequence[Pair]) -> list[Finding]:
    """Losses of single networks lie in the band of two standard deviations around the mean."""
    found = []
    for pair in with_networks(pairs, "bands"):
        loss, shift, nvar = (pair.theory[f"loss{e}"].values for e in ("", "_shift", "_nvar"))
        moving = nvar > 1e-3 * nvar.max()
        for width in pair.sizes:
            off = np.abs(runs_of(pair, "loss", width) - loss - shift / width)[:, moving]
            inside = np.mean(off <= 2 * np.sqrt(nvar[moving] / width), axis=1)
            mean, se = float(inside.mean()), float(inside.std(ddof=1) / np.sqrt(len(inside)))
            holds = abs(mean - TWO_DEVIATIONS) < COVERAGE_ROOM + 3.5 * se
            statement = f"part of the losses in the band of N = {width}, {words(pair)}"
            expected = f"{TWO_DEVIATIONS} within {COVERAGE_ROOM} and 3.5 standard errors"
            found.append(Finding(statement, mean, expected, judged(bool(holds)), se=se))
    return found
