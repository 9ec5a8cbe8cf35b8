"""Figures of coordinate checks and of learning-rate transfer."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from orderparam.experts.rules.plan import ScalingPlan
from orderparam.experts.theory.exponents import Exponent
from orderparam.experts.theory.optimum import Optimum
from orderparam.plots.style import colour, describe, marker, panels, styled
from orderparam.results import Solution
from orderparam.support.later import Axes, Figure, mpl_ticker

_FAMILIES = {
    "act": "Activations",
    "eff": r"Effective updates $\Delta W\,x$",
    "prop": r"Propagating updates $W_0\,\Delta x$",
    "agg": "Terms of the sum over experts",
    "back": "Terms of the sum over experts, backward",
    "grad": "Gradients of parameters",
}


@styled
def check_figures(
    solution: Solution, exponents: Sequence[Exponent], plan: ScalingPlan
) -> dict[str, Figure]:
    """One figure for each family of observables, and one with all exponents.

    Args:
        solution: What was measured.
        exponents: One line for each observable and step.
        plan: Plan of the largest model.

    Returns:
        Figures by the name of their file.
    """
    names = [str(name) for name in solution["observable"].values]
    figures = {"exponents": _exponents(solution, exponents, plan)}
    for family, title in _FAMILIES.items():
        members = [name for name in names if name.startswith(f"{family}/")]
        if members:
            figures[family] = _family(solution, plan, members, title)
    return figures


def size_axis(axes: Axes, sizes: np.ndarray) -> None:
    """A logarithmic axis with a tick at every size."""
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(mpl_ticker.FixedLocator([float(s) for s in sizes]))
    axes.xaxis.set_major_formatter(mpl_ticker.ScalarFormatter())
    axes.xaxis.set_minor_locator(mpl_ticker.NullLocator())


def _family(solution: Solution, plan: ScalingPlan, members: list[str], title: str) -> Figure:
    """Observables of one family against size, one panel for each step."""
    values, steps = solution["value"], solution["time"].values
    sizes = solution["size"].values
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
        f"{title}: {_model(plan)}",
        _note(solution, "standard deviation over runs"),
        legend_of=list(grid[0]),
        columns=5,
    )
    return figure


def _exponents(solution: Solution, exponents: Sequence[Exponent], plan: ScalingPlan) -> Figure:
    """Every judged exponent with its interval and what is expected."""
    steps = solution["time"].values
    lines = [line for line in exponents if np.isfinite(line.slope)]
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
        f"Exponents: {_model(plan)}",
        _note(solution, "95 % interval of the mean over runs"),
        legend_of=list(grid[0]),
        columns=4,
    )
    return figure


def _model(plan: ScalingPlan) -> str:
    """Parameterization, optimiser and regime."""
    recipe = plan.recipe
    return f"{recipe.parameterization}, {recipe.optimizer}, regime {plan.regime}"


def _note(solution: Solution, bars: str) -> str:
    """What points and bars are."""
    seeds = solution["seed"].size
    return f"Means over {seeds} runs; bars: {bars}."


def draw_sweep(
    axes: Axes,
    factors: Sequence[float],
    loss: Float[np.ndarray, "size factor seed"],
    optima: Sequence[Optimum],
) -> None:
    """The curves of a sweep, one for each size, on logarithmic axes."""
    for i, optimum in enumerate(optima):
        shown = np.isfinite(loss[i]).all(axis=1)
        runs, x = loss[i][shown], np.array(factors)[shown]
        mean = runs.mean(axis=1)
        axes.errorbar(
            x, mean, [mean - runs.min(axis=1), runs.max(axis=1) - mean], color=colour(i),
            marker=marker(i), markersize=4, capsize=2, label=f"size {optimum.size}",
        )  # fmt: skip
        if np.isfinite(optimum.loss):
            axes.plot(
                optimum.factor, optimum.loss, marker="*", markersize=12, color=colour(i),
                markeredgecolor="black", linestyle="none", zorder=4,
            )  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(mpl_ticker.FixedLocator([float(f) for f in factors]))
    axes.xaxis.set_major_formatter(mpl_ticker.ScalarFormatter())
    axes.xaxis.set_minor_locator(mpl_ticker.NullLocator())
    axes.set_yscale("log")
