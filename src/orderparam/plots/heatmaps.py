"""Matrices over pairs of samples as images on one shared colour scale."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Shaped

from orderparam.plots.style import DIVERGING
from orderparam.support.later import Axes, Figure, mpl_colors, mpl_ticker


def heat_maps(
    figure: Figure,
    axes: Sequence[Axes],
    matrices: Sequence[Float[np.ndarray, "sample sample"]],
    *,
    label: str,
    boundaries: Sequence[int] = (),
) -> None:
    """Draw matrices beside each other with one colour bar.

    The scale is symmetric about zero (white) where entries have both signs, so that a sign can be
    seen, and starts at zero otherwise.

    Args:
        figure: Holds the axes.
        axes: One for each matrix.
        matrices: What to draw; rows run downwards.
        label: Symbol and meaning of the entries, written at the colour bar.
        boundaries: Indices before which a new class begins, drawn as thin lines.
    """
    low = min(float(np.nanmin(matrix)) for matrix in matrices)
    high = max(float(np.nanmax(matrix)) for matrix in matrices)
    bound = max(abs(low), abs(high)) or 1.0
    scale = mpl_colors.Normalize(-bound, bound)
    image = None
    for panel, matrix in zip(axes, matrices, strict=True):
        image = panel.imshow(
            matrix, cmap=DIVERGING, norm=scale, interpolation="nearest", aspect="equal"
        )
        _count_on(panel)
        for boundary in boundaries:
            panel.axhline(boundary - 0.5, color="black", linewidth=0.6)
            panel.axvline(boundary - 0.5, color="black", linewidth=0.6)
        for side in ("top", "right"):
            panel.spines[side].set_visible(True)
    if image is not None:
        bar = figure.colorbar(image, ax=list(axes), shrink=0.85, pad=0.015, aspect=18)
        bar.set_label(label)


def time_map(
    figure: Figure,
    axes: Axes,
    times: Shaped[np.ndarray, " time"],
    kernel: Float[np.ndarray, "time time"],
    label: str,
) -> None:
    """Draw a matrix over pairs of steps, with a colour bar over its own range.

    Args:
        figure: Holds the axes.
        axes: Where to draw.
        times: The steps, which need not be evenly spaced.
        kernel: Its entries, rows upwards.
        label: Symbol of the entries, written at the colour bar.
    """
    image = axes.pcolormesh(times, times, kernel, cmap="viridis", shading="nearest")
    image.set_rasterized(True)
    _count_on(axes)
    axes.set(xlabel="step $s$", ylabel="step $t$", aspect="equal")
    figure.colorbar(image, ax=axes, shrink=0.85, pad=0.02).set_label(label)


def _count_on(axes: Axes) -> None:
    """Ticks at whole numbers: samples and steps have no halves."""
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(mpl_ticker.MaxNLocator("auto", integer=True))
