"""The gradient-independence approximation: no responses, predictions driven by the kernel."""

from typing import ClassVar, Self

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from orderparam.engine import State
from orderparam.engine.run import Fields, Observed
from orderparam.kernels.methods.causal import Causal
from orderparam.kernels.problem import KernelEvolution
from orderparam.kernels.theory.program import KernelProgram
from orderparam.kernels.theory.supported import refuse


class KernelDriven(KernelProgram):
    """The same training, whose predictions follow the tangent kernel instead of the fields."""

    def start(self, state: State) -> State:
        """Draw the weights; predictions start at 0."""
        state = super().start(state)
        return state.keep("f", None, jnp.zeros_like(state.vectors["f0"]))

    def observing(self, grid: Int[np.ndarray, " time"]) -> Self:
        """The same program: the kernel drives every step, so that it is formed at every step."""
        del grid
        return self

    def predictions(
        self, state: State, t: Int[Array, ""], phi: list[Array]
    ) -> tuple[State, Float[Array, "sample output"]]:
        """What the kernel has made of them so far."""
        return state, state.vectors["f"]

    def step(self, state: State, t: Int[Array, ""]) -> tuple[State, Observed, Fields]:
        """One step of the fields and of f(t+1) = f(t) + eta K(t) Delta(t) / P."""
        f = state.vectors["f"]
        state, observed, fields = super().step(state, t)
        _, y, weights = self._samples(t)
        state, delta = self.error_signal(state, f[: len(y)], y)
        kernel = observed["ntk"][:, : delta.size]
        push = kernel @ (weights[:, None] * delta).ravel()
        return state.keep("f", None, f + self.rates[t] * push.reshape(f.shape)), observed, fields


class GradientIndependence(Causal):
    """Treat the backward weights as independent of the forward ones: drop all responses.

    W phi is taken as Gaussian with covariance Phi, without the response terms A and B, and
    predictions follow the tangent kernel of these fields, f(t+1) = f(t) + eta K(t) Delta(t) / P. In
    the limits gamma0 -> 0 and, for one hidden layer, eta -> 0 this is exact; beyond, it misses how
    a layer answers to what the layers above have learned. (Predictions read out from the fields,
    <w phi^L>/gamma0, would be wrong for every gamma0 in depth 2 or more, as what is learned below
    the last layer reaches them through the responses alone.)

    Args:
        samples: As in `Causal`.
        replicates: As in `Causal`.
        tolerance: As in `Causal`.
        accuracy: As in `Causal`.

    Cost: That of `Causal`.

    Source: Bordelon & Pehlevan (2022), gradient independence ansatz; docs/theory/kernels.md,
    Gradient independence.
    """

    name: ClassVar[str] = "gradient-independence"
    program: ClassVar[type[KernelProgram]] = KernelDriven

    def __init__(
        self,
        samples: int = 4096,
        replicates: int = 4,
        tolerance: float = 1e-3,
        accuracy: float = 0.01,
    ) -> None:
        super().__init__(samples, replicates, tolerance, response=False, accuracy=accuracy)

    def require(self, problem: KernelEvolution) -> None:
        """Refuse problems whose predictions do not follow equal-time kernels."""
        refuse(
            self.name,
            {
                "momentum": problem.momentum > 0,
                "weight decay": problem.weight_decay > 0,
                "samples that are seen once": problem.one_pass,
            },
            "every network and loss, and minibatches of samples that return, by plain descent",
        )
