"""Figures: one style, and one function per kind of figure."""

from orderparam.plots.comparison import comparison_figure
from orderparam.plots.figure_kind import FigureKind
from orderparam.plots.overview import curves_figure
from orderparam.plots.style import export

__all__ = ["FigureKind", "comparison_figure", "curves_figure", "export"]
