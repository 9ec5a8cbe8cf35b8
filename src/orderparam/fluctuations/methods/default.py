"""The method for those who name none."""

from orderparam.contract import Method
from orderparam.fluctuations.methods.deep_linear import DeepLinear
from orderparam.fluctuations.methods.influence import Influence
from orderparam.fluctuations.methods.layered import LayeredInfluence
from orderparam.fluctuations.methods.rounded import RoundedInfluence
from orderparam.fluctuations.problem import FiniteWidth
from orderparam.fluctuations.theory.rounding import SIZES


def default_method(problem: FiniteWidth) -> Method:
    """Influence functions, which a linear network of several layers has in closed form."""
    network = problem.evolution.network
    if network.depth == 1:
        return RoundedInfluence() if network.activation.name in SIZES else Influence()
    return DeepLinear() if network.activation.name == "linear" else LayeredInfluence()
