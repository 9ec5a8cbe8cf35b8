"""The gradient-independence approximation: the causal method without response terms."""

from typing import ClassVar

from orderparam.kernels.causal import Causal


class GradientIndependence(Causal):
    """Treat the backward weights as independent of the forward ones: drop all responses.

    W phi is taken as Gaussian with covariance Phi, without the response terms A and B. Right at
    initialisation and for one hidden layer; wrong at finite gamma0 in depth 2 or more.

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
