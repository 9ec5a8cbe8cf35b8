"""Kernel evolution: the description of what is trained, without any numerical setting."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import numpy as np
from jaxtyping import Float

from orderparam.contract import Method, Problem, SavePlan
from orderparam.data import Data
from orderparam.errors import InvalidProblem
from orderparam.kernels.batches import Batches, Schedule, schedule_factors
from orderparam.kernels.checks import count
from orderparam.kernels.losses import check_labels, loss_named
from orderparam.kernels.network import Network
from orderparam.results import Solution


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

    Source: Bordelon & Pehlevan (2022); kernels.md sections 1-3.
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
        for name, value, kind in (("network", network, Network), ("data", data, Data)):
            if not isinstance(value, kind):
                raise InvalidProblem(
                    f"Argument `{name}` must be a {kind.__name__}, but is a "
                    f"{type(value).__name__}; build one with orderparam."
                )
        network.check_inputs(data.dimension)
        self.network, self.data = network, data
        self.gamma0 = _positive(
            "gamma0",
            gamma0,
            "For gamma0 = 0, the lazy limit, use the method static-ntk at any gamma0.",
        )
        self.learning_rate = _positive("learning_rate", learning_rate, "Choose a positive rate.")
        self.steps = count("steps", steps)
        self.centered = _flag("centered", centered)
        self.loss = loss_named(loss).name
        check_labels(loss_named(loss), data.targets(), "train")
        self.momentum = _fraction("momentum", momentum)
        self.weight_decay = _at_least_zero("weight_decay", weight_decay)
        if batches is not None:
            if not isinstance(batches, Batches):
                raise InvalidProblem(
                    f"Argument `batches` must be a Batches, but is a {type(batches).__name__}; "
                    "write batches=orderparam.kernels.Batches(size)."
                )
            batches.check(data.count, data.test_count, self.steps)
        self.batches = batches
        self.schedule = schedule_factors(schedule, self.steps)
        self.gradient_flow = _flag("gradient_flow", gradient_flow)
        if gradient_flow and (batches is not None or self.momentum > 0):
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

    def default_method(self) -> Method:
        """Exact for linear networks, causal sampling for all others."""
        from orderparam.kernels.causal import Causal  # methods know the problem
        from orderparam.kernels.exact_linear import ExactLinear

        return ExactLinear() if self.network.activation.linear else Causal()

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

    def simulate(
        self, sizes: Mapping[str, Any], seeds: Any, save: SavePlan, seed: int, **options: Any
    ) -> Solution:
        """Train finite networks of the widths `sizes["width"]`."""
        from orderparam.kernels.experiment import simulate_networks
        from orderparam.kernels.flow import with_small_steps

        if set(sizes) - {"parameterization"} != {"width"}:
            raise InvalidProblem(
                f"simulate() got the sizes {sorted(sizes)}, but networks have one size, `width` "
                "(and may have a `parameterization`); call simulate(problem, width=..., seeds=...)."
            )
        extra = {k: v for k, v in sizes.items() if k != "width"}

        def train(problem: KernelEvolution, plan: SavePlan) -> Solution:
            return simulate_networks(problem, sizes["width"], seeds, plan, seed, **extra, **options)

        return with_small_steps(self, save, train)


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidProblem(
            f"Argument `{name}` must be true or false, but is {value!r}; choose one."
        )
    return value


def _positive(name: str, value: Any, advice: str) -> float:
    number = _real(value)
    if not (math.isfinite(number) and number > 0):
        raise InvalidProblem(
            f"Argument `{name}` must be a positive finite number, but is {value!r}. {advice}"
        )
    return number


def _fraction(name: str, value: Any) -> float:
    number = _real(value)
    if not 0 <= number < 1:
        raise InvalidProblem(
            f"Argument `{name}` must be a number from 0 to below 1, but is {value!r}; choose one."
        )
    return number


def _at_least_zero(name: str, value: Any) -> float:
    number = _real(value)
    if not 0 <= number < math.inf:
        raise InvalidProblem(
            f"Argument `{name}` must be a finite number of at least 0, but is {value!r}."
        )
    return number


def _real(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
