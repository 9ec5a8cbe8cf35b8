"""Kernel evolution: the description of what is trained, without any numerical setting."""

from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import numpy as np
from jaxtyping import Float

from orderparam.contract import Problem
from orderparam.data import Data
from orderparam.errors import InvalidProblem
from orderparam.kernels.model.batches import Batches, Schedule, schedule_factors
from orderparam.kernels.model.losses import check_labels, loss_named
from orderparam.kernels.model.network import Network
from orderparam.support.arguments import at_least_zero, fraction, instance, integer, positive, truth
from orderparam.support.memory import require_numbers


class KernelEvolution(Problem):
    """Gradient descent on a wide network in mean-field (muP) scaling.

    The network `f = w . phi(h^L) / (gamma0 N)` is trained with learning rate `eta gamma0^2 N` on
    `(1/P) sum_mu l(f_mu, y_mu)`. At infinite width its predictions and kernels follow
    deterministic self-consistent equations; at finite width they fluctuate around them.

    Args:
        network: Architecture, depth, activation and weight scale.
        data: Training samples with labels, and test samples that are carried passively.
        gamma0: Feature-learning strength, positive. Small values are lazy (static kernels), values
            of order 1 learn features.
        learning_rate: eta, positive. Time in units of `eta * step` tends to gradient flow as
            eta -> 0.
        steps: Number of steps T >= 1; quantities are known at steps 0 ... T - 1, each before that
            step's update.
        centered: Measure predictions from their initial value, in the loss too.
        loss: `"squared"` |f - y|^2 / 2, `"logistic"` log(1 + exp(-y f)), `"softmax"`
            cross-entropy (labels with one column per class) or `"hinge"` max(0, 1 - y f).
        momentum: beta of the heavy ball, in [0, 1): v <- beta v + gradient,
            theta <- theta - (eta gamma0^2 N) v.
        weight_decay: lambda >= 0, decoupled: theta <- (1 - eta lambda) theta before each step.
        batches: Minibatches; all train samples in each step if `None`.
        schedule: Factor of the learning rate at each step, as numbers or as a function of the
            step; constant if `None`.
        gradient_flow: Follow gradient flow through the same times eta * step: steps are refined
            until the answer no longer moves, and the result states what is left. Full batches
            without momentum.

    Raises:
        InvalidProblem: If a value is outside its range.

    Source: Bordelon & Pehlevan (2022); docs/theory/kernels.md, Network and scaling, Single-site
    equations.
    """

    family: ClassVar[str] = "kernels"

    network: Network
    data: Data
    gamma0: float = eqx.field(static=True)
    learning_rate: float = eqx.field(static=True)
    steps: int = eqx.field(static=True)
    centered: bool = eqx.field(static=True)
    loss: str = eqx.field(static=True)
    momentum: float = eqx.field(static=True)
    weight_decay: float = eqx.field(static=True)
    batches: Batches | None
    schedule: Float[np.ndarray, " step"] | None
    gradient_flow: bool = eqx.field(static=True)

    def __init__(
        self,
        network: Network,
        data: Data,
        gamma0: float = 1.0,
        learning_rate: float = 0.1,
        steps: int = 100,
        centered: bool = True,
        loss: str = "squared",
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        batches: Batches | None = None,
        schedule: Schedule = None,
        gradient_flow: bool = False,
    ) -> None:
        instance("network", network, Network, "build one, such as orderparam.kernels.MLP")
        instance("data", data, Data, "build one with orderparam.data")
        network.check_inputs(data.dimension)
        self.network, self.data = network, data
        self.gamma0 = positive(
            "gamma0",
            gamma0,
            advice="for gamma0 = 0, the lazy limit, use the method static-ntk at any gamma0",
        )
        self.learning_rate = positive("learning_rate", learning_rate)
        self.steps = integer("steps", steps)
        self.centered = truth("centered", centered)
        self.loss = loss_named(loss).name
        check_labels(loss_named(loss), data.targets(), "train")
        self.momentum = fraction("momentum", momentum)
        self.weight_decay = at_least_zero("weight_decay", weight_decay)
        if batches is not None:
            instance("batches", batches, Batches, "write orderparam.kernels.Batches(size)")
            batches.check(data.count, data.test_count, self.steps)
        self.batches = batches
        require_numbers("steps", self.steps)
        self.schedule = schedule_factors(schedule, self.steps)
        self.gradient_flow = truth("gradient_flow", gradient_flow)
        if self.gradient_flow and (batches is not None or self.momentum > 0):
            raise InvalidProblem(
                "Gradient flow has neither minibatches nor momentum (the heavy ball tends to the "
                "flow with learning_rate / (1 - momentum)); leave out `batches` and `momentum`."
            )

    @property
    def one_pass(self) -> bool:
        """Whether every train sample is used once, so that only test samples are followed."""
        return self.batches is not None and self.batches.order == "one_pass"

    def rates(self) -> Float[np.ndarray, " step"]:
        """The learning rate eta at each step."""
        factors = np.ones(self.steps) if self.schedule is None else self.schedule
        return self.learning_rate * factors

    def config(self) -> Mapping[str, Any]:
        """The problem as plain JSON values; data enter by name, shape and fingerprint."""
        data = {
            "name": self.data.name,
            "count": self.data.count,
            "test_count": self.data.test_count,
            "dimension": self.data.dimension,
            "outputs": self.data.outputs,
            "fingerprint": self.data.fingerprint(),
        }
        return {
            "kind": "KernelEvolution",
            "network": self.network.config(),
            "data": data,
            "gamma0": self.gamma0,
            "learning_rate": self.learning_rate,
            "steps": self.steps,
            "centered": self.centered,
            "loss": self.loss,
            "momentum": self.momentum,
            "weight_decay": self.weight_decay,
            "batches": None if self.batches is None else self.batches.config(),
            "schedule": None if self.schedule is None else self.schedule.tolist(),
            "gradient_flow": self.gradient_flow,
        }
