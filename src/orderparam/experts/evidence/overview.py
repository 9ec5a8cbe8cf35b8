"""A result on mixtures of experts at a glance."""

import numpy as np

from orderparam.experts.evidence.captions import NAMES, OPTIMIZERS
from orderparam.experts.evidence.figures_outcomes import sweeps
from orderparam.plots.overview import heading, nothing_to_draw
from orderparam.plots.style import THEORY, colour, describe, marker, panels, styled
from orderparam.results import Pair, Solution
from orderparam.support.later import Figure


def overview(solution: Solution) -> Figure:
    """Exponents of all observables, or the losses of a sweep over learning rates.

    Raises:
        UnsupportedCombination: If the result is a single number.
    """
    if "exponent" in solution:
        return _exponents(solution)
    if "factor" in solution:
        return sweeps([Pair(solution, solution)])  # everything drawn stands in the experiment
    raise nothing_to_draw(solution)


@styled
def _exponents(solution: Solution) -> Figure:
    """One line for each observable, one mark for each number of updates."""
    values = solution["exponent"]
    names = list(dict.fromkeys(str(n).rsplit(" after ")[0] for n in values["prediction"].values))
    updates = [int(str(n).rsplit(" after ")[1]) for n in values["prediction"].values]
    runs = values.transpose(..., "prediction").values.reshape(-1, len(updates))
    error = np.zeros(len(updates))
    if len(runs) > 1:
        error = 2 * np.nanstd(runs, axis=0, ddof=1) / np.sqrt(np.isfinite(runs).sum(axis=0))
    figure, grid = panels(1, 1, size=(5.4, max(2.4, 0.24 * len(names) + 0.6)))
    (axes,) = grid[0]
    for index, step in enumerate(sorted(set(updates))):
        here = np.flatnonzero(np.equal(updates, step))
        at = [names.index(str(values["prediction"].values[i]).rsplit(" after ")[0]) for i in here]
        axes.errorbar(
            np.nanmean(runs[:, here], axis=0), np.array(at) + 0.15 * index, xerr=error[here],
            fmt=marker(index), color=colour(index), markersize=5, linestyle="none",
            label=f"after {step} updates" if step != 1 else "after 1 update",
        )  # fmt: skip
    axes.axvline(0.0, color=THEORY, linewidth=0.8, linestyle=":")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.grid(axis="y", alpha=0.25, linewidth=0.5)
    axes.set_xlabel("exponent $c$ in the scale factor of the model")
    problem = solution.problem
    name = problem["parameterization"]
    note = (
        f"regime {problem['regime']}, {NAMES.get(name, name)}, {OPTIMIZERS[problem['optimizer']]}"
    )
    if solution.kind == "experiment":
        note += "\nmean over runs; bars: ± 2 standard errors"
    describe(figure, heading(solution), note, legend_of=[axes], columns=3)
    return figure
