"""The method for those who name none."""

from orderparam.contract import Method
from orderparam.fluctuations.methods.influence import Influence
from orderparam.fluctuations.problem import FiniteWidth


def default_method(problem: FiniteWidth) -> Method:
    """Influence functions."""
    return Influence()
