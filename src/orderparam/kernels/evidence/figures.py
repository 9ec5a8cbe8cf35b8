"""Figures of kernel evolution: losses, kernels, alignment, deviations and single-site fields.

Every function takes pairs of theory and experiment, one for each case of a study, and returns a
matplotlib figure that is neither shown nor saved.
"""

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import xarray as xr

from orderparam.kernels.evidence.captions import BANDS, SYMBOLS, activation_text, model_text
from orderparam.kernels.evidence.figures_grid import entry_scatter, loss_grid, width_grid
from orderparam.kernels.evidence.figures_limits import limits
from orderparam.kernels.evidence.figures_neurons import first_steps, kurtosis, site_laws
from orderparam.kernels.evidence.figures_strength import method_errors, silent_growth, strength
from orderparam.plots.curves import curve_axis, run_curves, theory_curve
from orderparam.plots.deviation import deviations, draw_deviation, draw_guide
from orderparam.plots.figure_kind import FigureKind
from orderparam.plots.heatmaps import heat_maps
from orderparam.plots.histogram import histograms
from orderparam.plots.style import colour, describe, panels, styled
from orderparam.results.pair import Pair
from orderparam.support.later import Axes, Figure

_DEVIATING = {"loss": r"loss $\mathcal{L}$", "f": "$f$", "Phi": r"$\Phi^\ell$", "G": r"$G^\ell$"}


def _size(pairs: Sequence[Pair]) -> tuple[float, float]:
    """Size of a panel: a single one is wide enough for the note below it."""
    return (3.3, 3.0) if len(pairs) > 1 else (5.2, 3.4)


def _train(pair: Pair, kernel: xr.DataArray) -> tuple[np.ndarray, list[int]]:
    """A kernel on the train samples ordered by class, and where new classes begin."""
    theory = pair.theory
    train = np.flatnonzero(theory["split"].values == "train")
    target = theory["Delta"].isel(time=0).values + theory["f"].isel(time=0).values[train]
    order = np.argsort(np.round(target, 9), kind="stable")
    boundaries = np.flatnonzero(np.diff(np.round(target[order], 9)) != 0) + 1
    chosen = train[order]
    return kernel.values[np.ix_(chosen, chosen)], boundaries.tolist()


@styled
def loss_curves(pairs: Sequence[Pair]) -> Figure:
    """Loss over time: the theory with its error band, and networks of every width."""
    figure, axes = panels(1, len(pairs), size=_size(pairs), sharey=True)
    for panel, pair in zip(axes[0], pairs, strict=True):
        for index, width in enumerate(pair.sizes):
            count = pair.runs("loss", width).sizes["seed"]
            label = f"networks, N = {width} ({count} seeds)"
            run_curves(panel, pair, "loss", width, colour=colour(index), label=label)
        theory_curve(panel, pair, "loss", label=r"theory, N → ∞")
        panel.set(yscale="log", xlabel=curve_axis(pair.theory["loss"])[1], title=pair.label)
    axes[0, 0].set_ylabel(r"loss $\mathcal{L} = \frac{1}{2P}\sum_\mu (f_\mu - y_\mu)^2$")
    note = f"{model_text(pairs[0])}\n{BANDS}"
    describe(figure, "Training loss", note, legend_of=axes[0].tolist(), columns=max(2, len(pairs)))
    return figure


@styled
def kernel_maps(pairs: Sequence[Pair]) -> Figure:
    """The NTK and the last layer's kernel before and after training, beside the networks'."""
    (pair,) = pairs
    sides: list[tuple[str, Callable[[str], xr.DataArray]]] = [("theory", lambda n: pair.theory[n])]
    if pair.sizes:
        width = pair.sizes[-1]
        sides.append((f"N = {width}", lambda n: pair.runs(n, width).mean("seed")))
    last = int(pair.theory["layer"].values[-1])
    kernels = {"ntk": "NTK  $K$", "Phi": rf"feature kernel  $\Phi^{{{last}}}$"}
    figure, axes = panels(2, 2 * len(sides), size=(2.3, 2.3), sharex=True, sharey=True)
    for row, (name, label) in enumerate(kernels.items()):
        matrices, boundaries = [], []
        for column, (when, (side, get)) in enumerate((w, s) for w in (0, -1) for s in sides):
            kernel = get(name).isel(time=when)
            kernel = kernel.sel(layer=last) if "layer" in kernel.dims else kernel
            matrix, boundaries = _train(pair, kernel)
            matrices.append(matrix)
            axes[row, column].set_title(f"{side}, step {int(kernel['time'])}")
            axes[1, column].set_xlabel(r"sample $\nu$")
        heat_maps(figure, axes[row].tolist(), matrices, label=label, boundaries=boundaries)
        axes[row, 0].set_ylabel(r"sample $\mu$")
    note = "samples ordered by class, thin lines between classes; networks: mean over seeds"
    describe(
        figure, f"Kernels before and after training, {pair.label}", f"{model_text(pair)}; {note}"
    )
    return figure


@styled
def alignment(pairs: Sequence[Pair]) -> Figure:
    """Alignment of the NTK and of the last layer's kernel with the targets, over time."""
    last = int(pairs[0].theory["layer"].values[-1])
    shown: dict[str, tuple[str, dict[str, object]]] = {
        "alignment": (r"NTK alignment  $A = y^\top K y \,/\, (\|K\|_F\, |y|^2)$", {}),
        "Phi_alignment": (rf"alignment of $\Phi^{{{last}}}$ with $y y^\top$", {"layer": last}),
    }
    figure, axes = panels(1, len(shown), size=(4.0, 3.0))
    for panel, (name, (label, select)) in zip(axes[0], shown.items(), strict=True):
        for index, pair in enumerate(pairs):
            style = {"colour": colour(index), **select}
            theory_curve(panel, pair, name, label=f"{pair.label}, theory", **style)
            if pair.sizes:
                width = pair.sizes[-1]
                text = f"{pair.label}, N = {width}"
                run_curves(panel, pair, name, width, label=text, **style)
        panel.set(xlabel=curve_axis(pairs[0].theory[name])[1], ylabel=label)
    note = f"{model_text(pairs[0])}\n{BANDS}"
    title = "Alignment of the kernels with the targets"
    describe(figure, title, note, legend_of=axes[0].tolist(), columns=len(pairs))
    return figure


@styled
def deviation(pairs: Sequence[Pair]) -> Figure:
    """Deviation of single networks from the theory against width, with fitted slopes."""
    figure, axes = panels(1, len(pairs), size=(_size(pairs)[0], 4.2), sharey=True)
    for panel, pair in zip(axes[0], pairs, strict=True):
        measured = {name: deviations(pair, name) for name in _DEVIATING}
        for index, (name, symbol) in enumerate(_DEVIATING.items()):
            draw_deviation(panel, measured[name], index, symbol)
        draw_guide(panel, measured["Phi"])
        panel.set(xscale="log", yscale="log", xlabel="width $N$", title=pair.label)
        panel.set_xticks(pair.sizes, [str(width) for width in pair.sizes])
        panel.minorticks_off()
        panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22))
    axes[0, 0].set_ylabel("relative rms deviation from theory")
    note = (
        "filled: single networks, rms over time and entries, slope with 95 % interval\n"
        "open: mean over seeds, where its error allows"
    )
    describe(figure, "Deviation of networks from the theory", f"{model_text(pairs[0])}\n{note}")
    return figure


@styled
def field_histograms(pairs: Sequence[Pair]) -> Figure:
    """Distribution of preactivations before and after training in every layer."""
    (pair,) = pairs
    fields = pair.theory["h"]
    layers = fields["layer"].values.tolist()
    times = fields["field_time"].values.tolist()
    figure, axes = panels(len(times), len(layers), size=(2.8, 2.2), sharex="col")
    train = np.flatnonzero(pair.theory["split"].values == "train")
    for row, column in np.ndindex(axes.shape):
        at = {"field_time": times[row], "layer": layers[column]}
        neurons = None
        if pair.experiment is not None and "h" in pair.experiment:
            neurons = pair.experiment["h"].sel(at).isel(sample=train).values.ravel()
        samples = fields.sel(at).isel(sample=train).values.ravel()
        label = f"neurons, N = {pair.sizes[-1]}" if pair.sizes else ""
        panel = cast(Axes, axes[row, column])
        histograms(panel, samples[np.isfinite(samples)], neurons, neuron_label=label)
        panel.set_title(f"layer {layers[column]}, step {times[row]}")
        if row == len(times) - 1:
            panel.set_xlabel(rf"preactivation $h^{{{layers[column]}}}$")
        panel.set_ylabel("density" if column == 0 else "")
    title = f"Single-site distributions, {pair.label}"
    note = f"{model_text(pair)}; pooled over all train samples"
    describe(figure, title, note, legend_of=axes[0].tolist())
    return figure


__all__ = ["FIGURES", "SYMBOLS", "activation_text"]

FIGURES: dict[str, FigureKind] = {
    "loss": FigureKind(loss_curves, "Loss over time.", needs=("loss",)),
    "kernels": FigureKind(
        kernel_maps, "Kernels before and after training.", True, ("ntk", "Phi", "Delta", "f")
    ),
    "alignment": FigureKind(
        alignment, "Alignment over time.", needs=("alignment", "Phi_alignment")
    ),
    "deviation": FigureKind(
        deviation, "Deviation against width.", needs=tuple(_DEVIATING), runs=True
    ),
    "fields": FigureKind(field_histograms, "Distributions of the fields.", True, ("h",)),
    "loss-grid": FigureKind(loss_grid, "Loss at every depth and strength.", needs=("loss",)),
    "widths": FigureKind(width_grid, "Deviation against width, all cases.", runs=True),
    "entries": FigureKind(entry_scatter, "Networks against theory, entry by entry.", runs=True),
    "strength": FigureKind(
        strength,
        "Speed and alignment against feature-learning strength.",
        needs=("alignment", "Phi_alignment"),
    ),
    "silent": FigureKind(
        silent_growth, "Alignment before the loss falls.", needs=("Phi", "Phi_alignment")
    ),
    "method-errors": FigureKind(method_errors, "Error of every method.", runs=True),
    "sites": FigureKind(site_laws, "Laws of single neurons.", True, ("h", "z")),
    "kurtosis": FigureKind(kurtosis, "Non-Gaussian neurons.", needs=("h", "z")),
    "first-steps": FigureKind(first_steps, "The first steps of one hidden layer."),
    "limits": FigureKind(limits, "Which networks tend to which limit.", runs=True),
}
