"""Figures of means and ensembles against width."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from orderparam.fluctuations.analysis.exponents import gaussianity, width_exponents
from orderparam.fluctuations.evidence.claims_shift import (
    ENSEMBLE,
    ensemble_shift,
    measured_ensemble_shift,
)
from orderparam.fluctuations.evidence.drawing import (
    SHORT_TIME,
    curve,
    ensemble_points,
    network_line,
)
from orderparam.fluctuations.evidence.measures import gamma0, runs_of
from orderparam.plots.style import THEORY, colour, describe, marker, panels, styled
from orderparam.results.pair import Pair
from orderparam.support.later import Axes, Figure


@styled
def width_laws(pairs: Sequence[Pair]) -> Figure:
    """Scatter, mean deviation and skewness against width, a colour for each case."""
    ordered = sorted(pairs, key=gamma0)
    figure, axes = panels(1, 3, size=(3.5, 3.1))
    for index, pair in enumerate(ordered):
        assert pair.experiment is not None
        fit = width_exponents(pair.theory, pair.experiment, variable="f")
        beta, Sigma = (pair.theory[f"f_{ending}"].values for ending in ("shift", "nvar"))
        _law(axes[0, 0], fit, "scatter", float(Sigma.mean()), 1, index, gamma0(pair))
        _law(axes[0, 1], fit, "shift", float(np.mean(beta**2)), 2, index, gamma0(pair))
    _skewness(axes[0, 2], ordered[0])
    widths = np.array(ordered[0].sizes, float)
    axes[0, 2].axhline(0, color=THEORY, linewidth=0.6)
    titles = ("mean square deviation of $f$", "squared mean deviation of $f$",
              "skewness of $K_{11}$ before training")  # fmt: skip
    for panel, title in zip(axes[0], titles, strict=True):
        panel.set(xscale="log", xlabel="width $N$", title=title)
        panel.set_xticks(widths, [f"{n:g}" for n in widths])
        panel.minorticks_off()
    for panel in axes[0, :2]:
        panel.set_yscale("log")
        panel.legend()
    axes[0, 2].legend()
    axes[0, 0].set_ylabel(r"$\langle (f_N - f_\infty)^2\rangle$")
    axes[0, 1].set_ylabel(r"$(\langle f_N\rangle - f_\infty)^2$")
    axes[0, 2].set_ylabel("skewness over networks")
    count = len(ordered[0].runs("f", ordered[0].sizes[-1])["seed"])
    note = (
        f"{network_line(pairs)}; full lines: theory, without a fitted number; points: {count} "
        "networks of each width,\nbars: standard errors; means over time and samples; mean "
        "deviations with the control variate of the initial neurons"
    )
    describe(figure, "Deviations from the limit against width", note)
    return figure


def _law(
    axes: Axes, fit: xr.Dataset, name: str, size: float, power: int, index: int, strength: float
) -> None:
    """One power law: points with errors, and the theory."""
    widths = fit["width"].values
    slope, se = (float(fit[f"{name}_exponent{end}"]) for end in ("", "_se"))
    label = rf"$\gamma_0 = {strength:g}$: slope ${slope:.2f} \pm {se:.2f}$"
    axes.errorbar(
        widths, fit[name], yerr=fit[f"{name}_se"], fmt=marker(index), markersize=4,
        color=colour(index), label=label,
    )  # fmt: skip
    axes.plot(widths, size / widths ** float(power), color=colour(index), linewidth=1)


def _skewness(axes: Axes, pair: Pair) -> None:
    """Skewness of the first kernel entry before training, which no strength changes yet."""
    assert pair.experiment is not None
    moments = gaussianity(pair.experiment, variable="ntk").isel(time=0, sample=0, sample_=0)
    widths, values = moments["width"].values, moments["skewness"].values
    error = moments["skewness_se"].values
    axes.errorbar(widths, values, yerr=error, fmt=marker(0), markersize=4, color=THEORY)
    weight = 1 / (error**2 * widths**0.5)
    size = float(np.sum(weight * values) / np.sum(weight * widths**-0.5))
    grid = np.geomspace(widths[0], widths[-1], 50)
    axes.plot(
        grid, size * grid**-0.5, color=THEORY, linestyle=":", label=r"$\propto N^{-1/2}$, fitted"
    )


@styled
def ensembles(pairs: Sequence[Pair]) -> Figure:
    """N times the excess loss of one network, of a mean over some, and of a mean over all."""
    ordered = sorted(pairs, key=gamma0)
    figure, axes = panels(1, len(ordered), size=(3.4, 3.1))
    for panel, pair in zip(axes[0], ordered, strict=True):
        times, width = pair.theory["eta_t"].values, pair.sizes[-1]
        names = ("one network", f"mean of {ENSEMBLE}", "mean of all")
        counts = (1, ENSEMBLE, 10**9)
        for index, (name, count) in enumerate(zip(names, counts, strict=True)):
            error = pair.theory.error("loss_shift").values
            curve(
                panel, times, ensemble_shift(pair, count), error, colour=colour(index), label=name
            )
        single = runs_of(pair, "loss_shift", width)
        ensemble_points(panel, times, single, colour=colour(0))
        grouped = measured_ensemble_shift(pair, width, ENSEMBLE)
        ensemble_points(panel, times, grouped, colour=colour(1), style=1)
        panel.axhline(0, color=THEORY, linewidth=0.6)
        panel.set(xlabel=SHORT_TIME, title=rf"$\gamma_0 = {gamma0(pair):g}$")
    axes[0, 0].set_ylabel(r"$N\,(\langle\mathcal{L}_N\rangle - \mathcal{L}_\infty)$")
    note = (
        f"{network_line(pairs)}; training loss of mean predictions\nlines: theory, bands: two "
        f"errors; points: networks of N = {ordered[0].sizes[-1]}, bars: standard errors"
    )
    describe(figure, "Averaging networks removes scatter and leaves the shift", note,
             legend_of=[axes[0, 0]], columns=3)  # fmt: skip
    return figure
