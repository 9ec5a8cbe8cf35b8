"""A Gaussian mixture at a glance."""

from orderparam.mixtures.evidence.figures import roc
from orderparam.plots import curves_figure
from orderparam.plots.overview import axis_of
from orderparam.results import Pair, Solution
from orderparam.support.later import Figure

_SHOWN = ("test_error", "train_error", "train_loss", "Q", "m", "V")


def overview(solution: Solution) -> Figure:
    """Errors, loss and overlaps along what was varied, or over the steps of message passing.

    A theory of two classes at one point has no curve; its decisions are drawn instead.
    """
    single = not any(axis_of(solution, name) for name in _SHOWN if name in solution)
    decides = "test_error" in solution and "output" not in solution.dataset.dims
    if single and decides and solution.kind == "theory":
        return roc([Pair(solution)])
    return curves_figure(solution, _SHOWN)
