"""Figures of single neurons: their distributions, and the first steps of one hidden layer."""

from collections.abc import Sequence

import numpy as np

from orderparam.kernels.evidence.captions import gamma0, model_text
from orderparam.kernels.evidence.measures import excess_kurtosis, field_block
from orderparam.kernels.theory.two_steps import first_predictions
from orderparam.plots.histogram import histograms
from orderparam.plots.style import THEORY, colour, describe, panels, styled
from orderparam.results.pair import Pair
from orderparam.support.later import Figure, stats


@styled
def site_laws(pairs: Sequence[Pair]) -> Figure:
    """Densities of h and z of the last layer at the saved steps, beside a Gaussian."""
    (pair,) = pairs
    layer = int(pair.theory["layer"].values[-1])
    times = pair.theory["field_time"].values.tolist()
    figure, axes = panels(2, len(times), size=(2.9, 2.2), sharex="row")
    grid = np.linspace(-5, 5, 400)
    for row, name in enumerate(("h", "z")):
        # The last layer's z is its readout weight, so z is shown in the first.
        at = layer if name == "h" else 1
        for column, time in enumerate(times):
            panel = axes[row, column]
            ours = _standard(field_block(pair.theory, name, at, time))
            theirs = None
            if pair.experiment is not None and name in pair.experiment:
                theirs = _standard(field_block(pair.experiment, name, at, time))
            label = f"neurons, N = {pair.sizes[-1]}" if pair.sizes else ""
            histograms(panel, ours.ravel(), None if theirs is None else theirs.ravel(),
                       neuron_label=label)  # fmt: skip
            panel.plot(grid, stats.norm.pdf(grid), color=colour(5), linestyle="--", linewidth=1,
                       label="Gaussian")  # fmt: skip
            value, se = excess_kurtosis(ours)
            panel.set_title(f"step {time}: excess kurtosis {value:.2f} ± {se:.2f}", fontsize=8.5)
            panel.set(xlim=(-4.5, 4.5), xlabel=rf"${name}^{{{at}}}$ / standard deviation")
        axes[row, 0].set_ylabel("density")
    note = f"{model_text(pair)}; pooled over training samples, each in its own units"
    title = f"Single-site distributions, {pair.label}"
    describe(figure, title, note, legend_of=axes[0].tolist(), columns=3)
    return figure


@styled
def kurtosis(pairs: Sequence[Pair]) -> Figure:
    """Excess kurtosis of h and z after training against gamma0, in every layer."""
    pairs = sorted(pairs, key=gamma0)
    layers = pairs[0].theory["layer"].values.tolist()
    figure, axes = panels(1, 2, size=(3.8, 3.0))
    x = np.array(list(map(gamma0, pairs)))
    for panel, name in zip(axes[0], ("h", "z"), strict=True):
        for index, layer in enumerate(layers):
            for side, label in ((0, "theory"), (1, f"neurons, N = {(pairs[0].sizes or [0])[-1]}")):
                solutions = [p.theory if side == 0 else p.experiment for p in pairs]
                values = [
                    excess_kurtosis(field_block(s, name, layer, int(s["field_time"].values[-1])))
                    for s in solutions
                    if s is not None
                ]
                if len(values) < len(x):
                    continue
                mean, se = np.array(values).T
                panel.errorbar(
                    x * 1.04 ** (side + index - 1), mean, yerr=2 * se, capsize=2, markersize=5,
                    color=colour(index), marker="o" if side else "_", mfc="none",
                    linestyle="none" if side else "-", label=f"layer {layer}, {label}",
                )  # fmt: skip
        panel.axhline(0, color=THEORY, linewidth=0.8, linestyle=":")
        panel.set(xscale="log", xlabel=r"feature-learning strength $\gamma_0$")
        panel.set_xticks(x, [f"{g:g}" for g in x])
        panel.minorticks_off()
        panel.set_ylabel(rf"excess kurtosis of ${name}^\ell$ after training")
    note = f"{model_text(pairs[0])}; mean over training samples; bars: 2 standard errors"
    title = "Feature learning makes single neurons non-Gaussian"
    describe(figure, title, note, legend_of=axes[0].tolist(), columns=2)
    return figure


@styled
def first_steps(pairs: Sequence[Pair]) -> Figure:
    """Predictions in the first steps: quadrature, theory and networks."""
    figure, axes = panels(1, len(pairs), size=(3.4, 3.0))
    for panel, pair in zip(axes[0], pairs, strict=True):
        f = pair.theory["f"]
        error = pair.theory.error("f").values
        steps = f["time"].values
        exact = first_predictions(pair.theory)
        for sample in range(exact.shape[1]):
            style = colour(sample)
            curve, bar = f.values[:, sample], 2 * error[:, sample]
            panel.plot(steps, curve, color=style, label=f"theory, sample {sample}")
            panel.fill_between(steps, curve - bar, curve + bar, color=style, alpha=0.3, lw=0)
            panel.plot(range(3), exact[:, sample], "x", color=THEORY, markersize=7, zorder=4,
                       label="two steps by quadrature")  # fmt: skip
            if pair.sizes:
                runs = pair.runs("f", pair.sizes[0]).isel(sample=sample)
                runs = runs.transpose("seed", "time").values
                panel.fill_between(
                    steps, runs.min(0), runs.max(0), color=style, alpha=0.25, lw=0,
                    label=f"networks, N = {pair.sizes[0]}, range over {len(runs)} seeds",
                )  # fmt: skip
        panel.set(xlabel="step of gradient descent", title=pair.label)
    axes[0, 0].set_ylabel(r"prediction $f_\mu$")
    title = "One hidden layer: the random process of a single neuron"
    describe(figure, title, model_text(pairs[0]), legend_of=axes[0].tolist(), columns=2)
    return figure


def _standard(field: np.ndarray) -> np.ndarray:
    """Each sample's field in units of its standard deviation."""
    return field / field.std(axis=1, keepdims=True)
