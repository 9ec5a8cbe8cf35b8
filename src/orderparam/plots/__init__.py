"""Figures: one style, and one function per kind of figure."""

from orderparam.plots.comparison import comparison_figure
from orderparam.plots.pair import Pair
from orderparam.plots.style import export

__all__ = ["Pair", "comparison_figure", "export"]
