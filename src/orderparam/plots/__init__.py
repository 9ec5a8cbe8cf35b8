"""Figures: one style, and one function per kind of figure."""

from orderparam.plots.comparison import comparison_figure
from orderparam.plots.figure_kind import FigureKind
from orderparam.plots.pair import Pair
from orderparam.plots.style import export

__all__ = ["FigureKind", "Pair", "comparison_figure", "export"]
