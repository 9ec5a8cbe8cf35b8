"""One-pass SGD at a glance."""

from orderparam.plots import curves_figure
from orderparam.results import Solution
from orderparam.support.later import Figure


def overview(solution: Solution) -> Figure:
    """Loss, overlaps, alignment and, where it is trained, the second layer over time."""
    return curves_figure(solution, ("loss", "Q", "M", "alignment", "A"))
