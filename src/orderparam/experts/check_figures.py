"""Figures of coordinate checks and of learning-rate transfer."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from orderparam.plots.style import colour, describe, marker, panels, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from orderparam.experts.coordinate_check import CoordinateCheck
    from orderparam.experts.transfer import LearningRateTransfer

_FAMILIES = {
    "act": "Activations",
    "eff": r"Effective updates $\Delta W\,x$",
    "prop": r"Propagating updates $W_0\,\Delta x$",
    "agg": "Terms of the sum over experts",
    "back": "Terms of the sum over experts, backward",
    "grad": "Gradients of parameters",
}


@styled
def check_figures(check: "CoordinateCheck") -> dict[str, Figure]:
    """One figure for each family of observables, and one with all exponents.

    Args:
        check: A finished coordinate check.

    Returns:
        Figures by the name of their file.
    """
    names = [str(name) for name in check.solution["observable"].values]
    figures = {"exponents": _exponents(check)}
    for family, title in _FAMILIES.items():
        members = [name for name in names if name.startswith(f"{family}/")]
        if members:
            figures[family] = _family(check, members, title)
    return figures


def size_axis(axes: "Axes", sizes: np.ndarray) -> None:
    """A logarithmic axis with a tick at every size."""
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator([float(s) for s in sizes]))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_locator(NullLocator())


def _family(check: "CoordinateCheck", members: list[str], title: str) -> Figure:
    """Observables of one family against size, one panel for each step."""
    values, steps = check.solution["value"], check.solution["time"].values
    sizes = check.solution["size"].values
    figure, grid = panels(1, len(steps), sharey=True)
    for axes, step in zip(grid[0], steps, strict=True):
        for index, name in enumerate(members):
            runs = values.sel(observable=name, time=step).values
            if not (np.isfinite(runs).all() and (runs > 0).all()):
                continue
            mean = np.exp(np.log(runs).mean(axis=1))
            spread = np.exp(np.log(runs).std(axis=1))
            error = [mean - mean / spread, mean * spread - mean]
            axes.errorbar(
                sizes, mean, error, color=colour(index), marker=marker(index), markersize=4,
                label=name.partition("/")[2], capsize=2,
            )  # fmt: skip
        size_axis(axes, sizes)
        axes.set_yscale("log")
        axes.set_title(f"after {step} updates" if step != 1 else "after 1 update")
        axes.set_xlabel("scale factor of the model")
    grid[0, 0].set_ylabel("root mean square of entries")
    describe(
        figure,
        f"{title}: {_model(check)}",
        _note(check, "standard deviation over runs"),
        legend_of=list(grid[0]),
        columns=5,
    )
    return figure


def _exponents(check: "CoordinateCheck") -> Figure:
    """Every judged exponent with its interval and what is expected."""
    steps = check.solution["time"].values
    lines = [line for line in check.exponents if np.isfinite(line.slope)]
    names = sorted({line.observable for line in lines if line.verdict != "not judged"})[::-1]
    height = max(2.7, 0.2 * len(names))
    figure, grid = panels(1, len(steps), size=(2.6, height), sharey=True, sharex=True)
    colours = {
        "pass": colour(1),
        "fail": colour(5),
        "undecided": colour(0),
        "not judged": "#999999",
    }
    for axes, step in zip(grid[0], steps, strict=True):
        for line in lines:
            if line.step != step or line.observable not in names:
                continue
            at = names.index(line.observable)
            half = 0.0 if np.isnan(line.se) else line.high - line.slope
            axes.errorbar(
                line.slope, at, xerr=half, fmt="o", markersize=4, capsize=2,
                color=colours[line.verdict], label=line.verdict,
            )  # fmt: skip
            axes.plot([line.predicted], [at], "|", color="black", markersize=9, label="expected")
        axes.set_title(f"after {step} updates" if step != 1 else "after 1 update")
        axes.set_xlabel("exponent")
        axes.grid(axis="y", alpha=0.25, linewidth=0.5)
    grid[0, 0].set_yticks(range(len(names)), names)
    bound = max((abs(line.slope) for line in lines if line.observable in names), default=1.0)
    grid[0, 0].set_xlim(-1.15 * bound - 0.1, 1.15 * bound + 0.1)
    describe(
        figure,
        f"Exponents: {_model(check)}",
        _note(check, "95 % interval of the mean over runs"),
        legend_of=list(grid[0]),
        columns=4,
    )
    return figure


def _model(check: "CoordinateCheck") -> str:
    """Parameterization, optimiser and regime."""
    recipe = check.plan.recipe
    return f"{recipe.parameterization}, {recipe.optimizer}, regime {check.plan.regime}"


def _note(check: "CoordinateCheck", bars: str) -> str:
    """What points and bars are."""
    seeds = check.solution["seed"].size
    return f"Means over {seeds} runs; bars: {bars}."


@styled
def transfer_figure(result: "LearningRateTransfer") -> Figure:
    """Held-out loss against learning rate, one curve for each size, with the optimum marked."""
    figure, grid = panels(1, 1, size=(4.6, 3.2))
    axes = grid[0, 0]
    draw_sweep(axes, result)
    axes.set_xlabel("factor of the base's learning rates")
    axes.set_ylabel(f"held-out loss after {result.settings['steps']} updates")
    shift = f"optimum moves by {result.shift:+.2f} octaves when the size doubles"
    describe(
        figure, f"Learning-rate transfer: {result.settings['parameterization']}",
        f"{shift}.\nMeans and range over {result.loss.shape[2]} runs; stars: fitted optimum. "
        "Diverged runs are left out.",
        legend_of=[axes], columns=4,
    )  # fmt: skip
    return figure


def draw_sweep(axes: "Axes", result: "LearningRateTransfer") -> None:
    """The curves of a sweep, one for each size, on logarithmic axes."""
    for i, (size, optimum) in enumerate(zip(result.sizes, result.optima, strict=True)):
        shown = np.isfinite(result.loss[i]).all(axis=1)
        runs, x = result.loss[i][shown], np.array(result.factors)[shown]
        mean = runs.mean(axis=1)
        axes.errorbar(
            x, mean, [mean - runs.min(axis=1), runs.max(axis=1) - mean], color=colour(i),
            marker=marker(i), markersize=4, capsize=2, label=f"size {size}",
        )  # fmt: skip
        if np.isfinite(optimum.loss):
            axes.plot(
                optimum.factor, optimum.loss, marker="*", markersize=12, color=colour(i),
                markeredgecolor="black", linestyle="none", zorder=4,
            )  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator([float(f) for f in result.factors]))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_yscale("log")
