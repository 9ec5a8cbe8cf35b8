"""The method for those who name none."""

from orderparam.contract import Method
from orderparam.mixtures.methods.saddle import SaddlePoint
from orderparam.mixtures.methods.sampled import SampledWeights
from orderparam.mixtures.problem import MixtureERM


def default_method(problem: MixtureERM) -> Method:
    """The saddle-point equations by iteration, with draws where averages are not closed."""
    return SampledWeights() if problem.needs_sampling else SaddlePoint()
