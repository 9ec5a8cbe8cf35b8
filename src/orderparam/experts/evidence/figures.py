"""Figures of studies of scaling: exponents, terms against size, sweeps, sharing and traps."""

from collections.abc import Sequence

import numpy as np

from orderparam.experts.evidence.captions import NAMES, OPTIMIZERS, half, is_case
from orderparam.experts.evidence.figures_checks import size_axis
from orderparam.experts.evidence.figures_outcomes import sharing, sweeps, traps
from orderparam.experts.evidence.measures import (
    exponents,
    predicted,
    scales,
    steps,
    values,
)
from orderparam.plots.figure_kind import FigureKind
from orderparam.plots.style import THEORY, colour, describe, marker, panels, styled
from orderparam.results.pair import Pair
from orderparam.support.later import Axes, Figure

SYMBOLS: dict[str, str] = {}
_GROUPS = ("agg/", "back/", "act/psi", "act/u", "act/o", "eff/", "prop/", "grad/")


@styled
def exponent_table(pairs: Sequence[Pair]) -> Figure:
    """Every exponent after the last update: a panel for each regime and optimiser."""
    rows = sorted({pair.theory.problem["optimizer"] for pair in pairs}, reverse=True)
    columns = sorted({pair.theory.problem["regime"] for pair in pairs})
    names = _shown(pairs)[::-1]
    size = (3.3, max(2.7, 0.19 * len(names)))
    figure, grid = panels(len(rows), len(columns), size=size, sharey=True, sharex=True)
    for i, optimizer in enumerate(rows):
        for j, regime in enumerate(columns):
            axes = grid[i, j]
            inside = [p for p in pairs if is_case(p, optimizer=optimizer, regime=regime)]
            for index, pair in enumerate(inside):
                _column(axes, pair, names, index, len(inside))
            axes.set_title(f"regime {regime}, {OPTIMIZERS[optimizer]}")
            axes.grid(axis="y", alpha=0.25, linewidth=0.5)
        grid[i, 0].set_yticks(range(len(names)), names)
    for axes in grid[-1]:
        axes.set_xlabel("exponent in the scale factor")
    grid[0, 0].set_xlim(-2.7, 1.2)  # intervals of few runs reach farther
    runs = pairs[0].experiment["seed"].size if pairs[0].experiment else 0
    last = steps(pairs[0])[-1]
    describe(
        figure,
        f"How everything in the model grows with its size, after {last} updates",
        f"Mean over {runs} runs on the three largest sizes; bars: 95 % interval. "
        "Open symbols certainly do not keep their size.\n"
        "Black ticks: what a scale-stable model has.",
        legend_of=list(grid.ravel()),
        columns=3,
    )
    return figure


@styled
def base_terms(pairs: Sequence[Pair]) -> Figure:
    """Both base terms against size, with lines of the slope that counting gives."""
    columns = sorted({pair.theory.problem["regime"] for pair in pairs})
    figure, grid = panels(2, len(columns), size=(3.1, 2.4), sharex=True, sharey="row")
    titles = {"agg/base": "forward: initial experts", "back/base": "backward: initial experts"}
    for i, (name, title) in enumerate(titles.items()):
        for j, regime in enumerate(columns):
            axes = grid[i, j]
            inside = [pair for pair in pairs if is_case(pair, regime=regime)]
            for index, pair in enumerate(inside):
                _against_size(axes, pair, name, index)
            axes.set(yscale="log", title=f"{title}, regime {regime}")
            size_axis(axes, scales(inside[0]))
        grid[i, 0].set_ylabel("root mean square")
    for axes in grid[-1]:
        axes.set_xlabel("scale factor of the model")
    last = steps(pairs[0])[-1]
    describe(
        figure,
        "Terms of the experts' sum that come from their initial weights",
        f"After {last} updates. Points: mean over runs, bars: standard error; dashed: the exponent "
        "of counting,\nthrough the point of the largest size.",
        legend_of=list(grid.ravel()),
        columns=4,
    )
    return figure


def _shown(pairs: Sequence[Pair]) -> list[str]:
    """Observables that are judged in some case, in the order of their groups."""
    last = steps(pairs[0])[-1]
    judged = {
        line.observable
        for pair in pairs
        for line in exponents(pair)
        if line.step == last and line.verdict != "not judged"
    }
    kept = [name for name in sorted(judged) if name.startswith(_GROUPS)]
    return sorted(kept, key=lambda name: [name.startswith(g) for g in _GROUPS].index(True))


def _column(axes: Axes, pair: Pair, names: Sequence[str], index: int, count: int) -> None:
    """All exponents of one case, a little above or below their line."""
    last, shift = steps(pair)[-1], 0.16 * (index - (count - 1) / 2)
    style = {"color": colour(index), "marker": marker(index), "markersize": 4, "capsize": 2}
    name = pair.theory.problem["parameterization"]
    for line in exponents(pair):
        if line.step != last or line.observable not in names or np.isnan(line.slope):
            continue
        at = names.index(line.observable)
        face = "white" if line.verdict == "fail" else colour(index)
        axes.errorbar(
            line.slope, at - 2 * shift, xerr=half(line), linestyle="none", markerfacecolor=face,
            label=NAMES.get(name, name), **style,
        )  # fmt: skip
        axes.plot([line.predicted], [at], "|", color=THEORY, markersize=11, label="scale-stable")


def _against_size(axes: Axes, pair: Pair, name: str, index: int) -> None:
    """One observable against size, with the slope that counting gives."""
    last = steps(pair)[-1]
    runs, x = values(pair, name, last), scales(pair) * 1.04**index  # side by side
    mean = runs.mean(axis=0)
    error = runs.std(axis=0, ddof=1) / np.sqrt(len(runs)) if len(runs) > 1 else None
    axes.errorbar(
        x, mean, error, color=colour(index), marker=marker(index), markersize=4, linestyle="none",
        capsize=2, label=_case(pair),
    )  # fmt: skip
    power = predicted(pair, name, last)
    if power is not None:
        axes.plot(x, mean[-1] * (x / x[-1]) ** power, "--", color=colour(index), linewidth=1)


def _case(pair: Pair) -> str:
    problem = pair.theory.problem
    name = problem["parameterization"]
    return f"{NAMES.get(name, name)}, {OPTIMIZERS[problem['optimizer']]}"


FIGURES = {
    "exponents": FigureKind(
        exponent_table, "Exponents of all observables, muP beside MSSP.", needs=("exponent",),
        runs=True,
    ),
    "base-terms": FigureKind(
        base_terms, "Base terms against size.", needs=("exponent",), runs=True
    ),
    "sweeps": FigureKind(
        sweeps, "Loss against learning rate for every size.", needs=("optimum_ratio",), runs=True
    ),
    "sharing": FigureKind(
        sharing, "Exponents at the start for every way of sharing.", needs=("exponent",), runs=True
    ),
    "traps": FigureKind(traps, "Traps and their remedies.", needs=("outcome",), runs=True),
}  # fmt: skip
