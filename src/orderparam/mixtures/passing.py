"""Message passing as a problem of its own: the path of an iteration instead of its end."""

from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx

from orderparam.errors import InvalidProblem, UnsupportedCombination
from orderparam.mixtures.model.losses import Loss
from orderparam.mixtures.model.mixture import GaussianMixture
from orderparam.mixtures.model.penalties import Penalty
from orderparam.mixtures.problem import MixtureERM
from orderparam.support.arguments import fraction, integer, positive, truth
from orderparam.support.arrays import Numbers
from orderparam.support.memory import require_numbers


class MessagePassing(MixtureERM):
    """Generalised approximate message passing on samples of a mixture, step by step.

    Its fixed points are the minimisers of `MixtureERM`. Weights start as independent normals that
    know nothing of the data. Without damping `StateEvolution` is exact at every step, oscillations
    and divergence included; with damping `EngineEvolution` is.

    Args:
        mixture: The law of the data.
        loss: Loss, as in `MixtureERM`.
        penalty: `"l2"`, `"l1"`, `"elastic-net"` or such a penalty.
        strength: Strength of the penalty, one number.
        alpha: Samples per dimension, one number.
        steps: Number of steps; quantities are known before each.
        fit_bias: Fit b.
        class_weights: Factor of the loss of each class.
        onsager: Subtract the response of the fields to earlier steps. Data are passed without it
            to see that the theory, which has it, then fails.
        damping: Share in [0, 1) of the old weights, forces and responses that each step keeps; it
            makes iterations converge that oscillate or diverge, to the same fixed point.
        start_norm: |W|^2/d of each output at the start, positive.
        start_response: V at the start, the same for all clusters, positive.

    Raises:
        InvalidProblem: If a value is outside its range.
        UnsupportedCombination: If loss, penalty and mixture do not fit together.

    Source: docs/theory/mixtures.md, Message passing; Bayati and Montanari (2011).
    """

    family: ClassVar[str] = "mixtures"

    steps: int = eqx.field(static=True)
    onsager: bool = eqx.field(static=True)
    damping: float = eqx.field(static=True)
    start_norm: float = eqx.field(static=True)
    start_response: float = eqx.field(static=True)

    def __init__(
        self,
        mixture: GaussianMixture,
        loss: str | Loss = "logistic",
        penalty: str | Penalty = "l2",
        strength: Numbers = 0.1,
        alpha: Numbers = 1.0,
        steps: int = 10,
        fit_bias: bool = True,
        class_weights: Numbers | None = None,
        onsager: bool = True,
        damping: float = 0.0,
        start_norm: float = 1.0,
        start_response: float = 1.0,
    ) -> None:
        super().__init__(mixture, loss, penalty, strength, alpha, fit_bias, class_weights)
        self.steps = integer("steps", steps)
        self.onsager = truth("onsager", onsager)
        self.damping = fraction("damping", damping)
        self.start_norm = positive("start_norm", start_norm)
        self.start_response = positive("start_response", start_response)
        require_numbers("steps", self.steps * self.mixture.clusters)
        if self.needs_sampling:
            raise UnsupportedCombination(
                f"Message passing with the penalty {self.penalty.name!r} needs diagonal "
                "covariances; use 'l2' for full ones."
            )
        if self.dims:
            raise InvalidProblem(
                f"Message passing follows one point, but {' and '.join(self.dims)} are sequences; "
                "give one number each."
            )

    def config(self) -> Mapping[str, Any]:
        """The problem as plain JSON values; what the data are passed without is no part of it."""
        names = ("steps", "damping", "start_norm", "start_response")
        more = {name: getattr(self, name) for name in names}
        return {**super().config(), "kind": "MessagePassing", **more}
