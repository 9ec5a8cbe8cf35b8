"""The figure of a comparison: one variable of theory and experiment on the same axes."""

import numpy as np

from orderparam.plots.curves import curve_axis, run_curves, theory_curve
from orderparam.plots.style import THEORY, colour, describe, panels, styled
from orderparam.results.pair import Pair
from orderparam.support.later import Axes, Figure

_MOST_POINTS = 4000


@styled
def comparison_figure(pair: Pair, name: str, verdict: str) -> Figure:
    """Draw one variable of theory and experiment.

    A variable of time alone (or of another numeric dimension alone) is drawn as curves at every
    size. Of any other variable each entry is a point: the mean over the largest runs against the
    theory.

    Args:
        pair: Holds theory and experiment.
        name: A variable that both have.
        verdict: What the comparison says of it, for the title.

    Returns:
        A figure, neither shown nor saved.
    """
    figure, axes = panels(1, 1, size=(4.6, 3.4))
    meaning = pair.theory[name].attrs.get("long_name", name)
    if pair.theory[name].ndim == 1 and curve_axis(pair.theory[name])[0].dtype.kind in "if":
        _curves(axes[0, 0], pair, name)
        note = "bands: theory ± 2 errors (sampling and bias); runs, lowest to highest over seeds"
    else:
        _points(axes[0, 0], pair, name)
        note = "points: every saved entry; bars: standard deviation over seeds"
    describe(figure, f"{meaning}: {verdict}", note)
    axes[0, 0].legend()
    return figure


def variable_symbol(pair: Pair, name: str) -> str:
    """The symbol of a variable as mathematics, or its name."""
    symbol = pair.theory[name].attrs.get("symbol")
    return f"${symbol}$" if symbol else name


def _curves(axes: Axes, pair: Pair, name: str) -> None:
    """A variable of one dimension alone."""
    for index, size in enumerate(pair.sizes):
        count = pair.runs(name, size).sizes["seed"]
        label = f"{pair.size} {size}, {count} runs"
        run_curves(axes, pair, name, size, colour=colour(index), label=label)
    theory_curve(axes, pair, name, label="theory")
    axes.set_xlabel(curve_axis(pair.theory[name])[1])
    axes.set_ylabel(f"{pair.theory[name].attrs.get('long_name', '')} {variable_symbol(pair, name)}")


def _points(axes: Axes, pair: Pair, name: str) -> None:
    """Every entry of a variable, the mean of the largest runs against the theory."""
    theory = pair.theory[name]
    size = pair.sizes[-1]
    runs = pair.runs(name, size).transpose("seed", *theory.dims).values
    step = -(-theory.size // _MOST_POINTS)
    x = theory.values.ravel()[::step]
    y = runs.reshape(len(runs), -1)[:, ::step]
    spread = y.std(axis=0, ddof=1) if len(y) > 1 else np.zeros_like(x)
    axes.errorbar(
        x, y.mean(axis=0), yerr=spread, fmt=".", markersize=3, elinewidth=0.5, alpha=0.5,
        color=colour(2), label=f"{pair.size} {size}, {len(y)} runs", rasterized=True,
    )  # fmt: skip
    ends = [x.min(), x.max()]
    axes.plot(ends, ends, color=THEORY, linewidth=1, label="runs = theory")
    axes.set_xlabel(f"{variable_symbol(pair, name)}, theory")
    axes.set_ylabel(f"{variable_symbol(pair, name)}, runs")
