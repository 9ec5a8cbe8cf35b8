"""Fluctuations at a glance."""

from orderparam.plots import curves_figure
from orderparam.results import Solution
from orderparam.support.later import Figure

_THEORY = ("loss", "test_loss", "f_nvar", "f_shift", "loss_nvar", "loss_shift")
_NETWORKS = ("loss", "test_loss", "f", "alignment")


def overview(solution: Solution) -> Figure:
    """Losses, variances and shifts over time; of networks losses, predictions and alignment."""
    return curves_figure(solution, _THEORY if solution.kind == "theory" else _NETWORKS)
