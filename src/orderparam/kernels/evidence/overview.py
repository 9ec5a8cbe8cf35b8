"""Kernel evolution at a glance: loss, kernels first and last, two-time kernels, fields."""

import numpy as np
import xarray as xr
from jaxtyping import Float

from orderparam.kernels.evidence.captions import model_text
from orderparam.plots.heatmaps import heat_maps, time_map
from orderparam.plots.overview import BANDS, draw_entry, draw_variable, heading
from orderparam.plots.style import COLOURS, THEORY, colour, describe, panels, styled
from orderparam.results import Pair, Solution
from orderparam.support.later import Axes, Figure

_KERNELS = {"ntk": "NTK  $K$", "Phi": r"feature kernel  $\Phi^{{{0}}}$"}
_CURVES = ("loss", "alignment")
_TWO_TIME = {"Phi_two": r"$\Phi^{{{0}}}(t, s)$", "G_two": r"$G^{{{0}}}(t, s)$"}
_FIELDS = {"h": r"preactivation $h^{{{0}}}$", "z": r"backward field $z^{{{0}}}$"}


@styled
def overview(solution: Solution) -> Figure:
    """Everything a user looks at first, of theory or networks, on one page.

    Two rows: loss and alignment over time; tangent kernel and the last layer's feature kernel at
    the first and last saved step; where they were kept, the last layer's two-time kernels, averaged
    over samples, and the densities of its fields, pooled over samples.

    Args:
        solution: A theory, or networks, whose kernels are averaged over the seeds of the widest.

    Returns:
        A figure, neither shown nor saved.
    """
    last = int(solution["layer"].values[-1])
    extra = [names for names in (_TWO_TIME, _FIELDS) if any(name in solution for name in names)]
    figure, grid = panels(2, 3 + len(extra), size=(2.9, 2.6))
    for row, name in enumerate(_CURVES):
        _over_time(grid[row, 0], solution, name)
    for row, (name, label) in enumerate(_KERNELS.items()):
        _first_and_last(figure, list(grid[row, 1:3]), solution, name, label.format(last), last)
    for column, names in enumerate(extra, start=3):
        for row, (name, label) in enumerate(names.items()):
            if name not in solution:
                grid[row, column].remove()
            elif names is _TWO_TIME:
                _two_time(figure, grid[row, column], solution, name, label.format(last))
            else:
                _densities(grid[row, column], solution.dataset[name], label.format(last))
    parts = [model_text(Pair(solution)), BANDS[solution.kind]]
    if solution.kind == "experiment":
        parts.append("kernels: mean over seeds of the widest networks")
    describe(figure, heading(solution), "; ".join(parts))
    return figure


def _over_time(axes: Axes, solution: Solution, name: str) -> None:
    """A curve; beside the training loss stands the test loss."""
    if name not in solution:
        axes.remove()
        return
    draw_variable(axes, solution, name)
    if name == "loss" and "test_loss" in solution and solution.kind == "theory":
        axes.lines[0].set_label("training")
        draw_entry(axes, solution, "test_loss", colour(0), "test")
        axes.legend()


def _mean(solution: Solution, name: str) -> xr.DataArray:
    """A variable of the theory, or its mean over the widest networks; outputs averaged."""
    values = solution[name]
    if solution.kind == "experiment":
        pair = Pair(solution, solution)  # only its runs are asked for
        values = pair.runs(name, pair.sizes[-1]).mean("seed")
    if "output" in values.dims and "output_" in values.dims:
        same = xr.DataArray(np.arange(values.sizes["output"]), dims="same")
        values = values.isel(output=same, output_=same).mean("same")
    return values


def _first_and_last(
    figure: Figure, axes: list[Axes], solution: Solution, name: str, label: str, last: int
) -> None:
    """A kernel over pairs of samples at the first and at the last saved step."""
    kernel = _mean(solution, name)
    kernel = kernel.sel(layer=last) if "layer" in kernel.dims else kernel
    for panel, when in zip(axes, (0, -1), strict=True):
        panel.set_title(f"step {int(kernel['time'].values[when])}")
        panel.set_xlabel(r"sample $\nu$")
    axes[0].set_ylabel(r"sample $\mu$")
    matrices = [kernel.isel(time=when).values for when in (0, -1)]
    heat_maps(figure, axes, matrices, label=label)


def _two_time(figure: Figure, axes: Axes, solution: Solution, name: str, label: str) -> None:
    """A two-time kernel of the last layer, averaged over samples."""
    kernel = _mean(solution, name).isel(layer=-1)
    same = xr.DataArray(np.arange(kernel.sizes["sample"]), dims="same")
    kernel = kernel.isel(sample=same, sample_=same).mean("same").transpose("time", "time_")
    time_map(figure, axes, kernel["time"].values, kernel.values, label)
    axes.set_title("mean over samples")


def _densities(axes: Axes, fields: xr.DataArray, label: str) -> None:
    """Densities of a field of the last layer at every step that was kept."""
    fields = fields.isel(layer=-1)
    kept: list[Float[np.ndarray, " site"]] = []
    for when in range(fields.sizes["field_time"]):
        values = fields.isel(field_time=when).values.ravel()
        kept.append(values[np.isfinite(values)])
    low, high = np.quantile(np.concatenate(kept), [0.0005, 0.9995])
    edges = np.linspace(low, high, 61) if high > low else np.linspace(low - 0.5, low + 0.5, 61)
    shades = [THEORY, *COLOURS]
    for index, (step, values) in enumerate(zip(fields["field_time"].values, kept, strict=True)):
        axes.hist(
            values, edges, density=True, histtype="step", linewidth=1.3,
            color=shades[index % len(shades)], label=f"step {int(step)}",
        )  # fmt: skip
    axes.set(xlabel=label, ylabel="density")
    axes.legend()
