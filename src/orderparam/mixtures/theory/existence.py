"""Whether the minimiser exists when the penalty vanishes."""

import numpy as np

from orderparam.errors import InterpolationThreshold, SeparableData
from orderparam.mixtures.model.losses import HardMargin, Squared
from orderparam.mixtures.problem import MixtureERM
from orderparam.mixtures.theory.separability import separability_threshold


def require_minimiser(problem: MixtureERM) -> None:
    """Refuse points without a finite minimiser, where that is known before any work.

    Raises:
        InterpolationThreshold: Squared loss, strength 0 and alpha at most 1.
        SeparableData: Classification loss, strength 0 and alpha below the separability threshold;
            or a hard margin above it.
    """
    hard = isinstance(problem.loss, HardMargin)
    if not hard and np.all(problem.strength > 0):
        return
    lowest = float(problem.alpha.min())
    if isinstance(problem.loss, Squared):
        if lowest <= 1:
            raise InterpolationThreshold(
                f"With strength 0 and alpha = {lowest:g} at most 1 the squares have no unique "
                "minimiser; give a positive strength (its limit 0 is the minimum-norm solution)."
            )
        return
    threshold = separability_threshold(problem.mixture, problem.fit_bias)
    if threshold is None:
        return
    highest = float(problem.alpha.max())
    if hard and highest >= threshold:
        raise SeparableData(
            f"The hard margin needs separable data, alpha below {threshold:.6g}, but alpha reaches "
            f"{highest:g}; use the hinge loss."
        )
    if not hard and lowest <= threshold:
        raise SeparableData(
            f"With strength 0 and alpha = {lowest:g} the data are linearly separable (below "
            f"{threshold:.6g}), so the minimiser is infinite; give a positive strength, or take "
            "the limit with loss='hard-margin'."
        )
