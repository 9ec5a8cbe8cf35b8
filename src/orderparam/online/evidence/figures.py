"""Figures of one-pass SGD by name, and those of loss and overlaps over time."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from orderparam.errors import OrderParamError
from orderparam.online.evidence.captions import TIME, model_line, seeds_line
from orderparam.online.evidence.figures_escape import (
    escape_histogram,
    escape_prefactors,
    escape_scaling,
)
from orderparam.online.evidence.figures_solutions import (
    hessian,
    noise_floor,
    selection_scatter,
    tail,
)
from orderparam.online.evidence.measures import rebuilt
from orderparam.online.theory.isotropic import isotropic
from orderparam.plots.figure_kind import FigureKind
from orderparam.plots.style import THEORY, colour, describe, marker, panels, styled
from orderparam.results.pair import Pair
from orderparam.support.later import Figure

SYMBOLS = {
    "learning_rate": r"\eta", "students": "p", "teachers": "p^*", "dimension": "N",
    "label_noise": r"\Delta",
}  # fmt: skip


@styled
def loss_curves(pairs: Sequence[Pair]) -> Figure:
    """Loss over time: theory, single runs and the level of the plateau."""
    figure, axes = panels(1, len(pairs), size=(4.4 if len(pairs) == 1 else 3.3, 3.2), sharey=True)
    for panel, pair in zip(axes[0], pairs, strict=True):
        times = pair.theory["time"].values
        if pair.sizes:
            size = pair.sizes[-1]
            runs = pair.runs("loss", size).values.reshape(-1, len(times))
            for index, run in enumerate(runs[:8]):
                label = f"SGD runs, N = {size}" if index == 0 else None
                panel.plot(times, run, color=colour(2), linewidth=0.7, alpha=0.6, label=label)
        curves = pair.theory["loss"].values.reshape(-1, len(times))
        for index, curve in enumerate(curves[:8]):
            panel.plot(times, curve, color=THEORY, label="overlap equations" if not index else None)
        try:
            level = isotropic(rebuilt(pair.theory)).plateau_loss()
            panel.axhline(level, color=colour(5), linestyle="--", linewidth=1, label="plateau")
        except OrderParamError:
            pass  # no closed form for this model, so no line
        panel.set(yscale="log", xlabel=TIME, title=pair.label)
    axes[0, 0].set_ylabel(r"population loss $\epsilon_g$")
    describe(figure, "Loss over time", model_line(pairs), legend_of=axes[0].tolist(), columns=3)
    return figure


@styled
def overlap_curves(pairs: Sequence[Pair]) -> Figure:
    """All overlaps over time: theory as lines, mean over runs with its standard error."""
    (pair,) = pairs
    figure, axes = panels(1, 2, size=(4.2, 3.4))
    times = pair.theory["time"].values
    for panel, name in zip(axes[0], ("Q", "M"), strict=True):
        values = pair.theory[name].values
        entries = [e for e in np.ndindex(values.shape[1:]) if name == "M" or e[0] <= e[1]]
        for index, (k, m) in enumerate(entries):
            label = rf"${name}_{{{k + 1}{m + 1}}}$"
            panel.plot(times, values[:, k, m], color=colour(index), label=label)
            if pair.sizes:
                runs = pair.runs(name, pair.sizes[-1]).values[:, :, k, m]
                error = runs.std(axis=0, ddof=1) / math.sqrt(len(runs))
                panel.errorbar(
                    times, runs.mean(axis=0), yerr=error, fmt=marker(index), markersize=3,
                    color=colour(index), elinewidth=0.8,
                )  # fmt: skip
        panel.set(xlabel=TIME, ylabel=f"overlaps ${name}$")
        panel.legend(ncols=2)
    note = model_line(pairs)
    if pair.sizes:
        note += (
            f"\nlines: theory; points: mean of {seeds_line(pair)} of SGD at N = {pair.sizes[-1]},"
        )
        note += " bars: standard error"
    describe(figure, "Overlaps: theory and SGD", note)
    return figure


_CURVES: dict[str, Any] = {"needs": ("loss",)}
FIGURES: dict[str, FigureKind] = {
    "loss": FigureKind(loss_curves, "Loss over time.", **_CURVES),
    "overlaps": FigureKind(overlap_curves, "All overlaps over time.", True, ("Q", "M")),
    "escape": FigureKind(escape_histogram, "Escape times.", False, ("escape_time",), True),
    "escape-scaling": FigureKind(
        escape_scaling, "Escape time against N.", False, ("escape_time",), True
    ),
    "escape-prefactors": FigureKind(
        escape_prefactors, "Fall of the loss on leaving the plateau.", False, ("escape_time",)
    ),
    "selection": FigureKind(selection_scatter, "Selected solutions.", needs=("M", "T")),
    "tail": FigureKind(tail, "Algebraic tail.", **_CURVES),
    "hessian": FigureKind(hessian, "Hessian along training.", True, ("Q", "M", "T")),
    "noise-floor": FigureKind(noise_floor, "Stationary loss.", **_CURVES),
}
