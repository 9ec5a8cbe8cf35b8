"""The one style of all figures: sizes, fonts, colours, and how a figure is made and exported.

Figures are made on the Agg canvas without pyplot, so nothing is shown, saved or kept globally.
"""

import functools
import io
from collections.abc import Callable, Sequence
from typing import Any, Literal, ParamSpec, TypeVar

import numpy as np

from orderparam.support.later import Axes, Figure, matplotlib, mpl_agg, mpl_figure

Parameters = ParamSpec("Parameters")
Drawn = TypeVar("Drawn")

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.formatter.useoffset": False,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "figure.titlesize": 11,
    "figure.dpi": 110,
    "savefig.dpi": 200,
    "svg.hashsalt": "orderparam",  # the same figure gives the same file
}
# Okabe and Ito's colours, told apart by people with any common colour vision; theory is black.
THEORY = "#000000"
COLOURS = ("#E69F00", "#009E73", "#0072B2", "#CC79A7", "#56B4E9", "#D55E00")
MARKERS = ("o", "s", "^", "D", "v", "P")
DIVERGING = "RdBu_r"
NOTE = "#555555"


def styled(draw: Callable[Parameters, Drawn]) -> Callable[Parameters, Drawn]:
    """Run a drawing function in the library's style, leaving the caller's settings alone."""

    @functools.wraps(draw)
    def wrapped(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Drawn:
        with matplotlib.rc_context(STYLE):
            return draw(*args, **kwargs)

    return wrapped


def panels(
    rows: int, columns: int, *, size: tuple[float, float] = (3.2, 2.7), **options: Any
) -> tuple[Figure, np.ndarray]:
    """A figure with a grid of axes.

    Args:
        rows: Rows of panels.
        columns: Columns of panels.
        size: Width and height of one panel in inches.
        **options: Passed to `Figure.subplots`, such as `sharey=True`.

    Returns:
        The figure, and its axes as a (rows, columns) array.
    """
    figure = mpl_figure.Figure(
        figsize=(size[0] * columns, size[1] * rows + 0.6), layout="constrained"
    )
    mpl_agg.FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def describe(
    figure: Figure, title: str, note: str, *, legend_of: Sequence[Axes] = (), columns: int = 2
) -> None:
    """Put a title above a figure, and below it a note and one legend for all panels.

    Args:
        figure: The figure.
        title: What it shows.
        note: Model, settings and the meaning of bands, in lines that fit the figure.
        legend_of: Panels whose entries the legend collects, without repetitions.
        columns: Columns of the legend.
    """
    figure.suptitle(title)
    entries: dict[str, Any] = {}
    for panel in legend_of:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    if not entries:
        figure.supxlabel(note, fontsize=7.5, color=NOTE)
        return
    # The note is the legend's title, because the layout keeps no room for both otherwise.
    legend = figure.legend(
        list(entries.values()), list(entries), loc="outside lower center", ncols=columns,
        title=note, title_fontsize=7.5,
    )  # fmt: skip
    legend.get_title().set(color=NOTE, multialignment="center")


def colour(index: int) -> str:
    """The colour of the series with this index; they repeat after six."""
    return COLOURS[index % len(COLOURS)]


def marker(index: int) -> str:
    """The marker of the series with this index; they repeat after six."""
    return MARKERS[index % len(MARKERS)]


def export(figure: Figure, kind: Literal["png", "svg"]) -> bytes:
    """The figure as the bytes of a PNG or SVG file, free of dates."""
    buffer = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format=kind, metadata=metadata)
    return buffer.getvalue()
