"""Kernel evolution: the description of what is trained, without any numerical setting."""

import math
import operator
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx

from orderparam.contract import Method, Problem, SavePlan
from orderparam.data import Data
from orderparam.errors import InvalidProblem
from orderparam.kernels.network import MLP
from orderparam.results import Solution


class KernelEvolution(Problem):
    """Full-batch gradient descent on a wide network in mean-field (muP) scaling.

    The network `f = w . phi(h^L) / (gamma0 N)` is trained with learning rate `eta gamma0^2 N` on
    `(1/P) sum_mu (f_mu - y_mu)^2 / 2`. At infinite width its predictions and kernels follow
    deterministic self-consistent equations; at finite width they fluctuate around them.

    Args:
        network: Depth, activation and weight scale.
        data: Training samples with labels, and test samples that are carried passively.
        gamma0: Feature-learning strength, positive. Small values are lazy (static kernels), values
            of order 1 learn features.
        learning_rate: eta, positive. Time in units of `eta * step` tends to gradient flow as
            eta -> 0.
        steps: Number of steps T >= 1; quantities are known at steps 0 ... T - 1, each before that
            step's update.
        centered: Measure predictions from their initial value, in the loss too.

    Raises:
        InvalidProblem: If a value is outside its range.

    Source: Bordelon & Pehlevan (2022); kernels.md sections 1-3.
    """

    family: ClassVar[str] = "kernels"

    network: MLP
    data: Data
    gamma0: float = eqx.field(static=True)
    learning_rate: float = eqx.field(static=True)
    steps: int = eqx.field(static=True)
    centered: bool = eqx.field(static=True)

    def __init__(
        self,
        network: MLP,
        data: Data,
        gamma0: float = 1.0,
        learning_rate: float = 0.1,
        steps: int = 100,
        centered: bool = True,
    ) -> None:
        for name, value, kind in (("network", network, MLP), ("data", data, Data)):
            if not isinstance(value, kind):
                raise InvalidProblem(
                    f"Argument `{name}` must be a {kind.__name__}, but is a "
                    f"{type(value).__name__}; build one with orderparam."
                )
        self.network, self.data = network, data
        self.gamma0 = _positive(
            "gamma0", gamma0, "For gamma0 = 0, the lazy limit, take a small value such as 1e-3."
        )
        self.learning_rate = _positive("learning_rate", learning_rate, "Choose a positive rate.")
        self.steps = _count("steps", steps)
        if not isinstance(centered, bool):
            raise InvalidProblem(
                f"Argument `centered` must be true or false, but is {centered!r}; choose one."
            )
        self.centered = centered

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
        }

    def simulate(
        self, sizes: Mapping[str, Any], seeds: Any, save: SavePlan, seed: int, **options: Any
    ) -> Solution:
        """Train finite networks of the widths `sizes["width"]`."""
        from orderparam.kernels.experiment import simulate_networks

        if set(sizes) != {"width"}:
            raise InvalidProblem(
                f"simulate() got the sizes {sorted(sizes)}, but networks have one size, `width`; "
                "call simulate(problem, width=..., seeds=...)."
            )
        return simulate_networks(self, sizes["width"], seeds, save, seed, **options)


def _positive(name: str, value: Any, advice: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise InvalidProblem(
            f"Argument `{name}` must be a positive finite number, but is {value!r}. {advice}"
        )
    return number


def _count(name: str, value: Any) -> int:
    try:
        count = operator.index(value)
    except TypeError:
        count = 0
    if count < 1 or isinstance(value, bool):
        raise InvalidProblem(
            f"Argument `{name}` must be an integer of at least 1, but is {value!r}; choose one."
        )
    return count
