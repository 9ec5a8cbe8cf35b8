"""The figure of parameterizations: which networks tend to which limit."""

from collections.abc import Sequence

import numpy as np

from orderparam.kernels.evidence.captions import METHODS, gamma0, gamma_text, method, model_text
from orderparam.kernels.evidence.claims_limits import SLOPES, movements, without_input_layer
from orderparam.kernels.evidence.measures import parameterization
from orderparam.plots.curves import curve_axis, run_curves
from orderparam.plots.style import THEORY, colour, describe, marker, panels, styled
from orderparam.results.pair import Pair
from orderparam.support.later import Figure

TITLES = {"mean_field": "mean-field (μP)", "ntk": "NTK", "standard": "standard"}


@styled
def limits(pairs: Sequence[Pair]) -> Figure:
    """Loss of every parameterization beside the theories, and how the tangent kernel moves."""
    strongest = max(map(gamma0, pairs))
    main = [pair for pair in pairs if gamma0(pair) == strongest]
    kinds = [k for k in SLOPES if any(parameterization(p) == k for p in main)]
    figure, axes = panels(1, len(kinds) + 1, size=(3.0, 3.1))
    theories = {method(pair): pair for pair in main}
    for index, (panel, kind) in enumerate(zip(axes[0], kinds, strict=False)):
        pair = next(p for p in main if parameterization(p) == kind)
        for i, width in enumerate(pair.sizes):
            label = f"networks, N = {width}"
            run_curves(panel, pair, "loss", width, colour=colour(i + 3), label=label)
        curves = {name: (p.theory, METHODS[name]) for name, p in theories.items()}
        if "static-ntk" in theories and kind == "standard":
            still = without_input_layer(theories["static-ntk"].theory)
            curves["still"] = (still, "static NTK without its input layer")
        for style, (theory, text) in zip(("-", (0, (1, 1)), "-."), curves.values(), strict=False):
            times, label = curve_axis(theory["loss"])
            panel.plot(times, theory["loss"].values, color=THEORY, linestyle=style, label=text)
        panel.set(yscale="log", title=TITLES[kind], xlabel=r"training time $\eta\,t$")
        panel.sharey(axes[0, 0])
        _movement(axes[0, -1], pair, index)
    axes[0, 0].set_ylabel(r"loss $\mathcal{L}$")
    panel = axes[0, -1]
    panel.set(xscale="log", yscale="log", xlabel="width $N$", title="movement of the NTK")
    panel.set_xticks(main[0].sizes, [str(width) for width in main[0].sizes])
    panel.minorticks_off()
    panel.set_ylabel(r"$\|K(T) - K(0)\| \,/\, \|K(0)\|$")
    panel.legend()
    note = f"{model_text(main[0])}, {gamma_text(strongest)} in mean-field\n" \
           "bands and bars: networks from lowest to highest over seeds"  # fmt: skip
    title = "Parameterization decides the limit"
    describe(figure, title, note, legend_of=axes[0, :-1].tolist(), columns=3)
    return figure


def _movement(panel, pair: Pair, index: int) -> None:
    """Movement of the tangent kernel against width."""
    moved = movements(pair)
    widths = np.array(list(moved))
    mean = np.array([values.mean() for values in moved.values()])
    ends = [[mean[i] - v.min(), v.max() - mean[i]] for i, v in enumerate(moved.values())]
    kind = parameterization(pair)
    panel.errorbar(
        widths, mean, yerr=np.array(ends).T, color=colour(index), marker=marker(index),
        linestyle="none", capsize=2, markersize=5, label=TITLES[kind],
    )  # fmt: skip
    middle = np.exp(np.mean(np.log(mean) - SLOPES[kind] * np.log(widths)))
    panel.plot(widths, middle * widths ** SLOPES[kind], color=colour(index), linestyle=":", lw=1)
