"""What the figures of Gaussian mixtures share: curves with error bars, labels and notes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from orderparam.plots.style import colour, describe, marker
from orderparam.results.pair import Pair
from orderparam.support.later import Axes, Figure

SHOWN = {
    "test_error": r"test error $\varepsilon_g$",
    "train_error": r"train error $\varepsilon_t$",
    "train_loss": r"training loss $\mathcal{L}_t$",
}
ALPHA = r"samples per dimension $\alpha = n/d$"
BARS = "points: fits, mean ± 2 standard errors over seeds, largest dimension"


def setting(pair: Pair) -> str:
    """Loss, penalty and strength of a pair in one line."""
    problem = pair.theory.problem
    named = [problem["loss"], problem["penalty"]]
    loss, penalty = (n if isinstance(n, str) else n.get("label", n["name"]) for n in named)
    strength = problem["strength"]
    text = "" if isinstance(strength, list) else rf", $\lambda = {strength:g}$"
    return f"{loss}, {penalty}{text}"


def draw_curve(axes: Axes, pair: Pair, name: str, axis: str, index: int) -> None:
    """One variable of a case along one axis: line for the theory, points for fits."""
    text = pair.label or setting(pair)
    axes.plot(
        pair.theory[axis].values, pair.theory[name].values, color=colour(index),
        label=f"{text}: theory",
    )  # fmt: skip
    if pair.sizes:
        size = pair.sizes[-1]
        runs = pair.runs(name, size).transpose("seed", axis).values
        draw_bars(axes, pair.theory[axis].values, runs, index, f"{text}: d = {size}")


def draw_bars(
    axes: Axes,
    x: Float[np.ndarray, " point"],
    runs: Float[np.ndarray, "run point"],
    index: int,
    label: str,
) -> None:
    """Means of runs with bars of two standard errors."""
    error = runs.std(axis=0, ddof=1) / np.sqrt(len(runs)) if len(runs) > 1 else 0 * runs[0]
    axes.errorbar(
        x, runs.mean(axis=0), yerr=2 * error, fmt=marker(index), color=colour(index), markersize=4,
        capsize=2, linewidth=1, linestyle="none", label=label,
    )  # fmt: skip


def along(values: Any) -> np.ndarray:
    """The first output of a variable, time (after seeds) last."""
    for dim in ("output", "output_"):
        if dim in values.dims:
            values = values.isel({dim: 0})
    return values.values


def settings_of(pairs: Sequence[Pair]) -> str:
    """The mixture, and the settings of the first three cases."""
    settings = list(dict.fromkeys(setting(pair) for pair in pairs))
    mixture = pairs[0].theory.problem["mixture"]["name"]
    return f"{mixture}; " + "; ".join(settings[:3])


def annotate(figure: Figure, axes: np.ndarray, pairs: Sequence[Pair], title: str) -> None:
    """Title, settings and legend of a figure of curves."""
    parts = [settings_of(pairs)]
    if any(pair.sizes for pair in pairs):
        parts.append(BARS)
    columns = 2 if len(pairs) < 3 else 3
    describe(figure, title, "\n".join(parts), legend_of=axes[0].tolist(), columns=columns)
