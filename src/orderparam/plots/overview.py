"""A result at a glance: its curves with their errors, a panel for each variable."""

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from orderparam.errors import UnsupportedCombination
from orderparam.plots.curves import curve_axis, run_curves, theory_curve
from orderparam.plots.style import THEORY, colour, describe, panels, styled
from orderparam.results.pair import Pair
from orderparam.results.sizes import SIZES
from orderparam.results.solution import Solution
from orderparam.support.later import Axes, Figure

BANDS = {
    "theory": "bands: ± 2 errors (standard error and known bias)",
    "experiment": "lines: mean over seeds; bands: lowest to highest",
}
_ALONG = ("time", "alpha", "strength")
_MOST_PANELS = 6
_MOST_CURVES = 6
_DECADES = 2.0  # of positive values above which an axis is logarithmic


@styled
def curves_figure(solution: Solution, names: Sequence[str] | None = None) -> Figure:
    """Draw variables along time, or along what else was varied, one panel each.

    Entries of a variable (overlaps, clusters) are curves of their own, up to six of them. A theory
    has a band of two errors; of an experiment the mean over seeds and the range are drawn.

    Args:
        solution: A theory or an experiment.
        names: Which variables, in this order, where the result has them; `None` for the first six
            that can be drawn.

    Returns:
        A figure, neither shown nor saved.

    Raises:
        UnsupportedCombination: If no variable depends on a number that varies.
    """
    wanted = solution.variables if names is None else names
    drawn = [n for n in wanted if n in solution and axis_of(solution, n)][:_MOST_PANELS]
    if not drawn:
        raise nothing_to_draw(solution)
    columns = 2 if len(drawn) == 4 else min(3, len(drawn))
    figure, grid = panels(-(-len(drawn) // columns), columns, size=(3.3, 2.8))
    for place, axes in enumerate(grid.ravel()):
        if place >= len(drawn):
            axes.remove()
            continue
        draw_variable(axes, solution, drawn[place])
    describe(figure, heading(solution), BANDS[solution.kind])
    return figure


def nothing_to_draw(solution: Solution) -> UnsupportedCombination:
    """The error of a result without curves."""
    return UnsupportedCombination(
        f"This result of {solution.family} has no variable that depends on time or on another "
        "number that varies, so there is nothing to draw; print it, or solve at several values."
    )


def heading(solution: Solution) -> str:
    """Family and kind of a result, and its verdict where that is not a good one."""
    text = f"{solution.family}, {solution.kind}"
    return text if solution.verdict.ok else f"{text}; verdict: {solution.verdict.value}"


def axis_of(solution: Solution, name: str) -> str:
    """The dimension along which a variable is a curve; empty where there is none."""
    variable = solution[name]
    if variable.dtype.kind not in "iuf":
        return ""
    dims = [dim for dim in _ALONG if dim in variable.dims]
    return next((dim for dim in dims if variable.sizes[dim] > 1), "")


def draw_variable(axes: Axes, solution: Solution, name: str) -> None:
    """Draw all entries of a variable along its axis, with labels.

    Args:
        axes: Where to draw.
        solution: Holds the variable.
        name: A variable for which `axis_of` is not empty.
    """
    along = axis_of(solution, name)
    chosen = _entries(solution, name, along)
    for index, entry in enumerate(chosen[:_MOST_CURVES]):
        shade = THEORY if len(chosen) == 1 else colour(index)
        draw_entry(axes, solution, name, shade, _values(entry), **entry)
    attrs = solution[name].attrs
    some = f", first {_MOST_CURVES} of {len(chosen)}" if len(chosen) > _MOST_CURVES else ""
    axes.set_title(textwrap.fill(f"{attrs.get('long_name') or name}{some}", 38))
    axes.set_ylabel(f"${attrs['symbol']}$" if attrs.get("symbol") else name)
    first = solution[name].isel({d: 0 for d in solution[name].dims if d != along})
    axes.set_xlabel(curve_axis(first)[1])
    if along == "strength":
        axes.set_xscale("log")
    if along == "time":
        _scale(axes, solution[name].values)
    if axes.get_legend_handles_labels()[1]:
        title = ", ".join(dim.rstrip("_") for dim in chosen[0])
        axes.legend(title=title or None, ncols=2 if len(chosen) > 3 else 1, title_fontsize=8)


def draw_entry(
    axes: Axes, solution: Solution, name: str, shade: str, label: str, **entry: Any
) -> None:
    """One curve of a theory; of an experiment one curve for each size, or for the largest."""
    if solution.kind == "theory":
        theory_curve(axes, Pair(solution), name, colour=shade, label=label, **entry)
        return
    pair = Pair(solution, solution)  # only its runs are drawn
    sizes = pair.sizes if shade == THEORY else pair.sizes[-1:]
    for index, size in enumerate(sizes):
        text = ", ".join(part for part in (label, f"{pair.size} {size}") if part)
        one = colour(index) if shade == THEORY else shade
        run_curves(axes, pair, name, size, colour=one, label=text, **entry)


def _entries(solution: Solution, name: str, along: str) -> list[dict[str, Any]]:
    """Coordinates of every curve; of symmetric pairs of indices each is taken once."""
    variable = solution[name]
    free = [str(d) for d in variable.dims if d not in (along, "seed", *SIZES)]
    found = []
    for place in np.ndindex(*(variable.sizes[dim] for dim in free)):
        at = dict(zip(free, place, strict=True))
        if any(at[dim] > at[f"{dim}_"] for dim in free if f"{dim}_" in at):
            continue
        found.append({dim: variable[dim].values[i] for dim, i in at.items()})
    return found


def _values(entry: dict[str, Any]) -> str:
    """The coordinates of an entry, as its legend lists them."""
    numbers = (np.issubdtype(type(value), np.number) for value in entry.values())
    return ", ".join(
        f"{value:g}" if number else str(value)
        for value, number in zip(entry.values(), numbers, strict=True)
    )


def _scale(axes: Axes, values: np.ndarray) -> None:
    """A logarithmic axis where positive values span decades."""
    finite = values[np.isfinite(values)]
    if finite.size and finite.min() > 0 and np.log10(finite.max() / finite.min()) > _DECADES:
        axes.set_yscale("log")
