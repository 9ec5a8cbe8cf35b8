"""How far to trust a solution: its errors, and the widths at which the expansion has a meaning.

Nothing here knows of a depth.

Source: docs/theory/fluctuations.md, Errors and widths.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from orderparam.fluctuations.problem import FiniteWidth
from orderparam.results import Verdict

Arrays = Mapping[str, Float[np.ndarray, "..."]]

SMALL = 0.3
"""Noise and shift of predictions, relative to how far these move, above which the leading order in
1/N says little."""

NOTHING = 1e-12
"""Size relative to the largest at which a variance is zero."""


def errors(limit: Arrays, variance: Arrays, shift: Arrays, total: Any) -> dict[str, float]:
    """Root mean square error of every variable relative to its size, by name.

    Variances are measured by their own root mean square over time and entries; shifts by that of
    the larger of shift and limit, since a shift may vanish.

    Args:
        limit: Limits by quantity.
        variance: N times the variances by quantity, empty if a method has none.
        shift: Mean shifts by quantity, empty likewise.
        total: Errors by quantity and suffix, arrays of the shape of the variables.
    """
    found = {}
    for name, value in variance.items():
        found[f"{name}_nvar"] = _ratio(_rms(total(name, "_nvar")), _rms(value))
    for name, value in shift.items():
        size = max(_rms(value), _rms(limit[name]))
        found[f"{name}_shift"] = _ratio(_rms(total(name, "_shift")), size)
    return found


def widths(limit: Arrays, variance: Arrays, shift: Arrays) -> dict[str, float]:
    """Widths below which the expansion of the predictions in 1/N is not to be trusted.

    `width_spread`: the noise of predictions is 30 % of how far they move; `width_shift`: so is
    their mean shift; `width_order`: the mean shift is as large as the noise, beta^2/Sigma.
    `valid_width` is the largest of them.
    """
    moved = SMALL * max(float(np.max(_per_time(limit["f"] - limit["f"][0]))), NOTHING)
    beta = _per_time(shift["f"]) if shift else np.zeros(1)
    found = {"width_shift": float(beta.max() / moved)}
    if variance:
        spread = variance["f"].reshape(len(variance["f"]), -1).mean(axis=1)
        found["width_spread"] = float(spread.max() / moved**2)
        there = spread > NOTHING * max(spread.max(), np.finfo(float).tiny)
        ratio = np.where(there, beta**2 / np.where(there, spread, 1.0), 0.0)
        found["width_order"] = float(ratio.max())
    found["valid_width"] = float(math.ceil(min(max(found.values()), 1e15)))
    return found


def crossing_width(
    eigenvalues: Float[np.ndarray, "time mode"], variance: Float[np.ndarray, "time mode"]
) -> float:
    """The width below which eigenvalues scatter into each other, 9 Sigma/gap^2 at its largest."""
    if eigenvalues.shape[1] < 2:
        return 0.0
    gap = np.maximum(np.abs(np.diff(eigenvalues, axis=1)), 1e-150)
    return float(
        np.min([(9 * np.maximum(variance[:, 1:], variance[:, :-1]) / gap**2).max(), 1e300])
    )


def stability_margin(problem: FiniteWidth, ntk: Float[np.ndarray, "..."], steps: Any) -> float:
    """Distance of eta lambda_max/P from its largest stable value, 2 (1 + momentum), over time.

    For squared error; curvature of other losses is smaller, and their margin larger.
    """
    evolution = problem.evolution
    seen = evolution.data.test_count if evolution.one_pass else evolution.data.count
    size = seen * evolution.data.outputs
    square = ntk.reshape(len(ntk), *2 * (math.isqrt(ntk[0].size),))[:, :size, :size]
    top = np.linalg.eigvalsh(square)[:, -1] / seen
    return float(np.min(2 * (1 + evolution.momentum) - evolution.rates()[steps] * top))


def notes(problem: FiniteWidth, margin: float, valid: float) -> list[str]:
    """What a user should know besides the verdict."""
    evolution, found = problem.evolution, []
    if not evolution.centered and evolution.gamma0 < SMALL:
        found.append(
            f"Predictions are not centered: at gamma0 = {evolution.gamma0:g} the noise of the "
            "initial ones, of order 1/gamma0^2, dominates."
        )
    if margin <= 0:
        found.append(
            "The learning rate is above the stability limit of some step: fluctuations may grow."
        )
    found.append(f"The expansion in 1/N is to be trusted above widths of about {valid:.0f}.")
    return found


def judge(found: Mapping[str, float], accuracy: float, remedy: str) -> tuple[Verdict, str]:
    """Converged if every number is as accurate as was asked for."""
    worst = max(found, key=lambda name: found[name])
    said = f"Largest relative error {found[worst]:.1e}, of {worst}; asked for: {accuracy:g}."
    if found[worst] <= accuracy:
        return Verdict.CONVERGED, said
    return Verdict.ERROR_TOO_LARGE, f"{said} {remedy}"


def _per_time(values: Float[np.ndarray, "time ..."]) -> Float[np.ndarray, " time"]:
    return np.sqrt(np.mean(values.reshape(len(values), -1) ** 2, axis=1))


def _rms(values: Float[np.ndarray, "..."]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _ratio(error: float, size: float) -> float:
    """Relative error, 0 where nothing fluctuates and nothing errs."""
    return error / size if size > NOTHING else (0.0 if error <= NOTHING else math.inf)
