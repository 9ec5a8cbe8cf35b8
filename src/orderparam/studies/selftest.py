"""The self-test of `orderparam doctor`: a sampled theory against an exact one."""

import time
from dataclasses import dataclass

import numpy as np

import orderparam as op
from orderparam.plots.pair import standard_error

# A right sampled solution exceeds this many standard errors less than once in a thousand times.
_LIMIT = 6.0


@dataclass(frozen=True)
class SelfTest:
    """How far the sampled loss is from the exact one.

    Args:
        deviation: Root mean square over time of the difference, in units of the standard error.
        relative: Largest difference relative to the initial loss.
        seconds: Time of both solves, compilation included.
    """

    deviation: float
    relative: float
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether the two agree."""
        return self.deviation < _LIMIT and self.relative < 0.05


def self_test() -> SelfTest:
    """Solve a small deep linear problem exactly and by sampling, and compare the losses."""
    start = time.perf_counter()
    problem = op.kernels.KernelEvolution(
        network=op.kernels.MLP(depth=2, activation="linear"),
        data=op.data.gaussian(count=4, dimension=8),
        gamma0=1.0,
        steps=20,
    )
    exact = op.solve(problem, op.kernels.ExactLinear(), progress=False)
    method = op.kernels.Causal(samples=1024, tolerance=1e-5)
    sampled = op.solve(problem, method, progress=False, throw=False)
    difference = sampled["loss"].values - exact["loss"].values
    error = standard_error(sampled, "loss")
    scale = float(exact["loss"].values[0])
    score = np.sqrt(np.mean(difference**2) / (np.mean(error**2) + (1e-9 * scale) ** 2))
    relative = float(np.max(np.abs(difference))) / scale
    return SelfTest(float(score), relative, time.perf_counter() - start)
