"""Claims about Gaussian mixtures that a study can check on its results."""

from collections.abc import Callable, Sequence

import numpy as np

from orderparam.errors import InvalidProblem
from orderparam.results import Finding, Pair, judged


def double_descent(pairs: Sequence[Pair]) -> list[Finding]:
    """The test error of the square loss peaks at alpha = 1 at weak penalties and not at strong."""
    found = []
    for pair in sorted(pairs, key=_strength):
        error = _curve(pair, "test_error")
        alpha = pair.theory["alpha"].values
        inner = int(np.argmax(error[1:-1])) + 1
        rise = float(error[inner] - error[0])
        weak = _strength(pair) < 0.02
        if weak:
            at = float(alpha[inner])
            found.append(
                Finding(f"peak at alpha = 1, {pair.label}", at, "|alpha - 1| < 0.15",
                        judged(abs(at - 1) < 0.15 and rise > 0))
            )  # fmt: skip
        else:
            step = float(np.max(np.diff(error)))
            found.append(
                Finding(f"no peak, {pair.label}", step, "largest step <= 0", judged(step <= 0))
            )
    return found


def separable_below_threshold(pairs: Sequence[Pair]) -> list[Finding]:
    """Training errors vanish below the threshold alone, at the weakest penalty."""
    pair = min(pairs, key=_strength)
    threshold = pair.theory.diagnostics.get("separability_threshold")
    if threshold is None:
        raise InvalidProblem("No threshold is known for this mixture; use a common covariance.")
    alpha, error = pair.theory["alpha"].values, _curve(pair, "train_error")
    below = float(error[alpha < 0.9 * threshold].max(initial=0.0))
    above = float(error[alpha > 1.1 * threshold].min(initial=1.0))
    return [
        Finding("train error below the threshold", below, "< 1e-3", judged(below < 1e-3)),
        Finding("train error above the threshold", above, "> 1e-3", judged(above > 1e-3)),
    ]


def strong_penalty_is_bayes(pairs: Sequence[Pair]) -> list[Finding]:
    """At the largest strength all losses reach the Bayes error of balanced opposite clusters."""
    errors = [float(_curve(pair, "test_error")[-1]) for pair in pairs]
    spread = float(np.ptp(errors))
    bayes = [float(pair.theory.diagnostics.get("bayes_error", np.nan)) for pair in pairs]
    gap = float(np.max(np.abs(np.array(errors) - np.array(bayes))))
    return [
        Finding("losses agree at the strongest penalty", spread, "< 1e-4", judged(spread < 1e-4)),
        Finding("they reach the Bayes error", gap, "< 1e-4", judged(gap < 1e-4)),
    ]


def sparse_beats_dense(pairs: Sequence[Pair]) -> list[Finding]:
    """At its best strength l1 has a smaller test error than l2 (informative quiet coordinates)."""
    best = {
        str(pair.theory.problem["penalty"]): float(np.nanmin(_curve(pair, "test_error")))
        for pair in pairs
    }
    if not {"l1", "l2"} <= set(best):
        raise InvalidProblem("This claim compares the penalties l1 and l2; vary both.")
    gain = best["l2"] - best["l1"]
    return [Finding("best l2 error minus best l1 error", gain, "> 0", judged(gain > 0))]


def _curve(pair: Pair, name: str) -> np.ndarray:
    return np.asarray(pair.theory[name].values, dtype=float)


def _strength(pair: Pair) -> float:
    return float(np.min(pair.theory.problem["strength"]))


CLAIMS: dict[str, Callable[[Sequence[Pair]], list[Finding]]] = {
    "double-descent": double_descent,
    "separable-below-threshold": separable_below_threshold,
    "strong-penalty-is-bayes": strong_penalty_is_bayes,
    "sparse-beats-dense": sparse_beats_dense,
}
