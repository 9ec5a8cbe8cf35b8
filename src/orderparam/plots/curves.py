"""Curves over time: the theory's line with its error band, networks with the range over seeds."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from orderparam.plots.pair import Pair, standard_error
from orderparam.plots.style import THEORY


def time_axis(variable: xr.DataArray) -> tuple[np.ndarray, str]:
    """Times of a variable and the label of that axis: learning rate times step where known."""
    if "eta_t" in variable.coords:
        return variable["eta_t"].values, r"training time $\eta\,t$  (learning rate × steps)"
    return variable["time"].values, "training time $t$  (steps)"


def theory_curve(
    axes: Axes, pair: Pair, name: str, *, colour: str = THEORY, label: str, **select: object
) -> None:
    """Draw a variable of the theory with a band of two standard errors.

    Args:
        axes: Where to draw.
        pair: Holds the theory.
        name: A variable that depends on time and on what `select` fixes.
        colour: Of line and band.
        label: In the legend.
        **select: Values of the other coordinates, such as `layer=3`.
    """
    variable = pair.theory[name]
    error = variable.copy(data=standard_error(pair.theory, name)).sel(select).values
    times, _ = time_axis(variable)
    mean = variable.sel(select).values
    axes.plot(times, mean, color=colour, label=label, zorder=3)
    axes.fill_between(
        times, mean - 2 * error, mean + 2 * error, color=colour, alpha=0.25, linewidth=0, zorder=2
    )


def network_curves(
    axes: Axes, pair: Pair, name: str, width: int, *, colour: str, label: str, **select: object
) -> None:
    """Draw the mean over networks of one width, and the range between lowest and highest.

    Args:
        axes: Where to draw.
        pair: Holds the experiment.
        name: A variable that depends on time and on what `select` fixes.
        width: One of the experiment's widths.
        colour: Of line and band.
        label: In the legend.
        **select: Values of the other coordinates.
    """
    runs = pair.networks(name, width).sel(select)
    times, _ = time_axis(runs)
    values = runs.transpose("seed", "time").values
    axes.plot(times, values.mean(axis=0), color=colour, linestyle=(0, (4, 2)), label=label)
    axes.fill_between(
        times, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.2, linewidth=0
    )
