"""Every public constructor and function of the library, each with a call that works.

Names that have no case are listed in `LEFT_OUT` with the reason.
"""

from case import Case
from registry_experts import expert_cases
from registry_fluctuations import fluctuation_cases
from registry_kernels import data_cases, kernel_cases
from registry_mixtures import mixture_cases
from registry_online import online_cases
from registry_verbs import verb_cases

LEFT_OUT = {
    "experts.ScalingWarning": "a category of warnings",
    "mixtures.digits_features": "has no arguments",
    "mixtures.L1": "has no arguments",
    "mixtures.L2": "has no arguments",
    "mixtures.Hinge": "has no arguments",
    "mixtures.Logistic": "has no arguments",
    "mixtures.Softmax": "has no arguments",
    "mixtures.Ridge": "has no arguments",
    "mixtures.TwoClusters": "has no arguments",
    "kernels.StaticNTK": "has no arguments",
    "experts.Counting": "has no arguments",
}


def cases() -> list[Case]:
    """All of them."""
    families = [*kernel_cases(), *mixture_cases(), *online_cases(), *expert_cases()]
    return [*data_cases(), *families, *fluctuation_cases(), *verb_cases()]
