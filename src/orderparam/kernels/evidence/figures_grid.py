"""Figures of studies with many cases: all depths and feature-learning strengths at once."""

from collections.abc import Sequence

import numpy as np

from orderparam.kernels.evidence.captions import (
    BANDS,
    VARIABLES,
    depth,
    gamma0,
    gamma_text,
    grid_text,
)  # fmt: skip
from orderparam.plots.curves import run_curves, theory_curve
from orderparam.plots.deviation import deviations
from orderparam.plots.style import THEORY, colour, describe, marker, panels, styled
from orderparam.results.pair import Pair
from orderparam.support.later import Figure, mpl_lines

_MOST_POINTS = 3000


@styled
def loss_grid(pairs: Sequence[Pair]) -> Figure:
    """Loss over time, one panel for each depth, one colour for each strength."""
    depths, strengths = _groups(pairs)
    figure, axes = panels(1, len(depths), size=(2.9, 2.9), sharey=True)
    for panel, layers in zip(axes[0], depths, strict=True):
        for pair in (p for p in pairs if depth(p) == layers):
            index = strengths.index(gamma0(pair))
            text = gamma_text(gamma0(pair))
            theory_curve(panel, pair, "loss", colour=colour(index), label=f"theory, {text}")
            if pair.sizes:
                width = pair.sizes[-1]
                label = f"networks, N = {width}, {text}"
                run_curves(panel, pair, "loss", width, colour=THEORY, label=label)
        title = "1 hidden layer" if layers == 1 else f"{layers} hidden layers"
        panel.set(yscale="log", title=title)
        panel.set_xlabel(r"training time $\eta\,t$")
    axes[0, 0].set_ylabel(r"loss $\mathcal{L} = \frac{1}{2P}\sum_\mu (f_\mu - y_\mu)^2$")
    handles = [
        mpl_lines.Line2D([], [], color=colour(i), label=f"theory, {gamma_text(g)}")
        for i, g in enumerate(strengths)
    ]
    if any(pair.sizes for pair in pairs):
        width = max(pair.sizes[-1] for pair in pairs if pair.sizes)
        handles.append(
            mpl_lines.Line2D(
                [], [], color=THEORY, linestyle=(0, (4, 2)), label=f"networks, N = {width}"
            )
        )
    _legend(figure, "Training loss at every depth and feature-learning strength",
            f"{grid_text(pairs)}\n{BANDS}", handles, len(handles))  # fmt: skip
    return figure


@styled
def width_grid(pairs: Sequence[Pair]) -> Figure:
    """Deviation of single networks from the theory against width, all cases, by variable."""
    depths, strengths = _groups(pairs)
    names = [n for n in VARIABLES if all(n in pair.theory for pair in pairs)]
    columns = min(3, len(names))
    figure, axes = panels(
        -(-len(names) // columns), columns, size=(3.0, 2.5), sharex=True, sharey=True
    )
    widths = pairs[0].sizes
    for index, name in enumerate(names):
        panel, slopes, middles = axes[divmod(index, columns)], [], []
        for pair in pairs:
            measured = deviations(pair, name)
            slope = measured.slope()
            slopes += [] if slope is None else [slope[0]]
            mean = [
                np.sqrt(np.mean(measured.single[measured.width == width] ** 2)) for width in widths
            ]
            middles.append(np.mean(np.log(mean) + 0.5 * np.log(widths)))
            panel.plot(
                widths, mean, color=colour(strengths.index(gamma0(pair))),
                marker=marker(depths.index(depth(pair))), markersize=4.5, linewidth=0.9, alpha=0.85,
            )  # fmt: skip
        guide = np.exp(np.mean(middles)) / np.sqrt(widths)
        panel.plot(widths, guide, color=THEORY, linestyle=":", linewidth=1.4)
        title = VARIABLES[name]
        if slopes:
            title += f": slopes {min(slopes):.2f} to {max(slopes):.2f}"
        panel.set(xscale="log", yscale="log", title=title)
        panel.set_xticks(widths, [str(width) for width in widths])
        panel.minorticks_off()
    for panel in axes[-1]:
        panel.set_xlabel("width $N$")
    for row in axes:
        row[0].set_ylabel("relative rms deviation")
    handles = [
        mpl_lines.Line2D([], [], color=colour(i), label=gamma_text(g))
        for i, g in enumerate(strengths)
    ]
    handles += [
        mpl_lines.Line2D(
            [], [], color="#777777", linestyle="none", marker=marker(i), label=f"$L = {d}$"
        )
        for i, d in enumerate(depths)
    ]
    handles.append(
        mpl_lines.Line2D([], [], color=THEORY, linestyle=":", label=r"$\propto N^{-1/2}$")
    )
    note = f"{grid_text(pairs)}\nroot mean square over time, entries and networks of each width"
    _legend(figure, "Deviation of single networks from the theory", note, handles, len(handles))
    return figure


@styled
def entry_scatter(pairs: Sequence[Pair]) -> Figure:
    """Every entry of every variable: networks of the largest width against theory."""
    depths, strengths = _groups(pairs)
    del depths
    names = [n for n in VARIABLES if n != "loss" and all(n in pair.theory for pair in pairs)]
    figure, axes = panels(1, len(names), size=(2.5, 2.7))
    for panel, name in zip(axes[0], names, strict=True):
        low, high = np.inf, -np.inf
        for pair in pairs:
            theory = pair.theory[name]
            runs = pair.runs(name, pair.sizes[-1]).transpose("seed", *theory.dims).values
            x, y = theory.values.ravel(), runs.mean(axis=0).ravel()
            step = -(-x.size // _MOST_POINTS)
            panel.plot(
                x[::step], y[::step], ".", markersize=2.5, alpha=0.5, rasterized=True,
                color=colour(strengths.index(gamma0(pair))),
            )  # fmt: skip
            low, high = min(low, x.min()), max(high, x.max())
        panel.plot([low, high], [low, high], color=THEORY, linewidth=0.9)
        panel.set(title=VARIABLES[name], xlabel="theory")
    axes[0, 0].set_ylabel(f"networks, N = {pairs[0].sizes[-1]}, mean over seeds")
    handles = [
        mpl_lines.Line2D([], [], color=colour(i), linestyle="none", marker=".", label=gamma_text(g))
        for i, g in enumerate(strengths)
    ]
    handles.append(mpl_lines.Line2D([], [], color=THEORY, label="networks = theory"))
    note = f"{grid_text(pairs)}\npoints: entries at all saved steps, layers and samples"
    _legend(figure, "Networks against theory, entry by entry", note, handles, len(handles))
    return figure


def _groups(pairs: Sequence[Pair]) -> tuple[list[int], list[float]]:
    """Depths and strengths of the cases, ascending."""
    return sorted(set(map(depth, pairs))), sorted(set(map(gamma0, pairs)))


def _legend(
    figure: Figure, title: str, note: str, handles: list["mpl_lines.Line2D"], columns: int
) -> None:
    """Title, note and a legend that names styles instead of single curves."""
    # `describe` collects legends of panels; this one speaks of all panels alike.
    holder = figure.axes[0]
    for artist in [*holder.lines, *holder.collections]:
        artist.set_label("_")
    for handle in handles:
        holder.add_line(handle)
    describe(figure, title, note, legend_of=[holder], columns=columns)
