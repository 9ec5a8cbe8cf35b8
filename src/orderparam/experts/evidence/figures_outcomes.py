"""Figures of sweeps over learning rates, of shared draws and of traps."""

from collections.abc import Sequence

import numpy as np

from orderparam.experts.evidence.captions import NAMES, OPTIMIZERS, half, is_case
from orderparam.experts.evidence.claims import START
from orderparam.experts.evidence.figures_checks import draw_sweep
from orderparam.experts.evidence.measures import exponent, predicted, rebuilt, sweep
from orderparam.experts.traps import TRAPS
from orderparam.plots.style import THEORY, colour, describe, marker, panels, styled
from orderparam.results.pair import Pair
from orderparam.support.later import Figure


@styled
def sweeps(pairs: Sequence[Pair]) -> Figure:
    """Held-out loss against learning rate: a panel for each case, a curve for each size."""
    rows = sorted({pair.theory.problem["optimizer"] for pair in pairs}, reverse=True)
    columns = sorted({pair.theory.problem["parameterization"] for pair in pairs})
    figure, grid = panels(len(rows), len(columns), size=(3.9, 2.9), sharey="row", sharex="row")
    for i, optimizer in enumerate(rows):
        for j, name in enumerate(columns):
            for pair in pairs:
                if is_case(pair, optimizer=optimizer, parameterization=name):
                    found = sweep(pair)
                    draw_sweep(grid[i, j], found.factors, found.loss, found.optima)
            grid[i, j].set_title(f"{NAMES.get(name, name)}, {OPTIMIZERS[optimizer]}")
        grid[i, 0].set_ylabel("held-out loss")
    for axes in grid[-1]:
        axes.set_xlabel("factor of the base's learning rates")
    problem = rebuilt(pairs[0].theory)
    describe(
        figure,
        f"Learning-rate transfer in regime {problem.regime}",
        f"After {problem.updates} updates. Means and range over runs; stars: fitted optimum. "
        "Factors at which a run diverged are left out.",
        legend_of=list(grid.ravel()),
        columns=4,
    )
    return figure


@styled
def sharing(pairs: Sequence[Pair]) -> Figure:
    """Exponents of the three terms at the start, a panel for each regime."""
    regimes = sorted({pair.theory.problem["regime"] for pair in pairs}, reverse=True)
    figure, grid = panels(1, len(regimes), size=(3.8, 3.0), sharey=True)
    labels = ["sum over experts", "signal at an expert", "adjoint of the sum"]
    for axes, regime in zip(grid[0], regimes, strict=True):
        inside = [pair for pair in pairs if is_case(pair, regime=regime)]
        for index, pair in enumerate(inside):
            lines = [exponent(pair, name, 0) for name in START]
            label = f"sharing: {pair.theory.problem['sharing']}"
            at = np.arange(len(START)) + 0.22 * (index - (len(inside) - 1) / 2)
            axes.errorbar(
                at, [line.slope for line in lines], [half(line) for line in lines], capsize=2,
                fmt=marker(index), color=colour(index), label=label,
            )  # fmt: skip
            axes.plot(
                at, [predicted(pair, name, 0) for name in START], "_", color=THEORY, markersize=14,
                label="counting",
            )  # fmt: skip
        axes.axhline(0.0, color="#999999", linewidth=0.8)
        axes.set_xticks(range(len(START)), labels)
        axes.set_title(_growth(regime))
    grid[0, 0].set_ylabel("exponent in the scale factor")
    describe(
        figure,
        "Experts that start from one draw: how terms grow at the start",
        "At initialisation. Mean over runs, fit to the three largest sizes; bars: 95 % interval.",
        legend_of=list(grid[0]),
        columns=4,
    )
    return figure


@styled
def traps(pairs: Sequence[Pair]) -> Figure:
    """What each trap does and what its remedy leaves, run by run, beside what is expected."""
    names = [name for name in TRAPS if any(is_case(pair, trap=name) for pair in pairs)]
    figure, grid = panels(1, len(names), size=(2.5, 2.9))
    for axes, name in zip(grid[0], names, strict=True):
        for pair in pairs:
            if not is_case(pair, trap=name) or not pair.sizes:
                continue
            at = int(pair.theory.problem["avoided"])
            runs = pair.runs("outcome", pair.sizes[-1]).values
            spread = np.linspace(-0.12, 0.12, len(runs)) if len(runs) > 1 else np.zeros(1)
            axes.plot(at + spread, runs, "o", color=colour(2 - at), markersize=4, label="runs")
            outcome = float(pair.theory["outcome"])
            axes.hlines(outcome, at - 0.3, at + 0.3, color=THEORY, label="expected", zorder=1)
        axes.set_xticks([0, 1], ["trap", "avoided"])
        axes.set_xlim(-0.6, 1.6)
        axes.set_title(name.replace("-", " "))
        axes.set_ylabel(f"${TRAPS[name].symbol}$")
        axes.set_ylim(bottom=min(-0.1, axes.get_ylim()[0]))
        axes.margins(y=0.15)
    notes = "\n".join(f"{name.replace('-', ' ')}: {TRAPS[name].measured}" for name in names)
    describe(figure, "Traps of mixtures of experts", notes, legend_of=list(grid[0]), columns=2)
    return figure


def _growth(regime: str) -> str:
    """How a ladder grows, in words."""
    return {"between": "expert width as the root of N, experts as N"}.get(
        regime, f"regime {regime}"
    )
