"""Curves along one dimension: theory with its error band, runs with their range over seeds."""

import numpy as np
import xarray as xr

from orderparam.plots.style import THEORY
from orderparam.results.pair import Pair
from orderparam.support.later import Axes


def curve_axis(variable: xr.DataArray) -> tuple[np.ndarray, str]:
    """Values and label of the axis along which a variable is a curve.

    For time this is learning rate times step where that is known.
    """
    if "eta_t" in variable.coords:
        return variable["eta_t"].values, r"training time $\eta\,t$  (learning rate × steps)"
    coordinate = variable[next(str(dim) for dim in variable.dims if dim != "seed")]
    name, units = (coordinate.attrs.get(key, "") for key in ("long_name", "units"))
    label = name or str(coordinate.name)
    return coordinate.values, f"{label}  ({units})" if units else label


def theory_curve(
    axes: Axes, pair: Pair, name: str, *, colour: str = THEORY, label: str, **select: object
) -> None:
    """Draw a variable of the theory with a band of two errors: standard error and known bias.

    Args:
        axes: Where to draw.
        pair: Holds the theory.
        name: A variable that depends on one dimension and on what `select` fixes.
        colour: Of line and band.
        label: In the legend.
        **select: Values of the other coordinates, such as `layer=3`.
    """
    variable = pair.theory[name]
    error = pair.theory.error(name).sel(select).values
    times, _ = curve_axis(variable.sel(select))
    mean = variable.sel(select).values
    axes.plot(times, mean, color=colour, label=label, zorder=3)
    axes.fill_between(
        times, mean - 2 * error, mean + 2 * error, color=colour, alpha=0.25, linewidth=0, zorder=2
    )


def run_curves(
    axes: Axes, pair: Pair, name: str, size: int, *, colour: str, label: str, **select: object
) -> None:
    """Draw the mean over runs of one size, and the range between lowest and highest.

    Args:
        axes: Where to draw.
        pair: Holds the experiment.
        name: A variable that depends on one dimension and on what `select` fixes.
        size: One of the experiment's sizes.
        colour: Of line and band.
        label: In the legend.
        **select: Values of the other coordinates.
    """
    runs = pair.runs(name, size).sel(select)
    times, _ = curve_axis(runs)
    values = runs.transpose("seed", ...).values
    axes.plot(times, values.mean(axis=0), color=colour, linestyle=(0, (4, 2)), label=label)
    axes.fill_between(
        times, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.2, linewidth=0
    )
