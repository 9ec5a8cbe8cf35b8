"""Fluctuations of networks of rectifiers, from networks whose kink is rounded."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import equinox as eqx

from orderparam.contract import Estimate, SavePlan
from orderparam.errors import InvalidProblem
from orderparam.fluctuations.methods.influence import Influence
from orderparam.fluctuations.problem import FiniteWidth
from orderparam.fluctuations.theory.pack import pack
from orderparam.fluctuations.theory.rounding import (
    WITH_SLOPE,
    extrapolated,
    with_rounding,
    without_slopes,
)
from orderparam.fluctuations.theory.supported import require_rectifier
from orderparam.results import Solution
from orderparam.support.arguments import positive
from orderparam.support.progress import progress as progress_bar


class RoundedInfluence(Influence):
    """Influence functions for rectifiers: kinks rounded over a width, which is extrapolated to 0.

    Derivatives along paths do not see a kink, so `Influence` refuses it. Here the problem is solved
    for phi_e(h) = h C(h/e) + e C'(h/e) with e = `rounding` and half of it, for the same neurons,
    and what has a limit linear in e is extrapolated: predictions, losses and feature kernels. What
    the extrapolation adds is their `NAME_bias`. N Var of the gradient and tangent kernels contains
    the slope at the kink, where gradient descent piles neurons up; it comes to its limit so slowly
    (23 % off at e = 0.07) that it is left out: measure it with ensembles.

    Args:
        rounding: e, in units of preactivations; at most 1.
        samples: Neurons of each set, as in `Influence`.
        replicates: Independent sets R >= 2.
        shift: Whether to compute mean shifts.
        algorithm: As in `Influence`.
        accuracy: As in `Influence`.
        covariance: As in `Influence`, without the kernels that are left out.

    Cost: twice that of `Influence`.

    Source: docs/theory/fluctuations.md, Kinks.
    """

    name: ClassVar[str] = "rounded-influence"

    rounding: float = eqx.field(static=True)

    def __init__(
        self,
        rounding: float = 0.1,
        samples: int = 1024,
        replicates: int = 8,
        shift: bool = True,
        algorithm: str = "auto",
        accuracy: float = 0.1,
        covariance: Sequence[str] = (),
    ) -> None:
        super().__init__(samples, replicates, None, shift, algorithm, accuracy, covariance)
        self.rounding = positive("rounding", rounding, "0.1 is usual")
        if self.rounding > 1:
            raise InvalidProblem(
                f"Argument `rounding` must be at most 1, but is {rounding}: beyond, nothing is "
                "left of a kink; 0.1 is usual."
            )
        if left := [name for name in self.covariance if name in WITH_SLOPE]:
            raise InvalidProblem(
                f"Argument `covariance` of {self.name} must leave out {', '.join(left)}, whose "
                "fluctuations contain slopes at the kink and have no reliable limit."
            )

    def config(self) -> Mapping[str, Any]:
        """The settings as plain JSON values."""
        settings = {k: v for k, v in super().config().items() if k != "nodes"}
        return {**settings, "rounding": self.rounding}

    def estimate(self, problem: FiniteWidth, save: SavePlan) -> Estimate:
        """Twice the time of one rounding."""
        one = super().estimate(problem, save)
        return Estimate(one.memory, 2 * one.seconds, 2 * (one.compilation or 0.0))

    def solve(self, problem: FiniteWidth, save: SavePlan, seed: int, progress: bool) -> Solution:
        """Follow the same neurons with two roundings."""
        require_rectifier(self.name, problem, save)
        began = time.perf_counter()
        steps = save.grid(problem.evolution.steps)
        with progress_bar(2 * self.replicates, "influence", progress) as advance:
            (coarse, _), (fine, seen) = (
                self.follow(
                    FiniteWidth(with_rounding(problem.evolution, width)), steps, seed, advance
                )
                for width in (self.rounding, self.rounding / 2)
            )
        return pack(
            problem,
            steps,
            [extrapolated(a, b) for a, b in zip(coarse, fine, strict=True)],
            [without_slopes(fine[0])],
            method=self.config(),
            seed=seed,
            accuracy=self.accuracy,
            remedy="Raise `samples` or `replicates`, or lower `rounding`.",
            seen=seen,
            seconds=time.perf_counter() - began,
        )
