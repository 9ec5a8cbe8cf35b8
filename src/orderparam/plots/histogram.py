"""Distributions of a single site: the theory's samples and the neurons of a network."""

import numpy as np
from jaxtyping import Float

from orderparam.plots.style import THEORY, colour
from orderparam.support.later import Axes


def histograms(
    axes: Axes,
    theory: Float[np.ndarray, " site"],
    neurons: Float[np.ndarray, " neuron"] | None,
    *,
    neuron_label: str,
    bins: int = 60,
) -> None:
    """Draw two densities over common bins that hold all but the outermost 0.1 % of the theory.

    Args:
        axes: Where to draw.
        theory: Samples of the single-site process, drawn as a black outline.
        neurons: Values at the neurons, drawn filled; `None` without an experiment.
        neuron_label: Names the network in the legend.
        bins: Number of bins.
    """
    low, high = np.quantile(theory, [0.0005, 0.9995])
    margin = 0.05 * (high - low) or 1.0
    edges = np.linspace(low - margin, high + margin, bins + 1)
    if neurons is not None:
        axes.hist(
            neurons, edges, density=True, color=colour(2), alpha=0.45, label=neuron_label, zorder=1
        )
    axes.hist(
        theory, edges, density=True, histtype="step", color=THEORY, linewidth=1.3, zorder=2,
        label="theory, single-site samples",
    )  # fmt: skip
