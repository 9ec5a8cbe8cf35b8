"""Fluctuations of deep linear networks, without sampling."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import equinox as eqx
import numpy as np

from orderparam.contract import Estimate, Method, SavePlan
from orderparam.errors import CapacityExceeded
from orderparam.fluctuations.problem import FiniteWidth
from orderparam.fluctuations.theory.covariance import covariance_bytes, covariance_names
from orderparam.fluctuations.theory.functions import functions_of
from orderparam.fluctuations.theory.layered import every_direction
from orderparam.fluctuations.theory.pack import pack
from orderparam.fluctuations.theory.starts import linear
from orderparam.fluctuations.theory.supported import require_linear
from orderparam.results import Solution
from orderparam.support.arguments import positive, probability, truth

MOST_PAIRS = 6000
"""Pairs of seeds, of all layers, that are followed one by one."""


class DeepLinear(Method):
    """Fluctuations of linear networks of any depth, algebraically.

    Every field is a combination of the seeds, so that a network of width N is given by one matrix
    for each layer, S = (1/N) sum zeta zeta^T, with a Wishart law. In the limit S = 1; derivatives
    there by its entries give

        N Cov[o, o'] = 2 sum over layers of tr[sym(do/dS) sym(do'/dS)]

    and second derivatives the mean shift. Nothing is sampled: errors are of rounding and of the
    tolerance alone, and stated as what a hundred times the tolerance changes.

    Args:
        shift: Whether to compute mean shifts.
        tolerance: Squared norm below which a residual opens no direction, relative to its vector.
        accuracy: Part of the contract of methods; errors are far below it.
        covariance: Quantities whose covariances between times are wanted too, as `("f", "ntk")`:
            `NAME_ncov`, between all entries, or of each entry with itself for kernels.

    Cost: one training run (three with shifts) for each pair of seeds of a layer, O(r^2) each step.

    Raises:
        CapacityExceeded: If there are too many pairs of seeds.

    Source: Bordelon & Pehlevan (2023); docs/theory/fluctuations.md, Linear networks.
    """

    family: ClassVar[str] = "fluctuations"
    name: ClassVar[str] = "deep-linear"

    shift: bool = eqx.field(static=True)
    tolerance: float = eqx.field(static=True)
    accuracy: float = eqx.field(static=True)
    covariance: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        shift: bool = True,
        tolerance: float = 1e-10,
        accuracy: float = 0.01,
        covariance: Sequence[str] = (),
    ) -> None:
        self.shift = truth("shift", shift)
        self.tolerance = probability("tolerance", tolerance, "1e-10 is usual")
        self.covariance = covariance_names(covariance)
        self.accuracy = positive("accuracy", accuracy, "0.01 is usual")

    def config(self) -> Mapping[str, Any]:
        """The settings as plain JSON values."""
        names = ("shift", "tolerance", "accuracy")
        settings = {n: getattr(self, n) for n in names}
        return {"name": self.name, **settings, "covariance": list(self.covariance)}

    def estimate(self, problem: FiniteWidth, save: SavePlan) -> Estimate:
        """Memory of the answers, and time of the runs."""
        evolution, grid = problem.evolution, save.grid(problem.evolution.steps)
        data, depth, steps = evolution.data, evolution.network.depth, int(grid[-1]) + 1
        seen = data.count + data.test_count
        seeds = 8 + 6 * seen
        pairs = depth * seeds * (seeds + 1) / 2
        kernels = depth * seen**2 * (1 + data.outputs**2) + seen * data.outputs
        memory = 2**29 + 8 * (2 * pairs * len(grid) * kernels + 200 * depth * seeds**2)
        work = pairs * steps * depth * 40.0 * seeds**2 * seen * (4 if self.shift else 2)
        paired = covariance_bytes(self.name, evolution, len(grid), self.covariance, int(pairs))
        return Estimate(int(memory) + paired, work / 2e9, 40.0)

    def solve(self, problem: FiniteWidth, save: SavePlan, seed: int, progress: bool) -> Solution:
        """Follow the answer to every pair of seeds."""
        del progress
        require_linear(self.name, problem, save)
        began = time.perf_counter()
        evolution, steps = problem.evolution, save.grid(problem.evolution.steps)
        runs = linear(evolution, steps, self.tolerance)
        pairs = int(np.prod(runs[0].measure.shape))
        if pairs > MOST_PAIRS:
            raise CapacityExceeded(
                f"The layers of this problem have {pairs} pairs of seeds, above {MOST_PAIRS}; use "
                "fewer samples or steps, raise `tolerance`, or choose LayeredInfluence."
            )
        functions = functions_of(evolution, self.covariance)
        found = [every_direction(replay, functions, self.shift) for replay in runs]
        return pack(
            problem,
            steps,
            [found[0][0]],
            [found[1][0]],
            method=self.config(),
            seed=seed,
            accuracy=self.accuracy,
            remedy="Lower `tolerance`.",
            seen=found[0][1],
            seconds=time.perf_counter() - began,
        )
