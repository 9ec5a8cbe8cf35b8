"""The method for those who name none."""

from orderparam.contract import Method
from orderparam.kernels.methods.causal import Causal
from orderparam.kernels.methods.exact_linear import ExactLinear
from orderparam.kernels.problem import KernelEvolution


def default_method(problem: KernelEvolution) -> Method:
    """Exact for linear networks, causal sampling for all others."""
    return ExactLinear() if problem.network.activation.linear else Causal()
