"""Figures of variances in studies of several strengths or depths, and of bands around losses."""

from collections.abc import Sequence

import numpy as np

from orderparam.fluctuations.evidence.drawing import (
    BARS,
    SHORT_TIME,
    curve,
    ensemble_line,
    ensemble_points,
    network_line,
)
from orderparam.fluctuations.evidence.measures import depth, gamma0, runs_of
from orderparam.plots.style import THEORY, colour, describe, marker, panels, styled
from orderparam.results.pair import Pair
from orderparam.support.later import Axes, Figure

SHOWN_RUNS = 40


@styled
def strengths(pairs: Sequence[Pair]) -> Figure:
    """A train and a test sample, and the relative variance of the kernel, a colour a strength."""
    ordered = sorted(pairs, key=gamma0)
    figure, axes = panels(1, 3, size=(3.4, 3.1))
    last = ordered[0].theory["split"].values[-1]
    titles = (r"first train sample", f"last {last} sample", r"tangent kernel, first train sample")
    for index, pair in enumerate(ordered):
        label = rf"$\gamma_0 = {gamma0(pair):g}$"
        for panel, sample in zip(axes[0, :2], (0, -1), strict=True):
            _series(panel, pair, "f_nvar", (sample,), 1.0, index, label)
        square = pair.theory["ntk"].values[:, 0, 0] ** 2
        _series(axes[0, 2], pair, "ntk_nvar", (0, 0), square, index, label)
    for panel, title in zip(axes[0], titles, strict=True):
        panel.set(xlabel=SHORT_TIME, title=title, ylim=(0, None))
    axes[0, 0].set_ylabel(r"$N\,\mathrm{Var}[f]$")
    axes[0, 1].set_ylabel(r"$N\,\mathrm{Var}[f]$")
    axes[0, 2].set_ylabel(r"$N\,\mathrm{Var}[K_{11}]\,/\,K_{11}^2$")
    describe(figure, "Feature learning and the variance over networks", _note(ordered),
             legend_of=[axes[0, 0]], columns=len(ordered))  # fmt: skip
    return figure


@styled
def depths(pairs: Sequence[Pair]) -> Figure:
    """Kernel and predictions over time, feature kernels by layer; one row for each strength."""
    values = sorted({gamma0(pair) for pair in pairs})
    figure, axes = panels(len(values), 3, size=(3.4, 2.8))
    for row, strength in zip(axes, values, strict=True):
        group = sorted((p for p in pairs if gamma0(p) == strength), key=depth)
        for index, pair in enumerate(group):
            label = f"L = {depth(pair)}"
            square = pair.theory["ntk"].values[:, 0, 0] ** 2
            _series(row[0], pair, "ntk_nvar", (0, 0), square, index, label)
            _series(row[1], pair, "f_nvar", (0,), 1.0, index, label)
            _by_layer(row[2], pair, index)
        for panel in row[:2]:
            panel.set(xlabel=SHORT_TIME, ylim=(0, None), title=rf"$\gamma_0 = {strength:g}$")
        if strength < 1:  # linear growth over layers, else geometric
            row[2].set_ylim(0, None)
        else:
            row[2].set_yscale("log")
        row[0].set_ylabel(r"$N\,\mathrm{Var}[K]\,/\,K^2$")
        row[1].set_ylabel(r"$N\,\mathrm{Var}[f]$")
        row[2].set(
            xlabel=r"layer $\ell$", title=rf"$\gamma_0 = {strength:g}$, trained",
            ylabel=r"$N\,\mathrm{Var}[\Phi^\ell]$", xticks=range(1, max(map(depth, group)) + 1),
        )  # fmt: skip
    note = _note(pairs) + "; open symbols: theory by layer"
    describe(figure, "Deep linear networks: fluctuations against depth", note,
             legend_of=[axes[0, 0]], columns=4)  # fmt: skip
    return figure


@styled
def bands(pairs: Sequence[Pair]) -> Figure:
    """Losses of single networks over the predicted mean and spread, a panel for each width."""
    (pair,) = pairs[:1]
    figure, axes = panels(1, len(pair.sizes), size=(3.4, 3.1), sharey=True)
    times = pair.theory["eta_t"].values
    loss, shift, nvar = (pair.theory[f"loss{end}"].values for end in ("", "_shift", "_nvar"))
    for panel, width in zip(axes[0], pair.sizes, strict=True):
        runs = runs_of(pair, "loss", width)
        for index, run in enumerate(runs[:SHOWN_RUNS]):
            label = "single networks" if index == 0 else None
            panel.plot(times, run, color=colour(2), linewidth=0.5, alpha=0.45, label=label)
        mean, spread = loss + shift / width, np.sqrt(nvar / width)
        panel.fill_between(
            times, np.maximum(mean - 2 * spread, 1e-12), mean + 2 * spread, color=colour(0),
            alpha=0.35, linewidth=0, label="theory: two standard deviations", zorder=1,
        )  # fmt: skip
        panel.plot(times, mean, color=THEORY, label="theory: mean", zorder=4)
        panel.plot(
            times, loss, color=colour(5), linestyle=":", label="theory: infinite width", zorder=4
        )
        ensemble_points(panel, times, runs, colour=THEORY, label="networks: mean")
        panel.set(
            yscale="log", xlabel=SHORT_TIME, title=f"N = {width}",
            ylim=(0.3 * float(loss.min()), 1.3 * float(loss.max())),
        )  # fmt: skip
    axes[0, 0].set_ylabel(r"training loss $\mathcal{L}$")
    note = f"{network_line(pairs)}\n{ensemble_line(pair)}, at most {SHOWN_RUNS} drawn"
    describe(figure, "Loss of networks of finite width", note, legend_of=axes[0].tolist(),
             columns=3)  # fmt: skip
    return figure


def _series(
    axes: Axes, pair: Pair, name: str, entry: tuple[int, ...], square: np.ndarray | float,
    index: int, label: str,
) -> None:  # fmt: skip
    """One entry over time relative to `square`, of the theory and of the widest networks."""
    at = (slice(None), *entry)
    times = pair.theory["eta_t"].values
    mean, error = pair.theory[name].values[at], pair.theory.error(name).values[at]
    curve(axes, times, mean / square, error / square, colour=colour(index), label=label)
    if pair.sizes:
        runs = runs_of(pair, name, pair.sizes[-1])[(slice(None), *at)]
        ensemble_points(axes, times, runs / square, colour=colour(index), style=index)


def _by_layer(axes: Axes, pair: Pair, index: int) -> None:
    """N Var of the last feature kernels by layer; filled: networks."""
    nvar = pair.theory["Phi_nvar"].values[-1, :, 0, 0]
    layers = np.arange(1, len(nvar) + 1)
    axes.plot(layers, nvar, color=colour(index), marker=marker(index), fillstyle="none")
    if pair.sizes:
        runs = runs_of(pair, "Phi_nvar", pair.sizes[-1])[:, -1, :, 0, 0]
        error = runs.std(axis=0, ddof=1) / np.sqrt(len(runs))
        axes.errorbar(layers, runs.mean(axis=0), yerr=error, fmt=marker(index), markersize=3.5,
                      color=colour(index), elinewidth=0.8)  # fmt: skip


def _note(pairs: Sequence[Pair]) -> str:
    """What is common to all cases, and what lines and points are."""
    first = pairs[0]
    if not first.sizes:
        return f"{network_line(pairs)}\n{BARS.partition(';')[0]}"
    count = len(first.runs("f", first.sizes[-1])["seed"])
    return f"{network_line(pairs)}\n{BARS} ({count} of N = {first.sizes[-1]})"
