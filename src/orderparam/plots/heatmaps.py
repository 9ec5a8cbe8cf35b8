"""Matrices over pairs of samples as images on one shared colour scale."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from orderparam.plots.style import DIVERGING
from orderparam.support.later import Axes, Figure, mpl_colors


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
        for boundary in boundaries:
            panel.axhline(boundary - 0.5, color="black", linewidth=0.6)
            panel.axvline(boundary - 0.5, color="black", linewidth=0.6)
        for side in ("top", "right"):
            panel.spines[side].set_visible(True)
    if image is not None:
        bar = figure.colorbar(image, ax=list(axes), shrink=0.85, pad=0.015, aspect=18)
        bar.set_label(label)
