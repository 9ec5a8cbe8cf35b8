"""The figure of the toy family."""

from orderparam.plots import FigureKind
from orderparam.plots.curves import theory_curve
from orderparam.plots.style import panels

SYMBOLS = {"rate": "r"}


def curve(pairs):
    figure, axes = panels(1, 1)
    for pair in pairs:
        theory_curve(axes[0, 0], pair, "loss", label=pair.label)
    return figure


FIGURES = {
    "curve": FigureKind(curve, "The curve."),
    "each": FigureKind(curve, "One curve.", each_case=True),
    "impossible": FigureKind(curve, "Never drawn.", needs=("missing",)),
}
