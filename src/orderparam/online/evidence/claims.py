"""Checkable claims about one-pass SGD."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from orderparam.online.analysis.escape import escape_law
from orderparam.online.analysis.hessian import hessian_spectrum
from orderparam.online.analysis.selection import (
    manifold_dimension,
    polar_factor,
    selected_solution,
)
from orderparam.online.evidence.measures import (
    escape_times,
    frame_overlap,
    reached_and_predicted,
    rebuilt,
    states_at,
)
from orderparam.online.model.overlaps import Overlaps
from orderparam.online.theory.isotropic import isotropic
from orderparam.results import Finding, judged
from orderparam.results.pair import Pair

_ROUNDS = 20000

_ALONE = "one run has no spread; use more seeds or draws"


def _mean(values: np.ndarray) -> tuple[float, float | None]:
    """Mean and its standard error, which a single value does not have."""
    mean = float(values.mean()) if len(values) else math.nan
    return mean, float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None


def _within(
    name: str, mean: float, error: float | None, off: float, text: str, note: str = ""
) -> Finding:
    """A finding that holds if a mean is off by less than 3.5 standard errors."""
    if error is None:
        note = "; ".join(filter(None, (note, _ALONE)))
        return Finding(name, mean, text, "undecided", None, note)
    # Equality is agreement too, where runs do not differ at all.
    return Finding(name, mean, text, judged(off < 3.5 * error or off == 0), error, note)


def escape_mean(pairs: Sequence[Pair]) -> list[Finding]:
    """Mean escape time of SGD against the closed law, case by case."""
    found = []
    for pair in pairs:
        times = escape_times(pair)
        kept = times[np.isfinite(times)]
        law = escape_law(rebuilt(pair.theory))
        mean, error = _mean(kept)
        # The law is that of the linear regime; its constant is known to a part of 1/(2 Lambda).
        slack = 0.3 / (2 * law.rate)
        note = f"{len(times) - len(kept)} of {len(times)} runs did not escape"
        expected = f"{law.mean:.2f} within 3.5 standard errors and {slack:.2f}"
        enough = len(kept) > 0.95 * len(times)
        off = max(abs(mean - law.mean) - slack, 0.0) if enough else math.inf
        found.append(_within(f"mean escape time, {pair.label}", mean, error, off, expected, note))
    return found


def escape_slope(pairs: Sequence[Pair]) -> list[Finding]:
    """Growth of the mean escape time with ln N, between the smallest and the largest N."""
    groups: dict[tuple[int, int], list[Pair]] = {}
    for pair in pairs:
        start = pair.theory.problem["start"]
        groups.setdefault((start["students"], start["teachers"]), []).append(pair)
    found = []
    for (p, q), members in groups.items():
        sizes = np.array([m.theory.problem["start"]["dimension"] for m in members], float)
        ends = [members[int(np.argmin(sizes))], members[int(np.argmax(sizes))]]
        if sizes.min() == sizes.max():
            continue
        times = [escape_times(m) for m in ends]
        span = math.log(sizes.max() / sizes.min())
        slope = float(np.nanmean(times[1]) - np.nanmean(times[0])) / span
        variances = [np.nanvar(t, ddof=1) / np.isfinite(t).sum() for t in times]
        error = math.sqrt(sum(variances)) / span
        expected = 1 / (2 * escape_law(rebuilt(ends[0].theory)).rate)
        text = f"1/(2 Lambda) = {expected:.2f} within 3.5 standard errors"
        holds = abs(slope - expected) < 3.5 * error
        name = f"slope of escape time in ln N, p = {p}, p* = {q}"
        found.append(Finding(name, slope, text, judged(holds), error))
    return found


def polar_selected(pairs: Sequence[Pair]) -> list[Finding]:
    """The equations end at the closest solution; SGD at that of M(0) plus plateau noise."""
    found = []
    for pair in pairs:
        predicted, theory, runs = reached_and_predicted(pair)
        problem = rebuilt(pair.theory)
        gap = float(np.abs(theory - predicted).max())
        numbers = isotropic(problem)
        allowed = 1e-6 if numbers.p <= numbers.q else 0.02
        found.append(Finding(
            f"largest deviation of M from the closest solution, {pair.label}", gap,
            f"below {allowed:g}", judged(gap < allowed),
        ))  # fmt: skip
        if runs is None:
            continue
        overlap = frame_overlap(predicted, runs)
        mean, error = _mean(overlap[np.isfinite(overlap)])
        expected = noisy_overlap(numbers.p, numbers.q, numbers.plateau_noise())
        text = f"{expected:.3f} within 3.5 standard errors"
        name = f"overlap of SGD's solution with the closest, {pair.label}"
        found.append(_within(name, mean, error, abs(mean - expected), text))
        name, text = f"what plateau noise takes from this overlap, {pair.label}", "above 0 by 3.5"
        held = "undecided" if error is None else judged(1 - mean > 3.5 * error)
        note = _ALONE if error is None else ""
        found.append(Finding(name, 1 - mean, f"{text} standard errors", held, error, note))
    return found


def noisy_overlap(students: int, teachers: int, noise: float) -> float:
    """Mean overlap of the polar factors of Gaussian M and M + sqrt(noise) M', M' a copy of M."""
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, _ROUNDS, students, teachers))
    frames = polar_factor(first), polar_factor(first + math.sqrt(noise) * second)
    return float(frame_overlap(*frames).mean())


def gram_schmidt_selected(pairs: Sequence[Pair]) -> list[Finding]:
    """Separated teacher eigenvalues: the equations end at the Gram-Schmidt frame, not the polar."""
    found = []
    for pair in pairs:
        for route, low, high in (("gram_schmidt", 0.0, 0.01), ("polar", 0.05, math.inf)):
            predicted, theory, _ = reached_and_predicted(pair, route)
            gap = float(np.sqrt(np.mean((theory - predicted) ** 2)))
            text = f"below {high:g}" if route == "gram_schmidt" else f"above {low:g}"
            name = f"rms deviation of M from the {route} solution, {pair.label}"
            found.append(Finding(name, gap, text, judged(low <= gap < high)))
    return found


def algebraic_tail(pairs: Sequence[Pair]) -> list[Finding]:
    """Loss times t^2 at the last time against its predicted limit, for p > p*."""
    found = []
    for pair in pairs:
        amplitude = isotropic(rebuilt(pair.theory)).tail_coefficient()
        if not math.isfinite(amplitude):
            continue
        time, loss = float(pair.theory["time"][-1]), float(pair.theory["loss"][-1])
        ratio = loss * time**2 / amplitude
        name = f"loss t^2 over its predicted limit, {pair.label}"
        found.append(Finding(name, ratio, "1 within 0.05", judged(abs(ratio - 1) < 0.05)))
    return found


def stationary_loss(pairs: Sequence[Pair]) -> list[Finding]:
    """The stationary loss against its closed form: equations, and SGD over late times."""
    found = []
    for pair in pairs:
        floor = isotropic(rebuilt(pair.theory)).noise_floor()
        ratio = float(pair.theory["loss"][-1]) / floor
        name = f"stationary loss over the closed form, equations, {pair.label}"
        holds = abs(ratio - 1) < 1e-6
        found.append(Finding(name, ratio, "1 within 1e-6", judged(holds)))
        if pair.sizes:
            runs = pair.runs("loss", pair.sizes[-1]).values
            late = runs[:, runs.shape[1] // 2 :].mean(axis=1) / floor
            mean, error = _mean(late)
            slack = 30 / pair.sizes[-1]
            text = f"1 within 3.5 standard errors and 30/N = {slack:g}"
            off = max(abs(mean - 1) - slack, 0.0)
            found.append(_within(f"the same, SGD, {pair.label}", mean, error, off, text))
    return found


def hessian_counts(pairs: Sequence[Pair]) -> list[Finding]:
    """Negative and vanishing eigenvalues at the plateau, along training and at the solution."""
    found = []
    for pair in pairs:
        problem = rebuilt(pair.theory)
        numbers, size = isotropic(problem, sgd_noise=False), problem.start.dimension or 1000
        p, q, unit = numbers.p, numbers.q, 4 * numbers.a * numbers.b * numbers.theta
        plateau = Overlaps(numbers.plateau_norm() * np.eye(p), np.zeros((p, q)), problem.start.T)
        there = hessian_spectrum(problem, plateau, size)
        close = int(np.argmin(np.abs(pair.theory["loss"].values - numbers.plateau_loss())))
        states = states_at(pair.theory)
        at = {n: hessian_spectrum(problem, states[n], size) for n in (close, -1)}
        end = hessian_spectrum(problem, selected_solution(problem).overlaps, size)
        more = end.zero() - manifold_dimension(p, q)
        counts = (
            ("negative eigenvalues on the plateau", there.negative(), p * q),
            ("negative eigenvalues where training is closest to it", at[close].negative(unit / 10),
             p * q),
            ("negative eigenvalues at the end of training", at[-1].negative(unit / 10), 0),
            ("zero modes of the solution beyond its manifold", more, (p - q) * (size - q)),
        )  # fmt: skip
        found += [
            Finding(f"{name}, {pair.label}", number, f"{right}", judged(number == right))
            for name, number, right in counts
        ]
        ratio = -numbers.eta * float(there.values[0]) / numbers.escape_rate()
        name = f"escape exponent of gradient flow from the lowest eigenvalue, {pair.label}"
        found.append(Finding(name, ratio, "1 within 1e-8", judged(abs(ratio - 1) < 1e-8)))
    return found


CLAIMS: dict[str, Callable[[Sequence[Pair]], list[Finding]]] = {
    "escape-mean": escape_mean,
    "escape-slope": escape_slope,
    "polar-selected": polar_selected,
    "gram-schmidt-selected": gram_schmidt_selected,
    "algebraic-tail": algebraic_tail,
    "stationary-loss": stationary_loss,
    "hessian-counts": hessian_counts,
}
