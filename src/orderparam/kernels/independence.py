"""The gradient-independence approximation: the causal method without response terms."""

from typing import ClassVar

from orderparam.kernels.causal import Causal


class GradientIndependence(Causal):
    """Treat the backward weights as independent of the forward ones: drop all responses.

    W phi is taken as Gaussian with covariance Phi, without the response terms A and B. Exact for
    one hidden layer, wrong beyond. Predictions are read out from the fields, f = <w phi^L>/gamma0,
    as in the causal method: what is learned below the last layer reaches them through the responses
    alone, so that they are wrong for every gamma0 in depth 2 or more, while kernels are right as
    gamma0 -> 0. (Evolving f by the tangent kernel instead, as one may in continuous time, would be
    right in the lazy limit.)

    Args:
        samples: As in `Causal`.
        replicates: As in `Causal`.
        tolerance: As in `Causal`.

    Cost: That of `Causal`.

    Source: Bordelon & Pehlevan (2022), gradient independence ansatz.
    """

    name: ClassVar[str] = "gradient-independence"

    def __init__(self, samples: int = 4096, replicates: int = 4, tolerance: float = 1e-4) -> None:
        super().__init__(samples, replicates, tolerance, response=False)
